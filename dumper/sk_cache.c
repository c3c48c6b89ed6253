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
#include "dumper/sk_read.h"

/* Options of a fresh socket. */
struct sk_defaults {
	struct sk_defaults *next;
	int family, type, protocol;
	uint16_t *rows; /* of the table that such a socket has */
	size_t n_rows;
	int fd; /* the fresh socket, kept open: closing a packet socket waits for a grace period of
		 * RCU (packet_release), which tasks that stand still need not wait for */
	struct sk_value {
		bool has;
		struct buf v;
	} values[]; /* one per row of the table */
};

struct sk_netns {
	struct diag *diag;
	struct sk_defaults *defaults;
	struct sk_group *groups;
	size_t n_groups;
	bool has_groups;
};

struct sk_cache {
	struct sk_netns **by_id; /* by dump_netns.id; NULL: nothing yet */
	size_t n;
	struct diag_shared diag;    /* of all namespaces */
	struct sk_defaults *shared; /* of families whose options no sysctl of a namespace decides */
};

static void defaults_free(struct sk_defaults *df)
{
	while (df) {
		struct sk_defaults *next = df->next;

		for (size_t i = 0; i < sockopt_count(); i++)
			buf_free(&df->values[i].v);
		free(df->rows);
		if (df->fd >= 0)
			close(df->fd);
		free(df);
		df = next;
	}
}

static void netns_free(struct sk_netns *n)
{
	if (!n)
		return;
	defaults_free(n->defaults);
	diag_free(n->diag);
	free(n->groups);
	free(n);
}

void sk_cache_free(struct sk_cache *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n; i++)
		netns_free(c->by_id[i]);
	defaults_free(c->shared);
	diag_shared_free(&c->diag);
	free(c->by_id);
	free(c);
}

static struct sk_netns *cache_netns(struct dump *d, uint32_t id, struct err *e)
{
	struct sk_netns **all;

	if (!d->sk)
		d->sk = sk_alloc(sizeof(*d->sk), e);
	if (!d->sk)
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

	if (c && !c->diag)
		c->diag = diag_new(n->ns, &d->sk->diag, e);
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

/* Only a packet socket is worth the descriptor that it costs to keep it. */
static struct sk_defaults *defaults_read(const struct sk_read *r, bool shared, struct err *e)
{
	size_t n = sockopt_count();
	struct sk_defaults *df = sk_alloc(sizeof(*df) + n * sizeof(df->values[0]), e);

	if (!df)
		return NULL;
	df->family = r->family;
	df->type = r->type;
	df->protocol = r->protocol;
	df->fd = -1;
	df->rows = sk_alloc(n * sizeof(*df->rows), e);
	if (!df->rows) {
		defaults_free(df);
		return NULL;
	}
	df->fd = fresh_socket(r, shared);
	for (size_t i = 0; i < n; i++) {
		struct err why = ERR_INIT;

		if (!(sockopt_get(i)->kinds & r->kind))
			continue;
		df->rows[df->n_rows++] = (uint16_t)i;
		if (df->fd >= 0)
			df->values[i].has =
				sockopt_read(df->fd, sockopt_get(i), &df->values[i].v, &why) == 1;
	}
	if (df->fd >= 0 && r->family != AF_PACKET) {
		close(df->fd);
		df->fd = -1;
	}
	if (df->fd >= 0 && diag_own_add(&r->d->sk->diag, df->fd, e)) {
		defaults_free(df);
		return NULL;
	}
	return df;
}

static const struct sk_defaults *defaults_of(struct sk_read *r, struct err *e)
{
	bool shared = r->kind & (SOCKOPT_PACKET | SOCKOPT_UNIX | SOCKOPT_NETLINK);
	struct sk_netns *c = cache_netns(r->d, r->s->netns->id, e);
	struct sk_defaults **list, *df;

	if (!c)
		return NULL;
	list = shared ? &r->d->sk->shared : &c->defaults;
	for (df = *list; df; df = df->next) {
		if (df->family == r->family && df->type == r->type && df->protocol == r->protocol)
			return df;
	}
	df = defaults_read(r, shared, e);
	if (df) {
		df->next = *list;
		*list = df;
	}
	return df;
}

int sk_rows(struct sk_read *r, const uint16_t **rows, size_t *n, struct err *e)
{
	if (!r->defaults)
		r->defaults = defaults_of(r, e);
	if (!r->defaults)
		return -1;
	*rows = r->defaults->rows;
	*n = r->defaults->n_rows;
	return 0;
}

int sk_default(struct sk_read *r, size_t row_no, struct span *v, struct err *e)
{
	if (!r->defaults)
		r->defaults = defaults_of(r, e);
	if (!r->defaults)
		return -1;
	*v = buf_span(&r->defaults->values[row_no].v);
	return r->defaults->values[row_no].has;
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
