#include "dumper/task.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/pidfd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/stop.h"
#include "criu/fdinfo.pb-c.h"
#include "dumper/sk.h"
#include "dumper/tun.h"
#include "dumper/userns.h"

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

static int task_personality(pid_t pid, uint32_t *out, struct err *e)
{
	auto_buf struct buf b = {0};
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/personality", (int)pid);
	if (io_read_file(AT_FDCWD, path, 64, &b, e))
		return -1;
	*out = b.len ? (uint32_t)strtoul((char *)b.data, NULL, 16) : 0;
	return 0;
}

static struct dump_netns *thread_netns(struct dump *d, pid_t pid, pid_t tid, struct err *e)
{
	struct ns *ns = ns_open_tid(pid, tid, e);

	return ns ? dump_netns_of(d, ns, e) : NULL;
}

/* Does the walk keep a descriptor of that kind? Ends the walk of proc_each_fd with 1. */
static int fd_is_of_network(int fd, const char *target, void *arg, struct err *e)
{
	uint64_t ino;

	return proc_link_ino(target, "socket", &ino) || proc_link_ino(target, "net", &ino) ||
	       !strcmp(target, "/dev/net/tun");
}

/* Has the thread a descriptor table of its own (unshare(CLONE_FILES)), and in it what belongs into the image? kcmp(2)
 * takes ids of threads, and /proc/TID is there for each thread. */
static bool thread_has_own_files(const struct task *t, pid_t tid)
{
	struct err gone = ERR_INIT;

	return tid != t->via && syscall(SYS_kcmp, t->via, tid, KCMP_FILES, 0ul, 0ul) > 0 &&
	       proc_each_fd(tid, fd_is_of_network, NULL, &gone) == 1;
}

/* pidfd_open(2) takes the id of a thread that is not the first one since Linux 6.9. */
static bool thread_can_be_asked(pid_t tid)
{
	auto_close int fd = pidfd_open(tid, PIDFD_THREAD);

	return fd >= 0;
}

/* A thread with descriptors of its own is a task of its own in the image, where the kernel lets us have them. */
static int task_note_own_files(struct dump *d, const struct task *t, pid_t tid,
			       struct pid_list *own, struct err *e)
{
	bool is_task = !d->opts.criu && thread_can_be_asked(tid);
	char object[80];

	snprintf(object, sizeof(object), "task %d thread %d", (int)t->pid, (int)tid);
	if (dump_lose(d, e, object,
		      is_task ? "it has a descriptor table of its own: it is kept as a task of "
				"its own, a restore makes a holder of it"
		      : d->opts.criu
			      ? "it has a descriptor table of its own, of which CRIU knows nothing"
			      : "it has a descriptor table of its own, which cannot be reached "
				"before Linux 6.9"))
		return -1;
	return is_task ? pid_list_add(own, tid, e) : 0;
}

/* own: threads that are to be tasks of their own. */
static int task_read_threads(struct task *t, struct dump *d, struct pid_list *own, struct err *e)
{
	struct pid_list tids = {0};
	auto_free pid_t *ids = NULL;
	int rc = proc_list_threads(t->pid, &tids, e);

	ids = tids.ids;
	if (rc)
		return -1;
	t->threads = calloc(tids.n, sizeof(*t->threads));
	if (!t->threads)
		return err_set(e, ERR_NOMEM, "threads of process %d", (int)t->pid);
	for (size_t i = 0; i < tids.n; i++) {
		struct task_thread *th = &t->threads[t->n_threads];

		if (ids[i] == t->pid)
			continue;
		if (thread_has_own_files(t, ids[i])) {
			if (task_note_own_files(d, t, ids[i], own, e))
				return -1;
			if (pid_list_has(own, ids[i]))
				continue;
		}
		th->tid = ids[i];
		th->netns = thread_netns(d, t->pid, ids[i], e);
		if (!th->netns || proc_comm_read(t->pid, ids[i], th->comm, e))
			return -1;
		t->n_threads++;
	}
	return 0;
}

static ino_t mntns_of(pid_t pid)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)pid);
	return stat(path, &st) ? 0 : st.st_ino;
}

/* A zombie has no namespaces and no descriptors any more. When only its first thread has ended and others run on, they
 * have both, but /proc/PID and pidfd_open(2) without PIDFD_THREAD go by the first thread: another one is asked. */
