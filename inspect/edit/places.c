#include "inspect/edit/places.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define IN_IMAGE "t.image = :image"

/* clang-format off */
const struct place_table place_tables[] = {
	{"address", "id", "", "t.netns", IN_IMAGE, "t.prefixlen, t.ifindex, t.family",
	 {{"address", PLACE_TEXT}, {"peer", PLACE_TEXT}, {"broadcast", PLACE_TEXT}, {"anycast", PLACE_TEXT},
	  {"other", PLACE_JSON}}},
	{"route", "id", "", "t.netns", IN_IMAGE, "t.protocol, t.oif, t.type, t.family",
	 {{"dst", PLACE_TEXT}, {"src", PLACE_TEXT}, {"gateway", PLACE_TEXT}, {"via", PLACE_TEXT},
	  {"prefsrc", PLACE_TEXT}, {"multipath", PLACE_JSON}, {"other", PLACE_JSON}}},
	{"rule", "id", "", "t.netns", IN_IMAGE, "NULL",
	 {{"src", PLACE_TEXT}, {"dst", PLACE_TEXT}, {"other", PLACE_JSON}}},
	{"neighbour", "id", "", "t.netns", IN_IMAGE, "NULL",
	 {{"dst", PLACE_TEXT}, {"lladdr", PLACE_TEXT}, {"other", PLACE_JSON}}},
	{"nexthop", "id", "", "t.netns", IN_IMAGE, "NULL",
	 {{"gateway", PLACE_TEXT}, {"other", PLACE_JSON}}},
	/* of a tunnel the link-layer address is an IP address */
	{"device", "id", "", "t.netns", IN_IMAGE, "NULL",
	 {{"address", PLACE_TEXT}, {"broadcast", PLACE_TEXT}, {"alias", PLACE_NOTE}, {"attrs", PLACE_JSON}, {"port_attrs", PLACE_JSON},
	  {"other", PLACE_JSON}}},
	{"traffic_control", "id", "", "t.netns", IN_IMAGE " AND t.other IS NOT NULL",
	 "t.kind, t.info, t.handle",
	 {{"other", PLACE_JSON}}},
	/* stable_secret is written like an address and is none */
	{"sysctl", "id", "", "t.netns",
	 IN_IMAGE " AND (t.value GLOB '*.*.*.*' OR t.value GLOB '*:*:*') AND t.name NOT GLOB '*/stable_secret'",
	 "NULL", {{"value", PLACE_TEXT}}},
	{"firewall", "id", "", "t.netns", IN_IMAGE " AND t.content <> ''", "t.format",
	 {{"content", PLACE_RULESET}}},
	{"conntrack", "id", "", "t.netns", IN_IMAGE, "NULL",
	 {{"src", PLACE_TEXT}, {"dst", PLACE_TEXT}, {"reply_src", PLACE_TEXT}, {"reply_dst", PLACE_TEXT},
	  {"other", PLACE_JSON}}},
	{"socket", "id", "", "t.netns",
	 IN_IMAGE " AND (t.memberships IS NOT NULL OR t.options IS NOT NULL OR t.local_addr IS NOT NULL OR "
	 "t.peer_addr IS NOT NULL OR t.so_filter IS NOT NULL)", "NULL",
	 {{"memberships", PLACE_JSON}, {"options", PLACE_OPTIONS}, {"local_addr", PLACE_SOCKADDR},
	  {"peer_addr", PLACE_SOCKADDR}, {"so_filter", PLACE_FILTER}}},
	{"inet_socket", "socket", "JOIN socket s ON s.id = t.socket", "s.netns",
	 "s.image = :image", "s.state, s.type, s.protocol",
	 {{"src", PLACE_TEXT}, {"dst", PLACE_TEXT}}},
	{"packet_socket", "socket", "JOIN socket s ON s.id = t.socket", "s.netns", "s.image = :image AND t.mclist IS NOT NULL", "NULL",
	 {{"mclist", PLACE_JSON}}},
	{"engine_file", "id", "", "NULL", IN_IMAGE, "t.name", {{"content", PLACE_ENGINE}}},
	{0},
};
/* clang-format on */

/* All rows are read in the order of their key. Those of a few namespaces come through an index and are sorted
 * first: an update must not move a row to where it would be met again. */
static int make_select(const struct place_scope *s, const struct place_table *t, struct buf *sql,
		       struct err *e)
{
	bool is_all = !s->netns;

