/* What an edit may not do, in any client: one trigger a table and event, whose CASE picks the sentence that SQLite
 * prints. Quiet during an import, because a broken image has whatever it has; and a value that an edit leaves as it
 * was passes, so that one broken value after another can be mended. Limits of numbers, types of JSON and forms of text
 * come first, then conditions about more. SQLite parses all of it at the start of every command: short is fast. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "imgdb/db_sqlite.h"

#define U8_MAX  255
#define U16_MAX 65535
#define U32_MAX 4294967295
#define S32_MAX                                                                                    \
	2147483647 /* indexes of devices, numbers of processes and descriptors: a positive int of the kernel */

/* Columns of one table with one range, separated by blanks. */
static const struct number_range {
	const char *table, *columns;
	int64_t min, max;
} numbers[] = {
	{"userns", "external", 0, 1},
	{"userns", "ns_id parent owner_uid", 0, U32_MAX},
	{"netns", "external caller", 0, 1},
	{"netns", "ns_id owner ino", 0, U32_MAX},
	{"nsid", "value", 0, S32_MAX},
	{"device", "ifindex", 1, S32_MAX},
	{"device", "mtu link master", 0, S32_MAX},
	{"device", "link_netnsid", -1, S32_MAX},
	{"device", "operstate", 0, 6}, /* RFC 2863 */
	{"device", "nd_type flags txqlen group", 0, U32_MAX},
	{"address", "ifindex", 1, S32_MAX},
	{"address", "family scope proto", 0, U8_MAX},
	{"address", "flags valid_lft preferred_lft metric", 0, U32_MAX},
	{"route", "oif iif", 0, S32_MAX},
	{"route", "type", 1, 11}, /* RTN_UNICAST to RTN_MAX */
	{"route", "family protocol scope tos", 0, U8_MAX},
	{"route", "pref", 0, 3},
	{"route", "table flags priority nh_id", 0, U32_MAX},
	{"rule", "action", 0, 8}, /* FR_ACT_MAX */
	{"rule", "family tos ipproto protocol", 0, U8_MAX},
	{"rule", "l3mdev", 0, 1},
	{"rule", "suppress_prefixlength", -1, 128},
	{"rule", "suppress_ifgroup", -1, S32_MAX},
	{"rule", "priority table fwmark fwmask goto flags", 0, U32_MAX},
	{"neighbour", "ifindex", 1, S32_MAX},
	{"neighbour", "master", 0, S32_MAX},
	{"neighbour", "family flags type protocol", 0, U8_MAX},
	{"neighbour", "state port", 0, U16_MAX},
	{"neighbour", "vlan", 0, 4095},
	{"neighbour", "vni", 0, 16777215},
	{"neighbour", "nh_id", 0, U32_MAX},
	{"nexthop", "nh_id", 1, U32_MAX},
	{"nexthop", "oif", 0, S32_MAX},
	{"nexthop", "blackhole fdb", 0, 1},
	{"nexthop", "family protocol scope", 0, U8_MAX},
	{"nexthop", "group_type", 0, U16_MAX},
	{"nexthop", "flags", 0, U32_MAX},
	{"traffic_control", "ifindex handle parent info", 0, U32_MAX}, /* 0xffffffff: a block */
	{"conntrack", "expect", 0, 1},
	{"conntrack", "family proto tcp_state", 0, U8_MAX},
	{"conntrack", "sport dport reply_sport reply_dport zone", 0, U16_MAX},
	{"conntrack", "status timeout mark", 0, U32_MAX},
	{"task", "pid", 1, S32_MAX},
	{"task", "ppid pgid sid", 0, S32_MAX},
	{"task", "state files_id ns_id userns pidns mntns", 0, U32_MAX},
	{"thread", "tid", 1, S32_MAX},
	{"fd", "fd", 0, S32_MAX},
	{"fd", "flags", 0, 1},
	{"fd", "type", 0, U16_MAX},
	{"fd", "files_id file_id", 0, U32_MAX},
	{"socket", "bpf_filter", 0, 1},
	{"socket",
	 "reuseaddr so_reuseport so_passcred so_passsec so_dontroute so_no_check so_broadcast "
	 "so_keepalive so_oobinline",
	 0, 1},
	{"socket", "shutdown so_buf_lock", 0, 3},
	{"socket", "state", 0, 13}, /* TCP_BOUND_INACTIVE */
	{"socket", "type", 1, 10},  /* SOCK_STREAM to SOCK_PACKET */
	{"socket", "family protocol", 0, U16_MAX},
	{"socket", "so_snd_tmo_usec so_rcv_tmo_usec", 0, 999999},
	{"socket", "so_snd_tmo_sec so_rcv_tmo_sec", 0, INT64_MAX},
	{"socket", "so_sndbuf so_rcvbuf so_rcvlowat", 0, S32_MAX},
	{"socket", "tcp_keepcnt tcp_keepidle tcp_keepintvl", 0, S32_MAX},
	{"socket", "file_id ns_id flags so_priority so_mark so_linger uid", 0, U32_MAX},
	{"socket", "inq_len outq_len other_backlog", 0, U32_MAX},
	{"inet_socket", "v6only freebind pktinfo hdrincl nodefrag cork nodelay", 0, 1},
	{"inet_socket", "tos ttl", 0, U8_MAX},
	{"inet_socket", "src_port dst_port", 0, U16_MAX}, /* 32 bits in CRIU's record */
	{"inet_socket", "keepcnt keepidle keepintvl", 0, S32_MAX},
	{"inet_socket", "src_scope dst_scope backlog checksum n_unaccepted rcv_mss bind_order", 0,
	 U32_MAX},
	{"unix_socket", "deleted", 0, 1},
	{"unix_socket", "mode", 0, U16_MAX},
	{"unix_socket", "mnt_id", -1, S32_MAX},
	{"unix_socket", "peer uflags backlog uid gid peer_ns_id rights n_unaccepted", 0, U32_MAX},
	{"netlink_socket", "portid dst_portid dst_group", 0, U32_MAX},
	{"packet_socket", "ifindex", 0, S32_MAX},
	{"packet_socket", "version", 0, 2}, /* enum tpacket_versions */
	{"packet_socket", "aux_data orig_dev vnet_hdr loss", 0, 1},
	{"packet_socket", "reserve timestamp copy_thresh fanout", 0, U32_MAX},
	{"tcp_stream", "cork nodelay", 0, 1},
	{"tcp_stream", "snd_wscale rcv_wscale", 0, 14}, /* TCP_MAX_WSCALE, RFC 7323 */
	{"tcp_stream",
	 "inq_len inq_seq outq_len outq_seq opt_mask mss_clamp timestamp unsq_len snd_wl1 snd_wnd "
	 "max_window rcv_wnd rcv_wup",
	 0, U32_MAX},
	{"socket_queue", "file_id length", 0, U32_MAX},
	{"tun_file", "detached", 0, 1},
	{"tun_file", "file_id ns_id flags", 0, U32_MAX},
	{"ns_file", "file_id ns_id cflag flags", 0, U32_MAX},
	{"image", "lock_method", 0, 2}, /* CRIU: iptables, nftables, skip */
};

