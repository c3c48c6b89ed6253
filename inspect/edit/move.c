/* move.c: nsimg move: a device to another namespace, with all that is its own. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "inspect/commands.h"
#include "inspect/edit/edit.h"

struct move {
	struct edit *x;
	int64_t device, from, to;
	int64_t ifindex, new_ifindex;
	struct buf name;  /* of the device */
	struct buf label; /* "blue/eth0" */
	struct edit_bind binds[8];
};

static void move_free(struct move *m)
{
	buf_free(&m->name);
	buf_free(&m->label);
}

static int number(struct move *m, const char *sql, int64_t *v, bool *found, struct err *e)
{
	return edit_number(m->x, sql, m->binds, v, found, e);
}

static int steps(struct move *m, const char *const *sql, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (edit_exec(m->x, sql[i], m->binds, e))
			return -1;
	return 0;
}

/* Each row that sql finds stays where it is, for this reason. */
static int stays(struct move *m, const char *tbl, const char *sql, const char *reason,
		 struct err *e)
{
	auto_edit_ids struct edit_ids ids = {0};
	auto_buf struct buf name = {0};

	if (edit_ids_query(m->x, sql, m->binds, &ids, e))
		return -1;
	for (size_t i = 0; i < ids.n; i++)
		if (edit_name(m->x, tbl, ids.id[i], &name, e) ||
		    edit_left(m->x, e, (const char *)name.data, "%s", reason))
			return -1;
	return 0;
}

/* ---- what must be so ---- */

static int check(struct move *m, struct err *e)
{
	int64_t n;
	bool found;

	if (m->from == m->to)
		return err_set(e, ERR_USAGE, "%s is there already", (const char *)m->label.data);
	if (!strcmp((const char *)m->name.data, "lo"))
		return err_set(e, ERR_USAGE, "%s: every namespace keeps its own lo",
			       (const char *)m->label.data);
	if (number(m, "SELECT 1 FROM netns WHERE id = :to AND external", &n, &found, e))
		return -1;
	if (found)
		return err_set(e, ERR_CONFLICT,
			       "the namespace is external: what is in it is not in the image");
	if (number(m, "SELECT 1 FROM device WHERE netns = :to AND name = :name", &n, &found, e))
		return -1;
	return found ? err_set(e, ERR_CONFLICT,
			       "%s: the other namespace has a device of that name (nsimg rename "
			       "first)",
			       (const char *)m->label.data)
		     : 0;
}

/* The index may be taken there, also by a socket that knew a device which is gone. A new one is free in both
 * namespaces, since it is changed before the move. */
#define PACKET_OF                                                                                  \
	"FROM packet_socket p JOIN socket s ON s.id = p.socket WHERE p.ifindex > 0 AND s.netns "
static int choose_index(struct move *m, struct err *e)
{
	int64_t taken;
	bool found;

	m->new_ifindex = m->ifindex;
	if (number(m,
		   "SELECT 1 FROM device WHERE netns = :to AND ifindex = :ifindex UNION ALL SELECT "
		   "1 " PACKET_OF "= :to AND p.ifindex = :ifindex",
		   &taken, &found, e))
		return -1;
	return found ? number(m,
			      "SELECT max(i) + 1 FROM (SELECT ifindex AS i FROM device WHERE netns "
			      "IN (:from, :to) UNION ALL SELECT p.ifindex " PACKET_OF
			      "IN (:from, :to))",
			      &m->new_ifindex, &found, e)
		     : 0;
}

/* ---- ids of namespaces ---- */

/* The id that namespace netns has for target, made when it has none: an index into another namespace needs
 * one (IFLA_LINK_NETNSID). It goes into the record of the namespace. */
static int nsid_for(struct move *m, int64_t netns, int64_t target, int64_t *value, struct err *e)
{
	const struct edit_bind binds[] = {{"netns", NULL, netns}, {"target", NULL, target}, {0}};
	bool found;

	if (edit_number(m->x, "SELECT value FROM nsid WHERE netns = :netns AND target = :target",
			binds, value, &found, e) ||
	    found)
		return found ? 0 : -1;
	if (edit_exec(
		    m->x,
		    "INSERT INTO nsid (image, file, rec, off, netns, target, value) SELECT "
		    "n.image, "
		    "n.file, n.rec, n.off, n.id, :target, (SELECT coalesce(max(value) + 1, 0) FROM "
		    "nsid WHERE netns = :netns) FROM netns n WHERE n.id = :netns",
		    binds, e))
		return -1;
	return edit_number(m->x, "SELECT value FROM nsid WHERE netns = :netns AND target = :target",
			   binds, value, &found, e);
}

