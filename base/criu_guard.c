#include "base/criu_guard.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/criu.h"
#include "base/io.h"
#include "base/netlock.h"
#include "base/remote.h"
#include "base/task_keep.h"
#include "base/task_trap.h"

enum { STOP_TURNS = 1000 }; /* of a millisecond */

struct guarded {
	int pidfd; /* of its task, lent */
	int fd;    /* its number there */
	ino_t ino;
	int reuse; /* SO_REUSEADDR, which repair mode changes */
};

struct guarded_task {
	pid_t pid;
	bool is_stopped;
};

/* What the guard has changed for the time of a moment, for us when it is killed in it. */
struct guard_notes {
	struct remote criu;
	struct task_trap_note task;
};

struct criu_guard {
	int *netns, *pidfds;
	struct guarded_task *tasks; /* of the pidfds */
	size_t n_netns, n_pidfds;
	struct guarded *sockets;
	size_t n_sockets;
	pid_t pid;                 /* of the guard, 0: not started */
	struct guard_notes *notes; /* shared memory */
	int alive;                 /* a socket: its other end tells the guard that we live */
};

struct criu_guard *criu_guard_new(struct err *e)
{
	struct criu_guard *g = calloc(1, sizeof(*g));

	if (!g) {
		err_set(e, ERR_NOMEM, "guard");
		return NULL;
	}
	g->alive = -1;
	g->notes = mmap(NULL, sizeof(*g->notes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	if (g->notes != MAP_FAILED)
		return g;
	free(g);
	err_sys(e, ERR_NOMEM, "guard");
	return NULL;
}

/* One more descriptor in a list; taken also on failure. */
static int add_fd(int **list, size_t *n, int fd, struct err *e)
{
	int *all = realloc(*list, (*n + 1) * sizeof(*all));

	if (!all) {
		close(fd);
		return err_set(e, ERR_NOMEM, "guard");
	}
	*list = all;
	all[(*n)++] = fd;
	return 0;
}

int criu_guard_add_netns(struct criu_guard *g, int netns_fd, struct err *e)
{
	int fd = fcntl(netns_fd, F_DUPFD_CLOEXEC, 3);

	return fd < 0 ? err_sys(e, ERR_IO, "guard of a namespace")
		      : add_fd(&g->netns, &g->n_netns, fd, e);
}

static bool int_option(int fd, int level, int name, int *v)
{
	socklen_t len = sizeof(*v);

	return !getsockopt(fd, level, name, v, &len);
}

static int add_socket(struct criu_guard *g, int pidfd, int number, struct err *e)
{
	auto_close int fd = pidfd_getfd(pidfd, number, 0);
	struct guarded s = {pidfd, number, 0, 0}, *all;
	int protocol = 0, family = 0;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) || !S_ISSOCK(st.st_mode) ||
	    !int_option(fd, SOL_SOCKET, SO_PROTOCOL, &protocol) || protocol != IPPROTO_TCP ||
	    !int_option(fd, SOL_SOCKET, SO_DOMAIN, &family) ||
	    (family != AF_INET && family != AF_INET6) ||
	    !int_option(fd, SOL_SOCKET, SO_REUSEADDR, &s.reuse))
		return 0;
	s.ino = st.st_ino;
	all = realloc(g->sockets, (g->n_sockets + 1) * sizeof(*all));
	if (!all)
		return err_set(e, ERR_NOMEM, "guard");
	g->sockets = all;
	all[g->n_sockets++] = s;
	return 0;
}

int criu_guard_add_task(struct criu_guard *g, pid_t pid, bool is_stopped, struct err *e)
{
	struct guarded_task *tasks = realloc(g->tasks, (g->n_pidfds + 1) * sizeof(*tasks));
	int pidfd = tasks ? pidfd_open(pid, 0) : -1;
	auto_dir DIR *d = NULL;
	struct dirent *de;
	char path[64];

	if (!tasks)
		return err_set(e, ERR_NOMEM, "guard");
	g->tasks = tasks;
	if (pidfd < 0)
		return errno == ESRCH ? 0 : err_sys(e, ERR_KERNEL, "guard of process %d", (int)pid);
	tasks[g->n_pidfds] = (struct guarded_task){pid, is_stopped};
	if (add_fd(&g->pidfds, &g->n_pidfds, pidfd, e))
		return -1;
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	while (d && (de = readdir(d)))
		if (de->d_name[0] != '.' && add_socket(g, pidfd, atoi(de->d_name), e))
			return -1;
	return 0;
}

/* ---- taking back ---- */

/* Without a window probe: the connection goes on with what it has to send. */
static void repair_end(const struct guarded *s)
{
	auto_close int fd = pidfd_getfd(s->pidfd, s->fd, 0);
	int on = 0, off = TCP_REPAIR_OFF_NO_WP, plain = TCP_REPAIR_OFF;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) || st.st_ino != s->ino ||
	    !int_option(fd, IPPROTO_TCP, TCP_REPAIR, &on) || on != TCP_REPAIR_ON)
		return;
	if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off)))
		setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &plain, sizeof(plain));
	/* not known of one that was in repair mode already (SK_FORCE_REUSE of include/net/sock.h) */
	if (s->reuse <= 1)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &s->reuse, sizeof(s->reuse));
}

