/* Tasks and sockets as steps. The order that nested namespaces need:
 *   store     the descriptors of all namespaces go into one store
 *   holder    a process for each task: it is forked from the store on, and is ready here
 *   socket    in the namespace of the socket, by the first task that has it (a pair: both ends at once)
 *   listen, connect
 *   finish    what comes last, per task
 *   share     to the other tasks that have it
 *   enter     each task its own namespace for good
 *   keep      holders live on
 * Each group waits for the whole group before it (milestones), because sockets of different tasks belong to
 * each other. */
#include <linux/capability.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/caps.h"
#include "base/cleanup.h"
#include "restorer/build.h"
#include "restorer/sk_make.h"
#include "restorer/sk_moment.h"
#include "restorer/steps.h"
#include "restorer/task_engine.h"

/* Kinds of the steps of files, which are many. */
enum file_kind { FILE_SOCKET, FILE_PAIR, FILE_LISTEN, FILE_CONNECT, FILE_KIND_COUNT };
static const char *const file_kinds[] = {
	[FILE_SOCKET] = "socket",
	[FILE_PAIR] = "socket-pair",
	[FILE_LISTEN] = "listen",
	[FILE_CONNECT] = "connect",
};
_Static_assert(ARRAY_SIZE(file_kinds) == FILE_KIND_COUNT, "every kind has a name");

struct build {
	struct plan *p;
	struct restore *r;
	struct task_engine *t;
	struct step *store;
	struct step **made; /* per file: the step that creates it */
	size_t *n_made;     /* per task: how many files it creates */
	char (*names)[48];  /* per task: "sleep(17)" */
	const struct step_kind *kinds[FILE_KIND_COUNT];
};

struct task_engine *engine_new(struct db *db, int64_t image, const char *root, struct err *e)
{
	struct task_engine *t = calloc(1, sizeof(*t));

	if (!t) {
		err_set(e, ERR_NOMEM, "tasks");
		return NULL;
	}
	t->work = -1;
	t->specs = sk_specs_load(db, image, e);
	t->holders = t->specs ? calloc(t->specs->n_tasks + 1, sizeof(struct holder *)) : NULL;
	if (!t->holders) {
		if (t->specs)
			err_set(e, ERR_NOMEM, "tasks");
		engine_free(t);
		return NULL;
	}
	t->env = (struct holder_env){.specs = t->specs, .root = root};
	return t;
}

void engine_free(struct task_engine *t)
{
	if (!t)
		return;
	if (t->work >= 0)
		close(t->work);
	forker_free(t->forker);
	for (size_t i = 0; t->holders && i < t->specs->n_tasks; i++)
		holder_free(t->holders[i]);
	free(t->holders);
	store_free(t->store);
	sk_specs_free(t->specs);
	free(t);
}

int engine_start(struct task_engine *t, struct err *e)
{
	if (t->specs->n_tasks)
		t->forker = forker_new(&t->env, e);
	return t->forker || !t->specs->n_tasks ? 0 : -1;
}

int engine_begin(struct task_engine *t, const struct journal *j, struct err *e)
{
	t->work = journal_work(j, e);
	return t->work < 0 ? -1 : forker_keep(t->forker, t->work, e);
}

bool engine_makes(const struct sk_file *f)
{
	return f->creator != SK_NONE && !f->left_out;
}

static const struct sk_file *file_at(const struct build *b, size_t i)
{
	return &b->t->specs->files[i];
}

/* ---- steps ---- */

/* It needs every namespace that a task or socket is in. */
static int build_store(struct build *b, struct err *e)
{
	const struct sk_specs *s = b->t->specs;

	b->store = plan_add(b->p, step_kind_find("store"), NULL, e, "of namespace descriptors");
	if (!b->store)
		return -1;
	for (size_t i = 0; i < b->r->n_netns; i++)
		if (plan_after(b->p, b->store, MS_EXISTS, b->r->netns[i].row, e))
			return -1;
	for (size_t i = 0; i < b->r->n_userns; i++) {
		struct step *u = plan_find(b->p, "userns", b->r->userns[i].ns_id);

		if (u && plan_need(b->p, b->store, u, e))
			return -1;
	}
	return s->n_tasks ? 0 : plan_before(b->p, b->store, MS_TASKS, 0, e);
}

