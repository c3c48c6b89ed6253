/* Address text: canonical forms as RFC 5952 and ip(8) give them, and what must be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <arpa/inet.h>
#include <cmocka.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "proto/inet.h"

struct text_case {
	const char *name, *text;
	int family;
	const char *canonical; /* NULL: must be refused */
};

static const struct text_case prefix_cases[] = {
	{"v4 net", "10.0.0.0/24", 0, "10.0.0.0/24"},
	{"v4 host", "10.0.0.1", 0, "10.0.0.1"},
	{"v4 host with length", "10.0.0.1/32", 0, "10.0.0.1"},
	{"v4 host bits kept", "10.1.2.3/8", AF_INET, "10.1.2.3/8"},
	{"v4 default", "default", AF_INET, "default"},
	{"v4 zero", "0.0.0.0/0", 0, "default"},
	{"v4 zero host", "0.0.0.0", 0, "0.0.0.0"},
	{"v6 default", "default", AF_INET6, "default"},
	{"v6 zero", "::/0", 0, "default"},
	{"v6 zero host", "::", 0, "::"},
	{"v6 upper case", "FE80::ABCD/10", 0, "fe80::abcd/10"},
	{"v6 longest run (RFC 5952 4.2.3)", "2001:0:0:1:0:0:0:1", 0, "2001:0:0:1::1"},
	{"v6 first of equal runs (RFC 5952 4.2.3)", "2001:db8:0:0:1:0:0:1", 0, "2001:db8::1:0:0:1"},
	{"v6 one field stays (RFC 5952 4.2.2)", "2001:db8:0:1:1:1:1:1", 0, "2001:db8:0:1:1:1:1:1"},
	{"v4 mapped", "::ffff:1.2.3.4", 0, "::ffff:1.2.3.4"},
	{"full length", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/127", 0,
	 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/127"},
	{"empty", "", 0, NULL},
	{"default without family", "default", 0, NULL},
	{"length too long", "10.0.0.0/33", 0, NULL},
	{"v6 length too long", "::/129", 0, NULL},
	{"no length", "10.0.0.0/", 0, NULL},
	{"negative length", "10.0.0.0/-1", 0, NULL},
	{"length with tail", "10.0.0.0/24x", 0, NULL},
	{"length of four digits", "10.0.0.0/0024", 0, NULL},
	{"two slashes", "10.0.0.0/24/24", 0, NULL},
	{"three numbers", "10.0.0/24", 0, NULL},
	{"leading zero", "010.0.0.1", 0, NULL},
	{"256", "256.0.0.1", 0, NULL},
	{"space", " 10.0.0.1", 0, NULL},
	{"scope", "fe80::1%eth0", 0, NULL},
	{"other family", "10.0.0.1", AF_INET6, NULL},
	{"other family 6", "::1", AF_INET, NULL},
	{"a name", "localhost", 0, NULL},
	{"very long", "1111111111111111111111111111111111111111111111111111111111111111111", 0,
	 NULL},
};

static void test_prefix(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(prefix_cases); i++) {
		const struct text_case *c = &prefix_cases[i];
		struct err e = ERR_INIT;
		uint8_t addr[16];
		size_t len;
		unsigned plen;
		char text[INET_PREFIX_MAX];
		int r = inet_prefix_parse(c->text, c->family, addr, &len, &plen, &e);

		if ((r == 0) != (c->canonical != NULL))
			fail_msg("%s: %s", c->name, r ? e.msg : "accepted");
		if (r) {
			assert_int_equal(e.code, ERR_FORMAT);
			continue;
		}
		if (!inet_prefix_format(addr, len, plen, text) || strcmp(text, c->canonical))
			fail_msg("%s: %s instead of %s", c->name, text, c->canonical);
	}
}

static const struct text_case ll_cases[] = {
	{"mac", "02:00:00:00:00:01", 0, "02:00:00:00:00:01"},
	{"upper case", "AB:cd:EF:00:11:22", 0, "ab:cd:ef:00:11:22"},
	{"infiniband", "00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f:10:11:12:13", 0,
	 "00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f:10:11:12:13"},
	{"one byte", "07", 0, "07"},
	{"tunnel v4", "192.0.2.1", 0, "192.0.2.1"},
	{"tunnel v6", "2001:db8::1", 0, "2001:db8::1"},
	{"none", "", 0, ""},
	{"one digit", "2:0:0:0:0:1", 0, NULL},
	{"tail colon", "02:00:", 0, NULL},
	{"dashes", "02-00-00-00-00-01", 0, NULL},
	{"not hex", "02:00:00:00:00:0g", 0, NULL},
	{"33 bytes",
	 "00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f:"
	 "00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f:10",
	 0, NULL},
};

static void test_ll(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(ll_cases); i++) {
		const struct text_case *c = &ll_cases[i];
		struct err e = ERR_INIT;
		uint8_t addr[INET_LL_BYTES];
		size_t len;
		char text[INET_LL_MAX];
		int r = inet_ll_parse(c->text, addr, &len, &e);

		if ((r == 0) != (c->canonical != NULL))
			fail_msg("%s: %s", c->name, r ? e.msg : "accepted");
		if (!r && (!inet_ll_format(addr, len, text) || strcmp(text, c->canonical)))
			fail_msg("%s: %s instead of %s", c->name, text, c->canonical);
	}
}

static void test_bounds(void **state)
{
	uint8_t b[64];
	char text[INET_LL_MAX], host[INET_TEXT_MAX], prefix[INET_PREFIX_MAX];

	memset(b, 0xff, sizeof(b));
	assert_true(inet_ll_format(b, INET_LL_BYTES, text));
	assert_int_equal(strlen(text), 3 * INET_LL_BYTES - 1);
	assert_false(inet_ll_format(b, INET_LL_BYTES + 1, text));
	assert_string_equal(text, "");
	assert_false(inet_format(b, 5, host));
	assert_false(inet_prefix_format(b, 4, 33, prefix));
	assert_true(inet_prefix_format(NULL, 4, 0, prefix));
	assert_string_equal(prefix, "default");
	assert_true(inet_prefix_is_clean((uint8_t[]){10, 0, 0, 0}, 4, 8));
	assert_false(inet_prefix_is_clean((uint8_t[]){10, 0, 0, 1}, 4, 31));
	assert_true(inet_prefix_is_clean((uint8_t[]){10, 0, 0, 1}, 4, 32));
	assert_true(inet_prefix_is_clean((uint8_t[]){10, 128, 0, 0}, 4, 9));
	assert_false(inet_prefix_is_clean((uint8_t[]){10, 128, 0, 0}, 4, 8));
}

/* inet_ntop(3) is what is meant. */
static void test_octets(void **state)
{
	for (unsigned i = 0; i < 4 * 256; i++) {
		uint8_t addr[4] = {9, 99, 100, 255};
		char text[INET_TEXT_MAX], want[INET_ADDRSTRLEN];

		addr[i / 256] = (uint8_t)i;
		assert_true(inet_format(addr, sizeof(addr), text));
		assert_string_equal(text, inet_ntop(AF_INET, addr, want, sizeof(want)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prefix),
		cmocka_unit_test(test_ll),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_octets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
