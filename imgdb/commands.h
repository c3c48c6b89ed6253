/* commands.h: the command rows of this folder, for the table in main.c. */
#pragma once

#include "base/cli.h"

extern const struct cmd cmd_import;
