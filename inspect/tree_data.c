#include "inspect/tree_data.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "inspect/rows.h"
#include "inspect/show.h"
#include "inspect/sockets.h"

/* The lists of one namespace, lent by the document they are part of. */
struct place {
	int64_t id;
	struct json *devices, *tasks, *threads, *sockets, *descriptors;
};

/* A task or device that later rows are added to. */
struct member {
	int64_t a, b; /* task: pid, 0; device: netns, ifindex */
	struct json *list;
};

struct members {
	struct member *at;
	size_t n, cap;
};

struct work {
	struct db *db;
	int64_t image;
	int64_t only; /* netns.id, 0: all */
	struct place *places;
	size_t n_places, cap_places;
	struct members tasks, devices;
};

static int no_memory(struct err *e)
{
	return err_set(e, ERR_NOMEM, "tree: out of memory");
}

static int cmp_place(const void *x, const void *y)
{
	const struct place *a = x, *b = y;

	return (a->id > b->id) - (a->id < b->id);
}

static int cmp_member(const void *x, const void *y)
{
	const struct member *a = x, *b = y;

	if (a->a != b->a)
		return a->a < b->a ? -1 : 1;
	return (a->b > b->b) - (a->b < b->b);
}

static struct place *place_of(const struct work *w, int64_t id)
{
	struct place want = {.id = id};

	if (!w->n_places)
		return NULL;
	return bsearch(&want, w->places, w->n_places, sizeof(want), cmp_place);
}

static int member_add(struct members *m, int64_t a, int64_t b, struct json *list, struct err *e)
{
	if (m->n == m->cap) {
		size_t cap = m->cap ? 2 * m->cap : 64;
		struct member *at = reallocarray(m->at, cap, sizeof(*at));

		if (!at)
			return no_memory(e);
		m->at = at;
		m->cap = cap;
	}
	m->at[m->n++] = (struct member){a, b, list};
	return 0;
}

static void members_sort(struct members *m)
{
	if (m->n)
		qsort(m->at, m->n, sizeof(*m->at), cmp_member);
}

static struct json *member_list(const struct members *m, int64_t a, int64_t b)
{
	struct member want = {a, b, NULL}, *found;

	found = m->n ? bsearch(&want, m->at, m->n, sizeof(want), cmp_member) : NULL;
	return found ? found->list : NULL;
}

/* Add an empty list to an object; lent, or NULL. */
static struct json *list_add(struct json *object, const char *key, struct err *e)
{
	struct json *list = json_new_array();

	return json_set(object, key, list, e) ? NULL : list;
}

typedef int row_fn(struct work *w, const struct query *q, struct json *row, struct err *e);

/* Every query of the content has :image and :netns. */
static int bind(const struct work *w, struct query *q, struct err *e)
{
	return query_bind_int(q, "image", w->image, e) || query_bind_int(q, "netns", w->only, e)
		       ? -1
		       : 0;
}

/* fn gets each row as an object, which it takes. */
static int each_row(struct work *w, const char *sql, row_fn *fn, struct err *e)
{
	auto_query struct query *q = query_new(w->db, sql, e);
	int rc;

	if (!q || bind(w, q, e))
		return -1;
	while ((rc = query_next(q, e)) == 1) {
		struct json *row = rows_object(q, e);

		if (!row || fn(w, q, row, e))
			return -1;
	}
	return rc;
}

/* Rows of a table of "nsimg show", chosen columns only. */
static int each_shown(struct work *w, const char *table, const char *columns, row_fn *fn,
		      struct err *e)
{
	const struct show_table *t = show_find(table, e);
	auto_buf struct buf sql = {0};

	if (!t || buf_printf(&sql, e, "SELECT %s FROM (", columns) ||
	    show_sql(t, NULL, w->only != 0, &sql, e) ||
	    buf_printf(&sql, e, ") WHERE %s", w->only ? "1" : ":netns = 0"))
		return -1;
	return each_row(w, (const char *)sql.data, fn, e);
}

