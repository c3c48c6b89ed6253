/* A message as a row of its SQL table, and changed columns back into the message. */
#include "proto/rta_columns.h"
#include "proto/rta_view.h"

#include <inttypes.h>
#include <linux/if_arp.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "proto/inet.h"

#define HDR_OFF sizeof(struct nlmsghdr)

struct row {
	const struct rta_msg *m;
	const struct rta_column *cols;
	struct span msg, attrs;
	struct buf text; /* of the value that is being shown */
};

static int set_text(struct row *r, struct rta_value *v, const char *s, struct err *e)
{
	buf_reset(&r->text);
	if (buf_add_str(&r->text, s, e))
		return -1;
	*v = (struct rta_value){RTA_VALUE_TEXT, 0, (const char *)r->text.data};
	return 0;
}

static void set_int(struct rta_value *v, int64_t n)
{
	*v = (struct rta_value){RTA_VALUE_INT, n, NULL};
}

/* --- finding --- */

static const struct rta_field *field_of(const struct rta_struct *rec, const char *name)
{
	size_t i;

	for (i = 0; i < rec->n_fields; i++)
		if (!strcmp(rec->field[i].name, name))
			return &rec->field[i];
	return NULL;
}

static int64_t header_int(const struct row *r, const char *name)
{
	const struct rta_field *f = field_of(r->m->hdr, name);

	return f ? rta_int_read(f->type, r->msg.data + HDR_OFF + f->off) : 0;
}

/* The row and payload of the attribute at path; data NULL when it is not there. */
static struct span attr_at(const struct row *r, const uint16_t *path, struct rta_attr *row)
{
	const struct rta_set *set = r->m->set;
	struct span at = r->attrs;
	size_t i;

	*row = (struct rta_attr){0};
	for (i = 0; i < RTA_COL_PATH && path[i]; i++) {
		*row = rta_attr_row(set, path[i], at);
		set = row->type == RTAT_NEST ? row->set : NULL;
		at = rta_item_find(at, path[i]);
	}
	return at;
}

/* --- showing --- */

static bool is_json(const struct rta_attr *row)
{
	switch ((enum rta_type)row->type) {
	case RTAT_STRUCT:
	case RTAT_STRUCTS:
	case RTAT_NEST:
	case RTAT_LIST:
	case RTAT_MULTIPATH:
	case RTAT_U32S:
	case RTAT_HEX:
		return true;
	default:
		return false;
	}
}

static int get_payload(struct row *r, const struct rta_attr *row, struct span data,
		       struct rta_value *v, struct err *e)
{
	struct rta_view view = {.mode = RTA_VIEW_COLUMN};

	if (!data.data)
		return 0;
	if (row->type == RTAT_FLAG)
		return set_int(v, 1), 0;
	if (rta_type_size(row->type)) { /* a payload of another size is shown in "other" */
		if (rta_type_size(row->type) == data.len)
			set_int(v, rta_int_read(row->type == RTAT_BOOL ? RTAT_U8 : row->type,
						data.data));
		return 0;
	}
	if (!is_json(row) && !rta_is_sound(row, data))
		return 0;
	buf_reset(&r->text);
	if (rta_value_text(&view, row, data, &r->text, e))
		return -1;
	if (!is_json(row)) { /* a JSON string without its quotes: unquote "\\" and "\"" */
		size_t i, n = 0;

		for (i = 1; i + 1 < r->text.len; i++) {
			i += r->text.data[i] == '\\';
			r->text.data[n++] = r->text.data[i];
		}
		r->text.data[n] = 0;
	}
	*v = (struct rta_value){RTA_VALUE_TEXT, 0, (const char *)r->text.data};
	return 0;
}

static int get_attr(struct row *r, const struct rta_column *c, struct rta_value *v, struct err *e)
{
	struct rta_attr row;
	struct span data = attr_at(r, c->path, &row);

	if (!data.data && c->how == RTA_COL_ATTR0)
		return set_int(v, 0), 0;
	return get_payload(r, &row, data, v, e);
}

