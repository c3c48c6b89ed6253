/* table_int.h: what table.c (rows, JSON, CSV) and table_text.c (text for people) share. */
#pragma once

#include "base/arena.h"
#include "base/table.h"

struct cell {
	const char *text; /* NULL is null */
	enum table_type type;
};

struct table {
	const struct table_col *cols;
	struct cell *cells; /* row by row */
	struct arena texts;
	size_t n_cols, n_rows, cap_rows;
};

/* Print n columns, pick[0] to pick[n - 1], as text. */
int table_print_text(const struct table *t, const struct table_style *s, const size_t *pick,
		     size_t n, FILE *out, struct err *e);
