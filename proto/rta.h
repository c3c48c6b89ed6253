/* rta.h: netlink messages (links, addresses, routes, rules, neighbours, nexthops, traffic control,
 * conntrack) as columns and JSON, and back into bytes.
 *
 * Owns:  nothing; results go into the caller's buf or callback. What an attribute is comes from the
 *        const tables of rta_tables*.c, one row an attribute, which serve all directions.
 * Never: talks to the kernel, and never drops an attribute it does not know: that one is shown as
 *        "attr_NN" with its bytes in hex, and carried.
 * Input: hostile. Every length is checked against what encloses it; a message is at most 256 KiB and a
 *        level of attributes at most 4096 of them. Damage is ERR_FORMAT.
 * Patch: the bytes that no change touches stay as they were: order, padding, odd encodings, unknown
 *        attributes.
 */
#pragma once

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* nlmsg_type of kept messages that have no number of their own: generic netlink numbers its families anew
 * at each boot, and XFRM has the numbers of rtnetlink for its own. What is kept is the message of family "mptcp_pm" with
 * one of these, or a policy with its struct as XFRMA_POLICY, and no kernel has them (net/netlink/genetlink.c ends at
 * GENL_MAX_ID, nfnetlink at NFNL_SUBSYS_COUNT << 8). */
#define RTA_MSG_MPTCP_LIMITS   0xff01
#define RTA_MSG_MPTCP_ENDPOINT 0xff02
#define RTA_MSG_XFRM_POLICY    0xff03
#define RTA_MSG_FEATURES       0xff04 /* of family "ethtool": ETHTOOL_MSG_FEATURES_SET */

/* A link-layer multicast address that somebody asked for (packet(7), SIOCADDMULTI), for which rtnetlink has
 * no message: RTM_NEWMULTICAST (in the headers since Linux 6.14) of family AF_PACKET, struct ifaddrmsg,
 * IFA_MULTICAST. */
#define RTA_MSG_MADDRESS       56

/* One for each SQL table that is made of netlink messages. */
enum rta_table {
	RTA_TABLE_DEVICE,
	RTA_TABLE_ADDRESS,
	RTA_TABLE_ROUTE,
	RTA_TABLE_RULE,
	RTA_TABLE_NEIGHBOUR,
	RTA_TABLE_NEXTHOP,
	RTA_TABLE_TC, /* traffic_control: also bridge vlans, mdb entries and every other message */
	RTA_TABLE_CONNTRACK, /* entries and expectations */
	RTA_TABLE_COUNT
};

/* "device", "address", ... and back (RTA_TABLE_COUNT: not one of them). Lent, static. */
const char *rta_table_name(enum rta_table t);
enum rta_table rta_table_find(const char *name);

/* The table a message belongs to, by nlmsg_type and family. msg begins with its nlmsghdr. Everything that
 * is not one of the others is RTA_TABLE_TC. */
enum rta_table rta_table_of(struct span msg);

/* 0, or -1 (ERR_FORMAT): does msg hold one complete, well-formed netlink message that we know the header
 * of? Lengths of attributes are checked at every level that a table describes. */
int rta_check(struct span msg, struct err *e);

/* The value of a column. text is UTF-8 with the escape of base/escape.h, or JSON. */
enum rta_value_type { RTA_VALUE_NULL, RTA_VALUE_INT, RTA_VALUE_TEXT };
struct rta_value {
	enum rta_value_type type;
	int64_t num;      /* a u64 is its 64 bits */
	const char *text; /* lent for the call */
};

/* Columns of the SQL table t that come from the message (the others, like netns or peer_netns, are the
 * importer's): the i-th name, NULL past the end. */
const char *rta_column(enum rta_table t, size_t i);

/* The members that a JSON column of the SQL table t can have (of multipath and of a list of structures: each of its
 * objects), with the types of JSON that rta_row_decode() writes or rta_row_patch() takes. A name comes once for each
 * kind of device or of message that has it. A non-zero result of fn ends it with -1. */
enum rta_json_type {
	RTA_JSON_U8 = 1, /* numbers by their width */
	RTA_JSON_U16 = 2,
	RTA_JSON_U32 = 4,
	RTA_JSON_U64 = 8,
	RTA_JSON_S32 = 16,
	RTA_JSON_WEIGHT = 32, /* 1 to 256 */
	RTA_JSON_TEXT = 64,
	RTA_JSON_IP = 128, /* an address, IPv4 or IPv6 */
	RTA_JSON_LL = 256, /* a link-layer address */
	RTA_JSON_ARRAY = 512,
	RTA_JSON_OBJECT = 1024,
	RTA_JSON_BOOL = 2048, /* or a number of 8 bits */
};
typedef int rta_member_fn(const char *name, unsigned types, void *arg, struct err *e);
int rta_members(enum rta_table t, const char *column, rta_member_fn *fn, void *arg, struct err *e);

