/* before.h: tables as they came in, for queries that are asked what they would have found then.
 *
 * Owns:  temporary tables with the names of those of the database: they come first for every query of the connection
 *        until before_show, also for prepared ones. They are in memory, have only the columns that are asked for, and
 *        the indexes of these.
 * Never: writes the database.
 * Order: before_touch, any number of before_hide, before_show.
 */
#pragma once

#include "imgdb/db.h"

enum before_rows {
	BEFORE_ALL,     /* all, as they came in */
	BEFORE_TOUCHED, /* those of before_touch, as they came in */
	BEFORE_NOW,     /* the same, as they are now */
};

/* Remember the keys of the rows of some tables (names, separated by blanks) that the edit log names. */
int before_touch(struct db *db, const char *tables, struct err *e);

/* Is the key among them? 1, 0, -1 */
int before_is_touched(struct db *db, int64_t key, struct err *e);

/* Hide a table that has an edit log behind its rows; where it has rows of several images, those of image. columns: n
 * names; the key is always there. */
int before_hide(struct db *db, int64_t image, const char *table, const char *const *columns,
		size_t n, enum before_rows rows, struct err *e);

/* Take all of that away. */
int before_show(struct db *db, struct err *e);
