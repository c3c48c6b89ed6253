/* What edits say that no record can: columns for which that of the row has no place. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "criu/netdev.pb-c.h"
#include "imgdb/log_row.h"
#include "imgdb/record_int.h"

/* Columns that follow from others, or that export writes by code of its own (export_record.c). */
static const struct {
	const char *table, *columns; /* between blanks; table NULL: of every table */
} written[] = {
	{NULL, " image file rec off netns "},
	{"device", " peer_netns "},
	{"netns", " external ns_id "},
	{"sysctl", " value path "},
	{"firewall", " content "},
	{"engine_file", " content "},
	{"socket_queue", " data length "},
	{"tcp_stream", " inq_len outq_len "},
};

/* Tables of which export writes, or refuses, everything. */
static const char *const whole[] = {"nsid", "thread", "image"};

static bool is_written(const char *table, const char *column)
{
	char word[40];

	for (size_t i = 0; i < ARRAY_SIZE(whole); i++)
		if (!strcmp(whole[i], table))
			return true;
	snprintf(word, sizeof(word), " %s ", column);
	for (size_t i = 0; i < ARRAY_SIZE(written); i++)
		if ((!written[i].table || !strcmp(written[i].table, table)) &&
		    strstr(written[i].columns, word))
			return true;
	return false;
}

static bool rta_has(enum rta_table kind, const char *column)
{
	const char *name;

	/* which file the message is in says that */
	if (!strcmp(column, "expect"))
		return false;
	for (size_t i = 0; (name = rta_column(kind, i)); i++)
		if (!strcmp(name, column))
			return true;
	return false;
}

static bool node_has(const struct map *m, const struct map_node *n, const char *table,
		     const char *column)
{
	const struct sql_table *t = m->table[n->table];

	if (n->col >= 0 && !strcmp(t->name, table) && !strcmp(t->column[n->col].name, column))
		return true;
	for (unsigned i = 0; i < n->n_kids; i++)
		if (node_has(m, &n->kids[i], table, column))
			return true;
	return false;
}

static int map_has(struct record_cache *rc, enum map_id id, const char *table, const char *column,
		   struct err *e)
{
	const struct map *m = record_map(rc, id, e);

	return m ? node_has(m, &m->root, table, column) : -1;
}

/* The record of a row; a socket's is that of its family's row, too. 1, 0: it has none, -1. */
static int find_record(struct record_cache *rc, struct db *db, const char *table, int64_t row,
		       struct record_origin *o, struct buf *msg, struct err *e)
{
	struct sql_table *t = record_table(rc, table, e);
	auto_buf struct buf text = {0};
	struct sql_row cells = {.text = &text};

	if (!t)
		return -1;
	if (t->file < 0 && !(t = record_table(rc, "socket", e)))
		return -1;
	if (sql_row_read(t, row, &cells, e) < 0 || record_origin(t, db, &cells, o, e))
		return -1;
	if (!o->is_there || !o->type || o->type->shape != IMG_SHAPE_ENTRIES)
		return 0;
	return record_message(db, o, msg, e) ? -1 : 1;
}

/* Columns that an import makes of others: as long as they are what it makes. The name of a namespace is the last part
 * of its first pin, or "ns" and its number (import_net.c); the id of a device's other namespace that of this one for it
 * (resolve.sql); a value of a list in the record of a device has its name. */
static const struct derived {
	const char *table, *column, *is;
} derived[] = {
	{"netns", "name",
	 "SELECT name IS NULL OR name = 'ns' || ns_id OR substr('/' || json_extract(pins, "
	 "'$[0]'), -length(name) - 1) = '/' || name FROM netns WHERE id = :id"},
	{"device", "link_netnsid",
	 "SELECT link_netnsid IS (SELECT value FROM nsid WHERE nsid.netns = device.netns AND "
	 "target = peer_netns) FROM device WHERE id = :id"},
	{"sysctl", "name",
	 "SELECT EXISTS (SELECT 1 FROM device d WHERE d.file = s.file AND d.rec = s.rec AND "
	 "instr(s.name, '/' || d.name || '/')) FROM sysctl s WHERE id = :id"},
};

