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

/* Compare one object of ours (row of ours) with the one of the same name in the file. */
static int check_object(struct query *theirs, struct query *ours, struct err *e)
{
	const char *type = query_text(ours, 0), *name = query_text(ours, 1);
	int rc;

	if (query_bind_text(theirs, "name", name, e))
		return -1;
	rc = query_next(theirs, e);
	if (rc < 0)
		return -1;
	if (!rc)
		return err_set(e, ERR_FORMAT, "the database lacks the %s %s", type, name);
	if (strcmp(query_text(theirs, 0), query_text(ours, 2)) != 0)
		return err_set(e, ERR_FORMAT,
			       "the %s %s of the database is not the one nsimg makes; it will not "
			       "be written to",
			       type, name);
	return query_reset(theirs, e);
}

static int check_foreign_triggers(struct db *db, struct db *model, struct err *e)
{
	auto_query struct query *q =
		query_new(db, "SELECT name, tbl_name FROM sqlite_schema WHERE type = 'trigger'", e);
	auto_query struct query *ours = query_new(
		model, "SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND name = :name", e);
	int rc;

	if (!q || !ours)
		return -1;
	while ((rc = query_next(q, e)) == 1) {
		if (query_bind_text(ours, "name", query_text(q, 0), e))
			return -1;
		rc = query_next(ours, e);
		if (rc < 0)
			return -1;
		if (!rc)
			return err_set(
				e, ERR_FORMAT,
				"the database has a trigger of its own on %s (%s): it would run on "
				"every write, drop it first",
				query_text(q, 1), query_text(q, 0));
	}
	return rc;
}

int schema_check(struct db *db, struct err *e)
{
	auto_db struct db *model = db_open(NULL, DB_MEMORY, e);
	auto_query struct query *theirs = NULL, *ours = NULL;
	int rc;

	if (!model)
		return -1;
	ours = query_new(
		model,
		"SELECT type, name, sql FROM sqlite_schema WHERE type IN ('table', 'trigger') "
		"AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
		e);
	theirs = query_new(db, "SELECT coalesce(sql, '') FROM sqlite_schema WHERE name = :name", e);
	if (!ours || !theirs)
		return -1;
	while ((rc = query_next(ours, e)) == 1)
		if (check_object(theirs, ours, e))
			return -1;
	return rc < 0 ? -1 : check_foreign_triggers(db, model, e);
}
