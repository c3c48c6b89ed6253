/* SQL functions for addresses. One source for two: part of every connection of ours (db.c), and, built with
 * NSIMG_EXTENSION, a loadable extension for any SQLite client (sqlite.org/loadext.html). Nothing in the
 * schema uses them, so that a client without them opens every database.
 *
 * What is no address gives NULL; a prefix that is none is an error, since a slip there would find nothing. An
 * IPv4 address inside an IPv6 one (::ffff:a.b.c.d, RFC 4291, 2.5.5.2) counts as the IPv4 address. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#ifdef NSIMG_EXTENSION
#include <sqlite3ext.h>
SQLITE_EXTENSION_INIT1
#else
#include "imgdb/db_sqlite.h"
#endif

#include "base/cleanup.h"
#include "proto/inet.h"

#define FLAGS (SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS)

struct prefix {
	uint8_t addr[16];
	size_t len; /* 4 or 16 */
	unsigned bits;
};

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

static void unmap(struct prefix *p)
{
	if (p->len != 16 || p->bits < 96 || memcmp(p->addr, mapped, sizeof(mapped)) != 0)
		return;
	memmove(p->addr, p->addr + 12, 4);
	p->len = 4;
	p->bits -= 96;
}

/* ADDRESS or ADDRESS/LEN, "[...]" as ss prints it, "%device" at the end is passed over. */
static bool parse(const char *text, struct prefix *p)
{
	struct err ignored = ERR_INIT;
	char plain[INET_PREFIX_MAX];
	const char *slash;
	size_t n;

	if (!text)
		return false;
	if (*text == '[')
		text++;
	slash = strchr(text, '/');
	n = strcspn(text, "]%/");
	if (snprintf(plain, sizeof(plain), "%.*s%s", (int)n, text, slash ? slash : "") >=
	    (int)sizeof(plain))
		return false;
	return inet_prefix_parse(plain, 0, p->addr, &p->len, &p->bits, &ignored) == 0;
}

static bool arg_parse(sqlite3_value *v, struct prefix *p)
{
	if (sqlite3_value_type(v) != SQLITE_TEXT || !parse((const char *)sqlite3_value_text(v), p))
		return false;
	unmap(p);
	return true;
}

static bool contains(const struct prefix *net, const struct prefix *p)
{
	if (net->len != p->len || p->bits < net->bits)
		return false;
	for (unsigned bit = 0; bit < net->bits; bit++) {
		if ((net->addr[bit / 8] ^ p->addr[bit / 8]) & (0x80u >> bit % 8))
			return false;
	}
	return true;
}

/* ---- blocks with a name (IANA's special purpose registries, RFC 6890 and what followed) ---- */

enum block {
	B_PRIVATE = 1 << 0,
	B_LOOPBACK = 1 << 1,
	B_MULTICAST = 1 << 2,
	B_LINK_LOCAL = 1 << 3,
	B_UNSPECIFIED = 1 << 4,
	B_OTHER = 1 << 5, /* not public either: shared, documentation, benchmarks, reserved */
};

static const struct {
	const char *prefix;
	unsigned blocks;
} blocks[] = {
	{"0.0.0.0/32", B_UNSPECIFIED},
	{"0.0.0.0/8", B_OTHER},           /* RFC 791 */
	{"10.0.0.0/8", B_PRIVATE},        /* RFC 1918 */
	{"100.64.0.0/10", B_OTHER},       /* shared, RFC 6598 */
	{"127.0.0.0/8", B_LOOPBACK},      /* RFC 1122 */
	{"169.254.0.0/16", B_LINK_LOCAL}, /* RFC 3927 */
	{"172.16.0.0/12", B_PRIVATE},     /* RFC 1918 */
	{"192.0.0.0/24", B_OTHER},        /* RFC 6890 */
	{"192.0.2.0/24", B_OTHER},        /* documentation, RFC 5737 */
	{"192.168.0.0/16", B_PRIVATE},    /* RFC 1918 */
	{"198.18.0.0/15", B_OTHER},       /* benchmarks, RFC 2544 */
	{"198.51.100.0/24", B_OTHER},     /* documentation, RFC 5737 */
	{"203.0.113.0/24", B_OTHER},      /* documentation, RFC 5737 */
	{"224.0.0.0/4", B_MULTICAST},     /* RFC 5771 */
	{"240.0.0.0/4", B_OTHER},         /* reserved and broadcast, RFC 1112 */
	{"::/128", B_UNSPECIFIED},        /* RFC 4291 */
	{"::1/128", B_LOOPBACK},          /* RFC 4291 */
	{"64:ff9b:1::/48", B_OTHER},      /* RFC 8215 */
	{"100::/64", B_OTHER},            /* discard, RFC 6666 */
	{"2001:2::/48", B_OTHER},         /* benchmarks, RFC 5180 */
	{"2001:db8::/32", B_OTHER},       /* documentation, RFC 3849 */
	{"3fff::/20", B_OTHER},           /* documentation, RFC 9637 */
	{"fc00::/7", B_PRIVATE},          /* unique local, RFC 4193 */
	{"fe80::/10", B_LINK_LOCAL},      /* RFC 4291 */
	{"ff00::/8", B_MULTICAST},        /* RFC 4291 */
};

