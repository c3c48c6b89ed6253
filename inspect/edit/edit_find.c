/* Which rows a command means. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "inspect/edit/edit_int.h"
#include "inspect/filter.h"
#include "inspect/sockets.h"
#include "proto/inet.h"

/* ---- one namespace, one device ---- */

static const char *name_at(const void *arg, unsigned i)
{
	return json_str(json_at(arg, i));
}

/* "; did you mean 'x'?" of the names that sql gives, or nothing. */
static void suggest(struct edit *x, const char *word, const char *sql, int64_t in, char *out,
		    size_t size)
{
	enum { NAMES_MAX = 5000 };
	struct err e = ERR_INIT;
	auto_query struct query *q = query_new(x->db, sql, &e);
	auto_json struct json *names = json_new_array();
	const char *near;

	*out = '\0';
	if (!q || !names || query_bind_int(q, "in", in, &e))
		return;
	while (json_len(names) < NAMES_MAX && query_next(q, &e) == 1)
		if (query_text(q, 0) && json_push(names, json_new_str(query_text(q, 0)), &e))
			return;
	near = cli_nearest(word, name_at, names);
	if (near)
		snprintf(out, size, "; did you mean '%s'?", near);
}

int edit_find_netns(struct edit *x, const char *name, int64_t *netns, struct err *e)
{
	const struct edit_bind binds[] = {{"image", NULL, x->image}, {"name", name, 0}, {0}};
	char hint[300];
	bool found;

	if (edit_number(x,
			"SELECT id FROM netns WHERE image = :image AND (name = :name OR 'ns' || "
			"ns_id = :name) ORDER BY name = :name DESC LIMIT 1",
			binds, netns, &found, e))
		return -1;
	if (found)
		return 0;
	suggest(x, name, "SELECT name FROM netns WHERE image = :in", x->image, hint, sizeof(hint));
	return err_set(e, ERR_NOTFOUND, "no namespace '%s'%s", name, hint);
}

/* The object of a search. */
struct search {
	struct edit *x;
	const struct edit_table *t;
	const struct show_table *show; /* NULL: none */
	struct buf sql;
	struct param {
		const char *text; /* lent */
		char canonical[INET_PREFIX_MAX];
		int64_t num;
	} param[24];
	unsigned n_params;
	bool is_one; /* a name was given */
};

/* Append one parameter as SQL. An IPv6 address or prefix is taken in any form. */
static int put_param(struct search *s, const char *text, int64_t num, struct err *e)
{
	struct param *p = &s->param[s->n_params];
	uint8_t addr[16];
	size_t len;
	unsigned prefixlen;

	if (s->n_params == ARRAY_SIZE(s->param))
		return err_set(e, ERR_USAGE, "more than %zu conditions", ARRAY_SIZE(s->param));
	*p = (struct param){.text = text, .num = num};
	if (text && strchr(text, ':') && strlen(text) < INET_PREFIX_MAX &&
	    !inet_prefix_parse(text, 10, addr, &len, &prefixlen, &(struct err)ERR_INIT)) {
		const char *slash = strchr(text, '/');

		inet_format(addr, len, p->canonical);
		if (slash)
			snprintf(p->canonical + strlen(p->canonical),
				 sizeof(p->canonical) - strlen(p->canonical), "%s", slash);
	}
	return buf_printf(&s->sql, e, ":p%u", s->n_params++);
}

static int bind_params(const struct search *s, struct query *q, struct err *e)
{
	for (unsigned i = 0; i < s->n_params; i++) {
		const struct param *p = &s->param[i];
		char name[16];

		snprintf(name, sizeof(name), "p%u", i);
		if (p->text ? query_bind_text(q, name, *p->canonical ? p->canonical : p->text, e)
			    : query_bind_int(q, name, p->num, e))
			return -1;
	}
	return 0;
}

/* ---- conditions ---- */

static const struct show_col *column_of(const struct search *s, const char *name)
{
	for (size_t i = 0; s->show && i < s->show->n_cols; i++)
		if (!strcasecmp(s->show->cols[i].name, name))
			return &s->show->cols[i];
	return NULL;
}

static const char *column_at(const void *arg, unsigned i)
{
	const struct search *s = arg;

	return s->show && i < s->show->n_cols ? s->show->cols[i].name : NULL;
}

