/* criutree: the processes that the tests of tests/criu give to CRIU.
 *
 * "outer" and its child "inner", each in a network namespace of its own, joined by a veth pair. Each has a TCP
 * listener at the same port number, UDP and unix sockets; an established TCP connection and a unix pair go from
 * one namespace to the other. Who connects to a listener gets one line: the name of the task and what came back
 * through the established connection and the pair, so one question tells whether all of it works.
 *
 * With "whole" also IPv6, and sockets of all families: a second connection over IPv6, connected UDP, UDP on IPv4
 * addresses mapped to IPv6, sockets that are bound to the device, raw, packet and netlink sockets.
 *
 * Usage: criutree FILE [whole]: a session of its own, no descriptor of the caller; FILE has the two pids when it is
 * ready.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Descriptors have fixed numbers, so that a test can name them. */
enum {
	FD_TCP = 10,
	FD_UDP,
	FD_UNIX,
	FD_PATH,
	FD_LINK, /* the established connection */
	FD_PAIR,
	/* of the whole tree */
	FD_TCP6,
	FD_LINK6,
	FD_CONNECTED, /* UDP, to the other task */
	FD_MAPPED,    /* the same with mapped addresses */
	FD_DEVICE,    /* UDP, bound to the device */
	FD_RAW,
	FD_PACKET,
	FD_NETLINK,
	FD_END
};

static int is_whole;

/* Where the two can be reached. */
static const struct side {
	const char *name, *device, *addr, *addr6, *mapped, *path;
} sides[2] = {
	{"outer", "left", "10.77.0.1", "fd77::1", "::ffff:10.77.0.1", "/tmp/criutree-outer"},
	{"inner", "right", "10.77.0.2", "fd77::2", "::ffff:10.77.0.2", "/tmp/criutree-inner"},
};

static void need(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "criutree: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void at(int fd, int number)
{
	need(fd >= 0 && dup2(fd, number) == number, "a descriptor");
	if (fd != number)
		close(fd);
}

static struct sockaddr_in in(const char *addr, int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};

	inet_pton(AF_INET, addr, &a.sin_addr);
	return a;
}

static void make_inet(const char *addr)
{
	struct sockaddr_in tcp = in(addr, 7001), udp = in(addr, 7002);

	at(socket(AF_INET, SOCK_STREAM, 0), FD_TCP);
	need(!bind(FD_TCP, (void *)&tcp, sizeof(tcp)) && !listen(FD_TCP, 9), "TCP listener");
	at(socket(AF_INET, SOCK_DGRAM, 0), FD_UDP);
	need(!bind(FD_UDP, (void *)&udp, sizeof(udp)), "UDP socket");
}

static void make_unix(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	/* the same abstract name in both namespaces */
	memcpy(a.sun_path + 1, "criutree", 8);
	at(socket(AF_UNIX, SOCK_STREAM, 0), FD_UNIX);
	need(!bind(FD_UNIX, (void *)&a, offsetof(struct sockaddr_un, sun_path) + 9) &&
		     !listen(FD_UNIX, 5),
	     "abstract listener");
	memset(&a.sun_path, 0, sizeof(a.sun_path));
	strncpy(a.sun_path, path, sizeof(a.sun_path) - 1);
	at(socket(AF_UNIX, SOCK_DGRAM, 0), FD_PATH);
	need(!bind(FD_PATH, (void *)&a, sizeof(a)), "unix datagram socket");
}

/* ---- the whole tree ---- */

static struct sockaddr_in6 in6(const char *addr, int port)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons((unsigned short)port)};

	inet_pton(AF_INET6, addr, &a.sin6_addr);
	return a;
}

static void make_inet6(const struct side *me)
{
	struct sockaddr_in6 a = in6(me->addr6, 7006);

	at(socket(AF_INET6, SOCK_STREAM, 0), FD_TCP6);
	need(!bind(FD_TCP6, (void *)&a, sizeof(a)) && !listen(FD_TCP6, 4), "TCP listener of IPv6");
}

