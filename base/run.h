/* run.h: another program as a filter: bytes in, bytes out, no shell.
 *
 * Owns:  the child for the time of the call; it gets a clean environment (PATH, HOME=/, LC_ALL=C.UTF-8) and a limit
 *        of processor time.
 * Never: starts a program from a folder of PATH that is not absolute.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"

#define RUN_SECONDS 60 /* of processor time */

/* Run argv[0], a path or found in PATH, with in as its standard input; append its standard output to out. ERR_NOTFOUND: there is
 * no such program; ERR_IO: it failed, the message has the first line it said. */
int run_filter(const char *const *argv, struct span in, struct buf *out, struct err *e);

/* Where a program is: name itself when it is a path, else what PATH has, put into path. False: nowhere. */
bool run_find(const char *name, char *path, size_t size);
