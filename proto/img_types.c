#include "proto/img_types.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "criu/core.pb-c.h"
#include "criu/creds.pb-c.h"
#include "criu/fdinfo.pb-c.h"
#include "criu/inventory.pb-c.h"
#include "criu/netdev.pb-c.h"
#include "criu/ns.pb-c.h"
#include "criu/nsimg.pb-c.h"
#include "criu/packet_sock.pb-c.h"
#include "criu/pstree.pb-c.h"
#include "criu/regfile.pb-c.h"
#include "criu/sk_inet.pb-c.h"
#include "criu/sk_netlink.pb-c.h"
#include "criu/sk_packet.pb-c.h"
#include "criu/sk_unix.pb-c.h"
#include "criu/tcp_stream.pb-c.h"
#include "criu/tun.pb-c.h"
#include "criu/userns.pb-c.h"

#define DESC(message) &message##__descriptor
#define NO_DESC       NULL
#define NET           IMG_NETWORK
#define IDENT         IMG_IDENTITY
#define OTHER         0
#define SOME          IMG_NEVER_EMPTY

#define ROW(k, pat, mag, fl, desc, hd, shp, ext, f0, f1)                                           \
	[IMG_##k] = {.name = #k,                                                                   \
		     .pattern = pat,                                                               \
		     .magic = mag,                                                                 \
		     .head = IMG_HEAD_##hd,                                                        \
		     .shape = IMG_SHAPE_##shp,                                                     \
		     .extra = IMG_EXTRA_##ext,                                                     \
		     .extra_fields = {f0, f1},                                                     \
		     .flags = fl,                                                                  \
		     .entry = desc}
#define ENTRIES(k, pat, mag, fl, desc) ROW(k, pat, mag, fl, desc, COMMON, ENTRIES, NONE, 0, 0)
#define EXTRA(k, pat, mag, fl, desc, ext, f0, f1)                                                  \
	ROW(k, pat, mag, fl, desc, COMMON, ENTRIES, ext, f0, f1)
#define HEADED(k, pat, mag, fl, desc, hd) ROW(k, pat, mag, fl, desc, hd, ENTRIES, NONE, 0, 0)
#define NETLINK(k, pat, mag, hd)          ROW(k, pat, mag, NET, NO_DESC, hd, NETLINK, NONE, 0, 0)
#define WHOLE(k, pat, fl)                 ROW(k, pat, 0, fl, NO_DESC, NONE, WHOLE, NONE, 0, 0)

