/* Link kinds that the kernel of a test machine may not have: RTM_NEWLINK messages as they were recorded, decoded and
 * made again. Recorded is what iproute2 6.1 (Debian 12) sent for the command beside it (without struct nlmsghdr), so
 * what a message must mean is known from the command; p0 had index 5, p1 index 6. That the kernel's own messages are
 * understood is test_rta_kernel's business, for the kinds that it has. */
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/nl.h"
#include "proto/rta.h"

static const struct recorded {
	const char *kind, *command;
	const char *want[8]; /* members of the column attrs */
	const char *hex;
} all[] = {
	{"dummy",
	 "ip link add x0 index 60 type dummy",
	 {NULL},
	 "000000003c00000000000000000000000700030078300000100012000900010064756d6d79000000"},
	{"vlan",
	 "ip link add link p0 x0 index 60 type vlan id 7 protocol 802.1ad reorder_hdr off gvrp on "
	 "ingress-qos-map 1:2 egress-qos-map 3:4",
	 {"\"id\":7", "\"protocol\":34984", "\"ingress_qos\":[{\"from\":1,\"to\":2}]",
	  "\"egress_qos\":[{\"from\":3,\"to\":4}]", "\"flags\":{\"flags\":2,\"mask\":3}"},
	 "000000003c0000000000000000000000080005000500000007000300783000004c00120008000100"
	 "766c616e4000020006000100070000000600050088a80000100004000c0001000100000002000000"
	 "100003000c00010003000000040000000c0002000200000003000000"},
	{"bond",
	 "ip link add x0 index 60 type bond mode 802.3ad miimon 100 updelay 200 downdelay 300 "
	 "lacp_rate fast ad_select bandwidth min_links 2",
	 {"\"mode\":\"802.3ad\"", "\"miimon\":100", "\"updelay\":200", "\"downdelay\":300",
	  "\"ad_lacp_rate\":1", "\"ad_select\":1", "\"min_links\":2"},
	 "000000003c000000000000000000000007000300783000004800120008000100626f6e643c000200"
	 "0500010004000000080003006400000008000400c8000000080005002c0100000500150001000000"
	 "05001600010000000800120002000000"},
	{"ipvlan",
	 "ip link add link p0 x0 index 60 type ipvlan mode l3 private",
	 {"\"mode\":\"l3\"", "\"flags\":1"},
	 "000000003c000000000000000000000008000500050000000700030078300000240012000a000100"
	 "6970766c616e00001400020006000100010000000600020001000000"},
	{"gre",
	 "ip link add x0 index 60 type gre local 192.0.2.1 remote 192.0.2.2 ttl 9 key 7",
	 {"\"local\":\"192.0.2.1\"", "\"remote\":\"192.0.2.2\"", "\"ttl\":9", "\"ikey\":7",
	  "\"okey\":7", "\"iflags\":8192", "\"pmtudisc\":true"},
	 "000000003c0000000000000000000000070003007830000080001200070001006772650074000200"
	 "080004000000000708000500000000070600020020000000060003002000000008000600c0000201"
	 "08000700c000020205000a0001000000050009000000000005000800090000000800140000000000"
	 "06000e000000000006000f000000000006001000000000000600110000000000"},
	{"sit",
	 "ip link add x0 index 60 type sit local 192.0.2.1 remote 192.0.2.2 ttl 9 mode ip6ip",
	 {"\"local\":\"192.0.2.1\"", "\"remote\":\"192.0.2.2\"", "\"ttl\":9", "\"proto\":41"},
	 "000000003c000000000000000000000007000300783000007800120007000100736974006c000200"
	 "050009002900000008000200c000020108000300c000020205000a00010000000500050000000000"
	 "05000400090000000800010000000000080014000000000006000f00000000000600100000000000"
	 "060011000000000006001200000000000600080000000000"},
	{"ip6tnl",
	 "ip link add x0 index 60 type ip6tnl local 2001:db8::1 remote 2001:db8::2 mode ipip6 "
	 "encaplimit 5 hoplimit 33",
	 {"\"local\":\"2001:db8::1\"", "\"remote\":\"2001:db8::2\"", "\"proto\":4",
	  "\"encap_limit\":5", "\"ttl\":33"},
	 "000000003c00000000000000000000000700030078300000940012000a000100697036746e6c0000"
	 "8400020005000900040000001400020020010db80000000000000000000000011400030020010db8"
	 "00000000000000000000000205000400210000000500060005000000080007000000000008000800"
	 "000000000800010000000000080014000000000006000f0000000000060010000200000006001100"
	 "000000000600120000000000"},
	{"wireguard",
	 "ip link add x0 index 60 type wireguard",
	 {NULL},
	 "000000003c00000000000000000000000700030078300000140012000d0001007769726567756172"
	 "64000000"},
	{"geneve",
	 "ip link add x0 index 60 type geneve id 8 remote 192.0.2.1 ttl 9 dstport 6082 udpcsum",
	 {"\"id\":8", "\"remote\":\"192.0.2.1\"", "\"ttl\":9", "\"port\":6082",
	  "\"udp_csum\":true"},
	 "000000003c000000000000000000000007000300783000004c0012000a00010067656e6576650000"
	 "3c000200080001000800000008000200c000020108000b0000000000050003000900000005000400"
	 "000000000600050017c200000500080001000000"},
	{"vrf",
	 "ip link add x0 index 60 type vrf table 1001",
	 {"\"table\":1001"},
	 "000000003c000000000000000000000007000300783000001800120007000100767266000c000200"
	 "08000100e9030000"},
	{"ipvtap",
	 "ip link add link p0 x0 index 60 type ipvtap mode l2 vepa",
	 {"\"mode\":\"l2\"", "\"flags\":2"},
	 "000000003c000000000000000000000008000500050000000700030078300000240012000a000100"
	 "69707674617000001400020006000100000000000600020002000000"},
	{"ip6gre",
	 "ip link add x0 index 60 type ip6gre local 2001:db8::1 remote 2001:db8::2 key 9",
	 {"\"local\":\"2001:db8::1\"", "\"remote\":\"2001:db8::2\"", "\"ikey\":9", "\"okey\":9"},
	 "000000003c00000000000000000000000700030078300000ac0012000a0001006970366772650000"
	 "9c000200080004000000000908000500000000090600020020000000060003002000000014000600"
	 "20010db80000000000000000000000011400070020010db800000000000000000000000205000800"
	 "4000000005000b000400000008000c000000000008000d0000000000080014000000000005001600"
	 "0100000006000e000000000006000f000200000006001000000000000600110000000000"},
	{"gretap",
	 "ip link add x0 index 60 type gretap local 192.0.2.1 remote 192.0.2.2 ikey 1 okey 2",
	 {"\"local\":\"192.0.2.1\"", "\"remote\":\"192.0.2.2\"", "\"ikey\":1", "\"okey\":2"},
	 "000000003c00000000000000000000000700030078300000840012000a0001006772657461700000"
	 "74000200080004000000000108000500000000020600020020000000060003002000000008000600"
	 "c000020108000700c000020205000a00010000000500090000000000050008000000000008001400"
	 "0000000006000e000000000006000f000000000006001000000000000600110000000000"},
	{"vti",
	 "ip link add x0 index 60 type vti local 192.0.2.1 remote 192.0.2.2 key 11",
	 {"\"local\":\"192.0.2.1\"", "\"remote\":\"192.0.2.2\"", "\"ikey\":11", "\"okey\":11"},
	 "000000003c000000000000000000000007000300783000003800120007000100767469002c000200"
	 "080002000000000b080003000000000b08000400c000020108000500c00002020800060000000000"},
	{"xfrm",
	 "ip link add x0 index 60 type xfrm dev p0 if_id 12",
	 {"\"if_id\":12", "\"link\":5"},
	 "000000003c0000000000000000000000070003007830000020001200080001007866726d14000200"
	 "080002000c0000000800010005000000"},
	{"hsr",
	 "ip link add x0 index 60 type hsr slave1 p0 slave2 p1 supervision 45 version 1",
	 {"\"slave1\":5", "\"slave2\":6", "\"multicast_spec\":45", "\"version\":1"},
	 "000000003c0000000000000000000000070003007830000030001200070001006873720024000200"
	 "08000100050000000800020006000000050003002d0000000500060001000000"},
	{"ipip",
	 "ip link add x0 index 60 type ipip local 192.0.2.1 remote 192.0.2.2 ttl 9 tos 4",
	 {"\"local\":\"192.0.2.1\"", "\"remote\":\"192.0.2.2\"", "\"ttl\":9", "\"tos\":4"},
	 "000000003c0000000000000000000000070003007830000070001200080001006970697064000200"
	 "050009000000000008000200c000020108000300c000020205000a00010000000500050004000000"
	 "05000400090000000800010000000000080014000000000006000f00000000000600100000000000"
	 "06001100000000000600120000000000"},
	{"macsec",
	 "ip link add link p0 x0 index 60 type macsec port 11 encrypt on",
	 {"\"port\":11", "\"encrypt\":true"},
	 "000000003c000000000000000000000008000500050000000700030078300000240012000a000100"
	 "6d616373656300001400020006000200000b00000500070001000000"},
	{"bareudp",
	 "ip link add x0 index 60 type bareudp dstport 6635 ethertype mpls_uc",
	 {"\"dstport\":6635", "\"ethertype\":34887"},
	 "000000003c00000000000000000000000700030078300000240012000b0001006261726575647000"
	 "140002000600010019eb00000600020088470000"},
	{"nlmon",
	 "ip link add x0 index 60 type nlmon",
	 {NULL},
	 "000000003c0000000000000000000000070003007830000010001200090001006e6c6d6f6e000000"},
};

