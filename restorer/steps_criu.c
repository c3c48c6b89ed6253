/* The steps of CRIU as the engine of the processes.
 *
 * What of it can be left behind when nsimg or CRIU is killed: the folder of the images, CRIU, and processes that it had
 * begun to make. CRIU ends with us. Each process is proven ours before it is killed: CRIU and the finished tasks by
 * their start time; unfinished ones because they are in a namespace that only this restore knows (names and pins come
 * after). */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <time.h>
#include <unistd.h>

#include "base/caps.h"
#include "base/cleanup.h"
#include "base/criu.h"
#include "base/io.h"
#include "base/netlock.h"
#include "restorer/check_criu.h"
#include "restorer/criu_conns.h"
#include "restorer/criu_image.h"
#include "restorer/criu_supply.h"
#include "restorer/criu_tasks.h"
#include "restorer/steps.h"
#include "restorer/steps_net.h"

static int run_images(struct restore *r, struct step *s, struct err *e)
{
	const struct criu_supply *supply = s->data;

	return journal_fact(r->journal, r->step, "dir", e, "%s", supply->dir) ||
			       criu_image_make(r, supply, e)
		       ? -1
		       : 0;
}

static int undo_images(const struct journal_entry *je, struct err *e)
{
	const char *dir = journal_value(je, "dir");

	return dir ? io_remove_tree(dir, e) : 0;
}

/* ---- the tasks that CRIU made ---- */

static int note_tasks(struct restore *r, pid_t root, struct err *e)
{
	auto_query struct query *q = query_new(
		r->db,
		"SELECT id, pid, coalesce(comm, '') FROM task WHERE image = :image ORDER BY id", e);
	int got;

	if (!q || query_bind_int(q, "image", r->image, e))
		return -1;
	while ((got = query_next(q, e)) == 1) {
		pid_t pid = criu_task_find(root, (pid_t)query_int(q, 1));

		/* a task that was dead when it was dumped is not made */
		if (!pid)
			continue;
		if (journal_fact(r->journal, r->step, "task", e, "%d %" PRIu64, (int)pid,
				 process_start(pid)) ||
		    journal_holder_add(r->journal, pid, query_int(q, 0), query_int(q, 1),
				       query_text(q, 2), e))
			return -1;
	}
	return got;
}

/* ---- CRIU ---- */

struct run {
	struct restore *r;
	struct criu_supply *supply;
};

static int note_criu(void *arg, pid_t pid, struct err *e)
{
	struct restore *r = ((const struct run *)arg)->r;

	return journal_fact(r->journal, r->step, "criu", e, "%d %" PRIu64, (int)pid,
			    process_start(pid));
}

static int run_lock(struct restore *r, struct step *s, struct err *e)
{
	const struct ns *ns = restore_ns(r, s->netns, e);

	return ns ? netlock_add(ns_fd(ns), e) : -1;
}

static int unlock(struct restore *r, struct err *e)
{
	for (size_t i = 0; i < r->n_netns; i++)
		if (!r->netns[i].external && netlock_remove(ns_fd(r->netns[i].ns), e))
			return err_wrap(e, "%s", r->netns[i].name);
	return 0;
}

/* ---- addresses that a namespace does not have ----
 *
 * CRIU binds IPv4 sockets before it gives them IP_FREEBIND or IP_TRANSPARENT. In namespaces that are made, any address
 * goes while it works. */

#define NONLOCAL "/proc/sys/net/ipv4/ip_nonlocal_bind"

static int write_nonlocal(void *value, struct err *e)
{
	return io_write_proc(AT_FDCWD, NONLOCAL, value, e);
}

/* text[0]: what it is. */
static int read_nonlocal(void *text, struct err *e)
{
	auto_buf struct buf b = {0};

	if (io_read_file(AT_FDCWD, NONLOCAL, 16, &b, e))
		return -1;
	*(char *)text = b.len ? (char)b.data[0] : '0';
	return 0;
}

