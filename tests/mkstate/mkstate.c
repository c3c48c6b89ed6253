/* mkstate.c: make a known kernel state of namespaces, tasks and sockets, say so, and wait.
 *
 *   mkstate [FILE]...      statements from files (or standard input), one a line; '#' begins a comment
 *   mkstate --list         the statements
 *
 * Everything is made by this process; tasks are forked at the end and inherit what they are given, at the
 * descriptor numbers that were asked for. Then "task NAME PID" is printed for each task, "ready" at the end,
 * and mkstate waits for SIGTERM, SIGINT or the end of its standard input (when that is a pipe), and kills its
 * tasks. It holds nothing itself by then, so a namespace lives only by what the tasks have.
 *
 * In a statement $NAME is replaced from the environment and %NS% by a path that opens namespace NS.
 *
 * Network devices, routes, rules and firewalls are made by the programs that people use ("run NS ip link
 * ..."), not by code of ours.
 */
#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mkstate.h"
#include "settled.h"

struct thing *things[MAX_THINGS];
int n_things;
static int home_ns = -1, line_no, high_fd;
static const char *file_name = "(stdin)";

void die(const char *fmt, ...)
{
	int sys = errno;
	va_list ap;

	fprintf(stderr, "mkstate: %s:%d: ", file_name, line_no);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, sys ? ": %s\n" : "\n", strerror(sys));
	for (int i = 0; i < n_things; i++)
		if (things[i]->kind == 't' && *things[i]->pid > 0)
			kill(*things[i]->pid, SIGKILL);
	_exit(1);
}

int find(char kind, const char *name)
{
	for (int i = 0; i < n_things; i++)
		if (things[i]->kind == kind && !strcmp(things[i]->name, name))
			return i;
	errno = 0;
	die("no %s named %s",
	    kind == 'n'   ? "namespace"
	    : kind == 't' ? "task"
	    : kind == 'f' ? "file"
			  : "userns",
	    name);
}

/* Descriptors of ours live high, so that tasks can have any low number. */
static int high(int fd)
{
	int up;

	if (fd < 0)
		die("no descriptor");
	up = fcntl(fd, F_DUPFD_CLOEXEC, high_fd);
	if (up < 0)
		die("move a descriptor up");
	close(fd);
	return up;
}

struct thing *add(char kind, const char *name, int fd)
{
	struct thing *t = calloc(1, sizeof(*t));

	if (!t || n_things == MAX_THINGS)
		die("too many things");
	t->kind = kind;
	snprintf(t->name, sizeof(t->name), "%s", name);
	t->fd = fd < 0 ? -1 : high(fd);
	t->fd2 = t->parent = t->ns = t->userns = t->thread_ns = -1;
	things[n_things++] = t;
	return t;
}

/* "key=value" among the words, or def. */
const char *arg(char **w, const char *key, const char *def)
{
	size_t n = strlen(key);

	for (; *w; w++)
		if (!strncmp(*w, key, n) && (*w)[n] == '=')
			return *w + n + 1;
	return def;
}

long num(char **w, const char *key, long def)
{
	const char *v = arg(w, key, NULL);

	return v ? strtol(v, NULL, 0) : def;
}

void enter(int ns)
{
	if (setns(ns < 0 ? home_ns : things[ns]->fd, CLONE_NEWNET))
		die("enter namespace %s", ns < 0 ? "home" : things[ns]->name);
}

int ns_of(char **w)
{
	const char *name = arg(w, "ns", NULL);

	return name && strcmp(name, "home") ? find('n', name) : -1;
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		die("write '%s' to %s", text, path);
	close(fd);
}

/* In a user namespace, as its root; still to be found in /proc by its owner (proc(5), dumpable). */
static void be_root_of(int userns)
{
	if (userns < 0)
		return;
	if (setns(things[userns]->fd, CLONE_NEWUSER) || setresgid(0, 0, 0) || setresuid(0, 0, 0) ||
	    prctl(PR_SET_DUMPABLE, 1))
		die("enter user namespace %s", things[userns]->name);
}

