/* store.h: the one place where namespace descriptors wait until a task takes what it needs.
 *
 * Owns:  one unix datagram socket, connected to itself, in whose queue the descriptors lie (SCM_RIGHTS, one
 *        a message); takers lock it against each other.
 * Never: loses what is taken: a taker gets a duplicate, the message stays.
 * Order: store_new, store_put for everything; each process that is forked after, or has the descriptor and
 *        store_from_fd: store_take any number of times, and store_free when it is done. The last descriptor closed empties the store.
 * Why:   tasks inherit one descriptor instead of one a namespace, so a task whose sockets need nearly all
 *        numbers below its limit still has room, and thousands of namespaces fit.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"

struct store;

/* The journal is never taken: who has the store has it (journal_work). */
enum store_kind { STORE_NETNS, STORE_USERNS, STORE_JOURNAL };

/* An owned, empty store or NULL. */
struct store *store_new(struct err *e);
void store_free(struct store *s);

/* One that another process has filled, by its descriptor (taken). Owned, or NULL. */
struct store *store_from_fd(int fd, struct err *e);

/* Put a duplicate of fd (borrowed) in, under kind and id. ERR_EXISTS when there is one already. */
int store_put(struct store *s, enum store_kind kind, int64_t id, int fd, struct err *e);

/* An owned duplicate (close-on-exec), or -1: ERR_NOTFOUND. */
int store_take(struct store *s, enum store_kind kind, int64_t id, struct err *e);

/* The descriptor of the store itself, lent; and make it another number (close-on-exec), the old one is
 * closed. */
int store_fd(const struct store *s);
int store_move(struct store *s, int fd, struct err *e);

static inline void store_cleanup_(struct store **s)
{
	store_free(*s);
}
#define auto_store __attribute__((cleanup(store_cleanup_)))
