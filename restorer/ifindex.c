#include "restorer/ifindex.h"

#include <inttypes.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/nl.h"
#include "proto/rta.h"

#define FACT     "ifindex"

/* No kernel numbers a device so high, from here down. */
#define NO_PLACE INT32_MAX

void clashes_free(struct clashes *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->all[i].device);
	free(c->all);
	*c = (struct clashes){0};
}

#define KIND_SIZE 64

/* A device that a new namespace has. */
struct present {
	int index;
	bool loopback;
	char name[IFNAMSIZ], kind[KIND_SIZE];
};

struct presents {
	struct present all[32]; /* the kernel has 9 kinds with a fallback device */
	size_t n;
	int highest;
};

static int presents_read(struct presents *p, const struct ns *ns, struct err *e)
{
	struct ifinfomsg ifi = {.ifi_family = AF_UNSPEC};
	auto_buf struct buf req = {0}, now = {0};
	struct nl *nl = nl_open_in(ns, NETLINK_ROUTE, e);
	const struct nlmsghdr *h;
	size_t off = 0;
	int ret = !nl || nl_msg_begin(&req, RTM_GETLINK, 0, &ifi, sizeof(ifi), e) ||
				  nl_dump_raw(nl, &req, &now, "devices of an empty namespace", e)
			  ? -1
			  : 0;

	nl_free(nl);
	while (!ret && p->n < ARRAY_SIZE(p->all) && (h = nl_msg_next(buf_span(&now), &off))) {
		const struct ifinfomsg *i = NLMSG_DATA(h);
		struct span msg = {(const uint8_t *)h, h->nlmsg_len};
		struct span name = rta_get(msg, RTA_PATH(IFLA_IFNAME));
		struct span kind = rta_get(msg, RTA_PATH(IFLA_LINKINFO, IFLA_INFO_KIND));
		struct present *d = &p->all[p->n];

		if (h->nlmsg_type != RTM_NEWLINK)
			continue;
		*d = (struct present){i->ifi_index, i->ifi_flags & IFF_LOOPBACK, "", ""};
		snprintf(d->kind, sizeof(d->kind), "%.*s", (int)kind.len, (const char *)kind.data);
		snprintf(d->name, sizeof(d->name), "%.*s", (int)name.len, (const char *)name.data);
		p->highest = d->index > p->highest ? d->index : p->highest;
		p->n++;
	}
	return ret;
}

/* A device of the image. */
struct wanted {
	int64_t netns;
	int index;
	bool loopback;
	const char *name, *kind, *netns_name;
};

/* Is it the same device: lo, or the fallback device of a kind of tunnel, whose name no other one gets? */
static bool is_same(const struct wanted *w, const struct present *d)
{
	return w->loopback ? d->loopback
			   : *d->kind && !strcmp(d->name, w->name) && !strcmp(d->kind, w->kind);
}

static int add_clash(struct clashes *c, const struct wanted *w, const struct present *by, int to,
		     struct err *e)
{
	struct clash *grown = realloc(c->all, (c->n + 1) * sizeof(*grown));

	if (!grown)
		return err_set(e, ERR_NOMEM, "list of devices");
	c->all = grown;
	grown = &c->all[c->n];
	*grown = (struct clash){.change = {w->netns, w->index, to}, .is_there = is_same(w, by)};
	snprintf(grown->taken_by, sizeof(grown->taken_by), "%s", by->name);
	if (asprintf(&grown->device, "%s %s", w->netns_name, w->name) < 0)
		return err_set(e, ERR_NOMEM, "list of devices");
	c->n++;
	return 0;
}

/* next: an index that is free, counted on when it is given away. What is there keeps the index that it has. */
static int check_one(struct clashes *c, const struct presents *p, const struct wanted *w, int *next,
		     struct err *e)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct present *d = &p->all[i];

		if (is_same(w, d))
			return d->index == w->index ? 0 : add_clash(c, w, d, d->index, e);
		if (!w->loopback && !strcmp(d->name, w->name))
			return add_clash(c, w, d, 0, e);
	}
	for (size_t i = 0; i < p->n && !w->loopback; i++)
		if (p->all[i].index == w->index)
			return add_clash(c, w, &p->all[i], (*next)++, e);
	return 0;
}

