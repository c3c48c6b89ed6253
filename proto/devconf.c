#include "proto/devconf.h"

#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/nl.h"

/* How a file prints what is in the array. */
enum devconf_as {
	AS_INT,
	AS_UINT,
	AS_SECONDS, /* milliseconds in the array, proc_dointvec_jiffies() in the file */
};

struct devconf_row {
	const char *name;
	uint16_t at;
	enum devconf_as as;
};

/* By name, for bsearch. */
static const struct devconf_row rows4[] = {
	{"accept_local", IPV4_DEVCONF_ACCEPT_LOCAL, AS_INT},
	{"accept_redirects", IPV4_DEVCONF_ACCEPT_REDIRECTS, AS_INT},
	{"accept_source_route", IPV4_DEVCONF_ACCEPT_SOURCE_ROUTE, AS_INT},
	{"arp_accept", IPV4_DEVCONF_ARP_ACCEPT, AS_INT},
	{"arp_announce", IPV4_DEVCONF_ARP_ANNOUNCE, AS_INT},
	{"arp_evict_nocarrier", IPV4_DEVCONF_ARP_EVICT_NOCARRIER, AS_INT},
	{"arp_filter", IPV4_DEVCONF_ARPFILTER, AS_INT},
	{"arp_ignore", IPV4_DEVCONF_ARP_IGNORE, AS_INT},
	{"arp_notify", IPV4_DEVCONF_ARP_NOTIFY, AS_INT},
	{"bc_forwarding", IPV4_DEVCONF_BC_FORWARDING, AS_INT},
	{"bootp_relay", IPV4_DEVCONF_BOOTP_RELAY, AS_INT},
	{"disable_policy", IPV4_DEVCONF_NOPOLICY, AS_INT},
	{"disable_xfrm", IPV4_DEVCONF_NOXFRM, AS_INT},
	{"drop_gratuitous_arp", IPV4_DEVCONF_DROP_GRATUITOUS_ARP, AS_INT},
	{"drop_unicast_in_l2_multicast", IPV4_DEVCONF_DROP_UNICAST_IN_L2_MULTICAST, AS_INT},
	{"force_igmp_version", IPV4_DEVCONF_FORCE_IGMP_VERSION, AS_INT},
	{"forwarding", IPV4_DEVCONF_FORWARDING, AS_INT},
	{"igmpv2_unsolicited_report_interval", IPV4_DEVCONF_IGMPV2_UNSOLICITED_REPORT_INTERVAL,
	 AS_INT},
	{"igmpv3_unsolicited_report_interval", IPV4_DEVCONF_IGMPV3_UNSOLICITED_REPORT_INTERVAL,
	 AS_INT},
	{"ignore_routes_with_linkdown", IPV4_DEVCONF_IGNORE_ROUTES_WITH_LINKDOWN, AS_INT},
	{"log_martians", IPV4_DEVCONF_LOG_MARTIANS, AS_INT},
	{"mc_forwarding", IPV4_DEVCONF_MC_FORWARDING, AS_INT},
	{"medium_id", IPV4_DEVCONF_MEDIUM_ID, AS_INT},
	{"promote_secondaries", IPV4_DEVCONF_PROMOTE_SECONDARIES, AS_INT},
	{"proxy_arp", IPV4_DEVCONF_PROXY_ARP, AS_INT},
	{"proxy_arp_pvlan", IPV4_DEVCONF_PROXY_ARP_PVLAN, AS_INT},
	{"route_localnet", IPV4_DEVCONF_ROUTE_LOCALNET, AS_INT},
	{"rp_filter", IPV4_DEVCONF_RP_FILTER, AS_INT},
	{"secure_redirects", IPV4_DEVCONF_SECURE_REDIRECTS, AS_INT},
	{"send_redirects", IPV4_DEVCONF_SEND_REDIRECTS, AS_INT},
	{"shared_media", IPV4_DEVCONF_SHARED_MEDIA, AS_INT},
	{"src_valid_mark", IPV4_DEVCONF_SRC_VMARK, AS_INT},
	{"tag", IPV4_DEVCONF_TAG, AS_INT},
};

