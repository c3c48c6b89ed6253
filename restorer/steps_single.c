/* Steps of what has no message that could be sent as it is: IPv6 tokens, link-layer multicast addresses, MPTCP, IPsec
 * policies. */
#include "restorer/steps_net.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool_netlink.h>
#include <linux/genetlink.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/mptcp.h>
#include <linux/rtnetlink.h>
#include <linux/xfrm.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proto/rta.h"

/* ---- IPv6 token ---- */

static int send_token(struct restore *r, const struct step *s, struct err *e)
{
	const struct link_data *d = s->data;
	struct ifinfomsg ifi = {.ifi_family = AF_UNSPEC, .ifi_index = d->ifindex};
	auto_buf struct buf req = {0};
	size_t spec, inet6;

	if (nl_msg_begin(&req, RTM_SETLINK, 0, &ifi, sizeof(ifi), e) ||
	    nl_nest_begin(&req, IFLA_AF_SPEC, &spec, e) ||
	    nl_nest_begin(&req, AF_INET6, &inet6, e) ||
	    nl_put(&req, IFLA_INET6_TOKEN, s->msg.data, s->msg.len, e) ||
	    nl_nest_end(&req, inet6, e) || nl_nest_end(&req, spec, e))
		return -1;
	return send_message(r, s->netns, buf_span(&req), 0, "IPv6 token", e);
}

struct conf {
	const char *device;
	char old[2][16]; /* what the two sysctls said */
	bool back;       /* set them to that, else to what allows a token */
};

static int conf_write(void *arg, struct err *e)
{
	static const char *const names[] = {"accept_ra", "router_solicitations"};
	static const char *const allow[] = {"2", "1"};
	struct conf *c = arg;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		auto_close int fd = -1;
		char path[100];
		const char *v = c->back ? c->old[i] : allow[i];
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/%s", c->device, names[i]);
		fd = open(path, O_RDWR | O_CLOEXEC);
		n = fd < 0 ? -1 : read(fd, c->back ? path : c->old[i], sizeof(c->old[i]) - 1);
		if (n < 0 || pwrite(fd, v, strlen(v), 0) < 0)
			return err_sys(e, ERR_KERNEL, "sysctl %s of %s", names[i], c->device);
	}
	return 0;
}

/* The kernel takes a token only where router advertisements are accepted and solicited (inet6_set_iftoken()
 * in net/ipv6/addrconf.c), but keeps it when that ends. So these two are set for the moment. */
static int force_token(struct restore *r, const struct step *s, struct err *e)
{
	const struct link_data *d = s->data;
	struct conf c = {.device = d->name};
	struct ns *ns = restore_ns(r, s->netns, e);
	struct err first = ERR_INIT;
	int rc;

	if (!ns || ns_call(ns, conf_write, &c, e))
		return -1;
	rc = send_token(r, s, &first);
	c.back = true;
	if (ns_call(ns, conf_write, &c, e))
		return -1;
	if (rc)
		*e = first;
	return rc;
}

int run_token(struct restore *r, struct step *s, struct err *e)
{
	if (!send_token(r, s, e))
		return 0;
	if (e->saved_errno != EINVAL)
		return -1;
	*e = (struct err)ERR_INIT;
	return force_token(r, s, e);
}

/* ---- link-layer multicast addresses ---- */

static int maddress_add(void *arg, struct err *e)
{
	const struct step *s = arg;
	const struct ifaddrmsg *ifa = NLMSG_DATA((struct nlmsghdr *)s->msg.data);
	struct span addr = rta_get(buf_span(&s->msg), RTA_PATH(IFA_MULTICAST));
	auto_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {.ifr_ifindex = (int)ifa->ifa_index};

	if (fd < 0)
		return err_sys(e, ERR_KERNEL, "socket");
	if (ioctl(fd, SIOCGIFNAME, &ifr))
		return err_sys(e, ERR_KERNEL, "no device with index %u", ifa->ifa_index);
	if (addr.len > sizeof(ifr.ifr_hwaddr.sa_data))
		return err_set(e, ERR_UNSUPPORTED,
			       "device %s: a multicast address of %zu bytes cannot be added",
			       ifr.ifr_name, addr.len);
	memset(&ifr.ifr_hwaddr, 0, sizeof(ifr.ifr_hwaddr));
	memcpy(ifr.ifr_hwaddr.sa_data, addr.data, addr.len);
	ifr.ifr_hwaddr.sa_family = AF_UNSPEC; /* dev_ifsioc() in net/core/dev_ioctl.c */
	if (ioctl(fd, SIOCADDMULTI, &ifr))
		return err_sys(e, ERR_KERNEL, "add a multicast address to device %s", ifr.ifr_name);
	return 0;
}

