/* criu_conns.h: the connections of the image in namespaces that are given, where others go on working.
 *
 * Until CRIU has made both ends, nothing may reach the one that is there: each is stopped meanwhile (base/netlock.h).
 * CRIU's dump stops a namespace of the tree as a whole, and connections of the one that it is in itself by two rules each
 * (iptables, INPUT and OUTPUT, all but its own mark dropped), which its restore takes away. In a namespace that it is
 * given it does not, and restored on the machine of the dump the connections would stay dead.
 *
 * Owns:  the locks, in struct restore_netns.
 * Never: touches another rule: both addresses, both ports and the mark must be those of a connection of the image.
 */
#pragma once

#include "restorer/restore.h"

/* In the namespaces of the plan that were given: before CRIU begins, and when the tasks are there. What is stopped is
 * free again at the latest when r is released, or this process ends. */
int criu_conns_lock(struct restore *r, struct err *e);
int criu_conns_unlock(struct restore *r, struct err *e);
