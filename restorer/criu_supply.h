/* criu_supply.h: what CRIU cannot make of an image: tun descriptors in a namespace that it is given, and what its
 * records of sockets have no field for.
 *
 * Owns:  the tun descriptors, from criu_supply_tuns until the files are freed; they are handed to CRIU with
 *        --inherit-fd.
 * Never: makes a socket. The options, multicast groups and owners that CRIU loses are set through a duplicate of the
 *        descriptor in the stopped task (pidfd_getfd(2)), which is the same socket: before packets flow again, and
 *        whatever state CRIU has brought it to. (A socket could be made here and handed over as well, but then its
 *        state, a connection's sequence numbers and queues, would be lost instead.) A datagram socket has no such
 *        state: CRIU makes it without addresses (criu_image.h), and it is bound and connected here, where CRIU fails at
 *        broadcast and link-local addresses, and where no route leads any more.
 * Order: criu_supply_new while planning, criu_supply_tuns before CRIU, criu_supply_sockets at its hook
 *        "network-unlock", criu_supply_done when it has succeeded.
 */
#pragma once

#include "base/u64map.h"
#include "restorer/restore.h"
#include "restorer/sk_spec.h"

struct criu_supply {
	char *dir; /* the work folder (criu_image.h) */
	struct sk_specs *specs;
	struct u64map by_id; /* index of specs by file_entry.id */
	int *fds;            /* by file of specs, -1: not made here */
};

/* The name of a tun descriptor, by the number of the file, in the images and for --inherit-fd. */
#define CRIU_TUN "nsimg/tun%u"

/* An owned set or NULL; dir is copied. Nothing of the system is looked at. */
struct criu_supply *criu_supply_new(const struct restore *r, const char *dir, struct err *e);
void criu_supply_free(void *supply);

/* The file with that number, lent; NULL: no task has a descriptor of it, or it is of a kind that nsimg does not make. */
const struct sk_file *criu_supply_find(const struct criu_supply *s, uint32_t file_id);

/* Is it a descriptor of a device, which is handed over? One without a device CRIU opens itself. */
bool criu_supply_is_tun(const struct sk_file *f);

/* Open them, each attached to its device in its namespace. What the kernel does not take is a note of r. */
int criu_supply_tuns(struct criu_supply *s, struct restore *r, struct err *e);

/* All tasks are stopped; root is the pid of the root task as we see it. */
int criu_supply_sockets(struct criu_supply *s, struct restore *r, pid_t root, struct err *e);

/* The tasks have the tun descriptors: devices that were not persistent live by them alone from now on. */
int criu_supply_done(struct criu_supply *s, struct restore *r, struct err *e);
