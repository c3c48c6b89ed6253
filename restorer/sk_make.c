#include "restorer/sk_make.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"

int sk_note(struct sk_maker *m, const struct sk_file *f, struct err *e, const char *fmt, ...)
{
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return buf_printf(&m->notes, e, "%s: %s\n", f->label, text);
}

/* ---- options ---- */

static int set_raw(const struct sk_option *o, int fd, struct err *e)
{
	if (setsockopt(fd, o->level, o->opt, o->value.data, (socklen_t)o->value.len))
		return err_sys(e, ERR_KERNEL, "set option %d of level %d", o->opt, o->level);
	return 0;
}

/* What options a new socket of one kind has in one namespace, as far as they were read. */
struct sk_fresh {
	int64_t netns;
	int family, type, protocol;
	struct sk_fresh *next;
	struct fresh_value {
		bool is_read;
		uint8_t len, bytes[16];
		int got; /* of sockopt_read */
	} values[SPEC_OPTIONS];
};

/* NULL: memory is short, and they are read of each. */
static struct sk_fresh *fresh_of(struct sk_maker *m, const struct sk_file *f, int protocol)
{
	struct sk_fresh *k = m->kinds;

	while (k && (k->netns != f->netns || k->family != f->family || k->type != f->type ||
		     k->protocol != protocol))
		k = k->next;
	if (k || !(k = calloc(1, sizeof(*k))))
		return k;
	k->netns = f->netns;
	k->family = f->family;
	k->type = f->type;
	k->protocol = protocol;
	k->next = m->kinds;
	m->kinds = k;
	return k;
}

static int read_option(struct sk_maker *m, int fd, const struct sockopt *row, struct buf *now)
{
	struct fresh_value *v = m->fresh ? &m->fresh->values[row - sockopt_get(0)] : NULL;
	struct err ignored = ERR_INIT;
	int got;

	if (v && v->is_read)
		return buf_add(now, v->bytes, v->len, &ignored) ? -1 : v->got;
	got = sockopt_read(fd, row, now, &ignored);
	if (v && now->len <= sizeof(v->bytes)) {
		v->is_read = true;
		v->got = got;
		v->len = (uint8_t)now->len;
		if (now->len)
			memcpy(v->bytes, now->data, now->len);
	}
	return got;
}

/* Only what differs is set: a capability that is not there is not missed for a default, and setting a
 * buffer size locks it (SOCK_SNDBUF_LOCK) even when it stays the same. */
static bool is_set(struct sk_maker *m, const struct sk_option *o, int fd, struct buf *now)
{
	if (!o->row || (o->row->flags & (SOCKOPT_WRITEONLY | SOCKOPT_MANY | SOCKOPT_ZERO_IS_SET)))
		return false;
	/* SOCK_PACKET ones have no options of their level; CRIU writes zeros for them all the same. */
	if (read_option(m, fd, o->row, now) != 1)
		return o->row->criu && span_is_zero(o->value);
	return now->len == o->value.len && !memcmp(now->data, o->value.data, now->len);
}

static int set_option(struct sk_maker *m, const struct sk_file *f, const struct sk_option *o,
		      int fd, struct err *e)
{
	auto_buf struct buf now = {0};
	struct err failed = ERR_INIT;
	int rc;

	if (is_set(m, o, fd, &now))
		return 0;
	m->fresh = NULL; /* one option may change another */
	rc = o->row ? sockopt_write(fd, o->row, o->value, &failed) : set_raw(o, fd, &failed);
	return rc && sk_note(m, f, e, "%s", failed.msg) ? -1 : 0;
}

int sk_options_set(struct sk_maker *m, const struct sk_file *f, int fd, enum sockopt_phase phase,
		   struct err *e)
{
	for (size_t i = 0; i < f->n_options; i++) {
		const struct sk_option *o = &f->options[i];

		if ((o->row ? o->row->phase : SOCKOPT_AT_END) == phase &&
		    set_option(m, f, o, fd, e))
			return -1;
	}
	return 0;
}

