/* dumper/net: one namespace with everything in it, dumped; then iproute2 and crit, which did not write the
 * images, say what is in them. Expected lines are the words of the commands that made the state. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/nl.h"
#include "base/ns.h"
#include "criu/netdev.pb-c.h"
#include "dumper/net.h"
#include "dumper/net_sysctl.h"
#include "proto/img.h"
#include "proto/rta.h"
#include "proto/wire.h"

enum { PEER_FD = 90 };

/* Addresses without duplicate detection and link-locals, so that nothing changes by itself. */
static const char scene[] =
	"set -e\n"
	"sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.addr_gen_mode=1\n"
	"ip link set lo up\n"
	"ip link add veth0 address 02:00:00:00:00:01 type veth peer name peer0 netns "
	"/proc/self/fd/90\n"
	"ip link add m0 address 02:00:00:00:00:02 type veth peer name m1\n"
	"ip link add br0 index 20 type bridge ageing_time 12300 stp_state 0\n"
	"ip link set m1 master br0\n"
	"bridge link set dev m1 cost 77 hairpin on\n"
	"ip link add vx0 type vxlan id 42 dstport 4789 local 10.0.0.1 nolearning ttl 7\n"
	"ip link add mv0 link m0 type macvlan mode bridge\n"
	"ip link add mt0 link m0 type macvtap mode vepa\n"
	"ip link add ifb7 type ifb\n"
	"ip tuntap add dev tun3 mode tun user 65534 pi\n"
	"ip tuntap add dev tap3 mode tap multi_queue vnet_hdr\n"
	"ip link property add dev m0 altname a-very-long-alternative-name\n"
	"ip link set m0 alias 'my alias'\n"
	"ip link set m0 group 5 txqueuelen 123 mtu 1400\n"
	"for i in m0 m1 br0 veth0 vx0 mv0; do ip link set $i up; done\n"
	"ip addr add 10.0.0.1/24 dev m0 label m0:x\n"
	"ip addr add 10.0.0.2/24 dev m0 valid_lft 5000 preferred_lft 4000\n"
	"ip addr add 192.0.2.1 peer 192.0.2.2 dev veth0\n"
	"ip addr add fd00::1/64 dev m0 nodad\n"
	"ip addr add fd00::2/64 dev m0 noprefixroute home\n"
	"ip route add 10.1.0.0/16 via 10.0.0.50 metric 30 mtu 1300 advmss 1200\n"
	"ip route add blackhole 10.2.0.0/16\n"
	"ip route add unreachable 10.3.0.0/16 table 300\n"
	"ip route add 10.4.0.0/16 nexthop via 10.0.0.50 weight 2 nexthop via 10.0.0.51 dev m0 "
	"weight 3\n"
	"ip route add local 10.9.0.0/16 dev lo table local\n"
	"ip nexthop add id 11 via 10.0.0.60 dev m0\n"
	"ip nexthop add id 12 via fd00::60 dev m0\n"
	"ip route add 10.5.0.0/16 nhid 11\n"
	"ip -6 route add fd01::/64 via fd00::50 table 300\n"
	"ip -6 route add fd02::/64 via fd00::50 metric 77\n"
	"ip -6 route add fd03::/64 nhid 12\n"
	"ip rule add from 10.0.0.0/24 lookup 300 prio 500\n"
	"ip -6 rule add from fd00::/64 lookup 300 prio 600\n"
	"ip neigh add 10.0.0.99 lladdr 02:aa:bb:cc:dd:ee dev m0 nud permanent\n"
	"ip neigh add fd00::99 lladdr 02:aa:bb:cc:dd:ef dev m0 nud permanent\n"
	"ip neigh add proxy 10.0.0.98 dev m0\n"
	"ip -6 neigh add proxy fd00::98 dev m0\n"
	"bridge fdb add 02:11:22:33:44:55 dev m1 master static\n"
	"bridge fdb append 00:00:00:00:00:00 dev vx0 dst 10.0.0.70 self\n"
	"bridge mdb add dev br0 port m1 grp 239.1.2.3 permanent\n"
	"ip addrlabel add prefix fd00:99::/64 label 99\n"
	"tc qdisc add dev m0 root handle 1: htb default 10\n"
	"tc class add dev m0 parent 1: classid 1:10 htb rate 1mbit\n"
	"tc qdisc add dev m0 parent 1:10 handle 20: tbf rate 500kbit burst 10k latency 50ms\n"
	"tc filter add dev m0 parent 1: protocol ip prio 3 u32 match ip dst 10.0.0.9/32 flowid "
	"1:10\n"
	"tc qdisc add dev ifb7 handle ffff: ingress\n"
	"tc filter add dev ifb7 parent ffff: protocol all prio 5 u32 match u32 0 0 classid 1:1\n"
	"tc qdisc add dev veth0 clsact\n"
	"sysctl -qw net.ipv4.tcp_keepalive_time=1234 net.ipv4.conf.m0.rp_filter=2 "
	"net.ipv4.ip_forward=1\n"
	"sysctl -qw net.ipv4.conf.m0.arp_evict_nocarrier=0 net.ipv4.ping_group_range='1 7'\n"
	"sysctl -qw net.unix.max_dgram_qlen=33 net.ipv6.conf.default.accept_ra_min_lft=9\n"
	"sysctl -qw net.ipv4.neigh.m0.gc_stale_time=77 net.ipv6.conf.m0.stable_secret=2001:db8::5\n"
	"nft 'table inet fw { set b { type ipv4_addr; flags interval; elements = { 198.51.100.7 }; "
	"};"
	" chain input { type filter hook input priority 0; ip saddr @b drop;"
	" ct state established accept; }; }'\n"
	"nft 'table ip6 t6 { chain c { type filter hook input priority 5; tcp dport 9999 reject; "
	"}; }'\n"
	/* the kernel reports carriers a moment later (linkwatch), and then adds routes */
	"for i in $(seq 300); do [ $(ip -6 route show table local type multicast | wc -l) = 5 ] && "
	"break; sleep 0.1; done\n";

