/* Neighbours, fdb, nexthops, mdb, bridge vlan options, traffic control. Sources: include/uapi/linux/
 * {neighbour,nexthop,if_bridge,pkt_sched,pkt_cls}.h, net/core/neighbour.c, net/ipv4/nexthop.c,
 * net/bridge/br_mdb.c, net/sched/. */
#include "proto/rta_tables.h"

#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/nexthop.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_gact.h>
#include <linux/tc_act/tc_mirred.h>

/* Younger than the headers of Debian 12 (Linux 6.1). */
enum {
	NHA_OP_FLAGS_ = 14,
	NHA_GROUP_STATS_ = 15,
	NHA_HW_STATS_ENABLE_ = 16,
	NHA_HW_STATS_USED_ = 17,
};

/* --- neighbours --- */

/* What the kernel learned by itself: all states but PERMANENT and NOARP */
#define NUD_LEARNED                                                                                \
	(NUD_INCOMPLETE | NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_FAILED)

static const struct rta_field hdr_neigh[] = {
	F_("family", ndmsg, ndm_family, RTAT_U8),
	F_("ifindex", ndmsg, ndm_ifindex, RTAT_S32),
	F_("state", ndmsg, ndm_state, RTAT_U16, .vol = NUD_LEARNED),
	F_("flags", ndmsg, ndm_flags, RTAT_U8),
	F_("type", ndmsg, ndm_type, RTAT_U8),
};
const struct rta_struct rta_hdr_neigh = RTA_STRUCT(hdr_neigh, sizeof(struct ndmsg));

static const struct rta_field neigh_cacheinfo[] = {
	F_("confirmed", nda_cacheinfo, ndm_confirmed, RTAT_U32),
	F_("used", nda_cacheinfo, ndm_used, RTAT_U32),
	F_("updated", nda_cacheinfo, ndm_updated, RTAT_U32),
	F_("refcnt", nda_cacheinfo, ndm_refcnt, RTAT_U32),
};
static const struct rta_struct rec_neigh_cacheinfo =
	RTA_STRUCT(neigh_cacheinfo, sizeof(struct nda_cacheinfo));

static const struct rta_attr fdb_ext[] = {
	[NFEA_ACTIVITY_NOTIFY] = A_U8("activity_notify"),
	[NFEA_DONT_REFRESH] = A_FLAG("dont_refresh"),
};
static const struct rta_set set_fdb_ext = RTA_SET(fdb_ext);

static const struct rta_attr neigh_attrs[] = {
	[NDA_DST] = A_ADDR("dst"),
	[NDA_LLADDR] = A_LL("lladdr"),
	[NDA_CACHEINFO] = A_REC("cacheinfo", rec_neigh_cacheinfo, .flags = RTAF_STAT),
	[NDA_PROBES] = A_U32("probes", .flags = RTAF_STAT),
	[NDA_VLAN] = A_U16("vlan"),
	[NDA_PORT] = A_BE16("port"),
	[NDA_VNI] = A_U32("vni"),
	[NDA_IFINDEX] = A_U32("via_ifindex"),
	[NDA_MASTER] = A_U32("master", .flags = RTAF_RO),
	[NDA_LINK_NETNSID] = A_S32("link_netnsid", .flags = RTAF_RO),
	[NDA_SRC_VNI] = A_U32("src_vni"),
	[NDA_PROTOCOL] = A_U8("protocol"),
	[NDA_NH_ID] = A_U32("nh_id"),
	[NDA_FDB_EXT_ATTRS] = A_NEST("fdb_ext", set_fdb_ext),
	[NDA_FLAGS_EXT] = A_U32("flags_ext"),
	[NDA_NDM_STATE_MASK] = A_U16("state_mask", .flags = RTAF_STAT),
	[NDA_NDM_FLAGS_MASK] = A_U8("flags_mask", .flags = RTAF_STAT),
};
const struct rta_set rta_set_neigh = RTA_SET(neigh_attrs);

/* --- nexthops --- */

#define NH_RO (RTNH_F_DEAD | RTNH_F_LINKDOWN | RTNH_F_OFFLOAD | RTNH_F_TRAP | RTNH_F_UNRESOLVED)

