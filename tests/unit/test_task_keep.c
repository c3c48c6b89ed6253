/* base/remote, base/task_keep, base/task_trap: a tracer is killed while its code is in a task. Here it is a process of the
 * test, which leaves in the task what CRIU would: other instructions, registers and signals, mappings, descriptors. */
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
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/remote.h"
#include "base/task_keep.h"
#include "base/task_trap.h"

/* What the task and the test share. */
static struct shared {
	volatile uint64_t turns; /* of the loop of the task */
	volatile int handled;    /* SIGUSR1 */
} * shared;

static void on_usr1(int sig)
{
	shared->handled++;
}

/* Registers that matter: the loop ends when one of them is another. */
_Noreturn static void task_run(int ready)
{
	sigset_t set;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_SETMASK, &set, NULL);
	signal(SIGUSR1, on_usr1);
	if (write(ready, "t", 1) != 1)
		_exit(1);
	for (volatile double one = 1.0;; shared->turns++)
		if (one * (double)shared->turns != (double)shared->turns)
			_exit(2);
}

static int call_of(pid_t pid, long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
		   int64_t *answer)
{
	const uint64_t args[6] = {a, b, c, d, ~0ULL, 0};
	struct err e = ERR_INIT;
	struct remote r;
	int rc = remote_begin(&r, pid, &e) || remote_call(&r, nr, args, answer, &e) ? -1 : 0;

	if (rc)
		fprintf(stderr, "# call %ld: %s\n", nr, e.msg);
	return rc;
}

