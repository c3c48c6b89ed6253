#include "inspect/diff_match.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "inspect/sockets.h"

/* An object of one side. What the fields mean depends on the kind; unused ones are NULL or 0. */
struct object {
	int64_t id;    /* of its row */
	int64_t key;   /* netns: ns_id, task: pid, socket: ino */
	int64_t netns; /* task, socket: netns.id it is in */
	char *label;
	char *name;   /* netns: pins as JSON, ext_key or chosen name; task: comm */
	char *strong; /* netns: devices with their addresses; NULL: nothing of its own */
	char *weak;   /* netns: names of devices; task: descriptors; socket: what it is */
	long pair;    /* -1: none yet */
};

struct objects {
	struct object *at;
	size_t n, cap;
};

/* A descriptor of a task that is a socket: rows of both sides, ordered by task and fd. */
struct holding {
	int64_t task, fd, socket;
};

struct holdings {
	struct holding *at;
	size_t n, cap;
};

struct match {
	struct objects sets[2][MATCH_KIND_COUNT];
	struct holdings held[2];
	long n_pairs[MATCH_KIND_COUNT];
	struct pair {
		struct object *of[2];
	} * pairs[MATCH_KIND_COUNT];
};

/* ---- loading ---- */

static void objects_free(struct objects *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->at[i].label);
		free(s->at[i].name);
		free(s->at[i].strong);
		free(s->at[i].weak);
	}
	free(s->at);
}

void match_free(struct match *m)
{
	if (!m)
		return;
	for (int side = 0; side < 2; side++) {
		for (int kind = 0; kind < MATCH_KIND_COUNT; kind++)
			objects_free(&m->sets[side][kind]);
		free(m->held[side].at);
	}
	for (int kind = 0; kind < MATCH_KIND_COUNT; kind++)
		free(m->pairs[kind]);
	free(m);
}

static int copy_text(const struct query *q, int col, char **out, struct err *e)
{
	const char *s = query_text(q, col);

	*out = s ? strdup(s) : NULL;
	return s && !*out ? err_set(e, ERR_NOMEM, "comparison: out of memory") : 0;
}

/* Columns of every object query: id, key, netns, label, name, strong, weak; ordered by id. */
static const char netns_sql[] =
	"SELECT t.id, t.ns_id, NULL, coalesce(t.name, 'ns' || t.ns_id),"
	" CASE WHEN t.caller THEN '(caller)' WHEN t.pins <> '[]' THEN t.pins WHEN t.ext_key IS NOT "
	"NULL"
	"  AND t.ext_key NOT GLOB '*[0-9]*' THEN t.ext_key WHEN t.name NOT GLOB 'ns[0-9]*' THEN "
	"t.name END,"
	" d.strong, d.weak"
	" FROM netns t LEFT JOIN (SELECT x.netns AS netns,"
	"  group_concat(CASE WHEN x.address <> '00:00:00:00:00:00' THEN x.name || ' ' || x.address "
	"||"
	"   coalesce(a.list, '') END, ';') AS strong,"
	"  group_concat(x.name, ';') AS weak"
	"  FROM (SELECT * FROM device WHERE image = :image ORDER BY netns, name) x LEFT JOIN"
	"   (SELECT y.netns AS n, y.ifindex AS i, group_concat(y.address, ',') AS list FROM"
	"    (SELECT * FROM address WHERE image = :image ORDER BY netns, ifindex, address) y"
	"    GROUP BY y.netns, y.ifindex) a ON a.n = x.netns AND a.i = x.ifindex"
	"  GROUP BY x.netns) d ON d.netns = t.id"
	" WHERE t.image = :image ORDER BY t.id";

static const char task_sql[] = "SELECT t.id, t.pid, t.netns, coalesce(t.comm, '?') || ' (pid ' || "
			       "t.pid || ')', coalesce(t.comm, ''),"
			       " NULL, f.list FROM task t LEFT JOIN (SELECT x.files_id AS "
			       "files_id, group_concat(x.fd || ' ' || x.type,"
			       "  ';') AS list FROM (SELECT f.* FROM fd f JOIN socket s ON s.image "
			       "= f.image AND s.file_id = f.file_id"
			       "  WHERE f.image = :image ORDER BY f.files_id, f.fd) x GROUP BY "
			       "x.files_id) f ON f.files_id = t.files_id"
			       " WHERE t.image = :image ORDER BY t.id";

static const char holdings_sql[] = "SELECT t.id, f.fd, s.id FROM task t JOIN fd f ON f.image = "
				   "t.image AND f.files_id = t.files_id"
				   " JOIN socket s ON s.image = f.image AND s.file_id = f.file_id"
				   " WHERE t.image = :image ORDER BY t.id, f.fd";

