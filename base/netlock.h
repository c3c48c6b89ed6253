/* netlock.h: nothing goes in or out of a network namespace, or through connections of one that others work in, while
 * the sockets there are taken or made by CRIU.
 *
 * Owns:  the nftables table NETLOCK_TABLE (family inet) of the namespace: hooks input and output drop everything but
 *        packets with CRIU's own mark. The table outlives the caller: who adds it sees to it that it is removed.
 *        For single connections a table whose name begins with NETLOCK_HELD; the kernel removes it with its holder.
 * Never: touches any other table.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define NETLOCK_TABLE "nsimg_lock"
#define NETLOCK_HELD  NETLOCK_TABLE "_"

/* Lock, unlock, ask. Each may be repeated: what is there already is no error, neither is what has gone. netns_fd is
 * borrowed. ERR_UNSUPPORTED: the kernel has no nftables. */
int netlock_add(int netns_fd, struct err *e);
int netlock_remove(int netns_fd, struct err *e);
int netlock_find(int netns_fd, bool *is_there, struct err *e);

/* A TCP connection, as getsockname(2) and getpeername(2) say. */
union netlock_end {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6; /* also an IPv4 address mapped to IPv6 */
};
struct netlock_conn {
	union netlock_end here, there;
};

/* Stop connections of a namespace, in both directions, until nft_release (base/nft.h) or the end of this process. Several
 * may hold the same. An owned handle, NULL on failure; as above. */
struct nft_ctx *netlock_hold(int netns_fd, const struct netlock_conn *conns, size_t n,
			     struct err *e);
