#include "dumper/target.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/u64map.h"
#include "dumper/diag.h"

#define CGROUP_ROOT  "/sys/fs/cgroup"
#define CGROUP_DEPTH 32

/* Where a group of /proc/PID/cgroup is: version 2 alone, beside version 1, and systemd's own of version 1. */
static const char *const cgroup_roots[] = {CGROUP_ROOT, CGROUP_ROOT "/unified",
					   CGROUP_ROOT "/systemd"};

static const char *const target_options[] = {
	[TARGET_PID] = "--pid",   [TARGET_NETNS] = "--netns", [TARGET_CGROUP] = "--cgroup",
	[TARGET_UNIT] = "--unit", [TARGET_ALL] = "--all",
};
static_assert(ARRAY_SIZE(target_options) == TARGET_KIND_COUNT, "an option per kind");

const char *target_option(enum target_kind kind)
{
	return target_options[kind];
}

static int pid_add_new(struct pid_list *out, pid_t pid, struct err *e)
{
	return pid == getpid() || pid_list_has(out, pid) ? 0 : pid_list_add(out, pid, e);
}

static int target_pid(const char *what, struct pid_list *out, struct err *e)
{
	struct proc_stat st;
	char *end;
	long pid = strtol(what, &end, 10);

	if (*end || pid <= 0)
		return err_set(e, ERR_USAGE, "--pid %s: not a process id", what);
	if (pid == getpid())
		return err_set(e, ERR_USAGE, "--pid %s: that is nsimg itself", what);
	if (proc_stat_read((pid_t)pid, &st, e))
		return err_set(e, ERR_NOTFOUND, "--pid %s: no such process", what);
	if (st.is_kernel)
		return err_set(e, ERR_USAGE, "--pid %s: a kernel thread (%s)", what, st.comm);
	if (!proc_living_thread((pid_t)pid))
		return err_set(e, ERR_NOTFOUND, "--pid %s: %s has ended (a zombie)", what, st.comm);
	return pid_add_new(out, (pid_t)pid, e);
}

/* Unless it has ended or is the kernel's own. */
static int pid_add_living(struct pid_list *out, pid_t pid, struct err *e)
{
	struct err gone = ERR_INIT;
	struct proc_stat st;

	if (proc_stat_read(pid, &st, &gone) || st.is_kernel ||
	    (st.state == 'Z' && !proc_living_thread(pid)))
		return 0;
	return pid_add_new(out, pid, e);
}

static int target_all(struct pid_list *out, struct err *e)
{
	struct pid_list all = {0};
	auto_free pid_t *ids = NULL;
	int rc = proc_list_tasks(&all, e);

	ids = all.ids;
	for (size_t i = 0; !rc && i < all.n; i++)
		rc = pid_add_living(out, ids[i], e);
	return rc;
}

/* A group below may be removed while we look (ENOENT, ENODEV), and one that is threaded has no list of processes
 * (EOPNOTSUPP, cgroup_procs_start of kernel/cgroup/cgroup.c): that of the domain above has them. */
static bool may_be_passed_over(int depth, int error)
{
	return depth && (error == ENOENT || error == ENODEV || error == EOPNOTSUPP);
}

/* cgroup.procs of a folder and of all below it. */
static int target_cgroup_walk(int dirfd, const char *path, int depth, struct pid_list *out,
			      struct err *e)
{
	auto_buf struct buf b = {0};
	auto_dir DIR *d = NULL;
	struct err why = ERR_INIT;
	struct dirent *de;
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d || io_read_file(fd, "cgroup.procs", 1u << 24, &b, &why)) {
		if (!d)
			err_sys(&why, ERR_IO, "open");
		if (may_be_passed_over(depth, why.saved_errno))
			return 0;
		*e = why;
		return err_wrap(e, "control group %s", path);
	}
	for (char *p = (char *)b.data; p && *p;) {
		char *end;
		long pid = strtol(p, &end, 10);

		if (end == p)
			break;
		if (pid > 0 && pid_add_living(out, (pid_t)pid, e))
			return -1;
		p = end;
	}
	while (depth < CGROUP_DEPTH && (de = readdir(d)))
		if (de->d_type == DT_DIR && de->d_name[0] != '.' &&
		    target_cgroup_walk(fd, de->d_name, depth + 1, out, e))
			return -1;
	return 0;
}

/* Whether the folder of root and what is a control group; its path is in out. */
static bool is_cgroup(const char *root, const char *what, char *out, size_t cap)
{
	char procs[4096];

	return snprintf(out, cap, "%s%s%s", root, *root && *what != '/' ? "/" : "", what) <
		       (int)cap &&
	       snprintf(procs, sizeof(procs), "%s/cgroup.procs", out) < (int)sizeof(procs) &&
	       !access(procs, F_OK);
}

static int target_cgroup(const char *what, struct pid_list *out, struct err *e)
{
	char path[4096];
	bool found = false;

	/* as /proc/PID/cgroup writes it ("/system.slice/x.service", "/"), or a real path */
	for (size_t i = 0; i < ARRAY_SIZE(cgroup_roots) && !found; i++)
		found = is_cgroup(cgroup_roots[i], what, path, sizeof(path));
	if (!found && !is_cgroup("", what, path, sizeof(path)))
		return err_set(
			e, ERR_NOTFOUND,
			"--cgroup %s: no such control group (neither a path nor below " CGROUP_ROOT
			")",
			what);
	return target_cgroup_walk(AT_FDCWD, path, 0, out, e);
}

