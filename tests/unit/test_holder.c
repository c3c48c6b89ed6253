/* Holders: which numbers their sockets get, in which namespace sockets are made, when they may enter their
 * own, what is left of them after the commit. What is asserted comes from /proc, kcmp(2) and getsockopt(2). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/caps.h"
#include "base/cleanup.h"
#include "base/ns.h"
#include "restorer/forker.h"
#include "restorer/holder.h"

enum { NS_A = 11, NS_B = 12, LAST_NUMBER = 1 << 30 };

/* A restore in small: two namespaces in a store, tasks and sockets made by hand. */
struct scene {
	struct ns *a, *b;
	struct sk_specs specs;
	struct sk_file files[1200];
	struct sk_task tasks[3];
	struct sk_fd fds[3][1200];
	struct holder_env env;
};

static int setup(void **state)
{
	struct err e = ERR_INIT;
	struct scene *s = calloc(1, sizeof(*s));

	s->a = ns_new(&e);
	s->b = s->a ? ns_new(&e) : NULL;
	if (!s->b) {
		print_message("cannot make network namespaces: %s\n", e.msg);
		free(s);
		*state = NULL;
		return 0;
	}
	s->env.store = store_new(&e);
	assert_non_null(s->env.store);
	assert_int_equal(store_put(s->env.store, STORE_NETNS, NS_A, ns_fd(s->a), &e), 0);
	assert_int_equal(store_put(s->env.store, STORE_NETNS, NS_B, ns_fd(s->b), &e), 0);
	s->env.specs = &s->specs;
	s->env.root = "/";
	s->specs.files = s->files;
	s->specs.tasks = s->tasks;
	*state = s;
	return 0;
}

/* Forget what the scene holds, for the next row of a table. */
static void empty(struct scene *s)
{
	for (size_t i = 0; i < s->specs.n_files; i++)
		free(s->files[i].label);
	s->specs.n_files = s->specs.n_tasks = 0;
}

static int teardown(void **state)
{
	struct scene *s = *state;

	if (!s)
		return 0;
	store_free(s->env.store);
	ns_free(s->a);
	ns_free(s->b);
	empty(s);
	free(s);
	return 0;
}

static size_t add_file(struct scene *s, int64_t netns, size_t creator)
{
	size_t n = s->specs.n_files++;
	struct sk_file *f = &s->files[n];

	*f = (struct sk_file){.kind = SK_INET,
			      .netns = netns,
			      .family = AF_INET,
			      .type = SOCK_DGRAM,
			      .uid = -1,
			      .creator = creator};
	f->un.peer = f->un.pair = SK_NONE;
	assert_true(asprintf(&f->label, "udp number %zu", n) > 0);
	return n;
}

static struct sk_task *add_task(struct scene *s, const char *comm, int64_t netns)
{
	struct sk_task *t = &s->tasks[s->specs.n_tasks];

	*t = (struct sk_task){.row = 1,
			      .pid = 100,
			      .netns = netns,
			      .userns = -1,
			      .fds = s->fds[s->specs.n_tasks++]};
	snprintf(t->comm, sizeof(t->comm), "%s", comm);
	return t;
}

/* Numbers in growing order. */
static void give(struct sk_task *t, int fd, size_t file, bool cloexec)
{
	t->fds[t->n_fds++] = (struct sk_fd){fd, file, cloexec};
}

static void ask(struct holder *h, enum holder_op op, size_t file)
{
	struct err e = ERR_INIT;
	struct buf notes = {0};

	if (holder_ask(h, op, file, 0, -1, NULL, &notes, &e))
		fail_msg("%s", e.msg);
	assert_int_equal(notes.len, 0);
	buf_free(&notes);
}

/* A holder that has said that it is ready, or NULL. */
static struct holder *start(struct scene *s, size_t task, struct err *e)
{
	struct forker *f = forker_new(&s->env, e);
	struct holder *h = NULL;
	struct buf notes = {0};
	int rc;

	assert_non_null(f);
	rc = forker_store(f, s->env.store, e) || holders_start(f, s->tasks, task, 1, &h, e);
	if (!rc && holder_hear(h, NULL, &notes, e)) {
		holder_free(h);
		h = NULL;
	}
	buf_free(&notes);
	return h;
}

