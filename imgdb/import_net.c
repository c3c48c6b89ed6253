/* Records of network namespaces: devices, sysctls, netlink messages, rulesets. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/json.h"
#include "criu/netdev.pb-c.h"
#include "criu/nsimg.pb-c.h"
#include "criu/userns.pb-c.h"
#include "imgdb/import_int.h"
#include "proto/sysctl_tables.h"

/* Decode rec into im->row with the map, and set where it came from. */
static int decode(struct import *im, enum map_id id, enum import_table t,
		  const struct img_record *rec, struct err *e)
{
	struct map *m = &im->map[id];

	map_row_clear(&im->row, m);
	if (map_decode(m, rec->msg, &im->row, e))
		return -1;
	import_origin(im, t, &im->row.row[0], rec);
	im->cur->n_unknown += im->row.n_unknown;
	return 0;
}

static int missing_note(struct import *im, const struct img_record *rec, struct err *e)
{
	if (!im->row.n_missing)
		return 0;
	return import_note(im, rec, "damage", im->cur->name,
			   "the record lacks a required field; its column has 0 or nothing", e);
}

int import_userns(struct import *im, const struct img_record *rec, struct err *e)
{
	struct sql_table *t = &im->table[T_USERNS];

	if (decode(im, MAP_USERNS, T_USERNS, rec, e))
		return -1;
	sql_set_int(&im->row.row[0], sql_column_find(t, "ns_id"), (int64_t)im->cur->number);
	map_row_complete(&im->row, &im->map[MAP_USERNS]);
	return import_insert(im, T_USERNS, &im->row.row[0], e);
}

/* ---- netns ---- */

/* The last part of the first path it is pinned at, else "nsN". */
static int set_name(struct import *im, struct sql_row *row, const struct img_record *rec,
		    struct err *e)
{
	int col = sql_column_find(&im->table[T_NETNS], "name");
	struct wire_value v;
	const uint8_t *slash;
	char text[32];
	int rc = wire_get(&netns_entry__descriptor, rec->msg, "nsimg.name[0]", &v, e);

	if (rc < 0)
		return -1;
	slash = rc ? memrchr(v.bytes.data, '/', v.bytes.len) : NULL;
	if (slash)
		v.bytes =
			(struct span){slash + 1, v.bytes.len - (size_t)(slash + 1 - v.bytes.data)};
	if (rc && v.bytes.len)
		return sql_set_escaped(row, col, v.bytes, e);
	snprintf(text, sizeof(text), "ns%llu", (unsigned long long)im->cur->number);
	return sql_set_text(row, col, text, strlen(text), e);
}

static int add_nsid(struct import *im, const struct img_record *rec, struct span msg, struct err *e)
{
	struct sql_table *t = &im->table[T_NSID];
	struct sql_row row = {.text = &im->row.text};
	struct wire_value target, value;
	int64_t target_row;

	if (wire_get(&netns_id__descriptor, msg, "target_ns_id", &target, e) < 0 ||
	    wire_get(&netns_id__descriptor, msg, "netnsid_value", &value, e) < 0 ||
	    import_netns_find(im, target.u, &target_row, e))
		return -1;
	sql_row_clear(&row, t);
	import_origin(im, T_NSID, &row, rec);
	sql_set_int(&row, sql_column_find(t, "target"), target_row);
	sql_set_int(&row, sql_column_find(t, "value"), (int64_t)value.u);
	return import_insert(im, T_NSID, &row, e);
}

int import_netns(struct import *im, const struct img_record *rec, struct err *e)
{
	struct sql_table *t = &im->table[T_NETNS];
	struct sql_row *row = &im->row.row[0];
	struct wire_values it;
	struct wire_value v;
	int rc;

	if (decode(im, MAP_NETNS, T_NETNS, rec, e) || set_name(im, row, rec, e))
		return -1;
	sql_set_int(row, 0, im->cur_netns);
	sql_set_int(row, sql_column_find(t, "ns_id"), (int64_t)im->cur->number);
	map_row_complete(&im->row, &im->map[MAP_NETNS]);
	if (rec->no) /* a second entry is damage; the first one has the row */
		return import_note(im, rec, "damage", im->cur->name, "a second entry", e);
	if (import_insert(im, T_NETNS, row, e) ||
	    wire_values_begin(&it, &netns_entry__descriptor, rec->msg, "nsids", e))
		return -1;
	while ((rc = wire_values_next(&it, &v, e)) == 1)
		if (add_nsid(im, rec, v.bytes, e))
			return -1;
	return rc ? -1 : import_sysctl_lists(im, rec, &netns_entry__descriptor, NULL, e);
}