static int build_holder(struct build *b, size_t i, struct err *e)
{
	const struct sk_task *t = &b->t->specs->tasks[i];
	struct step *s = plan_add_text(b->p, step_kind_find("holder"), NULL, b->names[i], e);

	if (!s)
		return -1;
	s->row = t->row;
	s->num = (int64_t)i;
	return plan_need(b->p, s, b->store, e) || plan_before(b->p, s, MS_HOLDERS, 0, e) ? -1 : 0;
}

/* A step of the task that creates the file. */
static struct step *file_step(struct build *b, enum file_kind kind, size_t file, struct err *e)
{
	const struct sk_file *f = file_at(b, file);
	struct step *s = plan_add_text(b->p, b->kinds[kind], b->names[f->creator], f->label, e);

	if (!s)
		return NULL;
	s->netns = f->netns;
	s->row = f->row;
	s->num = (int64_t)file;
	return s;
}

/* A path out of a database is hostile: below --root it must stay there. */
static bool leads_up(const char *path)
{
	for (const char *p = path; (p = strstr(p, "/..")); p += 3)
		if (!p[3] || p[3] == '/')
			return true;
	return false;
}

/* What lies where the socket gets its file is dealt with before. */
static int build_path(struct build *b, size_t file, const char *path, struct step *socket,
		      struct err *e)
{
	const char *root = b->r->opts->root;
	struct step *s;

	if (strcmp(root, "/") != 0 && leads_up(path + strlen(root)))
		return err_set(e, ERR_FORMAT, "%s: the path leads out of --root %s",
			       file_at(b, file)->label, root);
	s = plan_add_text(b->p, step_kind_find("socket-file"), NULL, path, e);
	if (!s)
		return -1;
	s->data = spec_strdup(path, e);
	s->data_free = free;
	s->num = (int64_t)file;
	socket->alone = true;
	if (!s->data)
		return -1;
	return plan_after(b->p, s, MS_HOLDERS, 0, e) || plan_need(b->p, socket, s, e) ? -1 : 0;
}

/* The file of a unix path socket, and where it was bound before it was renamed. */
static int build_paths(struct build *b, size_t file, struct step *socket, struct err *e)
{
	const struct sk_file *f = file_at(b, file);
	const char *root = b->r->opts->root;
	char path[4200], now[4200];

	if (!sk_unix_has_file(f) || !sk_unix_path(f, root, path, sizeof(path)))
		return 0;
	if (build_path(b, file, path, socket, e))
		return -1;
	return f->un.file && sk_unix_file(f, root, now, sizeof(now))
		       ? build_path(b, file, now, socket, e)
		       : 0;
}

/* What only some sockets need: a root of their own (sk_make_unix.c), a file or a socket of another user, the audit log. */
static uint64_t socket_caps(const struct build *b, const struct sk_file *f)
{
	bool of_moment = f->un.deleted || f->un.elsewhere || f->un.accepted ||
			 (f->un.peer_closed && f->peer_len);
	uint64_t caps = 0;

	if (f->uid >= 0 && f->uid != geteuid())
		caps |= CAPS_BIT(CAP_CHOWN);
	if (f->kind == SK_NETLINK && f->protocol == NETLINK_AUDIT && f->nl.n_groups)
		caps |= CAPS_BIT(CAP_AUDIT_READ);
	if (f->kind != SK_UNIX || !(f->un.is_path || f->un.peer_closed))
		return caps;
	if (of_moment || f->un.root || strcmp(b->r->opts->root, "/") != 0)
		caps |= CAPS_BIT(CAP_SYS_CHROOT);
	if (f->un.is_path && f->un.uid >= 0 && f->un.uid != geteuid())
		caps |= CAPS_BIT(CAP_CHOWN) | CAPS_BIT(CAP_FOWNER);
	return caps;
}

