/* What is read once per namespace and used for each of its sockets. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "dumper/net_ahead.h"
#include "dumper/sk_read.h"

struct sk_netns {
	struct diag *diag;
	struct sk_fresh *fresh;
	struct sk_group *groups;
	size_t n_groups;
	bool has_groups;
};

struct sk_cache {
	struct sk_netns **by_id; /* by dump_netns.id; NULL: nothing yet */
	size_t n;
	struct diag_shared diag; /* of all namespaces */
	struct sk_readers *readers;
	struct sk_fresh *shared; /* of families whose options no sysctl of a namespace decides */
};

static void fresh_free(struct sk_readers *readers, struct sk_fresh *f)
{
	while (f) {
		struct sk_fresh *next = f->next;

		sk_values_free(readers, &f->values);
		if (f->fd >= 0)
			close(f->fd);
		free(f);
		f = next;
	}
}

static void netns_free(struct sk_readers *readers, struct sk_netns *n)
{
	if (!n)
		return;
	fresh_free(readers, n->fresh);
	diag_free(n->diag);
	free(n->groups);
	free(n);
}

void sk_cache_free(struct sk_cache *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n; i++)
		netns_free(c->readers, c->by_id[i]);
	fresh_free(c->readers, c->shared);
	diag_shared_free(&c->diag);
	sk_readers_free(c->readers);
	free(c->by_id);
	free(c);
}

static struct sk_cache *cache_get(struct dump *d, struct err *e)
{
	if (!d->sk)
		d->sk = sk_alloc(sizeof(*d->sk), e);
	return d->sk;
}

struct sk_readers *sk_readers(struct dump *d, struct err *e)
{
	struct sk_cache *c = cache_get(d, e);

	if (c && !c->readers)
		c->readers = sk_readers_new(e);
	return c ? c->readers : NULL;
}

static struct sk_netns *cache_netns(struct dump *d, uint32_t id, struct err *e)
{
	struct sk_netns **all;

	if (!cache_get(d, e))
		return NULL;
	if (id >= d->sk->n) {
		size_t n = (size_t)id + 16;

		all = realloc(d->sk->by_id, n * sizeof(*all));
		if (!all) {
			err_set(e, ERR_NOMEM, "sockets of a namespace");
			return NULL;
		}
		memset(all + d->sk->n, 0, (n - d->sk->n) * sizeof(*all));
		d->sk->by_id = all;
		d->sk->n = n;
	}
	if (!d->sk->by_id[id])
		d->sk->by_id[id] = sk_alloc(sizeof(struct sk_netns), e);
	return d->sk->by_id[id];
}

struct diag *sk_diag(struct dump *d, struct dump_netns *n, struct err *e)
{
	struct sk_netns *c = cache_netns(d, n->id, e);
	struct net_ahead_ns *ahead = c && !c->diag ? net_ahead_find(d, n->ns) : NULL;
	struct err absent = ERR_INIT;

	if (c && !c->diag)
		c->diag = diag_new(n->ns, &d->sk->diag, e);
	if (c && c->diag && ahead)
		diag_use(c->diag, net_socks_get(&ahead->socks, NETLINK_SOCK_DIAG, &absent));
	return c ? c->diag : NULL;
}

size_t sk_n_own(const struct dump *d, const struct dump_netns *n)
{
	const struct sk_netns *c = d->sk && n->id < d->sk->n ? d->sk->by_id[n->id] : NULL;

	return c && c->diag ? diag_n_sockets(c->diag) : 0;
}

/* A fresh socket with the defaults that this one began with. Some cannot be made: a ping socket outside
 * net.ipv4.ping_group_range, a netlink protocol whose module went away, anything in a namespace that is
 * not ours to enter. Then the next best: options hardly differ. */
static int fresh_socket(const struct sk_read *r, bool shared)
{
	const struct ns *ns = r->s->netns->ns;
	int protocol = r->family == AF_PACKET ? 0 : r->protocol;
	struct err e = ERR_INIT;
	int fd = shared ? socket(r->family, r->type | SOCK_CLOEXEC, protocol) : -1;

	if (fd < 0)
		fd = ns_socket(ns, r->family, r->type, protocol, &e);
	if (fd < 0 && (r->kind & SOCKOPT_PING))
		fd = ns_socket(ns, r->family, SOCK_DGRAM, IPPROTO_UDP, &e);
	if (fd < 0 && r->family == AF_NETLINK)
		fd = ns_socket(ns, r->family, r->type, NETLINK_ROUTE, &e);
	if (fd < 0)
		fd = socket(r->family, r->type | SOCK_CLOEXEC, protocol);
	return fd;
}

static struct sk_fresh *fresh_new(const struct sk_read *r, bool shared, struct err *e)
{
	struct sk_fresh *f = sk_alloc(sizeof(*f), e);

	if (!f)
		return NULL;
	f->family = r->family;
	f->type = r->type;
	f->protocol = r->protocol;
	f->fd = fresh_socket(r, shared);
	if (f->fd >= 0 && r->family == AF_PACKET && diag_own_add(&r->d->sk->diag, f->fd, e)) {
		fresh_free(r->d->sk->readers, f);
		return NULL;
	}
	f->values.fd = f->fd;
	f->values.kind = r->kind;
	if (f->fd >= 0)
		sk_values_post(r->d->sk->readers, &f->values);
	return f;
}

