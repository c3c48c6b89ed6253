#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "inspect/check/check_edits.h"

/* One socket; the log begins behind it, as after an import. */
static const char fill[] =
	"UPDATE edit_state SET importing = 1, op = -1;"
	"INSERT INTO image (id, name, format, source, source_kind, evidence, host, dumped_at, "
	"imported_at, "
	"imported_by, tool) VALUES (1, 'i', 'criu', '/i', 'directory', 'x', NULL, NULL, '', '', "
	"'');"
	"INSERT INTO netns (id, image, ns_id) VALUES (1, 1, 1);"
	"INSERT INTO device (id, image, netns, ifindex, name, flags) VALUES (1, 1, 1, 1, 'lo', 9);"
	"INSERT INTO socket (id, image, netns, family, type, protocol, state, ino, file_id) VALUES "
	"(1, 1, 1, 2, 1, 6, 10, 5, 6);"
	"INSERT INTO inet_socket (socket, src, src_port, dst, dst_port, backlog) VALUES "
	"(1, '10.0.0.1', 80, '0.0.0.0', 0, 5);"
	"UPDATE edit_state SET importing = 0, op = 0;";

/* Codes that an edit reaches, and one that it does not. What each code looks at is its sentence in nsimg-check.1. */
static const struct {
	const char *edit, *reached[3], *not_reached;
} cases[] = {
	{"SELECT 1", {NULL}, "damaged"},
	{"UPDATE inet_socket SET backlog = 9", {NULL}, "port-twice"},
	{"UPDATE inet_socket SET backlog = 9", {NULL}, "bind-address"},
	{"UPDATE inet_socket SET src_port = 81", {"port-twice", "bind-address"}, "route-dead"},
	{"UPDATE inet_socket SET src = '10.0.0.2'", {"port-twice", "bind-address"}, "ref-stream"},
	{"INSERT INTO address (image, netns, family, address, prefixlen, ifindex, flags) VALUES "
	 "(1, 1, 2, '10.0.0.1', 24, 1, 0)",
	 {"bind-address", "ref-device"},
	 "port-twice"},
	{"DELETE FROM socket", {"port-twice", "bind-address"}, "bridge-mac"},
};

static bool is_reached(const struct check_edits *x, struct db *db, const char *word)
{
	struct err e = ERR_INIT;
	const struct check_code *code = check_code_find(word, 0, &e);
	bool reached = false;

	if (!code || check_edits_reach(x, db, code, &reached, &e))
		fail_msg("%s", e.msg);
	return reached;
}

static void test_reach(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err e = ERR_INIT;
		auto_db struct db *db = db_open(NULL, DB_MEMORY, &e);
		auto_check_edits struct check_edits *x = NULL;

		if (!db || db_exec(db, fill, &e) ||
		    (strcmp(cases[i].edit, "SELECT 1") && db_exec(db, cases[i].edit, &e)))
			fail_msg("%s", e.msg);
		x = check_edits_new(db, &e);
		if (!x)
			fail_msg("%s", e.msg);
		print_message("# %s\n", cases[i].edit);
		for (size_t k = 0; k < ARRAY_SIZE(cases[i].reached) && cases[i].reached[k]; k++)
			assert_true(is_reached(x, db, cases[i].reached[k]));
		assert_false(is_reached(x, db, cases[i].not_reached));
	}
}

/* It has the memory of a task, so that CRIU restores it. Two namespaces; in the first 10.0.0.1 is on lo, and sockets 1
 * and 4 are bound to it; 2 and 3 are bound to what their namespaces do not have, which the image came in with. */
