/* add.c: nsimg add: addresses, routes, rules and neighbours, in the words of ip(8). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "inspect/commands.h"
#include "inspect/edit/edit.h"
#include "inspect/words.h"
#include "proto/inet.h"

/* How a word after a keyword becomes a value. */
enum add_how {
	ADD_NETNS,
	ADD_DEV,     /* name: also says which namespace, where only one has it */
	ADD_ADDRESS, /* of the family of the object */
	ADD_VIA,     /* gateway, of either family */
	ADD_PREFIX,
	ADD_LLADDR,
	ADD_TEXT,
	ADD_NUMBER, /* or one of the words */
	ADD_FLAG,   /* no word follows: bit of flags */
	ADD_METRIC, /* member of metrics */
	ADD_MARK,   /* MARK[/MASK] */
};

struct add_word {
	const char *word, *column;
	enum add_how how;
	enum words words;
	int64_t bit; /* ADD_FLAG */
};

/* A value of the row in the making. */
struct value {
	const char *column;
	char text[160]; /* when is_text */
	int64_t num;
	bool is_text;
};

struct add {
	struct edit *x;
	const struct add_kind *kind;
	struct value value[32];
	unsigned n;
	int family; /* 0: not known yet */
	int64_t netns, ifindex;
	bool has_netns, has_dev;
	const char *dev;           /* the name as given */
	uint8_t addr[16], via[16]; /* of the object, of the gateway */
	size_t addr_len, via_len;
	unsigned prefixlen;
	char plain[INET_TEXT_MAX];
	char metrics[200];
};

struct add_kind {
	const char *name, *table;
	const struct add_word *words; /* ends with a zeroed one */
	/* the words without a keyword, at the beginning; what the kernel fills in, at the end */
	int (*object)(struct add *a, const char *word, struct err *e);
	int (*finish)(struct add *a, struct err *e);
};

/* ---- values ---- */

static struct value *value_of(struct add *a, const char *column)
{
	for (unsigned i = 0; i < a->n; i++)
		if (!strcmp(a->value[i].column, column))
			return &a->value[i];
	return NULL;
}

static struct value *put(struct add *a, const char *column, struct err *e)
{
	struct value *v = value_of(a, column);

	if (v)
		return v;
	if (a->n == ARRAY_SIZE(a->value)) {
		err_set(e, ERR_USAGE, "too many words");
		return NULL;
	}
	v = &a->value[a->n++];
	*v = (struct value){.column = column};
	return v;
}

static int put_num(struct add *a, const char *column, int64_t num, struct err *e)
{
	struct value *v = put(a, column, e);

	if (!v)
		return -1;
	v->num = num;
	v->is_text = false;
	return 0;
}

static int put_text(struct add *a, const char *column, const char *text, struct err *e)
{
	struct value *v = put(a, column, e);

	if (!v)
		return -1;
	if (strlen(text) >= sizeof(v->text))
		return err_set(e, ERR_USAGE, "%s: too long", column);
	snprintf(v->text, sizeof(v->text), "%s", text);
	v->is_text = true;
	return 0;
}

static int default_num(struct add *a, const char *column, int64_t num, struct err *e)
{
	return value_of(a, column) ? 0 : put_num(a, column, num, e);
}

static bool is_set(struct add *a, const char *column)
{
	return value_of(a, column);
}

static int64_t num_of(struct add *a, const char *column)
{
	const struct value *v = value_of(a, column);

	return v ? v->num : 0;
}

/* Address or prefix in canonical text; the family follows from the first one. */
static int put_address(struct add *a, const char *column, const char *word, struct err *e)
{
	char text[INET_TEXT_MAX];
	uint8_t addr[16];
	size_t len;

	if (inet_parse(word, a->family, addr, &len, e))
		return -1;
	a->family = inet_family_of_len(len);
	inet_format(addr, len, text);
	return put_text(a, column, text, e);
}

static int put_prefix(struct add *a, const char *column, const char *word, struct err *e)
{
	char text[INET_PREFIX_MAX];
	uint8_t addr[16];
	unsigned prefixlen;
	size_t len;

	if (inet_prefix_parse(word, a->family, addr, &len, &prefixlen, e))
		return -1;
	a->family = inet_family_of_len(len);
	if (!inet_prefix_is_clean(addr, len, prefixlen))
		return err_set(e, ERR_USAGE, "%s: bits behind the prefix are set", word);
	inet_prefix_format(addr, len, prefixlen, text);
	return put_text(a, column, text, e);
}

static int put_via(struct add *a, const char *word, struct err *e)
{
	char text[INET_TEXT_MAX];

	if (inet_parse(word, 0, a->via, &a->via_len, e))
		return -1;
	inet_format(a->via, a->via_len, text);
	/* which of the two columns it is shows when the family is known */
	return put_text(a, "gateway", text, e);
}

