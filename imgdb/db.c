#include "imgdb/db.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/progress.h"
#include "base/stop.h"
#include "imgdb/db_path.h"
#include "imgdb/db_sqlite.h"

enum {
	IDLE_MAX = 24,
	SQL_SHOWN = 80, /* of a statement in an error: its beginning */
	BUSY_MS = 5000, /* for which others are waited for */
};

struct db {
	sqlite3 *h;
	char *path;                   /* of a file that is only read, for db_twin; else NULL */
	sqlite3_stmt *idle[IDLE_MAX]; /* prepared and not in use, the last one used first */
	struct json_functions *jf;
	struct record_cache *records; /* of record.c, made when first used */
	unsigned depth;               /* open transactions and savepoints */
	bool is_readonly;
	struct db_watch {
		bool is_on;
		struct progress line;
		uint64_t n, total;
		const char *what; /* NULL: the rows that were changed */
	} watch;
};

struct query {
	sqlite3_stmt *stmt;
	sqlite3 *h;
	struct db *db;
};

sqlite3 *db_handle(struct db *db)
{
	return db->h;
}

struct record_cache **db_records(struct db *db)
{
	return &db->records;
}

sqlite3_stmt *query_stmt(struct query *q)
{
	return q->stmt;
}

static enum err_code code_of(int rc)
{
	switch (rc) {
	case SQLITE_CONSTRAINT_UNIQUE:
	case SQLITE_CONSTRAINT_PRIMARYKEY:
	case SQLITE_CONSTRAINT_ROWID:
		return ERR_CONFLICT;
	case SQLITE_CONSTRAINT_CHECK:
	case SQLITE_CONSTRAINT_NOTNULL:
	case SQLITE_CONSTRAINT_DATATYPE:
		return ERR_RANGE;
	}
	switch (rc & 0xff) {
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
		return ERR_FORMAT;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ERR_BUSY;
	case SQLITE_NOMEM:
		return ERR_NOMEM;
	case SQLITE_FULL:
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
		return ERR_IO;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return ERR_PERM;
	case SQLITE_TOOBIG:
		return ERR_RANGE;
	case SQLITE_INTERRUPT:
		return ERR_INTERRUPTED;
	default:
		return ERR_DB;
	}
}

/* What SQLite says of h. The names of constraints are sentences of their own. */
static const char *message(sqlite3 *h)
{
	static const char before[] = "CHECK constraint failed: ";
	const char *text = sqlite3_errmsg(h);

	return strncmp(text, before, sizeof(before) - 1) != 0 ? text : text + sizeof(before) - 1;
}

/* Trouble with the file itself, not with a statement. */
static bool is_about_file(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
	case SQLITE_FULL:
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
	case SQLITE_READONLY:
	case SQLITE_BUSY:
		return true;
	}
	return false;
}

/* A journal that takes back the half of a writer that was killed: a reader cannot (sqlite.org/lockingv3.html, hot
 * journals). */
static int err_hot_journal(const char *file, struct err *e)
{
	return err_set(e, ERR_BUSY,
		       "%s: a program was stopped while it wrote to it, and %s-journal has what "
		       "takes its half "
		       "back. Looking changes nothing, so this comes first (keep a copy of both "
		       "where they are "
		       "evidence): sqlite3 '%s' 'PRAGMA user_version'",
		       file, file, file);
}

int db_err(sqlite3 *h, int rc, struct err *e, const char *what)
{
	const char *msg = h ? message(h) : sqlite3_errstr(rc);
	const char *file = h && is_about_file(rc) && !*what ? sqlite3_db_filename(h, "main") : NULL;
	int reason = h && (rc & 0xff) == SQLITE_CANTOPEN ? sqlite3_system_errno(h) : 0;

	/* a statement that was given up because of a signal says it as every other work does */
	if (rc == SQLITE_INTERRUPT && stop_check(e))
		return -1;
	if (file && *file) {
		what = file;
		if (sqlite3_extended_errcode(h) == SQLITE_READONLY_ROLLBACK)
			return err_hot_journal(file, e);
	}
	return err_set(e, code_of(rc), "%s%s%s%s%s", what, *what ? ": " : "", msg,
		       reason ? ": " : "", reason ? strerror(reason) : "");
}