/* clang-format off */
static const struct img_type types[] = {
	HEADED(INVENTORY, "inventory.img", 0x58313116, IDENT | SOME, DESC(inventory_entry), OWN),
	ENTRIES(FDINFO, "fdinfo-%u.img", 0x56213732, IDENT, DESC(fdinfo_entry)),
	ENTRIES(PAGEMAP, "pagemap-%lu.img", 0x56084025, OTHER, NO_DESC),
	ENTRIES(SHMEM_PAGEMAP, "pagemap-shmem-%lu.img", 0x56084025, OTHER, NO_DESC),
	ENTRIES(REG_FILES, "reg-files.img", 0x50363636, IDENT, DESC(reg_file_entry)),
	ENTRIES(EXT_FILES, "ext-files.img", 0x59255641, OTHER, NO_DESC),
	ENTRIES(NS_FILES, "ns-files.img", 0x61394011, IDENT, DESC(ns_file_entry)),
	ENTRIES(EVENTFD_FILE, "eventfd.img", 0x44523722, OTHER, NO_DESC),
	ENTRIES(EVENTPOLL_FILE, "eventpoll.img", 0x45023858, OTHER, NO_DESC),
	ENTRIES(EVENTPOLL_TFD, "eventpoll-tfd.img", 0x44433746, OTHER, NO_DESC),
	ENTRIES(SIGNALFD, "signalfd.img", 0x57323820, OTHER, NO_DESC),
	ENTRIES(INOTIFY_FILE, "inotify.img", 0x48424431, OTHER, NO_DESC),
	ENTRIES(INOTIFY_WD, "inotify-wd.img", 0x54562009, OTHER, NO_DESC),
	ENTRIES(FANOTIFY_FILE, "fanotify.img", 0x55096122, OTHER, NO_DESC),
	ENTRIES(FANOTIFY_MARK, "fanotify-mark.img", 0x56506035, OTHER, NO_DESC),
	ENTRIES(CORE, "core-%u.img", 0x55053847, IDENT | SOME, DESC(core_entry)),
	ENTRIES(IDS, "ids-%u.img", 0x54432030, IDENT | SOME, DESC(task_kobj_ids_entry)),
	ENTRIES(MM, "mm-%u.img", 0x57492820, OTHER, NO_DESC),
	ENTRIES(VMAS, "vmas-%u.img", 0x54123737, OTHER, NO_DESC),
	ENTRIES(PIPES, "pipes.img", 0x56513555, OTHER, NO_DESC),
	EXTRA(PIPES_DATA, "pipes-data.img", 0x56453709, OTHER, NO_DESC, BYTES, 2, 0),
	ENTRIES(FIFO, "fifo.img", 0x58364939, OTHER, NO_DESC),
	EXTRA(FIFO_DATA, "fifo-data.img", 0x59333054, OTHER, NO_DESC, BYTES, 2, 0),
	ENTRIES(PSTREE, "pstree.img", 0x50273030, IDENT | SOME, DESC(pstree_entry)),
	ENTRIES(SIGACT, "sigacts-%u.img", 0x55344201, OTHER, NO_DESC),
	ENTRIES(UNIXSK, "unixsk.img", 0x54373943, NET, DESC(unix_sk_entry)),
	ENTRIES(INETSK, "inetsk.img", 0x56443851, NET, DESC(inet_sk_entry)),
	ENTRIES(PACKETSK, "packetsk.img", 0x60454618, NET, DESC(packet_sock_entry)),
	ENTRIES(NETLINK_SK, "netlinksk.img", 0x58005614, NET, DESC(netlink_sk_entry)),
	EXTRA(SK_QUEUES, "sk-queues.img", 0x56264026, NET, DESC(sk_packet_entry), BYTES, 2, 0),
	ENTRIES(ITIMERS, "itimers-%u.img", 0x57464056, OTHER, NO_DESC),
	ENTRIES(POSIX_TIMERS, "posix-timers-%u.img", 0x52603957, OTHER, NO_DESC),
	ENTRIES(CREDS, "creds-%u.img", 0x54023547, IDENT, DESC(creds_entry)),
	ENTRIES(UTSNS, "utsns-%u.img", 0x54473203, IDENT, NO_DESC),
	ENTRIES(IPC_VAR, "ipcns-var-%u.img", 0x53115007, OTHER, NO_DESC),
	EXTRA(IPCNS_SHM, "ipcns-shm-%u.img", 0x46283044, OTHER, NO_DESC, SHM, 2, 0),
	EXTRA(IPCNS_MSG, "ipcns-msg-%u.img", 0x55453737, OTHER, NO_DESC, MSGS, 3, 0),
	EXTRA(IPCNS_SEM, "ipcns-sem-%u.img", 0x59573019, OTHER, NO_DESC, SEMS, 2, 0),
	ENTRIES(FS, "fs-%u.img", 0x51403912, OTHER, NO_DESC),
	ENTRIES(REMAP_FPATH, "remap-fpath.img", 0x59133954, OTHER, NO_DESC),
	EXTRA(GHOST_FILE, "ghost-file-%x.img", 0x52583605, OTHER, NO_DESC, REST, 0, 0),
	ENTRIES(MEMFD_INODE, "memfd.img", 0x48453499, OTHER, NO_DESC),
	EXTRA(TCP_STREAM, "tcp-stream-%x.img", 0x51465506, NET, DESC(tcp_stream_entry), BYTES, 1, 3),
	ENTRIES(MNTS, "mountpoints-%u.img", 0x55563928, OTHER, NO_DESC),
	ENTRIES(NETDEV, "netdev-%u.img", 0x57373951, NET, DESC(net_device_entry)),
	ENTRIES(NETNS, "netns-%u.img", 0x55933752, NET | SOME, DESC(netns_entry)),
	NETLINK(IFADDR, "ifaddr-%u.img", 0x47361222, RAW),
	NETLINK(ROUTE, "route-%u.img", 0x45311224, RAW),
	NETLINK(ROUTE6, "route6-%u.img", 0x45311224, RAW),
	NETLINK(RULE, "rule-%u.img", 0x71706986, RAW),
	WHOLE(IPTABLES, "iptables-%u.img", NET),
	WHOLE(IP6TABLES, "ip6tables-%u.img", NET),
	WHOLE(NFTABLES, "nftables-%u.img", NET),
	WHOLE(TMPFS_IMG, "tmpfs-%u.tar.gz.img", OTHER),
	WHOLE(TMPFS_DEV, "tmpfs-dev-%u.tar.gz.img", OTHER),
	ENTRIES(AUTOFS, "autofs-%u.img", 0x49353943, OTHER, NO_DESC),
	ENTRIES(BINFMT_MISC, "binfmt-misc.img", 0x67343323, OTHER, NO_DESC),
	ENTRIES(TTY_FILES, "tty.img", 0x59433025, OTHER, NO_DESC),
	ENTRIES(TTY_INFO, "tty-info.img", 0x59453036, OTHER, NO_DESC),
	ENTRIES(TTY_DATA, "tty-data.img", 0x59413026, OTHER, NO_DESC),
	ENTRIES(FILE_LOCKS, "filelocks.img", 0x54323616, OTHER, NO_DESC),
	ENTRIES(RLIMIT, "rlimit-%u.img", 0x57113925, OTHER, NO_DESC),
	WHOLE(PAGES, "pages-%u.img", OTHER),
	ENTRIES(SIGNAL, "signal-s-%u.img", 0x59255647, OTHER, NO_DESC),
	ENTRIES(PSIGNAL, "signal-p-%u.img", 0x59255647, OTHER, NO_DESC),
	ENTRIES(TUNFILE, "tunfile.img", 0x57143751, NET, DESC(tunfile_entry)),
	ENTRIES(CGROUP, "cgroup.img", 0x59383330, OTHER, NO_DESC),
	ENTRIES(TIMERFD, "timerfd.img", 0x50493712, OTHER, NO_DESC),
	ENTRIES(CPUINFO, "cpuinfo.img", 0x61404013, OTHER, NO_DESC),
	ENTRIES(SECCOMP, "seccomp.img", 0x64413049, OTHER, NO_DESC),
	ENTRIES(USERNS, "userns-%u.img", 0x55474906, IDENT, DESC(userns_entry)),
	NETLINK(NETNF_CT, "netns-ct-%u.img", 0x00000000, NONE),
	NETLINK(NETNF_EXP, "netns-exp-%u.img", 0x00000000, NONE),
	ENTRIES(FILES, "files.img", 0x56303138, NET, DESC(file_entry)),
	ENTRIES(TIMENS, "timens-%u.img", 0x43114433, IDENT, NO_DESC),
	ENTRIES(PIDNS, "pidns-%u.img", 0x61157326, IDENT, NO_DESC),
	ENTRIES(BPFMAP_FILE, "bpfmap-file.img", 0x57506142, OTHER, NO_DESC),
	EXTRA(BPFMAP_DATA, "bpfmap-data.img", 0x64324033, OTHER, NO_DESC, BYTES, 2, 3),
	ENTRIES(APPARMOR, "apparmor.img", 0x59423047, OTHER, NO_DESC),
	ENTRIES(PIDFD, "pidfd.img", 0x54435556, OTHER, NO_DESC),
	HEADED(STATS_DUMP, "stats-dump", 0x57093306, IDENT, NO_DESC, SERVICE),
	HEADED(STATS_RESTORE, "stats-restore", 0x57093306, IDENT, NO_DESC, SERVICE),
	HEADED(IRMAP_CACHE, "irmap-cache", 0x57004059, OTHER, NO_DESC, SERVICE),
	ENTRIES(NSIMG, "nsimg.img", 0x4e534710, IDENT | IMG_OURS, DESC(nsimg_facts_entry)),
	ENTRIES(NSIMG_SK, "nsimg-sk.img", 0x4e534711, NET | IMG_OURS, DESC(nsimg_sk_entry)),
	ENTRIES(NSIMG_RTNL, "nsimg-rtnl-%u.img", 0x4e534712, NET | IMG_OURS, DESC(nsimg_nl_entry)),
	ENTRIES(NSIMG_SYSCTL, "nsimg-sysctl-%u.img", 0x4e534713, NET | IMG_OURS, DESC(nsimg_sysctl_entry)),
	ENTRIES(NSIMG_FILES, "nsimg-files.img", 0x4e534714, IDENT | IMG_OURS, DESC(nsimg_file_entry)),
};
/* clang-format on */
static_assert(ARRAY_SIZE(types) == IMG_KIND_COUNT, "one row per kind of image");