/* Columns that are JSON of a type, and what an array has in it (SQLite's json_type()). */
static const struct json_range {
	const char *table, *column, *type, *each;
} jsons[] = {
	{"userns", "uid_map", "array", "array"},
	{"userns", "gid_map", "array", "array"},
	{"netns", "pins", "array", "text"},
	{"device", "altnames", "array", "text"},
	{"device", "attrs", "object", NULL},
	{"device", "port_attrs", "object", NULL},
	{"device", "other", "object", NULL},
	{"address", "other", "object", NULL},
	{"route", "metrics", "object", NULL},
	{"route", "multipath", "array", "object"},
	{"route", "other", "object", NULL},
	{"rule", "other", "object", NULL},
	{"neighbour", "other", "object", NULL},
	{"nexthop", "group", "array", "object"},
	{"nexthop", "other", "object", NULL},
	{"traffic_control", "other", "object", NULL},
	{"conntrack", "other", "object", NULL},
	{"socket", "fown", "object", NULL},
	{"socket", "options", "object", NULL},
	{"socket", "memberships", "array", "object"},
	{"inet_socket", "icmpv_filter", "array", "integer"},
	{"netlink_socket", "groups", "array", "integer"},
	{"packet_socket", "mclist", "array", NULL},
	{"packet_socket", "rx_ring", "object", NULL},
	{"packet_socket", "tx_ring", "object", NULL},
	{"socket_queue", "rights", "array", "integer"},
};

/* Columns of which no range says enough: a condition that a bad value fulfils, with @ for it. */
static const struct text_range {
	const char *table, *column, *bad, *message;
} texts[] = {
	{"netns", "name",
	 "@ = '' OR @ IN ('.', '..') OR @ GLOB '*/*' OR length(CAST(@ AS BLOB)) > 255",
	 "it becomes a file under /run/netns: 1 to 255 bytes without slash"},
	{"netns", "pins",
	 "json_valid(@) AND EXISTS (SELECT 1 FROM json_each(@) WHERE type = 'text' AND (value NOT "
	 "GLOB '/*' OR value GLOB '*/../*' OR value GLOB '*/..'))",
	 "each is an absolute path without .."},
	{"sysctl", "name", "@ NOT GLOB '[a-z]*/*' OR @ GLOB '*/../*' OR @ GLOB '*/..'",
	 "a path below /proc/sys, as in net/ipv4/ip_forward"},
	{"socket_queue", "direction", "@ NOT IN ('packet', 'receive', 'send')",
	 "packet, receive or send"},
	{"userns", "setgroups", "@ NOT IN ('allow', 'deny')", "allow or deny"},
};

/* Number ranges in text, as "80" or "80-90". */
static const struct pair_range {
	const char *table, *column;
	int64_t max;
} pairs[] = {
	{"rule", "sport", U16_MAX},
	{"rule", "dport", U16_MAX},
	{"rule", "uidrange", U32_MAX},
};

/* ---- conditions about more than one value ---- */

/* A text that is an IPv4 address (inet(7), decimal, no leading zeros), and one that may be an IPv6 address
 * (RFC 4291; the number of groups is not counted). */
#define IS_V4(x)                                                                                   \
	"(" x " GLOB '[0-9]*.[0-9]*.[0-9]*.[0-9]*' AND " x " NOT GLOB '*[^0-9.]*' AND " x          \
	" NOT GLOB '*.*.*.*.*' AND " x " NOT GLOB '*..*' AND " x                                   \
	" NOT GLOB '*[0-9][0-9][0-9][0-9]*' AND " x " NOT GLOB '*[3-9][0-9][0-9]*' AND " x         \
	" NOT GLOB '*2[6-9][0-9]*' AND " x " NOT GLOB '*25[6-9]*' AND " x                          \
	" NOT GLOB '0[0-9]*' AND " x " NOT GLOB '*.0[0-9]*')"
#define IS_V6(x)                                                                                   \
	"(" x " GLOB '*:*:*' AND " x " NOT GLOB '*[^0-9a-f:.]*' AND " x " NOT GLOB '*:::*' AND " x \
	" NOT LIKE '%::%::%' AND length(" x ") <= 45 AND " x                                       \
	" NOT GLOB '*[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]*')"
#define BAD_IP(x, family)                                                                          \
	x " IS NOT NULL AND CASE " family                                                          \
	  " WHEN 2 THEN NOT " IS_V4(x) " WHEN 10 THEN NOT " IS_V6(x) " ELSE 0 END"
