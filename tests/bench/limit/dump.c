/* limit/dump: what a dump cannot do without, and nothing else: the system calls that tell the facts.
 *
 *     dump PID
 *
 * PID and its children are stopped (ptrace) while they are read. Of each: its namespace, its descriptors, and of
 * each socket what nsimg asks for too: namespace (SO_NETNS_COOKIE), names, owner, queues, and every option of the
 * table in proto/sockopt_table that such a socket can have; TCP and UDP sockets are looked up in sock_diag by their
 * addresses. Of each namespace that is met, once: sock_diag (unix and rtnetlink sockets; where /proc/net/sockstat
 * counts more sockets than were met the other tables too, but for those that /proc/net/protocols calls empty; a
 * request answers TCP of both families), the groups, everything that rtnetlink tells, the counts of firewall, connections, IPsec and MPTCP, and the sysctls that no
 * message tells, file by file. Nothing is decoded, kept or written, and nothing is read twice.
 * Prints how many sockets and sysctl files there were, and how long it took, in seconds. */
#include <dirent.h>
#include <linux/genetlink.h>
#include <linux/inet_diag.h>
#include <linux/mptcp.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink_diag.h>
#include <linux/packet_diag.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <linux/unix_diag.h>
#include <linux/xfrm.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "proto/sockopt_table.h"
#include "rt.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

enum { MAX_NAMESPACES = 4096, MAX_SYSCTLS = 2048, TCPDIAG_GETSOCK_ = 18, LOOK_UPS = 64 };

static struct {
	struct namespace
	{
		uint64_t cookie;
		size_t n_sockets;
		int fd, diag; /* diag: a socket inside */
	}
	namespaces[MAX_NAMESPACES];
	size_t n_namespaces, n_sockets, n_sysctls;
	struct {
		int folder;
		char leaf[64];
	} sysctls[MAX_SYSCTLS];
	char folders[64][256];
	size_t n_folders;
	uint16_t mptcp;
	int home;
} all;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* A file as it is, into a buffer that nobody reads; how long it is, -1: it cannot be opened. */
static ssize_t slurp(int dirfd, const char *path, char *text, size_t size)
{
	int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1, all_read = 0;

	if (fd < 0)
		return -1;
	while ((size_t)all_read < size - 1 &&
	       (n = read(fd, text + all_read, size - 1 - all_read)) > 0)
		all_read += n;
	close(fd);
	text[all_read] = 0;
	return all_read;
}

/* ---- which sysctls there are: learnt once, in a fresh namespace ---- */

/* Those of devices come with the messages of the devices and of the neighbour tables. */
static bool is_of_device(const char *folder)
{
	const char *part = strstr(folder, "/conf/");

	if (strstr(folder, "/neigh/"))
		return true;
	return part && strcmp(part, "/conf/all") && strcmp(part, "/conf/default");
}

static void find_sysctls(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *de;
	int number = -1;
	char sub[512], value[4096];

	while (dir && (de = readdir(dir))) {
		if (de->d_name[0] == '.')
			continue;
		snprintf(sub, sizeof(sub), "%s/%s", folder, de->d_name);
		if (de->d_type == DT_DIR) {
			if (!is_of_device(sub))
				find_sysctls(sub);
			continue;
		}
		if (slurp(AT_FDCWD, sub, value, sizeof(value)) < 0 || all.n_sysctls == MAX_SYSCTLS)
			continue;
		if (number < 0) {
			number = (int)all.n_folders++;
			snprintf(all.folders[number], sizeof(all.folders[number]), "%s", folder);
		}
		all.sysctls[all.n_sysctls].folder = number;
		snprintf(all.sysctls[all.n_sysctls++].leaf, sizeof(all.sysctls[0].leaf), "%.63s",
			 de->d_name);
	}
	if (dir)
		closedir(dir);
}

