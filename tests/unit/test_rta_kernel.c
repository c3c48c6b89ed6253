/* The attribute tables against the kernel and ip(8): what ip says about an object is what our columns say, and
 * what the filter leaves of a dumped message makes the same object again in another namespace. Everything
 * happens in namespaces made here. A kind that this kernel does not have is skipped by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <linux/fib_rules.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/nl.h"
#include "base/ns.h"
#include "proto/rta.h"

/* --- running ip(8) in a namespace --- */

static int run(const struct ns *ns, const char *script, struct buf *out)
{
	struct err e = ERR_INIT;
	int pipefd[2], status;
	char chunk[4096];
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(pipefd), 0);
	fflush(NULL);
	pid = fork();
	if (!pid) {
		if (ns_enter(ns_fd(ns), &e))
			_exit(98);
		dup2(pipefd[1], 1);
		dup2(pipefd[1], 2);
		close(pipefd[0]);
		close(pipefd[1]);
		execl("/bin/sh", "sh", "-ec", script, (char *)NULL);
		_exit(99);
	}
	assert_true(pid > 0);
	close(pipefd[1]);
	while ((n = read(pipefd[0], chunk, sizeof(chunk))) > 0)
		assert_int_equal(buf_add(out, chunk, (size_t)n, &e), 0);
	close(pipefd[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void must_run(const char *name, const struct ns *ns, const char *script)
{
	auto_buf struct buf out = {0};

	if (script && run(ns, script, &out))
		fail_msg("%s: %s\n%s", name, (char *)out.data, script);
}

static struct json *ip_json(const char *name, const struct ns *ns, const char *script)
{
	auto_buf struct buf out = {0};
	struct err e = ERR_INIT;
	struct json *j;

	if (run(ns, script, &out))
		fail_msg("%s: %s: %s", name, script, (char *)out.data);
	if (!out.len)
		return json_new_array();
	j = json_parse((char *)out.data, out.len, &e);
	if (!j)
		fail_msg("%s: %s: %s: %s", name, script, e.msg, (char *)out.data);
	return j;
}

static struct ns *new_ns(void)
{
	struct err e = ERR_INIT;
	struct ns *ns;

	if (geteuid()) {
		print_message("skipped: needs root to make namespaces\n");
		skip();
	}
	ns = ns_new(&e);
	if (!ns) {
		print_message("skipped: %s\n", e.msg);
		skip();
	}
	return ns;
}

/* --- dumps --- */

static void dump(const struct ns *ns, uint16_t type, uint8_t family, int ifindex, struct buf *out)
{
	struct err e = ERR_INIT;
	auto_buf struct buf req = {0};
	struct tcmsg hdr = {.tcm_family = family, .tcm_ifindex = ifindex};
	struct nl *nl = nl_open_in(ns, NETLINK_ROUTE, &e);

	if (!nl)
		fail_msg("%s", e.msg);
	if (nl_msg_begin(&req, type, 0, &hdr, type == RTM_GETNEXTHOP ? 8 : sizeof(hdr) - 4, &e))
		fail_msg("%s", e.msg);
	/* tcmsg is 20 bytes, ifinfomsg 16, rtmsg and ndmsg 12, ifaddrmsg 8: zeros behind are attributes of
	 * length 0 to none of them in a dump request without strict checking */
	if (type == RTM_GETQDISC || type == RTM_GETTCLASS || type == RTM_GETTFILTER) {
		buf_reset(&req);
		assert_int_equal(nl_msg_begin(&req, type, 0, &hdr, sizeof(hdr), &e), 0);
	}
	if (nl_dump_raw(nl, &req, out, "dump", &e))
		fail_msg("dump %u: %s", type, e.msg);
	nl_free(nl);
}

static struct span as_span(const struct nlmsghdr *h)
{
	return (struct span){(const uint8_t *)h, h->nlmsg_len};
}

/* One column of a message, copied. */
struct want {
	const char *column;
	struct rta_value value;
	char text[4096];
	bool seen;
};

static int take(const char *column, const struct rta_value *v, void *arg, struct err *e)
{
	struct want *w = arg;

	if (strcmp(column, w->column))
		return 0;
	w->value = *v;
	w->seen = true;
	snprintf(w->text, sizeof(w->text), "%s", v->type == RTA_VALUE_TEXT ? v->text : "");
	w->value.text = w->text;
	return 0;
}

static struct want column(struct span msg, const char *name)
{
	struct want w = {.column = name};
	struct err e = ERR_INIT;

	if (rta_row_decode(rta_table_of(msg), msg, take, &w, &e))
		fail_msg("%s: %s", name, e.msg);
	if (!w.seen)
		fail_msg("no column %s in %s", name, rta_table_name(rta_table_of(msg)));
	return w;
}

static const struct nlmsghdr *find_by(const struct buf *all, const char *name, const char *value)
{
	const struct nlmsghdr *h;
	size_t off = 0;

	while ((h = nl_msg_next(buf_span(all), &off)))
		if (!strcmp(column(as_span(h), name).text, value))
			return h;
	return NULL;
}

static int print_diff(const char *path, const char *a, const char *b, void *arg, struct err *e)
{
	print_error("  %s: %s: %s -> %s\n", (char *)arg, path, a ? a : "(none)", b ? b : "(none)");
	return 0;
}

static int count_diff(const char *path, const char *a, const char *b, void *arg, struct err *e)
{
	return 0;
}

static void send_msg(const char *name, const struct ns *ns, struct buf *msg, uint16_t flags)
{
	struct err e = ERR_INIT;
	auto_buf struct buf out = {0}, line = {0};
	struct nl *nl = nl_open_in(ns, NETLINK_ROUTE, &e);
	struct nlmsghdr h;

	assert_non_null(nl);
	assert_int_equal(buf_add(&out, msg->data, msg->len, &e), 0);
	memcpy(&h, out.data, sizeof(h));
	h.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	memcpy(out.data, &h, sizeof(h));
	rta_print(buf_span(msg), NULL, NULL, &line, &e);
	if (nl_do(nl, &out, name, &e)) {
		auto_buf struct buf json = {0};
		struct err ignored = ERR_INIT;

		rta_json(buf_span(&out), &json, &ignored);
		fail_msg("%s: %s: the kernel does not take it: %s\n%s", name, (char *)line.data,
			 e.msg, (char *)json.data);
	}
	nl_free(nl);
}

static void send_filtered(const char *name, const struct ns *ns, struct span msg, int purpose,
			  uint16_t flags)
{
	auto_buf struct buf out = {0};
	struct err e = ERR_INIT;

	if (rta_filter(msg, (enum rta_purpose)purpose, &out, &e))
		fail_msg("%s: filter: %s", name, e.msg);
	send_msg(name, ns, &out, flags);
}

/* --- links --- */

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

/* --- everything else --- */

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
#define ADDR2  UP2 "ip addr add 10.0.0.1/24 dev p0; ip addr add 2001:db8::1/64 dev p0 nodad;"
#define SETTLE "sleep 0.05;"

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
		cmocka_unit_test(test_links),    cmocka_unit_test(test_shown_only),
		cmocka_unit_test(test_link_set), cmocka_unit_test(test_states),
		cmocka_unit_test(test_classes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
