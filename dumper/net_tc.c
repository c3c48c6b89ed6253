/* Traffic control: what somebody set up; the qdiscs that the kernel puts on every device are left out. */
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "base/cleanup.h"
#include "dumper/net_scan.h"

static const struct tcmsg *tc_header(const struct nlmsghdr *h)
{
	if (h->nlmsg_len < NLMSG_HDRLEN + sizeof(struct tcmsg))
		return NULL;
	return (const void *)((const uint8_t *)h + NLMSG_HDRLEN);
}

static const char *tc_kind(const struct nlmsghdr *h)
{
	const struct nlattr *a = nl_attr_find(nl_attrs(h, sizeof(struct tcmsg)), TCA_KIND);
	struct span s = a ? nl_attr_data(a) : (struct span){NULL, 0};

	return s.len && !s.data[s.len - 1] ? (const char *)s.data : "";
}

/* Kinds whose classes somebody makes; those of the others are a view of the qdisc (prio, mq) or of flows
 * that come and go (fq_codel, sfq). */
static bool has_classes(const char *kind)
{
	static const char *const kinds[] = {"htb", "hfsc", "qfq", "drr", "cbq", "ets"};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(kinds[i], kind))
			return true;
	return false;
}

static uint32_t chain_of(const struct nlmsghdr *h)
{
	const struct nlattr *a = nl_attr_find(nl_attrs(h, sizeof(struct tcmsg)), TCA_CHAIN);
	uint32_t chain = 0;

	if (a && nl_attr_data(a).len == sizeof(chain))
		memcpy(&chain, nl_attr_data(a).data, sizeof(chain));
	return chain;
}

/* The instructions of a classic program are told (net/sched/cls_bpf.c cls_bpf_dump_bpf_info), those of eBPF are not. */
static bool is_ebpf(const struct nlmsghdr *h)
{
	const struct nlattr *options = nl_attr_find(nl_attrs(h, sizeof(struct tcmsg)), TCA_OPTIONS);

	return !strcmp(tc_kind(h), "bpf") && options &&
	       !nl_attr_find(nl_attr_data(options), TCA_BPF_OPS);
}

static int lose_bpf(struct net_scan *s, const struct tcmsg *t, struct err *e)
{
	const struct net_dev *dev = net_dev_find(s, (uint32_t)t->tcm_ifindex);

	return net_lose(s, e, "device %s: the eBPF program of a tc filter",
			dev ? dev->name : "(shared block)");
}

/* A message that is there already: filters of a block that several qdiscs share come with each of them. */
static bool is_kept(const struct net_scan *s, const struct nlmsghdr *h)
{
	const struct nlmsghdr *k;
	size_t off = 0;

	while ((k = nl_msg_next(buf_span(&s->other), &off)))
		if (k->nlmsg_len == h->nlmsg_len && k->nlmsg_type == h->nlmsg_type &&
		    !memcmp((const uint8_t *)k + NLMSG_HDRLEN, (const uint8_t *)h + NLMSG_HDRLEN,
			    h->nlmsg_len - NLMSG_HDRLEN))
			return true;
	return false;
}

static bool has_filter_in(struct span filters, uint32_t chain)
{
	const struct nlmsghdr *h;
	size_t off = 0;

	while ((h = nl_msg_next(filters, &off)))
		if (chain_of(h) == chain)
			return true;
	return false;
}

/* Chains that stand without filters, or with a template for them: somebody made them. The kernel tells the qdisc of a
 * chain (net/sched/cls_api.c tc_chain_fill_node), which is not enough to make it again. */
static int scan_chains(struct net_scan *s, uint32_t ifindex, uint32_t parent, struct span filters,
		       struct err *e)
{
	struct tcmsg req = {.tcm_ifindex = (int)ifindex, .tcm_parent = parent};
	auto_buf struct buf all = {0};
	const struct nlmsghdr *h;
	size_t off = 0;

