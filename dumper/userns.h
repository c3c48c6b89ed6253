/* userns.h: user namespaces: who owns a network namespace, and the id maps.
 *
 * Owns:  nothing; the list lives in struct dump.
 * Facts: ioctl_ns(2): NS_GET_USERNS, NS_GET_PARENT, NS_GET_OWNER_UID; user_namespaces(7) for the maps, which
 *        show values as the reader's own user namespace sees them.
 */
#pragma once

#include "dumper/dump.h"

/* Add the dumper's own user namespace: recorded as external. First of all. */
int userns_add_own(struct dump *d, struct err *e);

/* The user namespace of a process: found or added (its parents too). Lent, NULL on failure. */
struct dump_userns *userns_of_pid(struct dump *d, pid_t pid, struct err *e);

/* Fill user_ns_id of every network namespace that has none yet. One whose owner is above the dumper's
 * reach keeps 0. */
int userns_of_netns_all(struct dump *d, struct err *e);

/* Write userns-N.img for each. */
struct img_writer;
int userns_write(struct dump *d, struct img_writer *w, struct err *e);
