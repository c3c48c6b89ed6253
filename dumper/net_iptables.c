#include "dumper/net_iptables.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/ns.h"

enum {
	TIMEOUT_MS = 10000,
	TEXT_MAX = 64 << 20,
};

static int program_find(const char *name, char *path, size_t size, struct err *e)
{
	static const char *const folders[] = {"/usr/sbin", "/sbin", "/usr/local/sbin"};

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		snprintf(path, size, "%s/%s", folders[i], name);
		if (!access(path, X_OK))
			return 0;
	}
	return err_set(e, ERR_NOTFOUND,
		       "%s is not installed (package iptables), and nothing else can read them",
		       name);
}

/* In the child: only what is allowed between fork and exec. */
static void child_run(int netns_fd, int out, const char *path, char *const argv[])
{
	static char *const env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", NULL};
	struct err e = ERR_INIT;
	int null = open("/dev/null", O_RDWR);

	if (null < 0 || ns_enter(netns_fd, &e) || dup2(null, 0) < 0 || dup2(out, 1) < 0 ||
	    dup2(null, 2) < 0)
		_exit(127);
	execve(path, argv, env);
	_exit(127);
}

static int read_all(int fd, struct buf *out, const char *what, struct err *e)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	for (;;) {
		int r = poll(&p, 1, TIMEOUT_MS);
		ssize_t n;

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return err_set(e, ERR_INTERRUPTED, "%s did not answer within %d s", what,
				       TIMEOUT_MS / 1000);
		if (buf_reserve(out, 16384, e))
			return -1;
		n = read(fd, out->data + out->len, 16384);
		if (n < 0 && errno != EINTR)
			return err_sys(e, ERR_IO, "read from %s", what);
		if (n == 0)
			return 0;
		if (n > 0)
			out->len += (size_t)n;
		out->data[out->len] = 0;
		if (out->len > TEXT_MAX)
			return err_set(e, ERR_RANGE, "%s prints more than %d bytes", what,
				       TEXT_MAX);
	}
}

static int child_wait(pid_t pid, const char *what, struct err *e)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(e, ERR_IO, "wait for %s", what);
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	return err_set(e, ERR_KERNEL, "%s failed (%s %d)", what,
		       WIFEXITED(status) ? "exit status" : "signal",
		       WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

int iptables_save(int netns_fd, bool v6, bool nft, const char *table, struct buf *out,
		  struct err *e)
{
	char name[64], path[128];
	char *argv[] = {name, table ? "-t" : NULL, (char *)(uintptr_t)table, NULL};
	auto_close int rd = -1;
	int fds[2], r;
	size_t start = out->len;
	struct err e2 = ERR_INIT;
	pid_t pid;

	snprintf(name, sizeof(name), "ip%stables-%s-save", v6 ? "6" : "", nft ? "nft" : "legacy");
	if (program_find(name, path, sizeof(path), e))
		return -1;
	if (pipe2(fds, O_CLOEXEC))
		return err_sys(e, ERR_IO, "pipe");
	pid = fork();
	if (pid == 0)
		child_run(netns_fd, fds[1], path, argv);
	rd = fds[0];
	close(fds[1]);
	if (pid < 0)
		return err_sys(e, ERR_KERNEL, "start %s", name);
	r = read_all(rd, out, name, e);
	if (r)
		kill(pid, SIGKILL);
	if (child_wait(pid, name, &e2) && !r) {
		*e = e2;
		r = -1;
	}
	if (r)
		out->len = start;
	return r;
}
