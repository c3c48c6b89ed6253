#include "restorer/gateway.h"

#include <linux/if_addr.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/nl.h"
#include "proto/inet.h"
#include "proto/rta.h"

/* Above it is only what ip(8) gives no number for; IP6_RT_PRIO_USER is 1024. */
#define HELPER_METRIC    1

#define LOOPBACK_IFINDEX 1 /* include/net/flow.h */

void gateways_free(struct gateways *g)
{
	free(g->all);
	*g = (struct gateways){0};
}

static bool is_link_local(const struct gateway *g)
{
	return g->family == AF_INET6 && g->addr[0] == 0xfe && (g->addr[1] & 0xc0) == 0x80;
}

bool gateway_is_looked_up(const struct gateway *g)
{
	return g->family && !g->onlink && !is_link_local(g);
}

static bool is_same(const struct gateway *a, const struct gateway *b)
{
	return a->family == b->family && a->oif == b->oif && a->table == b->table &&
	       a->onlink == b->onlink && !memcmp(a->addr, b->addr, sizeof(a->addr));
}

static int add_gateway(struct gateways *out, const struct gateway *like, uint8_t family,
		       struct span addr, struct err *e)
{
	struct gateway *grown, g = *like;

	g.family = 0;
	if (addr.len && addr.len == inet_addr_len(family)) {
		g.family = family;
		memcpy(g.addr, addr.data, addr.len);
	}
	if (!g.family && !g.oif)
		return 0;
	for (size_t i = 0; i < out->n; i++)
		if (is_same(&out->all[i], &g))
			return 0;
	grown = realloc(out->all, (out->n + 1) * sizeof(*grown));
	if (!grown)
		return err_set(e, ERR_NOMEM, "gateways");
	out->all = grown;
	grown[out->n++] = g;
	return 0;
}

/* RTA_GATEWAY is of the route's family, RTA_VIA says its own (struct rtvia). */
static int add_of_attrs(struct gateways *out, const struct gateway *like, struct span attrs,
			struct err *e)
{
	struct span via = nl_attr_data(nl_attr_find(attrs, RTA_VIA));
	uint16_t family;

	if (via.len > sizeof(family)) {
		memcpy(&family, via.data, sizeof(family));
		via.data += sizeof(family);
		via.len -= sizeof(family);
		return add_gateway(out, like, (uint8_t)family, via, e);
	}
	return add_gateway(out, like, like->family, nl_attr_data(nl_attr_find(attrs, RTA_GATEWAY)),
			   e);
}

static int add_multipath(struct gateways *out, struct gateway *like, struct span v, struct err *e)
{
	for (size_t off = 0; off + sizeof(struct rtnexthop) <= v.len;) {
		struct rtnexthop nh;
		struct span attrs;

		memcpy(&nh, v.data + off, sizeof(nh));
		if (nh.rtnh_len < sizeof(nh) || nh.rtnh_len > v.len - off)
			return err_set(e, ERR_FORMAT, "a next hop of %u bytes", nh.rtnh_len);
		attrs = (struct span){v.data + off + sizeof(nh), nh.rtnh_len - sizeof(nh)};
		like->oif = nh.rtnh_ifindex;
		like->onlink = nh.rtnh_flags & RTNH_F_ONLINK;
		if (add_of_attrs(out, like, attrs, e))
			return -1;
		off += RTNH_ALIGN(nh.rtnh_len);
	}
	return 0;
}

static int gateways_of_route(struct span msg, struct gateways *out, struct err *e)
{
	const struct nlmsghdr *h = (const struct nlmsghdr *)msg.data;
	const struct rtmsg *rtm = NLMSG_DATA(h);
	struct gateway like = {.family = rtm->rtm_family,
			       .oif = (int)rta_get_u32(msg, RTA_PATH(RTA_OIF), 0),
			       .table = rta_get_u32(msg, RTA_PATH(RTA_TABLE), rtm->rtm_table),
			       .onlink = rtm->rtm_flags & RTNH_F_ONLINK};

	if (rta_get_u32(msg, RTA_PATH(RTA_NH_ID), 0))
		return 0;
	return add_of_attrs(out, &like, nl_attrs(h, sizeof(*rtm)), e) ||
			       add_multipath(out, &like, rta_get(msg, RTA_PATH(RTA_MULTIPATH)), e)
		       ? -1
		       : 0;
}

