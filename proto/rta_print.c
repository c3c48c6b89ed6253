/* One line for one object, in the words of ip(8), bridge(8) and tc(8). Made from the columns, so that an edit
 * shows. */
#include "proto/rta.h"

#include <arpa/inet.h>
#include <linux/fib_rules.h>
#include <linux/if_addrlabel.h>
#include <linux/rtnetlink.h>
#include <linux/xfrm.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "proto/inet.h"

#define MAX_COLUMNS 40

struct line {
	struct {
		const char *name;
		enum rta_value_type type;
		int64_t num;
		char *text;
	} col[MAX_COLUMNS];
	size_t n;
	rta_ifname_fn *ifname;
	void *arg;
	struct span msg;
	struct buf *out;
	struct err *e;
	int failed;
};

static int keep(const char *column, const struct rta_value *v, void *arg, struct err *e)
{
	struct line *l = arg;

	if (l->n == MAX_COLUMNS)
		return err_set(e, ERR_RANGE, "more than %d columns", MAX_COLUMNS);
	l->col[l->n].name = column;
	l->col[l->n].type = v->type;
	l->col[l->n].num = v->num;
	if (v->type == RTA_VALUE_TEXT) {
		l->col[l->n].text = strdup(v->text);
		if (!l->col[l->n].text)
			return err_set(e, ERR_NOMEM, "a column");
	}
	l->n++;
	return 0;
}

static size_t find(const struct line *l, const char *name)
{
	size_t i = 0;

	/* asked a dozen times a line */
	while (i < l->n && (*l->col[i].name != *name || strcmp(l->col[i].name, name) != 0))
		i++;
	return i;
}

static int64_t num(const struct line *l, const char *name)
{
	size_t i = find(l, name);

	return i < l->n ? l->col[i].num : 0;
}

static bool has(const struct line *l, const char *name)
{
	size_t i = find(l, name);

	return i < l->n && l->col[i].type != RTA_VALUE_NULL;
}

static const char *text(const struct line *l, const char *name)
{
	size_t i = find(l, name);

	return i < l->n && l->col[i].text ? l->col[i].text : "";
}