static int unknown_column(const struct search *s, const char *word, struct err *e)
{
	const char *near = cli_nearest(word, column_at, s);
	auto_buf struct buf list = {0};

	if (near)
		return err_set(e, ERR_USAGE, "%s: no column '%s'; did you mean '%s'?", s->t->name,
			       word, near);
	for (unsigned i = 0; column_at(s, i); i++)
		if (buf_printf(&list, e, "%s%s", i ? ", " : "", column_at(s, i)))
			return -1;
	return err_set(e, ERR_USAGE, "%s: no column '%s'; there are: %s", s->t->name, word,
		       list.len ? (const char *)list.data : "id");
}

/* KEY VALUE. The namespace is looked up first, so that indexes on it serve. */
static int put_pair(struct search *s, const char *key, const char *value, struct err *e)
{
	const struct show_col *c = column_of(s, key);
	const char *slash = strrchr(value, '/');
	char plain[64], of[300];
	int64_t netns;

	if (!c)
		return unknown_column(s, key, e);
	if (!strcmp(key, "dev") && slash) {
		snprintf(of, sizeof(of), "%.*s", (int)(slash - value), value);
		if (put_pair(s, "netns", of, e))
			return -1;
		value = slash + 1;
	}
	if (!strcmp(c->name, "netns") && strstr(s->show->from, "n.id = t.netns")) {
		if (edit_find_netns(s->x, value, &netns, e))
			return -1;
		return buf_add_str(&s->sql, " AND t.netns = ", e) || put_param(s, NULL, netns, e)
			       ? -1
			       : 0;
	}
	snprintf(plain, sizeof(plain), "t.%s", c->name);
	if (!c->expr && !c->words)
		return buf_printf(&s->sql, e, " AND %s = ", plain) || put_param(s, value, 0, e) ? -1
												: 0;
	return buf_add_str(&s->sql, " AND lower(CAST((", e) ||
			       words_sql(&s->sql, c->words, c->expr ? c->expr : plain, e) ||
			       buf_add_str(&s->sql, ") AS TEXT)) = lower(", e) ||
			       put_param(s, value, 0, e) || buf_add_str(&s->sql, ")", e)
		       ? -1
		       : 0;
}

/* The word after the kind of object, with :key in the condition replaced by a parameter. A device may be
 * NETNS/NAME. */
static int put_key(struct search *s, const char *word, struct err *e)
{
	const char *at = s->t->key, *slash = strrchr(word, '/');
	char netns[300];
	char name[16];

	if (!at)
		return unknown_column(s, word, e);
	s->is_one = true;
	if (!strcmp(s->t->name, "device") && slash) {
		snprintf(netns, sizeof(netns), "%.*s", (int)(slash - word), word);
		if (put_pair(s, "netns", netns, e))
			return -1;
		word = slash + 1;
	}
	snprintf(name, sizeof(name), ":p%u", s->n_params);
	if (buf_add_str(&s->sql, " AND ", e))
		return -1;
	for (const char *k; (k = strstr(at, ":key")); at = k + 4)
		if (buf_add(&s->sql, at, (size_t)(k - at), e) || buf_add_str(&s->sql, name, e))
			return -1;
	if (buf_add_str(&s->sql, at, e) || buf_add_str(&s->sql, " AND ", e))
		return -1;
	/* the parameter itself, in a condition that is always true */
	return put_param(s, word, 0, e) || buf_add_str(&s->sql, " IS NOT NULL", e) ? -1 : 0;
}

/* SELECT of keys as far as WHERE t.image; sockets have a select of their own. */
static int put_select(struct search *s, const char *where, struct err *e)
{
	char plain[64];

	if (!where)
		return buf_printf(&s->sql, e, "SELECT t.id FROM %s%s WHERE t.%s = :image",
				  s->show ? s->show->from : s->t->name, s->show ? "" : " t",
				  !strcmp(s->t->name, "image") ? "id" : "image");
	if (!s->show)
		return err_set(e, ERR_USAGE, "%s has no columns for a condition; use id N or all",
			       s->t->name);
	if (buf_add_str(&s->sql, "SELECT nsimg_id FROM (SELECT t.id AS nsimg_id", e))
		return -1;
	for (size_t i = 0; i < s->show->n_cols; i++) {
		const struct show_col *c = &s->show->cols[i];

		snprintf(plain, sizeof(plain), "t.%s", c->name);
		if (buf_add_str(&s->sql, ", ", e) ||
		    words_sql(&s->sql, c->words, c->expr ? c->expr : plain, e) ||
		    buf_printf(&s->sql, e, " AS \"%s\"", c->name))
			return -1;
	}
	return buf_printf(&s->sql, e, " FROM %s WHERE t.image = :image) WHERE (%s\n)",
			  s->show->from, where);
}

