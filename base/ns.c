#include "base/ns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

struct ns {
	int fd;
	dev_t dev;
	ino_t ino;
	uint64_t cookie;          /* 0: not asked for */
	struct ns_worker *worker; /* NULL: a thread for each call */
};

/* Fill *ns, which owns nothing yet; the descriptor is taken. */
static int ns_set(struct ns *ns, int fd_taken, struct err *e)
{
	auto_close int fd = fd_taken;
	struct stat st;

	if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
		return err_set(e, ERR_FORMAT, "not a network namespace");
	if (fstat(fd, &st))
		return err_sys(e, ERR_IO, "stat a namespace descriptor");
	*ns = (struct ns){take_fd(&fd), st.st_dev, st.st_ino, 0, NULL};
	return 0;
}

struct ns *ns_from_fd(int fd, struct err *e)
{
	struct ns *ns = malloc(sizeof(*ns));

	if (!ns) {
		close(fd);
		err_set(e, ERR_NOMEM, "namespace handle");
		return NULL;
	}
	if (!ns_set(ns, fd, e))
		return ns;
	free(ns);
	return NULL;
}

struct ns *ns_open_path(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct ns *ns;

	if (fd < 0) {
		err_sys(e, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, "open namespace %s", path);
		return NULL;
	}
	ns = ns_from_fd(fd, e);
	if (!ns)
		err_wrap(e, "%s", path);
	return ns;
}

static struct ns *ns_open_proc(pid_t pid, const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		err_sys(e, errno == ENOENT || errno == ESRCH ? ERR_GONE : ERR_IO,
			"network namespace of process %d", (int)pid);
		return NULL;
	}
	return ns_from_fd(fd, e);
}

struct ns *ns_open_pid(pid_t pid, struct err *e)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	return ns_open_proc(pid, path, e);
}

struct ns *ns_open_tid(pid_t pid, pid_t tid, struct err *e)
{
	char path[96];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/ns/net", (int)pid, (int)tid);
	return ns_open_proc(tid, path, e);
}

static const char ns_self[] = "/proc/thread-self/ns/net";

struct ns *ns_open_self(struct err *e)
{
	return ns_open_path(ns_self, e);
}

struct ns *ns_of_socket(int sock, struct err *e)
{
	int fd = ioctl(sock, SIOCGSKNS);

	if (fd < 0) {
		err_sys(e, ERR_KERNEL, "network namespace of a socket (SIOCGSKNS)");
		return NULL;
	}
	return ns_from_fd(fd, e);
}

struct ns *ns_dup(const struct ns *ns, struct err *e)
{
	int fd = fcntl(ns->fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0) {
		err_sys(e, ERR_IO, "duplicate a namespace descriptor");
		return NULL;
	}
	return ns_from_fd(fd, e);
}

void ns_free(struct ns *ns)
{
	if (!ns)
		return;
	if (ns->fd >= 0)
		close(ns->fd);
	free(ns);
}

int ns_fd(const struct ns *ns)
{
	return ns->fd;
}

uint64_t ns_ino(const struct ns *ns)
{
	return ns->ino;
}

bool ns_is_same(const struct ns *a, const struct ns *b)
{
	return a->ino == b->ino && a->dev == b->dev;
}

/* One call in a worker thread: enter (or make) the namespace, then fn. */
struct ns_job {
	int fd;                              /* -1: unshare a new one instead */
	struct ns *made;                     /* to be filled with that, before fn; or NULL */
	int (*fn)(void *arg, struct err *e); /* NULL: nothing more */
	void *arg;
	struct err *e; /* NULL: of a worker that nobody waits for now */
	int result;
	int *copy; /* where the result goes as well, or NULL */
};

/* Of the namespace of a socket, which is taken. */
static uint64_t cookie_of(int sock)
{
	auto_close int sk = sock;
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	return sk < 0 || getsockopt(sk, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) ? 0 : cookie;
}

