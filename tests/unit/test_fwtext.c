/* Words of rulesets: which are addresses, devices, MACs, and text of the user. Lines are as nft 1.0.6 and
 * iptables-save 1.8.9 print them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "inspect/edit/fwsets.h"
#include "inspect/edit/fwtext.h"
#include "inspect/edit/remap.h"

/* 10.0.0.0/24 -> 10.9.9.0/24, fd00:1::/64 -> fd00:2::/64, device eth0 -> wan0, a MAC; user text and patterns
 * are noted. */
struct swap {
	struct remap m;
	char noted[200];
};

static int word(void *arg, enum fw_kind kind, const char *text, size_t n, struct buf *out,
		struct err *e)
{
	static const char mac[] = "02:00:00:00:00:01";
	struct swap *s = arg;
	struct remap_addr a;
	size_t len = strlen(s->noted);

	switch (kind) {
	case FW_ADDRESS:
		if (!remap_parse(text, n, &a) || remap_map(&s->m, &a, NULL) != REMAP_DONE)
			return 0;
		return remap_format(&a, out, e) ? -1 : 1;
	case FW_DEVICE:
		if (n != 4 || memcmp(text, "eth0", 4) != 0)
			return 0;
		return buf_add_str(out, "wan0", e) ? -1 : 1;
	case FW_MAC:
		if (memcmp(text, mac, 17) != 0)
			return 0;
		return buf_add_str(out, "02:00:00:00:00:99", e) ? -1 : 1;
	default:
		snprintf(s->noted + len, sizeof(s->noted) - len, "%s<%.*s>",
			 kind == FW_PATTERN ? "pattern" : "", (int)n, text);
		return 0;
	}
}

