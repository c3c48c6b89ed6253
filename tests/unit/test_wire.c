#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "criu/fdinfo.pb-c.h"
#include "criu/netdev.pb-c.h"
#include "criu/sk_inet.pb-c.h"
#include "proto/img.h"
#include "proto/wire.h"
#include "tests/unit/corpus.h"

#define S(text) text, sizeof(text) - 1

static struct span span(const char *s, size_t n)
{
	return (struct span){(const uint8_t *)s, n};
}

/* ---- well-formedness: what the encoding documentation of protobuf says ---- */

static const struct {
	const char *what, *bytes;
	size_t n;
	const char *error; /* NULL: fine */
} checks[] = {
	{"empty", S(""), NULL},
	{"varint", S("\x08\x05"), NULL},
	{"overlong varint", S("\x08\x85\x80\x80\x00"), NULL},
	{"ten bytes", S("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), NULL},
	{"eleven bytes", S("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "offset 1"},
	{"cut varint", S("\x08\x80"), "offset 1"},
	{"cut key", S("\x08\x05\x80"), "offset 2"},
	{"field 0", S("\x00\x05"), "field number 0"},
	{"key too long", S("\x88\x80\x80\x80\x80\x00\x05"), "key"},
	{"wire type 6", S("\x0e\x05"), "wire type"},
	{"wire type 7", S("\x0f\x05"), "wire type"},
	{"end of no group", S("\x0c"), "wire type"},
	{"fixed64 cut", S("\xf9\x03\1\2\3\4\5\6\7"), "fixed"},
	{"unknown fixed32", S("\xfd\x3f\1\2\3\4"), NULL},
	{"fixed32 cut", S("\xfd\x3f\1\2\3"), "fixed"},
	{"length beyond the end",
	 S("\x2a\x05"
	   "abc"),
	 "goes beyond"},
	{"length of 4 GiB",
	 S("\x2a\xff\xff\xff\xff\x0f"
	   "abc"),
	 "goes beyond"},
	{"length of 6 bytes",
	 S("\x2a\x83\x80\x80\x80\x80\x00"
	   "abc"),
	 "length"},
	{"unknown group", S("\xfb\x3f\x08\x05\xfc\x3f"), NULL},
	{"group in group", S("\xfb\x3f\xf3\x3f\xf4\x3f\xfc\x3f"), NULL},
	{"open group", S("\xfb\x3f\x08\x05"), "not closed"},
	{"crossed groups", S("\xfb\x3f\xf3\x3f\xfc\x3f\xf4\x3f"), "another group"},
	{"string where a number is",
	 S("\x12\x01"
	   "a"),
	 "field ifindex"},
	{"number where a string is", S("\x28\x01"), "field name"},
	{"packed ints", S("\x42\x03\x01\x02\x03"), NULL},
	{"packed ints, cut", S("\x42\x03\x01\x02\x83"), "field conf"},
	{"packed where singular", S("\x12\x03\x01\x02\x03"), "field ifindex"},
	{"sysctl", S("\x4a\x04\x08\x06\x10\x01"), NULL},
	{"sysctl, cut inside", S("\x4a\x03\x08\x06\x10"), "offset 5"},
	{"required fields missing inside", S("\x4a\x00"), NULL},
};

static void well_formed_or_not(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		struct err e = ERR_INIT;
		int r = wire_check(&net_device_entry__descriptor,
				   span(checks[i].bytes, checks[i].n), &e);

		if ((r == 0) != !checks[i].error ||
		    (r && (e.code != ERR_FORMAT || !strstr(e.msg, checks[i].error))))
			fail_msg("%s: %d '%s'", checks[i].what, r, e.msg);
	}
}

static void groups_are_bounded(void **state)
{
	auto_buf struct buf b = {0};
	struct err e = ERR_INIT;

	for (int i = 0; i < 100000; i++)
		assert_int_equal(buf_add(&b, "\xfb\x3f", 2, &e), 0);
	assert_int_equal(wire_check(NULL, buf_span(&b), &e), -1);
	assert_non_null(strstr(e.msg, "too deep"));
}

/* A message type that holds itself, as some of CRIU's do; a chain of it must not cost stack. */
static const ProtobufCMessageDescriptor chain;
static const ProtobufCFieldDescriptor chain_fields[] = {
	{.name = "next",
	 .id = 1,
	 .label = PROTOBUF_C_LABEL_OPTIONAL,
	 .type = PROTOBUF_C_TYPE_MESSAGE,
	 .descriptor = &chain},
};
static const unsigned chain_names[] = {0};
static const ProtobufCIntRange chain_ranges[] = {{1, 0}, {0, 1}};
static const ProtobufCMessageDescriptor chain = {
	.magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,
	.name = "chain",
	.n_fields = 1,
	.fields = chain_fields,
	.fields_sorted_by_name = chain_names,
	.n_field_ranges = 1,
	.field_ranges = chain_ranges,
};

static void recursion_is_bounded(void **state)
{
	for (unsigned depth = 1; depth < 60; depth++) {
		auto_buf struct buf b = {0};
		struct err e = ERR_INIT;

		/* depth messages, each around the one before */
		for (unsigned i = 1; i < depth; i++) {
			uint8_t head[2] = {0x0a, (uint8_t)b.len};

			assert_int_equal(buf_reserve(&b, 2, &e), 0);
			assert_int_equal(buf_splice(&b, 0, 0, head, 2, &e), 0);
		}
		assert_int_equal(wire_check(&chain, buf_span(&b), &e),
				 depth <= WIRE_DEPTH_MAX ? 0 : -1);
		assert_int_equal(wire_check(NULL, buf_span(&b), &e), 0);
	}
}

/* ---- values: one message packed by protobuf-c, read by path ---- */

/* An owned, packed file_entry of an inet socket. */
static void make_socket(struct buf *out)
{
	struct err e = ERR_INIT;
	FownEntry fown = FOWN_ENTRY__INIT;
	SkOptsEntry opts = SK_OPTS_ENTRY__INIT;
	IpOptsEntry ip = IP_OPTS_ENTRY__INIT;
	NsimgSk ours = NSIMG_SK__INIT;
	InetSkEntry isk = INET_SK_ENTRY__INIT;
	FileEntry file = FILE_ENTRY__INIT;
	uint32_t src[] = {0x0100007f}, dst[] = {1, 2, 3, 0xffffffff};
	uint64_t filter[] = {0x600000028, UINT64_MAX};

	opts.so_sndbuf = 87040;
	opts.so_snd_tmo_sec = UINT64_MAX;
	opts.has_reuseaddr = opts.reuseaddr = true;
	opts.so_bound_dev = (char *)"eth0";
	opts.n_so_filter = 2;
	opts.so_filter = filter;
	ip.has_tos = true;
	ip.tos = 16;
	ours.has_cookie = true;
	ours.cookie = 4711;
	isk.id = 7;
	isk.ino = 4026531840;
	isk.family = 2;
	isk.n_src_addr = 1;
	isk.src_addr = src;
	isk.n_dst_addr = 4;
	isk.dst_addr = dst;
	isk.fown = &fown;
	isk.opts = &opts;
	isk.ip_opts = &ip;
	isk.nsimg = &ours;
	file.type = FD_TYPES__INETSK;
	file.id = 7;
	file.isk = &isk;
	buf_reset(out);
	assert_int_equal(buf_reserve(out, file_entry__get_packed_size(&file), &e), 0);
	out->len = file_entry__pack(&file, out->data);
}

static const struct {
	const char *path;
	int found; /* -1: refused */
	uint64_t u;
	const char *text;
	int n; /* how many values */
} gets[] = {
	{"id", 1, 7, NULL, 1},
	{"type", 1, 4, NULL, 1},
	{"isk.ino", 1, 4026531840, NULL, 1},
	{"isk.opts.so_sndbuf", 1, 87040, NULL, 1},
	{"isk.opts.so_snd_tmo_sec", 1, UINT64_MAX, NULL, 1},
	{"isk.opts.reuseaddr", 1, 1, NULL, 1},
	{"isk.opts.so_bound_dev", 1, 0, "eth0", 1},
	{"isk.opts.so_filter", 1, UINT64_MAX, NULL, 2},
	{"isk.opts.so_filter[0]", 1, 0x600000028, NULL, 1},
	{"isk.dst_addr", 1, 0xffffffff, NULL, 4},
	{"isk.dst_addr[2]", 1, 3, NULL, 1},
	{"isk.dst_addr[4]", 0, 0, NULL, 0},
	{"isk.nsimg.cookie", 1, 4711, NULL, 1},
	{"isk.ip_opts.raw.hdrincl", 0, 0, NULL, 0},
	{"isk.ifname", 0, 0, NULL, 0},
	{"usk.mnt_id", 0, UINT64_MAX, NULL, 0}, /* default = -1 */
	{"psk.fanout", 0, 0xffffffff, NULL, 0}, /* default = 0xffffffff */
	{"", -1, 0, NULL, 0},
	{"isk.", -1, 0, NULL, 0},
	{".isk", -1, 0, NULL, 0},
	{"isk..ino", -1, 0, NULL, 0},
	{"isk.nothing", -1, 0, NULL, 0},
	{"isk.ino.x", -1, 0, NULL, 0},
	{"isk.ino[0]", -1, 0, NULL, 0},
	{"isk.dst_addr[", -1, 0, NULL, 0},
	{"isk.dst_addr[]", -1, 0, NULL, 0},
	{"isk.dst_addr[-1]", -1, 0, NULL, 0},
	{"isk.dst_addr[99999999999]", -1, 0, NULL, 0},
	{"isk.dst_addr[1]x", -1, 0, NULL, 0},
	{"nosuchnamethatisverymuchlongerthananyfieldnamehasanyrighttobeinproto", -1, 0, NULL, 0},
};

static void values_by_path(void **state)
{
	auto_buf struct buf msg = {0};

	make_socket(&msg);
	for (size_t i = 0; i < ARRAY_SIZE(gets); i++) {
		struct err e = ERR_INIT;
		struct wire_values it;
		struct wire_value v = {0};
		int n = 0;
		int r = wire_get(&file_entry__descriptor, buf_span(&msg), gets[i].path, &v, &e);

		if (r != gets[i].found || (r < 0 && e.code != ERR_USAGE))
			fail_msg("%s: %d %s", gets[i].path, r, e.msg);
		assert_int_equal(wire_has(&file_entry__descriptor, buf_span(&msg), gets[i].path),
				 r == 1);
		if (r < 0)
			continue;
		if (gets[i].text ? v.bytes.len != strlen(gets[i].text) ||
					   memcmp(v.bytes.data, gets[i].text, v.bytes.len) != 0
				 : v.u != gets[i].u)
			fail_msg("%s: 0x%" PRIx64, gets[i].path, v.u);
		assert_int_equal(wire_values_begin(&it, &file_entry__descriptor, buf_span(&msg),
						   gets[i].path, &e),
				 0);
		while (wire_values_next(&it, &v, &e) > 0) {
			assert_in_range(v.off, 0, msg.len - 1);
			n++;
		}
		if (n != gets[i].n)
			fail_msg("%s: %d values", gets[i].path, n);
	}
}

static void numbers_of_each_type(void **state)
{
	static const struct {
		ProtobufCType type;
		const char *bytes; /* field 1 */
		size_t n;
		uint64_t u;
	} rows[] = {
		{PROTOBUF_C_TYPE_INT32, S("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
		 UINT64_MAX},
		{PROTOBUF_C_TYPE_INT32, S("\x08\xff\xff\xff\xff\x0f"), UINT64_MAX},
		{PROTOBUF_C_TYPE_INT64, S("\x08\xff\xff\xff\xff\x0f"), 0xffffffff},
		{PROTOBUF_C_TYPE_UINT32, S("\x08\xff\xff\xff\xff\xff\x01"), 0xffffffff},
		{PROTOBUF_C_TYPE_SINT32, S("\x08\x03"), (uint64_t)-2},
		{PROTOBUF_C_TYPE_SINT32, S("\x08\xff\xff\xff\xff\x0f"), (uint64_t)INT32_MIN},
		{PROTOBUF_C_TYPE_SINT64, S("\x08\xff\xff\xff\xff\x0f"), (uint64_t)-2147483648LL},
		{PROTOBUF_C_TYPE_SINT64, S("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
		 (uint64_t)INT64_MIN},
		{PROTOBUF_C_TYPE_BOOL, S("\x08\x80\x02"), 1},
		{PROTOBUF_C_TYPE_FIXED32, S("\x0d\x01\x02\x03\xf4"), 0xf4030201},
		{PROTOBUF_C_TYPE_SFIXED32, S("\x0d\xfe\xff\xff\xff"), (uint64_t)-2},
		{PROTOBUF_C_TYPE_FLOAT, S("\x0d\x00\x00\x80\x3f"), 0x3f800000},
		{PROTOBUF_C_TYPE_FIXED64, S("\x09\1\2\3\4\5\6\7\x88"), 0x8807060504030201},
		{PROTOBUF_C_TYPE_ENUM, S("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
		 UINT64_MAX},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		ProtobufCFieldDescriptor fd = {.name = "x", .id = 1, .type = rows[i].type};
		struct wire_iter it = wire_iter(span(rows[i].bytes, rows[i].n));
		struct wire_iter again;
		struct wire_field f;
		struct wire_value v, back;
		struct err e = ERR_INIT;
		auto_buf struct buf b = {0};

		assert_int_equal(wire_next(&it, &f, &e), 1);
		assert_int_equal(wire_field_value(&fd, &f, &v, &e), 0);
		if (v.u != rows[i].u)
			fail_msg("row %zu: 0x%" PRIx64, i, v.u);
		assert_int_equal(wire_put_value(&b, &fd, &v, &e), 0);
		again = wire_iter(buf_span(&b));
		assert_int_equal(wire_next(&again, &f, &e), 1);
		assert_int_equal(wire_field_value(&fd, &f, &back, &e), 0);
		if (back.u != v.u)
			fail_msg("row %zu: written and read 0x%" PRIx64, i, back.u);
	}
}

/* ---- patching ---- */

/* Messages of net_device_entry: 1 type, 2 ifindex, 3 mtu, 4 flags, 5 name, 7 address, 8 conf (repeated
 * int32), 9 conf4 (repeated sysctl_entry: 1 type, 2 iarg, 3 sarg), 11 macvlan, 12 peer_ifindex. */
static const struct {
	const char *what, *before;
	size_t n_before;
	const char *path;
	const char *text;    /* a text value, or */
	uint64_t numbers[4]; /* numbers */
	size_t n_values;
	const char *after;
	size_t n_after;
	enum err_code code;
} patches[] = {
	{"set",
	 S("\x08\x02\x10\x05\x18\x07"),
	 "ifindex",
	 NULL,
	 {300},
	 1,
	 S("\x08\x02\x10\xac\x02\x18\x07"),
	 0},
	{"equal value keeps its odd bytes",
	 S("\x08\x02\x10\x85\x80\x00\x18\x07"),
	 "ifindex",
	 NULL,
	 {5},
	 1,
	 S("\x08\x02\x10\x85\x80\x00\x18\x07"),
	 0},
	{"odd bytes elsewhere are kept",
	 S("\x08\x82\x80\x00\x90\x00\x05\x18\x07"),
	 "ifindex",
	 NULL,
	 {6},
	 1,
	 S("\x08\x82\x80\x00\x90\x00\x06\x18\x07"),
	 0},
	{"unknown fields and order are kept",
	 S("\xa2\x06\x01z\x18\x07\x10\x05\xfb\x3f\xfc\x3f"),
	 "ifindex",
	 NULL,
	 {6},
	 1,
	 S("\xa2\x06\x01z\x18\x07\x10\x06\xfb\x3f\xfc\x3f"),
	 0},
	{"delete",
	 S("\x08\x02\x10\x05\x18\x07"),
	 "ifindex",
	 NULL,
	 {0},
	 0,
	 S("\x08\x02\x18\x07"),
	 0},
	{"delete what is not there", S("\x08\x02"), "ifindex", NULL, {0}, 0, S("\x08\x02"), 0},
	{"insert into nothing", S(""), "ifindex", NULL, {1}, 1, S("\x10\x01"), 0},
	{"insert between",
	 S("\x08\x02\x18\x07"),
	 "ifindex",
	 NULL,
	 {1},
	 1,
	 S("\x08\x02\x10\x01\x18\x07"),
	 0},
	{"insert first", S("\x18\x07"), "ifindex", NULL, {1}, 1, S("\x10\x01\x18\x07"), 0},
	{"insert behind odd order",
	 S("\x18\x07\x08\x02\x20\x01"),
	 "ifindex",
	 NULL,
	 {1},
	 1,
	 S("\x18\x07\x08\x02\x10\x01\x20\x01"),
	 0},
	{"the last of two counts",
	 S("\x10\x01\x18\x07\x10\x02"),
	 "ifindex",
	 NULL,
	 {3},
	 1,
	 S("\x18\x07\x10\x03"),
	 0},
	{"both are deleted",
	 S("\x10\x01\x18\x07\x10\x02"),
	 "ifindex",
	 NULL,
	 {0},
	 0,
	 S("\x18\x07"),
	 0},
	{"text",
	 S("\x10\x01\x2a\x02lo\x40\x01"),
	 "name",
	 "eth0",
	 {0},
	 1,
	 S("\x10\x01\x2a\x04"
	   "eth0\x40\x01"),
	 0},
	{"text of equal length", S("\x2a\x82\x00lo"), "name", "lo", {0}, 1, S("\x2a\x82\x00lo"), 0},
	{"new text",
	 S("\x10\x01"),
	 "name",
	 "a",
	 {0},
	 1,
	 S("\x10\x01\x2a\x01"
	   "a"),
	 0},
	{"list shrinks",
	 S("\x40\x01\x10\x05\x40\x02\x40\x03"),
	 "conf",
	 NULL,
	 {9, 2},
	 2,
	 S("\x40\x09\x10\x05\x40\x02"),
	 0},
	{"list grows",
	 S("\x40\x01\x10\x05"),
	 "conf",
	 NULL,
	 {1, 2, 3},
	 3,
	 S("\x40\x01\x40\x02\x40\x03\x10\x05"),
	 0},
	{"list appears", S("\x10\x05"), "conf", NULL, {1, 2}, 2, S("\x10\x05\x40\x01\x40\x02"), 0},
	{"list goes", S("\x40\x01\x10\x05\x40\x02"), "conf", NULL, {0}, 0, S("\x10\x05"), 0},
	{"packed element",
	 S("\x42\x03\x01\x82\x00\x10\x05"),
	 "conf[0]",
	 NULL,
	 {300},
	 1,
	 S("\x42\x04\xac\x02\x82\x00\x10\x05"),
	 0},
	{"packed element goes",
	 S("\x42\x03\x01\x02\x03"),
	 "conf[1]",
	 NULL,
	 {0},
	 0,
	 S("\x42\x02\x01\x03"),
	 0},
	{"last packed element goes",
	 S("\x10\x05\x42\x01\x01"),
	 "conf[0]",
	 NULL,
	 {0},
	 0,
	 S("\x10\x05"),
	 0},
	{"packed list grows",
	 S("\x42\x01\x01\x10\x05"),
	 "conf",
	 NULL,
	 {1, 2, 3},
	 3,
	 S("\x42\x03\x01\x02\x03\x10\x05"),
	 0},
	{"packed and not",
	 S("\x42\x02\x01\x02\x40\x03"),
	 "conf[2]",
	 NULL,
	 {4},
	 1,
	 S("\x42\x02\x01\x02\x40\x04"),
	 0},
	{"packed and not, grows",
	 S("\x42\x02\x01\x02\x40\x03"),
	 "conf[3]",
	 NULL,
	 {4},
	 1,
	 S("\x42\x02\x01\x02\x40\x03\x40\x04"),
	 0},
	{"append",
	 S("\x40\x01\x10\x05"),
	 "conf[1]",
	 NULL,
	 {2},
	 1,
	 S("\x40\x01\x40\x02\x10\x05"),
	 0},
	{"negative number",
	 S("\x40\x01"),
	 "conf[0]",
	 NULL,
	 {UINT64_MAX},
	 1,
	 S("\x40\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
	 0},
	{"in a message",
	 S("\x4a\x04\x08\x06\x10\x00\x4a\x04\x08\x06\x10\x01\x60\x03"),
	 "conf4[1].iarg",
	 NULL,
	 {200},
	 1,
	 S("\x4a\x04\x08\x06\x10\x00\x4a\x05\x08\x06\x10\xc8\x01\x60\x03"),
	 0},
	{"in a message, deleted",
	 S("\x4a\x04\x08\x06\x10\x00\x60\x03"),
	 "conf4[0].iarg",
	 NULL,
	 {0},
	 0,
	 S("\x4a\x02\x08\x06\x60\x03"),
	 0},
	{"in a message without its required field",
	 S("\x4a\x02\x10\x00"),
	 "conf4[0].sarg",
	 "x",
	 {0},
	 1,
	 S("\x4a\x05\x10\x00\x1a\x01x"),
	 0},
	{"a message appears",
	 S("\x10\x05\x60\x03"),
	 "macvlan.mode",
	 NULL,
	 {4},
	 1,
	 S("\x10\x05\x5a\x02\x08\x04\x60\x03"),
	 0},
	{"no message appears to delete in",
	 S("\x10\x05"),
	 "macvlan.mode",
	 NULL,
	 {0},
	 0,
	 S("\x10\x05"),
	 0},
	{"a message is appended",
	 S("\x4a\x02\x08\x06"),
	 "conf4[1].type",
	 NULL,
	 {5},
	 1,
	 S("\x4a\x02\x08\x06\x4a\x02\x08\x05"),
	 0},
	{"a message goes",
	 S("\x4a\x02\x08\x06\x4a\x02\x08\x05\x60\x03"),
	 "conf4[0]",
	 NULL,
	 {0},
	 0,
	 S("\x4a\x02\x08\x05\x60\x03"),
	 0},
	{"a message that comes twice is merged",
	 S("\x5a\x02\x08\x01\x10\x05\x5a\x02\x10\x02"),
	 "macvlan.mode",
	 NULL,
	 {4},
	 1,
	 S("\x5a\x00\x10\x05\x5a\x04\x08\x04\x10\x02"),
	 0},
	{"a wrong wire type is repaired",
	 S("\x12\x01z\x18\x07"),
	 "ifindex",
	 NULL,
	 {4},
	 1,
	 S("\x10\x04\x18\x07"),
	 0},
	{"too big", S("\x10\x01"), "ifindex", NULL, {1ull << 32}, 1, S(""), ERR_RANGE},
	{"too small", S(""), "conf[0]", NULL, {1ull << 31}, 1, S(""), ERR_RANGE},
	{"beyond the end", S("\x40\x01"), "conf[2]", NULL, {1}, 1, S(""), ERR_NOTFOUND},
	{"delete beyond the end", S("\x40\x01"), "conf[1]", NULL, {0}, 0, S(""), ERR_NOTFOUND},
	{"delete in an empty list", S(""), "conf[0]", NULL, {0}, 0, S(""), ERR_NOTFOUND},
	{"message beyond the end", S(""), "conf4[1].type", NULL, {5}, 1, S(""), ERR_NOTFOUND},
	{"which one", S(""), "conf4.type", NULL, {5}, 1, S(""), ERR_USAGE},
	{"two values for one", S(""), "mtu", NULL, {1, 2}, 2, S(""), ERR_USAGE},
	{"no such field", S(""), "nothing", NULL, {1}, 1, S(""), ERR_USAGE},
	{"damaged", S("\x10\x01\x4a\x09"), "mtu", NULL, {1}, 1, S(""), ERR_FORMAT},
	{"damaged inside", S("\x5a\x02\x08\x80"), "macvlan.mode", NULL, {1}, 1, S(""), ERR_FORMAT},
};

static void patched_in_place(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(patches); i++) {
		struct wire_value v[4];
		struct wire_edit edit = {patches[i].path, v, patches[i].n_values};
		struct err e = ERR_INIT;
		auto_buf struct buf out = {0};
		int r;

		for (size_t k = 0; k < 4; k++)
			v[k] = wire_number(patches[i].numbers[k]);
		if (patches[i].text)
			v[0] = wire_bytes(patches[i].text, strlen(patches[i].text));
		assert_int_equal(buf_add_str(&out, "<", &e), 0);
		r = wire_patch(&net_device_entry__descriptor,
			       span(patches[i].before, patches[i].n_before), &edit, 1, &out, &e);
		if ((r != 0) != (patches[i].code != 0) || (r && e.code != patches[i].code))
			fail_msg("%s: %d %s", patches[i].what, r, e.msg);
		if (out.len != patches[i].n_after + 1 || out.data[0] != '<' ||
		    memcmp(out.data + 1, patches[i].after, patches[i].n_after) != 0) {
			for (size_t k = 1; k < out.len; k++)
				print_error("%02x ", out.data[k]);
			fail_msg("%s: other bytes", patches[i].what);
		}
	}
}

/* protobuf-c, which knows nothing of patching, sees exactly the change. */
static void only_the_change_is_seen(void **state)
{
	const uint32_t want_dst[] = {0x0a00000a};
	auto_buf struct buf msg = {0}, out = {0}, packed = {0};
	struct wire_value dst = wire_number(want_dst[0]), dev = wire_bytes("veth1", 5),
			  yes = wire_number(1), tos = wire_number(0x10), cookie = wire_number(99);
	const struct wire_edit edits[] = {
		{"isk.dst_addr", &dst, 1},
		{"isk.opts.so_bound_dev", &dev, 1},
		{"isk.ip_opts.raw.hdrincl", &yes, 1},
		{"isk.ip_opts.raw.nodefrag", &yes, 1},
		{"isk.ip_opts.tos", &tos, 1},
		{"isk.nsimg.cookie", &cookie, 1},
		{"isk.opts.so_filter", NULL, 0},
	};
	struct err e = ERR_INIT;
	FileEntry *f, *g;

	make_socket(&msg);
	assert_int_equal(wire_patch(&file_entry__descriptor, buf_span(&msg), edits,
				    ARRAY_SIZE(edits), &out, &e),
			 0);
	f = file_entry__unpack(NULL, out.len, out.data);
	g = file_entry__unpack(NULL, msg.len, msg.data);
	assert_non_null(f);
	assert_non_null(g);
	assert_int_equal(f->isk->n_dst_addr, 1);
	assert_int_equal(f->isk->dst_addr[0], want_dst[0]);
	assert_string_equal(f->isk->opts->so_bound_dev, "veth1");
	assert_true(f->isk->ip_opts->raw->hdrincl && f->isk->ip_opts->raw->nodefrag);
	assert_int_equal(f->isk->nsimg->cookie, 99);
	assert_int_equal(f->isk->opts->n_so_filter, 0);
	/* the same changes made on the unpacked message, packed, must be the same bytes */
	g->isk->n_dst_addr = 1;
	g->isk->dst_addr[0] = want_dst[0];
	free(g->isk->opts->so_bound_dev);
	g->isk->opts->so_bound_dev = strdup("veth1");
	g->isk->opts->n_so_filter = 0;
	g->isk->nsimg->cookie = 99;
	g->isk->ip_opts->raw = malloc(sizeof(*g->isk->ip_opts->raw));
	ip_opts_raw_entry__init(g->isk->ip_opts->raw);
	g->isk->ip_opts->raw->has_hdrincl = g->isk->ip_opts->raw->hdrincl = true;
	g->isk->ip_opts->raw->has_nodefrag = g->isk->ip_opts->raw->nodefrag = true;
	assert_int_equal(buf_reserve(&packed, file_entry__get_packed_size(g), &e), 0);
	packed.len = file_entry__pack(g, packed.data);
	assert_int_equal(packed.len, out.len);
	assert_memory_equal(packed.data, out.data, out.len);
	file_entry__free_unpacked(f, NULL);
	file_entry__free_unpacked(g, NULL);
}

static void missing_required_fields_are_named(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		const char *path; /* NULL: none missing */
	} rows[] = {
		{S(""), "type"},
		{S("\x08\x02"), "ifindex"},
		{S("\x08\x02\x10\x01\x18\x01\x20\x01\x2a\x01"
		   "a"),
		 NULL},
		{S("\x08\x02\x10\x01\x18\x01\x20\x01\x2a\x01"
		   "a\x4a\x00"),
		 "conf4.type"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char path[64] = "";
		bool is = wire_missing(&net_device_entry__descriptor,
				       span(rows[i].bytes, rows[i].n), path, sizeof(path));

		if (is != !!rows[i].path || (is && strcmp(path, rows[i].path) != 0))
			fail_msg("row %zu: '%s'", i, path);
	}
}

/* Every record of a real image: each scalar field of it set to what it is gives the same bytes. */
static void real_records_stay_as_they_are(void **state)
{
	static const char *const files[] = {"files.img", "netns-9.img", "netdev-9.img",
					    "inventory.img"};
	size_t n_edits = 0;

	if (!corpus_dir()) {
		print_message("skipped: no corpus (NSIMG_CORPUS)\n");
		skip();
	}
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		auto_buf struct buf bytes = {0};
		struct err e = ERR_INIT;
		struct img_reader r;
		struct img_record rec;
		const ProtobufCMessageDescriptor *desc = img_type_of_name(files[i], NULL)->entry;
		char path[4200];

		snprintf(path, sizeof(path), "%s/scenario/nested-veth/%s", corpus_dir(), files[i]);
		if (io_read_file(AT_FDCWD, path, 1 << 24, &bytes, &e) ||
		    img_read_begin(&r, img_type_of_name(files[i], NULL), path, buf_span(&bytes),
				   &e))
			fail_msg("%s", e.msg);
		while (img_read_next(&r, &rec, &e) > 0) {
			for (unsigned k = 0; k < desc->n_fields; k++) {
				auto_buf struct buf out = {0};
				struct wire_value v;
				struct wire_edit edit = {desc->fields[k].name, &v, 1};

				if (desc->fields[k].label == PROTOBUF_C_LABEL_REPEATED ||
				    wire_get(desc, rec.msg, edit.path, &v, &e) != 1)
					continue;
				if (wire_patch(desc, rec.msg, &edit, 1, &out, &e))
					fail_msg("%s: %s: %s", path, edit.path, e.msg);
				assert_int_equal(out.len, rec.msg.len);
				assert_memory_equal(out.data, rec.msg.data, out.len);
				n_edits++;
			}
		}
	}
	assert_true(n_edits > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(well_formed_or_not),
		cmocka_unit_test(groups_are_bounded),
		cmocka_unit_test(recursion_is_bounded),
		cmocka_unit_test(values_by_path),
		cmocka_unit_test(numbers_of_each_type),
		cmocka_unit_test(patched_in_place),
		cmocka_unit_test(only_the_change_is_seen),
		cmocka_unit_test(missing_required_fields_are_named),
		cmocka_unit_test(real_records_stay_as_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
