/* reindex.h: another interface index for a device, in every row that has the old one.
 *
 * Owns:  the list of places in which the database has interface indexes.
 * For:   a copy in memory (db_copy) that is restored, or compared with what was restored: there the edit log of
 *        the copy makes record.h give records with the new index. In a database that people keep, an edit is an
 *        operation of inspect/.
 */
#pragma once

#include "imgdb/db.h"

/* edit_op.command of these edits: all places change together, so what the kernel made of the device still fits. */
#define REINDEX_COMMAND "any-ifindex"

struct reindex {
	int64_t netns; /* netns.id */
	int64_t from, to;
};

/* Change n devices, in this order; to is an index that no device of the namespace has by then. As one
 * operation. */
int reindex(struct db *db, const struct reindex *all, size_t n, struct err *e);
