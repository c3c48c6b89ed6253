#include "inspect/diff_ruleset.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* A word after which a value counts by itself, and how many words that value has. In nft's text these are
 * "counter packets 3 bytes 180", "expires 4m59s", "used 10 bytes", "last used 5s", "handle 7". */
static const struct {
	const char *word;
	unsigned n_values;
} counting[] = {
	{"packets", 1}, {"bytes", 1}, {"expires", 1}, {"used", 2}, {"handle", 1},
};

static bool starts_number(const char *s, size_t n)
{
	return n && isdigit((unsigned char)*s);
}

/* "[12:3456]" of iptables-save -c, and of its chain policies. */
static bool is_bracket(const char *s, size_t n)
{
	size_t at = 1;

	if (n < 5 || s[0] != '[' || s[n - 1] != ']')
		return false;
	while (at < n - 1 && (isdigit((unsigned char)s[at]) || s[at] == ':'))
		at++;
	return at == n - 1;
}

static unsigned values_after(const char *s, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(counting); i++) {
		if (strlen(counting[i].word) == n && strncmp(counting[i].word, s, n) == 0)
			return counting[i].n_values;
	}
	return 0;
}

/* One line word by word; leading blanks stay, they are the structure. */
static int plain_line(const char *s, size_t n, struct buf *out, struct err *e)
{
	size_t at = strspn(s, " \t");
	unsigned skip = 0;

	/* iptables-save dates its output */
	if (at >= n || s[at] == '#')
		return 0;
	if (buf_add(out, s, at, e))
		return -1;
	while (at < n) {
		size_t len = strcspn(s + at, " \t\n");

		if (at + len > n)
			len = n - at;
		if (!(skip && starts_number(s + at, len)) && !is_bracket(s + at, len)) {
			unsigned values = values_after(s + at, len);

			if (buf_add(out, s + at, len, e) || buf_add(out, " ", 1, e))
				return -1;
			skip = values ? values : 0;
		} else {
			skip -= skip > 0;
		}
		at += len + strspn(s + at + len, " \t");
	}
	out->data[out->len - 1] = '\n';
	return 0;
}

static int plain_lines(const char *text, struct buf *out, struct err *e)
{
	while (*text) {
		size_t n = strcspn(text, "\n");

		if (plain_line(text, n, out, e))
			return -1;
		text += n + (text[n] == '\n');
	}
	return 0;
}

static int cmp_block(const void *a, const void *b)
{
	const struct span *x = a, *y = b;
	size_t n = x->len < y->len ? x->len : y->len;
	int order = memcmp(x->data, y->data, n);

	return order ? order : (x->len > y->len) - (x->len < y->len);
}

/* iptables-save prints tables in the order in which they were first used (/proc/net/ip_tables_names), which
 * means nothing. A table begins with a line "*NAME". */
static int sort_tables(const struct buf *plain, struct buf *out, struct err *e)
{
	enum { MAX = 16 }; /* iptables has five tables */
	struct span block[MAX];
	size_t n = 0, from = 0;

	for (size_t at = 1; at <= plain->len && n < MAX; at++) {
		bool starts =
			at == plain->len || (plain->data[at] == '*' && plain->data[at - 1] == '\n');

		if (!starts)
			continue;
		block[n++] = (struct span){plain->data + from, at - from};
		from = at;
	}
	if (from < plain->len || n == MAX)
		return buf_add(out, plain->data, plain->len, e);
	qsort(block, n, sizeof(*block), cmp_block);
	for (size_t i = 0; i < n; i++) {
		if (buf_add(out, block[i].data, block[i].len, e))
			return -1;
	}
	return 0;
}

/* What commas and the closing brace end from s on, which is after the opening one; all may be NULL. Where the closing
 * brace is; NULL: there is none, or it is a block with others inside. */
static const char *split_elements(const char *s, struct span *all, size_t *n)
{
	const char *from = s;

	for (*n = 0; *s && *s != '{'; s++) {
		if (*s == '"')
			s += strcspn(s + 1, "\"") + (s[1 + strcspn(s + 1, "\"")] != 0);
		if (*s != ',' && *s != '}')
			continue;
		if (all) {
			size_t blank = strspn(from, " \t\n");
			const char *end = s;

			while (end > from + blank && isspace((unsigned char)end[-1]))
				end--;
			all[*n] = (struct span){(const uint8_t *)from + blank,
						(size_t)(end - from) - blank};
		}
		++*n;
		if (*s == '}')
			return s;
		from = s + 1;
	}
	return NULL;
}

/* The elements from s up to the brace at end, sorted, with the commas and blanks that were between them. */
static int put_sorted(const char *s, const char *end, size_t n, struct buf *out, struct err *e)
{
	auto_free struct span *was = calloc(2 * n, sizeof(*was));
	struct span *is = was + n;

	if (!was)
		return err_set(e, ERR_NOMEM, "rulesets: out of memory");
	split_elements(s, was, &n);
	memcpy(is, was, n * sizeof(*was));
	qsort(is, n, sizeof(*is), cmp_block);
	for (size_t i = 0; i < n; i++) {
		if (buf_add(out, s, (size_t)((const char *)was[i].data - s), e) ||
		    buf_add(out, is[i].data, is[i].len, e))
			return -1;
		s = (const char *)was[i].data + was[i].len;
	}
	return buf_add(out, s, (size_t)(end - s), e);
}

/* The kernel lists the elements of a set or map in an order of its own (sorted, or that of a hash table), an edited
 * text has them in that of before. Blocks have the end of a line after their brace. */
