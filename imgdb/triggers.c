/* The triggers of a database, as SQL text made from the list of tables: the edit log, checks that refuse an
 * edit which would damage an image, and what follows from an edit in other tables. They run in every
 * client, so they use only what plain SQLite has. While edit_state.importing is 1 they are quiet; while it is
 * 2 they only log, for undo and for scripts that replay the log, which repeat what was allowed once. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "imgdb/db_sqlite.h"

#define QUIET  TRIGGERS_QUIET
#define LOGGED "(SELECT importing FROM edit_state) <> 1"

/* Tables with an edit log. The first column is the key. */
static const char *const logged[] = {
	"userns",        "netns",
	"nsid",          "device",
	"address",       "route",
	"rule",          "neighbour",
	"nexthop",       "traffic_control",
	"sysctl",        "firewall",
	"conntrack",     "task",
	"thread",        "fd",
	"socket",        "inet_socket",
	"unix_socket",   "netlink_socket",
	"packet_socket", "tcp_stream",
	"socket_queue",  "tun_file",
	"ns_file",       "engine_file",
	"image",
};

bool triggers_is_logged(const char *table)
{
	for (size_t i = 0; i < ARRAY_SIZE(logged); i++)
		if (!strcmp(logged[i], table))
			return true;
	return false;
}

/* Evidence: what was read stays what it was. */
static const char *const frozen[] = {"image_file", "image_member", "note", "image_fact"};

static int add_frozen(struct buf *sql, struct err *e)
{
	static const char *const events[] = {"INSERT", "UPDATE", "DELETE"};

	for (size_t i = 0; i < ARRAY_SIZE(frozen); i++)
		for (size_t j = 0; j < ARRAY_SIZE(events); j++)
			if (buf_printf(sql, e,
				       "CREATE TRIGGER %s_frozen_%s BEFORE %s ON %s WHEN " QUIET
				       " BEGIN SELECT RAISE(ABORT, '%s is evidence and is not "
				       "edited'); END;\n",
				       frozen[i], events[j], events[j], frozen[i], frozen[i]))
				return -1;
	return buf_add_str(
		sql,
		"CREATE TRIGGER image_frozen_insert BEFORE INSERT ON image WHEN " QUIET
		" BEGIN SELECT RAISE(ABORT, 'image is evidence and is not edited'); END;\n"
		"CREATE TRIGGER image_frozen_delete BEFORE DELETE ON image WHEN " QUIET
		" BEGIN SELECT RAISE(ABORT, 'image is evidence and is not edited'); END;\n"
		"CREATE TRIGGER image_frozen_update BEFORE UPDATE ON image WHEN " QUIET " AND ("
		"NEW.id IS NOT OLD.id OR "
		"NEW.format IS NOT OLD.format OR "
		"NEW.source IS NOT OLD.source OR "
		"NEW.source_kind IS NOT OLD.source_kind OR "
		"NEW.evidence IS NOT OLD.evidence OR "
		"NEW.img_version IS NOT OLD.img_version OR "
		"NEW.root_pid IS NOT OLD.root_pid OR "
		"NEW.root_ns_id IS NOT OLD.root_ns_id OR "
		"NEW.host IS NOT OLD.host OR "
		"NEW.kernel IS NOT OLD.kernel OR "
		"NEW.arch IS NOT OLD.arch OR "
		"NEW.boot_id IS NOT OLD.boot_id OR "
		"NEW.dump_tool IS NOT OLD.dump_tool OR "
		"NEW.dump_target IS NOT OLD.dump_target OR "
		"NEW.dumped_at IS NOT OLD.dumped_at OR "
		"NEW.imported_at IS NOT OLD.imported_at OR "
		"NEW.imported_by IS NOT OLD.imported_by OR "
		"NEW.tool IS NOT OLD.tool"
		") BEGIN SELECT RAISE(ABORT, 'of an image only its name and its "
		"lock_method are edited'); END;\n",
		e);
}

/* ---- what follows from an edit ---- */

/* Where else than in columns of the rows of device the index of a device stands: a column, or a member of each
 * object of a JSON array, or a member of a JSON object. */
