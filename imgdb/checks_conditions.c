/* What an edit may not do, when a range of one value does not say it: conditions in SQL, in the order in which they are
 * asked. checks.c says when. NEW is the row as the edit makes it, OLD its columns as they were (NULL where a row is added),
 * @ the first of the columns, of which a condition says that NULL is not bad, op the operation of ours, 0
 * of another client. */
#include "imgdb/checks_int.h"

#include "base/cleanup.h"
#include "imgdb/db_sqlite.h"

#define NO_DEVICE(index)                                                                           \
	index " > 0 AND (SELECT external FROM netns WHERE id = NEW.netns) = 0 AND NOT EXISTS "     \
	      "(SELECT 1 FROM device WHERE netns = NEW.netns AND ifindex = " index ")"
/* A name in bytes: an escape is one of them. */
#define BYTES(x)                                                                                   \
	"length(CAST(" x " AS BLOB)) - 3 * (length(" x ") - length(replace(" x                     \
	", '\\x', ''))) / 2 - (length(" x ") - length(replace(" x ", '\\\\', ''))) / 2"
#define NO_NETNS(of)                                                                               \
	"NOT EXISTS (SELECT 1 FROM netns WHERE image = NEW.image AND "                             \
	"ns_id = " of ")"
#define FAMILY(list) "@ NOT IN (" list ")"
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
#define ROUTE_KEY(x)                                                                               \
	"(" x ".family, " x ".src, " x ".\"table\", " x ".type, " x ".scope, " x ".tos, " x        \
	".priority, " x ".protocol, " x ".oif, " x ".gateway, " x ".via, " x ".prefsrc, " x        \
	".nh_id, " x ".multipath, " x ".metrics, " x ".other)"

