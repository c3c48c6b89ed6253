/* Probes of processes, namespaces and files. Each that changes a process does it to a child of its own. */
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/kernel_probes.h"

#define LANDLOCK_ABI_FLAG 1u /* LANDLOCK_CREATE_RULESET_VERSION, not in the headers of 5.12 */
#define NOBODY            65534

/* A child that only waits, until its pipe closes: also when this process is killed. */
struct idle {
	pid_t pid;
	int stop, wait; /* ends of the pipe; the child has both numbers too */
};

static void idle_end(struct idle *c)
{
	if (c->stop >= 0)
		close(c->stop);
	if (c->wait >= 0)
		close(c->wait);
	if (c->pid <= 0)
		return;
	kill(c->pid, SIGKILL); /* it may stand still under ptrace */
	waitpid(c->pid, NULL, __WALL);
}
#define auto_idle __attribute__((cleanup(idle_end)))

static int idle_start(struct idle *c, struct err *e)
{
	int ends[2];
	char byte;

	*c = (struct idle){-1, -1, -1};
	if (pipe2(ends, O_CLOEXEC))
		return err_sys(e, ERR_IO, "pipe");
	c->wait = ends[0];
	c->stop = ends[1];
	c->pid = fork();
	if (c->pid < 0)
		return err_sys(e, ERR_NOMEM, "fork");
	if (c->pid == 0) {
		close(c->stop);
		while (read(c->wait, &byte, 1) < 0 && errno == EINTR)
			;
		_exit(0);
	}
	return 0;
}

/* Run fn in a child of its own; it returns 0 or an errno, which what is said about. */
static int in_child(int (*fn)(void *arg), void *arg, const char *what, struct err *e)
{
	int status = 0;
	pid_t pid = fork();

	if (pid < 0)
		return err_sys(e, ERR_NOMEM, "fork");
	if (pid == 0)
		_exit(fn(arg));
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(e, ERR_IO, "wait for a child");
	if (!WIFEXITED(status))
		return err_set(e, ERR_KERNEL, "%s: ended by signal %d", what, WTERMSIG(status));
	errno = WEXITSTATUS(status);
	return errno ? err_sys(e, ERR_KERNEL, "%s", what) : 0;
}

int probe_pidfd_open(struct kernel_env *env, const char *arg, struct err *e)
{
	auto_close int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	return fd < 0 ? err_sys(e, ERR_KERNEL, "pidfd_open") : 0;
}

int probe_pidfd_getfd(struct kernel_env *env, const char *arg, struct err *e)
{
	auto_idle struct idle c;
	auto_close int pidfd = -1, got = -1;
	struct stat mine, its;

	if (idle_start(&c, e))
		return -1;
	pidfd = (int)syscall(SYS_pidfd_open, c.pid, 0);
	got = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, c.wait, 0);
	if (got < 0)
		return err_sys(e, ERR_KERNEL, "pidfd_getfd");
	if (fstat(c.wait, &mine) || fstat(got, &its) || mine.st_ino != its.st_ino)
		return err_set(e, ERR_KERNEL, "pidfd_getfd gave another file");
	return 0;
}

int probe_pidfd_signal(struct kernel_env *env, const char *arg, struct err *e)
{
	auto_close int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	if (fd < 0 || syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0))
		return err_sys(e, ERR_KERNEL, "pidfd_send_signal");
	return 0;
}

int probe_ptrace(struct kernel_env *env, const char *arg, struct err *e)
{
	auto_idle struct idle c;
	int status;

	if (idle_start(&c, e))
		return -1;
	if (ptrace(PTRACE_SEIZE, c.pid, NULL, NULL))
		return err_sys(e, ERR_KERNEL, "PTRACE_SEIZE");
	if (ptrace(PTRACE_INTERRUPT, c.pid, NULL, NULL) || waitpid(c.pid, &status, __WALL) != c.pid)
		return err_sys(e, ERR_KERNEL, "PTRACE_INTERRUPT");
	if (!WIFSTOPPED(status) || status >> 16 != PTRACE_EVENT_STOP)
		return err_set(e, ERR_KERNEL, "PTRACE_INTERRUPT did not stop a task");
	if (ptrace(PTRACE_DETACH, c.pid, NULL, NULL))
		return err_sys(e, ERR_KERNEL, "PTRACE_DETACH");
	return 0;
}

