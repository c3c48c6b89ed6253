/* rows.h: results of queries as tables and as JSON.
 *
 * Owns:  nothing; db and query belong to the caller.
 * Never: writes to a database: everything here opens read-only.
 */
#pragma once

#include "base/cli.h"
#include "base/json.h"
#include "base/table.h"
#include "imgdb/db.h"

/* Open the database a command names as its argument arg, read-only, and pick the image it means (--image;
 * image may be NULL: the command is about all of them). An owned handle or NULL. */
struct db *rows_open(const struct cli *c, unsigned arg, int64_t *image, struct err *e);

/* Does the image have such a namespace, or several? ERR_NOTFOUND names the nearest. */
int rows_netns_check(struct db *db, int64_t image, const char *word, struct err *e);

/* The namespace (netns.id) of an image that a word means: its name, "nsN", or N. ERR_NOTFOUND names the nearest,
 * ERR_USAGE when several have that name. */
int rows_netns(struct db *db, int64_t image, const char *word, int64_t *id, struct err *e);

/* Add every row of q to t, column by column; t has as many columns as q. */
int rows_to_table(struct query *q, struct table *t, struct err *e);

/* Bind :image, run sql and print it as a table with these columns, in the style the command was asked for. */
int rows_print(const struct cli *c, struct db *db, const char *sql, int64_t image,
	       const struct table_col *cols, size_t n_cols, struct err *e);

/* The current row of q as an owned object, members named as the columns; columns whose name ends in
 * "_json" hold JSON and lose that ending. NULL on failure. */
struct json *rows_object(const struct query *q, struct err *e);

/* The value of a cell as text, NULL for SQL NULL: blobs as x'hex'. Into an emptied buf. */
int rows_cell_text(const struct query *q, int col, struct buf *out, bool *is_null, struct err *e);
