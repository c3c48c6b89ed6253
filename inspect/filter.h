/* filter.h: the filter language of ss(8), compiled to an SQL condition.
 *
 * Owns:  the condition and its parameters behind struct filter.
 * Never: puts a word of the user into SQL text: every value is a bound parameter.
 * Words: EXPR = TERM { [and] TERM } { or ... }, TERM = not TERM | ( EXPR ) | FIELD [OP] VALUE | state S |
 *        exclude S | autobound. and, or, not may be written & && | || !. OP is = == != < > <= >= (or eq ne neq
 *        lt gt le leq ge geq); without one it is =. "state A state B" means either, as in ss.
 * The condition is over the aliases of the select in sockets.c.
 */
#pragma once

#include "imgdb/db.h"

struct filter;

/* Compile text (may be empty: everything). An owned filter, or NULL (ERR_USAGE: the message says at which word
 * it stopped and what was expected). */
struct filter *filter_new(const char *text, struct err *e);
void filter_free(struct filter *f);

/* The condition, lent. Its parameters are :image and those that filter_bind binds. */
const char *filter_sql(const struct filter *f);
int filter_bind(const struct filter *f, struct query *q, struct err *e);

/* Does the image have the namespaces that the filter names? ERR_NOTFOUND with the name that may be meant. */
int filter_check(const struct filter *f, struct db *db, int64_t image, struct err *e);

/* A select of the ids of sockets (a few, by an index) beyond which the condition holds for none, lent; NULL when
 * no index helps. It has the same parameters. */
const char *filter_driver(const struct filter *f);

static inline void filter_cleanup_(struct filter **f)
{
	filter_free(*f);
}
#define auto_filter __attribute__((cleanup(filter_cleanup_)))
