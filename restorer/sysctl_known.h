/* sysctl_known.h: which sysctls of a namespace have the wanted value already, told without opening their files.
 *
 * Owns:  what was seen: in a namespace as the kernel makes it (restore_fresh) each item is compared once. A namespace
 *        that the restorer made has the same values until somebody writes; and its devices those of the devices of the
 *        same names and kinds in the one before.
 * Facts: what belongs to a device is in its link message (proto/devconf.h). Writing "all", "default" or
 *        ip_forward changes other files too (sysctl_item.spreads): after that only the devices' values are
 *        told, and for the rest the files have to be asked.
 */
#pragma once

#include "restorer/steps_net.h"

/* Set known[i] for each item of the sysctl step that is as it shall be, or not this step's business; the others have to be looked at, all
 * of them when one that spreads is among them. */
int sysctl_known(struct restore *r, const struct step *s, bool *known, struct err *e);