static int is_derived(struct db *db, const char *table, int64_t row, const char *column,
		      struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(derived); i++) {
		auto_query struct query *q = NULL;
		int rc;

		if (strcmp(derived[i].table, table) != 0 || strcmp(derived[i].column, column) != 0)
			continue;
		q = query_new(db, derived[i].is, e);
		rc = !q || query_bind_int(q, "id", row, e) ? -1 : query_next(q, e);
		return rc == 1 ? query_int(q, 0) != 0 : rc;
	}
	return 0;
}

static int task_has(struct record_cache *rc, const char *column, struct err *e)
{
	static const enum map_id maps[] = {MAP_TASK, MAP_CORE, MAP_IDS};
	int res = 0;

	for (size_t i = 0; i < ARRAY_SIZE(maps) && !res; i++)
		res = map_has(rc, maps[i], "task", column, e);
	return res;
}

/* Has the record of a row a place for a column? 1, 0, -1. */
static int has_column(struct db *db, const char *table, int64_t row, const char *column,
		      struct err *e)
{
	struct record_cache *rc = record_cache_get(db, e);
	const enum rta_table kind = rta_table_find(table);
	auto_buf struct buf msg = {0};
	struct record_origin o = {0};
	struct wire_value link;
	enum map_id map;
	struct span part;
	char prefix[16];
	int res;

	if (!rc)
		return -1;
	if (is_written(table, column))
		return 1;
	if (kind != RTA_TABLE_COUNT && kind != RTA_TABLE_DEVICE)
		return rta_has(kind, column);
	res = is_derived(db, table, row, column, e);
	if (res)
		return res;
	if (!strcmp(table, "task"))
		return task_has(rc, column, e);
	res = find_record(rc, db, table, row, &o, &msg, e);
	if (res < 0)
		return -1;
	/* without a record: one is made of the columns, or export says that it cannot be */
	if (!res)
		return !strcmp(table, "sysctl") ||
		       (strcmp(table, "firewall") != 0 && strcmp(table, "engine_file") != 0);
	if (kind == RTA_TABLE_DEVICE) {
		res = wire_get(&net_device_entry__descriptor, buf_span(&msg), "nsimg_link", &link,
			       e);
		if (res)
			return res < 0 ? -1 : rta_has(kind, column);
	}
	if (!strcmp(table, "sysctl") && img_type_kind(o.type) != IMG_NSIMG_SYSCTL)
		return 0;
	res = record_part(o.type, buf_span(&msg), &map, &part, prefix, e);
	return res <= 0 ? res : map_has(rc, map, table, column, e);
}

/* ---- all that was edited ---- */

/* Does every record that a row of table may come from have the column? Then there is no need to look at rows. */
static int is_everywhere(struct record_cache *rc, const char *table, const char *column,
			 struct err *e)
{
	const enum rta_table kind = rta_table_find(table);
	int res = kind != RTA_TABLE_COUNT ? rta_has(kind, column) : 1;
	unsigned n = kind != RTA_TABLE_COUNT;

	if (is_written(table, column))
		return 1;
	if (!strcmp(table, "task"))
		return task_has(rc, column, e);
	/* most are values of lists, without a name */
	if (!strcmp(table, "sysctl"))
		return 0;
	for (unsigned i = 0; i < MAP_COUNT && res == 1; i++) {
		const struct map_table *m = &map_tables[i];

		if (strcmp(m->table, table) != 0 &&
		    (!m->family_table || strcmp(m->family_table, table) != 0))
			continue;
		res = map_has(rc, i, table, column, e);
		n++;
	}
	return n ? res : 0;
}

