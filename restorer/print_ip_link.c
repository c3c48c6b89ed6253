/* Steps of devices as commands of ip(8). The words are those of ip-link(8); what a message has and ip has no
 * word for is said in a comment. */
#include <inttypes.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "proto/rta.h"
#include "restorer/print_ip.h"
#include "restorer/steps_net.h"

/* ---- the words of a kind ---- */

enum form {
	VALUE,   /* word and value */
	NOT_0,   /* the same, when it is not 0 */
	ON_OFF,  /* word and "on" or "off" */
	OR_NO,   /* word, or word with "no" before it */
	IF_TRUE, /* word */
	DEVICE,  /* word and the name of the device with this index */
	PROTO,   /* word and a protocol of vlans */
	RANGE,   /* word, low and high */
	UNSAID,  /* as the kernel makes it, or nothing that can be set */
	BUT_0,   /* no word for it, and none is needed when it is 0 */
};

struct ip_word {
	const char *member, *word;
	enum form form;
};

static const struct ip_word vxlan_words[] = {
	{"external", "external", IF_TRUE},
	{"id", "id", NOT_0},
	{"group", "group", VALUE},
	{"group6", "group", VALUE},
	{"link", "dev", DEVICE},
	{"local", "local", VALUE},
	{"local6", "local", VALUE},
	{"ttl", "ttl", NOT_0},
	{"ttl_inherit", "ttl inherit", IF_TRUE},
	{"tos", "tos", NOT_0},
	{"df", "df", VALUE},
	{"label", "flowlabel", NOT_0},
	{"label_policy", "label_policy", NOT_0},
	{"learning", "learning", OR_NO},
	{"proxy", "proxy", OR_NO},
	{"rsc", "rsc", OR_NO},
	{"l2miss", "l2miss", OR_NO},
	{"l3miss", "l3miss", OR_NO},
	{"ageing", "ageing", VALUE},
	{"limit", "maxaddress", NOT_0},
	{"port_range", "srcport", RANGE},
	{"port", "dstport", VALUE},
	{"udp_csum", "udpcsum", OR_NO},
	{"udp_zero_csum6_tx", "udp6zerocsumtx", OR_NO},
	{"udp_zero_csum6_rx", "udp6zerocsumrx", OR_NO},
	{"remcsum_tx", "remcsumtx", OR_NO},
	{"remcsum_rx", "remcsumrx", OR_NO},
	{"gbp", "gbp", IF_TRUE},
	{"gpe", "gpe", IF_TRUE},
	{"vnifilter", "vnifilter", IF_TRUE},
	{"localbypass", NULL, UNSAID},
	{"reserved_bits", NULL, UNSAID},
	{"mc_route", NULL, UNSAID},
	{NULL, NULL, UNSAID},
};

static const struct ip_word bridge_words[] = {
	{"forward_delay", "forward_delay", VALUE},
	{"hello_time", "hello_time", VALUE},
	{"max_age", "max_age", VALUE},
	{"ageing_time", "ageing_time", VALUE},
	{"stp_state", "stp_state", VALUE},
	{"priority", "priority", VALUE},
	{"vlan_filtering", "vlan_filtering", NOT_0},
	{"vlan_protocol", "vlan_protocol", PROTO},
	{"vlan_default_pvid", "vlan_default_pvid", VALUE},
	{"vlan_stats_enabled", "vlan_stats_enabled", VALUE},
	{"vlan_stats_per_port", "vlan_stats_per_port", VALUE},
	{"group_fwd_mask", "group_fwd_mask", VALUE},
	{"group_addr", "group_address", VALUE},
	{"mcast_router", "mcast_router", VALUE},
	{"mcast_snooping", "mcast_snooping", VALUE},
	{"mcast_query_use_ifaddr", "mcast_query_use_ifaddr", VALUE},
	{"mcast_querier", "mcast_querier", VALUE},
	{"mcast_hash_elasticity", NULL, UNSAID},
	{"mcast_hash_max", "mcast_hash_max", VALUE},
	{"mcast_last_member_cnt", "mcast_last_member_count", VALUE},
	{"mcast_startup_query_cnt", "mcast_startup_query_count", VALUE},
	{"mcast_last_member_intvl", "mcast_last_member_interval", VALUE},
	{"mcast_membership_intvl", "mcast_membership_interval", VALUE},
	{"mcast_querier_intvl", "mcast_querier_interval", VALUE},
	{"mcast_query_intvl", "mcast_query_interval", VALUE},
	{"mcast_query_response_intvl", "mcast_query_response_interval", VALUE},
	{"mcast_startup_query_intvl", "mcast_startup_query_interval", VALUE},
	{"mcast_stats_enabled", "mcast_stats_enabled", VALUE},
	{"mcast_igmp_version", "mcast_igmp_version", VALUE},
	{"mcast_mld_version", "mcast_mld_version", VALUE},
	{"nf_call_iptables", "nf_call_iptables", VALUE},
	{"nf_call_ip6tables", "nf_call_ip6tables", VALUE},
	{"nf_call_arptables", "nf_call_arptables", VALUE},
	{"fdb_max_learned", NULL, BUT_0},
	{"multi_boolopt", NULL, UNSAID},
	{NULL, NULL, UNSAID},
};

