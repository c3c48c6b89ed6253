/* graph_data.c: the graph as JSON, by three selects: namespaces with what is in them, links, ends outside. */
#include "base/cleanup.h"
#include "inspect/graph.h"
#include "inspect/rows.h"
#include "inspect/sockets.h"

#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)

/* Namespaces of the graph; with :netns that one and those a device links it to. */
#define CHOSEN(alias)                                                                              \
	" (:netns = 0 OR " alias " = :netns OR EXISTS (SELECT 1 FROM device x WHERE (x.netns = "   \
	":netns AND x.peer_netns = " alias ") OR (x.netns = " alias                                \
	" AND x.peer_netns = :netns)))"

/* lo is in every namespace; only what is unusual about it says something. */
#define IS_SHOWN                                                                                   \
	"(:loopback OR d.kind IS NOT 'loopback' OR EXISTS (SELECT 1 FROM address a WHERE a.netns " \
	"= d.netns AND a.ifindex = d.ifindex AND a.address NOT IN ('127.0.0.1', '::1')))"

/* IPv6 link-local addresses follow from the MAC address and would be half of the picture. */
#define ADDRESSES                                                                                  \
	"(SELECT json_group_array(a.address || '/' || a.prefixlen) FROM address a WHERE a.netns "  \
	"= d.netns AND a.ifindex = d.ifindex AND NOT is_link_local(a.address))"

static const char netns_sql[] =
	"SELECT 'n' || n.id AS id, coalesce(n.name, 'ns' || n.ns_id) AS name, n.ino AS ino,"
	" json(CASE WHEN n.external THEN 'true' ELSE 'false' END) AS external_json, n.owner AS "
	"userns,"
	" (SELECT json_group_array(json_object('pid', t.pid, 'comm', t.comm)) FROM (SELECT pid, "
	"comm FROM task WHERE netns = n.id ORDER BY pid LIMIT " TEXT(
		GRAPH_TASKS) ") t) AS "
			     "tasks_json,"
			     " (SELECT count(*) FROM task t WHERE t.netns = n.id) AS n_tasks,"
			     " (SELECT json_group_array(json_object('id', 'd' || d.id, 'name', "
			     "d.name, 'kind', d.kind, "
			     "'up', json(CASE WHEN d.flags & 1 THEN 'true' ELSE 'false' END), "
			     "'addresses', "
			     "json(" ADDRESSES
			     "), 'vni', CASE d.kind WHEN 'vxlan' THEN d.attrs ->> 'id' END)) FROM "
			     "(SELECT * FROM device WHERE netns = n.id ORDER BY ifindex) d "
			     "WHERE " IS_SHOWN
			     ") AS devices_json, n.id AS row FROM netns n WHERE n.image = :image "
			     "AND" CHOSEN("n.id") " ORDER BY n.ns_id";

/* TCP sockets that listen, and bound ones of datagrams and raw ones, as "ss -l" has them, of IP. */
static const char listener_where[] =
	" WHERE :loopback >= 0 AND s.netns = :netns AND s.family IN (2, 10) AND (s.state = 10 OR "
	"(s.type <> 1 AND coalesce(s.state, 7) <> 1 AND (i.src_port <> 0 OR s.type = 3)))"
	" AND +s.image = :image GROUP BY 1 ORDER BY s.protocol, i.src_port";
static const char listener_holder[] =
	" || coalesce((SELECT ' ' || coalesce(t.comm, '?') || CASE WHEN t.netns <> s.netns THEN ' "
	"of ' "
	"|| coalesce(tn.name, 'ns' || tn.ns_id) ELSE '' END FROM fd f CROSS JOIN task t ON t.image "
	"= "
	"f.image AND t.files_id = f.files_id LEFT JOIN netns tn ON tn.id = t.netns WHERE f.image = "
	"s.image AND f.file_id = s.file_id ORDER BY t.pid LIMIT 1), '')";

/* Where the device that "link" means is: another namespace of the image, or the same one. */
#define LINK_NETNS "coalesce(a.peer_netns, CASE WHEN a.link_netnsid IS NULL THEN a.netns END)"
#define LINKED                                                                                     \
	"device a JOIN device b ON b.netns = " LINK_NETNS                                          \
	" AND b.ifindex = CASE a.kind WHEN 'vxlan' THEN coalesce(a.attrs ->> 'link', a.link) "     \
	"ELSE a.link END AND b.ifindex <> 0"
#define BOTH_SHOWN CHOSEN("a.netns") " AND" CHOSEN("b.netns")

/* A veth end whose other end is not among the devices of the image. */
#define IS_OUTSIDE_A                                                                               \
	" a.kind IN ('veth', 'netkit', 'vxcan') AND coalesce(a.link, 0) <> 0 AND NOT EXISTS "      \
	"(SELECT 1 FROM device b WHERE b.netns = " LINK_NETNS " AND b.ifindex = a.link)"

