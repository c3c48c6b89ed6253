/* commands.h: the command rows of this folder, for the table in main.c. */
#pragma once

#include "base/cli.h"

extern const struct cmd cmd_plan;
extern const struct cmd cmd_restore;
extern const struct cmd cmd_rollback;
extern const struct cmd cmd_exec;
extern const struct cmd cmd_ps;
extern const struct cmd cmd_end;
