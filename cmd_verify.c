/* cmd_verify.c: `nsimg verify`: what exists of a restored instance, against the database it came from.
 *
 * live -> raw images -> database in memory -> the same comparison as `nsimg diff`. */
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/caps.h"
#include "base/cleanup.h"
#include "commands.h"
#include "dumper/dumper.h"
#include "inspect/diff.h"
#include "live.h"
#include "restorer/journal.h"

/* The instance that is meant: the one named, or the only one there is. */
static int instance_open(const char *dir, const char *name, struct journal **out, struct err *e)
{
	char **names = NULL;
	size_t n = 0;

	if (name) {
		*out = journal_open(dir, name, e);
		return *out ? 0 : -1;
	}
	if (journal_list(dir, &names, e))
		return -1;
	while (names[n])
		n++;
	if (n == 1)
		*out = journal_open(dir, names[0], e);
	else if (!n)
		err_set(e, ERR_NOTFOUND, "nothing is restored here (no journal in %s)", dir);
	else
		err_set(e, ERR_USAGE,
			"several instances are restored: name one (nsimg ps lists them)");
	journal_list_free(names);
	return *out ? 0 : -1;
}

/* The holders that live, and the pinned namespaces, as targets of a dump. */
struct live_targets {
	struct target *targets;
	char (*pids)[16];
	size_t n;
	struct diff_pair *tasks;
	size_t n_tasks;
};

static void live_targets_free(struct live_targets *t)
{
	free(t->targets);
	free(t->pids);
	free(t->tasks);
}

static int live_targets_read(const struct journal *j, struct live_targets *t, struct err *e)
{
	size_t n_holders = journal_n_holders(j), n_netns = journal_n_netns(j);

	t->targets = calloc(n_holders + n_netns + 1, sizeof(*t->targets));
	t->pids = calloc(n_holders + 1, sizeof(*t->pids));
	t->tasks = calloc(n_holders + 1, sizeof(*t->tasks));
	if (!t->targets || !t->pids || !t->tasks)
		return err_set(e, ERR_NOMEM, "list of targets");
	for (size_t i = 0; i < n_holders; i++) {
		const struct journal_holder *h = journal_holder(j, i);

		if (!process_is_alive(h->pid, h->start))
			continue;
		snprintf(t->pids[i], sizeof(t->pids[i]), "%d", (int)h->pid);
		t->targets[t->n++] = (struct target){TARGET_PID, t->pids[i]};
		t->tasks[t->n_tasks++] = (struct diff_pair){h->task_pid, h->pid};
	}
	for (size_t i = 0; i < n_netns; i++) {
		const struct journal_netns *n = journal_netns(j, i);

		if (*n->path)
			t->targets[t->n++] = (struct target){TARGET_NETNS, n->path};
	}
	return 0;
}

/* One number out of one row, or 0 when there is none. */
static int64_t lookup(struct db *db, const char *sql, int64_t key, struct err *e)
{
	auto_query struct query *q = query_new(db, sql, e);

	if (!q || query_bind_int(q, "key", key, e) || query_next(q, e) != 1)
		return 0;
	return query_int(q, 0);
}

/* Namespaces that belong together: the journal has the inode of what was made for a row. */
static size_t pair_netns(const struct journal *j, struct db *a, struct db *b,
			 struct diff_pair *pairs, struct err *e)
{
	size_t n = 0;

	for (size_t i = 0; i < journal_n_netns(j); i++) {
		const struct journal_netns *ns = journal_netns(j, i);
		int64_t id_a = lookup(a, "SELECT ns_id FROM netns WHERE id = :key", ns->row, e);
		int64_t id_b =
			lookup(b, "SELECT ns_id FROM netns WHERE ino = :key", (int64_t)ns->ino, e);

		if (id_a && id_b)
			pairs[n++] = (struct diff_pair){id_a, id_b};
	}
	return n;
}

static int verify(struct cli *c, const struct journal *j, struct live_targets *t, struct err *e)
{
	const char *path = cli_value(c, "db") ? cli_value(c, "db") : journal_head(j)->db_path;
	const struct dumper_request rq = {
		.targets = t->targets, .n_targets = t->n, .words = "verify"};
	struct diff_opts opts = {.restored = true,
				 .any_ifindex = cli_has(c, "any-ifindex"),
				 .tasks = t->tasks,
				 .n_tasks = t->n_tasks};
	auto_free struct diff_pair *pairs = calloc(journal_n_netns(j) + 1, sizeof(*pairs));
	auto_db struct db *now = db_open(NULL, DB_MEMORY, e);
	auto_db struct db *then = now ? db_open(path, DB_READ, e) : NULL;
	auto_diff struct diff *d = NULL;
	struct dumper_report report = {0};
	struct table_style style = cli_style(c);
	int64_t image;
	size_t n;

	if (!pairs)
		return err_set(e, ERR_NOMEM, "list of namespaces");
	if (!then || live_to_db(&rq, NULL, now, &image, &report, e))
		return -1;
	dumper_report_free(&report);
	opts.netns = pairs;
	opts.n_netns = pair_netns(j, then, now, pairs, e);
	d = diff_new(&(struct diff_side){then, journal_head(j)->image},
		     &(struct diff_side){now, image}, &opts, e);
	if (!d || diff_print(d, &style, cli_out(c), e))
		return -1;
	n = diff_count(d);
	if (style.format == TABLE_TEXT)
		fprintf(cli_out(c),
			"%s: %zu difference%s from %s (%zu namespaces, %zu tasks looked at)\n",
			journal_head(j)->name, n, n == 1 ? "" : "s", path, opts.n_netns,
			t->n_tasks);
	return n > 0;
}

static int run(struct cli *c, struct err *e)
{
	const char *dir = cli_value(c, "state-dir") ? cli_value(c, "state-dir") : JOURNAL_DIR;
	auto_journal struct journal *j = NULL;
	struct live_targets t = {0};
	int rc;

	if (instance_open(dir, cli_arg(c, 0), &j, e))
		return -1;
	if (journal_is_other_boot(j))
		return err_set(e, ERR_GONE,
			       "%s was restored before this machine was started again: nothing of "
			       "it exists",
			       journal_head(j)->name);
	rc = live_targets_read(j, &t, e) ? -1 : verify(c, j, &t, e);
	live_targets_free(&t);
	return rc;
}

static const struct cli_opt opts[] = {
	{"state-dir", 0, "DIR", "where the journals are (default " JOURNAL_DIR ")", false},
	{"db", 0, "DB", "the database, when it is not where it was at the restore", false},
	{"any-ifindex", 0, NULL, "interface indexes may differ", false},
	{0},
};

const struct cmd cmd_verify = {
	.name = "verify",
	.synopsis = "[INSTANCE]",
	.summary = "compare what exists of a restore with the database",
	.run = run,
	.opts = opts,
	.flags = CMD_PRIVILEGED | CMD_OUTPUT,
	.caps = CAPS_BIT(CAP_SYS_PTRACE) | CAPS_BIT(CAP_NET_ADMIN) | CAPS_BIT(CAP_SYS_ADMIN) |
		CAPS_BIT(CAP_NET_RAW) | CAPS_BIT(CAP_DAC_READ_SEARCH) | CAPS_BIT(CAP_DAC_OVERRIDE),
	.max_args = 1,
};