static const char edge_sql[] =
	/* a pair is one edge, from the older end; where only one end knows the other, from that one */
	"SELECT 'd' || a.id AS \"from\", 'd' || b.id AS \"to\", 'veth' AS kind, NULL AS label"
	" FROM " LINKED
	" WHERE a.image = :image AND a.kind IN ('veth', 'netkit', 'vxcan') AND a.id "
	"<> b.id AND (a.id < b.id OR NOT EXISTS (SELECT 1 FROM device c WHERE c.id = b.id AND "
	"c.link "
	"= a.ifindex AND coalesce(c.peer_netns, CASE WHEN c.link_netnsid IS NULL THEN c.netns END) "
	"= "
	"a.netns)) AND" BOTH_SHOWN
	" UNION ALL SELECT 'd' || a.id, 'd' || b.id, 'port', b.kind FROM device a JOIN device b ON "
	"b.netns = a.netns AND b.ifindex = a.master WHERE a.image = :image AND" CHOSEN(
		"a.netns") " UNION ALL SELECT 'd' || a.id, 'd' || b.id, 'lower', a.kind "
			   "FROM " LINKED " WHERE a.image = :image AND a.kind NOT IN ('veth', "
			   "'netkit', 'vxcan') AND a.id <> b.id AND" BOTH_SHOWN
			   /* the other end of a tunnel has the address we send to, or is in the same group */
			   " UNION ALL SELECT DISTINCT 'd' || a.id, 'd' || b.id, 'vxlan', 'vni ' "
			   "|| (a.attrs ->> 'id')"
			   " FROM device a JOIN device b ON b.image = a.image AND b.kind = 'vxlan' "
			   "AND b.id <> a.id AND "
			   "b.attrs ->> 'id' = a.attrs ->> 'id' WHERE a.image = :image AND a.kind "
			   "= 'vxlan' AND (EXISTS "
			   "(SELECT 1 FROM address x WHERE x.netns = b.netns AND x.address IN "
			   "(a.attrs ->> 'group', "
			   "a.attrs ->> 'group6')) AND (a.id < b.id OR NOT EXISTS (SELECT 1 FROM "
			   "address x WHERE x.netns "
			   "= a.netns AND x.address IN (b.attrs ->> 'group', b.attrs ->> "
			   "'group6'))) OR (a.id < b.id AND "
			   "is_multicast(a.attrs ->> 'group') AND b.attrs ->> 'group' = a.attrs "
			   "->> 'group')) AND" BOTH_SHOWN
			   " UNION ALL SELECT 'd' || a.id, 'o' || a.id, 'peer', a.kind FROM device "
			   "a WHERE a.image = "
			   ":image AND" IS_OUTSIDE_A " AND" CHOSEN("a.netns") " AND :loopback >= 0";

static const char outside_sql[] =
	"SELECT 'o' || a.id AS id, coalesce((SELECT coalesce(p.name, 'ns' || p.ns_id) FROM netns p "
	"WHERE p.id = a.peer_netns), CASE WHEN a.link_netnsid IS NULL THEN 'outside' ELSE 'nsid ' "
	"|| "
	"a.link_netnsid END) || ' if' || a.link AS name FROM device a WHERE a.image = :image "
	"AND" IS_OUTSIDE_A " AND" CHOSEN("a.netns") " AND :loopback >= 0 ORDER BY a.id";

static int bind(struct query *q, int64_t image, int64_t netns, const struct graph_opts *o,
		struct err *e)
{
	return query_bind_int(q, "image", image, e) || query_bind_int(q, "netns", netns, e) ||
			       query_bind_int(q, "loopback", o->loopback, e)
		       ? -1
		       : 0;
}

static int load(struct db *db, int64_t image, const struct graph_opts *o, const char *sql,
		struct json *list, struct err *e)
{
	auto_query struct query *q = query_new(db, sql, e);
	int rc;

	if (!q || bind(q, image, o->netns, o, e))
		return -1;
	while ((rc = query_next(q, e)) == 1)
		if (json_push(list, rows_object(q, e), e))
			return -1;
	return rc;
}

static struct query *listeners_query(struct db *db, struct err *e)
{
	auto_buf struct buf sql = {0};

	if (buf_add_str(&sql, "SELECT ", e) || sockets_column(&sql, "netid", e) ||
	    buf_add_str(&sql, " || ' ' || ", e) || sockets_column(&sql, "local", e) ||
	    buf_printf(&sql, e, "%s FROM socket s%s%s", listener_holder, sockets_joins,
		       listener_where))
		return NULL;
	return query_new(db, (const char *)sql.data, e);
}

static int add_listeners(struct query *q, struct json *netns, int64_t row, int64_t image,
			 const struct graph_opts *o, struct err *e)
{
	struct json *list = json_new_array();
	int64_t n = 0;
	int rc;

	if (json_set(netns, "listeners", list, e))
		return -1;
	if (!o->listeners)
		return json_set(netns, "n_listeners", json_new_int(0), e);
	if (bind(q, image, row, o, e))
		return -1;
	while ((rc = query_next(q, e)) == 1)
		if (n++ < GRAPH_LISTENERS && json_push(list, json_new_str(query_text(q, 0)), e))
			return -1;
	return rc || json_set(netns, "n_listeners", json_new_int(n), e) ? -1 : 0;
}

static int load_netns(struct db *db, int64_t image, const struct graph_opts *o, struct json *list,
		      struct err *e)
{
	auto_query struct query *q = query_new(db, netns_sql, e);
	auto_query struct query *sockets = q ? listeners_query(db, e) : NULL;
	int rc;

	if (!sockets || bind(q, image, o->netns, o, e))
		return -1;
	while ((rc = query_next(q, e)) == 1) {
		struct json *row = rows_object(q, e);

		if (json_push(list, row, e))
			return -1;
		json_unset(row, "row");
		if (add_listeners(sockets, row, query_int(q, query_n_columns(q) - 1), image, o, e))
			return -1;
	}
	return rc;
}

struct json *graph_data(struct db *db, int64_t image, const struct graph_opts *o, struct err *e)
{
	auto_json struct json *g = json_new_object();
	struct json *netns = json_new_array(), *edges = json_new_array(),
		    *outside = json_new_array();

	if (json_set(g, "netns", netns, e) || json_set(g, "edges", edges, e) ||
	    json_set(g, "outside", outside, e) || load_netns(db, image, o, netns, e) ||
	    load(db, image, o, edge_sql, edges, e) || load(db, image, o, outside_sql, outside, e))
		return NULL;
	return take_ptr(g);
}
