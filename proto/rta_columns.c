/* Columns of the SQL tables <-> header fields and attributes. One row a column; a kind of column is a pair of
 * functions in rta_row.c, so that both directions come from the same row. */
#include "proto/rta_columns.h"

#include "proto/rta_view.h"

#include <linux/ethtool_netlink.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <string.h>

#define P(...)  .path = {__VA_ARGS__}
#define P2(...) .path2 = {__VA_ARGS__}

static const struct rta_column device_columns[] = {
	{"ifindex", RTA_COL_FIELD, .field = "ifindex"},
	{"name", RTA_COL_ATTR, P(IFLA_IFNAME)},
	{"kind", RTA_COL_KIND, P(IFLA_LINKINFO, IFLA_INFO_KIND)},
	{"flags", RTA_COL_FIELD, .field = "flags"},
	{"mtu", RTA_COL_ATTR, P(IFLA_MTU)},
	{"address", RTA_COL_ATTR, P(IFLA_ADDRESS)},
	{"broadcast", RTA_COL_ATTR, P(IFLA_BROADCAST)},
	{"alias", RTA_COL_ATTR, P(IFLA_IFALIAS)},
	{"altnames", RTA_COL_ATTR, P(IFLA_PROP_LIST)},
	{"txqlen", RTA_COL_ATTR, P(IFLA_TXQLEN)},
	{"group", RTA_COL_ATTR, P(IFLA_GROUP)},
	{"operstate", RTA_COL_ATTR, P(IFLA_OPERSTATE)},
	{"link", RTA_COL_ATTR, P(IFLA_LINK)},
	{"link_netnsid", RTA_COL_ATTR, P(IFLA_LINK_NETNSID)},
	{"master", RTA_COL_ATTR, P(IFLA_MASTER)},
	{"attrs", RTA_COL_ATTR, P(IFLA_LINKINFO, IFLA_INFO_DATA)},
	{"port_kind", RTA_COL_ATTR, P(IFLA_LINKINFO, IFLA_INFO_SLAVE_KIND)},
	{"port_attrs", RTA_COL_ATTR, P(IFLA_LINKINFO, IFLA_INFO_SLAVE_DATA)},
	{.name = "other", .how = RTA_COL_OTHER},
	{.name = NULL, .how = RTA_COL_NONE},
};

static const struct rta_column address_columns[] = {
	{"ifindex", RTA_COL_FIELD, .field = "ifindex"},
	{"family", RTA_COL_FIELD, .field = "family"},
	{"prefixlen", RTA_COL_FIELD, .field = "prefixlen"},
	{"address", RTA_COL_LOCAL, P(IFA_LOCAL), P2(IFA_ADDRESS)},
	{"peer", RTA_COL_PEER, P(IFA_ADDRESS), P2(IFA_LOCAL)},
	{"broadcast", RTA_COL_ATTR, P(IFA_BROADCAST)},
	{"anycast", RTA_COL_ATTR, P(IFA_ANYCAST)},
	{"label", RTA_COL_ATTR, P(IFA_LABEL)},
	{"flags", RTA_COL_LOW, P(IFA_FLAGS), .field = "flags"},
	{"scope", RTA_COL_FIELD, .field = "scope"},
	{"valid_lft", RTA_COL_SUB, P(IFA_CACHEINFO), .sub = "valid_life_time"},
	{"preferred_lft", RTA_COL_SUB, P(IFA_CACHEINFO), .sub = "preferred_life_time"},
	{"metric", RTA_COL_ATTR, P(IFA_RT_PRIORITY)},
	{"proto", RTA_COL_ATTR, P(IFA_PROTO)},
	{.name = "other", .how = RTA_COL_OTHER},
	{.name = NULL, .how = RTA_COL_NONE},
};

