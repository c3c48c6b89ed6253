/* db_path.h: the name of a database file as sqlite3_open_v2 takes it.
 *
 * Owns:  nothing.
 * Never: opens the file for writing.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

/* The path literally: neither ":memory:" nor "file:..." nor "" mean anything else than a file (flags without
 * SQLITE_OPEN_URI). An owned string or NULL. */
char *db_path_plain(const char *path, struct err *e);

/* The same for reading (flags with SQLITE_OPEN_URI). A database that another program left in WAL mode needs files
 * beside it even to be read; where there are none, so that all of it is in the one file, it is read as one that
 * cannot change. */
char *db_path_reading(const char *path, struct err *e);

/* In WAL mode with changes that are in a file beside it alone? */
bool db_path_is_unmerged(const char *path);
