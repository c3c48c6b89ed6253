/* MPTCP: the limits of the path manager, and its endpoints. */
#include <linux/genetlink.h>
#include <linux/mptcp.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "dumper/net_scan.h"
#include "proto/rta.h"

/* MPTCP_PM_ADDR_FLAG_IMPLICIT (include/uapi/linux/mptcp.h, Linux 5.19): made by the kernel for a subflow that
 * begins at an address without an endpoint, and refused from user space. */
enum { FLAG_IMPLICIT = 1 << 4 };

/* Append a message under a number that is the same on every kernel. */
static int keep(struct buf *out, const struct nlmsghdr *h, uint16_t type, struct err *e)
{
	size_t at = out->len;

	if (net_msg_add(out, h, e))
		return -1;
	((struct nlmsghdr *)(void *)(out->data + at))->nlmsg_type = type;
	return 0;
}

int net_mptcp_limits_read(struct nl *nl, uint16_t family, struct buf *out, struct err *e)
{
	struct genlmsghdr g = {.cmd = MPTCP_PM_CMD_GET_LIMITS, .version = MPTCP_PM_VER};
	auto_buf struct buf req = {0}, reply = {0};

	return nl_msg_begin(&req, family, 0, &g, sizeof(g), e) ||
			       nl_get(nl, &req, &reply, "MPTCP limits", e) ||
			       keep(out, (const void *)reply.data, RTA_MSG_MPTCP_LIMITS, e)
		       ? -1
		       : 0;
}

static struct span endpoint_attr(const struct nlmsghdr *h, uint16_t attr)
{
	struct span attrs = nl_attrs(h, sizeof(struct genlmsghdr));

	return nl_attr_data(
		nl_attr_find(nl_attr_data(nl_attr_find(attrs, MPTCP_PM_ATTR_ADDR)), attr));
}

static bool is_made_by_kernel(const struct nlmsghdr *h)
{
	struct span v = endpoint_attr(h, MPTCP_PM_ADDR_ATTR_FLAGS);
	uint32_t flags = 0;

	if (v.len == sizeof(flags))
		memcpy(&flags, v.data, sizeof(flags));
	return flags & FLAG_IMPLICIT;
}

/* mptcp_pm_nl_create_listen_socket() in net/mptcp/pm_kernel.c */
static int note_port(struct dump_netns *n, const struct nlmsghdr *h, struct err *e)
{
	struct span v = endpoint_attr(h, MPTCP_PM_ADDR_ATTR_PORT);
	uint16_t *all, port;

	if (v.len != sizeof(port))
		return 0;
	memcpy(&port, v.data, sizeof(port));
	all = realloc(n->endpoint_ports, (n->n_endpoint_ports + 1) * sizeof(*all));
	if (!all)
		return err_set(e, ERR_NOMEM, "ports of MPTCP endpoints");
	n->endpoint_ports = all;
	all[n->n_endpoint_ports++] = port;
	return 0;
}

/* Of a namespace that nobody touched, like this one? All after the header, whose numbers are those of a
 * question. */
static bool is_fresh(const struct net_cache *c, const struct buf *limits)
{
	return limits->len == c->mptcp_limits.len && limits->len > NLMSG_HDRLEN &&
	       !memcmp(limits->data + NLMSG_HDRLEN, c->mptcp_limits.data + NLMSG_HDRLEN,
		       limits->len - NLMSG_HDRLEN);
}

int net_scan_mptcp(struct net_scan *s, struct err *e)
{
	struct genlmsghdr g = {.cmd = MPTCP_PM_CMD_GET_ADDR, .version = MPTCP_PM_VER};
	uint16_t family = s->d->net->mptcp_family;
	struct nl *nl = family ? net_socks_get(s->socks, NETLINK_GENERIC, e) : NULL;
	auto_buf struct buf all = {0}, limits = {0};
	const struct nlmsghdr *h;
	size_t off = 0;

	if (!nl)
		return family ? -1 : 0;
	if (net_mptcp_limits_read(nl, family, &limits, e) ||
	    (!is_fresh(s->d->net, &limits) && buf_add(&s->other, limits.data, limits.len, e)) ||
	    nl_msg_begin(&s->req, family, 0, &g, sizeof(g), e) ||
	    nl_dump_raw(nl, &s->req, &all, "MPTCP endpoints", e))
		return -1;
	while ((h = nl_msg_next(buf_span(&all), &off)))
		if (!is_made_by_kernel(h) &&
		    (keep(&s->other, h, RTA_MSG_MPTCP_ENDPOINT, e) || note_port(s->n, h, e)))
			return -1;
	return 0;
}