static const struct rta_column route_columns[] = {
	{"family", RTA_COL_FIELD, .field = "family"},
	{"dst", RTA_COL_PREFIX_DEFAULT, P(RTA_DST), .field = "dst_len"},
	{"src", RTA_COL_PREFIX, P(RTA_SRC), .field = "src_len"},
	{"table", RTA_COL_TABLE, P(RTA_TABLE), .field = "table"},
	{"type", RTA_COL_FIELD, .field = "type"},
	{"protocol", RTA_COL_FIELD, .field = "protocol"},
	{"scope", RTA_COL_FIELD, .field = "scope"},
	{"tos", RTA_COL_FIELD, .field = "tos"},
	{"flags", RTA_COL_FIELD, .field = "flags"},
	{"priority", RTA_COL_ATTR, P(RTA_PRIORITY)},
	{"oif", RTA_COL_ATTR, P(RTA_OIF)},
	{"iif", RTA_COL_ATTR, P(RTA_IIF)},
	{"gateway", RTA_COL_ATTR, P(RTA_GATEWAY)},
	{"via", RTA_COL_ATTR, P(RTA_VIA)},
	{"prefsrc", RTA_COL_ATTR, P(RTA_PREFSRC)},
	{"nh_id", RTA_COL_ATTR, P(RTA_NH_ID)},
	{"pref", RTA_COL_ATTR, P(RTA_PREF)},
	{"metrics", RTA_COL_ATTR, P(RTA_METRICS)},
	{"multipath", RTA_COL_ATTR, P(RTA_MULTIPATH)},
	{.name = "other", .how = RTA_COL_OTHER},
	{.name = NULL, .how = RTA_COL_NONE},
};

static const struct rta_column rule_columns[] = {
	{"family", RTA_COL_FIELD, .field = "family"},
	{"priority", RTA_COL_ATTR0, P(FRA_PRIORITY)},
	{"action", RTA_COL_FIELD, .field = "action"},
	{"table", RTA_COL_TABLE, P(FRA_TABLE), .field = "table"},
	{"src", RTA_COL_PREFIX, P(FRA_SRC), .field = "src_len"},
	{"dst", RTA_COL_PREFIX, P(FRA_DST), .field = "dst_len"},
	{"iif", RTA_COL_ATTR, P(FRA_IIFNAME)},
	{"oif", RTA_COL_ATTR, P(FRA_OIFNAME)},
	{"fwmark", RTA_COL_ATTR, P(FRA_FWMARK)},
	{"fwmask", RTA_COL_ATTR, P(FRA_FWMASK)},
	{"tos", RTA_COL_FIELD, .field = "tos"},
	{"goto", RTA_COL_ATTR, P(FRA_GOTO)},
	{"flags", RTA_COL_FIELD, .field = "flags"},
	{"ipproto", RTA_COL_ATTR, P(FRA_IP_PROTO)},
	{"sport", RTA_COL_RANGE, P(FRA_SPORT_RANGE)},
	{"dport", RTA_COL_RANGE, P(FRA_DPORT_RANGE)},
	{"uidrange", RTA_COL_RANGE, P(FRA_UID_RANGE)},
	{"suppress_prefixlength", RTA_COL_ATTR, P(FRA_SUPPRESS_PREFIXLEN)},
	{"suppress_ifgroup", RTA_COL_ATTR, P(FRA_SUPPRESS_IFGROUP)},
	{"tun_id", RTA_COL_ATTR, P(FRA_TUN_ID)},
	{"l3mdev", RTA_COL_ATTR, P(FRA_L3MDEV)},
	{"protocol", RTA_COL_ATTR, P(FRA_PROTOCOL)},
	{.name = "other", .how = RTA_COL_OTHER},
	{.name = NULL, .how = RTA_COL_NONE},
};

static const struct rta_column neighbour_columns[] = {
	{"ifindex", RTA_COL_FIELD, .field = "ifindex"},
	{"family", RTA_COL_FIELD, .field = "family"},
	{"dst", RTA_COL_ATTR, P(NDA_DST)},
	{"lladdr", RTA_COL_ATTR, P(NDA_LLADDR)},
	{"state", RTA_COL_FIELD, .field = "state"},
	{"flags", RTA_COL_FIELD, .field = "flags"},
	{"type", RTA_COL_FIELD, .field = "type"},
	{"master", RTA_COL_ATTR, P(NDA_MASTER)},
	{"vlan", RTA_COL_ATTR, P(NDA_VLAN)},
	{"port", RTA_COL_ATTR, P(NDA_PORT)},
	{"vni", RTA_COL_ATTR, P(NDA_VNI)},
	{"nh_id", RTA_COL_ATTR, P(NDA_NH_ID)},
	{"protocol", RTA_COL_ATTR, P(NDA_PROTOCOL)},
	{.name = "other", .how = RTA_COL_OTHER},
	{.name = NULL, .how = RTA_COL_NONE},
};

