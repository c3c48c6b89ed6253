/* Sub-messages and repeated fields as JSON text, and such text as edits of the message. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/hex.h"
#include "base/json.h"
#include "imgdb/map.h"
#include "imgdb/map_options.h"
#include "proto/inet.h"

/* Numbers above 2^53 are strings, because most readers keep numbers as doubles. */
static int add_number(const ProtobufCFieldDescriptor *fd, uint64_t u, struct buf *out,
		      struct err *e)
{
	static const int64_t max = (int64_t)1 << 53;
	int64_t s = (int64_t)u;

	if (fd->type == PROTOBUF_C_TYPE_UINT64 || fd->type == PROTOBUF_C_TYPE_FIXED64)
		return u <= (uint64_t)max ? buf_printf(out, e, "%" PRIu64, u)
					  : buf_printf(out, e, "\"%" PRIu64 "\"", u);
	return s <= max && s >= -max ? buf_printf(out, e, "%" PRId64, s)
				     : buf_printf(out, e, "\"%" PRId64 "\"", s);
}

static int add_hex(struct span b, struct buf *out, struct err *e)
{
	return buf_add_str(out, "\"", e) || hex_add(out, b.data, b.len, e)
		       ? -1
		       : buf_add_str(out, "\"", e);
}

static int add_string(struct span b, struct buf *out, struct err *e)
{
	auto_buf struct buf text = {0};
	auto_json struct json *j = NULL;

	if (escape_add(&text, b.data, b.len, e))
		return -1;
	j = json_new_strn(text.data, text.len);
	if (!j)
		return err_set(e, ERR_NOMEM, "out of memory");
	return json_print(j, false, out, e);
}

static int add_value(const ProtobufCFieldDescriptor *fd, const struct wire_value *v,
		     struct buf *out, struct err *e)
{
	switch (fd->type) {
	case PROTOBUF_C_TYPE_MESSAGE:
		return map_json_message(fd->descriptor, v->bytes, out, e);
	case PROTOBUF_C_TYPE_STRING:
		return add_string(v->bytes, out, e);
	case PROTOBUF_C_TYPE_BYTES:
		return add_hex(v->bytes, out, e);
	default:
		return add_number(fd, v->u, out, e);
	}
}

/* Add a '[' or ',' before element i and, for i beyond the last, the closing bracket is the caller's. */
static int add_array(const ProtobufCMessageDescriptor *desc, const char *path,
		     const ProtobufCFieldDescriptor *fd, struct span msg, struct buf *out,
		     struct err *e)
{
	struct wire_values it;
	struct wire_value v;
	const char *sep = "[";
	int rc;

	if (wire_values_begin(&it, desc, msg, path, e))
		return -1;
	while ((rc = wire_values_next(&it, &v, e)) == 1) {
		if (buf_add_str(out, sep, e) || add_value(fd, &v, out, e))
			return -1;
		sep = ",";
	}
	if (rc < 0)
		return -1;
	return buf_add_str(out, *sep == '[' ? "[]" : "]", e);
}

int map_json_message(const ProtobufCMessageDescriptor *desc, struct span msg, struct buf *out,
		     struct err *e)
{
	const char *sep = "{";

	for (unsigned i = 0; i < desc->n_fields; i++) {
		const ProtobufCFieldDescriptor *fd = &desc->fields[i];
		struct wire_value v;
		int rc = wire_get(desc, msg, fd->name, &v, e);

		if (rc < 0)
			return -1;
		if (!rc)
			continue;
		if (buf_printf(out, e, "%s\"%s\":", sep, fd->name))
			return -1;
		if (fd->label == PROTOBUF_C_LABEL_REPEATED
			    ? add_array(desc, fd->name, fd, msg, out, e)
			    : add_value(fd, &v, out, e))
			return -1;
		sep = ",";
	}
	return buf_add_str(out, *sep == '{' ? "{}" : "}", e);
}

/* ---- the special lists ---- */

static int add_extents(const ProtobufCFieldDescriptor *fd, struct wire_values *it, struct buf *out,
		       struct err *e)
{
	const ProtobufCMessageDescriptor *desc = fd->descriptor;
	struct wire_value v, part[3];
	const char *sep = "[";
	int rc;

