/* export.h: database -> raw images.
 *
 * Owns:  the new folder or archive until it is complete.
 * Never: leaves half an image: everything is written under another name beside the final one, renamed
 *        when all is there and taken away otherwise. Never opens a path out of the database but a plain
 *        one in the source, and uses what is there only when its hash is the one recorded.
 * An image that was not edited comes out byte for byte. In an edited record only the fields of the columns
 * that changed differ; records of deleted rows are left out, added rows come last in their file.
 */
#pragma once

#include "base/progress.h"
#include "imgdb/db.h"

struct export_opts {
	bool force; /* also when an edited record lacks what CRIU requires */
	const char *
		source; /* folder or archive of the files kept by reference; NULL: the one recorded */
	struct progress *progress; /* borrowed; NULL: nobody waits */
};

/* The folder or archive that the files kept by reference are read from, as text of a path in out. */
int export_source(struct db *db, int64_t image, const struct export_opts *opts, struct buf *out,
		  struct err *e);

/* out must not exist. Its ending tells whether it becomes an archive (arc_is_name) or a folder; an image that
 * came from an archive has the same paths in both. -1: nothing is left behind. */
int export_image(struct db *db, int64_t image, const char *out, const struct export_opts *opts,
		 struct err *e);
