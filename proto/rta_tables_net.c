/* Addresses, routes, rules. Sources: include/uapi/linux/{if_addr,rtnetlink,fib_rules,lwtunnel}.h,
 * net/ipv4/{devinet,fib_frontend,fib_semantics}.c, net/ipv6/{addrconf,route}.c, net/core/fib_rules.c. */
#include "proto/rta_tables.h"

#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/genetlink.h>
#include <linux/if_addrlabel.h>
#include <linux/ioam6_iptunnel.h>
#include <linux/lwtunnel.h>
#include <linux/mpls_iptunnel.h>
#include <linux/ethtool_netlink.h>
#include <linux/mptcp.h>
#include <linux/rtnetlink.h>
#include <linux/seg6_iptunnel.h>
#include <linux/seg6_local.h>

/* Younger than the headers of Debian 12 (Linux 6.1). */
enum {
	FRA_DSCP_ = 25,
	FRA_FLOWLABEL_ = 26,
	FRA_FLOWLABEL_MASK_ = 27,
	FRA_SPORT_MASK_ = 28,
	FRA_DPORT_MASK_ = 29,
	FRA_DSCP_MASK_ = 30,
	RTA_FLOWLABEL_ = 31,
};

/* --- addresses --- */

static const struct rta_field hdr_addr[] = {
	F_("family", ifaddrmsg, ifa_family, RTAT_U8),
	F_("prefixlen", ifaddrmsg, ifa_prefixlen, RTAT_U8),
	F_("flags", ifaddrmsg, ifa_flags, RTAT_U8,
	   .ro = IFA_F_SECONDARY | IFA_F_DADFAILED | IFA_F_DEPRECATED | IFA_F_TENTATIVE |
		 IFA_F_PERMANENT,
	   .vol = IFA_F_DADFAILED | IFA_F_TENTATIVE),
	F_("scope", ifaddrmsg, ifa_scope, RTAT_U8),
	F_("ifindex", ifaddrmsg, ifa_index, RTAT_U32),
};
const struct rta_struct rta_hdr_addr = RTA_STRUCT(hdr_addr, sizeof(struct ifaddrmsg));

static const struct rta_field addr_cacheinfo[] = {
	F_("preferred_life_time", ifa_cacheinfo, ifa_prefered, RTAT_U32, .flags = RTAF_LIFE),
	F_("valid_life_time", ifa_cacheinfo, ifa_valid, RTAT_U32, .flags = RTAF_LIFE),
	F_("cstamp", ifa_cacheinfo, cstamp, RTAT_U32, .flags = RTAF_STAT),
	F_("tstamp", ifa_cacheinfo, tstamp, RTAT_U32, .flags = RTAF_STAT),
};
static const struct rta_struct rec_addr_cacheinfo =
	RTA_STRUCT(addr_cacheinfo, sizeof(struct ifa_cacheinfo));

static const struct rta_attr addr_attrs[] = {
	[IFA_ADDRESS] = A_ADDR("address"),
	[IFA_LOCAL] = A_ADDR("local"),
	[IFA_LABEL] = A_STR("label", 15),
	[IFA_BROADCAST] = A_ADDR("broadcast"),
	[IFA_ANYCAST] = A_ADDR("anycast"),
	[IFA_CACHEINFO] = A_REC("cacheinfo", rec_addr_cacheinfo),
	[IFA_MULTICAST] = A_ADDR("multicast"),
	/* the kernel gives these by itself: from lifetimes, order and duplicate detection */
	[IFA_FLAGS] = A_U32("flags",
			    .ro = IFA_F_SECONDARY | IFA_F_DADFAILED | IFA_F_DEPRECATED |
				  IFA_F_TENTATIVE | IFA_F_PERMANENT | IFA_F_STABLE_PRIVACY,
			    .vol = IFA_F_DADFAILED | IFA_F_TENTATIVE),
	[IFA_RT_PRIORITY] = A_U32("metric"),
	[IFA_TARGET_NETNSID] = A_S32("target_netnsid", .flags = RTAF_STAT),
	[IFA_PROTO] = A_U8("protocol"),
};
const struct rta_set rta_set_addr = RTA_SET(addr_attrs);

