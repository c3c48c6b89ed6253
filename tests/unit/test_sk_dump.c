/* Sockets of every kind, made in a network namespace of the test's own, dumped through duplicates of their
 * descriptors. What CRIU has fields for is read back by crit (Debian's, format v1.1) and compared with what
 * was set and with getsockopt; what is ours is unpacked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/icmp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/in.h>
#include <linux/netlink.h>
#include <linux/tcp.h>
#include <linux/vm_sockets.h>
#include <linux/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/json.h"
#include "criu/fdinfo.pb-c.h"
#include "criu/nsimg.pb-c.h"
#include "dumper/dump.h"
#include "dumper/sk.h"
#include "dumper/tun.h"
#include "proto/img.h"
#include "proto/sockopt_table.h"

enum { MAX_SOCKETS = 32 };

/* One test: a namespace, a folder, a dump under way. */
struct bench {
	struct ns *ns;
	struct dump_netns *netns;
	struct dump d;
	char dir[64];
	struct img_writer files, others;
	int fds[MAX_SOCKETS];
	uint64_t inos[MAX_SOCKETS];
	uint32_t types[MAX_SOCKETS];
	size_t n;
	struct json *crit; /* of files.img */
	FileEntry *entries[MAX_SOCKETS];
};

static struct err the_err = ERR_INIT;

#define OK(call)                                                                                   \
	do {                                                                                       \
		if ((call) != 0)                                                                   \
			fail_msg("%s: %s %s", #call, the_err.msg, strerror(errno));                \
	} while (0)

static int lo_up(void *arg, struct err *e)
{
	auto_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {.ifr_flags = IFF_UP};

	strcpy(ifr.ifr_name, "lo");
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr) != 0)
		return err_sys(e, ERR_KERNEL, "lo up");
	return 0;
}

static int bench_begin(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	*state = b;
	b->ns = ns_new(&the_err);
	if (!b->ns) {
		print_message("SKIP: no network namespace: %s\n", the_err.msg);
		return 0;
	}
	OK(ns_call(b->ns, lo_up, NULL, &the_err));
	strcpy(b->dir, "/tmp/test_sk_dump.XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	b->d.dirfd = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	b->d.next_ns_id = 9;
	b->d.next_file_id = 1;
	b->netns = dump_netns_of(&b->d, take_ptr(b->ns), &the_err);
	assert_non_null(b->netns);
	img_write_init(&b->files, b->d.dirfd);
	img_write_init(&b->others, b->d.dirfd);
	OK(img_write_begin(&b->files, IMG_FILES, 0, &the_err));
	OK(img_write_begin(&b->others, IMG_NSIMG_SK, 0, &the_err));
	return 0;
}

static void remove_files(struct bench *b)
{
	DIR *dir = opendir(b->dir);
	struct dirent *de;

	while (dir && (de = readdir(dir)))
		unlinkat(dirfd(dir), de->d_name, 0);
	closedir(dir);
	rmdir(b->dir);
}

static int bench_end(void **state)
{
	struct bench *b = *state;

	for (size_t i = 0; i < b->n; i++) {
		close(b->fds[i]);
		if (b->entries[i])
			file_entry__free_unpacked(b->entries[i], NULL);
	}
	json_free(b->crit);
	if (b->netns) {
		img_write_free(&b->files);
		img_write_free(&b->others);
		sk_cache_free(b->d.sk);
		for (size_t i = 0; i < b->d.n_losses; i++) {
			free(b->d.losses[i].object);
			free(b->d.losses[i].reason);
		}
		free(b->d.losses);
		for (size_t i = 0; i < b->d.n_netns; i++) {
			ns_free(b->d.netns[i]->ns);
			free(b->d.netns[i]);
		}
		free(b->d.netns);
		close(b->d.dirfd);
		remove_files(b);
	}
	free(b);
	return 0;
}

#define BENCH(b)                                                                                   \
	struct bench *b = *state;                                                                  \
	if (!b->netns)                                                                             \
	skip()

static int new_socket(struct bench *b, int family, int type, int protocol)
{
	int fd = ns_socket(b->netns->ns, family, type, protocol, &the_err);

	if (fd < 0)
		fail_msg("%s", the_err.msg);
	return fd;
}

static void set_int(int fd, int level, int opt, int v)
{
	if (setsockopt(fd, level, opt, &v, sizeof(v)) != 0)
		fail_msg("setsockopt %d %d: %s", level, opt, strerror(errno));
}

static void bind4(int fd, const char *addr, int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

	inet_pton(AF_INET, addr, &a.sin_addr);
	OK(bind(fd, (struct sockaddr *)&a, sizeof(a)));
}

static void connect4(int fd, const char *addr, int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

	inet_pton(AF_INET, addr, &a.sin_addr);
	OK(connect(fd, (struct sockaddr *)&a, sizeof(a)));
}

static void bind6(int fd, const char *addr, int port)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};

	inet_pton(AF_INET6, addr, &a.sin6_addr);
	OK(bind(fd, (struct sockaddr *)&a, sizeof(a)));
}

