/* holder_rpc.h: what the restorer and a holder say to each other over a SOCK_SEQPACKET pair.
 *
 * Owns:  nothing. Requests in a row go as one packet, and their answers as one; a descriptor goes along with a single
 *        request or answer. A packet costs both ends more than most requests do.
 * Never: crosses machines or versions: both ends are the same program, forked.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum holder_op {
	HOLDER_CREATE, /* file: create and bind it, in its namespace */
	HOLDER_PAIR,   /* file and its pair, in one call */
	HOLDER_LISTEN, /* file */
	HOLDER_CONNECT, /* file, in its namespace; a descriptor that comes along is the name of its peer */
	HOLDER_NAME,   /* file: answer with its name, where no path leads to its file */
	HOLDER_GIVE,   /* file: answer with a duplicate */
	HOLDER_TAKE,   /* file: here is one that another task made */
	HOLDER_FINISH, /* file: what comes last; arg is the pid that gets its signals, 0: none */
	HOLDER_ENTER, /* all its files are there: enter its own namespaces for good, drop everything */
	HOLDER_COMMIT, /* live on without the restorer */
	HOLDER_OP_COUNT
};

struct holder_request {
	enum holder_op op;
	size_t file;
	int64_t arg;
};

enum { HOLDER_BATCH = 64 }; /* requests of one packet */

/* Each returns 1, 0 when the other end is gone, -1. fd -1: none; *fd is owned, -1 when none came. */
int holder_send_requests(int control, const struct holder_request *q, size_t n, int fd,
			 struct err *e);
int holder_recv_requests(int control, struct holder_request q[HOLDER_BATCH], size_t *n, int *fd,
			 struct err *e);

/* The first word: the pid of the holder, or -errno of the fork that failed. 0: the other end is gone. */
void holder_send_pid(int control, int pid);
int holder_recv_pid(int control);

/* An answer: rc, the error when rc is -1, notes (lines). When answers has become HOLDER_ANSWERS_MAX long it is time to
 * send them. */
enum { HOLDER_ANSWERS_MAX = 16384 };
int holder_answer_add(struct buf *answers, int rc, const struct err *failed, struct span notes,
		      struct err *e);
int holder_send_answers(int control, struct span answers, int fd, struct err *e);

/* What came is appended. */
int holder_recv_answers(int control, struct buf *answers, int *fd, struct err *e);

/* The answer at *at, which moves on: *rc is what the holder's operation returned; *failed its error; notes are appended. */
int holder_answer_next(const struct buf *answers, size_t *at, int *rc, struct err *failed,
		       struct buf *notes, struct err *e);
