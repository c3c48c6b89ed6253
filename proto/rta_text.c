/* Attributes -> JSON text. The text is written straight into a buf: import does this for every row. */
#include "proto/rta_view.h"

#include <inttypes.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "base/escape.h"
#include "base/hex.h"
#include "proto/inet.h"

#define EXACT_MAX (1ll << 53) /* readers that keep numbers as doubles */

void rta_key(const struct rta_attr *row, uint16_t type, unsigned nth, char key[RTA_KEY_MAX])
{
	char name[RTA_KEY_MAX - 16];

	if (row->name)
		snprintf(name, sizeof(name), "%s", row->name);
	else
		snprintf(name, sizeof(name), "attr_%u", type);
	if (nth)
		snprintf(key, RTA_KEY_MAX, "%s#%u", name, nth + 1);
	else
		snprintf(key, RTA_KEY_MAX, "%s", name);
}

/* text has the escape already, so only these two are left to quote for JSON. */
int rta_quote(struct buf *out, const char *text, size_t n, struct err *e)
{
	size_t i, start = 0;

	if (buf_add(out, "\"", 1, e))
		return -1;
	for (i = 0; i < n; i++) {
		if (text[i] != '"' && text[i] != '\\')
			continue;
		if (buf_add(out, text + start, i - start, e) || buf_add(out, "\\", 1, e))
			return -1;
		start = i;
	}
	if (buf_add(out, text + start, n - start, e))
		return -1;
	return buf_add(out, "\"", 1, e);
}

int rta_hex(struct buf *out, const char *prefix, struct span data, struct err *e)
{
	return buf_printf(out, e, "\"%s", prefix) || hex_add(out, data.data, data.len, e)
		       ? -1
		       : buf_add(out, "\"", 1, e);
}

static int str_text(struct span data, struct buf *out, struct err *e)
{
	auto_buf struct buf text = {0};
	size_t n = strnlen((const char *)data.data, data.len);

	/* bytes behind the end, or what would read back as hex */
	if (data.len > n + 1 || (n >= 4 && !memcmp(data.data, "hex:", 4)))
		return rta_hex(out, "hex:", data, e);
	if (escape_add(&text, data.data, n, e))
		return -1;
	return rta_quote(out, (const char *)text.data, text.len, e);
}

static int int_text(const struct rta_attr *row, struct span data, struct buf *out, struct err *e)
{
	int64_t n = rta_int_read(row->type, data.data);
	bool is_u64 = row->type == RTAT_U64 || row->type == RTAT_BE64;

	if (n >= 0 && n < row->n_words && row->words[n])
		return buf_printf(out, e, "\"%s\"", row->words[n]);
	if (is_u64 && (n > EXACT_MAX || n < 0))
		return buf_printf(out, e, "\"%" PRIu64 "\"", (uint64_t)n);
	return buf_printf(out, e, "%" PRId64, n);
}

/* --- structures --- */

static bool field_is_shown(const struct rta_view *v, const struct rta_field *f, struct span data)
{
	if (v->mode == RTA_VIEW_DIFF)
		return !(f->flags & RTAF_VOL);
	if (v->mode == RTA_VIEW_ALL)
		return true;
	return !(f->flags & RTAF_HIDE) && !(f->flags & RTAF_HIDE0 && span_is_zero(data));
}

/* Lifetimes run while one looks: only their kind is compared. */
static int life_text(int64_t n, enum rta_type t, struct buf *out, struct err *e)
{
	bool forever = t == RTAT_U32 && n == UINT32_MAX;

	return buf_add_str(out, n == 0 ? "\"none\"" : forever ? "\"forever\"" : "\"finite\"", e);
}

static int field_text(const struct rta_view *v, const struct rta_field *f, struct span data,
		      struct buf *out, struct err *e)
{
	struct rta_attr row = {.name = f->name, .type = f->type};
	struct rta_view inner = {.mode = v->mode};
	uint32_t bits;

	if (v->mode == RTA_VIEW_DIFF && f->flags & RTAF_LIFE)
		return life_text(rta_int_read(f->type, data.data), f->type, out, e);
	if (v->mode == RTA_VIEW_DIFF && f->vol && rta_type_is_int(f->type)) {
		bits = (uint32_t)rta_int_read(f->type, data.data) & ~f->vol;
		return buf_printf(out, e, "%" PRIu32, bits);
	}
	return rta_value_text(&inner, &row, data, out, e);
}

