#include "base/task_keep.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/remote.h"
#include "base/task_trap.h"

#ifndef NT_X86_XSTATE
#define NT_X86_XSTATE 0x202
#endif
#ifndef PTRACE_O_SUSPEND_SECCOMP
#define PTRACE_O_SUSPEND_SECCOMP (1 << 21)
#endif

enum {
	CODE_LEN = 64,        /* CRIU writes at most 24 bytes at the start of a mapping (compel) */
	SCRATCH = 1 << 16,    /* below the stack of the tracer */
	REGSET_MAX = 1 << 14, /* of one set of registers */
	MAPS_MAX = 64 << 20,
	HOLD_TURNS = 2000, /* of a millisecond */
};

struct area {
	uint64_t start, end;
	bool has_code;
	uint8_t code[CODE_LEN];
};

struct thread {
	pid_t tid;
	bool is_seized;
	uint64_t mask;
	struct buf regs, xstate;
};

struct task {
	pid_t pid;
	int pidfd;
	bool was_stopped, is_held, is_armed;
	struct area *areas;
	int *fds;
	struct thread *threads;
	size_t n_areas, n_fds, n_threads;
};

struct task_keep {
	struct task *tasks;
	size_t n_tasks;
};

struct task_keep *task_keep_new(struct err *e)
{
	struct task_keep *k = calloc(1, sizeof(*k));

	if (!k)
		err_set(e, ERR_NOMEM, "state of tasks");
	return k;
}

static void task_free(struct task *t)
{
	for (size_t i = 0; i < t->n_threads; i++) {
		buf_free(&t->threads[i].regs);
		buf_free(&t->threads[i].xstate);
	}
	if (t->pidfd >= 0)
		close(t->pidfd);
	free(t->threads);
	free(t->areas);
	free(t->fds);
}

void task_keep_free(struct task_keep *k)
{
	for (size_t i = 0; k && i < k->n_tasks; i++)
		task_free(&k->tasks[i]);
	if (k)
		free(k->tasks);
	free(k);
}

/* One more element at the end of a list, zeroed; NULL: no memory. */
static void *grow(void *list, size_t *n, size_t size, struct err *e)
{
	char *all = realloc(*(void **)list, (*n + 1) * size);

	if (!all) {
		err_set(e, ERR_NOMEM, "state of tasks");
		return NULL;
	}
	memcpy(list, &all, sizeof(all));
	return memset(all + size * (*n)++, 0, size);
}

/* ---- what /proc tells ---- */

static int open_mem(pid_t pid, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	return open(path, flags | O_CLOEXEC);
}

/* Numbers in a folder of the task: "fd", "task". */
static int list_numbers(pid_t pid, const char *what, int **list, size_t *n, struct err *e)
{
	auto_dir DIR *d = NULL;
	struct dirent *de;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, what);
	d = opendir(path);
	while (d && (de = readdir(d))) {
		int *one = de->d_name[0] != '.' ? grow(list, n, sizeof(**list), e) : NULL;

		if (de->d_name[0] != '.' && !one)
			return -1;
		if (one)
			*one = (int)strtol(de->d_name, NULL, 10);
	}
	return 0;
}

static int list_areas(pid_t pid, struct area **list, size_t *n, struct err *e)
{
	auto_close int mem = open_mem(pid, O_RDONLY);
	auto_buf struct buf maps = {0};
	struct err gone = ERR_INIT;
	char path[64], *at;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	if (io_read_file(AT_FDCWD, path, MAPS_MAX, &maps, &gone))
		return gone.code == ERR_NOMEM ? err_set(e, gone.code, "%s", gone.msg) : 0;
	for (at = (char *)maps.data; at && *at; at += *at == '\n') {
		struct area *a = grow(list, n, sizeof(**list), e);

		if (!a)
			return -1;
		a->start = strtoull(at, &at, 16);
		a->end = strtoull(at + (*at == '-'), &at, 16);
		/* " rwxp" */
		if (strnlen(at, 4) == 4 && at[3] == 'x')
			a->has_code = pread(mem, a->code, CODE_LEN, (off_t)a->start) == CODE_LEN;
		at += strcspn(at, "\n");
	}
	return 0;
}

/* The text of /proc/PID/task/TID/NAME; false: it has gone. */
static bool thread_file(pid_t pid, pid_t tid, const char *name, struct buf *text)
{
	struct err gone = ERR_INIT;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", (int)pid, (int)tid, name);
	return !io_read_file(AT_FDCWD, path, 65536, text, &gone) && text->len;
}

