/* Addresses, neighbours, next hops, routes, rules: a row is a step. */
#include "restorer/build_net.h"

#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "imgdb/kernel_routes.h"
#include "proto/inet.h"
#include "proto/rta.h"

/* One line about the object, as ip(8) would print it, for the plan. */
static int object_text(const struct net *n, int64_t netns, struct span msg, struct buf *out,
		       struct err *e)
{
	struct net_namer w = {n, netns};
	const struct restore_netns *ns = restore_netns_find(n->r, netns);

	return buf_printf(out, e, "%s ", ns->name) || rta_print(msg, net_name_of, &w, out, e) ? -1
											      : 0;
}

/* Did CRIU dump the image, which keeps no nexthop objects? 1 or 0, -1. */
static int lacks_nexthops(const struct net *n, struct err *e)
{
	auto_query struct query *q =
		query_new(n->r->db, "SELECT format = 'criu' FROM image WHERE id = :image", e);

	if (!q || query_bind_int(q, "image", n->r->image, e) || query_next(q, e) != 1)
		return -1;
	return query_int(q, 0) != 0;
}

/* Is that object in the image after all (somebody added it)? 1 or 0, -1. */
static int has_nexthop(const struct net *n, int64_t netns, uint32_t id, struct err *e)
{
	auto_query struct query *q = query_new(
		n->r->db, "SELECT 1 FROM nexthop WHERE netns = :netns AND nh_id = :id", e);

	return !q || query_bind_int(q, "netns", netns, e) || query_bind_int(q, "id", id, e)
		       ? -1
		       : query_next(q, e);
}

/* A route by a nexthop object that the image cannot have becomes a plain one: the kernel has told gateway and device with
 * it, and of a blackhole a device that such a route must not have (fib_create_info() in net/ipv4/fib_semantics.c). */
static int make_plain(struct net *n, int64_t netns, struct buf *rec, struct err *e)
{
	uint32_t id = rta_get_u32(buf_span(rec), RTA_PATH(RTA_NH_ID), 0);
	const struct rtmsg *rtm = NLMSG_DATA((struct nlmsghdr *)rec->data);
	bool is_dropped = rtm->rtm_type >= RTN_BLACKHOLE && rtm->rtm_type <= RTN_PROHIBIT &&
			  rtm->rtm_family == AF_INET;
	auto_buf struct buf text = {0};
	int has;

	if (!id)
		return 0;
	has = lacks_nexthops(n, e);
	if (has != 1)
		return has;
	has = has_nexthop(n, netns, id, e);
	if (has != 0)
		return has < 0 ? -1 : 0;
	if (rta_put(rec, RTA_PATH(RTA_NH_ID), NULL, 0, e) ||
	    (is_dropped && rta_put(rec, RTA_PATH(RTA_OIF), NULL, 0, e)) ||
	    buf_add_str(&text, "route ", e) || object_text(n, netns, buf_span(rec), &text, e))
		return -1;
	return plan_leave_out(
		n->p, e, (const char *)text.data,
		"its nexthop object %u, which CRIU does not keep; it is a plain route", id);
}

static bool has_gateways(const struct row_step *row)
{
	return !strcmp(row->kind, "route") || !strcmp(row->kind, "nexthop");
}

struct step *net_row_step(struct net *n, const struct row_step *row, struct buf *record,
			  struct err *e)
{
	auto_buf struct buf own = {0};
	auto_buf struct buf text = {0};
	struct buf *rec = record ? record : &own;
	enum milestone after = row->after, before = row->before;
	struct step *s;

