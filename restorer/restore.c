#include "restorer/restore.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/nft.h"

static void free_list(char **list)
{
	for (char **at = list; at && *at; at++)
		free(*at);
	free(list);
}

static void netns_release(struct restore_netns *n)
{
	nft_release(take_ptr(n->held));
	nl_free(n->rtnl);
	ns_free(n->ns);
	ns_free(n->made);
	if (n->rtnl_fd >= 0)
		close(take_fd(&n->rtnl_fd));
	n->rtnl = NULL;
	n->ns = n->made = NULL;
}

void restore_release(struct restore *r)
{
	ns_worker_drop(r->worker);
	ns_worker_drop(r->maker);
	if (r->tasks && r->tasks_free)
		r->tasks_free(r->tasks);
	r->tasks = NULL;
	ns_free(r->fresh);
	r->fresh = NULL;
	for (size_t i = 0; i < r->n_netns; i++)
		netns_release(&r->netns[i]);
	netns_release(&r->home);
	ns_worker_free(r->worker);
	ns_worker_free(r->maker);
	r->worker = r->maker = NULL;
	for (size_t i = 0; i < r->n_userns; i++) {
		if (r->userns[i].fd >= 0)
			close(r->userns[i].fd);
		r->userns[i].fd = -1;
	}
}

void restore_free(struct restore *r)
{
	if (!r)
		return;
	restore_release(r);
	for (size_t i = 0; i < r->n_netns; i++) {
		free(r->netns[i].name);
		free_list(r->netns[i].pins);
		free_list(r->netns[i].other_pins);
		free(r->netns[i].ext_key);
	}
	free(r->netns);
	sysctl_rows_free(r->sysctls);
	free(r->userns);
	free(r->reindexed);
	buf_free(&r->notes);
	journal_free(r->journal);
	free(r);
}

struct ns *restore_fresh(struct restore *r, struct err *e)
{
	if (!r->fresh)
		r->fresh = ns_new_by(r->worker, e);
	return r->fresh;
}

int restore_note(struct restore *r, struct err *e, const char *fmt, ...)
{
	char line[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	return buf_printf(&r->notes, e, "%s\n", line);
}

/* The name of a pin directly under /run/netns (or its older path), which is what ip netns knows. */
static const char *pin_name(const char *path)
{
	static const char *const dirs[] = {"/run/netns/", "/var/run/netns/"};

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		size_t n = strlen(dirs[i]);

		if (!strncmp(path, dirs[i], n) && path[n] && !strchr(path + n, '/'))
			return path + n;
	}
	return NULL;
}

/* Each once. */
static int list_add(char ***list, const char *text, struct err *e)
{
	size_t n = 0;
	char **grown;

	for (; *list && (*list)[n]; n++)
		if (!strcmp((*list)[n], text))
			return 0;
	grown = reallocarray(*list, n + 2, sizeof(*grown));
	if (!grown)
		return err_set(e, ERR_NOMEM, "pins");
	*list = grown;
	grown[n + 1] = NULL;
	grown[n] = strdup(text);
	return grown[n] ? 0 : err_set(e, ERR_NOMEM, "pins");
}

static int netns_pin(struct restore_netns *n, const char *pins, struct err *e)
{
	auto_json struct json *array = json_parse(pins, strlen(pins), e);

	if (!array)
		return -1;
	for (size_t i = 0; i < json_len(array); i++) {
		const char *path = json_str(json_at(array, i));
		const char *name = path ? pin_name(path) : NULL;

		if (path && list_add(name ? &n->pins : &n->other_pins, path, e))
			return -1;
	}
	return 0;
}

/* Which --netns is meant for it: its key, its name or nsN; "host" is the dumper's own. */
static const char *mapped_target(const struct restore *r, const struct restore_netns *n)
{
	char id[24];

	snprintf(id, sizeof(id), "ns%lld", (long long)n->ns_id);
	for (size_t i = 0; i < r->opts->n_netns; i++) {
		const char *key = r->opts->netns[i].key;

		if ((n->ext_key && !strcmp(key, n->ext_key)) || !strcmp(key, n->name) ||
		    !strcmp(key, id) || (n->caller && !strcmp(key, "host")))
			return r->opts->netns[i].target;
	}
	return NULL;
}

