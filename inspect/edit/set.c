/* set.c: nsimg set: fields of objects. */
#include "inspect/edit/set.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "inspect/commands.h"
#include "proto/inet.h"

/* The fields of one command. */
struct set {
	struct edit *x;
	const struct edit_table *t;
	struct set_field field[SET_FIELDS_MAX];
	unsigned n;
};

static void set_free(struct set *s)
{
	set_fields_free(s->field, s->n);
}

static const char *text_of(const struct set_field *f)
{
	return f->text ? f->text : f->own.data ? (const char *)f->own.data : "";
}

/* ---- fields that depend on the row ---- */

/* The index of a device of the row's namespace. */
static int device_index(struct set *s, const struct set_field *f, int64_t id, int64_t *ifindex,
			struct err *e)
{
	const struct edit_bind binds[] = {{"id", NULL, id}, {"name", text_of(f), 0}, {0}};
	char sql[200];
	bool found;

	snprintf(sql, sizeof(sql),
		 "SELECT d.ifindex FROM device d JOIN %s t ON t.netns = d.netns WHERE t.id = :id "
		 "AND d.name = :name",
		 f->table);
	if (edit_number(s->x, sql, binds, ifindex, &found, e))
		return -1;
	return found ? 0
		     : err_set(e, ERR_USAGE, "the namespace of %s %" PRId64 " has no device '%s'",
			       s->t->name, id, text_of(f));
}

/* The gateway of a route is in one column or the other, by its family. */
static int gateway_column(struct set *s, const struct set_field *f, int64_t id, const char **set,
			  struct err *e)
{
	const struct edit_bind binds[] = {{"id", NULL, id}, {0}};
	uint8_t addr[16];
	int64_t family;
	size_t len;
	bool found;

	if (edit_number(s->x, "SELECT family FROM route WHERE id = :id", binds, &family, &found,
			e) ||
	    inet_parse(text_of(f), 0, addr, &len, e))
		return -1;
	*set = inet_family_of_len(len) == (int)family ? "gateway = :v%u, via = NULL"
						      : "via = :v%u, gateway = NULL";
	return 0;
}

/* ---- the statement ---- */

/* The field of the same column before field i, or after it: -1 none. */
static int field_beside(const struct set *s, unsigned i, int step)
{
	for (int j = (int)i + step; j >= 0 && j < (int)s->n; j += step)
		if (!strcmp(s->field[j].table, s->field[i].table) &&
		    !strcmp(s->field[j].column, s->field[i].column))
			return j;
	return -1;
}

/* The value of its column when the fields up to this one are set: members and bits add to those before. */
static int put_value(struct set *s, unsigned i, struct buf *sql, struct err *e)
{
	const struct set_field *f = &s->field[i];
	const int before = field_beside(s, i, -1);
	const bool is_json = f->how == SET_JSON;

	if (!is_json && f->how != SET_BITS_ON && f->how != SET_BITS_OFF)
		return buf_printf(sql, e, ":v%u", i);
	if (buf_printf(sql, e, "%scoalesce(", is_json ? "json_set(" : "(") ||
	    (before < 0 ? buf_printf(sql, e, "\"%s\"", f->column)
			: put_value(s, (unsigned)before, sql, e)))
		return -1;
	if (is_json)
		return buf_printf(sql, e, ", '{}'), '%s', json(:v%u))", f->path, i);
	return buf_printf(sql, e, ", 0) %s :v%u)", f->how == SET_BITS_ON ? "|" : "& ~", i);
}

static int put_set(struct set *s, unsigned i, int64_t id, struct buf *sql, struct err *e)
{
	const struct set_field *f = &s->field[i];
	const char *set = NULL, *mark;

	if (f->how != SET_VIA)
		return buf_printf(sql, e, "\"%s\" = ", f->column) || put_value(s, i, sql, e) ? -1
											     : 0;
	if (gateway_column(s, f, id, &set, e))
		return -1;
	mark = strstr(set, "%u");
	return buf_add(sql, set, (size_t)(mark - set), e) || buf_printf(sql, e, "%u", i) ||
			       buf_add_str(sql, mark + 2, e)
		       ? -1
		       : 0;
}

static int bind_field(struct set *s, unsigned i, int64_t id, struct query *q, struct err *e)
{
	const struct set_field *f = &s->field[i];
	char name[16];
	int64_t ifindex;

	snprintf(name, sizeof(name), "v%u", i);
	if (f->how == SET_DEVICE)
		return device_index(s, f, id, &ifindex, e) || query_bind_int(q, name, ifindex, e)
			       ? -1
			       : 0;
	switch (f->type) {
	case QUERY_INT:
		return query_bind_int(q, name, f->num, e);
	case QUERY_BLOB:
		return query_bind_blob(q, name, f->own.data, f->own.len, e);
	case QUERY_TEXT:
		return query_bind_text(q, name, text_of(f), e);
	default:
		return query_bind_null(q, name, e);
	}
}

/* The update of one table, for one row or (where nothing depends on the row) for all. */
static struct query *prepare(struct set *s, const char *table, int64_t id, struct err *e)
{
	auto_buf struct buf sql = {0};
	unsigned n = 0;

