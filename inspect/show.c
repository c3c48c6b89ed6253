#include "inspect/show.h"

#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "inspect/commands.h"
#include "inspect/origin.h"
#include "inspect/rows.h"

static const char *table_name_at(const void *arg, unsigned i)
{
	return i < n_show_tables ? show_tables[i].name : NULL;
}

static int unknown_table(const char *name, struct err *e)
{
	const char *near = cli_nearest(name, table_name_at, NULL);
	auto_buf struct buf list = {0};

	if (near)
		return err_set(e, ERR_USAGE, "no table '%s'; did you mean '%s'?", name, near);
	for (size_t i = 0; i < n_show_tables; i++) {
		if (buf_printf(&list, e, "%s%s", i ? ", " : "", show_tables[i].name))
			return -1;
	}
	return err_set(e, ERR_USAGE, "no table '%s'; there are: %s", name, list.data);
}

const struct show_table *show_find(const char *name, struct err *e)
{
	const struct show_table *found = NULL;
	size_t n = strlen(name);

	for (size_t i = 0; i < n_show_tables; i++) {
		const struct show_table *t = &show_tables[i];

		if (strcasecmp(t->name, name) == 0)
			return t;
		if (strncasecmp(t->name, name, n) != 0)
			continue;
		if (found) {
			err_set(e, ERR_USAGE, "'%s' may be %s or %s", name, found->name, t->name);
			return NULL;
		}
		found = t;
	}
	/* the singular of the one name it is not a beginning of */
	if (!found && strcasecmp(name, "address") == 0)
		return show_find("addresses", e);
	if (!found)
		unknown_table(name, e);
	return found;
}

/* Which rows: of the image, or of one namespace, whose index is then taken instead of that of the image. */
static int rows_condition(const struct show_table *t, bool in_netns, struct buf *out, struct err *e)
{
	bool is_netns = strncmp(t->from, "netns t", 7) == 0;

	if (!in_netns)
		return buf_add_str(out, "t.image = :image", e);
	if (!is_netns && !strstr(t->from, " netns n "))
		return err_set(e, ERR_USAGE, "%s are in no network namespace", t->name);
	/* SQLite does not begin with the right side of a LEFT JOIN: the descriptors of the sockets that are there */
	if (!strncmp(t->from, "fd t ", 5))
		return buf_add_str(out,
				   "t.image = :image AND n.id = :netns AND t.file_id IN (SELECT "
				   "file_id FROM socket WHERE netns = :netns)",
				   e);
	return buf_printf(out, e, "+t.image = :image AND %s.id = :netns", is_netns ? "t" : "n");
}

int show_sql(const struct show_table *t, const char *where, bool in_netns, struct buf *out,
	     struct err *e)
{
	auto_buf struct buf drive = {0};
	char plain[64];

	if (buf_add_str(out, "SELECT * FROM (SELECT ", e) ||
	    (where && !in_netns && show_where_drive(t, where, &drive, e)))
		return -1;
	for (size_t i = 0; i < t->n_cols; i++) {
		const struct show_col *c = &t->cols[i];

		snprintf(plain, sizeof(plain), "t.%s", c->name);
		if ((i && buf_add_str(out, ", ", e)) ||
		    words_sql(out, c->words, c->expr ? c->expr : plain, e) ||
		    buf_printf(out, e, " AS \"%s\"", c->name))
			return -1;
	}
	if (buf_printf(out, e, " FROM %s WHERE ", t->from) ||
	    (drive.len ? buf_add_str(out, (const char *)drive.data, e)
		       : rows_condition(t, in_netns, out, e)))
		return -1;
	return buf_printf(out, e, " ORDER BY %s) WHERE %s%s%s", t->order, where ? "(" : "",
			  where ? where : "1", where ? "\n)" : "");
}

/* The words after the table's name are one condition, so that quoting it is not needed. */
static int join_words(const struct cli *c, unsigned first, struct buf *out, struct err *e)
{
	for (unsigned i = first; i < cli_n_args(c); i++) {
		if (buf_printf(out, e, "%s%s", i > first ? " " : "", cli_arg(c, i)))
			return -1;
	}
	return 0;
}

static int list_tables(const struct cli *c, struct err *e)
{
	static const struct table_col cols[] = {{"table", TABLE_STR, 0}, {"holds", TABLE_STR, 0}};
	auto_table struct table *t = table_new(cols, ARRAY_SIZE(cols), e);

	for (size_t i = 0; i < n_show_tables; i++) {
		if (!t || table_row(t, e) || table_cell(t, 0, show_tables[i].name, e) ||
		    table_cell(t, 1, show_tables[i].summary, e))
			return -1;
	}
	return cli_print_table(c, t, e);
}

static const char *column_at(const void *arg, unsigned i)
{
	const struct show_table *t = arg;

	return i < t->n_cols ? t->cols[i].name : NULL;
}

