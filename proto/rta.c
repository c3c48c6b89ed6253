/* Messages and attributes as bytes: finding, walking, adding. */
#include "proto/rta_tables.h"

#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"

#define MSG_MAX   (256u << 10)
#define LEVEL_MAX 4096

#define CT_NEW    0x100 /* NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW */
#define EXP_NEW   0x200 /* NFNL_SUBSYS_CTNETLINK_EXP << 8 | IPCTNL_MSG_EXP_NEW */

/* A row with a family comes before the one without. */
static const struct rta_msg messages[] = {
	{RTM_NEWLINK, AF_BRIDGE, RTA_TABLE_TC, "vlan", &rta_hdr_link, &rta_set_bridge_link},
	{RTM_NEWLINK, 0, RTA_TABLE_DEVICE, NULL, &rta_hdr_link, &rta_set_link},
	{RTM_NEWADDR, 0, RTA_TABLE_ADDRESS, NULL, &rta_hdr_addr, &rta_set_addr},
	{RTM_NEWROUTE, 0, RTA_TABLE_ROUTE, NULL, &rta_hdr_route, &rta_set_route},
	{RTM_NEWRULE, 0, RTA_TABLE_RULE, NULL, &rta_hdr_rule, &rta_set_rule},
	{RTM_NEWNEIGH, 0, RTA_TABLE_NEIGHBOUR, NULL, &rta_hdr_neigh, &rta_set_neigh},
	{RTM_NEWNEXTHOP, 0, RTA_TABLE_NEXTHOP, NULL, &rta_hdr_nexthop, &rta_set_nexthop},
	{RTM_NEWQDISC, 0, RTA_TABLE_TC, "qdisc", &rta_hdr_tc, &rta_set_tc},
	{RTM_NEWTCLASS, 0, RTA_TABLE_TC, "class", &rta_hdr_tc, &rta_set_tc},
	{RTM_NEWTFILTER, 0, RTA_TABLE_TC, "filter", &rta_hdr_tc, &rta_set_tc},
	{RTM_NEWCHAIN, 0, RTA_TABLE_TC, "chain", &rta_hdr_tc, &rta_set_tc},
	{RTM_NEWACTION, 0, RTA_TABLE_TC, "action", &rta_hdr_action, &rta_set_action},
	{RTM_NEWMDB, 0, RTA_TABLE_TC, "mdb", &rta_hdr_mdb, &rta_set_mdb},
	/* a dump comes with the number of the question (br_mdb_dump, net/bridge/br_mdb.c) */
	{RTM_GETMDB, 0, RTA_TABLE_TC, "mdb", &rta_hdr_mdb, &rta_set_mdb},
	{RTM_NEWTUNNEL, 0, RTA_TABLE_TC, "vni", &rta_hdr_tunnel, &rta_set_tunnel},
	{RTM_NEWVLAN, 0, RTA_TABLE_TC, "vlandb", &rta_hdr_vlandb, &rta_set_vlandb},
	{RTM_NEWADDRLABEL, 0, RTA_TABLE_TC, "addrlabel", &rta_hdr_addrlabel, &rta_set_addrlabel},
	/* a label that a new namespace has and this one has not */
	{RTM_DELADDRLABEL, 0, RTA_TABLE_TC, "addrlabel_gone", &rta_hdr_addrlabel,
	 &rta_set_addrlabel},
	{RTA_MSG_MADDRESS, AF_PACKET, RTA_TABLE_TC, "maddress", &rta_hdr_addr, &rta_set_maddress},
	{RTA_MSG_MPTCP_LIMITS, 0, RTA_TABLE_TC, "mptcp_limits", &rta_hdr_genl, &rta_set_mptcp},
	{RTA_MSG_MPTCP_ENDPOINT, 0, RTA_TABLE_TC, "mptcp_endpoint", &rta_hdr_genl, &rta_set_mptcp},
	{RTA_MSG_XFRM_POLICY, 0, RTA_TABLE_TC, "xfrm_policy", &rta_hdr_genl, &rta_set_xfrm_policy},
	{RTA_MSG_FEATURES, 0, RTA_TABLE_TC, "features", &rta_hdr_genl, &rta_set_features},
	{CT_NEW, 0, RTA_TABLE_CONNTRACK, NULL, &rta_hdr_ct, &rta_set_ct},
	{EXP_NEW, 0, RTA_TABLE_CONNTRACK, "expect", &rta_hdr_ct, &rta_set_expect},
};

