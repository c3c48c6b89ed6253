/* task_trap.h: tasks that a SIGTRAP does not end while CRIU works in them.
 *
 * CRIU's code in a task comes to its end at an instruction that raises SIGTRAP (int3), for which CRIU waits. When CRIU is
 * killed between the two, the kernel gives the signal to the task, which it ends, whatever else is done (ptrace_signal in
 * kernel/signal.c). With a handler in the place of SIG_DFL or SIG_IGN the kernel prepares to call that instead, and the
 * SIGSTOP of task_keep.h comes first. The address of the handler is never called; it says by itself what was there.
 *
 * Owns:  nothing.
 * Never: touches a task that has a handler of its own for SIGTRAP.
 * Killed: what is changed of a thread for the time of task_trap_arm is noted before; who has the note when the caller was
 *        killed in the middle gives it back with task_trap_undo.
 * Order: task_trap_arm with the task standing in CRIU's hands and CRIU in ours, task_trap_disarm when CRIU has gone or let
 *        the task go. What CRIU has written meanwhile of the task's signals is corrected with task_trap_decode.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

#include "base/buf.h"
#include "base/err.h"

struct remote;

/* A thread that is not as it was; tid 0: none. */
struct task_trap_note {
	pid_t tid;
	bool has_kept;
	uint64_t mask; /* signals that it had blocked */
	uint64_t room; /* below its stack, where it had ... */
	uint64_t kept[4];
	struct user_regs_struct regs;
};

/* By calls of its tracer. regs: all general registers of that thread, as PTRACE_GETREGSET gives them; mask: its blocked
 * signals. They are as before afterwards, and note is empty. A thread in another mode, and a task without vdso, are left
 * alone. */
int task_trap_arm(struct remote *tracer, pid_t tid, const struct buf *regs, uint64_t mask,
		  struct task_trap_note *note, struct err *e);

/* By calls of its tracer, which stands in a stop of ours: the thread of the note stands as before task_trap_arm. Its
 * answer to SIGTRAP may be ours already: that is for task_trap_disarm, when it runs. */
int task_trap_undo(struct remote *tracer, struct task_trap_note *note, struct err *e);

/* In a thread that stands in a ptrace stop of ours (remote_begin was for it). */
int task_trap_disarm(struct remote *r, struct err *e);

/* A handler that task_trap_arm has set becomes what was there; false: it is another. */
bool task_trap_decode(uint64_t *handler, uint64_t *flags, uint64_t *restorer);
