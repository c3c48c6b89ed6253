#include "restorer/sk_spec.h"

#include <linux/if_tun.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/json.h"
#include "base/u64map.h"

/* ---- rows ---- */

/* Where a name is in the slots, or the free one where it belongs. */
static const struct spec_column *slot_of(const struct spec_row *r, const char *name)
{
	size_t n = strlen(name);
	unsigned h = (unsigned)n * 31 + (unsigned char)name[n / 2] * 7 +
		     (unsigned char)name[n - 1] * 131;

	for (;; h++) {
		const struct spec_column *c = &r->slots[h % SPEC_SLOTS];

		if (!c->name || !strcmp(c->name, name))
			return c;
	}
}

void spec_row_init(struct spec_row *r, const struct query *q)
{
	int n = query_n_columns(q);

	*r = (struct spec_row){.q = q};
	for (int i = 0; i < n && i < SPEC_COLUMNS; i++) {
		struct spec_column *c = &r->slots[slot_of(r, query_column_name(q, i)) - r->slots];

		if (!c->name)
			*c = (struct spec_column){query_column_name(q, i), i};
	}
	for (size_t i = 0; i < sockopt_count() && i < SPEC_OPTIONS; i++) {
		const struct sockopt *row = sockopt_get(i);
		int col = sk_option_column(r, row, "_sec");

		if (col >= 0)
			r->options[r->n_options++] =
				(struct spec_option){row, col, sk_option_column(r, row, "_usec")};
	}
}

int spec_col(const struct spec_row *r, const char *name)
{
	const struct spec_column *c = slot_of(r, name);

	return c->name ? c->col : -1;
}

bool spec_has(const struct spec_row *r, const char *name)
{
	int col = spec_col(r, name);

	return col >= 0 && !query_is_null(r->q, col);
}

int64_t spec_int(const struct spec_row *r, const char *name, int64_t absent)
{
	int col = spec_col(r, name);
	int64_t v;

	return col >= 0 && query_get_int(r->q, col, &v) ? v : absent;
}

const char *spec_text(const struct spec_row *r, const char *name)
{
	int col = spec_col(r, name);

	return col >= 0 ? query_text(r->q, col) : NULL;
}

char *spec_strdup(const char *text, struct err *e)
{
	char *copy = strdup(text ? text : "");

	if (!copy)
		err_set(e, ERR_NOMEM, "out of memory");
	return copy;
}

static int __attribute__((format(printf, 3, 0)))
set_text(char **to, struct err *e, const char *fmt, va_list ap)
{
	auto_buf struct buf text = {0};

	free(*to);
	*to = buf_vprintf(&text, e, fmt, ap) ? NULL : spec_strdup((const char *)text.data, e);
	return *to ? 0 : -1;
}

int sk_set_label(struct sk_file *f, struct err *e, const char *fmt, ...)
{
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = set_text(&f->label, e, fmt, ap);
	va_end(ap);
	return rc;
}

int sk_leave_out(struct sk_file *f, struct err *e, const char *reason, ...)
{
	va_list ap;
	int rc;

	va_start(ap, reason);
	rc = set_text(&f->left_out, e, reason, ap);
	va_end(ap);
	return rc;
}

int sk_lose(struct sk_specs *s, struct err *e, const char *object, const char *reason, ...)
{
	struct sk_loss *grown = realloc(s->losses, (s->n_losses + 1) * sizeof(*grown));
	struct sk_loss *l;
	va_list ap;
	int rc;

	if (!grown)
		return err_set(e, ERR_NOMEM, "out of memory");
	s->losses = grown;
	l = &grown[s->n_losses++];
	*l = (struct sk_loss){spec_strdup(object, e), NULL};
	va_start(ap, reason);
	rc = set_text(&l->reason, e, reason, ap);
	va_end(ap);
	return l->object ? rc : -1;
}

/* ---- tasks and descriptors ---- */