static int build_socket(struct build *b, size_t file, struct err *e)
{
	const struct sk_file *f = file_at(b, file);
	size_t pair = f->un.pair;
	struct step *s;

	if (b->made[file])
		return 0;
	s = file_step(b, pair == SK_NONE ? FILE_SOCKET : FILE_PAIR, file, e);
	if (!s)
		return -1;
	b->made[file] = s;
	/* a peer of a moment has its name */
	s->caps = socket_caps(b, f) | (pair == SK_NONE ? 0 : socket_caps(b, file_at(b, pair)));
	s->alone = sk_has_moment(f) || sk_lost_device(f) || f->un.peer_closed || f->bind_order >= 0;
	if (build_paths(b, file, s, e))
		return -1;
	if (pair != SK_NONE) {
		b->made[pair] = s;
		s->row2 = file_at(b, pair)->row;
		if (build_paths(b, pair, s, e))
			return -1;
	}
	if (f->netns && plan_after(b->p, s, MS_READY, f->netns, e))
		return -1;
	return plan_after(b->p, s, MS_HOLDERS, 0, e) || plan_before(b->p, s, MS_SOCKETS, 0, e) ? -1
											       : 0;
}

static bool is_same_name(const struct sk_file *a, const struct sk_file *b)
{
	return a->kind == SK_UNIX && b->kind == SK_UNIX && a->netns == b->netns &&
	       a->local_len == b->local_len && !memcmp(&a->local, &b->local, a->local_len);
}

/* An accepted end is made with a listener of its own that has the abstract name for a moment: before the
 * real one takes it. (Paths are on a file system of their own then.) */
static int build_name_order(struct build *b, size_t file, struct err *e)
{
	const struct sk_file *f = file_at(b, file);

	if (!f->un.accepted || f->un.is_path || !engine_makes(f))
		return 0;
	for (size_t i = 0; i < b->t->specs->n_files; i++) {
		const struct sk_file *l = file_at(b, i);

		if (l->un.accepted || !engine_makes(l) || !is_same_name(f, l))
			continue;
		if (b->made[i] != b->made[file] && plan_need(b->p, b->made[i], b->made[file], e))
			return -1;
	}
	return 0;
}

/* Of a socket whose file was renamed: the one whose file is by now where it was bound. */
static size_t find_occupant(const struct sk_specs *specs, size_t file)
{
	const struct sk_file *f = &specs->files[file];
	char from[4200], other[4200];

	if (!f->un.file || !engine_makes(f) || !sk_unix_path(f, "/", from, sizeof(from)))
		return SK_NONE;
	for (size_t i = 0; i < specs->n_files; i++) {
		const struct sk_file *o = &specs->files[i];

		if (i != file && engine_makes(o) && sk_unix_has_file(o) &&
		    sk_unix_file(o, "/", other, sizeof(other)) && !strcmp(from, other))
			return i;
	}
	return SK_NONE;
}

/* The last of those that each have their file where the one before was bound, when the first has its own where that one
 * was bound: names that went round. SK_NONE: they did not, or file is not the first. */
static size_t find_last_of_round(const struct sk_specs *specs, size_t file)
{
	size_t last = file, next = SK_NONE;

	/* it may come into a round that it is not of */
	for (size_t i = 0; i < specs->n_files; i++, last = next) {
		next = find_occupant(specs, last);
		if (next == SK_NONE || next <= file)
			break;
	}
	return next == file ? last : SK_NONE;
}

/* Where names went round, the file of the first one waits under a name of its own until the last one has left its
 * place. */
static int mark_round(struct sk_specs *specs, size_t file, struct err *e)
{
	struct sk_file *f = &specs->files[file];
	size_t last = find_last_of_round(specs, file);
	char aside[4300];

	if (last == SK_NONE)
		return 0;
	snprintf(aside, sizeof(aside), "%s.nsimg~", f->un.file);
	f->un.aside = spec_strdup(aside, e);
	specs->files[last].un.brings = f;
	return f->un.aside ? 0 : -1;
}

/* Where a socket was bound whose file was renamed since, another one may have its file by now: made after it. */
static int build_rename_order(struct build *b, size_t file, struct err *e)
{
	size_t after = find_occupant(b->t->specs, file);

	/* the last one puts the file of the first where it belongs */
	if (after != SK_NONE && file_at(b, after)->un.aside)
		after = find_last_of_round(b->t->specs, after);
	return after == SK_NONE || b->made[after] == b->made[file]
		       ? 0
		       : plan_need(b->p, b->made[after], b->made[file], e);
}

