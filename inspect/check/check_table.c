/* The codes: what is looked for, whom it stops, what to do, how it is found and repaired. */
#include <string.h>

#include "base/cleanup.h"
#include "imgdb/bound.h"
#include "imgdb/no_route.h"
#include "inspect/check/check.h"

/* clang-format off */
#define CRIU  CHECK_CRIU
#define NSIMG CHECK_NSIMG
#define BOTH  (CHECK_CRIU | CHECK_NSIMG)

/* Of a namespace n: its content is in the image; CRIU makes that content again (an image of ours it does not restore,
 * and to a namespace that it is given it adds nothing). */
#define HAS_CONTENT "n.external = 0 AND n.ext_key IS NULL"
#define IS_CRIU     "(SELECT format = 'criu' FROM image WHERE id = :image)"
#define CRIU_MAKES  HAS_CONTENT " AND " IS_CRIU
/* Its processes, with their sockets, only CRIU restores: that has their memory (also of nsimg dump --criu). */
#define BY_CRIU     "EXISTS (SELECT 1 FROM image_file f WHERE f.image = :image AND f.kind = 'MM')"

#define NO_DEVICE(netns, index)                                                                    \
	"NOT EXISTS (SELECT 1 FROM device x WHERE x.netns = " netns " AND x.ifindex = " index ")"
#define NO_NAME(netns, name)                                                                       \
	"NOT EXISTS (SELECT 1 FROM device x WHERE x.netns = " netns " AND x.name = " name ")"

/* The IPv4 address of a v4-mapped one. */
#define PLAIN(a) "CASE WHEN " a " LIKE '::ffff:%.%' THEN substr(" a ", 8) ELSE " a " END"

/* ---- addresses and devices of sockets ---- */

/* As inet_addr_valid_or_nonlocal() in net/ipv4/af_inet.c sees it: local are the addresses of devices, all of the prefix
 * of one on lo, and what routes of type local (2), broadcast (3) and anycast (4) say; any multicast or broadcast
 * address goes, too. */
#define BOUND \
	"SELECT 'socket', b.id, b.a || ' is on no device of namespace ' || coalesce(n.name, 'ns' || n.ns_id) " \
	"FROM (SELECT s.id, s.netns, s.family, s.type, s.protocol, " PLAIN("i.src") " AS a FROM inet_socket i JOIN " \
	"socket s ON s.id = i.socket WHERE s.image = :image AND i.src <> '0.0.0.0' AND i.src <> '::' AND i.src_port " \
	"<> 0) b JOIN netns n ON n.id = b.netns WHERE " HAS_CONTENT " AND NOT is_multicast(b.a) AND " \
	"b.a <> '255.255.255.255' AND b.a NOT LIKE '0.%' AND NOT EXISTS (SELECT 1 FROM address x WHERE x.netns = " \
	"b.netns AND " DB_ADDRESS_GIVES("x", "b.a") ") AND NOT EXISTS (SELECT 1 FROM device " \
	"d JOIN address x ON x.netns = d.netns AND x.ifindex = d.ifindex WHERE d.netns = b.netns AND d.flags & 8 AND " \
	"in_subnet(b.a, x.address || '/' || x.prefixlen)) AND NOT EXISTS (SELECT 1 FROM route r WHERE r.netns = " \
	"b.netns AND r.type IN (2, 3, 4) AND r.dst <> 'default' AND in_subnet(b.a, r.dst))" \
	/* the kernel gives 127.0.0.1 to lo when CRIU sets it up (inetdev_event() in net/ipv4/devinet.c) */ \
	" AND NOT (b.a = '127.0.0.1' AND " IS_CRIU " AND EXISTS (SELECT 1 FROM device d WHERE d.netns = b.netns AND " \
	"d.flags & 9 = 9))"

/* CRIU binds IPv6 sockets as if any address were allowed, but for raw ones; datagram sockets of ICMP it does not bind
 * at all (open_inet_sk() and inet_bind() in criu/sk-inet.c). */
#define REFUSED " AND (b.family = 2 OR b.type = 3) AND NOT (b.type = 2 AND b.protocol IN (1, 58))"
static const char bind_address[] = BOUND " AND " BY_CRIU REFUSED;
static const char bind_deaf[] = BOUND " AND NOT (" BY_CRIU REFUSED ")";

/* CRIU connects a datagram socket before it gives it SO_BROADCAST or its device, and of IPv6 addresses it knows the device
 * only of an own one that is link-local (open_inet_sk() and needs_scope_id() in criu/sk-inet.c). */
#define NEEDS_DEVICE(a) "(in_subnet(" a ", 'fe80::/10') OR " a " GLOB 'ff?[12]:*')"
#define DATAGRAM \
	"FROM inet_socket i JOIN socket s ON s.id = i.socket WHERE s.image = :image AND s.type = 2 AND EXISTS (SELECT 1 FROM " \
	"fd WHERE fd.image = s.image AND fd.file_id = s.file_id) AND " BY_CRIU
static const char udp_address[] =
	"SELECT 'socket', s.id, 'connected to the broadcast address ' || i.dst || ' (Permission denied)' " DATAGRAM
	" AND s.family = 2 AND i.dst_port <> 0 AND (i.dst = '255.255.255.255' OR (EXISTS (SELECT 1 FROM address x WHERE "
	"x.netns = s.netns AND x.family = 2 AND " DB_ADDRESS_GIVES("x", "i.dst") ") AND NOT EXISTS (SELECT 1 FROM address x "
	"WHERE x.netns = s.netns AND x.address = i.dst))) UNION ALL SELECT 'socket', s.id, 'connected to ' || i.dst || ', its "
	"device is set too late (Invalid argument)' " DATAGRAM " AND i.dst_port <> 0 AND coalesce(i.ifname, '') = '' AND "
	NEEDS_DEVICE("i.dst") " UNION ALL SELECT 'socket', s.id, 'bound to ' || i.src || ', the record has no device (Invalid "
	"argument)' " DATAGRAM " AND i.src_port <> 0 AND coalesce(i.ifname, '') = '' AND " NEEDS_DEVICE("i.src");

