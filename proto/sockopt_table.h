/* sockopt_table.h: every socket option that nsimg knows, once.
 *
 * Owns:  one const table of options; reading and setting one through a descriptor; its text; its place
 *        in a socket record. Dump, restore, edit and diff of options are loops over the table.
 * Never: reads what reading changes: SO_ERROR, PACKET_STATISTICS, TCP_SAVED_SYN, TCP_ZEROCOPY_RECEIVE
 *        and IP_PKTOPTIONS have no row. Memberships, rings and queues are no options here.
 * Order: rows stand in the order in which they are set: per phase, from the first row to the last
 *        (SO_RCVLOWAT before SO_RCVBUF before SO_BUF_LOCK; IP_TOS before SO_PRIORITY, which it changes).
 * Value: the bytes that getsockopt(2) gave, in a struct buf; sockopt_write turns them into what
 *        setsockopt(2) wants.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct ProtobufCMessageDescriptor;
struct ProtobufCMessage;

/* What a socket is, as far as options go: one bit, of sockopt_kind. */
enum sockopt_kinds {
	SOCKOPT_TCP4 = 1 << 0,
	SOCKOPT_TCP6 = 1 << 1,
	SOCKOPT_UDP4 = 1 << 2,
	SOCKOPT_UDP6 = 1 << 3,
	SOCKOPT_UDPLITE4 = 1 << 4,
	SOCKOPT_UDPLITE6 = 1 << 5,
	SOCKOPT_RAW4 = 1 << 6,
	SOCKOPT_RAW6 = 1 << 7,
	SOCKOPT_PING4 = 1 << 8, /* SOCK_DGRAM with IPPROTO_ICMP, icmp(7) */
	SOCKOPT_PING6 = 1 << 9,
	SOCKOPT_MPTCP4 = 1 << 10,
	SOCKOPT_MPTCP6 = 1 << 11,
	SOCKOPT_SCTP4 = 1 << 12,
	SOCKOPT_SCTP6 = 1 << 13,
	SOCKOPT_UNIX = 1 << 14,
	SOCKOPT_NETLINK = 1 << 15,
	SOCKOPT_PACKET = 1 << 16,
	SOCKOPT_VSOCK = 1 << 17,
	SOCKOPT_OTHER = 1 << 18,

	SOCKOPT_TCP = SOCKOPT_TCP4 | SOCKOPT_TCP6,
	SOCKOPT_UDP = SOCKOPT_UDP4 | SOCKOPT_UDP6,
	SOCKOPT_UDPLITE = SOCKOPT_UDPLITE4 | SOCKOPT_UDPLITE6,
	SOCKOPT_RAW = SOCKOPT_RAW4 | SOCKOPT_RAW6,
	SOCKOPT_PING = SOCKOPT_PING4 | SOCKOPT_PING6,
	SOCKOPT_MPTCP = SOCKOPT_MPTCP4 | SOCKOPT_MPTCP6,
	SOCKOPT_SCTP = SOCKOPT_SCTP4 | SOCKOPT_SCTP6,
	SOCKOPT_V4 = SOCKOPT_TCP4 | SOCKOPT_UDP4 | SOCKOPT_UDPLITE4 | SOCKOPT_RAW4 | SOCKOPT_PING4 |
		     SOCKOPT_MPTCP4 | SOCKOPT_SCTP4,
	SOCKOPT_V6 = SOCKOPT_TCP6 | SOCKOPT_UDP6 | SOCKOPT_UDPLITE6 | SOCKOPT_RAW6 | SOCKOPT_PING6 |
		     SOCKOPT_MPTCP6 | SOCKOPT_SCTP6,
	SOCKOPT_INET = SOCKOPT_V4 | SOCKOPT_V6,
	SOCKOPT_ANY = (1 << 19) - 1,
};

enum sockopt_type {
	SOCKOPT_BOOL,     /* int that is 0 or 1 */
	SOCKOPT_INT,      /* int */
	SOCKOPT_U32,      /* int, meant unsigned (marks, flags, port ranges) */
	SOCKOPT_INDEX_BE, /* int with an interface index in network byte order (IP_UNICAST_IF) */
	SOCKOPT_U64,
	SOCKOPT_TIMEVAL, /* struct timeval */
	SOCKOPT_LINGER,  /* struct linger */
	SOCKOPT_STRING,  /* text; a final zero byte does not count */
	SOCKOPT_ADDR4,   /* struct in_addr */
	SOCKOPT_WORDS,   /* struct of 32-bit words in the order of the machine */
	SOCKOPT_BYTES,
	SOCKOPT_FILTER, /* struct sock_filter, as many as there are (SO_ATTACH_FILTER) */
	SOCKOPT_TYPE_COUNT
};

/* When to set it. */
enum sockopt_phase {
	SOCKOPT_AT_CREATE,  /* before bind(2): most */
	SOCKOPT_AFTER_BIND, /* needs the address or device */
	SOCKOPT_AT_CONNECT, /* part of connect(2) */
	SOCKOPT_AT_END,     /* after listen(2) or connect(2): would disturb them */
	SOCKOPT_PHASE_COUNT
};

