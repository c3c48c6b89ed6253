#include "imgdb/no_route.h"

/* clang-format off */
#define PLAIN(a) "CASE WHEN " a " LIKE '::ffff:%.%' THEN substr(" a ", 8) ELSE " a " END"
#define UP(netns, index)                                                                           \
	"EXISTS (SELECT 1 FROM device u WHERE u.netns = " netns " AND u.ifindex = " index " AND u.flags & 1)"

/* The other ends of connected sockets are asked for again (connect(2)): is there a way to them? Any way through a device
 * that is up, in whatever table, if no blackhole, unreachable or prohibit (6 to 8) of its table is nearer. A socket that is
 * bound to a device needs none. */
#define BITS(r)                                                                                    \
	"CASE WHEN " r ".dst = 'default' THEN 0 WHEN instr(" r ".dst, '/') THEN CAST(substr(" r ".dst, instr(" r        \
	".dst, '/') + 1) AS INTEGER) ELSE 128 END"
#define MATCHES(r) r ".netns = d.netns AND " r ".family = d.family AND in_subnet(d.a, " r ".dst)"
#define LEADS                                                                                      \
	"c.type IN (1, 2, 3, 5) AND (c.oif IS NULL OR " UP("c.netns", "c.oif") ")"
const char db_no_route[] =
	"WITH d AS MATERIALIZED (SELECT max(s.id) AS id, s.netns, CASE WHEN " PLAIN("i.dst") " LIKE '%:%' THEN 10 ELSE 2 END "
	"AS family, " PLAIN("i.dst") " AS a FROM inet_socket i JOIN socket s ON s.id = i.socket JOIN netns n ON n.id = s.netns "
	"WHERE s.image = :image AND n.external = 0 AND n.ext_key IS NULL AND i.dst_port <> 0 AND s.state NOT IN (7, 10) AND (s.type = 2 OR EXISTS (SELECT 1 FROM "
	"tcp_stream t WHERE t.image = s.image AND t.ino = s.ino)) AND "
	"coalesce(s.so_bound_dev, '') = '' AND coalesce(i.ifname, '') = '' AND EXISTS (SELECT 1 FROM fd WHERE fd.image = "
	"s.image AND fd.file_id = s.file_id) GROUP BY 2, 3, 4, s.type), bad AS MATERIALIZED (SELECT netns, family, dst, \"table\" FROM "
	"route WHERE image = :image AND type IN (6, 7, 8)), wide AS MATERIALIZED (SELECT DISTINCT c.netns, c.family FROM route "
	"c WHERE c.image = :image AND c.dst = 'default' AND " LEADS ") "
	"SELECT 'socket' AS kind, d.id AS id, 'there is no way to ' || d.a AS what FROM d WHERE NOT is_multicast(d.a) AND NOT is_loopback(d.a) AND "
	"NOT is_unspecified(d.a) AND d.a <> '255.255.255.255' AND NOT in_subnet(d.a, 'fe80::/10') AND NOT EXISTS (SELECT 1 "
	/* an IPv4 address of a device that is down stays in table local (fib_disable_ip() in net/ipv4/fib_frontend.c) */
	"FROM address x WHERE x.netns = d.netns AND x.address = d.a AND (x.family = 2 OR " UP("x.netns", "x.ifindex") ")) AND CASE WHEN EXISTS "
	"(SELECT 1 FROM bad b WHERE " MATCHES("b") ") THEN NOT EXISTS (SELECT 1 FROM route c WHERE " MATCHES("c") " AND "
	LEADS " AND NOT EXISTS (SELECT 1 FROM bad b WHERE " MATCHES("b") " AND b.\"table\" = c.\"table\" AND " BITS("b") " > "
	BITS("c") ")) ELSE NOT EXISTS (SELECT 1 FROM wide w WHERE w.netns = d.netns AND w.family = d.family) AND NOT EXISTS "
	"(SELECT 1 FROM address x WHERE x.netns = d.netns AND x.family = d.family AND in_subnet(d.a, coalesce(x.peer, "
	"x.address) || '/' || x.prefixlen) AND " UP("x.netns", "x.ifindex") ") AND NOT EXISTS (SELECT 1 FROM route c WHERE "
	MATCHES("c") " AND " LEADS ") END";
/* clang-format on */
