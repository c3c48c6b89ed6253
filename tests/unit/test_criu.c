/* base/criu: a program in place of CRIU, which does what CRIU does at its edges: reads its words, calls the hook, keeps
 * a log, fails, or stays. This test program itself is the hook. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/criu.h"
#include "base/io.h"

struct seen {
	char actions[200];
	pid_t started, root;
	const char *refuse; /* the action that is refused */
};

static char folder[] = "/tmp/nsimg-test-criu-XXXXXX";
static char program[64];

static int note_start(void *arg, pid_t pid, struct err *e)
{
	((struct seen *)arg)->started = pid;
	return 0;
}

static int note_action(void *arg, const char *action, pid_t root, struct err *e)
{
	struct seen *s = arg;

	snprintf(s->actions + strlen(s->actions), sizeof(s->actions) - strlen(s->actions), "%s ",
		 action);
	s->root = root;
	return s->refuse && !strcmp(action, s->refuse) ? err_set(e, ERR_BUSY, "not now") : 0;
}

/* The script is run with its words in $1...; the last one is the path of the hook. */
static void write_program(const char *body)
{
	struct err e = ERR_INIT;
	char text[2000];
	int n = snprintf(text, sizeof(text),
			 "#!/bin/sh\nat() { CRTOOLS_SCRIPT_ACTION=$1 CRTOOLS_INIT_PID=$2 $hook; }\n"
			 "for hook; do :; done\ncd %s\n%s\n",
			 folder, body);

	assert_int_equal(io_write_file(AT_FDCWD, program, text, (size_t)n, 0700, &e), 0);
}

static int run(struct seen *s, const char *body, const sigset_t *stop, struct err *e)
{
	static const char *const words[] = {"restore", "-o", "r.log", NULL};
	struct criu_job job = {.program = program,
			       .words = words,
			       .folder = folder,
			       .log = "r.log",
			       .netns_fd = -1,
			       .started = note_start,
			       .at = note_action,
			       .arg = s,
			       .stop = stop};

	write_program(body);
	return criu_run(&job, e);
}

static void test_hooks(void **state)
{
	struct seen s = {0};
	struct err e = ERR_INIT;

	assert_int_equal(
		run(&s, "at pre-restore && at network-unlock 77 && echo $1 $2 $3 >words", NULL, &e),
		0);
	assert_string_equal(s.actions, "pre-restore network-unlock ");
	assert_int_equal(s.root, 77);
	assert_true(s.started > 0);
	{
		auto_buf struct buf b = {0};
		char path[100];

		snprintf(path, sizeof(path), "%s/words", folder);
		assert_int_equal(io_read_file(AT_FDCWD, path, 100, &b, &e), 0);
		assert_string_equal((char *)b.data, "restore -o r.log\n");
		snprintf(path, sizeof(path), "%s/hook", folder);
		assert_int_equal(access(path, F_OK), -1);
	}
}

/* What CRIU 4.2 prints of an option that it does not know: getopt's line, its usage, and where to read on. */
static void test_unknown_option(void **state)
{
	struct seen s = {0};
	struct err e = ERR_INIT;

	assert_int_equal(run(&s,
			     "echo \"criu: unrecognized option '--bogus'\" >&2; echo; echo Usage:; "
			     "echo '  criu restore [<options>]'; echo; echo 'Try -h|--help for "
			     "more info'; exit 1",
			     NULL, &e),
			 -1);
	assert_string_equal(e.msg, "criu restore failed: criu: unrecognized option '--bogus'");
}

static void test_refused(void **state)
{
	struct seen s = {.refuse = "network-lock"};
	struct err e = ERR_INIT;

	/* the hook's exit status tells CRIU; the error is that of the callback, not CRIU's */
	assert_int_equal(
		run(&s, "at network-lock && exit 0; echo '(00.1) Error (x.c:1): no' >r.log; exit 1",
		    NULL, &e),
		-1);
	assert_int_equal(e.code, ERR_BUSY);
	assert_string_equal(e.msg, "not now");
}

