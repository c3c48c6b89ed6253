/* rta_tables.h: what the kernel's netlink attributes are. Private to proto/rta*.c.
 *
 * Owns:  the const tables: a message type has a header and a set of attributes; a set has one row an
 *        attribute, placed by attribute number; a row says kind, bounds, name (as ip -j prints it, where
 *        it does), what is inside, and what restore and comparison do with it.
 * Never: code that depends on one attribute, except the "fix" of a set: where the kernel does not take
 *        what it gave (rta_fix.c says why, case by case).
 */
#pragma once

#include "proto/rta.h"

enum rta_type {
	RTAT_HEX, /* bytes as hex digits; also what a row is for numbers without one */
	RTAT_U8,
	RTAT_U16,
	RTAT_U32,
	RTAT_U64,
	RTAT_S32,
	RTAT_BE16,
	RTAT_BE32,
	RTAT_BE64,
	RTAT_BOOL,      /* u8, printed true or false */
	RTAT_U8_1,      /* u8 that holds its value less one: weights */
	RTAT_FLAG,      /* there or not, no payload */
	RTAT_STR,       /* zero-terminated or not */
	RTAT_ADDR,      /* 4 or 16 bytes */
	RTAT_LL,        /* link-layer address */
	RTAT_VIA,       /* struct rtvia: family and address */
	RTAT_U32S,      /* array of u32 */
	RTAT_STRUCT,    /* rec */
	RTAT_STRUCTS,   /* array of rec */
	RTAT_NEST,      /* set */
	RTAT_LIST,      /* nest whose members are all elem, numbered arg or counted */
	RTAT_MULTIPATH, /* struct rtnexthop, each followed by attributes of set */
	RTAT_VARIANT,   /* the sibling attribute arg (string or u16) chooses one of variants */
	RTAT_TYPE_COUNT
};

enum rta_flag {
	RTAF_RO = 1,     /* the kernel fills it in: never sent */
	RTAF_SET = 2,    /* not taken at creation, only by a later change */
	RTAF_CREATE = 4, /* only taken at creation */
	RTAF_VOL = 8,    /* changes by itself: not compared */
	RTAF_HIDE = 16,  /* of no interest to people: not in JSON columns */
	RTAF_NZ =
		32, /* zero means "not set" but the kernel refuses a zero: sent only when it is not */
	RTAF_ASFLAG = 64, /* dumped as u8, taken as an empty flag */
	RTAF_LIFE = 128,  /* a lifetime: compared only as none, finite, for ever */
	RTAF_HIDE0 = 256, /* as RTAF_HIDE when zero */
	RTAF_MADE =
		512, /* a nest that is complete when the object is made: a later change sends only
			    * the members flagged RTAF_SET */
};

/* Counters and the like, in one word. */
#define RTAF_STAT (RTAF_RO | RTAF_VOL | RTAF_HIDE)
#define RTAF_LIVE (RTAF_RO | RTAF_VOL)

struct rta_set;
struct rta_attr;

/* A member of a fixed structure, or a field of a message header. */
struct rta_field {
	const char *name;
	uint16_t off;
	uint8_t type, len; /* len: RTAT_HEX, RTAT_LL, RTAT_ADDR */
	uint16_t flags;
	uint32_t ro, vol; /* bits that are never sent, or not compared */
};

struct rta_struct {
	const struct rta_field *field;
	uint16_t n_fields, size; /* bytes of the whole */
	const char *array;       /* the name of the array of elem behind it; NULL: none */
	const struct rta_struct *elem;
};

/* num: value of a number selector when name is NULL. The last row has no attr. */
struct rta_variant {
	const char *name;
	uint16_t num;
	const struct rta_attr *attr;
};

struct rta_attr {
	const char *name;
	uint8_t type;
	uint8_t n_words;
	uint16_t flags;
	uint16_t arg;             /* RTAT_LIST, RTAT_VARIANT */
	uint16_t max;             /* bytes of RTAT_STR without the zero, 0: no limit */
	uint32_t ro, vol;         /* bits of an RTAT_U32 that are never sent, or not compared */
	const char *const *words; /* names of values 0, 1, ...; NULL where there is none */
	union {
		const struct rta_set *set;
		const struct rta_struct *rec;
		const struct rta_attr *elem;
		const struct rta_variant *variant;
	};
};

