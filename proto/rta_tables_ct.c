/* Connection tracking: entries and expectations. Sources: include/uapi/linux/netfilter/
 * nfnetlink_conntrack.h, net/netfilter/nf_conntrack_netlink.c. */
#include "proto/rta_tables.h"

#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

static const struct rta_field hdr_ct[] = {
	F_("family", nfgenmsg, nfgen_family, RTAT_U8),
	F_("version", nfgenmsg, version, RTAT_U8),
	F_("res_id", nfgenmsg, res_id, RTAT_BE16),
};
const struct rta_struct rta_hdr_ct = RTA_STRUCT(hdr_ct, sizeof(struct nfgenmsg));

static const struct rta_attr tuple_ip[] = {
	[CTA_IP_V4_SRC] = A_ADDR("v4_src"),
	[CTA_IP_V4_DST] = A_ADDR("v4_dst"),
	[CTA_IP_V6_SRC] = A_ADDR("v6_src"),
	[CTA_IP_V6_DST] = A_ADDR("v6_dst"),
};
static const struct rta_set set_tuple_ip = RTA_SET(tuple_ip);

static const struct rta_attr tuple_proto[] = {
	[CTA_PROTO_NUM] = A_U8("num"),
	[CTA_PROTO_SRC_PORT] = A_BE16("src_port"),
	[CTA_PROTO_DST_PORT] = A_BE16("dst_port"),
	[CTA_PROTO_ICMP_ID] = A_BE16("icmp_id"),
	[CTA_PROTO_ICMP_TYPE] = A_U8("icmp_type"),
	[CTA_PROTO_ICMP_CODE] = A_U8("icmp_code"),
	[CTA_PROTO_ICMPV6_ID] = A_BE16("icmpv6_id"),
	[CTA_PROTO_ICMPV6_TYPE] = A_U8("icmpv6_type"),
	[CTA_PROTO_ICMPV6_CODE] = A_U8("icmpv6_code"),
};
static const struct rta_set set_tuple_proto = RTA_SET(tuple_proto);

static const struct rta_attr tuple[] = {
	[CTA_TUPLE_IP] = A_NEST("ip", set_tuple_ip),
	[CTA_TUPLE_PROTO] = A_NEST("proto", set_tuple_proto),
	[CTA_TUPLE_ZONE] = A_BE16("zone"),
};
static const struct rta_set set_tuple = RTA_SET(tuple);

static const struct rta_field tcp_flags[] = {
	F_("flags", nf_ct_tcp_flags, flags, RTAT_U8),
	F_("mask", nf_ct_tcp_flags, mask, RTAT_U8),
};
static const struct rta_struct rec_tcp_flags = RTA_STRUCT(tcp_flags, 2);

static const struct rta_attr info_tcp[] = {
	[CTA_PROTOINFO_TCP_STATE] = A_U8("state"),
	[CTA_PROTOINFO_TCP_WSCALE_ORIGINAL] = A_U8("wscale_original"),
	[CTA_PROTOINFO_TCP_WSCALE_REPLY] = A_U8("wscale_reply"),
	[CTA_PROTOINFO_TCP_FLAGS_ORIGINAL] = A_REC("flags_original", rec_tcp_flags),
	[CTA_PROTOINFO_TCP_FLAGS_REPLY] = A_REC("flags_reply", rec_tcp_flags),
};
static const struct rta_set set_info_tcp = RTA_SET(info_tcp);

static const struct rta_attr info_dccp[] = {
	[CTA_PROTOINFO_DCCP_STATE] = A_U8("state"),
	[CTA_PROTOINFO_DCCP_ROLE] = A_U8("role"),
	[CTA_PROTOINFO_DCCP_HANDSHAKE_SEQ] = A_BE64("handshake_seq"),
};
static const struct rta_set set_info_dccp = RTA_SET(info_dccp);

static const struct rta_attr info_sctp[] = {
	[CTA_PROTOINFO_SCTP_STATE] = A_U8("state"),
	[CTA_PROTOINFO_SCTP_VTAG_ORIGINAL] = A_BE32("vtag_original"),
	[CTA_PROTOINFO_SCTP_VTAG_REPLY] = A_BE32("vtag_reply"),
};
static const struct rta_set set_info_sctp = RTA_SET(info_sctp);

static const struct rta_attr protoinfo[] = {
	[CTA_PROTOINFO_TCP] = A_NEST("tcp", set_info_tcp),
	[CTA_PROTOINFO_DCCP] = A_NEST("dccp", set_info_dccp),
	[CTA_PROTOINFO_SCTP] = A_NEST("sctp", set_info_sctp),
};
static const struct rta_set set_protoinfo = RTA_SET(protoinfo);

static const struct rta_attr help[] = {
	[CTA_HELP_NAME] = A_STR("name", 15),
	[CTA_HELP_INFO] = A_HEX("info"),
};
static const struct rta_set set_help = RTA_SET(help);

