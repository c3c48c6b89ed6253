/* filter_fields.c: the fields of the filter language, as conditions in SQL, and which index finds their rows.
 * What ss(8) has is as its manual page says; netns, pid, comm, fd, family, netid, name, ino and uid are ours. */
#include <arpa/inet.h>
#include <ctype.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/cli.h"
#include "inspect/filter_int.h"
#include "inspect/sockets.h"
#include "inspect/words.h"
#include "proto/inet.h"

/* Expected rows, as ranks of drivers. */
enum { BY_KEY = 1, BY_TASK, BY_PORT, BY_ADDRESS, BY_NETNS, BY_PREFIX };

enum field_kind {
	F_PORT,
	F_HOST,
	F_TEXT,
	F_NAME,
	F_DEV,
	F_NUM,
	F_INO,
	F_MARK,
	F_FAMILY,
	F_NETNS,
	F_HOLDER_NUM,
	F_HOLDER_TEXT,
};

static const struct field {
	const char *name;
	enum field_kind kind;
	const char *column;
	const char *port; /* hosts: the column of the port */
} fields[] = {
	{"sport", F_PORT, "src_port", NULL},
	{"dport", F_PORT, "dst_port", NULL},
	{"src", F_HOST, "src", "src_port"},
	{"dst", F_HOST, "dst", "dst_port"},
	{"dev", F_DEV, NULL, NULL},
	{"fwmark", F_MARK, "s.so_mark", NULL},
	{"netns", F_NETNS, NULL, NULL},
	{"family", F_FAMILY, "s.family", NULL},
	{"netid", F_TEXT, "netid", NULL},
	{"name", F_NAME, "u.name", NULL},
	{"ino", F_INO, "s.ino", NULL},
	{"uid", F_NUM, "s.uid", NULL},
	{"pid", F_HOLDER_NUM, "k.pid", NULL},
	{"fd", F_HOLDER_NUM, "f.fd", NULL},
	{"comm", F_HOLDER_TEXT, "k.comm", NULL},
};

static const char *field_name_at(const void *arg, unsigned i)
{
	static const char *const others[] = {"state", "exclude", "autobound", "and", "or", "not"};

	if (i < ARRAY_SIZE(fields))
		return fields[i].name;
	i -= ARRAY_SIZE(fields);
	return i < ARRAY_SIZE(others) ? others[i] : NULL;
}

/* The operator that is next, "=" when none is. Static. */
static const char *take_op(struct parser *p, struct err *e)
{
	static const struct {
		const char *word, *sql;
	} ops[] = {
		{"=", "="},    {"==", "="},   {"eq", "="},  {"!=", "<>"},
		{"ne", "<>"},  {"neq", "<>"}, {"<", "<"},   {"lt", "<"},
		{">", ">"},    {"gt", ">"},   {"<=", "<="}, {"le", "<="},
		{"leq", "<="}, {">=", ">="},  {"ge", ">="}, {"geq", ">="},
	};

	for (size_t i = 0; i < ARRAY_SIZE(ops) && !p->quoted; i++) {
		if (strcasecmp(p->word, ops[i].word) == 0)
			return filter_next_word(p, e) ? NULL : ops[i].sql;
	}
	return "=";
}

static bool is_unequal(const char *op)
{
	return strcmp(op, "<>") == 0;
}

static int need_equal(const char *field, const char *op, struct err *e)
{
	if (strcmp(op, "=") == 0 || is_unequal(op))
		return 0;
	return err_set(e, ERR_USAGE, "filter: %s can be = or !=, not %s", field, op);
}

static bool is_any(const char *word)
{
	return !*word || strcmp(word, "*") == 0;
}

/* ---- host conditions of a family: [FAMILY:]ADDRESS[:PORT] ---- */

static const struct {
	const char *prefix;
	int family;
} families[] = {
	{"unix:", AF_UNIX},   {"link:", AF_PACKET}, {"netlink:", AF_NETLINK},
	{"vsock:", AF_VSOCK}, {"inet:", AF_INET},   {"inet6:", AF_INET6},
};

