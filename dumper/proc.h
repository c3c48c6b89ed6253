/* proc.h: what /proc tells about tasks (proc(5)).
 *
 * Never: keeps descriptors open between calls. A task that is gone is ERR_GONE.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* A growing list of process or thread ids. Zeroed is empty; free(ids) releases it. */
struct pid_list {
	pid_t *ids;
	size_t n;
};

int pid_list_add(struct pid_list *l, pid_t id, struct err *e);
bool pid_list_has(const struct pid_list *l, pid_t id);

/* /proc/PID/stat and status, as far as an image has a place for it. */
struct proc_stat {
	pid_t ppid, pgid, sid;
	char comm[16]; /* not escaped, zero-terminated */
	char state;    /* R S D T t Z X I */
	uint32_t flags;
	uint32_t exit_code;
	uint64_t start_time; /* clock ticks since boot */
	bool is_kernel;      /* a kernel thread (PF_KTHREAD) */
};

int proc_stat_read(pid_t pid, struct proc_stat *out, struct err *e);

/* Blocked signals (SigBlk) and the tracer (TracerPid, 0: none) of a thread. */
int proc_status_read(pid_t pid, pid_t tid, uint64_t *sig_blocked, pid_t *tracer, struct err *e);

/* The pid that a process has in its innermost pid namespace (NSpid), 0: it has gone. */
pid_t proc_inner_pid(pid_t pid);

/* All processes, or all threads of one, ascending; appended to out. */
int proc_list_tasks(struct pid_list *out, struct err *e);
int proc_list_threads(pid_t pid, struct pid_list *out, struct err *e);

/* The first thread of a process that has not ended, 0: all have. It need not be the one with the number pid. */
pid_t proc_living_thread(pid_t pid);

/* comm of a thread. */
int proc_comm_read(pid_t pid, pid_t tid, char comm[16], struct err *e);

/* One descriptor of a task, borrowed for the call. target is what the link says: "socket:[123]",
 * "net:[123]", "/dev/net/tun". A non-zero result ends the walk with that result. */
typedef int proc_fd_fn(int fd, const char *target, void *arg, struct err *e);
int proc_each_fd(pid_t pid, proc_fd_fn *fn, void *arg, struct err *e);

/* The word after key ("flags:") in fdinfo. ERR_FORMAT: there is no such line. */
int proc_fd_word(pid_t pid, int fd, const char *key, char word[32], struct err *e);

/* Flags of a descriptor as fdinfo shows them (open(2), with O_CLOEXEC for the descriptor). */
int proc_fd_flags(pid_t pid, int fd, uint32_t *flags, struct err *e);

/* "socket:[123]" with prefix "socket": true and *ino = 123. */
bool proc_link_ino(const char *target, const char *prefix, uint64_t *ino);
