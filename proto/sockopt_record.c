/* The place of an option in a socket record: CRIU's field, named by the row's path, or nsimg.opt. */
#include "proto/sockopt_table.h"

#include <linux/filter.h>
#include <protobuf-c/protobuf-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/cleanup.h"
#include "proto/wire.h"

/* The field that a path ends in, and the message that has it: 1; 0 where a message is not there. */
static int find_field(ProtobufCMessage **msg, const char *path,
		      const ProtobufCFieldDescriptor **field)
{
	char name[64];

	for (;;) {
		size_t len = strcspn(path, ".");

		if (len >= sizeof(name))
			return 0;
		memcpy(name, path, len);
		name[len] = 0;
		*field = protobuf_c_message_descriptor_get_field_by_name((*msg)->descriptor, name);
		if (!*field)
			return 0;
		if (!path[len])
			return 1;
		if ((*field)->type != PROTOBUF_C_TYPE_MESSAGE)
			return 0;
		*msg = *(ProtobufCMessage **)((char *)*msg + (*field)->offset);
		if (!*msg)
			return 0;
		path += len + 1;
	}
}

static void set_has(ProtobufCMessage *msg, const ProtobufCFieldDescriptor *field)
{
	if (field->label == PROTOBUF_C_LABEL_OPTIONAL && field->quantifier_offset)
		*(protobuf_c_boolean *)((char *)msg + field->quantifier_offset) = 1;
}

static int put_scalar(ProtobufCMessage *msg, const ProtobufCFieldDescriptor *field, uint64_t n,
		      struct err *e)
{
	void *p = (char *)msg + field->offset;

	switch (field->type) {
	case PROTOBUF_C_TYPE_BOOL:
		*(protobuf_c_boolean *)p = n != 0;
		break;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_INT32:
		*(uint32_t *)p = (uint32_t)n;
		break;
	case PROTOBUF_C_TYPE_UINT64:
		*(uint64_t *)p = n;
		break;
	default:
		return err_set(e, ERR_FORMAT, "field %s holds no number", field->name);
	}
	set_has(msg, field);
	return 0;
}

static int put_text(ProtobufCMessage *msg, const ProtobufCFieldDescriptor *field, struct span v,
		    struct err *e)
{
	char **p = (char **)((char *)msg + field->offset);
	char *copy = strndup(v.len ? (const char *)v.data : "", v.len);

	if (!copy)
		return err_set(e, ERR_NOMEM, "out of memory");
	*p = copy;
	return 0;
}

/* A repeated field of fixed64 or uint32, from elements of that size. */
static int put_repeated(ProtobufCMessage *msg, const ProtobufCFieldDescriptor *field, struct span v,
			struct err *e)
{
	size_t size = field->type == PROTOBUF_C_TYPE_FIXED64 ? 8 : 4;
	void **p = (void **)((char *)msg + field->offset);
	void *copy = malloc(v.len + 1);

	if (!copy)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (v.len)
		memcpy(copy, v.data, v.len);
	*p = copy;
	*(size_t *)((char *)msg + field->quantifier_offset) = v.len / size;
	return 0;
}

static int put_timeval(const struct sockopt *row, ProtobufCMessage *msg, struct span v,
		       struct err *e)
{
	static const char *const parts[] = {"_sec", "_usec"};
	struct timeval tv;
	uint64_t n[2];

	memcpy(&tv, v.data, sizeof(tv));
	n[0] = (uint64_t)tv.tv_sec;
	n[1] = (uint64_t)tv.tv_usec;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		const ProtobufCFieldDescriptor *field;
		ProtobufCMessage *at = msg;
		char path[64];

		snprintf(path, sizeof(path), "%s%s", row->criu, parts[i]);
		if (find_field(&at, path, &field) && put_scalar(at, field, n[i], e) != 0)
			return -1;
	}
	return 0;
}

/* sk_opts_entry.so_filter has an instruction as one number: code, jt, jf, k from the high bits down
 * (corpus/zdtm/sock_filter01.ns: 0x000600000000ffff is "ret 0xffff"). */
static uint64_t filter_pack(const struct sock_filter *f)
{
	return (uint64_t)f->code << 48 | (uint64_t)f->jt << 40 | (uint64_t)f->jf << 32 | f->k;
}

static int put_filter(ProtobufCMessage *msg, const ProtobufCFieldDescriptor *field, struct span v,
		      struct err *e)
{
	auto_buf struct buf packed = {0};

	for (size_t i = 0; i + sizeof(struct sock_filter) <= v.len;
	     i += sizeof(struct sock_filter)) {
		struct sock_filter f;
		uint64_t n;

		memcpy(&f, v.data + i, sizeof(f));
		n = filter_pack(&f);
		if (buf_add(&packed, &n, sizeof(n), e) != 0)
			return -1;
	}
	return put_repeated(msg, field, buf_span(&packed), e);
}

static bool is_zero(const struct sockopt *row, struct span v)
{
	if (row->type == SOCKOPT_LINGER) /* l_onoff decides; 0 seconds is a hard close */
		v.len = sizeof(int);
	return span_is_zero(v);
}

int sockopt_record_put(const struct sockopt *row, ProtobufCMessage *msg, struct span v,
		       struct err *e)
{
	const ProtobufCFieldDescriptor *field;
	uint64_t n = 0;

