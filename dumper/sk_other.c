/* Sockets that CRIU has no record for: MPTCP, SCTP, vsock, XDP and whatever comes. Recorded with what every
 * socket tells, and named. Also: the sockets that no dumped task has a descriptor of. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/nl.h"
#include "dumper/sk_read.h"
#include "dumper/sk_tunnel.h"

enum { ST_ESTABLISHED = 1, ST_CLOSE = 7, ST_LISTEN = 10 };

static void describe_kind(const struct sk_read *r, char *text, size_t size)
{
	static const struct {
		int family, protocol; /* protocol 0: any */
		const char *name;
	} names[] = {
		{AF_INET, IPPROTO_MPTCP, "MPTCP"},
		{AF_INET6, IPPROTO_MPTCP, "MPTCP"},
		{AF_INET, IPPROTO_SCTP, "SCTP"},
		{AF_INET6, IPPROTO_SCTP, "SCTP"},
		{AF_VSOCK, 0, "vsock"},
		{AF_XDP, 0, "XDP"},
		{AF_ALG, 0, "kernel crypto"},
		{AF_BLUETOOTH, 0, "Bluetooth"},
		{AF_CAN, 0, "CAN"},
		{AF_TIPC, 0, "TIPC"},
		{AF_KCM, 0, "KCM"},
		{AF_RDS, 0, "RDS"},
		{AF_RXRPC, 0, "RxRPC"},
		{AF_QIPCRTR, 0, "Qualcomm IPC router"},
		{AF_SMC, 0, "SMC"},
		{AF_NFC, 0, "NFC"},
		{AF_PPPOX, 0, "PPPoX"},
		{AF_KEY, 0, "PF_KEY"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (names[i].family != r->family ||
		    (names[i].protocol && names[i].protocol != r->protocol))
			continue;
		snprintf(text, size, "%s", names[i].name);
		return;
	}
	snprintf(text, size, "family %d type %d protocol %d", r->family, r->type, r->protocol);
}

static int read_state(struct sk_read *r, NsimgSkEntry *sk, struct err *e)
{
	static const struct {
		uint32_t kind;
		enum diag_table table;
	} tables[] = {
		{SOCKOPT_MPTCP4, DIAG_MPTCP4},
		{SOCKOPT_MPTCP6, DIAG_MPTCP6},
		{SOCKOPT_VSOCK, DIAG_VSOCK},
	};
	struct diag_sk found;
	int got = 0;

	r->state = sk_int(r->s->fd, SOL_SOCKET, SO_ACCEPTCONN, 0) ? ST_LISTEN
		   : r->peer_len                                  ? ST_ESTABLISHED
								  : ST_CLOSE;
	r->is_connected = r->peer_len > 0;
	for (size_t i = 0; i < ARRAY_SIZE(tables) && got == 0; i++) {
		if (tables[i].kind == r->kind)
			got = diag_find(r->diag, tables[i].table, r->s->ino, &found, e);
	}
	if (got < 0)
		return -1;
	if (got == 1)
		r->state = found.state;
	if (got == 1 && r->state == ST_LISTEN && (r->kind & SOCKOPT_MPTCP)) {
		const struct inet_diag_msg *m = found.msg;

		sk->has_backlog = 1;
		sk->backlog = m->idiag_wqueue; /* of a listener: the limit, and rqueue what waits */
		r->extra->has_n_unaccepted = m->idiag_rqueue != 0;
		r->extra->n_unaccepted = m->idiag_rqueue;
	}
	sk->state = r->state;
	return 0;
}

static int fill(struct sk_read *r, NsimgSkEntry *sk, struct err *e)
{
	char kind[64];

	sk->nsimg = r->extra;
	sk->id = r->s->file_id;
	sk->ino = (uint32_t)r->s->ino;
	sk->family = (uint32_t)r->family;
	sk->type = (uint32_t)r->type;
	sk->protocol = (uint32_t)r->protocol;
	sk->has_ns_id = sk->has_flags = 1;
	sk->ns_id = r->s->netns->id;
	sk->flags = r->flags;
	if (r->local_len) {
		sk->has_local_addr = 1;
		if (sk_put_bytes(&sk->local_addr, &r->local, r->local_len, e) != 0)
			return -1;
	}
	if (r->peer_len) {
		sk->has_peer_addr = 1;
		if (sk_put_bytes(&sk->peer_addr, &r->peer, r->peer_len, e) != 0)
			return -1;
	}
	if (read_state(r, sk, e) != 0 || sk_options(r, NULL, e) != 0 || sk_queues(r, e) != 0)
		return -1;
	describe_kind(r, kind, sizeof(kind));
	return dump_lose(r->d, e, r->object, "%s sockets are recorded, not restored", kind);
}

int sk_other_write(struct sk_read *r, struct img_writer *others, struct err *e)
{
	NsimgSkEntry *sk = sk_new(NsimgSkEntry, nsimg_sk_entry, e);
	int rc;

	if (!sk) {
		nsimg_sk__free_unpacked(r->extra, NULL);
		return -1;
	}
	rc = fill(r, sk, e);
	if (rc == 0)
		rc = img_write_message(others, &sk->base, e);
	if (rc == 0)
		r->d->n_others++;
	nsimg_sk_entry__free_unpacked(sk, NULL);
	return rc;
}

/* -- sockets without a descriptor -- */

enum { NAMED_MAX = 16 }; /* per table; the rest is counted */

struct missing {
	struct dump *d;
	bool (*is_dumped)(uint64_t ino, void *arg);
	void *arg;
	const struct diag *diag;
	const char *netns; /* for messages */
	const struct dump_netns *in;
	size_t n;
	struct u64map *ports; /* of tunnel devices, read when they are needed */
	bool *has_ports;
};

