/* sk_spec.h: the rows of tasks, descriptors and sockets as plain memory, before anything is forked.
 *
 * Owns:  everything behind struct sk_specs.
 * Never: looks at or changes the system. Holders are forked after the load and inherit it, so that no
 *        holder needs the database.
 * Order: sk_specs_load, any reading, sk_specs_free.
 *
 * A file is one open file description of the image: a socket, a tun descriptor, a descriptor of a
 * namespace. It may have several descriptors in several tasks. The first task that has it creates it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "imgdb/db.h"
#include "proto/sockopt_table.h"

#define SK_NONE SIZE_MAX

enum sk_kind { SK_INET, SK_UNIX, SK_NETLINK, SK_PACKET, SK_TUN, SK_NSFS, SK_KIND_COUNT };

struct sk_option {
	const struct sockopt *row; /* NULL: an option without a row, set as the bytes are */
	int level, opt;
	unsigned nth;      /* of the same option, from 0: of SOCKOPT_MANY */
	struct span value; /* lent by the set */
};

/* A joined multicast group. */
struct sk_member {
	struct sockaddr_storage group;
	uint32_t ifindex;
	bool include; /* only the sources; else all but the sources */
	struct sockaddr_storage *sources;
	size_t n_sources;
};

struct sk_owner { /* F_SETOWN_EX, F_SETSIG */
	int type;
	pid_t pid; /* as dumped; 0: none */
	int signum;
};

struct sk_packet_member {
	int ifindex;
	uint16_t type, alen;
	uint8_t addr[32];
};

struct sk_unix {
	char *root; /* the folder that was the root of the task when it was bound, NULL: none */
	char *dir;  /* folder that a relative path begins in, NULL */
	char *file; /* where its file is by now, in the root of the task; NULL: where it was bound */
	char *aside; /* where its file waits until brought; NULL: it needs not */
	const struct sk_file
		*brings; /* whose file is put where it belongs, when this one has left there */
	bool is_path, deleted;
	bool by_path;   /* bound by the path of its file, in place of its name */
	bool elsewhere; /* its file is where nobody else sees it, as in another mount namespace */
	int64_t mode, uid, gid; /* of the socket file; -1: not known */
	uint32_t peer_ino;
	size_t peer;       /* index of the other end, SK_NONE: none or not in the image */
	size_t pair;       /* made together with this one by one call, SK_NONE: alone */
	bool peer_outside; /* connected to one that is not in the image, by the name of f->peer */
	bool accepted;     /* its name is a listener's: it came out of accept(2) */
	bool peer_closed;  /* connected once, the other end is closed */
};

struct sk_netlink {
	uint32_t portid, dst_portid, dst_group;
	uint32_t *groups; /* words: group n is bit n-1 */
	size_t n_groups;
};

struct sk_packet {
	int ifindex;
	struct sk_packet_member *members;
	size_t n_members;
	struct tpacket_req3 rx, tx; /* tp_block_nr 0: none */
};

struct sk_tun {
	char *device;
	uint32_t flags; /* IFF_* as TUNGETIFF gives them */
	int sndbuf;     /* 0: not known */
	bool detached;
};

struct sk_nsfs {
	bool is_user;
	int64_t target; /* netns.id, or userns.ns_id */
};

struct sk_file {
	enum sk_kind kind;
	int64_t row;   /* socket.id, tun_file.id, ns_file.id */
	int64_t netns; /* netns.id to be in when it is created; 0: none */
	uint32_t file_id, ino;
	char *label;    /* "tcp 10.0.0.1:80", for people */
	char *left_out; /* why it is not restored, NULL: it is */

	int family, type, protocol, state;
	uint32_t flags;    /* O_* */
	int shutdown;      /* 0 none, 1 read, 2 write, 3 both */
	int64_t uid;       /* owner, -1: not known */
	int64_t n_waiting; /* bytes that wait to be read */
	struct sk_owner owner;
	const struct sk_option *options; /* lent by the set: most sockets have them in common */
	size_t n_options;
	struct sk_member *members;
	size_t n_members;
	struct sockaddr_storage local, peer;
	socklen_t local_len, peer_len; /* 0: no address */
	char *scope_device;            /* device of a link-local address, NULL */
	bool listens;
	int backlog;
	int64_t bind_order; /* its place in its group of SO_REUSEPORT, -1: none */
	bool above_somaxconn; /* the limit of its namespace may be lower: lowered after listen(2), or another
			       * namespace is given */
	bool v6only;          /* IPV6_V6ONLY; an option too, but of raw sockets */
	bool crowded;      /* another socket of the namespace has the same port */
	bool crowded_port; /* and they needed SO_REUSEPORT for that */

	struct sk_unix un;
	struct sk_netlink nl;
	struct sk_packet pk;
	struct sk_tun tun;
	struct sk_nsfs ns;

