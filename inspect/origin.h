/* origin.h: from a row back to the bytes it came from: file, number of the record, offset, and a hex dump.
 *
 * Owns:  nothing; the bytes are those of the file as it was imported, without edits.
 * Bound: at most ORIGIN_MAX bytes of a record are shown; its length is always said.
 */
#pragma once

#include "base/cli.h"
#include "imgdb/db.h"

#define ORIGIN_MAX 1024

/* Print the rows of q (which has the columns id, file, rec and off among cols) with their origins: as JSON one array
 * of the rows, each with a member "origin" (and "core", of a task); as text each row as "NAME: VALUE" lines and the dump below. */
int show_origins(const struct cli *c, struct db *db, struct query *q, const struct table_col *cols,
		 size_t n_cols, struct err *e);