static const struct rta_field hdr_nexthop[] = {
	F_("family", nhmsg, nh_family, RTAT_U8),
	/* rtm_to_nh_config refuses a scope: the kernel finds it out */
	F_("scope", nhmsg, nh_scope, RTAT_U8, .flags = RTAF_RO),
	F_("protocol", nhmsg, nh_protocol, RTAT_U8),
	F_("flags", nhmsg, nh_flags, RTAT_U32, .ro = NH_RO, .vol = NH_RO),
};
const struct rta_struct rta_hdr_nexthop = RTA_STRUCT(hdr_nexthop, sizeof(struct nhmsg));

static const struct rta_field nh_grp[] = {
	F_("id", nexthop_grp, id, RTAT_U32),
	F_("weight", nexthop_grp, weight, RTAT_U8_1),
	/* since 6.12; the byte has one name in older headers of Debian 12 and another one in newer */
	{"weight_high", offsetof(struct nexthop_grp, weight) + 1, RTAT_U8, 1, RTAF_HIDE0, 0, 0},
};
const struct rta_struct rta_hdr_nexthop_entry = RTA_STRUCT(nh_grp, sizeof(struct nexthop_grp));

static const struct rta_attr res_group[] = {
	[NHA_RES_GROUP_BUCKETS] = A_U16("buckets"),
	[NHA_RES_GROUP_IDLE_TIMER] = A_U32("idle_timer"),
	[NHA_RES_GROUP_UNBALANCED_TIMER] = A_U32("unbalanced_timer"),
	[NHA_RES_GROUP_UNBALANCED_TIME] = A_U64("unbalanced_time", .flags = RTAF_LIVE),
};
static const struct rta_set set_res_group = RTA_SET(res_group);

static const struct rta_attr nexthop_attrs[] = {
	[NHA_ID] = A_U32("id"),
	[NHA_GROUP] = A_RECS("group", rta_hdr_nexthop_entry),
	[NHA_GROUP_TYPE] = A_U16("group_type"),
	[NHA_BLACKHOLE] = A_FLAG("blackhole"),
	[NHA_OIF] = A_U32("oif"),
	[NHA_GATEWAY] = A_ADDR("gateway"),
	[NHA_ENCAP_TYPE] = A_U16("encap_type"),
	[NHA_ENCAP] = A_VARIANT("encap", NHA_ENCAP_TYPE, rta_encaps),
	[NHA_GROUPS] = A_FLAG("groups", .flags = RTAF_STAT),
	[NHA_MASTER] = A_U32("master", .flags = RTAF_STAT),
	[NHA_FDB] = A_FLAG("fdb"),
	[NHA_RES_GROUP] = A_NEST("res_group", set_res_group),
	[NHA_OP_FLAGS_] = A_U32("op_flags", .flags = RTAF_STAT),
	[NHA_GROUP_STATS_] = A_HEX("group_stats", .flags = RTAF_STAT),
	[NHA_HW_STATS_ENABLE_] = A_U32("hw_stats_enable", .flags = RTAF_NZ | RTAF_HIDE0),
	[NHA_HW_STATS_USED_] = A_U32("hw_stats_used", .flags = RTAF_STAT),
};
const struct rta_set rta_set_nexthop = RTA_SET_FIX(nexthop_attrs, rta_fix_nexthop);

/* --- bridge multicast database, vlan options --- */