	size_t creator; /* index of the task */
};

struct sk_fd {
	int fd;
	size_t file;
	bool cloexec;
};

struct sk_task {
	int64_t row;
	pid_t pid, ppid;
	char comm[16];
	int64_t netns;     /* netns.id, 0: the restorer's own */
	int64_t userns;    /* userns.ns_id to enter, -1: the restorer's own */
	int64_t mntns;     /* as the dump numbers them, 0: not known */
	struct sk_fd *fds; /* sorted by number */
	size_t n_fds;
};

/* What is left out of n_waiting. */
#define SK_WAITING "bytes that wait in it"

/* What the image has and the restore leaves out. */
struct sk_loss {
	char *object, *reason;
};

struct sk_specs {
	struct sk_file *files;
	size_t n_files;
	struct sk_task *tasks;
	size_t n_tasks;
	struct sk_loss *losses;
	size_t n_losses;
	struct sk_option_list *lists; /* of options, the youngest */
	struct sk_option_list
		*recent[32];      /* of sockets of a kind (SOCKOPT_*), by the number of its bit */
	struct sk_option *making; /* the options of the socket that is read */
	size_t n_making;
	struct arena values; /* of options */
	struct buf value;    /* in the making */
};

/* An owned set or NULL. Files without a descriptor in any task are not in it. */
struct sk_specs *sk_specs_load(struct db *db, int64_t image, struct err *e);
void sk_specs_free(struct sk_specs *s);

/* Has the task a descriptor of the file? */
bool sk_task_has(const struct sk_task *t, size_t file);

/* Is number fd one that the task's files must get? */
bool sk_task_wants(const struct sk_task *t, int fd);

/* What to connect a unix socket to: the peer's name. False: it has none. */
bool sk_unix_is_named(const struct sk_file *f);

/* Does a file come with it? Not when that is gone, elsewhere, or that of the listener. */
bool sk_unix_has_file(const struct sk_file *f);

/* -- for sk_spec*.c -- */

/* Columns of the current row by name; of two with the same name the first is meant. */
#define SPEC_COLUMNS 128
#define SPEC_SLOTS   512 /* more than SPEC_COLUMNS, a power of two */
#define SPEC_OPTIONS 256 /* at least sockopt_count() */
struct spec_row {
	const struct query *q;
	struct spec_column {
		const char *name; /* NULL: free */
		int col;
	} slots[SPEC_SLOTS]; /* by a hash of the name */
	/* The options that have a column, in the order of their table; usec: of a time's microseconds, -1: none. */
	struct spec_option {
		const struct sockopt *row;
		int col, usec;
	} options[SPEC_OPTIONS];
	size_t n_options;
};
void spec_row_init(struct spec_row *r, const struct query *q);
int spec_col(const struct spec_row *r, const char *name); /* -1: no such column */
bool spec_has(const struct spec_row *r, const char *name);
int64_t spec_int(const struct spec_row *r, const char *name, int64_t absent);
const char *spec_text(const struct spec_row *r, const char *name);
/* unit: "_sec" or "_usec", of a time. -1: no such column. */
int sk_option_column(const struct spec_row *r, const struct sockopt *row, const char *unit);
char *spec_strdup(const char *text, struct err *e);

int sk_lose(struct sk_specs *s, struct err *e, const char *object, const char *reason, ...)
	__attribute__((format(printf, 4, 5)));
int sk_leave_out(struct sk_file *f, struct err *e, const char *reason, ...)
	__attribute__((format(printf, 3, 4)));
int sk_set_label(struct sk_file *f, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

int sk_load_options(struct sk_specs *s, struct sk_file *f, const struct spec_row *r, struct err *e);
void sk_options_release(struct sk_specs *s);
int sk_load_members(struct sk_file *f, const struct spec_row *r, struct err *e);
int sk_load_inet(struct sk_file *f, const struct spec_row *r, struct err *e);
int sk_load_unix(struct sk_file *f, const struct spec_row *r, struct err *e);
int sk_load_netlink(struct sk_file *f, const struct spec_row *r, struct err *e);
int sk_load_packet(struct sk_file *f, const struct spec_row *r, struct err *e);

/* Groups of SO_REUSEPORT in their order; files maps file_entry.id to indexes. */
struct u64map;
int sk_sort_groups(struct sk_specs *s, struct u64map *files, struct err *e);

/* After everything is loaded: peers, pairs, who was accepted, which ports are crowded. */
int sk_resolve(struct sk_specs *s, struct err *e);

/* After that: of several that have the same path one has a file there, the others have it elsewhere. */
int sk_place_files(struct sk_specs *s, struct err *e);

static inline void sk_specs_cleanup_(struct sk_specs **s)
{
	sk_specs_free(*s);
}
#define auto_specs __attribute__((cleanup(sk_specs_cleanup_)))
