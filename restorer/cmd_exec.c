/* nsimg exec: become a program that has a holder's sockets, in its namespaces. */
#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/caps.h"
#include "base/cleanup.h"
#include "base/ns.h"
#include "restorer/commands.h"
#include "restorer/instance.h"

#define LISTEN_START 3 /* SD_LISTEN_FDS_START of sd_listen_fds(3) */

struct taken {
	int number; /* in the holder */
	int to;     /* here */
};

struct takeover {
	pid_t pid;
	int pidfd;
	struct taken *all; /* sorted by number */
	size_t n;
	struct rlimit limit; /* as it was */
	bool raised;
};

static void takeover_free(struct takeover *t)
{
	free(t->all);
	if (t->pidfd >= 0)
		close(t->pidfd);
}

/* Everything but its /dev/null. */
static bool is_kept(int dir, const char *name)
{
	char target[64];
	ssize_t len = readlinkat(dir, name, target, sizeof(target) - 1);

	if (len <= 0)
		return false;
	target[len] = 0;
	return strcmp(target, "/dev/null") != 0;
}

static int compare(const void *a, const void *b)
{
	const struct taken *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

static int list_numbers(struct takeover *t, struct err *e)
{
	char path[64];
	auto_dir DIR *d = NULL;
	struct dirent *de;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)t->pid);
	d = opendir(path);
	if (!d)
		return err_sys(e, ERR_PERM, "read %s", path);
	while ((de = readdir(d))) {
		struct taken *grown;

		if (de->d_name[0] == '.' || !is_kept(dirfd(d), de->d_name))
			continue;
		grown = realloc(t->all, (t->n + 1) * sizeof(*grown));
		if (!grown)
			return err_set(e, ERR_NOMEM, "descriptors of the holder");
		t->all = grown;
		t->all[t->n++] = (struct taken){atoi(de->d_name), 0};
	}
	if (t->n)
		qsort(t->all, t->n, sizeof(*t->all), compare);
	return 0;
}

static bool is_wanted(const struct takeover *t, int fd)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->all[i].to == fd)
			return true;
	return false;
}

static int raise_limit(struct takeover *t, rlim_t need, struct err *e)
{
	struct rlimit want;

	getrlimit(RLIMIT_NOFILE, &want);
	if (want.rlim_cur >= need)
		return 0;
	want.rlim_cur = need;
	if (want.rlim_max < need)
		want.rlim_max = need;
	t->raised = true;
	if (setrlimit(RLIMIT_NOFILE, &want))
		return err_sys(e, ERR_PERM,
			       "%zu sockets up to number %d and one descriptor beside them do not "
			       "fit below the limit of open files, which cannot be raised to %llu",
			       t->n, t->n ? t->all[t->n - 1].to : -1, (unsigned long long)need);
	return 0;
}

/* Decide where the sockets go, and move the one descriptor of our own that is needed until the end to a number
 * that none of them gets. */
static int make_way(struct takeover *t, bool listen, struct err *e)
{
	int to = 0, fd = LISTEN_START;

	getrlimit(RLIMIT_NOFILE, &t->limit);
	for (size_t i = 0; i < t->n; i++) {
		to = listen ? LISTEN_START + (int)i : t->all[i].number;
		t->all[i].to = to;
	}
	while (is_wanted(t, fd))
		fd++;
	if (raise_limit(t, (rlim_t)(fd > to ? fd : to) + 1, e))
		return -1;
	if (fd == t->pidfd)
		return 0;
	if (dup3(t->pidfd, fd, O_CLOEXEC) < 0)
		return err_sys(e, ERR_KERNEL, "move a descriptor to number %d", fd);
	close(t->pidfd);
	t->pidfd = fd;
	return 0;
}

/* Each socket comes at the lowest free number, which may be that of one that comes later, and goes at once to
 * its own: so no numbers are needed but theirs. What lay there was ours to close. */
static int take_sockets(const struct takeover *t, struct err *e)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct taken *k = &t->all[i];
		int fd = (int)syscall(SYS_pidfd_getfd, t->pidfd, k->number, 0);

		/* all are in use: by what was open here before, also where the socket goes */
		if (fd < 0 && errno == EMFILE) {
			close(k->to);
			fd = (int)syscall(SYS_pidfd_getfd, t->pidfd, k->number, 0);
		}
		if (fd < 0)
			return err_sys(e, ERR_KERNEL, "take descriptor %d of process %d", k->number,
				       (int)t->pid);
		if (fd == k->to ? fcntl(fd, F_SETFD, 0) : dup2(fd, k->to) < 0)
			return err_sys(e, ERR_KERNEL, "give a socket number %d", k->to);
		if (fd != k->to)
			close(fd);
	}
	return 0;
}

/* Its namespaces, without a further descriptor (setns(2) with a pidfd, Linux 5.8). The user namespace only when
 * it is another one: entering one's own is refused. */
