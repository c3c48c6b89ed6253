/* Probes of sockets, socket options and sock_diag; every socket is made in the private namespace. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/inet_diag.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <linux/netlink_diag.h>
#include <linux/packet_diag.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <linux/unix_diag.h>
#include <linux/vm_sockets.h>
#include <linux/vm_sockets_diag.h>
#include <linux/xdp_diag.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/kernel_probes.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static int probe_socket(struct kernel_env *env, int family, int type, int protocol, struct err *e)
{
	return kernel_env_need_ns(env, e) ? -1 : ns_socket(env->ns, family, type, protocol, e);
}

int probe_siocgskns(struct kernel_env *env, const char *arg, struct err *e)
{
	auto_close int sk = probe_socket(env, AF_INET, SOCK_DGRAM, 0, e);
	auto_ns struct ns *ns = sk < 0 ? NULL : ns_of_socket(sk, e);

	if (!ns)
		return -1;
	return ns_is_same(ns, env->ns) ? 0 : err_set(e, ERR_KERNEL, "SIOCGSKNS gave another one");
}

int probe_netns_cookie(struct kernel_env *env, const char *arg, struct err *e)
{
	auto_close int sk = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	if (sk < 0 || getsockopt(sk, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len))
		return err_sys(e, ERR_KERNEL, "SO_NETNS_COOKIE");
	return 0;
}

/* An option that is set to a harmless value on a socket of this kind. */
static const struct opt_row {
	const char *arg;
	int family, type, level, name;
	enum { OPT_INT, OPT_MD5, OPT_MREQ } value;
} opt_rows[] = {
	/* off: a socket that is not connected may be switched both ways (tcp_can_repair_sock) */
	{"tcp_repair", AF_INET, SOCK_STREAM, IPPROTO_TCP, TCP_REPAIR, OPT_INT},
	{"tcp_md5sig", AF_INET, SOCK_STREAM, IPPROTO_TCP, TCP_MD5SIG, OPT_MD5},
	{"so_peek_off", AF_UNIX, SOCK_DGRAM, SOL_SOCKET, SO_PEEK_OFF, OPT_INT},
	{"so_reuseport", AF_INET, SOCK_DGRAM, SOL_SOCKET, SO_REUSEPORT, OPT_INT},
	{"ip_add_membership", AF_INET, SOCK_DGRAM, IPPROTO_IP, IP_ADD_MEMBERSHIP, OPT_MREQ},
};

static size_t opt_value(const struct kernel_env *env, const struct opt_row *row, void *data,
			size_t cap)
{
	struct tcp_md5sig md5 = {.tcpm_keylen = 3, .tcpm_key = "key"};
	struct ip_mreqn mreq = {.imr_ifindex = env->parent};
	int zero = 0;
	const void *from = &zero;
	size_t len = sizeof(zero);

	if (row->value == OPT_MD5) {
		struct sockaddr_in to = {.sin_family = AF_INET};

		to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		memcpy(&md5.tcpm_addr, &to, sizeof(to));
		from = &md5;
		len = sizeof(md5);
	} else if (row->value == OPT_MREQ) {
		mreq.imr_multiaddr.s_addr = htonl(0xefff0101); /* 239.255.1.1 */
		from = &mreq;
		len = sizeof(mreq);
	}
	if (len > cap)
		return 0;
	memcpy(data, from, len);
	return len;
}

int probe_sockopt(struct kernel_env *env, const char *arg, struct err *e)
{
	const struct opt_row *row = opt_rows;
	uint8_t value[sizeof(struct tcp_md5sig)];
	auto_close int sk = -1;
	size_t len;

	while (strcmp(row->arg, arg) != 0)
		if (++row == opt_rows + ARRAY_SIZE(opt_rows))
			return err_set(e, ERR_UNSUPPORTED, "no probe of option %s", arg);
	sk = probe_socket(env, row->family, row->type, 0, e);
	if (sk < 0)
		return -1;
	len = opt_value(env, row, value, sizeof(value));
	if (setsockopt(sk, row->level, row->name, value, (socklen_t)len))
		return err_sys(e, ERR_KERNEL, "set socket option %s", arg);
	return 0;
}

/* A family of sock_diag, with a socket that its dump must then show. */
static const struct diag_row {
	const char *arg;
	int family, type, protocol;
	bool listens;
	size_t req_len;
	bool has_states; /* 32 bits of wanted states at byte 4, as in inet, unix and vsock requests */
	uint8_t req_protocol;
} diag_rows[] = {
	{"tcp", AF_INET, SOCK_STREAM, 0, true, sizeof(struct inet_diag_req_v2), true, IPPROTO_TCP},
	{"udp", AF_INET, SOCK_DGRAM, 0, false, sizeof(struct inet_diag_req_v2), true, IPPROTO_UDP},
	{"raw", AF_INET, SOCK_RAW, IPPROTO_ICMP, false, sizeof(struct inet_diag_req_v2), true,
	 IPPROTO_RAW},
	{"mptcp", AF_INET, SOCK_STREAM, IPPROTO_MPTCP, true, sizeof(struct inet_diag_req_v2), true,
	 0},
	{"unix", AF_UNIX, SOCK_DGRAM, 0, false, sizeof(struct unix_diag_req), true, 0},
	{"netlink", AF_NETLINK, 0, 0, false, sizeof(struct netlink_diag_req), false,
	 NDIAG_PROTO_ALL},
	{"packet", AF_PACKET, SOCK_DGRAM, 0, false, sizeof(struct packet_diag_req), false, 0},
	{"vsock", AF_VSOCK, SOCK_STREAM, 0, true, sizeof(struct vsock_diag_req), true, 0},
	{"xdp", AF_XDP, SOCK_RAW, 0, false, sizeof(struct xdp_diag_req), false, 0},
};

