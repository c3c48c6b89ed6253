/* What the kernel makes of an address of an interface: a route to its network, and with IPv4 to the broadcast
 * address of that (net/ipv4/fib_frontend.c fib_add_ifaddr, net/ipv6/addrconf.c addrconf_prefix_route). They
 * follow from the map when their network goes along as a whole; here is what happens to the others, an address
 * that leaves its network or comes into another one. */
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "inspect/edit/readdress.h"

enum {
	LEFT_MAX = 20, /* routes that are named one by one; more are counted */
};

void moves_free(struct moves *all)
{
	free(all->m);
	*all = (struct moves){0};
}

int moves_add(struct moves *all, const struct moved *m, struct err *e)
{
	if (all->n == all->cap) {
		size_t cap = all->cap ? all->cap * 2 : 16;
		struct moved *bigger = reallocarray(all->m, cap, sizeof(*bigger));

		if (!bigger)
			return err_set(e, ERR_NOMEM, "out of memory");
		all->m = bigger;
		all->cap = cap;
	}
	all->m[all->n++] = *m;
	return 0;
}

/* ---- destinations ---- */

static void dst_text(const struct moved *m, bool is_new, enum dst_kind kind,
		     char text[INET_PREFIX_MAX])
{
	size_t len = inet_addr_len(m->family);
	uint8_t first[16], last[16];

	inet_prefix_ends(is_new ? m->net_to : m->net_from, len, m->bits, first, last);
	inet_prefix_format(kind == DST_LAST ? last : first, len,
			   kind == DST_NET ? m->bits : (unsigned)len * 8, text);
}

static void address_text(const struct moved *m, bool is_new, char text[INET_TEXT_MAX])
{
	inet_format(is_new ? m->to : m->from, inet_addr_len(m->family), text);
}

int moves_route(const struct moves *all, int64_t netns, int64_t ifindex, const char *dst,
		const char *prefsrc, struct buf *out, struct err *e)
{
	char text[INET_PREFIX_MAX], from[INET_TEXT_MAX];

	for (size_t i = 0; i < all->n; i++) {
		const struct moved *m = &all->m[i];

		address_text(m, false, from);
		if (m->netns != netns || m->ifindex != ifindex ||
		    (prefsrc && strcmp(prefsrc, from) != 0))
			continue;
		for (enum dst_kind k = DST_NET; k < DST_COUNT; k++) {
			dst_text(m, false, k, text);
			if (strcmp(text, dst) != 0)
				continue;
			dst_text(m, true, k, text);
			return !strcmp(text, dst) ? 0 : buf_add_str(out, text, e) ? -1 : 1;
		}
	}
	return 0;
}

int moves_note_routes(struct edit *x, struct moved *m, struct err *e)
{
	char text[INET_PREFIX_MAX];
	const struct edit_bind binds[] = {
		{"netns", NULL, m->netns}, {"ifindex", NULL, m->ifindex}, {"dst", text, 0}, {0}};
	bool found;

	for (enum dst_kind k = DST_NET; k < DST_COUNT; k++) {
		dst_text(m, false, k, text);
		if (edit_number(x,
				"SELECT id FROM route WHERE netns = :netns AND oif = :ifindex AND "
				"protocol = 2 AND dst = :dst ORDER BY id",
				binds, &m->like[k], &found, e))
			return -1;
		if (!found)
			m->like[k] = 0;
	}
	return 0;
}

/* ---- afterwards ---- */

/* The addresses of an interface, in the order in which they are added. */
static const char addresses_sql[] =
	"SELECT id, address, coalesce(peer, address), prefixlen, flags, metric FROM address WHERE "
	"netns = :netns AND ifindex = :ifindex AND family = :family ORDER BY id";

/* What a network of an interface has now. */
struct network {
	char first[INET_TEXT_MAX]; /* its primary address; empty: none is left */
	int64_t metric;            /* of that, 0: none */
	bool has_prefix_route;
	struct edit_ids ids;   /* its addresses */
	struct edit_ids wrong; /* of these IFA_F_SECONDARY has to change */
};

static void network_free(struct network *n)
{
	edit_ids_free(&n->ids);
	edit_ids_free(&n->wrong);
}

