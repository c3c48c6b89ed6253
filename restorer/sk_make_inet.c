/* Internet sockets. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <linux/in6.h>
#include <net/if.h>
#include <string.h>

#include "base/cleanup.h"
#include "restorer/sk_make.h"

enum {
	RTHDR_SEGMENTS = 4
}; /* IPV6_SRCRT_TYPE_4 of linux/ipv6.h, which quarrels with netinet/in.h */

#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif

static int set_int(int fd, int level, int opt, int value)
{
	return setsockopt(fd, level, opt, &value, sizeof(value));
}

static int get_int(int fd, int level, int opt)
{
	int value = 0;
	socklen_t len = sizeof(value);

	getsockopt(fd, level, opt, &value, &len);
	return value;
}

static bool is_v4(const struct sockaddr_storage *ss)
{
	return ss->ss_family == AF_INET ||
	       IN6_IS_ADDR_V4MAPPED(&((const struct sockaddr_in6 *)ss)->sin6_addr);
}

static bool is_link_local(const struct sockaddr_storage *ss)
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ss;

	return ss->ss_family == AF_INET6 && (IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr) ||
					     IN6_IS_ADDR_MC_LINKLOCAL(&in6->sin6_addr) ||
					     IN6_IS_ADDR_MC_NODELOCAL(&in6->sin6_addr));
}

/* A link-local address means nothing without its device; CRIU keeps the name, we the number too. */
static struct sockaddr_storage with_scope(const struct sk_file *f,
					  const struct sockaddr_storage *ss)
{
	struct sockaddr_storage out = *ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&out;

	if (is_link_local(ss) && f->scope_device) {
		unsigned index = if_nametoindex(f->scope_device);

		if (index)
			in6->sin6_scope_id = index;
	}
	return out;
}

static int set_freebind(const struct sk_file *f, int fd, int value)
{
	return f->family == AF_INET
		       ? setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &value, sizeof(value))
		       : setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &value, sizeof(value));
}

/* A socket keeps its address when the address leaves its device; to get there again it has to be bound as
 * if any address were allowed. */
static int bind_foreign(struct sk_maker *m, const struct sk_file *f, int fd,
			const struct sockaddr_storage *addr, struct err *e)
{
	if (set_freebind(f, fd, 1) || bind(fd, (const struct sockaddr *)addr, f->local_len)) {
		errno = EADDRNOTAVAIL;
		return err_sys(e, ERR_KERNEL, "bind");
	}
	set_freebind(f, fd, 0);
	return sk_note(m, f, e, "bound, but its namespace does not have that address");
}

static bool is_v6only_cleared(const struct sk_file *f)
{
	int value = 1;

	for (size_t i = 0; i < f->n_options; i++)
		if (f->options[i].level == IPPROTO_IPV6 && f->options[i].opt == IPV6_V6ONLY &&
		    f->options[i].value.len == sizeof(value))
			memcpy(&value, f->options[i].value.data, sizeof(value));
	return !value;
}

/* bind(2) to an IPv6 address makes the socket v6only (__inet6_bind), so one that has an address and is not has got it by
 * connecting. Does it get the same one again? */
static bool gets_address_by_connecting(const struct sk_file *f, int fd)
{
	const struct in6_addr *want = &((const struct sockaddr_in6 *)&f->local)->sin6_addr;
	struct sockaddr_storage peer = with_scope(f, &f->peer);
	struct sockaddr_in6 got;
	socklen_t len = sizeof(got);
	auto_close int trial = -1;

	if (f->family != AF_INET6 || f->type != SOCK_DGRAM || !f->peer_len || is_v4(&f->local) ||
	    is_v4(&f->peer) || IN6_IS_ADDR_UNSPECIFIED(want) || !is_v6only_cleared(f))
		return false;
	trial = socket(f->family, f->type | SOCK_CLOEXEC, f->protocol);
	if (trial < 0 ||
	    set_int(trial, SOL_SOCKET, SO_BINDTOIFINDEX,
		    get_int(fd, SOL_SOCKET, SO_BINDTOIFINDEX)) ||
	    set_int(trial, SOL_SOCKET, SO_MARK, get_int(fd, SOL_SOCKET, SO_MARK)) ||
	    connect(trial, (struct sockaddr *)&peer, f->peer_len) ||
	    getsockname(trial, (struct sockaddr *)&got, &len))
		return false;
	return IN6_ARE_ADDR_EQUAL(&got.sin6_addr, want);
}