/* Programs and kernel parts that not every machine has. */
static const char legacy_scene[] = "iptables-legacy -A INPUT -p tcp --dport 4444 -j DROP\n";
static const char compat_scene[] = "iptables-nft -t mangle -A PREROUTING -m string --algo bm "
				   "--string foo -j MARK --set-mark 7\n";
static const char mptcp_scene[] = "ip mptcp endpoint add 10.0.0.1 id 3\n";

static struct fixture {
	struct ns *a, *b;
	struct dump d;
	char dir[64];
	char rtnl[128]; /* the messages of nsimg-rtnl-9.img without framing */
	bool has_legacy, has_compat, has_mptcp;
	const char *skip; /* why nothing can be tested */
	double ms;
} fix;

/* Run a script inside ns; its output replaces out. Returns the exit status. */
static int run_in(const struct ns *ns, const char *script, struct buf *out)
{
	struct err e = ERR_INIT;
	int fds[2], status;
	char chunk[4096];
	ssize_t n;
	pid_t pid;

	assert_int_equal(0, pipe(fds));
	pid = fork();
	if (pid == 0) {
		if (ns_enter(ns_fd(ns), &e) || (fix.b && dup2(ns_fd(fix.b), PEER_FD) < 0) ||
		    dup2(fds[1], 1) < 0 || dup2(fds[1], 2) < 0)
			_exit(127);
		close(fds[0]);
		execl("/bin/sh", "sh", "-c", script, (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	buf_reset(out);
	while ((n = read(fds[0], chunk, sizeof(chunk))) > 0)
		assert_int_equal(0, buf_add(out, chunk, (size_t)n, &e));
	close(fds[0]);
	assert_int_equal(pid, waitpid(pid, &status, 0));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static const char *text(const struct buf *b)
{
	return b->len ? (const char *)b->data : "";
}

/* nsimg-rtnl-9.img without its framing: what `ip monitor file` reads. */
static void extract_rtnl(void)
{
	auto_buf struct buf file = {0}, out = {0};
	static const uint8_t zero[4];
	struct img_reader r;
	struct img_record rec;
	struct err e = ERR_INIT;

	assert_int_equal(0, io_read_file(fix.d.dirfd, "nsimg-rtnl-9.img", 1 << 20, &file, &e));
	assert_int_equal(
		0, img_read_begin(&r, img_type_get(IMG_NSIMG_RTNL), "rtnl", buf_span(&file), &e));
	while (img_read_next(&r, &rec, &e) == 1) {
		/* one field: key, length in one or two bytes, message */
		size_t head = rec.msg.data[1] & 0x80 ? 3 : 2;

		buf_add(&out, rec.msg.data + head, rec.msg.len - head, &e);
		buf_add(&out, zero, (head - rec.msg.len) & 3, &e);
	}
	assert_false(r.damaged);
	snprintf(fix.rtnl, sizeof(fix.rtnl), "%s/rtnl.bin", fix.dir);
	assert_int_equal(0, io_write_file(AT_FDCWD, fix.rtnl, out.data, out.len, 0600, &e));
}

/* A datagram for nobody, which connection tracking remembers since a rule asks for the state. */
static int connect_something(struct err *e)
{
	struct sockaddr_in to = {AF_INET, htons(4242), {htonl(INADDR_LOOPBACK)}, {0}};
	auto_close int fd = ns_socket(fix.a, AF_INET, SOCK_DGRAM, 0, e);

	return fd >= 0 && sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)) == 1 ? 0 : -1;
}

static int dump_it(struct err *e)
{
	struct timespec t0, t1;
	struct dump_netns *a, *b;

	fix.d.next_ns_id = 9;
	a = dump_netns_of(&fix.d, ns_from_fd(dup(ns_fd(fix.a)), e), e);
	b = dump_netns_of(&fix.d, ns_from_fd(dup(ns_fd(fix.b)), e), e);
	if (!a || !b)
		return -1;
	b->external = true;
	clock_gettime(CLOCK_MONOTONIC, &t0);
	if (net_read(&fix.d, fix.d.netns, fix.d.n_netns, e) || net_write_held(&fix.d, e))
		return -1;
	clock_gettime(CLOCK_MONOTONIC, &t1);
	fix.ms = (double)(t1.tv_sec - t0.tv_sec) * 1e3 + (double)(t1.tv_nsec - t0.tv_nsec) / 1e6;
	return 0;
}

static int setup(void **state)
{
	auto_buf struct buf out = {0};
	struct err e = ERR_INIT;

	fix.d.dirfd = -1;
	strcpy(fix.dir, "/tmp/nsimg-net-XXXXXX");
	if (!mkdtemp(fix.dir) || (fix.d.dirfd = open(fix.dir, O_DIRECTORY | O_CLOEXEC)) < 0)
		return -1;
	fix.a = ns_new(&e);
	fix.b = fix.a ? ns_new(&e) : NULL;
	if (!fix.b) {
		print_message("no namespaces of our own: %s\n", e.msg);
		fix.skip = "namespaces";
		return 0;
	}
	if (run_in(fix.a, scene, &out)) {
		print_message("this kernel or machine cannot make the scene: %s\n", text(&out));
		fix.skip = "scene";
		return 0;
	}
	fix.has_legacy = !run_in(fix.a, legacy_scene, &out);
	fix.has_compat = !run_in(fix.a, compat_scene, &out);
	fix.has_mptcp = !run_in(fix.a, mptcp_scene, &out);
	if (connect_something(&e) || dump_it(&e)) {
		print_error("dump: %s\n", e.msg);
		return -1;
	}
	extract_rtnl();
	return 0;
}

static void loss_free(struct dump_loss *l)
{
	free(l->object);
	free(l->reason);
}

static int teardown(void **state)
{
	auto_buf struct buf out = {0};
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", fix.dir);
	if (fix.a)
		run_in(fix.a, cmd, &out);
	if (fix.d.dirfd >= 0)
		close(fix.d.dirfd);
	for (size_t i = 0; i < fix.d.n_netns; i++) {
		ns_free(fix.d.netns[i]->ns);
		free(fix.d.netns[i]->endpoint_ports);
		free(fix.d.netns[i]);
	}
	free(fix.d.netns);
	for (size_t i = 0; i < fix.d.n_losses; i++)
		loss_free(&fix.d.losses[i]);
	free(fix.d.losses);
	net_held_free(fix.d.held);
	net_cache_free(fix.d.net);
	ns_free(fix.a);
	ns_free(fix.b);
	return 0;
}

/* Run a command inside the dumped namespace, %D being the image folder and %R the extracted messages, and
 * look for every line. */
struct expect {
	const char *command;
	const char *lines[24];
};

static void check_lines(const struct expect *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		auto_buf struct buf out = {0};
		char cmd[512];

		snprintf(cmd, sizeof(cmd), "D=%s R=%s; %s", fix.dir, fix.rtnl, rows[i].command);
		assert_int_equal(0, run_in(fix.a, cmd, &out));
		for (size_t k = 0; rows[i].lines[k]; k++)
			if (!strstr(text(&out), rows[i].lines[k]))
				fail_msg("'%s' does not say '%s' but:\n%s", rows[i].command,
					 rows[i].lines[k], text(&out));
	}
}

/* The RTM_NEWLINK messages of netdev-9.img have all that `ip -d link` shows of the devices. */
static void test_links(void **state)
{
	static const struct expect rows[] = {
		{"ip -d monitor link file $D/links.bin 2>/dev/null",
		 {"m0@m1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1400 qdisc htb state UP group 5",
		  "alias my alias", "altname a-very-long-alternative-name", "ageing_time 12300",
		  "bridge_slave state forwarding priority 32 cost 77 hairpin on",
		  "vxlan id 42 local 10.0.0.1", "dstport 4789", "nolearning", "ttl 7",
		  "macvlan mode bridge", "macvtap mode vepa", "20: br0:", "ifb7: <",
		  "tun type tun pi on vnet_hdr off", "persist on",
		  "tun type tap pi off vnet_hdr on multi_queue", "veth0@if"}},
	};
	auto_buf struct buf file = {0}, out = {0};
	struct img_reader r;
	struct img_record rec;
	struct wire_value v;
	struct err e = ERR_INIT;
	char path[128];

	if (fix.skip)
		skip();
	assert_int_equal(0, io_read_file(fix.d.dirfd, "netdev-9.img", 1 << 20, &file, &e));
	assert_int_equal(
		0, img_read_begin(&r, img_type_get(IMG_NETDEV), "netdev", buf_span(&file), &e));
	while (img_read_next(&r, &rec, &e) == 1) {
		assert_int_equal(
			1, wire_get(&net_device_entry__descriptor, rec.msg, "nsimg_link", &v, &e));
		/* the kernel pads its messages to 4, the record keeps nlmsg_len bytes */
		assert_int_equal(0, buf_add(&out, v.bytes.data, v.bytes.len, &e));
		assert_int_equal(0, buf_add(&out, "\0\0\0", -v.bytes.len & 3, &e));
	}
	snprintf(path, sizeof(path), "%s/links.bin", fix.dir);
	assert_int_equal(0, io_write_file(AT_FDCWD, path, out.data, out.len, 0600, &e));
	check_lines(rows, ARRAY_SIZE(rows));
	/* what the monitor does not print: IFLA_TXQLEN (13) of m0 */
	assert_non_null(memmem(out.data, out.len, "\x08\0\x0d\0\x7b\0\0\0", 8));
}

static void test_rtnl(void **state)
{
	static const struct expect rows[] = {
		{"ip -d monitor all file $R 2>/dev/null",
		 {"[NEXTHOP]id 11 via 10.0.0.60 dev m0", "[NEXTHOP]id 12 via fd00::60 dev m0",
		  "unreachable 10.3.0.0/16 table 300", "10.5.0.0/16 nhid 11 via 10.0.0.60 dev m0",
		  "local 10.9.0.0/16 dev lo table local", "fd01::/64 via fd00::50 dev m0 table 300",
		  "fd03::/64 nhid 12", "[RULE]600:	from fd00::/64 lookup 300",
		  "[RULE]32766:	from all lookup main", "prefix fd00:99::/64 label 99",
		  "[NEIGH]10.0.0.99 dev m0 lladdr 02:aa:bb:cc:dd:ee PERMANENT",
		  "[NEIGH]fd00::99 dev m0 lladdr 02:aa:bb:cc:dd:ef PERMANENT",
		  "[NEIGH]10.0.0.98 dev m0 proxy", "[NEIGH]fd00::98 dev m0 proxy"}},
		{"bridge -d monitor all file $R 2>/dev/null",
		 {"[NEIGH]02:11:22:33:44:55 dev m1 master br0 static",
		  "00:00:00:00:00:00 dev vx0 dst 10.0.0.70 self permanent"}},
		/* the entries that the bridge makes itself are left out */
		{"bridge monitor fdb file $R 2>/dev/null | grep -c 'master br0 permanent' || true",
		 {"0\n"}},
		{"tc -d monitor file $R 2>/dev/null",
		 {"qdisc htb 1: dev m0 root", "qdisc tbf 20: dev m0 parent 1:10 rate 500Kbit",
		  "class htb 1:10 dev m0 root leaf 20:", "qdisc ingress ffff: dev ifb7",
		  "qdisc clsact ffff: dev veth0", "match 0a000009/ffffffff at 16",
		  "filter dev ifb7 parent ffff: protocol all pref 5 u32"}},
	};

	if (fix.skip)
		skip();
	check_lines(rows, ARRAY_SIZE(rows));
}

/* Messages of a type in nsimg-rtnl-9.img. */
static unsigned count_type(uint16_t type)
{
	auto_buf struct buf b = {0};
	struct err e = ERR_INIT;
	const struct nlmsghdr *h;
	unsigned n = 0;
	size_t off = 0;

	assert_int_equal(0, io_read_file(AT_FDCWD, fix.rtnl, 1 << 20, &b, &e));
	while ((h = nl_msg_next(buf_span(&b), &off)))
		n += h->nlmsg_type == type;
	return n;
}

/* As many as iproute2 counts; nothing twice, and no default qdisc. */
static void test_counts(void **state)
{
	static const struct {
		uint16_t type;
		const char *count;
	} rows[] = {
		{104 /* RTM_NEWNEXTHOP */, "ip -o nexthop | wc -l"},
		{24 /* RTM_NEWROUTE */,
		 "(ip -4 -o route show table all; ip -6 -o route show table all) |"
		 " grep -cE 'table|nhid'"},
		{36 /* RTM_NEWQDISC */, "tc qdisc | grep -vc ' 0: '"},
		{40 /* RTM_NEWTCLASS */, "tc class show dev m0 | grep -c htb"},
		{84 /* RTM_NEWMDB */, "bridge mdb show | grep -c permanent"},
		{32 /* RTM_NEWRULE */, "ip -6 rule | wc -l"},
	};

	if (fix.skip)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		auto_buf struct buf out = {0};

		run_in(fix.a, rows[i].count, &out);
		if ((unsigned)abs(atoi(text(&out))) != count_type(rows[i].type))
			fail_msg("%u messages of type %u, but %s", count_type(rows[i].type),
				 rows[i].type, text(&out));
	}
}