#define SOCKETS_OF "(SELECT id FROM socket WHERE " STAYS ")"
/* What does not go with a device that leaves for another namespace (importing 3) has its old index: to take the new one
 * along would bind it to whatever has that there later. */
#define STAYS      "netns = OLD.netns AND " QUIET
static const struct index_place {
	const char *table, *column, *each, *member, *of; /* of: rows of the namespace */
	const char *tree; /* members of these names, at any depth, one of which is it */
} index_places[] = {
	{"address", "ifindex", NULL, NULL, "netns = OLD.netns", NULL},
	{"route", "oif", NULL, NULL, "netns = OLD.netns", NULL},
	{"route", "iif", NULL, NULL, "netns = OLD.netns", NULL},
	{"route", "multipath", "oif", NULL, STAYS, NULL},
	{"neighbour", "ifindex", NULL, NULL, "netns = OLD.netns", NULL},
	{"neighbour", "master", NULL, NULL, "netns = OLD.netns", NULL},
	{"nexthop", "oif", NULL, NULL, "netns = OLD.netns", NULL},
	{"traffic_control", "ifindex", NULL, NULL, "netns = OLD.netns", NULL},
	{"device", "master", NULL, NULL, "netns = OLD.netns", NULL},
	{"device", "link", NULL, NULL, "peer_netns = OLD.netns", NULL},
	/* of a tunnel the device below, which is in the namespace that IFLA_LINK is about, too */
	{"device", "attrs", NULL, "link",
	 "coalesce(peer_netns, iif(link_netnsid IS NULL, netns, 0)) = OLD.netns", NULL},
	{"device", "attrs", .of = "netns = OLD.netns",
	 .tree = "'primary', 'active_slave', 'slave1', 'slave2', 'interlink'"},
	{"neighbour", "other", NULL, "via_ifindex", STAYS, NULL},
	/* mirred actions, endpoints of MPTCP, ports of mdb entries */
	{"traffic_control", "other", .of = STAYS, .tree = "'ifindex', 'if_idx'"},
	{"socket", "memberships", "ifindex", NULL, STAYS, NULL},
	{"socket", "options", NULL, "IP_UNICAST_IF", STAYS, NULL},
	{"socket", "options", NULL, "IPV6_UNICAST_IF", STAYS, NULL},
	{"socket", "options", NULL, "IPV6_MULTICAST_IF", STAYS, NULL},
	{"inet_socket", "src_scope", NULL, NULL, "socket IN " SOCKETS_OF, NULL},
	{"inet_socket", "dst_scope", NULL, NULL, "socket IN " SOCKETS_OF, NULL},
	{"packet_socket", "ifindex", NULL, NULL, "socket IN " SOCKETS_OF, NULL},
	{"packet_socket", "mclist", "index", NULL, "socket IN " SOCKETS_OF, NULL},
};

static int add_index_place(struct buf *sql, const struct index_place *p, struct err *e)
{
	if (p->tree)
		return buf_printf(sql, e,
				  " UPDATE %s SET %s = json_set(%s, (SELECT fullkey FROM "
				  "json_tree(%s) WHERE key IN (%s) AND atom = OLD.ifindex), "
				  "NEW.ifindex) WHERE %s AND EXISTS (SELECT 1 FROM json_tree(%s) "
				  "WHERE key IN (%s) AND atom = OLD.ifindex);\n",
				  p->table, p->column, p->column, p->column, p->tree, p->of,
				  p->column, p->tree);
	if (p->member)
		return buf_printf(
			sql, e,
			" UPDATE %s SET %s = json_set(%s, '$.%s', NEW.ifindex) WHERE %s AND "
			"json_extract(%s, '$.%s') = OLD.ifindex;\n",
			p->table, p->column, p->column, p->member, p->of, p->column, p->member);
	if (!p->each)
		return buf_printf(
			sql, e, " UPDATE %s SET %s = NEW.ifindex WHERE %s AND %s = OLD.ifindex;\n",
			p->table, p->column, p->of, p->column);
	/* What is no object, in a strange image, stays as it is. SQLite 3.38 to 3.40 take no aggregate of JSON in a trigger
	 * (json_functions.c), so the array is put together as text. */
	return buf_printf(
		sql, e,
		" UPDATE %s SET %s = (SELECT '[' || group_concat(CASE type WHEN 'object' THEN CASE "
		"json_extract(value, '$.%s') WHEN OLD.ifindex THEN json_set(value, '$.%s', "
		"NEW.ifindex) ELSE value END WHEN 'array' THEN value WHEN 'true' THEN 'true' WHEN "
		"'false' THEN 'false' WHEN 'null' THEN 'null' ELSE json_quote(value) END) || ']' "
		"FROM json_each(%s)) WHERE %s AND EXISTS (SELECT 1 FROM json_each(%s) WHERE CASE "
		"type WHEN 'object' THEN json_extract(value, '$.%s') = OLD.ifindex END);\n",
		p->table, p->column, p->each, p->each, p->column, p->of, p->column, p->each);
}