__attribute__((format(printf, 2, 3))) static void add(struct line *l, const char *fmt, ...)
{
	char word[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(word, sizeof(word), fmt, ap);
	va_end(ap);
	if (!l->failed)
		l->failed = buf_add_str(l->out, word, l->e);
}

/* " key value" when the column is there */
static void add_text(struct line *l, const char *key, const char *column)
{
	if (has(l, column))
		add(l, " %s %s", key, text(l, column));
}

static void add_num(struct line *l, const char *key, const char *column)
{
	if (has(l, column))
		add(l, " %s %lld", key, (long long)num(l, column));
}

static void add_dev(struct line *l, const char *key, const char *column)
{
	const char *name = NULL;
	int index = (int)num(l, column);

	if (!has(l, column))
		return;
	if (l->ifname)
		name = l->ifname(index, l->arg);
	if (name)
		add(l, " %s %s", key, name);
	else
		add(l, " %s if%d", key, index);
}

/* The parsed value of a JSON column, owned; NULL when it is absent. */
static struct json *parsed(const struct line *l, const char *column)
{
	struct err unreadable = ERR_INIT;
	const char *t = text(l, column);

	return *t ? json_parse(t, strlen(t), &unreadable) : NULL;
}

/* " mtu lock 1300 rto_min 300ms advmss 1200": ip-route(8). What sets rto_min locks it. */
static void add_metric(struct line *l, const char *key, int64_t n, int64_t locked)
{
	static const struct {
		int number;
		const char *name;
	} can_lock[] = {{RTAX_MTU, "mtu"},           {RTAX_WINDOW, "window"},
			{RTAX_RTT, "rtt"},           {RTAX_RTTVAR, "rttvar"},
			{RTAX_SSTHRESH, "ssthresh"}, {RTAX_CWND, "cwnd"},
			{RTAX_ADVMSS, "advmss"},     {RTAX_REORDERING, "reordering"},
			{RTAX_HOPLIMIT, "hoplimit"}};
	const char *lock = "";

	for (size_t i = 0; i < ARRAY_SIZE(can_lock); i++)
		if (!strcmp(can_lock[i].name, key) && locked & INT64_C(1) << can_lock[i].number)
			lock = "lock ";
	add(l, " %s %s%lld%s", key, lock, (long long)n, strcmp(key, "rto_min") ? "" : "ms");
}

static void add_metrics(struct line *l)
{
	auto_json struct json *metrics = parsed(l, "metrics");
	const struct json *v;
	const char *key;
	void *at = NULL;
	struct err absent = ERR_INIT;
	int64_t n, locked = 0;

	if (json_get(metrics, "lock"))
		json_to_int(json_get(metrics, "lock"), &locked, "lock", &absent);
	while (metrics && json_next(metrics, &at, &key, &v)) {
		struct err not_a_number = ERR_INIT;

		if (!strcmp(key, "lock"))
			continue;
		if (json_str(v))
			add(l, " %s %s", key, json_str(v));
		else if (!json_to_int(v, &n, key, &not_a_number))
			add_metric(l, key, n, locked);
	}
}

/* " realm 3" or " realms 2/3": from and to, 16 bits each */
static void add_realms(struct line *l)
{
	auto_json struct json *other = parsed(l, "other");
	const struct json *flow = json_get(other, "flow");
	struct err absent = ERR_INIT;
	int64_t v = 0;

	if (!flow || json_to_int(flow, &v, "flow", &absent))
		return;
	if (v >> 16)
		add(l, " realms %lld/%lld", (long long)(v >> 16), (long long)(v & 0xffff));
	else
		add(l, " realms %lld", (long long)v);
}

/* A gateway of the other family is with its family, as ip(8) takes it too. */
static void add_other_gateway(struct line *l, const char *address)
{
	add(l, " via %s %s", strchr(address, ':') ? "inet6" : "inet", address);
}

/* " nexthop via 10.0.0.1 dev eth0 weight 2", once for each hop */
static void add_hops(struct line *l)
{
	auto_json struct json *hops = parsed(l, "multipath");

	for (size_t i = 0; hops && i < json_len(hops); i++) {
		const struct json *hop = json_at(hops, i);
		struct err absent = ERR_INIT;
		int64_t oif = 0, weight = 1, flags = 0;

		add(l, " nexthop");
		if (json_str(json_get(hop, "gateway")))
			add(l, " via %s", json_str(json_get(hop, "gateway")));
		if (json_str(json_get(hop, "via")))
			add_other_gateway(l, json_str(json_get(hop, "via")));
		if (json_get(hop, "oif") &&
		    !json_to_int(json_get(hop, "oif"), &oif, "oif", &absent)) {
			const char *name = l->ifname ? l->ifname((int)oif, l->arg) : NULL;

			name ? add(l, " dev %s", name) : add(l, " dev if%lld", (long long)oif);
		}
		if (json_get(hop, "weight") &&
		    !json_to_int(json_get(hop, "weight"), &weight, "weight", &absent))
			add(l, " weight %lld", (long long)weight);
		if (json_get(hop, "flags") &&
		    !json_to_int(json_get(hop, "flags"), &flags, "flags", &absent) &&
		    flags & RTNH_F_ONLINK)
			add(l, " onlink");
	}
}

/* A word of a list, or the number. */
static void add_word(struct line *l, const char *key, const char *const *words, size_t n, int64_t v)
{
	if (v >= 0 && (size_t)v < n && words[v])
		add(l, "%s%s", key, words[v]);
	else
		add(l, "%s%lld", key, (long long)v);
}

static const char *const route_types[] = {
	"unspec",    "unicast",     "local",    "broadcast", "anycast", "multicast",
	"blackhole", "unreachable", "prohibit", "throw",     "nat",     "xresolve",
};
static const char *const rule_actions[] = {
	[FR_ACT_NOP] = "nop",
	[FR_ACT_BLACKHOLE] = "blackhole",
	[FR_ACT_UNREACHABLE] = "unreachable",
	[FR_ACT_PROHIBIT] = "prohibit",
};

static void add_table(struct line *l, const char *key, int64_t table)
{
	static const struct {
		int64_t id;
		const char *name;
	} names[] = {{253, "default"}, {254, "main"}, {255, "local"}};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].id == table) {
			add(l, " %s %s", key, names[i].name);
			return;
		}
	add(l, " %s %lld", key, (long long)table);
}