/* The record of a multicast group is the request that makes it again. */
static void test_group(void **state)
{
	auto_buf struct buf want = {0}, got = {0}, all = {0}, msg = {0};
	struct err e = ERR_INIT;
	const struct nlmsghdr *h;
	struct nl *nl;
	size_t off = 0;
	int r = -1;

	if (fix.skip)
		skip();
	run_in(fix.a, "bridge mdb show | grep permanent", &want);
	assert_int_equal(0, run_in(fix.a, "bridge mdb del dev br0 port m1 grp 239.1.2.3", &got));
	assert_int_equal(0, io_read_file(AT_FDCWD, fix.rtnl, 1 << 20, &all, &e));
	nl = nl_open_in(fix.a, NETLINK_ROUTE, &e);
	assert_non_null(nl);
	while ((h = nl_msg_next(buf_span(&all), &off)))
		if (h->nlmsg_type == RTM_NEWMDB) {
			assert_int_equal(0, buf_add(&msg, h, h->nlmsg_len, &e));
			((struct nlmsghdr *)(void *)msg.data)->nlmsg_flags = NLM_F_CREATE;
			r = nl_do(nl, &msg, "group", &e);
		}
	nl_free(nl);
	if (r)
		fail_msg("%s", e.msg);
	run_in(fix.a, "bridge mdb show | grep permanent", &got);
	assert_string_equal(text(&want), text(&got));
}

