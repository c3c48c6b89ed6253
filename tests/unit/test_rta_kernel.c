/* The attribute tables of everything but links (test_rta_links) against the kernel and ip(8): what ip says about an
 * object is what our columns say, and what the filter leaves of a dumped message makes the same object again in
 * another namespace. Everything happens in namespaces made here. */
#include <linux/fib_rules.h>
#include <linux/nexthop.h>

#include "tests/unit/rta_kernel.h"

struct state_case {
	const char *name;
	const char *common; /* in both namespaces */
	const char *make;   /* in the first */
	uint16_t get;
	uint8_t family;
	const char *
		ip; /* prints the same objects as JSON, in the order of the dump; NULL: not compared */
	const char *need; /* a file that tells whether the kernel has it */
};

#define UP2                                                                                        \
	"ip link add p0 index 50 address 02:00:00:00:00:50 type veth peer name p1 index 51 "       \
	"address 02:00:00:00:00:51;"                                                               \
	"sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0;"            \
	"ip link set lo up; ip link set p0 up; ip link set p1 up;"
#define ADDR2 UP2 "ip addr add 10.0.0.1/24 dev p0; ip addr add 2001:db8::1/64 dev p0 nodad;"
/* what is up is so for the kernel, too (linkwatch), and has the routes that follow from it */
#define SETTLE                                                                                     \
	"for i in $(seq 1500); do"                                                                 \
	" ip -o link show up | grep -qv 'state UP\\|LOOPBACK' || break; sleep 0.02; done;"

