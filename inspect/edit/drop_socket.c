/* Sockets: other ends, accepted connections, what waits in queues. */
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "inspect/edit/drop.h"

/* An address without the prefix of one that is mapped into IPv6. */
#define PLAIN(a) "CASE WHEN " a " LIKE '::ffff:%.%' THEN substr(" a ", 8) ELSE " a " END"

/* The other end of a connection in the image. Addresses of one host are the same in every namespace. */
static const char other_end_sql[] =
	"SELECT s2.id FROM socket s JOIN inet_socket i ON i.socket = s.id JOIN inet_socket i2 ON "
	"i2.src_port = i.dst_port AND i2.dst_port = i.src_port JOIN socket s2 ON s2.id = i2.socket "
	"WHERE s.id = :id AND i.dst_port <> 0 AND s2.id <> s.id AND +s2.image = s.image AND "
	"s2.type "
	"= s.type AND " PLAIN("i2.src") " = " PLAIN("i.dst") " AND " PLAIN("i2.dst") " = " PLAIN(
		"i.src") " AND (s2.netns IS s.netns OR NOT (" PLAIN("i.dst") " LIKE '127.%' OR "
									     "i.dst = '::1'))";

/* Connections that came through a listener. */
static const char accepted_sql[] =
	"SELECT s2.id FROM socket s JOIN inet_socket i ON i.socket = s.id JOIN inet_socket i2 ON "
	"i2.src_port = i.src_port AND i2.dst_port <> 0 JOIN socket s2 ON s2.id = i2.socket WHERE "
	"s.id = :id AND s.state = 10 AND s2.netns IS s.netns AND +s2.image = s.image AND s2.type = "
	"s.type AND s2.state <> 10 AND (i.src IN ('0.0.0.0', '::') OR " PLAIN("i2.src") " = " PLAIN(
		"i.src") ")";

static const char unix_peers_sql[] =
	"SELECT p.id FROM socket s JOIN unix_socket u ON u.peer = s.ino AND u.peer <> 0 JOIN "
	"socket p ON p.id = "
	"u.socket WHERE s.id = :id AND s.family = 1 AND s.ino > 0 AND +p.image = s.image AND p.id "
	"<> "
	"s.id";

/* A socket whose descriptor waits in the queue of another one. */
static const char in_flight_sql[] =
	"SELECT q.id FROM socket s JOIN socket_queue q ON q.image = s.image AND q.rights IS NOT "
	"NULL WHERE s.id = :id AND EXISTS (SELECT 1 FROM json_each(q.rights) WHERE value = "
	"s.file_id)";

/* The unix sockets that name socket :id as their other end. */
#define PEERS                                                                                      \
	"(SELECT p.id FROM socket s JOIN unix_socket u ON u.peer = s.ino AND u.peer <> 0 JOIN "    \
	"socket p ON p.id = "                                                                      \
	"u.socket WHERE s.id = :id AND s.family = 1 AND s.ino > 0 AND +p.image = s.image)"

/* The other end of a unix socket is as if this one had been closed: of a stream the kernel shuts down both
 * directions then (unix_release_sock in net/unix/af_unix.c). CRIU wants that: an end that it does not find is an
 * error, and of what is connected to nobody it makes streams only, and those only shut down (sk-unix.c). */
static int close_peers(struct edit *x, int64_t id, struct err *e)
{
	static const char *const steps[] = {
		"UPDATE socket SET state = 7 WHERE type <> 1 AND state = 1 AND id IN " PEERS,
		"UPDATE socket SET shutdown = 3 WHERE type = 1 AND state = 1 AND id IN " PEERS,
		"UPDATE unix_socket SET peer = 0 WHERE peer <> 0 AND peer = (SELECT ino FROM "
		"socket WHERE id = "
		":id AND family = 1 AND ino > 0) AND socket IN " PEERS,
	};
	const struct edit_bind binds[] = {{"id", NULL, id}, {0}};

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
		if (edit_exec(x, steps[i], binds, e))
			return -1;
	return 0;
}

