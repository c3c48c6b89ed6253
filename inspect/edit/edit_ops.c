/* The operations: what a command does in one image, and what a rules file may name. */
#include <string.h>

#include "base/cleanup.h"
#include "inspect/commands.h"
#include "imgdb/oplog.h"
#include "inspect/edit/edit_int.h"

/* clang-format off */
const struct edit_op edit_ops[] = {
	{&cmd_set, set_edit, true},
	{&cmd_add, add_edit, true},
	{&cmd_drop, drop_edit, false},
	{&cmd_move, move_edit, false},
	{&cmd_readdress, readdress_edit, false},
	{&cmd_remac, remac_edit, false},
	{&cmd_rename, rename_edit, false},
	{&cmd_externalize, externalize_edit, false},
	{&cmd_fix, fix_edit, false},
};
/* clang-format on */
const size_t n_edit_ops = ARRAY_SIZE(edit_ops);

const struct edit_op *edit_op_find(const char *name)
{
	for (size_t i = 0; i < n_edit_ops; i++)
		if (!strcmp(edit_ops[i].cmd->name, name))
			return &edit_ops[i];
	return NULL;
}

int edit_op_run(const struct edit_op *op, struct edit *x, const struct cli *c, struct err *e)
{
	return (op->as_client && oplog_as_client(x->db, x->op, true, e)) || op->run(x, c, e) ||
			       (op->as_client && oplog_as_client(x->db, x->op, false, e))
		       ? -1
		       : 0;
}
