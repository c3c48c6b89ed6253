/* mounts.h: network namespaces that are pinned by a bind mount (ip-netns(8)), and under which names.
 *
 * Facts: proc_pid_mountinfo(5): such a mount has file system type nsfs and root "net:[INODE]".
 */
#pragma once

#include "dumper/dump.h"

/* Read the mounts that process pid sees (0: the dumper itself). A namespace of the dump learns its name; one
 * that the dump does not know is added when add_unknown is set, else left alone. */
int mounts_find_netns(struct dump *d, pid_t pid, bool add_unknown, struct err *e);
