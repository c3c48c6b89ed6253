/* diff_words.c: the words of nsimg diff; and the printing that verify shares. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/colour.h"
#include "base/escape.h"
#include "inspect/diff_words.h"

static const char *const kind_words[] = {
	[DIFF_DEL] = "removed",
	[DIFF_ADD] = "added",
	[DIFF_CHANGE] = "changed",
};
static const char kind_signs[] = {[DIFF_DEL] = '-', [DIFF_ADD] = '+', [DIFF_CHANGE] = '~'};

static int print_rows(const struct diff *d, const struct cli *c, struct err *e)
{
	static const struct table_col cols[] = {
		{"kind", TABLE_STR, 0},   {"netns", TABLE_STR, 0},  {"table", TABLE_STR, 0},
		{"object", TABLE_STR, 0}, {"column", TABLE_STR, 0}, {"a", TABLE_STR, 0},
		{"b", TABLE_STR, 0},
	};
	auto_table struct table *t = table_new(cols, ARRAY_SIZE(cols), e);

	for (size_t i = 0; i < diff_count(d); i++) {
		const struct diff_item *x = diff_at(d, i);
		const char *cells[] = {kind_words[x->kind], x->netns, x->table, x->object,
				       x->column,           x->a,     x->b};

		if (!t || table_row(t, e))
			return -1;
		for (size_t k = 0; k < ARRAY_SIZE(cells); k++) {
			if (table_cell(t, k, cells[k], e))
				return -1;
		}
	}
	return t ? cli_print_table(c, t, e) : -1;
}

/* As diff --color: what went red, what came green. */
static enum tone sign_tone(char sign, FILE *out)
{
	if (!colour_wanted(out))
		return TONE_NONE;
	return sign == '-' ? TONE_BAD : sign == '+' ? TONE_GOOD : TONE_WARN;
}

/* Values of several lines (rulesets) go below the line, as diff(1) shows them. */
static int print_lines(FILE *out, char sign, const char *text, struct err *e)
{
	enum tone tone = sign_tone(sign, out);

	while (text && *text) {
		auto_buf struct buf line = {0};
		size_t n = strcspn(text, "\n");

		if (escape_show(&line, text, n, e))
			return -1;
		fprintf(out, "      %s%c %s%s\n", colour_begin(tone), sign, (const char *)line.data,
			colour_end(tone));
		text += n + (text[n] == '\n');
	}
	return 0;
}

static bool has_lines(const char *s)
{
	return s && strchr(s, '\n');
}

static int print_item(const struct diff_item *x, FILE *out, struct err *e)
{
	auto_buf struct buf object = {0}, a = {0}, b = {0};
	enum tone tone;

	if (escape_show(&object, x->object, strlen(x->object), e))
		return -1;
	tone = sign_tone(kind_signs[x->kind], out);
	fprintf(out, "  %s%c%s %s", colour_begin(tone), kind_signs[x->kind], colour_end(tone),
		(const char *)object.data);
	if (x->kind != DIFF_CHANGE) {
		fputc('\n', out);
		return 0;
	}
	if (has_lines(x->a) || has_lines(x->b)) {
		fprintf(out, ": %s\n", x->column);
		return print_lines(out, '-', x->a, e) || print_lines(out, '+', x->b, e) ? -1 : 0;
	}
	if ((x->a && escape_show(&a, x->a, strlen(x->a), e)) ||
	    (x->b && escape_show(&b, x->b, strlen(x->b), e)))
		return -1;
	fprintf(out, ": %s %s -> %s\n", x->column, x->a ? (const char *)a.data : "(none)",
		x->b ? (const char *)b.data : "(none)");
	return 0;
}

static int print_heading(const char *netns, FILE *out, struct err *e)
{
	auto_buf struct buf name = {0};

	if (!netns) {
		fputs("image\n", out);
		return 0;
	}
	if (escape_show(&name, netns, strlen(netns), e))
		return -1;
	fprintf(out, "netns %s\n", (const char *)name.data);
	return 0;
}

int diff_print(const struct diff *d, const struct cli *c, struct err *e)
{
	FILE *out = cli_out(c);
	const char *netns = "";

	if (cli_wants_rows(c))
		return print_rows(d, c, e);
	for (size_t i = 0; i < diff_count(d); i++) {
		const struct diff_item *x = diff_at(d, i);
		bool same =
			x->netns == netns || (x->netns && netns && strcmp(x->netns, netns) == 0);

		if (!same && print_heading(x->netns, out, e))
			return -1;
		netns = x->netns;
		if (print_item(x, out, e))
			return -1;
	}
	return 0;
}

/* ---- --stat ---- */

/* Differences of one table, by kind. */
struct table_count {
	const char *table; /* lent by the difference */
	size_t n[ARRAY_SIZE(kind_words)];
};

/* The count of a table, a new one when it has none yet. counts has room for all. */
static struct table_count *count_of(struct table_count *counts, size_t *n, const char *table)
{
	for (size_t i = 0; i < *n; i++)
		if (!strcmp(counts[i].table, table))
			return &counts[i];
	counts[*n] = (struct table_count){.table = table};
	return &counts[(*n)++];
}

static int by_table(const void *a, const void *b)
{
	return strcmp(((const struct table_count *)a)->table,
		      ((const struct table_count *)b)->table);
}

