/* evidence.h: are the files that an image was imported from still the same?
 *
 * Owns:  nothing beyond a call.
 * Never: writes, follows a link below the source, or takes the path of the source out of the database: the
 *        caller names it.
 */
#pragma once

#include "imgdb/db.h"

/* name is escaped text, as image_file.name. */
typedef int evidence_fn(void *arg, const char *name, const char *state, const char *sha256,
			const char *now, struct err *e);

/* Hash every file of an image again, in the folder or archive source. fn is told of each file that the image has:
 * state "same", "changed" (sha256 then, sha256 now), "missing", or why it cannot be read; now may be NULL. A file
 * that the source has and the image has not is "new" (sha256 NULL; archives only). ERR_NOTFOUND, ERR_IO: there is no
 * such source; ERR_FORMAT: an archive that is damaged, what was read until then has been told. */
int evidence_verify(struct db *db, int64_t image, const char *source, evidence_fn *fn, void *arg,
		    struct err *e);