/* arg of RTAT_LIST: members are numbered from 0, from 1. */
#define RTA_COUNT_0 0xfffe
#define RTA_COUNT_1 0xffff

/* Bring the attributes from start on in out, which are the filtered ones of this level, into the form the
 * kernel takes; in is the level as it was dumped, hdr the header of the message. */
typedef int rta_fix_fn(struct span in, const void *hdr, enum rta_purpose purpose, struct buf *out,
		       size_t start, struct err *e);

struct rta_set {
	const struct rta_attr *attr;
	uint16_t n_attrs;
	rta_fix_fn *fix;
};

struct rta_column;

struct rta_msg {
	uint16_t nl_type;
	uint8_t family; /* 0: any */
	uint8_t table;
	const char *what; /* traffic_control.what; "expect" */
	const struct rta_struct *hdr;
	const struct rta_set *set;
};

/* The row of a message, or NULL when its type is unknown or it is shorter than its header. */
const struct rta_msg *rta_msg_find(struct span msg);
const struct rta_msg *rta_msg_of_table(enum rta_table t, const char *what);

/* The messages that are rows of a table, one after the other; m NULL: the first. */
const struct rta_msg *rta_msg_next(enum rta_table t, const struct rta_msg *m);

/* The row for attribute number type of set, with a variant resolved by its siblings. What has no row gets a
 * nameless RTAT_HEX; a variant that no row knows keeps its name, as RTAT_HEX. */
struct rta_attr rta_attr_row(const struct rta_set *set, uint16_t type, struct span siblings);

/* The header of a message and its attributes. */
size_t rta_hdr_len(const struct rta_msg *m); /* with nlmsghdr */

/* NLA_F_NESTED, or 0 for the older messages: the kernel dumps those without it and takes both, but ip(8) only
 * knows a route's metrics without. RTM_NEWNEXTHOP is parsed strictly and needs it. */
uint16_t rta_nest_flag(const struct rta_msg *m);
struct span rta_attrs_of(const struct rta_msg *m, struct span msg);

/* Walk attributes: 1 and *type (flags taken off), *data (lent) and *at (offset of its header in all) are
 * set, 0 at the end, -1 (ERR_FORMAT) at damage. *off begins as 0. */
struct rta_item {
	uint16_t type, raw_type;
	size_t at, size; /* header, payload and padding: size bytes from at */
	struct span data;
	unsigned nth; /* how many of this type came before it in the level */
};
int rta_item_next(struct span all, size_t *off, struct rta_item *it, struct err *e);

/* Payload of the first attribute of that number; data NULL when there is none. */
struct span rta_item_find(struct span all, uint16_t type);

/* Append one attribute. raw_type carries NLA_F_* flags. */
int rta_item_add(struct buf *out, uint16_t raw_type, const void *data, size_t len, struct err *e);
int rta_item_begin(struct buf *out, uint16_t raw_type, size_t *at, struct err *e);
int rta_item_end(struct buf *out, size_t at, struct err *e);

/* Are len bytes behind the structure its array? */
bool rta_is_array(const struct rta_struct *rec, size_t len);

/* Number of payload bytes the type always has, 0 when it varies. */
size_t rta_type_size(enum rta_type t);
int64_t rta_int_read(enum rta_type t, const void *p);
void rta_int_write(enum rta_type t, void *p, int64_t v);
bool rta_type_is_int(enum rta_type t);

/* --- the tables --- */
extern const struct rta_set rta_set_link, rta_set_bridge_link, rta_set_brport, rta_set_inet6_link;
extern const struct rta_variant rta_link_kinds[], rta_slave_kinds[];
extern const struct rta_set rta_set_addr, rta_set_route, rta_set_rule, rta_set_addrlabel;
extern const struct rta_variant rta_encaps[];
extern const struct rta_set rta_set_neigh, rta_set_nexthop, rta_set_tc, rta_set_mdb, rta_set_vlandb,
	rta_set_tunnel, rta_set_action;
