/* mounts.h: network namespaces that are pinned by a bind mount (ip-netns(8)), and under which names.
 *
 * Facts: proc_pid_mountinfo(5): such a mount has file system type nsfs and root "net:[INODE]".
 */
#pragma once

#include "dumper/dump.h"

/* What to do with a namespace that the dump does not know. */
enum mounts_unknown {
	UNKNOWN_LEAVE,
	UNKNOWN_DUMP,
	UNKNOWN_EXTERNAL, /* it is one that may be referred to */
};

/* Read the mounts that process pid sees (0: the dumper itself). A namespace of the dump learns its name. */
int mounts_find_netns(struct dump *d, pid_t pid, enum mounts_unknown unknown, struct err *e);
