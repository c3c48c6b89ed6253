/* Bridges and their ports, as far as they differ from other devices. */
#include "restorer/build_net.h"

#include <linux/if.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "proto/rta.h"

struct dev *net_next_port(const struct net *n, const struct dev *master, struct dev *after)
{
	struct dev *end = n->devs + n->n_devs;
	struct dev *d = after ? after + 1 : net_dev(n, master->netns, master->ifindex);

	while (!after && d > n->devs && d[-1].netns == master->netns)
		d--;
	for (; d < end && d->netns == master->netns; d++)
		if (d->master == master->ifindex)
			return d;
	return NULL;
}

static struct span address_of(const struct dev *d)
{
	return rta_get(buf_span(&d->record), RTA_PATH(IFLA_ADDRESS));
}

/* Has the bridge an entry for its own address, as one has whose address somebody set before it had that of a port? */
static int has_own_entry(struct net *n, const struct dev *d, struct err *e)
{
	auto_query struct query *q = query_new(
		n->r->db,
		"SELECT 1 FROM neighbour f JOIN device d ON d.id = :id WHERE f.netns = d.netns AND "
		"f.family = 7 AND f.ifindex = d.ifindex AND f.master = d.ifindex AND "
		"f.lladdr = d.address AND f.vlan IS NULL",
		e);

	return !q || query_bind_int(q, "id", d->id, e) ? -1 : query_next(q, e);
}

/* br_stp_recalculate_bridge_id() in net/bridge/br_stp_if.c */
int net_follows_ports(struct net *n, const struct dev *d, struct err *e)
{
	struct span least = {NULL, 0}, mac = address_of(d);
	int own;

	if (strcmp(d->kind, "bridge"))
		return 0;
	for (struct dev *port = NULL; (port = net_next_port(n, d, port));) {
		struct span a = address_of(port);

		if (!least.len || (a.len == least.len && memcmp(a.data, least.data, a.len) < 0))
			least = a;
	}
	if (!least.len || least.len != mac.len || memcmp(least.data, mac.data, mac.len))
		return 0;
	own = has_own_entry(n, d, e);
	return own < 0 ? -1 : !own;
}

/* Is it a port that somebody switched off? Without spanning tree the kernel lets a port that is up with carrier forward, once
 * and when its carrier comes (br_port_carrier_check() in net/bridge/br_if.c). */
static bool is_port_off(const struct net *n, const struct dev *d, const uint16_t *option)
{
	const uint16_t stp[] = {IFLA_LINKINFO, IFLA_INFO_DATA, IFLA_BR_STP_STATE, 0};
	const struct dev *master = d->master ? net_dev(n, d->netns, d->master) : NULL;
	struct span state = rta_get(buf_span(&d->record), option);

	return master && !strcmp(master->kind, "bridge") && master->flags & IFF_UP && state.len &&
	       state.data[0] == BR_STATE_DISABLED && d->flags & IFF_UP &&
	       d->operstate == OPERSTATE_UP && !rta_get_u32(buf_span(&master->record), stp, 0);
}

int net_port_state(struct net *n, struct dev *d, struct err *e)
{
	const uint16_t option[] = {IFLA_LINKINFO, IFLA_INFO_SLAVE_DATA, IFLA_BRPORT_STATE, 0};
	const struct ifinfomsg ifi = {.ifi_family = AF_BRIDGE, .ifi_index = d->ifindex};
	struct step *s;
	size_t port;

	if (!d->made || !is_port_off(n, d, option))
		return 0;
	s = net_dev_step(n, d, "port-state", "", e);
	/* RTM_NEWLINK would tell of a change of the device, with which a port that is off goes on */
	if (!s || nl_msg_begin(&s->msg, RTM_SETLINK, 0, &ifi, sizeof(ifi), e) ||
	    nl_nest_begin(&s->msg, IFLA_PROTINFO, &port, e) ||
	    nl_put_u8(&s->msg, IFLA_BRPORT_STATE, BR_STATE_DISABLED, e) ||
	    nl_nest_end(&s->msg, port, e))
		return -1;
	((struct link_data *)s->data)->wait = WAIT_UP;
	return plan_after(n->p, s, MS_ROUTES, d->netns, e) ||
			       plan_before(n->p, s, MS_READY, d->netns, e)
		       ? -1
		       : 0;
}

/* A new bridge has carrier, until somebody sets its address or has a port (br_port_state_selection() in
 * net/bridge/br_stp.c); nothing gives it back. */
int net_name_lost_carrier(struct net *n, const struct dev *d, struct err *e)
{
	char object[300];

	if (strcmp(d->kind, "bridge") || d->operstate != OPERSTATE_UNKNOWN ||
	    net_next_port(n, d, NULL))
		return 0;
	snprintf(object, sizeof(object), "%s %s", d->ns->name, d->name);
	return plan_leave_out(n->p, e, object,
			      "its carrier, which a bridge without ports has until its address is "
			      "set: it is DOWN instead of UNKNOWN");
}
