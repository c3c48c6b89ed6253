#include "restorer/holder.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "restorer/forker.h"

/* What holders that were started together share. */
struct crew {
	struct forker *forker;
	unsigned n_users;
	struct holder
		*told; /* to whom the requests go that were not sent yet; NULL: none are there */
	struct holder_request requests[HOLDER_BATCH];
	size_t n_requests;
};

struct holder {
	pid_t pid; /* 0: not heard yet; -1: there is none */
	struct crew *crew;
	int control;
	struct buf answers; /* that came, and were heard up to at */
	size_t at;
	bool committed, commits; /* it lives on; it was told to */
	char name[40];           /* "comm(pid)", for messages */
};

/* Numbers beyond those of the sockets: control, store, and what one operation needs for a moment; where there
 * are no more to be had a quarter of them does. */
#define SERVICE_ROOM 32

static int last_wanted(const struct sk_task *t)
{
	return t->n_fds ? t->fds[t->n_fds - 1].fd : 2;
}

rlim_t holder_room(const struct sk_task *t)
{
	return (rlim_t)last_wanted(t) + 1 + SERVICE_ROOM;
}

int holder_room_check(const struct sk_task *t, rlim_t limit, struct err *e)
{
	if ((rlim_t)last_wanted(t) >= limit)
		return err_set(e, ERR_RANGE,
			       "task %s(%d): descriptor number %d is not below the limit of open "
			       "files (%llu), which cannot be raised",
			       t->comm, (int)t->pid, last_wanted(t), (unsigned long long)limit);
	if (limit - t->n_fds < SERVICE_ROOM / 4)
		return err_set(e, ERR_RANGE,
			       "task %s(%d): its sockets need %zu of the %llu descriptor numbers, "
			       "and the limit of open files cannot be raised: %d must be free "
			       "while they are made",
			       t->comm, (int)t->pid, t->n_fds, (unsigned long long)limit,
			       SERVICE_ROOM / 4);
	return 0;
}

int holder_close_all_but(const int *fds, size_t n, struct err *e)
{
	unsigned next = 0;

	for (size_t i = 0; i < n; next = (unsigned)fds[i++] + 1)
		if ((unsigned)fds[i] > next && close_range(next, (unsigned)fds[i] - 1, 0))
			return err_sys(e, ERR_KERNEL, "close what was inherited");
	return close_range(next, ~0U, 0) ? err_sys(e, ERR_KERNEL, "close what was inherited") : 0;
}

/* *end becomes the holder's end of the connection. */
static struct holder *holder_new(struct crew *c, const struct sk_task *t, int *end, struct err *e)
{
	struct holder *h = calloc(1, sizeof(*h));
	int pair[2];

	if (!h || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
		free(h);
		err_sys(e, ERR_KERNEL, "connection to a holder");
		return NULL;
	}
	snprintf(h->name, sizeof(h->name), "%s(%d)", t->comm, (int)t->pid);
	h->crew = c;
	c->n_users++;
	h->control = pair[0];
	*end = pair[1];
	return h;
}

static void crew_leave(struct crew *c)
{
	if (--c->n_users)
		return;
	forker_free(c->forker);
	free(c);
}

static int start_some(struct crew *c, const struct sk_task *tasks, size_t first, size_t n,
		      struct holder **out, struct err *e)
{
	int ends[FORKER_MAX], rc = 0;
	size_t made = 0;

	for (; made < n && !rc; made += !rc) {
		out[made] = holder_new(c, &tasks[first + made], &ends[made], e);
		rc = out[made] ? 0 : -1;
	}
	rc = rc || forker_fork(c->forker, first, ends, n, e) ? -1 : 0;
	for (size_t i = 0; i < made; i++)
		close(ends[i]);
	return rc;
}

int holders_start(struct forker *f, const struct sk_task *tasks, size_t first, size_t n,
		  struct holder **out, struct err *e)
{
	struct crew *c = calloc(1, sizeof(*c));
	int rc = 0;

