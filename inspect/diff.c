#include "inspect/diff.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "inspect/diff_rows.h"
#include "inspect/diff_ruleset.h"

/* ord keeps the order of tables while items are sorted by namespace. */
struct entry {
	struct diff_item item;
	size_t ord;
};

struct diff {
	struct entry *items;
	size_t n, cap;
};

void diff_free(struct diff *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->n; i++) {
		free((char *)(uintptr_t)d->items[i].item.netns);
		free((char *)(uintptr_t)d->items[i].item.object);
		free((char *)(uintptr_t)d->items[i].item.column);
		free((char *)(uintptr_t)d->items[i].item.a);
		free((char *)(uintptr_t)d->items[i].item.b);
	}
	free(d->items);
	free(d);
}

size_t diff_count(const struct diff *d)
{
	return d->n;
}

const struct diff_item *diff_at(const struct diff *d, size_t i)
{
	return &d->items[i].item;
}

static int no_memory(struct err *e)
{
	return err_set(e, ERR_NOMEM, "comparison: out of memory");
}

static int dup_text(char **out, const char *s, struct err *e)
{
	*out = s ? strdup(s) : NULL;
	return s && !*out ? no_memory(e) : 0;
}

/* ---- the list ---- */

static int add_item(struct diff_run *r, enum diff_kind kind, const struct diff_row *row,
		    const char *column, const char *a, const char *b, struct err *e)
{
	struct diff *d = r->out;
	char *netns, *object, *col, *va, *vb;

	if (d->n == d->cap) {
		size_t cap = d->cap ? 2 * d->cap : 64;
		struct entry *items = reallocarray(d->items, cap, sizeof(*items));

		if (!items)
			return no_memory(e);
		d->items = items;
		d->cap = cap;
	}
	if (dup_text(&netns, row->netns < 0 ? NULL : match_label(r->m, MATCH_NETNS, row->netns),
		     e) ||
	    dup_text(&object, row->object, e) || dup_text(&col, column, e) || dup_text(&va, a, e) ||
	    dup_text(&vb, b, e))
		return -1;
	d->items[d->n] = (struct entry){{kind, netns, r->t->name, object, col, va, vb}, d->n};
	d->n++;
	return 0;
}

/* ---- comparison ---- */

/* Not compared with these options. */
static bool is_off(const struct diff_opts *o, unsigned flags)
{
	return ((flags & DIFF_NOT_RESTORED) && o->restored) ||
	       ((flags & DIFF_IFINDEX) && o->any_ifindex);
}

/* Is every element of array a in b? */
static bool has_all(const char *a, const char *b)
{
	struct err e = ERR_INIT;
	auto_json struct json *ja = a ? json_parse(a, strlen(a), &e) : NULL;
	auto_json struct json *jb = b ? json_parse(b, strlen(b), &e) : NULL;

	for (size_t i = 0; i < json_len(ja); i++) {
		bool found = false;

		for (size_t k = 0; k < json_len(jb) && !found; k++)
			found = json_same(json_at(ja, i), json_at(jb, k));
		if (!found)
			return false;
	}
	return true;
}

/* The next word of a list, moved behind it; false at its end. */
static bool next_word(const char **list, struct span *word)
{
	size_t n = strcspn(*list, ",");

	if (!**list)
		return false;
	*word = (struct span){(const uint8_t *)*list, n};
	*list += n + strspn(*list + n, ", ");
	return true;
}

static bool has_word(const char *list, struct span word)
{
	struct span w;

	while (next_word(&list, &w))
		if (w.len == word.len && !memcmp(w.data, word.data, w.len))
			return true;
	return false;
}

/* The next word that the other list has too. */
static bool next_common(const char **list, const char *other, struct span *word)
{
	while (next_word(list, word))
		if (has_word(other, *word))
			return true;
	return false;
}