/* A device that gets another index takes along what names it by index. */
static int add_follow_index(struct buf *sql, struct err *e)
{
	if (buf_add_str(sql,
			"CREATE TRIGGER device_follow_ifindex AFTER UPDATE OF ifindex ON device "
			"WHEN (SELECT importing FROM edit_state) IN (0, 3, 4) AND NEW.ifindex <> "
			"OLD.ifindex BEGIN\n",
			e))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(index_places); i++)
		if (add_index_place(sql, &index_places[i], e))
			return -1;
	return buf_add_str(sql, "END;\n", e);
}

/* clang-format off */
/* The bytes of both queues of the connection that a row of socket_queue is of. */
#define QUEUES_ADD_UP(row) \
	" UPDATE tcp_stream SET inq_len = " TRIGGERS_QUEUED(row, "receive") ", outq_len = " \
	TRIGGERS_QUEUED(row, "send") ", unsq_len = min(unsq_len, " TRIGGERS_QUEUED(row, "send") \
	") WHERE image = " row ".image AND ino = " row ".ino;\n"

static const char follows[] =
	/* what is gone takes along what cannot be without it */
	"CREATE TRIGGER device_follow_delete AFTER DELETE ON device WHEN " QUIET " BEGIN\n"
	" DELETE FROM address WHERE netns = OLD.netns AND ifindex = OLD.ifindex;\n"
	" DELETE FROM route WHERE netns = OLD.netns AND oif = OLD.ifindex;\n"
	" DELETE FROM neighbour WHERE netns = OLD.netns AND ifindex = OLD.ifindex;\n"
	" DELETE FROM nexthop WHERE netns = OLD.netns AND oif = OLD.ifindex;\n"
	" DELETE FROM traffic_control WHERE netns = OLD.netns AND ifindex = OLD.ifindex;\n"
	" DELETE FROM sysctl WHERE netns = OLD.netns AND file IS OLD.file AND rec IS OLD.rec;\n"
	"END;\n"
	"CREATE TRIGGER socket_follow_delete AFTER DELETE ON socket WHEN " QUIET " BEGIN\n"
	" DELETE FROM inet_socket WHERE socket = OLD.id;\n"
	" DELETE FROM unix_socket WHERE socket = OLD.id;\n"
	" DELETE FROM netlink_socket WHERE socket = OLD.id;\n"
	" DELETE FROM packet_socket WHERE socket = OLD.id;\n"
	" DELETE FROM fd WHERE image = OLD.image AND file_id = OLD.file_id;\n"
	" DELETE FROM tcp_stream WHERE image = OLD.image AND ino = OLD.ino;\n"
	" DELETE FROM socket_queue WHERE image = OLD.image AND (file_id = OLD.file_id OR ino = "
	"OLD.ino);\n"
	"END;\n"
	/* how many bytes wait the record of the connection says, too; those not sent are the last of the others */
	"CREATE TRIGGER socket_queue_follow_delete AFTER DELETE ON socket_queue WHEN " QUIET
	" AND OLD.direction <> 'packet' BEGIN\n" QUEUES_ADD_UP("OLD") "END;\n"
	"CREATE TRIGGER socket_queue_follow_update AFTER UPDATE OF data, length, direction ON socket_queue WHEN " QUIET
	" AND 'packet' NOT IN (OLD.direction, NEW.direction) BEGIN\n" QUEUES_ADD_UP("NEW") "END;\n"
	"CREATE TRIGGER inet_socket_keep BEFORE DELETE ON inet_socket WHEN " QUIET
	" AND EXISTS (SELECT 1 FROM socket WHERE id = OLD.socket) BEGIN\n"
	" SELECT RAISE(ABORT, 'inet_socket: goes with its socket: delete that'); END;\n"
	"CREATE TRIGGER unix_socket_keep BEFORE DELETE ON unix_socket WHEN " QUIET
	" AND EXISTS (SELECT 1 FROM socket WHERE id = OLD.socket) BEGIN\n"
	" SELECT RAISE(ABORT, 'unix_socket: goes with its socket: delete that'); END;\n"
	"CREATE TRIGGER task_keep BEFORE DELETE ON task WHEN " QUIET
	" AND (SELECT op FROM edit_state) = 0 BEGIN\n"
	" SELECT RAISE(ABORT, 'task: processes stay in an image'); END;\n"
	"CREATE TRIGGER netns_keep BEFORE DELETE ON netns WHEN " QUIET
	" AND (EXISTS (SELECT 1 FROM device WHERE netns = OLD.id) OR EXISTS (SELECT 1 FROM socket WHERE netns = OLD.id) "
	"OR EXISTS (SELECT 1 FROM task WHERE netns = OLD.id)) BEGIN\n"
	" SELECT RAISE(ABORT, 'netns: it still has devices, sockets or tasks; delete those first'); END;\n";
