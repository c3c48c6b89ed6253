/* sockets.c: nsimg sockets: what ss -a shows, with the namespace of each socket and every holder. */
#include "inspect/sockets.h"

#include <ctype.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "inspect/commands.h"
#include "inspect/filter.h"
#include "inspect/origin.h"
#include "inspect/rows.h"
#include "inspect/words.h"

/* Broken where a reader of SQL would break it. */
/* clang-format off */

/* An abstract name is shown as @name, as ss does. */
#define UNIX_NAME(u)                                                                               \
	"CASE WHEN coalesce(" u ".name, '') = '' THEN '*'"                                         \
	" WHEN substr(" u ".name, 1, 4) = '\\x00' THEN '@' || substr(" u ".name, 5)"               \
	" ELSE " u ".name END"
#define PORT(col) "CASE WHEN " col " = 0 THEN '*' ELSE CAST(" col " AS TEXT) END"
/* ss prints * for the wildcard of a dual-stack socket */
#define HOST(addr)                                                                                 \
	"CASE WHEN s.family = 10 AND " addr " = '::' AND coalesce(i.v6only, 0) = 0 THEN '*'"       \
	" WHEN s.family = 10 THEN '[' || " addr " || ']' ELSE " addr " END"

/* struct sockaddr_vm (linux/vm_sockets.h): port at offset 4, cid at offset 8, in the machine's byte order, which
 * is little-endian here; all ones are "any". SQL has no integers out of bytes but by their hex digits. */
#define HEX(col, n, shift) "(instr('123456789ABCDEF', substr(hex(" col "), " #n ", 1)) << " #shift ")"
#define VSOCK_PORT(col)                                                                            \
	"(" HEX(col, 9, 4) " | " HEX(col, 10, 0) " | " HEX(col, 11, 12) " | " HEX(col, 12, 8)      \
	" | " HEX(col, 13, 20) " | " HEX(col, 14, 16) " | " HEX(col, 15, 28) " | " HEX(col, 16, 24) ")"
#define VSOCK_CID(col)                                                                             \
	"(" HEX(col, 17, 4) " | " HEX(col, 18, 0) " | " HEX(col, 19, 12) " | " HEX(col, 20, 8)     \
	" | " HEX(col, 21, 20) " | " HEX(col, 22, 16) " | " HEX(col, 23, 28) " | " HEX(col, 24, 24) ")"
#define VSOCK_PART(word) "CASE " word " WHEN 4294967295 THEN '*' ELSE CAST(" word " AS TEXT) END"
#define VSOCK(col)                                                                                 \
	"CASE WHEN length(" col ") >= 12 THEN " VSOCK_PART(VSOCK_CID(col))                         \
	" || ':' || " VSOCK_PART(VSOCK_PORT(col)) " ELSE '*' END"

/* Numbers of the groups of a netlink socket, in order: group n is bit n-1 of the words of k.groups. A damaged image may
 * hold text there that is no JSON. */
#define NL_GROUPS(aggregate)                                                                       \
	"SELECT " aggregate " FROM json_each(iif(json_valid(k.groups), k.groups, '[]')) w"         \
	" CROSS JOIN json_each('[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,'"                          \
	" || '16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31]') b"                                \
	" WHERE w.value >> b.value & 1"
#define GROUP_NUMBER "w.key * 32 + b.value + 1"

#define LOCAL                                                                                      \
	"CASE WHEN i.socket IS NOT NULL THEN " HOST("i.src")                                       \
	" || coalesce('%' || coalesce(nullif(s.so_bound_dev, ''), nullif(i.ifname, ''), "          \
	"'if' || (s.options ->> 'SO_BINDTOIFINDEX')), '')"                                         \
	" || ':' || CASE WHEN s.type = 3 THEN @proto ELSE " PORT("i.src_port") " END"              \
	" WHEN u.socket IS NOT NULL THEN " UNIX_NAME("u") " || ' ' || coalesce(s.ino, 0)"          \
	" WHEN k.socket IS NOT NULL THEN @nl || ':' || k.portid"                                   \
	" WHEN p.socket IS NOT NULL THEN @ether || ':' ||"                                         \
	" CASE p.ifindex WHEN 0 THEN '*' ELSE coalesce(pd.name, 'if' || p.ifindex) END"            \
	" WHEN s.family = 40 THEN " VSOCK("s.local_addr")                                          \
	" ELSE '*' END"