int gateways_of(struct span msg, struct gateways *out, struct err *e)
{
	const struct nlmsghdr *h = (const struct nlmsghdr *)msg.data;
	const struct nhmsg *nhm = NLMSG_DATA(h);
	/* Of an object the kernel looks in table main, but for devices of a VRF, where main comes second
	 * (nh_create_ipv4() in net/ipv4/nexthop.c). */
	struct gateway like = {.table = RT_TABLE_MAIN};

	if (h->nlmsg_type == RTM_NEWROUTE)
		return gateways_of_route(msg, out, e);
	/* of the forwarding table of a vxlan device: an address alone */
	if (h->nlmsg_type != RTM_NEWNEXTHOP || rta_get(msg, RTA_PATH(NHA_FDB)).data)
		return 0;
	/* a blackhole is of the loopback device */
	if (rta_get(msg, RTA_PATH(NHA_BLACKHOLE)).data)
		like.oif = LOOPBACK_IFINDEX;
	like.onlink = nhm->nh_flags & RTNH_F_ONLINK;
	like.oif = (int)rta_get_u32(msg, RTA_PATH(NHA_OIF), (uint32_t)like.oif);
	return add_gateway(out, &like, nhm->nh_family, rta_get(msg, RTA_PATH(NHA_GATEWAY)), e);
}

/* A route to nothing but addr over the device of g, appended to out. */
static int add_helper(const struct gateway *g, struct span addr, uint8_t type, struct buf *out,
		      struct err *e)
{
	uint32_t table = type == RTN_LOCAL ? RT_TABLE_LOCAL : g->table;
	struct rtmsg rtm = {.rtm_family = addr.len == 4 ? AF_INET : AF_INET6,
			    .rtm_dst_len = (uint8_t)(8 * addr.len),
			    .rtm_table = table < 256 ? (uint8_t)table : RT_TABLE_UNSPEC,
			    .rtm_protocol = RTPROT_BOOT,
			    .rtm_scope = type == RTN_LOCAL ? RT_SCOPE_HOST
					 : addr.len == 4   ? RT_SCOPE_LINK
							   : RT_SCOPE_UNIVERSE,
			    .rtm_type = type};
	auto_buf struct buf msg = {0};

	if (nl_msg_begin(&msg, RTM_NEWROUTE, 0, &rtm, sizeof(rtm), e) ||
	    nl_put(&msg, RTA_DST, addr.data, addr.len, e) ||
	    nl_put_u32(&msg, RTA_TABLE, table, e) || nl_put_u32(&msg, RTA_OIF, (uint32_t)g->oif, e))
		return -1;
	/* IPv4 without a metric comes before any other, IPv6 with the lowest number. */
	if (rtm.rtm_family == AF_INET6 && nl_put_u32(&msg, RTA_PRIORITY, HELPER_METRIC, e))
		return -1;
	((struct nlmsghdr *)msg.data)->nlmsg_len = (uint32_t)msg.len;
	return buf_add(out, msg.data, msg.len, e);
}

int gateway_helpers(const struct gateways *all, struct span msg, bool early, struct buf *out,
		    struct err *e)
{
	const struct nlmsghdr *h = (const struct nlmsghdr *)msg.data;
	struct span src = rta_get(msg, RTA_PATH(RTA_PREFSRC));

	for (size_t i = 0; i < all->n; i++) {
		const struct gateway *g = &all->all[i];

		if (gateway_is_looked_up(g) &&
		    add_helper(g, (struct span){g->addr, inet_addr_len(g->family)}, RTN_UNICAST,
			       out, e))
			return -1;
	}
	if (!early || !all->n || h->nlmsg_type != RTM_NEWROUTE || src.len != 4)
		return 0;
	return add_helper(&all->all[0], src, RTN_LOCAL, out, e);
}

/* ---- what leads there ---- */

/* A prefix that leads to a device, or (rejects) nowhere. */
struct lead {
	uint8_t family, len; /* bits */
	bool rejects;
	bool own; /* it is an address */
	uint32_t table;
	uint8_t prefix[16]; /* bits beyond len are 0 */
	int oif;
};

struct reach {
	struct lead *all; /* sorted */
	size_t n, cap;
};

static int by_prefix(const void *a, const void *b)
{
	const struct lead *x = a, *y = b;

	if (x->family != y->family)
		return x->family < y->family ? -1 : 1;
	if (x->table != y->table)
		return x->table < y->table ? -1 : 1;
	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return memcmp(x->prefix, y->prefix, sizeof(x->prefix));
}

void reach_free(struct reach *r)
{
	if (r)
		free(r->all);
	free(r);
}

static int reach_add(struct reach *r, const struct lead *lead, const uint8_t addr[16],
		     struct err *e)
{
	uint8_t last[16];

	if (r->n == r->cap) {
		size_t cap = r->cap ? 2 * r->cap : 16;
		struct lead *grown = realloc(r->all, cap * sizeof(*grown));

		if (!grown)
			return err_set(e, ERR_NOMEM, "routes of a namespace");
		r->all = grown;
		r->cap = cap;
	}
	r->all[r->n] = *lead;
	inet_prefix_ends(addr, inet_addr_len(lead->family), lead->len, r->all[r->n++].prefix, last);
	return 0;
}

