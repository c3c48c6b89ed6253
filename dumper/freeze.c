#include "dumper/freeze.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/u64map.h"

/* How long a thread may take to stop: one in vfork(2) waits for its child in the kernel. */
#define STOP_TIMEOUT_MS 2000

struct frozen {
	pid_t pid, tid; /* tid 0: it ended */
	int signal;     /* to deliver when it runs on, 0: none */
};

struct freeze {
	struct frozen *threads;
	size_t n, cap;
	struct u64map seen; /* thread ids seized or given up */
	uint64_t start_us;
	pid_t tracer; /* somebody else stops them, 0: we do */
};

struct freeze *freeze_new(pid_t tracer, struct err *e)
{
	struct freeze *f = calloc(1, sizeof(*f));

	if (f)
		f->tracer = tracer;
	else
		err_set(e, ERR_NOMEM, "freeze");
	return f;
}

uint64_t freeze_elapsed_us(const struct freeze *f)
{
	return f->start_us ? clock_us() - f->start_us : 0;
}

static int freeze_remember(struct freeze *f, pid_t pid, pid_t tid, struct err *e)
{
	if (f->n == f->cap) {
		size_t cap = f->cap ? f->cap * 2 : 64;
		struct frozen *t = realloc(f->threads, cap * sizeof(*t));

		if (!t)
			return err_set(e, ERR_NOMEM, "list of %zu threads", cap);
		f->threads = t;
		f->cap = cap;
	}
	f->threads[f->n++] = (struct frozen){pid, tid, 0};
	return 0;
}

/* A thread that has ended and waits for its parent cannot be seized (EPERM, ptrace_attach in
 * kernel/ptrace.c), and need not be. */
static bool freeze_has_ended(pid_t tid)
{
	struct err gone = ERR_INIT;
	struct proc_stat st;

	return proc_stat_read(tid, &st, &gone) || st.state == 'Z' || st.state == 'X';
}

/* A thread that somebody else has to have stopped. */
static int freeze_is_stopped(const struct freeze *f, pid_t pid, pid_t tid, struct err *e)
{
	struct err gone = ERR_INIT;
	uint64_t blocked;
	pid_t tracer = 0;

	if (proc_status_read(pid, tid, &blocked, &tracer, &gone) || freeze_has_ended(tid) ||
	    tracer == f->tracer)
		return 0;
	return err_set(e, ERR_CONFLICT, "thread %d of process %d is not stopped by process %d",
		       (int)tid, (int)pid, (int)f->tracer);
}

/* Seize and interrupt one thread. 0 also when it is gone or not ours (then miss was told). */
static int freeze_seize(struct freeze *f, pid_t pid, pid_t tid, freeze_miss_fn *miss, void *arg,
			struct err *e)
{
	struct err why = ERR_INIT;
	uint64_t blocked;
	pid_t tracer = 0;

	if (u64map_put(&f->seen, (uint64_t)tid, 1, e))
		return -1;
	if (!f->start_us)
		f->start_us = clock_us();
	if (f->tracer)
		return freeze_is_stopped(f, pid, tid, e);
	if (ptrace(PTRACE_SEIZE, tid, NULL, NULL)) {
		if (errno == ESRCH || freeze_has_ended(tid))
			return 0;
		if (!proc_status_read(pid, tid, &blocked, &tracer, &why) && tracer) {
			char text[64];

			snprintf(text, sizeof(text), "not frozen: already traced by process %d",
				 (int)tracer);
			return miss(pid, tid, text, arg, e);
		}
		errno = EPERM;
		return err_sys(e, ERR_PERM, "freeze thread %d of process %d (needs CAP_SYS_PTRACE)",
			       (int)tid, (int)pid);
	}
	if (freeze_remember(f, pid, tid, e))
		return -1;
	ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
	return 0;
}

/* Wait for one thread to stop. A stop that is not ours is a signal on its way: it is delivered later. */
static int freeze_wait(struct frozen *t, freeze_miss_fn *miss, void *arg, struct err *e)
{
	for (int tries = 0; tries < STOP_TIMEOUT_MS + 100; tries++) {
		int status;
		pid_t got = waitpid(t->tid, &status, __WALL | WNOHANG);

		if (got == t->tid && WIFSTOPPED(status)) {
			if (status >> 16 != PTRACE_EVENT_STOP)
				t->signal = WSTOPSIG(status);
			return 0;
		}
		if (got == t->tid || (got < 0 && errno == ECHILD)) { /* it ended */
			t->tid = 0;
			return 0;
		}
		if (tries < 100)
			sched_yield();
		else
			nanosleep(&(struct timespec){0, 1000000}, NULL);
	}
	return miss(t->pid, t->tid, "not frozen: in an uninterruptible wait", arg, e);
}

/* Tell every thread of one process that is not known yet to stop; *n_new counts. */
static int freeze_process(struct freeze *f, pid_t pid, size_t *n_new, freeze_miss_fn *miss,
			  void *arg, struct err *e)
{
	struct pid_list threads = {0};
	auto_free pid_t *ids = NULL;
	int rc = proc_list_threads(pid, &threads, e);

	ids = threads.ids;
	if (rc)
		return e->code == ERR_GONE ? 0 : -1;
	for (size_t i = 0; i < threads.n; i++) {
		uint32_t known;

		if (u64map_find(&f->seen, (uint64_t)ids[i], &known))
			continue;
		++*n_new;
		if (freeze_seize(f, pid, ids[i], miss, arg, e))
			return -1;
	}
	return 0;
}

/* But for this one: "nsimg dump --pid $$". */
int freeze_find_children(struct pid_list *list, struct err *e)
{
	struct pid_list all = {0};
	auto_free pid_t *ids = NULL;
	auto_free pid_t *parents = NULL;
	size_t before;

	if (proc_list_tasks(&all, e)) {
		free(all.ids);
		return -1;
	}
	ids = all.ids;
	parents = calloc(all.n + 1, sizeof(*parents));
	if (!parents)
		return err_set(e, ERR_NOMEM, "list of processes");
	for (size_t i = 0; i < all.n; i++) {
		struct err gone = ERR_INIT;
		struct proc_stat st;

		if (!proc_stat_read(ids[i], &st, &gone))
			parents[i] = st.ppid;
	}
	do { /* a child may have a smaller pid than its parent */
		before = list->n;
		for (size_t i = 0; i < all.n; i++)
			if (parents[i] && all.ids[i] != getpid() &&
			    pid_list_has(list, parents[i]) && !pid_list_has(list, ids[i]) &&
			    pid_list_add(list, ids[i], e))
				return -1;
	} while (list->n != before);
	return 0;
}

int freeze_tasks(struct freeze *f, struct pid_list *list, bool follow_children,
		 freeze_miss_fn *miss, void *arg, struct err *e)
{
	size_t n_new;

	do { /* a thread that is not stopped yet may start others */
		size_t first = f->n;

		n_new = 0;
		if (follow_children && freeze_find_children(list, e))
			return -1;
		for (size_t i = 0; i < list->n; i++)
			if (freeze_process(f, list->ids[i], &n_new, miss, arg, e))
				return -1;
		for (size_t i = first; i < f->n; i++)
			if (freeze_wait(&f->threads[i], miss, arg, e))
				return -1;
	} while (n_new);
	return 0;
}

void freeze_free(struct freeze *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->n; i++)
		if (f->threads[i].tid)
			ptrace(PTRACE_DETACH, f->threads[i].tid, NULL,
			       (void *)(long)f->threads[i].signal);
	free(f->threads);
	u64map_free(&f->seen);
	free(f);
}