/* Of a unix socket: where the peer's namespace is another one, that is said. Of a netlink socket: the groups whose
 * messages it gets. */
#define PEER                                                                                       \
	"CASE WHEN i.socket IS NOT NULL THEN "                                                     \
	HOST("coalesce(i.dst, CASE s.family WHEN 10 THEN '::' ELSE '0.0.0.0' END)")                \
	" || ':' || " PORT("i.dst_port")                                                           \
	" WHEN u.socket IS NOT NULL THEN"                                                          \
	" CASE WHEN us.id IS NULL THEN '*' ELSE " UNIX_NAME("uu") " END || ' ' || u.peer ||"       \
	" CASE WHEN us.netns <> s.netns"                                                           \
	" THEN ' (netns ' || coalesce(un.name, 'ns' || un.ns_id) || ')'"                           \
	" WHEN us.id IS NULL AND u.peer_ns_id IS NOT NULL THEN ' (netns ns' || u.peer_ns_id || ')'" \
	" ELSE '' END"                                                                             \
	" WHEN k.socket IS NOT NULL THEN"                                                          \
	" CASE WHEN coalesce(k.dst_portid, 0) = 0 THEN '*' ELSE CAST(k.dst_portid AS TEXT) END"    \
	" || coalesce(' (groups ' || (" NL_GROUPS("group_concat(" GROUP_NUMBER ")") ") || ')', '')" \
	" WHEN s.family = 40 THEN " VSOCK("s.peer_addr")                                           \
	" ELSE '*' END"

/* Bytes of the queues (view socket_waiting). Of a listener, as in ss: connections that wait in its accept queue, and
 * the size of that queue. NULL where the image does not tell. */
#define WAITING(column) "(SELECT w." column " FROM socket_waiting w WHERE w.socket = s.id)"
/* A dump by nsimg leaves out root, CRIU tells nothing. */
#define UID "coalesce(s.uid, CASE WHEN s.cookie IS NOT NULL THEN 0 END)"
/* clang-format on */

/* The holders of a socket: every descriptor of every task. Where the holder lives in another namespace than
 * the socket, that is said. */
#define HOLDERS                                                                                    \
	" FROM fd f CROSS JOIN task t ON t.image = f.image AND t.files_id = f.files_id"            \
	" LEFT JOIN netns tn ON tn.id = t.netns"                                                   \
	" WHERE f.image = s.image AND f.file_id = s.file_id"
#define USERS                                                                                      \
	"SELECT group_concat('(\"' || coalesce(t.comm, '?') || '\",pid=' || t.pid || ',fd=' || "   \
	"f.fd || CASE WHEN t.netns <> s.netns THEN ',netns=' || coalesce(tn.name, 'ns' || "        \
	"tn.ns_id) ELSE '' END || ')', ',')" HOLDERS
#define OWNERS                                                                                     \
	"SELECT json_group_array(json_object('comm', t.comm, 'pid', t.pid, 'fd', f.fd, 'netns', "  \
	"coalesce(tn.name, 'ns' || tn.ns_id)))" HOLDERS

