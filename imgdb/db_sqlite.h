/* db_sqlite.h: what the files of imgdb/ share about the SQLite connection. Not for other folders.
 *
 * Owns:  nothing beyond db.h.
 * Never: included outside imgdb/ (db.h is the door).
 */
#pragma once

#include <sqlite3.h>

#include "imgdb/db.h"

#define DB_APPLICATION_ID 0x4e53494d /* "NSIM" */
#define DB_USER_VERSION   10

/* Texts of the files of that name in imgdb/ (made by cmake/embed.cmake). */
extern const char embed_schema_sql[];
extern const char embed_views_sql[];
extern const char embed_resolve_sql[];
extern const char embed_procedures_sql[];
extern const char embed_kernel_routes_sql[];

/* The connection and statement, lent. */
sqlite3 *db_handle(struct db *db);
sqlite3_stmt *query_stmt(struct query *q);

/* What record.c keeps with a connection. */
struct record_cache;
struct record_cache **db_records(struct db *db);
void record_cache_free(struct record_cache *rc);

/* Fill e from the connection's last error, with the code that fits rc. Returns -1. */
int db_err(sqlite3 *h, int rc, struct err *e, const char *what);

/* Harmless twins of the JSON functions for SQLite versions that need them (json_functions.c); *jf is
 * owned and must be freed after h was closed. An SQLite result code. */
struct json_functions;
int json_functions_add(sqlite3 *h, struct json_functions **jf);
void json_functions_free(struct json_functions *jf);

/* Functions for addresses (address_functions.c; doc/schema.md). An SQLite result code. */
int address_functions_add(sqlite3 *h);

/* Functions of saved osquery SQL (osquery_functions.c; doc/schema.md). An SQLite result code. */
int osquery_functions_add(sqlite3 *h);

/* Make tables, views and triggers in an empty database. */
int schema_create(struct db *db, struct err *e);

/* Is the schema of this file ours: every table and trigger of ours, and each view that a trigger reads, there and
 * unchanged, and no trigger that is not ours (a database is hostile input: its triggers would run on our writes)?
 * -1: ERR_FORMAT. */
int schema_check(struct db *db, struct err *e);

/* The triggers of one table or of all as SQL text, from the columns of the tables that exist. */
int triggers_make(struct db *db, struct buf *sql, struct err *e);

/* When an edit is checked: neither during an import nor by undo (triggers.c). */
#define TRIGGERS_QUIET "(SELECT importing FROM edit_state) IN (0, 4)"

/* Bytes in the receive or send queue of a connection: of the row of socket_queue or tcp_stream that row is. */
#define TRIGGERS_QUEUED(row, which)                                                                \
	"(SELECT coalesce(sum(coalesce(length(data), length)), 0) FROM socket_queue WHERE image "  \
	"= " row ".image AND ino = " row ".ino AND direction = '" which "')"

/* The condition that an object of a JSON column (is_list: of the array that it is) has a member that is not known or of
 * another type than it is written as, and was not there, appended, as those of checks_int.h. 1; 0: nothing is known. */
int members_check(struct buf *sql, const char *table, const char *column, bool is_list,
		  struct err *e);

/* The triggers that refuse a wrong edit of a table (checks.c), appended. */
int checks_procedures(struct buf *sql, struct err *e); /* what those call */
int checks_add(struct db *db, struct buf *sql, const char *table, const char *key, struct err *e);

/* Has the table an edit log? */
bool triggers_is_logged(const char *table);
