#include "imgdb/sql_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/escape.h"

static int read_columns(struct sql_table *t, struct err *e)
{
	auto_query struct query *q =
		query_new(t->db,
			  "SELECT name, \"notnull\", dflt_value IS NOT NULL, type = 'TEXT', pk, "
			  "trim(dflt_value, char(39)) "
			  "FROM pragma_table_info(:name) ORDER BY cid",
			  e);
	int rc;

	if (!q || query_bind_text(q, "name", t->name, e))
		return -1;
	while ((rc = query_next(q, e)) == 1) {
		struct sql_column *c = &t->column[t->n];

		if (t->n == SQL_COLUMNS_MAX)
			return err_set(e, ERR_RANGE, "table %s has more than %d columns", t->name,
				       SQL_COLUMNS_MAX);
		snprintf(c->name, sizeof(c->name), "%s", query_text(q, 0));
		c->has_default = query_int(q, 2);
		c->is_notnull = query_int(q, 1) && !query_int(q, 4);
		c->is_text = query_int(q, 3);
		if (c->has_default)
			snprintf(c->dflt, sizeof(c->dflt), "%s", query_text(q, 5));
		t->n++;
	}
	if (!rc && !t->n)
		return err_set(e, ERR_DB, "the database has no table %s", t->name);
	return rc;
}

static int make_insert(struct sql_table *t, struct err *e)
{
	auto_buf struct buf sql = {0};
	int rc = buf_printf(&sql, e, "INSERT INTO \"%s\" VALUES (", t->name);

	for (unsigned i = 0; i < t->n && !rc; i++)
		rc = buf_printf(&sql, e, "%s?%u", i ? ", " : "", i + 1);
	if (rc || buf_add_str(&sql, ")", e))
		return -1;
	rc = sqlite3_prepare_v3(db_handle(t->db), (const char *)sql.data, -1,
				SQLITE_PREPARE_PERSISTENT, &t->insert, NULL);
	return rc == SQLITE_OK ? 0 : db_err(db_handle(t->db), rc, e, t->name);
}

int sql_table_open(struct sql_table *t, struct db *db, const char *name, struct err *e)
{
	memset(t, 0, sizeof(*t));
	t->db = db;
	snprintf(t->name, sizeof(t->name), "%s", name);
	if (read_columns(t, e)) {
		sql_table_close(t);
		return -1;
	}
	t->image = sql_column_find(t, "image");
	t->file = sql_column_find(t, "file");
	t->rec = sql_column_find(t, "rec");
	t->off = sql_column_find(t, "off");
	t->netns = sql_column_find(t, "netns");
	return 0;
}

void sql_table_close(struct sql_table *t)
{
	sqlite3_finalize(t->insert);
	sqlite3_finalize(t->read);
	t->insert = t->read = NULL;
}

int sql_column_find(const struct sql_table *t, const char *name)
{
	for (unsigned i = 0; i < t->n; i++)
		/* asked for each attribute of each message */
		if (*t->column[i].name == *name && !strcmp(t->column[i].name, name))
			return (int)i;
	return -1;
}

void sql_row_clear(struct sql_row *r, const struct sql_table *t)
{
	memset(r->cell, 0, t->n * sizeof(r->cell[0]));
}

void sql_set_int(struct sql_row *r, int col, int64_t v)
{
	if (col >= 0)
		r->cell[col] = (struct sql_cell){.type = QUERY_INT, .num = v};
}

void sql_set_lent(struct sql_row *r, int col, enum query_type type, struct span v)
{
	if (col >= 0)
		r->cell[col] = (struct sql_cell){.type = type, .data = v.data, .len = v.len};
}

void sql_set_tail(struct sql_row *r, int col, size_t start)
{
	if (col >= 0)
		r->cell[col] = (struct sql_cell){.type = QUERY_TEXT,
						 .is_own = true,
						 .own_off = start,
						 .len = r->text->len - start};
}

int sql_set_text(struct sql_row *r, int col, const char *v, size_t len, struct err *e)
{
	size_t start = r->text->len;

	if (buf_add(r->text, v, len, e))
		return -1;
	sql_set_tail(r, col, start);
	return 0;
}

static bool is_plain(struct span v)
{
	for (size_t i = 0; i < v.len; i++)
		if (v.data[i] < 0x20 || v.data[i] >= 0x7f || v.data[i] == '\\')
			return false;
	return true;
}

int sql_set_escaped(struct sql_row *r, int col, struct span v, struct err *e)
{
	size_t start = r->text->len;

	if (is_plain(v)) {
		sql_set_lent(r, col, QUERY_TEXT, v);
		return 0;
	}
	if (escape_add(r->text, v.data, v.len, e))
		return -1;
	sql_set_tail(r, col, start);
	return 0;
}