static int get_either(struct row *r, const struct rta_column *c, struct rta_value *v, struct err *e)
{
	struct rta_attr row;
	struct span data = attr_at(r, c->path, &row);

	if (!data.data)
		data = attr_at(r, c->path2, &row);
	return get_payload(r, &row, data, v, e);
}

static int get_field(struct row *r, const struct rta_column *c, struct rta_value *v, struct err *e)
{
	if (field_of(r->m->hdr, c->field))
		set_int(v, header_int(r, c->field));
	return 0;
}

static int get_table(struct row *r, const struct rta_column *c, struct rta_value *v, struct err *e)
{
	get_field(r, c, v, e);
	return get_attr(r, c, v, e);
}

static int get_sub(struct row *r, const struct rta_column *c, struct rta_value *v, struct err *e)
{
	struct rta_attr row;
	struct span data = attr_at(r, c->path, &row);
	const struct rta_field *f = field_of(row.rec, c->sub);

	if (data.data && (size_t)f->off + f->len <= data.len)
		set_int(v, rta_int_read(f->type, data.data + f->off));
	return 0;
}

static int get_prefix(struct row *r, const struct rta_column *c, struct rta_value *v, struct err *e)
{
	struct rta_attr row;
	struct span data = attr_at(r, c->path, &row);
	unsigned len = (unsigned)header_int(r, c->field);
	size_t n = data.data ? data.len : inet_addr_len((int)header_int(r, "family"));
	char text[INET_PREFIX_MAX];

	if (!data.data && !len && c->how == RTA_COL_PREFIX)
		return 0;
	if (!data.data && !len)
		return set_text(r, v, "default", e);
	if (!inet_prefix_format(data.data, n, len, text)) {
		/* not an IP address (MPLS labels), or a length beyond it: as it is, column is NOT NULL */
		char any[32];

		snprintf(any, sizeof(any), "invalid/%u", len);
		return set_text(r, v, any, e);
	}
	return set_text(r, v, text, e);
}

static int get_range(struct row *r, const struct rta_column *c, struct rta_value *v, struct err *e)
{
	struct rta_attr row;
	struct span data = attr_at(r, c->path, &row);
	const struct rta_field *f = row.rec->field;
	int64_t a, b;
	char text[64];

	if (!data.data || data.len != row.rec->size)
		return 0;
	a = rta_int_read(f[0].type, data.data + f[0].off);
	b = rta_int_read(f[1].type, data.data + f[1].off);
	if (a == b)
		snprintf(text, sizeof(text), "%" PRId64, a);
	else
		snprintf(text, sizeof(text), "%" PRId64 "-%" PRId64, a, b);
	return set_text(r, v, text, e);
}

/* IFA_LOCAL is the address and IFA_ADDRESS the other end, where they differ; IPv6 without a peer only has
 * IFA_ADDRESS (net/ipv6/addrconf.c, inet6_fill_ifaddr). */
static int get_peer(struct row *r, const struct rta_column *c, struct rta_value *v, struct err *e)
{
	struct rta_attr row;
	struct span peer = attr_at(r, c->path, &row), local = attr_at(r, c->path2, &row);

	if (!peer.data || !local.data ||
	    (peer.len == local.len && !memcmp(peer.data, local.data, peer.len)))
		return 0;
	return get_payload(r, &row, peer, v, e);
}

static int get_kind(struct row *r, const struct rta_column *c, struct rta_value *v, struct err *e)
{
	if (get_attr(r, c, v, e))
		return -1;
	if (v->type == RTA_VALUE_NULL && header_int(r, "type") == ARPHRD_LOOPBACK)
		return set_text(r, v, "loopback", e);
	return 0;
}

static int get_what(struct row *r, const struct rta_column *c, struct rta_value *v, struct err *e)
{
	return set_text(r, v, r->m->what, e);
}

