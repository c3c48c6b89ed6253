/* The life of a holder: the process that was forked, from its first instruction on. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/caps.h"
#include "base/cleanup.h"
#include "base/ns.h"
#include "base/u64map.h"
#include "restorer/holder.h"
#include "restorer/sk_make.h"

#define NOT_HELD UINT32_MAX

struct held {
	const struct holder_env *env;
	const struct sk_task *task;
	int control;
	struct u64map files; /* file -> its first descriptor here */
	struct u64map names; /* file -> its name_fd (sk_make.h) */
	size_t n_parked;
	size_t *parked; /* files made here that other tasks have */
	int64_t netns;  /* netns.id it is in now, 0: the restorer's */
	int first_free; /* first number above all that its sockets must get */
	struct rlimit limit;
	struct sk_maker maker;
	struct buf answers; /* that were not sent yet */
	bool committed;
};

/* ---- numbers ---- */

/* Room for the service descriptors. They may stay above the limit after it is set back: the limit is only
 * looked at when a number is given (getrlimit(2)). */
static int make_room(struct held *h, struct err *e)
{
	rlim_t need = holder_room(h->task);
	struct rlimit want;

	if (getrlimit(RLIMIT_NOFILE, &h->limit))
		return err_sys(e, ERR_KERNEL, "limit of open files");
	want = h->limit;
	if (want.rlim_cur >= need)
		return 0;
	want.rlim_cur = need;
	if (want.rlim_max < need)
		want.rlim_max = need;
	if (!setrlimit(RLIMIT_NOFILE, &want))
		return 0;
	/* Not allowed, or beyond fs.nr_open: then the numbers between the sockets' must do. */
	want = h->limit;
	want.rlim_cur = want.rlim_max;
	setrlimit(RLIMIT_NOFILE, &want);
	return holder_room_check(h->task, want.rlim_max, e);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* A number that no socket must get and that is not in use, or -1. The standard three are kept out. */
static int free_number(const struct held *h)
{
	struct rlimit now;

	getrlimit(RLIMIT_NOFILE, &now);
	for (int n = h->first_free; (rlim_t)n < now.rlim_cur; n++)
		if (!is_open(n))
			return n;
	for (int n = h->first_free - 1; n > 2; n--)
		if ((rlim_t)n < now.rlim_cur && !sk_task_wants(h->task, n) && !is_open(n))
			return n;
	return -1;
}

/* fd (taken) at a number that is in nobody's way: owned, or -1. */
static int park(const struct held *h, int fd, struct err *e)
{
	auto_close int old = fd;
	int n = free_number(h);

	if (n < 0)
		return err_set(e, ERR_RANGE, "no free descriptor number");
	if (dup3(old, n, O_CLOEXEC) < 0)
		return err_sys(e, ERR_KERNEL, "move a descriptor to number %d", n);
	return n;
}

/* In two rounds: what was inherited may lie on every number that is wanted. */
static int move_service(struct held *h, struct err *e)
{
	int store = store_fd(h->env->store), fd, n;
	int low = store < h->control ? store : h->control;
	int high = store < h->control ? h->control : store;

	if (holder_close_all_but((const int[]){0, 1, 2, low, high}, 5, e))
		return -1;
	fd = park(h, take_fd(&h->control), e);
	if (fd < 0)
		return -1;
	h->control = fd;
	n = free_number(h);
	if (n < 0)
		return err_set(e, ERR_RANGE, "no free descriptor number");
	return store_move(h->env->store, n, e);
}

/* ---- files ---- */

static int held_fd(const struct held *h, size_t file, struct err *e)
{
	uint32_t fd;

	if (u64map_find(&h->files, file, &fd) && fd != NOT_HELD)
		return (int)fd;
	return err_set(e, ERR_NOTFOUND, "%s is not here", h->env->specs->files[file].label);
}

/* It could not be made here, and a note says so. */
static bool is_left_out(const struct held *h, size_t file)
{
	uint32_t at;

	return u64map_find(&h->files, file, &at) && at == NOT_HELD;
}

static int put_at(int fd, const struct sk_fd *to, struct err *e)
{
	int rc = fd == to->fd ? fcntl(fd, F_SETFD, to->cloexec ? FD_CLOEXEC : 0)
			      : dup3(fd, to->fd, to->cloexec ? O_CLOEXEC : 0);

	if (rc < 0)
		return err_sys(e, ERR_KERNEL, "give it descriptor number %d", to->fd);
	return 0;
}

static int keep_parked(struct held *h, size_t file, int fd, struct err *e)
{
	size_t *grown = realloc(h->parked, (h->n_parked + 1) * sizeof(*grown));
	int at;

	if (!grown) {
		close(fd);
		return err_set(e, ERR_NOMEM, "out of memory");
	}
	h->parked = grown;
	at = park(h, fd, e);
	if (at < 0)
		return -1;
	h->parked[h->n_parked++] = file;
	return u64map_put(&h->files, file, (uint32_t)at, e);
}

/* fd (taken) becomes the file's descriptors in this task: the same open file at each of its numbers. */
static int place(struct held *h, size_t file, int fd, struct err *e)
{
	const struct sk_task *t = h->task;
	int first = -1;
	bool stays = false;

	for (size_t i = 0; i < t->n_fds; i++) {
		if (t->fds[i].file != file)
			continue;
		if (put_at(fd, &t->fds[i], e)) {
			close(fd);
			return -1;
		}
		stays = stays || t->fds[i].fd == fd;
		if (first < 0)
			first = t->fds[i].fd;
	}
	if (first < 0)
		return keep_parked(h, file, fd, e);
	if (!stays)
		close(fd);
	return u64map_put(&h->files, file, (uint32_t)first, e);
}

/* ---- operations ---- */

/* Be in namespace netns, for the time being. */
static int be_in(struct held *h, int64_t netns, struct err *e)
{
	auto_close int fd = -1;

	if (!netns || netns == h->netns)
		return 0;
	fd = store_take(h->env->store, STORE_NETNS, netns, e);
	if (fd < 0 || ns_enter(fd, e))
		return -1;
	h->netns = netns;
	return 0;
}

/* A descriptor of a namespace is opened anew, so that it is an open file of its own as it was. */
static int create_nsfs(struct held *h, const struct sk_file *f, struct err *e)
{
	enum store_kind kind = f->ns.is_user ? STORE_USERNS : STORE_NETNS;
	auto_close int fd = store_take(h->env->store, kind, f->ns.target, e);
	char path[40];
	int own;

	if (fd < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, O_RDONLY | O_CLOEXEC);
	return own >= 0 ? own : take_fd(&fd);
}

/* Where op_enter closes it again. */
static int keep_name(struct held *h, size_t file, struct err *e)
{
	int fd = h->maker.name_fd;

	h->maker.name_fd = -1;
	if (fd < 0)
		return 0;
	fd = park(h, fd, e);
	return fd < 0 ? -1 : u64map_put(&h->names, file, (uint32_t)fd, e);
}

static int op_create(struct held *h, const struct holder_request *q, int fd, int *out,
		     struct err *e)
{
	const struct sk_file *f = &h->env->specs->files[q->file];
	int made;

	if (be_in(h, f->netns, e))
		return -1;
	h->maker.name_fd = -1;
	made = f->kind == SK_NSFS ? create_nsfs(h, f, e) : sk_create(&h->maker, f, e);
	if (keep_name(h, q->file, e))
		return -1;
	if (made == -2) /* not on this kernel, a note says so */
		return u64map_put(&h->files, q->file, NOT_HELD, e);
	return made < 0 ? -1 : place(h, q->file, made, e);
}

static int op_pair(struct held *h, const struct holder_request *q, int fd, int *out, struct err *e)
{
	const struct sk_file *a = &h->env->specs->files[q->file];
	const struct sk_file *b = &h->env->specs->files[a->un.pair];
	int fds[2];

	h->maker.name_fd = -1;
	if (be_in(h, a->netns, e) || sk_create_pair(&h->maker, a, b, fds, e))
		return -1;
	if (h->maker.name_fd >= 0)
		close(h->maker.name_fd);
	/* Each may lie on the other's number. */
	fds[0] = park(h, fds[0], e);
	fds[1] = park(h, fds[1], e);
	if (fds[0] < 0 || fds[1] < 0)
		return -1;
	return place(h, q->file, fds[0], e) || place(h, a->un.pair, fds[1], e) ? -1 : 0;
}

static int op_listen(struct held *h, const struct holder_request *q, int fd, int *out,
		     struct err *e)
{
	const struct sk_file *f = &h->env->specs->files[q->file];
	int s;

	if (is_left_out(h, q->file))
		return 0;
	s = held_fd(h, q->file, e);
	return s < 0 || (f->above_somaxconn && be_in(h, f->netns, e))
		       ? -1
		       : sk_listen(&h->maker, f, s, e);
}

static int op_connect(struct held *h, const struct holder_request *q, int fd, int *out,
		      struct err *e)
{
	const struct sk_file *f = &h->env->specs->files[q->file];
	auto_close int name = fd;
	int s;

	if (is_left_out(h, q->file))
		return 0;
	s = held_fd(h, q->file, e);
	h->maker.name_fd = name;
	return s < 0 || be_in(h, f->netns, e) ? -1 : sk_connect(&h->maker, f, s, e);
}

/* *out stays -1 when it has none. */
static int op_name(struct held *h, const struct holder_request *q, int fd, int *out, struct err *e)
{
	uint32_t at;

	if (u64map_find(&h->names, q->file, &at))
		*out = (int)at;
	return 0;
}

static int op_give(struct held *h, const struct holder_request *q, int fd, int *out, struct err *e)
{
	/* What this kernel does not have is not given, which is no failure: *out stays -1. */
	if (is_left_out(h, q->file))
		return 0;
	*out = held_fd(h, q->file, e);
	return *out < 0 ? -1 : 0;
}

static int op_take(struct held *h, const struct holder_request *q, int fd, int *out, struct err *e)
{
	if (fd < 0)
		return u64map_put(&h->files, q->file, NOT_HELD, e);
	return place(h, q->file, fd, e);
}

static int op_finish(struct held *h, const struct holder_request *q, int fd, int *out,
		     struct err *e)
{
	int s;

	if (is_left_out(h, q->file))
		return 0;
	s = held_fd(h, q->file, e);
	return s < 0 ? -1
		     : sk_finish(&h->maker, &h->env->specs->files[q->file], s, (pid_t)q->arg, e);
}

/* Every descriptor of the task is there: otherwise this is not the time to enter its namespace. */
static int check_complete(const struct held *h, struct err *e)
{
	const struct sk_task *t = h->task;

	for (size_t i = 0; i < t->n_fds; i++) {
		const struct sk_file *f = &h->env->specs->files[t->fds[i].file];
		uint32_t at;

		if (f->left_out)
			continue;
		if (!u64map_find(&h->files, t->fds[i].file, &at))
			return err_set(
				e, ERR_NOTFOUND,
				"descriptor %d (%s) does not exist yet: it may not enter its "
				"namespace before",
				t->fds[i].fd, f->label);
	}
	return 0;
}

/* As root of the user namespace where it has one; an id that is not mapped stays the overflow id. */
static int enter_userns(struct held *h, struct err *e)
{
	auto_close int fd = -1;

	if (h->task->userns < 0)
		return 0;
	fd = store_take(h->env->store, STORE_USERNS, h->task->userns, e);
	if (fd < 0)
		return -1;
	/* A thread that was joined may still be on its way out, and a process with two threads is refused
	 * (setns(2), EINVAL). */
	for (int tries = 0; setns(fd, CLONE_NEWUSER); tries++) {
		if (errno != EINVAL || tries == 1000)
			return err_sys(e, ERR_KERNEL, "enter its user namespace");
		usleep(1000);
	}
	setgroups(0, NULL);
	if (setresgid(0, 0, 0) || setresuid(0, 0, 0))
		return 0;
	return 0;
}

static int op_enter(struct held *h, const struct holder_request *q, int fd, int *out, struct err *e)
{
	if (check_complete(h, e))
		return -1;
	for (size_t i = 0; i < h->n_parked; i++)
		close(held_fd(h, h->parked[i], e));
	for (size_t i = 0; i < h->names.cap; i++)
		if (h->names.slots[i].used)
			close((int)h->names.slots[i].value);
	if (be_in(h, h->task->netns, e) || enter_userns(h, e))
		return -1;
	store_free(h->env->store);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return err_sys(e, ERR_KERNEL, "give up gaining privileges");
	return caps_drop_all(e);
}

static int op_commit(struct held *h, const struct holder_request *q, int fd, int *out,
		     struct err *e)
{
	if (setrlimit(RLIMIT_NOFILE, &h->limit))
		return err_sys(e, ERR_KERNEL, "set the limit of open files back");
	h->committed = true;
	return 0;
}

/* fd is taken; only op_take and op_connect get one. */
static int (*const ops[HOLDER_OP_COUNT])(struct held *h, const struct holder_request *q, int fd,
					 int *out, struct err *e) = {
	[HOLDER_CREATE] = op_create,   [HOLDER_PAIR] = op_pair,     [HOLDER_LISTEN] = op_listen,
	[HOLDER_CONNECT] = op_connect, [HOLDER_NAME] = op_name,     [HOLDER_GIVE] = op_give,
	[HOLDER_TAKE] = op_take,       [HOLDER_FINISH] = op_finish, [HOLDER_ENTER] = op_enter,
	[HOLDER_COMMIT] = op_commit,
};

/* ---- life ---- */

/* Signals that a socket may send (SIGIO, SIGURG, whatever F_SETSIG says) and those of terminals do not end
 * it; SIGTERM does. */
static void set_signals(void)
{
	static const int keep[] = {SIGTERM, SIGKILL, SIGSTOP, SIGCONT, SIGCHLD, SIGSEGV,
				   SIGBUS,  SIGILL,  SIGFPE,  SIGABRT, SIGTRAP, SIGSYS};
	sigset_t none;

	for (int sig = 1; sig <= SIGRTMAX; sig++)
		signal(sig, SIG_IGN);
	for (size_t i = 0; i < ARRAY_SIZE(keep); i++)
		signal(keep[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* /dev/null is what it reads and writes where its sockets do not have these numbers. */
int holder_prepare(struct err *e)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	set_signals();
	umask(0);
	caps_keep_bound(0);
	if (fd < 0 || dup2(fd, 0) < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
		return err_sys(e, ERR_IO, "open /dev/null");
	return chdir("/") ? err_sys(e, ERR_IO, "enter /") : 0;
}

static int begin(struct held *h, struct err *e)
{
	char name[16];

	snprintf(name, sizeof(name), "nsimg:%.9s", h->task->comm);
	prctl(PR_SET_NAME, name);
	setsid();
	return make_room(h, e) || move_service(h, e) ? -1 : 0;
}

/* What waits in h->answers, and fd (-1: none) with it. */
static void send_answers(struct held *h, int fd)
{
	struct err ignored = ERR_INIT;

	if (h->answers.len &&
	    holder_send_answers(h->control, buf_span(&h->answers), fd, &ignored) <= 0)
		_exit(1);
	buf_reset(&h->answers);
}

/* fd is a descriptor that goes along, -1: none. */
static void answer(struct held *h, int rc, const struct err *failed, int fd)
{
	struct err ignored = ERR_INIT;

	if (fd >= 0)
		send_answers(h, -1);
	if (holder_answer_add(&h->answers, rc, failed, buf_span(&h->maker.notes), &ignored))
		_exit(1);
	buf_reset(&h->maker.notes);
	if (fd >= 0 || h->answers.len >= HOLDER_ANSWERS_MAX)
		send_answers(h, fd);
}

/* Until the restorer says that everything is there, or is gone. */
static void serve(struct held *h)
{
	struct holder_request q[HOLDER_BATCH];
	struct err e = ERR_INIT;
	size_t n;
	int fd;

	while (!h->committed) {
		if (holder_recv_requests(h->control, q, &n, &fd, &e) <= 0)
			_exit(0);
		for (size_t i = 0; i < n; i++) {
			struct err failed = ERR_INIT;
			int out = -1, rc = ops[q[i].op](h, &q[i], fd, &out, &failed);

			answer(h, rc, &failed, out);
		}
		send_answers(h, -1);
	}
	close(h->control);
}

void holder_main(const struct holder_env *env, size_t task, int control)
{
	struct held h = {.env = env,
			 .task = &env->specs->tasks[task],
			 .control = control,
			 .maker = {.specs = env->specs, .root = env->root, .name_fd = -1}};
	struct err failed = ERR_INIT;
	int rc;

	holder_send_pid(control, getpid());
	h.first_free = h.task->n_fds ? h.task->fds[h.task->n_fds - 1].fd + 1 : 3;
	if (h.first_free < 3)
		h.first_free = 3;
	rc = begin(&h, &failed);
	answer(&h, rc, &failed, -1);
	send_answers(&h, -1);
	if (rc)
		_exit(1);
	serve(&h);
	for (;;)
		pause();
}
