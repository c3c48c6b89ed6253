/* Internet sockets. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "restorer/sk_make.h"

#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif

static bool is_link_local(const struct sockaddr_storage *ss)
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ss;

	return ss->ss_family == AF_INET6 && (IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr) ||
					     IN6_IS_ADDR_MC_LINKLOCAL(&in6->sin6_addr));
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

int sk_inet_bind(struct sk_maker *m, const struct sk_file *f, int fd, struct err *e)
{
	struct sockaddr_storage addr = with_scope(f, &f->local);

	if (!f->local_len || !bind(fd, (struct sockaddr *)&addr, f->local_len))
		return 0;
	if (errno == EADDRNOTAVAIL)
		return bind_foreign(m, f, fd, &addr, e);
	return err_sys(e, ERR_KERNEL, "bind");
}

/* A connected datagram socket outlives the route to its peer, so a missing route is no failure. */
int sk_inet_connect(struct sk_maker *m, const struct sk_file *f, int fd, struct err *e)
{
	struct sockaddr_storage addr = with_scope(f, &f->peer);

	if (!connect(fd, (struct sockaddr *)&addr, f->peer_len))
		return 0;
	return sk_note(m, f, e, "not connected: %s", strerror(errno));
}
