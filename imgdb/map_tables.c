#include <linux/netlink.h>
#include <sys/socket.h>

#include "criu/core.pb-c.h"
#include "criu/fdinfo.pb-c.h"
#include "criu/netdev.pb-c.h"
#include "criu/ns.pb-c.h"
#include "criu/nsimg.pb-c.h"
#include "criu/packet_sock.pb-c.h"
#include "criu/pstree.pb-c.h"
#include "criu/sk_inet.pb-c.h"
#include "criu/sk_netlink.pb-c.h"
#include "criu/sk_packet.pb-c.h"
#include "criu/sk_unix.pb-c.h"
#include "criu/tcp_stream.pb-c.h"
#include "criu/tun.pb-c.h"
#include "criu/userns.pb-c.h"
#include "imgdb/map.h"

/* clang-format off */

/* What nsimg_sk adds to every family; fields that do not concern a family have no column there. */
#define NSIMG_SK_AT(p)                                                                             \
	{p "opt", "options", MAP_OPTIONS},                                                         \
	{p "member", "memberships", MAP_MEMBERS},                                                  \
	{p "scope_id", "src_scope", MAP_SAME},                                                     \
	{p "dst_scope_id", "dst_scope", MAP_SAME},                                                 \
	{p "rights_in_flight", "rights", MAP_SAME},                                                \
	{p "bound_path", NULL, MAP_NAME},                                                          \
	{p "tcp_info", NULL, MAP_BLOB},                                                            \
	{p "icmp_filter", NULL, MAP_BLOB},                                                         \
	{p "uid", "socket.uid", MAP_SAME}

/* What the records of all families have. */
#define SOCKET_FIELDS                                                                              \
	{"id", "file_id", MAP_SAME},                                                               \
	{"fown", NULL, MAP_JSON_ZERO},                                                             \
	{"opts", NULL, MAP_FLAT},                                                                  \
	{"opts.so_filter", NULL, MAP_BLOB},                                                        \
	{"nsimg", NULL, MAP_FLAT_SOME},                                                            \
	NSIMG_SK_AT("nsimg.")

static const struct map_field inet_fields[] = {
	SOCKET_FIELDS,
	{"proto", "protocol", MAP_SAME},
	{"src_addr", "src", MAP_ADDRESS},
	{"dst_addr", "dst", MAP_ADDRESS},
	{"backlog", "inet_socket.backlog", MAP_SAME},
	{"ip_opts", NULL, MAP_FLAT},
	{"ip_opts.raw", NULL, MAP_FLAT},
	{"ip_opts.raw.icmpv_filter", NULL, MAP_JSON},
	{"tcp_opts", NULL, MAP_FLAT},
	{0},
};

static const struct map_field unix_fields[] = {
	SOCKET_FIELDS,
	{"name", NULL, MAP_UNIX_NAME},
	{"nsimg.closed_peer", "peer_addr", MAP_BLOB},
	{"backlog", "unix_socket.backlog", MAP_SAME},
	{"file_perms", NULL, MAP_FLAT},
	{"file_perms.uid", "unix_socket.uid", MAP_SAME},
	{0},
};
static const struct map_const unix_consts[] = {{"family", AF_UNIX}, {"protocol", 0}, {0}};

static const struct map_field packet_fields[] = {
	SOCKET_FIELDS,
	{"mclist", NULL, MAP_JSON},
	{"rx_ring", NULL, MAP_JSON},
	{"tx_ring", NULL, MAP_JSON},
	{0},
};
static const struct map_const packet_consts[] = {{"family", AF_PACKET}, {0}};

static const struct map_field netlink_fields[] = {
	SOCKET_FIELDS,
	{"groups", NULL, MAP_JSON},
	{"nsimg.sk_type", "type", MAP_SAME},
	{0},
};
static const struct map_const netlink_consts[] = {{"family", AF_NETLINK}, {"type", SOCK_RAW}, {0}};

static const struct map_field other_fields[] = {
	{"id", "file_id", MAP_SAME},
	{"local_addr", NULL, MAP_BLOB},
	{"peer_addr", NULL, MAP_BLOB},
	{"backlog", "other_backlog", MAP_SAME},
	{"nsimg", NULL, MAP_FLAT_SOME},
	NSIMG_SK_AT("nsimg."),
	{0},
};

static const struct map_field tun_fields[] = {
	{"id", "file_id", MAP_SAME},
	{"nsimg_flags", "flags", MAP_SAME},
	{0},
};

static const struct map_field ns_file_fields[] = {
	{"id", "file_id", MAP_SAME},
	{"ns_cflag", "cflag", MAP_SAME},
	{"nsimg_ino", "ino", MAP_SAME},
	{0},
};

static const struct map_field fd_fields[] = {
	{"id", "file_id", MAP_SAME},
	{"xattr_security_selinux", NULL, MAP_KEPT}, /* a label of the file, not of the network */
	{0},
};

/* tun, macvlan and sit are the attributes of a device of that kind; a device has one of them. */
static const struct map_field device_fields[] = {
	{"type", "nd_type", MAP_SAME},
	{"tun", "attrs", MAP_JSON},
	{"macvlan", "attrs", MAP_JSON},
	{"sit", "attrs", MAP_JSON},
	{"address", NULL, MAP_LLADDR},
	{"peer_ifindex", "link", MAP_SAME},
	{"peer_nsid", NULL, MAP_CODE},
	{"conf", NULL, MAP_CODE},
	{"conf4", NULL, MAP_CODE},
	{"conf6", NULL, MAP_CODE},
	{"nsimg_link", NULL, MAP_CODE},
	{0},
};

