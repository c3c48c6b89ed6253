/* net_conf.h: CRIU's positional lists of sysctls as messages.
 *
 * Owns:  the memory behind the lists of one message, released together.
 * Order: net_conf_list for each list, pack the message, net_conf_free.
 */
#pragma once

#include "base/err.h"
#include "criu/sysctl.pb-c.h"
#include "dumper/net_sysctl.h"
#include "proto/sysctl_tables.h"

enum { NET_CONF_LISTS_MAX = 6 };

struct net_conf {
	void *blocks[NET_CONF_LISTS_MAX];
	unsigned n_blocks;
	bool no_secrets; /* leave stable_secret out */
};

/* Make the list of a device, or of SYSCTLS_ALL, _DEFAULT, _NONE: *n entries, owned by c, whose texts are lent by
 * s or c. A sysctl that is not there gives an entry without a value. */
int net_conf_list(struct net_conf *c, const struct sysctls *s, enum sysctl_list list, int whose,
		  size_t *n, SysctlEntry ***out, struct err *e);
void net_conf_free(struct net_conf *c);
#define auto_net_conf __attribute__((cleanup(net_conf_free)))
