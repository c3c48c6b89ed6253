/* JSON -> attributes: only what differs from the bytes that are there is encoded again. */
#include "proto/rta_view.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/hex.h"
#include "proto/inet.h"

static int wrong(struct err *e, const char *what, const char *expected)
{
	return err_set(e, ERR_FORMAT, "%s: expected %s", what, expected);
}

/* --- simple values --- */

static int hex_bytes(const char *s, const char *what, struct buf *out, struct err *e)
{
	int rc = s ? hex_undo(out, s, strlen(s), e) : 0;

	return rc ? rc < 0 ? -1 : 0 : wrong(e, what, "bytes as hex digits");
}

/* Least and greatest value of an integer type; a u64 is handled by its caller. */
static void int_bounds(enum rta_type t, int64_t *min, int64_t *max)
{
	size_t bits = 8 * rta_type_size(t);

	*min = t == RTAT_S32 ? INT32_MIN : t == RTAT_U8_1;
	*max = t == RTAT_S32 ? INT32_MAX : t == RTAT_U8_1 ? 256 : (int64_t)((1ull << bits) - 1);
}

static int int_value(const struct rta_attr *row, const struct json *j, const char *what, int64_t *v,
		     struct err *e)
{
	const char *s = json_str(j);
	int64_t min, max;
	uint64_t u;
	unsigned i;

	for (i = 0; s && i < row->n_words; i++)
		if (row->words[i] && !strcmp(s, row->words[i])) {
			*v = i;
			return 0;
		}
	if (json_kind(j) == JSON_KIND_BOOL) {
		*v = json_bool_of(j);
		return 0;
	}
	if (row->type == RTAT_U64 || row->type == RTAT_BE64) {
		if (json_to_uint(j, &u, what, e))
			return -1;
		*v = (int64_t)u;
		return 0;
	}
	if (json_to_int(j, v, what, e))
		return -1;
	int_bounds(row->type, &min, &max);
	if (*v < min || *v > max)
		return err_set(e, ERR_RANGE, "%s: %lld is not between %lld and %lld", what,
			       (long long)*v, (long long)min, (long long)max);
	return 0;
}

static int int_bytes(const struct rta_attr *row, const struct json *j, const char *what,
		     struct buf *out, struct err *e)
{
	uint8_t b[8] = {0};
	int64_t v;

	if (int_value(row, j, what, &v, e))
		return -1;
	rta_int_write(row->type, b, v);
	return buf_add(out, b, rta_type_size(row->type), e);
}

static int bool_bytes(const struct json *j, const char *what, struct buf *out, struct err *e)
{
	static const struct rta_attr u8 = {.type = RTAT_U8};
	uint8_t b = json_bool_of(j);
	int64_t v;

	if (json_kind(j) != JSON_KIND_BOOL) {
		if (int_value(&u8, j, what, &v, e))
			return -1;
		b = (uint8_t)v;
	}
	return buf_add(out, &b, 1, e);
}

/* Strings of rtnetlink end with a zero. */
static int str_bytes(const struct rta_attr *row, const struct json *j, const char *what,
		     struct buf *out, struct err *e)
{
	const char *s = json_str(j);
	size_t start = out->len, n;

	if (!s)
		return wrong(e, what, "a string");
	if (escape_undo(out, s, strlen(s), e))
		return err_wrap(e, "%s", what);
	n = out->len - start;
	if (row->max && n > row->max)
		return err_set(e, ERR_RANGE, "%s: %zu bytes, at most %u fit", what, n, row->max);
	if (n && memchr(out->data + start, 0, n))
		return err_set(e, ERR_FORMAT, "%s: a zero byte inside a name", what);
	return buf_add(out, "", 1, e);
}

/* An address keeps the family it had, where there was one. */
static int addr_bytes(const struct json *j, struct span old, const char *what, struct buf *out,
		      struct err *e)
{
	const char *s = json_str(j);
	int family = inet_family_of_len(old.len);
	uint8_t addr[16];
	size_t len;

	if (!s)
		return wrong(e, what, "an address");
	if (inet_parse(s, old.data ? family : 0, addr, &len, e))
		return err_wrap(e, "%s", what);
	return buf_add(out, addr, len, e);
}