static const struct rta_field hdr_addrlabel[] = {
	F_("family", ifaddrlblmsg, ifal_family, RTAT_U8),
	F_("prefixlen", ifaddrlblmsg, ifal_prefixlen, RTAT_U8),
	F_("flags", ifaddrlblmsg, ifal_flags, RTAT_U8),
	F_("ifindex", ifaddrlblmsg, ifal_index, RTAT_U32),
	F_("seq", ifaddrlblmsg, ifal_seq, RTAT_U32, .flags = RTAF_LIVE),
};
const struct rta_struct rta_hdr_addrlabel = RTA_STRUCT(hdr_addrlabel, sizeof(struct ifaddrlblmsg));
static const struct rta_attr addrlabel[] = {
	[IFAL_ADDRESS] = A_ADDR("address"),
	[IFAL_LABEL] = A_U32("label"),
};
const struct rta_set rta_set_addrlabel = RTA_SET(addrlabel);

static const struct rta_attr maddress[] = {
	[IFA_MULTICAST] = A_LL("address"),
};
const struct rta_set rta_set_maddress = RTA_SET(maddress);

/* --- MPTCP: include/uapi/linux/mptcp_pm.h, net/mptcp/pm_netlink.c --- */

static const struct rta_field hdr_genl[] = {
	F_("cmd", genlmsghdr, cmd, RTAT_U8, .flags = RTAF_LIVE),
	F_("version", genlmsghdr, version, RTAT_U8, .flags = RTAF_LIVE),
};
const struct rta_struct rta_hdr_genl = RTA_STRUCT(hdr_genl, sizeof(struct genlmsghdr));
static const struct rta_attr mptcp_addr[] = {
	[MPTCP_PM_ADDR_ATTR_FAMILY] = A_U16("family"), [MPTCP_PM_ADDR_ATTR_ID] = A_U8("id"),
	[MPTCP_PM_ADDR_ATTR_ADDR4] = A_ADDR("addr4"),  [MPTCP_PM_ADDR_ATTR_ADDR6] = A_ADDR("addr6"),
	[MPTCP_PM_ADDR_ATTR_PORT] = A_U16("port"),     [MPTCP_PM_ADDR_ATTR_FLAGS] = A_U32("flags"),
	[MPTCP_PM_ADDR_ATTR_IF_IDX] = A_S32("if_idx"),
};
static const struct rta_set set_mptcp_addr = RTA_SET(mptcp_addr);
static const struct rta_attr mptcp[] = {
	[MPTCP_PM_ATTR_ADDR] = A_NEST("addr", set_mptcp_addr),
	[MPTCP_PM_ATTR_RCV_ADD_ADDRS] = A_U32("add_addr_accepted"),
	[MPTCP_PM_ATTR_SUBFLOWS] = A_U32("subflows"),
};
const struct rta_set rta_set_mptcp = RTA_SET(mptcp);

/* --- features of devices: include/uapi/linux/ethtool_netlink.h --- */

static const struct rta_attr features_bit[] = {
	[ETHTOOL_A_BITSET_BIT_NAME] = A_STR("name", 0),
	[ETHTOOL_A_BITSET_BIT_VALUE] = A_FLAG("value"),
};
static const struct rta_set set_features_bit = RTA_SET(features_bit);
static const struct rta_attr features_one = A_NEST("bit", set_features_bit);
static const struct rta_attr features_wanted[] = {
	[ETHTOOL_A_BITSET_BITS] = A_LIST("bits", ETHTOOL_A_BITSET_BITS_BIT, features_one),
};
static const struct rta_set set_features_wanted = RTA_SET(features_wanted);
static const struct rta_attr features_header[] = {
	[ETHTOOL_A_HEADER_DEV_INDEX] = A_U32("ifindex"),
};
static const struct rta_set set_features_header = RTA_SET(features_header);
static const struct rta_attr features[] = {
	[ETHTOOL_A_FEATURES_HEADER] = A_NEST("header", set_features_header),
	[ETHTOOL_A_FEATURES_WANTED] = A_NEST("wanted", set_features_wanted),
};
const struct rta_set rta_set_features = RTA_SET(features);

