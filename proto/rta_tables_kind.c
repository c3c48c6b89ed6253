/* Link kinds: IFLA_INFO_DATA and IFLA_INFO_SLAVE_DATA, chosen by IFLA_INFO_KIND. Sources:
 * include/uapi/linux/if_link.h and if_tunnel.h, and fill_info, newlink and changelink of each driver.
 * Kinds without data of their own (dummy, ifb, nlmon, vcan, veth in a dump, wireguard, team over rtnl) have
 * no row: what comes anyway is kept as bytes. */
#include "proto/rta_tables.h"

#include <linux/amt.h>
#include <linux/batman_adv.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/if_tunnel.h>

/* Younger than the headers of Debian 12 (Linux 6.1). */
enum {
	IFLA_BR_FDB_N_LEARNED_ = 48,
	IFLA_BR_FDB_MAX_LEARNED_ = 49,
	IFLA_MACVLAN_BC_CUTOFF_ = 9,
	IFLA_VXLAN_LOCALBYPASS_ = 31,
	IFLA_VXLAN_LABEL_POLICY_ = 32,
	IFLA_VXLAN_RESERVED_BITS_ = 33,
	IFLA_VXLAN_MC_ROUTE_ = 34,
	IFLA_GENEVE_PORT_RANGE_ = 15,
	IFLA_GENEVE_LOCAL_ = 17,
	IFLA_GENEVE_LOCAL6_ = 18,
	IFLA_GTP_LOCAL_ = 7,
	IFLA_GTP_LOCAL6_ = 8,
	IFLA_HSR_INTERLINK_ = 8,
	IFLA_BOND_BROADCAST_NEIGH_ = 33,
	IFLA_NETKIT_PEER_INFO_ = 1,
	IFLA_NETKIT_PRIMARY_ = 2,
	IFLA_NETKIT_POLICY_ = 3,
	IFLA_NETKIT_PEER_POLICY_ = 4,
	IFLA_NETKIT_MODE_ = 5,
	IFLA_NETKIT_SCRUB_ = 6,
	IFLA_NETKIT_PEER_SCRUB_ = 7,
	IFLA_NETKIT_HEADROOM_ = 8,
	IFLA_NETKIT_TAILROOM_ = 9,
	IFLA_OVPN_MODE_ = 1,
};

#define KIND_NEST(var, rows)                                                                       \
	static const struct rta_set set_##var = RTA_SET(rows);                                     \
	static const struct rta_attr kind_##var = A_NEST(#var, set_##var)
#define KIND_NEST_FIX(var, rows, fn)                                                               \
	static const struct rta_set set_##var = RTA_SET_FIX(rows, fn);                             \
	static const struct rta_attr kind_##var = A_NEST(#var, set_##var)

static const struct rta_field boolopt_fields[] = {
	F_("optval", br_boolopt_multi, optval, RTAT_U32),
	F_("optmask", br_boolopt_multi, optmask, RTAT_U32),
};
static const struct rta_struct rec_boolopt = RTA_STRUCT(boolopt_fields, 8);

