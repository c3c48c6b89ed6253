/* Cells that differ from what a record says, as edits of the record. */
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

/* ---- the list of edits ---- */

void map_edits_free(struct map_edits *x)
{
	for (size_t i = 0; i < x->n_own; i++)
		free(x->own[i]);
	free(x->own);
	free(x->edit);
	*x = (struct map_edits){0};
}

/* Memory that lives as long as the edits; NULL with e set. */
static void *own(struct map_edits *x, const void *data, size_t n, struct err *e)
{
	void *p;

	if (x->n_own == x->cap_own) {
		size_t cap = x->cap_own ? x->cap_own * 2 : 16;
		void **bigger = reallocarray(x->own, cap, sizeof(*bigger));

		if (!bigger) {
			err_set(e, ERR_NOMEM, "out of memory");
			return NULL;
		}
		x->own = bigger;
		x->cap_own = cap;
	}
	p = malloc(n ? n : 1);
	if (!p) {
		err_set(e, ERR_NOMEM, "out of memory");
		return NULL;
	}
	if (n)
		memcpy(p, data, n);
	x->own[x->n_own++] = p;
	return p;
}

int map_edits_add(struct map_edits *x, const char *prefix, const char *path,
		  const struct wire_value *values, size_t n, struct err *e)
{
	struct wire_value *copy = own(x, values, n * sizeof(*values), e);
	char full[128];

	if (!copy)
		return -1;
	for (size_t i = 0; i < n; i++) {
		copy[i].bytes.data = own(x, values[i].bytes.data, values[i].bytes.len, e);
		if (!copy[i].bytes.data)
			return -1;
	}
	if (x->n == x->cap) {
		size_t cap = x->cap ? x->cap * 2 : 16;
		struct wire_edit *bigger = reallocarray(x->edit, cap, sizeof(*bigger));

		if (!bigger)
			return err_set(e, ERR_NOMEM, "out of memory");
		x->edit = bigger;
		x->cap = cap;
	}
	snprintf(full, sizeof(full), "%s%s", prefix, path);
	x->edit[x->n] = (struct wire_edit){own(x, full, strlen(full) + 1, e), copy, n};
	if (!x->edit[x->n].path)
		return -1;
	x->n++;
	return 0;
}

/* ---- values ---- */

static int wrong_type(const struct map_node *n, const char *expected, struct err *e)
{
	return err_set(e, ERR_USAGE, "column for %s must be %s", n->path, expected);
}

static int encode_number(const struct map_node *n, const struct sql_cell *c, const char *prefix,
			 struct map_edits *x, struct err *e)
{
	const struct wire_value v = wire_number((uint64_t)c->num);

	if (c->type != QUERY_INT)
		return wrong_type(n, "a number", e);
	return map_edits_add(x, prefix, n->path, &v, 1, e);
}

/* The zero byte at the end of a path stays where the record had one; a new name gets it. */
static bool needs_zero(const struct map *m, const struct map_node *n, struct span msg,
		       const struct buf *name)
{
	struct err ignored = ERR_INIT;
	struct wire_value v;

	if (n->how != MAP_UNIX_NAME || !name->len || !name->data[0])
		return false;
	if (wire_get(m->def->desc, msg, n->path, &v, &ignored) <= 0 || v.bytes.len < 2 ||
	    !v.bytes.data[0])
		return true;
	return !v.bytes.data[v.bytes.len - 1];
}

static int encode_text(const struct map *m, const struct map_node *n, struct span msg,
		       const struct sql_row *row, const struct sql_cell *c, const char *prefix,
		       struct map_edits *x, struct err *e)
{
	auto_buf struct buf bytes = {0};
	struct span text = sql_cell_bytes(row, c);
	struct wire_value v;

	if (c->type != QUERY_TEXT)
		return wrong_type(n, "text", e);
	if (escape_undo(&bytes, (const char *)text.data, text.len, e) ||
	    (needs_zero(m, n, msg, &bytes) && buf_add(&bytes, "", 1, e)))
		return -1;
	v = wire_bytes(bytes.data, bytes.len);
	return map_edits_add(x, prefix, n->path, &v, 1, e);
}

static int encode_address(const struct map_node *n, const char *text, const char *prefix,
			  struct map_edits *x, struct err *e)
{
	struct wire_value v[4];
	uint32_t words[4];
	uint8_t addr[16];
	size_t len;

	if (inet_parse(text, 0, addr, &len, e))
		return -1;
	memcpy(words, addr, len);
	for (size_t i = 0; i < len / 4; i++)
		v[i] = wire_number(words[i]);
	return map_edits_add(x, prefix, n->path, v, len / 4, e);
}

static int encode_lladdr(const struct map_node *n, const char *text, const char *prefix,
			 struct map_edits *x, struct err *e)
{
	uint8_t addr[INET_LL_BYTES];
	struct wire_value v;
	size_t len;

