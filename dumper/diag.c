#include "dumper/diag.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink_diag.h>
#include <linux/packet_diag.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <linux/vm_sockets_diag.h>
#include <linux/xdp_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/nl.h"
#include "base/u64map.h"

/* So many sockets of a namespace are asked for one by one, then their table is fetched. */
enum { EXACT_MAX = 64 };

static const struct diag_row {
	const char *name;
	uint8_t family;
	uint16_t protocol;
	uint16_t hdr_len, ino_off, state_off; /* of the answer; state_off 0: has none */
	uint32_t states;
	const char *proto, *proto6; /* its lines in /proc/net/protocols, NULL: do not look there */
} rows[] = {
#define INET(name, family, protocol, states, proto)                                                \
	{                                                                                          \
		name, family, protocol, sizeof(struct inet_diag_msg),                              \
			offsetof(struct inet_diag_msg, idiag_inode),                               \
			offsetof(struct inet_diag_msg, idiag_state), states, proto, NULL           \
	}
	[DIAG_UNIX] = {"unix", AF_UNIX, 0, sizeof(struct unix_diag_msg),
		       offsetof(struct unix_diag_msg, udiag_ino),
		       offsetof(struct unix_diag_msg, udiag_state), ~0u, NULL, NULL},
	[DIAG_NETLINK] = {"netlink", AF_NETLINK, 0, sizeof(struct netlink_diag_msg),
			  offsetof(struct netlink_diag_msg, ndiag_ino),
			  offsetof(struct netlink_diag_msg, ndiag_state), 0, NULL, NULL},
	[DIAG_PACKET] = {"packet", AF_PACKET, 0, sizeof(struct packet_diag_msg),
			 offsetof(struct packet_diag_msg, pdiag_ino), 0, 0, NULL, NULL},
	[DIAG_TCP] = {"TCP", AF_UNSPEC, IPPROTO_TCP, sizeof(struct inet_diag_msg),
		      offsetof(struct inet_diag_msg, idiag_inode),
		      offsetof(struct inet_diag_msg, idiag_state), ~0u, "TCP", "TCPv6"},
	[DIAG_UDP4] = INET("UDP", AF_INET, IPPROTO_UDP, ~0u, "UDP"),
	[DIAG_UDP6] = INET("UDP", AF_INET6, IPPROTO_UDP, ~0u, "UDPv6"),
	[DIAG_UDPLITE4] = INET("UDP-Lite", AF_INET, IPPROTO_UDPLITE, ~0u, "UDP-Lite"),
	[DIAG_UDPLITE6] = INET("UDP-Lite", AF_INET6, IPPROTO_UDPLITE, ~0u, "UDPLITEv6"),
	[DIAG_RAW4] = INET("raw", AF_INET, IPPROTO_RAW, ~0u, "RAW"),
	[DIAG_RAW6] = INET("raw", AF_INET6, IPPROTO_RAW, ~0u, "RAWv6"),
	[DIAG_MPTCP4] = INET("MPTCP", AF_INET, IPPROTO_MPTCP, ~0u, "MPTCP"),
	[DIAG_MPTCP6] = INET("MPTCP", AF_INET6, IPPROTO_MPTCP, ~0u, "MPTCPv6"),
	[DIAG_VSOCK] = {"vsock", AF_VSOCK, 0, sizeof(struct vsock_diag_msg),
			offsetof(struct vsock_diag_msg, vdiag_ino),
			offsetof(struct vsock_diag_msg, vdiag_state), ~0u, NULL, NULL},
	[DIAG_XDP] = {"XDP", AF_XDP, 0, sizeof(struct xdp_diag_msg),
		      offsetof(struct xdp_diag_msg, xdiag_ino), 0, 0, NULL, NULL},
#undef INET
};

_Static_assert(ARRAY_SIZE(rows) == DIAG_TABLE_COUNT && DIAG_TABLE_COUNT <= 32,
	       "a row, and a bit, each");

