#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/u64map.h"
#include "restorer/build.h"
#include "restorer/steps.h"

/* The k-th name that it gets: those it had under /run/netns, else its name in the image ("ns4"). NULL: no more. */
static const char *pin_name(const struct restore_netns *n, size_t k)
{
	if (n->pins)
		return n->pins[k] ? strrchr(n->pins[k], '/') + 1 : NULL;
	return k ? NULL : n->name;
}

/* Has an earlier namespace of the image the same name? hashes: of the names so far. */
static bool is_name_taken(const struct restore *r, const struct restore_netns *n, const char *name,
			  const struct u64map *hashes)
{
	if (!u64map_find(hashes, u64map_text(U64MAP_TEXT, name), &(uint32_t){0}))
		return false;
	for (const struct restore_netns *o = r->netns; o < n; o++)
		for (size_t k = 0; !o->external && pin_name(o, k); k++)
			if (!strcmp(pin_name(o, k), name))
				return true;
	return false;
}

static int pin_path(const struct restore *r, const struct restore_netns *n, const char *name,
		    struct u64map *hashes, char **path, struct err *e)
{
	const char *dir = r->opts->pin_dir ? r->opts->pin_dir : PIN_DIR;
	char number[32] = "";

	if (!*name || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return err_set(e, ERR_FORMAT, "\"%s\" cannot be a file name under %s", name, dir);
	if (is_name_taken(r, n, name, hashes))
		snprintf(number, sizeof(number), "-ns%lld", (long long)n->ns_id);
	if (u64map_put(hashes, u64map_text(U64MAP_TEXT, name), 1, e))
		return -1;
	if (asprintf(path, "%s/%s%s%s", dir, r->opts->prefix ? r->opts->prefix : "", name, number) <
	    0) {
		*path = NULL;
		return err_set(e, ERR_NOMEM, "path of a pin");
	}
	return 0;
}

/* The folder that pins are made in. */
static struct step *build_dir(struct plan *p, const char *dir, struct err *e)
{
	struct step *s = plan_add_text(p, step_kind_find("pin-dir"), NULL, dir, e);

