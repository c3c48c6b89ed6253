/* rta_columns.h: which header field or attribute a column is. Private to proto/rta*.c. */
#pragma once

#include "proto/rta_tables.h"

#define RTA_COL_PATH 4

enum rta_col_how {
	RTA_COL_NONE,           /* this kind of message has no such thing: NULL */
	RTA_COL_FIELD,          /* header field */
	RTA_COL_ATTR,           /* attribute; NULL when it is not there */
	RTA_COL_ATTR0,          /* the same, 0 when it is not there */
	RTA_COL_EITHER,         /* path (IPv4) or path2 (IPv6) */
	RTA_COL_TABLE,          /* attribute; in the header field too when it fits there */
	RTA_COL_LOW,            /* attribute; the header field has its low byte */
	RTA_COL_SUB,            /* member sub of a structure */
	RTA_COL_PREFIX,         /* address, with the length in a header field; NULL for none */
	RTA_COL_PREFIX_DEFAULT, /* the same; "default" for none */
	RTA_COL_RANGE,          /* structure of start and end: "80" or "80-90" */
	RTA_COL_LOCAL,          /* path, else path2 */
	RTA_COL_PEER,           /* path, where path2 is there and differs */
	RTA_COL_KIND,           /* attribute; "loopback" for that type of device */
	RTA_COL_WHAT,           /* what the message is about */
	RTA_COL_EXPECT,         /* 1: a conntrack expectation */
	RTA_COL_OTHER,          /* JSON of everything without a column */
	RTA_COL_COUNT
};

struct rta_column {
	const char *name;
	enum rta_col_how how;
	uint16_t path[RTA_COL_PATH], path2[RTA_COL_PATH];
	const char *field, *sub;
};

/* The columns of a message, up to one without name; the same names for every message of a table. */
const struct rta_column *rta_columns_of(const struct rta_msg *m);
const struct rta_column *rta_columns_unknown(void);