static const struct map_field netns_fields[] = {
	{"def_conf", NULL, MAP_CODE},
	{"all_conf", NULL, MAP_CODE},
	{"def_conf4", NULL, MAP_CODE},
	{"all_conf4", NULL, MAP_CODE},
	{"def_conf6", NULL, MAP_CODE},
	{"all_conf6", NULL, MAP_CODE},
	{"unix_conf", NULL, MAP_CODE},
	{"ipv4_sysctl", NULL, MAP_CODE},
	{"nsids", NULL, MAP_CODE},
	{"nsimg", NULL, MAP_FLAT},
	{"nsimg.user_ns_id", "owner", MAP_SAME},
	{"nsimg.name", "pins", MAP_JSON},
	{0},
};

static const struct map_field userns_fields[] = {
	{"uid_map", NULL, MAP_EXTENTS},
	{"gid_map", NULL, MAP_EXTENTS},
	{"nsimg", NULL, MAP_FLAT},
	{"nsimg.parent_id", "parent", MAP_SAME},
	{0},
};

static const struct map_field task_fields[] = {
	{"threads", NULL, MAP_CODE},
	{"nsimg_threads", NULL, MAP_CODE},
	{0},
};

/* Of a core image only this much is network identity; the rest stays in the record. */
static const struct map_field core_fields[] = {
	{"mtype", NULL, MAP_KEPT},
	{"tc", NULL, MAP_FLAT_SOME},
	{"tc.task_state", "state", MAP_SAME},
	{"tc.flags", NULL, MAP_KEPT},
	{"tc.rlimits", NULL, MAP_KEPT},
	{"ids", NULL, MAP_FLAT_SOME},
	{"ids.net_ns_id", "ns_id", MAP_SAME},
	{"ids.user_ns_id", "userns", MAP_SAME},
	{"ids.pid_ns_id", "pidns", MAP_SAME},
	{"ids.mnt_ns_id", "mntns", MAP_SAME},
	{"thread_core", NULL, MAP_KEPT},
	{0},
};

static const struct map_field ids_fields[] = {
	{"vm_id", NULL, MAP_KEPT},
	{"fs_id", NULL, MAP_KEPT},
	{"sighand_id", NULL, MAP_KEPT},
	{"net_ns_id", "ns_id", MAP_SAME},
	{"user_ns_id", "userns", MAP_SAME},
	{"pid_ns_id", "pidns", MAP_SAME},
	{"mnt_ns_id", "mntns", MAP_SAME},
	{"ipc_ns_id", NULL, MAP_KEPT},
	{"uts_ns_id", NULL, MAP_KEPT},
	{"cgroup_ns_id", NULL, MAP_KEPT},
	{"time_ns_id", NULL, MAP_KEPT},
	{0},
};

static const struct map_field queue_fields[] = {
	{"id_for", "file_id", MAP_SAME},
	{"scm", NULL, MAP_CODE},
	{0},
};

static const struct map_field sysctl_fields_[] = {
	{"name", NULL, MAP_SAME},
	{"value", NULL, MAP_NAME},
	{0},
};

static const struct map_field no_fields[] = {{0}};

const struct map_table map_tables[MAP_COUNT] = {
	[MAP_INET]    = {&inet_sk_entry__descriptor, "socket", "inet_socket", inet_fields, NULL},
	[MAP_UNIX]    = {&unix_sk_entry__descriptor, "socket", "unix_socket", unix_fields, unix_consts},
	[MAP_PACKET]  = {&packet_sock_entry__descriptor, "socket", "packet_socket", packet_fields, packet_consts},
	[MAP_NETLINK] = {&netlink_sk_entry__descriptor, "socket", "netlink_socket", netlink_fields, netlink_consts},
	[MAP_OTHER]   = {&nsimg_sk_entry__descriptor, "socket", NULL, other_fields, NULL},
	[MAP_TUN]     = {&tunfile_entry__descriptor, "tun_file", NULL, tun_fields, NULL},
	[MAP_NS_FILE] = {&ns_file_entry__descriptor, "ns_file", NULL, ns_file_fields, NULL},
	[MAP_FD]      = {&fdinfo_entry__descriptor, "fd", NULL, fd_fields, NULL},
	[MAP_DEVICE]  = {&net_device_entry__descriptor, "device", NULL, device_fields, NULL},
	[MAP_NETNS]   = {&netns_entry__descriptor, "netns", NULL, netns_fields, NULL},
	[MAP_USERNS]  = {&userns_entry__descriptor, "userns", NULL, userns_fields, NULL},
	[MAP_TASK]    = {&pstree_entry__descriptor, "task", NULL, task_fields, NULL},
	[MAP_CORE]    = {&core_entry__descriptor, "task", NULL, core_fields, NULL},
	[MAP_IDS]     = {&task_kobj_ids_entry__descriptor, "task", NULL, ids_fields, NULL},
	[MAP_TCP]     = {&tcp_stream_entry__descriptor, "tcp_stream", NULL, no_fields, NULL},
	[MAP_QUEUE]   = {&sk_packet_entry__descriptor, "socket_queue", NULL, queue_fields, NULL},
	[MAP_SYSCTL]  = {&nsimg_sysctl_entry__descriptor, "sysctl", NULL, sysctl_fields_, NULL},
};

const struct map_part map_file_parts[] = {
	{4, "isk", MAP_INET},
	{5, "nsf", MAP_NS_FILE},
	{6, "psk", MAP_PACKET},
	{7, "nlsk", MAP_NETLINK},
	{11, "tunf", MAP_TUN},
	{16, "usk", MAP_UNIX},
	{0},
};