/* An owned array of *n, ordered by name, or NULL. */
static struct table_count *count_tables(const struct diff *d, size_t *n, struct err *e)
{
	/* more than there are tables, and enough in any case */
	struct table_count *counts = calloc(diff_count(d) + 1, sizeof(*counts));

	*n = 0;
	if (!counts) {
		err_set(e, ERR_NOMEM, "%zu differences: out of memory", diff_count(d));
		return NULL;
	}
	for (size_t i = 0; i < diff_count(d); i++) {
		const struct diff_item *x = diff_at(d, i);

		count_of(counts, n, x->table)->n[x->kind]++;
	}
	qsort(counts, *n, sizeof(*counts), by_table);
	return counts;
}

/* How many differences each table has; in text nothing when there is none, as without --stat. */
static int print_stat(const struct diff *d, const struct cli *c, struct err *e)
{
	static const struct table_col cols[] = {
		{"table", TABLE_STR, 0},
		{"removed", TABLE_INT, TABLE_RIGHT},
		{"added", TABLE_INT, TABLE_RIGHT},
		{"changed", TABLE_INT, TABLE_RIGHT},
	};
	auto_table struct table *t = table_new(cols, ARRAY_SIZE(cols), e);
	size_t n;
	auto_free struct table_count *counts = t ? count_tables(d, &n, e) : NULL;

	if (!counts)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (table_row(t, e) || table_cell(t, 0, counts[i].table, e))
			return -1;
		for (size_t k = 0; k < ARRAY_SIZE(kind_words); k++)
			if (table_cell_int(t, 1 + k, (int64_t)counts[i].n[k], e))
				return -1;
	}
	if (!n && !cli_wants_rows(c))
		return 0;
	return cli_print_table(c, t, e);
}

/* ---- the command ---- */

/* "DB@ID": the image ID of DB; "DB": its only one. A file whose name holds an @ wins. */
static struct db *open_side(const char *word, struct diff_side *side, struct err *e)
{
	const char *at = strrchr(word, '@');
	auto_db struct db *db = NULL;
	auto_free char *path = NULL;
	struct err first = ERR_INIT;
	int64_t id = 0;

	if (at && access(word, F_OK) != 0) {
		if (cli_parse_number(at + 1, 1, INT64_MAX, &id, "image", e))
			return NULL;
		path = strndup(word, (size_t)(at - word));
	} else {
		path = strdup(word);
	}
	if (!path) {
		err_set(e, ERR_NOMEM, "out of memory");
		return NULL;
	}
	db = db_open(path, DB_READ, &first);
	if (!db || db_image_pick(db, id, &side->image, &first)) {
		*e = first;
		return NULL;
	}
	side->db = db;
	return take_ptr(db);
}

static int add_pair(struct diff_pair *pairs, size_t *n, const char *text, const char *what,
		    struct err *e)
{
	const char *eq = strchr(text, '=');
	auto_free char *left = eq ? strndup(text, (size_t)(eq - text)) : NULL;
	struct diff_pair *p = &pairs[*n];

	if (!left)
		return err_set(e, ERR_USAGE, "%s: '%s' is not A=B", what, text);
	if (cli_parse_number(left, 0, INT64_MAX, &p->a, what, e) ||
	    cli_parse_number(eq + 1, 0, INT64_MAX, &p->b, what, e))
		return -1;
	++*n;
	return 0;
}

#define MAX_PAIRS 1024

static int take_pairs(const struct cli *c, const char *opt, struct diff_pair *pairs, size_t *n,
		      struct err *e)
{
	const char *v;
	unsigned i = 0;

	while ((v = cli_next_value(c, opt, &i))) {
		if (*n == MAX_PAIRS)
			return err_set(e, ERR_USAGE, "--%s is given more than %d times", opt,
				       MAX_PAIRS);
		if (add_pair(pairs, n, v, opt, e))
			return -1;
	}
	return 0;
}

int diff_words_run(struct cli *c, const struct diff_side *other, struct err *e)
{
	auto_free struct diff_pair *netns = calloc(MAX_PAIRS, sizeof(*netns));
	auto_free struct diff_pair *tasks = calloc(MAX_PAIRS, sizeof(*tasks));
	struct diff_opts opts = {.restored = cli_has(c, "restored"),
				 .any_ifindex = cli_has(c, "any-ifindex"),
				 .netns = netns,
				 .tasks = tasks};
	struct diff_side a, b;
	auto_db struct db *da = NULL, *db = NULL;
	auto_diff struct diff *d = NULL;

	if (!netns || !tasks)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (take_pairs(c, "netns", netns, &opts.n_netns, e) ||
	    take_pairs(c, "task", tasks, &opts.n_tasks, e))
		return -1;
	da = open_side(cli_arg(c, 0), &a, e);
	db = da && !other ? open_side(cli_arg(c, 1), &b, e) : NULL;
	if (!da || (!other && !db))
		return -1;
	db_watch(da);
	if (db)
		db_watch(db);
	d = diff_new(&a, other ? other : &b, &opts, e);
	db_watch_end(da);
	if (db)
		db_watch_end(db);
	if (!d || (cli_has(c, "stat") ? print_stat : diff_print)(d, c, e))
		return -1;
	return diff_count(d) ? 1 : 0;
}
