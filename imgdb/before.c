#include "imgdb/before.h"

#include <string.h>

#include "base/cleanup.h"
#include "imgdb/oplog.h"

int before_touch(struct db *db, const char *tables, struct err *e)
{
	auto_query struct query *q = NULL;

	if (db_exec(db, "CREATE TEMP TABLE touched (row INTEGER PRIMARY KEY)", e))
		return -1;
	q = query_new(db,
		      "INSERT OR IGNORE INTO temp.touched SELECT row FROM edit_log WHERE "
		      "instr(' ' || :tables || ' ', ' ' || tbl || ' ')",
		      e);
	return !q || query_bind_text(q, "tables", tables, e) || query_next(q, e) < 0 ? -1 : 0;
}

int before_is_touched(struct db *db, int64_t key, struct err *e)
{
	auto_query struct query *q =
		query_new(db, "SELECT 1 FROM temp.touched WHERE row = :key", e);

	return !q || query_bind_int(q, "key", key, e) ? -1 : query_next(q, e);
}

/* A table that is being hidden. */
struct hidden {
	struct db *db;
	const char *table, *key;
	struct buf types, names, params; /* of its columns, as SQL */
	bool has_image;
	struct query *insert; /* of a row out of the log */
};

static void hidden_free(struct hidden *h)
{
	buf_free(&h->types);
	buf_free(&h->names);
	buf_free(&h->params);
	query_free(h->insert);
}

static int find_columns(struct hidden *h, const char *const *columns, size_t n, struct err *e)
{
	auto_query struct query *q = query_new(
		h->db, "SELECT name, type, pk FROM pragma_table_info(:t, 'main') ORDER BY cid", e);
	int rc;

	if (!q || query_bind_text(q, "t", h->table, e))
		return -1;
	while ((rc = query_next(q, e)) == 1) {
		const char *name = query_text(q, 0), *sep = h->names.len ? ", " : "";
		bool is_key = query_int(q, 2), is_asked = is_key;

		h->has_image |= !strcmp(name, "image");
		for (size_t i = 0; i < n && !is_asked; i++)
			is_asked = !strcmp(columns[i], name);
		if (is_asked && (buf_printf(&h->types, e, "%s\"%s\" %s%s", sep, name,
					    query_text(q, 1), is_key ? " PRIMARY KEY" : "") ||
				 buf_printf(&h->names, e, "%s\"%s\"", sep, name) ||
				 buf_printf(&h->params, e, "%s:%s", sep, name)))
			return -1;
	}
	return rc;
}

static int make_indexes(struct hidden *h, struct err *e)
{
	auto_query struct query *q = query_new(
		h->db,
		"SELECT l.name, group_concat('\"' || i.name || '\"') FROM pragma_index_list(:t, "
		"'main') l, pragma_index_info(l.name, 'main') i GROUP BY l.name HAVING "
		"min(i.name IN (SELECT name FROM pragma_table_info(:t, 'temp')))",
		e);
	auto_buf struct buf sql = {0};
	int rc;

	if (!q || query_bind_text(q, "t", h->table, e))
		return -1;
	while ((rc = query_next(q, e)) == 1)
		if (buf_printf(&sql, e, "CREATE INDEX temp.\"%s\" ON \"%s\" (%s);",
			       query_text(q, 0), h->table, query_text(q, 1)))
			return -1;
	return rc || (sql.len && db_exec(h->db, (const char *)sql.data, e)) ? -1 : 0;
}

/* The rows that are now what they were, or, when that is asked, what they are now. */
static int copy_rows(struct hidden *h, int64_t image, enum before_rows rows, struct err *e)
{
	auto_buf struct buf sql = {0};
	auto_query struct query *q = NULL;

	if (buf_printf(&sql, e, "INSERT INTO temp.%s SELECT %s FROM main.%s WHERE %s", h->table,
		       (const char *)h->names.data, h->table,
		       h->has_image ? "image = :image" : "1") ||
	    (rows != BEFORE_ALL &&
	     buf_printf(&sql, e, " AND \"%s\" IN (SELECT row FROM temp.touched)", h->key)) ||
	    (rows != BEFORE_NOW &&
	     buf_printf(&sql, e, " AND \"%s\" NOT IN (SELECT row FROM edit_log WHERE tbl = '%s')",
			h->key, h->table)))
		return -1;
	q = query_new(h->db, (const char *)sql.data, e);
	if (!q || (h->has_image && query_bind_int(q, "image", image, e)))
		return -1;
	return query_next(q, e) < 0 ? -1 : 0;
}

static int bind_column(void *arg, const char *column, const struct log_value *v, struct err *e)
{
	struct hidden *h = arg;

	return query_has_param(h->insert, column) ? log_value_bind(v, h->insert, column, e) : 0;
}

/* The rows that were edited or deleted: the first entry of the log has what was before. */
static int add_edited(struct hidden *h, struct err *e)
{
	auto_query struct query *log =
		query_new(h->db,
			  "SELECT l.before FROM edit_log l JOIN (SELECT min(id) AS id FROM "
			  "edit_log WHERE tbl = :t GROUP BY row) f ON f.id = l.id WHERE l.before "
			  "IS NOT NULL",
			  e);
	auto_log_row struct log_row before = {0};
	auto_buf struct buf sql = {0};
	int rc;

	if (!log || query_bind_text(log, "t", h->table, e) ||
	    buf_printf(&sql, e, "INSERT OR REPLACE INTO temp.%s (%s) VALUES (%s)", h->table,
		       (const char *)h->names.data, (const char *)h->params.data))
		return -1;
	h->insert = query_new(h->db, (const char *)sql.data, e);
	if (!h->insert)
		return -1;
	while ((rc = query_next(log, e)) == 1)
		if (log_row_read(&before, query_text(log, 0), e) ||
		    oplog_columns(h->db, h->table, &before, NULL, bind_column, h, e) ||
		    query_next(h->insert, e) < 0)
			return -1;
	return rc;
}

int before_hide(struct db *db, int64_t image, const char *table, const char *const *columns,
		size_t n, enum before_rows rows, struct err *e)
{
	__attribute__((cleanup(hidden_free))) struct hidden h = {.db = db, .table = table};
	auto_buf struct buf sql = {0};

	/* looked up while it is not hidden yet: a name out of the log goes no further than this */
	h.key = oplog_key(db, table, e);
	if (!h.key || find_columns(&h, columns, n, e) ||
	    buf_printf(&sql, e, "CREATE TEMP TABLE \"%s\" (%s)", table,
		       (const char *)h.types.data) ||
	    db_exec(db, (const char *)sql.data, e) || copy_rows(&h, image, rows, e) ||
	    (rows != BEFORE_NOW && add_edited(&h, e)))
		return -1;
	return make_indexes(&h, e);
}

int before_show(struct db *db, struct err *e)
{
	auto_query struct query *q =
		query_new(db, "SELECT name FROM temp.sqlite_schema WHERE type = 'table'", e);
	auto_buf struct buf sql = {0};
	int rc = q ? 0 : -1;

	while (!rc && (rc = query_next(q, e)) == 1)
		rc = buf_printf(&sql, e, "DROP TABLE temp.\"%s\";", query_text(q, 0));
	return rc || (sql.len && db_exec(db, (const char *)sql.data, e)) ? -1 : 0;
}
