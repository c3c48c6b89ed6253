/* sockets.c: statements that make sockets and other descriptors. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/vm_sockets.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "mkstate.h"

static const struct word {
	const char *name;
	long value;
} families[] = {{"inet", AF_INET},     {"inet6", AF_INET6},
		{"unix", AF_UNIX},     {"netlink", AF_NETLINK},
		{"packet", AF_PACKET}, {"vsock", 40},
		{"xdp", 44},           {NULL, 0}},
  types[] = {{"stream", SOCK_STREAM}, {"dgram", SOCK_DGRAM},   {"seqpacket", SOCK_SEQPACKET},
	     {"raw", SOCK_RAW},       {"packet", SOCK_PACKET}, {NULL, 0}};

static long word(const struct word *table, const char *w, long def)
{
	if (!w)
		return def;
	for (; table->name; table++)
		if (!strcmp(table->name, w))
			return table->value;
	return strtol(w, NULL, 0);
}

/* ADDR:PORT, [ADDR6%dev]:PORT, /path, @abstract, ~hex (netlink port id) -> sockaddr. */
static socklen_t address(const char *text, int family, struct sockaddr_storage *ss)
{
	memset(ss, 0, sizeof(*ss));
	ss->ss_family = (sa_family_t)family;
	if (family == AF_UNIX) {
		struct sockaddr_un *un = (struct sockaddr_un *)ss;
		size_t n = strlen(text);

		if (n >= sizeof(un->sun_path))
			die("unix name too long");
		memcpy(un->sun_path, text, n);
		for (char *p = un->sun_path; *text == '@' && p < un->sun_path + n; p++)
			*p = *p == '@' ? '\0' : *p;
		return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (*text != '@'));
	}
	if (family == AF_NETLINK) {
		((struct sockaddr_nl *)ss)->nl_pid = (uint32_t)strtoul(text, NULL, 0);
		return sizeof(struct sockaddr_nl);
	}
	if (family == AF_VSOCK) { /* CID:PORT, -1: any */
		struct sockaddr_vm *vm = (struct sockaddr_vm *)ss;
		const char *colon = strchr(text, ':');

		vm->svm_cid = (uint32_t)strtol(text, NULL, 0);
		vm->svm_port = colon ? (uint32_t)strtol(colon + 1, NULL, 0) : VMADDR_PORT_ANY;
		return sizeof(*vm);
	}
	if (family == AF_INET) {
		struct sockaddr_in *in = (struct sockaddr_in *)ss;
		char host[64];
		const char *colon = strrchr(text, ':');

		snprintf(host, sizeof(host), "%.*s",
			 (int)(colon ? colon - text : (long)strlen(text)), text);
		in->sin_port = htons((uint16_t)(colon ? atoi(colon + 1) : 0));
		errno = 0;
		if (inet_pton(AF_INET, host, &in->sin_addr) != 1)
			die("address %s", text);
		return sizeof(*in);
	} else {
		struct sockaddr_in6 *in = (struct sockaddr_in6 *)ss;
		char host[96];
		const char *end = strchr(text, ']');
		char *dev;

		errno = 0;
		if (*text != '[' || !end)
			die("address %s: want [ADDR]:PORT", text);
		snprintf(host, sizeof(host), "%.*s", (int)(end - text - 1), text + 1);
		dev = strchr(host, '%');
		if (dev) {
			*dev++ = '\0';
			in->sin6_scope_id = if_nametoindex(dev);
		}
		in->sin6_port = htons((uint16_t)(end[1] == ':' ? atoi(end + 2) : 0));
		if (inet_pton(AF_INET6, host, &in->sin6_addr) != 1)
			die("address %s", text);
		return sizeof(*in);
	}
}

/* opt=LEVEL:NAME:VALUE with numbers; VALUE may be "x" and hex digits for bytes, or "s" and text. */
static void set_option(int fd, const char *text)
{
	int level, name, used = 0, value;
	const char *v;

	errno = 0;
	if (sscanf(text, "%i:%i:%n", &level, &name, &used) != 2 || !used)
		die("opt=%s: want LEVEL:NAME:VALUE", text);
	v = text + used;
	if (*v == 'x') {
		uint8_t bytes[512];
		size_t n = 0;

		for (v++; v[0] && v[1] && n < sizeof(bytes); v += 2) {
			unsigned b;

			sscanf(v, "%2x", &b);
			bytes[n++] = (uint8_t)b;
		}
		if (setsockopt(fd, level, name, bytes, (socklen_t)n))
			die("opt=%s", text);
		return;
	}
	if (*v == 's') {
		if (setsockopt(fd, level, name, v + 1, (socklen_t)strlen(v + 1)))
			die("opt=%s", text);
		return;
	}
	value = (int)strtol(v, NULL, 0);
	if (setsockopt(fd, level, name, &value, sizeof(value)))
		die("opt=%s", text);
}

