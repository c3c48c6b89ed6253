/* Which members the objects of a JSON column have, of which JSON type and in which range each is, as an SQL condition for
 * checks.c: the names come from the tables that write and read them. One text a type, not one literal a name, since
 * SQLite parses it at the start of every command. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "criu/netdev.pb-c.h"
#include "imgdb/db_sqlite.h"
#include "proto/rta.h"
#include "proto/sockopt_table.h"

#define REAL (RTA_JSON_BOOL << 1) /* seconds of a socket option */

/* json_each.type of each bit of enum rta_json_type. */
static const struct json_class {
	unsigned type;
	const char *when;
} classes[] = {
	{RTA_JSON_U8, "m.type = 'integer' AND m.value BETWEEN 0 AND 255"},
	{RTA_JSON_WEIGHT, "m.type = 'integer' AND m.value BETWEEN 1 AND 256"},
	{RTA_JSON_U16, "m.type = 'integer' AND m.value BETWEEN 0 AND 65535"},
	{RTA_JSON_U32, "m.type = 'integer' AND m.value BETWEEN 0 AND 4294967295"},
	{RTA_JSON_U64, "m.type = 'integer' AND m.value >= 0"},
	{RTA_JSON_S32, "m.type = 'integer' AND m.value BETWEEN -2147483648 AND 2147483647"},
	{RTA_JSON_TEXT, "m.type = 'text'"},
	{RTA_JSON_IP,
	 "m.type = 'text' AND (m.value GLOB '[0-9]*.*.*.[0-9]*' OR m.value GLOB '*:*')"},
	{RTA_JSON_LL, "m.type = 'text' AND m.value NOT GLOB '*[^0-9a-fA-F:.]*'"},
	{RTA_JSON_ARRAY, "m.type = 'array'"},
	{RTA_JSON_OBJECT, "m.type = 'object'"},
	{RTA_JSON_BOOL, "m.type IN ('true', 'false', 'integer') AND m.value BETWEEN 0 AND 255"},
	{REAL, "m.type = 'real'"},
};

struct lists {
	struct buf of[ARRAY_SIZE(classes)]; /* names of a class, each between blanks */
	struct buf ranges;                  /* {"NAME":[MIN,MAX], without the end */
};

static void lists_free(struct lists *l)
{
	for (size_t i = 0; i < ARRAY_SIZE(l->of); i++)
		buf_free(&l->of[i]);
	buf_free(&l->ranges);
}

static int add_name(const char *name, unsigned types, void *arg, struct err *e)
{
	struct lists *l = arg;
	const size_t len = strlen(name);
	char word[80];

	if (len + 3 > sizeof(word))
		return err_set(e, ERR_RANGE, "%s: a name of that length", name);
	snprintf(word, sizeof(word), " %s ", name);
	for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
		struct buf *of = &l->of[i];

		if (!(types & classes[i].type) ||
		    (of->len && memmem(of->data, of->len, word, len + 2)))
			continue;
		if (buf_add(of, word + (of->len > 0), len + 2 - (of->len > 0), e))
			return -1;
	}
	return 0;
}

/* Columns that are no attributes of netlink. */
static const struct fixed_member {
	const char *table, *column, *name;
	unsigned types;
} fixed[] = {
	{"socket", "memberships", "group", RTA_JSON_TEXT},
	{"socket", "memberships", "ifindex", RTA_JSON_U32},
	{"socket", "memberships", "mode", RTA_JSON_U32},
	{"socket", "memberships", "sources", RTA_JSON_ARRAY},
	{"socket", "fown", "uid", RTA_JSON_U32},
	{"socket", "fown", "euid", RTA_JSON_U32},
	{"socket", "fown", "signum", RTA_JSON_U32},
	{"socket", "fown", "pid_type", RTA_JSON_U32},
	{"socket", "fown", "pid", RTA_JSON_U32},
};

static unsigned sockopt_types(enum sockopt_type t)
{
	switch (t) {
	case SOCKOPT_BOOL:
	case SOCKOPT_U32:
	case SOCKOPT_INDEX_BE:
		return RTA_JSON_U32;
	case SOCKOPT_INT:
	case SOCKOPT_LINGER:
		return RTA_JSON_S32;
	case SOCKOPT_U64:
		return RTA_JSON_U64 | RTA_JSON_TEXT;
	case SOCKOPT_TIMEVAL:
		return RTA_JSON_U64 | REAL;
	case SOCKOPT_WORDS:
	case SOCKOPT_FILTER:
		return RTA_JSON_ARRAY;
	default:
		return RTA_JSON_TEXT;
	}
}