static const char more[] =
	"UPDATE edit_state SET importing = 1, op = -1;"
	"INSERT INTO image_file (image, name, kind, number, size, sha256) VALUES (1, 'mm-1.img', "
	"'MM', 1, 0, printf('%064d', 0));"
	"INSERT INTO netns (id, image, ns_id) VALUES (2, 1, 2);"
	"INSERT INTO address (id, image, netns, family, address, prefixlen, ifindex, flags, "
	"broadcast) "
	"VALUES (1, 1, 1, 2, '10.0.0.1', 32, 1, 0, 'it''s');"
	"INSERT INTO socket (id, image, netns, family, type, protocol, state, ino, file_id) VALUES "
	"(2, 1, 1, 2, 1, 6, 10, 6, 7), (3, 1, 2, 2, 1, 6, 10, 7, 8), (4, 1, 1, 2, 1, 6, 10, 8, 9);"
	"INSERT INTO inet_socket (socket, src, src_port, dst, dst_port) VALUES "
	"(2, '10.0.0.2', 80, '0.0.0.0', 0), (3, '10.0.0.1', 80, '0.0.0.0', 0), "
	"(4, '10.0.0.1', 81, '0.0.0.0', 0);"
	"UPDATE edit_state SET importing = 0, op = 0;";

/* What is new about an edit: by what nsimg-check.1 says of the codes. */
static const struct {
	const char *edit, *code; /* NULL: nothing is new */
	size_t n;
	int64_t row; /* of the first */
} damages[] = {
	{"UPDATE inet_socket SET src_port = 90 WHERE socket = 2", NULL, 0, 0},
	{"UPDATE inet_socket SET src = '10.0.0.3' WHERE socket = 2", NULL, 0, 0},
	{"UPDATE inet_socket SET src = '10.0.0.1', src_port = 99 WHERE socket = 2", NULL, 0, 0},
	{"UPDATE inet_socket SET src = '10.0.0.3' WHERE socket IN (1, 4)", "bind-address", 2, 1},
	{"UPDATE inet_socket SET src = '10.0.0.3' WHERE socket = 1; "
	 "UPDATE inet_socket SET src = '10.0.0.1' WHERE socket = 1",
	 NULL, 0, 0},
	{"UPDATE socket SET netns = 2, ns_id = 2 WHERE id = 4", "bind-address", 1, 4},
	{"DELETE FROM address", "bind-address", 2, 1},
	{"DELETE FROM address; UPDATE inet_socket SET src_port = 90 WHERE socket = 4",
	 "bind-address", 2, 1},
	{"DELETE FROM address; INSERT INTO address (image, netns, family, address, prefixlen, "
	 "ifindex, "
	 "flags) VALUES (1, 1, 2, '10.0.0.1', 24, 1, 0)",
	 NULL, 0, 0},
	{"DELETE FROM socket WHERE id = 1", NULL, 0, 0},
	{"UPDATE inet_socket SET src_port = 80 WHERE socket = 4", "port-twice", 1, 4},
	{"DELETE FROM device", "bind-address", 2, 1},
};

static void test_new_damage(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
		struct err e = ERR_INIT;
		auto_db struct db *db = db_open(NULL, DB_MEMORY, &e);
		auto_check_edits struct check_edits *x = NULL;
		auto_check struct check_list *found = NULL;
		auto_query struct query *left = NULL;

		print_message("# %s\n", damages[i].edit);
		if (!db || db_exec(db, fill, &e) || db_exec(db, more, &e) ||
		    db_exec(db, damages[i].edit, &e) || !(x = check_edits_new(db, &e)) ||
		    !(found = check_edits_find(x, db, 1, &e)))
			fail_msg("%s", e.msg);
		for (size_t k = 0; k < check_n(found); k++)
			print_message("#   %s %s %lld\n", check_at(found, k)->code->code,
				      check_at(found, k)->table,
				      (long long)check_at(found, k)->row);
		assert_int_equal(check_n(found), damages[i].n);
		if (damages[i].n) {
			assert_string_equal(check_at(found, 0)->code->code, damages[i].code);
			assert_int_equal(check_at(found, 0)->row, damages[i].row);
		}
		left = query_new(db, "SELECT count(*) FROM temp.sqlite_schema", &e);
		assert_int_equal(query_next(left, &e), 1);
		assert_int_equal(query_int(left, 0), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_reach),
					   cmocka_unit_test(test_new_damage)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
