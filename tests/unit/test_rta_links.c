/* The attribute tables of links against the kernel and ip(8): what ip says about a device is what our columns say, and
 * what the filter leaves of a dumped message makes the same device again in another namespace. Everything happens in
 * namespaces made here. A kind that this kernel does not have is skipped by name (test_recorded has its messages). */
#include "tests/unit/rta_kernel.h"

/* Words of ip(8) for what is a number or another word in our JSON. */
static bool same_value(const struct json *ours, const struct json *ip)
{
	struct err e = ERR_INIT;
	int64_t a, b;

	if (json_same(ours, ip))
		return true;
	if (json_str(ours) && json_str(ip) && !strcasecmp(json_str(ours), json_str(ip)))
		return true;
	if (json_kind(ours) == JSON_KIND_BOOL)
		return json_to_int(ip, &b, "", &e) ? json_bool_of(ours) == json_bool_of(ip)
						   : json_bool_of(ours) == (b != 0);
	if (!json_to_int(ours, &a, "", &e) && !json_to_int(ip, &b, "", &e))
		return a == b;
	return json_kind(ours) == JSON_KIND_INT && json_kind(ip) == JSON_KIND_BOOL &&
	       (json_to_int(ours, &a, "", &e), a == json_bool_of(ip));
}

/* Members that ip prints in another unit or as a name, compared by the round trip instead. */
static bool is_ip_special(const char *key)
{
	static const char *const names[] = {"link",  "flags", "vlan_protocol", "protocol",
					    "label", "state", "port_range",    "external"};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(key, names[i]))
			return true;
	return false;
}

/* Every scalar member of ip's object that ours has too. Number of members compared. */
static size_t compare_members(const char *name, const struct json *ip, const struct json *ours)
{
	const struct json *value, *own;
	const char *key;
	void *iter = NULL;
	size_t n = 0;

	while (json_next(ip, &iter, &key, &value)) {
		own = json_get(ours, key);
		if (!own || is_ip_special(key) || json_kind(value) == JSON_KIND_OBJECT ||
		    json_kind(value) == JSON_KIND_ARRAY)
			continue;
		if (!same_value(own, value)) {
			auto_buf struct buf a = {0}, b = {0};
			struct err e = ERR_INIT;

			json_print(own, false, &a, &e);
			json_print(value, false, &b, &e);
			fail_msg("%s: %s: ours %s, ip %s", name, key, (char *)a.data,
				 (char *)b.data);
		}
		n++;
	}
	return n;
}

struct link_case {
	const char *name;
	const char *add;  /* makes x0 with index 60 */
	size_t n_members; /* of info_data that ip and we must agree on, at least */
	bool may_lack;    /* this kernel may not have the kind */
};

#define LOWER                                                                                      \
	"ip link add p0 index 50 address 02:00:00:00:00:50 type veth peer name p1 index 51;"       \
	"ip link set p0 up; ip link set p1 up;"
#define COMMON                                                                                     \
	" x0 index 60 address 02:00:00:00:00:60 mtu 1399 txqueuelen 321 numtxqueues 3 "            \
	"numrxqueues 2 group 7 type "