/* Bound to it, the socket could not be connected to an IPv4 address: it kept the address from an IPv6 peer before. */
static bool keeps_address_of_before(const struct sk_file *f)
{
	return f->family == AF_INET6 && f->type == SOCK_DGRAM && f->peer_len && is_v4(&f->peer) &&
	       !is_v4(&f->local) && is_v6only_cleared(f) &&
	       !IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)&f->local)->sin6_addr);
}

static uint16_t port_of(const struct sockaddr_storage *ss)
{
	return ss->ss_family == AF_INET ? ((const struct sockaddr_in *)ss)->sin_port
					: ((const struct sockaddr_in6 *)ss)->sin6_port;
}

/* Bound to an address and no port: that is what __udp_disconnect leaves. It takes the device away too. */
static int give_up_port(const struct sk_file *f, int fd, struct err *e)
{
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	int device = get_int(fd, SOL_SOCKET, SO_BINDTOIFINDEX);

	if (f->type != SOCK_DGRAM || port_of(&f->local) ||
	    !(sockopt_kind(f->family, f->type, f->protocol) & (SOCKOPT_UDP | SOCKOPT_UDPLITE)))
		return 0;
	if (connect(fd, &none, sizeof(none)) ||
	    (device && set_int(fd, SOL_SOCKET, SO_BINDTOIFINDEX, device)))
		return err_sys(e, ERR_KERNEL, "give up its port");
	return 0;
}

int sk_inet_bind(struct sk_maker *m, const struct sk_file *f, int fd, struct err *e)
{
	struct sockaddr_storage addr = with_scope(f, &f->local);

	/* A raw IPv6 socket is not bound to an IPv4 address (rawv6_bind), it gets one with its peer. */
	if (f->family == AF_INET6 && f->type == SOCK_RAW && is_v4(&f->local))
		return 0;
	if (gets_address_by_connecting(f, fd) || keeps_address_of_before(f))
		((struct sockaddr_in6 *)&addr)->sin6_addr = in6addr_any;
	if (!f->local_len)
		return 0;
	if (!bind(fd, (struct sockaddr *)&addr, f->local_len))
		return give_up_port(f, fd, e);
	if (errno == EADDRNOTAVAIL)
		return bind_foreign(m, f, fd, &addr, e);
	return err_sys(e, ERR_KERNEL, "bind");
}

/* ---- connecting where there is no way to the peer any more ---- */

/* IPv4 takes the peer to be on the link where a socket is bound to a device (ip_route_output_key_hash_rcu), and any
 * source of a transparent one. The route that is found goes when the socket is bound anew (sk_dst_reset). */
static int connect4(const struct sk_file *f, int fd, const struct sockaddr_storage *addr)
{
	int level = f->family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
	int opt = f->family == AF_INET ? IP_TRANSPARENT : IPV6_TRANSPARENT;
	int transparent = get_int(fd, level, opt);
	int rc, saved;

	set_int(fd, level, opt, 1);
	rc = set_int(fd, SOL_SOCKET, SO_BINDTOIFINDEX, 1 /* LOOPBACK_IFINDEX of linux/net.h */) ||
			     connect(fd, (const struct sockaddr *)addr, f->peer_len)
		     ? -1
		     : 0;
	saved = errno;
	set_int(fd, level, opt, transparent);
	errno = saved;
	return rc;
}

