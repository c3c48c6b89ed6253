#include "base/task_trap.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/remote.h"
#include "base/task_keep.h"

/* "nsimg" and a byte: an address of user space where nothing is mapped as a rule. */
#define HANDLER 0x6e73696d6700ULL

enum {
	WAS_IGNORED = 1,  /* SIG_IGN, not SIG_DFL */
	HAD_RESTORER = 2, /* the flags and the restorer were there before */
	HAD_ONSTACK = 4,
	BITS = 7,
};

enum { STOP_TURNS = 5000 }; /* of a millisecond */

#ifndef SA_RESTORER
#define SA_RESTORER 0x04000000
#endif

/* struct sigaction as the kernel has it (x86-64). */
struct action {
	uint64_t handler, flags, restorer, mask;
};

bool task_trap_decode(uint64_t *handler, uint64_t *flags, uint64_t *restorer)
{
	if ((*handler & ~(uint64_t)BITS) != HANDLER)
		return false;
	if (!(*handler & HAD_RESTORER)) {
		*flags &= ~(uint64_t)SA_RESTORER;
		*restorer = 0;
	}
	if (!(*handler & HAD_ONSTACK))
		*flags &= ~(uint64_t)SA_ONSTACK;
	*handler = *handler & WAS_IGNORED ? 1 : 0;
	return true;
}

/* The kernel calls no handler without SA_RESTORER, and on a small stack a frame is better put elsewhere. */
static bool encode(struct action *a)
{
	if (a->handler > 1)
		return false;
	a->handler = HANDLER | (a->handler ? WAS_IGNORED : 0) |
		     (a->flags & SA_RESTORER ? HAD_RESTORER : 0) |
		     (a->flags & SA_ONSTACK ? HAD_ONSTACK : 0);
	if (!(a->flags & SA_RESTORER))
		a->restorer = HANDLER;
	a->flags |= SA_RESTORER | SA_ONSTACK;
	return true;
}

#ifdef __x86_64__

/* ---- a call of a task by the hands of its tracer ---- */

struct via {
	struct remote *tracer;
	pid_t tid;
	uint64_t insn; /* a system call instruction of the task */
	struct user_regs_struct regs;
	uint64_t room; /* below the stack of the task, for arguments */
};

static int64_t by_tracer(struct via *v, long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
			 struct err *e)
{
	const uint64_t args[6] = {a, b, c, d, 0, 0};
	int64_t answer;

	if (remote_call(v->tracer, nr, args, &answer, e))
		return -1;
	if (answer >= 0)
		return answer;
	return err_set(e, ERR_KERNEL, "call of the tracer of thread %d: %s", (int)v->tid,
		       strerror((int)-answer));
}

static int64_t by_ptrace(struct via *v, long request, uint64_t addr, uint64_t data, struct err *e)
{
	return by_tracer(v, SYS_ptrace, (uint64_t)request, (uint64_t)v->tid, addr, data, e);
}

/* Below the stack of the tracer. */
static uint64_t tracer_room(const struct via *v)
{
	return (v->tracer->regs.rsp - 8192) & ~63ULL;
}

static ssize_t memory(pid_t pid, uint64_t at, void *data, size_t n, bool write)
{
	struct iovec mine = {data, n}, theirs = {(void *)(uintptr_t)at, n};

	return write ? process_vm_writev(pid, &mine, 1, &theirs, 1, 0)
		     : process_vm_readv(pid, &mine, 1, &theirs, 1, 0);
}

static int set_registers(struct via *v, const struct user_regs_struct *regs, struct err *e)
{
	struct user_regs_struct copy = *regs;

	if (memory(v->tracer->tid, tracer_room(v), &copy, sizeof(copy), true) != sizeof(copy))
		return err_sys(e, ERR_KERNEL, "memory of process %d", (int)v->tracer->tid);
	return by_ptrace(v, PTRACE_SETREGS, 0, tracer_room(v), e) < 0 ? -1 : 0;
}