/* --- routes --- */

/* fib_create_info refuses DEAD and LINKDOWN; the rest of these the kernel or a driver sets. */
#define NH_RO    (RTNH_F_DEAD | RTNH_F_LINKDOWN | RTNH_F_OFFLOAD | RTNH_F_TRAP | RTNH_F_UNRESOLVED)
#define ROUTE_RO (NH_RO | RTM_F_CLONED | RTM_F_OFFLOAD | RTM_F_TRAP | RTM_F_OFFLOAD_FAILED)

static const struct rta_field hdr_route[] = {
	F_("family", rtmsg, rtm_family, RTAT_U8),
	F_("dst_len", rtmsg, rtm_dst_len, RTAT_U8),
	F_("src_len", rtmsg, rtm_src_len, RTAT_U8),
	F_("tos", rtmsg, rtm_tos, RTAT_U8),
	F_("table", rtmsg, rtm_table, RTAT_U8),
	F_("protocol", rtmsg, rtm_protocol, RTAT_U8),
	F_("scope", rtmsg, rtm_scope, RTAT_U8),
	F_("type", rtmsg, rtm_type, RTAT_U8),
	F_("flags", rtmsg, rtm_flags, RTAT_U32, .ro = ROUTE_RO, .vol = ROUTE_RO),
};
const struct rta_struct rta_hdr_route = RTA_STRUCT(hdr_route, sizeof(struct rtmsg));

static const struct rta_field route_cacheinfo[] = {
	F_("clntref", rta_cacheinfo, rta_clntref, RTAT_U32, .flags = RTAF_STAT),
	F_("lastuse", rta_cacheinfo, rta_lastuse, RTAT_U32, .flags = RTAF_STAT),
	F_("expires", rta_cacheinfo, rta_expires, RTAT_S32, .flags = RTAF_LIFE | RTAF_HIDE0),
	F_("error", rta_cacheinfo, rta_error, RTAT_U32, .flags = RTAF_STAT),
	F_("used", rta_cacheinfo, rta_used, RTAT_U32, .flags = RTAF_STAT),
	F_("id", rta_cacheinfo, rta_id, RTAT_U32, .flags = RTAF_STAT),
	F_("ts", rta_cacheinfo, rta_ts, RTAT_U32, .flags = RTAF_STAT),
	F_("tsage", rta_cacheinfo, rta_tsage, RTAT_U32, .flags = RTAF_STAT),
};
static const struct rta_struct rec_route_cacheinfo =
	RTA_STRUCT(route_cacheinfo, sizeof(struct rta_cacheinfo));

static const struct rta_attr metrics[] = {
	[RTAX_LOCK] = A_U32("lock"),
	[RTAX_MTU] = A_U32("mtu"),
	[RTAX_WINDOW] = A_U32("window"),
	[RTAX_RTT] = A_U32("rtt"),
	[RTAX_RTTVAR] = A_U32("rttvar"),
	[RTAX_SSTHRESH] = A_U32("ssthresh"),
	[RTAX_CWND] = A_U32("cwnd"),
	[RTAX_ADVMSS] = A_U32("advmss"),
	[RTAX_REORDERING] = A_U32("reordering"),
	[RTAX_HOPLIMIT] = A_U32("hoplimit"),
	[RTAX_INITCWND] = A_U32("initcwnd"),
	[RTAX_FEATURES] = A_U32("features"),
	[RTAX_RTO_MIN] = A_U32("rto_min"),
	[RTAX_INITRWND] = A_U32("initrwnd"),
	[RTAX_QUICKACK] = A_U32("quickack"),
	[RTAX_CC_ALGO] = A_STR("congctl", 15),
	[RTAX_FASTOPEN_NO_COOKIE] = A_U32("fastopen_no_cookie"),
};
static const struct rta_set set_metrics = RTA_SET(metrics);

static const struct rta_attr encap_mpls_rows[] = {
	[MPLS_IPTUNNEL_DST] = A_HEX("dst"),
	[MPLS_IPTUNNEL_TTL] = A_U8("ttl"),
};
static const struct rta_set set_encap_mpls = RTA_SET(encap_mpls_rows);
static const struct rta_attr encap_mpls = A_NEST("mpls", set_encap_mpls);

