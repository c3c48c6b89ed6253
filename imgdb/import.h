/* import.h: raw images -> database.
 *
 * One transaction an image: a failure leaves the database as it was. Images are hostile input; nothing in
 * them is executed, and every length is checked.
 */
#pragma once

#include "base/progress.h"
#include "imgdb/db.h"

struct import_opts {
	bool salvage; /* damaged files give the records before the damage */
	bool again;   /* the same evidence may be imported a second time */
	const char *
		live; /* the folder is the caller's own for a moment: what was dumped ("--pid 7") is
			   * the name of the image; NULL: a folder or archive of others */
	struct progress *progress; /* borrowed; NULL: nobody waits */
};

/* Import the image directory at path as a new image, whose id is put into *image. */
int import_dir(struct db *db, const char *path, const struct import_opts *opts, int64_t *image,
	       struct err *e);

/* The same for a checkpoint archive (tar, also compressed), which is read once, as a stream. What is not
 * network state (memory pages, root file system) is hashed and referred to. The image is the folder of
 * inventory.img in it; files are named by their path in the archive. */
int import_archive(struct db *db, const char *path, const struct import_opts *opts, int64_t *image,
		   struct err *e);

/* Whichever of the two path is. */
int import_any(struct db *db, const char *path, const struct import_opts *opts, int64_t *image,
	       struct err *e);
