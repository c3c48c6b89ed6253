#include "dumper/net.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ioam6_genl.h>
#include <linux/mptcp.h>
#include <linux/rtnetlink.h>
#include <linux/seg6_genl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "dumper/net_ahead.h"
#include "dumper/net_scan.h"
#include "dumper/sk.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

enum { SCAN_TRIES = 3 };

/* What rtnetlink tells, in this order: the ids after the devices, since listing a device whose other end is
 * in another namespace gives that one an id (rtnl_fill_link_netnsid). */
static const struct scan_part {
	const char *name;
	int (*scan)(struct net_scan *s, struct err *e);
	bool required; /* otherwise a failure is a loss; as is, always, a dump that never stood still */
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
		{"multicast addresses", net_scan_maddresses, false},
		{"traffic control", net_scan_tc, false},
},
  other_parts[] = {
	  {"multicast routes", net_scan_mroutes, false},
	  {"firewall", net_scan_firewall, false},
	  {"connection tracking", net_scan_conntrack, false},
	  {"IPsec", net_scan_xfrm, false},
	  {"MPTCP", net_scan_mptcp, false},
	  {"arptables", net_scan_arptables, false},
	  {"lists of recent addresses", net_scan_recent, false},
	  {"segment routing and IOAM", net_scan_genl, false},
};

static int scan_parts(struct net_scan *s, const struct scan_part *parts, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		struct err e2 = ERR_INIT;

		if (!parts[i].scan(s, &e2))
			continue;
		if (e2.code == ERR_NOMEM || (parts[i].required && e2.code != ERR_INTERRUPTED)) {
			*e = e2;
			return -1;
		}
		if (dump_lose(s->d, e, s->label, "%s cannot be read: %s", parts[i].name, e2.msg))
			return -1;
	}
	return 0;
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

/* Has the kernel as many sockets for programs in this namespace as were dumped? "sockets: used N" counts every one,
 * of any family and state (sock_inuse_add in sk_alloc), also those that no table shows. n_own: of this process. */
static bool is_all_dumped(const struct dump_netns *n, size_t n_own)
{
	auto_buf struct buf text = {0};
	struct err none = ERR_INIT;
	size_t used;

	return !io_read_file(AT_FDCWD, "/proc/thread-self/net/sockstat", 4096, &text, &none) &&
	       text.len && sscanf((char *)text.data, "sockets: used %zu", &used) == 1 &&
	       used == n->n_sockets + n_own;
}

/* Everything of a namespace, read by a thread inside. */
static int scan_all(struct net_scan *s, struct nl *watch, struct sysctl_files *files, struct err *e)
{
	socklen_t len = sizeof(s->n->cookie);

	/* now: a socket that is closed is counted until a grace period of RCU is over */
	s->n->all_dumped = is_all_dumped(s->n, 2 + sk_n_own(s->d, s->n));
	/* since Linux 5.14; without it the cookie stays unknown */
	getsockopt(nl_fd(s->rt), SOL_SOCKET, SO_NETNS_COOKIE, &s->n->cookie, &len);
	return scan_rt(s, watch, e) || scan_parts(s, other_parts, ARRAY_SIZE(other_parts), e) ||
			       sysctls_read(&s->sysctls, s->d->net->sysctls, files, s->rt,
					    &s->links, e)
		       ? -1
		       : 0;
}

static int scan_inside(void *arg, struct err *e)
{
	struct net_scan *s = arg;
	const struct net_ahead_ns *ahead = net_ahead_find(s->d, s->n->ns);
	struct nl *rt = ahead ? NULL : nl_open(NETLINK_ROUTE, e);
	struct nl *watch = rt ? net_watch_open(e) : NULL;
	int r = -1;

	if (ahead) {
		s->rt = ahead->rt;
		watch_heard(ahead->watch); /* until now */
		r = scan_all(s, ahead->watch, ahead->files, e);
	} else if (watch) {
		s->rt = rt;
		r = scan_all(s, watch, NULL, e);
	}
	nl_free(watch);
	nl_free(rt);
	s->rt = NULL;
	return r;
}

/* The buffers of a scan; those of its sysctls are theirs. */
enum { SCAN_BUFS = 12 };

