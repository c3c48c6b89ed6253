#include "dumper/sk_values.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "dumper/proc.h"
#include "proto/sockopt_table.h"

enum { THREADS_MAX = 4 };

struct sk_readers {
	pthread_t threads[THREADS_MAX];
	size_t n_threads;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct sk_values *first, *last; /* nobody has begun */
	bool end;
};

static int read_one(struct sk_values *v, size_t row_no, struct buf *bytes)
{
	const struct sockopt *row = sockopt_get(row_no);
	struct err why = ERR_INIT;
	int got = sockopt_read(v->fd, row, bytes, &why);
	size_t len = got == 1 ? bytes->len : 0;

	if (got < 0 && (why.code != ERR_UNSUPPORTED || row->type != SOCKOPT_FILTER)) {
		v->why = why;
		return -1;
	}
	v->all[v->n++] = (struct sk_value_at){(uint16_t)row_no, (int16_t)got,
					      (uint32_t)v->bytes.len, (uint32_t)len};
	return buf_add(&v->bytes, bytes->data, len, &v->why);
}

static void read_all(struct sk_values *v)
{
	auto_buf struct buf bytes = {0};

	v->all = calloc(sockopt_count(), sizeof(*v->all));
	if (!v->all)
		err_set(&v->why, ERR_NOMEM, "options of a socket");
	for (size_t i = 0; v->all && i < sockopt_count(); i++)
		if (sockopt_get(i)->kinds & v->kind && read_one(v, i, &bytes))
			return;
	if (v->pid)
		proc_fd_flags(v->pid, v->number, &v->fd_flags, &v->why);
}

/* Take v, which nobody has begun, out of the list. The lock is held. */
static void take(struct sk_readers *p, struct sk_values *v)
{
	struct sk_values *before = NULL;

	for (struct sk_values *x = p->first; x != v; x = x->next)
		before = x;
	if (before)
		before->next = v->next;
	else
		p->first = v->next;
	if (p->last == v)
		p->last = before;
	v->state = SK_VALUES_BEGUN;
}

/* The lock is held, but not while it is read. */
static void take_and_read(struct sk_readers *p, struct sk_values *v)
{
	take(p, v);
	pthread_mutex_unlock(&p->lock);
	read_all(v);
	pthread_mutex_lock(&p->lock);
	v->state = SK_VALUES_READ;
	pthread_cond_broadcast(&p->changed);
}

static void *reader(void *arg)
{
	struct sk_readers *p = arg;

	pthread_mutex_lock(&p->lock);
	while (!p->end) {
		if (p->first)
			take_and_read(p, p->first);
		else
			pthread_cond_wait(&p->changed, &p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

struct sk_readers *sk_readers_new(struct err *e)
{
	struct sk_readers *p = calloc(1, sizeof(*p));
	long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	sigset_t all, was;

	if (!p) {
		err_set(e, ERR_NOMEM, "threads for sockets");
		return NULL;
	}
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, NULL);
	/* signals are for the main thread */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &was);
	while (p->n_threads < THREADS_MAX && (long)p->n_threads + 1 < n_cpus &&
	       !pthread_create(&p->threads[p->n_threads], NULL, reader, p))
		p->n_threads++;
	pthread_sigmask(SIG_SETMASK, &was, NULL);
	return p;
}

void sk_readers_free(struct sk_readers *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->end = true;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	for (size_t i = 0; i < p->n_threads; i++)
		pthread_join(p->threads[i], NULL);
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

void sk_values_post(struct sk_readers *p, struct sk_values *v)
{
	v->is_posted = true;
	pthread_mutex_lock(&p->lock);
	if (p->last)
		p->last->next = v;
	else
		p->first = v;
	p->last = v;
	pthread_cond_signal(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

int sk_values_wait(struct sk_readers *p, struct sk_values *v, struct err *e)
{
	pthread_mutex_lock(&p->lock);
	if (v->state == SK_VALUES_NEW)
		take_and_read(p, v);
	/* another thread reads it: meanwhile one more, for to sleep and be woken takes as long as that */
	while (v->state != SK_VALUES_READ)
		if (p->first)
			take_and_read(p, p->first);
		else
			pthread_cond_wait(&p->changed, &p->lock);
	pthread_mutex_unlock(&p->lock);
	if (v->why.code == ERR_NONE)
		return 0;
	*e = v->why;
	return -1;
}

int sk_value(const struct sk_values *v, size_t i, struct span *bytes)
{
	if (i >= v->n || v->all[i].got != 1)
		return 0;
	*bytes = (struct span){v->bytes.data + v->all[i].off, v->all[i].len};
	return 1;
}

void sk_values_free(struct sk_readers *p, struct sk_values *v)
{
	if (v->is_posted) {
		pthread_mutex_lock(&p->lock);
		if (v->state == SK_VALUES_NEW)
			take(p, v);
		else
			while (v->state != SK_VALUES_READ)
				pthread_cond_wait(&p->changed, &p->lock);
		pthread_mutex_unlock(&p->lock);
	}
	buf_free(&v->bytes);
	free(v->all);
}
