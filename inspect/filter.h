/* filter.h: the filter language of ss(8), compiled to an SQL condition.
 *
 * Owns:  the condition and its parameters behind struct filter.
 * Never: puts a word of the user into SQL text: every value is a bound parameter.
 * Words: EXPR = TERM { [and] TERM } { or ... }, TERM = not TERM | ( EXPR ) | FIELD [OP] VALUE | state S |
 *        exclude S. and, or, not may be written & && | || !. OP is = == != < > <= >= (or eq ne lt gt le
 *        ge); without one it is =. "state A state B" means either, as in ss.
 * The condition is over the columns of the select in sockets.c.
 */
#pragma once

#include "imgdb/db.h"

struct filter;

/* Compile text (may be empty: everything). db and image are asked which addresses lie in a prefix. An owned
 * filter, or NULL (ERR_USAGE: the message says at which word it stopped and what was expected). */
struct filter *filter_new(struct db *db, int64_t image, const char *text, struct err *e);
void filter_free(struct filter *f);

/* The condition, lent. Its parameters are :image and those that filter_bind binds. */
const char *filter_sql(const struct filter *f);
int filter_bind(const struct filter *f, struct query *q, struct err *e);

static inline void filter_cleanup_(struct filter **f)
{
	filter_free(*f);
}
#define auto_filter __attribute__((cleanup(filter_cleanup_)))
