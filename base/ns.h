/* ns.h: run code inside another network namespace.
 *
 * Owns:  the namespace descriptor behind struct ns.
 * Never: moves the calling thread. ns_call runs fn in a worker thread that entered the namespace, so a
 *        socket it opens stays usable here and stays in that namespace.
 * Order: ns_open_* or ns_new, any number of ns_call, ns_free.
 * The only file besides base/nl.c that calls setns(2) or unshare(2) for network namespaces; processes
 * that enter a namespace for good (restorer/task) use ns_enter.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct ns;
struct ns_worker;

/* Each returns an owned handle, or NULL (ERR_GONE: the process has exited; ERR_NOTFOUND: no such path;
 * ERR_PERM: not ours to look at; ERR_FORMAT: not a network namespace). */
struct ns *ns_open_pid(pid_t pid, struct err *e);
struct ns *ns_open_tid(pid_t pid, pid_t tid, struct err *e);
struct ns *ns_open_path(const char *path, struct err *e);
struct ns *ns_open_self(struct err *e);

/* From an nsfs descriptor, which is taken (closed by ns_free) also on failure. */
struct ns *ns_from_fd(int fd, struct err *e);

/* The namespace of a socket: ioctl SIOCGSKNS (include/uapi/linux/sockios.h), CAP_NET_ADMIN over it. */
struct ns *ns_of_socket(int sock, struct err *e);

/* A second handle of the same one. */
struct ns *ns_dup(const struct ns *ns, struct err *e);

/* A new, empty network namespace, owned by the caller's user namespace. */
struct ns *ns_new(struct err *e);

/* The same, made by w (below), in which its ns_call run too; NULL: by a thread of its own. */
struct ns *ns_new_by(struct ns_worker *w, struct err *e);

/* A child process that is in the user namespace behind userns_fd until ns_visitor_end, because a process with threads cannot
 * enter one (setns(2)); flags are for unshare(2) there, 0: none. It does nothing else: /proc/PID is what it is for. */
struct ns_visitor {
	pid_t pid;
	int end; /* it ends when this is closed */
};
int ns_visitor_begin(struct ns_visitor *v, int userns_fd, int flags, struct err *e);
void ns_visitor_end(struct ns_visitor *v);

/* The same, owned by the user namespace behind userns_fd, or by the caller's own when it is -1. Made by a
 * short-lived child, because a process with threads cannot enter a user namespace (setns(2)). */
struct ns *ns_new_owned(int userns_fd, struct err *e);

void ns_free(struct ns *ns);

/* The descriptor, lent until ns_free. */
int ns_fd(const struct ns *ns);

/* Identity in nsfs: inode number (unique on one running kernel among living namespaces). */
uint64_t ns_ino(const struct ns *ns);
bool ns_is_same(const struct ns *a, const struct ns *b);

/* SO_NETNS_COOKIE: never used again on one running kernel; 0: it cannot be asked (kernel before 5.14). */
uint64_t ns_cookie(const struct ns *ns);

/* Run fn(arg) inside ns and wait for it; arg is borrowed. 0, or -1 with e set by fn or by the switch
 * itself. fn must not fork and must not rely on thread-local state. */
int ns_call(const struct ns *ns, int (*fn)(void *arg, struct err *e), void *arg, struct err *e);

/* A thread that enters one namespace after the other, for who looks into many: to start a thread costs as much as
 * a small question. Start it late: while a process has threads, its table of descriptors grows slowly
 * (expand_fdtable in fs/file.c waits for a grace period of RCU each time). own_fds: it gets a table of its own, a
 * copy of what is open now, with its own limit (RLIMIT_NOFILE); what it opens is closed when it ends. A process that is
 * forked meanwhile has no such thread: there each call gets one of its own again. No signal is delivered to it. */
struct ns_worker *ns_worker_new(bool own_fds, struct err *e);
void ns_worker_free(struct ns_worker *w); /* what was given to it is done first */

/* fn(arg) inside ns, after all that was given to w before, without waiting; ns and arg are borrowed until
 * ns_worker_wait, which says how the first failed that did. 0 or -1. */
int ns_worker_post(struct ns_worker *w, const struct ns *ns, int (*fn)(void *arg, struct err *e),
		   void *arg, struct err *e);
int ns_worker_wait(struct ns_worker *w, struct err *e);

/* What was not begun is forgotten; when this returns nothing is done any more. NULL: nothing is. */
void ns_worker_drop(struct ns_worker *w);

/* A new namespace as ns_new makes it, by w, after all that was given to w before, without waiting; in it fn(arg) (NULL:
 * nothing), which is borrowed. The handle (owned, NULL on failure) is of use when ns_worker_wait has returned, or
 * ns_worker_wait_new, which waits for this one and for what was given to w before it. Two workers make two namespaces at
 * the same time. */
struct ns *ns_worker_post_new(struct ns_worker *w, int (*fn)(void *arg, struct err *e), void *arg,
			      struct err *e);
int ns_worker_wait_new(struct ns_worker *w, const struct ns *made, struct err *e);

/* From now on ns_call runs in w, which is lent and must live as long as ns is used. (A call from inside w still
 * gets a thread of its own.) */
void ns_use_worker(struct ns *ns, struct ns_worker *w);

/* A socket(2) made inside ns, close-on-exec: an owned descriptor or -1. */
int ns_socket(const struct ns *ns, int family, int type, int protocol, struct err *e);

/* Move the calling process (it must have one thread) into the network namespace behind fd, for good. */
int ns_enter(int fd, struct err *e);

static inline void ns_cleanup_(struct ns **ns)
{
	ns_free(*ns);
}
#define auto_ns __attribute__((cleanup(ns_cleanup_)))
