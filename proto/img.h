/* img.h: the framing of image files: bytes to records, records to files.
 *
 * Owns:  where a record begins and ends, for every kind in img_types.h. A record is a span of the
 *        file, so header + all records + tail are the file again, byte for byte.
 * Never: decodes a message (wire.h does) and never trusts a length: each is checked against the end
 *        of the file before it is used. Allocates nothing while reading.
 * Order: img_read_begin, img_read_next until it is not 1.
 *        img_write_init; per file img_write_begin, img_write_*, img_write_end; img_write_free.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "proto/img_types.h"

struct ProtobufCMessage;
struct manifest;

#define IMG_MAGIC_COMMON  0x54564319u
#define IMG_MAGIC_SERVICE 0x55105940u

/* A file being read. Plain value: the bytes, the name and the records are borrowed from the caller. */
struct img_reader {
	const struct img_type *type;
	const char *name;  /* for messages */
	struct span bytes; /* the whole file */
	struct span head;  /* the words before the first record; may be empty */
	struct span tail;  /* after img_read_next gave 0 or -1: bytes that belong to no record */
	size_t pos;        /* of the next record */
	uint32_t next_no;
	bool is_v10;       /* old file without the common magic */
	bool done;         /* nothing more to read */
	bool damaged;      /* done because of damage: the records before it are good */
	size_t damage_off; /* where the damage begins: of the tail (see img_read_next) */
};

struct img_record {
	uint32_t no; /* 0, 1, ... in the file */
	size_t off;  /* of raw in the file: the length word of an entry, the header of a message */
	struct span raw;   /* everything: length word, message, extra payload, padding */
	struct span msg;   /* protobuf message; netlink message (nlmsg_len bytes); the whole file */
	struct span extra; /* extra payload with its padding (IMG_SHAPE_ENTRIES), may be empty */
	bool is_cut; /* with -1 of img_read_next: msg is whole, and extra what there is of the payload */
	uint16_t
		nl_type; /* IMG_SHAPE_NETLINK: nlmsg_type. Below 16 it is NLMSG_DONE and the like: part
			     * of the file, but no object */
};

/* Check the header of a file of this kind. name (for messages) and bytes are borrowed and must live as
 * long as r and its records. -1 (ERR_FORMAT): too short or another magic than the kind's; then
 * r->tail is the whole file and r->damaged is set, so that img_read_next gives no records. */
int img_read_begin(struct img_reader *r, const struct img_type *type, const char *name,
		   struct span bytes, struct err *e);

/* The next record. 1, or 0 at the end, or -1 (ERR_FORMAT, with name and offset) where the file is
 * damaged: the records so far are good, r->damage_off is where the good bytes end and r->tail holds the
 * rest; a caller that wants to salvage takes rec when it is_cut, and goes on with the next file (further calls give 0).
 * At the end r->tail is empty, but for netlink kinds, where it may be zero bytes after the last
 * message. A file of IMG_SHAPE_WHOLE has exactly one record, also when it is empty. */
int img_read_next(struct img_reader *r, struct img_record *rec, struct err *e);

/* Pass the records before number no, of a file of entries without extra payload (others: none is passed). */
void img_read_skip(struct img_reader *r, uint64_t no);

/* One file at a time is built in memory and written with one write(2) under another name, then renamed:
 * no half file ever has the final name. Not synced: a dump that must survive a power cut syncs the
 * file system once at its end. */
struct img_writer {
	int dirfd; /* borrowed */
	const struct img_type *type;
	char name[64]; /* of the file begun */
	struct buf bytes;
	struct manifest *files; /* borrowed; NULL: none. Gets each file that was written */
	bool is_v10;            /* without the common magic, as the other files of the image */
	bool in_place; /* the folder is new, and whoever fails removes it: no file needs a name of its own until it
			* is complete */
};

/* A writer of files in the folder behind dirfd (borrowed). */
void img_write_init(struct img_writer *w, int dirfd);
void img_write_free(struct img_writer *w);

/* Begin the file of a kind; number is the one in its name. Puts the header. What was begun before and
 * not ended is forgotten. */
int img_write_begin(struct img_writer *w, enum img_kind kind, uint64_t number, struct err *e);

/* Add an entry: packed from a message, or from bytes that are one (a length word comes before it). */
int img_write_message(struct img_writer *w, const struct ProtobufCMessage *msg, struct err *e);
int img_write_entry(struct img_writer *w, struct span msg, struct err *e);

/* Add bytes as they are: extra payload after an entry, text of a raw kind, a raw record to be copied. */
int img_write_bytes(struct img_writer *w, struct span bytes, struct err *e);

/* Add one netlink message to a raw kind, padded to 4 as `ip route save` does. */
int img_write_nlmsg(struct img_writer *w, struct span msg, struct err *e);

/* Create the file, mode 0600; a file of this name is replaced. -1: nothing of it is left behind. */
int img_write_end(struct img_writer *w, struct err *e);

#define auto_img_writer __attribute__((cleanup(img_write_free)))