/* clang-format on */

/* Sysctls have the name of their device in theirs. Rules, bound sockets and tun descriptors name it; a label begins
 * with it, where there is room (IFNAMSIZ). Rulesets name it too, but that takes reading their text: nsimg rename. */
static const char *const name_places[] = {
	"UPDATE rule SET iif = NEW.name WHERE netns = OLD.netns AND iif = OLD.name",
	"UPDATE rule SET oif = NEW.name WHERE netns = OLD.netns AND oif = OLD.name",
	"UPDATE socket SET so_bound_dev = NEW.name WHERE netns = OLD.netns AND so_bound_dev = "
	"OLD.name",
	"UPDATE inet_socket SET ifname = NEW.name WHERE ifname = OLD.name AND socket "
	"IN " SOCKETS_OF,
	"UPDATE tun_file SET netdev = NEW.name WHERE netns = OLD.netns AND netdev = OLD.name",
	"UPDATE address SET label = NEW.name || substr(label, length(OLD.name) + 1) WHERE netns = "
	"OLD.netns AND (label = OLD.name OR substr(label, 1, length(OLD.name) + 1) = OLD.name || "
	"':') AND length(CAST(NEW.name || substr(label, length(OLD.name) + 1) AS BLOB)) <= 15",
};

static int add_follow_name(struct buf *sql, struct err *e)
{
	static const char *const folders[] = {
		"net/ipv4/conf/",  "net/ipv6/conf/", "net/ipv4/neigh/",
		"net/ipv6/neigh/", "net/mpls/conf/",
	};

	if (buf_add_str(sql,
			"CREATE TRIGGER device_follow_name AFTER UPDATE OF name ON device "
			"WHEN " QUIET " AND NEW.name <> OLD.name BEGIN\n",
			e))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		if (buf_printf(
			    sql, e,
			    " UPDATE sysctl SET name = '%s' || NEW.name || substr(name, %zu + "
			    "length(OLD.name)) WHERE netns = OLD.netns AND substr(name, 1, %zu + "
			    "length(OLD.name)) = '%s' || OLD.name || '/';\n",
			    folders[i], strlen(folders[i]) + 1, strlen(folders[i]) + 1, folders[i]))
			return -1;
	for (size_t i = 0; i < ARRAY_SIZE(name_places); i++)
		if (buf_printf(sql, e, " %s;\n", name_places[i]))
			return -1;
	return buf_add_str(sql, "END;\n", e);
}

/* The MTU of IPv6 is that of its device (addrconf_notify() in net/ipv6/addrconf.c), or less when it was set by
 * hand, never more; a device below 1280 has no IPv6. */
