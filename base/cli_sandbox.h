/* cli_sandbox.h: the sandbox of a command without privileges, from the words it was given. Used by base/cli.c.
 *
 * Owns:  nothing.
 * Never: opens more than the words name: a word that is the path of a file or folder may be read, and what
 *        SQLite keeps beside a database; the folder of the first one written, where the row of the command
 *        says that it writes that database.
 */
#pragma once

#include <stddef.h>

#include "base/cli.h"

/* words: arguments and option values, borrowed; the first is the database where the row says so. */
int cli_sandbox_enter(const struct cmd *cmd, const char *const *words, size_t n, struct err *e);
