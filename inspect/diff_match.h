/* diff_match.h: which namespace, task and socket of one image is which of the other.
 *
 * Owns:  the pairs behind struct match. Every object has a pair number; two that belong together share one.
 * Never: reports anything: objects without a partner simply have a number of their own.
 * Order of evidence: the caller's mapping; pins, names and keys of namespaces; devices and addresses that only
 *        one has; tasks by name and descriptors; the namespaces of matched tasks; sockets by task and
 *        descriptor, and their namespaces; what is left by content, in order.
 */
#pragma once

#include "inspect/diff.h"

struct match;

enum match_kind { MATCH_NETNS, MATCH_TASK, MATCH_SOCKET, MATCH_KIND_COUNT };

/* An owned handle or NULL. */
struct match *match_new(const struct diff_side *a, const struct diff_side *b,
			const struct diff_opts *opts, struct err *e);
void match_free(struct match *m);

/* The pair number of row id (netns.id, task.id, socket.id) of a side (0 is a, 1 is b), -1 when the image has no
 * such row. */
long match_pair(const struct match *m, enum match_kind kind, int side, int64_t id);

/* Does the pair have members on both sides? */
bool match_is_whole(const struct match *m, enum match_kind kind, long pair);

/* What people call it: the name in a, or in b when only b has it. Lent. */
const char *match_label(const struct match *m, enum match_kind kind, long pair);

static inline void match_cleanup_(struct match **m)
{
	match_free(*m);
}
#define auto_match __attribute__((cleanup(match_cleanup_)))
