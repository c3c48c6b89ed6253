#include "dumper/net.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "criu/netdev.pb-c.h"
#include "criu/nsimg.pb-c.h"
#include "dumper/net_conf.h"
#include "dumper/net_scan.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

enum { SCAN_TRIES = 3 };

/* What rtnetlink tells, in this order: the ids after the devices, since listing a device whose other end is
 * in another namespace gives that one an id (rtnl_fill_link_netnsid). */
static const struct scan_part {
	const char *name;
	int (*scan)(struct net_scan *s, struct err *e);
	bool required; /* otherwise a failure is a loss */
} rt_parts[] =
	{
		{"devices", net_scan_links, true},
		{"namespace ids", net_scan_nsids, true},
		{"addresses", net_scan_addrs, true},
		{"nexthops", net_scan_nexthops, false},
		{"routes", net_scan_routes, true},
		{"rules", net_scan_rules, false},
		{"address labels", net_scan_addrlabels, false},
		{"neighbours", net_scan_neighbours, true},
		{"bridges", net_scan_bridges, false},
		{"traffic control", net_scan_tc, false},
},
  other_parts[] = {
	  {"multicast routes", net_scan_mroutes, false},
	  {"firewall", net_scan_firewall, false},
	  {"connection tracking", net_scan_conntrack, false},
	  {"IPsec", net_scan_xfrm, false},
};

static int scan_parts(struct net_scan *s, const struct scan_part *parts, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		struct err e2 = ERR_INIT;

		if (!parts[i].scan(s, &e2))
			continue;
		if (parts[i].required || e2.code == ERR_NOMEM) {
			*e = e2;
			return -1;
		}
		if (dump_lose(s->d, e, s->label, "%s cannot be read: %s", parts[i].name, e2.msg))
			return -1;
	}
	return 0;
}

/* A socket that hears of changes. Neighbours are left out: they change all the time. */
static struct nl *watch_open(struct err *e)
{
	static const int groups[] = {
		RTNLGRP_LINK,       RTNLGRP_TC,        RTNLGRP_IPV4_IFADDR,
		RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_IFADDR,
		RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV6_RULE, RTNLGRP_NEXTHOP,
	};
	struct nl *nl = nl_open(NETLINK_ROUTE, e);

	for (size_t i = 0; nl && i < ARRAY_SIZE(groups); i++)
		/* an older kernel lacks the newer groups, and then their objects too */
		setsockopt(nl_fd(nl), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i],
			   sizeof(groups[i]));
	return nl;
}

/* Did something change since the last call? */
static bool watch_heard(struct nl *nl)
{
	bool heard = false;
	char byte;

	/* ENOBUFS: so much that the queue was too short */
	while (recv(nl_fd(nl), &byte, 1, MSG_DONTWAIT | MSG_TRUNC) >= 0 || errno == ENOBUFS)
		heard = true;
	return heard;
}

static void scan_reset(struct net_scan *s)
{
	buf_reset(&s->links);
	buf_reset(&s->addrs);
	buf_reset(&s->rules);
	buf_reset(&s->routes[NET_V4]);
	buf_reset(&s->routes[NET_V6]);
	buf_reset(&s->other);
}

/* The parts refer to each other (routes to devices), but each is a dump of its own: when the namespace is
 * changed between them, by tasks that are not part of the dump and so run on, all are read again. */
static int scan_rt(struct net_scan *s, struct nl *watch, struct err *e)
{
	for (int i = 0; i < SCAN_TRIES; i++) {
		size_t n_losses = s->d->n_losses;

		scan_reset(s);
		if (scan_parts(s, rt_parts, ARRAY_SIZE(rt_parts), e))
			return -1;
		if (!watch_heard(watch))
			return 0;
		while (i + 1 < SCAN_TRIES && s->d->n_losses > n_losses) {
			struct dump_loss *loss = &s->d->losses[--s->d->n_losses];

			free(loss->object);
			free(loss->reason);
		}
	}
	return dump_lose(
		s->d, e, s->label,
		"changed each of the %d times it was read; what is kept may not fit together",
		SCAN_TRIES);
}

static int scan_inside(void *arg, struct err *e)
{
	struct net_scan *s = arg;
	struct nl *watch = NULL;
	socklen_t len = sizeof(s->n->cookie);
	int r = -1;

	s->rt = nl_open(NETLINK_ROUTE, e);
	if (s->rt)
		watch = watch_open(e);
	if (watch) {
		/* since Linux 5.14; without it the cookie stays unknown */
		getsockopt(nl_fd(s->rt), SOL_SOCKET, SO_NETNS_COOKIE, &s->n->cookie, &len);
		r = scan_rt(s, watch, e);
	}
	if (!r)
		r = scan_parts(s, other_parts, ARRAY_SIZE(other_parts), e);
	if (!r)
		r = sysctls_read(&s->sysctls, false, e);
	nl_free(watch);
	nl_free(s->rt);
	s->rt = NULL;
	return r;
}