/* The same with "/LENGTH" behind it, or "default". */
#define BARE(x) "substr(" x ", 1, instr(" x " || '/', '/') - 1)"
#define BAD_PREFIX(x, family)                                                                      \
	x " IS NOT NULL AND " x " <> 'default' AND (" BAD_IP(                                      \
		BARE(x), family) " OR (" x " GLOB '*/*' AND (" x " NOT GLOB '*/[0-9]*' OR " x      \
				 " GLOB '*/*[^0-9]*' OR " x " GLOB '*/*/*' OR CAST(substr(" x      \
				 ", instr(" x ", '/') + 1) AS INTEGER) > CASE " family             \
				 " WHEN 2 THEN 32 ELSE 128 END)))"
#define NO_DEVICE(index)                                                                           \
	index " > 0 AND (SELECT external FROM netns WHERE id = NEW.netns) = 0 AND NOT EXISTS "     \
	      "(SELECT 1 FROM device WHERE netns = NEW.netns AND ifindex = " index ")"
#define SK_FAMILY "(SELECT family FROM socket WHERE id = NEW.socket)"
/* A name in bytes: an escape is one of them. */
#define BYTES(x)                                                                                   \
	"length(CAST(" x " AS BLOB)) - 3 * (length(" x ") - length(replace(" x                     \
	", '\\x', ''))) / 2 - (length(" x ") - length(replace(" x ", '\\\\', ''))) / 2"
#define NO_NETNS(of)                                                                               \
	of " IS NOT NULL AND NOT EXISTS (SELECT 1 FROM netns WHERE image = NEW.image AND "         \
	   "ns_id = " of ")"
#define FAMILY(list) "NEW.family NOT IN (" list ")"
#define SK_NETNS     "(SELECT netns FROM socket WHERE id = NEW.socket)"
/* An index that no device of a namespace has that is in the image; netns NULL: nobody can say. */
#define NOT_IN(in_netns, index)                                                                    \
	index " > 0 AND (SELECT external FROM netns WHERE id = " in_netns                          \
	      ") = 0 AND NOT EXISTS (SELECT 1 FROM device WHERE netns = " in_netns                 \
	      " AND ifindex = " index ")"
#define NOT_NAMED_IN(in_netns, name)                                                               \
	name " <> '' AND (SELECT external FROM netns WHERE id = " in_netns                         \
	     ") = 0 AND NOT EXISTS (SELECT 1 FROM device WHERE netns = " in_netns                  \
	     " AND name = " name ")"
#define BAD_RULESET(row)                                                                           \
	row ".content <> '' AND CASE " row ".format WHEN 'nftables' THEN ltrim(" row               \
	    ".content, ' ' || char(9, 10)) NOT GLOB 'table *{*}*' AND ltrim(" row                  \
	    ".content, ' ' || char(9, 10)) NOT GLOB '#*' ELSE " row                                \
	    ".content NOT GLOB '*[*][a-z]*COMMIT*' END"
#define RULESET_SENTENCE "firewall.content: not what nft list ruleset or iptables-save prints"
/* Bits of an IPv4 prefix behind its length (its text was looked at before): RFC 8259 has no leading zeros either. */
#define QUAD(x, n)       "json_extract('[' || replace(" BARE(x) ", '.', ',') || ']', '$[" n "]')"
#define HOST_BITS(x)                                                                               \
	x " GLOB '*/*' AND ((" QUAD(x, "0") " << 24 | " QUAD(x, "1") " << 16 | " QUAD(             \
		x, "2") " << 8 | " QUAD(x, "3") ") & ((1 << (32 - CAST(substr(" x ", instr(" x     \
						", '/') + 1) AS INTEGER))) - 1)) <> 0"

/* When a row is about. */
enum {
	ON_INSERT = 1,
	ON_UPDATE = 2,
	ON_BOTH = 3,
	BY_OTHERS = 4, /* not our own operations, which do it in more than one step */
};

