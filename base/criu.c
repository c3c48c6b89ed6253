#include "base/criu.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/nl.h"
#include "base/ns.h"
#include "base/run.h"

/* CRIU starts ip, iptables-restore and nft. */
#define CRIU_PATH   "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define HOOK_SOCKET "NSIMG_CRIU_HOOK"
#define OUTPUT      "criu.out"
#define LOG_MAX     (64U << 20)

int criu_find(const char *given, struct buf *path, struct err *e)
{
	static const char *const places[] = {"criu", "/usr/sbin/criu", "/usr/local/sbin/criu"};
	char found[4096];

	if (given && !run_find(given, found, sizeof(found)))
		return err_set(e, ERR_NOTFOUND, "there is no program %s", given);
	for (size_t i = 0; !given && i < ARRAY_SIZE(places); i++)
		if (run_find(places[i], found, sizeof(found)))
			return buf_add_str(path, found, e);
	return given ? buf_add_str(path, found, e)
		     : err_set(e, ERR_NOTFOUND,
			       "there is no program 'criu' in PATH: install CRIU, or name it with "
			       "--criu-program");
}

int criu_version(const char *program, int *version, struct err *e)
{
	const char *const argv[] = {program, "--version", NULL};
	auto_buf struct buf out = {0};
	unsigned major, minor = 0, sub = 0;
	const char *at;

	if (run_filter(argv, (struct span){0}, &out, e))
		return -1;
	at = out.len ? strstr((const char *)out.data, "Version: ") : NULL;
	if (!at || sscanf(at, "Version: %u.%u.%u", &major, &minor, &sub) < 1)
		return err_set(e, ERR_FORMAT, "%s --version does not tell a version", program);
	*version = (int)(major * 10000 + minor * 100 + sub);
	return 0;
}

const char *criu_tmp(void)
{
	const char *given = getenv("TMPDIR");

	return given && *given == '/' ? given : "/tmp";
}

