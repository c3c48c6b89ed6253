/* ping_range.h: net.ipv4.ping_group_range of a namespace that is made, open while a socket for pings is made in it.
 *
 * Never: changes that of a namespace that was given, where others may look at it.
 * Order: open, the socket is made, close. One at a time: holders work at the same time, and each would take for the
 *        value what another one set.
 */
#pragma once

#include "base/err.h"
#include "restorer/restore.h"
#include "restorer/sk_spec.h"

/* Does the kernel ask who makes it whether a group of his is in the range (ping_init_sock() in net/ipv4/ping.c)? */
bool is_ping_socket(const struct sk_file *f);

int ping_range_open(struct restore *r, const struct sk_file *f, struct err *e);
int ping_range_close(struct restore *r, const struct sk_file *f, struct err *e);
