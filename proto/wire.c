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