/* ---- sysctls ---- */

static int add_sysctl(struct import *im, const struct img_record *rec, const char *name,
		      const char *path, const struct wire_value *num, const struct wire_value *text,
		      struct err *e)
{
	struct sql_table *t = &im->table[T_SYSCTL];
	struct sql_row row = {.text = &im->row.text};
	int value = sql_column_find(t, "value");
	char digits[24];

	sql_row_clear(&row, t);
	import_origin(im, T_SYSCTL, &row, rec);
	snprintf(digits, sizeof(digits), "%lld", num ? (long long)(int32_t)num->u : 0);
	if (sql_set_escaped(&row, sql_column_find(t, "name"),
			    (struct span){(const uint8_t *)name, strlen(name)}, e) ||
	    (num ? sql_set_text(&row, value, digits, strlen(digits), e)
		 : sql_set_escaped(&row, value, text->bytes, e)) ||
	    sql_set_text(&row, sql_column_find(t, "path"), path, strlen(path), e))
		return -1;
	return import_insert(im, T_SYSCTL, &row, e);
}

/* Before conf4 there was conf: plain numbers, -1 where the kernel had no such sysctl. */
static int add_number(struct import *im, const struct img_record *rec, const char *name,
		      const char *path, const struct wire_value *v, struct err *e)
{
	return (int32_t)v->u == -1 ? 0 : add_sysctl(im, rec, name, path, v, NULL, e);
}

static int add_entry(struct import *im, const struct img_record *rec, const char *name,
		     const char *path, struct span msg, struct err *e)
{
	struct wire_value num, text;
	int has_num = wire_get(&sysctl_entry__descriptor, msg, "iarg", &num, e);
	int has_text = wire_get(&sysctl_entry__descriptor, msg, "sarg", &text, e);

	if (has_num < 0 || has_text < 0)
		return -1;
	if (!has_num && !has_text)
		return 0;
	/* CRIU keeps the newline that the file in /proc/sys ends with */
	if (has_text && text.bytes.len && text.bytes.data[text.bytes.len - 1] == '\n')
		text.bytes.len--;
	return add_sysctl(im, rec, name, path, has_num ? &num : NULL, &text, e);
}

static int add_list(struct import *im, const struct img_record *rec,
		    const ProtobufCMessageDescriptor *desc, const struct sysctl_field *f,
		    const char *device, struct err *e)
{
	const ProtobufCFieldDescriptor *fd =
		protobuf_c_message_descriptor_get_field_by_name(desc, f->field);
	struct wire_values it;
	struct wire_value v;
	char name[160], path[40];
	size_t pos = 0;
	int rc;

	if (wire_values_begin(&it, desc, rec->msg, f->field, e))
		return -1;
	for (; (rc = wire_values_next(&it, &v, e)) == 1; pos++) {
		/* a newer CRIU may have names beyond ours; the record keeps them */
		if (!sysctl_path(f->list, pos, f->device ? f->device : device, name, sizeof(name)))
			continue;
		snprintf(path, sizeof(path), "%s[%zu]", f->field, pos);
		if (fd->type == PROTOBUF_C_TYPE_MESSAGE ? add_entry(im, rec, name, path, v.bytes, e)
							: add_number(im, rec, name, path, &v, e))
			return -1;
	}
	return rc;
}

/* Lists of CRIU before 2.3, which have the same order. */
static const struct {
	struct sysctl_field old;
	const char *newer;
} old_lists[] = {
	{{"net_device_entry", "conf", SYSCTL_CONF4, NULL}, "conf4"},
	{{"netns_entry", "def_conf", SYSCTL_CONF4, "default"}, "def_conf4"},
	{{"netns_entry", "all_conf", SYSCTL_CONF4, "all"}, "all_conf4"},
};

