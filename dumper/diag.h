/* diag.h: the sockets of one network namespace as sock_diag(7) shows them, by inode.
 *
 * Owns:  the tables of one namespace, each fetched once, when it is first asked for.
 * Never: opens a socket of the dumped tasks. A kernel without the diag of a family gives an empty table, and
 *        so does a namespace that is not ours to enter (the host's, seen from a user namespace).
 * Inode: of sockfs, what "socket:[N]" shows. Sockets of the kernel, connections not accepted yet and
 *        TIME_WAIT have none (0): diag_each shows them, diag_find does not find them.
 * The tables are those of the moment they were fetched; tasks of the dump stand still, others do not.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/ns.h"
#include "base/u64map.h"

struct diag;
struct nl;

enum diag_table {
	DIAG_UNIX,
	DIAG_NETLINK,
	DIAG_PACKET,
	DIAG_TCP, /* both families: the kernel has one table, of the whole machine, and a walk is dear */
	DIAG_UDP4,
	DIAG_UDP6,
	DIAG_UDPLITE4,
	DIAG_UDPLITE6,
	DIAG_RAW4,
	DIAG_RAW6,
	DIAG_MPTCP4,
	DIAG_MPTCP6,
	DIAG_VSOCK,
	DIAG_XDP,
	DIAG_TABLE_COUNT
};

/* One socket; msg (struct unix_diag_msg, inet_diag_msg, ...) and attrs are lent until the next call. */
struct diag_sk {
	enum diag_table table;
	uint64_t ino;
	uint8_t state; /* TCP_*; 0 where the family has none */
	const void *msg;
	struct span attrs;
};

/* What the tables of several namespaces share. Starts as {0}. */
struct diag_shared {
	uint32_t
		absent; /* tables that this kernel has no diag for: asking again would have it look for a module */
	bool has_own;      /* own holds what was open when this was first asked for */
	struct u64map own; /* inodes of the dumper's own sockets */
};

void diag_shared_free(struct diag_shared *shared);

/* ns and shared are borrowed and must live as long. */
struct diag *diag_new(const struct ns *ns, struct diag_shared *shared, struct err *e);
void diag_free(struct diag *dg);

/* 1, 0 (no such socket, or no diag in this kernel), -1. */
int diag_find(struct diag *dg, enum diag_table table, uint64_t ino, struct diag_sk *out,
	      struct err *e);

/* A netlink socket of this protocol: only the protocol's part of the machine's table is walked. */
int diag_find_netlink(struct diag *dg, int protocol, uint64_t ino, struct diag_sk *out,
		      struct err *e);

/* As diag_find for a TCP or UDP socket, by its addresses: the kernel looks it up, where a table is a walk through
 * the sockets of the whole machine. The table is fetched when that finds another socket (several share an
 * address, one is bound to a device), or when many were asked for. peer_len 0: has none. */
struct diag_inet {
	uint64_t ino, cookie; /* cookie: SO_COOKIE */
	int family;
	const struct sockaddr_storage *local, *peer;
	socklen_t local_len, peer_len;
};
int diag_find_inet(struct diag *dg, enum diag_table table, const struct diag_inet *sk,
		   struct diag_sk *out, struct err *e);

/* Ask with nl from now on, a NETLINK_SOCK_DIAG socket of the namespace, which is lent and must live as long as dg. */
void diag_use(struct diag *dg, struct nl *nl);

/* How many sockets dg has opened in its namespace; close them (a later question opens again). */
unsigned diag_n_sockets(const struct diag *dg);
void diag_close(struct diag *dg);

/* Every socket of a table, in the kernel's order; a non-zero result of fn ends the walk with it. */
typedef int diag_fn(const struct diag_sk *sk, void *arg, struct err *e);
int diag_each(struct diag *dg, enum diag_table table, diag_fn *fn, void *arg, struct err *e);

/* A socket that this process opened while it dumps, and that may be in a table. */
int diag_own_add(struct diag_shared *shared, int fd, struct err *e);

/* Is the socket with this inode the dumper's own: one of its descriptors when it began, or added since? */
bool diag_is_own(const struct diag *dg, uint64_t ino);

/* "TCP", "unix", ... */
const char *diag_table_name(enum diag_table table);