extern const struct rta_set rta_set_maddress, rta_set_mptcp, rta_set_xfrm_policy, rta_set_features;
extern const struct rta_set rta_set_ct, rta_set_expect, rta_set_empty;
extern const struct rta_struct rta_hdr_link, rta_hdr_addr, rta_hdr_route, rta_hdr_rule,
	rta_hdr_neigh, rta_hdr_nexthop, rta_hdr_tc, rta_hdr_ct, rta_hdr_mdb, rta_hdr_tunnel,
	rta_hdr_addrlabel, rta_hdr_action, rta_hdr_genl, rta_hdr_vlandb, rta_hdr_nexthop_entry,
	rta_hdr_none;

rta_fix_fn rta_fix_link_info, rta_fix_bridge, rta_fix_macvlan, rta_fix_bond, rta_fix_route,
	rta_fix_htb, rta_fix_nexthop;

#define RTA_SET(rows)                                                                              \
	{                                                                                          \
		.attr = rows, .n_attrs = sizeof(rows) / sizeof(rows[0])                            \
	}
#define RTA_SET_FIX(rows, fn)                                                                      \
	{                                                                                          \
		.attr = rows, .n_attrs = sizeof(rows) / sizeof(rows[0]), .fix = fn                 \
	}
#define RTA_STRUCT(fields, bytes)                                                                  \
	{                                                                                          \
		.field = fields, .n_fields = sizeof(fields) / sizeof(fields[0]), .size = bytes     \
	}

#define RTA_STRUCT_ARRAY(fields, bytes, name, of)                                                  \
	{                                                                                          \
		.field = fields, .n_fields = sizeof(fields) / sizeof(fields[0]), .size = bytes,    \
		.array = name, .elem = &of                                                         \
	}

/* Rows. The dots take further members: A_U32("mtu", .flags = RTAF_RO). */
#define A_(t, n, ...)                                                                              \
	{                                                                                          \
		.name = n, .type = t, ##__VA_ARGS__                                                \
	}
#define A_HEX(n, ...)           A_(RTAT_HEX, n, ##__VA_ARGS__)
#define A_U8(n, ...)            A_(RTAT_U8, n, ##__VA_ARGS__)
#define A_U16(n, ...)           A_(RTAT_U16, n, ##__VA_ARGS__)
#define A_U32(n, ...)           A_(RTAT_U32, n, ##__VA_ARGS__)
#define A_U64(n, ...)           A_(RTAT_U64, n, ##__VA_ARGS__)
#define A_S32(n, ...)           A_(RTAT_S32, n, ##__VA_ARGS__)
#define A_BE16(n, ...)          A_(RTAT_BE16, n, ##__VA_ARGS__)
#define A_BE32(n, ...)          A_(RTAT_BE32, n, ##__VA_ARGS__)
#define A_BE64(n, ...)          A_(RTAT_BE64, n, ##__VA_ARGS__)
#define A_BOOL(n, ...)          A_(RTAT_BOOL, n, ##__VA_ARGS__)
#define A_FLAG(n, ...)          A_(RTAT_FLAG, n, ##__VA_ARGS__)
#define A_STR(n, m, ...)        A_(RTAT_STR, n, .max = m, ##__VA_ARGS__)
#define A_ADDR(n, ...)          A_(RTAT_ADDR, n, ##__VA_ARGS__)
#define A_LL(n, ...)            A_(RTAT_LL, n, ##__VA_ARGS__)
#define A_U32S(n, ...)          A_(RTAT_U32S, n, ##__VA_ARGS__)
#define A_NEST(n, s, ...)       A_(RTAT_NEST, n, .set = &s, ##__VA_ARGS__)
#define A_REC(n, s, ...)        A_(RTAT_STRUCT, n, .rec = &s, ##__VA_ARGS__)
#define A_RECS(n, s, ...)       A_(RTAT_STRUCTS, n, .rec = &s, ##__VA_ARGS__)
#define A_LIST(n, a, el, ...)   A_(RTAT_LIST, n, .arg = a, .elem = &el, ##__VA_ARGS__)
#define A_VARIANT(n, a, v, ...) A_(RTAT_VARIANT, n, .arg = a, .variant = v, ##__VA_ARGS__)
#define A_WORDS(w)              .words = w, .n_words = sizeof(w) / sizeof(w[0])

/* Fields: name, structure, member, type. */
#define F_(n, s, m, t, ...)                                                                        \
	{                                                                                          \
		.name = n, .off = offsetof(struct s, m), .type = t,                                \
		.len = sizeof(((struct s *)0)->m), ##__VA_ARGS__                                   \
	}