static const struct rta_attr encap_ip_rows[] = {
	[LWTUNNEL_IP_ID] = A_BE64("id"),    [LWTUNNEL_IP_DST] = A_ADDR("dst"),
	[LWTUNNEL_IP_SRC] = A_ADDR("src"),  [LWTUNNEL_IP_TTL] = A_U8("ttl"),
	[LWTUNNEL_IP_TOS] = A_U8("tos"),    [LWTUNNEL_IP_FLAGS] = A_BE16("flags"),
	[LWTUNNEL_IP_OPTS] = A_HEX("opts"),
};
static const struct rta_set set_encap_ip = RTA_SET(encap_ip_rows);
static const struct rta_attr encap_ip = A_NEST("ip", set_encap_ip);

static const struct rta_attr encap_ip6_rows[] = {
	[LWTUNNEL_IP6_ID] = A_BE64("id"),    [LWTUNNEL_IP6_DST] = A_ADDR("dst"),
	[LWTUNNEL_IP6_SRC] = A_ADDR("src"),  [LWTUNNEL_IP6_HOPLIMIT] = A_U8("hoplimit"),
	[LWTUNNEL_IP6_TC] = A_U8("tc"),      [LWTUNNEL_IP6_FLAGS] = A_BE16("flags"),
	[LWTUNNEL_IP6_OPTS] = A_HEX("opts"),
};
static const struct rta_set set_encap_ip6 = RTA_SET(encap_ip6_rows);
static const struct rta_attr encap_ip6 = A_NEST("ip6", set_encap_ip6);

static const struct rta_attr encap_xfrm_rows[] = {
	[LWT_XFRM_IF_ID] = A_U32("if_id"),
	[LWT_XFRM_LINK] = A_U32("link"),
};
static const struct rta_set set_encap_xfrm = RTA_SET(encap_xfrm_rows);
static const struct rta_attr encap_xfrm = A_NEST("xfrm", set_encap_xfrm);

/* A struct ipv6_sr_hdr, whose segments follow (linux/seg6.h, RFC 8754); member is it with a dot, or nothing. */
#define SRH_FIELDS(s, member)                                                                      \
	F_("nexthdr", s, member nexthdr, RTAT_U8), F_("hdrlen", s, member hdrlen, RTAT_U8),        \
		F_("type", s, member type, RTAT_U8),                                               \
		F_("segments_left", s, member segments_left, RTAT_U8),                             \
		F_("first_segment", s, member first_segment, RTAT_U8),                             \
		F_("flags", s, member flags, RTAT_U8), F_("tag", s, member tag, RTAT_BE16)

static const struct rta_field seg6_segment[] = {
	{.name = "segment", .type = RTAT_ADDR, .len = sizeof(struct in6_addr)},
};
static const struct rta_struct rec_seg6_segment = RTA_STRUCT(seg6_segment, sizeof(struct in6_addr));
static const struct rta_field seg6_encap[] = {
	F_("mode", seg6_iptunnel_encap, mode, RTAT_S32),
	SRH_FIELDS(seg6_iptunnel_encap, srh[0].),
};
static const struct rta_struct rec_seg6_encap = RTA_STRUCT_ARRAY(
	seg6_encap, sizeof(struct seg6_iptunnel_encap) + sizeof(struct ipv6_sr_hdr), "segments",
	rec_seg6_segment);
static const struct rta_field seg6_header[] = {SRH_FIELDS(ipv6_sr_hdr, )};
static const struct rta_struct rec_seg6_header =
	RTA_STRUCT_ARRAY(seg6_header, sizeof(struct ipv6_sr_hdr), "segments", rec_seg6_segment);

static const struct rta_attr encap_seg6_rows[] = {
	[SEG6_IPTUNNEL_SRH] = A_REC("srh", rec_seg6_encap),
};
static const struct rta_set set_encap_seg6 = RTA_SET(encap_seg6_rows);
static const struct rta_attr encap_seg6 = A_NEST("seg6", set_encap_seg6);

