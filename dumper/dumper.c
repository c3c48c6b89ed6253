#include "dumper/dumper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "dumper/freeze.h"
#include "dumper/mounts.h"
#include "dumper/net.h"
#include "dumper/net_ahead.h"
#include "dumper/sk.h"
#include "dumper/task.h"
#include "dumper/task_img.h"
#include "dumper/userns.h"
#include "proto/img.h"

static void dump_release(struct dump *d)
{
	for (size_t i = 0; i < d->n_netns; i++) {
		for (size_t k = 0; k < d->netns[i]->n_names; k++)
			free(d->netns[i]->names[k]);
		free(d->netns[i]->names);
		free(d->netns[i]->endpoint_ports);
		ns_free(d->netns[i]->ns);
		free(d->netns[i]);
	}
	for (size_t i = 0; i < d->n_userns; i++) {
		close(d->userns[i]->fd);
		free(d->userns[i]);
	}
	for (size_t i = 0; i < d->n_losses; i++)
		dump_loss_free(&d->losses[i]);
	net_held_free(d->held);
	net_ahead_free(d->ahead);
	ns_worker_free(d->worker);
	sk_cache_free(d->sk);
	net_cache_free(d->net);
	manifest_free(&d->files);
	free(d->netns);
	free(d->userns);
	free(d->losses);
}

static int missed(pid_t pid, pid_t tid, const char *why, void *arg, struct err *e)
{
	char object[64];

	snprintf(object, sizeof(object), pid == tid ? "task %d" : "task %d thread %d", (int)pid,
		 (int)tid);
	return dump_lose(arg, e, object, "%s", why);
}

/* The dumper's own namespaces come first, and are external until a target names them. */
static int own_namespaces(struct dump *d, struct err *e)
{
	struct ns *ns = ns_open_self(e);
	struct dump_netns *n = ns ? dump_netns_of(d, ns, e) : NULL;

	if (!n || userns_add_own(d, e))
		return -1;
	n->caller = n->external = true;
	n->referred = false;
	return 0;
}

static int named_namespaces(struct dump *d, const struct dumper_request *rq, struct err *e)
{
	for (size_t i = 0; i < rq->n_targets; i++) {
		struct dump_netns *n;
		struct ns *ns;

		if (rq->targets[i].kind != TARGET_NETNS)
			continue;
		ns = target_netns(rq->targets[i].what, e);
		n = ns ? dump_netns_of(d, ns, e) : NULL;
		if (!n)
			return err_wrap(e, "--netns %s", rq->targets[i].what);
		n->external = false;
		n->named = true;
	}
	return 0;
}

/* Names of the namespaces; namespaces that only a mount holds: all of the machine's with --all, else those
 * in mount namespaces that the dumped tasks have for themselves. */
static int pinned_namespaces(struct dump *d, const struct tasks *ts, bool all, struct err *e)
{
	struct stat own, st;
	char path[64];

	if (mounts_find_netns(d, 0, all ? UNKNOWN_DUMP : UNKNOWN_LEAVE, e) ||
	    stat("/proc/self/ns/mnt", &own))
		return -1;
	for (size_t i = 0; i < ts->n; i++) {
		snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)ts->all[i].via);
		if (stat(path, &st) || st.st_ino == own.st_ino)
			continue;
		own.st_ino = st.st_ino; /* tasks of one mount namespace mostly stand together */
		if (mounts_find_netns(d, ts->all[i].via, UNKNOWN_DUMP, e))
			return -1;
	}
	return 0;
}

/* Sockets' records, in memory until everything runs on. */
struct records {
	struct img_writer files, others;
};

static int read_sockets(struct dump *d, struct tasks *ts, struct records *r, struct err *e)
{
	return img_write_begin(&r->files, IMG_FILES, 0, e) ||
			       img_write_begin(&r->others, IMG_NSIMG_SK, 0, e) ||
			       tasks_dump_fds(ts, d, &r->files, &r->others, e)
		       ? -1
		       : 0;
}

static int records_write(const struct dump *d, struct records *r, struct err *e)
{
	if (img_write_end(&r->files, e))
		return -1;
	return d->n_others ? img_write_end(&r->others, e) : 0;
}

static bool targets_have(const struct dumper_request *rq, enum target_kind kind)
{
	for (size_t i = 0; i < rq->n_targets; i++)
		if (rq->targets[i].kind == kind)
			return true;
	return false;
}

/* Only --netns: what lies outside the named namespaces is referred to, not dumped. */
static bool targets_only_netns(const struct dumper_request *rq)
{
	for (size_t i = 0; i < rq->n_targets; i++)
		if (rq->targets[i].kind != TARGET_NETNS)
			return false;
	return true;
}

static void report_fill(struct dumper_report *r, struct dump *d, const struct tasks *ts)
{
	r->n_tasks = ts->n;
	r->n_sockets = ts->n_sockets;
	for (size_t i = 0; i < d->n_netns; i++) {
		r->n_netns += !d->netns[i]->external;
		r->n_external += d->netns[i]->external && d->netns[i]->referred;
	}
	r->losses = take_ptr(d->losses);
	r->n_losses = d->n_losses;
	d->n_losses = 0;
}