static const char *const table_names[] = {
	"device",    "address", "route",           "rule",
	"neighbour", "nexthop", "traffic_control", "conntrack",
};
_Static_assert(ARRAY_SIZE(table_names) == RTA_TABLE_COUNT, "a name for each table");

const char *rta_table_name(enum rta_table t)
{
	return t < RTA_TABLE_COUNT ? table_names[t] : NULL;
}

enum rta_table rta_table_find(const char *name)
{
	enum rta_table t;

	for (t = 0; t < RTA_TABLE_COUNT; t++)
		if (!strcmp(name, table_names[t]))
			break;
	return t;
}

/* The nlmsghdr of msg, copied because a message inside a protobuf record may lie at any address; false when
 * it does not hold a whole message. */
static bool head_of(struct span msg, struct nlmsghdr *h)
{
	if (msg.len < sizeof(*h))
		return false;
	memcpy(h, msg.data, sizeof(*h));
	return h->nlmsg_len >= sizeof(*h) && h->nlmsg_len <= msg.len && h->nlmsg_len <= MSG_MAX;
}

const struct rta_msg *rta_msg_find(struct span msg)
{
	struct nlmsghdr h;
	uint8_t family;
	size_t i;

	if (!head_of(msg, &h) || h.nlmsg_len < sizeof(h) + 1)
		return NULL;
	family = msg.data[sizeof(h)];
	for (i = 0; i < ARRAY_SIZE(messages); i++) {
		const struct rta_msg *m = &messages[i];

		if (m->nl_type == h.nlmsg_type && (!m->family || m->family == family))
			return h.nlmsg_len >= sizeof(h) + m->hdr->size ? m : NULL;
	}
	return NULL;
}

const struct rta_msg *rta_msg_of_table(enum rta_table t, const char *what)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(messages); i++) {
		const struct rta_msg *m = &messages[i];

		if (m->table == t && (what ? m->what && !strcmp(m->what, what) : !m->what))
			return m;
	}
	return NULL;
}

const struct rta_msg *rta_msg_next(enum rta_table t, const struct rta_msg *m)
{
	for (m = m ? m + 1 : messages; m < messages + ARRAY_SIZE(messages); m++)
		if (m->table == t)
			return m;
	return NULL;
}

enum rta_table rta_table_of(struct span msg)
{
	const struct rta_msg *m = rta_msg_find(msg);

	return m ? m->table : RTA_TABLE_TC;
}

size_t rta_hdr_len(const struct rta_msg *m)
{
	return NLMSG_ALIGN(sizeof(struct nlmsghdr) + m->hdr->size);
}

uint16_t rta_nest_flag(const struct rta_msg *m)
{
	return m->nl_type >= RTM_NEWNEXTHOP ? NLA_F_NESTED : 0;
}

struct span rta_attrs_of(const struct rta_msg *m, struct span msg)
{
	size_t skip = rta_hdr_len(m);
	struct nlmsghdr h;

	if (!head_of(msg, &h) || h.nlmsg_len <= skip)
		return (struct span){NULL, 0};
	return (struct span){msg.data + skip, h.nlmsg_len - skip};
}

/* --- attributes --- */

/* How many attributes of this type come before offset end. */
static unsigned count_before(struct span all, size_t end, uint16_t type)
{
	unsigned n = 0;
	size_t off = 0;

	while (off < end) {
		struct nlattr a;

		memcpy(&a, all.data + off, sizeof(a));
		n += (a.nla_type & NLA_TYPE_MASK) == type;
		off += NLA_ALIGN(a.nla_len);
	}
	return n;
}

/* What follows the last attribute may be up to three bytes of padding that the length of the enclosing one
 * does not count; anything else is damage. */