static const struct ip_word port_words[] = {
	{"state", NULL, UNSAID},
	{"priority", "priority", VALUE},
	{"cost", "cost", VALUE},
	{"hairpin", "hairpin", ON_OFF},
	{"guard", "guard", ON_OFF},
	{"root_block", "root_block", ON_OFF},
	{"fastleave", "fastleave", ON_OFF},
	{"learning", "learning", ON_OFF},
	{"flood", "flood", ON_OFF},
	{"mcast_flood", "mcast_flood", ON_OFF},
	{"bcast_flood", "bcast_flood", ON_OFF},
	{"mcast_to_unicast", "mcast_to_unicast", ON_OFF},
	{"proxy_arp", "proxy_arp", ON_OFF},
	{"proxy_arp_wifi", "proxy_arp_wifi", ON_OFF},
	{"neigh_suppress", "neigh_suppress", ON_OFF},
	{"vlan_tunnel", "vlan_tunnel", ON_OFF},
	{"isolated", "isolated", ON_OFF},
	{"locked", "locked", ON_OFF},
	{"mab", "mab on", IF_TRUE},
	{"group_fwd_mask", "group_fwd_mask", VALUE},
	{"multicast_router", "mcast_router", VALUE},
	{"backup_port", "backup_port", DEVICE},
	{"mrp_ring_open", NULL, UNSAID},
	{"mrp_in_open", NULL, UNSAID},
	{"neigh_vlan_suppress", NULL, UNSAID},
	{"mcast_eht_hosts_limit", NULL, UNSAID},
	{"mcast_eht_hosts_cnt", NULL, UNSAID},
	{"mcast_max_groups", NULL, UNSAID},
	{"mcast_n_groups", NULL, UNSAID},
	{NULL, NULL, UNSAID},
};

static const struct ip_word macvlan_words[] = {
	{"mode", "mode", VALUE},          {"bcqueuelen", "bcqueuelen", VALUE},
	{"usedbcqueuelen", NULL, UNSAID}, {"bccutoff", NULL, UNSAID},
	{"flags", NULL, BUT_0},           {NULL, NULL, UNSAID},
};

static const struct ip_word vlan_words[] = {
	{"protocol", "protocol", PROTO},
	{"id", "id", VALUE},
	{NULL, NULL, UNSAID},
};

static const struct ip_word mode_words[] = {
	{"mode", "mode", VALUE},
	{"table", "table", VALUE},
	{NULL, NULL, UNSAID},
};

