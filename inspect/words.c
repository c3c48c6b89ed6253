#include "inspect/words.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"

struct word {
	int64_t value;
	const char *text;
};

#define LIST(...)                                                                                  \
	(const struct word[])                                                                      \
	{                                                                                          \
		__VA_ARGS__,                                                                       \
		{                                                                                  \
			0, NULL                                                                    \
		}                                                                                  \
	}

static const struct word *const lists[] = {
	[WORDS_NONE] = LIST({0, NULL}),
	[WORDS_FAMILY] =
		LIST({0, "unspec"}, {1, "unix"}, {2, "inet"}, {7, "bridge"}, {10, "inet6"},
		     {16, "netlink"}, {17, "packet"}, {28, "mpls"}, {29, "can"}, {30, "tipc"},
		     {31, "bluetooth"}, {38, "alg"}, {40, "vsock"}, {44, "xdp"}),
	[WORDS_SOCK_TYPE] = LIST({1, "stream"}, {2, "dgram"}, {3, "raw"}, {4, "rdm"},
				 {5, "seqpacket"}, {6, "dccp"}, {10, "packet"}),
	[WORDS_TCP_STATE] = LIST({0, "UNCONN"}, {1, "ESTAB"}, {2, "SYN-SENT"}, {3, "SYN-RECV"},
				 {4, "FIN-WAIT-1"}, {5, "FIN-WAIT-2"}, {6, "TIME-WAIT"},
				 {7, "UNCONN"}, {8, "CLOSE-WAIT"}, {9, "LAST-ACK"}, {10, "LISTEN"},
				 {11, "CLOSING"}, {12, "NEW-SYN-RECV"}),
	[WORDS_IPPROTO] =
		LIST({1, "icmp"}, {2, "igmp"}, {4, "ipip"}, {6, "tcp"}, {17, "udp"}, {33, "dccp"},
		     {41, "ipv6"}, {46, "rsvp"}, {47, "gre"}, {50, "esp"}, {51, "ah"},
		     {58, "ipv6-icmp"}, {89, "ospf"}, {103, "pim"}, {112, "vrrp"}, {132, "sctp"},
		     {136, "udplite"}, {255, "raw"}, {262, "mptcp"}),
	[WORDS_SCOPE] =
		LIST({0, "global"}, {200, "site"}, {253, "link"}, {254, "host"}, {255, "nowhere"}),
	[WORDS_ROUTE_TYPE] =
		LIST({0, "unspec"}, {1, "unicast"}, {2, "local"}, {3, "broadcast"}, {4, "anycast"},
		     {5, "multicast"}, {6, "blackhole"}, {7, "unreachable"}, {8, "prohibit"},
		     {9, "throw"}, {10, "nat"}, {11, "xresolve"}),
	[WORDS_TABLE] = LIST({0, "unspec"}, {253, "default"}, {254, "main"}, {255, "local"}),
	[WORDS_RTPROT] =
		LIST({0, "unspec"}, {1, "redirect"}, {2, "kernel"}, {3, "boot"}, {4, "static"},
		     {8, "gated"}, {9, "ra"}, {10, "mrt"}, {11, "zebra"}, {12, "bird"},
		     {13, "dnrouted"}, {14, "xorp"}, {15, "ntk"}, {16, "dhcp"}, {17, "mrouted"},
		     {18, "keepalived"}, {42, "babel"}, {84, "ovn"}, {99, "openr"}, {186, "bgp"},
		     {187, "isis"}, {188, "ospf"}, {189, "rip"}, {192, "eigrp"}),
	[WORDS_RULE_ACTION] = LIST({0, "unspec"}, {1, "lookup"}, {2, "goto"}, {3, "nop"},
				   {6, "blackhole"}, {7, "unreachable"}, {8, "prohibit"}),
	[WORDS_OPERSTATE] = LIST({0, "UNKNOWN"}, {1, "NOTPRESENT"}, {2, "DOWN"},
				 {3, "LOWERLAYERDOWN"}, {4, "TESTING"}, {5, "DORMANT"}, {6, "UP"}),
	[WORDS_FD_TYPE] =
		LIST({0, "unknown"}, {1, "file"}, {2, "pipe"}, {3, "fifo"}, {4, "inet"},
		     {5, "unix"}, {6, "eventfd"}, {7, "eventpoll"}, {8, "inotify"}, {9, "signalfd"},
		     {10, "packet"}, {11, "tty"}, {12, "fanotify"}, {13, "netlink"}, {14, "ns"},
		     {15, "tun"}, {16, "ext"}, {17, "timerfd"}, {18, "autofs"}, {19, "memfd"},
		     {20, "bpfmap"}, {21, "pidfd"}),
	[WORDS_TASK_STATE] = LIST({1, "alive"}, {2, "dead"}, {3, "stopped"}, {6, "zombie"}),
	[WORDS_NETLINK] =
		LIST({0, "rtnl"}, {2, "usersock"}, {3, "firewall"}, {4, "sock_diag"}, {5, "nflog"},
		     {6, "xfrm"}, {7, "selinux"}, {8, "iscsi"}, {9, "audit"}, {10, "fiblookup"},
		     {11, "connector"}, {12, "nft"}, {13, "ip6_fw"}, {14, "dec-rt"}, {15, "uevent"},
		     {16, "genl"}, {18, "scsi-trans"}, {19, "ecryptfs"}, {20, "rdma"},
		     {21, "crypto"}, {22, "smc"}),
	[WORDS_ETHERTYPE] = LIST({0, "none"}, {0x0003, "all"}, {0x0800, "ip"}, {0x0806, "arp"},
				 {0x8035, "rarp"}, {0x8100, "802.1q"}, {0x86dd, "ipv6"},
				 {0x8847, "mpls"}, {0x8863, "pppoe-disc"}, {0x8864, "pppoe"},
				 {0x888e, "eapol"}, {0x88cc, "lldp"}),
	[WORDS_CT_TCP] = LIST({0, "NONE"}, {1, "SYN_SENT"}, {2, "SYN_RECV"}, {3, "ESTABLISHED"},
			      {4, "FIN_WAIT"}, {5, "CLOSE_WAIT"}, {6, "LAST_ACK"}, {7, "TIME_WAIT"},
			      {8, "CLOSE"}, {9, "SYN_SENT2"}),
	[WORDS_SHUTDOWN] = LIST({0, "-"}, {1, "read"}, {2, "write"}, {3, "both"}),
	[WORDS_LIFETIME] = LIST({0xffffffff, "forever"}),
	[WORDS_IFF] = LIST({0x8, "LOOPBACK"}, {0x2, "BROADCAST"}, {0x10, "POINTOPOINT"},
			   {0x1000, "MULTICAST"}, {0x80, "NOARP"}, {0x200, "ALLMULTI"},
			   {0x100, "PROMISC"}, {0x400, "MASTER"}, {0x800, "SLAVE"}, {0x4, "DEBUG"},
			   {0x8000, "DYNAMIC"}, {0x4000, "AUTOMEDIA"}, {0x2000, "PORTSEL"},
			   {0x20, "NOTRAILERS"}, {0x1, "UP"}, {0x10000, "LOWER_UP"},
			   {0x20000, "DORMANT"}, {0x40000, "ECHO"}, {0x40, "RUNNING"}),
	[WORDS_IFA] =
		LIST({0x80, "permanent"}, {0x01, "secondary"}, {0x02, "nodad"},
		     {0x04, "optimistic"}, {0x08, "dadfailed"}, {0x10, "home"},
		     {0x20, "deprecated"}, {0x40, "tentative"}, {0x100, "mngtmpaddr"},
		     {0x200, "noprefixroute"}, {0x400, "autojoin"}, {0x800, "stable-privacy"}),
	[WORDS_NUD] =
		LIST({0x01, "INCOMPLETE"}, {0x02, "REACHABLE"}, {0x04, "STALE"}, {0x08, "DELAY"},
		     {0x10, "PROBE"}, {0x20, "FAILED"}, {0x40, "NOARP"}, {0x80, "PERMANENT"}),
	[WORDS_NTF] =
		LIST({0x01, "use"}, {0x02, "self"}, {0x04, "master"}, {0x08, "proxy"},
		     {0x10, "extern_learn"}, {0x20, "offload"}, {0x40, "sticky"}, {0x80, "router"}),
	[WORDS_RTNH] =
		LIST({0x1, "dead"}, {0x2, "pervasive"}, {0x4, "onlink"}, {0x8, "offload"},
		     {0x10, "linkdown"}, {0x20, "unresolved"}, {0x40, "trap"}, {0x200, "cloned"}),
	[WORDS_CT_STATUS] =
		LIST({0x1, "EXPECTED"}, {0x2, "SEEN_REPLY"}, {0x4, "ASSURED"}, {0x8, "CONFIRMED"},
		     {0x10, "SRC_NAT"}, {0x20, "DST_NAT"}, {0x40, "SEQ_ADJUST"},
		     {0x80, "SRC_NAT_DONE"}, {0x100, "DST_NAT_DONE"}, {0x200, "DYING"},
		     {0x400, "FIXED_TIMEOUT"}, {0x800, "TEMPLATE"}, {0x1000, "UNTRACKED"},
		     {0x2000, "HELPER"}, {0x4000, "OFFLOAD"}),
	[WORDS_FD_FLAGS] = LIST({1, "cloexec"}),
};
static_assert(sizeof(lists) / sizeof(*lists) == WORDS_COUNT, "a list for each enum words");