struct diag {
	const struct ns *ns;
	struct {
		bool fetched;
		struct buf msgs;
		struct u64map by_ino; /* offset in msgs */
	} tables[DIAG_TABLE_COUNT];
	struct diag_shared *shared;
	struct nl *nl;       /* NULL: not opened, or refused */
	struct nl *lent;     /* nl is this one; NULL: it is ours */
	bool is_refused;     /* the namespace is not ours to enter */
	uint32_t nl_fetched; /* protocols of netlink, a bit each, that are in the table */
	struct buf exact;    /* the last answer about one socket */
	unsigned n_exact;
	uint32_t empty; /* tables that /proc/net/protocols says are */
	bool has_empty;
};

const char *diag_table_name(enum diag_table table)
{
	return rows[table].name;
}

void diag_shared_free(struct diag_shared *shared)
{
	u64map_free(&shared->own);
	*shared = (struct diag_shared){0};
}

struct diag *diag_new(const struct ns *ns, struct diag_shared *shared, struct err *e)
{
	struct diag *dg = calloc(1, sizeof(*dg));

	if (!dg) {
		err_set(e, ERR_NOMEM, "sockets of a namespace");
		return NULL;
	}
	dg->ns = ns;
	dg->shared = shared;
	return dg;
}

void diag_free(struct diag *dg)
{
	if (!dg)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(dg->tables); i++) {
		buf_free(&dg->tables[i].msgs);
		u64map_free(&dg->tables[i].by_ino);
	}
	diag_close(dg);
	buf_free(&dg->exact);
	free(dg);
}

unsigned diag_n_sockets(const struct diag *dg)
{
	return dg->nl && !dg->lent;
}

void diag_close(struct diag *dg)
{
	if (!dg->lent)
		nl_free(dg->nl);
	dg->nl = NULL;
}

void diag_use(struct diag *dg, struct nl *nl)
{
	dg->lent = nl;
}

bool diag_is_own(const struct diag *dg, uint64_t ino)
{
	uint32_t one;

	return u64map_find(&dg->shared->own, ino, &one);
}

int diag_own_add(struct diag_shared *shared, int fd, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st))
		return err_sys(e, ERR_KERNEL, "stat a socket");
	return u64map_put(&shared->own, st.st_ino, 1, e);
}

/* What this process has open stands in the tables too. Looked through once: a dump of many namespaces has many
 * descriptors. */
static int note_own(struct diag_shared *shared, struct err *e)
{
	auto_dir DIR *dir = shared->has_own ? NULL : opendir("/proc/self/fd");
	struct dirent *de;
	struct stat st;

	if (shared->has_own)
		return 0;
	if (!dir)
		return err_sys(e, ERR_IO, "open /proc/self/fd");
	while ((de = readdir(dir))) {
		if (fstatat(dirfd(dir), de->d_name, &st, 0) == 0 && S_ISSOCK(st.st_mode) &&
		    u64map_put(&shared->own, st.st_ino, 1, e) != 0)
			return -1;
	}
	shared->has_own = true;
	return 0;
}

/* TCP's request that answers for both families in one walk (net/ipv4/inet_diag.c, inet_diag_dump_compat). MD5
 * keys only come along with tcp_info (inet_sk_diag_fill). */
enum { TCPDIAG_GETSOCK_ = 18 };

static int request_tcp(struct buf *req, const struct diag_row *row, struct err *e)
{
	struct inet_diag_req r = {
		.idiag_family = AF_INET,
		.idiag_ext = 1 << (INET_DIAG_INFO - 1),
		.idiag_states = row->states,
	};

	return nl_msg_begin(req, TCPDIAG_GETSOCK_, 0, &r, sizeof(r), e);
}

static int request_inet(struct buf *req, const struct diag_row *row, struct err *e)
{
	struct inet_diag_req_v2 r = {
		.sdiag_family = row->family,
		.sdiag_protocol = row->protocol <= UINT8_MAX ? (uint8_t)row->protocol : 0,
		.idiag_ext = 1 << (INET_DIAG_SHUTDOWN - 1),
		.idiag_states = row->states,
	};

	if (nl_msg_begin(req, SOCK_DIAG_BY_FAMILY, 0, &r, sizeof(r), e) != 0)
		return -1;
	/* MPTCP's number does not fit into the header (inet_diag, Linux 5.9) */
	if (row->protocol > UINT8_MAX)
		return nl_put_u32(req, INET_DIAG_REQ_PROTOCOL, row->protocol, e);
	return 0;
}