static bool is_dumped(uint64_t ino, void *arg)
{
	const struct tasks *ts = arg;
	uint32_t id;

	return u64map_find(&ts->files, ino, &id);
}

static int note_missing(struct dump *d, struct tasks *ts, struct err *e)
{
	for (size_t i = 0; i < d->n_netns; i++)
		if (!d->netns[i]->external && sk_note_missing(d, d->netns[i], is_dumped, ts, e))
			return -1;
	return 0;
}

static int ahead_of_task(struct dump *d, pid_t pid, struct err *e)
{
	struct err gone = ERR_INIT;
	struct ns *ns = ns_open_pid(pid, &gone);

	/* one that cannot be opened is an error when the task is read, unless it has ended by then */
	if (!ns)
		return 0;
	if (d->netns[0]->external && ns_is_same(ns, d->netns[0]->ns)) {
		ns_free(ns);
		return 0;
	}
	return net_ahead_add(d, ns, e);
}

/* The namespaces that will probably be dumped: those of the tasks as they are now. Who is dumped is decided again
 * when they stand still. */
static int prepare(struct dump *d, const struct dumper_request *rq, struct err *e)
{
	struct pid_list list = {0};
	int rc = 0;

	for (size_t i = 0; !rc && i < d->n_netns; i++)
		if (d->netns[i]->named) {
			struct ns *ns = ns_dup(d->netns[i]->ns, e);

			rc = ns ? net_ahead_add(d, ns, e) : -1;
		}
	if (!rc && !d->only_named && !d->opts.criu) /* CRIU has stopped them already */
		rc = target_tasks(rq->targets, rq->n_targets, &list, e);
	if (!rc && list.n && targets_have(rq, TARGET_PID))
		rc = freeze_find_children(&list, e);
	for (size_t i = 0; !rc && i < list.n; i++)
		rc = ahead_of_task(d, list.ids[i], e);
	free(list.ids);
	return rc ? -1 : net_ahead_open(d, e);
}

static int dump_frozen(struct dump *d, const struct dumper_request *rq, struct tasks *ts,
		       struct freeze *f, struct records *r, struct err *e)
{
	struct pid_list list = {0};
	int rc = target_tasks(rq->targets, rq->n_targets, &list, e);

	if (!rc)
		rc = freeze_tasks(f, &list, targets_have(rq, TARGET_PID), missed, d, e);
	if (!rc)
		rc = net_ahead_read(d, e);
	if (!rc)
		rc = tasks_read(ts, d, &list, e);
	free(list.ids);
	if (rc || read_sockets(d, ts, r, e))
		return -1;
	net_ahead_wait(d);
	if (pinned_namespaces(d, ts, targets_have(rq, TARGET_ALL), e) || userns_of_netns_all(d, e))
		return -1;
	return net_read(d, d->netns, d->n_netns, e) || net_find_outside(d, e) ||
			       note_missing(d, ts, e)
		       ? -1
		       : 0;
}

/* The list of all files, last: an image without it is not complete. */
static int files_img_write(struct dump *d, struct err *e)
{
	auto_img_writer struct img_writer w;

	img_write_init(&w, d->dirfd);
	return manifest_pack(&d->files, &w, e) || img_write_end(&w, e) ? -1 : 0;
}

int dumper_run(const struct dumper_request *rq, int dirfd, struct dumper_report *report,
	       struct err *e)
{
	struct dump d = {.dirfd = dirfd, .opts = rq->opts, .next_ns_id = 1, .next_file_id = 1};
	auto_img_writer struct img_writer w;
	struct records r;
	struct freeze *f = freeze_new(rq->opts.criu, e);
	struct tasks ts = {0};
	uint64_t frozen_us;
	int rc;

	*report = (struct dumper_report){0};
	dump_writer_init(&d, &w);
	dump_writer_init(&d, &r.files);
	dump_writer_init(&d, &r.others);
	d.only_named = targets_only_netns(rq);
	rc = f && !own_namespaces(&d, e) && !named_namespaces(&d, rq, e) && !prepare(&d, rq, e)
		     ? dump_frozen(&d, rq, &ts, f, &r, e)
		     : -1;
	frozen_us = f ? freeze_elapsed_us(f) : 0;
	freeze_free(f);
	if (!rc && (records_write(&d, &r, e) || net_write_held(&d, e) ||
		    task_img_write(&ts, &d, &w, e) || userns_write(&d, &w, e) ||
		    facts_img_write(&d, &w, rq->words, frozen_us, e) || files_img_write(&d, e)))
		rc = -1;
	if (!rc)
		report_fill(report, &d, &ts);
	report->frozen_us = frozen_us;
	img_write_free(&r.files);
	img_write_free(&r.others);
	tasks_free(&ts);
	dump_release(&d);
	return rc;
}

void dumper_report_free(struct dumper_report *report)
{
	for (size_t i = 0; i < report->n_losses; i++)
		dump_loss_free(&report->losses[i]);
	free(report->losses);
	*report = (struct dumper_report){0};
}
