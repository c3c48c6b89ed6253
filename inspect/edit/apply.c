/* apply.c: nsimg apply: the operations of a rules file, as one operation. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "imgdb/oplog.h"
#include "inspect/commands.h"
#include "inspect/edit/edit_int.h"
#include "inspect/edit/rules.h"

enum { RULES_BYTES_MAX = 16 << 20 };

/* One rule in one image. */
struct apply {
	struct edit *x;
	struct rule *rule;
};

static int run_words(void *arg, struct cli *c, struct err *e)
{
	struct apply *a = arg;

	return edit_op_run(a->rule->op, a->x, c, e);
}

/* What finds nothing is said, and taken back by itself. */
static int run_rule(struct edit *x, const struct rules *r, struct rule *rule, const struct cli *c,
		    struct err *e)
{
	struct apply a = {x, rule};
	struct err why = ERR_INIT;
	char name[80];
	int rc;

	if (db_begin(edit_db(x), e))
		return -1;
	rc = cli_with_words(rule->op->cmd, rule->argc, rule->argv, cli_out(c), run_words, &a, &why);
	if (db_end(edit_db(x), !rc, &why))
		rc = -1;
	rule->n_done += !rc;
	if (!rc)
		return 0;
	if (why.code != ERR_NOTFOUND)
		return err_set(e, why.code, "%s:%u:%u: %s", r->path, rule->line, rule->column,
			       why.msg);
	snprintf(name, sizeof(name), "%s (line %u)", rule->op->cmd->name, rule->line);
	return edit_left(x, e, name, "%s", why.msg);
}

static struct rules *rules_of(const struct edit *x)
{
	return x->user;
}

static int apply_image(struct edit *x, const struct cli *c, struct err *e)
{
	struct rules *r = rules_of(x);

	for (size_t i = 0; i < r->n; i++)
		if (run_rule(x, r, &r->rule[i], c, e))
			return -1;
	return 0;
}

/* A rule that is good for nothing is most likely a mistake. */
static int check_done(const struct rules *r, struct err *e)
{
	for (size_t i = 0; i < r->n; i++)
		if (!r->rule[i].n_done && !r->rule[i].is_optional)
			return err_set(
				e, ERR_NOTFOUND,
				"%s:%u:%u: %s finds nothing in any image (\"optional\": true "
				"allows that)",
				r->path, r->rule[i].line, r->rule[i].column,
				r->rule[i].op->cmd->name);
	return 0;
}

static int do_it(struct edit *x, const struct cli *c, struct err *e)
{
	if (edit_begin(x, c, e) || edit_each(x, c, apply_image, e) || check_done(rules_of(x), e))
		return -1;
	return edit_end(x, c, e);
}

static int apply_run(struct cli *c, struct err *e)
{
	__attribute__((cleanup(rules_free))) struct rules r = {0};
	auto_buf struct buf text = {0};
	auto_db struct db *db = NULL;
	__attribute__((cleanup(edit_free))) struct edit x = {.user = &r};
	int rc;

	if (io_read_input(cli_arg(c, 1), RULES_BYTES_MAX, &text, e) || buf_add(&text, "", 0, e) ||
	    rules_read(&r, cli_arg(c, 1), (const char *)text.data, text.len, cli_arg(c, 0), e))
		return -1;
	db = edit_open(c, e);
	x.db = db;
	if (!db || db_begin(db, e))
		return -1;
	rc = do_it(&x, c, e);
	return db_end(db, !rc && !cli_has(c, "dry-run"), e) || rc ? -1 : 0;
}

static const struct cli_opt options[] = {EDIT_OPTIONS, {0}};

const struct cmd cmd_apply = {
	.name = "apply",
	.synopsis = "DB RULES",
	.summary = "the operations of a rules file, on one or all images",
	.run = apply_run,
	.opts = options,
	.flags = CMD_DATABASE | CMD_WRITES | CMD_OUTPUT,
	.min_args = 2,
	.max_args = 2,
};
