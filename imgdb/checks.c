/* What an edit may not do, in any client: one trigger a table and event, whose CASE picks the sentence that SQLite
 * prints. Quiet during an import, because a broken image has whatever it has; and a value that an edit leaves as it
 * was passes, so that one broken value after another can be mended. Limits of numbers, types of JSON and forms of text
 * come first, then conditions about more. SQLite parses all of it at the start of every command: short is fast. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "imgdb/checks_int.h"
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
	{"address", "prefixlen", 0, 128},
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
	{"task", "state", 0, U8_MAX}, /* CRIU's TASK_UNDEF */
	{"task", "files_id ns_id userns pidns mntns", 0, U32_MAX},
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

/* ---- IPv6 ---- */

/* Texts that are IPv6 addresses or prefixes, where they have a colon. */
static const struct v6_texts {
	const char *table, *columns; /* separated by blanks */
	bool is_network;             /* no bit is set behind the length (ip6_route_info_create()) */
} v6_texts[] = {
	{"address", "address peer broadcast", false},
	{"route", "gateway via prefsrc", false},
	{"route", "dst src", true},
	{"rule", "src dst", false},
	{"nexthop", "gateway", false},
	{"neighbour", "dst", false},
	{"conntrack", "src dst reply_src reply_dst", false},
	{"inet_socket", "src dst", false},
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

/* The arm before it has seen that it is JSON. */
static int members_arm(struct arms *a, const struct json_range *r, struct err *e)
{
	auto_buf struct buf bad = {0};
	const int has = members_check(&bad, r->table, r->column, r->each, a->is_update, e);

	if (has <= 0)
		return has;
	return arm_begin(a, r->column, e) || buf_add_str(a->sql, (const char *)bad.data, e) ||
			       arm_end(a, e, r->column,
				       ": it has no such member, or not of that type or range")
		       ? -1
		       : 0;
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
	    buf_printf(a->sql, e, " ELSE NEW.\"%s\" IS NOT NULL END", c) ||
	    arm_end(a, e, c, message))
		return -1;
	return strstr(r->each ? r->each : r->type, "object") ? members_arm(a, r, e) : 0;
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
	for (size_t i = 0; i < n_check_conditions; i++)
		if (!strcmp(check_conditions[i].table, a->table) &&
		    condition_arm(a, &check_conditions[i], e))
			return -1;
	return 0;
}

/* Further statements of the trigger. What an operation of ours makes of an address is written by inet_format(). */
static int v6_calls(struct arms *a, const struct v6_texts *v, struct err *e)
{
	const char *at = v->columns;
	char column[32];

	while (word_next(&at, " ", column, sizeof(column)))
		if (buf_printf(a->sql, e,
			       " INSERT INTO ipv6_check SELECT NEW.%s, %s WHERE NEW.%s GLOB '*:*'",
			       column, v->is_network ? "(SELECT op FROM edit_state) = 0" : "0",
			       column) ||
		    (a->is_update &&
		     buf_printf(a->sql, e, " AND NEW.%s IS NOT OLD.%s", column, column)) ||
		    buf_add_str(a->sql, ";\n", e))
			return -1;
	return 0;
}

static int table_calls(struct arms *a, struct err *e)
{
	ARMS_OF(v6_texts, v6_calls)
	return 0;
}

int checks_procedures(struct buf *sql, struct err *e)
{
	return buf_add_str(sql, embed_ipv6_check_sql, e);
}

int checks_add(struct db *db, struct buf *sql, const char *table, struct err *e)
{
	auto_query struct query *columns =
		query_new(db, "SELECT name FROM pragma_table_info(:t) ORDER BY cid", e);

	for (int is_update = 0; is_update < 2; is_update++) {
		auto_buf struct buf text = {0}, calls = {0};
		struct arms a = {.sql = &text, .table = table, .is_update = is_update};
		struct arms c = {.sql = &calls, .table = table, .is_update = is_update};

		if (!columns || query_bind_text(columns, "t", table, e) ||
		    table_arms(&a, columns, e) || table_calls(&c, e))
			return -1;
		if (text.len &&
		    buf_printf(sql, e,
			       "CREATE TRIGGER %s_check_%s BEFORE %s ON %s WHEN " TRIGGERS_QUIET
			       " BEGIN\n SELECT (CASE\n%s END);\n%sEND;\n",
			       table, is_update ? "update" : "insert",
			       is_update ? "UPDATE" : "INSERT", table, (const char *)text.data,
			       calls.len ? (const char *)calls.data : ""))
			return -1;
	}
	return 0;
}