static void message(const struct recorded *r, struct buf *out)
{
	struct err e = ERR_INIT;
	struct ifinfomsg ifi;
	auto_buf struct buf body = {0};

	for (const char *p = r->hex; *p; p += 2) {
		unsigned byte;
		uint8_t b;

		assert_int_equal(1, sscanf(p, "%2x", &byte));
		b = (uint8_t)byte;
		assert_int_equal(0, buf_add(&body, &b, 1, &e));
	}
	if (!body.data || body.len < sizeof(ifi)) {
		fail_msg("%s: %zu bytes", r->command, body.len);
		return;
	}
	memcpy(&ifi, body.data, sizeof(ifi));
	assert_int_equal(0, nl_msg_begin(out, RTM_NEWLINK, 0, &ifi, sizeof(ifi), &e));
	assert_int_equal(0, buf_add(out, body.data + sizeof(ifi), body.len - sizeof(ifi), &e));
	((struct nlmsghdr *)(void *)out->data)->nlmsg_len = (uint32_t)out->len;
}

struct columns {
	char kind[32], attrs[1000], name[16], link[16];
};

static int column(const char *name, const struct rta_value *v, void *arg, struct err *e)
{
	struct columns *c = arg;
	const struct {
		const char *name;
		char *to;
		size_t size;
	} keep[] = {{"kind", c->kind, sizeof(c->kind)},
		    {"attrs", c->attrs, sizeof(c->attrs)},
		    {"name", c->name, sizeof(c->name)},
		    {"link", c->link, sizeof(c->link)}};

	for (size_t i = 0; i < ARRAY_SIZE(keep); i++) {
		if (strcmp(keep[i].name, name) != 0)
			continue;
		if (v->type == RTA_VALUE_TEXT)
			snprintf(keep[i].to, keep[i].size, "%s", v->text);
		else if (v->type == RTA_VALUE_INT)
			snprintf(keep[i].to, keep[i].size, "%lld", (long long)v->num);
	}
	return 0;
}