static const struct rta_attr encap_seg6_local_rows[] = {
	[SEG6_LOCAL_ACTION] = A_U32("action"),
	[SEG6_LOCAL_SRH] = A_REC("srh", rec_seg6_header),
	[SEG6_LOCAL_TABLE] = A_U32("table"),
	[SEG6_LOCAL_NH4] = A_ADDR("nh4"),
	[SEG6_LOCAL_NH6] = A_ADDR("nh6"),
	[SEG6_LOCAL_IIF] = A_U32("iif"),
	[SEG6_LOCAL_OIF] = A_U32("oif"),
	[SEG6_LOCAL_BPF] = A_HEX("bpf"),
	[SEG6_LOCAL_VRFTABLE] = A_U32("vrftable"),
	[SEG6_LOCAL_COUNTERS] = A_HEX("counters", .flags = RTAF_STAT),
};
static const struct rta_set set_encap_seg6_local = RTA_SET(encap_seg6_local_rows);
static const struct rta_attr encap_seg6_local = A_NEST("seg6local", set_encap_seg6_local);

static const struct rta_attr encap_ioam6_rows[] = {
	[IOAM6_IPTUNNEL_MODE] = A_U8("mode"),      [IOAM6_IPTUNNEL_DST] = A_ADDR("tundst"),
	[IOAM6_IPTUNNEL_TRACE] = A_HEX("trace"),   [IOAM6_IPTUNNEL_FREQ_K] = A_U32("freq_k"),
	[IOAM6_IPTUNNEL_FREQ_N] = A_U32("freq_n"),
};
static const struct rta_set set_encap_ioam6 = RTA_SET(encap_ioam6_rows);
static const struct rta_attr encap_ioam6 = A_NEST("ioam6", set_encap_ioam6);

const struct rta_variant rta_encaps[] = {
	{NULL, LWTUNNEL_ENCAP_MPLS, &encap_mpls},
	{NULL, LWTUNNEL_ENCAP_IP, &encap_ip},
	{NULL, LWTUNNEL_ENCAP_IP6, &encap_ip6},
	{NULL, LWTUNNEL_ENCAP_XFRM, &encap_xfrm},
	{NULL, LWTUNNEL_ENCAP_SEG6, &encap_seg6},
	{NULL, LWTUNNEL_ENCAP_SEG6_LOCAL, &encap_seg6_local},
	{NULL, LWTUNNEL_ENCAP_IOAM6, &encap_ioam6},
	{NULL, 0, NULL},
};

static const char *const prefs[] = {"medium", "high", NULL, "low"};

static const struct rta_attr route_attrs[] = {
	[RTA_DST] = A_ADDR("dst"),
	[RTA_SRC] = A_ADDR("src"),
	[RTA_IIF] = A_U32("iif"),
	[RTA_OIF] = A_U32("oif"),
	[RTA_GATEWAY] = A_ADDR("gateway"),
	[RTA_PRIORITY] = A_U32("priority"),
	[RTA_PREFSRC] = A_ADDR("prefsrc"),
	[RTA_METRICS] = A_NEST("metrics", set_metrics),
	[RTA_MULTIPATH] = A_(RTAT_MULTIPATH, "multipath", .set = &rta_set_route),
	[RTA_FLOW] = A_U32("flow"),
	[RTA_CACHEINFO] = A_REC("cacheinfo", rec_route_cacheinfo, .flags = RTAF_RO),
	[RTA_TABLE] = A_U32("table"),
	[RTA_MARK] = A_U32("mark"),
	[RTA_MFC_STATS] = A_HEX("mfc_stats", .flags = RTAF_STAT),
	[RTA_VIA] = A_(RTAT_VIA, "via"),
	[RTA_NEWDST] = A_HEX("newdst"),
	[RTA_PREF] = A_U8("pref", A_WORDS(prefs)),
	[RTA_ENCAP_TYPE] = A_U16("encap_type"),
	[RTA_ENCAP] = A_VARIANT("encap", RTA_ENCAP_TYPE, rta_encaps),
	[RTA_EXPIRES] = A_U32("expires", .flags = RTAF_LIFE),
	[RTA_UID] = A_U32("uid"),
	[RTA_TTL_PROPAGATE] = A_U8("ttl_propagate"),
	[RTA_IP_PROTO] = A_U8("ip_proto"),
	[RTA_SPORT] = A_BE16("sport"),
	[RTA_DPORT] = A_BE16("dport"),
	[RTA_NH_ID] = A_U32("nh_id"),
	[RTA_FLOWLABEL_] = A_BE32("flowlabel"),
};
const struct rta_set rta_set_route = RTA_SET_FIX(route_attrs, rta_fix_route);

