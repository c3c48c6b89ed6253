#include "imgdb/oplog.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/who.h"
#include "imgdb/record_int.h"

/* ---- begin and end ---- */

static int set_state(struct db *db, int64_t op, int mode, struct err *e)
{
	auto_query struct query *q =
		query_new(db, "UPDATE edit_state SET op = :op, importing = :mode", e);

	return !q || query_bind_int(q, "op", op, e) || query_bind_int(q, "mode", mode, e) ||
			       query_next(q, e) < 0
		       ? -1
		       : 0;
}

/* What other clients did since the last operation is one of its own. */
static int close_external(struct db *db, struct err *e)
{
	auto_query struct query *q = query_new(
		db,
		"INSERT INTO edit_op (at, who, command, kind) SELECT min(at), '-', 'external "
		"edit', 'external' FROM edit_log WHERE op = 0 HAVING " OPLOG_CHANGES
		" RETURNING id",
		e);
	int64_t id = 0;
	int rc;

	while (q && (rc = query_next(q, e)) == 1)
		id = query_int(q, 0);
	if (!q || rc < 0)
		return -1;
	if (!id)
		return 0;
	query_free(q);
	q = query_new(db, "UPDATE edit_log SET op = :op WHERE op = 0", e);
	return set_state(db, id, 2, e) || !q || query_bind_int(q, "op", id, e) ||
			       query_next(q, e) < 0
		       ? -1
		       : 0;
}

static int begin(struct db *db, const char *command, const char *kind, int64_t *op, struct err *e)
{
	auto_query struct query *q = NULL;
	char who[320];

	if (close_external(db, e))
		return -1;
	q = query_new(db,
		      "INSERT INTO edit_op (at, who, command, kind) VALUES "
		      "(strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), :who, :command, :kind)",
		      e);
	who_and_where(who, sizeof(who));
	if (!q || query_bind_text(q, "who", who, e) || query_bind_text(q, "command", command, e) ||
	    query_bind_text(q, "kind", kind, e) || query_next(q, e) < 0)
		return -1;
	*op = db_last_id(db);
	return 0;
}

int oplog_begin(struct db *db, const char *command, int64_t *op, struct err *e)
{
	return begin(db, command, "edit", op, e) || set_state(db, *op, 0, e) ? -1 : 0;
}

int oplog_as_client(struct db *db, int64_t op, bool on, struct err *e)
{
	return set_state(db, op, on ? 4 : 0, e);
}

int oplog_end(struct db *db, int64_t op, int64_t *n_rows, struct err *e)
{
	auto_query struct query *count =
		query_new(db, "SELECT count(*) FROM edit_log WHERE op = :op", e);
	auto_query struct query *drop = query_new(db, "DELETE FROM edit_op WHERE id = :op", e);

	if (!count || !drop || set_state(db, 0, 0, e) || query_bind_int(count, "op", op, e) ||
	    query_next(count, e) < 0)
		return -1;
	*n_rows = query_int(count, 0);
	if (*n_rows)
		return 0;
	return query_bind_int(drop, "op", op, e) || query_next(drop, e) < 0 ? -1 : 0;
}

/* ---- rows of the log ---- */

static struct sql_table *table_of(struct db *db, const char *tbl, struct err *e)
{
	struct record_cache *rc = record_cache_get(db, e);

	if (rc && triggers_is_logged(tbl))
		return record_table(rc, tbl, e);
	if (rc)
		err_set(e, ERR_FORMAT, "the edit log names a table that has none: %.80s", tbl);
	return NULL;
}

const char *oplog_key(struct db *db, const char *tbl, struct err *e)
{
	const struct sql_table *t = table_of(db, tbl, e);

	return t ? t->column[0].name : NULL;
}

int oplog_columns(struct db *db, const char *tbl, const struct log_row *row, struct log_row *other,
		  oplog_column_fn *fn, void *arg, struct err *e)
{
	const struct sql_table *t = table_of(db, tbl, e);
	auto_log_value struct log_value v = {0};

	for (unsigned i = 0; t && i < row->n; i++) {
		const char *column = log_row_name(row, i);
		int col;

		if (other && log_row_same(row, i, other, log_row_find(other, column)))
			continue;
		col = sql_column_find(t, column);
		if (col < 0)
			return err_set(e, ERR_FORMAT, "the edit log has a column %.80s of %s",
				       column, tbl);
		if (log_row_value(row, i, t->column[col].is_text, &v, e) || fn(arg, column, &v, e))
			return -1;
	}
	return t ? 0 : -1;
}

