/* literal.h: the values of the edit log: what SQLite's quote() made of a value, read back.
 *
 * Owns:  the bytes of a text or blob, in the buf of the value.
 * Input: hostile. Only a complete literal is one: NULL, a decimal integer, a real number, 'text' with its
 *        quotes doubled, X'hex'. Nothing of it is ever executed.
 */
#pragma once

#include "imgdb/db.h"

struct literal {
	enum query_type type;
	int64_t num;
	double real;
	struct buf bytes; /* owned; of QUERY_TEXT and QUERY_BLOB */
};

/* The value of a literal; v is overwritten, its buf used again. 0, or -1 (ERR_FORMAT). */
int literal_parse(const char *text, struct literal *v, struct err *e);
void literal_free(struct literal *v);

int literal_bind(struct query *q, const char *name, const struct literal *v, struct err *e);

#define auto_literal __attribute__((cleanup(literal_free)))
