/* net_ahead.h: what is prepared of a namespace before tasks stand still, so that they do so for a shorter time.
 *
 * Owns:  sockets and open files of the namespaces that will probably be dumped, and threads that read them.
 * Never: reads a value before everything stands still. Most of the time of a sysctl is to open and to close its
 *        file: both are done while the tasks run.
 * Order: net_ahead_add for each namespace, net_ahead_open; when tasks stand still net_ahead_read, then other work,
 *        net_ahead_wait, net_ahead_find; net_ahead_free when they run again.
 */
#pragma once

#include "dumper/dump.h"
#include "dumper/net_socks.h"
#include "dumper/net_sysctl.h"

struct net_ahead;

struct net_ahead_ns {
	struct ns *ns;
	bool is_open; /* socks are */
	struct net_socks socks;
	struct sysctl_files *files; /* NULL: none */
};

/* ns is taken. One that is known already is no error. */
int net_ahead_add(struct dump *d, struct ns *ns, struct err *e);

/* Start the dump's worker and open everything, the files in as many threads as are needed to have that many. Of
 * what cannot be opened the values are read later, which only takes longer. */
int net_ahead_open(struct dump *d, struct err *e);

/* Begin to read the sysctls, in the background; wait until that is done. */
int net_ahead_read(struct dump *d, struct err *e);
void net_ahead_wait(struct dump *d);

/* Lent, NULL: nothing was prepared. */
struct net_ahead_ns *net_ahead_find(const struct dump *d, const struct ns *ns);

void net_ahead_free(struct net_ahead *a);