static const struct rta_attr bridge[] = {
	[IFLA_BR_FORWARD_DELAY] = A_U32("forward_delay"),
	[IFLA_BR_HELLO_TIME] = A_U32("hello_time"),
	[IFLA_BR_MAX_AGE] = A_U32("max_age"),
	[IFLA_BR_AGEING_TIME] = A_U32("ageing_time"),
	[IFLA_BR_STP_STATE] = A_U32("stp_state"),
	[IFLA_BR_PRIORITY] = A_U16("priority"),
	/* a kernel without vlan filtering says EOPNOTSUPP to a 0 as well */
	[IFLA_BR_VLAN_FILTERING] = A_U8("vlan_filtering", .flags = RTAF_NZ),
	[IFLA_BR_VLAN_PROTOCOL] = A_BE16("vlan_protocol"),
	[IFLA_BR_GROUP_FWD_MASK] = A_U16("group_fwd_mask"),
	[IFLA_BR_ROOT_ID] = A_HEX("root_id", .flags = RTAF_STAT),
	[IFLA_BR_BRIDGE_ID] = A_HEX("bridge_id", .flags = RTAF_STAT),
	[IFLA_BR_ROOT_PORT] = A_U16("root_port", .flags = RTAF_STAT),
	[IFLA_BR_ROOT_PATH_COST] = A_U32("root_path_cost", .flags = RTAF_STAT),
	[IFLA_BR_TOPOLOGY_CHANGE] = A_U8("topology_change", .flags = RTAF_STAT),
	[IFLA_BR_TOPOLOGY_CHANGE_DETECTED] = A_U8("topology_change_detected", .flags = RTAF_STAT),
	[IFLA_BR_HELLO_TIMER] = A_U64("hello_timer", .flags = RTAF_STAT),
	[IFLA_BR_TCN_TIMER] = A_U64("tcn_timer", .flags = RTAF_STAT),
	[IFLA_BR_TOPOLOGY_CHANGE_TIMER] = A_U64("topology_change_timer", .flags = RTAF_STAT),
	[IFLA_BR_GC_TIMER] = A_U64("gc_timer", .flags = RTAF_STAT),
	[IFLA_BR_GROUP_ADDR] = A_LL("group_addr"),
	[IFLA_BR_FDB_FLUSH] = A_FLAG("fdb_flush", .flags = RTAF_STAT),
	[IFLA_BR_MCAST_ROUTER] = A_U8("mcast_router"),
	[IFLA_BR_MCAST_SNOOPING] = A_U8("mcast_snooping"),
	[IFLA_BR_MCAST_QUERY_USE_IFADDR] = A_U8("mcast_query_use_ifaddr"),
	[IFLA_BR_MCAST_QUERIER] = A_U8("mcast_querier"),
	[IFLA_BR_MCAST_HASH_ELASTICITY] = A_U32("mcast_hash_elasticity"),
	[IFLA_BR_MCAST_HASH_MAX] = A_U32("mcast_hash_max"),
	[IFLA_BR_MCAST_LAST_MEMBER_CNT] = A_U32("mcast_last_member_cnt"),
	[IFLA_BR_MCAST_STARTUP_QUERY_CNT] = A_U32("mcast_startup_query_cnt"),
	[IFLA_BR_MCAST_LAST_MEMBER_INTVL] = A_U64("mcast_last_member_intvl"),
	[IFLA_BR_MCAST_MEMBERSHIP_INTVL] = A_U64("mcast_membership_intvl"),
	[IFLA_BR_MCAST_QUERIER_INTVL] = A_U64("mcast_querier_intvl"),
	[IFLA_BR_MCAST_QUERY_INTVL] = A_U64("mcast_query_intvl"),
	[IFLA_BR_MCAST_QUERY_RESPONSE_INTVL] = A_U64("mcast_query_response_intvl"),
	[IFLA_BR_MCAST_STARTUP_QUERY_INTVL] = A_U64("mcast_startup_query_intvl"),
	[IFLA_BR_NF_CALL_IPTABLES] = A_U8("nf_call_iptables"),
	[IFLA_BR_NF_CALL_IP6TABLES] = A_U8("nf_call_ip6tables"),
	[IFLA_BR_NF_CALL_ARPTABLES] = A_U8("nf_call_arptables"),
	[IFLA_BR_VLAN_DEFAULT_PVID] = A_U16("vlan_default_pvid"),
	[IFLA_BR_VLAN_STATS_ENABLED] = A_U8("vlan_stats_enabled"),
	[IFLA_BR_MCAST_STATS_ENABLED] = A_U8("mcast_stats_enabled"),
	[IFLA_BR_MCAST_IGMP_VERSION] = A_U8("mcast_igmp_version"),
	[IFLA_BR_MCAST_MLD_VERSION] = A_U8("mcast_mld_version"),
	/* EBUSY as soon as a port has a vlan: only when it is made */
	[IFLA_BR_VLAN_STATS_PER_PORT] = A_U8("vlan_stats_per_port", .flags = RTAF_CREATE),
	[IFLA_BR_MULTI_BOOLOPT] = A_REC("multi_boolopt", rec_boolopt),
	[IFLA_BR_MCAST_QUERIER_STATE] = A_HEX("mcast_querier_state", .flags = RTAF_STAT),
	[IFLA_BR_FDB_N_LEARNED_] = A_U32("fdb_n_learned", .flags = RTAF_STAT),
	[IFLA_BR_FDB_MAX_LEARNED_] = A_U32("fdb_max_learned"),
};
KIND_NEST_FIX(bridge, bridge, rta_fix_bridge);

static const struct rta_field vxlan_range_fields[] = {
	F_("low", ifla_vxlan_port_range, low, RTAT_BE16),
	F_("high", ifla_vxlan_port_range, high, RTAT_BE16),
};
static const struct rta_struct rec_port_range = RTA_STRUCT(vxlan_range_fields, 4);
static const char *const df_words[] = {"unset", "set", "inherit"};

