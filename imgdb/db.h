/* db.h: the one door to SQLite: open an image database, run queries.
 *
 * Owns:  the connection, and prepared statements behind struct query.
 * Never: lets sqlite3.h out of this folder, or runs SQL that came out of a database.
 * Safety: trusted_schema off, defensive mode; a file of another program (application_id) or of a newer
 *        schema (user_version) is refused with a message that says so.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct db;
struct query;

enum db_mode {
	DB_READ,   /* must exist, opened read-only */
	DB_WRITE,  /* must exist */
	DB_CREATE, /* made with the schema when it is not there */
	DB_MEMORY, /* path is ignored: a new, empty database in memory */
};

/* An owned handle or NULL. ERR_FORMAT: not an nsimg database; ERR_NOTFOUND; ERR_DB. */
struct db *db_open(const char *path, enum db_mode mode, struct err *e);
void db_free(struct db *db);

/* Another connection to the file of db, for another thread; db was opened with DB_READ, and its transaction has read and
 * ends after the twin's use. Owned, in a transaction that sees the same; NULL where that is not sure (db is a copy in
 * memory, the file is in WAL mode, somebody waits to write), with e set or not. */
struct db *db_twin(const struct db *db, struct err *e);

/* An owned copy in memory that may be written, or NULL (ERR_FORMAT: its triggers are not ours). */
struct db *db_copy(struct db *from, struct err *e);

/* Transactions nest (savepoints); db_end commits when ok, rolls back otherwise. Rolling back leaves an
 * error that is in e already as it is. -1: it could not be committed, and was rolled back. */
int db_begin(struct db *db, struct err *e);
int db_end(struct db *db, bool ok, struct err *e);

/* From here to db_watch_end people are shown how far the work is (base/progress.h), also while one statement lasts
 * long: the rows that were changed so far, or what db_watch_at said last. It does nothing without db_watch. what is
 * borrowed until the next call. */
void db_watch(struct db *db);
void db_watch_at(struct db *db, uint64_t n, uint64_t total, const char *what);

/* Before anything is printed; db_free does it, too. */
void db_watch_end(struct db *db);

/* Statements without result, no parameters. */
int db_exec(struct db *db, const char *sql, struct err *e);

/* Queries are freed before their db.
 *
 * One statement (text after it is refused). Parameters are named in SQL as :name and bound by name; an
 * unknown name is an error. An owned query or NULL. */
struct query *query_new(struct db *db, const char *sql, struct err *e);

/* Tell see of each column that a query reads, some of them several times; the column is "" where only rows are
 * counted. Views are told of by the tables behind them, too. sqlite3_set_authorizer, SQLITE_READ. */
int db_columns_read(struct db *db, const char *sql,
		    void (*see)(void *arg, const char *table, const char *column), void *arg,
		    struct err *e);
void query_free(struct query *q);
bool query_has_param(const struct query *q, const char *name);
int query_bind_int(struct query *q, const char *name, int64_t v, struct err *e);
int query_bind_text(struct query *q, const char *name, const char *v,
		    struct err *e); /* NULL: SQL NULL */
int query_bind_textn(struct query *q, const char *name, const char *v, size_t n, struct err *e);
int query_bind_blob(struct query *q, const char *name, const void *v, size_t n, struct err *e);
int query_bind_null(struct query *q, const char *name, struct err *e);

/* The next row: 1, 0 at the end (the query is reset and may be bound and run again), -1 on error. Binding
 * while the query stands on a row resets it too; bound values stay until they are bound again. */
int query_next(struct query *q, struct err *e);
int query_reset(struct query *q, struct err *e);

/* Values of the current row, by column number from 0. Text and blob are lent until the next query_next;
 * NULL for SQL NULL. */
enum query_type { QUERY_NULL, QUERY_INT, QUERY_REAL, QUERY_TEXT, QUERY_BLOB };
int query_n_columns(const struct query *q);
const char *query_column_name(const struct query *q, int col);
enum query_type query_type(const struct query *q, int col);
bool query_is_null(const struct query *q, int col);
int64_t query_int(const struct query *q, int col);              /* 0 for NULL */
bool query_get_int(const struct query *q, int col, int64_t *v); /* false: NULL */
double query_real(const struct query *q, int col);
const char *query_text(const struct query *q, int col);
struct span query_blob(const struct query *q, int col);

static inline void query_cleanup_(struct query **q)
{
	query_free(*q);
}
#define auto_query __attribute__((cleanup(query_cleanup_)))

static inline void db_cleanup_(struct db **db)
{
	db_free(*db);
}
#define auto_db __attribute__((cleanup(db_cleanup_)))

/* Rowid of the last insert. */
int64_t db_last_id(const struct db *db);

/* The image that a command means: id if it is not 0, else the only one (ERR_USAGE lists them when there
 * are several, ERR_NOTFOUND when there is none). */
int db_image_pick(struct db *db, int64_t id, int64_t *image, struct err *e);
