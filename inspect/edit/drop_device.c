/* Devices, addresses, nexthops and namespaces: what is stacked on them, names them or is bound to them. */
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "inspect/edit/drop.h"
#include "proto/inet.h"

/* Run statements one after the other with the same values. */
static int run_steps(struct edit *x, const char *const *steps, size_t n,
		     const struct edit_bind *binds, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (edit_exec(x, steps[i], binds, e))
			return -1;
	return 0;
}

/* Rows of tbl that sql finds are bound to what goes: sockets go when asked for, and are named otherwise. */
static int bound_to(struct edit *x, const char *tbl, const char *sql, const struct edit_bind *binds,
		    const struct drop_how *how, const char *what, struct err *e)
{
	auto_edit_ids struct edit_ids ids = {0};
	auto_buf struct buf name = {0};
	struct drop_how together = *how;

	if (edit_ids_query(x, sql, binds, &ids, e))
		return -1;
	edit_ids_sort(&ids);
	together.going = &ids;
	for (size_t i = 0; i < ids.n; i++) {
		const struct edit_bind id[] = {{"id", NULL, ids.id[i]}, {0}};
		int rc;

		if (!how->sockets)
			rc = edit_name(x, tbl, ids.id[i], &name, e) ||
			     edit_left(x, e, (const char *)name.data,
				       "bound to %s, which is gone: a restore will fail (--sockets "
				       "drops it)",
				       what);
		else if (!strcmp(tbl, "socket"))
			rc = drop_socket(x, ids.id[i], &together, e);
		else
			rc = edit_exec(x,
				       "DELETE FROM fd WHERE image = (SELECT image FROM tun_file "
				       "WHERE id = :id) AND file_id = (SELECT file_id FROM "
				       "tun_file WHERE id = :id)",
				       id, e) ||
			     edit_exec(x, "DELETE FROM tun_file WHERE id = :id", id, e);
		if (rc)
			return -1;
	}
	return 0;
}

/* ---- devices ---- */

/* Ports of it are ports no more (the kernel frees them: br_dev_delete, bond_uninit). A route or nexthop that
 * spreads over several devices loses this one (fib_sync_down_dev). Rules that name it stay in a kernel, as
 * [detached]; here they go with it, since a device is dropped for good. */
static const char *const device_steps[] = {
	"UPDATE device SET master = NULL, port_kind = NULL, port_attrs = NULL WHERE netns = :netns "
	"AND master = :ifindex",
	"DELETE FROM neighbour WHERE netns = :netns AND master = :ifindex",
	/* entries of a port go with it (br_multicast_del_port()) */
	"DELETE FROM traffic_control WHERE netns = :netns AND what = 'mdb' AND json_extract(other, "
	"'$.entry.ifindex') = :ifindex",
	"UPDATE device SET link = NULL, link_netnsid = NULL, peer_netns = NULL WHERE peer_netns = "
	":netns AND link = :ifindex AND id <> :id",
	"UPDATE route SET multipath = (SELECT json_group_array(json(value)) FROM "
	"json_each(multipath) WHERE json_extract(value, '$.oif') IS NOT :ifindex) WHERE netns = "
	":netns AND multipath IS NOT NULL AND EXISTS (SELECT 1 FROM json_each(multipath) WHERE "
	"json_extract(value, '$.oif') = :ifindex)",
	"DELETE FROM route WHERE netns = :netns AND multipath = '[]'",
	"DELETE FROM rule WHERE netns = :netns AND (iif = :name OR oif = :name)",
	"DELETE FROM sysctl WHERE netns = :netns AND name >= 'net/ipv4/conf/' || :name || '/' AND "
	"name < 'net/ipv4/conf/' || :name || '0'",
	"DELETE FROM sysctl WHERE netns = :netns AND name >= 'net/ipv6/conf/' || :name || '/' AND "
	"name < 'net/ipv6/conf/' || :name || '0'",
	"DELETE FROM sysctl WHERE netns = :netns AND name >= 'net/ipv4/neigh/' || :name || '/' AND "
	"name < 'net/ipv4/neigh/' || :name || '0'",
	"DELETE FROM sysctl WHERE netns = :netns AND name >= 'net/ipv6/neigh/' || :name || '/' AND "
	"name < 'net/ipv6/neigh/' || :name || '0'",
	"DELETE FROM sysctl WHERE netns = :netns AND name >= 'net/mpls/conf/' || :name || '/' AND "
	"name < 'net/mpls/conf/' || :name || '0'",
	"DELETE FROM device WHERE id = :id",
};

