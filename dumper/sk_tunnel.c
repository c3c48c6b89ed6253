#include "dumper/sk_tunnel.h"

#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/nl.h"

/* Kinds that open a UDP port, and the attribute that has it, in network byte order. (WireGuard tells its port
 * to generic netlink only.) */
static const struct {
	const char *kind;
	uint16_t attr;
} tunnels[] = {
	{"vxlan", IFLA_VXLAN_PORT},
	{"geneve", IFLA_GENEVE_PORT},
	{"bareudp", IFLA_BAREUDP_PORT},
};

static bool is_kind(const struct nlattr *kind, const char *name)
{
	struct span s;

	if (!kind)
		return false;
	s = nl_attr_data(kind);
	return s.len >= strlen(name) && strnlen((const char *)s.data, s.len) == strlen(name) &&
	       memcmp(s.data, name, strlen(name)) == 0;
}

static int link_port(const struct nlmsghdr *h, void *arg, struct err *e)
{
	const struct nlattr *info =
		nl_attr_find(nl_attrs(h, sizeof(struct ifinfomsg)), IFLA_LINKINFO);
	const struct nlattr *kind, *data, *port;
	uint16_t port_be;

	if (!info)
		return 0;
	kind = nl_attr_find(nl_attr_data(info), IFLA_INFO_KIND);
	data = nl_attr_find(nl_attr_data(info), IFLA_INFO_DATA);
	for (size_t i = 0; data && i < ARRAY_SIZE(tunnels); i++) {
		if (!is_kind(kind, tunnels[i].kind))
			continue;
		port = nl_attr_find(nl_attr_data(data), tunnels[i].attr);
		if (!port || nl_attr_data(port).len < sizeof(port_be))
			return 0;
		memcpy(&port_be, nl_attr_data(port).data, sizeof(port_be));
		return u64map_put(arg, ntohs(port_be), 1, e);
	}
	return 0;
}

int sk_tunnel_ports(const struct ns *ns, struct u64map *ports, struct err *e)
{
	const struct ifinfomsg ifi = {.ifi_family = AF_UNSPEC};
	struct nl *nl = nl_open_in(ns, NETLINK_ROUTE, e);
	auto_buf struct buf req = {0};
	int rc = nl && !nl_msg_begin(&req, RTM_GETLINK, 0, &ifi, sizeof(ifi), e)
			 ? nl_dump_each(nl, &req, link_port, ports, "tunnel devices", e)
			 : -1;

	nl_free(nl);
	return rc;
}