/* ipip, sit, gre, gretap, vti, ip6tnl and their like, geneve, xfrm */
static const struct ip_word tunnel_words[] = {
	{"external", "external", IF_TRUE},
	{"id", "id", NOT_0},
	{"if_id", "if_id", VALUE},
	{"link", "dev", DEVICE},
	{"local", "local", VALUE},
	{"remote", "remote", VALUE},
	{"remote6", "remote", VALUE},
	{"ttl", "ttl", NOT_0},
	{"ttl_inherit", "ttl inherit", IF_TRUE},
	{"tos", "tos", NOT_0},
	{"df", "df", VALUE},
	{"label", "flowlabel", NOT_0},
	{"port", "dstport", VALUE},
	{"ikey", "ikey", NOT_0},
	{"okey", "okey", NOT_0},
	{"pmtudisc", "pmtudisc", OR_NO},
	{"fwmark", "fwmark", NOT_0},
	{"udp_csum", "udpcsum", OR_NO},
	{"udp_zero_csum6_tx", "udp6zerocsumtx", OR_NO},
	{"udp_zero_csum6_rx", "udp6zerocsumrx", OR_NO},
	{NULL, NULL, UNSAID},
};

static const struct {
	const char *kinds;
	const struct ip_word *words;
} kind_words[] = {
	{" vxlan ", vxlan_words},
	{" bridge ", bridge_words},
	{" macvlan macvtap ", macvlan_words},
	{" vlan ", vlan_words},
	{" ipvlan ipvtap vrf bond ", mode_words},
	{" ipip sit gre gretap vti vti6 ip6tnl ip6gre ip6gretap geneve xfrm ", tunnel_words},
};

static const struct ip_word *words_of(const char *kind)
{
	static const struct ip_word none[] = {{NULL, NULL, UNSAID}};
	char text[40];

	snprintf(text, sizeof(text), " %s ", kind);
	for (size_t i = 0; i < sizeof(kind_words) / sizeof(kind_words[0]); i++)
		if (strstr(kind_words[i].kinds, text))
			return kind_words[i].words;
	return none;
}

/* ---- printing ---- */

/* The line under way; the comment about what cannot be said follows it. */
struct line {
	const struct plan *p;
	int64_t netns;
	struct buf *out;
	struct buf unsaid;
};

static int say(struct line *l, struct err *e, const char *word, const char *value)
{
	if (buf_printf(l->out, e, " %s", word))
		return -1;
	return value && (buf_add_str(l->out, " ", e) || print_ip_word(l->out, value, e)) ? -1 : 0;
}

static int say_number(struct line *l, struct err *e, const char *word, int64_t n)
{
	return buf_printf(l->out, e, " %s %" PRId64, word, n);
}

static int say_device(struct line *l, const char *word, int64_t ifindex, struct err *e)
{
	auto_query struct query *q =
		query_new(plan_db(l->p),
			  "SELECT name FROM device WHERE netns = :netns AND ifindex = :ifindex", e);
	auto_free char *name = NULL;
	int row;

	if (!ifindex)
		return 0;
	if (!q || query_bind_int(q, "netns", l->netns, e) ||
	    query_bind_int(q, "ifindex", ifindex, e))
		return -1;
	row = query_next(q, e);
	if (row < 0 || (row ? asprintf(&name, "%s", query_text(q, 0))
			    : asprintf(&name, "if%" PRId64, ifindex)) < 0)
		return -1;
	return say(l, e, word, name);
}

static int say_range(struct line *l, const char *word, const struct json *v, struct err *e)
{
	int64_t low = 0, high = 0;

	if (json_to_int(json_get(v, "low"), &low, word, e) ||
	    json_to_int(json_get(v, "high"), &high, word, e))
		return -1;
	return high ? buf_printf(l->out, e, " %s %" PRId64 " %" PRId64, word, low, high) : 0;
}

static int say_value(struct line *l, const char *word, const struct json *v, struct err *e)
{
	int64_t n;

	if (json_kind(v) == JSON_KIND_STR)
		return say(l, e, word, json_str(v));
	if (json_kind(v) == JSON_KIND_BOOL)
		return say_number(l, e, word, json_bool_of(v));
	return json_to_int(v, &n, word, e) ? -1 : say_number(l, e, word, n);
}

static bool is_0(const struct json *v)
{
	struct err ignored = ERR_INIT;
	int64_t n;

	return !json_to_int(v, &n, "", &ignored) && !n;
}

static int leave_unsaid(struct line *l, const char *member, struct err *e)
{
	return buf_printf(&l->unsaid, e, "%s %s", l->unsaid.len ? "," : "", member);
}