/* The family that a word begins with, 0 for none; *rest is what follows. */
static int take_family(const char *word, const char **rest)
{
	*rest = word;
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		size_t n = strlen(families[i].prefix);

		if (strncasecmp(word, families[i].prefix, n) == 0) {
			*rest = word + n;
			return families[i].family;
		}
	}
	return 0;
}

/* ---- ports ---- */

/* ":443", "443", ":https"; "*" is any port (-1). */
static int parse_port(const char *word, int64_t *port, struct err *e)
{
	const char *s = *word == ':' ? word + 1 : word;
	struct err ignored = ERR_INIT;
	struct servent *service;

	if (strcmp(s, "*") == 0) {
		*port = -1;
		return 0;
	}
	if (cli_parse_number(s, 0, 65535, port, "port", &ignored) == 0)
		return 0;
	service = isalpha((unsigned char)*s) ? getservbyname(s, NULL) : NULL;
	if (!service)
		return err_set(e, ERR_USAGE,
			       "filter: '%s' is no port and no service of /etc/services", word);
	*port = ntohs((uint16_t)service->s_port);
	return 0;
}

/* The index of dst_port is without 0, which every listener has; the term lets SQLite see that it may use it. */
static const char *port_term(const char *column, int64_t port)
{
	return strcmp(column, "dst_port") == 0 && port ? " AND dst_port <> 0" : "";
}

static int put_port(struct parser *p, const char *column, const char *op, const char *word,
		    struct err *e)
{
	int64_t port;
	unsigned n;

	if (parse_port(word, &port, e))
		return -1;
	if (port < 0)
		return filter_addf(p, e, "i.%s IS NOT NULL", column);
	if (filter_param(p, NULL, port, &n, e))
		return -1;
	if (strcmp(op, "=") == 0 && (port || strcmp(column, "dst_port") != 0) &&
	    filter_drive(p, BY_PORT, e, "SELECT socket FROM inet_socket WHERE %s = :p%u%s", column,
			 n, port_term(column, port)))
		return -1;
	return filter_addf(p, e, "i.%s %s :p%u", column, op, n);
}

/* ---- addresses ---- */

struct prefix {
	uint8_t addr[16];
	size_t len;
	unsigned bits;
};

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

/* An IPv4 address in an IPv6 socket (::ffff:a.b.c.d) counts as that IPv4 address, as in ss. */
static void unmap(struct prefix *w)
{
	if (w->len != 16 || w->bits < 96 || memcmp(w->addr, mapped, sizeof(mapped)) != 0)
		return;
	memmove(w->addr, w->addr + 12, 4);
	w->len = 4;
	w->bits -= 96;
}

/* The beginning that the text of every address in the prefix has, "" when there is none: whole numbers of IPv4,
 * whole groups of IPv6 before the first that is zero (behind it the text may be shortened). */
static void text_start(const struct prefix *w, char *out, size_t size)
{
	size_t n = 0;

	*out = 0;
	for (unsigned i = 0; w->len == 4 && i < w->bits / 8; i++)
		n += (size_t)snprintf(out + n, size - n, "%u.", w->addr[i]);
	for (unsigned i = 0; w->len == 16 && i < w->bits / 16; i++) {
		unsigned group = (unsigned)(w->addr[2 * i] << 8 | w->addr[2 * i + 1]);

		if (!group)
			break;
		n += (size_t)snprintf(out + n, size - n, "%x:", group);
	}
}

static bool holds_wildcard(const struct prefix *w)
{
	struct prefix zero = {.len = w->len};
	unsigned whole = w->bits / 8;

	return memcmp(w->addr, zero.addr, whole) == 0 &&
	       (w->bits % 8 == 0 || w->addr[whole] >> (8 - w->bits % 8) == 0);
}

/* A driver for one address or for the addresses whose text begins alike; the indexes of addresses are without
 * the wildcards, which most sockets have. */