int rta_fields_text(const struct rta_view *v, const struct rta_struct *rec, struct span data,
		    bool *first, struct buf *out, struct err *e)
{
	size_t i;

	for (i = 0; i < rec->n_fields; i++) {
		const struct rta_field *f = &rec->field[i];
		struct span at = {data.data + f->off, f->len};

		/* an older kernel's structure is shorter */
		if ((size_t)f->off + f->len > data.len || !field_is_shown(v, f, at))
			continue;
		if (buf_printf(out, e, "%s\"%s\":", *first ? "" : ",", f->name) ||
		    field_text(v, f, at, out, e))
			return -1;
		*first = false;
	}
	return 0;
}

static int structs_text(const struct rta_view *v, const struct rta_struct *rec, struct span data,
			struct buf *out, struct err *e);

/* What is behind a structure: its array, or bytes (a newer kernel's is longer). */
static int behind_text(const struct rta_view *v, const struct rta_struct *rec, struct span rest,
		       const char *comma, struct buf *out, struct err *e)
{
	if (rta_is_array(rec, rest.len))
		return buf_printf(out, e, "%s\"%s\":", comma, rec->array) ||
				       structs_text(v, rec->elem, rest, out, e)
			       ? -1
			       : 0;
	return buf_printf(out, e, "%s\"tail\":", comma) || rta_hex(out, "", rest, e) ? -1 : 0;
}

static int struct_text(const struct rta_view *v, const struct rta_struct *rec, struct span data,
		       struct buf *out, struct err *e)
{
	bool first = true;
	size_t n = rec->size;

	if (buf_add(out, "{", 1, e) || rta_fields_text(v, rec, data, &first, out, e))
		return -1;
	if (data.len > n && behind_text(v, rec, (struct span){data.data + n, data.len - n},
					first ? "" : ",", out, e))
		return -1;
	return buf_add(out, "}", 1, e);
}

static int structs_text(const struct rta_view *v, const struct rta_struct *rec, struct span data,
			struct buf *out, struct err *e)
{
	size_t off;

	if (buf_add(out, "[", 1, e))
		return -1;
	for (off = 0; off < data.len; off += rec->size) {
		struct span one = {data.data + off, rec->size};

		if ((off && buf_add(out, ",", 1, e)) || struct_text(v, rec, one, out, e))
			return -1;
	}
	return buf_add(out, "]", 1, e);
}

/* --- lists --- */

static int u32s_text(struct span data, struct buf *out, struct err *e)
{
	size_t off;

	if (buf_add(out, "[", 1, e))
		return -1;
	for (off = 0; off < data.len; off += 4)
		if (buf_printf(out, e, "%s%" PRIu32, off ? "," : "", rta_load_u32(data.data + off)))
			return -1;
	return buf_add(out, "]", 1, e);
}

static int list_text(struct rta_view *v, const struct rta_attr *row, struct span data,
		     struct buf *out, struct err *e)
{
	struct rta_item it;
	size_t off = 0;
	int r;

	if (buf_add(out, "[", 1, e))
		return -1;
	while ((r = rta_item_next(data, &off, &it, e)) > 0)
		if ((it.at && buf_add(out, ",", 1, e)) ||
		    rta_value_text(v, row->elem, it.data, out, e))
			return -1;
	return r < 0 ? -1 : buf_add(out, "]", 1, e);
}

static int multipath_text(struct rta_view *v, const struct rta_attr *row, struct span data,
			  struct buf *out, struct err *e)
{
	struct rtnexthop nh;
	size_t off;

