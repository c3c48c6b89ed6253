#include "dumper/net_ahead.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/stop.h"
#include "base/u64map.h"
#include "dumper/net_scan.h"

enum {
	/* An open file of a sysctl keeps about 1 KiB of kernel memory, and so a namespace half of what it has
	 * itself: this is about half a GiB, for 1200 namespaces. */
	FILES_MAX = 1 << 19,
	FDS_OF_THREAD = 64, /* folders and the like, besides a copy of what the process has open */
	FDS_PER_NS = 4 + NET_PROTOCOLS, /* of the process: the namespace twice, sockets */
	READERS_MAX = 256,
};

/* A thread that has the files of some namespaces, one after the other in the list, in a table of its own. */
struct reader {
	struct ns_worker *worker;
	size_t first, n;
	size_t n_fds; /* that it may still open */
};

struct net_ahead {
	struct net_ahead_ns *all;
	size_t n, cap;
	struct u64map by_ino; /* place in all */
	struct reader *readers;
	size_t n_readers;
	struct rlimit limit; /* of descriptors, as it was; rlim_max 0: it was not changed */
};

static struct net_ahead *ahead_of(struct dump *d, struct err *e)
{
	if (!d->ahead)
		d->ahead = calloc(1, sizeof(*d->ahead));
	if (!d->ahead)
		err_set(e, ERR_NOMEM, "list of namespaces");
	return d->ahead;
}

int net_ahead_add(struct dump *d, struct ns *ns, struct err *e)
{
	auto_ns struct ns *mine = ns;
	struct net_ahead *a = ahead_of(d, e);
	uint32_t known;

	if (!a)
		return -1;
	if (u64map_find(&a->by_ino, ns_ino(ns), &known))
		return 0;
	if (a->n == a->cap) {
		size_t cap = a->cap ? 2 * a->cap : 16;
		struct net_ahead_ns *all = realloc(a->all, cap * sizeof(*all));

		if (!all)
			return err_set(e, ERR_NOMEM, "list of %zu namespaces", cap);
		a->all = all;
		a->cap = cap;
	}
	if (u64map_put(&a->by_ino, ns_ino(ns), (uint32_t)a->n, e))
		return -1;
	a->all[a->n++] = (struct net_ahead_ns){.ns = take_ptr(mine)};
	return 0;
}

/* nsfs gives an inode again when its namespace is gone; those here are held. */
struct net_ahead_ns *net_ahead_find(const struct dump *d, const struct ns *ns)
{
	uint32_t at;

	if (!d->ahead || !u64map_find(&d->ahead->by_ino, ns_ino(ns), &at) ||
	    !ns_is_same(d->ahead->all[at].ns, ns))
		return NULL;
	return d->ahead->all[at].is_open ? &d->ahead->all[at] : NULL;
}

static int open_sockets(void *arg, struct err *e)
{
	struct net_ahead_ns *ns = arg;

	ns->is_open = !net_socks_open(&ns->socks, e);
	return ns->is_open ? 0 : -1;
}

struct opening {
	struct reader *reader;
	struct net_ahead_ns *ns;
	const struct sysctl_schema *schema;
};

static int open_files(void *arg, struct err *e)
{
	struct opening *o = arg;

	o->ns->files = sysctl_files_open(o->schema, o->reader->n_fds, e);
	if (!o->ns->files)
		return -1;
	o->reader->n_fds -= sysctl_files_count(o->ns->files);
	return 0;
}

/* Many systems give programs 1024 descriptors and allow them more: as many as that for the time of the dump. How many
 * namespaces may have sockets at once. */
static size_t limit_raise(struct net_ahead *a)
{
	struct rlimit most;

	if (getrlimit(RLIMIT_NOFILE, &most))
		return 0;
	a->limit = most;
	most.rlim_cur = most.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &most)) {
		most = a->limit;
		a->limit.rlim_max = 0;
	}
	return most.rlim_cur / 2 / FDS_PER_NS;
}

/* How many files a thread may have open beyond those of the process. */
static size_t fds_of_thread(const struct dump *d)
{
	struct rlimit limit;
	int lowest = fcntl(d->dirfd, F_DUPFD_CLOEXEC, 0);

	if (lowest < 0)
		return 0;
	close(lowest);
	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur < (rlim_t)lowest + FDS_OF_THREAD)
		return 0;
	limit.rlim_cur -= (rlim_t)lowest + FDS_OF_THREAD;
	return limit.rlim_cur < FILES_MAX ? limit.rlim_cur : FILES_MAX;
}