static const struct rta_attr vxlan[] = {
	[IFLA_VXLAN_ID] = A_U32("id"),
	[IFLA_VXLAN_GROUP] = A_ADDR("group"),
	[IFLA_VXLAN_LINK] = A_U32("link"),
	[IFLA_VXLAN_LOCAL] = A_ADDR("local"),
	[IFLA_VXLAN_TTL] = A_U8("ttl"),
	[IFLA_VXLAN_TOS] = A_U8("tos"),
	[IFLA_VXLAN_LEARNING] = A_BOOL("learning"),
	[IFLA_VXLAN_AGEING] = A_U32("ageing"),
	[IFLA_VXLAN_LIMIT] = A_U32("limit"),
	[IFLA_VXLAN_PORT_RANGE] = A_REC("port_range", rec_port_range),
	[IFLA_VXLAN_PROXY] = A_BOOL("proxy"),
	[IFLA_VXLAN_RSC] = A_BOOL("rsc"),
	[IFLA_VXLAN_L2MISS] = A_BOOL("l2miss"),
	[IFLA_VXLAN_L3MISS] = A_BOOL("l3miss"),
	[IFLA_VXLAN_PORT] = A_BE16("port"),
	[IFLA_VXLAN_GROUP6] = A_ADDR("group6"),
	[IFLA_VXLAN_LOCAL6] = A_ADDR("local6"),
	[IFLA_VXLAN_UDP_CSUM] = A_BOOL("udp_csum"),
	[IFLA_VXLAN_UDP_ZERO_CSUM6_TX] = A_BOOL("udp_zero_csum6_tx"),
	[IFLA_VXLAN_UDP_ZERO_CSUM6_RX] = A_BOOL("udp_zero_csum6_rx"),
	[IFLA_VXLAN_REMCSUM_TX] = A_BOOL("remcsum_tx"),
	/* vxlan_nl2conf counts its bits as used when the attribute is there, whatever its value, and then
	 * refuses IFLA_VXLAN_RESERVED_BITS as it dumped it */
	[IFLA_VXLAN_REMCSUM_RX] = A_BOOL("remcsum_rx", .flags = RTAF_NZ),
	[IFLA_VXLAN_GBP] = A_FLAG("gbp"),
	[IFLA_VXLAN_REMCSUM_NOPARTIAL] = A_FLAG("remcsum_nopartial"),
	[IFLA_VXLAN_COLLECT_METADATA] = A_BOOL("external"),
	[IFLA_VXLAN_LABEL] = A_BE32("label"),
	[IFLA_VXLAN_GPE] = A_FLAG("gpe"),
	/* vxlan_fill_info puts a u8, vxlan_policy takes NLA_FLAG */
	[IFLA_VXLAN_TTL_INHERIT] = A_BOOL("ttl_inherit", .flags = RTAF_ASFLAG),
	[IFLA_VXLAN_DF] = A_U8("df", A_WORDS(df_words)),
	[IFLA_VXLAN_VNIFILTER] = A_BOOL("vnifilter"),
	[IFLA_VXLAN_LOCALBYPASS_] = A_BOOL("localbypass"),
	[IFLA_VXLAN_LABEL_POLICY_] = A_U32("label_policy"),
	[IFLA_VXLAN_RESERVED_BITS_] = A_HEX("reserved_bits"),
	[IFLA_VXLAN_MC_ROUTE_] = A_BOOL("mc_route"),
};
KIND_NEST(vxlan, vxlan);

static const struct rta_attr mac = A_LL("mac");
static const char *const macvlan_modes[] = {
	[MACVLAN_MODE_PRIVATE] = "private", [MACVLAN_MODE_VEPA] = "vepa",
	[MACVLAN_MODE_BRIDGE] = "bridge",   [MACVLAN_MODE_PASSTHRU] = "passthru",
	[MACVLAN_MODE_SOURCE] = "source",
};
static const struct rta_attr macvlan[] = {
	[IFLA_MACVLAN_MODE] = A_U32("mode", A_WORDS(macvlan_modes)),
	[IFLA_MACVLAN_FLAGS] = A_U16("flags"),
	[IFLA_MACVLAN_MACADDR_MODE] = A_U32("macaddr_mode"),
	[IFLA_MACVLAN_MACADDR] = A_LL("macaddr"),
	[IFLA_MACVLAN_MACADDR_DATA] = A_LIST("macaddr_data", IFLA_MACVLAN_MACADDR, mac),
	[IFLA_MACVLAN_MACADDR_COUNT] = A_U32("macaddr_count", .flags = RTAF_RO | RTAF_HIDE0),
	[IFLA_MACVLAN_BC_QUEUE_LEN] = A_U32("bcqueuelen"),
	[IFLA_MACVLAN_BC_QUEUE_LEN_USED] = A_U32("usedbcqueuelen", .flags = RTAF_LIVE),
	[IFLA_MACVLAN_BC_CUTOFF_] = A_S32("bccutoff"),
};
KIND_NEST_FIX(macvlan, macvlan, rta_fix_macvlan);