struct ns *criu_scratch_ns(struct err *e)
{
	const struct ifinfomsg up = {.ifi_index = 1, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	auto_ns struct ns *ns = ns_new(e);
	auto_nl struct nl *nl = ns ? nl_open_in(ns, NETLINK_ROUTE, e) : NULL;
	auto_buf struct buf msg = {0};

	if (!nl || nl_msg_begin(&msg, RTM_NEWLINK, 0, &up, sizeof(up), e) ||
	    nl_do(nl, &msg, "loopback for CRIU", e))
		return NULL;
	return take_ptr(ns);
}

/* ---- its log ---- */

/* Lines that only say that something before went wrong, or of what CRIU does without. */
static bool is_generic(const char *line, size_t len)
{
	static const char *const words[] = {"RLIMIT_NOFILE for self", "FAILED.",
					    "Could not initialize kernel features",
					    "exited, status=", "killed by signal"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (memmem(line, len, words[i], strlen(words[i])))
			return true;
	return false;
}

/* Without "(00.012345) ", and its blanks. */
static void skip_time(const char **line, size_t *len)
{
	const char *end = **line == '(' ? memchr(*line, ')', *len) : NULL;
	size_t n = end ? (size_t)(end - *line) + 1 : 0;

	while (n < *len && (*line)[n] == ' ')
		n++;
	*line += n;
	*len -= n;
}

int criu_log_error(const char *path, struct buf *out, struct err *e)
{
	auto_buf struct buf all = {0};
	struct err unread = ERR_INIT;
	const char *best = NULL;
	size_t best_len = 0;
	bool best_is_generic = true;

	if (io_read_file(AT_FDCWD, path, LOG_MAX, &all, &unread) || !all.len)
		return 0;
	for (const char *line = (const char *)all.data; *line;) {
		size_t len = strcspn(line, "\n");
		bool generic = is_generic(line, len);

		/* the first is the cause, what comes after it follows from it */
		if (memmem(line, len, "Error (", 7) && (!best || (best_is_generic && !generic))) {
			best = line;
			best_len = len;
			best_is_generic = generic;
		}
		line += len + (line[len] == '\n');
	}
	if (!best)
		return 0;
	skip_time(&best, &best_len);
	return buf_add(out, best, best_len, e);
}

/* Of what it printed: what getopt_long(3) said of its options, before the usage, or the last line. Cuts the text. */
static const char *printed_why(struct buf *printed)
{
	char *text = (char *)printed->data, *option = strstr(text, "option "), *last;

	if (option && strstr(text, "\nTry ")) {
		while (option > text && option[-1] != '\n')
			option--;
		option[strcspn(option, "\n")] = 0;
		return option;
	}
	while (printed->len && printed->data[printed->len - 1] == '\n')
		printed->data[--printed->len] = 0;
	last = memrchr(text, '\n', printed->len);
	return last ? last + 1 : text;
}

/* Why it failed, in its own words: of the log, else of what it printed. */
static int say_why(const struct criu_job *job, int status, struct err *e)
{
	auto_buf struct buf why = {0}, printed = {0};
	struct err ignored = ERR_INIT;
	char path[4096], text[64];

	snprintf(path, sizeof(path), "%s/%s", job->folder, job->log);
	/* killed by somebody, it has no reason of its own */
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		criu_log_error(path, &why, &ignored);
	snprintf(path, sizeof(path), "%s/" OUTPUT, job->folder);
	if (!why.len && !io_read_file(AT_FDCWD, path, LOG_MAX, &printed, &ignored) && printed.len)
		buf_add_str(&why, printed_why(&printed), &ignored);
	if (WIFSIGNALED(status))
		snprintf(text, sizeof(text), "was ended by signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else
		snprintf(text, sizeof(text), "failed");
	return err_set(e, ERR_KERNEL, "criu %s %s%s%.500s", job->words[0], text,
		       why.len ? ": " : "", why.len ? (const char *)why.data : "");
}

/* ---- the hook's side ---- */

static int hook_address(const char *path, struct sockaddr_un *a, struct err *e)
{
	*a = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (snprintf(a->sun_path, sizeof(a->sun_path), "%s", path) >= (int)sizeof(a->sun_path))
		return err_set(e, ERR_RANGE, "%s: too long for the address of a socket", path);
	return 0;
}

bool criu_hook_is_meant(void)
{
	return getenv(HOOK_SOCKET) && getenv("CRTOOLS_SCRIPT_ACTION");
}

int criu_hook(void)
{
	auto_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	const char *action = getenv("CRTOOLS_SCRIPT_ACTION"), *pid = getenv("CRTOOLS_INIT_PID");
	struct err ignored = ERR_INIT;
	struct sockaddr_un a;
	char text[128], answer = 1;
	int n = snprintf(text, sizeof(text), "%s %d", action, pid ? atoi(pid) : 0);

	if (fd < 0 || hook_address(getenv(HOOK_SOCKET), &a, &ignored) ||
	    connect(fd, (struct sockaddr *)&a, sizeof(a)) ||
	    send(fd, text, (size_t)n, MSG_NOSIGNAL) != n || recv(fd, &answer, 1, 0) != 1)
		return 1;
	return answer != 0;
}

/* ---- our side of the hook ---- */

static int listen_at(const char *path, struct err *e)
{
	auto_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un a;

	if (hook_address(path, &a, e))
		return -1;
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 4))
		return err_sys(e, ERR_IO, "socket for the hook of CRIU, %s", path);
	return take_fd(&fd);
}

/* One call of the hook. Who calls must be a process of our user, or root. When refused is set the answer is no,
 * whatever the callback says. */
static int hear(const struct criu_job *job, int listener, bool refused, struct err *e)
{
	auto_close int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	struct ucred who = {0};
	socklen_t len = sizeof(who);
	char text[128], action[64], answer;
	int pid = 0;
	ssize_t n;

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) ||
	    (who.uid != geteuid() && who.uid != 0))
		return 0;
	n = recv(fd, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return 0;
	text[n] = 0;
	if (sscanf(text, "%63s %d", action, &pid) < 1)
		return 0;
	answer = job->at(job->arg, action, pid, e) ? 1 : refused;
	send(fd, &answer, 1, MSG_NOSIGNAL);
	return answer ? -1 : 0;
}

/* ---- the process ---- */

