/* What an operation changed, read from the edit log, and what it left alone. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "imgdb/log_row.h"
#include "inspect/diff_ruleset.h"
#include "inspect/edit/edit_int.h"
#include "inspect/rows.h"

enum {
	EDIT_TABLE_MAX = 20,      /* rows of one table that are shown, without --rows */
	VALUE_MAX = 200,          /* bytes of a value that are shown as they are */
	LINES_MAX = 3,            /* changed lines of a text that are shown */
	COLUMNS_MAX_ROWS = 10000, /* of more rows it is not said which columns changed */
};

/* A changed row: first and last image of it in the log. */
static const char rows_sql[] =
	"SELECT f.tbl, f.row, f.action, f.before, l.action, l.after FROM (SELECT min(id) AS a, "
	"max(id) AS b FROM edit_log WHERE op = :op GROUP BY tbl, row) g JOIN edit_log f ON f.id = "
	"g.a JOIN edit_log l ON l.id = g.b ORDER BY g.a";

struct change {
	const char *tbl, *before, *after; /* NULL: it was not, or is not there */
	int64_t row;
	const char
		*what; /* "added", "dropped", "changed"; NULL: there was nothing before and after */
};

static struct change change_of(const struct query *q)
{
	const bool is_new = !strcmp(query_text(q, 2), "insert"), is_gone = query_is_null(q, 5);
	/* INSERT OR IGNORE met the row (imgdb/triggers.c) */
	const bool is_nothing = !strcmp(query_text(q, 4), "replace");

	return (struct change){
		.tbl = query_text(q, 0),
		.row = query_int(q, 1),
		.before = is_new ? NULL : query_text(q, 3),
		.after = query_text(q, 5),
		.what = is_nothing || (is_new && is_gone) ? NULL
			: is_new                          ? "added"
			: is_gone                         ? "dropped"
							  : "changed",
	};
}

/* A value for people. */
static int put_value(struct buf *out, const char *text, struct err *e)
{
	size_t len = text ? strlen(text) : 0;

	return len > VALUE_MAX ? buf_printf(out, e, "%zu bytes of text", len)
			       : buf_add_str(out, text ? text : "-", e);
}

/* before, after: NULL is null. */
typedef int column_fn(void *arg, const char *column, const char *before, const char *after,
		      struct err *e);

struct report {
	const struct edit_report *r;
	struct edit_labels *labels;
	struct query *q;
	struct log_row was, is; /* memory of each_column */
};

static void report_free(struct report *p)
{
	log_row_free(&p->was);
	log_row_free(&p->is);
}

/* fn for each column whose value differs. */
static int each_column(struct report *p, const struct change *c, column_fn *fn, void *arg,
		       struct err *e)
{
	if (log_row_read(&p->was, c->before, e) || log_row_read(&p->is, c->after, e))
		return -1;
	for (unsigned i = 0; i < p->is.n; i++) {
		const char *column = log_row_name(&p->is, i);
		int was = log_row_find(&p->was, column);

		if (was >= 0 && !log_row_same(&p->is, i, &p->was, was) &&
		    fn(arg, column, log_row_text(&p->was, (unsigned)was), log_row_text(&p->is, i),
		       e))
			return -1;
	}
	return 0;
}

static int put_member(struct buf *out, const char *column, const char *key, const struct json *was,
		      const struct json *is, struct err *e)
{
	auto_buf struct buf before = {0}, after = {0};

	if (json_same(was, is))
		return 0;
	return (out->len && buf_add_str(out, ", ", e)) ||
			       buf_printf(out, e, "%s.%s: ", column, key) ||
			       (was && json_print(was, false, &before, e)) ||
			       (is && json_print(is, false, &after, e)) ||
			       put_value(out, (const char *)before.data, e) ||
			       buf_add_str(out, " -> ", e) ||
			       put_value(out, (const char *)after.data, e)
		       ? -1
		       : 0;
}

/* Of long objects only the members that differ. 1: told, 0: these are none, -1. */
static int put_members(struct buf *out, const char *column, const char *before, const char *after,
		       struct err *e)
{
	struct err bad = ERR_INIT;
	auto_json struct json *was = json_parse_bytes(before, strlen(before), &bad);
	auto_json struct json *is = json_parse_bytes(after, strlen(after), &bad);
	const struct json *v;
	const char *key;
	void *iter = NULL;