static int get_expect(struct row *r, const struct rta_column *c, struct rta_value *v, struct err *e)
{
	set_int(v, r->m->set == &rta_set_expect);
	return 0;
}

static int get_other(struct row *r, const struct rta_column *c, struct rta_value *v, struct err *e)
{
	struct rta_view view = {.mode = RTA_VIEW_COLUMN, .covered = r->cols};

	buf_reset(&r->text);
	if (rta_level_text(&view, r->m->set, r->attrs, &r->text, e))
		return -1;
	if (r->text.len > 2)
		*v = (struct rta_value){RTA_VALUE_TEXT, 0, (const char *)r->text.data};
	return 0;
}

static int get_none(struct row *r, const struct rta_column *c, struct rta_value *v, struct err *e)
{
	return 0;
}

/* --- changing --- */

static int put_header_int(struct row *r, struct buf *msg, const char *name, int64_t n,
			  struct err *e)
{
	const struct rta_field *f = field_of(r->m->hdr, name);
	int64_t max;

	if (!f)
		return err_set(e, ERR_NOTFOUND, "this kind of message has no %s", name);
	max = f->type == RTAT_S32 ? INT32_MAX : (int64_t)((1ull << (8 * f->len)) - 1);
	if (n < 0 || n > max)
		return err_set(e, ERR_RANGE, "%" PRId64 " is not between 0 and %" PRId64, n, max);
	rta_int_write(f->type, msg->data + HDR_OFF + f->off, n);
	return 0;
}

static int need_int(const struct rta_value *v, int64_t *n, struct err *e)
{
	char *end;

	*n = v->type == RTA_VALUE_INT ? v->num : 0;
	if (v->type != RTA_VALUE_TEXT)
		return 0;
	*n = strtoll(v->text, &end, 0);
	if (!*v->text || *end)
		return err_set(e, ERR_FORMAT, "\"%.40s\" is not a number", v->text);
	return 0;
}

static int drop(struct buf *msg, const uint16_t *path, struct err *e)
{
	return rta_put(msg, path, NULL, 0, e);
}

/* path with the zero that ends it */
static void full_path(const uint16_t *path, uint16_t out[RTA_COL_PATH + 1])
{
	memcpy(out, path, RTA_COL_PATH * sizeof(*path));
	out[RTA_COL_PATH] = 0;
}

static struct json *value_json(const struct rta_attr *row, const struct rta_value *v, struct err *e)
{
	struct json *j;

	if (v->type == RTA_VALUE_TEXT && is_json(row))
		return json_parse(v->text, strlen(v->text), e);
	if (v->type == RTA_VALUE_TEXT)
		j = json_new_str(v->text);
	else if (row->type == RTAT_U64 || row->type == RTAT_BE64)
		j = json_new_uint((uint64_t)v->num);
	else
		j = json_new_int(v->num);
	if (!j)
		err_set(e, ERR_NOMEM, "a JSON value");
	return j;
}

static int put_payload(struct row *r, struct buf *msg, const char *name, const uint16_t *path,
		       const struct rta_value *v, struct err *e)
{
	struct rta_view view = {.mode = RTA_VIEW_COLUMN, .nest_flag = rta_nest_flag(r->m)};
	auto_buf struct buf out = {0};
	auto_json struct json *j = NULL;
	uint16_t full[RTA_COL_PATH + 1];
	struct rta_attr row;
	struct span old = attr_at(r, path, &row);

	full_path(path, full);
	if (v->type == RTA_VALUE_NULL ||
	    (row.type == RTAT_FLAG && v->type == RTA_VALUE_INT && !v->num))
		return drop(msg, full, e);
	j = value_json(&row, v, e);
	if (!j || rta_value_bytes(&view, &row, j, old, name, &out, e))
		return -1;
	return rta_put(msg, full, out.data ? out.data : (const uint8_t *)"", out.len, e);
}

