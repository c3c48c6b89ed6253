/* What people call a row, made from a template: "{column}" is its value, "{column:how}" the value as how says
 * (below), "[...]" is left out when a value in it is NULL. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "imgdb/log_row.h"
#include "inspect/edit/edit_tables.h"

struct edit_labels {
	struct db *db;
	int64_t op;
	struct query *netns, *device, *gone, *inet, *unix_name;
	struct {
		char tbl[24];
		struct query *q;
	} rows[8]; /* reads a row as it is */
};

/* The row a label is made of: its values in the log, or a query that stands on it. */
struct row {
	const char *tbl;
	int64_t id;
	struct log_row *logged;
	const struct query *now;
};

struct edit_labels *edit_labels_new(struct db *db, int64_t op, struct err *e)
{
	auto_edit_labels struct edit_labels *l = calloc(1, sizeof(*l));

	if (!l) {
		err_set(e, ERR_NOMEM, "out of memory");
		return NULL;
	}
	l->db = db;
	l->op = op;
	l->netns =
		query_new(db, "SELECT coalesce(name, 'ns' || ns_id) FROM netns WHERE id = :id", e);
	l->device = query_new(
		db, "SELECT name FROM device WHERE netns = :netns AND ifindex = :ifindex", e);
	l->gone =
		query_new(db,
			  "SELECT before, row FROM edit_log WHERE tbl = :tbl AND op = :op AND "
			  "(:row = 0 OR row = :row) AND before IS NOT NULL ORDER BY id LIMIT 1000",
			  e);
	l->inet = query_new(
		db, "SELECT src, src_port, dst, dst_port FROM inet_socket WHERE socket = :id", e);
	l->unix_name = query_new(db, "SELECT name FROM unix_socket WHERE socket = :id", e);
	return l->netns && l->device && l->gone && l->inet && l->unix_name ? take_ptr(l) : NULL;
}

void edit_labels_free(struct edit_labels *l)
{
	if (!l)
		return;
	query_free(l->netns);
	query_free(l->device);
	query_free(l->gone);
	query_free(l->inet);
	query_free(l->unix_name);
	for (size_t i = 0; i < ARRAY_SIZE(l->rows); i++)
		query_free(l->rows[i].q);
	free(l);
}

/* ---- values ---- */

static int add_logged(struct log_row *logged, const char *column, struct buf *out, bool *is_null,
		      struct err *e)
{
	int i = log_row_find(logged, column);
	const char *text = i < 0 ? NULL : log_row_text(logged, (unsigned)i);

	*is_null = !text;
	return text ? buf_add_str(out, text, e) : 0;
}

static int add_value(const struct row *r, const char *column, struct buf *out, bool *is_null,
		     struct err *e)
{
	if (r->logged)
		return add_logged(r->logged, column, out, is_null, e);
	*is_null = true;
	for (int i = 0; i < query_n_columns(r->now); i++) {
		if (strcmp(query_column_name(r->now, i), column) != 0 || query_is_null(r->now, i))
			continue;
		*is_null = false;
		return buf_add_str(out, query_text(r->now, i), e);
	}
	return 0;
}

static int get_number(const struct row *r, const char *column, int64_t *v, bool *is_null,
		      struct err *e)
{
	auto_buf struct buf text = {0};

	if (add_value(r, column, &text, is_null, e) || buf_add(&text, "", 0, e))
		return -1;
	*v = text.data ? strtoll((const char *)text.data, NULL, 10) : 0;
	return 0;
}

/* A row that the operation took away, as the log has it. 1, 0: there is none, -1. */
static int find_gone(struct edit_labels *l, const char *tbl, int64_t row, struct log_row *gone,
		     struct err *e)
{
	int rc;

	if (query_bind_text(l->gone, "tbl", tbl, e) || query_bind_int(l->gone, "op", l->op, e) ||
	    query_bind_int(l->gone, "row", row, e))
		return -1;
	rc = query_next(l->gone, e);
	if (rc == 1 && log_row_read(gone, query_text(l->gone, 0), e))
		return -1;
	return rc < 0 || query_reset(l->gone, e) ? -1 : rc;
}

/* ---- values as words ---- */

typedef int how_fn(struct edit_labels *l, const struct row *r, int64_t v, struct buf *out,
		   struct err *e);

static int put_netns(struct edit_labels *l, const struct row *r, int64_t v, struct buf *out,
		     struct err *e)
{
	auto_log_row struct log_row gone = {0};
	bool is_null;
	int rc;