static int say_member(struct line *l, const struct ip_word *w, const struct json *v, struct err *e)
{
	enum { ETH_P_8021AD_ = 0x88a8 }; /* linux/if_ether.h */
	struct err ignored = ERR_INIT;
	int64_t n = 0;
	char no[40];

	switch (w->form) {
	case NOT_0:
		return is_0(v) ? 0 : say_value(l, w->word, v, e);
	case VALUE:
		return say_value(l, w->word, v, e);
	case ON_OFF:
		return say(l, e, w->word, json_bool_of(v) ? "on" : "off");
	case OR_NO:
		snprintf(no, sizeof(no), "no%s", w->word);
		return say(l, e, json_bool_of(v) ? w->word : no, NULL);
	case IF_TRUE:
		return json_bool_of(v) ? say(l, e, w->word, NULL) : 0;
	case DEVICE:
		json_to_int(v, &n, w->member, &ignored);
		return say_device(l, w->word, n, e);
	case PROTO:
		json_to_int(v, &n, w->member, &ignored);
		return say(l, e, w->word, n == ETH_P_8021AD_ ? "802.1ad" : "802.1Q");
	case RANGE:
		return say_range(l, w->word, v, e);
	case BUT_0:
		return is_0(v) ? 0 : leave_unsaid(l, w->member, e);
	case UNSAID:
		break;
	}
	return 0;
}

/* The members of a JSON object as words. */
static int say_members(struct line *l, const struct ip_word *words, const struct json *attrs,
		       struct err *e)
{
	const struct ip_word *w;
	const struct json *v;
	const char *key;
	void *iter = NULL;

	while (json_next(attrs, &iter, &key, &v)) {
		for (w = words; w->member && strcmp(w->member, key); w++)
			;
		if (w->member ? say_member(l, w, v, e) : leave_unsaid(l, key, e))
			return -1;
	}
	return 0;
}

static int end_line(struct line *l, const char *ns, const char *name, struct err *e)
{
	int rc = buf_add_str(l->out, "\n", e);

	if (!rc && l->unsaid.len)
		rc = buf_printf(l->out, e, "# %s %s: not said:%.*s\n", ns, name, (int)l->unsaid.len,
				(const char *)l->unsaid.data);
	buf_free(&l->unsaid);
	return rc;
}

/* ---- a link message ---- */

struct link_words {
	struct line *l;
	bool plain;                /* say what is not of a kind: address, mtu ... */
	struct json *attrs, *port; /* owned */
};

static const struct {
	const char *column, *word;
} link_columns[] = {
	{"address", "address"}, {"mtu", "mtu"},     {"txqlen", "txqueuelen"},
	{"group", "group"},     {"alias", "alias"},
};

static int set_tree(struct json **tree, const char *text, struct err *e)
{
	json_free(*tree);
	*tree = json_parse(text, strlen(text), e);
	return *tree ? 0 : -1;
}

static int see_column(const char *column, const struct rta_value *v, void *arg, struct err *e)
{
	struct link_words *x = arg;

	if (v->type == RTA_VALUE_NULL)
		return 0;
	if (!strcmp(column, "attrs"))
		return set_tree(&x->attrs, v->text, e);
	if (!strcmp(column, "port_attrs"))
		return set_tree(&x->port, v->text, e);
	for (size_t i = 0; x->plain && i < sizeof(link_columns) / sizeof(link_columns[0]); i++) {
		if (strcmp(link_columns[i].column, column))
			continue;
		return v->type == RTA_VALUE_INT ? say_number(x->l, e, link_columns[i].word, v->num)
						: say(x->l, e, link_columns[i].word, v->text);
	}
	return 0;
}

static int read_message(struct link_words *x, const struct buf *msg, struct err *e)
{
	return msg->len ? rta_row_decode(RTA_TABLE_DEVICE, buf_span(msg), see_column, x, e) : 0;
}

static void link_words_free(struct link_words *x)
{
	json_free(x->attrs);
	json_free(x->port);
}
#define auto_link_words __attribute__((cleanup(link_words_free)))

