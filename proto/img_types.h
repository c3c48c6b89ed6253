/* img_types.h: the kinds of image files: CRIU's and our own.
 *
 * Owns:  one const table with all there is to know about a kind before its bytes are read.
 * Never: opens a file. A name comes in as text, with or without folders before it.
 * Facts: CRIU 4.2, image format v1.1. Our own five kinds are framed the same way; CRIU and crit do
 *        not open files of their names.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ProtobufCMessageDescriptor;

enum img_kind {
	IMG_INVENTORY,
	IMG_FDINFO,
	IMG_PAGEMAP,
	IMG_SHMEM_PAGEMAP,
	IMG_REG_FILES,
	IMG_EXT_FILES,
	IMG_NS_FILES,
	IMG_EVENTFD_FILE,
	IMG_EVENTPOLL_FILE,
	IMG_EVENTPOLL_TFD,
	IMG_SIGNALFD,
	IMG_INOTIFY_FILE,
	IMG_INOTIFY_WD,
	IMG_FANOTIFY_FILE,
	IMG_FANOTIFY_MARK,
	IMG_CORE,
	IMG_IDS,
	IMG_MM,
	IMG_VMAS,
	IMG_PIPES,
	IMG_PIPES_DATA,
	IMG_FIFO,
	IMG_FIFO_DATA,
	IMG_PSTREE,
	IMG_SIGACT,
	IMG_UNIXSK,
	IMG_INETSK,
	IMG_PACKETSK,
	IMG_NETLINK_SK,
	IMG_SK_QUEUES,
	IMG_ITIMERS,
	IMG_POSIX_TIMERS,
	IMG_CREDS,
	IMG_UTSNS,
	IMG_IPC_VAR,
	IMG_IPCNS_SHM,
	IMG_IPCNS_MSG,
	IMG_IPCNS_SEM,
	IMG_FS,
	IMG_REMAP_FPATH,
	IMG_GHOST_FILE,
	IMG_MEMFD_INODE,
	IMG_TCP_STREAM,
	IMG_MNTS,
	IMG_NETDEV,
	IMG_NETNS,
	IMG_IFADDR,
	IMG_ROUTE,
	IMG_ROUTE6,
	IMG_RULE,
	IMG_IPTABLES,
	IMG_IP6TABLES,
	IMG_NFTABLES,
	IMG_TMPFS_IMG,
	IMG_TMPFS_DEV,
	IMG_AUTOFS,
	IMG_BINFMT_MISC,
	IMG_TTY_FILES,
	IMG_TTY_INFO,
	IMG_TTY_DATA,
	IMG_FILE_LOCKS,
	IMG_RLIMIT,
	IMG_PAGES,
	IMG_SIGNAL,
	IMG_PSIGNAL,
	IMG_TUNFILE,
	IMG_CGROUP,
	IMG_TIMERFD,
	IMG_CPUINFO,
	IMG_SECCOMP,
	IMG_USERNS,
	IMG_NETNF_CT,
	IMG_NETNF_EXP,
	IMG_FILES,
	IMG_TIMENS,
	IMG_PIDNS,
	IMG_BPFMAP_FILE,
	IMG_BPFMAP_DATA,
	IMG_APPARMOR,
	IMG_PIDFD,
	IMG_STATS_DUMP,
	IMG_STATS_RESTORE,
	IMG_IRMAP_CACHE,
	IMG_NSIMG,
	IMG_NSIMG_SK,
	IMG_NSIMG_RTNL,
	IMG_NSIMG_SYSCTL,
	IMG_NSIMG_FILES,
	IMG_KIND_COUNT
};

/* The words before the first record, each 32 bits little-endian. */
enum img_head {
	IMG_HEAD_COMMON,  /* 0x54564319, then the magic of the kind (v1.0: only the latter) */
	IMG_HEAD_SERVICE, /* 0x55105940, then the magic of the kind */
	IMG_HEAD_OWN,     /* only the magic of the kind */
	IMG_HEAD_RAW,     /* only a magic of the tool that wrote the file; an empty file has none */
	IMG_HEAD_NONE,
};

enum img_shape {
	IMG_SHAPE_ENTRIES, /* [u32 length, protobuf message, extra payload]* */
	IMG_SHAPE_NETLINK, /* netlink messages, each aligned to 4 */
	IMG_SHAPE_WHOLE,   /* text or bytes of another tool: one record is the whole file */
};

/* What follows the message of an entry, and how its length is known. */
enum img_extra {
	IMG_EXTRA_NONE,
	IMG_EXTRA_BYTES, /* as many bytes as the fields extra_fields[0] and [1] (if not 0) add up to */
	IMG_EXTRA_SHM, /* field [0] bytes rounded up to 4; none when field 3 (in_pagemaps) is true */
	IMG_EXTRA_SEMS, /* field [0] 16-bit values, rounded up to 8 bytes */
	IMG_EXTRA_MSGS, /* field [0] times: u32 length, ipc_msg, its field 2 bytes rounded up to 8 */
	IMG_EXTRA_REST, /* the rest of the file belongs to the first entry (content of a ghost file) */
};

enum img_flags {
	IMG_NETWORK = 1,  /* network state: content goes into the database */
	IMG_IDENTITY = 2, /* tasks, descriptors, namespaces: content goes into the database too */
	IMG_OURS = 4,     /* a kind of nsimg, unknown to CRIU */
	IMG_NEVER_EMPTY = 8, /* has a record always: one with none was cut off */
	IMG_STORED = IMG_NETWORK | IMG_IDENTITY, /* without these two: only referred to, by hash */
};

struct img_type {
	const char *name;    /* the enum's name without IMG_ */
	const char *pattern; /* file name; at most one of %u, %lu (decimal) and %x (hex) in it */
	uint32_t magic;      /* 0: IMG_HEAD_NONE */
	enum img_head head;
	enum img_shape shape;
	enum img_extra extra;
	uint8_t extra_fields[2];
	unsigned flags; /* enum img_flags */
	const struct ProtobufCMessageDescriptor
		*entry; /* of an entry; NULL: no message of it here */
};

/* One row per kind, lent, static. kind < IMG_KIND_COUNT. */
const struct img_type *img_type_get(enum img_kind kind);
enum img_kind img_type_kind(const struct img_type *type);

/* The kind that a file of this name has (folders before the name are ignored) and the number in the
 * name (0 when the pattern has none; number may be NULL). NULL: not a name of an image. */
const struct img_type *img_type_of_name(const char *path, uint64_t *number);

/* The first kind with this magic (ROUTE for ROUTE6, PAGEMAP for SHMEM_PAGEMAP, ... share one), or NULL. */
const struct img_type *img_type_of_magic(uint32_t magic);

/* Write the file name of a kind; number is ignored when the pattern has none. False: name does not fit. */
bool img_type_name(const struct img_type *type, uint64_t number, char *name, size_t size);