static struct prefix parsed[ARRAY_SIZE(blocks)];

/* The same result whoever comes first, so there is nothing to lock. */
static void blocks_parse(void)
{
	if (parsed[ARRAY_SIZE(blocks) - 1].len)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(blocks); i++)
		parse(blocks[i].prefix, &parsed[i]);
}

static unsigned blocks_of(const struct prefix *p)
{
	unsigned found = 0;

	for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
		if (contains(&parsed[i], p))
			found |= blocks[i].blocks;
	}
	return found;
}

/* The user data is the mask; 0 asks for public addresses: in no block. */
static void is_block(sqlite3_context *ctx, int n, sqlite3_value **args)
{
	unsigned want = (unsigned)(uintptr_t)sqlite3_user_data(ctx), found;
	struct prefix p;

	if (!arg_parse(args[0], &p))
		return;
	found = blocks_of(&p);
	sqlite3_result_int(ctx, want ? (found & want) != 0 : found == 0);
}

/* ---- prefixes ---- */

static void free_aux(void *p)
{
	sqlite3_free(p);
}

/* The prefix of an argument, parsed once where it is the same for every row. NULL: an error was given, or
 * memory is short. Lent until the function returns. */
static const struct prefix *prefix_arg(sqlite3_context *ctx, sqlite3_value **args, int i,
				       struct prefix *room)
{
	const struct prefix *known = sqlite3_get_auxdata(ctx, i);
	const char *text = (const char *)sqlite3_value_text(args[i]);
	struct prefix *keep;
	char msg[128];

	if (known)
		return known;
	if (!parse(text, room)) {
		snprintf(msg, sizeof(msg), "'%.60s' is not a prefix like 10.0.0.0/8 or fd00::/8",
			 text ? text : "");
		sqlite3_result_error(ctx, msg, -1);
		return NULL;
	}
	unmap(room);
	keep = sqlite3_malloc(sizeof(*keep));
	if (keep) {
		*keep = *room;
		sqlite3_set_auxdata(ctx, i, keep, free_aux);
	}
	return room;
}

/* in_subnet(address, prefix): also whether a prefix lies in another one. 'default' holds everything. */
static void in_subnet(sqlite3_context *ctx, int n, sqlite3_value **args)
{
	const char *text = (const char *)sqlite3_value_text(args[1]);
	const struct prefix *net;
	struct prefix p, room;

	if (!text || !arg_parse(args[0], &p))
		return;
	if (strcmp(text, "default") == 0) {
		sqlite3_result_int(ctx, 1);
		return;
	}
	net = prefix_arg(ctx, args, 1, &room);
	if (net)
		sqlite3_result_int(ctx, contains(net, &p));
}

static void address_family(sqlite3_context *ctx, int n, sqlite3_value **args)
{
	struct prefix p;

	if (arg_parse(args[0], &p))
		sqlite3_result_int(ctx, p.len == 4 ? AF_INET : AF_INET6);
}

static void prefix_length(sqlite3_context *ctx, int n, sqlite3_value **args)
{
	struct prefix p;

	if (arg_parse(args[0], &p))
		sqlite3_result_int(ctx, (int)p.bits);
}

static void result_address(sqlite3_context *ctx, const struct prefix *p)
{
	char text[INET_TEXT_MAX];

	if (inet_format(p->addr, p->len, text))
		sqlite3_result_text(ctx, text, -1, SQLITE_TRANSIENT);
}

/* Set the bits behind the length to 0 or 1. */
static void fill_host(struct prefix *p, bool ones)
{
	for (unsigned bit = p->bits; bit < 8 * p->len; bit++) {
		uint8_t mask = (uint8_t)(0x80u >> bit % 8);

		p->addr[bit / 8] =
			(uint8_t)(ones ? p->addr[bit / 8] | mask : p->addr[bit / 8] & ~mask);
	}
}