static int via_bytes(const struct json *j, const char *what, struct buf *out, struct err *e)
{
	const char *s = json_str(j);
	uint8_t addr[16];
	uint16_t family;
	size_t len;

	if (!s)
		return wrong(e, what, "an address");
	if (inet_parse(s, 0, addr, &len, e))
		return err_wrap(e, "%s", what);
	family = (uint16_t)inet_family_of_len(len);
	if (buf_add(out, &family, sizeof(family), e))
		return -1;
	return buf_add(out, addr, len, e);
}

static int ll_bytes(const struct json *j, const char *what, struct buf *out, struct err *e)
{
	const char *s = json_str(j);
	uint8_t addr[INET_LL_BYTES];
	size_t len;

	if (!s)
		return wrong(e, what, "a link-layer address");
	if (inet_ll_parse(s, addr, &len, e))
		return err_wrap(e, "%s", what);
	return buf_add(out, addr, len, e);
}

static int u32s_bytes(const struct json *j, const char *what, struct buf *out, struct err *e)
{
	static const struct rta_attr u32 = {.type = RTAT_U32};
	size_t i;

	if (json_kind(j) != JSON_KIND_ARRAY)
		return wrong(e, what, "an array of numbers");
	for (i = 0; i < json_len(j); i++)
		if (int_bytes(&u32, json_at(j, i), what, out, e))
			return -1;
	return 0;
}

/* --- structures --- */

static int field_bytes(const struct rta_field *f, const struct json *j, const char *what,
		       uint8_t *at, struct err *e)
{
	struct rta_attr row = {.name = f->name, .type = f->type};
	struct rta_view v = {.mode = RTA_VIEW_ALL};
	auto_buf struct buf out = {0};
	char name[128];

	snprintf(name, sizeof(name), "%s.%s", what, f->name);
	if (rta_value_bytes(&v, &row, j, (struct span){at, f->len}, name, &out, e))
		return -1;
	if (out.len != f->len)
		return err_set(e, ERR_RANGE, "%s: %zu bytes instead of %u", name, out.len, f->len);
	/* f->len is not 0, so data is there: NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker) */
	memcpy(at, out.data, f->len);
	return 0;
}

static bool field_is_hidden(const struct rta_view *v, const struct rta_field *f, const uint8_t *at)
{
	static const uint8_t zero[64];

	if (v->mode != RTA_VIEW_COLUMN)
		return false;
	return f->flags & RTAF_HIDE ||
	       (f->flags & RTAF_HIDE0 && f->len <= sizeof(zero) && !memcmp(at, zero, f->len));
}

/* Every member must be a field, or a misspelled one would be lost. */
static int fields_are_known(const struct rta_struct *rec, const struct json *j, const char *what,
			    struct err *e)
{
	const struct json *value;
	const char *key;
	void *iter = NULL;
	size_t i;

	while (json_next(j, &iter, &key, &value)) {
		for (i = 0; i < rec->n_fields && strcmp(key, rec->field[i].name); i++)
			;
		if (i == rec->n_fields && strcmp(key, "tail") &&
		    !(rec->array && !strcmp(key, rec->array)))
			return err_set(e, ERR_FORMAT, "%s: no member \"%.40s\"", what, key);
	}
	return 0;
}

static int structs_bytes(const struct rta_view *v, const struct rta_struct *rec,
			 const struct json *j, struct span old, const char *what, struct buf *out,
			 struct err *e);

/* What is behind a structure. */
static int behind_bytes(const struct rta_view *v, const struct rta_struct *rec,
			const struct json *j, struct span old, const char *what, struct buf *out,
			struct err *e)
{
	const struct json *tail = json_get(j, "tail");
	const struct json *array = rec->array ? json_get(j, rec->array) : NULL;
	struct span was = {NULL, 0};

	if (old.len > rec->size && rta_is_array(rec, old.len - rec->size))
		was = (struct span){old.data + rec->size, old.len - rec->size};
	if (array && structs_bytes(v, rec->elem, array, was, what, out, e))
		return -1;
	return tail ? hex_bytes(json_str(tail), what, out, e) : 0;
}

static int struct_bytes(const struct rta_view *v, const struct rta_struct *rec,
			const struct json *j, struct span old, const char *what, struct buf *out,
			struct err *e)
{
	static const uint8_t zero[256];
	size_t start = out->len, n = old.data ? old.len : rec->size, i;

