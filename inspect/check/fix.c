/* fix.c: nsimg fix: repair what nsimg check finds, as an edit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "inspect/check/check_name.h"
#include "inspect/commands.h"

static int no_repair(const struct check_code *code, struct err *e)
{
	return err_set(e, ERR_USAGE,
		       "%s: nothing can be done about it without knowing what is meant; %s",
		       code->code, code->advice);
}

/* The codes that the words mean; "all": the errors that have a repair. */
static int pick_codes(const struct cli *c, const struct check_code **codes, size_t *n,
		      struct err *e)
{
	const bool is_all = cli_n_args(c) == 2 && !strcmp(cli_arg(c, 1), "all");

	if (check_pick(c, is_all ? 0 : cli_n_args(c) - 1, CHECK_ONLY_ERRORS | CHECK_ONLY_REPAIRS,
		       codes, n, e))
		return -1;
	for (size_t i = 0; i < *n; i++)
		if (!codes[i]->fix)
			return no_repair(codes[i], e);
	return 0;
}

static int say_left(struct edit *x, const struct check_finding *f, const char *why, struct err *e)
{
	auto_edit_labels struct edit_labels *l = edit_labels_new(edit_db(x), 0, e);
	auto_buf struct buf object = {0};

	return !l || check_object(l, edit_db(x), f, &object, e) ||
			       edit_left(x, e, (const char *)object.data, "%s: %s", f->code->code,
					 why)
		       ? -1
		       : 0;
}

/* One repair may take the next finding along: a row that has gone is no error. */
static int is_there(struct edit *x, const struct check_finding *f, bool *found, struct err *e)
{
	const struct edit_bind binds[] = {{"row", NULL, f->row}, {0}};
	char sql[80];
	int64_t id;

	snprintf(sql, sizeof(sql), "SELECT id FROM \"%s\" WHERE id = :row", f->table);
	return edit_number(x, sql, binds, &id, found, e);
}

static int repair_all(struct edit *x, const struct check_list *list, struct err *e)
{
	for (size_t i = 0; i < check_n(list); i++) {
		const struct check_finding *f = check_at(list, i);
		struct err why = ERR_INIT;
		bool found;

		if (is_there(x, f, &found, e))
			return -1;
		if (!found || !f->code->fix(x, f->table, f->row, &why))
			continue;
		if (why.code != ERR_UNSUPPORTED) {
			*e = why;
			return err_wrap(e, "%s", f->code->code);
		}
		if (say_left(x, f, why.msg, e))
			return -1;
	}
	return 0;
}

int fix_edit(struct edit *x, const struct cli *c, struct err *e)
{
	auto_free const struct check_code **codes =
		calloc(n_check_codes + cli_n_args(c), sizeof(*codes));
	auto_check struct check_list *list = NULL;
	size_t n;

	if (!codes)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (pick_codes(c, codes, &n, e))
		return -1;
	list = check_new(edit_db(x), edit_image(x), codes, n, e);
	if (!list)
		return -1;
	if (!check_n(list))
		return err_set(e, ERR_NOTFOUND, "nsimg check finds nothing of that to repair");
	return repair_all(x, list, e);
}

static const struct cli_opt options[] = {EDIT_OPTIONS, {0}};

const struct cmd cmd_fix = {
	EDIT_CMD,
	.name = "fix",
	.synopsis = "DB CODE...|all",
	.summary = "repair what check finds, where there is one right way",
	.opts = options,
	.min_args = 2,
	.max_args = CLI_ANY_ARGS,
};
