/* Which codes edits can have made true: those that read a column that was edited; and what they find that is new. */
#include "inspect/check/check_edits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "imgdb/before.h"

struct check_edits {
	char **columns; /* "TABLE.COLUMN"; "TABLE." when rows of it were added or deleted */
	size_t n, cap;
};

void check_edits_free(struct check_edits *x)
{
	if (!x)
		return;
	for (size_t i = 0; i < x->n; i++)
		free(x->columns[i]);
	free(x->columns);
	free(x);
}

static int add(struct check_edits *x, const char *column, struct err *e)
{
	if (x->n == x->cap) {
		size_t cap = x->cap ? 2 * x->cap : 32;
		char **more = reallocarray(x->columns, cap, sizeof(*more));

		if (!more)
			return err_set(e, ERR_NOMEM, "out of memory");
		x->columns = more;
		x->cap = cap;
	}
	x->columns[x->n] = strdup(column);
	if (!x->columns[x->n])
		return err_set(e, ERR_NOMEM, "out of memory");
	x->n++;
	return 0;
}

/* The log has whole rows, with the values quoted. */
static const char edited[] =
	"SELECT tbl || '.' FROM edit_log WHERE action <> 'update' UNION SELECT l.tbl || '.' || "
	"b.key "
	"FROM edit_log l, json_each(l.before) b WHERE l.action = 'update' AND b.value IS NOT "
	"json_extract(l.after, '$.\"' || b.key || '\"')";

struct check_edits *check_edits_new(struct db *db, struct err *e)
{
	auto_check_edits struct check_edits *x = calloc(1, sizeof(*x));
	auto_query struct query *q = query_new(db, edited, e);
	int rc;

	if (!x)
		err_set(e, ERR_NOMEM, "out of memory");
	if (!x || !q)
		return NULL;
	while ((rc = query_next(q, e)) == 1)
		if (add(x, query_text(q, 0), e))
			return NULL;
	return rc < 0 ? NULL : take_ptr(x);
}

/* ---- what a code reads ---- */

struct reads {
	struct read {
		char table[24], column[32];
	} * all;
	size_t n, cap;
	bool has_failed; /* no memory */
};

static void reads_free(struct reads *r)
{
	free(r->all);
}
#define auto_reads __attribute__((cleanup(reads_free)))

static void see_column(void *arg, const char *table, const char *column)
{
	struct reads *r = arg;
	struct read seen;

	snprintf(seen.table, sizeof(seen.table), "%s", table);
	snprintf(seen.column, sizeof(seen.column), "%s", column);
	for (size_t i = 0; i < r->n; i++)
		if (!strcmp(r->all[i].table, seen.table) && !strcmp(r->all[i].column, seen.column))
			return;
	if (r->n == r->cap) {
		size_t cap = r->cap ? 2 * r->cap : 32;
		struct read *more = reallocarray(r->all, cap, sizeof(*more));

		r->has_failed |= !more;
		if (!more)
			return;
		r->all = more;
		r->cap = cap;
	}
	r->all[r->n++] = seen;
}

static int reads_of(struct reads *r, struct db *db, const struct check_code *c, struct err *e)
{
	if (db_columns_read(db, c->sql, see_column, r, e))
		return -1;
	return r->has_failed ? err_set(e, ERR_NOMEM, "out of memory") : 0;
}

static bool is_edited(const struct check_edits *x, const struct read *r)
{
	size_t len = strlen(r->table);

	for (size_t i = 0; i < x->n; i++) {
		const char *edit = x->columns[i];

		if (!strncmp(edit, r->table, len) && edit[len] == '.' &&
		    (!edit[len + 1] || !strcmp(edit + len + 1, r->column)))
			return true;
	}
	return false;
}

static bool is_reached(const struct check_edits *x, const struct reads *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (is_edited(x, &r->all[i]))
			return true;
	return false;
}

int check_edits_reach(const struct check_edits *x, struct db *db, const struct check_code *c,
		      bool *reached, struct err *e)
{
	auto_reads struct reads r = {0};

	if (x->n && reads_of(&r, db, c, e))
		return -1;
	*reached = is_reached(x, &r);
	return 0;
}

/* ---- what it finds now, and what it would have found before ---- */

/* Of these tables a code reads only the row that a finding is about, of a socket that of its family too: whether it is
 * found about a row that was not edited, edits of the others do not change. */
static const struct {
	const char *code, *tables; /* separated by blanks */
} own[] = {
	{"bind-address", "socket inet_socket"},
	{"bind-device", "socket inet_socket packet_socket tun_file"},
	{"ref-stream", "socket inet_socket"},
};

/* A code, and the tables it is asked about. */
struct question {
	const struct check_edits *edits;
	struct db *db;
	int64_t image;
	const struct check_code *code;
	const struct reads *reads;
	const char *own; /* "" */
};