static const struct rta_field hdr_mdb[] = {
	F_("family", br_port_msg, family, RTAT_U8),
	F_("ifindex", br_port_msg, ifindex, RTAT_U32),
};
const struct rta_struct rta_hdr_mdb = RTA_STRUCT(hdr_mdb, sizeof(struct br_port_msg));
static const struct rta_field mdb_entry[] = {
	F_("ifindex", br_mdb_entry, ifindex, RTAT_U32),
	F_("state", br_mdb_entry, state, RTAT_U8),
	F_("flags", br_mdb_entry, flags, RTAT_U8),
	F_("vid", br_mdb_entry, vid, RTAT_U16),
	/* an IPv4, IPv6 or link-layer address, as proto says */
	F_("group", br_mdb_entry, addr.u, RTAT_HEX),
	F_("proto", br_mdb_entry, addr.proto, RTAT_BE16),
};
static const struct rta_struct rec_mdb_entry = RTA_STRUCT(mdb_entry, sizeof(struct br_mdb_entry));
static const struct rta_attr mdb_entry_attrs[] = {
	[MDBE_ATTR_SOURCE] = A_ADDR("source"),
};
static const struct rta_set set_mdb_entry_attrs = RTA_SET(mdb_entry_attrs);
/* A record is the request that makes a group (dumper/net_neigh.c), not what a dump says of it. */
static const struct rta_attr mdb_attrs[] = {
	[MDBA_SET_ENTRY] = A_REC("entry", rec_mdb_entry),
	[MDBA_SET_ENTRY_ATTRS] = A_NEST("attrs", set_mdb_entry_attrs),
};
const struct rta_set rta_set_mdb = RTA_SET(mdb_attrs);

/* A VNI, or a range of them, of a vxlan device that has a table of them; a record has one (dumper/net_neigh.c). */
static const struct rta_field hdr_tunnel[] = {
	F_("family", tunnel_msg, family, RTAT_U8),
	F_("ifindex", tunnel_msg, ifindex, RTAT_U32),
};
const struct rta_struct rta_hdr_tunnel = RTA_STRUCT(hdr_tunnel, sizeof(struct tunnel_msg));
static const struct rta_attr vni_attrs[] = {
	[VXLAN_VNIFILTER_ENTRY_START] = A_U32("start"),
	[VXLAN_VNIFILTER_ENTRY_END] = A_U32("end"),
	[VXLAN_VNIFILTER_ENTRY_GROUP] = A_ADDR("group"),
	[VXLAN_VNIFILTER_ENTRY_GROUP6] = A_ADDR("group"),
	[VXLAN_VNIFILTER_ENTRY_STATS] = A_HEX("stats", .flags = RTAF_STAT),
};
static const struct rta_set set_vni = RTA_SET(vni_attrs);
static const struct rta_attr tunnel_attrs[] = {
	[VXLAN_VNIFILTER_ENTRY] = A_NEST("vni", set_vni),
};
const struct rta_set rta_set_tunnel = RTA_SET(tunnel_attrs);

static const struct rta_field hdr_vlandb[] = {
	F_("family", br_vlan_msg, family, RTAT_U8),
	F_("ifindex", br_vlan_msg, ifindex, RTAT_U32),
};
const struct rta_struct rta_hdr_vlandb = RTA_STRUCT(hdr_vlandb, sizeof(struct br_vlan_msg));
static const struct rta_attr vlandb_attrs[] = {
	[BRIDGE_VLANDB_ENTRY] = A_HEX("entry"),
	[BRIDGE_VLANDB_GLOBAL_OPTIONS] = A_HEX("global_options"),
};
const struct rta_set rta_set_vlandb = RTA_SET(vlandb_attrs);

/* --- traffic control --- */

static const struct rta_field hdr_tc[] = {
	F_("family", tcmsg, tcm_family, RTAT_U8),
	F_("ifindex", tcmsg, tcm_ifindex, RTAT_S32),
	F_("handle", tcmsg, tcm_handle, RTAT_U32),
	F_("parent", tcmsg, tcm_parent, RTAT_U32),
	/* of a qdisc: its reference count; of a class: the handle of its leaf qdisc; of a filter: priority and
	 * protocol. rta_fix.c clears the first two. */
	F_("info", tcmsg, tcm_info, RTAT_U32),
};
const struct rta_struct rta_hdr_tc = RTA_STRUCT(hdr_tc, sizeof(struct tcmsg));

#define RATE_FIELDS(s, m, p)                                                                       \
	F_(p "cell_log", s, m.cell_log, RTAT_U8), F_(p "linklayer", s, m.linklayer, RTAT_U8),      \
		F_(p "overhead", s, m.overhead, RTAT_U16),                                         \
		F_(p "cell_align", s, m.cell_align, RTAT_U16), F_(p "mpu", s, m.mpu, RTAT_U16),    \
		F_(p "rate", s, m.rate, RTAT_U32)