	if (!c) {
		forker_free(f);
		return err_set(e, ERR_NOMEM, "holders");
	}
	*c = (struct crew){.forker = f, .n_users = 1};
	for (size_t i = 0; i < n && !rc; i += FORKER_MAX)
		rc = start_some(c, tasks, first + i, n - i < FORKER_MAX ? n - i : FORKER_MAX,
				out + i, e);
	forker_done(f);
	crew_leave(c);
	return rc;
}

/* Its first word, whether it is there. */
static int hear_pid(struct holder *h, struct err *e)
{
	int pid;

	if (h->pid)
		return 0;
	pid = holder_recv_pid(h->control);
	h->pid = pid > 0 ? pid : -1;
	if (pid > 0)
		return 0;
	errno = -pid;
	return pid ? err_sys(e, ERR_KERNEL, "fork the holder of task %s", h->name)
		   : err_set(e, ERR_GONE, "the holder of task %s has ended", h->name);
}

void holder_free(struct holder *h)
{
	if (!h)
		return;
	hear_pid(h, &(struct err)ERR_INIT);
	if (!h->committed && h->pid > 0) {
		kill(h->pid, SIGKILL);
		forker_wait(h->crew->forker);
		while (waitpid(h->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	close(h->control);
	if (h->crew->told == h)
		h->crew->told = NULL;
	crew_leave(h->crew);
	buf_free(&h->answers);
	free(h);
}

pid_t holder_pid(const struct holder *h)
{
	return h->pid;
}

/* That one is gone is heard, not told. */
static int send_to(struct holder *h, const struct holder_request *q, size_t n, int fd,
		   struct err *e)
{
	if (holder_send_requests(h->control, q, n, fd, e) < 0)
		return err_wrap(e, "task %s", h->name);
	return 0;
}

static int send_told(struct crew *c, struct err *e)
{
	struct holder *h = c->told;

	c->told = NULL;
	return h ? send_to(h, c->requests, c->n_requests, -1, e) : 0;
}

int holder_tell(struct holder *h, enum holder_op op, size_t file, int64_t arg, int fd,
		struct err *e)
{
	const struct holder_request q = {op, file, arg};
	struct crew *c = h->crew;

	h->commits = op == HOLDER_COMMIT;
	if ((c->told != h || c->n_requests == HOLDER_BATCH || fd >= 0) && send_told(c, e))
		return -1;
	if (fd >= 0)
		return send_to(h, &q, 1, fd, e);
	if (!c->told)
		c->n_requests = 0;
	c->told = h;
	c->requests[c->n_requests++] = q;
	return 0;
}

/* Until it has closed its end, so that nothing but its sockets is left when we return. */
static void wait_leave(struct holder *h)
{
	struct pollfd p = {.fd = h->control};

	forker_wait(h->crew->forker);
	h->committed = true;
	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		;
}

/* 1, 0 when the holder is gone, -1. */
static int hear_answers(struct holder *h, int *fd, struct err *e)
{
	if (h->at < h->answers.len)
		return 1;
	buf_reset(&h->answers);
	h->at = 0;
	return holder_recv_answers(h->control, &h->answers, fd, e);
}

int holder_hear(struct holder *h, int *out, struct buf *notes, struct err *e)
{
	struct err failed = ERR_INIT;
	auto_close int fd = -1;
	int rc = -1, got;

	if (send_told(h->crew, e) || hear_pid(h, e))
		return -1;
	got = hear_answers(h, &fd, e);
	if (got < 0)
		return err_wrap(e, "task %s", h->name);
	if (!got)
		return err_set(e, ERR_GONE, "the holder of task %s (process %d) has ended", h->name,
			       (int)h->pid);
	if (holder_answer_next(&h->answers, &h->at, &rc, &failed, notes, e))
		return err_wrap(e, "task %s", h->name);
	if (rc) {
		*e = failed;
		return err_wrap(e, "task %s", h->name);
	}
	if (out)
		*out = take_fd(&fd);
	if (h->commits)
		wait_leave(h);
	return 0;
}

int holder_ask(struct holder *h, enum holder_op op, size_t file, int64_t arg, int fd, int *out,
	       struct buf *notes, struct err *e)
{
	return holder_tell(h, op, file, arg, fd, e) || holder_hear(h, out, notes, e) ? -1 : 0;
}
