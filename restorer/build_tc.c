/* Traffic control, and what else is one message of its own in that table: a row is a step. */
#include "restorer/build_net.h"

#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "proto/rta.h"

struct tc_item {
	struct step *s; /* NULL: it is left out, or comes with another */
	int64_t id, ifindex;
	uint32_t handle, parent, info, chain;
	bool is_qdisc, is_class, is_chain, is_action, is_u32, is_bpf;
	bool is_late;   /* a u32 filter that comes when all tables are there */
	bool is_linked; /* a u32 filter that leads to a hash table */
	uint32_t root;  /* of a u32 filter: the number of the table that its list begins with */
};

struct tc_items {
	struct tc_item *items;
	size_t n;
};

static bool is_filter(const struct tc_item *it)
{
	return !it->is_qdisc && !it->is_class && !it->is_chain && !it->is_action;
}

/* The VLANs of a port, or of a bridge itself: RTM_SETLINK of AF_BRIDGE takes what RTM_GETLINK gives, but for
 * the bridge the request has to say that it means the device and not its master (rtnl_bridge_setlink()). */
static int build_vlan(struct net *n, int64_t id, int64_t netns, struct err *e)
{
	auto_buf struct buf record = {0};
	const struct ifinfomsg *ifi;
	const struct dev *d;
	struct span spec;
	struct step *s;

	if (net_record(n, "traffic_control", id, &record, e))
		return -1;
	ifi = NLMSG_DATA((struct nlmsghdr *)record.data);
	d = net_dev(n, netns, ifi->ifi_index);
	spec = rta_get(buf_span(&record), RTA_PATH(IFLA_AF_SPEC));
	if (!spec.len || !d || !d->made)
		return 0;
	s = plan_add(n->p, step_kind_find("vlan"), NULL, e, "%s %s", d->ns->name, d->name);
	if (!s ||
	    nl_msg_begin(&s->msg, RTM_SETLINK, 0,
			 &(struct ifinfomsg){.ifi_family = AF_BRIDGE, .ifi_index = ifi->ifi_index},
			 sizeof(*ifi), e) ||
	    rta_put(&s->msg, RTA_PATH(IFLA_AF_SPEC), spec.data, spec.len, e) ||
	    (!d->master && rta_put(&s->msg, RTA_PATH(IFLA_AF_SPEC, IFLA_BRIDGE_FLAGS),
				   &(uint16_t){BRIDGE_FLAGS_SELF}, 2, e)))
		return -1;
	s->netns = netns;
	s->row = id;
	s->num = MSG_SUPPORT_OK;
	return plan_after(n->p, s, MS_ADDRESSES, netns, e) ||
			       plan_before(n->p, s, MS_READY, netns, e)
		       ? -1
		       : 0;
}

/* What is one message on which nothing else hangs; the kind of the step has the same name. A label that the namespace
 * lacks is taken away before others come in its place (the order of the stages). */
static const struct single {
	const char *what;
	int64_t num;
} singles[] = {
	{"vni", NLM_F_CREATE | NLM_F_EXCL | MSG_EXISTS_OK},
	{"mdb", NLM_F_CREATE | NLM_F_EXCL | MSG_EXISTS_OK},
	{"addrlabel", NLM_F_CREATE | NLM_F_EXCL | MSG_EXISTS_OK},
	{"addrlabel_gone", MSG_GONE_OK},
	{"maddress", NLM_F_CREATE | NLM_F_EXCL | MSG_EXISTS_OK},
	{"features", 0},
	{"mptcp_limits", NLM_F_CREATE | NLM_F_EXCL | MSG_EXISTS_OK},
	{"xfrm_policy", NLM_F_CREATE | NLM_F_EXCL},
	{"mptcp_endpoint", NLM_F_CREATE | NLM_F_EXCL | MSG_EXISTS_OK},
};

static const struct single *find_single(const char *what)
{
	for (size_t i = 0; i < ARRAY_SIZE(singles); i++)
		if (!strcmp(what, singles[i].what))
			return &singles[i];
	return NULL;
}

/* ---- filters of kind u32 ---- */