/* ---- taking back ---- */

/* What the rows of one revert share: memory, and statements by their text: a million rows of one table need one. */
struct statements {
	struct db *db;
	struct log_row before, after;
	struct buf sql, values;
	struct statement {
		char *sql;
		struct query *q;
	} all[32];
	unsigned n;
};

static void statements_clear(struct statements *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		free(s->all[i].sql);
		query_free(s->all[i].q);
	}
	s->n = 0;
}

static void statements_free(struct statements *s)
{
	statements_clear(s);
	log_row_free(&s->before);
	log_row_free(&s->after);
	buf_free(&s->sql);
	buf_free(&s->values);
}

static struct query *statement(struct statements *s, const char *sql, struct err *e)
{
	struct statement *x;

	for (unsigned i = 0; i < s->n; i++)
		if (!strcmp(s->all[i].sql, sql))
			return s->all[i].q;
	if (s->n == ARRAY_SIZE(s->all))
		statements_clear(s);
	x = &s->all[s->n];
	*x = (struct statement){strdup(sql), query_new(s->db, sql, e)};
	s->n++;
	return x->sql ? x->q : NULL;
}

/* A change being taken back. */
struct revert {
	struct statements *s;
	const char *tbl, *key;
	int64_t row;
	struct log_row *other; /* of an update: columns that are the same after it are left alone */
	struct query *q;       /* the second time through the columns */
	unsigned n;
};

static int add_set(void *arg, const char *column, const struct log_value *v, struct err *e)
{
	struct revert *r = arg;

	return buf_printf(&r->s->sql, e, "%s\"%s\" = :%s", r->n++ ? ", " : "", column, column);
}

static int add_column(void *arg, const char *column, const struct log_value *v, struct err *e)
{
	struct revert *r = arg;

	return buf_printf(&r->s->sql, e, "%s\"%s\"", r->n ? ", " : "", column) ||
			       buf_printf(&r->s->values, e, "%s:%s", r->n++ ? ", " : "", column)
		       ? -1
		       : 0;
}

static int bind_column(void *arg, const char *column, const struct log_value *v, struct err *e)
{
	const struct revert *r = arg;

	return log_value_bind(v, r->q, column, e);
}

/* Bind the columns of the row and the key, run. */
static int run(struct revert *r, const struct log_row *row, struct err *e)
{
	r->q = statement(r->s, (const char *)r->s->sql.data, e);
	if (!r->q || (row && oplog_columns(r->s->db, r->tbl, row, r->other, bind_column, r, e)) ||
	    query_bind_int(r->q, "nsimg_row", r->row, e))
		return -1;
	if (query_next(r->q, e) < 0)
		return err_wrap(e, "%s %lld", r->tbl, (long long)r->row);
	return 0;
}

static int put_back(struct revert *r, const struct log_row *before, struct err *e)
{
	struct buf *sql = &r->s->sql;

	/* a row that INSERT OR IGNORE met is in the log as replaced, and is still there */
	if (buf_printf(sql, e, "INSERT INTO %s (", r->tbl) ||
	    oplog_columns(r->s->db, r->tbl, before, NULL, add_column, r, e) || !r->n ||
	    buf_printf(sql, e,
		       ") SELECT %s WHERE NOT EXISTS (SELECT 1 FROM %s WHERE \"%s\" = "
		       ":nsimg_row)",
		       (const char *)r->s->values.data, r->tbl, r->key))
		return e->code ? -1 : err_set(e, ERR_FORMAT, "the edit log has a row of nothing");
	return run(r, before, e);
}

static int take_away(struct revert *r, struct err *e)
{
	return buf_printf(&r->s->sql, e, "DELETE FROM %s WHERE \"%s\" = :nsimg_row", r->tbl,
			  r->key) ||
			       run(r, NULL, e)
		       ? -1
		       : 0;
}

static int set_back(struct revert *r, const struct log_row *before, struct err *e)
{
	r->other = &r->s->after;
	if (buf_printf(&r->s->sql, e, "UPDATE %s SET ", r->tbl) ||
	    oplog_columns(r->s->db, r->tbl, before, r->other, add_set, r, e))
		return -1;
	if (!r->n)
		return 0;
	return buf_printf(&r->s->sql, e, " WHERE \"%s\" = :nsimg_row", r->key) || run(r, before, e)
		       ? -1
		       : 0;
}

