/* The descriptor store: what goes in comes out as a duplicate, in any process, any number of times. */
#include <fcntl.h>
#include <signal.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/ns.h"
#include "restorer/store.h"

static bool is_allowed(void)
{
	struct err e = ERR_INIT;
	auto_ns struct ns *ns = ns_new(&e);

	if (!ns)
		print_message("[  SKIPPED ] cannot make a network namespace: %s\n", e.msg);
	return ns;
}

static uint64_t ino_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? 0 : st.st_ino;
}

static void test_put_take(void **state)
{
	struct err e = ERR_INIT;
	auto_store struct store *s = NULL, *other = NULL;
	auto_ns struct ns *a = NULL, *b = NULL;
	int fd;

	if (!is_allowed())
		skip();
	s = store_new(&e);
	assert_non_null(s);
	a = ns_new(&e);
	b = ns_new(&e);
	assert_int_equal(store_put(s, STORE_NETNS, 7, ns_fd(a), &e), 0);
	assert_int_equal(store_put(s, STORE_NETNS, 9, ns_fd(b), &e), 0);
	/* the other kind has its own numbers */
	assert_int_equal(store_put(s, STORE_USERNS, 9, ns_fd(a), &e), 0);
	assert_int_equal(store_put(s, STORE_NETNS, 7, ns_fd(a), &e), -1);
	assert_int_equal(e.code, ERR_EXISTS);
	for (int i = 0; i < 3; i++) {
		fd = store_take(s, STORE_NETNS, 9, &e);
		assert_int_equal(ino_of(fd), ns_ino(b));
		assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
		close(fd);
		fd = store_take(s, STORE_NETNS, 7, &e);
		assert_int_equal(ino_of(fd), ns_ino(a));
		close(fd);
		fd = store_take(s, STORE_USERNS, 9, &e);
		assert_int_equal(ino_of(fd), ns_ino(a));
		close(fd);
	}
	assert_int_equal(store_take(s, STORE_NETNS, 8, &e), -1);
	assert_int_equal(e.code, ERR_NOTFOUND);
	/* one that has nothing but its descriptor finds the same there */
	other = store_from_fd(dup(store_fd(s)), &e);
	assert_non_null(other);
	fd = store_take(other, STORE_USERNS, 9, &e);
	assert_int_equal(ino_of(fd), ns_ino(a));
	close(fd);
	fd = store_take(other, STORE_NETNS, 9, &e);
	assert_int_equal(ino_of(fd), ns_ino(b));
	close(fd);
	assert_int_equal(store_take(other, STORE_NETNS, 8, &e), -1);
}

/* The store alone keeps what is in it alive. */
static void test_keeps_alive(void **state)
{
	struct err e = ERR_INIT;
	auto_store struct store *s = NULL;
	struct ns *ns;
	uint64_t ino;
	int fd;

	if (!is_allowed())
		skip();
	s = store_new(&e);
	ns = ns_new(&e);
	ino = ns_ino(ns);
	assert_int_equal(store_put(s, STORE_NETNS, 1, ns_fd(ns), &e), 0);
	ns_free(ns);
	fd = store_take(s, STORE_NETNS, 1, &e);
	assert_int_equal(ino_of(fd), ino);
	close(fd);
}

static int n_open(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* More descriptors than fit under the default limit of open files and max_dgram_qlen; each is one of four
 * files, so that a mix-up would show. */
static void test_many(void **state)
{
	enum { N = 3000 };
	struct err e = ERR_INIT;
	auto_store struct store *s = NULL;
	int base[4], before;

	if (!is_allowed())
		skip();
	s = store_new(&e);
	for (int i = 0; i < 4; i++) {
		char path[] = "/tmp/nsimg-test-XXXXXX";

		base[i] = mkstemp(path);
		unlink(path);
	}
	before = n_open();
	for (int64_t i = 0; i < N; i++)
		assert_int_equal(store_put(s, STORE_NETNS, i, base[i % 4], &e), 0);
	assert_int_equal(n_open(), before);
	for (int64_t i = N - 1; i >= 0; i -= 7) {
		int fd = store_take(s, STORE_NETNS, i, &e);

		assert_int_equal(ino_of(fd), ino_of(base[i % 4]));
		close(fd);
	}
	for (int i = 0; i < 4; i++)
		close(base[i]);
}

static void child_takes(struct store *s, const uint64_t ino[8])
{
	struct err e = ERR_INIT;

	for (int i = 0; i < 400; i++) {
		int fd = store_take(s, STORE_NETNS, i % 8, &e);

		if (fd < 0 || ino_of(fd) != ino[i % 8])
			_exit(1);
		close(fd);
	}
	_exit(0);
}

/* Tasks take at the same time, and one is killed in between: nobody gets a wrong one or waits for ever. */
static void test_processes(void **state)
{
	struct err e = ERR_INIT;
	auto_store struct store *s = NULL;
	uint64_t ino[8];
	pid_t pids[6], victim;
	int status;

	if (!is_allowed())
		skip();
	s = store_new(&e);
	for (int i = 0; i < 8; i++) {
		auto_ns struct ns *ns = ns_new(&e);

		ino[i] = ns_ino(ns);
		assert_int_equal(store_put(s, STORE_NETNS, i, ns_fd(ns), &e), 0);
	}
	victim = fork();
	if (victim == 0)
		for (;;)
			close(store_take(s, STORE_NETNS, 3, &e));
	for (int i = 0; i < 6; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			child_takes(s, ino);
	}
	usleep(2000);
	kill(victim, SIGKILL);
	waitpid(victim, &status, 0);
	for (int i = 0; i < 6; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
}

static void test_move(void **state)
{
	struct err e = ERR_INIT;
	auto_store struct store *s = NULL;
	auto_ns struct ns *ns = NULL;
	int old, fd;

	if (!is_allowed())
		skip();
	s = store_new(&e);
	ns = ns_new(&e);
	assert_int_equal(store_put(s, STORE_NETNS, 1, ns_fd(ns), &e), 0);
	old = store_fd(s);
	assert_int_equal(store_move(s, 200, &e), 0);
	assert_int_equal(store_fd(s), 200);
	assert_int_equal(fcntl(old, F_GETFD), -1);
	fd = store_take(s, STORE_NETNS, 1, &e);
	assert_int_equal(ino_of(fd), ns_ino(ns));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put_take), cmocka_unit_test(test_keeps_alive),
		cmocka_unit_test(test_many),     cmocka_unit_test(test_processes),
		cmocka_unit_test(test_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