/* The lists of one qdisc share their hash tables (net/sched/cls_u32.c tc_u_common_ptr), and a dump of a list shows all
 * tables of its priority, so that those of two lists (ingress and egress of clsact) come with both. Each list begins
 * with a table of its own, its root, which the kernel makes and numbers: 0x800, 0x801, ... as the lists come. Which list
 * has which is not told; the older one is taken for the first list. */
enum { U32_ROOTS = 0x800 };

static uint32_t table_of(const struct tc_item *it)
{
	return TC_U32_USERHTID(it->handle);
}

static bool is_root(uint32_t table)
{
	return table >= U32_ROOTS;
}

static bool is_same_qdisc(const struct tc_item *a, const struct tc_item *b)
{
	return a->is_u32 && b->is_u32 && a->ifindex == b->ifindex &&
	       TC_H_MAJ(a->parent) == TC_H_MAJ(b->parent);
}

static bool is_same_list(const struct tc_item *a, const struct tc_item *b)
{
	return is_same_qdisc(a, b) && a->parent == b->parent && a->chain == b->chain &&
	       a->info == b->info;
}

/* Lists of one priority show the same tables. */
static bool is_shown_together(const struct tc_item *a, const struct tc_item *b)
{
	return is_same_qdisc(a, b) && TC_H_MAJ(a->info) == TC_H_MAJ(b->info);
}

static bool is_first_of_list(const struct tc_items *tc, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (is_same_list(&tc->items[i], &tc->items[at]))
			return false;
	return true;
}

/* The k-th of the roots that the list of a row shows, by number; 0: there are not so many. */
static uint32_t kth_root(const struct tc_items *tc, const struct tc_item *of, size_t k)
{
	uint32_t last = 0;

	for (size_t at = 0; at <= k; at++) {
		uint32_t next = 0;

		for (size_t i = 0; i < tc->n; i++) {
			uint32_t table = table_of(&tc->items[i]);

			if (is_shown_together(&tc->items[i], of) && is_root(table) &&
			    table > last && (!next || table < next))
				next = table;
		}
		if (!next)
			return 0;
		last = next;
	}
	return last;
}

/* Which root each list has. */
static void find_roots(struct tc_items *tc)
{
	for (size_t i = 0; i < tc->n; i++) {
		struct tc_item *it = &tc->items[i];
		size_t k = 0; /* lists before this one */

		for (size_t at = 0; at < i && it->is_u32 && !it->root; at++) {
			if (is_same_list(&tc->items[at], it))
				it->root = tc->items[at].root;
			else
				k += is_shown_together(&tc->items[at], it) &&
				     is_first_of_list(tc, at);
		}
		if (it->is_u32 && !it->root)
			it->root = kth_root(tc, it, k);
	}
}

/* Is the row one of the list that it stands in? A table of the user's is taken for one of the first list. */
static bool is_own(const struct tc_items *tc, const struct tc_item *it)
{
	uint32_t table = table_of(it);

	return is_root(table) ? table == it->root : it->root == kth_root(tc, it, 0);
}

/* The kernel makes the root with the first row of a list. */
static bool comes_by_itself(const struct tc_item *it)
{
	return is_root(table_of(it)) && !TC_U32_KEY(it->handle);
}

/* How many lists of the qdisc have an older root. */
static uint32_t n_older(const struct tc_items *tc, const struct tc_item *it)
{
	uint32_t n = 0;

	for (size_t i = 0; i < tc->n; i++)
		n += is_same_qdisc(&tc->items[i], it) && is_first_of_list(tc, i) &&
		     tc->items[i].root < it->root;
	return n;
}

/* Where a list has gone, the root has a number that the kernel would not give now: "the root of this list" does
 * (TC_U32_ROOT), and the filter gets another number. */
static int renumber(struct net *n, const struct tc_items *tc, struct tc_item *it, struct err *e)
{
	struct tcmsg *t;

	if (!is_root(table_of(it)) || table_of(it) == U32_ROOTS + n_older(tc, it))
		return 0;
	if (rta_put_u32(&it->s->msg, RTA_PATH(TCA_OPTIONS, TCA_U32_HASH), TC_U32_ROOT, e))
		return -1;
	t = NLMSG_DATA((struct nlmsghdr *)it->s->msg.data);
	t->tcm_handle = TC_U32_NODE(t->tcm_handle);
	return net_leave_row(n, it->s->netns, "traffic_control", it->id,
			     "its number, which follows a list of filters that is gone", e);
}