static int put_number(struct add *a, const struct add_word *w, const char *word, struct err *e)
{
	int64_t v;
	char *end;

	v = strtoll(word, &end, 0);
	if ((*end || end == word) && (!w->words || words_find(w->words, word, &v)))
		return err_set(e, ERR_USAGE,
			       w->words ? "%s: '%s' is neither a number nor a word for one"
					: "%s: '%s' is no number",
			       w->word, word);
	if (v < 0)
		return err_set(e, ERR_USAGE, "%s: %s is negative", w->word, word);
	return put_num(a, w->column, v, e);
}

static int put_metric(struct add *a, const struct add_word *w, const char *word, struct err *e)
{
	size_t n = strlen(a->metrics);
	int64_t v;

	if (cli_parse_number(word, 0, UINT32_MAX, &v, w->word, e))
		return -1;
	snprintf(a->metrics + n, sizeof(a->metrics) - n, "%s\"%s\":%" PRId64, n ? "," : "{",
		 w->column, v);
	return 0;
}

static int put_mark(struct add *a, const char *word, struct err *e)
{
	char *end;
	unsigned long mark = strtoul(word, &end, 0), mask = UINT32_MAX;

	if (*end == '/')
		mask = strtoul(end + 1, &end, 0);
	if (*end || end == word || mark > UINT32_MAX || mask > UINT32_MAX)
		return err_set(e, ERR_USAGE, "fwmark: '%s' is not MARK[/MASK]", word);
	return put_num(a, "fwmark", (int64_t)mark, e) || put_num(a, "fwmask", (int64_t)mask, e) ? -1
												: 0;
}

static int put_lladdr(struct add *a, const char *column, const char *word, struct err *e)
{
	uint8_t addr[INET_LL_BYTES];
	char text[INET_LL_MAX];
	size_t len;

	if (inet_ll_parse(word, addr, &len, e))
		return -1;
	inet_ll_format(addr, len, text);
	return put_text(a, column, text, e);
}

/* One keyword with what follows it; *used: how many words. */
static int put_word(struct add *a, const struct add_word *w, const char *value, struct err *e)
{
	if (!value && w->how != ADD_FLAG)
		return err_set(e, ERR_USAGE, "a value is missing after '%s'", w->word);
	switch (w->how) {
	case ADD_NETNS:
		a->has_netns = true;
		return edit_find_netns(a->x, value, &a->netns, e);
	case ADD_DEV:
		a->has_dev = true;
		a->dev = value;
		return 0;
	case ADD_ADDRESS:
		return put_address(a, w->column, value, e);
	case ADD_VIA:
		return put_via(a, value, e);
	case ADD_PREFIX:
		return put_prefix(a, w->column, value, e);
	case ADD_LLADDR:
		return put_lladdr(a, w->column, value, e);
	case ADD_NUMBER:
		return put_number(a, w, value, e);
	case ADD_FLAG:
		return put_num(a, "flags", num_of(a, "flags") | w->bit, e);
	case ADD_METRIC:
		return put_metric(a, w, value, e);
	case ADD_MARK:
		return put_mark(a, value, e);
	case ADD_TEXT:
		break;
	}
	return put_text(a, w->column, value, e);
}

/* ---- where it goes ---- */

static bool prefix_has(const uint8_t *net, const uint8_t *addr, unsigned bits)
{
	return !memcmp(net, addr, bits / 8) &&
	       (!(bits % 8) || !((net[bits / 8] ^ addr[bits / 8]) >> (8 - bits % 8)));
}

/* A namespace that is not named is the one that has the device, or the only one. */
static int find_netns(struct add *a, struct err *e)
{
	const struct edit_bind binds[] = {{"image", NULL, edit_image(a->x)}, {0}};
	auto_edit_ids struct edit_ids ids = {0};

	if (a->has_netns)
		return 0;
	if (edit_ids_query(a->x,
			   "SELECT id FROM netns WHERE image = :image AND NOT external LIMIT 2",
			   binds, &ids, e))
		return -1;
	if (ids.n != 1)
		return err_set(e, ERR_USAGE, "there are several namespaces: say netns NAME");
	a->netns = ids.id[0];
	return 0;
}