	if (buf_add(out, "[", 1, e))
		return -1;
	for (off = 0; off < data.len; off += RTNH_ALIGN(nh.rtnh_len)) {
		struct span attrs;
		unsigned flags;
		size_t at;

		memcpy(&nh, data.data + off, sizeof(nh));
		attrs = (struct span){data.data + off + sizeof(nh), nh.rtnh_len - sizeof(nh)};
		flags = nh.rtnh_flags;
		if (v->mode == RTA_VIEW_DIFF)
			flags &= RTNH_F_ONLINK | RTNH_F_PERVASIVE;
		if (buf_printf(out, e, "%s{\"oif\":%d,\"weight\":%u,\"flags\":%u", off ? "," : "",
			       nh.rtnh_ifindex, nh.rtnh_hops + 1u, flags))
			return -1;
		at = out->len;
		if (rta_level_text(v, row->set, attrs, out, e))
			return -1;
		/* one object: "{" becomes "," unless it is empty */
		if (out->data[at + 1] == '}') {
			if (buf_splice(out, at, 1, NULL, 0, e))
				return -1;
		} else {
			out->data[at] = ',';
		}
	}
	return buf_add(out, "]", 1, e);
}

/* --- soundness --- */

static bool list_is_sound(const struct rta_attr *row, struct span data)
{
	struct err ignored = ERR_INIT;
	struct rta_item it;
	size_t off = 0;
	uint16_t want = row->arg == RTA_COUNT_1;
	int r;

	while ((r = rta_item_next(data, &off, &it, &ignored)) > 0) {
		if (row->arg < RTA_COUNT_0)
			want = row->arg;
		if (it.type != want++)
			return false;
	}
	return r == 0;
}

static bool multipath_is_sound(const struct rta_attr *row, struct span data)
{
	struct err ignored = ERR_INIT;
	struct rtnexthop nh;
	size_t off;

	for (off = 0; off < data.len; off += RTNH_ALIGN(nh.rtnh_len)) {
		struct rta_item it;
		struct span attrs;
		size_t at = 0;
		int r;

		if (data.len - off < sizeof(nh))
			return false;
		memcpy(&nh, data.data + off, sizeof(nh));
		if (nh.rtnh_len < sizeof(nh) || nh.rtnh_len > data.len - off)
			return false;
		attrs = (struct span){data.data + off + sizeof(nh), nh.rtnh_len - sizeof(nh)};
		while ((r = rta_item_next(attrs, &at, &it, &ignored)) > 0)
			if (it.type ==
			    RTA_MULTIPATH) /* not in a next hop: would recurse for ever */
				return false;
		if (r < 0)
			return false;
	}
	return true;
}

bool rta_is_sound(const struct rta_attr *row, struct span data)
{
	switch ((enum rta_type)row->type) {
	case RTAT_FLAG:
		return data.len == 0;
	case RTAT_ADDR:
		return data.len == 4 || data.len == 16;
	case RTAT_LL:
		return data.len <= INET_LL_BYTES;
	case RTAT_VIA:
		return (data.len == 6 || data.len == 18) &&
		       (data.data[0] | data.data[1] << 8) == inet_family_of_len(data.len - 2);
	case RTAT_U32S:
		return data.len % 4 == 0;
	case RTAT_STRUCTS:
		return data.len % row->rec->size == 0;
	case RTAT_LIST:
		return list_is_sound(row, data);
	case RTAT_MULTIPATH:
		return multipath_is_sound(row, data);
	case RTAT_BOOL:
		return data.len == 1 && data.data[0] <= 1;
	default:
		return !rta_type_size(row->type) || rta_type_size(row->type) == data.len;
	}
}

int rta_value_text(struct rta_view *v, const struct rta_attr *row, struct span data,
		   struct buf *out, struct err *e)
{
	char text[INET_LL_MAX];

	if (!rta_is_sound(row, data))
		return rta_hex(out, "hex:", data, e);
	if (v->mode == RTA_VIEW_DIFF && row->flags & RTAF_LIFE)
		return life_text(rta_int_read(row->type, data.data), row->type, out, e);
	if (v->mode == RTA_VIEW_DIFF && row->vol && row->type == RTAT_U32)
		return buf_printf(out, e, "%" PRIu32, rta_load_u32(data.data) & ~row->vol);
	switch ((enum rta_type)row->type) {
	case RTAT_HEX:
	case RTAT_VARIANT:
	case RTAT_TYPE_COUNT:
		return rta_hex(out, "", data, e);
	case RTAT_BOOL:
		return buf_add_str(out, data.data[0] ? "true" : "false", e);
	case RTAT_FLAG:
		return buf_add_str(out, "true", e);
	case RTAT_STR:
		return str_text(data, out, e);
	case RTAT_ADDR:
		inet_format(data.data, data.len, text);
		return buf_printf(out, e, "\"%s\"", text);
	case RTAT_VIA:
		inet_format(data.data + 2, data.len - 2, text);
		return buf_printf(out, e, "\"%s\"", text);
	case RTAT_LL:
		inet_ll_format(data.data, data.len, text);
		return buf_printf(out, e, "\"%s\"", text);
	case RTAT_U32S:
		return u32s_text(data, out, e);
	case RTAT_STRUCT:
		return struct_text(v, row->rec, data, out, e);
	case RTAT_STRUCTS:
		return structs_text(v, row->rec, data, out, e);
	case RTAT_NEST:
		return rta_level_text(v, row->set, data, out, e);
	case RTAT_LIST:
		return list_text(v, row, data, out, e);
	case RTAT_MULTIPATH:
		return multipath_text(v, row, data, out, e);
	default:
		return int_text(row, data, out, e);
	}
}

