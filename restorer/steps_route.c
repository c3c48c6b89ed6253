/* Routes and next hop objects, also those whose gateway nothing leads to (gateway.h). */
#include "restorer/steps_net.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "restorer/gateway.h"

/* Add (RTM_NEWROUTE) or take away a helper. One that is there already is no helper of ours. */
static int send_helper(struct restore *r, int64_t netns, const struct nlmsghdr *h, uint16_t type,
		       bool *ours, struct err *e)
{
	auto_buf struct buf msg = {0};
	bool add = type == RTM_NEWROUTE;

	if (buf_add(&msg, h, h->nlmsg_len, e))
		return -1;
	((struct nlmsghdr *)msg.data)->nlmsg_type = type;
	*ours = add;
	/* without NLM_F_APPEND: before others of the same prefix */
	if (!send_message(r, netns, buf_span(&msg), add ? NLM_F_CREATE : 0,
			  add ? "add the helper that leads to the gateway"
			      : "take the helper away that led to the gateway",
			  e))
		return 0;
	*ours = false;
	if (!add || e->saved_errno != EEXIST)
		return -1;
	*e = (struct err)ERR_INIT;
	return 0;
}

/* The helpers from off on are there while the route is added. */
static int send_with(struct restore *r, int64_t netns, struct span helpers, size_t off,
		     struct span msg, uint16_t flags, struct err *e)
{
	const struct nlmsghdr *h = nl_msg_next(helpers, &off);
	struct err after = ERR_INIT;
	bool ours;
	int ret;

	if (!h)
		return send_message(r, netns, msg, flags, "add", e);
	if (send_helper(r, netns, h, RTM_NEWROUTE, &ours, e))
		return -1;
	ret = send_with(r, netns, helpers, off, msg, flags, e);
	if (ours && send_helper(r, netns, h, RTM_DELROUTE, &ours, ret ? &after : e))
		ret = -1;
	return ret;
}

static int send_helped(struct restore *r, int64_t netns, struct span msg, uint16_t flags,
		       bool early, struct err *e)
{
	auto_gateways struct gateways all = {0};
	auto_buf struct buf helpers = {0};

	return gateways_of(msg, &all, e) || gateway_helpers(&all, msg, early, &helpers, e)
		       ? -1
		       : send_with(r, netns, buf_span(&helpers), 0, msg, flags, e);
}

/* The devices of the next hops from i on are up while the route is added. */
static int send_early(struct restore *r, struct step *s, const struct gateways *all, size_t i,
		      struct err *e)
{
	struct nl *nl = restore_rtnl(r, s->netns, e);
	auto_buf struct buf now = {0};
	int oif;

	if (i == all->n)
		return send_helped(r, s->netns, buf_span(&s->msg), s->num & 0xffff, true, e);
	oif = all->all[i].oif;
	if (!nl || (oif && link_get(nl, oif, &now, e)))
		return -1;
	if (!oif ||
	    ((const struct ifinfomsg *)NLMSG_DATA((struct nlmsghdr *)now.data))->ifi_flags & IFF_UP)
		return send_early(r, s, all, i + 1, e);
	return link_set_up(r, s->netns, oif, true, e) || send_early(r, s, all, i + 1, e) ||
			       link_down_again(r, s->netns, oif, e)
		       ? -1
		       : 0;
}

/* What the kernel says of a gateway that nothing leads to. */
static bool is_about_gateway(int sys)
{
	return sys == EINVAL || sys == ENETUNREACH || sys == EHOSTUNREACH;
}

int send_route(struct restore *r, int64_t netns, struct span msg, uint16_t flags, bool helped,
	       struct err *e)
{
	struct err first;

	if (helped)
		return send_helped(r, netns, msg, flags, false, e);
	if (!send_message(r, netns, msg, flags, "add", e))
		return 0;
	if (!is_about_gateway(e->saved_errno))
		return -1;
	/* The plan knows rows; what leads there may be another now. */
	first = *e;
	*e = (struct err)ERR_INIT;
	if (!send_helped(r, netns, msg, flags, false, e))
		return 0;
	*e = first;
	return -1;
}

int run_route(struct restore *r, struct step *s, struct err *e)
{
	return message_sent(
		r, s,
		send_route(r, s->netns, buf_span(&s->msg), s->num & 0xffff, s->data != NULL, e), e);
}

int run_route_early(struct restore *r, struct step *s, struct err *e)
{
	auto_gateways struct gateways all = {0};

	return gateways_of(buf_span(&s->msg), &all, e)
		       ? -1
		       : message_sent(r, s, send_early(r, s, &all, 0, e), e);
}
