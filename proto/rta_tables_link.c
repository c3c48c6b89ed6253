/* Links: IFLA_*, bridge ports, per-family parts. Sources: include/uapi/linux/if_link.h, net/core/rtnetlink.c
 * (rtnl_fill_ifinfo, rtnl_create_link, do_setlink), net/bridge/br_netlink.c, net/ipv6/addrconf.c. */
#include "proto/rta_tables.h"

#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

/* Younger than the headers of Debian 12 (Linux 6.1). */
enum {
	IFLA_DEVLINK_PORT_ = 62,
	IFLA_GSO_IPV4_MAX_SIZE_ = 63,
	IFLA_GRO_IPV4_MAX_SIZE_ = 64,
	IFLA_DPLL_PIN_ = 65,
	IFLA_MAX_PACING_OFFLOAD_HORIZON_ = 66,
	IFLA_NETNS_IMMUTABLE_ = 67,
	IFLA_HEADROOM_ = 68,
	IFLA_TAILROOM_ = 69,
	IFLA_BRPORT_MAB_ = 40,
	IFLA_BRPORT_MCAST_N_GROUPS_ = 41,
	IFLA_BRPORT_MCAST_MAX_GROUPS_ = 42,
	IFLA_BRPORT_NEIGH_VLAN_SUPPRESS_ = 43,
	IFLA_BRPORT_BACKUP_NHID_ = 44,
};

static const struct rta_field hdr_link[] = {
	F_("family", ifinfomsg, ifi_family, RTAT_U8),
	F_("type", ifinfomsg, ifi_type, RTAT_U16, .flags = RTAF_RO),
	F_("ifindex", ifinfomsg, ifi_index, RTAT_S32),
	/* IFF_RUNNING, LOWER_UP, DORMANT follow the carrier; ALLMULTI and PROMISC are counted per user */
	F_("flags", ifinfomsg, ifi_flags, RTAT_U32, .vol = 0x40 | 0x10000 | 0x20000),
	F_("change", ifinfomsg, ifi_change, RTAT_U32, .flags = RTAF_RO | RTAF_VOL),
};
const struct rta_struct rta_hdr_link = RTA_STRUCT(hdr_link, sizeof(struct ifinfomsg));

static const struct rta_field link_map[] = {
	F_("mem_start", rtnl_link_ifmap, mem_start, RTAT_U64),
	F_("mem_end", rtnl_link_ifmap, mem_end, RTAT_U64),
	F_("base_addr", rtnl_link_ifmap, base_addr, RTAT_U64),
	F_("irq", rtnl_link_ifmap, irq, RTAT_U16),
	F_("dma", rtnl_link_ifmap, dma, RTAT_U8),
	F_("port", rtnl_link_ifmap, port, RTAT_U8),
};
static const struct rta_struct rec_map = RTA_STRUCT(link_map, sizeof(struct rtnl_link_ifmap));

static const struct rta_field cacheinfo[] = {
	F_("max_reasm_len", ifla_cacheinfo, max_reasm_len, RTAT_U32),
	F_("tstamp", ifla_cacheinfo, tstamp, RTAT_U32),
	F_("reachable_time", ifla_cacheinfo, reachable_time, RTAT_U32),
	F_("retrans_time", ifla_cacheinfo, retrans_time, RTAT_U32),
};
static const struct rta_struct rec_cacheinfo = RTA_STRUCT(cacheinfo, sizeof(struct ifla_cacheinfo));

static const char *const addr_gen_modes[] = {"eui64", "none", "stable_secret", "random"};

/* The arrays of sysctls are kept as sysctls; here they would be there twice. */
static const struct rta_attr inet_link[] = {
	[IFLA_INET_CONF] = A_U32S("conf", .flags = RTAF_STAT),
};
static const struct rta_set set_inet_link = RTA_SET(inet_link);

static const struct rta_attr inet6_link[] = {
	[IFLA_INET6_FLAGS] = A_U32("flags", .flags = RTAF_STAT),
	[IFLA_INET6_CONF] = A_U32S("conf", .flags = RTAF_STAT),
	[IFLA_INET6_STATS] = A_HEX("stats", .flags = RTAF_STAT),
	[IFLA_INET6_MCAST] = A_HEX("mcast", .flags = RTAF_STAT),
	[IFLA_INET6_CACHEINFO] = A_REC("cacheinfo", rec_cacheinfo, .flags = RTAF_STAT),
	[IFLA_INET6_ICMP6STATS] = A_HEX("icmp6stats", .flags = RTAF_STAT),
	/* inet6_set_iftoken refuses an all-zero token where none was set */
	[IFLA_INET6_TOKEN] = A_ADDR("token", .flags = RTAF_NZ | RTAF_HIDE0),
	[IFLA_INET6_ADDR_GEN_MODE] = A_U8("addr_gen_mode", A_WORDS(addr_gen_modes)),
	[IFLA_INET6_RA_MTU] = A_U32("ra_mtu", .flags = RTAF_RO | RTAF_VOL | RTAF_HIDE0),
};
const struct rta_set rta_set_inet6_link = RTA_SET(inet6_link);

