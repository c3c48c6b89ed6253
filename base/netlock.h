/* netlock.h: a network namespace in which nothing goes in or out, while the sockets in it are taken or made by CRIU.
 *
 * Owns:  the nftables table NETLOCK_TABLE (family inet) of the namespace: hooks input and output drop everything but
 *        packets with CRIU's own mark. The table outlives the caller: who adds it sees to it that it is removed.
 * Never: touches any other table.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

#define NETLOCK_TABLE "nsimg_lock"

/* Lock, unlock, ask. Each may be repeated: what is there already is no error, neither is what has gone. netns_fd is
 * borrowed. ERR_UNSUPPORTED: the kernel has no nftables. */
int netlock_add(int netns_fd, struct err *e);
int netlock_remove(int netns_fd, struct err *e);
int netlock_find(int netns_fd, bool *is_there, struct err *e);
