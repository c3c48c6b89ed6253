/* limit/restore: what the restore of nested namespaces cannot do without, and nothing else. It is the scene of
 * the live benchmarks too.
 *
 *     restore NAMESPACES SOCKETS [names|tasks|wait|one|close] [flat]
 *
 * In the namespace it is started in, which should be fresh: NAMESPACES further ones, each with a veth pair to it
 * (vN here, eth0 there), lo up, a v4 and a v6 address, a default route; by plain system calls and messages, each
 * acknowledged, no plan, no journal, no proof. With SOCKETS a process in each holds so many, made there: TCP
 * listeners, bound UDP sockets, unix sockets with an abstract name, a few netlink sockets.
 *     names   (default) a name in /run/netns for each namespace; ends when all stands
 *     tasks   ends with the tasks, when all stands
 *     wait    prints "ready" and waits for the end of its input
 *     one     as wait, one process holds all sockets, NAMESPACES is 0
 *     close   one descriptor keeps each namespace; all are closed at once, and the time that is printed is
 *             what it takes until the last link is gone: the limit of rollback
 *     flat    no namespaces are made, only the processes (to tell what a tool needs without them)
 * Prints how long the work took, in seconds. */
#include <linux/un.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "rt.h"

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* ---- devices ---- */

static void link_up(int fd, int ifindex)
{
	struct rt m;
	struct ifinfomsg *i = rt_begin(&m, RTM_NEWLINK, 0, sizeof(*i));

	i->ifi_index = ifindex;
	i->ifi_flags = i->ifi_change = IFF_UP;
	rt_talk(fd, &m, "link up");
}

enum { LO = 1, ETH0 = 2 };

static void veth(int fd, int k, int netns)
{
	char name[IFNAMSIZ];
	struct rt m;
	struct ifinfomsg *i = rt_begin(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(*i)),
			 peer = {0};
	struct rtattr *info, *data, *end;

	i->ifi_index = 2 + k;
	snprintf(name, sizeof(name), "v%d", k);
	rt_str(&m, IFLA_IFNAME, name);
	info = rt_put(&m, IFLA_LINKINFO, NULL, 0);
	rt_str(&m, IFLA_INFO_KIND, "veth");
	data = rt_put(&m, IFLA_INFO_DATA, NULL, 0);
	peer.ifi_index = ETH0;
	end = rt_put(&m, VETH_INFO_PEER, &peer, sizeof(peer));
	rt_str(&m, IFLA_IFNAME, "eth0");
	rt_u32(&m, IFLA_NET_NS_FD, netns);
	rt_end(&m, end);
	rt_end(&m, data);
	rt_end(&m, info);
	rt_talk(fd, &m, "veth pair");
}

static void address(int fd, int family, int ifindex, const char *text, int len)
{
	unsigned char bytes[16];
	struct rt m;
	struct ifaddrmsg *a = rt_begin(&m, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sizeof(*a));
	size_t n = family == AF_INET ? 4 : 16;

	inet_pton(family, text, bytes);
	a->ifa_family = family;
	a->ifa_index = ifindex;
	a->ifa_prefixlen = len;
	a->ifa_flags = family == AF_INET6 ? IFA_F_NODAD : 0;
	rt_put(&m, IFA_LOCAL, bytes, n);
	rt_put(&m, IFA_ADDRESS, bytes, n);
	rt_talk(fd, &m, "address");
}

static void default_route(int fd, const char *via)
{
	unsigned char bytes[4];
	struct rt m;
	struct rtmsg *r = rt_begin(&m, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, sizeof(*r));

	inet_pton(AF_INET, via, bytes);
	r->rtm_family = AF_INET;
	r->rtm_table = RT_TABLE_MAIN;
	r->rtm_protocol = RTPROT_BOOT;
	r->rtm_type = RTN_UNICAST;
	rt_put(&m, RTA_GATEWAY, bytes, 4);
	rt_u32(&m, RTA_OIF, ETH0);
	rt_talk(fd, &m, "default route");
}

static void pin(int k)
{
	char path[64];

	snprintf(path, sizeof(path), "/run/netns/n%d", k);
	close(must(open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0), path));
	must(mount("/proc/thread-self/ns/net", path, NULL, MS_BIND, NULL), path);
}

/* ---- sockets ---- */

