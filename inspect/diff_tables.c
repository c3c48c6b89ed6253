#include "inspect/diff_tables.h"

#include "base/cleanup.h"

#define C(column)                                                                                  \
	{                                                                                          \
		column, NULL, DIFF_TEXT, 0                                                         \
	}
#define J(column)                                                                                  \
	{                                                                                          \
		column, NULL, DIFF_JSON, 0                                                         \
	}
#define X(column, sql)                                                                             \
	{                                                                                          \
		column, sql, DIFF_TEXT, 0                                                          \
	}
#define IN_NETNS                                                                                   \
	{                                                                                          \
		"netns", "t.netns", DIFF_NETNS, 0                                                  \
	}

/* A device by name, joined as d: indexes may differ between two machines. */
#define DEV_WORD(index)                                                                            \
	"CASE WHEN coalesce(t." index                                                              \
	", 0) = 0 THEN '' ELSE ' dev ' || coalesce(d.name, 'if' || t." index ") END"
#define JOIN_DEV(index)                                                                            \
	" LEFT JOIN device d ON d.netns = t.netns AND d.ifindex = nullif(t." index ", 0)"
/* A user namespace by its maps: ns_ids differ. The dumper's own has none. */
#define USERNS_OF(col)                                                                             \
	"(SELECT u.uid_map || ' ' || u.gid_map FROM userns u WHERE u.image = t.image AND u.ns_id " \
	"= " col " AND u.external = 0)"

static const struct diff_col netns_keys[] = {{"id", "t.id", DIFF_NETNS, 0}};
static const struct diff_col netns_cols[] = {
	{"pins", NULL, DIFF_ONE_SIDED, 0},
	{"external", NULL, DIFF_TEXT, DIFF_NOT_RESTORED},
	X("owner", USERNS_OF("t.owner")),
};

static const struct diff_col userns_keys[] = {C("uid_map"), C("gid_map")};
static const struct diff_col userns_cols[] = {C("setgroups"),
					      {"owner_uid", NULL, DIFF_TEXT, DIFF_NOT_RESTORED}};

static const struct diff_col nsid_keys[] = {IN_NETNS, {"target", NULL, DIFF_NETNS, 0}};
static const struct diff_col nsid_cols[] = {C("value")};

static const struct diff_col device_keys[] = {IN_NETNS, C("name")};
static const struct diff_col device_cols[] = {
	{"ifindex", NULL, DIFF_TEXT, DIFF_IFINDEX},
	C("kind"),
	C("nd_type"),
	/* without IFF_RUNNING, IFF_LOWER_UP and IFF_DORMANT, which follow the carrier */
	X("flags", "printf('0x%x', t.flags & ~0x30040)"),
	C("mtu"),
	C("address"),
	C("broadcast"),
	C("alias"),
	J("altnames"),
	C("txqlen"),
	C("group"),
	X("master", "m.name"),
	/* the other end of a link, by name: of a link that leaves the image only that it does */
	X("link", "CASE WHEN coalesce(t.link, 0) = 0 THEN NULL"
		  " WHEN t.peer_netns IS NULL AND t.link_netnsid IS NOT NULL THEN '(outside)'"
		  " WHEN p.external THEN '(outside)' ELSE coalesce(l.name, 'if' || t.link) END"),
	{"peer_netns", "CASE WHEN coalesce(t.link, 0) <> 0 THEN t.peer_netns END", DIFF_NETNS, 0},
	X("link_netnsid", "CASE WHEN coalesce(t.link, 0) <> 0 THEN t.link_netnsid END"),
	J("attrs"),
	C("port_kind"),
	J("port_attrs"),
	J("other"),
};

static const struct diff_col address_keys[] = {
	IN_NETNS, X("dev", "d.name"), C("family"), C("address"), C("prefixlen"), C("peer"),
};
static const struct diff_col address_cols[] = {
	C("broadcast"),
	C("anycast"),
	C("label"),
	C("scope"),
	C("metric"),
	C("proto"),
	J("other"),
	/* without IFA_F_TENTATIVE, IFA_F_OPTIMISTIC, IFA_F_DADFAILED: states of duplicate detection */
	X("flags", "printf('0x%x', t.flags & ~0x84c)"),
	/* only the kernel gives it, to an address that it generates */
	{"flags", "iif(t.flags & 0x800, 'stable-privacy', NULL)", DIFF_TEXT, DIFF_NOT_RESTORED},
	X("valid_lft",
	  "CASE WHEN t.valid_lft IS NULL OR t.valid_lft IN (4294967295, -1) THEN 'forever' ELSE"
	  " 'limited' END"),
	X("preferred_lft",
	  "CASE WHEN t.preferred_lft IS NULL OR t.preferred_lft IN (4294967295, -1) THEN"
	  " 'forever' WHEN t.preferred_lft = 0 THEN 'deprecated' ELSE 'limited' END"),
};

