#include "inspect/diff_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "inspect/diff_ruleset.h"
#include "inspect/rows.h"
#include "inspect/sockets.h"
#include "proto/lock.h"
#include "proto/sockopt_table.h"

void diff_rows_free(struct diff_rows *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->at[i].object);
		free(r->at[i].key);
		for (size_t c = 0; r->at[i].cols && c < r->n_cols; c++) {
			free(r->at[i].cols[c].cmp);
			free(r->at[i].cols[c].show);
		}
		free(r->at[i].cols);
	}
	free(r->at);
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

/* ---- values ---- */

struct ignore {
	const char *table, *column;
	bool restored;
};

static bool is_ignored_member(const char *key, const void *arg)
{
	const struct ignore *g = arg;

	for (size_t i = 0; i < n_diff_ignored; i++) {
		const struct diff_ignored *d = &diff_ignored[i];

		if (d->member && strcmp(d->member, key) == 0 && strcmp(d->table, g->table) == 0 &&
		    strcmp(d->column, g->column) == 0 && (!d->restored_only || g->restored))
			return true;
	}
	return false;
}

static int cmp_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The elements of an array as texts, sorted, joined by newlines. */
static int sorted_elements(const struct json *array, struct buf *out, struct err *e)
{
	size_t n = json_len(array), made = 0;
	auto_free char **texts = calloc(n + 1, sizeof(*texts));
	int rc = texts ? 0 : no_memory(e);

	for (size_t i = 0; !rc && i < n; i++) {
		struct buf text = {0};

		rc = json_print(json_at(array, i), false, &text, e);
		/* without texts rc is -1: NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
		texts[made++] = (char *)text.data;
	}
	if (!rc && n)
		qsort(texts, n, sizeof(*texts), cmp_text);
	for (size_t i = 0; i < made; i++) {
		if (!rc)
			rc = buf_printf(out, e, "%s\n", texts[i]);
		free(texts[i]);
	}
	return rc;
}

/* "TCP_MD5SIG", "TCP_MD5SIG#2", ...: what is set several times, which has no order (imgdb/map_options.c). */
static int sort_numbered(struct json *j, const char *name, struct err *e)
{
	auto_json struct json *all = json_new_array();
	auto_buf struct buf sorted = {0};
	const struct json *v = json_get(j, name);
	char key[64], *save, *line;
	int n = 1, rc = 0;

	snprintf(key, sizeof(key), "%s", name);
	while (v && !rc) {
		auto_buf struct buf text = {0};

		rc = json_print(v, false, &text, e) ||
		     json_push(all, json_parse((char *)text.data, text.len, e), e);
		snprintf(key, sizeof(key), "%s#%d", name, ++n);
		v = json_get(j, key);
	}
	if (rc || json_len(all) < 2)
		return rc;
	if (sorted_elements(all, &sorted, e))
		return -1;
	n = 0;
	for (line = strtok_r((char *)sorted.data, "\n", &save); line && !rc;
	     line = strtok_r(NULL, "\n", &save)) {
		n++;
		snprintf(key, sizeof(key), n > 1 ? "%s#%d" : "%s", name, n);
		rc = json_set(j, key, json_parse(line, strlen(line), e), e);
	}
	return rc;
}

/* Options that a socket has several times, in one order. */
static int sort_many(struct json *j, const char *text, struct err *e)
{
	if (!strchr(text, '#') || json_kind(j) != JSON_KIND_OBJECT)
		return 0;
	for (size_t i = 0; i < sockopt_count(); i++)
		if ((sockopt_get(i)->flags & SOCKOPT_MANY) &&
		    sort_numbered(j, sockopt_get(i)->name, e))
			return -1;
	return 0;
}

/* JSON without what is ignored; null, {} and [] are absent, because dumps write what is not there each way. */
static int json_value(struct diff_run *r, const struct diff_col *c, const char *text,
		      struct diff_value *v, struct err *e)
{
	struct ignore g = {r->t->name, c->name, r->opts->restored};
	struct err bad = ERR_INIT;
	auto_json struct json *j = json_parse(text, strlen(text), &bad);
	auto_buf struct buf out = {0};

	if (!j)
		return dup_text(&v->cmp, text, e) || dup_text(&v->show, text, e) ? -1 : 0;
	json_prune(j, is_ignored_member, &g);
	if (sort_many(j, text, e))
		return -1;
	if (json_kind(j) == JSON_KIND_NULL ||
	    ((json_kind(j) == JSON_KIND_OBJECT || json_kind(j) == JSON_KIND_ARRAY) && !json_len(j)))
		return 0;
	if (json_print(j, false, &out, e) || dup_text(&v->show, (char *)out.data, e))
		return -1;
	buf_reset(&out);
	if (c->how == DIFF_JSON_SET && json_kind(j) == JSON_KIND_ARRAY) {
		if (sorted_elements(j, &out, e))
			return -1;
		return dup_text(&v->cmp, (char *)out.data, e);
	}
	return dup_text(&v->cmp, v->show, e);
}

/* A reference: compared by pair, shown by name. */
static int ref_value(struct diff_run *r, enum match_kind kind, int side, int64_t id,
		     struct diff_value *v, struct err *e)
{
	long pair = match_pair(r->m, kind, side, id);
	char text[32];

	snprintf(text, sizeof(text), "%ld", pair);
	if (pair < 0)
		return 0;
	return dup_text(&v->cmp, text, e) || dup_text(&v->show, match_label(r->m, kind, pair), e)
		       ? -1
		       : 0;
}

/* A holder is called nsimg:COMM, as much of it as fits; its beginning is what can be compared. */
static int comm_value(struct diff_run *r, const char *comm, struct diff_value *v, struct err *e)
{
	char text[16];

	snprintf(text, sizeof(text), "%s", strncmp(comm, "nsimg:", 6) == 0 ? comm + 6 : comm);
	if (r->opts->restored)
		text[9] = 0;
	return dup_text(&v->cmp, r->opts->restored ? text : comm, e) || dup_text(&v->show, comm, e)
		       ? -1
		       : 0;
}

/* Of what CRIU dumped without its lock, which no restore makes. */
static int ruleset_value(const struct diff_run *r, int side, const char *text, struct diff_value *v,
			 struct err *e)
{
	auto_buf struct buf open = {0}, plain = {0};
	bool had = false;

	if (r->by_criu && side == 0 && lock_strip(text, &open, &had, e))
		return -1;
	if (had)
		text = open.data ? (const char *)open.data : "";
	if (ruleset_plain(text, &plain, e) ||
	    (plain.len && dup_text(&v->cmp, (char *)plain.data, e)))
		return -1;
	return plain.len ? dup_text(&v->show, (char *)plain.data, e) : 0;
}

static int make_value(struct diff_run *r, const struct diff_col *c, int side, const struct query *q,
		      int col, struct diff_value *v, struct err *e)
{
	auto_buf struct buf text = {0};
	bool is_null;

	if (rows_cell_text(q, col, &text, &is_null, e) || is_null)
		return is_null ? 0 : -1;
	switch (c->how) {
	case DIFF_JSON:
	case DIFF_JSON_SET:
		return json_value(r, c, (char *)text.data, v, e);
	case DIFF_NETNS:
		return ref_value(r, MATCH_NETNS, side, query_int(q, col), v, e);
	case DIFF_TASK:
		return ref_value(r, MATCH_TASK, side, query_int(q, col), v, e);
	case DIFF_SOCKET:
		return ref_value(r, MATCH_SOCKET, side, query_int(q, col), v, e);
	case DIFF_COMM:
		return comm_value(r, (char *)text.data, v, e);
	case DIFF_RULESET:
		return ruleset_value(r, side, (char *)text.data, v, e);
	case DIFF_TEXT:
	case DIFF_ORDER:
	case DIFF_ONE_SIDED:
		break;
	}
	return dup_text(&v->cmp, (char *)text.data, e) || dup_text(&v->show, (char *)text.data, e)
		       ? -1
		       : 0;
}

/* ---- rows ---- */

static int put_expr(struct buf *sql, const struct diff_col *c, struct err *e)
{
	if (c->expr)
		return buf_printf(sql, e, ", (%s)", c->expr);
	return buf_printf(sql, e, ", t.\"%s\"", c->name);
}

#define N_FIXED 3

/* netns, object, in_criu, keys, columns */
static int table_sql(const struct diff_table *t, struct buf *sql, struct err *e)
{
	if (strstr(t->from, " sockets z") &&
	    (buf_add_str(sql, "WITH sockets AS MATERIALIZED (", e) || sockets_sql(sql, e) ||
	     buf_add_str(sql, ") ", e)))
		return -1;
	if (buf_printf(sql, e, "SELECT %s, %s, %s", t->netns ? t->netns : "NULL", t->object,
		       t->in_criu ? t->in_criu : "1"))
		return -1;
	for (size_t i = 0; i < t->n_keys; i++) {
		if (put_expr(sql, &t->keys[i], e))
			return -1;
	}
	for (size_t i = 0; i < t->n_cols; i++) {
		if (put_expr(sql, &t->cols[i], e))
			return -1;
	}
	return buf_printf(sql, e, " FROM %s WHERE t.image = :image%s%s%s", t->from,
			  t->where ? " AND (" : "", t->where ? t->where : "", t->where ? ")" : "");
}

static bool is_orphan(const struct diff_run *r, const struct diff_col *key, const char *pair)
{
	if (!pair || (key->how != DIFF_TASK && key->how != DIFF_SOCKET))
		return false;
	return !match_is_whole(r->m, key->how == DIFF_TASK ? MATCH_TASK : MATCH_SOCKET,
			       strtol(pair, NULL, 10));
}

static int make_key(struct diff_run *r, int side, const struct query *q, struct diff_row *row,
		    struct err *e)
{
	auto_buf struct buf key = {0};

	if (buf_reserve(&key, 1, e))
		return -1;
	for (size_t i = 0; i < r->t->n_keys; i++) {
		struct diff_value v = {NULL, NULL};
		int rc = make_value(r, &r->t->keys[i], side, q, N_FIXED + (int)i, &v, e);

		if (is_orphan(r, &r->t->keys[i], v.cmp))
			row->orphan = true;

		/* a byte that no text has (base/escape.h) between the parts */
		rc = rc || buf_printf(&key, e, "%s\x01", v.cmp ? v.cmp : "");
		free(v.cmp);
		free(v.show);
		if (rc)
			return -1;
	}
	return dup_text(&row->key, (char *)key.data, e);
}

static int add_row(struct diff_run *r, int side, const struct query *q, struct diff_rows *rows,
		   struct err *e)
{
	struct diff_row *row;

	if (rows->n == rows->cap) {
		size_t cap = rows->cap ? 2 * rows->cap : 64;
		struct diff_row *at = reallocarray(rows->at, cap, sizeof(*at));

		if (!at)
			return no_memory(e);
		rows->at = at;
		rows->cap = cap;
	}
	row = &rows->at[rows->n++];
	*row = (struct diff_row){.netns = -1, .cols = calloc(r->t->n_cols + 1, sizeof(*row->cols))};
	if (!row->cols)
		return no_memory(e);
	if (!query_is_null(q, 0))
		row->netns = match_pair(r->m, MATCH_NETNS, side, query_int(q, 0));
	row->in_criu = query_int(q, 2);
	if (dup_text(&row->object, query_text(q, 1) ? query_text(q, 1) : "?", e) ||
	    make_key(r, side, q, row, e))
		return -1;
	for (size_t i = 0; i < r->t->n_cols; i++) {
		if (make_value(r, &r->t->cols[i], side, q, N_FIXED + (int)(r->t->n_keys + i),
			       &row->cols[i], e))
			return -1;
	}
	return 0;
}

static int cmp_row(const void *x, const void *y)
{
	return strcmp(((const struct diff_row *)x)->key, ((const struct diff_row *)y)->key);
}

int diff_rows_load(struct diff_run *r, int side, const struct diff_side *s, struct diff_rows *rows,
		   struct err *e)
{
	auto_buf struct buf sql = {0};
	auto_query struct query *q = NULL;
	int rc;

	rows->n_cols = r->t->n_cols;
	if (table_sql(r->t, &sql, e))
		return -1;
	q = query_new(s->db, (const char *)sql.data, e);
	if (!q || query_bind_int(q, "image", s->image, e))
		return -1;
	while ((rc = query_next(q, e)) == 1) {
		if (add_row(r, side, q, rows, e))
			return -1;
	}
	if (rows->n)
		qsort(rows->at, rows->n, sizeof(*rows->at), cmp_row);
	return rc;
}