	if (inet_ll_parse(text, addr, &len, e))
		return -1;
	v = wire_bytes(addr, len);
	return map_edits_add(x, prefix, n->path, &v, 1, e);
}

static int encode_blob(const struct map_node *n, struct span b, const char *prefix,
		       struct map_edits *x, struct err *e)
{
	struct wire_value v = wire_bytes(b.data, b.len), *list;
	int rc;

	if (n->fd->label != PROTOBUF_C_LABEL_REPEATED)
		return map_edits_add(x, prefix, n->path, &v, 1, e);
	if (b.len % 8)
		return err_set(e, ERR_USAGE, "%s must be a multiple of 8 bytes, not %zu", n->path,
			       b.len);
	list = calloc(b.len / 8 + 1, sizeof(*list));
	if (!list)
		return err_set(e, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < b.len / 8; i++)
		memcpy(&list[i].u, b.data + 8 * i, 8);
	rc = map_edits_add(x, prefix, n->path, list, b.len / 8, e);
	free(list);
	return rc;
}

static int encode_cell(const struct map *m, const struct map_node *n, struct span msg,
		       const struct map_row *is, const char *prefix, struct map_edits *x,
		       struct err *e)
{
	const struct sql_row *row = &is->row[n->table];
	const struct sql_cell *c = &row->cell[n->col];
	auto_buf struct buf text = {0};
	struct span b = sql_cell_bytes(row, c);

	if (c->type == QUERY_NULL && n->how != MAP_JSON_ZERO)
		return map_edits_add(x, prefix, n->path, NULL, 0, e);
	if (c->type == QUERY_TEXT && buf_add(&text, b.data, b.len, e))
		return -1;
	switch (n->how) {
	case MAP_BLOB:
		return c->type == QUERY_BLOB ? encode_blob(n, b, prefix, x, e)
					     : wrong_type(n, "a blob", e);
	case MAP_ADDRESS:
	case MAP_LLADDR:
		if (!text.data)
			return wrong_type(n, "an address", e);
		return n->how == MAP_ADDRESS
			       ? encode_address(n, (const char *)text.data, prefix, x, e)
			       : encode_lladdr(n, (const char *)text.data, prefix, x, e);
	case MAP_JSON:
	case MAP_JSON_ZERO:
	case MAP_OPTIONS:
	case MAP_MEMBERS:
	case MAP_EXTENTS:
		return map_json_edits(m, n, msg, (const char *)text.data, prefix, x, e);
	default:
		if (n->fd->type == PROTOBUF_C_TYPE_STRING || n->fd->type == PROTOBUF_C_TYPE_BYTES)
			return encode_text(m, n, msg, row, c, prefix, x, e);
		return encode_number(n, c, prefix, x, e);
	}
}

/* Of several fields for one column (tun, macvlan and sit of a device) the one the record has, or the
 * first, is meant. */
static bool is_meant(const struct map *m, const struct map_node *n, const struct map_row *was)
{
	if (n->late < 0 || was->is_late[n->late])
		return true;
	for (unsigned i = 0; i < m->n_late; i++)
		if (m->late[i] != n && m->late[i]->col == n->col && m->late[i]->table == n->table &&
		    (was->is_late[i] || m->late[i] < n))
			return false;
	return true;
}

static int encode_level(const struct map *m, const struct map_node *level, struct span msg,
			const struct map_row *was, const struct map_row *is, const char *prefix,
			struct map_edits *x, struct err *e)
{
	for (unsigned i = 0; i < level->n_kids; i++) {
		const struct map_node *n = &level->kids[i];

		if (n->kids) {
			if (encode_level(m, n, msg, was, is, prefix, x, e))
				return -1;
			continue;
		}
		if (n->col < 0 ||
		    sql_cell_same(&was->row[n->table], &is->row[n->table], (unsigned)n->col) ||
		    !is_meant(m, n, was))
			continue;
		if (encode_cell(m, n, msg, is, prefix, x, e))
			return err_wrap(e, "%s.%s", m->table[n->table]->name,
					m->table[n->table]->column[n->col].name);
	}
	return 0;
}

int map_encode(const struct map *m, struct span msg, const struct map_row *was,
	       const struct map_row *is, const char *prefix, struct map_edits *x, struct err *e)
{
	return encode_level(m, &m->root, msg, was, is, prefix, x, e);
}

/* ---- JSON to edits ---- */

static int hex_bytes(const char *text, struct buf *out, struct err *e)
{
	int rc = hex_undo(out, text, strlen(text), e);

	if (rc)
		return rc < 0 ? -1 : 0;
	return err_set(e, ERR_USAGE, "\"%s\" is not pairs of hex digits", text);
}

