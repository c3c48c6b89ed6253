/* mkstate.h: what the parts of mkstate share. It is a test program of one run: state is global, and the first
 * error ends it. */
#pragma once

#include <sys/types.h>

enum { MAX_THINGS = 4096, MAX_WORDS = 64 };

/* A thing with a name: a namespace, a user namespace, an open file, a task. */
struct thing {
	char kind; /* n u f t */
	char name[64];
	int fd, fd2; /* fd2: user namespace of a network namespace */
	/* tasks */
	int parent;
	int ns, userns, thread_ns;
	char comm[16];
	int n_given;
	struct {
		int thing, fd, cloexec;
	} given[1100];
	pid_t *pid; /* shared memory, filled by whoever forks it */
};

extern struct thing *things[MAX_THINGS];
extern int n_things;

/* Say what is wrong with the statement under way, end what was started, exit 1. */
void die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Number of the thing of this kind and name; it must be there. */
int find(char kind, const char *name);

/* A new thing with this descriptor (taken, moved out of the way of the tasks' numbers; -1: none). */
struct thing *add(char kind, const char *name, int fd);

/* "key=value" among the words of a statement, or def. */
const char *arg(char **w, const char *key, const char *def);
long num(char **w, const char *key, long def);

/* Move this process into a namespace (number of a thing, -1: the one mkstate was started in). */
void enter(int ns);

/* The namespace that ns=NAME of a statement means. */
int ns_of(char **w);

/* Statements about sockets and other descriptors (sockets.c). */
void st_sock(char **w);
void st_pair(char **w);
void st_accept(char **w);
void st_connect(char **w);
void st_send(char **w);
void st_pass(char **w);
void st_unlink(char **w);
void st_nsfd(char **w);
void st_tun(char **w);
