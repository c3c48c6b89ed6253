/* undo.c: nsimg undo: take back operations, or take that back. */
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "imgdb/oplog.h"
#include "inspect/commands.h"
#include "inspect/edit/edit_int.h"

/* What was taken back, for the report. */
static int put_title(struct db *db, int64_t op, bool redo, struct buf *out, struct err *e)
{
	auto_query struct query *q = query_new(
		db, "SELECT id, command FROM edit_op WHERE undone = :op ORDER BY id DESC", e);
	int rc;

	if (!q || query_bind_int(q, "op", op, e))
		return -1;
	while ((rc = query_next(q, e)) == 1)
		if (buf_printf(out, e, "%s%s %" PRId64 ": ", out->len ? "\n" : "",
			       redo ? "done again what" : "taken back", query_int(q, 0)) ||
		    escape_show(out, query_text(q, 1), strlen(query_text(q, 1)), e) ||
		    (redo && buf_add_str(out, " took back", e)))
			return -1;
	return rc;
}

static int do_it(struct db *db, const struct cli *c, unsigned n, struct err *e)
{
	const bool redo = cli_has(c, "redo");
	auto_buf struct buf line = {0}, title = {0};
	int64_t op, n_images = 0;
	auto_query struct query *q = query_new(db, "SELECT count(*) FROM image", e);

	if (!q || query_next(q, e) < 0 || cli_line(c, 1, &line, e) ||
	    oplog_revert(db, redo ? OPLOG_REDO : OPLOG_UNDO, n, (const char *)line.data, &op, e) ||
	    put_title(db, op, redo, &title, e))
		return -1;
	n_images = query_int(q, 0);
	return edit_report(c,
			   &(struct edit_report){.db = db,
						 .op = op,
						 .title = (const char *)title.data,
						 .all_rows = cli_has(c, "rows"),
						 .dry_run = cli_has(c, "dry-run"),
						 .has_images = n_images > 1},
			   e);
}

static int undo_run(struct cli *c, struct err *e)
{
	const char *word = cli_arg(c, 1);
	auto_db struct db *db = NULL;
	int64_t n = 1;
	int rc;

	if (word && !strcmp(word, "all"))
		n = 0;
	else if (word && cli_parse_number(word, 1, 1000000, &n, "how many", e))
		return err_wrap(e, "a number or 'all'");
	db = edit_open(c, e);
	if (!db || db_begin(db, e))
		return -1;
	rc = do_it(db, c, (unsigned)n, e);
	return db_end(db, !rc && !cli_has(c, "dry-run"), e) || rc ? -1 : 0;
}

static const struct cli_opt options[] = {
	{"redo", 0, NULL, "take back the last N undos instead", false},
	{"dry-run", 'n', NULL, "report what would change, change nothing", false},
	{"rows", 0, NULL, "report each row, also when they are many", false},
	{0},
};

const struct cmd cmd_undo = {
	.name = "undo",
	.synopsis = "DB [N|all]",
	.summary = "take back the last operation, the last N, or all",
	.run = undo_run,
	.opts = options,
	.flags = CMD_DATABASE | CMD_WRITES | CMD_OUTPUT,
	.min_args = 1,
	.max_args = 2,
};