static int json_message(const ProtobufCMessageDescriptor *desc, const struct json *j,
			struct buf *out, struct err *e);

/* One JSON value as a value of the field; its bytes are in bytes. */
static int json_value(const ProtobufCFieldDescriptor *fd, const struct json *j, struct buf *bytes,
		      struct wire_value *v, struct err *e)
{
	const char *s = json_str(j);
	int64_t num = 0;
	int rc = 0;

	*v = (struct wire_value){0};
	switch (fd->type) {
	case PROTOBUF_C_TYPE_MESSAGE:
		rc = json_message(fd->descriptor, j, bytes, e);
		break;
	case PROTOBUF_C_TYPE_STRING:
		rc = s ? escape_undo(bytes, s, strlen(s), e)
		       : err_set(e, ERR_USAGE, "%s must be a string", fd->name);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		rc = s ? hex_bytes(s, bytes, e)
		       : err_set(e, ERR_USAGE, "%s must be a string of hex digits", fd->name);
		break;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return json_to_uint(j, &v->u, fd->name, e);
	case PROTOBUF_C_TYPE_BOOL:
		if (json_kind(j) == JSON_KIND_BOOL) {
			v->u = json_bool_of(j);
			return 0;
		}
		/* fallthrough */
	default:
		rc = json_to_int(j, &num, fd->name, e);
		v->u = (uint64_t)num;
		return rc;
	}
	v->bytes = buf_span(bytes);
	return rc;
}

static int json_field(const ProtobufCFieldDescriptor *fd, const struct json *j, struct buf *out,
		      struct err *e)
{
	bool is_list = fd->label == PROTOBUF_C_LABEL_REPEATED;
	size_t n = is_list ? json_len(j) : 1;

	for (size_t i = 0; i < n; i++) {
		auto_buf struct buf bytes = {0};
		struct wire_value v;

		if (json_value(fd, is_list ? json_at(j, i) : j, &bytes, &v, e) ||
		    wire_put_value(out, fd, &v, e))
			return -1;
	}
	return 0;
}

static int check_members(const ProtobufCMessageDescriptor *desc, const struct json *j,
			 struct err *e)
{
	const struct json *value;
	const char *key;
	void *it = NULL;

	if (json_kind(j) != JSON_KIND_OBJECT)
		return err_set(e, ERR_USAGE, "%s must be a JSON object", desc->name);
	while (json_next(j, &it, &key, &value))
		if (!protobuf_c_message_descriptor_get_field_by_name(desc, key))
			return err_set(e, ERR_USAGE, "%s has no member \"%s\"", desc->name, key);
	return 0;
}

static int json_message(const ProtobufCMessageDescriptor *desc, const struct json *j,
			struct buf *out, struct err *e)
{
	if (check_members(desc, j, e))
		return -1;
	for (unsigned i = 0; i < desc->n_fields; i++) {
		const struct json *value = json_get(j, desc->fields[i].name);

		if (value && json_field(&desc->fields[i], value, out, e))
			return -1;
	}
	return 0;
}

/* {"group":"239.1.2.3","ifindex":2,"mode":0,"sources":[]} */
static int member_message(const ProtobufCMessageDescriptor *desc, const struct json *j,
			  struct buf *out, struct err *e)
{
	const struct json *sources = json_get(j, "sources");
	const char *group = json_str(json_get(j, "group"));
	struct wire_value v;
	uint8_t addr[16];
	int64_t num;
	size_t len;

	if (!group)
		return err_set(e, ERR_USAGE, "a membership needs \"group\"");
	if (inet_parse(group, 0, addr, &len, e))
		return -1;
	v = wire_number((uint64_t)inet_family_of_len(len));
	if (wire_put_value(out, &desc->fields[0], &v, e))
		return -1;
	v = wire_bytes(addr, len);
	if (wire_put_value(out, &desc->fields[1], &v, e) ||
	    json_to_int(json_get(j, "ifindex"), &num, "ifindex", e))
		return -1;
	v = wire_number((uint64_t)num);
	if (wire_put_value(out, &desc->fields[2], &v, e))
		return -1;
	if (json_get(j, "mode")) {
		if (json_to_int(json_get(j, "mode"), &num, "mode", e))
			return -1;
		v = wire_number((uint64_t)num);
		if (wire_put_value(out, &desc->fields[3], &v, e))
			return -1;
	}
	for (size_t i = 0; i < json_len(sources); i++) {
		const char *s = json_str(json_at(sources, i));

		if (!s)
			return err_set(e, ERR_USAGE, "sources must be addresses");
		if (inet_parse(s, 0, addr, &len, e))
			return -1;
		v = wire_bytes(addr, len);
		if (wire_put_value(out, &desc->fields[4], &v, e))
			return -1;
	}
	return 0;
}

