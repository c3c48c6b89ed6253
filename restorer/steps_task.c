/* The steps of tasks and sockets: the restorer asks, holders do. */
#include "restorer/steps.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/caps.h"
#include "base/cleanup.h"
#include "restorer/given_limit.h"
#include "restorer/restore.h"
#include "restorer/sk_make.h"
#include "restorer/sk_moment.h"
#include "restorer/socket_file.h"
#include "restorer/task_engine.h"

static const struct sk_file *file_of(const struct restore *r, const struct step *s)
{
	return &r->tasks->specs->files[s->num];
}

/* Ask the task that creates the file, and keep what it notes for the end of the restore. */
static int ask(struct restore *r, size_t task, enum holder_op op, size_t file, int64_t arg, int fd,
	       int *out, struct err *e)
{
	return holder_ask(r->tasks->holders[task], op, file, arg, fd, out, &r->notes, e);
}

/* Tell the task that creates the file of the step, and later hear it. */
static int tell_creator(struct restore *r, const struct step *s, enum holder_op op, struct err *e)
{
	return holder_tell(r->tasks->holders[file_of(r, s)->creator], op, (size_t)s->num, 0, -1, e);
}

static int hear(struct restore *r, size_t task, struct err *e)
{
	return holder_hear(r->tasks->holders[task], NULL, &r->notes, e);
}

static int hear_creator(struct restore *r, struct step *s, struct err *e)
{
	return hear(r, file_of(r, s)->creator, e);
}

/* The same where the step is about a task. */
static int hear_task(struct restore *r, struct step *s, struct err *e)
{
	return hear(r, (size_t)s->num, e);
}

/* From here on holders are forked beside the steps that follow. */
static int start_holders(struct task_engine *t, struct err *e)
{
	return forker_store(t->forker, t->store, e) ||
			       holders_start(take_ptr(t->forker), t->specs->tasks, 0,
					     t->specs->n_tasks, t->holders, e)
		       ? -1
		       : 0;
}

static int run_store(struct restore *r, struct step *s, struct err *e)
{
	struct task_engine *t = r->tasks;

	/* verify compares paths as they are below it */
	if (strcmp(r->opts->root, "/") != 0 &&
	    journal_fact(r->journal, r->step, "root", e, "%s", r->opts->root))
		return -1;
	t->store = store_new(e);
	if (!t->store)
		return -1;
	t->env.store = t->store;
	if (store_put(t->store, STORE_JOURNAL, 0, t->work, e))
		return -1;
	close(take_fd(&t->work));
	for (size_t i = 0; i < r->n_netns; i++)
		if (r->netns[i].ns &&
		    store_put(t->store, STORE_NETNS, r->netns[i].row, ns_fd(r->netns[i].ns), e))
			return -1;
	for (size_t i = 0; i < r->n_userns; i++)
		if (r->userns[i].fd >= 0 &&
		    store_put(t->store, STORE_USERNS, r->userns[i].ns_id, r->userns[i].fd, e))
			return -1;
	return start_holders(t, e);
}

/* Asked by trying: whether a hard limit can be raised depends on capabilities and fs.nr_open. */
static int check_holder(const struct restore *r, const struct step *s, struct buf *reasons,
			struct err *e)
{
	const struct sk_task *t = &r->tasks->specs->tasks[s->num];
	struct err why = ERR_INIT;
	struct rlimit limit, want;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return err_sys(e, ERR_KERNEL, "limit of open files");
	want = (struct rlimit){limit.rlim_cur, holder_room(t)};
	if (limit.rlim_max >= want.rlim_max)
		return 0;
	if (!setrlimit(RLIMIT_NOFILE, &want))
		return setrlimit(RLIMIT_NOFILE, &limit)
			       ? err_sys(e, ERR_KERNEL, "set the limit of open files back")
			       : 0;
	return holder_room_check(t, limit.rlim_max, &why) ? buf_printf(reasons, e, "%s\n", why.msg)
							  : 0;
}

static int run_holder(struct restore *r, struct step *s, struct err *e)
{
	const struct sk_task *t = &r->tasks->specs->tasks[s->num];

	return hear_task(r, s, e) ||
			       journal_holder_add(r->journal, holder_pid(r->tasks->holders[s->num]),
						  t->row, t->pid, t->comm, e)
		       ? -1
		       : 0;
}