/* What ip(8) prints of the raw images is what it prints of the kernel. */
static void test_raw_images(void **state)
{
	static const char *const pairs[][2] = {
		{"ip route show table main | grep -v nhid", "ip route showdump <$D/route-9.img"},
		{"ip -6 route show table main | grep -v nhid",
		 "ip -6 route showdump <$D/route6-9.img"},
		{"ip -o addr | sed 's/.*inet/inet/; s/[0-9]*sec/sec/g' | sort",
		 "ip -o addr showdump <$D/ifaddr-9.img | sed 's/.*inet/inet/; s/[0-9]*sec/sec/g' | "
		 "sort"},
	};

	if (fix.skip)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		auto_buf struct buf want = {0}, got = {0};
		char cmd[512];

		run_in(fix.a, pairs[i][0], &want);
		snprintf(cmd, sizeof(cmd), "D=%s; %s", fix.dir, pairs[i][1]);
		assert_int_equal(0, run_in(fix.a, cmd, &got));
		assert_true(want.len > 0);
		if (strcmp(text(&want), text(&got)) != 0)
			fail_msg("%s:\n%s\nbut the image says\n%s", pairs[i][0], text(&want),
				 text(&got));
	}
}

/* `ip rule restore` into a namespace without rules gives the rules. */
static void test_rules(void **state)
{
	struct err e = ERR_INIT;
	auto_buf struct buf want = {0}, got = {0};
	auto_ns struct ns *ns = NULL;
	char cmd[256];

	if (fix.skip)
		skip();
	ns = ns_new(&e);
	assert_non_null(ns);
	run_in(fix.a, "ip rule", &want);
	snprintf(cmd, sizeof(cmd),
		 "ip rule flush; ip rule del prio 0; ip rule restore <%s/rule-9.img; ip rule",
		 fix.dir);
	run_in(ns, cmd, &got);
	assert_string_equal(text(&want), text(&got));
}

