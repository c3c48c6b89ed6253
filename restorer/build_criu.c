/* CRIU as the engine of the processes: its images are written first, every namespace that is made is locked before its
 * links come up, and when the network is complete CRIU makes the processes in it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "restorer/build.h"
#include "restorer/criu_image.h"
#include "restorer/sk_make.h"
#include "restorer/steps.h"

static int build_lock(struct plan *p, const struct restore_netns *n, struct err *e)
{
	struct step *s = plan_add_text(p, step_kind_find("lock"), NULL, n->name, e);

	if (!s)
		return -1;
	s->netns = s->row = n->row;
	return plan_after(p, s, MS_EXISTS, n->row, e) || plan_before(p, s, MS_NSIDS, n->row, e) ? -1
												: 0;
}

/* An image that only nsimg dumped has no memory of processes. */
static int need_processes(const struct restore *r, struct err *e)
{
	auto_query struct query *q = query_new(
		r->db, "SELECT count(*) FROM image_file WHERE image = :image AND kind = 'CORE'", e);

	if (!q || query_bind_int(q, "image", r->image, e) || query_next(q, e) != 1)
		return -1;
	return query_int(q, 0)
		       ? 0
		       : err_set(e, ERR_CONFLICT,
				 "--criu: the image has no processes of CRIU (no core-N.img): it "
				 "was made by 'nsimg dump' alone");
}

/* Has every task its files where we have them? CRIU has written no mounts then. */
static int shares_mounts(const struct restore *r, bool *shares, struct err *e)
{
	auto_query struct query *q = query_new(
		r->db, "SELECT count(*) FROM image_file WHERE image = :image AND kind = 'MNTS'", e);

	if (!q || query_bind_int(q, "image", r->image, e) || query_next(q, e) != 1)
		return -1;
	*shares = !query_int(q, 0);
	return 0;
}

/* CRIU removes what lies where a unix socket gets its file, and when it fails its own files stay. So what is there is
 * set aside before, and what it made goes when it is taken back. */
static int build_paths(struct plan *p, struct restore *r, struct step *criu, struct err *e)
{
	const struct criu_supply *supply = criu->data;
	bool shares;

	if (shares_mounts(r, &shares, e))
		return -1;
	for (size_t i = 0; shares && i < supply->specs->n_files; i++) {
		const struct sk_file *f = &supply->specs->files[i];
		char path[4200];
		struct step *s;

		if (!sk_unix_has_file(f) || !sk_unix_path(f, "/", path, sizeof(path)) ||
		    *path != '/')
			continue;
		s = plan_add_text(p, step_kind_find("socket-file"), NULL, path, e);
		if (!s)
			return -1;
		s->data = spec_strdup(path, e);
		s->data_free = free;
		if (!s->data || plan_need(p, criu, s, e))
			return -1;
	}
	return 0;
}

/* Made as a pair by CRIU, and a listener has their name: nobody can give it to them. */
static int leave_names(struct plan *p, const struct criu_supply *supply, struct err *e)
{
	size_t n = 0;
	char text[64];

	for (size_t i = 0; i < supply->specs->n_files; i++)
		n += supply->specs->files[i].kind == SK_UNIX &&
		     supply->specs->files[i].un.accepted &&
		     supply->specs->files[i].creator != SK_NONE;
	snprintf(text, sizeof(text), "names of %zu unix socket%s", n, n == 1 ? "" : "s");
	return n ? plan_leave_out(p, e, text,
				  "came out of accept(2) with the name of the listener; CRIU makes "
				  "them as pairs, without a name")
		 : 0;
}

/* Of queues CRIU keeps those of connections and of unix sockets. */
static int leave_datagrams(struct plan *p, const struct criu_supply *supply, struct err *e)
{
	for (size_t i = 0; i < supply->specs->n_files; i++) {
		const struct sk_file *f = &supply->specs->files[i];

		if ((f->kind == SK_INET || f->kind == SK_PACKET) && f->type != SOCK_STREAM &&
		    f->n_waiting &&
		    plan_leave_out(p, e, f->label, "%lld %s", (long long)f->n_waiting, SK_WAITING))
			return -1;
	}
	return 0;
}

int build_criu(struct plan *p, struct restore *r, struct err *e)
{
	auto_buf struct buf dir = {0};
	struct step *images, *s;

	if (need_processes(r, e) || criu_image_place(r, &dir, e))
		return -1;
	images = plan_add(p, step_kind_find("criu-images"), NULL, e, "of all processes");
	s = images ? plan_add(p, step_kind_find("criu"), NULL, e, "restores the processes") : NULL;
	if (!s)
		return -1;
	s->data = images->data = criu_supply_new(r, (const char *)dir.data, e);
	s->data_free = criu_supply_free;
	if (!s->data)
		return -1;
	for (size_t i = 0; i < r->n_netns; i++)
		if (!r->netns[i].external && build_lock(p, &r->netns[i], e))
			return -1;
	return build_paths(p, r, s, e) || leave_names(p, s->data, e) ||
			       leave_datagrams(p, s->data, e) || plan_need(p, s, images, e) ||
			       plan_after(p, s, MS_NETWORK, 0, e) ||
			       plan_before(p, s, MS_TASKS, 0, e)
		       ? -1
		       : 0;
}