static const struct link_case link_cases[] = {
	{"bridge",
	 "ip link add" COMMON
	 "bridge forward_delay 1200 hello_time 300 max_age 1900 ageing_time 12344 priority 1234 "
	 "group_fwd_mask 8 group_address 01:80:c2:00:00:05 mcast_router 2 "
	 "mcast_query_use_ifaddr 1 mcast_querier 1 mcast_hash_max 1024 "
	 "mcast_last_member_count 3 mcast_startup_query_count 4 mcast_last_member_interval 110 "
	 "mcast_membership_interval 26100 mcast_querier_interval 25600 mcast_query_interval 12600 "
	 "mcast_query_response_interval 1100 mcast_startup_query_interval 3200 "
	 "mcast_stats_enabled 1 mcast_igmp_version 3 mcast_mld_version 2 no_linklocal_learn 1",
	 22, false},
	{"bridge with netfilter",
	 "ip link add" COMMON "bridge nf_call_iptables 1 nf_call_ip6tables 1 nf_call_arptables 1",
	 20, true},
	{"bridge with vlans",
	 "ip link add" COMMON
	 "bridge vlan_filtering 1 vlan_protocol 802.1ad vlan_default_pvid 7 vlan_stats_enabled 1 "
	 "vlan_stats_per_port 1 mcast_vlan_snooping 1",
	 20, true},
	{"bridge with STP",
	 "ip link add" COMMON
	 "bridge forward_delay 1200 hello_time 300 max_age 1900 stp_state 1 mcast_snooping 0",
	 10, false},
	{"vxlan",
	 "ip link add" COMMON
	 "vxlan id 4242 remote 192.0.2.1 local 192.0.2.2 dev p0 dstport 4799 srcport 1000 2000 "
	 "ttl 7 tos 12 df set nolearning proxy rsc l2miss l3miss noudpcsum ageing 77 maxaddress 88 "
	 "gbp",
	 14, false},
	{"vxlan ttl inherit",
	 "ip link add" COMMON "vxlan id 5 group 239.1.1.1 dev p0 dstport 4789 ttl inherit", 5,
	 false},
	{"vxlan ipv6",
	 "ip link add" COMMON
	 "vxlan id 6 remote 2001:db8::1 local 2001:db8::2 dstport 4789 udp6zerocsumtx "
	 "udp6zerocsumrx flowlabel 0x12345",
	 6, false},
	{"vxlan external", "ip link add" COMMON "vxlan external vnifilter dstport 4790 gpe", 3,
	 true},
	{"macvlan bridge", "ip link add link p0" COMMON "macvlan mode bridge bcqueuelen 2222", 2,
	 false},
	{"macvlan private", "ip link add link p0" COMMON "macvlan mode private", 1, false},
	{"macvlan vepa", "ip link add link p0" COMMON "macvlan mode vepa nodst", 1, true},
	{"macvlan passthru",
	 "ip link add link p0 x0 index 60 mtu 1399 type macvlan mode passthru nopromisc", 1, false},
	{"macvlan source",
	 "ip link add link p0" COMMON "macvlan mode source; "
	 "ip link set x0 type macvlan macaddr set 02:00:00:00:01:01 02:00:00:00:01:02",
	 1, false},
	{"macvtap", "ip link add link p0" COMMON "macvtap mode vepa", 1, false},
	{"ifb", "ip link add" COMMON "ifb", 0, false},
	{"dummy", "ip link add" COMMON "dummy", 0, true},
	{"vlan",
	 "ip link add link p0" COMMON
	 "vlan protocol 802.1ad id 77 reorder_hdr off gvrp on ingress 1:2 3:4 egress 5:6",
	 1, true},
	{"ipvlan", "ip link add link p0 x0 index 60 type ipvlan mode l3 private", 1, true},
	{"vrf", "ip link add" COMMON "vrf table 1001", 1, true},
	{"bond", "ip link add" COMMON "bond mode 802.3ad miimon 100 updelay 200", 3, true},
	{"gre", "ip link add x0 index 60 type gre local 192.0.2.1 remote 192.0.2.2 ttl 9 key 7", 4,
	 true},
	{"gretap", "ip link add x0 index 60 type gretap local 192.0.2.1 remote 192.0.2.2 ttl 9", 3,
	 true},
	{"ipip", "ip link add x0 index 60 type ipip local 192.0.2.1 remote 192.0.2.2 ttl 9", 3,
	 true},
	{"sit", "ip link add x0 index 60 type sit local 192.0.2.1 remote 192.0.2.2 ttl 9", 3, true},
	{"ip6tnl", "ip link add x0 index 60 type ip6tnl local 2001:db8::1 remote 2001:db8::2", 2,
	 true},
	{"vti", "ip link add x0 index 60 type vti local 192.0.2.1 remote 192.0.2.2 key 7", 2, true},
	{"geneve", "ip link add x0 index 60 type geneve id 8 remote 192.0.2.1 ttl 9", 3, true},
	{"xfrm", "ip link add x0 index 60 type xfrm dev p0 if_id 9", 1, true},
	{"netkit", "ip link add x0 index 60 type netkit", 0, true},
	{"wireguard", "ip link add x0 index 60 type wireguard", 0, true},
	{"nlmon", "ip link add x0 index 60 type nlmon", 0, true},
	{"hsr", "ip link add x0 index 60 type hsr slave1 p0 slave2 p1", 2, true},
	{"macsec", "ip link add link p0 x0 index 60 type macsec port 11 encrypt on", 1, true},
	{"bareudp", "ip link add x0 index 60 type bareudp dstport 6635 ethertype mpls_uc", 0, true},
};