/* ---- running it ---- */

static int too_many(struct search *s, const struct edit_ids *ids, size_t first, struct err *e)
{
	auto_edit_labels struct edit_labels *l = edit_labels_new(s->x->db, 0, e);
	auto_buf struct buf list = {0};
	size_t n = ids->n - first;

	for (size_t i = 0; i < n && i < 5; i++)
		if (!l || (i && buf_add_str(&list, "; ", e)) ||
		    edit_label(l, s->t->name, ids->id[first + i], NULL, &list, e))
			return -1;
	return err_set(e, ERR_USAGE,
		       "%zu are meant (%s%s): say more of it (netns NAME), or %s where CONDITION "
		       "for all that fit",
		       n, (const char *)list.data, n > 5 ? "; ..." : "", s->t->name);
}

static int run(struct search *s, const struct filter *f, struct edit_ids *ids, struct err *e)
{
	auto_query struct query *q = query_new(s->x->db, (const char *)s->sql.data, e);
	int rc;

	if (!q || query_bind_int(q, "image", s->x->image, e) || bind_params(s, q, e) ||
	    (f && filter_bind(f, q, e)))
		return -1;
	while ((rc = query_next(q, e)) == 1)
		if (edit_ids_add(ids, query_int(q, 0), e))
			return -1;
	return rc;
}

static int join(const char *const *words, unsigned n, struct buf *out, struct err *e)
{
	for (unsigned i = 0; i < n; i++)
		if (buf_printf(out, e, "%s%s", i ? " " : "", words[i]))
			return -1;
	return 0;
}

/* SQLite's words about a condition of the user, without our select. */
static int explain_where(const struct search *s, const char *where, struct err *e)
{
	char *query = strstr(e->msg, " in: SELECT");
	struct err cause;

	if (e->code != ERR_DB)
		return -1;
	if (query)
		*query = '\0';
	cause = *e;
	return err_set(e, ERR_USAGE, "condition '%s': %s (nsimg show DB %s -o +id has the columns)",
		       where, cause.msg, s->show ? s->show->name : s->t->name);
}

static int find_where(struct search *s, const char *const *words, unsigned n, struct edit_ids *ids,
		      struct err *e)
{
	auto_buf struct buf where = {0};

	if (!n)
		return err_set(e, ERR_USAGE, "where: the condition is missing");
	if (join(words, n, &where, e) || put_select(s, (const char *)where.data, e))
		return -1;
	return run(s, NULL, ids, e) ? explain_where(s, (const char *)where.data, e) : 0;
}

static int find_sockets(struct search *s, const char *const *words, unsigned n,
			struct edit_ids *ids, struct err *e)
{
	auto_buf struct buf text = {0};
	auto_filter struct filter *f = NULL;

	if (join(words, n, &text, e))
		return -1;
	f = filter_new((const char *)text.data, e);
	if (!f || filter_check(f, edit_db(s->x), edit_image(s->x), e) ||
	    sockets_ids_sql(&s->sql, f, e))
		return -1;
	return run(s, f, ids, e);
}

/* [KEY] { COLUMN VALUE } */
static int find_words(struct search *s, const char *const *words, unsigned n, struct edit_ids *ids,
		      struct err *e)
{
	unsigned i = 0;

	if (put_select(s, NULL, e))
		return -1;
	if (n % 2 || (s->t->key && !column_of(s, words[0]))) {
		if (put_key(s, words[0], e))
			return -1;
		i = 1;
	}
	for (; i + 1 < n; i += 2)
		if (put_pair(s, words[i], words[i + 1], e))
			return -1;
	if (i < n)
		return err_set(e, ERR_USAGE, "%s: a value is missing after '%s'", s->t->name,
			       words[i]);
	return run(s, NULL, ids, e);
}