#define OF_NETNS "JOIN netns n ON n.id = s.netns WHERE s.image = :image AND " HAS_CONTENT
static const char bind_device[] =
	"SELECT 'socket', s.id, 'SO_BINDTODEVICE ' || s.so_bound_dev FROM socket s " OF_NETNS
	" AND s.so_bound_dev <> '' AND " NO_NAME("s.netns", "s.so_bound_dev")
	" UNION ALL SELECT 'socket', s.id, 'scope of its address: ' || i.ifname FROM inet_socket i "
	"JOIN socket s ON s.id = i.socket " OF_NETNS
	" AND i.ifname <> '' AND " NO_NAME("s.netns", "i.ifname")
	" UNION ALL SELECT 'socket', s.id, 'bound to interface index ' || p.ifindex FROM "
	"packet_socket p JOIN socket s ON s.id = p.socket " OF_NETNS
	" AND p.ifindex > 0 AND " NO_DEVICE("s.netns", "p.ifindex")
	/* -1: its device went away before the dump. nsimg makes that again (restorer/sk_make_device.c). */
	" AND (p.ifindex <> 4294967295 OR " BY_CRIU ")"
	" UNION ALL SELECT 'socket', s.id, 'member of a group on interface index ' || (m.value ->> "
	"'index') FROM packet_socket p JOIN socket s ON s.id = p.socket, json_each(p.mclist) m "
	OF_NETNS " AND json_valid(p.mclist) AND m.value ->> 'index' > 0 AND "
	NO_DEVICE("s.netns", "(m.value ->> 'index')")
	" UNION ALL SELECT 'socket', s.id, 'member of ' || (m.value ->> 'group') || ' on interface "
	"index ' || (m.value ->> 'ifindex') FROM socket s, json_each(s.memberships) m "
	OF_NETNS " AND m.value ->> 'ifindex' > 0 AND "
	NO_DEVICE("s.netns", "(m.value ->> 'ifindex')")
	" UNION ALL SELECT 'tun_file', s.id, 'of device ' || s.netdev FROM tun_file s " OF_NETNS
	" AND s.netdev <> '' AND " NO_NAME("s.netns", "s.netdev");

/* Two sockets without a peer on one port of a protocol, whose addresses and devices overlap, and which do not both allow
 * it: SO_REUSEPORT, or SO_REUSEADDR unless both listen (inet_csk_bind_conflict() in net/ipv4/inet_connection_sock.c,
 * udp_lib_lport_inuse2() in net/ipv4/udp.c). A socket may drop either option once it is bound, so one of the two that
 * has it still is taken for both; and where neither has it and no edit touched them, they both dropped it. "::" is
 * 0.0.0.0 too, unless IPV6_V6ONLY is set. */
#define CLASH                                                                                      \
	"x.netns = y.netns AND x.protocol = y.protocol AND x.port = y.port AND x.id <> y.id AND "  \
	"(x.dev = y.dev OR x.dev = '' OR y.dev = '') AND NOT (x.rp OR y.rp) AND NOT ((x.ra OR "    \
	"y.ra) AND NOT (x.listens AND y.listens))"
#define TAKEN(edited)                                                                              \
	"SELECT y.id AS id, 'port ' || y.port || ' of ' || y.a || ' is taken by socket ino ' "     \
	"|| x.ino AS what FROM b y JOIN b x ON " CLASH " AND (x.edited OR y.edited) = " edited
/* The row is not as it came: the first entry of the log has what was before. */
#define NOT_AS_IT_CAME(tbl, differs)                                                               \
	"EXISTS (SELECT 1 FROM edit_log l WHERE l.id = (SELECT min(o.id) FROM edit_log o WHERE o.tbl = '" tbl "' AND " \
	"o.row = s.id) AND (" differs "))"
#define DIFFERS(column, now) "l.before ->> '" column "' IS NOT " now
/* Sockets that differ in nothing of that are one row, because they may be very many. edited: "1", what edits made. of_ports:
 * which ports are looked at. */
#define PORT_TWICE(edited, of_ports) \
	"WITH b AS MATERIALIZED (SELECT min(s.id) AS id, max(s.id) AS last, count(*) AS n, min(s.ino) AS ino, s.netns, " \
	"s.protocol, i.src_port AS port, " PLAIN("i.src") " AS a, s.state = 10 AS listens, coalesce(s.reuseaddr, 0) <> 0 " \
	"AS ra, coalesce(s.so_reuseport, 0) <> 0 AS rp, coalesce(s.so_bound_dev, '') AS dev, coalesce(i.v6only, 0) <> 0 " \
	"AS v6only, " NOT_AS_IT_CAME("inet_socket", DIFFERS("src", "i.src") " OR " DIFFERS("src_port", "i.src_port") " OR " \
	DIFFERS("v6only", "i.v6only")) " OR " NOT_AS_IT_CAME("socket", DIFFERS("netns", "s.netns") " OR " \
	DIFFERS("reuseaddr", "s.reuseaddr") " OR " DIFFERS("so_reuseport", "s.so_reuseport") " OR " \
	DIFFERS("so_bound_dev", "s.so_bound_dev")) " AS edited FROM inet_socket i JOIN socket s ON s.id = i.socket JOIN " \
	"netns n ON n.id = s.netns WHERE s.image = :image AND i.src_port <> 0 " of_ports " AND s.type <> 3 AND i.dst_port = 0 AND NOT " \
	"(s.type = 2 AND s.protocol IN (1, 58)) GROUP BY 5, 6, 7, 8, 9, 10, 11, 12, 13, 14) " \
	"SELECT 'socket', id, min(what) FROM (SELECT last AS id, 'port ' || port || ' of ' || a || ' is taken by socket " \
	"ino ' || ino AS what FROM b WHERE n > 1 AND NOT rp AND NOT (ra AND NOT listens) AND edited = " edited " UNION ALL " \
	TAKEN(edited) " AND x.a = y.a AND x.id < y.id UNION ALL " \
	TAKEN(edited) " AND x.a = '0.0.0.0' AND y.a <> x.a AND (y.a NOT LIKE '%:%' OR (y.a = '::' AND NOT " \
	"y.v6only)) UNION ALL " \
	TAKEN(edited) " AND x.a = '::' AND y.a <> x.a AND y.a <> '0.0.0.0' AND (y.a LIKE '%:%' OR NOT " \
	"x.v6only)) GROUP BY id"