	if (!row->criu || ((row->flags & SOCKOPT_CRIU_NONZERO) && is_zero(row, v)))
		return 0;
	if (row->type == SOCKOPT_TIMEVAL)
		return put_timeval(row, msg, v, e);
	if (!find_field(&msg, row->criu, &field))
		return 0;
	switch (row->type) {
	case SOCKOPT_STRING:
		return put_text(msg, field, v, e);
	case SOCKOPT_FILTER:
		return put_filter(msg, field, v, e);
	case SOCKOPT_WORDS:
		return put_repeated(msg, field, v, e);
	case SOCKOPT_LINGER: {
		struct linger l;

		memcpy(&l, v.data, sizeof(l));
		n = (uint32_t)l.l_linger;
		break;
	}
	default:
		memcpy(&n, v.data, v.len < sizeof(n) ? v.len : sizeof(n));
	}
	return put_scalar(msg, field, n, e);
}

static int get_timeval(const struct sockopt *row, const ProtobufCMessageDescriptor *desc,
		       struct span msg, struct buf *v, struct err *e)
{
	struct wire_value sec, usec;
	struct timeval tv;
	char path[64];
	int got;

	snprintf(path, sizeof(path), "%s_sec", row->criu);
	got = wire_get(desc, msg, path, &sec, e);
	if (got <= 0)
		return got;
	snprintf(path, sizeof(path), "%s_usec", row->criu);
	if (wire_get(desc, msg, path, &usec, e) < 0)
		return -1;
	tv = (struct timeval){(time_t)sec.u, (suseconds_t)usec.u};
	return buf_add(v, &tv, sizeof(tv), e) == 0 ? 1 : -1;
}

static int get_repeated(const struct sockopt *row, const ProtobufCMessageDescriptor *desc,
			struct span msg, struct buf *v, struct err *e)
{
	struct wire_values it;
	struct wire_value x;
	int got;

	if (wire_values_begin(&it, desc, msg, row->criu, e) != 0)
		return -1;
	while ((got = wire_values_next(&it, &x, e)) == 1) {
		struct sock_filter f = {(uint16_t)(x.u >> 48), (uint8_t)(x.u >> 40),
					(uint8_t)(x.u >> 32), (uint32_t)x.u};
		uint32_t w = (uint32_t)x.u;
		int added = row->type == SOCKOPT_FILTER ? buf_add(v, &f, sizeof(f), e)
							: buf_add(v, &w, sizeof(w), e);

		if (added != 0)
			return -1;
	}
	return got < 0 ? -1 : v->len > 0;
}

/* From CRIU's field. */
static int get_field(const struct sockopt *row, const ProtobufCMessageDescriptor *desc,
		     struct span msg, struct buf *v, struct err *e)
{
	struct wire_value x;
	int got;

	switch (row->type) {
	case SOCKOPT_TIMEVAL:
		return get_timeval(row, desc, msg, v, e);
	case SOCKOPT_FILTER:
	case SOCKOPT_WORDS:
		return get_repeated(row, desc, msg, v, e);
	default:
		break;
	}
	got = wire_get(desc, msg, row->criu, &x, e);
	if (got <= 0)
		return got;
	if (row->type == SOCKOPT_STRING)
		return buf_add(v, x.bytes.data, x.bytes.len, e) == 0 ? 1 : -1;
	if (row->type == SOCKOPT_LINGER) {
		struct linger l = {1, (int)x.u};

		return buf_add(v, &l, sizeof(l), e) == 0 ? 1 : -1;
	}
	return buf_add(v, &x.u, row->type == SOCKOPT_U64 ? 8 : 4, e) == 0 ? 1 : -1;
}

/* From the nth nsimg.opt of this level and number. */
static int get_opt(const struct sockopt *row, const ProtobufCMessageDescriptor *desc,
		   struct span msg, unsigned nth, struct buf *v, struct err *e)
{
	const ProtobufCFieldDescriptor *sub =
		protobuf_c_message_descriptor_get_field_by_name(desc, "nsimg");
	const ProtobufCMessageDescriptor *sk, *opt;
	struct wire_values it;
	struct wire_value x, level, name;
	int got;

	if (!sub)
		return 0;
	sk = sub->descriptor;
	opt = protobuf_c_message_descriptor_get_field_by_name(sk, "opt")->descriptor;
	if (wire_values_begin(&it, desc, msg, "nsimg.opt", e) != 0)
		return -1;
	while ((got = wire_values_next(&it, &x, e)) == 1) {
		struct wire_value value;

		if (wire_get(opt, x.bytes, "level", &level, e) < 0 ||
		    wire_get(opt, x.bytes, "name", &name, e) < 0 ||
		    wire_get(opt, x.bytes, "value", &value, e) < 0)
			return -1;
		if ((int)level.u != row->level || (int)name.u != row->opt || nth-- > 0)
			continue;
		return buf_add(v, value.bytes.data, value.bytes.len, e) == 0 ? 1 : -1;
	}
	return got;
}

int sockopt_record_get(const struct sockopt *row, uint32_t kind,
		       const ProtobufCMessageDescriptor *desc, struct span msg, unsigned nth,
		       struct buf *v, struct err *e)
{
	buf_reset(v);
	if (sockopt_in_criu(row, kind))
		return nth == 0 ? get_field(row, desc, msg, v, e) : 0;
	return get_opt(row, desc, msg, nth, v, e);
}