static int add_task(struct sk_specs *s, const struct spec_row *r, struct err *e)
{
	struct sk_task *t;

	if (s->n_tasks % 64 == 0) {
		t = realloc(s->tasks, (s->n_tasks + 64) * sizeof(*t));
		if (!t)
			return err_set(e, ERR_NOMEM, "tasks of the image");
		s->tasks = t;
	}
	t = &s->tasks[s->n_tasks++];
	*t = (struct sk_task){
		.row = spec_int(r, "id", 0),
		.pid = (pid_t)spec_int(r, "pid", 0),
		.ppid = (pid_t)spec_int(r, "ppid", 0),
		.netns = spec_int(r, "netns", 0),
		.userns = spec_int(r, "userns_made", -1),
		.mntns = spec_int(r, "mntns", 0),
	};
	snprintf(t->comm, sizeof(t->comm), "%s",
		 spec_text(r, "comm") ? spec_text(r, "comm") : "task");
	return 0;
}

/* A zombie (task_state 6, TASK_ZOMBIE; 2, TASK_DEAD) has neither namespace nor descriptors. A user namespace
 * outside the image is not entered: the holder stays in the restorer's. */
static int load_tasks(struct sk_specs *s, struct db *db, int64_t image, struct err *e)
{
	auto_query struct query *q = query_new(
		db,
		"SELECT t.id, t.pid, t.ppid, t.comm, t.netns, t.mntns, u.ns_id AS userns_made FROM "
		"task t "
		"LEFT JOIN userns u ON u.image = t.image AND u.ns_id = t.userns AND u.external = 0 "
		"WHERE t.image = :image AND coalesce(t.state, 1) NOT IN (2, 6) "
		"AND t.netns IS NOT NULL ORDER BY t.id",
		e);
	struct spec_row r;
	int got;

	if (!q || query_bind_int(q, ":image", image, e))
		return -1;
	spec_row_init(&r, q);
	while ((got = query_next(q, e)) == 1)
		if (add_task(s, &r, e))
			return -1;
	return got;
}

/* Beyond what fs.nr_open may be (sysctl_nr_open_max of fs/file.c), with room to count on. */
#define FD_MAX (1 << 30)

static int add_fd(struct sk_task *t, int fd, size_t file, bool cloexec, struct err *e)
{
	if (t->n_fds && t->fds[t->n_fds - 1].fd == fd)
		return err_set(e, ERR_CONFLICT, "task %s(%d) has descriptor %d twice in the image",
			       t->comm, (int)t->pid, fd);
	if (t->n_fds % 16 == 0) {
		struct sk_fd *grown = realloc(t->fds, (t->n_fds + 16) * sizeof(*grown));

		if (!grown)
			return err_set(e, ERR_NOMEM, "descriptors of the image");
		t->fds = grown;
	}
	t->fds[t->n_fds++] = (struct sk_fd){fd, file, cloexec};
	return 0;
}

/* files maps file_entry.id to the index of the file. */
static int load_fds(struct sk_specs *s, struct db *db, int64_t image, const struct u64map *files,
		    struct err *e)
{
	auto_query struct query *q =
		query_new(db,
			  "SELECT t.id, f.fd, f.file_id, f.flags FROM task t NOT INDEXED "
			  "CROSS JOIN fd f ON f.image = t.image AND f.files_id = t.files_id "
			  "WHERE t.image = :image ORDER BY t.id, f.fd",
			  e);
	struct sk_task *t = s->tasks, *end = s->tasks + s->n_tasks;
	int got;

	if (!q || query_bind_int(q, ":image", image, e))
		return -1;
	while ((got = query_next(q, e)) == 1) {
		int64_t fd = query_int(q, 1);
		uint32_t file;

		while (t < end && t->row < query_int(q, 0))
			t++;
		if (t == end)
			break;
		if (t->row != query_int(q, 0) ||
		    !u64map_find(files, (uint64_t)query_int(q, 2), &file))
			continue;
		if (fd < 0 || fd > FD_MAX)
			return err_set(e, ERR_RANGE, "task %s(%d): descriptor number %lld", t->comm,
				       (int)t->pid, (long long)fd);
		if (add_fd(t, (int)fd, file, query_int(q, 3) & 1, e))
			return -1;
	}
	return got < 0 ? -1 : 0;
}

/* ---- files ---- */

static struct sk_file *add_file(struct sk_specs *s, struct u64map *files, uint32_t id, int64_t row,
				struct err *e)
{
	struct sk_file *f;