static const struct rta_field vlan_flag_fields[] = {
	F_("flags", ifla_vlan_flags, flags, RTAT_U32),
	F_("mask", ifla_vlan_flags, mask, RTAT_U32),
};
static const struct rta_struct rec_vlan_flags = RTA_STRUCT(vlan_flag_fields, 8);
static const struct rta_field qos_fields[] = {
	F_("from", ifla_vlan_qos_mapping, from, RTAT_U32),
	F_("to", ifla_vlan_qos_mapping, to, RTAT_U32),
};
static const struct rta_struct rec_qos = RTA_STRUCT(qos_fields, 8);
static const struct rta_attr qos_map = A_REC("mapping", rec_qos);
static const struct rta_attr vlan[] = {
	[IFLA_VLAN_ID] = A_U16("id"),
	[IFLA_VLAN_FLAGS] = A_REC("flags", rec_vlan_flags),
	[IFLA_VLAN_EGRESS_QOS] = A_LIST("egress_qos", IFLA_VLAN_QOS_MAPPING, qos_map),
	[IFLA_VLAN_INGRESS_QOS] = A_LIST("ingress_qos", IFLA_VLAN_QOS_MAPPING, qos_map),
	[IFLA_VLAN_PROTOCOL] = A_BE16("protocol"),
};
KIND_NEST(vlan, vlan);

static const char *const ipvlan_modes[] = {"l2", "l3", "l3s"};
static const struct rta_attr ipvlan[] = {
	[IFLA_IPVLAN_MODE] = A_U16("mode", A_WORDS(ipvlan_modes)),
	[IFLA_IPVLAN_FLAGS] = A_U16("flags"),
};
KIND_NEST(ipvlan, ipvlan);

static const struct rta_attr vrf[] = {[IFLA_VRF_TABLE] = A_U32("table")};
KIND_NEST(vrf, vrf);

static const char *const bond_modes[] = {"balance-rr", "active-backup", "balance-xor", "broadcast",
					 "802.3ad",    "balance-tlb",   "balance-alb"};
static const struct rta_attr ip4_target = A_ADDR("target");
static const struct rta_attr bond_ad_info[] = {
	[IFLA_BOND_AD_INFO_AGGREGATOR] = A_U16("aggregator"),
	[IFLA_BOND_AD_INFO_NUM_PORTS] = A_U16("num_ports"),
	[IFLA_BOND_AD_INFO_ACTOR_KEY] = A_U16("actor_key"),
	[IFLA_BOND_AD_INFO_PARTNER_KEY] = A_U16("partner_key"),
	[IFLA_BOND_AD_INFO_PARTNER_MAC] = A_LL("partner_mac"),
};
static const struct rta_set set_bond_ad_info = RTA_SET(bond_ad_info);
static const struct rta_attr bond[] = {
	[IFLA_BOND_MODE] = A_U8("mode", A_WORDS(bond_modes)),
	[IFLA_BOND_ACTIVE_SLAVE] =
		A_U32("active_slave", .flags = RTAF_LIVE), /* follows the carrier */
	[IFLA_BOND_MIIMON] = A_U32("miimon"),
	[IFLA_BOND_UPDELAY] = A_U32("updelay", .flags = RTAF_NZ),
	[IFLA_BOND_DOWNDELAY] = A_U32("downdelay", .flags = RTAF_NZ),
	[IFLA_BOND_USE_CARRIER] = A_U8("use_carrier"),
	[IFLA_BOND_ARP_INTERVAL] = A_U32("arp_interval", .flags = RTAF_NZ),
	[IFLA_BOND_ARP_IP_TARGET] = A_LIST("arp_ip_target", RTA_COUNT_0, ip4_target),
	[IFLA_BOND_ARP_VALIDATE] = A_U32("arp_validate", .flags = RTAF_NZ),
	[IFLA_BOND_ARP_ALL_TARGETS] = A_U32("arp_all_targets"),
	[IFLA_BOND_PRIMARY] = A_U32("primary", .flags = RTAF_SET), /* must be a slave already */
	[IFLA_BOND_PRIMARY_RESELECT] = A_U8("primary_reselect"),
	[IFLA_BOND_FAIL_OVER_MAC] = A_U8("fail_over_mac"),
	[IFLA_BOND_XMIT_HASH_POLICY] = A_U8("xmit_hash_policy"),
	[IFLA_BOND_RESEND_IGMP] = A_U32("resend_igmp"),
	[IFLA_BOND_NUM_PEER_NOTIF] = A_U8("num_peer_notif"),
	[IFLA_BOND_ALL_SLAVES_ACTIVE] = A_U8("all_slaves_active"),
	[IFLA_BOND_MIN_LINKS] = A_U32("min_links"),
	[IFLA_BOND_LP_INTERVAL] = A_U32("lp_interval"),
	[IFLA_BOND_PACKETS_PER_SLAVE] = A_U32("packets_per_slave"),
	[IFLA_BOND_AD_LACP_RATE] = A_U8("ad_lacp_rate"),
	[IFLA_BOND_AD_SELECT] = A_U8("ad_select"),
	[IFLA_BOND_AD_INFO] = A_NEST("ad_info", set_bond_ad_info, .flags = RTAF_STAT),
	[IFLA_BOND_AD_ACTOR_SYS_PRIO] = A_U16("ad_actor_sys_prio"),
	[IFLA_BOND_AD_USER_PORT_KEY] = A_U16("ad_user_port_key"),
	[IFLA_BOND_AD_ACTOR_SYSTEM] = A_LL("ad_actor_system", .flags = RTAF_NZ),
	[IFLA_BOND_TLB_DYNAMIC_LB] = A_U8("tlb_dynamic_lb"),
	[IFLA_BOND_PEER_NOTIF_DELAY] = A_U32("peer_notif_delay", .flags = RTAF_NZ),
	[IFLA_BOND_AD_LACP_ACTIVE] = A_U8("ad_lacp_active"),
	[IFLA_BOND_MISSED_MAX] = A_U8("missed_max"),
	[IFLA_BOND_NS_IP6_TARGET] = A_LIST("ns_ip6_target", RTA_COUNT_0, ip4_target),
	[IFLA_BOND_COUPLED_CONTROL] = A_U8("coupled_control"),
	[IFLA_BOND_BROADCAST_NEIGH_] = A_U8("broadcast_neighbor"),
};
KIND_NEST_FIX(bond, bond, rta_fix_bond);