/* --- rules --- */

static const struct rta_field hdr_rule[] = {
	F_("family", fib_rule_hdr, family, RTAT_U8),
	F_("dst_len", fib_rule_hdr, dst_len, RTAT_U8),
	F_("src_len", fib_rule_hdr, src_len, RTAT_U8),
	F_("tos", fib_rule_hdr, tos, RTAT_U8),
	F_("table", fib_rule_hdr, table, RTAT_U8),
	F_("action", fib_rule_hdr, action, RTAT_U8),
	/* whether the target of a goto and the devices exist just now */
	F_("flags", fib_rule_hdr, flags, RTAT_U32,
	   .ro = FIB_RULE_UNRESOLVED | FIB_RULE_IIF_DETACHED | FIB_RULE_OIF_DETACHED,
	   .vol = FIB_RULE_UNRESOLVED | FIB_RULE_IIF_DETACHED | FIB_RULE_OIF_DETACHED),
};
const struct rta_struct rta_hdr_rule = RTA_STRUCT(hdr_rule, sizeof(struct fib_rule_hdr));

static const struct rta_field uid_range[] = {
	F_("start", fib_rule_uid_range, start, RTAT_U32),
	F_("end", fib_rule_uid_range, end, RTAT_U32),
};
static const struct rta_struct rec_uid_range = RTA_STRUCT(uid_range, 8);
static const struct rta_field port_range[] = {
	F_("start", fib_rule_port_range, start, RTAT_U16),
	F_("end", fib_rule_port_range, end, RTAT_U16),
};
static const struct rta_struct rec_port_range = RTA_STRUCT(port_range, 4);

static const struct rta_attr rule_attrs[] = {
	[FRA_DST] = A_ADDR("dst"),
	[FRA_SRC] = A_ADDR("src"),
	[FRA_IIFNAME] = A_STR("iif", 15),
	[FRA_GOTO] = A_U32("goto"),
	[FRA_PRIORITY] = A_U32("priority"),
	[FRA_FWMARK] = A_U32("fwmark"),
	[FRA_FLOW] = A_U32("flow"),
	[FRA_TUN_ID] = A_BE64("tun_id"),
	/* -1: not set; the kernel puts prefix length always, the group when it is set */
	[FRA_SUPPRESS_IFGROUP] = A_S32("suppress_ifgroup"),
	[FRA_SUPPRESS_PREFIXLEN] = A_S32("suppress_prefixlen"),
	[FRA_TABLE] = A_U32("table"),
	[FRA_FWMASK] = A_U32("fwmask"),
	[FRA_OIFNAME] = A_STR("oif", 15),
	[FRA_L3MDEV] = A_U8("l3mdev"),
	[FRA_UID_RANGE] = A_REC("uid_range", rec_uid_range),
	[FRA_PROTOCOL] = A_U8("protocol"),
	[FRA_IP_PROTO] = A_U8("ipproto"),
	[FRA_SPORT_RANGE] = A_REC("sport", rec_port_range),
	[FRA_DPORT_RANGE] = A_REC("dport", rec_port_range),
	[FRA_DSCP_] = A_U8("dscp"),
	[FRA_FLOWLABEL_] = A_BE32("flowlabel"),
	[FRA_FLOWLABEL_MASK_] = A_BE32("flowlabel_mask"),
	[FRA_SPORT_MASK_] = A_U16("sport_mask"),
	[FRA_DPORT_MASK_] = A_U16("dport_mask"),
	[FRA_DSCP_MASK_] = A_U8("dscp_mask"),
};
const struct rta_set rta_set_rule = RTA_SET(rule_attrs);
