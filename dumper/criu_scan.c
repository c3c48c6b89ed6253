#include "dumper/criu_scan.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/inet_diag.h>
#include <linux/sockios.h>
#include <linux/unix_diag.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "base/nl.h"
#include "base/u64map.h"
#include "dumper/freeze.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

/* One task while its descriptors are looked at. */
struct look {
	struct criu_scan *s;
	const struct criu_scan_opts *opts;
	struct u64map seen; /* inodes of sockets */
	pid_t pid;
	char comm[16];
	int pidfd;
	struct pair {
		uint64_t peer; /* inode of the other end */
		char what[128];
	} * pairs; /* of unix sockets */
	size_t n_pairs;
};

void criu_scan_free(struct criu_scan *s)
{
	for (size_t i = 0; i < s->n_netns; i++) {
		diag_free(s->netns[i].diag);
		ns_free(s->netns[i].ns);
	}
	diag_shared_free(&s->diag);
	free(s->netns);
	free(s->tasks.ids);
	free(s->stopped.ids);
	for (size_t i = 0; i < s->n_reasons; i++) {
		free(s->reasons[i].object);
		free(s->reasons[i].reason);
	}
	free(s->reasons);
	*s = (struct criu_scan){0};
}

/* Found or added; ns is taken. Lent until the next one is added, NULL on failure. */
static struct criu_scan_netns *netns_of(struct criu_scan *s, struct ns *ns, struct err *e)
{
	struct criu_scan_netns *all;

	if (!ns)
		return NULL;
	for (size_t i = 0; i < s->n_netns; i++)
		if (ns_is_same(s->netns[i].ns, ns)) {
			ns_free(ns);
			return &s->netns[i];
		}
	all = realloc(s->netns, (s->n_netns + 1) * sizeof(*all));
	if (!all) {
		ns_free(ns);
		err_set(e, ERR_NOMEM, "list of namespaces");
		return NULL;
	}
	s->netns = all;
	all[s->n_netns] = (struct criu_scan_netns){.ns = ns};
	return &all[s->n_netns++];
}

/* Something that CRIU refuses: what it is, and why. */
__attribute__((format(printf, 4, 5))) static int reason(struct look *l, struct err *e,
							const char *object, const char *fmt, ...)
{
	struct criu_scan *s = l->s;
	struct dump_loss *all = realloc(s->reasons, (s->n_reasons + 1) * sizeof(*all));
	struct dump_loss r = {.object = strdup(object)};
	va_list ap;

	if (all)
		s->reasons = all;
	va_start(ap, fmt);
	if (vasprintf(&r.reason, fmt, ap) < 0)
		r.reason = NULL;
	va_end(ap);
	if (!all || !r.object || !r.reason) {
		free(r.object);
		free(r.reason);
		return err_set(e, ERR_NOMEM, "list of reasons");
	}
	all[s->n_reasons++] = r;
	return 0;
}

/* ---- sockets ---- */

static int int_option(int fd, int level, int name)
{
	int v = 0;
	socklen_t len = sizeof(v);

	return getsockopt(fd, level, name, &v, &len) ? 0 : v;
}

/* A family or protocol that CRIU has no record for; NULL: it has. */
static const char *unknown_kind(int fd)
{
	int protocol = int_option(fd, SOL_SOCKET, SO_PROTOCOL);

	switch (int_option(fd, SOL_SOCKET, SO_DOMAIN)) {
	case AF_INET:
	case AF_INET6:
		return protocol == IPPROTO_MPTCP  ? "MPTCP"
		       : protocol == IPPROTO_SCTP ? "SCTP"
						  : NULL;
	case AF_UNIX:
	case AF_NETLINK:
	case AF_PACKET:
		return NULL;
	case AF_VSOCK:
		return "AF_VSOCK";
	case AF_XDP:
		return "AF_XDP";
	case AF_ALG:
		return "AF_ALG";
	default:
		return "this family of";
	}
}

static bool has_unread(int fd)
{
	uint32_t mem[SK_MEMINFO_VARS] = {0};
	socklen_t len = sizeof(mem);

	return !getsockopt(fd, SOL_SOCKET, SO_MEMINFO, mem, &len) && mem[SK_MEMINFO_RMEM_ALLOC] > 0;
}