static void scan_free(struct net_scan *s)
{
	struct buf *bufs[] = {&s->req,
			      &s->links,
			      &s->addrs,
			      &s->rules,
			      &s->routes[NET_V4],
			      &s->routes[NET_V6],
			      &s->other,
			      &s->ct,
			      &s->expect,
			      &s->nft,
			      &s->iptables[NET_V4],
			      &s->iptables[NET_V6]};

	for (size_t i = 0; i < ARRAY_SIZE(bufs); i++)
		buf_free(bufs[i]);
	free(s->devs);
	free(s->nsids);
	sysctls_free(&s->sysctls);
}

static int write_nlmsgs(struct img_writer *w, enum img_kind kind, uint32_t id,
			const struct buf *all, struct err *e)
{
	const struct nlmsghdr *h;
	size_t off = 0;

	if (img_write_begin(w, kind, id, e))
		return -1;
	while ((h = nl_msg_next(buf_span(all), &off)))
		if (img_write_nlmsg(w, (struct span){(const uint8_t *)h, h->nlmsg_len}, e))
			return -1;
	return img_write_end(w, e);
}

static int write_text(struct img_writer *w, enum img_kind kind, uint32_t id, const struct buf *text,
		      struct err *e)
{
	if (img_write_begin(w, kind, id, e) || img_write_bytes(w, buf_span(text), e))
		return -1;
	return img_write_end(w, e);
}

/* nsimg-rtnl-N.img */
static int write_other(struct net_scan *s, struct img_writer *w, struct err *e)
{
	const struct nlmsghdr *h;
	size_t off = 0;

	if (!s->other.len)
		return 0;
	if (img_write_begin(w, IMG_NSIMG_RTNL, s->n->id, e))
		return -1;
	while ((h = nl_msg_next(buf_span(&s->other), &off))) {
		NsimgNlEntry entry = NSIMG_NL_ENTRY__INIT;

		entry.msg.data = (uint8_t *)(uintptr_t)h;
		entry.msg.len = h->nlmsg_len;
		if (img_write_message(w, &entry.base, e))
			return -1;
	}
	return img_write_end(w, e);
}

/* "netns 9 (/run/netns/blue)" */
static void scan_label(const struct dump_netns *n, char *label, size_t size)
{
	if (n->n_names)
		snprintf(label, size, "netns %u (%s)", n->id, n->names[0]);
	else
		snprintf(label, size, "netns %u", n->id);
}

static void nsimg_netns_fill(const struct dump_netns *n, NsimgNetns *x)
{
	x->has_ino = true;
	x->ino = n->ino;
	x->has_cookie = n->cookie != 0;
	x->cookie = n->cookie;
	x->has_user_ns_id = n->user_ns_id != 0;
	x->user_ns_id = n->user_ns_id;
	x->n_name = n->n_names;
	x->name = n->names;
	x->has_external = x->external = n->external;
	x->has_caller = x->caller = n->caller;
}