	while ((rc = wire_values_next(it, &v, e)) == 1) {
		if (wire_get(desc, v.bytes, "first", &part[0], e) < 0 ||
		    wire_get(desc, v.bytes, "lower_first", &part[1], e) < 0 ||
		    wire_get(desc, v.bytes, "count", &part[2], e) < 0 ||
		    buf_printf(out, e, "%s[%" PRIu64 ",%" PRIu64 ",%" PRIu64 "]", sep, part[0].u,
			       part[1].u, part[2].u))
			return -1;
		sep = ",";
	}
	if (rc < 0)
		return -1;
	return buf_add_str(out, *sep == '[' ? "[]" : "]", e);
}

static int add_ip(struct span b, struct buf *out, struct err *e)
{
	char text[INET_TEXT_MAX];

	if (!inet_format(b.data, b.len, text))
		return add_hex(b, out, e);
	return buf_printf(out, e, "\"%s\"", text);
}

static int add_sources(const ProtobufCMessageDescriptor *desc, struct span msg, struct buf *out,
		       struct err *e)
{
	struct wire_values it;
	struct wire_value v;
	const char *sep = "";
	int rc;

	if (wire_values_begin(&it, desc, msg, "source", e))
		return -1;
	while ((rc = wire_values_next(&it, &v, e)) == 1) {
		if (buf_add_str(out, sep, e) || add_ip(v.bytes, out, e))
			return -1;
		sep = ",";
	}
	return rc;
}

static int add_members(const ProtobufCFieldDescriptor *fd, struct wire_values *it, struct buf *out,
		       struct err *e)
{
	const ProtobufCMessageDescriptor *desc = fd->descriptor;
	struct wire_value v, group, ifindex, mode;
	const char *sep = "[";
	int rc;

	while ((rc = wire_values_next(it, &v, e)) == 1) {
		if (wire_get(desc, v.bytes, "group", &group, e) < 0 ||
		    wire_get(desc, v.bytes, "ifindex", &ifindex, e) < 0 ||
		    wire_get(desc, v.bytes, "mode", &mode, e) < 0 ||
		    buf_printf(out, e, "%s{\"group\":", sep) || add_ip(group.bytes, out, e) ||
		    buf_printf(out, e,
			       ",\"ifindex\":%" PRIu64 ",\"mode\":%" PRIu64 ",\"sources\":[",
			       ifindex.u, mode.u) ||
		    add_sources(desc, v.bytes, out, e) || buf_add_str(out, "]}", e))
			return -1;
		sep = ",";
	}
	if (rc < 0)
		return -1;
	return buf_add_str(out, *sep == '[' ? "[]" : "]", e);
}

/* The object, but nothing when every number in it is zero: so is almost every owner of a descriptor. */
static int add_unless_zero(const struct map_node *n, struct span msg, struct buf *out,
			   struct err *e)
{
	struct wire_iter it = wire_iter(msg);
	struct wire_field f;
	bool any = false;
	int rc;

	while ((rc = wire_next(&it, &f, e)) == 1)
		any |= f.type == WIRE_VARINT && f.u;
	if (rc < 0)
		return -1;
	return any ? map_json_message(n->fd->descriptor, msg, out, e) : 0;
}

int map_json_late(const struct map *m, const struct map_node *n, struct span msg, struct buf *out,
		  struct err *e)
{
	const ProtobufCFieldDescriptor *fd = n->fd;
	struct wire_values it;
	struct wire_value v;

	if (fd->label != PROTOBUF_C_LABEL_REPEATED) {
		if (wire_get(m->def->desc, msg, n->path, &v, e) < 0)
			return -1;
		return n->how == MAP_JSON_ZERO ? add_unless_zero(n, v.bytes, out, e)
					       : map_json_message(fd->descriptor, v.bytes, out, e);
	}
	if (n->how == MAP_JSON)
		return add_array(m->def->desc, n->path, fd, msg, out, e);
	if (wire_values_begin(&it, m->def->desc, msg, n->path, e))
		return -1;
	if (n->how == MAP_EXTENTS)
		return add_extents(fd, &it, out, e);
	if (n->how == MAP_MEMBERS)
		return add_members(fd, &it, out, e);
	return map_options_json(&it, out, e);
}