	if (json_kind(was) != JSON_KIND_OBJECT || json_kind(is) != JSON_KIND_OBJECT)
		return 0;
	while (json_next(was, &iter, &key, &v))
		if (put_member(out, column, key, v, json_get(is, key), e))
			return -1;
	for (iter = NULL; json_next(is, &iter, &key, &v);)
		if (!json_get(was, key) && put_member(out, column, key, NULL, v, e))
			return -1;
	return 1;
}

static int put_lines(struct buf *out, const struct buf *lines, struct err *e)
{
	const char *s = lines->len ? (const char *)lines->data : "-";
	unsigned n = 0, more = 0;

	for (; *s; s += strcspn(s, "\n"), s += *s == '\n') {
		auto_buf struct buf line = {0};

		if (++n > LINES_MAX) {
			more++;
			continue;
		}
		if (buf_printf(&line, e, "%.*s", (int)strcspn(s, "\n"), s) ||
		    (n > 1 && buf_add_str(out, " | ", e)) ||
		    put_value(out, (const char *)line.data, e))
			return -1;
	}
	return more ? buf_printf(out, e, " | and %u more", more) : 0;
}

/* Of long texts of several lines only those that differ. 1: told, 0: it is none, -1. */
static int put_text(struct buf *out, const char *column, const char *before, const char *after,
		    struct err *e)
{
	auto_buf struct buf was = {0}, is = {0};

	if (!strchr(before, '\n') || !strchr(after, '\n'))
		return 0;
	return ruleset_changes(before, after, &was, &is, e) ||
			       (out->len && buf_add_str(out, ", ", e)) ||
			       buf_printf(out, e, "%s: ", column) || put_lines(out, &was, e) ||
			       buf_add_str(out, " -> ", e) || put_lines(out, &is, e)
		       ? -1
		       : 1;
}

static int put_column(void *arg, const char *column, const char *before, const char *after,
		      struct err *e)
{
	struct buf *out = arg;
	const size_t at = out->len;
	int rc = 0;

	if (before && after && (strlen(before) > VALUE_MAX || strlen(after) > VALUE_MAX)) {
		rc = put_members(out, column, before, after, e);
		if (!rc)
			rc = put_text(out, column, before, after, e);
	}
	if (rc < 0 || out->len > at)
		return rc < 0 ? -1 : 0;
	return (out->len && buf_add_str(out, ", ", e)) || buf_printf(out, e, "%s: ", column) ||
			       put_value(out, before, e) || buf_add_str(out, " -> ", e) ||
			       put_value(out, after, e)
		       ? -1
		       : 0;
}

/* ---- rows ---- */

/* "image 2: ". Rows that are part of a socket have no image of their own. */
static int put_image(struct report *p, const char *logged, struct buf *out, struct err *e)
{
	auto_query struct query *q = NULL;
	int i, socket;

	if (log_row_read(&p->was, logged, e))
		return -1;
	i = log_row_find(&p->was, "image");
	socket = log_row_find(&p->was, "socket");
	if (i >= 0)
		return buf_printf(out, e, "image %s: ", log_row_text(&p->was, (unsigned)i));
	if (socket < 0)
		return 0;
	q = query_new(
		p->r->db,
		"SELECT coalesce((SELECT image FROM socket WHERE id = :id), (SELECT before ->> "
		"'image' FROM edit_log WHERE tbl = 'socket' AND row = :id AND op = :op AND "
		"before IS NOT NULL))",
		e);
	if (!q || query_bind_text(q, "id", log_row_text(&p->was, (unsigned)socket), e) ||
	    query_bind_int(q, "op", p->r->op, e) || query_next(q, e) < 0)
		return -1;
	return query_is_null(q, 0) ? 0 : buf_printf(out, e, "image %" PRId64 ": ", query_int(q, 0));
}

static int put_object(struct report *p, const struct change *c, struct buf *out, struct err *e)
{
	const char *logged = c->before ? c->before : c->after;

	buf_reset(out);
	if (p->r->has_images && put_image(p, logged, out, e))
		return -1;
	return edit_label(p->labels, c->tbl, c->row, logged, out, e);
}

