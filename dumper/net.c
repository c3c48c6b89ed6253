#include "dumper/net.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool_netlink.h>
#include <linux/ioam6_genl.h>
#include <linux/mptcp.h>
#include <linux/rtnetlink.h>
#include <linux/seg6_genl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/stop.h"
#include "dumper/mounts.h"
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
		{"actions of traffic control", net_scan_actions, false},
},
  other_parts[] =
	  {
		  {"multicast routes", net_scan_mroutes, false},
		  {"firewall", net_scan_firewall, false},
		  {"connection tracking", net_scan_conntrack, false},
		  {"IPsec", net_scan_xfrm, false},
		  {"MPTCP", net_scan_mptcp, false},
		  {"features of devices", net_scan_features, false},
		  {"arptables", net_scan_arptables, false},
		  {"lists of recent addresses", net_scan_recent, false},
		  {"queues and logs of netfilter", net_scan_bindings, false},
		  {"segment routing and IOAM", net_scan_genl, false},
		  {"eBPF programs", net_scan_bpf, false},
},
  text_parts[] = {
	  {"firewall", net_scan_nft, false},
	  {"iptables", net_scan_iptables, true},
};

int net_lose(struct net_scan *s, struct err *e, const char *fmt, ...)
{
	struct dump_loss loss;
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = dump_loss_make(&loss, s->d->opts.strict, e, s->label, fmt, ap);
	va_end(ap);
	return rc ? -1 : dump_loss_add(&s->losses, &s->n_losses, loss, e);
}

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
		if (net_lose(s, e, "%s cannot be read: %s", parts[i].name, e2.msg))
			return -1;
	}
	return 0;
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
static int scan_rt(struct net_scan *s, struct err *e)
{
	for (int i = 0; i < SCAN_TRIES; i++) {
		size_t n_losses = s->n_losses;

		scan_reset(s);
		if (scan_parts(s, rt_parts, ARRAY_SIZE(rt_parts), e))
			return -1;
		if (!net_socks_heard(s->socks))
			return 0;
		while (i + 1 < SCAN_TRIES && s->n_losses > n_losses)
			dump_loss_free(&s->losses[--s->n_losses]);
	}
	return net_lose(
		s, e, "changed each of the %d times it was read; what is kept may not fit together",
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
static int scan_all(struct net_scan *s, struct sysctl_files *files, struct err *e)
{
	socklen_t len = sizeof(s->n->cookie);

	/* now: a socket that is closed is counted until a grace period of RCU is over */
	s->n->all_dumped = is_all_dumped(s->n, net_socks_count(s->socks) + sk_n_own(s->d, s->n));
	/* since Linux 5.14; without it the cookie stays unknown */
	getsockopt(nl_fd(s->rt), SOL_SOCKET, SO_NETNS_COOKIE, &s->n->cookie, &len);
	return scan_rt(s, e) || scan_parts(s, other_parts, ARRAY_SIZE(other_parts), e) ||
			       sysctls_read(&s->sysctls, s->d->net->sysctls, files, s->rt,
					    &s->links, e)
		       ? -1
		       : 0;
}

/* What was read stays in s, also why it was not: the thread goes on with other namespaces. */
static int scan_inside(void *arg, struct err *e)
{
	struct net_scan *s = arg;
	struct net_ahead_ns *ahead = net_ahead_find(s->d, s->n->ns);
	struct net_socks own = {0};

	s->socks = ahead ? &ahead->socks : &own;
	s->rt = net_socks_get(s->socks, NETLINK_ROUTE, &s->why);
	if (s->rt && (ahead || !net_socks_open(&own, &s->why))) {
		net_socks_heard(s->socks); /* until now */
		s->is_read = !scan_all(s, ahead ? ahead->files : NULL, &s->why);
	}
	net_socks_close(&own);
	s->socks = NULL;
	s->rt = NULL;
	return 0;
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

	if (!s)
		return;
	scan_bufs(s, bufs);
	for (size_t i = 0; i < ARRAY_SIZE(bufs); i++)
		buf_free(bufs[i]);
	for (size_t i = 0; i < s->n_losses; i++)
		dump_loss_free(&s->losses[i]);
	free(s->losses);
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
static void cache_genl(struct net_cache *c, struct nl *rt)
{
	struct err none = ERR_INIT;
	struct nl *nl = nl_open(NETLINK_GENERIC, &none);

	c->mptcp_family = nl ? nl_genl_family(nl, MPTCP_PM_NAME) : 0;
	c->seg6_family = nl ? nl_genl_family(nl, SEG6_GENL_NAME) : 0;
	c->ioam6_family = nl ? nl_genl_family(nl, IOAM6_GENL_NAME) : 0;
	c->ethtool_family = nl ? nl_genl_family(nl, ETHTOOL_GENL_NAME) : 0;
	c->features = c->ethtool_family ? net_features_learn(rt, nl, c->ethtool_family) : NULL;
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
	c->action_kinds = net_action_kinds(nl);
	c->bpf_types = net_bpf_types();
	c->sysctls = sysctl_schema_read(nl, e);
	/* last, since it makes devices */
	cache_genl(c, nl);
	nl_free(nl);
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
	net_features_free(c->features);
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

/* s is taken. */
static int held_add(struct dump *d, struct net_scan *s, struct err *e)
{
	struct net_scan **all;

	if (!d->held)
		d->held = calloc(1, sizeof(*d->held));
	all = d->held ? realloc(d->held->all, (d->held->n + 1) * sizeof(struct net_scan *)) : NULL;
	if (!all) {
		scan_free(s);
		return err_set(e, ERR_NOMEM, "list of namespaces");
	}
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

static void mark_referred(struct net_scan *s)
{
	for (size_t i = 0; i < s->n_nsids; i++)
		if (s->nsids[i].target)
			s->nsids[i].target->referred = true;
}

static bool has_unknown_ids(const struct net_scan *s)
{
	for (size_t i = 0; i < s->n_nsids; i++)
		if (!s->nsids[i].target)
			return true;
	return false;
}

static int find_outside(struct net_scan *s, size_t first, struct err *e)
{
	auto_nl struct nl *nl = nl_open_in(s->n->ns, NETLINK_ROUTE, e);
	int rc;

	s->rt = nl;
	rc = nl ? net_nsids_resolve(s, first, e) : -1;
	s->rt = NULL;
	mark_referred(s);
	return rc;
}

int net_find_outside(struct dump *d, struct err *e)
{
	size_t first = d->n_netns, n = d->held ? d->held->n : 0;
	bool is_asked = false;

	for (size_t i = 0; i < n; i++) {
		if (!has_unknown_ids(d->held->all[i]))
			continue;
		if (!is_asked && mounts_find_netns(d, 0, UNKNOWN_EXTERNAL, e))
			return -1;
		is_asked = true;
		if (d->n_netns > first && find_outside(d->held->all[i], first, e))
			return -1;
	}
	for (size_t i = first; i < d->n_netns; i++)
		if (d->netns[i]->referred && net_write_external(d, d->netns[i], e))
			return -1;
	return 0;
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

/* ---- several at once ---- */

enum {
	SCANNERS_MAX = 4,
	AT_ONCE = 32, /* namespaces that are read before they are gone through in their order */
};

static struct net_scan *scan_new(struct dump *d, struct dump_netns *n, struct err *e)
{
	struct net_scan *s = net_cache_get(d, e) ? calloc(1, sizeof(*s)) : NULL;

	if (!s) {
		if (d->net)
			err_set(e, ERR_NOMEM, "state of a namespace");
		return NULL;
	}
	s->d = d;
	s->n = n;
	scan_label(d, n, s->label, sizeof(s->label));
	return s;
}

/* What is for the main thread to do when a namespace is read. s is taken. */
static int scan_end(struct net_scan *s, const struct err *enter, struct err *e)
{
	int r = 0;

	if (!s->is_read) {
		*e = s->why.code == ERR_NONE ? *enter : s->why;
		r = -1;
	}
	if (!r)
		r = scan_parts(s, text_parts, ARRAY_SIZE(text_parts), e);
	if (!r)
		mark_referred(s);
	for (size_t i = 0; !r && i < s->n_losses; i++) {
		r = dump_loss_add(&s->d->losses, &s->d->n_losses, s->losses[i], e);
		s->losses[i] = (struct dump_loss){0};
	}
	if (!r)
		return held_add(s->d, s, e);
	scan_free(s);
	return -1;
}

static int ns_err(const struct dump_netns *n, struct err *e)
{
	return err_wrap(e, "network namespace %s", n->n_names ? n->names[0] : "without a name");
}

/* At most AT_ONCE. */
static int read_some(struct dump *d, struct dump_netns *const *all, size_t n,
		     struct ns_worker *const *workers, size_t n_workers, struct err *e)
{
	struct net_scan *scans[AT_ONCE] = {NULL};
	struct err enter = ERR_INIT; /* why one could not be entered */
	int r = 0;

	for (size_t i = 0; !r && i < n; i++) {
		if (all[i]->external)
			continue;
		scans[i] = scan_new(d, all[i], e);
		r = scans[i] ? ns_worker_post(workers[i % n_workers], all[i]->ns, scan_inside,
					      scans[i], e)
			     : -1;
	}
	for (size_t i = 0; i < n_workers; i++)
		ns_worker_wait(workers[i], &enter);
	for (size_t i = 0; i < n; i++) {
		if (r)
			scan_free(scans[i]);
		else if (scans[i] ? scan_end(scans[i], &enter, e)
				  : net_write_external(d, all[i], e))
			r = ns_err(all[i], e);
	}
	return r;
}

int net_read(struct dump *d, struct dump_netns *const *all, size_t n, struct err *e)
{
	struct ns_worker *workers[SCANNERS_MAX];
	long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	size_t n_workers = 0;
	int r = 0;

	do {
		workers[n_workers] = ns_worker_new(false, e);
		r = workers[n_workers] ? 0 : -1;
	} while (!r && ++n_workers < SCANNERS_MAX && n_workers < n && (long)n_workers < n_cpus);
	for (size_t i = 0; !r && i < n; i += AT_ONCE) {
		progress_say(d->opts.progress, i + 1, n, "network namespaces");
		r = stop_check(e) ? -1
				  : read_some(d, all + i, n - i < AT_ONCE ? n - i : AT_ONCE,
					      workers, n_workers, e);
	}
	for (size_t i = 0; i < n_workers; i++)
		ns_worker_free(workers[i]);
	return r;
}
