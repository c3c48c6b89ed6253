/* sk_moment.h: sysctls of a namespace that decide about a socket when it is made, as the socket needs them for that moment.
 *
 * net.ipv4.ping_group_range: who may make a socket for pings (ping_init_sock() in net/ipv4/ping.c).
 * net.ipv6.bindv6only: IPV6_V6ONLY of a raw socket, which cannot be set later (do_ipv6_setsockopt() in
 * net/ipv6/ipv6_sockglue.c).
 *
 * Never: changes those of a namespace that was given, where others may look at them.
 * Order: sk_moment_begin, the socket is made, sk_moment_end. One at a time: holders work at the same time, and each would
 *        take for the value what another one set.
 */
#pragma once

#include "base/err.h"
#include "restorer/restore.h"
#include "restorer/sk_spec.h"

bool sk_has_moment(const struct sk_file *f);

int sk_moment_begin(struct restore *r, const struct sk_file *f, struct err *e);
int sk_moment_end(struct restore *r, const struct sk_file *f, struct err *e);
