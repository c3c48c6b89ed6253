/* checks_int.h: rows of checks_conditions.c, which checks.c makes triggers of. */
#pragma once

#include <stddef.h>

/* When a row is about. */
enum {
	ON_INSERT = 1,
	ON_UPDATE = 2,
	ON_BOTH = 3,
	BY_OTHERS = 4, /* not our own operations, which do it in more than one step */
};

struct condition {
	const char *table;
	const char *columns; /* separated by ", ": it looks when one of them changes */
	const char *
		bad; /* SQL: NEW the row, OLD a column as it was, @ the first column, of which NULL is
			    not bad; "1": any change */
	const char *message;
	unsigned when;
};

extern const struct condition check_conditions[];
extern const size_t n_check_conditions;
