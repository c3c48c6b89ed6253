/* The option table against the kernel: every row is set on a real socket to something else than its
 * default, read through the table, compared with a getsockopt of the test's own, written to a second
 * socket and compared again. Runs in a network namespace of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/icmp.h>
#include <linux/if.h>
#include <linux/net_tstamp.h>
#include <linux/netlink.h>
#include <linux/tcp.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/cleanup.h"
#include "base/ns.h"
#include "criu/sk_inet.pb-c.h"
#include "proto/sockopt_table.h"

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

/* Values for what a number cannot be guessed for. */
static const struct timeval seconds_12 = {12, 500000};
static const struct linger linger_5 = {1, 5};
static const uint32_t icmp_mask[8] = {0x100, 7};
static const uint32_t stamping[2] = {SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE, 0};
static const uint32_t txtime[2] = {1 /* CLOCK_MONOTONIC */, 2 /* SOF_TXTIME_REPORT_ERRORS */};
static const uint32_t loopback_be = 0x0100007f; /* 127.0.0.1 on a little-endian machine */
static const uint32_t index_1_be = 0x01000000;
static const uint32_t port_range = 40000 | 41000u << 16;
static const uint64_t rate = 125000000;
static const uint64_t vsock_size = 131072;
static const uint8_t router_alert[4] = {148, 4, 0, 0};         /* RFC 2113 */
static const uint8_t pad_header[8] = {0, 0, 1, 4, 0, 0, 0, 0}; /* RFC 8200: PadN */
static const uint8_t key16[16] = "0123456789abcdef";
static const int buffer = 40000;
static const int one = 1;

static const struct {
	const char *name;
	const void *value;
	socklen_t len;
} given[] = {
	{"SO_SNDTIMEO", &seconds_12, sizeof(seconds_12)},
	{"SO_RCVTIMEO", &seconds_12, sizeof(seconds_12)},
	{"SO_VM_SOCKETS_CONNECT_TIMEOUT", &seconds_12, sizeof(seconds_12)},
	{"SO_VM_SOCKETS_BUFFER_SIZE", &vsock_size, sizeof(vsock_size)},
	{"SO_VM_SOCKETS_BUFFER_MAX_SIZE", &rate, sizeof(rate)},
	{"SO_VM_SOCKETS_BUFFER_MIN_SIZE", &vsock_size, sizeof(vsock_size)},
	{"SO_LINGER", &linger_5, sizeof(linger_5)},
	{"SO_BINDTODEVICE", "lo", 3},
	{"SO_SNDBUF", &buffer, sizeof(buffer)},
	{"SO_RCVBUF", &buffer, sizeof(buffer)},
	{"SO_MAX_PACING_RATE", &rate, sizeof(rate)},
	{"SO_TIMESTAMPING", stamping, sizeof(stamping)},
	{"SO_TIMESTAMPING_NEW", stamping, sizeof(stamping)},
	{"SO_TXTIME", txtime, sizeof(txtime)},
	{"ICMP_FILTER", icmp_mask, 4},
	{"ICMPV6_FILTER", icmp_mask, 32},
	{"IP_MULTICAST_IF", &loopback_be, 4},
	{"IP_UNICAST_IF", &index_1_be, 4},
	{"IPV6_UNICAST_IF", &index_1_be, 4},
	{"IPV6_MULTICAST_IF", &one, 4},
	{"IP_LOCAL_PORT_RANGE", &port_range, 4},
	{"IP_OPTIONS", router_alert, 4},
	{"IPV6_HOPOPTS", pad_header, 8},
	{"IPV6_DSTOPTS", pad_header, 8},
	{"IPV6_RTHDRDSTOPTS", pad_header, 8},
	{"TCP_CONGESTION", "reno", 4},
	{"TCP_FASTOPEN_KEY", key16, sizeof(key16)},
};

/* What this test cannot change on an unconnected socket, and why. */
static const struct {
	const char *name, *why;
} kept[] = {
	{"SO_PEERCRED", "the kernel only tells it"},
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

/* Bring an option off its default with plain setsockopt; the raw value it has then. */
static bool change(int fd, const struct sockopt *row, void *raw, socklen_t *len)
{
	static const int guesses[] = {1, 0, 2, 3, 4, 8, 12, 16, 64, 100, 536, 1000, 40000, 200000};
	char before[256] = {0};
	socklen_t blen = sizeof(before);

	if (getsockopt(fd, row->level, row->opt, before, &blen) != 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(given); i++) {
		if (strcmp(given[i].name, row->name) != 0)
			continue;
		if (setsockopt(fd, row->level, row->opt, given[i].value, given[i].len) != 0)
			return false;
		return getsockopt(fd, row->level, row->opt, raw, len) == 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(guesses); i++) {
		socklen_t n = *len;

		if (setsockopt(fd, row->level, row->opt, &guesses[i], sizeof(int)) != 0)
			continue;
		memset(raw, 0, n);
		if (getsockopt(fd, row->level, row->opt, raw, &n) != 0)
			return false;
		if (n == blen && memcmp(raw, before, n) != 0) {
			*len = n;
			return true;
		}
	}
	return false;
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

static int lo_up(void *arg, struct err *e)
{
	auto_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {.ifr_flags = IFF_UP};

	strcpy(ifr.ifr_name, "lo");
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr) != 0)
		return err_sys(e, ERR_KERNEL, "lo up");
	return 0;
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
		cmocka_unit_test(names_and_numbers_are_unique),
		cmocka_unit_test(values_have_one_text),
		cmocka_unit_test(every_row_is_set_and_read),
		cmocka_unit_test(filters_are_read_and_set),
		cmocka_unit_test(records_keep_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