static const struct state_case state_cases[] = {
	{"addresses", UP2,
	 "ip addr add 10.0.0.1/24 brd + dev p0 label p0:one;"
	 "ip addr add 10.0.0.2/24 dev p0 noprefixroute valid_lft 3000 preferred_lft 2000;"
	 "ip addr add 10.1.0.1 peer 10.1.0.2/32 dev p0 metric 77;"
	 "ip addr add 10.2.0.1/16 scope link dev p1;"
	 "ip addr add 2001:db8::1/64 dev p0 nodad metric 99;"
	 "ip addr add 2001:db8:1::1/128 dev p0 nodad noprefixroute valid_lft 3000 "
	 "preferred_lft 0;"
	 "ip addr add 2001:db8:2::1 peer 2001:db8:2::2/128 dev p1 nodad home;",
	 RTM_GETADDR, 0, NULL, NULL},
	{"routes", ADDR2,
	 "ip route add 10.5.0.0/16 via 10.0.0.9 metric 5 mtu 1400 advmss 1000 rtt lock 30 "
	 "initcwnd 11 congctl reno features ecn quickack 1;"
	 "ip route add 10.6.0.0/16 dev p0 tos 0x10 table 1000 proto 99 src 10.0.0.1 scope link;"
	 "ip route add blackhole 10.7.0.0/16; ip route add prohibit 10.7.1.0/24 metric 7;"
	 "ip route add unreachable 10.7.2.0/24; ip route add throw 10.7.3.0/24 table 77;"
	 "ip route add local 10.7.4.1 dev p0 table 255;"
	 "ip route add 10.8.0.0/16 nexthop via 10.0.0.2 dev p0 weight 3 nexthop via 10.0.0.3 "
	 "dev p0 weight 255 onlink;"
	 "ip route add 10.9.0.0/16 via inet6 2001:db8::9 dev p0;"
	 "ip route add 10.10.0.1/32 via 10.99.0.1 dev p0 onlink;"
	 "ip route add default via 10.0.0.254;"
	 "ip route add 2001:db8:5::/48 via 2001:db8::9 metric 12 mtu 1300 hoplimit 9 pref high;"
	 "ip route add 2001:db8:6::/48 nexthop via 2001:db8::2 dev p0 weight 2 nexthop via "
	 "2001:db8::3 dev p0;"
	 "ip route add unreachable 2001:db8:7::/48; ip -6 route add blackhole default table 5;"
	 "ip -6 route add 2001:db8:8::/48 dev p0 expires 1000;",
	 RTM_GETROUTE, 0, "ip -N -d -j route show table all", NULL},
	{"rules", "",
	 "ip rule add from 10.0.0.0/8 to 10.1.0.0/16 iif lo tos 0x10 fwmark 0x1/0xff table 1000 "
	 "pref 100;"
	 "ip rule add not from 10.2.0.0/16 oif p9 blackhole pref 101;"
	 "ip rule add ipproto tcp sport 80 dport 1000-2000 uidrange 0-1000 lookup 7 pref 102;"
	 "ip rule add goto 32766 pref 103; ip rule add nop pref 104;"
	 "ip rule add lookup main suppress_prefixlength 0 suppress_ifgroup 3 pref 105;"
	 "ip rule add from all lookup 99999 protocol 88 pref 106;"
	 "ip rule add tun_id 12 prohibit pref 107;",
	 RTM_GETRULE, AF_INET, "ip -N -j rule", NULL},
	{"rules of IPv6", "",
	 "ip -6 rule add from 2001:db8::/32 to 2001:db8:1::/48 fwmark 7 table 1000 pref 100;"
	 "ip -6 rule add unreachable pref 101; ip -6 rule add goto 32766 pref 102;",
	 RTM_GETRULE, AF_INET6, "ip -6 -N -j rule", NULL},
	{"nexthops", ADDR2,
	 "ip nexthop add id 7 via 10.0.0.9 dev p0 proto 99; ip nexthop add id 8 dev p0;"
	 "ip nexthop add id 9 blackhole; ip nexthop add id 10 via 2001:db8::9 dev p0;"
	 "ip nexthop add id 17 via 10.99.0.9 dev p0 onlink;"
	 "ip nexthop add id 20 group 7,3/8,250; ip nexthop add id 21 via 10.0.0.8 fdb;",
	 RTM_GETNEXTHOP, 0, "ip -N -d -j nexthop", NULL},
	{"resilient nexthops", ADDR2,
	 "ip nexthop add id 7 via 10.0.0.9 dev p0; ip nexthop add id 8 via 10.0.0.8 dev p0;"
	 "ip nexthop add id 22 group 7/8 type resilient buckets 8 idle_timer 60 "
	 "unbalanced_timer 300;",
	 RTM_GETNEXTHOP, 0, "ip -N -d -j nexthop", NULL},
	{"routes by nexthop",
	 ADDR2 "ip nexthop add id 7 via 10.0.0.9 dev p0; ip nexthop add id 8 via 10.0.0.8 dev p0;"
	       "ip nexthop add id 20 group 7/8; ip nexthop add id 10 via 2001:db8::9 dev p0;",
	 "ip route add 10.5.0.0/16 nhid 7; ip route add 10.6.0.0/16 nhid 20 metric 4;"
	 "ip route add 2001:db8:5::/48 nhid 10;",
	 RTM_GETROUTE, 0, "ip -N -d -j route show table all", NULL},
	{"neighbours", ADDR2,
	 "ip neigh add 10.0.0.7 lladdr 02:00:00:00:00:07 dev p0 protocol 99;"
	 "ip neigh add 10.0.0.8 lladdr 02:00:00:00:00:08 nud noarp router dev p0;"
	 "ip neigh add 2001:db8::7 lladdr 02:00:00:00:00:07 dev p0 router;"
	 "ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev p0 extern_learn;",
	 RTM_GETNEIGH, 0, "ip -N -j neigh show nud all", NULL},
	{"fdb",
	 UP2 "ip link add br0 index 70 address 02:00:00:00:00:70 type bridge;"
	     "ip link set p0 master br0;"
	     "ip link add x0 index 60 address 02:00:00:00:00:60 type vxlan id 5 dstport 4789;",
	 "bridge fdb add 02:00:00:00:00:07 dev p0 master static;"
	 "bridge fdb add 02:00:00:00:00:08 dev p0 self;"
	 "bridge fdb add 02:00:00:00:00:09 dev x0 dst 10.0.0.9 port 4000 vni 77 via p1;"
	 "bridge fdb append 00:00:00:00:00:00 dev x0 dst 10.0.0.10;",
	 RTM_GETNEIGH, AF_BRIDGE, NULL, NULL},
	{"qdiscs", UP2,
	 "tc qdisc add dev p0 root handle 1: htb default 10 r2q 7;"
	 "tc qdisc add dev p0 handle ffff: ingress;"
	 "tc qdisc add dev p1 root handle 3: tbf rate 1mbit burst 10kb latency 70ms;",
	 RTM_GETQDISC, 0, NULL, NULL},
};

