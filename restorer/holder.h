/* holder.h: the process that has taken the place of a dumped task and only waits.
 *
 * Owns:  the control connection, and until HOLDER_COMMIT the process: it ends when the connection closes.
 * Never: moves the restorer. A holder enters the namespace of each socket to create it, and its own for
 *        good only after all its sockets exist (HOLDER_ENTER checks that).
 * Order: forker_new, store filled, forker_store; holders_start for all tasks, holder_hear once for each; holder_ask CREATE and PAIR, LISTEN,
 *        CONNECT, FINISH, GIVE and TAKE, ENTER, COMMIT; holder_free.
 * Speed: holder_ask is holder_tell and holder_hear. Between the two others may be told, so that holders work
 *        side by side; each answers in the order in which it was told, HOLDER_TOLD_MAX times at most before it
 *        is heard (more might fill its socket while it fills ours). What one is told in a row is sent when
 *        another one is told something, or any is heard.
 * Numbers: the holder's own descriptors (control, store) are moved to numbers that none of its sockets must
 *        get, beyond its limit of open files where need be; nothing of them is left after COMMIT.
 */
#pragma once

#include <stddef.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "restorer/holder_rpc.h"
#include "restorer/sk_spec.h"
#include "restorer/store.h"

/* What a holder inherits; lent for the life of all holders. */
struct holder_env {
	const struct sk_specs *specs;
	struct store *store;
	const char *root; /* below which unix path sockets are made */
};

/* The limit of open files that the holder of a task raises its own to, so that its descriptors are in nobody's
 * way. With a lower one, which cannot be raised (no CAP_SYS_RESOURCE, fs.nr_open), numbers between those of the
 * sockets must do: -1 (ERR_RANGE) when there are not enough. */
rlim_t holder_room(const struct sk_task *t);
int holder_room_check(const struct sk_task *t, rlim_t limit, struct err *e);

struct forker;
struct holder;

enum { HOLDER_TOLD_MAX = 64 };

/* Have the holders of n of the tasks forked by f (taken), from number first on, into out (owned; on failure what there is,
 * the rest NULL as it was). Each answers once (holder_hear: it is ready, and has its pid), then waits for requests. */
int holders_start(struct forker *f, const struct sk_task *tasks, size_t first, size_t n,
		  struct holder **out, struct err *e);

/* Ends the process, and waits for that, unless it was committed. */
void holder_free(struct holder *h);

/* 0 before it was heard. */
pid_t holder_pid(const struct holder *h);

/* Tell it to do op with file. fd (borrowed, -1: none) goes along. That it has ended is heard, not told. */
int holder_tell(struct holder *h, enum holder_op op, size_t file, int64_t arg, int fd,
		struct err *e);

/* The answer to the oldest request that was not heard. *out (NULL: none expected) is the owned descriptor that
 * came back. notes get lines about what this kernel did not take. -1: the error of the operation, or ERR_GONE
 * when the holder has ended. */
int holder_hear(struct holder *h, int *out, struct buf *notes, struct err *e);

/* Both. */
int holder_ask(struct holder *h, enum holder_op op, size_t file, int64_t arg, int fd, int *out,
	       struct buf *notes, struct err *e);

/* -- for holder*.c -- */

/* Close every descriptor but these n, in rising order. */
int holder_close_all_but(const int *fds, size_t n, struct err *e);

/* In the process that forks them: what all holders inherit. */
int holder_prepare(struct err *e);

/* The life of the process. Never returns. */
void holder_main(const struct holder_env *env, size_t task, int control) __attribute__((noreturn));
