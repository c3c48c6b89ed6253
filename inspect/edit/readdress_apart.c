/* readdress of some namespaces only: what of the others was the other side of what changes, and is not any more. */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "inspect/edit/readdress.h"

enum { SAY_MAX = 20 }; /* pairs of a kind that are named one by one; more are counted */

/* An IPv4 address written as IPv6 as what it is. */
#define PLAIN(column) "iif(" column " LIKE '::ffff:%.%', substr(" column ", 8), " column ")"

#define ENDS                                                                                       \
	" FROM socket s JOIN inet_socket i ON i.socket = s.id JOIN inet_socket j ON j.src_port = " \
	"i.dst_port AND j.dst_port = i.src_port JOIN socket o ON o.id = j.socket WHERE s.image = " \
	":image AND o.image = :image AND s.type = o.type AND s.protocol = o.protocol AND "         \
	"i.dst_port > 0 AND " PLAIN("i.src") " = " PLAIN("j.dst") " AND " PLAIN(                   \
		"i.dst") " = " PLAIN("j.src")

/* of: id, image, netns and gw of what has gateways */
#define GATEWAYS_OF(of)                                                                            \
	" FROM (" of ") AS g JOIN address a ON a.address = g.gw WHERE g.image = :image AND "       \
	"a.image = :image"
#define GATEWAYS                                                                                   \
	GATEWAYS_OF("SELECT id, image, netns, gateway AS gw FROM route WHERE gateway IS NOT NULL " \
		    "UNION ALL SELECT id, image, netns, via FROM route WHERE via IS NOT NULL "     \
		    "UNION ALL SELECT r.id, r.image, r.netns, coalesce(h.value ->> 'gateway', "    \
		    "h.value ->> 'via') FROM route r, json_each(r.multipath) h WHERE r.multipath " \
		    "IS NOT NULL")
#define NEXTHOPS                                                                                   \
	GATEWAYS_OF("SELECT id, image, netns, gateway AS gw FROM nexthop WHERE gateway IS NOT "    \
		    "NULL")

#define IN_LIST(column) column " IN (SELECT value FROM json_each(:list))"

/* Another address of that name which does as the route does: the route is about that one. */
#define NO_OTHER(in_list)                                                                          \
	" AND NOT EXISTS (SELECT 1 FROM address b WHERE b.image = :image AND b.address = g.gw "    \
	"AND " in_list ")"

/* A table with gateways: one that changes, and one whose gateway changes. */
#define LEADS(table, gateways)                                                                     \
	{table, "address",                                                                         \
	 "SELECT DISTINCT g.id, a.id" gateways                                                     \
	 " AND " IN_LIST("g.netns") " AND NOT " IN_LIST("a.netns") NO_OTHER(IN_LIST("b.netns")),   \
	 "SELECT 1" gateways " AND g.id = :changed AND a.id = :stays",                             \
	 "was the gateway of %s: its namespace is not among those that were named"},               \
	{                                                                                          \
		"address", table,                                                                  \
			"SELECT DISTINCT a.id, g.id" gateways                                      \
			" AND " IN_LIST("a.netns") " AND NOT " IN_LIST("g.netns")                  \
				NO_OTHER("NOT " IN_LIST("b.netns")),                               \
			"SELECT 1" gateways " AND a.id = :changed AND g.id = :stays",              \
			"its gateway is %s now: its namespace is not among those that were named"  \
	}

static const struct apart_kind {
	const char *changed, *stays; /* tables */
	const char *find;            /* rows of both, of which one is in the list */
	const char *is_still;        /* the same of one pair */
	const char *reason;
} kinds[] = {
	{"socket", "socket",
	 "SELECT s.id, o.id" ENDS " AND " IN_LIST("s.netns") " AND NOT " IN_LIST("o.netns"),
	 "SELECT 1" ENDS " AND s.id = :changed AND o.id = :stays",
	 "its other end is %s now: its namespace is not among those that were named"},
	LEADS("route", GATEWAYS),
	LEADS("nexthop", NEXTHOPS),
};
static_assert(ARRAY_SIZE(kinds) == APART_KINDS, "a list for each");

static int find_pairs(struct edit *x, const struct apart_kind *k, const struct buf *list,
		      struct edit_ids *pairs, struct err *e)
{
	auto_query struct query *q = query_new(edit_db(x), k->find, e);
	int rc;

	if (!q || query_bind_int(q, "image", edit_image(x), e) ||
	    query_bind_text(q, "list", (const char *)list->data, e))
		return -1;
	while ((rc = query_next(q, e)) == 1)
		if (edit_ids_add(pairs, query_int(q, 0), e) ||
		    edit_ids_add(pairs, query_int(q, 1), e))
			return -1;
	return rc;
}

int apart_find(struct edit *x, const struct readdress_opts *o, struct apart *a, struct err *e)
{
	auto_buf struct buf list = {0};

	for (size_t i = 0; i < o->n_netns; i++)
		if (buf_printf(&list, e, "%s%" PRId64, i ? "," : "[", o->netns[i]))
			return -1;
	if (!list.len)
		return 0;
	if (buf_add_str(&list, "]", e))
		return -1;
	for (size_t i = 0; i < APART_KINDS; i++)
		if (find_pairs(x, &kinds[i], &list, &a->pairs[i], e))
			return -1;
	return 0;
}

static int say_pair(struct edit *x, const struct apart_kind *k, int64_t changed, int64_t stays,
		    struct err *e)
{
	auto_buf struct buf object = {0}, other = {0}, reason = {0};
	const char *gap = strstr(k->reason, "%s");

	return edit_name(x, k->stays, stays, &object, e) ||
			       edit_name(x, k->changed, changed, &other, e) ||
			       buf_printf(&reason, e, "%.*s%s%s", (int)(gap - k->reason), k->reason,
					  (const char *)other.data, gap + 2) ||
			       edit_left(x, e, (const char *)object.data, "%s",
					 (const char *)reason.data)
		       ? -1
		       : 0;
}

static int say_kind(struct edit *x, const struct apart_kind *k, const struct edit_ids *pairs,
		    struct err *e)
{
	size_t n = 0;

	for (size_t i = 0; i + 1 < pairs->n; i += 2) {
		const struct edit_bind binds[] = {{"image", NULL, edit_image(x)},
						  {"changed", NULL, pairs->id[i]},
						  {"stays", NULL, pairs->id[i + 1]},
						  {0}};
		int64_t one;
		bool is_still;

		if (edit_number(x, k->is_still, binds, &one, &is_still, e) ||
		    (!is_still && n++ < SAY_MAX &&
		     say_pair(x, k, pairs->id[i], pairs->id[i + 1], e)))
			return -1;
	}
	return n > SAY_MAX ? edit_left(x, e, k->stays, "%zu more, for such reasons", n - SAY_MAX)
			   : 0;
}

int apart_say(struct edit *x, const struct apart *a, struct err *e)
{
	for (size_t i = 0; i < APART_KINDS; i++)
		if (say_kind(x, &kinds[i], &a->pairs[i], e))
			return -1;
	return 0;
}

void apart_free(struct apart *a)
{
	for (size_t i = 0; i < APART_KINDS; i++)
		edit_ids_free(&a->pairs[i]);
}