	if (json_kind(j) != JSON_KIND_OBJECT)
		return wrong(e, what, "an object");
	if (fields_are_known(rec, j, what, e))
		return -1;
	if (n > rec->size)
		n = rec->size;
	if (old.data ? buf_add(out, old.data, n, e) : buf_add(out, zero, n, e))
		return -1;
	for (i = 0; i < rec->n_fields; i++) {
		const struct rta_field *f = &rec->field[i];
		const struct json *value = json_get(j, f->name);
		uint8_t *at = out->data + start + f->off;

		if ((size_t)f->off + f->len > n)
			continue;
		if (value ? field_bytes(f, value, what, at, e) : 0)
			return -1;
		if (!value && !field_is_hidden(v, f, at))
			memset(at, 0, f->len);
	}
	return behind_bytes(v, rec, j, old, what, out, e);
}

static int structs_bytes(const struct rta_view *v, const struct rta_struct *rec,
			 const struct json *j, struct span old, const char *what, struct buf *out,
			 struct err *e)
{
	size_t i;

	if (json_kind(j) != JSON_KIND_ARRAY)
		return wrong(e, what, "an array of objects");
	for (i = 0; i < json_len(j); i++) {
		struct span was = {NULL, 0};

		if ((i + 1) * rec->size <= old.len)
			was = (struct span){old.data + i * rec->size, rec->size};
		if (struct_bytes(v, rec, json_at(j, i), was, what, out, e))
			return -1;
	}
	return 0;
}

/* --- lists --- */

/* The i-th member of a list as it is, or one with data NULL. */
static struct rta_item old_member(struct span old, size_t i)
{
	struct err ignored = ERR_INIT;
	struct rta_item it = {.data = {NULL, 0}};
	size_t off = 0;

	while (old.data && rta_item_next(old, &off, &it, &ignored) > 0)
		if (!i--)
			return it;
	return (struct rta_item){.data = {NULL, 0}};
}

static int list_bytes(struct rta_view *v, const struct rta_attr *row, const struct json *j,
		      struct span old, const char *what, struct buf *out, struct err *e)
{
	size_t i, at;

	if (json_kind(j) != JSON_KIND_ARRAY)
		return wrong(e, what, "an array");
	for (i = 0; i < json_len(j); i++) {
		struct rta_item was = old_member(old, i);
		uint16_t type = row->arg == RTA_COUNT_0   ? (uint16_t)i
				: row->arg == RTA_COUNT_1 ? (uint16_t)(i + 1)
							  : row->arg;

		if (was.data.data)
			type = was.raw_type;
		else if (row->elem->type == RTAT_NEST)
			type |= v->nest_flag;
		if (rta_item_begin(out, type, &at, e) ||
		    rta_value_bytes(v, row->elem, json_at(j, i), was.data, what, out, e) ||
		    rta_item_end(out, at, e))
			return -1;
	}
	return 0;
}

static bool multipath_hop(struct span all, size_t i, struct rtnexthop *nh, struct span *attrs)
{
	size_t off;

	for (off = 0; off + sizeof(*nh) <= all.len; off += RTNH_ALIGN(nh->rtnh_len)) {
		memcpy(nh, all.data + off, sizeof(*nh));
		if (i--)
			continue;
		*attrs = (struct span){all.data + off + sizeof(*nh), nh->rtnh_len - sizeof(*nh)};
		return true;
	}
	return false;
}

/* A member of a hop that is part of struct rtnexthop, taken out of a copy so that the rest is attributes. */
static int hop_number(struct json *hop, const char *key, int64_t min, int64_t max, int64_t absent,
		      int64_t *v, struct err *e)
{
	const struct json *j = json_get(hop, key);

	*v = absent;
	if (!j)
		return 0;
	if (json_to_int(j, v, key, e))
		return -1;
	if (*v < min || *v > max)
		return err_set(e, ERR_RANGE, "%s: %lld is not between %lld and %lld", key,
			       (long long)*v, (long long)min, (long long)max);
	json_unset(hop, key);
	return 0;
}

static int hop_bytes(struct rta_view *v, const struct rta_attr *row, const struct json *j,
		     struct rtnexthop nh, struct span attrs, struct buf *out, struct err *e)
{
	auto_buf struct buf text = {0};
	auto_json struct json *hop = NULL;
	size_t start = out->len, len;
	int64_t oif, weight, flags;

