/* Steps as commands of ip(8), for those who want to read along. */
#include <arpa/inet.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/json.h"
#include "base/nl.h"
#include "proto/rta.h"
#include "restorer/print_ip.h"
#include "restorer/steps_net.h"

/* Control characters and broken UTF-8: bash's $'...' reads the escapes that escape_add writes. */
static int odd_word(struct buf *out, const char *s, struct err *e)
{
	auto_buf struct buf text = {0};

	if (escape_add(&text, s, strlen(s), e) || buf_add_str(out, "$'", e))
		return -1;
	for (size_t i = 0; i < text.len; i++)
		if ((text.data[i] == '\'' && buf_add_str(out, "\\", e)) ||
		    buf_add(out, text.data + i, 1, e))
			return -1;
	return buf_add_str(out, "'", e);
}

int print_ip_word(struct buf *out, const char *s, struct err *e)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "_.:@/,+=%-";

	if (*s && s[strspn(s, plain)] == 0)
		return buf_add_str(out, s, e);
	if (!escape_is_canonical(s, strlen(s)))
		return odd_word(out, s, e);
	if (buf_add_str(out, "'", e))
		return -1;
	for (; *s; s++)
		if (*s == '\'' ? buf_add_str(out, "'\\''", e) : buf_add(out, s, 1, e))
			return -1;
	return buf_add_str(out, "'", e);
}

int print_ip_command(struct buf *out, struct err *e, const char *fmt, const char *const *words)
{
	for (; *fmt; fmt++)
		if (*fmt == '%' ? print_ip_word(out, *words ? *words : "?", e)
				: buf_add(out, fmt, 1, e))
			return -1;
		else if (*fmt == '%')
			words++;
	return buf_add_str(out, "\n", e);
}

const char *print_ip_last_word(const char *object)
{
	const char *space = strrchr(object, ' ');

	return space ? space + 1 : object;
}

int print_ip_netns(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		   struct err *e)
{
	return print_ip_command(out, e, "ip netns add %", (const char *[]){ns, NULL});
}

int print_ip_nsid(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		  struct err *e)
{
	char id[24];

	snprintf(id, sizeof(id), "%lld", (long long)s->num);
	return print_ip_command(out, e, "ip -n % netns set % %",
				(const char *[]){ns, print_ip_last_word(s->object), id, NULL});
}

int print_ip_sysctl(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		    struct err *e)
{
	const struct sysctl_list *d = s->data;

	if (s->num)
		return 0;
	for (size_t i = 0; i < d->n; i++) {
		char *arg = NULL;
		int ret;

		if (asprintf(&arg, "%s=%s", d->items[i]->name, d->items[i]->value) < 0)
			return err_set(e, ERR_NOMEM, "command");
		ret = print_ip_command(out, e, "ip netns exec % sysctl -qw %",
				       (const char *[]){ns, arg, NULL});
		free(arg);
		if (ret)
			return -1;
	}
	return 0;
}

/* May the object's text stand in a command as it is? */
static bool is_plain(const char *s)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    " _.:@/,+=%-";

	return s[strspn(s, plain)] == 0;
}

/* What the text of a message lacks, or has too much of, as words of a command. */
struct facts {
	int64_t family, protocol, flags, state, valid, preferred, src_vni;
	bool nhid, managed;
};

static int see_fact(const char *column, const struct rta_value *v, void *arg, struct err *e)
{
	struct facts *f = arg;

	const struct {
		const char *column;
		int64_t *number;
	} rows[] = {{"family", &f->family},   {"protocol", &f->protocol},
		    {"flags", &f->flags},     {"state", &f->state},
		    {"valid_lft", &f->valid}, {"preferred_lft", &f->preferred}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!strcmp(rows[i].column, column) && v->type == RTA_VALUE_INT)
			*rows[i].number = v->num;
	if (!strcmp(column, "nh_id"))
		f->nhid = v->type != RTA_VALUE_NULL;
	return 0;
}

static int facts_of(const struct step *s, struct facts *f, struct err *e)
{
	struct span msg = buf_span(&s->msg);

	f->src_vni = !strcmp(s->kind->name, "fdb") ? rta_get_u32(msg, RTA_PATH(NDA_SRC_VNI), 0) : 0;
	f->managed = !strcmp(s->kind->name, "neighbour") &&
		     rta_get_u32(msg, RTA_PATH(NDA_FLAGS_EXT), 0) & NTF_EXT_MANAGED;
	return rta_row_decode(rta_table_of(msg), msg, see_fact, f, e);
}

struct bit_word {
	int64_t bit;
	const char *word;
};

static int add_bits(struct buf *out, const struct bit_word *words, int64_t flags, struct err *e)
{
	for (; words->word; words++)
		if (flags & words->bit && buf_printf(out, e, " %s", words->word))
			return -1;
	return 0;
}