static int case_sql(struct buf *out, const struct word *w, const char *expr, struct err *e)
{
	if (buf_printf(out, e, "CASE %s", expr))
		return -1;
	for (; w->text; w++) {
		if (buf_printf(out, e, " WHEN %" PRId64 " THEN '%s'", w->value, w->text))
			return -1;
	}
	return buf_printf(out, e, " ELSE CAST(%s AS TEXT) END", expr);
}

/* CASE WHEN x IS NULL THEN NULL ELSE rtrim(words each with a comma || rest in hex, ',') END */
static int bits_sql(struct buf *out, const struct word *w, const char *expr, struct err *e)
{
	int64_t known = 0;

	if (buf_printf(out, e, "CASE WHEN (%s) IS NULL THEN NULL ELSE rtrim(''", expr))
		return -1;
	for (; w->text; w++) {
		known |= w->value;
		if (buf_printf(out, e, " || CASE WHEN (%s) & %" PRId64 " THEN '%s,' ELSE '' END",
			       expr, w->value, w->text))
			return -1;
	}
	return buf_printf(out, e,
			  " || CASE WHEN (%s) & ~%" PRId64 " THEN printf('0x%%x', (%s) & ~%" PRId64
			  ") ELSE '' END, ',') END",
			  expr, known, expr, known);
}

int words_sql(struct buf *out, enum words list, const char *expr, struct err *e)
{
	if (list == WORDS_NONE)
		return buf_printf(out, e, "(%s)", expr);
	return list >= WORDS_BITS ? bits_sql(out, lists[list], expr, e)
				  : case_sql(out, lists[list], expr, e);
}

const char *words_of(enum words list, int64_t value)
{
	for (const struct word *w = lists[list]; list < WORDS_BITS && w->text; w++) {
		if (w->value == value)
			return w->text;
	}
	return NULL;
}

int words_find(enum words list, const char *word, int64_t *value)
{
	for (const struct word *w = lists[list]; w->text; w++) {
		if (strcasecmp(w->text, word) == 0) {
			*value = w->value;
			return 0;
		}
	}
	return -1;
}

const char *words_at(enum words list, unsigned i)
{
	const struct word *w = lists[list];

	while (i && w->text) {
		w++;
		i--;
	}
	return w->text;
}