static const struct text_case {
	const char *in, *out; /* out NULL: as it is */
	const char *noted;
} nft_cases[] = {
	{"ip saddr 10.0.0.1 drop", "ip saddr 10.9.9.1 drop", ""},
	{"ip saddr 10.0.1.1 drop", NULL, ""},
	{"ip saddr 10.0.0.0/24 drop", "ip saddr 10.9.9.0/24 drop", ""},
	{"ip saddr 10.0.0.0/8 drop", NULL, ""},
	{"ip saddr 10.0.0.5-10.0.0.9 drop", "ip saddr 10.9.9.5-10.9.9.9 drop", ""},
	/* ranges up to the last address of all, or from the first one on: not inside 10.0.0.0/24 */
	{"ip saddr >= 10.0.0.5 ip daddr 10.0.0.6 accept",
	 "ip saddr >= 10.0.0.5 ip daddr 10.9.9.6 accept", ""},
	{"ip saddr < 10.0.0.5 accept", NULL, ""},
	{"ip6 saddr > fd00:1::5 ip6 daddr <= fd00:1::9", NULL, ""},
	{"tcp dport > 1024 ip saddr 10.0.0.5 accept", "tcp dport > 1024 ip saddr 10.9.9.5 accept",
	 ""},
	{"ip saddr { 10.0.0.1, 10.0.0.7-10.0.0.9 } accept",
	 "ip saddr { 10.9.9.1, 10.9.9.7-10.9.9.9 } accept", ""},
	{"ip saddr != 10.0.0.1 counter packets 3 bytes 180 accept",
	 "ip saddr != 10.9.9.1 counter packets 3 bytes 180 accept", ""},
	{"ip saddr & 255.255.255.0 == 10.0.0.0 accept",
	 "ip saddr & 255.255.255.0 == 10.9.9.0 accept", ""},
	{"dnat to 10.0.0.1:80", "dnat to 10.9.9.1:80", ""},
	{"dnat ip to 10.0.0.1-10.0.0.4:80-90", "dnat ip to 10.9.9.1-10.9.9.4:80-90", ""},
	{"dnat ip to ip saddr . tcp dport map { 10.0.0.1 . 80 : 10.0.0.2 . 8080 }",
	 "dnat ip to ip saddr . tcp dport map { 10.9.9.1 . 80 : 10.9.9.2 . 8080 }", ""},
	{"dnat ip6 to [fd00:1::5]:80", "dnat ip6 to [fd00:2::5]:80", ""},
	{"snat ip6 to [fd00:1::5]-[fd00:1::9]:80-90", "snat ip6 to [fd00:2::5]-[fd00:2::9]:80-90",
	 ""},
	{"snat ip6 to [fd00:1::5]-[fd00:3::9]:80", NULL, ""},
	{"ip6 saddr fd00:1::/64 drop", "ip6 saddr fd00:2::/64 drop", ""},
	{"ip6 saddr fd00:1::/64 log prefix \"10.0.0.1 eth0\" drop # handle 5",
	 "ip6 saddr fd00:2::/64 log prefix \"10.0.0.1 eth0\" drop # handle 5",
	 "<10.0.0.1 eth0>< handle 5>"},
	{"ip saddr 10.0.0.1 accept comment \"from 10.0.0.1\"",
	 "ip saddr 10.9.9.1 accept comment \"from 10.0.0.1\"", "<from 10.0.0.1>"},
	{"elements = { 10.0.0.1 timeout 5s expires 4s comment \"eth0\", 10.0.0.2 : drop }",
	 "elements = { 10.9.9.1 timeout 5s expires 4s comment \"eth0\", 10.9.9.2 : drop }",
	 "<eth0>"},
	{"ether saddr 02:00:00:00:00:01 accept", "ether saddr 02:00:00:00:00:99 accept", ""},
	{"elements = { 02:00:00:00:00:01 . 10.0.0.1 }",
	 "elements = { 02:00:00:00:00:99 . 10.9.9.1 }", ""},
	{"iifname \"eth0\" accept", "iifname \"wan0\" accept", ""},
	{"iif \"eth0\" oif \"eth1\" accept", "iif \"wan0\" oif \"eth1\" accept", ""},
	{"iif eth0 accept", "iif wan0 accept", ""},
	{"iifname != \"eth0\" accept", "iifname != \"wan0\" accept", ""},
	{"iifname { \"eth1\", \"eth0\" } accept", "iifname { \"eth1\", \"wan0\" } accept", ""},
	{"iifname { \"eth1\",\n\"eth0\" } meta skuid \"eth0\"",
	 "iifname { \"eth1\",\n\"wan0\" } meta skuid \"eth0\"", ""},
	{"iifname vmap { \"eth0\" : jump eth0, \"lo\" : accept }",
	 "iifname vmap { \"wan0\" : jump eth0, \"lo\" : accept }", ""},
	{"ip saddr . iifname { 10.0.0.1 . \"eth0\" } accept",
	 "ip saddr . iifname { 10.9.9.1 . \"wan0\" } accept", ""},
	{"iifname . oifname \"eth0\" . \"eth0\" accept",
	 "iifname . oifname \"wan0\" . \"wan0\" accept", ""},
	{"iifname \"eth*\" accept", NULL, "pattern<eth*>"},
	{"iifname @eth0 ct helper set \"eth0\"", NULL, ""},
	{"meta skuid \"eth0\" accept", NULL, ""},
	{"iifname \"eth0\" meta skuid \"eth0\"", "iifname \"wan0\" meta skuid \"eth0\"", ""},
	{"iifname \"eth0\" log prefix \"eth0\" jump eth0",
	 "iifname \"wan0\" log prefix \"eth0\" jump eth0", "<eth0>"},
	{"type filter hook ingress device \"eth0\" priority filter; policy accept;",
	 "type filter hook ingress device \"wan0\" priority filter; policy accept;", ""},
	{"devices = { eth0, eth1 }", "devices = { wan0, eth1 }", ""},
	{"devices = { \"eth1\", \"eth0\" }", "devices = { \"eth1\", \"wan0\" }", ""},
	{"fwd to \"eth0\"", "fwd to \"wan0\"", ""},
	{"dup to 10.0.0.1 device \"eth0\"", "dup to 10.9.9.1 device \"wan0\"", ""},
	{"set eth0 {\n\ttype ifname\n\telements = { \"eth0\",\n\t\t \"eth1\" }\n}\nset u {\n\ttype "
	 "uid\n"
	 "\telements = { \"eth0\" }\n}\n",
	 "set eth0 {\n\ttype ifname\n\telements = { \"wan0\",\n\t\t \"eth1\" }\n}\nset u {\n\ttype "
	 "uid\n"
	 "\telements = { \"eth0\" }\n}\n",
	 ""},
	{"map m {\n\ttypeof iifname . ip saddr : meta mark\n\telements = { \"eth0\" . 10.0.0.1 : "
	 "0x1 }\n}\n"
	 "chain c {\n\tmeta skuid \"eth0\"\n}",
	 "map m {\n\ttypeof iifname . ip saddr : meta mark\n\telements = { \"wan0\" . 10.9.9.1 : "
	 "0x1 }\n}\n"
	 "chain c {\n\tmeta skuid \"eth0\"\n}",
	 ""},
	{"define x = 10.0.0.1; $eth0 @th,16,16 0x50", "define x = 10.9.9.1; $eth0 @th,16,16 0x50",
	 ""},
	/* not ended, as in a damaged image */
	{"iifname \"eth0", "iifname \"wan0", ""},
	{"snat ip6 to [fd00:1::5", "snat ip6 to [fd00:2::5", ""},
	{"comment \"10.0.0.1", NULL, "<10.0.0.1>"},
	{"}}}} iifname { \"eth0\"", "}}}} iifname { \"wan0\"", ""},
	{"", NULL, ""},
};

