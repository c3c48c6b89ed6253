/* Namespaces and the frame of the network part: what waits for what. */
#include "restorer/build_net.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/json.h"
#include "imgdb/record.h"
#include "proto/rta.h"

static void net_release(struct net *n)
{
	for (size_t i = 0; i < n->n_devs; i++) {
		free(n->devs[i].name);
		free(n->devs[i].kind);
		free(n->devs[i].alias);
		free(n->devs[i].altnames);
		buf_free(&n->devs[i].record);
	}
	free(n->devs);
	reach_free(n->reach);
}

struct query *net_query(const struct net *n, const char *sql, struct err *e)
{
	struct query *q = query_new(n->r->db, sql, e);

	if (q && query_bind_int(q, "image", n->r->image, e)) {
		query_free(q);
		return NULL;
	}
	return q;
}

int net_record(const struct net *n, const char *table, int64_t id, struct buf *out, struct err *e)
{
	buf_reset(out);
	if (record_bytes(n->r->db, table, id, out, e) || rta_check(buf_span(out), e))
		return err_wrap(e, "%s %lld", table, (long long)id);
	return 0;
}

int net_filter(struct span msg, int purpose, struct buf *out, struct err *e)
{
	buf_reset(out);
	return rta_filter(msg, purpose, out, e);
}

static int parse_map(const char *text, struct id_range **out, size_t *n_out, struct err *e)
{
	auto_json struct json *map = json_parse(text, strlen(text), e);
	size_t n = json_len(map);

	if (!map)
		return -1;
	*out = calloc(n + 1, sizeof(**out));
	if (!*out)
		return err_set(e, ERR_NOMEM, "id map");
	for (size_t i = 0; i < n; i++) {
		uint64_t v[3];

		for (size_t k = 0; k < 3; k++)
			if (json_to_uint(json_at(json_at(map, i), k), &v[k], "id map", e))
				return -1;
		if (v[0] > UINT32_MAX || v[1] > UINT32_MAX || v[2] > UINT32_MAX)
			return err_set(e, ERR_RANGE, "id map: a number beyond 32 bits");
		(*out)[i] = (struct id_range){v[0], v[1], v[2]};
		*n_out = i + 1;
	}
	return 0;
}

static int build_userns_row(struct net *n, const struct query *q, struct err *e)
{
	struct userns_data *d = calloc(1, sizeof(*d));
	struct step *s;

	if (!d)
		return err_set(e, ERR_NOMEM, "user namespace");
	s = plan_add(n->p, step_kind_find("userns"), NULL, e, "user%lld",
		     (long long)query_int(q, 0));
	if (!s) {
		free(d);
		return -1;
	}
	s->row = query_int(q, 0);
	s->data = d;
	s->data_free = userns_data_free;
	d->parent = query_is_null(q, 1) ? -1 : query_int(q, 1);
	d->owner_uid = query_int(q, 2);
	if (!query_is_null(q, 3)) {
		d->setgroups = strdup(query_text(q, 3));
		if (!d->setgroups)
			return err_set(e, ERR_NOMEM, "user namespace");
	}
	if (parse_map(query_text(q, 4), &d->uids, &d->n_uids, e) ||
	    parse_map(query_text(q, 5), &d->gids, &d->n_gids, e))
		return err_wrap(e, "user namespace %lld", (long long)s->row);
	return plan_index(n->p, s, s->row, e);
}

static int build_userns(struct net *n, struct err *e)
{
	auto_query struct query *q = net_query(
		n,
		"SELECT ns_id, parent, owner_uid, setgroups, uid_map, gid_map FROM userns "
		"WHERE image = :image AND NOT external ORDER BY id",
		e);
	int got;

	if (!q)
		return -1;
	while ((got = query_next(q, e)) == 1)
		if (build_userns_row(n, q, e))
			return -1;
	/* A parent may come after its child in the file. */
	for (size_t i = 0; !got && i < n->r->n_userns; i++) {
		struct step *s = plan_find(n->p, "userns", n->r->userns[i].ns_id);
		struct userns_data *d = s ? s->data : NULL;

		if (!d || d->parent < 0)
			continue;
		d->parent_step = plan_find(n->p, "userns", d->parent);
		if (d->parent_step && plan_need(n->p, s, d->parent_step, e))
			return -1;
	}
	return got;
}

/* Does anything in the image live in, or lead to, a namespace that is not made? (The outer ends of veth
 * pairs are asked for one by one, with --veth.) */
static int is_used(struct net *n, const struct restore_netns *ns, int64_t *used, struct err *e)
{
	auto_query struct query *q = NULL;

	*used = 0;
	if (n->r->opts->no_tasks)
		return 0;
	q = query_new(n->r->db,
		      "SELECT (SELECT count(*) FROM socket WHERE netns = :ns) + "
		      "(SELECT count(*) FROM task WHERE netns = :ns)",
		      e);
	if (!q || query_bind_int(q, "ns", ns->row, e) || query_next(q, e) != 1)
		return -1;
	*used = query_int(q, 0);
	return 0;
}