int import_sysctl_lists(struct import *im, const struct img_record *rec,
			const ProtobufCMessageDescriptor *desc, const char *device, struct err *e)
{
	for (const struct sysctl_field *f = sysctl_fields(); f->message; f++)
		if (!strcmp(f->message, desc->name) && add_list(im, rec, desc, f, device, e))
			return -1;
	for (size_t i = 0; i < ARRAY_SIZE(old_lists); i++)
		if (!strcmp(old_lists[i].old.message, desc->name) &&
		    !wire_has(desc, rec->msg, old_lists[i].newer) &&
		    add_list(im, rec, desc, &old_lists[i].old, device, e))
			return -1;
	return 0;
}

int import_sysctl(struct import *im, const struct img_record *rec, struct err *e)
{
	if (decode(im, MAP_SYSCTL, T_SYSCTL, rec, e) ||
	    sql_set_text(&im->row.row[0], sql_column_find(&im->table[T_SYSCTL], "path"), "value", 5,
			 e))
		return -1;
	map_row_complete(&im->row, &im->map[MAP_SYSCTL]);
	return import_insert(im, T_SYSCTL, &im->row.row[0], e);
}

/* ---- devices ---- */

static void set_criu_kind(const struct sql_table *t, struct sql_row *row)
{
	static const char *const kinds[] = {
		[ND_TYPE__LOOPBACK] = "loopback", [ND_TYPE__VETH] = "veth",
		[ND_TYPE__TUN] = "tun",           [ND_TYPE__VENET] = "venet",
		[ND_TYPE__BRIDGE] = "bridge",     [ND_TYPE__MACVLAN] = "macvlan",
		[ND_TYPE__SIT] = "sit",
	};
	int kind = sql_column_find(t, "kind");
	const struct sql_cell *type = &row->cell[sql_column_find(t, "nd_type")];
	const char *word;

	if (row->cell[kind].type != QUERY_NULL || type->type != QUERY_INT)
		return;
	word = type->num >= 0 && (size_t)type->num < ARRAY_SIZE(kinds) ? kinds[type->num] : NULL;
	if (word)
		sql_set_lent(row, kind, QUERY_TEXT,
			     (struct span){(const uint8_t *)word, strlen(word)});
}

/* The namespace that "link" is an index of: CRIU names it, a full message leaves it out when it is the
 * device's own (rtnetlink(7), IFLA_LINK_NETNSID). */
static int set_peer_netns(struct import *im, const struct img_record *rec, bool has_link,
			  struct sql_row *row, struct err *e)
{
	const struct sql_table *t = &im->table[T_DEVICE];
	const struct sql_cell *link = &row->cell[sql_column_find(t, "link")];
	const struct sql_cell *nsid = &row->cell[sql_column_find(t, "link_netnsid")];
	int col = sql_column_find(t, "peer_netns");
	struct wire_value v;
	int64_t netns;
	int rc = wire_get(&net_device_entry__descriptor, rec->msg, "peer_nsid", &v, e);

	if (rc < 0)
		return -1;
	if (rc && link->type == QUERY_INT) {
		if (import_netns_find(im, v.u, &netns, e))
			return -1;
		sql_set_int(row, col, netns);
	} else if (!rc && has_link && nsid->type == QUERY_NULL && link->num > 0 &&
		   link->num != row->cell[sql_column_find(t, "ifindex")].num) {
		sql_set_int(row, col, im->cur_netns);
	}
	return 0;
}

int import_device(struct import *im, const struct img_record *rec, struct err *e)
{
	struct sql_table *t = &im->table[T_DEVICE];
	struct sql_row *row = &im->row.row[0];
	auto_buf struct buf name = {0};
	struct wire_value link;
	struct span text;
	int has_link;

	if (decode(im, MAP_DEVICE, T_DEVICE, rec, e))
		return -1;
	has_link = wire_get(&net_device_entry__descriptor, rec->msg, "nsimg_link", &link, e);
	if (has_link < 0 ||
	    (has_link && import_nl_cells(im, RTA_TABLE_DEVICE, link.bytes, row, e)) ||
	    set_peer_netns(im, rec, has_link, row, e))
		return -1;
	set_criu_kind(t, row);
	map_row_complete(&im->row, &im->map[MAP_DEVICE]);
	/* the row's name is needed after the row's text was used again */
	text = sql_cell_bytes(row, &row->cell[sql_column_find(t, "name")]);
	if (escape_undo(&name, (const char *)text.data, text.len, e) ||
	    import_insert(im, T_DEVICE, row, e) || missing_note(im, rec, e))
		return -1;
	return import_sysctl_lists(im, rec, &net_device_entry__descriptor,
				   name.data ? (const char *)name.data : "", e);
}