/* How many rows of each table were there: *n counts this one. */
static int count_row(struct report *p, const char *tbl, struct json *seen, int64_t *n,
		     struct err *e)
{
	*n = 0;
	if (json_get(seen, tbl) && json_to_int(json_get(seen, tbl), n, tbl, e))
		return -1;
	return json_set(seen, tbl, json_new_int(++*n), e);
}

/* Of a table with many rows only the first are shown. */
static int put_more(struct report *p, const struct json *seen, struct table *t, struct err *e)
{
	const struct json *v;
	const char *tbl;
	void *iter = NULL;
	int64_t n;

	while (json_next(seen, &iter, &tbl, &v)) {
		if (json_to_int(v, &n, tbl, e))
			return -1;
		if (!p->r->all_rows && n > EDIT_TABLE_MAX &&
		    (table_row(t, e) || table_cell(t, 0, tbl, e) ||
		     table_cellf(t, 1, e, "and %" PRId64 " more (--rows lists them)",
				 n - EDIT_TABLE_MAX) ||
		     table_cell(t, 2, "", e)))
			return -1;
	}
	return 0;
}

static int table_rows_of(struct report *p, struct table *t, struct err *e)
{
	auto_buf struct buf object = {0}, text = {0};
	auto_json struct json *seen = json_new_object();
	int64_t n;
	int rc;

	if (!seen)
		return err_set(e, ERR_NOMEM, "out of memory");

	while ((rc = query_next(p->q, e)) == 1) {
		struct change c = change_of(p->q);

		if (!c.what)
			continue;
		if (count_row(p, c.tbl, seen, &n, e))
			return -1;
		if (n > EDIT_TABLE_MAX && !p->r->all_rows)
			continue;
		buf_reset(&text);
		if (put_object(p, &c, &object, e) ||
		    (c.what[0] == 'c' ? each_column(p, &c, put_column, &text, e)
				      : buf_add_str(&text, c.what, e)))
			return -1;
		/* changed and changed back */
		if (!text.len)
			continue;
		if (table_row(t, e) || table_cell(t, 0, c.tbl, e) ||
		    table_cell(t, 1, (const char *)object.data, e) ||
		    table_cell(t, 2, (const char *)text.data, e))
			return -1;
	}
	return rc ? -1 : put_more(p, seen, t, e);
}

static int print_rows(const struct cli *c, struct report *p, struct err *e)
{
	static const struct table_col cols[] = {
		{"table", TABLE_STR, 0}, {"object", TABLE_STR, 0}, {"change", TABLE_STR, 0}};
	auto_table struct table *t = table_new(cols, ARRAY_SIZE(cols), e);

	if (!t || table_rows_of(p, t, e))
		return -1;
	return table_rows(t) ? cli_print_table(c, t, e) : 0;
}

/* ---- counts ---- */

static int add_name(void *arg, const char *column, const char *before, const char *after,
		    struct err *e)
{
	struct json *names = arg;

	return json_get(names, column) ? 0 : json_set(names, column, json_new_null(), e);
}

/* The names of the columns that changed, of one table. */
static int changed_columns(struct report *p, const char *tbl, struct buf *out, struct err *e)
{
	auto_json struct json *names = json_new_object();
	const struct json *v;
	const char *name;
	void *iter = NULL;
	int rc;

	if (!names || query_bind_int(p->q, "op", p->r->op, e))
		return -1;
	while ((rc = query_next(p->q, e)) == 1) {
		struct change c = change_of(p->q);

		if (!strcmp(c.tbl, tbl) && c.what && c.what[0] == 'c' &&
		    each_column(p, &c, add_name, names, e))
			return -1;
	}
	while (json_next(names, &iter, &name, &v))
		if (buf_printf(out, e, "%s%s", out->len ? ", " : "", name))
			return -1;
	return rc;
}

static const char counts_sql[] =
	"SELECT tbl, count(DISTINCT CASE WHEN action <> 'replace' THEN row END), count(DISTINCT "
	"CASE action WHEN 'insert' THEN row END), "
	"count(DISTINCT CASE action WHEN 'delete' THEN row END) FROM edit_log WHERE op = :op GROUP "
	"BY tbl ORDER BY min(id)";