static const struct diff_col route_keys[] = {
	IN_NETNS, C("family"),   C("table"), C("dst"),           C("src"),
	C("tos"), C("priority"), C("type"),  X("dev", "d.name"),
};
static const struct diff_col route_cols[] = {
	C("gateway"),
	C("via"),
	C("protocol"),
	C("scope"),
	C("prefsrc"),
	C("nh_id"),
	C("pref"),
	C("iif"),
	J("metrics"),
	J("multipath"),
	J("other"),
	/* without RTNH_F_DEAD, RTNH_F_LINKDOWN and the offload bits, which follow the device */
	X("flags", "printf('0x%x', t.flags & ~0x59)"),
};

/* Of routes with the same prefix and metric the kernel takes the first that fits. */
static const struct diff_col order_keys[] = {
	IN_NETNS, C("family"), C("table"), C("dst"), C("src"), C("tos"), C("priority"),
};
static const struct diff_col order_cols[] = {{"order", NULL, DIFF_ORDER, 0}};
/* IPv6 routes of metric 0 are the kernel's alone: they come when duplicate address detection ends. A comma in the name
 * of a device would part words. A route that came with its device from another namespace (nsimg move) is behind those
 * that were there, as in the kernel and in what is exported. */
#define ROUTE_ORDER                                                                                \
	"(SELECT *, group_concat(hop, ', ') OVER (same ORDER BY late, id) AS \"order\", "          \
	"row_number() OVER (same ORDER BY late, id) AS k, count(*) OVER same AS n FROM (SELECT "   \
	"r.id, r.image, r.netns, r.family, r.\"table\", r.dst, r.src, r.tos, r.priority, "         \
	"(SELECT number FROM image_file f WHERE f.id = r.file) IS NOT (SELECT ns_id FROM netns o " \
	"WHERE o.id = r.netns) AS late, replace(CASE r.type WHEN 1 THEN '' ELSE 'type ' || "       \
	"r.type || ' ' END || coalesce('via ' || r.gateway || ' ', '') || coalesce('dev ' || "     \
	"d.name, ''), ',', ';') AS hop FROM route r LEFT JOIN device d ON d.netns = r.netns AND "  \
	"d.ifindex = r.oif WHERE r.image = :image AND NOT r.flags & 0x200 AND NOT (r.family = 10 " \
	"AND coalesce(r.priority, 0) = 0)) WINDOW same AS (PARTITION BY netns, family, "           \
	"\"table\", dst, src, tos, priority)) t"

static const struct diff_col rule_keys[] = {IN_NETNS,    C("family"), C("priority"),
					    C("action"), C("src"),    C("dst"),
					    C("iif"),    C("oif"),    C("fwmark")};
/* without FIB_RULE_UNRESOLVED, FIB_RULE_IIF_DETACHED and FIB_RULE_OIF_DETACHED: they follow devices and rules */
static const struct diff_col rule_cols[] = {
	C("table"),
	C("fwmask"),
	C("tos"),
	C("goto"),
	X("flags", "printf('0x%x', t.flags & ~0x1c)"),
	C("ipproto"),
	C("sport"),
	C("dport"),
	C("uidrange"),
	C("suppress_prefixlength"),
	C("suppress_ifgroup"),
	C("tun_id"),
	C("l3mdev"),
	C("protocol"),
	J("other"),
};