/* Overwrite the first instructions of what is mapped executable first: no part of the loop. */
static uint64_t first_code(pid_t pid)
{
	auto_buf struct buf maps = {0};
	struct err e = ERR_INIT;
	char path[64], *line, *save = NULL;
	uint64_t start, end;
	char perm[8];

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	if (io_read_file(AT_FDCWD, path, 1 << 22, &maps, &e))
		return 0;
	for (line = strtok_r((char *)maps.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		if (sscanf(line, "%lx-%lx %7s", &start, &end, perm) == 3 && perm[2] == 'x')
			return start;
	return 0;
}

/* As CRIU does, and then it waits to be killed: with the task's registers, mask, memory and table of descriptors
 * changed. */
_Noreturn static void tracer_run(pid_t task, int ready, int go)
{
	uint64_t code = first_code(task);
	int64_t answer = -1;
	sigset_t all;
	int status;
	char c;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* of the task: the test, which traces this process, would be asked about each */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	if (ptrace(PTRACE_SEIZE, task, NULL, PTRACE_O_TRACESYSGOOD) ||
	    ptrace(PTRACE_INTERRUPT, task, NULL, NULL) || waitpid(task, &status, __WALL) != task ||
	    write(ready, "s", 1) != 1 || read(go, &c, 1) != 1)
		_exit(1);
	if (call_of(task, SYS_mmap, 0x10000000, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
		    MAP_PRIVATE | MAP_ANONYMOUS, &answer) ||
	    answer < 0 || call_of(task, SYS_dup2, 2, 77, 0, 0, &answer) || answer != 77 ||
	    ptrace(PTRACE_POKETEXT, task, code, 0xccccccccccccccccUL))
		_exit(3);
	if (write(ready, "w", 1) == 1)
		pause();
	_exit(4);
}

struct pair {
	pid_t task, tracer;
	int ready[2], go[2];
	struct task_keep *keep;
	struct task_trap_note note;
};

static void expect(const struct pair *p, char what)
{
	char c = 0;

	assert_int_equal(1, read(p->ready[0], &c, 1));
	assert_int_equal(what, c);
}

static void pair_begin(struct pair *p)
{
	struct err e = ERR_INIT;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	assert_ptr_not_equal(MAP_FAILED, shared);
	assert_int_equal(0, pipe2(p->ready, O_CLOEXEC));
	assert_int_equal(0, pipe2(p->go, O_CLOEXEC));
	p->task = fork();
	if (!p->task)
		task_run(p->ready[1]);
	expect(p, 't');
	p->tracer = fork();
	if (!p->tracer)
		tracer_run(p->task, p->ready[1], p->go[0]);
	close(p->ready[1]); /* whoever waits for one that has ended is told */
	expect(p, 's');
	p->keep = task_keep_new(&e);
	assert_non_null(p->keep);
}

/* The tracer stands for it, and goes on with what it was in: read(2). False: not on this processor. */
static bool save(struct pair *p)
{
	struct err e = ERR_INIT;
	struct remote r;
	int status, rc;

	assert_int_equal(0, ptrace(PTRACE_SEIZE, p->tracer, NULL,
				   PTRACE_O_TRACEEXIT | PTRACE_O_TRACESYSGOOD));
	assert_int_equal(0, ptrace(PTRACE_INTERRUPT, p->tracer, NULL, NULL));
	assert_int_equal(0, remote_wait(p->tracer, &status, &e));
	rc = remote_begin(&r, p->tracer, &e);
	if (rc && e.code == ERR_UNSUPPORTED)
		return false;
	assert_int_equal(0, rc);
	if (task_keep_save(p->keep, &r, p->task, false, &p->note, &e))
		fail_msg("%s", e.msg);
	assert_int_equal(0, p->note.tid);
	assert_int_equal(0, remote_end(&r, &e));
	assert_int_equal(0, ptrace(PTRACE_CONT, p->tracer, NULL, NULL));
	return true;
}

static void kill_tracer(struct pair *p)
{
	struct err gone = ERR_INIT;
	int status;

	kill(p->tracer, SIGKILL);
	while (!remote_wait(p->tracer, &status, &gone)) {
		if (status >> 16 == PTRACE_EVENT_EXIT)
			task_keep_hold(p->keep, p->tracer);
		ptrace(PTRACE_CONT, p->tracer, NULL, NULL);
	}
	assert_int_equal(ERR_GONE, gone.code);
}

/* "Key:\tvalue" of its status. */
static void status_is(pid_t pid, const char *line)
{
	auto_buf struct buf text = {0};
	struct err e = ERR_INIT;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	assert_int_equal(0, io_read_file(AT_FDCWD, path, 1 << 16, &text, &e));
	if (!strstr((char *)text.data, line))
		fail_msg("%s not in:\n%s", line, (char *)text.data);
}

/* Is signal sig in a mask of its status? */
static bool has_signal(pid_t pid, const char *mask, int sig)
{
	auto_buf struct buf text = {0};
	struct err e = ERR_INIT;
	char path[64], *at;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	assert_int_equal(0, io_read_file(AT_FDCWD, path, 1 << 16, &text, &e));
	at = strstr((char *)text.data, mask);
	assert_non_null(at);
	return strtoull(at + strlen(mask), NULL, 16) >> (sig - 1) & 1;
}

/* Until the loop has gone round again; a task that does not run is killed by the alarm of the test. */
static void runs_on(void)
{
	for (uint64_t was = shared->turns; shared->turns < was + 1000;)
		usleep(100);
}

static void pair_end(struct pair *p)
{
	int status;

	kill(p->task, SIGKILL);
	while (waitpid(p->task, &status, 0) != p->task)
		;
	task_keep_free(p->keep);
	munmap(shared, sizeof(*shared));
	close(p->ready[0]);
	close(p->go[0]);
	close(p->go[1]);
}

static uint64_t word_at(pid_t pid, uint64_t at)
{
	char path[64];
	auto_close int mem = -1;
	uint64_t word = 0;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	mem = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(sizeof(word), pread(mem, &word, sizeof(word), (off_t)at));
	return word;
}

static void test_killed(void **state)
{
	struct pair p = {0};
	struct err e = ERR_INIT;
	char maps[64], fd[64];
	auto_buf struct buf before = {0}, after = {0};
	uint64_t code, word;

	pair_begin(&p);
	snprintf(maps, sizeof(maps), "/proc/%d/maps", (int)p.task);
	snprintf(fd, sizeof(fd), "/proc/%d/fd/77", (int)p.task);
	if (!save(&p)) {
		kill_tracer(&p);
		pair_end(&p);
		skip();
	}
	assert_int_equal(0, io_read_file(AT_FDCWD, maps, 1 << 22, &before, &e));
	code = first_code(p.task);
	word = word_at(p.task, code);
	assert_int_equal(1, write(p.go[1], "g", 1));
	expect(&p, 'w');
	assert_int_equal(0, access(fd, F_OK));
	assert_true(word != word_at(p.task, code));
	status_is(p.task, "SigBlk:\tfffffffffffbfeff"); /* remote_begin; KILL and STOP cannot be */
	kill_tracer(&p);
	while (task_keep_state(p.task) !=
	       'T') /* before it runs an instruction of what is in it now */
		usleep(100);
	if (task_keep_give_back(p.keep, &e))
		fail_msg("%s", e.msg);
	runs_on();
	assert_int_equal(-1, access(fd, F_OK));
	assert_true(word == word_at(p.task, code));
	assert_int_equal(0, io_read_file(AT_FDCWD, maps, 1 << 22, &after, &e));
	assert_string_equal((char *)before.data, (char *)after.data);
	status_is(p.task, "SigBlk:\t0000000000000800\n"); /* SIGUSR2 */
	assert_false(has_signal(p.task, "SigCgt:", SIGTRAP));
	status_is(p.task, "TracerPid:\t0\n");
	kill(p.task, SIGUSR1);
	while (!shared->handled)
		usleep(100);
	runs_on();
	pair_end(&p);
}

/* The tracer lets the task go: nothing is held, and the answer to SIGTRAP is what it was. */
static void test_let_go(void **state)
{
	struct pair p = {0};
	struct err e = ERR_INIT;

	pair_begin(&p);
	if (!save(&p)) {
		kill_tracer(&p);
		pair_end(&p);
		skip();
	}
	assert_true(has_signal(p.task, "SigCgt:", SIGTRAP)); /* task_trap_arm */
	kill(p.tracer, SIGKILL);
	while (!remote_wait(p.tracer, &(int){0}, &e))
		ptrace(PTRACE_CONT, p.tracer, NULL, NULL);
	runs_on();
	e = (struct err)ERR_INIT;
	if (task_keep_give_back(p.keep, &e))
		fail_msg("%s", e.msg);
	assert_false(has_signal(p.task, "SigCgt:", SIGTRAP));
	status_is(p.task, "SigBlk:\t0000000000000800\n");
	runs_on();
	pair_end(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_let_go),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