static int print_counts(const struct cli *c, struct report *p, int64_t n_rows, struct err *e)
{
	static const struct table_col cols[] = {{"table", TABLE_STR, 0},
						{"rows", TABLE_INT, TABLE_RIGHT},
						{"added", TABLE_INT, TABLE_RIGHT},
						{"dropped", TABLE_INT, TABLE_RIGHT},
						{"columns", TABLE_STR, 0}};
	auto_table struct table *t = table_new(cols, ARRAY_SIZE(cols), e);
	auto_query struct query *q = query_new(p->r->db, counts_sql, e);
	int rc = t && q && !query_bind_int(q, "op", p->r->op, e) ? 0 : -1;

	while (!rc && (rc = query_next(q, e)) == 1) {
		auto_buf struct buf names = {0};

		if (n_rows <= COLUMNS_MAX_ROWS && changed_columns(p, query_text(q, 0), &names, e))
			return -1;
		rc = table_row(t, e) || table_cell(t, 0, query_text(q, 0), e) ||
		     table_cell_int(t, 1, query_int(q, 1), e) ||
		     table_cell_int(t, 2, query_int(q, 2), e) ||
		     table_cell_int(t, 3, query_int(q, 3), e) ||
		     table_cell(t, 4, names.len ? (const char *)names.data : NULL, e);
	}
	if (rc || cli_print_table(c, t, e))
		return -1;
	fprintf(cli_out(c), "%" PRId64 " changes; --rows lists them\n", n_rows);
	return 0;
}

/* ---- left alone ---- */

static int print_left(const struct cli *c, const struct json *left, struct err *e)
{
	static const struct table_col cols[] = {{"left alone", TABLE_STR, 0},
						{"reason", TABLE_STR, 0}};
	auto_table struct table *t = table_new(cols, ARRAY_SIZE(cols), e);

	if (!json_len(left))
		return t ? 0 : -1;
	for (size_t i = 0; t && i < json_len(left); i++)
		if (table_row(t, e) ||
		    table_cell(t, 0, json_str(json_get(json_at(left, i), "object")), e) ||
		    table_cell(t, 1, json_str(json_get(json_at(left, i), "reason")), e))
			return -1;
	return t ? cli_print_table(c, t, e) : -1;
}

/* ---- rows ---- */