/* Columns that ip -N -j prints under its own names. */
static const struct {
	uint16_t get;
	const char *ip, *column;
} ip_names[] = {
	{RTM_GETROUTE, "dst", "dst"},
	{RTM_GETROUTE, "gateway", "gateway"},
	{RTM_GETROUTE, "metric", "priority"},
	{RTM_GETROUTE, "prefsrc", "prefsrc"},
	{RTM_GETROUTE, "protocol", "protocol"},
	{RTM_GETROUTE, "table", "table"},
	{RTM_GETROUTE, "nhid", "nh_id"},
	{RTM_GETRULE, "priority", "priority"},
	{RTM_GETRULE, "table", "table"},
	{RTM_GETRULE, "iif", "iif"},
	{RTM_GETRULE, "oif", "oif"},
	{RTM_GETRULE, "fwmark", "fwmark"},
	{RTM_GETRULE, "fwmask", "fwmask"},
	{RTM_GETRULE, "suppress_prefixlen", "suppress_prefixlength"},
	{RTM_GETRULE, "suppress_ifgroup", "suppress_ifgroup"},
	{RTM_GETRULE, "protocol", "protocol"},
	{RTM_GETNEXTHOP, "id", "nh_id"},
	{RTM_GETNEXTHOP, "gateway", "gateway"},
	{RTM_GETNEXTHOP, "protocol", "protocol"},
	{RTM_GETNEIGH, "dst", "dst"},
	{RTM_GETNEIGH, "lladdr", "lladdr"},
	{RTM_GETNEIGH, "protocol", "protocol"},
};

static void compare_list(const struct state_case *c, const struct json *list, const struct buf *all)
{
	const struct nlmsghdr *h;
	size_t off = 0, n = 0, compared = 0, i;
	struct err e = ERR_INIT;

	while ((h = nl_msg_next(buf_span(all), &off))) {
		/* ip shows no multicast routing rules and tables */
		if (column(as_span(h), "family").value.num > AF_INET6)
			continue;
		for (i = 0; i < ARRAY_SIZE(ip_names); i++) {
			const struct json *v = json_get(json_at(list, n), ip_names[i].ip);
			struct want w;
			int64_t num;

			if (ip_names[i].get != c->get || !v)
				continue;
			w = column(as_span(h), ip_names[i].column);
			compared++;
			if (w.value.type == RTA_VALUE_INT
				    ? json_to_int(v, &num, "", &e) || num != w.value.num
				    : !json_str(v) || strcmp(json_str(v), w.text))
				fail_msg("%s: row %zu: %s: ours %s/%lld", c->name, n,
					 ip_names[i].ip, w.text, (long long)w.value.num);
		}
		n++;
	}
	if (n != json_len(list))
		fail_msg("%s: %zu objects, ip shows %zu", c->name, n, json_len(list));
	if (compared < n)
		fail_msg("%s: only %zu values compared in %zu objects", c->name, compared, n);
}

/* What ip shows against what we read of the same moment: the kernel learns neighbours by itself, so both are taken
 * again until nothing came between. */
static void compare_state(const struct state_case *c, const struct ns *ns, struct buf *all)
{
	for (int tries = 0; tries < 50; tries++) {
		auto_json struct json *list = ip_json(c->name, ns, c->ip);
		auto_buf struct buf after = {0};

		dump(ns, c->get, c->family, 0, &after);
		if (after.len == all->len) {
			compare_list(c, list, all);
			return;
		}
		buf_reset(all);
		dump(ns, c->get, c->family, 0, all);
	}
	fail_msg("%s: never the same for a moment", c->name);
}

static const struct nlmsghdr *find_equal(const struct buf *all, struct span msg)
{
	const struct nlmsghdr *h;
	struct err e = ERR_INIT;
	size_t off = 0;

	while ((h = nl_msg_next(buf_span(all), &off)))
		if (!rta_diff(msg, as_span(h), count_diff, NULL, &e))
			return h;
	return NULL;
}

