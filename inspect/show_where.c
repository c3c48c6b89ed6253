/* A condition of "nsimg show" that is about one namespace: it is looked for with the index of that one, since
 * SQLite has none for a name that is made of two columns. The condition itself stays as it is. */
#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "inspect/show.h"

/* The length of what belongs together at s: a word, a text in quotes, what is in parentheses, a sign. 0: it cannot be
 * told (a comment, a quote or parenthesis without an end). */
static size_t token_len(const char *s)
{
	size_t n = 0, one;

	if (!strncmp(s, "--", 2) || !strncmp(s, "/*", 2) || *s == ')')
		return 0;
	if (isalnum((unsigned char)*s) || *s == '_') {
		while (isalnum((unsigned char)s[n]) || s[n] == '_')
			n++;
		return n;
	}
	if (*s == '\'' || *s == '"') {
		const char *end = strchr(s + 1, *s);

		return end ? (size_t)(end + 1 - s) : 0;
	}
	if (*s != '(')
		return 1;
	for (n = 1; s[n] != ')'; n += one) {
		one = s[n] ? token_len(s + n) : 0;
		if (!one)
			return 0;
	}
	return n + 1;
}

static bool is_word(const char *s, size_t n, const char *word)
{
	return strlen(word) == n && !strncasecmp(s, word, n);
}

/* One part of the condition, as its tokens come along: is it "netns = 'NAME'"? */
struct part {
	unsigned n; /* tokens so far that fit, of three; NO_FIT */
	const char *name;
	size_t len;
};
enum { NO_FIT = 99 };

static void part_add(struct part *p, const char *s, size_t n)
{
	const bool fits[] = {is_word(s, n, "netns"), *s == '=', *s == '\''};

	/* "==" is two signs */
	if (p->n == 2 && *s == '=' && s[-1] == '=')
		return;
	p->n = p->n < ARRAY_SIZE(fits) && fits[p->n] ? p->n + 1 : NO_FIT;
	p->name = s + 1;
	p->len = n - 2;
}

/* Words with which a part between two AND need not hold for the whole. */
static bool is_binding(const char *s, size_t n)
{
	return is_word(s, n, "or") || is_word(s, n, "between") || is_word(s, n, "case");
}

bool show_where_netns(const char *where, struct span *name)
{
	struct part p = {0};
	bool found = false;
	size_t n;

	for (const char *s = where;; s += n) {
		bool is_end = !*s;

		if (isspace((unsigned char)*s)) {
			n = 1;
			continue;
		}
		n = is_end ? 0 : token_len(s);
		if ((!is_end && !n) || is_binding(s, n))
			return false;
		if (!is_end && !is_word(s, n, "and")) {
			part_add(&p, s, n);
			continue;
		}
		if (p.n == 3 && !found) {
			*name = (struct span){(const uint8_t *)p.name, p.len};
			found = true;
		}
		if (is_end)
			return found;
		p = (struct part){0};
	}
}
