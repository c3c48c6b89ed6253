/* gen: writes a checkpoint image in CRIU's format, as large as asked for and the same every time.
 *
 *     gen FOLDER [sockets=N] [namespaces=N] [per-task=N] [bindable=1]
 *
 * FOLDER must not exist. The sockets are half inet (TCP and UDP, IPv4 and IPv6), a quarter unix, the rest
 * netlink and packet, with the fields that CRIU 4.2 writes; they are spread over the namespaces and held by
 * tasks of per-task descriptors each, one descriptor a socket. Namespace 1 has lo and one end of a veth pair
 * to each other namespace, and each other one has lo and the other end; every end has an IPv4 address, every
 * other namespace a default route. bindable=1 gives the sockets addresses that their namespaces have, so that
 * the image can be restored. Nothing here is random. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "criu/core.pb-c.h"
#include "criu/fdinfo.pb-c.h"
#include "criu/inventory.pb-c.h"
#include "criu/netdev.pb-c.h"
#include "criu/pstree.pb-c.h"
#include "proto/img_types.h"

enum {
	MAGIC_COMMON = 0x54564319, /* criu/include/magic.h: IMG_COMMON_MAGIC */
	FIRST_FD = 3,
	FIRST_PID = 100,
	FIRST_ID = 1,
	TCP_LISTEN = 10,
	TCP_CLOSE = 7,
	HEAD = 64,
};