static int find_dev(struct add *a, struct err *e)
{
	char path[600];
	int64_t device;
	bool found;

	if (!a->has_dev)
		return find_netns(a, e);
	if (a->has_netns) {
		auto_buf struct buf name = {0};

		if (edit_name(a->x, "netns", a->netns, &name, e))
			return -1;
		snprintf(path, sizeof(path), "%.299s/%.299s", (const char *)name.data, a->dev);
	} else {
		snprintf(path, sizeof(path), "%.599s", a->dev);
	}
	if (edit_find_device(a->x, path, &device, e))
		return -1;
	const struct edit_bind binds[] = {{"id", NULL, device}, {0}};

	return edit_number(a->x, "SELECT netns FROM device WHERE id = :id", binds, &a->netns,
			   &found, e) ||
			       edit_number(a->x, "SELECT ifindex FROM device WHERE id = :id", binds,
					   &a->ifindex, &found, e)
		       ? -1
		       : 0;
}

/* The device of the namespace that has the gateway in one of its networks: *found. */
static int find_network(struct add *a, bool *found, struct err *e)
{
	auto_query struct query *q = query_new(
		edit_db(a->x),
		"SELECT ifindex, coalesce(peer, address), prefixlen FROM address WHERE netns "
		"= :netns AND family = :family AND (:dev = 0 OR ifindex = :dev) ORDER BY "
		"prefixlen DESC",
		e);
	int rc;

	*found = false;
	if (!q || query_bind_int(q, "netns", a->netns, e) ||
	    query_bind_int(q, "family", inet_family_of_len(a->via_len), e) ||
	    query_bind_int(q, "dev", a->has_dev ? a->ifindex : 0, e))
		return -1;
	while (!*found && (rc = query_next(q, e)) == 1) {
		uint8_t addr[16];
		size_t len;

		if (!query_text(q, 1) ||
		    inet_parse(query_text(q, 1), 0, addr, &len, &(struct err)ERR_INIT) ||
		    len != a->via_len || query_int(q, 2) < 0 || query_int(q, 2) > (int64_t)len * 8)
			continue;
		*found = prefix_has(addr, a->via, (unsigned)query_int(q, 2));
		if (*found)
			a->ifindex = query_int(q, 0);
	}
	return !*found && rc ? -1 : 0;
}

/* A route on a device reaches the gateway too. */
static int find_link_route(struct add *a, bool *found, struct err *e)
{
	auto_query struct query *q = query_new(
		edit_db(a->x),
		"SELECT oif, dst FROM route WHERE netns = :netns AND family = :family AND "
		"gateway IS NULL AND via IS NULL AND oif > 0 AND type = 1 AND (:dev = 0 OR "
		"oif = :dev) AND dst <> 'default'",
		e);
	int family = inet_family_of_len(a->via_len), rc = 0;

	if (!q || query_bind_int(q, "netns", a->netns, e) ||
	    query_bind_int(q, "family", family, e) ||
	    query_bind_int(q, "dev", a->has_dev ? a->ifindex : 0, e))
		return -1;
	while (!*found && (rc = query_next(q, e)) == 1) {
		unsigned prefixlen;
		uint8_t addr[16];
		size_t len;

		if (inet_prefix_parse(query_text(q, 1), family, addr, &len, &prefixlen,
				      &(struct err)ERR_INIT))
			continue;
		*found = prefix_has(addr, a->via, prefixlen);
		if (*found)
			a->ifindex = query_int(q, 0);
	}
	return !*found && rc ? -1 : 0;
}

/* ---- the row ---- */

static int insert(struct add *a, const char *table, struct err *e)
{
	auto_buf struct buf sql = {0}, values = {0};
	struct edit_bind binds[ARRAY_SIZE(a->value) + 3];
	unsigned n = 0;

	if (buf_printf(&sql, e, "INSERT INTO %s (image, netns", table) ||
	    buf_add_str(&values, ") VALUES (:image, :netns", e))
		return -1;
	binds[n++] = (struct edit_bind){"image", NULL, edit_image(a->x)};
	binds[n++] = (struct edit_bind){"netns", NULL, a->netns};
	for (unsigned i = 0; i < a->n; i++) {
		const struct value *v = &a->value[i];

		if (buf_printf(&sql, e, ", \"%s\"", v->column) ||
		    buf_printf(&values, e, ", :%s", v->column))
			return -1;
		binds[n++] = (struct edit_bind){v->column, v->is_text ? v->text : NULL, v->num};
	}
	binds[n] = (struct edit_bind){0};
	if (buf_add_str(&sql, (const char *)values.data, e) || buf_add_str(&sql, ")", e))
		return -1;
	return edit_exec(a->x, (const char *)sql.data, binds, e);
}

