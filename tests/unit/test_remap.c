/* Mapping of prefixes: what moves, what is left and why, and which maps are refused. What must come out is
 * worked out by hand, or, for refused maps, by trying every address of a small space. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/cleanup.h"
#include "inspect/edit/remap.h"

static const struct {
	const char *name, *pairs[6], *text, *out; /* out NULL: left as it is */
	enum remap_result r;
} maps[] = {
	{"address", {"10.0.0.0/24", "192.168.7.0/24"}, "10.0.0.5", "192.168.7.5", REMAP_DONE},
	{"neighbour of it", {"10.0.0.0/24", "192.168.7.0/24"}, "10.0.1.5", NULL, REMAP_NONE},
	{"odd length", {"10.0.0.0/22", "10.9.4.0/22"}, "10.0.3.77", "10.9.7.77", REMAP_DONE},
	{"single", {"10.0.0.1", "10.0.0.9"}, "10.0.0.1", "10.0.0.9", REMAP_DONE},
	{"narrower", {"10.0.0.0/16", "10.9.0.0/16"}, "10.0.3.0/24", "10.9.3.0/24", REMAP_DONE},
	{"interface of a wider network",
	 {"10.0.0.0/16", "10.9.0.0/16"},
	 "10.0.3.7/8",
	 "10.9.3.7/8",
	 REMAP_DONE},
	{"host bits", {"10.0.0.0/16", "10.9.0.0/16"}, "10.0.3.7/24", "10.9.3.7/24", REMAP_DONE},
	{"same", {"10.0.0.0/16", "10.9.0.0/16"}, "10.0.0.0/16", "10.9.0.0/16", REMAP_DONE},
	{"full length stays",
	 {"10.0.0.0/16", "10.9.0.0/16"},
	 "10.0.0.1/32",
	 "10.9.0.1/32",
	 REMAP_DONE},
	{"wider", {"10.0.0.0/16", "10.9.0.0/16"}, "10.0.0.0/8", NULL, REMAP_WIDER},
	{"wider, elsewhere", {"10.1.0.0/16", "10.9.0.0/16"}, "10.0.0.0/8", NULL, REMAP_WIDER},
	{"wider, not there", {"10.1.0.0/16", "10.9.0.0/16"}, "11.0.0.0/8", NULL, REMAP_NONE},
	{"everything", {"10.1.0.0/16", "10.9.0.0/16"}, "0.0.0.0/0", NULL, REMAP_NONE},
	{"range",
	 {"10.0.0.0/24", "10.9.9.0/24"},
	 "10.0.0.5-10.0.0.9",
	 "10.9.9.5-10.9.9.9",
	 REMAP_DONE},
	{"range reaches out",
	 {"10.0.0.0/24", "10.9.9.0/24"},
	 "10.0.0.5-10.0.1.9",
	 NULL,
	 REMAP_WIDER},
	{"range around", {"10.0.5.0/24", "10.9.9.0/24"}, "10.0.0.5-10.0.9.9", NULL, REMAP_WIDER},
	{"range elsewhere", {"10.0.5.0/24", "10.9.9.0/24"}, "10.0.6.0-10.0.9.9", NULL, REMAP_NONE},
	{"swap",
	 {"10.0.0.0/24", "10.0.1.0/24", "10.0.1.0/24", "10.0.0.0/24"},
	 "10.0.1.3",
	 "10.0.0.3",
	 REMAP_DONE},
	{"swap back",
	 {"10.0.0.0/24", "10.0.1.0/24", "10.0.1.0/24", "10.0.0.0/24"},
	 "10.0.0.3",
	 "10.0.1.3",
	 REMAP_DONE},
	{"longest match",
	 {"10.0.0.0/8", "11.0.0.0/8", "10.2.0.0/16", "12.2.0.0/16"},
	 "10.2.3.4",
	 "12.2.3.4",
	 REMAP_DONE},
	{"not the longest",
	 {"10.2.0.0/16", "12.2.0.0/16", "10.0.0.0/8", "11.0.0.0/8"},
	 "10.3.3.4",
	 "11.3.3.4",
	 REMAP_DONE},
	{"parts apart",
	 {"10.0.0.0/8", "11.0.0.0/8", "10.2.0.0/16", "12.2.0.0/16"},
	 "10.0.0.0/12",
	 NULL,
	 REMAP_APART},
	{"second part apart",
	 {"10.0.0.0/8", "11.0.0.0/8", "10.1.0.0/24", "11.1.0.0/24", "10.2.0.0/16", "12.2.0.0/16"},
	 "10.0.0.0/12",
	 NULL,
	 REMAP_APART},
	{"parts together",
	 {"10.0.0.0/8", "11.0.0.0/8", "10.2.0.0/16", "11.2.0.0/16"},
	 "10.0.0.0/12",
	 "11.0.0.0/12",
	 REMAP_DONE},
	{"two neighbours",
	 {"10.0.0.0/24", "10.2.0.0/24", "10.0.1.0/24", "10.3.1.0/24"},
	 "10.0.0.0/23",
	 NULL,
	 REMAP_WIDER},
	{"v6", {"fd00:1::/32", "fd00:2::/32"}, "fd00:1:3::4", "fd00:2:3::4", REMAP_DONE},
	{"v6 not canonical",
	 {"fd00:1::/32", "fd00:2::/32"},
	 "FD00:1:0:0::4",
	 "fd00:2::4",
	 REMAP_DONE},
	{"v6 prefix", {"fd00:1::/32", "fd00:2::/32"}, "fd00:1::/64", "fd00:2::/64", REMAP_DONE},
	{"v6 wider", {"fd00:1::/32", "fd00:2::/32"}, "fd00::/16", NULL, REMAP_WIDER},
	{"link-local", {"fe80::1/128", "fe80::2/128"}, "fe80::1", "fe80::2", REMAP_DONE},
	{"v4 in v6",
	 {"10.0.0.0/24", "192.168.7.0/24"},
	 "::ffff:10.0.0.5",
	 "::ffff:192.168.7.5",
	 REMAP_DONE},
	{"v4 in v6, prefix",
	 {"10.0.0.0/24", "192.168.7.0/24"},
	 "::ffff:10.0.0.0/120",
	 "::ffff:192.168.7.0/120",
	 REMAP_DONE},
	{"v4 in v6, wider",
	 {"10.0.0.0/24", "192.168.7.0/24"},
	 "::ffff:10.0.0.0/104",
	 NULL,
	 REMAP_WIDER},
	{"all v4 in v6", {"10.0.0.0/24", "192.168.7.0/24"}, "::ffff:0.0.0.0/96", NULL, REMAP_NONE},
	{"v4-compatible is not", {"10.0.0.0/24", "192.168.7.0/24"}, "::10.0.0.5", NULL, REMAP_NONE},
	{"multicast", {"192.0.0.0/8", "193.0.0.0/8"}, "239.1.2.3", NULL, REMAP_NONE},
	{"loopback", {"127.0.0.53", "127.0.0.54"}, "127.0.0.53", "127.0.0.54", REMAP_DONE},
};