/* Find the folder named unit below path; 1 found (its path is in out), 0 not. */
static int target_unit_find(const char *path, const char *unit, int depth, char *out, size_t cap)
{
	auto_dir DIR *d = opendir(path);
	struct dirent *de;

	while (d && depth < CGROUP_DEPTH && (de = readdir(d))) {
		char below[4096];

		if (de->d_type != DT_DIR || de->d_name[0] == '.')
			continue;
		if (snprintf(below, sizeof(below), "%s/%s", path, de->d_name) >= (int)sizeof(below))
			continue;
		if (!strcmp(de->d_name, unit)) {
			snprintf(out, cap, "%s", below);
			return 1;
		}
		if (target_unit_find(below, unit, depth + 1, out, cap))
			return 1;
	}
	return 0;
}

static int target_unit(const char *what, struct pid_list *out, struct err *e)
{
	char unit[256], path[4096];

	if (strchr(what, '/'))
		return err_set(e, ERR_USAGE, "--unit %s: a unit has no '/' in its name", what);
	snprintf(unit, sizeof(unit), "%s%s", what, strchr(what, '.') ? "" : ".service");
	if (!target_unit_find(CGROUP_ROOT, unit, 0, path, sizeof(path)))
		return err_set(e, ERR_NOTFOUND,
			       "--unit %s: no control group named %s below " CGROUP_ROOT, what,
			       unit);
	return target_cgroup_walk(AT_FDCWD, path, 0, out, e);
}

struct ns *target_netns(const char *what, struct err *e)
{
	char path[4096];

	if (strchr(what, '/'))
		return ns_open_path(what, e);
	snprintf(path, sizeof(path), "/run/netns/%s", what);
	return ns_open_path(path, e);
}

static int diag_ino(const struct diag_sk *sk, void *arg, struct err *e)
{
	return sk->ino ? u64map_put(arg, sk->ino, 1, e) : 0;
}

/* Inodes of the sockets of a namespace, as far as sock_diag(7) shows them. */
static int diag_inos(const struct ns *ns, struct u64map *inos, struct err *e)
{
	struct diag_shared shared = {0};
	struct diag *dg = diag_new(ns, &shared, e);
	int rc = dg ? 0 : -1;

	for (int t = 0; !rc && t < DIAG_TABLE_COUNT; t++)
		rc = diag_each(dg, (enum diag_table)t, diag_ino, inos, e);
	diag_free(dg);
	diag_shared_free(&shared);
	return rc;
}

struct holder_search {
	const struct u64map *inos;
	bool found;
};

static int holder_fd(int fd, const char *target, void *arg, struct err *e)
{
	struct holder_search *s = arg;
	uint32_t one;
	uint64_t ino;

	s->found = proc_link_ino(target, "socket", &ino) && u64map_find(s->inos, ino, &one);
	return s->found;
}

/* Whether any thread of pid is in ns, or it holds one of the sockets. */
static bool target_is_holder(pid_t pid, const struct ns *ns, const struct u64map *inos)
{
	struct holder_search search = {inos, false};
	struct pid_list threads = {0};
	struct err gone = ERR_INIT;
	auto_free pid_t *ids = NULL;
	bool in = false;

	if (proc_list_threads(pid, &threads, &gone))
		threads.n = 0;
	ids = threads.ids;
	for (size_t i = 0; i < threads.n && !in; i++) {
		auto_ns struct ns *t = ns_open_tid(pid, ids[i], &gone);

		in = t && ns_is_same(t, ns);
	}
	/* threads share one table, as a rule; that of one that has ended is empty */
	for (size_t i = 0; i < threads.n && !in; i++)
		if ((!i || syscall(SYS_kcmp, ids[i - 1], ids[i], KCMP_FILES, 0ul, 0ul)) &&
		    proc_each_fd(ids[i], holder_fd, &search, &gone) >= 0)
			in = search.found;
	return in;
}

static int target_holders(const char *what, struct pid_list *out, struct err *e)
{
	auto_ns struct ns *ns = target_netns(what, e);
	struct u64map inos = {0};
	struct pid_list all = {0};
	int rc = ns ? diag_inos(ns, &inos, e) : -1;

	if (!rc)
		rc = target_all(&all, e);
	for (size_t i = 0; !rc && i < all.n; i++)
		if (target_is_holder(all.ids[i], ns, &inos))
			rc = pid_add_new(out, all.ids[i], e);
	free(all.ids);
	u64map_free(&inos);
	return rc ? err_wrap(e, "--netns %s", what) : 0;
}

int target_tasks(const struct target *targets, size_t n, struct pid_list *out, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		const struct target *t = &targets[i];
		int rc = t->kind == TARGET_PID      ? target_pid(t->what, out, e)
			 : t->kind == TARGET_NETNS  ? target_holders(t->what, out, e)
			 : t->kind == TARGET_CGROUP ? target_cgroup(t->what, out, e)
			 : t->kind == TARGET_UNIT   ? target_unit(t->what, out, e)
						    : target_all(out, e);

		if (rc)
			return -1;
	}
	return 0;
}