static bool same_order(const char *a, const char *b)
{
	const char *all_a = a, *all_b = b;

	for (;;) {
		struct span x, y;
		bool more_a = next_common(&a, all_b, &x), more_b = next_common(&b, all_a, &y);

		if (!more_a || !more_b)
			return more_a == more_b;
		if (x.len != y.len || memcmp(x.data, y.data, x.len) != 0)
			return false;
	}
}

/* Is all that both say the same? (Of a tun device CRIU writes other members than the kernel.) */
static bool json_agrees(const struct json *a, const struct json *b)
{
	const struct json *v;
	const char *key;
	void *it = NULL;

	if (json_kind(a) != JSON_KIND_OBJECT || json_kind(b) != JSON_KIND_OBJECT)
		return json_same(a, b);
	while (json_next(a, &it, &key, &v))
		if (json_get(b, key) && !json_agrees(v, json_get(b, key)))
			return false;
	return true;
}

static bool same_value(const struct diff_run *r, const struct diff_col *c,
		       const struct diff_value *a, const struct diff_value *b)
{
	struct err e = ERR_INIT;

	if (is_off(r->opts, c->flags))
		return true;
	if (c->how == DIFF_ONE_SIDED && r->opts->restored)
		return has_all(a->cmp, b->cmp);
	if (!a->cmp && r->by_criu)
		return true;
	if (!a->cmp || !b->cmp)
		return a->cmp == b->cmp;
	if (strcmp(a->cmp, b->cmp) == 0)
		return true;
	if (c->how == DIFF_ORDER)
		return same_order(a->cmp, b->cmp);
	if (c->how == DIFF_JSON) {
		/* order of members does not count */
		auto_json struct json *ja = json_parse(a->cmp, strlen(a->cmp), &e);
		auto_json struct json *jb = json_parse(b->cmp, strlen(b->cmp), &e);

		return ja && jb && (r->by_criu ? json_agrees(ja, jb) : json_same(ja, jb));
	}
	return false;
}

static bool same_row(const struct diff_run *r, const struct diff_row *a, const struct diff_row *b)
{
	for (size_t i = 0; i < r->t->n_cols; i++) {
		if (!same_value(r, &r->t->cols[i], &a->cols[i], &b->cols[i]))
			return false;
	}
	return true;
}

static int report_json(struct diff_run *r, const struct diff_row *row, const char *path,
		       const struct json *a, const struct json *b, struct err *e);

static int report_member(struct diff_run *r, const struct diff_row *row, const char *path,
			 const char *key, const struct json *a, const struct json *b, struct err *e)
{
	auto_buf struct buf sub = {0};

	if (json_same(a, b))
		return 0;
	return buf_printf(&sub, e, "%s.%s", path, key) ||
			       report_json(r, row, (const char *)sub.data, a, b, e)
		       ? -1
		       : 0;
}

/* One difference for each member that differs, as deep as both are objects (or absent). */
static int report_json(struct diff_run *r, const struct diff_row *row, const char *path,
		       const struct json *a, const struct json *b, struct err *e)
{
	auto_buf struct buf ta = {0}, tb = {0};
	const struct json *v;
	const char *key;
	void *it = NULL;

	if (json_kind(a) == JSON_KIND_OBJECT && json_kind(b) == JSON_KIND_OBJECT) {
		while (json_next(a, &it, &key, &v)) {
			if (r->by_criu && !json_get(b, key))
				continue;
			if (report_member(r, row, path, key, v, json_get(b, key), e))
				return -1;
		}
		it = NULL;
		while (!r->by_criu && json_next(b, &it, &key, &v)) {
			if (!json_get(a, key) && report_member(r, row, path, key, NULL, v, e))
				return -1;
		}
		return 0;
	}
	if ((a && json_print(a, false, &ta, e)) || (b && json_print(b, false, &tb, e)))
		return -1;
	return add_item(r, DIFF_CHANGE, row, path, (const char *)ta.data, (const char *)tb.data, e);
}

