#include "base/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"
#define SAID_MAX     4096

bool run_find(const char *name, char *path, size_t size)
{
	const char *p = getenv("PATH");

	if (strchr(name, '/'))
		return snprintf(path, size, "%s", name) < (int)size && access(path, X_OK) == 0;
	for (p = p ? p : DEFAULT_PATH; *p;) {
		size_t n = strcspn(p, ":");

		if (*p == '/' && snprintf(path, size, "%.*s/%s", (int)n, p, name) < (int)size &&
		    access(path, X_OK) == 0)
			return true;
		p += n + (p[n] == ':');
	}
	return false;
}

/* The child: pipes on 0, 1 and 2, nothing of ours in the environment. */
_Noreturn static void become(const char *path, const char *const *argv, const int *ends)
{
	static char home[] = "HOME=/", locale[] = "LC_ALL=C.UTF-8",
		    path_is[] = "PATH=" DEFAULT_PATH;
	char *const env[] = {path_is, home, locale, NULL};
	const struct rlimit cpu = {RUN_SECONDS, RUN_SECONDS};

	for (int i = 0; i < 3; i++)
		if (dup2(ends[i], i) < 0)
			_exit(126);
	/* sockets of libnftables do not close on exec by themselves */
	close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	setrlimit(RLIMIT_CPU, &cpu);
	signal(SIGPIPE, SIG_DFL);
	execve(path, (char *const *)argv, env);
	_exit(127);
}

/* A descriptor of ours: write what is left of in, or read into out (at most max bytes are kept). Closed at the end. */
static int feed(int *fd, struct span *in)
{
	ssize_t n = write(*fd, in->data, in->len);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n > 0) {
		in->data += n;
		in->len -= (size_t)n;
	}
	/* a program that does not want the rest says why itself */
	if (n < 0 || !in->len) {
		close(*fd);
		*fd = -1;
	}
	return 0;
}

static int drain(int *fd, struct buf *out, size_t max, struct err *e)
{
	uint8_t part[16384];
	ssize_t n = read(*fd, part, sizeof(part));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n > 0)
		return out->len < max ? buf_add(out, part, (size_t)n, e) : 0;
	close(*fd);
	*fd = -1;
	return 0;
}

static int talk(int *ours, struct span in, struct buf *out, struct buf *said, struct err *e)
{
	int rc = 0;

	if (!in.len) {
		close(ours[0]);
		ours[0] = -1;
	}
	while (!rc && (ours[1] >= 0 || ours[2] >= 0)) {
		struct pollfd p[3] = {
			{ours[0], POLLOUT, 0}, {ours[1], POLLIN, 0}, {ours[2], POLLIN, 0}};

		if (poll(p, 3, -1) < 0 && errno != EINTR)
			return err_sys(e, ERR_IO, "wait for a program");
		if (p[0].revents)
			rc = feed(&ours[0], &in);
		if (!rc && p[1].revents)
			rc = drain(&ours[1], out, SIZE_MAX, e);
		if (!rc && p[2].revents)
			rc = drain(&ours[2], said, SAID_MAX, e);
	}
	return rc;
}

static int check_end(const char *name, int status, struct buf *said, struct err *e)
{
	int n;

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFSIGNALED(status))
		return err_set(e, ERR_IO, "%s was ended by signal %d (it may use %d s)", name,
			       WTERMSIG(status), RUN_SECONDS);
	if (buf_reserve(said, 1, e))
		return -1;
	said->data[said->len] = 0;
	n = (int)strcspn((const char *)said->data, "\n");
	return err_set(e, ERR_IO, "%s failed with status %d%s%.*s", name, WEXITSTATUS(status),
		       n ? ": " : "", n, (const char *)said->data);
}

static void close_all(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

/* ours[i] and theirs[i]: the ends of the pipe that is descriptor i of the child. */
static int pipes_make(int *ours, int *theirs, struct err *e)
{
	for (int i = 0; i < 3; i++) {
		int p[2];

		if (pipe2(p, O_CLOEXEC))
			return err_sys(e, ERR_IO, "make a pipe");
		ours[i] = p[i == 0];
		theirs[i] = p[i != 0];
	}
	return fcntl(ours[0], F_SETFL, O_NONBLOCK) ? err_sys(e, ERR_IO, "make a pipe") : 0;
}

static int run_child(const char *path, const char *const *argv, int *ours, int *theirs,
		     struct span in, struct buf *out, struct err *e)
{
	auto_buf struct buf said = {0};
	int status = 0, rc;
	pid_t pid = fork();

	if (pid < 0)
		return err_sys(e, ERR_IO, "start %s", argv[0]);
	if (pid == 0)
		become(path, argv, theirs);
	close_all(theirs, 3);
	rc = talk(ours, in, out, &said, e);
	close_all(ours, 3);
	if (rc)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return rc ? -1 : check_end(argv[0], status, &said, e);
}

int run_filter(const char *const *argv, struct span in, struct buf *out, struct err *e)
{
	int ours[3] = {-1, -1, -1}, theirs[3] = {-1, -1, -1}, rc;
	void (*old)(int);
	char path[4096];

	if (!run_find(argv[0], path, sizeof(path)))
		return err_set(e, ERR_NOTFOUND, "there is no program '%s' in PATH", argv[0]);
	/* a program that ends early must not end us */
	old = signal(SIGPIPE, SIG_IGN);
	rc = pipes_make(ours, theirs, e) ? -1 : run_child(path, argv, ours, theirs, in, out, e);
	close_all(ours, 3);
	close_all(theirs, 3);
	signal(SIGPIPE, old);
	return rc;
}
