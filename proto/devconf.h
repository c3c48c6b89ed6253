/* devconf.h: the sysctls of a device as rtnetlink tells them: a link message carries all values of
 * net/ipv4/conf/DEVICE and net/ipv6/conf/DEVICE, a neighbour table message those of net/ipv4/neigh/DEVICE and
 * net/ipv6/neigh/DEVICE, so two dumps replace over a hundred files a device.
 *
 * Owns:  which place of the kernel's arrays belongs to which file, and how the file prints it.
 * Never: reads /proc/sys. What it does not know (a file younger than these tables, stable_secret, which the
 *        kernel leaves out) has to be read there.
 * Facts: IFLA_AF_SPEC of RTM_NEWLINK: IFLA_INET_CONF is the array of IPV4_DEVCONF_* from 1 (inet_fill_link_af()
 *        in net/ipv4/devinet.c), IFLA_INET6_CONF that of DEVCONF_* from 0 (inet6_fill_ifla6_attrs() in
 *        net/ipv6/addrconf.c), times there in milliseconds.
 *        NDTA_PARMS of RTM_NEWNEIGHTBL: neightbl_fill_parms() in net/core/neighbour.c, times in milliseconds.
 */
#pragma once

#include <linux/netlink.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* The two arrays of a device, lent by its message; empty where a family is not there. */
struct devconf {
	struct span v4, v6;
};

/* Of an RTM_NEWLINK message (of a dump without a filter for a family). */
struct devconf devconf_of_link(const struct nlmsghdr *h);

/* The number that the file NAME ("rp_filter") of family AF_INET or AF_INET6 prints. False: it is not told. */
bool devconf_value(const struct devconf *c, int family, const char *name, int64_t *value);

/* The same in two parts, for whoever asks often: the place of a name, -1 when it is not told, and the value
 * there. */
int devconf_place(int family, const char *name);
bool devconf_at(const struct devconf *c, int family, int place, int64_t *value);

/* The device of an NDTA_PARMS, 0 for the values of new devices. */
uint32_t neighconf_ifindex(struct span parms);

/* The number that the file NAME ("ucast_solicit") of net/ipv4/neigh/DEVICE and net/ipv6/neigh/DEVICE prints, by
 * the place of the name (-1: not told) and the data of the device's NDTA_PARMS. Names with a second unit
 * (retrans_time beside retrans_time_ms) are not here. */
int neighconf_place(const char *name);
bool neighconf_at(struct span parms, int place, int64_t *value);
