/* unix, netlink, packet and other sockets, tun descriptors, and sockets without a descriptor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <signal.h>
#include <sys/un.h>

#include "dumper/tun.h"
#include "sk_bench.h"

static int bind_unix(int fd, const char *name, size_t len)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	memcpy(un.sun_path, name, len);
	return bind(fd, (struct sockaddr *)&un,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
}

static void unix_names(void **state)
{
	BENCH(b);
	int abstract = new_socket(b, AF_UNIX, SOCK_STREAM, 0);
	int path = new_socket(b, AF_UNIX, SOCK_DGRAM, 0),
	    gone = new_socket(b, AF_UNIX, SOCK_DGRAM, 0);
	int relative = new_socket(b, AF_UNIX, SOCK_STREAM, 0);
	char name[96], gone_name[96], want[128];
	size_t a, p, g, r;

	OK(bind_unix(abstract, "\0a\0b", 4));
	OK(listen(abstract, 6));
	snprintf(name, sizeof(name), "%s/s", b->dir);
	OK(bind_unix(path, name, strlen(name)));
	OK(chmod(name, 0640));
	snprintf(gone_name, sizeof(gone_name), "%s/gone", b->dir);
	OK(bind_unix(gone, gone_name, strlen(gone_name)));
	OK(unlink(gone_name));
	OK(chdir(b->dir));
	OK(bind_unix(relative, "rel", 3));
	OK(chdir("/"));
	a = dump(b, abstract);
	p = dump(b, path);
	g = dump(b, gone);
	r = dump(b, relative);
	finish(b);
	CRIT(b, a, {"usk.type", "1"}, {"usk.state", "10"}, {"usk.backlog", "6"}, {"usk.ns_id", "9"},
	     {"usk.file_perms", "-"});
	assert_int_equal(b->entries[a]->usk->name.len, 4);
	assert_memory_equal(b->entries[a]->usk->name.data, "\0a\0b", 4);
	/* crit shows a zero byte as =00; 33184 is S_IFSOCK | 0640 with S_IFSOCK 0140000 */
	snprintf(want, sizeof(want), "\"%s=00\"", name);
	crit_is(b, p, "usk.name", want);
	snprintf(want, sizeof(want), "%d", S_IFSOCK | 0640);
	crit_is(b, p, "usk.file_perms.mode", want);
	CRIT(b, p, {"usk.state", "7"}, {"usk.name_dir", "-"}, {"usk.deleted", "-"});
	CRIT(b, g, {"usk.deleted", "true"});
	CRIT(b, r, {"usk.name", "\"rel=00\""});
	snprintf(want, sizeof(want), "\"%s\"", b->dir);
	crit_is(b, r, "usk.name_dir", want);
	assert_int_equal(b->d.n_losses, 0);
}

/* Ends in two namespaces, by path. An accepted socket lives where its client does
 * (net/unix/af_unix.c, unix_stream_connect). */
