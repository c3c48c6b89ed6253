/* Steps that send one netlink message of one row. */
#include "restorer/steps_net.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "proto/rta.h"
#include "restorer/conntrack_nat.h"

int message_sent(struct restore *r, const struct step *s, int rc, struct err *e)
{
	if (!rc)
		return 0;
	if (((s->num & MSG_EXISTS_OK) && e->saved_errno == EEXIST) ||
	    ((s->num & MSG_GONE_OK) && e->saved_errno == ESRCH)) {
		*e = (struct err)ERR_INIT;
		return 0;
	}
	if ((s->num & MSG_SUPPORT_OK) && e->saved_errno == EOPNOTSUPP) {
		char msg[sizeof(e->msg)];

		memcpy(msg, e->msg, sizeof(msg));
		*e = (struct err)ERR_INIT;
		return restore_note(r, e, "%s %s: %s", s->kind->name, s->object, msg);
	}
	return -1;
}

int run_message(struct restore *r, struct step *s, struct err *e)
{
	return message_sent(
		r, s, send_message(r, s->netns, buf_span(&s->msg), s->num & 0xffff, "add", e), e);
}

/* Flags that the kernel sets itself and does not take (inet6_rtm_newaddr() in net/ipv6/addrconf.c). */
#define KERNEL_IFA_FLAGS                                                                           \
	(IFA_F_TEMPORARY | IFA_F_DADFAILED | IFA_F_DEPRECATED | IFA_F_TENTATIVE |                  \
	 IFA_F_PERMANENT | IFA_F_STABLE_PRIVACY)

static int send_address(struct restore *r, const struct step *s, uint32_t flags, struct err *e)
{
	auto_buf struct buf msg = {0};
	struct ifaddrmsg *ifa;

	if (buf_add(&msg, s->msg.data, s->msg.len, e) ||
	    rta_put_u32(&msg, RTA_PATH(IFA_FLAGS), flags, e))
		return -1;
	ifa = NLMSG_DATA((struct nlmsghdr *)msg.data);
	ifa->ifa_flags = flags & 0xff;
	return send_message(r, s->netns, buf_span(&msg), NLM_F_CREATE | NLM_F_REPLACE,
			    "add address", e);
}

/* An IPv6 address is added without duplicate detection, so that a listener can bind to it at once; a second
 * message takes the flag away again, which changes nothing else (inet6_addr_modify()). One that was
 * tentative when it was dumped had no listeners, and becomes tentative again. */
int run_address(struct restore *r, struct step *s, struct err *e)
{
	const struct ifaddrmsg *ifa = NLMSG_DATA((const struct nlmsghdr *)s->msg.data);
	uint32_t dumped = rta_get_u32(buf_span(&s->msg), RTA_PATH(IFA_FLAGS), ifa->ifa_flags);
	uint32_t flags = dumped & ~(uint32_t)KERNEL_IFA_FLAGS;
	bool dad = s->num & (IFA_F_TENTATIVE | IFA_F_OPTIMISTIC | IFA_F_DADFAILED);

	if (s->num & ADDRESS_COMES)
		return 0;
	if (ifa->ifa_family != AF_INET6 || dad || (flags & IFA_F_NODAD))
		return send_address(r, s, flags, e);
	return send_address(r, s, flags | IFA_F_NODAD, e) || send_address(r, s, flags, e) ? -1 : 0;
}

/* A dump gives the flags of a TCP connection without the mask that a request needs to change them
 * (nlattr_to_tcp() in net/netfilter/nf_conntrack_proto_tcp.c). */
static int mask_tcp_flags(struct buf *msg, struct err *e)
{
	static const uint16_t which[] = {CTA_PROTOINFO_TCP_FLAGS_ORIGINAL,
					 CTA_PROTOINFO_TCP_FLAGS_REPLY};

	for (size_t i = 0; i < ARRAY_SIZE(which); i++) {
		const uint16_t path[] = {CTA_PROTOINFO, CTA_PROTOINFO_TCP, which[i], 0};
		struct span v = rta_get(buf_span(msg), path);
		struct nf_ct_tcp_flags flags;

		if (v.len != sizeof(flags))
			continue;
		memcpy(&flags, v.data, sizeof(flags));
		flags.mask = 0xff;
		if (rta_put(msg, path, &flags, sizeof(flags), e))
			return -1;
	}
	return 0;
}

int run_conntrack(struct restore *r, struct step *s, struct err *e)
{
	auto_buf struct buf msg = {0};
	struct ns *ns = restore_ns(r, s->netns, e);
	struct nl *nl = ns ? nl_open_in(ns, NETLINK_NETFILTER, e) : NULL;
	int ret = 0;

	if (!nl)
		return -1;
	/* msg holds all entries of the namespace, one after the other. */
	for (size_t off = 0; !ret && off < s->msg.len;) {
		const struct nlmsghdr *h = nl_msg_next(buf_span(&s->msg), &off);

		if (!h)
			break;
		buf_reset(&msg);
		ret = buf_add(&msg, h, h->nlmsg_len, e) || mask_tcp_flags(&msg, e) ||
				      conntrack_nat(&msg, e)
			      ? -1
			      : 0;
		if (ret)
			break;
		((struct nlmsghdr *)msg.data)->nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
		ret = nl_do(nl, &msg, "add conntrack entry", e);
		if (ret && e->saved_errno == EEXIST) {
			*e = (struct err)ERR_INIT;
			ret = 0;
		}
	}
	nl_free(nl);
	return ret;
}

/* Has the user namespace that this process is in that user? */
static int has_uid(uint32_t uid, bool *has, struct err *e)
{
	auto_buf struct buf map = {0};
	char *line, *rest;

	*has = false;
	if (io_read_file(AT_FDCWD, "/proc/self/uid_map", 64 << 10, &map, e))
		return -1;
	for (line = strtok_r((char *)map.data, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		unsigned inside, n;

		if (sscanf(line, "%u %*u %u", &inside, &n) == 2 && uid >= inside &&
		    uid - inside < n)
			*has = true;
	}
	return 0;
}

int check_rule(const struct restore *r, const struct step *s, struct buf *reasons, struct err *e)
{
	struct span range = rta_get(buf_span(&s->msg), RTA_PATH(FRA_UID_RANGE));
	struct fib_rule_uid_range uids;
	bool first, last;

	(void)r;
	if (range.len != sizeof(uids))
		return 0;
	memcpy(&uids, range.data, sizeof(uids));
	if (has_uid(uids.start, &first, e) || has_uid(uids.end, &last, e))
		return -1;
	return first && last
		       ? 0
		       : buf_printf(reasons, e,
				    "%s: this user namespace has not both user %u and user %u "
				    "(/proc/self/uid_map): map them, or drop the rule\n",
				    s->object, uids.start, uids.end);
}