static bool is_in_network(const struct query *q, const struct moved *m, const uint8_t *net)
{
	uint8_t addr[16], first[16], last[16], want[16];
	struct err ignored = ERR_INIT;
	size_t len;

	if (query_int(q, 3) != m->bits || !query_text(q, 1) || !query_text(q, 2) ||
	    inet_parse(query_text(q, 2), m->family, addr, &len, &ignored))
		return false;
	inet_prefix_ends(addr, len, m->bits, first, last);
	inet_prefix_ends(net, len, m->bits, want, last);
	return !memcmp(first, want, len);
}

static int network_read(struct edit *x, const struct moved *m, const uint8_t *net,
			struct network *n, struct err *e)
{
	auto_query struct query *q = query_new(edit_db(x), addresses_sql, e);
	int rc;

	if (!q || query_bind_int(q, "netns", m->netns, e) ||
	    query_bind_int(q, "ifindex", m->ifindex, e) ||
	    query_bind_int(q, "family", m->family, e))
		return -1;
	while ((rc = query_next(q, e)) == 1) {
		int64_t id = query_int(q, 0), flags = query_int(q, 4);

		if (!is_in_network(q, m, net))
			continue;
		/* the first is primary (net/ipv4/devinet.c __inet_insert_ifa) */
		if (edit_ids_add(&n->ids, id, e) ||
		    (m->family == AF_INET && !(flags & IFA_F_SECONDARY) != !*n->first &&
		     edit_ids_add(&n->wrong, id, e)))
			return -1;
		if (!*n->first) {
			snprintf(n->first, sizeof(n->first), "%s", query_text(q, 1));
			n->metric = query_int(q, 5);
			n->has_prefix_route = !(flags & IFA_F_NOPREFIXROUTE);
		} else if (m->family == AF_INET6) {
			n->has_prefix_route |= !(flags & IFA_F_NOPREFIXROUTE);
		}
	}
	return rc;
}

/* Which address is the primary one; the local route of each prefers that one as source. */
static int network_settle(struct edit *x, const struct network *n, struct err *e)
{
	for (size_t i = 0; i < n->wrong.n; i++) {
		const struct edit_bind binds[] = {{"id", NULL, n->wrong.id[i]}, {0}};

		if (edit_exec(x,
			      "UPDATE address SET flags = CASE flags & 1 WHEN 1 THEN flags - 1 "
			      "ELSE flags "
			      "+ 1 END WHERE id = :id",
			      binds, e))
			return -1;
	}
	for (size_t i = 0; i < n->ids.n; i++) {
		const struct edit_bind binds[] = {
			{"id", NULL, n->ids.id[i]}, {"first", n->first, 0}, {0}};

		if (edit_exec(
			    x,
			    "UPDATE route SET prefsrc = :first FROM address a WHERE a.id = :id AND "
			    "a.family = 2 AND route.netns = a.netns AND route.oif = a.ifindex AND "
			    "route.\"table\" = 255 AND route.type = 2 AND route.protocol = 2 AND "
			    "route.dst = a.address AND route.prefsrc <> :first",
			    binds, e))
			return -1;
	}
	return 0;
}

/* A network without its route gets one like that of the other network, which may be that of a third by now. */
static const char make_sql[] =
	"INSERT INTO route (image, netns, family, dst, \"table\", type, protocol, scope, tos, "
	"flags, "
	"priority, oif, prefsrc, pref, metrics) SELECT image, netns, family, :dst, \"table\", "
	"type, "
	"protocol, scope, tos, flags, CASE WHEN \"table\" = 255 THEN priority WHEN :metric > 0 "
	"THEN "
	":metric WHEN family = 10 THEN 256 END, oif, CASE family WHEN 2 THEN :first END, pref, "
	"metrics "
	"FROM route r WHERE netns = :netns AND oif = :ifindex AND protocol = 2 AND (dst = "
	":like OR id = :like_id) AND NOT "
	"EXISTS (SELECT 1 FROM route o WHERE o.netns = r.netns AND o.oif = r.oif AND o.\"table\" = "
	"r.\"table\" AND o.type = r.type AND o.protocol = 2 AND o.dst = :dst) LIMIT 1";

/* A network has one route, with its primary address. */
static const char unify_sql[] =
	"DELETE FROM route WHERE netns = :netns AND oif = :ifindex AND protocol = 2 AND dst = :dst "
	"AND "
	"EXISTS (SELECT 1 FROM route o WHERE o.netns = route.netns AND o.oif = route.oif AND "
	"o.\"table\" = route.\"table\" AND o.type = route.type AND o.protocol = 2 AND o.dst = :dst "
	"AND "
	"o.id <> route.id AND coalesce(o.prefsrc = :first, o.id < route.id)) AND "
	"coalesce(prefsrc <> :first, 1)";