/* un.file or un.aside. */
static int note_path(struct restore *r, const struct sk_file *f, const char *file, struct err *e)
{
	char path[4400];

	sk_unix_place(f, file, r->opts->root, path, sizeof(path));
	return socket_file_made(r->journal, r->step, path, e);
}

/* The inode of a socket file tells rollback later that the file is ours. */
static int note_file(struct restore *r, size_t file, struct err *e)
{
	const struct sk_file *f = &r->tasks->specs->files[file];
	char path[4200];

	if (!sk_unix_has_file(f) || !sk_unix_file(f, r->opts->root, path, sizeof(path)))
		return 0;
	if (f->un.brings && note_path(r, f->un.brings, f->un.brings->un.file, e))
		return -1;
	return f->un.aside ? note_path(r, f, f->un.aside, e)
			   : socket_file_made(r->journal, r->step, path, e);
}

static int run_socket(struct restore *r, struct step *s, struct err *e)
{
	return sk_moment_begin(r, file_of(r, s), e) ? -1 : tell_creator(r, s, HOLDER_CREATE, e);
}

static int finish_socket(struct restore *r, struct step *s, struct err *e)
{
	return hear_creator(r, s, e) || sk_moment_end(r, file_of(r, s), e)
		       ? -1
		       : note_file(r, (size_t)s->num, e);
}

static int run_pair(struct restore *r, struct step *s, struct err *e)
{
	return tell_creator(r, s, HOLDER_PAIR, e);
}

static int finish_pair(struct restore *r, struct step *s, struct err *e)
{
	if (hear_creator(r, s, e))
		return -1;
	return note_file(r, (size_t)s->num, e) || note_file(r, file_of(r, s)->un.pair, e) ? -1 : 0;
}

static int run_listen(struct restore *r, struct step *s, struct err *e)
{
	return given_limit_note(r, file_of(r, s), e) ? -1 : tell_creator(r, s, HOLDER_LISTEN, e);
}

static int run_connect(struct restore *r, struct step *s, struct err *e)
{
	const struct sk_file *f = file_of(r, s);
	auto_close int name = -1;

	if (sk_connects_to_hidden(r->tasks->specs, f) &&
	    ask(r, r->tasks->specs->files[f->un.peer].creator, HOLDER_NAME, f->un.peer, 0, -1,
		&name, e))
		return -1;
	return ask(r, f->creator, HOLDER_CONNECT, (size_t)s->num, 0, name, NULL, e);
}

/* The holder of the dumped process pid, 0: none. */
static pid_t new_pid(const struct restore *r, pid_t pid)
{
	for (size_t i = 0; pid && i < r->tasks->specs->n_tasks; i++)
		if (r->tasks->specs->tasks[i].pid == pid)
			return holder_pid(r->tasks->holders[i]);
	return 0;
}

/* The next file from at on that the task of the step has made; n_files when there is none. */
static size_t next_made(const struct restore *r, const struct step *s, size_t at)
{
	const struct sk_specs *specs = r->tasks->specs;

	while (at < specs->n_files &&
	       (specs->files[at].creator != (size_t)s->num || !engine_makes(&specs->files[at])))
		at++;
	return at;
}

/* Its files one after the other, told ahead of what is heard. */
static int run_finish(struct restore *r, struct step *s, struct err *e)
{
	const struct sk_specs *specs = r->tasks->specs;
	struct holder *h = r->tasks->holders[s->num];
	size_t told = next_made(r, s, 0), heard = told, ahead = 0;

	while (heard < specs->n_files) {
		if (told < specs->n_files && ahead < HOLDER_TOLD_MAX) {
			pid_t owner = new_pid(r, specs->files[told].owner.pid);

			if (holder_tell(h, HOLDER_FINISH, told, owner, -1, e))
				return -1;
			told = next_made(r, s, told + 1);
			ahead++;
			continue;
		}
		if (hear(r, (size_t)s->num, e))
			return err_wrap(e, "%s", specs->files[heard].label);
		heard = next_made(r, s, heard + 1);
		ahead--;
	}
	return 0;
}

static int run_share(struct restore *r, struct step *s, struct err *e)
{
	auto_close int fd = -1;

	if (ask(r, file_of(r, s)->creator, HOLDER_GIVE, (size_t)s->num, 0, -1, &fd, e))
		return -1;
	return ask(r, (size_t)s->row2, HOLDER_TAKE, (size_t)s->num, 0, fd, NULL, e);
}