/* Maps are written from the user namespace above (user_namespaces(7)). */
static void write_maps(char **w, int parent, pid_t pid)
{
	char path[64], map[256];
	pid_t writer = fork();
	int status;

	if (!writer) {
		be_root_of(parent);
		for (int g = 0; g < 2; g++) {
			snprintf(map, sizeof(map), "%s", arg(w, g ? "gid" : "uid", "0:0:1"));
			for (char *p = map; *p; p++)
				*p = *p == ':' ? ' ' : *p == ',' ? '\n' : *p;
			snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid,
				 g ? "gid_map" : "uid_map");
			write_file(path, map);
		}
		_exit(0);
	}
	if (writer < 0 || waitpid(writer, &status, 0) != writer || status)
		die("maps of user namespace %s", w[1]);
}

/* userns NAME [parent=U] [uid="0 100000 65536"] [gid=...]: a child makes it and holds it until we have it. */
static void st_userns(char **w)
{
	int up[2], down[2], parent = arg(w, "parent", NULL) ? find('u', arg(w, "parent", "")) : -1;
	char path[64], c;
	struct thing *t;
	pid_t pid;

	if (pipe(up) || pipe(down))
		die("pipe");
	pid = fork();
	if (!pid) {
		close(up[0]), close(down[1]);
		be_root_of(parent);
		if (unshare(CLONE_NEWUSER))
			die("make user namespace %s", w[1]);
		_exit(write(up[1], "x", 1) != 1 || read(down[0], &c, 1) != 1);
	}
	/* a child that dies closes them, and the read ends */
	close(up[1]), close(down[0]);
	if (pid < 0 || read(up[0], &c, 1) != 1)
		die("make a user namespace");
	write_maps(w, parent, pid);
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	t = add('u', w[1], open(path, O_RDONLY));
	t->parent = parent;
	if (write(down[1], "x", 1) != 1)
		die("pipe");
	waitpid(pid, NULL, 0);
	close(up[0]), close(down[1]);
}

/* ns NAME [userns=U] [pin=PATH]: a network namespace with lo up. */
static void st_ns(char **w)
{
	const char *pin = arg(w, "pin", NULL), *user = arg(w, "userns", NULL);
	struct thing *t;
	char path[64];

	if (user) {
		int fds[2], u = find('u', user);
		char c = 0;
		pid_t pid;

		if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
			die("socketpair");
		pid = fork();
		if (!pid) {
			if (setns(things[u]->fd, CLONE_NEWUSER) || unshare(CLONE_NEWNET) ||
			    write(fds[1], "x", 1) != 1)
				_exit(1);
			_exit(read(fds[1], &c, 1) != 1);
		}
		if (read(fds[0], &c, 1) != 1)
			die("namespace %s", w[1]);
		snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
		t = add('n', w[1], open(path, O_RDONLY));
		t->fd2 = u;
		if (write(fds[0], "x", 1) != 1)
			die("pipe");
		waitpid(pid, NULL, 0);
		close(fds[0]), close(fds[1]);
	} else {
		if (unshare(CLONE_NEWNET))
			die("namespace %s", w[1]);
		t = add('n', w[1], open("/proc/thread-self/ns/net", O_RDONLY));
	}
	if (setns(t->fd, CLONE_NEWNET))
		die("enter %s", w[1]);
	if (num(w, "lo", 1)) {
		int s = socket(AF_INET, SOCK_DGRAM, 0);
		struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP};

		if (s < 0 || ioctl(s, SIOCSIFFLAGS, &ifr))
			die("lo of %s", w[1]);
		close(s);
	}
	if (pin) {
		int f = open(pin, O_RDONLY | O_CREAT | O_CLOEXEC, 0444);

		if (f < 0 || close(f) ||
		    mount("/proc/thread-self/ns/net", pin, "none", MS_BIND, NULL))
			die("pin %s", pin);
	}
	enter(-1);
}