/* The last column of these queries is the namespace's id, which is no part of the output. */
static int64_t take_netns(const struct query *q, struct json *row)
{
	int last = query_n_columns(q) - 1;

	json_unset(row, query_column_name(q, last));
	return query_is_null(q, last) ? -1 : query_int(q, last);
}

/* Put row (taken) at the end of list; a row whose namespace is not in the image has no list. */
static int push_row(struct json *list, struct json *row, struct err *e)
{
	if (list)
		return json_push(list, row, e);
	json_free(row);
	return 0;
}

static int add_device(struct work *w, const struct query *q, struct json *row, struct err *e)
{
	const struct place *p = place_of(w, take_netns(q, row));
	struct json *list = p ? list_add(row, "addresses", e) : NULL;

	if (p && (!list || member_add(&w->devices, p->id, query_int(q, 0), list, e))) {
		json_free(row);
		return -1;
	}
	return push_row(p ? p->devices : NULL, row, e);
}

static int add_address(struct work *w, const struct query *q, struct json *row, struct err *e)
{
	struct json *list = member_list(&w->devices, query_int(q, 2), query_int(q, 1));
	struct json *text = json_new_str(query_text(q, 0));

	json_free(row);
	return push_row(list, text, e);
}

static int add_task(struct work *w, const struct query *q, struct json *row, struct err *e)
{
	const struct place *p = place_of(w, take_netns(q, row));
	struct json *list = p ? list_add(row, "sockets", e) : NULL;

	if (p && (!list || member_add(&w->tasks, query_int(q, 0), 0, list, e))) {
		json_free(row);
		return -1;
	}
	return push_row(p ? p->tasks : NULL, row, e);
}

static int add_thread(struct work *w, const struct query *q, struct json *row, struct err *e)
{
	const struct place *p = place_of(w, take_netns(q, row));

	return push_row(p ? p->threads : NULL, row, e);
}

static int add_descriptor(struct work *w, const struct query *q, struct json *row, struct err *e)
{
	const struct place *p = place_of(w, take_netns(q, row));

	return push_row(p ? p->descriptors : NULL, row, e);
}

/* Row: pid, fd, socket, netns, foreign. */
static int add_holding(struct work *w, const struct query *q, struct json *row, struct err *e)
{
	struct json *list = member_list(&w->tasks, query_int(q, 0), 0);

	json_unset(row, "pid");
	return push_row(list, row, e);
}

/* A socket that no task of its own namespace holds. */
static int add_socket(struct work *w, const struct query *q, struct json *row, struct err *e)
{
	const struct place *p = place_of(w, take_netns(q, row));

	return push_row(p ? p->sockets : NULL, row, e);
}

static int place_add(struct work *w, int64_t id, struct json *netns, struct err *e)
{
	struct place p = {.id = id};

	if (w->n_places == w->cap_places) {
		size_t cap = w->cap_places ? 2 * w->cap_places : 16;
		struct place *at = reallocarray(w->places, cap, sizeof(*at));

		if (!at)
			return no_memory(e);
		w->places = at;
		w->cap_places = cap;
	}
	p.devices = list_add(netns, "devices", e);
	p.tasks = p.devices ? list_add(netns, "tasks", e) : NULL;
	p.threads = p.tasks ? list_add(netns, "threads", e) : NULL;
	p.sockets = p.threads ? list_add(netns, "sockets", e) : NULL;
	p.descriptors = p.sockets ? list_add(netns, "descriptors", e) : NULL;
	if (!p.descriptors)
		return -1;
	w->places[w->n_places++] = p;
	return 0;
}

static const char image_sql[] = "SELECT id, name, format, dumped_at AS dumped, host, kernel FROM "
				"image WHERE id = :image AND :netns >= 0";