	if (net_record(n, row->table, row->id, rec, e) ||
	    (!strcmp(row->table, "route") && make_plain(n, row->netns, rec, e)) ||
	    object_text(n, row->netns, buf_span(rec), &text, e))
		return NULL;
	s = plan_add_text(n->p, step_kind_find(row->kind), NULL, (const char *)text.data, e);
	if (!s || net_filter(buf_span(rec), RTA_FOR_CREATE, &s->msg, e))
		return NULL;
	s->netns = row->netns;
	s->row = row->id;
	s->num = row->num;
	if (has_gateways(row) && net_help(n, s, &after, &before, e))
		return NULL;
	return plan_after(n->p, s, after, row->netns, e) ||
			       plan_before(n->p, s, before, row->netns, e)
		       ? NULL
		       : s;
}

int net_leave_row(struct net *n, int64_t netns, const char *table, int64_t id, const char *reason,
		  struct err *e)
{
	const struct restore_netns *ns = restore_netns_find(n->r, netns);
	auto_buf struct buf rec = {0};
	auto_buf struct buf text = {0};

	if (net_record(n, table, id, &rec, e) || buf_printf(&text, e, "%s ", table) ||
	    (ns && object_text(n, netns, buf_span(&rec), &text, e)))
		return -1;
	return plan_leave_out(n->p, e, (const char *)text.data, "%s", reason);
}

/* A settle step of a namespace, type and family. */
static struct step *settle_step(struct net *n, const struct restore_netns *ns, const char *kind,
				const char *what, uint16_t type, uint8_t family, struct err *e)
{
	struct settle_data *d = calloc(1, sizeof(*d));
	struct step *s;

	if (!d) {
		err_set(e, ERR_NOMEM, "settle step");
		return NULL;
	}
	s = plan_add(n->p, step_kind_find(kind), NULL, e, "%s %s", ns->name, what);
	if (!s) {
		free(d);
		return NULL;
	}
	d->type = type;
	d->family = family;
	s->netns = ns->row;
	s->data = d;
	s->data_free = settle_data_free;
	return s;
}

/* Addresses */

/* Is it one of those that lo gets when it goes up: 127.0.0.1/8 (inetdev_event() in net/ipv4/devinet.c) and ::1/128
 * (init_loopback() in net/ipv6/addrconf.c), as the kernel makes it in every way? */
static bool comes_with_lo(struct span msg, uint32_t flags)
{
	static const uint8_t v4[] = {127, 0, 0, 1}, v6[16] = {[15] = 1};
	const struct ifaddrmsg *ifa = NLMSG_DATA((const struct nlmsghdr *)msg.data);
	bool is_v6 = ifa->ifa_family == AF_INET6, has_proto = false;
	struct span attrs = nl_attrs((const struct nlmsghdr *)msg.data, sizeof(*ifa));
	struct span own = is_v6 ? (struct span){v6, 16} : (struct span){v4, 4};
	const struct nlattr *a;
	size_t off = 0;

	if (ifa->ifa_prefixlen != (is_v6 ? 128 : 8) || ifa->ifa_scope != RT_SCOPE_HOST ||
	    flags != IFA_F_PERMANENT)
		return false;
	while ((a = nl_attr_next(attrs, &off))) {
		struct span v = nl_attr_data(a);
		struct ifa_cacheinfo cache;

		switch (a->nla_type & NLA_TYPE_MASK) {
		case IFA_LOCAL:
		case IFA_ADDRESS:
			if (v.len != own.len || memcmp(v.data, own.data, own.len))
				return false;
			break;
		case IFA_LABEL:
			if (v.len != sizeof("lo") || memcmp(v.data, "lo", v.len))
				return false;
			break;
		case IFA_CACHEINFO:
			memcpy(&cache, v.data, v.len == sizeof(cache) ? v.len : 0);
			if (v.len != sizeof(cache) || cache.ifa_prefered != UINT32_MAX ||
			    cache.ifa_valid != UINT32_MAX)
				return false;
			break;
		case IFA_PROTO:
			has_proto = v.len && v.data[0] == IFAPROT_KERNEL_LO;
			break;
		case IFA_FLAGS:
			break;
		default:
			return false;
		}
	}
	return is_v6 == has_proto;
}