/* Devices that cannot be without it: the other end of a veth pair, and what is made on top of it (the kernel
 * deletes these when the lower device goes: veth_dellink, macvlan_device_event, vlan_device_event,
 * vxlan_handle_lowerdev_unregister). */
static const char with_it_sql[] =
	"SELECT id FROM device WHERE id <> :id AND ((peer_netns = :netns AND link = :ifindex AND "
	"kind "
	"IN ('veth', 'macvlan', 'macvtap', 'vlan', 'ipvlan', 'ipvtap', 'vxlan', 'netkit', "
	"'macsec')) OR (" EDIT_ON_TOP("'vxlan'", ":netns", ":ifindex") "))";

/* What names a device, and by what it is found. */
static const struct {
	const char *tbl, *sql;
} device_users[] = {
	{"socket", "SELECT id FROM socket WHERE netns = :netns AND so_bound_dev = :name"},
	{"socket",
	 "SELECT s.id FROM socket s JOIN packet_socket p ON p.socket = s.id WHERE s.netns = :netns "
	 "AND s.family = 17 AND p.ifindex = :ifindex"},
	{"socket",
	 "SELECT id FROM socket WHERE netns = :netns AND family IN (2, 10) AND memberships IS NOT "
	 "NULL AND EXISTS (SELECT 1 FROM json_each(memberships) WHERE json_extract(value, "
	 "'$.ifindex') = :ifindex)"},
	{"tun_file", "SELECT id FROM tun_file WHERE netns = :netns AND netdev = :name"},
};

/* The text of a ruleset that has the name as a word. */
static int named_in_ruleset(struct edit *x, const struct edit_bind *binds, const char *device,
			    struct err *e)
{
	auto_edit_ids struct edit_ids ids = {0};
	auto_buf struct buf name = {0};

	if (edit_ids_query(
		    x,
		    "SELECT id FROM firewall WHERE netns = :netns AND (content GLOB '*[^a-zA-"
		    "Z0-9_.-]' || :name || '[^a-zA-Z0-9_.-]*')",
		    binds, &ids, e))
		return -1;
	for (size_t i = 0; i < ids.n; i++)
		if (edit_name(x, "firewall", ids.id[i], &name, e) ||
		    edit_left(x, e, (const char *)name.data, "its text names %s", device))
			return -1;
	return 0;
}

/* What names an object, and stays. */
struct named {
	const char *tbl, *sql, *reason;
};

static const struct named device_named[] = {
	{"traffic_control",
	 "SELECT id FROM traffic_control WHERE netns = :netns AND json_extract(other, "
	 "'$.addr.if_idx') = :ifindex",
	 "an endpoint on %s, which is gone"},
	{"neighbour",
	 "SELECT id FROM neighbour WHERE netns = :netns AND json_extract(other, '$.via_ifindex') = "
	 ":ifindex",
	 "it goes by %s, which is gone"},
	{"device",
	 "SELECT id FROM device WHERE kind NOT IN ('vxlan') AND (" EDIT_ON_TOP("kind", ":netns",
									       ":ifindex") ")",
	 "a tunnel on %s, which is gone"},
	{"socket",
	 "SELECT id FROM socket WHERE netns = :netns AND options IS NOT NULL AND :ifindex IN "
	 "(json_extract(options, '$.IP_UNICAST_IF'), json_extract(options, '$.IPV6_UNICAST_IF'), "
	 "json_extract(options, '$.IPV6_MULTICAST_IF'))",
	 "an option names %s, which is gone"},
};