/* An expression of the select: words is applied to expr. */
static const struct {
	const char *name, *expr;
	enum words words;
	struct table_col col;
} cols[] = {
	{"netid",
	 "CASE s.family WHEN 1 THEN CASE s.type WHEN 1 THEN 'u_str' WHEN 2 THEN 'u_dgr' WHEN 5 "
	 "THEN 'u_seq'"
	 " ELSE 'unix' END WHEN 16 THEN 'nl' WHEN 17 THEN CASE s.type WHEN 2 THEN 'p_dgr' ELSE "
	 "'p_raw' END"
	 " WHEN 40 THEN CASE s.type WHEN 2 THEN 'v_dgr' ELSE 'v_str' END WHEN 44 THEN 'xdp'"
	 " WHEN 2 THEN @ip WHEN 10 THEN @ip ELSE 'af' || s.family END",
	 WORDS_NONE,
	 {"netid", TABLE_STR, 0}},
	{"state", "coalesce(s.state, 0)", WORDS_TCP_STATE, {"state", TABLE_STR, TABLE_STATE}},
	{"recvq", WAITING("recv_q"), WORDS_NONE, {"recv-q", TABLE_INT, TABLE_RIGHT}},
	{"sendq", WAITING("send_q"), WORDS_NONE, {"send-q", TABLE_INT, TABLE_RIGHT}},
	{"local", LOCAL, WORDS_NONE, {"local", TABLE_STR, TABLE_WHOLE}},
	{"peer", PEER, WORDS_NONE, {"peer", TABLE_STR, TABLE_WHOLE}},
	{"netns",
	 "coalesce(n.name, 'ns' || n.ns_id)",
	 WORDS_NONE,
	 {"netns", TABLE_STR, TABLE_NAME}},
	{"users", USERS, WORDS_NONE, {"users", TABLE_STR, TABLE_BELOW}},
	{"owners", OWNERS, WORDS_NONE, {"owners", TABLE_JSON, TABLE_HIDDEN}},
	{"family", "s.family", WORDS_FAMILY, {"family", TABLE_STR, TABLE_HIDDEN}},
	{"type", "s.type", WORDS_SOCK_TYPE, {"type", TABLE_STR, TABLE_HIDDEN}},
	{"protocol", "s.protocol", WORDS_NONE, {"protocol", TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT}},
	{"src", "i.src", WORDS_NONE, {"src", TABLE_STR, TABLE_HIDDEN}},
	{"sport", "i.src_port", WORDS_NONE, {"sport", TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT}},
	{"dst", "i.dst", WORDS_NONE, {"dst", TABLE_STR, TABLE_HIDDEN}},
	{"dport", "i.dst_port", WORDS_NONE, {"dport", TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT}},
	{"dev",
	 "coalesce(nullif(s.so_bound_dev, ''), pd.name)",
	 WORDS_NONE,
	 {"dev", TABLE_STR, TABLE_HIDDEN}},
	{"name", "u.name", WORDS_NONE, {"name", TABLE_STR, TABLE_HIDDEN}},
	{"peer_ino",
	 "nullif(u.peer, 0)",
	 WORDS_NONE,
	 {"peer_ino", TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT}},
	{"ino", "s.ino", WORDS_NONE, {"ino", TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT}},
	{"cookie", "s.cookie", WORDS_NONE, {"cookie", TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT}},
	{"uid", UID, WORDS_NONE, {"uid", TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT}},
	{"mark", "s.so_mark", WORDS_NONE, {"mark", TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT}},
	{"shutdown", "s.shutdown", WORDS_SHUTDOWN, {"shutdown", TABLE_STR, TABLE_HIDDEN}},
	{"options", "s.options", WORDS_NONE, {"options", TABLE_JSON, TABLE_HIDDEN}},
	{"memberships", "s.memberships", WORDS_NONE, {"memberships", TABLE_JSON, TABLE_HIDDEN}},
	{"groups",
	 "CASE WHEN k.socket IS NOT NULL THEN (" NL_GROUPS("json_group_array(" GROUP_NUMBER
							   ")") ") END",
	 WORDS_NONE,
	 {"groups", TABLE_JSON, TABLE_HIDDEN}},
	{"file_id", "s.file_id", WORDS_NONE, {"file_id", TABLE_INT, TABLE_EXTRA | TABLE_RIGHT}},
	{"id", "s.id", WORDS_NONE, {"id", TABLE_INT, TABLE_EXTRA | TABLE_RIGHT}},
	{"file",
	 "SELECT name FROM image_file WHERE id = s.file",
	 WORDS_NONE,
	 {"file", TABLE_STR, TABLE_EXTRA}},
	{"rec", "s.rec", WORDS_NONE, {"rec", TABLE_INT, TABLE_EXTRA | TABLE_RIGHT}},
	{"off", "s.off", WORDS_NONE, {"off", TABLE_INT, TABLE_EXTRA | TABLE_RIGHT}},
	{"family_num",
	 "s.family",
	 WORDS_NONE,
	 {"family_num", TABLE_INT, TABLE_EXTRA | TABLE_RIGHT}},
	{"state_num", "s.state", WORDS_NONE, {"state_num", TABLE_INT, TABLE_EXTRA | TABLE_RIGHT}},
	{"ns_id", "n.ns_id", WORDS_NONE, {"ns_id", TABLE_INT, TABLE_EXTRA | TABLE_RIGHT}},
	{"netns_id", "s.netns", WORDS_NONE, {"netns_id", TABLE_INT, TABLE_EXTRA | TABLE_RIGHT}},
	{"local_name",
	 "CASE WHEN u.socket IS NOT NULL THEN " UNIX_NAME("u") " END",
	 WORDS_NONE,
	 {"local_name", TABLE_STR, TABLE_EXTRA}},
	{"peer_name",
	 "CASE WHEN us.id IS NOT NULL THEN " UNIX_NAME("uu") " END",
	 WORDS_NONE,
	 {"peer_name", TABLE_STR, TABLE_EXTRA}},
};