	if (!(s->n_files & (s->n_files - 1))) {
		f = realloc(s->files, (s->n_files ? s->n_files * 2 : 1) * sizeof(*f));
		if (!f) {
			err_set(e, ERR_NOMEM, "sockets of the image");
			return NULL;
		}
		s->files = f;
	}
	f = &s->files[s->n_files];
	*f = (struct sk_file){
		.file_id = id, .row = row, .creator = SK_NONE, .uid = -1, .bind_order = -1};
	f->un.peer = f->un.pair = SK_NONE;
	if (u64map_put(files, id, (uint32_t)s->n_files, e))
		return NULL;
	s->n_files++;
	return f;
}

static int load_owner(struct sk_file *f, const char *text, struct err *e)
{
	auto_json struct json *j = text ? json_parse(text, strlen(text), e) : NULL;
	static const char *const keys[] = {"pid_type", "pid", "signum"};
	int64_t v[3] = {0};

	if (text && !j)
		return -1;
	for (size_t i = 0; j && i < ARRAY_SIZE(keys); i++)
		if (json_get(j, keys[i]) && json_to_int(json_get(j, keys[i]), &v[i], keys[i], e))
			return -1;
	f->owner = (struct sk_owner){(int)v[0], (pid_t)v[1], (int)v[2]};
	return 0;
}

static int load_common(struct sk_specs *s, struct sk_file *f, const struct spec_row *r,
		       struct err *e)
{
	f->ino = (uint32_t)spec_int(r, "ino", 0);
	f->netns = spec_int(r, "netns", 0);
	f->family = (int)spec_int(r, "family", 0);
	f->type = (int)spec_int(r, "type", 0);
	f->protocol = (int)spec_int(r, "protocol", 0);
	f->state = (int)spec_int(r, "state", 7);
	f->flags = (uint32_t)spec_int(r, "flags", 0);
	f->shutdown = (int)spec_int(r, "shutdown", 0);
	f->uid = spec_int(r, "uid", -1);
	f->n_waiting = spec_int(r, "inq_len", 0) + spec_int(r, "queued", 0);
	return load_owner(f, spec_text(r, "fown"), e) || sk_load_options(s, f, r, e) ||
			       sk_load_members(f, r, e)
		       ? -1
		       : 0;
}

/* What was in a socket when it was dumped, and is not put into the one that takes its place. */
static int lose_content(struct sk_specs *s, const struct sk_file *f, const struct spec_row *r,
			struct err *e)
{
	const struct {
		int64_t n;
		const char *what;
	} rows[] = {
		{f->n_waiting, SK_WAITING},
		{spec_int(r, "n_unaccepted", 0), "connections that wait to be accepted"},
		{spec_int(r, "in_flight", 0), "descriptors in flight in it (SCM_RIGHTS)"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].n &&
		    sk_lose(s, e, f->label, "%lld %s", (long long)rows[i].n, rows[i].what))
			return -1;
	return 0;
}

static int load_socket(struct sk_specs *s, struct sk_file *f, const struct spec_row *r,
		       struct err *e)
{
	static const struct {
		int family;
		enum sk_kind kind;
		int (*load)(struct sk_file *f, const struct spec_row *r, struct err *e);
	} families[] = {
		{AF_INET, SK_INET, sk_load_inet},       {AF_INET6, SK_INET, sk_load_inet},
		{AF_UNIX, SK_UNIX, sk_load_unix},       {AF_NETLINK, SK_NETLINK, sk_load_netlink},
		{AF_PACKET, SK_PACKET, sk_load_packet},
	};
	if (load_common(s, f, r, e))
		return -1;
	f->above_somaxconn = spec_int(r, "queue_limit", 0) > spec_int(r, "somaxconn", 4096);
	if (!f->netns && sk_leave_out(f, e, "the image does not tell its namespace"))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		if (families[i].family != f->family)
			continue;
		f->kind = families[i].kind;
		if (families[i].load(f, r, e))
			return -1;
		if (f->left_out || !f->label)
			return 0;
		if (spec_int(r, "bpf_filter", 0) &&
		    sk_lose(s, e, f->label, "its eBPF filter: the kernel does not give it out"))
			return -1;
		return lose_content(s, f, r, e);
	}
	f->kind = SK_KIND_COUNT;
	if (sk_set_label(f, e, "socket of family %d type %d protocol %d (inode %u)", f->family,
			 f->type, f->protocol, f->ino))
		return -1;
	return sk_leave_out(f, e, "sockets of this family are recorded, not restored");
}

