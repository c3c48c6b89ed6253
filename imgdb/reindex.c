#include "imgdb/reindex.h"

#include <stdio.h>

#include "base/cleanup.h"
#include "imgdb/oplog.h"
#include "proto/sockopt_table.h"

#define OF_SOCKETS "socket IN (SELECT id FROM socket WHERE netns = :netns)"

/* Columns. The trigger device_follow_ifindex (triggers.c) sees to those that follow the device itself; a link
 * without a namespace is one within its own. */
static const char *const columns[] = {
	"UPDATE device SET ifindex = :to WHERE netns = :netns AND ifindex = :from",
	"UPDATE device SET link = :to WHERE netns = :netns AND link = :from AND peer_netns IS NULL "
	"AND "
	"link_netnsid IS NULL",
	"UPDATE route SET iif = :to WHERE netns = :netns AND iif = :from",
	"UPDATE neighbour SET master = :to WHERE netns = :netns AND master = :from",
	"UPDATE packet_socket SET ifindex = :to WHERE ifindex = :from AND " OF_SOCKETS,
	"UPDATE inet_socket SET src_scope = :to WHERE src_scope = :from AND " OF_SOCKETS,
	"UPDATE inet_socket SET dst_scope = :to WHERE dst_scope = :from AND " OF_SOCKETS,
};

/* Members of JSON columns, at any depth. where says which rows are of the namespace. */
static const struct member {
	const char *table, *key, *column, *names, *where;
} members[] = {
	/* the device below, which is in the namespace that IFLA_LINK is about too */
	{"device", "id", "attrs", "'link'",
	 "coalesce(peer_netns, CASE WHEN link_netnsid IS NULL THEN netns END) = :netns"},
	{"device", "id", "attrs", "'primary', 'active_slave', 'slave1', 'slave2', 'interlink'",
	 "netns = :netns"},
	{"route", "id", "multipath", "'oif'", "netns = :netns"},
	{"neighbour", "id", "other", "'via_ifindex'",
	 "coalesce((SELECT target FROM nsid x WHERE x.netns = neighbour.netns AND x.value = "
	 "json_extract(other, '$.link_netnsid')), netns) = :netns"},
	/* mirred actions, endpoints of MPTCP */
	{"traffic_control", "id", "other", "'ifindex', 'if_idx'", "netns = :netns"},
	{"socket", "id", "memberships", "'ifindex'", "netns = :netns"},
	{"packet_socket", "socket", "mclist", "'index'", OF_SOCKETS},
};

/* Run the statement until it changes nothing more: each run changes one place in each row. */
static int run(struct db *db, const char *sql, const struct reindex *r, bool again, struct err *e)
{
	auto_query struct query *q = query_new(db, sql, e);
	bool any;
	int got;

	if (!q)
		return -1;
	do {
		any = false;
		if (query_bind_int(q, "netns", r->netns, e) ||
		    query_bind_int(q, "from", r->from, e) || query_bind_int(q, "to", r->to, e))
			return -1;
		while ((got = query_next(q, e)) == 1)
			any = true;
	} while (!got && any && again);
	return got;
}

static int run_member(struct db *db, const struct member *m, const struct reindex *r, struct err *e)
{
	char sql[1200];

	/* NULL and not: json_tree has no rows then */
	snprintf(sql, sizeof(sql),
		 "UPDATE %s SET %s = json_set(%s, (SELECT fullkey FROM json_tree(%s) WHERE key IN "
		 "(%s) AND "
		 "type = 'integer' AND atom = :from), :to) WHERE %s AND EXISTS (SELECT 1 FROM "
		 "json_tree(%s) WHERE key IN (%s) AND type = 'integer' AND atom = :from) RETURNING "
		 "%s",
		 m->table, m->column, m->column, m->column, m->names, m->where, m->column, m->names,
		 m->key);
	return run(db, sql, r, true, e);
}

static int run_option(struct db *db, const struct sockopt *o, const struct reindex *r,
		      struct err *e)
{
	char sql[400];

	snprintf(sql, sizeof(sql),
		 "UPDATE socket SET options = json_set(options, '$.%s', :to) WHERE netns = :netns "
		 "AND "
		 "json_extract(options, '$.%s') = :from",
		 o->name, o->name);
	return run(db, sql, r, false, e);
}

static int one(struct db *db, const struct reindex *r, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		if (run(db, columns[i], r, false, e))
			return -1;
	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		if (run_member(db, &members[i], r, e))
			return -1;
	for (size_t i = 0; i < sockopt_count(); i++)
		if ((sockopt_get(i)->flags & SOCKOPT_DEVICE) &&
		    run_option(db, sockopt_get(i), r, e))
			return -1;
	return 0;
}

int reindex(struct db *db, const struct reindex *all, size_t n, struct err *e)
{
	int64_t op = 0, n_rows;
	int ret;

	if (db_begin(db, e))
		return -1;
	ret = oplog_begin(db, REINDEX_COMMAND, &op, e);
	for (size_t i = 0; !ret && i < n; i++)
		ret = one(db, &all[i], e);
	if (!ret)
		ret = oplog_end(db, op, &n_rows, e);
	return db_end(db, !ret, e) ? -1 : ret;
}