static int build_listen(struct build *b, size_t file, struct err *e)
{
	const struct sk_file *f = file_at(b, file);
	struct step *s = file_step(b, FILE_LISTEN, file, e);

	if (s)
		s->alone = f->above_somaxconn || f->bind_order >= 0;
	return !s || plan_need(b->p, s, b->made[file], e) ||
			       plan_after(b->p, s, MS_SOCKETS, 0, e) ||
			       plan_before(b->p, s, MS_LISTENING, 0, e)
		       ? -1
		       : 0;
}

static int build_connect(struct build *b, size_t file, struct err *e)
{
	struct step *s = file_step(b, FILE_CONNECT, file, e);

	return !s || plan_after(b->p, s, MS_SOCKETS, 0, e) ||
			       plan_after(b->p, s, MS_LISTENING, 0, e) ||
			       plan_before(b->p, s, MS_CONNECTED, 0, e)
		       ? -1
		       : 0;
}

static int build_finish(struct build *b, size_t task, struct err *e)
{
	const char *name = b->names[task];
	size_t n = b->n_made[task];
	struct step *s;

	if (!n)
		return 0;
	s = plan_add(b->p, step_kind_find("finish"), name, e, "%zu of %s", n, name);
	if (!s)
		return -1;
	s->num = (int64_t)task;
	return plan_after(b->p, s, MS_CONNECTED, 0, e) || plan_after(b->p, s, MS_SOCKETS, 0, e) ||
			       plan_after(b->p, s, MS_LISTENING, 0, e) ||
			       plan_before(b->p, s, MS_COMPLETE, 0, e)
		       ? -1
		       : 0;
}

/* Each file that the task has and another one creates, once. */
static int build_shares(struct build *b, size_t task, struct err *e)
{
	const struct sk_task *t = &b->t->specs->tasks[task];
	const char *name = b->names[task];

	for (size_t i = 0; i < t->n_fds; i++) {
		const struct sk_file *f = file_at(b, t->fds[i].file);
		bool again = false;
		struct step *s;

		for (size_t k = 0; k < i && !again; k++)
			again = t->fds[k].file == t->fds[i].file;
		if (again || f->creator == task || !engine_makes(f))
			continue;
		s = plan_add(b->p, step_kind_find("share"), name, e, "%s with %s", f->label, name);
		if (!s)
			return -1;
		s->num = (int64_t)t->fds[i].file;
		s->row2 = (int64_t)task;
		if (plan_need(b->p, s, b->made[t->fds[i].file], e) ||
		    plan_before(b->p, s, MS_COMPLETE, 0, e))
			return -1;
	}
	return 0;
}

static int build_enter(struct build *b, size_t task, struct err *e)
{
	const struct sk_task *t = &b->t->specs->tasks[task];
	const struct restore_netns *n = restore_netns_find(b->r, t->netns);
	const char *name = b->names[task];
	struct step *s;

	s = plan_add(b->p, step_kind_find("enter"), name, e, "%s enters %s", name,
		     n ? n->name : "its namespace");
	if (!s)
		return -1;
	s->netns = t->netns;
	s->row = t->row;
	s->num = (int64_t)task;
	return plan_after(b->p, s, MS_COMPLETE, 0, e) ||
			       plan_after(b->p, s, MS_READY, t->netns, e) ||
			       plan_before(b->p, s, MS_TASKS, 0, e)
		       ? -1
		       : 0;
}

static int build_keep(struct build *b, struct err *e)
{
	size_t n = b->t->specs->n_tasks;
	struct step *s;

	if (!n)
		return 0;
	s = plan_add(b->p, step_kind_find("keep"), NULL, e, "%zu holder%s", n, n == 1 ? "" : "s");
	return !s || plan_after(b->p, s, MS_TASKS, 0, e) || plan_after(b->p, s, MS_NETWORK, 0, e)
		       ? -1
		       : 0;
}

