/* export_int.h: what export.c and export_record.c share.
 *
 * Owns:  the list of changes of one image.
 */
#pragma once

#include "imgdb/export.h"
#include "imgdb/record_int.h"

enum change_how { CHANGE_EDITED, CHANGE_DELETED, CHANGE_ADDED };

/* A row that the edit log names, by the record it belongs to. */
struct change {
	int64_t file, rec; /* ADDED: file 0 */
	const char *table; /* static; of the row that has the record (socket, not inet_socket) */
	int64_t row;
	enum change_how how;
	enum img_kind kind; /* ADDED: of the file it belongs into */
	uint64_t number;
};

struct changes {
	struct change *c; /* sorted by file, kind, number, rec, table, row */
	size_t n, cap;
};

void changes_free(struct changes *all);

/* The changes of an image, from the edit log and the rows as they are. */
int changes_load(struct db *db, int64_t image, struct changes *all, struct err *e);

/* Append the record as the n changes of it (all of one record) make it; nothing when it is deleted. */
int export_record(struct record_cache *rc, const struct img_type *type,
		  const struct img_record *rec, const struct change *c, size_t n,
		  const struct export_opts *opts, struct buf *out, struct err *e);

/* Append the record of an added row. */
int export_added(struct record_cache *rc, const struct change *c, const struct export_opts *opts,
		 struct buf *out, struct err *e);
