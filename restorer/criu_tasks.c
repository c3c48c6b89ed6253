#include "restorer/criu_tasks.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/ns.h"

/* ---- found ---- */

/* The pid that a process has in its innermost pid namespace (NSpid in proc_pid_status(5)); 0: gone. */
static pid_t inner_pid(pid_t pid)
{
	auto_buf struct buf b = {0};
	struct err gone = ERR_INIT;
	const char *at;
	char path[64];
	int n = 0;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if (io_read_file(AT_FDCWD, path, 65536, &b, &gone) || !b.len)
		return 0;
	at = strstr((const char *)b.data, "\nNSpid:");
	if (!at)
		return pid;
	at += 7;
	for (char *end; *at && *at != '\n'; at = end) {
		long v = strtol(at, &end, 10);

		if (end == at)
			break;
		n = (int)v;
	}
	return n;
}

static bool same_pidns(pid_t a, pid_t b)
{
	char pa[64], pb[64], la[64], lb[64];
	ssize_t na, nb;

	snprintf(pa, sizeof(pa), "/proc/%d/ns/pid", (int)a);
	snprintf(pb, sizeof(pb), "/proc/%d/ns/pid", (int)b);
	na = readlink(pa, la, sizeof(la));
	nb = readlink(pb, lb, sizeof(lb));
	return na > 0 && na == nb && !memcmp(la, lb, (size_t)na);
}

pid_t criu_task_find(pid_t root, pid_t dumped)
{
	auto_dir DIR *proc = NULL;
	struct dirent *de;

	if (inner_pid(dumped) == dumped && same_pidns(dumped, root))
		return dumped;
	proc = opendir("/proc");
	while (proc && (de = readdir(proc))) {
		pid_t pid = isdigit((unsigned char)de->d_name[0]) ? atoi(de->d_name) : 0;

		if (pid && inner_pid(pid) == dumped && same_pidns(pid, root))
			return pid;
	}
	return 0;
}

/* ---- ended ---- */

#define END_MS 5000

/* The pidfd first, the proof after: then the number cannot have been given to another process. */
static void end_proven(pid_t pid, uint64_t start)
{
	auto_close int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0 || !process_is_alive(pid, start))
		return;
	syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
	/* its sockets are closed when it is a zombie */
	poll(&(struct pollfd){fd, POLLIN, 0}, 1, END_MS);
}

/* Is the process in one of the namespaces that the entry names? */
static bool is_inside(pid_t pid, const struct journal_entry *je)
{
	struct err gone = ERR_INIT;
	auto_ns struct ns *ns = ns_open_pid(pid, &gone);

	for (size_t i = 0; ns && i < je->n_facts; i++) {
		struct journal_netns n = {0};

		if (!strcmp(je->keys[i], "netns") &&
		    sscanf(je->values[i], "%" SCNu64 " %" SCNu64, &n.ino, &n.cookie) == 2 &&
		    n.ino == ns_ino(ns) && journal_is_netns(&n, ns))
			return true;
	}
	return false;
}

int criu_tasks_end_inside(const struct journal_entry *je)
{
	auto_dir DIR *proc = opendir("/proc");
	struct dirent *de;
	int n = 0;

	while (proc && (de = readdir(proc))) {
		pid_t pid = isdigit((unsigned char)de->d_name[0]) ? atoi(de->d_name) : 0;
		uint64_t start = pid && pid != getpid() ? process_start(pid) : 0;

		if (!start || !is_inside(pid, je))
			continue;
		end_proven(pid, start);
		n++;
	}
	return n;
}

/* What a proven process has forked, before itself: its children are known only while it lives. */
static void end_tree(pid_t pid, uint64_t start, int depth)
{
	enum { DEPTH_MAX = 64 };
	auto_buf struct buf b = {0};
	struct err gone = ERR_INIT;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	if (depth < DEPTH_MAX && process_is_alive(pid, start) &&
	    !io_read_file(AT_FDCWD, path, 1U << 20, &b, &gone) && b.len) {
		for (char *s = (char *)b.data, *end;; s = end) {
			long child = strtol(s, &end, 10);

			if (end == s)
				break;
			end_tree((pid_t)child, process_start((pid_t)child), depth + 1);
		}
	}
	end_proven(pid, start);
}

void criu_task_end(pid_t pid, uint64_t start)
{
	end_tree(pid, start, 0);
}