static const char port_shared[] = PORT_TWICE("0", "");
static const char port_twice[] =
	PORT_TWICE("1", "AND i.src_port IN (SELECT p.src_port FROM edit_log l JOIN inet_socket p ON p.socket = l.row WHERE "
	"l.tbl IN ('inet_socket', 'socket'))")
	" UNION ALL SELECT 'socket', max(s.id), 'connection ' || i.src || ' ' || i.src_port || ' to ' || "
	"i.dst || ' ' || i.dst_port || ' is there twice' FROM inet_socket i JOIN socket s ON s.id = "
	"i.socket WHERE s.image = :image AND s.protocol IN (6, 262) AND i.dst_port <> 0 AND s.state "
	"NOT IN (7, 10) GROUP BY s.netns, s.so_bound_dev, i.src, i.src_port, i.dst, i.dst_port "
	"HAVING count(*) > 1";

static const char port_range[] =
	"SELECT 'socket', s.id, CASE WHEN i.src_port BETWEEN 0 AND 65535 THEN 'the port of its peer is ' || i.dst_port ELSE "
	"'its port is ' || i.src_port END FROM inet_socket i JOIN socket s ON s.id = i.socket WHERE s.image = :image AND NOT "
	"(i.src_port BETWEEN 0 AND 65535 AND i.dst_port BETWEEN 0 AND 65535)";

/* The kernel numbers devices from 1, and takes no number below (__dev_new_index() and rtnl_newlink_create()). */
static const char index_range[] =
	"SELECT 'device', id, 'its index is ' || ifindex FROM device WHERE image = :image AND ifindex <= 0";

static const char prefix_range[] =
	"SELECT 'address', id, 'its prefix has ' || prefixlen || ' bits' FROM address WHERE image = :image AND prefixlen NOT "
	"BETWEEN 0 AND iif(family = 2, 32, 128)";

/* What the kernel takes (its tables in net/ipv4/devinet.c, net/ipv4/sysctl_net_ipv4.c and net/ipv6/addrconf.c; the test
 * asks it). */
static const char sysctl_range[] =
	"WITH range (path, low, high) AS (VALUES ('net/ipv4/conf/*', -2147483648, 2147483647), ('net/ipv6/conf/*', "
	"-2147483648, 2147483647), ('net/ipv6/conf/*/hop_limit', 1, 255), ('net/ipv6/conf/*/addr_gen_mode', 0, 3), "
	"('net/ipv6/conf/*/ioam6_id', 0, 65535), ('net/ipv4/ip_default_ttl', 1, 255), "
	"('net/unix/max_dgram_qlen', -2147483648, 2147483647)) "
	"SELECT 'sysctl', s.id, 'its value is ' || s.value || ', the kernel takes ' || max(r.low) || ' to ' || min(r.high) "
	"FROM sysctl s JOIN range r ON s.name GLOB r.path WHERE s.image = :image AND s.value GLOB '*[0-9]' AND s.value NOT GLOB "
	"'*[^-0-9]*' GROUP BY s.id HAVING CAST(s.value AS INTEGER) NOT BETWEEN max(r.low) AND min(r.high)";

/* The names of abstract sockets are of a type and a namespace (unix_find_socket_byname() in net/unix/af_unix.c). The
 * accepted end of a connection has the name of its listener. */
static const char unix_twice[] =
	"SELECT 'socket', max(s.id), 'the name @' || substr(u.name, 5) FROM unix_socket u JOIN "
	"socket s ON s.id = u.socket WHERE s.image = :image AND u.name GLOB '\\x00*' AND (s.state = "
	"10 OR s.type = 2 OR u.peer = 0) GROUP BY s.netns, s.type, u.name HAVING count(*) > 1";

/* ---- devices ---- */

/* The other end, or the lower device, is nowhere in the image. CRIU's record names the namespace of a peer that it
 * dumped; a full link message without a namespace id means its own. */
#define LINKED                                                                                     \
	"FROM device d JOIN netns n ON n.id = d.netns WHERE d.image = :image AND " HAS_CONTENT
#define LINK_NETNS                                                                                 \
	"CASE WHEN d.peer_netns IS NULL AND d.link_netnsid IS NULL AND NOT " IS_CRIU               \
	" THEN d.netns ELSE d.peer_netns END"
#define LOWER_NETNS                                                                                \
	"CASE WHEN d.peer_netns IS NULL AND d.link_netnsid IS NULL THEN d.netns ELSE "             \
	"d.peer_netns END"
#define IS_OUTSIDE(netns)                                                                          \
	"NOT EXISTS (SELECT 1 FROM netns o WHERE o.id = " netns " AND o.external = 0 AND "         \
	"o.ext_key IS NULL)"
#define IS_MACVLAN "d.kind IN ('macvlan', 'macvtap', 'ipvlan', 'ipvtap')"
/* CRIU finds a peer in a namespace that it is given by itself. */
static const char veth_outside[] =
	"SELECT 'device', d.id, NULL " LINKED " AND d.kind = 'veth' AND " IS_OUTSIDE(LINK_NETNS)
	" AND NOT (" IS_CRIU " AND EXISTS (SELECT 1 FROM netns o WHERE o.id = d.peer_netns AND "
	"o.ext_key IS NOT NULL))";
static const char macvlan_parent[] =
	"SELECT 'device', d.id, 'its lower device had index ' || d.link " LINKED " AND " IS_MACVLAN
	" AND " IS_OUTSIDE(LINK_NETNS);
