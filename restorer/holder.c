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

struct holder {
	pid_t pid;
	int control;
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

struct holder *holder_start(const struct holder_env *env, size_t task, struct err *e)
{
	const struct sk_task *t = &env->specs->tasks[task];
	struct holder *h = calloc(1, sizeof(*h));
	int pair[2];

	if (!h || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
		free(h);
		err_sys(e, ERR_KERNEL, "connection to a holder");
		return NULL;
	}
	snprintf(h->name, sizeof(h->name), "%s(%d)", t->comm, (int)t->pid);
	h->control = pair[0];
	h->pid = fork();
	if (h->pid == 0)
		holder_main(env, task, pair[1]);
	close(pair[1]);
	if (h->pid < 0) {
		err_sys(e, ERR_KERNEL, "fork a holder");
		holder_free(h);
		return NULL;
	}
	return h;
}

void holder_free(struct holder *h)
{
	if (!h)
		return;
	if (!h->committed && h->pid > 0)
		kill(h->pid, SIGKILL);
	close(h->control);
	if (!h->committed && h->pid > 0)
		while (waitpid(h->pid, NULL, 0) < 0 && errno == EINTR)
			;
	free(h);
}

pid_t holder_pid(const struct holder *h)
{
	return h->pid;
}

int holder_tell(struct holder *h, enum holder_op op, size_t file, int64_t arg, int fd,
		struct err *e)
{
	const struct holder_request q = {op, file, arg};

	h->commits = op == HOLDER_COMMIT;
	/* When it is gone, holder_hear says so. */
	if (holder_send_request(h->control, &q, fd, e) < 0)
		return err_wrap(e, "task %s", h->name);
	return 0;
}

/* Until it has closed its end, so that nothing but its sockets is left when we return. */
static void wait_leave(struct holder *h)
{
	struct pollfd p = {.fd = h->control};

	h->committed = true;
	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		;
}

int holder_hear(struct holder *h, int *out, struct buf *notes, struct err *e)
{
	struct err failed = ERR_INIT;
	auto_close int fd = -1;
	int rc = -1, got = holder_recv_answer(h->control, &rc, &failed, notes, &fd, e);

	if (got < 0)
		return err_wrap(e, "task %s", h->name);
	if (!got)
		return err_set(e, ERR_GONE, "the holder of task %s (process %d) has ended", h->name,
			       (int)h->pid);
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
