/* log_row.h: a row as the edit log has it (edit_log.before, .after): {"column":value,...}.
 *
 * Owns:  names and values of one row at a time; the memory is used again by the next.
 * Input: hostile. A flat JSON object of texts, whole numbers and nulls is one, and nothing else. A text is that of a
 *        TEXT column, or what SQLite's quote() made of a blob: X'hex'.
 * Order: log_row_read, any number of the others; again; log_row_free. {0} to begin with.
 */
#pragma once

#include "imgdb/db.h"

struct log_row {
	struct buf text; /* names and values, each with a zero byte behind it */
	struct log_column {
		size_t name, value, len; /* where in text; len of the value */
		enum query_type type;    /* QUERY_INT, QUERY_TEXT, QUERY_NULL */
	} * columns;
	unsigned n, cap;
	unsigned next; /* where log_row_find looks first */
};

/* A value as it goes into the column. */
struct log_value {
	enum query_type type;
	int64_t num;
	const void *data; /* of QUERY_TEXT and QUERY_BLOB, lent */
	size_t len;
	struct buf blob; /* memory of it */
};

/* Read a row in place of the one before. 0, or -1 (ERR_FORMAT). */
int log_row_read(struct log_row *r, const char *json, struct err *e);
void log_row_free(struct log_row *r);

const char *log_row_name(const struct log_row *r, unsigned i); /* lent, as all that follows */

/* Number of a column, -1: none. Rows of one table have their columns in one order, so asking for them in that of
 * another row takes one step each. */
int log_row_find(struct log_row *r, const char *name);

/* The value of a column as people read it: its text, the digits of a number, X'hex' of a blob. NULL: it is null. */
const char *log_row_text(const struct log_row *r, unsigned i);

/* Is column i of both the same? j as from log_row_find: -1 is never. */
bool log_row_same(const struct log_row *r, unsigned i, const struct log_row *other, int j);

/* The value of column i, which is a TEXT column or another. v is overwritten, its memory used again. -1 (ERR_FORMAT):
 * it is no value of such a column. */
int log_row_value(const struct log_row *r, unsigned i, bool is_text, struct log_value *v,
		  struct err *e);
void log_value_free(struct log_value *v);

int log_value_bind(const struct log_value *v, struct query *q, const char *name, struct err *e);

/* Append it as a literal of SQL, as quote() does. A text with a zero byte ends there. */
int log_value_print(const struct log_value *v, struct buf *out, struct err *e);

#define auto_log_row   __attribute__((cleanup(log_row_free)))
#define auto_log_value __attribute__((cleanup(log_value_free)))