int sk_fresh_begin(struct sk_read *r, struct err *e)
{
	bool shared = r->kind & (SOCKOPT_PACKET | SOCKOPT_UNIX | SOCKOPT_NETLINK);
	struct sk_netns *c = cache_netns(r->d, r->s->netns->id, e);
	struct sk_fresh **list, *f;

	if (!c)
		return -1;
	list = shared ? &r->d->sk->shared : &c->fresh;
	for (f = *list; f; f = f->next) {
		if (f->family == r->family && f->type == r->type && f->protocol == r->protocol)
			break;
	}
	if (!f) {
		f = fresh_new(r, shared, e);
		if (!f)
			return -1;
		f->next = *list;
		*list = f;
	}
	r->fresh = f;
	return 0;
}

/* What a fresh socket does not tell it does not have. Only a packet socket is worth the descriptor that it costs to
 * keep it. */
int sk_fresh_wait(struct sk_read *r, struct err *e)
{
	struct sk_fresh *f = r->fresh;
	struct err why = ERR_INIT;

	if (!f->values.is_posted)
		return 0;
	if (sk_values_wait(r->d->sk->readers, &f->values, &why) && why.code == ERR_NOMEM) {
		*e = why;
		return -1;
	}
	if (f->fd >= 0 && f->family != AF_PACKET) {
		close(f->fd);
		f->fd = -1;
	}
	return 0;
}

/* -- multicast groups of a namespace -- */

static int group_add(struct sk_netns *c, const struct sk_group *g, struct err *e)
{
	struct sk_group *all;

	if (!(c->n_groups & (c->n_groups + 1))) { /* 0, 1, 3, 7, ...: full */
		all = realloc(c->groups, (c->n_groups * 2 + 1) * sizeof(*all));
		if (!all)
			return err_set(e, ERR_NOMEM, "multicast groups");
		c->groups = all;
	}
	c->groups[c->n_groups++] = *g;
	return 0;
}

/* Lines of /proc/net/igmp: "2\teth0 : 1 V3" begins a device, "\t\t\t010000E0 1 0:..." is a group, the
 * address as the 32-bit word it is in memory (net/ipv4/igmp.c, igmp_mc_seq_show). */
static int parse_igmp(struct sk_netns *c, char *text, struct err *e)
{
	struct sk_group g = {.family = AF_INET};
	char *save, *line;

	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		unsigned n;
		uint32_t addr;

		if (line[0] != '\t') {
			g.ifindex = sscanf(line, "%u", &n) == 1 ? n : 0;
			continue;
		}
		if (!g.ifindex || sscanf(line, " %8x", &addr) != 1)
			continue;
		memcpy(g.addr, &addr, sizeof(addr));
		if (group_add(c, &g, e) != 0)
			return -1;
	}
	return 0;
}

/* "2 eth0 ff020000000000000000000000000001 1 0000000C 0" */
static int parse_igmp6(struct sk_netns *c, char *text, struct err *e)
{
	struct sk_group g = {.family = AF_INET6};
	char *save, *line;

	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char hex[33];
		bool whole = true;

		if (sscanf(line, "%u %*s %32s", &g.ifindex, hex) != 2 || strlen(hex) != 32)
			continue;
		for (size_t i = 0; i < 16; i++) {
			unsigned b;

			whole &= sscanf(hex + 2 * i, "%2x", &b) == 1;
			g.addr[i] = (uint8_t)b;
		}
		if (whole && group_add(c, &g, e) != 0)
			return -1;
	}
	return 0;
}

static int read_groups(void *arg, struct err *e)
{
	static const struct {
		const char *path;
		int (*parse)(struct sk_netns *c, char *text, struct err *e);
	} files[] = {
		{"/proc/thread-self/net/igmp", parse_igmp},
		{"/proc/thread-self/net/igmp6", parse_igmp6},
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		auto_buf struct buf text = {0};
		struct err why = ERR_INIT;

		if (io_read_file(AT_FDCWD, files[i].path, 16 << 20, &text, &why) != 0) {
			if (why.saved_errno ==
			    ENOENT) /* no multicast, or no IPv6, in this kernel */
				continue;
			*e = why;
			return -1;
		}
		if (text.len && files[i].parse(arg, (char *)text.data, e) != 0)
			return -1;
	}
	return 0;
}

int sk_groups(struct sk_read *r, const struct sk_group **groups, size_t *n, struct err *e)
{
	struct sk_netns *c = cache_netns(r->d, r->s->netns->id, e);

	if (!c)
		return -1;
	if (!c->has_groups && ns_call(r->s->netns->ns, read_groups, c, e) != 0 &&
	    (e->code != ERR_PERM ||
	     dump_lose(r->d, e, r->object,
		       "its network namespace cannot be entered: multicast groups are unknown") !=
		     0))
		return err_wrap(e, "multicast groups");
	c->has_groups = true;
	*groups = c->groups;
	*n = c->n_groups;
	return 0;
}
