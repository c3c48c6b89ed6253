/* nsimg end: end holders. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "restorer/commands.h"
#include "restorer/instance.h"

static int end_holder(struct cli *c, const struct journal *j, const struct journal_holder *h,
		      size_t *n, struct err *e)
{
	if (!holder_is_alive(j, h))
		return 0;
	if (holder_end(j, h, e))
		return -1;
	(*n)++;
	fprintf(cli_out(c), "ended %s(%lld) of %s\n", h->comm, (long long)h->task_pid,
		journal_head(j)->name);
	return 0;
}

static int end_instance(struct cli *c, const struct journal *j, size_t *n, struct err *e)
{
	for (size_t i = 0; i < journal_n_holders(j); i++)
		if (end_holder(c, j, journal_holder(j, i), n, e))
			return -1;
	return 0;
}

/* A task by its name, in whatever instance has it. */
static int end_task(struct cli *c, const struct instances *in, const char *word, size_t *n,
		    struct err *e)
{
	const struct journal_holder *h = NULL, *found = NULL;
	const struct journal *of = NULL;

	for (size_t i = 0; i < in->n; i++) {
		struct err none = ERR_INIT;

		if (holder_find(in->all[i], word, &h, &none)) {
			if (none.code != ERR_USAGE)
				continue;
			*e = none;
			return -1;
		}
		if (found)
			return err_set(
				e, ERR_USAGE,
				"task %s is in several instances: %s, %s; give INSTANCE TASK", word,
				journal_head(of)->name, journal_head(in->all[i])->name);
		found = h;
		of = in->all[i];
	}
	if (!found)
		return err_set(e, ERR_NOTFOUND,
			       "no instance and no living task is named %s ('nsimg ps' lists them)",
			       word);
	return end_holder(c, of, found, n, e);
}

static int end_word(struct cli *c, const struct instances *in, size_t *n, struct err *e)
{
	struct err none = ERR_INIT;
	const struct journal *j = instances_find(in, cli_arg(c, 0), &none);
	const struct journal_holder *h;

	if (j && cli_n_args(c) == 1)
		return end_instance(c, j, n, e);
	if (!j && (cli_n_args(c) == 2 || none.code != ERR_NOTFOUND)) {
		*e = none;
		return -1;
	}
	if (!j)
		return end_task(c, in, cli_arg(c, 0), n, e);
	return holder_find(j, cli_arg(c, 1), &h, e) ? -1 : end_holder(c, j, h, n, e);
}

static int run_end(struct cli *c, struct err *e)
{
	const char *dir = instance_dir(c);
	auto_instances struct instances in = {0};
	size_t n = 0;

	if (cli_has(c, "all") == (cli_n_args(c) > 0))
		return err_set(e, ERR_USAGE, "give an instance, a task, or --all");
	if (instances_open(&in, dir, e))
		return -1;
	if (cli_n_args(c)) {
		if (end_word(c, &in, &n, e))
			return -1;
	}
	for (size_t i = 0; cli_has(c, "all") && i < in.n; i++)
		if (end_instance(c, in.all[i], &n, e))
			return -1;
	if (!n)
		fprintf(cli_out(c), "no holder was alive\n");
	return 0;
}

static const struct cli_opt end_options[] = {
	{"all", 0, NULL, "the holders of every instance", false},
	INSTANCE_OPT_STATE_DIR,
	{0},
};

const struct cmd cmd_end = {
	.name = "end",
	.synopsis = "[INSTANCE] [TASK]",
	.summary = "end the holders of an instance, or of one task",
	.run = run_end,
	.opts = end_options,
	.flags = CMD_PRIVILEGED | CMD_CHANGES,
	.min_args = 0,
	.max_args = 2,
};