static const struct devconf_row rows6[] = {
	{"accept_dad", DEVCONF_ACCEPT_DAD, AS_INT},
	{"accept_ra", DEVCONF_ACCEPT_RA, AS_INT},
	{"accept_ra_defrtr", DEVCONF_ACCEPT_RA_DEFRTR, AS_INT},
	{"accept_ra_from_local", DEVCONF_ACCEPT_RA_FROM_LOCAL, AS_INT},
	{"accept_ra_min_hop_limit", DEVCONF_ACCEPT_RA_MIN_HOP_LIMIT, AS_INT},
	{"accept_ra_min_lft", DEVCONF_ACCEPT_RA_MIN_LFT, AS_INT},
	{"accept_ra_mtu", DEVCONF_ACCEPT_RA_MTU, AS_INT},
	{"accept_ra_pinfo", DEVCONF_ACCEPT_RA_PINFO, AS_INT},
	{"accept_ra_rt_info_max_plen", DEVCONF_ACCEPT_RA_RT_INFO_MAX_PLEN, AS_INT},
	{"accept_ra_rt_info_min_plen", DEVCONF_ACCEPT_RA_RT_INFO_MIN_PLEN, AS_INT},
	{"accept_ra_rtr_pref", DEVCONF_ACCEPT_RA_RTR_PREF, AS_INT},
	{"accept_redirects", DEVCONF_ACCEPT_REDIRECTS, AS_INT},
	{"accept_source_route", DEVCONF_ACCEPT_SOURCE_ROUTE, AS_INT},
	{"accept_untracked_na", DEVCONF_ACCEPT_UNTRACKED_NA, AS_INT},
	{"addr_gen_mode", DEVCONF_ADDR_GEN_MODE, AS_INT},
	{"autoconf", DEVCONF_AUTOCONF, AS_INT},
	{"dad_transmits", DEVCONF_DAD_TRANSMITS, AS_INT},
	{"disable_ipv6", DEVCONF_DISABLE_IPV6, AS_INT},
	{"disable_policy", DEVCONF_DISABLE_POLICY, AS_INT},
	{"drop_unicast_in_l2_multicast", DEVCONF_DROP_UNICAST_IN_L2_MULTICAST, AS_INT},
	{"drop_unsolicited_na", DEVCONF_DROP_UNSOLICITED_NA, AS_INT},
	{"enhanced_dad", DEVCONF_ENHANCED_DAD, AS_INT},
	{"force_mld_version", DEVCONF_FORCE_MLD_VERSION, AS_INT},
	{"force_tllao", DEVCONF_FORCE_TLLAO, AS_INT},
	{"forwarding", DEVCONF_FORWARDING, AS_INT},
	{"hop_limit", DEVCONF_HOPLIMIT, AS_INT},
	{"ignore_routes_with_linkdown", DEVCONF_IGNORE_ROUTES_WITH_LINKDOWN, AS_INT},
	{"ioam6_enabled", DEVCONF_IOAM6_ENABLED, AS_INT},
	{"ioam6_id", DEVCONF_IOAM6_ID, AS_INT},
	{"ioam6_id_wide", DEVCONF_IOAM6_ID_WIDE, AS_UINT},
	{"keep_addr_on_down", DEVCONF_KEEP_ADDR_ON_DOWN, AS_INT},
	{"max_addresses", DEVCONF_MAX_ADDRESSES, AS_INT},
	{"max_desync_factor", DEVCONF_MAX_DESYNC_FACTOR, AS_INT},
	{"mc_forwarding", DEVCONF_MC_FORWARDING, AS_INT},
	{"mldv1_unsolicited_report_interval", DEVCONF_MLDV1_UNSOLICITED_REPORT_INTERVAL, AS_INT},
	{"mldv2_unsolicited_report_interval", DEVCONF_MLDV2_UNSOLICITED_REPORT_INTERVAL, AS_INT},
	{"mtu", DEVCONF_MTU6, AS_INT},
	{"ndisc_evict_nocarrier", DEVCONF_NDISC_EVICT_NOCARRIER, AS_INT},
	{"ndisc_notify", DEVCONF_NDISC_NOTIFY, AS_INT},
	{"ndisc_tclass", DEVCONF_NDISC_TCLASS, AS_INT},
	{"optimistic_dad", DEVCONF_OPTIMISTIC_DAD, AS_INT},
	{"proxy_ndp", DEVCONF_PROXY_NDP, AS_INT},
	{"ra_defrtr_metric", DEVCONF_RA_DEFRTR_METRIC, AS_UINT},
	{"regen_max_retry", DEVCONF_REGEN_MAX_RETRY, AS_INT},
	{"router_probe_interval", DEVCONF_RTR_PROBE_INTERVAL, AS_SECONDS},
	{"router_solicitation_delay", DEVCONF_RTR_SOLICIT_DELAY, AS_SECONDS},
	{"router_solicitation_interval", DEVCONF_RTR_SOLICIT_INTERVAL, AS_SECONDS},
	{"router_solicitation_max_interval", DEVCONF_RTR_SOLICIT_MAX_INTERVAL, AS_SECONDS},
	{"router_solicitations", DEVCONF_RTR_SOLICITS, AS_INT},
	{"rpl_seg_enabled", DEVCONF_RPL_SEG_ENABLED, AS_INT},
	{"seg6_enabled", DEVCONF_SEG6_ENABLED, AS_INT},
	{"seg6_require_hmac", DEVCONF_SEG6_REQUIRE_HMAC, AS_INT},
	{"suppress_frag_ndisc", DEVCONF_SUPPRESS_FRAG_NDISC, AS_INT},
	{"temp_prefered_lft", DEVCONF_TEMP_PREFERED_LFT, AS_INT},
	{"temp_valid_lft", DEVCONF_TEMP_VALID_LFT, AS_INT},
	{"use_oif_addrs_only", DEVCONF_USE_OIF_ADDRS_ONLY, AS_INT},
	{"use_optimistic", DEVCONF_USE_OPTIMISTIC, AS_INT},
	{"use_tempaddr", DEVCONF_USE_TEMPADDR, AS_INT},
};