static int sort_elements(const char *text, struct buf *out, struct err *e)
{
	const char *at = text;
	bool quoted = false;

	for (const char *s = text; *s; s++) {
		const char *end;
		size_t n;

		quoted ^= *s == '"';
		if (quoted || *s != '{' || s[1] == '\n')
			continue;
		end = split_elements(s + 1, NULL, &n);
		if (!end)
			continue;
		if (buf_add(out, at, (size_t)(s + 1 - at), e) || put_sorted(s + 1, end, n, out, e))
			return -1;
		at = s = end;
	}
	return buf_add(out, at, strlen(at) + 1, e);
}

int ruleset_plain(const char *text, struct buf *out, struct err *e)
{
	auto_buf struct buf sorted = {0}, plain = {0};

	if (sort_elements(text, &sorted, e) || plain_lines((const char *)sorted.data, &plain, e))
		return -1;
	if (plain.len && plain.data[0] == '*')
		return sort_tables(&plain, out, e);
	return buf_add(out, plain.data, plain.len, e);
}

static const char *next_line(const char *s)
{
	const char *end = strchr(s, '\n');

	return end ? end + 1 : s + strlen(s);
}

/* Without the blanks before it, which are the structure of the whole text only. */
static int add_line(struct span line, struct buf *out, struct err *e)
{
	const char *s = (const char *)line.data;
	size_t at = strspn(s, " \t"), n = strcspn(s + at, "\n");

	return buf_printf(out, e, "%s%.*s", out->len ? "\n" : "", (int)n, s + at);
}

/* The lines of from..end; an owned array. */
static struct span *split_lines(const char *from, const char *end, size_t *n, struct err *e)
{
	struct span *lines;

	*n = 0;
	for (const char *s = from; s < end; s = next_line(s))
		++*n;
	lines = calloc(*n + 1, sizeof(*lines));
	if (!lines) {
		err_set(e, ERR_NOMEM, "rulesets: out of memory");
		return NULL;
	}
	for (size_t i = 0; i < *n; i++) {
		const char *next = next_line(from);

		lines[i] = (struct span){(const uint8_t *)from, (size_t)(next - from)};
		from = next;
	}
	return lines;
}

static bool same_line(struct span a, struct span b)
{
	return a.len == b.len && !memcmp(a.data, b.data, a.len);
}

/* The lines of one text that the longest common subsequence of both has not. common has room for (n_a + 1) * (n_b + 1)
 * lengths. */
static int put_changes(const struct span *a, size_t n_a, const struct span *b, size_t n_b,
		       uint32_t *common, struct buf *only_a, struct buf *only_b, struct err *e)
{
	size_t row = n_b + 1, i = 0, k = 0;

	for (i = n_a; i-- > 0;)
		for (k = n_b; k-- > 0;) {
			uint32_t down = common[(i + 1) * row + k], right = common[i * row + k + 1];

			common[i * row + k] = same_line(a[i], b[k])
						      ? common[(i + 1) * row + k + 1] + 1
					      : down > right ? down
							     : right;
		}
	for (i = 0, k = 0; i < n_a || k < n_b;) {
		if (i < n_a && k < n_b && same_line(a[i], b[k])) {
			i++;
			k++;
		} else if (k == n_b ||
			   (i < n_a && common[(i + 1) * row + k] >= common[i * row + k + 1])) {
			if (add_line(a[i++], only_a, e))
				return -1;
		} else if (add_line(b[k++], only_b, e)) {
			return -1;
		}
	}
	return 0;
}

/* Texts so long that their table of lengths would not fit are told as changed from the first difference to the last. */
enum { TABLE_CELLS_MAX = 16 * 1024 * 1024 };

static int changes_between(const char *a, const char *end_a, const char *b, const char *end_b,
			   struct buf *only_a, struct buf *only_b, struct err *e)
{
	size_t n_a, n_b;
	auto_free struct span *lines_a = split_lines(a, end_a, &n_a, e);
	auto_free struct span *lines_b = lines_a ? split_lines(b, end_b, &n_b, e) : NULL;
	auto_free uint32_t *common = NULL;

	if (!lines_b)
		return -1;
	if ((n_a + 1) * (n_b + 1) <= TABLE_CELLS_MAX) {
		common = calloc((n_a + 1) * (n_b + 1), sizeof(*common));
		if (!common)
			return err_set(e, ERR_NOMEM, "rulesets: out of memory");
		return put_changes(lines_a, n_a, lines_b, n_b, common, only_a, only_b, e);
	}
	for (size_t i = 0; i < n_a; i++)
		if (add_line(lines_a[i], only_a, e))
			return -1;
	for (size_t i = 0; i < n_b; i++)
		if (add_line(lines_b[i], only_b, e))
			return -1;
	return 0;
}

/* Start of the last line of from..end. */
static const char *last_line(const char *from, const char *end)
{
	const char *s = end - 1;

	while (s > from && s[-1] != '\n')
		s--;
	return s;
}

int ruleset_changes(const char *a, const char *b, struct buf *only_a, struct buf *only_b,
		    struct err *e)
{
	const char *end_a = a + strlen(a), *end_b = b + strlen(b);

	while (a < end_a && b < end_b) {
		const char *na = next_line(a), *nb = next_line(b);

		if (na - a != nb - b || strncmp(a, b, (size_t)(na - a)) != 0)
			break;
		a = na;
		b = nb;
	}
	while (a < end_a && b < end_b) {
		const char *la = last_line(a, end_a), *lb = last_line(b, end_b);

		if (end_a - la != end_b - lb || strncmp(la, lb, (size_t)(end_a - la)) != 0)
			break;
		end_a = la;
		end_b = lb;
	}
	return changes_between(a, end_a, b, end_b, only_a, only_b, e);
}
