#include "inspect/edit/fwsets.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "inspect/edit/fwtext.h"
#include "inspect/edit/remap.h"

/* An element: where its set begins, and what it holds. */
struct element {
	size_t set;
	uint8_t first[16], last[16];
	size_t len;
	const char *word;
	size_t n;
};

struct sets {
	const char *text;
	size_t n;
	size_t at;    /* what was looked at for braces */
	size_t block; /* the brace of the table, chain or set that we are in */
	size_t set;   /* the brace of the elements that we are in, 0: none */
	bool quoted;
	struct element *all;
	size_t n_all, cap;
};

static const char elements[] = "elements = ";
enum { LEN = sizeof(elements) - 1 };

/* Braces of tables, chains and sets end their line; those of elements do not. */
static void look_until(struct sets *s, size_t end)
{
	for (; s->at < end; s->at++) {
		const char c = s->text[s->at];

		if (c == '"')
			s->quoted = !s->quoted;
		else if (!s->quoted && c == '}')
			s->set = 0;
		else if (!s->quoted && c == '{' && s->at + 1 < s->n && s->text[s->at + 1] == '\n')
			s->block = s->at, s->set = 0;
		else if (!s->quoted && c == '{')
			s->set = s->at >= LEN && !memcmp(s->text + s->at - LEN, elements, LEN)
					 ? s->at
					 : 0;
	}
}

/* Part of a concatenation ("a . b"), or the value of a map ("a : b")? */
static bool is_part(const struct sets *s, size_t at, size_t n)
{
	const char *before = at >= 2 ? s->text + at - 2 : "  ";
	const size_t end = at + n;

	return before[0] == '.' || before[0] == ':' ||
	       (end + 2 < s->n && s->text[end] == ' ' && s->text[end + 1] == '.');
}

static int add(struct sets *s, const struct remap_addr *a, const char *word, size_t n,
	       struct err *e)
{
	struct element x = {.set = s->set, .len = a->len, .word = word, .n = n};

	if (s->n_all == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 64;
		struct element *bigger = reallocarray(s->all, cap, sizeof(*bigger));

		if (!bigger)
			return err_set(e, ERR_NOMEM, "out of memory");
		s->all = bigger;
		s->cap = cap;
	}
	memcpy(x.first, a->first, a->len);
	memcpy(x.last, a->last, a->len);
	for (size_t bit = a->bits; a->has_bits && bit < 8 * a->len; bit++) {
		x.first[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
		x.last[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
	}
	s->all[s->n_all++] = x;
	return 0;
}

static int see(void *arg, enum fw_kind kind, const char *word, size_t n, struct buf *out,
	       struct err *e)
{
	struct sets *s = arg;
	struct remap_addr a;
	size_t at;

	(void)out;
	if (kind != FW_ADDRESS || word < s->text || word >= s->text + s->n)
		return 0;
	at = (size_t)(word - s->text);
	look_until(s, at);
	if (!s->set || is_part(s, at, n) || !remap_parse(word, n, &a) ||
	    memmem(s->text + s->block, s->set - s->block, "auto-merge", 10))
		return 0;
	return add(s, &a, word, n, e);
}

static int compare(const void *a, const void *b)
{
	const struct element *x = a, *y = b;

	if (x->set != y->set)
		return x->set < y->set ? -1 : 1;
	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return memcmp(x->first, y->first, x->len);
}

int fwsets_overlap(const char *text, size_t n, struct buf *out, struct err *e)
{
	struct sets s = {.text = text, .n = n};
	auto_buf struct buf ignored = {0};
	int rc = fwtext_edit("nftables", text, n, see, &s, &ignored, e);

	if (rc >= 0 && s.n_all)
		qsort(s.all, s.n_all, sizeof(*s.all), compare);
	/* sorted, the first two that overlap are neighbours */
	rc = rc < 0 ? -1 : 0;
	for (size_t i = 1; !rc && i < s.n_all; i++) {
		const struct element *x = &s.all[i - 1], *y = &s.all[i];

		if (x->set != y->set || x->len != y->len || memcmp(x->last, y->first, x->len) < 0)
			continue;
		rc = buf_printf(out, e, "%.*s and %.*s", (int)x->n, x->word, (int)y->n, y->word)
			     ? -1
			     : 1;
	}
	free(s.all);
	return rc;
}