/* The whole life of the holder of task 0, up to the commit; it goes on living. */
static pid_t run_holder(struct scene *s)
{
	struct err e = ERR_INIT;
	struct holder *h = start(s, 0, &e);
	pid_t pid;

	if (!h)
		fail_msg("%s", e.msg);
	for (size_t i = 0; i < s->specs.n_files; i++)
		ask(h, HOLDER_CREATE, i);
	for (size_t i = 0; i < s->specs.n_files; i++)
		ask(h, HOLDER_FINISH, i);
	ask(h, HOLDER_ENTER, 0);
	ask(h, HOLDER_COMMIT, 0);
	pid = holder_pid(h);
	holder_free(h);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static bool link_is(pid_t pid, const char *what, const char *begins)
{
	char path[80], target[80] = "";

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, what);
	return readlink(path, target, sizeof(target) - 1) > 0 &&
	       !strncmp(target, begins, strlen(begins));
}

static bool fd_is(pid_t pid, int fd, const char *begins)
{
	char what[32];

	snprintf(what, sizeof(what), "fd/%d", fd);
	return link_is(pid, what, begins);
}

/* Its descriptors are those of task 0 and /dev/null at what is left of 0, 1, 2: nothing else. */
static void check_numbers(const struct scene *s, pid_t pid)
{
	const struct sk_task *t = &s->tasks[0];
	char path[64];
	DIR *d;
	struct dirent *de;
	size_t n = 0;

	for (size_t i = 0; i < t->n_fds; i++)
		if (!fd_is(pid, t->fds[i].fd, "socket:["))
			fail_msg("number %d is no socket", t->fds[i].fd);
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	while ((de = readdir(d))) {
		if (de->d_name[0] == '.' || sk_task_wants(t, atoi(de->d_name)))
			continue;
		if (atoi(de->d_name) > 2 || !fd_is(pid, atoi(de->d_name), "/dev/null"))
			fail_msg("descriptor %s is left", de->d_name);
		n++;
	}
	closedir(d);
	assert_in_range(n, 0, 3);
}

static void test_numbers(void **state)
{
	static const struct {
		const char *name;
		int numbers[8]; /* ends with -1 */
	} rows[] = {
		{"none", {-1}},
		{"standard three", {0, 1, 2, -1}},
		{"the first free ones", {3, 4, 5, 6, 7, 8, 9, -1}},
		{"3 and 1023", {3, 1023, -1}},
		{"beyond the soft limit", {5, 5000, -1}},
		{"the last below the limit", {3, LAST_NUMBER, -1}},
	};
	struct scene *s = *state;
	struct rlimit limit;
	pid_t pid;
	int last;

	if (!s)
		skip();
	getrlimit(RLIMIT_NOFILE, &limit);
	last = limit.rlim_max > 1000000 ? 999999 : (int)limit.rlim_max - 1;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		empty(s);
		add_task(s, "numbers", NS_A);
		for (const int *n = rows[i].numbers; *n >= 0; n++)
			give(&s->tasks[0], *n == LAST_NUMBER ? last : *n, add_file(s, NS_A, 0),
			     false);
		print_message("%s\n", rows[i].name);
		pid = run_holder(s);
		check_numbers(s, pid);
		end(pid);
	}
}

static struct rlimit set_limit(rlim_t soft, rlim_t hard)
{
	struct rlimit old, now = {soft, hard};

	getrlimit(RLIMIT_NOFILE, &old);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
	return old;
}

/* The task needs every number below its (soft) limit: service descriptors go beyond it, and the limit is
 * what it was afterwards. */