static int make_routes(struct edit *x, const struct moved *m, const struct network *n, bool is_new,
		       struct err *e)
{
	char dst[INET_PREFIX_MAX], like[INET_PREFIX_MAX];
	enum { LIKE_ID = 0 };
	struct edit_bind binds[] = {{"like_id", NULL, 0},
				    {"netns", NULL, m->netns},
				    {"ifindex", NULL, m->ifindex},
				    {"dst", dst, 0},
				    {"like", like, 0},
				    {"first", n->first, 0},
				    {"metric", NULL, n->metric},
				    {0}};
	const struct edit_bind unify[] = {{"netns", NULL, m->netns},
					  {"ifindex", NULL, m->ifindex},
					  {"dst", dst, 0},
					  {"first", n->first, 0},
					  {0}};

	for (enum dst_kind k = DST_NET; k < DST_COUNT && *n->first; k++) {
		dst_text(m, is_new, k, dst);
		dst_text(m, !is_new, k, like);
		binds[LIKE_ID].num = m->like[k];
		if (!strcmp(dst, like))
			continue;
		if (((k != DST_NET || n->has_prefix_route) && edit_exec(x, make_sql, binds, e)) ||
		    edit_exec(x, unify_sql, unify, e))
			return -1;
	}
	return 0;
}

static int settle_one(struct edit *x, const struct moved *m, struct err *e)
{
	__attribute__((cleanup(network_free))) struct network was = {0}, is = {0};

	return network_read(x, m, m->net_from, &was, e) || network_read(x, m, m->net_to, &is, e) ||
			       network_settle(x, &was, e) || network_settle(x, &is, e) ||
			       make_routes(x, m, &was, false, e) || make_routes(x, m, &is, true, e)
		       ? -1
		       : 0;
}

/* Routes through an interface whose gateway was in the network of an address that left it, and is in none now. */
static int note_stranded(struct edit *x, const struct moved *m, struct edit_ids *ids, struct err *e)
{
	static const char sql[] =
		"SELECT r.id FROM route r WHERE netns = :netns AND oif = :ifindex AND NOT flags & "
		":onlink AND in_subnet(gateway, :net) AND NOT EXISTS (SELECT 1 FROM address a "
		"WHERE "
		"a.netns = r.netns AND a.ifindex = r.oif AND a.family = r.family AND "
		"in_subnet(r.gateway, coalesce(a.peer, a.address) || '/' || a.prefixlen))";
	char net[INET_PREFIX_MAX];
	const struct edit_bind binds[] = {{"netns", NULL, m->netns},
					  {"ifindex", NULL, m->ifindex},
					  {"onlink", NULL, RTNH_F_ONLINK},
					  {"net", net, 0},
					  {0}};

	dst_text(m, false, DST_NET, net);
	return edit_ids_query(x, sql, binds, ids, e);
}

static int say_stranded(struct edit *x, struct edit_ids *ids, struct err *e)
{
	auto_buf struct buf label = {0};

	edit_ids_sort(ids); /* several addresses may have left one network */
	for (size_t i = 0; i < ids->n && i < LEFT_MAX; i++)
		if (edit_name(x, "route", ids->id[i], &label, e) ||
		    edit_left(x, e, (const char *)label.data,
			      "its device has no address in the network of its gateway any more"))
			return -1;
	return ids->n <= LEFT_MAX ? 0
				  : edit_left(x, e, "route", "%zu more with such a gateway",
					      ids->n - LEFT_MAX);
}

/* Is the interface of m one of those of all, with the same family? */
static bool has_interface(const struct moves *all, const struct moved *m)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->m[i].netns == m->netns && all->m[i].ifindex == m->ifindex &&
		    all->m[i].family == m->family)
			return true;
	return false;
}

int moves_settle(struct edit *x, const struct moves *all, const struct moves *whole, struct err *e)
{
	auto_edit_ids struct edit_ids stranded = {0};

	for (size_t i = 0; i < all->n; i++)
		if (settle_one(x, &all->m[i], e))
			return -1;
	for (size_t i = 0; i < whole->n; i++)
		if (has_interface(all, &whole->m[i]) && settle_one(x, &whole->m[i], e))
			return -1;
	for (size_t i = 0; i < all->n; i++)
		if (note_stranded(x, &all->m[i], &stranded, e))
			return -1;
	return say_stranded(x, &stranded, e);
}
