/* IPv4 and IPv6 sockets: TCP, UDP, UDP-Lite, raw, ping. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/inet_diag.h>
#include <linux/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/nl.h"
#include "dumper/sk_read.h"

enum { ST_ESTABLISHED = 1, ST_FIN_WAIT1 = 4, ST_FIN_WAIT2, ST_CLOSE = 7, ST_LISTEN = 10 };

static int put_words(uint32_t **out, size_t *n_out, const void *addr, size_t n, struct err *e)
{
	*out = sk_alloc(n * sizeof(uint32_t), e);
	if (!*out)
		return -1;
	if (addr)
		memcpy(*out, addr, n * sizeof(uint32_t));
	*n_out = n;
	return 0;
}

/* Words as they lie in memory, ports in host order; a missing address is all zero, as CRIU has it. */
static int put_address(const struct sk_read *r, const struct sockaddr_storage *ss, bool has,
		       uint32_t **words, size_t *n, uint32_t *port, struct err *e)
{
	const struct sockaddr_in *in = (const void *)ss;
	const struct sockaddr_in6 *in6 = (const void *)ss;

	if (r->family == AF_INET) {
		*port = has ? ntohs(in->sin_port) : 0;
		return put_words(words, n, has ? &in->sin_addr : NULL, 1, e);
	}
	*port = has ? ntohs(in6->sin6_port) : 0;
	return put_words(words, n, has ? &in6->sin6_addr : NULL, 4, e);
}

static void put_scopes(struct sk_read *r)
{
	const struct sockaddr_in6 *local = (const void *)&r->local, *peer = (const void *)&r->peer;

	if (r->family != AF_INET6)
		return;
	if (r->local_len && local->sin6_scope_id) {
		r->extra->has_scope_id = 1;
		r->extra->scope_id = local->sin6_scope_id;
	}
	if (r->peer_len && peer->sin6_scope_id) {
		r->extra->has_dst_scope_id = 1;
		r->extra->dst_scope_id = peer->sin6_scope_id;
	}
}

/* The device of a link-local address: CRIU binds to it by name. */
static int put_ifname(const struct sk_read *r, InetSkEntry *isk, struct err *e)
{
	const struct sockaddr_in6 *in6 = (const void *)&r->local;

	if (r->family != AF_INET6 || !r->local_len || in6->sin6_addr.s6_addr[0] != 0xfe ||
	    (in6->sin6_addr.s6_addr[1] & 0xc0) != 0x80 || !isk->opts->so_bound_dev)
		return 0;
	isk->ifname = sk_text(isk->opts->so_bound_dev, e);
	return isk->ifname ? 0 : -1;
}

/* Backlog and state of TCP need no diag: tcp_get_info fills tcpi_unacked and tcpi_sacked of a listener with
 * its accept queue and its limit. */
static int read_tcp(struct sk_read *r, InetSkEntry *isk, struct err *e)
{
	union {
		struct tcp_info info;
		uint8_t raw[1024];
	} t = {0};
	socklen_t len = sizeof(t);

	if (getsockopt(r->s->fd, IPPROTO_TCP, TCP_INFO, &t, &len) != 0)
		return err_sys(e, ERR_KERNEL, "getsockopt TCP_INFO");
	isk->state = r->state = t.info.tcpi_state;
	r->is_connected = r->state != ST_CLOSE && r->state != ST_LISTEN;
	if (r->state == ST_LISTEN) {
		isk->backlog = t.info.tcpi_sacked;
		if (!t.info.tcpi_unacked)
			return 0;
		r->extra->has_n_unaccepted = 1;
		r->extra->n_unaccepted = t.info.tcpi_unacked;
		return dump_lose(r->d, e, r->object,
				 "%u connections waiting to be accepted are not kept",
				 t.info.tcpi_unacked);
	}
	if (!r->is_connected)
		return 0;
	r->extra->has_tcp_info = 1;
	if (sk_put_bytes(&r->extra->tcp_info, &t, len, e) != 0)
		return -1;
	if (r->d->opts.criu)
		return 0;
	return dump_lose(r->d, e, r->object,
			 "the TCP connection is recorded but cannot be continued: its sequence "
			 "numbers and queues are only visible in repair mode");
}

