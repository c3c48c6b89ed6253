/* readdress.h: every address of an image mapped, in all the places where it stands.
 *
 * Owns:  the order: look for collisions first, then map table by table (places.h), then what the kernel makes
 *        of the addresses of interfaces by itself.
 * Never: touches payload of packets, comments, or what no pair of the map is about.
 */
#pragma once

#include "inspect/edit/edit.h"
#include "inspect/edit/remap.h"

struct readdress_opts {
	const struct remap *map;
	const int64_t *netns; /* only these namespaces; NULL: all of the image */
	size_t n_netns;
	bool merge; /* two addresses may become one */
};

/* In the image of x. *n_places: how many places there were. ERR_CONFLICT: an address would become one that
 * its namespace has already. */
int readdress_apply(struct edit *x, const struct readdress_opts *o, size_t *n_places,
		    struct err *e);

/* ---- readdress_kernel.c: routes that the kernel makes of the addresses of interfaces ---- */

/* The three destinations that the kernel makes of a network. */
enum dst_kind { DST_NET, DST_FIRST, DST_LAST, DST_COUNT };

/* An address of an interface that changed. */
struct moved {
	int64_t netns, ifindex;
	int family;
	unsigned bits;            /* of its network */
	uint8_t from[16], to[16]; /* the address */
	uint8_t net_from[16],
		net_to[16];      /* what its network is made of: the peer, where there is one */
	int64_t like[DST_COUNT]; /* routes of its network as it was, 0: none */
};

struct moves {
	struct moved *m;
	size_t n, cap;
};

void moves_free(struct moves *all);
int moves_add(struct moves *all, const struct moved *m, struct err *e);

/* Before any route is mapped: which routes the network of an address had. */
int moves_note_routes(struct edit *x, struct moved *m, struct err *e);

/* The kernel's route of a moved address: dst (text) of a route of protocol kernel. Appends the new dst. 1, 0: of
 * none, -1. */
int moves_route(const struct moves *all, int64_t netns, int64_t ifindex, const char *dst,
		const char *prefsrc, struct buf *out, struct err *e);

/* After all rows are mapped: which address of a network is the first (IFA_F_SECONDARY), and routes of
 * networks that keep other addresses, or had some before. whole: addresses whose network went along as the map says;
 * where another address of the interface did not, a route may have gone with that one. */
int moves_settle(struct edit *x, const struct moves *all, const struct moves *whole, struct err *e);

/* ---- readdress_apart.c: the other side of what changes, in namespaces that are not mapped ---- */

enum { APART_KINDS = 5 };

/* Rows that belong together across namespaces, of which only one is mapped: of each kind pairs, one after the other. */
struct apart {
	struct edit_ids pairs[APART_KINDS];
};

/* Before rows are mapped: the ends of connections, gateways and their addresses. None when all namespaces are. */
int apart_find(struct edit *x, const struct readdress_opts *o, struct apart *a, struct err *e);

/* After that: which of them do not belong together any more. */
int apart_say(struct edit *x, const struct apart *a, struct err *e);
void apart_free(struct apart *a);