static const struct rta_field tbf_parms[] = {
	RATE_FIELDS(tc_tbf_qopt, rate, ""),        RATE_FIELDS(tc_tbf_qopt, peakrate, "peak_"),
	F_("limit", tc_tbf_qopt, limit, RTAT_U32), F_("buffer", tc_tbf_qopt, buffer, RTAT_U32),
	F_("mtu", tc_tbf_qopt, mtu, RTAT_U32),
};
static const struct rta_struct rec_tbf = RTA_STRUCT(tbf_parms, sizeof(struct tc_tbf_qopt));
static const struct rta_attr tbf_rows[] = {
	[TCA_TBF_PARMS] = A_REC("parms", rec_tbf),
	[TCA_TBF_RTAB] = A_HEX("rtab"),
	[TCA_TBF_PTAB] = A_HEX("ptab"),
	[TCA_TBF_RATE64] = A_U64("rate64"),
	[TCA_TBF_PRATE64] = A_U64("prate64"),
	[TCA_TBF_BURST] = A_U32("burst"),
	[TCA_TBF_PBURST] = A_U32("pburst"),
};
static const struct rta_set set_tbf = RTA_SET(tbf_rows);
static const struct rta_attr tc_tbf = A_NEST("tbf", set_tbf);

static const struct rta_field htb_glob[] = {
	F_("version", tc_htb_glob, version, RTAT_U32, .flags = RTAF_HIDE),
	F_("r2q", tc_htb_glob, rate2quantum, RTAT_U32),
	F_("default", tc_htb_glob, defcls, RTAT_U32),
	F_("debug", tc_htb_glob, debug, RTAT_U32, .flags = RTAF_HIDE0),
	F_("direct_packets_stat", tc_htb_glob, direct_pkts, RTAT_U32, .flags = RTAF_STAT),
};
static const struct rta_struct rec_htb_glob = RTA_STRUCT(htb_glob, sizeof(struct tc_htb_glob));
static const struct rta_field htb_opt[] = {
	RATE_FIELDS(tc_htb_opt, rate, ""),
	RATE_FIELDS(tc_htb_opt, ceil, "ceil_"),
	F_("buffer", tc_htb_opt, buffer, RTAT_U32),
	F_("cbuffer", tc_htb_opt, cbuffer, RTAT_U32),
	F_("quantum", tc_htb_opt, quantum, RTAT_U32),
	F_("level", tc_htb_opt, level, RTAT_U32, .flags = RTAF_LIVE),
	F_("prio", tc_htb_opt, prio, RTAT_U32),
};
static const struct rta_struct rec_htb_opt = RTA_STRUCT(htb_opt, sizeof(struct tc_htb_opt));
static const struct rta_attr htb_rows[] = {
	[TCA_HTB_PARMS] = A_REC("parms", rec_htb_opt),
	[TCA_HTB_INIT] = A_REC("init", rec_htb_glob),
	[TCA_HTB_CTAB] = A_HEX("ctab"),
	[TCA_HTB_RTAB] = A_HEX("rtab"),
	[TCA_HTB_DIRECT_QLEN] = A_U32("direct_qlen"),
	[TCA_HTB_RATE64] = A_U64("rate64"),
	[TCA_HTB_CEIL64] = A_U64("ceil64"),
	[TCA_HTB_OFFLOAD] = A_FLAG("offload"),
};
static const struct rta_set set_htb = RTA_SET_FIX(htb_rows, rta_fix_htb);
static const struct rta_attr tc_htb = A_NEST("htb", set_htb);

static const struct rta_field fifo_fields[] = {F_("limit", tc_fifo_qopt, limit, RTAT_U32)};
static const struct rta_struct rec_fifo = RTA_STRUCT(fifo_fields, 4);
static const struct rta_attr tc_fifo = A_REC("fifo", rec_fifo);

static const struct rta_field prio_fields[] = {
	F_("bands", tc_prio_qopt, bands, RTAT_U32),
	F_("priomap", tc_prio_qopt, priomap, RTAT_HEX),
};
static const struct rta_struct rec_prio = RTA_STRUCT(prio_fields, sizeof(struct tc_prio_qopt));
static const struct rta_attr tc_prio = A_REC("prio", rec_prio);