/* The user data says which end: the first (NULL) or the last address. */
static void prefix_end(sqlite3_context *ctx, int n, sqlite3_value **args)
{
	struct prefix p;

	if (!arg_parse(args[0], &p))
		return;
	fill_host(&p, sqlite3_user_data(ctx) != NULL);
	result_address(ctx, &p);
}

/* network(address, length): the prefix of that length that holds it; network('10.1.2.3/24') is '10.1.2.0/24'. */
static void network(sqlite3_context *ctx, int n, sqlite3_value **args)
{
	char text[INET_TEXT_MAX];
	struct prefix p;
	sqlite3_int64 bits;

	if (n < 1 || n > 2) {
		sqlite3_result_error(ctx, "network(ADDRESS [, LENGTH])", -1);
		return;
	}
	if (!arg_parse(args[0], &p) || (n == 2 && sqlite3_value_type(args[1]) == SQLITE_NULL))
		return;
	bits = n == 2 ? sqlite3_value_int64(args[1]) : (sqlite3_int64)p.bits;
	if (bits < 0 || bits > 8 * (sqlite3_int64)p.len)
		return;
	p.bits = (unsigned)bits;
	fill_host(&p, false);
	if (inet_format(p.addr, p.len, text)) {
		char *both = sqlite3_mprintf("%s/%u", text, p.bits);

		sqlite3_result_text(ctx, both, -1, sqlite3_free);
	}
}

/* unmapped('::ffff:10.0.0.1') is '10.0.0.1'; other addresses come back in canonical form. */
static void unmapped(sqlite3_context *ctx, int n, sqlite3_value **args)
{
	struct prefix p;

	if (arg_parse(args[0], &p))
		result_address(ctx, &p);
}

/* address_key(address): a blob that sorts as addresses do: IPv4 before IPv6, each by number. */
static void address_key(sqlite3_context *ctx, int n, sqlite3_value **args)
{
	struct prefix p;
	uint8_t key[18];

	if (!arg_parse(args[0], &p))
		return;
	key[0] = (uint8_t)p.len;
	memcpy(key + 1, p.addr, p.len);
	key[1 + p.len] = (uint8_t)p.bits;
	sqlite3_result_blob(ctx, key, (int)p.len + 2, SQLITE_TRANSIENT);
}

typedef void sql_fn(sqlite3_context *, int, sqlite3_value **);

static const struct {
	const char *name;
	int n_args; /* -1: any number */
	uintptr_t data;
	sql_fn *fn;
} functions[] = {
	{"in_subnet", 2, 0, in_subnet},
	{"is_private", 1, B_PRIVATE, is_block},
	{"is_loopback", 1, B_LOOPBACK, is_block},
	{"is_multicast", 1, B_MULTICAST, is_block},
	{"is_link_local", 1, B_LINK_LOCAL, is_block},
	{"is_unspecified", 1, B_UNSPECIFIED, is_block},
	{"is_public", 1, 0, is_block},
	{"address_family", 1, 0, address_family},
	{"prefix_length", 1, 0, prefix_length},
	{"prefix_first", 1, 0, prefix_end},
	{"prefix_last", 1, 1, prefix_end},
	{"network", -1, 0, network},
	{"unmapped", 1, 0, unmapped},
	{"address_key", 1, 0, address_key},
};

static int functions_add(sqlite3 *h)
{
	int rc = SQLITE_OK;

	blocks_parse();
	for (size_t i = 0; i < ARRAY_SIZE(functions) && rc == SQLITE_OK; i++)
		rc = sqlite3_create_function_v2(h, functions[i].name, functions[i].n_args, FLAGS,
						(void *)functions[i].data, functions[i].fn, NULL,
						NULL, NULL);
	return rc;
}

#ifdef NSIMG_EXTENSION
/* The name that SQLite looks for first, whatever the file is called. */
__attribute__((visibility("default"))) int sqlite3_extension_init(sqlite3 *h, char **error,
								  const sqlite3_api_routines *api);

int sqlite3_extension_init(sqlite3 *h, char **error, const sqlite3_api_routines *api)
{
	SQLITE_EXTENSION_INIT2(api)
	return functions_add(h);
}
#else
int address_functions_add(sqlite3 *h)
{
	return functions_add(h);
}
#endif