	if (json_print(j, false, &text, e))
		return -1;
	hop = json_parse((const char *)text.data, text.len, e);
	if (!hop || hop_number(hop, "oif", 0, INT32_MAX, 0, &oif, e) ||
	    hop_number(hop, "weight", 1, 256, 1, &weight, e) ||
	    hop_number(hop, "flags", 0, 255, 0, &flags, e))
		return -1;
	nh.rtnh_ifindex = (int)oif;
	nh.rtnh_hops = (uint8_t)(weight - 1);
	nh.rtnh_flags = (uint8_t)flags;
	if (buf_add(out, &nh, sizeof(nh), e) || rta_level_patch(v, row->set, attrs, hop, out, e))
		return -1;
	len = out->len - start;
	if (len > UINT16_MAX)
		return err_set(e, ERR_RANGE, "a next hop of %zu bytes", len);
	nh.rtnh_len = (uint16_t)len;
	memcpy(out->data + start, &nh, sizeof(nh));
	return 0;
}

static int multipath_bytes(struct rta_view *v, const struct rta_attr *row, const struct json *j,
			   struct span old, const char *what, struct buf *out, struct err *e)
{
	size_t i;

	if (json_kind(j) != JSON_KIND_ARRAY)
		return wrong(e, what, "an array of next hops");
	for (i = 0; i < json_len(j); i++) {
		struct rtnexthop nh = {0};
		struct span attrs = {NULL, 0};

		if (json_kind(json_at(j, i)) != JSON_KIND_OBJECT)
			return wrong(e, what, "an array of objects");
		if (!old.data || !multipath_hop(old, i, &nh, &attrs))
			attrs = (struct span){NULL, 0};
		if (hop_bytes(v, row, json_at(j, i), nh, attrs, out, e))
			return err_wrap(e, "%s[%zu]", what, i);
	}
	return 0;
}

int rta_value_bytes(struct rta_view *v, const struct rta_attr *row, const struct json *j,
		    struct span old, const char *what, struct buf *out, struct err *e)
{
	const char *s = json_str(j);

	if (s && !strncmp(s, "hex:", 4))
		return hex_bytes(s + 4, what, out, e);
	if (old.data && !rta_is_sound(row, old))
		old = (struct span){NULL, 0};
	switch ((enum rta_type)row->type) {
	case RTAT_HEX:
	case RTAT_VARIANT:
	case RTAT_TYPE_COUNT:
		return hex_bytes(s, what, out, e);
	case RTAT_BOOL:
		return bool_bytes(j, what, out, e);
	case RTAT_FLAG:
		return 0;
	case RTAT_STR:
		return str_bytes(row, j, what, out, e);
	case RTAT_ADDR:
		return addr_bytes(j, old, what, out, e);
	case RTAT_VIA:
		return via_bytes(j, what, out, e);
	case RTAT_LL:
		return ll_bytes(j, what, out, e);
	case RTAT_U32S:
		return u32s_bytes(j, what, out, e);
	case RTAT_STRUCT:
		return struct_bytes(v, row->rec, j, old, what, out, e);
	case RTAT_STRUCTS:
		return structs_bytes(v, row->rec, j, old, what, out, e);
	case RTAT_LIST:
		return list_bytes(v, row, j, old, what, out, e);
	case RTAT_MULTIPATH:
		return multipath_bytes(v, row, j, old, what, out, e);
	case RTAT_NEST:
		if (json_kind(j) != JSON_KIND_OBJECT)
			return wrong(e, what, "an object");
		return rta_level_patch(v, row->set, old, j, out, e);
	default:
		return int_bytes(row, j, what, out, e);
	}
}

/* --- levels --- */

/* Is the value what the bytes say already? */
static int is_same(struct rta_view *v, const struct rta_attr *row, struct span data,
		   const struct json *j, bool *same, struct err *e)
{
	auto_buf struct buf text = {0};
	auto_json struct json *now = NULL;

	if (rta_value_text(v, row, data, &text, e))
		return -1;
	now = json_parse((const char *)text.data, text.len, e);
	if (!now)
		return -1;
	*same = json_same(now, j);
	return 0;
}

/* The member is gone from the JSON: so is the attribute, unless the view shows nothing of it anyway. */
static int keep_hidden(struct rta_view *v, const struct rta_attr *row, const struct rta_item *it,
		       bool *keep, struct err *e)
{
	auto_buf struct buf text = {0};

	*keep = false;
	if (v->mode == RTA_VIEW_ALL || (row->type != RTAT_NEST && row->type != RTAT_STRUCT))
		return 0;
	if (rta_value_text(v, row, it->data, &text, e))
		return -1;
	*keep = text.len == 2 && it->data.len;
	return 0;
}

static int item_patch(struct rta_view *v, const struct rta_attr *row, struct span all,
		      const struct rta_item *it, const struct json *j, const char *key,
		      struct buf *out, struct err *e)
{
	bool same = false;
	size_t at;

