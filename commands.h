/* commands.h: commands that compose several layers; each is a file of its own beside main.c. */
#pragma once

#include "base/cli.h"

extern const struct cmd cmd_dump;         /* dumper, and imgdb for -o FILE.db */
extern const struct cmd cmd_export;       /* imgdb, inspect/check */
extern const struct cmd cmd_diff;         /* dumper, imgdb, inspect/diff */
extern const struct cmd cmd_verify;       /* dumper, imgdb, inspect/diff, restorer/journal */
extern const struct cmd cmd_check_kernel; /* base */