/* group=ADDR@DEV: any-source multicast membership; source=ADDR makes it source-specific. */
static void join_group(int fd, int family, const char *text, const char *source)
{
	struct group_source_req req = {0};
	const char *at = strchr(text, '@');
	char host[64];

	snprintf(host, sizeof(host), "%.*s", (int)(at ? at - text : (long)strlen(text)), text);
	req.gsr_interface = at ? if_nametoindex(at + 1) : 0;
	for (int i = 0; i < (source ? 2 : 1); i++) {
		struct sockaddr_storage *ss = i ? &req.gsr_source : &req.gsr_group;
		void *addr = family == AF_INET ? (void *)&((struct sockaddr_in *)ss)->sin_addr
					       : (void *)&((struct sockaddr_in6 *)ss)->sin6_addr;

		ss->ss_family = (sa_family_t)family;
		errno = 0;
		if (inet_pton(family, i ? source : host, addr) != 1)
			die("group %s", text);
	}
	if (source ? setsockopt(fd, family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6,
				MCAST_JOIN_SOURCE_GROUP, &req, sizeof(req))
		   : setsockopt(fd, family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6, MCAST_JOIN_GROUP,
				&req, offsetof(struct group_source_req, gsr_source)))
		die("join %s", text);
}

static void packet_setup(int fd, char **w)
{
	const char *dev = arg(w, "dev", NULL), *mc = arg(w, "mc", NULL);
	struct sockaddr_ll ll = {.sll_family = AF_PACKET};

	ll.sll_protocol = htons((uint16_t)num(w, "proto", 0));
	ll.sll_ifindex = dev ? (int)if_nametoindex(dev) : 0;
	if (dev && bind(fd, (struct sockaddr *)&ll, sizeof(ll)))
		die("bind packet socket to %s", dev);
	if (mc) { /* promisc, allmulti or a MAC */
		struct packet_mreq mr = {.mr_ifindex = ll.sll_ifindex, .mr_alen = 6};

		mr.mr_type = !strcmp(mc, "promisc")    ? PACKET_MR_PROMISC
			     : !strcmp(mc, "allmulti") ? PACKET_MR_ALLMULTI
						       : PACKET_MR_MULTICAST;
		if (mr.mr_type == PACKET_MR_MULTICAST)
			sscanf(mc, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &mr.mr_address[0],
			       &mr.mr_address[1], &mr.mr_address[2], &mr.mr_address[3],
			       &mr.mr_address[4], &mr.mr_address[5]);
		if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mr, sizeof(mr)))
			die("packet membership %s", mc);
	}
}

static void netlink_setup(int fd, char **w)
{
	const char *groups = arg(w, "groups", NULL);
	struct sockaddr_nl nl = {.nl_family = AF_NETLINK};

	nl.nl_pid = (uint32_t)num(w, "port", 0);
	if ((nl.nl_pid || groups) && bind(fd, (struct sockaddr *)&nl, sizeof(nl)))
		die("bind netlink socket");
	for (char *p = (char *)groups; p && *p; p += *p == ',') {
		int g = (int)strtol(p, &p, 0);

		if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &g, sizeof(g)))
			die("netlink group %d", g);
	}
}

/* A small classic filter: accept everything (one instruction), or "len" bytes of it. */
static void attach_filter(int fd, long len)
{
	struct sock_filter code[] = {{BPF_LD | BPF_W | BPF_LEN, 0, 0, 0},
				     {BPF_RET | BPF_K, 0, 0, (uint32_t)len}};
	struct sock_fprog prog = {2, code};

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)))
		die("filter");
}

/* sock NAME [ns=NS] family=F type=T [proto=N] [opt=L:N:V]... [dev=DEV] [bind=A] [connect=A] [listen=N]
 *      [group=A@DEV [source=A]] [filter=LEN] [flags=nonblock] [groups=1,2] [mc=promisc] [mode=0600] */
