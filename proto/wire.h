/* wire.h: read and patch protobuf messages without unpacking them.
 *
 * Owns:  the wire format: fields with their offsets, values typed by protobuf-c's descriptors, and
 *        patching: a patched message is the old bytes with only the changed fields re-encoded.
 * Never: calls protobuf_c_message_unpack, allocates per field, or needs required fields. Lengths,
 *        varints and depth are bounded: messages come from hostile files.
 * Order: wire_check before anything recursive (protobuf_c_message_unpack) sees a message; otherwise
 *        any function at any time.
 *
 * Path:  names of fields joined by dots, "isk.opts.so_sndbuf". A repeated field may have an index,
 *        "nsids[1].netnsid_value"; without one, reading goes through all elements.
 * Twice: protobuf lets a singular field occur again: of a scalar the last one counts, a message is
 *        merged. Reading and patching follow that.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "base/buf.h"
#include "base/err.h"

enum {
	WIRE_DEPTH_MAX = 32, /* messages and groups inside each other */
	WIRE_PATH_MAX = 8,   /* names in a path */
};

/* As in the key of a field: number << 3 | type. */
enum wire_type {
	WIRE_VARINT = 0,
	WIRE_FIXED64 = 1,
	WIRE_LEN = 2,
	WIRE_GROUP = 3, /* kept as it is, never looked into */
	WIRE_GROUP_END = 4,
	WIRE_FIXED32 = 5,
};

/* One field of a message. */
struct wire_field {
	uint32_t number;
	enum wire_type type;
	uint64_t u;        /* varint or fixed number as it is on the wire */
	struct span bytes; /* WIRE_LEN: content; WIRE_GROUP: between the keys */
	struct span raw;   /* key and value */
	size_t key_len;    /* of raw: the bytes of the key */
	size_t off;        /* of raw in the message */
};

struct wire_iter {
	struct span msg; /* borrowed */
	size_t pos;
	size_t base; /* offset of msg in something larger, for messages and wire_value.off */
};

/* A typed value. u is the number in 64 bits: sign-extended for signed types and enums, 0 or 1 for
 * bool, the IEEE bits for float and double. bytes is for string, bytes and message. */
struct wire_value {
	uint64_t u;
	struct span bytes;
	size_t off; /* where its field (packed: its element) begins, counted from the outermost message */
};

static inline struct wire_iter wire_iter(struct span msg)
{
	return (struct wire_iter){msg, 0, 0};
}

/* The next field, of whatever number. 1, 0 at the end, -1 (ERR_FORMAT, with the offset). */
int wire_next(struct wire_iter *it, struct wire_field *f, struct err *e);

/* The one field with this number (the last one, if there are more). 1, 0 if absent, -1 (ERR_FORMAT). */
int wire_find(struct span msg, uint32_t number, struct wire_field *f, struct err *e);

/* The same of a number that is a varint: *v is 0 when there is none. */
int wire_find_number(struct span msg, uint32_t number, uint64_t *v, struct err *e);

/* The value of field f, which fd describes. -1 (ERR_FORMAT): f has another wire type than fd says, or
 * is packed (then use wire_packed_next). */
int wire_field_value(const ProtobufCFieldDescriptor *fd, const struct wire_field *f,
		     struct wire_value *v, struct err *e);

/* Repeated numbers may come packed (several in one WIRE_LEN field), whatever the .proto says. */
bool wire_is_packed(const ProtobufCFieldDescriptor *fd, const struct wire_field *f);

/* Elements of a packed field: begin with wire_iter(f->bytes). 1, 0 at the end, -1 (ERR_FORMAT). */
int wire_packed_next(const ProtobufCFieldDescriptor *fd, struct wire_iter *it, struct wire_value *v,
		     struct err *e);

/* All values at a path, in the order of the bytes. Plain value; msg is borrowed. */
struct wire_path_part {
	const ProtobufCFieldDescriptor *field;
	int64_t index; /* -1: none given */
};

struct wire_path {
	struct wire_path_part part[WIRE_PATH_MAX];
	unsigned n;
};

struct wire_values {
	struct wire_path path;
	struct {
		struct wire_iter it;
		int64_t seen; /* elements of the part's field met at this level */
	} level[WIRE_PATH_MAX];
	unsigned depth;
	struct wire_iter packed;
	bool in_packed;
};

/* -1 (ERR_USAGE): the path names no field of the message. */
int wire_path_parse(const ProtobufCMessageDescriptor *desc, const char *text,
		    struct wire_path *path, struct err *e);

int wire_values_begin(struct wire_values *it, const ProtobufCMessageDescriptor *desc,
		      struct span msg, const char *path, struct err *e);

/* 1, 0 at the end, -1 (ERR_FORMAT). v is lent from the message. */
int wire_values_next(struct wire_values *it, struct wire_value *v, struct err *e);

/* The value that counts at a path: the last one. 1; 0 if absent, and *v has the default (of the .proto,
 * else 0 and no bytes); -1. */
int wire_get(const ProtobufCMessageDescriptor *desc, struct span msg, const char *path,
	     struct wire_value *v, struct err *e);

/* False also for a path or message that cannot be read. */
bool wire_has(const ProtobufCMessageDescriptor *desc, struct span msg, const char *path);

/* The default of a field: of the .proto, else 0 and no bytes (lent, static). */
void wire_default(const ProtobufCFieldDescriptor *fd, struct wire_value *v);

/* Is this a message that can be read to its end? Well-formed to the depth that desc knows, wire types
 * as desc says, nothing deeper than WIRE_DEPTH_MAX. Required fields may be missing; unknown fields are
 * fine. desc NULL: only the outer level. 0, or -1 (ERR_FORMAT, with the offset from the start of msg). */
int wire_check(const ProtobufCMessageDescriptor *desc, struct span msg, struct err *e);

/* The name of a required field that is missing (of msg itself, else "sub.field" of what is inside), put
 * into path. False: none is missing, or the message cannot be read. */
bool wire_missing(const ProtobufCMessageDescriptor *desc, struct span msg, char *path, size_t size);

/* One change: the field at path gets these values; n_values 0 deletes it. Missing messages on the way
 * are made. A repeated field without an index becomes exactly the list of values; with an index, that
 * element is set or deleted (index == count appends). The value of a message field is its bytes. */
struct wire_edit {
	const char *path;
	const struct wire_value *values; /* borrowed; off is not used */
	size_t n_values;
};

/* Append to out the message with the edits done in order (so an index counts after the edits before).
 * Bytes of other fields are copied as they are; an equal value keeps its bytes too; a new field comes
 * after the last one with a smaller or equal number. -1 (ERR_USAGE: path; ERR_RANGE: the value does not
 * fit the type; ERR_NOTFOUND: index beyond the end; ERR_FORMAT: the message), out as it was. */
int wire_patch(const ProtobufCMessageDescriptor *desc, struct span msg,
	       const struct wire_edit *edits, size_t n_edits, struct buf *out, struct err *e);

/* Append parts of a message that is being made by hand. */
int wire_put_varint(struct buf *out, uint64_t v, struct err *e);
int wire_put_value(struct buf *out, const ProtobufCFieldDescriptor *fd, const struct wire_value *v,
		   struct err *e); /* key and value */
int wire_put_payload(struct buf *out, const ProtobufCFieldDescriptor *fd,
		     const struct wire_value *v, struct err *e); /* without the key */

static inline struct wire_value wire_number(uint64_t u)
{
	return (struct wire_value){.u = u};
}

static inline struct wire_value wire_bytes(const void *data, size_t len)
{
	return (struct wire_value){.bytes = {(const uint8_t *)data, len}};
}