/* Each object of the first dump that the second lacks. */
static size_t each_missing(const struct state_case *c, const struct buf *da, const struct buf *db,
			   const struct ns *ns)
{
	const struct nlmsghdr *h;
	size_t off = 0, n = 0;

	while ((h = nl_msg_next(buf_span(da), &off))) {
		auto_buf struct buf text = {0};
		struct err e = ERR_INIT;

		if (find_equal(db, as_span(h)))
			continue;
		n++;
		if (ns) {
			send_filtered(c->name, ns, as_span(h), RTA_FOR_CREATE,
				      NLM_F_CREATE | (c->get == RTM_GETROUTE ? NLM_F_APPEND : 0));
			continue;
		}
		rta_json(as_span(h), &text, &e);
		print_error("%s: not there again: %s\n", c->name, (char *)text.data);
	}
	return n;
}

static void test_states(void **state)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(state_cases); i++) {
		const struct state_case *c = &state_cases[i];
		auto_ns struct ns *a = new_ns(), *b = new_ns();
		auto_buf struct buf da = {0}, db = {0}, again = {0};
		size_t n;

		must_run(c->name, a, c->common);
		must_run(c->name, b, c->common);
		must_run(c->name, a, c->make);
		must_run(c->name, a, SETTLE);
		must_run(c->name, b, SETTLE);
		dump(a, c->get, c->family, 0, &da);
		dump(b, c->get, c->family, 0, &db);
		if (c->ip)
			compare_state(c, a, &da);
		n = each_missing(c, &da, &db, b);
		if (n < 2)
			fail_msg("%s: only %zu objects to make", c->name, n);
		dump(b, c->get, c->family, 0, &again);
		n = each_missing(c, &da, &again, NULL);
		if (n)
			fail_msg("%s: %zu objects did not come back the same", c->name, n);
	}
}

/* Classes and filters are dumped per device. */
static void test_classes(void **state)
{
	static const char common[] = UP2 "tc qdisc add dev p0 root handle 1: htb default 10;";
	auto_ns struct ns *a = new_ns(), *b = new_ns();
	static const struct state_case classes = {.name = "classes", .get = RTM_GETTCLASS};
	static const struct state_case filters = {.name = "filters", .get = RTM_GETTFILTER};
	auto_buf struct buf ca = {0}, cb = {0}, fa = {0}, cc = {0}, fc = {0};
	const struct nlmsghdr *h;
	size_t off = 0, n = 0;

	must_run("classes", a, common);
	must_run("classes", b, common);
	must_run("classes", a,
		 "tc class add dev p0 parent 1: classid 1:1 htb rate 1mbit ceil 2mbit;"
		 "tc class add dev p0 parent 1:1 classid 1:10 htb rate 500kbit ceil 1mbit prio 2 "
		 "quantum 3000;");
	dump(a, RTM_GETTCLASS, 0, 50, &ca);
	dump(b, RTM_GETTCLASS, 0, 50, &cb);
	/* the kernel dumps by hash, children may come first: two rounds */
	while ((h = nl_msg_next(buf_span(&ca), &off)))
		if (column(as_span(h), "parent").value.num == 0xffffffff)
			send_filtered("class", b, as_span(h), RTA_FOR_CREATE, NLM_F_CREATE), n++;
	for (off = 0; (h = nl_msg_next(buf_span(&ca), &off));)
		if (column(as_span(h), "parent").value.num != 0xffffffff)
			send_filtered("class", b, as_span(h), RTA_FOR_CREATE, NLM_F_CREATE), n++;
	assert_int_equal(n, 2);
	dump(b, RTM_GETTCLASS, 0, 50, &cc);
	assert_int_equal(each_missing(&classes, &ca, &cc, NULL), 0);

	must_run("filters", a,
		 "tc filter add dev p0 parent 1: protocol ip prio 5 u32 match ip dst 10.0.0.0/8 "
		 "match ip dport 80 0xffff flowid 1:10");
	dump(a, RTM_GETTFILTER, 0, 50, &fa);
	for (off = 0; (h = nl_msg_next(buf_span(&fa), &off));) {
		/* the hash tables of u32 come with the first filter; only those with a selector are filters */
		if (!strstr(column(as_span(h), "other").text, "\"sel\""))
			continue;
		send_filtered("filter", b, as_span(h), RTA_FOR_CREATE, NLM_F_CREATE);
	}
	dump(b, RTM_GETTFILTER, 0, 50, &fc);
	assert_int_equal(each_missing(&filters, &fa, &fc, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_classes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