static int look_tcp(struct look *l, int fd, const char *what, struct err *e)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		return 0;
	/* tcpi_unacked of a listener: connections waiting in its queue (tcp_get_info) */
	if (info.tcpi_state == TCP_LISTEN && info.tcpi_unacked && !l->opts->skip_in_flight)
		return reason(l, e, what,
			      "connections wait to be accepted (%u): let the program accept them, "
			      "or lose them with '-- --skip-in-flight'",
			      info.tcpi_unacked);
	return 0;
}

/* One that is connected, and the other end has no inode: nobody has accepted it yet, or it was closed. */
static int look_waiting(struct look *l, int fd, const struct diag_sk *sk, const char *what,
			struct err *e)
{
	int out = 0;

	return sk->state == TCP_ESTABLISHED && int_option(fd, SOL_SOCKET, SO_TYPE) != SOCK_DGRAM &&
			       !ioctl(fd, SIOCOUTQ, &out) && out > 0
		       ? reason(l, e, what,
				"it has written to a connection that waits to be accepted: let the "
				"program accept it first")
		       : 0;
}

/* Who is at the other end only sock_diag tells; whether that one is in the tree is known when all of it was seen. */
static int look_unix(struct look *l, struct criu_scan_netns *n, int fd, uint64_t ino,
		     const char *what, struct err *e)
{
	struct err none = ERR_INIT;
	struct pair *all;
	struct diag_sk sk;
	uint64_t peer;

	if (!n->diag)
		n->diag = diag_new(n->ns, &l->s->diag, &none);
	if (l->opts->ext_unix || !n->diag || diag_find(n->diag, DIAG_UNIX, ino, &sk, &none) != 1)
		return 0;
	peer = nl_attr_u32(nl_attr_find(sk.attrs, UNIX_DIAG_PEER));
	if (!peer)
		return look_waiting(l, fd, &sk, what, e);
	all = realloc(l->pairs, (l->n_pairs + 1) * sizeof(*all));
	if (!all)
		return err_set(e, ERR_NOMEM, "list of unix sockets");
	l->pairs = all;
	all[l->n_pairs].peer = peer;
	snprintf(all[l->n_pairs++].what, sizeof(all->what), "%s", what);
	return 0;
}

static int note_held(int fd, const char *target, void *arg, struct err *e)
{
	uint64_t ino;

	return proc_link_ino(target, "socket", &ino) ? u64map_put(arg, ino, 1, e) : 0;
}

/* The sockets that processes have descriptors of. The others wait in a queue, where CRIU looks too. */
static int list_held(struct u64map *held, struct err *e)
{
	struct pid_list all = {0};
	int rc = proc_list_tasks(&all, e);

	for (size_t i = 0; !rc && i < all.n; i++) {
		struct err why = ERR_INIT;

		/* one that has ended, and one that we may not look at, are passed over */
		if (proc_each_fd(all.ids[i], note_held, held, &why) && why.code == ERR_NOMEM) {
			*e = why;
			rc = -1;
		}
	}
	free(all.ids);
	return rc;
}

static int look_pairs(struct look *l, struct u64map *held, struct err *e)
{
	bool listed = false;

	for (size_t i = 0; i < l->n_pairs; i++) {
		uint32_t one;

		if (u64map_find(&l->seen, l->pairs[i].peer, &one))
			continue;
		if (!listed && list_held(held, e))
			return -1;
		listed = true;
		if (u64map_find(held, l->pairs[i].peer, &one) &&
		    reason(l, e, l->pairs[i].what,
			   "its other end, unix socket %llu, is of a process outside the tree ('-- "
			   "--ext-unix-sk' lets the connection go)",
			   (unsigned long long)l->pairs[i].peer))
			return -1;
	}
	return 0;
}

/* What was written with UDP_CORK or MSG_MORE and was not sent yet. */
static int look_udp(struct look *l, int fd, const char *what, struct err *e)
{
	int out = 0;

	return int_option(fd, SOL_SOCKET, SO_TYPE) == SOCK_DGRAM && !ioctl(fd, SIOCOUTQ, &out) &&
			       out > 0
		       ? reason(l, e, what,
				"a corked datagram waits in it: the program has to send it first")
		       : 0;
}