static void make_datagrams(const struct side *me, const struct side *other)
{
	struct sockaddr_in mine = in(me->addr, 7003), theirs = in(other->addr, 7003);
	struct sockaddr_in6 mine6 = in6(me->mapped, 7007), theirs6 = in6(other->mapped, 7007);
	struct sockaddr_in any = in("0.0.0.0", 7004);

	at(socket(AF_INET, SOCK_DGRAM, 0), FD_CONNECTED);
	need(!bind(FD_CONNECTED, (void *)&mine, sizeof(mine)) &&
		     !connect(FD_CONNECTED, (void *)&theirs, sizeof(theirs)),
	     "connected UDP");
	at(socket(AF_INET6, SOCK_DGRAM, 0), FD_MAPPED);
	need(!bind(FD_MAPPED, (void *)&mine6, sizeof(mine6)) &&
		     !connect(FD_MAPPED, (void *)&theirs6, sizeof(theirs6)),
	     "UDP on mapped addresses");
	at(socket(AF_INET, SOCK_DGRAM, 0), FD_DEVICE);
	need(!setsockopt(FD_DEVICE, SOL_SOCKET, SO_BINDTODEVICE, me->device, IFNAMSIZ) &&
		     !bind(FD_DEVICE, (void *)&any, sizeof(any)),
	     "UDP bound to the device");
}

static void make_others(const struct side *me)
{
	struct sockaddr_ll ll = {.sll_family = AF_PACKET, .sll_protocol = htons(0x88b5)};
	/* a group in which nothing is said, so that nothing waits to be read */
	struct sockaddr_nl nl = {.nl_family = AF_NETLINK, .nl_groups = 1U << 21};

	at(socket(AF_INET, SOCK_RAW, 253), FD_RAW);
	at(socket(AF_PACKET, SOCK_DGRAM, 0), FD_PACKET);
	ll.sll_ifindex = (int)if_nametoindex(me->device);
	need(!bind(FD_PACKET, (void *)&ll, sizeof(ll)), "packet socket");
	at(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), FD_NETLINK);
	need(!bind(FD_NETLINK, (void *)&nl, sizeof(nl)), "netlink socket");
}

static void make_whole(const struct side *me, const struct side *other)
{
	if (!is_whole)
		return;
	make_inet6(me);
	make_datagrams(me, other);
	make_others(me);
}

/* ---- what they answer ---- */

/* A word through fd to the other task and back. */
static const char *ask(int fd)
{
	struct timeval tv = {5, 0};
	char c = 'q';

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	if (send(fd, &c, 1, MSG_NOSIGNAL) != 1)
		return "cannot-send";
	if (recv(fd, &c, 1, 0) != 1)
		return "no-answer";
	return c == 'a' ? "ok" : "other";
}

/* What inner asks outer through. */
static const struct {
	int fd;
	const char *name;
	int is_of_whole;
} questions[] = {
	{FD_LINK, "link", 0},           {FD_PAIR, "pair", 0},     {FD_LINK6, "link6", 1},
	{FD_CONNECTED, "connected", 1}, {FD_MAPPED, "mapped", 1},
};

static void answer_call(int listener, const char *name, int asks)
{
	int c = accept(listener, NULL, NULL);
	char line[256];
	int n;

	if (c < 0)
		return;
	n = snprintf(line, sizeof(line), "%s", name);
	for (size_t i = 0; asks && i < sizeof(questions) / sizeof(questions[0]); i++)
		if (is_whole || !questions[i].is_of_whole)
			n += snprintf(line + n, sizeof(line) - (size_t)n, " %s=%s",
				      questions[i].name, ask(questions[i].fd));
	n += snprintf(line + n, sizeof(line) - (size_t)n, "\n");
	if (send(c, line, (size_t)n, MSG_NOSIGNAL) < 0)
		fprintf(stderr, "criutree: answer\n");
	close(c);
}

static void answer_datagram(int fd)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	char text[256];
	ssize_t n = recvfrom(fd, text, sizeof(text), 0, (void *)&from, &len);

	if (n > 0)
		sendto(fd, text, (size_t)n, MSG_NOSIGNAL, (void *)&from, len);
}

/* What a descriptor is waited for: 'l' a listener, 'd' datagrams of anybody, 'a' questions of inner, 0 nothing. */
static char role_of(int fd, int asks)
{
	switch (fd) {
	case FD_TCP:
	case FD_UNIX:
		return 'l';
	case FD_UDP:
	case FD_PATH:
		return 'd';
	case FD_LINK:
	case FD_PAIR:
		return asks ? 0 : 'a';
	case FD_TCP6:
		return is_whole ? 'l' : 0;
	case FD_DEVICE:
		return is_whole ? 'd' : 0;
	case FD_LINK6:
	case FD_CONNECTED:
	case FD_MAPPED:
		return is_whole && !asks ? 'a' : 0;
	default:
		return 0;
	}
}

static void answer(int fd, char role, const char *name, int asks)
{
	char c;

	if (role == 'l')
		answer_call(fd, name, asks);
	else if (role == 'd')
		answer_datagram(fd);
	else if (recv(fd, &c, 1, 0) != 1 || send(fd, "a", 1, MSG_NOSIGNAL) != 1)
		exit(1);
}

