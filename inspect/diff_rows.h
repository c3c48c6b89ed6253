/* diff_rows.h: the rows of one table of one image, in the form in which they are compared.
 *
 * Owns:  the rows behind struct diff_rows. Used by diff.c only.
 */
#pragma once

#include "inspect/diff_match.h"
#include "inspect/diff_pending.h"
#include "inspect/diff_tables.h"

/* A value as it is compared and as it is shown; both NULL: absent. */
struct diff_value {
	char *cmp, *show;
};

struct diff_row {
	long netns;   /* pair, -1: none */
	char *object; /* what people call it */
	char *key;    /* rows of both images with equal keys are compared */
	struct diff_value *cols;
	bool orphan;  /* a task or socket in its key has no partner */
	bool done;    /* has found its partner */
	bool in_criu; /* of a kind that CRIU's images have */
};

struct diff_rows {
	struct diff_row *at; /* ordered by key */
	size_t n, cap, n_cols;
};

/* What one table's comparison needs. All borrowed. */
struct diff_run {
	struct diff *out;
	const struct match *m;
	const struct diff_pending *pending;
	const struct diff_opts *opts;
	bool by_criu; /* a restore of what CRIU alone dumped: what its images do not say is not compared */
	const struct diff_table *t;
};

/* Load into an empty *rows; free it also after a failure. */
int diff_rows_load(struct diff_run *r, int side, const struct diff_side *s, struct diff_rows *rows,
		   struct err *e);
void diff_rows_free(struct diff_rows *r);