/* CRIU's record has the groups in 32 bits, and none without a port (criu/sk-netlink.c). */
static int look_netlink(struct look *l, int fd, const char *what, struct err *e)
{
	uint32_t groups[64] = {0}, high = 0;
	struct sockaddr_nl addr = {0};
	socklen_t len = sizeof(groups), addr_len = sizeof(addr);

	if (has_unread(fd) &&
	    reason(l, e, what, "unread netlink messages: the program has to read them first"))
		return -1;
	if (getsockopt(fd, SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, groups, &len) ||
	    getsockname(fd, (struct sockaddr *)&addr, &addr_len))
		return 0;
	for (size_t i = 1; i < ARRAY_SIZE(groups); i++)
		high |= groups[i];
	if (high)
		return reason(l, e, what,
			      "it joined a netlink group above 32, which CRIU does not keep");
	return groups[0] && !addr.nl_pid ? reason(l, e, what,
						  "it joined netlink groups without a port: the "
						  "program has to bind it")
					 : 0;
}

static int look_socket(struct look *l, int fd, uint64_t ino, const char *what, struct err *e)
{
	struct criu_scan_netns *n = netns_of(l->s, ns_of_socket(fd, e), e);
	const char *unknown = unknown_kind(fd);

	if (!n)
		return err_wrap(e, "%s", what);
	if (!n->n_sockets++ && !n->first[0])
		snprintf(n->first, sizeof(n->first), "%s", what);
	if (unknown)
		return reason(l, e, what, "CRIU does not know %s sockets", unknown);
	switch (int_option(fd, SOL_SOCKET, SO_DOMAIN)) {
	case AF_INET:
	case AF_INET6:
		return int_option(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_TCP
			       ? look_tcp(l, fd, what, e)
			       : look_udp(l, fd, what, e);
	case AF_UNIX:
		return look_unix(l, n, fd, ino, what, e);
	case AF_NETLINK:
		return look_netlink(l, fd, what, e);
	default:
		return 0;
	}
}

static int look_fd(int fd, const char *target, void *arg, struct err *e)
{
	struct look *l = arg;
	auto_close int got = -1;
	uint64_t ino = 0;
	char what[128];
	uint32_t one;
	bool is_socket = proc_link_ino(target, "socket", &ino);

	if ((!is_socket && !proc_link_ino(target, "net", &ino)) ||
	    (is_socket && u64map_find(&l->seen, ino, &one)))
		return 0;
	if (l->pidfd < 0)
		l->pidfd = pidfd_open(l->pid, 0);
	got = l->pidfd < 0 ? -1 : pidfd_getfd(l->pidfd, fd, 0);
	if (got < 0) /* closed since, or the task has ended */
		return 0;
	snprintf(what, sizeof(what), "%s %llu (%s, pid %d fd %d)",
		 is_socket ? "socket" : "namespace", (unsigned long long)ino, l->comm, (int)l->pid,
		 fd);
	if (is_socket)
		return u64map_put(&l->seen, ino, 1, e) || look_socket(l, got, ino, what, e) ? -1
											    : 0;
	{
		struct criu_scan_netns *n = netns_of(l->s, ns_from_fd(take_fd(&got), e), e);

		if (!n)
			return err_wrap(e, "%s", what);
		if (!n->n_files++ && !n->first[0])
			snprintf(n->first, sizeof(n->first), "%s", what);
	}
	return 0;
}

/* ---- tasks ---- */

static ino_t ns_inode(pid_t pid, const char *which)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, which);
	return stat(path, &st) ? 0 : st.st_ino;
}

/* Both may be looked at, and are in different namespaces. */
static bool is_elsewhere(pid_t a, pid_t b, const char *which)
{
	ino_t in_a = ns_inode(a, which), in_b = ns_inode(b, which);

	return in_a && in_b && in_a != in_b;
}

static int look_threads(struct look *l, struct criu_scan_netns *n, struct err *e)
{
	struct pid_list tids = {0};
	auto_free pid_t *ids = NULL;
	struct err gone = ERR_INIT;
	uint64_t blocked;
	pid_t tracer = 0;
	int rc = 0;

	if (proc_list_threads(l->pid, &tids, &gone))
		tids.n = 0;
	ids = tids.ids;
	for (size_t i = 0; !rc && i < tids.n; i++) {
		auto_ns struct ns *ns = ns_open_tid(l->pid, ids[i], &gone);
		char object[96];

		snprintf(object, sizeof(object), "thread %d of %s (pid %d)", (int)ids[i], l->comm,
			 (int)l->pid);

		if (ns && !ns_is_same(ns, n->ns))
			rc = reason(l, e, object,
				    "it is in another network namespace than its process");
		if (!rc && !proc_status_read(l->pid, ids[i], &blocked, &tracer, &gone) && tracer)
			rc = reason(l, e, object,
				    "it is traced by process %d: CRIU has to trace it itself",
				    (int)tracer);
	}
	return rc;
}

