/* export_int.h: what the files of export share.
 *
 * Owns:  the list of changes of one image.
 */
#pragma once

#include "imgdb/export.h"
#include "imgdb/export_out.h"
#include "imgdb/record_int.h"

/* A row that went to another namespace is DELETED in its file and ADDED in that of the other one. */
enum change_how { CHANGE_EDITED, CHANGE_DELETED, CHANGE_ADDED };

/* A row that the edit log names, by the record it belongs to. */
struct change {
	int64_t file, rec; /* ADDED: file 0 */
	const char *table; /* static; of the row that has the record (socket, not inet_socket) */
	int64_t row;
	unsigned rows; /* ROW_*: which of them the log names */
	enum change_how how;
	enum img_kind kind; /* ADDED: of the file it belongs into */
	uint64_t number;    /* of that file; of a namespace that is gone, its own */
	bool is_done;       /* ADDED: it is in the file */
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

/* ---- export_epoll.c ---- */

/* Append a record of files.img that no row of was edited. An epoll descriptor in it loses what it watched and
 * is gone: CRIU cannot add a descriptor that nobody has (restore of eventpoll_tfd_entry in criu/eventpoll.c). */
int export_epoll(struct db *db, int64_t image, const struct img_record *rec, struct buf *out,
		 struct err *e);

/* A file of the image, as its row tells. */
struct file_row {
	int64_t id, size;
	struct arc_member m; /* texts are borrowed */
	char sha256[65];
	bool is_stored;
};

/* ---- export_source.c ---- */

/* Where files kept by reference come from; opened when the first one is needed. */
struct export_source {
	struct db *db;
	int64_t image;
	const struct export_opts *opts;
	struct buf path;
	int dirfd; /* -1: not a folder, or not open */
	struct arc_reader *arc;
};

/* Copy a file from there. -1 (ERR_CONFLICT): it is not the one that was imported. */
int export_source_copy(struct export_source *s, const struct file_row *f, struct export_out *out,
		       struct err *e);
void export_source_close(struct export_source *s);
