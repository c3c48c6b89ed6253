#include "restorer/sysctl_known.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/u64map.h"
#include "proto/devconf.h"

/* ---- devices ---- */

struct link_conf {
	const char *name; /* lent by the dump */
	struct devconf conf;
};

struct links {
	struct buf dump;
	struct link_conf *all; /* by name */
	size_t n;
};

static void links_free(struct links *l)
{
	buf_free(&l->dump);
	free(l->all);
}

static int by_link_name(const void *a, const void *b)
{
	return strcmp(((const struct link_conf *)a)->name, ((const struct link_conf *)b)->name);
}

static int links_read(struct links *l, struct nl *nl, struct err *e)
{
	auto_buf struct buf req = {0};
	struct ifinfomsg any = {0};
	const struct nlmsghdr *h;
	size_t off = 0, n = 0;

	if (nl_msg_begin(&req, RTM_GETLINK, 0, &any, sizeof(any), e) ||
	    nl_put_u32(&req, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS, e) ||
	    nl_dump_raw(nl, &req, &l->dump, "devices", e))
		return -1;
	while (nl_msg_next(buf_span(&l->dump), &off))
		n++;
	l->all = calloc(n ? n : 1, sizeof(*l->all));
	if (!l->all)
		return err_set(e, ERR_NOMEM, "%zu devices", n);
	for (off = 0; (h = nl_msg_next(buf_span(&l->dump), &off));) {
		struct span name = nl_attr_data(
			nl_attr_find(nl_attrs(h, sizeof(struct ifinfomsg)), IFLA_IFNAME));

		if (name.len && !name.data[name.len - 1])
			l->all[l->n++] =
				(struct link_conf){(const char *)name.data, devconf_of_link(h)};
	}
	qsort(l->all, l->n, sizeof(*l->all), by_link_name);
	return 0;
}

/* Items of one device stand together, so that it is looked for once. */
static const struct link_conf *link_of(const struct links *l, const struct sysctl_item *item,
				       const struct link_conf *last)
{
	struct link_conf key = {.name = item->device};

	return last && !strcmp(last->name, item->device)
		       ? last
		       : bsearch(&key, l->all, l->n, sizeof(key), by_link_name);
}

/* What the devices tell. */
static int ask_links(struct restore *r, const struct step *s, bool *known, struct err *e)
{
	const struct sysctl_list *d = s->data;
	struct nl *nl = restore_rtnl(r, s->netns, e);
	const struct link_conf *link = NULL;
	struct links links = {0};
	int ret = nl ? links_read(&links, nl, e) : -1;
	int64_t value;

	for (size_t i = 0; i < d->n && !ret; i++) {
		const struct sysctl_item *item = d->items[i];

		if (item->place < 0)
			continue;
		link = link_of(&links, item, link);
		known[i] = link && devconf_at(&link->conf, item->family, item->place, &value) &&
			   value == item->number;
	}
	links_free(&links);
	return ret;
}

/* The same before the first is written: the devices that share the list were made in the same way, in new namespaces. What
 * differs all the same is seen when the late step asks. */
static int ask_once(struct restore *r, const struct step *s, bool *known, struct err *e)
{
	struct sysctl_list *d = s->data;

	if (!d->first) {
		if (ask_links(r, s, known, e))
			return -1;
		d->first = calloc(d->n + 1, sizeof(*d->first));
		if (!d->first)
			return err_set(e, ERR_NOMEM, "sysctls");
		memcpy(d->first, known, d->n * sizeof(*known));
	}
	memcpy(known, d->first, d->n * sizeof(*known));
	return 0;
}

/* ---- a fresh namespace ---- */

static int fresh_job(void *p, struct err *e)
{
	const struct sysctl_list *d = p;
	auto_close int dir = open("/proc/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return err_sys(e, ERR_IO, "open /proc/sys");
	for (size_t i = 0; i < d->n; i++) {
		struct sysctl_item *item = d->items[i];

		if (!item->family && item->fresh == SYSCTL_NOT_ASKED)
			item->fresh = sysctl_reads(dir, item) == 1 ? SYSCTL_SAME : SYSCTL_OTHER;
	}
	return 0;
}

/* Every item of the list that is of no device has been asked for in a fresh namespace. */
static int fresh_ask(struct restore *r, struct sysctl_list *d, struct err *e)
{
	struct ns *fresh;
	bool any = false;

	for (size_t i = 0; i < d->n && !any; i++)
		any = !d->items[i]->family && d->items[i]->fresh == SYSCTL_NOT_ASKED;
	if (!any)
		return 0;
	fresh = restore_fresh(r, e);
	return fresh ? ns_call(fresh, fresh_job, d, e) : -1;
}

/* ---- both ---- */

static bool is_of_step(enum sysctl_when when, int64_t step)
{
	return step == SYSCTL_LATE ? when != SYSCTL_LAST : (int64_t)when == step;
}

int sysctl_known(struct restore *r, const struct step *s, bool *known, struct err *e)
{
	const struct sysctl_list *d = s->data;
	struct restore_netns *n = restore_netns_find(r, s->netns);
	bool spreads = false;

	if ((s->num == SYSCTL_FIRST ? ask_once : ask_links)(r, s, known, e) ||
	    (!n->sysctl_spread && fresh_ask(r, s->data, e)))
		return -1;
	for (size_t i = 0; i < d->n; i++) {
		const struct sysctl_item *item = d->items[i];

		if (!item->family && !n->sysctl_spread)
			known[i] = item->fresh == SYSCTL_SAME;
		spreads = spreads || (item->spreads && !known[i]);
	}
	if (spreads) {
		n->sysctl_spread = true;
		memset(known, 0, d->n * sizeof(*known));
	}
	for (size_t i = 0; i < d->n; i++)
		known[i] = known[i] || !is_of_step(d->items[i]->when, s->num);
	return 0;
}