struct child {
	pid_t pid;
	int pidfd, go;        /* go: it waits until this is closed */
	int listener, signal; /* or -1 */
	bool refused;         /* a callback has failed, or a signal came: e is set */
	bool asked;           /* a signal came */
};

void criu_spare_me(void)
{
	struct err refused = ERR_INIT;

	io_write_proc(AT_FDCWD, "/proc/self/oom_score_adj", "-1000", &refused);
}

/* After fork. Only the descriptors of the job stay open beyond exec. */
_Noreturn static void become(const struct criu_job *job, const char *const *argv, char *const *env,
			     int go, int output, pid_t parent)
{
	struct err ignored = ERR_INIT;
	sigset_t none;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	char c;

	/* it ends with us; and it does nothing before we have noted it */
	if (!job->outlives)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || read(go, &c, 1) != 1)
		_exit(126);
	/* what the terminal sends to all in front of it is for us to hear */
	if (job->outlives) {
		setpgid(0, 0);
		criu_spare_me();
	}
	if (dup2(null, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0)
		_exit(126);
	if (job->netns_fd >= 0 && ns_enter(job->netns_fd, &ignored)) {
		dprintf(2, "%s\n", ignored.msg);
		_exit(126);
	}
	close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	for (size_t i = 0; i < job->n_fds; i++)
		fcntl(job->fds[i], F_SETFD, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	execve(job->program, (char *const *)argv, env);
	dprintf(2, "%s: %s\n", job->program, strerror(errno));
	_exit(127);
}

/* argv: program, its words, the hook. Owned array of lent texts; *exe is the path of ourselves. */
static const char **arguments(const struct criu_job *job, const char *exe, struct err *e)
{
	const char **argv;
	size_t n = 0;

	while (job->words[n])
		n++;
	argv = calloc(n + 4, sizeof(*argv));
	if (!argv) {
		err_set(e, ERR_NOMEM, "words for CRIU");
		return NULL;
	}
	argv[0] = job->program;
	memcpy(argv + 1, job->words, n * sizeof(*argv));
	if (job->at) {
		argv[n + 1] = "--action-script";
		argv[n + 2] = exe;
	}
	return argv;
}

/* What ps shows of the program is not what it was started from when that was replaced: " (deleted)". */
static int own_path(char *path, size_t size, struct err *e)
{
	ssize_t n = readlink("/proc/self/exe", path, size - 1);

	if (n <= 0)
		return err_sys(e, ERR_IO, "path of this program");
	path[n] = 0;
	if (access(path, X_OK))
		return err_sys(e, ERR_IO, "%s, which CRIU has to run as its hook", path);
	return 0;
}

static int start(const struct criu_job *job, const char *socket, struct child *c, struct err *e)
{
	char exe[4096] = "", hook[256], libs[4096], path[] = CRIU_PATH, home[] = "HOME=/",
	     locale[] = "LC_ALL=C.UTF-8";
	const char *library = getenv("LD_LIBRARY_PATH");
	/* the hook is this program again, and finds its libraries in the same places */
	char *const env[] = {path, home, locale, hook, library ? libs : NULL, NULL};
	auto_free const char **argv = NULL;
	auto_close int output = -1, go = -1;
	char out[4096];
	int p[2];
	pid_t parent = getpid();

	snprintf(hook, sizeof(hook), HOOK_SOCKET "=%s", socket);
	snprintf(libs, sizeof(libs), "LD_LIBRARY_PATH=%s", library ? library : "");
	snprintf(out, sizeof(out), "%s/" OUTPUT, job->folder);
	argv = job->at && own_path(exe, sizeof(exe), e) ? NULL : arguments(job, exe, e);
	if (!argv)
		return -1;
	output = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (output < 0 || pipe2(p, O_CLOEXEC))
		return err_sys(e, ERR_IO, "what CRIU prints, %s", out);
	go = p[0];
	c->go = p[1];
	c->pid = fork();
	if (c->pid == 0) {
		close(c->go);
		become(job, argv, env, go, output, parent);
	}
	if (c->pid < 0)
		return err_sys(e, ERR_KERNEL, "fork CRIU");
	c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	return c->pidfd < 0 ? err_sys(e, ERR_KERNEL, "handle of CRIU's process") : 0;
}

static int interrupted(int fd, struct err *e)
{
	struct signalfd_siginfo info;

	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	return err_set(e, ERR_INTERRUPTED, "stopped by signal %u (%s) while CRIU was running",
		       info.ssi_signo, strsignal((int)info.ssi_signo));
}

/* A signal of stop may have come. It asks CRIU that outlives to give up at its next hook; CRIU may never come to one, so a
 * second signal kills it. -1: attend no longer. */
static int hear_signal(const struct criu_job *job, struct child *c, struct err *e)
{
	struct err why = ERR_INIT;

	if (!interrupted(c->signal, &why))
		return 0;
	if (!c->refused)
		*e = why;
	c->refused = true;
	if (!job->outlives)
		return -1;
	if (c->asked)
		kill(c->pid, SIGKILL);
	c->asked = true;
	return 0;
}

/* Until it has ended; what went wrong before that is in e. */
static int attend(const struct criu_job *job, struct child *c, struct err *e)
{
	for (;;) {
		struct pollfd p[] = {
			{c->pidfd, POLLIN, 0}, {c->listener, POLLIN, 0}, {c->signal, POLLIN, 0}};

		if (poll(p, ARRAY_SIZE(p), -1) < 0 && errno != EINTR)
			return err_sys(e, ERR_IO, "wait for CRIU");
		if (p[2].revents && hear_signal(job, c, e))
			return -1;
		if (p[1].revents) {
			struct err ignored = ERR_INIT;

			/* refused, it gives up by itself, and cleans up */
			if (hear(job, c->listener, c->refused, c->refused ? &ignored : e))
				c->refused = true;
			if (c->refused && !job->outlives)
				c->listener = -1;
		}
		if (p[0].revents)
			return c->refused ? -1 : 0;
	}
}

static int finish(const struct criu_job *job, struct child *c, int rc, struct err *e)
{
	int status = 0;
	pid_t ended;

	if (c->pid <= 0)
		return rc;
	if (rc && !job->outlives)
		kill(c->pid, SIGKILL);
	while ((ended = waitpid(c->pid, &status, 0)) < 0 && errno == EINTR)
		;
	/* somebody else has its status, and 0 would be a success that nobody saw */
	if (ended < 0)
		return rc ? -1 : err_sys(e, ERR_GONE, "wait for CRIU: how it ended is not known");
	/* a signal that came after the last hook was too late */
	if (rc && job->outlives && !status)
		*e = (struct err)ERR_INIT;
	else if (rc)
		return -1;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : say_why(job, status, e);
}

static int run_child(const struct criu_job *job, const char *socket, struct child *c, struct err *e)
{
	int rc = start(job, socket, c, e);

	if (!rc && job->started)
		rc = job->started(job->arg, c->pid, e);
	if (!rc && write(c->go, "g", 1) != 1)
		rc = err_sys(e, ERR_IO, "start CRIU");
	if (c->go >= 0)
		close(c->go);
	if (!rc)
		rc = attend(job, c, e);
	rc = finish(job, c, rc, e);
	if (c->pidfd >= 0)
		close(c->pidfd);
	return rc;
}

int criu_run(const struct criu_job *job, struct err *e)
{
	struct child c = {0, -1, -1, -1, -1, false, false};
	auto_close int listener = -1, signals = -1;
	char socket[256] = "";
	int rc;

	if (job->at) {
		if (snprintf(socket, sizeof(socket), "%s/hook", job->folder) >= (int)sizeof(socket))
			return err_set(e, ERR_RANGE, "%s: the path is too long", job->folder);
		listener = c.listener = listen_at(socket, e);
		if (listener < 0)
			return -1;
	}
	if (job->stop) {
		signals = c.signal = signalfd(-1, job->stop, SFD_CLOEXEC | SFD_NONBLOCK);
		if (signals < 0)
			return err_sys(e, ERR_KERNEL, "signals");
	}
	rc = run_child(job, socket, &c, e);
	if (job->at)
		unlink(socket);
	return rc;
}