/* With the one that the thread is in. No memory is allocated: see nl_open_fd. */
static int ns_fill(struct ns *ns, struct err *e)
{
	int fd = open(ns_self, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, ERR_IO, "open namespace %s", ns_self);
	if (ns_set(ns, fd, e))
		return -1;
	ns->cookie = cookie_of(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	return 0;
}

static void ns_job_run(struct ns_job *job)
{
	if (job->fd >= 0 ? setns(job->fd, CLONE_NEWNET) : unshare(CLONE_NEWNET))
		job->result = err_sys(job->e, ERR_KERNEL, "%s network namespace",
				      job->fd >= 0 ? "enter the" : "make a");
	else if (job->made && ns_fill(job->made, job->e))
		job->result = -1;
	else
		job->result = job->fn ? job->fn(job->arg, job->e) : 0;
}

static int ns_thread(pthread_t *thread, void *(*fn)(void *), void *arg, struct err *e)
{
	pthread_attr_t attr;
	int rc;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 1 << 20);
	rc = pthread_create(thread, &attr, fn, arg);
	pthread_attr_destroy(&attr);
	if (!rc)
		return 0;
	errno = rc;
	return err_sys(e, ERR_NOMEM, "start a thread for a namespace");
}

static void *ns_thread_once(void *job)
{
	ns_job_run(job);
	return NULL;
}

static int ns_run(struct ns_job *job)
{
	pthread_t thread;

	if (ns_thread(&thread, ns_thread_once, job, job->e))
		return -1;
	pthread_join(thread, NULL);
	return job->result;
}

struct ns_worker {
	pthread_t thread;
	pid_t pid; /* the process that has it */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct ns_job *jobs; /* those before done are done */
	size_t n, done, cap;
	struct err first; /* of what was posted */
	bool own_fds, is_ready, end;
};

/* The lock is held. */
static void ns_worker_next(struct ns_worker *w)
{
	struct ns_job job = w->jobs[w->done];
	struct err e = ERR_INIT;

	if (!job.e)
		job.e = &e;
	pthread_mutex_unlock(&w->lock);
	ns_job_run(&job);
	pthread_mutex_lock(&w->lock);
	if (job.e == &e && job.result && w->first.code == ERR_NONE)
		w->first = e;
	if (job.copy)
		*job.copy = job.result;
	w->done++;
	pthread_cond_broadcast(&w->changed);
}