static int netns_row(struct restore *r, const struct query *q, struct err *e)
{
	struct restore_netns *grown, *n;

	grown = realloc(r->netns, (r->n_netns + 1) * sizeof(*grown));
	if (!grown)
		return err_set(e, ERR_NOMEM, "namespaces of the image");
	r->netns = grown;
	n = &grown[r->n_netns++];
	*n = (struct restore_netns){
		.row = query_int(q, 0),
		.ns_id = query_int(q, 1),
		.name = strdup(query_text(q, 2)),
		.owner = query_is_null(q, 3) ? -1 : query_int(q, 3),
		.caller = query_int(q, 5) != 0,
		.ext_key = query_is_null(q, 6) ? NULL : strdup(query_text(q, 6)),
		.rtnl_fd = -1,
	};
	/* An ext_key says that CRIU does not make it: the user gives it (design, section 8). */
	n->external = query_int(q, 4) != 0 || n->ext_key;
	if (!n->name || (!query_is_null(q, 6) && !n->ext_key))
		return err_set(e, ERR_NOMEM, "namespaces of the image");
	n->target = mapped_target(r, n);
	/* A namespace of the image that the user maps is given, not made. */
	n->external = n->external || n->target;
	return netns_pin(n, query_text(q, 7), e);
}

static int load_netns(struct restore *r, struct err *e)
{
	auto_query struct query *q =
		query_new(r->db,
			  "SELECT id, ns_id, coalesce(name, 'ns' || ns_id), owner, external, "
			  "caller, ext_key, pins FROM netns WHERE image = :image ORDER BY id",
			  e);
	int got;

	if (!q || query_bind_int(q, "image", r->image, e))
		return -1;
	while ((got = query_next(q, e)) == 1)
		if (netns_row(r, q, e))
			return -1;
	return got;
}

static int load_userns(struct restore *r, struct err *e)
{
	auto_query struct query *q = query_new(
		r->db,
		"SELECT ns_id, parent, external FROM userns WHERE image = :image ORDER BY id", e);
	int got;

	if (!q || query_bind_int(q, "image", r->image, e))
		return -1;
	while ((got = query_next(q, e)) == 1) {
		struct restore_userns *grown =
			realloc(r->userns, (r->n_userns + 1) * sizeof(*grown));

		if (!grown)
			return err_set(e, ERR_NOMEM, "user namespaces of the image");
		r->userns = grown;
		grown[r->n_userns++] =
			(struct restore_userns){query_int(q, 0), query_int(q, 2) != 0, -1};
	}
	return got;
}

/* Each --netns must mean a namespace of the image: a typo would otherwise build something else. */
static int check_keys(const struct restore *r, struct err *e)
{
	for (size_t i = 0; i < r->opts->n_netns; i++) {
		const struct restore_netns *meant = NULL;

		for (size_t k = 0; k < r->n_netns; k++) {
			if (r->netns[k].target != r->opts->netns[i].target)
				continue;
			if (meant)
				return err_set(
					e, ERR_USAGE,
					"--netns %s=%s: means two namespaces of the image, "
					"ns%lld and ns%lld: give ns%lld or ns%lld",
					r->opts->netns[i].key, r->opts->netns[i].target,
					(long long)meant->ns_id, (long long)r->netns[k].ns_id,
					(long long)meant->ns_id, (long long)r->netns[k].ns_id);
			meant = &r->netns[k];
		}
		if (!meant)
			return err_set(e, ERR_USAGE,
				       "--netns %s=%s: the image has no namespace with that key or "
				       "name ('nsimg tree' lists them)",
				       r->opts->netns[i].key, r->opts->netns[i].target);
	}
	return 0;
}

struct restore *restore_new(struct db *db, int64_t image, const struct restore_opts *opts,
			    struct err *e)
{
	auto_restore struct restore *r = calloc(1, sizeof(*r));

	if (!r) {
		err_set(e, ERR_NOMEM, "restore");
		return NULL;
	}
	r->db = db;
	r->image = image;
	r->opts = opts;
	r->home.rtnl_fd = -1;
	if (load_netns(r, e) || load_userns(r, e) || check_keys(r, e))
		return NULL;
	return take_ptr(r);
}