/* ---- netlink messages ---- */

struct cells {
	struct import *im;
	enum rta_table t;
	struct sql_row *row;
	size_t i;
};

static int set_column(const char *column, const struct rta_value *v, void *arg, struct err *e)
{
	struct cells *c = arg;
	int col = c->i < SQL_COLUMNS_MAX ? c->im->rta_col[c->t][c->i++] : -1;

	switch (v->type) {
	case RTA_VALUE_INT:
		sql_set_int(c->row, col, v->num);
		return 0;
	case RTA_VALUE_TEXT:
		return sql_set_text(c->row, col, v->text, strlen(v->text), e);
	default:
		return 0;
	}
}

int import_nl_cells(struct import *im, enum rta_table t, struct span msg, struct sql_row *row,
		    struct err *e)
{
	struct cells c = {im, t, row, 0};

	return rta_row_decode(t, msg, set_column, &c, e);
}

int import_nl_row(struct import *im, const struct img_record *rec, struct span msg, struct err *e)
{
	enum rta_table kind = rta_table_of(msg);
	enum import_table t = (enum import_table)kind;
	struct sql_row *row = &im->row.row[0];

	if (kind == RTA_TABLE_COUNT && msg.len >= sizeof(struct nlmsghdr))
		return import_note(im, rec, "unknown", im->cur->name,
				   "a netlink message of a type without a table", e);
	if (rta_check(msg, e))
		return -1;
	buf_reset(&im->row.text);
	row->text = &im->row.text;
	sql_row_clear(row, &im->table[t]);
	import_origin(im, t, row, rec);
	if (import_nl_cells(im, kind, msg, row, e))
		return -1;
	if (kind == RTA_TABLE_CONNTRACK)
		sql_set_int(row, sql_column_find(&im->table[t], "expect"),
			    im->cur->type->pattern[6] == 'e');
	im->row.n_missing = sql_row_complete(row, &im->table[t]);
	return import_insert(im, t, row, e) ? -1 : missing_note(im, rec, e);
}

int import_nl(struct import *im, const struct img_record *rec, struct err *e)
{
	return rec->nl_type < NLMSG_MIN_TYPE ? 0 : import_nl_row(im, rec, rec->msg, e);
}

int import_rtnl(struct import *im, const struct img_record *rec, struct err *e)
{
	struct wire_value v;

	if (wire_get(&nsimg_nl_entry__descriptor, rec->msg, "msg", &v, e) < 0)
		return -1;
	return import_nl_row(im, rec, v.bytes, e);
}

/* ---- rulesets ---- */

int import_text(struct import *im, const struct img_record *rec, struct err *e)
{
	static const struct {
		enum img_kind kind;
		const char *word;
	} formats[] = {{IMG_NFTABLES, "nftables"},
		       {IMG_IPTABLES, "iptables"},
		       {IMG_IP6TABLES, "ip6tables"}};
	struct sql_table *t = &im->table[T_FIREWALL];
	struct sql_row *row = &im->row.row[0];
	enum img_kind kind = img_type_kind(im->cur->type);
	struct span text = rec->msg;
	const uint8_t *zero = text.len ? memchr(text.data, 0, text.len) : NULL;

	row->text = &im->row.text;
	sql_row_clear(row, t);
	import_origin(im, T_FIREWALL, row, rec);
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (formats[i].kind == kind)
			sql_set_lent(row, sql_column_find(t, "format"), QUERY_TEXT,
				     (struct span){(const uint8_t *)formats[i].word,
						   strlen(formats[i].word)});
	if (zero) {
		text.len = (size_t)(zero - text.data);
		if (import_note(im, rec, "damage", im->cur->name,
				"a zero byte in the text; the column ends before it", e))
			return -1;
	}
	sql_set_lent(row, sql_column_find(t, "content"), QUERY_TEXT, text);
	return import_insert(im, T_FIREWALL, row, e);
}
