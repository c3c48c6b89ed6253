#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/if_ether.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "inspect/edit/rawbytes.h"

struct seen {
	char text[400];
	bool change; /* the last byte, where it is sure */
};

static int see(struct seen *s, const uint8_t *address, size_t len, unsigned bits, bool is_sure)
{
	size_t n = strlen(s->text);

	n += (size_t)snprintf(s->text + n, sizeof(s->text) - n, n ? " " : "");
	for (size_t i = 0; i < len; i++)
		n += (size_t)snprintf(s->text + n, sizeof(s->text) - n, "%02x", address[i]);
	snprintf(s->text + n, sizeof(s->text) - n, "/%u%s", bits, is_sure ? "" : "?");
	return 0;
}

static int look(void *arg, uint8_t *address, size_t len, unsigned bits, bool is_sure, struct err *e)
{
	struct seen *s = arg;

	(void)e;
	see(s, address, len, bits, is_sure);
	if (!s->change || !is_sure)
		return 0;
	address[(bits - 1) / 8] ^= 0xff;
	return 1;
}

/* Bytes as a kernel (6.18) dumped them, after the command behind each. */
static const struct {
	enum raw_kind kind;
	unsigned protocol;
	const char *hex, *seen, *changed; /* NULL: nothing is sure */
} cases[] = {
	/* tc filter ... u32 match ip dst 10.1.0.0/24 */
	{RAW_U32, ETH_P_IP, "ffffff000a0100001000000000000000", "0a010000/24",
	 "ffffff000a01ff001000000000000000"},
	/* the same in a filter of all protocols: another header may begin there */
	{RAW_U32, ETH_P_ALL, "ffffff000a0100001000000000000000", "0a010000/24?", NULL},
	/* match u16 0x0a01 0xffff at 12 */
	{RAW_U32, ETH_P_IP, "ffff00000a0100000c00000000000000", "0a010000/16",
	 "ffff00000afe00000c00000000000000"},
	/* match ip6 src fd00:1::/64 */
	{RAW_U32, ETH_P_IPV6, "fffffffffd0000010800000000000000ffffffff000000000c00000000000000",
	 "fd000001000000000000000000000000/64",
	 "fffffffffd0000010800000000000000ffffffff000000ff0c00000000000000"},
	/* match ether src 02:00:00:00:02:05 */
	{RAW_U32, ETH_P_IP, "ffffffff02000000f8ffffff00000000ffff000002050000fcffffff00000000",
	 "020000000205/48", "ffffffff02000000f8ffffff00000000ffff000002fa0000fcffffff00000000"},
	/* a port behind the header (offmask) is no address of it; a mask with holes is none either */
	{RAW_U32, ETH_P_IP, "0000ffff0000005000000000ffffffff", "", NULL},
	{RAW_U32, ETH_P_IP, "ff00ff000a0000001000000000000000", "", NULL},
	{RAW_U32, ETH_P_IP, "ffffffff0a0100011400000000000000", "0a010001/32?", NULL},
	{RAW_U32, ETH_P_IP, "ffffffff0a010001", "", NULL},
	/* setsockopt(IP_OPTIONS): loose source route by 10.1.0.2, 10.1.0.3 */
	{RAW_IP_OPTIONS, 0, "830b040a0100020a01000300", "0a010002/32 0a010003/32",
	 "830b040a0100fd0a0100fc00"},
	{RAW_IP_OPTIONS, 0, "hex:01830704c0a8000100", "c0a80001/32", "hex:01830704c0a800fe00"},
	{RAW_IP_OPTIONS, 0, "83ff040a010002", "", NULL},
	{RAW_IP_OPTIONS, 0, "8300", "", NULL},
	{RAW_IP_OPTIONS, 0, "83x", "", NULL},
	/* setsockopt(IPV6_RTHDR): type 2 by 2001:db8::2; type 4 with one segment and a TLV behind it */
	{RAW_ROUTING_HEADER, 0, "000202010000000020010db8000000000000000000000002",
	 "20010db8000000000000000000000002/128",
	 "000202010000000020010db80000000000000000000000fd"},
	{RAW_ROUTING_HEADER, 0,
	 "000404000000000020010db8000000000000000000000002040e000000000000000000000000000000",
	 "20010db8000000000000000000000002/128",
	 "000404000000000020010db80000000000000000000000fd040e000000000000000000000000000000"},
	{RAW_ROUTING_HEADER, 0, "00020201", "", NULL},
};

static void test_edit(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (int change = 0; change < 2; change++) {
			struct seen s = {.change = change};
			auto_buf struct buf out = {0};
			struct err e = ERR_INIT;
			int rc = raw_edit(cases[i].kind, cases[i].protocol, cases[i].hex,
					  strlen(cases[i].hex), look, &s, &out, &e);

			if (strcmp(s.text, cases[i].seen) != 0)
				fail_msg("%s: '%s', not '%s'", cases[i].hex, s.text, cases[i].seen);
			assert_int_equal(rc, change && cases[i].changed);
			if (rc)
				assert_string_equal((const char *)out.data, cases[i].changed);
		}
}

static int look_word(void *arg, const char *word, size_t n, uint8_t *address, size_t len,
		     unsigned bits, struct err *e)
{
	(void)word, (void)n, (void)e;
	return see(arg, address, len, bits, false);
}

static const struct {
	const char *format, *text, *seen;
} rulesets[] = {
	{"nftables", "@nh,96,32 0xa010001 accept\n", "0a010001/32?"},
	{"nftables", "@nh,128,24 0xa0100 accept", "0a010000/24?"},
	{"nftables", "@th,64,32 { 0xa010001, 0xa010002 } drop", "0a010001/32? 0a010002/32?"},
	{"nftables", "@ll,48,48 0x20000000205 accept", "020000000205/48?"},
	{"nftables", "@nh,192,128 0xfd000001000000000000000000000002 accept",
	 "fd000001000000000000000000000002/128?"},
	{"nftables", "@nh,96,32 0xa010001 @nh,128,32 167837698", "0a010001/32? 0a010002/32?"},
	{"nftables", "ip option lsrr addr 167837697 accept", "0a010001/32?"},
	{"nftables", "ip saddr 10.1.0.1 tcp dport 8080 counter packets 167837697 bytes 5", ""},
	{"nftables", "@nh,8,8 0xa010001 accept", ""},
	{"iptables", "-A INPUT -m u32 --u32 \"0xc=0xa010001\" -j ACCEPT\n", "0a010001/32?"},
	{"iptables", "-A INPUT -m u32 --u32 \"0xc&0xffffff00=0xa010000&&0x10=0x1:0xa020001\"",
	 "0a010000/32? 0a020001/32?"},
	{"iptables", "-A INPUT -m mark --mark 0xa010001 -j ACCEPT", ""},
};

static void test_rulesets(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rulesets); i++) {
		struct seen s = {0};
		struct err e = ERR_INIT;

		assert_int_equal(raw_ruleset(rulesets[i].format, rulesets[i].text,
					     strlen(rulesets[i].text), look_word, &s, &e),
				 0);
		if (strcmp(s.text, rulesets[i].seen) != 0)
			fail_msg("%s: '%s', not '%s'", rulesets[i].text, s.text, rulesets[i].seen);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_edit),
		cmocka_unit_test(test_rulesets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