	if (!j || json_kind(j) == JSON_KIND_NULL ||
	    (row->type == RTAT_FLAG && json_kind(j) == JSON_KIND_BOOL && !json_bool_of(j))) {
		if (keep_hidden(v, row, it, &same, e))
			return -1;
		return same ? buf_add(out, all.data + it->at, it->size, e) : 0;
	}
	if (is_same(v, row, it->data, j, &same, e))
		return -1;
	if (same)
		return buf_add(out, all.data + it->at, it->size, e);
	if (rta_item_begin(out, it->raw_type, &at, e) ||
	    rta_value_bytes(v, row, j, it->data, key, out, e))
		return -1;
	return rta_item_end(out, at, e);
}

/* The attribute number of a member name: of the table, or attr_NN; 0 when it is neither. */
static uint16_t type_of_key(const struct rta_set *set, const char *key)
{
	size_t n = strcspn(key, "#");
	unsigned long v;
	uint16_t i;
	char *end;

	for (i = 0; set && i < set->n_attrs; i++)
		if (set->attr[i].name && strlen(set->attr[i].name) == n &&
		    !strncmp(set->attr[i].name, key, n))
			return i;
	if (strncmp(key, "attr_", 5) || key[5] < '0' || key[5] > '9')
		return 0;
	v = strtoul(key + 5, &end, 10);
	return end == key + n && v <= (uint16_t)NLA_TYPE_MASK ? (uint16_t)v : 0;
}

static bool level_has(const struct rta_set *set, struct span all, const char *want)
{
	struct err ignored = ERR_INIT;
	struct rta_item it;
	size_t off = 0;

	while (rta_item_next(all, &off, &it, &ignored) > 0) {
		struct rta_attr row = rta_attr_row(set, it.type, all);
		char key[RTA_KEY_MAX];

		rta_key(&row, it.type, it.nth, key);
		if (!strcmp(key, want))
			return true;
	}
	return false;
}

/* Siblings that choose a variant may be new too, so they are looked for in what was written so far. */
static int add_member(struct rta_view *v, const struct rta_set *set, const char *key,
		      const struct json *j, struct buf *out, size_t start, struct err *e)
{
	uint16_t type = type_of_key(set, key);
	struct span none = {NULL, 0};
	struct rta_attr row;
	size_t at;

	if (!type && strcmp(key, "attr_0"))
		return err_set(e, ERR_FORMAT, "no attribute \"%.40s\" here", key);
	row = rta_attr_row(set, type, (struct span){out->data + start, out->len - start});
	if (row.type == RTAT_FLAG && json_kind(j) == JSON_KIND_BOOL && !json_bool_of(j))
		return 0;
	if (v->depth >= RTA_DEPTH_MAX)
		return err_set(e, ERR_FORMAT, "%.40s: nested too deeply", key);
	v->path[v->depth++] = type;
	if (row.type == RTAT_NEST || row.type == RTAT_LIST)
		type |= v->nest_flag;
	if (rta_item_begin(out, type, &at, e) || rta_value_bytes(v, &row, j, none, key, out, e) ||
	    rta_item_end(out, at, e))
		return -1;
	v->depth--;
	return 0;
}

int rta_level_patch(struct rta_view *v, const struct rta_set *set, struct span all,
		    const struct json *obj, struct buf *out, struct err *e)
{
	size_t off = 0, start = out->len;
	const struct json *value;
	struct rta_item it;
	void *iter = NULL;
	const char *name;
	int r;

	while ((r = rta_item_next(all, &off, &it, e)) > 0) {
		struct rta_attr row = rta_attr_row(set, it.type, all);
		char key[RTA_KEY_MAX];

		if (!rta_is_shown(v, &row, it.type, it.data)) {
			if (buf_add(out, all.data + it.at, it.size, e))
				return -1;
			continue;
		}
		rta_key(&row, it.type, it.nth, key);
		if (v->depth >= RTA_DEPTH_MAX)
			return err_set(e, ERR_FORMAT, "%s: nested too deeply", key);
		v->path[v->depth++] = it.type;
		if (item_patch(v, &row, all, &it, json_get(obj, key), key, out, e))
			return -1;
		v->depth--;
	}
	while (!r && json_next(obj, &iter, &name, &value))
		if (json_kind(value) != JSON_KIND_NULL && !level_has(set, all, name) &&
		    add_member(v, set, name, value, out, start, e))
			return -1;
	return r;
}
