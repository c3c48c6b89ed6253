/* net.h: the state of one network namespace -> its images.
 *
 * Never: decides who is dumped. For an external namespace only netns-N.img is written, with ext_key.
 */
#pragma once

#include "dumper/dump.h"

/* Write netns-N, netdev-N, ifaddr-N, route-N, route6-N, rule-N, firewall, conntrack, nsimg-rtnl-N and
 * nsimg-sysctl-N of n into d->dirfd. What cannot be kept is noted with dump_lose. */
int net_dump(struct dump *d, struct dump_netns *n, struct err *e);

void net_cache_free(struct net_cache *c);