	if (query_bind_int(l->netns, "id", v, e))
		return -1;
	rc = query_next(l->netns, e);
	if (rc == 1)
		return buf_add_str(out, query_text(l->netns, 0), e) || query_reset(l->netns, e) ? -1
												: 0;
	if (!rc)
		rc = find_gone(l, "netns", v, &gone, e);
	if (rc < 0)
		return -1;
	return rc ? add_logged(&gone, "name", out, &is_null, e) : buf_printf(out, e, "%" PRId64, v);
}

/* The name of a device that this operation took away. */
static int put_gone_device(struct edit_labels *l, int64_t netns, int64_t ifindex, struct buf *out,
			   struct err *e)
{
	auto_log_row struct log_row gone = {0};
	int rc;

	if (query_bind_text(l->gone, "tbl", "device", e) ||
	    query_bind_int(l->gone, "op", l->op, e) || query_bind_int(l->gone, "row", 0, e))
		return -1;
	while ((rc = query_next(l->gone, e)) == 1) {
		struct row r = {.logged = &gone};
		int64_t n = 0, i = 0;
		bool is_null;

		if (log_row_read(&gone, query_text(l->gone, 0), e) ||
		    get_number(&r, "netns", &n, &is_null, e) ||
		    get_number(&r, "ifindex", &i, &is_null, e))
			return -1;
		if (n == netns && i == ifindex)
			return add_logged(&gone, "name", out, &is_null, e) ||
					       query_reset(l->gone, e)
				       ? -1
				       : 0;
	}
	return rc < 0 ? -1 : buf_printf(out, e, "if%" PRId64, ifindex);
}

static int put_device(struct edit_labels *l, const struct row *r, int64_t v, struct buf *out,
		      struct err *e)
{
	int64_t netns;
	bool is_null;
	int rc;

	if (get_number(r, "netns", &netns, &is_null, e) ||
	    query_bind_int(l->device, "netns", netns, e) ||
	    query_bind_int(l->device, "ifindex", v, e))
		return -1;
	rc = query_next(l->device, e);
	if (rc == 1)
		return buf_add_str(out, query_text(l->device, 0), e) || query_reset(l->device, e)
			       ? -1
			       : 0;
	return rc < 0 ? -1 : put_gone_device(l, netns, v, out, e);
}

/* "10.0.0.1:80 -> 10.0.0.2:4000" */
static int put_ends(const struct row *r, struct buf *out, struct err *e)
{
	static const char *const ends[][2] = {{"src", "src_port"}, {"dst", "dst_port"}};
	int64_t port = 0;
	bool is_null;

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		auto_buf struct buf address = {0};
		const char *text;
		bool is_v6;

		if (add_value(r, ends[i][0], &address, &is_null, e) ||
		    get_number(r, ends[i][1], &port, &is_null, e) || buf_add(&address, "", 0, e))
			return -1;
		text = address.len ? (const char *)address.data : "*";
		if (i && !port)
			return 0;
		is_v6 = strchr(text, ':');
		if (buf_printf(out, e, "%s%s%s%s:%" PRId64, i ? " -> " : "", is_v6 ? "[" : "", text,
			       is_v6 ? "]" : "", port))
			return -1;
	}
	return 0;
}

static int put_unix(const struct row *r, struct buf *out, struct err *e)
{
	size_t start = out->len;
	bool is_null;

	if (add_value(r, "name", out, &is_null, e))
		return -1;
	return out->len == start ? buf_add_str(out, "*", e) : 0;
}

/* One family's row as it is. *done: it was there. */
static int put_current(struct query *q, const char *tbl, int64_t id, bool *done, struct buf *out,
		       struct err *e)
{
	const struct row r = {.tbl = tbl, .id = id, .now = q};
	int rc;

	if (query_bind_int(q, "id", id, e))
		return -1;
	rc = query_next(q, e);
	if (rc <= 0)
		return rc;
	*done = true;
	rc = !strcmp(tbl, "unix_socket") ? put_unix(&r, out, e) : put_ends(&r, out, e);
	return rc || query_reset(q, e) ? -1 : 0;
}

static int put_socket(struct edit_labels *l, const struct row *r, int64_t v, struct buf *out,
		      struct err *e)
{
	static const char *const tables[] = {"inet_socket", "unix_socket"};
	bool done = false;

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		auto_log_row struct log_row logged = {0};
		struct row gone = {.tbl = tables[i], .logged = &logged};
		int rc = 0;

		if (put_current(i ? l->unix_name : l->inet, tables[i], v, &done, out, e))
			return -1;
		if (done)
			return 0;
		rc = find_gone(l, tables[i], v, &logged, e);
		if (rc)
			return rc < 0 ? -1 : i ? put_unix(&gone, out, e) : put_ends(&gone, out, e);
	}
	return buf_printf(out, e, "socket %" PRId64, v);
}

