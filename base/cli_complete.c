/* cli_complete.c: nsimg completion: a completion script made from the command table. */
#include <string.h>

#include "base/cleanup.h"
#include "base/cli_help.h"

#define MAX_OPTS 64

extern const char embed_completion_bash[]; /* base/completion.bash */

/* "--format=text|json -f=text|json", switches without the rest. */
static void print_options(const struct cmd *cmd, FILE *out)
{
	const struct cli_opt *opts[MAX_OPTS];
	unsigned n = cli_cmd_opts(cmd, opts, MAX_OPTS);

	for (unsigned i = 0; i < n; i++) {
		const struct cli_opt *o = opts[i];
		const char *is = o->arg ? "=" : "", *arg = o->arg ? o->arg : "";

		fprintf(out, "%s--%s%s%s", i ? " " : "", o->name, is, arg);
		if (o->letter)
			fprintf(out, " -%c%s%s", o->letter, is, arg);
	}
}

/* The words of the synopsis that stand by their place: "DB TABLE WHERE" of "DB [TABLE [WHERE]]"; what comes with
 * an option, behind "--", or in another form behind " | " does not. */
static void print_args(const struct cmd *cmd, FILE *out)
{
	const char *s = cmd->synopsis;
	bool first = true;

	while (*s) {
		size_t n = strcspn(s, " ");

		if (strncmp(s, "-", 1) == 0 || strncmp(s, "[-", 2) == 0 || (n == 1 && *s == '|'))
			return;
		if (!first)
			fputc(' ', out);
		for (size_t i = 0; i < n; i++)
			if (s[i] != '[' && s[i] != ']')
				fputc(s[i], out);
		first = false;
		s += n;
		s += strspn(s, " ");
	}
}

static int completion_run(struct cli *c, struct err *e)
{
	const struct cmd *const *cmds = cli_commands(c);
	FILE *out = cli_out(c);

	if (strcmp(cli_arg(c, 0), "bash") != 0)
		return err_set(e, ERR_USAGE, "no completion for '%s'; there is: bash",
			       cli_arg(c, 0));
	if (!cmds)
		return err_set(e, ERR_USAGE, "completion: no table of commands");
	fputs("# bash completion of nsimg, made by: nsimg completion bash\n\n_nsimg_commands='",
	      out);
	for (const struct cmd *const *cmd = cmds; *cmd; cmd++)
		fprintf(out, "%s ", (*cmd)->name);
	fputs("help'\n\n_nsimg_command() { # COMMAND: sets options and args\n\tcase $1 in\n", out);
	for (const struct cmd *const *cmd = cmds; *cmd; cmd++) {
		fprintf(out, "\t%s)\n\t\toptions='", (*cmd)->name);
		print_options(*cmd, out);
		fputs("'\n\t\targs='", out);
		print_args(*cmd, out);
		fputs("'\n\t\t;;\n", out);
	}
	fprintf(out, "\t*) return 1 ;;\n\tesac\n}\n\n%s", embed_completion_bash);
	return 0;
}

const struct cmd cmd_completion = {
	.name = "completion",
	.synopsis = "bash",
	.summary = "print the completion script of a shell",
	.run = completion_run,
	.min_args = 1,
	.max_args = 1,
};