/* Give every column of the message to fn, in the order of rta_column. A non-zero result of fn ends it with
 * that result. */
typedef int rta_column_fn(const char *column, const struct rta_value *v, void *arg, struct err *e);
int rta_row_decode(enum rta_table t, struct span msg, rta_column_fn *fn, void *arg, struct err *e);

/* Append msg to out with the given columns changed; a NULL value takes the attribute away (or makes a
 * header field 0). A value that means what is there already leaves the bytes alone. JSON columns change only
 * the members that differ; a member that is missing or null is taken away, a new one added. ERR_FORMAT or
 * ERR_RANGE name column and member; ERR_NOTFOUND: no such column. out is as it was on failure. */
struct rta_edit {
	const char *column;
	struct rta_value value;
};
int rta_row_patch(enum rta_table t, struct span msg, const struct rta_edit *edits, size_t n,
		  struct buf *out, struct err *e);

/* Append an empty message of that table (header zeroed), for a row that has no record: then patch it.
 * what: the value of traffic_control.what ("qdisc", "class", "filter", "vlan", "mdb"), or of
 * conntrack.expect ("expect"), else NULL. */
int rta_row_new(enum rta_table t, const char *what, struct buf *out, struct err *e);

/* What no column of a new row tells, in a message that was made for it: of a tracked connection the direction of the
 * replies, as far as it is not there (addresses and ports the other way round, the same protocol). */
int rta_row_complete(struct buf *msg, struct err *e);

/* Append the message that makes the kernel create the object again, or change an object that is there: what
 * only the kernel fills in is taken out at every level, and what it would refuse is brought into the form it
 * takes (rta_fix.c lists these cases with their reasons). nlmsg_type stays; nlmsg_flags, sequence and port
 * are 0, and so are the flags of a link (IFF_UP and the others are a step of the caller's). Attributes
 * nobody knows are kept. */
enum rta_purpose {
	RTA_FOR_CREATE, /* RTM_NEW*; NLM_F_CREATE is the caller's */
	RTA_FOR_SET, /* RTM_NEWLINK on the device just created: only what creation does not take (port
			 * options, alias, address generation, primary slave); nothing else is repeated */
	RTA_FOR_CHANGE, /* RTM_NEWLINK on a device that was there before: all that can be changed */
};
int rta_filter(struct span msg, enum rta_purpose purpose, struct buf *out, struct err *e);

/* As rta_filter with RTA_FOR_CHANGE, without the attributes that are the same in have already (a driver may
 * refuse even those): for lo and for devices given from outside. Both are messages of one kind. */
int rta_change(struct span want, struct span have, struct buf *out, struct err *e);

/* Call fn for each attribute or header field that differs between two messages of the same type, by path
 * ("linkinfo.info_data.ageing_time"); a and b are its JSON text, NULL where it is absent. What changes by
 * itself (counters, remaining lifetimes, carrier, timers) is ignored. Number of differences, or -1. */
typedef int rta_diff_fn(const char *path, const char *a, const char *b, void *arg, struct err *e);
int rta_diff(struct span a, struct span b, rta_diff_fn *fn, void *arg, struct err *e);

/* Append everything in the message as one JSON object, header fields first. */
int rta_json(struct span msg, struct buf *out, struct err *e);

/* Append one line as ip(8), bridge(8) or tc(8) would show the object, without newline. ifname gives the
 * name of a device (NULL, or a NULL result: "if7"). */
typedef const char *rta_ifname_fn(int ifindex, void *arg);
int rta_print(struct span msg, rta_ifname_fn *ifname, void *arg, struct buf *out, struct err *e);

/* Direct access, for steps. A path is attribute numbers from the top; it is followed through nests. */
#define RTA_PATH(...) ((const uint16_t[]){__VA_ARGS__, 0})

/* The payload of an attribute; data NULL: it is not there. Lent by msg. */
struct span rta_get(struct span msg, const uint16_t *path);
uint32_t rta_get_u32(struct span msg, const uint16_t *path, uint32_t absent);

/* msg holds one message from offset 0: replace (or append, making the nests on the way) the attribute;
 * data NULL takes it away. All lengths are brought up to date. */
int rta_put(struct buf *msg, const uint16_t *path, const void *data, size_t len, struct err *e);
int rta_put_u32(struct buf *msg, const uint16_t *path, uint32_t v, struct err *e);