const struct sk_option *sk_option_find(const struct sk_file *f, int level, int opt)
{
	for (size_t i = 0; i < f->n_options; i++)
		if (f->options[i].level == level && f->options[i].opt == opt)
			return &f->options[i];
	return NULL;
}

static void set_reuse_option(const struct sk_file *f, int fd, int opt, bool while_binding)
{
	const struct sk_option *o = sk_option_find(f, SOL_SOCKET, opt);
	int value = while_binding;

	if (!while_binding && o && o->value.len == sizeof(value))
		memcpy(&value, o->value.data, sizeof(value));
	setsockopt(fd, SOL_SOCKET, opt, &value, sizeof(value));
}

/* Sockets that share a port may have dropped the options that allowed it after they were bound; all have
 * them while they are bound and begin to listen here, and what was recorded again at the end. */
static void set_reuse(const struct sk_file *f, int fd, bool while_binding)
{
	if (f->crowded)
		set_reuse_option(f, fd, SO_REUSEADDR, while_binding);
	if (f->crowded_port)
		set_reuse_option(f, fd, SO_REUSEPORT, while_binding);
}

/* ---- the stages ---- */

int sk_socket(struct sk_maker *m, const struct sk_file *f, int protocol, struct err *e)
{
	auto_close int fd = socket(f->family, f->type | SOCK_CLOEXEC, protocol);
	int rc;

	if (fd < 0 &&
	    (errno == EAFNOSUPPORT || errno == EPROTONOSUPPORT || errno == ESOCKTNOSUPPORT))
		return sk_note(m, f, e, "left out: this kernel has no such sockets (%s)",
			       strerror(errno))
			       ? -1
			       : -2;
	if (fd < 0 && f->type == SOCK_DGRAM && errno == EACCES)
		return err_sys(e, ERR_PERM,
			       "create it (net.ipv4.ping_group_range of its namespace must include "
			       "group %d)",
			       (int)getegid());
	if (fd < 0)
		return err_sys(e, ERR_KERNEL, "create it");
	/* the kernel sets it for this protocol (inet_create), and what is not in the image is off */
	if (f->family == AF_INET && f->type == SOCK_RAW && protocol == IPPROTO_RAW &&
	    setsockopt(fd, IPPROTO_IP, IP_HDRINCL, &(int){0}, sizeof(int)))
		return err_sys(e, ERR_KERNEL, "IP_HDRINCL");
	m->fresh = fresh_of(m, f, protocol);
	rc = sk_options_set(m, f, fd, SOCKOPT_AT_CREATE, e);
	m->fresh = NULL;
	if (rc)
		return -1;
	set_reuse(f, fd, true);
	return take_fd(&fd);
}

static int join_group(const struct sk_file *f, const struct sk_member *member, int fd)
{
	int level = member->group.ss_family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
	struct group_req req = {.gr_interface = member->ifindex};
	struct group_source_req source = {.gsr_interface = member->ifindex};

	memcpy(&req.gr_group, &member->group, sizeof(req.gr_group));
	memcpy(&source.gsr_group, &member->group, sizeof(source.gsr_group));
	if (!member->include && setsockopt(fd, level, MCAST_JOIN_GROUP, &req, sizeof(req)))
		return -1;
	for (size_t i = 0; i < member->n_sources; i++) {
		memcpy(&source.gsr_source, &member->sources[i], sizeof(source.gsr_source));
		if (setsockopt(fd, level,
			       member->include ? MCAST_JOIN_SOURCE_GROUP : MCAST_BLOCK_SOURCE,
			       &source, sizeof(source)))
			return -1;
	}
	return 0;
}

static int join_groups(struct sk_maker *m, const struct sk_file *f, int fd, struct err *e)
{
	/* the kernel's list begins with the youngest */
	for (size_t i = f->n_members; i-- > 0;)
		if (join_group(f, &f->members[i], fd) &&
		    sk_note(m, f, e, "multicast group number %zu on device %u not joined: %s",
			    i + 1, f->members[i].ifindex, strerror(errno)))
			return -1;
	return 0;
}