/* SQLite's message ends in our long query, which helps nobody; the names of the columns do. */
static int explain_where(const struct show_table *t, const char *where, struct err *e)
{
	static const char no_column[] = "no such column: ";
	const char *near = NULL;
	auto_buf struct buf list = {0};
	struct err cause = *e;
	char *query = strstr(cause.msg, " in: SELECT");

	if (e->code != ERR_DB)
		return -1;
	if (query)
		*query = 0;
	if (!strncmp(cause.msg, no_column, strlen(no_column)))
		near = cli_nearest(cause.msg + strlen(no_column), column_at, t);
	for (size_t i = 0; i < t->n_cols; i++) {
		if (buf_printf(&list, e, "%s%s", i ? ", " : "", t->cols[i].name))
			return -1;
	}
	return err_set(e, ERR_USAGE, "condition '%s': %s%s%s%s; columns: %s", where, cause.msg,
		       near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "",
		       list.data);
}

static int show_rows(const struct cli *c, struct db *db, const char *sql, int64_t image,
		     int64_t netns, const struct table_col *cols, size_t n_cols, struct err *e)
{
	auto_query struct query *q = query_new(db, sql, e);
	auto_table struct table *t = table_new(cols, n_cols, e);

	if (!q || !t || query_bind_int(q, "image", image, e) ||
	    (netns && query_bind_int(q, "netns", netns, e)))
		return -1;
	if (cli_has(c, "origin"))
		return show_origins(c, db, q, cols, n_cols, e);
	return rows_to_table(q, t, e) || cli_print_table(c, t, e) ? -1 : 0;
}

/* The one namespace that the condition is about; *netns stays 0: none is, or not just one. */
static int netns_of(struct db *db, const struct show_table *t, const char *where, int64_t image,
		    int64_t *netns, struct err *e)
{
	auto_query struct query *q = NULL;
	auto_buf struct buf name = {0};
	struct span text;
	int64_t id;
	int rc;

	if (!strstr(t->from, " netns n ") || !show_where_equal(where, "netns", &text))
		return 0;
	q = query_new(db,
		      "SELECT id FROM netns WHERE image = :image AND coalesce(name, 'ns' || ns_id) "
		      "= :name LIMIT 2",
		      e);
	if (!q || buf_add(&name, text.data, text.len, e) || query_bind_int(q, "image", image, e) ||
	    query_bind_text(q, "name", name.len ? (const char *)name.data : "", e))
		return -1;
	rc = query_next(q, e);
	if (rc <= 0)
		return rc;
	id = query_int(q, 0);
	rc = query_next(q, e);
	*netns = rc ? 0 : id;
	return rc < 0 ? -1 : 0;
}

static int show_run(struct cli *c, struct err *e)
{
	auto_buf struct buf where = {0}, sql = {0};
	auto_free struct table_col *cols = NULL;
	const struct show_table *t;
	auto_db struct db *db = NULL;
	int64_t image, netns = 0;

	if (cli_n_args(c) < 2)
		return list_tables(c, e);
	t = show_find(cli_arg(c, 1), e);
	if (!t || join_words(c, 2, &where, e))
		return -1;
	db = rows_open(c, 0, &image, e);
	if (!db || (cli_has(c, "netns") && rows_netns(db, image, cli_value(c, "netns"), &netns, e)))
		return -1;
	if (!netns && where.len && netns_of(db, t, (const char *)where.data, image, &netns, e))
		return -1;
	if (show_sql(t, where.len ? (const char *)where.data : NULL, netns != 0, &sql, e))
		return -1;
	cols = calloc(t->n_cols, sizeof(*cols));
	if (!cols)
		return err_set(e, ERR_NOMEM, "show: out of memory");
	for (size_t i = 0; i < t->n_cols; i++)
		cols[i] = (struct table_col){t->cols[i].name, t->cols[i].type, t->cols[i].flags};
	if (show_rows(c, db, (const char *)sql.data, image, netns, cols, t->n_cols, e))
		return where.len ? explain_where(t, (const char *)where.data, e) : -1;
	return 0;
}

static const struct cli_opt show_opts[] = {
	{"netns", 'N', "NAME", "only what is in this namespace, by name or number", false},
	{"origin", 'O', NULL, "with the bytes of the record that each row came from", false},
	{0},
};

const struct cmd cmd_show = {
	.name = "show",
	.synopsis = "DB [TABLE [WHERE]]",
	.summary = "rows of one table: devices, addresses, routes, rules, ... with a condition",
	.run = show_run,
	.opts = show_opts,
	.flags = CMD_DATABASE | CMD_OUTPUT | CMD_IMAGE,
	.min_args = 1,
	.max_args = CLI_ANY_ARGS,
};