/* Answers for ever. Only inner asks through what joins the two: outer only answers them. */
static void serve(const char *name, int asks)
{
	struct pollfd p[FD_END] = {{0}};
	int gone[FD_END] = {0}; /* descriptors that a test had dropped */

	for (;;) {
		for (int i = FD_TCP; i < FD_END; i++)
			p[i] = (struct pollfd){gone[i] || !role_of(i, asks) ? -1 : i, POLLIN, 0};
		poll(p + FD_TCP, (nfds_t)(FD_END - FD_TCP), -1);
		for (int i = FD_TCP; i < FD_END; i++) {
			if (p[i].revents & POLLNVAL)
				gone[i] = 1;
			else if (p[i].revents)
				answer(i, role_of(i, asks), name, asks);
		}
	}
}

/* ---- how they begin ---- */

static void address_device(const struct side *me)
{
	char text[256];

	if (is_whole)
		snprintf(text, sizeof(text),
			 "ip address add %s/24 dev %s && ip address add %s/64 nodad dev %s && ip "
			 "link set %s up",
			 me->addr, me->device, me->addr6, me->device, me->device);
	else
		snprintf(text, sizeof(text), "ip address add %s/24 dev %s && ip link set %s up",
			 me->addr, me->device, me->device);
	need(!system(text), "addresses");
}

static void inner(int turn)
{
	struct sockaddr_in to = in(sides[0].addr, 7001);
	struct sockaddr_in6 to6 = in6(sides[0].addr6, 7006);
	char c;

	need(!unshare(CLONE_NEWNET) && write(turn, "n", 1) == 1, "namespace of inner");
	need(read(turn, &c, 1) == 1, "the turn of inner");
	need(!system("ip link set lo up"), "lo of inner");
	address_device(&sides[1]);
	make_inet(sides[1].addr);
	make_unix(sides[1].path);
	make_whole(&sides[1], &sides[0]);
	at(socket(AF_INET, SOCK_STREAM, 0), FD_LINK);
	need(!connect(FD_LINK, (void *)&to, sizeof(to)), "connection to outer");
	if (is_whole) {
		at(socket(AF_INET6, SOCK_STREAM, 0), FD_LINK6);
		need(!connect(FD_LINK6, (void *)&to6, sizeof(to6)), "connection of IPv6 to outer");
	}
	need(write(turn, "c", 1) == 1, "the turn of outer");
	close(turn);
	serve("inner", 1);
}

static void outer(pid_t child, int turn)
{
	char c, text[128];

	need(read(turn, &c, 1) == 1, "the namespace of inner");
	snprintf(text, sizeof(text), "ip link add left type veth peer name right netns %d",
		 (int)child);
	need(!system(text), "veth pair");
	address_device(&sides[0]);
	make_inet(sides[0].addr);
	make_unix(sides[0].path);
	make_whole(&sides[0], &sides[1]);
	need(write(turn, "g", 1) == 1 && read(turn, &c, 1) == 1, "the connection of inner");
	at(accept(FD_TCP, NULL, NULL), FD_LINK);
	if (is_whole)
		at(accept(FD_TCP6, NULL, NULL), FD_LINK6);
	close(turn);
}

int main(int argc, char **argv)
{
	int pair[2], turn[2], null;
	pid_t child;
	FILE *f;

	need(argc == 2 || argc == 3, "a file for the pids");
	is_whole = argc == 3 && !strcmp(argv[2], "whole");
	close_range(3, ~0u, 0);
	need(setsid() > 0, "setsid: run it in the background");
	null = open("/dev/null", O_RDWR);
	dup2(null, 0);
	dup2(null, 1);
	need(!unshare(CLONE_NEWNET) && !system("ip link set lo up"), "namespace of outer");
	need(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair) &&
		     !socketpair(AF_UNIX, SOCK_STREAM, 0, turn),
	     "pairs");
	child = fork();
	need(child >= 0, "fork");
	at(pair[!child], FD_PAIR);
	close(pair[!!child]);
	close(turn[!child]);
	if (!child) {
		dup2(null, 2);
		close(null);
		inner(turn[0]);
	}
	outer(child, turn[1]);
	f = fopen(argv[1], "w");
	need(f && fprintf(f, "%d %d\n", (int)getpid(), (int)child) > 0 && !fclose(f), argv[1]);
	dup2(null, 2);
	close(null);
	serve("outer", 0);
}
