/* log.c: nsimg log: the operations that made a database what it is; and as a script that makes them again. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "imgdb/oplog.h"
#include "inspect/commands.h"
#include "inspect/edit/edit_int.h"
#include "inspect/rows.h"

/* Changes of other clients since the last operation have no number yet. */
#define OPS                                                                                        \
	"(SELECT id, at, who, command, kind, undone FROM edit_op UNION ALL SELECT 0, min(at), "    \
	"'-', 'external edit', 'external', NULL FROM edit_log WHERE op = 0 HAVING " OPLOG_CHANGES  \
	")"

/* ---- the list ---- */

/* Changed rows of an operation by table. INSERT OR IGNORE leaves 'replace' alone (imgdb/triggers.c). */
#define BY_TABLE                                                                                   \
	"(SELECT tbl, count(DISTINCT row) AS n FROM edit_log WHERE op = o.id AND action <> "       \
	"'replace' GROUP BY tbl ORDER BY min(id))"

static const char list_sql[] =
	"SELECT nullif(o.id, 0), o.at, o.who, o.command, (SELECT group_concat(tbl || ' ' || n, ', "
	"') FROM " BY_TABLE "), CASE WHEN o.undone IS NOT NULL THEN 'taken back by ' || o.undone "
	"END, o.kind, (SELECT json_group_object(tbl, n) FROM " BY_TABLE ") FROM " OPS
	" o ORDER BY o.id = 0, o.id";

static const struct table_col list_cols[] = {
	{"op", TABLE_INT, TABLE_RIGHT},
	{"at", TABLE_STR, 0},
	{"who", TABLE_STR, 0},
	{"command", TABLE_STR, TABLE_SHRINK},
	{"changed", TABLE_STR, 0},
	{"state", TABLE_STR, 0},
	{"kind", TABLE_STR, TABLE_HIDDEN},
	{"rows", TABLE_JSON, TABLE_HIDDEN},
};

static int print_list(const struct cli *c, struct db *db, struct err *e)
{
	auto_query struct query *q = query_new(db, list_sql, e);
	auto_table struct table *t = table_new(list_cols, ARRAY_SIZE(list_cols), e);

	if (!q || !t || rows_to_table(q, t, e))
		return -1;
	return cli_print_table(c, t, e);
}

/* ---- the script ---- */

/* One statement in the making. */
struct script {
	FILE *out;
	struct db *db;
	struct buf sql, values;
	struct log_row before, after;
	unsigned n;
};

static void script_free(struct script *s)
{
	buf_free(&s->sql);
	buf_free(&s->values);
	log_row_free(&s->before);
	log_row_free(&s->after);
}

static int put_set(void *arg, const char *column, const struct log_value *v, struct err *e)
{
	struct script *s = arg;

	return buf_printf(&s->sql, e, "%s\"%s\" = ", s->n++ ? ", " : "", column) ||
			       log_value_print(v, &s->sql, e)
		       ? -1
		       : 0;
}

static int put_column(void *arg, const char *column, const struct log_value *v, struct err *e)
{
	struct script *s = arg;

	return buf_printf(&s->sql, e, "%s\"%s\"", s->n ? ", " : "", column) ||
			       buf_add_str(&s->values, s->n++ ? ", " : "", e) ||
			       log_value_print(v, &s->values, e)
		       ? -1
		       : 0;
}

static int put_update(struct script *s, const char *tbl, struct err *e)
{
	return buf_printf(&s->sql, e, "UPDATE %s SET ", tbl) ||
			       oplog_columns(s->db, tbl, &s->after, &s->before, put_set, s, e)
		       ? -1
		       : 0;
}

static int put_insert(struct script *s, const char *tbl, struct err *e)
{
	/* also of a row that is there: INSERT OR REPLACE, which the log has in two rows */
	return buf_printf(&s->sql, e, "INSERT OR REPLACE INTO %s (", tbl) ||
			       oplog_columns(s->db, tbl, &s->after, NULL, put_column, s, e) ||
			       buf_printf(&s->sql, e, ") VALUES (%s)",
					  s->values.len ? (const char *)s->values.data : "")
		       ? -1
		       : 0;
}

/* Columns of q: action, tbl, row, before, after. Names and values are those that oplog_columns let through. */
static int print_row(struct script *s, const struct query *q, struct err *e)
{
	const char *action = query_text(q, 0), *tbl = query_text(q, 1);
	const char *before = query_text(q, 3), *after = query_text(q, 4);
	const char *key = oplog_key(s->db, tbl, e);
	int rc;

	if (!key || (before && log_row_read(&s->before, before, e)) ||
	    (after && log_row_read(&s->after, after, e)))
		return -1;
	if (!strcmp(action, "replace"))
		return 0;
	buf_reset(&s->sql);
	buf_reset(&s->values);
	s->n = 0;
	if (before && after)
		rc = put_update(s, tbl, e);
	else if (after)
		rc = put_insert(s, tbl, e);
	else
		rc = buf_printf(&s->sql, e, "DELETE FROM %s", tbl);
	if (rc)
		return -1;
	if (strcmp(action, "insert") != 0)
		rc = buf_printf(&s->sql, e, " WHERE \"%s\" = %" PRId64, key, query_int(q, 2));
	if (!rc)
		fprintf(s->out, "%s;\n", (const char *)s->sql.data);
	return rc;
}