static int find_id(struct search *s, const char *word, struct edit_ids *ids, struct err *e)
{
	int64_t id;

	if (cli_parse_number(word, 1, INT64_MAX, &id, "id", e) || put_select(s, NULL, e) ||
	    buf_add_str(&s->sql, " AND t.id = ", e) || put_param(s, NULL, id, e))
		return -1;
	return run(s, NULL, ids, e);
}

static int find(struct search *s, const char *const *words, unsigned n, struct edit_ids *ids,
		struct err *e)
{
	const bool is_socket = !strcmp(s->t->name, "socket");

	if (!n && !strcmp(s->t->name, "image"))
		return edit_ids_add(ids, s->x->image, e);
	if (!n)
		return err_set(
			e, ERR_USAGE, "which %s? %s", s->t->name,
			is_socket ? "a filter as of nsimg sockets, where CONDITION, id N, or all"
				  : "its name, where CONDITION, id N, or all");
	if (n == 1 && !strcmp(words[0], "all"))
		return put_select(s, NULL, e) || run(s, NULL, ids, e) ? -1 : 0;
	if (n == 2 && !strcmp(words[0], "id"))
		return find_id(s, words[1], ids, e);
	if (!strcmp(words[0], "where")) {
		/* by their words sockets are found with a filter, so they have no table of their own */
		if (is_socket && !(s->show = show_find("sockets", e)))
			return -1;
		return find_where(s, words + 1, n - 1, ids, e);
	}
	if (is_socket)
		return find_sockets(s, words, n, ids, e);
	return find_words(s, words, n, ids, e);
}

/* Names for a suggestion, where objects have some. */
static const struct {
	const char *table, *sql;
} name_lists[] = {
	{"device", "SELECT DISTINCT name FROM device WHERE image = :in"},
	{"netns", "SELECT name FROM netns WHERE image = :in"},
	{"address", "SELECT DISTINCT address || '/' || prefixlen FROM address WHERE image = :in"},
	{"route", "SELECT DISTINCT dst FROM route WHERE image = :in"},
	{"task", "SELECT DISTINCT comm FROM task WHERE image = :in"},
	{"sysctl", "SELECT DISTINCT replace(name, '/', '.') FROM sysctl WHERE image = :in"},
};

static int none_found(const struct search *s, const char *const *words, unsigned n, struct err *e)
{
	auto_buf struct buf text = {0};
	char hint[300] = "";

	for (size_t i = 0; n && s->is_one && i < ARRAY_SIZE(name_lists); i++)
		if (!strcmp(name_lists[i].table, s->t->name))
			suggest(s->x,
				strcmp(s->t->name, "device") != 0 || !strchr(words[0], '/')
					? words[0]
					: strrchr(words[0], '/') + 1,
				name_lists[i].sql, s->x->image, hint, sizeof(hint));
	if (join(words, n, &text, e))
		return -1;
	/* the very word: it is there, but not with the rest of what was said */
	if (n && strstr(hint, words[0]) &&
	    strlen(hint) == strlen(words[0]) + strlen("; did you mean ''?"))
		*hint = '\0';
	return err_set(e, ERR_NOTFOUND, "no %s '%s'%s", s->t->name,
		       text.len ? (const char *)text.data : "", hint);
}

const struct edit_table *edit_find(struct edit *x, const char *const *words, unsigned n, bool many,
				   struct edit_ids *ids, struct err *e)
{
	const struct edit_table *t = NULL;
	struct search s = {.x = x};
	size_t first = ids->n;
	int rc;

	if (!n) {
		err_set(e, ERR_USAGE, "which object? socket FILTER, device NAME, address ...");
		return NULL;
	}
	t = edit_table_find(words[0], e);
	if (!t)
		return NULL;
	s.t = t;
	s.show = t->show ? show_find(t->show, e) : NULL;
	rc = find(&s, words + 1, n - 1, ids, e);
	if (!rc && ids->n == first)
		rc = none_found(&s, words + 1, n - 1, e);
	else if (!rc && s.is_one && !many && ids->n > first + 1)
		rc = too_many(&s, ids, first, e);
	buf_free(&s.sql);
	return rc ? NULL : t;
}

int edit_find_device(struct edit *x, const char *name, int64_t *device, struct err *e)
{
	const char *const words[] = {"device", name};
	auto_edit_ids struct edit_ids ids = {0};

	if (!edit_find(x, words, 2, false, &ids, e) || !ids.id)
		return -1;
	*device = ids.id[0];
	return 0;
}
