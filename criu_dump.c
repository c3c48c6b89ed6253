#include "criu_dump.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/cli.h"
#include "base/clock.h"
#include "base/criu.h"
#include "base/criu_guard.h"
#include "base/io.h"
#include "base/netlock.h"
#include "base/nft.h"
#include "dumper/criu_merge.h"
#include "dumper/criu_scan.h"
#include "dumper/freeze.h"
#include "dumper/proc.h"
#include "live.h"

#define LOG "dump.log"

/* A dump under way. */
struct work {
	const struct dumper_request *rq;
	const struct criu_dump_opts *opts;
	struct dumper_report *report;
	pid_t root, criu;
	char *images_path;
	int images;     /* the folder that the user named */
	char dir[4096]; /* a folder of our own: what CRIU says, its hook, and our half ... */
	char part[4100];
	int part_fd; /* ... in there */
	struct criu_scan scan;
	struct pid_list tasks; /* that CRIU has stopped */
	struct criu_guard *guard;
	uint64_t stopped_us;  /* when the tasks were */
	struct nft_ctx *held; /* the lock of connections in our own namespace */
	struct err unkept;    /* why the guard does not know what the tasks were */
	bool is_merged;
};

/* ---- words ---- */

/* Options of criu dump that are ours to give, or that cannot be. */
static const struct {
	const char *word, *why;
} not_yours[] = {
	{"-D", "-o names the folder"},
	{"--images-dir", "-o names the folder"},
	{"-t", "--pid names the process"},
	{"--tree", "--pid names the process"},
	{"--network-lock", "nsimg locks the namespaces"},
	{"-s", "connections would stay in repair mode: --leave-running, or none"},
	{"--leave-stopped", "connections would stay in repair mode: --leave-running, or none"},
	{"--lazy-pages", "CRIU would wait for who asks for pages, with the tasks stopped"},
	{"-p", "only a whole dump can be restored"},
};

static bool is_option(const char *word, const char *option)
{
	size_t n = strlen(option);

	return !strncmp(word, option, n) && (!word[n] || (n > 2 && word[n] == '='));
}

static bool has_word(const struct criu_dump_opts *o, const char *a, const char *b)
{
	for (size_t i = 0; i < o->n_words; i++)
		if (is_option(o->words[i], a) || (b && is_option(o->words[i], b)))
			return true;
	return false;
}

/* "--external unix[INODE]": which of them is meant CRIU may find out. */
static bool has_unix_external(const struct criu_dump_opts *o)
{
	for (size_t i = 0; i < o->n_words; i++)
		if (strstr(o->words[i], "unix["))
			return true;
	return false;
}

static int check_words(const struct criu_dump_opts *o, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(not_yours); i++)
		if (has_word(o, not_yours[i].word, NULL))
			return err_set(e, ERR_USAGE, "-- %s: not with nsimg dump --criu (%s)",
				       not_yours[i].word, not_yours[i].why);
	return 0;
}

enum { N_FIXED = 16, EXTERNAL_LEN = 96 };

struct words {
	const char **all;
	char (*external)[EXTERNAL_LEN];
	size_t n;
	char pid[16], log[4200];
};

static void words_free(struct words *w)
{
	free(w->all);
	free(w->external);
}

