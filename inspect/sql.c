/* sql.c: nsimg sql: any one query on a database that is opened read-only. */
#include <string.h>

#include "base/cleanup.h"
#include "inspect/commands.h"
#include "inspect/rows.h"

static enum table_type cell_type(enum query_type t)
{
	return t == QUERY_INT ? TABLE_INT : TABLE_STR;
}

static int add_rows(struct query *q, struct table *t, struct err *e)
{
	auto_buf struct buf text = {0};
	int rc;

	while ((rc = query_next(q, e)) == 1) {
		if (table_row(t, e))
			return -1;
		for (int i = 0; i < query_n_columns(q); i++) {
			bool is_null;

			if (rows_cell_text(q, i, &text, &is_null, e) ||
			    table_cell_typed(t, (size_t)i, cell_type(query_type(q, i)),
					     is_null ? NULL : (const char *)text.data, e))
				return -1;
		}
	}
	return rc;
}

static int sql_run(struct cli *c, struct err *e)
{
	struct table_style style = cli_style(c);
	auto_db struct db *db = rows_open(c, 0, NULL, e);
	auto_query struct query *q = db ? query_new(db, cli_arg(c, 1), e) : NULL;
	auto_free struct table_col *cols = NULL;
	auto_table struct table *t = NULL;
	size_t n;

	if (!q)
		return -1;
	n = (size_t)query_n_columns(q);
	cols = calloc(n + 1, sizeof(*cols));
	if (!cols)
		return err_set(e, ERR_NOMEM, "sql: out of memory");
	for (size_t i = 0; i < n; i++)
		cols[i] = (struct table_col){query_column_name(q, (int)i), TABLE_AUTO, 0};
	t = table_new(cols, n, e);
	if (!t || add_rows(q, t, e))
		return -1;
	return n ? table_print(t, &style, cli_out(c), e) : 0;
}

const struct cmd cmd_sql = {
	.name = "sql",
	.synopsis = "DB SQL",
	.summary = "run one SQL query, read-only",
	.run = sql_run,
	.flags = CMD_DATABASE | CMD_OUTPUT,
	.min_args = 2,
	.max_args = 2,
};