static const char follow_mtu[] =
	"CREATE TRIGGER device_follow_mtu AFTER UPDATE OF mtu ON device WHEN " QUIET
	" AND NEW.mtu <> OLD.mtu AND NEW.mtu >= 1280 BEGIN\n"
	" UPDATE sysctl SET value = CAST(NEW.mtu AS TEXT) WHERE netns = NEW.netns AND name = "
	"'net/ipv6/conf/' || NEW.name || '/mtu' AND (CAST(value AS INTEGER) = OLD.mtu OR "
	"CAST(value AS INTEGER) > NEW.mtu);\n"
	"END;\n";

/* ---- what nsimg alone writes ---- */

/* The log is what undo and export work from, so it stays as it is; and edit_state turns checks and log off, so no other
 * client sets it by the way. That takes saying an operation: one that has begun, as a script of the log does, or -1
 * for nobody's. */
#define LOG_STAYS   "says what was changed and stays (nsimg undo takes edits back)"
#define STATE_STAYS "nsimg sets it; edits that are not checked or not logged would damage images"
static const struct keep {
	const char *table, *event, *when, *why;
} keeps[] = {
	{"edit_log", "DELETE", QUIET, LOG_STAYS},
	{"edit_log", "UPDATE", QUIET, LOG_STAYS},
	/* log_change says the number */
	{"edit_log", "INSERT",
	 QUIET " AND NEW.id IS NOT (SELECT ifnull(max(id), 0) + 1 FROM edit_log)", LOG_STAYS},
	/* an operation that changed nothing goes by itself */
	{"edit_op", "DELETE", QUIET " AND EXISTS (SELECT 1 FROM edit_log WHERE op = OLD.id)",
	 LOG_STAYS},
	{"edit_op", "UPDATE", QUIET, LOG_STAYS},
	{"edit_op", "INSERT", QUIET " AND EXISTS (SELECT 1 FROM edit_op WHERE id = NEW.id)",
	 LOG_STAYS},
	{"edit_state", "DELETE", "1", STATE_STAYS},
	{"edit_state", "INSERT", "1", STATE_STAYS},
	{"edit_state", "UPDATE",
	 "NEW.id <> 1 OR NEW.importing NOT IN (0, 1, 2, 3, 4) OR (OLD.importing = 0 AND "
	 "NEW.importing "
	 "<> "
	 "0 AND NEW.op = 0) OR (NEW.op < 0 AND NEW.importing = 0) OR (NEW.op > 0 AND NEW.op <> "
	 "OLD.op "
	 "AND (NOT EXISTS (SELECT 1 FROM edit_op WHERE id = NEW.op) OR EXISTS (SELECT 1 FROM "
	 "edit_log "
	 "WHERE op = NEW.op)))",
	 STATE_STAYS},
};

static int add_keeps(struct buf *sql, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(keeps); i++) {
		const struct keep *k = &keeps[i];

		if (buf_printf(sql, e,
			       "CREATE TRIGGER %s_keep_%s BEFORE %s ON %s WHEN %s BEGIN SELECT "
			       "RAISE(ABORT, '%s: %s'); END;\n",
			       k->table, k->event, k->event, k->table, k->when, k->table, k->why))
			return -1;
	}
	return 0;
}

/* ---- the log ---- */

/* json_object('a', X.a, ...). A blob is no JSON, so of those it has what quote() makes. */
static int add_object(struct buf *sql, struct query *columns, const char *of, struct err *e)
{
	const char *sep = "json_object(";
	int rc;

	while ((rc = query_next(columns, e)) == 1) {
		const char *name = query_text(columns, 0);
		const bool is_blob = !strcmp(query_text(columns, 1), "BLOB");

		if (buf_printf(sql, e, "%s'%s', %s%s\"%s\"%s", sep, name,
			       is_blob ? "nullif(quote(" : "", of, name,
			       is_blob ? "), 'NULL')" : ""))
			return -1;
		sep = ", ";
	}
	return rc < 0 ? -1 : buf_add_str(sql, ")", e);
}

/* A row as it is, for the log. Written once a table and not in each trigger: SQLite parses all of it whenever a
 * database is opened. */