static int look_task(struct look *l, pid_t root, struct err *e)
{
	struct criu_scan_netns *n;
	struct err gone = ERR_INIT;
	struct proc_stat st;
	char object[64];
	int rc;

	if (proc_stat_read(l->pid, &st, &gone) || st.state == 'Z' || st.state == 'X')
		return 0;
	memcpy(l->comm, st.comm, sizeof(l->comm));
	if (st.state == 'T' && pid_list_add(&l->s->stopped, l->pid, e))
		return -1;
	n = netns_of(l->s, ns_open_pid(l->pid, &gone), e);
	if (!n)
		return gone.code == ERR_GONE ? 0 : err_set(e, gone.code, "%s", gone.msg);
	n->n_tasks++;
	snprintf(object, sizeof(object), "task %s (pid %d)", l->comm, (int)l->pid);
	if (look_threads(l, n, e))
		return -1;
	if (is_elsewhere(l->pid, root, "user") &&
	    reason(l, e, object,
		   "it is in another user namespace than process %d: CRIU does not know nested "
		   "ones",
		   (int)root))
		return -1;
	rc = proc_each_fd(l->pid, look_fd, l, e);
	if (rc && e->code == ERR_GONE)
		rc = 0;
	if (l->pidfd >= 0)
		close(l->pidfd);
	l->pidfd = -1;
	return rc;
}

static int look_root(struct look *l, pid_t root, struct err *e)
{
	struct proc_stat st;
	char object[64];

	if (proc_stat_read(root, &st, e))
		return err_set(e, ERR_NOTFOUND, "--pid %d: no such process", (int)root);
	if (st.state == 'Z' || st.state == 'X')
		return err_set(e, ERR_NOTFOUND, "--pid %d: %s has ended (a zombie)", (int)root,
			       st.comm);
	if (st.is_kernel)
		return err_set(e, ERR_USAGE, "--pid %d: a kernel thread (%s)", (int)root, st.comm);
	snprintf(object, sizeof(object), "task %s (pid %d)", st.comm, (int)root);
	if (proc_inner_pid(root) == root && st.sid != root && !l->opts->shell_job &&
	    reason(l, e, object,
		   "it is not the leader of its session: start it with setsid, or give '-- "
		   "--shell-job'"))
		return -1;
	/* The first task of a restore is in the user namespace of the tree before it enters the network namespaces that
	 * CRIU is given, and has no right to (restore_ns() in criu/namespaces.c). */
	return is_elsewhere(root, getpid(), "user")
		       ? reason(l, e, object,
				"it is in a user namespace of its own: nothing could "
				"restore what is dumped of it (nsimg dump without --criu keeps its "
				"network)")
		       : 0;
}

/* Is this process below root? CRIU would stop it, and it would wait for CRIU. */
static int look_self(struct look *l, pid_t root, struct err *e)
{
	struct err gone = ERR_INIT;
	struct proc_stat st;
	pid_t pid = getpid();

	for (int depth = 0; depth < 4096 && pid > 0; depth++) {
		if (pid == root)
			return reason(l, e, "nsimg",
				      "it runs below process %d itself: CRIU would stop it too",
				      (int)root);
		if (proc_stat_read(pid, &st, &gone))
			break;
		pid = st.ppid;
	}
	return 0;
}

/* CRIU numbers namespaces by the tasks in them. */
static int look_netns(struct look *l, struct err *e)
{
	for (size_t i = 0; i < l->s->n_netns; i++) {
		const struct criu_scan_netns *n = &l->s->netns[i];

		if (!n->n_tasks && (n->n_sockets || n->n_files) &&
		    reason(l, e, n->first,
			   "%s network namespace net:[%llu], in which no task of the tree is",
			   n->n_sockets ? "in" : "of", (unsigned long long)ns_ino(n->ns)))
			return -1;
	}
	return 0;
}