static void describe_inet(const struct diag_sk *sk, struct buf *out, struct err *e)
{
	const struct inet_diag_msg *m = sk->msg;
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];

	inet_ntop(m->idiag_family, m->id.idiag_src, src, sizeof(src));
	inet_ntop(m->idiag_family, m->id.idiag_dst, dst, sizeof(dst));
	buf_printf(out, e, m->idiag_family == AF_INET6 ? " [%s]:%u" : " %s:%u", src,
		   ntohs(m->id.idiag_sport));
	if (m->id.idiag_dport)
		buf_printf(out, e, m->idiag_family == AF_INET6 ? " to [%s]:%u" : " to %s:%u", dst,
			   ntohs(m->id.idiag_dport));
}

static void describe(const struct diag_sk *sk, struct buf *out, struct err *e)
{
	const struct nlattr *name;

	buf_printf(out, e, "%s socket %llu", diag_table_name(sk->table),
		   (unsigned long long)sk->ino);
	if (sk->table >= DIAG_TCP && sk->table <= DIAG_MPTCP6)
		describe_inet(sk, out, e);
	name = sk->table == DIAG_UNIX ? nl_attr_find(sk->attrs, UNIX_DIAG_NAME) : NULL;
	if (name && buf_add_str(out, " ", e) == 0)
		escape_add(out, nl_attr_data(name).data, nl_attr_data(name).len, e);
}

/* The kernel's own end of a netlink protocol has an inode, but neither port nor groups. (A program's socket
 * without both is in no table of the kernel's.) */
static bool is_kernel_netlink(const struct diag_sk *sk)
{
	const struct netlink_diag_msg *m = sk->msg;

	return sk->table == DIAG_NETLINK && m->ndiag_portid == 0 &&
	       !nl_attr_find(sk->attrs, NETLINK_DIAG_GROUPS);
}

/* 1 when it is the socket of a tunnel device, 0, -1. The socket is in the namespace where the device was made,
 * which it may have left: the devices of all namespaces count. */
static int is_of_tunnel(struct missing *m, const struct diag_sk *sk, struct err *e)
{
	const struct inet_diag_msg *msg = sk->msg;
	uint32_t one;

	if ((sk->table != DIAG_UDP4 && sk->table != DIAG_UDP6) || msg->id.idiag_dport)
		return 0;
	for (size_t i = 0; !*m->has_ports && i < m->d->n_netns; i++)
		if (!m->d->netns[i]->external && sk_tunnel_ports(m->d->netns[i]->ns, m->ports, e))
			return -1;
	*m->has_ports = true;
	return u64map_find(m->ports, ntohs(msg->id.idiag_sport), &one);
}

/* The kernel makes it again with the endpoint. */
static bool is_of_endpoint(const struct missing *m, const struct diag_sk *sk)
{
	const struct inet_diag_msg *msg = sk->msg;

	if (sk->table != DIAG_TCP || sk->state != TCP_LISTEN)
		return false;
	for (size_t i = 0; i < m->in->n_endpoint_ports; i++)
		if (m->in->endpoint_ports[i] == ntohs(msg->id.idiag_sport))
			return true;
	return false;
}

static int missing_one(const struct diag_sk *sk, void *arg, struct err *e)
{
	struct missing *m = arg;
	auto_buf struct buf what = {0};
	struct err no_text = ERR_INIT;
	int rc;

	if (!sk->ino || is_kernel_netlink(sk) || diag_is_own(m->diag, sk->ino) ||
	    m->is_dumped(sk->ino, m->arg))
		return 0;
	if (is_of_endpoint(m, sk))
		return 0;
	rc = is_of_tunnel(m, sk, e);
	if (rc)
		return rc < 0 ? -1 : 0;
	/* CRIU may keep some of them: which, is known later */
	if (++m->n > NAMED_MAX && !m->d->opts.criu)
		return 0;
	describe(sk, &what, &no_text);
	if (no_text.code != ERR_NONE) {
		*e = no_text;
		return -1;
	}
	return dump_lose_socket(m->d, e, sk->ino, (char *)what.data,
				"in %s; no dumped task has a descriptor of it: not kept", m->netns);
}

int sk_note_missing(struct dump *d, struct dump_netns *n,
		    bool (*is_dumped)(uint64_t ino, void *arg), void *arg, struct err *e)
{
	char netns[300];
	struct diag *dg = sk_diag(d, n, e);
	struct u64map ports = {0};
	bool has_ports = false;
	int rc = 0;

	if (!dg)
		return -1;
	if (n->all_dumped) {
		if (!d->keep_open)
			diag_close(dg);
		return 0;
	}
	if (n->n_names)
		snprintf(netns, sizeof(netns), "network namespace %s", n->names[0]);
	else if (d->opts.criu) /* CRIU gives the numbers, later */
		snprintf(netns, sizeof(netns), "network namespace net:[%llu]",
			 (unsigned long long)n->ino);
	else
		snprintf(netns, sizeof(netns), "network namespace %u", n->id);
	for (int t = 0; !rc && t < DIAG_TABLE_COUNT; t++) {
		struct missing m = {d, is_dumped, arg, dg, netns, n, 0, &ports, &has_ports};

		rc = diag_each(dg, (enum diag_table)t, missing_one, &m, e);
		if (!rc && m.n > NAMED_MAX && !d->opts.criu)
			rc = dump_lose(d, e, netns, "%zu more %s sockets without a descriptor",
				       m.n - NAMED_MAX, diag_table_name((enum diag_table)t));
	}
	u64map_free(&ports);
	if (!d->keep_open)
		diag_close(dg);
	return rc ? -1 : 0;
}
