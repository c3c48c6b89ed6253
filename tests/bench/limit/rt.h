/* rt.h: rtnetlink messages for the limit programs, by hand: a request is built in one buffer and sent, its
 * acknowledgement read. Numbers: linux/rtnetlink.h, linux/if_link.h, linux/veth.h. The first error ends the
 * program. */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static inline void die(const char *what)
{
	perror(what);
	exit(1);
}

static inline int must(int rc, const char *what)
{
	if (rc < 0)
		die(what);
	return rc;
}

struct rt {
	union {
		struct nlmsghdr h;
		char bytes[1024];
	};
};

static inline int rt_open(int protocol)
{
	return must(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol), "netlink socket");
}

static inline void *rt_begin(struct rt *m, int type, int flags, size_t body)
{
	memset(m, 0, sizeof(*m));
	m->h.nlmsg_type = type;
	m->h.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	m->h.nlmsg_len = NLMSG_LENGTH(body);
	return NLMSG_DATA(&m->h);
}

static inline struct rtattr *rt_put(struct rt *m, int type, const void *data, size_t n)
{
	struct rtattr *a = (struct rtattr *)(m->bytes + NLMSG_ALIGN(m->h.nlmsg_len));

	a->rta_type = type;
	a->rta_len = RTA_LENGTH(n);
	if (n)
		memcpy(RTA_DATA(a), data, n);
	m->h.nlmsg_len = NLMSG_ALIGN(m->h.nlmsg_len) + RTA_ALIGN(a->rta_len);
	return a;
}

static inline void rt_str(struct rt *m, int type, const char *s)
{
	rt_put(m, type, s, strlen(s) + 1);
}

static inline void rt_u32(struct rt *m, int type, uint32_t v)
{
	rt_put(m, type, &v, sizeof(v));
}

/* A nest is open until rt_end(). */
static inline void rt_end(struct rt *m, struct rtattr *nest)
{
	nest->rta_len = m->bytes + m->h.nlmsg_len - (char *)nest;
}

static inline void rt_talk(int fd, struct rt *m, const char *what)
{
	struct {
		struct nlmsghdr h;
		struct nlmsgerr e;
		char rest[512];
	} ack;

	must(send(fd, m, m->h.nlmsg_len, 0), what);
	must(recv(fd, &ack, sizeof(ack), 0), what);
	if (ack.h.nlmsg_type == NLMSG_ERROR && ack.e.error) {
		errno = -ack.e.error;
		die(what);
	}
}

/* All messages that answer a dump; each is given to see(), which may be NULL. Returns how many bytes came. */
static inline size_t rt_dump(int fd, int type, int family, void (*see)(const struct nlmsghdr *),
			     const char *what)
{
	static char buf[1 << 18];
	struct rt m;
	struct rtgenmsg *g = rt_begin(&m, type, NLM_F_DUMP, sizeof(struct ifinfomsg));
	size_t all = 0;

	g->rtgen_family = family;
	must(send(fd, &m, m.h.nlmsg_len, 0), what);
	for (;;) {
		int n = must(recv(fd, buf, sizeof(buf), 0), what);
		const struct nlmsghdr *h = (const struct nlmsghdr *)buf;

		all += n;
		for (; NLMSG_OK(h, (unsigned int)n); h = NLMSG_NEXT(h, n)) {
			if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
				return all;
			if (see)
				see(h);
		}
	}
}