static const char userns_sql[] =
	"SELECT ns_id, parent, owner_uid, json(CASE WHEN external THEN "
	"'true' ELSE 'false' END) AS external_json,"
	" uid_map AS uid_map_json, gid_map AS gid_map_json FROM userns "
	"WHERE image = :image AND (:netns = 0 OR ns_id IN (WITH RECURSIVE "
	"up (id) AS (SELECT owner FROM netns WHERE id = :netns UNION SELECT "
	"x.parent FROM up JOIN userns x ON x.image = :image AND x.ns_id = "
	"up.id) SELECT id FROM up)) ORDER BY ns_id";
static const char netns_sql[] =
	"SELECT ns_id, coalesce(name, 'ns' || ns_id) AS name,"
	" json(CASE WHEN external THEN 'true' ELSE 'false' END) AS external_json,"
	" json(CASE WHEN caller THEN 'true' ELSE 'false' END) AS caller_json, owner, ino, pins AS "
	"pins_json,"
	" ext_key, id AS row_id FROM netns WHERE image = :image AND (:netns = 0 OR id = :netns) "
	"ORDER BY ns_id";
static const char thread_sql[] =
	"SELECT k.pid AS pid, t.tid AS tid, t.comm AS comm, t.netns AS netns_id FROM thread t JOIN "
	"task k ON"
	" k.id = t.task WHERE t.image = :image AND t.netns IS NOT NULL AND t.netns IS NOT k.netns"
	" AND (:netns = 0 OR t.netns = :netns) ORDER BY k.pid, t.tid";
/* CLONE_NEWNET is 0x40000000 */
static const char descriptor_sql[] =
	"SELECT k.pid AS pid, k.comm AS comm, f.fd AS fd, n.id AS netns_id FROM ns_file t"
	" CROSS JOIN netns n ON n.image = t.image AND n.ns_id = t.ns_id"
	" CROSS JOIN fd f ON f.image = t.image AND f.file_id = t.file_id AND f.type = 14"
	" CROSS JOIN task k ON k.image = f.image AND k.files_id = f.files_id"
	" WHERE t.image = :image AND t.cflag = 0x40000000 AND (:netns = 0 OR n.id = :netns)"
	" ORDER BY k.pid, f.fd";

static int load_netns(struct work *w, struct json *list, struct err *e)
{
	auto_query struct query *q = query_new(w->db, netns_sql, e);
	int rc;

	if (!q || bind(w, q, e))
		return -1;
	while ((rc = query_next(q, e)) == 1) {
		struct json *row = rows_object(q, e);

		if (!row)
			return -1;
		json_unset(row, "row_id");
		if (json_push(list, row, e) ||
		    place_add(w, query_int(q, query_n_columns(q) - 1), row, e))
			return -1;
	}
	if (w->n_places)
		qsort(w->places, w->n_places, sizeof(*w->places), cmp_place);
	return rc;
}

static int load_list(struct work *w, const char *sql, struct json *list, struct err *e)
{
	auto_query struct query *q = query_new(w->db, sql, e);
	int rc;

	if (!q || bind(w, q, e))
		return -1;
	while ((rc = query_next(q, e)) == 1) {
		if (json_push(list, rows_object(q, e), e))
			return -1;
	}
	return rc;
}

#define SOCKET_TEXT                                                                                \
	"z.netid || ' ' || z.state || ' ' || z.local || CASE WHEN z.peer IN ('*', '* 0') OR "      \
	"z.peer LIKE '%:*' THEN '' ELSE ' -> ' || z.peer END AS socket"

/* Sockets from their holders: the columns of the select around, those of the select of sockets, how to get to
 * "socket s", and which. The joins are in the order that one namespace of many needs. */