/* Set by which id a device names the namespace of what it is linked to. */
static int set_link_id(struct move *m, int64_t device, int64_t netns, int64_t target, struct err *e)
{
	int64_t value = 0;

	if (netns != target && nsid_for(m, netns, target, &value, e))
		return -1;
	const struct edit_bind binds[] = {
		{"id", NULL, device}, {"value", NULL, value}, {"target", NULL, target}, {0}};

	return edit_exec(m->x,
			 netns == target ? "UPDATE device SET peer_netns = :target, link_netnsid = "
					   "NULL WHERE id = :id"
					 : "UPDATE device SET peer_netns = :target, link_netnsid = "
					   ":value WHERE id = :id",
			 binds, e);
}

/* The other end of a pair and what is stacked on the device name it by its namespace. */
static int relink(struct move *m, struct err *e)
{
	auto_edit_ids struct edit_ids ids = {0};
	int64_t peer, netns;
	bool found;

	if (number(m, "SELECT peer_netns FROM device WHERE id = :device AND coalesce(link, 0) <> 0",
		   &peer, &found, e) ||
	    (found && set_link_id(m, m->device, m->to, peer, e)))
		return -1;
	if (!found &&
	    stays(m, "device",
		  "SELECT id FROM device WHERE id = :device AND link_netnsid IS NOT NULL",
		  "what it is linked to is outside the image; the id of that namespace is kept "
		  "as it was",
		  e))
		return -1;
	if (edit_ids_query(
		    m->x,
		    "SELECT id FROM device WHERE peer_netns = :from AND link = :new AND id <> "
		    ":device",
		    m->binds, &ids, e))
		return -1;
	for (size_t i = 0; i < ids.n; i++) {
		const struct edit_bind key[] = {{"id", NULL, ids.id[i]}, {0}};

		if (edit_number(m->x, "SELECT netns FROM device WHERE id = :id", key, &netns,
				&found, e) ||
		    set_link_id(m, ids.id[i], netns, m->to, e))
			return -1;
	}
	return 0;
}

/* ---- the move itself ---- */

/* A master and its ports are in one namespace: the kernel releases a port that leaves
 * (dev_change_net_namespace(), netdev notifiers of bridge and bonding). */
static const char *const before_steps[] = {
	/* sockets and routes over several devices stay, with the old index */
	"UPDATE edit_state SET importing = 3",
	"UPDATE device SET ifindex = :new WHERE id = :device AND ifindex <> :new",
	"UPDATE edit_state SET importing = 0",
	"UPDATE device SET master = NULL, port_kind = NULL, port_attrs = NULL WHERE id = :device "
	"AND "
	"master IS NOT NULL",
	"UPDATE device SET master = NULL, port_kind = NULL, port_attrs = NULL WHERE netns = :from "
	"AND "
	"master = :new",
	"DELETE FROM neighbour WHERE netns = :from AND (master = :new OR (ifindex = :new AND "
	"family "
	"= 7 AND master IS NOT NULL))",
	"UPDATE device SET netns = :to WHERE id = :device",
};

/* Nexthop objects keep their ids where those are free. */
static int move_nexthops(struct move *m, struct err *e)
{
	auto_edit_ids struct edit_ids ids = {0};

	if (edit_ids_query(m->x, "SELECT id FROM nexthop WHERE netns = :from AND oif = :new",
			   m->binds, &ids, e))
		return -1;
	for (size_t i = 0; i < ids.n; i++) {
		static const char *const sql[] = {
			"UPDATE route SET nh_id = :nh WHERE netns = :from AND nh_id = (SELECT "
			"nh_id "
			"FROM nexthop WHERE id = :id) AND oif IS :new",
			"UPDATE nexthop SET nh_id = :nh, netns = :to WHERE id = :id",
		};
		struct edit_bind binds[] = {{"id", NULL, ids.id[i]},       {"nh", NULL, 0},
					    {"from", NULL, m->from},       {"to", NULL, m->to},
					    {"new", NULL, m->new_ifindex}, {0}};
		bool found;

		if (edit_number(
			    m->x,
			    "SELECT CASE WHEN EXISTS (SELECT 1 FROM nexthop x WHERE x.netns = :to "
			    "AND x.nh_id = n.nh_id) THEN (SELECT max(nh_id) + 1 FROM nexthop WHERE "
			    "netns IN (:from, :to)) ELSE n.nh_id END FROM nexthop n WHERE n.id = "
			    ":id",
			    binds, &binds[1].num, &found, e))
			return -1;
		for (size_t j = 0; j < ARRAY_SIZE(sql); j++)
			if (edit_exec(m->x, sql[j], binds, e))
				return -1;
	}
	return 0;
}