static const struct rta_attr codel_rows[] = {
	[TCA_CODEL_TARGET] = A_U32("target"),
	[TCA_CODEL_LIMIT] = A_U32("limit"),
	[TCA_CODEL_INTERVAL] = A_U32("interval"),
	[TCA_CODEL_ECN] = A_U32("ecn"),
	[TCA_CODEL_CE_THRESHOLD] = A_U32("ce_threshold"),
};
static const struct rta_set set_codel = RTA_SET(codel_rows);
static const struct rta_attr tc_codel = A_NEST("codel", set_codel);

static const struct rta_attr fq_codel_rows[] = {
	[TCA_FQ_CODEL_TARGET] = A_U32("target"),
	[TCA_FQ_CODEL_LIMIT] = A_U32("limit"),
	[TCA_FQ_CODEL_INTERVAL] = A_U32("interval"),
	[TCA_FQ_CODEL_ECN] = A_U32("ecn"),
	[TCA_FQ_CODEL_FLOWS] = A_U32("flows", .flags = RTAF_CREATE),
	[TCA_FQ_CODEL_QUANTUM] = A_U32("quantum"),
	[TCA_FQ_CODEL_CE_THRESHOLD] = A_U32("ce_threshold"),
	[TCA_FQ_CODEL_DROP_BATCH_SIZE] = A_U32("drop_batch"),
	[TCA_FQ_CODEL_MEMORY_LIMIT] = A_U32("memory_limit"),
	[TCA_FQ_CODEL_CE_THRESHOLD_SELECTOR] = A_U8("ce_threshold_selector"),
	[TCA_FQ_CODEL_CE_THRESHOLD_MASK] = A_U8("ce_threshold_mask"),
};
static const struct rta_set set_fq_codel = RTA_SET(fq_codel_rows);
static const struct rta_attr tc_fq_codel = A_NEST("fq_codel", set_fq_codel);

static const struct rta_attr fq_rows[] = {
	[TCA_FQ_PLIMIT] = A_U32("limit"),
	[TCA_FQ_FLOW_PLIMIT] = A_U32("flow_limit"),
	[TCA_FQ_QUANTUM] = A_U32("quantum"),
	[TCA_FQ_INITIAL_QUANTUM] = A_U32("initial_quantum"),
	[TCA_FQ_RATE_ENABLE] = A_U32("rate_enable"),
	[TCA_FQ_FLOW_DEFAULT_RATE] = A_U32("flow_default_rate", .flags = RTAF_RO),
	[TCA_FQ_FLOW_MAX_RATE] = A_U32("flow_max_rate"),
	[TCA_FQ_BUCKETS_LOG] = A_U32("buckets_log"),
	[TCA_FQ_FLOW_REFILL_DELAY] = A_U32("flow_refill_delay"),
	[TCA_FQ_ORPHAN_MASK] = A_U32("orphan_mask"),
	[TCA_FQ_LOW_RATE_THRESHOLD] = A_U32("low_rate_threshold"),
	[TCA_FQ_CE_THRESHOLD] = A_U32("ce_threshold"),
	[TCA_FQ_TIMER_SLACK] = A_U32("timer_slack"),
	[TCA_FQ_HORIZON] = A_U32("horizon"),
	[TCA_FQ_HORIZON_DROP] = A_U8("horizon_drop"),
};
static const struct rta_set set_fq = RTA_SET(fq_rows);
static const struct rta_attr tc_fq = A_NEST("fq", set_fq);

