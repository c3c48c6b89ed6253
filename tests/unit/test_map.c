#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "criu/fdinfo.pb-c.h"
#include "criu/nsimg.pb-c.h"
#include "criu/sk_inet.pb-c.h"
#include "imgdb/map.h"
#include "proto/rta.h"

static struct db *memory(void)
{
	struct err e = ERR_INIT;
	struct db *db = db_open(NULL, DB_MEMORY, &e);

	if (!db)
		fail_msg("%s", e.msg);
	return db;
}

static void open_map(struct db *db, enum map_id id, struct map *m, struct sql_table t[2])
{
	struct err e = ERR_INIT;

	if (sql_table_open(&t[0], db, map_tables[id].table, &e) ||
	    (map_tables[id].family_table &&
	     sql_table_open(&t[1], db, map_tables[id].family_table, &e)) ||
	    map_open(m, id, &t[0], map_tables[id].family_table ? &t[1] : NULL, &e))
		fail_msg("map %d: %s", id, e.msg);
}

/* Every field of every message has a column or a row that says why not: map_open refuses any other. And
 * every special row names a field that there is. */
static void test_complete(void **state)
{
	auto_db struct db *db = memory();

	for (int id = 0; id < MAP_COUNT; id++) {
		struct sql_table t[2] = {0};
		struct map m;

		open_map(db, (enum map_id)id, &m, t);
		for (const struct map_field *f = map_tables[id].fields; f->path; f++) {
			struct wire_path path;
			struct err e = ERR_INIT;

			if (wire_path_parse(map_tables[id].desc, f->path, &path, &e))
				fail_msg("%s: %s", map_tables[id].desc->name, e.msg);
		}
		for (const struct map_const *c = map_tables[id].consts; c && c->column; c++)
			assert_true(sql_column_find(&t[0], c->column) >= 0);
		map_close(&m);
		sql_table_close(&t[0]);
		sql_table_close(&t[1]);
	}
}

/* The other direction: columns that no map and no netlink message fills are made by code, and listed here. */
static void test_columns_have_a_source(void **state)
{
	static const char *const by_code[] = {
		"id",
		"image",
		"file",
		"rec",
		"off",
		"netns",
		"socket",
		"device.kind",
		"device.link_netnsid",
		"device.peer_netns",
		"netns.ns_id",
		"netns.name",
		"userns.ns_id",
		"task.comm",
		"task.state",
		"task.files_id",
		"task.ns_id",
		"task.userns",
		"task.pidns",
		"task.mntns",
		"fd.files_id",
		"tcp_stream.ino",
		"socket_queue.ino",
		"socket_queue.direction",
		"socket_queue.rights",
		"socket_queue.data",
		"sysctl.path",
		"socket.family",
		"socket.protocol",
		"socket.type",
	};
	bool has[64][SQL_COLUMNS_MAX] = {{false}};
	static struct sql_table all[64];
	auto_db struct db *db = memory();
	struct err e = ERR_INIT;
	unsigned n = 0;

	for (int id = 0; id < MAP_COUNT; id++) {
		const char *names[2] = {map_tables[id].table, map_tables[id].family_table};
		unsigned at[2] = {0};
		struct map m;

		for (int k = 0; k < 2 && names[k]; k++) {
			for (at[k] = 0; at[k] < n && strcmp(all[at[k]].name, names[k]); at[k]++)
				;
			if (at[k] == n)
				assert_int_equal(sql_table_open(&all[n++], db, names[k], &e), 0);
		}
		assert_int_equal(map_open(&m, (enum map_id)id, &all[at[0]],
					  names[1] ? &all[at[1]] : NULL, &e),
				 0);
		/* flat sub-messages to any depth */
		const struct map_node *stack[16] = {&m.root};
		for (unsigned depth = 1; depth;) {
			const struct map_node *node = stack[--depth];

			for (unsigned i = 0; i < node->n_kids; i++) {
				if (node->kids[i].kids)
					stack[depth++] = &node->kids[i];
				else if (node->kids[i].col >= 0)
					has[at[node->kids[i].table]][node->kids[i].col] = true;
			}
		}
		map_close(&m);
	}
	for (unsigned t = 0; t < n; t++) {
		enum rta_table kind = rta_table_find(all[t].name);

		for (size_t i = 0; kind != RTA_TABLE_COUNT && rta_column(kind, i); i++)
			has[t][sql_column_find(&all[t], rta_column(kind, i))] = true;
		for (unsigned c = 0; c < all[t].n; c++) {
			char full[64];

			snprintf(full, sizeof(full), "%s.%s", all[t].name, all[t].column[c].name);
			for (size_t i = 0; i < ARRAY_SIZE(by_code); i++)
				if (!strcmp(by_code[i], full) ||
				    !strcmp(by_code[i], all[t].column[c].name))
					has[t][c] = true;
			if (!has[t][c])
				fail_msg("nothing fills the column %s", full);
		}
		sql_table_close(&all[t]);
	}
}