/* nl_protocol: of netlink, NDIAG_PROTO_ALL or one */
static int request(struct buf *req, const struct diag_row *row, uint8_t nl_protocol, struct err *e)
{
	union {
		struct unix_diag_req un;
		struct netlink_diag_req nl;
		struct packet_diag_req pk;
		struct vsock_diag_req vs;
		struct xdp_diag_req xdp;
	} r = {0};
	size_t len;

	switch (row->family) {
	case AF_UNSPEC:
		return request_tcp(req, row, e);
	case AF_UNIX:
		r.un = (struct unix_diag_req){.sdiag_family = AF_UNIX,
					      .udiag_states = row->states,
					      .udiag_show = UDIAG_SHOW_PEER | UDIAG_SHOW_ICONS |
							    UDIAG_SHOW_RQLEN | UDIAG_SHOW_NAME};
		len = sizeof(r.un);
		break;
	case AF_NETLINK:
		r.nl = (struct netlink_diag_req){.sdiag_family = AF_NETLINK,
						 .sdiag_protocol = nl_protocol,
						 .ndiag_show = NDIAG_SHOW_GROUPS};
		len = sizeof(r.nl);
		break;
	case AF_PACKET:
		r.pk = (struct packet_diag_req){.sdiag_family = AF_PACKET,
						.pdiag_show =
							PACKET_SHOW_INFO | PACKET_SHOW_MCLIST |
							PACKET_SHOW_RING_CFG | PACKET_SHOW_FANOUT};
		len = sizeof(r.pk);
		break;
	case AF_VSOCK:
		r.vs = (struct vsock_diag_req){.sdiag_family = AF_VSOCK,
					       .vdiag_states = row->states};
		len = sizeof(r.vs);
		break;
	case AF_XDP:
		r.xdp = (struct xdp_diag_req){.sdiag_family = AF_XDP};
		len = sizeof(r.xdp);
		break;
	default:
		return request_inet(req, row, e);
	}
	return nl_msg_begin(req, SOCK_DIAG_BY_FAMILY, 0, &r, len, e);
}

/* A kernel without unix_diag, packet_diag, ... answers ENOENT; one that does not know the protocol of an
 * inet_diag request, or has no such family, one of the others. */
static bool is_missing(int error)
{
	return error == ENOENT || error == EINVAL || error == EOPNOTSUPP ||
	       error == EPROTONOSUPPORT || error == EAFNOSUPPORT;
}

/* The message at off, when it is a whole one of this table. */
static bool message_at(const struct diag *dg, enum diag_table table, size_t *off,
		       struct diag_sk *out)
{
	const struct diag_row *row = &rows[table];
	const struct nlmsghdr *h;

	while ((h = nl_msg_next(buf_span(&dg->tables[table].msgs), off))) {
		const uint8_t *msg = NLMSG_DATA(h);
		uint32_t ino;

		if (h->nlmsg_type != (row->family ? SOCK_DIAG_BY_FAMILY : TCPDIAG_GETSOCK_) ||
		    h->nlmsg_len < (size_t)NLMSG_LENGTH(row->hdr_len) ||
		    (row->family && msg[0] != row->family))
			continue;
		memcpy(&ino, msg + row->ino_off, sizeof(ino));
		*out = (struct diag_sk){table, ino, row->state_off ? msg[row->state_off] : 0, msg,
					nl_attrs(h, row->hdr_len)};
		return true;
	}
	return false;
}

/* /proc/net/protocols counts the sockets of each protocol in this namespace: "TCP 2304 3 ...". To ask for
 * those that are not there is not cheap: TCP's and MPTCP's tables are the machine's, and large. */
static int read_protocols(void *arg, struct err *e)
{
	struct diag *dg = arg;
	auto_buf struct buf text = {0};
	unsigned counts[ARRAY_SIZE(rows)] = {0};
	struct err why = ERR_INIT;
	char *save, *line;
	uint32_t seen = 0;

	if (io_read_file(AT_FDCWD, "/proc/thread-self/net/protocols", 1 << 20, &text, &why) != 0)
		return 0; /* then all are asked for */
	line = text.len ? strtok_r((char *)text.data, "\n", &save) : NULL;
	for (; line; line = strtok_r(NULL, "\n", &save)) {
		char name[32];
		unsigned n;

		if (sscanf(line, "%31s %*u %u", name, &n) != 2)
			continue;
		for (size_t t = 0; t < ARRAY_SIZE(rows); t++) {
			if (rows[t].proto &&
			    (strcmp(rows[t].proto, name) == 0 ||
			     (rows[t].proto6 && strcmp(rows[t].proto6, name) == 0))) {
				seen |= 1u << t;
				counts[t] += n;
			}
		}
	}
	for (size_t t = 0; t < ARRAY_SIZE(rows); t++)
		dg->empty |= seen & (counts[t] ? 0 : 1u << t);
	return 0;
}