static const struct diff_col neighbour_keys[] = {
	IN_NETNS,
	X("dev", "d.name"),
	C("family"),
	C("dst"),
	C("vlan"),
	C("vni"),
	/* an fdb entry is known by its MAC, and one device can have it for itself and for its bridge */
	X("mac", "CASE WHEN t.family = 7 THEN t.lladdr END"),
	X("where", "t.flags & (2 | 4 | 8)"),
};
/* NTF_EXT_MANAGED: the kernel itself keeps it resolved, so its MAC is learned */
#define MANAGED "coalesce(json_extract(t.other, '$.flags_ext'), 0) & 1"
static const struct diff_col neighbour_cols[] = {
	X("lladdr", "CASE WHEN " MANAGED " AND NOT t.state & 0x80 THEN NULL ELSE t.lladdr END"),
	X("state", "t.state & (0x40 | 0x80)"),
	X("flags", "printf('0x%x', t.flags & ~0x20)"),
	C("type"),
	X("master", "m.name"),
	C("port"),
	C("nh_id"),
	C("protocol"),
	J("other"),
};
/* Entries that somebody made: permanent or proxy ones, those a routing daemon or a bridge was told
 * (extern_learn, sticky); static ones of a bridge (NUD_NOARP). Others the kernel learns and forgets; it makes
 * NUD_NOARP ones itself for multicast, broadcast and for devices that need no neighbours. */
/* Entries of the fdb for link-layer groups of a device itself (NTF_SELF, no destination) belong to sockets and
 * protocols that joined; those that somebody added are in traffic_control ("maddress"). */
static const char neighbour_where[] =
	"NOT (t.family = 7 AND t.flags & 0x02 AND t.dst IS NULL AND substr(t.lladdr, 2, 1) IN "
	"('1', "
	"'3', '5', '7', '9', 'b', 'd', 'f')) AND "
	"(t.state & 0x80 OR t.flags & (0x08 | 0x10 | 0x40) OR " MANAGED
	" OR (t.state & 0x40 AND (t.family = 7 OR "
	"NOT ("
	" t.dst LIKE 'ff__:%' OR t.dst = '255.255.255.255' OR t.lladdr LIKE 'ff:ff:ff:ff:ff:ff'"
	" OR (t.family = 2 AND CAST(t.dst AS INTEGER) BETWEEN 224 AND 239)"
	" OR coalesce(d.flags, 0) & (0x08 | 0x80)))))";

static const struct diff_col nexthop_keys[] = {IN_NETNS, C("nh_id")};
static const struct diff_col nexthop_cols[] = {
	C("family"),        C("gateway"),
	X("oif", "d.name"), C("blackhole"),
	C("fdb"),           J("group"),
	C("group_type"),    C("protocol"),
	C("scope"),         X("flags", "printf('0x%x', t.flags & ~0x59)"),
	J("other"),
};

static const struct diff_col tc_keys[] = {
	IN_NETNS, C("what"), X("dev", "d.name"), C("kind"), C("handle"), C("parent"), C("info"),
};
static const struct diff_col tc_cols[] = {J("other")};

static const struct diff_col sysctl_keys[] = {IN_NETNS, C("name")};
static const struct diff_col sysctl_cols[] = {C("value")};

static const struct diff_col firewall_keys[] = {IN_NETNS, C("format")};
static const struct diff_col firewall_cols[] = {{"content", NULL, DIFF_RULESET, 0}};

static const struct diff_col conntrack_keys[] = {
	IN_NETNS, C("expect"), C("family"), C("proto"), C("src"),
	C("dst"), C("sport"),  C("dport"),  C("zone"),
};
static const struct diff_col conntrack_cols[] = {
	C("reply_src"), C("reply_dst"), C("reply_sport"), C("reply_dport"),
	C("status"),    C("mark"),      C("tcp_state"),   J("other"),
};

static const struct diff_col task_keys[] = {{"id", "t.id", DIFF_TASK, 0}};
static const struct diff_col task_cols[] = {
	{"comm", NULL, DIFF_COMM, 0},
	{"netns", NULL, DIFF_NETNS, 0},
	X("userns", USERNS_OF("t.userns")),
	{"ppid", "(SELECT p.id FROM task p WHERE p.image = t.image AND p.pid = t.ppid)", DIFF_TASK,
	 DIFF_NOT_RESTORED},
	{"state", NULL, DIFF_TEXT, DIFF_NOT_RESTORED},
};

static const struct diff_col thread_keys[] = {{"task", NULL, DIFF_TASK, 0}, C("comm")};
static const struct diff_col thread_cols[] = {{"netns", NULL, DIFF_NETNS, 0}};

static const struct diff_col fd_keys[] = {{"task", "k.id", DIFF_TASK, 0}, C("fd")};
static const struct diff_col fd_cols[] = {
	C("type"),
	C("flags"),
	{"file_id", "s.id", DIFF_SOCKET, 0},
};