/* CRIU asks for the parent of every macvlan, in its own namespace (restore_one_macvlan() in criu/net.c). */
static const char macvlan_inside[] =
	"SELECT 'device', d.id, 'its lower device has index ' || d.link " LINKED " AND " IS_MACVLAN
	" AND " IS_CRIU " AND NOT " IS_OUTSIDE(LINK_NETNS);
static const char name_twice[] =
	"SELECT 'device', d.id, '--external ' || d.kind || '[' || d.name || ']' " LINKED
	" AND " IS_CRIU " AND ((d.kind = 'veth' AND " IS_OUTSIDE("d.peer_netns")
	") OR d.kind = 'macvlan') AND EXISTS (SELECT 1 FROM device d2 JOIN netns n2 ON n2.id = "
	"d2.netns WHERE d2.image = d.image AND d2.id <> d.id AND d2.kind = d.kind AND d2.name = "
	"d.name AND n2.external = 0 AND n2.ext_key IS NULL AND (d2.kind = 'macvlan' OR NOT EXISTS "
	"(SELECT 1 FROM netns o WHERE o.id = d2.peer_netns AND o.external = 0 AND o.ext_key IS "
	"NULL)))";
/* Either is unique in its namespace (__dev_get_by_name(), __dev_get_by_index() in net/core/dev.c). */
#define DEVICE_TWICE(column, word)                                                                 \
	"SELECT 'device', max(d.id), '" word " ' || d." column " " LINKED " AND d." column         \
	" <> '' GROUP BY d.netns, d." column " HAVING count(*) > 1"
static const char device_twice[] = DEVICE_TWICE("name", "name") " UNION ALL " DEVICE_TWICE(
	"ifindex", "interface index");
static const char bridge_mac[] = "SELECT 'device', d.id, NULL " LINKED " AND " IS_CRIU
				 " AND d.kind = 'bridge' AND d.address = '00:00:00:00:00:00'";

/* ---- routes ---- */

/* Only what is in the files that CRIU gives to "ip route restore". */
#define CRIU_ROUTE                                                                                 \
	"FROM route r JOIN netns n ON n.id = r.netns LEFT JOIN image_file f ON f.id = r.file "     \
	"WHERE r.image = :image AND " CRIU_MAKES                                                   \
	" AND (f.kind IS NULL OR f.kind IN ('ROUTE', 'ROUTE6'))"
/* IPv4 alone: fib_create_info() in net/ipv4/fib_semantics.c; IPv6 does not look at these flags. */
/* Alike in everything (EEXIST of fib_table_insert() and fib6_add_rt2node()); without the flags, which the kernel sets. */
static const char route_twice[] =
	"SELECT 'route', max(r.id), NULL FROM route r JOIN netns n ON n.id = r.netns WHERE r.image = :image AND " HAS_CONTENT
	" GROUP BY r.netns, r.dst, r.family, r.src, r.\"table\", r.type, r.scope, r.tos, r.priority, r.protocol, r.oif, "
	"r.gateway, r.via, r.prefsrc, r.nh_id, r.multipath, r.metrics, r.other HAVING count(*) > 1";
static const char route_dead[] =
	"SELECT 'route', r.id, CASE WHEN r.flags & 1 THEN 'dead' ELSE 'linkdown' END " CRIU_ROUTE
	" AND r.family = 2 AND r.flags & 17 UNION ALL SELECT 'route', r.id, 'a nexthop of several "
	"is ' || CASE WHEN max(h.value ->> 'flags' & 1) THEN 'dead' ELSE 'linkdown' END "
	"FROM route r JOIN netns n ON n.id = r.netns LEFT JOIN image_file f ON f.id = r.file, "
	"json_each(r.multipath) h WHERE r.image = :image AND " CRIU_MAKES
	" AND (f.kind IS NULL OR f.kind IN ('ROUTE', 'ROUTE6')) AND r.family = 2 AND h.value ->> "
	"'flags' & 17 GROUP BY r.id";
static const char route_nexthop[] = "SELECT 'route', r.id, 'nexthop id ' || r.nh_id " CRIU_ROUTE
				    " AND r.nh_id > 0";
static const char route_down[] =
	"SELECT 'route', r.id, 'device ' || d.name || ' is down' FROM route r JOIN netns n ON n.id "
	"= r.netns JOIN device d ON d.netns = r.netns AND d.ifindex = r.oif LEFT JOIN image_file f "
	"ON f.id = r.file WHERE r.image = :image AND " CRIU_MAKES
	" AND (f.kind IS NULL OR f.kind IN ('ROUTE', 'ROUTE6')) AND d.flags & 1 = 0";

/* What is looked for when a route is added (fib_check_nh() in net/ipv4/fib_semantics.c, ip6_route_check_nh() in
 * net/ipv6/route.c): a way to the gateway without another gateway, through the device of the route, of scope link (253) or
 * narrower in IPv4. A link-local gateway and one that is said to be on the link (RTNH_F_ONLINK, 4) need none. nsimg makes
 * a way while it adds the route. */