static int object_add(struct objects *s, const struct query *q, struct err *e)
{
	struct object *o;

	if (s->n == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 64;
		struct object *at = reallocarray(s->at, cap, sizeof(*at));

		if (!at)
			return err_set(e, ERR_NOMEM, "comparison: out of memory");
		s->at = at;
		s->cap = cap;
	}
	o = &s->at[s->n++];
	*o = (struct object){.id = query_int(q, 0),
			     .key = query_int(q, 1),
			     .netns = query_int(q, 2),
			     .pair = -1};
	if (copy_text(q, 3, &o->label, e) || copy_text(q, 4, &o->name, e) ||
	    copy_text(q, 5, &o->strong, e) || copy_text(q, 6, &o->weak, e))
		return -1;
	return 0;
}

static int load_objects(struct objects *s, const struct diff_side *side, const char *sql,
			struct err *e)
{
	auto_query struct query *q = query_new(side->db, sql, e);
	int rc;

	if (!q || query_bind_int(q, "image", side->image, e))
		return -1;
	while ((rc = query_next(q, e)) == 1) {
		if (object_add(s, q, e))
			return -1;
	}
	return rc;
}

static int load_sockets(struct objects *s, const struct diff_side *side, struct err *e)
{
	auto_buf struct buf sql = {0};

	if (buf_add_str(&sql,
			"SELECT id, ino, netns_id, netid || ' ' || local || coalesce(' ' || users, "
			"''), NULL,"
			" NULL, family_num || ' ' || netid || ' ' || CASE WHEN name IS NULL THEN "
			"local || ' ' ||"
			" iif(family_num = 16, '', peer) ELSE name END FROM (",
			e) ||
	    sockets_sql(&sql, e) || buf_add_str(&sql, ") ORDER BY id", e))
		return -1;
	return load_objects(s, side, (const char *)sql.data, e);
}

static int load_holdings(struct holdings *h, const struct diff_side *side, struct err *e)
{
	auto_query struct query *q = query_new(side->db, holdings_sql, e);
	int rc;

	if (!q || query_bind_int(q, "image", side->image, e))
		return -1;
	while ((rc = query_next(q, e)) == 1) {
		if (h->n == h->cap) {
			size_t cap = h->cap ? 2 * h->cap : 64;
			struct holding *at = reallocarray(h->at, cap, sizeof(*at));

			if (!at)
				return err_set(e, ERR_NOMEM, "comparison: out of memory");
			h->at = at;
			h->cap = cap;
		}
		h->at[h->n++] = (struct holding){query_int(q, 0), query_int(q, 1), query_int(q, 2)};
	}
	return rc;
}

static int load_side(struct match *m, int side, const struct diff_side *s, struct err *e)
{
	return load_objects(&m->sets[side][MATCH_NETNS], s, netns_sql, e) ||
			       load_objects(&m->sets[side][MATCH_TASK], s, task_sql, e) ||
			       load_sockets(&m->sets[side][MATCH_SOCKET], s, e) ||
			       load_holdings(&m->held[side], s, e)
		       ? -1
		       : 0;
}

/* ---- pairs ---- */

static int cmp_id(const void *key, const void *member)
{
	int64_t id = *(const int64_t *)key, other = ((const struct object *)member)->id;

	return (id > other) - (id < other);
}

static struct object *object_of(const struct match *m, int side, enum match_kind kind, int64_t id)
{
	const struct objects *s = &m->sets[side][kind];

	return s->n ? bsearch(&id, s->at, s->n, sizeof(*s->at), cmp_id) : NULL;
}

static struct object *object_by_key(const struct match *m, int side, enum match_kind kind,
				    int64_t key)
{
	const struct objects *s = &m->sets[side][kind];

	for (size_t i = 0; i < s->n; i++) {
		if (s->at[i].key == key)
			return &s->at[i];
	}
	return NULL;
}

/* Give both the next pair number, unless one has a partner already. */
static void join(struct match *m, enum match_kind kind, struct object *a, struct object *b)
{
	if (!a || !b || a->pair >= 0 || b->pair >= 0)
		return;
	a->pair = b->pair = m->n_pairs[kind]++;
	m->pairs[kind][a->pair] = (struct pair){{a, b}};
}

