#include "dumper/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"

#define PF_KTHREAD 0x00200000u /* include/linux/sched.h; field 9 of stat */
#define PROC_MAX   (1u << 16)

int pid_list_add(struct pid_list *l, pid_t id, struct err *e)
{
	pid_t *ids = l->ids;

	if (!(l->n & (l->n - 1)) || !l->n) {
		ids = realloc(l->ids, (l->n ? l->n * 2 : 8) * sizeof(*ids));
		if (!ids)
			return err_set(e, ERR_NOMEM, "list of processes");
		l->ids = ids;
	}
	ids[l->n++] = id;
	return 0;
}

bool pid_list_has(const struct pid_list *l, pid_t id)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->ids[i] == id)
			return true;
	return false;
}

/* A small /proc file of a task; a vanished task is ERR_GONE. */
static int proc_read(pid_t pid, const char *path, struct buf *out, struct err *e)
{
	if (!io_read_file(AT_FDCWD, path, PROC_MAX, out, e))
		return 0;
	if (e->code == ERR_NOTFOUND || e->saved_errno == ESRCH)
		return err_set(e, ERR_GONE, "process %d has ended", (int)pid);
	return -1;
}

int proc_stat_read(pid_t pid, struct proc_stat *out, struct err *e)
{
	auto_buf struct buf b = {0};
	char path[64], *open, *close;
	int ppid, pgid, sid;
	size_t n;

	*out = (struct proc_stat){0};
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (proc_read(pid, path, &b, e))
		return -1;
	/* comm may hold spaces and parentheses: it ends at the last one */
	open = b.data ? strchr((char *)b.data, '(') : NULL;
	close = open ? strrchr(open, ')') : NULL;
	if (!close || sscanf(close + 1, " %c %d %d %d %*d %*d %" SCNu32, &out->state, &ppid, &pgid,
			     &sid, &out->flags) != 5)
		return err_set(e, ERR_FORMAT, "%s: not as proc(5) says", path);
	n = (size_t)(close - open - 1);
	if (n >= sizeof(out->comm))
		n = sizeof(out->comm) - 1;
	memcpy(out->comm, open + 1, n);
	out->ppid = ppid;
	out->pgid = pgid;
	out->sid = sid;
	out->is_kernel = out->flags & PF_KTHREAD;
	/* field 22 is starttime, field 52 exit_code; field 3 is the state */
	for (int field = 3; (close = strchr(close + 1, ' ')); field++) {
		if (field == 22)
			out->start_time = strtoull(close, NULL, 10);
		else if (field == 52)
			out->exit_code = (uint32_t)strtoul(close, NULL, 10);
	}
	return 0;
}

pid_t proc_inner_pid(pid_t pid)
{
	auto_buf struct buf b = {0};
	struct err gone = ERR_INIT;
	char path[96], *p, *end;
	pid_t inner = pid;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if (proc_read(pid, path, &b, &gone))
		return 0;
	p = strstr((char *)b.data, "\nNSpid:");
	for (p = p ? p + 7 : NULL; p && *p != '\n'; p = end) {
		long v = strtol(p, &end, 10);

		if (end == p)
			break;
		inner = (pid_t)v;
	}
	return inner;
}

int proc_status_read(pid_t pid, pid_t tid, uint64_t *sig_blocked, pid_t *tracer, struct err *e)
{
	auto_buf struct buf b = {0};
	char path[96];
	const char *p;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", (int)pid, (int)tid);
	if (proc_read(pid, path, &b, e))
		return -1;
	p = strstr((char *)b.data, "\nSigBlk:");
	*sig_blocked = p ? strtoull(p + 8, NULL, 16) : 0;
	p = strstr((char *)b.data, "\nTracerPid:");
	*tracer = p ? (pid_t)strtol(p + 11, NULL, 10) : 0;
	return 0;
}

static int pid_cmp(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return (x > y) - (x < y);
}

static int proc_list(const char *path, struct pid_list *out, struct err *e)
{
	auto_dir DIR *d = opendir(path);
	size_t first = out->n;
	struct dirent *de;

	if (!d)
		return err_sys(e, errno == ENOENT ? ERR_GONE : ERR_IO, "open %s", path);
	while ((de = readdir(d))) {
		char *end;
		long id = strtol(de->d_name, &end, 10);

		if (*end == '\0' && id > 0 && pid_list_add(out, (pid_t)id, e))
			return -1;
	}
	if (out->n > first)
		qsort(out->ids + first, out->n - first, sizeof(*out->ids), pid_cmp);
	return 0;
}

int proc_list_tasks(struct pid_list *out, struct err *e)
{
	return proc_list("/proc", out, e);
}

int proc_list_threads(pid_t pid, struct pid_list *out, struct err *e)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	return proc_list(path, out, e);
}

int proc_comm_read(pid_t pid, pid_t tid, char comm[16], struct err *e)
{
	auto_buf struct buf b = {0};
	char path[96];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/comm", (int)pid, (int)tid);
	if (proc_read(pid, path, &b, e))
		return -1;
	while (b.len && b.data[b.len - 1] == '\n')
		b.len--;
	if (b.len > 15)
		b.len = 15;
	memset(comm, 0, 16);
	memcpy(comm, b.data, b.len);
	return 0;
}

int proc_each_fd(pid_t pid, proc_fd_fn *fn, void *arg, struct err *e)
{
	char path[64], target[4096];
	auto_dir DIR *d = NULL;
	struct dirent *de;
	int rc;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	if (!d)
		return err_sys(e, errno == ENOENT ? ERR_GONE : ERR_IO, "descriptors of process %d",
			       (int)pid);
	while ((de = readdir(d))) {
		ssize_t n;

		if (de->d_name[0] == '.')
			continue;
		n = readlinkat(dirfd(d), de->d_name, target, sizeof(target) - 1);
		if (n < 0) /* closed meanwhile: only tasks that are not frozen do that */
			continue;
		target[n] = '\0';
		rc = fn(atoi(de->d_name), target, arg, e);
		if (rc)
			return rc;
	}
	return 0;
}

int proc_fd_word(pid_t pid, int fd, const char *key, char word[32], struct err *e)
{
	auto_buf struct buf b = {0};
	char path[96];
	const char *p;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", (int)pid, fd);
	if (proc_read(pid, path, &b, e))
		return -1;
	p = strstr((char *)b.data, key);
	if (!p || sscanf(p + strlen(key), "%31s", word) != 1)
		return err_set(e, ERR_FORMAT, "%s has no line %s", path, key);
	return 0;
}

int proc_fd_flags(pid_t pid, int fd, uint32_t *flags, struct err *e)
{
	char word[32];

	if (proc_fd_word(pid, fd, "flags:", word, e))
		return -1;
	*flags = (uint32_t)strtoul(word, NULL, 8);
	return 0;
}

bool proc_link_ino(const char *target, const char *prefix, uint64_t *ino)
{
	size_t n = strlen(prefix);
	char *end;

	if (strncmp(target, prefix, n) || strncmp(target + n, ":[", 2))
		return false;
	*ino = strtoull(target + n + 2, &end, 10);
	return *end == ']';
}

pid_t proc_living_thread(pid_t pid)
{
	struct pid_list threads = {0};
	struct err gone = ERR_INIT;
	struct proc_stat st;
	pid_t found = 0;

	if (!proc_list_threads(pid, &threads, &gone))
		for (size_t i = 0; i < threads.n && !found; i++)
			if (!proc_stat_read(threads.ids[i], &st, &gone) && st.state != 'Z' &&
			    st.state != 'X')
				found = threads.ids[i];
	free(threads.ids);
	return found;
}