/* The kernel keeps all these when the address goes. */
static const struct named address_named[] = {
	{"traffic_control",
	 "SELECT id FROM traffic_control WHERE netns = :netns AND what = 'mptcp_endpoint' AND "
	 ":address IN (json_extract(other, '$.addr.addr4'), json_extract(other, '$.addr.addr6'))",
	 "an endpoint with %s, which is gone"},
	{"device",
	 "SELECT id FROM device WHERE :address IN (json_extract(attrs, '$.local'), "
	 "json_extract(attrs, '$.local6')) AND coalesce(peer_netns, iif(link_netnsid IS NULL, "
	 "netns, 0)) = :netns",
	 "a tunnel from %s, which is gone"},
	{"socket",
	 "SELECT id FROM socket WHERE netns = :netns AND options IS NOT NULL AND :address = "
	 "json_extract(options, '$.IP_MULTICAST_IF')",
	 "IP_MULTICAST_IF is %s, which is gone"},
	{"firewall",
	 "SELECT id FROM firewall WHERE netns = :netns AND content GLOB '*[^0-9a-fA-F:.]' || "
	 ":address || '[^0-9a-fA-F:.]*'",
	 "its text names %s, which is gone"},
};

static int say_named(struct edit *x, const struct named *named, size_t n,
		     const struct edit_bind *binds, const char *what, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		auto_edit_ids struct edit_ids ids = {0};
		auto_buf struct buf name = {0}, reason = {0};
		const char *gap = strstr(named[i].reason, "%s");

		if (edit_ids_query(x, named[i].sql, binds, &ids, e) ||
		    buf_printf(&reason, e, "%.*s%s%s", (int)(gap - named[i].reason),
			       named[i].reason, what, gap + 2))
			return -1;
		for (size_t k = 0; k < ids.n; k++)
			if (edit_name(x, named[i].tbl, ids.id[k], &name, e) ||
			    edit_left(x, e, (const char *)name.data, "%s",
				      (const char *)reason.data))
				return -1;
	}
	return 0;
}

/* The addresses of a device as a JSON array. */
static int addresses_of(struct edit *x, int64_t netns, int64_t ifindex, struct buf *out,
			struct err *e)
{
	const struct edit_bind binds[] = {{"netns", NULL, netns}, {"ifindex", NULL, ifindex}, {0}};
	bool found;

	return edit_text(x,
			 "SELECT json_group_array(address) FROM address WHERE netns = :netns AND "
			 "ifindex = :ifindex",
			 binds, out, &found, e);
}

/* What names those of the addresses that were there before and that the namespace has no more. */
static int say_gone(struct edit *x, int64_t netns, const struct buf *before, struct err *e)
{
	bool found = true;

	for (int64_t i = 0; found; i++) {
		auto_buf struct buf address = {0};
		const struct edit_bind nth[] = {{"netns", NULL, netns},
						{"before", (const char *)before->data, 0},
						{"nth", NULL, i},
						{0}};

		if (edit_text(x,
			      "SELECT value FROM json_each(:before) WHERE value NOT IN (SELECT "
			      "address FROM address WHERE netns = :netns) LIMIT 1 OFFSET :nth",
			      nth, &address, &found, e))
			return -1;
		if (!found)
			break;
		const struct edit_bind binds[] = {
			{"netns", NULL, netns}, {"address", (const char *)address.data, 0}, {0}};

		if (say_named(x, address_named, ARRAY_SIZE(address_named), binds,
			      (const char *)address.data, e))
			return -1;
	}
	return 0;
}

static int drop_users(struct edit *x, const struct edit_bind *binds, const char *device,
		      const struct drop_how *how, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(device_users); i++)
		if (bound_to(x, device_users[i].tbl, device_users[i].sql, binds, how, device, e))
			return -1;
	return say_named(x, device_named, ARRAY_SIZE(device_named), binds, device, e) ||
			       named_in_ruleset(x, binds, device, e)
		       ? -1
		       : 0;
}

static int drop_nexthops(struct edit *x, const struct edit_bind *binds, const struct drop_how *how,
			 struct err *e)
{
	auto_edit_ids struct edit_ids ids = {0};

