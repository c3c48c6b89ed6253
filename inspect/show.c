#include "inspect/show.h"

#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "inspect/commands.h"
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

int show_sql(const struct show_table *t, const char *where, struct buf *out, struct err *e)
{
	char plain[64];

	if (buf_add_str(out, "SELECT * FROM (SELECT ", e))
		return -1;
	for (size_t i = 0; i < t->n_cols; i++) {
		const struct show_col *c = &t->cols[i];

		snprintf(plain, sizeof(plain), "t.%s", c->name);
		if ((i && buf_add_str(out, ", ", e)) ||
		    words_sql(out, c->words, c->expr ? c->expr : plain, e) ||
		    buf_printf(out, e, " AS \"%s\"", c->name))
			return -1;
	}
	return buf_printf(out, e, " FROM %s WHERE t.image = :image ORDER BY %s) WHERE %s%s%s",
			  t->from, t->order, where ? "(" : "", where ? where : "1",
			  where ? "\n)" : "");
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
	struct table_style style = cli_style(c);
	auto_table struct table *t = table_new(cols, ARRAY_SIZE(cols), e);

	for (size_t i = 0; i < n_show_tables; i++) {
		if (!t || table_row(t, e) || table_cell(t, 0, show_tables[i].name, e) ||
		    table_cell(t, 1, show_tables[i].summary, e))
			return -1;
	}
	return table_print(t, &style, cli_out(c), e);
}

/* SQLite's message ends in our long query, which helps nobody; the names of the columns do. */
static int explain_where(const struct show_table *t, const char *where, struct err *e)
{
	auto_buf struct buf list = {0};
	struct err cause = *e;
	char *query = strstr(cause.msg, " in: SELECT");

	if (e->code != ERR_DB)
		return -1;
	if (query)
		*query = 0;
	for (size_t i = 0; i < t->n_cols; i++) {
		if (buf_printf(&list, e, "%s%s", i ? ", " : "", t->cols[i].name))
			return -1;
	}
	return err_set(e, ERR_USAGE, "condition '%s': %s; columns: %s", where, cause.msg,
		       list.data);
}

static int show_run(struct cli *c, struct err *e)
{
	auto_buf struct buf where = {0}, sql = {0};
	auto_free struct table_col *cols = NULL;
	const struct show_table *t;
	auto_db struct db *db = NULL;
	int64_t image;

	if (cli_n_args(c) < 2)
		return list_tables(c, e);
	t = show_find(cli_arg(c, 1), e);
	if (!t || join_words(c, 2, &where, e))
		return -1;
	db = rows_open(c, 0, &image, e);
	if (!db || show_sql(t, where.len ? (const char *)where.data : NULL, &sql, e))
		return -1;
	cols = calloc(t->n_cols, sizeof(*cols));
	if (!cols)
		return err_set(e, ERR_NOMEM, "show: out of memory");
	for (size_t i = 0; i < t->n_cols; i++)
		cols[i] = (struct table_col){t->cols[i].name, t->cols[i].type, t->cols[i].flags};
	if (rows_print(c, db, (const char *)sql.data, image, cols, t->n_cols, e))
		return where.len ? explain_where(t, (const char *)where.data, e) : -1;
	return 0;
}

const struct cmd cmd_show = {
	.name = "show",
	.synopsis = "DB [TABLE [WHERE]]",
	.summary = "rows of one table: devices, addresses, routes, rules, ... with a condition",
	.run = show_run,
	.flags = CMD_DATABASE | CMD_OUTPUT | CMD_IMAGE,
	.min_args = 1,
	.max_args = CLI_ANY_ARGS,
};
