#include "restorer/criu_supply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/ns.h"
#include "restorer/criu_tasks.h"
#include "restorer/sk_make.h"

void criu_supply_free(void *supply)
{
	struct criu_supply *s = supply;

	if (!s)
		return;
	for (size_t i = 0; s->fds && i < s->specs->n_files; i++)
		if (s->fds[i] >= 0)
			close(s->fds[i]);
	free(s->fds);
	sk_specs_free(s->specs);
	free(s->dir);
	free(s);
}

struct criu_supply *criu_supply_new(const struct restore *r, const char *dir, struct err *e)
{
	struct criu_supply *s = calloc(1, sizeof(*s));

	if (!s) {
		err_set(e, ERR_NOMEM, "what CRIU is given");
		return NULL;
	}
	s->dir = strdup(dir);
	s->specs = sk_specs_load(r->db, r->image, e);
	if (s->specs)
		s->fds = calloc(s->specs->n_files + 1, sizeof(*s->fds));
	if (!s->dir || !s->fds) {
		if (s->specs)
			err_set(e, ERR_NOMEM, "what CRIU is given");
		criu_supply_free(s);
		return NULL;
	}
	for (size_t i = 0; i < s->specs->n_files; i++)
		s->fds[i] = -1;
	return s;
}

static int take_notes(struct sk_maker *m, struct restore *r, struct err *e)
{
	int rc = m->notes.len ? buf_add(&r->notes, m->notes.data, m->notes.len, e) : 0;

	buf_free(&m->notes);
	return rc;
}

/* ---- tun descriptors ---- */

bool criu_supply_is_tun(const struct sk_file *f)
{
	return f->kind == SK_TUN && f->tun.device && *f->tun.device;
}

const struct sk_file *criu_supply_find_tun(const struct criu_supply *s, uint32_t file_id)
{
	for (size_t i = 0; i < s->specs->n_files; i++)
		if (s->specs->files[i].file_id == file_id &&
		    criu_supply_is_tun(&s->specs->files[i]))
			return &s->specs->files[i];
	return NULL;
}

struct make {
	struct sk_maker *maker;
	const struct sk_file *file;
	int fd;
};

/* In the namespace. */
static int make_tun(void *arg, struct err *e)
{
	struct make *k = arg;

	k->fd = sk_tun_create(k->maker, k->file, e);
	return k->fd < 0 ? -1 : 0;
}

int criu_supply_tuns(struct criu_supply *s, struct restore *r, struct err *e)
{
	struct sk_maker m = {.specs = s->specs, .name_fd = -1};

	for (size_t i = 0; i < s->specs->n_files; i++) {
		struct make k = {&m, &s->specs->files[i], -1};
		const struct ns *ns;

		if (!criu_supply_is_tun(k.file))
			continue;
		ns = restore_ns(r, k.file->netns, e);
		if (!ns || ns_call(ns, make_tun, &k, e) || take_notes(&m, r, e))
			return err_wrap(e, "%s", k.file->label);
		s->fds[i] = k.fd;
	}
	return 0;
}

int criu_supply_done(struct criu_supply *s, struct restore *r, struct err *e)
{
	struct sk_maker m = {.specs = s->specs, .name_fd = -1};

	for (size_t i = 0; i < s->specs->n_files; i++) {
		if (s->fds[i] < 0)
			continue;
		if (sk_tun_finish(&m, &s->specs->files[i], s->fds[i], e) || take_notes(&m, r, e))
			return -1;
		close(s->fds[i]);
		s->fds[i] = -1;
	}
	return 0;
}

/* ---- sockets ---- */

static int supply_fd(struct sk_maker *m, const struct sk_file *f, int pidfd, int number,
		     struct err *e)
{
	auto_close int fd = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
	socklen_t len = sizeof(int);
	int family;

	if (fd < 0)
		return err_sys(e, ERR_KERNEL, "%s: descriptor %d of the restored task", f->label,
			       number);
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len) || family != f->family)
		return err_set(e, ERR_CONFLICT,
			       "%s: descriptor %d of the restored task is something else", f->label,
			       number);
	return sk_supply(m, f, fd, e);
}

/* The files that this task is the first to have. */
static int supply_task(struct criu_supply *s, struct sk_maker *m, const struct sk_task *t,
		       pid_t pid, bool *done, struct err *e)
{
	auto_close int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (pidfd < 0)
		return err_sys(e, ERR_KERNEL, "handle of task %d", (int)pid);
	for (size_t i = 0; i < t->n_fds; i++) {
		size_t file = t->fds[i].file;
		const struct sk_file *f = &s->specs->files[file];

		if (done[file] || !sk_needs_supply(f))
			continue;
		done[file] = true;
		if (supply_fd(m, f, pidfd, t->fds[i].fd, e))
			return -1;
	}
	return 0;
}

int criu_supply_sockets(struct criu_supply *s, struct restore *r, pid_t root, struct err *e)
{
	struct sk_maker m = {.specs = s->specs, .name_fd = -1};
	auto_free bool *done = calloc(s->specs->n_files + 1, sizeof(*done));
	int rc = 0;

	if (!done)
		return err_set(e, ERR_NOMEM, "sockets of CRIU");
	for (size_t i = 0; i < s->specs->n_tasks && !rc; i++) {
		const struct sk_task *t = &s->specs->tasks[i];
		/* one that was dead when it was dumped is not made */
		pid_t pid = t->n_fds ? criu_task_find(root, t->pid) : 0;

		if (pid)
			rc = supply_task(s, &m, t, pid, done, e);
	}
	return take_notes(&m, r, e) || rc ? -1 : 0;
}