static const struct text_case ipt_cases[] = {
	{"-A INPUT -s 10.0.0.0/24 -j ACCEPT\n", "-A INPUT -s 10.9.9.0/24 -j ACCEPT\n", ""},
	{"-A INPUT -s 10.0.0.1/32 ! -d 10.0.0.2/32 -j ACCEPT",
	 "-A INPUT -s 10.9.9.1/32 ! -d 10.9.9.2/32 -j ACCEPT", ""},
	{"[3:180] -A INPUT -s 10.0.0.1/32", "[3:180] -A INPUT -s 10.9.9.1/32", ""},
	{"-A 10.0.0.1 -j 10.0.0.1", NULL, ""},
	{":10.0.0.1 - [0:0]", NULL, ""},
	{"# from 10.0.0.1\n*nat\nCOMMIT\n", NULL, "< from 10.0.0.1>"},
	{"-A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1-10.0.0.4:80-90/7",
	 "-A PREROUTING -p tcp -j DNAT --to-destination 10.9.9.1-10.9.9.4:80-90/7", ""},
	{"-A PREROUTING -j DNAT --to-destination [fd00:1::1-fd00:1::4]:80",
	 "-A PREROUTING -j DNAT --to-destination [fd00:2::1-fd00:2::4]:80", ""},
	{"-A INPUT -m iprange --src-range 10.0.0.3-10.0.0.9",
	 "-A INPUT -m iprange --src-range 10.9.9.3-10.9.9.9", ""},
	{"-A INPUT -m comment --comment 10.0.0.1 -s 10.0.0.1",
	 "-A INPUT -m comment --comment 10.0.0.1 -s 10.9.9.1", "<10.0.0.1>"},
	{"-A INPUT -m comment --comment \"a \\\" -i eth0 10.0.0.1\" -i eth0",
	 "-A INPUT -m comment --comment \"a \\\" -i eth0 10.0.0.1\" -i wan0",
	 "<a \\\" -i eth0 10.0.0.1>"},
	{"-A INPUT -j LOG --log-prefix \"eth0 \"", NULL, "<eth0 >"},
	{"-A INPUT -i eth0 -o eth1 -j eth0", "-A INPUT -i wan0 -o eth1 -j eth0", ""},
	{"-A INPUT ! -i eth0 -m physdev --physdev-in eth0",
	 "-A INPUT ! -i wan0 -m physdev --physdev-in wan0", ""},
	{"-A INPUT -i eth+", NULL, "pattern<eth+>"},
	{"-A INPUT -m mac --mac-source 02:00:00:00:00:01",
	 "-A INPUT -m mac --mac-source 02:00:00:00:00:99", ""},
	{"-A INPUT -m set --match-set 10.0.0.1 src", NULL, ""},
	{"-A INPUT -m string --string \"10.0.0.1\" --algo bm", NULL, "<10.0.0.1>"},
	{"-A INPUT -p tcp -m tcp --dport 1:80 --tcp-flags FIN,SYN SYN -m mark --mark 0x1/0xff",
	 NULL, ""},
	{"-A INPUT -s 10.0.0.1\r\n\n-A", "-A INPUT -s 10.9.9.1\r\n\n-A", ""},
	{"-A INPUT --comment \"10.0.0.1", NULL, "<\"10.0.0.1>"},
};

static void run(const char *format, const struct text_case *cases, size_t n)
{
	struct err e = ERR_INIT;
	struct remap m = {0};

	assert_int_equal(remap_add(&m, "10.0.0.0/24", "10.9.9.0/24", &e), 0);
	assert_int_equal(remap_add(&m, "fd00:1::/64", "fd00:2::/64", &e), 0);
	for (size_t i = 0; i < n; i++) {
		const char *want = cases[i].out ? cases[i].out : cases[i].in;
		struct swap s = {.m = m};
		auto_buf struct buf out = {0};
		int rc = fwtext_edit(format, cases[i].in, strlen(cases[i].in), word, &s, &out, &e);

		if (rc < 0 || strcmp(out.len ? (char *)out.data : "", want) != 0)
			fail_msg("%s\nis       %s\nexpected %s", cases[i].in, out.data, want);
		if (rc != (cases[i].out != NULL) || strcmp(s.noted, cases[i].noted) != 0)
			fail_msg("%s: %d, noted %s, expected %s", cases[i].in, rc, s.noted,
				 cases[i].noted);
	}
	remap_free(&m);
}

