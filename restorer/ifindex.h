/* ifindex.h: devices of the image whose index or name is taken in every new namespace, by lo and by the fallback
 * devices that this kernel makes; with --any-ifindex they get another index.
 *
 * Owns:  the list of clashes.
 * Never: changes the database of the user: another index goes into a copy in memory (imgdb/reindex.h), and the
 *        plan is made from that. The journal keeps which device got which, so that verify compares with the same.
 */
#pragma once

#include "base/ns.h"
#include "imgdb/reindex.h"
#include "restorer/journal.h"
#include "restorer/restore.h"

struct clash {
	struct reindex change; /* to 0: it is the name that is taken */
	char *device;          /* "NETNS DEVICE" */
	bool is_there;         /* the kernel makes and numbers it itself: lo, a fallback device */
	char taken_by[16];
};

struct clashes {
	struct clash *all;
	size_t n;
};

/* Devices of the namespaces that r makes which cannot be beside those of the empty namespace ns. Each gets an
 * index that is free; one that is there, which come last, the index that it has there. */
int clashes_find(struct clashes *c, const struct restore *r, const struct ns *ns, struct err *e);
void clashes_free(struct clashes *c);
#define auto_clashes __attribute__((cleanup(clashes_free)))

/* A copy of the database of r with the new indexes, to plan from: owned. NULL and e->code 0: none is needed. empty: a
 * namespace that nobody has touched; NULL: one is made. What changes is noted in r (restore_note) and for the journal. */
struct db *ifindex_adapt(struct restore *r, const struct ns *empty, struct err *e);

/* The facts of the step that makes a namespace, and from them the changes again: an owned array. */
int ifindex_remember(struct restore *r, int64_t netns, struct err *e);
int ifindex_recall(const struct journal *j, struct reindex **all, size_t *n, struct err *e);