static void compare_with_ip(const struct link_case *c, const struct ns *ns, struct span msg)
{
	struct err e = ERR_INIT;
	auto_json struct json *list = ip_json(c->name, ns, "ip -d -j link show dev x0");
	const struct json *ip = json_at(list, 0);
	const struct json *info = json_get(json_get(ip, "linkinfo"), "info_data");
	struct want attrs = column(msg, "attrs"), other = column(msg, "other");
	auto_json struct json *ours = json_parse(attrs.text[0] ? attrs.text : "{}",
						 strlen(attrs.text[0] ? attrs.text : "{}"), &e);
	auto_json struct json *rest = json_parse(other.text, strlen(other.text), &e);
	static const char *const top[][2] = {
		{"ifindex", "ifindex"}, {"ifname", "name"},         {"mtu", "mtu"},
		{"address", "address"}, {"broadcast", "broadcast"}, {"txqlen", "txqlen"},
	};
	size_t i, n;

	assert_non_null(ours);
	assert_non_null(rest);
	n = compare_members(c->name, info, ours);
	if (n < c->n_members)
		fail_msg("%s: only %zu members in common with ip: %s", c->name, n, attrs.text);
	n = compare_members(c->name, ip, rest);
	if (n < 5)
		fail_msg("%s: only %zu other members in common with ip: %s", c->name, n,
			 other.text);
	for (i = 0; i < ARRAY_SIZE(top); i++) {
		const struct json *value = json_get(ip, top[i][0]);
		struct want w = column(msg, top[i][1]);
		int64_t num = 0;

		if (!value && w.value.type == RTA_VALUE_NULL) /* a GPE vxlan has no address */
			continue;
		if (json_str(value) ? strcmp(json_str(value), w.text)
				    : json_to_int(value, &num, "", &e) || num != w.value.num)
			fail_msg("%s: %s differs from ip", c->name, top[i][0]);
	}
	assert_string_equal(column(msg, "kind").text,
			    json_str(json_get(json_get(ip, "linkinfo"), "info_kind")));
}

static void check_link(const struct link_case *c, const struct ns *a, const struct ns *b)
{
	auto_buf struct buf da = {0}, db = {0};
	const struct nlmsghdr *ma, *mb;
	struct err e = ERR_INIT;
	int n;

	dump(a, RTM_GETLINK, 0, 0, &da);
	ma = find_by(&da, "name", "x0");
	assert_non_null(ma);
	compare_with_ip(c, a, as_span(ma));
	send_filtered(c->name, b, as_span(ma), RTA_FOR_CREATE, NLM_F_CREATE | NLM_F_EXCL);
	dump(b, RTM_GETLINK, 0, 0, &db);
	mb = find_by(&db, "name", "x0");
	assert_non_null(mb);
	n = rta_diff(as_span(ma), as_span(mb), print_diff, (void *)c->name, &e);
	if (n)
		fail_msg("%s: %d differences after it was made again %s", c->name, n, e.msg);
	/* and the message may be sent to the device that is there */
	send_filtered(c->name, b, as_span(ma), RTA_FOR_SET, 0);
}

