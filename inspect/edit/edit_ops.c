/* The operations: what a command does in one image, and what a rules file may name. */
#include <string.h>

#include "base/cleanup.h"
#include "inspect/commands.h"
#include "inspect/edit/edit.h"

/* clang-format off */
const struct edit_op edit_ops[] = {
	{&cmd_set, set_edit},
	{&cmd_add, add_edit},
	{&cmd_drop, drop_edit},
	{&cmd_move, move_edit},
	{&cmd_readdress, readdress_edit},
	{&cmd_remac, remac_edit},
	{&cmd_rename, rename_edit},
	{&cmd_externalize, externalize_edit},
	{&cmd_fix, fix_edit},
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
