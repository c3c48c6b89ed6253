/* criu_guard.h: who cleans up behind CRIU that dumps: a process that outlives us.
 *
 * Owns:  the list of what has to be as before when CRIU has ended, however it did: network namespaces without our lock,
 *        connections out of repair mode; and the process that sees to it.
 * Never: holds a socket of the tasks: that would keep alive what their death is to close. A socket is taken again from
 *        its task when it is looked at, and one whose task has gone is left alone.
 * Order: criu_guard_new, criu_guard_add_*, criu_guard_start, criu_guard_end; criu_guard_free.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

struct criu_guard;

/* An owned handle or NULL. */
struct criu_guard *criu_guard_new(struct err *e);

/* A namespace that will be locked (netlock_add). The descriptor is borrowed. */
int criu_guard_add_netns(struct criu_guard *g, int netns_fd, struct err *e);

/* A task that stands still: its TCP sockets as they are now. One that has gone is no error. */
int criu_guard_add_task(struct criu_guard *g, pid_t pid, struct err *e);

/* Begin to guard: from here on all is taken back as soon as the process criu has ended, also when this one has died.
 * When this process dies, each folder is removed with what is in it (files and folders of files); one that has the
 * file "unless" stays. The list is borrowed for the call. */
struct criu_guard_folder {
	const char *path;
	const char *unless; /* NULL: removed in any case */
};
int criu_guard_start(struct criu_guard *g, pid_t criu, const struct criu_guard_folder *folders,
		     size_t n_folders, struct err *e);

/* After CRIU has ended: wait until all is as before. Does it here when the guard was killed. Without a start: does
 * nothing. */
int criu_guard_end(struct criu_guard *g, struct err *e);

void criu_guard_free(struct criu_guard *g);