static int extent_message(const ProtobufCMessageDescriptor *desc, const struct json *j,
			  struct buf *out, struct err *e)
{
	for (unsigned i = 0; i < 3; i++) {
		struct wire_value v = {0};

		if (json_to_uint(json_at(j, i), &v.u, desc->fields[i].name, e) ||
		    wire_put_value(out, &desc->fields[i], &v, e))
			return -1;
	}
	return 0;
}

/* Element i of the list as the value of the repeated field. */
static int list_element(const struct map_node *n, const struct json *j, struct buf *bytes,
			struct wire_value *v, struct err *e)
{
	int rc;

	if (n->how == MAP_JSON)
		return json_value(n->fd, j, bytes, v, e);
	rc = n->how == MAP_MEMBERS ? member_message(n->fd->descriptor, j, bytes, e)
				   : extent_message(n->fd->descriptor, j, bytes, e);
	*v = (struct wire_value){.bytes = buf_span(bytes)};
	return rc;
}

struct list {
	struct wire_value *v;
	struct buf *bytes;
	size_t n;
};

static void list_free(struct list *l)
{
	for (size_t i = 0; i < l->n; i++)
		buf_free(&l->bytes[i]);
	free(l->bytes);
	free(l->v);
}

static int list_fill(const struct map_node *n, const struct json *j, struct list *l, struct err *e)
{
	const struct json *value;
	const char *key;
	void *it = NULL;
	size_t i = 0;

	if (n->how != MAP_OPTIONS) {
		for (i = 0; i < l->n; i++)
			if (list_element(n, json_at(j, i), &l->bytes[i], &l->v[i], e))
				return -1;
		return 0;
	}
	for (; json_next(j, &it, &key, &value) && i < l->n; i++) {
		if (map_options_message(key, value, &l->bytes[i], e))
			return -1;
		l->v[i] = (struct wire_value){.bytes = buf_span(&l->bytes[i])};
	}
	return 0;
}

static int list_edit(const struct map_node *n, const struct json *j, const char *prefix,
		     struct map_edits *x, struct err *e)
{
	__attribute__((cleanup(list_free))) struct list l = {0};
	enum json_kind kind = n->how == MAP_OPTIONS ? JSON_KIND_OBJECT : JSON_KIND_ARRAY;

	if (json_kind(j) != kind)
		return err_set(e, ERR_USAGE, "%s must be a JSON %s", n->path,
			       kind == JSON_KIND_OBJECT ? "object" : "array");
	l.v = calloc(json_len(j) + 1, sizeof(*l.v));
	l.bytes = calloc(json_len(j) + 1, sizeof(*l.bytes));
	if (!l.v || !l.bytes)
		return err_set(e, ERR_NOMEM, "out of memory");
	l.n = json_len(j);
	if (list_fill(n, j, &l, e))
		return -1;
	return map_edits_add(x, prefix, n->path, l.v, l.n, e);
}

/* A sub-message is edited field by field, so that fields nobody knows stay in it. */
static int object_edits(const struct map_node *n, const struct json *j, const char *prefix,
			struct map_edits *x, struct err *e)
{
	const ProtobufCMessageDescriptor *desc = n->fd->descriptor;

	if (j && check_members(desc, j, e))
		return -1;
	for (unsigned i = 0; i < desc->n_fields; i++) {
		const ProtobufCFieldDescriptor *fd = &desc->fields[i];
		const struct json *value = json_get(j, fd->name);
		auto_buf struct buf bytes = {0};
		struct wire_value v = {0};
		struct map_node named = {.fd = fd, .how = MAP_JSON};
		const char *path = named.path;

		if (snprintf(named.path, sizeof(named.path), "%s.%s", n->path, fd->name) >=
		    (int)sizeof(named.path))
			return err_set(e, ERR_RANGE, "%s.%s: path too long", n->path, fd->name);
		if (fd->label == PROTOBUF_C_LABEL_REPEATED) {
			if (value && list_edit(&named, value, prefix, x, e))
				return -1;
			if (value)
				continue;
		} else if (value && json_value(fd, value, &bytes, &v, e)) {
			return -1;
		}
		/* NULL of an all-zero object: its required fields stay, as zero */
		if (map_edits_add(x, prefix, path, &v,
				  value || (!j && fd->label == PROTOBUF_C_LABEL_REQUIRED), e))
			return -1;
	}
	return 0;
}

int map_json_edits(const struct map *m, const struct map_node *n, struct span msg, const char *text,
		   const char *prefix, struct map_edits *x, struct err *e)
{
	auto_json struct json *j = text ? json_parse(text, strlen(text), e) : NULL;

	if (text && !j)
		return -1;
	if (n->fd->label == PROTOBUF_C_LABEL_REPEATED)
		return list_edit(n, j, prefix, x, e);
	return object_edits(n, j, prefix, x, e);
}