/* To any address and port, so that it is in the tables that diag reads. Unix sockets are at once. */
static int diag_bind(int sk, const struct diag_row *row, struct err *e)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr_vm vm = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = VMADDR_PORT_ANY};
	int r = 0;

	if (row->family == AF_INET && row->type != SOCK_RAW)
		r = bind(sk, (struct sockaddr *)&in, sizeof(in));
	else if (row->family == AF_VSOCK)
		r = bind(sk, (struct sockaddr *)&vm, sizeof(vm));
	if (r || (row->listens && listen(sk, 1)))
		return err_sys(e, ERR_KERNEL, "bind a socket of %s", row->arg);
	return 0;
}

static int diag_count(struct kernel_env *env, const struct diag_row *row, struct err *e)
{
	auto_buf struct buf req = {0}, out = {0};
	struct nl *nl = nl_open_in(env->ns, NETLINK_SOCK_DIAG, e);
	uint8_t hdr[sizeof(struct inet_diag_req_v2)] = {(uint8_t)row->family, row->req_protocol};
	int r = -1;

	if (row->has_states)
		memset(hdr + offsetof(struct inet_diag_req_v2, idiag_states), 0xff, 4);
	if (nl && !nl_msg_begin(&req, SOCK_DIAG_BY_FAMILY, 0, hdr, row->req_len, e) &&
	    (row->protocol != IPPROTO_MPTCP ||
	     !nl_put_u32(&req, INET_DIAG_REQ_PROTOCOL, IPPROTO_MPTCP, e)))
		r = nl_dump_raw(nl, &req, &out, "sock_diag", e);
	nl_free(nl);
	if (!r && !out.len)
		return err_set(e, ERR_KERNEL,
			       "sock_diag of %s does not show a socket that is there", row->arg);
	return r;
}

int probe_diag(struct kernel_env *env, const char *arg, struct err *e)
{
	const struct diag_row *row = diag_rows;
	auto_close int sk = -1;

	while (strcmp(row->arg, arg) != 0)
		if (++row == diag_rows + ARRAY_SIZE(diag_rows))
			return err_set(e, ERR_UNSUPPORTED, "no probe of sock_diag of %s", arg);
	if (kernel_env_need_ns(env, e))
		return -1;
	/* the netlink sockets of this environment are there to be shown */
	if (row->family != AF_NETLINK) {
		sk = ns_socket(env->ns, row->family, row->type, row->protocol, e);
		if (sk < 0 || diag_bind(sk, row, e))
			return -1;
	}
	return diag_count(env, row, e);
}

/* A tun device with index 4712 in the namespace of the calling thread; its open file in *arg. */
static int tun_make(void *arg, struct err *e)
{
	int *out = arg, fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	unsigned index = 4712;
	struct ifreq ifr = {.ifr_flags = IFF_TUN | IFF_NO_PI};

	if (fd < 0)
		return err_sys(e, ERR_NOTFOUND, "open /dev/net/tun");
	*out = fd;
	if (ioctl(fd, TUNSETIFINDEX, &index))
		return err_sys(e, ERR_KERNEL, "TUNSETIFINDEX");
	if (ioctl(fd, TUNSETIFF, &ifr))
		return err_sys(e, ERR_KERNEL, "TUNSETIFF");
	if (ioctl(fd, SIOCGIFINDEX, &ifr) == 0 && ifr.ifr_ifindex != (int)index)
		return err_set(e, ERR_KERNEL, "TUNSETIFINDEX gave index %d", ifr.ifr_ifindex);
	return 0;
}

int probe_tun_index(struct kernel_env *env, const char *arg, struct err *e)
{
	auto_close int fd = -1;

	return kernel_env_need_ns(env, e) ? -1 : ns_call(env->ns, tun_make, &fd, e);
}

int probe_tun_netns(struct kernel_env *env, const char *arg, struct err *e)
{
	auto_close int fd = -1, nsfd = -1;

	if (kernel_env_need_ns(env, e) || ns_call(env->ns, tun_make, &fd, e))
		return -1;
	nsfd = ioctl(fd, TUNGETDEVNETNS);
	return nsfd < 0 ? err_sys(e, ERR_KERNEL, "TUNGETDEVNETNS") : 0;
}

int probe_xtables(struct kernel_env *env, const char *arg, struct err *e)
{
	bool v6 = *arg == '6';
	auto_close int sk = probe_socket(env, v6 ? AF_INET6 : AF_INET, SOCK_RAW, IPPROTO_RAW, e);
	struct ipt_getinfo v4_info = {.name = "filter"};
	struct ip6t_getinfo v6_info = {.name = "filter"};
	socklen_t len = v6 ? sizeof(v6_info) : sizeof(v4_info);

	if (sk < 0)
		return -1;
	if (getsockopt(sk, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IP6T_SO_GET_INFO : IPT_SO_GET_INFO,
		       v6 ? (void *)&v6_info : (void *)&v4_info, &len))
		return err_sys(e, ERR_KERNEL, "table filter of ip%stables legacy", v6 ? "6" : "");
	return 0;
}