/* Dump through a duplicate, as the dumper has one; fd is taken. The number of its entry. */
static size_t dump(struct bench *b, int fd)
{
	auto_close int dup_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	struct stat st;
	struct sk_ref ref = {.fd = dup_fd, .owner = "test"};

	ref.netns = dump_netns_of_socket(&b->d, dup_fd, &the_err);
	assert_non_null(ref.netns);

	fstat(fd, &st);
	ref.ino = b->inos[b->n] = st.st_ino;
	ref.file_id = (uint32_t)b->n + 1;
	b->fds[b->n] = fd;
	OK(sk_dump(&b->d, &ref, &b->files, &b->others, &b->types[b->n], &the_err));
	return b->n++;
}

/* Write files.img; have crit and protobuf read it. */
static void finish(struct bench *b)
{
	const struct img_type *type = img_type_get(IMG_FILES);
	auto_buf struct buf bytes = {0}, text = {0};
	char cmd[160], chunk[4096];
	struct img_reader rd;
	struct img_record rec;
	size_t n;
	FILE *f;

	OK(img_write_end(&b->files, &the_err));
	OK(io_read_file(b->d.dirfd, "files.img", 1 << 20, &bytes, &the_err));
	OK(img_read_begin(&rd, type, "files.img", buf_span(&bytes), &the_err));
	while (img_read_next(&rd, &rec, &the_err) == 1) {
		FileEntry *fe = file_entry__unpack(NULL, rec.msg.len, rec.msg.data);

		assert_non_null(fe);
		b->entries[fe->id - 1] = fe;
	}
	snprintf(cmd, sizeof(cmd), "crit decode -i %s/files.img 2>&1", b->dir);
	f = popen(cmd, "r");
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		OK(buf_add(&text, chunk, n, &the_err));
	if (pclose(f) != 0) {
		print_message("SKIP: crit: %s\n", text.data);
		return;
	}
	b->crit = json_parse((char *)text.data, text.len, &the_err);
	if (!b->crit)
		fail_msg("crit: %s", the_err.msg);
}

/* What crit prints at a path of entry no; "-" when it is not there. */
static void crit_is(struct bench *b, size_t no, const char *path, const char *want)
{
	const struct json *j = NULL, *entries = json_get(b->crit, "entries");
	auto_buf struct buf text = {0};
	char copy[128], *part, *save;
	int64_t id;

	if (!b->crit)
		return;
	for (size_t i = 0; i < json_len(entries); i++) {
		OK(json_to_int(json_get(json_at(entries, i), "id"), &id, "id", &the_err));
		if (id == (int64_t)no + 1)
			j = json_at(entries, i);
	}
	strcpy(copy, path);
	for (part = strtok_r(copy, ".", &save); part; part = strtok_r(NULL, ".", &save))
		j = *part >= '0' && *part <= '9' ? json_at(j, (size_t)atoi(part))
						 : json_get(j, part);
	if (j)
		OK(json_print(j, false, &text, &the_err));
	else
		OK(buf_add_str(&text, "-", &the_err));
	if (strcmp((char *)text.data, want) != 0)
		fail_msg("entry %zu %s: %s, not %s", no, path, text.data, want);
}

struct want {
	const char *path, *text;
};

static void crit_has(struct bench *b, size_t no, const struct want *want, size_t n)
{
	for (size_t i = 0; i < n; i++)
		crit_is(b, no, want[i].path, want[i].text);
}

#define CRIT(b, no, ...)                                                                           \
	do {                                                                                       \
		static const struct want want_[] = {__VA_ARGS__};                                  \
		crit_has(b, no, want_, ARRAY_SIZE(want_));                                         \
	} while (0)

static NsimgSk *extra_of(const FileEntry *fe)
{
	return fe->isk    ? fe->isk->nsimg
	       : fe->usk  ? fe->usk->nsimg
	       : fe->nlsk ? fe->nlsk->nsimg
			  : fe->psk->nsimg;
}

/* The option as kept must be what getsockopt says; want_kept false: it must not be there. */
static void option_kept(struct bench *b, size_t no, const char *name, bool want_kept)
{
	const struct sockopt *row = sockopt_find_name(name);
	NsimgSk *x = extra_of(b->entries[no]);
	uint8_t now[256] = {0};
	socklen_t len = sizeof(now);

	for (size_t i = 0; i < x->n_opt; i++) {
		if ((int)x->opt[i]->level != row->level || (int)x->opt[i]->name != row->opt)
			continue;
		if (!want_kept)
			fail_msg("entry %zu: %s is kept", no, name);
		OK(getsockopt(b->fds[no], row->level, row->opt, now, &len));
		if (x->opt[i]->value.len > len ||
		    memcmp(x->opt[i]->value.data, now, x->opt[i]->value.len) != 0)
			fail_msg("entry %zu: %s has another value", no, name);
		return;
	}
	if (want_kept)
		fail_msg("entry %zu: %s is not kept", no, name);
}

static bool is_lost(struct bench *b, const char *object, const char *words)
{
	for (size_t i = 0; i < b->d.n_losses; i++) {
		if (strstr(b->d.losses[i].object, object) && strstr(b->d.losses[i].reason, words))
			return true;
	}
	return false;
}

