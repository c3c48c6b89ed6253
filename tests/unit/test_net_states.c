/* dumper/net: a namespace that nobody touched, one that never stands still, one in a user namespace, many at once. */
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/genetlink.h>
#include <linux/seg6_genl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/nl.h"
#include "base/ns.h"
#include "dumper/net.h"
#include "dumper/net_sysctl.h"

static struct dump d = {.dirfd = -1, .next_ns_id = 9};
static char dir[] = "/tmp/nsimg-states-XXXXXX";
static bool can; /* make network namespaces */

static int setup(void **state)
{
	struct err e = ERR_INIT;
	struct ns *ns = ns_new(&e);

	can = ns != NULL;
	if (!can)
		print_message("no namespaces of our own: %s\n", e.msg);
	ns_free(ns);
	if (!mkdtemp(dir))
		return -1;
	d.dirfd = open(dir, O_DIRECTORY | O_CLOEXEC);
	return d.dirfd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	auto_dir DIR *all = fdopendir(d.dirfd);
	struct dirent *de;

	while (all && (de = readdir(all)))
		unlinkat(d.dirfd, de->d_name, 0);
	rmdir(dir);
	for (size_t i = 0; i < d.n_netns; i++) {
		ns_free(d.netns[i]->ns);
		free(d.netns[i]);
	}
	free(d.netns);
	for (size_t i = 0; i < d.n_losses; i++) {
		free(d.losses[i].object);
		free(d.losses[i].reason);
	}
	free(d.losses);
	net_held_free(d.held);
	net_cache_free(d.net);
	return 0;
}

/* An untouched namespace says nothing beyond what every namespace has. */
static void test_fresh(void **state)
{
	struct err e = ERR_INIT;
	struct dump_netns *n;
	struct stat st;

	if (!can)
		skip();
	n = dump_netns_of(&d, ns_new(&e), &e);
	assert_non_null(n);
	assert_int_equal(0, net_read(&d, &n, 1, &e));
	assert_int_equal(0, net_write_held(&d, &e));
	assert_int_equal(-1, fstatat(d.dirfd, "nsimg-sysctl-9.img", &st, 0));
	assert_int_equal(-1, fstatat(d.dirfd, "netns-ct-9.img", &st, 0));
	assert_int_equal(0, fstatat(d.dirfd, "nftables-9.img", &st, 0));
	assert_int_equal(0, st.st_size);
	assert_int_equal(0600, st.st_mode & 07777);
}

/* A namespace that never stands still: read three times, then noted. */
struct churn {
	struct nl *nl;
	volatile bool stop;
};

static void *churn_run(void *arg)
{
	struct churn *c = arg;
	auto_buf struct buf b = {0};
	struct err e = ERR_INIT;

	for (char alias[] = "a"; !c->stop; alias[0] ^= 3) {
		/* the kernel tells of a new alias only while the device is up */
		struct ifinfomsg ifi = {.ifi_index = 1, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};

		nl_msg_begin(&b, RTM_NEWLINK, 0, &ifi, sizeof(ifi), &e);
		nl_put_str(&b, IFLA_IFALIAS, alias, &e);
		nl_do(c->nl, &b, "lo", &e);
	}
	return NULL;
}

/* Dump while somebody changes the namespace, until that was noticed: on a busy machine the other thread may
 * stand still during a whole dump. */
static int dump_changing(struct dump_netns *n, struct err *e)
{
	struct churn c = {.nl = nl_open_in(n->ns, NETLINK_ROUTE, e)};
	size_t before = d.n_losses;
	pthread_t thread;
	int r = 0;

	assert_non_null(c.nl);
	assert_int_equal(0, pthread_create(&thread, NULL, churn_run, &c));
	for (int i = 0; i < 200 && !r && d.n_losses == before; i++)
		r = net_read(&d, &n, 1, e) || net_write_held(&d, e) ? -1 : 0;
	c.stop = true;
	pthread_join(thread, NULL);
	nl_free(c.nl);
	return r;
}

static void test_changing(void **state)
{
	struct err e = ERR_INIT;
	struct dump_netns *n;
	size_t before = d.n_losses;

	if (!can)
		skip();
	n = dump_netns_of(&d, ns_new(&e), &e);
	assert_non_null(n);
	assert_int_equal(0, dump_changing(n, &e));
	assert_int_equal(before + 1, d.n_losses);
	assert_non_null(strstr(d.losses[before].reason, "changed each of the 3 times"));
	/* and a dump that refuses losses fails, naming it */
	d.opts.strict = true;
	assert_int_equal(-1, dump_changing(n, &e));
	d.opts.strict = false;
	assert_int_equal(ERR_UNSUPPORTED, e.code);
	assert_non_null(strstr(e.msg, "changed each of the 3 times"));
}