static int drive_prefix(struct parser *p, const char *column, const struct prefix *w, struct err *e)
{
	static const char not_wild[] = " <> '0.0.0.0'";
	char start[64], end[64], with[80];
	unsigned n[4];

	if (holds_wildcard(w))
		return 0;
	if (w->bits == 8 * w->len) {
		inet_format(w->addr, w->len, start);
		snprintf(with, sizeof(with), "%s%s", w->len == 4 ? "::ffff:" : "", start);
		if (filter_param(p, start, 0, &n[0], e) || filter_param(p, with, 0, &n[1], e))
			return -1;
		return filter_drive(p, BY_ADDRESS, e,
				    "SELECT socket FROM inet_socket WHERE %s IN (:p%u, :p%u) AND "
				    "%s%s AND %s <> '::'",
				    column, n[0], n[1], column, not_wild, column);
	}
	text_start(w, start, sizeof(start));
	if (!*start)
		return 0;
	/* every text with that beginning lies between it and the same with the next last character */
	snprintf(end, sizeof(end), "%s", start);
	end[strlen(end) - 1]++;
	for (int i = 0; i < 4; i++) {
		snprintf(with, sizeof(with), "%s%s", i > 1 && w->len == 4 ? "::ffff:" : "",
			 i % 2 ? end : start);
		if (filter_param(p, with, 0, &n[i], e))
			return -1;
	}
	return filter_drive(p, BY_PREFIX, e,
			    "SELECT socket FROM inet_socket WHERE %s >= :p%u AND %s < :p%u AND "
			    "%s%s AND %s <> '::'"
			    " UNION ALL SELECT socket FROM inet_socket WHERE %s >= :p%u AND %s < "
			    ":p%u AND %s%s AND "
			    "%s <> '::'",
			    column, n[0], column, n[1], column, not_wild, column, column, n[2],
			    column, n[3], column, not_wild, column);
}

/* "193.233.7/24" as ip(8) and ss(8) take it: the numbers that are missing are zero. */
static int complete(const char *addr, char *out, size_t size, struct err *e)
{
	const char *slash = strchr(addr, '/');
	size_t n = slash ? (size_t)(slash - addr) : strlen(addr);
	unsigned dots = 0;

	for (size_t i = 0; i < n; i++)
		dots += addr[i] == '.';
	if (!slash || n == 0 || dots >= 3 || strspn(addr, "0123456789.") != n)
		dots = 3;
	if ((size_t)snprintf(out, size, "%.*s%s%s", (int)n, addr, &".0.0.0"[2 * dots],
			     slash ? slash : "") >= size)
		return err_set(e, ERR_USAGE, "filter: '%s' is too long for an address", addr);
	return 0;
}

static int put_address(struct parser *p, const char *column, const char *addr, int family,
		       struct err *e)
{
	char text[INET_PREFIX_MAX + 8], word[INET_PREFIX_MAX];
	struct prefix w = {.len = 0};
	unsigned n;

	if (complete(addr, word, sizeof(word), e) ||
	    inet_prefix_parse(word, family, w.addr, &w.len, &w.bits, e))
		return err_set(e, ERR_USAGE, "filter: '%s' is no address, prefix or ADDRESS:PORT",
			       p->word);
	unmap(&w);
	/* a length of 0 is "default" as a route's prefix, and 0.0.0.0/0 here */
	if (!w.bits)
		snprintf(text, sizeof(text), "%s", w.len == 4 ? "0.0.0.0/0" : "::/0");
	else
		inet_prefix_format(w.addr, w.len, w.bits, text);
	if (drive_prefix(p, column, &w, e) || filter_param(p, text, 0, &n, e))
		return -1;
	return filter_addf(p, e, "in_subnet(i.%s, :p%u)", column, n);
}

/* Split "ADDR:PORT", "[ADDR]:PORT" in place; *port is NULL when there is none. */
static void split_port(char *word, char **addr, char **port)
{
	char *colon = strrchr(word, ':'), *close = strchr(word, ']');

	*addr = word;
	*port = NULL;
	if (*word == '[' && close) {
		*addr = word + 1;
		*close = 0;
		*port = close[1] == ':' ? close + 2 : NULL;
		/* "[fd00::]/64", "[fd00::]/64:80" */
		if (close[1] == '/') {
			memmove(close, close + 1, strlen(close + 1) + 1);
			colon = strrchr(close, ':');
			if (colon) {
				*colon = 0;
				*port = colon + 1;
			}
		}
		return;
	}
	/* one colon: a port; several: an IPv6 address */
	if (colon && strchr(word, ':') == colon) {
		*colon = 0;
		*port = colon + 1;
	}
}

