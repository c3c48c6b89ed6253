#include "base/cli_help.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

#define MAX_OPTS 64

void cli_print_commands(const struct cmd *const *cmds, FILE *out)
{
	size_t width = 0;

	fputs("usage: nsimg COMMAND [ARGUMENTS]\n\n", out);
	for (const struct cmd *const *c = cmds; *c; c++)
		width = strlen((*c)->name) > width ? strlen((*c)->name) : width;
	for (; *cmds; cmds++)
		fprintf(out, "  %-*s  %s\n", (int)width, (*cmds)->name, (*cmds)->summary);
	fputs("\nnsimg help COMMAND explains one; nsimg --version tells the version.\n"
	      "Exit status: 0 done, 1 findings or differences, 2 error.\n",
	      out);
}

/* "-o, --columns COLUMNS" */
static int opt_text(const struct cli_opt *o, char *text, size_t n)
{
	char letter[6] = "";

	if (o->letter)
		snprintf(letter, sizeof(letter), "-%c, ", o->letter);
	return snprintf(text, n, "%s--%s%s%s", letter, o->name, o->arg ? " " : "",
			o->arg ? o->arg : "");
}

void cli_print_usage(const struct cmd *cmd, FILE *out)
{
	const struct cli_opt *opts[MAX_OPTS];
	unsigned n = cli_cmd_opts(cmd, opts, MAX_OPTS);
	char text[128];
	int width = 0;

	fprintf(out, "usage: nsimg %s %s\n%s\n\n", cmd->name, cmd->synopsis, cmd->summary);
	for (unsigned i = 0; i < n; i++) {
		int len = opt_text(opts[i], text, sizeof(text));

		width = len > width ? len : width;
	}
	for (unsigned i = 0; i < n; i++) {
		opt_text(opts[i], text, sizeof(text));
		fprintf(out, "  %-*s  %s\n", width, text, opts[i]->help);
	}
}

/* The page of a command, or false. */
static bool page_find(const struct cmd *cmd, char *path, size_t n)
{
	static const char *const beside[] = {"../../doc", "../share/man/man1", "../doc"};
	const char *env = getenv("NSIMG_DOC");
	char exe[PATH_MAX];
	ssize_t len;
	char *slash;

	if (env) {
		snprintf(path, n, "%s/nsimg-%s.1", env, cmd->name);
		return access(path, R_OK) == 0;
	}
	len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (len <= 0)
		return false;
	exe[len] = 0;
	slash = strrchr(exe, '/');
	for (size_t i = 0; slash && i < ARRAY_SIZE(beside); i++) {
		*slash = 0;
		if (snprintf(path, n, "%s/%s/nsimg-%s.1", exe, beside[i], cmd->name) < (int)n &&
		    access(path, R_OK) == 0)
			return true;
	}
	return false;
}

/* man -l PATH, without a shell: 0 when it ran and was content. man(1) pages on a terminal, else prints plain
 * text. */
static int page_show(const char *path, int out)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		if (out != STDOUT_FILENO && dup2(out, STDOUT_FILENO) < 0)
			_exit(127);
		execlp("man", "man", "-l", path, (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

int cli_show_page(const struct cmd *cmd, FILE *out, struct err *e)
{
	char path[PATH_MAX + 128];

	fflush(out);
	if (fileno(out) >= 0 && page_find(cmd, path, sizeof(path)) &&
	    page_show(path, fileno(out)) == 0)
		return 0;
	cli_print_usage(cmd, out);
	return 0;
}