static int task_find_thread(struct task *t, struct dump *d, struct err *e)
{
	char object[64];

	t->via = proc_living_thread(t->pid);
	if (!t->via)
		return err_set(e, ERR_GONE, "process %d has ended", (int)t->pid);
	if (thread_can_be_asked(t->via))
		return 0;
	snprintf(object, sizeof(object), "task %d (%s)", (int)t->pid, t->stat.comm);
	if (dump_lose(d, e, object,
		      "its first thread has ended while others run on: its descriptors cannot be "
		      "reached before Linux 6.9"))
		return -1;
	return err_set(e, ERR_GONE, "process %d has ended", (int)t->pid);
}

/* leader: of the thread pid that is to be a task of its own; 0: pid is a process. */
static int task_read(struct task *t, struct dump *d, pid_t pid, pid_t leader, struct pid_list *own,
		     struct err *e)
{
	pid_t tracer;

	t->pid = t->via = pid;
	if (proc_stat_read(pid, &t->stat, e))
		return -1;
	if (leader)
		t->stat.ppid = leader;
	if ((t->stat.state == 'Z' || t->stat.state == 'X') && task_find_thread(t, d, e))
		return -1;
	if (proc_status_read(t->via, t->via, &t->sig_blocked, &tracer, e) ||
	    task_personality(t->via, &t->personality, e))
		return -1;
	t->netns = thread_netns(d, t->via, t->via, e);
	t->userns = t->netns ? userns_of_pid(d, t->via, e) : NULL;
	if (!t->userns)
		return -1;
	t->mntns_ino = mntns_of(t->via);
	return leader ? 0 : task_read_threads(t, d, own, e);
}

static void task_free(struct task *t)
{
	free(t->threads);
	free(t->fds);
	*t = (struct task){0};
}

void tasks_free(struct tasks *ts)
{
	for (size_t i = 0; i < ts->n; i++)
		task_free(&ts->all[i]);
	free(ts->all);
	u64map_free(&ts->files);
	*ts = (struct tasks){0};
}

/* Order of descriptor tables, by kcmp(2): the kernel gives a total order, so sorting finds who shares. */
static int files_cmp(const void *a, const void *b)
{
	const struct task *x = *(struct task *const *)a, *y = *(struct task *const *)b;
	long rc = syscall(SYS_kcmp, x->via, y->via, KCMP_FILES, 0ul, 0ul);

	if (rc < 0 || rc == 3) /* no kcmp in this kernel, or gone: not shared */
		return (x->pid > y->pid) - (x->pid < y->pid);
	return rc == 0 ? 0 : rc == 1 ? -1 : 1;
}

/* Give every descriptor table a number. The first task in the list that has it owns the list. */
static int tasks_share_files(struct tasks *ts, struct err *e)
{
	auto_free struct task **sorted = calloc(ts->n + 1, sizeof(*sorted));

	if (!sorted)
		return err_set(e, ERR_NOMEM, "list of tasks");
	for (size_t i = 0; i < ts->n; i++) {
		sorted[i] = &ts->all[i];
		ts->all[i].files_id = (uint32_t)i + 1;
	}
	qsort(sorted, ts->n, sizeof(*sorted), files_cmp);
	for (size_t i = 1, run = 0; i < ts->n; i++) {
		if (sorted[i - 1] != sorted[i] && !files_cmp(&sorted[i - 1], &sorted[i])) {
			for (size_t j = run; j <= i; j++) /* all of a run get its smallest number */
				if (sorted[j]->files_id < sorted[run]->files_id)
					sorted[run]->files_id = sorted[j]->files_id;
			for (size_t j = run; j <= i; j++)
				sorted[j]->files_id = sorted[run]->files_id;
		} else {
			run = i;
		}
	}
	for (size_t i = 0; i < ts->n; i++)
		ts->all[i].owns_files = ts->all[i].files_id == i + 1;
	return 0;
}

static int tasks_number_mounts(struct tasks *ts, struct err *e)
{
	struct u64map by_ino = {0};
	uint32_t n = 0;
	int rc = 0;

	for (size_t i = 0; i < ts->n && !rc; i++) {
		struct task *t = &ts->all[i];

		if (!t->mntns_ino || u64map_find(&by_ino, t->mntns_ino, &t->mntns))
			continue;
		t->mntns = ++n;
		rc = u64map_put(&by_ino, t->mntns_ino, t->mntns, e);
	}
	u64map_free(&by_ino);
	return rc;
}

/* One more task; none when it has ended meanwhile. */
static int tasks_add(struct tasks *ts, struct dump *d, pid_t pid, pid_t leader,
		     struct pid_list *own, struct err *e)
{
	struct task *all = ts->all, *t;