static int set_mask(struct via *v, uint64_t mask, struct err *e)
{
	if (memory(v->tracer->tid, tracer_room(v), &mask, sizeof(mask), true) != sizeof(mask))
		return err_sys(e, ERR_KERNEL, "memory of process %d", (int)v->tracer->tid);
	return by_ptrace(v, PTRACE_SETSIGMASK, sizeof(mask), tracer_room(v), e) < 0 ? -1 : 0;
}

/* Continued by request, it stops again; its wait status. */
static int to_stop(struct via *v, long request, int *status, struct err *e)
{
	if (by_ptrace(v, request, 0, 0, e) < 0 ||
	    by_tracer(v, SYS_wait4, (uint64_t)v->tid, tracer_room(v), __WALL, 0, e) < 0)
		return -1;
	return memory(v->tracer->tid, tracer_room(v), status, sizeof(*status), false) ==
			       sizeof(*status)
		       ? 0
		       : err_sys(e, ERR_KERNEL, "memory of process %d", (int)v->tracer->tid);
}

static int to_syscall(struct via *v, struct err *e)
{
	int status = 0;

	for (int n = 0; n < 100; n++) {
		if (to_stop(v, PTRACE_SYSCALL, &status, e))
			return -1;
		if (!WIFSTOPPED(status))
			return err_set(e, ERR_GONE, "thread %d has ended", (int)v->tid);
		if ((WSTOPSIG(status) & 0x7f) == SIGTRAP && !(status >> 16))
			return 0;
	}
	return err_set(e, ERR_KERNEL, "thread %d does not come to a system call", (int)v->tid);
}

/* rt_sigaction(SIGTRAP, set ? room : NULL, set ? NULL : room). */
static int action_via(struct via *v, bool set, struct err *e)
{
	struct user_regs_struct regs = v->regs;

	regs.rip = v->insn;
	regs.rax = SYS_rt_sigaction;
	regs.orig_rax = ~0ULL;
	regs.rdi = SIGTRAP;
	regs.rsi = set ? v->room : 0;
	regs.rdx = set ? 0 : v->room;
	regs.r10 = sizeof(uint64_t);
	if (set_registers(v, &regs, e))
		return -1;
	/* into the call, and out of it */
	for (int i = 0; i < 2; i++)
		if (to_syscall(v, e))
			return -1;
	return 0;
}

/* Back to the kind of stop that CRIU has left it in. */
static int back(struct via *v, uint64_t mask, struct err *e)
{
	int status;

	return by_ptrace(v, PTRACE_INTERRUPT, 0, 0, e) < 0 || to_stop(v, PTRACE_CONT, &status, e) ||
			       set_registers(v, &v->regs, e) || set_mask(v, mask, e)
		       ? -1
		       : 0;
}

_Static_assert(sizeof(struct action) == sizeof(((struct task_trap_note *)NULL)->kept),
	       "room for an action");

static int change(struct via *v, struct task_trap_note *note, struct err *e)
{
	struct action a;
	int rc;

	if (memory(v->tid, v->room, note->kept, sizeof(note->kept), false) != sizeof(note->kept))
		return err_sys(e, ERR_KERNEL, "stack of thread %d", (int)v->tid);
	note->has_kept = true;
	rc = action_via(v, false, e);
	if (!rc && memory(v->tid, v->room, &a, sizeof(a), false) != sizeof(a))
		rc = err_sys(e, ERR_KERNEL, "stack of thread %d", (int)v->tid);
	if (!rc && encode(&a)) {
		rc = memory(v->tid, v->room, &a, sizeof(a), true) == sizeof(a)
			     ? action_via(v, true, e)
			     : err_sys(e, ERR_KERNEL, "stack of thread %d", (int)v->tid);
	}
	memory(v->tid, v->room, note->kept, sizeof(note->kept), true);
	return rc;
}

int task_trap_arm(struct remote *tracer, pid_t tid, const struct buf *regs, uint64_t mask,
		  struct task_trap_note *note, struct err *e)
{
	struct via v = {.tracer = tracer, .tid = tid};
	struct err ignored = ERR_INIT;
	int rc;