	if (buf_printf(sql, e, "SELECT t.%s, %s", t->key, t->netns))
		return -1;
	for (const struct place *p = t->place; p->kind; p++)
		if (buf_printf(sql, e, ", t.\"%s\"", p->column))
			return -1;
	if (buf_printf(sql, e, ", %s FROM %s AS t%s %s%s WHERE %s", t->extra, t->table,
		       is_all ? " NOT INDEXED" : "", is_all && *t->from ? "CROSS " : "", t->from,
		       t->where))
		return -1;
	for (size_t i = 0; !is_all && i < s->n_netns; i++)
		if (i ? buf_printf(sql, e, ", %" PRId64, s->netns[i])
		      : buf_printf(sql, e, " AND %s IN (%" PRId64, t->netns, s->netns[i]))
			return -1;
	return buf_printf(sql, e, "%s ORDER BY t.%s", is_all ? "" : ")", t->key);
}

struct walk {
	struct db *db;
	struct place_row row;
	struct buf out[PLACES_MAX];
	bool changed[PLACES_MAX];
	/* by the columns that change: a trigger that checks a column shall not see one that was broken before */
	struct query *update[1 << PLACES_MAX];
};

static void walk_free(struct walk *w)
{
	for (unsigned i = 0; i < PLACES_MAX; i++)
		buf_free(&w->out[i]);
	for (size_t i = 0; i < ARRAY_SIZE(w->update); i++)
		query_free(w->update[i]);
	free(w);
}

static struct query *update_of(struct walk *w, struct err *e)
{
	const struct place_table *t = w->row.t;
	auto_buf struct buf sql = {0};
	const char *sep = " SET";
	unsigned mask = 0;

	for (unsigned i = 0; i < w->row.n_places; i++)
		mask |= w->changed[i] ? 1U << i : 0;
	if (w->update[mask])
		return w->update[mask];
	if (buf_printf(&sql, e, "UPDATE %s", t->table))
		return NULL;
	for (unsigned i = 0; i < w->row.n_places; i++) {
		if (!w->changed[i])
			continue;
		if (buf_printf(&sql, e, "%s \"%s\" = :p%u", sep, t->place[i].column, i))
			return NULL;
		sep = ",";
	}
	if (buf_printf(&sql, e, " WHERE \"%s\" = :key", t->key))
		return NULL;
	w->update[mask] = query_new(w->db, (const char *)sql.data, e);
	return w->update[mask];
}

static int update_row(struct walk *w, struct err *e)
{
	struct query *q = update_of(w, e);
	char name[16];

	if (!q)
		return -1;
	for (unsigned i = 0; i < w->row.n_places; i++) {
		const struct buf *b = &w->out[i];

		snprintf(name, sizeof(name), "p%u", i);
		if (w->changed[i] &&
		    (w->row.t->place[i].kind == PLACE_SOCKADDR
			     ? query_bind_blob(q, name, b->data, b->len, e)
			     : query_bind_text(q, name, b->len ? (const char *)b->data : "", e)))
			return -1;
	}
	return query_bind_int(q, "key", w->row.key, e) || query_next(q, e) < 0 ? -1 : 0;
}

/* Give each place that is not NULL to fn and keep what it makes of it. *n: how many were replaced. */
static int look_at_row(struct walk *w, place_fn *fn, void *arg, unsigned *n, struct err *e)
{
	int rc;

	*n = 0;
	for (unsigned i = 0; i < w->row.n_places; i++) {
		w->changed[i] = false;
		if (query_is_null(w->row.q, 2 + (int)i))
			continue;
		buf_reset(&w->out[i]);
		rc = fn(arg, &w->row, i, &w->out[i], e);
		if (rc < 0)
			return -1;
		w->changed[i] = rc > 0;
		*n += rc > 0;
	}
	return 0;
}

static int walk_rows(struct walk *w, struct query *q, bool update, place_fn *fn, void *arg,
		     struct err *e)
{
	unsigned n;
	int rc;

	while ((rc = query_next(q, e)) == 1) {
		w->row.key = query_int(q, 0);
		w->row.netns = query_int(q, 1);
		if (look_at_row(w, fn, arg, &n, e) || (n && update && update_row(w, e)))
			return err_wrap(e, "%s %" PRId64, w->row.t->table, w->row.key);
	}
	return rc;
}

int places_walk(const struct place_scope *s, const struct place_table *t, bool update, place_fn *fn,
		void *arg, struct err *e)
{
	struct walk *w = calloc(1, sizeof(*w));
	auto_query struct query *q = NULL;
	auto_buf struct buf sql = {0};
	int rc = -1;

	if (!w)
		return err_set(e, ERR_NOMEM, "out of memory");
	w->db = s->db;
	w->row.t = t;
	while (t->place[w->row.n_places].kind)
		w->row.n_places++;
	if (!make_select(s, t, &sql, e) && (q = query_new(s->db, (const char *)sql.data, e)) &&
	    !query_bind_int(q, "image", s->image, e)) {
		w->row.q = q;
		rc = walk_rows(w, q, update, fn, arg, e);
	}
	walk_free(w);
	return rc;
}
