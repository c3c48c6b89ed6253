#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/json.h"

static const char *print(const struct json *j, struct buf *b)
{
	struct err e = ERR_INIT;

	buf_reset(b);
	assert_int_equal(json_print(j, false, b, &e), 0);
	return (const char *)b->data;
}

static void test_build(void **state)
{
	struct err e = ERR_INIT;
	auto_buf struct buf b = {0};
	auto_json struct json *o = json_new_object();
	struct json *a = json_new_array();

	assert_int_equal(json_set(o, "z", json_new_int(-7), &e), 0);
	assert_int_equal(json_set(o, "a", json_new_str("x\"y"), &e), 0);
	assert_int_equal(json_set(o, "list", a, &e), 0);
	assert_int_equal(json_push(a, json_new_bool(true), &e), 0);
	assert_int_equal(json_push(a, json_new_null(), &e), 0);
	assert_int_equal(json_push(a, json_new_str(NULL), &e), 0);
	assert_string_equal(print(o, &b), "{\"z\":-7,\"a\":\"x\\\"y\",\"list\":[true,null,null]}");
	assert_int_equal(json_set(o, "z", json_new_int(8), &e), 0);
	json_unset(o, "a");
	json_unset(o, "absent");
	assert_string_equal(print(o, &b), "{\"z\":8,\"list\":[true,null,null]}");
	assert_int_equal(json_set(o, "n", NULL, &e), -1);
	assert_int_equal(e.code, ERR_NOMEM);
}

static void test_numbers(void **state)
{
	static const struct {
		uint64_t v;
		const char *text;
	} rows[] = {
		{0, "0"},
		{UINT64_C(9007199254740992), "9007199254740992"},
		{UINT64_C(9007199254740993), "\"9007199254740993\""},
		{UINT64_MAX, "\"18446744073709551615\""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err e = ERR_INIT;
		auto_buf struct buf b = {0};
		auto_json struct json *j = json_new_uint(rows[i].v);
		uint64_t back = 0;

		assert_string_equal(print(j, &b), rows[i].text);
		assert_int_equal(json_to_uint(j, &back, "v", &e), 0);
		assert_true(back == rows[i].v);
	}
}

static void test_number_text(void **state)
{
	static const struct {
		const char *json;
		int rc;
		int64_t v;
		enum err_code code;
	} rows[] = {
		{"12", 0, 12, 0},
		{"\"-12\"", 0, -12, 0},
		{"\"0x10\"", 0, 16, 0},
		{"\"010\"", 0, 10, 0},
		{"\"\"", -1, 0, ERR_FORMAT},
		{"\"1x\"", -1, 0, ERR_FORMAT},
		{"true", -1, 0, ERR_FORMAT},
		{"\" 1\"", -1, 0, ERR_FORMAT},
		{"\"99999999999999999999\"", -1, 0, ERR_RANGE},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err e = ERR_INIT;
		auto_json struct json *j = json_parse(rows[i].json, strlen(rows[i].json), &e);
		int64_t v = 0;

		print_message("%s\n", rows[i].json);
		assert_non_null(j);
		assert_int_equal(json_to_int(j, &v, "field", &e), rows[i].rc);
		assert_int_equal(e.code, rows[i].code);
		if (rows[i].rc == 0)
			assert_int_equal(v, rows[i].v);
	}
}

static void test_parse(void **state)
{
	static const char text[] = "{\"b\":1,\"a\":[2,\"x\"],\"c\":{\"d\":1.5}}";
	static const char *const names[] = {"b", "a", "c"};
	struct err e = ERR_INIT;
	auto_buf struct buf b = {0};
	auto_json struct json *j = json_parse(text, strlen(text), &e);
	const struct json *v;
	const char *key;
	void *iter = NULL;
	size_t n = 0;

	assert_non_null(j);
	assert_string_equal(print(j, &b), text);
	while (json_next(j, &iter, &key, &v))
		assert_string_equal(key, names[n++]);
	assert_int_equal(n, 3);
	assert_string_equal(json_str(json_at(json_get(j, "a"), 1)), "x");
	assert_int_equal(json_kind(json_get(j, "none")), JSON_KIND_NULL);
	assert_null(json_at(json_get(j, "a"), 2));
	assert_true(json_real_of(json_get(json_get(j, "c"), "d")) == 1.5);
}

static void test_bad(void **state)
{
	static const char *const bad[] = {"", "{", "{\"a\":1,\"a\":2}", "[1] x", "\"\xff\"", "nul"};
	struct err e = ERR_INIT;
	auto_buf struct buf deep = {0};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		e = (struct err)ERR_INIT;
		assert_null(json_parse(bad[i], strlen(bad[i]), &e));
		assert_int_equal(e.code, ERR_FORMAT);
	}
	for (int i = 0; i < 100000; i++)
		assert_int_equal(buf_add(&deep, "[", 1, &e), 0);
	assert_null(json_parse((char *)deep.data, deep.len, &e));
}

static void test_invalid_utf8(void **state)
{
	auto_buf struct buf b = {0};
	auto_json struct json *j = json_new_strn("a\xff\0b", 4);

	assert_string_equal(print(j, &b), "\"a\\\\xff\\\\x00b\"");
}

/* FIPS 180-2 test vectors. */
static void test_hash(void **state)
{
	static const struct {
		const char *text, *hex;
	} rows[] = {
		{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
	};
	struct err e = ERR_INIT;
	auto_hash struct hash *h = hash_new(&e);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char hex[HASH_HEX_LEN + 1];
		size_t n = strlen(rows[i].text);

		assert_int_equal(hash_bytes(rows[i].text, n, hex, &e), 0);
		assert_string_equal(hex, rows[i].hex);
		for (size_t k = 0; k < n; k++)
			assert_int_equal(hash_update(h, rows[i].text + k, 1, &e), 0);
		assert_int_equal(hash_final(h, hex, &e), 0);
		assert_string_equal(hex, rows[i].hex);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_build),       cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_number_text), cmocka_unit_test(test_parse),
		cmocka_unit_test(test_bad),         cmocka_unit_test(test_invalid_utf8),
		cmocka_unit_test(test_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
