/* forker.h: the process that forks the holders.
 *
 * Owns:  that process, and the connection to it. It ends with the restorer, and when it has done what it was asked.
 * Why:   fork(2) copies page tables. The forker is made when the tasks are loaded and the plan is not, so it has few of
 *        them, and it works while the restorer carries out other steps.
 * Order: forker_new; forker_keep; forker_store once; forker_fork any number of times; forker_done. The holders are its children, and
 *        become ours when it has ended (prctl(2), PR_SET_CHILD_SUBREAPER): forker_wait comes before waitpid(2).
 */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "restorer/holder.h"

struct forker;

/* Owned, or NULL. */
struct forker *forker_new(const struct holder_env *env, struct err *e);
void forker_free(struct forker *f); /* as forker_wait */

/* It and the holders have a duplicate of fd (borrowed) until the holders have the store. */
int forker_keep(struct forker *f, int fd, struct err *e);

/* The holders take their namespaces from it; borrowed. */
int forker_store(struct forker *f, const struct store *s, struct err *e);

/* Fork the holders of n tasks from number first on; ends[i] (borrowed) is the holder's end of its connection. Does not
 * wait for them. */
enum { FORKER_MAX = 250 }; /* of one call: SCM_MAX_FD is 253 */
int forker_fork(struct forker *f, size_t first, const int *ends, size_t n, struct err *e);

/* Nothing more is asked: it ends when it has forked them all. */
void forker_done(struct forker *f);

/* That, and until it has ended. */
void forker_wait(struct forker *f);
