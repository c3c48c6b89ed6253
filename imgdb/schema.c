#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "imgdb/db_sqlite.h"

int schema_create(struct db *db, struct err *e)
{
	auto_buf struct buf sql = {0};
	int rc;

	if (db_begin(db, e))
		return -1;
	rc = db_exec(db, embed_schema_sql, e) || db_exec(db, embed_views_sql, e) ||
	     triggers_make(db, &sql, e) || (sql.len && db_exec(db, (const char *)sql.data, e));
	if (!rc) {
		buf_reset(&sql);
		rc = buf_printf(&sql, e, "PRAGMA application_id = %d; PRAGMA user_version = %d",
				DB_APPLICATION_ID, DB_USER_VERSION) ||
		     db_exec(db, (const char *)sql.data, e);
	}
	if (rc)
		err_wrap(e, "make the database");
	return db_end(db, !rc, e) || rc ? -1 : 0;
}

/* ---- is a schema ours ---- */

/* What a file has, ordered by type and name. */
struct objects {
	struct object {
		char *type, *name, *tbl, *sql; /* owned */
		bool is_ours;
	} * all;
	size_t n, cap;
};

static void objects_free(struct objects *o)
{
	for (size_t i = 0; i < o->n; i++) {
		free(o->all[i].type);
		free(o->all[i].name);
		free(o->all[i].tbl);
		free(o->all[i].sql);
	}
	free(o->all);
}

static int by_name(const void *a, const void *b)
{
	const struct object *x = a, *y = b;
	int diff = strcmp(x->type, y->type);

	return diff ? diff : strcmp(x->name, y->name);
}

static int objects_add(struct objects *o, const struct query *q, struct err *e)
{
	struct object *added;

	if (o->n == o->cap) {
		size_t cap = o->cap ? o->cap * 2 : 512;
		struct object *bigger = reallocarray(o->all, cap, sizeof(*bigger));

		if (!bigger)
			return err_set(e, ERR_NOMEM, "out of memory");
		o->all = bigger;
		o->cap = cap;
	}
	added = &o->all[o->n++];
	*added = (struct object){strdup(query_text(q, 0)), strdup(query_text(q, 1)),
				 strdup(query_text(q, 2)), strdup(query_text(q, 3)), false};
	return added->type && added->name && added->tbl && added->sql
		       ? 0
		       : err_set(e, ERR_NOMEM, "out of memory");
}

static int objects_read(struct db *db, struct objects *o, struct err *e)
{
	auto_query struct query *q = query_new(
		db,
		"SELECT coalesce(type, ''), coalesce(name, ''), coalesce(tbl_name, ''), "
		"coalesce(sql, '') FROM sqlite_schema WHERE type IN ('table', 'view', 'trigger')",
		e);
	int rc;

	while ((rc = q ? query_next(q, e) : -1) == 1)
		if (objects_add(o, q, e))
			return -1;
	if (!rc && o->n)
		qsort(o->all, o->n, sizeof(*o->all), by_name);
	return rc;
}

/* The statements in text of ours that make objects of a type. SQLite keeps such a statement as it was written when
 * there is one blank between its first words, as there is in ours (sqlite3EndTable(), sqlite3FinishTrigger()). */
static const struct kind {
	const char *type, *begin, *end; /* end: what it ends with, and the semicolon */
} kinds[] = {
	{"table", "CREATE TABLE ", "\n) STRICT;\n"},
	{"view", "CREATE VIEW ", ";\n"},
	{"trigger", "CREATE TRIGGER ", "END;\n"},
};
enum { TABLES, VIEWS, TRIGGERS };

static int check_object(struct objects *o, const struct kind *k, const char *sql, size_t len,
			struct err *e)
{
	char name[64];
	const struct object key = {(char *)k->type, name, NULL, NULL, false};
	struct object *theirs;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(sql + strlen(k->begin), " ("),
		 sql + strlen(k->begin));
	theirs = o->n ? bsearch(&key, o->all, o->n, sizeof(key), by_name) : NULL;
	if (!theirs)
		return err_set(e, ERR_FORMAT, "the database lacks the %s %s", k->type, name);
	if (strlen(theirs->sql) != len || memcmp(theirs->sql, sql, len) != 0)
		return err_set(e, ERR_FORMAT,
			       "the %s %s of the database is not the one nsimg makes; it will not "
			       "be written to",
			       k->type, name);
	theirs->is_ours = true;
	return 0;
}

static int check_text(struct objects *o, const struct kind *k, const char *text, struct err *e)
{
	const char *end;

	for (const char *at = text; (at = strstr(at, k->begin)); at = end) {
		end = strstr(at, k->end);
		if (!end)
			return err_set(e, ERR_DB, "our own schema has a %s without an end",
				       k->type);
		end += strlen(k->end);
		if ((at == text || at[-1] == '\n') &&
		    check_object(o, k, at, (size_t)(end - at) - strlen(";\n"), e))
			return -1;
	}
	return 0;
}

static int check_foreign_triggers(const struct objects *o, struct err *e)
{
	for (size_t i = 0; i < o->n; i++)
		if (!strcmp(o->all[i].type, "trigger") && !o->all[i].is_ours)
			return err_set(
				e, ERR_FORMAT,
				"the database has a trigger of its own on %s (%s): it would run on "
				"every write, drop it first",
				o->all[i].tbl, o->all[i].name);
	return 0;
}

int schema_check(struct db *db, struct err *e)
{
	__attribute__((cleanup(objects_free))) struct objects o = {0};
	auto_buf struct buf triggers = {0};

	/* triggers follow from the columns of the tables, so these first */
	return objects_read(db, &o, e) || check_text(&o, &kinds[TABLES], embed_schema_sql, e) ||
			       triggers_make(db, &triggers, e) ||
			       check_text(&o, &kinds[VIEWS], (const char *)triggers.data, e) ||
			       check_text(&o, &kinds[TRIGGERS], (const char *)triggers.data, e) ||
			       check_foreign_triggers(&o, e)
		       ? -1
		       : 0;
}
