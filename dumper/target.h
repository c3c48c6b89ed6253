/* target.h: who is dumped: from what the user named to a list of processes and namespaces.
 *
 * Never: reads descriptors of other processes than links of /proc/PID/fd; changes nothing.
 */
#pragma once

#include "base/err.h"
#include "base/ns.h"
#include "dumper/proc.h"

enum target_kind {
	TARGET_PID,    /* a process and everything below it */
	TARGET_NETNS,  /* a named network namespace: tasks in it or holding its sockets */
	TARGET_CGROUP, /* a control group and those below it */
	TARGET_UNIT,   /* the control group of a systemd unit */
	TARGET_ALL,    /* every process */
	TARGET_KIND_COUNT
};

struct target {
	enum target_kind kind;
	const char *what; /* pid, name or path; borrowed */
};

/* The option that names a kind ("--pid"). Lent, static. */
const char *target_option(enum target_kind kind);

/* The processes that targets mean, ascending, without the caller and kernel threads. ERR_NOTFOUND names
 * what does not exist. Children that appear later are freeze_tasks' business. */
int target_tasks(const struct target *targets, size_t n, struct pid_list *out, struct err *e);

/* The namespace of a TARGET_NETNS: a name below /run/netns, or a path. Owned, or NULL. */
struct ns *target_netns(const char *what, struct err *e);