static const struct rta_column nexthop_columns[] = {
	{"nh_id", RTA_COL_ATTR0, P(NHA_ID)},
	{"family", RTA_COL_FIELD, .field = "family"},
	{"gateway", RTA_COL_ATTR, P(NHA_GATEWAY)},
	{"oif", RTA_COL_ATTR, P(NHA_OIF)},
	{"blackhole", RTA_COL_ATTR0, P(NHA_BLACKHOLE)},
	{"fdb", RTA_COL_ATTR0, P(NHA_FDB)},
	{"group", RTA_COL_ATTR, P(NHA_GROUP)},
	{"group_type", RTA_COL_ATTR, P(NHA_GROUP_TYPE)},
	{"protocol", RTA_COL_FIELD, .field = "protocol"},
	{"scope", RTA_COL_FIELD, .field = "scope"},
	{"flags", RTA_COL_FIELD, .field = "flags"},
	{.name = "other", .how = RTA_COL_OTHER},
	{.name = NULL, .how = RTA_COL_NONE},
};

/* Bridge vlans, mdb entries, ... have no TCA_KIND; their attribute 1 is another thing. */
static const struct rta_column tc_columns[] = {
	{.name = "what", .how = RTA_COL_WHAT},
	{"ifindex", RTA_COL_FIELD, .field = "ifindex"},
	{"kind", RTA_COL_ATTR, P(TCA_KIND)},
	{"handle", RTA_COL_FIELD, .field = "handle"},
	{"parent", RTA_COL_FIELD, .field = "parent"},
	{"info", RTA_COL_FIELD, .field = "info"},
	{.name = "other", .how = RTA_COL_OTHER},
	{.name = NULL, .how = RTA_COL_NONE},
};
static const struct rta_column plain_columns[] = {
	{.name = "what", .how = RTA_COL_WHAT},   {"ifindex", RTA_COL_FIELD, .field = "ifindex"},
	{.name = "kind", .how = RTA_COL_NONE},   {.name = "handle", .how = RTA_COL_NONE},
	{.name = "parent", .how = RTA_COL_NONE}, {.name = "info", .how = RTA_COL_NONE},
	{.name = "other", .how = RTA_COL_OTHER}, {.name = NULL, .how = RTA_COL_NONE},
};
static const struct rta_column addrlabel_columns[] = {
	{.name = "what", .how = RTA_COL_WHAT},   {"ifindex", RTA_COL_FIELD, .field = "ifindex"},
	{.name = "kind", .how = RTA_COL_NONE},   {.name = "handle", .how = RTA_COL_NONE},
	{.name = "parent", .how = RTA_COL_NONE}, {"info", RTA_COL_FIELD, .field = "prefixlen"},
	{.name = "other", .how = RTA_COL_OTHER}, {.name = NULL, .how = RTA_COL_NONE},
};
static const struct rta_column features_columns[] = {
	{.name = "what", .how = RTA_COL_WHAT},
	{"ifindex", RTA_COL_ATTR, P(ETHTOOL_A_FEATURES_HEADER, ETHTOOL_A_HEADER_DEV_INDEX)},
	{.name = "kind", .how = RTA_COL_NONE},
	{.name = "handle", .how = RTA_COL_NONE},
	{.name = "parent", .how = RTA_COL_NONE},
	{.name = "info", .how = RTA_COL_NONE},
	{.name = "other", .how = RTA_COL_OTHER},
	{.name = NULL, .how = RTA_COL_NONE},
};

#define TUPLE_COLUMNS(t, pre)                                                                      \
	{pre "src", RTA_COL_EITHER, P(t, CTA_TUPLE_IP, CTA_IP_V4_SRC),                             \
	 P2(t, CTA_TUPLE_IP, CTA_IP_V6_SRC)},                                                      \
		{pre "dst", RTA_COL_EITHER, P(t, CTA_TUPLE_IP, CTA_IP_V4_DST),                     \
		 P2(t, CTA_TUPLE_IP, CTA_IP_V6_DST)},                                              \
		{pre "sport", RTA_COL_ATTR, P(t, CTA_TUPLE_PROTO, CTA_PROTO_SRC_PORT)},            \
	{                                                                                          \
		pre "dport", RTA_COL_ATTR, P(t, CTA_TUPLE_PROTO, CTA_PROTO_DST_PORT)               \
	}