int rta_item_next(struct span all, size_t *off, struct rta_item *it, struct err *e)
{
	struct nlattr a;

	if (*off >= all.len)
		return 0;
	if (all.len - *off < NLA_HDRLEN)
		return err_set(e, ERR_FORMAT, "attributes: %zu stray bytes at offset %zu",
			       all.len - *off, *off);
	memcpy(&a, all.data + *off, sizeof(a));
	if (a.nla_len < NLA_HDRLEN || a.nla_len > all.len - *off)
		return err_set(e, ERR_FORMAT,
			       "attribute %u at offset %zu: length %u does not fit into %zu bytes",
			       a.nla_type & NLA_TYPE_MASK, *off, a.nla_len, all.len - *off);
	it->raw_type = a.nla_type;
	it->type = a.nla_type & NLA_TYPE_MASK;
	it->at = *off;
	it->data = (struct span){all.data + *off + NLA_HDRLEN, a.nla_len - NLA_HDRLEN};
	it->nth = count_before(all, *off, it->type);
	*off += NLA_ALIGN(a.nla_len);
	if (*off > all.len)
		*off = all.len;
	it->size = *off - it->at;
	return 1;
}

struct span rta_item_find(struct span all, uint16_t type)
{
	size_t off = 0;

	while (off < all.len && all.len - off >= NLA_HDRLEN) {
		struct nlattr a;

		memcpy(&a, all.data + off, sizeof(a));
		if (a.nla_len < NLA_HDRLEN || a.nla_len > all.len - off)
			break;
		if ((a.nla_type & NLA_TYPE_MASK) == type)
			return (struct span){all.data + off + NLA_HDRLEN, a.nla_len - NLA_HDRLEN};
		off += NLA_ALIGN(a.nla_len);
	}
	return (struct span){NULL, 0};
}

int rta_item_begin(struct buf *out, uint16_t raw_type, size_t *at, struct err *e)
{
	struct nlattr a = {.nla_len = NLA_HDRLEN, .nla_type = raw_type};

	*at = out->len;
	return buf_add(out, &a, sizeof(a), e);
}

int rta_item_end(struct buf *out, size_t at, struct err *e)
{
	static const uint8_t zero[NLA_ALIGNTO];
	size_t len = out->len - at;
	uint16_t n = (uint16_t)len;

	if (len > UINT16_MAX)
		return err_set(e, ERR_RANGE, "an attribute of %zu bytes: at most 65535 fit", len);
	memcpy(out->data + at, &n, sizeof(n));
	return buf_add(out, zero, NLA_ALIGN(len) - len, e);
}

int rta_item_add(struct buf *out, uint16_t raw_type, const void *data, size_t len, struct err *e)
{
	size_t at;

	if (rta_item_begin(out, raw_type, &at, e) || buf_add(out, data, len, e))
		return -1;
	return rta_item_end(out, at, e);
}

/* --- rows --- */

static bool variant_is(const struct rta_variant *v, struct span sel)
{
	size_t n;

	if (!v->name)
		return sel.len == 2 && v->num == (sel.data[0] | sel.data[1] << 8);
	n = strnlen((const char *)sel.data, sel.len);
	return strlen(v->name) == n && !memcmp(v->name, sel.data, n);
}

struct rta_attr rta_attr_row(const struct rta_set *set, uint16_t type, struct span siblings)
{
	struct rta_attr row = {.name = NULL, .type = RTAT_HEX};
	const struct rta_variant *v;
	struct span sel;

	if (!set || type >= set->n_attrs || !set->attr[type].name)
		return row;
	if (set->attr[type].type != RTAT_VARIANT)
		return set->attr[type];
	row.name = set->attr[type].name;
	row.flags = set->attr[type].flags;
	sel = rta_item_find(siblings, set->attr[type].arg);
	for (v = set->attr[type].variant; sel.data && v->attr; v++) {
		if (!variant_is(v, sel))
			continue;
		row = *v->attr;
		row.name = set->attr[type].name;
		row.flags |= set->attr[type].flags;
		break;
	}
	return row;
}