static int build_address(struct net *n, const struct query *q, struct settle_data *settle,
			 struct err *e)
{
	int64_t id = query_int(q, 0), netns = query_int(q, 1), flags = query_int(q, 3);
	struct row_step row = {"address", "address", id, netns, MS_UP, MS_ADDED, flags};
	const struct dev *d = net_dev(n, netns, query_int(q, 2));
	auto_buf struct buf record = {0};
	struct step *s;

	if (query_int(q, 4) == AF_INET6 && (flags & IFA_F_TEMPORARY))
		return net_leave_row(n, netns, "address", id,
				     "a temporary address: the kernel makes a new one", e);
	if (!d)
		return net_leave_row(n, netns, "address", id, "the image has no such device", e);
	if (query_int(q, 4) == AF_INET6 && (flags & IFA_F_STABLE_PRIVACY) &&
	    net_leave_row(n, netns, "address", id,
			  "its flag stable-privacy: the kernel gives it to what it generates "
			  "itself; the address is there",
			  e))
		return -1;
	s = net_row_step(n, &row, &record, e);
	if (s && d->flags & IFF_LOOPBACK && d->flags & IFF_UP &&
	    comes_with_lo(buf_span(&s->msg), flags))
		s->num |= ADDRESS_COMES;
	return s ? settle_add(settle, buf_span(&record), buf_span(&s->msg), e) : -1;
}

/* Rows of one namespace, by an SQL text that has :ns. */
static int each_row(struct net *n, int64_t netns, const char *sql,
		    int (*fn)(struct net *n, const struct query *q, struct settle_data *settle,
			      struct err *e),
		    struct settle_data *settle, struct err *e)
{
	auto_query struct query *q = query_new(n->r->db, sql, e);
	int got;

	if (!q || query_bind_int(q, "ns", netns, e))
		return -1;
	while ((got = query_next(q, e)) == 1)
		if (fn(n, q, settle, e))
			return -1;
	return got;
}

int build_addresses(struct net *n, struct err *e)
{
	for (size_t i = 0; i < n->r->n_netns; i++) {
		const struct restore_netns *ns = &n->r->netns[i];
		struct step *s;

		if (ns->external)
			continue;
		s = settle_step(n, ns, "settle-address", "addresses", RTM_NEWADDR, AF_UNSPEC, e);
		if (!s || plan_after(n->p, s, MS_ADDED, ns->row, e) ||
		    plan_before(n->p, s, MS_ADDRESSES, ns->row, e) ||
		    each_row(n, ns->row,
			     /* The kernel puts a new IPv6 address before those of its scope
			      * (ipv6_link_dev_addr()), so the last one comes first. */
			     "SELECT id, netns, ifindex, flags, family FROM address "
			     "WHERE netns = :ns ORDER BY family, CASE family WHEN 10 THEN -id ELSE "
			     "id END",
			     build_address, s->data, e))
			return -1;
	}
	return 0;
}

/* Neighbours, fdb, next hops */

/* A link-layer address of a group, which the kernel lists for every joined group. */
static bool is_group(const char *lladdr)
{
	return lladdr && strlen(lladdr) > 1 && strchr("13579bdfBDF", lladdr[1]);
}

/* An address that a bridge receives for devices over it (macvlan) or for packet sockets: it comes with them, and who asks
 * for it gets an entry of the bridge's own table (br_fdb_add() in net/bridge/br_fdb.c). */
static bool is_received_by_bridge(const struct net *n, int64_t netns, int ifindex, int64_t flags)
{
	const struct dev *d = net_dev(n, netns, ifindex);

	return flags & NTF_SELF && d && !strcmp(d->kind, "bridge");
}

/* The entry that a vxlan device makes itself, for its remote end. It names the device below by an index, which may be one
 * of another namespace. */