	if (edit_ids_query(x, "SELECT id FROM nexthop WHERE netns = :netns AND oif = :ifindex",
			   binds, &ids, e))
		return -1;
	for (size_t i = 0; i < ids.n; i++)
		if (drop_nexthop(x, ids.id[i], how, e))
			return -1;
	return 0;
}

static int address_drop(struct edit *x, int64_t id, const struct drop_how *how, struct err *e);

/* Its addresses go first, so that what was bound to them goes or is named. */
static int drop_addresses(struct edit *x, const struct edit_bind *binds, const struct drop_how *how,
			  struct err *e)
{
	auto_edit_ids struct edit_ids ids = {0};

	if (edit_ids_query(x, "SELECT id FROM address WHERE netns = :netns AND ifindex = :ifindex",
			   binds, &ids, e))
		return -1;
	for (size_t i = 0; i < ids.n; i++)
		if (address_drop(x, ids.id[i], how, e))
			return -1;
	return 0;
}

int drop_device(struct edit *x, int64_t id, const struct drop_how *how, struct err *e)
{
	const struct edit_bind key[] = {{"id", NULL, id}, {0}};
	auto_edit_ids struct edit_ids with_it = {0};
	auto_buf struct buf name = {0}, label = {0}, addresses = {0};
	int64_t netns, ifindex;
	bool found;

	if (edit_number(x, "SELECT netns FROM device WHERE id = :id", key, &netns, &found, e) ||
	    !found)
		return found ? -1 : 0;
	if (edit_number(x, "SELECT ifindex FROM device WHERE id = :id", key, &ifindex, &found, e) ||
	    edit_text(x, "SELECT name FROM device WHERE id = :id", key, &name, &found, e) ||
	    edit_name(x, "device", id, &label, e))
		return -1;
	if (!strcmp((const char *)name.data, "lo"))
		return err_set(e, ERR_USAGE, "%s: every namespace has lo, it cannot be dropped",
			       (const char *)label.data);
	const struct edit_bind binds[] = {{"id", NULL, id},
					  {"netns", NULL, netns},
					  {"ifindex", NULL, ifindex},
					  {"name", (const char *)name.data, 0},
					  {0}};

	if (addresses_of(x, netns, ifindex, &addresses, e) ||
	    edit_ids_query(x, with_it_sql, binds, &with_it, e) || drop_nexthops(x, binds, how, e) ||
	    drop_addresses(x, binds, how, e) ||
	    run_steps(x, device_steps, ARRAY_SIZE(device_steps), binds, e) ||
	    drop_users(x, binds, (const char *)label.data, how, e))
		return -1;
	for (size_t i = 0; i < with_it.n; i++)
		if (drop_device(x, with_it.id[i], how, e))
			return -1;
	return how->all ? 0 : say_gone(x, netns, &addresses, e);
}

/* ---- nexthops ---- */

/* Routes go with the nexthop object they use, groups lose it (remove_nexthop() in net/ipv4/nexthop.c). */
int drop_nexthop(struct edit *x, int64_t id, const struct drop_how *how, struct err *e)
{
	static const char *const steps[] = {
		("UPDATE nexthop SET \"group\" = (SELECT json_group_array(json(value)) FROM "
		 "json_each(\"group\") WHERE json_extract(value, '$.id') <> :nh_id) WHERE netns = "
		 ":netns AND \"group\" IS NOT NULL AND EXISTS (SELECT 1 FROM json_each(\"group\") "
		 "WHERE json_extract(value, '$.id') = :nh_id)"),
		("DELETE FROM route WHERE netns = :netns AND nh_id IN (SELECT nh_id FROM nexthop "
		 "WHERE netns = :netns AND \"group\" = '[]')"),
		"DELETE FROM nexthop WHERE netns = :netns AND \"group\" = '[]'",
		"DELETE FROM route WHERE netns = :netns AND nh_id = :nh_id",
		"DELETE FROM neighbour WHERE netns = :netns AND nh_id = :nh_id",
		"DELETE FROM nexthop WHERE id = :id",
	};
	const struct edit_bind key[] = {{"id", NULL, id}, {0}};
	int64_t netns, nh_id;
	bool found;

	if (edit_number(x, "SELECT netns FROM nexthop WHERE id = :id", key, &netns, &found, e) ||
	    !found)
		return found ? -1 : 0;
	if (edit_number(x, "SELECT nh_id FROM nexthop WHERE id = :id", key, &nh_id, &found, e))
		return -1;
	const struct edit_bind binds[] = {
		{"id", NULL, id}, {"netns", NULL, netns}, {"nh_id", NULL, nh_id}, {0}};

	return run_steps(x, steps, ARRAY_SIZE(steps), binds, e);
}