/* crit's JSON of the devices against ip -j, for what both know. */
static void test_crit_devices(void **state)
{
	auto_buf struct buf out = {0};
	char cmd[2048];

	if (fix.skip)
		skip();
	if (run_in(fix.a, "crit --help >/dev/null 2>&1", &out)) {
		print_message("no crit here\n");
		skip();
	}
	snprintf(cmd, sizeof(cmd),
		 "cd %s && crit decode -i netdev-9.img >dev.json && ip -d -j link >ip.json && "
		 "/usr/bin/python3 - <<'E'\n"
		 "import json,base64\n"
		 "a={d['ifname']:d for d in json.load(open('ip.json'))}\n"
		 "b={d['name']:d for d in json.load(open('dev.json'))['entries']}\n"
		 "assert set(a)==set(b),(set(a),set(b))\n"
		 "idx={n:d['ifindex'] for n,d in a.items()}\n"
		 "T={'veth':'VETH','bridge':'BRIDGE','macvlan':'MACVLAN','tun':'TUN'}\n"
		 "for n,x in a.items():\n"
		 "  y=b[n]; k=x.get('linkinfo',{}).get('info_kind')\n"
		 "  assert (x['ifindex'],x['mtu'])==(y['ifindex'],y['mtu']),n\n"
		 "  assert y['type']==('LOOPBACK' if n=='lo' else "
		 "T.get(k,'EXTLINK')),(n,y['type'])\n"
		 "  if n!='lo' and 'address' in x and x['link_type']=='ether':\n"
		 "    assert base64.b64decode(y['address']).hex(':')==x['address'],n\n"
		 "  assert idx.get(x.get('master'))==y.get('master'),n\n"
		 "  assert len(y['conf4'])==30 and len(y['conf6'])==42\n"
		 "  if 'link' in x: assert y['peer_ifindex']==idx[x['link']] and "
		 "y['peer_nsid']==9,n\n"
		 "  if 'link_index' in x: assert "
		 "(y['peer_ifindex'],y['peer_nsid'])==(x['link_index'],10),n\n"
		 "t=b['tun3']['tun']; assert t['owner']==65534 and t['flags']==0x0801,t\n"
		 "t=b['tap3']['tun']; assert t['group']==-1 and t['flags']==0x5902,t\n"
		 "assert b['mv0']['macvlan']['mode']==4\n"
		 "assert b['m0']['conf4'][21]['iarg']==2\n"
		 "assert "
		 "b['m0']['conf6'][35]['sarg']=='2001:0db8:0000:0000:0000:0000:0000:0005\\n'\n"
		 "print('good')\n"
		 "E\n",
		 fix.dir);
	run_in(fix.a, cmd, &out);
	assert_string_equal("good\n", text(&out));
}

