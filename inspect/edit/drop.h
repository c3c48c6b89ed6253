/* drop.h: taking objects away, with what hangs off them.
 *
 * Owns:  nothing; rows go by SQL, and triggers (imgdb/triggers.c) take along what cannot be without them.
 * The rest of what must go, or stays and why, is here: drop_device.c, drop_socket.c.
 */
#pragma once

#include "inspect/edit/edit.h"

/* What is asked for beyond the object itself. */
struct drop_how {
	bool peers;    /* the other ends of connections and socket pairs */
	bool accepted; /* connections that came through a listener */
	bool sockets;  /* sockets and tun descriptors that are bound to a device or address */
	bool all;      /* the whole namespace goes: what names an address there goes as well */
	const struct edit_ids *going; /* sorted: sockets that the same command drops; NULL: none */
};

/* Rows that are gone already (they went along with an earlier one) are no error. */
int drop_socket(struct edit *x, int64_t id, const struct drop_how *how, struct err *e);
int drop_device(struct edit *x, int64_t id, const struct drop_how *how, struct err *e);
int drop_address(struct edit *x, int64_t id, const struct drop_how *how, struct err *e);
int drop_nexthop(struct edit *x, int64_t id, const struct drop_how *how, struct err *e);
int drop_netns(struct edit *x, int64_t id, const struct drop_how *how, struct err *e);
