/* cmd_check_kernel.c: nsimg check-kernel: what the running kernel can do for us, tried out. */
#include <sys/utsname.h>

#include "base/cleanup.h"
#include "base/kernel.h"
#include "commands.h"

enum { COL_FEATURE, COL_NEEDED_FOR, COL_STATE, COL_WITHOUT, COL_NEEDED, COL_SINCE, COL_REASON };

static const struct table_col cols[] = {
	{"feature", TABLE_STR, 0},
	{"needed_for", TABLE_STR, 0},
	{"state", TABLE_STR, 0},
	{"without_it", TABLE_STR, TABLE_SHRINK},
	{"needed", TABLE_BOOL, TABLE_HIDDEN},
	{"since", TABLE_STR, TABLE_HIDDEN},
	{"reason", TABLE_STR, TABLE_HIDDEN},
};

struct counts {
	unsigned all, missing, denied, needed_missing;
};

static int row_add(struct table *t, struct kernel_env *env, const struct kernel_feature *f,
		   struct counts *n, struct err *e)
{
	struct err why = ERR_INIT;
	enum kernel_state state = kernel_probe(env, f, &why);

	if (state != KERNEL_YES && why.code == ERR_NOMEM) {
		*e = why;
		return -1;
	}
	n->all++;
	n->missing += state == KERNEL_NO;
	n->denied += state == KERNEL_DENIED;
	n->needed_missing += state != KERNEL_YES && f->needed;
	if (table_row(t, e) || table_cell(t, COL_FEATURE, f->name, e) ||
	    table_cell(t, COL_NEEDED_FOR, f->needed_for, e) ||
	    table_cell(t, COL_STATE, kernel_state_name(state), e) ||
	    table_cell(t, COL_WITHOUT, f->without, e) ||
	    table_cell_int(t, COL_NEEDED, f->needed, e) || table_cell(t, COL_SINCE, f->since, e) ||
	    table_cell(t, COL_REASON, state == KERNEL_YES ? NULL : why.msg, e))
		return -1;
	return 0;
}

static void print_summary(const struct counts *n, FILE *out)
{
	struct utsname un = {0};

	uname(&un);
	fprintf(out, "\nLinux %s: %u of %u there", un.release, n->all - n->missing - n->denied,
		n->all);
	if (n->denied)
		fprintf(out, ", %u could not be tried without more privileges", n->denied);
	if (n->needed_missing)
		fprintf(out, "; %u that nsimg cannot do without %s not available\n",
			n->needed_missing, n->needed_missing == 1 ? "is" : "are");
	else
		fputs("; everything that nsimg cannot do without is available\n", out);
}

static int check_kernel_run(struct cli *c, struct err *e)
{
	auto_kernel_env struct kernel_env *env = kernel_env_new(e);
	auto_table struct table *t = env ? table_new(cols, ARRAY_SIZE(cols), e) : NULL;
	struct table_style style = cli_style(c);
	struct counts n = {0};
	const struct kernel_feature *f;
	size_t n_features;

	if (!t)
		return -1;
	f = kernel_features(&n_features);
	for (size_t i = 0; i < n_features; i++)
		if (row_add(t, env, &f[i], &n, e))
			return -1;
	if (cli_print_table(c, t, e))
		return -1;
	if (style.format == TABLE_TEXT && !style.no_header)
		print_summary(&n, cli_out(c));
	return n.needed_missing ? 1 : 0;
}

/* Not CMD_PRIVILEGED for want of capabilities, but to keep those that are there. */
const struct cmd cmd_check_kernel = {
	.name = "check-kernel",
	.synopsis = "",
	.summary = "try which features of the kernel are there, and say what is lost without them",
	.run = check_kernel_run,
	.flags = CMD_PRIVILEGED | CMD_OUTPUT,
};