static int netns_lists(struct net_scan *s, struct net_conf *c, NetnsEntry *entry, struct err *e)
{
	const struct {
		enum sysctl_list list;
		const char *device;
		size_t *n;
		SysctlEntry ***out;
	} rows[] = {
		{SYSCTL_CONF4, "default", &entry->n_def_conf4, &entry->def_conf4},
		{SYSCTL_CONF4, "all", &entry->n_all_conf4, &entry->all_conf4},
		{SYSCTL_CONF6, "default", &entry->n_def_conf6, &entry->def_conf6},
		{SYSCTL_CONF6, "all", &entry->n_all_conf6, &entry->all_conf6},
		{SYSCTL_UNIX, NULL, &entry->n_unix_conf, &entry->unix_conf},
		{SYSCTL_IPV4, NULL, &entry->n_ipv4_sysctl, &entry->ipv4_sysctl},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (net_conf_list(c, &s->sysctls, rows[i].list, rows[i].device, rows[i].n,
				  rows[i].out, e))
			return -1;
	return 0;
}

/* Ids of namespaces outside the dump have nothing they could refer to. */
static int netns_ids(struct net_scan *s, NetnsId *ids, NetnsId **list, NetnsEntry *entry,
		     struct err *e)
{
	entry->nsids = list;
	for (size_t i = 0; i < s->n_nsids; i++) {
		if (!s->nsids[i].target) {
			if (dump_lose(s->d, e, s->label,
				      "namespace id %d is that of a namespace outside the dump",
				      s->nsids[i].nsid))
				return -1;
			continue;
		}
		netns_id__init(&ids[i]);
		ids[i].target_ns_id = s->nsids[i].target->id;
		ids[i].netnsid_value = s->nsids[i].nsid;
		list[entry->n_nsids++] = &ids[i];
	}
	return 0;
}

int net_write_netns(struct net_scan *s, struct img_writer *w, struct err *e)
{
	auto_net_conf struct net_conf c = {.no_secrets = s->d->opts.no_secrets};
	auto_free NetnsId *ids = calloc(s->n_nsids + 1, sizeof(*ids));
	auto_free NetnsId **list = calloc(s->n_nsids + 1, sizeof(*list));
	NetnsEntry entry = NETNS_ENTRY__INIT;
	NsimgNetns x = NSIMG_NETNS__INIT;

	if (!ids || !list)
		return err_set(e, ERR_NOMEM, "namespace ids");
	nsimg_netns_fill(s->n, &x);
	entry.nsimg = &x;
	if (netns_lists(s, &c, &entry, e) || netns_ids(s, ids, list, &entry, e) ||
	    img_write_begin(w, IMG_NETNS, s->n->id, e) || img_write_message(w, &entry.base, e))
		return -1;
	return img_write_end(w, e);
}

/* A namespace that is given at restore: CRIU takes its key with --inherit-fd 'fd[N]:KEY'. */
static int write_external(struct dump *d, const struct dump_netns *n, struct err *e)
{
	auto_img_writer struct img_writer w;
	NetnsEntry entry = NETNS_ENTRY__INIT;
	NsimgNetns x = NSIMG_NETNS__INIT;
	const char *slash = n->n_names ? strrchr(n->names[0], '/') : NULL;
	char key[300];

	if (slash && slash[1])
		snprintf(key, sizeof(key), "%s", slash + 1);
	else
		snprintf(key, sizeof(key), "netns-%llu", (unsigned long long)n->ino);
	nsimg_netns_fill(n, &x);
	entry.nsimg = &x;
	entry.ext_key = key;
	img_write_init(&w, d->dirfd);
	if (img_write_begin(&w, IMG_NETNS, n->id, e) || img_write_message(&w, &entry.base, e))
		return -1;
	return img_write_end(&w, e);
}

static int write_all(struct net_scan *s, struct err *e)
{
	const struct {
		enum img_kind kind;
		const struct buf *content;
		bool is_text, when_empty;
	} raw[] = {
		{IMG_IFADDR, &s->addrs, false, true},
		{IMG_ROUTE, &s->routes[NET_V4], false, true},
		{IMG_ROUTE6, &s->routes[NET_V6], false, true},
		{IMG_RULE, &s->rules, false, true},
		{IMG_NETNF_CT, &s->ct, false, false},
		{IMG_NETNF_EXP, &s->expect, false, false},
		{IMG_NFTABLES, &s->nft, true, true},
		{IMG_IPTABLES, &s->iptables[NET_V4], true, true},
		{IMG_IP6TABLES, &s->iptables[NET_V6], true, true},
	};
	auto_img_writer struct img_writer w;

	img_write_init(&w, s->d->dirfd);
	if (net_write_netns(s, &w, e) || net_write_devices(s, &w, e) || write_other(s, &w, e) ||
	    net_write_sysctls(s, &w, e))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(raw); i++)
		if ((raw[i].content->len || raw[i].when_empty) &&
		    (raw[i].is_text ? write_text(&w, raw[i].kind, s->n->id, raw[i].content, e)
				    : write_nlmsgs(&w, raw[i].kind, s->n->id, raw[i].content, e)))
			return -1;
	return 0;
}

static int cache_fill(void *arg, struct err *e)
{
	struct net_cache *c = arg;
	struct err e2 = ERR_INIT;
	struct nl *nl = nl_open(NETLINK_ROUTE, e);

	if (!nl)
		return -1;
	/* a kernel without IPv6 has no labels */
	if (net_addrlabels_read(nl, &c->addrlabels, &e2))
		buf_reset(&c->addrlabels);
	nl_free(nl);
	return sysctls_read(&c->fresh, true, e);
}

struct net_cache *net_cache_get(struct dump *d, struct err *e)
{
	auto_ns struct ns *ns = NULL;

	if (d->net)
		return d->net;
	ns = ns_new(e);
	d->net = ns ? calloc(1, sizeof(*d->net)) : NULL;
	if (!d->net) {
		if (ns)
			err_set(e, ERR_NOMEM, "a fresh namespace to compare with");
		return NULL;
	}
	if (ns_call(ns, cache_fill, d->net, e)) {
		err_wrap(e, "a fresh namespace to compare with");
		net_cache_free(take_ptr(d->net));
		return NULL;
	}
	return d->net;
}

void net_cache_free(struct net_cache *c)
{
	if (!c)
		return;
	sysctls_free(&c->fresh);
	buf_free(&c->addrlabels);
	free(c);
}

int net_dump(struct dump *d, struct dump_netns *n, struct err *e)
{
	struct net_scan s = {.d = d, .n = n};
	int r;

	if (n->external)
		return write_external(d, n, e);
	if (!net_cache_get(d, e))
		return -1;
	scan_label(n, s.label, sizeof(s.label));
	r = ns_call(n->ns, scan_inside, &s, e);
	if (!r)
		r = net_scan_iptables(&s, e);
	if (!r)
		r = write_all(&s, e);
	scan_free(&s);
	return r;
}
