/* remote.h: system calls that a thread of another process makes for us.
 *
 * Owns:  nothing: a struct remote holds the registers and the signal mask that the thread had at remote_begin.
 * Never: writes to the memory of the thread: the instruction is one that its vdso has already.
 * Ends:  a thread that is killed meanwhile, and traced with PTRACE_O_TRACEEXIT, is left in its stop of that event (ERR_GONE).
 * Order: the thread stands in a ptrace stop of the caller; remote_begin, any number of remote_call, remote_end. It stands
 *        in a ptrace stop after each of them. The caller's thread is its tracer, with PTRACE_O_TRACESYSGOOD.
 * Where: x86-64, threads in 64-bit mode; elsewhere remote_begin fails (ERR_UNSUPPORTED).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

#include "base/err.h"

struct remote {
	pid_t tid;
	uint64_t
		insn; /* address of a system call instruction; 0: nothing of the thread was changed yet */
	uint64_t mask; /* signals that it had blocked */
	struct user_regs_struct regs;
	bool is_ending; /* it stands at its very end (PTRACE_EVENT_EXIT) */
};

int remote_begin(struct remote *r, pid_t tid, struct err *e);

/* The value of cs in 64-bit mode. */
#define REMOTE_CS64 0x33

/* Where that process has a system call instruction, in its vdso; 0: nowhere. */
uint64_t remote_instruction(pid_t tid);

/* The call number nr with these arguments; what the kernel answered: a value or -errno. */
int remote_call(struct remote *r, long nr, const uint64_t args[static 6], int64_t *answer,
		struct err *e);

/* Registers and signal mask as they were. */
int remote_end(const struct remote *r, struct err *e);

/* Until the thread is in a ptrace stop; its wait status. -1 (ERR_GONE): it has ended. */
int remote_wait(pid_t tid, int *status, struct err *e);