static const struct rta_attr mctp_link[] = {
	[IFLA_MCTP_NET] = A_U32("net"),
	[2] = A_U8("phys_binding", .flags = RTAF_RO),
};
static const struct rta_set set_mctp_link = RTA_SET(mctp_link);

static const struct rta_attr af_spec[] = {
	[AF_INET] = A_NEST("inet", set_inet_link),
	[AF_INET6] = A_NEST("inet6", rta_set_inet6_link),
	[45] = A_NEST("mctp", set_mctp_link), /* AF_MCTP */
};
static const struct rta_set set_af_spec = RTA_SET(af_spec);

static const struct rta_attr link_info[] = {
	[IFLA_INFO_KIND] = A_STR("info_kind", 0),
	[IFLA_INFO_DATA] = A_VARIANT("info_data", IFLA_INFO_KIND, rta_link_kinds),
	[IFLA_INFO_XSTATS] = A_HEX("info_xstats", .flags = RTAF_STAT),
	/* slave_changelink only exists for a device that has its master: rtnl_newlink, m_ops */
	[IFLA_INFO_SLAVE_KIND] = A_STR("info_slave_kind", 0, .flags = RTAF_SET),
	[IFLA_INFO_SLAVE_DATA] = A_VARIANT("info_slave_data", IFLA_INFO_SLAVE_KIND, rta_slave_kinds,
					   .flags = RTAF_SET),
};
static const struct rta_set set_link_info = RTA_SET_FIX(link_info, rta_fix_link_info);

static const struct rta_attr altname = A_STR("altname", 127);

static const struct rta_attr proto_down_reason[] = {
	[IFLA_PROTO_DOWN_REASON_MASK] = A_U32("mask"),
	[IFLA_PROTO_DOWN_REASON_VALUE] = A_U32("value"),
};
static const struct rta_set set_proto_down_reason = RTA_SET(proto_down_reason);

static const struct rta_attr xdp[] = {
	[IFLA_XDP_ATTACHED] = A_U8("attached", .flags = RTAF_HIDE0),
	[IFLA_XDP_FLAGS] = A_U32("flags"),
	[IFLA_XDP_PROG_ID] = A_U32("prog_id", .flags = RTAF_VOL),
	[IFLA_XDP_DRV_PROG_ID] = A_U32("drv_prog_id", .flags = RTAF_VOL),
	[IFLA_XDP_SKB_PROG_ID] = A_U32("skb_prog_id", .flags = RTAF_VOL),
	[IFLA_XDP_HW_PROG_ID] = A_U32("hw_prog_id", .flags = RTAF_VOL),
};
static const struct rta_set set_xdp = RTA_SET(xdp);

static const char *const link_modes[] = {"default", "dormant"};