/* poll(2) shows a shut read side (POLLRDHUP) and both (POLLHUP); only sock_diag tells that just the write
 * side of a datagram socket is shut. A TCP socket that shut its write side is past ESTABLISHED. */
static void read_shutdown(const struct sk_read *r, InetSkEntry *isk)
{
	struct pollfd p = {.fd = r->s->fd, .events = POLLRDHUP};
	uint32_t how = 0;

	if (r->state == ST_LISTEN || ((r->kind & SOCKOPT_TCP) && !r->is_connected))
		return;
	if (r->has_shut) {
		how = r->shut;
	} else if (poll(&p, 1, 0) > 0) {
		if (p.revents & POLLRDHUP)
			how |= SK_SHUTDOWN__READ;
		if ((p.revents & POLLHUP) || r->state == ST_FIN_WAIT1 || r->state == ST_FIN_WAIT2)
			how |= SK_SHUTDOWN__WRITE;
	}
	isk->has_shutdown = how != 0;
	isk->shutdown = (SkShutdown)how;
}

/* Keys that guard a listener or a connection. getsockopt does not give them; inet_diag does, to CAP_NET_ADMIN (tcp_diag.c,
 * INET_DIAG_MD5SIG). An interface that a key is bound to is not in there. */
static int keep_md5(struct sk_read *r, const struct tcp_diag_md5sig *k, struct err *e)
{
	struct tcp_md5sig sig = {.tcpm_prefixlen = k->tcpm_prefixlen};
	uint8_t whole = k->tcpm_family == AF_INET6 ? 128 : 32;
	struct sockaddr_in *in = (void *)&sig.tcpm_addr;
	struct sockaddr_in6 *in6 = (void *)&sig.tcpm_addr;

	sig.tcpm_addr.ss_family = k->tcpm_family;
	if (k->tcpm_family == AF_INET6)
		memcpy(&in6->sin6_addr, k->tcpm_addr, sizeof(in6->sin6_addr));
	else
		memcpy(&in->sin_addr, k->tcpm_addr, sizeof(in->sin_addr));
	sig.tcpm_keylen = k->tcpm_keylen;
	memcpy(sig.tcpm_key, k->tcpm_key, sizeof(sig.tcpm_key));
	if (sig.tcpm_prefixlen != whole)
		sig.tcpm_flags = TCP_MD5SIG_FLAG_PREFIX;
	else
		sig.tcpm_prefixlen = 0;
	return sk_extra_option(r, IPPROTO_TCP, sig.tcpm_flags ? TCP_MD5SIG_EXT : TCP_MD5SIG,
			       (struct span){(const uint8_t *)&sig, sizeof(sig)}, e);
}

static int read_md5(struct sk_read *r, struct err *e)
{
	const struct nlattr *a;
	struct diag_sk sk;
	struct span keys;
	int got;

	if (!(r->kind & SOCKOPT_TCP))
		return 0;
	got = sk_find_diag(r, &sk, e);
	if (got <= 0)
		return got;
	a = nl_attr_find(sk.attrs, INET_DIAG_MD5SIG);
	keys = a ? nl_attr_data(a) : (struct span){0};
	if (keys.len && r->d->opts.no_secrets)
		return dump_lose(r->d, e, r->object, "TCP_MD5SIG is left out (--no-secrets)");
	for (size_t at = 0; at + sizeof(struct tcp_diag_md5sig) <= keys.len;
	     at += sizeof(struct tcp_diag_md5sig)) {
		struct tcp_diag_md5sig k;

		memcpy(&k, keys.data + at, sizeof(k));
		if (keep_md5(r, &k, e) != 0)
			return -1;
	}
	return 0;
}

/* -- memberships -- */

enum { SOURCES_AT_ONCE = 64 };

struct membership {
	struct group_filter f;
	struct sockaddr_storage more[SOURCES_AT_ONCE - 1]; /* f.gf_slist goes on here */
};

/* Did this socket join the group on that device? The kernel has no list per socket, but ip_mc_gsfget and
 * ip6_mc_msfget answer EADDRNOTAVAIL for a group that was not joined. Changes nothing. */
