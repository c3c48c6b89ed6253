/* check.h: what makes a restore by CRIU or by nsimg fail later, found in the rows of an image.
 *
 * Owns:  the table of codes (check_table.c) and the list of findings behind struct check_list.
 * Never: changes the database. Repairs are edits: nsimg fix (fix.c).
 * Order: check_new, check_n and check_at, check_free.
 * Adding a code: a row in check_table.c with the SQL that finds it (or a function, where SQL is not enough), a
 *        line in doc/nsimg-check.1, and a case in tests/cli/check.bats on an image where it is true.
 */
#pragma once

#include "base/buf.h"
#include "imgdb/db.h"
#include "inspect/edit/edit.h"

struct check_list;

enum check_severity {
	CHECK_ERROR,   /* the restore fails, or makes something else than was dumped */
	CHECK_WARNING, /* it needs an option, or leaves something behind */
};

/* Whom it concerns. */
enum { CHECK_CRIU = 1, CHECK_NSIMG = 2 };

/* Add what is wrong with image to list (check_add). */
typedef int check_fn(struct check_list *list, struct db *db, int64_t image, struct err *e);

/* Repair one finding: a row of a table. ERR_UNSUPPORTED with the reason: this one cannot be repaired. */
typedef int check_fix_fn(struct edit *x, const char *table, int64_t row, struct err *e);

struct check_code {
	const char *code; /* stable */
	enum check_severity severity;
	unsigned stops;
	const char *sentence; /* what is wrong */
	const char *advice;   /* what to do */
	/* columns: table, row, what is wrong with it (may be NULL); :image. Where find is set: what that reads */
	const char *sql;
	check_fn *find;
	const char *repair; /* what fix does, NULL: there is none */
	check_fix_fn *fix;
};
extern const struct check_code check_codes[];
extern const size_t n_check_codes;

/* NULL with e set (ERR_USAGE, suggests one, or lists those that are among only) when there is no such code. */
const struct check_code *check_code_find(const char *word, unsigned only, struct err *e);

/* Of all codes only some. */
enum { CHECK_ONLY_ERRORS = 1, CHECK_ONLY_REPAIRS = 2 };
bool check_is_among(const struct check_code *c, unsigned only);

/* The codes that n_words words of a command mean, from its second on; without words all that are among only. codes has
 * room for both. ERR_USAGE as check_code_find. */
int check_pick(const struct cli *c, unsigned n_words, unsigned only,
	       const struct check_code **codes, size_t *n, struct err *e);

struct check_finding {
	const struct check_code *code;
	const char *table; /* where the object is, and its key */
	int64_t row;
	const char *detail; /* NULL: what the sentence says */
};

/* Look for these codes (NULL: all). An owned list or NULL. */
struct check_list *check_new(struct db *db, int64_t image, const struct check_code *const *codes,
			     size_t n, struct err *e);
void check_free(struct check_list *l);
size_t check_n(const struct check_list *l);
const struct check_finding *check_at(const struct check_list *l, size_t i); /* lent */

/* Is there a finding of that code about that row? */
bool check_has(const struct check_list *l, const struct check_finding *f);

/* Add f to l, its texts are copied; then, for check_has and for readers, sort: by code, table and row. */
int check_keep(struct check_list *l, const struct check_finding *f, struct err *e);
void check_sort(struct check_list *l);

/* For check_fn. detail may be NULL. */
int check_add(struct check_list *l, const char *table, int64_t row, const char *detail,
	      struct err *e);

static inline void check_cleanup_(struct check_list **l)
{
	check_free(*l);
}
#define auto_check __attribute__((cleanup(check_cleanup_)))

/* ---- for the table: check_lock.c, check_ruleset.c, check_files.c, fix_rows.c ---- */

extern const char check_lock_reads[], check_ruleset_reads[], check_ref_file_reads[],
	check_pages_reads[];
check_fn check_lock, check_ruleset, check_ref_file, check_ref_pages, check_no_pages;
check_fix_fn fix_lock, fix_route_flags, fix_route_nexthop, fix_bridge_mac, fix_root_netns,
	fix_ref_netns, fix_ref_device, fix_drop_row;