/* May be repeated. All that can be done is done, the first error is kept. */
static int take_back(const struct criu_guard *g, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < g->n_sockets; i++)
		repair_end(&g->sockets[i]);
	for (size_t i = 0; i < g->n_netns; i++) {
		struct err why = ERR_INIT;

		if (netlock_remove(g->netns[i], &why) && !rc) {
			*e = why;
			rc = -1;
		}
	}
	return rc;
}

static void wait_for(int fd)
{
	struct pollfd p = {fd, POLLIN, 0};

	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		;
}

/* Only what it needs stays open: neither the terminal nor a pipe of a caller who waits for its end. */
static void close_others(const struct criu_guard *g, int criu, int parent)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), max = null > parent ? null : parent;

	for (int i = 0; i < 3; i++)
		dup2(null, i);
	max = criu > max ? criu : max;
	for (size_t i = 0; i < g->n_netns; i++)
		max = g->netns[i] > max ? g->netns[i] : max;
	for (size_t i = 0; i < g->n_pidfds; i++)
		max = g->pidfds[i] > max ? g->pidfds[i] : max;
	for (int fd = 3; fd <= max; fd++) {
		bool ours = fd == criu || fd == parent;

		for (size_t i = 0; i < g->n_netns; i++)
			ours |= g->netns[i] == fd;
		for (size_t i = 0; i < g->n_pidfds; i++)
			ours |= g->pidfds[i] == fd;
		if (!ours)
			close(fd);
	}
	close_range((unsigned)max + 1, ~0U, 0);
}

static void remove_folder(const struct criu_guard_folder *f)
{
	char path[8192];

	if (f->unless) {
		snprintf(path, sizeof(path), "%s/%s", f->path, f->unless);
		if (!access(path, F_OK))
			return;
	}
	io_remove_tree(f->path, NULL);
}

/* ---- CRIU, traced ---- */

/* It stands in a stop of ours, waiting for its hook. -1 (ERR_GONE): it is ending. */
static int save_tasks(const struct criu_guard *g, struct task_keep *keep, pid_t criu, struct err *e)
{
	struct err ignored = ERR_INIT;
	struct remote *r = &g->notes->criu;
	int rc = remote_begin(r, criu, e);

	for (size_t i = 0; !rc && i < g->n_pidfds; i++)
		rc = task_keep_save(keep, r, g->tasks[i].pid, g->tasks[i].is_stopped,
				    &g->notes->task, e);
	/* also after a failure: CRIU goes on in any case. But not one that is ending: it stands at its very end, and tasks
	 * in the middle of a call of ours would run on when it is let go before they are held. */
	if (!r->is_ending)
		rc = r->insn && remote_end(r, rc ? &ignored : e) ? -1 : rc;
	r->insn = 0;
	return rc;
}

/* When its tracer is killed it must not run on with registers that are not its own: it waits for SIGCONT. */
static void stop_criu(pid_t criu)
{
	char state = 'S';

	kill(criu, SIGSTOP);
	for (int turn = 0; turn < STOP_TURNS && !strchr("TtZ", state); turn++) {
		usleep(1000);
		state = task_keep_state(criu);
	}
}

/* What the tasks are, taken down with CRIU stopped for it; it runs on, traced. NULL: it is not traced. why: not all is
 * taken down. */
static struct task_keep *trace(const struct criu_guard *g, pid_t criu, struct err *why)
{
	struct task_keep *keep = task_keep_new(why);
	int status = 0;

	if (!keep)
		return NULL;
	stop_criu(criu);
	if (ptrace(PTRACE_SEIZE, criu, NULL, PTRACE_O_TRACEEXIT | PTRACE_O_TRACESYSGOOD)) {
		err_sys(why, ERR_KERNEL, "trace CRIU");
		task_keep_free(keep);
		kill(criu, SIGCONT);
		return NULL;
	}
	if (ptrace(PTRACE_INTERRUPT, criu, NULL, NULL))
		err_sys(why, ERR_KERNEL, "interrupt CRIU");
	else if (!remote_wait(criu, &status, why) && save_tasks(g, keep, criu, why) &&
		 why->code == ERR_GONE)
		task_keep_hold(keep, criu);
	ptrace(PTRACE_CONT, criu, NULL, NULL);
	kill(criu, SIGCONT);
	return keep;
}

/* Until CRIU has ended. Its signals are passed on; at its very end the tasks are held, which would run on when it is
 * gone (kernel/exit.c). */
static void follow(struct task_keep *keep, pid_t criu)
{
	struct err gone = ERR_INIT;
	int status;

	while (!remote_wait(criu, &status, &gone)) {
		int event = status >> 16, sig = WSTOPSIG(status);

		if (event == PTRACE_EVENT_EXIT)
			task_keep_hold(keep, criu);
		if (event == PTRACE_EVENT_STOP && sig != SIGTRAP)
			ptrace(PTRACE_LISTEN, criu, NULL, NULL);
		else
			ptrace(PTRACE_CONT, criu, NULL, event ? 0L : (long)sig);
	}
}