static void fill(struct remap *m, const char *const *pairs)
{
	struct err e = ERR_INIT;

	for (size_t i = 0; i < 6 && pairs[i]; i += 2)
		if (remap_add(m, pairs[i], pairs[i + 1], &e))
			fail_msg("%s", e.msg);
}

static void test_map(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
		const char *out = maps[i].out ? maps[i].out : maps[i].text;
		const struct remap_pair *why = NULL;
		auto_buf struct buf text = {0};
		struct err e = ERR_INIT;
		struct remap m = {0};
		struct remap_addr a;
		enum remap_result r;

		fill(&m, maps[i].pairs);
		if (!remap_parse(maps[i].text, strlen(maps[i].text), &a))
			fail_msg("%s: not parsed", maps[i].name);
		r = remap_map(&m, &a, &why);
		assert_int_equal(remap_format(&a, &text, &e), 0);
		if (r != maps[i].r || strcmp((char *)text.data, out) != 0)
			fail_msg("%s: %d %s, expected %d %s", maps[i].name, (int)r, text.data,
				 (int)maps[i].r, out);
		assert_true((r == REMAP_NONE) == !why);
		remap_free(&m);
	}
}

static const char *const no_addresses[] = {
	"",
	"10",
	"10.0.0",
	"10.0.0.1.2",
	"10.0.0.1/33",
	"10.0.0.1/",
	"10.0.0.1/024",
	"10.0.0.1/-1",
	"10.0.0.1 ",
	"10.0.0.256",
	"010.0.0.1",
	"10.0.0.9-10.0.0.1",
	"10.0.0.1-",
	"-10.0.0.1",
	"10.0.0.1-::1",
	"::1%lo",
	"default",
	"02:00:00:00:00:01",
	"12:34",
	"fd00::1/129",
	"1:2:3:4:5:6:7:8:9",
	"1111111111111111111111111111111111111111111111.1",
};

static void test_no_address(void **state)
{
	struct remap_addr a;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(no_addresses); i++)
		if (remap_parse(no_addresses[i], strlen(no_addresses[i]), &a))
			fail_msg("\"%s\" was taken", no_addresses[i]);
}