static int bind_it(struct sk_maker *m, const struct sk_file *f, int fd, struct err *e)
{
	switch (f->kind) {
	case SK_INET:
		return sk_inet_bind(m, f, fd, e);
	case SK_NETLINK:
		return sk_netlink_bind(m, f, fd, e);
	default:
		return sk_packet_bind(m, f, fd, e);
	}
}

/* A socket that could not be bound to its device any more would be open on all of them, so there is none then. */
static int open_lost_device(struct sk_maker *m, const struct sk_file *f, struct err *e)
{
	struct err why = ERR_INIT;
	int index = sk_lost_ifindex(f), fd;
	char name[IF_NAMESIZE];

	fd = sk_device_for_a_moment(&index, name, &why);
	if (fd >= 0)
		return fd;
	return sk_note(m, f, e, "left out: it was bound to device index %d, which was gone: %s",
		       index, why.msg)
		       ? -1
		       : -2;
}

int sk_create(struct sk_maker *m, const struct sk_file *f, struct err *e)
{
	auto_close int fd = -1, device = -1;
	int rc;

	if (f->kind == SK_UNIX)
		return sk_unix_create(m, f, e);
	if (f->kind == SK_TUN)
		return sk_tun_create(m, f, e);
	if (f->kind == SK_INET && sk_lost_device(f)) {
		device = open_lost_device(m, f, e);
		if (device < 0)
			return device;
	}
	/* A packet socket of protocol 0 receives nothing until it is bound (packet(7)). SOCK_PACKET ones
	 * are bound by a name and take their protocol here. */
	fd = sk_socket(m, f, f->kind == SK_PACKET && f->type != SOCK_PACKET ? 0 : f->protocol, e);
	if (fd < 0)
		return fd;
	rc = bind_it(m, f, fd, e);
	if (rc)
		return rc;
	if (sk_options_set(m, f, fd, SOCKOPT_AFTER_BIND, e) || join_groups(m, f, fd, e))
		return -1;
	return take_fd(&fd);
}

/* The limit counts when listen(2) is called, and may have been lowered since. */
int sk_listen(struct sk_maker *m, const struct sk_file *f, int fd, struct err *e)
{
	auto_buf struct buf limit = {0};
	struct err why = ERR_INIT;
	char text[16];
	bool raised = false;
	int rc;

	if (f->above_somaxconn) {
		snprintf(text, sizeof(text), "%d", f->backlog);
		raised = !io_read_file(AT_FDCWD, SOMAXCONN_PATH, 64, &limit, &why) &&
			 strtol((char *)limit.data, NULL, 10) < f->backlog &&
			 !io_write_proc(AT_FDCWD, SOMAXCONN_PATH, text, &why);
		if (why.code && sk_note(m, f, e, "backlog %d: %s", f->backlog, why.msg))
			return -1;
	}
	rc = listen(fd, f->backlog) ? err_sys(e, ERR_KERNEL, "listen") : 0;
	if (raised && io_write_proc(AT_FDCWD, SOMAXCONN_PATH, (char *)limit.data, rc ? &why : e))
		return -1;
	return rc;
}

bool sk_connects(const struct sk_specs *s, const struct sk_file *f)
{
	const struct sk_file *p;

	switch (f->kind) {
	case SK_INET:
		return f->peer_len > 0;
	case SK_NETLINK:
		/* the kernel is port 0 */
		return f->state == NETLINK_CONNECTED || f->nl.dst_portid || f->nl.dst_group;
	case SK_UNIX:
		p = f->un.pair == SK_NONE ? NULL : &s->files[f->un.pair];
		/* the end of a pair whose own peer is another one */
		if (p && f->type == SOCK_DGRAM && f->un.peer_ino != p->ino)
			return true;
		return !p && f->type == SOCK_DGRAM && (f->un.peer != SK_NONE || f->un.peer_outside);
	default:
		return false;
	}
}

