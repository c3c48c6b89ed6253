/* base/netlock: datagrams of a namespace of our own say whether it is locked. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/criu.h"
#include "base/netlock.h"
#include "base/nft.h"
#include "base/nl.h"
#include "base/ns.h"

static struct ns *ns;

static int lo_up(struct err *e)
{
	auto_nl struct nl *nl = nl_open_in(ns, NETLINK_ROUTE, e);
	struct ifinfomsg ifi = {.ifi_index = 1, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	auto_buf struct buf b = {0};

	return !nl || nl_msg_begin(&b, RTM_NEWLINK, 0, &ifi, sizeof(ifi), e) ||
			       nl_do(nl, &b, "lo", e)
		       ? -1
		       : 0;
}

static int nothing(void *arg, struct err *e)
{
	auto_buf struct buf out = {0};

	return nft_run("list ruleset\n", &out, e);
}

static int setup(void **state)
{
	struct err e = ERR_INIT;

	ns = ns_new(&e);
	if (ns && (lo_up(&e) || ns_call(ns, nothing, NULL, &e))) {
		ns_free(ns);
		ns = NULL;
	}
	if (!ns)
		print_message("no namespace with nftables: %s\n", e.msg);
	return 0;
}

static int teardown(void **state)
{
	ns_free(ns);
	return 0;
}

/* Does a datagram with this mark come through lo? */
static bool passes(int family, uint32_t mark)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr *a = family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
	socklen_t len = family == AF_INET ? sizeof(v4) : sizeof(v6);
	struct err e = ERR_INIT;
	auto_close int in = ns_socket(ns, family, SOCK_DGRAM, 0, &e);
	auto_close int out = ns_socket(ns, family, SOCK_DGRAM, 0, &e);
	char c = 'x';

	assert_true(in >= 0 && out >= 0);
	assert_int_equal(0, bind(in, a, len));
	assert_int_equal(0, getsockname(in, a, &len));
	assert_int_equal(0, setsockopt(out, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)));
	if (sendto(out, &c, 1, 0, a, len) != 1) {
		assert_int_equal(EPERM, errno); /* what the output hook says */
		return false;
	}
	return recv(in, &c, 1, MSG_DONTWAIT) == 1;
}

static bool is_locked(void)
{
	struct err e = ERR_INIT;
	bool there;

	assert_int_equal(0, netlock_find(ns_fd(ns), &there, &e));
	return there;
}

static int ruleset(void *out, struct err *e)
{
	return nft_run("list ruleset\n", out, e);
}

static int other_table(void *arg, struct err *e)
{
	return nft_run("table inet other { chain c { type filter hook input priority 0; }; }\n",
		       NULL, e);
}

static void test_lock(void **state)
{
	static const int families[] = {AF_INET, AF_INET6};
	struct err e = ERR_INIT;

	if (!ns)
		skip();
	assert_false(is_locked());
	for (int twice = 0; twice < 2; twice++)
		assert_int_equal(0, netlock_add(ns_fd(ns), &e));
	assert_true(is_locked());
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		assert_false(passes(families[i], 0));
		assert_false(passes(families[i], 1));
		assert_true(passes(families[i], CRIU_MARK));
	}
	for (int twice = 0; twice < 2; twice++)
		assert_int_equal(0, netlock_remove(ns_fd(ns), &e));
	assert_false(is_locked());
	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		assert_true(passes(families[i], 0));
}

/* Other tables are as they were, and none of ours is left. */
static void test_others(void **state)
{
	auto_buf struct buf before = {0};
	auto_buf struct buf after = {0};
	struct err e = ERR_INIT;

	if (!ns)
		skip();
	assert_int_equal(0, ns_call(ns, other_table, NULL, &e));
	assert_int_equal(0, ns_call(ns, ruleset, &before, &e));
	assert_int_equal(0, netlock_add(ns_fd(ns), &e));
	assert_int_equal(0, netlock_remove(ns_fd(ns), &e));
	assert_int_equal(0, ns_call(ns, ruleset, &after, &e));
	assert_true(before.len > 20);
	assert_int_equal(before.len, after.len);
	assert_memory_equal(before.data, after.data, before.len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lock),
		cmocka_unit_test(test_others),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