static void *ns_thread_many(void *arg)
{
	struct ns_worker *w = arg;

	pthread_mutex_lock(&w->lock);
	if (w->own_fds && unshare(CLONE_FILES))
		err_sys(&w->first, ERR_KERNEL, "a table of descriptors for a thread");
	w->is_ready = true;
	pthread_cond_broadcast(&w->changed);
	while (!w->end || w->done < w->n) {
		if (w->done < w->n)
			ns_worker_next(w);
		else
			pthread_cond_wait(&w->changed, &w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

struct ns_worker *ns_worker_new(bool own_fds, struct err *e)
{
	struct ns_worker *w = calloc(1, sizeof(*w));
	sigset_t all, old;
	int rc;

	if (!w) {
		err_set(e, ERR_NOMEM, "thread for namespaces");
		return NULL;
	}
	w->own_fds = own_fds;
	w->pid = getpid();
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->changed, NULL);
	/* it inherits the mask: a signal that the caller blocks later would come to it */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = ns_thread(&w->thread, ns_thread_many, w, e);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc) {
		free(w);
		return NULL;
	}
	pthread_mutex_lock(&w->lock);
	while (!w->is_ready)
		pthread_cond_wait(&w->changed, &w->lock);
	pthread_mutex_unlock(&w->lock);
	if (!ns_worker_wait(w, e))
		return w;
	ns_worker_free(w);
	return NULL;
}

void ns_worker_free(struct ns_worker *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->end = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
	free(w->jobs);
	free(w);
}

static int ns_worker_add(struct ns_worker *w, const struct ns_job *job, struct err *e)
{
	int r = 0;

	pthread_mutex_lock(&w->lock);
	if (w->done == w->n)
		w->done = w->n = 0;
	if (w->n == w->cap) {
		size_t cap = w->cap ? 2 * w->cap : 16;
		struct ns_job *jobs = realloc(w->jobs, cap * sizeof(*jobs));

		if (jobs) {
			w->jobs = jobs;
			w->cap = cap;
		} else {
			r = err_set(e, ERR_NOMEM, "list of what is asked of namespaces");
		}
	}
	if (!r)
		w->jobs[w->n++] = *job;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	return r;
}

int ns_worker_post(struct ns_worker *w, const struct ns *ns, int (*fn)(void *arg, struct err *e),
		   void *arg, struct err *e)
{
	return ns_worker_add(w, &(struct ns_job){.fd = ns->fd, .fn = fn, .arg = arg}, e);
}

/* The lock is held, also afterwards. */
static void ns_worker_finish(struct ns_worker *w)
{
	while (w->done < w->n)
		pthread_cond_wait(&w->changed, &w->lock);
}

void ns_worker_drop(struct ns_worker *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	if (w->done < w->n)
		w->n = w->done + 1;
	ns_worker_finish(w);
	pthread_mutex_unlock(&w->lock);
}

/* The lock is held. */
static int ns_worker_say(struct ns_worker *w, struct err *e)
{
	if (w->first.code == ERR_NONE)
		return 0;
	*e = w->first;
	w->first = (struct err)ERR_INIT;
	return -1;
}

int ns_worker_wait(struct ns_worker *w, struct err *e)
{
	int r;

	pthread_mutex_lock(&w->lock);
	ns_worker_finish(w);
	r = ns_worker_say(w, e);
	pthread_mutex_unlock(&w->lock);
	return r;
}

/* The lock is held. */
static bool ns_worker_will_make(const struct ns_worker *w, const struct ns *made)
{
	for (size_t i = w->done; i < w->n; i++)
		if (w->jobs[i].made == made)
			return true;
	return false;
}

int ns_worker_wait_new(struct ns_worker *w, const struct ns *made, struct err *e)
{
	int r;

	pthread_mutex_lock(&w->lock);
	while (ns_worker_will_make(w, made))
		pthread_cond_wait(&w->changed, &w->lock);
	r = ns_worker_say(w, e);
	pthread_mutex_unlock(&w->lock);
	/* that of another one was told */
	return r || made->fd >= 0 ? r : err_set(e, ERR_KERNEL, "make a network namespace");
}

void ns_use_worker(struct ns *ns, struct ns_worker *w)
{
	ns->worker = w;
}

/* In w, or in a thread of its own. */
static int ns_job_do(struct ns_worker *w, struct ns_job job)
{
	int result = -1;

	if (!w || pthread_equal(w->thread, pthread_self()) || w->pid != getpid())
		return ns_run(&job);
	job.copy = &result;
	if (ns_worker_add(w, &job, job.e))
		return -1;
	pthread_mutex_lock(&w->lock);
	ns_worker_finish(w);
	pthread_mutex_unlock(&w->lock);
	return result;
}

int ns_call(const struct ns *ns, int (*fn)(void *arg, struct err *e), void *arg, struct err *e)
{
	struct ns_job job = {.fd = ns->fd, .fn = fn, .arg = arg, .e = e};

	return ns_job_do(ns->worker, job);
}

uint64_t ns_cookie(const struct ns *ns)
{
	struct err ignored = ERR_INIT;

	return ns->cookie ? ns->cookie : cookie_of(ns_socket(ns, AF_UNIX, SOCK_DGRAM, 0, &ignored));
}

/* A handle that is to be filled. */
static struct ns *ns_empty(struct err *e)
{
	struct ns *ns = calloc(1, sizeof(*ns));

	if (ns)
		ns->fd = -1;
	else
		err_set(e, ERR_NOMEM, "namespace handle");
	return ns;
}

struct ns *ns_worker_post_new(struct ns_worker *w, int (*fn)(void *arg, struct err *e), void *arg,
			      struct err *e)
{
	auto_ns struct ns *ns = ns_empty(e);
	struct ns_job job = {.fd = -1, .made = ns, .fn = fn, .arg = arg};

	return ns && !ns_worker_add(w, &job, e) ? take_ptr(ns) : NULL;
}

struct ns *ns_new_by(struct ns_worker *w, struct err *e)
{
	auto_ns struct ns *ns = ns_empty(e);
	struct ns_job job = {.fd = -1, .made = ns, .e = e};

	if (!ns || ns_job_do(w, job))
		return NULL;
	ns->worker = w;
	return take_ptr(ns);
}

struct ns *ns_new(struct err *e)
{
	return ns_new_by(NULL, e);
}

/* The child: enter, unshare, say how (an errno, 0 for done), wait until the other end is closed. Only async-signal-safe
 * calls: the parent may have threads. */
static void ns_visit(int userns_fd, int flags, int parent)
{
	int rc = setns(userns_fd, CLONE_NEWUSER) || (flags && unshare(flags)) ? errno : 0;
	char c;

	if (write(parent, &rc, sizeof(rc)) == sizeof(rc))
		while (read(parent, &c, 1) < 0 && errno == EINTR)
			;
	_exit(0);
}

int ns_visitor_begin(struct ns_visitor *v, int userns_fd, int flags, struct err *e)
{
	int ends[2], rc = EIO;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return err_sys(e, ERR_IO, "socketpair");
	v->pid = fork();
	if (v->pid < 0)
		rc = errno;
	if (!v->pid) {
		close(ends[0]);
		ns_visit(userns_fd, flags, ends[1]);
	}
	close(ends[1]);
	v->end = ends[0];
	if (v->pid > 0 && read(v->end, &rc, sizeof(rc)) != sizeof(rc))
		rc = EIO;
	if (!rc)
		return 0;
	ns_visitor_end(v);
	errno = rc;
	return err_sys(e, ERR_KERNEL, "enter a user namespace%s",
		       flags ? " and make a namespace there" : "");
}

void ns_visitor_end(struct ns_visitor *v)
{
	close(v->end);
	while (v->pid > 0 && waitpid(v->pid, NULL, 0) < 0 && errno == EINTR)
		;
}

struct ns *ns_new_owned(int userns_fd, struct err *e)
{
	struct ns_visitor v;
	struct ns *ns;

	if (userns_fd < 0)
		return ns_new(e);
	if (ns_visitor_begin(&v, userns_fd, CLONE_NEWNET, e))
		return NULL;
	ns = ns_open_pid(v.pid, e);
	ns_visitor_end(&v);
	return ns;
}

struct ns_socket_args {
	int family, type, protocol, fd;
};

static int ns_socket_make(void *arg, struct err *e)
{
	struct ns_socket_args *a = arg;

	a->fd = socket(a->family, a->type | SOCK_CLOEXEC, a->protocol);
	if (a->fd < 0)
		return err_sys(e, ERR_KERNEL, "socket family %d type %d protocol %d", a->family,
			       a->type, a->protocol);
	return 0;
}

int ns_socket(const struct ns *ns, int family, int type, int protocol, struct err *e)
{
	struct ns_socket_args a = {family, type, protocol, -1};

	return ns_call(ns, ns_socket_make, &a, e) ? -1 : a.fd;
}

int ns_enter(int fd, struct err *e)
{
	if (setns(fd, CLONE_NEWNET))
		return err_sys(e, ERR_KERNEL, "enter a network namespace");
	return 0;
}