/* A tun device is made through /dev/net/tun, never over rtnl: all of it is information. */
static const char *const tun_types[] = {[1] = "tun", [2] = "tap"};
static const struct rta_attr tun[] = {
	[IFLA_TUN_OWNER] = A_U32("owner"),
	[IFLA_TUN_GROUP] = A_U32("group"),
	[IFLA_TUN_TYPE] = A_U8("type", A_WORDS(tun_types)),
	[IFLA_TUN_PI] = A_BOOL("pi"),
	[IFLA_TUN_VNET_HDR] = A_BOOL("vnet_hdr"),
	[IFLA_TUN_PERSIST] = A_BOOL("persist"),
	[IFLA_TUN_MULTI_QUEUE] = A_BOOL("multi_queue"),
	[IFLA_TUN_NUM_QUEUES] = A_U32("numqueues", .flags = RTAF_LIVE),
	[IFLA_TUN_NUM_DISABLED_QUEUES] = A_U32("numdisabled", .flags = RTAF_LIVE),
};
KIND_NEST(tun, tun);

static const struct rta_attr gre[] = {
	[IFLA_GRE_LINK] = A_U32("link"),
	[IFLA_GRE_IFLAGS] = A_BE16("iflags"),
	[IFLA_GRE_OFLAGS] = A_BE16("oflags"),
	[IFLA_GRE_IKEY] = A_BE32("ikey"),
	[IFLA_GRE_OKEY] = A_BE32("okey"),
	[IFLA_GRE_LOCAL] = A_ADDR("local"),
	[IFLA_GRE_REMOTE] = A_ADDR("remote"),
	[IFLA_GRE_TTL] = A_U8("ttl"),
	[IFLA_GRE_TOS] = A_U8("tos"),
	[IFLA_GRE_PMTUDISC] = A_BOOL("pmtudisc"),
	[IFLA_GRE_ENCAP_LIMIT] = A_U8("encap_limit"),
	[IFLA_GRE_FLOWINFO] = A_BE32("flowinfo"),
	[IFLA_GRE_FLAGS] = A_U32("flags"),
	[IFLA_GRE_ENCAP_TYPE] = A_U16("encap_type"),
	[IFLA_GRE_ENCAP_FLAGS] = A_U16("encap_flags"),
	[IFLA_GRE_ENCAP_SPORT] = A_BE16("encap_sport"),
	[IFLA_GRE_ENCAP_DPORT] = A_BE16("encap_dport"),
	[IFLA_GRE_COLLECT_METADATA] = A_FLAG("external"),
	[IFLA_GRE_IGNORE_DF] = A_BOOL("ignore_df"),
	[IFLA_GRE_FWMARK] = A_U32("fwmark"),
	[IFLA_GRE_ERSPAN_INDEX] = A_U32("erspan_index"),
	[IFLA_GRE_ERSPAN_VER] = A_U8("erspan_ver"),
	[IFLA_GRE_ERSPAN_DIR] = A_U8("erspan_dir"),
	[IFLA_GRE_ERSPAN_HWID] = A_U16("erspan_hwid"),
};
KIND_NEST(gre, gre);

