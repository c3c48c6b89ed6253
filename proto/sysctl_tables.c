#include "proto/sysctl_tables.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

static const char *const conf4_names[] = {
	"accept_local",
	"accept_redirects",
	"accept_source_route",
	"arp_accept",
	"arp_announce",
	"arp_filter",
	"arp_ignore",
	"arp_notify",
	"bootp_relay",
	"disable_policy",
	"disable_xfrm",
	"force_igmp_version",
	"forwarding",
	"igmpv2_unsolicited_report_interval",
	"igmpv3_unsolicited_report_interval",
	"log_martians",
	"medium_id",
	"promote_secondaries",
	"proxy_arp",
	"proxy_arp_pvlan",
	"route_localnet",
	"rp_filter",
	"secure_redirects",
	"send_redirects",
	"shared_media",
	"src_valid_mark",
	"tag",
	"ignore_routes_with_linkdown",
	"drop_gratuitous_arp",
	"drop_unicast_in_l2_multicast",
};

static const char *const conf6_names[] = {
	"accept_dad",
	"accept_ra",
	"accept_ra_defrtr",
	"accept_ra_from_local",
	"accept_ra_min_hop_limit",
	"accept_ra_mtu",
	"accept_ra_pinfo",
	"accept_ra_rt_info_max_plen",
	"accept_ra_rtr_pref",
	"accept_redirects",
	"accept_source_route",
	"autoconf",
	"dad_transmits",
	"disable_ipv6",
	"drop_unicast_in_l2_multicast",
	"drop_unsolicited_na",
	"force_mld_version",
	"force_tllao",
	"forwarding",
	"hop_limit",
	"ignore_routes_with_linkdown",
	"keep_addr_on_down",
	"max_addresses",
	"max_desync_factor",
	"mldv1_unsolicited_report_interval",
	"mldv2_unsolicited_report_interval",
	"mtu",
	"ndisc_notify",
	"optimistic_dad",
	"proxy_ndp",
	"regen_max_retry",
	"router_probe_interval",
	"router_solicitation_delay",
	"router_solicitation_interval",
	"router_solicitations",
	"stable_secret",
	"suppress_frag_ndisc",
	"temp_prefered_lft",
	"temp_valid_lft",
	"use_oif_addrs_only",
	"use_optimistic",
	"use_tempaddr",
};

static const char *const unix_conf_names[] = {
	"max_dgram_qlen",
};

static const char *const ipv4_sysctl_names[] = {
	"ping_group_range",
};

static const struct {
	const char *folder;
	bool has_device;
	const char *const *names;
	size_t n;
	int text; /* the one position whose value is text, or -1 */
} lists[] = {
	[SYSCTL_CONF4] = {"net/ipv4/conf/", true, conf4_names, ARRAY_SIZE(conf4_names), -1},
	[SYSCTL_CONF6] = {"net/ipv6/conf/", true, conf6_names, ARRAY_SIZE(conf6_names), 35},
	[SYSCTL_UNIX] = {"net/unix/", false, unix_conf_names, ARRAY_SIZE(unix_conf_names), -1},
	[SYSCTL_IPV4] = {"net/ipv4/", false, ipv4_sysctl_names, ARRAY_SIZE(ipv4_sysctl_names), 0},
};
static_assert(ARRAY_SIZE(lists) == SYSCTL_LIST_COUNT, "one row per list");

static const struct sysctl_field fields[] = {
	{"net_device_entry", "conf4", SYSCTL_CONF4, NULL},
	{"net_device_entry", "conf6", SYSCTL_CONF6, NULL},
	{"netns_entry", "def_conf4", SYSCTL_CONF4, "default"},
	{"netns_entry", "all_conf4", SYSCTL_CONF4, "all"},
	{"netns_entry", "def_conf6", SYSCTL_CONF6, "default"},
	{"netns_entry", "all_conf6", SYSCTL_CONF6, "all"},
	{"netns_entry", "unix_conf", SYSCTL_UNIX, NULL},
	{"netns_entry", "ipv4_sysctl", SYSCTL_IPV4, NULL},
	{NULL, NULL, 0, NULL},
};

const struct sysctl_field *sysctl_fields(void)
{
	return fields;
}

size_t sysctl_count(enum sysctl_list list)
{
	return lists[list].n;
}

const char *sysctl_name(enum sysctl_list list, size_t pos)
{
	return pos < lists[list].n ? lists[list].names[pos] : NULL;
}

int sysctl_position(enum sysctl_list list, const char *name)
{
	for (size_t i = 0; i < lists[list].n; i++)
		if (strcmp(lists[list].names[i], name) == 0)
			return (int)i;
	return -1;
}

bool sysctl_is_text(enum sysctl_list list, size_t pos)
{
	return lists[list].text >= 0 && pos == (size_t)lists[list].text;
}

bool sysctl_path(enum sysctl_list list, size_t pos, const char *device, char *path, size_t size)
{
	const char *name = sysctl_name(list, pos);
	int n;

	if (!name || (lists[list].has_device && !device))
		return false;
	n = lists[list].has_device
		    ? snprintf(path, size, "%s%s/%s", lists[list].folder, device, name)
		    : snprintf(path, size, "%s%s", lists[list].folder, name);
	return n >= 0 && (size_t)n < size;
}

bool sysctl_of_path(const char *path, enum sysctl_list *list, size_t *pos, char *device,
		    size_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		size_t n = strlen(lists[i].folder), dev_len = 0;
		int at;

		if (strncmp(path, lists[i].folder, n) != 0)
			continue;
		if (lists[i].has_device)
			dev_len = strcspn(path + n, "/");
		if (dev_len >= size || (lists[i].has_device && path[n + dev_len] != '/'))
			continue;
		at = sysctl_position((enum sysctl_list)i,
				     path + n + dev_len + (lists[i].has_device ? 1 : 0));
		if (at < 0)
			continue;
		*list = (enum sysctl_list)i;
		*pos = (size_t)at;
		memcpy(device, path + n, dev_len);
		device[dev_len] = '\0';
		return true;
	}
	return false;
}
