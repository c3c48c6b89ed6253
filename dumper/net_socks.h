/* net_socks.h: the netlink sockets with which one namespace is read.
 *
 * Owns:  struct net_socks, whose sockets stay in the namespace where they were opened. A zeroed one is empty.
 * Thread: what opens a socket runs inside the namespace.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/nl.h"

enum { NET_PROTOCOLS = 5 };

struct net_socks {
	struct nl *all[NET_PROTOCOLS];
	bool is_absent[NET_PROTOCOLS]; /* the kernel does not have it */
	struct nl *watch;              /* hears of changes of what rtnetlink tells */
};

/* Open all, before they are needed, but for those of protocols that the kernel does not have. */
int net_socks_open(struct net_socks *k, struct err *e);
void net_socks_close(struct net_socks *k);

/* The one of a protocol: NETLINK_ROUTE, _SOCK_DIAG, _NETFILTER, _XFRM, _GENERIC; opened now unless it was. Lent, NULL with e set. */
struct nl *net_socks_get(struct net_socks *k, int protocol, struct err *e);

/* How many are open. */
size_t net_socks_count(const struct net_socks *k);

/* Did something change since the last call? */
bool net_socks_heard(const struct net_socks *k);
