/* filter_host.c: ports and hosts of the filter language, by family: inet and inet6, unix, netlink, packet, vsock. */
#include <arpa/inet.h>
#include <ctype.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/cli.h"
#include "inspect/filter_int.h"
#include "inspect/words.h"
#include "proto/inet.h"

static bool is_any(const char *word)
{
	return !*word || strcmp(word, "*") == 0 || strcmp(word, "any") == 0 ||
	       strcmp(word, "all") == 0 || strcmp(word, "default") == 0;
}

/* A number as ss takes it, 0x50 as well. */
static int parse_number(const char *word, int64_t max, int64_t *v, struct err *e)
{
	char *end;
	unsigned long long hex;

	if (strncasecmp(word, "0x", 2) != 0 || !isxdigit((unsigned char)word[2]))
		return cli_parse_number(word, 0, max, v, "filter", e);
	hex = strtoull(word, &end, 16);
	if (*end || hex > (unsigned long long)max)
		return err_set(e, ERR_USAGE, "filter: '%s' is not a number up to %lld", word,
			       (long long)max);
	*v = (int64_t)hex;
	return 0;
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
int filter_family_prefix(const char *word, const char **rest)
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
	if (parse_number(s, 65535, port, &ignored) == 0)
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

int filter_put_port(struct parser *p, const char *column, const char *op, const char *word,
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
	if ((strcmp(column, "src_port") == 0 || (port && *op != '<')) &&
	    filter_drive(p, *op == '=' ? BY_PORT : BY_RANGE, e,
			 "SELECT socket FROM inet_socket WHERE %s %s :p%u%s", column, op, n,
			 port_term(column, port)))
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

/* "10.1.0.0/255.255.255.0", which ss takes as well: the length in place of the mask. */
static void mask_to_length(char *prefix)
{
	char *slash = strchr(prefix, '/');
	uint32_t mask;

	if (!slash || !strchr(slash, '.') || inet_pton(AF_INET, slash + 1, &mask) != 1)
		return;
	mask = ntohl(mask);
	/* ones, then zeros: otherwise it stays, and is no prefix */
	if (!(~mask & (~mask + 1)))
		sprintf(slash + 1, "%d", __builtin_popcount(mask));
}

static int put_address(struct parser *p, const char *column, const char *addr, int family,
		       struct err *e)
{
	char text[INET_PREFIX_MAX + 8], word[INET_PREFIX_MAX];
	struct prefix w = {.len = 0};
	bool is_mapped;
	unsigned n;

	if (complete(addr, word, sizeof(word), e))
		return -1;
	mask_to_length(word);
	if (inet_prefix_parse(word, family, w.addr, &w.len, &w.bits, e))
		return err_set(e, ERR_USAGE, "filter: '%s' is no address, prefix or ADDRESS:PORT",
			       p->word);
	is_mapped = w.len == 16;
	unmap(&w);
	is_mapped = is_mapped && w.len == 4;
	/* a length of 0 is "default" as a route's prefix, and 0.0.0.0/0 here */
	if (!w.bits)
		snprintf(text, sizeof(text), "%s", w.len == 4 ? "0.0.0.0/0" : "::/0");
	else
		inet_prefix_format(w.addr, w.len, w.bits, text);
	if (drive_prefix(p, column, &w, e) || filter_param(p, text, 0, &n, e))
		return -1;
	return filter_addf(p, e, "in_subnet(i.%s, :p%u)%s", column, n,
			   is_mapped ? " AND s.family = 10" : "");
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

static int put_inet(struct parser *p, const struct filter_field *f, int family, char *word,
		    struct err *e)
{
	char *addr, *port;

	split_port(word, &addr, &port);
	/* any address of any family */
	if (!family && is_any(addr) && (!port || is_any(port)))
		return filter_add(p, "1", e);
	if (is_any(addr) ? filter_addf(p, e, "i.%s IS NOT NULL", f->column)
			 : put_address(p, f->column, addr, family, e))
		return -1;
	if (family && filter_addf(p, e, " AND s.family = %d", family))
		return -1;
	if (!port || !*port)
		return 0;
	return filter_add(p, " AND ", e) || filter_put_port(p, f->port, "=", port, e) ? -1 : 0;
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
int filter_put_unix(struct parser *p, bool peer, const char *word, struct err *e)
{
	static const char peer_of[] =
		"u.peer IN (SELECT sp.ino FROM unix_socket up CROSS JOIN socket sp ON sp.id = "
		"up.socket WHERE sp.image = :image AND ";
	bool pattern = word[strcspn(word, "*?[")] != 0;
	const char *alias = peer ? "up" : "u";
	auto_buf struct buf name = {0};
	unsigned n;

	if (unix_name(word, &name, e) || filter_param(p, (const char *)name.data, 0, &n, e) ||
	    filter_add(p, peer ? peer_of : "", e))
		return -1;
	/* the names are in an index, which is read faster than all sockets */
	if (pattern && !peer &&
	    filter_drive(p, BY_PREFIX, e,
			 "SELECT socket FROM unix_socket WHERE name <> '' AND lower(name) GLOB "
			 "lower(:p%u)",
			 n))
		return -1;
	if (pattern)
		return filter_addf(p, e, "lower(%s.name) GLOB lower(:p%u)%s", alias, n,
				   peer ? ")" : "");
	if (filter_drive(p, BY_KEY, e,
			 peer ? "SELECT socket FROM unix_socket WHERE peer <> 0 AND peer IN "
				"(SELECT sp.ino "
				"FROM unix_socket up CROSS JOIN socket sp ON sp.id = up.socket "
				"WHERE up.name "
				"= :p%u AND up.name <> '')"
			      : "SELECT socket FROM unix_socket WHERE name = :p%u AND name <> ''",
			 n))
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

	if (words_find(list, word, &v) && parse_number(word, INT32_MAX, &v, &ignored))
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
	    filter_param(p, NULL, v, &n, e) ||
	    (!peer && v &&
	     filter_drive(p, BY_KEY, e,
			  "SELECT socket FROM netlink_socket WHERE portid = :p%u AND portid <> 0",
			  n)))
		return -1;
	return filter_addf(p, e, " AND %s = :p%u", column, n);
}

#define ETHERTYPE     "(((s.protocol & 255) << 8) | ((s.protocol >> 8) & 255))"

/* Few sockets are bound to a device, and indexes have those that are. */
#define BOUND_BY_NAME "SELECT id FROM socket WHERE image = :image AND so_bound_dev <> ''"

int filter_put_device(struct parser *p, const char *word, struct err *e)
{
	const char *is = word[strcspn(word, "*?[")] ? "GLOB" : "=";
	struct err ignored = ERR_INIT;
	int64_t index;
	unsigned n;

	if (cli_parse_number(word, 1, INT32_MAX, &index, "device", &ignored) == 0) {
		if (filter_param(p, NULL, index, &n, e) ||
		    filter_drive(p, BY_DEVICE, e,
				 BOUND_BY_NAME " UNION ALL SELECT socket FROM packet_socket WHERE "
					       "ifindex = :p%u AND ifindex <> 0",
				 n))
			return -1;
		return filter_addf(p, e,
				   "(p.ifindex = :p%u OR nullif(s.so_bound_dev, '') IN (SELECT "
				   "x.name FROM device x WHERE x.netns = s.netns AND x.ifindex = "
				   ":p%u))",
				   n, n);
	}
	if (filter_param(p, word, 0, &n, e) ||
	    filter_drive(p, BY_DEVICE, e,
			 BOUND_BY_NAME
			 " AND so_bound_dev %s :p%u UNION ALL SELECT socket FROM packet_socket "
			 "WHERE ifindex <> 0 AND ifindex IN (SELECT ifindex FROM device WHERE "
			 "image = :image AND name %s :p%u)",
			 is, n, is, n))
		return -1;
	return filter_addf(p, e, "coalesce(nullif(s.so_bound_dev, ''), pd.name) %s :p%u", is, n);
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
	return filter_add(p, " AND ", e) || filter_put_device(p, port, e) ? -1 : 0;
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

int filter_put_host(struct parser *p, const struct filter_field *f, const char *text, struct err *e)
{
	bool peer = strcmp(f->name, "dst") == 0;
	char word[FILTER_MAX_WORD + 4];
	const char *rest;
	int family = filter_family_prefix(text, &rest);

	if (!family && (*rest == '/' || *rest == '@'))
		family = AF_UNIX;
	snprintf(word, sizeof(word), "%s", rest);
	switch (family) {
	case AF_UNIX:
		if (is_any(word))
			return filter_addf(p, e, "s.family = %d", AF_UNIX);
		return filter_put_unix(p, peer, word, e);
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
