/* sk_make.h: make a socket as its spec says: create, bind, listen, connect, finish.
 *
 * Owns:  nothing but the notes; descriptors belong to the caller.
 * Where: in a holder that has entered the namespace of the socket (sk_create, sk_create_pair, sk_connect);
 *        sk_listen and sk_finish work from any namespace.
 * Order: sk_create for all, sk_listen, sk_connect, sk_finish. Options are set in the order of
 *        proto/sockopt_table.h, those of its phase AT_END by sk_finish.
 * Fails: what makes the socket another one (its name, its port, its listening) is an error; an option that
 *        this kernel does not take is a note, and the restore goes on.
 */
#pragma once

#include <net/if.h>

#include "base/buf.h"
#include "base/err.h"
#include "restorer/sk_spec.h"

struct sk_fresh;

struct sk_maker {
	const struct sk_specs *specs;
	const char *root; /* below which unix path sockets are made */
	struct buf notes; /* lines "OBJECT: what" */
	/* A name whose file is gone or elsewhere lives on as an O_PATH descriptor: after sk_create that of the socket
	 * (owned by the caller), for sk_connect that of the peer (lent). -1: none. */
	int name_fd;
	struct sk_fresh *kinds,
		*fresh; /* all that were seen; that of a socket that is as socket(2) made it, NULL */
};

/* An owned descriptor (close-on-exec) of the file, bound, or -1. Not for one half of a pair, nor SK_NSFS.
 * -2: this kernel has no such sockets, a note says so. */
int sk_create(struct sk_maker *m, const struct sk_file *f, struct err *e);

/* Both ends of a unix pair: fds[0] is a's, fds[1] is b's, owned. */
int sk_create_pair(struct sk_maker *m, const struct sk_file *a, const struct sk_file *b, int fds[2],
		   struct err *e);

#define SOMAXCONN_PATH "/proc/sys/net/core/somaxconn"

/* In the namespace of the socket, when its backlog may be above net.core.somaxconn. */
int sk_listen(struct sk_maker *m, const struct sk_file *f, int fd, struct err *e);
int sk_connect(struct sk_maker *m, const struct sk_file *f, int fd, struct err *e);

/* The rest: options that come last, the owner for SIGIO (0: none), flags, shutdown. */
int sk_finish(struct sk_maker *m, const struct sk_file *f, int fd, pid_t owner, struct err *e);

/* CRIU makes datagram sockets of the internet families without addresses: is it one that has some? */
bool sk_is_nameless(const struct sk_file *f);

/* Bind it, in the namespace of the socket; sk_connect and sk_supply follow. */
int sk_name(struct sk_maker *m, const struct sk_file *f, int fd, struct err *e);

/* For a socket that CRIU has made, whatever its state: options that CRIU's record has no field for, multicast groups,
 * the address of a raw one, the user. What the kernel does not take (any more, in that state) is a note. */
int sk_supply(struct sk_maker *m, const struct sk_file *f, int fd, struct err *e);
bool sk_needs_supply(const struct sk_file *f);

/* Was it bound to a device that is gone? To get there it needs a device for a moment, which no other socket may be made
 * beside. */
bool sk_lost_device(const struct sk_file *f);

/* Does sk_connect have anything to do for it? */
bool sk_connects(const struct sk_specs *s, const struct sk_file *f);

/* Does no path lead to the peer's file, so that sk_connect needs its name_fd? */
bool sk_connects_to_hidden(const struct sk_specs *s, const struct sk_file *f);

/* The path of a unix socket as the restorer sees it: ROOT, folder and name. False: it has no path. */
bool sk_unix_path(const struct sk_file *f, const char *root, char *path, size_t size);

/* The same of a file in the root of its task: un.file, un.aside. */
void sk_unix_place(const struct sk_file *f, const char *file, const char *root, char *path,
		   size_t size);

/* The same of its file, which may have been renamed since. */
bool sk_unix_file(const struct sk_file *f, const char *root, char *path, size_t size);

/* -- for sk_make*.c -- */

int sk_note(struct sk_maker *m, const struct sk_file *f, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
int sk_options_set(struct sk_maker *m, const struct sk_file *f, int fd, enum sockopt_phase phase,
		   struct err *e);

/* The first one of that number, lent; NULL: none. */
const struct sk_option *sk_option_find(const struct sk_file *f, int level, int opt);

/* A socket(2) with the options of the first phase. */
int sk_socket(struct sk_maker *m, const struct sk_file *f, int protocol, struct err *e);

/* A device, down, that exists in this namespace as long as the descriptor that is returned (owned), or -1 (ERR_CONFLICT:
 * the index is taken). *ifindex 0 means any, and is set. */
int sk_device_for_a_moment(int *ifindex, char name[IF_NAMESIZE], struct err *e);

/* The index of the device that is gone, 0: none. */
int sk_lost_ifindex(const struct sk_file *f);

int sk_inet_bind(struct sk_maker *m, const struct sk_file *f, int fd, struct err *e);
int sk_inet_connect(struct sk_maker *m, const struct sk_file *f, int fd, struct err *e);
int sk_unix_create(struct sk_maker *m, const struct sk_file *f, struct err *e);
int sk_unix_connect(struct sk_maker *m, const struct sk_file *f, int fd, struct err *e);
int sk_netlink_bind(struct sk_maker *m, const struct sk_file *f, int fd, struct err *e);
int sk_netlink_connect(struct sk_maker *m, const struct sk_file *f, int fd, struct err *e);
int sk_packet_bind(struct sk_maker *m, const struct sk_file *f, int fd, struct err *e);
int sk_tun_create(struct sk_maker *m, const struct sk_file *f, struct err *e);
int sk_tun_finish(struct sk_maker *m, const struct sk_file *f, int fd, struct err *e);