/* Asked for once: most images have none. */
#define HAS_QUEUES "EXISTS (SELECT 1 FROM socket_queue WHERE image = :image)"

/* In the order in which they were made (inode numbers of sockets grow); sk_sort_groups knows better for some. */
static const char sockets_sql[] =
	"SELECT s.*, i.bind_order, i.src, i.src_port, i.dst, i.dst_port, i.src_scope, i.dst_scope, "
	"i.v6only, "
	"i.ifname, i.freebind, i.pktinfo, i.tos, i.ttl, i.hdrincl, i.nodefrag, i.icmpv_filter, "
	"i.cork, i.nodelay, coalesce(i.keepcnt, s.tcp_keepcnt) AS keepcnt, "
	"coalesce(i.keepidle, s.tcp_keepidle) AS keepidle, "
	"coalesce(i.keepintvl, s.tcp_keepintvl) AS keepintvl, coalesce(i.n_unaccepted, "
	"u.n_unaccepted) AS n_unaccepted, "
	"u.name, u.name_dir, u.bound_path, u.peer, u.deleted, u.mode AS file_mode, u.uid AS "
	"file_uid, "
	"u.gid AS file_gid, n.portid, n.groups, n.dst_portid, n.dst_group, "
	"p.socket AS is_packet, p.ifindex, p.version, p.reserve, p.aux_data, p.orig_dev, "
	"p.vnet_hdr, "
	"p.loss, p.timestamp, p.copy_thresh, p.fanout, p.mclist, p.rx_ring, p.tx_ring, "
	"coalesce(i.backlog, u.backlog, 0) AS queue_limit, "
	"coalesce(u.rights, iif(" HAS_QUEUES
	", (SELECT sum(json_array_length(rights)) FROM socket_queue k WHERE "
	"k.image = s.image AND k.file_id = s.file_id AND json_valid(rights)), NULL)) AS in_flight, "
	"iif(coalesce(i.backlog, u.backlog) <> 0, (SELECT CAST(value AS INTEGER) FROM sysctl y "
	"WHERE y.netns = s.netns AND y.name = 'net/core/somaxconn'), NULL) AS somaxconn, "
	"iif(" HAS_QUEUES ", (SELECT sum(length) FROM socket_queue k WHERE k.image = s.image AND "
	"s.inq_len IS NULL AND k.file_id = s.file_id), NULL) AS queued "
	"FROM socket s LEFT JOIN inet_socket i ON i.socket = iif(s.family IN (2, 10), s.id, NULL) "
	"LEFT JOIN unix_socket u ON u.socket = iif(s.family = 1, s.id, NULL) "
	"LEFT JOIN netlink_socket n ON n.socket = iif(s.family = 16, s.id, NULL) "
	"LEFT JOIN packet_socket p ON p.socket = iif(s.family = 17, s.id, NULL) "
	"WHERE s.image = :image ORDER BY s.ino, s.id";

/* The files that have a descriptor, as keys: all at once is faster than one by one. */
static int load_held(struct u64map *held, struct db *db, int64_t image, struct err *e)
{
	auto_query struct query *q =
		query_new(db, "SELECT file_id FROM fd WHERE image = :image", e);
	int got;

	if (!q || query_bind_int(q, ":image", image, e))
		return -1;
	while ((got = query_next(q, e)) == 1)
		if (u64map_put(held, (uint64_t)query_int(q, 0), 0, e))
			return -1;
	return got;
}

static int load_sockets(struct sk_specs *s, struct db *db, int64_t image, struct u64map *files,
			struct err *e)
{
	auto_query struct query *q = query_new(db, sockets_sql, e);
	__attribute__((cleanup(u64map_free))) struct u64map held = {0};
	struct spec_row r;
	int got;