static int put_attr(struct row *r, struct buf *msg, const struct rta_column *c,
		    const struct rta_value *v, struct err *e)
{
	return put_payload(r, msg, c->name, c->path, v, e);
}

static int put_either(struct row *r, struct buf *msg, const struct rta_column *c,
		      const struct rta_value *v, struct err *e)
{
	bool v6 = v->type == RTA_VALUE_TEXT && strchr(v->text, ':');
	uint16_t other[RTA_COL_PATH + 1];

	full_path(v6 ? c->path : c->path2, other);
	if (put_payload(r, msg, c->name, v6 ? c->path2 : c->path, v, e))
		return -1;
	return drop(msg, other, e);
}

static int put_field(struct row *r, struct buf *msg, const struct rta_column *c,
		     const struct rta_value *v, struct err *e)
{
	int64_t n;

	if (need_int(v, &n, e))
		return -1;
	return put_header_int(r, msg, c->field, n, e);
}

/* The kernel reads the attribute first; in a byte that is too small stands RT_TABLE_COMPAT. */
static int put_table(struct row *r, struct buf *msg, const struct rta_column *c,
		     const struct rta_value *v, struct err *e)
{
	int64_t n;

	if (need_int(v, &n, e) ||
	    put_header_int(r, msg, c->field, n > 255 ? RT_TABLE_COMPAT : n, e))
		return -1;
	return put_payload(r, msg, c->name, c->path, v, e);
}

static int put_low(struct row *r, struct buf *msg, const struct rta_column *c,
		   const struct rta_value *v, struct err *e)
{
	int64_t n;

	if (need_int(v, &n, e) || put_header_int(r, msg, c->field, n & 0xff, e))
		return -1;
	return put_payload(r, msg, c->name, c->path, v, e);
}

static int put_sub(struct row *r, struct buf *msg, const struct rta_column *c,
		   const struct rta_value *v, struct err *e)
{
	uint16_t full[RTA_COL_PATH + 1];
	auto_buf struct buf out = {0};
	struct rta_attr row;
	struct span old = attr_at(r, c->path, &row);
	const struct rta_field *f = field_of(row.rec, c->sub);
	static const uint8_t zero[64];
	int64_t n;

	full_path(c->path, full);
	if (need_int(v, &n, e))
		return -1;
	if (n < 0 || n > UINT32_MAX)
		return err_set(e, ERR_RANGE, "%" PRId64 " does not fit in 32 bits", n);
	if (v->type == RTA_VALUE_NULL)
		return drop(msg, full, e);
	if (buf_add(&out, old.data ? old.data : zero, old.data ? old.len : row.rec->size, e))
		return -1;
	if ((size_t)f->off + f->len > out.len)
		return err_set(e, ERR_FORMAT, "the structure of this image has no %s", c->sub);
	rta_int_write(f->type, out.data + f->off, n);
	return rta_put(msg, full, out.data, out.len, e);
}

static int put_prefix(struct row *r, struct buf *msg, const struct rta_column *c,
		      const struct rta_value *v, struct err *e)
{
	uint16_t full[RTA_COL_PATH + 1];
	int family = (int)msg->data[HDR_OFF];
	uint8_t addr[16];
	unsigned plen;
	size_t len;

	full_path(c->path, full);
	if (v->type == RTA_VALUE_NULL || (v->type == RTA_VALUE_TEXT && !strcmp(v->text, "default")))
		return put_header_int(r, msg, c->field, 0, e) || drop(msg, full, e);
	if (v->type != RTA_VALUE_TEXT)
		return err_set(e, ERR_FORMAT, "expected a prefix");
	if (inet_prefix_parse(v->text, family, addr, &len, &plen, e) ||
	    put_header_int(r, msg, c->field, plen, e))
		return -1;
	return rta_put(msg, full, addr, len, e);
}

