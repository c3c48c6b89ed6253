/* task_keep.h: what tasks were before CRIU put its code into them, and make them so again when CRIU dies there.
 *
 * CRIU that dumps runs code in each task: it overwrites a few instructions of it, adds mappings and descriptors, and
 * changes registers and signal masks. When CRIU is killed the kernel lets the tasks run on at once, in the middle of
 * that. Here they are held by SIGSTOP from CRIU's last moment on (PTRACE_O_TRACEEXIT) until all of it is taken back.
 *
 * Owns:  registers, signal masks, first instructions of the executable mappings, and the lists of mappings and
 *        descriptors of the tasks, as they were at task_keep_save.
 * Never: touches a task that CRIU has let go.
 * Order: the caller traces CRIU, and CRIU the tasks. With CRIU in a ptrace stop, before it has put its code anywhere:
 *        task_keep_save. With CRIU in its stop at the end: task_keep_hold. When CRIU is gone: task_keep_give_back.
 * Not:   a SO_PEEK_OFF that CRIU had set for a moment, and a restartable sequence (rseq(2)) that was not at its end.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct remote;
struct task_trap_note;
struct task_keep;

/* An owned handle or NULL. */
struct task_keep *task_keep_new(struct err *e);

/* One task, by calls of its tracer (remote_begin was for it). is_stopped: it was by SIGSTOP before CRIU came, and is to
 * be afterwards. A task or thread that has gone is no error. note: see task_trap_arm. */
int task_keep_save(struct task_keep *k, struct remote *tracer, pid_t pid, bool is_stopped,
		   struct task_trap_note *note, struct err *e);

/* Stop what the tracer still traces; returns when all of it stands, or after two seconds. */
void task_keep_hold(struct task_keep *k, pid_t tracer);

/* What is held is as it was, and runs on. All that can be done is done; the first error is kept. */
int task_keep_give_back(struct task_keep *k, struct err *e);

/* When the handle is lost with the process that had it: a task that runs answers to SIGTRAP as it did before
 * task_keep_save. One that was not saved, or has ended, is no error. */
int task_keep_disarm(pid_t pid, struct err *e);

/* 'R', 'T', 't' ... of a task (proc_pid_stat(5)), 0: it has gone. */
char task_keep_state(pid_t pid);

void task_keep_free(struct task_keep *k);