	if (!q || query_bind_int(q, ":image", image, e) || load_held(&held, db, image, e))
		return -1;
	spec_row_init(&r, q);
	while ((got = query_next(q, e)) == 1) {
		int64_t row = spec_int(&r, "id", 0), id = spec_int(&r, "file_id", 0);
		struct sk_file *f;

		if (!u64map_find(&held, (uint64_t)id, &(uint32_t){0}))
			continue;
		f = add_file(s, files, (uint32_t)id, row, e);
		if (!f || load_socket(s, f, &r, e))
			return err_wrap(e, "socket %lld of the database", (long long)row);
	}
	return got ? got : sk_sort_groups(s, files, e);
}

/* CRIU's record of a tun descriptor has no flags; they are those of its device then. */
static uint32_t device_flags(const struct spec_row *r)
{
	uint32_t flags = spec_int(r, "tun_type", 1) == 1 ? IFF_TUN : IFF_TAP;

	if (!spec_int(r, "tun_pi", 0))
		flags |= IFF_NO_PI;
	if (spec_int(r, "tun_vnet", 0))
		flags |= IFF_VNET_HDR;
	if (spec_int(r, "tun_mq", 0))
		flags |= IFF_MULTI_QUEUE;
	if (spec_int(r, "tun_persist", 1))
		flags |= IFF_PERSIST;
	return flags;
}

static int load_tuns(struct sk_specs *s, struct db *db, int64_t image, struct u64map *files,
		     struct err *e)
{
	auto_query struct query *q =
		query_new(db,
			  "SELECT t.id, t.file_id, t.netdev, t.detached, t.netns, "
			  "coalesce(t.flags, json_extract(d.attrs, '$.flags')) AS flags, "
			  "json_extract(d.attrs, '$.type') AS tun_type, json_extract(d.attrs, "
			  "'$.pi') AS tun_pi, "
			  "json_extract(d.attrs, '$.vnet_hdr') AS tun_vnet, "
			  "json_extract(d.attrs, '$.multi_queue') AS tun_mq, "
			  "json_extract(d.attrs, '$.persist') AS tun_persist, "
			  "json_extract(d.attrs, '$.sndbuf') AS tun_sndbuf FROM tun_file t "
			  "LEFT JOIN device d ON d.netns = t.netns AND d.name = t.netdev "
			  "WHERE t.image = :image ORDER BY t.id",
			  e);
	struct spec_row r;
	int got;

	if (!q || query_bind_int(q, ":image", image, e))
		return -1;
	spec_row_init(&r, q);
	while ((got = query_next(q, e)) == 1) {
		struct sk_file *f = add_file(s, files, (uint32_t)spec_int(&r, "file_id", 0),
					     spec_int(&r, "id", 0), e);

		if (!f)
			return -1;
		f->kind = SK_TUN;
		f->netns = spec_int(&r, "netns", 0);
		f->tun.device =
			spec_text(&r, "netdev") ? spec_strdup(spec_text(&r, "netdev"), e) : NULL;
		f->tun.detached = spec_int(&r, "detached", 0);
		f->tun.sndbuf = (int)spec_int(&r, "tun_sndbuf", 0);
		f->tun.flags = spec_has(&r, "flags") ? (uint32_t)spec_int(&r, "flags", 0)
						     : device_flags(&r);
		/* the same bit is IFF_NOFILTER, which TUNGETIFF shows of a descriptor without a filter */
		if (spec_has(&r, "tun_pi"))
			f->tun.flags = (f->tun.flags & ~(uint32_t)IFF_NO_PI) |
				       (device_flags(&r) & IFF_NO_PI);
		if (sk_set_label(f, e, "tun descriptor of %s",
				 f->tun.device ? f->tun.device : "no device"))
			return -1;
	}
	return got;
}

static int load_nsfs(struct sk_specs *s, struct db *db, int64_t image, struct u64map *files,
		     struct err *e)
{
	auto_query struct query *q = query_new(
		db,
		"SELECT f.id, f.file_id, f.ns_id, f.cflag, f.flags, n.id AS netns_row, n.name, "
		"u.id AS userns_row FROM ns_file f "
		"LEFT JOIN netns n ON n.image = f.image AND n.ns_id = f.ns_id "
		"LEFT JOIN userns u ON u.image = f.image AND u.ns_id = f.ns_id AND u.external = 0 "
		"WHERE f.image = :image ORDER BY f.id",
		e);
	struct spec_row r;
	int got, rc;