static const struct {
	const char *head, *columns, *from, *where, *order;
	row_fn *fn;
} socket_parts[] = {
	/* with every task that holds it */
	{"SELECT z.pid AS pid, z.fd AS fd, " SOCKET_TEXT ", z.netns AS netns, json(CASE WHEN "
	 "z.netns_id <> z.task_netns THEN 'true' ELSE 'false' END) AS foreign_json FROM (SELECT "
	 "h.pid AS pid, f.fd AS fd, h.netns AS task_netns, ",
	 "netid state local peer netns netns_id",
	 " FROM task h CROSS JOIN fd f ON f.image = h.image AND f.files_id = h.files_id CROSS JOIN "
	 "socket s ON s.image = f.image AND s.file_id = f.file_id",
	 " WHERE h.image = :image AND (:netns = 0 OR h.netns = :netns)", ") z ORDER BY z.pid, z.fd",
	 add_holding},
	/* with its namespace, when no task there holds it */
	{"SELECT " SOCKET_TEXT ", z.netns AS netns, z.ino AS ino, z.owners AS owners_json, "
	 "z.netns_id AS netns_id FROM (SELECT ",
	 "netid state local peer netns ino owners netns_id", " FROM socket s",
	 " AND NOT EXISTS (SELECT 1 FROM fd f CROSS JOIN task h ON h.image = f.image AND "
	 "h.files_id = "
	 "f.files_id WHERE f.image = s.image AND f.file_id = s.file_id AND h.netns = s.netns)"
	 " ORDER BY n.ns_id, s.family, s.protocol, s.type, i.src_port, s.file_id",
	 ") z", add_socket},
};

static int load_sockets(struct work *w, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(socket_parts); i++) {
		auto_buf struct buf sql = {0};
		/* one namespace by its index, else all of the image */
		const char *which = i == 0    ? ""
				    : w->only ? " WHERE +s.image = :image AND s.netns = :netns"
					      : " WHERE s.image = :image AND :netns = 0";

		if (buf_add_str(&sql, socket_parts[i].head, e) ||
		    sockets_columns(&sql, socket_parts[i].columns, e) ||
		    buf_printf(&sql, e, "%s%s%s%s%s", socket_parts[i].from, sockets_joins, which,
			       socket_parts[i].where, socket_parts[i].order) ||
		    each_row(w, (const char *)sql.data, socket_parts[i].fn, e))
			return -1;
	}
	return 0;
}

static int load_content(struct work *w, struct err *e)
{
	if (each_shown(w, "devices",
		       "ifindex, name, kind, state, mtu, address, master, peer, flags, netns_id",
		       add_device, e))
		return -1;
	members_sort(&w->devices);
	if (each_shown(w, "addresses", "address, ifindex, netns_id", add_address, e) ||
	    each_shown(w, "tasks", "pid, ppid, comm, threads, netns_id", add_task, e))
		return -1;
	members_sort(&w->tasks);
	return each_row(w, thread_sql, add_thread, e) || load_sockets(w, e) ||
			       each_row(w, descriptor_sql, add_descriptor, e)
		       ? -1
		       : 0;
}

struct json *tree_data(struct db *db, int64_t image, int64_t netns, struct err *e)
{
	struct work w = {.db = db, .image = image, .only = netns};
	auto_json struct json *doc = json_new_object(), *about = json_new_array();
	struct json *list;
	int rc;

	if (!doc || load_list(&w, image_sql, about, e))
		return NULL;
	/* the one row, by way of its text, since an array lends what it holds */
	{
		auto_buf struct buf text = {0};

		if (json_print(json_at(about, 0), false, &text, e) ||
		    json_set(doc, "image", json_parse((char *)text.data, text.len, e), e))
			return NULL;
	}
	list = list_add(doc, "userns", e);
	if (!list || load_list(&w, userns_sql, list, e))
		return NULL;
	list = list_add(doc, "netns", e);
	rc = !list || load_netns(&w, list, e) || load_content(&w, e);
	free(w.places);
	free(w.tasks.at);
	free(w.devices.at);
	return rc ? NULL : take_ptr(doc);
}