static void lost(struct bench *b, size_t no, const char *words)
{
	char object[64];

	snprintf(object, sizeof(object), "socket %llu ", (unsigned long long)b->inos[no]);
	if (!is_lost(b, object, words))
		fail_msg("entry %zu: no note of '%s'", no, words);
}

/* -- the options that CRIU has, of any socket, against getsockopt -- */

static const struct {
	const char *field;
	int opt;
	bool is_bool;
} common[] = {
	{"so_sndbuf", SO_SNDBUF, false},      {"so_rcvbuf", SO_RCVBUF, false},
	{"so_priority", SO_PRIORITY, false},  {"so_rcvlowat", SO_RCVLOWAT, false},
	{"so_buf_lock", 72, false},           {"so_oobinline", SO_OOBINLINE, false},
	{"reuseaddr", SO_REUSEADDR, true},    {"so_reuseport", SO_REUSEPORT, true},
	{"so_dontroute", SO_DONTROUTE, true}, {"so_no_check", SO_NO_CHECK, true},
	{"so_broadcast", SO_BROADCAST, true}, {"so_keepalive", SO_KEEPALIVE, true},
};

static void common_options_agree(struct bench *b, size_t no, const char *entry)
{
	for (size_t i = 0; i < ARRAY_SIZE(common); i++) {
		char path[64], want[32];
		int v = 0;
		socklen_t len = sizeof(v);

		OK(getsockopt(b->fds[no], SOL_SOCKET, common[i].opt, &v, &len));
		snprintf(path, sizeof(path), "%s.opts.%s", entry, common[i].field);
		if (common[i].is_bool)
			strcpy(want, v ? "true" : "false");
		else
			snprintf(want, sizeof(want), "%d", v);
		crit_is(b, no, path, want);
	}
}

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

static void md5_is_kept(const NsimgSk *x)
{
	const struct tcp_md5sig *sig = NULL;

	for (size_t i = 0; i < x->n_opt; i++) {
		if (x->opt[i]->name == TCP_MD5SIG_EXT && x->opt[i]->level == IPPROTO_TCP)
			sig = (const void *)x->opt[i]->value.data;
	}
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
	     {"isk.opts.so_filter", "[412316860422]"});
	CRIT(b, u, {"isk.state", "7"}, {"isk.shutdown", "-"});
	CRIT(b, w, {"isk.shutdown", "\"WRITE\""});
	option_kept(b, no, "IP_MTU_DISCOVER", true);
	option_kept(b, no, "UDP_GRO", true);
	lost(b, u, "unread data");
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
	struct sockaddr_nl nl = {.nl_family = AF_NETLINK, .nl_pid = 4711, .nl_groups = 0x51};
	size_t no;

	OK(bind(fd, (struct sockaddr *)&nl, sizeof(nl)));
	set_int(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, 34); /* bit 33 */
	set_int(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
	no = dump(b, fd);
	finish(b);
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
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	int *fds = arg;

	fds[0] = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	fds[1] = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	strcpy(ifr.ifr_name, "tap7");
	if (fds[0] < 0 || fds[1] < 0 || ioctl(fds[1], TUNSETIFF, &ifr) != 0)
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

/* How long one socket takes; printed, and bounded only against accidents. */
static void time_per_socket(void **state)
{
	enum { ROUNDS = 200 };
	static const struct {
		int family, type;
		const char *name;
	} cases[] = {{AF_INET, SOCK_STREAM, "tcp"},
		     {AF_INET6, SOCK_DGRAM, "udp6"},
		     {AF_UNIX, SOCK_STREAM, "unix"}};
	BENCH(b);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct timespec t0, t1;
		long us;

		dump(b, new_socket(b, cases[i].family, cases[i].type, 0));
		clock_gettime(CLOCK_MONOTONIC, &t0);
		for (int k = 0; k < ROUNDS; k++) {
			struct sk_ref ref = {b->fds[b->n - 1], b->inos[b->n - 1], 1, b->netns, "t"};
			uint32_t type;

			OK(sk_dump(&b->d, &ref, &b->files, &b->others, &type, &the_err));
		}
		clock_gettime(CLOCK_MONOTONIC, &t1);
		us = (t1.tv_sec - t0.tv_sec) * 1000000 + (t1.tv_nsec - t0.tv_nsec) / 1000;
		print_message("%s: %ld us per socket\n", cases[i].name, us / ROUNDS);
		assert_true(us / ROUNDS < 100000);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, bench_begin, bench_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(tcp_listener),
		T(tcp_defaults_are_not_kept),
		T(tcp_connections_are_noted),
		T(udp_connected),
		T(memberships),
		T(raw_sockets),
		T(unix_names),
		T(unix_peers),
		T(netlink_groups),
		T(packet_rings),
		T(other_families),
		T(ebpf_filter_is_noted),
		T(missing_sockets_are_noted),
		T(tun_descriptors),
		T(secrets_stay_out),
		T(time_per_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