int criu_scan(struct criu_scan *s, pid_t root, const struct criu_scan_opts *opts, struct err *e)
{
	struct look l = {.s = s, .opts = opts, .pidfd = -1};
	struct criu_scan_netns *own;
	struct u64map held = {0};
	int rc = look_root(&l, root, e) || look_self(&l, root, e) ? -1 : 0;

	own = rc ? NULL : netns_of(s, ns_open_self(e), e);
	if (!own)
		return -1;
	own->is_own = true;
	rc = pid_list_add(&s->tasks, root, e) || freeze_find_children(&s->tasks, e) ? -1 : 0;
	for (size_t i = 0; !rc && i < s->tasks.n; i++) {
		l.pid = s->tasks.ids[i];
		rc = look_task(&l, root, e);
	}
	if (!rc)
		rc = look_pairs(&l, &held, e) || look_netns(&l, e) ? -1 : 0;
	u64map_free(&l.seen);
	u64map_free(&held);
	free(l.pairs);
	return rc;
}

/* ---- connections ---- */

struct conns_look {
	struct criu_scan *s;
	struct criu_scan_netns *n;
	struct netlock_conn **conns;
	size_t *n_conns;
	int pidfd;
};

/* One that waits for its first answer has no peer for getpeername (inet_getname), but sock_diag tells it. */
static int find_peer(struct conns_look *l, uint64_t ino, union netlock_end *there, struct err *e)
{
	const struct inet_diag_msg *m;
	struct diag_sk sk;
	int found;

	if (!l->n->diag)
		l->n->diag = diag_new(l->n->ns, &l->s->diag, e);
	found = l->n->diag ? diag_find(l->n->diag, DIAG_TCP, ino, &sk, e) : -1;
	if (found != 1)
		return found;
	m = sk.msg;
	there->sa.sa_family = m->idiag_family;
	if (m->idiag_family == AF_INET) {
		there->v4.sin_port = m->id.idiag_dport;
		memcpy(&there->v4.sin_addr, m->id.idiag_dst, sizeof(there->v4.sin_addr));
	} else {
		there->v6.sin6_port = m->id.idiag_dport;
		memcpy(&there->v6.sin6_addr, m->id.idiag_dst, sizeof(there->v6.sin6_addr));
	}
	return 1;
}

static int add_conn(struct conns_look *l, int fd, uint64_t ino, struct err *e)
{
	struct netlock_conn c = {0}, *all;
	socklen_t here = sizeof(c.here), there = sizeof(c.there);
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);
	int found;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) || info.tcpi_state == TCP_LISTEN ||
	    info.tcpi_state == TCP_CLOSE || getsockname(fd, &c.here.sa, &here))
		return 0;
	found = getpeername(fd, &c.there.sa, &there) ? find_peer(l, ino, &c.there, e) : 1;
	if (found != 1)
		return found;
	all = realloc(*l->conns, (*l->n_conns + 1) * sizeof(*all));
	if (!all)
		return err_set(e, ERR_NOMEM, "list of connections");
	*l->conns = all;
	all[(*l->n_conns)++] = c;
	return 0;
}

static int look_conn(int number, const char *target, void *arg, struct err *e)
{
	struct conns_look *l = arg;
	auto_close int fd = -1;
	auto_ns struct ns *ns = NULL;
	uint64_t ino;
	int family;

	if (!proc_link_ino(target, "socket", &ino))
		return 0;
	fd = pidfd_getfd(l->pidfd, number, 0);
	if (fd < 0 || int_option(fd, SOL_SOCKET, SO_PROTOCOL) != IPPROTO_TCP)
		return 0;
	family = int_option(fd, SOL_SOCKET, SO_DOMAIN);
	if (family != AF_INET && family != AF_INET6)
		return 0;
	ns = ns_of_socket(fd, e);
	if (!ns)
		return -1;
	return ns_is_same(ns, l->n->ns) ? add_conn(l, fd, ino, e) : 0;
}

int criu_scan_conns(struct criu_scan *s, struct criu_scan_netns *n, const struct pid_list *tasks,
		    struct netlock_conn **conns, size_t *n_conns, struct err *e)
{
	struct conns_look l = {s, n, conns, n_conns, -1};

	for (size_t i = 0; i < tasks->n; i++) {
		struct err why = ERR_INIT;
		int rc;

		l.pidfd = pidfd_open(tasks->ids[i], 0);
		if (l.pidfd < 0) /* it has ended */
			continue;
		rc = proc_each_fd(tasks->ids[i], look_conn, &l, &why);
		close(l.pidfd);
		if (rc && why.code != ERR_GONE) {
			*e = why;
			return -1;
		}
	}
	return 0;
}