struct devconf devconf_of_link(const struct nlmsghdr *h)
{
	struct span spec =
		nl_attr_data(nl_attr_find(nl_attrs(h, sizeof(struct ifinfomsg)), IFLA_AF_SPEC));
	struct span v4 = nl_attr_data(nl_attr_find(spec, AF_INET));
	struct span v6 = nl_attr_data(nl_attr_find(spec, AF_INET6));

	return (struct devconf){nl_attr_data(nl_attr_find(v4, IFLA_INET_CONF)),
				nl_attr_data(nl_attr_find(v6, IFLA_INET6_CONF))};
}

static int by_name(const void *key, const void *row)
{
	return strcmp(key, ((const struct devconf_row *)row)->name);
}

int devconf_place(int family, const char *name)
{
	bool v6 = family == AF_INET6;
	const struct devconf_row *rows = v6 ? rows6 : rows4;
	const struct devconf_row *row = bsearch(
		name, rows, v6 ? ARRAY_SIZE(rows6) : ARRAY_SIZE(rows4), sizeof(*rows), by_name);

	return row ? (int)(row - rows) : -1;
}

bool devconf_at(const struct devconf *c, int family, int place, int64_t *value)
{
	bool v6 = family == AF_INET6;
	const struct devconf_row *row = v6 ? &rows6[place] : &rows4[place];
	struct span all = v6 ? c->v6 : c->v4;
	size_t off = 4 * (v6 ? row->at : row->at - 1u);
	int32_t v;

	if (off + 4 > all.len)
		return false;
	memcpy(&v, all.data + off, 4);
	*value = row->as == AS_UINT ? (int64_t)(uint32_t)v : row->as == AS_SECONDS ? v / 1000 : v;
	return true;
}

bool devconf_value(const struct devconf *c, int family, const char *name, int64_t *value)
{
	int place = devconf_place(family, name);

	return place >= 0 && devconf_at(c, family, place, value);
}

/* Neighbours. Numbers are u32 attributes, times u64 ones in milliseconds; a file prints them in the unit of its
 * handler: proc_dointvec_jiffies(), _userhz_jiffies() (1/100 s), _ms_jiffies(). */
static const struct neighconf_row {
	const char *name;
	uint16_t attr;
	uint16_t ms; /* of the file's unit; 0: a number */
} neigh_rows[] = {
	{"anycast_delay", NDTPA_ANYCAST_DELAY, 10},
	{"app_solicit", NDTPA_APP_PROBES, 0},
	{"base_reachable_time_ms", NDTPA_BASE_REACHABLE_TIME, 1},
	{"delay_first_probe_time", NDTPA_DELAY_PROBE_TIME, 1000},
	{"gc_stale_time", NDTPA_GC_STALETIME, 1000},
	{"interval_probe_time_ms", NDTPA_INTERVAL_PROBE_TIME_MS, 1},
	{"locktime", NDTPA_LOCKTIME, 10},
	{"mcast_resolicit", NDTPA_MCAST_REPROBES, 0},
	{"mcast_solicit", NDTPA_MCAST_PROBES, 0},
	{"proxy_delay", NDTPA_PROXY_DELAY, 10},
	{"proxy_qlen", NDTPA_PROXY_QLEN, 0},
	{"retrans_time_ms", NDTPA_RETRANS_TIME, 1},
	{"ucast_solicit", NDTPA_UCAST_PROBES, 0},
	{"unres_qlen_bytes", NDTPA_QUEUE_LENBYTES, 0},
};

uint32_t neighconf_ifindex(struct span parms)
{
	return nl_attr_u32(nl_attr_find(parms, NDTPA_IFINDEX));
}

int neighconf_place(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(neigh_rows); i++)
		if (!strcmp(neigh_rows[i].name, name))
			return (int)i;
	return -1;
}

bool neighconf_at(struct span parms, int place, int64_t *value)
{
	const struct neighconf_row *row = &neigh_rows[place];
	struct span v = nl_attr_data(nl_attr_find(parms, row->attr));
	uint64_t ms;
	int32_t number;

	if (v.len < (row->ms ? sizeof(ms) : sizeof(number)))
		return false;
	if (row->ms) {
		memcpy(&ms, v.data, sizeof(ms));
		*value = (int64_t)(ms / row->ms);
	} else {
		memcpy(&number, v.data, sizeof(number));
		*value = number;
	}
	return true;
}
