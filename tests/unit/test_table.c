#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/table.h"

static const struct table_col cols[] = {
	{"name", TABLE_STR, TABLE_NAME},     {"mtu", TABLE_INT, TABLE_RIGHT}, {"up", TABLE_BOOL, 0},
	{"attrs", TABLE_JSON, TABLE_HIDDEN}, {"ino", TABLE_INT, TABLE_EXTRA},
};

static struct table *sample(void)
{
	static const char *const cells[][5] = {
		{"lo", "65536", "1", "{\"b\":1}", "18446744073709551615"},
		{"caf\u00e9\x1b[2J", "1500", "0", "no json", NULL},
		{"\u6771\u4eac, \"x\"", NULL, NULL, NULL, "7"},
	};
	struct err e = ERR_INIT;
	struct table *t = table_new(cols, ARRAY_SIZE(cols), &e);

	for (size_t r = 0; r < ARRAY_SIZE(cells); r++) {
		assert_int_equal(table_row(t, &e), 0);
		for (size_t c = 0; c < 5; c++)
			assert_int_equal(table_cell(t, c, cells[r][c], &e), 0);
	}
	return t;
}

static const struct {
	const char *name;
	struct table_style style;
	const char *out;
} rows[] = {
	{"text",
	 {TABLE_TEXT, false, NULL, 0, false, false},
	 "NAME           MTU  UP\n"
	 "lo           65536  yes\n"
	 "caf\u00e9\\x1b[2J   1500  no\n"
	 "\u6771\u4eac, \"x\"        -  -\n"},
	{"no header, chosen columns",
	 {TABLE_TEXT, true, "up,name", 0, false, false},
	 "yes  lo\n"
	 "no   caf\u00e9\\x1b[2J\n"
	 "-    \u6771\u4eac, \"x\"\n"},
	{"added column",
	 {TABLE_TEXT, true, "+ino", 0, false, false},
	 "lo           65536  yes  18446744073709551615\n"
	 "caf\u00e9\\x1b[2J   1500  no   -\n"
	 "\u6771\u4eac, \"x\"        -  -    7\n"},
	{"narrow terminal",
	 {TABLE_TEXT, true, NULL, 20, false, false},
	 "lo           65536\n"
	 "        yes\n"
	 "caf\u00e9\\x1b[2J   1500\n"
	 "        no\n"
	 "\u6771\u4eac, \"x\"        -\n"},
	{"colours of ip -color",
	 {TABLE_TEXT, true, "up,name", 0, true, false},
	 "yes  \x1b[36mlo\x1b[0m\n"
	 "no   \x1b[36mcaf\u00e9\\x1b[2J\x1b[0m\n"
	 "-    \x1b[36m\u6771\u4eac, \"x\"\x1b[0m\n"},
	{"json",
	 {TABLE_AS_JSON, false, NULL, 20, false, false},
	 "[\n"
	 "  {\"name\":\"lo\",\"mtu\":65536,\"up\":true,\"attrs\":{\"b\":1}},\n"
	 "  {\"name\":\"caf\u00e9\\u001B[2J\",\"mtu\":1500,\"up\":false,\"attrs\":\"no json\"},\n"
	 "  {\"name\":\"\u6771\u4eac, \\\"x\\\"\",\"mtu\":null,\"up\":null,\"attrs\":null}\n"
	 "]\n"},
	{"json of a uint64",
	 {TABLE_AS_JSON, false, "ino", 0, false, false},
	 "[\n  {\"ino\":\"18446744073709551615\"},\n  {\"ino\":null},\n  {\"ino\":7}\n]\n"},
	{"csv",
	 {TABLE_CSV, false, "name,mtu", 0, false, false},
	 "name,mtu\r\n"
	 "lo,65536\r\n"
	 "caf\u00e9\\x1b[2J,1500\r\n"
	 "\"\u6771\u4eac, \"\"x\"\"\",\r\n"},
};

static char *print(const struct table *t, const struct table_style *s, int want, struct err *e)
{
	char *out = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&out, &len);

	assert_int_equal(table_print(t, s, f, e), want);
	fclose(f);
	return out;
}

static void test_formats(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err e = ERR_INIT;
		auto_table struct table *t = sample();
		auto_free char *out = print(t, &rows[i].style, 0, &e);

		print_message("%s\n", rows[i].name);
		assert_string_equal(out, rows[i].out);
	}
}

