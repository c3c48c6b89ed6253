/* cmd_verify.c: `nsimg verify`: what exists of a restored instance, against the database it came from.
 *
 * live -> raw images -> database in memory -> the same comparison as `nsimg diff`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "commands.h"
#include "dumper/dumper.h"
#include "imgdb/kernel_routes.h"
#include "inspect/diff.h"
#include "live.h"
#include "restorer/ifindex.h"
#include "restorer/instance.h"

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

/* In the pins of a namespace of now: made becomes was; without made, was is added. */
static int replace_pin(struct db *now, uint64_t ino, const char *made, const char *was,
		       struct err *e)
{
	auto_query struct query *q = query_new(
		now,
		made ? "UPDATE netns SET pins = (SELECT json_group_array(CASE value WHEN :made "
		       "THEN :was ELSE value END) FROM json_each(pins)) WHERE ino = :ino"
		     : "UPDATE netns SET pins = json_insert(pins, '$[#]', :was) WHERE ino = :ino",
		e);
	auto_buf struct buf text = {0};

	if (!q || (made && (escape_add(&text, made, strlen(made), e) ||
			    query_bind_text(q, "made", (const char *)text.data, e))))
		return -1;
	return query_bind_text(q, "was", was, e) || query_bind_int(q, "ino", (int64_t)ino, e) ||
			       query_next(q, e) < 0
		       ? -1
		       : 0;
}

static const struct journal_netns *netns_of_row(const struct journal *j, const char *row)
{
	for (size_t i = 0; row && i < journal_n_netns(j); i++)
		if (journal_netns(j, i)->row == strtoll(row, NULL, 10))
			return journal_netns(j, i);
	return NULL;
}

/* Did the restore make a pin for this one of the image? */
static bool has_made(const struct journal *j, const char *was)
{
	for (size_t i = 0; i < journal_n_entries(j); i++) {
		const char *made = journal_value(journal_entry(j, i), "was");

		if (made && !strcmp(made, was))
			return true;
	}
	return false;
}

/* A pin that this restore made stands for the one of the image, also when --prefix, --pin-dir or a name that was
 * taken made it another path; those in other folders it named as left out. */
static int translate_pins(const struct journal *j, struct db *then, struct db *now, struct err *e)
{
	static const char elsewhere[] = "SELECT value FROM netns, json_each(pins) WHERE netns.id = "
					":row AND NOT (value GLOB "
					"'/run/netns/*' OR value GLOB '/var/run/netns/*')";

	for (size_t i = 0; i < journal_n_entries(j); i++) {
		const struct journal_entry *je = journal_entry(j, i);
		const struct journal_netns *n = netns_of_row(j, journal_value(je, "row"));

		if (n && journal_value(je, "was") &&
		    replace_pin(now, n->ino, journal_value(je, "path"), journal_value(je, "was"),
				e))
			return -1;
	}
	for (size_t i = 0; i < journal_n_netns(j); i++) {
		auto_query struct query *q = query_new(then, elsewhere, e);
		int rc;

		if (!q || query_bind_int(q, "row", journal_netns(j, i)->row, e))
			return -1;
		while ((rc = query_next(q, e)) == 1)
			if (!has_made(j, query_text(q, 0)) &&
			    replace_pin(now, journal_netns(j, i)->ino, NULL, query_text(q, 0), e))
				return -1;
		if (rc < 0)
			return -1;
	}
	return 0;
}

/* Paths of unix sockets that --root put below its folder. */
static int translate_root(const struct journal *j, struct db *now, struct err *e)
{
	const char *root = NULL;
	auto_query struct query *q = NULL;
	auto_buf struct buf text = {0};

	for (size_t i = 0; i < journal_n_entries(j) && !root; i++)
		root = journal_value(journal_entry(j, i), "root");
	if (!root)
		return 0;
	q = query_new(now,
		      "UPDATE unix_socket SET "
		      "name_dir = iif(substr(name_dir, 1, length(:root)) = :root, "
		      "coalesce(nullif(substr(name_dir, length(:root) + 1), ''), '/'), name_dir), "
		      "bound_path = iif(substr(bound_path, 1, length(:root)) = :root, "
		      "nullif(substr(bound_path, length(:root) + 1), name), bound_path)",
		      e);
	return !q || escape_add(&text, root, strlen(root), e) ||
			       query_bind_text(q, "root", (const char *)text.data, e) ||
			       query_next(q, e) < 0
		       ? -1
		       : 0;
}

/* The database as it was restored: where a device had to take another index, or the kernel's routes are of an address
 * that was edited, a copy with that. */
static struct db *open_then(const struct journal *j, const char *path, bool *is_edited,
			    struct err *e)
{
	auto_free struct reindex *changed = NULL;
	auto_db struct db *db = db_open(path, DB_READ, e);
	auto_db struct db *copy = NULL;
	size_t n = 0;
	int edited;

	if (!db || ifindex_recall(j, &changed, &n, e))
		return NULL;
	edited = kernel_routes_are_touched(db, e);
	if (edited < 0)
		return NULL;
	if (!n && !edited)
		return take_ptr(db);
	copy = db_copy(db, e);
	if (!copy || (n && reindex(copy, changed, n, e)) ||
	    (edited && kernel_routes_follow(copy, e)))
		return NULL;
	*is_edited = edited;
	return take_ptr(copy);
}

/* Where the restore left the routes of the kernel to the kernel, there is nothing to compare them with. */
static int forget_kernel_routes(const struct journal *j, struct db *then, struct db *now,
				struct err *e)
{
	static const int families[] = {AF_INET, AF_INET6};

	for (size_t i = 0; i < 2 * journal_n_netns(j); i++) {
		const struct journal_netns *n = journal_netns(j, i / 2);
		int family = families[i % 2];
		int64_t row =
			lookup(now, "SELECT id FROM netns WHERE ino = :key", (int64_t)n->ino, e);
		int left = kernel_routes_are_left(then, n->row, family, e);

		if (left < 0 || (left && (kernel_routes_forget(then, n->row, family, e) ||
					  kernel_routes_forget(now, row, family, e))))
			return -1;
	}
	return 0;
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
	bool is_edited = false;
	auto_db struct db *then = now ? open_then(j, path, &is_edited, e) : NULL;
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
	if (translate_pins(j, then, now, e) || translate_root(j, now, e) ||
	    (is_edited && forget_kernel_routes(j, then, now, e)))
		return -1;
	opts.netns = pairs;
	opts.n_netns = pair_netns(j, then, now, pairs, e);
	d = diff_new(&(struct diff_side){then, journal_head(j)->image},
		     &(struct diff_side){now, image}, &opts, e);
	if (!d || diff_print(d, c, e))
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
	auto_journal struct journal *j = instance_open(instance_dir(c), cli_arg(c, 0), e);
	struct live_targets t = {0};
	int rc;

	if (!j)
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
	INSTANCE_OPT_STATE_DIR,
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
	.caps = LIVE_CAPS,
	.max_args = 1,
};
