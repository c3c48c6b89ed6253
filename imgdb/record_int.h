/* record_int.h: what record.c and export.c share: rows, the records they came from, and the difference.
 *
 * Owns:  struct record_cache, one for a connection: open tables and maps.
 * Order: record_cache_get; record_origin and record_read for a row; record_edits or record_netlink.
 */
#pragma once

#include "imgdb/map.h"
#include "imgdb/record.h"
#include "proto/img.h"
#include "proto/rta.h"

/* Where a row came from. */
struct record_origin {
	bool is_there; /* false: the row was added by an edit */
	int64_t file, rec, off;
	const struct img_type *type;
	uint64_t number; /* in the name of the file */
};

/* The cache of the connection, lent, or NULL with e set. */
struct record_cache *record_cache_get(struct db *db, struct err *e);

/* One open table of the schema, lent; NULL with e set (ERR_NOTFOUND). */
struct sql_table *record_table(struct record_cache *rc, const char *name, struct err *e);
struct map *record_map(struct record_cache *rc, enum map_id id, struct err *e);

/* All size bytes of a stored file, in pieces. One walk: SQLite finds a place in a large content only by
 * going through all pages before it. */
typedef int record_piece_fn(void *arg, struct span piece, struct err *e);
int record_file_each(struct db *db, int64_t file, size_t size, record_piece_fn *fn, void *arg,
		     struct err *e);
int record_file_type(struct db *db, int64_t file, const struct img_type **type, uint64_t *number,
		     struct err *e);

/* The message of the record at off: a netlink message, or a protobuf message without its length word. */
int record_message(struct db *db, const struct record_origin *o, struct buf *out, struct err *e);

int record_origin(const struct sql_table *t, struct db *db, const struct sql_row *row,
		  struct record_origin *o, struct err *e);

/* The part of a protobuf message that a row is about: the message itself, or the socket inside a
 * file_entry; prefix becomes "isk." etc. 1, or 0: the record has no such part. */
int record_part(const struct img_type *type, struct span msg, enum map_id *map, struct span *part,
		char prefix[16], struct err *e);

/* Of the two rows that a socket has, those that may differ from its record. */
enum { ROW_OWN = 1, ROW_OF_FAMILY = 2, ROWS_ALL = 3 };

/* Edits that bring the protobuf record of row id of a mapped table up to its columns. msg: the part. rows: ROW_*, ROWS_ALL
 * of tables without families. */
int record_edits(struct record_cache *rc, enum map_id map, struct span msg, unsigned rows,
		 int64_t id, const char *prefix, struct map_edits *x, struct err *e);

/* A netlink message with the row's columns applied, appended to out. */
int record_netlink(struct record_cache *rc, enum rta_table t, int64_t id, struct span msg,
		   struct buf *out, struct err *e);

/* The RTM_NEWLINK message of a device, from its record entry (net_device_entry; empty: none).
 * has_link: the entry has one of its own. */
int record_device_link(struct record_cache *rc, int64_t id, struct span entry, bool *has_link,
		       struct buf *out, struct err *e);