static void read_sysctls(void)
{
	int folders[64];
	char value[4096];

	for (size_t i = 0; i < all.n_folders; i++)
		folders[i] = open(all.folders[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < all.n_sysctls; i++) {
		int fd = openat(folders[all.sysctls[i].folder], all.sysctls[i].leaf,
				O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			continue;
		if (read(fd, value, sizeof(value)) < 0)
			value[0] = 0;
		close(fd);
	}
	for (size_t i = 0; i < all.n_folders; i++)
		close(folders[i]);
}

/* ---- a namespace ---- */

static char answer[1 << 18];

/* A request and all of its answers; a refusal is an answer too. */
static void ask(int fd, uint16_t type, uint16_t flags, const void *body, size_t len)
{
	struct rt m;
	void *p = rt_begin(&m, type, flags, len);

	memcpy(p, body, len);
	m.h.nlmsg_flags &= flags & NLM_F_DUMP ? ~NLM_F_ACK : ~0;
	must(send(fd, &m, m.h.nlmsg_len, 0), "netlink");
	for (;;) {
		int n = must(recv(fd, answer, sizeof(answer), 0), "netlink");
		const struct nlmsghdr *h = (const struct nlmsghdr *)answer;

		for (; NLMSG_OK(h, (unsigned int)n); h = NLMSG_NEXT(h, n))
			if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
				return;
	}
}

/* Does the namespace have more sockets than were met, and ours? */
static bool has_more(const struct namespace *ns)
{
	char text[4096];
	size_t used;

	return slurp(AT_FDCWD, "/proc/thread-self/net/sockstat", text, sizeof(text)) < 0 ||
	       sscanf(text, "sockets: used %zu", &used) != 1 || used != ns->n_sockets + 1;
}

static void ask_sockets(const struct namespace *ns)
{
	struct unix_diag_req un = {.sdiag_family = AF_UNIX,
				   .udiag_states = ~0u,
				   .udiag_show = UDIAG_SHOW_PEER | UDIAG_SHOW_ICONS |
						 UDIAG_SHOW_RQLEN | UDIAG_SHOW_NAME};
	struct netlink_diag_req nl = {.sdiag_family = AF_NETLINK,
				      .sdiag_protocol = NDIAG_PROTO_ALL,
				      .ndiag_show = NDIAG_SHOW_GROUPS};
	struct packet_diag_req pk = {.sdiag_family = AF_PACKET,
				     .pdiag_show = PACKET_SHOW_INFO | PACKET_SHOW_MCLIST |
						   PACKET_SHOW_RING_CFG | PACKET_SHOW_FANOUT};
	struct inet_diag_req tcp = {.idiag_family = AF_INET,
				    .idiag_ext = 1 << (INET_DIAG_INFO - 1),
				    .idiag_states = ~0u};
	struct inet_diag_req_v2 v2 = {.idiag_ext = 1 << (INET_DIAG_SHUTDOWN - 1),
				      .idiag_states = ~0u};
	static const struct {
		const char *name;
		uint8_t family, protocol;
	} tables[] = {
		{"UDP", AF_INET, IPPROTO_UDP},          {"UDPv6", AF_INET6, IPPROTO_UDP},
		{"UDP-Lite", AF_INET, IPPROTO_UDPLITE}, {"UDPLITEv6", AF_INET6, IPPROTO_UDPLITE},
		{"RAW", AF_INET, IPPROTO_RAW},          {"RAWv6", AF_INET6, IPPROTO_RAW},
	};
	int fd = ns->diag;
	bool more = has_more(ns);
	char text[1 << 14], name[32], *line, *save;
	unsigned n;

	if (!more)
		nl.sdiag_protocol = NETLINK_ROUTE;
	ask(fd, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &un, sizeof(un));
	ask(fd, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &nl, sizeof(nl));
	if (more)
		ask(fd, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &pk, sizeof(pk));
	slurp(AT_FDCWD, "/proc/thread-self/net/protocols", text, sizeof(text));
	line = more ? strtok_r(text, "\n", &save) : NULL;
	for (bool tcp_done = false; line; line = strtok_r(NULL, "\n", &save)) {
		if (sscanf(line, "%31s %*u %u", name, &n) != 2 || !n)
			continue;
		if (!strncmp(name, "TCP", 3) && !tcp_done) {
			ask(fd, TCPDIAG_GETSOCK_, NLM_F_DUMP, &tcp, sizeof(tcp));
			tcp_done = true;
		}
		for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++)
			if (!strcmp(tables[i].name, name)) {
				v2.sdiag_family = tables[i].family;
				v2.sdiag_protocol = tables[i].protocol;
				ask(fd, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &v2, sizeof(v2));
			}
	}
	slurp(AT_FDCWD, "/proc/thread-self/net/igmp", text, sizeof(text));
	slurp(AT_FDCWD, "/proc/thread-self/net/igmp6", text, sizeof(text));
}

static void ask_rtnetlink(void)
{
	static const struct {
		uint16_t type;
		uint8_t family;
	} dumps[] = {
		{RTM_GETNSID, AF_UNSPEC},     {RTM_GETADDR, AF_UNSPEC},
		{RTM_GETADDR, AF_PACKET},     {RTM_GETNEXTHOP, AF_UNSPEC},
		{RTM_GETROUTE, AF_INET},      {RTM_GETROUTE, AF_INET6},
		{RTM_GETRULE, AF_INET},       {RTM_GETRULE, AF_INET6},
		{RTM_GETADDRLABEL, AF_INET6}, {RTM_GETNEIGH, AF_UNSPEC},
		{RTM_GETQDISC, AF_UNSPEC},    {RTM_GETNEIGHTBL, AF_INET},
		{RTM_GETNEIGHTBL, AF_INET6},
	};
	struct {
		struct ifinfomsg ifi;
		struct rtattr a;
		uint32_t mask;
	} links = {.a = {RTA_LENGTH(4), IFLA_EXT_MASK}, .mask = RTEXT_FILTER_SKIP_STATS};
	struct ndmsg proxies = {.ndm_flags = NTF_PROXY};
	char body[32];
	int fd = rt_open(NETLINK_ROUTE);

	ask(fd, RTM_GETLINK, NLM_F_DUMP, &links, sizeof(links));
	ask(fd, RTM_GETNEIGH, NLM_F_DUMP, &proxies, sizeof(proxies));
	for (size_t i = 0; i < sizeof(dumps) / sizeof(*dumps); i++) {
		memset(body, 0, sizeof(body));
		body[0] = dumps[i].family;
		/* as long as the header of each of these is at most, and the kernel looks no further */
		ask(fd, dumps[i].type, NLM_F_DUMP, body,
		    dumps[i].type == RTM_GETNEIGHTBL || dumps[i].type == RTM_GETNSID  ? 4
		    : dumps[i].type == RTM_GETADDR || dumps[i].type == RTM_GETNEXTHOP ? 8
		    : dumps[i].type == RTM_GETQDISC                                   ? 20
										      : 12);
	}
	close(fd);
}

static void ask_others(void)
{
	struct nfgenmsg g = {0};
	struct genlmsghdr limits = {.cmd = MPTCP_PM_CMD_GET_LIMITS, .version = MPTCP_PM_VER},
			  endpoints = {.cmd = MPTCP_PM_CMD_GET_ADDR, .version = MPTCP_PM_VER};
	uint32_t flags = 0;
	static const char *const names[] = {"ip", "ip6", "arp"};
	char path[64], text[4096];
	int fd = rt_open(NETLINK_NETFILTER);

	ask(fd, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE, NLM_F_DUMP, &g, sizeof(g));
	ask(fd, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET_STATS, 0, &g, sizeof(g));
	close(fd);
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_XFRM);
	if (fd >= 0) {
		ask(fd, XFRM_MSG_GETSADINFO, 0, &flags, sizeof(flags));
		ask(fd, XFRM_MSG_GETSPDINFO, 0, &flags, sizeof(flags));
		close(fd);
	}
	fd = rt_open(NETLINK_GENERIC);
	if (all.mptcp) {
		ask(fd, all.mptcp, 0, &limits, sizeof(limits));
		ask(fd, all.mptcp, NLM_F_DUMP, &endpoints, sizeof(endpoints));
	}
	close(fd);
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "/proc/thread-self/net/%s_tables_names", names[i]);
		slurp(AT_FDCWD, path, text, sizeof(text));
	}
}