/* Is there such a row already? */
static int refuse_double(struct add *a, const char *sql, const char *what, struct err *e)
{
	const struct value *metric = value_of(a, "priority"), *dst = value_of(a, "dst");
	const struct edit_bind binds[] = {{"netns", NULL, a->netns},
					  {"ifindex", NULL, a->ifindex},
					  {"address", a->plain, 0},
					  {"dst", dst ? dst->text : "", 0},
					  {"family", NULL, a->family},
					  {"table", NULL, num_of(a, "table")},
					  {"tos", NULL, num_of(a, "tos")},
					  {"metric", NULL, metric ? metric->num : 0},
					  {0}};
	int64_t there;
	bool found;

	if (edit_number(a->x, sql, binds, &there, &found, e))
		return -1;
	return found ? err_set(e, ERR_EXISTS, "%s is there already", what) : 0;
}

/* ---- addresses ---- */

static int address_object(struct add *a, const char *word, struct err *e)
{
	if (a->addr_len)
		return err_set(e, ERR_USAGE, "'%s' where a keyword should be", word);
	if (inet_prefix_parse(word, a->family, a->addr, &a->addr_len, &a->prefixlen, e))
		return -1;
	a->family = inet_family_of_len(a->addr_len);
	inet_format(a->addr, a->addr_len, a->plain);
	return put_text(a, "address", a->plain, e);
}

static bool is_loopback(const struct add *a)
{
	static const uint8_t one[16] = {[15] = 1};

	return a->addr_len == 4 ? a->addr[0] == 127 : !memcmp(a->addr, one, 16);
}

static bool is_link_local(const struct add *a)
{
	return a->addr_len == 16 && a->addr[0] == 0xfe && (a->addr[1] & 0xc0) == 0x80;
}

/* A route that the kernel makes for an address. */
static int kernel_route(const struct add *a, int64_t table, int64_t type, int64_t scope,
			const char *dst, bool has_src, int64_t metric, struct err *e)
{
	struct add r = {.x = a->x, .netns = a->netns, .family = a->family};
	const struct edit_bind binds[] = {{"netns", NULL, a->netns},     {"dst", dst, 0},
					  {"table", NULL, table},        {"type", NULL, type},
					  {"ifindex", NULL, a->ifindex}, {0}};
	int64_t there;
	bool found;

	if (edit_number(a->x,
			"SELECT 1 FROM route WHERE netns = :netns AND dst = :dst AND \"table\" = "
			":table "
			"AND type = :type AND oif = :ifindex",
			binds, &there, &found, e) ||
	    found)
		return found ? 0 : -1;
	return put_num(&r, "family", a->family, e) || put_text(&r, "dst", dst, e) ||
			       put_num(&r, "table", table, e) || put_num(&r, "type", type, e) ||
			       put_num(&r, "protocol", 2, e) || put_num(&r, "scope", scope, e) ||
			       put_num(&r, "oif", a->ifindex, e) ||
			       (has_src && put_text(&r, "prefsrc", a->plain, e)) ||
			       (a->family == 10 && (put_num(&r, "priority", metric, e) ||
						    put_num(&r, "pref", 0, e))) ||
			       insert(&r, "route", e)
		       ? -1
		       : 0;
}

/* What fib_add_ifaddr() (net/ipv4/fib_frontend.c) and addrconf_prefix_route() (net/ipv6/addrconf.c) make. An
 * image has the local table where the dump had it. */