static int put_inet(struct parser *p, const struct field *f, int family, char *word, struct err *e)
{
	char *addr, *port;

	split_port(word, &addr, &port);
	if (is_any(addr) ? filter_addf(p, e, "i.%s IS NOT NULL", f->column)
			 : put_address(p, f->column, addr, family, e))
		return -1;
	if (family && filter_addf(p, e, " AND s.family = %d", family))
		return -1;
	if (!port || !*port)
		return 0;
	return filter_add(p, " AND ", e) || put_port(p, f->port, "=", port, e) ? -1 : 0;
}

/* ---- unix sockets ---- */

/* "@name" as ss shows an abstract one; in the database it begins with \x00. */
static int unix_name(const char *word, struct buf *out, struct err *e)
{
	return buf_add_str(out, *word == '@' ? "\\x00" : "", e) ||
			       buf_add_str(out, *word == '@' ? word + 1 : word, e)
		       ? -1
		       : 0;
}

/* A pattern does not mind case, as in ss; a plain name does, and is found by the index. */
static int put_unix(struct parser *p, bool peer, const char *word, struct err *e)
{
	static const char peer_of[] =
		"u.peer IN (SELECT sp.ino FROM socket sp JOIN unix_socket up ON up.socket = sp.id "
		"WHERE "
		"sp.image = :image AND sp.family = 1 AND ";
	bool pattern = word[strcspn(word, "*?[")] != 0;
	const char *alias = peer ? "up" : "u";
	auto_buf struct buf name = {0};
	unsigned n;

	if (unix_name(word, &name, e) || filter_param(p, (const char *)name.data, 0, &n, e) ||
	    filter_add(p, peer ? peer_of : "", e))
		return -1;
	if (pattern)
		return filter_addf(p, e, "lower(%s.name) GLOB lower(:p%u)%s", alias, n,
				   peer ? ")" : "");
	if (!peer &&
	    filter_drive(p, BY_KEY, e,
			 "SELECT socket FROM unix_socket WHERE name = :p%u AND name <> ''", n))
		return -1;
	return filter_addf(p, e, "%s.name = :p%u AND %s.name <> ''%s", alias, n, alias,
			   peer ? ")" : "");
}

/* ---- netlink, packet, vsock: ADDRESS is the protocol (cid), PORT the port id, device, port ---- */

static void split_last(char *word, const char **addr, const char **port)
{
	char *colon = strrchr(word, ':');

	*addr = word;
	*port = "";
	if (colon) {
		*colon = 0;
		*port = colon + 1;
	}
}

static int put_word(struct parser *p, enum words list, const char *column, const char *word,
		    struct err *e)
{
	struct err ignored = ERR_INIT;
	int64_t v;
	unsigned n;

	if (words_find(list, word, &v) &&
	    cli_parse_number(word, 0, INT32_MAX, &v, "protocol", &ignored))
		return err_set(e, ERR_USAGE, "filter: no protocol '%s'", word);
	if (filter_param(p, NULL, v, &n, e))
		return -1;
	return filter_addf(p, e, " AND %s = :p%u", column, n);
}

static int put_netlink(struct parser *p, bool peer, char *word, struct err *e)
{
	const char *column = peer ? "coalesce(k.dst_portid, 0)" : "k.portid", *addr, *port;
	int64_t v = 0;
	unsigned n;

	split_last(word, &addr, &port);
	if (filter_add(p, "k.socket IS NOT NULL", e) ||
	    (!is_any(addr) && put_word(p, WORDS_NETLINK, "s.protocol", addr, e)))
		return -1;
	if (is_any(port))
		return 0;
	if ((strcmp(port, "kernel") != 0 &&
	     cli_parse_number(port, 0, UINT32_MAX, &v, "filter: port id", e)) ||
	    filter_param(p, NULL, v, &n, e))
		return -1;
	return filter_addf(p, e, " AND %s = :p%u", column, n);
}