	if (!(ts->n & (ts->n - 1))) {
		all = realloc(all, (ts->n ? ts->n * 2 : 1) * sizeof(*all));
		if (!all)
			return err_set(e, ERR_NOMEM, "list of %zu tasks", ts->n);
		ts->all = all;
	}
	t = &all[ts->n];
	*t = (struct task){.is_thread = leader != 0};
	if (!task_read(t, d, pid, leader, own, e)) {
		ts->n++;
		return 0;
	}
	task_free(t);
	if (e->code != ERR_GONE)
		return err_wrap(e, "process %d", (int)pid);
	*e = (struct err)ERR_INIT;
	return 0;
}

static int tasks_add_process(struct tasks *ts, struct dump *d, pid_t pid, struct err *e)
{
	struct pid_list own = {0};
	int rc = tasks_add(ts, d, pid, 0, &own, e);

	for (size_t i = 0; !rc && i < own.n; i++)
		rc = tasks_add(ts, d, own.ids[i], pid, &own, e);
	free(own.ids);
	return rc;
}

int tasks_read(struct tasks *ts, struct dump *d, const struct pid_list *list, struct err *e)
{
	for (size_t i = 0; i < list->n; i++) {
		progress_say(d->opts.progress, i + 1, list->n, "tasks: process %d",
			     (int)list->ids[i]);
		if (tasks_add_process(ts, d, list->ids[i], e))
			return -1;
	}
	return tasks_number_mounts(ts, e) || tasks_share_files(ts, e) ? -1 : 0;
}

/* Sockets whose options are read by other threads while records are made of those before, in the order in which they
 * were met. */
enum { SOCKETS_AHEAD = 32 };

struct sockets_ahead {
	struct socket_ahead {
		struct sk_ref ref; /* fd is owned */
		struct sk_read *read;
		struct task *task;
		char owner[64];
	} all[SOCKETS_AHEAD];
	size_t first, n;
};

/* What the walk over one task's descriptors needs. */
struct fd_walk {
	struct sockets_ahead *ahead;
	struct tasks *ts;
	struct task *task;
	struct dump *dump;
	struct img_writer *files, *others;
	int pidfd; /* -1 until the first descriptor is wanted */
};

static int task_fd_add(struct task *t, const struct task_fd *fd, struct err *e)
{
	if (!(t->n_fds & (t->n_fds - 1)) || !t->n_fds) {
		struct task_fd *fds = realloc(t->fds, (t->n_fds ? t->n_fds * 2 : 8) * sizeof(*fds));

		if (!fds)
			return err_set(e, ERR_NOMEM, "descriptors of process %d", (int)t->pid);
		t->fds = fds;
	}
	t->fds[t->n_fds++] = *fd;
	return 0;
}

/* A duplicate of the task's descriptor (pidfd_getfd(2)): the same open file, nothing runs in the task. */
static int fd_fetch(struct fd_walk *w, int fd, struct err *e)
{
	int got;

	if (w->pidfd < 0)
		w->pidfd = pidfd_open(
			w->task->via,
			w->task->via == w->task->pid && !w->task->is_thread ? 0 : PIDFD_THREAD);
	if (w->pidfd < 0)
		return err_sys(e, ERR_GONE, "open process %d", (int)w->task->pid);
	got = pidfd_getfd(w->pidfd, fd, 0);
	if (got < 0)
		return err_sys(e, ERR_KERNEL,
			       "take descriptor %d of process %d (needs CAP_SYS_PTRACE over it)",
			       fd, (int)w->task->pid);
	return got;
}

/* One that was added, perhaps lately. */
static struct task_fd *task_fd_find(const struct task *t, int fd)
{
	size_t i = t->n_fds - 1;

	while (t->fds[i].fd != fd)
		i--;
	return &t->fds[i];
}

/* Make records until only so many sockets are ahead. */
static int sockets_end(struct fd_walk *w, size_t n, struct err *e)
{
	struct sockets_ahead *a = w->ahead;

	while (a->n > n) {
		struct socket_ahead *s = &a->all[a->first];
		uint32_t flags;
		int rc = sk_end(s->read, w->files, w->others, &flags, e);

		if (!rc)
			task_fd_find(s->task, s->ref.number)->cloexec = flags & O_CLOEXEC;
		close(s->ref.fd);
		a->first = (a->first + 1) % SOCKETS_AHEAD;
		a->n--;
		if (rc)
			return err_wrap(e, "socket %llu (%s)", (unsigned long long)s->ref.ino,
					s->owner);
	}
	return 0;
}

