/* net.h: the state of one network namespace -> its images.
 *
 * Order: net_read, then net_write_held.
 * Never: decides who is dumped. For an external namespace only netns-N.img is written, with ext_key.
 */
#pragma once

#include "dumper/dump.h"

/* Read n namespaces, some at the same time, when tasks stand still. What cannot be kept is noted with dump_lose. */
int net_read(struct dump *d, struct dump_netns *const *all, size_t n, struct err *e);

/* Namespaces that those which were read have ids for, and that only have a name (ip-netns(8)), become external ones of the
 * dump. Their images are written. */
int net_find_outside(struct dump *d, struct err *e);

/* Write netns-N, netdev-N, ifaddr-N, route-N, route6-N, rule-N, firewall, conntrack, nsimg-rtnl-N and
 * nsimg-sysctl-N of all namespaces that were read into d->dirfd. What is read beyond 64 MiB is written at once. */
int net_write_held(struct dump *d, struct err *e);

void net_held_free(struct net_held *h);
void net_cache_free(struct net_cache *c);