/* A line "KEY: NUMBER" of its status; -1: it has gone. */
static long status_number(pid_t pid, pid_t tid, const char *key)
{
	auto_buf struct buf text = {0};
	const char *at;

	if (!thread_file(pid, tid, "status", &text))
		return -1;
	at = strstr((const char *)text.data, key);
	return at ? strtol(at + strlen(key), NULL, 10) : -1;
}

/* 'R', 't' ... of a thread, 0: it has gone. */
static char thread_state(pid_t pid, pid_t tid)
{
	auto_buf struct buf text = {0};
	const char *at;

	if (!thread_file(pid, tid, "stat", &text))
		return 0;
	at = strrchr((const char *)text.data, ')');
	return at && at[1] ? at[2] : (char)0;
}

char task_keep_state(pid_t pid)
{
	return thread_state(pid, pid);
}

/* ---- by calls of the tracer ---- */

/* Where the tracer may write: far below what it has on its stack. The first bytes hold a struct iovec. */
static uint64_t scratch(const struct remote *r)
{
	return (r->regs.rsp - SCRATCH) & ~63ULL;
}

static ssize_t peer_memory(const struct remote *r, uint64_t at, void *data, size_t n, bool write)
{
	struct iovec mine = {data, n}, theirs = {(void *)(uintptr_t)at, n};

	return write ? process_vm_writev(r->tid, &mine, 1, &theirs, 1, 0)
		     : process_vm_readv(r->tid, &mine, 1, &theirs, 1, 0);
}

static int remote_ptrace(struct remote *r, long request, pid_t tid, uint64_t addr, uint64_t data,
			 struct err *e)
{
	const uint64_t args[6] = {(uint64_t)request, (uint64_t)tid, addr, data, 0, 0};
	int64_t answer;

	if (remote_call(r, SYS_ptrace, args, &answer, e))
		return -1;
	return answer < 0 ? err_set(e, ERR_KERNEL, "ptrace of thread %d by its tracer: %s",
				    (int)tid, strerror((int)-answer))
			  : 0;
}

/* One set of registers, as long as it is. */
static int save_regset(struct remote *r, pid_t tid, unsigned type, struct buf *out, struct err *e)
{
	uint64_t at = scratch(r);
	struct iovec iov = {(void *)(uintptr_t)(at + 64), REGSET_MAX};

	if (peer_memory(r, at, &iov, sizeof(iov), true) != sizeof(iov))
		return err_sys(e, ERR_KERNEL, "memory of process %d", (int)r->tid);
	if (remote_ptrace(r, PTRACE_GETREGSET, tid, type, at, e))
		return -1;
	if (peer_memory(r, at, &iov, sizeof(iov), false) != sizeof(iov) ||
	    iov.iov_len > REGSET_MAX || buf_reserve(out, iov.iov_len, e) ||
	    peer_memory(r, at + 64, out->data, iov.iov_len, false) != (ssize_t)iov.iov_len)
		return err_sys(e, ERR_KERNEL, "registers of thread %d", (int)tid);
	out->len = iov.iov_len;
	return 0;
}

static int save_thread(struct remote *r, pid_t tid, struct thread *t, struct err *e)
{
	t->tid = tid;
	if (save_regset(r, tid, NT_PRSTATUS, &t->regs, e) ||
	    save_regset(r, tid, NT_X86_XSTATE, &t->xstate, e) ||
	    remote_ptrace(r, PTRACE_GETSIGMASK, tid, sizeof(t->mask), scratch(r), e))
		return -1;
	return peer_memory(r, scratch(r), &t->mask, sizeof(t->mask), false) == sizeof(t->mask)
		       ? 0
		       : err_sys(e, ERR_KERNEL, "signal mask of thread %d", (int)tid);
}

int task_keep_save(struct task_keep *k, struct remote *tracer, pid_t pid, bool is_stopped,
		   struct task_trap_note *note, struct err *e)
{
	struct task *t = grow(&k->tasks, &k->n_tasks, sizeof(*t), e);
	auto_free int *tids = NULL;
	size_t n = 0;

