/* Routes and next hop objects, also those whose gateway nothing leads to (gateway.h). */
#include "restorer/steps_net.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "restorer/gateway.h"

/* Add (RTM_NEWROUTE) or take away the helper of a gateway. One that is there already is no helper of ours. */
static int send_helper(struct restore *r, int64_t netns, const struct gateway *g, uint16_t type,
		       bool *ours, struct err *e)
{
	auto_buf struct buf msg = {0};
	bool add = type == RTM_NEWROUTE;

	if (gateway_helper(g, &msg, e))
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

static int send_helped(struct restore *r, int64_t netns, struct span msg, uint16_t flags,
		       struct err *e)
{
	auto_gateways struct gateways all = {0};
	auto_free bool *ours = NULL;
	size_t n = 0;
	int ret = 0;

	if (gateways_of(msg, &all, e))
		return -1;
	ours = calloc(all.n + 1, sizeof(*ours));
	if (!ours)
		return err_set(e, ERR_NOMEM, "gateways");
	for (; n < all.n && !ret; n++)
		ret = send_helper(r, netns, &all.all[n], RTM_NEWROUTE, &ours[n], e);
	if (!ret)
		ret = send_message(r, netns, msg, flags, "add", e);
	while (n--) {
		struct err here = ERR_INIT;

		if (ours[n] && send_helper(r, netns, &all.all[n], RTM_DELROUTE, &ours[n], &here) &&
		    !ret) {
			*e = here;
			ret = -1;
		}
	}
	return ret;
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
		return send_helped(r, netns, msg, flags, e);
	if (!send_message(r, netns, msg, flags, "add", e))
		return 0;
	if (!is_about_gateway(e->saved_errno))
		return -1;
	/* The plan knows rows; what leads there may be another now. */
	first = *e;
	*e = (struct err)ERR_INIT;
	if (!send_helped(r, netns, msg, flags, e))
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