static void find_mptcp(void)
{
	struct rt m;
	struct genlmsghdr *g = rt_begin(&m, GENL_ID_CTRL, 0, sizeof(*g));
	int fd = rt_open(NETLINK_GENERIC), n;
	const struct nlmsghdr *h = (const struct nlmsghdr *)answer;
	const struct rtattr *a;

	g->cmd = CTRL_CMD_GETFAMILY;
	g->version = 1;
	rt_str(&m, CTRL_ATTR_FAMILY_NAME, MPTCP_PM_NAME);
	must(send(fd, &m, m.h.nlmsg_len, 0), "netlink");
	must(recv(fd, answer, sizeof(answer), 0), "netlink");
	close(fd);
	if (h->nlmsg_type == NLMSG_ERROR)
		return;
	a = (const struct rtattr *)((const char *)h + NLMSG_LENGTH(sizeof(*g)));
	n = (int)(h->nlmsg_len - NLMSG_LENGTH(sizeof(*g)));
	for (; RTA_OK(a, n); a = RTA_NEXT(a, n))
		if (a->rta_type == CTRL_ATTR_FAMILY_ID)
			memcpy(&all.mptcp, RTA_DATA(a), 2);
}

static void read_namespace(const struct namespace *ns)
{
	must(setns(ns->fd, CLONE_NEWNET), "setns");
	ask_sockets(ns);
	ask_rtnetlink();
	ask_others();
	read_sysctls();
	close(ns->diag);
	close(ns->fd);
}

