/* The option table against the kernel: every row is set on a real socket to something else than its
 * default, read through the table, compared with a getsockopt of the test's own, written to a second
 * socket and compared again. Runs in a network namespace of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/ns.h"
#include "criu/sk_inet.pb-c.h"
#include "proto/sockopt_table.h"
#include "sockopt_change.h"

static const struct {
	int family, type, protocol;
} kinds[] = {
	{AF_INET, SOCK_STREAM, IPPROTO_TCP},
	{AF_INET6, SOCK_STREAM, IPPROTO_TCP},
	{AF_INET, SOCK_DGRAM, IPPROTO_UDP},
	{AF_INET6, SOCK_DGRAM, IPPROTO_UDP},
	{AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE},
	{AF_INET6, SOCK_DGRAM, IPPROTO_UDPLITE},
	{AF_INET, SOCK_RAW, IPPROTO_ICMP},
	{AF_INET6, SOCK_RAW, IPPROTO_ICMPV6},
	{AF_INET6, SOCK_RAW, 200},
	{AF_INET, SOCK_STREAM, IPPROTO_MPTCP},
	{AF_UNIX, SOCK_STREAM, 0},
	{AF_UNIX, SOCK_DGRAM, 0},
	{AF_NETLINK, SOCK_RAW, NETLINK_ROUTE},
	{AF_PACKET, SOCK_RAW, 0},
	{AF_VSOCK, SOCK_STREAM, 0},
};

/* What this test cannot change on an unconnected socket, and why. */
static const struct {
	const char *name, *why;
} kept[] = {
	{"SO_PEERCRED", "the kernel only tells it"},
	{"SO_TYPE", "the kernel only tells it"},
	{"TCP_ULP", "only a connection has one"},
	{"TCP_MD5SIG", "getsockopt does not give it"},
	{"TCP_MD5SIG_EXT", "getsockopt does not give it"},
	{"TCP_QUICKACK", "the kernel changes it by itself"},
	{"SO_ATTACH_FILTER", "has a test of its own"},
	{"SO_RESERVE_MEM", "needs a memory cgroup with accounting of sockets"},
	{"SO_NOFCS", "needs a device that can"},
	{"IPV6_RTHDR",
	 "the kernel takes types (segment routing, mobility) that it was not built with"},
	{"PACKET_FANOUT", "needs a bound socket: test_sk_dump"},
};

static const char *why_kept(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		if (strcmp(kept[i].name, name) == 0)
			return kept[i].why;
	}
	return NULL;
}

static void raw_is(int fd, const struct sockopt *row, const void *raw, socklen_t len,
		   const char *who)
{
	char now[256] = {0};
	socklen_t n = sizeof(now);

	if (getsockopt(fd, row->level, row->opt, now, &n) != 0)
		fail_msg("%s: %s: getsockopt: %s", row->name, who, strerror(errno));
	if (n != len || memcmp(now, raw, len) != 0)
		fail_msg("%s: %s: another value", row->name, who);
}

static void row_on_kind(const struct ns *ns, const struct sockopt *row, size_t k, bool *tried)
{
	struct err e = ERR_INIT;
	auto_close int a = ns_socket(ns, kinds[k].family, kinds[k].type, kinds[k].protocol, &e);
	auto_close int b = ns_socket(ns, kinds[k].family, kinds[k].type, kinds[k].protocol, &e);
	auto_buf struct buf v = {0}, text = {0}, back = {0};
	uint8_t raw[256] = {0};
	socklen_t len = sizeof(raw);

	if (a < 0 || b < 0 || !change(a, row, raw, &len))
		return;
	*tried = true;
	if (sockopt_read(a, row, &v, &e) != 1)
		fail_msg("%s: read: %s", row->name, e.msg);
	if (row->type == SOCKOPT_STRING)
		assert_string_equal((char *)v.data, (char *)raw);
	else
		assert_memory_equal(v.data, raw, v.len);
	if (sockopt_format(row, buf_span(&v), &text, &e) != 0 ||
	    sockopt_parse(row, (char *)text.data, &back, &e) != 0)
		fail_msg("%s: text '%s': %s", row->name, text.data, e.msg);
	if (back.len != v.len || memcmp(back.data, v.data, v.len) != 0)
		fail_msg("%s: text '%s' is another value", row->name, text.data);
	if (sockopt_write(b, row, buf_span(&v), &e) != 0)
		fail_msg("%s: write: %s", row->name, e.msg);
	raw_is(b, row, raw, len, "written");
}

static struct ns *make_ns(void)
{
	struct err e = ERR_INIT;
	struct ns *ns = ns_new(&e);

	if (!ns) {
		print_message("SKIP: no network namespace: %s\n", e.msg);
		skip();
	}
	if (ns_call(ns, lo_up, NULL, &e) != 0)
		fail_msg("%s", e.msg);
	return ns;
}