static void test_crit_netns(void **state)
{
	auto_buf struct buf out = {0};
	char cmd[2048];

	if (fix.skip)
		skip();
	if (run_in(fix.a, "crit --help >/dev/null 2>&1", &out)) {
		print_message("no crit here\n");
		skip();
	}
	snprintf(cmd, sizeof(cmd),
		 "cd %s && crit decode -i netns-9.img >ns.json && crit decode -i netns-10.img "
		 ">ext.json && ip -j netns list-id >ids.json; "
		 "/usr/bin/python3 - <<'E'\n"
		 "import json\n"
		 "n=json.load(open('ns.json'))['entries'][0]; "
		 "x=json.load(open('ext.json'))['entries'][0]\n"
		 "ids=[i['nsid'] for i in json.load(open('ids.json'))]\n"
		 "assert n['nsids']==[{'target_ns_id':10,'netnsid_value':i} for i in "
		 "ids],n['nsids']\n"
		 "assert [len(n[k]) for k in "
		 "('def_conf4','all_conf4','def_conf6','all_conf6')]==[30,30,42,42]\n"
		 "assert n['unix_conf']==[{'type':'CTL_32','iarg':33}]\n"
		 "assert n['all_conf4'][12]['iarg']==1\n"
		 "assert n['def_conf6'][0]['iarg']==0\n"
		 "assert x['ext_key'].startswith('netns-') and 'unix_conf' not in x,x\n"
		 "print('good')\n"
		 "E\n",
		 fix.dir);
	run_in(fix.a, cmd, &out);
	assert_string_equal("good\n", text(&out));
}

