/* rules.h: a rules file: the same edit for many images.
 *
 * Owns:  the operations of the file behind struct rules.
 * Form:  JSON, doc/nsimg-rules.5. Everything in it is checked before anything is done; errors have file, line
 *        and column.
 */
#pragma once

#include "inspect/edit/edit.h"

struct rule {
	const struct edit_op *op;
	char **argv; /* owned: name, "--", database, words */
	int argc;
	bool is_optional; /* it may find nothing in any image */
	unsigned line, column;
	size_t n_done; /* images in which it found something */
};

struct rules {
	const char *path;  /* borrowed, for messages */
	struct rule *rule; /* owned */
	size_t n;
};

/* Read the text of a rules file, for a database (borrowed). ERR_USAGE with "PATH:LINE:COLUMN: ". */
int rules_read(struct rules *r, const char *path, const char *text, size_t len,
	       const char *database, struct err *e);
void rules_free(struct rules *r);

/* Line and column, from 1, of the member key of operation i in the text of a rules file that is JSON; key
 * NULL: of the operation. */
void rules_where(const char *text, size_t i, const char *key, unsigned *line, unsigned *column);
