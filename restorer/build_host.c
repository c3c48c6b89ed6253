/* Sysctls, firewall and conntrack -> steps. */
#include "restorer/build_net.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "proto/rta.h"
#include "proto/lock.h"

/* The order of writing: what spreads to others first (devinet_copy_dflt_conf(), inet_forward_change(),
 * addrconf_fixup_forwarding() of the kernel), then all, default, devices, the rest. */
static const struct rank_row {
	const char *prefix;
	bool whole, spreads;
} rank_rows[] = {
	{"net/ipv4/ip_forward", true, true},
	{"net/ipv4/conf/all/forwarding", true, true},
	{"net/ipv6/conf/all/forwarding", true, true},
	{"net/ipv6/conf/all/disable_ipv6", true, true},
	{"net/ipv4/conf/all/", false, true},
	{"net/ipv6/conf/all/", false, true},
	{"net/ipv4/conf/default/", false, true},
	{"net/ipv6/conf/default/", false, true},
	{"net/ipv4/neigh/default/", false, true},
	{"net/ipv6/neigh/default/", false, true},
	{"net/ipv4/conf/", false, false},
	{"net/ipv6/conf/", false, false},
	{"net/", false, false},
};

static size_t rank(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(rank_rows); i++)
		if (rank_rows[i].whole
			    ? !strcmp(name, rank_rows[i].prefix)
			    : !strncmp(name, rank_rows[i].prefix, strlen(rank_rows[i].prefix)))
			return i;
	return ARRAY_SIZE(rank_rows);
}

static int by_rank(const void *a, const void *b)
{
	const struct sysctl_item *x = a, *y = b;

	return x->rank != y->rank ? (x->rank < y->rank ? -1 : 1) : strcmp(x->name, y->name);
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && !strcmp(s + n - m, end);
}

/* The name becomes a path below /proc/sys. */
static bool is_name(const char *name)
{
	if (strncmp(name, "net/", 4) || strlen(name) > 200)
		return false;
	for (const char *s = name;; s++) {
		size_t n = strcspn(s, "/");

		if (!n || (n == 1 && s[0] == '.') || (n == 2 && !strncmp(s, "..", 2)))
			return false;
		s += n;
		if (!*s)
			return true;
	}
}

/* Every namespace has this file and may write it, but there is one switch for all of them, which cannot be
 * set back (net/netfilter/nf_hooks_lwtunnel.c). */
static bool is_of_machine(const char *name)
{
	return !strcmp(name, "net/netfilter/nf_hooks_lwtunnel");
}

static bool is_device_off(const char *name)
{
	return ends_with(name, "/disable_ipv6") && strncmp(name + 14, "all/", 4) &&
	       strncmp(name + 14, "default/", 8);
}

/* The address generation is set through the link (steps_link.c): writing the sysctl would generate
 * addresses. */
static bool is_of_link(const char *name)
{
	return !strncmp(name, "net/ipv6/conf/", 14) && ends_with(name, "/addr_gen_mode");
}

/* The MTU of IPv6 is reset when a link goes up (addrconf_notify()), so it has to wait; and IPv6 is switched
 * off on a device that is up, as it was, because one that comes up without IPv6 keeps its group memberships. */
static bool has_to_wait(const char *name, const char *value)
{
	return !strncmp(name, "net/ipv6/conf/", 14) &&
	       (ends_with(name, "/mtu") || (is_device_off(name) && *value == '1'));
}

static int add_item(struct net *n, struct sysctl_data *d, const struct query *q, struct err *e)
{
	auto_buf struct buf name = {0};
	auto_buf struct buf value = {0};
	struct sysctl_item *grown;
	const char *t = query_text(q, 0), *v = query_text(q, 1);
	size_t at;

	if (!t || !v)
		return err_set(e, ERR_CONFLICT, "a sysctl of the database has no name or no value");
	if (escape_undo(&name, t, strlen(t), e) || escape_undo(&value, v, strlen(v), e))
		return -1;
	if (!is_name((const char *)name.data))
		return plan_leave_out(n->p, e, t, "not the name of a net sysctl");
	if (is_of_machine((const char *)name.data))
		return plan_leave_out(n->p, e, t, "it is of the whole machine, not of a namespace");
	if (is_of_link((const char *)name.data))
		return 0;
	if (!(d->n & (d->n - 1))) {
		grown = realloc(d->items, (d->n ? d->n * 2 : 1) * sizeof(*grown));
		if (!grown)
			return err_set(e, ERR_NOMEM, "sysctls");
		d->items = grown;
	}
	at = rank((const char *)name.data);
	d->items[d->n] = (struct sysctl_item){
		.rank = (uint8_t)at,
		.spreads = at < ARRAY_SIZE(rank_rows) && rank_rows[at].spreads,
		.is_late = has_to_wait((const char *)name.data, (const char *)value.data),
	};
	d->items[d->n].name = (char *)take_ptr(name.data);
	d->items[d->n++].value = (char *)take_ptr(value.data);
	return 0;
}