static int check_in_flight(struct edit *x, int64_t id, struct err *e)
{
	const struct edit_bind binds[] = {{"id", NULL, id}, {0}};
	auto_edit_ids struct edit_ids ids = {0};
	auto_buf struct buf name = {0}, object = {0};

	if (edit_ids_query(x, in_flight_sql, binds, &ids, e))
		return -1;
	if (!ids.n)
		return 0;
	if (edit_name(x, "socket_queue", ids.id[0], &name, e) ||
	    edit_name(x, "socket", id, &object, e))
		return -1;
	return err_set(e, ERR_CONFLICT,
		       "%s cannot go: its descriptor waits in the %s (drop that socket as well, "
		       "first)",
		       (const char *)object.data, (const char *)name.data);
}

/* Sockets that belong to one that goes: by what they are found, and why they stay unless asked for. */
static const struct related {
	const char *sql, *stays;
	bool is_accepted;
} kinds[] = {
	{other_end_sql, "the other end of a dropped connection stays (--peers drops it)", false},
	{unix_peers_sql, "stays as if its other end had been closed (--peers drops it as well)",
	 false},
	{accepted_sql, "came through the dropped listener, and stays (--accepted drops it)", true},
};

static int drop_related(struct edit *x, const struct related *kind, const struct edit_ids *ids,
			const struct drop_how *how, struct err *e)
{
	const bool drop = kind->is_accepted ? how->accepted : how->peers;
	auto_buf struct buf name = {0};

	for (size_t i = 0; i < ids->n; i++) {
		if (how->going && edit_ids_has(how->going, ids->id[i]))
			continue;
		if (drop ? drop_socket(x, ids->id[i], how, e)
			 : edit_name(x, "socket", ids->id[i], &name, e) ||
				    edit_left(x, e, (const char *)name.data, "%s", kind->stays))
			return -1;
	}
	return 0;
}

/* The kernel tracks a connection on its own, and forgets it when its time is over. */
static const char tracked_sql[] =
	"SELECT c.id FROM socket s JOIN inet_socket i ON i.socket = s.id JOIN conntrack c ON "
	"c.netns = "
	"s.netns WHERE s.id = :id AND i.dst_port <> 0 AND NOT c.expect AND c.proto = s.protocol "
	"AND "
	"((c.sport = i.src_port AND c.dport = i.dst_port AND c.src = " PLAIN(
		"i.src") " AND c.dst = " PLAIN("i.dst") ") OR (c.reply_sport = i.src_port AND "
							"c.reply_dport = i.dst_port AND "
							"c.reply_src = " PLAIN(
								"i.src") " AND c.reply_dst "
									 "= " PLAIN("i.dst") "))";

static int say_tracked(struct edit *x, int64_t id, struct err *e)
{
	const struct edit_bind binds[] = {{"id", NULL, id}, {0}};
	auto_edit_ids struct edit_ids ids = {0};
	auto_buf struct buf name = {0};

	if (edit_ids_query(x, tracked_sql, binds, &ids, e))
		return -1;
	for (size_t i = 0; i < ids.n; i++)
		if (edit_name(x, "conntrack", ids.id[i], &name, e) ||
		    edit_left(x, e, (const char *)name.data,
			      "tracks the dropped connection, and stays until its time is over, as "
			      "in "
			      "a kernel (nsimg drop DB conntrack id %" PRId64 ")",
			      ids.id[i]))
			return -1;
	return 0;
}

static int drop_one(struct edit *x, int64_t id, const struct drop_how *how,
		    struct edit_ids related[ARRAY_SIZE(kinds)], struct err *e)
{
	const struct edit_bind binds[] = {{"id", NULL, id}, {0}};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (edit_ids_query(x, kinds[i].sql, binds, &related[i], e))
			return -1;
	/* gone first, so that two ends that name each other come to an end */
	if (check_in_flight(x, id, e) || say_tracked(x, id, e) ||
	    (!how->peers && close_peers(x, id, e)) ||
	    edit_exec(x, "DELETE FROM socket WHERE id = :id", binds, e))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (drop_related(x, &kinds[i], &related[i], how, e))
			return -1;
	return 0;
}

int drop_socket(struct edit *x, int64_t id, const struct drop_how *how, struct err *e)
{
	const struct edit_bind binds[] = {{"id", NULL, id}, {0}};
	struct edit_ids related[ARRAY_SIZE(kinds)] = {{0}};
	int64_t there;
	bool found;
	int rc;

	if (edit_number(x, "SELECT 1 FROM socket WHERE id = :id", binds, &there, &found, e))
		return -1;
	if (!found)
		return 0;
	rc = drop_one(x, id, how, related, e);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		edit_ids_free(&related[i]);
	return rc;
}