static bool is_own_remote(const struct net *n, int64_t netns, int ifindex, const char *lladdr,
			  const char *dst)
{
	static const uint16_t groups[] = {IFLA_VXLAN_GROUP, IFLA_VXLAN_GROUP6};
	const struct dev *d = net_dev(n, netns, ifindex);
	char text[INET_TEXT_MAX];

	if (!d || strcmp(d->kind, "vxlan") || !lladdr || !dst ||
	    strcmp(lladdr, "00:00:00:00:00:00"))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		const uint16_t path[] = {IFLA_LINKINFO, IFLA_INFO_DATA, groups[i], 0};
		struct span remote = rta_get(buf_span(&d->record), path);

		if (remote.len && inet_format(remote.data, remote.len, text) && !strcmp(text, dst))
			return true;
	}
	return false;
}

static int build_neighbour(struct net *n, const struct query *q, struct settle_data *settle,
			   struct err *e)
{
	int64_t state = query_int(q, 3), flags = query_int(q, 4), family = query_int(q, 2);
	bool fdb = family == AF_BRIDGE, has_dst = !query_is_null(q, 5);
	bool managed = query_int(q, 8) != 0; /* NTF_EXT_MANAGED: the kernel keeps it resolved */
	struct row_step row = {"neighbour",
			       fdb ? "fdb" : "neighbour",
			       query_int(q, 0),
			       query_int(q, 1),
			       MS_ADDRESSES,
			       fdb ? MS_ROUTES : MS_DIRECT,
			       NLM_F_CREATE | NLM_F_REPLACE};

	struct step *s;

	/* What was learned is learned again (doc/volatile.md). */
	if (!(state & (NUD_PERMANENT | NUD_NOARP)) && !(flags & (NTF_PROXY | NTF_EXT_LEARNED)) &&
	    !managed)
		return 0;
	if (fdb && !has_dst && (flags & NTF_SELF) && is_group(query_text(q, 6)))
		return 0;
	if (fdb && is_received_by_bridge(n, query_int(q, 1), (int)query_int(q, 9), flags))
		return 0;
	if (fdb && is_own_remote(n, query_int(q, 1), (int)query_int(q, 9), query_text(q, 6),
				 query_text(q, 5)))
		return 0;
	if (fdb)
		row.num = has_dst ? NLM_F_CREATE | NLM_F_APPEND : NLM_F_CREATE | NLM_F_EXCL;
	row.num |= fdb ? MSG_EXISTS_OK | MSG_SUPPORT_OK : 0;
	s = net_row_step(n, &row, NULL, e);
	/* Whose table it is: a dump says so by NDA_MASTER and leaves NTF_MASTER out, a request needs the
	 * flag (rtnl_fdb_add()). The bridge's own entries are asked of itself. */
	if (s && fdb && !(flags & NTF_SELF)) {
		struct ndmsg *ndm = NLMSG_DATA((struct nlmsghdr *)s->msg.data);

		ndm->ndm_flags |= query_int(q, 7) == ndm->ndm_ifindex ? NTF_SELF : NTF_MASTER;
	}
	/* What has become of resolving it is not for a request to say. */
	if (s && managed && !(state & NUD_PERMANENT))
		((struct ndmsg *)NLMSG_DATA((struct nlmsghdr *)s->msg.data))->ndm_state = NUD_NONE;
	return s ? 0 : -1;
}

static int build_nexthop(struct net *n, const struct query *q, struct settle_data *settle,
			 struct err *e)
{
	struct row_step row = {"nexthop",    "nexthop", query_int(q, 0),          query_int(q, 1),
			       MS_ADDRESSES, MS_DIRECT, NLM_F_CREATE | NLM_F_EXCL};

	return net_row_step(n, &row, NULL, e) ? 0 : -1;
}