static bool is_own(const struct question *q, const char *table)
{
	size_t len = strlen(table);

	for (const char *at = q->own; (at = strstr(at, table)); at += len)
		if ((at == q->own || at[-1] == ' ') && (!at[len] || at[len] == ' '))
			return true;
	return false;
}

/* Was table edited in what the code reads of it? */
static bool is_table_edited(const struct question *q, const char *table)
{
	for (size_t i = 0; i < q->reads->n; i++)
		if (!strcmp(q->reads->all[i].table, table) &&
		    is_edited(q->edits, &q->reads->all[i]))
			return true;
	return false;
}

static bool are_others_edited(const struct question *q)
{
	for (size_t i = 0; i < q->reads->n; i++)
		if (!is_own(q, q->reads->all[i].table) && is_edited(q->edits, &q->reads->all[i]))
			return true;
	return false;
}

static int hide(const struct question *q, const char *table, enum before_rows rows, struct err *e)
{
	auto_free const char **columns = calloc(q->reads->n, sizeof(*columns));
	size_t n = 0;

	if (!columns)
		return err_set(e, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < q->reads->n; i++)
		if (!strcmp(q->reads->all[i].table, table))
			columns[n++] = q->reads->all[i].column;
	return before_hide(q->db, q->image, table, columns, n, rows, e);
}

/* Hide the code's own tables, or the others that were edited. */
static int hide_all(const struct question *q, bool of_own, enum before_rows rows, struct err *e)
{
	for (size_t i = 0; i < q->reads->n; i++) {
		const char *table = q->reads->all[i].table;
		bool is_first = true;

		for (size_t k = 0; k < i; k++)
			is_first &= strcmp(q->reads->all[k].table, table) != 0;
		if (is_first && is_own(q, table) == of_own &&
		    (of_own || is_table_edited(q, table)) && hide(q, table, rows, e))
			return -1;
	}
	return 0;
}

static struct check_list *ask(const struct question *q, struct err *e)
{
	return check_new(q->db, q->image, &q->code, 1, e);
}

/* Add to news what is in now and not in before. untouched: about rows alone that were not edited. */
static int keep_new(const struct question *q, struct check_list *news, const struct check_list *now,
		    const struct check_list *before, bool untouched, struct err *e)
{
	for (size_t i = 0; i < check_n(now); i++) {
		int skip = check_has(before, check_at(now, i));

		if (!skip && untouched)
			skip = before_is_touched(q->db, check_at(now, i)->row, e);
		if (skip < 0 || (!skip && check_keep(news, check_at(now, i), e)))
			return -1;
	}
	return 0;
}

/* What is new about the rows that were edited. */
static int ask_touched(const struct question *q, struct check_list *news, struct err *e)
{
	auto_check struct check_list *now = NULL, *before = NULL;

	if (before_touch(q->db, q->own, e) || hide_all(q, true, BEFORE_NOW, e))
		return -1;
	now = ask(q, e);
	if (!now || before_show(q->db, e))
		return -1;
	if (!check_n(now))
		return 0;
	if (before_touch(q->db, q->own, e) || hide_all(q, true, BEFORE_TOUCHED, e) ||
	    hide_all(q, false, BEFORE_ALL, e))
		return -1;
	before = ask(q, e);
	return !before || keep_new(q, news, now, before, false, e) ? -1 : before_show(q->db, e);
}

/* What is new about all others, because what they refer to was edited. */
static int ask_others(const struct question *q, struct check_list *news, struct err *e)
{
	auto_check struct check_list *now = ask(q, e), *before = NULL;

	if (!now || !check_n(now))
		return now ? 0 : -1;
	if (before_touch(q->db, q->own, e) || hide_all(q, false, BEFORE_ALL, e))
		return -1;
	before = ask(q, e);
	return !before || keep_new(q, news, now, before, true, e) ? -1 : before_show(q->db, e);
}

static int find_new(const struct check_edits *x, struct db *db, int64_t image,
		    const struct check_code *c, struct check_list *news, struct err *e)
{
	auto_reads struct reads r = {0};
	struct question q = {x, db, image, c, &r, ""};

	if (reads_of(&r, db, c, e))
		return -1;
	if (!is_reached(x, &r))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (!strcmp(own[i].code, c->code))
			q.own = own[i].tables;
	if (*q.own && ask_touched(&q, news, e))
		return -1;
	return are_others_edited(&q) ? ask_others(&q, news, e) : 0;
}

struct check_list *check_edits_find(const struct check_edits *x, struct db *db, int64_t image,
				    struct err *e)
{
	/* of none of the codes: an empty list */
	auto_check struct check_list *news =
		check_new(db, image, (const struct check_code *const[]){NULL}, 0, e);

	for (size_t i = 0; news && x->n && i < n_check_codes; i++)
		if (check_is_among(&check_codes[i], CHECK_ONLY_ERRORS) &&
		    find_new(x, db, image, &check_codes[i], news, e))
			return NULL;
	if (news)
		check_sort(news);
	return take_ptr(news);
}