/* family, dst, table, oif, rejects, own. What cannot be read is the step's to complain about. */
static int add_row(struct reach *r, const struct query *q, struct err *e)
{
	struct lead lead = {.family = (uint8_t)query_int(q, 0),
			    .table = (uint32_t)query_int(q, 2),
			    .oif = (int)query_int(q, 3),
			    .rejects = query_int(q, 4) != 0,
			    .own = query_int(q, 5) != 0};
	struct err ignored = ERR_INIT;
	uint8_t addr[16] = {0};
	unsigned len;
	size_t n;

	if (query_is_null(q, 1) ||
	    inet_prefix_parse(query_text(q, 1), lead.family, addr, &n, &len, &ignored))
		return 0;
	lead.len = (uint8_t)len;
	return reach_add(r, &lead, addr, e);
}

/* Routes that the kernel makes with an address are there as long as routes are added, also those that the image does
 * not have; other rows that say so come after all routes (settle.c). */
static const char *const lead_sql[] = {
	"SELECT family, dst, \"table\", oif, type BETWEEN 6 AND 9, 0 FROM route WHERE netns = :ns "
	"AND gateway IS NULL AND via IS NULL AND multipath IS NULL AND nh_id IS NULL AND "
	"protocol <> 2 AND flags & 512 = 0 AND tos = 0 AND type IN (1, 6, 7, 8, 9)",
	"SELECT a.family, coalesce(a.peer, a.address) || '/' || a.prefixlen, 254, a.ifindex, 0, "
	"0 FROM address a JOIN device d ON d.netns = a.netns AND d.ifindex = a.ifindex "
	"WHERE a.netns = :ns AND a.flags & 512 = 0 AND d.flags & 1",
	"SELECT family, address, 255, ifindex, 0, 1 FROM address WHERE netns = :ns",
};

struct reach *reach_new(struct db *db, int64_t netns, struct err *e)
{
	struct reach *r = calloc(1, sizeof(*r));
	int got = 0;

	if (!r) {
		err_set(e, ERR_NOMEM, "routes of a namespace");
		return NULL;
	}
	for (size_t i = 0; !got && i < ARRAY_SIZE(lead_sql); i++) {
		auto_query struct query *q = query_new(db, lead_sql[i], e);

		got = q && !query_bind_int(q, "ns", netns, e) ? 0 : -1;
		while (!got && (got = query_next(q, e)) == 1)
			got = add_row(r, q, e);
	}
	if (got) {
		reach_free(r);
		return NULL;
	}
	if (r->n)
		qsort(r->all, r->n, sizeof(*r->all), by_prefix);
	return r;
}

/* The first of those with this prefix, or where it would be. */
static size_t first_of(const struct reach *r, const struct lead *key)
{
	size_t lo = 0, hi = r->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (by_prefix(&r->all[mid], key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The longest prefix of the table that leads to the device of g: 1, -1 when one that rejects is longer, 0. */
static int look_into(const struct reach *r, const struct gateway *g, uint32_t table)
{
	struct lead key = {.family = g->family, .table = table};
	size_t bytes = inet_addr_len(g->family);

	for (int len = (int)(8 * bytes); len >= 0; len--) {
		uint8_t last[16];
		bool rejects = false;

		key.len = (uint8_t)len;
		memset(key.prefix, 0, sizeof(key.prefix));
		inet_prefix_ends(g->addr, bytes, (unsigned)len, key.prefix, last);
		for (size_t i = first_of(r, &key); i < r->n && !by_prefix(&r->all[i], &key); i++) {
			if (!r->all[i].rejects && r->all[i].oif == g->oif)
				return 1;
			rejects = rejects || r->all[i].rejects;
		}
		if (rejects)
			return -1;
	}
	return 0;
}

bool reach_has(const struct reach *r, const struct gateway *g)
{
	static const uint32_t usual[] = {RT_TABLE_LOCAL, RT_TABLE_MAIN, RT_TABLE_DEFAULT};
	int found = 0;

	if (g->table != RT_TABLE_MAIN && look_into(r, g, g->table) == 1)
		return true;
	for (size_t i = 0; !found && i < ARRAY_SIZE(usual); i++)
		found = look_into(r, g, usual[i]);
	return found == 1;
}

bool reach_is_own(const struct reach *r, const struct gateway *g)
{
	struct lead key = {.family = g->family, .table = RT_TABLE_LOCAL};
	size_t bytes = inet_addr_len(g->family);
	uint8_t last[16];

	key.len = (uint8_t)(8 * bytes);
	inet_prefix_ends(g->addr, bytes, key.len, key.prefix, last);
	for (size_t i = first_of(r, &key); i < r->n && !by_prefix(&r->all[i], &key); i++)
		if (r->all[i].own && (g->family == AF_INET || r->all[i].oif == g->oif))
			return true;
	return false;
}