static int begin_add(const struct step *s, const char *ns, struct line *l, struct err *e)
{
	const struct link_data *d = s->data;

	if (buf_add_str(l->out, "ip -n ", e) ||
	    print_ip_word(l->out, d->lower ? d->peer_ns : ns, e) ||
	    buf_add_str(l->out, " link add", e))
		return -1;
	if (d->lower && say(l, e, "link", d->lower))
		return -1;
	return say(l, e, "name", d->name) || say_number(l, e, "index", d->ifindex) ? -1 : 0;
}

static int print_tun(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		     struct err *e)
{
	static const struct ip_word words[] = {
		{"type", "mode", VALUE},           {"owner", "user", VALUE},
		{"group", "group", VALUE},         {"pi", "pi", IF_TRUE},
		{"vnet_hdr", "vnet_hdr", IF_TRUE}, {"multi_queue", "multi_queue", IF_TRUE},
		{"persist", NULL, UNSAID},         {"numqueues", NULL, UNSAID},
		{"numdisabled", NULL, UNSAID},     {NULL, NULL, UNSAID},
	};
	const struct link_data *d = s->data;
	struct line l = {p, s->netns, out, {0}};
	auto_link_words struct link_words x = {&l, false, NULL, NULL};

	if (buf_add_str(out, "ip -n ", e) || print_ip_word(out, ns, e) ||
	    buf_add_str(out, " tuntap add", e) || say(&l, e, "dev", d->name) ||
	    read_message(&x, &s->msg, e) || say_members(&l, words, x.attrs, e) ||
	    end_line(&l, ns, d->name, e))
		return -1;
	if (!rta_get(buf_span(&s->msg), RTA_PATH(IFLA_ADDRESS)).len)
		return 0;
	if (buf_add_str(out, "ip -n ", e) || print_ip_word(out, ns, e) ||
	    buf_add_str(out, " link set", e) || say(&l, e, "dev", d->name))
		return -1;
	x.plain = true;
	return read_message(&x, &s->msg, e) || end_line(&l, ns, d->name, e) ? -1 : 0;
}

int print_ip_link(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		  struct err *e)
{
	const struct link_data *d = s->data;
	struct line l = {p, s->netns, out, {0}};
	auto_link_words struct link_words x = {&l, true, NULL, NULL};

	if (!strcmp(s->kind->name, "tun"))
		return print_tun(p, s, ns, out, e);
	if (begin_add(s, ns, &l, e) || read_message(&x, &s->msg, e) ||
	    (d->lower && strcmp(d->peer_ns, ns) != 0 && say(&l, e, "netns", ns)) ||
	    say(&l, e, "type", d->kind) || say_members(&l, words_of(d->kind), x.attrs, e))
		return -1;
	return end_line(&l, ns, d->name, e);
}

int print_ip_veth(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		  struct err *e)
{
	const struct link_data *d = s->data;
	const char *peer = d->peer_ns ? print_ip_last_word(s->object) : d->out;
	struct line l = {p, s->netns, out, {0}};
	auto_link_words struct link_words x = {&l, true, NULL, NULL};
	struct ifinfomsg *ifi;

	if (begin_add(s, ns, &l, e) || read_message(&x, &s->msg, e) || say(&l, e, "type", "veth") ||
	    say(&l, e, "peer name", peer))
		return -1;
	if (s->msg2.len) {
		ifi = NLMSG_DATA((struct nlmsghdr *)s->msg2.data);
		link_words_free(&x);
		x.attrs = x.port = NULL;
		if (say_number(&l, e, "index", ifi->ifi_index) || read_message(&x, &s->msg2, e))
			return -1;
	}
	if (say(&l, e, "netns", d->peer_ns ? d->peer_ns : "1"))
		return -1;
	return end_line(&l, ns, d->name, e);
}