static int pragma_int(struct db *db, const char *sql, int64_t *v, struct err *e)
{
	auto_query struct query *q = query_new(db, sql, e);
	int rc;

	if (!q)
		return -1;
	rc = query_next(q, e);
	if (rc < 0)
		return -1;
	*v = rc ? query_int(q, 0) : 0;
	return 0;
}

/* An empty database gets the schema; any other must be ours. */
static int check_identity(struct db *db, const char *path, enum db_mode mode, struct err *e)
{
	int64_t app = 0, version = 0, objects = 0;

	if (pragma_int(db, "PRAGMA application_id", &app, e) ||
	    pragma_int(db, "PRAGMA user_version", &version, e) ||
	    pragma_int(db, "SELECT count(*) FROM sqlite_schema", &objects, e))
		return -1;
	if (!app && !version && !objects && (mode == DB_CREATE || mode == DB_MEMORY))
		return schema_create(db, e);
	if (app != DB_APPLICATION_ID)
		return err_set(
			e, ERR_FORMAT,
			"%s is an SQLite database but not of nsimg (application_id is 0x%08x, "
			"expected 0x%08x)",
			path, (unsigned)app, DB_APPLICATION_ID);
	if (version > DB_USER_VERSION)
		return err_set(e, ERR_FORMAT,
			       "%s was made by a newer nsimg (schema version %lld, this program "
			       "knows %d): use that version",
			       path, (long long)version, DB_USER_VERSION);
	if (version < DB_USER_VERSION)
		return err_set(e, ERR_FORMAT,
			       "%s was made by an older nsimg (schema version %lld, this program "
			       "needs %d): export its images with that version, and import them "
			       "into a new database",
			       path, (long long)version, DB_USER_VERSION);
	return mode == DB_READ ? 0 : schema_check(db, e);
}

/* Every so many steps of SQLite's machine: a tenth of a millisecond. */
#define STEPS_BETWEEN 4000

static int is_given_up(void *arg)
{
	struct db *db = arg;
	struct db_watch *w = &db->watch;

	if (w->is_on && w->what)
		progress_say(&w->line, w->n, w->total, "%s", w->what);
	else if (w->is_on)
		progress_say(&w->line, (uint64_t)sqlite3_total_changes64(db->h), 0, "rows changed");
	return stop_is_asked();
}

void db_watch(struct db *db)
{
	db->watch = (struct db_watch){.is_on = true};
	progress_begin(&db->watch.line, false);
}

void db_watch_at(struct db *db, uint64_t n, uint64_t total, const char *what)
{
	db->watch.n = n;
	db->watch.total = total;
	db->watch.what = what;
}

void db_watch_end(struct db *db)
{
	if (db->watch.is_on)
		progress_end(&db->watch.line);
	db->watch.is_on = false;
}