static void scan_bufs(struct net_scan *s, struct buf *out[static SCAN_BUFS])
{
	struct buf *bufs[SCAN_BUFS] = {&s->req,
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

	memcpy(out, bufs, sizeof(bufs));
}

static void scan_free(struct net_scan *s)
{
	struct buf *bufs[SCAN_BUFS];

	scan_bufs(s, bufs);
	for (size_t i = 0; i < ARRAY_SIZE(bufs); i++)
		buf_free(bufs[i]);
	free(s->devs);
	free(s->nsids);
	sysctls_free(&s->sysctls);
	free(s);
}

/* "netns 9 (/run/netns/blue)" */
static void scan_label(const struct dump *d, const struct dump_netns *n, char *label, size_t size)
{
	/* CRIU gives the numbers, later */
	if (d->opts.criu)
		snprintf(label, size, "netns %s%snet:[%llu]", n->n_names ? n->names[0] : "",
			 n->n_names ? " " : "", (unsigned long long)n->ino);
	else if (n->n_names)
		snprintf(label, size, "netns %u (%s)", n->id, n->names[0]);
	else
		snprintf(label, size, "netns %u", n->id);
}

/* A kernel without MPTCP has no family of that name, and so on. */
static void cache_genl(struct net_cache *c)
{
	struct err none = ERR_INIT;
	struct nl *nl = nl_open(NETLINK_GENERIC, &none);

	c->mptcp_family = nl ? nl_genl_family(nl, MPTCP_PM_NAME) : 0;
	c->seg6_family = nl ? nl_genl_family(nl, SEG6_GENL_NAME) : 0;
	c->ioam6_family = nl ? nl_genl_family(nl, IOAM6_GENL_NAME) : 0;
	if (c->mptcp_family && net_mptcp_limits_read(nl, c->mptcp_family, &c->mptcp_limits, &none))
		buf_reset(&c->mptcp_limits);
	nl_free(nl);
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
	c->sysctls = sysctl_schema_read(nl, e);
	nl_free(nl);
	cache_genl(c);
	return c->sysctls ? 0 : -1;
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
	sysctl_schema_free(c->sysctls);
	buf_free(&c->addrlabels);
	buf_free(&c->mptcp_limits);
	free(c);
}

/* ---- read now, written later ---- */

enum { HELD_BYTES_MAX = 64 << 20 };

struct net_held {
	struct net_scan **all;
	size_t n, bytes;
};

static size_t scan_size(struct net_scan *s)
{
	struct buf *bufs[SCAN_BUFS];
	size_t n = sizeof(*s) + s->sysctls.text.cap + s->sysctls.neigh.cap;

	scan_bufs(s, bufs);
	for (size_t i = 0; i < ARRAY_SIZE(bufs); i++)
		n += bufs[i]->cap;
	return n;
}

static int held_add(struct dump *d, struct net_scan *s, struct err *e)
{
	struct net_scan **all;

	if (!d->held)
		d->held = calloc(1, sizeof(*d->held));
	all = d->held ? realloc(d->held->all, (d->held->n + 1) * sizeof(struct net_scan *)) : NULL;
	if (!all)
		return err_set(e, ERR_NOMEM, "list of namespaces");
	d->held->all = all;
	all[d->held->n++] = s;
	d->held->bytes += scan_size(s);
	if (d->held->bytes <= HELD_BYTES_MAX)
		return 0;
	return net_write_held(d, e);
}

int net_write_held(struct dump *d, struct err *e)
{
	int r = 0;

	for (size_t i = 0; d->held && i < d->held->n; i++) {
		struct net_scan *s = d->held->all[i];

		if (!r && net_write_all(s, e))
			r = err_wrap(e, "network namespace %s",
				     s->n->n_names ? s->n->names[0] : "without a name");
		scan_free(s);
	}
	if (d->held)
		d->held->n = d->held->bytes = 0;
	return r;
}

void net_held_free(struct net_held *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < h->n; i++)
		scan_free(h->all[i]);
	free(h->all);
	free(h);
}

int net_read(struct dump *d, struct dump_netns *n, struct err *e)
{
	struct net_scan *s;

	if (n->external)
		return net_write_external(d, n, e);
	if (!net_cache_get(d, e))
		return -1;
	s = calloc(1, sizeof(*s));
	if (!s)
		return err_set(e, ERR_NOMEM, "state of a namespace");
	s->d = d;
	s->n = n;
	scan_label(d, n, s->label, sizeof(s->label));
	if (ns_call(n->ns, scan_inside, s, e) || net_scan_iptables(s, e)) {
		scan_free(s);
		return -1;
	}
	return held_add(d, s, e);
}