static bool is_linked(const struct tc_item *it)
{
	return rta_get(buf_span(&it->s->msg), RTA_PATH(TCA_OPTIONS, TCA_U32_LINK)).len > 0;
}

/* It may lead to a table of a younger list, so it comes when those are there; unless nothing else makes its list. */
static bool is_after_tables(const struct tc_items *tc, const struct tc_item *it)
{
	if (!it->is_linked)
		return false;
	for (size_t i = 0; i < tc->n; i++)
		if (tc->items[i].s && !tc->items[i].is_linked && is_same_list(&tc->items[i], it))
			return true;
	return false;
}

/* What leads to tables last; oldest list first; in a list, tables before what is in them. */
static int by_creation(const void *x, const void *y)
{
	const struct tc_item *a = *(struct tc_item *const *)x, *b = *(struct tc_item *const *)y;

	if (a->is_late != b->is_late)
		return a->is_late ? 1 : -1;
	if (a->root != b->root)
		return a->root < b->root ? -1 : 1;
	if (!TC_U32_KEY(a->handle) != !TC_U32_KEY(b->handle))
		return TC_U32_KEY(a->handle) ? 1 : -1;
	return a->handle < b->handle ? -1 : a->handle > b->handle;
}

/* The u32 filters of a namespace, one after the other. */
static int order_u32(struct net *n, struct tc_items *tc, struct err *e)
{
	struct tc_item **all = calloc(tc->n + 1, sizeof(struct tc_item *));
	size_t n_all = 0;
	int rc = 0;

	if (!all)
		return err_set(e, ERR_NOMEM, "traffic control");
	for (size_t i = 0; i < tc->n; i++)
		if (tc->items[i].is_u32 && tc->items[i].s) {
			all[n_all++] = &tc->items[i];
			tc->items[i].is_linked = is_linked(&tc->items[i]);
		}
	for (size_t i = 0; i < n_all; i++)
		all[i]->is_late = is_after_tables(tc, all[i]);
	qsort(all, n_all, sizeof(struct tc_item *), by_creation);
	for (size_t i = 0; i < n_all && !rc; i++) {
		rc = renumber(n, tc, all[i], e);
		for (size_t k = i; k > 0 && !rc; k--)
			if (is_same_qdisc(all[k - 1], all[i])) {
				rc = plan_need(n->p, all[i]->s, all[k - 1]->s, e);
				break;
			}
	}
	free(all);
	return rc;
}

/* ---- rows ---- */

/* A filter of kind bpf without instructions is one of eBPF, whose program the dump named. 1, 0, -1. */
static int needs_program(const struct net *n, const struct tc_item *it, struct err *e)
{
	auto_buf struct buf record = {0};

	if (!it->is_bpf)
		return 0;
	if (net_record(n, "traffic_control", it->id, &record, e))
		return -1;
	return !rta_get(buf_span(&record), RTA_PATH(TCA_OPTIONS, TCA_BPF_OPS)).len;
}

static int make_step(struct net *n, int64_t netns, struct tc_item *it, struct err *e)
{
	struct row_step row = {"traffic_control",
			       "tc",
			       it->id,
			       netns,
			       MS_ADDRESSES,
			       MS_READY,
			       NLM_F_CREATE | (it->is_qdisc ? NLM_F_REPLACE : NLM_F_EXCL) |
				       (is_filter(it) ? MSG_EXISTS_OK : 0)};
	int rc = needs_program(n, it, e);

	if (rc)
		return rc < 0 ? -1
			      : net_leave_row(n, netns, row.table, it->id,
					      "the kernel does not tell eBPF programs", e);
	it->s = net_row_step(n, &row, NULL, e);
	return it->s ? 0 : -1;
}

/* A class, qdisc or chain hangs on what has its parent number, or on the qdisc with that major number; a filter
 * waits for all of them, because it may lead to any, and for the actions that it may share. */
static bool is_needed(const struct tc_item *o, const struct tc_item *it)
{
	if (!o->s || o == it || is_filter(o))
		return false;
	if (o->is_action || it->is_action)
		return is_filter(it);
	if (o->ifindex != it->ifindex)
		return false;
	if (is_filter(it))
		return true;
	if (o->is_chain || (!it->is_chain && o->handle == it->handle))
		return false;
	return it->is_chain || o->handle == it->parent || o->handle == TC_H_MAJ(it->parent) ||
	       o->handle == TC_H_MAJ(it->handle);
}

