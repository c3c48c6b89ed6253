#include "restorer/rollback.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "restorer/steps.h"

#define WAIT_MS 15000
#define POLL_MS 10
#define USER_MS 2000

static void nap(void)
{
	nanosleep(&(struct timespec){0, POLL_MS * 1000000}, NULL);
}

/* Kill a process that is proven ours. The pidfd is opened first and the start time compared after, so
 * that the signal cannot hit a later process with the same number. */
static void end_process(pid_t pid, uint64_t start)
{
	auto_close int fd = syscall(SYS_pidfd_open, pid, 0);

	if (fd >= 0 && process_is_alive(pid, start))
		syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
}

static int undo_entry(struct journal *j, const struct journal_entry *je, struct err *e)
{
	const struct step_kind *k = step_kind_find(je->kind);

	if (!k)
		return err_set(e, ERR_UNSUPPORTED, "step kind %s is unknown to this version",
			       je->kind);
	if (!k->undo)
		return 0;
	if (k->undo(je, e))
		return err_wrap(e, "undo step %u, %s %s", je->step, je->kind, je->object);
	/* Only a note that saves work next time: undo may be repeated, and the disk may be full. */
	journal_undone(j, je->step, &(struct err)ERR_INIT);
	return 0;
}

int rollback_undo(struct journal *j, struct err *e)
{
	struct err first = ERR_INIT;

	/* Go on after a failure: the more is taken back, the better; the first one is reported. */
	for (size_t i = journal_n_entries(j); i-- > 0;) {
		const struct journal_entry *je = journal_entry(j, i);
		struct err here = ERR_INIT;

		if (!je->undone && undo_entry(j, je, &here) && !first.code)
			first = here;
	}
	if (first.code) {
		*e = first;
		return -1;
	}
	return 0;
}

/* Is dirfd/name a link to one of our namespaces? The number alone does not tell: the kernel gives it to
 * another namespace as soon as ours is gone. */
static bool links_to(int dirfd, const char *name, const struct journal *j)
{
	struct err ignored = ERR_INIT;
	auto_ns struct ns *ns = NULL;
	unsigned long long ino;
	char target[64];
	ssize_t n = readlinkat(dirfd, name, target, sizeof(target) - 1);
	int fd;

	if (n <= 0)
		return false;
	target[n] = 0;
	if (sscanf(target, "net:[%llu]", &ino) != 1)
		return false;
	for (size_t i = 0; i < journal_n_netns(j); i++) {
		if (journal_netns(j, i)->ino != ino)
			continue;
		fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
		ns = fd >= 0 ? ns_from_fd(fd, &ignored) : NULL;
		return ns && journal_is_netns(journal_netns(j, i), ns);
	}
	return false;
}

static bool dir_links_to(const char *path, const char *inner, const struct journal *j)
{
	auto_dir DIR *d = opendir(path);
	struct dirent *de;
	char name[300];

	while (d && (de = readdir(d))) {
		if (de->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s%s", de->d_name, inner);
		if (links_to(dirfd(d), name, j))
			return true;
	}
	return false;
}

/* A process other than us that keeps one of the namespaces alive: its pid, or 0. */
static pid_t find_user(const struct journal *j)
{
	auto_dir DIR *proc = opendir("/proc");
	struct dirent *de;

	while (proc && (de = readdir(proc))) {
		pid_t pid = isdigit((unsigned char)de->d_name[0]) ? atoi(de->d_name) : 0;
		char path[64];

		if (!pid)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
		if (dir_links_to(path, "/ns/net", j))
			return pid;
		snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
		if (dir_links_to(path, "", j))
			return pid;
	}
	return 0;
}

static bool holders_gone(const struct journal *j)
{
	for (size_t i = 0; i < journal_n_holders(j); i++) {
		const struct journal_holder *h = journal_holder(j, i);

		if (process_is_alive(h->pid, h->start))
			return false;
	}
	return true;
}

/* 1: everything the journal speaks of is gone; 0: something is there, named in what; -1: error. at: what is before this
 * entry is known to be gone. */
static int all_gone(const struct journal *j, size_t *at, char *what, size_t size, struct err *e)
{
	if (!holders_gone(j)) {
		snprintf(what, size, "a holder process is still ending");
		return 0;
	}
	for (; *at < journal_n_entries(j); ++*at) {
		const struct journal_entry *je = journal_entry(j, *at);
		const struct step_kind *k = step_kind_find(je->kind);
		bool there = false;

		if (!k || !k->probe)
			continue;
		if (k->probe(je, &there, e))
			return -1;
		if (there) {
			snprintf(what, size, "%s %s is still there", je->kind, je->object);
			return 0;
		}
	}
	return 1;
}

int rollback_wait(struct journal *j, struct err *e)
{
	uint64_t end = clock_ms() + WAIT_MS;
	char what[300] = "";
	size_t at = 0;
	pid_t pid;
	int gone;

	while (!(gone = all_gone(j, &at, what, sizeof(what), e)) && clock_ms() < end)
		nap();
	if (gone < 0)
		return -1;
	if (!gone)
		return err_set(e, ERR_BUSY, "%s after %d s", what, WAIT_MS / 1000);
	/* A restorer that was killed may still be on its way out of /proc. */
	end = clock_ms() + USER_MS;
	while ((pid = find_user(j)) && clock_ms() < end)
		nap();
	if (pid)
		return err_set(e, ERR_BUSY,
			       "process %d still uses a restored namespace: end it, then run "
			       "rollback again",
			       (int)pid);
	return 0;
}

/* A holder may be in the middle of what it was told when the restorer was killed: what it makes then must be there before
 * undo looks for it. */
static int wait_work(const struct journal *j, struct err *e)
{
	uint64_t end = clock_ms() + WAIT_MS;

	while (journal_is_in_work(j)) {
		if (clock_ms() > end)
			return err_set(e, ERR_BUSY,
				       "a process of its restore is still at work after %d s",
				       WAIT_MS / 1000);
		nap();
	}
	return 0;
}

int rollback_run(struct journal *j, struct err *e)
{
	if (journal_is_other_boot(j))
		return journal_remove(j, e);
	if (process_is_alive(journal_head(j)->pid, journal_head(j)->start) &&
	    !journal_is_committed(j))
		return err_set(e, ERR_BUSY, "its restore still runs as process %d",
			       (int)journal_head(j)->pid);
	for (size_t i = 0; i < journal_n_holders(j); i++)
		end_process(journal_holder(j, i)->pid, journal_holder(j, i)->start);
	if (wait_work(j, e) || rollback_undo(j, e) || rollback_wait(j, e))
		return -1;
	return journal_remove(j, e);
}