static bool ask_group(const struct sk_read *r, const struct sk_group *g, struct membership *m)
{
	struct sockaddr_in *in = (void *)&m->f.gf_group;
	struct sockaddr_in6 *in6 = (void *)&m->f.gf_group;
	socklen_t len = sizeof(*m);

	memset(m, 0, sizeof(*m));
	m->f.gf_interface = g->ifindex;
	m->f.gf_numsrc = SOURCES_AT_ONCE;
	m->f.gf_group.ss_family = (sa_family_t)g->family;
	if (g->family == AF_INET)
		memcpy(&in->sin_addr, g->addr, sizeof(in->sin_addr));
	else
		memcpy(&in6->sin6_addr, g->addr, sizeof(in6->sin6_addr));
	return getsockopt(r->s->fd, g->family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6,
			  MCAST_MSFILTER, m, &len) == 0;
}

static int put_sources(NsimgMembership *out, const struct membership *m, int family, struct err *e)
{
	size_t n = m->f.gf_numsrc < SOURCES_AT_ONCE ? m->f.gf_numsrc : SOURCES_AT_ONCE;
	const struct sockaddr_storage *src = m->f.gf_slist;

	if (!n)
		return 0;
	out->source = sk_alloc(n * sizeof(*out->source), e);
	if (!out->source)
		return -1;
	for (; out->n_source < n; out->n_source++, src++) {
		const struct sockaddr_in *in = (const void *)src;
		const struct sockaddr_in6 *in6 = (const void *)src;
		int rc = family == AF_INET
				 ? sk_put_bytes(&out->source[out->n_source], &in->sin_addr,
						sizeof(in->sin_addr), e)
				 : sk_put_bytes(&out->source[out->n_source], &in6->sin6_addr,
						sizeof(in6->sin6_addr), e);

		if (rc != 0)
			return -1;
	}
	return 0;
}

static int keep_membership(struct sk_read *r, const struct sk_group *g, const struct membership *m,
			   struct err *e)
{
	NsimgSk *x = r->extra;
	NsimgMembership *out = sk_new(NsimgMembership, nsimg_membership, e);
	NsimgMembership **all = out ? realloc(x->member, (x->n_member + 1) * sizeof(*all)) : NULL;

	if (!all) {
		free(out);
		return err_set(e, ERR_NOMEM, "memberships of a socket");
	}
	x->member = all;
	x->member[x->n_member++] = out;
	out->family = (uint32_t)g->family;
	out->ifindex = g->ifindex;
	out->has_mode = 1;
	out->mode = m->f.gf_fmode;
	if (sk_put_bytes(&out->group, g->addr, g->family == AF_INET ? 4 : 16, e) != 0)
		return -1;
	if (put_sources(out, m, g->family, e) != 0)
		return -1;
	if (m->f.gf_numsrc > SOURCES_AT_ONCE)
		return dump_lose(r->d, e, r->object,
				 "a multicast group with %u sources: the first %d are kept",
				 m->f.gf_numsrc, SOURCES_AT_ONCE);
	return 0;
}