static int build_external(struct net *n, const struct restore_netns *ns, struct err *e)
{
	char object[300], option[300];
	struct step *s;
	int64_t used;

	if (is_used(n, ns, &used, e))
		return -1;
	snprintf(object, sizeof(object), "namespace %s%s", ns->name,
		 ns->caller ? " (the dumper's own)" : "");
	snprintf(option, sizeof(option), "--netns %s=NAME|PATH",
		 ns->ext_key  ? ns->ext_key
		 : ns->caller ? "host"
			      : ns->name);
	if ((used || ns->target) && plan_require(n->p, object, option, ns->target != NULL, e))
		return -1;
	if (!ns->target)
		return 0;
	s = plan_add(n->p, step_kind_find("open"), NULL, e, "%s %s", ns->name, ns->target);
	if (!s)
		return -1;
	s->netns = s->row = ns->row;
	return plan_before(n->p, s, MS_EXISTS, ns->row, e) ||
			       plan_before(n->p, s, MS_READY, ns->row, e)
		       ? -1
		       : 0;
}

/* The frame of a namespace that is made: each milestone waits for the one before. */
static int build_frame(struct net *n, int64_t netns, struct err *e)
{
	for (int ms = MS_NSIDS; ms <= MS_READY; ms++) {
		struct step *m = plan_milestone(n->p, ms, netns, e);
		const struct step *before = plan_milestone(n->p, ms - 1, netns, e);

		if (!m || !before || plan_need(n->p, m, before, e))
			return -1;
	}
	return 0;
}

static int build_netns(struct net *n, const struct restore_netns *ns, struct err *e)
{
	struct step *s, *owner;

	s = plan_add_text(n->p, step_kind_find("netns"), NULL, ns->name, e);
	if (!s)
		return -1;
	s->netns = s->row = ns->row;
	owner = ns->owner >= 0 ? plan_find(n->p, "userns", ns->owner) : NULL;
	return (owner && plan_need(n->p, s, owner, e)) || plan_index(n->p, s, ns->row, e) ||
			       plan_before(n->p, s, MS_EXISTS, ns->row, e) ||
			       build_frame(n, ns->row, e)
		       ? -1
		       : 0;
}

static int build_nsid_row(struct net *n, const struct query *q, struct err *e)
{
	const struct restore_netns *ns = restore_netns_find(n->r, query_int(q, 1));
	const struct restore_netns *target = restore_netns_find(n->r, query_int(q, 2));
	struct step *s;

	/* A namespace that is not ours keeps its own ids; one nobody gives has none. */
	if (!ns || !target || ns->external || (target->external && !target->target))
		return 0;
	s = plan_add(n->p, step_kind_find("nsid"), NULL, e, "%s %lld = %s", ns->name,
		     (long long)query_int(q, 3), target->name);
	if (!s)
		return -1;
	s->netns = ns->row;
	s->row = query_int(q, 0);
	s->row2 = target->row;
	s->num = query_int(q, 3);
	return plan_after(n->p, s, MS_EXISTS, ns->row, e) ||
			       plan_after(n->p, s, MS_EXISTS, target->row, e) ||
			       plan_before(n->p, s, MS_NSIDS, ns->row, e)
		       ? -1
		       : 0;
}

int build_namespaces(struct net *n, struct err *e)
{
	auto_query struct query *q = NULL;
	int got;

	if (build_userns(n, e))
		return -1;
	for (size_t i = 0; i < n->r->n_netns; i++) {
		const struct restore_netns *ns = &n->r->netns[i];

		if (ns->external ? build_external(n, ns, e) : build_netns(n, ns, e))
			return -1;
		if (plan_after(n->p, plan_milestone(n->p, MS_NETWORK, 0, e), MS_READY, ns->row, e))
			return -1;
	}
	q = net_query(
		n, "SELECT id, netns, target, value FROM nsid WHERE image = :image ORDER BY id", e);
	if (!q)
		return -1;
	while ((got = query_next(q, e)) == 1)
		if (build_nsid_row(n, q, e))
			return -1;
	return got;
}

int build_net(struct plan *p, struct restore *r, struct err *e)
{
	__attribute__((cleanup(net_release))) struct net n = {.p = p, .r = r};
	static int (*const parts[])(struct net * n, struct err * e) = {
		build_namespaces, net_load_devs, build_sysctls, build_links,    build_addresses,
		build_neighbours, build_routes,  build_tc,      build_firewall, build_conntrack,
	};

	if (!plan_milestone(p, MS_NETWORK, 0, e))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (parts[i](&n, e))
			return -1;
	return 0;
}
