/* export.h: database -> raw images.
 *
 * Owns:  the new folder until it is complete.
 * Never: leaves half an image: everything is written into a folder beside the final one, which is renamed
 *        when all is there and taken away otherwise. Never opens a path out of the database but a plain
 *        file name below the source folder, and uses it only when its hash is the one recorded.
 * An image that was not edited comes out byte for byte. In an edited record only the fields of the columns
 * that changed differ; records of deleted rows are left out, added rows come last in their file.
 */
#pragma once

#include "imgdb/db.h"

struct export_opts {
	bool force;         /* also when an edited record lacks what CRIU requires */
	const char *source; /* folder of the files kept by reference; NULL: the one recorded */
};

/* The folder that the files kept by reference are read from, as text of a path in out. */
int export_source(struct db *db, int64_t image, const struct export_opts *opts, struct buf *out,
		  struct err *e);

/* out must not exist. -1: nothing is left behind. */
int export_dir(struct db *db, int64_t image, const char *out, const struct export_opts *opts,
	       struct err *e);