static const struct rta_column ct_columns[] = {
	{.name = "expect", .how = RTA_COL_EXPECT},
	{"family", RTA_COL_FIELD, .field = "family"},
	{"proto", RTA_COL_ATTR, P(CTA_TUPLE_ORIG, CTA_TUPLE_PROTO, CTA_PROTO_NUM)},
	TUPLE_COLUMNS(CTA_TUPLE_ORIG, ""),
	TUPLE_COLUMNS(CTA_TUPLE_REPLY, "reply_"),
	{"status", RTA_COL_ATTR, P(CTA_STATUS)},
	{"timeout", RTA_COL_ATTR, P(CTA_TIMEOUT)},
	{"mark", RTA_COL_ATTR, P(CTA_MARK)},
	{"zone", RTA_COL_ATTR, P(CTA_ZONE)},
	{"tcp_state", RTA_COL_ATTR, P(CTA_PROTOINFO, CTA_PROTOINFO_TCP, CTA_PROTOINFO_TCP_STATE)},
	{.name = "other", .how = RTA_COL_OTHER},
	{.name = NULL, .how = RTA_COL_NONE},
};
static const struct rta_column expect_columns[] = {
	{.name = "expect", .how = RTA_COL_EXPECT},
	{"family", RTA_COL_FIELD, .field = "family"},
	{"proto", RTA_COL_ATTR, P(CTA_EXPECT_TUPLE, CTA_TUPLE_PROTO, CTA_PROTO_NUM)},
	TUPLE_COLUMNS(CTA_EXPECT_TUPLE, ""),
	{.name = "reply_src", .how = RTA_COL_NONE},
	{.name = "reply_dst", .how = RTA_COL_NONE},
	{.name = "reply_sport", .how = RTA_COL_NONE},
	{.name = "reply_dport", .how = RTA_COL_NONE},
	{"status", RTA_COL_ATTR, P(CTA_EXPECT_FLAGS)},
	{"timeout", RTA_COL_ATTR, P(CTA_EXPECT_TIMEOUT)},
	{.name = "mark", .how = RTA_COL_NONE},
	{"zone", RTA_COL_ATTR, P(CTA_EXPECT_ZONE)},
	{.name = "tcp_state", .how = RTA_COL_NONE},
	{.name = "other", .how = RTA_COL_OTHER},
	{.name = NULL, .how = RTA_COL_NONE},
};

static const struct rta_column *const table_columns[RTA_TABLE_COUNT] = {
	[RTA_TABLE_DEVICE] = device_columns,
	[RTA_TABLE_ADDRESS] = address_columns,
	[RTA_TABLE_ROUTE] = route_columns,
	[RTA_TABLE_RULE] = rule_columns,
	[RTA_TABLE_NEIGHBOUR] = neighbour_columns,
	[RTA_TABLE_NEXTHOP] = nexthop_columns,
	[RTA_TABLE_TC] = tc_columns,
	[RTA_TABLE_CONNTRACK] = ct_columns,
};

const struct rta_column *rta_columns_of(const struct rta_msg *m)
{
	if (m->set == &rta_set_expect)
		return expect_columns;
	if (m->set == &rta_set_addrlabel)
		return addrlabel_columns;
	if (m->set == &rta_set_features)
		return features_columns;
	if (m->table == RTA_TABLE_TC && m->set != &rta_set_tc)
		return plain_columns;
	return table_columns[m->table];
}

const struct rta_column *rta_columns_unknown(void)
{
	return plain_columns;
}

const char *rta_column(enum rta_table t, size_t i)
{
	size_t n;

	if (t >= RTA_TABLE_COUNT)
		return NULL;
	for (n = 0; table_columns[t][n].name; n++)
		if (n == i)
			return table_columns[t][n].name;
	return NULL;
}

static bool path_is(const uint16_t *want, const uint16_t *path, unsigned n)
{
	return n <= RTA_COL_PATH && !memcmp(want, path, n * sizeof(*path)) &&
	       (n == RTA_COL_PATH || !want[n]);
}

bool rta_is_covered(const struct rta_column *cols, const uint16_t *path, unsigned n)
{
	for (; cols->name; cols++) {
		if (cols->how == RTA_COL_SUB && n == 1 && cols->path[0] == path[0])
			return true;
		if ((cols->path[0] && path_is(cols->path, path, n)) ||
		    (cols->path2[0] && path_is(cols->path2, path, n)))
			return true;
	}
	return false;
}
