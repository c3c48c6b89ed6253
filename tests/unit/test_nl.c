/* base/nl: requests, dumps and errors, against a real kernel in namespaces of our own; and base/caps. */
#include <errno.h>
#include <linux/capability.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/caps.h"
#include "base/cleanup.h"
#include "base/nl.h"
#include "base/ns.h"

struct fixture {
	struct ns *ns;
	struct nl *nl;
};

static int setup(void **state)
{
	static struct fixture f;
	struct err e = ERR_INIT;

	f = (struct fixture){0};
	f.ns = ns_new(&e);
	if (f.ns)
		f.nl = nl_open_in(f.ns, NETLINK_ROUTE, &e);
	if (!f.nl)
		print_message("no namespace of our own: %s\n", e.msg);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	nl_free(f->nl);
	ns_free(f->ns);
	return 0;
}

static int link_add(struct nl *nl, const char *name, const char *kind, int ifindex, struct err *e)
{
	auto_buf struct buf b = {0};
	struct ifinfomsg ifi = {.ifi_index = ifindex};
	size_t info;

	assert_int_equal(
		0, nl_msg_begin(&b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &ifi, sizeof(ifi), e));
	assert_int_equal(0, nl_put_str(&b, IFLA_IFNAME, name, e));
	assert_int_equal(0, nl_nest_begin(&b, IFLA_LINKINFO, &info, e));
	assert_int_equal(0, nl_put_str(&b, IFLA_INFO_KIND, kind, e));
	assert_int_equal(0, nl_nest_end(&b, info, e));
	return nl_do(nl, &b, name, e);
}

static void test_do(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *name, *kind;
		int ifindex;
		enum err_code code;
		int sys;
		const char *words; /* of the kernel, net/core/rtnetlink.c */
	} rows[] = {
		{"br0", "bridge", 7, ERR_NONE, 0, NULL},
		{"br0", "bridge", 0, ERR_EXISTS, EEXIST, NULL},
		{"x0", "nosuchkind", 0, ERR_KERNEL, EOPNOTSUPP, "Unknown device type"},
	};

	if (!f->nl)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err e = ERR_INIT;
		int r = link_add(f->nl, rows[i].name, rows[i].kind, rows[i].ifindex, &e);

		if (r != (rows[i].code ? -1 : 0) || e.code != rows[i].code ||
		    e.saved_errno != rows[i].sys ||
		    (rows[i].words && !strstr(e.msg, rows[i].words)))
			fail_msg("row %zu (%s): %d, code %s, errno %d: %s", i, rows[i].kind, r,
				 err_code_name(e.code), e.saved_errno, e.msg);
	}
}

static void test_get(void **state)
{
	struct fixture *f = *state;
	auto_buf struct buf b = {0};
	auto_buf struct buf reply = {0};
	struct ifinfomsg ifi = {.ifi_index = 1};
	const struct nlmsghdr *h;
	struct err e = ERR_INIT;
	size_t off = 0;

	if (!f->nl)
		skip();
	assert_int_equal(0, nl_msg_begin(&b, RTM_GETLINK, 0, &ifi, sizeof(ifi), &e));
	assert_int_equal(0, nl_get(f->nl, &b, &reply, "lo", &e));
	h = nl_msg_next(buf_span(&reply), &off);
	assert_non_null(h);
	assert_int_equal(RTM_NEWLINK, h->nlmsg_type);
	assert_string_equal("lo", (const char *)nl_attr_data(
					  nl_attr_find(nl_attrs(h, sizeof(ifi)), IFLA_IFNAME))
					  .data);
	assert_int_equal(65536, nl_attr_u32(nl_attr_find(nl_attrs(h, sizeof(ifi)), IFLA_MTU)));
	ifi.ifi_index = 4711;
	assert_int_equal(0, nl_msg_begin(&b, RTM_GETLINK, 0, &ifi, sizeof(ifi), &e));
	assert_int_equal(-1, nl_get(f->nl, &b, &reply, "if4711", &e));
	assert_int_equal(ERR_NOTFOUND, e.code);
	assert_int_equal(ENODEV, e.saved_errno);
}

static int count_links(const struct nlmsghdr *h, void *arg, struct err *e)
{
	unsigned *n = arg;

	assert_int_equal(RTM_NEWLINK, h->nlmsg_type);
	return ++*n == 40 ? 40 : 0;
}

/* More devices than fit into one packet; a callback may end the walk. */
static void test_dump(void **state)
{
	struct fixture *f = *state;
	auto_buf struct buf b = {0};
	auto_buf struct buf all = {0};
	struct ifinfomsg ifi = {0};
	struct err e = ERR_INIT;
	const struct nlmsghdr *h;
	unsigned n = 0;
	size_t off = 0;
	char name[16];

	if (!f->nl)
		skip();
	for (int i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "br%d", i + 100);
		assert_int_equal(0, link_add(f->nl, name, "bridge", 0, &e));
	}
	assert_int_equal(0, nl_msg_begin(&b, RTM_GETLINK, 0, &ifi, sizeof(ifi), &e));
	assert_int_equal(0, nl_dump_raw(f->nl, &b, &all, "links", &e));
	assert_true(all.len > 32768);
	while ((h = nl_msg_next(buf_span(&all), &off)))
		n++;
	assert_int_equal(61, n);
	assert_int_equal(all.len, off);
	n = 0;
	assert_int_equal(40, nl_dump_each(f->nl, &b, count_links, &n, "links", &e));
	assert_int_equal(40, n);
}