static struct namespace *namespace_of(int sock, uint64_t cookie)
{
	struct namespace *ns;

	for (size_t i = all.n_namespaces; i > 0; i--)
		if (all.namespaces[i - 1].cookie == cookie)
			return &all.namespaces[i - 1];
	if (all.n_namespaces == MAX_NAMESPACES) {
		errno = ERANGE;
		die("namespaces");
	}
	ns = &all.namespaces[all.n_namespaces++];
	ns->cookie = cookie;
	ns->fd = must(ioctl(sock, SIOCGSKNS), "SIOCGSKNS");
	must(setns(ns->fd, CLONE_NEWNET), "setns");
	ns->diag = rt_open(NETLINK_SOCK_DIAG);
	must(setns(all.home, CLONE_NEWNET), "setns");
	return ns;
}

/* ---- a task ---- */

static int int_of(int fd, int level, int name)
{
	int v = 0;
	socklen_t len = sizeof(v);

	getsockopt(fd, level, name, &v, &len);
	return v;
}

/* A TCP or UDP socket in sock_diag, by its local address. */
static void look_up(int diag, uint32_t kind, const struct sockaddr_storage *ss)
{
	const struct sockaddr_in *in = (const void *)ss;
	const struct sockaddr_in6 *in6 = (const void *)ss;
	bool tcp = kind & SOCKOPT_TCP;
	struct inet_diag_req_v2 r = {
		.sdiag_family = (uint8_t)ss->ss_family,
		.sdiag_protocol = tcp ? IPPROTO_TCP : IPPROTO_UDP,
		.idiag_ext = tcp ? 1 << (INET_DIAG_INFO - 1) : 1 << (INET_DIAG_SHUTDOWN - 1),
		.idiag_states = ~0u,
		.id.idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE},
	};
	/* udp_dump_one has them the other way round */
	__be16 *port = tcp ? &r.id.idiag_sport : &r.id.idiag_dport;
	__be32 *addr = tcp ? r.id.idiag_src : r.id.idiag_dst;

	*port = ss->ss_family == AF_INET ? in->sin_port : in6->sin6_port;
	if (ss->ss_family == AF_INET)
		memcpy(addr, &in->sin_addr, sizeof(in->sin_addr));
	else
		memcpy(addr, &in6->sin6_addr, sizeof(in6->sin6_addr));
	ask(diag, SOCK_DIAG_BY_FAMILY, 0, &r, sizeof(r));
}