static void add_scope(struct line *l)
{
	static const struct {
		int64_t id;
		const char *name;
	} names[] = {{RT_SCOPE_SITE, "site"},
		     {RT_SCOPE_LINK, "link"},
		     {RT_SCOPE_HOST, "host"},
		     {RT_SCOPE_NOWHERE, "nowhere"}};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].id == num(l, "scope"))
			add(l, " scope %s", names[i].name);
}

static void print_link(struct line *l)
{
	int64_t flags = num(l, "flags");

	add(l, "%lld: %s", (long long)num(l, "ifindex"), text(l, "name"));
	add_num(l, "mtu", "mtu");
	add_dev(l, "master", "master");
	add(l, " state %s", flags & IFF_UP ? "up" : "down");
	add_text(l, "address", "address");
	add_text(l, "alias", "alias");
	add_text(l, "type", "kind");
	add_dev(l, "link", "link");
	add_num(l, "link-netnsid", "link_netnsid");
	add_text(l, "", "attrs");
	add_text(l, "port", "port_kind");
}

static void print_addr(struct line *l)
{
	add(l, "%s %s", num(l, "family") == AF_INET ? "inet" : "inet6", text(l, "address"));
	add_text(l, "peer", "peer");
	add(l, "/%lld", (long long)num(l, "prefixlen"));
	add_text(l, "brd", "broadcast");
	add_scope(l);
	add_dev(l, "dev", "ifindex");
	add_text(l, "label", "label");
	add_num(l, "metric", "metric");
}

static void print_route(struct line *l)
{
	if (num(l, "type") != RTN_UNICAST) {
		add_word(l, "", route_types, ARRAY_SIZE(route_types), num(l, "type"));
		add(l, " ");
	}
	add(l, "%s", text(l, "dst"));
	add_text(l, "from", "src");
	if (num(l, "tos"))
		add(l, " tos 0x%llx", (long long)num(l, "tos"));
	add_num(l, "nhid", "nh_id");
	add_text(l, "via", "gateway");
	if (has(l, "via"))
		add_other_gateway(l, text(l, "via"));
	add_dev(l, "dev", "oif");
	if (num(l, "table") != RT_TABLE_MAIN)
		add_table(l, "table", num(l, "table"));
	add_scope(l);
	add_text(l, "src", "prefsrc");
	add_num(l, "metric", "priority");
	add_realms(l);
	add_metrics(l);
	add_hops(l);
}

static void print_rule(struct line *l)
{
	int64_t action = num(l, "action");

	add(l, "%lld:%s", (long long)num(l, "priority"),
	    num(l, "flags") & FIB_RULE_INVERT ? " not" : "");
	add(l, " from %s", has(l, "src") ? text(l, "src") : "all");
	add_text(l, "to", "dst");
	if (num(l, "tos"))
		add(l, " tos 0x%llx", (long long)num(l, "tos"));
	add_text(l, "iif", "iif");
	add_text(l, "oif", "oif");
	if (has(l, "fwmark"))
		add(l, " fwmark 0x%llx/0x%llx", (long long)num(l, "fwmark"),
		    (long long)num(l, "fwmask"));
	add_num(l, "ipproto", "ipproto");
	add_text(l, "sport", "sport");
	add_text(l, "dport", "dport");
	add_text(l, "uidrange", "uidrange");
	add_num(l, "tun_id", "tun_id");
	if (num(l, "l3mdev"))
		add(l, " l3mdev");
	if (has(l, "suppress_prefixlength") && num(l, "suppress_prefixlength") >= 0)
		add_num(l, "suppress_prefixlength", "suppress_prefixlength");
	if (has(l, "suppress_ifgroup") && num(l, "suppress_ifgroup") >= 0)
		add_num(l, "suppress_ifgroup", "suppress_ifgroup");
	if (action == FR_ACT_TO_TBL)
		add_table(l, "lookup", num(l, "table"));
	else if (action == FR_ACT_GOTO)
		add_num(l, "goto", "goto");
	else
		add_word(l, " ", rule_actions, ARRAY_SIZE(rule_actions), action);
}

