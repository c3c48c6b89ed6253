/* criu_core.h: CRIU's core-PID.img without what the guard of the dump has put into the task.
 *
 * Owns:  nothing.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

/* The record with the answer to SIGTRAP that the task had (task_trap.h), all else byte for byte; appended. *changed:
 * there was another. -1 (ERR_FORMAT): it cannot be read. */
int criu_core_fix(struct span msg, struct buf *out, bool *changed, struct err *e);