static const struct {
	const char *name;
	enum words words; /* or */
	how_fn *fn;
} hows[] = {
	{"netns", WORDS_NONE, put_netns},   {"dev", WORDS_NONE, put_device},
	{"socket", WORDS_NONE, put_socket}, {"family", WORDS_FAMILY, NULL},
	{"type", WORDS_SOCK_TYPE, NULL},    {"table", WORDS_TABLE, NULL},
	{"proto", WORDS_IPPROTO, NULL},     {"rtype", WORDS_ROUTE_TYPE, NULL},
};

static int put_how(struct edit_labels *l, const struct row *r, const char *how, int64_t v,
		   struct buf *out, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(hows); i++) {
		const char *word;

		if (strcmp(hows[i].name, how) != 0)
			continue;
		if (hows[i].fn)
			return hows[i].fn(l, r, v, out, e);
		word = words_of(hows[i].words, v);
		/* ip leaves the ordinary type of a route out */
		if (hows[i].words == WORDS_ROUTE_TYPE)
			return v == 1 ? 0 : buf_printf(out, e, "%s ", word ? word : "?");
		return word ? buf_add_str(out, word, e) : buf_printf(out, e, "%" PRId64, v);
	}
	return err_set(e, ERR_UNSUPPORTED, "label: no way '%s' to show a value", how);
}

/* ---- templates ---- */

/* "{column:how}" at *at, which goes behind it. */
static int put_field(struct edit_labels *l, const struct row *r, const char **at, bool *is_null,
		     struct buf *out, struct err *e)
{
	char column[32] = "", how[16] = "";
	int64_t v;

	sscanf(*at, "{%31[^:}]:%15[^}]", column, how);
	*at = strchr(*at, '}') + 1;
	if (!*how)
		return add_value(r, column, out, is_null, e);
	if (get_number(r, column, &v, is_null, e) || *is_null)
		return *is_null ? 0 : -1;
	return put_how(l, r, how, v, out, e);
}

static int put_template(struct edit_labels *l, const struct row *r, const char *at, struct buf *out,
			struct err *e)
{
	size_t group = out->len;
	bool is_in_group = false, drop = false, is_null = false;

	while (*at) {
		if (*at == '[' || *at == ']') {
			if (*at == ']' && drop)
				out->len = group;
			is_in_group = *at++ == '[';
			group = out->len;
			drop = false;
		} else if (*at == '{') {
			if (put_field(l, r, &at, &is_null, out, e))
				return -1;
			drop |= is_null && is_in_group;
		} else if (buf_add(out, at++, 1, e)) {
			return -1;
		}
	}
	return buf_add(out, "", 0, e);
}

/* A query for the row of a table as it is. */
static struct query *row_query(struct edit_labels *l, const struct edit_table *t, struct err *e)
{
	size_t free_slot = 0;
	char sql[96];

	for (size_t i = 0; i < ARRAY_SIZE(l->rows); i++) {
		if (l->rows[i].q && !strcmp(l->rows[i].tbl, t->name))
			return l->rows[i].q;
		if (!l->rows[i].q)
			free_slot = i;
	}
	query_free(l->rows[free_slot].q);
	snprintf(sql, sizeof(sql), "SELECT * FROM %s WHERE %s = :id", t->name,
		 strstr(t->name, "_socket") ? "socket" : "id");
	snprintf(l->rows[free_slot].tbl, sizeof(l->rows[free_slot].tbl), "%s", t->name);
	l->rows[free_slot].q = query_new(l->db, sql, e);
	return l->rows[free_slot].q;
}

int edit_label(struct edit_labels *l, const char *tbl, int64_t row, const char *logged,
	       struct buf *out, struct err *e)
{
	const struct edit_table *t = edit_table_of(tbl);
	auto_log_row struct log_row was = {0};
	struct row r = {.tbl = tbl, .id = row};
	struct query *q;
	int rc;

	if (!t)
		return buf_printf(out, e, "row %" PRId64, row);
	if (logged) {
		r.logged = &was;
		return log_row_read(&was, logged, e) || put_template(l, &r, t->label, out, e) ? -1
											      : 0;
	}
	q = row_query(l, t, e);
	if (!q || query_bind_int(q, "id", row, e))
		return -1;
	rc = query_next(q, e);
	if (rc <= 0)
		return rc ? -1 : buf_printf(out, e, "row %" PRId64, row);
	r.now = q;
	rc = put_template(l, &r, t->label, out, e);
	return rc || query_reset(q, e) ? -1 : 0;
}
