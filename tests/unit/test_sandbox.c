#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <pthread.h>

#include "base/cleanup.h"
#include "base/cli_sandbox.h"
#include "base/ns.h"
#include "base/sandbox.h"

/* A folder with in/file, out/, hidden/file. */
static char top[64];

static const char *at(const char *name)
{
	static char path[2][128];
	static int turn;

	turn = !turn;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", top, name);
	return path[turn];
}

static int open_close(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int try_shadow(void)
{
	return open_close("/etc/shadow", O_RDONLY);
}

static int try_read_in(void)
{
	return open_close(at("in/file"), O_RDONLY);
}

static int try_write_in(void)
{
	return open_close(at("in/file"), O_WRONLY);
}

static int try_make_in(void)
{
	return open_close(at("in/new"), O_WRONLY | O_CREAT);
}

static int try_truncate_in(void)
{
	return truncate(at("in/file"), 0) ? errno : 0;
}

static int try_remove_in(void)
{
	return unlink(at("in/file")) ? errno : 0;
}

static int try_hidden(void)
{
	return open_close(at("hidden/file"), O_RDONLY);
}

static int try_link_to_hidden(void)
{
	return open_close(at("in/link"), O_RDONLY);
}

static int try_make_out(void)
{
	int r = open_close(at("out/new"), O_RDWR | O_CREAT);

	return r                                                                   ? r
	       : rename(at("out/new"), at("out/newer")) || unlink(at("out/newer")) ? errno
										   : 0;
}

static int try_move_out(void)
{
	int r = open_close(at("out/moved"), O_RDWR | O_CREAT);

	return r ? r : rename(at("out/moved"), at("hidden/moved")) ? errno : 0;
}

static int try_proc(void)
{
	return open_close("/proc/1/environ", O_RDONLY);
}

static int try_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int try_netlink(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int try_netns(void)
{
	struct err e = ERR_INIT;
	struct ns *ns = ns_new(&e);

	if (!ns)
		return e.saved_errno ? e.saved_errno : EIO;
	ns_free(ns);
	return 0;
}

static int try_userns(void)
{
	return unshare(CLONE_NEWUSER) ? errno : 0;
}

static int try_clone_userns(void)
{
	long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0)
		_exit(0);
	if (pid < 0)
		return errno;
	waitpid((pid_t)pid, NULL, 0);
	return 0;
}

static int try_mount(void)
{
	/* without the wall: ENOENT, and nothing is mounted */
	return mount("x", "/nowhere/at/all", "tmpfs", 0, NULL) ? errno : 0;
}

static int try_signal(void)
{
	return kill(getppid(), 0) ? errno : 0;
}

static int try_exec(void)
{
	char *argv[] = {"true", NULL};
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		execv("/usr/bin/true", argv);
		_exit(errno);
	}
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static int try_setuid(void)
{
	return setuid(65534) ? errno : 0;
}

static int try_tiocsti(void)
{
	/* a bad descriptor tells that the filter let it pass */
	return ioctl(-1, TIOCSTI, "x") ? errno : 0;
}

static void *nothing(void *arg)
{
	return arg;
}

static int try_thread(void)
{
	pthread_t t;
	int r = pthread_create(&t, NULL, nothing, NULL);

	return r ? r : pthread_join(t, NULL);
}

static int try_library(void)
{
	return open_close("/usr/lib", O_RDONLY | O_DIRECTORY);
}

/* wall: what has to be there in the kernel for the refusal. */
enum wall { OPEN, FILES, CALLS };

static const struct attempt {
	const char *name;
	int (*fn)(void);
	enum wall wall;
	int expected; /* with the wall; without it anything goes */
} attempts[] = {
	{"read what is named", try_read_in, OPEN, 0},
	{"read below /usr/lib", try_library, OPEN, 0},
	{"make, rename and remove in a folder that is written", try_make_out, OPEN, 0},
	{"start a thread", try_thread, OPEN, 0},
	{"read /etc/shadow", try_shadow, FILES, EACCES},
	{"write what is only read", try_write_in, FILES, EACCES},
	{"make a file in what is only read", try_make_in, FILES, EACCES},
	{"truncate what is only read", try_truncate_in, FILES, EACCES},
	{"remove what is only read", try_remove_in, FILES, EACCES},
	{"read the folder beside", try_hidden, FILES, EACCES},
	{"read through a link that leads out", try_link_to_hidden, FILES, EACCES},
	{"move a file out", try_move_out, FILES, EACCES},
	{"read of another process", try_proc, FILES, EACCES},
	{"make an internet socket", try_socket, CALLS, EPERM},
	{"make a netlink socket", try_netlink, CALLS, EPERM},
	{"make a network namespace", try_netns, CALLS, EPERM},
	{"make a user namespace", try_userns, CALLS, EPERM},
	{"make a user namespace by clone", try_clone_userns, CALLS, EPERM},
	{"mount", try_mount, CALLS, EPERM},
	{"signal another process", try_signal, CALLS, EPERM},
	{"run a program", try_exec, CALLS, EPERM},
	{"become another user", try_setuid, CALLS, EPERM},
	{"type into the terminal", try_tiocsti, CALLS, EPERM},
};

/* The sanitizers read /proc/self and signal and trace, see base/sandbox.c. */
static bool is_sanitizers(const struct attempt *a)
{
#if defined(__SANITIZE_ADDRESS__)
	return a->fn == try_proc || a->fn == try_signal;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
	return a->fn == try_proc || a->fn == try_signal;
#else
	return false;
#endif
#else
	return false;
#endif
}

/* What fn answers in a child that entered the sandbox first; -1: it could not. */
static int in_sandbox(int (*enter)(struct err *e), int (*fn)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		struct err e = ERR_INIT;

		if (enter(&e)) {
			fprintf(stderr, "%s\n", e.msg);
			_exit(255);
		}
		_exit(fn());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) == 255)
		return -1;
	return WEXITSTATUS(status);
}