static const struct condition {
	const char *table;
	const char *columns; /* separated by ", ": it looks when one of them changes */
	const char *bad, *message;
	unsigned when;
} conditions[] = {
	{"device", "ifindex, netns",
	 "EXISTS (SELECT 1 FROM device WHERE netns = NEW.netns AND ifindex = NEW.ifindex AND id <> "
	 "NEW.id)",
	 "device.ifindex: another device of this namespace has that index", ON_BOTH},
	{"device", "name, netns",
	 "EXISTS (SELECT 1 FROM device WHERE netns = NEW.netns AND name = NEW.name AND id <> "
	 "NEW.id)",
	 "device.name: another device of this namespace has that name", ON_BOTH},
	{"device", "name",
	 "NEW.name = '' OR NEW.name IN ('.', '..', 'all', 'default') OR NEW.name GLOB "
	 "'*[/: ]*' OR (NEW.name NOT GLOB '*\\*' AND length(CAST(NEW.name AS BLOB)) > 15)",
	 "device.name: 1 to 15 bytes without slash, colon and blank, neither all nor default",
	 ON_BOTH},
	/* '%' with a 'd' is a template to the kernel (dev_alloc_name) */
	{"device", "name", "NEW.name GLOB '*%d*'",
	 "device.name: a kernel would put a number for %d", ON_BOTH},
	{"device", "mtu", "NEW.mtu < 68 AND NEW.kind IN ('veth', 'bridge', 'macvlan', 'vxlan')",
	 "device.mtu: at least 68 (ETH_MIN_MTU)", ON_BOTH},
	{"device", "peer_netns",
	 "NEW.peer_netns IS NOT NULL AND NOT EXISTS (SELECT 1 FROM netns WHERE id = "
	 "NEW.peer_netns AND image = NEW.image)",
	 "device.peer_netns: the image has no such namespace", ON_BOTH},
	{"device", "link", "NEW.link <> NEW.ifindex AND " NOT_IN("NEW.peer_netns", "NEW.link"),
	 "device.link: the other namespace has no device with that index", ON_UPDATE | BY_OTHERS},
	{"device", "address", "NEW.address GLOB '*[^0-9a-f:.]*'",
	 "device.address: not a link-layer address, as in 02:00:00:00:00:01", ON_BOTH},
	{"device", "master", NO_DEVICE("NEW.master"),
	 "device.master: the namespace has no device with that index", ON_BOTH},
	{"address", "ifindex, netns", NO_DEVICE("NEW.ifindex"),
	 "address.ifindex: the namespace has no device with that index", ON_BOTH},
	{"address", "address, family", BAD_IP("NEW.address", "NEW.family"),
	 "address.address: not an address of its family", ON_BOTH},
	{"address", "peer, family", BAD_IP("NEW.peer", "NEW.family"),
	 "address.peer: not an address of its family", ON_BOTH},
	{"address", "broadcast, family", BAD_IP("NEW.broadcast", "NEW.family"),
	 "address.broadcast: not an address of its family", ON_BOTH},
	{"address", "prefixlen, family", "NEW.family = 2 AND NEW.prefixlen > 32",
	 "address.prefixlen: at most 32 for IPv4", ON_BOTH},
	{"route", "oif, netns", NO_DEVICE("NEW.oif"),
	 "route.oif: the namespace has no device with that index", ON_BOTH},
	{"route", "dst, family", BAD_PREFIX("NEW.dst", "NEW.family"),
	 "route.dst: not a prefix of its family, as in 10.0.0.0/24, 10.0.0.1 or default", ON_BOTH},
	/* "Invalid prefix for given prefix length" of fib_table_insert(); IPv6 leaves them out by itself */
	{"route", "dst, family", "NEW.family = 2 AND " HOST_BITS("NEW.dst"),
	 "route.dst: bits are set behind the length of the prefix", ON_BOTH | BY_OTHERS},
	{"route", "via, family", BAD_IP("NEW.via", "12 - NEW.family"),
	 "route.via: not an address of the other family", ON_BOTH},
	/* fib_create_info(): types with an error have no way to go */
	{"route", "type, gateway, oif",
	 "NEW.family = 2 AND NEW.type IN (6, 7, 8) AND (NEW.gateway IS NOT NULL OR NEW.oif IS NOT "
	 "NULL OR NEW.multipath IS NOT NULL)",
	 "route.type: blackhole, unreachable and prohibit have neither gateway nor device",
	 ON_BOTH | BY_OTHERS},
	{"route", "nh_id",
	 "NEW.nh_id > 0 AND NOT EXISTS (SELECT 1 FROM nexthop WHERE netns = NEW.netns AND nh_id = "
	 "NEW.nh_id)",
	 "route.nh_id: the namespace has no such nexthop object", ON_UPDATE | BY_OTHERS},
	{"route", "multipath",
	 "json_valid(NEW.multipath) AND EXISTS (SELECT 1 FROM json_each(NEW.multipath) WHERE "
	 "json_extract(value, '$.oif') > 0 AND json_extract(value, '$.oif') NOT IN (SELECT ifindex "
	 "FROM device WHERE netns = NEW.netns))",
	 "route.multipath: the namespace has no device with such an index (oif)",
	 ON_UPDATE | BY_OTHERS},
	{"route", "gateway, family", BAD_IP("NEW.gateway", "NEW.family"),
	 "route.gateway: not an address of its family (another family goes into via)", ON_BOTH},
	{"route", "prefsrc, family", BAD_IP("NEW.prefsrc", "NEW.family"),
	 "route.prefsrc: not an address of its family", ON_BOTH},
	{"rule", "src, family", BAD_PREFIX("NEW.src", "NEW.family"),
	 "rule.src: not a prefix of its family", ON_BOTH},
	{"rule", "dst, family", BAD_PREFIX("NEW.dst", "NEW.family"),
	 "rule.dst: not a prefix of its family", ON_BOTH},
	{"rule", "iif", "length(CAST(NEW.iif AS BLOB)) > 15", "rule.iif: at most 15 bytes",
	 ON_BOTH},
	{"rule", "oif", "length(CAST(NEW.oif AS BLOB)) > 15", "rule.oif: at most 15 bytes",
	 ON_BOTH},
	{"neighbour", "ifindex, netns", NO_DEVICE("NEW.ifindex"),
	 "neighbour.ifindex: the namespace has no device with that index", ON_BOTH},
	{"neighbour", "dst, family", BAD_IP("NEW.dst", "NEW.family"),
	 "neighbour.dst: not an address of its family", ON_BOTH},
	{"nexthop", "oif, netns", NO_DEVICE("NEW.oif"),
	 "nexthop.oif: the namespace has no device with that index", ON_BOTH},
	{"socket", "file_id",
	 "EXISTS (SELECT 1 FROM socket WHERE image = NEW.image AND file_id = NEW.file_id AND id <> "
	 "NEW.id)",
	 "socket.file_id: another socket of this image has that id", ON_BOTH},
	{"socket", "ino",
	 "NEW.ino > 0 AND EXISTS (SELECT 1 FROM socket WHERE image = NEW.image AND ino = NEW.ino "
	 "AND id <> NEW.id)",
	 "socket.ino: another socket of this image has that inode", ON_UPDATE | BY_OTHERS},
	{"socket", "type, protocol", "NEW.family IN (1, 2, 10)",
	 "socket.type: a socket stays of its type and protocol", ON_UPDATE},
	{"socket", "so_bound_dev", NOT_NAMED_IN("NEW.netns", "NEW.so_bound_dev"),
	 "socket.so_bound_dev: the namespace has no device of that name", ON_UPDATE | BY_OTHERS},
	{"inet_socket", "ifname", NOT_NAMED_IN(SK_NETNS, "NEW.ifname"),
	 "inet_socket.ifname: the namespace has no device of that name", ON_UPDATE | BY_OTHERS},
	{"inet_socket", "src_scope", NOT_IN(SK_NETNS, "NEW.src_scope"),
	 "inet_socket.src_scope: the namespace has no device with that index",
	 ON_UPDATE | BY_OTHERS},
	{"inet_socket", "dst",
	 "NEW.dst NOT IN ('0.0.0.0', '::') AND (SELECT state FROM socket WHERE id = NEW.socket) = "
	 "10",
	 "inet_socket.dst: a listening socket has no peer", ON_UPDATE | BY_OTHERS},
	{"packet_socket", "ifindex", NOT_IN(SK_NETNS, "NEW.ifindex"),
	 "packet_socket.ifindex: the namespace has no device with that index",
	 ON_UPDATE | BY_OTHERS},
	{"unix_socket", "peer",
	 "NEW.peer > 0 AND NOT EXISTS (SELECT 1 FROM socket s JOIN socket p ON p.image = s.image "
	 "AND p.ino = NEW.peer WHERE s.id = NEW.socket)",
	 "unix_socket.peer: the image has no socket with that inode", ON_UPDATE | BY_OTHERS},
	{"fd", "file_id",
	 "NEW.type IN (4, 5, 10, 13) AND NOT EXISTS (SELECT 1 FROM socket WHERE image = NEW.image "
	 "AND file_id = NEW.file_id)",
	 "fd.file_id: the image has no such socket", ON_UPDATE | BY_OTHERS},
	{"task", "pid",
	 "EXISTS (SELECT 1 FROM task WHERE image = NEW.image AND pid = NEW.pid AND id <> NEW.id)",
	 "task.pid: another task of this image has that number", ON_UPDATE},
	{"task", "userns",
	 "NEW.userns IS NOT NULL AND NOT EXISTS (SELECT 1 FROM userns WHERE image = NEW.image AND "
	 "ns_id = NEW.userns)",
	 "task.userns: the image has no such user namespace", ON_UPDATE},
	{"sysctl", "value",
	 "OLD.value GLOB '[0-9]*' AND OLD.value NOT GLOB '*[^0-9]*' AND NEW.value GLOB "
	 "'*[a-zA-Z]*'",
	 "sysctl.value: it is a number", ON_UPDATE},
	/* no client can be asked to parse it, but what nft list ruleset and iptables-save print begins and ends so */
	{"firewall", "content, format", BAD_RULESET("NEW"), RULESET_SENTENCE, ON_INSERT},
	{"firewall", "content, format", BAD_RULESET("NEW") " AND NOT (" BAD_RULESET("OLD") ")",
	 RULESET_SENTENCE, ON_UPDATE},
	{"fd", "fd, files_id",
	 "EXISTS (SELECT 1 FROM fd WHERE image = NEW.image AND files_id = NEW.files_id AND fd = "
	 "NEW.fd AND "
	 "id <> NEW.id)",
	 "fd.fd: that number is in use in this descriptor table", ON_BOTH},
	{"inet_socket", "src", BAD_IP("NEW.src", SK_FAMILY),
	 "inet_socket.src: not an address of the family of the socket", ON_BOTH},
	{"inet_socket", "dst", BAD_IP("NEW.dst", SK_FAMILY),
	 "inet_socket.dst: not an address of the family of the socket", ON_BOTH},
	{"netns", "ns_id",
	 "EXISTS (SELECT 1 FROM netns WHERE image = NEW.image AND ns_id = NEW.ns_id AND id <> "
	 "NEW.id)",
	 "netns.ns_id: another namespace of this image has that number", ON_BOTH},
	{"netns", "name",
	 "NEW.name IS NOT NULL AND EXISTS (SELECT 1 FROM netns WHERE image = NEW.image AND name = "
	 "NEW.name AND id <> NEW.id)",
	 "netns.name: another namespace of this image has that name", ON_BOTH},
	/* nsimg externalize gives another number to one that has no file */
	{"netns", "ns_id", "OLD.file IS NOT NULL OR (SELECT op FROM edit_state) = 0",
	 "netns.ns_id: numbers the files of the image and does not change", ON_UPDATE},
	{"fd", "files_id", "1", "fd.files_id: a descriptor stays in its table", ON_UPDATE},
	{"fd", "type", "1", "fd.type: a descriptor stays of its type", ON_UPDATE},
	{"device", "kind, nd_type", "1", "device.kind: a device stays of its kind", ON_UPDATE},
	{"socket", "family", "1", "socket.family: a socket stays of its family", ON_UPDATE},
	{"task", "ns_id", NO_NETNS("NEW.ns_id"), "task.ns_id: the image has no such namespace",
	 ON_BOTH},
	{"socket", "ns_id", NO_NETNS("NEW.ns_id"), "socket.ns_id: the image has no such namespace",
	 ON_BOTH},
	{"socket", "ns_id, netns",
	 "NEW.ns_id IS NOT NULL AND NEW.netns IS NOT NULL AND (SELECT ns_id FROM netns WHERE id = "
	 "NEW.netns) IS NOT NEW.ns_id",
	 "socket.ns_id: netns is another namespace (set both)", ON_UPDATE | BY_OTHERS},
	{"address", "family", FAMILY("2, 10"), "address.family: 2 or 10", ON_BOTH},
	{"address", "address", "NEW.address IS NULL", "address.address: it has to be there",
	 ON_BOTH},
	{"address", "label", "length(CAST(NEW.label AS BLOB)) > 15",
	 "address.label: at most 15 bytes", ON_BOTH},
	{"address", "address, ifindex",
	 "EXISTS (SELECT 1 FROM address WHERE image = NEW.image AND address = NEW.address AND "
	 "netns = NEW.netns AND ifindex = NEW.ifindex AND prefixlen = NEW.prefixlen AND id <> "
	 "NEW.id)",
	 "address.address: the device has it already", ON_INSERT | BY_OTHERS},
	{"route", "family", FAMILY("2, 10, 28, 128, 129"), "route.family: 2, 10 or 28 (MPLS)",
	 ON_BOTH},
	{"route", "src, family", BAD_PREFIX("NEW.src", "NEW.family"),
	 "route.src: not a prefix of its family", ON_BOTH},
	{"rule", "family", FAMILY("2, 10, 128, 129"), "rule.family: 2 or 10", ON_BOTH},
	{"neighbour", "lladdr", "NEW.lladdr GLOB '*[^0-9a-f:.]*'",
	 "neighbour.lladdr: not a link-layer address", ON_BOTH},
	{"nexthop", "gateway, family", BAD_IP("NEW.gateway", "NEW.family"),
	 "nexthop.gateway: not an address of its family", ON_BOTH},
	{"conntrack", "family", FAMILY("2, 10"), "conntrack.family: 2 or 10", ON_BOTH},
	{"conntrack", "src, family", BAD_IP("NEW.src", "NEW.family"),
	 "conntrack.src: not an address of its family", ON_BOTH},
	{"conntrack", "dst, family", BAD_IP("NEW.dst", "NEW.family"),
	 "conntrack.dst: not an address of its family", ON_BOTH},
	{"device", "broadcast", "NEW.broadcast GLOB '*[^0-9a-f:.]*'",
	 "device.broadcast: not a link-layer address", ON_BOTH},
	{"device", "address",
	 "NEW.kind IN ('veth', 'bridge', 'bond', 'team', 'dummy', 'vlan', 'vxlan', 'macvlan') AND "
	 "(length(NEW.address) <> 17 OR NEW.address = '00:00:00:00:00:00' OR substr(NEW.address, "
	 "2, "
	 "1) GLOB '[13579bdfBDF]')",
	 "device.address: 6 bytes, not all zero, and not those of a group", ON_BOTH},
	{"device", "alias", "length(NEW.alias) > 255", "device.alias: at most 255 bytes", ON_BOTH},
	{"device", "link", "NEW.kind = 'veth' AND NEW.link IS NULL",
	 "device.link: a veth has its peer there", ON_UPDATE | BY_OTHERS},
	{"device", "master",
	 "(SELECT kind FROM device WHERE netns = NEW.netns AND ifindex = NEW.master) IN ('veth', "
	 "'dummy', 'vlan', 'vxlan', 'macvlan', 'ipvlan', 'loopback', 'tun')",
	 "device.master: a device of that kind has no ports", ON_BOTH},
	{"device", "altnames",
	 "json_valid(NEW.altnames) AND EXISTS (SELECT 1 FROM json_each(NEW.altnames) j WHERE "
	 "EXISTS "
	 "(SELECT 1 FROM device WHERE netns = NEW.netns AND name = j.value) OR EXISTS (SELECT 1 "
	 "FROM json_each(NEW.altnames) k WHERE k.value = j.value AND k.id <> j.id))",
	 "device.altnames: a device of this namespace has such a name already", ON_BOTH},
	{"socket", "ino", "NEW.ino IS NULL", "socket.ino: it has to be there", ON_UPDATE},
	{"socket", "so_filter", "length(NEW.so_filter) % 8 <> 0",
	 "socket.so_filter: 8 bytes an instruction", ON_BOTH},
	{"inet_socket", "src", "NEW.src IS NULL", "inet_socket.src: it has to be there", ON_UPDATE},
	{"inet_socket", "dst", "NEW.dst IS NULL", "inet_socket.dst: it has to be there", ON_UPDATE},
	{"unix_socket", "name", "NEW.name IS NULL", "unix_socket.name: empty where there is none",
	 ON_UPDATE},
	{"unix_socket", "name", BYTES("NEW.name") " > 108", "unix_socket.name: at most 108 bytes",
	 ON_BOTH},
	{"unix_socket", "name",
	 "instr(replace(replace(NEW.name, '\\\\', ''), '\\x', ''), '\\') OR replace(NEW.name, "
	 "'\\\\', '') || '/' GLOB '*\\x[^0-9a-f]*' OR replace(NEW.name, '\\\\', '') || '/' GLOB "
	 "'*\\x?[^0-9a-f]*'",
	 "unix_socket.name: a backslash is written \\\\, a byte \\xNN", ON_BOTH},
	{"socket", "so_bound_dev", "length(NEW.so_bound_dev) > 15",
	 "socket.so_bound_dev: a device has at most 15 bytes", ON_BOTH},
	{"socket", "memberships",
	 "json_valid(NEW.memberships) AND EXISTS (SELECT 1 FROM json_each(NEW.memberships) WHERE "
	 "json_extract(value, '$.group') NOT GLOB '22[4-9].*' AND json_extract(value, '$.group') "
	 "NOT GLOB '23[0-9].*' AND json_extract(value, '$.group') NOT GLOB 'ff*')",
	 "socket.memberships: not a multicast group", ON_BOTH},
	{"inet_socket", "socket",
	 "NOT EXISTS (SELECT 1 FROM socket WHERE id = NEW.socket AND family IN (2, 10))",
	 "inet_socket.socket: no such socket of IPv4 or IPv6", ON_INSERT},
	{"unix_socket", "socket",
	 "NOT EXISTS (SELECT 1 FROM socket WHERE id = NEW.socket AND family = 1)",
	 "unix_socket.socket: no such unix socket", ON_INSERT},
	{"task", "comm", "length(NEW.comm) > 60", "task.comm: at most 15 bytes", ON_BOTH},
	{"nsid", "target",
	 "NOT EXISTS (SELECT 1 FROM netns WHERE id = NEW.target AND image = NEW.image)",
	 "nsid.target: the image has no such namespace", ON_BOTH},
	{"nsid", "value, netns",
	 "EXISTS (SELECT 1 FROM nsid WHERE netns = NEW.netns AND value = NEW.value AND id <> "
	 "NEW.id)",
	 "nsid.value: the namespace uses it for another", ON_BOTH},
	{"netns", "owner",
	 "NEW.owner IS NOT NULL AND NOT EXISTS (SELECT 1 FROM userns WHERE image = NEW.image AND "
	 "ns_id = NEW.owner)",
	 "netns.owner: the image has no such user namespace", ON_UPDATE},
	{"sysctl", "name",
	 "EXISTS (SELECT 1 FROM sysctl WHERE netns = NEW.netns AND name = NEW.name AND id <> "
	 "NEW.id)",
	 "sysctl.name: the namespace has it already", ON_INSERT | BY_OTHERS},
};

