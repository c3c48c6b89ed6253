#include "proto/lock.h"

#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"

/* What the lock looks like in the text of nft, and of iptables. */
static const struct lock_row {
	const char *has; /* begins (after blanks) or, with anywhere, contains */
	bool anywhere, block;
} lock_rows[] = {
	{"chain CRIU {", false, true}, {"table inet CRIU", false, true},
	{" jump CRIU", true, false},   {":CRIU ", false, false},
	{"-A CRIU ", false, false},    {" -j CRIU", true, false},
};

/* A line of the lock? *block: and what its brace opens. */
static bool is_lock(const char *line, size_t len, bool *block)
{
	size_t blank = 0;

	while (blank < len && (line[blank] == ' ' || line[blank] == '\t'))
		blank++;
	for (size_t i = 0; i < ARRAY_SIZE(lock_rows); i++) {
		const struct lock_row *r = &lock_rows[i];
		size_t n = strlen(r->has);

		*block = r->block;
		if (r->anywhere ? memmem(line, len, r->has, n) != NULL
				: len - blank >= n && !memcmp(line + blank, r->has, n))
			return true;
	}
	return false;
}

/* Lines up to the one that brings the braces back to even. */
static const char *skip_block(const char *s)
{
	int depth = 0;

	for (; *s; s++) {
		depth += (*s == '{') - (*s == '}');
		if (*s == '\n' && !depth)
			return s + 1;
	}
	return s;
}

int lock_strip(const char *text, struct buf *out, bool *had, struct err *e)
{
	*had = false;
	while (*text) {
		size_t len = strcspn(text, "\n");
		bool block;

		len += text[len] == '\n';
		if (!is_lock(text, len, &block)) {
			if (buf_add(out, text, len, e))
				return -1;
			text += len;
			continue;
		}
		*had = true;
		text = block ? skip_block(text) : text + len;
	}
	return 0;
}