static int put_range(struct row *r, struct buf *msg, const struct rta_column *c,
		     const struct rta_value *v, struct err *e)
{
	uint16_t full[RTA_COL_PATH + 1];
	const struct rta_field *f;
	struct rta_attr row;
	uint8_t b[16] = {0};
	int64_t lo, hi, max;
	char *end = NULL;

	attr_at(r, c->path, &row);
	f = row.rec->field;
	max = (int64_t)((1ull << (8 * f->len)) - 1);
	full_path(c->path, full);
	if (v->type == RTA_VALUE_NULL)
		return drop(msg, full, e);
	lo = hi = v->num;
	if (v->type == RTA_VALUE_TEXT) {
		lo = hi = strtoll(v->text, &end, 10);
		if (end != v->text && *end == '-')
			hi = strtoll(end + 1, &end, 10);
		if (end == v->text || *end)
			return err_set(e, ERR_FORMAT, "\"%.40s\" is not a range like 80-90",
				       v->text);
	}
	if (lo < 0 || hi < lo || hi > max)
		return err_set(e, ERR_RANGE, "a range is from 0 to %" PRId64 ", rising", max);
	rta_int_write(f[0].type, b + f[0].off, lo);
	rta_int_write(f[1].type, b + f[1].off, hi);
	return rta_put(msg, full, b, row.rec->size, e);
}

/* IPv4 always has both; the kernel takes IFA_ADDRESS for the peer, so it follows the address unless there is
 * one. */
static int put_local(struct row *r, struct buf *msg, const struct rta_column *c,
		     const struct rta_value *v, struct err *e)
{
	struct rta_value peer = {RTA_VALUE_NULL, 0, NULL};
	struct rta_attr row;
	bool has_local = attr_at(r, c->path, &row).data != NULL;
	bool is_v4 = msg->data[HDR_OFF] == AF_INET;

	if (get_peer(r, &(struct rta_column){.path = {c->path2[0]}, .path2 = {c->path[0]}}, &peer,
		     e))
		return -1;
	if ((has_local || is_v4) && put_payload(r, msg, c->name, c->path, v, e))
		return -1;
	if (peer.type != RTA_VALUE_NULL)
		return 0;
	return put_payload(r, msg, c->name, c->path2, v, e);
}

/* path is IFA_ADDRESS, path2 IFA_LOCAL. Without a peer IFA_ADDRESS is the local address again. */
static int put_peer(struct row *r, struct buf *msg, const struct rta_column *c,
		    const struct rta_value *v, struct err *e)
{
	uint16_t address[RTA_COL_PATH + 1], local[RTA_COL_PATH + 1];
	struct span now;
	uint8_t own[16];
	size_t len;

	full_path(c->path, address);
	full_path(c->path2, local);
	now = rta_get(buf_span(msg), local);
	if (!now.data)
		now = rta_get(buf_span(msg), address);
	len = now.len;
	if (len > sizeof(own))
		return err_set(e, ERR_FORMAT, "an address of %zu bytes", len);
	if (now.data)
		memcpy(own, now.data, len);
	if (v->type == RTA_VALUE_NULL)
		return now.data ? rta_put(msg, address, own, len, e) : 0;
	if (now.data && rta_put(msg, local, own, len, e))
		return -1;
	return put_payload(r, msg, c->name, c->path, v, e);
}

/* "loopback" is not in the message. */
static int put_kind(struct row *r, struct buf *msg, const struct rta_column *c,
		    const struct rta_value *v, struct err *e)
{
	const struct rta_field *type = field_of(r->m->hdr, "type");

	if (v->type == RTA_VALUE_TEXT && !strcmp(v->text, "loopback")) {
		rta_int_write(type->type, msg->data + HDR_OFF + type->off, ARPHRD_LOOPBACK);
		return 0;
	}
	return put_attr(r, msg, c, v, e);
}