static const struct rta_attr link_attrs[] = {
	[IFLA_ADDRESS] = A_LL("address"),
	[IFLA_BROADCAST] = A_LL("broadcast"),
	[IFLA_IFNAME] = A_STR("ifname", 15),
	[IFLA_MTU] = A_U32("mtu"),
	[IFLA_LINK] = A_U32("link", .flags = RTAF_CREATE),
	[IFLA_QDISC] = A_STR("qdisc", 0, .flags = RTAF_RO | RTAF_VOL), /* follows up/down; see tc */
	[IFLA_STATS] = A_HEX("stats", .flags = RTAF_STAT),
	[IFLA_COST] = A_U32("cost", .flags = RTAF_RO),
	[IFLA_PRIORITY] = A_U32("priority", .flags = RTAF_RO),
	[IFLA_MASTER] = A_U32("master"),
	[IFLA_WIRELESS] = A_HEX("wireless", .flags = RTAF_STAT),
	[IFLA_PROTINFO] = A_HEX("protinfo", .flags = RTAF_RO),
	[IFLA_TXQLEN] = A_U32("txqlen"),
	[IFLA_MAP] =
		A_REC("map", rec_map, .flags = RTAF_RO | RTAF_HIDE0), /* ndo_set_config: hardware */
	[IFLA_WEIGHT] = A_U32("weight", .flags = RTAF_RO),
	[IFLA_OPERSTATE] = A_U8("operstate", .flags = RTAF_LIVE),
	[IFLA_LINKMODE] = A_U8("linkmode", A_WORDS(link_modes)),
	[IFLA_LINKINFO] = A_NEST("linkinfo", set_link_info),
	[IFLA_IFALIAS] =
		A_STR("ifalias", 255, .flags = RTAF_SET), /* not read by rtnl_create_link */
	[IFLA_NUM_VF] = A_U32("num_vf", .flags = RTAF_RO),
	[IFLA_VFINFO_LIST] = A_HEX("vfinfo_list", .flags = RTAF_RO),
	[IFLA_STATS64] = A_HEX("stats64", .flags = RTAF_STAT),
	[IFLA_VF_PORTS] = A_HEX("vf_ports", .flags = RTAF_RO),
	[IFLA_PORT_SELF] = A_HEX("port_self", .flags = RTAF_RO),
	[IFLA_AF_SPEC] = A_NEST("af_spec", set_af_spec, .flags = RTAF_SET), /* do_setlink only */
	[IFLA_GROUP] = A_U32("group"),
	[IFLA_EXT_MASK] = A_U32("ext_mask", .flags = RTAF_STAT),       /* of the request */
	[IFLA_PROMISCUITY] = A_U32("promiscuity", .flags = RTAF_LIVE), /* users, not a setting */
	[IFLA_NUM_TX_QUEUES] = A_U32("num_tx_queues", .flags = RTAF_CREATE),
	[IFLA_NUM_RX_QUEUES] = A_U32("num_rx_queues", .flags = RTAF_CREATE),
	[IFLA_CARRIER] = A_U8("carrier", .flags = RTAF_LIVE),
	[IFLA_PHYS_PORT_ID] = A_HEX("phys_port_id", .flags = RTAF_RO),
	[IFLA_CARRIER_CHANGES] = A_U32("carrier_changes", .flags = RTAF_STAT),
	[IFLA_PHYS_SWITCH_ID] = A_HEX("phys_switch_id", .flags = RTAF_RO),
	[IFLA_LINK_NETNSID] = A_S32("link_netnsid", .flags = RTAF_CREATE),
	[IFLA_PHYS_PORT_NAME] = A_STR("phys_port_name", 0, .flags = RTAF_RO),
	[IFLA_PROTO_DOWN] = A_U8("proto_down", .flags = RTAF_SET | RTAF_NZ | RTAF_HIDE0),
	[IFLA_GSO_MAX_SEGS] = A_U32("gso_max_segs"),
	[IFLA_GSO_MAX_SIZE] = A_U32("gso_max_size"),
	[IFLA_XDP] = A_NEST("xdp", set_xdp, .flags = RTAF_RO), /* needs the program's descriptor */
	[IFLA_EVENT] = A_U32("event", .flags = RTAF_STAT),
	[IFLA_NEW_NETNSID] = A_S32("new_netnsid", .flags = RTAF_STAT),
	[IFLA_TARGET_NETNSID] = A_S32("target_netnsid", .flags = RTAF_STAT),
	[IFLA_CARRIER_UP_COUNT] = A_U32("carrier_up_count", .flags = RTAF_STAT),
	[IFLA_CARRIER_DOWN_COUNT] = A_U32("carrier_down_count", .flags = RTAF_STAT),
	[IFLA_NEW_IFINDEX] = A_U32("new_ifindex", .flags = RTAF_STAT),
	[IFLA_MIN_MTU] = A_U32("min_mtu", .flags = RTAF_RO),
	[IFLA_MAX_MTU] = A_U32("max_mtu", .flags = RTAF_RO),
	/* taken by RTM_NEWLINKPROP only */
	[IFLA_PROP_LIST] = A_LIST("prop_list", IFLA_ALT_IFNAME, altname, .flags = RTAF_RO),
	[IFLA_PERM_ADDRESS] = A_LL("permaddr", .flags = RTAF_RO),
	[IFLA_PROTO_DOWN_REASON] =
		A_NEST("proto_down_reason", set_proto_down_reason, .flags = RTAF_SET),
	[IFLA_PARENT_DEV_NAME] = A_STR("parentdev", 0, .flags = RTAF_RO),
	[IFLA_PARENT_DEV_BUS_NAME] = A_STR("parentbus", 0, .flags = RTAF_RO),
	[IFLA_GRO_MAX_SIZE] = A_U32("gro_max_size"),
	[IFLA_TSO_MAX_SIZE] = A_U32("tso_max_size", .flags = RTAF_RO),
	[IFLA_TSO_MAX_SEGS] = A_U32("tso_max_segs", .flags = RTAF_RO),
	[IFLA_ALLMULTI] = A_U32("allmulti", .flags = RTAF_LIVE), /* users, not a setting */
	[IFLA_DEVLINK_PORT_] = A_HEX("devlink_port", .flags = RTAF_RO | RTAF_HIDE0),
	[IFLA_GSO_IPV4_MAX_SIZE_] = A_U32("gso_ipv4_max_size"),
	[IFLA_GRO_IPV4_MAX_SIZE_] = A_U32("gro_ipv4_max_size"),
	[IFLA_DPLL_PIN_] = A_HEX("dpll_pin", .flags = RTAF_RO | RTAF_HIDE0),
	[IFLA_MAX_PACING_OFFLOAD_HORIZON_] =
		A_U64("max_pacing_offload_horizon", .flags = RTAF_RO | RTAF_HIDE0),
	[IFLA_NETNS_IMMUTABLE_] = A_U8("netns_immutable", .flags = RTAF_RO | RTAF_HIDE0),
	[IFLA_HEADROOM_] = A_U16("headroom", .flags = RTAF_RO | RTAF_HIDE0),
	[IFLA_TAILROOM_] = A_U16("tailroom", .flags = RTAF_RO | RTAF_HIDE0),
};
const struct rta_set rta_set_link = RTA_SET(link_attrs);

