/* places.h: where the rows of an image have addresses, and walking over all of them.
 *
 * Owns:  the const list of places; which columns hold addresses as text, in JSON, in a ruleset or as bytes.
 * Never: knows what becomes of an address.
 * Walk:  a row at a time in the order of its key; memory does not grow with the rows. A row of which something
 *        is replaced is updated before the next one is read.
 */
#pragma once

#include "imgdb/db.h"

enum place_kind {
	PLACE_END,
	PLACE_TEXT,     /* an address or prefix, nothing else */
	PLACE_JSON,     /* strings in JSON */
	PLACE_OPTIONS,  /* socket options as JSON */
	PLACE_RULESET,  /* firewall.content */
	PLACE_SOCKADDR, /* bytes of a struct sockaddr */
	PLACE_ENGINE,   /* JSON of a container engine */
	PLACE_NOTE,     /* text of the user, that may speak of addresses */
	PLACE_FILTER,   /* instructions of a classic BPF program */
};

enum { PLACES_MAX = 10 };

struct place_table {
	const char *table, *key; /* key: of the table */
	const char *from;        /* joins after "TABLE AS t" */
	const char *netns;       /* SQL of the namespace, "NULL": rows have none */
	const char *where;       /* rows of an image (:image) that may have something */
	const char *extra;       /* more columns, for the caller */
	struct place {
		const char *column;
		enum place_kind kind;
	} place[PLACES_MAX];
};
extern const struct place_table
	place_tables[]; /* addresses of interfaces first; ends with a zeroed one */

struct place_row {
	const struct place_table *t;
	unsigned n_places;
	int64_t key, netns;    /* netns 0: none */
	const struct query *q; /* place i is column 2 + i; extra columns follow */
};

/* Look at place i of a row, which is not NULL. 1: out (empty before) takes its place, 0: it stays, -1. */
typedef int place_fn(void *arg, const struct place_row *row, unsigned i, struct buf *out,
		     struct err *e);

struct place_scope {
	struct db *db;
	int64_t image;
	const int64_t *netns; /* only these, NULL: all */
	size_t n_netns;
};

/* Rows of one table. fn only looks unless update. */
int places_walk(const struct place_scope *s, const struct place_table *t, bool update, place_fn *fn,
		void *arg, struct err *e);
