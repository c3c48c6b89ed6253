/* base/netlock: datagrams of a namespace of our own say whether it is locked. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
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

/* ---- single connections ---- */

/* A connection through lo: 0 asked, 1 accepted. */
struct pair {
	int fd[2];
};

static struct pair pair_at(const char *addr, uint16_t asked, uint16_t port)
{
	const struct timeval patience = {20, 0};
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct err e = ERR_INIT;
	auto_close int listener = ns_socket(ns, AF_INET6, SOCK_STREAM, 0, &e);
	struct pair p = {{ns_socket(ns, AF_INET6, SOCK_STREAM, 0, &e), -1}};

	assert_int_equal(1, inet_pton(AF_INET6, addr, &a.sin6_addr));
	assert_int_equal(0, bind(listener, (struct sockaddr *)&a, sizeof(a)));
	assert_int_equal(0, listen(listener, 1));
	a.sin6_port = htons(asked);
	assert_int_equal(0, connect(p.fd[0], (struct sockaddr *)&a, sizeof(a)));
	p.fd[1] = accept(listener, NULL, NULL);
	assert_true(p.fd[1] >= 0);
	for (int i = 0; i < 2; i++)
		setsockopt(p.fd[i], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return p;
}

static struct netlock_conn conn_of(int fd)
{
	struct netlock_conn c;
	socklen_t here = sizeof(c.here), there = sizeof(c.there);

	assert_int_equal(0, getsockname(fd, &c.here.sa, &here));
	assert_int_equal(0, getpeername(fd, &c.there.sa, &there));
	return c;
}

static struct nft_ctx *hold(int fd)
{
	const struct netlock_conn c = conn_of(fd);
	struct err e = ERR_INIT;
	struct nft_ctx *held = netlock_hold(ns_fd(ns), &c, 1, &e);

	if (!held)
		fail_msg("%s", e.msg);
	return held;
}

static void say(int fd)
{
	assert_int_equal(1, send(fd, "x", 1, 0));
}

static void hears(int fd)
{
	char c;

	assert_int_equal(1, recv(fd, &c, 1, 0));
}

/* Nothing is on its way through lo when send(2) has returned. */
static void hears_nothing(int fd)
{
	char c;

	assert_int_equal(-1, recv(fd, &c, 1, MSG_DONTWAIT));
	assert_int_equal(EAGAIN, errno);
}

static void pair_close(struct pair *p)
{
	close(p->fd[0]);
	close(p->fd[1]);
}

static bool has_rules(void)
{
	auto_buf struct buf out = {0};
	struct err e = ERR_INIT;

	assert_int_equal(0, ns_call(ns, ruleset, &out, &e));
	return out.len && strstr((const char *)out.data, NETLOCK_HELD);
}

static void test_hold(void **state)
{
	static const char *const addrs[] = {"::ffff:127.0.0.1", "::1"};
	const uint32_t mark = CRIU_MARK;

	if (!ns)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(addrs); i++) {
		struct pair stopped = pair_at(addrs[i], 7001, 7001);
		struct pair other = pair_at(addrs[i], 7002, 7002);
		struct nft_ctx *held = hold(stopped.fd[0]), *twice = hold(stopped.fd[1]);

		for (int end = 0; end < 2; end++) {
			say(other.fd[end]);
			hears(other.fd[!end]);
			say(stopped.fd[end]);
			hears_nothing(stopped.fd[!end]);
		}
		nft_release(held);
		say(stopped.fd[0]);
		hears_nothing(stopped.fd[1]);
		nft_release(twice);
		/* what was sent comes when it is sent again; nothing is lost */
		hears(stopped.fd[1]);
		hears(stopped.fd[1]);
		hears(stopped.fd[0]);
		held = hold(stopped.fd[0]);
		assert_int_equal(
			0, setsockopt(stopped.fd[0], SOL_SOCKET, SO_MARK, &mark, sizeof(mark)));
		say(stopped.fd[0]);
		hears(stopped.fd[1]);
		nft_release(held);
		pair_close(&stopped);
		pair_close(&other);
	}
	assert_false(has_rules());
}

static int translate(void *arg, struct err *e)
{
	return nft_run(arg, NULL, e);
}

/* The socket that asks has another address than the packets on their way. */
static void test_hold_nat(void **state)
{
	static char on[] =
		"table ip t { chain o { type nat hook output priority -100; tcp dport 7009 "
		"redirect to :7003; }; chain i { type nat hook input priority 100; tcp "
		"dport 7003 snat to 127.0.0.9; }; }\n",
		    off[] = "delete table ip t\n";
	struct err e = ERR_INIT;

	if (!ns || ns_call(ns, translate, on, &e))
		skip();
	for (int held_end = 0; held_end < 2; held_end++) {
		struct pair p = pair_at("::ffff:127.0.0.1", 7009, 7003);
		struct nft_ctx *held = hold(p.fd[held_end]);

		assert_int_equal(7009, ntohs(conn_of(p.fd[0]).there.v6.sin6_port));
		for (int end = 0; end < 2; end++) {
			say(p.fd[end]);
			hears_nothing(p.fd[!end]);
		}
		nft_release(held);
		hears(p.fd[0]);
		hears(p.fd[1]);
		pair_close(&p);
	}
	assert_int_equal(0, ns_call(ns, translate, off, &e));
}

/* Whoever holds it is killed: the kernel has taken it away when the process has gone. */
static void test_hold_killed(void **state)
{
	struct pair p;
	int ready[2];
	pid_t pid;
	char c;

	if (!ns)
		skip();
	p = pair_at("::1", 7001, 7001);
	assert_int_equal(0, pipe(ready));
	pid = fork();
	if (!pid) {
		hold(p.fd[0]);
		assert_int_equal(1, write(ready[1], "x", 1));
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(1, read(ready[0], &c, 1));
	close(ready[0]);
	assert_true(has_rules());
	say(p.fd[0]);
	hears_nothing(p.fd[1]);
	kill(pid, SIGKILL);
	assert_int_equal(pid, waitpid(pid, NULL, 0));
	assert_false(has_rules());
	hears(p.fd[1]);
	pair_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lock),        cmocka_unit_test(test_others),
		cmocka_unit_test(test_hold),        cmocka_unit_test(test_hold_nat),
		cmocka_unit_test(test_hold_killed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