const struct img_type *img_type_get(enum img_kind kind)
{
	return &types[kind];
}

enum img_kind img_type_kind(const struct img_type *type)
{
	return (enum img_kind)(type - types);
}

/* The digits of a number in the form printf(3) gives it: nothing before or after, no leading zero,
 * lower case. Returns how many bytes it takes, 0 when there is none. */
static size_t number_read(const char *s, unsigned base, uint64_t *number)
{
	size_t n = 0;
	uint64_t v = 0;

	for (;; n++) {
		unsigned digit;

		if (s[n] >= '0' && s[n] <= '9')
			digit = (unsigned)(s[n] - '0');
		else if (base == 16 && s[n] >= 'a' && s[n] <= 'f')
			digit = (unsigned)(s[n] - 'a') + 10;
		else
			break;
		if (n > 0 && s[0] == '0')
			return 0;
		if (__builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, digit, &v))
			return 0;
	}
	*number = v;
	return n;
}

static bool pattern_matches(const char *pattern, const char *name, uint64_t *number)
{
	size_t before = strcspn(pattern, "%");
	const char *after;
	size_t digits;
	uint64_t v;

	if (strncmp(pattern, name, before) != 0)
		return false;
	*number = 0;
	if (pattern[before] == '\0')
		return name[before] == '\0';
	after = pattern + before + 1;
	after += strspn(after, "l");
	digits = number_read(name + before, *after == 'x' ? 16 : 10, &v);
	if (digits == 0 || strcmp(after + 1, name + before + digits) != 0)
		return false;
	*number = v;
	return true;
}

const struct img_type *img_type_of_name(const char *path, uint64_t *number)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	uint64_t v;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (!pattern_matches(types[i].pattern, name, &v))
			continue;
		if (number)
			*number = v;
		return &types[i];
	}
	return NULL;
}

const struct img_type *img_type_of_magic(uint32_t magic)
{
	for (size_t i = 0; magic != 0 && i < ARRAY_SIZE(types); i++)
		if (types[i].magic == magic)
			return &types[i];
	return NULL;
}

bool img_type_name(const struct img_type *type, uint64_t number, char *name, size_t size)
{
	size_t before = strcspn(type->pattern, "%");
	const char *after = type->pattern + before;
	int n;

	if (*after == '\0') {
		n = snprintf(name, size, "%s", type->pattern);
	} else {
		after += 1 + strspn(after + 1, "l");
		n = *after == 'x' ? snprintf(name, size, "%.*s%" PRIx64 "%s", (int)before,
					     type->pattern, number, after + 1)
				  : snprintf(name, size, "%.*s%" PRIu64 "%s", (int)before,
					     type->pattern, number, after + 1);
	}
	return n >= 0 && (size_t)n < size;
}
