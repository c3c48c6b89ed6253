/* The parts of the dumper that look at tasks: /proc, targets, the freeze. Children are made by the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/u64map.h"
#include "dumper/freeze.h"
#include "dumper/proc.h"
#include "dumper/target.h"

static char state_of(pid_t pid)
{
	struct err e = ERR_INIT;
	struct proc_stat st;

	return proc_stat_read(pid, &st, &e) ? '?' : st.state;
}

/* The state becomes one of these, within the patience one has on a busy machine. */
static bool comes_to(const char *states, pid_t pid)
{
	for (int ms = 0; ms < 30000; ms++) {
		if (strchr(states, state_of(pid)))
			return true;
		usleep(1000);
	}
	return false;
}

static bool is_called(pid_t pid, const char *comm)
{
	struct err e = ERR_INIT;
	struct proc_stat st;

	return !proc_stat_read(pid, &st, &e) && !strcmp(st.comm, comm);
}

/* A child that counts in shared memory until it is killed. */
static pid_t spinner(const char *comm)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, comm);
		for (;;)
			usleep(1000);
	}
	assert_true(pid > 0);
	for (int ms = 0; ms < 30000 && !is_called(pid, comm); ms++)
		usleep(1000);
	return pid;
}

static void reap(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void test_proc_stat_comm(void **s)
{
	static const char *const comms[] = {"plain", "with space", "a) S 1 (b", "((((", "x"};

	for (size_t i = 0; i < sizeof(comms) / sizeof(*comms); i++) {
		struct err e = ERR_INIT;
		struct proc_stat st;
		pid_t pid = spinner(comms[i]);

		assert_int_equal(proc_stat_read(pid, &st, &e), 0);
		assert_string_equal(st.comm, comms[i]);
		assert_int_equal(st.ppid, getpid());
		assert_int_equal(st.pgid, getpgid(pid));
		assert_int_equal(st.sid, getsid(pid));
		assert_true(st.start_time > 0);
		assert_false(st.is_kernel);
		reap(pid);
		assert_int_equal(proc_stat_read(pid, &st, &e), -1);
		assert_int_equal(e.code, ERR_GONE);
	}
}

static int fd_seen(int fd, const char *target, void *arg, struct err *e)
{
	uint64_t *want = arg, ino;

	if (fd == (int)want[0] && proc_link_ino(target, "socket", &ino))
		want[1] = ino;
	return 0;
}

static void test_proc_fds(void **s)
{
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint64_t want[2] = {(uint64_t)sock, 0};
	struct err e = ERR_INIT;
	struct stat st;
	uint32_t flags = 0;

	assert_int_equal(fstat(sock, &st), 0);
	assert_int_equal(proc_each_fd(getpid(), fd_seen, want, &e), 0);
	assert_int_equal(want[1], st.st_ino);
	assert_int_equal(proc_fd_flags(getpid(), sock, &flags, &e), 0);
	assert_int_equal(flags & (O_ACCMODE | O_CLOEXEC), O_RDWR | O_CLOEXEC);
	close(sock);
}

static int no_miss(pid_t pid, pid_t tid, const char *why, void *arg, struct err *e)
{
	++*(int *)arg;
	return 0;
}

static void test_freeze_stops_and_lets_go(void **s)
{
	struct err e = ERR_INIT;
	pid_t pid = spinner("frozen");
	struct pid_list list = {0};
	struct freeze *f = freeze_new(0, &e);
	int missed = 0;

	assert_int_equal(pid_list_add(&list, pid, &e), 0);
	assert_int_equal(freeze_tasks(f, &list, true, no_miss, &missed, &e), 0);
	assert_int_equal(missed, 0);
	assert_int_equal(state_of(pid), 't');
	freeze_free(f);
	assert_true(comes_to("SR", pid));
	free(list.ids);
	reap(pid);
}

static void test_freeze_ends_with_a_killed_dumper(void **s)
{
	pid_t target = spinner("survivor"), dumper;
	int up[2];
	char c;

	assert_int_equal(pipe(up), 0);
	dumper = fork();
	if (!dumper) {
		struct err e = ERR_INIT;
		struct pid_list list = {0};
		struct freeze *f = freeze_new(0, &e);
		int missed = 0;

		if (pid_list_add(&list, target, &e) ||
		    freeze_tasks(f, &list, true, no_miss, &missed, &e) || write(up[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(up[0], &c, 1), 1);
	assert_int_equal(state_of(target), 't');
	reap(dumper);
	assert_true(comes_to("SR", target));
	reap(target);
	close(up[0]);
	close(up[1]);
}

static void test_freeze_reports_a_traced_task(void **s)
{
	struct err e = ERR_INIT;
	pid_t target = spinner("traced"), tracer;
	struct pid_list list = {0};
	struct freeze *f = freeze_new(0, &e);
	int up[2], missed = 0;
	char c;

	assert_int_equal(pipe(up), 0);
	tracer = fork();
	if (!tracer) {
		if (ptrace(PTRACE_SEIZE, target, NULL, NULL) || write(up[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(up[0], &c, 1), 1);
	assert_int_equal(pid_list_add(&list, target, &e), 0);
	assert_int_equal(freeze_tasks(f, &list, true, no_miss, &missed, &e), 0);
	assert_int_equal(missed, 1);
	freeze_free(f);
	/* who traces it is known and has stopped it: nothing is missed then, and it stays that one's */
	f = freeze_new(tracer, &e);
	assert_int_equal(freeze_tasks(f, &list, true, no_miss, &missed, &e), 0);
	assert_int_equal(missed, 1);
	freeze_free(f);
	/* and a task that somebody else traces, or nobody, is an error */
	f = freeze_new(getpid(), &e);
	assert_int_equal(freeze_tasks(f, &list, true, no_miss, &missed, &e), -1);
	assert_int_equal(e.code, ERR_CONFLICT);
	freeze_free(f);
	free(list.ids);
	reap(tracer);
	reap(target);
	close(up[0]);
	close(up[1]);
}

/* A signal that comes while the task stands still arrives afterwards. */
static void test_freeze_keeps_signals(void **s)
{
	struct err e = ERR_INIT;
	struct pid_list list = {0};
	struct freeze *f;
	int missed = 0, status;
	pid_t pid = spinner("signalled");

	f = freeze_new(0, &e);
	assert_int_equal(pid_list_add(&list, pid, &e), 0);
	assert_int_equal(freeze_tasks(f, &list, true, no_miss, &missed, &e), 0);
	kill(pid, SIGTERM);
	usleep(10000);
	assert_int_equal(state_of(pid), 't');
	freeze_free(f);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGTERM);
	free(list.ids);
}

static void test_freeze_follows_children(void **s)
{
	struct err e = ERR_INIT;
	struct pid_list list = {0};
	struct freeze *f;
	int missed = 0, up[2];
	pid_t parent, child;

	assert_int_equal(pipe(up), 0);
	parent = fork();
	if (!parent) {
		child = fork();
		if (child && write(up[1], &child, sizeof(child)) != sizeof(child))
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(up[0], &child, sizeof(child)), sizeof(child));
	f = freeze_new(0, &e);
	assert_int_equal(pid_list_add(&list, parent, &e), 0);
	assert_int_equal(freeze_tasks(f, &list, true, no_miss, &missed, &e), 0);
	assert_true(pid_list_has(&list, child));
	assert_int_equal(state_of(child), 't');
	freeze_free(f);
	free(list.ids);
	kill(child, SIGKILL);
	reap(parent);
	close(up[0]);
	close(up[1]);
}

static void test_target_errors(void **s)
{
	static const struct {
		struct target target;
		enum err_code code;
		const char *names;
	} rows[] = {
		{{TARGET_PID, "x"}, ERR_USAGE, "x"},
		{{TARGET_PID, "-1"}, ERR_USAGE, "-1"},
		{{TARGET_PID, "4194305"}, ERR_NOTFOUND, "4194305"},
		{{TARGET_PID, "2"}, ERR_USAGE, "kernel thread"},
		{{TARGET_NETNS, "/nonexistent/ns"}, ERR_NOTFOUND, "/nonexistent/ns"},
		{{TARGET_NETNS, "/etc/passwd"}, ERR_FORMAT, "/etc/passwd"},
		{{TARGET_CGROUP, "/no/such/group"}, ERR_NOTFOUND, "/no/such/group"},
		{{TARGET_UNIT, "nothing-like-that"}, ERR_NOTFOUND, "nothing-like-that.service"},
		{{TARGET_UNIT, "a/b"}, ERR_USAGE, "a/b"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct pid_list list = {0};
		struct err e = ERR_INIT;

		if (rows[i].target.what[0] == '2' && access("/proc/2/exe", F_OK) == 0)
			continue; /* in a container pid 2 is an ordinary task */
		if (rows[i].target.what[0] == '2' && state_of(2) == '?')
			continue;
		if (target_tasks(&rows[i].target, 1, &list, &e) != -1 || e.code != rows[i].code ||
		    !strstr(e.msg, rows[i].names))
			fail_msg("row %zu (%s): code %s, '%s'", i, rows[i].target.what,
				 err_code_name(e.code), e.msg);
		free(list.ids);
	}
}

static void test_u64map(void **s)
{
	struct u64map m = {0};
	struct err e = ERR_INIT;
	uint32_t v = 7;

	assert_false(u64map_find(&m, 0, &v));
	for (uint32_t i = 0; i < 5000; i++)
		assert_int_equal(u64map_put(&m, (uint64_t)i << 32 | (i & 1), i, &e), 0);
	assert_int_equal(m.n, 5000);
	for (uint32_t i = 0; i < 5000; i++) {
		assert_true(u64map_find(&m, (uint64_t)i << 32 | (i & 1), &v));
		assert_int_equal(v, i);
	}
	assert_int_equal(u64map_put(&m, 0, 99, &e), 0);
	assert_true(u64map_find(&m, 0, &v));
	assert_int_equal(v, 99);
	assert_int_equal(m.n, 5000);
	u64map_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_proc_stat_comm),
		cmocka_unit_test(test_proc_fds),
		cmocka_unit_test(test_freeze_stops_and_lets_go),
		cmocka_unit_test(test_freeze_ends_with_a_killed_dumper),
		cmocka_unit_test(test_freeze_reports_a_traced_task),
		cmocka_unit_test(test_freeze_keeps_signals),
		cmocka_unit_test(test_freeze_follows_children),
		cmocka_unit_test(test_target_errors),
		cmocka_unit_test(test_u64map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