static void sockets_free(struct sockets_ahead *a)
{
	for (; a->n; a->n--) {
		sk_free(a->all[a->first].read);
		close(a->all[a->first].ref.fd);
		a->first = (a->first + 1) % SOCKETS_AHEAD;
	}
}

/* 1: left out, because neither it nor its task belongs to what --netns names. *flags_come: cloexec is set when its record
 * is made. */
static int fd_socket(struct fd_walk *w, uint64_t ino, struct task_fd *out, bool *flags_come,
		     struct err *e)
{
	struct socket_ahead *s;
	uint32_t known;
	auto_close int sock = -1;

	if (u64map_find(&w->ts->files, ino, &known)) {
		out->file_id = known & 0xffffffu;
		out->type = known >> 24;
		return 0;
	}
	if (sockets_end(w, SOCKETS_AHEAD - 1, e))
		return -1;
	s = &w->ahead->all[(w->ahead->first + w->ahead->n) % SOCKETS_AHEAD];
	snprintf(s->owner, sizeof(s->owner), "pid %d fd %d", (int)w->task->pid, out->fd);
	sock = fd_fetch(w, out->fd, e);
	if (sock < 0)
		return -1;
	s->ref = (struct sk_ref){
		.fd = sock, .ino = ino, .owner = s->owner, .pid = w->task->via, .number = out->fd};
	s->task = w->task;
	s->ref.netns = dump_netns_of_socket(w->dump, sock, e);
	if (!s->ref.netns)
		return err_wrap(e, "socket %llu (%s)", (unsigned long long)ino, s->owner);
	if (w->dump->only_named && s->ref.netns->external && w->task->netns->external)
		return 1;
	out->file_id = s->ref.file_id = w->dump->next_file_id++;
	if (out->file_id > 0xffffff)
		return err_set(e, ERR_RANGE, "more than %u sockets", 0xffffff);
	s->read = sk_begin(w->dump, &s->ref, &out->type, e);
	if (!s->read)
		return err_wrap(e, "socket %llu (%s)", (unsigned long long)ino, s->owner);
	take_fd(&sock);
	w->ahead->n++;
	*flags_come = true;
	w->ts->n_sockets++;
	s->ref.netns->n_sockets++;
	return u64map_put(&w->ts->files, ino, out->file_id | out->type << 24, e);
}

/* Namespace and tun files have no inode of their own, as sockets have: kcmp(2) tells whether two descriptors
 * are one open file. The type of out is set. */
static bool fd_is_known(const struct fd_walk *w, struct task_fd *out)
{
	for (size_t i = 0; i < w->ts->n; i++) {
		const struct task *t = &w->ts->all[i];

		for (size_t k = 0; k < t->n_fds; k++) {
			if (t->fds[k].type != out->type ||
			    syscall(SYS_kcmp, t->via, w->task->via, KCMP_FILE,
				    (unsigned long)t->fds[k].fd, (unsigned long)out->fd) != 0)
				continue;
			out->file_id = t->fds[k].file_id;
			return true;
		}
	}
	return false;
}

static int fd_namespace(struct fd_walk *w, struct task_fd *out, struct err *e)
{
	FileEntry entry = FILE_ENTRY__INIT;
	NsFileEntry nsf = NS_FILE_ENTRY__INIT;
	auto_close int fd = fd_fetch(w, out->fd, e);
	struct dump_netns *n;
	struct ns *ns;

	if (fd < 0)
		return -1;
	out->type = FD_TYPES__NS;
	if (fd_is_known(w, out))
		return 0;
	if (sockets_end(w, 0, e)) /* records stand in the order of their numbers */
		return -1;
	nsf.flags = (uint32_t)fcntl(fd, F_GETFL);
	ns = ns_from_fd(take_fd(&fd), e);
	n = ns ? dump_netns_of(w->dump, ns, e) : NULL;
	if (!n)
		return -1;
	out->file_id = w->dump->next_file_id++;
	nsf.id = entry.id = out->file_id;
	nsf.ns_id = n->id;
	nsf.ns_cflag = CLONE_NEWNET;
	nsf.has_nsimg_ino = 1;
	nsf.nsimg_ino = n->ino;
	entry.type = FD_TYPES__NS;
	entry.nsf = &nsf;
	return img_write_message(w->files, &entry.base, e);
}