/* Actions: a nest numbered by order. */
static const struct rta_attr gact_rows[] = {
	[TCA_GACT_TM] = A_HEX("tm", .flags = RTAF_STAT),
	[TCA_GACT_PARMS] = A_HEX("parms"),
	[TCA_GACT_PROB] = A_HEX("prob"),
};
static const struct rta_set set_gact = RTA_SET(gact_rows);
static const struct rta_attr act_gact = A_NEST("gact", set_gact);
static const struct rta_field mirred_fields[] = {
	F_("index", tc_mirred, index, RTAT_U32),
	F_("capab", tc_mirred, capab, RTAT_U32, .flags = RTAF_HIDE0),
	F_("action", tc_mirred, action, RTAT_S32),
	F_("refcnt", tc_mirred, refcnt, RTAT_S32, .flags = RTAF_STAT),
	F_("bindcnt", tc_mirred, bindcnt, RTAT_S32, .flags = RTAF_STAT),
	F_("eaction", tc_mirred, eaction, RTAT_S32),
	F_("ifindex", tc_mirred, ifindex, RTAT_U32),
};
static const struct rta_struct rec_mirred = RTA_STRUCT(mirred_fields, sizeof(struct tc_mirred));
static const struct rta_attr mirred_rows[] = {
	[TCA_MIRRED_TM] = A_HEX("tm", .flags = RTAF_STAT),
	[TCA_MIRRED_PARMS] = A_REC("parms", rec_mirred),
};
static const struct rta_set set_mirred = RTA_SET(mirred_rows);
static const struct rta_attr act_mirred = A_NEST("mirred", set_mirred);
static const struct rta_variant action_kinds[] = {
	{"gact", 0, &act_gact},
	{"mirred", 0, &act_mirred},
	{NULL, 0, NULL},
};
static const struct rta_attr act_rows[] = {
	[TCA_ACT_KIND] = A_STR("kind", 0),
	[TCA_ACT_OPTIONS] = A_VARIANT("options", TCA_ACT_KIND, action_kinds),
	[TCA_ACT_INDEX] = A_U32("index"),
	[TCA_ACT_STATS] = A_HEX("stats", .flags = RTAF_STAT),
	[TCA_ACT_COOKIE] = A_HEX("cookie"),
	[TCA_ACT_FLAGS] = A_HEX("flags"),
	[TCA_ACT_HW_STATS] = A_HEX("hw_stats"),
	[TCA_ACT_USED_HW_STATS] = A_HEX("used_hw_stats", .flags = RTAF_STAT),
	[TCA_ACT_IN_HW_COUNT] = A_U32("in_hw_count", .flags = RTAF_STAT),
};
static const struct rta_set set_act = RTA_SET(act_rows);
static const struct rta_attr act = A_NEST("action", set_act);

/* One that stands by itself (net/sched/act_api.c tc_ctl_action()). */
static const struct rta_field hdr_action[] = {F_("family", tcamsg, tca_family, RTAT_U8)};
const struct rta_struct rta_hdr_action = RTA_STRUCT(hdr_action, sizeof(struct tcamsg));
static const struct rta_attr action_attrs[] = {
	[TCA_ACT_TAB] = A_LIST("actions", RTA_COUNT_1, act),
};
const struct rta_set rta_set_action = RTA_SET(action_attrs);

/* tc_flags_valid takes the rest only */
#define CLS_RO (TCA_CLS_FLAGS_IN_HW | TCA_CLS_FLAGS_NOT_IN_HW)

