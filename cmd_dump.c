/* cmd_dump.c: `nsimg dump`: a live tree into an image folder, or at once into a database. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/progress.h"
#include "base/stop.h"
#include "commands.h"
#include "criu_dump.h"
#include "dumper/dumper.h"
#include "imgdb/db.h"
#include "live.h"

static const struct {
	const char *opt;
	enum target_kind kind;
} target_opts[] = {
	{"pid", TARGET_PID},
	{"netns", TARGET_NETNS},
	{"cgroup", TARGET_CGROUP},
	{"unit", TARGET_UNIT},
};

static int target_add(struct target **targets, size_t *n, struct target t, struct err *e)
{
	struct target *grown = *targets;

	if (!(*n & (*n - 1))) {
		grown = realloc(*targets, (*n ? *n * 2 : 1) * sizeof(*grown));
		if (!grown)
			return err_set(e, ERR_NOMEM, "%zu targets", *n);
		*targets = grown;
	}
	grown[(*n)++] = t;
	return 0;
}

/* Targets from the options, and the words for the image. *targets is the caller's to free, also on failure. */
static int targets_read(const struct cli *c, struct target **targets, size_t *n, struct buf *words,
			struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(target_opts); i++) {
		const char *what;
		unsigned at = 0;

		while ((what = cli_next_value(c, target_opts[i].opt, &at))) {
			if (target_add(targets, n, (struct target){target_opts[i].kind, what}, e) ||
			    buf_printf(words, e, "%s%s %s", words->len ? " " : "",
				       target_option(target_opts[i].kind), what))
				return -1;
		}
	}
	if (cli_has(c, "all")) {
		if (target_add(targets, n, (struct target){TARGET_ALL, ""}, e))
			return -1;
		return buf_printf(words, e, "%s--all", words->len ? " " : "");
	}
	if (!*n)
		return err_set(
			e, ERR_USAGE,
			"what shall be dumped? Give --pid, --netns, --cgroup, --unit or --all");
	return 0;
}

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

