/* live.h: what is running now, as an image: dump into a folder, and on into a database.
 *
 * Owns:  the image folder while it is written: unless the dump was finished, nothing of it stays.
 * For:   commands that compose dumper and imgdb (dump, verify).
 */
#pragma once

#include <linux/capability.h>

#include "base/caps.h"
#include "base/err.h"
#include "dumper/dumper.h"
#include "imgdb/db.h"

/* What a dump needs of its caller (struct cmd.caps). */
#define LIVE_CAPS                                                                                  \
	(CAPS_BIT(CAP_SYS_PTRACE) | CAPS_BIT(CAP_NET_ADMIN) | CAPS_BIT(CAP_SYS_ADMIN) |            \
	 CAPS_BIT(CAP_NET_RAW) | CAPS_BIT(CAP_DAC_READ_SEARCH) | CAPS_BIT(CAP_DAC_OVERRIDE))

/* The folder at path, new or empty, as a descriptor (owned), or -1; *made: it was not there. */
int live_folder_open(const char *path, bool *made, struct err *e);

/* Remove the files of a folder that was empty before, and the folder when we made it. */
void live_folder_remove(int fd, const char *path, bool made);

/* Dump into the folder at path, which must be new or empty. */
int live_to_dir(const struct dumper_request *rq, const char *path, struct dumper_report *report,
		struct err *e);

/* Dump into a folder of its own kind below parent (NULL: TMPDIR, or memory, or /tmp), import that into db, remove the
 * folder. */
int live_to_db(const struct dumper_request *rq, const char *parent, struct db *db, int64_t *image,
	       struct dumper_report *report, struct err *e);
