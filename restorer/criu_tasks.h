/* criu_tasks.h: the processes that CRIU makes: found by the pid they had, and ended.
 *
 * Owns:  nothing.
 * Never: kills what is not proven to be of this restore: by its start time, or because it is in a namespace that only
 *        this restore knows.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "restorer/journal.h"

/* The living process that is the dumped one: in the pid namespace of the root task, with the number it had. 0: none. */
pid_t criu_task_find(pid_t root, pid_t dumped);

/* SIGKILL to it and, before, to what it has forked; nothing when the number is another process's now. */
void criu_task_end(pid_t pid, uint64_t start);

/* SIGKILL to whatever is in one of the namespaces that the entry names; how many there were. */
int criu_tasks_end_inside(const struct journal_entry *je);
