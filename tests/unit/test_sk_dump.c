/* IPv4 and IPv6 sockets, dumped through duplicates of their descriptors and compared with what was set and
 * with getsockopt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/icmp.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <linux/tcp.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>

#include "sk_bench.h"

static void add_md5(int fd, const char *peer, uint8_t prefix, const char *key)
{
	struct tcp_md5sig sig = {.tcpm_flags = TCP_MD5SIG_FLAG_PREFIX, .tcpm_prefixlen = prefix};
	struct sockaddr_in *in = (void *)&sig.tcpm_addr;

	in->sin_family = AF_INET;
	inet_pton(AF_INET, peer, &in->sin_addr);
	sig.tcpm_keylen = (uint16_t)strlen(key);
	strcpy((char *)sig.tcpm_key, key);
	if (setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG_EXT, &sig, sizeof(sig)) != 0 &&
	    errno != ENOPROTOOPT)
		fail_msg("TCP_MD5SIG_EXT: %s", strerror(errno));
}

static const struct tcp_md5sig *key_of(const NsimgSk *x, uint32_t name)
{
	for (size_t i = 0; i < x->n_opt; i++) {
		if (x->opt[i]->name == name && x->opt[i]->level == IPPROTO_TCP)
			return (const void *)x->opt[i]->value.data;
	}
	return NULL;
}

static void md5_is_kept(const NsimgSk *x)
{
	const struct tcp_md5sig *sig = key_of(x, TCP_MD5SIG_EXT);

	if (!sig) {
		print_message("SKIP: no MD5 keys in this kernel (or in its inet_diag)\n");
		return;
	}
	assert_int_equal(sig->tcpm_prefixlen, 24);
	assert_int_equal(sig->tcpm_keylen, 6);
	assert_memory_equal(sig->tcpm_key, "secret", 6);
}

static void tcp_listener(void **state)
{
	BENCH(b);
	struct timeval tv = {3, 500000};
	struct linger linger = {1, 9};
	int fd = new_socket(b, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	size_t no;

	set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	set_int(fd, SOL_SOCKET, SO_RCVBUF, 30000);
	set_int(fd, SOL_SOCKET, SO_MARK, 77);
	set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_int(fd, SOL_SOCKET, SO_INCOMING_CPU, 0);
	OK(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)));
	OK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	OK(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
	set_int(fd, IPPROTO_IP, IP_FREEBIND, 1);
	set_int(fd, IPPROTO_IP, IP_TRANSPARENT, 1);
	set_int(fd, IPPROTO_IP, IP_TTL, 33);
	set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, 321);
	set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_int(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 5);
	set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 4321);
	OK(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4));
	add_md5(fd, "192.0.2.0", 24, "secret");
	bind4(fd, "127.0.0.1", 8080);
	OK(listen(fd, 17));
	fcntl(fd, F_SETSIG, SIGUSR1);
	fcntl(fd, F_SETOWN, getpid());
	no = dump(b, fd);
	finish(b);
	assert_int_equal(b->types[no], FD_TYPES__INETSK);
	CRIT(b, no, {"type", "\"INETSK\""}, {"isk.family", "2"}, {"isk.type", "1"},
	     {"isk.proto", "6"}, {"isk.state", "10"}, {"isk.src_port", "8080"},
	     {"isk.dst_port", "0"}, {"isk.flags", "2050"}, {"isk.backlog", "17"},
	     {"isk.src_addr", "[16777343]"}, {"isk.dst_addr", "[0]"}, {"isk.ns_id", "9"},
	     {"isk.opts.so_snd_tmo_sec", "3"}, {"isk.opts.so_snd_tmo_usec", "500000"},
	     {"isk.opts.so_mark", "77"}, {"isk.opts.so_linger", "9"},
	     {"isk.opts.so_bound_dev", "\"lo\""}, {"isk.ip_opts.freebind", "true"},
	     {"isk.opts.so_passcred", "-"}, {"isk.v6only", "-"}, {"isk.fown.signum", "10"},
	     {"isk.shutdown", "-"});
	common_options_agree(b, no, "isk");
	if (b->crit)
		assert_int_equal(b->entries[no]->isk->fown->pid, getpid());
	assert_int_equal(b->entries[no]->isk->ip_opts->ttl, 33);
	assert_int_equal(b->entries[no]->isk->tcp_opts->keepidle, 321);
	assert_true(b->entries[no]->isk->tcp_opts->nodelay);
	option_kept(b, no, "IP_TRANSPARENT", true);
	option_kept(b, no, "TCP_DEFER_ACCEPT", true);
	option_kept(b, no, "TCP_USER_TIMEOUT", true);
	option_kept(b, no, "TCP_CONGESTION", true);
	option_kept(b, no, "SO_INCOMING_CPU", true);
	option_kept(b, no, "TCP_SYNCNT", false);
	option_kept(b, no, "IP_MTU_DISCOVER", false);
	option_kept(b, no, "SO_MARK", false);
	md5_is_kept(extra_of(b->entries[no]));
	assert_int_equal(b->d.n_losses, 0);
}

static void tcp_defaults_are_not_kept(void **state)
{
	BENCH(b);
	size_t v4 = dump(b, new_socket(b, AF_INET, SOCK_STREAM, 0));
	size_t v6 = dump(b, new_socket(b, AF_INET6, SOCK_STREAM, 0));
	size_t udp = dump(b, new_socket(b, AF_INET6, SOCK_DGRAM, 0));
	size_t un = dump(b, new_socket(b, AF_UNIX, SOCK_SEQPACKET, 0));
	size_t nl = dump(b, new_socket(b, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
	size_t pk = dump(b, new_socket(b, AF_PACKET, SOCK_DGRAM, 0));
	size_t all[] = {v4, v6, udp, un, nl, pk};

	finish(b);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		NsimgSk *x = extra_of(b->entries[all[i]]);

		if (x->n_opt)
			fail_msg("socket %zu: level %u option %u is kept", i, x->opt[0]->level,
				 x->opt[0]->name);
		assert_int_equal(x->n_member, 0);
	}
	CRIT(b, v6, {"isk.v6only", "false"}, {"isk.state", "7"}, {"isk.src_addr", "[0,0,0,0]"});
	CRIT(b, un, {"usk.type", "5"}, {"usk.state", "7"}, {"usk.name", "\"\""},
	     {"usk.opts.so_passcred", "false"}, {"usk.peer", "0"});
	assert_int_equal(b->d.n_losses, 0);
}

static void tcp_connections_are_noted(void **state)
{
	BENCH(b);
	int listener = new_socket(b, AF_INET6, SOCK_STREAM, 0);
	int client = new_socket(b, AF_INET6, SOCK_STREAM, 0);
	int waiting = new_socket(b, AF_INET6, SOCK_STREAM, 0);
	struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(8081)};
	size_t l, c, s;
	int server;

	inet_pton(AF_INET6, "::1", &to.sin6_addr);
	set_int(listener, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	bind6(listener, "::", 8081);
	OK(listen(listener, 4));
	OK(connect(client, (struct sockaddr *)&to, sizeof(to)));
	server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	OK(connect(waiting, (struct sockaddr *)&to, sizeof(to)));
	assert_int_equal(send(client, "hello", 5, 0), 5);
	l = dump(b, listener);
	c = dump(b, client);
	s = dump(b, server);
	close(waiting);
	finish(b);
	CRIT(b, l, {"isk.v6only", "true"}, {"isk.state", "10"}, {"isk.backlog", "4"});
	CRIT(b, c, {"isk.state", "1"}, {"isk.dst_port", "8081"},
	     {"isk.dst_addr", "[0,0,0,16777216]"});
	CRIT(b, s, {"isk.state", "1"}, {"isk.src_port", "8081"});
	assert_int_equal(extra_of(b->entries[l])->n_unaccepted, 1);
	lost(b, l, "1 connections waiting");
	lost(b, c, "repair mode");
	assert_true(extra_of(b->entries[c])->has_tcp_info);
	assert_int_equal(((struct tcp_info *)extra_of(b->entries[c])->tcp_info.data)->tcpi_state,
			 1);
	assert_int_equal(extra_of(b->entries[s])->inq_len, 5);
}

/* The accepted end has the key of its listener for its peer alone (tcp_v4_syn_recv_sock). */
static void keys_of_connections(void **state)
{
	BENCH(b);
	int listener = new_socket(b, AF_INET, SOCK_STREAM, 0);
	int client = new_socket(b, AF_INET, SOCK_STREAM, 0);
	int server;
	const struct tcp_md5sig *sig;
	size_t l, c, s;

	add_md5(listener, "127.0.0.0", 24, "secret");
	add_md5(client, "127.0.0.0", 24, "secret");
	bind4(listener, "127.0.0.1", 8082);
	OK(listen(listener, 4));
	connect4(client, "127.0.0.1", 8082);
	server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	l = dump(b, listener);
	c = dump(b, client);
	s = dump(b, server);
	finish(b);
	CRIT(b, s, {"isk.state", "1"}, {"isk.src_port", "8082"});
	md5_is_kept(extra_of(b->entries[l]));
	if (!key_of(extra_of(b->entries[l]), TCP_MD5SIG_EXT))
		return;
	assert_non_null(key_of(extra_of(b->entries[c]), TCP_MD5SIG_EXT));
	md5_is_kept(extra_of(b->entries[c]));
	sig = key_of(extra_of(b->entries[s]), TCP_MD5SIG);
	assert_non_null(sig);
	assert_memory_equal(sig->tcpm_key, "secret", 6);
}