static int run_enter(struct restore *r, struct step *s, struct err *e)
{
	return holder_tell(r->tasks->holders[s->num], HOLDER_ENTER, 0, 0, -1, e);
}

/* From here on holders live without us: the journal has them all before the first is told. */
static int run_keep(struct restore *r, struct step *s, struct err *e)
{
	size_t n = r->tasks->specs->n_tasks;

	for (size_t i = 0; i < n; i++) {
		pid_t pid = holder_pid(r->tasks->holders[i]);

		if (journal_fact(r->journal, r->step, "holder", e, "%d %" PRIu64, (int)pid,
				 process_start(pid)))
			return -1;
	}
	for (size_t i = 0; i < n; i++)
		if (holder_tell(r->tasks->holders[i], HOLDER_COMMIT, 0, 0, -1, e))
			return -1;
	for (size_t i = 0; i < n; i++)
		if (hear(r, i, e))
			return -1;
	return 0;
}

/* Only a process that is proven ours: by its start time, looked at after the pidfd has fixed which process
 * is meant. */
static int undo_keep(const struct journal_entry *je, struct err *e)
{
	for (size_t i = 0; i < je->n_facts; i++) {
		auto_close int fd = -1;
		uint64_t start;
		int pid;

		if (strcmp(je->keys[i], "holder") != 0 ||
		    sscanf(je->values[i], "%d %" SCNu64, &pid, &start) != 2)
			continue;
		fd = (int)syscall(SYS_pidfd_open, pid, 0);
		if (fd >= 0 && process_is_alive(pid, start))
			syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
	}
	return 0;
}

#define NET_CAPS                                                                                   \
	(CAPS_BIT(CAP_NET_ADMIN) | CAPS_BIT(CAP_NET_RAW) | CAPS_BIT(CAP_NET_BIND_SERVICE) |        \
	 CAPS_BIT(CAP_SYS_ADMIN))

const struct step_kind step_kinds_task[] = {
	{.name = "store",
	 .stage = STAGE_STORE,
	 .caps = CAPS_BIT(CAP_SYS_ADMIN),
	 .undo_class = UNDO_WITH_NAMESPACE,
	 .run = run_store},
	{.name = "holder",
	 .stage = STAGE_HOLDER,
	 .caps = CAPS_BIT(CAP_SYS_ADMIN),
	 .undo_class = UNDO_WITH_NAMESPACE,
	 .run = run_holder,
	 .check = check_holder},
	{.name = "socket-file",
	 .stage = STAGE_SOCKET,
	 .undo_class = UNDO_EXACT,
	 .run = socket_file_run,
	 .undo = socket_file_undo,
	 .check = socket_file_check},
	{.name = "socket",
	 .stage = STAGE_SOCKET,
	 .caps = NET_CAPS,
	 .undo_class = UNDO_EXACT,
	 .run = run_socket,
	 .finish = finish_socket,
	 .undo = socket_file_remove},
	{.name = "socket-pair",
	 .stage = STAGE_SOCKET,
	 .caps = NET_CAPS,
	 .undo_class = UNDO_EXACT,
	 .run = run_pair,
	 .finish = finish_pair,
	 .undo = socket_file_remove},
	{.name = "listen",
	 .stage = STAGE_LISTEN,
	 .undo_class = UNDO_EXACT,
	 .run = run_listen,
	 .finish = hear_creator,
	 .undo = given_limit_undo},
	{.name = "connect",
	 .stage = STAGE_CONNECT,
	 .undo_class = UNDO_WITH_NAMESPACE,
	 .run = run_connect},
	{.name = "finish",
	 .stage = STAGE_FINISH,
	 .undo_class = UNDO_WITH_NAMESPACE,
	 .run = run_finish},
	{.name = "share",
	 .stage = STAGE_SHARE,
	 .undo_class = UNDO_WITH_NAMESPACE,
	 .run = run_share},
	{.name = "enter",
	 .stage = STAGE_ENTER,
	 .caps = CAPS_BIT(CAP_SYS_ADMIN),
	 .undo_class = UNDO_WITH_NAMESPACE,
	 .run = run_enter,
	 .finish = hear_task},
	{.name = "keep",
	 .stage = STAGE_KEEP,
	 .undo_class = UNDO_EXACT,
	 .run = run_keep,
	 .undo = undo_keep},
	{.name = NULL},
};