const struct condition check_conditions[] = {
	{"device", "ifindex, netns",
	 "EXISTS (SELECT 1 FROM device WHERE netns = NEW.netns AND ifindex = @ AND id <> "
	 "NEW.id)",
	 "device.ifindex: another device of this namespace has that index", ON_BOTH},
	{"device", "name, netns",
	 "EXISTS (SELECT 1 FROM device WHERE netns = NEW.netns AND name = @ AND id <> "
	 "NEW.id)",
	 "device.name: another device of this namespace has that name", ON_BOTH},
	{"device", "altnames, netns",
	 "EXISTS (SELECT 1 FROM json_each(@) j WHERE j.value = '' OR j.value GLOB "
	 "'*[/ ]*' OR length(CAST(j.value AS BLOB)) > 127)",
	 "device.altnames: 1 to 127 bytes without slash and blank", ON_BOTH},
	{"device", "altnames, netns",
	 "EXISTS (SELECT 1 FROM json_each(@) j WHERE j.value = NEW.name OR EXISTS "
	 "(SELECT 1 FROM device d WHERE d.netns = NEW.netns AND d.id <> NEW.id AND (d.name = "
	 "j.value OR EXISTS (SELECT 1 FROM json_each(d.altnames) o WHERE o.value = j.value))) OR "
	 "EXISTS (SELECT 1 FROM json_each(@) k WHERE k.value = j.value AND k.id <> "
	 "j.id))",
	 "device.altnames: a device of this namespace has such a name already", ON_BOTH},
	{"device", "name, netns",
	 "EXISTS (SELECT 1 FROM device d, json_each(d.altnames) a WHERE d.netns = NEW.netns AND "
	 "a.value = @)",
	 "device.name: it is an alternative name of a device of this namespace", ON_BOTH},
	{"device", "link_netnsid",
	 "@ >= 0 AND NOT EXISTS (SELECT 1 FROM nsid WHERE netns = NEW.netns AND "
	 "value = @)",
	 "device.link_netnsid: the namespace has no other under that id", ON_UPDATE | BY_OTHERS},
	{"device", "name",
	 "@ = '' OR @ IN ('.', '..', 'all', 'default') OR @ GLOB "
	 "'*[/: ]*' OR replace(@, '\\\\', '') GLOB '*\\x0[9a-d]*' OR " BYTES("@") " > 15",
	 "device.name: 1 to 15 bytes without slash, colon and blank, neither all nor default",
	 ON_BOTH},
	/* '%' with a 'd' is a template to the kernel (dev_alloc_name) */
	{"device", "name", "@ GLOB '*%d*'", "device.name: a kernel would put a number for %d",
	 ON_BOTH},
	{"device", "mtu", "@ < 68 AND NEW.kind IN ('veth', 'bridge', 'macvlan', 'vxlan')",
	 "device.mtu: at least 68 (ETH_MIN_MTU)", ON_BOTH},
	{"device", "mtu",
	 "@ NOT BETWEEN coalesce(NEW.other ->> 'min_mtu', 0) AND "
	 "coalesce(nullif(NEW.other ->> 'max_mtu', 0), @)",
	 "device.mtu: not within min_mtu and max_mtu (other)", ON_BOTH},
	/* vlan_validate(), vxlan_validate(), geneve_validate() */
	{"device", "attrs",
	 "@ ->> 'id' > CASE NEW.kind WHEN 'vlan' THEN 4094 WHEN 'vxlan' THEN 16777215 WHEN "
	 "'geneve' THEN 16777215 END",
	 "device.attrs: id is at most 4094 for a vlan, 16777215 for vxlan and geneve", ON_BOTH},
	{"device", "link",
	 "@ = NEW.ifindex AND coalesce(NEW.peer_netns, NEW.netns) = NEW.netns AND "
	 "coalesce(NEW.link_netnsid, -1) < 0 AND NEW.kind IN ('veth', 'vlan', 'macvlan', "
	 "'macvtap', 'ipvlan', 'ipvtap', 'macsec')",
	 "device.link: a device is not its own link", ON_BOTH | BY_OTHERS},
	{"device", "peer_netns",
	 "NOT EXISTS (SELECT 1 FROM netns WHERE id = "
	 "@ AND image = NEW.image)",
	 "device.peer_netns: the image has no such namespace", ON_BOTH},
	{"device", "link", "@ <> NEW.ifindex AND " NOT_IN("NEW.peer_netns", "@"),
	 "device.link: the other namespace has no device with that index", ON_UPDATE | BY_OTHERS},
	{"device", "address", "@ GLOB '*[^0-9a-f:.]*'",
	 "device.address: not a link-layer address, as in 02:00:00:00:00:01", ON_BOTH},
	{"device", "master", NO_DEVICE("@"),
	 "device.master: the namespace has no device with that index", ON_BOTH},
	{"address", "ifindex, netns", NO_DEVICE("@"),
	 "address.ifindex: the namespace has no device with that index", ON_BOTH},
	{"address", "prefixlen, family", "NEW.family = 2 AND @ > 32",
	 "address.prefixlen: at most 32 for IPv4", ON_BOTH},
	{"route", "oif, netns", NO_DEVICE("@"),
	 "route.oif: the namespace has no device with that index", ON_BOTH},
	/* "Invalid prefix for given prefix length" of fib_table_insert(); of IPv6 below */
	/* EEXIST of fib_table_insert() and fib6_add_rt2node(): what differs in none of these */
	{"route",
	 "netns, family, dst, src, table, type, scope, tos, priority, protocol, oif, gateway, via, "
	 "prefsrc, nh_id, multipath, metrics, other",
	 "EXISTS (SELECT 1 FROM route r WHERE r.netns = NEW.netns AND r.dst = NEW.dst AND r.id <> "
	 "NEW.id AND " ROUTE_KEY("r") " IS " ROUTE_KEY("NEW") ")",
	 "route.dst: the namespace has that route already", ON_BOTH | BY_OTHERS},
	/* fib_create_info(): types with an error have no way to go */
	{"route", "type, gateway, oif",
	 "NEW.family = 2 AND NEW.type IN (6, 7, 8) AND (NEW.gateway IS NOT NULL OR NEW.oif IS NOT "
	 "NULL OR NEW.multipath IS NOT NULL)",
	 "route.type: blackhole, unreachable and prohibit have neither gateway nor device",
	 ON_BOTH | BY_OTHERS},
	{"route", "nh_id",
	 "@ > 0 AND NOT EXISTS (SELECT 1 FROM nexthop WHERE netns = NEW.netns AND nh_id = "
	 "@)",
	 "route.nh_id: the namespace has no such nexthop object", ON_BOTH | BY_OTHERS},
	{"route", "multipath",
	 "json_valid(@) AND EXISTS (SELECT 1 FROM json_each(@) WHERE "
	 "json_extract(value, '$.oif') > 0 AND json_extract(value, '$.oif') NOT IN (SELECT ifindex "
	 "FROM device WHERE netns = NEW.netns))",
	 "route.multipath: the namespace has no device with such an index (oif)",
	 ON_UPDATE | BY_OTHERS},
	{"rule", "iif", BYTES("@") " > 15", "rule.iif: at most 15 bytes", ON_BOTH},
	{"rule", "oif", BYTES("@") " > 15", "rule.oif: at most 15 bytes", ON_BOTH},
	{"neighbour", "ifindex, netns", NO_DEVICE("@"),
	 "neighbour.ifindex: the namespace has no device with that index", ON_BOTH},
	{"nexthop", "oif, netns", NO_DEVICE("@"),
	 "nexthop.oif: the namespace has no device with that index", ON_BOTH},
	{"socket", "file_id",
	 "EXISTS (SELECT 1 FROM socket WHERE image = NEW.image AND file_id = @ AND id <> "
	 "NEW.id)",
	 "socket.file_id: another socket of this image has that id", ON_BOTH},
	{"socket", "ino",
	 "@ > 0 AND EXISTS (SELECT 1 FROM socket WHERE image = NEW.image AND ino = @ "
	 "AND id <> NEW.id)",
	 "socket.ino: another socket of this image has that inode", ON_UPDATE | BY_OTHERS},
	{"socket", "type, protocol", "NEW.family IN (1, 2, 10)",
	 "socket.type: a socket stays of its type and protocol", ON_UPDATE},
	{"socket", "state",
	 "NEW.type = 1 AND NEW.family IN (2, 10) AND EXISTS (SELECT 1 FROM inet_socket WHERE "
	 "socket "
	 "= NEW.id AND CASE @ WHEN 10 THEN dst_port <> 0 WHEN 1 THEN dst_port = 0 END)",
	 "socket.state: a listening socket has no peer, an established one has",
	 ON_UPDATE | BY_OTHERS},
	/* of an MPTCP socket the kernel takes any */
	{"socket", "tcp_keepcnt", "NEW.protocol = 6 AND @ NOT BETWEEN 1 AND 127",
	 "socket.tcp_keepcnt: 1 to 127 (MAX_TCP_KEEPCNT)", ON_BOTH},
	{"socket", "tcp_keepidle", "NEW.protocol = 6 AND @ NOT BETWEEN 1 AND 32767",
	 "socket.tcp_keepidle: 1 to 32767 (MAX_TCP_KEEPIDLE)", ON_BOTH},
	{"socket", "tcp_keepintvl", "NEW.protocol = 6 AND @ NOT BETWEEN 1 AND 32767",
	 "socket.tcp_keepintvl: 1 to 32767 (MAX_TCP_KEEPINTVL)", ON_BOTH},
	{"socket", "fown",
	 "(SELECT count(*) FROM json_each(@) WHERE type = "
	 "'integer') <> 5",
	 "socket.fown: uid, euid, signum, pid_type and pid, all of them", ON_BOTH},
	{"socket", "so_bound_dev", NOT_NAMED_IN("NEW.netns", "@"),
	 "socket.so_bound_dev: the namespace has no device of that name", ON_UPDATE | BY_OTHERS},
	{"inet_socket", "ifname", NOT_NAMED_IN(SK_NETNS, "@"),
	 "inet_socket.ifname: the namespace has no device of that name", ON_UPDATE | BY_OTHERS},
	{"inet_socket", "src_scope", NOT_IN(SK_NETNS, "@"),
	 "inet_socket.src_scope: the namespace has no device with that index",
	 ON_UPDATE | BY_OTHERS},
	{"inet_socket", "dst, dst_port",
	 "(@ NOT IN ('0.0.0.0', '::') OR NEW.dst_port > 0) AND (SELECT state FROM socket WHERE id "
	 "= NEW.socket) = "
	 "10",
	 "inet_socket.dst: a listening socket has no peer", ON_UPDATE | BY_OTHERS},
	{"packet_socket", "ifindex", NOT_IN(SK_NETNS, "@"),
	 "packet_socket.ifindex: the namespace has no device with that index",
	 ON_UPDATE | BY_OTHERS},
	{"unix_socket", "peer",
	 "@ > 0 AND NOT EXISTS (SELECT 1 FROM socket s JOIN socket p ON p.image = s.image "
	 "AND p.ino = @ WHERE s.id = NEW.socket)",
	 "unix_socket.peer: the image has no socket with that inode", ON_UPDATE | BY_OTHERS},
	{"fd", "file_id",
	 "NEW.type IN (4, 5, 10, 13) AND NOT EXISTS (SELECT 1 FROM socket WHERE image = NEW.image "
	 "AND file_id = @)",
	 "fd.file_id: the image has no such socket", ON_UPDATE | BY_OTHERS},
	{"task", "pid",
	 "EXISTS (SELECT 1 FROM task WHERE image = NEW.image AND pid = @ AND id <> NEW.id)",
	 "task.pid: another task of this image has that number", ON_UPDATE},
	{"task", "ppid",
	 "@ > 0 AND NOT EXISTS (SELECT 1 FROM task WHERE image = NEW.image AND pid = "
	 "@)",
	 "task.ppid: the image has no such task", ON_UPDATE | BY_OTHERS},
	{"task", "userns",
	 "NOT EXISTS (SELECT 1 FROM userns WHERE image = NEW.image AND "
	 "ns_id = @)",
	 "task.userns: the image has no such user namespace", ON_UPDATE},
	{"sysctl", "value",
	 "OLD.value GLOB '[0-9]*' AND OLD.value NOT GLOB '*[^0-9]*' AND @ GLOB "
	 "'*[a-zA-Z]*'",
	 "sysctl.value: it is a number", ON_UPDATE},
	{"sysctl", "path", "1", "sysctl.path: a value stays at its place in the record",
	 ON_UPDATE | BY_OTHERS},
	{"tcp_stream", "inq_len", "NEW.inq_len IS NOT " TRIGGERS_QUEUED("NEW", "receive"),
	 "tcp_stream.inq_len: follows from the bytes in socket_queue: change those", ON_UPDATE},
	{"tcp_stream", "outq_len", "NEW.outq_len IS NOT " TRIGGERS_QUEUED("NEW", "send"),
	 "tcp_stream.outq_len: follows from the bytes in socket_queue: change those", ON_UPDATE},
	{"firewall", "netns", "1",
	 "firewall.netns: a ruleset stays in its namespace (take it away here, add it there)",
	 ON_UPDATE | BY_OTHERS},
	/* no client can be asked to parse it, but what nft list ruleset and iptables-save print begins and ends so */
	{"firewall", "content, format",
	 BAD_RULESET("NEW") " AND NOT coalesce(" BAD_RULESET("OLD") ", 0)",
	 "firewall.content: not what nft list ruleset or iptables-save prints", ON_BOTH},
	{"fd", "fd, files_id",
	 "EXISTS (SELECT 1 FROM fd WHERE image = NEW.image AND files_id = NEW.files_id AND fd = "
	 "@ AND "
	 "id <> NEW.id)",
	 "fd.fd: that number is in use in this descriptor table", ON_BOTH},
	{"netns", "ns_id",
	 "EXISTS (SELECT 1 FROM netns WHERE image = NEW.image AND ns_id = @ AND id <> "
	 "NEW.id)",
	 "netns.ns_id: another namespace of this image has that number", ON_BOTH},
	{"netns", "name",
	 "EXISTS (SELECT 1 FROM netns WHERE image = NEW.image AND name = "
	 "@ AND id <> NEW.id)",
	 "netns.name: another namespace of this image has that name", ON_BOTH},
	/* nsimg externalize gives another number to one that has no file */
	{"netns", "ext_key",
	 "@ <> '' AND EXISTS (SELECT 1 FROM netns WHERE image = NEW.image AND ext_key = @ AND id "
	 "<> "
	 "NEW.id)",
	 "netns.ext_key: another namespace of this image has that key", ON_BOTH},
	{"netns", "ns_id", "OLD.file IS NOT NULL OR op = 0",
	 "netns.ns_id: numbers the files of the image and does not change", ON_UPDATE},
	{"fd", "files_id", "1", "fd.files_id: a descriptor stays in its table", ON_UPDATE},
	{"fd", "type", "1", "fd.type: a descriptor stays of its type", ON_UPDATE},
	{"device", "kind, nd_type", "1", "device.kind: a device stays of its kind", ON_UPDATE},
	{"socket", "family", "1", "socket.family: a socket stays of its family", ON_UPDATE},
	{"task", "ns_id", NO_NETNS("@"), "task.ns_id: the image has no such namespace", ON_BOTH},
	{"socket", "ns_id", NO_NETNS("@"), "socket.ns_id: the image has no such namespace",
	 ON_BOTH},
	{"socket", "ns_id, netns",
	 "NEW.netns IS NOT NULL AND (SELECT ns_id FROM netns WHERE id = "
	 "NEW.netns) IS NOT @",
	 "socket.ns_id: netns is another namespace (set both)", ON_UPDATE | BY_OTHERS},
	{"address", "family", FAMILY("2, 10"), "address.family: 2 or 10", ON_BOTH},
	{"address", "address", "NEW.address IS NULL", "address.address: it has to be there",
	 ON_BOTH},
	/* rtm_to_ifaddr(), ipv6_add_addr(): IFA_F_MCAUTOJOIN (1024) joins the group */
	{"address", "address",
	 "@ IN ('0.0.0.0', '::') OR (@ GLOB 'ff*' AND NOT coalesce(NEW.flags, 0) & 1024)",
	 "address.address: a device has neither the unspecified address nor one of a group",
	 ON_BOTH},
	{"address", "valid_lft, preferred_lft", "@ = 0 OR NEW.preferred_lft > @",
	 "address.valid_lft: not 0, and preferred_lft is not longer", ON_BOTH},
	{"address", "label", BYTES("@") " > 15", "address.label: at most 15 bytes", ON_BOTH},
	{"address", "address, ifindex, netns, prefixlen",
	 "EXISTS (SELECT 1 FROM address WHERE image = NEW.image AND address = @ AND "
	 "netns = NEW.netns AND ifindex = NEW.ifindex AND prefixlen = NEW.prefixlen AND id <> "
	 "NEW.id)",
	 "address.address: the device has it already", ON_BOTH | BY_OTHERS},
	{"route", "family", FAMILY("2, 10, 28, 128, 129"), "route.family: 2, 10 or 28 (MPLS)",
	 ON_BOTH},
	{"rule", "family", FAMILY("2, 10, 128, 129"), "rule.family: 2 or 10", ON_BOTH},
	{"neighbour", "lladdr", "@ GLOB '*[^0-9a-f:.]*'",
	 "neighbour.lladdr: not a link-layer address", ON_BOTH},
	{"conntrack", "family", FAMILY("2, 10"), "conntrack.family: 2 or 10", ON_BOTH},
	{"device", "broadcast", "@ GLOB '*[^0-9a-f:.]*'",
	 "device.broadcast: not a link-layer address", ON_BOTH},
	{"device", "address",
	 "NEW.kind IN ('veth', 'bridge', 'bond', 'team', 'dummy', 'vlan', 'vxlan', 'macvlan') AND "
	 "(length(@) <> 17 OR @ = '00:00:00:00:00:00' OR substr(@, "
	 "2, "
	 "1) GLOB '[13579bdfBDF]')",
	 "device.address: 6 bytes, not all zero, and not those of a group", ON_BOTH},
	{"device", "alias", "length(@) > 255", "device.alias: at most 255 bytes", ON_BOTH},
	{"device", "link", "NEW.kind = 'veth' AND NEW.link IS NULL",
	 "device.link: a veth has its peer there", ON_UPDATE | BY_OTHERS},
	{"device", "master",
	 "(SELECT kind FROM device WHERE netns = NEW.netns AND ifindex = @) IN ('veth', "
	 "'dummy', 'vlan', 'vxlan', 'macvlan', 'ipvlan', 'loopback', 'tun')",
	 "device.master: a device of that kind has no ports", ON_BOTH},
	{"socket", "ino", "NOT coalesce(NEW.ino, 0)", "socket.ino: it has to be there", ON_UPDATE},
	{"socket", "so_filter", "length(@) % 8 <> 0", "socket.so_filter: 8 bytes an instruction",
	 ON_BOTH},
	{"inet_socket", "src", "NEW.src IS NULL", "inet_socket.src: it has to be there", ON_UPDATE},
	{"inet_socket", "dst", "NEW.dst IS NULL", "inet_socket.dst: it has to be there", ON_UPDATE},
	{"unix_socket", "name", "NEW.name IS NULL", "unix_socket.name: empty where there is none",
	 ON_UPDATE},
	{"unix_socket", "name", BYTES("@") " > 108", "unix_socket.name: at most 108 bytes",
	 ON_BOTH},
	{"socket", "so_bound_dev", BYTES("@") " > 15",
	 "socket.so_bound_dev: a device has at most 15 bytes", ON_BOTH},
	{"socket", "memberships",
	 "EXISTS (SELECT 1 FROM (SELECT json_extract(value, '$.group') AS g FROM "
	 "json_each(@)) WHERE "
	 "g IS NULL OR NOT (g GLOB '22[4-9].*' OR g GLOB '23[0-9].*' OR g GLOB 'ff*'))",
	 "socket.memberships: not a multicast group", ON_BOTH},
	{"socket", "memberships",
	 "NEW.family = 2 AND EXISTS (SELECT 1 FROM json_each(@) WHERE value ->> 'group' GLOB "
	 "'*:*')",
	 "socket.memberships: an IPv6 group on an IPv4 socket", ON_BOTH},
	/* of an MPTCP socket (262) they are those of its subflows */
	{"socket", "options",
	 "NEW.family IN (2, 10) AND NEW.protocol NOT IN (6, 262) AND EXISTS (SELECT 1 FROM "
	 "json_each(@) WHERE key GLOB 'TCP_*')",
	 "socket.options: a TCP option on a socket of another protocol", ON_BOTH},
	{"socket", "memberships",
	 "EXISTS (SELECT 1 FROM json_each(@) m WHERE " NOT_IN(
		 "NEW.netns", "json_extract(m.value, '$.ifindex')") ")",
	 "socket.memberships: the namespace has no device with such an index (ifindex)",
	 ON_UPDATE | BY_OTHERS},
	{"inet_socket", "socket",
	 "NOT EXISTS (SELECT 1 FROM socket WHERE id = @ AND family IN (2, 10))",
	 "inet_socket.socket: no such socket of IPv4 or IPv6", ON_INSERT},
	{"unix_socket", "socket", "NOT EXISTS (SELECT 1 FROM socket WHERE id = @ AND family = 1)",
	 "unix_socket.socket: no such unix socket", ON_INSERT},
	{"task", "comm", BYTES("@") " > 15", "task.comm: at most 15 bytes", ON_BOTH},
	{"thread", "comm", BYTES("@") " > 15", "thread.comm: at most 15 bytes", ON_BOTH},
	{"nsid", "target", "NOT EXISTS (SELECT 1 FROM netns WHERE id = @ AND image = NEW.image)",
	 "nsid.target: the image has no such namespace", ON_BOTH},
	{"nsid", "value, netns",
	 "EXISTS (SELECT 1 FROM nsid WHERE netns = NEW.netns AND value = @ AND id <> "
	 "NEW.id)",
	 "nsid.value: the namespace uses it for another", ON_BOTH},
	{"netns", "owner",
	 "NOT EXISTS (SELECT 1 FROM userns WHERE image = NEW.image AND "
	 "ns_id = @)",
	 "netns.owner: the image has no such user namespace", ON_UPDATE},
	{"sysctl", "name",
	 "EXISTS (SELECT 1 FROM sysctl WHERE netns = NEW.netns AND name = @ AND id <> "
	 "NEW.id)",
	 "sysctl.name: the namespace has it already", ON_BOTH | BY_OTHERS},
};

const size_t n_check_conditions = ARRAY_SIZE(check_conditions);
