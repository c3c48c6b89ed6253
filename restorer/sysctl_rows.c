#include "restorer/sysctl_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/escape.h"
#include "base/u64map.h"
#include "proto/devconf.h"

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

struct sysctl_rows {
	struct sysctl_item **items;
	size_t n_items;
	struct u64map at;                /* hash of the row -> its item */
	struct sysctl_item first, *last; /* first is before all others */
	struct sysctl_item **row;        /* the list that comes */
	size_t n_row;
	struct sysctl_list **lists;
	size_t n_lists;
};

static void item_free(struct sysctl_item *item)
{
	if (!item)
		return;
	free(item->name);
	free(item->value);
	free(item->row_name);
	free(item->row_value);
	free(item);
}

static void list_free(struct sysctl_list *list)
{
	if (list) {
		free(list->items);
		free(list->first);
	}
	free(list);
}

struct sysctl_rows *sysctl_rows_new(struct err *e)
{
	struct sysctl_rows *s = calloc(1, sizeof(*s));

	if (!s) {
		err_set(e, ERR_NOMEM, "sysctls");
		return NULL;
	}
	s->last = &s->first;
	return s;
}

void sysctl_rows_free(struct sysctl_rows *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_items; i++)
		item_free(s->items[i]);
	for (size_t i = 0; i < s->n_lists; i++)
		list_free(s->lists[i]);
	u64map_free(&s->at);
	free(s->items);
	free(s->lists);
	free(s->row);
	free(s);
}

/* ---- what a name says ---- */

static size_t rank(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(rank_rows); i++)
		if (rank_rows[i].whole
			    ? !strcmp(name, rank_rows[i].prefix)
			    : !strncmp(name, rank_rows[i].prefix, strlen(rank_rows[i].prefix)))
			return i;
	return ARRAY_SIZE(rank_rows);
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

/* The address generation of a device is set through the link (steps_link.c): writing the sysctl would generate
 * addresses. */
static bool is_of_link(const char *name)
{
	if (strncmp(name, "net/ipv6/conf/", 14) != 0 || !ends_with(name, "/addr_gen_mode"))
		return false;
	return strncmp(name + 14, "all/", 4) && strncmp(name + 14, "default/", 8);
}

static bool is_random_of_all(const char *name, const char *value)
{
	return !strcmp(name, "net/ipv6/conf/all/addr_gen_mode") && *value == '3';
}

/* Endpoints of MPTCP with a port need it switched on (mptcp_pm_nl_create_listen_socket() in net/mptcp/pm_kernel.c). */
static bool is_mptcp_off(const char *name, const char *value)
{
	return !strcmp(name, "net/mptcp/enabled") && *value == '0';
}

/* A limit on what sockets may have, which is below what a new namespace has: they may have got more before it was lowered.
 * ip-sysctl.rst, Documentation/admin-guide/sysctl/net.rst; what the kernel begins with: net/ipv4/igmp.c, net/ipv6/mcast.c,
 * net/core/net_namespace.c. */
static bool is_lowered_limit(const char *name, const char *value)
{
	static const struct {
		const char *name;
		long begins; /* with this */
	} limits[] = {
		{"net/ipv4/igmp_max_memberships", 20}, {"net/ipv4/igmp_max_msf", 10},
		{"net/ipv6/mld_max_msf", 64},          {"net/core/optmem_max", 128 << 10},
		{"net/core/somaxconn", 4096},
	};

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		if (!strcmp(limits[i].name, name))
			return strtol(value, NULL, 10) < limits[i].begins;
	return false;
}

/* The MTU of IPv6 is reset when a link goes up (addrconf_notify()), so it has to wait; and IPv6 is switched
 * off on a device that is up, as it was, because one that comes up without IPv6 keeps its group memberships. */
static enum sysctl_when when_of(const char *name, const char *value)
{
	bool v6 = !strncmp(name, "net/ipv6/conf/", 14);

	if (is_lowered_limit(name, value))
		return SYSCTL_LAST;
	if (is_mptcp_off(name, value) ||
	    (v6 && (ends_with(name, "/mtu") || (is_device_off(name) && *value == '1'))))
		return SYSCTL_LATE;
	return SYSCTL_FIRST;
}

/* Is it a file of a device, which one, and what does the link message say of it? */
static void look_for_device(struct sysctl_item *item)
{
	static const char v4[] = "net/ipv4/conf/", v6[] = "net/ipv6/conf/";
	int family = !strncmp(item->name, v4, sizeof(v4) - 1)   ? AF_INET
		     : !strncmp(item->name, v6, sizeof(v6) - 1) ? AF_INET6
								: 0;
	const char *device = family ? item->name + sizeof(v4) - 1 : "";
	size_t n = strcspn(device, "/");
	char text[24], *end;

	if (device[n] != '/' || n >= sizeof(item->device))
		return;
	memcpy(item->device, device, n);
	if (!strcmp(item->device, "all") || !strcmp(item->device, "default"))
		return;
	item->family = family;
	item->place = devconf_place(family, device + n + 1);
	item->number = strtoll(item->value, &end, 10);
	snprintf(text, sizeof(text), "%lld", (long long)item->number);
	if (strcmp(text, item->value))
		item->place = -1;
}

