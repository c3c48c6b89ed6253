/* remap.h: prefixes of addresses mapped to other prefixes of the same length, several at once.
 *
 * Owns:  the pairs behind struct remap.
 * Never: knows tables, or touches what no pair covers.
 * Rules: all pairs apply at once to what was there before (so two may be swapped); where several cover an
 *        address, the longest prefix decides; an IPv4 pair also applies to an IPv4 address written as IPv6
 *        (::ffff:a.b.c.d, RFC 4291, 2.5.5.2). "a/len" with bits beyond len is an address of an interface,
 *        not a prefix. Multicast, unspecified and broadcast addresses are in no pair;
 *        loopback and link-local addresses go only to such addresses.
 * Order: remap_add for each pair, remap_check, then the rest; remap_free.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "proto/inet.h"

struct remap_pair {
	int family;    /* AF_INET, AF_INET6 */
	unsigned bits; /* length of both prefixes */
	uint8_t from[16], to[16];
};

struct remap {
	struct remap_pair *pair; /* by falling bits */
	size_t n, cap;
};

/* An address, a prefix, or a range of addresses: first and last are equal but for a range. */
struct remap_addr {
	int family;
	size_t len; /* bytes: 4 or 16 */
	unsigned bits;
	bool has_bits; /* it was written with a length */
	uint8_t first[16], last[16];
};

enum remap_result {
	REMAP_NONE,  /* no pair is about it */
	REMAP_DONE,  /* mapped */
	REMAP_WIDER, /* a prefix or range of which only a part is in a pair: left */
	REMAP_APART, /* a prefix or range whose parts go to different places: left */
};

void remap_free(struct remap *m);

/* Map prefix from to prefix to ("10.0.0.0/24"; without /LEN a single address). -1 (ERR_USAGE): not of one
 * family and length, bits beyond the length, an address that does not move, twice the same. */
int remap_add(struct remap *m, const char *from, const char *to, struct err *e);

/* Would two addresses become one whatever addresses there are? -1 (ERR_USAGE). */
int remap_check(const struct remap *m, struct err *e);

/* Exactly one address, "a/len" or "a-b" in n bytes of text: true. */
bool remap_parse(const char *text, size_t n, struct remap_addr *a);

/* Where the address is in its bytes: 12 of an IPv4 address written as IPv6, else 0. */
size_t remap_offset(const struct remap_addr *a);

/* Map a in place. *why (may be NULL): the pair that decided. */
enum remap_result remap_map(const struct remap *m, struct remap_addr *a,
			    const struct remap_pair **why);

/* Is it, as it stands, inside a prefix that others are mapped to? */
bool remap_is_target(const struct remap *m, const struct remap_addr *a);

/* Append as text: in the form that it was parsed from. */
int remap_format(const struct remap_addr *a, struct buf *out, struct err *e);

/* Why it was left, for people: "wider than 10.1.0.0/24". */
void remap_reason(enum remap_result r, const struct remap_pair *why, char *text, size_t size);

/* from or to of a pair as text. */
void remap_pair_text(const struct remap_pair *p, bool is_to, char text[INET_PREFIX_MAX]);