/* IFLA_IPTUN_FLAGS is be16 in sit and u32 in ip6tnl; ipip has none. Hence two tables. */
#define IPTUN_ROWS                                                                                 \
	[IFLA_IPTUN_LINK] = A_U32("link"), [IFLA_IPTUN_LOCAL] = A_ADDR("local"),                   \
	[IFLA_IPTUN_REMOTE] = A_ADDR("remote"), [IFLA_IPTUN_TTL] = A_U8("ttl"),                    \
	[IFLA_IPTUN_TOS] = A_U8("tos"), [IFLA_IPTUN_ENCAP_LIMIT] = A_U8("encap_limit"),            \
	[IFLA_IPTUN_FLOWINFO] = A_BE32("flowinfo"), [IFLA_IPTUN_PROTO] = A_U8("proto"),            \
	[IFLA_IPTUN_PMTUDISC] = A_BOOL("pmtudisc"),                                                \
	[IFLA_IPTUN_6RD_PREFIX] = A_ADDR("6rd_prefix"),                                            \
	[IFLA_IPTUN_6RD_RELAY_PREFIX] = A_ADDR("6rd_relay_prefix"),                                \
	[IFLA_IPTUN_6RD_PREFIXLEN] = A_U16("6rd_prefixlen"),                                       \
	[IFLA_IPTUN_6RD_RELAY_PREFIXLEN] = A_U16("6rd_relay_prefixlen"),                           \
	[IFLA_IPTUN_ENCAP_TYPE] = A_U16("encap_type"),                                             \
	[IFLA_IPTUN_ENCAP_FLAGS] = A_U16("encap_flags"),                                           \
	[IFLA_IPTUN_ENCAP_SPORT] = A_BE16("encap_sport"),                                          \
	[IFLA_IPTUN_ENCAP_DPORT] = A_BE16("encap_dport"),                                          \
	[IFLA_IPTUN_COLLECT_METADATA] = A_FLAG("external"), [IFLA_IPTUN_FWMARK] = A_U32("fwmark")

static const struct rta_attr sit[] = {
	IPTUN_ROWS,
	[IFLA_IPTUN_FLAGS] = A_BE16("flags"),
};
KIND_NEST(sit, sit);

static const struct rta_attr ip6tnl[] = {
	IPTUN_ROWS,
	[IFLA_IPTUN_FLAGS] = A_U32("flags"),
};
KIND_NEST(ip6tnl, ip6tnl);

static const struct rta_attr vti[] = {
	[IFLA_VTI_LINK] = A_U32("link"),      [IFLA_VTI_IKEY] = A_BE32("ikey"),
	[IFLA_VTI_OKEY] = A_BE32("okey"),     [IFLA_VTI_LOCAL] = A_ADDR("local"),
	[IFLA_VTI_REMOTE] = A_ADDR("remote"), [IFLA_VTI_FWMARK] = A_U32("fwmark"),
};
KIND_NEST(vti, vti);

static const struct rta_attr geneve[] = {
	[IFLA_GENEVE_ID] = A_U32("id"),
	[IFLA_GENEVE_REMOTE] = A_ADDR("remote"),
	[IFLA_GENEVE_TTL] = A_U8("ttl"),
	[IFLA_GENEVE_TOS] = A_U8("tos"),
	[IFLA_GENEVE_PORT] = A_BE16("port"),
	[IFLA_GENEVE_COLLECT_METADATA] = A_FLAG("external"),
	[IFLA_GENEVE_REMOTE6] = A_ADDR("remote6"),
	[IFLA_GENEVE_UDP_CSUM] = A_BOOL("udp_csum"),
	[IFLA_GENEVE_UDP_ZERO_CSUM6_TX] = A_BOOL("udp_zero_csum6_tx"),
	[IFLA_GENEVE_UDP_ZERO_CSUM6_RX] = A_BOOL("udp_zero_csum6_rx"),
	[IFLA_GENEVE_LABEL] = A_BE32("label"),
	[IFLA_GENEVE_TTL_INHERIT] = A_BOOL("ttl_inherit"),
	[IFLA_GENEVE_DF] = A_U8("df", A_WORDS(df_words)),
	[IFLA_GENEVE_INNER_PROTO_INHERIT] = A_FLAG("innerprotoinherit"),
	[IFLA_GENEVE_PORT_RANGE_] = A_REC("port_range", rec_port_range),
	[IFLA_GENEVE_LOCAL_] = A_ADDR("local"),
	[IFLA_GENEVE_LOCAL6_] = A_ADDR("local6"),
};
KIND_NEST(geneve, geneve);

static const struct rta_attr xfrm[] = {
	[IFLA_XFRM_LINK] = A_U32("link"),
	[IFLA_XFRM_IF_ID] = A_U32("if_id"),
	[IFLA_XFRM_COLLECT_METADATA] = A_FLAG("external"),
};
KIND_NEST(xfrm, xfrm);

static const struct rta_attr hsr[] = {
	[IFLA_HSR_SLAVE1] = A_U32("slave1"),
	[IFLA_HSR_SLAVE2] = A_U32("slave2"),
	[IFLA_HSR_MULTICAST_SPEC] = A_U8("multicast_spec"),
	[IFLA_HSR_SUPERVISION_ADDR] = A_LL("supervision_addr", .flags = RTAF_RO),
	[IFLA_HSR_SEQ_NR] = A_U16("seq_nr", .flags = RTAF_STAT),
	[IFLA_HSR_VERSION] = A_U8("version"),
	[IFLA_HSR_PROTOCOL] = A_U8("proto"),
	[IFLA_HSR_INTERLINK_] = A_U32("interlink"),
};
KIND_NEST(hsr, hsr);

