#include "dumper/dump.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

static struct dump_netns *dump_netns_add(struct dump *d, struct ns *ns, struct err *e)
{
	struct dump_netns **all = realloc(d->netns, (d->n_netns + 1) * sizeof(*all));
	struct dump_netns *n = calloc(1, sizeof(*n));

	if (all)
		d->netns = all;
	if (!all || !n) {
		free(n);
		ns_free(ns);
		err_set(e, ERR_NOMEM, "namespace list");
		return NULL;
	}
	n->id = d->next_ns_id++;
	n->ns = ns;
	n->ino = ns_ino(ns);
	n->external = d->only_named;
	n->referred = true;
	ns_use_worker(ns, d->worker);
	all[d->n_netns++] = n;
	return n;
}

int dump_worker_start(struct dump *d, size_t n_fds, struct err *e)
{
	struct rlimit max = {0};
	int high = fcntl(d->dirfd, F_DUPFD_CLOEXEC, 0);

	/* the table is as long as its highest number ever was; that it cannot be so long is no failure here */
	if (high >= 0 && !getrlimit(RLIMIT_NOFILE, &max) && (rlim_t)high + n_fds < max.rlim_cur) {
		close(high);
		high = fcntl(d->dirfd, F_DUPFD_CLOEXEC, high + (int)n_fds);
	}
	if (high >= 0)
		close(high);
	d->worker = ns_worker_new(false, e);
	for (size_t i = 0; d->worker && i < d->n_netns; i++)
		ns_use_worker(d->netns[i]->ns, d->worker);
	return d->worker ? 0 : -1;
}

struct dump_netns *dump_netns_of(struct dump *d, struct ns *ns, struct err *e)
{
	for (size_t i = 0; i < d->n_netns; i++)
		if (ns_is_same(d->netns[i]->ns, ns)) {
			ns_free(ns);
			d->netns[i]->referred = true;
			return d->netns[i];
		}
	return dump_netns_add(d, ns, e);
}

struct dump_netns *dump_netns_of_socket(struct dump *d, int sock, struct err *e)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);
	struct dump_netns *n;
	struct ns *ns;

	if (!getsockopt(sock, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len))
		for (size_t i = 0; i < d->n_netns; i++)
			if (d->netns[i]->cookie == cookie)
				return d->netns[i];
	ns = ns_of_socket(sock, e);
	n = ns ? dump_netns_of(d, ns, e) : NULL;
	if (n && cookie)
		n->cookie = cookie;
	return n;
}

struct dump_netns *dump_netns_by_id(struct dump *d, uint32_t id)
{
	for (size_t i = 0; i < d->n_netns; i++)
		if (d->netns[i]->id == id)
			return d->netns[i];
	return NULL;
}

void dump_writer_init(struct dump *d, struct img_writer *w)
{
	img_write_init(w, d->dirfd);
	w->files = &d->files;
	w->in_place = true;
}

void dump_loss_free(struct dump_loss *loss)
{
	free(loss->object);
	free(loss->reason);
}

int dump_loss_add(struct dump_loss **losses, size_t *n, struct dump_loss loss, struct err *e)
{
	struct dump_loss *all = realloc(*losses, (*n + 1) * sizeof(*all));

	if (!all) {
		err_set(e, ERR_NOMEM, "%s: note", loss.object);
		dump_loss_free(&loss);
		return -1;
	}
	*losses = all;
	all[(*n)++] = loss;
	return 0;
}

int dump_loss_make(struct dump_loss *loss, bool strict, struct err *e, const char *object,
		   const char *fmt, va_list ap)
{
	*loss = (struct dump_loss){.object = strdup(object)};
	if (!loss->object || vasprintf(&loss->reason, fmt, ap) < 0) {
		free(loss->object);
		return err_set(e, ERR_NOMEM, "%s: note", object);
	}
	if (!strict)
		return 0;
	err_set(e, ERR_UNSUPPORTED, "%s: %s (--strict)", object, loss->reason);
	dump_loss_free(loss);
	return -1;
}

int dump_lose(struct dump *d, struct err *e, const char *object, const char *fmt, ...)
{
	struct dump_loss loss;
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = dump_loss_make(&loss, d->opts.strict, e, object, fmt, ap);
	va_end(ap);
	return rc ? -1 : dump_loss_add(&d->losses, &d->n_losses, loss, e);
}

int dump_lose_socket(struct dump *d, struct err *e, uint64_t ino, const char *object,
		     const char *fmt, ...)
{
	struct dump_loss loss;
	va_list ap;
	int rc;

	if (!d->opts.criu)
		ino = 0;
	va_start(ap, fmt);
	rc = dump_loss_make(&loss, d->opts.strict && !ino, e, object, fmt, ap);
	va_end(ap);
	if (rc)
		return -1;
	loss.ino = ino;
	return dump_loss_add(&d->losses, &d->n_losses, loss, e);
}