/* As few threads as have room for the files of all, but one for each processor. */
static int readers_start(struct dump *d, size_t n_files, struct err *e)
{
	struct net_ahead *a = d->ahead;
	size_t n_fds = fds_of_thread(d), per = n_files ? n_fds / n_files : 0;
	long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	size_t cpus = n_cpus > 0 ? (size_t)n_cpus : 1, left = FILES_MAX / (n_files + 1);

	if (left > a->n)
		left = a->n;
	if (per > (left + cpus - 1) / cpus)
		per = (left + cpus - 1) / cpus;
	if (!per)
		return 0;
	a->readers = calloc((left + per - 1) / per, sizeof(*a->readers));
	if (!a->readers)
		return err_set(e, ERR_NOMEM, "threads for sysctls");
	for (size_t first = 0; first < left && a->n_readers < READERS_MAX; first += per) {
		struct reader *r = &a->readers[a->n_readers];

		r->worker = ns_worker_new(true, e);
		if (!r->worker)
			return -1;
		r->first = first;
		r->n = left - first < per ? left - first : per;
		r->n_fds = n_fds;
		a->n_readers++;
	}
	return 0;
}

static int open_all(struct dump *d, struct opening *openings, size_t n_sockets, struct err *e)
{
	struct net_ahead *a = d->ahead;
	struct err not_now = ERR_INIT; /* whoever needs it says why it cannot be had */

	for (size_t i = 0; i < a->n_readers; i++)
		for (size_t k = 0; k < a->readers[i].n; k++) {
			struct opening *o = &openings[a->readers[i].first + k];

			*o = (struct opening){&a->readers[i], &a->all[a->readers[i].first + k],
					      d->net->sysctls};
			if (ns_worker_post(a->readers[i].worker, o->ns->ns, open_files, o, e))
				return -1;
		}
	for (size_t i = 0; i < a->n && i < n_sockets; i++) {
		progress_say(d->opts.progress, i + 1, a->n, "network namespaces (before the stop)");
		if (stop_check(e))
			return -1;
		ns_use_worker(a->all[i].ns, d->worker);
		ns_call(a->all[i].ns, open_sockets, &a->all[i], &not_now);
	}
	return 0;
}

/* Values that could not be read are missed and read again by who wants them. */
void net_ahead_wait(struct dump *d)
{
	struct net_ahead *a = d->ahead;
	struct err not_now = ERR_INIT;

	for (size_t i = 0; a && i < a->n_readers; i++)
		ns_worker_wait(a->readers[i].worker, &not_now);
}

int net_ahead_open(struct dump *d, struct err *e)
{
	struct net_ahead *a = ahead_of(d, e);
	struct net_cache *c = a ? net_cache_get(d, e) : NULL;
	auto_free struct opening *openings = NULL;
	size_t n_sockets;
	int r;

	if (!c)
		return -1;
	openings = calloc(a->n + 1, sizeof(*openings));
	if (!openings)
		return err_set(e, ERR_NOMEM, "list of namespaces");
	n_sockets = limit_raise(a);
	d->keep_open = a->n <= n_sockets;
	r = dump_worker_start(d, FDS_PER_NS * (a->n + 16), e) ||
	    readers_start(d, sysctl_schema_n_files(c->sysctls), e) ||
	    open_all(d, openings, n_sockets, e);
	net_ahead_wait(d); /* openings end here */
	return r ? -1 : 0;
}

static int read_files(void *arg, struct err *e)
{
	struct net_ahead_ns *ns = arg;

	return sysctl_files_read(ns->files, e);
}

int net_ahead_read(struct dump *d, struct err *e)
{
	struct net_ahead *a = d->ahead;

	for (size_t i = 0; a && i < a->n_readers; i++)
		for (size_t k = 0; k < a->readers[i].n; k++) {
			struct net_ahead_ns *ns = &a->all[a->readers[i].first + k];

			if (ns->files &&
			    ns_worker_post(a->readers[i].worker, ns->ns, read_files, ns, e))
				return -1;
		}
	return 0;
}

void net_ahead_free(struct net_ahead *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < a->n_readers; i++)
		ns_worker_free(a->readers[i].worker);
	for (size_t i = 0; i < a->n; i++) {
		sysctl_files_free(a->all[i].files);
		net_socks_close(&a->all[i].socks);
		ns_free(a->all[i].ns);
	}
	if (a->limit.rlim_max)
		setrlimit(RLIMIT_NOFILE, &a->limit);
	u64map_free(&a->by_ino);
	free(a->readers);
	free(a->all);
	free(a);
}
