#include "inspect/show.h"

#include "base/cleanup.h"

#define NETNS                                                                                      \
	{                                                                                          \
		"netns", "coalesce(n.name, 'ns' || n.ns_id)", WORDS_NONE, TABLE_STR, TABLE_NAME    \
	}
/* Where a row came from and its key, for -o and for conditions. */
#define ORIGIN                                                                                     \
	{"id", NULL, WORDS_NONE, TABLE_INT, TABLE_EXTRA | TABLE_RIGHT},                            \
		{"file", "(SELECT name FROM image_file WHERE id = t.file)", WORDS_NONE, TABLE_STR, \
		 TABLE_EXTRA},                                                                     \
		{"rec", NULL, WORDS_NONE, TABLE_INT, TABLE_EXTRA | TABLE_RIGHT},                   \
	{                                                                                          \
		"off", NULL, WORDS_NONE, TABLE_INT, TABLE_EXTRA | TABLE_RIGHT                      \
	}
#define NETNS_ID                                                                                   \
	{                                                                                          \
		"netns_id", "t.netns", WORDS_NONE, TABLE_INT, TABLE_EXTRA | TABLE_RIGHT            \
	}
#define IN_NETNS(table) table " t LEFT JOIN netns n ON n.id = t.netns"
#define IN_DEVICE(table, index)                                                                    \
	IN_NETNS(table) " LEFT JOIN device d ON d.netns = t.netns AND d.ifindex = t." index
/* A device by its name, by its index when the image has none of that index, nothing for 0. */
#define DEV_NAME(index)                                                                            \
	"CASE WHEN coalesce(t." index ", 0) = 0 THEN NULL ELSE coalesce(d.name, 'if' || t." index  \
	") END"

/* Index of the device that this one is on or paired with. The kernel has it for a vxlan among the attributes of its
 * kind only, and says its own index as that of the link. */
#define LINK                                                                                       \
	"CASE t.kind WHEN 'vxlan' THEN coalesce(t.attrs ->> 'link', nullif(t.link, t.ifindex)) "   \
	"ELSE t.link END"

