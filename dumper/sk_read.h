/* sk_read.h: what the files of one socket family share while they read one socket.
 *
 * Owns:  struct sk_read lives from sk_begin to sk_end; the cache for one dump: diag tables, option defaults and
 *        multicast groups, per namespace.
 * Never: changes the socket (see sk.h).
 * Memory: everything in a message is malloc'ed and released with the message (X__free_unpacked).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "criu/fdinfo.pb-c.h"
#include "criu/nsimg.pb-c.h"
#include "dumper/diag.h"
#include "dumper/sk.h"
#include "dumper/sk_values.h"
#include "proto/sockopt_table.h"

/* A fresh socket; its options are in the same order as those of the others of its kind. None of it could be made: no
 * values. */
struct sk_fresh {
	struct sk_fresh *next;
	int family, type, protocol;
	struct sk_values values;
	int fd; /* the socket of a packet socket is kept open: closing it waits for a grace period of RCU (packet_release),
		 * which tasks that stand still need not wait for */
};

struct sk_read {
	struct dump *d;
	const struct sk_ref *s;
	size_t reader; /* whose records it gets */
	int family, type, protocol;
	uint32_t kind;     /* enum sockopt_kinds */
	uint32_t state;    /* TCP_* */
	bool is_connected; /* has a peer: SOCKOPT_STATE options are state then */
	uint32_t flags;    /* F_GETFL */
	char object[96];   /* "socket 123 (pid 7 fd 3)" */
	NsimgSk *
		extra; /* what CRIU has no field for; owned by the message it was put into, from sk_end on */
	struct diag *diag;      /* of the socket's namespace, lent */
	struct sk_fresh *fresh; /* lent, for other sockets too */
	struct sockaddr_storage local, peer;
	socklen_t local_len, peer_len; /* 0: none */
	struct sk_values values;       /* its options */
	bool has_shut;                 /* sock_diag told which sides are shut */
	uint8_t shut;
};

/* -- sk.c -- */

/* Zeroed memory, or NULL with e set. */
void *sk_alloc(size_t n, struct err *e);

/* A copy of bytes in a field of a message. */
int sk_put_bytes(ProtobufCBinaryData *out, const void *data, size_t len, struct err *e);
char *sk_text(const char *s, struct err *e);

/* A message with its init function: sk_new(SkOptsEntry, sk_opts_entry, e). */
#define sk_new(Type, prefix, e)                                                                    \
	({                                                                                         \
		Type *new_ = sk_alloc(sizeof(Type), e);                                            \
		if (new_)                                                                          \
			prefix##__init(new_);                                                      \
		new_;                                                                              \
	})

/* Owner and signal of the open file (fcntl(2), F_GETOWN_EX, F_GETSIG). */
FownEntry *sk_fown(const struct sk_read *r, struct err *e);

/* All options: into CRIU's fields of msg (its sub-messages must exist) or, where they differ from those of
 * a fresh socket, into r->extra. */
int sk_options(struct sk_read *r, ProtobufCMessage *msg, struct err *e);
int sk_extra_option(struct sk_read *r, int level, int name, struct span value, struct err *e);

/* Unread bytes: into r->extra, with a note. */
int sk_queues(struct sk_read *r, struct err *e);

/* An option that is an int; absent is what it gives when the socket has none. */
int sk_int(int fd, int level, int opt, int absent);

/* -- sk_cache.c -- */

/* Begin to read the options of a fresh socket of the same kind in the same namespace, unless they are there. */
int sk_fresh_begin(struct sk_read *r, struct err *e);

/* The options of r->fresh are read from now on. */
int sk_fresh_wait(struct sk_read *r, struct err *e);

/* The threads that read options, lent. */
struct sk_readers *sk_readers(struct dump *d, struct err *e);

/* The diag tables of a namespace, lent. */
struct diag *sk_diag(struct dump *d, struct dump_netns *n, struct err *e);

/* A group that a device of the namespace listens to (/proc/net/igmp, igmp6). */
struct sk_group {
	int family;
	uint32_t ifindex;
	uint8_t addr[16];
};

/* The groups of the socket's namespace, lent. */
int sk_groups(struct sk_read *r, const struct sk_group **groups, size_t *n, struct err *e);

/* -- one per family: fill the entry (r->extra goes into it) -- */
int sk_inet_read(struct sk_read *r, FileEntry *fe, struct err *e);
int sk_unix_read(struct sk_read *r, FileEntry *fe, struct err *e);
int sk_netlink_read(struct sk_read *r, FileEntry *fe, struct err *e);
int sk_packet_read(struct sk_read *r, FileEntry *fe, struct err *e);
int sk_other_write(struct sk_read *r, struct img_writer *others, struct err *e);

/* -- sk_peer.c: what sock_diag tells of an internet socket -- */

/* 1, 0 (not in there, or no diag in this kernel), -1. */
int sk_find_diag(struct sk_read *r, struct diag_sk *sk, struct err *e);

/* Of a datagram or raw socket: r->peer where getpeername does not tell it, r->shut. */
int sk_ask_diag(struct sk_read *r, struct err *e);

/* Its place in its group of SO_REUSEPORT: into r->extra. */
int sk_bind_order(struct sk_read *r, struct err *e);

/* -- sk_inet.c, for sk_other.c too -- */

/* Multicast memberships into r->extra: getsockopt(MCAST_MSFILTER) for each group of the namespace tells
 * whether this socket joined it. */
int sk_memberships(struct sk_read *r, struct err *e);