static void socket_of(int j)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(2000 + j % 60000)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(2000 + j % 60000)};
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct sockaddr_nl nl = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
	int fd, len;

	switch (j % 10) {
	case 0 ... 3:
		fd = must(socket(AF_INET, SOCK_STREAM, 0), "socket");
		must(bind(fd, (struct sockaddr *)&in, sizeof(in)), "bind");
		must(listen(fd, 16), "listen");
		return;
	case 4:
		fd = must(socket(AF_INET6, SOCK_STREAM, 0), "socket");
		must(bind(fd, (struct sockaddr *)&in6, sizeof(in6)), "bind");
		must(listen(fd, 16), "listen");
		return;
	case 5 ... 6:
		fd = must(socket(AF_INET, SOCK_DGRAM, 0), "socket");
		must(bind(fd, (struct sockaddr *)&in, sizeof(in)), "bind");
		return;
	case 7 ... 8:
		fd = must(socket(AF_UNIX, j % 10 == 7 ? SOCK_STREAM : SOCK_DGRAM, 0), "socket");
		len = snprintf(un.sun_path + 1, sizeof(un.sun_path) - 1, "bench-%d", j);
		must(bind(fd, (struct sockaddr *)&un,
			  offsetof(struct sockaddr_un, sun_path) + 1 + len),
		     "bind");
		if (j % 10 == 7)
			must(listen(fd, 16), "listen");
		return;
	default:
		fd = must(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), "socket");
		must(bind(fd, (struct sockaddr *)&nl, sizeof(nl)), "bind");
	}
}

/* A process in the namespace where this one is, with so many sockets; it ends with this one. */
static void task(int n_sockets, int first)
{
	int done[2];
	char c;

	must(pipe2(done, O_CLOEXEC), "pipe");
	if (!must(fork(), "fork")) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close_range(3, done[1] - 1, 0);
		for (int j = 0; j < n_sockets; j++)
			socket_of(first + j);
		close(done[1]);
		for (;;)
			pause();
	}
	close(done[1]);
	if (read(done[0], &c, 1))
		die("task");
	close(done[0]);
}

static int n_links(void)
{
	struct if_nameindex *all = if_nameindex();
	int n = 0;

	if (!all)
		die("if_nameindex");
	while (all[n].if_index)
		n++;
	if_freenameindex(all);
	return n;
}

/* Closes these descriptors, the last that keep the namespaces, and waits until no link is left of them. */
static double close_all(int first, int last, int links_before)
{
	double start = now();

	must(close_range(first, last, 0), "close_range");
	while (n_links() > links_before)
		usleep(1000);
	return now() - start;
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : -1, n_sockets = argc > 2 ? atoi(argv[2]) : 0;
	const char *mode = argc > 3 ? argv[3] : "names";
	bool flat = argc > 4 && !strcmp(argv[4], "flat"), names = !strcmp(mode, "names"),
	     closes = !strcmp(mode, "close");
	int links_before = n_links(), first = 0, netns = -1;
	int home = must(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), "/proc/self/ns/net"),
	    rt = rt_open(NETLINK_ROUTE);
	struct rlimit many = {1 << 16, 1 << 16};
	double start = now();
	char text[64];

	if (n < 0)
		return fprintf(stderr, "usage: restore NAMESPACES SOCKETS "
				       "[names|tasks|wait|one|close] [flat]\n"),
		       2;
	signal(SIGCHLD, SIG_IGN);
	setrlimit(RLIMIT_NOFILE, &many);
	for (int k = 1; k <= n; k++) {
		int inner;

		if (!flat) {
			must(unshare(CLONE_NEWNET), "unshare");
			netns = must(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC),
				     "/proc/self/ns/net");
			veth(rt, k, netns);
			inner = rt_open(NETLINK_ROUTE);
			link_up(inner, LO);
			link_up(inner, ETH0);
			link_up(rt, 2 + k);
			snprintf(text, sizeof(text), "10.%d.%d.2", k >> 8, k & 255);
			address(inner, AF_INET, ETH0, text, 24);
			snprintf(text, sizeof(text), "fd00:%x::2", k);
			address(inner, AF_INET6, ETH0, text, 64);
			snprintf(text, sizeof(text), "10.%d.%d.1", k >> 8, k & 255);
			default_route(inner, text);
			close(inner);
			if (names)
				pin(k);
			if (!first)
				first = netns;
			if (!closes)
				close(netns);
		}
		if (n_sockets)
			task(n_sockets, flat ? k * n_sockets : 0);
	}
	must(setns(home, CLONE_NEWNET), "setns");
	if (!n)
		for (int j = 0; j < n_sockets; j++)
			socket_of(j);
	printf("seconds %.6f\n", closes ? close_all(first, netns, links_before) : now() - start);
	if (strcmp(mode, "wait") && strcmp(mode, "one"))
		return 0;
	printf("ready\n");
	fflush(stdout);
	while (read(0, text, sizeof(text)) > 0)
		;
	return 0;
}