static void test_decode(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		const struct recorded *r = &all[i];
		struct err e = ERR_INIT;
		auto_buf struct buf msg = {0};
		struct columns c = {"", "", "", ""};

		message(r, &msg);
		if (rta_check(buf_span(&msg), &e) ||
		    rta_row_decode(RTA_TABLE_DEVICE, buf_span(&msg), column, &c, &e))
			fail_msg("%s: %s", r->command, e.msg);
		assert_string_equal(c.kind, r->kind);
		assert_string_equal(c.name, "x0");
		assert_string_equal(c.link, strstr(r->command, "link p0") ? "5" : "");
		for (size_t k = 0; k < ARRAY_SIZE(r->want) && r->want[k]; k++)
			if (!strstr(c.attrs, r->want[k]))
				fail_msg("%s: no %s in %s", r->command, r->want[k], c.attrs);
		/* every attribute has a row */
		if (strstr(c.attrs, "attr_"))
			fail_msg("%s: %s", r->command, c.attrs);
	}
}

/* What is sent to make the device again says the same about its kind, byte for byte; and a column that is written
 * back as it was read changes nothing. */
static void test_replay(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		const struct recorded *r = &all[i];
		const uint16_t *data = RTA_PATH(IFLA_LINKINFO, IFLA_INFO_DATA);
		struct err e = ERR_INIT;
		auto_buf struct buf msg = {0}, again = {0}, patched = {0};
		struct columns c = {"", "", "", ""};
		struct rta_edit edit = {"attrs", {RTA_VALUE_TEXT, 0, c.attrs}};
		struct span was, is;

		message(r, &msg);
		if (rta_filter(buf_span(&msg), RTA_FOR_CREATE, &again, &e))
			fail_msg("%s: %s", r->command, e.msg);
		was = rta_get(buf_span(&msg), data);
		is = rta_get(buf_span(&again), data);
		if (was.len != is.len || (was.len && memcmp(was.data, is.data, was.len) != 0))
			fail_msg("%s: %zu bytes of its kind, sent again %zu", r->command, was.len,
				 is.len);
		if (!was.len)
			continue;
		assert_int_equal(0,
				 rta_row_decode(RTA_TABLE_DEVICE, buf_span(&msg), column, &c, &e));
		if (rta_row_patch(RTA_TABLE_DEVICE, buf_span(&msg), &edit, 1, &patched, &e))
			fail_msg("%s: %s", r->command, e.msg);
		assert_int_equal(msg.len, patched.len);
		assert_memory_equal(msg.data, patched.data, msg.len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode),
		cmocka_unit_test(test_replay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