static void udp_connected(void **state)
{
	BENCH(b);
	int fd = new_socket(b, AF_INET, SOCK_DGRAM, 0);
	int unread = new_socket(b, AF_INET, SOCK_DGRAM, 0);
	int shut = new_socket(b, AF_INET, SOCK_DGRAM, 0);
	struct sock_filter code[] = {{6, 0, 0, 96}};
	struct sock_fprog prog = {1, code};
	size_t no, u, w;

	bind4(fd, "127.0.0.1", 5001);
	connect4(fd, "127.0.0.1", 5002);
	set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO);
	set_int(fd, IPPROTO_UDP, 104, 1); /* UDP_GRO */
	OK(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)));
	bind4(unread, "127.0.0.1", 5002);
	assert_int_equal(send(fd, "x", 1, 0), 1);
	connect4(shut, "127.0.0.1", 5002);
	OK(shutdown(shut, SHUT_WR));
	no = dump(b, fd);
	u = dump(b, unread);
	w = dump(b, shut);
	finish(b);
	CRIT(b, no, {"isk.proto", "17"}, {"isk.state", "1"}, {"isk.src_port", "5001"},
	     {"isk.dst_port", "5002"}, {"isk.dst_addr", "[16777343]"},
	     /* code 6, k 96: 96 << 32 | 6 */
	     {"isk.opts.so_filter", "[1688849860264032]"});
	CRIT(b, u, {"isk.state", "7"}, {"isk.shutdown", "-"});
	CRIT(b, w, {"isk.shutdown", "\"WRITE\""});
	option_kept(b, no, "IP_MTU_DISCOVER", true);
	option_kept(b, no, "UDP_GRO", true);
	lost(b, u, "unread data");
}