int build_neighbours(struct net *n, struct err *e)
{
	for (size_t i = 0; i < n->r->n_netns; i++) {
		const struct restore_netns *ns = &n->r->netns[i];

		/* Groups of next hops name others, so they come last. */
		if (!ns->external && (each_row(n, ns->row,
					       "SELECT id, netns, family, state, flags, dst, "
					       "lladdr, master, coalesce(json_extract(other, "
					       "'$.flags_ext'), 0) & 1, ifindex FROM neighbour "
					       "WHERE netns = :ns ORDER BY id",
					       build_neighbour, NULL, e) ||
				      each_row(n, ns->row,
					       "SELECT id, netns FROM nexthop WHERE netns = :ns "
					       "ORDER BY \"group\" IS NOT NULL, id",
					       build_nexthop, NULL, e)))
			return -1;
	}
	return 0;
}

/* Routes and rules */

/* An anycast address that is not that of a router for the subnet of one of the device's addresses (RFC 4291, 2.6.1): a
 * socket has joined it. */
static int is_of_socket(struct net *n, const struct query *route, bool *is, struct err *e)
{
	auto_query struct query *q = query_new(n->r->db,
					       "SELECT address, prefixlen FROM address WHERE netns "
					       "= :ns AND ifindex = :oif AND family = 10 AND "
					       "address IS NOT NULL",
					       e);
	const char *dst = query_text(route, 8);
	int got;

	*is = query_int(route, 2) == AF_INET6 && query_int(route, 7) == RTN_ANYCAST &&
	      query_int(route, 3) == RTPROT_KERNEL;
	if (!*is)
		return q ? 0 : -1;
	if (!q || query_bind_int(q, "ns", query_int(route, 1), e) ||
	    query_bind_int(q, "oif", query_int(route, 9), e))
		return -1;
	while ((got = query_next(q, e)) == 1) {
		uint8_t addr[16], first[16], last[16];
		struct err ignored = ERR_INIT;
		char text[INET_TEXT_MAX];
		size_t len;

		if (inet_parse(query_text(q, 0), AF_INET6, addr, &len, &ignored))
			continue;
		inet_prefix_ends(addr, len, (unsigned)query_int(q, 1), first, last);
		if (inet_format(first, len, text) && !strcmp(text, dst))
			*is = false;
	}
	return got;
}

static int build_route(struct net *n, const struct query *q, struct settle_data *settle,
		       struct err *e)
{
	int64_t id = query_int(q, 0), netns = query_int(q, 1), family = query_int(q, 2);
	bool far = !query_is_null(q, 4) || !query_is_null(q, 5) || !query_is_null(q, 6);
	struct row_step row = {
		"route",
		far ? "route" : "route-direct",
		id,
		netns,
		far ? MS_DIRECT : MS_ADDRESSES,
		far ? MS_ROUTES : MS_DIRECT,
		/* A route more with the same prefix and metric: appended keeps the order of IPv4, and
		 * would make one multipath route of two in IPv6 (fib6_add_rt2node()). */
		NLM_F_CREATE | (family == AF_INET ? NLM_F_APPEND : 0) | MSG_EXISTS_OK,
	};
	auto_buf struct buf record = {0};
	auto_buf struct buf msg = {0};
	struct step *s;
	bool of_socket;

	if (is_of_socket(n, q, &of_socket, e))
		return -1;
	if (of_socket)
		return net_leave_row(
			n, netns, "route", id,
			"a socket joined this anycast address, and the kernel does not "
			"tell which one",
			e);
	/* What the kernel makes with addresses is only looked after; not where addresses were edited, because
	 * these rows are then about what was before. */
	if (query_int(q, 3) == RTPROT_KERNEL) {
		if (settle->edited)
			return 0;
		if (net_record(n, "route", id, &record, e) ||
		    net_filter(buf_span(&record), RTA_FOR_CREATE, &msg, e))
			return -1;
		return settle_add(settle, buf_span(&record), buf_span(&msg), e);
	}
	s = net_row_step(n, &row, &record, e);
	return !s || settle_add(settle, buf_span(&record), buf_span(&s->msg), e) ? -1 : 0;
}

