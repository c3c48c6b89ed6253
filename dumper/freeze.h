/* freeze.h: make tasks stand still while they are read.
 *
 * Owns:  the ptrace relation to every thread it stopped.
 * Never: leaves anything behind. PTRACE_SEIZE and PTRACE_INTERRUPT (ptrace(2)) are used because the kernel
 *        lets the threads run on by itself when the tracer dies, also by SIGKILL; a cgroup freeze or SIGSTOP
 *        would outlive a killed dumper. Nothing is injected into the target.
 * Order: freeze_new, freeze_tasks, freeze_free (which lets everything run on). All from one thread: ptrace
 *        knows threads, not processes.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "dumper/proc.h"

struct freeze;

/* An owned handle or NULL (ERR_NOMEM). tracer: who has stopped the tasks already (CRIU), then a thread that this
 * process does not trace is an error, and nothing is stopped; 0: nobody. */
struct freeze *freeze_new(pid_t tracer, struct err *e);

/* Add to list every process whose parent is in it, but for this one. They may be running. */
int freeze_find_children(struct pid_list *list, struct err *e);

/* Told of a thread that cannot be stopped (traced by somebody else, in an uninterruptible sleep). */
typedef int freeze_miss_fn(pid_t pid, pid_t tid, const char *why, void *arg, struct err *e);

/* Stop all threads of the processes in list, and of what they start meanwhile (list grows by new
 * descendants when follow_children). Returns when no new thread appears. */
int freeze_tasks(struct freeze *f, struct pid_list *list, bool follow_children,
		 freeze_miss_fn *miss, void *arg, struct err *e);

/* Let everything run on, with the signals that came meanwhile. NULL is fine. */
void freeze_free(struct freeze *f);

/* Microseconds since the first thread was stopped. */
uint64_t freeze_elapsed_us(const struct freeze *f);