size_t rta_type_size(enum rta_type t)
{
	switch (t) {
	case RTAT_U8:
	case RTAT_U8_1:
	case RTAT_BOOL:
		return 1;
	case RTAT_U16:
	case RTAT_BE16:
		return 2;
	case RTAT_U32:
	case RTAT_S32:
	case RTAT_BE32:
		return 4;
	case RTAT_U64:
	case RTAT_BE64:
		return 8;
	default:
		return 0;
	}
}

bool rta_is_array(const struct rta_struct *rec, size_t len)
{
	return rec->array && len && len % rec->elem->size == 0;
}

bool rta_type_is_int(enum rta_type t)
{
	return rta_type_size(t) && t != RTAT_BOOL;
}

int64_t rta_int_read(enum rta_type t, const void *p)
{
	uint8_t b[8] = {0};
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;

	memcpy(b, p, rta_type_size(t));
	memcpy(&u16, b, 2);
	memcpy(&u32, b, 4);
	memcpy(&u64, b, 8);
	switch (t) {
	case RTAT_U8_1:
		return b[0] + 1;
	case RTAT_BE16:
		return __builtin_bswap16(u16);
	case RTAT_BE32:
		return __builtin_bswap32(u32);
	case RTAT_BE64:
		return (int64_t)__builtin_bswap64(u64);
	case RTAT_S32:
		return (int32_t)u32;
	default:
		return (int64_t)u64;
	}
}

void rta_int_write(enum rta_type t, void *p, int64_t v)
{
	uint64_t u = (uint64_t)v;

	if (t == RTAT_U8_1)
		u = (uint64_t)(v - 1);
	else if (t == RTAT_BE16)
		u = __builtin_bswap16((uint16_t)u);
	else if (t == RTAT_BE32)
		u = __builtin_bswap32((uint32_t)u);
	else if (t == RTAT_BE64)
		u = __builtin_bswap64(u);
	memcpy(p, &u, rta_type_size(t));
}

/* --- checks --- */

static int check_level(const struct rta_set *set, struct span all, struct err *e);

static int check_list(const struct rta_attr *row, struct span all, struct err *e)
{
	struct rta_item it;
	size_t off = 0;
	int r;

	while ((r = rta_item_next(all, &off, &it, e)) > 0)
		if (row->elem->type == RTAT_NEST && check_level(row->elem->set, it.data, e))
			return -1;
	return r;
}

/* n attributes at most, before the quadratic counting of rta_item_next begins. */
static int check_count(struct span all, struct err *e)
{
	size_t off = 0, n = 0;

	while (all.len - off >= NLA_HDRLEN && off < all.len) {
		struct nlattr a;

		memcpy(&a, all.data + off, sizeof(a));
		if (a.nla_len < NLA_HDRLEN || a.nla_len > all.len - off)
			break;
		if (++n > LEVEL_MAX)
			return err_set(e, ERR_FORMAT, "more than %d attributes at one level",
				       LEVEL_MAX);
		off += NLA_ALIGN(a.nla_len);
		if (off > all.len)
			off = all.len;
	}
	return 0;
}

/* Damage inside a nest that a table describes is damage of the message. Recursion is as deep as the tables
 * are, which are trees (rta_set_route inside multipath is not walked here). */
static int check_level(const struct rta_set *set, struct span all, struct err *e)
{
	struct rta_item it;
	size_t off = 0;
	int r;

	if (check_count(all, e))
		return -1;
	while ((r = rta_item_next(all, &off, &it, e)) > 0) {
		struct rta_attr row = rta_attr_row(set, it.type, all);

		if ((row.type == RTAT_NEST && check_level(row.set, it.data, e)) ||
		    (row.type == RTAT_LIST && check_list(&row, it.data, e)))
			return err_wrap(e, "%s", row.name);
	}
	return r;
}

int rta_check(struct span msg, struct err *e)
{
	const struct rta_msg *m;
	struct nlmsghdr h;

	if (!head_of(msg, &h))
		return err_set(e, ERR_FORMAT, "not a whole netlink message: %zu bytes%s", msg.len,
			       msg.len < sizeof(h) ? "" : ", its header says another length");
	m = rta_msg_find(msg);
	if (!m)
		return err_set(e, ERR_FORMAT,
			       "netlink message of type %u and %u bytes: unknown, or too short for "
			       "its header",
			       h.nlmsg_type, h.nlmsg_len);
	return check_level(m->set, rta_attrs_of(m, msg), e);
}