static int build_rule(struct net *n, const struct query *q, struct settle_data *settle,
		      struct err *e)
{
	struct row_step row = {"rule",
			       "rule",
			       query_int(q, 0),
			       query_int(q, 1),
			       MS_ADDRESSES,
			       MS_ROUTES,
			       NLM_F_CREATE | NLM_F_EXCL | MSG_EXISTS_OK};
	auto_buf struct buf record = {0};
	struct step *s = net_row_step(n, &row, &record, e);

	if (!s || settle_add(settle, buf_span(&record), buf_span(&s->msg), e))
		return -1;
	/* The kernel tells no priority of 0, and gives a rule that comes without one another
	 * (fib_nl_fill_rule() and fib_default_rule_pref() in net/core/fib_rules.c). */
	return rta_get(buf_span(&s->msg), RTA_PATH(FRA_PRIORITY)).len
		       ? 0
		       : rta_put_u32(&s->msg, RTA_PATH(FRA_PRIORITY), 0, e);
}

/* Was the image made by nsimg? CRIU keeps no IPv6 rules, so their absence tells nothing there. */
static int is_complete(struct net *n, bool *complete, struct err *e)
{
	auto_query struct query *q =
		net_query(n, "SELECT format = 'nsimg' FROM image WHERE id = :image", e);

	if (!q || query_next(q, e) != 1)
		return e->code ? -1 : err_set(e, ERR_NOTFOUND, "no such image");
	*complete = query_int(q, 0);
	return 0;
}

/* Is there nothing to do about the rules of a family: are they those that every new namespace has (fib_default_
 * rules_init() in net/ipv4/fib_rules.c, fib6_rules_net_init() in net/ipv6/fib6_rules.c), or does the image not
 * tell? */
static int has_own_rules(struct net *n, int64_t netns, uint8_t family, bool complete, bool *own,
			 struct err *e)
{
	auto_query struct query *q = query_new(
		n->r->db,
		/* each of the usual ones has a bit, so that as many that sum up to all bits are each there once */
		"SELECT count(*), "
		"total(CASE WHEN NOT (action = 1 AND coalesce(src, dst, iif, oif, fwmark, fwmask, "
		"goto, ipproto, sport, dport, uidrange, suppress_ifgroup, tun_id, l3mdev, other) "
		"IS NULL AND tos = 0 AND flags = 0 AND protocol = 2 AND "
		"coalesce(suppress_prefixlength, -1) = -1) THEN 8 "
		"WHEN priority = 0 AND \"table\" = 255 THEN 1 "
		"WHEN priority = 32766 AND \"table\" = 254 THEN 2 "
		"WHEN priority = 32767 AND \"table\" = 253 THEN 4 ELSE 8 END) "
		"FROM rule WHERE netns = :ns AND family = :family",
		e);
	int64_t rows, usual = family == AF_INET ? 3 : 2, bits = family == AF_INET ? 7 : 3;

	if (!q || query_bind_int(q, "ns", netns, e) || query_bind_int(q, "family", family, e) ||
	    query_next(q, e) != 1)
		return -1;
	rows = query_int(q, 0);
	*own = rows ? rows != usual || query_int(q, 1) != bits : complete;
	return 0;
}

/* Was an IPv6 address dumped during duplicate address detection? Its routes come when that ends (addrconf_dad_completed()
 * in net/ipv6/addrconf.c), so the image does not have them. And is one a temporary one, of which the kernel makes another? */
