/* userns.h: user namespaces with given id maps.
 *
 * Owns:  nothing; the descriptor that is returned is the namespace.
 * Never: moves the restorer: helper children enter, unshare and write, then end. The namespace lives on
 *        through the descriptor, and through the network namespaces it owns.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Ids first..first+count-1 inside are lower.. outside, as the restorer sees them. */
struct id_range {
	uint32_t first, lower, count;
};

struct userns_spec {
	bool is_nested; /* in one of ours, not in the restorer's own user namespace */
	int parent_fd;
	const struct id_range *parent_uids,
		*parent_gids; /* maps of the parent, when it is one of ours */
	size_t n_parent_uids, n_parent_gids;
	const struct id_range *uids, *gids;
	size_t n_uids, n_gids;
	uint32_t owner_uid;    /* as the restorer sees it */
	const char *setgroups; /* "allow", "deny" or NULL */
};

/* Can the parent have such a child? -1: ERR_CONFLICT, an id that the parent does not have. Looks at the spec but for
 * parent_fd. */
int userns_check(const struct userns_spec *spec, struct err *e);

/* An owned descriptor of a new user namespace, or -1. ERR_CONFLICT as above. */
int userns_new(const struct userns_spec *spec, struct err *e);
