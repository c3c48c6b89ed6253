#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "imgdb/log_row.h"

/* One column, and what its value is as a literal of SQL. text: it is a TEXT column. NULL: refused. */
static const struct {
	const char *json;
	bool text;
	const char *shown, *literal;
} values[] = {
	{"{\"a\":1}", false, "1", "1"},
	{"{\"a\":-9223372036854775808}", false, "-9223372036854775808", "-9223372036854775808"},
	{"{\"a\":9223372036854775808}", false, "9223372036854775808", NULL},
	{"{\"a\":null}", false, NULL, "NULL"},
	{" { \"a\" : \"x\" } ", true, "x", "'x'"},
	{"{\"a\":\"it's\"}", true, "it's", "'it''s'"},
	{"{\"a\":\"''\"}", true, "''", "''''''"},
	{"{\"a\":\"\"}", true, "", "''"},
	{"{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u001b\\u00e4\\u20ac\"}", true,
	 "\"\\/\b\f\n\r\t\x1b\xc3\xa4\xe2\x82\xac", "'\"\\/\b\f\n\r\t\x1b\xc3\xa4\xe2\x82\xac'"},
	{"{\"a\":\"\xff\"}", true, "\xff", "'\xff'"},
	{"{\"a\":\"x\\u0000y\"}", true, "x", "CAST(X'780079' AS TEXT)"},
	{"{\"a\":\"NULL\"}", true, "NULL", "'NULL'"},
	{"{\"a\":\"X'00fF'\"}", false, "X'00fF'", "X'00FF'"},
	{"{\"a\":\"X''\"}", false, "X''", "X''"},
	{"{\"a\":\"X'0'\"}", false, "X'0'", NULL},
	{"{\"a\":\"X'00'; DROP TABLE device\"}", false, "X'00'; DROP TABLE device", NULL},
	{"{\"a\":\"5\"}", false, "5", NULL},
};

static const char *const bad[] = {
	"",
	"[]",
	"1",
	"{",
	"{}x",
	"{\"a\"}",
	"{\"a\":}",
	"{\"a\":1,}",
	"{\"a\":1 \"b\":2}",
	"{\"a\":1.5}",
	"{\"a\":1e5}",
	"{\"a\":-}",
	"{\"a\":1-1}",
	"{\"a\":true}",
	"{\"a\":nul}",
	"{\"a\":{}}",
	"{\"a\":\"x}",
	"{\"a\":\"x\\",
	"{\"a\":\"\\x41\"}",
	"{\"a\":\"\\u12\"}",
	"{\"a\":\"\\ud800\"}",
	"{a:1}",
};

static void test_values(void **state)
{
	auto_log_value struct log_value v = {0};
	auto_log_row struct log_row r = {0};

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		struct err e = ERR_INIT;
		auto_buf struct buf out = {0};

		if (log_row_read(&r, values[i].json, &e))
			fail_msg("%s: %s", values[i].json, e.msg);
		assert_int_equal(r.n, 1);
		assert_int_equal(log_row_find(&r, "a"), 0);
		assert_int_equal(log_row_find(&r, "b"), -1);
		if (!values[i].shown)
			assert_null(log_row_text(&r, 0));
		else
			assert_string_equal(log_row_text(&r, 0), values[i].shown);
		if (log_row_value(&r, 0, values[i].text, &v, &e)) {
			assert_null(values[i].literal);
			assert_int_equal(e.code, ERR_FORMAT);
			continue;
		}
		assert_int_equal(log_value_print(&v, &out, &e), 0);
		if (!values[i].literal)
			fail_msg("%s was taken", values[i].json);
		assert_string_equal((const char *)out.data, values[i].literal);
	}
}

static void test_bad(void **state)
{
	auto_log_row struct log_row r = {0};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err e = ERR_INIT;

		if (!log_row_read(&r, bad[i], &e))
			fail_msg("%s was taken", bad[i]);
		assert_int_equal(e.code, ERR_FORMAT);
	}
}

static void test_same(void **state)
{
	auto_log_row struct log_row a = {0}, b = {0};
	struct err e = ERR_INIT;

	assert_int_equal(log_row_read(&a, "{\"x\":1,\"y\":\"1\",\"z\":null}", &e), 0);
	assert_int_equal(log_row_read(&b, "{\"z\":null,\"x\":1,\"y\":1}", &e), 0);
	assert_true(log_row_same(&a, 0, &b, log_row_find(&b, "x")));
	assert_false(log_row_same(&a, 1, &b, log_row_find(&b, "y")));
	assert_true(log_row_same(&a, 2, &b, log_row_find(&b, "z")));
	assert_false(log_row_same(&a, 2, &b, -1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