#define ETHERTYPE "(((s.protocol & 255) << 8) | ((s.protocol >> 8) & 255))"

static int put_device(struct parser *p, const char *word, struct err *e)
{
	struct err ignored = ERR_INIT;
	int64_t index;
	unsigned n;

	if (cli_parse_number(word, 1, INT32_MAX, &index, "device", &ignored) == 0) {
		if (filter_param(p, NULL, index, &n, e))
			return -1;
		return filter_addf(p, e,
				   "(p.ifindex = :p%u OR nullif(s.so_bound_dev, '') IN (SELECT "
				   "x.name FROM device x WHERE x.netns = s.netns AND x.ifindex = "
				   ":p%u))",
				   n, n);
	}
	if (filter_param(p, word, 0, &n, e))
		return -1;
	return filter_addf(p, e, "coalesce(nullif(s.so_bound_dev, ''), pd.name) %s :p%u",
			   word[strcspn(word, "*?[")] ? "GLOB" : "=", n);
}

static int put_packet(struct parser *p, bool peer, char *word, struct err *e)
{
	const char *addr, *port;

	split_last(word, &addr, &port);
	/* the other end of a packet socket is never known */
	if (filter_add(p, peer ? "0" : "p.socket IS NOT NULL", e) ||
	    (!is_any(addr) && put_word(p, WORDS_ETHERTYPE, ETHERTYPE, addr, e)))
		return -1;
	if (is_any(port))
		return 0;
	return filter_add(p, " AND ", e) || put_device(p, port, e) ? -1 : 0;
}

/* struct sockaddr_vm (linux/vm_sockets.h): port at offset 4, cid at offset 8, in the machine's byte order. */
static int put_vsock(struct parser *p, bool peer, char *word, struct err *e)
{
	const char *column = peer ? "s.peer_addr" : "s.local_addr", *part[2];

	split_last(word, &part[1], &part[0]);
	if (filter_addf(p, e, "s.family = %d", AF_VSOCK))
		return -1;
	for (int i = 0; i < 2; i++) {
		char hex[16];
		int64_t v;
		unsigned n;

		if (is_any(part[i]))
			continue;
		if (cli_parse_number(part[i], 0, UINT32_MAX, &v, "filter: vsock", e))
			return -1;
		snprintf(hex, sizeof(hex), "%08X", htonl(htole32((uint32_t)v)));
		if (filter_param(p, hex, 0, &n, e) ||
		    filter_addf(p, e, " AND hex(substr(%s, %d, 4)) = :p%u", column, 5 + 4 * i, n))
			return -1;
	}
	return 0;
}

static int put_host(struct parser *p, const struct field *f, const char *text, struct err *e)
{
	bool peer = strcmp(f->name, "dst") == 0;
	char word[FILTER_MAX_WORD + 4];
	const char *rest;
	int family = take_family(text, &rest);

	if (!family && (*rest == '/' || *rest == '@'))
		family = AF_UNIX;
	snprintf(word, sizeof(word), "%s", rest);
	switch (family) {
	case AF_UNIX:
		return put_unix(p, peer, word, e);
	case AF_NETLINK:
		return put_netlink(p, peer, word, e);
	case AF_PACKET:
		return put_packet(p, peer, word, e);
	case AF_VSOCK:
		return put_vsock(p, peer, word, e);
	default:
		return put_inet(p, f, family, word, e);
	}
}

/* ---- the other fields ---- */

static int put_text(struct parser *p, const char *column, const char *word, struct err *e)
{
	unsigned n;

	if (filter_param(p, word, 0, &n, e))
		return -1;
	return filter_addf(p, e, "%s %s :p%u", column, word[strcspn(word, "*?[")] ? "GLOB" : "=",
			   n);
}

static int put_number(struct parser *p, const char *column, const char *op, struct err *e)
{
	int64_t v;
	unsigned n;

	if (cli_parse_number(p->word, 0, INT64_MAX, &v, "filter", e) ||
	    filter_param(p, NULL, v, &n, e))
		return -1;
	return filter_addf(p, e, "%s %s :p%u", column, op, n);
}

