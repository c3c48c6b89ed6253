/* dumper/net_link on messages made by hand: kinds and states that the kernel of a test machine may not have.
 * Layouts are those of include/uapi/linux/if_link.h and if_tunnel.h; what CRIU writes for them is in its
 * format tables (fields.tsv). */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/if_tunnel.h>
#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "criu/netdev.pb-c.h"
#include "dumper/net.h"
#include "dumper/net_scan.h"
#include "proto/wire.h"

enum { ABSENT = -1000 };

/* One attribute: below IFLA_LINKINFO/IFLA_INFO_DATA when in_data. */
struct attr {
	bool in_data;
	uint16_t type;
	uint8_t size;
	uint32_t value;
};

static const struct row {
	const char *name, *kind;
	unsigned flags;
	struct attr attrs[8];
	struct {
		const char *path;
		int64_t value;
	} want[10];
	const char *loss;
} rows[] = {
	{"tun1",
	 "sit",
	 0,
	 {{true, IFLA_IPTUN_LOCAL, 4, 0x0100000a},
	  {true, IFLA_IPTUN_REMOTE, 4, 0x0200000a},
	  {true, IFLA_IPTUN_TTL, 1, 64},
	  {true, IFLA_IPTUN_PMTUDISC, 1, 1},
	  {true, IFLA_IPTUN_PROTO, 1, 41}},
	 {{"type", ND_TYPE__SIT},
	  {"sit.local", 0x0100000a},
	  {"sit.remote", 0x0200000a},
	  {"sit.ttl", 64},
	  {"sit.pmtudisc", 1},
	  {"sit.proto", 41},
	  {"sit.tos", ABSENT}},
	 NULL},
	{"mv",
	 "macvlan",
	 0,
	 {{true, IFLA_MACVLAN_MODE, 4, 8},
	  {true, IFLA_MACVLAN_FLAGS, 2, 1},
	  {false, IFLA_LINK, 4, 3}},
	 {{"type", ND_TYPE__MACVLAN},
	  {"macvlan.mode", 8},
	  {"macvlan.flags", 1},
	  {"peer_ifindex", 3},
	  {"peer_nsid", 9}},
	 NULL},
	{"known",
	 "veth",
	 IFF_UP,
	 {{false, IFLA_LINK, 4, 7}, {false, IFLA_LINK_NETNSID, 4, 2}, {false, IFLA_MASTER, 4, 5}},
	 {{"type", ND_TYPE__VETH},
	  {"peer_ifindex", 7},
	  {"peer_nsid", 12},
	  {"master", 5},
	  {"flags", IFF_UP}},
	 NULL},
	/* as in CRIU's image of limits/veth-outside: the index alone */
	{"outside",
	 "veth",
	 0,
	 {{false, IFLA_LINK, 4, 7}, {false, IFLA_LINK_NETNSID, 4, 3}},
	 {{"peer_ifindex", 7}, {"peer_nsid", ABSENT}, {"master", ABSENT}},
	 NULL},
	{"wg0", "wireguard", 0, {{0}}, {{"type", ND_TYPE__EXTLINK}}, "keys and peers"},
	{"eth0",
	 NULL,
	 0,
	 {{false, IFLA_MTU, 4, 9000}},
	 {{"type", ND_TYPE__EXTLINK}, {"mtu", 9000}},
	 NULL},
};

static void link_make(struct buf *links, const struct row *r, unsigned ifindex)
{
	struct ifinfomsg ifi = {.ifi_index = (int)ifindex, .ifi_flags = r->flags};
	auto_buf struct buf b = {0};
	struct err e = ERR_INIT;
	size_t info, data;

	nl_msg_begin(&b, RTM_NEWLINK, 0, &ifi, sizeof(ifi), &e);
	nl_put_str(&b, IFLA_IFNAME, r->name, &e);
	for (size_t i = 0; i < ARRAY_SIZE(r->attrs) && r->attrs[i].size; i++)
		if (!r->attrs[i].in_data)
			nl_put(&b, r->attrs[i].type, &r->attrs[i].value, r->attrs[i].size, &e);
	if (r->kind) {
		nl_nest_begin(&b, IFLA_LINKINFO, &info, &e);
		nl_put_str(&b, IFLA_INFO_KIND, r->kind, &e);
		nl_nest_begin(&b, IFLA_INFO_DATA, &data, &e);
		for (size_t i = 0; i < ARRAY_SIZE(r->attrs) && r->attrs[i].size; i++)
			if (r->attrs[i].in_data)
				nl_put(&b, r->attrs[i].type, &r->attrs[i].value, r->attrs[i].size,
				       &e);
		nl_nest_end(&b, data, &e);
		nl_nest_end(&b, info, &e);
	}
	((struct nlmsghdr *)(void *)b.data)->nlmsg_len = (uint32_t)b.len;
	assert_int_equal(0, net_msg_add(links, (const void *)b.data, &e));
}