static void unix_peers(void **state)
{
	BENCH(b);
	int listener = new_socket(b, AF_UNIX, SOCK_STREAM, 0);
	struct dump_netns *far = dump_netns_of(&b->d, ns_new(&the_err), &the_err);
	int client = ns_socket(far->ns, AF_UNIX, SOCK_STREAM, 0, &the_err), server;
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} c = {0};
	struct iovec iov = {"data", 4};
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c)};
	int sink = new_socket(b, AF_UNIX, SOCK_DGRAM, 0);
	int source = ns_socket(far->ns, AF_UNIX, SOCK_DGRAM, 0, &the_err);
	size_t cl, sv, so, si;
	int passed = 0;

	snprintf(un.sun_path, sizeof(un.sun_path), "%s/l", b->dir);
	OK(bind(listener, (struct sockaddr *)&un, sizeof(un)));
	OK(listen(listener, 1));
	OK(connect(client, (struct sockaddr *)&un, sizeof(un)));
	server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	c.h.cmsg_level = SOL_SOCKET;
	c.h.cmsg_type = SCM_RIGHTS;
	c.h.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&c.h), &passed, sizeof(int));
	assert_int_equal(sendmsg(client, &m, 0), 4);
	OK(shutdown(server, SHUT_WR));
	set_int(server, SOL_SOCKET, SO_PASSCRED, 1);
	snprintf(un.sun_path, sizeof(un.sun_path), "%s/d", b->dir);
	OK(bind(sink, (struct sockaddr *)&un, sizeof(un)));
	OK(connect(source, (struct sockaddr *)&un, sizeof(un)));
	sv = dump(b, server);
	cl = dump(b, client);
	so = dump(b, source);
	si = dump(b, sink);
	close(listener);
	finish(b);
	CRIT(b, sv, {"usk.state", "1"}, {"usk.backlog", "0"}, {"usk.shutdown", "\"WRITE\""},
	     {"usk.opts.so_passcred", "true"}, {"usk.ns_id", "10"});
	CRIT(b, cl, {"usk.state", "1"}, {"usk.shutdown", "\"READ\""}, {"usk.ns_id", "10"},
	     {"usk.name", "\"\""});
	assert_int_equal(b->entries[sv]->usk->peer, b->entries[cl]->usk->ino);
	assert_int_equal(b->entries[cl]->usk->peer, b->entries[sv]->usk->ino);
	assert_false(extra_of(b->entries[sv])->has_peer_ns_id);
	CRIT(b, so, {"usk.ns_id", "10"}, {"usk.state", "1"});
	CRIT(b, si, {"usk.ns_id", "9"}, {"usk.peer", "0"});
	assert_int_equal(b->entries[so]->usk->peer, b->entries[si]->usk->ino);
	assert_int_equal(extra_of(b->entries[so])->peer_ns_id, 9);
	assert_int_equal(extra_of(b->entries[sv])->inq_len, 4);
	assert_int_equal(extra_of(b->entries[sv])->rights_in_flight, 1);
	lost(b, sv, "unread data (4 bytes");
	lost(b, sv, "1 descriptors in flight");
}

static void netlink_groups(void **state)
{
	BENCH(b);
	int fd = new_socket(b, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	int to_kernel = new_socket(b, AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
	struct sockaddr_nl nl = {.nl_family = AF_NETLINK, .nl_pid = 4711, .nl_groups = 0x51};
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	size_t no, connected;

	OK(connect(to_kernel, (struct sockaddr *)&kernel, sizeof(kernel)));
	OK(bind(fd, (struct sockaddr *)&nl, sizeof(nl)));
	set_int(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, 34); /* bit 33 */
	set_int(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
	no = dump(b, fd);
	connected = dump(b, to_kernel);
	finish(b);
	CRIT(b, connected, {"nlsk.protocol", "12"}, {"nlsk.state", "1"}, {"nlsk.dst_portid", "0"});
	CRIT(b, no, {"type", "\"NETLINKSK\""}, {"nlsk.protocol", "0"}, {"nlsk.state", "7"},
	     {"nlsk.portid", "4711"}, {"nlsk.groups", "[81,2]"}, {"nlsk.dst_portid", "0"},
	     {"nlsk.dst_group", "0"}, {"nlsk.ns_id", "9"});
	common_options_agree(b, no, "nlsk");
	option_kept(b, no, "NETLINK_EXT_ACK", true);
	option_kept(b, no, "NETLINK_CAP_ACK", false);
}

static void packet_rings(void **state)
{
	BENCH(b);
	int fd = new_socket(b, AF_PACKET, SOCK_RAW, 0);
	struct sockaddr_ll ll = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ARP), .sll_ifindex = 1};
	struct packet_mreq promisc = {.mr_ifindex = 1, .mr_type = PACKET_MR_PROMISC};
	struct tpacket_req ring = {4096, 2, 1024, 8};
	size_t no;

	set_int(fd, SOL_PACKET, PACKET_VERSION, TPACKET_V2);
	set_int(fd, SOL_PACKET, PACKET_RESERVE, 8);
	set_int(fd, SOL_PACKET, PACKET_AUXDATA, 1);
	set_int(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
	OK(setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof(ring)));
	OK(setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promisc, sizeof(promisc)));
	OK(bind(fd, (struct sockaddr *)&ll, sizeof(ll)));
	set_int(fd, SOL_PACKET, PACKET_FANOUT, 13 | PACKET_FANOUT_LB << 16);
	no = dump(b, fd);
	finish(b);
	CRIT(b, no, {"type", "\"PACKETSK\""}, {"psk.type", "3"}, {"psk.protocol", "1544"},
	     {"psk.ifindex", "1"}, {"psk.version", "1"}, {"psk.reserve", "8"},
	     {"psk.aux_data", "true"}, {"psk.orig_dev", "false"}, {"psk.mclist.0.index", "1"},
	     {"psk.mclist.0.type", "1"}, {"psk.fanout", "65549"},
	     {"psk.rx_ring.block_size", "4096"}, {"psk.rx_ring.block_nr", "2"},
	     {"psk.rx_ring.frame_size", "1024"}, {"psk.rx_ring.frame_nr", "8"},
	     {"psk.tx_ring", "-"});
	option_kept(b, no, "PACKET_IGNORE_OUTGOING", true);
	option_kept(b, no, "PACKET_QDISC_BYPASS", false);
}

