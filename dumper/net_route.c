/* Addresses, routes, nexthops, rules, address labels. */
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_addrlabel.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "dumper/net_scan.h"

static uint8_t msg_family(const struct nlmsghdr *h)
{
	return h->nlmsg_len > NLMSG_HDRLEN ? *((const uint8_t *)h + NLMSG_HDRLEN) : 0;
}

int net_msg_add(struct buf *out, const struct nlmsghdr *h, struct err *e)
{
	static const uint8_t zero[NLMSG_ALIGNTO];

	if (buf_add(out, h, h->nlmsg_len, e))
		return -1;
	return buf_add(out, zero, NLMSG_ALIGN(h->nlmsg_len) - h->nlmsg_len, e);
}

int net_req_keep(struct net_scan *s, struct err *e)
{
	struct nlmsghdr *h = (void *)s->req.data;

	h->nlmsg_len = (uint32_t)s->req.len;
	return net_msg_add(&s->other, h, e);
}

struct dump_to {
	struct buf *out;
	uint8_t family;
};

static int dump_keep(const struct nlmsghdr *h, void *arg, struct err *e)
{
	const struct dump_to *to = arg;

	return to->family && msg_family(h) != to->family ? 0 : net_msg_add(to->out, h, e);
}

int net_scan_dump(struct net_scan *s, uint16_t type, const void *hdr, size_t hdr_len,
		  struct buf *out, const char *what, struct err *e)
{
	struct dump_to to = {out, *(const uint8_t *)hdr};

	if (nl_msg_begin(&s->req, type, 0, hdr, hdr_len, e))
		return -1;
	return nl_dump_each(s->rt, &s->req, dump_keep, &to, what, e);
}

int net_scan_addrs(struct net_scan *s, struct err *e)
{
	struct ifaddrmsg ifa = {0};

	return net_scan_dump(s, RTM_GETADDR, &ifa, sizeof(ifa), &s->addrs, "addresses", e);
}

int net_scan_nexthops(struct net_scan *s, struct err *e)
{
	struct nhmsg nh = {0};

	return net_scan_dump(s, RTM_GETNEXTHOP, &nh, sizeof(nh), &s->other, "nexthops", e);
}

/* `ip route save` keeps table main, and CRIU gives it back to `ip route restore`, which does not know
 * nexthop objects. */
static bool is_plain_route(const struct nlmsghdr *h, const struct rtmsg *rtm)
{
	struct span attrs = nl_attrs(h, sizeof(*rtm));
	const struct nlattr *table = nl_attr_find(attrs, RTA_TABLE);

	return (table ? nl_attr_u32(table) : rtm->rtm_table) == RT_TABLE_MAIN &&
	       !nl_attr_find(attrs, RTA_NH_ID);
}

static int route_sort(struct net_scan *s, enum net_family f, const struct buf *all, struct err *e)
{
	const struct nlmsghdr *h;
	size_t off = 0;

	while ((h = nl_msg_next(buf_span(all), &off))) {
		const struct rtmsg *rtm = (const void *)((const uint8_t *)h + NLMSG_HDRLEN);

		if (h->nlmsg_type != RTM_NEWROUTE || h->nlmsg_len < NLMSG_HDRLEN + sizeof(*rtm))
			return err_set(e, ERR_FORMAT, "a route of netlink type %u", h->nlmsg_type);
		/* exceptions learnt from redirects and path MTU, not routes */
		if (rtm->rtm_flags & RTM_F_CLONED)
			continue;
		if (net_msg_add(is_plain_route(h, rtm) ? &s->routes[f] : &s->other, h, e))
			return -1;
	}
	return 0;
}

int net_scan_routes(struct net_scan *s, struct err *e)
{
	static const uint8_t families[] = {[NET_V4] = AF_INET, [NET_V6] = AF_INET6};

	for (enum net_family f = 0; f < NET_FAMILY_COUNT; f++) {
		struct rtmsg rtm = {.rtm_family = families[f]};
		auto_buf struct buf all = {0};

		if (net_scan_dump(s, RTM_GETROUTE, &rtm, sizeof(rtm), &all, "routes", e) ||
		    route_sort(s, f, &all, e))
			return -1;
	}
	return 0;
}

int net_scan_rules(struct net_scan *s, struct err *e)
{
	struct fib_rule_hdr v4 = {.family = AF_INET}, v6 = {.family = AF_INET6};

	if (net_scan_dump(s, RTM_GETRULE, &v4, sizeof(v4), &s->rules, "IPv4 rules", e))
		return -1;
	return net_scan_dump(s, RTM_GETRULE, &v6, sizeof(v6), &s->other, "IPv6 rules", e);
}

int net_addrlabels_read(struct nl *nl, struct buf *out, struct err *e)
{
	struct ifaddrlblmsg lbl = {.ifal_family = AF_INET6};
	struct dump_to to = {out, AF_INET6};
	auto_buf struct buf req = {0};

	if (nl_msg_begin(&req, RTM_GETADDRLABEL, 0, &lbl, sizeof(lbl), e))
		return -1;
	return nl_dump_each(nl, &req, dump_keep, &to, "address labels", e);
}

/* The same prefix and label, whatever the sequence numbers are. */
static bool is_same_label(const struct nlmsghdr *a, const struct nlmsghdr *b)
{
	struct ifaddrlblmsg x, y;
	size_t skip = NLMSG_HDRLEN + sizeof(x);

	if (a->nlmsg_len != b->nlmsg_len || a->nlmsg_len < skip)
		return false;
	memcpy(&x, (const uint8_t *)a + NLMSG_HDRLEN, sizeof(x));
	memcpy(&y, (const uint8_t *)b + NLMSG_HDRLEN, sizeof(y));
	return x.ifal_prefixlen == y.ifal_prefixlen && x.ifal_index == y.ifal_index &&
	       !memcmp((const uint8_t *)a + skip, (const uint8_t *)b + skip, a->nlmsg_len - skip);
}

/* Add those of a that b lacks, as messages of that type. */
static int add_labels(struct net_scan *s, struct span a, struct span b, uint16_t type,
		      struct err *e)
{
	const struct nlmsghdr *h, *f;
	size_t off = 0, at, start;

	while ((h = nl_msg_next(a, &off))) {
		for (at = 0; (f = nl_msg_next(b, &at));)
			if (is_same_label(h, f))
				break;
		start = s->other.len;
		if (f)
			continue;
		if (net_msg_add(&s->other, h, e))
			return -1;
		((struct nlmsghdr *)(void *)(s->other.data + start))->nlmsg_type = type;
	}
	return 0;
}

/* What is another table than that of a new namespace: first what is not in it any more. */
int net_scan_addrlabels(struct net_scan *s, struct err *e)
{
	struct span fresh = buf_span(&s->d->net->addrlabels);
	auto_buf struct buf all = {0};

	if (net_addrlabels_read(s->rt, &all, e))
		return -1;
	return add_labels(s, fresh, buf_span(&all), RTM_DELADDRLABEL, e) ||
			       add_labels(s, buf_span(&all), fresh, RTM_NEWADDRLABEL, e)
		       ? -1
		       : 0;
}