/* A port of a bridge: IFLA_INFO_SLAVE_DATA, and IFLA_PROTINFO of AF_BRIDGE messages. */
static const char *const stp_states[] = {"disabled", "listening", "learning", "forwarding",
					 "blocking"};

static const struct rta_attr brport[] = {
	/* br_set_port_state: refused without carrier, or while the kernel's STP runs */
	[IFLA_BRPORT_STATE] = A_U8("state", A_WORDS(stp_states), .flags = RTAF_LIVE),
	[IFLA_BRPORT_PRIORITY] = A_U16("priority"),
	[IFLA_BRPORT_COST] = A_U32("cost"),
	[IFLA_BRPORT_MODE] = A_BOOL("hairpin"),
	[IFLA_BRPORT_GUARD] = A_BOOL("guard"),
	[IFLA_BRPORT_PROTECT] = A_BOOL("root_block"),
	[IFLA_BRPORT_FAST_LEAVE] = A_BOOL("fastleave"),
	[IFLA_BRPORT_LEARNING] = A_BOOL("learning"),
	[IFLA_BRPORT_UNICAST_FLOOD] = A_BOOL("flood"),
	[IFLA_BRPORT_PROXYARP] = A_BOOL("proxy_arp"),
	[IFLA_BRPORT_LEARNING_SYNC] = A_BOOL("learning_sync"),
	[IFLA_BRPORT_PROXYARP_WIFI] = A_BOOL("proxy_arp_wifi"),
	[IFLA_BRPORT_ROOT_ID] = A_HEX("root_id", .flags = RTAF_STAT),
	[IFLA_BRPORT_BRIDGE_ID] = A_HEX("bridge_id", .flags = RTAF_STAT),
	[IFLA_BRPORT_DESIGNATED_PORT] = A_U16("designated_port", .flags = RTAF_STAT),
	[IFLA_BRPORT_DESIGNATED_COST] = A_U16("designated_cost", .flags = RTAF_STAT),
	[IFLA_BRPORT_ID] = A_U16("id", .flags = RTAF_STAT),
	[IFLA_BRPORT_NO] = A_U16("no", .flags = RTAF_STAT), /* order of joining the bridge */
	[IFLA_BRPORT_TOPOLOGY_CHANGE_ACK] = A_U8("topology_change_ack", .flags = RTAF_STAT),
	[IFLA_BRPORT_CONFIG_PENDING] = A_U8("config_pending", .flags = RTAF_STAT),
	[IFLA_BRPORT_MESSAGE_AGE_TIMER] = A_U64("message_age_timer", .flags = RTAF_STAT),
	[IFLA_BRPORT_FORWARD_DELAY_TIMER] = A_U64("forward_delay_timer", .flags = RTAF_STAT),
	[IFLA_BRPORT_HOLD_TIMER] = A_U64("hold_timer", .flags = RTAF_STAT),
	[IFLA_BRPORT_FLUSH] = A_FLAG("flush", .flags = RTAF_STAT),
	[IFLA_BRPORT_MULTICAST_ROUTER] = A_U8("multicast_router"),
	[IFLA_BRPORT_MCAST_FLOOD] = A_BOOL("mcast_flood"),
	[IFLA_BRPORT_MCAST_TO_UCAST] = A_BOOL("mcast_to_unicast"),
	[IFLA_BRPORT_VLAN_TUNNEL] = A_BOOL("vlan_tunnel"),
	[IFLA_BRPORT_BCAST_FLOOD] = A_BOOL("bcast_flood"),
	[IFLA_BRPORT_GROUP_FWD_MASK] = A_U16("group_fwd_mask"),
	[IFLA_BRPORT_NEIGH_SUPPRESS] = A_BOOL("neigh_suppress"),
	[IFLA_BRPORT_ISOLATED] = A_BOOL("isolated"),
	[IFLA_BRPORT_BACKUP_PORT] = A_U32("backup_port"),
	[IFLA_BRPORT_MRP_RING_OPEN] = A_BOOL("mrp_ring_open", .flags = RTAF_LIVE),
	[IFLA_BRPORT_MRP_IN_OPEN] = A_BOOL("mrp_in_open", .flags = RTAF_LIVE),
	[IFLA_BRPORT_MCAST_EHT_HOSTS_LIMIT] = A_U32("mcast_eht_hosts_limit"),
	[IFLA_BRPORT_MCAST_EHT_HOSTS_CNT] = A_U32("mcast_eht_hosts_cnt", .flags = RTAF_STAT),
	[IFLA_BRPORT_LOCKED] = A_BOOL("locked"),
	[IFLA_BRPORT_MAB_] = A_BOOL("mab"),
	[IFLA_BRPORT_MCAST_N_GROUPS_] = A_U32("mcast_n_groups", .flags = RTAF_STAT),
	[IFLA_BRPORT_MCAST_MAX_GROUPS_] = A_U32("mcast_max_groups"),
	[IFLA_BRPORT_NEIGH_VLAN_SUPPRESS_] = A_BOOL("neigh_vlan_suppress"),
	[IFLA_BRPORT_BACKUP_NHID_] = A_U32("backup_nhid", .flags = RTAF_NZ),
};
const struct rta_set rta_set_brport = RTA_SET(brport);