/* Texts that are names of something: UTF-8 without what base/escape.h escapes. */
static const struct utf8_texts {
	const char *table, *columns; /* separated by blanks */
} utf8_texts[] = {
	{"netns", "name ext_key"}, {"device", "name alias"},
	{"address", "label"},      {"rule", "iif oif"},
	{"sysctl", "name value"},  {"task", "comm"},
	{"thread", "comm"},        {"socket", "so_bound_dev"},
	{"inet_socket", "ifname"}, {"unix_socket", "name name_dir bound_path"},
	{"tun_file", "netdev"},    {"image", "name"},
};

/* ---- the SQL ---- */

/* The arms of a CASE that raises: one for each column or condition. */
struct arms {
	struct buf *sql;
	const char *table;
	bool is_update;
};

static int arm_begin(struct arms *a, const char *column, struct err *e)
{
	return buf_add_str(a->sql, " WHEN ", e) ||
			       (a->is_update &&
				buf_printf(a->sql, e, "NEW.\"%s\" IS NOT OLD.\"%s\" AND ", column,
					   column))
		       ? -1
		       : 0;
}

static int arm_end(struct arms *a, struct err *e, const char *column, const char *message)
{
	return buf_printf(a->sql, e, " THEN RAISE(ABORT, '%s.%s%s')\n", a->table, column, message);
}

