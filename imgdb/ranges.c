/* What values a column of an image may be set to: numbers in a range, JSON of a type, words of a form. One trigger a
 * table and event says so, with the sentence that SQLite prints. Like all checks of edits (triggers.c) they are quiet
 * during an import, because a broken image has whatever it has; and a value that an edit leaves as it is passes, so
 * that one broken value after another can be mended. */
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
	{"netns", "ns_id owner", 0, U32_MAX},
	{"nsid", "value", 0, S32_MAX},
	{"device", "ifindex", 1, S32_MAX},
	{"device", "mtu link master", 0, S32_MAX},
	{"device", "link_netnsid", -1, S32_MAX},
	{"device", "operstate", 0, U8_MAX},
	{"device", "nd_type flags txqlen group", 0, U32_MAX},
	{"address", "ifindex", 1, S32_MAX},
	{"address", "family scope proto", 0, U8_MAX},
	{"address", "flags valid_lft preferred_lft metric", 0, U32_MAX},
	{"route", "oif iif", 0, S32_MAX},
	{"route", "family type protocol scope tos", 0, U8_MAX},
	{"route", "pref", 0, 3},
	{"route", "table flags priority nh_id", 0, U32_MAX},
	{"rule", "family action tos ipproto protocol", 0, U8_MAX},
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
	{"socket", "state", 0, U8_MAX},
	{"socket", "family type protocol", 0, U16_MAX},
	{"socket", "so_snd_tmo_usec so_rcv_tmo_usec", 0, 999999},
	{"socket", "so_snd_tmo_sec so_rcv_tmo_sec", 0, INT64_MAX},
	{"socket", "so_sndbuf so_rcvbuf so_rcvlowat", 0, S32_MAX},
	{"socket", "tcp_keepcnt tcp_keepidle tcp_keepintvl", 0, S32_MAX},
	{"socket", "file_id ns_id flags so_priority so_mark so_linger uid", 0, U32_MAX},
	{"socket", "inq_len outq_len other_backlog", 0, U32_MAX},
	{"inet_socket", "v6only freebind pktinfo hdrincl nodefrag cork nodelay", 0, 1},
	{"inet_socket", "tos ttl", 0, U8_MAX},
	{"inet_socket", "keepcnt keepidle keepintvl", 0, S32_MAX},
	{"inet_socket", "src_scope dst_scope backlog checksum n_unaccepted rcv_mss", 0, U32_MAX},
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
	{"image", "lock_method", 0, U32_MAX},
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

/* The arms of a CASE that raises: one for each column. columns: their names, for UPDATE OF. */
struct arms {
	struct buf *sql, columns;
	const char *table;
	bool is_update;
};

static int arm_begin(struct arms *a, const char *column, struct err *e)
{
	if (buf_printf(&a->columns, e, "%s\"%s\"", a->columns.len ? ", " : "", column) ||
	    buf_add_str(a->sql, "  WHEN ", e))
		return -1;
	return a->is_update
		       ? buf_printf(a->sql, e, "NEW.\"%s\" IS NOT OLD.\"%s\" AND ", column, column)
		       : 0;
}

static int arm_end(struct arms *a, const char *column, struct err *e, const char *message)
{
	return buf_printf(a->sql, e, " THEN RAISE(ABORT, '%s.%s%s')\n", a->table, column, message);
}

static int number_arms(struct arms *a, const struct number_range *r, struct err *e)
{
	char column[32], message[80];
	const char *at = r->columns;
	size_t n;

	if (r->max == INT64_MAX)
		snprintf(message, sizeof(message), " is %" PRId64 " or more", r->min);
	else
		snprintf(message, sizeof(message), " is %" PRId64 " %s %" PRId64, r->min,
			 r->max == 1 ? "or" : "to", r->max);
	for (; (n = strcspn(at, " ")); at += n + (at[n] == ' ')) {
		snprintf(column, sizeof(column), "%.*s", (int)n, at);
		if (arm_begin(a, column, e) ||
		    buf_printf(a->sql, e, "NEW.\"%s\" NOT BETWEEN %" PRId64 " AND %" PRId64, column,
			       r->min, r->max) ||
		    arm_end(a, column, e, message))
			return -1;
	}
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
	return arm_end(a, c, e, message);
}

static int text_arm(struct arms *a, const struct text_range *r, struct err *e)
{
	char message[120];

	snprintf(message, sizeof(message), ": %s", r->message);
	if (arm_begin(a, r->column, e) || buf_add_str(a->sql, "(", e))
		return -1;
	for (const char *at = r->bad; *at; at++)
		if (*at == '@' ? buf_printf(a->sql, e, "NEW.\"%s\"", r->column)
			       : buf_add(a->sql, at, 1, e))
			return -1;
	return buf_add_str(a->sql, ")", e) || arm_end(a, r->column, e, message) ? -1 : 0;
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

#define ARMS_OF(rows, fn)                                                                          \
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)                                              \
		if (!strcmp((rows)[i].table, a->table) && fn(a, &(rows)[i], e))                    \
			return -1;

static int table_arms(struct arms *a, struct err *e)
{
	ARMS_OF(numbers, number_arms)
	ARMS_OF(jsons, json_arm)
	ARMS_OF(texts, text_arm)
	ARMS_OF(pairs, pair_arm)
	return 0;
}

static int table_trigger(struct buf *sql, const char *table, bool is_update, struct err *e)
{
	auto_buf struct buf text = {0};
	struct arms a = {.sql = &text, .table = table, .is_update = is_update};
	int rc = table_arms(&a, e);

	if (!rc && text.len)
		rc = buf_printf(sql, e,
				"CREATE TRIGGER %s_range_%s BEFORE %s%s ON %s WHEN " TRIGGERS_QUIET
				" BEGIN\n SELECT (CASE\n%s END);\nEND;\n",
				table, is_update ? "update" : "insert",
				is_update ? "UPDATE OF " : "INSERT",
				is_update ? (const char *)a.columns.data : "", table,
				(const char *)text.data);
	buf_free(&a.columns);
	return rc;
}

int ranges_add(struct buf *sql, const char *table, struct err *e)
{
	return table_trigger(sql, table, false, e) || table_trigger(sql, table, true, e) ? -1 : 0;
}
