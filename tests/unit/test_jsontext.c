/* Strings in JSON: which are values, under which key, and that all else stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "inspect/edit/jsontext.h"

/* "x" becomes its key. */
static int name(void *arg, struct span key, const char *text, size_t n, struct buf *out,
		struct err *e)
{
	(void)arg;
	if (n != 1 || *text != 'x')
		return 0;
	return buf_add(out, key.data, key.len, e) ? -1 : 1;
}

static const char *const cases[][2] = {
	{"\"x\"", "\"\""},
	{"{\"a\":\"x\",\"b\":\"y\"}", "{\"a\":\"a\",\"b\":\"y\"}"},
	{"{\"x\":\"x\", \"x\" : 1.50e1}", "{\"x\":\"x\", \"x\" : 1.50e1}"},
	{"{ \"a\" : [ \"x\", 7, \"x\" ] }", "{ \"a\" : [ \"a\", 7, \"a\" ] }"},
	{"[{\"a\":{\"b\":\"x\"}},{\"c\":\"x\"}]", "[{\"a\":{\"b\":\"b\"}},{\"c\":\"c\"}]"},
	{"{\"a\\\"\":\"x\",\"b\":\"\\\"x\\\\\",\"c\":\"x\"}",
	 "{\"a\\\"\":\"a\\\"\",\"b\":\"\\\"x\\\\\",\"c\":\"c\"}"},
	{"[18446744073709551615,\"x\",null]", "[18446744073709551615,\"\",null]"},
	{"{\"a\":\"x", "{\"a\":\"a"},
	{"{\"a\":\"\\", "{\"a\":\"\\"},
	{"\"", "\""},
	{"", ""},
};

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t n = strlen(cases[i][0]);
		auto_free char *exact = malloc(n ? n : 1);
		auto_buf struct buf out = {0};
		struct err e = ERR_INIT;
		int rc;

		memcpy(exact, cases[i][0], n);
		rc = jsontext_edit(exact, n, name, NULL, &out, &e);
		if (rc < 0 || strcmp(out.len ? (char *)out.data : "", cases[i][1]) != 0)
			fail_msg("%s: %d %s, expected %s", cases[i][0], rc, out.data, cases[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
