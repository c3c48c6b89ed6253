#include "restorer/forker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "restorer/holder_rpc.h"

struct forker {
	pid_t pid;   /* 0: it has ended */
	int control; /* -1: nothing more is asked */
};

struct forker_request {
	enum { FORKER_KEEP, FORKER_STORE, FORKER_FORK } what;
	size_t first, n; /* tasks, with as many descriptors */
};

struct packet {
	struct forker_request q;
	struct iovec iov;
	struct msghdr h;
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * FORKER_MAX)];
	} control;
};

static void packet_init(struct packet *p, size_t n_fds)
{
	p->iov = (struct iovec){&p->q, sizeof(p->q)};
	p->h = (struct msghdr){.msg_iov = &p->iov,
			       .msg_iovlen = 1,
			       .msg_control = p->control.bytes,
			       .msg_controllen = CMSG_SPACE(sizeof(int) * n_fds)};
}

static int send_request(struct forker *f, struct forker_request q, const int *fds, size_t n,
			struct err *e)
{
	struct packet p = {.q = q};
	struct cmsghdr *c;

	packet_init(&p, n);
	c = CMSG_FIRSTHDR(&p.h);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * n);
	memcpy(CMSG_DATA(c), fds, sizeof(int) * n);
	return sendmsg(f->control, &p.h, MSG_NOSIGNAL) < 0
		       ? err_sys(e, ERR_KERNEL, "speak to the process that forks holders")
		       : 0;
}

int forker_keep(struct forker *f, int fd, struct err *e)
{
	return send_request(f, (struct forker_request){FORKER_KEEP, 0, 0}, &fd, 1, e);
}

int forker_store(struct forker *f, const struct store *s, struct err *e)
{
	return send_request(f, (struct forker_request){FORKER_STORE, 0, 0}, (int[]){store_fd(s)}, 1,
			    e);
}

int forker_fork(struct forker *f, size_t first, const int *ends, size_t n, struct err *e)
{
	return send_request(f, (struct forker_request){FORKER_FORK, first, n}, ends, n, e);
}

/* ---- its life ---- */

/* A holder that is not forked has its errno as its first word. */
static void fork_holders(const struct holder_env *env, const struct forker_request *q,
			 const int *ends)
{
	for (size_t i = 0; i < q->n; i++) {
		pid_t pid = env->store ? fork() : -1;

		if (!pid)
			holder_main(env, q->first + i, ends[i]);
		if (pid < 0)
			holder_send_pid(ends[i], env->store ? -errno : -EIO);
		close(ends[i]);
	}
}

static void __attribute__((noreturn)) forker_main(struct holder_env env, int control)
{
	struct err ignored = ERR_INIT;
	struct packet p;
	struct cmsghdr *c;
	int fds[FORKER_MAX];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	control = fcntl(control, F_DUPFD_CLOEXEC, 3); /* whatever was closed when we were started */
	if (control < 0 || holder_close_all_but((const int[]){0, 1, 2, control}, 4, &ignored) ||
	    holder_prepare(&ignored))
		_exit(1);
	for (;;) {
		packet_init(&p, FORKER_MAX);
		if (recvmsg(control, &p.h, MSG_CMSG_CLOEXEC) != sizeof(p.q))
			_exit(0);
		c = CMSG_FIRSTHDR(&p.h);
		if (!c || c->cmsg_type != SCM_RIGHTS)
			_exit(1);
		memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
		if (p.q.what == FORKER_STORE)
			env.store = store_from_fd(fds[0], &ignored);
		else if (p.q.what == FORKER_FORK)
			fork_holders(&env, &p.q, fds);
	}
}

struct forker *forker_new(const struct holder_env *env, struct err *e)
{
	struct forker *f = calloc(1, sizeof(*f));
	int pair[2];

	if (!f || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
		free(f);
		err_sys(e, ERR_KERNEL, "connection to the process that forks holders");
		return NULL;
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	*f = (struct forker){fork(), pair[0]};
	if (!f->pid)
		forker_main(*env, pair[1]);
	close(pair[1]);
	if (f->pid < 0) {
		err_sys(e, ERR_KERNEL, "fork the process that forks holders");
		forker_free(f);
		return NULL;
	}
	return f;
}

void forker_done(struct forker *f)
{
	if (f->control >= 0)
		close(f->control);
	f->control = -1;
}

void forker_wait(struct forker *f)
{
	forker_done(f);
	while (f->pid > 0 && waitpid(f->pid, NULL, 0) < 0 && errno == EINTR)
		;
	f->pid = 0;
}

void forker_free(struct forker *f)
{
	if (!f)
		return;
	forker_wait(f);
	free(f);
}