static bool file_has(const char *name, const char *words)
{
	auto_buf struct buf b = {0};
	struct err e = ERR_INIT;

	if (io_read_file(fix.d.dirfd, name, 1 << 20, &b, &e))
		return false;
	return b.len && memmem(b.data, b.len, words, strlen(words));
}

static void test_sysctls(void **state)
{
	static const struct {
		const char *words;
		bool kept;
	} rows[] = {
		{"net/ipv4/tcp_keepalive_time\x12\x04"
		 "1234",
		 true},
		{"net/ipv4/conf/m0/arp_evict_nocarrier\x12\x01"
		 "0",
		 true},
		{"net/ipv4/neigh/m0/gc_stale_time\x12\x02"
		 "77",
		 true},
		/* the default differs, so what each device has must be written, also the old one */
		{"net/ipv6/conf/default/accept_ra_min_lft\x12\x01"
		 "9",
		 true},
		{"net/ipv6/conf/lo/accept_ra_min_lft\x12\x01"
		 "0",
		 true},
		{"net/ipv6/conf/m0/accept_ra_min_lft\x12\x01"
		 "0",
		 true},
		{"net/ipv6/conf/default/addr_gen_mode\x12\x01"
		 "1",
		 true},
		/* in the lists of netns_entry and net_device_entry, or as in any namespace */
		{"rp_filter", false},
		{"max_dgram_qlen", false},
		{"ip_forward", false},
		{"tcp_keepalive_intvl", false},
		{"net/ipv4/conf/m1/arp_evict_nocarrier", false},
		{"nf_conntrack_count", false},
	};

	if (fix.skip)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (file_has("nsimg-sysctl-9.img", rows[i].words) != rows[i].kept)
			fail_msg("%s: expected %skept", rows[i].words, rows[i].kept ? "" : "not ");
	/* as CRIU writes it, with the newline */
	assert_true(file_has("netns-9.img", "1\t7\n"));
}

