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

/* ---- tables ---- */

/* What iptables-restore makes in nftables beside CRIU's chain: a table filter with the hooks input and output, each
 * without a rule and open. */
static const char *const bare_lines[] = {
	"table ip filter {",
	"table ip6 filter {",
	"chain INPUT {",
	"chain OUTPUT {",
	"type filter hook input priority filter; policy accept;",
	"type filter hook output priority filter; policy accept;",
	"}",
	"",
};

static bool is_bare_line(const char *line, size_t len)
{
	while (len && (*line == ' ' || *line == '\t')) {
		line++;
		len--;
	}
	for (size_t i = 0; i < ARRAY_SIZE(bare_lines); i++)
		if (strlen(bare_lines[i]) == len && !memcmp(bare_lines[i], line, len))
			return true;
	return false;
}

static bool is_bare(struct span table)
{
	const char *s = (const char *)table.data, *end = s + table.len;

	while (s < end) {
		const char *newline = memchr(s, '\n', (size_t)(end - s));
		size_t len = (size_t)((newline ? newline : end) - s);

		if (!is_bare_line(s, len))
			return false;
		s += len + 1;
	}
	return true;
}

static bool is_blank(const char *s)
{
	return !s[strspn(s, " \t\n")];
}

/* Lines from *text up to end without those of the lock; *text moves behind what was read, which a block of the lock may
 * take beyond end. */
static int strip_lines(const char **text, const char *end, struct buf *out, bool *had,
		       struct err *e)
{
	while (*text < end) {
		size_t len = strcspn(*text, "\n");
		bool block;

		len += (*text)[len] == '\n';
		if (!is_lock(*text, len, &block)) {
			if (buf_add(out, *text, len, e))
				return -1;
			*text += len;
			continue;
		}
		*had = true;
		*text = block ? skip_block(*text) : *text + len;
	}
	return 0;
}

static void cut(struct buf *b, size_t len)
{
	b->len = len;
	if (b->data)
		b->data[len] = '\0';
}

int lock_strip(const char *text, struct buf *out, bool *had, struct err *e)
{
	const size_t begin = out->len;

	*had = false;
	while (*text) {
		const bool is_table = !strncmp(text, "table ", 6);
		const char *end = is_table ? skip_block(text) : text + 1;
		size_t start = out->len;
		bool had_here = false;

		if (strip_lines(&text, end, out, &had_here, e))
			return -1;
		if (had_here && is_table &&
		    is_bare((struct span){out->data + start, out->len - start}))
			cut(out, start);
		*had |= had_here;
	}
	if (*had && out->data && is_blank((const char *)out->data + begin))
		cut(out, begin);
	return 0;
}
