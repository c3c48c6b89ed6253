/* stop.h: SIGINT, SIGTERM and SIGHUP as a question that long work answers between two pieces, so that it takes back
 * what is half done.
 *
 * Owns:  the handlers of the three signals, from stop_begin to the end of the process. Programs that are started
 *        (execve(2)) have the default again.
 * Never: used by a restore, which asks in its own way (restorer/exec.h), because its holders live on.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

/* From here on the signals are noted, and nothing else happens. One that is ignored stays so. */
void stop_begin(void);

/* Did one come? Cheap: the look at a variable. */
bool stop_is_asked(void);

/* The same as an error: 0, or -1 (ERR_INTERRUPTED). */
int stop_check(struct err *e);