int sk_connect(struct sk_maker *m, const struct sk_file *f, int fd, struct err *e)
{
	switch (f->kind) {
	case SK_INET:
		return sk_inet_connect(m, f, fd, e);
	case SK_NETLINK:
		return sk_netlink_connect(m, f, fd, e);
	default:
		return sk_unix_connect(m, f, fd, e);
	}
}

/* Signals for a descriptor go to the process that has taken the place of the one that was meant. */
static int set_owner(struct sk_maker *m, const struct sk_file *f, int fd, pid_t owner,
		     struct err *e)
{
	struct f_owner_ex ex = {f->owner.type, owner};

	if (f->owner.pid && f->owner.type == F_OWNER_PGRP)
		return sk_note(m, f, e,
			       "no process gets its signals: those of process group %d are in "
			       "groups of their own",
			       (int)f->owner.pid);
	if (f->owner.pid && !owner)
		return sk_note(m, f, e,
			       "no process gets its signals: process %d is not in the image",
			       (int)f->owner.pid);
	if (f->owner.pid && fcntl(fd, F_SETOWN_EX, &ex) &&
	    sk_note(m, f, e, "owner for signals not set: %s", strerror(errno)))
		return -1;
	if (f->owner.signum && fcntl(fd, F_SETSIG, f->owner.signum) &&
	    sk_note(m, f, e, "signal %d not set: %s", f->owner.signum, strerror(errno)))
		return -1;
	return 0;
}

static int set_flags(struct sk_maker *m, const struct sk_file *f, int fd, struct err *e)
{
	int want = (int)f->flags & (O_NONBLOCK | O_ASYNC);
	int now = fcntl(fd, F_GETFL);

	if (now < 0 || (now & (O_NONBLOCK | O_ASYNC)) == want)
		return 0;
	if (fcntl(fd, F_SETFL, (now & ~(O_NONBLOCK | O_ASYNC)) | want))
		return sk_note(m, f, e, "flags 0x%x not set: %s", f->flags, strerror(errno));
	return 0;
}

/* The user that ss(8) shows; groups of SO_REUSEPORT compare it when they are bound, so not earlier. */
static int set_uid(struct sk_maker *m, const struct sk_file *f, int fd, struct err *e)
{
	if (f->uid < 0 || f->uid == geteuid() || !fchown(fd, (uid_t)f->uid, (gid_t)-1))
		return 0;
	return sk_note(m, f, e, "user %lld not set: %s", (long long)f->uid, strerror(errno));
}

/* ENOTCONN: the kernel has set it all the same (inet_shutdown). A listener would stop listening. */
static int set_shutdown(struct sk_maker *m, const struct sk_file *f, int fd, struct err *e)
{
	if (f->shutdown && !f->listens && shutdown(fd, f->shutdown - 1) && errno != ENOTCONN)
		return sk_note(m, f, e, "shutdown: %s", strerror(errno));
	return 0;
}

/* ---- in place of CRIU ---- */

/* Set by CRIU, and right. It binds with SO_REUSEPORT, and takes that back only when it is no TCP connection (4.2);
 * SO_REUSEADDR it sets of sockets that have ports alone. */
static bool is_criu_option(const struct sk_file *f, const struct sk_option *o)
{
	bool has_port = f->kind == SK_INET && f->type != SOCK_RAW;

	if (!o->row || !sockopt_in_criu(o->row, sockopt_kind(f->family, f->type, f->protocol)))
		return false;
	if (o->row->level != SOL_SOCKET)
		return true;
	return o->row->opt != SO_REUSEPORT &&
	       (o->row->opt != SO_REUSEADDR || has_port || !o->value.len || !o->value.data[0]);
}