/* Parts of the expressions above that are word lists themselves. */
static const struct {
	const char *mark, *expr;
	enum words words;
} marks[] = {
	{"@ip",
	 "CASE WHEN s.type = 3 THEN 'raw' WHEN s.protocol = 58 THEN 'icmp6' ELSE @ipproto END",
	 WORDS_NONE},
	{"@proto", "s.protocol", WORDS_IPPROTO},
	{"@ipproto", "s.protocol", WORDS_IPPROTO},
	{"@nl", "s.protocol", WORDS_NETLINK},
	/* CRIU keeps it as packet(7) has it, in network byte order */
	{"@ether", "(((s.protocol & 255) << 8) | ((s.protocol >> 8) & 255))", WORDS_ETHERTYPE},
};

const char sockets_joins[] =
	" LEFT JOIN inet_socket i ON i.socket = s.id"
	" LEFT JOIN unix_socket u ON u.socket = s.id"
	" LEFT JOIN netlink_socket k ON k.socket = s.id"
	" LEFT JOIN packet_socket p ON p.socket = s.id"
	" LEFT JOIN netns n ON n.id = s.netns"
	" LEFT JOIN device pd ON pd.netns = s.netns AND pd.ifindex = p.ifindex"
	" LEFT JOIN socket us ON us.image = s.image AND us.family = 1 AND us.ino = nullif(u.peer, "
	"0)"
	" LEFT JOIN unix_socket uu ON uu.socket = us.id"
	" LEFT JOIN netns un ON un.id = us.netns";
static const char order[] =
	" ORDER BY n.ns_id, s.family, s.protocol, s.type, i.src_port, s.file_id";

/* Append expr with its marks replaced; a mark may hold another one. */
static int expand(struct buf *out, const char *expr, struct err *e)
{
	for (const char *at; (at = strchr(expr, '@')); expr = at) {
		size_t i = 0, n = 0;

		for (i = 0; i < ARRAY_SIZE(marks); i++) {
			n = strlen(marks[i].mark);
			if (strncmp(at, marks[i].mark, n) == 0 && !isalpha((unsigned char)at[n]))
				break;
		}
		/* the '@' of an abstract name */
		if (i == ARRAY_SIZE(marks)) {
			at++;
			if (buf_add(out, expr, (size_t)(at - expr), e))
				return -1;
			continue;
		}
		if (buf_add(out, expr, (size_t)(at - expr), e))
			return -1;
		if (marks[i].words ? words_sql(out, marks[i].words, marks[i].expr, e)
				   : expand(out, marks[i].expr, e))
			return -1;
		at += n;
	}
	return buf_add_str(out, expr, e);
}

static int add_column(struct buf *out, size_t i, struct err *e)
{
	if (cols[i].words)
		return words_sql(out, cols[i].words, cols[i].expr, e);
	return buf_add_str(out, "(", e) || expand(out, cols[i].expr, e) || buf_add_str(out, ")", e)
		       ? -1
		       : 0;
}

int sockets_column(struct buf *out, const char *name, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(cols); i++) {
		if (strcmp(cols[i].name, name) == 0)
			return add_column(out, i, e);
	}
	return err_set(e, ERR_USAGE, "sockets have no column '%s'", name);
}

bool sockets_is_rare(const char *netid)
{
	static const char *const common[] = {"tcp", "udp",   "u_str", "u_dgr",
					     "nl",  "p_raw", "p_dgr"};

	for (size_t i = 0; i < ARRAY_SIZE(common); i++)
		if (!strcmp(netid, common[i]))
			return false;
	return true;
}

bool sockets_is_rare_family(int64_t family)
{
	return family != AF_UNIX && family != AF_INET && family != AF_INET6 &&
	       family != AF_NETLINK && family != AF_PACKET;
}