int rta_row_new(enum rta_table t, const char *what, struct buf *out, struct err *e)
{
	static const uint8_t zero[256];
	const struct rta_msg *m = rta_msg_of_table(t, what);
	struct nlmsghdr h = {0};
	size_t start = out->len;

	if (!m)
		return err_set(e, ERR_NOTFOUND, "no netlink message makes a %s of %s",
			       what ? what : "row", rta_table_name(t));
	h.nlmsg_type = m->nl_type;
	h.nlmsg_len = (uint32_t)rta_hdr_len(m);
	if (buf_add(out, &h, sizeof(h), e) || buf_add(out, zero, rta_hdr_len(m) - sizeof(h), e))
		return -1;
	out->data[start + sizeof(h)] = m->family;
	return 0;
}

/* --- direct access --- */

struct span rta_get(struct span msg, const uint16_t *path)
{
	const struct rta_msg *m = rta_msg_find(msg);
	struct span at;

	if (!m || !path[0])
		return (struct span){NULL, 0};
	for (at = rta_attrs_of(m, msg); *path && at.data; path++)
		at = rta_item_find(at, *path);
	return at;
}

uint32_t rta_get_u32(struct span msg, const uint16_t *path, uint32_t absent)
{
	struct span s = rta_get(msg, path);
	uint32_t v;

	if (!s.data || s.len < sizeof(v))
		return absent;
	memcpy(&v, s.data, sizeof(v));
	return v;
}

/* Append to out the level with the attribute at path replaced. */
static int put_level(struct span all, const uint16_t *path, const void *data, size_t len,
		     uint16_t nest_flag, struct buf *out, struct err *e)
{
	struct span none = {NULL, 0};
	bool last = !path[1], seen = false;
	struct rta_item it;
	size_t off = 0, at;
	int r;

	while ((r = rta_item_next(all, &off, &it, e)) > 0) {
		if (it.type != path[0] || seen) {
			if (buf_add(out, all.data + it.at, it.size, e))
				return -1;
			continue;
		}
		seen = true;
		if (last && !data)
			continue;
		if (rta_item_begin(out, it.raw_type, &at, e) ||
		    (last ? buf_add(out, data, len, e)
			  : put_level(it.data, path + 1, data, len, nest_flag, out, e)) ||
		    rta_item_end(out, at, e))
			return -1;
	}
	if (r < 0 || seen || !data)
		return r;
	if (rta_item_begin(out, last ? path[0] : (uint16_t)(path[0] | nest_flag), &at, e) ||
	    (last ? buf_add(out, data, len, e)
		  : put_level(none, path + 1, data, len, nest_flag, out, e)))
		return -1;
	return rta_item_end(out, at, e);
}

int rta_put(struct buf *msg, const uint16_t *path, const void *data, size_t len, struct err *e)
{
	const struct rta_msg *m = rta_msg_find(buf_span(msg));
	auto_buf struct buf out = {0};
	struct nlmsghdr h;

	if (!m || !path[0])
		return err_set(e, ERR_FORMAT, "no netlink message to put an attribute into");
	if (!data && !rta_get(buf_span(msg), path).data)
		return 0;
	if (buf_add(&out, msg->data, rta_hdr_len(m), e) ||
	    put_level(rta_attrs_of(m, buf_span(msg)), path, data, len, rta_nest_flag(m), &out, e))
		return -1;
	memcpy(&h, out.data, sizeof(h));
	h.nlmsg_len = (uint32_t)out.len;
	memcpy(out.data, &h, sizeof(h));
	return buf_splice(msg, 0, msg->len, out.data, out.len, e);
}

int rta_put_u32(struct buf *msg, const uint16_t *path, uint32_t v, struct err *e)
{
	return rta_put(msg, path, &v, sizeof(v), e);
}
