/* add_route.c: nsimg add route: a route that a kernel would take, with what it fills in. */
#include "inspect/edit/add_int.h"

#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"

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
		*found = add_prefix_has(addr, a->via, (unsigned)query_int(q, 2));
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
		*found = add_prefix_has(addr, a->via, prefixlen);
		if (*found)
			a->ifindex = query_int(q, 0);
	}
	return !*found && rc ? -1 : 0;
}

static int object(struct add *a, const char *word, struct err *e)
{
	int64_t type;

	if (!add_has(a, "type") && !words_find(WORDS_ROUTE_TYPE, word, &type))
		return add_put_num(a, "type", type, e);
	if (add_has(a, "dst"))
		return err_set(e, ERR_USAGE, "'%s' where a keyword should be", word);
	/* the family of "default" shows in the gateway */
	if (!strcmp(word, "default") && !a->family)
		return add_put_text(a, "dst", word, e);
	return add_put_prefix(a, "dst", word, e);
}

/* The gateway: in reach, in the right column, and by which device. */
static int gateway(struct add *a, struct err *e)
{
	struct add_value *v = add_value_of(a, "gateway");
	int64_t netns = a->netns, ifindex = a->ifindex;
	bool found = false;

	if (!v)
		return 0;
	if (inet_family_of_len(a->via_len) != a->family)
		v->column = "via";
	if (a->family == 10 && a->via_len == 4)
		return err_set(e, ERR_USAGE, "%s: an IPv6 route has no IPv4 gateway", v->text);
	if (add_num_of(a, "flags") & 4) /* onlink */
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

static int hop_object(struct add *a, const char *word, struct err *e)
{
	(void)a;
	return err_set(e, ERR_USAGE, "'%s' where a word of a nexthop should be", word);
}

/* What fib_create_info() and ip6_route_multipath_add() take. */
static int hop_finish(struct add *hop, struct err *e)
{
	struct add *route = hop->of;
	const struct add_value *via;
	int64_t weight;

	if (!hop->family)
		hop->family = hop->via_len ? inet_family_of_len(hop->via_len) : 2;
	if (add_default_num(hop, "weight", 1, e) || add_default_num(hop, "flags", 0, e) ||
	    gateway(hop, e))
		return -1;
	weight = add_num_of(hop, "weight");
	if (weight < 1 || weight > 256)
		return err_set(e, ERR_USAGE, "weight %" PRId64 " is not in 1 to 256", weight);
	if (!hop->via_len && (!hop->has_dev || hop->family == 10))
		return err_set(e, ERR_USAGE, "a nexthop needs via ADDRESS%s",
			       hop->family == 10 ? " in IPv6" : " or dev DEVICE");
	route->family = hop->family;
	if (buf_printf(&route->hops, e,
		       "%s{\"oif\":%" PRId64 ",\"weight\":%" PRId64 ",\"flags\":%" PRId64,
		       route->hops.len ? "," : "[", hop->ifindex, weight, add_num_of(hop, "flags")))
		return -1;
	for (unsigned i = 0; i < hop->n; i++) {
		via = &hop->value[i];
		if (via->is_text &&
		    buf_printf(&route->hops, e, ",\"%s\":\"%s\"", via->column, via->text))
			return -1;
	}
	return buf_add_str(&route->hops, "}", e);
}

static int finish(struct add *a, struct err *e)
{
	int64_t type;
	bool has_gateway = add_has(a, "gateway") || a->hops.len;

	if (!add_has(a, "dst"))
		return err_set(e, ERR_USAGE, "a route needs a prefix, or default");
	if (!a->family)
		a->family = a->via_len ? inet_family_of_len(a->via_len) : 2;
	if (add_default_num(a, "type", 1, e) || gateway(a, e))
		return -1;
	type = add_num_of(a, "type");
	if (type == 1 && !a->has_dev && !a->hops.len && !add_has(a, "nh_id"))
		return err_set(e, ERR_USAGE, "a route needs via ADDRESS or dev DEVICE");
	/* the kernel keeps IPv6 routes that lead nowhere on lo (ip6_route_info_create()) */
	if (!a->has_dev && a->family == 10 && type >= 6) {
		a->ifindex = 1;
		a->has_dev = true;
	}
	/* to the kernel 0 is the main table (fib_new_table(), fib6_new_table()) */
	if (add_has(a, "table") && !add_num_of(a, "table") && add_put_num(a, "table", 254, e))
		return -1;
	/* defaults of ip-route(8); iproute2 and fib_create_info() have the scope from what the route is */
	if (add_put_num(a, "family", a->family, e) ||
	    add_default_num(a, "table", type == 2 ? 255 : 254, e) ||
	    add_default_num(a, "protocol", 3, e) || add_default_num(a, "flags", 0, e) ||
	    add_default_num(a, "tos", 0, e) ||
	    add_default_num(a, "scope",
			    a->family == 10 || type >= 6 ? 0
			    : type == 2                  ? 254
			    : has_gateway                ? 0
							 : 253,
			    e) ||
	    (a->has_dev && add_put_num(a, "oif", a->ifindex, e)) ||
	    (a->family == 10 &&
	     (add_default_num(a, "priority", 1024, e) || add_default_num(a, "pref", 0, e))))
		return -1;
	if (a->metrics.len && (buf_add_str(&a->metrics, "}", e) ||
			       add_put_lent(a, "metrics", (const char *)a->metrics.data, e)))
		return -1;
	if (a->hops.len && (buf_add_str(&a->hops, "]", e) ||
			    add_put_lent(a, "multipath", (const char *)a->hops.data, e)))
		return -1;
	if (add_refuse_double(
		    a,
		    "SELECT 1 FROM route WHERE netns = :netns AND family = :family AND dst = :dst "
		    "AND \"table\" = :table AND tos = :tos AND coalesce(priority, 0) = :metric",
		    add_value_of(a, "dst")->text, e))
		return -1;
	return add_insert(a, "route", e);
}

/* clang-format off */
static const struct add_word words[] = {
	ADD_WORD_DEV,
	ADD_WORD_NETNS,
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
	{"nexthop", NULL, ADD_HOP, WORDS_NONE, 0},
	{"mtu", "mtu", ADD_METRIC, WORDS_NONE, 0},
	{"advmss", "advmss", ADD_METRIC, WORDS_NONE, 0},
	{"window", "window", ADD_METRIC, WORDS_NONE, 0},
	{"initcwnd", "initcwnd", ADD_METRIC, WORDS_NONE, 0},
	{"initrwnd", "initrwnd", ADD_METRIC, WORDS_NONE, 0},
	{"hoplimit", "hoplimit", ADD_METRIC, WORDS_NONE, 0},
	{0},
};

static const struct add_word hop_words[] = {
	ADD_WORD_DEV,
	{"via", NULL, ADD_VIA, WORDS_NONE, 0},
	{"weight", "weight", ADD_NUMBER, WORDS_NONE, 0},
	{"onlink", NULL, ADD_FLAG, WORDS_NONE, 0x4},
	{0},
};
/* clang-format on */

const struct add_kind add_hop = {"nexthop", hop_words, hop_object, hop_finish};

const struct add_kind add_route = {"route", words, object, finish};
