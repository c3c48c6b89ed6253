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

enum { FRESH_ABSENT = UINT32_MAX };

struct sysctl_fresh {
	struct ns *ns;
	struct u64map at; /* hash of a name -> offset of "name\0value\0" in text, or FRESH_ABSENT */
	struct buf text;
};

void sysctl_fresh_free(struct sysctl_fresh *f)
{
	if (!f)
		return;
	ns_free(f->ns);
	u64map_free(&f->at);
	buf_free(&f->text);
	free(f);
}

/* FNV-1a; a name that meets another one in the map counts as not known. */
static uint64_t name_hash(const char *name)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 0x100000001b3ull;
	return h;
}

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

/* Is it a file of a device, and which one? */
static bool device_file(const char *path, int *family, char device[IFNAMSIZ], const char **file)
{
	static const char v4[] = "net/ipv4/conf/", v6[] = "net/ipv6/conf/";
	size_t n;

	*family = !strncmp(path, v4, sizeof(v4) - 1)   ? AF_INET
		  : !strncmp(path, v6, sizeof(v6) - 1) ? AF_INET6
						       : 0;
	if (!*family)
		return false;
	path += sizeof(v4) - 1;
	n = strcspn(path, "/");
	if (path[n] != '/' || n >= IFNAMSIZ)
		return false;
	memcpy(device, path, n);
	device[n] = 0;
	*file = path + n + 1;
	return strcmp(device, "all") != 0 && strcmp(device, "default") != 0;
}

static bool links_tell(const struct links *l, int family, const char *device, const char *file,
		       const char *wanted)
{
	struct link_conf key = {.name = device};
	const struct link_conf *link = bsearch(&key, l->all, l->n, sizeof(key), by_link_name);
	int64_t value;
	char text[24];

	if (!link || !devconf_value(&link->conf, family, file, &value))
		return false;
	snprintf(text, sizeof(text), "%lld", (long long)value);
	return sysctl_same_value(text, wanted);
}

/* ---- a fresh namespace ---- */

struct fresh_job {
	struct sysctl_fresh *f;
	const struct sysctl_data *d;
	const bool *ask;
};

static int fresh_read(struct sysctl_fresh *f, int dir, const char *name, struct err *e)
{
	auto_close int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	uint32_t at = (uint32_t)f->text.len;
	char value[8192];
	ssize_t n = fd < 0 ? -1 : read(fd, value, sizeof(value) - 1);

	if (n < 0)
		return u64map_put(&f->at, name_hash(name), FRESH_ABSENT, e);
	value[n] = 0;
	return buf_add(&f->text, name, strlen(name) + 1, e) ||
			       buf_add(&f->text, value, strlen(value) + 1, e) ||
			       u64map_put(&f->at, name_hash(name), at, e)
		       ? -1
		       : 0;
}

static int fresh_job(void *p, struct err *e)
{
	struct fresh_job *j = p;
	auto_close int dir = open("/proc/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return err_sys(e, ERR_IO, "open /proc/sys");
	for (size_t i = 0; i < j->d->n; i++)
		if (j->ask[i] && fresh_read(j->f, dir, j->d->items[i].name, e))
			return -1;
	return 0;
}

/* Read the files of the items in ask, those that were not read before, in the fresh namespace. */
static int fresh_learn(struct restore *r, const struct sysctl_data *d, bool *ask, struct err *e)
{
	struct fresh_job job;
	bool any = false;
	uint32_t at;

	if (!r->fresh) {
		r->fresh = calloc(1, sizeof(*r->fresh));
		if (!r->fresh)
			return err_set(e, ERR_NOMEM, "sysctls");
	}
	for (size_t i = 0; i < d->n; i++) {
		ask[i] = ask[i] && !u64map_find(&r->fresh->at, name_hash(d->items[i].name), &at);
		any = any || ask[i];
	}
	if (!any)
		return 0;
	if (!r->fresh->ns) {
		r->fresh->ns = ns_new(e);
		if (!r->fresh->ns)
			return -1;
	}
	job = (struct fresh_job){r->fresh, d, ask};
	return ns_call(r->fresh->ns, fresh_job, &job, e);
}

static bool fresh_tells(const struct sysctl_fresh *f, const struct sysctl_item *item)
{
	const char *name;
	uint32_t at;

	if (!f->text.data || !u64map_find(&f->at, name_hash(item->name), &at) || at == FRESH_ABSENT)
		return false;
	name = (const char *)f->text.data + at;
	return !strcmp(name, item->name) && sysctl_same_value(name + strlen(name) + 1, item->value);
}

/* ---- both ---- */

/* What the devices tell; ask[i]: not the file of a device, the fresh namespace may know. */
static int ask_links(struct restore *r, const struct step *s, bool *known, bool *ask, struct err *e)
{
	const struct sysctl_data *d = s->data;
	struct nl *nl = restore_rtnl(r, s->netns, e);
	char device[IFNAMSIZ];
	struct links links = {0};
	const char *file;
	int family;

	if (!nl || links_read(&links, nl, e)) {
		links_free(&links);
		return -1;
	}
	for (size_t i = 0; i < d->n; i++) {
		ask[i] = !device_file(d->items[i].name, &family, device, &file);
		known[i] = !ask[i] && links_tell(&links, family, device, file, d->items[i].value);
	}
	links_free(&links);
	return 0;
}

int sysctl_known(struct restore *r, const struct step *s, bool *known, struct err *e)
{
	const struct sysctl_data *d = s->data;
	struct restore_netns *n = restore_netns_find(r, s->netns);
	auto_free bool *ask = calloc(2 * d->n + 1, sizeof(*ask));
	bool *learn = ask + d->n, spreads = false;

	if (!ask)
		return err_set(e, ERR_NOMEM, "sysctls");
	if (ask_links(r, s, known, ask, e))
		return -1;
	memcpy(learn, ask, d->n * sizeof(*ask));
	if (!n->sysctl_spread && fresh_learn(r, d, learn, e))
		return -1;
	for (size_t i = 0; i < d->n; i++) {
		if (ask[i] && !n->sysctl_spread)
			known[i] = fresh_tells(r->fresh, &d->items[i]);
		spreads = spreads || (d->items[i].spreads && !known[i]);
	}
	if (spreads) {
		n->sysctl_spread = true;
		memset(known, 0, d->n * sizeof(*known));
	}
	for (size_t i = 0; i < d->n; i++)
		known[i] = known[i] || (d->items[i].is_late && !s->num);
	return 0;
}