static const struct diff_col socket_keys[] = {{"id", "t.id", DIFF_SOCKET, 0}};
static const struct diff_col socket_cols[] = {
	{"netns", NULL, DIFF_NETNS, 0},
	C("family"),
	C("type"),
	C("protocol"),
	/* of netlink sockets 7 is a new one and 0 one that was connected once, or of which CRIU says nothing */
	X("state", "iif(t.family = 16 AND t.state = 0, 7, t.state)"),
	C("flags"),
	C("shutdown"),
	J("fown"),
	/* TCP sizes the buffers of a connection itself unless they were set (SOCK_SNDBUF_LOCK 1, RCVBUF 2) */
	X("so_sndbuf", "CASE WHEN t.state = 1 AND t.protocol = 6 AND NOT coalesce(t.so_buf_lock, "
		       "0) & 1 THEN NULL"
		       " ELSE t.so_sndbuf END"),
	X("so_rcvbuf", "CASE WHEN t.state = 1 AND t.protocol = 6 AND NOT coalesce(t.so_buf_lock, "
		       "0) & 2 THEN NULL"
		       " ELSE t.so_rcvbuf END"),
	C("so_snd_tmo_sec"),
	C("so_snd_tmo_usec"),
	C("so_rcv_tmo_sec"),
	C("so_rcv_tmo_usec"),
	C("reuseaddr"),
	C("so_reuseport"),
	C("so_priority"),
	C("so_rcvlowat"),
	C("so_mark"),
	C("so_passcred"),
	C("so_passsec"),
	C("so_dontroute"),
	C("so_no_check"),
	C("so_bound_dev"),
	X("so_filter", "hex(t.so_filter)"),
	C("so_broadcast"),
	C("so_keepalive"),
	C("tcp_keepcnt"),
	C("tcp_keepidle"),
	C("tcp_keepintvl"),
	C("so_oobinline"),
	C("so_linger"),
	C("so_buf_lock"),
	J("options"),
	{"memberships", NULL, DIFF_JSON_SET, 0},
	C("uid"),
	X("local_addr", "hex(t.local_addr)"),
	/* of a unix socket whose peer is in the image, the peer's name says it */
	X("peer_addr", "CASE WHEN t.peer_addr IS NULL OR EXISTS (SELECT 1 FROM unix_socket u JOIN "
		       "socket o ON o.image = t.image AND o.family = 1 AND o.ino = u.peer WHERE "
		       "u.socket = t.id AND u.peer <> 0) THEN NULL ELSE hex(t.peer_addr) END"),
	C("other_backlog"),
	{"bpf_filter", NULL, DIFF_TEXT, DIFF_NOT_RESTORED},
};

#define V(column)                                                                                  \
	{                                                                                          \
		column, "v.\"" column "\"", DIFF_TEXT, 0                                           \
	}
#define VJ(column)                                                                                 \
	{                                                                                          \
		column, "v.\"" column "\"", DIFF_JSON, 0                                           \
	}
static const struct diff_col inet_cols[] = {
	V("src"),
	V("src_port"),
	V("dst"),
	V("dst_port"),
	V("src_scope"),
	V("dst_scope"),
	V("backlog"),
	/* an address of its own makes a socket v6only when it is bound, whatever it was */
	X("v6only", "CASE WHEN v.src IS NULL OR v.src = '::' THEN v.v6only END"),
	V("ifname"),
	V("freebind"),
	V("pktinfo"),
	V("tos"),
	V("ttl"),
	V("hdrincl"),
	V("nodefrag"),
	V("checksum"),
	VJ("icmpv_filter"),
	V("cork"),
	V("nodelay"),
	V("keepcnt"),
	V("keepidle"),
	V("keepintvl"),
	X("icmp_filter", "hex(v.icmp_filter)"),
	V("bind_order"),
};
/* One that no task has a descriptor of waits in a queue of another, and comes and goes like what is queued. */
#define HELD(s)                                                                                    \
	"EXISTS (SELECT 1 FROM fd h WHERE h.image = " s ".image AND h.file_id = " s ".file_id)"