static int add_view(struct buf *sql, struct query *columns, const char *t, const char *key,
		    struct err *e)
{
	return buf_printf(sql, e, "CREATE VIEW %s_json AS SELECT \"%s\" AS row, ", t, key) ||
			       add_object(sql, columns, "", e) ||
			       buf_printf(sql, e, " AS json FROM %s;\n", t)
		       ? -1
		       : 0;
}

/* When the log has what of a row, which X_json finds: before is SQL that add_log_trigger() writes out for an update.
 * INSERT OR REPLACE takes a row away without any delete trigger (recursive_triggers is off in most clients), so the row
 * that is there is logged before. It stays there after INSERT OR IGNORE: 'replace' without an 'insert' or 'delete' behind
 * it means nothing. */
static const struct log_event {
	const char *action, *event, *row, *before, *after;
} log_events[] = {
	{"insert", "AFTER INSERT", "NEW", "NULL", "json"},
	{"update", "AFTER UPDATE", "NEW", NULL, "json"},
	{"delete", "BEFORE DELETE", "OLD", "json", "NULL"},
	{"replace", "BEFORE INSERT", "NEW", "json", "NULL"},
};

static int add_log_trigger(struct buf *sql, const struct log_event *x, struct query *columns,
			   const char *t, const char *key, struct err *e)
{
	return buf_printf(sql, e,
			  "CREATE TRIGGER %s_log_%s %s ON %s WHEN " LOGGED
			  " BEGIN INSERT INTO %s_change SELECT row, '%s', ",
			  t, x->action, x->event, t, t, x->action) ||
			       (x->before ? buf_add_str(sql, x->before, e)
					  : add_object(sql, columns, "OLD.", e)) ||
			       buf_printf(sql, e, ", %s FROM %s_json WHERE row = %s.%s; END;\n",
					  x->after, t, x->row, key)
		       ? -1
		       : 0;
}

/* What becomes of a row: X_changed checks it and writes the log. */
static int add_changed(struct db *db, struct buf *sql, const char *t, const char *key,
		       struct err *e)
{
	return buf_printf(sql, e,
			  "CREATE VIEW %s_change AS SELECT 0 AS row, '' AS action, '' AS before, "
			  "'' AS after;\n"
			  "CREATE TRIGGER %s_changed INSTEAD OF INSERT ON %s_change WHEN "
			  "NEW.before IS NOT NEW.after BEGIN\n",
			  t, t, t) ||
			       checks_add(db, sql, t, key, e) ||
			       buf_printf(
				       sql, e,
				       " INSERT INTO log_change VALUES ('%s', NEW.row, NEW.action, "
				       "NEW.before, NEW.after);\nEND;\n",
				       t)
		       ? -1
		       : 0;
}

static int add_log(struct db *db, struct buf *sql, const char *t, struct err *e)
{
	auto_query struct query *q =
		query_new(db, "SELECT name, type FROM pragma_table_info(:t) ORDER BY cid", e);
	char key[32];

	if (!q || query_bind_text(q, "t", t, e))
		return -1;
	if (query_next(q, e) != 1)
		return err_set(e, ERR_DB, "no table %s", t);
	snprintf(key, sizeof(key), "%s", query_text(q, 0));
	/* from the first column again; what is bound stays */
	if (query_bind_text(q, "t", t, e) || add_view(sql, q, t, key, e) ||
	    add_changed(db, sql, t, key, e))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(log_events); i++)
		if (add_log_trigger(sql, &log_events[i], q, t, key, e))
			return -1;
	return 0;
}

int triggers_make(struct db *db, struct buf *sql, struct err *e)
{
	if (add_frozen(sql, e) || buf_add_str(sql, follows, e) || add_follow_index(sql, e) ||
	    add_follow_name(sql, e) || buf_add_str(sql, follow_mtu, e) || add_keeps(sql, e) ||
	    checks_procedures(sql, e))
		return -1;
	/* of several triggers SQLite runs the one first that was made last: an edit is checked before anything follows */
	for (size_t i = 0; i < ARRAY_SIZE(logged); i++)
		if (add_log(db, sql, logged[i], e))
			return -1;
	return 0;
}
