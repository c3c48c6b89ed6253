/* main.c: the command table and nothing else. A command is a row in its folder's commands.h and a line
 * here; a command that composes others is a file of its own beside this one. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cli.h"
#include "base/criu.h"
#include "base/escape.h"
#include "commands.h"
#include "dumper/commands.h"
#include "imgdb/commands.h"
#include "inspect/commands.h"
#include "restorer/commands.h"

/* clang-format off */
static const struct cmd *const commands[] = {
	&cmd_dump,
	&cmd_import,
	&cmd_export,
	&cmd_images,
	&cmd_tree,
	&cmd_graph,
	&cmd_sockets,
	&cmd_show,
	&cmd_sql,
	&cmd_check,
	&cmd_diff,
	&cmd_set,
	&cmd_add,
	&cmd_drop,
	&cmd_move,
	&cmd_apply,
	&cmd_readdress,
	&cmd_remac,
	&cmd_rename,
	&cmd_externalize,
	&cmd_fix,
	&cmd_log,
	&cmd_undo,
	&cmd_plan,
	&cmd_restore,
	&cmd_exec,
	&cmd_verify,
	&cmd_rollback,
	&cmd_ps,
	&cmd_end,
	&cmd_check_kernel,
	&cmd_completion,
	NULL,
};
/* clang-format on */

int main(int argc, char **argv)
{
	struct err e = ERR_INIT, ignored = ERR_INIT;
	auto_buf struct buf text = {0};
	const char *verb = NULL;
	int rc;

	/* CRIU runs this program at certain moments, without words (base/criu.h) */
	if (criu_hook_is_meant())
		return criu_hook();
	/* "nsimg sql ... | head" ends quietly, also under a parent that ignores the signal */
	signal(SIGPIPE, SIG_DFL);
	rc = cli_run(commands, argc, argv, &verb, &e);
	if (rc >= 0)
		return rc;
	/* messages quote names that came out of images and databases */
	escape_show_lines(&text, e.msg, strlen(e.msg), &ignored);
	fprintf(stderr, "nsimg: %s%s%s\n", verb ? verb : "", verb ? ": " : "",
		text.len ? (const char *)text.data : "");
	return 2;
}