static void check_row(const struct row *r, struct span msg)
{
	struct err e = ERR_INIT;
	struct wire_value v;

	for (size_t k = 0; k < ARRAY_SIZE(r->want) && r->want[k].path; k++) {
		int rc = wire_get(&net_device_entry__descriptor, msg, r->want[k].path, &v, &e);

		if (rc < 0 || rc != (r->want[k].value != ABSENT) ||
		    (rc && (int64_t)v.u != r->want[k].value))
			fail_msg("%s: %s is %s%lld", r->name, r->want[k].path,
				 rc == 1 ? ""
				 : rc    ? e.msg
					 : "absent ",
				 rc == 1 ? (long long)v.u : 0LL);
	}
}

static void test_kinds(void **state)
{
	char dir[] = "/tmp/nsimg-kinds-XXXXXX";
	struct dump d = {.dirfd = open(mkdtemp(dir), O_DIRECTORY | O_CLOEXEC)};
	struct dump_netns n = {.id = 9}, other = {.id = 12};
	struct net_nsid ids[] = {{2, &other}, {3, NULL}};
	struct net_scan s = {.d = &d, .n = &n, .nsids = ids, .n_nsids = 2, .label = "netns 9"};
	auto_img_writer struct img_writer w;
	auto_buf struct buf file = {0};
	struct img_reader rd;
	struct img_record rec;
	struct err e = ERR_INIT;
	size_t losses = 0;

	assert_true(d.dirfd >= 0);
	img_write_init(&w, d.dirfd);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		link_make(&s.links, &rows[i], (unsigned)i + 1);
	assert_int_equal(0, net_devs_read(&s, &e));
	assert_int_equal(0, net_write_devices(&s, &w, &e));
	assert_int_equal(0, io_read_file(d.dirfd, "netdev-9.img", 1 << 20, &file, &e));
	assert_int_equal(0, img_read_begin(&rd, img_type_get(IMG_NETDEV), "netdev-9.img",
					   buf_span(&file), &e));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(1, img_read_next(&rd, &rec, &e));
		check_row(&rows[i], rec.msg);
		if (!rows[i].loss)
			continue;
		assert_true(losses < d.n_losses);
		assert_non_null(strstr(d.losses[losses].reason, rows[i].loss));
		assert_non_null(strstr(d.losses[losses++].reason, rows[i].name));
	}
	assert_int_equal(losses, d.n_losses);
	assert_int_equal(0, unlinkat(d.dirfd, "netdev-9.img", 0));
	close(d.dirfd);
	assert_int_equal(0, rmdir(dir));
	for (size_t i = 0; i < d.n_losses; i++) {
		free(d.losses[i].object);
		free(d.losses[i].reason);
	}
	free(d.losses);
	free(s.devs);
	buf_free(&s.links);
}

/* A message that is too short, or of another type, is refused. */
static void test_damage(void **state)
{
	struct nlmsghdr bad[] = {{.nlmsg_len = 16, .nlmsg_type = RTM_NEWLINK},
				 {.nlmsg_len = 16, .nlmsg_type = RTM_NEWADDR}};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct net_scan s = {0};
		struct err e = ERR_INIT;

		assert_int_equal(0, net_msg_add(&s.links, &bad[i], &e));
		assert_int_equal(-1, net_devs_read(&s, &e));
		assert_int_equal(ERR_FORMAT, e.code);
		buf_free(&s.links);
		free(s.devs);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
