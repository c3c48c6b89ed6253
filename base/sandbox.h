/* sandbox.h: give up, for good, what a command that reads hostile images never needs.
 *
 * Owns:  nothing; the kernel keeps the limits of this thread and of all that it starts.
 * Never: takes a limit back. Kernel support that is missing is no error: the limits that are there hold.
 * Order: from the only thread, before the first hostile byte is read: sandbox_enter, once. Descriptors
 *        that are open keep their rights.
 *
 * Three walls: no new privileges (prctl(2)); files, by Landlock (landlock(7), Linux 5.13): the paths given
 * here and what libraries read (time zones, character sets); system calls, by seccomp (seccomp(2)): no
 * sockets, no tracing, no mounts, no namespaces, no modules, and no other program unless asked for.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"

enum sandbox_access {
	SANDBOX_READ,        /* the file, or the folder and all below it */
	SANDBOX_WRITE,       /* that, and change, make and remove regular files and folders in it */
	SANDBOX_WRITE_LINKS, /* that, and make symbolic links and fifos */
};

struct sandbox_path {
	const char *path; /* borrowed; one that is not there is passed over */
	enum sandbox_access access;
};

enum sandbox_flag {
	SANDBOX_EXEC =
		1 << 0, /* may run programs from the folders of the system (dot, for graphs) */
};

/* 0, or -1 when a wall that the kernel has could not be put up. */
int sandbox_enter(const struct sandbox_path *paths, size_t n, unsigned flags, struct err *e);

/* The version of Landlock of this kernel, 0 when it has none. */
int sandbox_landlock_abi(void);
