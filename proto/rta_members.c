/* What may be in a JSON column: the names of its members, and the types they are written as. */
#include <string.h>

#include "proto/rta_columns.h"

static unsigned types_of(const struct rta_attr *row);

static unsigned variant_types(const struct rta_attr *row)
{
	unsigned types = RTA_JSON_TEXT; /* bytes, where no row knows the kind */

	for (const struct rta_variant *v = row->variant; v->attr; v++)
		types |= types_of(v->attr);
	return types;
}

static unsigned types_of(const struct rta_attr *row)
{
	switch ((enum rta_type)row->type) {
	case RTAT_S32:
		return RTA_JSON_S32;
	case RTAT_U8:
		return RTA_JSON_U8 | (row->words ? RTA_JSON_TEXT : 0);
	case RTAT_U16:
	case RTAT_BE16:
		return RTA_JSON_U16 | (row->words ? RTA_JSON_TEXT : 0);
	case RTAT_U32:
	case RTAT_BE32:
		return RTA_JSON_U32 | (row->words ? RTA_JSON_TEXT : 0);
	case RTAT_U8_1:
		return RTA_JSON_WEIGHT;
	case RTAT_ADDR:
		return RTA_JSON_IP;
	case RTAT_LL:
		return RTA_JSON_LL;
	case RTAT_U64:
	case RTAT_BE64:
		return RTA_JSON_U64 | RTA_JSON_TEXT;
	case RTAT_BOOL:
	case RTAT_FLAG:
		return RTA_JSON_BOOL;
	case RTAT_U32S:
	case RTAT_STRUCTS:
	case RTAT_LIST:
	case RTAT_MULTIPATH:
		return RTA_JSON_ARRAY;
	case RTAT_STRUCT:
	case RTAT_NEST:
		return RTA_JSON_OBJECT;
	case RTAT_VARIANT:
		return variant_types(row);
	default:
		return RTA_JSON_TEXT;
	}
}

static int set_members(const struct rta_set *set, rta_member_fn *fn, void *arg, struct err *e)
{
	for (uint16_t i = 0; set && i < set->n_attrs; i++)
		if (set->attr[i].name && fn(set->attr[i].name, types_of(&set->attr[i]), arg, e))
			return -1;
	return 0;
}

static int struct_members(const struct rta_struct *rec, rta_member_fn *fn, void *arg, struct err *e)
{
	for (uint16_t i = 0; i < rec->n_fields; i++) {
		const struct rta_attr row = {.type = rec->field[i].type};

		if (fn(rec->field[i].name, types_of(&row), arg, e))
			return -1;
	}
	return rec->array && fn(rec->array, RTA_JSON_ARRAY, arg, e) ? -1 : 0;
}

static int row_members(const struct rta_attr *row, rta_member_fn *fn, void *arg, struct err *e)
{
	switch (row->type) {
	case RTAT_NEST:
		return set_members(row->set, fn, arg, e);
	case RTAT_STRUCT:
	case RTAT_STRUCTS:
		return struct_members(row->rec, fn, arg, e);
	case RTAT_MULTIPATH: /* multipath_text() */
		return fn("oif", RTA_JSON_U32, arg, e) || fn("weight", RTA_JSON_WEIGHT, arg, e) ||
				       fn("flags", RTA_JSON_U8, arg, e) ||
				       set_members(row->set, fn, arg, e)
			       ? -1
			       : 0;
	case RTAT_VARIANT:
		for (const struct rta_variant *v = row->variant; v->attr; v++)
			if (row_members(v->attr, fn, arg, e))
				return -1;
		return 0;
	default:
		return 0;
	}
}

static int column_members(const struct rta_msg *m, const char *column, rta_member_fn *fn, void *arg,
			  struct err *e)
{
	const struct rta_column *c = rta_columns_of(m);
	const struct rta_set *set = m->set;
	const struct rta_attr *row = NULL;

	while (c->name && strcmp(c->name, column) != 0)
		c++;
	for (size_t i = 0; c->name && set && i < RTA_COL_PATH && c->path[i]; i++) {
		row = &set->attr[c->path[i]];
		set = row->type == RTAT_NEST ? row->set : NULL;
	}
	if (c->how == RTA_COL_OTHER)
		return set_members(m->set, fn, arg, e) || struct_members(m->hdr, fn, arg, e) ? -1
											     : 0;
	return row ? row_members(row, fn, arg, e) : 0;
}

int rta_members(enum rta_table t, const char *column, rta_member_fn *fn, void *arg, struct err *e)
{
	for (const struct rta_msg *m = NULL; (m = rta_msg_next(t, m));)
		if (column_members(m, column, fn, arg, e))
			return -1;
	return 0;
}
