/* gateway.h: the gateways that a route or a next hop object names, and how the kernel is brought to take one that
 * nothing leads to.
 *
 * A gateway is looked up when a route is added, and never again: when what led to it goes, the route stays
 * (fib_check_nh_v4_gw() in net/ipv4/fib_semantics.c, ip6_validate_gw() in net/ipv6/route.c). To make such a route
 * again, a helper is there while it is added: a route of scope link to nothing but the gateway, in the table that
 * is looked into first. (The flag onlink would do too, but would be seen afterwards.)
 *
 * Owns:  lists of gateways, and the index of what leads somewhere.
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
	uint8_t family, addr[16];
	int oif;
	uint32_t table;
};

struct gateways {
	struct gateway *all;
	size_t n;
};
void gateways_free(struct gateways *g);
#define auto_gateways __attribute__((cleanup(gateways_free)))

/* Those of an RTM_NEWROUTE or RTM_NEWNEXTHOP message that the kernel looks up: without those on link, by flag or
 * because they are link-local addresses of IPv6; each once. Into an empty list, owned. */
int gateways_of(struct span msg, struct gateways *out, struct err *e);

/* The helper: an RTM_NEWROUTE message into an empty buf. */
int gateway_helper(const struct gateway *g, struct buf *out, struct err *e);

/* What leads to the gateways of a namespace when its routes are added: the routes without gateway and the addresses
 * of its rows. */
struct reach;

/* Of namespace row netns of the database; owned, or NULL. */
struct reach *reach_new(struct db *db, int64_t netns, struct err *e);
void reach_free(struct reach *r);

/* Will the kernel find it? (Rules are added after all routes.) */
bool reach_has(const struct reach *r, const struct gateway *g);