static int put_other(struct row *r, struct buf *msg, const struct rta_column *c,
		     const struct rta_value *v, struct err *e)
{
	struct rta_view view = {
		.mode = RTA_VIEW_COLUMN, .covered = r->cols, .nest_flag = rta_nest_flag(r->m)};
	auto_buf struct buf out = {0};
	auto_json struct json *j = NULL;
	struct nlmsghdr h;

	if (v->type == RTA_VALUE_INT)
		return err_set(e, ERR_FORMAT, "expected a JSON object");
	j = v->type == RTA_VALUE_TEXT ? json_parse(v->text, strlen(v->text), e) : json_new_object();
	if (!j)
		return -1;
	if (json_kind(j) != JSON_KIND_OBJECT)
		return err_set(e, ERR_FORMAT, "expected a JSON object");
	if (buf_add(&out, msg->data, rta_hdr_len(r->m), e) ||
	    rta_level_patch(&view, r->m->set, r->attrs, j, &out, e))
		return -1;
	memcpy(&h, out.data, sizeof(h));
	h.nlmsg_len = (uint32_t)out.len;
	memcpy(out.data, &h, sizeof(h));
	return buf_splice(msg, 0, msg->len, out.data, out.len, e);
}

static int put_never(struct row *r, struct buf *msg, const struct rta_column *c,
		     const struct rta_value *v, struct err *e)
{
	if (v->type == RTA_VALUE_NULL)
		return 0;
	return err_set(e, ERR_UNSUPPORTED, "cannot be changed in this kind of message");
}

struct how {
	int (*get)(struct row *r, const struct rta_column *c, struct rta_value *v, struct err *e);
	int (*put)(struct row *r, struct buf *msg, const struct rta_column *c,
		   const struct rta_value *v, struct err *e);
};

static const struct how hows[] = {
	[RTA_COL_NONE] = {get_none, put_never},
	[RTA_COL_FIELD] = {get_field, put_field},
	[RTA_COL_ATTR] = {get_attr, put_attr},
	[RTA_COL_ATTR0] = {get_attr, put_attr},
	[RTA_COL_EITHER] = {get_either, put_either},
	[RTA_COL_TABLE] = {get_table, put_table},
	[RTA_COL_SUB] = {get_sub, put_sub},
	[RTA_COL_LOW] = {get_table, put_low},
	[RTA_COL_PREFIX] = {get_prefix, put_prefix},
	[RTA_COL_PREFIX_DEFAULT] = {get_prefix, put_prefix},
	[RTA_COL_RANGE] = {get_range, put_range},
	[RTA_COL_LOCAL] = {get_either, put_local},
	[RTA_COL_PEER] = {get_peer, put_peer},
	[RTA_COL_KIND] = {get_kind, put_kind},
	[RTA_COL_WHAT] = {get_what, put_never},
	[RTA_COL_EXPECT] = {get_expect, put_never},
	[RTA_COL_OTHER] = {get_other, put_other},
};
_Static_assert(ARRAY_SIZE(hows) == RTA_COL_COUNT, "functions for each kind of column");

static int row_open(struct row *r, enum rta_table t, struct span msg, struct err *e)
{
	if (rta_check(msg, e))
		return -1;
	r->m = rta_msg_find(msg);
	if (r->m->table != t)
		return err_set(e, ERR_FORMAT, "a message of type %u is not a row of %s",
			       r->m->nl_type, rta_table_name(t));
	r->cols = rta_columns_of(r->m);
	r->msg = msg;
	r->attrs = rta_attrs_of(r->m, msg);
	return 0;
}