static void every_row_is_set_and_read(void **state)
{
	auto_ns struct ns *ns = make_ns();

	for (size_t i = 0; i < sockopt_count(); i++) {
		const struct sockopt *row = sockopt_get(i);
		const char *why = why_kept(row->name);
		bool tried = false;

		if (why) {
			print_message("not here: %s: %s\n", row->name, why);
			continue;
		}
		for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
			if (sockopt_applies(row, kinds[k].family, kinds[k].type, kinds[k].protocol))
				row_on_kind(ns, row, k, &tried);
		}
		if (!tried && row->kinds != SOCKOPT_SCTP)
			print_message("SKIP: %s: this kernel changes it on no socket\n", row->name);
	}
}

/* Whether a socket of a kind takes the value and tells it again; -1: the option is not there. */
static int keeps(const struct ns *ns, const struct sockopt *row, size_t k, int value, bool *taken)
{
	struct err e = ERR_INIT;
	auto_close int fd = ns_socket(ns, kinds[k].family, kinds[k].type, kinds[k].protocol, &e);
	int now = 0;
	socklen_t n = sizeof(now);

	if (fd < 0 || getsockopt(fd, row->level, row->opt, &now, &n))
		return -1;
	*taken = !setsockopt(fd, row->level, row->opt, &value, sizeof(value));
	if (!*taken && errno != EINVAL && errno != ERANGE)
		return -1;
	n = sizeof(now);
	assert_return_code(getsockopt(fd, row->level, row->opt, &now, &n), errno);
	return now == value;
}

static void limits_are_those_of_the_kernel(void **state)
{
	auto_ns struct ns *ns = make_ns();

	for (size_t i = 0; i < sockopt_count(); i++) {
		const struct sockopt *row = sockopt_get(i);
		bool taken = true;

		assert_true(row->min == row->max || row->type == SOCKOPT_INT);
		for (size_t k = 0; k < ARRAY_SIZE(kinds) && row->max; k++) {
			if (!sockopt_applies(row, kinds[k].family, kinds[k].type,
					     kinds[k].protocol))
				continue;
			if ((keeps(ns, row, k, row->min, &taken) >= 0 && !taken) ||
			    (keeps(ns, row, k, row->max, &taken) >= 0 && !taken))
				fail_msg("%s: the kernel takes less", row->name);
			if ((keeps(ns, row, k, row->min - 1, &taken) == 1 && taken) ||
			    (keeps(ns, row, k, row->max + 1, &taken) == 1 && taken))
				fail_msg("%s: the kernel takes more", row->name);
		}
	}
}

static void names_and_numbers_are_unique(void **state)
{
	for (size_t i = 0; i < sockopt_count(); i++) {
		const struct sockopt *row = sockopt_get(i);

		assert_ptr_equal(sockopt_find(row->level, row->opt), row);
		assert_ptr_equal(sockopt_find_name(row->name), row);
		assert_non_null(sockopt_level_name(row->level));
		assert_true(row->kinds != 0);
	}
	assert_null(sockopt_find(SOL_SOCKET, SO_ERROR)); /* reading it would clear it */
}