static int load_sysctls(struct net *n, const struct restore_netns *ns, struct sysctl_data *d,
			struct err *e)
{
	auto_query struct query *q =
		query_new(n->r->db, "SELECT name, value FROM sysctl WHERE netns = :ns", e);
	int got;

	if (!q || query_bind_int(q, "ns", ns->row, e))
		return -1;
	while ((got = query_next(q, e)) == 1)
		if (add_item(n, d, q, e))
			return -1;
	if (d->n)
		qsort(d->items, d->n, sizeof(*d->items), by_rank);
	return got;
}

static struct step *sysctl_step(struct net *n, const struct restore_netns *ns, const char *kind,
				enum milestone from, enum milestone to, struct err *e)
{
	struct step *s = plan_add(n->p, step_kind_find(kind), NULL, e, "%s", ns->name);

	if (!s)
		return NULL;
	s->netns = ns->row;
	return plan_after(n->p, s, from, ns->row, e) || plan_before(n->p, s, to, ns->row, e) ? NULL
											     : s;
}

/* Two steps with the same list: it belongs to the second. */
static int build_sysctl(struct net *n, const struct restore_netns *ns, struct sysctl_data *d,
			struct err *e)
{
	struct step *first = sysctl_step(n, ns, "sysctl", MS_LINKS, MS_SYSCTLS, e);
	struct step *late =
		first ? sysctl_step(n, ns, "sysctl-late", MS_ROUTES, MS_READY, e) : NULL;

	if (!late) {
		sysctl_data_free(d);
		return -1;
	}
	first->data = late->data = d;
	late->data_free = sysctl_data_free;
	late->num = 1;
	return 0;
}

int build_sysctls(struct net *n, struct err *e)
{
	for (size_t i = 0; i < n->r->n_netns; i++) {
		const struct restore_netns *ns = &n->r->netns[i];
		struct sysctl_data *d;

		if (ns->external)
			continue;
		d = calloc(1, sizeof(*d));
		if (!d)
			return err_set(e, ERR_NOMEM, "sysctls");
		if (load_sysctls(n, ns, d, e) || !d->n) {
			sysctl_data_free(d);
			if (e->code != ERR_NONE)
				return -1;
			continue;
		}
		if (build_sysctl(n, ns, d, e))
			return -1;
	}
	return 0;
}

/* One program's text: len bytes. */
static struct step *build_ruleset_part(struct net *n, const struct query *q, const char *kind,
				       int num, const char *text, size_t len, struct err *e)
{
	const struct restore_netns *ns = restore_netns_find(n->r, query_int(q, 1));
	struct step *s = plan_add(n->p, step_kind_find(kind), NULL, e, "%s %s%s", ns->name,
				  query_text(q, 2), num & IPTABLES_NFT ? " (nft)" : "");

	if (!s || buf_add(&s->msg, text, len, e))
		return NULL;
	s->netns = ns->row;
	s->row = query_int(q, 0);
	s->num = num;
	return plan_after(n->p, s, MS_ROUTES, ns->row, e) ||
			       plan_before(n->p, s, MS_READY, ns->row, e)
		       ? NULL
		       : s;
}

/* The text of iptables has parts of iptables-legacy-save and of iptables-nft-save (dumper/README.md); each
 * goes to the program of its kind, which the line says that the part begins with. The kernel lists the
 * legacy table that was registered last first (xt_register_table()), so they are made from the end. */