/* ---- addresses ---- */

/* What the kernel made for the address goes with it, unless another address is there for it: its entries in
 * the local table, the route to its network; and routes that want it as source (fib_del_ifaddr(),
 * fib_sync_down_addr()). */
static const char *const address_steps[] = {
	"DELETE FROM address WHERE id = :id",
	"DELETE FROM route WHERE netns = :netns AND family = :family AND oif = :ifindex AND "
	"\"table\" "
	"= 255 AND type IN (2, 4) AND dst = :address AND NOT EXISTS (SELECT 1 FROM address WHERE "
	"netns = :netns AND ifindex = :ifindex AND address = :address)",
	"DELETE FROM route WHERE netns = :netns AND family = :family AND oif = :ifindex AND "
	"\"table\" = 255 AND type = 3 AND prefsrc = :address",
	"DELETE FROM route WHERE netns = :netns AND family = 2 AND prefsrc = :address AND NOT "
	"EXISTS "
	"(SELECT 1 FROM address WHERE netns = :netns AND address = :address)",
	"DELETE FROM route WHERE netns = :netns AND family = 10 AND oif = :ifindex AND protocol = "
	"2 "
	"AND dst = :network AND NOT EXISTS (SELECT 1 FROM address WHERE netns = :netns AND ifindex "
	"= :ifindex AND family = 10 AND prefixlen = :prefixlen AND substr(address, 1, 4) = "
	"substr(:address, 1, 4))",
};

struct address {
	uint8_t addr[16];
	size_t len;
	char text[INET_TEXT_MAX], network[INET_PREFIX_MAX];
	int64_t netns, ifindex, family, prefixlen;
};

static int number(struct edit *x, const char *sql, int64_t id, int64_t *v, struct err *e)
{
	const struct edit_bind key[] = {{"id", NULL, id}, {0}};
	bool found;

	*v = 0;
	return edit_number(x, sql, key, v, &found, e);
}

static bool prefix_has(const uint8_t *net, const uint8_t *addr, unsigned bits)
{
	return !memcmp(net, addr, bits / 8) &&
	       (!(bits % 8) || !((net[bits / 8] ^ addr[bits / 8]) >> (8 - bits % 8)));
}