static const char route_gateway[] =
	"WITH hop AS (SELECT r.id, r.netns, coalesce(r.gateway, r.via) AS gw, r.oif, r.flags " CRIU_ROUTE
	" UNION ALL SELECT r.id, r.netns, coalesce(h.value ->> 'gateway', h.value ->> 'via'), h.value ->> 'oif', "
	"coalesce(h.value ->> 'flags', 0) FROM route r JOIN netns n ON n.id = r.netns LEFT JOIN image_file f ON f.id = "
	"r.file, json_each(r.multipath) h WHERE r.image = :image AND " CRIU_MAKES " AND (f.kind IS NULL OR f.kind IN "
	"('ROUTE', 'ROUTE6')) AND r.multipath IS NOT NULL), one AS MATERIALIZED (SELECT max(id) AS id, netns, gw, oif FROM "
	"hop WHERE gw IS NOT NULL AND flags & 5 = 0 AND NOT in_subnet(gw, 'fe80::/10') GROUP BY netns, gw, oif) "
	"SELECT 'route', o.id, 'nothing leads to ' || o.gw FROM one o WHERE (o.oif IS NULL OR NOT " NO_DEVICE("o.netns", "o.oif")
	") AND NOT EXISTS (SELECT 1 FROM address x WHERE "
	"x.netns = o.netns AND (o.oif IS NULL OR x.ifindex = o.oif) AND in_subnet(o.gw, coalesce(x.peer, x.address) || '/' || "
	"x.prefixlen)) AND NOT EXISTS (SELECT 1 FROM route c WHERE c.netns = o.netns AND c.type = 1 AND c.gateway IS NULL "
	"AND c.via IS NULL AND c.multipath IS NULL AND c.nh_id IS NULL AND (c.family = 10 OR c.scope >= 253) AND (o.oif IS "
	"NULL OR c.oif = o.oif) AND in_subnet(o.gw, CASE WHEN c.dst <> 'default' THEN c.dst WHEN c.family = 2 THEN "
	"'0.0.0.0/0' ELSE '::/0' END))";
/* fib_valid_prefsrc(), ip6_route_info_create(): an address of the namespace. What the kernel made of one that is gone gives
 * none, and nsimg leaves it to the kernel. */
static const char route_prefsrc[] =
	"SELECT 'route', r.id, 'it prefers ' || r.prefsrc FROM route r JOIN netns n ON n.id = r.netns LEFT JOIN image_file "
	"f ON f.id = r.file WHERE r.image = :image AND " HAS_CONTENT " AND (NOT " IS_CRIU " OR f.kind IS NULL OR f.kind IN "
	"('ROUTE', 'ROUTE6')) AND r.prefsrc IS NOT NULL AND (r.protocol <> 2 OR " IS_CRIU ") AND NOT (r.type = 2 AND r.prefsrc = r.dst) AND NOT EXISTS (SELECT 1 "
	"FROM address x WHERE x.netns = r.netns AND x.address = r.prefsrc) AND NOT EXISTS (SELECT 1 FROM device d JOIN "
	"address x ON x.netns = d.netns AND x.ifindex = d.ifindex WHERE d.netns = r.netns AND d.flags & 8 AND "
	"in_subnet(r.prefsrc, x.address || '/' || x.prefixlen)) AND NOT EXISTS (SELECT 1 FROM route l WHERE l.netns = "
	"r.netns AND l.type = 2 AND l.protocol <> 2 AND l.dst <> 'default' AND in_subnet(r.prefsrc, l.dst))";

/* ---- tasks and namespaces ---- */

static const char root_in_host[] =
	"SELECT 'task', t.id, 'it is in namespace ' || coalesce(n.name, 'ns' || n.ns_id) FROM task t "
	"JOIN netns n ON n.id = t.netns JOIN image i ON i.id = t.image JOIN task r ON r.image = "
	"i.id AND r.pid = i.root_pid JOIN netns h ON h.id = r.netns WHERE t.image = :image AND "
	IS_CRIU " AND h.caller = 1 AND h.ext_key IS NULL AND t.netns <> r.netns AND n.caller = 0";
/* CRIU wrote userns-N.img: the root task has one of its own. Out of that CRIU enters no network namespace that it is given,
 * and without mounts of its own no proc file system (restore_ns() in criu/namespaces.c, open_pid_proc() in
 * criu/util.c). */
static const char root_userns[] =
	"SELECT 'task', t.id, 'it is in user namespace ' || u.ns_id FROM task t JOIN image i ON i.id = t.image AND t.pid = "
	"i.root_pid JOIN userns u ON u.image = t.image AND u.ns_id = t.userns AND u.external = 0 LEFT JOIN netns n ON n.id = "
	"t.netns WHERE t.image = :image AND " BY_CRIU " AND "
	"(NOT " IS_CRIU " OR n.ext_key IS NOT NULL OR NOT EXISTS (SELECT 1 FROM image_file f WHERE f.image = t.image AND "
	"f.kind = 'MNTS'))";
static const char nsid_twice[] =
	"SELECT 'nsid', max(a.id), 'id ' || a.value FROM nsid a WHERE a.image = :image AND a.value "
	">= 0 GROUP BY a.netns, a.value HAVING count(*) > 1 UNION ALL SELECT 'netns', max(id), "
	"'number ' || ns_id FROM netns WHERE image = :image GROUP BY ns_id HAVING count(*) > 1";

/* ---- references ---- */

static const char fd_twice[] =
	"SELECT 'fd', max(f.id), 'descriptor ' || f.fd || ' of files ' || f.files_id FROM fd f WHERE f.image = :image GROUP "
	"BY f.files_id, f.fd HAVING count(*) > 1";
static const char ref_netns[] =
	"SELECT 'netns', n.id, 'there is no netns-' || n.ns_id || '.img' || coalesce((SELECT ', task ' || "
	"coalesce(t.comm, '?') || ' (' || t.pid || ') is in it' FROM task t WHERE t.netns = n.id ORDER BY t.id LIMIT 1), "
	"(SELECT ', socket ino ' || s.ino || ' (files.img record ' || s.rec || ') is in it' FROM socket s WHERE s.netns = "
	"n.id ORDER BY s.id LIMIT 1), '') FROM netns n WHERE n.image "
	"= :image AND " IS_CRIU " AND n.file IS NULL AND n.caller = 0 AND n.ext_key IS NULL";
#define INDEX_OF(tbl, column, name)                                                                \
	"SELECT '" tbl "', t.id, '" name                                                           \
	" ' || " column " FROM " tbl " t JOIN netns n ON n.id = t.netns WHERE t.image = :image "   \
	"AND " HAS_CONTENT " AND " column " > 0 AND " NO_DEVICE("t.netns", column)
