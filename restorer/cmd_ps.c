/* nsimg ps: instances and their holders. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/ns.h"
#include "base/table.h"
#include "restorer/commands.h"
#include "restorer/instance.h"

enum {
	COL_INSTANCE,
	COL_TASK,
	COL_COMM,
	COL_PID,
	COL_NETNS,
	COL_SOCKETS,
	COL_STATE,
	COL_DB,
	COL_AT
};

static const struct table_col columns[] = {
	[COL_INSTANCE] = {"instance", TABLE_STR, 0},
	[COL_TASK] = {"task", TABLE_INT, TABLE_RIGHT},
	[COL_COMM] = {"comm", TABLE_STR, 0},
	[COL_PID] = {"pid", TABLE_INT, TABLE_RIGHT},
	[COL_NETNS] = {"netns", TABLE_STR, 0},
	[COL_SOCKETS] = {"sockets", TABLE_INT, TABLE_RIGHT},
	[COL_STATE] = {"state", TABLE_STR, 0},
	[COL_DB] = {"database", TABLE_STR, TABLE_HIDDEN},
	[COL_AT] = {"restored", TABLE_STR, TABLE_HIDDEN},
};

/* Its sockets, each counted once though it may have several numbers; -1: not ours to see. */
static int64_t count_sockets(pid_t pid)
{
	char path[64], target[64], seen[1024][24];
	int64_t n = 0;
	auto_dir DIR *d = NULL;
	struct dirent *de;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	while (d && (de = readdir(d))) {
		ssize_t len = readlinkat(dirfd(d), de->d_name, target, sizeof(target) - 1);
		bool again = false;

		if (len <= 0)
			continue;
		target[len] = 0;
		if (strncmp(target, "socket:[", 8) != 0)
			continue;
		for (int64_t i = 0; i < n && i < (int64_t)ARRAY_SIZE(seen) && !again; i++)
			again = !strcmp(seen[i], target + 8);
		if (again)
			continue;
		if (n < (int64_t)ARRAY_SIZE(seen))
			snprintf(seen[n], sizeof(seen[n]), "%.23s", target + 8);
		n++;
	}
	return d ? n : -1;
}

/* The name of the namespace it is in, as far as it was made with it; else its inode. */
static int netns_cell(struct table *t, const struct journal *j, pid_t pid, struct err *e)
{
	struct err unseen = ERR_INIT;
	auto_ns struct ns *ns = ns_open_pid(pid, &unseen), *own = NULL;

	if (!ns)
		return 0;
	for (size_t i = 0; i < journal_n_netns(j); i++)
		if (journal_is_netns(journal_netns(j, i), ns))
			return table_cell(t, COL_NETNS, journal_netns(j, i)->name, e);
	own = ns_open_self(&unseen);
	if (own && ns_is_same(own, ns))
		return table_cell(t, COL_NETNS, "(this one)", e);
	return table_cellf(t, COL_NETNS, e, "net:[%llu]", (unsigned long long)ns_ino(ns));
}

static int add_instance(struct table *t, const struct journal *j, const char *state, struct err *e)
{
	return table_row(t, e) || table_cell(t, COL_INSTANCE, journal_head(j)->name, e) ||
			       table_cell(t, COL_STATE, state, e) ||
			       table_cell(t, COL_DB, journal_head(j)->db_path, e) ||
			       table_cell(t, COL_AT, journal_head(j)->at, e)
		       ? -1
		       : 0;
}

static int add_holder(struct table *t, const struct journal *j, const struct journal_holder *h,
		      struct err *e)
{
	bool alive = holder_is_alive(j, h);
	int64_t n;

	if (add_instance(t, j, alive ? "alive" : "ended", e) ||
	    table_cell_int(t, COL_TASK, h->task_pid, e) || table_cell(t, COL_COMM, h->comm, e))
		return -1;
	if (!alive)
		return 0;
	n = count_sockets(h->pid);
	if (table_cell_int(t, COL_PID, h->pid, e) ||
	    (n >= 0 && table_cell_int(t, COL_SOCKETS, n, e)))
		return -1;
	return netns_cell(t, j, h->pid, e);
}

/* What to say of an instance as a whole. */
static const char *instance_state(const struct journal *j)
{
	if (journal_is_other_boot(j))
		return "before the last boot";
	if (journal_is_committed(j))
		return "no holders";
	return process_is_alive(journal_head(j)->pid, journal_head(j)->start) ? "being restored"
									      : "broken off";
}

static int run_ps(struct cli *c, struct err *e)
{
	const char *dir = instance_dir(c);
	auto_instances struct instances in = {0};
	auto_table struct table *t = table_new(columns, ARRAY_SIZE(columns), e);

	if (!t || instances_open(&in, dir, e))
		return -1;
	for (size_t i = 0; i < in.n; i++) {
		const struct journal *j = in.all[i];
		size_t n = journal_n_holders(j);

		if ((!n || !journal_is_committed(j)) && add_instance(t, j, instance_state(j), e))
			return -1;
		for (size_t k = 0; k < n; k++)
			if (add_holder(t, j, journal_holder(j, k), e))
				return -1;
	}
	return cli_print_table(c, t, e);
}

static const struct cli_opt ps_options[] = {
	INSTANCE_OPT_STATE_DIR,
	{0},
};

const struct cmd cmd_ps = {
	.name = "ps",
	.synopsis = "",
	.summary = "list what is restored: instances, their holders, namespaces and sockets",
	.run = run_ps,
	.opts = ps_options,
	.flags = CMD_OUTPUT | CMD_PRIVILEGED,
};