_Noreturn static void guard(const struct criu_guard *g, pid_t pid, int criu, int parent,
			    const struct criu_guard_folder *folders, size_t n_folders)
{
	struct err ignored = ERR_INIT, why = ERR_INIT;
	struct task_keep *keep;
	bool is_ended;
	char c;
	int rc;

	setsid();
	criu_spare_me();
	prctl(PR_SET_NAME, "nsimg:guard");
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	close_others(g, criu, parent);
	keep = trace(g, pid, &why);
	send(parent, &why, sizeof(why), MSG_NOSIGNAL);
	if (keep)
		follow(keep, pid);
	else
		wait_for(criu);
	take_back(g, &ignored);
	if (keep)
		task_keep_give_back(keep, &ignored);
	/* until it has ended too it may be about to add a lock. "e": it has come to its end by itself, and removes the
	 * folders */
	is_ended = read(parent, &c, 1) == 1;
	rc = take_back(g, &ignored);
	for (size_t i = 0; !is_ended && i < n_folders; i++)
		remove_folder(&folders[i]);
	_exit(rc ? 1 : 0);
}

/* The guard was killed while it took down what the tasks are. CRIU is stopped, or will be before it runs on. */
static int recover(const struct criu_guard *g, pid_t criu, struct err *e)
{
	struct err ignored = ERR_INIT;
	struct remote *r = &g->notes->criu;
	siginfo_t gone;
	int status;

	/* A process that ends closes its descriptors before it lets go of what it traces (do_exit() in kernel/exit.c).
	 * Its status is for criu_guard_end. */
	while (waitid(P_PID, (id_t)g->pid, &gone, WEXITED | WNOWAIT) && errno == EINTR)
		;
	if (!ptrace(PTRACE_SEIZE, criu, NULL, PTRACE_O_TRACEEXIT | PTRACE_O_TRACESYSGOOD) &&
	    !ptrace(PTRACE_INTERRUPT, criu, NULL, NULL) && !remote_wait(criu, &status, &ignored)) {
		if (r->insn && g->notes->task.tid)
			task_trap_undo(r, &g->notes->task, &ignored);
		if (r->insn)
			remote_end(r, &ignored);
		ptrace(PTRACE_DETACH, criu, NULL, NULL);
	}
	kill(criu, SIGCONT);
	return err_set(e, ERR_GONE, "the process that guards the tasks (nsimg:guard) was killed");
}

int criu_guard_start(struct criu_guard *g, pid_t criu, const struct criu_guard_folder *folders,
		     size_t n_folders, struct err *unkept, struct err *e)
{
	auto_close int pidfd = pidfd_open(criu, 0);
	ssize_t n;
	int p[2];

	if (pidfd < 0)
		return err_sys(e, ERR_GONE, "CRIU has ended");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p))
		return err_sys(e, ERR_KERNEL, "guard");
	g->pid = fork();
	if (g->pid == 0) {
		close(p[1]);
		guard(g, criu, pidfd, p[0], folders, n_folders);
	}
	close(p[0]);
	g->alive = p[1];
	if (g->pid < 0) {
		g->pid = 0;
		return err_sys(e, ERR_KERNEL, "fork the guard");
	}
	do {
		n = recv(g->alive, unkept, sizeof(*unkept), MSG_WAITALL);
	} while (n < 0 && errno == EINTR);
	return n == sizeof(*unkept) ? 0 : recover(g, criu, e);
}

/* For a guard that was killed. */
static int stand_in(const struct criu_guard *g, struct err *e)
{
	int rc = take_back(g, e);

	for (size_t i = 0; i < g->n_pidfds; i++) {
		struct err why = ERR_INIT;

		if (task_keep_disarm(g->tasks[i].pid, &why) && !rc) {
			*e = why;
			rc = -1;
		}
	}
	return rc;
}

int criu_guard_repair(const struct criu_guard *g, struct err *e)
{
	return stand_in(g, e);
}

int criu_guard_end(struct criu_guard *g, struct err *e)
{
	int status = 0;
	pid_t pid = g->pid;

	if (!pid)
		return 0;
	g->pid = 0;
	send(g->alive, "e", 1, MSG_NOSIGNAL);
	close(g->alive);
	g->alive = -1;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status ? stand_in(g, e) : 0;
}

void criu_guard_free(struct criu_guard *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < g->n_netns; i++)
		close(g->netns[i]);
	for (size_t i = 0; i < g->n_pidfds; i++)
		close(g->pidfds[i]);
	if (g->alive >= 0)
		close(g->alive);
	munmap(g->notes, sizeof(*g->notes));
	free(g->netns);
	free(g->pidfds);
	free(g->tasks);
	free(g->sockets);
	free(g);
}