static const struct {
	const char *name, *pairs[6], *says;
} refusals[] = {
	{"length", {"10.0.0.0/24", "10.1.0.0/16"}, "different lengths"},
	{"family", {"10.0.0.0/24", "fd00::/24"}, "different families"},
	{"host bits", {"10.0.0.1/24", "10.1.0.0/24"}, "beyond its length"},
	{"host bits of the target", {"10.0.0.0/24", "10.1.0.3/24"}, "beyond its length"},
	{"no prefix", {"eth0", "10.1.0.0/24"}, "expected a prefix"},
	{"itself", {"10.1.0.0/24", "10.1.0.0/24"}, "to itself"},
	{"twice", {"10.1.0.0/24", "10.2.0.0/24", "10.1.0.0/24", "10.3.0.0/24"}, "mapped twice"},
	{"multicast", {"239.1.0.0/24", "239.2.0.0/24"}, "multicast"},
	{"to multicast", {"10.1.0.0/24", "239.2.0.0/24"}, "multicast"},
	{"v6 multicast", {"ff02::1", "ff02::2"}, "multicast"},
	{"all", {"0.0.0.0/0", "0.0.0.0/0"}, "this host"},
	{"half", {"0.0.0.0/1", "128.0.0.0/1"}, "this host"},
	{"loopback out", {"127.0.0.1", "10.0.0.1"}, "loopback"},
	{"loopback in", {"10.0.0.1", "127.0.0.1"}, "loopback"},
	{"v6 loopback", {"::1", "fd00::1"}, "loopback"},
	{"broadcast", {"255.255.255.255", "10.0.0.1"}, "broadcast"},
	{"mapped", {"::ffff:10.0.0.0/120", "::ffff:10.1.0.0/120"}, "write the IPv4 prefix"},
	{"link-local out", {"fe80::/64", "fd00::/64"}, "link-local"},
	{"one target",
	 {"10.0.0.0/24", "10.9.0.0/24", "10.1.0.0/24", "10.9.0.0/24"},
	 "would become one"},
	{"target in target",
	 {"10.0.0.0/16", "10.9.0.0/16", "10.1.0.0/24", "10.9.7.0/24"},
	 "would become one"},
	{"inner moves onto outer",
	 {"10.0.0.0/8", "20.0.0.0/8", "10.1.0.0/16", "20.2.0.0/16"},
	 "would become one"},
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		struct err e = ERR_INIT;
		struct remap m = {0};
		int rc = 0;

		for (size_t k = 0; k < 6 && refusals[i].pairs[k] && !rc; k += 2)
			rc = remap_add(&m, refusals[i].pairs[k], refusals[i].pairs[k + 1], &e);
		if (!rc)
			rc = remap_check(&m, &e);
		if (!rc || e.code != ERR_USAGE || !strstr(e.msg, refusals[i].says))
			fail_msg("%s: %d %s", refusals[i].name, rc, e.msg);
		remap_free(&m);
	}
}

/* Random maps in 10.0.0.0/27: do two addresses become one? remap_check against trying all. */
static void test_check_against_trying(void **state)
{
	unsigned seed = (unsigned)time(NULL), n_bad = 0, n_good = 0;

	(void)state;
	if (getenv("NSIMG_SEED"))
		seed = (unsigned)atoi(getenv("NSIMG_SEED"));
	print_message("NSIMG_SEED=%u\n", seed);
	srand(seed);
	for (int round = 0; round < 3000; round++) {
		struct err e = ERR_INIT, why = ERR_INIT;
		unsigned char hit[32] = {0};
		struct remap m = {0};
		bool is_bad = false, is_refused;

		for (int k = 0; k < 2 + rand() % 3; k++) {
			unsigned bits = 28 + (unsigned)rand() % 5, step = 1U << (32 - bits);
			char from[40], to[40];

			snprintf(from, sizeof(from), "10.0.0.%u/%u",
				 (unsigned)rand() % 32 / step * step, bits);
			snprintf(to, sizeof(to), "10.0.0.%u/%u",
				 (unsigned)rand() % 32 / step * step, bits);
			remap_add(&m, from, to, &e);
		}
		for (unsigned i = 0; i < 32; i++) {
			struct remap_addr a;
			char text[20];

			snprintf(text, sizeof(text), "10.0.0.%u", i);
			assert_true(remap_parse(text, strlen(text), &a));
			if (remap_map(&m, &a, NULL) == REMAP_DONE)
				is_bad |= hit[a.first[3]]++;
		}
		is_refused = remap_check(&m, &why);
		if (is_refused != is_bad)
			fail_msg("round %d of seed %u: %s", round, seed,
				 is_bad ? "not refused" : why.msg);
		*(is_bad ? &n_bad : &n_good) += 1;
		remap_free(&m);
	}
	assert_true(n_bad > 100 && n_good > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_map),
		cmocka_unit_test(test_no_address),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_check_against_trying),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
