/* criu_guard.h: who cleans up behind CRIU that dumps: a process that outlives us.
 *
 * Owns:  the list of what has to be as before when CRIU has ended, however it did: network namespaces without our lock,
 *        connections out of repair mode, tasks without CRIU's code in them (task_keep.h); and the process that sees to
 *        it, which traces CRIU to be there before the tasks run on.
 * Never: holds a socket of the tasks: that would keep alive what their death is to close. A socket is taken again from
 *        its task when it is looked at, and one whose task has gone is left alone.
 * Order: criu_guard_new, criu_guard_add_*, criu_guard_start, criu_guard_end (or criu_guard_repair alone); criu_guard_free.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

struct criu_guard;

/* An owned handle or NULL. */
struct criu_guard *criu_guard_new(struct err *e);

/* A namespace that will be locked (netlock_add). The descriptor is borrowed. */
int criu_guard_add_netns(struct criu_guard *g, int netns_fd, struct err *e);

/* A task that CRIU has made stand still and has done nothing to yet: its TCP sockets as they are now. is_stopped: it was
 * by SIGSTOP before. One that has gone is no error. */
int criu_guard_add_task(struct criu_guard *g, pid_t pid, bool is_stopped, struct err *e);

/* Begin to guard: from here on all is taken back as soon as the process criu has ended, also when this one has died.
 * CRIU must do nothing to the tasks until this has returned (it waits in its hook). What they are can be kept where CRIU
 * can be traced, on x86-64; elsewhere, and when something else traces CRIU, *unkept says why not, and a task that CRIU's
 * code is in when CRIU is killed may end. When this process dies, each folder is removed with what is in it (files and folders of files); one that has the
 * file "unless" stays. The list is borrowed for the call. */
struct criu_guard_folder {
	const char *path;
	const char *unless; /* NULL: removed in any case */
};
int criu_guard_start(struct criu_guard *g, pid_t criu, const struct criu_guard_folder *folders,
		     size_t n_folders, struct err *unkept, struct err *e);

/* After CRIU has ended: wait until all is as before. Does it here when the guard was killed. Without a start: does
 * nothing. */
int criu_guard_end(struct criu_guard *g, struct err *e);

/* Without a start, for namespaces and tasks of a dump whose nsimg and guard were both killed: take back what that left, but
 * for CRIU's code in a task. */
int criu_guard_repair(const struct criu_guard *g, struct err *e);

void criu_guard_free(struct criu_guard *g);
