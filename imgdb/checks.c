/* What an edit may not do, in any client: statements of the trigger X_changed of a table, which triggers.c makes. It runs
 * when the row is as the edit leaves it, b is the JSON of the row as it was, and a CASE picks the sentence that SQLite
 * prints. There is none during an import, because a broken image has whatever it has; and a value that an edit leaves as
 * it was passes, so that one broken value after another can be mended. Limits of numbers, types of JSON and forms of text
 * come first, then conditions about more, then what columns share (procedures.sql). SQLite parses all of it at the start
 * of every command: short is fast, so nothing stands there twice. */
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
	const char *table, *column, *bad, *what;
} texts[] = {
	{"netns", "name",
	 "@ = '' OR @ IN ('.', '..') OR @ GLOB '*/*' OR length(CAST(@ AS BLOB)) > 255",
	 ": it becomes a file under /run/netns: 1 to 255 bytes without slash"},
	{"netns", "pins",
	 "json_valid(@) AND EXISTS (SELECT 1 FROM json_each(@) WHERE type = 'text' AND (value NOT "
	 "GLOB '/*' OR value GLOB '*/../*' OR value GLOB '*/..'))",
	 ": each is an absolute path without .."},
	{"sysctl", "name", "@ NOT GLOB 'net/*' OR @ GLOB '*/../*' OR @ GLOB '*/..'",
	 ": a path below net of /proc/sys, as in net/ipv4/ip_forward"},
	{"socket_queue", "direction", "@ NOT IN ('packet', 'receive', 'send')",
	 ": packet, receive or send"},
	{"userns", "setgroups", "@ NOT IN ('allow', 'deny')", ": allow or deny"},
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

/* ---- what columns share ---- */

/* Texts that are addresses or prefixes of the family of the row or of its socket. */
static const struct ip_text {
	const char *table, *column;
	enum ip_kind {
		IP_ADDRESS,
		IP_PREFIX,
		IP_NETWORK,
		IP_OTHER_FAMILY
	} kind; /* procedures.sql */
	const char *message;
	const char *each; /* NULL, or the text is this of each object of an array */
} ip_texts[] = {
#define ADDRESS           "not an address of its family"
#define ADDRESS_OF_SOCKET "not an address of the family of the socket"
#define PREFIX            "not a prefix of its family"
	{"address", "address", IP_ADDRESS, ADDRESS, NULL},
	{"address", "peer", IP_ADDRESS, ADDRESS, NULL},
	{"address", "broadcast", IP_ADDRESS, ADDRESS, NULL},
	{"route", "dst", IP_NETWORK, PREFIX ", as in 10.0.0.0/24, 10.0.0.1 or default", NULL},
	{"route", "src", IP_NETWORK, PREFIX, NULL},
	{"route", "gateway", IP_ADDRESS, ADDRESS " (another family goes into via)", NULL},
	{"route", "via", IP_OTHER_FAMILY, "not an address of the other family", NULL},
	{"route", "prefsrc", IP_ADDRESS, ADDRESS, NULL},
	{"route", "multipath", IP_ADDRESS, "a gateway is no address of its family", "gateway"},
	{"rule", "src", IP_PREFIX, PREFIX, NULL},
	{"rule", "dst", IP_PREFIX, PREFIX, NULL},
	{"nexthop", "gateway", IP_ADDRESS, ADDRESS, NULL},
	{"neighbour", "dst", IP_ADDRESS, ADDRESS, NULL},
	{"conntrack", "src", IP_ADDRESS, ADDRESS, NULL},
	{"conntrack", "dst", IP_ADDRESS, ADDRESS, NULL},
	{"conntrack", "reply_src", IP_ADDRESS, ADDRESS, NULL},
	{"conntrack", "reply_dst", IP_ADDRESS, ADDRESS, NULL},
	{"inet_socket", "src", IP_ADDRESS, ADDRESS_OF_SOCKET, NULL},
	{"inet_socket", "dst", IP_ADDRESS, ADDRESS_OF_SOCKET, NULL},
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

/* The checks of a table in the making. */
struct check {
	const char *table;
	struct buf arms, calls; /* of the CASE, and the statements behind it */
	struct buf blobs;       /* names of such columns, each between commas */
};

static void check_free(struct check *c)
{
	buf_free(&c->arms);
	buf_free(&c->calls);
	buf_free(&c->blobs);
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

/* The SQL of a condition of checks_int.h: n is the row, which has to be said inside a SELECT, b its JSON before. */
static int add_sql(struct buf *sql, const char *first, const char *text, struct err *e)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz_0123456789";
	const char *row = strstr(text, "SELECT") ? "n." : "";

	for (const char *at = text; *at;) {
		const bool is_old = !strncmp(at, "OLD.", 4);
		const int n = is_old ? (int)strspn(at + 4, letters) : 0;

		if (is_old                    ? buf_printf(sql, e, "(b ->> '%.*s')", n, at + 4)
		    : !strncmp(at, "NEW.", 4) ? buf_add_str(sql, row, e)
		    : *at == '@'              ? buf_printf(sql, e, "%s\"%s\"", row, first)
					      : buf_add(sql, at, 1, e))
			return -1;
		at += is_old || !strncmp(at, "NEW.", 4) ? 4 + n : 1;
	}
	return 0;
}

/* That an edit changes one of these columns. */
static int add_changed(struct check *c, const char *columns, struct err *e)
{
	const char *at = columns, *sep = "(";
	char column[32], quoted[40];

	for (; word_next(&at, ", ", column, sizeof(column)); sep = " OR ") {
		const int n = snprintf(quoted, sizeof(quoted), ",%s,", column);
		const bool is_blob =
			c->blobs.len && memmem(c->blobs.data, c->blobs.len, quoted, (size_t)n);

		if (buf_printf(&c->arms, e,
			       is_blob ? "%sb ->> '%s' IS NOT nullif(quote(\"%s\"), 'NULL')"
				       : "%sb ->> '%s' IS NOT \"%s\"",
			       sep, column, column))
			return -1;
	}
	return buf_add_str(&c->arms, ")", e);
}

/* That a condition looks at this edit. has_value: it has @, and of that NULL is not bad. */
static int add_when(struct check *c, const struct condition *x, const char *first, bool has_value,
		    struct err *e)
{
	struct buf *sql = &c->arms;

	if (buf_printf(sql, e, " WHEN %s", x->when & BY_OTHERS ? "op = 0 AND " : "") ||
	    (has_value && strstr(x->bad, "SELECT") &&
	     buf_printf(sql, e, "\"%s\" IS NOT NULL AND ", first)))
		return -1;
	switch (x->when & ON_BOTH) {
	case ON_INSERT:
		return buf_add_str(sql, "b IS NULL", e);
	case ON_UPDATE:
		return buf_add_str(sql, "b IS NOT NULL AND ", e) || add_changed(c, x->columns, e)
			       ? -1
			       : 0;
	default:
		/* of a row that is added all is new, NULL too */
		return buf_add_str(sql, has_value ? "" : "(b IS NULL OR ", e) ||
				       add_changed(c, x->columns, e) ||
				       buf_add_str(sql, has_value ? "" : ")", e)
			       ? -1
			       : 0;
	}
}

static int add_arm(struct check *c, const struct condition *x, struct err *e)
{
	const char *at = x->columns;
	char first[32];

	word_next(&at, ", ", first, sizeof(first));
	if (add_when(c, x, first, strchr(x->bad, '@'), e) ||
	    (strcmp(x->bad, "1") != 0 &&
	     (buf_add_str(&c->arms, " AND (", e) || add_sql(&c->arms, first, x->bad, e) ||
	      buf_add_str(&c->arms, ")", e))))
		return -1;
	return buf_printf(&c->arms, e, " THEN RAISE(ABORT, '%s')\n", x->message);
}

/* A column with a value that is bad whenever it comes; what: of the sentence, behind the name of the column. */
static int add_value_arm(struct check *c, const char *column, const char *bad, const char *what,
			 struct err *e)
{
	char message[200];
	const struct condition x = {c->table, column, bad, message, ON_BOTH};

	snprintf(message, sizeof(message), "%s.%s%s", c->table, column, what);
	return add_arm(c, &x, e);
}

static int number_arms(struct check *c, const struct number_range *r, struct err *e)
{
	char column[32], range[80];
	const char *at = r->columns;

	if (r->max == INT64_MAX)
		snprintf(range, sizeof(range), "%" PRId64 " or more", r->min);
	else
		snprintf(range, sizeof(range), "%" PRId64 " %s %" PRId64, r->min,
			 r->max == 1 ? "or" : "to", r->max);
	/* nearly all are in their range, and that is seen first */
	while (word_next(&at, " ", column, sizeof(column)))
		if (buf_printf(&c->arms, e,
			       " WHEN \"%s\" NOT BETWEEN %" PRId64 " AND %" PRId64
			       " AND b ->> '%s' IS NOT \"%s\" THEN RAISE(ABORT, '%s.%s is %s')\n",
			       column, r->min, r->max, column, column, c->table, column, range))
			return -1;
	return 0;
}

static int json_arm(struct check *c, const struct json_range *r, struct err *e)
{
	auto_buf struct buf bad = {0};
	const bool is_object = !strcmp(r->type, "object");
	const bool is_numbers = r->each && !strcmp(r->each, "integer");
	char what[80], each[140] = "";
	int has = 0;

	snprintf(what, sizeof(what), " is JSON: an %s%s%s%s", r->type, r->each ? " of " : "",
		 r->each ? r->each : "",
		 is_numbers  ? "s of 32 bits"
		 : r->each   ? "s"
		 : is_object ? ", each member once"
			     : "");
	if (r->each)
		snprintf(each, sizeof(each),
			 " OR EXISTS (SELECT 1 FROM json_each(@) WHERE type <> '%s'%s)", r->each,
			 is_numbers ? " OR value NOT BETWEEN 0 AND 4294967295" : "");
	else if (is_object)
		snprintf(each, sizeof(each),
			 " OR (SELECT count(*) > count(DISTINCT key) FROM json_each(@))");
	if (buf_printf(&bad, e,
		       "CASE WHEN json_valid(@) THEN json_type(@) <> '%s'%s ELSE @ IS NOT NULL END",
		       r->type, each) ||
	    add_value_arm(c, r->column, (const char *)bad.data, what, e))
		return -1;
	/* by now it has been seen that it is JSON */
	buf_reset(&bad);
	if (strstr(r->each ? r->each : r->type, "object"))
		has = members_check(&bad, r->table, r->column, r->each, e);
	return has > 0 ? add_value_arm(c, r->column, (const char *)bad.data,
				       ": it has no such member, or not of that type or range", e)
		       : has;
}

static int text_arm(struct check *c, const struct text_range *r, struct err *e)
{
	return add_value_arm(c, r->column, r->bad, r->what, e);
}

static int pair_arm(struct check *c, const struct pair_range *r, struct err *e)
{
	char bad[400], what[80];

	snprintf(bad, sizeof(bad),
		 "@ NOT GLOB '[0-9]*' OR @ GLOB '*[^0-9-]*' OR @ GLOB '*-*-*' OR @ GLOB '*-' OR "
		 "CAST(@ AS INTEGER) > CAST(substr(@, instr(@, '-') + 1) AS INTEGER) OR "
		 "CAST(substr(@, instr(@, '-') + 1) AS INTEGER) > %" PRId64,
		 r->max);
	snprintf(what, sizeof(what), ": a number or a range within 0 to %" PRId64, r->max);
	return add_value_arm(c, r->column, bad, what, e);
}

/* What says which row it is: the key, where it came from, and its namespace, which is one of the same image. */
static int identity_arms(struct check *c, struct query *columns, struct err *e)
{
	static const char origin[] = "image file rec off";
	char key[32] = "", moved[60] = "", message[120];
	struct condition x = {c->table, key, "1", message, ON_UPDATE};
	bool has_netns = false;
	int rc;

	while ((rc = query_next(columns, e)) == 1) {
		const char *name = query_text(columns, 0);

		if (!*key)
			snprintf(key, sizeof(key), "%s", name);
		has_netns |= !strcmp(name, "netns");
		if (!strcmp(query_text(columns, 1), "BLOB") &&
		    buf_printf(&c->blobs, e, ",%s,", name))
			return -1;
		if (strstr(origin, name))
			snprintf(moved + strlen(moved), sizeof(moved) - strlen(moved), "%s%s",
				 *moved ? ", " : "", name);
	}
	snprintf(message, sizeof(message), "%s.%s: the key of a row does not change", c->table,
		 key);
	if (rc || add_arm(c, &x, e))
		return -1;
	x.columns = moved;
	x.when |= BY_OTHERS;
	snprintf(message, sizeof(message), "%s: image, file, rec and off say where a row came from",
		 c->table);
	if (*moved && add_arm(c, &x, e))
		return -1;
	return has_netns ? add_value_arm(c, "netns",
					 "NOT EXISTS (SELECT 1 FROM netns WHERE id = @ AND image = "
					 "NEW.image)",
					 ": the image has no such namespace", e)
			 : 0;
}

static int ip_call(struct check *c, const struct ip_text *t, struct err *e)
{
	if (!t->each)
		return buf_printf(&c->calls, e,
				  " INSERT INTO ip_check VALUES ('%s', '%s', %d, NEW.before, "
				  "NEW.after);\n",
				  t->table, t->column, t->kind);
	return buf_printf(&c->calls, e,
			  " INSERT INTO ip_check SELECT '%s', '%s', %d, NULL, json_object('%s', v, "
			  "'family', NEW.after ->> 'family') FROM (SELECT value ->> '%s' AS v "
			  "FROM json_each(NEW.after ->> '%s')) WHERE NEW.before ->> '%s' IS NOT "
			  "NEW.after ->> '%s';\n",
			  t->table, t->column, t->kind, t->column, t->each, t->column, t->column,
			  t->column);
}

static int utf8_calls(struct check *c, const struct utf8_texts *u, struct err *e)
{
	const char *at = u->columns;
	char column[32];

	while (word_next(&at, " ", column, sizeof(column)))
		if (buf_printf(&c->calls, e,
			       " INSERT INTO text_check VALUES ('%s', '%s', NEW.before, "
			       "NEW.after);\n",
			       u->table, column))
			return -1;
	return 0;
}

#define ROWS_OF(rows, n, fn)                                                                       \
	for (size_t i = 0; i < (n); i++)                                                           \
		if (!strcmp((rows)[i].table, c->table) && fn(c, &(rows)[i], e))                    \
			return -1;

static int check_make(struct check *c, struct query *columns, struct err *e)
{
	if (strcmp(c->table, "image") != 0 && identity_arms(c, columns, e))
		return -1;
	ROWS_OF(numbers, ARRAY_SIZE(numbers), number_arms)
	ROWS_OF(jsons, ARRAY_SIZE(jsons), json_arm)
	ROWS_OF(texts, ARRAY_SIZE(texts), text_arm)
	ROWS_OF(pairs, ARRAY_SIZE(pairs), pair_arm)
	ROWS_OF(check_conditions, n_check_conditions, add_arm)
	ROWS_OF(ip_texts, ARRAY_SIZE(ip_texts), ip_call)
	ROWS_OF(utf8_texts, ARRAY_SIZE(utf8_texts), utf8_calls)
	return 0;
}

/* The sentences of what procedures.sql finds. */
static int add_refusals(struct buf *sql, struct err *e)
{
	static const char arm[] = " WHEN '%s.%s%s' THEN RAISE(ABORT, '%s.%s: %s')\n";

	if (buf_add_str(sql,
			"CREATE VIEW refuse_check AS SELECT '' AS place;\n"
			"CREATE TRIGGER refuse_check_insert INSTEAD OF INSERT ON refuse_check WHEN "
			"NEW.place IS NOT NULL BEGIN\n SELECT (CASE NEW.place\n",
			e))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(ip_texts); i++) {
		const struct ip_text *t = &ip_texts[i];

		if (buf_printf(sql, e, arm, t->table, t->column, "", t->table, t->column,
			       t->message) ||
		    (t->kind == IP_NETWORK &&
		     buf_printf(sql, e, arm, t->table, t->column, " bits", t->table, t->column,
				"bits are set behind the length of the prefix")))
			return -1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(utf8_texts); i++) {
		const struct utf8_texts *u = &utf8_texts[i];
		const char *at = u->columns;
		char column[32];

		while (word_next(&at, " ", column, sizeof(column)))
			if (buf_printf(sql, e, arm, u->table, column, "", u->table, column,
				       "UTF-8 without zero bytes and controls; other bytes are "
				       "written \\xNN") ||
			    buf_printf(sql, e, arm, u->table, column, " escape", u->table, column,
				       "a backslash is written \\\\, a byte that cannot be shown "
				       "\\xNN, all else as it is"))
				return -1;
	}
	return buf_add_str(sql,
			   " ELSE RAISE(ABORT, 'not an IPv6 address, or not as inet_ntop(3) writes "
			   "it: fd00::1, ::ffff:10.0.0.1') END);\nEND;\n",
			   e);
}

int checks_procedures(struct buf *sql, struct err *e)
{
	return buf_add_str(sql, embed_procedures_sql, e) || add_refusals(sql, e) ? -1 : 0;
}

int checks_add(struct db *db, struct buf *sql, const char *table, const char *key, struct err *e)
{
	__attribute__((cleanup(check_free))) struct check c = {.table = table};
	auto_query struct query *columns =
		query_new(db, "SELECT name, type FROM pragma_table_info(:t) ORDER BY cid", e);

	if (!columns || query_bind_text(columns, "t", table, e) || check_make(&c, columns, e))
		return -1;
	if (!c.arms.len)
		return 0;
	return buf_printf(
		sql, e,
		" SELECT (CASE\n%s END) FROM \"%s\" n, (SELECT NEW.before AS b, iif(importing "
		"= 4, 0, op) AS op FROM edit_state WHERE importing IN (0, 4) AND NEW.after IS "
		"NOT NULL) WHERE "
		"n.\"%s\" = NEW.row;\n%s",
		(const char *)c.arms.data, table, key,
		c.calls.len ? (const char *)c.calls.data : "");
}