void st_sock(char **w)
{
	int family = (int)word(families, arg(w, "family", NULL), AF_INET);
	int type = (int)word(types, arg(w, "type", NULL), SOCK_STREAM);
	int proto = (int)num(w, "proto", 0), fd;
	const char *v;
	struct sockaddr_storage ss;
	socklen_t len;

	enter(ns_of(w));
	fd = socket(family, type | SOCK_CLOEXEC,
		    family == AF_PACKET ? htons((uint16_t)proto) : proto);
	if (fd < 0)
		die("socket %s", w[1]);
	for (char **o = w; *o; o++)
		if (!strncmp(*o, "opt=", 4))
			set_option(fd, *o + 4);
	if (family == AF_PACKET)
		packet_setup(fd, w);
	else if (family == AF_NETLINK)
		netlink_setup(fd, w);
	else if ((v = arg(w, "dev", NULL)) &&
		 setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, v, (socklen_t)strlen(v)))
		die("device %s", v);
	if ((v = arg(w, "bind", NULL)) && family != AF_PACKET) {
		len = address(v, family, &ss);
		if (family == AF_UNIX && *v == '/')
			unlink(v);
		if (bind(fd, (struct sockaddr *)&ss, len))
			die("bind %s to %s", w[1], v);
		if (family == AF_UNIX && arg(w, "mode", NULL) &&
		    chmod(v, (mode_t)num(w, "mode", 0700)))
			die("chmod %s", v);
	}
	for (char **o = w; *o; o++)
		if (!strncmp(*o, "group=", 6) && family != AF_NETLINK)
			join_group(fd, family, *o + 6, arg(w, "source", NULL));
	if (arg(w, "listen", NULL) && listen(fd, (int)num(w, "listen", 5)))
		die("listen %s", w[1]);
	if ((v = arg(w, "connect", NULL))) {
		len = address(v, family, &ss);
		if (connect(fd, (struct sockaddr *)&ss, len))
			die("connect %s to %s", w[1], v);
	}
	if (arg(w, "filter", NULL))
		attach_filter(fd, num(w, "filter", 0xffff));
	if ((v = arg(w, "flags", NULL)) && !strcmp(v, "nonblock"))
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	add('f', w[1], fd);
	enter(-1);
}

/* pair A B [ns=NS] type=T: socketpair(2). */
void st_pair(char **w)
{
	int fds[2];

	enter(ns_of(w));
	if (socketpair(AF_UNIX, (int)word(types, arg(w, "type", NULL), SOCK_STREAM) | SOCK_CLOEXEC,
		       0, fds))
		die("socketpair");
	add('f', w[1], fds[0]);
	add('f', w[2], fds[1]);
	enter(-1);
}

/* accept NAME from=LISTENER */
void st_accept(char **w)
{
	int fd = accept4(things[find('f', arg(w, "from", ""))]->fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		die("accept %s", w[1]);
	add('f', w[1], fd);
}

/* connect NAME to=ADDR: a second step for datagram pairs whose ends name each other. */
void st_connect(char **w)
{
	struct thing *t = things[find('f', w[1])];
	struct sockaddr_storage ss;
	int family;
	socklen_t len = sizeof(family);

	enter(ns_of(w));
	if (getsockopt(t->fd, SOL_SOCKET, SO_DOMAIN, &family, &len))
		die("domain of %s", w[1]);
	len = address(arg(w, "to", ""), family, &ss);
	if (connect(t->fd, (struct sockaddr *)&ss, len))
		die("connect %s", w[1]);
	enter(-1);
}

/* send NAME TEXT: leave bytes in the peer's queue. pass NAME FILE: send a descriptor (SCM_RIGHTS). */
void st_send(char **w)
{
	if (send(things[find('f', w[1])]->fd, w[2], strlen(w[2]), 0) < 0)
		die("send on %s", w[1]);
}

void st_pass(char **w)
{
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(sizeof(int))];
	} c = {0};
	struct iovec iov = {(void *)"x", 1};
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c)};

	c.h.cmsg_level = SOL_SOCKET;
	c.h.cmsg_type = SCM_RIGHTS;
	c.h.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&c.h), &things[find('f', w[2])]->fd, sizeof(int));
	if (sendmsg(things[find('f', w[1])]->fd, &m, 0) < 0)
		die("pass %s", w[2]);
}

/* unlink PATH: a bound unix socket loses its file. */
void st_unlink(char **w)
{
	if (unlink(w[1]))
		die("unlink %s", w[1]);
}

/* nsfd NAME ns=NS: a descriptor of a namespace. */
void st_nsfd(char **w)
{
	add('f', w[1], dup(things[find('n', arg(w, "ns", ""))]->fd));
}

/* tun NAME [ns=NS] dev=DEV [mode=tun|tap] [persist=1] [pi=1] */
void st_tun(char **w)
{
	struct ifreq ifr = {0};
	int fd;

	enter(ns_of(w));
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", arg(w, "dev", "tun0"));
	ifr.ifr_flags = (short)((!strcmp(arg(w, "mode", "tun"), "tap") ? IFF_TAP : IFF_TUN) |
				(num(w, "pi", 0) ? 0 : IFF_NO_PI));
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) ||
	    (num(w, "persist", 0) && ioctl(fd, TUNSETPERSIST, 1)))
		die("tun device");
	add('f', w[1], fd);
	enter(-1);
}