static int add_protocol(struct buf *out, int64_t protocol, struct err *e)
{
	return protocol ? buf_printf(out, e, " proto %lld", (long long)protocol) : 0;
}

/* "dev p0 master br0 static": for bridge(8) master is a word of its own. */
static int print_fdb(const char *words, const struct facts *f, struct buf *out, struct err *e)
{
	static const struct bit_word flags[] = {
		{NTF_STICKY, "sticky"}, {NTF_ROUTER, "router"}, {0}};
	const char *master = strstr(words, " master "), *rest = "";

	if (master) {
		rest = master + strlen(" master ");
		rest += strcspn(rest, " ");
	}
	if (buf_printf(out, e, "%.*s%s%s", master ? (int)(master - words) : (int)strlen(words),
		       words, master ? " master" : "", rest))
		return -1;
	if (f->src_vni && buf_printf(out, e, " src_vni %lld", (long long)f->src_vni))
		return -1;
	return add_bits(out, flags, f->flags, e) || buf_add_str(out, "\n", e) ? -1 : 0;
}

/* "10.0.0.9 dev br0 lladdr 02:... permanent": the state is an option with a word before it. */
static int print_neighbour(const char *words, const struct facts *f, struct buf *out, struct err *e)
{
	static const struct bit_word flags[] = {
		{NTF_ROUTER, "router"}, {NTF_EXT_LEARNED, "extern_learn"}, {0}};
	const char *state = strrchr(words, ' ');
	bool is_dev = state && state - words >= 4 && !strncmp(state - 4, " dev", 4);
	bool has_state = state && !is_dev && !(f->flags & NTF_PROXY) && (f->state || f->managed);
	bool says = has_state && !f->managed; /* ip takes "managed" in place of a state */

	if (buf_printf(out, e, "%.*s%s%s%s", has_state ? (int)(state - words) : (int)strlen(words),
		       words, says ? " nud" : "", says ? state : "", f->managed ? " managed" : ""))
		return -1;
	return add_bits(out, flags, f->flags, e) || add_protocol(out, f->protocol, e) ||
			       buf_add_str(out, "\n", e)
		       ? -1
		       : 0;
}

static int add_lifetime(struct buf *out, const char *word, int64_t seconds, struct err *e)
{
	return seconds < 0 || seconds >= UINT32_MAX
		       ? 0
		       : buf_printf(out, e, " %s %lld", word, (long long)seconds);
}

/* "inet 10.0.0.1/24 dev m0": the family is known, flags and lifetimes are not in the text. */
static int print_address(const char *words, const struct facts *f, struct buf *out, struct err *e)
{
	static const struct bit_word flags[] = {{IFA_F_NODAD, "nodad"},
						{IFA_F_HOMEADDRESS, "home"},
						{IFA_F_MANAGETEMPADDR, "mngtmpaddr"},
						{IFA_F_NOPREFIXROUTE, "noprefixroute"},
						{IFA_F_MCAUTOJOIN, "autojoin"},
						{0}};

	words += strcspn(words, " ") + (strchr(words, ' ') ? 1 : 0);
	return buf_add_str(out, words, e) || add_bits(out, flags, f->flags, e) ||
			       add_lifetime(out, "valid_lft", f->valid, e) ||
			       add_lifetime(out, "preferred_lft", f->preferred, e) ||
			       buf_add_str(out, "\n", e)
		       ? -1
		       : 0;
}

/* "10.0.0.0/8 nhid 5 via 10.7.0.5 dev m0 metric 9": the next hop object says the rest. */
static int print_route(const char *words, const struct facts *f, struct buf *out, struct err *e)
{
	static const char *const options[] = {" table ", " scope ", " src ", " metric "};
	const char *nhid = f->nhid ? strstr(words, " nhid ") : NULL, *rest = words, *option = "";
	int head = 0;

	if (nhid) {
		rest = nhid + strlen(" nhid ");
		rest += strcspn(rest, " ");
		head = (int)(rest - words);
		for (size_t i = 0; !*option && i < sizeof(options) / sizeof(options[0]); i++)
			if (strstr(rest, options[i]))
				option = strstr(rest, options[i]);
		rest = strstr(rest, " nexthop ") ? "" : option;
	}
	if (buf_printf(out, e, "%.*s%s", head, words, rest))
		return -1;
	if (f->protocol != RTPROT_BOOT && add_protocol(out, f->protocol, e))
		return -1;
	return buf_printf(out, e, "%s\n", f->flags & RTNH_F_ONLINK ? " onlink" : "");
}

/* What every namespace begins with, or lo has as soon as it is up. */
static bool is_default(const char *words)
{
	static const char *const rows[] = {
		"0: from all lookup local", "32766: from all lookup main",
		"32767: from all lookup default", "inet 127.0.0.1/8 scope host dev lo label lo",
		"inet6 ::1/128 scope host dev lo"};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!strcmp(rows[i], words))
			return true;
	return false;
}