int sk_memberships(struct sk_read *r, struct err *e)
{
	const struct sk_group *groups;
	struct membership m;
	size_t n;

	if (sk_groups(r, &groups, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (groups[i].family == AF_INET6 && r->family != AF_INET6)
			continue;
		if (ask_group(r, &groups[i], &m) && keep_membership(r, &groups[i], &m, e) != 0)
			return -1;
	}
	return 0;
}

/* The messages inside the record that CRIU writes for every socket, or for every raw or ping one. */
static int make_parts(struct sk_read *r, InetSkEntry *isk, struct err *e)
{
	isk->fown = sk_fown(r, e);
	isk->opts = isk->fown ? sk_new(SkOptsEntry, sk_opts_entry, e) : NULL;
	isk->ip_opts = isk->opts ? sk_new(IpOptsEntry, ip_opts_entry, e) : NULL;
	if (!isk->ip_opts)
		return -1;
	if (r->type == SOCK_RAW) {
		isk->ip_opts->raw = sk_new(IpOptsRawEntry, ip_opts_raw_entry, e);
		if (!isk->ip_opts->raw)
			return -1;
	}
	isk->tcp_opts = sk_new(TcpOptsEntry, tcp_opts_entry, e);
	return isk->tcp_opts ? 0 : -1;
}

static int read_state(struct sk_read *r, InetSkEntry *isk, struct err *e)
{
	if (r->kind & SOCKOPT_TCP)
		return read_tcp(r, isk, e);
	r->is_connected = r->peer_len > 0;
	isk->state = r->state = r->is_connected ? ST_ESTABLISHED : ST_CLOSE;
	return 0;
}

/* getsockopt tells that there is one, not for which packets (ipv6_sockglue.c). */
static int note_router_alert(const struct sk_read *r, struct err *e)
{
	if (r->kind != SOCKOPT_RAW6 || !sk_int(r->s->fd, IPPROTO_IPV6, IPV6_ROUTER_ALERT, 0))
		return 0;
	return dump_lose(r->d, e, r->object,
			 "IPV6_ROUTER_ALERT is set: the kernel does not tell its value");
}

/* What a connected socket sends as flow label and traffic class, and the lease of that label. Its lifetime begins anew. */
static int keep_flow(struct sk_read *r, struct err *e)
{
	const struct sockaddr_in6 *peer = (const void *)&r->peer;
	struct in6_flowlabel_req req = {0};
	socklen_t len = sizeof(req);

	if (r->family != AF_INET6 || !r->peer_len || !peer->sin6_flowinfo)
		return 0;
	if (getsockopt(r->s->fd, IPPROTO_IPV6, IPV6_FLOWLABEL_MGR, &req, &len) != 0)
		memset(&req, 0, sizeof(req));
	req.flr_label = peer->sin6_flowinfo;
	req.flr_flags = IPV6_FL_F_CREATE;
	req.flr_expires = 0;
	return sk_extra_option(r, IPPROTO_IPV6, IPV6_FLOWLABEL_MGR,
			       (struct span){(const uint8_t *)&req, sizeof(req)}, e);
}

/* CRIU has the field for raw sockets too, where it cannot be set. */
static void put_v6only(const struct sk_read *r, InetSkEntry *isk)
{
	if (r->kind != SOCKOPT_RAW6)
		return;
	isk->has_v6only = 1;
	isk->v6only = sk_int(r->s->fd, IPPROTO_IPV6, IPV6_V6ONLY, 0) != 0;
}

static int read_parts(struct sk_read *r, InetSkEntry *isk, struct err *e)
{
	if (!(r->kind & SOCKOPT_TCP) && sk_ask_diag(r, e) != 0)
		return -1;
	if (put_address(r, &r->local, r->local_len > 0, &isk->src_addr, &isk->n_src_addr,
			&isk->src_port, e) != 0 ||
	    put_address(r, &r->peer, r->peer_len > 0, &isk->dst_addr, &isk->n_dst_addr,
			&isk->dst_port, e) != 0)
		return -1;
	put_scopes(r);
	put_v6only(r, isk);
	if (read_state(r, isk, e) != 0 || make_parts(r, isk, e) != 0 ||
	    sk_options(r, &isk->base, e) != 0 || keep_flow(r, e) != 0 ||
	    put_ifname(r, isk, e) != 0 || read_md5(r, e) != 0 || note_router_alert(r, e) != 0 ||
	    sk_bind_order(r, e) != 0 || sk_queues(r, e) != 0)
		return -1;
	read_shutdown(r, isk);
	return r->kind & SOCKOPT_TCP ? 0 : sk_memberships(r, e);
}

int sk_inet_read(struct sk_read *r, FileEntry *fe, struct err *e)
{
	InetSkEntry *isk = sk_new(InetSkEntry, inet_sk_entry, e);

	fe->isk = isk;
	if (!isk) {
		nsimg_sk__free_unpacked(r->extra, NULL);
		return -1;
	}
	isk->nsimg = r->extra;
	isk->id = r->s->file_id;
	isk->ino = (uint32_t)r->s->ino;
	isk->family = (uint32_t)r->family;
	isk->type = (uint32_t)r->type;
	isk->proto = (uint32_t)r->protocol;
	isk->flags = r->flags;
	isk->has_ns_id = 1;
	isk->ns_id = r->s->netns->id;
	return read_parts(r, isk, e);
}