/* Set it where it was 0 (on), or take that back. */
static int allow_nonlocal(struct restore *r, bool on, struct err *e)
{
	auto_query struct query *q = query_new(
		r->db,
		"SELECT DISTINCT s.netns FROM socket s JOIN inet_socket i ON i.socket = s.id WHERE "
		"s.image = :image AND s.family = 2 AND (coalesce(i.freebind, 0) OR "
		"coalesce(s.options ->> 'IP_FREEBIND', 0) OR coalesce(s.options ->> "
		"'IP_TRANSPARENT', 0)) ORDER BY 1",
		e);
	int got;

	if (!q || query_bind_int(q, "image", r->image, e))
		return -1;
	while ((got = query_next(q, e)) == 1)
		for (size_t i = 0; i < r->n_netns; i++) {
			struct restore_netns *n = &r->netns[i];
			char text[2] = "";

			if (n->row != query_int(q, 0) || n->external || !n->ns ||
			    (!on && !n->is_nonlocal))
				continue;
			if (on && ns_call(n->ns, read_nonlocal, text, e))
				return -1;
			if (on && text[0] != '0')
				continue;
			n->is_nonlocal = on;
			if (ns_call(n->ns, write_nonlocal, on ? "1" : "0", e))
				return -1;
		}
	return got;
}

/* The tasks are there and stopped: from here on the journal knows them, then packets flow, then they run. */
static int at_hook(void *arg, const char *action, pid_t root, struct err *e)
{
	const struct run *run = arg;
	struct restore *r = run->r;

	/* of a tree in namespaces that were given nothing but its root tells whose it is */
	if (root > 0 && journal_fact(r->journal, r->step, "task", e, "%d %" PRIu64, (int)root,
				     process_start(root)))
		return -1;
	if (strcmp(action, "network-unlock") != 0)
		return 0;
	return note_tasks(r, root, e) || criu_supply_sockets(run->supply, r, root, e) ||
			       allow_nonlocal(r, false, e) || unlock(r, e) ||
			       criu_conns_unlock(r, e)
		       ? -1
		       : 0;
}

#define N_FIXED 16

struct words {
	const char **all;
	char (*inherit)[96];
	int *fds;
	size_t n, n_fds;
	char images[4096], log[4096];
};

static void words_free(struct words *w)
{
	free(w->all);
	free(w->inherit);
	free(w->fds);
}

static void inherit(struct words *w, int fd, const char *key, ...)
	__attribute__((format(printf, 3, 4)));

static void inherit(struct words *w, int fd, const char *key, ...)
{
	char *text = w->inherit[w->n_fds];
	int n = snprintf(text, sizeof(*w->inherit), "fd[%d]:", fd);
	va_list ap;

	va_start(ap, key);
	vsnprintf(text + n, sizeof(*w->inherit) - (size_t)n, key, ap);
	va_end(ap);
	w->fds[w->n_fds++] = fd;
	w->all[w->n++] = "--inherit-fd";
	w->all[w->n++] = text;
}

/* The user's words come last, so that they win. */
static int words_make(const struct restore *r, const struct criu_supply *supply, struct words *w,
		      struct err *e)
{
	const struct restore_opts *o = r->opts;
	const char *dir = supply->dir;
	size_t most = r->n_netns + supply->specs->n_files;

	w->all = calloc(N_FIXED + 2 * most + o->n_criu_words + 1, sizeof(*w->all));
	w->inherit = calloc(most + 1, sizeof(*w->inherit));
	w->fds = calloc(most + 1, sizeof(*w->fds));
	if (!w->all || !w->inherit || !w->fds)
		return err_set(e, ERR_NOMEM, "words for CRIU");
	snprintf(w->images, sizeof(w->images), "%s/" CRIU_IMAGES, dir);
	snprintf(w->log, sizeof(w->log), "%s/" CRIU_LOG, dir);
	{
		const char *const fixed[] = {"restore",
					     "--no-default-config",
					     "-D",
					     w->images,
					     "-o",
					     w->log,
					     "-v4",
					     "--tcp-established",
					     "--restore-detached"};

		_Static_assert(ARRAY_SIZE(fixed) <= N_FIXED, "room for the words");
		memcpy(w->all, fixed, sizeof(fixed));
		w->n = ARRAY_SIZE(fixed);
	}
	for (size_t i = 0; i < r->n_netns; i++)
		if (r->netns[i].ns)
			inherit(w, ns_fd(r->netns[i].ns), CRIU_KEY, (long long)r->netns[i].ns_id);
	for (size_t i = 0; i < supply->specs->n_files; i++)
		if (supply->fds[i] >= 0)
			inherit(w, supply->fds[i], CRIU_TUN, supply->specs->files[i].file_id);
	for (size_t i = 0; i < o->n_criu_words; i++)
		w->all[w->n++] = o->criu_words[i];
	return 0;
}