static int look_at_addresses(struct net *n, int64_t netns, struct settle_data *d, struct err *e)
{
	/* IFA_F_TENTATIVE is 0x40, IFA_F_DADFAILED 0x08, IFA_F_TEMPORARY 0x01 */
	auto_query struct query *q =
		query_new(n->r->db,
			  "SELECT count(*) FILTER (WHERE flags & 0x48 = 0x40), count(*) FILTER "
			  "(WHERE flags & 1) FROM address WHERE netns = :ns AND family = 10",
			  e);

	if (!q || query_bind_int(q, "ns", netns, e) || query_next(q, e) != 1)
		return -1;
	d->is_pending = query_int(q, 0) != 0;
	d->has_temporary = query_int(q, 1) != 0;
	return 0;
}

/* A route that came from another namespace with its device (nsimg move) is behind those that were there, as in what is
 * exported. */
#define CAME_LAST                                                                                  \
	"(SELECT number FROM image_file f WHERE f.id = file) IS NOT (SELECT ns_id FROM netns n "   \
	"WHERE n.id = :ns), id"

static const struct settle_row {
	const char *what, *sql;
	uint16_t type;
	uint8_t family;
	int (*build)(struct net *n, const struct query *q, struct settle_data *settle,
		     struct err *e);
} settle_rows[] = {
	{"IPv4 routes",
	 "SELECT id, netns, family, protocol, gateway, via, coalesce(multipath, nh_id), type, dst, "
	 "oif FROM route "
	 "WHERE netns = :ns AND family = 2 AND flags & 512 = 0 ORDER BY " CAME_LAST,
	 RTM_NEWROUTE, AF_INET, build_route},
	{"IPv6 routes",
	 "SELECT id, netns, family, protocol, gateway, via, coalesce(multipath, nh_id), type, dst, "
	 "oif FROM route "
	 "WHERE netns = :ns AND family = 10 AND flags & 512 = 0 ORDER BY " CAME_LAST,
	 RTM_NEWROUTE, AF_INET6, build_route},
	{"IPv4 rules", "SELECT id, netns FROM rule WHERE netns = :ns AND family = 2 ORDER BY id",
	 RTM_NEWRULE, AF_INET, build_rule},
	{"IPv6 rules", "SELECT id, netns FROM rule WHERE netns = :ns AND family = 10 ORDER BY id",
	 RTM_NEWRULE, AF_INET6, build_rule},
};

static int build_settled(struct net *n, const struct restore_netns *ns,
			 const struct settle_row *row, bool complete, struct err *e)
{
	struct settle_data *d;
	struct step *s;
	bool own = true;
	int left = 0;

	if (row->type == RTM_NEWRULE && has_own_rules(n, ns->row, row->family, complete, &own, e))
		return -1;
	if (!own)
		return 0;
	s = settle_step(n, ns, "settle", row->what, row->type, row->family, e);
	d = s ? s->data : NULL;
	if (!d || (row->type == RTM_NEWROUTE && n->has_edits &&
		   (left = kernel_routes_are_left(n->r->db, ns->row, row->family, e)) < 0))
		return -1;
	d->edited = left == 1;
	if ((row->type == RTM_NEWROUTE && row->family == AF_INET6 &&
	     look_at_addresses(n, ns->row, d, e)) ||
	    each_row(n, ns->row, row->sql, row->build, d, e))
		return -1;
	/* Nothing known: leave what the kernel made. */
	d->keep = d->edited || (!d->msgs.len && !complete);
	d->complete = complete;
	return plan_after(n->p, s, MS_ROUTES, ns->row, e) ||
			       plan_before(n->p, s, MS_READY, ns->row, e)
		       ? -1
		       : 0;
}

int build_routes(struct net *n, struct err *e)
{
	bool complete = false;
	int touched = kernel_routes_are_touched(n->r->db, e);

	if (touched < 0 || is_complete(n, &complete, e))
		return -1;
	n->has_edits = touched;
	for (size_t i = 0; i < n->r->n_netns; i++)
		for (size_t k = 0; !n->r->netns[i].external && k < ARRAY_SIZE(settle_rows); k++)
			if (build_settled(n, &n->r->netns[i], &settle_rows[k], complete, e))
				return -1;
	return 0;
}