/* The kernel cannot tell them apart by their address, nor may we. */
static void udp_shared_address(void **state)
{
	BENCH(b);
	int fds[3];
	size_t no[3];

	for (int i = 0; i < 3; i++) {
		fds[i] = new_socket(b, AF_INET, SOCK_DGRAM, 0);
		set_int(fds[i], SOL_SOCKET, SO_REUSEPORT, 1);
		bind4(fds[i], "127.0.0.1", 5003);
	}
	connect4(fds[1], "127.0.0.1", 5004);
	OK(shutdown(fds[1], SHUT_WR));
	(void)!shutdown(fds[2], SHUT_WR); /* not connected: ENOTCONN, and shut all the same */
	for (int i = 0; i < 3; i++)
		no[i] = dump(b, fds[i]);
	finish(b);
	CRIT(b, no[0], {"isk.shutdown", "-"});
	CRIT(b, no[1], {"isk.shutdown", "\"WRITE\""});
	CRIT(b, no[2], {"isk.shutdown", "\"WRITE\""});
}

static void memberships(void **state)
{
	BENCH(b);
	int fd = new_socket(b, AF_INET, SOCK_DGRAM, 0),
	    bystander = new_socket(b, AF_INET, SOCK_DGRAM, 0);
	int fd6 = new_socket(b, AF_INET6, SOCK_DGRAM, 0);
	struct ip_mreqn any = {.imr_ifindex = 1};
	struct group_source_req one = {.gsr_interface = 1};
	struct group_req six = {.gr_interface = 1};
	struct sockaddr_in *in = (void *)&one.gsr_group, *src = (void *)&one.gsr_source;
	struct sockaddr_in6 *in6 = (void *)&six.gr_group;
	size_t no, no6, none;
	const NsimgSk *x;

	inet_pton(AF_INET, "239.1.2.3", &any.imr_multiaddr);
	OK(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &any, sizeof(any)));
	in->sin_family = src->sin_family = AF_INET;
	inet_pton(AF_INET, "232.1.1.1", &in->sin_addr);
	inet_pton(AF_INET, "192.0.2.9", &src->sin_addr);
	OK(setsockopt(fd, IPPROTO_IP, MCAST_JOIN_SOURCE_GROUP, &one, sizeof(one)));
	in6->sin6_family = AF_INET6;
	inet_pton(AF_INET6, "ff02::1234", &in6->sin6_addr);
	OK(setsockopt(fd6, IPPROTO_IPV6, MCAST_JOIN_GROUP, &six, sizeof(six)));
	no = dump(b, fd);
	no6 = dump(b, fd6);
	none = dump(b, bystander);
	finish(b);
	assert_int_equal(extra_of(b->entries[none])->n_member, 0);
	x = extra_of(b->entries[no]);
	assert_int_equal(x->n_member, 2);
	for (size_t i = 0; i < 2; i++) {
		bool with_source = x->member[i]->group.data[0] == 232;

		assert_int_equal(x->member[i]->ifindex, 1);
		assert_int_equal(x->member[i]->mode, with_source ? MCAST_INCLUDE : MCAST_EXCLUDE);
		assert_int_equal(x->member[i]->n_source, with_source ? 1 : 0);
		if (with_source)
			assert_memory_equal(x->member[i]->source[0].data, &src->sin_addr, 4);
		else
			assert_memory_equal(x->member[i]->group.data, &any.imr_multiaddr, 4);
	}
	x = extra_of(b->entries[no6]);
	assert_int_equal(x->n_member, 1);
	assert_memory_equal(x->member[0]->group.data, &in6->sin6_addr, 16);
}