/* Not that of a listener that it came out of. */
#define OWN_FILE "v.deleted IS NOT 1 AND (t.type = 2 OR t.state <> 1)"
/* Was it bound in another root (chroot)? */
#define BOUND_IN_ROOT                                                                              \
	"v.name GLOB '/*' AND length(v.bound_path) > length(v.name) AND "                          \
	"substr(v.bound_path, -length(v.name)) = v.name"

static const struct diff_col unix_cols[] = {
	V("name"),
	V("name_dir"),
	{"bound_path", "v.bound_path", DIFF_TEXT, DIFF_NOT_RESTORED},
	X("root", "CASE WHEN " OWN_FILE " AND " BOUND_IN_ROOT
		  " THEN substr(v.bound_path, 1, length(v.bound_path) - length(v.name)) END"),
	V("uflags"),
	/* CRIU's records have a queue there when it is no listener */
	X("backlog", "CASE t.state WHEN 10 THEN v.backlog END"),
	V("deleted"),
	V("mode"),
	V("uid"),
	V("gid"),
	/* a listener: it waits to be accepted (CRIU) */
	{"peer", "CASE WHEN o.state <> 10 AND " HELD("o") " THEN o.id END", DIFF_SOCKET, 0},
};
static const struct diff_col netlink_cols[] = {V("portid"), VJ("groups"), V("dst_portid"),
					       V("dst_group")};
static const struct diff_col packet_cols[] = {
	X("ifindex",
	  "CASE v.ifindex WHEN 0 THEN NULL ELSE coalesce(d.name, 'if' || v.ifindex) END"),
	V("version"),
	V("reserve"),
	V("aux_data"),
	V("orig_dev"),
	V("vnet_hdr"),
	V("loss"),
	V("timestamp"),
	V("copy_thresh"),
	V("fanout"),
	{"mclist", "v.\"mclist\"", DIFF_JSON_SET, 0},
	VJ("rx_ring"),
	VJ("tx_ring"),
};

static const struct diff_col tun_keys[] = {IN_NETNS, C("netdev")};
static const struct diff_col tun_cols[] = {C("detached"), C("flags")};

static const struct diff_col ns_file_keys[] = {{"task", "k.id", DIFF_TASK, 0}, X("fd", "f.fd")};
static const struct diff_col ns_file_cols[] = {
	C("cflag"),
	C("flags"),
	{"ns_id", "(SELECT n.id FROM netns n WHERE n.image = t.image AND n.ns_id = t.ns_id)",
	 DIFF_NETNS, 0},
};

static const struct diff_col stream_keys[] = {
	{"socket", "(SELECT s.id FROM socket s WHERE s.image = t.image AND s.ino = t.ino)",
	 DIFF_SOCKET, 0},
};
static const struct diff_col stream_cols[] = {
	C("inq_len"),    C("outq_len"),  C("opt_mask"), C("snd_wscale"),
	C("rcv_wscale"), C("mss_clamp"), C("cork"),     C("nodelay"),
};

/* The socket as people know it: kind, state, local end, holders. The select of sockets.h is there as sockets. */
#define NAMED           " LEFT JOIN sockets z ON z.id = t.id"
#define SOCKET_NAME     "z.netid || ' ' || z.state || ' ' || z.local || coalesce(' ' || z.users, '')"
#define TASK_NAME(k)    "coalesce(" k ".comm, '?') || ' (pid ' || " k ".pid || ')'"
#define COLS(c)         (c), ARRAY_SIZE(c)

/* IFA_F_TEMPORARY: the kernel makes it, of random bits (RFC 8981), and its route. RTM_F_CLONED (0x200): a cache entry of a
 * single destination. */
#define IS_TEMPORARY(a) "(" a ".family = 10 AND " a ".flags & 1)"
#define OF_TEMPORARY                                                                               \
	"(t.\"table\" = 255 AND t.family = 10 AND EXISTS (SELECT 1 FROM address a WHERE a.netns "  \
	"= "                                                                                       \
	"t.netns AND a.address = t.dst AND " IS_TEMPORARY("a") "))"
#define ADDRESS_NAME                                                                               \
	"'address ' || coalesce(t.address, '?') || '/' || t.prefixlen || " DEV_WORD("ifindex")
#define ROUTE_NAME                                                                                 \
	"'route ' || t.dst || CASE WHEN t.family = 10 AND t.dst = 'default' THEN ' (inet6)' ELSE " \
	"'' END || CASE WHEN t.\"table\" = 254 THEN '' ELSE ' table ' || t.\"table\" END "         \
	"|| " DEV_WORD("oif") " || coalesce(' metric ' || t.priority, '')"