/* 1: there is nothing to ask for, 0: ask, -1. */
static int is_empty(struct diag *dg, enum diag_table table, struct err *e)
{
	if (dg->shared->absent & 1u << table)
		return 1;
	if (!rows[table].proto)
		return 0;
	if (!dg->has_empty && ns_call(dg->ns, read_protocols, dg, e) != 0)
		return e->code == ERR_PERM ? 1 : -1;
	dg->has_empty = true;
	return (dg->empty & 1u << table) != 0;
}

/* 1: the socket to ask with is there, 0: the namespace is not ours to enter, -1. */
static int open_nl(struct diag *dg, struct err *e)
{
	if (dg->nl || dg->is_refused)
		return !dg->is_refused;
	dg->nl = dg->lent ? dg->lent : nl_open_in(dg->ns, NETLINK_SOCK_DIAG, e);
	if (!dg->nl && e->code == ERR_PERM) {
		dg->is_refused = true;
		return 0;
	}
	return dg->nl && note_own(dg->shared, e) == 0 &&
			       diag_own_add(dg->shared, nl_fd(dg->nl), e) == 0
		       ? 1
		       : -1;
}

/* Ask, and add the answers to the table. */
static int ask(struct diag *dg, enum diag_table table, uint8_t nl_protocol, struct err *e)
{
	auto_buf struct buf req = {0};
	struct err gone = ERR_INIT;
	struct buf *msgs = &dg->tables[table].msgs;
	size_t off = msgs->len, at;
	struct diag_sk sk;
	int rc = open_nl(dg, e);

	if (rc <= 0)
		return rc;
	if (request(&req, &rows[table], nl_protocol, e) != 0)
		return -1;
	rc = nl_dump_raw(dg->nl, &req, msgs, "sockets of a namespace", &gone);
	if (rc != 0 && !is_missing(gone.saved_errno)) {
		*e = gone;
		return err_wrap(e, "%s sockets", rows[table].name);
	}
	if (rc != 0) {
		dg->shared->absent |= 1u << table;
		buf_reset(msgs);
	}
	while (at = off, message_at(dg, table, &off, &sk)) {
		if (sk.ino && u64map_put(&dg->tables[table].by_ino, sk.ino, (uint32_t)at, e) != 0)
			return -1;
	}
	return 0;
}

static int fetch(struct diag *dg, enum diag_table table, struct err *e)
{
	int rc;

	if (dg->tables[table].fetched)
		return 0;
	rc = is_empty(dg, table, e);
	if (rc < 0)
		return -1;
	if (rc == 0) {
		if (table == DIAG_NETLINK) { /* a part of it may be there */
			buf_reset(&dg->tables[table].msgs);
			u64map_free(&dg->tables[table].by_ino);
		}
		if (ask(dg, table, NDIAG_PROTO_ALL, e) != 0)
			return -1;
	}
	dg->tables[table].fetched = true;
	return 0;
}

static int look_up(struct diag *dg, enum diag_table table, uint64_t ino, struct diag_sk *out)
{
	uint32_t at;
	size_t off;

	if (!ino || !u64map_find(&dg->tables[table].by_ino, ino, &at))
		return 0;
	off = at;
	return message_at(dg, table, &off, out) ? 1 : 0;
}

int diag_find(struct diag *dg, enum diag_table table, uint64_t ino, struct diag_sk *out,
	      struct err *e)
{
	return fetch(dg, table, e) != 0 ? -1 : look_up(dg, table, ino, out);
}

int diag_find_netlink(struct diag *dg, int protocol, uint64_t ino, struct diag_sk *out,
		      struct err *e)
{
	uint32_t bit = protocol >= 0 && protocol < 32 ? 1u << protocol : 0;