static void values_have_one_text(void **state)
{
	static const struct {
		const char *name, *text, *want; /* want NULL: refused */
	} cases[] = {
		{"SO_MARK", "4294967295", "4294967295"},
		{"SO_MARK", "0x10", "16"},
		{"SO_MARK", "-1", NULL},
		{"SO_REUSEADDR", "true", "1"},
		{"SO_REUSEADDR", "2", NULL},
		{"SO_PEEK_OFF", "-1", "-1"},
		{"SO_PEEK_OFF", "3000000000", NULL},
		{"SO_PEEK_OFF", "", NULL},
		{"SO_LINGER", "-1", "-1"},
		{"SO_LINGER", "0", "0"},
		{"SO_LINGER", "hex:0000000005000000", "\"hex:0000000005000000\""},
		{"SO_REUSEADDR", "hex:05000000", "\"hex:05000000\""},
		{"SO_REUSEADDR", "hex:0500", NULL},
		{"SO_RCVTIMEO", "hex:0100000000000000ffffffffffffffff",
		 "\"hex:0100000000000000ffffffffffffffff\""},
		{"SO_RCVTIMEO", "1.5", "1.500000"},
		{"SO_RCVTIMEO", "3", "3.000000"},
		{"SO_RCVTIMEO", "1.5x", NULL},
		{"SO_MAX_PACING_RATE", "\"18446744073709551615\"", "\"18446744073709551615\""},
		{"TCP_CONGESTION", "reno", "\"reno\""},
		{"TCP_CONGESTION", "\"a-name-of-seventeen\"", NULL},
		{"TCP_CONGESTION", "hex:ff22", "\"hex:ff22\""},
		{"IP_MULTICAST_IF", "\"127.0.0.1\"", "\"127.0.0.1\""},
		{"IP_MULTICAST_IF", "127.1", NULL},
		{"IP_UNICAST_IF", "7", "7"},
		{"SO_TXTIME", "[1, 2]", "[1,2]"},
		{"SO_TXTIME", "[1,2,3]", NULL},
		{"SO_ATTACH_FILTER", "[[6,0,0,65535]]", "[[6,0,0,65535]]"},
		{"SO_ATTACH_FILTER", "[[6,0,0]]", NULL},
		{"SO_ATTACH_FILTER", "[]", NULL},
		{"IP_OPTIONS", "\"94040000\"", "\"94040000\""},
		{"IP_OPTIONS", "9404000", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct sockopt *row = sockopt_find_name(cases[i].name);
		auto_buf struct buf v = {0}, text = {0};
		struct err e = ERR_INIT;
		int r = sockopt_parse(row, cases[i].text, &v, &e);

		if (!cases[i].want) {
			if (r == 0)
				fail_msg("%s '%s': taken", cases[i].name, cases[i].text);
			continue;
		}
		if (r != 0 || sockopt_format(row, buf_span(&v), &text, &e) != 0)
			fail_msg("%s '%s': %s", cases[i].name, cases[i].text, e.msg);
		if (strcmp((char *)text.data, cases[i].want) != 0)
			fail_msg("%s '%s': %s", cases[i].name, cases[i].text, text.data);
	}
}

static void filters_are_read_and_set(void **state)
{
	auto_ns struct ns *ns = make_ns();
	struct sock_filter code[] = {
		{0x28, 0, 0, 12}, {0x15, 0, 1, 0x800}, {6, 0, 0, 96}, {6, 0, 0, 0}};
	struct sock_fprog prog = {ARRAY_SIZE(code), code};
	const struct sockopt *row = sockopt_find(SOL_SOCKET, SO_ATTACH_FILTER);
	auto_buf struct buf v = {0};
	struct err e = ERR_INIT;
	auto_close int a = ns_socket(ns, AF_INET, SOCK_DGRAM, 0, &e);
	auto_close int b = ns_socket(ns, AF_INET, SOCK_DGRAM, 0, &e);

	assert_int_equal(sockopt_read(a, row, &v, &e), 0);
	assert_int_equal(setsockopt(a, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)), 0);
	assert_int_equal(sockopt_read(a, row, &v, &e), 1);
	assert_int_equal(v.len, sizeof(code));
	assert_memory_equal(v.data, code, sizeof(code));
	assert_int_equal(sockopt_write(b, row, buf_span(&v), &e), 0);
	assert_int_equal(sockopt_read(b, row, &v, &e), 1);
	assert_memory_equal(v.data, code, sizeof(code));
}

/* Every option with a field of CRIU's goes into a record and comes out as it was. */
static void records_keep_values(void **state)
{
	auto_ns struct ns *ns = make_ns();
	struct err e = ERR_INIT;

	for (size_t i = 0; i < sockopt_count(); i++) {
		const struct sockopt *row = sockopt_get(i);
		auto_close int fd = ns_socket(ns, AF_INET, SOCK_STREAM, 0, &e);
		InetSkEntry *isk = malloc(sizeof(*isk));
		auto_buf struct buf v = {0}, back = {0}, packed = {0};
		uint8_t raw[256];
		socklen_t len = sizeof(raw);
		bool changed = change(fd, row, raw, &len);

		inet_sk_entry__init(isk);
		isk->opts = malloc(sizeof(*isk->opts));
		sk_opts_entry__init(isk->opts);
		isk->fown = malloc(sizeof(*isk->fown));
		fown_entry__init(isk->fown);
		isk->ip_opts = malloc(sizeof(*isk->ip_opts));
		ip_opts_entry__init(isk->ip_opts);
		isk->tcp_opts = malloc(sizeof(*isk->tcp_opts));
		tcp_opts_entry__init(isk->tcp_opts);
		if (changed && sockopt_in_criu(row, SOCKOPT_TCP4)) {
			assert_int_equal(sockopt_read(fd, row, &v, &e), 1);
			if (sockopt_record_put(row, &isk->base, buf_span(&v), &e) != 0)
				fail_msg("%s: %s", row->name, e.msg);
			assert_int_equal(buf_reserve(&packed, 4096, &e), 0);
			packed.len = inet_sk_entry__pack(isk, packed.data);
			if (sockopt_record_get(row, SOCKOPT_TCP4, &inet_sk_entry__descriptor,
					       buf_span(&packed), 0, &back, &e) != 1)
				fail_msg("%s: not in the record: %s", row->name, e.msg);
			if (v.len != back.len || memcmp(v.data, back.data, v.len) != 0)
				fail_msg("%s: another value in the record", row->name);
		}
		inet_sk_entry__free_unpacked(isk, NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_are_those_of_the_kernel),
		cmocka_unit_test(names_and_numbers_are_unique),
		cmocka_unit_test(values_have_one_text),
		cmocka_unit_test(every_row_is_set_and_read),
		cmocka_unit_test(filters_are_read_and_set),
		cmocka_unit_test(records_keep_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