	if (!s)
		return NULL;
	s->data = strdup(dir);
	s->data_free = free;
	if (!s->data) {
		err_set(e, ERR_NOMEM, "path of the pins");
		return NULL;
	}
	return plan_after(p, s, MS_NETWORK, 0, e) || plan_after(p, s, MS_TASKS, 0, e) ? NULL : s;
}

/* The k-th name of a namespace, at path (taken): in the image was, NULL: none. */
static int build_pin(struct plan *p, const struct restore_netns *n, size_t k, char *path,
		     const char *was, const struct step *dir, struct err *e)
{
	struct step *s = plan_add_text(p, step_kind_find("pin"), NULL, path, e);

	if (!s) {
		free(path);
		return -1;
	}
	s->data = path;
	s->data_free = free;
	s->netns = s->row = n->row;
	s->num = (int64_t)k;
	if (was && buf_add_str(&s->msg, was, e))
		return -1;
	return plan_need(p, s, dir, e) || plan_after(p, s, MS_NETWORK, 0, e) ||
			       plan_after(p, s, MS_TASKS, 0, e)
		       ? -1
		       : 0;
}

/* A name outside of PIN_DIR, where it was. */
static int build_other(struct plan *p, struct restore *r, const struct restore_netns *n, size_t k,
		       const char *was, struct err *e)
{
	const char *slash = strrchr(was, '/');
	auto_free char *folder = NULL;
	const struct step *dir;
	char *path;

	if (!slash || *was != '/' || !slash[1] || strstr(was, "/../") || !strcmp(slash, "/.."))
		return err_set(e, ERR_FORMAT, "\"%s\" cannot be a name of namespace %s", was,
			       n->name);
	if (!r->opts->all_pins)
		/* without a name under PIN_DIR the first one stands for its path */
		return !k && !n->pins
			       ? 0
			       : plan_leave_out(
					 p, e, was,
					 "a name of namespace %s outside of " PIN_DIR
					 ": it is %s/%s%s here; --all-pins makes it, too",
					 n->name, r->opts->pin_dir ? r->opts->pin_dir : PIN_DIR,
					 r->opts->prefix ? r->opts->prefix : "", pin_name(n, 0));
	folder = strndup(was, slash == was ? 1 : (size_t)(slash - was));
	if (!folder || asprintf(&path, "%.*s/%s%s", (int)(slash - was), was,
				r->opts->prefix ? r->opts->prefix : "", slash + 1) < 0)
		return err_set(e, ERR_NOMEM, "path of a pin");
	dir = build_dir(p, folder, e);
	if (!dir) {
		free(path);
		return -1;
	}
	return build_pin(p, n, k + 1, path, was, dir, e);
}

static int build_pins(struct plan *p, struct restore *r, const struct restore_netns *n,
		      const struct step *dir, struct u64map *hashes, struct err *e)
{
	for (size_t k = 0; pin_name(n, k); k++) {
		const char *was = n->pins ? n->pins[k] : n->other_pins ? n->other_pins[0] : NULL;
		char *path;

		if (pin_path(r, n, pin_name(n, k), hashes, &path, e) ||
		    build_pin(p, n, k, path, was, dir, e))
			return -1;
	}
	for (size_t k = 0; n->other_pins && n->other_pins[k]; k++)
		if (build_other(p, r, n, k, n->other_pins[k], e))
			return -1;
	return 0;
}

int build_commit(struct plan *p, struct restore *r, struct err *e)
{
	const struct step *d = build_dir(p, r->opts->pin_dir ? r->opts->pin_dir : PIN_DIR, e);
	__attribute__((cleanup(u64map_free))) struct u64map hashes = {0};

	if (!d)
		return -1;
	for (size_t i = 0; i < r->n_netns; i++)
		if (!r->netns[i].external && build_pins(p, r, &r->netns[i], d, &hashes, e))
			return -1;
	return 0;
}

static int build_processes(struct plan *p, struct restore *r, struct err *e)
{
	if (r->opts->no_tasks)
		return 0;
	return r->opts->criu ? build_criu(p, r, e) : build_tasks(p, r, e);
}

/* ---- the network and the tasks ---- */

/* The network, in a thread of its own with a connection of its own, while the tasks are read. */
struct net_thread {
	pthread_t thread;
	struct plan *p;
	struct restore *r;
	struct db *db; /* the connection of all others */
	bool is_done;  /* false: there was no such connection */
	int rc;
	struct err e;
};

static void *net_main(void *arg)
{
	struct net_thread *t = arg;
	struct err ignored = ERR_INIT;
	auto_db struct db *twin = db_twin(t->db, &ignored);

	if (!twin)
		return NULL;
	t->r->db = twin;
	t->rc = build_net(t->p, t->r, &t->e);
	t->r->db = t->db;
	t->is_done = true;
	return NULL;
}

/* A further connection reads the schema again, which takes as long as so many sockets. */
#define SOCKETS_MANY "2000"

static int has_many_sockets(const struct restore *r, struct err *e)
{
	auto_query struct query *q = query_new(
		r->db, "SELECT 1 FROM socket WHERE image = :image LIMIT 1 OFFSET " SOCKETS_MANY, e);

	return !q || query_bind_int(q, "image", r->image, e) ? -1 : query_next(q, e);
}

static int build_both(struct plan *p, struct restore *r, struct err *e)
{
	struct net_thread t = {.p = p, .r = r, .db = r->db, .e = ERR_INIT};
	int many = has_many_sockets(r, e), rc;
	bool runs = many == 1 && !pthread_create(&t.thread, NULL, net_main, &t);

	rc = many < 0 ? -1 : load_tasks(r, t.db, e);
	if (runs)
		pthread_join(t.thread, NULL);
	if (!rc && t.rc)
		*e = t.e;
	if (rc || t.rc)
		return -1;
	return t.is_done ? 0 : build_net(p, r, e);
}

/* What forks the holders is forked before the network is built, from as little memory as there can be, and while other
 * threads make the namespaces. */
static int build_net_and_load(struct plan *p, struct restore *r, struct err *e)
{
	if (r->opts->no_tasks || r->opts->criu)
		return build_net(p, r, e);
	if (!r->opts->carry_out)
		return build_both(p, r, e);
	return load_tasks(r, r->db, e) || build_net(p, r, e) ? -1 : 0;
}

int build_plan(struct plan *p, struct restore *r, struct err *e)
{
	/* The milestone of the tasks exists also without tasks: the commit waits for it. */
	if (build_net_and_load(p, r, e) || build_processes(p, r, e) || build_commit(p, r, e))
		return -1;
	return plan_order(p, e);
}