/* A namespace has one route of a kind to a destination. */
static int drop_double_routes(struct move *m, struct err *e)
{
	static const char where[] = "SELECT r.id FROM route r WHERE r.netns = :from AND r.oif = "
				    ":new AND EXISTS (SELECT 1 "
				    "FROM route o WHERE o.netns = :to AND o.family = r.family AND "
				    "o.\"table\" = r.\"table\" "
				    "AND o.dst = r.dst AND o.tos = r.tos AND coalesce(o.priority, "
				    "0) = coalesce(r.priority, "
				    "0) AND (r.family = 2 OR o.oif IS r.oif))";

	if (stays(m, "route", where, "dropped: the other namespace has such a route already", e))
		return -1;
	return edit_exec(
		m->x,
		"DELETE FROM route WHERE id IN (SELECT r.id FROM route r WHERE r.netns = :from "
		"AND r.oif = :new AND EXISTS (SELECT 1 FROM route o WHERE o.netns = :to AND "
		"o.family = r.family AND o.\"table\" = r.\"table\" AND o.dst = r.dst AND o.tos = "
		"r.tos AND coalesce(o.priority, 0) = coalesce(r.priority, 0) AND (r.family = 2 "
		"OR o.oif IS r.oif)))",
		m->binds, e);
}

static const char *const after_steps[] = {
	"UPDATE address SET netns = :to WHERE netns = :from AND ifindex = :new",
	"UPDATE neighbour SET netns = :to WHERE netns = :from AND ifindex = :new",
	"UPDATE traffic_control SET netns = :to WHERE netns = :from AND ifindex = :new",
	"UPDATE route SET netns = :to WHERE netns = :from AND oif = :new",
	/* of its record, and of its own by name */
	"UPDATE sysctl SET netns = :to WHERE netns = :from AND (name GLOB 'net/ipv[46]/conf/' || "
	":glob "
	"|| '/*' OR name GLOB 'net/ipv[46]/neigh/' || :glob || '/*' OR name GLOB 'net/mpls/conf/' "
	"|| "
	":glob || '/*')",
};

