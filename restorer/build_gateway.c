/* Which routes and next hop objects the kernel takes only with help (gateway.h). */
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "proto/rta.h"
#include "restorer/build_net.h"

const char *net_name_of(int ifindex, void *arg)
{
	const struct net_namer *w = arg;
	const struct dev *d = net_dev(w->n, w->netns, ifindex);

	return d ? d->name : NULL;
}

static const struct reach *reach_of(struct net *n, int64_t netns, struct err *e)
{
	if (n->reach && n->reach_netns == netns)
		return n->reach;
	reach_free(n->reach);
	n->reach_netns = netns;
	n->reach = reach_new(n->r->db, netns, e);
	return n->reach;
}

/* A device of the image that is down, or NULL. */
static const struct dev *down_device(const struct net *n, int64_t netns, const struct gateway *g)
{
	const struct dev *d = net_dev(n, netns, g->oif);

	return d && !(d->flags & IFF_UP) ? d : NULL;
}

/* What print_ip shows: a line for each helper, then one for each device that is up meanwhile. */
static int help_text(struct net *n, const struct step *s, const struct gateways *all, bool early,
		     struct buf *out, struct err *e)
{
	struct net_namer w = {n, s->netns};
	auto_buf struct buf helpers = {0};
	const struct nlmsghdr *h;
	size_t off = 0;

	for (size_t i = 0; early && i < all->n; i++) {
		const struct dev *d = down_device(n, s->netns, &all->all[i]);

		if (d && buf_printf(out, e, "d %s\n", d->name))
			return -1;
	}
	if (gateway_helpers(all, buf_span(&s->msg), early, &helpers, e))
		return -1;
	while ((h = nl_msg_next(buf_span(&helpers), &off))) {
		const struct rtmsg *rtm = NLMSG_DATA(h);

		if (buf_printf(out, e, "%d ", rtm->rtm_family == AF_INET6 ? 6 : 4) ||
		    rta_print((struct span){(const uint8_t *)h, h->nlmsg_len}, net_name_of, &w, out,
			      e) ||
		    buf_add_str(out, "\n", e))
			return -1;
	}
	return buf_reserve(out, 1, e);
}

static int help(struct net *n, struct step *s, const struct gateways *all, bool early,
		struct err *e)
{
	auto_buf struct buf text = {0};
	char kind[32];

	snprintf(kind, sizeof(kind), "%s-%s", s->kind->name, early ? "early" : "helped");
	if (help_text(n, s, all, early, &text, e))
		return -1;
	s->kind = step_kind_find(kind);
	s->data = take_ptr(text.data);
	s->data_free = free;
	return 0;
}

static bool is_gateway(const struct gateways *all, struct span addr)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->all[i].family == AF_INET6 && addr.len == 16 &&
		    !memcmp(all->all[i].addr, addr.data, addr.len))
			return true;
	return false;
}

/* A preferred source of IPv6 must be an address of the device, and stay it (fib6_remove_prefsrc() in
 * net/ipv6/route.c): that one comes before the route, its gateways after. */
static int order_addresses(struct net *n, struct step *s, const struct gateways *all, struct err *e)
{
	struct span src = rta_get(buf_span(&s->msg), RTA_PATH(RTA_PREFSRC));

	for (size_t i = 0; src.len == 16 && i < plan_n_nodes(n->p); i++) {
		struct step *a = plan_node(n->p, (uint32_t)i);
		struct span addr;

		if (!a->kind || a->netns != s->netns || strcmp(a->kind->name, "address") != 0)
			continue;
		addr = rta_get(buf_span(&a->msg), RTA_PATH(IFA_LOCAL));
		if (!addr.len)
			addr = rta_get(buf_span(&a->msg), RTA_PATH(IFA_ADDRESS));
		if (addr.len == src.len && !memcmp(addr.data, src.data, src.len)
			    ? plan_need(n->p, s, a, e)
			    : is_gateway(all, addr) && plan_need(n->p, a, s, e))
			return -1;
	}
	return 0;
}

int net_help(struct net *n, struct step *s, enum milestone *after, enum milestone *before,
	     struct err *e)
{
	auto_gateways struct gateways all = {0};
	bool lost = false, early = false, outlives; /* a device that goes down */
	const struct reach *reach;

	if (gateways_of(buf_span(&s->msg), &all, e))
		return -1;
	reach = all.n ? reach_of(n, s->netns, e) : NULL;
	if (!reach)
		return all.n ? -1 : 0;
	outlives = all.n > 1 || !strcmp(s->kind->name, "nexthop");
	for (size_t i = 0; i < all.n; i++) {
		const struct gateway *g = &all.all[i];

		early = early || (g->family && reach_is_own(reach, g)) ||
			(outlives && down_device(n, s->netns, g));
		lost = lost || (gateway_is_looked_up(g) && !reach_has(reach, g));
	}
	if (early) {
		*after = MS_UP;
		*before = MS_ADDED;
		if (order_addresses(n, s, &all, e))
			return -1;
	}
	return early || lost ? help(n, s, &all, early, e) : 0;
}