/* One hostile name among many does not take the place of all, and numbers are never cut. */
static void test_one_long_name(void **state)
{
	static const struct table_col two[] = {
		{"name", TABLE_STR, 0}, {"n", TABLE_INT, TABLE_RIGHT}, {"users", TABLE_STR, 0}};
	struct table_style style = {.width = 40, .no_header = true};
	char *name = malloc(100001);
	struct err e = ERR_INIT;
	auto_table struct table *t = table_new(two, 3, &e);
	auto_free char *out = NULL;

	memset(name, 'x', 100000);
	name[100000] = 0;
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(table_row(t, &e), 0);
		assert_int_equal(table_cell(t, 0, i == 3 ? name : "short", &e), 0);
		assert_int_equal(table_cell(t, 1, "12345678901234", &e), 0);
		assert_int_equal(table_cell(t, 2, "(\"web\",pid=7)", &e), 0);
	}
	free(name);
	out = print(t, &style, 0, &e);
	for (char *line = strtok(out, "\n"); line; line = strtok(NULL, "\n")) {
		assert_true(table_text_width(line, strlen(line)) <= 40);
		assert_non_null(strstr(line, "12345678901234  (\"web\",pid=7)"));
	}
}

/* A line fits the terminal, also with a hostile name in it, and no column is cut that is not the widest. */
static void test_fits(void **state)
{
	static const struct table_col three[] = {{"local", TABLE_STR, 0},
						 {"port", TABLE_INT, TABLE_RIGHT},
						 {"users", TABLE_STR, TABLE_SHRINK}};
	static const unsigned widths[] = {120, 80, 60, 40};
	auto_free char *name = calloc(1, 100001);

	memset(name, 'x', 100000);
	for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
		struct table_style style = {.format = TABLE_TEXT, .width = widths[i]};
		struct err e = ERR_INIT;
		auto_table struct table *t = table_new(three, ARRAY_SIZE(three), &e);
		auto_free char *out = NULL;

		assert_int_equal(table_row(t, &e) | table_cell(t, 0, name, &e) |
					 table_cell_int(t, 1, 65535, &e) |
					 table_cell(t, 2, "(\"web\",pid=1)", &e),
				 0);
		out = print(t, &style, 0, &e);
		for (char *line = strtok(out, "\n"); line; line = strtok(NULL, "\n"))
			assert_true(table_text_width(line, strlen(line)) <= widths[i]);
		assert_non_null(out);
		out[0] = 0;
	}
}

/* What one looks for is whole on a narrow terminal: the holders are below their line, and what else does not fit. */
static void test_whole_and_below(void **state)
{
	static const struct table_col five[] = {{"netid", TABLE_STR, 0},
						{"local", TABLE_STR, TABLE_WHOLE},
						{"q", TABLE_INT, TABLE_RIGHT},
						{"users", TABLE_STR, TABLE_BELOW},
						{"netns", TABLE_STR, 0}};
	static const char *const cells[][5] = {
		{"tcp", "10.0.0.1:80", "0", "(\"web\",pid=7,fd=3)", "a"},
		{"tcp", "[fd00::1111:2222]:8080", "1", NULL, "b"},
		{"tcp", "10.0.0.1:80", "2", "(\"db\",pid=8,fd=3)", "c"},
	};
	struct table_style style = {.width = 40}, wide = {.width = 80}, some = {.width = 32},
			   narrow = {.width = 32};
	struct err e = ERR_INIT;
	auto_table struct table *t = table_new(five, ARRAY_SIZE(five), &e);
	auto_free char *out = NULL, *out_wide = NULL, *out_one = NULL, *out_narrow = NULL;

	for (size_t r = 0; r < ARRAY_SIZE(cells); r++) {
		assert_int_equal(table_row(t, &e), 0);
		for (size_t c = 0; c < ARRAY_SIZE(five); c++)
			assert_int_equal(table_cell(t, c, cells[r][c], &e), 0);
	}
	out = print(t, &style, 0, &e);
	assert_string_equal(out, "NETID  LOCAL                   Q  NETNS\n"
				 "        USERS\n"
				 "tcp    10.0.0.1:80             0  a\n"
				 "        (\"web\",pid=7,fd=3)\n"
				 "tcp    [fd00::1111:2222]:8080  1  b\n"
				 "tcp    10.0.0.1:80             2  c\n"
				 "        (\"db\",pid=8,fd=3)\n");
	out_narrow = print(t, &narrow, 0, &e);
	assert_non_null(strstr(out_narrow, "tcp    [fd00::1111:2222]:8080  1\n"
					   "        -                   b\n"));
	out_wide = print(t, &wide, 0, &e);
	assert_non_null(strstr(out_wide, "0  (\"web\",pid=7,fd=3)  a\n"));
	some.columns = "users";
	out_one = print(t, &some, 0, &e);
	assert_string_equal(out_one, "USERS\n(\"web\",pid=7,fd=3)\n-\n(\"db\",pid=8,fd=3)\n");
}

