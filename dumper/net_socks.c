#include "dumper/net_socks.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "base/cleanup.h"

static const int protocols[NET_PROTOCOLS] = {NETLINK_ROUTE, NETLINK_SOCK_DIAG, NETLINK_NETFILTER,
					     NETLINK_XFRM, NETLINK_GENERIC};

static struct nl *watch_open(struct err *e)
{
	/* Neighbours are left out: they change all the time. */
	static const int groups[] = {
		RTNLGRP_LINK,       RTNLGRP_TC,        RTNLGRP_IPV4_IFADDR,
		RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_IFADDR,
		RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV6_RULE, RTNLGRP_NEXTHOP,
	};
	uint32_t mask = 0;

	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		mask |= 1u << (groups[i] - 1);
	return nl_open_groups(NETLINK_ROUTE, mask, e);
}

int net_socks_open(struct net_socks *k, struct err *e)
{
	k->watch = watch_open(e);
	if (!k->watch)
		return -1;
	for (size_t i = 0; i < NET_PROTOCOLS; i++) {
		struct err why = ERR_INIT;

		if (!net_socks_get(k, protocols[i], &why) && !k->is_absent[i]) {
			*e = why;
			return -1;
		}
	}
	return 0;
}

void net_socks_close(struct net_socks *k)
{
	for (size_t i = 0; i < NET_PROTOCOLS; i++)
		nl_free(k->all[i]);
	nl_free(k->watch);
	*k = (struct net_socks){0};
}

struct nl *net_socks_get(struct net_socks *k, int protocol, struct err *e)
{
	size_t i = 0;

	while (protocols[i] != protocol)
		i++;
	if (k->is_absent[i])
		err_set(e, ERR_UNSUPPORTED, "netlink protocol %d is not in this kernel", protocol);
	else if (!k->all[i] && !(k->all[i] = nl_open(protocol, e)))
		k->is_absent[i] = e->code == ERR_UNSUPPORTED;
	return k->all[i];
}

size_t net_socks_count(const struct net_socks *k)
{
	size_t n = k->watch != NULL;

	for (size_t i = 0; i < NET_PROTOCOLS; i++)
		n += k->all[i] != NULL;
	return n;
}

bool net_socks_heard(const struct net_socks *k)
{
	bool heard = false;
	char byte;

	/* ENOBUFS: so much that the queue was too short */
	while (recv(nl_fd(k->watch), &byte, 1, MSG_DONTWAIT | MSG_TRUNC) >= 0 || errno == ENOBUFS)
		heard = true;
	return heard;
}