static int enter_plain(struct err *e)
{
	char in[80], out[80];
	const struct sandbox_path paths[] = {
		{in, SANDBOX_READ}, {out, SANDBOX_WRITE}, {"/nowhere/at/all", SANDBOX_READ}};

	snprintf(in, sizeof(in), "%s/in", top);
	snprintf(out, sizeof(out), "%s/out", top);
	return sandbox_enter(paths, ARRAY_SIZE(paths), 0, e);
}

static int enter_exec(struct err *e)
{
	return sandbox_enter(NULL, 0, SANDBOX_EXEC, e);
}

/* The command line "nsimg X TOP/in/file DATABASE@3" of a command that only reads. */
static int enter_reader(struct err *e)
{
	static const struct cmd reader = {.name = "x", .flags = CMD_DATABASE};
	char db[80];
	const char *words[] = {at("in/file"), db};

	snprintf(db, sizeof(db), "%s/hidden/file@3", top);
	return cli_sandbox_enter(&reader, words, ARRAY_SIZE(words), e);
}

/* "nsimg import TOP/out/new.db": the database is not there yet. */
static int enter_writer(struct err *e)
{
	static const struct cmd writer = {.name = "x", .flags = CMD_WRITES};
	const char *words[] = {at("out/new.db"), at("in")};

	return cli_sandbox_enter(&writer, words, ARRAY_SIZE(words), e);
}

static bool has_seccomp(void)
{
	uint32_t kill_it = 0x80000000u; /* SECCOMP_RET_KILL_PROCESS */

	return !syscall(SYS_seccomp, 2 /* SECCOMP_GET_ACTION_AVAIL */, 0, &kill_it);
}

static void test_attempts(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(attempts); i++) {
		const struct attempt *a = &attempts[i];
		int got;

		if ((a->wall == FILES && sandbox_landlock_abi() < 3) ||
		    (a->wall == CALLS && !has_seccomp())) {
			print_message("not tried, the kernel has no such wall: %s\n", a->name);
			continue;
		}
		if (is_sanitizers(a))
			continue;
		got = in_sandbox(enter_plain, a->fn);
		if (got != a->expected)
			fail_msg("%s: %s, expected %s", a->name,
				 got < 0 ? "no answer" : strerror(got), strerror(a->expected));
	}
}

static void test_exec_where_declared(void **state)
{
	assert_int_equal(in_sandbox(enter_exec, try_exec), 0);
	if (sandbox_landlock_abi())
		assert_int_equal(in_sandbox(enter_exec, try_shadow), EACCES);
}

static void test_words_of_a_command(void **state)
{
	static const struct {
		const char *name;
		int (*enter)(struct err *e);
		int (*fn)(void);
		int expected;
	} rows[] = {
		{"a reader reads its file", enter_reader, try_read_in, 0},
		{"a reader reads DB of DB@ID", enter_reader, try_hidden, 0},
		{"a reader writes nothing", enter_reader, try_write_in, EACCES},
		{"a reader makes nothing beside it", enter_reader, try_make_in, EACCES},
		{"a writer makes files beside its database", enter_writer, try_make_out, 0},
		{"a writer reads its images", enter_writer, try_read_in, 0},
		{"a writer does not write its images", enter_writer, try_write_in, EACCES},
		{"a writer reads nothing else", enter_writer, try_hidden, EACCES},
	};

	if (sandbox_landlock_abi() < 3)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int got = in_sandbox(rows[i].enter, rows[i].fn);

		if (got != rows[i].expected)
			fail_msg("%s: %s", rows[i].name, got < 0 ? "no answer" : strerror(got));
	}
}

static int setup(void **state)
{
	strcpy(top, "/tmp/nsimg-sandbox-XXXXXX");
	if (!mkdtemp(top) || mkdir(at("in"), 0700) || mkdir(at("out"), 0700) ||
	    mkdir(at("hidden"), 0700) || open_close(at("in/file"), O_CREAT | O_WRONLY) ||
	    open_close(at("hidden/file"), O_CREAT | O_WRONLY))
		return -1;
	return symlink("../hidden/file", at("in/link"));
}

static int teardown(void **state)
{
	static const char *const files[] = {"in/file", "in/link", "hidden/file", "out/moved"};
	static const char *const folders[] = {"in", "out", "hidden"};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		unlink(at(files[i]));
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		rmdir(at(folders[i]));
	return rmdir(top);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_attempts),
		cmocka_unit_test(test_exec_where_declared),
		cmocka_unit_test(test_words_of_a_command),
	};

	return cmocka_run_group_tests_name("sandbox", tests, setup, teardown);
}
