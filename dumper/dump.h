/* dump.h: what all parts of the dumper share while one dump is written.
 *
 * Owns:  the list of namespaces, user namespaces and losses of the dump under way, and the image folder.
 * Never: knows attributes or options; net_*.c and sk_*.c do.
 * Order: dump_new, target_* (who), freeze_* (stand still), task_* and sk_* (descriptors and sockets, which
 *        find more namespaces), net_* (each namespace), dump_finish, dump_free.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/progress.h"
#include "base/err.h"
#include "base/ns.h"
#include "proto/img.h"
#include "proto/manifest.h"

/* One network namespace of the dump. id is CRIU's number N in netns-N.img. */
struct dump_netns {
	uint32_t id;
	struct ns *ns;
	uint64_t ino;        /* nsfs inode */
	uint64_t cookie;     /* SO_NETNS_COOKIE, 0 when not asked for yet */
	uint32_t user_ns_id; /* owner, id of a dump_userns; 0 unknown */
	bool external;       /* referred to, its content is not dumped */
	bool caller;         /* the dumper's own */
	bool named;          /* a target names it (--netns) */
	bool referred;       /* a task, a descriptor or a device speaks of it */
	char **names;        /* paths where it is pinned */
	size_t n_names;
	size_t n_sockets;         /* dumped ones that live in it */
	bool all_dumped;          /* the kernel counts as many */
	uint16_t *endpoint_ports; /* of MPTCP: the kernel listens there for itself */
	size_t n_endpoint_ports;
};

struct dump_userns {
	uint32_t id;
	uint64_t ino;
	uint32_t parent_id; /* 0: none known */
	bool external;      /* the dumper's own */
	uint32_t owner_uid;
	int fd;    /* nsfs descriptor, owned */
	pid_t pid; /* a task in it, whose /proc files tell the maps; 0: none */
};

struct dump_loss {
	char *object, *reason;
	uint64_t
		ino; /* a socket without a descriptor: no loss when CRIU has a record of it; 0: none */
};

/* A loss out of its words; with strict a failure (ERR_UNSUPPORTED). */
int dump_loss_make(struct dump_loss *loss, bool strict, struct err *e, const char *object,
		   const char *fmt, va_list ap) __attribute__((format(printf, 5, 0)));

/* Append loss, which is taken, to a list. */
int dump_loss_add(struct dump_loss **losses, size_t *n, struct dump_loss loss, struct err *e);
void dump_loss_free(struct dump_loss *loss);

struct dump_opts {
	bool no_secrets;           /* leave keys and payload out */
	bool strict;               /* a loss is an error */
	bool all_fds;              /* --all: every task's descriptors are read */
	struct progress *progress; /* borrowed, begun with must_not_wait; NULL: nobody waits */
	/* CRIU, which has stopped the tasks and takes the processes at the same moment: they are only read, and what
	 * CRIU keeps of them is no loss. 0: none */
	pid_t criu;
};

struct sk_cache;  /* sk.h: sock_diag tables, option defaults */
struct net_cache; /* net.h: sysctls of a fresh namespace */
struct net_held;  /* net.h: what was read and is not written yet */
struct net_ahead; /* net_ahead.h: what was opened before tasks stood still */

struct dump {
	int dirfd;             /* the image folder */
	struct manifest files; /* what was written into it */
	bool only_named; /* --netns: a namespace that no target names is external when it turns up */
	struct sk_cache *sk;
	struct net_cache *net;
	struct net_held *held;
	struct net_ahead *ahead;
	bool keep_open; /* the limit of descriptors allows several for each namespace until all is read */
	size_t n_others; /* entries of nsimg-sk.img */
	struct dump_opts opts;
	struct ns_worker *worker;  /* enters the namespaces; NULL: not started yet */
	struct dump_netns **netns; /* grows; elements stay where they are */
	size_t n_netns;
	struct dump_userns **userns;
	size_t n_userns;
	struct dump_loss *losses;
	size_t n_losses;
	uint32_t next_ns_id;   /* network and user namespaces share one row of numbers */
	uint32_t next_file_id; /* file_entry.id */
};

/* Start the thread that looks into all namespaces, with a table of descriptors that has room for n_fds more. */
int dump_worker_start(struct dump *d, size_t n_fds, struct err *e);

/* The namespace of the dump that is the same as ns: found or added (ns is taken either way). Lent, NULL
 * on failure. */
struct dump_netns *dump_netns_of(struct dump *d, struct ns *ns, struct err *e);

/* The namespace of a socket: by SO_NETNS_COOKIE (socket(7), Linux 5.14), and by SIOCGSKNS the first time
 * a cookie is seen. Lent, NULL on failure. */
struct dump_netns *dump_netns_of_socket(struct dump *d, int sock, struct err *e);

struct dump_netns *dump_netns_by_id(struct dump *d, uint32_t id);

/* A writer of files of the image. */
void dump_writer_init(struct dump *d, struct img_writer *w);

/* Note something that cannot be kept: object ("socket 1234 (pid 7 fd 3)") and reason. With --strict this
 * is a failure (ERR_UNSUPPORTED). */
int dump_lose(struct dump *d, struct err *e, const char *object, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* The same of a socket that no task has a descriptor of. With CRIU it may wait in a queue that CRIU keeps: criu_merge
 * knows, and is strict then. */
int dump_lose_socket(struct dump *d, struct err *e, uint64_t ino, const char *object,
		     const char *fmt, ...) __attribute__((format(printf, 5, 6)));
