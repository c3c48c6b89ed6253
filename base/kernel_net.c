/* Probes that speak netlink inside the private namespaces. Devices there are called probeN; index 4711 is
 * given where one is asked for. */
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_bridge.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/nexthop.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/kernel_probes.h"

#ifndef IFLA_BAREUDP_MAX
#define IFLA_BAREUDP_PORT      1
#define IFLA_BAREUDP_ETHERTYPE 2
#endif

#define PARENT "probe0"
#define TRIED  "probe1"
#define INDEX  4711
#define TABLE  200
#define CREATE (NLM_F_CREATE | NLM_F_EXCL)

/* What a kind needs to be made: a device below it, numbers in IFLA_INFO_DATA (len 0: none). */
static const struct link_row {
	const char *kind;
	bool on_parent;
	struct {
		uint16_t attr;
		uint8_t len;
		uint32_t value;
	} data[2];
} link_rows[] = {
	{"vlan", true, {{IFLA_VLAN_ID, 2, 5}}},
	{"macvlan", true, {{0, 0, 0}}},
	{"macvtap", true, {{0, 0, 0}}},
	{"ipvlan", true, {{0, 0, 0}}},
	{"ipvtap", true, {{0, 0, 0}}},
	{"macsec", true, {{0, 0, 0}}},
	{"vxlan", false, {{IFLA_VXLAN_ID, 4, 42}}},
	{"geneve", false, {{IFLA_GENEVE_ID, 4, 42}}},
	{"vrf", false, {{IFLA_VRF_TABLE, 4, TABLE}}},
	{"xfrm", false, {{IFLA_XFRM_IF_ID, 4, 42}}},
	/* both in network byte order; any value will do */
	{"bareudp", false, {{IFLA_BAREUDP_PORT, 2, 0x1a17}, {IFLA_BAREUDP_ETHERTYPE, 2, 0x4788}}},
};

static int put_link_data(struct buf *b, const char *kind, struct err *e)
{
	size_t off;

	for (const struct link_row *r = link_rows; r < link_rows + ARRAY_SIZE(link_rows); r++) {
		if (strcmp(r->kind, kind) != 0 || !r->data[0].len)
			continue;
		if (nl_nest_begin(b, IFLA_INFO_DATA, &off, e))
			return -1;
		for (size_t i = 0; i < ARRAY_SIZE(r->data) && r->data[i].len; i++)
			if (r->data[i].len == 2
				    ? nl_put_u16(b, r->data[i].attr, (uint16_t)r->data[i].value, e)
				    : nl_put_u32(b, r->data[i].attr, r->data[i].value, e))
				return -1;
		return nl_nest_end(b, off, e);
	}
	return 0;
}

static bool link_on_parent(const char *kind)
{
	for (size_t i = 0; i < ARRAY_SIZE(link_rows); i++)
		if (!strcmp(link_rows[i].kind, kind))
			return link_rows[i].on_parent;
	return false;
}

/* A request to make the device name, open for more attributes. index 0: any. */
static int link_begin(struct kernel_env *env, struct buf *b, const char *name, const char *kind,
		      int index, struct err *e)
{
	struct ifinfomsg ifi = {.ifi_index = index};
	size_t info;

	if (kernel_env_need_ns(env, e) ||
	    nl_msg_begin(b, RTM_NEWLINK, CREATE, &ifi, sizeof(ifi), e) ||
	    nl_put_str(b, IFLA_IFNAME, name, e))
		return -1;
	if (link_on_parent(kind) && nl_put_u32(b, IFLA_LINK, (uint32_t)env->parent, e))
		return -1;
	if (nl_nest_begin(b, IFLA_LINKINFO, &info, e) || nl_put_str(b, IFLA_INFO_KIND, kind, e) ||
	    put_link_data(b, kind, e))
		return -1;
	return nl_nest_end(b, info, e);
}

/* Take the device away again; it is gone with the namespace anyway, so failure is none. */
static void link_end(struct kernel_env *env, const char *name)
{
	auto_buf struct buf b = {0};
	struct ifinfomsg ifi = {0};
	struct err e = ERR_INIT;

	if (!nl_msg_begin(&b, RTM_DELLINK, 0, &ifi, sizeof(ifi), &e) &&
	    !nl_put_str(&b, IFLA_IFNAME, name, &e))
		nl_do(env->rtnl, &b, name, &e);
}