static int words_make(const struct work *k, const char *images, struct words *w, struct err *e)
{
	const struct criu_dump_opts *o = k->opts;
	size_t n = k->scan.n_netns;

	w->all = calloc(N_FIXED + 2 * n + o->n_words + 1, sizeof(*w->all));
	w->external = calloc(n + 1, sizeof(*w->external));
	if (!w->all || !w->external)
		return err_set(e, ERR_NOMEM, "words for CRIU");
	snprintf(w->pid, sizeof(w->pid), "%d", (int)k->root);
	snprintf(w->log, sizeof(w->log), "%s/" LOG, k->dir);
	{
		const char *const fixed[] = {"dump",
					     "--no-default-config",
					     "-t",
					     w->pid,
					     "-D",
					     images,
					     "-o",
					     w->log,
					     "-v4",
					     "--tcp-established",
					     "--network-lock",
					     "skip"};

		_Static_assert(ARRAY_SIZE(fixed) < N_FIXED, "room for the words");
		memcpy(w->all, fixed, sizeof(fixed));
		w->n = ARRAY_SIZE(fixed);
	}
	if (o->leave_running)
		w->all[w->n++] = "--leave-running";
	for (size_t i = 0; i < n; i++) {
		unsigned long long ino = ns_ino(k->scan.netns[i].ns);

		snprintf(w->external[i], EXTERNAL_LEN, "net[%llu]:" CRIU_MERGE_KEY, ino, ino);
		w->all[w->n++] = "--external";
		w->all[w->n++] = w->external[i];
	}
	for (size_t i = 0; i < o->n_words; i++)
		w->all[w->n++] = o->words[i];
	return 0;
}

/* ---- at the hooks ---- */

static int note_criu(void *arg, pid_t pid, struct err *e)
{
	((struct work *)arg)->criu = pid;
	return 0;
}

/* All of them are stopped now: what was not there before is. */
static int find_tasks(struct work *k, struct err *e)
{
	return pid_list_add(&k->tasks, k->root, e) || freeze_find_children(&k->tasks, e) ? -1 : 0;
}

static int guard_tasks(struct work *k, struct err *e)
{
	for (size_t i = 0; i < k->tasks.n; i++)
		if (criu_guard_add_task(k->guard, k->tasks.ids[i],
					pid_list_has(&k->scan.stopped, k->tasks.ids[i]), e))
			return -1;
	return 0;
}

/* In our own namespace others go on working: only the connections of the tree. The guard does not know of this lock: it
 * ends with us, and then the image does, too. */
static int lock_own(struct work *k, struct criu_scan_netns *n, struct err *e)
{
	auto_free struct netlock_conn *conns = NULL;
	size_t n_conns = 0;

	if (criu_scan_conns(&k->scan, n, &k->tasks, &conns, &n_conns, e))
		return -1;
	if (n_conns)
		k->held = netlock_hold(ns_fd(n->ns), conns, n_conns, e);
	return n_conns && !k->held ? -1 : 0;
}

static int lock(struct work *k, struct err *e)
{
	for (size_t i = 0; i < k->scan.n_netns; i++) {
		struct criu_scan_netns *n = &k->scan.netns[i];

		if (n->is_own ? lock_own(k, n, e) : netlock_add(ns_fd(n->ns), e))
			return -1;
	}
	return 0;
}

static int unlock(struct work *k, struct err *e)
{
	nft_release(take_ptr(k->held));
	for (size_t i = 0; i < k->scan.n_netns; i++)
		if (!k->scan.netns[i].is_own && netlock_remove(ns_fd(k->scan.netns[i].ns), e))
			return -1;
	return 0;
}

/* The guard first: from then on whatever happens is taken back. */
static int read_network(struct work *k, struct err *e)
{
	/* an image that is not complete is not one: CRIU's part alone would look like it */
	const struct criu_guard_folder folders[] = {{k->dir, NULL},
						    {k->images_path, "nsimg-files.img"}};
	struct dumper_request rq = *k->rq;

	k->stopped_us = clock_us();
	rq.opts.criu = k->criu;
	for (size_t i = 0; i < k->scan.n_netns; i++)
		if (!k->scan.netns[i].is_own &&
		    criu_guard_add_netns(k->guard, ns_fd(k->scan.netns[i].ns), e))
			return -1;
	if (find_tasks(k, e) || guard_tasks(k, e) ||
	    criu_guard_start(k->guard, k->criu, folders, ARRAY_SIZE(folders), &k->unkept, e) ||
	    lock(k, e) || dumper_run(&rq, k->part_fd, k->report, e))
		return -1;
	k->report->unguarded = k->unkept;
	return 0;
}