static char *plain(const char *text, struct err *e)
{
	struct buf b = {0};

	if (!escape_undo(&b, text, strlen(text), e) && !buf_add(&b, "", 1, e))
		return (char *)b.data;
	buf_free(&b);
	return NULL;
}

static struct sysctl_item *item_new(const char *name, const char *value, struct err *e)
{
	struct sysctl_item *item = calloc(1, sizeof(*item));

	if (item) {
		item->row_name = strdup(name);
		item->row_value = strdup(value);
	}
	if (!item || !item->row_name || !item->row_value) {
		err_set(e, ERR_NOMEM, "sysctls");
		goto failed;
	}
	item->name = plain(name, e);
	item->value = item->name ? plain(value, e) : NULL;
	if (!item->value)
		goto failed;
	item->use = !is_name(item->name)                        ? SYSCTL_NO_NAME
		    : is_of_machine(item->name)                 ? SYSCTL_OF_MACHINE
		    : is_of_link(item->name)                    ? SYSCTL_OF_LINK
		    : is_random_of_all(item->name, item->value) ? SYSCTL_RANDOM
								: SYSCTL_WRITE;
	item->rank = (uint8_t)rank(item->name);
	item->spreads = item->rank < ARRAY_SIZE(rank_rows) && rank_rows[item->rank].spreads;
	item->when = when_of(item->name, item->value);
	item->place = -1;
	look_for_device(item);
	return item;
failed:
	item_free(item);
	return NULL;
}

/* ---- items and lists ---- */

static bool is_row(const struct sysctl_item *item, const char *name, const char *value)
{
	return !strcmp(item->row_name, name) && !strcmp(item->row_value, value);
}

static uint64_t row_hash(const char *name, const char *value)
{
	return u64map_text(u64map_text(U64MAP_TEXT, name), value);
}

/* Room for one more in an array of n pointers; the memory grows at powers of two. */
static int grow(void **array, size_t n, struct err *e)
{
	void *grown;

	if (n & (n - 1))
		return 0;
	grown = reallocarray(*array, n ? n * 2 : 1, sizeof(void *));
	if (!grown)
		return err_set(e, ERR_NOMEM, "sysctls");
	*array = grown;
	return 0;
}

static struct sysctl_item *find_or_make(struct sysctl_rows *s, const char *name, const char *value,
					struct err *e)
{
	uint64_t hash = row_hash(name, value);
	struct sysctl_item *item;
	uint32_t at;

	for (; u64map_find(&s->at, hash, &at); hash++)
		if (is_row(s->items[at], name, value))
			return s->items[at];
	if (grow((void **)&s->items, s->n_items, e))
		return NULL;
	item = item_new(name, value, e);
	if (!item || u64map_put(&s->at, hash, (uint32_t)s->n_items, e)) {
		item_free(item);
		return NULL;
	}
	s->items[s->n_items++] = item;
	return item;
}

/* The namespaces of an image mostly have the same rows, and they come in the same order: the one that came after the
 * last one before is tried first. */
const struct sysctl_item *sysctl_rows_add(struct sysctl_rows *s, const char *name,
					  const char *value, struct err *e)
{
	struct sysctl_item *item = s->last->after;

	if (!item || !is_row(item, name, value)) {
		item = find_or_make(s, name, value, e);
		if (!item)
			return NULL;
		s->last->after = item;
	}
	s->last = item;
	if (item->use == SYSCTL_WRITE) {
		if (grow((void **)&s->row, s->n_row, e))
			return NULL;
		s->row[s->n_row++] = item;
	}
	return item;
}

/* By rank, and as they came within a rank. */
static void sort(struct sysctl_item **to, struct sysctl_item *const *from, size_t n)
{
	size_t at[ARRAY_SIZE(rank_rows) + 2] = {0};

	for (size_t i = 0; i < n; i++)
		at[from[i]->rank + 1]++;
	for (size_t i = 1; i < ARRAY_SIZE(at); i++)
		at[i] += at[i - 1];
	for (size_t i = 0; i < n; i++)
		to[at[from[i]->rank]++] = from[i];
}

struct sysctl_list *sysctl_rows_list(struct sysctl_rows *s, bool same_devices, struct err *e)
{
	const struct sysctl_list *before = s->n_lists ? s->lists[s->n_lists - 1] : NULL;
	struct sysctl_list *list = calloc(1, sizeof(*list));
	size_t n = s->n_row;

	s->n_row = 0;
	s->last = &s->first;
	if (list)
		list->items = calloc(n + 1, sizeof(*list->items));
	if (!list || !list->items) {
		err_set(e, ERR_NOMEM, "sysctls");
		list_free(list);
		return NULL;
	}
	list->n = n;
	sort(list->items, s->row, n);
	for (size_t i = 0; i < n; i++)
		list->has_last = list->has_last || list->items[i]->when == SYSCTL_LAST;
	if (same_devices && before && before->n == n &&
	    !memcmp(before->items, list->items, n * sizeof(struct sysctl_item *))) {
		list_free(list);
		return s->lists[s->n_lists - 1];
	}
	if (grow((void **)&s->lists, s->n_lists, e)) {
		list_free(list);
		return NULL;
	}
	return s->lists[s->n_lists++] = list;
}