/* ---- the whole ---- */

/* Each milestone stands for all before it, also when nothing feeds it itself. */
static int build_frame(struct build *b, struct err *e)
{
	for (int ms = MS_SOCKETS; ms <= MS_TASKS; ms++) {
		struct step *m = plan_milestone(b->p, ms, 0, e);
		const struct step *before = plan_milestone(b->p, ms - 1, 0, e);

		if (!m || !before || plan_need(b->p, m, before, e))
			return -1;
	}
	return 0;
}

static int build_files(struct build *b, struct err *e)
{
	const struct sk_specs *s = b->t->specs;

	for (size_t i = 0; i < s->n_files; i++)
		if (engine_makes(&s->files[i])) {
			b->n_made[s->files[i].creator]++;
			if (build_socket(b, i, e))
				return -1;
		}
	for (size_t i = 0; i < s->n_files; i++)
		if (build_name_order(b, i, e) || build_rename_order(b, i, e))
			return -1;
	for (size_t i = 0; i < s->n_files; i++)
		if (engine_makes(&s->files[i]) && s->files[i].listens && build_listen(b, i, e))
			return -1;
	for (size_t i = 0; i < s->n_files; i++)
		if (engine_makes(&s->files[i]) && sk_connects(s, &s->files[i]) &&
		    build_connect(b, i, e))
			return -1;
	return 0;
}

static int build_all(struct build *b, struct err *e)
{
	const struct sk_specs *s = b->t->specs;

	if (build_frame(b, e) || build_store(b, e))
		return -1;
	for (size_t i = 0; i < s->n_tasks; i++)
		if (build_holder(b, i, e))
			return -1;
	if (build_files(b, e))
		return -1;
	for (size_t i = 0; i < s->n_tasks; i++)
		if (build_finish(b, i, e) || build_shares(b, i, e))
			return -1;
	for (size_t i = 0; i < s->n_tasks; i++)
		if (build_enter(b, i, e))
			return -1;
	for (size_t i = 0; i < s->n_losses; i++)
		if (plan_leave_out(b->p, e, s->losses[i].object, "%s", s->losses[i].reason))
			return -1;
	return build_keep(b, e);
}

/* The limit of one that is given is not the one of the image. */
static void mark_given(const struct restore *r, struct sk_specs *specs)
{
	for (size_t i = 0; i < specs->n_files; i++) {
		const struct restore_netns *ns = restore_netns_find(r, specs->files[i].netns);

		if (ns && ns->external)
			specs->files[i].above_somaxconn = true;
	}
}

int load_tasks(struct restore *r, struct db *db, struct err *e)
{
	r->tasks = engine_new(db, r->image, r->opts->root, e);
	r->tasks_free = engine_free;
	if (!r->tasks)
		return -1;
	mark_given(r, r->tasks->specs);
	for (size_t i = 0; i < r->tasks->specs->n_files; i++)
		if (mark_round(r->tasks->specs, i, e))
			return -1;
	return r->opts->carry_out ? engine_start(r->tasks, e) : 0;
}

int build_tasks(struct plan *p, struct restore *r, struct err *e)
{
	const struct sk_specs *specs = r->tasks->specs;
	auto_free struct step **made = calloc(specs->n_files + 1, sizeof(struct step *));
	auto_free size_t *n_made = calloc(specs->n_tasks + 1, sizeof(*n_made));
	auto_free char(*names)[48] = calloc(specs->n_tasks + 1, sizeof(*names));
	struct build b = {
		.p = p, .r = r, .t = r->tasks, .made = made, .n_made = n_made, .names = names};

	if (!specs->n_tasks)
		return 0;
	if (!made || !n_made || !names)
		return err_set(e, ERR_NOMEM, "sockets");
	for (size_t i = 0; i < FILE_KIND_COUNT; i++)
		b.kinds[i] = step_kind_find(file_kinds[i]);
	for (size_t i = 0; i < specs->n_tasks; i++)
		snprintf(names[i], sizeof(names[i]), "%s(%d)", specs->tasks[i].comm,
			 (int)specs->tasks[i].pid);
	return build_all(&b, e);
}