/* IPv6 looks for the way to the first hop of a routing header, and here that is ::1 (fl6_update_dst). */
static int connect6(const struct sk_file *f, int fd, const struct sockaddr_storage *addr)
{
	/* struct ipv6_sr_hdr: hdrlen, type, one segment */
	static const uint8_t sr[8 + sizeof(struct in6_addr)] = {
		[1] = 2, [2] = RTHDR_SEGMENTS, [8 + 15] = 1};
	socklen_t len = 0;
	int rc, saved;

	if (getsockopt(fd, IPPROTO_IPV6, IPV6_RTHDR, NULL, &len) || len) {
		errno = ENETUNREACH; /* it has one of its own, which stays */
		return -1;
	}
	if (set_int(fd, SOL_SOCKET, SO_BINDTOIFINDEX, 0) ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_RTHDR, sr, sizeof(sr)))
		return -1;
	rc = connect(fd, (const struct sockaddr *)addr, f->peer_len);
	saved = errno;
	setsockopt(fd, IPPROTO_IPV6, IPV6_RTHDR, NULL, 0);
	errno = saved;
	return rc;
}

static int connect_anyway(const struct sk_file *f, int fd, const struct sockaddr_storage *addr)
{
	int device = get_int(fd, SOL_SOCKET, SO_BINDTOIFINDEX), lost = device;
	struct err ignored = ERR_INIT;
	auto_close int moment = -1;
	char name[IF_NAMESIZE];
	int rc, saved;

	if (sk_lost_device(f)) {
		moment = sk_device_for_a_moment(&lost, name, &ignored);
		if (moment < 0) {
			errno = ENODEV;
			return -1;
		}
	}
	rc = is_v4(addr) ? connect4(f, fd, addr) : connect6(f, fd, addr);
	saved = errno;
	if (set_int(fd, SOL_SOCKET, SO_BINDTOIFINDEX, device))
		return -1;
	errno = saved;
	return rc;
}

/* SO_BROADCAST is asked for when a socket is connected to a broadcast address, and may be given up after. */
static int connect_to(const struct sk_file *f, int fd, const struct sockaddr_storage *addr)
{
	int rc = connect(fd, (const struct sockaddr *)addr, f->peer_len), saved;

	if (!rc || errno != EACCES || get_int(fd, SOL_SOCKET, SO_BROADCAST))
		return rc;
	set_int(fd, SOL_SOCKET, SO_BROADCAST, 1);
	rc = connect(fd, (const struct sockaddr *)addr, f->peer_len);
	saved = errno;
	set_int(fd, SOL_SOCKET, SO_BROADCAST, 0);
	errno = saved;
	return rc;
}

/* The flow label of a connection is leased before (fl6_sock_lookup), where the socket had a lease. */
static int set_flow(struct sk_maker *m, const struct sk_file *f, int fd,
		    struct sockaddr_storage *peer, struct err *e)
{
	const struct sk_option *o = sk_option_find(f, IPPROTO_IPV6, IPV6_FLOWLABEL_MGR);
	struct in6_flowlabel_req req;
	uint32_t info;

	if (!o || o->value.len != sizeof(req))
		return 0;
	memcpy(&req, o->value.data, sizeof(req));
	info = req.flr_label;
	req.flr_label &= htonl(0xfffff); /* IPV6_FLOWLABEL_MASK */
	if (req.flr_label && req.flr_share != IPV6_FL_S_NONE &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_FLOWLABEL_MGR, &req, sizeof(req)))
		return sk_note(m, f, e, "flow label 0x%x not set: %s", ntohl(req.flr_label),
			       strerror(errno));
	((struct sockaddr_in6 *)peer)->sin6_flowinfo = info;
	return 0;
}

/* A connected datagram socket outlives the route to its peer, so a missing route is no failure. */
int sk_inet_connect(struct sk_maker *m, const struct sk_file *f, int fd, struct err *e)
{
	struct sockaddr_storage addr = with_scope(f, &f->peer);
	struct sockaddr_storage own = with_scope(f, &f->local);

	if (set_flow(m, f, fd, &addr, e))
		return -1;
	if (keeps_address_of_before(f) && connect(fd, (struct sockaddr *)&own, f->local_len) &&
	    sk_note(m, f, e, "its address is not kept: %s", strerror(errno)))
		return -1;
	if (!connect_to(f, fd, &addr))
		return 0;
	if (!connect_anyway(f, fd, &addr))
		return sk_note(m, f, e, "connected, but its namespace has no way to its peer");
	return sk_note(m, f, e, "not connected: %s", strerror(errno));
}