/* The next of the words of a list. */
static bool word_next(const char **at, const char *seps, char *word, size_t size)
{
	size_t n;

	*at += strspn(*at, seps);
	n = strcspn(*at, seps);
	snprintf(word, size, "%.*s", (int)n, *at);
	*at += n;
	return n;
}

static int number_arms(struct arms *a, const struct number_range *r, struct err *e)
{
	char column[32], message[80];
	const char *at = r->columns;

	if (r->max == INT64_MAX)
		snprintf(message, sizeof(message), " is %" PRId64 " or more", r->min);
	else
		snprintf(message, sizeof(message), " is %" PRId64 " %s %" PRId64, r->min,
			 r->max == 1 ? "or" : "to", r->max);
	while (word_next(&at, " ", column, sizeof(column)))
		if (arm_begin(a, column, e) ||
		    buf_printf(a->sql, e, "NEW.\"%s\" NOT BETWEEN %" PRId64 " AND %" PRId64, column,
			       r->min, r->max) ||
		    arm_end(a, e, column, message))
			return -1;
	return 0;
}

static int json_arm(struct arms *a, const struct json_range *r, struct err *e)
{
	char message[80];
	const char *c = r->column;

	snprintf(message, sizeof(message), " is JSON: an %s%s%s%s", r->type, r->each ? " of " : "",
		 r->each ? r->each : "", r->each ? "s" : "");
	if (arm_begin(a, c, e) ||
	    buf_printf(a->sql, e,
		       "CASE WHEN json_valid(NEW.\"%s\") THEN json_type(NEW.\"%s\") <> '%s'", c, c,
		       r->type) ||
	    (r->each &&
	     buf_printf(a->sql, e,
			" OR EXISTS (SELECT 1 FROM json_each(NEW.\"%s\") WHERE type <> '%s')", c,
			r->each)) ||
	    buf_printf(a->sql, e, " ELSE NEW.\"%s\" IS NOT NULL END", c))
		return -1;
	return arm_end(a, e, c, message);
}

