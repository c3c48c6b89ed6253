/* diff_tables.h: what the comparison compares: one row a table, one row a column.
 *
 * Owns:  the const lists. Used by diff.c and diff_match.c only; diff.h is the door.
 */
#pragma once

#include "inspect/diff.h"

enum diff_how {
	DIFF_TEXT,
	DIFF_JSON,      /* by value; a change is reported by member */
	DIFF_JSON_SET,  /* an array whose order does not count */
	DIFF_RULESET,   /* text of nft or iptables-save, without its counters */
	DIFF_NETNS,     /* netns.id */
	DIFF_TASK,      /* task.id */
	DIFF_COMM,      /* the name of a task; a holder is nsimg:COMM, cut to 15 bytes */
	DIFF_SOCKET,    /* socket.id */
	DIFF_ORDER,     /* words between ", ": those that both have are in the same order */
	DIFF_ONE_SIDED, /* JSON array of paths: those of a must be in b */
};

enum diff_flag {
	/* compared only when b is not a restore of a */
	DIFF_NOT_RESTORED = 1 << 0,
	/* left out with any_ifindex */
	DIFF_IFINDEX = 1 << 1,
	/* of a table: rows that only b has are no difference after a restore */
	DIFF_NO_ADDS = 1 << 2,
	/* of a table: a row that only one side has is not reported when its task or socket (in its key) is */
	DIFF_PART = 1 << 3,
	/* of a table: rows that only one side has are reported by another table */
	DIFF_NO_LONES = 1 << 4,
};

struct diff_col {
	const char *name;
	const char *expr; /* NULL: the column of that name of t */
	enum diff_how how;
	unsigned flags;
};

struct diff_table {
	const char *name;            /* of the schema; several rows may have the same one */
	const char *from;            /* after FROM; t is the row, and every row has an id */
	const char *where;           /* after WHERE t.image = :image AND; NULL: all */
	const char *netns;           /* netns.id the row belongs to, for the heading; NULL: none */
	const char *object;          /* what people call it */
	const struct diff_col *keys; /* rows with equal keys are compared */
	size_t n_keys;
	const struct diff_col *cols;
	size_t n_cols;
	unsigned flags;
	const char *in_criu; /* is a row of a kind that CRIU's images have? NULL: all are */
};

extern const struct diff_table diff_tables[];
extern const size_t n_diff_tables;
