/* corpus.h: where the tests find real CRIU images: $NSIMG_CORPUS, else ../shared/corpus beside the
 * source folder. Tests skip by name when it is missing. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The folder, lent, static; NULL when there is none. */
static inline const char *corpus_dir(void)
{
	static char dir[4096];
	const char *env = getenv("NSIMG_CORPUS");
	const char *source = strstr(__FILE__, "/tests/unit/");

	if (env)
		snprintf(dir, sizeof(dir), "%s", env);
	else
		snprintf(dir, sizeof(dir), "%.*s/../shared/corpus",
			 source ? (int)(source - __FILE__) : 1, source ? __FILE__ : ".");
	return access(dir, R_OK) == 0 ? dir : NULL;
}
