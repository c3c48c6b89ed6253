/* IPsec policies. Sources: include/uapi/linux/xfrm.h, net/xfrm/xfrm_user.c. Addresses are 16 bytes, of which IPv4 has the
 * first four. */
#include "proto/rta_tables.h"

#include <linux/xfrm.h>

static const struct rta_field policy[] = {
	F_("daddr", xfrm_userpolicy_info, sel.daddr, RTAT_HEX),
	F_("saddr", xfrm_userpolicy_info, sel.saddr, RTAT_HEX),
	F_("dport", xfrm_userpolicy_info, sel.dport, RTAT_BE16),
	F_("dport_mask", xfrm_userpolicy_info, sel.dport_mask, RTAT_BE16),
	F_("sport", xfrm_userpolicy_info, sel.sport, RTAT_BE16),
	F_("sport_mask", xfrm_userpolicy_info, sel.sport_mask, RTAT_BE16),
	F_("family", xfrm_userpolicy_info, sel.family, RTAT_U16),
	F_("prefixlen_d", xfrm_userpolicy_info, sel.prefixlen_d, RTAT_U8),
	F_("prefixlen_s", xfrm_userpolicy_info, sel.prefixlen_s, RTAT_U8),
	F_("proto", xfrm_userpolicy_info, sel.proto, RTAT_U8),
	F_("ifindex", xfrm_userpolicy_info, sel.ifindex, RTAT_S32),
	F_("user", xfrm_userpolicy_info, sel.user, RTAT_U32),
	F_("soft_byte_limit", xfrm_userpolicy_info, lft.soft_byte_limit, RTAT_U64),
	F_("hard_byte_limit", xfrm_userpolicy_info, lft.hard_byte_limit, RTAT_U64),
	F_("soft_packet_limit", xfrm_userpolicy_info, lft.soft_packet_limit, RTAT_U64),
	F_("hard_packet_limit", xfrm_userpolicy_info, lft.hard_packet_limit, RTAT_U64),
	F_("soft_add_expires", xfrm_userpolicy_info, lft.soft_add_expires_seconds, RTAT_U64),
	F_("hard_add_expires", xfrm_userpolicy_info, lft.hard_add_expires_seconds, RTAT_U64),
	F_("soft_use_expires", xfrm_userpolicy_info, lft.soft_use_expires_seconds, RTAT_U64),
	F_("hard_use_expires", xfrm_userpolicy_info, lft.hard_use_expires_seconds, RTAT_U64),
	F_("bytes", xfrm_userpolicy_info, curlft.bytes, RTAT_U64, .flags = RTAF_STAT),
	F_("packets", xfrm_userpolicy_info, curlft.packets, RTAT_U64, .flags = RTAF_STAT),
	F_("add_time", xfrm_userpolicy_info, curlft.add_time, RTAT_U64, .flags = RTAF_STAT),
	F_("use_time", xfrm_userpolicy_info, curlft.use_time, RTAT_U64, .flags = RTAF_STAT),
	F_("priority", xfrm_userpolicy_info, priority, RTAT_U32),
	F_("index", xfrm_userpolicy_info, index, RTAT_U32),
	F_("dir", xfrm_userpolicy_info, dir, RTAT_U8),
	F_("action", xfrm_userpolicy_info, action, RTAT_U8),
	F_("flags", xfrm_userpolicy_info, flags, RTAT_U8),
	F_("share", xfrm_userpolicy_info, share, RTAT_U8),
};
static const struct rta_struct rec_policy = RTA_STRUCT(policy, sizeof(struct xfrm_userpolicy_info));

static const struct rta_field tmpl[] = {
	F_("daddr", xfrm_user_tmpl, id.daddr, RTAT_HEX),
	F_("spi", xfrm_user_tmpl, id.spi, RTAT_BE32),
	F_("proto", xfrm_user_tmpl, id.proto, RTAT_U8),
	F_("family", xfrm_user_tmpl, family, RTAT_U16),
	F_("saddr", xfrm_user_tmpl, saddr, RTAT_HEX),
	F_("reqid", xfrm_user_tmpl, reqid, RTAT_U32),
	F_("mode", xfrm_user_tmpl, mode, RTAT_U8),
	F_("share", xfrm_user_tmpl, share, RTAT_U8),
	F_("optional", xfrm_user_tmpl, optional, RTAT_U8),
	F_("aalgos", xfrm_user_tmpl, aalgos, RTAT_U32),
	F_("ealgos", xfrm_user_tmpl, ealgos, RTAT_U32),
	F_("calgos", xfrm_user_tmpl, calgos, RTAT_U32),
};
static const struct rta_struct rec_tmpl = RTA_STRUCT(tmpl, sizeof(struct xfrm_user_tmpl));

static const struct rta_field mark[] = {
	F_("value", xfrm_mark, v, RTAT_U32),
	F_("mask", xfrm_mark, m, RTAT_U32),
};
static const struct rta_struct rec_mark = RTA_STRUCT(mark, sizeof(struct xfrm_mark));

static const struct rta_attr policy_attrs[] = {
	[XFRMA_POLICY] = A_REC("policy", rec_policy), [XFRMA_TMPL] = A_RECS("tmpl", rec_tmpl),
	[XFRMA_SEC_CTX] = A_HEX("sec_ctx"),           [XFRMA_POLICY_TYPE] = A_HEX("type"),
	[XFRMA_MARK] = A_REC("mark", rec_mark),       [XFRMA_IF_ID] = A_U32("if_id"),
};
const struct rta_set rta_set_xfrm_policy = RTA_SET(policy_attrs);