/* What is set after the device was made: flags, alias, kinds that are told all again, a port of a bridge. */
static int print_settings(const struct plan *p, const struct step *s, const char *ns,
			  bool with_flags, struct buf *out, struct err *e)
{
	static const struct {
		unsigned flag;
		const char *word;
		bool if_set; /* the word is about the flag's absence */
	} flags[] = {{IFF_NOARP, "arp", false},
		     {IFF_MULTICAST, "multicast", true},
		     {IFF_ALLMULTI, "allmulticast", true},
		     {IFF_PROMISC, "promisc", true}};
	const struct link_data *d = s->data;
	struct line l = {p, s->netns, out, {0}};
	auto_link_words struct link_words x = {&l, true, NULL, NULL};

	if (buf_add_str(out, "ip -n ", e) || print_ip_word(out, ns, e) ||
	    buf_add_str(out, " link set", e) || say(&l, e, "dev", d->name) ||
	    read_message(&x, with_flags ? &s->msg : &s->msg2, e))
		return -1;
	for (size_t i = 0; with_flags && i < sizeof(flags) / sizeof(flags[0]); i++)
		if (say(&l, e, flags[i].word,
			!!(d->flags & flags[i].flag) == flags[i].if_set ? "on" : "off"))
			return -1;
	if (x.attrs && strcmp(d->kind, "tun") != 0 &&
	    (say(&l, e, "type", d->kind) || say_members(&l, words_of(d->kind), x.attrs, e)))
		return -1;
	if (end_line(&l, ns, d->name, e))
		return -1;
	if (!x.port)
		return 0;
	if (buf_add_str(out, "ip -n ", e) || print_ip_word(out, ns, e) ||
	    buf_add_str(out, " link set", e) || say(&l, e, "dev", d->name) ||
	    say(&l, e, "type", "bridge_slave") || say_members(&l, port_words, x.port, e))
		return -1;
	return end_line(&l, ns, d->name, e);
}

int print_ip_set(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		 struct err *e)
{
	const struct link_data *d = s->data;

	/* made as lo (build_link.c) */
	if (rta_get(buf_span(&s->msg2), RTA_PATH(IFLA_IFNAME)).len &&
	    print_ip_command(out, e, "ip -n % link set dev lo name %",
			     (const char *[]){ns, d->name, NULL}))
		return -1;
	if ((s->msg2.len && print_settings(p, s, ns, false, out, e)) ||
	    (s->msg.len && print_settings(p, s, ns, true, out, e)))
		return -1;
	for (char **a = d->altnames; a && *a; a++)
		if (print_ip_command(out, e, "ip -n % link property add dev % altname %",
				     (const char *[]){ns, d->name, *a, NULL}))
			return -1;
	return 0;
}

int print_ip_master(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		    struct err *e)
{
	const struct link_data *d = s->data;

	return print_ip_command(out, e, "ip -n % link set dev % master %",
				(const char *[]){ns, d->name, print_ip_last_word(s->object), NULL});
}

/* The addresses that the kernel would make are in the image as all others are. In one message the flags come
 * before the mode (do_setlink() in net/core/rtnetlink.c). */
int print_ip_up(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		struct err *e)
{
	const struct link_data *d = s->data;
	const char *const words[] = {ns, d->name, NULL};

	if (strcmp(d->name, "lo") != 0 &&
	    print_ip_command(out, e, "ip -n % link set dev % addrgenmode none", words))
		return -1;
	return print_ip_command(out, e, "ip -n % link set dev % up", words);
}

int print_ip_up_once(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		     struct err *e)
{
	const struct link_data *d = s->data;

	return print_ip_up(p, s, ns, out, e) ||
			       print_ip_command(out, e, "ip -n % link set dev % down",
						(const char *[]){ns, d->name, NULL}) ||
			       (strcmp(d->name, "lo") != 0 && print_ip_addrgen(p, s, ns, out, e))
		       ? -1
		       : 0;
}

int print_ip_addrgen(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		     struct err *e)
{
	/* by IN6_ADDR_GEN_MODE_* */
	static const char *const modes[] = {"eui64", "none", "stable_secret", "random"};
	const struct link_data *d = s->data;

	if (d->gen_mode >= sizeof(modes) / sizeof(modes[0]))
		return buf_printf(out, e, "# %s %s\n", s->kind->name, s->object);
	return print_ip_command(out, e, "ip -n % link set dev % addrgenmode %",
				(const char *[]){ns, d->name, modes[d->gen_mode], NULL});
}