static bool same_text(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

/* Pair what has equal texts; unique: only where no second one of either side has the text. */
static void join_by_text(struct match *m, enum match_kind kind,
			 const char *(*text)(const struct object *o), bool unique)
{
	struct objects *sa = &m->sets[0][kind], *sb = &m->sets[1][kind];

	for (size_t i = 0; i < sa->n; i++) {
		struct object *a = &sa->at[i], *found = NULL;
		size_t n_a = 0, n_b = 0;

		if (a->pair >= 0 || !text(a))
			continue;
		for (size_t k = 0; k < sb->n; k++) {
			struct object *b = &sb->at[k];

			if (b->pair < 0 && same_text(text(a), text(b)) && n_b++ == 0)
				found = b;
		}
		for (size_t k = 0; unique && found && k < sa->n; k++)
			n_a += sa->at[k].pair < 0 && same_text(text(a), text(&sa->at[k]));
		if (found && (!unique || (n_a == 1 && n_b == 1)))
			join(m, kind, a, found);
	}
}

static const char *text_name(const struct object *o)
{
	return o->name;
}

static const char *text_strong(const struct object *o)
{
	return o->strong;
}

static const char *text_weak(const struct object *o)
{
	return o->weak;
}

/* ---- tasks ---- */

#define HOLDER     "nsimg:"
#define HOLDER_LEN 6
#define COMM_MAX   15 /* TASK_COMM_LEN - 1: what a task can be called */

/* Is b the task a, or the holder that stands for it? */
static bool same_comm(const char *a, const char *b, bool restored)
{
	if (strcmp(a, b) == 0)
		return true;
	if (!restored || strncmp(b, HOLDER, HOLDER_LEN) != 0)
		return false;
	b += HOLDER_LEN;
	return strcmp(a, b) == 0 ||
	       (strlen(b) == COMM_MAX - HOLDER_LEN && strncmp(a, b, strlen(b)) == 0);
}

/* How well b fits a, 0 when not at all. */
static int task_score(const struct match *m, const struct object *a, const struct object *b,
		      bool restored)
{
	const struct object *na, *nb;
	int score = 1;

	if (!same_comm(a->name, b->name, restored))
		return 0;
	na = object_of(m, 0, MATCH_NETNS, a->netns);
	nb = object_of(m, 1, MATCH_NETNS, b->netns);
	if (na && nb && na->pair >= 0 && na->pair == nb->pair)
		score += 8;
	if (same_text(a->weak, b->weak) || (!a->weak && !b->weak))
		score += 4;
	if (na && nb && same_text(na->weak, nb->weak))
		score += 2;
	return score;
}

static void join_tasks(struct match *m, bool restored)
{
	struct objects *sa = &m->sets[0][MATCH_TASK], *sb = &m->sets[1][MATCH_TASK];

	/* the best fits first, so that a good partner is not taken by a poor one */
	for (int least = 15; least >= 1; least -= least > 9 ? 2 : 1) {
		for (size_t i = 0; i < sa->n; i++) {
			for (size_t k = 0; k < sb->n && sa->at[i].pair < 0; k++) {
				if (sb->at[k].pair < 0 &&
				    task_score(m, &sa->at[i], &sb->at[k], restored) >= least)
					join(m, MATCH_TASK, &sa->at[i], &sb->at[k]);
			}
		}
	}
}

/* Two that belong together live in namespaces that belong together. */
static void join_netns_of(struct match *m, enum match_kind kind)
{
	struct objects *sa = &m->sets[0][kind];

	for (size_t i = 0; i < sa->n; i++) {
		const struct object *a = &sa->at[i];

		if (a->pair >= 0)
			join(m, MATCH_NETNS, object_of(m, 0, MATCH_NETNS, a->netns),
			     object_of(m, 1, MATCH_NETNS, m->pairs[kind][a->pair].of[1]->netns));
	}
}

/* ---- sockets ---- */

static int cmp_holding(const void *x, const void *y)
{
	const struct holding *a = x, *b = y;

	if (a->task != b->task)
		return a->task < b->task ? -1 : 1;
	return (a->fd > b->fd) - (a->fd < b->fd);
}

static void join_sockets(struct match *m)
{
	const struct holdings *ha = &m->held[0], *hb = &m->held[1];

	for (size_t i = 0; i < ha->n; i++) {
		const struct object *ta = object_of(m, 0, MATCH_TASK, ha->at[i].task);
		struct holding want = {.fd = ha->at[i].fd}, *found;

		if (!ta || ta->pair < 0 || !hb->n)
			continue;
		want.task = m->pairs[MATCH_TASK][ta->pair].of[1]->id;
		found = bsearch(&want, hb->at, hb->n, sizeof(want), cmp_holding);
		if (found)
			join(m, MATCH_SOCKET, object_of(m, 0, MATCH_SOCKET, ha->at[i].socket),
			     object_of(m, 1, MATCH_SOCKET, found->socket));
	}
}

/* Sockets that no matched task holds: equal in what they are, in namespaces that belong together. */
static void join_loose_sockets(struct match *m)
{
	struct objects *sa = &m->sets[0][MATCH_SOCKET], *sb = &m->sets[1][MATCH_SOCKET];

	for (size_t i = 0; i < sa->n; i++) {
		struct object *a = &sa->at[i];

		for (size_t k = 0; k < sb->n && a->pair < 0; k++) {
			struct object *b = &sb->at[k];

			if (b->pair < 0 && same_text(a->weak, b->weak) &&
			    match_pair(m, MATCH_NETNS, 0, a->netns) ==
				    match_pair(m, MATCH_NETNS, 1, b->netns))
				join(m, MATCH_SOCKET, a, b);
		}
	}
}

/* ---- all of it ---- */

static void join_given(struct match *m, enum match_kind kind, const struct diff_pair *pairs,
		       size_t n)
{
	for (size_t i = 0; i < n; i++)
		join(m, kind, object_by_key(m, 0, kind, pairs[i].a),
		     object_by_key(m, 1, kind, pairs[i].b));
}

/* The last one left on each side. */
static void join_last(struct match *m, enum match_kind kind)
{
	struct object *left[2] = {NULL, NULL};

	for (int side = 0; side < 2; side++) {
		struct objects *s = &m->sets[side][kind];

		for (size_t i = 0; i < s->n; i++) {
			if (s->at[i].pair >= 0)
				continue;
			if (left[side])
				return;
			left[side] = &s->at[i];
		}
	}
	join(m, kind, left[0], left[1]);
}

static int make_room(struct match *m, struct err *e)
{
	for (int kind = 0; kind < MATCH_KIND_COUNT; kind++) {
		size_t most = m->sets[0][kind].n + m->sets[1][kind].n;

		m->pairs[kind] = calloc(most + 1, sizeof(*m->pairs[kind]));
		if (!m->pairs[kind])
			return err_set(e, ERR_NOMEM, "comparison: out of memory");
	}
	return 0;
}

static void number_rest(struct match *m, enum match_kind kind)
{
	for (int side = 0; side < 2; side++) {
		struct objects *s = &m->sets[side][kind];

		for (size_t i = 0; i < s->n; i++) {
			if (s->at[i].pair >= 0)
				continue;
			s->at[i].pair = m->n_pairs[kind]++;
			m->pairs[kind][s->at[i].pair].of[side] = &s->at[i];
		}
	}
}

static void match_all(struct match *m, const struct diff_opts *o)
{
	join_given(m, MATCH_NETNS, o->netns, o->n_netns);
	join_given(m, MATCH_TASK, o->tasks, o->n_tasks);
	join_by_text(m, MATCH_NETNS, text_name, true);
	join_netns_of(m, MATCH_TASK);
	join_by_text(m, MATCH_NETNS, text_strong, true);
	join_tasks(m, o->restored);
	join_netns_of(m, MATCH_TASK);
	join_sockets(m);
	join_netns_of(m, MATCH_SOCKET);
	join_by_text(m, MATCH_NETNS, text_strong, false);
	join_by_text(m, MATCH_NETNS, text_weak, false);
	join_last(m, MATCH_NETNS);
	join_loose_sockets(m);
}

struct match *match_new(const struct diff_side *a, const struct diff_side *b,
			const struct diff_opts *opts, struct err *e)
{
	auto_match struct match *m = calloc(1, sizeof(*m));

	if (!m) {
		err_set(e, ERR_NOMEM, "comparison: out of memory");
		return NULL;
	}
	if (load_side(m, 0, a, e) || load_side(m, 1, b, e) || make_room(m, e))
		return NULL;
	match_all(m, opts);
	for (int kind = 0; kind < MATCH_KIND_COUNT; kind++)
		number_rest(m, (enum match_kind)kind);
	return take_ptr(m);
}

long match_pair(const struct match *m, enum match_kind kind, int side, int64_t id)
{
	const struct object *o = object_of(m, side, kind, id);

	return o ? o->pair : -1;
}

bool match_is_whole(const struct match *m, enum match_kind kind, long pair)
{
	return pair >= 0 && m->pairs[kind][pair].of[0] && m->pairs[kind][pair].of[1];
}

const char *match_label(const struct match *m, enum match_kind kind, long pair)
{
	const struct pair *p;

	if (pair < 0)
		return "";
	p = &m->pairs[kind][pair];
	return p->of[0] ? p->of[0]->label : p->of[1]->label;
}
