#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/cleanup.h"
#include "imgdb/db.h"

static char dir[] = "/tmp/nsimg-test-db-XXXXXX";

static const char *path_of(const char *name)
{
	static char path[200];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

/* A database of anybody: made with plain SQLite. */
static void make_sqlite(const char *path, const char *sql)
{
	sqlite3 *h = NULL;

	unlink(path);
	assert_int_equal(sqlite3_open(path, &h), SQLITE_OK);
	assert_int_equal(sqlite3_exec(h, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(h);
}

static void write_file(const char *path, const char *text)
{
	auto_file FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
}

static void test_create_and_reopen(void **state)
{
	static const enum db_mode modes[] = {DB_CREATE, DB_READ, DB_WRITE, DB_CREATE};
	const char *path = path_of("new.db");
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		auto_db struct db *db = db_open(path, modes[i], &e);

		if (!db)
			fail_msg("mode %zu: %s", i, e.msg);
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *name, *sql, *text;
		enum db_mode mode;
		enum err_code code;
		const char *says;
	} rows[] = {
		{"missing.db", NULL, NULL, DB_READ, ERR_NOTFOUND, "no such database"},
		{"missing.db", NULL, NULL, DB_WRITE, ERR_NOTFOUND, "no such database"},
		{"text.db", NULL, "this is not a database at all, it is just a longer text\n",
		 DB_READ, ERR_FORMAT, "not SQLite"},
		{"text.db", NULL, "this is not a database at all, it is just a longer text\n",
		 DB_CREATE, ERR_FORMAT, "not SQLite"},
		{"empty.db", NULL, "", DB_READ, ERR_FORMAT, "empty"},
		{"other.db", "CREATE TABLE t(x)", NULL, DB_READ, ERR_FORMAT, "not of nsimg"},
		{"other.db", "CREATE TABLE t(x)", NULL, DB_CREATE, ERR_FORMAT, "not of nsimg"},
		{"newer.db", "PRAGMA application_id = 0x4e53494d; PRAGMA user_version = 99", NULL,
		 DB_READ, ERR_FORMAT, "newer nsimg"},
		{"older.db", "PRAGMA application_id = 0x4e53494d; PRAGMA user_version = 1", NULL,
		 DB_WRITE, ERR_FORMAT, "older nsimg"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *path = path_of(rows[i].name);
		struct err e = ERR_INIT;

		if (rows[i].sql)
			make_sqlite(path, rows[i].sql);
		if (rows[i].text)
			write_file(path, rows[i].text);
		auto_db struct db *db = db_open(path, rows[i].mode, &e);

		if (db)
			fail_msg("row %zu (%s): was opened", i, rows[i].name);
		if (e.code != rows[i].code || !strstr(e.msg, rows[i].says))
			fail_msg("row %zu (%s): code %d, \"%s\"", i, rows[i].name, e.code, e.msg);
	}
}

static void test_foreign_trigger(void **state)
{
	const char *path = path_of("trigger.db");
	struct err e = ERR_INIT;
	sqlite3 *h = NULL;

	db_free(db_open(path, DB_CREATE, &e));
	assert_int_equal(sqlite3_open(path, &h), SQLITE_OK);
	assert_int_equal(sqlite3_exec(h,
				      "CREATE TRIGGER evil AFTER INSERT ON note BEGIN DELETE FROM "
				      "image; END",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	sqlite3_close(h);
	assert_null(db_open(path, DB_WRITE, &e));
	assert_non_null(strstr(e.msg, "evil"));
	auto_db struct db *db = db_open(path, DB_READ, &e);
	assert_non_null(db);
}

static int count(struct db *db)
{
	struct err e = ERR_INIT;
	auto_query struct query *q = query_new(db, "SELECT count(*) FROM edit_op", &e);

	assert_non_null(q);
	assert_int_equal(query_next(q, &e), 1);
	return (int)query_int(q, 0);
}

#define ADD "INSERT INTO edit_op(at, who, command) VALUES ('t', 'w', 'c')"

static void test_transactions(void **state)
{
	struct err e = ERR_INIT;
	auto_db struct db *db = db_open(NULL, DB_MEMORY, &e);

	assert_non_null(db);
	assert_int_equal(db_begin(db, &e), 0);
	assert_int_equal(db_exec(db, ADD, &e), 0);
	assert_int_equal(db_begin(db, &e), 0);
	assert_int_equal(db_exec(db, ADD, &e), 0);
	assert_int_equal(count(db), 2);
	assert_int_equal(db_end(db, false, &e), 0);
	assert_int_equal(count(db), 1);
	assert_int_equal(db_end(db, true, &e), 0);
	assert_int_equal(count(db), 1);
	assert_int_equal(db_begin(db, &e), 0);
	assert_int_equal(db_exec(db, ADD, &e), 0);
	assert_int_equal(db_end(db, false, &e), 0);
	assert_int_equal(count(db), 1);
	assert_int_equal(db_end(db, true, &e), -1);
}

static void test_query(void **state)
{
	struct err e = ERR_INIT;
	auto_db struct db *db = db_open(NULL, DB_MEMORY, &e);
	auto_query struct query *q =
		query_new(db, "SELECT :i AS i, :t AS t, :b AS b, :n AS n, 1.5 AS r -- comment", &e);
	struct query *none;

	assert_non_null(q);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(query_bind_int(q, "i", INT64_MIN, &e), 0);
		assert_int_equal(query_bind_text(q, ":t", "x", &e), 0);
		assert_int_equal(query_bind_blob(q, "b", "\0\1", 2, &e), 0);
		assert_int_equal(query_bind_null(q, "n", &e), 0);
		assert_int_equal(query_next(q, &e), 1);
		assert_int_equal(query_n_columns(q), 5);
		assert_string_equal(query_column_name(q, 1), "t");
		assert_true(query_int(q, 0) == INT64_MIN);
		assert_string_equal(query_text(q, 1), "x");
		assert_int_equal(query_blob(q, 2).len, 2);
		assert_true(query_is_null(q, 3));
		assert_null(query_text(q, 3));
		assert_int_equal(query_type(q, 4), QUERY_REAL);
	}
	assert_int_equal(query_next(q, &e), 0);
	assert_int_equal(query_bind_int(q, "nobody", 1, &e), -1);
	assert_non_null(strstr(e.msg, ":nobody"));
	none = query_new(db, "SELECT 1; DELETE FROM image", &e);
	assert_null(none);
	assert_non_null(strstr(e.msg, "one SQL statement"));
	none = query_new(db, "SELEC 1", &e);
	assert_null(none);
	assert_int_equal(e.code, ERR_DB);
	none = query_new(db, " -- nothing", &e);
	assert_null(none);
}

static void test_read_only(void **state)
{
	const char *path = path_of("ro.db");
	struct err e = ERR_INIT;

	db_free(db_open(path, DB_CREATE, &e));
	auto_db struct db *db = db_open(path, DB_READ, &e);
	assert_non_null(db);
	assert_int_equal(db_exec(db, ADD, &e), -1);
	assert_int_equal(e.code, ERR_PERM);
}

#define IMAGE(id, name)                                                                            \
	"UPDATE edit_state SET importing = 1, op = -1;"                                            \
	"INSERT INTO image(id, name, format, source, source_kind, evidence, imported_at, "         \
	"imported_by, tool) VALUES (" #id ", '" name "', 'criu', '/x', 'directory', 'e', 't', "    \
	"'u', 'v');"

static int64_t n_images(struct db *db)
{
	struct err e = ERR_INIT;
	auto_query struct query *q = query_new(db, "SELECT count(*) FROM image", &e);

	if (!q || query_next(q, &e) != 1)
		fail_msg("%s", e.msg);
	return query_int(q, 0);
}

/* A second reader sees what the first one does, or there is none: sqlite.org/lockingv3.html, wal.html. */
static void test_twin(void **state)
{
	const char *path = path_of("twin.db");
	struct err e = ERR_INIT;
	auto_db struct db *made = db_open(path, DB_CREATE, &e), *db = NULL, *copy = NULL;
	struct db *twin;

	db = db_open(path, DB_READ, &e);
	if (!db || db_begin(db, &e))
		fail_msg("%s", e.msg);
	assert_int_equal(n_images(db), 0);
	twin = db_twin(db, &e);
	assert_non_null(twin);
	assert_int_equal(n_images(twin), 0);
	db_free(twin);
	copy = db_copy(db, &e);
	assert_non_null(copy);
	assert_null(db_twin(copy, &e));
	if (db_end(db, true, &e) || db_exec(made, "PRAGMA journal_mode = WAL", &e) ||
	    db_begin(db, &e))
		fail_msg("%s", e.msg);
	assert_int_equal(n_images(db), 0);
	assert_null(db_twin(db, &e));
}

static void test_image_pick(void **state)
{
	struct err e = ERR_INIT;
	auto_db struct db *db = db_open(NULL, DB_MEMORY, &e);
	int64_t image = 0;

	assert_int_equal(db_image_pick(db, 0, &image, &e), -1);
	assert_int_equal(e.code, ERR_NOTFOUND);
	assert_int_equal(db_exec(db, IMAGE(3, "web"), &e), 0);
	assert_int_equal(db_image_pick(db, 0, &image, &e), 0);
	assert_int_equal(image, 3);
	assert_int_equal(db_exec(db, IMAGE(5, "mail"), &e), 0);
	assert_int_equal(db_image_pick(db, 0, &image, &e), -1);
	assert_int_equal(e.code, ERR_USAGE);
	assert_non_null(strstr(e.msg, "3 (web), 5 (mail)"));
	assert_int_equal(db_image_pick(db, 5, &image, &e), 0);
	assert_int_equal(image, 5);
	assert_int_equal(db_image_pick(db, 4, &image, &e), -1);
	assert_int_equal(e.code, ERR_NOTFOUND);
}

/* On some versions of SQLite json_object and ->> are ours (imgdb/json_functions.c): the same as SQLite's own. */
static void test_json_functions(void **state)
{
	static const char *const objects[] = {
		"json_object()",
		"json_object('a', 'b', 'c', 'd')",
		"json_object('q\"', 'b\\s', 'tab', char(9, 10, 13, 8, 12, 11), 'u', 'ü€')",
		"json_object('all', (WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM "
		"n "
		"WHERE x < 300) SELECT group_concat(char(x), '') FROM n))",
		"json_object('zero', 'a' || char(0) || 'b')",
		"json_object('n', 1, 'r', 1.5, 'null', NULL)",
		"json_object('j', json_object('a', 'b'), 'q', quote(x'00ff'))",
		"json_extract(json_object('a', json_object('b', 'c')), '$.a.b')",
		"hex(json_object('bad', CAST(x'ff22fe' AS TEXT)))",
		/* with quote(), which tells NULL, numbers and text apart */
		"quote(json_object('a', 'b', 'c', 'd') ->> 'c')",
		"quote(json_object('aa', 1, 'a', -5, 'b', 9223372036854775807) ->> 'a')",
		"quote(json_object('aa', 1, 'a', -5, 'b', 9223372036854775807) ->> 'b')",
		"quote(json_object('a', NULL, 'b', 1.5, 'c', '') ->> 'a')",
		"quote(json_object('a', NULL, 'b', 1.5, 'c', '') ->> 'b')",
		"quote(json_object('a', NULL, 'b', 1.5, 'c', '') ->> 'c')",
		"quote(json_object('a', NULL, 'b', 1.5, 'c', '') ->> 'd')",
		"quote(json_object('a', '{\"b\":\"c\"}', 'b', 'q\"\\') ->> 'b')",
		"quote(json_object('a', json('{\"b\":[{},\"}\"]}'), 'b', 2) ->> 'b')",
		"quote(json_object('a', json('{\"b\":[{},\"}\"]}'), 'b', 2) ->> 'a')",
		"quote('{ \"a\" : [ 1, true ] , \"b\" : false }' ->> 'b')",
		"quote('{\"a\":[1,true],\"a\":2}' ->> 'a')",
		"quote('{\"a.b\":1,\"a\":{\"b\":2}}' ->> 'a.b')",
		"quote('{\"a\":{\"b\":2}}' ->> '$.a.b')",
		"quote('[1,2]' ->> 1)",
		"quote('{}' ->> 'a')",
		"quote('7' ->> 'a')",
		"quote(NULL ->> 'a')",
		"quote('{\"a\":1}' ->> NULL)",
		"json_object('b', json_object('a', json('[1,2]')) -> 'a')",
	};
	struct err e = ERR_INIT;
	auto_db struct db *db = db_open(NULL, DB_MEMORY, &e);
	sqlite3 *h = NULL;

	(void)state;
	assert_non_null(db);
	assert_int_equal(sqlite3_open(":memory:", &h), SQLITE_OK);
	for (size_t i = 0; i < ARRAY_SIZE(objects); i++) {
		auto_buf struct buf sql = {0};
		auto_query struct query *ours = NULL;
		sqlite3_stmt *theirs = NULL;

		assert_int_equal(buf_printf(&sql, &e, "SELECT %s", objects[i]), 0);
		ours = query_new(db, (char *)sql.data, &e);
		assert_int_equal(query_next(ours, &e), 1);
		assert_int_equal(sqlite3_prepare_v2(h, (char *)sql.data, -1, &theirs, NULL),
				 SQLITE_OK);
		assert_int_equal(sqlite3_step(theirs), SQLITE_ROW);
		assert_string_equal(query_text(ours, 0),
				    (const char *)sqlite3_column_text(theirs, 0));
		sqlite3_finalize(theirs);
	}
	sqlite3_close(h);
}

/* What a terminal gets while these statements run: the line, from the first second on, and its end. */
static void watched(const char *sql, uint64_t n, uint64_t total, const char *what, char *out,
		    size_t size)
{
	auto_close int ours = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK), theirs = -1,
		       kept = dup(2);
	auto_db struct db *db = NULL;
	struct err e = ERR_INIT;
	struct pollfd wait = {.fd = ours, .events = POLLIN};
	size_t len = 0;
	ssize_t got;
	int rc;

	assert_true(ours >= 0 && !grantpt(ours) && !unlockpt(ours));
	theirs = open(ptsname(ours), O_RDWR | O_NOCTTY);
	assert_true(theirs >= 0 && kept >= 0);
	db = db_open(NULL, DB_MEMORY, &e);
	assert_non_null(db);
	assert_true(dup2(theirs, 2) == 2);
	db_watch(db);
	db_watch_at(db, n, total, what);
	usleep(1010000);
	rc = db_exec(db, sql, &e);
	db_watch_end(db);
	dup2(kept, 2);
	assert_int_equal(rc, 0);
	/* the kernel hands on what is written to a terminal a moment later */
	out[0] = 0;
	while (!strstr(out, "\r\033[K") && poll(&wait, 1, 20000) == 1) {
		got = read(ours, out + len, size - 1 - len);
		len += got > 0 ? (size_t)got : 0;
		out[len] = 0;
	}
}

static void test_watch(void **state)
{
	static const char sql[] =
		"CREATE TEMP TABLE t AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT "
		"x + 1 FROM c WHERE x < 20000) SELECT x FROM c; DELETE FROM temp.t";
	char out[4096];

	watched(sql, 3, 9, "route", out, sizeof(out));
	assert_int_equal(strncmp(out, "\r[3/9] route\033[K", 15), 0);
	assert_string_equal(out + strlen(out) - 4, "\r\033[K");
	watched(sql, 0, 0, NULL, out, sizeof(out));
	assert_non_null(strstr(out, "] rows changed\033[K"));
}

static int make_dir(void **state)
{
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	static const char *const names[] = {"new.db",   "text.db",     "empty.db",   "other.db",
					    "newer.db", "older.db",    "ro.db",      "trigger.db",
					    "twin.db",  "twin.db-wal", "twin.db-shm"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unlink(path_of(names[i]));
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create_and_reopen),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_foreign_trigger),
		cmocka_unit_test(test_transactions),
		cmocka_unit_test(test_query),
		cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_twin),
		cmocka_unit_test(test_image_pick),
		cmocka_unit_test(test_json_functions),
		cmocka_unit_test(test_watch),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