static void test_all_numbers(void **state)
{
	struct scene *s = *state;
	struct rlimit now, old;
	pid_t pid;
	int status;

	if (!s)
		skip();
	getrlimit(RLIMIT_NOFILE, &old);
	if (old.rlim_max < 1100 && !caps_has(CAP_SYS_RESOURCE)) {
		print_message("a hard limit of %llu, and no CAP_SYS_RESOURCE to raise it\n",
			      (unsigned long long)old.rlim_max);
		skip();
	}
	add_task(s, "all", NS_A);
	for (int n = 0; n < 1024; n++)
		give(&s->tasks[0], n, add_file(s, NS_A, 0), false);
	pid = fork();
	if (pid == 0) {
		pid_t holder;

		rlim_t hard = old.rlim_max < 1100 ? 1024 : old.rlim_max;

		set_limit(1024, hard);
		holder = run_holder(s);
		check_numbers(s, holder);
		prlimit(holder, RLIMIT_NOFILE, NULL, &now);
		end(holder);
		_exit(now.rlim_cur == 1024 && now.rlim_max == hard ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

/* Where the limit cannot be raised: gaps are used, and without enough of them the error says why. */
static void child_near_limit(struct scene *s)
{
	struct err e = ERR_INIT;
	pid_t holder;
	cap_t caps;
	cap_value_t v = CAP_SYS_RESOURCE;

	set_limit(64, 64);
	caps = cap_get_proc();
	cap_set_flag(caps, CAP_EFFECTIVE, 1, &v, CAP_CLEAR);
	cap_set_flag(caps, CAP_PERMITTED, 1, &v, CAP_CLEAR);
	if (cap_set_proc(caps))
		_exit(9);
	holder = run_holder(s);
	check_numbers(s, holder);
	end(holder);
	s->specs.n_files = s->specs.n_tasks = 0;
	add_task(s, "full", NS_A);
	for (int n = 0; n < 64; n++)
		give(&s->tasks[0], n, add_file(s, NS_A, 0), false);
	if (start(s, 0, &e))
		_exit(2);
	if (e.code != ERR_RANGE || !strstr(e.msg, "limit of open files"))
		_exit(3);
	s->specs.n_files = s->specs.n_tasks = 0;
	add_task(s, "beyond", NS_A);
	give(&s->tasks[0], 64, add_file(s, NS_A, 0), false);
	if (start(s, 0, &e))
		_exit(4);
	_exit(e.code == ERR_RANGE && strstr(e.msg, "64") ? 0 : 5);
}

static void test_near_limit(void **state)
{
	struct scene *s = *state;
	int status;
	pid_t pid;

	if (!s)
		skip();
	add_task(s, "near", NS_A);
	/* 3 and the last one, 48 of 64 in all */
	for (int n = 0; n < 64; n++)
		if (n < 4 || n > 19)
			give(&s->tasks[0], n, add_file(s, NS_A, 0), false);
	pid = fork();
	if (pid == 0)
		child_near_limit(s);
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

/* A duplicate of a holder's descriptor. */
static int borrow(pid_t pid, int fd)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	int got = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);

	close(pidfd);
	return got;
}

static uint64_t socket_netns(pid_t pid, int fd)
{
	struct err e = ERR_INIT;
	int got = borrow(pid, fd);
	auto_ns struct ns *ns = ns_of_socket(got, &e);

	close(got);
	return ns ? ns_ino(ns) : 0;
}

static uint64_t task_netns(pid_t pid)
{
	struct err e = ERR_INIT;
	auto_ns struct ns *ns = ns_open_pid(pid, &e);

	return ns ? ns_ino(ns) : 0;
}

/* Sockets of two namespaces in one task; its own namespace last, and not before all are there. */
static void test_namespaces(void **state)
{
	struct scene *s = *state;
	struct err e = ERR_INIT;
	auto_buf struct buf notes = {0};
	struct holder *h;
	size_t a, b;

	if (!s)
		skip();
	add_task(s, "two", NS_B);
	a = add_file(s, NS_A, 0);
	b = add_file(s, NS_B, 0);
	give(&s->tasks[0], 5, a, false);
	give(&s->tasks[0], 6, b, false);
	h = start(s, 0, &e);
	ask(h, HOLDER_CREATE, b);
	assert_int_equal(holder_ask(h, HOLDER_ENTER, 0, 0, -1, NULL, &notes, &e), -1);
	assert_int_equal(e.code, ERR_NOTFOUND);
	assert_non_null(strstr(e.msg, "descriptor 5"));
	/* it has not entered for good: it still may go where the socket is needed */
	ask(h, HOLDER_CREATE, a);
	assert_int_equal(task_netns(holder_pid(h)), ns_ino(s->a));
	ask(h, HOLDER_ENTER, 0);
	assert_int_equal(task_netns(holder_pid(h)), ns_ino(s->b));
	assert_int_equal(socket_netns(holder_pid(h), 5), ns_ino(s->a));
	assert_int_equal(socket_netns(holder_pid(h), 6), ns_ino(s->b));
	/* and there is no way back: the store is closed, the capabilities are gone */
	assert_int_equal(holder_ask(h, HOLDER_CONNECT, a, 0, -1, NULL, &notes, &e), -1);
	holder_free(h);
}

static int same_file(pid_t p1, int fd1, pid_t p2, int fd2)
{
	return (int)syscall(SYS_kcmp, p1, p2, KCMP_FILE, (unsigned long)fd1, (unsigned long)fd2);
}

static bool is_cloexec(pid_t pid, int fd)
{
	char path[64], line[128];
	unsigned flags = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", (int)pid, fd);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "flags: %o", &flags) == 1)
			break;
	fclose(f);
	return flags & O_CLOEXEC;
}

/* One open file at three numbers of two tasks, each with its own close-on-exec flag. */
static void test_share(void **state)
{
	struct scene *s = *state;
	struct err e = ERR_INIT;
	auto_buf struct buf notes = {0};
	struct holder *one, *two;
	size_t f, g;
	int fd = -1;

	if (!s)
		skip();
	add_task(s, "one", NS_A);
	add_task(s, "two", NS_B);
	f = add_file(s, NS_A, 0);
	g = add_file(s, NS_A, 0);
	give(&s->tasks[0], 3, f, false);
	give(&s->tasks[0], 9, f, true);
	give(&s->tasks[0], 10, g, false);
	give(&s->tasks[1], 3, f, true);
	one = start(s, 0, &e);
	two = start(s, 1, &e);
	ask(one, HOLDER_CREATE, f);
	ask(one, HOLDER_CREATE, g);
	assert_int_equal(holder_ask(one, HOLDER_GIVE, f, 0, -1, &fd, &notes, &e), 0);
	assert_int_equal(holder_ask(two, HOLDER_TAKE, f, 0, fd, NULL, &notes, &e), 0);
	close(fd);
	assert_int_equal(same_file(holder_pid(one), 3, holder_pid(one), 9), 0);
	assert_int_equal(same_file(holder_pid(one), 3, holder_pid(two), 3), 0);
	assert_int_not_equal(same_file(holder_pid(one), 3, holder_pid(one), 10), 0);
	assert_false(is_cloexec(holder_pid(one), 3));
	assert_true(is_cloexec(holder_pid(one), 9));
	assert_true(is_cloexec(holder_pid(two), 3));
	holder_free(one);
	holder_free(two);
}

static uint64_t status_field(pid_t pid, const char *name)
{
	char path[64], line[256];
	uint64_t v = UINT64_MAX;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			v = strtoull(line + strlen(name) + 1, NULL, 16);
	if (f)
		fclose(f);
	return v;
}

static bool is_gone(pid_t pid)
{
	for (int i = 0; i < 3000; i++) {
		if (kill(pid, 0) && errno == ESRCH)
			return true;
		waitpid(pid, NULL, WNOHANG);
		nanosleep(&(struct timespec){0, 10000000}, NULL);
	}
	return false;
}

/* What it is after the commit: nothing that could do harm, and not ended by what ends a shell's children. */
static void test_life(void **state)
{
	static const int harmless[] = {SIGINT, SIGHUP, SIGPIPE, SIGIO, SIGURG, SIGUSR1, SIGALRM};
	struct scene *s = *state;
	char path[64], comm[32] = "";
	FILE *f;
	pid_t pid;

	if (!s)
		skip();
	add_task(s, "a-name-of-15-ch", NS_A);
	pid = run_holder(s);
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	f = fopen(path, "r");
	assert_non_null(fgets(comm, sizeof(comm), f));
	fclose(f);
	assert_string_equal(comm, "nsimg:a-name-of\n");
	assert_int_equal(status_field(pid, "CapEff:"), 0);
	assert_int_equal(status_field(pid, "CapPrm:"), 0);
	assert_int_equal(status_field(pid, "CapBnd:"), 0);
	assert_int_equal(status_field(pid, "NoNewPrivs:"), 1);
	assert_int_equal(getsid(pid), pid);
	assert_true(link_is(pid, "cwd", "/"));
	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
		kill(pid, harmless[i]);
	nanosleep(&(struct timespec){0, 50000000}, NULL);
	assert_int_equal(kill(pid, 0), 0);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	kill(pid, SIGTERM);
	assert_true(is_gone(pid));
}

/* The restorer is killed before the commit: its holder ends by itself. */
static void test_without_restorer(void **state)
{
	struct scene *s = *state;
	struct err e = ERR_INIT;
	pid_t restorer, holder;
	int pipe_fds[2];

	if (!s)
		skip();
	add_task(s, "orphan", NS_A);
	give(&s->tasks[0], 3, add_file(s, NS_A, 0), false);
	assert_int_equal(pipe(pipe_fds), 0);
	restorer = fork();
	if (restorer == 0) {
		struct holder *h = start(s, 0, &e);

		ask(h, HOLDER_CREATE, 0);
		ask(h, HOLDER_ENTER, 0);
		holder = holder_pid(h);
		if (write(pipe_fds[1], &holder, sizeof(holder)) != sizeof(holder))
			_exit(1);
		pause();
	}
	assert_int_equal(read(pipe_fds[0], &holder, sizeof(holder)), sizeof(holder));
	assert_int_equal(kill(holder, 0), 0);
	kill(restorer, SIGKILL);
	waitpid(restorer, NULL, 0);
	assert_true(is_gone(holder));
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_numbers), T(test_all_numbers), T(test_near_limit),       T(test_namespaces),
		T(test_share),   T(test_life),        T(test_without_restorer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