static int link_index(struct kernel_env *env, const char *name, int *index, struct err *e)
{
	auto_buf struct buf b = {0}, reply = {0};
	struct ifinfomsg ifi = {0};

	if (nl_msg_begin(&b, RTM_GETLINK, 0, &ifi, sizeof(ifi), e) ||
	    nl_put_str(&b, IFLA_IFNAME, name, e) || nl_get(env->rtnl, &b, &reply, name, e))
		return -1;
	memcpy(&ifi, reply.data + NLMSG_HDRLEN, sizeof(ifi));
	*index = ifi.ifi_index;
	return 0;
}

int kernel_env_make_parent(struct kernel_env *env, struct err *e)
{
	auto_buf struct buf b = {0};

	if (link_begin(env, &b, PARENT, "veth", 0, e) || nl_do(env->rtnl, &b, "veth", e))
		return -1;
	return link_index(env, PARENT, &env->parent, e);
}

int probe_link_kind(struct kernel_env *env, const char *kind, struct err *e)
{
	auto_buf struct buf b = {0};
	struct err why = ERR_INIT;

	if (link_begin(env, &b, TRIED, kind, 0, e))
		return -1;
	if (!nl_do(env->rtnl, &b, kind, &why)) {
		link_end(env, TRIED);
		return 0;
	}
	/* A kind that is not there is EOPNOTSUPP, "Unknown device type" (rtnl_newlink in
	 * net/core/rtnetlink.c). Another answer comes from the kind itself, which wants more than we
	 * gave; tun refuses any RTM_NEWLINK in words of its own (tun_validate in drivers/net/tun.c). */
	if (why.code == ERR_PERM || why.code == ERR_NOMEM ||
	    (why.saved_errno == EOPNOTSUPP && !strstr(why.msg, "tun/tap creation"))) {
		*e = why;
		return -1;
	}
	return 0;
}

/* ---- rtnetlink ---- */

int probe_nlopt(struct kernel_env *env, const char *arg, struct err *e)
{
	int name = strcmp(arg, "strict") == 0 ? NETLINK_GET_STRICT_CHK : NETLINK_EXT_ACK, on = 1;
	struct nl *nl = nl_open(NETLINK_ROUTE, e);
	int r;

	if (!nl)
		return -1;
	r = setsockopt(nl_fd(nl), SOL_NETLINK, name, &on, sizeof(on));
	if (r)
		err_sys(e, ERR_KERNEL, "netlink option %s", arg);
	nl_free(nl);
	return r;
}

int probe_nsid(struct kernel_env *env, const char *arg, struct err *e)
{
	auto_buf struct buf b = {0}, reply = {0};
	struct rtgenmsg gen = {.rtgen_family = AF_UNSPEC};
	const struct nlattr *id;
	struct nlmsghdr *h;

	if (kernel_env_need_ns(env, e) || nl_msg_begin(&b, RTM_NEWNSID, 0, &gen, sizeof(gen), e) ||
	    nl_put_u32(&b, NETNSA_NSID, INDEX, e) ||
	    nl_put_u32(&b, NETNSA_FD, (uint32_t)ns_fd(env->other), e) ||
	    nl_do(env->rtnl, &b, "RTM_NEWNSID", e))
		return -1;
	if (nl_msg_begin(&b, RTM_GETNSID, 0, &gen, sizeof(gen), e) ||
	    nl_put_u32(&b, NETNSA_FD, (uint32_t)ns_fd(env->other), e) ||
	    nl_get(env->rtnl, &b, &reply, "RTM_GETNSID", e))
		return -1;
	h = (struct nlmsghdr *)reply.data;
	id = nl_attr_find(nl_attrs(h, sizeof(gen)), NETNSA_NSID);
	return nl_attr_u32(id) == INDEX ? 0 : err_set(e, ERR_KERNEL, "RTM_GETNSID gave another id");
}