static int address_read(struct edit *x, int64_t id, struct address *a, struct err *e)
{
	const struct edit_bind key[] = {{"id", NULL, id}, {0}};
	auto_buf struct buf text = {0};
	uint8_t net[16] = {0};
	bool found;

	if (edit_text(x, "SELECT address FROM address WHERE id = :id", key, &text, &found, e) ||
	    number(x, "SELECT netns FROM address WHERE id = :id", id, &a->netns, e) ||
	    number(x, "SELECT ifindex FROM address WHERE id = :id", id, &a->ifindex, e) ||
	    number(x, "SELECT family FROM address WHERE id = :id", id, &a->family, e) ||
	    number(x, "SELECT prefixlen FROM address WHERE id = :id", id, &a->prefixlen, e))
		return -1;
	if (!found)
		return 0;
	if (inet_parse((const char *)text.data, (int)a->family, a->addr, &a->len, e))
		return -1;
	snprintf(a->text, sizeof(a->text), "%s", (const char *)text.data);
	if (a->prefixlen < 0 || a->prefixlen > (int64_t)a->len * 8)
		return 1;
	memcpy(net, a->addr, a->len);
	for (unsigned bit = (unsigned)a->prefixlen; bit < a->len * 8; bit++)
		net[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	inet_prefix_format(net, a->len, (unsigned)a->prefixlen, a->network);
	return 1;
}

/* Is ip in the network of an address of the device (other than what is gone)? */
static int is_reachable(struct edit *x, const struct address *a, const uint8_t *ip, bool *yes,
			struct err *e)
{
	const struct edit_bind binds[] = {{"netns", NULL, a->netns},
					  {"ifindex", NULL, a->ifindex},
					  {"family", NULL, a->family},
					  {0}};
	auto_edit_ids struct edit_ids ids = {0};

	*yes = false;
	if (edit_ids_query(x,
			   "SELECT id FROM address WHERE netns = :netns AND ifindex = :ifindex AND "
			   "family = :family",
			   binds, &ids, e))
		return -1;
	for (size_t i = 0; i < ids.n && !*yes; i++) {
		struct address b = {0};

		if (address_read(x, ids.id[i], &b, e) < 0)
			return -1;
		*yes = b.len == a->len && prefix_has(b.addr, ip, (unsigned)b.prefixlen);
	}
	return 0;
}

/* A route whose gateway was in the network of the address, and in no other of the device now, is one that no
 * kernel takes ("Nexthop has invalid gateway"). */
static int drop_unreachable(struct edit *x, const struct address *a, struct err *e)
{
	const struct edit_bind binds[] = {{"netns", NULL, a->netns},
					  {"ifindex", NULL, a->ifindex},
					  {"family", NULL, a->family},
					  {0}};
	auto_edit_ids struct edit_ids ids = {0};

	if (edit_ids_query(
		    x,
		    "SELECT id FROM route WHERE netns = :netns AND oif = :ifindex AND family "
		    "= :family AND gateway IS NOT NULL AND flags & 4 = 0",
		    binds, &ids, e))
		return -1;
	for (size_t i = 0; i < ids.n; i++) {
		const struct edit_bind key[] = {{"id", NULL, ids.id[i]}, {0}};
		auto_buf struct buf text = {0};
		uint8_t ip[16];
		size_t len;
		bool yes;

		if (edit_text(x, "SELECT gateway FROM route WHERE id = :id", key, &text, &yes, e))
			return -1;
		if (!yes ||
		    inet_parse((const char *)text.data, (int)a->family, ip, &len,
			       &(struct err)ERR_INIT) ||
		    len != a->len || !prefix_has(a->addr, ip, (unsigned)a->prefixlen))
			continue;
		if (is_reachable(x, a, ip, &yes, e) ||
		    (!yes && edit_exec(x, "DELETE FROM route WHERE id = :id", key, e)))
			return -1;
	}
	return 0;
}

/* The same of the nexthops of multipath routes. */
#define HOP_IS_LOST                                                                                \
	"value ->> 'oif' = :ifindex AND value ->> 'gateway' IS NOT NULL AND coalesce(value ->> "   \
	"'flags', 0) & 4 = 0 AND in_subnet(value ->> 'gateway', :network) AND NOT EXISTS (SELECT " \
	"1 FROM address b WHERE b.netns = :netns AND b.ifindex = :ifindex AND b.family = :family " \
	"AND in_subnet(value ->> 'gateway', b.address || '/' || b.prefixlen))"
static const char *const hop_steps[] = {
	"UPDATE route SET multipath = (SELECT json_group_array(json(value)) FROM "
	"json_each(multipath) WHERE NOT coalesce(" HOP_IS_LOST ", 0)) WHERE netns = :netns AND "
	"family = :family AND multipath IS NOT NULL AND EXISTS (SELECT 1 FROM "
	"json_each(multipath) WHERE " HOP_IS_LOST ")",
	"DELETE FROM route WHERE netns = :netns AND multipath = '[]'",
};

/* Secondary addresses of the network of which address :id is the primary one, as __inet_del_ifa() has them
 * (net/ipv4/devinet.c). */
static const char secondaries_sql[] =
	"SELECT b.id FROM address a JOIN address b ON b.netns = a.netns AND b.ifindex = a.ifindex "
	"AND b.family = 2 AND b.prefixlen = a.prefixlen AND b.flags & 1 AND "
	"in_subnet(coalesce(b.peer, b.address), coalesce(a.peer, a.address) || '/' || a.prefixlen) "
	"WHERE a.id = :id AND a.family = 2 AND a.flags & 1 = 0 ORDER BY b.id";

/* IN_DEV_PROMOTE_SECONDARIES(): of all, or of the device */
static const char promotes_sql[] =
	"SELECT 1 FROM sysctl WHERE netns = :netns AND value = '1' AND name IN "
	"('net/ipv4/conf/all/promote_secondaries', 'net/ipv4/conf/' || (SELECT name FROM device "
	"WHERE netns = :netns AND ifindex = :ifindex) || '/promote_secondaries')";

/* What the kernel made for the primary address is then made for :next, whose flags and metric say how. */
static const char *const promote_steps[] = {
	"UPDATE address SET flags = flags - 1 WHERE id = :next",
	("UPDATE route SET prefsrc = a.address, priority = CASE WHEN route.type = 1 THEN "
	 "nullif(a.metric, 0) ELSE route.priority END FROM address a WHERE a.id = :next AND "
	 "route.netns = :netns AND route.family = 2 AND route.oif = :ifindex AND route.protocol = "
	 "2 "
	 "AND route.prefsrc = :address"),
	/* IFA_F_NOPREFIXROUTE */
	("DELETE FROM route WHERE netns = :netns AND family = 2 AND oif = :ifindex AND protocol = "
	 "2 "
	 "AND type = 1 AND prefsrc = (SELECT address FROM address WHERE id = :next AND flags & "
	 "512)"),
};

/* A primary address takes its secondary ones along, or the next one becomes primary. */
static int secondaries(struct edit *x, const struct address *a, int64_t id,
		       const struct drop_how *how, struct err *e)
{
	auto_edit_ids struct edit_ids ids = {0};
	struct edit_bind binds[] = {
		{"id", NULL, id},        {"netns", NULL, a->netns}, {"ifindex", NULL, a->ifindex},
		{"address", a->text, 0}, {"next", NULL, 0},         {0}};
	int64_t n;
	bool promotes;

	if (edit_ids_query(x, secondaries_sql, binds, &ids, e))
		return -1;
	if (!ids.n)
		return 0;
	binds[4].num = ids.id[0];
	if (edit_number(x, promotes_sql, binds, &n, &promotes, e))
		return -1;
	if (promotes)
		return run_steps(x, promote_steps, ARRAY_SIZE(promote_steps), binds, e);
	for (size_t i = 0; i < ids.n; i++)
		if (address_drop(x, ids.id[i], how, e))
			return -1;
	return 0;
}

static int address_drop(struct edit *x, int64_t id, const struct drop_how *how, struct err *e)
{
	auto_buf struct buf label = {0};
	struct address a = {0};
	int rc = address_read(x, id, &a, e);

	if (rc <= 0)
		return rc;
	const struct edit_bind binds[] = {{"id", NULL, id},
					  {"netns", NULL, a.netns},
					  {"ifindex", NULL, a.ifindex},
					  {"family", NULL, a.family},
					  {"prefixlen", NULL, a.prefixlen},
					  {"address", a.text, 0},
					  {"network", a.network, 0},
					  {0}};

	if (edit_name(x, "address", id, &label, e) || secondaries(x, &a, id, how, e) ||
	    run_steps(x, address_steps, ARRAY_SIZE(address_steps), binds, e) ||
	    drop_unreachable(x, &a, e) || run_steps(x, hop_steps, ARRAY_SIZE(hop_steps), binds, e))
		return -1;
	return bound_to(
		x, "socket",
		"SELECT s.id FROM inet_socket i JOIN socket s ON s.id = i.socket WHERE "
		"s.netns = :netns AND i.src IN (:address, '::ffff:' || :address) AND NOT "
		"EXISTS (SELECT 1 FROM address WHERE netns = :netns AND address = :address)",
		binds, how, (const char *)label.data, e);
}

int drop_address(struct edit *x, int64_t id, const struct drop_how *how, struct err *e)
{
	auto_buf struct buf before = {0};
	int64_t netns, ifindex;

	return number(x, "SELECT netns FROM address WHERE id = :id", id, &netns, e) ||
			       number(x, "SELECT ifindex FROM address WHERE id = :id", id, &ifindex,
				      e) ||
			       addresses_of(x, netns, ifindex, &before, e) ||
			       address_drop(x, id, how, e) || say_gone(x, netns, &before, e)
		       ? -1
		       : 0;
}

/* ---- namespaces ---- */

/* Rows in it that hang off nothing else. */
static const char *const netns_steps[] = {
	"DELETE FROM address WHERE netns = :id",
	"DELETE FROM route WHERE netns = :id",
	"DELETE FROM rule WHERE netns = :id",
	"DELETE FROM neighbour WHERE netns = :id",
	"DELETE FROM nexthop WHERE netns = :id",
	"DELETE FROM traffic_control WHERE netns = :id",
	"DELETE FROM sysctl WHERE netns = :id",
	"DELETE FROM firewall WHERE netns = :id",
	"DELETE FROM conntrack WHERE netns = :id",
	"DELETE FROM device WHERE netns = :id",
	"DELETE FROM nsid WHERE netns = :id OR target = :id",
	("DELETE FROM fd WHERE image = :image AND file_id IN (SELECT file_id FROM ns_file WHERE "
	 "image = :image AND ns_id = :ns_id AND cflag = 1073741824)"),
	"DELETE FROM ns_file WHERE image = :image AND ns_id = :ns_id AND cflag = 1073741824",
	"DELETE FROM netns WHERE id = :id",
};

static int refuse_with_tasks(struct edit *x, const struct edit_bind *binds, const char *netns,
			     struct err *e)
{
	auto_buf struct buf tasks = {0};
	bool found;

	if (edit_text(
		    x,
		    "SELECT group_concat(coalesce(comm, '?') || '(' || pid || ')', ', ') FROM "
		    "(SELECT comm, pid FROM task WHERE netns = :id UNION ALL SELECT comm, tid FROM "
		    "thread WHERE netns = :id)",
		    binds, &tasks, &found, e))
		return -1;
	return found ? err_set(e, ERR_CONFLICT,
			       "%s cannot go: tasks live in it: %s (nsimg externalize makes it one "
			       "that is given at restore time)",
			       netns, (const char *)tasks.data)
		     : 0;
}

/* Devices first, for their peers elsewhere; then sockets, as they are told to go with the namespace. */
static int empty_netns(struct edit *x, const struct edit_bind *binds, const struct drop_how *how,
		       struct err *e)
{
	const struct drop_how all = {
		.peers = how->peers, .accepted = how->accepted, .sockets = true, .all = true};
	auto_edit_ids struct edit_ids devices = {0}, sockets = {0};
	struct drop_how together = *how;

	if (edit_ids_query(x, "SELECT id FROM device WHERE netns = :id AND name <> 'lo'", binds,
			   &devices, e))
		return -1;
	for (size_t i = 0; i < devices.n; i++)
		if (drop_device(x, devices.id[i], &all, e))
			return -1;
	if (edit_ids_query(x, "SELECT id FROM socket WHERE netns = :id", binds, &sockets, e))
		return -1;
	edit_ids_sort(&sockets);
	together.going = &sockets;
	for (size_t i = 0; i < sockets.n; i++)
		if (drop_socket(x, sockets.id[i], &together, e))
			return -1;
	return 0;
}

int drop_netns(struct edit *x, int64_t id, const struct drop_how *how, struct err *e)
{
	auto_buf struct buf name = {0};
	int64_t ns_id;

	if (number(x, "SELECT ns_id FROM netns WHERE id = :id", id, &ns_id, e) ||
	    edit_name(x, "netns", id, &name, e))
		return -1;
	const struct edit_bind binds[] = {
		{"id", NULL, id}, {"image", NULL, edit_image(x)}, {"ns_id", NULL, ns_id}, {0}};

	return refuse_with_tasks(x, binds, (const char *)name.data, e) ||
			       empty_netns(x, binds, how, e) ||
			       run_steps(x, netns_steps, ARRAY_SIZE(netns_steps), binds, e)
		       ? -1
		       : 0;
}
