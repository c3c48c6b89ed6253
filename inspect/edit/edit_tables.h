/* edit_tables.h: the tables that are edited: how people name their rows.
 *
 * Owns:  the const list (edit_tables.c), and texts that name a row (edit_label.c).
 */
#pragma once

#include "imgdb/db.h"
#include "inspect/show.h"

struct edit_table {
	const char *name;  /* of the SQL table; those of one socket are "socket" */
	const char *words; /* what it is called, separated by blanks, the first one in messages */
	const char *show;  /* in show_tables, NULL: none */
	const char
		*key; /* condition for the word after the table's name: :key; NULL: there is none */
	enum { EDIT_KEY_PLAIN, EDIT_KEY_ADDRESS, EDIT_KEY_PREFIX } key_kind;
	const char *label; /* template, see edit_label.c */
};
extern const struct edit_table edit_tables[]; /* ends with a zeroed one */

/* By one of its words or its SQL name; NULL with e set, which suggests one. */
const struct edit_table *edit_table_find(const char *word, struct err *e);

/* By SQL name, also a table of one family of sockets; NULL: none. */
const struct edit_table *edit_table_of(const char *name);

/* ---- naming rows ---- */

struct edit_labels;

/* op: the operation in whose log rows are looked up that are gone (0: none). An owned handle or NULL. */
struct edit_labels *edit_labels_new(struct db *db, int64_t op, struct err *e);
void edit_labels_free(struct edit_labels *l);

/* Append what people call the row: of its values in the log (a JSON object of literals), or as it is in the
 * database when logged is NULL. */
int edit_label(struct edit_labels *l, const char *tbl, int64_t row, const char *logged,
	       struct buf *out, struct err *e);

static inline void edit_labels_cleanup_(struct edit_labels **l)
{
	edit_labels_free(*l);
}
#define auto_edit_labels __attribute__((cleanup(edit_labels_cleanup_)))
