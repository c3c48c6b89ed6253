/* The numbers a namespace has for others (ip netns list-id). */
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "dumper/net_scan.h"

static int nsid_add(const struct nlmsghdr *h, void *arg, struct err *e)
{
	struct net_scan *s = arg;
	const struct nlattr *id = nl_attr_find(nl_attrs(h, sizeof(struct rtgenmsg)), NETNSA_NSID);
	struct net_nsid *all = realloc(s->nsids, (s->n_nsids + 1) * sizeof(*all));

	if (!all)
		return err_set(e, ERR_NOMEM, "list of namespace ids");
	s->nsids = all;
	if (id)
		s->nsids[s->n_nsids++] = (struct net_nsid){(int32_t)nl_attr_u32(id), NULL};
	return 0;
}

/* Ask for the number of one namespace of the dump. 1: it has one, now known; 0: it has none; -1. */
static int nsid_resolve(struct net_scan *s, struct dump_netns *target, struct err *e)
{
	struct rtgenmsg g = {0};
	auto_buf struct buf reply = {0};
	const struct nlattr *id;
	int32_t nsid;

	if (nl_msg_begin(&s->req, RTM_GETNSID, 0, &g, sizeof(g), e) ||
	    nl_put_u32(&s->req, NETNSA_FD, (uint32_t)ns_fd(target->ns), e) ||
	    nl_get(s->rt, &s->req, &reply, "namespace id", e))
		return -1;
	id = nl_attr_find(nl_attrs((const void *)reply.data, sizeof(g)), NETNSA_NSID);
	nsid = id ? (int32_t)nl_attr_u32(id) : NETNSA_NSID_NOT_ASSIGNED;
	if (nsid == NETNSA_NSID_NOT_ASSIGNED)
		return 0;
	for (size_t i = 0; i < s->n_nsids; i++)
		if (s->nsids[i].nsid == nsid) {
			s->nsids[i].target = target;
			return 1;
		}
	return 0;
}

int net_scan_nsids(struct net_scan *s, struct err *e)
{
	struct rtgenmsg g = {0};

	s->n_nsids = 0;
	if (nl_msg_begin(&s->req, RTM_GETNSID, 0, &g, sizeof(g), e) ||
	    nl_dump_each(s->rt, &s->req, nsid_add, s, "namespace ids", e))
		return -1;
	return net_nsids_resolve(s, 0, e);
}

/* The kernel has no question the other way round; most namespaces have one or two ids. */
int net_nsids_resolve(struct net_scan *s, size_t first, struct err *e)
{
	size_t left = 0;

	for (size_t i = 0; i < s->n_nsids; i++)
		left += !s->nsids[i].target;
	for (size_t i = first; left && i < s->d->n_netns; i++) {
		int r = nsid_resolve(s, s->d->netns[i], e);

		if (r < 0)
			return -1;
		left -= (size_t)r;
	}
	return 0;
}