	if (net_scan_dump(s, RTM_GETCHAIN, &req, sizeof(req), &all, "tc chains", e))
		return -1;
	while ((h = nl_msg_next(buf_span(&all), &off))) {
		struct tcmsg *t = (struct tcmsg *)(uintptr_t)tc_header(h);

		if (!t || (!*tc_kind(h) && has_filter_in(filters, chain_of(h))))
			continue;
		if ((uint32_t)t->tcm_ifindex != TCM_IFINDEX_MAGIC_BLOCK)
			t->tcm_parent = parent;
		if (!is_kept(s, h) && net_msg_add(&s->other, h, e))
			return -1;
	}
	return 0;
}

static int scan_filters(struct net_scan *s, uint32_t ifindex, uint32_t parent, struct err *e)
{
	struct tcmsg req = {.tcm_ifindex = (int)ifindex, .tcm_parent = parent};
	auto_buf struct buf all = {0};
	const struct nlmsghdr *h;
	size_t off = 0;

	if (net_scan_dump(s, RTM_GETTFILTER, &req, sizeof(req), &all, "tc filters", e) ||
	    scan_chains(s, ifindex, parent, buf_span(&all), e))
		return -1;
	while ((h = nl_msg_next(buf_span(&all), &off))) {
		const struct tcmsg *t = tc_header(h);

		if (!t || ((uint32_t)t->tcm_ifindex == TCM_IFINDEX_MAGIC_BLOCK && is_kept(s, h)))
			continue;
		if (net_msg_add(&s->other, h, e))
			return -1;
		if (t->tcm_handle && is_ebpf(h) && lose_bpf(s, t, e))
			return -1;
	}
	return 0;
}

/* clsact is two places for filters, neither of which has its handle as number. */
static int scan_qdisc_filters(struct net_scan *s, const struct nlmsghdr *h, const struct tcmsg *t,
			      struct err *e)
{
	uint32_t ifindex = (uint32_t)t->tcm_ifindex;

	if (strcmp(tc_kind(h), "clsact") != 0)
		return scan_filters(s, ifindex, t->tcm_handle, e);
	if (scan_filters(s, ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS), e))
		return -1;
	return scan_filters(s, ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS), e);
}

static int scan_classes(struct net_scan *s, uint32_t ifindex, struct err *e)
{
	struct tcmsg req = {.tcm_ifindex = (int)ifindex};
	auto_buf struct buf all = {0};
	const struct nlmsghdr *h;
	const struct tcmsg *t;
	size_t off = 0;

	if (net_scan_dump(s, RTM_GETTCLASS, &req, sizeof(req), &all, "tc classes", e))
		return -1;
	while ((h = nl_msg_next(buf_span(&all), &off)))
		if (tc_header(h) && has_classes(tc_kind(h)) && net_msg_add(&s->other, h, e))
			return -1;
	/* a class may hold filters of its own */
	for (off = 0; (h = nl_msg_next(buf_span(&all), &off));)
		if ((t = tc_header(h)) && has_classes(tc_kind(h)) &&
		    scan_filters(s, ifindex, t->tcm_handle, e))
			return -1;
	return 0;
}

/* Qdiscs that the kernel attaches itself have no handle (qdisc_create_dflt); those of users always get one. */
static bool is_made(const struct tcmsg *t)
{
	return t && t->tcm_handle != 0;
}

int net_scan_tc(struct net_scan *s, struct err *e)
{
	struct tcmsg req = {0};
	auto_buf struct buf all = {0};
	const struct nlmsghdr *h;
	uint32_t last = 0;
	size_t off = 0;

	if (net_scan_dump(s, RTM_GETQDISC, &req, sizeof(req), &all, "qdiscs", e))
		return -1;
	while ((h = nl_msg_next(buf_span(&all), &off)))
		if (is_made(tc_header(h)) && net_msg_add(&s->other, h, e))
			return -1;
	for (off = 0; (h = nl_msg_next(buf_span(&all), &off));) {
		const struct tcmsg *t = tc_header(h);

		if (!is_made(t))
			continue;
		/* the qdiscs of one device come together */
		if ((uint32_t)t->tcm_ifindex != last &&
		    scan_classes(s, (uint32_t)t->tcm_ifindex, e))
			return -1;
		last = (uint32_t)t->tcm_ifindex;
		if (scan_qdisc_filters(s, h, t, e))
			return -1;
	}
	return 0;
}