static int put_ino(struct parser *p, const char *op, struct err *e)
{
	if (put_number(p, "s.ino", op, e))
		return -1;
	return strcmp(op, "=")
		       ? 0
		       : filter_drive(p, BY_KEY, e,
				      "SELECT id FROM socket WHERE image = :image AND ino = :p%u",
				      p->f->n_params - 1);
}

/* VALUE or VALUE/MASK, as ss has it. */
static int put_mark(struct parser *p, struct err *e)
{
	char *end;
	unsigned long v, mask = UINT32_MAX;
	unsigned a, b;

	v = strtoul(p->word, &end, 0);
	if (end != p->word && *end == '/' && isdigit((unsigned char)end[1]))
		mask = strtoul(end + 1, &end, 0);
	if (end == p->word || *end || v > UINT32_MAX || mask > UINT32_MAX)
		return err_set(e, ERR_USAGE, "filter: '%s' is not MARK or MARK/MASK", p->word);
	if (filter_param(p, NULL, (int64_t)(v & mask), &a, e) ||
	    filter_param(p, NULL, (int64_t)mask, &b, e))
		return -1;
	return filter_addf(p, e, "(coalesce(s.so_mark, 0) & :p%u) = :p%u", b, a);
}

static int put_family(struct parser *p, struct err *e)
{
	int64_t v;
	unsigned n;

	if (words_find(WORDS_FAMILY, p->word, &v))
		return err_set(
			e, ERR_USAGE,
			"filter: no family '%s' (inet, inet6, unix, netlink, packet, vsock, ...)",
			p->word);
	if (filter_param(p, NULL, v, &n, e))
		return -1;
	return filter_addf(p, e, "s.family = :p%u", n);
}

/* By name, "nsN" or number. */
static int put_netns(struct parser *p, struct err *e)
{
	char in[160];
	unsigned n;

	if (filter_param(p, p->word, 0, &n, e))
		return -1;
	snprintf(in, sizeof(in),
		 "netns IN (SELECT id FROM netns WHERE image = :image AND (name = :p%u OR 'ns' || "
		 "ns_id = :p%u OR CAST(ns_id AS TEXT) = :p%u))",
		 n, n, n);
	return filter_drive(p, BY_NETNS, e, "SELECT id FROM socket WHERE %s", in) ||
			       filter_addf(p, e, "s.%s", in)
		       ? -1
		       : 0;
}

/* A socket has several holders: "pid != 7" means that none of them is 7. The driver goes from the tasks to their
 * descriptors to the sockets. */
static int put_holder(struct parser *p, const struct field *f, const char *op, struct err *e)
{
	size_t start;

	if (filter_add(p,
		       "s.file_id IN (SELECT f.file_id FROM task k CROSS JOIN fd f ON f.image = "
		       "k.image AND f.files_id = k.files_id WHERE k.image = :image AND ",
		       e))
		return -1;
	start = p->f->sql.len;
	if (f->kind == F_HOLDER_NUM ? put_number(p, f->column, op, e)
				    : put_text(p, f->column, p->word, e))
		return -1;
	if (strcmp(f->name, "fd") != 0 &&
	    filter_drive(p, BY_TASK, e,
			 "SELECT x.id FROM task k CROSS JOIN fd f ON f.image = k.image AND "
			 "f.files_id = k.files_id CROSS JOIN socket x ON x.image = f.image AND "
			 "x.file_id = f.file_id WHERE k.image = :image AND %s",
			 (const char *)p->f->sql.data + start))
		return -1;
	return filter_add(p, ")", e);
}

