/* What is noticed but not kept: it is named, so that nobody believes it came along. */
#include <linux/genetlink.h>
#include <linux/ioam6_genl.h>
#include <linux/rtnetlink.h>
#include <linux/seg6_genl.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/io.h"
#include "dumper/net_scan.h"

/* Are there interfaces of a socket with MRT_INIT or MRT6_INIT? */
static bool has_mroute_socket(bool is_v6)
{
	const char *path =
		is_v6 ? "/proc/thread-self/net/ip6_mr_vif" : "/proc/thread-self/net/ip_mr_vif";
	auto_buf struct buf text = {0};
	struct err none = ERR_INIT;

	/* a headline, and a line for each interface */
	return !io_read_file(AT_FDCWD, path, 64 << 10, &text, &none) && text.len &&
	       strchr((char *)text.data, '\n') != strrchr((char *)text.data, '\n');
}

/* Multicast forwarding lives and dies with the socket of the routing daemon (ip_mroute_setsockopt), and no socket tells
 * that it is that one. */
int net_scan_mroutes(struct net_scan *s, struct err *e)
{
	static const uint8_t families[] = {RTNL_FAMILY_IPMR, RTNL_FAMILY_IP6MR};

	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		struct rtmsg rtm = {.rtm_family = families[i]};
		auto_buf struct buf all = {0};

		if (net_scan_dump(s, RTM_GETROUTE, &rtm, sizeof(rtm), &all, "multicast routes", e))
			return -1;
		if ((all.len || has_mroute_socket(i == 1)) &&
		    net_lose(
			    s, e,
			    "IPv%c multicast forwarding (ip mroute) is not kept: the socket of its "
			    "daemon comes back without %s, its interfaces and entries",
			    i ? '6' : '4', i ? "MRT6_INIT" : "MRT_INIT"))
			return -1;
	}
	return 0;
}

int net_scan_arptables(struct net_scan *s, struct err *e)
{
	struct err none = ERR_INIT;
	auto_buf struct buf names = {0};

	/* absent where the kernel has no arptables */
	if (io_read_file(AT_FDCWD, "/proc/thread-self/net/arp_tables_names", 4096, &names, &none) ||
	    !names.len)
		return 0;
	return net_lose(s, e, "tables of arptables-legacy are not kept");
}

/* The lists of -m recent, which packets and people fill. */
int net_scan_recent(struct net_scan *s, struct err *e)
{
	static const char folder[] = "/proc/thread-self/net/xt_recent";
	auto_dir DIR *d = opendir(folder);
	struct dirent *de;

	while (d && (de = readdir(d))) {
		auto_buf struct buf entry = {0};
		auto_close int fd = openat(dirfd(d), de->d_name, O_RDONLY | O_CLOEXEC);
		char first;

		if (de->d_name[0] == '.' || fd < 0 || read(fd, &first, 1) != 1)
			continue;
		if (escape_add(&entry, de->d_name, strlen(de->d_name), e) ||
		    net_lose(s, e, "entries of the list %s (iptables -m recent) are not kept",
			     (const char *)entry.data))
			return -1;
	}
	return 0;
}

/* What sockets of NETLINK_NETFILTER are bound to, by their port ids (seq_show() of net/netfilter/nfnetlink_queue.c and
 * nfnetlink_log.c). The flags and the length of a queue are not told, so it is not made again with others. */
int net_scan_bindings(struct net_scan *s, struct err *e)
{
	static const struct {
		const char *path, *what;
	} tables[] = {
		{"/proc/thread-self/net/netfilter/nfnetlink_queue", "queue"},
		{"/proc/thread-self/net/netfilter/nfnetlink_log", "log group"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		auto_buf struct buf text = {0};
		struct err none = ERR_INIT;
		char *line, *rest;

		if (io_read_file(AT_FDCWD, tables[i].path, 1 << 20, &text, &none) || !text.len)
			continue;
		for (line = strtok_r((char *)text.data, "\n", &rest); line;
		     line = strtok_r(NULL, "\n", &rest)) {
			unsigned number, port;

			if (sscanf(line, "%u %u", &number, &port) == 2 &&
			    net_lose(s, e,
				     "netfilter %s %u of the netlink socket with port id %u is not "
				     "kept: the socket comes back without it",
				     tables[i].what, number, port))
				return -1;
		}
	}
	return 0;
}

/* Is there any, or an address that is not ::? */
static int has_genl(struct nl *nl, uint16_t family, uint8_t cmd, bool is_list, struct err *e)
{
	struct genlmsghdr g = {.cmd = cmd, .version = 1};
	static const uint8_t any[16];
	auto_buf struct buf req = {0}, all = {0};
	struct span addr = {0};
	const struct nlattr *a;

	if (nl_msg_begin(&req, family, 0, &g, sizeof(g), e))
		return -1;
	if (is_list)
		return nl_dump_raw(nl, &req, &all, "list", e) ? -1 : all.len > 0;
	if (nl_get(nl, &req, &all, "address", e))
		return -1;
	a = nl_attr_find(nl_attrs((const void *)all.data, sizeof(g)), SEG6_ATTR_DST);
	if (a)
		addr = nl_attr_data(a);
	return addr.len == sizeof(any) && memcmp(addr.data, any, sizeof(any)) != 0;
}

/* Only the root of the machine may ask (GENL_ADMIN_PERM), and only it can have made them. */
int net_scan_genl(struct net_scan *s, struct err *e)
{
	const struct {
		uint16_t family;
		uint8_t cmd;
		bool is_list;
		const char *what;
	} rows[] = {
		{s->d->net->seg6_family, SEG6_CMD_GET_TUNSRC, false,
		 "the source address of segment routing (ip sr tunsrc)"},
		{s->d->net->seg6_family, SEG6_CMD_DUMPHMAC, true,
		 "keys of segment routing (ip sr hmac)"},
		{s->d->net->ioam6_family, IOAM6_CMD_DUMP_NAMESPACES, true,
		 "namespaces of IOAM (ip ioam namespace)"},
		{s->d->net->ioam6_family, IOAM6_CMD_DUMP_SCHEMAS, true,
		 "schemas of IOAM (ip ioam schema)"},
	};
	struct nl *nl = net_socks_get(s->socks, NETLINK_GENERIC, e);

	if (!nl)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err why = ERR_INIT;
		int has = rows[i].family
				  ? has_genl(nl, rows[i].family, rows[i].cmd, rows[i].is_list, &why)
				  : 0;

		if (has < 0 && why.code != ERR_PERM) {
			*e = why;
			return err_wrap(e, "%s", rows[i].what);
		}
		if (has > 0 && net_lose(s, e, "%s: not kept", rows[i].what))
			return -1;
	}
	return 0;
}