struct plan {
	const char *folder;
	uint32_t n_sockets, n_namespaces, per_task, bindable;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* ---- files ---- */

static FILE *begin(const struct plan *p, enum img_kind kind, uint64_t number)
{
	const struct img_type *type = img_type_get(kind);
	const uint32_t words[] = {MAGIC_COMMON, type->magic};
	char name[64], path[4096];
	bool is_short = type->head != IMG_HEAD_COMMON;
	FILE *f;

	if (!img_type_name(type, number, name, sizeof(name)) ||
	    snprintf(path, sizeof(path), "%s/%s", p->folder, name) >= (int)sizeof(path))
		exit(2);
	f = fopen(path, "wxe");
	if (!f || fwrite(&words[is_short], 4, is_short ? 1 : 2, f) != (is_short ? 1u : 2u))
		die(path);
	return f;
}

static void end(FILE *f)
{
	if (fclose(f))
		die("write");
}

static void put(FILE *f, const void *msg)
{
	static uint8_t small[4096];
	uint32_t len = (uint32_t)protobuf_c_message_get_packed_size(msg);
	uint8_t *bytes = len > sizeof(small) ? malloc(len) : small;

	if (!bytes)
		die("memory");
	protobuf_c_message_pack(msg, bytes);
	if (fwrite(&len, 4, 1, f) != 1 || fwrite(bytes, 1, len, f) != len)
		die("write");
	if (bytes != small)
		free(bytes);
}

/* ---- sockets ---- */

static uint32_t n_tasks(const struct plan *p)
{
	return p->n_sockets ? (p->n_sockets - 1) / p->per_task + 1 : 1;
}

static uint32_t ns_of(const struct plan *p, uint32_t i)
{
	return 1 + i / p->per_task % p->n_namespaces;
}

static SkOptsEntry options(uint32_t buffer, bool is_unix)
{
	SkOptsEntry o = SK_OPTS_ENTRY__INIT;

	o.so_sndbuf = buffer;
	o.so_rcvbuf = buffer;
	o.has_reuseaddr = o.has_so_priority = o.has_so_rcvlowat = true;
	o.so_rcvlowat = 1;
	o.has_so_dontroute = o.has_so_no_check = o.has_so_reuseport = o.has_so_broadcast = true;
	o.has_so_keepalive = o.has_so_oobinline = o.has_so_buf_lock = true;
	o.has_so_passcred = o.has_so_passsec = is_unix;
	return o;
}

static void put_inet(const struct plan *p, FILE *f, uint32_t i, FileEntry *file)
{
	InetSkEntry sk = INET_SK_ENTRY__INIT;
	FownEntry fown = FOWN_ENTRY__INIT;
	SkOptsEntry opts = options(16384, false);
	IpOptsEntry ip = IP_OPTS_ENTRY__INIT;
	bool is_tcp = i % 4 < 2, is_v6 = i % 16 >= 8;
	uint32_t src[4] = {htonl(0x0a000000 | (i >> 8 & 0xffff)), 0, 0, htonl(1)}, dst[4] = {0};

	if (is_v6)
		src[0] = p->bindable ? 0 : htonl(0xfd000000 | (i >> 8 & 0xffff));
	else if (p->bindable)
		src[0] = htonl(INADDR_LOOPBACK);
	if (!is_tcp && !p->bindable)
		dst[is_v6 ? 3 : 0] = htonl(0x0a630001);
	sk.id = file->id;
	sk.ino = 1000000 + i;
	sk.family = is_v6 ? AF_INET6 : AF_INET;
	sk.type = is_tcp ? SOCK_STREAM : SOCK_DGRAM;
	sk.proto = is_tcp ? IPPROTO_TCP : IPPROTO_UDP;
	sk.state = is_tcp ? TCP_LISTEN : TCP_CLOSE;
	sk.src_port = 1024 + i % 60000;
	sk.dst_port = is_tcp || p->bindable ? 0 : 53;
	sk.flags = 2;
	sk.backlog = is_tcp ? 128 : 0;
	sk.n_src_addr = sk.n_dst_addr = is_v6 ? 4 : 1;
	sk.src_addr = src;
	sk.dst_addr = dst;
	sk.fown = &fown;
	sk.opts = &opts;
	opts.reuseaddr = is_tcp;
	opts.so_rcvbuf = 131072;
	sk.has_v6only = is_v6;
	sk.ip_opts = &ip;
	sk.has_ns_id = true;
	sk.ns_id = ns_of(p, i);
	file->type = FD_TYPES__INETSK;
	file->isk = &sk;
	put(f, file);
}

static void put_unix(const struct plan *p, FILE *f, uint32_t i, FileEntry *file)
{
	UnixSkEntry sk = UNIX_SK_ENTRY__INIT;
	FownEntry fown = FOWN_ENTRY__INIT;
	SkOptsEntry opts = options(212992, true);
	char name[32] = "";
	bool is_pair = i % 16 >= 8; /* the other end has the last bit the other way round */

	sk.id = file->id;
	sk.ino = 1000000 + i;
	sk.type = SOCK_STREAM;
	sk.state = is_pair ? 1 : TCP_LISTEN;
	sk.flags = 2;
	sk.backlog = is_pair ? 0 : 64;
	sk.peer = is_pair ? 1000000 + (i ^ 1) : 0;
	sk.fown = &fown;
	sk.opts = &opts;
	if (!is_pair)
		sk.name.len = (size_t)snprintf(name, sizeof(name), "%cbench/%07" PRIu32, 0, i);
	sk.name.data = (uint8_t *)name;
	sk.has_ns_id = true;
	sk.ns_id = ns_of(p, i);
	file->type = FD_TYPES__UNIXSK;
	file->usk = &sk;
	put(f, file);
}

static void put_netlink(const struct plan *p, FILE *f, uint32_t i, FileEntry *file)
{
	NetlinkSkEntry sk = NETLINK_SK_ENTRY__INIT;
	FownEntry fown = FOWN_ENTRY__INIT;
	SkOptsEntry opts = options(212992, true);
	uint32_t groups = 81;

	sk.id = file->id;
	sk.ino = 1000000 + i;
	sk.state = TCP_CLOSE;
	sk.flags = 2;
	sk.portid = 1 + i;
	sk.n_groups = 1;
	sk.groups = &groups;
	sk.fown = &fown;
	sk.opts = &opts;
	sk.has_ns_id = true;
	sk.ns_id = ns_of(p, i);
	file->type = FD_TYPES__NETLINKSK;
	file->nlsk = &sk;
	put(f, file);
}

static void put_packet(const struct plan *p, FILE *f, uint32_t i, FileEntry *file)
{
	PacketSockEntry sk = PACKET_SOCK_ENTRY__INIT;
	FownEntry fown = FOWN_ENTRY__INIT;
	SkOptsEntry opts = options(212992, false);

	sk.id = file->id;
	sk.type = SOCK_RAW;
	sk.protocol = htons(0x0800);
	sk.flags = 2;
	sk.ifindex = 1;
	sk.fown = &fown;
	sk.opts = &opts;
	sk.has_ns_id = true;
	sk.ns_id = ns_of(p, i);
	file->type = FD_TYPES__PACKETSK;
	file->psk = &sk;
	put(f, file);
}

/* Pairs of two, so that both ends of a unix pair are in one task: inet inet unix netlink-or-packet. */
static void put_socket(const struct plan *p, FILE *f, uint32_t i)
{
	FileEntry file = FILE_ENTRY__INIT;

	file.id = FIRST_ID + i;
	switch (i / 2 % 4) {
	case 0:
	case 1:
		put_inet(p, f, i, &file);
		break;
	case 2:
		put_unix(p, f, i, &file);
		break;
	default:
		i % 2 ? put_packet(p, f, i, &file) : put_netlink(p, f, i, &file);
	}
}

static FdTypes type_of(uint32_t i)
{
	if (i / 2 % 4 < 2)
		return FD_TYPES__INETSK;
	if (i / 2 % 4 == 2)
		return FD_TYPES__UNIXSK;
	return i % 2 ? FD_TYPES__PACKETSK : FD_TYPES__NETLINKSK;
}

/* ---- tasks ---- */

static void put_fdinfo(const struct plan *p, uint32_t task)
{
	FILE *f = begin(p, IMG_FDINFO, task + 1);
	uint32_t first = task * p->per_task, n = p->n_sockets - first;

	for (uint32_t i = first; i < first + (n < p->per_task ? n : p->per_task); i++) {
		FdinfoEntry fd = FDINFO_ENTRY__INIT;

		fd.id = FIRST_ID + i;
		fd.type = type_of(i);
		fd.fd = FIRST_FD + i - first;
		put(f, &fd);
	}
	end(f);
}

static void put_core(const struct plan *p, uint32_t task)
{
	FILE *f = begin(p, IMG_CORE, FIRST_PID + task);
	CoreEntry core = CORE_ENTRY__INIT;
	TaskCoreEntry tc = TASK_CORE_ENTRY__INIT;
	TaskKobjIdsEntry ids = TASK_KOBJ_IDS_ENTRY__INIT;
	char comm[16];

	core.mtype = CORE_ENTRY__MARCH__X86_64;
	tc.task_state = 1;
	snprintf(comm, sizeof(comm), "task%" PRIu32, task);
	tc.comm = comm;
	core.tc = &tc;
	put(f, &core);
	end(f);
	f = begin(p, IMG_IDS, FIRST_PID + task);
	ids.vm_id = ids.files_id = ids.fs_id = ids.sighand_id = task + 1;
	ids.has_net_ns_id = true;
	ids.net_ns_id = ns_of(p, task * p->per_task);
	put(f, &ids);
	end(f);
}

static void put_tasks(const struct plan *p)
{
	FILE *tree = begin(p, IMG_PSTREE, 0);

	for (uint32_t t = 0; t < n_tasks(p); t++) {
		PstreeEntry e = PSTREE_ENTRY__INIT;
		uint32_t pid = FIRST_PID + t;

		e.pid = pid;
		e.ppid = t ? FIRST_PID : 0;
		e.pgid = e.sid = FIRST_PID;
		e.n_threads = 1;
		e.threads = &pid;
		put(tree, &e);
		put_core(p, t);
		put_fdinfo(p, t);
	}
	end(tree);
}

/* ---- namespaces ---- */

static void add_attr(struct nlmsghdr *h, uint16_t type, const void *data, uint16_t len)
{
	struct rtattr *a = (struct rtattr *)((char *)h + NLMSG_ALIGN(h->nlmsg_len));

	a->rta_type = type;
	a->rta_len = (uint16_t)RTA_LENGTH(len);
	memcpy(RTA_DATA(a), data, len);
	h->nlmsg_len = NLMSG_ALIGN(h->nlmsg_len) + RTA_ALIGN(a->rta_len);
}

static void put_address(FILE *f, int family, uint32_t ifindex, const void *address,
			uint8_t prefixlen)
{
	union {
		struct nlmsghdr h;
		char bytes[HEAD * 4];
	} m = {.h = {.nlmsg_type = RTM_NEWADDR, .nlmsg_flags = NLM_F_MULTI}};
	struct ifaddrmsg ifa = {.ifa_family = (uint8_t)family,
				.ifa_prefixlen = prefixlen,
				.ifa_flags = IFA_F_PERMANENT,
				.ifa_scope = ifindex == 1 ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE,
				.ifa_index = ifindex};
	uint32_t flags = IFA_F_PERMANENT;

	memcpy(NLMSG_DATA(&m.h), &ifa, sizeof(ifa));
	m.h.nlmsg_len = NLMSG_LENGTH(sizeof(ifa));
	add_attr(&m.h, IFA_ADDRESS, address, family == AF_INET ? 4 : 16);
	if (family == AF_INET)
		add_attr(&m.h, IFA_LOCAL, address, 4);
	add_attr(&m.h, IFA_FLAGS, &flags, 4);
	if (fwrite(&m, 1, m.h.nlmsg_len, f) != m.h.nlmsg_len)
		die("write");
}

static void put_address4(FILE *f, uint32_t ifindex, uint32_t address, uint8_t prefixlen)
{
	uint32_t address_be = htonl(address);

	put_address(f, AF_INET, ifindex, &address_be, prefixlen);
}

static void put_default_route(FILE *f, uint32_t oif, uint32_t gateway_be)
{
	union {
		struct nlmsghdr h;
		char bytes[HEAD * 4];
	} m = {.h = {.nlmsg_type = RTM_NEWROUTE, .nlmsg_flags = NLM_F_MULTI}};
	struct rtmsg rt = {.rtm_family = AF_INET,
			   .rtm_table = RT_TABLE_MAIN,
			   .rtm_protocol = RTPROT_STATIC,
			   .rtm_scope = RT_SCOPE_UNIVERSE,
			   .rtm_type = RTN_UNICAST};
	uint32_t table = RT_TABLE_MAIN;

	memcpy(NLMSG_DATA(&m.h), &rt, sizeof(rt));
	m.h.nlmsg_len = NLMSG_LENGTH(sizeof(rt));
	add_attr(&m.h, RTA_TABLE, &table, 4);
	add_attr(&m.h, RTA_GATEWAY, &gateway_be, 4);
	add_attr(&m.h, RTA_OIF, &oif, 4);
	if (fwrite(&m, 1, m.h.nlmsg_len, f) != m.h.nlmsg_len)
		die("write");
}

static void put_device(FILE *f, NdType type, uint32_t ifindex, const char *name, uint32_t peer,
		       uint32_t peer_ns)
{
	NetDeviceEntry d = NET_DEVICE_ENTRY__INIT;
	uint8_t mac[6] = {2,
			  0,
			  (uint8_t)(peer_ns >> 8),
			  (uint8_t)peer_ns,
			  (uint8_t)(ifindex >> 8),
			  (uint8_t)ifindex};

	d.type = type;
	d.ifindex = ifindex;
	d.mtu = type == ND_TYPE__LOOPBACK ? 65536 : 1500;
	d.flags = type == ND_TYPE__LOOPBACK ? 0x10049 : 0x11043;
	d.name = (char *)name;
	d.has_address = type == ND_TYPE__VETH;
	d.address = (ProtobufCBinaryData){sizeof(mac), mac};
	d.has_peer_ifindex = d.has_peer_nsid = true;
	d.peer_ifindex = peer;
	d.peer_nsid = peer_ns;
	put(f, &d);
}

static void put_netns(const struct plan *p, uint32_t ns)
{
	FILE *f = begin(p, IMG_NETNS, ns);
	NetnsEntry e = NETNS_ENTRY__INIT;
	uint32_t n = ns == 1 ? p->n_namespaces - 1 : 1;
	NetnsId *ids = calloc(n + 1, sizeof(*ids)), **list = calloc(n + 1, sizeof(*list));

	if (!ids || !list)
		die("memory");
	for (uint32_t i = 0; i < n; i++) {
		netns_id__init(&ids[i]);
		ids[i].target_ns_id = ns == 1 ? i + 2 : 1;
		ids[i].netnsid_value = (int32_t)i;
		list[i] = &ids[i];
	}
	e.n_nsids = p->n_namespaces > 1 ? n : 0;
	e.nsids = list;
	put(f, &e);
	free(ids);
	free(list);
	end(f);
}

static void put_network(const struct plan *p, uint32_t ns)
{
	FILE *dev = begin(p, IMG_NETDEV, ns), *addr = begin(p, IMG_IFADDR, ns);
	FILE *route = begin(p, IMG_ROUTE, ns);
	char name[16];

	put_device(dev, ND_TYPE__LOOPBACK, 1, "lo", 1, ns);
	put_address4(addr, 1, INADDR_LOOPBACK, 8);
	put_address(addr, AF_INET6, 1, &in6addr_loopback, 128);
	for (uint32_t other = 2; ns == 1 && other <= p->n_namespaces; other++) {
		snprintf(name, sizeof(name), "v%" PRIu32, other);
		put_device(dev, ND_TYPE__VETH, other, name, 2, other);
		put_address4(addr, other, 0x0a800000 + (other << 2) + 1, 30);
	}
	if (ns > 1) {
		put_device(dev, ND_TYPE__VETH, 2, "eth0", ns, 1);
		put_address4(addr, 2, 0x0a800000 + (ns << 2) + 2, 30);
		put_default_route(route, 2, htonl(0x0a800000 + (ns << 2) + 1));
	}
	end(dev);
	end(addr);
	end(route);
}

/* ---- all ---- */

static void put_inventory(const struct plan *p)
{
	FILE *f = begin(p, IMG_INVENTORY, 0);
	InventoryEntry e = INVENTORY_ENTRY__INIT;
	TaskKobjIdsEntry ids = TASK_KOBJ_IDS_ENTRY__INIT;

	e.img_version = 2;
	e.has_fdinfo_per_id = e.fdinfo_per_id = true;
	e.has_ns_per_id = e.ns_per_id = true;
	ids.vm_id = ids.files_id = ids.fs_id = ids.sighand_id = 1;
	ids.has_net_ns_id = true;
	ids.net_ns_id = 1;
	e.root_ids = &ids;
	put(f, &e);
	end(f);
}

static bool option(const char *arg, const char *name, uint32_t *v)
{
	size_t n = strlen(name);
	char *end;

	if (strncmp(arg, name, n) != 0 || arg[n] != '=')
		return false;
	*v = (uint32_t)strtoul(arg + n + 1, &end, 10);
	return !*end && end != arg + n + 1;
}

int main(int argc, char **argv)
{
	struct plan p = {.folder = argc > 1 ? argv[1] : "",
			 .n_sockets = 1000,
			 .n_namespaces = 1,
			 .per_task = 1000};
	FILE *f;

	for (int i = 2; i < argc; i++)
		if (!option(argv[i], "sockets", &p.n_sockets) &&
		    !option(argv[i], "namespaces", &p.n_namespaces) &&
		    !option(argv[i], "per-task", &p.per_task) &&
		    !option(argv[i], "bindable", &p.bindable))
			argc = 0;
	if (argc < 2 || p.folder[0] == '-' || !p.n_namespaces || !p.per_task || p.per_task % 2) {
		fputs("gen FOLDER [sockets=N] [namespaces=N] [per-task=EVEN NUMBER] [bindable=1]\n",
		      stderr);
		return 2;
	}
	if (mkdir(p.folder, 0700))
		die(p.folder);
	put_inventory(&p);
	put_tasks(&p);
	for (uint32_t ns = 1; ns <= p.n_namespaces; ns++) {
		put_netns(&p, ns);
		put_network(&p, ns);
	}
	f = begin(&p, IMG_FILES, 0);
	for (uint32_t i = 0; i < p.n_sockets; i++)
		put_socket(&p, f, i);
	end(f);
	return 0;
}