/* doc/schema.md has every table and column, and no other; functions that it has are there. */
static void test_documented(void **state)
{
	const char *source = strstr(__FILE__, "/tests/unit/");
	auto_db struct db *db = memory();
	auto_buf struct buf page = {0};
	struct err e = ERR_INIT;
	char path[4096], heading[64] = "";
	unsigned n_doc = 0, n_schema = 0;
	char *line, *save = NULL;

	snprintf(path, sizeof(path), "%.*s/doc/schema.md", source ? (int)(source - __FILE__) : 1,
		 source ? __FILE__ : ".");
	if (io_read_file(AT_FDCWD, path, 1 << 20, &page, &e))
		fail_msg("%s", e.msg);
	auto_query struct query *q = query_new(
		db,
		"SELECT 1 FROM pragma_table_info(:t) WHERE name = :c UNION ALL SELECT 1 "
		"FROM pragma_function_list WHERE :t = 'Functions' AND name = substr(:c, 1, "
		"instr(:c, '(') - 1)",
		&e);
	for (line = strtok_r((char *)page.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char column[64];

		sscanf(line, "## %63s", heading);
		if (sscanf(line, "| `%63[^`]` |", column) != 1)
			continue;
		n_doc += strcmp(heading, "Functions") != 0;
		query_bind_text(q, "t", heading, &e);
		query_bind_text(q, "c", column, &e);
		if (query_next(q, &e) != 1)
			fail_msg("doc/schema.md has %s.%s, the schema has not", heading, column);
	}
	auto_query struct query *count =
		query_new(db,
			  "SELECT count(*) FROM sqlite_schema s, pragma_table_info(s.name) WHERE "
			  "s.type = 'table' "
			  "AND s.name NOT LIKE 'sqlite%'",
			  &e);
	assert_int_equal(query_next(count, &e), 1);
	n_schema = (unsigned)query_int(count, 0);
	if (n_doc != n_schema)
		fail_msg("doc/schema.md has %u columns, the schema %u", n_doc, n_schema);
}

/* Cells of a record and edits of it, with values that no corpus image has. */
static void test_values(void **state)
{
	static const struct {
		const char *path;
		struct wire_value v;
		const char *column;
		int table;
		const char *text; /* NULL: num */
		int64_t num;
	} rows[] = {
		{"ino", {.u = 0xffffffff}, "ino", 0, NULL, 0xffffffff},
		{"opts.so_snd_tmo_sec", {.u = UINT64_MAX}, "so_snd_tmo_sec", 0, NULL, -1},
		{"opts.reuseaddr", {.u = 1}, "reuseaddr", 0, NULL, 1},
		{"opts.so_bound_dev",
		 {.bytes = {(const uint8_t *)"a\0\\\xff", 4}},
		 "so_bound_dev",
		 0,
		 "a\\x00\\\\\\xff",
		 0},
		{"ip_opts.raw.hdrincl", {.u = 1}, "hdrincl", 1, NULL, 1},
		{"nsimg.cookie", {.u = UINT64_MAX - 1}, "cookie", 0, NULL, -2},
		{"nsimg.scope_id", {.u = 3}, "src_scope", 1, NULL, 3},
	};
	auto_db struct db *db = memory();
	struct sql_table t[2] = {0};
	struct map m;

	open_map(db, MAP_INET, &m, t);
	assert_non_null(m.def);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct wire_edit edit = {rows[i].path, &rows[i].v, 1};
		auto_map_row struct map_row r = {0}, was = {0};
		auto_map_edits struct map_edits x = {0};
		auto_buf struct buf msg = {0}, again = {0};
		const struct sql_cell *c;
		struct err e = ERR_INIT;

		assert_int_equal(wire_patch(m.def->desc, (struct span){0}, &edit, 1, &msg, &e), 0);
		map_row_clear(&r, &m);
		if (map_decode(&m, buf_span(&msg), &r, &e))
			fail_msg("%s: %s", rows[i].path, e.msg);
		c = &r.row[rows[i].table].cell[sql_column_find(&t[rows[i].table], rows[i].column)];
		if (rows[i].text) {
			struct span b = sql_cell_bytes(&r.row[rows[i].table], c);

			assert_int_equal(b.len, strlen(rows[i].text));
			assert_memory_equal(b.data, rows[i].text, b.len);
		} else if (c->type != QUERY_INT || c->num != rows[i].num) {
			fail_msg("%s: %lld", rows[i].path, (long long)c->num);
		}
		/* from nothing back to the same message */
		map_row_clear(&was, &m);
		assert_int_equal(map_encode(&m, (struct span){0}, &was, &r, "", &x, &e), 0);
		assert_int_equal(wire_patch(m.def->desc, (struct span){0}, x.edit, x.n, &again, &e),
				 0);
		if (again.len != msg.len || memcmp(again.data, msg.data, msg.len))
			fail_msg("%s: not the message it was", rows[i].path);
	}
	map_close(&m);
	sql_table_close(&t[0]);
	sql_table_close(&t[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_complete),
		cmocka_unit_test(test_columns_have_a_source),
		cmocka_unit_test(test_documented),
		cmocka_unit_test(test_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
