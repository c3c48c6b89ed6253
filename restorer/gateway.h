/* gateway.h: the next hops that a route or a next hop object names, and how the kernel is brought to take one that it
 * would not take as things are now.
 *
 * A gateway is looked up when a route is added, and never again: when what led to it goes, the route stays
 * (fib_check_nh_v4_gw() in net/ipv4/fib_semantics.c, ip6_validate_gw() in net/ipv6/route.c). To make such a route
 * again, a helper is there while it is added: a route of scope link to nothing but the gateway, in the table that
 * is looked into first. (The flag onlink would do too, but would be seen afterwards.)
 * A route also stays when its gateway becomes an address of the device, and a multipath route or a blackhole object when
 * one of its devices goes down. Such a route is added early, with helpers, before there are addresses; what is down is up meanwhile.
 *
 * Owns:  lists of next hops, and the index of what leads somewhere.
 * Never: talks to the kernel.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "imgdb/db.h"

struct gateway {
	uint8_t family, addr[16]; /* family 0: a device and no gateway */
	int oif;
	uint32_t table;
	bool onlink;
};

struct gateways {
	struct gateway *all;
	size_t n;
};
void gateways_free(struct gateways *g);
#define auto_gateways __attribute__((cleanup(gateways_free)))

/* The next hops of an RTM_NEWROUTE or RTM_NEWNEXTHOP message, each once; none of a route by a next hop object. Into an
 * empty list, owned. */
int gateways_of(struct span msg, struct gateways *out, struct err *e);

/* Does the kernel look for what leads to it? Not on link, by flag or because it is a link-local address of IPv6. */
bool gateway_is_looked_up(const struct gateway *g);

/* The helpers, RTM_NEWROUTE messages, into an empty buf: for all gateways of all that are looked up. early, for message
 * msg: also one that makes its preferred source an address (IPv4). */
int gateway_helpers(const struct gateways *all, struct span msg, bool early, struct buf *out,
		    struct err *e);

/* What leads to the gateways of a namespace when its routes are added: the routes without gateway and the addresses
 * of its rows. */
struct reach;

/* Of namespace row netns of the database; owned, or NULL. */
struct reach *reach_new(struct db *db, int64_t netns, struct err *e);
void reach_free(struct reach *r);

/* Will the kernel find it? (Rules are added after all routes.) */
bool reach_has(const struct reach *r, const struct gateway *g);

/* Is it an address of the namespace (IPv4) or of the device (IPv6) itself? */
bool reach_is_own(const struct reach *r, const struct gateway *g);
