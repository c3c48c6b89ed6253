/* edit_int.h: what the files of the framework share.
 *
 * Owns:  the fields of struct edit.
 */
#pragma once

#include "base/json.h"
#include "inspect/edit/edit.h"

struct edit {
	struct db *db; /* owned by edit_command */
	int64_t op, image;
	struct edit_ids images;     /* that are meant */
	struct json *left;          /* owned: array of {object, reason} */
	bool has_named;             /* messages name the image: there are several */
	struct edit_labels *labels; /* owned, made when first used */
	struct {
		char *sql;
		struct query *q;
	} kept[64]; /* statements of edit_exec and the like */
	unsigned n_kept;
	void *user; /* of who runs edit_each */
};

/* The database of an editing command, owned, or NULL; with --read-only a copy in memory (--dry-run). */
struct db *edit_open(const struct cli *c, struct err *e);

/* Parse --image and begin the operation on an open database. */
int edit_begin(struct edit *x, const struct cli *c, struct err *e);

/* run for each image, in a transaction of its own inside that of the operation. */
int edit_each(struct edit *x, const struct cli *c, edit_fn *run, struct err *e);

/* Print what was changed and what was left alone, and end the operation. */
int edit_end(struct edit *x, const struct cli *c, struct err *e);
void edit_free(struct edit *x);

/* ---- edit_report.c ---- */

enum { EDIT_ROWS_MAX = 2000 }; /* more changed rows are only counted, unless --rows */

/* Print what operation op changed and what was left alone (may be NULL). */
struct edit_report {
	struct db *db;
	int64_t op;
	const char *title;       /* first line of text, NULL: none */
	const struct json *left; /* borrowed */
	bool all_rows, dry_run;
	bool has_images; /* objects are named with their image */
};
int edit_report(const struct cli *c, const struct edit_report *r, struct err *e);
