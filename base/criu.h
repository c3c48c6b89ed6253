/* criu.h: CRIU as a program that works for us: found, started in a namespace with descriptors, asked at its hooks.
 *
 * Owns:  the process of CRIU for the time of criu_run, and the socket in the work folder that its hook calls at.
 * Never: starts a shell, or gives CRIU our environment or a descriptor that is not in the list.
 * Hook:  CRIU runs a program at certain moments (criu(8), --action-script). That program is nsimg itself, told by its
 *        environment what it is (criu_hook_is_meant); it only carries the name of the moment to criu_run and the
 *        answer back, so what is to be done is done by the process that knows everything. When that one is gone the
 *        hook fails, and CRIU gives up cleanly.
 * Killed: CRIU that restores ends with us. CRIU that dumps has its code in the tasks and their connections in repair
 *        mode: it must come to its next hook, and take all of that back itself (outlives), but who asks twice gets it
 *        killed.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/* Network packets that CRIU itself sends have this mark (SOCCR_MARK in soccr/soccr.h). */
#define CRIU_MARK 0xC114

struct ns;

struct criu_job {
	const char *program; /* its path, from criu_find */
	const char *const
		*words;     /* after the program's name, ended by NULL: "restore", "-D", ... */
	const char *folder; /* an absolute one, for the socket of the hook and what CRIU prints */
	const char *
		log; /* the log file that words name, in folder: where its error line is looked for */
	int netns_fd;   /* the network namespace it runs in, -1: ours */
	const int *fds; /* stay open in it, under their numbers */
	size_t n_fds;

	/* Its pid, before it does anything (a good moment for a journal). NULL: not told. */
	int (*started)(void *arg, pid_t pid, struct err *e);
	/* CRIU is at a hook: "network-lock", "post-resume" ...; root is the pid of the root task, 0: not yet.
	 * -1: CRIU is to give up, and criu_run fails with this error. NULL: no hooks. */
	int (*at)(void *arg, const char *action, pid_t root, struct err *e);
	void *arg;

	/* Signals that are blocked and shall end CRIU when they come (SIGKILL; with outlives the first one by a refusal at
	 * its next hook); NULL: none. */
	const sigset_t *stop;

	/* It is not killed by our death, nor by us but at a second signal: it is refused at its next hook. After a refusal the callback
	 * is still told of what CRIU comes to on its way back; its answers do not matter then. */
	bool outlives;
};

/* An empty network namespace for CRIU itself, with the loopback up, over which it tries the features of the kernel.
 * Owned, or NULL. */
struct ns *criu_scratch_ns(struct err *e);

/* Where folders for work with CRIU are made: TMPDIR when it is an absolute path, or /tmp. Not owned. */
const char *criu_tmp(void);

/* Where CRIU is: given, else in PATH or where Debian has it; appended. -1 (ERR_NOTFOUND). */
int criu_find(const char *given, struct buf *path, struct err *e);

/* 40200 for 4.2. It runs "criu --version". */
int criu_version(const char *program, int *version, struct err *e);

/* Run it to its end. 0: it succeeded; -1: the error of a callback, ERR_INTERRUPTED (a signal of stop came), or
 * ERR_KERNEL with CRIU's own error line. When it was killed, tasks that it had begun to restore may be left. */
int criu_run(const struct criu_job *job, struct err *e);

/* For a process on whose life others depend: the kernel, short of memory, takes another one (proc_pid_oom_score_adj(5)),
 * as far as we may ask for that. */
void criu_spare_me(void);

/* Append the line of a log of CRIU that tells why it failed, without time; nothing when there is none. */
int criu_log_error(const char *path, struct buf *out, struct err *e);

/* For main: was this process started by CRIU as our hook? Then criu_hook is all it does; its exit status. */
bool criu_hook_is_meant(void);
int criu_hook(void);