static int add_sockopts(struct lists *l, struct err *e)
{
	for (size_t i = 0; i < sockopt_count(); i++) {
		const struct sockopt *row = sockopt_get(i);
		const int max = row->type == SOCKOPT_BOOL ? 1 : row->max;

		if (add_name(row->name, sockopt_types(row->type), l, e) ||
		    (max && buf_printf(&l->ranges, e, "%s\"%s\":[%d,%d]", l->ranges.len ? "," : "{",
				       row->name, row->min, max)))
			return -1;
	}
	return 0;
}

/* What CRIU's own record of a device has (map_tables.c); the rest is in the message of the device. */
static int add_criu_attrs(struct lists *l, struct err *e)
{
	static const ProtobufCMessageDescriptor *const kinds[] = {
		&tun_link_entry__descriptor,
		&macvlan_link_entry__descriptor,
		&sit_entry__descriptor,
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		for (unsigned j = 0; j < kinds[i]->n_fields; j++) {
			const ProtobufCFieldDescriptor *f = &kinds[i]->fields[j];
			const bool is_list = f->label == PROTOBUF_C_LABEL_REPEATED;
			const unsigned types = f->type == PROTOBUF_C_TYPE_MESSAGE ? RTA_JSON_OBJECT
					       : f->type == PROTOBUF_C_TYPE_BOOL  ? RTA_JSON_BOOL
					       /* owner of a tun device: -1 is nobody */
					       : f->type == PROTOBUF_C_TYPE_INT32
						       ? RTA_JSON_S32 | RTA_JSON_U32
						       : RTA_JSON_U32;

			if (add_name(f->name, is_list ? RTA_JSON_ARRAY : types, l, e))
				return -1;
		}
	return 0;
}

static int lists_read(struct lists *l, const char *table, const char *column, struct err *e)
{
	const enum rta_table t = rta_table_find(table);

	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		if (!strcmp(fixed[i].table, table) && !strcmp(fixed[i].column, column) &&
		    add_name(fixed[i].name, fixed[i].types, l, e))
			return -1;
	if (!strcmp(table, "socket") && !strcmp(column, "options") && add_sockopts(l, e))
		return -1;
	if (!strcmp(table, "device") && !strcmp(column, "attrs") && add_criu_attrs(l, e))
		return -1;
	return t == RTA_TABLE_COUNT ? 0 : rta_members(t, column, add_name, l, e);
}

/* An option or attribute that is there several times has "#2" behind its name. */
#define NAME "substr(m.key, 1, instr(m.key || '#', '#') - 1)"

int members_check(struct buf *sql, const char *table, const char *column, bool is_list,
		  struct err *e)
{
	__attribute__((cleanup(lists_free))) struct lists l = {0};
	bool has_any = false;

	if (lists_read(&l, table, column, e))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
		has_any |= l.of[i].len > 0;
	if (!has_any)
		return 0;
	if (buf_printf(sql, e, "EXISTS (SELECT 1 FROM json_each(@) %s",
		       is_list ? "e, json_each(e.value) m" : "m") ||
	    buf_add_str(sql,
			" WHERE m.type <> 'null' AND m.key NOT GLOB 'attr_[0-9]*' AND m.value NOT "
			"GLOB 'hex:*' AND (NOT instr(''",
			e))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
		if (l.of[i].len &&
		    (buf_printf(sql, e, " || iif(%s, '", classes[i].when) ||
		     buf_add(sql, l.of[i].data, l.of[i].len, e) || buf_add_str(sql, "', '')", e)))
			return -1;
	if (buf_add_str(sql, ", ' ' || " NAME " || ' ')", e) ||
	    (l.ranges.len &&
	     buf_printf(sql, e,
			" OR EXISTS (SELECT 1 FROM json_each('%s}') r WHERE r.key = " NAME
			" AND m.value NOT BETWEEN "
			"json_extract(r.value, '$[0]') AND json_extract(r.value, '$[1]'))",
			(const char *)l.ranges.data)) ||
	    buf_printf(sql, e,
		       ") AND NOT EXISTS (SELECT 1 FROM json_tree(OLD.%s) o WHERE o.key = m.key "
		       "AND o.value IS m.value))",
		       column))
		return -1;
	return 1;
}
