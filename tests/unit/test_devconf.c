/* proto/devconf: what messages about links and neighbour tables say of a device's sysctls is what their files say, in a fresh namespace
 * and after each file that takes another value was given one. */
#include <dirent.h>
#include <fcntl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/nl.h"
#include "base/ns.h"
#include "proto/devconf.h"

static struct ns *ns;
static struct nl *nl;

static int setup(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	ns = ns_new(&e);
	nl = ns ? nl_open_in(ns, NETLINK_ROUTE, &e) : NULL;
	if (!nl)
		print_message("no namespace of our own: %s\n", e.msg);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	nl_free(nl);
	ns_free(ns);
	return 0;
}

static bool file_read(int dir, const char *name, int64_t *value)
{
	auto_close int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	char text[64], *end;
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return false;
	text[n] = 0;
	*value = strtoll(text, &end, 10);
	return *end == '\n' && end != text;
}

static void file_change(int dir, const char *name, int64_t was)
{
	static const int64_t other[] = {1, -1, 2, 7};

	for (size_t i = 0; i < ARRAY_SIZE(other); i++) {
		auto_close int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
		char text[32];
		int n = snprintf(text, sizeof(text), "%lld\n", (long long)(was + other[i]));

		if (fd < 0 || write(fd, text, (size_t)n) == n)
			return;
	}
}

/* Let fn see each file of the folder of lo. */
typedef void file_fn(int dir, int family, const char *name, int64_t value, void *arg);
struct walk {
	const char *folder;
	int family;
	file_fn *fn;
	void *arg;
};

static int walk_job(void *p, struct err *e)
{
	const struct walk *w = p;
	char path[64];
	auto_dir DIR *d = NULL;
	struct dirent *de;
	int64_t value;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv%c/%s/lo", w->family == AF_INET ? '4' : '6',
		 w->folder);
	d = opendir(path);
	if (!d)
		return err_sys(e, ERR_IO, "open %s", path);
	while ((de = readdir(d)))
		if (de->d_name[0] != '.' && file_read(dirfd(d), de->d_name, &value))
			w->fn(dirfd(d), w->family, de->d_name, value, w->arg);
	return 0;
}

static void walk(const char *folder, int family, file_fn *fn, void *arg)
{
	struct walk w = {folder, family, fn, arg};
	struct err e = ERR_INIT;

	if (ns_call(ns, walk_job, &w, &e))
		fail_msg("%s", e.msg);
}

static void change(int dir, int family, const char *name, int64_t value, void *arg)
{
	(void)family;
	(void)arg;
	file_change(dir, name, value);
}

struct seen {
	struct devconf conf;
	unsigned same, other;
	char first
		[80]; /* the first that differs: cmocka's asserts must not leave the worker thread */
};

static void compare(int dir, int family, const char *name, int64_t value, void *arg)
{
	struct seen *s = arg;
	int64_t told;

	(void)dir;
	if (!devconf_value(&s->conf, family, name, &told))
		return;
	if (told == value)
		s->same++;
	else if (!s->other++)
		snprintf(s->first, sizeof(s->first), "%s: file %lld, message %lld", name,
			 (long long)value, (long long)told);
}

static void compare_all(void)
{
	auto_buf struct buf req = {0};
	auto_buf struct buf all = {0};
	struct ifinfomsg any = {0};
	struct err e = ERR_INIT;
	struct seen v4 = {0}, v6 = {0};
	size_t off = 0;

	assert_int_equal(0, nl_msg_begin(&req, RTM_GETLINK, 0, &any, sizeof(any), &e));
	assert_int_equal(0, nl_dump_raw(nl, &req, &all, "links", &e));
	v4.conf = v6.conf = devconf_of_link(nl_msg_next(buf_span(&all), &off));
	walk("conf", AF_INET, compare, &v4);
	walk("conf", AF_INET6, compare, &v6);
	if (v4.other || v6.other)
		fail_msg("%u and %u values differ: %s; %s", v4.other, v6.other, v4.first, v6.first);
	/* all that the oldest supported kernel (5.15) has */
	assert_in_range(v4.same, 30, 200);
	assert_in_range(v6.same, 45, 200);
}

static void test_fresh(void **state)
{
	(void)state;
	if (!nl)
		skip();
	compare_all();
}

static void test_changed(void **state)
{
	(void)state;
	if (!nl)
		skip();
	walk("conf", AF_INET, change, NULL);
	walk("conf", AF_INET6, change, NULL);
	compare_all();
}

/* ---- neighbours ---- */

struct neigh_seen {
	struct span parms;
	struct seen seen;
};

static void compare_neigh(int dir, int family, const char *name, int64_t value, void *arg)
{
	struct neigh_seen *s = arg;
	int place = neighconf_place(name);
	int64_t told;

	(void)dir;
	(void)family;
	if (place < 0 || !neighconf_at(s->parms, place, &told))
		return;
	if (told == value)
		s->seen.same++;
	else if (!s->seen.other++)
		snprintf(s->seen.first, sizeof(s->seen.first), "%s: file %lld, message %lld", name,
			 (long long)value, (long long)told);
}

static void compare_tables(int family)
{
	struct ndtmsg ndt = {.ndtm_family = (uint8_t)family};
	auto_buf struct buf req = {0};
	auto_buf struct buf all = {0};
	struct neigh_seen s = {0};
	const struct nlmsghdr *h;
	struct err e = ERR_INIT;
	size_t off = 0;

	assert_int_equal(0, nl_msg_begin(&req, RTM_GETNEIGHTBL, 0, &ndt, sizeof(ndt), &e));
	assert_int_equal(0, nl_dump_raw(nl, &req, &all, "tables", &e));
	while ((h = nl_msg_next(buf_span(&all), &off))) {
		struct span parms =
			nl_attr_data(nl_attr_find(nl_attrs(h, sizeof(ndt)), NDTA_PARMS));

		if (neighconf_ifindex(parms) == 1)
			s.parms = parms;
	}
	walk("neigh", family, compare_neigh, &s);
	if (s.seen.other)
		fail_msg("%u values differ: %s", s.seen.other, s.seen.first);
	assert_in_range(s.seen.same, 13, 14); /* interval_probe_time_ms came with Linux 6.0 */
}

static void test_neighbours(void **state)
{
	(void)state;
	if (!nl)
		skip();
	compare_tables(AF_INET);
	compare_tables(AF_INET6);
	walk("neigh", AF_INET, change, NULL);
	walk("neigh", AF_INET6, change, NULL);
	compare_tables(AF_INET);
	compare_tables(AF_INET6);
	assert_int_equal(-1, neighconf_place("retrans_time"));
}

static void test_unknown(void **state)
{
	static const uint8_t four[4] = {1};
	struct devconf empty = {0}, one = {{four, 4}, {four, 4}};
	int64_t value = -7;

	(void)state;
	assert_false(devconf_value(&empty, AF_INET, "rp_filter", &value));
	assert_false(devconf_value(&one, AF_INET, "no_such_file", &value));
	assert_false(devconf_value(&one, AF_INET6, "stable_secret", &value));
	/* an older kernel's shorter array */
	assert_false(devconf_value(&one, AF_INET, "rp_filter", &value));
	assert_int_equal(-7, value);
	assert_true(devconf_value(&one, AF_INET, "forwarding", &value));
	assert_int_equal(1, value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fresh),
		cmocka_unit_test(test_changed),
		cmocka_unit_test(test_neighbours),
		cmocka_unit_test(test_unknown),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