	if (!q || query_bind_int(q, ":image", image, e))
		return -1;
	spec_row_init(&r, q);
	while ((got = query_next(q, e)) == 1) {
		int64_t cflag = spec_int(&r, "cflag", 0);
		struct sk_file *f = add_file(s, files, (uint32_t)spec_int(&r, "file_id", 0),
					     spec_int(&r, "id", 0), e);

		if (!f)
			return -1;
		f->kind = SK_NSFS;
		f->flags = (uint32_t)spec_int(&r, "flags", 0);
		f->ns.is_user = cflag == CLONE_NEWUSER;
		f->ns.target =
			f->ns.is_user ? spec_int(&r, "ns_id", 0) : spec_int(&r, "netns_row", 0);
		if (cflag == CLONE_NEWNET && spec_has(&r, "netns_row"))
			rc = sk_set_label(f, e, "descriptor of namespace %s",
					  spec_text(&r, "name") ? spec_text(&r, "name") : "?");
		else if (f->ns.is_user && spec_has(&r, "userns_row"))
			rc = sk_set_label(f, e, "descriptor of user namespace %lld",
					  (long long)f->ns.target);
		else
			rc = sk_set_label(f, e, "descriptor of namespace %lld",
					  (long long)spec_int(&r, "ns_id", 0)) ||
			     sk_leave_out(f, e,
					  "the image has no network or user namespace of that id");
		if (rc)
			return -1;
	}
	return got;
}

/* ---- the whole ---- */

bool sk_task_has(const struct sk_task *t, size_t file)
{
	for (size_t i = 0; i < t->n_fds; i++)
		if (t->fds[i].file == file)
			return true;
	return false;
}

bool sk_task_wants(const struct sk_task *t, int fd)
{
	size_t lo = 0, hi = t->n_fds;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (t->fds[mid].fd == fd)
			return true;
		if (t->fds[mid].fd < fd)
			lo = mid + 1;
		else
			hi = mid;
	}
	return false;
}

bool sk_unix_is_named(const struct sk_file *f)
{
	return f->kind == SK_UNIX && f->local_len > 0;
}

static void set_creators(struct sk_specs *s)
{
	for (size_t t = 0; t < s->n_tasks; t++)
		for (size_t i = 0; i < s->tasks[t].n_fds; i++) {
			struct sk_file *f = &s->files[s->tasks[t].fds[i].file];

			if (f->creator == SK_NONE)
				f->creator = t;
		}
}

struct sk_specs *sk_specs_load(struct db *db, int64_t image, struct err *e)
{
	auto_specs struct sk_specs *s = calloc(1, sizeof(*s));
	struct u64map files = {0};
	int rc;

	if (!s) {
		err_set(e, ERR_NOMEM, "tasks of the image");
		return NULL;
	}
	rc = load_tasks(s, db, image, e) || load_sockets(s, db, image, &files, e) ||
	     load_tuns(s, db, image, &files, e) || load_nsfs(s, db, image, &files, e) ||
	     load_fds(s, db, image, &files, e);
	u64map_free(&files);
	if (rc)
		return NULL;
	set_creators(s);
	return sk_resolve(s, e) || sk_place_files(s, e) ? NULL : take_ptr(s);
}

static void file_free(struct sk_file *f)
{
	for (size_t i = 0; i < f->n_members; i++)
		free(f->members[i].sources);
	free(f->members);
	free(f->label);
	free(f->left_out);
	free(f->scope_device);
	free(f->un.root);
	free(f->un.dir);
	free(f->un.file);
	free(f->un.aside);
	free(f->nl.groups);
	free(f->pk.members);
	free(f->tun.device);
}

void sk_specs_free(struct sk_specs *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_files; i++)
		file_free(&s->files[i]);
	for (size_t i = 0; i < s->n_tasks; i++)
		free(s->tasks[i].fds);
	for (size_t i = 0; i < s->n_losses; i++) {
		free(s->losses[i].object);
		free(s->losses[i].reason);
	}
	sk_options_release(s);
	free(s->files);
	free(s->tasks);
	free(s->losses);
	free(s);
}
