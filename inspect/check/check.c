/* Running the codes of the table, and the list of what they found. */
#include "inspect/check/check.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

struct check_list {
	struct check_finding *all;
	size_t n, cap;
	const struct check_code *code; /* that is looked for now */
	char **texts;                  /* owned copies of tables and details */
	size_t n_texts, cap_texts;
};

void check_free(struct check_list *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->n_texts; i++)
		free(l->texts[i]);
	free(l->texts);
	free(l->all);
	free(l);
}

size_t check_n(const struct check_list *l)
{
	return l->n;
}

const struct check_finding *check_at(const struct check_list *l, size_t i)
{
	return &l->all[i];
}

static int compare(const void *a, const void *b)
{
	const struct check_finding *x = a, *y = b;
	int by_table;

	if (x->code != y->code)
		return x->code < y->code ? -1 : 1;
	by_table = strcmp(x->table, y->table);
	if (by_table)
		return by_table;
	return (x->row > y->row) - (x->row < y->row);
}

void check_sort(struct check_list *l)
{
	if (l->n)
		qsort(l->all, l->n, sizeof(*l->all), compare);
}

bool check_has(const struct check_list *l, const struct check_finding *f)
{
	return l->n && bsearch(f, l->all, l->n, sizeof(*l->all), compare);
}

static int keep_text(struct check_list *l, const char *text, const char **kept, struct err *e)
{
	*kept = NULL;
	if (!text)
		return 0;
	if (l->n_texts == l->cap_texts) {
		size_t cap = l->cap_texts ? 2 * l->cap_texts : 32;
		char **more = reallocarray(l->texts, cap, sizeof(*more));

		if (!more)
			return err_set(e, ERR_NOMEM, "out of memory");
		l->texts = more;
		l->cap_texts = cap;
	}
	l->texts[l->n_texts] = strdup(text);
	if (!l->texts[l->n_texts])
		return err_set(e, ERR_NOMEM, "out of memory");
	*kept = l->texts[l->n_texts++];
	return 0;
}

int check_keep(struct check_list *l, const struct check_finding *found, struct err *e)
{
	struct check_finding f = *found;

	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 16;
		struct check_finding *more = reallocarray(l->all, cap, sizeof(*more));

		if (!more)
			return err_set(e, ERR_NOMEM, "out of memory");
		l->all = more;
		l->cap = cap;
	}
	if (keep_text(l, found->table, &f.table, e) || keep_text(l, found->detail, &f.detail, e))
		return -1;
	l->all[l->n++] = f;
	return 0;
}

int check_add(struct check_list *l, const char *table, int64_t row, const char *detail,
	      struct err *e)
{
	return check_keep(l,
			  &(struct check_finding){
				  .code = l->code, .table = table, .row = row, .detail = detail},
			  e);
}

static int find_by_sql(struct check_list *l, struct db *db, int64_t image, const char *sql,
		       struct err *e)
{
	auto_query struct query *q = query_new(db, sql, e);
	int rc;

	if (!q || query_bind_int(q, "image", image, e))
		return -1;
	while ((rc = query_next(q, e)) == 1)
		if (check_add(l, query_text(q, 0), query_int(q, 1), query_text(q, 2), e))
			return -1;
	return rc;
}

static int find(struct check_list *l, struct db *db, int64_t image, const struct check_code *c,
		struct err *e)
{
	l->code = c;
	if (c->find ? c->find(l, db, image, e) : find_by_sql(l, db, image, c->sql, e))
		return err_wrap(e, "%s", c->code);
	return 0;
}

struct check_list *check_new(struct db *db, int64_t image, const struct check_code *const *codes,
			     size_t n, struct err *e)
{
	auto_check struct check_list *l = calloc(1, sizeof(*l));

	if (!l) {
		err_set(e, ERR_NOMEM, "out of memory");
		return NULL;
	}
	for (size_t i = 0; i < n; i++) {
		db_watch_at(db, i + 1, n, codes[i]->code);
		if (find(l, db, image, codes[i], e))
			return NULL;
	}
	for (size_t i = 0; !codes && i < n_check_codes; i++) {
		db_watch_at(db, i + 1, n_check_codes, check_codes[i].code);
		if (find(l, db, image, &check_codes[i], e))
			return NULL;
	}
	db_watch_at(db, 0, 0, NULL);
	check_sort(l);
	return take_ptr(l);
}

static const char *code_at(const void *arg, unsigned i)
{
	return i < n_check_codes ? check_codes[i].code : NULL;
}

const struct check_code *check_code_find(const char *word, unsigned only, struct err *e)
{
	auto_buf struct buf list = {0};
	const char *near;

	for (size_t i = 0; i < n_check_codes; i++)
		if (!strcmp(check_codes[i].code, word))
			return &check_codes[i];
	near = cli_nearest(word, code_at, NULL);
	for (size_t i = 0; i < n_check_codes && !near; i++)
		if (check_is_among(&check_codes[i], only) &&
		    buf_printf(&list, e, "%s%s", list.len ? ", " : "", check_codes[i].code))
			return NULL;
	if (near)
		err_set(e, ERR_USAGE, "no code '%s'; did you mean '%s'?", word, near);
	else
		err_set(e, ERR_USAGE, "no code '%s'; there are: %s", word, (const char *)list.data);
	return NULL;
}

bool check_is_among(const struct check_code *c, unsigned only)
{
	return (!(only & CHECK_ONLY_ERRORS) || c->severity == CHECK_ERROR) &&
	       (!(only & CHECK_ONLY_REPAIRS) || c->fix);
}

int check_pick(const struct cli *c, unsigned n_words, unsigned only,
	       const struct check_code **codes, size_t *n, struct err *e)
{
	*n = 0;
	for (unsigned i = 1; i <= n_words; i++) {
		codes[*n] = check_code_find(cli_arg(c, i), only & CHECK_ONLY_REPAIRS, e);
		if (!codes[(*n)++])
			return -1;
	}
	for (size_t i = 0; !n_words && i < n_check_codes; i++)
		if (check_is_among(&check_codes[i], only))
			codes[(*n)++] = &check_codes[i];
	return 0;
}