int clashes_find(struct clashes *c, const struct restore *r, const struct ns *ns, struct err *e)
{
	auto_query struct query *q = query_new(
		r->db,
		"SELECT netns, ifindex, flags, name, max(ifindex) OVER (PARTITION BY netns), "
		"coalesce(kind, '') FROM device WHERE image = :image ORDER BY netns, ifindex",
		e);
	struct presents p = {0};
	int64_t netns = -1;
	int next = 0, got;

	*c = (struct clashes){0};
	if (!q || query_bind_int(q, "image", r->image, e) || presents_read(&p, ns, e))
		return -1;
	while ((got = query_next(q, e)) == 1) {
		const struct restore_netns *n = restore_netns_find(r, query_int(q, 0));
		auto_buf struct buf name = {0};
		struct wanted w = {query_int(q, 0),
				   (int)query_int(q, 1),
				   (query_int(q, 2) & IFF_LOOPBACK) != 0,
				   NULL,
				   query_text(q, 5),
				   n ? n->name : ""};
		int highest = (int)query_int(q, 4);

		if (!n || n->external)
			continue;
		if (w.netns != netns)
			next = (highest > p.highest ? highest : p.highest) + 1;
		netns = w.netns;
		if (escape_undo(&name, query_text(q, 3), strlen(query_text(q, 3)), e) ||
		    buf_add(&name, "", 1, e))
			return -1;
		w.name = (const char *)name.data;
		if (check_one(c, &p, &w, &next, e))
			return -1;
	}
	return got;
}

static int note_changes(struct restore *r, const struct clashes *c, struct err *e)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct clash *k = &c->all[i];

		if (k->change.to &&
		    restore_note(r, e, "%s: interface index %" PRId64 ", it is %" PRId64, k->device,
				 k->change.from, k->change.to))
			return -1;
	}
	return 0;
}

/* What is there goes last: where it goes is free by then, but for others that are there: these all leave their places
 * before the first one takes another one's. */
static void add_changes(struct restore *r, const struct clashes *c)
{
	struct reindex *to = r->reindexed;

	for (size_t i = 0; i < c->n; i++)
		if (c->all[i].change.to && !c->all[i].is_there)
			*to++ = c->all[i].change;
	for (size_t i = 0; i < c->n; i++)
		if (c->all[i].is_there)
			*to++ = (struct reindex){c->all[i].change.netns, c->all[i].change.from,
						 NO_PLACE - (int64_t)i};
	for (size_t i = 0; i < c->n; i++)
		if (c->all[i].is_there)
			*to++ = (struct reindex){c->all[i].change.netns, NO_PLACE - (int64_t)i,
						 c->all[i].change.to};
	r->n_reindexed = (size_t)(to - r->reindexed);
}

struct db *ifindex_adapt(struct restore *r, const struct ns *empty, struct err *e)
{
	struct err ignored = ERR_INIT;
	auto_ns struct ns *made = empty ? NULL : ns_new(&ignored);
	const struct ns *ns = empty ? empty : made;
	auto_clashes struct clashes c = {0};
	auto_db struct db *copy = NULL;

	/* Who may not make a namespace is told so by exec_check. */
	if (!ns || clashes_find(&c, r, ns, e))
		return NULL;
	r->reindexed = calloc(2 * c.n + 1, sizeof(*r->reindexed));
	if (!r->reindexed) {
		err_set(e, ERR_NOMEM, "interface indexes");
		return NULL;
	}
	add_changes(r, &c);
	if (!r->n_reindexed)
		return NULL;
	copy = db_copy(r->db, e);
	if (!copy || reindex(copy, r->reindexed, r->n_reindexed, e) || note_changes(r, &c, e))
		return NULL;
	return take_ptr(copy);
}

int ifindex_remember(struct restore *r, int64_t netns, struct err *e)
{
	for (size_t i = 0; i < r->n_reindexed; i++) {
		const struct reindex *x = &r->reindexed[i];

		if (x->netns == netns &&
		    journal_fact(r->journal, r->step, FACT, e, "%" PRId64 " %" PRId64 " %" PRId64,
				 x->netns, x->from, x->to))
			return -1;
	}
	return 0;
}

int ifindex_recall(const struct journal *j, struct reindex **all, size_t *n, struct err *e)
{
	*all = NULL;
	*n = 0;
	for (size_t i = 0; i < journal_n_entries(j); i++) {
		const struct journal_entry *je = journal_entry(j, i);

		for (size_t k = 0; k < je->n_facts; k++) {
			struct reindex x, *grown;

			if (strcmp(je->keys[k], FACT) || strcmp(je->kind, "netns"))
				continue;
			if (sscanf(je->values[k], "%" SCNd64 " %" SCNd64 " %" SCNd64, &x.netns,
				   &x.from, &x.to) != 3)
				return err_set(e, ERR_FORMAT, "journal of %s: '%s' is no index",
					       journal_head(j)->name, je->values[k]);
			grown = realloc(*all, (*n + 1) * sizeof(x));
			if (!grown)
				return err_set(e, ERR_NOMEM, "interface indexes");
			*all = grown;
			grown[(*n)++] = x;
		}
	}
	return 0;
}
