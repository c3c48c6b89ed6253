#include "proto/wire.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	KEY_BYTES_MAX = 5, /* 29 bits of number, 3 of type (protobuf encoding documentation) */
	LEN_BYTES_MAX = 5,
	VARINT_BYTES_MAX = 10,
};

/* A varint of at most max bytes at *pos. 0, or -1 with *pos as it was: cut off or too long. */
static int varint_read(struct span s, size_t *pos, unsigned max, uint64_t *v)
{
	uint64_t u = 0;

	for (unsigned i = 0; i < max && *pos + i < s.len; i++) {
		uint8_t byte = s.data[*pos + i];

		u |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (byte & 0x80)
			continue;
		*pos += i + 1;
		*v = u;
		return 0;
	}
	return -1;
}

static uint64_t fixed_read(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

static struct span sub(struct span s, size_t off, size_t len)
{
	return (struct span){s.len ? s.data + off : s.data, len};
}

static int bad(const struct wire_iter *it, size_t pos, const char *what, struct err *e)
{
	return err_set(e, ERR_FORMAT, "offset %zu of the message: %s", it->base + pos, what);
}

static int key_read(const struct wire_iter *it, size_t *pos, struct wire_field *f, struct err *e)
{
	size_t start = *pos;
	uint64_t key;

	if (varint_read(it->msg, pos, KEY_BYTES_MAX, &key) || key > UINT32_MAX)
		return bad(it, start, "the key of a field is cut off or too long", e);
	f->number = (uint32_t)(key >> 3);
	f->type = key & 7;
	if (f->number == 0)
		return bad(it, start, "field number 0", e);
	return 0;
}

static int value_read(const struct wire_iter *it, size_t *pos, struct wire_field *f, struct err *e)
{
	size_t start = *pos, left = it->msg.len - start, n = f->type == WIRE_FIXED64 ? 8 : 4;

	switch (f->type) {
	case WIRE_VARINT:
		if (varint_read(it->msg, pos, VARINT_BYTES_MAX, &f->u))
			return bad(it, start, "a varint is cut off or longer than 10 bytes", e);
		return 0;
	case WIRE_FIXED64:
	case WIRE_FIXED32:
		if (left < n)
			return bad(it, start, "a fixed-size number is cut off", e);
		f->u = fixed_read(it->msg.data + start, (unsigned)n);
		*pos += n;
		return 0;
	case WIRE_LEN:
		if (varint_read(it->msg, pos, LEN_BYTES_MAX, &f->u))
			return bad(it, start, "a length is cut off or too long", e);
		if (f->u > it->msg.len - *pos)
			return bad(it, start, "a length goes beyond the end", e);
		f->bytes = sub(it->msg, *pos, f->u);
		*pos += f->u;
		return 0;
	default:
		return bad(it, start, "unknown wire type", e);
	}
}

/* From behind the opening key to behind the key that closes it. The groups inside are counted, not
 * recursed into, so that their depth costs no stack. */
static int group_read(const struct wire_iter *it, size_t *pos, struct wire_field *f, struct err *e)
{
	uint32_t open[WIRE_DEPTH_MAX] = {f->number};
	unsigned depth = 1;
	size_t start = *pos;

	while (depth > 0) {
		struct wire_field in = {0};
		size_t at = *pos;

		if (at >= it->msg.len)
			return bad(it, start, "a group is not closed", e);
		if (key_read(it, pos, &in, e))
			return -1;
		if (in.type == WIRE_GROUP_END) {
			if (in.number != open[--depth])
				return bad(it, at, "the end of another group", e);
			f->bytes = sub(it->msg, start, at - start);
		} else if (in.type == WIRE_GROUP) {
			if (depth == WIRE_DEPTH_MAX)
				return bad(it, at, "groups are nested too deep", e);
			open[depth++] = in.number;
		} else if (value_read(it, pos, &in, e)) {
			return -1;
		}
	}
	return 0;
}

int wire_next(struct wire_iter *it, struct wire_field *f, struct err *e)
{
	size_t pos = it->pos;

	if (pos >= it->msg.len)
		return 0;
	*f = (struct wire_field){.off = pos};
	if (key_read(it, &pos, f, e))
		return -1;
	f->key_len = pos - it->pos;
	if (f->type == WIRE_GROUP ? group_read(it, &pos, f, e) : value_read(it, &pos, f, e))
		return -1;
	f->raw = sub(it->msg, it->pos, pos - it->pos);
	it->pos = pos;
	return 1;
}

int wire_find(struct span msg, uint32_t number, struct wire_field *f, struct err *e)
{
	struct wire_iter it = wire_iter(msg);
	struct wire_field in;
	int r, found = 0;

	while ((r = wire_next(&it, &in, e)) > 0) {
		if (in.number != number)
			continue;
		*f = in;
		found = 1;
	}
	return r < 0 ? -1 : found;
}

int wire_find_number(struct span msg, uint32_t number, uint64_t *v, struct err *e)
{
	struct wire_field f;
	int found = wire_find(msg, number, &f, e);

	*v = found == 1 && f.type == WIRE_VARINT ? f.u : 0;
	return found;
}

static enum wire_type type_of(const ProtobufCFieldDescriptor *fd)
{
	switch (fd->type) {
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		return WIRE_FIXED32;
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return WIRE_FIXED64;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
	case PROTOBUF_C_TYPE_MESSAGE:
		return WIRE_LEN;
	default:
		return WIRE_VARINT;
	}
}

static uint64_t unzigzag(uint64_t u)
{
	return (u >> 1) ^ -(u & 1);
}

static uint64_t zigzag(uint64_t u)
{
	return (u << 1) ^ -(u >> 63);
}

static uint64_t sign_extend(uint64_t u)
{
	return (uint64_t)(int64_t)(int32_t)(uint32_t)u;
}

/* A number of the wire as the value it stands for: a reader of a 32-bit type drops the upper bits
 * (protobuf encoding documentation). */
static uint64_t number_decode(const ProtobufCFieldDescriptor *fd, uint64_t u)
{
	switch (fd->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_ENUM:
	case PROTOBUF_C_TYPE_SFIXED32:
		return sign_extend(u);
	case PROTOBUF_C_TYPE_UINT32:
		return (uint32_t)u;
	case PROTOBUF_C_TYPE_SINT32:
		return sign_extend(unzigzag((uint32_t)u));
	case PROTOBUF_C_TYPE_SINT64:
		return unzigzag(u);
	case PROTOBUF_C_TYPE_BOOL:
		return u != 0;
	default:
		return u;
	}
}

bool wire_is_packed(const ProtobufCFieldDescriptor *fd, const struct wire_field *f)
{
	return f->type == WIRE_LEN && type_of(fd) != WIRE_LEN &&
	       fd->label == PROTOBUF_C_LABEL_REPEATED;
}

int wire_field_value(const ProtobufCFieldDescriptor *fd, const struct wire_field *f,
		     struct wire_value *v, struct err *e)
{
	if (f->type != type_of(fd))
		return err_set(e, ERR_FORMAT,
			       "offset %zu of the message: field %s has wire type %d instead of %d",
			       f->off, fd->name, (int)f->type, (int)type_of(fd));
	*v = (struct wire_value){.off = f->off};
	if (f->type == WIRE_LEN)
		v->bytes = f->bytes;
	else
		v->u = number_decode(fd, f->u);
	return 0;
}

int wire_packed_next(const ProtobufCFieldDescriptor *fd, struct wire_iter *it, struct wire_value *v,
		     struct err *e)
{
	struct wire_field f = {.type = type_of(fd)};
	size_t pos = it->pos;

	if (pos >= it->msg.len)
		return 0;
	if (value_read(it, &pos, &f, e))
		return err_wrap(e, "field %s", fd->name);
	*v = (struct wire_value){.u = number_decode(fd, f.u), .off = it->base + it->pos};
	it->pos = pos;
	return 1;
}

/* "name" or "name[3]" at the front of *text, which is moved behind it and its dot. */
static int part_parse(const ProtobufCMessageDescriptor *desc, const char **text,
		      struct wire_path_part *part)
{
	char name[64];
	const char *s = *text;
	size_t n = strcspn(s, ".[");

	if (n == 0 || n >= sizeof(name))
		return -1;
	memcpy(name, s, n);
	name[n] = '\0';
	s += n;
	part->field = protobuf_c_message_descriptor_get_field_by_name(desc, name);
	part->index = -1;
	if (!part->field)
		return -1;
	if (*s == '[') {
		size_t digits = strspn(++s, "0123456789");

		if (digits == 0 || digits > 9 || s[digits] != ']' ||
		    part->field->label != PROTOBUF_C_LABEL_REPEATED)
			return -1;
		for (part->index = 0; digits > 0; digits--)
			part->index = part->index * 10 + (*s++ - '0');
		s++;
	}
	if (*s == '.' && s[1])
		s++;
	else if (*s)
		return -1;
	*text = s;
	return 0;
}

int wire_path_parse(const ProtobufCMessageDescriptor *desc, const char *text,
		    struct wire_path *path, struct err *e)
{
	const char *s = text;

	path->n = 0;
	do {
		struct wire_path_part *part = &path->part[path->n];

		if (path->n == WIRE_PATH_MAX)
			return err_set(e, ERR_USAGE, "path '%s' has more than %d names", text,
				       WIRE_PATH_MAX);
		if (!desc || part_parse(desc, &s, part))
			return err_set(e, ERR_USAGE,
				       "'%s' in path '%s' is no field of %s, or has a wrong index",
				       s, text, desc ? desc->name : "a value that is no message");
		path->n++;
		desc = part->field->type == PROTOBUF_C_TYPE_MESSAGE ? part->field->descriptor
								    : NULL;
	} while (*s);
	return 0;
}

int wire_values_begin(struct wire_values *it, const ProtobufCMessageDescriptor *desc,
		      struct span msg, const char *path, struct err *e)
{
	if (wire_path_parse(desc, path, &it->path, e))
		return -1;
	it->depth = 0;
	it->level[0].it = wire_iter(msg);
	it->level[0].seen = 0;
	it->in_packed = false;
	return 0;
}

/* Go into message field f of the current level. */
static int values_enter(struct wire_values *it, const struct wire_field *f, struct err *e)
{
	const struct wire_iter *outer = &it->level[it->depth].it;
	struct wire_value v;

	if (wire_field_value(it->path.part[it->depth].field, f, &v, e))
		return -1;
	it->depth++;
	it->level[it->depth].it = wire_iter(f->bytes);
	it->level[it->depth].it.base = outer->base + f->off + f->raw.len - f->bytes.len;
	it->level[it->depth].seen = 0;
	return 0;
}

/* Is this the element that the path asks for at the current level? */
static bool values_wants(struct wire_values *it)
{
	int64_t no = it->level[it->depth].seen++, index = it->path.part[it->depth].index;

	return index < 0 || index == no;
}

int wire_values_next(struct wire_values *it, struct wire_value *v, struct err *e)
{
	for (;;) {
		const ProtobufCFieldDescriptor *fd = it->path.part[it->depth].field;
		struct wire_iter *level = &it->level[it->depth].it;
		struct wire_field f;
		int r;

		if (it->in_packed) {
			r = wire_packed_next(fd, &it->packed, v, e);
			it->in_packed = r > 0;
			if (r < 0 || (r > 0 && values_wants(it)))
				return r;
			continue;
		}
		r = wire_next(level, &f, e);
		if (r < 0 || (r == 0 && it->depth == 0))
			return r;
		if (r == 0) {
			it->depth--;
		} else if (f.number != fd->id) {
			continue;
		} else if (it->depth + 1 == it->path.n && wire_is_packed(fd, &f)) {
			it->in_packed = true;
			it->packed = wire_iter(f.bytes);
			it->packed.base = level->base + f.off + f.raw.len - f.bytes.len;
		} else if (!values_wants(it)) {
			continue;
		} else if (it->depth + 1 == it->path.n) {
			f.off += level->base;
			return wire_field_value(fd, &f, v, e) ? -1 : 1;
		} else if (values_enter(it, &f, e)) {
			return -1;
		}
	}
}

void wire_default(const ProtobufCFieldDescriptor *fd, struct wire_value *v)
{
	const void *d = fd->default_value;

	*v = (struct wire_value){0};
	if (!d)
		return;
	switch (fd->type) {
	case PROTOBUF_C_TYPE_STRING:
		v->bytes = (struct span){d, strlen(d)};
		break;
	case PROTOBUF_C_TYPE_BYTES:
		v->bytes = (struct span){((const ProtobufCBinaryData *)d)->data,
					 ((const ProtobufCBinaryData *)d)->len};
		break;
	case PROTOBUF_C_TYPE_BOOL:
		v->u = *(const protobuf_c_boolean *)d != 0;
		break;
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_ENUM:
		v->u = sign_extend(*(const uint32_t *)d);
		break;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		v->u = *(const uint32_t *)d;
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		break;
	default:
		v->u = *(const uint64_t *)d;
	}
}

int wire_get(const ProtobufCMessageDescriptor *desc, struct span msg, const char *path,
	     struct wire_value *v, struct err *e)
{
	struct wire_values it;
	struct wire_value one;
	int r, found = 0;

	if (wire_values_begin(&it, desc, msg, path, e))
		return -1;
	wire_default(it.path.part[it.path.n - 1].field, v);
	while ((r = wire_values_next(&it, &one, e)) > 0) {
		*v = one;
		found = 1;
	}
	return r < 0 ? -1 : found;
}

bool wire_has(const ProtobufCMessageDescriptor *desc, struct span msg, const char *path)
{
	struct err e = ERR_INIT;
	struct wire_value v;

	return wire_get(desc, msg, path, &v, &e) == 1;
}

static int check(const ProtobufCMessageDescriptor *desc, struct wire_iter it, unsigned depth,
		 struct err *e);

static int check_field(const ProtobufCFieldDescriptor *fd, const struct wire_iter *it,
		       struct wire_field *f, unsigned depth, struct err *e)
{
	struct wire_iter inner = wire_iter(f->bytes);
	struct wire_value v;
	int r;

	f->off += it->base;
	inner.base = f->off + f->raw.len - f->bytes.len;
	if (wire_is_packed(fd, f)) {
		do
			r = wire_packed_next(fd, &inner, &v, e);
		while (r > 0);
		return r;
	}
	if (wire_field_value(fd, f, &v, e))
		return -1;
	if (fd->type != PROTOBUF_C_TYPE_MESSAGE)
		return 0;
	return check(fd->descriptor, inner, depth + 1, e);
}

/* Recursion is bounded by WIRE_DEPTH_MAX. */
static int check(const ProtobufCMessageDescriptor *desc, struct wire_iter it, unsigned depth,
		 struct err *e)
{
	struct wire_field f;
	int r;

	if (depth >= WIRE_DEPTH_MAX)
		return bad(&it, 0, "messages are nested too deep", e);
	while ((r = wire_next(&it, &f, e)) > 0) {
		const ProtobufCFieldDescriptor *fd =
			desc ? protobuf_c_message_descriptor_get_field(desc, f.number) : NULL;

		if (fd && check_field(fd, &it, &f, depth, e))
			return -1;
	}
	return r;
}

int wire_check(const ProtobufCMessageDescriptor *desc, struct span msg, struct err *e)
{
	return check(desc, wire_iter(msg), 0, e);
}

/* A required field missing in msg itself. */
static const char *missing_here(const ProtobufCMessageDescriptor *desc, struct span msg)
{
	struct err e = ERR_INIT;
	struct wire_field f;

	for (unsigned i = 0; i < desc->n_fields; i++)
		if (desc->fields[i].label == PROTOBUF_C_LABEL_REQUIRED &&
		    wire_find(msg, desc->fields[i].id, &f, &e) == 0)
			return desc->fields[i].name;
	return NULL;
}

static bool missing(const ProtobufCMessageDescriptor *desc, struct span msg, char *path,
		    size_t size, unsigned depth)
{
	struct err e = ERR_INIT;
	struct wire_iter it = wire_iter(msg);
	struct wire_field f;
	const char *name = missing_here(desc, msg);

	if (name) {
		snprintf(path, size, "%s", name);
		return true;
	}
	while (depth < WIRE_DEPTH_MAX && wire_next(&it, &f, &e) > 0) {
		const ProtobufCFieldDescriptor *fd =
			protobuf_c_message_descriptor_get_field(desc, f.number);
		char inner[256];

		if (!fd || fd->type != PROTOBUF_C_TYPE_MESSAGE || f.type != WIRE_LEN ||
		    !missing(fd->descriptor, f.bytes, inner, sizeof(inner), depth + 1))
			continue;
		snprintf(path, size, "%s.%s", fd->name, inner);
		return true;
	}
	return false;
}

bool wire_missing(const ProtobufCMessageDescriptor *desc, struct span msg, char *path, size_t size)
{
	return missing(desc, msg, path, size, 0);
}

int wire_put_varint(struct buf *out, uint64_t v, struct err *e)
{
	uint8_t bytes[VARINT_BYTES_MAX];
	size_t n = 0;

	do {
		bytes[n] = (v & 0x7f) | (v > 0x7f ? 0x80 : 0);
		v >>= 7;
		n++;
	} while (v);
	return buf_add(out, bytes, n, e);
}

static int number_check(const ProtobufCFieldDescriptor *fd, uint64_t u, struct err *e)
{
	bool fits = true;

	switch (fd->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_ENUM:
		fits = u == sign_extend(u);
		break;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		fits = u <= UINT32_MAX;
		break;
	case PROTOBUF_C_TYPE_BOOL:
		fits = u <= 1;
		break;
	default:
		break;
	}
	if (fits)
		return 0;
	return err_set(e, ERR_RANGE, "value %" PRIu64 " (0x%" PRIx64 ") does not fit field %s", u,
		       u, fd->name);
}

int wire_put_payload(struct buf *out, const ProtobufCFieldDescriptor *fd,
		     const struct wire_value *v, struct err *e)
{
	uint64_t u = v->u;
	uint8_t le[8];

	if (number_check(fd, u, e))
		return -1;
	if (fd->type == PROTOBUF_C_TYPE_SINT32)
		u = (uint32_t)zigzag(u);
	else if (fd->type == PROTOBUF_C_TYPE_SINT64)
		u = zigzag(u);
	for (unsigned i = 0; i < 8; i++)
		le[i] = (uint8_t)(u >> (8 * i));
	switch (type_of(fd)) {
	case WIRE_FIXED32:
		return buf_add(out, le, 4, e);
	case WIRE_FIXED64:
		return buf_add(out, le, 8, e);
	case WIRE_VARINT:
		return wire_put_varint(out, u, e);
	default:
		break;
	}
	if (v->bytes.len > INT32_MAX)
		return err_set(e, ERR_RANGE, "%zu bytes are too many for field %s", v->bytes.len,
			       fd->name);
	if (wire_put_varint(out, v->bytes.len, e))
		return -1;
	return buf_add(out, v->bytes.data, v->bytes.len, e);
}

int wire_put_value(struct buf *out, const ProtobufCFieldDescriptor *fd, const struct wire_value *v,
		   struct err *e)
{
	if (wire_put_varint(out, (uint64_t)fd->id << 3 | type_of(fd), e))
		return -1;
	return wire_put_payload(out, fd, v, e);
}