	if (!t)
		return -1;
	t->pid = pid;
	t->was_stopped = is_stopped;
	t->pidfd = pidfd_open(pid, 0);
	if (t->pidfd < 0)
		return errno == ESRCH ? 0
				      : err_sys(e, ERR_KERNEL, "handle of process %d", (int)pid);
	if (list_numbers(pid, "task", &tids, &n, e) ||
	    list_numbers(pid, "fd", &t->fds, &t->n_fds, e) ||
	    list_areas(pid, &t->areas, &t->n_areas, e))
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct thread *one;

		if (status_number(pid, tids[i], "TracerPid:") != tracer->tid)
			continue;
		one = grow(&t->threads, &t->n_threads, sizeof(*one), e);
		if (!one || save_thread(tracer, tids[i], one, e))
			return -1;
	}
	if (!t->n_threads)
		return 0;
	t->is_armed = true;
	return task_trap_arm(tracer, t->threads[0].tid, &t->threads[0].regs, t->threads[0].mask,
			     note, e);
}

/* ---- at the end of the tracer ---- */

static bool is_traced_by(const struct task *t, pid_t tracer)
{
	for (size_t i = 0; i < t->n_threads; i++)
		if (status_number(t->pid, t->threads[i].tid, "TracerPid:") == tracer)
			return true;
	return false;
}

static bool stands(const struct task *t)
{
	for (size_t i = 0; i < t->n_threads; i++) {
		char state = thread_state(t->pid, t->threads[i].tid);

		if (state && !strchr("tTZX", state))
			return false;
	}
	return true;
}

/* A thread in a ptrace stop has the signal waiting, and stops by it before it runs an instruction; one that runs stops
 * to be asked about it. */
void task_keep_hold(struct task_keep *k, pid_t tracer)
{
	size_t i;

	for (i = 0; i < k->n_tasks; i++) {
		struct task *t = &k->tasks[i];

		t->is_held = t->pidfd >= 0 && is_traced_by(t, tracer) &&
			     !pidfd_send_signal(t->pidfd, SIGSTOP, NULL, 0);
	}
	for (int turn = 0; turn < HOLD_TURNS; turn++) {
		for (i = 0; i < k->n_tasks; i++)
			if (k->tasks[i].is_held && !stands(&k->tasks[i]))
				break;
		if (i == k->n_tasks)
			return;
		usleep(1000);
	}
}

/* ---- taking back ---- */

/* To a stop that is not about a signal: those are taken, but for a SIGTRAP of CRIU's code. */
static bool to_stop(pid_t tid, bool is_held)
{
	struct err gone = ERR_INIT;
	int status;

	while (!remote_wait(tid, &status, &gone)) {
		int sig = WSTOPSIG(status);

		if (status >> 16 == PTRACE_EVENT_STOP)
			return true;
		if (ptrace(PTRACE_CONT, tid, NULL, is_held && sig == SIGTRAP ? 0L : (long)sig))
			break;
	}
	return false;
}

/* One that has ended is no error. */
static void seize(struct thread *t, bool is_held)
{
	/* filters of the task (seccomp(2)) are not for calls of ours */
	if (ptrace(PTRACE_SEIZE, t->tid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_SUSPEND_SECCOMP) &&
	    ptrace(PTRACE_SEIZE, t->tid, NULL, PTRACE_O_TRACESYSGOOD))
		return;
	t->is_seized = !ptrace(PTRACE_INTERRUPT, t->tid, NULL, NULL) && to_stop(t->tid, is_held);
}

static int give_registers(const struct thread *t, struct err *e)
{
	struct iovec regs = {t->regs.data, t->regs.len}, xstate = {t->xstate.data, t->xstate.len};
	uint64_t mask = t->mask;

	/* CRIU ended while it was asked for them */
	if (!t->xstate.len)
		return 0;
	if (ptrace(PTRACE_SETREGSET, t->tid, NT_X86_XSTATE, &xstate) ||
	    ptrace(PTRACE_SETREGSET, t->tid, NT_PRSTATUS, &regs) ||
	    ptrace(PTRACE_SETSIGMASK, t->tid, sizeof(mask), &mask))
		return err_sys(e, ERR_KERNEL, "registers of thread %d", (int)t->tid);
#ifdef __x86_64__
	/* a breakpoint of CRIU's, in its code; nobody else traced the thread */
	ptrace(PTRACE_POKEUSER, t->tid, offsetof(struct user, u_debugreg[7]), 0);
#endif
	return 0;
}