static int fd_tun(struct fd_walk *w, struct task_fd *out, struct err *e)
{
	auto_close int fd = fd_fetch(w, out->fd, e);
	char owner[64];

	if (fd < 0)
		return -1;
	snprintf(owner, sizeof(owner), "pid %d fd %d", (int)w->task->pid, out->fd);
	out->type = FD_TYPES__TUNF;
	if (fd_is_known(w, out))
		return 0;
	if (sockets_end(w, 0, e))
		return -1;
	out->file_id = w->dump->next_file_id++;
	return tun_dump(w->dump, fd, out->file_id, w->task->netns, owner, w->files, e);
}

/* A link (bpf(2)) ends, and its program goes from where it is, with the last descriptor. */
static int fd_bpf_link(const struct fd_walk *w, int fd, const char *object, struct err *e)
{
	static const char *const kinds[] = {"xdp", "netns", "netfilter", "tcx", "netkit"};
	struct err none = ERR_INIT;
	char kind[32];

	if (proc_fd_word(w->task->via, fd, "link_type:", kind, &none))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(kind, kinds[i]))
			return dump_lose(
				w->dump, e, object,
				"link of an eBPF program (%s) is not kept: the kernel does "
				"not give programs back",
				kind);
	return 0;
}

/* What is of the network and is not kept. */
static int fd_other(const struct fd_walk *w, int fd, const char *target, struct err *e)
{
	static const char *const kinds[] = {"user", "mnt", "pid", "uts", "ipc", "cgroup", "time"};
	char object[64];
	uint64_t ino;

	if (w->dump->opts.criu)
		return 0;
	snprintf(object, sizeof(object), "pid %d fd %d", (int)w->task->pid, fd);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (proc_link_ino(target, kinds[i], &ino))
			return dump_lose(w->dump, e, object,
					 "descriptor of a %s namespace is not kept, only those of "
					 "network namespaces are",
					 kinds[i]);
	if (!strncmp(target, "/dev/tap", 8))
		return dump_lose(w->dump, e, object,
				 "descriptor of %s, of a macvtap or ipvtap device, is not kept",
				 target);
	return !strcmp(target, "anon_inode:bpf_link") || !strcmp(target, "anon_inode:bpf-link")
		       ? fd_bpf_link(w, fd, object, e)
		       : 0;
}

static int fd_visit(int fd, const char *target, void *arg, struct err *e)
{
	struct fd_walk *w = arg;
	struct task_fd out = {.fd = fd};
	bool flags_come = false;
	uint32_t flags = 0;
	uint64_t ino;
	int rc;

	progress_say(w->dump->opts.progress, w->task - w->ts->all + 1, w->ts->n,
		     "descriptors: process %d, %d", (int)w->task->pid, fd);
	if (stop_check(e))
		return -1;
	if (proc_link_ino(target, "socket", &ino))
		rc = fd_socket(w, ino, &out, &flags_come, e);
	else if (proc_link_ino(target, "net", &ino))
		rc = fd_namespace(w, &out, e);
	else if (!strcmp(target, "/dev/net/tun"))
		rc = fd_tun(w, &out, e);
	else
		return fd_other(w, fd, target, e);
	if (rc == 1)
		return 0;
	if (rc || (!flags_come && proc_fd_flags(w->task->via, fd, &flags, e)))
		return -1;
	out.cloexec = flags & O_CLOEXEC;
	return task_fd_add(w->task, &out, e);
}

static int fd_cmp(const void *a, const void *b)
{
	const struct task_fd *x = a, *y = b;

	return (x->fd > y->fd) - (x->fd < y->fd);
}

int tasks_dump_fds(struct tasks *ts, struct dump *d, struct img_writer *files,
		   struct img_writer *others, struct err *e)
{
	__attribute__((cleanup(sockets_free))) struct sockets_ahead ahead = {0};
	struct fd_walk w = {&ahead, ts, NULL, d, files, others, -1};

	for (size_t i = 0; i < ts->n; i++) {
		int rc;

		w.task = &ts->all[i];
		w.pidfd = -1;
		if (!w.task->owns_files)
			continue;
		rc = proc_each_fd(w.task->via, fd_visit, &w, e);
		if (w.pidfd >= 0)
			close(w.pidfd);
		if (rc)
			return -1;
		if (w.task->n_fds)
			qsort(w.task->fds, w.task->n_fds, sizeof(*w.task->fds), fd_cmp);
	}
	return sockets_end(&w, 0, e);
}
