/* Devices that are made over others. */
#include "restorer/build_net.h"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "proto/rta.h"

/* What a vxlan device puts around a packet, over IPv4 and IPv6 (vxlan_headroom() in drivers/net/vxlan/vxlan_core.c). */
enum { VXLAN_HEADROOM_V4 = 50, VXLAN_HEADROOM_V6 = 70 };

/* Of these the kernel tells no device below (they lack ndo_get_iflink): IFLA_LINK is their own index where it has to be told.
 * Of the others it is what it says, also when the device below has the same index in another namespace. */
static bool tells_no_lower(const struct dev *d)
{
	static const char *const kinds[] = {"vxlan", "geneve", "wireguard", "gtp", "bareudp"};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(kinds[i], d->kind))
			return true;
	return false;
}

bool net_sends_elsewhere(const struct net *n, const struct dev *d)
{
	const struct restore_netns *ns = restore_netns_find(n->r, d->peer_netns);

	/* it says so by the id of that namespace alone (rtnl_fill_link_netnsid() in net/core/rtnetlink.c) */
	return d->has_netnsid && d->link == d->ifindex && tells_no_lower(d) && ns && !ns->external;
}

/* A vxlan device names the one below in its attributes alone. */
static struct dev *vxlan_lower(const struct net *n, const struct dev *d)
{
	const uint16_t path[] = {IFLA_LINKINFO, IFLA_INFO_DATA, IFLA_VXLAN_LINK, 0};

	if (d->has_netnsid && !net_sends_elsewhere(n, d))
		return NULL;
	return net_dev(n, d->has_netnsid ? d->peer_netns : d->netns,
		       (int)rta_get_u32(buf_span(&d->record), path, 0));
}

struct dev *net_find_lower(const struct net *n, const struct dev *d)
{
	if (net_how_of(d) != HOW_REPLAY)
		return NULL;
	if (!strcmp(d->kind, "vxlan"))
		return vxlan_lower(n, d);
	return d->link && (d->link != d->ifindex || d->has_netnsid) && !net_sends_elsewhere(n, d)
		       ? net_find_peer(n, d)
		       : NULL;
}

static uint32_t mtu_of(const struct dev *d)
{
	return rta_get_u32(buf_span(&d->record), RTA_PATH(IFLA_MTU), 0);
}

static uint32_t headroom_of(const struct dev *d)
{
	static const uint16_t v6[] = {IFLA_VXLAN_GROUP6, IFLA_VXLAN_LOCAL6};

	for (size_t i = 0; i < ARRAY_SIZE(v6); i++)
		if (rta_get(buf_span(&d->record), RTA_PATH(IFLA_LINKINFO, IFLA_INFO_DATA, v6[i]))
			    .len)
			return VXLAN_HEADROOM_V6;
	return VXLAN_HEADROOM_V4;
}

/* A vxlan device takes no MTU that does not fit into that of the device below, and keeps its own when that gets less
 * afterwards: so that is made with more, and with it what that is made over. */
int net_raise_mtu(struct net *n, struct dev *d, struct err *e)
{
	uint32_t need = mtu_of(d) + headroom_of(d);
	struct dev *lower = strcmp(d->kind, "vxlan") ? NULL : net_find_lower(n, d);

	(void)e;
	for (size_t i = 0; lower && i < n->n_devs && mtu_of(lower) < need; i++) {
		if (lower->first_mtu < need)
			lower->first_mtu = need;
		lower = net_find_lower(n, lower);
	}
	return 0;
}

int net_need_lower(struct net *n, struct dev *d, struct err *e)
{
	struct dev *lower = net_find_lower(n, d);
	struct link_data *ld = d->made ? d->made->data : NULL;

	if (!lower || !d->made)
		return 0;
	ld->lower = strdup(lower->name);
	ld->peer_ns = strdup(lower->ns->name);
	if (!ld->lower || !ld->peer_ns)
		return err_set(e, ERR_NOMEM, "device");
	return lower->made && lower->made != d->made ? plan_need(n->p, d->made, lower->made, e) : 0;
}

/* A device takes limits from the one below when it is made (netif_inherit_tso_max()), and a bridge has those of its ports.
 * Where the one below has to be larger for it, ports would take that away again (br_mtu_auto_adjust()). */
int net_need_ports(struct net *n, struct dev *d, struct err *e)
{
	struct dev *lower = d->made ? net_find_lower(n, d) : NULL, *port = NULL;

	while (lower && !lower->first_mtu && (port = net_next_port(n, lower, port)))
		if (port->master_step && port->made != d->made &&
		    plan_need(n->p, d->made, port->master_step, e))
			return -1;
	return 0;
}

/* d got more for the devices over it: back to its own when they are made. */
int net_lower_mtu(struct net *n, struct dev *d, struct err *e)
{
	const struct ifinfomsg ifi = {.ifi_index = d->ifindex};
	char more[40];

	if (!d->first_mtu || !d->made)
		return 0;
	snprintf(more, sizeof(more), " mtu %u", mtu_of(d));
	d->mtu = net_dev_step(n, d, "set", more, e);
	if (!d->mtu || nl_msg_begin(&d->mtu->msg, RTM_NEWLINK, 0, &ifi, sizeof(ifi), e) ||
	    rta_put_u32(&d->mtu->msg, RTA_PATH(IFLA_MTU), mtu_of(d), e))
		return -1;
	for (size_t i = 0; i < n->n_devs; i++)
		if (n->devs[i].made && net_find_lower(n, &n->devs[i]) == d &&
		    plan_need(n->p, d->mtu, n->devs[i].made, e))
			return -1;
	return plan_before(n->p, d->mtu, MS_LINKS, d->netns, e);
}

/* The kernel refuses to set a device up while the one below is down. */
int net_need_lower_up(struct net *n, struct dev *d, struct err *e)
{
	struct dev *lower = net_find_lower(n, d);
	struct step *up = d->up ? d->up : d->up_once;

	return up && lower && lower->up ? plan_need(n->p, up, lower->up, e) : 0;
}
