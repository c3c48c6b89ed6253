/* cli_help.h: what nsimg prints about itself, from the command rows. Used by base/cli.c.
 *
 * Never: holds text of a single command; that is in its row and its manual page.
 */
#pragma once

#include <stdio.h>

#include "base/cli.h"

/* All option rows of a command, its own before the shared ones; their number (at most max). */
unsigned cli_cmd_opts(const struct cmd *cmd, const struct cli_opt **opts, unsigned max);

/* The list of commands with their summaries. */
void cli_print_commands(const struct cmd *const *cmds, FILE *out);

/* The manual page of a command: through man(1) when out is a terminal and the page is found, else the
 * usage from the rows. NSIMG_DOC names the folder of the pages; without it they are looked for beside the
 * program (../../doc, ../share/man/man1). */
int cli_show_page(const struct cmd *cmd, FILE *out, struct err *e);