static void test_links(void **state)
{
	size_t i, n = 0;

	for (i = 0; i < ARRAY_SIZE(link_cases); i++) {
		const struct link_case *c = &link_cases[i];
		auto_ns struct ns *a = new_ns(), *b = new_ns();
		auto_buf struct buf out = {0};

		must_run(c->name, a, LOWER);
		must_run(c->name, b, LOWER);
		if (run(a, c->add, &out)) {
			if (!c->may_lack)
				fail_msg("%s: %s", c->name, (char *)out.data);
			print_message("skipped kind: %s: %s", c->name, (char *)out.data);
			continue;
		}
		check_link(c, a, b);
		n++;
	}
	print_message("%zu of %zu kinds of link\n", n, ARRAY_SIZE(link_cases));
	assert_true(n >= 10);
}

/* Kinds that rtnetlink does not make: a tun device comes from /dev/net/tun, a veth needs its peer. */
static void test_shown_only(void **state)
{
	static const struct link_case cases[] = {
		{"tun",
		 "ip tuntap add dev x0 mode tun user 70007 group 70008 pi one_queue vnet_hdr "
		 "multi_queue",
		 5, true},
		{"tap", "ip tuntap add dev x0 mode tap", 4, true},
		{"veth", "ip link add x0 numtxqueues 3 type veth peer name x1", 0, false},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		auto_ns struct ns *ns = new_ns();
		auto_buf struct buf out = {0}, all = {0};
		const struct nlmsghdr *h;

		if (run(ns, cases[i].add, &out)) {
			if (!cases[i].may_lack)
				fail_msg("%s: %s", cases[i].name, (char *)out.data);
			print_message("skipped kind: %s: %s", cases[i].name, (char *)out.data);
			continue;
		}
		dump(ns, RTM_GETLINK, 0, 0, &all);
		h = find_by(&all, "name", "x0");
		assert_non_null(h);
		compare_with_ip(&cases[i], ns, as_span(h));
	}
}

/* What creation does not take: alias, address generation, port options. */
static void test_link_set(void **state)
{
	static const char common[] = "ip link add br0 index 70 type bridge;"
				     "ip link add x0 index 60 type veth peer name x1 index 61;"
				     "ip link set x0 master br0;";
	auto_ns struct ns *a = new_ns(), *b = new_ns();
	auto_buf struct buf da = {0}, db = {0}, change = {0};
	const struct nlmsghdr *ma, *mb;
	struct err e = ERR_INIT;
	int n;

	must_run("set", a, common);
	must_run("set", b, common);
	must_run("set", a,
		 "ip link set x0 alias 'an \"alias\" \\ with quotes' mtu 1444 group 9;"
		 "ip link set x0 address 02:00:00:00:00:61 txqueuelen 99;"
		 "ip link set x0 addrgenmode none;"
		 "ip link set x0 type bridge_slave priority 5 cost 77 hairpin on guard on "
		 "root_block on fastleave on learning off flood off proxy_arp on mcast_router 2 "
		 "mcast_flood off mcast_to_unicast on group_fwd_mask 8 neigh_suppress on "
		 "vlan_tunnel on isolated on locked on bcast_flood off");
	dump(a, RTM_GETLINK, 0, 0, &da);
	ma = find_by(&da, "name", "x0");
	assert_non_null(ma);
	assert_string_equal(column(as_span(ma), "alias").text, "an \"alias\" \\\\ with quotes");
	dump(b, RTM_GETLINK, 0, 0, &db);
	mb = find_by(&db, "name", "x0");
	if (rta_change(as_span(ma), as_span(mb), &change, &e))
		fail_msg("%s", e.msg);
	send_msg("change", b, &change, 0);
	buf_reset(&db);
	dump(b, RTM_GETLINK, 0, 0, &db);
	mb = find_by(&db, "name", "x0");
	n = rta_diff(as_span(ma), as_span(mb), print_diff, "set", &e);
	if (n)
		fail_msg("%d differences after set %s", n, e.msg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_links),
		cmocka_unit_test(test_shown_only),
		cmocka_unit_test(test_link_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