	if (regs->len != sizeof(v.regs))
		return 0;
	memcpy(&v.regs, regs->data, sizeof(v.regs));
	v.insn = v.regs.cs == REMOTE_CS64 ? remote_instruction(tid) : 0;
	if (!v.insn)
		return 0;
	/* beyond the bytes below the stack pointer that a function may use */
	v.room = (v.regs.rsp - 128 - 64) & ~63ULL;
	*note = (struct task_trap_note){.mask = mask, .room = v.room, .regs = v.regs};
	note->tid = tid;
	if (set_mask(&v, ~0ULL, e))
		return -1;
	rc = change(&v, note, e);
	if (back(&v, mask, rc ? &ignored : e))
		return -1;
	note->tid = 0;
	return rc;
}

/* To a stop that PTRACE_INTERRUPT makes, from wherever it is: running, in a stop that was reported already, or in one
 * that was not. Continued out of the latter it would run on, so that it is not done before the state is known. */
static int to_interrupt(struct via *v, struct err *e)
{
	char state;

	if (by_ptrace(v, PTRACE_INTERRUPT, 0, 0, e) < 0)
		return -1;
	for (int turn = 0; turn < STOP_TURNS; turn++) {
		int status = 0;
		int64_t got;

		state = task_keep_state(v->tid);
		got = by_tracer(v, SYS_wait4, (uint64_t)v->tid, tracer_room(v), __WALL | WNOHANG, 0,
				e);
		if (got < 0)
			return -1;
		if (got && memory(v->tracer->tid, tracer_room(v), &status, sizeof(status), false) !=
				   sizeof(status))
			return err_sys(e, ERR_KERNEL, "memory of process %d", (int)v->tracer->tid);
		if (got && !WIFSTOPPED(status))
			return err_set(e, ERR_GONE, "thread %d has ended", (int)v->tid);
		if (got && status >> 16 == PTRACE_EVENT_STOP)
			return 0;
		if ((got || state == 't') && by_ptrace(v, PTRACE_CONT, 0, 0, e) < 0)
			return -1;
		if (!got && state != 't')
			usleep(1000);
	}
	return err_set(e, ERR_KERNEL, "thread %d does not stop", (int)v->tid);
}

int task_trap_undo(struct remote *tracer, struct task_trap_note *note, struct err *e)
{
	struct via v = {.tracer = tracer, .tid = note->tid, .regs = note->regs, .room = note->room};

	if (to_interrupt(&v, e) || set_registers(&v, &v.regs, e) || set_mask(&v, note->mask, e))
		return -1;
	if (note->has_kept)
		memory(v.tid, v.room, note->kept, sizeof(note->kept), true);
	note->tid = 0;
	return 0;
}

int task_trap_disarm(struct remote *r, struct err *e)
{
	const uint64_t room = (r->regs.rsp - 128 - 64) & ~63ULL;
	const uint64_t get[6] = {SIGTRAP, 0, room, sizeof(uint64_t)},
		       set[6] = {SIGTRAP, room, 0, sizeof(uint64_t)};
	struct action a, kept;
	int64_t answer;
	int rc;

	if (memory(r->tid, room, &kept, sizeof(kept), false) != sizeof(kept))
		return err_sys(e, ERR_KERNEL, "stack of thread %d", (int)r->tid);
	rc = remote_call(r, SYS_rt_sigaction, get, &answer, e);
	if (!rc && memory(r->tid, room, &a, sizeof(a), false) == sizeof(a) &&
	    task_trap_decode(&a.handler, &a.flags, &a.restorer)) {
		memory(r->tid, room, &a, sizeof(a), true);
		rc = remote_call(r, SYS_rt_sigaction, set, &answer, e);
	}
	memory(r->tid, room, &kept, sizeof(kept), true);
	return rc;
}

#else

int task_trap_arm(struct remote *tracer, pid_t tid, const struct buf *regs, uint64_t mask,
		  struct task_trap_note *note, struct err *e)
{
	return 0;
}

int task_trap_undo(struct remote *tracer, struct task_trap_note *note, struct err *e)
{
	return 0;
}

int task_trap_disarm(struct remote *r, struct err *e)
{
	return 0;
}

#endif