static int build_iptables(struct net *n, const struct query *q, const char *text, struct err *e)
{
	static const char by_nft[] = "-nft-save ", begin[] = "\n# Generated by ";
	int v6 = !strcmp(query_text(q, 2), "ip6tables") ? IPTABLES_V6 : 0;

	struct step *before = NULL;

	while (*text) {
		const char *next = strstr(text, begin), *tag = strstr(text, by_nft);
		size_t len = next ? (size_t)(next - text) + 1 : strlen(text);
		bool nft = *text == '#' && tag && tag < text + strcspn(text, "\n");

		struct step *s = build_ruleset_part(n, q, "iptables", v6 | (nft ? IPTABLES_NFT : 0),
						    text, len, e);

		if (!s || (before && !nft && plan_need(n->p, before, s, e)))
			return -1;
		before = nft ? before : s;
		text += len;
	}
	return 0;
}

static int build_ruleset(struct net *n, const struct query *q, struct err *e)
{
	const struct restore_netns *ns = restore_netns_find(n->r, query_int(q, 1));
	const char *text = query_text(q, 3);
	auto_buf struct buf open = {0};
	bool had = false;

	if (!ns || ns->external || !*text)
		return 0;
	if (query_int(q, 4) && lock_strip(text, &open, &had, e))
		return -1;
	if (had &&
	    plan_leave_out(n->p, e, ns->name, "the network lock of CRIU's dump in its %s rules",
			   query_text(q, 2)))
		return -1;
	if (had)
		text = open.data ? (const char *)open.data : "";
	if (!*text)
		return 0;
	if (!strcmp(query_text(q, 2), "nftables"))
		return build_ruleset_part(n, q, "nft", 0, text, strlen(text), e) ? 0 : -1;
	return build_iptables(n, q, text, e);
}

int build_firewall(struct net *n, struct err *e)
{
	auto_query struct query *q = net_query(
		n,
		"SELECT f.id, netns, f.format, content, i.format = 'criu' FROM firewall f "
		"JOIN image i ON i.id = f.image WHERE f.image = :image ORDER BY f.id",
		e);
	int got;

	if (!q)
		return -1;
	while ((got = query_next(q, e)) == 1)
		if (build_ruleset(n, q, e))
			return -1;
	return got;
}

/* One step for all entries of a namespace: they may be many, and nothing waits for a single one. */
static int build_entries(struct net *n, const struct restore_netns *ns, struct err *e)
{
	auto_query struct query *q =
		query_new(n->r->db, "SELECT id FROM conntrack WHERE netns = :ns ORDER BY id", e);
	auto_buf struct buf all = {0};
	auto_buf struct buf record = {0};
	auto_buf struct buf msg = {0};
	size_t count = 0, expected = 0;
	struct step *s;
	int got;

	if (!q || query_bind_int(q, "ns", ns->row, e))
		return -1;
	while ((got = query_next(q, e)) == 1) {
		if (net_record(n, "conntrack", query_int(q, 0), &record, e))
			return -1;
		if (((const struct nlmsghdr *)record.data)->nlmsg_type >> 8 !=
		    NFNL_SUBSYS_CTNETLINK) {
			expected++;
			continue;
		}
		if (net_filter(buf_span(&record), RTA_FOR_CREATE, &msg, e) ||
		    buf_add(&all, msg.data, msg.len, e))
			return -1;
		while (all.len & 3)
			if (buf_add(&all, "", 1, e))
				return -1;
		count++;
	}
	if (got)
		return -1;
	if (expected &&
	    plan_leave_out(n->p, e, ns->name,
			   "%zu conntrack expectations: they belong to connections", expected))
		return -1;
	if (!count)
		return 0;
	s = plan_add(n->p, step_kind_find("conntrack"), NULL, e, "%s, %zu entries", ns->name,
		     count);
	if (!s)
		return -1;
	s->netns = ns->row;
	s->msg = all;
	all = (struct buf){0};
	return plan_after(n->p, s, MS_ROUTES, ns->row, e) ||
			       plan_before(n->p, s, MS_READY, ns->row, e)
		       ? -1
		       : 0;
}

int build_conntrack(struct net *n, struct err *e)
{
	for (size_t i = 0; i < n->r->n_netns; i++)
		if (!n->r->netns[i].external && build_entries(n, &n->r->netns[i], e))
			return -1;
	return 0;
}