static void test_nft(void **state)
{
	(void)state;
	run("nftables", nft_cases, ARRAY_SIZE(nft_cases));
}

static void test_iptables(void **state)
{
	(void)state;
	run("iptables", ipt_cases, ARRAY_SIZE(ipt_cases));
	run("ip6tables", ipt_cases, ARRAY_SIZE(ipt_cases));
}

/* Every byte that is not replaced stays: all of the text cut anywhere, with nothing to replace. */
static int keep(void *arg, enum fw_kind kind, const char *text, size_t n, struct buf *out,
		struct err *e)
{
	volatile char sum = 0;

	(void)arg, (void)kind, (void)out, (void)e;
	for (size_t i = 0; i < n; i++)
		sum = (char)(sum + text[i]);
	return 0;
}

static void test_cut(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(nft_cases) + ARRAY_SIZE(ipt_cases); i++) {
		bool is_nft = i < ARRAY_SIZE(nft_cases);
		const char *text =
			is_nft ? nft_cases[i].in : ipt_cases[i - ARRAY_SIZE(nft_cases)].in;

		for (size_t n = 0; n <= strlen(text); n++) {
			/* memory of exactly n bytes: a read beyond it is seen */
			auto_free char *cut = malloc(n ? n : 1);
			auto_buf struct buf out = {0};

			memcpy(cut, text, n);
			for (int k = 0; k < 2; k++) {
				buf_reset(&out);
				assert_int_equal(fwtext_edit(k ? "nftables" : "iptables", cut, n,
							     keep, NULL, &out, &e),
						 0);
				assert_int_equal(out.len, n);
				assert_true(!n || !memcmp(out.data, cut, n));
			}
		}
	}
}

/* What nft -f says "conflicting intervals specified" to, and what it takes (asked with nftables 1.0.6). */
static const struct {
	const char *text, *pair;
} sets[] = {
	{"table ip t {\n\tset a {\n\t\ttype ipv4_addr\n\t\tflags interval\n\t\telements = { "
	 "10.1.1.0/25, "
	 "10.1.1.0/24,\n\t\t\t     10.9.0.0/16 }\n\t}\n}\n",
	 "10.1.1.0/2"},
	{"table ip t {\n\tset a {\n\t\ttype ipv4_addr\n\t\tflags interval\n\t\telements = { "
	 "10.1.1.0-10.1.1.9, "
	 "10.1.1.9 }\n\t}\n}\n",
	 "10.1.1.0-10.1.1.9 and 10.1.1.9"},
	{"table ip t {\n\tset a {\n\t\ttype ipv4_addr\n\t\tflags "
	 "interval\n\t\tauto-merge\n\t\telements = { "
	 "10.1.1.0/25, 10.1.1.0/24 }\n\t}\n}\n",
	 NULL},
	{"table ip t {\n\tset a {\n\t\ttype ipv4_addr\n\t\tflags interval\n\t\telements = { "
	 "10.1.1.0/25, "
	 "10.1.1.128/25 }\n\t}\n\tset b {\n\t\ttype ipv4_addr\n\t\tflags interval\n\t\telements = "
	 "{ "
	 "10.1.1.0/24 }\n\t}\n}\n",
	 NULL},
	{"table ip t {\n\tchain c {\n\t\tip saddr 10.1.1.0/24 accept\n\t\tip saddr 10.1.1.0/25 "
	 "drop\n\t\tip saddr { "
	 "10.2.0.0/16, 10.3.0.0/16 } ip daddr 10.2.0.1 drop\n\t}\n}\n",
	 NULL},
	{"table ip6 t {\n\tchain c {\n\t\tip6 saddr { fd00::/16, fd00:1::/64 } drop\n\t}\n}\n",
	 NULL},
	{"table ip t {\n\tmap m {\n\t\ttype ipv4_addr : ipv4_addr\n\t\telements = { 10.1.1.1 : "
	 "10.1.1.1, 10.1.1.2 : "
	 "10.1.1.1 }\n\t}\n}\n",
	 NULL},
	{"table ip t {\n\tset a {\n\t\ttypeof ip saddr . tcp dport\n\t\telements = { 10.1.1.1 . "
	 "80, 10.1.1.1 . 81 "
	 "}\n\t}\n}\n",
	 NULL},
};

static void test_sets(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
		struct err e = ERR_INIT;
		auto_buf struct buf out = {0};

		print_message("%s", sets[i].text);
		assert_int_equal(fwsets_overlap(sets[i].text, strlen(sets[i].text), &out, &e),
				 sets[i].pair ? 1 : 0);
		if (sets[i].pair)
			assert_non_null(strstr((const char *)out.data, sets[i].pair));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nft),
		cmocka_unit_test(test_iptables),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_sets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
