#include "base/remote.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"

#define VDSO_MAX 16384 /* bytes that are looked through */

int remote_wait(pid_t tid, int *status, struct err *e)
{
	pid_t got;

	do {
		got = waitpid(tid, status, __WALL);
	} while (got < 0 && errno == EINTR);
	if (got < 0 || !WIFSTOPPED(*status))
		return err_set(e, ERR_GONE, "thread %d has ended", (int)tid);
	return 0;
}

#ifdef __x86_64__

/* Where the kernel has mapped its vdso in that process; 0: nowhere. */
static uint64_t find_vdso(pid_t tid)
{
	auto_buf struct buf aux = {0};
	struct err none = ERR_INIT;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/auxv", (int)tid);
	if (io_read_file(AT_FDCWD, path, 8192, &aux, &none))
		return 0;
	for (size_t at = 0; at + sizeof(Elf64_auxv_t) <= aux.len; at += sizeof(Elf64_auxv_t)) {
		Elf64_auxv_t one;

		memcpy(&one, aux.data + at, sizeof(one));
		if (one.a_type == AT_SYSINFO_EHDR)
			return one.a_un.a_val;
	}
	return 0;
}

/* Any two bytes 0f 05: the thread comes back to us before it runs what follows them. */
uint64_t remote_instruction(pid_t tid)
{
	static const unsigned char call[] = {0x0f, 0x05};
	unsigned char code[VDSO_MAX];
	uint64_t vdso = find_vdso(tid);
	auto_close int mem = -1;
	const unsigned char *at;
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)tid);
	mem = vdso ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	n = mem < 0 ? -1 : pread(mem, code, sizeof(code), (off_t)vdso);
	at = n > 0 ? memmem(code, (size_t)n, call, sizeof(call)) : NULL;
	return at ? vdso + (uint64_t)(at - code) : 0;
}

int remote_begin(struct remote *r, pid_t tid, struct err *e)
{
	uint64_t all = ~0ULL, insn;

	*r = (struct remote){.tid = tid};
	if (ptrace(PTRACE_GETREGS, tid, NULL, &r->regs))
		return err_sys(e, ERR_KERNEL, "registers of thread %d", (int)tid);
	if (r->regs.cs != REMOTE_CS64)
		return err_set(e, ERR_UNSUPPORTED, "thread %d is not in 64-bit mode", (int)tid);
	insn = remote_instruction(tid);
	if (!insn)
		return err_set(e, ERR_UNSUPPORTED, "process %d has no vdso", (int)tid);
	if (ptrace(PTRACE_GETSIGMASK, tid, sizeof(r->mask), &r->mask))
		return err_sys(e, ERR_KERNEL, "signal mask of thread %d", (int)tid);
	r->insn = insn;
	/* no handler of the thread may run on its stack meanwhile */
	if (ptrace(PTRACE_SETSIGMASK, tid, sizeof(all), &all))
		return err_sys(e, ERR_KERNEL, "signal mask of thread %d", (int)tid);
	return 0;
}

/* To its next stop at a system call; others, as of a SIGSTOP of its process, are passed over. */
static int next_stop(struct remote *r, struct err *e)
{
	const pid_t tid = r->tid;
	int status = 0;

	for (int n = 0; n < 100; n++) {
		if (ptrace(PTRACE_SYSCALL, tid, NULL, NULL))
			return err_sys(e, ERR_KERNEL, "continue thread %d", (int)tid);
		if (remote_wait(tid, &status, e))
			return -1;
		r->is_ending = status >> 16 == PTRACE_EVENT_EXIT;
		if (r->is_ending)
			return err_set(e, ERR_GONE, "thread %d is ending", (int)tid);
		if (WSTOPSIG(status) == (SIGTRAP | 0x80))
			return 0;
	}
	return err_set(e, ERR_KERNEL, "thread %d does not come to a system call", (int)tid);
}

int remote_call(struct remote *r, long nr, const uint64_t args[static 6], int64_t *answer,
		struct err *e)
{
	struct user_regs_struct regs = r->regs;

	/* it would be let go */
	if (r->is_ending)
		return err_set(e, ERR_GONE, "thread %d is ending", (int)r->tid);
	regs.rip = r->insn;
	regs.rax = (uint64_t)nr;
	/* it is in no call that would have to be begun again */
	regs.orig_rax = ~0ULL;
	regs.rdi = args[0];
	regs.rsi = args[1];
	regs.rdx = args[2];
	regs.r10 = args[3];
	regs.r8 = args[4];
	regs.r9 = args[5];
	if (ptrace(PTRACE_SETREGS, r->tid, NULL, &regs))
		return err_sys(e, ERR_KERNEL, "set registers of thread %d", (int)r->tid);
	/* into the call, and out of it */
	for (int i = 0; i < 2; i++)
		if (next_stop(r, e))
			return -1;
	if (ptrace(PTRACE_GETREGS, r->tid, NULL, &regs))
		return err_sys(e, ERR_KERNEL, "registers of thread %d", (int)r->tid);
	*answer = (int64_t)regs.rax;
	return 0;
}

/* The kernel begins an interrupted call again only on the way out of a stop that came from a signal or an interrupt. */
int remote_end(const struct remote *r, struct err *e)
{
	int status = 0;

	if (ptrace(PTRACE_INTERRUPT, r->tid, NULL, NULL) || ptrace(PTRACE_CONT, r->tid, NULL, NULL))
		return err_sys(e, ERR_KERNEL, "interrupt thread %d", (int)r->tid);
	if (remote_wait(r->tid, &status, e))
		return -1;
	if (status >> 16 == PTRACE_EVENT_EXIT)
		return err_set(e, ERR_GONE, "thread %d is ending", (int)r->tid);
	if (ptrace(PTRACE_SETREGS, r->tid, NULL, &r->regs) ||
	    ptrace(PTRACE_SETSIGMASK, r->tid, sizeof(r->mask), &r->mask))
		return err_sys(e, ERR_KERNEL, "give registers of thread %d back", (int)r->tid);
	return 0;
}

#else

uint64_t remote_instruction(pid_t tid)
{
	return 0;
}

int remote_begin(struct remote *r, pid_t tid, struct err *e)
{
	*r = (struct remote){.tid = tid};
	return err_set(e, ERR_UNSUPPORTED, "system calls of other threads are made on x86-64 only");
}

int remote_call(struct remote *r, long nr, const uint64_t args[static 6], int64_t *answer,
		struct err *e)
{
	return err_set(e, ERR_UNSUPPORTED, "system calls of other threads are made on x86-64 only");
}

int remote_end(const struct remote *r, struct err *e)
{
	return 0;
}

#endif