/* All rows of a namespace are read. */
static int build_items(struct net *n, int64_t netns, struct tc_items *tc, struct err *e)
{
	find_roots(tc);
	for (size_t i = 0; i < tc->n; i++) {
		struct tc_item *it = &tc->items[i];

		if (it->is_u32 && (comes_by_itself(it) || !is_own(tc, it)))
			continue;
		if (make_step(n, netns, it, e))
			return -1;
	}
	for (size_t i = 0; i < tc->n; i++)
		for (size_t k = 0; k < tc->n && tc->items[i].s; k++)
			if (is_needed(&tc->items[k], &tc->items[i]) &&
			    plan_need(n->p, tc->items[i].s, tc->items[k].s, e))
				return -1;
	return order_u32(n, tc, e);
}

static int add_item(struct tc_items *tc, const struct query *q, const char *what, struct err *e)
{
	const char *kind = query_text(q, 7);
	struct tc_item *grown = realloc(tc->items, (tc->n + 1) * sizeof(*grown)), *it;

	if (!grown)
		return err_set(e, ERR_NOMEM, "traffic control");
	tc->items = grown;
	it = &grown[tc->n++];
	*it = (struct tc_item){.id = query_int(q, 0),
			       .ifindex = query_int(q, 3),
			       .handle = (uint32_t)query_int(q, 4),
			       .parent = (uint32_t)query_int(q, 5),
			       .info = (uint32_t)query_int(q, 6),
			       .chain = (uint32_t)query_int(q, 8),
			       .is_qdisc = !strcmp(what, "qdisc"),
			       .is_class = !strcmp(what, "class"),
			       .is_chain = !strcmp(what, "chain"),
			       .is_action = !strcmp(what, "action")};
	it->is_u32 = is_filter(it) && kind && !strcmp(kind, "u32");
	it->is_bpf = is_filter(it) && kind && !strcmp(kind, "bpf");
	return 0;
}

static int build_row(struct net *n, const struct query *q, struct tc_items *tc, struct err *e)
{
	static const char *const known[] = {"qdisc", "class", "filter", "chain", "action"};
	const char *what = query_text(q, 2);
	const struct single *single = find_single(what);
	int64_t id = query_int(q, 0), netns = query_int(q, 1);
	struct row_step row = {"traffic_control",       what, id, netns, MS_ADDRESSES, MS_READY,
			       single ? single->num : 0};

	if (single)
		return net_row_step(n, &row, NULL, e) ? 0 : -1;
	if (!strcmp(what, "vlan"))
		return build_vlan(n, id, netns, e);
	/* The head of a list of filters, which the kernel makes with the first filter. */
	if (!strcmp(what, "filter") && !query_int(q, 4))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(what, known[i]))
			return add_item(tc, q, what, e);
	return net_leave_row(n, netns, "traffic_control", id,
			     "messages of this type are kept, not restored", e);
}

static bool is_made(const struct net *n, int64_t netns)
{
	const struct restore_netns *ns = restore_netns_find(n->r, netns);

	return ns && !ns->external;
}

int build_tc(struct net *n, struct err *e)
{
	auto_query struct query *q = net_query(
		n,
		"SELECT id, netns, what, ifindex, handle, parent, info, kind, other ->> 'chain' "
		/* The kernel tells IPsec policies newest first (__xfrm_policy_link()), and of two
		 * with one priority the older one is taken, so the last one comes first. */
		"FROM traffic_control WHERE image = :image "
		"ORDER BY netns, CASE what WHEN 'xfrm_policy' THEN -id ELSE id END",
		e);
	struct tc_items tc = {0};
	int64_t netns = 0;
	int got = -1, ret = -1;

	while (q && (got = query_next(q, e)) >= 0) {
		/* The needs are within one namespace. */
		if (!got || query_int(q, 1) != netns) {
			if (build_items(n, netns, &tc, e))
				goto out;
			tc.n = 0;
		}
		if (!got)
			break;
		netns = query_int(q, 1);
		if (is_made(n, netns) && build_row(n, q, &tc, e))
			goto out;
	}
	ret = got;
out:
	free(tc.items);
	return ret;
}
