/* commands.h: the command rows of this folder, for the table in main.c. */
#pragma once

#include "base/cli.h"

extern const struct cmd cmd_images;
extern const struct cmd cmd_tree;
extern const struct cmd cmd_graph;
extern const struct cmd cmd_sockets;
extern const struct cmd cmd_show;
extern const struct cmd cmd_sql;
extern const struct cmd cmd_set;
extern const struct cmd cmd_readdress;
extern const struct cmd cmd_remac;
extern const struct cmd cmd_rename;
extern const struct cmd cmd_externalize;
extern const struct cmd cmd_log;
extern const struct cmd cmd_undo;
extern const struct cmd cmd_drop;
extern const struct cmd cmd_move;
extern const struct cmd cmd_add;
extern const struct cmd cmd_apply;
extern const struct cmd cmd_check;
extern const struct cmd cmd_fix;