static const struct rta_attr counters[] = {
	[CTA_COUNTERS_PACKETS] = A_BE64("packets"),
	[CTA_COUNTERS_BYTES] = A_BE64("bytes"),
};
static const struct rta_set set_counters = RTA_SET(counters);

static const struct rta_attr seqadj[] = {
	[CTA_SEQADJ_CORRECTION_POS] = A_BE32("correction_pos"),
	[CTA_SEQADJ_OFFSET_BEFORE] = A_BE32("offset_before"),
	[CTA_SEQADJ_OFFSET_AFTER] = A_BE32("offset_after"),
};
static const struct rta_set set_seqadj = RTA_SET(seqadj);

static const struct rta_attr secctx[] = {[CTA_SECCTX_NAME] = A_STR("name", 0)};
static const struct rta_set set_secctx = RTA_SET(secctx);

static const struct rta_attr tstamp[] = {
	[CTA_TIMESTAMP_START] = A_BE64("start"),
	[CTA_TIMESTAMP_STOP] = A_BE64("stop"),
};
static const struct rta_set set_tstamp = RTA_SET(tstamp);

static const struct rta_attr synproxy[] = {
	[CTA_SYNPROXY_ISN] = A_BE32("isn"),
	[CTA_SYNPROXY_ITS] = A_BE32("its"),
	[CTA_SYNPROXY_TSOFF] = A_BE32("tsoff"),
};
static const struct rta_set set_synproxy = RTA_SET(synproxy);

static const struct rta_attr ct_attrs[] = {
	[CTA_TUPLE_ORIG] = A_NEST("tuple_orig", set_tuple),
	[CTA_TUPLE_REPLY] = A_NEST("tuple_reply", set_tuple),
	[CTA_STATUS] = A_BE32("status"),
	[CTA_PROTOINFO] = A_NEST("protoinfo", set_protoinfo),
	[CTA_HELP] = A_NEST("help", set_help),
	[CTA_TIMEOUT] = A_BE32("timeout", .flags = RTAF_VOL),
	[CTA_MARK] = A_BE32("mark"),
	[CTA_COUNTERS_ORIG] = A_NEST("counters_orig", set_counters, .flags = RTAF_LIVE),
	[CTA_COUNTERS_REPLY] = A_NEST("counters_reply", set_counters, .flags = RTAF_LIVE),
	[CTA_USE] = A_BE32("use", .flags = RTAF_STAT),
	[CTA_ID] = A_BE32("id", .flags = RTAF_STAT),
	[CTA_TUPLE_MASTER] = A_NEST("tuple_master", set_tuple),
	[CTA_SEQ_ADJ_ORIG] = A_NEST("seq_adj_orig", set_seqadj),
	[CTA_SEQ_ADJ_REPLY] = A_NEST("seq_adj_reply", set_seqadj),
	[CTA_SECMARK] = A_BE32("secmark", .flags = RTAF_RO),
	[CTA_ZONE] = A_BE16("zone"),
	[CTA_SECCTX] = A_NEST("secctx", set_secctx, .flags = RTAF_RO),
	[CTA_TIMESTAMP] = A_NEST("timestamp", set_tstamp, .flags = RTAF_STAT),
	[CTA_LABELS] = A_HEX("labels"),
	[CTA_SYNPROXY] = A_NEST("synproxy", set_synproxy),
};
const struct rta_set rta_set_ct = RTA_SET(ct_attrs);

static const struct rta_attr expect_nat[] = {
	[CTA_EXPECT_NAT_DIR] = A_BE32("dir"),
	[CTA_EXPECT_NAT_TUPLE] = A_NEST("tuple", set_tuple),
};
static const struct rta_set set_expect_nat = RTA_SET(expect_nat);

static const struct rta_attr expect_attrs[] = {
	[CTA_EXPECT_MASTER] = A_NEST("master", set_tuple),
	[CTA_EXPECT_TUPLE] = A_NEST("tuple", set_tuple),
	[CTA_EXPECT_MASK] = A_NEST("mask", set_tuple),
	[CTA_EXPECT_TIMEOUT] = A_BE32("timeout", .flags = RTAF_VOL),
	[CTA_EXPECT_ID] = A_BE32("id", .flags = RTAF_STAT),
	[CTA_EXPECT_HELP_NAME] = A_STR("helper", 15),
	[CTA_EXPECT_ZONE] = A_BE16("zone"),
	[CTA_EXPECT_FLAGS] = A_BE32("flags"),
	[CTA_EXPECT_CLASS] = A_BE32("class"),
	[CTA_EXPECT_NAT] = A_NEST("nat", set_expect_nat),
	[CTA_EXPECT_FN] = A_STR("fn", 0),
};
const struct rta_set rta_set_expect = RTA_SET(expect_attrs);