static void test_error_lines(void **state)
{
	static const struct {
		const char *name, *body, *msg;
	} rows[] = {
		{"the cause, not what follows from it",
		 "cat >r.log <<X\n(00.000123) Warn  (a.c:1): w\n"
		 "(00.011) 7: Error (criu/sk-inet.c:1000): inet: Can't bind inet socket (id 3): "
		 "no\n"
		 "(00.0115) 7: Error (criu/files.c:1221): Unable to open fd=11 id=0xc\n"
		 "(00.012) Error (criu/cr-restore.c:1480): 7 exited, status=1\n"
		 "(00.013) Error (criu/cr-restore.c:2557): Restoring FAILED.\nX\nexit 1",
		 "criu restore failed: 7: Error (criu/sk-inet.c:1000): inet: Can't bind inet "
		 "socket (id "
		 "3): no"},
		{"nothing else is known",
		 "echo '(00.013) Error (criu/cr-restore.c:2557): Restoring FAILED.' >r.log; exit 1",
		 "criu restore failed: Error (criu/cr-restore.c:2557): Restoring FAILED."},
		{"before there is a log", "rm -f r.log; echo \"unknown option '-9'\" >&2; exit 1",
		 "criu restore failed: unknown option '-9'"},
		{"a signal", "rm -f r.log; kill -9 $$",
		 "criu restore was ended by signal 9 (Killed)"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct seen s = {0};
		struct err e = ERR_INIT;

		if (run(&s, rows[i].body, NULL, &e) != -1 || strcmp(e.msg, rows[i].msg) != 0)
			fail_msg("%s: %s", rows[i].name, e.msg);
		assert_int_equal(e.code, ERR_KERNEL);
	}
}

/* Its status went elsewhere: that is no success, whatever it was. */
static void test_reaped(void **state)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	struct sigaction was;
	struct seen s = {0};
	struct err e = ERR_INIT;

	assert_int_equal(sigaction(SIGCHLD, &ignore, &was), 0);
	assert_int_equal(run(&s, "exit 1", NULL, &e), -1);
	assert_int_equal(sigaction(SIGCHLD, &was, NULL), 0);
	assert_int_equal(e.code, ERR_GONE);
	assert_non_null(strstr(e.msg, "how it ended is not known"));
}

static void test_stop(void **state)
{
	struct seen s = {0};
	struct err e = ERR_INIT;
	sigset_t stop, old;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigprocmask(SIG_BLOCK, &stop, &old);
	/* $PPID is this test */
	assert_int_equal(run(&s, "kill -TERM $PPID; exec sleep 60", &stop, &e), -1);
	sigprocmask(SIG_SETMASK, &old, NULL);
	assert_int_equal(e.code, ERR_INTERRUPTED);
	assert_int_equal(kill(s.started, 0), -1);
}

static void test_descriptors(void **state)
{
	static const char *const words[] = {"restore", NULL};
	int given = open("/dev/null", O_RDONLY | O_CLOEXEC), other = open("/dev/null", O_RDONLY);
	struct err e = ERR_INIT;
	struct criu_job job = {.program = program,
			       .words = words,
			       .folder = folder,
			       .log = "r.log",
			       .netns_fd = -1,
			       .fds = &given,
			       .n_fds = 1};
	char body[200];

	snprintf(body, sizeof(body), "[ -e /proc/$$/fd/%d ] && ! [ -e /proc/$$/fd/%d ]", given,
		 other);
	write_program(body);
	assert_int_equal(criu_run(&job, &e), 0);
	close(given);
	close(other);
}

static void test_version(void **state)
{
	struct err e = ERR_INIT;
	int version = 0;

	write_program("echo Version: 4.2.1; echo GitID: v4.2.1");
	assert_int_equal(criu_version(program, &version, &e), 0);
	assert_int_equal(version, 40201);
	write_program("echo something");
	assert_int_equal(criu_version(program, &version, &e), -1);
	assert_int_equal(e.code, ERR_FORMAT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hooks),   cmocka_unit_test(test_unknown_option),
		cmocka_unit_test(test_refused), cmocka_unit_test(test_error_lines),
		cmocka_unit_test(test_stop),    cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_version), cmocka_unit_test(test_reaped),
	};
	char command[100];
	int rc;

	if (criu_hook_is_meant())
		return criu_hook();
	if (!mkdtemp(folder))
		return 1;
	snprintf(program, sizeof(program), "%s/criu", folder);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command) ? 1 : rc;
}