const struct diff_table diff_tables[] = {
	{"netns", "netns t", "NOT (t.caller AND t.external)", "t.id", "'namespace'",
	 COLS(netns_keys), COLS(netns_cols), 0, NULL},
	{"userns", "userns t", "t.external = 0", NULL, "'user namespace ' || t.uid_map",
	 COLS(userns_keys), COLS(userns_cols), 0, NULL},
	{"nsid", "nsid t", NULL, "t.netns", "'nsid ' || t.value", COLS(nsid_keys), COLS(nsid_cols),
	 0, NULL},
	{"device",
	 "device t LEFT JOIN netns p ON p.id = t.peer_netns"
	 " LEFT JOIN device m ON m.netns = t.netns AND m.ifindex = nullif(t.master, 0)"
	 " LEFT JOIN device l ON l.netns = coalesce(t.peer_netns, t.netns) AND l.ifindex = t.link",
	 NULL, "t.netns", "'device ' || t.name", COLS(device_keys), COLS(device_cols), 0, NULL},
	{"address", "address t" JOIN_DEV("ifindex"), "NOT " IS_TEMPORARY("t"), "t.netns",
	 ADDRESS_NAME, COLS(address_keys), COLS(address_cols), 0, NULL},
	{"address", "address t" JOIN_DEV("ifindex"), IS_TEMPORARY("t"), "t.netns", ADDRESS_NAME,
	 COLS(address_keys), COLS(address_cols), DIFF_NOT_RESTORED, NULL},
	{"route", "route t" JOIN_DEV("oif"), "NOT t.flags & 0x200 AND NOT " OF_TEMPORARY, "t.netns",
	 ROUTE_NAME, COLS(route_keys), COLS(route_cols), 0, "t.\"table\" = 254"},
	{"route", "route t" JOIN_DEV("oif"), "NOT t.flags & 0x200 AND " OF_TEMPORARY, "t.netns",
	 ROUTE_NAME, COLS(route_keys), COLS(route_cols), DIFF_NOT_RESTORED, NULL},
	{"route", ROUTE_ORDER, "t.k = t.n AND t.n > 1", "t.netns",
	 "'route ' || t.dst || CASE WHEN t.family = 10 AND t.dst = 'default' THEN ' (inet6)' ELSE "
	 "'' END || CASE WHEN t.\"table\" = 254 THEN '' ELSE ' table ' || t.\"table\" END || "
	 "coalesce(' metric ' || t.priority, '')",
	 COLS(order_keys), COLS(order_cols), DIFF_NO_LONES, NULL},
	{"rule", "rule t", NULL, "t.netns",
	 "'rule ' || t.priority || CASE t.family WHEN 10 THEN ' (inet6)' ELSE '' END || coalesce(' "
	 "from ' || t.src, '') || coalesce(' to ' || t.dst, '') || coalesce(' iif ' || t.iif, '') "
	 "|| "
	 "coalesce(' oif ' || t.oif, '') || coalesce(printf(' fwmark 0x%x', nullif(t.fwmark, 0)), "
	 "'')",
	 COLS(rule_keys), COLS(rule_cols), 0, "t.family = 2"},
	{"neighbour",
	 "neighbour t" JOIN_DEV("ifindex") " LEFT JOIN device m ON m.netns = t.netns AND m.ifindex "
					   "= nullif(t.master, 0)",
	 neighbour_where, "t.netns",
	 "CASE t.family WHEN 7 THEN 'fdb ' || coalesce(t.lladdr, '') || coalesce(' dst ' || t.dst, "
	 "'') ELSE 'neighbour '"
	 " || coalesce(t.dst, '') END || " DEV_WORD("ifindex"),
	 COLS(neighbour_keys), COLS(neighbour_cols), 0, "0"},
	{"nexthop", "nexthop t" JOIN_DEV("oif"), NULL, "t.netns", "'nexthop id ' || t.nh_id",
	 COLS(nexthop_keys), COLS(nexthop_cols), 0, "0"},
	{"traffic_control", "traffic_control t" JOIN_DEV("ifindex"), NULL, "t.netns",
	 "t.what || coalesce(' ' || t.kind, '') || coalesce(printf(' %x:%x', (t.handle >> 16) & "
	 "65535, t.handle & 65535),"
	 " '') || " DEV_WORD("ifindex"),
	 COLS(tc_keys), COLS(tc_cols), 0, "0"},
	{"sysctl", "sysctl t", NULL, "t.netns", "'sysctl ' || t.name", COLS(sysctl_keys),
	 COLS(sysctl_cols), 0, "0"},
	{"firewall", "firewall t", "t.content <> ''", "t.netns", "t.format || ' ruleset'",
	 COLS(firewall_keys), COLS(firewall_cols), 0, NULL},
	{"conntrack", "conntrack t", NULL, "t.netns",
	 "'conntrack proto ' || coalesce(t.proto, 0) || ' ' || coalesce(t.src, '') || coalesce(':' "
	 "|| t.sport, '') ||"
	 " ' -> ' || coalesce(t.dst, '') || coalesce(':' || t.dport, '')",
	 COLS(conntrack_keys), COLS(conntrack_cols), DIFF_NO_ADDS, NULL},
	{"task", "task t", NULL, "t.netns", "'task ' || " TASK_NAME("t"), COLS(task_keys),
	 COLS(task_cols), 0, NULL},
	{"thread", "thread t JOIN task k ON k.id = t.task", NULL, "k.netns",
	 "'thread ' || coalesce(t.comm, '?') || ' of ' || " TASK_NAME("k"), COLS(thread_keys),
	 COLS(thread_cols), DIFF_NOT_RESTORED | DIFF_PART, NULL},
	{"fd",
	 "fd t JOIN task k ON k.image = t.image AND k.files_id = t.files_id"
	 " JOIN socket s ON s.image = t.image AND s.file_id = t.file_id",
	 NULL, "k.netns", "'descriptor ' || t.fd || ' of ' || " TASK_NAME("k"), COLS(fd_keys),
	 COLS(fd_cols), DIFF_PART, NULL},
	{"socket", "socket t" NAMED, HELD("t"), "t.netns", SOCKET_NAME, COLS(socket_keys),
	 COLS(socket_cols), 0, NULL},
	{"inet_socket", "socket t JOIN inet_socket v ON v.socket = t.id" NAMED, HELD("t"),
	 "t.netns", SOCKET_NAME, COLS(socket_keys), COLS(inet_cols), DIFF_PART, NULL},
	{"unix_socket",
	 "socket t JOIN unix_socket v ON v.socket = t.id LEFT JOIN socket o ON o.image = t.image"
	 " AND o.family = 1 AND o.ino = nullif(v.peer, 0)" NAMED,
	 HELD("t"), "t.netns", SOCKET_NAME, COLS(socket_keys), COLS(unix_cols), DIFF_PART, NULL},
	{"netlink_socket", "socket t JOIN netlink_socket v ON v.socket = t.id" NAMED, HELD("t"),
	 "t.netns", SOCKET_NAME, COLS(socket_keys), COLS(netlink_cols), DIFF_PART, NULL},
	{"packet_socket",
	 "socket t JOIN packet_socket v ON v.socket = t.id"
	 " LEFT JOIN device d ON d.netns = t.netns AND d.ifindex = v.ifindex" NAMED,
	 HELD("t"), "t.netns", SOCKET_NAME, COLS(socket_keys), COLS(packet_cols), DIFF_PART, NULL},
	{"tun_file", "tun_file t", NULL, "t.netns",
	 "'tun descriptor of ' || coalesce(t.netdev, '?')", COLS(tun_keys), COLS(tun_cols), 0,
	 NULL},
	{"ns_file",
	 "ns_file t JOIN fd f ON f.image = t.image AND f.file_id = t.file_id AND f.type = 14"
	 " JOIN task k ON k.image = f.image AND k.files_id = f.files_id",
	 NULL, "k.netns", "'namespace descriptor ' || f.fd || ' of ' || " TASK_NAME("k"),
	 COLS(ns_file_keys), COLS(ns_file_cols), DIFF_NOT_RESTORED | DIFF_PART, NULL},
	{"tcp_stream", "tcp_stream t", NULL, NULL, "'TCP stream of inode ' || t.ino",
	 COLS(stream_keys), COLS(stream_cols), DIFF_NOT_RESTORED | DIFF_PART, NULL},
};
const size_t n_diff_tables = ARRAY_SIZE(diff_tables);