static int merge(struct work *k, struct err *e)
{
	if (!k->stopped_us)
		return err_set(e, ERR_CONFLICT, "CRIU did not say when the tasks stood still");
	k->report->frozen_us = clock_us() - k->stopped_us;
	if (criu_merge(k->part_fd, k->images, k->report, k->rq->opts.strict, e))
		return -1;
	k->is_merged = true;
	return 0;
}

static int at_hook(void *arg, const char *action, pid_t root, struct err *e)
{
	static const struct {
		const char *action;
		int (*fn)(struct work *k, struct err *e);
	} rows[] = {
		{"network-lock", read_network},
		{"post-dump", merge},
		/* no connection is in repair mode any more, and the tasks do not run yet */
		{"network-unlock", unlock},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (!strcmp(action, rows[i].action))
			return rows[i].fn(arg, e);
	return 0;
}

/* ---- what a dump left that nobody could take back ---- */

static int count_locked(const struct criu_scan *s, size_t *n, struct err *e)
{
	*n = 0;
	for (size_t i = 0; i < s->n_netns; i++) {
		bool locked = false;

		if (!s->netns[i].is_own && netlock_find(ns_fd(s->netns[i].ns), &locked, e))
			return -1;
		*n += locked;
	}
	return 0;
}

static int add_tasks(struct criu_guard *g, const struct criu_scan *s, struct err *e)
{
	for (size_t i = 0; i < s->tasks.n; i++) {
		pid_t pid = s->tasks.ids[i], tracer = 0;
		struct err gone = ERR_INIT;
		uint64_t blocked;

		if (!proc_status_read(pid, pid, &blocked, &tracer, &gone) && tracer)
			return err_set(e, ERR_CONFLICT,
				       "process %d is traced by process %d: a dump of it may be "
				       "under way",
				       (int)pid, (int)tracer);
		if (criu_guard_add_task(g, pid, pid_list_has(&s->stopped, pid), e))
			return -1;
	}
	return 0;
}

static int repair(const struct criu_scan *s, struct err *e)
{
	struct criu_guard *g = criu_guard_new(e);
	int rc = g ? add_tasks(g, s, e) : -1;

	for (size_t i = 0; !rc && i < s->n_netns; i++)
		if (!s->netns[i].is_own)
			rc = criu_guard_add_netns(g, ns_fd(s->netns[i].ns), e);
	if (!rc)
		rc = criu_guard_repair(g, e);
	criu_guard_free(g);
	return rc;
}

int criu_dump_repair(pid_t root, size_t *n_locked, struct err *e)
{
	const struct criu_scan_opts opts = {0};
	auto_criu_scan struct criu_scan s = {0};

	return criu_scan(&s, root, &opts, e) || count_locked(&s, n_locked, e) || repair(&s, e) ? -1
											       : 0;
}

/* ---- from the beginning to the end ---- */

static int run_criu(struct work *k, const char *path, struct err *e)
{
	__attribute__((cleanup(words_free))) struct words w = {0};
	auto_ns struct ns *scratch = criu_scratch_ns(e);
	auto_buf struct buf program = {0};
	sigset_t stop, before;
	struct criu_job job = {.folder = k->dir,
			       .log = LOG,
			       .started = note_criu,
			       .at = at_hook,
			       .arg = k,
			       .stop = &stop,
			       .outlives = true};
	int rc;

	k->images_path = realpath(path, NULL);
	if (!k->images_path)
		return err_sys(e, ERR_IO, "%s", path);
	if (!scratch || criu_find(k->opts->program, &program, e) ||
	    words_make(k, k->images_path, &w, e))
		return -1;
	job.program = (const char *)program.data;
	job.words = w.all;
	job.netns_fd = ns_fd(scratch);
	sigemptyset(&stop);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGHUP);
	sigprocmask(SIG_BLOCK, &stop, &before);
	rc = criu_run(&job, e);
	if (!rc && !k->is_merged)
		rc = err_set(e, ERR_KERNEL, "CRIU came to its end without a dump");
	sigprocmask(SIG_SETMASK, &before, NULL);
	return rc;
}