/* " via eth0": the device that a vxlan sends to this entry by (NDA_IFINDEX) */
static void add_via(struct line *l)
{
	auto_json struct json *other = parsed(l, "other");
	const struct json *via = json_get(other, "via_ifindex");
	struct err absent = ERR_INIT;
	const char *name;
	int64_t index;

	if (!via || json_to_int(via, &index, "via", &absent))
		return;
	name = l->ifname ? l->ifname((int)index, l->arg) : NULL;
	name ? add(l, " via %s", name) : add(l, " via if%lld", (long long)index);
}

static void print_neigh(struct line *l)
{
	static const struct {
		int64_t bit;
		const char *name;
	} states[] = {{NUD_PERMANENT, "permanent"}, {NUD_NOARP, "noarp"},
		      {NUD_REACHABLE, "reachable"}, {NUD_STALE, "stale"},
		      {NUD_FAILED, "failed"},       {NUD_INCOMPLETE, "incomplete"},
		      {NUD_DELAY, "delay"},         {NUD_PROBE, "probe"}};
	bool fdb = num(l, "family") == AF_BRIDGE;
	size_t i;

	add(l, "%s%s", num(l, "flags") & NTF_PROXY ? "proxy " : "",
	    text(l, fdb ? "lladdr" : "dst"));
	add_dev(l, "dev", "ifindex");
	if (fdb)
		add_text(l, "dst", "dst");
	else
		add_text(l, "lladdr", "lladdr");
	add_num(l, "vlan", "vlan");
	add_num(l, "port", "port");
	add_num(l, "vni", "vni");
	add_num(l, "nhid", "nh_id");
	add_via(l);
	add_dev(l, "master", "master");
	if (fdb) {
		/* bridge(8): permanent, static, or neither */
		add(l, "%s",
		    num(l, "state") & NUD_PERMANENT ? " permanent"
		    : num(l, "state") & NUD_NOARP   ? " static"
						    : "");
		return;
	}
	for (i = 0; i < ARRAY_SIZE(states); i++)
		if (num(l, "state") & states[i].bit)
			add(l, " %s", states[i].name);
}

/* " group 5,3/6,7": ids and weights, ip-nexthop(8) */
static void add_group(struct line *l)
{
	auto_json struct json *group = parsed(l, "group");

	for (size_t i = 0; i < json_len(group); i++) {
		const struct json *one = json_at(group, i);
		struct err absent = ERR_INIT;
		int64_t id = 0, weight = 1;

		json_to_int(json_get(one, "id"), &id, "id", &absent);
		if (json_get(one, "weight"))
			json_to_int(json_get(one, "weight"), &weight, "weight", &absent);
		add(l, "%s%lld", i ? "/" : " group ", (long long)id);
		if (weight != 1)
			add(l, ",%lld", (long long)weight);
	}
}

static void print_nexthop(struct line *l)
{
	add(l, "id %lld", (long long)num(l, "nh_id"));
	add_group(l);
	add_text(l, "via", "gateway");
	add_dev(l, "dev", "oif");
	add(l, "%s%s", num(l, "blackhole") ? " blackhole" : "", num(l, "fdb") ? " fdb" : "");
}

/* Handles as tc(8) writes them: 1:10 */
static void add_handle(struct line *l, const char *key, const char *column)
{
	uint32_t h = (uint32_t)num(l, column);

	if (!has(l, column))
		return;
	if (h == UINT32_MAX)
		add(l, " root");
	else if (h)
		add(l, "%s %x:%x", key, h >> 16, h & 0xffff);
}

/* " src 10.1.0.0/24": the prefix of a selector, whose address is 16 bytes of which IPv4 has the first four */
static void add_selector(struct line *l, const char *key, const xfrm_address_t *a, uint16_t family,
			 unsigned prefixlen)
{
	char prefix[INET_PREFIX_MAX];

	if (!inet_prefix_format(a, inet_addr_len(family), prefixlen, prefix))
		return;
	add(l, " %s %s", key, strcmp(prefix, "default") ? prefix : "any");
}

