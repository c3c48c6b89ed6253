/* net_iptables.h: iptables-save, which is the only reader of the tables of iptables-legacy.
 *
 * Never: uses a shell. The program is one of fixed path, and gets an environment of our own.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

/* Append the text of iptables-{legacy,nft}-save (or ip6tables-), run in the network namespace behind netns_fd,
 * to out; table NULL: all tables. Forks: call it from the main thread. ERR_NOTFOUND: no such program;
 * ERR_INTERRUPTED: it did not end in time and was killed. */
int iptables_save(int netns_fd, bool v6, bool nft, const char *table, struct buf *out,
		  struct err *e);