int sockets_columns(struct buf *out, const char *names, struct err *e)
{
	while (*names) {
		size_t n = strcspn(names, " ");
		char name[32];

		snprintf(name, sizeof(name), "%.*s", (int)n, names);
		if (sockets_column(out, name, e) || buf_printf(out, e, " AS %s", name))
			return -1;
		names += n + strspn(names + n, " ");
		if (*names && buf_add_str(out, ", ", e))
			return -1;
	}
	return 0;
}

/* SELECT of all columns; one that is not wanted costs nothing and is NULL. */
static int select_sql(struct buf *out, const bool *wanted, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(cols); i++) {
		if (buf_add_str(out, i ? ", " : "SELECT ", e) ||
		    (!wanted || wanted[i] ? add_column(out, i, e) : buf_add_str(out, "NULL", e)) ||
		    buf_printf(out, e, " AS \"%s\"", cols[i].col.name))
			return -1;
	}
	return buf_printf(out, e, " FROM socket s%s", sockets_joins);
}

int sockets_sql(struct buf *out, struct err *e)
{
	if (select_sql(out, NULL, e))
		return -1;
	return buf_printf(out, e, " WHERE s.image = :image%s", order);
}

/* With a driver the index of the image must not be taken: +s.image is no term for an index. */
static int add_where(struct buf *out, const struct filter *f, struct err *e)
{
	const char *driver = filter_driver(f);

	if (buf_printf(out, e, " WHERE %ss.image = :image AND (%s)", driver ? "+" : "",
		       filter_sql(f)) ||
	    (driver && buf_printf(out, e, " AND s.id IN (%s)", driver)))
		return -1;
	return buf_add_str(out, order, e);
}

int sockets_ids_sql(struct buf *out, const struct filter *f, struct err *e)
{
	return buf_printf(out, e, "SELECT s.id FROM socket s%s", sockets_joins) ||
			       add_where(out, f, e)
		       ? -1
		       : 0;
}

static int run_query(struct cli *c, struct db *db, const struct filter *f, int64_t image,
		     struct err *e)
{
	struct table_style style = cli_style(c);
	struct table_col heads[ARRAY_SIZE(cols)];
	bool wanted[ARRAY_SIZE(cols)];
	auto_buf struct buf sql = {0};
	auto_query struct query *q = NULL;
	auto_table struct table *t = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(cols); i++)
		heads[i] = cols[i].col;
	if (table_wanted(heads, ARRAY_SIZE(heads), &style, wanted, e) ||
	    select_sql(&sql, cli_has(c, "origin") ? NULL : wanted, e) || add_where(&sql, f, e))
		return -1;
	q = query_new(db, (const char *)sql.data, e);
	if (!q || query_bind_int(q, "image", image, e) || filter_bind(f, q, e))
		return -1;
	if (cli_has(c, "origin"))
		return show_origins(c, db, q, heads, ARRAY_SIZE(heads), e);
	t = table_new(heads, ARRAY_SIZE(heads), e);
	if (!t || rows_to_table(q, t, e))
		return -1;
	return cli_print_table(c, t, e);
}

static int sockets_run(struct cli *c, struct err *e)
{
	auto_buf struct buf text = {0};
	auto_filter struct filter *f = NULL;
	auto_db struct db *db = NULL;
	int64_t image;

	if (buf_reserve(&text, 1, e))
		return -1;
	for (unsigned i = 1; i < cli_n_args(c); i++) {
		if (buf_printf(&text, e, "%s%s", i > 1 ? " " : "", cli_arg(c, i)))
			return -1;
	}
	f = filter_new((const char *)text.data, e);
	db = f ? rows_open(c, 0, &image, e) : NULL;
	return db && !filter_check(f, db, image, e) ? run_query(c, db, f, image, e) : -1;
}

static const struct cli_opt sockets_opts[] = {
	{"origin", 'O', NULL, "with the bytes of the record that each socket came from", false},
	{0},
};

const struct cmd cmd_sockets = {
	.name = "sockets",
	.synopsis = "DB [FILTER]",
	.summary = "sockets as ss shows them, with namespace and holders; FILTER as in ss",
	.run = sockets_run,
	.opts = sockets_opts,
	.flags = CMD_DATABASE | CMD_OUTPUT | CMD_IMAGE,
	.min_args = 1,
	.max_args = CLI_ANY_ARGS,
};
