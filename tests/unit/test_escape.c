#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/escape.h"

static const struct {
	const char *name, *bytes;
	size_t n;
	const char *text;
} rows[] = {
	{"empty", "", 0, ""},
	{"plain", "eth0", 4, "eth0"},
	{"abstract unix name", "\0svc", 4, "\\x00svc"},
	{"backslash", "a\\b", 3, "a\\\\b"},
	{"text that looks escaped", "\\x41", 4, "\\\\x41"},
	{"newline and tab", "a\n\tb", 4, "a\\x0a\\x09b"},
	{"del", "\x7f", 1, "\\x7f"},
	{"two, three, four bytes", "\u00e9\u20ac\U0001f600", 9, "\u00e9\u20ac\U0001f600"},
	{"stray continuation", "a\x80z", 3, "a\\x80z"},
	{"cut sequence", "\xe2\x82", 2, "\\xe2\\x82"},
	{"overlong slash", "\xc0\xaf", 2, "\\xc0\\xaf"},
	{"overlong in three", "\xe0\x80\xaf", 3, "\\xe0\\x80\\xaf"},
	{"surrogate", "\xed\xa0\x80", 3, "\\xed\\xa0\\x80"},
	{"beyond U+10FFFF", "\xf4\x90\x80\x80", 4, "\\xf4\\x90\\x80\\x80"},
	{"C1 CSI",
	 "\xc2\x9b"
	 "31m",
	 5, "\\xc2\\x9b31m"},
	{"no-break space is fine", "\xc2\xa0", 2, "\xc2\xa0"},
	{"right-to-left override", "a\u202e", 4, "a\\xe2\\x80\\xae"},
	{"isolate", "\u2066", 3, "\\xe2\\x81\\xa6"},
};

static void test_rows(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err e = ERR_INIT;
		auto_buf struct buf text = {0}, back = {0};

		print_message("%s\n", rows[i].name);
		assert_int_equal(escape_add(&text, rows[i].bytes, rows[i].n, &e), 0);
		assert_string_equal((char *)text.data, rows[i].text);
		assert_int_equal(escape_undo(&back, (char *)text.data, text.len, &e), 0);
		assert_int_equal(back.len, rows[i].n);
		assert_memory_equal(back.data, rows[i].bytes, rows[i].n);
		assert_true(escape_is_canonical(rows[i].text, strlen(rows[i].text)));
	}
}

/* Every pair of bytes comes back, and the text has no byte that a terminal would obey. */
static void test_every_byte(void **state)
{
	for (unsigned v = 0; v < 65536; v++) {
		struct err e = ERR_INIT;
		auto_buf struct buf text = {0}, back = {0};
		uint8_t bytes[3] = {(uint8_t)(v >> 8), (uint8_t)v, 'x'};

		if (escape_add(&text, bytes, 3, &e) ||
		    escape_undo(&back, (char *)text.data, text.len, &e) || back.len != 3 ||
		    memcmp(back.data, bytes, 3) != 0)
			fail_msg("bytes %02x %02x do not come back", bytes[0], bytes[1]);
		for (size_t i = 0; i < text.len; i++) {
			if (text.data[i] < 0x20 || text.data[i] == 0x7f)
				fail_msg("bytes %02x %02x: control in the text", bytes[0],
					 bytes[1]);
		}
	}
}

static void test_random(void **state)
{
	unsigned seed = 20260;

	print_message("seed %u\n", seed);
	srandom(seed);
	for (unsigned round = 0; round < 2000; round++) {
		struct err e = ERR_INIT;
		auto_buf struct buf text = {0}, back = {0};
		uint8_t bytes[64];
		size_t n = (size_t)random() % sizeof(bytes);

		for (size_t i = 0; i < n; i++)
			bytes[i] = (uint8_t)random();
		assert_int_equal(escape_add(&text, bytes, n, &e), 0);
		assert_true(escape_is_canonical((char *)text.data, text.len));
		assert_int_equal(escape_undo(&back, (char *)text.data, text.len, &e), 0);
		assert_int_equal(back.len, n);
		assert_memory_equal(back.data, bytes, n);
	}
}

static void test_bad(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{"\\", "offset 0"},   {"abc\\", "offset 3"}, {"a\\n", "offset 1"},
		{"\\x4", "offset 0"}, {"\\xg0", "offset 0"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err e = ERR_INIT;
		auto_buf struct buf out = {0};

		assert_int_equal(buf_add_str(&out, "kept", &e), 0);
		assert_int_equal(escape_undo(&out, bad[i].text, strlen(bad[i].text), &e), -1);
		assert_int_equal(e.code, ERR_FORMAT);
		assert_non_null(strstr(e.msg, bad[i].says));
		assert_string_equal((char *)out.data, "kept");
	}
	assert_false(escape_is_canonical("\\x41", 4)); /* an A needs no escape */
	assert_false(escape_is_canonical("\\x1B", 4)); /* digits are lowercase */
	assert_false(escape_is_canonical("\\q", 2));
}

static void test_show(void **state)
{
	static const char text[] = "\\x00a\x1b[2J";
	struct err e = ERR_INIT;
	auto_buf struct buf out = {0};

	assert_int_equal(escape_show(&out, text, sizeof(text) - 1, &e), 0);
	assert_string_equal((char *)out.data, "\\x00a\\x1b[2J");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),   cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_random), cmocka_unit_test(test_bad),
		cmocka_unit_test(test_show),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