int probe_kcmp(struct kernel_env *env, const char *arg, struct err *e)
{
	auto_idle struct idle c;
	long r;

	if (idle_start(&c, e))
		return -1;
	r = syscall(SYS_kcmp, getpid(), c.pid, KCMP_FILE, c.wait, c.wait);
	if (r < 0)
		return err_sys(e, ERR_KERNEL, "kcmp");
	return r ? err_set(e, ERR_KERNEL, "kcmp says that a file is not itself") : 0;
}

int probe_close_range(struct kernel_env *env, const char *arg, struct err *e)
{
	int fd = open("/", O_PATH | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, ERR_IO, "open /");
	if (!syscall(SYS_close_range, (unsigned)fd, (unsigned)fd, 0))
		return 0;
	err_sys(e, ERR_KERNEL, "close_range");
	close(fd);
	return -1;
}

int probe_ns_owner(struct kernel_env *env, const char *arg, struct err *e)
{
	auto_close int ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), user = -1;

	if (ns < 0)
		return err_sys(e, ERR_IO, "open /proc/self/ns/net");
	/* inside a user namespace a namespace that is owned above is not shown (ioctl_ns(2), EPERM) */
	user = ioctl(ns, NS_GET_USERNS);
	return user < 0 ? err_sys(e, ERR_KERNEL, "NS_GET_USERNS") : 0;
}

int probe_netns(struct kernel_env *env, const char *arg, struct err *e)
{
	return kernel_env_need_ns(env, e);
}

/* Become an ordinary user, as far as this process is not one already: where the id of nobody has no mapping
 * (EINVAL, setresuid(2)) it is inside a user namespace, and whoever made that was allowed to. */
static int become_nobody(void)
{
	if (geteuid() != 0)
		return 0;
	if (setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY))
		return errno == EINVAL ? 0 : errno;
	return 0;
}

static int child_net_in_userns(void *as_nobody)
{
	int r = as_nobody ? become_nobody() : 0;
	struct err e = ERR_INIT;
	struct ns *ns;

	if (r)
		return r;
	if (unshare(CLONE_NEWUSER))
		return errno;
	ns = ns_new(&e);
	if (!ns)
		return e.saved_errno ? e.saved_errno : EIO;
	ns_free(ns);
	return 0;
}

int probe_userns(struct kernel_env *env, const char *arg, struct err *e)
{
	return in_child(child_net_in_userns, NULL, "a network namespace in a user namespace", e);
}

int probe_userns_plain(struct kernel_env *env, const char *arg, struct err *e)
{
	return in_child(child_net_in_userns, e, "a user namespace for an ordinary user", e);
}

/* In a mount namespace that ends with this child. */
static int child_pin(void *arg)
{
	const struct kernel_env *env = arg;
	char from[64];
	int fd;

	snprintf(from, sizeof(from), "/proc/self/fd/%d", ns_fd(env->ns));
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("nsimg", "/tmp", "tmpfs", 0, NULL))
		return errno;
	fd = open("/tmp/pin", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	close(fd);
	return mount(from, "/tmp/pin", NULL, MS_BIND, NULL) ? errno : 0;
}

int probe_ns_pin(struct kernel_env *env, const char *arg, struct err *e)
{
	if (kernel_env_need_ns(env, e))
		return -1;
	return in_child(child_pin, env, "bind mount of a namespace", e);
}

int probe_landlock(struct kernel_env *env, const char *arg, struct err *e)
{
#ifdef SYS_landlock_create_ruleset
	if (syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_ABI_FLAG) >= 1)
		return 0;
#else
	errno = ENOSYS;
#endif
	return err_sys(e, ERR_KERNEL, "landlock");
}

int probe_seccomp(struct kernel_env *env, const char *arg, struct err *e)
{
	uint32_t action = SECCOMP_RET_ERRNO;

	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action))
		return err_sys(e, ERR_KERNEL, "seccomp");
	return 0;
}

int probe_cgroup(struct kernel_env *env, const char *arg, struct err *e)
{
	/* version 2 alone, or beside version 1 as older systemds mount it */
	static const char *const places[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified",
					     "/sys/fs/cgroup/systemd"};
	struct statfs st;

	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (!statfs(places[i], &st) &&
		    (st.f_type == CGROUP2_SUPER_MAGIC || st.f_type == CGROUP_SUPER_MAGIC))
			return 0;
	return err_set(e, ERR_NOTFOUND, "no control groups are mounted on /sys/fs/cgroup");
}