	if (buf_printf(&sql, e, "UPDATE %s SET ", table))
		return NULL;
	for (unsigned i = 0; i < s->n; i++)
		if (!strcmp(s->field[i].table, table) && field_beside(s, i, 1) < 0 &&
		    ((n++ && buf_add_str(&sql, ", ", e)) || put_set(s, i, id, &sql, e)))
			return NULL;
	if (buf_printf(&sql, e, " WHERE %s = :id RETURNING 1",
		       strstr(table, "_socket") ? "socket" : "id"))
		return NULL;
	return query_new(s->x ? edit_db(s->x) : NULL, (const char *)sql.data, e);
}

/* Rows of one table; *n_set: how many there were. */
static int update(struct set *s, const char *table, const struct edit_ids *ids, size_t *n_set,
		  struct err *e)
{
	auto_query struct query *q = NULL;
	bool by_row = false;

	for (unsigned i = 0; i < s->n; i++)
		by_row |= s->field[i].how == SET_VIA;
	for (size_t r = 0; r < ids->n; r++) {
		int rc;

		if (!q || by_row) {
			query_free(q);
			q = prepare(s, table, ids->id[r], e);
		}
		if (!q || query_bind_int(q, "id", ids->id[r], e))
			return -1;
		for (unsigned i = 0; i < s->n; i++)
			if (!strcmp(s->field[i].table, table) && bind_field(s, i, ids->id[r], q, e))
				return -1;
		while ((rc = query_next(q, e)) == 1)
			++*n_set;
		if (rc)
			return -1;
	}
	return 0;
}

static int update_all(struct set *s, const struct edit_ids *ids, struct err *e)
{
	size_t n_set = 0;

	for (unsigned i = 0; i < s->n; i++) {
		bool done = false;

		for (unsigned j = 0; j < i; j++)
			done |= !strcmp(s->field[j].table, s->field[i].table);
		if (!done && update(s, s->field[i].table, ids, &n_set, e))
			return -1;
	}
	return n_set ? 0
		     : err_set(e, ERR_NOTFOUND, "none of these sockets has a field '%s' (%s)",
			       s->field[0].column, s->field[0].table);
}

/* ADDRESS/LEN of an address is two fields. */
static int parse_fields(struct set *s, const char *word, struct err *e)
{
	char one[120];
	const char *slash = strchr(word, '/');

	if (strcmp(s->t->name, "address") != 0 || strncmp(word, "address=", 8) != 0 || !slash)
		return set_parse(edit_db(s->x), s->t, word, s->field, &s->n, e);
	/* parsed twice, kept once: the text of a field is lent by its word */
	snprintf(one, sizeof(one), "prefixlen=%s", slash + 1);
	if (set_parse(edit_db(s->x), s->t, one, s->field, &s->n, e))
		return -1;
	snprintf(one, sizeof(one), "%.*s", (int)(slash - word), word);
	if (set_parse(edit_db(s->x), s->t, one, s->field, &s->n, e))
		return -1;
	if (!s->field[s->n - 1].text)
		return 0;
	s->field[s->n - 1].text = NULL;
	return buf_add(&s->field[s->n - 1].own, word + 8, (size_t)(slash - word) - 8, e);
}

/* One value for one column; only members and bits add up. */
static int check_twice(const struct set *s, struct err *e)
{
	for (unsigned i = 0; i < s->n; i++)
		if (field_beside(s, i, -1) >= 0 && s->field[i].how != SET_JSON &&
		    s->field[i].how != SET_BITS_ON && s->field[i].how != SET_BITS_OFF)
			return err_set(e, ERR_USAGE, "%s is set twice", s->field[i].column);
	return 0;
}

int set_edit(struct edit *x, const struct cli *c, struct err *e)
{
	__attribute__((cleanup(set_free))) struct set s = {.x = x};
	auto_edit_ids struct edit_ids ids = {0};
	unsigned n, n_object;
	const char *const *words = edit_words(c, 1, &n);

	/* what follows "where" is a condition, whatever it looks like */
	for (n_object = n; n_object && set_is_assignment(words[n_object - 1]) &&
			   !(n_object > 1 && !strcmp(words[n_object - 2], "where"));)
		n_object--;
	if (n_object == n)
		return err_set(e, ERR_USAGE,
			       "what is to be set? FIELD=VALUE, without blanks, comes last");
	s.t = edit_find(x, words, n_object, false, &ids, e);
	if (!s.t)
		return -1;
	for (unsigned i = n_object; i < n; i++)
		if (parse_fields(&s, words[i], e))
			return -1;
	return check_twice(&s, e) || update_all(&s, &ids, e) ? -1 : 0;
}

static const struct cli_opt options[] = {EDIT_OPTIONS, {0}};

const struct cmd cmd_set = {
	EDIT_CMD,
	.name = "set",
	.synopsis = "DB OBJECT... FIELD=VALUE...",
	.summary = "change fields of an object, or of all that a filter finds",
	.opts = options,
	.min_args = 3,
	.max_args = CLI_ANY_ARGS,
};
