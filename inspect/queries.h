/* queries.h: ready queries by name, those of the program (queries/) and those of a folder.
 *
 * Owns:  their texts, behind struct queries.
 * Never: opens a database or runs a query; takes SQL out of a database.
 * Order: queries_new, queries_find or queries_at, queries_free.
 * Form:  a file NAME.sql that begins with a comment: a sentence, further text, the columns of the result; see
 *        queries/README.md. A file without one is a query without a description.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"

/* A file in the program (made by cmake/embed.cmake). */
struct embed_text {
	const char *name, *text;
};
extern const struct embed_text queries_embedded[]; /* ends with a zeroed row */

struct query_column {
	char *name, *what;
};

/* All texts are lent for the life of struct queries. */
struct named_query {
	char *name;
	char *summary; /* the first sentences, one line; "" when there is no comment */
	char *about;   /* the rest of it but the columns, lines as they are; may be "" */
	struct query_column *columns;
	size_t n_columns;
	char *sql;    /* all of the file, comment included */
	char *origin; /* path of the file, NULL: part of the program */
};

struct queries;

/* The queries of the program and, when folder is not NULL, of its *.sql files, which win over those of the same
 * name. An owned handle; NULL: ERR_IO, ERR_NOTFOUND, ERR_RANGE (a file of more than 1 MiB), ERR_NOMEM. */
struct queries *queries_new(const char *folder, struct err *e);
void queries_free(struct queries *q);

/* Query number i in the order of the names, NULL beyond the end. */
const struct named_query *queries_at(const struct queries *q, size_t i);

/* By name; NULL: ERR_USAGE, with the name that is meant or the list. */
const struct named_query *queries_find(const struct queries *q, const char *name, struct err *e);

static inline void queries_cleanup_(struct queries **q)
{
	queries_free(*q);
}
#define auto_queries __attribute__((cleanup(queries_cleanup_)))