static const struct show_col device_cols[] = {
	NETNS,
	{"ifindex", NULL, WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"name", NULL, WORDS_NONE, TABLE_STR, TABLE_NAME},
	{"kind", NULL, WORDS_NONE, TABLE_STR, 0},
	{"state", "t.operstate", WORDS_OPERSTATE, TABLE_STR, TABLE_STATE},
	{"mtu", NULL, WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"address", NULL, WORDS_NONE, TABLE_STR, TABLE_MAC},
	{"master", "m.name", WORDS_NONE, TABLE_STR, 0},
	{"peer",
	 "CASE WHEN coalesce(" LINK ", 0) = 0 OR (" LINK
	 " = t.ifindex AND p.id = t.netns) THEN NULL "
	 "ELSE"
	 " CASE WHEN p.id IS NOT NULL AND p.id <> t.netns THEN coalesce(p.name, 'ns' || p.ns_id) "
	 "|| '/'"
	 " WHEN p.id IS NULL AND t.link_netnsid IS NOT NULL THEN 'nsid ' || t.link_netnsid || '/'"
	 " WHEN p.id = t.netns AND l.id IS NULL AND t.kind IN ('veth', 'netkit', 'vxcan') THEN "
	 "'(outside)/'"
	 " ELSE '' END || coalesce(l.name, 'if' || " LINK ") END",
	 WORDS_NONE, TABLE_STR, 0},
	{"flags", NULL, WORDS_IFF, TABLE_STR, TABLE_SHRINK},
	{"txqlen", NULL, WORDS_NONE, TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	{"group", "t.\"group\"", WORDS_NONE, TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	{"alias", NULL, WORDS_NONE, TABLE_STR, TABLE_HIDDEN},
	{"altnames", NULL, WORDS_NONE, TABLE_JSON, TABLE_HIDDEN},
	{"attrs", NULL, WORDS_NONE, TABLE_JSON, TABLE_HIDDEN},
	{"port_kind", NULL, WORDS_NONE, TABLE_STR, TABLE_HIDDEN},
	{"port_attrs", NULL, WORDS_NONE, TABLE_JSON, TABLE_HIDDEN},
	{"other", NULL, WORDS_NONE, TABLE_JSON, TABLE_EXTRA},
	NETNS_ID,
	ORIGIN,
};

static const struct show_col address_cols[] = {
	NETNS,
	{"dev", DEV_NAME("ifindex"), WORDS_NONE, TABLE_STR, TABLE_NAME},
	{"family", NULL, WORDS_FAMILY, TABLE_STR, 0},
	{"address", "t.address || '/' || t.prefixlen", WORDS_NONE, TABLE_STR, TABLE_ADDR},
	{"peer", NULL, WORDS_NONE, TABLE_STR, 0},
	{"broadcast", NULL, WORDS_NONE, TABLE_STR, 0},
	{"scope", NULL, WORDS_SCOPE, TABLE_STR, 0},
	{"flags", NULL, WORDS_IFA, TABLE_STR, TABLE_SHRINK},
	{"valid",
	 "CASE WHEN t.valid_lft IS NULL OR t.valid_lft IN (4294967295, -1) THEN 'forever'"
	 " ELSE t.valid_lft || 'sec' END",
	 WORDS_NONE, TABLE_STR, TABLE_RIGHT},
	{"preferred",
	 "CASE WHEN t.preferred_lft IS NULL OR t.preferred_lft IN (4294967295, -1) THEN 'forever'"
	 " ELSE t.preferred_lft || 'sec' END",
	 WORDS_NONE, TABLE_STR, TABLE_HIDDEN | TABLE_RIGHT},
	{"label", NULL, WORDS_NONE, TABLE_STR, TABLE_HIDDEN},
	{"anycast", NULL, WORDS_NONE, TABLE_STR, TABLE_HIDDEN},
	{"metric", NULL, WORDS_NONE, TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	{"proto", NULL, WORDS_NONE, TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	{"other", NULL, WORDS_NONE, TABLE_JSON, TABLE_EXTRA},
	NETNS_ID,
	{"ifindex", NULL, WORDS_NONE, TABLE_INT, TABLE_EXTRA | TABLE_RIGHT},
	ORIGIN,
};

static const struct show_col route_cols[] = {
	NETNS,
	{"family", NULL, WORDS_FAMILY, TABLE_STR, TABLE_HIDDEN},
	{"type", NULL, WORDS_ROUTE_TYPE, TABLE_STR, 0},
	{"dst", NULL, WORDS_NONE, TABLE_STR, TABLE_ADDR},
	{"via", "coalesce(t.gateway, t.via)", WORDS_NONE, TABLE_STR, TABLE_ADDR},
	{"dev", DEV_NAME("oif"), WORDS_NONE, TABLE_STR, TABLE_NAME},
	{"table", "t.\"table\"", WORDS_TABLE, TABLE_STR, 0},
	{"proto", "t.protocol", WORDS_RTPROT, TABLE_STR, 0},
	{"scope", NULL, WORDS_SCOPE, TABLE_STR, 0},
	{"src", "t.prefsrc", WORDS_NONE, TABLE_STR, TABLE_ADDR},
	{"metric", "t.priority", WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"flags", NULL, WORDS_RTNH, TABLE_STR, TABLE_HIDDEN},
	{"nhid", "t.nh_id", WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"from", "t.src", WORDS_NONE, TABLE_STR, TABLE_HIDDEN},
	{"tos", NULL, WORDS_NONE, TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	{"metrics", NULL, WORDS_NONE, TABLE_JSON, TABLE_HIDDEN},
	{"nexthops", "t.multipath", WORDS_NONE, TABLE_JSON, TABLE_SHRINK},
	{"pref", NULL, WORDS_NONE, TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	{"other", NULL, WORDS_NONE, TABLE_JSON, TABLE_EXTRA},
	ORIGIN,
};

static const struct show_col rule_cols[] = {
	NETNS,
	{"family", NULL, WORDS_FAMILY, TABLE_STR, 0},
	{"priority", NULL, WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"not", "(t.flags & 2) <> 0", WORDS_NONE, TABLE_BOOL, TABLE_HIDDEN},
	{"from", "coalesce(CASE WHEN t.flags & 2 THEN 'not ' ELSE '' END || t.src, 'all')",
	 WORDS_NONE, TABLE_STR, 0},
	{"to", "t.dst", WORDS_NONE, TABLE_STR, 0},
	{"iif", NULL, WORDS_NONE, TABLE_STR, 0},
	{"oif", NULL, WORDS_NONE, TABLE_STR, 0},
	{"fwmark",
	 "printf('0x%x', t.fwmark) || CASE WHEN t.fwmask IS NULL OR t.fwmask IN (4294967295, -1)"
	 " THEN '' ELSE printf('/0x%x', t.fwmask) END",
	 WORDS_NONE, TABLE_STR, 0},
	{"action", NULL, WORDS_RULE_ACTION, TABLE_STR, 0},
	{"table", "nullif(t.\"table\", 0)", WORDS_TABLE, TABLE_STR, 0},
	{"goto", NULL, WORDS_NONE, TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	{"tos", NULL, WORDS_NONE, TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	{"ipproto", NULL, WORDS_IPPROTO, TABLE_STR, TABLE_HIDDEN},
	{"sport", NULL, WORDS_NONE, TABLE_STR, TABLE_HIDDEN},
	{"dport", NULL, WORDS_NONE, TABLE_STR, TABLE_HIDDEN},
	{"uidrange", NULL, WORDS_NONE, TABLE_STR, TABLE_HIDDEN},
	{"suppress_prefixlength", NULL, WORDS_NONE, TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	{"suppress_ifgroup", NULL, WORDS_NONE, TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	{"tun_id", NULL, WORDS_NONE, TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	{"l3mdev", NULL, WORDS_NONE, TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	{"proto", "t.protocol", WORDS_RTPROT, TABLE_STR, TABLE_HIDDEN},
	{"other", NULL, WORDS_NONE, TABLE_JSON, TABLE_EXTRA},
	ORIGIN,
};

static const struct show_col neighbour_cols[] = {
	NETNS,
	{"family", NULL, WORDS_FAMILY, TABLE_STR, 0},
	{"dst", NULL, WORDS_NONE, TABLE_STR, 0},
	{"dev", DEV_NAME("ifindex"), WORDS_NONE, TABLE_STR, 0},
	{"lladdr", NULL, WORDS_NONE, TABLE_STR, 0},
	{"state", NULL, WORDS_NUD, TABLE_STR, 0},
	{"flags", NULL, WORDS_NTF, TABLE_STR, 0},
	{"vlan", NULL, WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"port", NULL, WORDS_NONE, TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	{"vni", NULL, WORDS_NONE, TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	{"nhid", "t.nh_id", WORDS_NONE, TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	{"master", NULL, WORDS_NONE, TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	{"proto", "t.protocol", WORDS_RTPROT, TABLE_STR, TABLE_HIDDEN},
	{"other", NULL, WORDS_NONE, TABLE_JSON, TABLE_EXTRA},
	ORIGIN,
};

static const struct show_col nexthop_cols[] = {
	NETNS,
	{"nhid", "t.nh_id", WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"family", NULL, WORDS_FAMILY, TABLE_STR, 0},
	{"via", "t.gateway", WORDS_NONE, TABLE_STR, 0},
	{"dev", DEV_NAME("oif"), WORDS_NONE, TABLE_STR, 0},
	{"blackhole", NULL, WORDS_NONE, TABLE_BOOL, 0},
	{"fdb", NULL, WORDS_NONE, TABLE_BOOL, 0},
	{"group", "t.\"group\"", WORDS_NONE, TABLE_JSON, 0},
	{"group_type", NULL, WORDS_NONE, TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	{"proto", "t.protocol", WORDS_RTPROT, TABLE_STR, 0},
	{"scope", NULL, WORDS_SCOPE, TABLE_STR, 0},
	{"flags", NULL, WORDS_RTNH, TABLE_STR, 0},
	{"other", NULL, WORDS_NONE, TABLE_JSON, TABLE_EXTRA},
	ORIGIN,
};

/* tc(8) prints handles as major:minor in hex */
#define TC_HANDLE(col)                                                                             \
	"CASE WHEN t." col " IS NULL THEN NULL WHEN t." col                                        \
	" = 4294967295 THEN 'root' WHEN t." col " = 0 THEN NULL WHEN t." col                       \
	" & 65535 THEN printf('%x:%x', (t." col " >> 16) & 65535, t." col                          \
	" & 65535) ELSE printf('%x:', (t." col " >> 16) & 65535) END"

static const struct show_col tc_cols[] = {
	NETNS,
	{"what", NULL, WORDS_NONE, TABLE_STR, 0},
	{"dev", DEV_NAME("ifindex"), WORDS_NONE, TABLE_STR, 0},
	{"kind", NULL, WORDS_NONE, TABLE_STR, 0},
	{"handle", TC_HANDLE("handle"), WORDS_NONE, TABLE_STR, 0},
	{"parent", TC_HANDLE("parent"), WORDS_NONE, TABLE_STR, 0},
	{"info", NULL, WORDS_NONE, TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	{"attrs", "t.other", WORDS_NONE, TABLE_JSON, TABLE_SHRINK},
	ORIGIN,
};

static const struct show_col sysctl_cols[] = {
	NETNS,
	{"name", "replace(t.name, '/', '.')", WORDS_NONE, TABLE_STR, 0},
	{"value", NULL, WORDS_NONE, TABLE_STR, 0},
	{"path", "t.name", WORDS_NONE, TABLE_STR, TABLE_EXTRA},
	{"field", "t.path", WORDS_NONE, TABLE_STR, TABLE_EXTRA},
	ORIGIN,
};

static const struct show_col task_cols[] = {
	{"pid", NULL, WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"ppid", NULL, WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"comm", NULL, WORDS_NONE, TABLE_STR, 0},
	{"state", NULL, WORDS_TASK_STATE, TABLE_STR, 0},
	NETNS,
	{"userns", NULL, WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"threads", "(SELECT count(*) FROM thread x WHERE x.task = t.id) + 1", WORDS_NONE,
	 TABLE_INT, TABLE_RIGHT},
	{"fds", "(SELECT count(*) FROM fd x WHERE x.image = t.image AND x.files_id = t.files_id)",
	 WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"pgid", NULL, WORDS_NONE, TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	{"sid", NULL, WORDS_NONE, TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	{"pidns", NULL, WORDS_NONE, TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	{"mntns", NULL, WORDS_NONE, TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	{"files_id", NULL, WORDS_NONE, TABLE_INT, TABLE_EXTRA | TABLE_RIGHT},
	NETNS_ID,
	ORIGIN,
	/* state, comm, pgid and others are in a file of the task's own, in the same folder */
	{"core_file",
	 "(SELECT c.name FROM image_file f, image_file c WHERE f.id = t.file AND c.image = t.image "
	 "AND c.name = replace(f.name, 'pstree.img', 'core-' || t.pid || '.img'))",
	 WORDS_NONE, TABLE_STR, TABLE_EXTRA},
	{"core_rec", "0", WORDS_NONE, TABLE_INT, TABLE_EXTRA | TABLE_RIGHT},
	{"core_off", "8", WORDS_NONE, TABLE_INT, TABLE_EXTRA | TABLE_RIGHT},
};

static const struct show_col thread_cols[] = {
	{"pid", "k.pid", WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"tid", NULL, WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"comm", NULL, WORDS_NONE, TABLE_STR, 0},
	NETNS,
	ORIGIN,
};

static const struct show_col fd_cols[] = {
	{"pid", "k.pid", WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"comm", "k.comm", WORDS_NONE, TABLE_STR, 0},
	{"fd", NULL, WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"type", NULL, WORDS_FD_TYPE, TABLE_STR, 0},
	{"file_id", NULL, WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"flags", NULL, WORDS_FD_FLAGS, TABLE_STR, 0},
	{"netns", "coalesce(n.name, 'ns' || n.ns_id)", WORDS_NONE, TABLE_STR, 0},
	ORIGIN,
};

/* A word of a socket as "nsimg sockets" has it, of the socket with this id. */
#define OF_SOCKET(column, id) "(SELECT v." column " FROM sockets_view v WHERE v.id = " id ")"
#define HIDDEN(name)                                                                               \
	{                                                                                          \
		name, NULL, WORDS_NONE, TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT                      \
	}
#define HIDDEN_TEXT(name, expr, type)                                                              \
	{                                                                                          \
		name, expr, WORDS_NONE, type, TABLE_HIDDEN                                         \
	}

static const struct show_col socket_cols[] = {
	NETNS,
	{"netid", OF_SOCKET("netid", "t.id"), WORDS_NONE, TABLE_STR, 0},
	{"state", "coalesce(t.state, 0)", WORDS_TCP_STATE, TABLE_STR, 0},
	{"local", OF_SOCKET("local", "t.id"), WORDS_NONE, TABLE_STR, TABLE_SHRINK},
	{"peer", OF_SOCKET("peer", "t.id"), WORDS_NONE, TABLE_STR, TABLE_SHRINK},
	{"ino", NULL, WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"owners", OF_SOCKET("owners", "t.id"), WORDS_NONE, TABLE_STR, TABLE_SHRINK},
	{"family", NULL, WORDS_FAMILY, TABLE_STR, TABLE_HIDDEN},
	{"type", NULL, WORDS_SOCK_TYPE, TABLE_STR, TABLE_HIDDEN},
	HIDDEN("protocol"),
	HIDDEN_TEXT("src", "i.src", TABLE_STR),
	{"sport", "i.src_port", WORDS_NONE, TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	HIDDEN_TEXT("dst", "i.dst", TABLE_STR),
	{"dport", "i.dst_port", WORDS_NONE, TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	HIDDEN_TEXT("name", "u.name", TABLE_STR),
	HIDDEN("flags"),
	{"shutdown", NULL, WORDS_SHUTDOWN, TABLE_STR, TABLE_HIDDEN},
	HIDDEN("uid"),
	HIDDEN("cookie"),
	HIDDEN("inq_len"),
	HIDDEN("outq_len"),
	HIDDEN_TEXT("dev", "t.so_bound_dev", TABLE_STR),
	HIDDEN("so_mark"),
	HIDDEN("so_priority"),
	HIDDEN("so_sndbuf"),
	HIDDEN("so_rcvbuf"),
	HIDDEN("so_buf_lock"),
	HIDDEN("so_rcvlowat"),
	HIDDEN("so_snd_tmo_sec"),
	HIDDEN("so_snd_tmo_usec"),
	HIDDEN("so_rcv_tmo_sec"),
	HIDDEN("so_rcv_tmo_usec"),
	HIDDEN("reuseaddr"),
	HIDDEN("so_reuseport"),
	HIDDEN("so_passcred"),
	HIDDEN("so_passsec"),
	HIDDEN("so_dontroute"),
	HIDDEN("so_no_check"),
	HIDDEN("so_broadcast"),
	HIDDEN("so_keepalive"),
	HIDDEN("tcp_keepcnt"),
	HIDDEN("tcp_keepidle"),
	HIDDEN("tcp_keepintvl"),
	HIDDEN("so_oobinline"),
	HIDDEN("so_linger"),
	HIDDEN_TEXT("so_filter", NULL, TABLE_STR),
	HIDDEN("bpf_filter"),
	HIDDEN_TEXT("options", NULL, TABLE_JSON),
	HIDDEN_TEXT("memberships", NULL, TABLE_JSON),
	HIDDEN_TEXT("fown", NULL, TABLE_JSON),
	{"file_id", NULL, WORDS_NONE, TABLE_INT, TABLE_EXTRA | TABLE_RIGHT},
	NETNS_ID,
	ORIGIN,
};

static const struct show_col stream_cols[] = {
	NETNS,
	{"local", OF_SOCKET("local", "s.id"), WORDS_NONE, TABLE_STR, TABLE_SHRINK},
	{"peer", OF_SOCKET("peer", "s.id"), WORDS_NONE, TABLE_STR, TABLE_SHRINK},
	{"ino", NULL, WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"inq_len", NULL, WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"inq_seq", NULL, WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"outq_len", NULL, WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"outq_seq", NULL, WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"unsq_len", NULL, WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	HIDDEN("opt_mask"),
	HIDDEN("snd_wscale"),
	HIDDEN("rcv_wscale"),
	HIDDEN("mss_clamp"),
	HIDDEN("timestamp"),
	HIDDEN("cork"),
	HIDDEN("nodelay"),
	HIDDEN("snd_wl1"),
	HIDDEN("snd_wnd"),
	HIDDEN("max_window"),
	HIDDEN("rcv_wnd"),
	HIDDEN("rcv_wup"),
	ORIGIN,
};

static const struct show_col queue_cols[] = {
	NETNS,
	{"local", OF_SOCKET("local", "s.id"), WORDS_NONE, TABLE_STR, TABLE_SHRINK},
	{"peer", OF_SOCKET("peer", "s.id"), WORDS_NONE, TABLE_STR, TABLE_SHRINK},
	{"direction", NULL, WORDS_NONE, TABLE_STR, 0},
	{"length", NULL, WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"kept", "coalesce(length(t.data), 0)", WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"rights", NULL, WORDS_NONE, TABLE_JSON, TABLE_SHRINK},
	HIDDEN_TEXT("data", NULL, TABLE_STR),
	{"file_id", NULL, WORDS_NONE, TABLE_INT, TABLE_EXTRA | TABLE_RIGHT},
	{"ino", NULL, WORDS_NONE, TABLE_INT, TABLE_EXTRA | TABLE_RIGHT},
	ORIGIN,
};

/* Who holds a file that is no socket. */
#define HOLDERS                                                                                    \
	"(SELECT group_concat(coalesce(k.comm, '?') || '(' || k.pid || '):' || f.fd, ', ') "       \
	"FROM fd f CROSS JOIN task k ON k.image = f.image AND k.files_id = f.files_id "            \
	"WHERE f.image = t.image AND f.file_id = t.file_id)"

static const struct show_col tun_cols[] = {
	NETNS,
	{"dev", "t.netdev", WORDS_NONE, TABLE_STR, 0},
	{"detached", NULL, WORDS_NONE, TABLE_BOOL, 0},
	{"flags", NULL, WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"owners", HOLDERS, WORDS_NONE, TABLE_STR, TABLE_SHRINK},
	{"file_id", NULL, WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	ORIGIN,
};

/* clone(2) */
static const struct show_col ns_file_cols[] = {
	{"kind",
	 "CASE t.cflag WHEN 0x40000000 THEN 'net' WHEN 0x10000000 THEN 'user' WHEN 0x20000000 THEN "
	 "'pid' WHEN 0x20000 THEN 'mnt' WHEN 0x4000000 THEN 'uts' WHEN 0x8000000 THEN 'ipc' WHEN "
	 "0x2000000 THEN 'cgroup' WHEN 0x80 THEN 'time' ELSE printf('0x%x', t.cflag) END",
	 WORDS_NONE, TABLE_STR, 0},
	{"ns_id", NULL, WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"netns", "CASE WHEN t.cflag = 0x40000000 THEN coalesce(n.name, 'ns' || t.ns_id) END",
	 WORDS_NONE, TABLE_STR, 0},
	{"ino", NULL, WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"owners", HOLDERS, WORDS_NONE, TABLE_STR, TABLE_SHRINK},
	{"file_id", NULL, WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	HIDDEN("flags"),
	ORIGIN,
};

static const struct show_col firewall_cols[] = {
	NETNS,
	{"format", NULL, WORDS_NONE, TABLE_STR, 0},
	{"bytes", "length(t.content)", WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	/* proto/lock.c knows its lines; these begin its chain or table */
	{"criu_lock",
	 "t.content GLOB '*chain CRIU {*' OR t.content GLOB '*table inet CRIU*' OR t.content GLOB "
	 "'*:CRIU *'",
	 WORDS_NONE, TABLE_BOOL, 0},
	{"ruleset", "t.content", WORDS_NONE, TABLE_STR, TABLE_HIDDEN | TABLE_LINES},
	ORIGIN,
};

/* The expectation image of CRIU holds the connections once more. */
static const struct show_col conntrack_cols[] = {
	NETNS,
	{"kind",
	 "CASE WHEN NOT t.expect THEN 'connection' WHEN EXISTS (SELECT 1 FROM conntrack c WHERE "
	 "c.netns = t.netns AND NOT c.expect AND c.family = t.family AND c.proto IS t.proto "
	 "AND c.src IS t.src AND c.dst IS t.dst AND c.sport IS t.sport AND c.dport IS t.dport) "
	 "THEN 'copy' ELSE 'expectation' END",
	 WORDS_NONE, TABLE_STR, 0},
	{"proto", NULL, WORDS_IPPROTO, TABLE_STR, 0},
	{"state", "t.tcp_state", WORDS_CT_TCP, TABLE_STR, 0},
	{"src", NULL, WORDS_NONE, TABLE_STR, 0},
	{"sport", NULL, WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"dst", NULL, WORDS_NONE, TABLE_STR, 0},
	{"dport", NULL, WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"reply_src", NULL, WORDS_NONE, TABLE_STR, 0},
	{"reply_sport", NULL, WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"reply_dst", NULL, WORDS_NONE, TABLE_STR, 0},
	{"reply_dport", NULL, WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"status", NULL, WORDS_CT_STATUS, TABLE_STR, TABLE_SHRINK},
	{"timeout", NULL, WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"mark", NULL, WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"zone", NULL, WORDS_NONE, TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	{"expect", NULL, WORDS_NONE, TABLE_BOOL, TABLE_HIDDEN},
	{"family", NULL, WORDS_FAMILY, TABLE_STR, TABLE_HIDDEN},
	{"other", NULL, WORDS_NONE, TABLE_JSON, TABLE_EXTRA},
	ORIGIN,
};

static const struct show_col nsid_cols[] = {
	NETNS,
	{"nsid", "t.value", WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"target", "coalesce(g.name, 'ns' || g.ns_id)", WORDS_NONE, TABLE_STR, 0},
	ORIGIN,
};

static const struct show_col netns_cols[] = {
	{"netns", "coalesce(t.name, 'ns' || t.ns_id)", WORDS_NONE, TABLE_STR, 0},
	{"ns_id", NULL, WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"external", NULL, WORDS_NONE, TABLE_BOOL, 0},
	{"tasks", "(SELECT count(*) FROM task x WHERE x.netns = t.id)", WORDS_NONE, TABLE_INT,
	 TABLE_RIGHT},
	{"devices", "(SELECT count(*) FROM device x WHERE x.netns = t.id)", WORDS_NONE, TABLE_INT,
	 TABLE_RIGHT},
	{"sockets", "(SELECT count(*) FROM socket x WHERE x.netns = t.id)", WORDS_NONE, TABLE_INT,
	 TABLE_RIGHT},
	{"userns", "t.owner", WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"ext_key", NULL, WORDS_NONE, TABLE_STR, TABLE_HIDDEN},
	{"caller", NULL, WORDS_NONE, TABLE_BOOL, TABLE_HIDDEN},
	{"ino", NULL, WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"cookie", NULL, WORDS_NONE, TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	{"pins", NULL, WORDS_NONE, TABLE_JSON, TABLE_SHRINK},
	ORIGIN,
};

static const struct show_col userns_cols[] = {
	{"ns_id", NULL, WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"parent", NULL, WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"owner_uid", NULL, WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"external", NULL, WORDS_NONE, TABLE_BOOL, 0},
	{"setgroups", NULL, WORDS_NONE, TABLE_STR, 0},
	{"uid_map", NULL, WORDS_NONE, TABLE_JSON, 0},
	{"gid_map", NULL, WORDS_NONE, TABLE_JSON, 0},
	{"ino", NULL, WORDS_NONE, TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	ORIGIN,
};

static const struct show_col file_cols[] = {
	{"name", NULL, WORDS_NONE, TABLE_STR, 0},
	{"kind", NULL, WORDS_NONE, TABLE_STR, 0},
	{"size", NULL, WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	{"records", "t.n_records", WORDS_NONE, TABLE_INT, TABLE_RIGHT},
	/* IS NOT NULL would read all of it */
	{"stored", "typeof(t.content) <> 'null'", WORDS_NONE, TABLE_BOOL, 0},
	{"damage", NULL, WORDS_NONE, TABLE_STR, TABLE_SHRINK},
	{"damage_off", NULL, WORDS_NONE, TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	{"sha256", NULL, WORDS_NONE, TABLE_STR, 0},
	{"id", NULL, WORDS_NONE, TABLE_INT, TABLE_EXTRA | TABLE_RIGHT},
};

static const struct show_col note_cols[] = {
	{"kind", NULL, WORDS_NONE, TABLE_STR, 0},
	{"object", NULL, WORDS_NONE, TABLE_STR, 0},
	{"reason", NULL, WORDS_NONE, TABLE_STR, 0},
	ORIGIN,
};

#define FACT_FILE "(SELECT f.name FROM image_file f WHERE f.id = t.file)"

static const struct show_col fact_cols[] = {
	{"key", NULL, WORDS_NONE, TABLE_STR, 0},
	{"value", NULL, WORDS_NONE, TABLE_STR, TABLE_SHRINK},
	{"id", NULL, WORDS_NONE, TABLE_INT, TABLE_EXTRA | TABLE_RIGHT},
	{"file", FACT_FILE, WORDS_NONE, TABLE_STR, TABLE_EXTRA},
	{"rec", "0", WORDS_NONE, TABLE_INT, TABLE_EXTRA | TABLE_RIGHT},
	/* behind the magic numbers, of which the inventory has one; the files of an engine have none */
	{"off",
	 "CASE WHEN " FACT_FILE " = 'inventory.img' THEN 4 WHEN " FACT_FILE
	 " LIKE '%.img' THEN 8 ELSE 0 END",
	 WORDS_NONE, TABLE_INT, TABLE_EXTRA | TABLE_RIGHT},
};

#define COLS(c) (c), ARRAY_SIZE(c)

const struct show_table show_tables[] = {
	{"namespaces", "network namespaces", "netns t", "t.ns_id", COLS(netns_cols)},
	{"userns", "user namespaces", "userns t", "t.ns_id", COLS(userns_cols)},
	{"devices", "network devices, as ip link",
	 IN_NETNS("device") " LEFT JOIN device m ON m.netns = t.netns AND m.ifindex = t.master"
			    " LEFT JOIN netns p ON p.id = CASE WHEN t.peer_netns IS NOT NULL THEN "
			    "t.peer_netns"
			    " WHEN t.link_netnsid IS NULL THEN t.netns END"
			    " LEFT JOIN device l ON l.netns = p.id AND l.ifindex = " LINK,
	 "n.ns_id, t.ifindex", COLS(device_cols)},
	{"addresses", "addresses, as ip address", IN_DEVICE("address", "ifindex"),
	 "n.ns_id, t.ifindex, t.family, t.id", COLS(address_cols)},
	{"routes", "routes of all tables, as ip route", IN_DEVICE("route", "oif"),
	 "n.ns_id, t.\"table\", t.family, t.id", COLS(route_cols)},
	{"rules", "policy rules of both families, as ip rule", IN_NETNS("rule"),
	 "n.ns_id, t.family, t.priority, t.id", COLS(rule_cols)},
	{"neighbours", "neighbours, proxies and forwarding database (family bridge)",
	 IN_DEVICE("neighbour", "ifindex"), "n.ns_id, t.ifindex, t.family, t.id",
	 COLS(neighbour_cols)},
	{"nexthops", "nexthop objects, as ip nexthop", IN_DEVICE("nexthop", "oif"),
	 "n.ns_id, t.nh_id", COLS(nexthop_cols)},
	{"tc",
	 "qdiscs, classes, filters, bridge vlans and groups, multicast addresses, MPTCP, IPsec "
	 "policies",
	 IN_DEVICE("traffic_control", "ifindex"), "n.ns_id, t.ifindex, t.id", COLS(tc_cols)},
	{"sysctls", "sysctls below net", IN_NETNS("sysctl"), "n.ns_id, t.name", COLS(sysctl_cols)},
	{"firewall", "rulesets; -o ruleset has the text", IN_NETNS("firewall"), "n.ns_id, t.format",
	 COLS(firewall_cols)},
	{"conntrack", "tracked connections", IN_NETNS("conntrack"), "n.ns_id, t.id",
	 COLS(conntrack_cols)},
	{"nsids", "ids that namespaces have for each other, as ip netns list-id",
	 IN_NETNS("nsid") " LEFT JOIN netns g ON g.id = t.target", "n.ns_id, t.value",
	 COLS(nsid_cols)},
	{"tasks", "tasks", IN_NETNS("task"), "t.pid", COLS(task_cols)},
	{"threads", "threads other than the first of each task",
	 "thread t JOIN task k ON k.id = t.task LEFT JOIN netns n ON n.id = coalesce(t.netns, "
	 "k.netns)",
	 "k.pid, t.tid", COLS(thread_cols)},
	{"fds", "descriptors of tasks",
	 "fd t LEFT JOIN task k ON k.image = t.image AND k.files_id = t.files_id"
	 " LEFT JOIN socket s ON s.image = t.image AND s.file_id = t.file_id"
	 " LEFT JOIN netns n ON n.id = s.netns",
	 "k.pid, t.fd", COLS(fd_cols)},
	{"sockets", "sockets with all that their records have; nsimg sockets is as ss",
	 IN_NETNS(
		 "socket") " LEFT JOIN inet_socket i ON i.socket = t.id LEFT JOIN unix_socket u ON "
			   "u.socket = t.id",
	 "n.ns_id, t.family, t.protocol, t.type, t.file_id", COLS(socket_cols)},
	{"streams", "TCP connections: sequence numbers, windows, lengths of queues",
	 "tcp_stream t LEFT JOIN socket s ON s.image = t.image AND s.ino = t.ino AND s.family <> 1"
	 " LEFT JOIN netns n ON n.id = s.netns",
	 "n.ns_id, t.id", COLS(stream_cols)},
	{"queues", "bytes that wait in sockets; -o data has them",
	 "socket_queue t LEFT JOIN socket s ON s.id = coalesce("
	 "(SELECT x.id FROM socket x WHERE x.image = t.image AND x.file_id = t.file_id), "
	 "(SELECT x.id FROM socket x WHERE x.image = t.image AND x.ino = t.ino AND x.family <> 1))"
	 " LEFT JOIN netns n ON n.id = s.netns",
	 "n.ns_id, t.id", COLS(queue_cols)},
	{"tun", "descriptors of /dev/net/tun", IN_NETNS("tun_file"), "n.ns_id, t.id",
	 COLS(tun_cols)},
	{"nsfiles", "descriptors of namespaces",
	 "ns_file t LEFT JOIN netns n ON n.image = t.image AND n.ns_id = t.ns_id", "t.id",
	 COLS(ns_file_cols)},
	{"files", "files of the image, with hashes and damage", "image_file t", "t.name",
	 COLS(file_cols)},
	{"notes", "what could not be kept, what is damaged or unknown", "note t", "t.id",
	 COLS(note_cols)},
	{"facts", "facts about the image", "image_fact t", "t.id", COLS(fact_cols)},
};
const size_t n_show_tables = ARRAY_SIZE(show_tables);