/* What is below its line and wider than the terminal goes on in the next one, words and numbers whole. */
static void test_below_in_lines(void **state)
{
	static const struct table_col three[] = {{"object", TABLE_STR, 0},
						 {"change", TABLE_STR, TABLE_BELOW},
						 {"hash", TABLE_STR, TABLE_BELOW}};
	struct table_style style = {.width = 32};
	struct err e = ERR_INIT;
	auto_table struct table *t = table_new(three, ARRAY_SIZE(three), &e);
	auto_free char *out = NULL;

	assert_int_equal(
		table_row(t, &e) | table_cell(t, 0, "device ns9/eth0", &e) |
			table_cell(t, 1, "address: 10.0.0.1 -> 10.9.0.1,10.9.0.2,10.9.0.3", &e) |
			table_cell(t, 2, "0123456789abcdef0123456789abcdef", &e),
		0);
	out = print(t, &style, 0, &e);
	assert_string_equal(out, "OBJECT\n"
				 "        CHANGE\n"
				 "        HASH\n"
				 "device ns9/eth0\n"
				 "        address: 10.0.0.1 ->\n"
				 "        10.9.0.1,10.9.0.2,\n"
				 "        10.9.0.3\n"
				 "        0123456789abcdef0123456789abcdef\n");
}

static void test_records(void **state)
{
	static const struct table_col three[] = {
		{"id", TABLE_AUTO, 0}, {"address", TABLE_AUTO, 0}, {"n", TABLE_AUTO, 0}};
	struct table_style style = {.width = 16, .records = true};
	struct err e = ERR_INIT;
	auto_table struct table *t = table_new(three, ARRAY_SIZE(three), &e);
	auto_free char *out = NULL, *fits = NULL;

	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(table_row(t, &e) | table_cell(t, 0, "12345678", &e) |
					 table_cell(t, 1, "10.10.10.10/24", &e) |
					 table_cell(t, 2, NULL, &e),
				 0);
	out = print(t, &style, 0, &e);
	assert_string_equal(out, "ID       12345678\nADDRESS  10.10.10.10/24\nN        -\n\n"
				 "ID       12345678\nADDRESS  10.10.10.10/24\nN        -\n");
	style.width = 80;
	fits = print(t, &style, 0, &e);
	assert_non_null(strstr(fits, "12345678  10.10.10.10/24  -\n"));
}

static void test_unknown_column(void **state)
{
	struct table_style style = {.columns = "name,mut"};
	struct err e = ERR_INIT;
	auto_table struct table *t = sample();
	auto_free char *out = print(t, &style, -1, &e);

	assert_int_equal(e.code, ERR_USAGE);
	assert_string_equal(
		e.msg,
		"no column 'mut' (did you mean 'mtu'?); there are: name, mtu, up, attrs, ino");
	assert_string_equal(out, "");
}

static void test_empty(void **state)
{
	struct table_style json = {.format = TABLE_AS_JSON}, text = {.format = TABLE_TEXT};
	struct err e = ERR_INIT;
	auto_table struct table *t = table_new(cols, 2, &e);
	auto_free char *out = print(t, &json, 0, &e), *plain = print(t, &text, 0, &e);

	assert_string_equal(out, "[]\n");
	assert_string_equal(plain, "NAME  MTU\n");
}

static void test_width(void **state)
{
	static const struct {
		const char *s;
		size_t width;
	} w[] = {{"", 0},        {"abc", 3},    {"\u00e9", 1},
		 {"e\u0301", 1}, {"\u6771", 2}, {"\U0001f600", 2}};

	for (size_t i = 0; i < ARRAY_SIZE(w); i++)
		assert_int_equal(table_text_width(w[i].s, strlen(w[i].s)), w[i].width);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_formats),         cmocka_unit_test(test_one_long_name),
		cmocka_unit_test(test_unknown_column),  cmocka_unit_test(test_empty),
		cmocka_unit_test(test_width),           cmocka_unit_test(test_fits),
		cmocka_unit_test(test_whole_and_below), cmocka_unit_test(test_below_in_lines),
		cmocka_unit_test(test_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
