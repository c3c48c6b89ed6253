/* What sock_diag tells of an internet socket, and nothing else: the peer of one that is connected to port 0, where
 * getpeername(2) fails (inet_getname), and that just the write side of a datagram socket is shut. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/nl.h"
#include "base/ns.h"
#include "dumper/sk_read.h"

enum { ST_ESTABLISHED = 1, ST_LISTEN = 10 };

static void put_peer(struct sk_read *r, const void *addr, uint16_t port)
{
	struct sockaddr_in *in = (void *)&r->peer;
	struct sockaddr_in6 *in6 = (void *)&r->peer;

	memset(&r->peer, 0, sizeof(r->peer));
	r->peer.ss_family = (sa_family_t)r->family;
	if (r->family == AF_INET) {
		memcpy(&in->sin_addr, addr, sizeof(in->sin_addr));
		in->sin_port = htons(port);
		r->peer_len = sizeof(*in);
	} else {
		memcpy(&in6->sin6_addr, addr, sizeof(in6->sin6_addr));
		in6->sin6_port = htons(port);
		r->peer_len = sizeof(*in6);
	}
}

static int table_of(uint32_t kind)
{
	static const struct {
		uint32_t kind;
		enum diag_table table;
	} tables[] = {
		{SOCKOPT_TCP4, DIAG_TCP},          {SOCKOPT_TCP6, DIAG_TCP},
		{SOCKOPT_UDP4, DIAG_UDP4},         {SOCKOPT_UDP6, DIAG_UDP6},
		{SOCKOPT_UDPLITE4, DIAG_UDPLITE4}, {SOCKOPT_UDPLITE6, DIAG_UDPLITE6},
		{SOCKOPT_RAW4, DIAG_RAW4},         {SOCKOPT_RAW6, DIAG_RAW6},
	};

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		if (tables[i].kind == kind)
			return (int)tables[i].table;
	return -1;
}

int sk_find_diag(struct sk_read *r, struct diag_sk *sk, struct err *e)
{
	const struct diag_inet who = {r->s->ino, r->extra->cookie, r->family,  &r->local,
				      &r->peer,  r->local_len,     r->peer_len};

	int table = table_of(r->kind);

	if (table < 0)
		return 0;
	/* a raw socket is no single one by its addresses */
	return r->type == SOCK_RAW ? diag_find(r->diag, (enum diag_table)table, r->s->ino, sk, e)
				   : diag_find_inet(r->diag, (enum diag_table)table, &who, sk, e);
}

/* "0: 00000000:002E 0100007F:0000 01 ... inode ...": addresses as the words that they are in memory */
static bool parse_line(struct sk_read *r, const char *line)
{
	char local[40], peer[40];
	unsigned port, state;
	unsigned long long ino;
	uint32_t words[4] = {0};
	size_t n = r->family == AF_INET ? 1 : 4;

	if (sscanf(line, " %*u: %39[0-9A-F]:%*x %39[0-9A-F]:%x %x %*s %*s %*s %*s %*s %llu", local,
		   peer, &port, &state, &ino) != 5 ||
	    ino != r->s->ino || strlen(peer) != 8 * n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (sscanf(peer + 8 * i, "%8x", &words[i]) != 1)
			return false;
	if (state == ST_ESTABLISHED)
		put_peer(r, words, (uint16_t)port);
	return true;
}

/* A kernel without raw_diag has the table in /proc. */
static int ask_proc(void *arg, struct err *e)
{
	struct sk_read *r = arg;
	auto_buf struct buf text = {0};
	struct err why = ERR_INIT;
	char *save, *line;

	if (io_read_file(AT_FDCWD,
			 r->family == AF_INET ? "/proc/thread-self/net/raw"
					      : "/proc/thread-self/net/raw6",
			 16 << 20, &text, &why) != 0)
		return why.saved_errno == ENOENT ? 0 : (*e = why, -1);
	line = text.len ? strtok_r((char *)text.data, "\n", &save) : NULL;
	while (line && !parse_line(r, line))
		line = strtok_r(NULL, "\n", &save);
	return 0;
}

int sk_ask_diag(struct sk_read *r, struct err *e)
{
	const struct inet_diag_msg *m;
	const struct nlattr *a;
	struct diag_sk sk;
	int got = sk_find_diag(r, &sk, e);

	if (got < 0)
		return -1;
	if (!got) {
		if (r->type != SOCK_RAW || r->peer_len ||
		    ns_call(r->s->netns->ns, ask_proc, r, e) == 0)
			return 0;
		return e->code == ERR_PERM
			       ? dump_lose(r->d, e, r->object,
					   "its network namespace cannot be entered: whether it is "
					   "connected is unknown")
			       : -1;
	}
	m = sk.msg;
	if (!r->peer_len && sk.state == ST_ESTABLISHED)
		put_peer(r, m->id.idiag_dst, ntohs(m->id.idiag_dport));
	a = nl_attr_find(sk.attrs, INET_DIAG_SHUTDOWN);
	r->has_shut = a && nl_attr_data(a).len >= 1 && r->type != SOCK_RAW;
	if (r->has_shut)
		r->shut = nl_attr_data(a).data[0] & SK_SHUTDOWN__BOTH;
	return 0;
}

/* ---- the order in a group of SO_REUSEPORT ---- */

struct order {
	uint64_t ino;
	uint8_t family, state; /* state: of all that count; 0: any */
	struct inet_diag_sockid id;
	uint32_t before, all;
	bool found;
};

static int count_same(const struct diag_sk *sk, void *arg, struct err *e)
{
	struct order *o = arg;
	const struct inet_diag_msg *m = sk->msg;

	if (m->idiag_family != o->family || (o->state && sk->state != o->state) ||
	    m->id.idiag_sport != o->id.idiag_sport || m->id.idiag_if != o->id.idiag_if ||
	    memcmp(m->id.idiag_src, o->id.idiag_src, sizeof(o->id.idiag_src)) != 0)
		return 0;
	o->found |= sk->ino == o->ino;
	o->before += !o->found;
	o->all++;
	return 0;
}

/* The youngest is the first in the kernel's lists; of IPv6 sockets with SO_REUSEPORT the last (sk_add_node_rcu of
 * include/net/sock.h, __inet_hash). A member that left has had its number taken by the last one (__reuseport_detach_sock),
 * which no list tells. */
int sk_bind_order(struct sk_read *r, struct err *e)
{
	struct order o = {.ino = r->s->ino, .family = (uint8_t)r->family};
	bool is_tcp = r->kind & SOCKOPT_TCP;
	const struct inet_diag_msg *m;
	struct diag_sk sk;
	int got;

	if (!(r->kind & (SOCKOPT_TCP | SOCKOPT_UDP | SOCKOPT_UDPLITE)) ||
	    (is_tcp && r->state != ST_LISTEN) || !sk_int(r->s->fd, SOL_SOCKET, SO_REUSEPORT, 0))
		return 0;
	got = sk_find_diag(r, &sk, e);
	if (got <= 0)
		return got;
	m = sk.msg;
	o.id = m->id;
	o.state = is_tcp ? ST_LISTEN : 0;
	if (diag_each(r->diag, (enum diag_table)table_of(r->kind), count_same, &o, e) != 0)
		return -1;
	if (!o.found || o.all < 2)
		return 0;
	r->extra->has_bind_order = 1;
	r->extra->bind_order = r->family == AF_INET6 ? o.before : o.all - 1 - o.before;
	return 0;
}