/* In a user namespace of its own, where root is root of nothing else. */
static int user_ns_child(void)
{
	struct err e = ERR_INIT;
	struct dump mine = {.dirfd = d.dirfd, .next_ns_id = 50};
	struct dump_netns *n;

	if (unshare(CLONE_NEWUSER) || io_write_proc(AT_FDCWD, "/proc/self/setgroups", "deny", &e) ||
	    io_write_proc(AT_FDCWD, "/proc/self/uid_map", "0 0 1", &e) ||
	    io_write_proc(AT_FDCWD, "/proc/self/gid_map", "0 0 1", &e))
		return 77;
	n = dump_netns_of(&mine, ns_new(&e), &e);
	if (!n || net_read(&mine, &n, 1, &e) || net_write_held(&mine, &e) || mine.n_losses) {
		fprintf(stderr, "%s %s\n", e.msg, mine.n_losses ? mine.losses[0].reason : "");
		return 1;
	}
	return 0;
}

static void test_user_ns(void **state)
{
	struct stat st;
	int status;
	pid_t pid;

	if (!can)
		skip();
	pid = fork();
	if (pid == 0)
		_exit(user_ns_child());
	assert_int_equal(pid, waitpid(pid, &status, 0));
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("no user namespaces here\n");
		skip();
	}
	assert_int_equal(0, WEXITSTATUS(status));
	assert_int_equal(0, fstatat(d.dirfd, "netdev-50.img", &st, 0));
}

/* A source address of segment routing, which a dump names and does not keep. */
static int set_source(const struct ns *ns, struct err *e)
{
	static const uint8_t addr[16] = {0xfd, [15] = 1};
	struct genlmsghdr g = {.cmd = SEG6_CMD_SET_TUNSRC, .version = 1};
	auto_nl struct nl *nl = nl_open_in(ns, NETLINK_GENERIC, e);
	uint16_t family = nl ? nl_genl_family(nl, "SEG6") : 0;
	auto_buf struct buf b = {0};

	if (!family)
		return err_set(e, ERR_UNSUPPORTED, "no family SEG6");
	return nl_msg_begin(&b, family, 0, &g, sizeof(g), e) ||
			       nl_put(&b, SEG6_ATTR_DST, addr, sizeof(addr), e) ||
			       nl_do(nl, &b, "source address", e)
		       ? -1
		       : 0;
}

static void name_lo(const struct ns *ns, const char *alias)
{
	struct ifinfomsg ifi = {.ifi_index = 1};
	struct err e = ERR_INIT;
	auto_nl struct nl *nl = nl_open_in(ns, NETLINK_ROUTE, &e);
	auto_buf struct buf b = {0};

	assert_non_null(nl);
	assert_int_equal(0, nl_msg_begin(&b, RTM_NEWLINK, 0, &ifi, sizeof(ifi), &e));
	assert_int_equal(0, nl_put_str(&b, IFLA_IFALIAS, alias, &e));
	assert_int_equal(0, nl_do(nl, &b, "lo", &e));
}

enum { MANY = 9, MANY_ID = 70 };

/* Namespaces that are read at the same time: each image has its own, and losses come in their order. */
static void check_many(struct dump *many)
{
	struct err e = ERR_INIT;
	char name[32], words[64];

	assert_int_equal(0, net_read(many, many->netns, MANY, &e));
	assert_int_equal(0, net_write_held(many, &e));
	assert_int_equal(MANY - 1, many->n_losses);
	for (unsigned i = 0; i < MANY; i++) {
		auto_buf struct buf b = {0};

		snprintf(name, sizeof(name), "netdev-%u.img", MANY_ID + i);
		snprintf(words, sizeof(words), "number %u", i);
		assert_int_equal(0, io_read_file(d.dirfd, name, 1 << 20, &b, &e));
		assert_non_null(memmem(b.data, b.len, words, strlen(words)));
		if (!i)
			continue;
		snprintf(name, sizeof(name), "netns %u", MANY_ID + i);
		assert_string_equal(name, many->losses[i - 1].object);
		assert_non_null(strstr(many->losses[i - 1].reason, "ip sr tunsrc"));
	}
	many->opts.strict = true;
	assert_int_equal(-1, net_read(many, many->netns, MANY, &e));
	assert_int_equal(ERR_UNSUPPORTED, e.code);
	assert_non_null(strstr(e.msg, "netns 71: the source address of segment routing"));
}

static void test_many(void **state)
{
	struct dump many = {.dirfd = d.dirfd, .next_ns_id = MANY_ID};
	struct err e = ERR_INIT;
	unsigned i;

	if (!can)
		skip();
	for (i = 0; i < MANY; i++) {
		struct dump_netns *n = dump_netns_of(&many, ns_new(&e), &e);
		char alias[32];

		assert_non_null(n);
		snprintf(alias, sizeof(alias), "number %u", i);
		name_lo(n->ns, alias);
		if (i && set_source(n->ns, &e))
			break;
	}
	if (i == MANY)
		check_many(&many);
	else
		print_message("no segment routing here: %s\n", e.msg);
	for (size_t k = 0; k < many.n_netns; k++) {
		ns_free(many.netns[k]->ns);
		free(many.netns[k]);
	}
	free(many.netns);
	for (size_t k = 0; k < many.n_losses; k++)
		dump_loss_free(&many.losses[k]);
	free(many.losses);
	net_held_free(many.held);
	net_cache_free(many.net);
	manifest_free(&many.files);
	if (i < MANY)
		skip();
}

