/* show.h: what "nsimg show" can show: one row a table, one row a column.
 *
 * Owns:  the const list of tables (show_tables.c).
 * A column is an SQL expression over the row (alias t), its namespace (n) and its device (d); words turn the
 * kernel's numbers into what ip and ss print. Conditions see the columns under the printed names.
 */
#pragma once

#include "base/table.h"
#include "inspect/words.h"

struct show_col {
	const char *name;
	const char *expr; /* NULL: t.name */
	enum words words;
	enum table_type type;
	unsigned flags; /* enum table_flag */
};

struct show_table {
	const char *name;
	const char *summary;
	const char *from;  /* everything after FROM; the row is t */
	const char *order; /* everything after ORDER BY */
	const struct show_col *cols;
	size_t n_cols;
};

extern const struct show_table show_tables[];
extern const size_t n_show_tables;

/* By name, also in the singular and by a beginning that only one has; NULL with e set. */
const struct show_table *show_find(const char *name, struct err *e);

/* Does a condition bind a column to one value, "COLUMN = 'TEXT'" or "COLUMN = NUMBER", alone or with more behind or
 * before AND? value: lent by where, without the quotes, and with none inside. */
bool show_where_equal(const char *where, const char *column, struct span *value);

/* Append a condition about t, of the image :image, that an index answers and that holds for every row for which where does; nothing when there
 * is none. */
int show_where_drive(const struct show_table *t, const char *where, struct buf *out, struct err *e);

/* Append the SELECT of a table: parameter :image, condition where (NULL: none), found with an index where one helps; with
 * in_netns only what is in the namespace :netns (netns.id). ERR_USAGE for a table whose rows are in none. */
int show_sql(const struct show_table *t, const char *where, bool in_netns, struct buf *out,
	     struct err *e);