/* "before ->> 'a' IS NOT t.a OR ...": of the columns that some record has no place for. *n: how many they are. */
static int add_conditions(struct record_cache *rc, const struct sql_table *t, struct buf *sql,
			  size_t *n, struct err *e)
{
	*n = 0;
	for (unsigned i = 0; i < t->n; i++) {
		const char *name = t->column[i].name;
		int res = is_everywhere(rc, t->name, name, e);

		if (res < 0 || (!res && buf_printf(sql, e,
						   "%sjson_extract(l.before, '$.\"%s\"') IS NOT "
						   "t.\"%s\"",
						   (*n)++ ? " OR " : " AND (", name, name)))
			return -1;
	}
	return *n ? buf_add_str(sql, ")", e) : 0;
}

/* One row that differs in some of those columns. */
static int look_at_row(struct db *db, const struct sql_table *t, int64_t row, const char *log,
		       struct log_row *was, struct log_row *is, record_lost_fn *fn, void *arg,
		       struct err *e)
{
	auto_query struct query *q = NULL;
	char sql[80];

	snprintf(sql, sizeof(sql), "SELECT json FROM %s_json WHERE row = :row", t->name);
	q = query_new(db, sql, e);
	if (!q || query_bind_int(q, "row", row, e) || query_next(q, e) < 0 ||
	    log_row_read(was, log, e) || log_row_read(is, query_text(q, 0), e))
		return -1;
	for (unsigned i = 0; i < is->n; i++) {
		const char *column = log_row_name(is, i);
		int res;

		if (log_row_same(is, i, was, log_row_find(was, column)))
			continue;
		res = has_column(db, t->name, row, column, e);
		if (res < 0 || (!res && fn(arg, t->name, row, column, e)))
			return -1;
	}
	return 0;
}

static int look_at_table(struct db *db, const struct sql_table *t, const char *conditions,
			 int64_t image, int64_t op, record_lost_fn *fn, void *arg, struct err *e)
{
	auto_log_row struct log_row was = {0}, is = {0};
	auto_buf struct buf sql = {0};
	auto_query struct query *q = NULL;
	const char *key = t->column[0].name;
	int rc;

	if (buf_printf(&sql, e,
		       "SELECT l.row, l.before FROM (SELECT min(id) AS id FROM edit_log WHERE "
		       "tbl = :t AND (:op = 0 OR row IN (SELECT row FROM edit_log WHERE op = :op "
		       "AND tbl = :t)) GROUP BY row) f JOIN edit_log l ON l.id = f.id JOIN %s t ON "
		       "t.\"%s\" = l.row WHERE l.before IS NOT NULL AND (:image = 0 OR %s = "
		       ":image)%s",
		       t->name, key,
		       t->image >= 0 ? "t.image" : "(SELECT image FROM socket WHERE id = t.socket)",
		       conditions))
		return -1;
	q = query_new(db, (const char *)sql.data, e);
	if (!q || query_bind_text(q, "t", t->name, e) || query_bind_int(q, "op", op, e) ||
	    query_bind_int(q, "image", image, e))
		return -1;
	while ((rc = query_next(q, e)) == 1)
		if (look_at_row(db, t, query_int(q, 0), query_text(q, 1), &was, &is, fn, arg, e))
			return -1;
	return rc;
}

int record_lost(struct db *db, int64_t image, int64_t op, record_lost_fn *fn, void *arg,
		struct err *e)
{
	auto_query struct query *q = query_new(
		db, "SELECT DISTINCT tbl FROM edit_log WHERE :op = 0 OR op = :op ORDER BY 1", e);
	struct record_cache *rc = record_cache_get(db, e);
	int res;

	if (!q || !rc || query_bind_int(q, "op", op, e))
		return -1;
	while ((res = query_next(q, e)) == 1) {
		const char *name = query_text(q, 0);
		auto_buf struct buf conditions = {0};
		struct sql_table *t = NULL;
		size_t n;

		if (!strcmp(name, "image") || !triggers_is_logged(name))
			continue;
		t = record_table(rc, name, e);
		if (!t || add_conditions(rc, t, &conditions, &n, e) ||
		    (n &&
		     look_at_table(db, t, (const char *)conditions.data, image, op, fn, arg, e)))
			return -1;
	}
	return res;
}
