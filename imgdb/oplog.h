/* oplog.h: operations: edits that belong together, who made them, and taking them back.
 *
 * Owns:  edit_op, and which operation rows of edit_log belong to. The rows themselves are made by triggers.
 * Never: executes text out of the database: names are looked up, values are bound (imgdb/log_row.h).
 * Order: db_begin; oplog_begin; edits; oplog_end; db_end.
 * What another client changed since the last operation becomes an operation of kind 'external' when the next
 * one begins. An undo is an operation as well, so nothing is ever lost from the log: what it takes back is
 * marked (edit_op.undone), and the next undo goes on with the operation before that.
 */
#pragma once

/* Of rows of edit_log: they changed something. INSERT OR IGNORE of a row that is there logs what it would replace. */
#define OPLOG_CHANGES  "total(action <> 'replace') > 0"

/* Of edit_op: an edit that was not taken back. Of edit_log: it is of no other operation (0: of another client, which has none
 * yet); what was taken back, and the taking back, are no change together. */
#define OPLOG_STANDS   "kind IN ('edit', 'external') AND undone IS NULL"
#define OPLOG_IN_FORCE "op NOT IN (SELECT id FROM edit_op WHERE NOT (" OPLOG_STANDS "))"

#include "imgdb/log_row.h"

/* Begin an operation inside the transaction of the caller; *op is its number. */
int oplog_begin(struct db *db, const char *command, int64_t *op, struct err *e);

/* Are the edits of operation op looked at as those of any other client are? Operations that change many places are trusted to
 * leave them in step; one that changes what it is told is not. */
int oplog_as_client(struct db *db, int64_t op, bool on, struct err *e);

/* End it. An operation that changed nothing leaves no trace: then *n_rows (rows of the log) is 0. */
int oplog_end(struct db *db, int64_t op, int64_t *n_rows, struct err *e);

/* As an operation of its own: take back the last n operations that are in effect (OPLOG_UNDO), or the last n
 * undos (OPLOG_REDO), as long as no other edit came after them. n 0: all there are.
 * ERR_NOTFOUND: there are not so many. ERR_CONFLICT: a row is not as the log left it (the log was edited). */
enum oplog_direction { OPLOG_UNDO, OPLOG_REDO };
int oplog_revert(struct db *db, enum oplog_direction d, unsigned n, const char *command,
		 int64_t *op, struct err *e);

/* The values of a row before (or after) it changed, checked: calls fn for each column whose value is not the one in
 * other (NULL: for each). tbl and the columns are of the schema. For undo and for scripts. ERR_FORMAT. */
typedef int oplog_column_fn(void *arg, const char *column, const struct log_value *v,
			    struct err *e);
int oplog_columns(struct db *db, const char *tbl, const struct log_row *row, struct log_row *other,
		  oplog_column_fn *fn, void *arg, struct err *e);

/* The key column of a table with a log, lent; NULL with e set (ERR_FORMAT: no such table). */
const char *oplog_key(struct db *db, const char *tbl, struct err *e);
