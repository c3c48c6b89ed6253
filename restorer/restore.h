/* restore.h: the state of one restore while its plan is carried out.
 *
 * Owns:  the handles of the namespaces (by netns row), one rtnetlink conversation for each, the journal and
 *        the engine of the tasks. Options are borrowed for its life.
 * Never: moves the restorer into another namespace.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/nl.h"
#include "base/ns.h"
#include "imgdb/db.h"
#include "imgdb/reindex.h"
#include "restorer/journal.h"
#include "restorer/plan.h"
#include "restorer/sysctl_rows.h"

struct task_engine; /* task_engine.h: holders and their control, made by the task builder's first step */

/* --veth IN=OUT[@BRIDGE]; in may be NETNS/IN where a name occurs in several namespaces. */
struct opt_veth {
	const char *netns;             /* or NULL */
	const char *in, *out, *bridge; /* bridge or NULL */
};

/* --netns KEY=NAME|PATH */
struct opt_netns {
	const char *key, *target;
};

/* Where ip netns has its names. */
#define PIN_DIR "/run/netns"

struct restore_opts {
	const char *db_path;
	const char *name;      /* of the instance */
	const char *prefix;    /* before pin names, "" */
	const char *pin_dir;   /* NULL: /run/netns */
	const char *state_dir; /* JOURNAL_DIR */
	const char *root;      /* below which unix path sockets are made, "/" */
	const struct opt_veth *veths;
	size_t n_veths;
	const struct opt_netns *netns;
	size_t n_netns;
	bool no_tasks, dry_run;
	bool all_pins;                 /* names outside of /run/netns come back, too */
	bool carry_out;                /* the plan is for more than looking at */
	bool any_ifindex;              /* a device whose index is taken may get another */
	bool criu;                     /* CRIU makes the processes */
	const char *source;            /* of files kept by reference; NULL: the one recorded */
	const char *criu_program;      /* NULL: found in PATH */
	const char *const *criu_words; /* further options for it */
	size_t n_criu_words;
	unsigned break_after; /* kill -9 itself after this many steps; 0: not */
};

/* A namespace of the image. */
struct restore_netns {
	int64_t row;          /* netns.id */
	int64_t ns_id;        /* netns.ns_id */
	char *name;           /* for people */
	char **pins;          /* paths under /run/netns that it had, ended by NULL; NULL: none */
	char **other_pins;    /* and elsewhere */
	char *ext_key;        /* or NULL */
	int64_t owner;        /* userns.ns_id, -1: the restorer's own */
	bool external;        /* not made, but given by --netns */
	bool caller;          /* it was the dumper's own namespace */
	const char *target;   /* what --netns gives for it, lent by the options; NULL: nothing */
	struct ns *made;      /* NULL, or it is made while the plan is, for its step */
	struct ns *ns;        /* NULL until its step has run */
	int rtnl_fd;          /* opened with made, -1: not */
	struct nl *rtnl;      /* over that, or opened when it is first asked for */
	struct nft_ctx *held; /* the lock of its connections, of a given one, while CRIU works */
	bool is_nonlocal;     /* ip_nonlocal_bind is set while CRIU works */
	bool gen_mode_of_all; /* its conf/all/addr_gen_mode is not 0, and was written to all devices */
	bool sysctl_spread; /* a sysctl was written that changes others (sysctl_known.h) */
};

enum { RESTORE_MOMENT_MAX = 40 };

/* A user namespace of the image. */
struct restore_userns {
	int64_t ns_id;
	bool external; /* the dumper's own */
	int fd;        /* -1 until its step has run, or external */
};

struct restore {
	struct db *db;
	int64_t image;
	const struct restore_opts *opts;
	struct restore_netns *netns;
	size_t n_netns;
	struct restore_netns home; /* the restorer's own: row 0 */
	struct restore_userns *userns;
	size_t n_userns;
	struct ns_worker *worker; /* enters the namespaces; NULL: nothing will be carried out */
	struct ns_worker *maker;  /* makes them */
	struct journal *journal;  /* NULL while planning */
	struct task_engine *tasks;
	void (*tasks_free)(struct task_engine *t);
	struct sysctl_rows *sysctls; /* of all namespaces */
	struct ns *fresh;            /* restore_fresh */
	struct reindex *reindexed;   /* devices that get another index (--any-ifindex) */
	size_t n_reindexed;
	struct buf notes;   /* lines about what this kernel did not take, without being a failure */
	int waited_ms;      /* for carriers, in all */
	int waited_down_ms; /* for the end of carriers */
	char moment[RESTORE_MOMENT_MAX]; /* what a sysctl was, while it is another (sk_moment.h) */
	uint32_t step;                   /* number of the step that runs, for journal_fact */
};

/* Reads the namespaces of the image. An owned context or NULL; db and opts are borrowed. */
struct restore *restore_new(struct db *db, int64_t image, const struct restore_opts *opts,
			    struct err *e);

/* Closes every handle: what only the restorer holds goes away. */
void restore_free(struct restore *r);

/* The same, with the context kept: what lives only through handles begins to go away. */
void restore_release(struct restore *r);

/* When the plan will be carried out, before it is made: the two threads, with room for descriptors. One makes the
 * namespaces meanwhile, and while the first steps run: a namespace that nobody but a descriptor of ours knows is not a
 * change yet. What comes first in the plan comes first. (A second one would be at work in place of the plan where there
 * are two processors, and namespaces are made faster than links.) */
int restore_prepare(struct restore *r, struct err *e);

/* Is that so for this one? */
bool restore_makes_early(const struct restore *r, const struct restore_netns *n);

/* A namespace as this kernel makes it, made when it is first asked for: to look at, and to try a kind of device, no sysctl
 * of it is written. Lent, or NULL. */
struct ns *restore_fresh(struct restore *r, struct err *e);

/* A line for the end of the restore: object and reason. */
int restore_note(struct restore *r, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* By netns.id; NULL when the image has no such row. Lent. */
struct restore_netns *restore_netns_find(const struct restore *r, int64_t row);

/* By netns.ns_id. */
struct restore_netns *restore_netns_by_id(const struct restore *r, int64_t ns_id);
struct restore_userns *restore_userns_find(const struct restore *r, int64_t ns_id);

/* The handle of a namespace whose step has run; NULL (ERR_NOTFOUND) otherwise. Lent. */
struct ns *restore_ns(struct restore *r, int64_t row, struct err *e);

/* The rtnetlink conversation in it, opened at first use. Lent. */
struct nl *restore_rtnl(struct restore *r, int64_t row, struct err *e);

/* The path that --netns gives for n, owned. */
char *restore_target_path(const struct restore_netns *n, struct err *e);

/* The same of a namespace outside: the one that --netns gives for row, or the restorer's own (0); it is opened when it
 * is first asked for. */
struct ns *restore_outside(struct restore *r, int64_t row, struct err *e);
struct nl *restore_outside_rtnl(struct restore *r, int64_t row, struct err *e);

static inline void restore_cleanup_(struct restore **r)
{
	restore_free(*r);
}
#define auto_restore __attribute__((cleanup(restore_cleanup_)))