/* AF_BRIDGE RTM_NEWLINK: the vlans of a bridge or port. Several IFLA_BRIDGE_VLAN_INFO follow each other. */
static const struct rta_field vlan_info[] = {
	F_("flags", bridge_vlan_info, flags, RTAT_U16),
	F_("vid", bridge_vlan_info, vid, RTAT_U16),
};
static const struct rta_struct rec_vlan_info =
	RTA_STRUCT(vlan_info, sizeof(struct bridge_vlan_info));

static const struct rta_attr vlan_tunnel[] = {
	[IFLA_BRIDGE_VLAN_TUNNEL_ID] = A_U32("id"),
	[IFLA_BRIDGE_VLAN_TUNNEL_VID] = A_U16("vid"),
	[IFLA_BRIDGE_VLAN_TUNNEL_FLAGS] = A_U16("flags"),
};
static const struct rta_set set_vlan_tunnel = RTA_SET(vlan_tunnel);

static const struct rta_attr bridge_af_spec[] = {
	[IFLA_BRIDGE_FLAGS] = A_U16("flags"),
	[IFLA_BRIDGE_MODE] = A_U16("mode"),
	[IFLA_BRIDGE_VLAN_INFO] = A_REC("vlan_info", rec_vlan_info),
	[IFLA_BRIDGE_VLAN_TUNNEL_INFO] = A_NEST("vlan_tunnel_info", set_vlan_tunnel),
};
static const struct rta_set set_bridge_af_spec = RTA_SET(bridge_af_spec);

/* br_setlink reads IFLA_PROTINFO and IFLA_AF_SPEC; the rest says which device it is. */
static const struct rta_attr bridge_link[] = {
	[IFLA_ADDRESS] = A_LL("address", .flags = RTAF_LIVE),
	[IFLA_BROADCAST] = A_LL("broadcast", .flags = RTAF_RO),
	[IFLA_IFNAME] = A_STR("ifname", 15, .flags = RTAF_RO),
	[IFLA_MTU] = A_U32("mtu", .flags = RTAF_RO),
	[IFLA_LINK] = A_U32("link", .flags = RTAF_RO),
	[IFLA_MASTER] = A_U32("master", .flags = RTAF_RO),
	[IFLA_OPERSTATE] = A_U8("operstate", .flags = RTAF_LIVE),
	[IFLA_PROTINFO] =
		A_NEST("protinfo", rta_set_brport, .flags = RTAF_STAT), /* is port_attrs */
	[IFLA_AF_SPEC] = A_NEST("af_spec", set_bridge_af_spec),
};
const struct rta_set rta_set_bridge_link = RTA_SET(bridge_link);