static int print_rows(const struct cli *c, struct db *db, int64_t op, struct err *e)
{
	__attribute__((cleanup(script_free))) struct script s = {.out = cli_out(c), .db = db};
	auto_query struct query *q =
		query_new(db,
			  "SELECT action, tbl, row, before, after FROM edit_log WHERE op = :op "
			  "ORDER BY id",
			  e);
	int rc;

	if (!q || query_bind_int(q, "op", op, e))
		return -1;
	while ((rc = query_next(q, e)) == 1)
		if (print_row(&s, q, e))
			return -1;
	return rc;
}

/* Columns of q: id, and when, who, command, kind as SQL has them. What has control characters is a hostile database's. */
static int print_op(const struct query *q, FILE *out, struct err *e)
{
	auto_buf struct buf text = {0};

	for (int i = 1; i <= 4; i++)
		if (buf_add_str(&text, i > 1 ? ", " : "", e) ||
		    escape_show(&text, query_text(q, i), strlen(query_text(q, i)), e))
			return -1;
	fprintf(out,
		"\nINSERT INTO edit_op (at, who, command, kind) VALUES (%s);\n"
		"UPDATE edit_state SET op = last_insert_rowid();\n",
		(const char *)text.data);
	return 0;
}

/* Operations that are in effect, or the one that is named. */
static int print_script(const struct cli *c, struct db *db, int64_t one, struct err *e)
{
	auto_query struct query *q =
		query_new(db,
			  "SELECT id, quote(at), quote(who), quote(command), quote(kind) FROM " OPS
			  " WHERE CASE WHEN :one < 0 THEN " OPLOG_STANDS
			  " ELSE id = :one END ORDER BY id = 0, id",
			  e);
	FILE *out = cli_out(c);
	int rc;

	if (!q || query_bind_int(q, "one", one, e))
		return -1;
	fputs("-- Edits of an nsimg database, to make them again: sqlite3 -bail DB <SCRIPT\n"
	      "-- The database holds the same images, as they were before these edits.\n"
	      "BEGIN IMMEDIATE;\n"
	      "UPDATE edit_state SET importing = 2, op = -1; -- triggers log, and leave the rest "
	      "to this\n",
	      out);
	while ((rc = query_next(q, e)) == 1) {
		if (query_int(q, 0) ? print_op(q, out, e)
				    : fputs("\n-- by another client\nUPDATE edit_state SET op = "
					    "0;\n",
					    out) < 0)
			return -1;
		if (print_rows(c, db, query_int(q, 0), e))
			return -1;
	}
	fputs("\nUPDATE edit_state SET importing = 0, op = 0;\nCOMMIT;\n", out);
	return rc;
}

/* ---- one operation ---- */

static int print_one(const struct cli *c, struct db *db, int64_t op, struct err *e)
{
	auto_query struct query *q =
		query_new(db,
			  "SELECT at, who, command, undone, (SELECT count(*) FROM image) FROM " OPS
			  " WHERE id = :op",
			  e);
	auto_buf struct buf raw = {0}, title = {0};
	int rc;

	if (!q || query_bind_int(q, "op", op, e))
		return -1;
	rc = query_next(q, e);
	if (rc <= 0)
		return rc ? -1
			  : err_set(e, ERR_NOTFOUND, "no operation %" PRId64 " in the log", op);
	if (buf_printf(&raw, e, "%s, %s, %s", query_text(q, 2), query_text(q, 1),
		       query_text(q, 0)) ||
	    (!query_is_null(q, 3) && buf_printf(&raw, e, ", taken back by %s", query_text(q, 3))) ||
	    escape_show(&title, (const char *)raw.data, raw.len, e))
		return -1;
	return edit_report(c,
			   &(struct edit_report){.db = db,
						 .op = op,
						 .title = (const char *)title.data,
						 .all_rows = cli_has(c, "rows"),
						 .has_images = query_int(q, 4) > 1},
			   e);
}

static int log_run(struct cli *c, struct err *e)
{
	const char *word = cli_arg(c, 1);
	auto_db struct db *db = rows_open(c, 0, NULL, e);
	int64_t op = -1;

	if (!db || (word && cli_parse_number(word, 0, INT64_MAX, &op, "operation", e)))
		return -1;
	if (cli_has(c, "sql"))
		return print_script(c, db, op, e);
	return word ? print_one(c, db, op, e) : print_list(c, db, e);
}

static const struct cli_opt options[] = {
	{"sql", 0, NULL, "print a script of SQL that makes the edits again", false},
	{"rows", 0, NULL, "of one operation: each row, also when they are many", false},
	{0},
};

const struct cmd cmd_log = {
	.name = "log",
	.synopsis = "DB [OPERATION]",
	.summary = "the edits of a database, as operations; what one of them changed",
	.run = log_run,
	.opts = options,
	.flags = CMD_DATABASE | CMD_OUTPUT,
	.min_args = 1,
	.max_args = 2,
};
