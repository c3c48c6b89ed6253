/* check_edits.h: which codes of check.h can have become true by the edits that are in the log of a database, and what
 * they find that the image had not when it came in.
 *
 * Owns:  the list of edited columns behind struct check_edits.
 * Never: writes the database, or copies it: of what was edited, the columns that a code reads are in memory as they came
 *        in (imgdb/before.h).
 * Order: check_edits_new, any number of check_edits_reach and check_edits_find, check_edits_free.
 */
#pragma once

#include "inspect/check/check.h"

struct check_edits;

/* What was edited in any image of the database. An owned list or NULL. */
struct check_edits *check_edits_new(struct db *db, struct err *e);
void check_edits_free(struct check_edits *x);

/* Does c read a column that was edited, or a table that rows were added to or deleted from? */
int check_edits_reach(const struct check_edits *x, struct db *db, const struct check_code *c,
		      bool *reached, struct err *e);

/* The errors, without warnings, that image has now and had not when it came in. An owned list or NULL. */
struct check_list *check_edits_find(const struct check_edits *x, struct db *db, int64_t image,
				    struct err *e);

static inline void check_edits_cleanup_(struct check_edits **x)
{
	check_edits_free(*x);
}
#define auto_check_edits __attribute__((cleanup(check_edits_cleanup_)))