enum sockopt_flags {
	SOCKOPT_READONLY = 1,  /* tells about the socket; setsockopt does not take it */
	SOCKOPT_WRITEONLY = 2, /* getsockopt does not give it (sock_diag may) */
	SOCKOPT_MANY = 4,      /* may be set several times, each adds one (keys) */
	SOCKOPT_VOLATILE = 8,  /* the kernel changes it by itself: no difference for diff */
	SOCKOPT_STATE = 16,    /* a setting only while unconnected; on a connection it is state */
	SOCKOPT_SECRET = 32,   /* keys: --no-secrets leaves it out */
	SOCKOPT_HALVED = 64,   /* setsockopt doubles the value (socket(7), SO_SNDBUF) */
	SOCKOPT_CRIU_NONZERO = 128, /* CRIU writes its field only when the value is not 0 */
	SOCKOPT_DEVICE = 256,       /* the value is an interface index */
	SOCKOPT_NO_DEVICE =
		512, /* the index of a device that is gone, and nothing else: kept only then */
	SOCKOPT_ZERO_IS_SET =
		1024, /* getsockopt tells 0 of one that is not set and of one set to 0 */
};

struct sockopt {
	const char *name; /* as in the C headers, "IP_MTU_DISCOVER" */
	int level, opt;   /* of getsockopt(2) */
	enum sockopt_type type;
	uint32_t kinds; /* enum sockopt_kinds that have it */
	enum sockopt_phase phase;
	unsigned flags;
	int cap;          /* capability to set it, in the user namespace of the netns; 0: none
			   * (CAP_CHOWN is nobody's here) */
	int force;        /* option that sets the value beyond limits (SO_SNDBUFFORCE); 0: none */
	uint16_t size;    /* SOCKOPT_STRING, _WORDS, _BYTES: most bytes */
	const char *criu; /* path of CRIU's field in the socket's record, NULL: none. For
			   * SOCKOPT_TIMEVAL "_sec" and "_usec" follow. */
	uint32_t criu_kinds; /* sockets for which CRIU uses the field; 0: all in kinds */
	/* SOCKOPT_INT: the kernel refuses what is outside, or makes another value of it; both 0: no limits are known */
	int32_t min, max;
};

/* Rows from 0 to sockopt_count() - 1, lent, static. */
const struct sockopt *sockopt_get(size_t i);
size_t sockopt_count(void);

/* By the kernel's numbers, and by name. NULL: no row. */
const struct sockopt *sockopt_find(int level, int opt);
const struct sockopt *sockopt_find_name(const char *name);

/* One bit of enum sockopt_kinds. protocol as SO_PROTOCOL gives it (0 for unix). */
uint32_t sockopt_kind(int family, int type, int protocol);
bool sockopt_applies(const struct sockopt *row, int family, int type, int protocol);

/* Has CRIU a field for it in the record of such a socket? */
bool sockopt_in_criu(const struct sockopt *row, uint32_t kind);

/* "SOL_TCP", "IPPROTO_RAW", ... or NULL. */
const char *sockopt_level_name(int level);

/* Into an emptied v. 1; 0: this socket, in its state, or this kernel, does not have the option (or, for
 * SOCKOPT_FILTER, no filter is attached); -1. A filter that is eBPF is ERR_UNSUPPORTED: the kernel gives
 * no text for it (net/core/filter.c, sk_get_filter). */
int sockopt_read(int fd, const struct sockopt *row, struct buf *v, struct err *e);

/* Set it from a value as read. Falls back from row->force to the plain option when that is not
 * permitted, which the kernel then clamps. -1: ERR_FORMAT (value of another size), ERR_UNSUPPORTED
 * (read-only; or the kernel does not know it), ERR_PERM (the message names the capability), ERR_KERNEL. */
int sockopt_write(int fd, const struct sockopt *row, struct span v, struct err *e);

/* Append the value as JSON: a number (booleans 0 and 1; timeval in seconds with six decimals; linger in
 * seconds, -1 is off), a string (text, address, 64-bit number in decimal, hex of bytes), or an array of
 * numbers (words; a filter is [[code,jt,jf,k],...]). A value without such a text (of a wrong size, a boolean
 * of 5) becomes "hex:...". Values of the right size come back from sockopt_parse as they were. */
int sockopt_format(const struct sockopt *row, struct span v, struct buf *out, struct err *e);

/* Back: JSON as sockopt_format wrote it; quotes of a string may be missing. Into an emptied v.
 * -1 (ERR_USAGE: the option, the text and what is allowed). */
int sockopt_parse(const struct sockopt *row, const char *text, struct buf *v, struct err *e);

/* -- records: inet_sk_entry, unix_sk_entry, netlink_sk_entry, packet_sock_entry, nsimg_sk_entry -- */

/* Put a value into CRIU's field of an unpacked message (proto2, protobuf-c), where the messages on the
 * path exist; where one does not, nothing happens. A string or repeated field gets memory from malloc,
 * which protobuf_c_message_free_unpacked (or the caller) frees. */
int sockopt_record_put(const struct sockopt *row, struct ProtobufCMessage *msg, struct span v,
		       struct err *e);

/* The value in a packed record: from CRIU's field where CRIU has one for this kind, otherwise the nth
 * nsimg.opt of this level and number (from 0; only SOCKOPT_MANY has more than one). 1, 0: absent, -1. */
int sockopt_record_get(const struct sockopt *row, uint32_t kind,
		       const struct ProtobufCMessageDescriptor *desc, struct span msg, unsigned nth,
		       struct buf *v, struct err *e);