static void test_firewall(void **state)
{
	auto_buf struct buf want = {0}, got = {0};
	struct err e = ERR_INIT;

	if (fix.skip)
		skip();
	run_in(fix.a, "nft list table inet fw; nft list table ip6 t6", &want);
	assert_int_equal(0, io_read_file(fix.d.dirfd, "nftables-9.img", 1 << 20, &got, &e));
	assert_string_equal(text(&want), text(&got));
	if (fix.has_legacy)
		assert_true(
			file_has("iptables-9.img", "-A INPUT -p tcp -m tcp --dport 4444 -j DROP"));
	if (fix.has_compat) {
		assert_true(file_has("iptables-9.img", "# Generated by iptables-nft-save"));
		assert_true(file_has("iptables-9.img", "-m string --string \"foo\" --algo bm"));
		/* only the chain that was made, though iptables-nft-save lists all five */
		assert_true(file_has("iptables-9.img", "*mangle\n:PREROUTING ACCEPT [0:0]\n-A "));
	}
	if (!fix.has_legacy || !fix.has_compat)
		print_message("without %s%s\n", fix.has_legacy ? "" : "iptables-legacy ",
			      fix.has_compat ? "" : "iptables-nft");
}

/* The datagram through lo left a tracked connection: IPCTNL_MSG_CT_NEW. */
static void test_conntrack(void **state)
{
	auto_buf struct buf b = {0};
	struct err e = ERR_INIT;
	const struct nlmsghdr *h;
	size_t off = 0;
	unsigned n = 0;

	if (fix.skip)
		skip();
	assert_int_equal(0, io_read_file(fix.d.dirfd, "netns-ct-9.img", 1 << 20, &b, &e));
	while ((h = nl_msg_next(buf_span(&b), &off))) {
		assert_int_equal(0x100, h->nlmsg_type);
		n += memmem(h, h->nlmsg_len, "\x7f\0\0\1", 4) &&
		     memmem(h, h->nlmsg_len, "\x10\x92", 2); /* 127.0.0.1 port 4242 */
	}
	assert_int_equal(1, n);
	assert_int_equal(b.len, off);
}

static void test_mptcp(void **state)
{
	if (fix.skip || !fix.has_mptcp)
		skip();
	/* an endpoint was added; the limits are those of a fresh namespace and left out */
	assert_int_equal(1, count_type(RTA_MSG_MPTCP_ENDPOINT));
	assert_int_equal(0, count_type(RTA_MSG_MPTCP_LIMITS));
}

static void test_losses(void **state)
{
	if (fix.skip)
		skip();
	for (size_t i = 0; i < fix.d.n_losses; i++)
		print_message("loss: %s: %s\n", fix.d.losses[i].object, fix.d.losses[i].reason);
	assert_int_equal(0, fix.d.n_losses);
	print_message("dumped in %.1f ms\n", fix.ms);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_links),        cmocka_unit_test(test_rtnl),
		cmocka_unit_test(test_counts),       cmocka_unit_test(test_group),
		cmocka_unit_test(test_raw_images),   cmocka_unit_test(test_rules),
		cmocka_unit_test(test_crit_devices), cmocka_unit_test(test_crit_netns),
		cmocka_unit_test(test_sysctls),      cmocka_unit_test(test_firewall),
		cmocka_unit_test(test_conntrack),    cmocka_unit_test(test_mptcp),
		cmocka_unit_test(test_losses),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