static int configure(struct db *db, int busy_ms, struct err *e)
{
	int rc;

	sqlite3_busy_timeout(db->h, busy_ms);
	sqlite3_progress_handler(db->h, STEPS_BETWEEN, is_given_up, db);
	sqlite3_extended_result_codes(db->h, 1);
	/* A database is hostile input: functions with side effects are out of reach of its views and
	 * triggers, and writable_schema and the like are refused (sqlite.org/security.html). */
	rc = sqlite3_db_config(db->h, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_db_config(db->h, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	if (rc == SQLITE_OK)
		rc = json_functions_add(db->h, &db->jf);
	if (rc == SQLITE_OK)
		rc = address_functions_add(db->h);
	if (rc == SQLITE_OK)
		rc = osquery_functions_add(db->h);
	if (rc != SQLITE_OK)
		return db_err(db->h, rc, e, "configure SQLite");
	/* Sorting and statement journals stay in memory: a command in the sandbox (base/sandbox.h) can
	 * write no temporary files, and evidence shall not end up in some folder for them. */
	return db_exec(db,
		       "PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0;"
		       "PRAGMA temp_store = MEMORY",
		       e);
}

/* SQLite tries once more, read-only, and then tells of a missing file: why it cannot be made is lost. */
static int check_folder(const char *path, struct err *e)
{
	auto_free char *copy = strdup(path);

	if (!copy)
		return err_set(e, ERR_NOMEM, "out of memory");
	return access(dirname(copy), W_OK | X_OK)
		       ? err_sys(e, ERR_IO, "%s cannot be made in its folder", path)
		       : 0;
}

static int check_file(const char *path, enum db_mode mode, struct err *e)
{
	struct stat st;

	if (stat(path, &st)) {
		if (errno == ENOENT && mode == DB_CREATE)
			return check_folder(path, e);
		if (errno == ENOENT)
			return err_set(e, ERR_NOTFOUND,
				       "%s: no such database (nsimg import makes one)", path);
		return err_sys(e, ERR_IO, "%s", path);
	}
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_FORMAT, "%s is not a regular file, so no database", path);
	if (!st.st_size && mode != DB_CREATE)
		return err_set(e, ERR_FORMAT, "%s is empty, so not a database of nsimg", path);
	return 0;
}

/* One thread at a time uses a connection here: locks of connections and the count of memory would be for nothing. Only the
 * first database of the process decides that (sqlite.org/c3ref/config.html). */
static void configure_library(void)
{
	static bool is_done;

	if (!is_done) {
		sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
		sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	}
	is_done = true;
}

static struct db *open_file(const char *path, enum db_mode mode, int busy_ms, struct err *e)
{
	static const int flags[] = {
		[DB_READ] = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI,
		[DB_WRITE] = SQLITE_OPEN_READWRITE,
		[DB_CREATE] = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
		[DB_MEMORY] = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
	};
	auto_free char *plain = NULL;
	auto_db struct db *db = calloc(1, sizeof(*db));
	int rc;

	if (!db) {
		err_set(e, ERR_NOMEM, "out of memory");
		return NULL;
	}
	if (mode != DB_MEMORY) {
		if (check_file(path, mode, e))
			return NULL;
		plain = (mode == DB_READ ? db_path_reading : db_path_plain)(path, e);
		if (!plain)
			return NULL;
	}
	db->is_readonly = mode == DB_READ;
	configure_library();
	rc = sqlite3_open_v2(plain ? plain : ":memory:", &db->h, flags[mode], NULL);
	if (rc != SQLITE_OK) {
		db_err(db->h, rc, e, path ? path : "memory");
		return NULL;
	}
	if (mode == DB_READ && !(db->path = strdup(path))) {
		err_set(e, ERR_NOMEM, "out of memory");
		return NULL;
	}
	if (configure(db, busy_ms, e) || check_identity(db, path ? path : "memory", mode, e)) {
		if (e->code == ERR_FORMAT && strstr(e->msg, "not a database"))
			err_set(e, ERR_FORMAT, "%s is not a database of nsimg (not SQLite at all)",
				path);
		else if (mode == DB_READ && e->code != ERR_FORMAT && db_path_is_unmerged(path))
			err_wrap(e, "in WAL mode, with changes in the file -wal beside it that "
				    "cannot be read "
				    "here; \"PRAGMA journal_mode = DELETE\" in sqlite3 makes one "
				    "file of it, "
				    "or of a copy of both");
		return NULL;
	}
	return take_ptr(db);
}

struct db *db_open(const char *path, enum db_mode mode, struct err *e)
{
	return open_file(path, mode, BUSY_MS, e);
}

/* Until db's transaction ends, nobody can write to the file but beside it, in WAL mode. Who waits to write lets no other
 * reader in (sqlite.org/lockingv3.html): to wait for him as he waits for us would be for nothing. */
struct db *db_twin(const struct db *db, struct err *e)
{
	auto_db struct db *twin = db->path ? open_file(db->path, DB_READ, 0, e) : NULL;
	auto_query struct query *q = NULL;

	if (!twin || db_begin(twin, e))
		return NULL;
	q = query_new(twin, "PRAGMA journal_mode", e);
	if (!q || query_next(q, e) != 1 || !strcmp(query_text(q, 0), "wal"))
		return NULL;
	return take_ptr(twin);
}

void db_free(struct db *db)
{
	if (!db)
		return;
	db_watch_end(db);
	record_cache_free(db->records);
	for (size_t i = 0; i < IDLE_MAX; i++)
		sqlite3_finalize(db->idle[i]);
	sqlite3_close_v2(db->h);
	json_functions_free(db->jf);
	free(db->path);
	free(db);
}

struct db *db_copy(struct db *from, struct err *e)
{
	auto_db struct db *db = db_open(NULL, DB_MEMORY, e);
	sqlite3_backup *b = db ? sqlite3_backup_init(db->h, "main", from->h, "main") : NULL;
	int rc;

	if (!db)
		return NULL;
	if (b) {
		sqlite3_backup_step(b, -1);
		rc = sqlite3_backup_finish(b);
	} else {
		rc = sqlite3_errcode(db->h);
	}
	if (rc != SQLITE_OK) {
		db_err(db->h, rc, e, "copy of the database");
		return NULL;
	}
	return schema_check(db, e) ? NULL : take_ptr(db);
}

int db_exec(struct db *db, const char *sql, struct err *e)
{
	int rc = sqlite3_exec(db->h, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : db_err(db->h, rc, e, "");
}

int db_begin(struct db *db, struct err *e)
{
	char sql[40];

	if (db->depth)
		snprintf(sql, sizeof(sql), "SAVEPOINT s%u", db->depth);
	else
		/* the lock is taken now: a writer that finds the file busy fails before it worked */
		snprintf(sql, sizeof(sql), "BEGIN%s", db->is_readonly ? "" : " IMMEDIATE");
	if (db_exec(db, sql, e))
		return -1;
	db->depth++;
	return 0;
}

static int end_ok(struct db *db, struct err *e)
{
	char sql[40] = "COMMIT";

	if (db->depth)
		snprintf(sql, sizeof(sql), "RELEASE s%u", db->depth);
	return db_exec(db, sql, e);
}

int db_end(struct db *db, bool ok, struct err *e)
{
	struct err ignored = ERR_INIT;
	char sql[80] = "ROLLBACK";
	int rc = 0;

	if (!db->depth)
		return err_set(e, ERR_DB, "db_end without db_begin");
	db->depth--;
	if (ok) {
		rc = end_ok(db, e);
		if (!rc)
			return 0;
	}
	/* SQLite may have rolled back by itself already (disk full, corruption). */
	if (sqlite3_get_autocommit(db->h))
		return rc;
	if (db->depth)
		snprintf(sql, sizeof(sql), "ROLLBACK TO s%u; RELEASE s%u", db->depth, db->depth);
	if (db_exec(db, sql, &ignored) && e->code == ERR_NONE) {
		*e = ignored;
		rc = -1;
	}
	return rc;
}

/* ---- statements ---- */

static bool has_more(sqlite3 *h, const char *tail)
{
	sqlite3_stmt *next = NULL;
	bool more;

	/* white space and comments prepare to nothing; anything else is a statement or an error */
	more = sqlite3_prepare_v2(h, tail, -1, &next, NULL) != SQLITE_OK || next;
	sqlite3_finalize(next);
	return more;
}

/* Preparing costs more than most of our statements do, and the same ones come again for each namespace. */
static sqlite3_stmt *idle_take(struct db *db, const char *sql)
{
	for (size_t i = 0; i < IDLE_MAX && db->idle[i]; i++) {
		sqlite3_stmt *stmt = db->idle[i];

		if (strcmp(sqlite3_sql(stmt), sql) != 0)
			continue;
		memmove(&db->idle[i], &db->idle[i + 1], (IDLE_MAX - i - 1) * sizeof(stmt));
		db->idle[IDLE_MAX - 1] = NULL;
		return stmt;
	}
	return NULL;
}

static void idle_put(struct db *db, sqlite3_stmt *stmt)
{
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	sqlite3_finalize(db->idle[IDLE_MAX - 1]);
	memmove(&db->idle[1], &db->idle[0], (IDLE_MAX - 1) * sizeof(stmt));
	db->idle[0] = stmt;
}

struct column_reader {
	void (*see)(void *arg, const char *table, const char *column);
	void *arg;
};

static int on_read(void *arg, int action, const char *table, const char *column, const char *schema,
		   const char *view)
{
	const struct column_reader *r = arg;

	if (action == SQLITE_READ)
		r->see(r->arg, table, column);
	return SQLITE_OK;
}

int db_columns_read(struct db *db, const char *sql,
		    void (*see)(void *arg, const char *table, const char *column), void *arg,
		    struct err *e)
{
	struct column_reader r = {see, arg};
	sqlite3_stmt *stmt = NULL;
	int rc;

	sqlite3_set_authorizer(db->h, on_read, &r);
	rc = sqlite3_prepare_v2(db->h, sql, -1, &stmt, NULL);
	sqlite3_set_authorizer(db->h, NULL, NULL);
	sqlite3_finalize(stmt);
	return rc == SQLITE_OK ? 0 : db_err(db->h, rc, e, "");
}

struct query *query_new(struct db *db, const char *sql, struct err *e)
{
	auto_query struct query *q = calloc(1, sizeof(*q));
	const char *tail = NULL;
	int rc;

	if (!q) {
		err_set(e, ERR_NOMEM, "out of memory");
		return NULL;
	}
	q->h = db->h;
	q->db = db;
	q->stmt = idle_take(db, sql);
	if (q->stmt)
		return take_ptr(q);
	rc = sqlite3_prepare_v2(db->h, sql, -1, &q->stmt, &tail);
	if (rc != SQLITE_OK) {
		if (is_about_file(rc))
			db_err(db->h, rc, e, "");
		else
			err_set(e, code_of(rc), "%s in: %.*s%s", sqlite3_errmsg(db->h), SQL_SHOWN,
				sql, strlen(sql) > SQL_SHOWN ? "..." : "");
		return NULL;
	}
	if (!q->stmt) {
		err_set(e, ERR_USAGE, "no SQL statement in \"%.500s\"", sql);
		return NULL;
	}
	if (has_more(db->h, tail)) {
		err_set(e, ERR_USAGE, "one SQL statement at a time, not what follows: %.500s",
			tail);
		return NULL;
	}
	return take_ptr(q);
}

void query_free(struct query *q)
{
	if (!q)
		return;
	if (q->stmt)
		idle_put(q->db, q->stmt);
	free(q);
}

/* The number of a parameter, or 0 with e set. A statement that still stands on a row is reset first. */
static int bind_index(struct query *q, const char *name, struct err *e)
{
	char full[64] = ":";
	int i;

	strncpy(full + 1, *name == ':' ? name + 1 : name, sizeof(full) - 2);
	i = sqlite3_bind_parameter_index(q->stmt, full);
	if (!i)
		err_set(e, ERR_DB, "no parameter %s in: %.500s", full, sqlite3_sql(q->stmt));
	else if (sqlite3_stmt_busy(q->stmt))
		sqlite3_reset(q->stmt);
	return i;
}

bool query_has_param(const struct query *q, const char *name)
{
	char full[64];

	snprintf(full, sizeof(full), ":%s", name);
	return sqlite3_bind_parameter_index(q->stmt, full) > 0;
}

static int bind_done(struct query *q, int rc, const char *name, struct err *e)
{
	if (rc == SQLITE_OK)
		return 0;
	return db_err(q->h, rc, e, name);
}

int query_bind_int(struct query *q, const char *name, int64_t v, struct err *e)
{
	int i = bind_index(q, name, e);

	return i ? bind_done(q, sqlite3_bind_int64(q->stmt, i, v), name, e) : -1;
}

int query_bind_text(struct query *q, const char *name, const char *v, struct err *e)
{
	int i = bind_index(q, name, e);

	return i ? bind_done(q, sqlite3_bind_text(q->stmt, i, v, -1, SQLITE_TRANSIENT), name, e)
		 : -1;
}

int query_bind_textn(struct query *q, const char *name, const char *v, size_t n, struct err *e)
{
	int i = bind_index(q, name, e);

	return i ? bind_done(q,
			     sqlite3_bind_text64(q->stmt, i, v, n, SQLITE_TRANSIENT, SQLITE_UTF8),
			     name, e)
		 : -1;
}

int query_bind_blob(struct query *q, const char *name, const void *v, size_t n, struct err *e)
{
	int i = bind_index(q, name, e);

	return i ? bind_done(q, sqlite3_bind_blob64(q->stmt, i, n ? v : "", n, SQLITE_TRANSIENT),
			     name, e)
		 : -1;
}

int query_bind_null(struct query *q, const char *name, struct err *e)
{
	int i = bind_index(q, name, e);

	return i ? bind_done(q, sqlite3_bind_null(q->stmt, i), name, e) : -1;
}

int query_next(struct query *q, struct err *e)
{
	int rc = sqlite3_step(q->stmt);

	if (rc == SQLITE_ROW)
		return 1;
	if (rc == SQLITE_DONE) {
		sqlite3_reset(q->stmt);
		return 0;
	}
	db_err(q->h, rc, e, "");
	sqlite3_reset(q->stmt);
	return -1;
}

int query_reset(struct query *q, struct err *e)
{
	/* what sqlite3_reset returns is the error of the last step, which was reported then */
	sqlite3_reset(q->stmt);
	return bind_done(q, sqlite3_clear_bindings(q->stmt), "reset", e);
}

int query_n_columns(const struct query *q)
{
	return sqlite3_column_count(q->stmt);
}

const char *query_column_name(const struct query *q, int col)
{
	return sqlite3_column_name(q->stmt, col);
}

enum query_type query_type(const struct query *q, int col)
{
	switch (sqlite3_column_type(q->stmt, col)) {
	case SQLITE_INTEGER:
		return QUERY_INT;
	case SQLITE_FLOAT:
		return QUERY_REAL;
	case SQLITE_TEXT:
		return QUERY_TEXT;
	case SQLITE_BLOB:
		return QUERY_BLOB;
	default:
		return QUERY_NULL;
	}
}

bool query_is_null(const struct query *q, int col)
{
	return sqlite3_column_type(q->stmt, col) == SQLITE_NULL;
}

int64_t query_int(const struct query *q, int col)
{
	return sqlite3_column_int64(q->stmt, col);
}

/* A value may be looked at by itself, as one thread at a time uses a connection (sqlite.org/c3ref/column_blob.html). */
bool query_get_int(const struct query *q, int col, int64_t *v)
{
	sqlite3_value *cell = sqlite3_column_value(q->stmt, col);

	if (sqlite3_value_type(cell) == SQLITE_NULL)
		return false;
	*v = sqlite3_value_int64(cell);
	return true;
}

double query_real(const struct query *q, int col)
{
	return sqlite3_column_double(q->stmt, col);
}

const char *query_text(const struct query *q, int col)
{
	return (const char *)sqlite3_column_text(q->stmt, col);
}

struct span query_blob(const struct query *q, int col)
{
	const void *p = sqlite3_column_blob(q->stmt, col);

	return (struct span){p, (size_t)sqlite3_column_bytes(q->stmt, col)};
}

int64_t db_last_id(const struct db *db)
{
	return sqlite3_last_insert_rowid(db->h);
}

/* ---- images ---- */

/* "1 (web), 2 (db)" of the images in the file, as far as they fit. */
static void list_images(struct query *q, char *text, size_t size, struct err *e)
{
	size_t n = 0;
	int len;

	*text = '\0';
	while (n < size && query_next(q, e) == 1) {
		len = snprintf(text + n, size - n, "%s%lld (%s)", n ? ", " : "",
			       (long long)query_int(q, 0), query_text(q, 1));
		n += len > 0 ? (size_t)len : 0;
	}
	if (n >= size)
		memcpy(text + size - 4, "...", 4);
}

int db_image_pick(struct db *db, int64_t id, int64_t *image, struct err *e)
{
	auto_query struct query *q = query_new(
		db, "SELECT id, name FROM image WHERE :id = 0 OR id = :id ORDER BY id", e);
	char list[400];
	int rc;

	if (!q || query_bind_int(q, "id", id, e))
		return -1;
	rc = query_next(q, e);
	if (rc < 0)
		return -1;
	if (!rc && id)
		return err_set(e, ERR_NOTFOUND,
			       "no image %lld in the database (nsimg images lists them)",
			       (long long)id);
	if (!rc)
		return err_set(e, ERR_NOTFOUND,
			       "there is no image in the database (nsimg import adds one)");
	*image = query_int(q, 0);
	rc = query_next(q, e);
	if (rc <= 0)
		return rc;
	if (query_bind_int(q, "id", 0, e))
		return -1;
	list_images(q, list, sizeof(list), e);
	return err_set(e, ERR_USAGE,
		       "the database holds several images, choose one with --image: %s", list);
}
