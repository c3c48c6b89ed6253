/* criu_unlock.h: the rules by which CRIU's dump had stopped single connections of its own namespace.
 *
 * CRIU stops a namespace of the tree as a whole, and connections of the one that it is in itself by two rules each
 * (iptables, INPUT and OUTPUT, all but its own mark dropped), which its restore takes away. In a namespace that it is
 * given it does not, and restored on the machine of the dump the connections would stay dead.
 *
 * Owns:  nothing.
 * Never: touches another rule: both addresses, both ports and the mark must be those of a connection of the image.
 */
#pragma once

#include "restorer/restore.h"

/* In the namespaces of the plan that were given. */
int criu_unlock_given(struct restore *r, struct err *e);
