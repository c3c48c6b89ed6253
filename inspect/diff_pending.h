/* diff_pending.h: routes that the kernel makes a moment after an address was added, when duplicate address
 * detection has found no other (addrconf_dad_completed() in net/ipv6/addrconf.c): one image may have been
 * dumped before, the other after.
 *
 * Owns:  the list behind struct diff_pending. Used by diff.c only.
 */
#pragma once

#include "inspect/diff_match.h"

struct diff_pending;

/* What the tentative addresses of both sides lead to, and, with restored (b is a restore of a), the anycast addresses
 * of a that sockets joined, as if b were to have them; an owned handle or NULL. */
struct diff_pending *diff_pending_new(const struct match *m, const struct diff_side *a,
				      const struct diff_side *b, bool restored, struct err *e);
void diff_pending_free(struct diff_pending *p);

/* Will the side (0 is a, 1 is b) have this route (netns: pair; object: as in diff_tables.c) by itself? */
bool diff_pending_has(const struct diff_pending *p, int side, long netns, const char *object);

static inline void diff_pending_cleanup_(struct diff_pending **p)
{
	diff_pending_free(*p);
}
#define auto_diff_pending __attribute__((cleanup(diff_pending_cleanup_)))
