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
	u64map_free(&s->by_id);
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
	for (size_t i = 0; i < s->specs->n_files; i++) {
		s->fds[i] = -1;
		if (u64map_put(&s->by_id, s->specs->files[i].file_id, (uint32_t)i, e)) {
			criu_supply_free(s);
			return NULL;
		}
	}
	return s;
}

const struct sk_file *criu_supply_find(const struct criu_supply *s, uint32_t file_id)
{
	uint32_t i;

	return u64map_find(&s->by_id, file_id, &i) ? &s->specs->files[i] : NULL;
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

struct sockets {
	struct criu_supply *s;
	struct sk_maker maker;
	/* Where each file is. pid 0: in no task (one that was dead when it was dumped is not made). */
	struct place {
		pid_t pid;
		int fd;
	} * places;
	int64_t netns; /* the one that is worked in */
};

static void find_places(struct sockets *k, pid_t root)
{
	const struct sk_specs *specs = k->s->specs;

	for (size_t i = 0; i < specs->n_tasks; i++) {
		const struct sk_task *t = &specs->tasks[i];
		pid_t pid = t->n_fds ? criu_task_find(root, t->pid) : 0;

		for (size_t n = 0; pid && n < t->n_fds; n++)
			if (!k->places[t->fds[n].file].pid)
				k->places[t->fds[n].file] = (struct place){pid, t->fds[n].fd};
	}
}

/* An owned duplicate of the restored descriptor, or -1. */
static int borrow(const struct sockets *k, size_t file, struct err *e)
{
	const struct sk_file *f = &k->s->specs->files[file];
	const struct place *p = &k->places[file];
	auto_close int pidfd = p->pid ? (int)syscall(SYS_pidfd_open, p->pid, 0) : -1;
	auto_close int fd = -1;
	socklen_t len = sizeof(int);
	int family;

	if (!p->pid)
		return err_set(e, ERR_NOTFOUND, "%s: no restored task has it", f->label);
	if (pidfd < 0)
		return err_sys(e, ERR_KERNEL, "handle of task %d", (int)p->pid);
	fd = (int)syscall(SYS_pidfd_getfd, pidfd, p->fd, 0);
	if (fd < 0)
		return err_sys(e, ERR_KERNEL, "%s: descriptor %d of the restored task", f->label,
			       p->fd);
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len) || family != f->family)
		return err_set(e, ERR_CONFLICT,
			       "%s: descriptor %d of the restored task is something else", f->label,
			       p->fd);
	return take_fd(&fd);
}

typedef int socket_fn(struct sk_maker *m, const struct sk_file *f, int fd, struct err *e);

static int work_on(struct sockets *k, size_t file, socket_fn *fn, struct err *e)
{
	auto_close int fd = borrow(k, file, e);

	if (fd < 0)
		return -1;
	return fn(&k->maker, &k->s->specs->files[file], fd, e)
		       ? err_wrap(e, "%s", k->s->specs->files[file].label)
		       : 0;
}

/* In the namespace: all are bound before one is connected, as sockets that share a port are. */
static int name_sockets(void *arg, struct err *e)
{
	struct sockets *k = arg;
	const struct sk_specs *specs = k->s->specs;

	for (size_t i = 0; i < specs->n_files; i++)
		if (specs->files[i].netns == k->netns && sk_is_nameless(&specs->files[i]) &&
		    work_on(k, i, sk_name, e))
			return -1;
	for (size_t i = 0; i < specs->n_files; i++)
		if (specs->files[i].netns == k->netns && sk_is_nameless(&specs->files[i]) &&
		    sk_connects(specs, &specs->files[i]) && work_on(k, i, sk_connect, e))
			return -1;
	return 0;
}

static int work(struct sockets *k, struct restore *r, struct err *e)
{
	const struct sk_specs *specs = k->s->specs;

	for (size_t i = 0; i < r->n_netns; i++) {
		const struct ns *ns;
		size_t n = 0;

		k->netns = r->netns[i].row;
		while (n < specs->n_files &&
		       (specs->files[n].netns != k->netns || !sk_is_nameless(&specs->files[n])))
			n++;
		if (n == specs->n_files)
			continue;
		ns = restore_ns(r, k->netns, e);
		if (!ns || ns_call(ns, name_sockets, k, e))
			return -1;
	}
	for (size_t i = 0; i < specs->n_files; i++)
		if (k->places[i].pid && sk_needs_supply(&specs->files[i]) &&
		    work_on(k, i, sk_supply, e))
			return -1;
	return 0;
}

int criu_supply_sockets(struct criu_supply *s, struct restore *r, pid_t root, struct err *e)
{
	auto_free struct place *places = calloc(s->specs->n_files + 1, sizeof(*places));
	struct sockets k = {s, {.specs = s->specs, .name_fd = -1}, places, 0};
	int rc;

	if (!places)
		return err_set(e, ERR_NOMEM, "sockets of CRIU");
	find_places(&k, root);
	rc = work(&k, r, e);
	return take_notes(&k.maker, r, e) || rc ? -1 : 0;
}