/* Columns of log: action, tbl, row, before, after. */
static int revert_row(struct statements *s, const struct query *log, struct err *e)
{
	const char *action = query_text(log, 0), *before = query_text(log, 3),
		   *after = query_text(log, 4);
	struct revert r = {.s = s, .tbl = query_text(log, 1), .row = query_int(log, 2)};

	r.key = oplog_key(s->db, r.tbl, e);
	if (!r.key || (before && log_row_read(&s->before, before, e)) ||
	    (after && log_row_read(&s->after, after, e)))
		return -1;
	buf_reset(&s->sql);
	buf_reset(&s->values);
	if (!strcmp(action, "insert"))
		return take_away(&r, e);
	if (before && (!strcmp(action, "delete") || !strcmp(action, "replace")))
		return put_back(&r, &s->before, e);
	if (before && after && !strcmp(action, "update"))
		return set_back(&r, &s->before, e);
	return err_set(e, ERR_FORMAT, "the edit log has a row that is no change (%s of %s)", action,
		       r.tbl);
}

static int revert_op(struct statements *s, int64_t target, struct err *e)
{
	auto_query struct query *log =
		query_new(s->db,
			  "SELECT action, tbl, row, before, after FROM edit_log WHERE op = "
			  ":target ORDER BY id DESC",
			  e);
	int rc = log && !query_bind_int(log, "target", target, e) ? 0 : -1;

	while (!rc && (rc = query_next(log, e)) == 1)
		rc = revert_row(s, log, e);
	return rc ? err_wrap(e, "operation %lld", (long long)target) : 0;
}

/* Which operations are meant, and what is marked when they were taken back. */
static const struct direction {
	const char *kind, *targets, *mark, *what;
} directions[] = {
	[OPLOG_UNDO] = {"undo",
			"SELECT id FROM edit_op WHERE " OPLOG_STANDS
			" AND id <> :op ORDER BY id DESC LIMIT :n",
			"UPDATE edit_op SET undone = :op WHERE id = :target",
			"operations that can be taken back"},
	[OPLOG_REDO] = {"redo",
			"SELECT id FROM edit_op u WHERE kind = 'undo' AND undone IS NULL AND NOT "
			"EXISTS (SELECT 1 FROM edit_op x WHERE x.id > u.id AND x.kind IN ('edit', "
			"'external')) AND id <> :op ORDER BY id DESC LIMIT :n",
			"UPDATE edit_op SET undone = CASE WHEN id = :target THEN :op END WHERE id "
			"= :target OR undone = :target",
			"undos that no other edit came after"},
};

static int revert_all(struct db *db, const struct direction *d, unsigned n, int64_t op,
		      struct err *e)
{
	__attribute__((cleanup(statements_free))) struct statements s = {.db = db};
	auto_query struct query *targets = query_new(db, d->targets, e);
	auto_query struct query *mark = query_new(db, d->mark, e);
	auto_free int64_t *id = NULL;
	unsigned found = 0;
	int rc;

	if (!targets || !mark || query_bind_int(targets, "op", op, e) ||
	    query_bind_int(targets, "n", n ? (int64_t)n : -1, e))
		return -1;
	while ((rc = query_next(targets, e)) == 1) {
		int64_t *more = reallocarray(id, found + 1, sizeof(*id));

		if (!more)
			return err_set(e, ERR_NOMEM, "out of memory");
		id = more;
		id[found++] = query_int(targets, 0);
	}
	if (rc < 0)
		return -1;
	if (!found || found < n)
		return err_set(e, ERR_NOTFOUND, "there are %u %s (nsimg log lists them)", found,
			       d->what);
	for (unsigned i = 0; i < found; i++)
		if (revert_op(&s, id[i], e) || query_bind_int(mark, "op", op, e) ||
		    query_bind_int(mark, "target", id[i], e) || query_next(mark, e) < 0)
			return -1;
	return 0;
}

int oplog_revert(struct db *db, enum oplog_direction d, unsigned n, const char *command,
		 int64_t *op, struct err *e)
{
	int rc;

	if (begin(db, command, directions[d].kind, op, e) || set_state(db, *op, 2, e))
		return -1;
	rc = revert_all(db, &directions[d], n, *op, e);
	return rc || set_state(db, 0, 0, e) ? -1 : 0;
}