static int put_value(struct parser *p, const struct field *f, const char *op, struct err *e)
{
	auto_buf struct buf column = {0};

	switch (f->kind) {
	case F_PORT:
	case F_HOST:
		return put_host(p, f, p->word, e);
	case F_TEXT:
		return sockets_column(&column, f->column, e) ||
				       put_text(p, (const char *)column.data, p->word, e)
			       ? -1
			       : 0;
	case F_NAME:
		return put_unix(p, false, p->word, e);
	case F_DEV:
		return put_device(p, p->word, e);
	case F_NUM:
		return put_number(p, f->column, op, e);
	case F_INO:
		return put_ino(p, op, e);
	case F_MARK:
		return put_mark(p, e);
	case F_FAMILY:
		return put_family(p, e);
	case F_NETNS:
		return put_netns(p, e);
	case F_HOLDER_NUM:
	case F_HOLDER_TEXT:
		return put_holder(p, f, op, e);
	}
	return -1;
}

/* "sport OP [FAMILY:]:PORT" */
static int put_port_field(struct parser *p, const struct field *f, const char *op, struct err *e)
{
	const char *rest;
	int family = take_family(p->word, &rest);
	struct field host = {f->name[0] == 's' ? "src" : "dst", F_HOST, f->column, f->column};
	char word[FILTER_MAX_WORD + 4];

	if (!family)
		return put_port(p, f->column, op, rest, e);
	if (family == AF_INET || family == AF_INET6)
		return filter_addf(p, e, "s.family = %d AND ", family) ||
				       put_port(p, f->column, op, rest, e)
			       ? -1
			       : 0;
	if (need_equal(f->name, op, e))
		return -1;
	/* the whole word is the port: as the host condition FAMILY:*:PORT */
	snprintf(word, sizeof(word), "%.*s*:%s", (int)(rest - p->word), p->word,
		 *rest == ':' ? rest + 1 : rest);
	return put_host(p, &host, word, e);
}

/* Fields with an order take every operator; for the others != is the condition denied, which no index
 * helps; a socket that has nothing to compare (no address) is not unequal either. */
static int put_field(struct parser *p, const struct field *f, const char *op, struct err *e)
{
	bool ordered = f->kind == F_PORT || f->kind == F_NUM || f->kind == F_INO ||
		       (f->kind == F_HOLDER_NUM && !is_unequal(op));
	int rc;

	if (!ordered && need_equal(f->name, op, e))
		return -1;
	if (f->kind == F_PORT)
		return put_port_field(p, f, op, e);
	if (ordered || !is_unequal(op))
		return put_value(p, f, op, e);
	rc = filter_add(p, "NOT (", e) || put_value(p, f, "=", e) || filter_add(p, ")", e);
	p->drive.rank = 0;
	return rc ? -1 : 0;
}

/* ---- states ---- */

/* Bits of TCP states by name, as ss(8) lists them; 1 << TCP_ESTABLISHED (1) ... */
#define CLOSED (1u << 7 | 1u)
#define LISTEN (1u << 10)
static const struct {
	const char *name;
	unsigned mask;
} states[] = {
	{"established", 1u << 1},
	{"estab", 1u << 1},
	{"syn-sent", 1u << 2},
	{"syn-recv", 1u << 3 | 1u << 12},
	{"fin-wait-1", 1u << 4},
	{"fin-wait-2", 1u << 5},
	{"time-wait", 1u << 6},
	{"closed", CLOSED},
	{"close", CLOSED},
	{"unconnected", CLOSED},
	{"unconn", CLOSED},
	{"close-wait", 1u << 8},
	{"last-ack", 1u << 9},
	{"listening", LISTEN},
	{"listen", LISTEN},
	{"closing", 1u << 11},
	{"all", ~0u},
	{"connected", ~(CLOSED | LISTEN)},
	{"synchronized", ~(CLOSED | LISTEN | 1u << 2)},
	{"bucket", 1u << 3 | 1u << 6 | 1u << 12},
	{"big", ~(1u << 3 | 1u << 6 | 1u << 12)},
};

static const char *state_name_at(const void *arg, unsigned i)
{
	return i < ARRAY_SIZE(states) ? states[i].name : NULL;
}