/* For programs: a row for what was written, and one for each thing that is not in it (or was refused). */
static const struct table_col cols[] = {
	{"kind", TABLE_STR, 0}, /* image, not kept, refused, unguarded */
	{"object", TABLE_STR, 0},
	{"reason", TABLE_STR, 0},
	{"tasks", TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	{"namespaces", TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	{"external", TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	{"sockets", TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	{"frozen_us", TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
};

static int add_image(struct table *t, const struct dumper_report *r, const char *out, struct err *e)
{
	const size_t numbers[] = {r->n_tasks, r->n_netns, r->n_external, r->n_sockets,
				  r->frozen_us};

	if (table_row(t, e) || table_cell(t, 0, "image", e) || table_cell(t, 1, out, e))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (table_cell_int(t, 3 + i, (int64_t)numbers[i], e))
			return -1;
	return 0;
}

static int report_rows(const struct dumper_report *r, const char *out, const char *what,
		       const struct cli *c, struct err *e)
{
	auto_table struct table *t = table_new(cols, ARRAY_SIZE(cols), e);

	if (!t || (out && add_image(t, r, out, e)))
		return -1;
	if (r->unguarded.code &&
	    (table_row(t, e) || table_cell(t, 0, "unguarded", e) || table_cell(t, 1, "tasks", e) ||
	     table_cell(t, 2, r->unguarded.msg, e)))
		return -1;
	for (size_t i = 0; i < r->n_losses; i++)
		if (table_row(t, e) || table_cell(t, 0, what, e) ||
		    table_cell(t, 1, r->losses[i].object, e) ||
		    table_cell(t, 2, r->losses[i].reason, e))
			return -1;
	return cli_print_table(c, t, e);
}

/* What was lost (or refused), for people: names of tasks and sockets come from the tasks and are shown escaped. */
static int report_losses(const struct dumper_report *r, const char *what, const struct cli *c,
			 struct err *e)
{
	const struct table_col two[] = {{what, TABLE_STR, 0}, {"reason", TABLE_STR, 0}};
	auto_table struct table *t = table_new(two, ARRAY_SIZE(two), e);

	if (!t)
		return -1;
	for (size_t i = 0; i < r->n_losses; i++)
		if (table_row(t, e) || table_cell(t, 0, r->losses[i].object, e) ||
		    table_cell(t, 1, r->losses[i].reason, e))
			return -1;
	return cli_print_table(c, t, e);
}

/* What CRIU would refuse, before the error that says so. */
static void report_refused(const struct dumper_report *r, const struct cli *c)
{
	struct err ignored = ERR_INIT;

	if (cli_wants_rows(c))
		report_rows(r, NULL, "refused", c, &ignored);
	else
		report_losses(r, "refused", c, &ignored);
}

static int report_text(const struct dumper_report *r, const char *out, const struct cli *c,
		       struct err *e)
{
	FILE *f = cli_out(c);

	fprintf(f, "%s: %zu task%s, %zu network namespace%s, %zu socket%s\n", out, r->n_tasks,
		plural(r->n_tasks), r->n_netns, plural(r->n_netns), r->n_sockets,
		plural(r->n_sockets));
	if (r->n_external)
		fprintf(f,
			"%zu namespace%s only referred to (external): give %s at restore time with "
			"--netns\n",
			r->n_external, plural(r->n_external), r->n_external == 1 ? "it" : "them");
	if (r->n_tasks)
		fprintf(f, "tasks stood still for %.1f ms\n", (double)r->frozen_us / 1000);
	if (r->unguarded.code)
		fprintf(f, "the tasks were not guarded against a SIGKILL of CRIU: %s\n",
			r->unguarded.msg);
	return r->n_losses ? report_losses(r, "not kept", c, e) : 0;
}

static int dump_to_db(const struct dumper_request *rq, const char *path, struct dumper_report *r,
		      struct err *e)
{
	const char *slash = strrchr(path, '/');
	char parent[4096];
	bool is_new = access(path, F_OK) && errno == ENOENT;
	struct db *db;
	int64_t image;
	int rc;

	if (slash - path >= (ptrdiff_t)sizeof(parent))
		return err_set(e, ERR_USAGE, "-o: path too long");
	snprintf(parent, sizeof(parent), "%.*s", slash ? (int)(slash - path) + 1 : 1,
		 slash ? path : ".");
	db = db_open(path, DB_CREATE, e);
	rc = db ? live_to_db(rq, parent, db, &image, r, e) : -1;
	db_free(db);
	/* the images on the way to it have names too, but this is the one that the user knows */
	if (rc && !strstr(e->msg, path))
		err_wrap(e, "%s", path);
	/* a database that was made for nothing is not left behind */
	if (rc && is_new)
		unlink(path);
	return rc;
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n > m && !strcmp(s + n - m, end);
}

/* Words that only make sense together. Those after "--" are CRIU's. */
static int criu_opts(const struct cli *c, const struct dumper_request *rq, const char *out,
		     struct criu_dump_opts *o, struct err *e)
{
	unsigned first = cli_after_dashes(c);

	if (first)
		return err_set(e, ERR_USAGE, "%s: a word too many (words for CRIU follow --)",
			       cli_arg(c, 0));
	*o = (struct criu_dump_opts){.program = cli_value(c, "criu-program"),
				     .leave_running = cli_has(c, "leave-running"),
				     .words = cli_args(c),
				     .n_words = cli_n_args(c)};
	if (!cli_has(c, "criu"))
		return o->n_words || o->program || o->leave_running
			       ? err_set(e, ERR_USAGE, "%s is for CRIU: give --criu",
					 o->n_words   ? "what follows --"
					 : o->program ? "--criu-program"
						      : "--leave-running")
			       : 0;
	if (rq->n_targets != 1 || rq->targets[0].kind != TARGET_PID)
		return err_set(e, ERR_USAGE,
			       "--criu dumps one process and everything below it: give one --pid");
	if (ends_with(out, ".db"))
		return err_set(e, ERR_USAGE,
			       "--criu writes a folder, because the memory of processes is not "
			       "kept in a database: give -o DIR, and import that");
	return 0;
}

static int repair(const struct cli *c, struct err *e)
{
	unsigned at = 0;
	const char *pid = cli_next_value(c, "pid", &at);
	int64_t root;
	size_t n;

	if (!cli_has(c, "criu") || !pid || cli_next_value(c, "pid", &at))
		return err_set(e, ERR_USAGE, "--repair goes with --criu and one --pid");
	if (cli_parse_number(pid, 1, INT32_MAX, &root, "--pid", e) ||
	    criu_dump_repair((pid_t)root, &n, e))
		return -1;
	fprintf(cli_out(c), "%zu network namespace%s unlocked\n", n, plural(n));
	return 0;
}

static int run(struct cli *c, struct err *e)
{
	auto_free struct target *targets = NULL;
	auto_progress struct progress progress = {0};
	struct dumper_request rq = {0};
	struct criu_dump_opts criu;
	struct dumper_report report = {0};
	auto_buf struct buf words = {0};
	const char *out = cli_value(c, "output");
	int rc;

	if (cli_has(c, "repair"))
		return repair(c, e);
	if (!out)
		return err_set(e, ERR_USAGE, "where to? Give -o DIR, or -o FILE.db");
	if (targets_read(c, &targets, &rq.n_targets, &words, e))
		return -1;
	rq.targets = targets;
	rq.words = (const char *)words.data;
	rq.opts = (struct dump_opts){.no_secrets = cli_has(c, "no-secrets"),
				     .strict = cli_has(c, "strict"),
				     .all_fds = cli_has(c, "all")};
	if (criu_opts(c, &rq, out, &criu, e))
		return -1;
	/* CRIU has lines of its own */
	if (!cli_has(c, "criu")) {
		stop_begin();
		progress_begin(&progress, true);
		rq.opts.progress = &progress;
	}
	rc = cli_has(c, "criu")      ? criu_dump_to_dir(&rq, &criu, out, &report, e)
	     : ends_with(out, ".db") ? dump_to_db(&rq, out, &report, e)
				     : live_to_dir(&rq, out, &report, e);
	progress_end(&progress);
	if (!rc)
		rc = cli_wants_rows(c) ? report_rows(&report, out, "not kept", c, e)
				       : report_text(&report, out, c, e);
	else if (e->code == ERR_CONFLICT && report.n_losses)
		report_refused(&report, c);
	dumper_report_free(&report);
	return rc;
}

static const struct cli_opt opts[] = {
	{"pid", 'p', "PID", "the process and everything below it", true},
	{"netns", 'n', "NAME|PATH", "a network namespace, its tasks and the holders of its sockets",
	 true},
	{"cgroup", 'c', "PATH", "the tasks of a control group and those below it", true},
	{"unit", 'u', "UNIT", "the tasks of a systemd unit", true},
	{"all", 'a', NULL, "every task and namespace of this machine", false},
	{"output", 'o', "DIR|FILE.db", "where to write: a new folder, or a database to import into",
	 false},
	{"criu", 0, NULL, "have CRIU dump the processes at the same moment; words after -- are its",
	 false},
	{"leave-running", 'R', NULL, "with --criu: the tasks run on after it", false},
	{"criu-program", 0, "PATH", "with --criu: where CRIU is", false},
	{"repair", 0, NULL,
	 "with --criu: dump nothing, take back what a killed dump left in the tree", false},
	{"strict", 0, NULL, "fail when something cannot be kept", false},
	{"no-secrets", 0, NULL, "leave out keys and queued data", false},
	{0},
};

const struct cmd cmd_dump = {
	.name = "dump",
	.synopsis = "--pid PID | --netns NAME | --cgroup PATH | --unit UNIT | --all  -o "
		    "DIR|FILE.db [--criu] [-- OPTION...]",
	.summary = "write the network state of running tasks as images",
	.run = run,
	.opts = opts,
	.flags = CMD_PRIVILEGED | CMD_OUTPUT | CMD_CHANGES,
	.caps = LIVE_CAPS,
	.max_args = CLI_ANY_ARGS,
};