int probe_move_link(struct kernel_env *env, const char *arg, struct err *e)
{
	auto_buf struct buf b = {0};

	if (link_begin(env, &b, TRIED, "veth", 0, e) ||
	    nl_put_u32(&b, IFLA_NET_NS_FD, (uint32_t)ns_fd(env->other), e))
		return -1;
	/* its other end stays here and is taken away with it when the namespaces end */
	return nl_do(env->rtnl, &b, "a device in another namespace", e);
}

int probe_link_index(struct kernel_env *env, const char *arg, struct err *e)
{
	auto_buf struct buf b = {0};
	int index = 0, r;

	if (link_begin(env, &b, TRIED, "veth", INDEX, e) ||
	    nl_do(env->rtnl, &b, "a device with a given index", e))
		return -1;
	r = link_index(env, TRIED, &index, e);
	if (!r && index != INDEX)
		r = err_set(e, ERR_KERNEL, "asked for index %d, got %d", INDEX, index);
	link_end(env, TRIED);
	return r;
}

int probe_altname(struct kernel_env *env, const char *arg, struct err *e)
{
	auto_buf struct buf b = {0};
	struct ifinfomsg ifi = {.ifi_index = env->parent};
	size_t off;

	if (kernel_env_need_ns(env, e) ||
	    nl_msg_begin(&b, RTM_NEWLINKPROP, CREATE | NLM_F_APPEND, &ifi, sizeof(ifi), e) ||
	    nl_nest_begin(&b, IFLA_PROP_LIST, &off, e) ||
	    nl_put_str(&b, IFLA_ALT_IFNAME, "probe-alternative-name", e) || nl_nest_end(&b, off, e))
		return -1;
	return nl_do(env->rtnl, &b, "RTM_NEWLINKPROP", e);
}

int probe_addrgen(struct kernel_env *env, const char *arg, struct err *e)
{
	auto_buf struct buf b = {0};
	struct ifinfomsg ifi = {.ifi_index = env->parent};
	size_t spec, in6;

	if (kernel_env_need_ns(env, e) || nl_msg_begin(&b, RTM_NEWLINK, 0, &ifi, sizeof(ifi), e) ||
	    nl_nest_begin(&b, IFLA_AF_SPEC, &spec, e) || nl_nest_begin(&b, AF_INET6, &in6, e) ||
	    nl_put_u8(&b, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE, e) ||
	    nl_nest_end(&b, in6, e) || nl_nest_end(&b, spec, e))
		return -1;
	return nl_do(env->rtnl, &b, "IPv6 address generation mode", e);
}

int probe_nexthop(struct kernel_env *env, const char *arg, struct err *e)
{
	auto_buf struct buf b = {0};
	struct nhmsg nhm = {.nh_family = AF_INET};

	if (kernel_env_need_ns(env, e) ||
	    nl_msg_begin(&b, RTM_NEWNEXTHOP, CREATE, &nhm, sizeof(nhm), e) ||
	    nl_put_u32(&b, NHA_ID, INDEX, e) || nl_put(&b, NHA_BLACKHOLE, NULL, 0, e))
		return -1;
	return nl_do(env->rtnl, &b, "RTM_NEWNEXTHOP", e);
}

/* Up, so that routes over it are taken. */
static int lo_up(struct kernel_env *env, struct err *e)
{
	auto_buf struct buf b = {0};
	struct ifinfomsg ifi = {.ifi_index = 1, .ifi_flags = 1 /* IFF_UP */, .ifi_change = 1};

	if (kernel_env_need_ns(env, e) || nl_msg_begin(&b, RTM_NEWLINK, 0, &ifi, sizeof(ifi), e))
		return -1;
	return nl_do(env->rtnl, &b, "set lo up", e);
}

static int has_addr_proto(const struct nlmsghdr *h, void *arg, struct err *e)
{
	if (nl_attr_find(nl_attrs(h, sizeof(struct ifaddrmsg)), IFA_PROTO))
		*(bool *)arg = true;
	return 0;
}

