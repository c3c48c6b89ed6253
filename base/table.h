/* table.h: rows for people (aligned text) and for programs (JSON, CSV), from one list of columns.
 *
 * Owns:  the rows behind struct table (cells are copied).
 * Never: lets a cell reach the terminal unescaped: control bytes come out as \xNN.
 * Order: table_new, table_row and table_cell... for each row, table_print, table_free.
 * Text:  columns two spaces apart. On a terminal that is too narrow, text that bears it (TABLE_SHRINK) is cut with an
 *        ellipsis, and the last columns go to lines of their own, indented; names, addresses and numbers are cut
 *        only where one cell would fill the terminal. Output that is no terminal is never cut, and a cell of more
 *        than 200 cells there does not widen its column. NULL cells are "-", "" is "". Colours (base/colour.h)
 *        where style says so.
 * JSON:  one array of objects, members named by the column's name in the order of the columns.
 * CSV:   RFC 4180, with a header line; NULL is an empty field.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

enum table_type {
	TABLE_STR,
	TABLE_INT,  /* digits: a JSON number (above 2^53 a string) */
	TABLE_REAL, /* a decimal number: a JSON number */
	TABLE_BOOL, /* "1" or "0": true, false; text shows yes, no */
	TABLE_JSON, /* a JSON text, put into JSON output as a value */
	TABLE_AUTO, /* the kind comes with each cell: table_cell_typed */
};

enum table_flag {
	TABLE_RIGHT = 1 << 0,  /* align right */
	TABLE_SHRINK = 1 << 1, /* cut on a narrow terminal before columns without this flag */
	TABLE_HIDDEN = 1 << 2, /* in JSON and CSV and by -o only */
	TABLE_EXTRA = 1 << 3,  /* only by -o NAME or -o +NAME, in no default output */
	TABLE_LINES = 1 << 4,  /* text of several lines, which text output keeps */
	TABLE_NAME = 1 << 5,   /* colours: name of a device or namespace */
	TABLE_ADDR = 1 << 6,   /* address of IPv4 or IPv6 */
	TABLE_MAC = 1 << 7,    /* address of a device */
	TABLE_STATE = 1 << 8,  /* UP, DOWN, LISTEN, ... */
	TABLE_WHOLE = 1 << 9,  /* never cut: moves the rest of its line */
	TABLE_BELOW = 1 << 10, /* on a terminal too narrow for the line: whole, indented below it */
};

struct table_col {
	const char *name; /* stable: JSON member, CSV heading, -o; text shows it in capitals */
	enum table_type type;
	unsigned flags;
};

enum table_format { TABLE_TEXT, TABLE_AS_JSON, TABLE_CSV };

struct table_style {
	enum table_format format;
	bool no_header;
	const char *columns; /* "a,b", or "+a,b" in addition to the defaults; NULL: the defaults */
	unsigned width;      /* of the terminal; 0: unlimited */
	bool colour;
	bool records; /* on a terminal too narrow for the line: a line for each cell instead */
};

struct table;

/* An owned table. cols is borrowed and must outlive it. NULL: ERR_NOMEM. */
struct table *table_new(const struct table_col *cols, size_t n_cols, struct err *e);
void table_free(struct table *t);

/* Begin a row of NULL cells. */
int table_row(struct table *t, struct err *e);

/* Set a cell of the last row. text is copied; NULL is allowed. */
int table_cell(struct table *t, size_t col, const char *text, struct err *e);
int table_cellf(struct table *t, size_t col, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
int table_cell_int(struct table *t, size_t col, int64_t v, struct err *e);

/* As table_cell of a text (not NULL) that outlives the table, without a copy. */
void table_cell_lent(struct table *t, size_t col, const char *text);

/* As table_cell with the kind of this cell, for TABLE_AUTO columns. */
int table_cell_typed(struct table *t, size_t col, enum table_type type, const char *text,
		     struct err *e);

size_t table_rows(const struct table *t);

/* Which columns a style prints, into wanted[n_cols], so that others need not be found out. ERR_USAGE as
 * table_print. */
int table_wanted(const struct table_col *cols, size_t n_cols, const struct table_style *style,
		 bool *wanted, struct err *e);

/* Print; ERR_USAGE when style names a column that is not there (the message lists them). */
int table_print(const struct table *t, const struct table_style *style, FILE *out, struct err *e);

/* Columns of the terminal behind out, 0 when it is none. COLUMNS in the environment wins. */
unsigned table_terminal_width(FILE *out);

/* Cells of a terminal that n bytes of UTF-8 take: 0 for combining marks, 2 for East Asian wide. */
size_t table_text_width(const char *s, size_t n);

/* Bytes of s (n bytes of UTF-8) that fit into width cells. */
size_t table_cut_at(const char *s, size_t n, size_t width);

static inline void table_cleanup_(struct table **t)
{
	table_free(*t);
}
#define auto_table __attribute__((cleanup(table_cleanup_)))