/* here NAME: the namespace mkstate was started in. */
static void st_here(char **w)
{
	add('n', w[1], dup(home_ns));
}

static char raw_line[65536]; /* the statement under way, expanded, before it is split */

/* run NS COMMAND...: by sh -c, inside the namespace; must succeed. */
static void st_run(char **w)
{
	const char *rest = strstr(raw_line, w[1]) + strlen(w[1]);
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (strcmp(w[1], "home"))
			enter(find('n', w[1]));
		execl("/bin/sh", "sh", "-c", rest, (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		die("run");
	errno = 0;
	if (status)
		die("run in %s: '%s' failed", w[1], rest);
}

/* settle: wait until the kernel has done what it does by itself, and later. A state in which it is about to change
 * something is not a known one, so that is done at the end, too. */
static void st_settle(char **w)
{
	static int ns[MAX_THINGS];
	char why[128];
	size_t n = 0;

	for (int i = 0; i < n_things; i++)
		if (things[i]->kind == 'n')
			ns[n++] = things[i]->fd;
	errno = 0;
	if (!await_settled(ns, n, why, sizeof(why)))
		die("it does not come to rest: %s", why);
	enter(-1);
}

/* sysctl NS name=value...: names with slashes below /proc/sys. */
static void st_sysctl(char **w)
{
	char path[512], *eq;

	enter(strcmp(w[1], "home") ? find('n', w[1]) : -1);
	for (w += 2; *w; w++) {
		eq = strchr(*w, '=');
		errno = 0;
		if (!eq)
			die("sysctl %s: no value", *w);
		for (char *p = eq; *p; p++)
			*p = *p == ',' ? ' ' : *p;
		snprintf(path, sizeof(path), "/proc/sys/%.*s", (int)(eq - *w), *w);
		write_file(path, eq + 1);
	}
	enter(-1);
}

/* task NAME ns=NS [parent=TASK] [userns=U] [thread=NS] [comm=TEXT] */
static void st_task(char **w)
{
	struct thing *t = add('t', w[1], -1);

	t->ns = ns_of(w);
	t->parent = arg(w, "parent", NULL) ? find('t', arg(w, "parent", "")) : -1;
	t->userns = arg(w, "userns", NULL) ? find('u', arg(w, "userns", "")) : -1;
	t->thread_ns = arg(w, "thread", NULL) ? find('n', arg(w, "thread", "")) : -1;
	snprintf(t->comm, sizeof(t->comm), "%s", arg(w, "comm", w[1]));
	t->pid = mmap(NULL, sizeof(pid_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (t->pid == MAP_FAILED)
		die("shared memory");
}

/* give FILE TASK FD [cloexec=1]: the task has it at this number; to several tasks: one open file. */
static void st_give(char **w)
{
	struct thing *t = things[find('t', w[2])];
	int i = t->n_given++;

	if (i >= (int)(sizeof(t->given) / sizeof(*t->given)))
		die("too many descriptors");
	t->given[i].thing = find('f', w[1]);
	t->given[i].fd = atoi(w[3]);
	errno = 0;
	if (t->given[i].fd < 0 || t->given[i].fd >= high_fd)
		die("give %s %s %s: a number from 0 to %d (the limit of open files)", w[1], w[2],
		    w[3], high_fd - 1);
	t->given[i].cloexec = (int)num(w, "cloexec", 0);
}

static const struct statement {
	const char *name;
	int min_words;
	void (*run)(char **w);
	const char *usage;
} statements[] = {
	{"ns", 2, st_ns, "NAME [userns=U] [pin=PATH] [lo=0]"},
	{"here", 2, st_here, "NAME"},
	{"userns", 2, st_userns, "NAME [parent=U] [uid=IN:OUT:N,...] [gid=...]"},
	{"run", 3, st_run, "NS|home COMMAND..."},
	{"settle", 1, st_settle, ""},
	{"sysctl", 3, st_sysctl, "NS|home NAME=VALUE..."},
	{"sock", 2, st_sock,
	 "NAME [ns=NS] family= type= [proto=] [bind=] [connect=] [listen=] [opt=L:N:V] ..."},
	{"pair", 3, st_pair, "A B [ns=NS] type=T"},
	{"accept", 2, st_accept, "NAME from=LISTENER"},
	{"connect", 2, st_connect, "NAME [ns=NS] to=ADDR"},
	{"send", 3, st_send, "NAME TEXT"},
	{"pass", 3, st_pass, "NAME FILE"},
	{"unlink", 2, st_unlink, "PATH"},
	{"nsfd", 2, st_nsfd, "NAME ns=NS"},
	{"tun", 2, st_tun, "NAME [ns=NS] dev=DEV [mode=tun|tap] [persist=1] [pi=1]"},
	{"task", 2, st_task, "NAME [ns=NS] [parent=TASK] [userns=U] [thread=NS] [comm=TEXT]"},
	{"give", 4, st_give, "FILE TASK FD [cloexec=1]"},
};

/* $NAME and %NS% into raw_line. In "run" the shell expands variables. */
static void expand(const char *line)
{
	size_t n = 0, run = strncmp(line, "run ", 4) == 0;

	while (*line && n < sizeof(raw_line) - 1) {
		size_t len = 0;
		char name[64];

		if ((*line == '$' && !run) || *line == '%')
			for (len = 1;
			     isalnum((unsigned char)line[len]) || (len > 1 && line[len] == '-');
			     len++)
				;
		if (len < 2 || len > sizeof(name) || (*line == '%' && line[len] != '%')) {
			raw_line[n++] = *line++;
			continue;
		}
		snprintf(name, sizeof(name), "%.*s", (int)len - 1, line + 1);
		if (*line == '$')
			n += (size_t)snprintf(raw_line + n, sizeof(raw_line) - n, "%s",
					      getenv(name) ? getenv(name) : "");
		else
			n += (size_t)snprintf(raw_line + n, sizeof(raw_line) - n, "/proc/%d/fd/%d",
					      (int)getpid(), things[find('n', name)]->fd);
		line += len + (*line == '%');
	}
	raw_line[n < sizeof(raw_line) ? n : sizeof(raw_line) - 1] = '\0';
}

static void run_line(const char *text)
{
	static char line[sizeof(raw_line)];
	char *w[MAX_WORDS + 1];
	int n = 0;

	expand(text);
	memcpy(line, raw_line, sizeof(line));
	for (char *p = strtok(line, " \t\n"); p && n < MAX_WORDS; p = strtok(NULL, " \t\n"))
		w[n++] = p;
	w[n] = NULL;
	if (!n || *w[0] == '#')
		return;
	for (size_t i = 0; i < sizeof(statements) / sizeof(*statements); i++)
		if (!strcmp(statements[i].name, w[0])) {
			errno = 0;
			if (n < statements[i].min_words)
				die("usage: %s %s", w[0], statements[i].usage);
			statements[i].run(w);
			return;
		}
	errno = 0;
	die("unknown statement %s", w[0]);
}

static sem_t thread_there;

static void *thread_main(void *p)
{
	if (setns(*(int *)p, CLONE_NEWNET))
		_exit(1);
	prctl(PR_SET_NAME, "elsewhere");
	sem_post(&thread_there);
	for (;;)
		pause();
	return NULL;
}

static void run_task(int me, int ready);

static void fork_children(int parent, int ready)
{
	for (int i = 0; i < n_things; i++)
		if (things[i]->kind == 't' && things[i]->parent == parent) {
			pid_t pid = fork();

			if (!pid)
				run_task(i, ready);
			if (pid < 0)
				die("fork");
			*things[i]->pid = pid;
		}
}

/* A task: its children first, then its descriptors at their numbers, all else closed, its namespaces, wait. */
static void run_task(int me, int ready)
{
	struct thing *t = things[me];
	pthread_t thread;
	int thread_fd = -1, null;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fork_children(me, ready);
	null = open("/dev/null", O_RDWR);
	for (int i = 0; i < 3; i++)
		dup2(null, i);
	if (null > 2)
		close(null);
	if (t->userns >= 0 && setns(things[t->userns]->fd, CLONE_NEWUSER))
		die("task %s: enter its user namespace", t->name);
	enter(t->ns);
	if (t->thread_ns >= 0)
		thread_fd = things[t->thread_ns]->fd;
	for (int i = 0; i < t->n_given; i++) {
		if (dup2(things[t->given[i].thing]->fd, t->given[i].fd) < 0)
			die("task %s: descriptor %d", t->name, t->given[i].fd);
		if (t->given[i].cloexec)
			fcntl(t->given[i].fd, F_SETFD, FD_CLOEXEC);
	}
	prctl(PR_SET_NAME, t->comm);
	if (thread_fd >= 0) {
		static int wanted;

		wanted = thread_fd;
		if (sem_init(&thread_there, 0, 0) ||
		    pthread_create(&thread, NULL, thread_main, &wanted))
			die("thread");
		while (sem_wait(&thread_there))
			;
	}
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	if (write(ready, "x", 1) != 1)
		_exit(1);
	/* ready is one of them: its end tells that nothing of mkstate is left in any task */
	syscall(SYS_close_range, (unsigned)high_fd, ~0u, 0);
	for (;;)
		pause();
}

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	stop = 1;
}

static void start_tasks(void)
{
	int ready[2], n = 0;
	char c;

	if (pipe(ready))
		die("pipe");
	ready[0] = high(ready[0]);
	ready[1] = high(ready[1]);
	for (int i = 0; i < n_things; i++)
		n += things[i]->kind == 't';
	fork_children(-1, ready[1]);
	close(ready[1]);
	for (int i = 0; i < n; i++)
		if (read(ready[0], &c, 1) != 1)
			die("a task did not start");
	if (read(ready[0], &c, 1) != 0)
		die("a task is not ready");
	close(ready[0]);
}

static void read_statements(FILE *f)
{
	char line[65536];

	for (line_no = 1; fgets(line, sizeof(line), f); line_no++)
		run_line(line);
}

int main(int argc, char **argv)
{
	struct rlimit lim;
	struct pollfd in = {0, POLLHUP, 0};
	struct stat st;

	if (argc > 1 && !strcmp(argv[1], "--list")) {
		for (size_t i = 0; i < sizeof(statements) / sizeof(*statements); i++)
			printf("%-8s %s\n", statements[i].name, statements[i].usage);
		return 0;
	}
	getrlimit(RLIMIT_NOFILE, &lim);
	lim.rlim_cur = lim.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &lim))
		die("raise the limit of descriptors");
	high_fd = lim.rlim_max > 65536 ? 32768
				       : (int)lim.rlim_max / 2; /* ours above, the tasks' below */
	home_ns = high(open("/proc/thread-self/ns/net", O_RDONLY));
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	signal(SIGCHLD, SIG_DFL);
	if (argc < 2)
		read_statements(stdin);
	for (int i = 1; i < argc; i++) {
		FILE *f = fopen(file_name = argv[i], "r");

		if (!f)
			die("open %s", argv[i]);
		read_statements(f);
		fclose(f);
	}
	start_tasks();
	st_settle(NULL);
	syscall(SYS_close_range, (unsigned)high_fd, ~0u, 0);
	for (int i = 0; i < n_things; i++)
		if (things[i]->kind == 't')
			printf("task %s %d\n", things[i]->name, (int)*things[i]->pid);
	printf("ready\n");
	fflush(stdout);
	fstat(0, &st);
	while (!stop) /* a pipe that closes ends us too, so that a dying test leaves nothing */
		if (poll(&in, S_ISFIFO(st.st_mode) && argc > 1 ? 1 : 0, -1) > 0 &&
		    in.revents & POLLHUP)
			stop = 1;
	for (int i = 0; i < n_things; i++)
		if (things[i]->kind == 't')
			kill(*things[i]->pid, SIGKILL);
	while (wait(NULL) > 0)
		;
	return 0;
}
