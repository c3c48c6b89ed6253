/* check_name.h: what people call the object of a finding, and the record it came from. */
#pragma once

#include "inspect/check/check.h"

/* Append it. */
int check_object(struct edit_labels *l, struct db *db, const struct check_finding *f,
		 struct buf *out, struct err *e);

struct check_place {
	char file[256];   /* "": an edit made the row, or it has no record */
	int64_t rec, off; /* -1: none */
};
int check_place_read(struct db *db, const struct check_finding *f, struct check_place *p,
		     struct err *e);