/* A message whose type nobody knows: what is "msg_NN" and other has the bytes. */
static int decode_unknown(struct span msg, rta_column_fn *fn, void *arg, struct err *e)
{
	const struct rta_column *c;
	auto_buf struct buf text = {0};
	struct nlmsghdr h;
	char what[32];
	int n;

	memcpy(&h, msg.data, sizeof(h));
	snprintf(what, sizeof(what), "msg_%u", h.nlmsg_type);
	if (buf_add_str(&text, "{\"payload\":", e) ||
	    rta_hex(&text, "", (struct span){msg.data + sizeof(h), h.nlmsg_len - sizeof(h)}, e) ||
	    buf_add_str(&text, "}", e))
		return -1;
	for (c = rta_columns_unknown(); c->name; c++) {
		struct rta_value v = {RTA_VALUE_NULL, 0, NULL};

		if (c->how == RTA_COL_WHAT)
			v = (struct rta_value){RTA_VALUE_TEXT, 0, what};
		if (c->how == RTA_COL_OTHER)
			v = (struct rta_value){RTA_VALUE_TEXT, 0, (const char *)text.data};
		n = fn(c->name, &v, arg, e);
		if (n)
			return n;
	}
	return 0;
}

static bool is_unknown(enum rta_table t, struct span msg)
{
	struct nlmsghdr h;

	if (t != RTA_TABLE_TC || msg.len < sizeof(h) || rta_msg_find(msg))
		return false;
	memcpy(&h, msg.data, sizeof(h));
	return h.nlmsg_len >= sizeof(h) && h.nlmsg_len <= msg.len;
}

int rta_row_decode(enum rta_table t, struct span msg, rta_column_fn *fn, void *arg, struct err *e)
{
	const struct rta_column *c;
	struct row r = {0};
	int n = 0;

	if (is_unknown(t, msg))
		return decode_unknown(msg, fn, arg, e);
	if (row_open(&r, t, msg, e))
		return -1;
	/* row_open gave columns: NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	for (c = r.cols; c->name && !n; c++) {
		struct rta_value v = {RTA_VALUE_NULL, 0, NULL};

		n = hows[c->how].get(&r, c, &v, e);
		if (n)
			err_wrap(e, "%s", c->name);
		else
			n = fn(c->name, &v, arg, e);
	}
	buf_free(&r.text);
	return n;
}

static bool is_same(const struct rta_value *a, const struct rta_value *b)
{
	if (a->type != b->type)
		return false;
	return a->type == RTA_VALUE_NULL ||
	       (a->type == RTA_VALUE_INT ? a->num == b->num : !strcmp(a->text, b->text));
}

static int patch_one(enum rta_table t, struct buf *msg, const struct rta_edit *edit, struct err *e)
{
	struct rta_value now = {RTA_VALUE_NULL, 0, NULL};
	const struct rta_column *c;
	auto_buf struct buf whole = {0};
	struct row r = {0};
	int n;

	/* the old bytes must not move while the new ones are made */
	if (buf_add(&whole, msg->data, msg->len, e) || row_open(&r, t, buf_span(&whole), e))
		return -1;
	/* row_open gave columns: NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	for (c = r.cols; c->name && strcmp(c->name, edit->column); c++)
		;
	if (!c->name)
		return err_set(e, ERR_NOTFOUND, "%s has no column \"%.40s\" in its messages",
			       rta_table_name(t), edit->column);
	n = hows[c->how].get(&r, c, &now, e);
	if (!n && !is_same(&now, &edit->value))
		n = hows[c->how].put(&r, msg, c, &edit->value, e);
	buf_free(&r.text);
	return n ? err_wrap(e, "%s.%s", rta_table_name(t), c->name) : 0;
}

int rta_row_patch(enum rta_table t, struct span msg, const struct rta_edit *edits, size_t n,
		  struct buf *out, struct err *e)
{
	auto_buf struct buf work = {0};
	struct nlmsghdr h;
	size_t i;

	if (!is_unknown(t, msg) && rta_check(msg, e))
		return -1;
	memcpy(&h, msg.data, sizeof(h));
	if (buf_add(&work, msg.data, h.nlmsg_len, e))
		return -1;
	for (i = 0; i < n; i++)
		if (patch_one(t, &work, &edits[i], e))
			return -1;
	return buf_add(out, work.data, work.len, e);
}