static const struct rta_field u32_key_head[] = {
	F_("flags", tc_u32_sel, flags, RTAT_U8), F_("offshift", tc_u32_sel, offshift, RTAT_U8),
	F_("nkeys", tc_u32_sel, nkeys, RTAT_U8), F_("offmask", tc_u32_sel, offmask, RTAT_BE16),
	F_("off", tc_u32_sel, off, RTAT_U16),    F_("offoff", tc_u32_sel, offoff, RTAT_U16),
	F_("hoff", tc_u32_sel, hoff, RTAT_U16),  F_("hmask", tc_u32_sel, hmask, RTAT_BE32),
};
static const struct rta_struct rec_u32_head = RTA_STRUCT(u32_key_head, sizeof(struct tc_u32_sel));
static const struct rta_field u32_mark[] = {
	F_("val", tc_u32_mark, val, RTAT_U32),
	F_("mask", tc_u32_mark, mask, RTAT_U32),
	F_("success", tc_u32_mark, success, RTAT_U32, .flags = RTAF_STAT),
};
static const struct rta_struct rec_u32_mark = RTA_STRUCT(u32_mark, sizeof(struct tc_u32_mark));
static const struct rta_attr u32_rows[] = {
	[TCA_U32_CLASSID] = A_U32("classid"),
	[TCA_U32_HASH] = A_U32("hash"),
	[TCA_U32_LINK] = A_U32("link"),
	[TCA_U32_DIVISOR] = A_U32("divisor"),
	/* the keys follow the structure; they are what is left of it and shown in hex as "tail" */
	[TCA_U32_SEL] = A_REC("sel", rec_u32_head),
	[TCA_U32_POLICE] = A_HEX("police"),
	[TCA_U32_ACT] = A_LIST("actions", RTA_COUNT_1, act),
	[TCA_U32_INDEV] = A_STR("indev", 15),
	[TCA_U32_PCNT] = A_HEX("pcnt", .flags = RTAF_STAT),
	[TCA_U32_MARK] = A_REC("mark", rec_u32_mark),
	[TCA_U32_FLAGS] = A_U32("flags", .ro = CLS_RO, .vol = CLS_RO),
};
static const struct rta_set set_u32 = RTA_SET(u32_rows);
static const struct rta_attr tc_u32 = A_NEST("u32", set_u32);

static const struct rta_attr matchall_rows[] = {
	[TCA_MATCHALL_CLASSID] = A_U32("classid"),
	[TCA_MATCHALL_ACT] = A_LIST("actions", RTA_COUNT_1, act),
	[TCA_MATCHALL_FLAGS] = A_U32("flags", .ro = CLS_RO, .vol = CLS_RO),
	[TCA_MATCHALL_PCNT] = A_HEX("pcnt", .flags = RTAF_STAT),
};
static const struct rta_set set_matchall = RTA_SET(matchall_rows);
static const struct rta_attr tc_matchall = A_NEST("matchall", set_matchall);

static const struct rta_attr fw_rows[] = {
	[TCA_FW_CLASSID] = A_U32("classid"), [TCA_FW_POLICE] = A_HEX("police"),
	[TCA_FW_INDEV] = A_STR("indev", 15), [TCA_FW_ACT] = A_LIST("actions", RTA_COUNT_1, act),
	[TCA_FW_MASK] = A_U32("mask"),
};
static const struct rta_set set_fw = RTA_SET(fw_rows);
static const struct rta_attr tc_fw = A_NEST("fw", set_fw);

static const struct rta_attr flower_rows[] = {
	[TCA_FLOWER_CLASSID] = A_U32("classid"),
	[TCA_FLOWER_INDEV] = A_STR("indev", 15),
	[TCA_FLOWER_ACT] = A_LIST("actions", RTA_COUNT_1, act),
	[TCA_FLOWER_KEY_ETH_DST] = A_LL("dst_mac"),
	[TCA_FLOWER_KEY_ETH_DST_MASK] = A_LL("dst_mac_mask"),
	[TCA_FLOWER_KEY_ETH_SRC] = A_LL("src_mac"),
	[TCA_FLOWER_KEY_ETH_SRC_MASK] = A_LL("src_mac_mask"),
	[TCA_FLOWER_KEY_ETH_TYPE] = A_BE16("eth_type"),
	[TCA_FLOWER_KEY_IP_PROTO] = A_U8("ip_proto"),
	[TCA_FLOWER_KEY_IPV4_SRC] = A_ADDR("src_ip"),
	[TCA_FLOWER_KEY_IPV4_SRC_MASK] = A_ADDR("src_ip_mask"),
	[TCA_FLOWER_KEY_IPV4_DST] = A_ADDR("dst_ip"),
	[TCA_FLOWER_KEY_IPV4_DST_MASK] = A_ADDR("dst_ip_mask"),
	[TCA_FLOWER_KEY_IPV6_SRC] = A_ADDR("src_ip6"),
	[TCA_FLOWER_KEY_IPV6_SRC_MASK] = A_ADDR("src_ip6_mask"),
	[TCA_FLOWER_KEY_IPV6_DST] = A_ADDR("dst_ip6"),
	[TCA_FLOWER_KEY_IPV6_DST_MASK] = A_ADDR("dst_ip6_mask"),
	[TCA_FLOWER_KEY_TCP_SRC] = A_BE16("tcp_src_port"),
	[TCA_FLOWER_KEY_TCP_DST] = A_BE16("tcp_dst_port"),
	[TCA_FLOWER_KEY_UDP_SRC] = A_BE16("udp_src_port"),
	[TCA_FLOWER_KEY_UDP_DST] = A_BE16("udp_dst_port"),
	[TCA_FLOWER_FLAGS] = A_U32("flags", .ro = CLS_RO, .vol = CLS_RO),
	[TCA_FLOWER_IN_HW_COUNT] = A_U32("in_hw_count", .flags = RTAF_STAT),
};
static const struct rta_set set_flower = RTA_SET(flower_rows);
static const struct rta_attr tc_flower = A_NEST("flower", set_flower);