static int take_state(struct parser *p, unsigned *mask, struct err *e)
{
	const char *near;

	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		if (strcasecmp(p->word, states[i].name) == 0) {
			*mask |= states[i].mask;
			return filter_next_word(p, e);
		}
	}
	near = cli_nearest(p->word, state_name_at, NULL);
	if (near)
		return err_set(e, ERR_USAGE, "filter: no state '%s'; did you mean '%s'?", p->word,
			       near);
	return err_set(
		e, ERR_USAGE,
		"filter: no state '%s' (established, listening, unconnected, all, connected, ...)",
		p->word);
}

static int put_states(struct parser *p, bool exclude, struct err *e)
{
	const char *again = exclude ? "exclude" : "state";
	unsigned mask = 0, n;

	do {
		if (filter_next_word(p, e) || take_state(p, &mask, e))
			return -1;
	} while (filter_is_word(p, again, NULL, NULL));
	if (filter_param(p, NULL, (int64_t)(exclude ? ~mask : mask), &n, e))
		return -1;
	return filter_addf(p, e, "(1 << coalesce(s.state, 0)) & :p%u <> 0", n);
}

/* ---- autobound ---- */

/* The bounds of the namespace, as far as the image has them (ip(7): 32768 to 60999 otherwise). */
#define RANGE                                                                                      \
	"(SELECT %s FROM sysctl r WHERE r.netns = s.netns AND r.name = "                           \
	"'net/ipv4/ip_local_port_range')"

/* As ss has it: a port of the range that the kernel takes ports from, an abstract unix name of five hex digits
 * (net/unix/af_unix.c, unix_autobind), a netlink port id that is no process id, a packet socket without
 * protocol and device. */
static int put_autobound(struct parser *p, struct err *e)
{
	return filter_addf(p, e,
			   "CASE s.family WHEN 1 THEN u.name GLOB "
			   "'\\x00[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]'"
			   " WHEN 16 THEN k.portid > 2147483647 WHEN 17 THEN p.ifindex = 0 AND "
			   "s.protocol "
			   "= 0"
			   " ELSE i.src_port BETWEEN coalesce(" RANGE ", 32768) AND coalesce(" RANGE
			   ", 60999) END",
			   "CAST(r.value AS INTEGER)",
			   "CAST(substr(r.value, instr(r.value, '\\x09') + 4) AS INTEGER)") ||
			       filter_next_word(p, e)
		       ? -1
		       : 0;
}

/* ---- one condition ---- */

static int unknown_field(const struct parser *p, struct err *e)
{
	const char *near;

	if (filter_at_end(p))
		return err_set(e, ERR_USAGE, "filter: it ends where a condition should follow");
	if (filter_is_word(p, "cgroup", NULL, NULL))
		return err_set(e, ERR_USAGE,
			       "filter: an image does not tell the cgroup of a socket");
	near = cli_nearest(p->word, field_name_at, NULL);
	if (near)
		return err_set(e, ERR_USAGE, "filter: '%s' is not known; did you mean '%s'?",
			       p->word, near);
	return err_set(
		e, ERR_USAGE,
		"filter: '%s' is not known; there are state, exclude, sport, dport, src, dst, dev, "
		"fwmark, autobound, netns, pid, comm, fd, family, netid, name, ino, uid",
		p->word);
}

int filter_condition(struct parser *p, struct err *e)
{
	const struct field *f = NULL;
	const char *op;

	if (filter_is_word(p, "state", NULL, NULL) || filter_is_word(p, "exclude", NULL, NULL))
		return put_states(p, tolower((unsigned char)p->word[0]) == 'e', e);
	if (filter_is_word(p, "autobound", NULL, NULL))
		return put_autobound(p, e);
	for (size_t i = 0; i < ARRAY_SIZE(fields) && !p->quoted; i++) {
		if (strcasecmp(p->word, fields[i].name) == 0)
			f = &fields[i];
	}
	if (!f)
		return unknown_field(p, e);
	if (filter_next_word(p, e))
		return -1;
	op = take_op(p, e);
	if (!op)
		return -1;
	if (filter_at_end(p) || (strchr("()=<>!&|", p->word[0]) && !p->quoted))
		return err_set(e, ERR_USAGE, "filter: a value is missing after '%s'", f->name);
	return put_field(p, f, op, e) || filter_next_word(p, e) ? -1 : 0;
}