static void other_families(void **state)
{
	static const struct {
		int family, type, protocol;
		const char *words;
	} cases[] = {
		{AF_INET, SOCK_STREAM, IPPROTO_MPTCP, "MPTCP"},
		{AF_VSOCK, SOCK_STREAM, 0, "vsock"},
		{AF_XDP, SOCK_RAW, 0, "XDP"},
		{AF_ALG, SOCK_SEQPACKET, 0, "kernel crypto"},
	};
	BENCH(b);
	auto_buf struct buf bytes = {0};
	struct img_reader rd;
	struct img_record rec;
	size_t n = 0, seen = 0;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int fd = ns_socket(b->netns->ns, cases[i].family, cases[i].type, cases[i].protocol,
				   &the_err);
		if (fd < 0) {
			print_message("SKIP: no %s: %s\n", cases[i].words, the_err.msg);
			continue;
		}
		if (cases[i].family == AF_INET) {
			bind4(fd, "127.0.0.1", 9000);
			OK(listen(fd, 3));
		}
		lost(b, dump(b, fd), cases[i].words);
		assert_int_equal(b->types[n], FD_TYPES__UND);
		n++;
	}
	assert_int_equal(b->d.n_others, n);
	OK(img_write_end(&b->others, &the_err));
	OK(io_read_file(b->d.dirfd, "nsimg-sk.img", 1 << 20, &bytes, &the_err));
	OK(img_read_begin(&rd, img_type_get(IMG_NSIMG_SK), "nsimg-sk.img", buf_span(&bytes),
			  &the_err));
	while (img_read_next(&rd, &rec, &the_err) == 1) {
		NsimgSkEntry *sk = nsimg_sk_entry__unpack(NULL, rec.msg.len, rec.msg.data);
		const struct sockaddr_in *in = (const void *)sk->local_addr.data;

		assert_int_equal(sk->ino, (uint32_t)b->inos[seen++]);
		if (sk->protocol == IPPROTO_MPTCP) {
			assert_int_equal(sk->state, 10);
			assert_int_equal(ntohs(in->sin_port), 9000);
			if (sk->has_backlog)
				assert_int_equal(sk->backlog, 3);
		}
		nsimg_sk_entry__free_unpacked(sk, NULL);
	}
	assert_int_equal(seen, n);
}