/* Which raw sockets have no port for, so that CRIU does not bind them. */
static bool is_raw_bound(const struct sk_file *f)
{
	return f->kind == SK_INET && f->type == SOCK_RAW && f->local_len > 0;
}

static bool is_same_addr(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	if (a->ss_family != b->ss_family)
		return false;
	return a->ss_family == AF_INET ? ((const struct sockaddr_in *)a)->sin_addr.s_addr ==
						 ((const struct sockaddr_in *)b)->sin_addr.s_addr
				       : !memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr,
						 &((const struct sockaddr_in6 *)b)->sin6_addr,
						 sizeof(struct in6_addr));
}

static int bind_raw(struct sk_maker *m, const struct sk_file *f, int fd, struct err *e)
{
	struct sockaddr_storage now = {0}, want = f->local;
	socklen_t len = sizeof(now);

	if (!is_raw_bound(f) || getsockname(fd, (struct sockaddr *)&now, &len) ||
	    is_same_addr(&now, &want) || !bind(fd, (struct sockaddr *)&want, f->local_len))
		return 0;
	return sk_note(m, f, e, "its address is not set: %s", strerror(errno));
}

bool sk_is_nameless(const struct sk_file *f)
{
	return f->kind == SK_INET && f->type == SOCK_DGRAM && f->creator != SK_NONE &&
	       !f->left_out && !sk_lost_device(f) && (f->local_len || f->peer_len);
}

int sk_name(struct sk_maker *m, const struct sk_file *f, int fd, struct err *e)
{
	if (sk_options_set(m, f, fd, SOCKOPT_AT_CREATE, e))
		return -1;
	set_reuse(f, fd, true);
	return sk_inet_bind(m, f, fd, e) || sk_options_set(m, f, fd, SOCKOPT_AFTER_BIND, e) ? -1
											    : 0;
}

bool sk_needs_supply(const struct sk_file *f)
{
	bool needs = f->n_members > 0 || is_raw_bound(f) || sk_is_nameless(f) ||
		     (f->uid >= 0 && f->uid != geteuid());

	for (size_t i = 0; i < f->n_options && !needs; i++)
		needs = !is_criu_option(f, &f->options[i]);
	return needs;
}

int sk_supply(struct sk_maker *m, const struct sk_file *f, int fd, struct err *e)
{
	bool was_nameless = sk_is_nameless(f);

	if (was_nameless)
		set_reuse(f, fd, false);
	/* in the order of the table, which is also that of the phases of an option and what depends on it */
	for (size_t i = 0; i < f->n_options && !was_nameless; i++)
		if (!is_criu_option(f, &f->options[i]) && set_option(m, f, &f->options[i], fd, e))
			return -1;
	if (was_nameless &&
	    (sk_options_set(m, f, fd, SOCKOPT_AT_END, e) || set_shutdown(m, f, fd, e)))
		return -1;
	return join_groups(m, f, fd, e) || bind_raw(m, f, fd, e) || set_uid(m, f, fd, e) ? -1 : 0;
}

int sk_finish(struct sk_maker *m, const struct sk_file *f, int fd, pid_t owner, struct err *e)
{
	int pending;
	socklen_t len = sizeof(pending);

	if (f->kind == SK_TUN && sk_tun_finish(m, f, fd, e))
		return -1;
	if (f->kind == SK_TUN || f->kind == SK_NSFS)
		return set_flags(m, f, fd, e);
	set_reuse(f, fd, false);
	/* connect(2) of a datagram pair's other end leaves ECONNRESET behind (unix_dgram_disconnected). A packet socket
	 * keeps its ENETDOWN, which says once that its device went. */
	if (f->kind != SK_PACKET)
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &pending, &len);
	if (sk_options_set(m, f, fd, SOCKOPT_AT_END, e) || set_shutdown(m, f, fd, e))
		return -1;
	return set_uid(m, f, fd, e) || set_owner(m, f, fd, owner, e) || set_flags(m, f, fd, e) ? -1
											       : 0;
}
