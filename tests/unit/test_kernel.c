#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/kernel.h"

static void test_rows_are_whole(void **state)
{
	static const char *const purposes[] = {"dump", "restore", "both", "exec", "inspect"};
	size_t n;
	const struct kernel_feature *f = kernel_features(&n);

	for (size_t i = 0; i < n; i++) {
		size_t p = 0;

		if (!f[i].name || !f[i].needed_for || !f[i].without || !f[i].probe) {
			fail_msg("row %zu is not whole", i);
			continue;
		}
		while (p < ARRAY_SIZE(purposes) && strcmp(purposes[p], f[i].needed_for) != 0)
			p++;
		if (p == ARRAY_SIZE(purposes))
			fail_msg("%s: needed for '%s'", f[i].name, f[i].needed_for);
		for (size_t j = 0; j < i; j++)
			if (f[j].name && !strcmp(f[i].name, f[j].name))
				fail_msg("%s: two rows", f[i].name);
	}
	assert_true(n > 50);
}

/* Every probe answers, a reason comes with each "no", and asking again gives the same: nothing that a probe
 * made is in its way the second time but what ends with the environment. */
static void test_probes_answer_the_same_twice(void **state)
{
	size_t n;
	const struct kernel_feature *f = kernel_features(&n);
	enum kernel_state first[256];

	assert_true(n <= ARRAY_SIZE(first));
	for (int round = 0; round < 2; round++) {
		struct err e = ERR_INIT;
		auto_kernel_env struct kernel_env *env = kernel_env_new(&e);

		assert_non_null(env);
		for (size_t i = 0; i < n; i++) {
			struct err why = ERR_INIT;
			enum kernel_state s = kernel_probe(env, &f[i], &why);

			if (s != KERNEL_YES && !why.msg[0])
				fail_msg("%s: %s without a reason", f[i].name,
					 kernel_state_name(s));
			/* a row whose argument its probe does not know */
			if (why.code == ERR_UNSUPPORTED)
				fail_msg("%s: %s", f[i].name, why.msg);
			if (round && s != first[i])
				fail_msg("%s: %s, then %s", f[i].name, kernel_state_name(first[i]),
					 kernel_state_name(s));
			first[i] = s;
		}
	}
}

static int count_fds(void)
{
	auto_dir DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (d && readdir(d))
		n++;
	return n;
}

static void test_nothing_stays(void **state)
{
	size_t n;
	const struct kernel_feature *f = kernel_features(&n);
	struct err e = ERR_INIT;
	struct kernel_env *env;
	int fds = count_fds();

	env = kernel_env_new(&e);
	assert_non_null(env);
	for (size_t i = 0; i < n; i++) {
		int before = count_fds();
		struct err why = ERR_INIT;

		kernel_probe(env, &f[i], &why);
		if (count_fds() != before)
			fail_msg("%s: left a descriptor", f[i].name);
		if (waitpid(-1, NULL, WNOHANG) != -1)
			fail_msg("%s: left a child", f[i].name);
	}
	kernel_env_free(env);
	assert_int_equal(count_fds(), fds);
}

static int states_as_nobody(void)
{
	size_t n;
	const struct kernel_feature *f = kernel_features(&n);
	struct err e = ERR_INIT;
	auto_kernel_env struct kernel_env *env = NULL;

	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		return 77;
	env = kernel_env_new(&e);
	for (size_t i = 0; env && i < n; i++) {
		struct err why = ERR_INIT;
		enum kernel_state s = kernel_probe(env, &f[i], &why);

		if (!strncmp(f[i].name, "link ", 5) && s != KERNEL_DENIED)
			return 2;
		if (!strcmp(f[i].name, "pidfd_open") && s != KERNEL_YES)
			return 3;
	}
	return env ? 0 : 1;
}

/* Without privileges a kind of device is "not allowed", not "no". */
static void test_unprivileged(void **state)
{
	int status = 0;
	pid_t pid;

	if (geteuid() != 0)
		skip();
	pid = fork();
	if (pid == 0)
		_exit(states_as_nobody());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip(); /* no such user here: inside a user namespace */
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_are_whole),
		cmocka_unit_test(test_probes_answer_the_same_twice),
		cmocka_unit_test(test_nothing_stays),
		cmocka_unit_test(test_unprivileged),
	};

	return cmocka_run_group_tests_name("kernel", tests, NULL, NULL);
}