static const char ref_device[] = INDEX_OF("address", "t.ifindex", "interface index")
	" UNION ALL " INDEX_OF("route", "t.oif", "interface index")
	" UNION ALL SELECT 'route', t.id, 'interface index ' || (h.value ->> 'oif') FROM route t "
	"JOIN netns n ON n.id = t.netns, json_each(t.multipath) h WHERE t.image = :image AND "
	HAS_CONTENT " AND h.value ->> 'oif' > 0 AND " NO_DEVICE("t.netns", "(h.value ->> 'oif')")
	" UNION ALL " INDEX_OF("neighbour", "t.ifindex", "interface index")
	" UNION ALL " INDEX_OF("nexthop", "t.oif", "interface index")
	" UNION ALL " INDEX_OF("traffic_control", "t.ifindex", "interface index")
	" UNION ALL " INDEX_OF("device", "t.master", "master")
	/* ends of pairs, and what stands on another device of a namespace that is there */
	" UNION ALL SELECT 'device', d.id, 'the device at its other end, interface index ' || "
	"d.link " LINKED " AND d.link > 0 AND d.link <> d.ifindex AND d.kind IS NOT NULL AND NOT "
	"(" IS_MACVLAN ") AND NOT (d.kind = 'veth' AND " IS_OUTSIDE(LINK_NETNS) ") AND NOT "
	IS_OUTSIDE(LOWER_NETNS) " AND " NO_DEVICE("(" LOWER_NETNS ")", "d.link")
	" UNION ALL SELECT 'device', d.id, 'the device below it, interface index ' || (d.attrs ->> 'link') "
	LINKED " AND d.kind = 'vxlan' AND d.attrs ->> 'link' > 0 AND NOT " IS_OUTSIDE(LOWER_NETNS)
	" AND " NO_DEVICE("(" LOWER_NETNS ")", "(d.attrs ->> 'link')");
/* A stream needs the other end; a datagram socket may have one that CRIU was told of (--ext-unix-sk), which then has an
 * entry as well. */
static const char ref_peer[] =
	"SELECT 'socket', s.id, 'its peer, ino ' || u.peer FROM unix_socket u JOIN socket s ON s.id "
	"= u.socket WHERE s.image = :image AND u.peer <> 0 AND " IS_CRIU " AND NOT EXISTS (SELECT 1 "
	"FROM socket p WHERE p.image = s.image AND p.ino = u.peer)";
/* Connected TCP sockets, unless the dump closed them (--tcp-close). */
static const char ref_stream[] =
	"SELECT 'socket', s.id, 'there is no tcp-stream image of ino ' || printf('%x', s.ino) FROM "
	"inet_socket i JOIN socket s ON s.id = i.socket WHERE s.image = :image AND " IS_CRIU
	" AND s.protocol = 6 AND i.dst_port <> 0 AND s.state NOT IN (7, 10) AND NOT EXISTS (SELECT "
	"1 FROM tcp_stream t WHERE t.image = s.image AND t.ino = s.ino) AND NOT EXISTS (SELECT 1 "
	"FROM image_fact f WHERE f.image = s.image AND f.key = 'inventory.tcp_close' AND f.value = "
	"'1')";
static const char ref_nexthop[] =
	"SELECT 'route', r.id, 'nexthop id ' || r.nh_id FROM route r JOIN netns n ON n.id = r.netns "
	"WHERE r.image = :image AND " HAS_CONTENT " AND NOT " IS_CRIU " AND r.nh_id > 0 AND NOT "
	"EXISTS (SELECT 1 FROM nexthop x WHERE x.netns = r.netns AND x.nh_id = r.nh_id)";
static const char ref_task[] =
	"SELECT 'task', t.id, 'there is no core-' || t.pid || '.img' FROM task t WHERE t.image = "
	":image AND " IS_CRIU " AND NOT EXISTS (SELECT 1 FROM image_file f WHERE f.image = t.image "
	"AND f.kind = 'CORE' AND f.number = t.pid) UNION ALL SELECT 'task', t.id, 'there is no ' || k.column2 || t.pid || "
	"'.img' FROM task t, (VALUES ('IDS', 'ids-'), ('MM', 'mm-'), ('PAGEMAP', 'pagemap-'), ('FS', 'fs-')) k WHERE t.image "
	"= :image AND " IS_CRIU " AND coalesce(t.state, 1) NOT IN (2, 6) AND NOT EXISTS (SELECT 1 FROM image_file f WHERE "
	"f.image = t.image AND f.kind = k.column1 AND f.number = t.pid) UNION ALL SELECT 'task', t.id, 'there is no "
	"fdinfo-' || t.files_id || '.img' FROM task t WHERE t.image = :image AND " IS_CRIU " AND "
	"t.files_id IS NOT NULL AND t.state = 1 AND NOT EXISTS (SELECT 1 FROM image_file f WHERE "
	"f.image = t.image AND f.kind = 'FDINFO' AND f.number = t.files_id) UNION ALL SELECT 'task', "
	"t.id, 'its parent, pid ' || t.ppid FROM task t JOIN image i ON i.id = t.image WHERE t.image "
	"= :image AND t.pid <> i.root_pid AND NOT EXISTS (SELECT 1 FROM task p WHERE p.image = "
	"t.image AND p.pid = t.ppid) UNION ALL SELECT 'image', i.id, 'there is no ' || k.column2 FROM image i, (VALUES "
	"('INVENTORY', 'inventory.img'), ('PSTREE', 'pstree.img')) k WHERE i.id = :image AND " IS_CRIU " AND NOT EXISTS "
	"(SELECT 1 FROM image_file f WHERE f.image = i.id AND f.kind = k.column1)";
static const char damaged[] =
	"SELECT 'image_file', f.id, f.damage || ' (offset ' || coalesce(f.damage_off, 0) || ')' FROM "
	"image_file f WHERE f.image = :image AND f.damage IS NOT NULL";