static const struct rta_attr macsec[] = {
	[IFLA_MACSEC_SCI] = A_BE64("sci"),
	[IFLA_MACSEC_PORT] = A_BE16("port"),
	[IFLA_MACSEC_ICV_LEN] = A_U8("icv_len"),
	[IFLA_MACSEC_CIPHER_SUITE] = A_U64("cipher_suite"),
	[IFLA_MACSEC_WINDOW] = A_U32("window"),
	[IFLA_MACSEC_ENCODING_SA] = A_U8("encoding_sa"),
	[IFLA_MACSEC_ENCRYPT] = A_BOOL("encrypt"),
	[IFLA_MACSEC_PROTECT] = A_BOOL("protect"),
	[IFLA_MACSEC_INC_SCI] = A_BOOL("inc_sci"),
	[IFLA_MACSEC_ES] = A_BOOL("es"),
	[IFLA_MACSEC_SCB] = A_BOOL("scb"),
	[IFLA_MACSEC_REPLAY_PROTECT] = A_BOOL("replay_protect"),
	[IFLA_MACSEC_VALIDATION] = A_U8("validation"),
	[IFLA_MACSEC_OFFLOAD] = A_U8("offload"),
};
KIND_NEST(macsec, macsec);

static const struct rta_attr bareudp[] = {
	[IFLA_BAREUDP_PORT] = A_BE16("dstport"),
	[IFLA_BAREUDP_ETHERTYPE] = A_BE16("ethertype"),
	[IFLA_BAREUDP_SRCPORT_MIN] = A_U16("srcportmin"),
	[IFLA_BAREUDP_MULTIPROTO_MODE] = A_FLAG("multiproto"),
};
KIND_NEST(bareudp, bareudp);

static const struct rta_attr gtp[] = {
	[IFLA_GTP_FD0] = A_U32("fd0"),
	[IFLA_GTP_FD1] = A_U32("fd1"),
	[IFLA_GTP_PDP_HASHSIZE] = A_U32("hsize"),
	[IFLA_GTP_ROLE] = A_U32("role"),
	[IFLA_GTP_CREATE_SOCKETS] = A_BOOL("create_sockets"),
	[IFLA_GTP_RESTART_COUNT] = A_U8("restart_count"),
	[IFLA_GTP_LOCAL_] = A_ADDR("local"),
	[IFLA_GTP_LOCAL6_] = A_ADDR("local6"),
};
KIND_NEST(gtp, gtp);

static const struct rta_attr ipoib[] = {
	[IFLA_IPOIB_PKEY] = A_U16("pkey"),
	[IFLA_IPOIB_MODE] = A_U16("mode"),
	[IFLA_IPOIB_UMCAST] = A_U16("umcast"),
};
KIND_NEST(ipoib, ipoib);

static const struct rta_field rmnet_fields[] = {
	F_("flags", ifla_rmnet_flags, flags, RTAT_U32),
	F_("mask", ifla_rmnet_flags, mask, RTAT_U32),
};
static const struct rta_struct rec_rmnet = RTA_STRUCT(rmnet_fields, 8);
static const struct rta_attr rmnet[] = {
	[IFLA_RMNET_MUX_ID] = A_U16("mux_id"),
	[IFLA_RMNET_FLAGS] = A_REC("flags", rec_rmnet),
};
KIND_NEST(rmnet, rmnet);

static const char *const netkit_policies[] = {[0] = "forward", [2] = "blackhole"};
static const char *const netkit_modes[] = {"l2", "l3"};
static const struct rta_attr netkit[] = {
	[IFLA_NETKIT_PEER_INFO_] = A_HEX("peer_info"),
	[IFLA_NETKIT_PRIMARY_] = A_BOOL("primary", .flags = RTAF_RO),
	[IFLA_NETKIT_POLICY_] = A_U32("policy", A_WORDS(netkit_policies)),
	[IFLA_NETKIT_PEER_POLICY_] = A_U32("peer_policy", A_WORDS(netkit_policies)),
	[IFLA_NETKIT_MODE_] = A_U32("mode", A_WORDS(netkit_modes)),
	[IFLA_NETKIT_SCRUB_] = A_U32("scrub"),
	[IFLA_NETKIT_PEER_SCRUB_] = A_U32("peer_scrub"),
	[IFLA_NETKIT_HEADROOM_] = A_U16("headroom"),
	[IFLA_NETKIT_TAILROOM_] = A_U16("tailroom"),
};
KIND_NEST(netkit, netkit);

