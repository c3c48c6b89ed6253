/* set.h: fields of rows as people write them: FIELD=VALUE.
 *
 * Owns:  nothing beyond the struct.
 * A field is a column of the table, a column of "nsimg show" that stands for one, or a member of a JSON
 * column (attrs.id). Values are checked here as far as they can be checked without the row.
 */
#pragma once

#include "inspect/edit/edit.h"

enum set_how {
	SET_VALUE,
	SET_BITS_ON,  /* +UP */
	SET_BITS_OFF, /* -UP */
	SET_JSON,     /* a member */
	SET_DEVICE,   /* name of a device of the row's namespace: its index */
	SET_VIA,      /* gateway, or via when it is of another family than the route */
};

struct set_field {
	char table[24],
		column[32]; /* of the SQL schema; of several families of sockets: the next one too */
	char path[80];      /* of a member: '$.id' */
	enum set_how how;
	enum query_type type; /* QUERY_NULL: set to NULL */
	const char *text;     /* lent by value, or by own */
	int64_t num;
	struct buf own;
};

/* Is the word FIELD=VALUE? */
bool set_is_assignment(const char *word);

/* What word means for a table, appended to fields (one, or several where a socket has it in several families).
 * ERR_USAGE suggests the right field or word. */
enum { SET_FIELDS_MAX = 32 };
int set_parse(struct db *db, const struct edit_table *t, const char *word,
	      struct set_field fields[SET_FIELDS_MAX], unsigned *n, struct err *e);
void set_fields_free(struct set_field *fields, unsigned n);
