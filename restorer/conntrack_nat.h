/* conntrack_nat.h: a tracked connection with translated addresses, as the kernel takes it.
 *
 * A dump has the tuples as they became and, in the status, which end was translated. A request cannot set those bits of
 * the status: it gives the tuples as they were before, and what the kernel shall make of them (ctnetlink_setup_nat() in
 * net/netfilter/nf_conntrack_netlink.c). Without that a flow would go on untranslated, since no rule looks at a
 * connection that is known.
 *
 * Never: talks to the kernel.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/* msg: an RTM-like message IPCTNL_MSG_CT_NEW as dumped; changed where its status tells of translation. */
int conntrack_nat(struct buf *msg, struct err *e);