/* The text after the name of the namespace is in the words of ip and bridge; some kinds have what their command
 * does not take. */
static int print_words(const char *kind, const char *words, const struct facts *f, struct buf *out,
		       struct err *e)
{
	const char *colon;

	if (!strcmp(kind, "fdb"))
		return print_fdb(words, f, out, e);
	if (!strncmp(kind, "route", 5))
		return print_route(words, f, out, e);
	if (!strcmp(kind, "address"))
		return print_address(words, f, out, e);
	if (!strcmp(kind, "neighbour"))
		return print_neighbour(words, f, out, e);
	colon = strchr(words, ':');
	if (strcmp(kind, "rule") != 0 || !colon)
		return buf_add_str(out, words, e) || add_protocol(out, f->protocol, e) ||
				       buf_add_str(out, "\n", e)
			       ? -1
			       : 0;
	return buf_printf(out, e, "priority %.*s%s\n", (int)(colon - words), words, colon + 1);
}

/* What is there while the route is added, one a line: helpers, "4 169.254.1.1 dev d0 scope link", and devices that are up
 * meanwhile, "d d1". */
static int print_lines(const char *line, bool devices, const char *ns, bool begin, struct buf *out,
		       struct err *e)
{
	size_t n = strcspn(line, "\n");

	for (; *line; line += n + 1, n = strcspn(line, "\n")) {
		if ((*line == 'd') != devices)
			continue;
		if (buf_add_str(out, "ip -n ", e) || print_ip_word(out, ns, e))
			return -1;
		if (devices ? buf_printf(out, e, " link set dev %.*s %s\n", (int)n - 2, line + 2,
					 begin ? "up" : "down")
			    : buf_printf(out, e, "%s route %s %.*s\n", *line == '6' ? " -6" : "",
					 begin ? "prepend" : "del", (int)n - 2, line + 2))
			return -1;
	}
	return 0;
}

static int print_helpers(const struct step *s, const char *ns, bool begin, struct buf *out,
			 struct err *e)
{
	const char *text = s->data;

	if (!text || (!strstr(s->kind->name, "-helped") && !strstr(s->kind->name, "-early")))
		return 0;
	/* devices first of all, and last */
	return print_lines(text, begin, ns, begin, out, e) ||
			       print_lines(text, !begin, ns, begin, out, e)
		       ? -1
		       : 0;
}

int print_ip_message(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		     struct err *e)
{
	static const struct {
		const char *kind, *command;
	} rows[] = {
		{"address", "ip -n % address add "},
		{"neighbour", "ip -n % neighbour replace "},
		{"nexthop", "ip -n % nexthop add "},
		{"route-direct", "ip -n % route append "},
		{"route", "ip -n % route append "},
		{"rule", "ip -n % rule add "},
		{"nexthop-helped", "ip -n % nexthop add "},
		{"route-helped", "ip -n % route append "},
		{"nexthop-early", "ip -n % nexthop add "},
		{"route-early", "ip -n % route append "},
		{"fdb", "bridge -n % fdb append "},
	};
	size_t skip = strlen(ns) + 1;
	struct facts f = {.valid = -1, .preferred = -1};

	if (facts_of(s, &f, e))
		return -1;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *at = strchr(rows[i].command, '%');

		if (strcmp(rows[i].kind, s->kind->name) || strlen(s->object) < skip ||
		    !is_plain(s->object + skip))
			continue;
		if (is_default(s->object + skip))
			break;
		return print_helpers(s, ns, true, out, e) ||
				       buf_printf(out, e, "%.*s", (int)(at - rows[i].command),
						  rows[i].command) ||
				       print_ip_word(out, ns, e) ||
				       buf_add_str(out, f.family == AF_INET6 ? " -6" : "", e) ||
				       buf_add_str(out, at + 1, e) ||
				       print_words(s->kind->name, s->object + skip, &f, out, e) ||
				       print_helpers(s, ns, false, out, e)
			       ? -1
			       : 0;
	}
	return buf_printf(out, e, "# %s %s\n", s->kind->name, s->object);
}

/* Rules that a namespace begins with and that are not in the image. */
int print_ip_settle(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		    struct err *e)
{
	static const struct {
		uint32_t priority;
		const char *rule;
	} rules[] = {{0, "priority 0 lookup local"},
		     {32766, "priority 32766 lookup main"},
		     {32767, "priority 32767 lookup default"}};
	const struct settle_data *d = s->data;
	const struct nlmsghdr *h;

	if (d->type != RTM_NEWRULE)
		return buf_printf(out, e, "# %s %s\n", s->kind->name, s->object);
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]) - (d->family == AF_INET6); i++) {
		size_t off = 0;
		bool there = false;

		while (!there && (h = nl_msg_next(buf_span(&d->msgs), &off)))
			there = rta_get_u32((struct span){(const uint8_t *)h, h->nlmsg_len},
					    RTA_PATH(FRA_PRIORITY), 0) == rules[i].priority;
		if (!there && (buf_add_str(out, "ip -n ", e) || print_ip_word(out, ns, e) ||
			       buf_printf(out, e, "%s rule del %s\n",
					  d->family == AF_INET6 ? " -6" : "", rules[i].rule)))
			return -1;
	}
	return 0;
}