static int note_netns(struct restore *r, struct err *e)
{
	for (size_t i = 0; i < journal_n_netns(r->journal); i++) {
		const struct journal_netns *n = journal_netns(r->journal, i);

		if (journal_fact(r->journal, r->step, "netns", e, "%" PRIu64 " %" PRIu64, n->ino,
				 n->cookie))
			return -1;
	}
	return 0;
}

/* An empty namespace for CRIU itself. It tries the features of the kernel over the loopback, which must be up. */
static struct ns *scratch_new(struct err *e)
{
	const struct ifinfomsg up = {.ifi_index = 1, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	auto_ns struct ns *ns = ns_new(e);
	struct nl *nl = ns ? nl_open_in(ns, NETLINK_ROUTE, e) : NULL;
	auto_buf struct buf msg = {0};
	int rc = nl ? nl_msg_begin(&msg, RTM_NEWLINK, 0, &up, sizeof(up), e) : -1;

	if (!rc)
		rc = nl_do(nl, &msg, "loopback for CRIU", e);
	nl_free(nl);
	return rc ? NULL : take_ptr(ns);
}

static int run_criu(struct restore *r, struct step *s, struct err *e)
{
	__attribute__((cleanup(words_free))) struct words w = {0};
	auto_ns struct ns *scratch = scratch_new(e);
	auto_buf struct buf program = {0};
	struct criu_supply *supply = s->data;
	struct run run = {r, supply};
	sigset_t stop;
	struct criu_job job = {.folder = supply->dir,
			       .log = CRIU_LOG,
			       .started = note_criu,
			       .at = at_hook,
			       .arg = &run,
			       .stop = &stop};

	sigemptyset(&stop);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGHUP);
	if (!scratch || criu_find(r->opts->criu_program, &program, e) ||
	    criu_supply_tuns(supply, r, e) || words_make(r, supply, &w, e) || note_netns(r, e) ||
	    allow_nonlocal(r, true, e) || criu_conns_lock(r, e))
		return -1;
	job.program = (const char *)program.data;
	job.words = w.all;
	job.netns_fd = ns_fd(scratch);
	job.fds = w.fds;
	job.n_fds = w.n_fds;
	if (criu_run(&job, e) || criu_supply_done(supply, r, e))
		return -1;
	/* what CRIU read is not needed any more */
	return io_remove_tree(supply->dir, e);
}

/* ---- the way back ---- */

static int undo_criu(const struct journal_entry *je, struct err *e)
{
	for (size_t i = 0; i < je->n_facts; i++) {
		uint64_t start;
		int pid;

		if ((!strcmp(je->keys[i], "criu") || !strcmp(je->keys[i], "task")) &&
		    sscanf(je->values[i], "%d %" SCNu64, &pid, &start) == 2)
			criu_task_end(pid, start);
	}
	/* what was not finished: until there is nobody, because one that is killed may have begun another */
	for (int round = 0; !je->done && round < 200 && criu_tasks_end_inside(je); round++)
		nanosleep(&(struct timespec){0, 10 * 1000000}, NULL);
	return 0;
}

const struct step_kind step_kinds_criu[] = {
	{.name = "criu-images",
	 .stage = STAGE_IMAGES,
	 .undo_class = UNDO_EXACT,
	 .run = run_images,
	 .undo = undo_images,
	 .check = check_criu_images},
	{.name = "lock",
	 .stage = STAGE_NSID,
	 .caps = CAPS_BIT(CAP_NET_ADMIN),
	 .undo_class = UNDO_WITH_NAMESPACE,
	 .run = run_lock},
	{.name = "criu",
	 .stage = STAGE_HOLDER,
	 .caps = CAPS_BIT(CAP_SYS_ADMIN) | CAPS_BIT(CAP_NET_ADMIN) | CAPS_BIT(CAP_SYS_PTRACE),
	 .undo_class = UNDO_EXACT,
	 .run = run_criu,
	 .undo = undo_criu,
	 .check = check_criu},
	{.name = NULL},
};