/* A ruleset: the lines that only one has. */
static int report_lines(struct diff_run *r, const struct diff_row *row, const char *column,
			const char *a, const char *b, struct err *e)
{
	auto_buf struct buf ta = {0}, tb = {0};

	if (ruleset_changes(a ? a : "", b ? b : "", &ta, &tb, e))
		return -1;
	return add_item(r, DIFF_CHANGE, row, column, ta.len ? (const char *)ta.data : NULL,
			tb.len ? (const char *)tb.data : NULL, e);
}

static int report_column(struct diff_run *r, const struct diff_row *row, const struct diff_col *c,
			 const struct diff_value *a, const struct diff_value *b, struct err *e)
{
	struct err bad = ERR_INIT;

	if (c->how == DIFF_RULESET)
		return report_lines(r, row, c->name, a->cmp, b->cmp, e);
	if (c->how == DIFF_JSON && a->cmp && b->cmp) {
		auto_json struct json *ja = json_parse(a->cmp, strlen(a->cmp), &bad);
		auto_json struct json *jb = json_parse(b->cmp, strlen(b->cmp), &bad);

		if (ja && jb)
			return report_json(r, row, c->name, ja, jb, e);
	}
	return add_item(r, DIFF_CHANGE, row, c->name, a->show, b->show, e);
}

static int report_change(struct diff_run *r, const struct diff_row *a, const struct diff_row *b,
			 struct err *e)
{
	for (size_t i = 0; i < r->t->n_cols; i++) {
		if (!same_value(r, &r->t->cols[i], &a->cols[i], &b->cols[i]) &&
		    report_column(r, a, &r->t->cols[i], &a->cols[i], &b->cols[i], e))
			return -1;
	}
	return 0;
}

/* A row of a namespace that the other side lacks says nothing new: the namespace is reported. */
static bool is_inside_lost(const struct diff_run *r, const struct diff_row *row)
{
	return row->netns >= 0 && strcmp(r->t->name, "netns") != 0 &&
	       !match_is_whole(r->m, MATCH_NETNS, row->netns);
}

static int report_lone(struct diff_run *r, const struct diff_row *row, enum diff_kind kind,
		       struct err *e)
{
	if (r->t->flags & DIFF_NO_LONES || is_inside_lost(r, row) ||
	    ((r->t->flags & DIFF_PART) && row->orphan))
		return 0;
	if (kind == DIFF_ADD && (r->t->flags & DIFF_NO_ADDS) && r->opts->restored)
		return 0;
	if (kind == DIFF_ADD && r->by_criu && !row->in_criu)
		return 0;
	/* of a ruleset nothing may be left (ruleset_value) */
	if (r->by_criu && r->t->n_cols == 1 && r->t->cols[0].how == DIFF_RULESET &&
	    !row->cols[0].cmp)
		return 0;
	/* what is only in a (DIFF_DEL) may be about to come in b */
	if (!strcmp(r->t->name, "route") &&
	    diff_pending_has(r->pending, kind == DIFF_DEL, row->netns, row->object))
		return 0;
	return add_item(r, kind, row, NULL, NULL, NULL, e);
}

/* Rows with the same key: equal ones first, then the rest in order. */
static int compare_group(struct diff_run *r, struct diff_row *a, size_t na, struct diff_row *b,
			 size_t nb, struct err *e)
{
	size_t k = 0;

	for (size_t i = 0; i < na; i++) {
		for (size_t j = 0; j < nb && !a[i].done; j++) {
			if (!b[j].done && same_row(r, &a[i], &b[j]))
				a[i].done = b[j].done = true;
		}
	}
	for (size_t i = 0; i < na; i++) {
		if (a[i].done)
			continue;
		while (k < nb && b[k].done)
			k++;
		if (k == nb ? report_lone(r, &a[i], DIFF_DEL, e)
			    : report_change(r, &a[i], &b[k], e))
			return -1;
		if (k < nb)
			b[k++].done = true;
	}
	for (; k < nb; k++) {
		if (!b[k].done && report_lone(r, &b[k], DIFF_ADD, e))
			return -1;
	}
	return 0;
}