static void read_socket(int fd)
{
	char value[4096];
	struct sockaddr_storage ss;
	struct stat st;
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);
	int family = int_of(fd, SOL_SOCKET, SO_DOMAIN), type = int_of(fd, SOL_SOCKET, SO_TYPE);
	uint32_t kind = sockopt_kind(family, type, int_of(fd, SOL_SOCKET, SO_PROTOCOL));
	struct namespace *ns;

	must(getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len), "SO_NETNS_COOKIE");
	ns = namespace_of(fd, cookie);
	len = sizeof(ss);
	getsockname(fd, (struct sockaddr *)&ss, &len);
	if (ns->n_sockets++ < LOOK_UPS && (kind & (SOCKOPT_TCP | SOCKOPT_UDP4 | SOCKOPT_UDP6)))
		look_up(ns->diag, kind, &ss);
	len = sizeof(ss);
	getpeername(fd, (struct sockaddr *)&ss, &len);
	len = sizeof(cookie);
	getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len);
	fstat(fd, &st);
	fcntl(fd, F_GETFL);
	fcntl(fd, F_GETSIG);
	fcntl(fd, F_GETOWN_EX, value);
	ioctl(fd, SIOCINQ, value);
	ioctl(fd, SIOCOUTQ, value);
	if (kind & SOCKOPT_TCP) {
		len = sizeof(value);
		getsockopt(fd, IPPROTO_TCP, 11 /* TCP_INFO */, value, &len);
	}
	for (size_t i = 0; i < sockopt_count(); i++) {
		const struct sockopt *row = sockopt_get(i);

		if (!(row->kinds & kind) || (row->flags & SOCKOPT_WRITEONLY))
			continue;
		/* a filter's length is counted in instructions */
		len = row->type == SOCKOPT_FILTER ? sizeof(value) / 8 : sizeof(value);
		getsockopt(fd, row->level, row->opt, value, &len);
	}
	all.n_sockets++;
}

static void read_task(int pid)
{
	char path[64], target[64], text[4096];
	int pidfd = must((int)syscall(SYS_pidfd_open, pid, 0), "pidfd_open"), infos;
	struct dirent *de;
	DIR *dir;

	for (const char *const *file = (const char *const[]){"stat", "status", "personality", NULL};
	     *file; file++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", pid, *file);
		slurp(AT_FDCWD, path, text, sizeof(text));
	}
	snprintf(path, sizeof(path), "/proc/%d/fdinfo", pid);
	infos = must(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC), path);
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	while (dir && (de = readdir(dir))) {
		ssize_t n = de->d_name[0] == '.' ? -1
						 : readlinkat(dirfd(dir), de->d_name, target,
							      sizeof(target) - 1);
		int fd;

		if (n < 8 || strncmp(target, "socket:[", 8))
			continue;
		fd = must((int)syscall(SYS_pidfd_getfd, pidfd, atoi(de->d_name), 0), "pidfd_getfd");
		read_socket(fd);
		close(fd);
		slurp(infos, de->d_name, text, sizeof(text)); /* close-on-exec */
	}
	if (dir)
		closedir(dir);
	close(infos);
	close(pidfd);
}

int main(int argc, char **argv)
{
	static int pids[MAX_NAMESPACES + 1];
	static char text[1 << 16];
	struct rlimit many = {1 << 16, 1 << 16};
	int n_pids = 0, status;
	double start;
	char path[64];

	if (argc != 2)
		return fprintf(stderr, "usage: dump PID\n"), 2;
	setrlimit(RLIMIT_NOFILE, &many);
	start = now();
	all.home = must(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), "/proc/self/ns/net");
	must(unshare(CLONE_NEWNET), "unshare");
	find_sysctls("/proc/sys/net");
	find_mptcp();
	must(setns(all.home, CLONE_NEWNET), "setns");
	pids[n_pids++] = atoi(argv[1]);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pids[0], pids[0]);
	slurp(AT_FDCWD, path, text, sizeof(text));
	for (char *word = strtok(text, " "); word && n_pids <= MAX_NAMESPACES;
	     word = strtok(NULL, " "))
		pids[n_pids++] = atoi(word);
	for (int i = 0; i < n_pids; i++) {
		must((int)ptrace(PTRACE_SEIZE, pids[i], NULL, NULL), "ptrace");
		must((int)ptrace(PTRACE_INTERRUPT, pids[i], NULL, NULL), "ptrace");
		must(waitpid(pids[i], &status, __WALL), "waitpid");
	}
	for (int i = 0; i < n_pids; i++)
		read_task(pids[i]);
	for (size_t i = 0; i < all.n_namespaces; i++)
		read_namespace(&all.namespaces[i]);
	for (int i = 0; i < n_pids; i++)
		ptrace(PTRACE_DETACH, pids[i], NULL, NULL);
	printf("namespaces %zu\nsockets %zu\nsysctls %zu\nseconds %.6f\n", all.n_namespaces,
	       all.n_sockets, all.n_sysctls, now() - start);
	return 0;
}
