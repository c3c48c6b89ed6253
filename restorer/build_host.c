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

static bool is_mode_of_all(const struct sysctl_item *item)
{
	return item->spreads && !strcmp(item->name, "net/ipv6/conf/all/addr_gen_mode") &&
	       strcmp(item->value, "0") != 0;
}

static int load_row(struct net *n, struct restore_netns *ns, const struct query *q, struct err *e)
{
	const char *name = query_text(q, 0), *value = query_text(q, 1);
	const struct sysctl_item *item;

	if (!name || !value)
		return err_set(e, ERR_CONFLICT, "a sysctl of the database has no name or no value");
	item = sysctl_rows_add(n->r->sysctls, name, value, e);
	if (!item)
		return -1;
	if (is_mode_of_all(item))
		ns->gen_mode_of_all = true;
	if (item->use == SYSCTL_NO_NAME)
		return plan_leave_out(n->p, e, name, "not the name of a net sysctl");
	if (item->use == SYSCTL_OF_MACHINE)
		return plan_leave_out(n->p, e, name,
				      "it is of the whole machine, not of a namespace");
	if (item->use == SYSCTL_RANDOM)
		return plan_leave_out(n->p, e, name,
				      "3 (random) would make a secret of each device; the devices "
				      "have theirs");
	return 0;
}

/* The devices of a namespace, which stand together: those from off on. */
struct devs {
	const struct dev *all;
	size_t n;
};

static struct devs devs_of(const struct net *n, int64_t netns, size_t *off)
{
	struct devs d;

	while (*off < n->n_devs && n->devs[*off].netns < netns)
		(*off)++;
	d = (struct devs){n->devs + *off, 0};
	for (; *off < n->n_devs && n->devs[*off].netns == netns; (*off)++)
		d.n++;
	return d;
}

static bool same_devs(struct devs a, struct devs b)
{
	for (size_t i = 0; i < a.n && a.n == b.n; i++)
		if (strcmp(a.all[i].name, b.all[i].name) || strcmp(a.all[i].kind, b.all[i].kind))
			return false;
	return a.n == b.n;
}

static struct sysctl_list *load_sysctls(struct net *n, struct query *q, struct restore_netns *ns,
					bool same_devices, struct err *e)
{
	int got;

	if (query_bind_int(q, "ns", ns->row, e))
		return NULL;
	while ((got = query_next(q, e)) == 1)
		if (load_row(n, ns, q, e))
			return NULL;
	return got ? NULL : sysctl_rows_list(n->r->sysctls, same_devices, e);
}

static struct step *sysctl_step(struct net *n, const struct restore_netns *ns, const char *kind,
				enum milestone from, enum milestone to, struct err *e)
{
	struct step *s = plan_add_text(n->p, step_kind_find(kind), NULL, ns->name, e);

	if (!s)
		return NULL;
	s->netns = ns->row;
	return plan_after(n->p, s, from, ns->row, e) || plan_before(n->p, s, to, ns->row, e) ? NULL
											     : s;
}

/* Steps with the same list. */
static int build_sysctl(struct net *n, const struct restore_netns *ns, struct sysctl_list *list,
			struct err *e)
{
	struct step *first = sysctl_step(n, ns, "sysctl", MS_LINKS, MS_SYSCTLS, e);
	struct step *late =
		first ? sysctl_step(n, ns, "sysctl-late", MS_ROUTES, MS_READY, e) : NULL;
	struct step *last;

	if (!late)
		return -1;
	first->data = late->data = list;
	late->num = SYSCTL_LATE;
	if (!list->has_last)
		return 0;
	last = plan_add(n->p, step_kind_find("sysctl-last"), NULL, e, "%s", ns->name);
	if (!last)
		return -1;
	last->netns = ns->row;
	last->data = list;
	last->num = SYSCTL_LAST;
	return plan_after(n->p, last, MS_READY, ns->row, e) ||
			       plan_after(n->p, last, MS_COMPLETE, 0, e) ||
			       plan_before(n->p, last, MS_TASKS, 0, e)
		       ? -1
		       : 0;
}

int build_sysctls(struct net *n, struct err *e)
{
	auto_query struct query *q = query_new(
		n->r->db, "SELECT name, value FROM sysctl WHERE netns = :ns ORDER BY name, id", e);

	struct devs before = {0}, now;
	size_t off = 0;

	n->r->sysctls = sysctl_rows_new(e);
	if (!q || !n->r->sysctls)
		return -1;
	for (size_t i = 0; i < n->r->n_netns; i++) {
		struct restore_netns *ns = &n->r->netns[i];
		struct sysctl_list *list;

		if (ns->external)
			continue;
		now = devs_of(n, ns->row, &off);
		list = load_sysctls(n, q, ns, same_devs(now, before), e);
		before = now;
		if (!list || (list->n && build_sysctl(n, ns, list, e)))
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