static int address_routes(const struct add *a, struct err *e)
{
	const struct edit_bind binds[] = {
		{"netns", NULL, a->netns}, {"ifindex", NULL, a->ifindex}, {0}};
	const unsigned bits = (unsigned)a->addr_len * 8;
	const bool is_v4 = a->addr_len == 4;
	uint8_t net[16], last[16];
	char text[INET_PREFIX_MAX];
	int64_t v;
	bool has_local, is_up;

	memcpy(net, a->addr, 16);
	memcpy(last, a->addr, 16);
	for (unsigned bit = a->prefixlen; bit < bits; bit++) {
		net[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
		last[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	}
	if (edit_number(a->x, "SELECT 1 FROM route WHERE netns = :netns AND \"table\" = 255", binds,
			&v, &has_local, e) ||
	    edit_number(a->x,
			"SELECT 1 FROM device WHERE netns = :netns AND ifindex = :ifindex AND "
			"flags & 1",
			binds, &v, &is_up, e))
		return -1;
	if (has_local && kernel_route(a, 255, 2, is_v4 ? 254 : 0, a->plain, is_v4, 0, e))
		return -1;
	if (!is_up || (num_of((struct add *)a, "flags") & 1) || a->prefixlen == bits ||
	    a->prefixlen == 0 || (is_loopback(a) && !is_v4))
		return 0;
	if (has_local && is_v4 && a->prefixlen < 31 && inet_format(last, 4, text) &&
	    kernel_route(a, 255, 3, 253, text, true, 0, e))
		return -1;
	inet_prefix_format(net, a->addr_len, a->prefixlen, text);
	if (num_of((struct add *)a, "flags") & 0x200)
		return 0;
	return is_loopback(a) ? has_local ? kernel_route(a, 255, 2, 254, text, true, 0, e) : 0
			      : kernel_route(a, 254, 1, is_v4 ? 253 : 0, text, is_v4, 256, e);
}

/* An IPv4 address of a network that the device is in already is a secondary one (__inet_insert_ifa()). */
static int mark_secondary(struct add *a, struct err *e)
{
	auto_query struct query *q = query_new(
		edit_db(a->x),
		"SELECT address FROM address WHERE netns = :netns AND ifindex = :ifindex AND "
		"family = 2 AND prefixlen = :prefixlen",
		e);
	bool found = false;
	int rc = 0;

	if (a->addr_len != 4 || is_set(a, "peer"))
		return q ? 0 : -1;
	if (!q || query_bind_int(q, "netns", a->netns, e) ||
	    query_bind_int(q, "ifindex", a->ifindex, e) ||
	    query_bind_int(q, "prefixlen", a->prefixlen, e))
		return -1;
	while (!found && (rc = query_next(q, e)) == 1) {
		uint8_t addr[16];
		size_t len;

		found = query_text(q, 0) &&
			!inet_parse(query_text(q, 0), 2, addr, &len, &(struct err)ERR_INIT) &&
			prefix_has(addr, a->addr, a->prefixlen);
	}
	if (rc < 0)
		return -1;
	return found ? put_num(a, "flags", num_of(a, "flags") | 1, e) : 0;
}

static int address_finish(struct add *a, struct err *e)
{
	const struct value *broadcast = value_of(a, "broadcast");
	char label[16];

	if (!a->addr_len || !a->has_dev)
		return err_set(e, ERR_USAGE, "an address needs ADDRESS/LEN and dev DEVICE");
	if (refuse_double(
		    a,
		    "SELECT 1 FROM address WHERE netns = :netns AND ifindex = :ifindex AND address "
		    "= :address",
		    a->plain, e))
		return -1;
	if (mark_secondary(a, e))
		return -1;
	snprintf(label, sizeof(label), "%.15s",
		 strrchr(a->dev, '/') ? strrchr(a->dev, '/') + 1 : a->dev);
	if (put_num(a, "family", a->family, e) || put_num(a, "prefixlen", a->prefixlen, e) ||
	    put_num(a, "ifindex", a->ifindex, e) ||
	    put_num(a, "flags", num_of(a, "flags") | 0x80, e) ||
	    default_num(a, "valid_lft", UINT32_MAX, e) ||
	    default_num(a, "preferred_lft", UINT32_MAX, e) ||
	    default_num(a, "scope",
			is_loopback(a)     ? 254
			: is_link_local(a) ? 253
					   : 0,
			e) ||
	    (a->family == 2 && !is_set(a, "label") && put_text(a, "label", label, e)))
		return -1;
	if (broadcast && a->family == 10)
		return err_set(e, ERR_USAGE, "IPv6 has no broadcast addresses");
	return insert(a, "address", e) || address_routes(a, e) ? -1 : 0;
}

/* "brd +": all bits behind the prefix. */
static int put_broadcast(struct add *a, struct err *e)
{
	char text[INET_TEXT_MAX];
	uint8_t last[16];

	if (a->addr_len != 4)
		return err_set(e, ERR_USAGE, "brd + comes after the address");
	memcpy(last, a->addr, 4);
	for (unsigned bit = a->prefixlen; bit < 32; bit++)
		last[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	inet_format(last, 4, text);
	return put_text(a, "broadcast", text, e);
}

/* ---- routes ---- */

static int route_object(struct add *a, const char *word, struct err *e)
{
	int64_t type;

	if (!is_set(a, "type") && !words_find(WORDS_ROUTE_TYPE, word, &type))
		return put_num(a, "type", type, e);
	if (is_set(a, "dst"))
		return err_set(e, ERR_USAGE, "'%s' where a keyword should be", word);
	/* the family of "default" shows in the gateway */
	if (!strcmp(word, "default") && !a->family)
		return put_text(a, "dst", word, e);
	return put_prefix(a, "dst", word, e);
}

/* The gateway: in reach, in the right column, and by which device. */
static int route_gateway(struct add *a, struct err *e)
{
	struct value *v = value_of(a, "gateway");
	int64_t netns = a->netns, ifindex = a->ifindex;
	bool found = false;

	if (!v)
		return 0;
	if (inet_family_of_len(a->via_len) != a->family)
		v->column = "via";
	if (num_of(a, "flags") & 4) /* onlink */
		return a->has_dev ? 0 : err_set(e, ERR_USAGE, "onlink needs dev DEVICE");
	/* a link-local gateway is on the link that is named (RFC 4861) */
	if (a->has_dev && a->via_len == 16 && a->via[0] == 0xfe && (a->via[1] & 0xc0) == 0x80)
		return 0;
	if (find_network(a, &found, e) || (!found && find_link_route(a, &found, e)))
		return -1;
	a->netns = netns;
	a->ifindex = a->has_dev ? ifindex : a->ifindex;
	a->has_dev |= found;
	return found ? 0
		     : err_set(e, ERR_USAGE,
			       "%s is in no network of %s: the kernel would not take the route "
			       "(onlink "
			       "forces it)",
			       v->text, a->has_dev ? a->dev : "the namespace");
}

static int route_finish(struct add *a, struct err *e)
{
	int64_t type;
	bool has_gateway = is_set(a, "gateway");

	if (!is_set(a, "dst"))
		return err_set(e, ERR_USAGE, "a route needs a prefix, or default");
	if (!a->family)
		a->family = has_gateway ? inet_family_of_len(a->via_len) : 2;
	if (default_num(a, "type", 1, e) || route_gateway(a, e))
		return -1;
	type = num_of(a, "type");
	if (type == 1 && !a->has_dev && !is_set(a, "nh_id"))
		return err_set(e, ERR_USAGE, "a route needs via ADDRESS or dev DEVICE");
	/* the kernel keeps IPv6 routes that lead nowhere on lo (ip6_route_info_create()) */
	if (!a->has_dev && a->family == 10 && type >= 6) {
		a->ifindex = 1;
		a->has_dev = true;
	}
	/* defaults of ip-route(8); iproute2 and fib_create_info() have the scope from what the route is */
	if (put_num(a, "family", a->family, e) ||
	    default_num(a, "table", type == 2 ? 255 : 254, e) || default_num(a, "protocol", 3, e) ||
	    default_num(a, "flags", 0, e) || default_num(a, "tos", 0, e) ||
	    default_num(a, "scope",
			a->family == 10 || type >= 6 ? 0
			: type == 2                  ? 254
			: has_gateway                ? 0
						     : 253,
			e) ||
	    (a->has_dev && put_num(a, "oif", a->ifindex, e)) ||
	    (a->family == 10 &&
	     (default_num(a, "priority", 1024, e) || default_num(a, "pref", 0, e))))
		return -1;
	if (*a->metrics && (strcat(a->metrics, "}"), put_text(a, "metrics", a->metrics, e)))
		return -1;
	if (refuse_double(
		    a,
		    "SELECT 1 FROM route WHERE netns = :netns AND family = :family AND dst = :dst "
		    "AND \"table\" = :table AND tos = :tos AND coalesce(priority, 0) = :metric",
		    value_of(a, "dst")->text, e))
		return -1;
	return insert(a, "route", e);
}

/* ---- rules and neighbours ---- */

static int rule_object(struct add *a, const char *word, struct err *e)
{
	int64_t v;

	if (!words_find(WORDS_FAMILY, word, &v) && (v == 2 || v == 10)) {
		a->family = (int)v;
		return 0;
	}
	if (!words_find(WORDS_RULE_ACTION, word, &v) && v >= 6)
		return put_num(a, "action", v, e);
	return err_set(e, ERR_USAGE, "'%s' where a keyword should be", word);
}

/* A rule without a priority goes before the first one that has one (fib_default_rule_pref()). */
static int rule_finish(struct add *a, struct err *e)
{
	const struct edit_bind binds[] = {
		{"netns", NULL, a->netns}, {"family", NULL, a->family ? a->family : 2}, {0}};
	int64_t priority = 32765;
	bool found;

	if (!a->family)
		a->family = 2;
	if (!is_set(a, "table") && num_of(a, "action") < 6)
		return err_set(e, ERR_USAGE,
			       "a rule needs table TABLE, or blackhole, unreachable, prohibit");
	if (edit_number(
		    a->x,
		    "SELECT min(priority) - 1 FROM rule WHERE netns = :netns AND family = :family "
		    "AND priority > 0",
		    binds, &priority, &found, e))
		return -1;
	return put_num(a, "family", a->family, e) || default_num(a, "action", 1, e) ||
			       default_num(a, "table", 0, e) || default_num(a, "protocol", 3, e) ||
			       default_num(a, "priority", priority, e) ||
			       default_num(a, "suppress_prefixlength", -1, e) ||
			       insert(a, "rule", e)
		       ? -1
		       : 0;
}

static int neighbour_object(struct add *a, const char *word, struct err *e)
{
	if (is_set(a, "dst"))
		return err_set(e, ERR_USAGE, "'%s' where a keyword should be", word);
	snprintf(a->plain, sizeof(a->plain), "%s", word);
	return put_address(a, "dst", word, e);
}

static int neighbour_finish(struct add *a, struct err *e)
{
	if (!is_set(a, "dst") || !a->has_dev)
		return err_set(e, ERR_USAGE, "a neighbour needs its address and dev DEVICE");
	if (!is_set(a, "lladdr") && !(num_of(a, "flags") & 8))
		return err_set(e, ERR_USAGE, "a neighbour needs lladdr ADDRESS (or proxy)");
	if (refuse_double(
		    a,
		    "SELECT 1 FROM neighbour WHERE netns = :netns AND ifindex = :ifindex AND dst = "
		    ":dst AND flags & 8 = 0",
		    value_of(a, "dst")->text, e))
		return -1;
	return put_num(a, "family", a->family, e) || put_num(a, "ifindex", a->ifindex, e) ||
			       default_num(a, "state", num_of(a, "flags") & 8 ? 0 : 0x80, e) ||
			       default_num(a, "flags", 0, e) || default_num(a, "type", 1, e) ||
			       insert(a, "neighbour", e)
		       ? -1
		       : 0;
}

/* ---- words ---- */

#define WHERE                                                                                      \
	{"dev", NULL, ADD_DEV, WORDS_NONE, 0},                                                     \
	{                                                                                          \
		"netns", NULL, ADD_NETNS, WORDS_NONE, 0                                            \
	}

/* clang-format off */
static const struct add_word address_words[] = {
	WHERE,
	{"peer", "peer", ADD_ADDRESS, WORDS_NONE, 0},
	{"broadcast", "broadcast", ADD_ADDRESS, WORDS_NONE, 0},
	{"brd", "broadcast", ADD_ADDRESS, WORDS_NONE, 0},
	{"label", "label", ADD_TEXT, WORDS_NONE, 0},
	{"scope", "scope", ADD_NUMBER, WORDS_SCOPE, 0},
	{"metric", "metric", ADD_NUMBER, WORDS_NONE, 0},
	{"valid_lft", "valid_lft", ADD_NUMBER, WORDS_NONE, 0},
	{"preferred_lft", "preferred_lft", ADD_NUMBER, WORDS_NONE, 0},
	{"nodad", NULL, ADD_FLAG, WORDS_NONE, 0x02},
	{"home", NULL, ADD_FLAG, WORDS_NONE, 0x10},
	{"mngtmpaddr", NULL, ADD_FLAG, WORDS_NONE, 0x100},
	{"noprefixroute", NULL, ADD_FLAG, WORDS_NONE, 0x200},
	{"autojoin", NULL, ADD_FLAG, WORDS_NONE, 0x400},
	{0},
};

static const struct add_word route_words[] = {
	WHERE,
	{"via", NULL, ADD_VIA, WORDS_NONE, 0},
	{"src", "prefsrc", ADD_ADDRESS, WORDS_NONE, 0},
	{"from", "src", ADD_PREFIX, WORDS_NONE, 0},
	{"table", "table", ADD_NUMBER, WORDS_TABLE, 0},
	{"metric", "priority", ADD_NUMBER, WORDS_NONE, 0},
	{"priority", "priority", ADD_NUMBER, WORDS_NONE, 0},
	{"proto", "protocol", ADD_NUMBER, WORDS_RTPROT, 0},
	{"protocol", "protocol", ADD_NUMBER, WORDS_RTPROT, 0},
	{"scope", "scope", ADD_NUMBER, WORDS_SCOPE, 0},
	{"tos", "tos", ADD_NUMBER, WORDS_NONE, 0},
	{"nhid", "nh_id", ADD_NUMBER, WORDS_NONE, 0},
	{"onlink", NULL, ADD_FLAG, WORDS_NONE, 0x4},
	{"mtu", "mtu", ADD_METRIC, WORDS_NONE, 0},
	{"advmss", "advmss", ADD_METRIC, WORDS_NONE, 0},
	{"window", "window", ADD_METRIC, WORDS_NONE, 0},
	{"initcwnd", "initcwnd", ADD_METRIC, WORDS_NONE, 0},
	{"initrwnd", "initrwnd", ADD_METRIC, WORDS_NONE, 0},
	{"hoplimit", "hoplimit", ADD_METRIC, WORDS_NONE, 0},
	{0},
};

static const struct add_word rule_words[] = {
	{"netns", NULL, ADD_NETNS, WORDS_NONE, 0},
	{"from", "src", ADD_PREFIX, WORDS_NONE, 0},
	{"to", "dst", ADD_PREFIX, WORDS_NONE, 0},
	{"iif", "iif", ADD_TEXT, WORDS_NONE, 0},
	{"oif", "oif", ADD_TEXT, WORDS_NONE, 0},
	{"table", "table", ADD_NUMBER, WORDS_TABLE, 0},
	{"lookup", "table", ADD_NUMBER, WORDS_TABLE, 0},
	{"priority", "priority", ADD_NUMBER, WORDS_NONE, 0},
	{"pref", "priority", ADD_NUMBER, WORDS_NONE, 0},
	{"fwmark", NULL, ADD_MARK, WORDS_NONE, 0},
	{"tos", "tos", ADD_NUMBER, WORDS_NONE, 0},
	{"ipproto", "ipproto", ADD_NUMBER, WORDS_IPPROTO, 0},
	{"sport", "sport", ADD_TEXT, WORDS_NONE, 0},
	{"dport", "dport", ADD_TEXT, WORDS_NONE, 0},
	{"uidrange", "uidrange", ADD_TEXT, WORDS_NONE, 0},
	{"suppress_prefixlength", "suppress_prefixlength", ADD_NUMBER, WORDS_NONE, 0},
	{"protocol", "protocol", ADD_NUMBER, WORDS_RTPROT, 0},
	{"not", NULL, ADD_FLAG, WORDS_NONE, 0x2},
	{0},
};

static const struct add_word neighbour_words[] = {
	WHERE,
	{"lladdr", "lladdr", ADD_LLADDR, WORDS_NONE, 0},
	{"nud", "state", ADD_NUMBER, WORDS_NUD, 0},
	{"proxy", NULL, ADD_FLAG, WORDS_NONE, 0x8},
	{"router", NULL, ADD_FLAG, WORDS_NONE, 0x80},
	{"protocol", "protocol", ADD_NUMBER, WORDS_RTPROT, 0},
	{0},
};

static const struct add_kind kinds[] = {
	{"address", "address", address_words, address_object, address_finish},
	{"route", "route", route_words, route_object, route_finish},
	{"rule", "rule", rule_words, rule_object, rule_finish},
	{"neighbour", "neighbour", neighbour_words, neighbour_object, neighbour_finish},
};
/* clang-format on */

static const char *word_at(const void *arg, unsigned i)
{
	return ((const struct add_word *)arg)[i].word;
}

static const struct add_word *word_find(const struct add_kind *k, const char *word)
{
	for (const struct add_word *w = k->words; w->word; w++)
		if (!strcmp(w->word, word))
			return w;
	return NULL;
}

/* A word that is no keyword is part of the object, as long as it can be. */
static int put_object(struct add *a, const char *word, struct err *e)
{
	struct err why = ERR_INIT;
	const char *near;

	if (!a->kind->object(a, word, &why))
		return 0;
	near = cli_nearest(word, word_at, a->kind->words);
	if (near && strchr(word, '.') == NULL && strchr(word, ':') == NULL)
		return err_set(e, ERR_USAGE, "no word '%s'; did you mean '%s'?", word, near);
	*e = why;
	return -1;
}

static int parse(struct add *a, const char *const *words, unsigned n, struct err *e)
{
	for (unsigned i = 0; i < n; i++) {
		const struct add_word *w = word_find(a->kind, words[i]);

		if (!w) {
			if (put_object(a, words[i], e))
				return -1;
			continue;
		}
		if (w->how == ADD_ADDRESS && !strcmp(w->column, "broadcast") && i + 1 < n &&
		    !strcmp(words[i + 1], "+")) {
			if (put_broadcast(a, e))
				return -1;
		} else if (put_word(a, w, i + 1 < n ? words[i + 1] : NULL, e)) {
			return -1;
		}
		i += w->how != ADD_FLAG;
	}
	return 0;
}

int add_edit(struct edit *x, const struct cli *c, struct err *e)
{
	struct add a = {.x = x};
	unsigned n;
	const char *const *words = edit_words(c, 1, &n);
	const struct edit_table *t = edit_table_find(words[0], e);

	if (!t)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(kinds[i].table, t->name))
			a.kind = &kinds[i];
	if (!a.kind)
		return err_set(e, ERR_UNSUPPORTED,
			       "a %s cannot be added; what can: address, route, rule, neighbour",
			       t->name);
	return parse(&a, words + 1, n - 1, e) || find_dev(&a, e) || a.kind->finish(&a, e) ? -1 : 0;
}

static const struct cli_opt options[] = {EDIT_OPTIONS, {0}};

const struct cmd cmd_add = {
	EDIT_CMD,
	.name = "add",
	.synopsis = "DB address|route|rule|neighbour WORD...",
	.summary = "an address, a route, a rule, a neighbour, in the words of ip",
	.opts = options,
	.min_args = 3,
	.max_args = CLI_ANY_ARGS,
};