static const struct rta_attr cls_bpf_rows[] = {
	[TCA_BPF_ACT] = A_LIST("actions", RTA_COUNT_1, act),
	[TCA_BPF_POLICE] = A_HEX("police"),
	[TCA_BPF_CLASSID] = A_U32("classid"),
	[TCA_BPF_OPS_LEN] = A_U16("ops_len"),
	[TCA_BPF_OPS] = A_HEX("ops"),
	[TCA_BPF_NAME] = A_STR("name", 0),
	[TCA_BPF_FLAGS] = A_U32("flags"),
	[TCA_BPF_FLAGS_GEN] = A_U32("flags_gen", .ro = CLS_RO, .vol = CLS_RO),
	[TCA_BPF_TAG] = A_HEX("tag", .flags = RTAF_STAT),
	[TCA_BPF_ID] = A_U32("id", .flags = RTAF_STAT),
};
static const struct rta_set set_cls_bpf = RTA_SET(cls_bpf_rows);
static const struct rta_attr tc_bpf = A_NEST("bpf", set_cls_bpf);

static const struct rta_variant tc_kinds[] = {
	{"tbf", 0, &tc_tbf},           {"htb", 0, &tc_htb},   {"pfifo", 0, &tc_fifo},
	{"bfifo", 0, &tc_fifo},        {"prio", 0, &tc_prio}, {"pfifo_fast", 0, &tc_prio},
	{"codel", 0, &tc_codel},       {"fq", 0, &tc_fq},     {"fq_codel", 0, &tc_fq_codel},
	{"u32", 0, &tc_u32},           {"fw", 0, &tc_fw},     {"flower", 0, &tc_flower},
	{"matchall", 0, &tc_matchall}, {"bpf", 0, &tc_bpf},   {NULL, 0, NULL},
};

static const struct rta_attr tc_attrs[] = {
	[TCA_KIND] = A_STR("kind", 15),
	[TCA_OPTIONS] = A_VARIANT("options", TCA_KIND, tc_kinds),
	[TCA_STATS] = A_HEX("stats", .flags = RTAF_STAT),
	[TCA_XSTATS] = A_HEX("xstats", .flags = RTAF_STAT),
	[TCA_RATE] = A_HEX("rate"),
	[TCA_FCNT] = A_HEX("fcnt", .flags = RTAF_STAT),
	[TCA_STATS2] = A_HEX("stats2", .flags = RTAF_STAT),
	[TCA_STAB] = A_HEX("stab"),
	[TCA_DUMP_INVISIBLE] = A_FLAG("dump_invisible", .flags = RTAF_STAT),
	[TCA_CHAIN] = A_U32("chain"),
	[TCA_HW_OFFLOAD] = A_U8("hw_offload", .flags = RTAF_RO | RTAF_HIDE0),
	[TCA_INGRESS_BLOCK] = A_U32("ingress_block"),
	[TCA_EGRESS_BLOCK] = A_U32("egress_block"),
	[TCA_DUMP_FLAGS] = A_HEX("dump_flags", .flags = RTAF_STAT),
	[TCA_EXT_WARN_MSG] = A_STR("warning", 0, .flags = RTAF_STAT),
};
const struct rta_set rta_set_tc = RTA_SET(tc_attrs);