int run_maddress(struct restore *r, struct step *s, struct err *e)
{
	struct ns *ns = restore_ns(r, s->netns, e);

	return ns ? ns_call(ns, maddress_add, s, e) : -1;
}

/* ---- generic netlink: MPTCP, features of devices ---- */

int run_genl(struct restore *r, struct step *s, struct err *e)
{
	static const struct {
		uint16_t type; /* of the message that is kept */
		const char *family;
		uint8_t cmd, version;
	} rows[] = {
		{RTA_MSG_MPTCP_LIMITS, MPTCP_PM_NAME, MPTCP_PM_CMD_SET_LIMITS, MPTCP_PM_VER},
		{RTA_MSG_MPTCP_ENDPOINT, MPTCP_PM_NAME, MPTCP_PM_CMD_ADD_ADDR, MPTCP_PM_VER},
		{RTA_MSG_FEATURES, ETHTOOL_GENL_NAME, ETHTOOL_MSG_FEATURES_SET,
		 ETHTOOL_GENL_VERSION},
	};
	auto_buf struct buf msg = {0};
	struct ns *ns = restore_ns(r, s->netns, e);
	struct nl *nl = ns ? nl_open_in(ns, NETLINK_GENERIC, e) : NULL;
	struct nlmsghdr *h;
	uint16_t family;
	size_t i = 0;
	int rc = -1;

	if (!nl || buf_add(&msg, s->msg.data, s->msg.len, e)) {
		nl_free(nl);
		return -1;
	}
	h = (struct nlmsghdr *)msg.data;
	while (i + 1 < ARRAY_SIZE(rows) && rows[i].type != h->nlmsg_type)
		i++;
	family = nl_genl_family(nl, rows[i].family);
	if (!family) {
		rc = restore_note(r, e, "%s %s: this kernel has no %s", s->kind->name, s->object,
				  rows[i].family);
	} else {
		*(struct genlmsghdr *)NLMSG_DATA(h) =
			(struct genlmsghdr){.cmd = rows[i].cmd, .version = rows[i].version};
		h->nlmsg_type = family;
		h->nlmsg_flags = 0;
		rc = nl_do(nl, &msg, s->kind->name, e);
	}
	nl_free(nl);
	return rc;
}

/* ---- IPsec ---- */

/* The struct of XFRMA_POLICY is the header of the request. */
static int policy_request(const struct step *s, struct buf *req, struct err *e)
{
	struct span info = rta_get(buf_span(&s->msg), RTA_PATH(XFRMA_POLICY));
	struct span attrs =
		nl_attrs((const struct nlmsghdr *)s->msg.data, sizeof(struct genlmsghdr));
	const struct nlattr *a;
	size_t off = 0;

	if (info.len != sizeof(struct xfrm_userpolicy_info))
		return err_set(e, ERR_FORMAT, "a policy of %zu bytes", info.len);
	if (nl_msg_begin(req, XFRM_MSG_NEWPOLICY, s->num & 0xffff, info.data, info.len, e))
		return -1;
	while ((a = nl_attr_next(attrs, &off)))
		if ((a->nla_type & NLA_TYPE_MASK) != XFRMA_POLICY &&
		    nl_put(req, a->nla_type, nl_attr_data(a).data, nl_attr_data(a).len, e))
			return -1;
	return 0;
}

int run_xfrm_policy(struct restore *r, struct step *s, struct err *e)
{
	struct ns *ns = restore_ns(r, s->netns, e);
	struct nl *nl = ns ? nl_open_in(ns, NETLINK_XFRM, e) : NULL;
	auto_buf struct buf req = {0};
	int rc = nl && !policy_request(s, &req, e) ? nl_do(nl, &req, "add", e) : -1;

	nl_free(nl);
	return rc;
}