static const struct rta_attr amt[] = {
	[IFLA_AMT_MODE] = A_U32("mode"),
	[IFLA_AMT_RELAY_PORT] = A_BE16("relay_port"),
	[IFLA_AMT_GATEWAY_PORT] = A_BE16("gateway_port"),
	[IFLA_AMT_LINK] = A_U32("link"),
	[IFLA_AMT_LOCAL_IP] = A_ADDR("local"),
	[IFLA_AMT_REMOTE_IP] = A_ADDR("remote", .flags = RTAF_LIVE),
	[IFLA_AMT_DISCOVERY_IP] = A_ADDR("discovery"),
	[IFLA_AMT_MAX_TUNNELS] = A_U32("max_tunnels"),
};
KIND_NEST(amt, amt);

static const struct rta_attr batadv[] = {[IFLA_BATADV_ALGO_NAME] = A_STR("ra", 0)};
KIND_NEST(batadv, batadv);

static const struct rta_attr ovpn[] = {[IFLA_OVPN_MODE_] = A_U8("mode")};
KIND_NEST(ovpn, ovpn);

const struct rta_variant rta_link_kinds[] = {
	{"bridge", 0, &kind_bridge},   {"vxlan", 0, &kind_vxlan},
	{"macvlan", 0, &kind_macvlan}, {"macvtap", 0, &kind_macvlan},
	{"vlan", 0, &kind_vlan},       {"ipvlan", 0, &kind_ipvlan},
	{"ipvtap", 0, &kind_ipvlan},   {"vrf", 0, &kind_vrf},
	{"bond", 0, &kind_bond},       {"tun", 0, &kind_tun},
	{"gre", 0, &kind_gre},         {"gretap", 0, &kind_gre},
	{"erspan", 0, &kind_gre},      {"ip6gre", 0, &kind_gre},
	{"ip6gretap", 0, &kind_gre},   {"ip6erspan", 0, &kind_gre},
	{"ipip", 0, &kind_ip6tnl},     {"sit", 0, &kind_sit},
	{"ip6tnl", 0, &kind_ip6tnl},   {"vti", 0, &kind_vti},
	{"vti6", 0, &kind_vti},        {"geneve", 0, &kind_geneve},
	{"xfrm", 0, &kind_xfrm},       {"hsr", 0, &kind_hsr},
	{"macsec", 0, &kind_macsec},   {"bareudp", 0, &kind_bareudp},
	{"gtp", 0, &kind_gtp},         {"ipoib", 0, &kind_ipoib},
	{"rmnet", 0, &kind_rmnet},     {"netkit", 0, &kind_netkit},
	{"amt", 0, &kind_amt},         {"batadv", 0, &kind_batadv},
	{"ovpn", 0, &kind_ovpn},       {NULL, 0, NULL},
};

static const char *const bond_slave_states[] = {"active", "backup"};
static const struct rta_attr bond_slave[] = {
	[IFLA_BOND_SLAVE_STATE] = A_U8("state", A_WORDS(bond_slave_states), .flags = RTAF_LIVE),
	[IFLA_BOND_SLAVE_MII_STATUS] = A_U8("mii_status", .flags = RTAF_LIVE),
	[IFLA_BOND_SLAVE_LINK_FAILURE_COUNT] = A_U32("link_failure_count", .flags = RTAF_STAT),
	[IFLA_BOND_SLAVE_PERM_HWADDR] = A_LL("perm_hwaddr", .flags = RTAF_RO),
	[IFLA_BOND_SLAVE_QUEUE_ID] = A_U16("queue_id"),
	[IFLA_BOND_SLAVE_AD_AGGREGATOR_ID] = A_U16("ad_aggregator_id", .flags = RTAF_STAT),
	[IFLA_BOND_SLAVE_AD_ACTOR_OPER_PORT_STATE] =
		A_U8("ad_actor_oper_port_state", .flags = RTAF_STAT),
	[IFLA_BOND_SLAVE_AD_PARTNER_OPER_PORT_STATE] =
		A_U16("ad_partner_oper_port_state", .flags = RTAF_STAT),
	[IFLA_BOND_SLAVE_PRIO] = A_S32("prio"),
	[IFLA_BOND_SLAVE_ACTOR_PORT_PRIO] = A_U16("actor_port_prio"),
	[IFLA_BOND_SLAVE_AD_CHURN_ACTOR_STATE] = A_U8("ad_churn_actor_state", .flags = RTAF_STAT),
	[IFLA_BOND_SLAVE_AD_CHURN_PARTNER_STATE] =
		A_U8("ad_churn_partner_state", .flags = RTAF_STAT),
};
KIND_NEST(bond_slave, bond_slave);

static const struct rta_attr vrf_slave[] = {
	[IFLA_VRF_PORT_TABLE] = A_U32("table", .flags = RTAF_RO),
};
KIND_NEST(vrf_slave, vrf_slave);

static const struct rta_attr kind_brport = A_NEST("bridge_slave", rta_set_brport);

const struct rta_variant rta_slave_kinds[] = {
	{"bridge", 0, &kind_brport},
	{"bond", 0, &kind_bond_slave},
	{"vrf", 0, &kind_vrf_slave},
	{NULL, 0, NULL},
};