/* The kernel refuses this dump (no such dump for the type): an error, not an empty answer. */
static void test_dump_refused(void **state)
{
	struct fixture *f = *state;
	auto_buf struct buf b = {0};
	auto_buf struct buf all = {0};
	struct tcmsg t = {.tcm_ifindex = 4711};
	struct rtgenmsg g = {0};
	struct err e = ERR_INIT;

	if (!f->nl)
		skip();
	assert_int_equal(0, nl_msg_begin(&b, RTM_NEWLINK + 200, 0, &g, sizeof(g), &e));
	assert_int_equal(-1, nl_dump_raw(f->nl, &b, &all, "nothing", &e));
	assert_int_equal(EOPNOTSUPP, e.saved_errno);
	assert_int_equal(0, all.len);
	/* and the socket still works: classes of no device are no classes */
	assert_int_equal(0, nl_msg_begin(&b, RTM_GETTCLASS, 0, &t, sizeof(t), &e));
	assert_int_equal(0, nl_dump_raw(f->nl, &b, &all, "classes", &e));
	assert_int_equal(0, all.len);
}

static void test_walk_damage(void **state)
{
	uint32_t words[8] = {16, 0, 0, 0, 400, 0, 0, 0};
	struct span all = {(const uint8_t *)words, sizeof(words)};
	uint16_t attrs[6] = {8, 1, 5, 0, 2, 3};
	struct span at = {(const uint8_t *)attrs, sizeof(attrs)};
	size_t off = 0;

	assert_non_null(nl_msg_next(all, &off));
	assert_int_equal(16, off);
	assert_null(nl_msg_next(all, &off)); /* says 400 bytes, has 16 */
	assert_int_equal(16, off);
	assert_int_equal(5, nl_attr_u32(nl_attr_find(at, 1)));
	assert_null(nl_attr_find(at, 3)); /* says 2 bytes, less than its header */
	assert_int_equal(0, nl_attr_u32(NULL));
}

/* In a child, since capabilities dropped do not come back. */
static void test_caps(void **state)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct err e = ERR_INIT;

		if (!caps_has(CAP_NET_ADMIN))
			_exit(77);
		if (caps_need(CAPS_BIT(CAP_NET_ADMIN) | CAPS_BIT(CAP_SYS_ADMIN), "restore", &e))
			_exit(1);
		if (caps_keep(CAPS_BIT(CAP_SYS_ADMIN), &e))
			_exit(2);
		if (caps_has(CAP_NET_ADMIN) || !caps_has(CAP_SYS_ADMIN))
			_exit(3);
		if (!caps_need(CAPS_BIT(CAP_NET_ADMIN) | CAPS_BIT(CAP_SYS_ADMIN), "restore", &e) ||
		    e.code != ERR_PERM || !strstr(e.msg, "cap_net_admin") ||
		    strstr(e.msg, "cap_sys_admin"))
			_exit(4);
		if (caps_drop_all(&e) || caps_has(CAP_SYS_ADMIN))
			_exit(5);
		_exit(0);
	}
	assert_int_equal(pid, waitpid(pid, &status, 0));
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(0, WEXITSTATUS(status));
}

/* The namespace that the thread is in. */
static int where(void *arg, struct err *e)
{
	struct ns *self = ns_open_self(e);

	*(uint64_t *)arg = self ? ns_ino(self) : 0;
	ns_free(self);
	return self ? 0 : -1;
}

/* Two threads make namespaces side by side, and enter them; a forked child has neither thread and can call all the
 * same. */
static void test_workers(void **state)
{
	enum { N = 8 };
	struct err e = ERR_INIT;
	struct ns_worker *w[2] = {ns_worker_new(false, &e), ns_worker_new(false, &e)};
	struct ns *all[N] = {0};
	uint64_t made[N] = {0}, ino = 0;
	int status, failed = 0;
	pid_t pid;

	assert_true(w[0] && w[1]);
	for (size_t i = 0; i < N; i++)
		assert_non_null(all[i] = ns_worker_post_new(w[i % 2], where, &made[i], &e));
	/* each can be waited for alone */
	for (size_t i = N; i-- > 0 && !failed;)
		failed = ns_worker_wait_new(w[i % 2], all[i], &e);
	for (size_t i = 0; i < N && !failed; i++) {
		assert_int_equal(made[i], ns_ino(all[i]));
		ns_use_worker(all[i], w[0]);
		assert_int_equal(0, ns_call(all[i], where, &ino, &e));
		assert_int_equal(ino, ns_ino(all[i]));
		for (size_t k = 0; k < i; k++) {
			assert_int_not_equal(ns_ino(all[k]), ns_ino(all[i]));
			assert_true(!ns_cookie(all[i]) || ns_cookie(all[k]) != ns_cookie(all[i]));
		}
	}
	if (!failed) {
		pid = fork();
		if (!pid) {
			alarm(20);
			_exit(ns_call(all[N - 1], where, &ino, &e) || ino != ns_ino(all[N - 1]));
		}
		assert_int_equal(pid, waitpid(pid, &status, 0));
		assert_int_equal(0, status);
	}
	for (size_t i = 0; i < N; i++)
		ns_free(all[i]);
	ns_worker_free(w[0]);
	ns_worker_free(w[1]);
	if (failed)
		skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_do, setup, teardown),
		cmocka_unit_test_setup_teardown(test_get, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dump, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dump_refused, setup, teardown),
		cmocka_unit_test(test_walk_damage),
		cmocka_unit_test(test_workers),
		cmocka_unit_test(test_caps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