static void print_policy(struct line *l)
{
	static const char *const dirs[] = {"in", "out", "fwd"};
	static const char *const actions[] = {"allow", "block"};
	struct span data = rta_get(l->msg, RTA_PATH(XFRMA_POLICY));
	struct xfrm_userpolicy_info p;

	if (data.len < sizeof(p))
		return;
	memcpy(&p, data.data, sizeof(p));
	add_word(l, " dir ", dirs, ARRAY_SIZE(dirs), p.dir);
	add_selector(l, "src", &p.sel.saddr, p.sel.family, p.sel.prefixlen_s);
	add_selector(l, "dst", &p.sel.daddr, p.sel.family, p.sel.prefixlen_d);
	if (p.sel.proto)
		add(l, " proto %u", p.sel.proto);
	if (p.sel.sport_mask)
		add(l, " sport %u", ntohs(p.sel.sport));
	if (p.sel.dport_mask)
		add(l, " dport %u", ntohs(p.sel.dport));
	if (p.priority)
		add(l, " priority %u", p.priority);
	add_word(l, " action ", actions, ARRAY_SIZE(actions), p.action);
}

static void print_addrlabel(struct line *l)
{
	struct span address = rta_get(l->msg, RTA_PATH(IFAL_ADDRESS));
	char prefix[INET_PREFIX_MAX];

	if (inet_prefix_format(address.data, address.len, (unsigned)num(l, "info"), prefix))
		add(l, " prefix %s", strcmp(prefix, "default") ? prefix : "::/0");
	add(l, " label %u", rta_get_u32(l->msg, RTA_PATH(IFAL_LABEL), 0));
	if (num(l, "ifindex"))
		add_dev(l, "dev", "ifindex");
}

static void print_tc(struct line *l)
{
	/* What ip(8) has words of its own for. */
	static const struct {
		const char *what;
		void (*print)(struct line *l);
	} own[] = {
		{"xfrm_policy", print_policy},
		{"addrlabel", print_addrlabel},
		{"addrlabel_gone", print_addrlabel},
	};

	add(l, "%s", text(l, "what"));
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (!strcmp(own[i].what, text(l, "what"))) {
			own[i].print(l);
			return;
		}
	add_text(l, "", "kind");
	add_handle(l, "", "handle");
	add_dev(l, "dev", "ifindex");
	add_handle(l, " parent", "parent");
	add_text(l, "", "other");
}

static void print_ct(struct line *l)
{
	add(l, "%s", num(l, "expect") ? "expect " : "");
	add(l, "proto %lld src %s dst %s", (long long)num(l, "proto"), text(l, "src"),
	    text(l, "dst"));
	add_num(l, "sport", "sport");
	add_num(l, "dport", "dport");
	add_text(l, "reply-src", "reply_src");
	add_text(l, "reply-dst", "reply_dst");
	add_num(l, "mark", "mark");
	add_num(l, "zone", "zone");
}

static void (*const printers[])(struct line *l) = {
	[RTA_TABLE_DEVICE] = print_link,     [RTA_TABLE_ADDRESS] = print_addr,
	[RTA_TABLE_ROUTE] = print_route,     [RTA_TABLE_RULE] = print_rule,
	[RTA_TABLE_NEIGHBOUR] = print_neigh, [RTA_TABLE_NEXTHOP] = print_nexthop,
	[RTA_TABLE_TC] = print_tc,           [RTA_TABLE_CONNTRACK] = print_ct,
};
_Static_assert(ARRAY_SIZE(printers) == RTA_TABLE_COUNT, "a printer for each table");

int rta_print(struct span msg, rta_ifname_fn *ifname, void *arg, struct buf *out, struct err *e)
{
	struct line l = {.ifname = ifname, .arg = arg, .msg = msg, .out = out, .e = e};
	enum rta_table t = rta_table_of(msg);
	size_t i, start = out->len;

	l.failed = rta_row_decode(t, msg, keep, &l, e);
	if (!l.failed)
		printers[t](&l);
	for (i = 0; i < l.n; i++)
		free(l.col[i].text);
	if (l.failed && out->data) {
		out->len = start;
		out->data[start] = 0;
	}
	return l.failed ? -1 : 0;
}