static int enter(const struct takeover *t, struct err *e)
{
	struct stat own, other;
	char path[64];
	int flags = CLONE_NEWNET;

	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)t->pid);
	if (stat(path, &other) || stat("/proc/self/ns/user", &own))
		return err_sys(e, ERR_KERNEL, "user namespace of process %d", (int)t->pid);
	if (own.st_ino != other.st_ino || own.st_dev != other.st_dev)
		flags |= CLONE_NEWUSER;
	if (setns(t->pidfd, flags))
		return err_sys(e, ERR_KERNEL, "enter the namespaces of process %d", (int)t->pid);
	return 0;
}

static int add_name(struct buf *names, const char *name, struct err *e)
{
	if (strchr(name, ':') || !*name)
		return err_set(e, ERR_USAGE, "--fdname \"%s\": a name is not empty and has no ':'",
			       name);
	return buf_printf(names, e, "%s%s", names->len ? ":" : "", name);
}

/* What sd_listen_fds(3) reads. Names are those given, then "fdN" after the old number. */
static int set_listen(struct cli *c, const struct takeover *t, struct err *e)
{
	auto_buf struct buf names = {0};
	char text[32];
	unsigned next = 0;

	for (size_t i = 0; i < t->n; i++) {
		const char *name = cli_next_value(c, "fdname", &next);

		snprintf(text, sizeof(text), "fd%d", t->all[i].number);
		if (add_name(&names, name ? name : text, e))
			return -1;
	}
	snprintf(text, sizeof(text), "%zu", t->n);
	if (setenv("LISTEN_FDS", text, 1) ||
	    setenv("LISTEN_FDNAMES", names.len ? (const char *)names.data : "", 1))
		return err_set(e, ERR_NOMEM, "environment");
	/* exec(2) keeps the pid */
	snprintf(text, sizeof(text), "%d", (int)getpid());
	return setenv("LISTEN_PID", text, 1) ? err_set(e, ERR_NOMEM, "environment") : 0;
}

/* The words after "--", or after the first two when there is none, with a NULL at the end. */
static char **command_of(const struct cli *c, struct err *e)
{
	unsigned n = cli_n_args(c), first = 2;
	char **words;

	if (n <= first) {
		err_set(e, ERR_USAGE, "no command: nsimg exec DB|INSTANCE TASK -- COMMAND");
		return NULL;
	}
	words = calloc(n - first + 1, sizeof(*words));
	if (!words)
		err_set(e, ERR_NOMEM, "command");
	for (unsigned i = first; words && i < n; i++)
		words[i - first] = (char *)(uintptr_t)cli_arg(c, i);
	return words;
}

static int become(struct cli *c, struct takeover *t, const struct journal_holder *h, char **command,
		  struct err *e)
{
	bool listen = cli_has(c, "listen");

	if (list_numbers(t, e) || (listen && set_listen(c, t, e)) || make_way(t, listen, e) ||
	    take_sockets(t, e) || enter(t, e) ||
	    (cli_has(c, "end") && holder_end_pidfd(h, t->pidfd, e)))
		return -1;
	if (t->raised)
		setrlimit(RLIMIT_NOFILE, &t->limit);
	fflush(NULL);
	execvp(command[0], command);
	return err_sys(e, ERR_NOTFOUND, "run %s", command[0]);
}

static int run_exec(struct cli *c, struct err *e)
{
	const char *dir = instance_dir(c);
	auto_instances struct instances in = {0};
	auto_free char **command = command_of(c, e);
	const struct journal_holder *h;
	const struct journal *j;
	struct takeover t = {.pidfd = -1};
	int rc;

	if (!command || instances_open(&in, dir, e))
		return -1;
	j = instances_find(&in, cli_arg(c, 0), e);
	if (!j || holder_find(j, cli_arg(c, 1), &h, e))
		return -1;
	if (instance_is_criu(j))
		return err_set(e, ERR_CONFLICT,
			       "%s (%d) was restored by CRIU and has its sockets in use: another "
			       "program would take its connections; 'nsenter -n -t %d' runs one in "
			       "its namespace",
			       h->comm, (int)h->pid, (int)h->pid);
	t.pid = h->pid;
	t.pidfd = holder_pidfd(j, h, e);
	if (t.pidfd < 0)
		return -1;
	rc = become(c, &t, h, command, e);
	takeover_free(&t);
	return rc;
}

static const struct cli_opt exec_options[] = {
	{"listen", 0, NULL, "move the sockets to 3 and up and set LISTEN_FDS", false},
	{"fdname", 0, "NAME", "with --listen: the name of the next socket", true},
	{"end", 0, NULL, "end the holder: the program alone has the sockets then", false},
	INSTANCE_OPT_STATE_DIR,
	{0},
};

const struct cmd cmd_exec = {
	.name = "exec",
	.synopsis = "DB|INSTANCE TASK -- COMMAND",
	.summary = "run a program with the sockets of a restored task, in its namespaces",
	.run = run_exec,
	.opts = exec_options,
	.flags = CMD_PRIVILEGED,
	.caps = CAPS_BIT(CAP_SYS_ADMIN) | CAPS_BIT(CAP_SYS_PTRACE),
	.min_args = 2,
	.max_args = CLI_ANY_ARGS,
};
