/* holder_rpc.h: what the restorer and a holder say to each other over a SOCK_SEQPACKET pair.
 *
 * Owns:  nothing. One request, one answer, each one packet, with at most one descriptor.
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
	HOLDER_NAME,   /* file: answer with its name, where that has no file any more */
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

/* Each returns 1, 0 when the other end is gone, -1. fd -1: none; *fd is owned, -1 when none came. */
int holder_send_request(int control, const struct holder_request *q, int fd, struct err *e);
int holder_recv_request(int control, struct holder_request *q, int *fd, struct err *e);

/* The answer: rc, the error when rc is -1, notes (lines) and a descriptor. */
int holder_send_answer(int control, int rc, const struct err *failed, struct span notes, int fd,
		       struct err *e);

/* *rc is what the holder's operation returned; *failed its error; notes are appended. */
int holder_recv_answer(int control, int *rc, struct err *failed, struct buf *notes, int *fd,
		       struct err *e);
