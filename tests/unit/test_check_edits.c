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
	"UPDATE edit_state SET importing = 1;"
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
	"UPDATE edit_state SET importing = 0;";

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
	const struct check_code *code = check_code_find(word, &e);
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

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_reach)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
