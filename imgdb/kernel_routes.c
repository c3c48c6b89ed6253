#include "imgdb/kernel_routes.h"

#include <sys/socket.h>

#include "base/cleanup.h"
#include "imgdb/db_sqlite.h"
#include "imgdb/oplog.h"
#include "imgdb/reindex.h"

/* The columns of kernel_routes.sql behind the first two, as parameters. */
static const char *const texts[] = {"was", "now", "net_was", "net", "last_was", "last"};

/* edit_op.command of these edits */
#define COMMAND   "kernel-routes"

#define OF_DEVICE "netns = :netns AND oif = :ifindex AND protocol = 2"

/* Table local (255) has the address (type 2), the broadcast address (3) and, of a router, the first of a network (4). */
static const char *const follows[] = {
	"UPDATE route SET dst = :now WHERE " OF_DEVICE
	" AND \"table\" = 255 AND type = 2 AND dst = :was",
	"UPDATE route SET prefsrc = :now WHERE " OF_DEVICE " AND prefsrc = :was",
	"UPDATE route SET dst = :net WHERE " OF_DEVICE " AND type IN (1, 2) AND dst = :net_was",
	"UPDATE route SET dst = :last WHERE " OF_DEVICE " AND type = 3 AND dst = :last_was",
	"UPDATE route SET dst = prefix_first(:net) WHERE " OF_DEVICE
	" AND type = 4 AND dst = prefix_first(:net_was)",
};

int kernel_routes_are_touched(struct db *db, struct err *e)
{
	auto_query struct query *q = query_new(
		db, "SELECT 1 FROM edit_log WHERE tbl IN ('address', 'device') LIMIT 1", e);

	return q ? query_next(q, e) : -1;
}

int kernel_routes_have_moved(struct db *db, struct err *e)
{
	auto_query struct query *q = query_new(db, embed_kernel_routes_sql, e);

	return q ? query_next(q, e) : -1;
}

/* Statement sql with the parameters that it has from a row of kernel_routes.sql. */
static int follow(struct db *db, const struct query *moved, const char *sql, struct err *e)
{
	auto_query struct query *q = query_new(db, sql, e);

	if (!q || query_bind_int(q, "netns", query_int(moved, 0), e) ||
	    query_bind_int(q, "ifindex", query_int(moved, 1), e))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (query_has_param(q, texts[i]) &&
		    query_bind_text(q, texts[i], query_text(moved, (int)i + 2), e))
			return -1;
	return query_next(q, e);
}

/* The first that is left to do; each is found by the routes that it has not changed yet. */
static int follow_next(struct db *db, struct err *e)
{
	auto_query struct query *moved = query_new(db, embed_kernel_routes_sql, e);
	int got = moved ? query_next(moved, e) : -1;

	for (size_t i = 0; got == 1 && i < ARRAY_SIZE(follows); i++)
		if (follow(db, moved, follows[i], e))
			return -1;
	return got;
}

int kernel_routes_follow(struct db *db, struct err *e)
{
	int64_t op = 0, n_rows;
	int got;

	if (db_begin(db, e))
		return -1;
	got = oplog_begin(db, COMMAND, &op, e);
	if (!got)
		while ((got = follow_next(db, e)) == 1)
			;
	if (!got)
		got = oplog_end(db, op, &n_rows, e);
	return db_end(db, !got, e) ? -1 : got;
}

/* An operation that changes every place leaves routes that fit: an address that was changed and has its local route
 * again, a device with another MAC whose link-local addresses went along, tell nothing. */
int kernel_routes_are_left(struct db *db, int64_t netns, int family, struct err *e)
{
	auto_query struct query *q = query_new(
		db,
		"SELECT 1 FROM edit_log AS l WHERE ((tbl = 'device' AND (before IS NULL OR after "
		"IS NULL OR "
		"json_extract(before, '$.flags') <> json_extract(after, '$.flags') OR "
		"(:family = 10 AND json_extract(before, '$.address') IS NOT json_extract(after, "
		"'$.address') AND EXISTS (SELECT 1 FROM device d JOIN address a ON a.netns = "
		"d.netns "
		"AND a.ifindex = d.ifindex WHERE d.id = l.row AND a.address GLOB 'fe80::*ff:fe*' "
		"AND "
		"NOT EXISTS (SELECT 1 FROM edit_log o WHERE o.tbl = 'address' AND o.row = "
		"a.id))))) "
		"OR (tbl = 'address' AND "
		"json_extract(coalesce(after, before), '$.family') = :family AND "
		"NOT EXISTS (SELECT 1 FROM address a JOIN route r ON r.netns = a.netns AND r.dst = "
		"a.address AND r.\"table\" = 255 AND r.type = 2 WHERE a.id = l.row))) "
		"AND op NOT IN (SELECT id FROM edit_op WHERE command = '" REINDEX_COMMAND "') "
		"AND ("
		"json_extract(before, '$.netns') = :ns OR json_extract(after, '$.netns') = :ns OR "
		"EXISTS (SELECT 1 FROM address WHERE tbl = 'address' AND id = l.row AND "
		"netns = :ns) OR "
		"EXISTS (SELECT 1 FROM device WHERE tbl = 'device' AND id = l.row AND "
		"netns = :ns)) AND tbl IN ('device', 'address') "
		"LIMIT 1",
		e);

	return !q || query_bind_int(q, "ns", netns, e) || query_bind_int(q, "family", family, e)
		       ? -1
		       : query_next(q, e);
}

int kernel_routes_forget(struct db *db, int64_t netns, int family, struct err *e)
{
	static const char *const all[] = {
		"DELETE FROM route WHERE netns = :ns AND family = :family AND protocol = 2",
		/* IFA_F_SECONDARY; of IPv6 addresses it says that one is temporary */
		"UPDATE address SET flags = flags & ~1 WHERE netns = :ns AND family = :family AND "
		"family = 2 AND flags & 1",
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		auto_query struct query *q = query_new(db, all[i], e);

		if (!q || query_bind_int(q, "ns", netns, e) ||
		    query_bind_int(q, "family", family, e) || query_next(q, e))
			return -1;
	}
	return 0;
}