static void raw_sockets(void **state)
{
	BENCH(b);
	int fd = new_socket(b, AF_INET, SOCK_RAW, IPPROTO_ICMP);
	int fd6 = new_socket(b, AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
	struct icmp_filter filter = {.data = 0x101};
	size_t no, no6;

	OK(setsockopt(fd, SOL_RAW, ICMP_FILTER, &filter, sizeof(filter)));
	set_int(fd, IPPROTO_IP, IP_HDRINCL, 1);
	no = dump(b, fd);
	no6 = dump(b, fd6);
	finish(b);
	/* the port of a raw socket is its protocol (net/ipv4/af_inet.c, inet_create) */
	CRIT(b, no, {"isk.type", "3"}, {"isk.proto", "1"}, {"isk.src_port", "1"},
	     {"isk.ip_opts.raw.hdrincl", "true"}, {"isk.ip_opts.raw.icmpv_filter", "[257]"});
	CRIT(b, no6, {"isk.src_port", "58"}, {"isk.v6only", "false"},
	     {"isk.ip_opts.raw.icmpv_filter", "[0,0,0,0,0,0,0,0]"});
}

static void ebpf_filter_is_noted(void **state)
{
	BENCH(b);
	struct bpf_insn code[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	union bpf_attr attr = {.prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
			       .insn_cnt = 2,
			       .insns = (uintptr_t)code,
			       .license = (uintptr_t) "MIT"};
	int prog = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	int fd = new_socket(b, AF_INET, SOCK_DGRAM, 0);
	size_t no;

	if (prog < 0) {
		print_message("SKIP: no eBPF: %s\n", strerror(errno));
		close(fd);
		skip();
	}
	set_int(fd, SOL_SOCKET, SO_ATTACH_BPF, prog);
	close(prog);
	no = dump(b, fd);
	finish(b);
	assert_true(extra_of(b->entries[no])->bpf_filter);
	lost(b, no, "eBPF");
}

static void secrets_stay_out(void **state)
{
	BENCH(b);
	int fd = new_socket(b, AF_INET, SOCK_STREAM, 0);
	size_t no;

	b->d.opts.no_secrets = true;
	if (setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, "0123456789abcdef", 16) != 0) {
		print_message("SKIP: TCP_FASTOPEN_KEY: %s\n", strerror(errno));
		close(fd);
		skip();
	}
	no = dump(b, fd);
	finish(b);
	option_kept(b, no, "TCP_FASTOPEN_KEY", false);
	lost(b, no, "--no-secrets");
}

static bool knows_all(uint64_t ino, void *arg)
{
	return true;
}

static long us_since(const struct timespec *t0)
{
	struct timespec t1;

	clock_gettime(CLOCK_MONOTONIC, &t1);
	return (t1.tv_sec - t0->tv_sec) * 1000000 + (t1.tv_nsec - t0->tv_nsec) / 1000;
}

/* How long it takes, printed; bounded only against accidents. The first socket of a kind in a namespace pays
 * for the defaults and the tables of sock_diag. */
static void time_per_socket(void **state)
{
	enum { ROUNDS = 200 };
	static const struct {
		int family, type;
		const char *name;
	} cases[] = {{AF_INET, SOCK_STREAM, "tcp"},
		     {AF_INET6, SOCK_DGRAM, "udp6"},
		     {AF_UNIX, SOCK_STREAM, "unix"},
		     {AF_PACKET, SOCK_RAW, "packet"}};
	BENCH(b);
	struct timespec t0;
	long first, us;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int fd = new_socket(b, cases[i].family, cases[i].type, 0);

		clock_gettime(CLOCK_MONOTONIC, &t0);
		dump(b, fd);
		first = us_since(&t0);
		clock_gettime(CLOCK_MONOTONIC, &t0);
		for (int k = 0; k < ROUNDS; k++) {
			struct sk_ref ref = {.fd = b->fds[b->n - 1],
					     .ino = b->inos[b->n - 1],
					     .file_id = 1,
					     .netns = b->netns,
					     .owner = "t"};
			uint32_t type;

			OK(sk_dump(&b->d, &ref, &b->files, &b->others, &type, &the_err));
		}
		us = us_since(&t0) / ROUNDS;
		print_message("%s: %ld us per socket, the first %ld us\n", cases[i].name, us,
			      first);
		assert_true(us < 100000);
	}
	clock_gettime(CLOCK_MONOTONIC, &t0);
	OK(sk_note_missing(&b->d, b->netns, knows_all, NULL, &the_err));
	print_message("all tables of sock_diag: %ld us per namespace\n", us_since(&t0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(tcp_listener),    T(tcp_defaults_are_not_kept), T(tcp_connections_are_noted),
		T(udp_connected),   T(udp_shared_address),        T(memberships),
		T(raw_sockets),     T(ebpf_filter_is_noted),      T(secrets_stay_out),
		T(time_per_socket), T(keys_of_connections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