static int text_arm(struct arms *a, const struct text_range *r, struct err *e)
{
	if (arm_begin(a, r->column, e) || buf_add_str(a->sql, "(", e))
		return -1;
	for (const char *at = r->bad; *at; at++)
		if (*at == '@' ? buf_printf(a->sql, e, "NEW.\"%s\"", r->column)
			       : buf_add(a->sql, at, 1, e))
			return -1;
	return buf_printf(a->sql, e, ") THEN RAISE(ABORT, '%s.%s: %s')\n", a->table, r->column,
			  r->message);
}

static int pair_arm(struct arms *a, const struct pair_range *r, struct err *e)
{
	char bad[400], message[80];
	const struct text_range row = {r->table, r->column, bad, message};

	snprintf(bad, sizeof(bad),
		 "@ NOT GLOB '[0-9]*' OR @ GLOB '*[^0-9-]*' OR @ GLOB '*-*-*' OR @ GLOB '*-' OR "
		 "CAST(@ AS INTEGER) > CAST(substr(@, instr(@, '-') + 1) AS INTEGER) OR "
		 "CAST(substr(@, instr(@, '-') + 1) AS INTEGER) > %" PRId64,
		 r->max);
	snprintf(message, sizeof(message), "a number or a range within 0 to %" PRId64, r->max);
	return text_arm(a, &row, e);
}