int print_ip_token(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		   struct err *e)
{
	char text[INET6_ADDRSTRLEN];

	if (s->msg.len != sizeof(struct in6_addr) ||
	    !inet_ntop(AF_INET6, s->msg.data, text, sizeof(text)))
		return buf_printf(out, e, "# %s %s\n", s->kind->name, s->object);
	return print_ip_command(out, e, "ip -n % token set % dev %",
				(const char *[]){ns, text, print_ip_last_word(s->object), NULL});
}

/* The name of the device in "... dev t0  {...}", or "". */
static void dev_of(const char *object, char name[IFNAMSIZ])
{
	const char *at = strstr(object, " dev ");

	snprintf(name, IFNAMSIZ, "%.*s", at ? (int)strcspn(at + 5, " ") : 0, at ? at + 5 : "");
}

int print_ip_maddress(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		      struct err *e)
{
	struct span a = rta_get(buf_span(&s->msg), RTA_PATH(IFA_MULTICAST));
	char text[3 * 6], dev[IFNAMSIZ];

	dev_of(s->object, dev);
	if (a.len != 6)
		return buf_printf(out, e, "# %s %s\n", s->kind->name, s->object);
	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", a.data[0], a.data[1],
		 a.data[2], a.data[3], a.data[4], a.data[5]);
	return print_ip_command(out, e, "ip -n % maddress add % dev %",
				(const char *[]){ns, text, dev, NULL});
}

/* ---- MPTCP ---- */

static int see_other(const char *column, const struct rta_value *v, void *arg, struct err *e)
{
	struct json **other = arg;

	if (strcmp(column, "other") || v->type != RTA_VALUE_TEXT)
		return 0;
	*other = json_parse(v->text, strlen(v->text), e);
	return *other ? 0 : -1;
}

static int64_t number(const struct json *object, const char *name)
{
	struct err absent = ERR_INIT;
	int64_t n = 0;

	if (json_get(object, name))
		json_to_int(json_get(object, name), &n, name, &absent);
	return n;
}

/* The flags of an endpoint (linux/mptcp.h, MPTCP_PM_ADDR_FLAG_*), ip-mptcp(8). */
static int print_endpoint(const struct plan *p, const struct step *s, const char *ns,
			  const struct json *addr, struct buf *out, struct err *e)
{
	static const char *const flags[] = {"signal", "subflow", "backup", "fullmesh"};
	const char *text = json_str(json_get(addr, json_get(addr, "addr4") ? "addr4" : "addr6"));
	auto_query struct query *q =
		query_new(plan_db(p),
			  "SELECT name FROM device WHERE netns = :netns AND ifindex = :ifindex", e);
	int row;

	if (!q || query_bind_int(q, "netns", s->netns, e) ||
	    query_bind_int(q, "ifindex", number(addr, "if_idx"), e))
		return -1;
	row = query_next(q, e);
	if (row < 0 || buf_add_str(out, "ip -n ", e) || print_ip_word(out, ns, e) ||
	    buf_printf(out, e, " mptcp endpoint add %s id %lld", text ? text : "?",
		       (long long)number(addr, "id")))
		return -1;
	if (row && (buf_add_str(out, " dev ", e) || print_ip_word(out, query_text(q, 0), e)))
		return -1;
	if (number(addr, "port") &&
	    buf_printf(out, e, " port %lld", (long long)number(addr, "port")))
		return -1;
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (number(addr, "flags") >> i & 1 && buf_printf(out, e, " %s", flags[i]))
			return -1;
	return buf_add_str(out, "\n", e);
}

int print_ip_mptcp(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		   struct err *e)
{
	struct span msg = buf_span(&s->msg);
	auto_json struct json *other = NULL;

	if (rta_row_decode(rta_table_of(msg), msg, see_other, &other, e))
		return -1;
	if (!strcmp(s->kind->name, "mptcp_endpoint"))
		return print_endpoint(p, s, ns, json_get(other, "addr"), out, e);
	return buf_add_str(out, "ip -n ", e) || print_ip_word(out, ns, e) ||
			       buf_printf(out, e,
					  " mptcp limits set subflow %lld add_addr_accepted %lld\n",
					  (long long)number(other, "subflows"),
					  (long long)number(other, "add_addr_accepted"))
		       ? -1
		       : 0;
}