static int give_code(const struct task *t, struct err *e)
{
	auto_close int mem = open_mem(t->pid, O_RDWR);
	uint8_t now[CODE_LEN];

	for (size_t i = 0; i < t->n_areas; i++) {
		const struct area *a = &t->areas[i];

		if (!a->has_code || pread(mem, now, CODE_LEN, (off_t)a->start) != CODE_LEN ||
		    !memcmp(now, a->code, CODE_LEN))
			continue;
		if (pwrite(mem, a->code, CODE_LEN, (off_t)a->start) != CODE_LEN)
			return err_sys(e, ERR_KERNEL, "instructions of process %d", (int)t->pid);
	}
	return 0;
}

static bool overlaps(const struct task *t, const struct area *a)
{
	for (size_t i = 0; i < t->n_areas; i++)
		if (a->start < t->areas[i].end && t->areas[i].start < a->end)
			return true;
	return false;
}

static bool has_fd(const struct task *t, int fd)
{
	for (size_t i = 0; i < t->n_fds; i++)
		if (t->fds[i] == fd)
			return true;
	return false;
}

/* The first thread that stands in our hands; NULL: none does. */
static const struct thread *standing(const struct task *t)
{
	for (size_t i = 0; i < t->n_threads; i++)
		if (t->threads[i].is_seized)
			return &t->threads[i];
	return NULL;
}

/* Mappings and descriptors that were not there, and the answer to SIGTRAP: the task itself has to undo them. */
static int give_rest(const struct task *t, struct err *e)
{
	const struct thread *who = standing(t);
	auto_free struct area *areas = NULL;
	auto_free int *fds = NULL;
	size_t n_areas = 0, n_fds = 0;
	struct err ignored = ERR_INIT;
	struct remote r;
	int64_t answer;
	int rc = 0;

	if (!who)
		return 0;
	if (list_areas(t->pid, &areas, &n_areas, e) ||
	    list_numbers(t->pid, "fd", &fds, &n_fds, e) || remote_begin(&r, who->tid, e))
		return -1;
	for (size_t i = 0; !rc && i < n_areas; i++) {
		const uint64_t args[6] = {areas[i].start, areas[i].end - areas[i].start};

		if (!overlaps(t, &areas[i]))
			rc = remote_call(&r, SYS_munmap, args, &answer, e);
	}
	for (size_t i = 0; !rc && i < n_fds; i++) {
		const uint64_t args[6] = {(uint64_t)fds[i]};

		if (!has_fd(t, fds[i]))
			rc = remote_call(&r, SYS_close, args, &answer, e);
	}
	if (!rc && t->is_armed)
		rc = task_trap_disarm(&r, e);
	return remote_end(&r, rc ? &ignored : e) ? -1 : rc;
}

/* CRIU has let it go: it runs. */
int task_keep_disarm(pid_t pid, struct err *e)
{
	struct thread t = {.tid = pid};
	struct err ignored = ERR_INIT;
	struct remote r;
	int rc = 0;

	seize(&t, false);
	if (!t.is_seized)
		return 0;
	rc = remote_begin(&r, pid, e);
	if (!rc) {
		rc = task_trap_disarm(&r, e);
		rc = remote_end(&r, rc ? &ignored : e) ? -1 : rc;
	}
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	return rc;
}

static int give_task(struct task *t, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < t->n_threads; i++)
		seize(&t->threads[i], true);
	for (size_t i = 0; !rc && i < t->n_threads; i++)
		if (t->threads[i].is_seized)
			rc = give_registers(&t->threads[i], e);
	if (!rc)
		rc = give_code(t, e) || give_rest(t, e) ? -1 : 0;
	for (size_t i = 0; i < t->n_threads; i++)
		if (t->threads[i].is_seized)
			ptrace(PTRACE_DETACH, t->threads[i].tid, NULL, NULL);
	if (!t->was_stopped)
		pidfd_send_signal(t->pidfd, SIGCONT, NULL, 0);
	return rc;
}

int task_keep_give_back(struct task_keep *k, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < k->n_tasks; i++) {
		struct err why = ERR_INIT;

		struct task *t = &k->tasks[i];

		if ((t->is_held    ? give_task(t, &why)
		     : t->is_armed ? task_keep_disarm(t->threads[0].tid, &why)
				   : 0) &&
		    !rc) {
			*e = why;
			rc = -1;
		}
	}
	return rc;
}