struct span sql_cell_bytes(const struct sql_row *r, const struct sql_cell *c)
{
	static const uint8_t nothing[1];

	if (c->is_own)
		return (struct span){r->text->data ? r->text->data + c->own_off : nothing, c->len};
	return (struct span){c->data ? c->data : nothing, c->len};
}

static int bind_cell(sqlite3_stmt *s, int i, const struct sql_row *r, const struct sql_cell *c)
{
	struct span b;

	switch (c->type) {
	case QUERY_INT:
		return sqlite3_bind_int64(s, i, c->num);
	case QUERY_TEXT:
		b = sql_cell_bytes(r, c);
		return sqlite3_bind_text64(s, i, (const char *)b.data, b.len, SQLITE_STATIC,
					   SQLITE_UTF8);
	case QUERY_BLOB:
		b = sql_cell_bytes(r, c);
		return sqlite3_bind_blob64(s, i, b.data, b.len, SQLITE_STATIC);
	default:
		return sqlite3_bind_null(s, i);
	}
}

int sql_table_insert(struct sql_table *t, const struct sql_row *r, struct err *e)
{
	int rc = SQLITE_OK;

	if (!t->insert && make_insert(t, e))
		return -1;
	for (unsigned i = 0; i < t->n && rc == SQLITE_OK; i++)
		rc = bind_cell(t->insert, (int)i + 1, r, &r->cell[i]);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(t->insert);
	if (rc != SQLITE_DONE)
		db_err(db_handle(t->db), rc, e, t->name);
	else
		t->n_rows++;
	sqlite3_reset(t->insert);
	return rc == SQLITE_DONE ? 0 : -1;
}

unsigned sql_row_complete(struct sql_row *r, const struct sql_table *t)
{
	unsigned n = 0;

	for (unsigned i = 0; i < t->n; i++) {
		const struct sql_column *c = &t->column[i];

		if (!c->is_notnull || r->cell[i].type != QUERY_NULL)
			continue;
		if (c->is_text)
			sql_set_lent(r, (int)i, QUERY_TEXT,
				     (struct span){(const uint8_t *)c->dflt, strlen(c->dflt)});
		else
			sql_set_int(r, (int)i, strtoll(c->dflt, NULL, 10));
		n += !c->has_default;
	}
	return n;
}

static int copy_cell(sqlite3_stmt *q, int col, struct sql_row *r, struct err *e)
{
	int type = sqlite3_column_type(q, col);
	const void *data;

	if (type == SQLITE_INTEGER)
		sql_set_int(r, col, sqlite3_column_int64(q, col));
	if (type != SQLITE_TEXT && type != SQLITE_BLOB)
		return 0;
	data = type == SQLITE_TEXT ? (const void *)sqlite3_column_text(q, col)
				   : sqlite3_column_blob(q, col);
	if (sql_set_text(r, col, data, (size_t)sqlite3_column_bytes(q, col), e))
		return -1;
	r->cell[col].type = type == SQLITE_TEXT ? QUERY_TEXT : QUERY_BLOB;
	return 0;
}

static int make_read(struct sql_table *t, struct err *e)
{
	char sql[120];
	int rc;

	snprintf(sql, sizeof(sql), "SELECT * FROM \"%s\" WHERE \"%s\" = ?1", t->name,
		 t->column[0].name);
	rc = sqlite3_prepare_v3(db_handle(t->db), sql, -1, SQLITE_PREPARE_PERSISTENT, &t->read,
				NULL);
	return rc == SQLITE_OK ? 0 : db_err(db_handle(t->db), rc, e, t->name);
}

int sql_row_read(struct sql_table *t, int64_t id, struct sql_row *r, struct err *e)
{
	int rc;

	if (!t->read && make_read(t, e))
		return -1;
	sql_row_clear(r, t);
	sqlite3_bind_int64(t->read, 1, id);
	rc = sqlite3_step(t->read);
	for (int i = 0; i < (int)t->n && rc == SQLITE_ROW; i++) {
		if (copy_cell(t->read, i, r, e)) {
			sqlite3_reset(t->read);
			return -1;
		}
	}
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		db_err(db_handle(t->db), rc, e, t->name);
	sqlite3_reset(t->read);
	return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : -1;
}

bool sql_cell_same(const struct sql_row *a, const struct sql_row *b, unsigned col)
{
	const struct sql_cell *x = &a->cell[col], *y = &b->cell[col];
	struct span p, q;

	if (x->type != y->type)
		return false;
	if (x->type == QUERY_INT)
		return x->num == y->num;
	if (x->type != QUERY_TEXT && x->type != QUERY_BLOB)
		return true;
	p = sql_cell_bytes(a, x);
	q = sql_cell_bytes(b, y);
	return p.len == q.len && !memcmp(p.data, q.data, p.len);
}