static int condition_arm(struct arms *a, const struct condition *c, struct err *e)
{
	const char *at = c->columns, *sep = "(";
	char column[32];

	if (!(c->when & (a->is_update ? ON_UPDATE : ON_INSERT)))
		return 0;
	if (buf_add_str(a->sql, " WHEN ", e) ||
	    (c->when & BY_OTHERS && buf_add_str(a->sql, "(SELECT op FROM edit_state) = 0 AND ", e)))
		return -1;
	while (a->is_update && word_next(&at, ", ", column, sizeof(column))) {
		if (buf_printf(a->sql, e, "%sNEW.\"%s\" IS NOT OLD.\"%s\"", sep, column, column))
			return -1;
		sep = " OR ";
	}
	return buf_printf(a->sql, e, "%s(%s) THEN RAISE(ABORT, '%s')\n",
			  a->is_update ? ") AND " : "", c->bad, c->message);
}

/* A text is UTF-8 when each of its characters is what char() makes of its number: unicode() reads a wrong sequence as
 * U+FFFD. Nearly all are printable ASCII, and that is seen at once. */
static int utf8_arms(struct arms *a, const struct utf8_texts *u, struct err *e)
{
	static const char odd[] =
		"(@ GLOB '*[^ -~]*' OR instr(@, char(0))) AND (instr(@, char(0)) OR EXISTS (WITH "
		"RECURSIVE s(r) AS (SELECT @ UNION ALL SELECT substr(r, 2) FROM s WHERE r <> '') "
		"SELECT 1 FROM s WHERE r <> '' AND (substr(r, 1, 1) <> char(unicode(r)) OR "
		"unicode(r) < "
		"32 OR unicode(r) BETWEEN 127 AND 159 OR unicode(r) IN (1564, 8206, 8207) OR "
		"unicode(r) "
		"BETWEEN 8234 AND 8238 OR unicode(r) BETWEEN 8294 AND 8297)))";
	const char *at = u->columns;
	char column[32];
	struct text_range row = {
		u->table, column, odd,
		"UTF-8 without zero bytes and controls; other bytes are written \\xNN"};

	while (word_next(&at, " ", column, sizeof(column)))
		if (text_arm(a, &row, e))
			return -1;
	return 0;
}

/* What says which row it is: the key, where it came from, and its namespace, which is one of the same image. */
static int identity_arms(struct arms *a, struct query *columns, struct err *e)
{
	static const char *const origin[] = {"image", "file", "rec", "off"};
	auto_buf struct buf moved = {0};
	char key[32] = "";
	bool has_netns = false;
	int rc;

	while ((rc = query_next(columns, e)) == 1) {
		const char *name = query_text(columns, 0);

		if (!*key)
			snprintf(key, sizeof(key), "%s", name);
		has_netns |= !strcmp(name, "netns");
		for (size_t i = 0; i < ARRAY_SIZE(origin); i++)
			if (!strcmp(name, origin[i]) &&
			    buf_printf(&moved, e, "%sNEW.%s IS NOT OLD.%s", moved.len ? " OR " : "",
				       name, name))
				return -1;
	}
	if (rc || (a->is_update && (arm_begin(a, key, e) || buf_add_str(a->sql, "1", e) ||
				    arm_end(a, e, key, ": the key of a row does not change"))))
		return -1;
	if (a->is_update && moved.len &&
	    buf_printf(a->sql, e,
		       " WHEN (SELECT op FROM edit_state) = 0 AND (%s) THEN RAISE(ABORT, '%s: "
		       "image, file, rec and off say where a row came from')\n",
		       (const char *)moved.data, a->table))
		return -1;
	if (!has_netns)
		return 0;
	return arm_begin(a, "netns", e) ||
			       buf_add_str(a->sql,
					   "NEW.netns IS NOT NULL AND NOT EXISTS (SELECT 1 FROM "
					   "netns WHERE id = NEW.netns AND image = NEW.image)",
					   e) ||
			       arm_end(a, e, "netns", ": the image has no such namespace")
		       ? -1
		       : 0;
}

#define ARMS_OF(rows, fn)                                                                          \
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)                                              \
		if (!strcmp((rows)[i].table, a->table) && fn(a, &(rows)[i], e))                    \
			return -1;

static int table_arms(struct arms *a, struct query *columns, struct err *e)
{
	if (strcmp(a->table, "image") != 0 && identity_arms(a, columns, e))
		return -1;
	ARMS_OF(numbers, number_arms)
	ARMS_OF(jsons, json_arm)
	ARMS_OF(texts, text_arm)
	ARMS_OF(pairs, pair_arm)
	ARMS_OF(utf8_texts, utf8_arms)
	ARMS_OF(conditions, condition_arm)
	return 0;
}

int checks_add(struct db *db, struct buf *sql, const char *table, struct err *e)
{
	auto_query struct query *columns =
		query_new(db, "SELECT name FROM pragma_table_info(:t) ORDER BY cid", e);

	for (int is_update = 0; is_update < 2; is_update++) {
		auto_buf struct buf text = {0};
		struct arms a = {.sql = &text, .table = table, .is_update = is_update};

		if (!columns || query_bind_text(columns, "t", table, e) ||
		    table_arms(&a, columns, e))
			return -1;
		if (text.len &&
		    buf_printf(sql, e,
			       "CREATE TRIGGER %s_check_%s BEFORE %s ON %s WHEN " TRIGGERS_QUIET
			       " BEGIN\n SELECT (CASE\n%s END);\nEND;\n",
			       table, is_update ? "update" : "insert",
			       is_update ? "UPDATE" : "INSERT", table, (const char *)text.data))
			return -1;
	}
	return 0;
}