struct restore_netns *restore_netns_find(const struct restore *r, int64_t row)
{
	size_t lo = 0, hi = r->n_netns;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (r->netns[mid].row == row)
			return &r->netns[mid];
		if (r->netns[mid].row < row)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

struct restore_netns *restore_netns_by_id(const struct restore *r, int64_t ns_id)
{
	for (size_t i = 0; i < r->n_netns; i++)
		if (r->netns[i].ns_id == ns_id)
			return &r->netns[i];
	return NULL;
}

struct restore_userns *restore_userns_find(const struct restore *r, int64_t ns_id)
{
	for (size_t i = 0; i < r->n_userns; i++)
		if (r->userns[i].ns_id == ns_id)
			return &r->userns[i];
	return NULL;
}

struct ns *restore_ns(struct restore *r, int64_t row, struct err *e)
{
	struct restore_netns *n = restore_netns_find(r, row);

	if (!n || !n->ns) {
		err_set(e, ERR_NOTFOUND, "namespace %s does not exist yet",
			n ? n->name : "(not in the image)");
		return NULL;
	}
	return n->ns;
}

static struct nl *netns_rtnl(struct restore_netns *n, struct ns *ns, struct err *e)
{
	if (ns && !n->rtnl)
		n->rtnl = n->rtnl_fd >= 0 ? nl_from_fd(take_fd(&n->rtnl_fd), NETLINK_ROUTE, e)
					  : nl_open_in(ns, NETLINK_ROUTE, e);
	return ns ? n->rtnl : NULL;
}

struct nl *restore_rtnl(struct restore *r, int64_t row, struct err *e)
{
	struct ns *ns = restore_ns(r, row, e);

	return netns_rtnl(restore_netns_find(r, row), ns, e);
}

char *restore_target_path(const struct restore_netns *n, struct err *e)
{
	char *path;

	if (asprintf(&path, "%s%s", strchr(n->target, '/') ? "" : "/run/netns/", n->target) >= 0)
		return path;
	err_set(e, ERR_NOMEM, "path of a namespace");
	return NULL;
}

static struct ns *open_target(const struct restore_netns *n, struct err *e)
{
	auto_free char *path = restore_target_path(n, e);

	return path ? ns_open_path(path, e) : NULL;
}

static struct restore_netns *outside(struct restore *r, int64_t row)
{
	return row ? restore_netns_find(r, row) : &r->home;
}

struct ns *restore_outside(struct restore *r, int64_t row, struct err *e)
{
	struct restore_netns *n = outside(r, row);

	if (!n->ns) {
		n->ns = row ? open_target(n, e) : ns_open_self(e);
		if (n->ns)
			ns_use_worker(n->ns, r->worker);
	}
	return n->ns;
}

struct nl *restore_outside_rtnl(struct restore *r, int64_t row, struct err *e)
{
	return netns_rtnl(outside(r, row), restore_outside(r, row, e), e);
}

/* Each namespace takes two descriptors (itself and its rtnetlink socket). */
static void raise_limit(void)
{
	struct rlimit lim;

	if (!getrlimit(RLIMIT_NOFILE, &lim) && lim.rlim_cur < lim.rlim_max) {
		lim.rlim_cur = lim.rlim_max;
		setrlimit(RLIMIT_NOFILE, &lim);
	}
}

/* Two descriptors of each namespace, one of each process, and some: the table gets that large before there are
 * threads (base/ns.h). When there may not be so many, what needs them will say so. */
static int start_workers(struct restore *r, struct err *e)
{
	auto_close int root = open("/", O_PATH | O_CLOEXEC);
	int high = fcntl(root, F_DUPFD_CLOEXEC, 64 + 3 * (int)r->n_netns);

	if (high >= 0)
		close(high);
	r->worker = ns_worker_new(false, e);
	r->maker = r->worker ? ns_worker_new(false, e) : NULL;
	return r->maker ? 0 : -1;
}

bool restore_makes_early(const struct restore *r, const struct restore_netns *n)
{
	const struct restore_userns *owner = restore_userns_find(r, n->owner);

	return !n->external && (!owner || owner->external);
}

/* In the new namespace, where nobody has to go for it any more. */
static int open_rtnl(void *netns, struct err *e)
{
	struct restore_netns *n = netns;

	n->rtnl_fd = nl_open_fd(NETLINK_ROUTE, 0, e);
	return n->rtnl_fd < 0 ? -1 : 0;
}

int restore_prepare(struct restore *r, struct err *e)
{
	raise_limit();
	if (start_workers(r, e))
		return -1;
	for (size_t i = 0; i < r->n_netns; i++) {
		struct restore_netns *n = &r->netns[i];

		if (!restore_makes_early(r, n))
			continue;
		n->made = ns_worker_post_new(r->maker, open_rtnl, n, e);
		if (!n->made)
			return -1;
	}
	return 0;
}