const struct check_code check_codes[] = {
	{"bind-address", CHECK_ERROR, CRIU,
	 "a socket is bound to an address that its namespace does not have",
	 "add the address (nsimg add DB address ADDRESS/LEN dev DEVICE netns NETNS), or change that of the "
	 "socket: nsimg readdress, nsimg set, nsimg drop; a UDP socket nsimg restore --criu binds all the same",
	 bind_address, NULL, NULL, NULL},
	{"bind-deaf", CHECK_WARNING, BOTH,
	 "a socket is bound to an address that its namespace does not have; it is restored, and nothing reaches it",
	 "add the address, or change that of the socket, if it did not have it on purpose (IP_FREEBIND)",
	 bind_deaf, NULL, NULL, NULL},
	{"udp-address", CHECK_ERROR, CRIU,
	 "a datagram socket is bound or connected to an address where CRIU fails: it sets options and device too late",
	 "restore with nsimg restore --criu, which names the socket itself, or drop the socket (nsimg drop)",
	 udp_address, NULL, NULL, NULL},
	{"bind-device", CHECK_ERROR, BOTH,
	 "a socket is bound to a device that its namespace does not have",
	 "name another device (nsimg set DB socket ... dev=NAME), or drop the socket (nsimg drop)",
	 bind_device, NULL, NULL, NULL},
	{"port-twice", CHECK_ERROR, BOTH,
	 "two sockets have the same port of the same address since an edit, and neither allows that; both are made, and "
	 "either gets what is meant for the other",
	 "change the port of one (nsimg set DB socket ino = N sport=PORT) or drop it",
	 port_twice, NULL, NULL, NULL},
	{"port-shared", CHECK_WARNING, BOTH,
	 "two sockets have the same port of the same address, and neither has the option that allows it any more; both are "
	 "restored, as they were",
	 "nothing, when they gave up SO_REUSEADDR or SO_REUSEPORT once they were bound; else change the port of one",
	 port_shared, NULL, NULL, NULL},
	{"port-range", CHECK_ERROR, BOTH,
	 "a socket has a port that is none: they are 0 to 65535",
	 "set another (nsimg set DB socket ino = N sport=PORT, or dport=PORT), or drop the socket (nsimg drop)",
	 port_range, NULL, NULL, NULL},
	{"index-range", CHECK_ERROR, BOTH,
	 "a device has an index that is none: they are 1 and more",
	 "set another (nsimg set DB device NETNS/NAME ifindex=N), which its addresses and routes get too, or drop the device",
	 index_range, NULL, NULL, NULL},
	{"prefix-range", CHECK_ERROR, BOTH,
	 "an address has more bits of prefix than its family has",
	 "set them (nsimg set DB address ADDRESS/LEN prefixlen=N), or drop the address",
	 prefix_range, NULL, NULL, NULL},
	{"sysctl-range", CHECK_ERROR, BOTH,
	 "a sysctl has a value that the kernel does not take (Invalid argument)",
	 "set another (nsimg set DB sysctl NAME value=N)",
	 sysctl_range, NULL, NULL, NULL},
	{"unix-name-twice", CHECK_ERROR, BOTH,
	 "two unix sockets of a namespace have the same abstract name (Address already in use)",
	 "change the name of one (nsimg set) or drop it",
	 unix_twice, NULL, NULL, NULL},
	{"veth-peer-outside", CHECK_WARNING, BOTH,
	 "the other end of a veth pair is not in the image",
	 "say where it goes: criu restore --external 'veth[NAME]:OUTER@BRIDGE', nsimg restore --veth "
	 "NAME=OUTER@BRIDGE; or drop the device",
	 veth_outside, NULL, NULL, NULL},
	{"macvlan-parent", CHECK_WARNING, BOTH,
	 "the lower device of a macvlan is not in the image",
	 "name it: criu restore --external 'macvlan[NAME]:PARENT', nsimg restore --veth NAME=PARENT",
	 macvlan_parent, NULL, NULL, NULL},
	{"macvlan-inside", CHECK_ERROR, CRIU,
	 "the lower device of a macvlan is in the image, and CRIU looks for it outside (a macvlan parent is required)",
	 "restore with nsimg restore --criu, or drop the device",
	 macvlan_inside, NULL, NULL, NULL},
	{"external-name-twice", CHECK_ERROR, CRIU,
	 "devices of several namespaces have the same name, and their other ends are outside: CRIU's --external "
	 "knows devices by name alone and gives all of them the same end (File exists)",
	 "rename one (nsimg rename DB device NETNS/NAME NEW), or restore with nsimg restore --criu",
	 name_twice, NULL, NULL, NULL},
	{"device-twice", CHECK_ERROR, BOTH,
	 "two devices of a namespace have the same name or the same index (File exists)",
	 "give one of them another (nsimg rename DB device, nsimg set DB device ... ifindex=N), or drop it",
	 device_twice, NULL, NULL, NULL},
	{"bridge-mac", CHECK_ERROR, CRIU,
	 "a bridge has the MAC address of zeroes, and CRIU sets it (Cannot assign requested address)",
	 "give it one: nsimg fix, or nsimg set DB device NAME address=MAC",
	 bridge_mac, NULL, "gives it a locally administered one", fix_bridge_mac},
	{"route-twice", CHECK_ERROR, BOTH,
	 "a namespace has the same route twice (File exists)",
	 "drop one of them (nsimg drop DB route), or change it (nsimg set DB route)",
	 route_twice, NULL, NULL, NULL},
	{"route-dead", CHECK_ERROR, CRIU,
	 "a route has the flag of a link that was down, which the kernel refuses (Invalid rtm_flags)",
	 "take the flag away: nsimg fix; the kernel sets it again when the link is down",
	 route_dead, NULL, "takes the flags away", fix_route_flags},
	{"route-nexthop", CHECK_ERROR, CRIU,
	 "a route uses a nexthop object, which CRIU does not keep (nexthop id and gateway are mutually exclusive)",
	 "make it a plain route: nsimg fix; or restore with nsimg restore --criu",
	 route_nexthop, NULL, "makes it a plain route", fix_route_nexthop},
	{"route-device-down", CHECK_ERROR, CRIU,
	 "a route leads through a device that is down (Nexthop device is not up)",
	 "bring the device up (nsimg set DB device NAME flags=+up) or drop the route",
	 route_down, NULL, "drops the route, as the kernel does when a device goes down", fix_drop_row},
	{"route-gateway", CHECK_ERROR, CRIU,
	 "a route has a gateway that nothing leads to (Nexthop has invalid gateway)",
	 "give the device an address in its network (nsimg add DB address), change the gateway (nsimg set) or drop the "
	 "route; or restore with nsimg restore --criu",
	 route_gateway, NULL, NULL, NULL},
	{"route-prefsrc", CHECK_ERROR, BOTH,
	 "a route prefers a source address that its namespace does not have (Invalid prefsrc address)",
	 "add the address (nsimg add DB address), or set another: nsimg set DB route ... prefsrc=ADDRESS, or null",
	 route_prefsrc, NULL, NULL, NULL},
	{"no-route", CHECK_ERROR, CRIU,
	 "a socket is connected to where no route leads (Network is unreachable)",
	 "add the route (nsimg add DB route), bring the device up (nsimg set DB device NAME flags=+up), or drop the socket "
	 "(nsimg drop); a UDP socket nsimg restore --criu connects all the same",
	 db_no_route, NULL, NULL, NULL},
	{"root-in-host-netns", CHECK_ERROR, CRIU,
	 "the root task is in the namespace of CRIU itself and this one in a private one (Can't restore sub-task in "
	 "NS)",
	 "give CRIU the namespace of the root task: nsimg fix, then criu restore --inherit-fd; or nsimg restore --criu",
	 root_in_host, NULL, "makes the namespace of the root task one that CRIU is given", fix_root_netns},
	{"root-userns", CHECK_ERROR, CRIU,
	 "the root task is in a user namespace of its own, and CRIU may not enter from there what it needs (Operation not "
	 "permitted)",
	 "restore the network alone: nsimg restore; CRIU restores such a tree only when it also has mounts of its own and its "
	 "network is not given",
	 root_userns, NULL, NULL, NULL},
	{"nsid-twice", CHECK_ERROR, BOTH,
	 "one id means two namespaces",
	 "give one of them another id (nsimg set DB nsid ...)",
	 nsid_twice, NULL, NULL, NULL},
	{"ref-file", CHECK_ERROR, BOTH,
	 "a descriptor refers to a file that is not in the images",
	 "get what was lost of the image (nsimg images), or drop the descriptor: nsimg fix",
	 check_ref_file_reads, check_ref_file, "drops the descriptor", fix_drop_row},
	{"fd-twice", CHECK_ERROR, BOTH,
	 "a task has a descriptor number twice, and CRIU waits for ever for the first to be closed",
	 "drop one of the two: nsimg fix",
	 fd_twice, NULL, "drops the later one", fix_drop_row},
	{"ref-netns", CHECK_ERROR, BOTH,
	 "tasks or sockets are in a namespace that has no image",
	 "make it one that is given: nsimg fix, or nsimg externalize DB NETNS KEY",
	 ref_netns, NULL, "makes it one that CRIU is given by its name", fix_ref_netns},
	{"ref-device", CHECK_ERROR, BOTH,
	 "a device is referred to that its namespace does not have",
	 "name another device (nsimg set), or drop what refers to it: nsimg fix",
	 ref_device, NULL, "drops addresses, routes and the like; a port leaves its master", fix_ref_device},
	{"ref-peer", CHECK_ERROR, CRIU,
	 "the other end of a unix connection is not in the image",
	 "drop the socket: nsimg drop",
	 ref_peer, NULL, NULL, NULL},
	{"ref-stream", CHECK_ERROR, CRIU,
	 "an established TCP connection has no state",
	 "drop the socket (nsimg drop), or close the connections: criu restore --tcp-close",
	 ref_stream, NULL, NULL, NULL},
	{"ref-nexthop", CHECK_ERROR, NSIMG,
	 "a route uses a nexthop object that is not in its namespace",
	 "make it a plain route: nsimg fix; or give it another nexthop (nsimg set DB route ... nhid=ID)",
	 ref_nexthop, NULL, "makes it a plain route", fix_route_nexthop},
	{"ref-task", CHECK_ERROR, BOTH,
	 "a task lacks one of its images, or its parent; all tasks lack the inventory, or their tree",
	 "the image is incomplete: get it once more from where it came from",
	 ref_task, NULL, NULL, NULL},
	{"ref-pages", CHECK_ERROR, CRIU,
	 "the file with pages of memory is not in the image",
	 "the image is incomplete: get the file once more from where it came from",
	 check_pages_reads, check_ref_pages, NULL, NULL},
	{"no-pages", CHECK_WARNING, CRIU,
	 "no file with pages of memory is in the image: the tasks cannot be restored from it",
	 "put the pages-N.img beside what is exported, or restore the network alone: nsimg restore",
	 check_pages_reads, check_no_pages, NULL, NULL},
	{"damaged", CHECK_ERROR, BOTH,
	 "a file of the image is damaged",
	 "the rest was imported (--salvage): get the file once more from where it came from",
	 damaged, NULL, NULL, NULL},
	{"ruleset-cut", CHECK_ERROR, BOTH,
	 "the text of a firewall ruleset breaks off, or is none",
	 "get its file once more from where it came from, or set the text: nsimg set DB firewall ... content=TEXT",
	 check_ruleset_reads, check_ruleset, NULL, NULL},
	{"criu-lock", CHECK_WARNING, CRIU,
	 "the rules by which CRIU stopped the network for the dump are in the image; CRIU takes them away again when "
	 "it has restored, and leaves empty tables where they were rules of iptables",
	 "take them out: nsimg fix (nsimg restore leaves them out by itself)",
	 check_lock_reads, check_lock, "takes them out", fix_lock},
};
/* clang-format on */
const size_t n_check_codes = ARRAY_SIZE(check_codes);