/* A folder of our own, with one in it for our half. */
static int make_folders(struct work *k, struct err *e)
{
	if (snprintf(k->dir, sizeof(k->dir), "%s/nsimg-criu-XXXXXX", criu_tmp()) >=
		    (int)sizeof(k->dir) ||
	    !mkdtemp(k->dir)) {
		k->dir[0] = 0;
		return err_sys(e, ERR_IO, "make a folder in %s", criu_tmp());
	}
	snprintf(k->part, sizeof(k->part), "%s/net", k->dir);
	if (mkdir(k->part, 0700))
		return err_sys(e, ERR_IO, "make %s", k->part);
	k->part_fd = open(k->part, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return k->part_fd < 0 ? err_sys(e, ERR_IO, "open %s", k->part) : 0;
}

static int scan(struct work *k, struct err *e)
{
	const struct criu_scan_opts opts = {
		.shell_job = has_word(k->opts, "-j", "--shell-job"),
		.skip_in_flight = has_word(k->opts, "--skip-in-flight", NULL),
		.ext_unix = has_word(k->opts, "-x", "--ext-unix-sk") || has_unix_external(k->opts),
	};

	size_t n_locked;

	if (criu_scan(&k->scan, k->root, &opts, e))
		return -1;
	if (!k->scan.n_reasons)
		return count_locked(&k->scan, &n_locked, e) || (n_locked && repair(&k->scan, e))
			       ? -1
			       : 0;
	k->report->losses = take_ptr(k->scan.reasons);
	k->report->n_losses = k->scan.n_reasons;
	k->scan.n_reasons = 0;
	return err_set(e, ERR_CONFLICT,
		       "CRIU will not dump this tree, for %zu reason%s; nothing was done",
		       k->report->n_losses, k->report->n_losses == 1 ? "" : "s");
}

static void work_free(struct work *k)
{
	nft_release(k->held);
	free(k->tasks.ids);
	criu_guard_free(k->guard);
	criu_scan_free(&k->scan);
	free(k->images_path);
	if (k->part_fd >= 0)
		close(k->part_fd);
	if (k->dir[0])
		io_remove_tree(k->dir, NULL);
}

int criu_dump_to_dir(const struct dumper_request *rq, const struct criu_dump_opts *opts,
		     const char *path, struct dumper_report *report, struct err *e)
{
	struct criu_dump_opts o = *opts;
	struct work k = {.rq = rq, .opts = &o, .report = report, .images = -1, .part_fd = -1};
	bool made = false;
	int64_t root = 0;
	int rc;

	o.leave_running |= has_word(&o, "-R", "--leave-running");
	rc = cli_parse_number(rq->targets[0].what, 1, INT32_MAX, &root, "--pid", e) ||
			     check_words(&o, e)
		     ? -1
		     : 0;
	k.root = (pid_t)root;
	if (!rc)
		rc = scan(&k, e);
	if (!rc) {
		k.images = live_folder_open(path, &made, e);
		k.guard = criu_guard_new(e);
		rc = k.images < 0 || !k.guard || make_folders(&k, e) ? -1 : run_criu(&k, path, e);
	}
	if (k.guard) {
		struct err why = ERR_INIT;

		if (criu_guard_end(k.guard, &why) && !rc) {
			*e = why;
			rc = -1;
		}
	}
	if (rc && k.unkept.code)
		err_wrap(e, "the tasks were not guarded against a SIGKILL of CRIU (%.200s)",
			 k.unkept.msg);
	if (rc && k.images >= 0) {
		live_folder_remove(k.images, path, made);
		dumper_report_free(report);
	}
	if (k.images >= 0)
		close(k.images);
	work_free(&k);
	return rc;
}
