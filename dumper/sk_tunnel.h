/* sk_tunnel.h: UDP ports that tunnel devices keep open by sockets of the kernel's own.
 *
 * Owns:  nothing.
 * Never: says that a socket belongs to a device; nobody does. But while a device has the port, no program can
 *        have it too.
 */
#pragma once

#include "base/err.h"
#include "base/ns.h"
#include "base/u64map.h"

/* Add the ports (host byte order) of the devices in ns to ports. */
int sk_tunnel_ports(const struct ns *ns, struct u64map *ports, struct err *e);