/* The kernel says 1 byte of one that is closed, which means that it is at its end. */
static void closed_mptcp_has_no_data(void **state)
{
	BENCH(b);
	int fd = ns_socket(b->netns->ns, AF_INET, SOCK_STREAM, IPPROTO_MPTCP, &the_err);

	if (fd < 0) {
		print_message("SKIP: no MPTCP: %s\n", the_err.msg);
		return;
	}
	lost(b, dump(b, fd), "MPTCP");
	assert_false(is_lost(b, "socket", "unread data"));
}

static bool knows(uint64_t ino, void *arg)
{
	struct bench *b = arg;

	for (size_t i = 0; i < b->n; i++) {
		if (b->inos[i] == ino)
			return true;
	}
	return false;
}

static void run_child(int fd, int ready)
{
	char c = 0;

	(void)!write(ready, &c, 1);
	for (;;)
		pause();
}

/* A socket that only somebody else holds is found by sock_diag and named. */
static void missing_sockets_are_noted(void **state)
{
	BENCH(b);
	int held = new_socket(b, AF_INET, SOCK_STREAM, 0),
	    un = new_socket(b, AF_UNIX, SOCK_DGRAM, 0);
	int known = new_socket(b, AF_INET, SOCK_DGRAM, 0);
	int ready[2];
	pid_t pid;
	char c;

	bind4(held, "127.0.0.1", 7777);
	OK(listen(held, 1));
	OK(bind_unix(un, "\0lost", 5));
	bind4(known, "127.0.0.1", 7778);
	OK(pipe(ready));
	pid = fork();
	if (pid == 0)
		run_child(held, ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
	close(held);
	close(un);
	dump(b, known);
	OK(sk_note_missing(&b->d, b->netns, knows, b, &the_err));
	kill(pid, SIGKILL);
	assert_true(is_lost(b, "127.0.0.1:7777", "no dumped task"));
	assert_true(is_lost(b, "\\x00lost", "no dumped task"));
	assert_false(is_lost(b, "7778", ""));
	assert_int_equal(b->d.n_losses, 2);
}

static int make_tun(void *arg, struct err *e)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int *fds = arg, header = 12, send = 5000;

	fds[0] = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	fds[1] = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	strcpy(ifr.ifr_name, "tap7");
	if (fds[0] < 0 || fds[1] < 0 || ioctl(fds[1], TUNSETIFF, &ifr) != 0 ||
	    ioctl(fds[1], TUNSETVNETHDRSZ, &header) || ioctl(fds[1], TUNSETSNDBUF, &send))
		return err_sys(e, ERR_KERNEL, "tun device");
	return 0;
}

static void tun_descriptors(void **state)
{
	BENCH(b);
	int fds[2] = {-1, -1};

	if (ns_call(b->netns->ns, make_tun, fds, &the_err) != 0) {
		print_message("SKIP: %s\n", the_err.msg);
		skip();
	}
	for (int i = 0; i < 2; i++) {
		b->fds[b->n++] = fds[i];
		OK(tun_dump(&b->d, fds[i], (uint32_t)i + 1, b->netns, "test", &b->files, &the_err));
	}
	finish(b);
	CRIT(b, 0, {"type", "\"TUNF\""}, {"tunf.id", "1"}, {"tunf.netdev", "-"},
	     {"tunf.ns_id", "9"});
	CRIT(b, 1, {"tunf.netdev", "\"tap7\""}, {"tunf.detached", "-"}, {"tunf.ns_id", "9"});
	assert_int_equal(b->entries[1]->tunf->nsimg_flags & IFF_TAP, IFF_TAP);
	assert_true(is_lost(b, "tun device tap7 (test)", "TUNSETVNETHDRSZ 12"));
	assert_true(is_lost(b, "tun device tap7 (test)", "TUNSETSNDBUF 5000"));
	assert_int_equal(b->d.n_losses, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(unix_names),
		T(unix_peers),
		T(netlink_groups),
		T(packet_rings),
		T(other_families),
		T(closed_mptcp_has_no_data),
		T(missing_sockets_are_noted),
		T(tun_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
