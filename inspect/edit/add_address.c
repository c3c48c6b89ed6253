/* add_address.c: nsimg add address: an address of an interface, and the routes that the kernel makes for it. */
#include "inspect/edit/add_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

static int object(struct add *a, const char *word, struct err *e)
{
	if (a->addr_len)
		return err_set(e, ERR_USAGE, "'%s' where a keyword should be", word);
	if (inet_prefix_parse(word, a->family, a->addr, &a->addr_len, &a->prefixlen, e))
		return -1;
	a->family = inet_family_of_len(a->addr_len);
	inet_format(a->addr, a->addr_len, a->plain);
	return add_put_text(a, "address", a->plain, e);
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
	return add_put_num(&r, "family", a->family, e) || add_put_text(&r, "dst", dst, e) ||
			       add_put_num(&r, "table", table, e) ||
			       add_put_num(&r, "type", type, e) ||
			       add_put_num(&r, "protocol", 2, e) ||
			       add_put_num(&r, "scope", scope, e) ||
			       add_put_num(&r, "oif", a->ifindex, e) ||
			       (has_src && add_put_text(&r, "prefsrc", a->plain, e)) ||
			       (a->family == 10 && (add_put_num(&r, "priority", metric, e) ||
						    add_put_num(&r, "pref", 0, e))) ||
			       add_insert(&r, "route", e)
		       ? -1
		       : 0;
}

/* What fib_add_ifaddr() (net/ipv4/fib_frontend.c) and addrconf_prefix_route() (net/ipv6/addrconf.c) make. An
 * image has the local table where the dump had it. */
static int address_routes(struct add *a, struct err *e)
{
	const struct edit_bind binds[] = {
		{"netns", NULL, a->netns}, {"ifindex", NULL, a->ifindex}, {0}};
	const unsigned bits = (unsigned)a->addr_len * 8;
	const bool is_v4 = a->addr_len == 4, has_peer = add_has(a, "peer");
	uint8_t net[16], last[16], peer[16];
	size_t len;
	char text[INET_PREFIX_MAX];
	int64_t v;
	bool has_local, is_up;

	if (has_peer && inet_parse(add_value_of(a, "peer")->text, a->family, peer, &len, e))
		return -1;
	/* of IPv4 the network is that of the other end; IPv6 has a route to that end besides */
	inet_prefix_ends(has_peer && is_v4 ? peer : a->addr, a->addr_len, a->prefixlen, net, last);
	if (edit_number(a->x, "SELECT 1 FROM route WHERE netns = :netns AND \"table\" = 255", binds,
			&v, &has_local, e) ||
	    edit_number(a->x,
			"SELECT 1 FROM device WHERE netns = :netns AND ifindex = :ifindex AND "
			"flags & 1",
			binds, &v, &is_up, e))
		return -1;
	if (has_local && kernel_route(a, 255, 2, is_v4 ? 254 : 0, a->plain, is_v4, 0, e))
		return -1;
	if (is_up && has_peer && !is_v4 &&
	    kernel_route(a, 254, 1, 0, add_value_of(a, "peer")->text, false, 256, e))
		return -1;
	if (!is_up || (add_num_of(a, "flags") & 1) ||
	    (a->prefixlen == bits && !(has_peer && is_v4)) || a->prefixlen == 0 ||
	    (is_loopback(a) && !is_v4))
		return 0;
	if (has_local && is_v4 && a->prefixlen < 31 && inet_format(last, 4, text) &&
	    kernel_route(a, 255, 3, 253, text, true, 0, e))
		return -1;
	inet_prefix_format(net, a->addr_len, a->prefixlen, text);
	if (add_num_of(a, "flags") & 0x200)
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

	if (a->addr_len != 4 || add_has(a, "peer"))
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
			add_prefix_has(addr, a->addr, a->prefixlen);
	}
	if (rc < 0)
		return -1;
	return found ? add_put_num(a, "flags", add_num_of(a, "flags") | 1, e) : 0;
}

static int finish(struct add *a, struct err *e)
{
	const bool has_broadcast = add_has(a, "broadcast");
	char label[16];

	if (!a->addr_len || !a->has_dev)
		return err_set(e, ERR_USAGE, "an address needs ADDRESS/LEN and dev DEVICE");
	if (add_refuse_double(
		    a,
		    "SELECT 1 FROM address WHERE netns = :netns AND ifindex = :ifindex AND address "
		    "= :address",
		    a->plain, e))
		return -1;
	if (mark_secondary(a, e))
		return -1;
	snprintf(label, sizeof(label), "%.15s",
		 strrchr(a->dev, '/') ? strrchr(a->dev, '/') + 1 : a->dev);
	if (add_put_num(a, "family", a->family, e) ||
	    add_put_num(a, "prefixlen", a->prefixlen, e) ||
	    add_put_num(a, "ifindex", a->ifindex, e) ||
	    add_put_num(a, "flags", add_num_of(a, "flags") | 0x80, e) ||
	    add_default_num(a, "valid_lft", UINT32_MAX, e) ||
	    add_default_num(a, "preferred_lft", UINT32_MAX, e) ||
	    add_default_num(a, "scope",
			    is_loopback(a)     ? 254
			    : is_link_local(a) ? 253
					       : 0,
			    e) ||
	    (a->family == 2 && !add_has(a, "label") && add_put_text(a, "label", label, e)))
		return -1;
	if (has_broadcast && a->family == 10)
		return err_set(e, ERR_USAGE, "IPv6 has no broadcast addresses");
	return add_insert(a, "address", e) || address_routes(a, e) ? -1 : 0;
}

/* clang-format off */
static const struct add_word words[] = {
	ADD_WORD_DEV,
	ADD_WORD_NETNS,
	{"peer", "peer", ADD_PEER, WORDS_NONE, 0},
	{"broadcast", "broadcast", ADD_BROADCAST, WORDS_NONE, 0},
	{"brd", "broadcast", ADD_BROADCAST, WORDS_NONE, 0},
	{"label", "label", ADD_TEXT, WORDS_NONE, 0},
	{"scope", "scope", ADD_NUMBER, WORDS_SCOPE, 0},
	{"metric", "metric", ADD_NUMBER, WORDS_NONE, 0},
	{"valid_lft", "valid_lft", ADD_NUMBER, WORDS_LIFETIME, 0},
	{"preferred_lft", "preferred_lft", ADD_NUMBER, WORDS_LIFETIME, 0},
	{"nodad", NULL, ADD_FLAG, WORDS_NONE, 0x02},
	{"home", NULL, ADD_FLAG, WORDS_NONE, 0x10},
	{"mngtmpaddr", NULL, ADD_FLAG, WORDS_NONE, 0x100},
	{"noprefixroute", NULL, ADD_FLAG, WORDS_NONE, 0x200},
	{"autojoin", NULL, ADD_FLAG, WORDS_NONE, 0x400},
	{0},
};
/* clang-format on */

const struct add_kind add_address = {"address", words, object, finish};