/* A file of a device that is opened before it is read, in a namespace of the calling thread's. */
struct ahead {
	struct sysctl_schema *schema;
	struct sysctl_files *files;
	struct sysctls read;
	struct nl *rt;
	const char *secret; /* what is read of the only device */
};

static int secret_of(const char *value, struct err *e)
{
	return io_write_proc(AT_FDCWD, "/proc/sys/net/ipv6/conf/lo/stable_secret", value, e);
}

static int ahead_open(void *arg, struct err *e)
{
	struct ahead *a = arg;

	a->rt = nl_open(NETLINK_ROUTE, e);
	if (!a->schema)
		a->schema = a->rt ? sysctl_schema_read(a->rt, e) : NULL;
	a->files = a->schema ? sysctl_files_open(a->schema, 4096, e) : NULL;
	return a->files ? 0 : -1;
}

static int ahead_read(void *arg, struct err *e)
{
	struct ifinfomsg ifi = {0};
	auto_buf struct buf req = {0}, links = {0};
	struct ahead *a = arg;
	char device[IFNAMSIZ];
	enum sysctl_list list;
	struct sysctl_value v = {0};
	size_t pos;

	if (sysctl_files_read(a->files, e) ||
	    nl_msg_begin(&req, RTM_GETLINK, 0, &ifi, sizeof(ifi), e) ||
	    nl_dump_raw(a->rt, &req, &links, "devices", e) ||
	    sysctls_read(&a->read, a->schema, a->files, a->rt, &links, e))
		return -1;
	a->secret = sysctl_of_path("net/ipv6/conf/lo/stable_secret", &list, &pos, device,
				   sizeof(device)) &&
				    sysctls_listed(&a->read, list, pos, 0, &v)
			    ? v.text
			    : "none";
	nl_free(a->rt); /* here: it is in this thread's table */
	return 0;
}

static int lo_name(struct ahead *a, const char *name, struct err *e)
{
	struct ifinfomsg ifi = {.ifi_index = 1};
	auto_buf struct buf b = {0};

	return nl_msg_begin(&b, RTM_NEWLINK, 0, &ifi, sizeof(ifi), e) ||
			       nl_put_str(&b, IFLA_IFNAME, name, e) || nl_do(a->rt, &b, name, e)
		       ? -1
		       : 0;
}

/* Away and back: its files are others now (addrconf_sysctl_unregister), and nothing is read of those before. */
static int lo_rename(void *arg, struct err *e)
{
	return lo_name(arg, "lo2", e) || lo_name(arg, "lo", e) || secret_of("2001:db8::2", e) ? -1
											      : 0;
}

static int lo_secret(void *arg, struct err *e)
{
	return secret_of("2001:db8::1", e);
}

static void ahead_done(struct ahead *a)
{
	sysctls_free(&a->read);
	sysctl_files_free(a->files);
	a->files = NULL;
}

/* What changes between the opening of a device's file and the moment at which tasks stand still is what the image
 * says, also when the device has got its name since. */
static void test_ahead(void **state)
{
	struct err e = ERR_INIT;
	auto_ns struct ns *ns = can ? ns_new(&e) : NULL;
	struct ns_worker *w = ns ? ns_worker_new(true, &e) : NULL; /* closes the files */
	struct ahead a = {0};

	if (!w)
		skip();
	ns_use_worker(ns, w);
	assert_int_equal(0, ns_call(ns, ahead_open, &a, &e));
	assert_int_equal(0, ns_call(ns, lo_secret, NULL, &e));
	assert_int_equal(0, ns_call(ns, ahead_read, &a, &e));
	assert_string_equal("2001:0db8:0000:0000:0000:0000:0000:0001", a.secret);
	ahead_done(&a);
	assert_int_equal(0, ns_call(ns, ahead_open, &a, &e));
	assert_int_equal(0, ns_call(ns, lo_rename, &a, &e));
	assert_int_equal(0, ns_call(ns, ahead_read, &a, &e));
	assert_string_equal("2001:0db8:0000:0000:0000:0000:0000:0002", a.secret);
	ahead_done(&a);
	sysctl_schema_free(a.schema);
	ns_worker_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fresh),   cmocka_unit_test(test_changing),
		cmocka_unit_test(test_user_ns), cmocka_unit_test(test_many),
		cmocka_unit_test(test_ahead),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