int probe_addr_proto(struct kernel_env *env, const char *arg, struct err *e)
{
	auto_buf struct buf b = {0};
	struct ifaddrmsg ifa = {.ifa_family = AF_INET, .ifa_prefixlen = 32, .ifa_index = 1};
	uint32_t addr_be = htonl(INADDR_LOOPBACK + 7);
	bool seen = false;

	if (lo_up(env, e) || nl_msg_begin(&b, RTM_NEWADDR, CREATE, &ifa, sizeof(ifa), e) ||
	    nl_put_u32(&b, IFA_LOCAL, addr_be, e) || nl_put_u8(&b, IFA_PROTO, 42, e) ||
	    nl_do(env->rtnl, &b, "RTM_NEWADDR", e))
		return -1;
	/* an older kernel takes the attribute and forgets it */
	if (nl_msg_begin(&b, RTM_GETADDR, 0, &ifa, sizeof(ifa), e) ||
	    nl_dump_each(env->rtnl, &b, has_addr_proto, &seen, "RTM_GETADDR", e))
		return -1;
	return seen ? 0 : err_set(e, ERR_KERNEL, "the kernel forgot IFA_PROTO");
}

int probe_rule(struct kernel_env *env, const char *arg, struct err *e)
{
	auto_buf struct buf b = {0};
	struct fib_rule_hdr rule = {.family = *arg == '6' ? AF_INET6 : AF_INET,
				    .table = TABLE,
				    .action = FR_ACT_TO_TBL};

	if (kernel_env_need_ns(env, e) ||
	    nl_msg_begin(&b, RTM_NEWRULE, CREATE, &rule, sizeof(rule), e) ||
	    nl_put_u32(&b, FRA_PRIORITY, 4711, e))
		return -1;
	return nl_do(env->rtnl, &b, "RTM_NEWRULE", e);
}

int probe_multipath(struct kernel_env *env, const char *arg, struct err *e)
{
	auto_buf struct buf b = {0};
	struct rtmsg rtm = {.rtm_family = AF_INET,
			    .rtm_dst_len = 32,
			    .rtm_table = RT_TABLE_MAIN,
			    .rtm_protocol = RTPROT_STATIC,
			    .rtm_scope = RT_SCOPE_LINK,
			    .rtm_type = RTN_UNICAST};
	const struct rtnexthop hops[] = {
		{.rtnh_len = sizeof(hops[0]), .rtnh_ifindex = 1},
		{.rtnh_len = sizeof(hops[0]), .rtnh_ifindex = 1, .rtnh_hops = 1}};

	if (lo_up(env, e) || nl_msg_begin(&b, RTM_NEWROUTE, CREATE, &rtm, sizeof(rtm), e) ||
	    nl_put_u32(&b, RTA_DST, htonl(0xc0000201), e) || /* 192.0.2.1 */
	    nl_put(&b, RTA_MULTIPATH, hops, sizeof(hops), e))
		return -1;
	return nl_do(env->rtnl, &b, "a multipath route", e);
}

static int bridge_vlan_add(struct kernel_env *env, int index, struct err *e)
{
	auto_buf struct buf b = {0};
	struct ifinfomsg ifi = {.ifi_family = AF_BRIDGE, .ifi_index = index};
	struct bridge_vlan_info vlan = {.flags = BRIDGE_VLAN_INFO_BRENTRY, .vid = 9};
	size_t spec;

	if (nl_msg_begin(&b, RTM_SETLINK, 0, &ifi, sizeof(ifi), e) ||
	    nl_nest_begin(&b, IFLA_AF_SPEC, &spec, e) ||
	    nl_put_u16(&b, IFLA_BRIDGE_FLAGS, BRIDGE_FLAGS_SELF, e) ||
	    nl_put(&b, IFLA_BRIDGE_VLAN_INFO, &vlan, sizeof(vlan), e) || nl_nest_end(&b, spec, e))
		return -1;
	return nl_do(env->rtnl, &b, "a VLAN of a bridge", e);
}

int probe_bridge_vlan(struct kernel_env *env, const char *arg, struct err *e)
{
	auto_buf struct buf b = {0};
	int index, r;

	if (link_begin(env, &b, TRIED, "bridge", 0, e) || nl_do(env->rtnl, &b, "a bridge", e))
		return -1;
	r = link_index(env, TRIED, &index, e) || bridge_vlan_add(env, index, e) ? -1 : 0;
	link_end(env, TRIED);
	return r;
}

/* ---- traffic control ---- */

