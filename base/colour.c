#include "base/colour.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

/* ECMA-48, SGR */
static const char *const begins[] = {
	[TONE_NONE] = "",         [TONE_GOOD] = "\x1b[32m", [TONE_BAD] = "\x1b[31m",
	[TONE_WARN] = "\x1b[33m", [TONE_NAME] = "\x1b[36m", [TONE_MAC] = "\x1b[33m",
	[TONE_IPV4] = "\x1b[35m", [TONE_IPV6] = "\x1b[34m",
};
static_assert(ARRAY_SIZE(begins) == TONE_COUNT, "a tone without bytes");

bool colour_wanted(FILE *out)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return !(no && *no) && term && strcmp(term, "dumb") != 0 && isatty(fileno(out));
}

const char *colour_begin(enum tone t)
{
	return begins[t];
}

const char *colour_end(enum tone t)
{
	return t ? "\x1b[0m" : "";
}