/* What an operation did to one row, what it left alone, or, where the rows are many and not asked for, to one table. */
static const struct table_col row_cols[] = {
	{"operation", TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT}, /* NULL: a dry run */
	{"action", TABLE_STR, TABLE_HIDDEN}, /* added, dropped, changed; left; counted */
	{"table", TABLE_STR, 0},
	{"row", TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	{"object", TABLE_STR, 0},
	{"change", TABLE_STR, 0},
	{"columns", TABLE_JSON, TABLE_HIDDEN}, /* {"mtu": {"before": "1500", "after": "1400"}} */
	{"rows", TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	{"reason", TABLE_STR, TABLE_HIDDEN},
};
enum { OPERATION, ACTION, TABLE, ROW, OBJECT, CHANGE, COLUMNS, ROWS, REASON };

static int row_begin(const struct report *p, struct table *t, const char *action, const char *tbl,
		     const char *object, struct err *e)
{
	if (table_row(t, e) || table_cell(t, ACTION, action, e) || table_cell(t, TABLE, tbl, e) ||
	    table_cell(t, OBJECT, object, e))
		return -1;
	return p->r->dry_run ? 0 : table_cell_int(t, OPERATION, p->r->op, e);
}

static struct json *value_json(const char *literal, struct err *e)
{
	auto_buf struct buf text = {0};

	if (!literal || !strcmp(literal, "NULL"))
		return json_new_null();
	return put_value(&text, literal, e) ? NULL
					    : json_new_str(text.len ? (const char *)text.data : "");
}

static int json_column(void *arg, const char *column, const char *before, const char *after,
		       struct err *e)
{
	auto_json struct json *o = json_new_object();

	return json_set(o, "before", value_json(before, e), e) ||
			       json_set(o, "after", value_json(after, e), e) ||
			       json_set(arg, column, take_ptr(o), e)
		       ? -1
		       : 0;
}

static int add_changed(struct report *p, const struct change *c, struct table *t, struct err *e)
{
	auto_json struct json *columns = json_new_object();
	auto_buf struct buf object = {0}, text = {0}, json = {0};

	if (c->what[0] == 'c' &&
	    (each_column(p, c, put_column, &text, e) || each_column(p, c, json_column, columns, e)))
		return -1;
	/* changed and changed back */
	if (c->what[0] == 'c' && !text.len)
		return 0;
	if (put_object(p, c, &object, e) ||
	    row_begin(p, t, c->what, c->tbl, (const char *)object.data, e) ||
	    table_cell_int(t, ROW, c->row, e) || table_cell_int(t, ROWS, 1, e) ||
	    table_cell(t, CHANGE, text.len ? (const char *)text.data : c->what, e))
		return -1;
	return text.len && (json_print(columns, false, &json, e) ||
			    table_cell(t, COLUMNS, (const char *)json.data, e))
		       ? -1
		       : 0;
}

static int add_counted(struct report *p, struct table *t, struct err *e)
{
	auto_query struct query *q = query_new(p->r->db, counts_sql, e);
	int rc = q && !query_bind_int(q, "op", p->r->op, e) ? 0 : -1;

	while (!rc && (rc = query_next(q, e)) == 1)
		rc = row_begin(p, t, "counted", query_text(q, 0), NULL, e) ||
		     table_cell_int(t, ROWS, query_int(q, 1), e) ||
		     table_cellf(t, CHANGE, e,
				 "%" PRId64 " rows, %" PRId64 " added, %" PRId64 " dropped",
				 query_int(q, 1), query_int(q, 2), query_int(q, 3));
	return rc ? -1 : 0;
}

static int add_left(struct report *p, struct table *t, struct err *e)
{
	for (size_t i = 0; i < json_len(p->r->left); i++) {
		const struct json *left = json_at(p->r->left, i);
		const char *reason = json_str(json_get(left, "reason"));

		if (row_begin(p, t, "left", NULL, json_str(json_get(left, "object")), e) ||
		    table_cellf(t, CHANGE, e, "left alone: %s", reason ? reason : "") ||
		    table_cell(t, REASON, reason, e))
			return -1;
	}
	return 0;
}

static int print_all(const struct cli *c, struct report *p, bool has_rows, struct err *e)
{
	auto_table struct table *t = table_new(row_cols, ARRAY_SIZE(row_cols), e);
	int rc = t ? 0 : -1;

	if (!rc && !has_rows)
		rc = add_counted(p, t, e);
	while (!rc && has_rows && (rc = query_next(p->q, e)) == 1) {
		struct change ch = change_of(p->q);

		rc = ch.what ? add_changed(p, &ch, t, e) : 0;
	}
	return rc || add_left(p, t, e) ? -1 : cli_print_table(c, t, e);
}

/* ---- all of it ---- */

static int count_rows(const struct edit_report *r, int64_t *n, struct err *e)
{
	auto_query struct query *q =
		query_new(r->db, "SELECT count(*) FROM edit_log WHERE op = :op", e);

	if (!q || query_bind_int(q, "op", r->op, e) || query_next(q, e) < 0)
		return -1;
	*n = query_int(q, 0);
	return 0;
}

int edit_report(const struct cli *c, const struct edit_report *r, struct err *e)
{
	auto_query struct query *q = query_new(r->db, rows_sql, e);
	auto_edit_labels struct edit_labels *l = edit_labels_new(r->db, r->op, e);
	__attribute__((cleanup(report_free))) struct report p = {.r = r, .labels = l, .q = q};
	bool has_rows;
	int64_t n;

	if (!q || !l || count_rows(r, &n, e) || query_bind_int(q, "op", r->op, e))
		return -1;
	has_rows = r->all_rows || n <= EDIT_ROWS_MAX;
	db_watch_end(r->db);
	if (cli_wants_rows(c))
		return print_all(c, &p, has_rows, e);
	if (r->title)
		fprintf(cli_out(c), "%s\n", r->title);
	if (!n)
		fputs("nothing changed\n", cli_out(c));
	if (n && (has_rows ? print_rows(c, &p, e) : print_counts(c, &p, n, e)))
		return -1;
	if (print_left(c, r->left, e))
		return -1;
	if (r->dry_run && n)
		fputs("nothing was written (--dry-run)\n", cli_out(c));
	return 0;
}