static size_t group_len(const struct diff_rows *r, size_t from)
{
	size_t n = 1;

	while (from + n < r->n && strcmp(r->at[from].key, r->at[from + n].key) == 0)
		n++;
	return n;
}

static int compare_rows(struct diff_run *r, struct diff_rows *a, struct diff_rows *b, struct err *e)
{
	size_t i = 0, k = 0;

	while (i < a->n || k < b->n) {
		int order = i == a->n ? 1 : k == b->n ? -1 : strcmp(a->at[i].key, b->at[k].key);
		size_t na = order <= 0 ? group_len(a, i) : 0, nb = order >= 0 ? group_len(b, k) : 0;

		if (compare_group(r, na ? &a->at[i] : NULL, na, nb ? &b->at[k] : NULL, nb, e))
			return -1;
		i += na;
		k += nb;
	}
	return 0;
}

static int compare_table(struct diff_run *r, const struct diff_side *a, const struct diff_side *b,
			 struct err *e)
{
	struct diff_rows ra = {0}, rb = {0};
	int rc;

	if (is_off(r->opts, r->t->flags))
		return 0;
	rc = diff_rows_load(r, 0, a, &ra, e) || diff_rows_load(r, 1, b, &rb, e) ||
	     compare_rows(r, &ra, &rb, e);
	diff_rows_free(&ra);
	diff_rows_free(&rb);
	return rc ? err_wrap(e, "comparison of %s", r->t->name) : 0;
}

/* By namespace, as people read it; within one in the order of the tables. */
static int cmp_entry(const void *x, const void *y)
{
	const struct entry *a = x, *b = y;
	int order = 0;

	if (a->item.netns && b->item.netns)
		order = strcmp(a->item.netns, b->item.netns);
	else if (a->item.netns || b->item.netns)
		order = a->item.netns ? 1 : -1;
	return order ? order : (a->ord > b->ord) - (a->ord < b->ord);
}

/* Either side may be the one that is read. */
static void watch_at(const struct diff_side *a, const struct diff_side *b, size_t n,
		     const char *what)
{
	db_watch_at(a->db, n, n_diff_tables, what);
	db_watch_at(b->db, n, n_diff_tables, what);
}

/* 1, 0 or -1. */
static int is_by_criu(const struct diff_side *s, struct err *e)
{
	auto_query struct query *q =
		query_new(s->db, "SELECT format = 'criu' FROM image WHERE id = :image", e);

	if (!q || query_bind_int(q, "image", s->image, e) || query_next(q, e) < 0)
		return -1;
	return query_int(q, 0) != 0;
}

struct diff *diff_new(const struct diff_side *a, const struct diff_side *b,
		      const struct diff_opts *opts, struct err *e)
{
	static const struct diff_opts none;
	auto_diff struct diff *d = calloc(1, sizeof(*d));
	auto_match struct match *m = NULL;
	auto_diff_pending struct diff_pending *pending = NULL;
	struct diff_run r = {.out = d, .opts = opts ? opts : &none};
	int by_criu;

	if (!d) {
		no_memory(e);
		return NULL;
	}
	by_criu = r.opts->restored ? is_by_criu(a, e) : 0;
	if (by_criu < 0)
		return NULL;
	r.by_criu = by_criu;
	watch_at(a, b, 0, "namespaces, tasks and sockets");
	m = match_new(a, b, r.opts, e);
	pending = m ? diff_pending_new(m, a, b, r.opts->restored, e) : NULL;
	if (!pending)
		return NULL;
	r.m = m;
	r.pending = pending;
	for (size_t i = 0; i < n_diff_tables; i++) {
		r.t = &diff_tables[i];
		watch_at(a, b, i + 1, r.t->name);
		if (compare_table(&r, a, b, e))
			return NULL;
	}
	if (d->n)
		qsort(d->items, d->n, sizeof(*d->items), cmp_entry);
	return take_ptr(d);
}