/* What stays behind and knew the device. */
static int report_left(struct move *m, struct err *e)
{
	static const struct {
		const char *tbl, *sql, *reason;
	} left[] = {
		{"socket", "SELECT id FROM socket WHERE netns = :from AND so_bound_dev = :name",
		 "stays in its namespace, bound to the device that left it: a restore will fail"},
		{"socket",
		 "SELECT s.id FROM socket s JOIN packet_socket p ON p.socket = s.id WHERE s.netns "
		 "= :from AND p.ifindex = :ifindex",
		 "stays in its namespace, bound to the device that left it: a restore will fail"},
		{"socket",
		 "SELECT s.id FROM socket s WHERE s.netns = :from AND s.family IN (2, 10) AND "
		 "s.memberships IS NOT NULL AND EXISTS (SELECT 1 FROM json_each(s.memberships) "
		 "WHERE json_extract(value, '$.ifindex') = :ifindex)",
		 "stays in its namespace, a member of a multicast group on the device that left "
		 "it"},
		{"socket",
		 "SELECT s.id FROM address a JOIN inet_socket i ON i.src IN (a.address, '::ffff:' "
		 "|| "
		 "a.address) JOIN socket s ON s.id = i.socket AND s.netns = :from WHERE a.netns = "
		 ":to "
		 "AND a.ifindex = :new AND NOT EXISTS (SELECT 1 FROM address b WHERE b.netns = "
		 ":from "
		 "AND b.address = a.address)",
		 "stays in its namespace, bound to an address that left it: a restore will fail"},
		{"tun_file", "SELECT id FROM tun_file WHERE netns = :from AND netdev = :name",
		 "stays in its namespace"},
		{"device",
		 "SELECT id FROM device WHERE id <> :device AND " EDIT_ON_TOP("'vxlan'", ":from",
									      ":new"),
		 "made on the device that left, with which a kernel would delete it: drop it, or "
		 "move it as well and set its link"},
		{"traffic_control",
		 "SELECT id FROM traffic_control WHERE netns = :from AND json_extract(other, "
		 "'$.addr.if_idx') = :ifindex",
		 "an endpoint on the device that left the namespace"},
		{"rule", "SELECT id FROM rule WHERE netns = :from AND (iif = :name OR oif = :name)",
		 "names the device that left the namespace"},
		{"route",
		 "SELECT id FROM route WHERE netns = :from AND multipath IS NOT NULL AND EXISTS "
		 "(SELECT 1 FROM json_each(multipath) WHERE json_extract(value, '$.oif') = "
		 ":ifindex)",
		 "spreads over several devices, one of which left the namespace"},
		{"route",
		 "SELECT r.id FROM route r WHERE r.netns = :to AND r.oif = :new AND r.gateway IS "
		 "NOT "
		 "NULL AND r.\"table\" NOT IN (254, 255)",
		 "moved with the device; check that the rules of the namespace use its table"},
		{"firewall",
		 "SELECT id FROM firewall WHERE netns = :from AND content GLOB '*[^a-zA-Z0-9_.-]' "
		 "|| "
		 ":glob || '[^a-zA-Z0-9_.-]*'",
		 "its text names the device that left the namespace"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(left); i++)
		if (stays(m, left[i].tbl, left[i].sql, left[i].reason, e))
			return -1;
	return 0;
}

/* A name as GLOB takes it literally. */
static int glob_of(const char *name, struct buf *out, struct err *e)
{
	for (; *name; name++)
		if (strchr("*?[", *name) ? buf_printf(out, e, "[%c]", *name)
					 : buf_add(out, name, 1, e))
			return -1;
	return buf_add(out, "", 0, e);
}

static int move_device(struct move *m, struct err *e)
{
	auto_buf struct buf glob = {0};
	bool found;

	if (number(m, "SELECT netns FROM device WHERE id = :device", &m->from, &found, e) ||
	    number(m, "SELECT ifindex FROM device WHERE id = :device", &m->ifindex, &found, e) ||
	    edit_text(m->x, "SELECT name FROM device WHERE id = :device", m->binds, &m->name,
		      &found, e) ||
	    edit_name(m->x, "device", m->device, &m->label, e) ||
	    glob_of((const char *)m->name.data, &glob, e))
		return -1;
	m->binds[1] = (struct edit_bind){"from", NULL, m->from};
	m->binds[2] = (struct edit_bind){"to", NULL, m->to};
	m->binds[3] = (struct edit_bind){"ifindex", NULL, m->ifindex};
	m->binds[4] = (struct edit_bind){"name", (const char *)m->name.data, 0};
	m->binds[5] = (struct edit_bind){"glob", (const char *)glob.data, 0};
	if (check(m, e) || choose_index(m, e))
		return -1;
	m->binds[6] = (struct edit_bind){"new", NULL, m->new_ifindex};
	return steps(m, before_steps, ARRAY_SIZE(before_steps), e) || move_nexthops(m, e) ||
			       drop_double_routes(m, e) ||
			       steps(m, after_steps, ARRAY_SIZE(after_steps), e) || relink(m, e) ||
			       report_left(m, e)
		       ? -1
		       : 0;
}

int move_edit(struct edit *x, const struct cli *c, struct err *e)
{
	__attribute__((cleanup(move_free))) struct move m = {.x = x};
	const char *device = cli_arg(c, 1), *to = cli_arg(c, 2);

	/* "device" before the name, as everywhere else, is fine */
	if (cli_n_args(c) == 4) {
		if (strcmp(device, "device") != 0)
			return err_set(e, ERR_USAGE, "only devices are moved, not '%s'", device);
		device = to;
		to = cli_arg(c, 3);
	}
	if (edit_find_device(x, device, &m.device, e) || edit_find_netns(x, to, &m.to, e))
		return -1;
	m.binds[0] = (struct edit_bind){"device", NULL, m.device};
	return move_device(&m, e);
}

static const struct cli_opt options[] = {EDIT_OPTIONS, {0}};

const struct cmd cmd_move = {
	EDIT_CMD,
	.name = "move",
	.synopsis = "DB [device] [NETNS/]DEVICE NETNS",
	.summary = "a device to another namespace, with its addresses, routes and sysctls",
	.opts = options,
	.min_args = 3,
	.max_args = 4,
};
