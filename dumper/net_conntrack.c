/* Connection tracking. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "base/cleanup.h"
#include "dumper/net_scan.h"

static int ct_request(struct buf *req, unsigned subsys, unsigned msg, struct err *e)
{
	struct nfgenmsg g = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0};

	return nl_msg_begin(req, (uint16_t)(subsys << 8 | msg), 0, &g, sizeof(g), e);
}

/* A dump walks the hash table of the whole machine, so ask first whether this namespace has entries. */
static int ct_count(struct nl *nf, struct buf *req, uint32_t *n, struct err *e)
{
	auto_buf struct buf reply = {0};
	const struct nlattr *a;

	if (ct_request(req, NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET_STATS, e) ||
	    nl_get(nf, req, &reply, "count of connections", e))
		return -1;
	a = nl_attr_find(nl_attrs((const void *)reply.data, sizeof(struct nfgenmsg)),
			 CTA_STATS_GLOBAL_ENTRIES);
	*n = ntohl(nl_attr_u32(a));
	return 0;
}

int net_scan_conntrack(struct net_scan *s, struct err *e)
{
	struct nl *nf = net_socks_get(s->socks, NETLINK_NETFILTER, e);
	struct err e2 = ERR_INIT;
	uint32_t n = 0;

	if (!nf)
		return e->code == ERR_PERM ? -1 : 0; /* a kernel without netfilter */
	if (ct_count(nf, &s->req, &n, &e2)) {
		/* nfnetlink says EINVAL for a part that is not there */
		if (e2.saved_errno == EINVAL || e2.saved_errno == EOPNOTSUPP)
			return 0;
		*e = e2;
		return -1;
	}
	if (!n)
		return 0;
	if (ct_request(&s->req, NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET, e) ||
	    nl_dump_raw(nf, &s->req, &s->ct, "connections", e))
		return -1;
	if (ct_request(&s->req, NFNL_SUBSYS_CTNETLINK_EXP, IPCTNL_MSG_EXP_GET, e))
		return -1;
	return nl_dump_raw(nf, &s->req, &s->expect, "expected connections", e);
}