static int qdisc_do(struct kernel_env *env, uint16_t type, const char *kind, struct err *e)
{
	auto_buf struct buf b = {0};
	/* ingress and clsact have the same fixed place (TC_H_CLSACT is TC_H_INGRESS) */
	bool in = !strcmp(kind, "ingress") || !strcmp(kind, "clsact");
	struct tcmsg tcm = {.tcm_ifindex = env->parent,
			    .tcm_parent = in ? TC_H_INGRESS : TC_H_ROOT,
			    .tcm_handle = in ? 0xffff0000u : 0x10000u};

	if (kernel_env_need_ns(env, e) ||
	    nl_msg_begin(&b, type, type == RTM_NEWQDISC ? CREATE : 0, &tcm, sizeof(tcm), e) ||
	    nl_put_str(&b, TCA_KIND, kind, e))
		return -1;
	return nl_do(env->rtnl, &b, kind, e);
}

/* Did the kernel not know the kind, or was it not allowed? A known one that wants options says EINVAL. */
static int tc_verdict(const struct err *why, struct err *e)
{
	if (why->code != ERR_PERM && why->code != ERR_NOMEM && why->saved_errno != ENOENT &&
	    why->saved_errno != EOPNOTSUPP)
		return 0;
	*e = *why;
	return -1;
}

int probe_qdisc(struct kernel_env *env, const char *kind, struct err *e)
{
	struct err why = ERR_INIT, ignored = ERR_INIT;

	if (qdisc_do(env, RTM_NEWQDISC, kind, &why))
		return tc_verdict(&why, e);
	qdisc_do(env, RTM_DELQDISC, kind, &ignored);
	return 0;
}

int probe_filter(struct kernel_env *env, const char *kind, struct err *e)
{
	auto_buf struct buf b = {0};
	struct tcmsg tcm = {.tcm_ifindex = env->parent,
			    .tcm_parent = 0xffff0000u,
			    .tcm_info = TC_H_MAKE(1u << 16, htons(ETH_P_ALL))};
	struct err why = ERR_INIT, ignored = ERR_INIT;
	int r;

	if (qdisc_do(env, RTM_NEWQDISC, "ingress", e))
		return err_wrap(e, "no qdisc to put a filter on");
	r = nl_msg_begin(&b, RTM_NEWTFILTER, CREATE, &tcm, sizeof(tcm), &why) ||
			    nl_put_str(&b, TCA_KIND, kind, &why) || nl_do(env->rtnl, &b, kind, &why)
		    ? tc_verdict(&why, e)
		    : 0;
	qdisc_do(env, RTM_DELQDISC, "ingress", &ignored); /* and with it the filter */
	return r;
}

/* ---- nfnetlink ---- */

int probe_nft(struct kernel_env *env, const char *arg, struct err *e)
{
	auto_buf struct buf b = {0}, reply = {0};
	struct nfgenmsg gen = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0};
	struct nl *nl;
	int r;

	if (kernel_env_need_ns(env, e))
		return -1;
	nl = nl_open_in(env->ns, NETLINK_NETFILTER, e);
	r = nl && !nl_msg_begin(&b, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN, 0, &gen,
				sizeof(gen), e)
		    ? nl_get(nl, &b, &reply, "nf_tables", e)
		    : -1;
	nl_free(nl);
	return r;
}

int probe_conntrack(struct kernel_env *env, const char *arg, struct err *e)
{
	bool expect = strcmp(arg, "expectations") == 0;
	uint16_t type = expect ? NFNL_SUBSYS_CTNETLINK_EXP << 8 | IPCTNL_MSG_EXP_GET
			       : NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
	struct nfgenmsg gen = {.nfgen_family = AF_INET, .version = NFNETLINK_V0};
	auto_buf struct buf b = {0}, out = {0};
	struct nl *nl;
	int r;

	if (kernel_env_need_ns(env, e))
		return -1;
	nl = nl_open_in(env->ns, NETLINK_NETFILTER, e);
	r = nl && !nl_msg_begin(&b, type, 0, &gen, sizeof(gen), e)
		    ? nl_dump_raw(nl, &b, &out, "ctnetlink", e)
		    : -1;
	nl_free(nl);
	return r;
}
