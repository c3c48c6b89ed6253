/* IPsec: policies are kept, states named. */
#include <linux/genetlink.h>
#include <linux/xfrm.h>
#include <string.h>

#include "base/cleanup.h"
#include "dumper/net_scan.h"
#include "proto/rta.h"

static int xfrm_info(struct nl *nl, uint16_t type, uint16_t attr, struct buf *req,
		     struct buf *reply, struct span *info, struct err *e)
{
	uint32_t flags = 0;
	const struct nlattr *a;

	*info = (struct span){NULL, 0};
	if (nl_msg_begin(req, type, 0, &flags, sizeof(flags), e) ||
	    nl_get(nl, req, reply, "IPsec counts", e))
		return -1;
	a = nl_attr_find(nl_attrs((const void *)reply->data, sizeof(flags)), attr);
	if (a)
		*info = nl_attr_data(a);
	return 0;
}

/* Those of sockets (IP_XFRM_POLICY) are theirs. */
static bool is_of_socket(const struct xfrm_userpolicy_info *p)
{
	return (p->index & 7) >= XFRM_POLICY_MAX;
}

static int policy_add(struct net_scan *s, const struct nlmsghdr *h, struct err *e)
{
	struct genlmsghdr none = {0};
	struct xfrm_userpolicy_info p;
	struct span attrs;

	if (h->nlmsg_type != XFRM_MSG_NEWPOLICY || h->nlmsg_len < NLMSG_HDRLEN + sizeof(p))
		return err_set(e, ERR_FORMAT, "an IPsec policy of netlink type %u", h->nlmsg_type);
	memcpy(&p, (const uint8_t *)h + NLMSG_HDRLEN, sizeof(p));
	attrs = nl_attrs(h, sizeof(p));
	if (is_of_socket(&p))
		return 0;
	if (nl_msg_begin(&s->req, RTA_MSG_XFRM_POLICY, 0, &none, sizeof(none), e) ||
	    nl_put(&s->req, XFRMA_POLICY, &p, sizeof(p), e) ||
	    buf_add(&s->req, attrs.data, attrs.len, e))
		return -1;
	return net_req_keep(s, e);
}

static int policies_scan(struct net_scan *s, struct nl *nl, struct err *e)
{
	struct xfrm_userpolicy_id any = {0};
	auto_buf struct buf all = {0};
	const struct nlmsghdr *h;
	size_t off = 0;

	if (nl_msg_begin(&s->req, XFRM_MSG_GETPOLICY, 0, &any, sizeof(any), e) ||
	    nl_dump_raw(nl, &s->req, &all, "IPsec policies", e))
		return -1;
	while ((h = nl_msg_next(buf_span(&all), &off)))
		if (policy_add(s, h, e))
			return -1;
	return 0;
}

int net_scan_xfrm(struct net_scan *s, struct err *e)
{
	struct err none = ERR_INIT;
	struct nl *nl = net_socks_get(s->socks, NETLINK_XFRM, &none);
	auto_buf struct buf reply = {0};
	struct xfrmu_spdinfo spd = {0};
	struct span info;
	uint32_t states = 0;

	if (!nl)
		return 0; /* a kernel without IPsec */
	if (xfrm_info(nl, XFRM_MSG_GETSADINFO, XFRMA_SAD_CNT, &s->req, &reply, &info, e))
		return -1;
	if (info.len >= sizeof(states))
		memcpy(&states, info.data, sizeof(states));
	if (xfrm_info(nl, XFRM_MSG_GETSPDINFO, XFRMA_SPD_INFO, &s->req, &reply, &info, e))
		return -1;
	if (info.len >= sizeof(spd))
		memcpy(&spd, info.data, sizeof(spd));
	if (spd.incnt + spd.outcnt + spd.fwdcnt && policies_scan(s, nl, e))
		return -1;
	return states ? net_lose(s, e, "%u IPsec states (ip xfrm state) are not kept", states) : 0;
}