	if (!bit)
		return diag_find(dg, DIAG_NETLINK, ino, out, e);
	if (!dg->tables[DIAG_NETLINK].fetched && !(dg->nl_fetched & bit)) {
		if (!(dg->shared->absent & 1u << DIAG_NETLINK) &&
		    ask(dg, DIAG_NETLINK, (uint8_t)protocol, e) != 0)
			return -1;
		dg->nl_fetched |= bit;
	}
	return look_up(dg, DIAG_NETLINK, ino, out);
}

static void put_end(const struct sockaddr_storage *ss, socklen_t len, uint32_t addr[4],
		    uint16_t *port_be)
{
	const struct sockaddr_in *in = (const void *)ss;
	const struct sockaddr_in6 *in6 = (const void *)ss;

	if (!len)
		return;
	if (ss->ss_family == AF_INET) {
		*port_be = in->sin_port;
		memcpy(addr, &in->sin_addr, sizeof(in->sin_addr));
	} else {
		*port_be = in6->sin6_port;
		memcpy(addr, &in6->sin6_addr, sizeof(in6->sin6_addr));
	}
}

/* One socket by its addresses (inet_diag_find_one_icsk, udp_dump_one). 1: found, and the very one; 0. */
static int ask_exact(struct diag *dg, enum diag_table table, const struct diag_inet *sk,
		     struct diag_sk *out, struct err *e)
{
	struct inet_diag_req_v2 r = {
		.sdiag_family = (uint8_t)sk->family,
		.sdiag_protocol = (uint8_t)rows[table].protocol,
		/* MD5 keys come with INFO (inet_sk_diag_fill) */
		.idiag_ext = table == DIAG_TCP ? 1 << (INET_DIAG_INFO - 1)
					       : 1 << (INET_DIAG_SHUTDOWN - 1),
		.idiag_states = ~0u,
		.id.idiag_cookie = {(uint32_t)sk->cookie, (uint32_t)(sk->cookie >> 32)},
	};
	const struct inet_diag_msg *m;
	auto_buf struct buf req = {0};
	struct err not_found = ERR_INIT;
	const struct nlmsghdr *h;
	int rc = open_nl(dg, e);

	if (rc <= 0)
		return rc;
	if (table == DIAG_TCP) {
		put_end(sk->local, sk->local_len, r.id.idiag_src, &r.id.idiag_sport);
		put_end(sk->peer, sk->peer_len, r.id.idiag_dst, &r.id.idiag_dport);
	} else { /* "swapped for historical reasons" (udp_dump_one in net/ipv4/udp_diag.c) */
		put_end(sk->peer, sk->peer_len, r.id.idiag_src, &r.id.idiag_sport);
		put_end(sk->local, sk->local_len, r.id.idiag_dst, &r.id.idiag_dport);
	}
	if (nl_msg_begin(&req, SOCK_DIAG_BY_FAMILY, 0, &r, sizeof(r), e) != 0)
		return -1;
	if (nl_get(dg->nl, &req, &dg->exact, "socket", &not_found) != 0)
		return 0;
	h = (const void *)dg->exact.data;
	m = NLMSG_DATA(h);
	if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
	    h->nlmsg_len < (size_t)NLMSG_LENGTH(sizeof(*m)) || m->idiag_inode != sk->ino)
		return 0;
	*out = (struct diag_sk){table, sk->ino, m->idiag_state, m, nl_attrs(h, sizeof(*m))};
	return 1;
}

int diag_find_inet(struct diag *dg, enum diag_table table, const struct diag_inet *sk,
		   struct diag_sk *out, struct err *e)
{
	int rc = 0;

	if (!dg->tables[table].fetched && sk->local_len && dg->n_exact++ < EXACT_MAX)
		rc = ask_exact(dg, table, sk, out, e);
	return rc ? rc : diag_find(dg, table, sk->ino, out, e);
}

int diag_each(struct diag *dg, enum diag_table table, diag_fn *fn, void *arg, struct err *e)
{
	struct diag_sk sk;
	size_t off = 0;

	if (fetch(dg, table, e) != 0)
		return -1;
	while (message_at(dg, table, &off, &sk)) {
		int rc = fn(&sk, arg, e);

		if (rc != 0)
			return rc;
	}
	return 0;
}
