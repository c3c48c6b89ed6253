/* sql_table.h: a table of the schema as the program sees it: columns, and rows as cells.
 *
 * Owns:  column names and the prepared insert of a table (struct sql_table), and the texts of a row
 *        (struct sql_row).
 * Never: knows what a column means. Types come from pragma_table_info, so schema.sql stays the one place
 *        that lists columns.
 * Order: sql_table_open; then rows: sql_row_clear, cells are set, sql_table_insert; sql_table_close.
 */
#pragma once

#include "imgdb/db_sqlite.h"

enum { SQL_COLUMNS_MAX = 64 };

struct sql_column {
	char name[30];
	bool is_notnull; /* an absent value becomes the default, else 0 or '' */
	bool has_default;
	bool is_text;
	char dflt[8]; /* a number, or text without its quotes */
};

struct sql_table {
	char name[24];
	unsigned n;
	struct sql_column column[SQL_COLUMNS_MAX];
	sqlite3_stmt *insert, *read; /* prepared when first used */
	struct db *db;
	int image, file, rec, off, netns; /* numbers of these columns, -1: the table has none */
	int64_t n_rows;                   /* inserted through this handle */
};

/* A value. data is borrowed from the image or, with is_own, an offset into sql_row.text. */
struct sql_cell {
	enum query_type type;
	bool is_own;
	int64_t num;
	const void *data;
	size_t len, own_off;
};

struct sql_row {
	struct sql_cell cell[SQL_COLUMNS_MAX];
	struct buf *text; /* shared by the rows of one record */
};

int sql_table_open(struct sql_table *t, struct db *db, const char *name, struct err *e);
void sql_table_close(struct sql_table *t);

/* Number of a column, -1: none of this name. */
int sql_column_find(const struct sql_table *t, const char *name);

void sql_row_clear(struct sql_row *r, const struct sql_table *t);
void sql_set_int(struct sql_row *r, int col, int64_t v); /* col -1: nothing */
void sql_set_lent(struct sql_row *r, int col, enum query_type type, struct span v);

/* The bytes are copied. sql_set_escaped: as escaped text. */
int sql_set_text(struct sql_row *r, int col, const char *v, size_t len, struct err *e);
int sql_set_escaped(struct sql_row *r, int col, struct span v, struct err *e);

/* What was added to r->text from offset start on becomes the text of the column. */
void sql_set_tail(struct sql_row *r, int col, size_t start);

struct span sql_cell_bytes(const struct sql_row *r, const struct sql_cell *c);

/* 0, -1 (ERR_DB with the constraint's sentence). The rowid is db_last_id. */
int sql_table_insert(struct sql_table *t, const struct sql_row *r, struct err *e);

/* Absent values of columns that are NOT NULL become the default, else 0 or ''. How many had no default. */
unsigned sql_row_complete(struct sql_row *r, const struct sql_table *t);

/* Read the row with this id (its first column) into cells; text is copied into r->text. 1, 0: no such
 * row, -1. */
int sql_row_read(struct sql_table *t, int64_t id, struct sql_row *r, struct err *e);

/* Same value? */
bool sql_cell_same(const struct sql_row *a, const struct sql_row *b, unsigned col);