/* --- levels --- */

static bool is_container(const struct rta_attr *row)
{
	return row->type == RTAT_NEST || row->type == RTAT_STRUCT;
}

/* Of a container that others show in part, the rest is still shown. */
bool rta_is_shown(const struct rta_view *v, const struct rta_attr *row, uint16_t type,
		  struct span data)
{
	uint16_t path[RTA_DEPTH_MAX + 1];

	if (v->mode == RTA_VIEW_ALL)
		return true;
	if (v->mode == RTA_VIEW_DIFF)
		return !(row->flags & RTAF_VOL);
	if (row->flags & RTAF_HIDE || (row->flags & RTAF_HIDE0 && span_is_zero(data)))
		return false;
	if (!v->covered || v->depth >= RTA_DEPTH_MAX)
		return true;
	memcpy(path, v->path, v->depth * sizeof(*path));
	path[v->depth] = type;
	return !rta_is_covered(v->covered, path, v->depth + 1) || !rta_is_sound(row, data);
}

static int member_text(struct rta_view *v, const struct rta_attr *row, const struct rta_item *it,
		       bool *first, struct buf *out, struct err *e)
{
	char key[RTA_KEY_MAX];
	size_t start = out->len, value;

	rta_key(row, it->type, it->nth, key);
	if (buf_printf(out, e, "%s\"%s\":", *first ? "" : ",", key))
		return -1;
	value = out->len;
	if (v->depth >= RTA_DEPTH_MAX)
		return err_set(e, ERR_FORMAT, "attributes nested too deeply");
	v->path[v->depth++] = it->type;
	if (rta_value_text(v, row, it->data, out, e))
		return -1;
	v->depth--;
	/* everything in it was hidden */
	if (v->mode != RTA_VIEW_ALL && is_container(row) && it->data.len && out->len == value + 2 &&
	    out->data[value] == '{') {
		out->len = start;
		out->data[start] = 0;
		return 0;
	}
	*first = false;
	return 0;
}

int rta_level_text(struct rta_view *v, const struct rta_set *set, struct span all, struct buf *out,
		   struct err *e)
{
	struct rta_item it;
	bool first = true;
	size_t off = 0;
	int r;

	if (buf_add(out, "{", 1, e))
		return -1;
	while ((r = rta_item_next(all, &off, &it, e)) > 0) {
		struct rta_attr row = rta_attr_row(set, it.type, all);

		if (rta_is_shown(v, &row, it.type, it.data) &&
		    member_text(v, &row, &it, &first, out, e))
			return -1;
	}
	return r < 0 ? -1 : buf_add(out, "}", 1, e);
}

int rta_json(struct span msg, struct buf *out, struct err *e)
{
	struct rta_view v = {.mode = RTA_VIEW_ALL};
	const struct rta_msg *m;
	struct span hdr;
	bool first = true;
	size_t at;

	if (rta_check(msg, e))
		return -1;
	m = rta_msg_find(msg);
	hdr = (struct span){msg.data + sizeof(struct nlmsghdr), m->hdr->size};
	if (buf_add(out, "{", 1, e) || rta_fields_text(&v, m->hdr, hdr, &first, out, e) ||
	    buf_add_str(out, ",\"attrs\":", e))
		return -1;
	at = out->len;
	if (rta_level_text(&v, m->set, rta_attrs_of(m, msg), out, e)) {
		out->len = at;
		return -1;
	}
	return buf_add(out, "}", 1, e);
}
