/* rawbytes.h: addresses in what an image keeps as bytes in hex: keys of u32 filters, IP options,
 * routing headers and MD5 keys of a socket, the numbers of raw expressions in rulesets.
 *
 * Owns:  nothing.
 * Never: knows what becomes of an address, or changes bytes of which it does not know what they are.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum raw_kind {
	RAW_U32,            /* struct tc_u32_key of linux/pkt_cls.h, one behind the other */
	RAW_IP_OPTIONS,     /* ip(7), RFC 791: source routes */
	RAW_ROUTING_HEADER, /* IPV6_RTHDR of ipv6(7) */
	RAW_SOCKADDR, /* struct sockaddr, also with the prefix of struct tcp_md5sig of linux/tcp.h */
};

/* An address of 4 or 16 bytes, or a MAC address of 6, of which the first bits count. is_sure: it can be nothing else. 1:
 * address is another now, which takes its place (only where is_sure); 0; -1. */
typedef int raw_fn(void *arg, uint8_t *address, size_t len, unsigned bits, bool is_sure,
		   struct err *e);

/* Give fn the addresses in n bytes. protocol: of a u32 filter, ETH_P_*. 1: fn changed some of them, 0: none, or the bytes
 * are not of that kind, -1. */
int raw_look(enum raw_kind kind, unsigned protocol, uint8_t *bytes, size_t n, raw_fn *fn, void *arg,
	     struct err *e);

/* The same of bytes as hex, n characters. 1: out (empty before) has the hex with what fn changed. */
int raw_edit(enum raw_kind kind, unsigned protocol, const char *hex, size_t n, raw_fn *fn,
	     void *arg, struct buf *out, struct err *e);

/* Give fn the numbers that raw expressions of a ruleset compare with: "@nh,96,32 0xa000001" and "ip option lsrr addr N"
 * of nft, -m u32 of iptables. None is sure. word: the expression, lent. 0, -1. */
typedef int raw_word_fn(void *arg, const char *word, size_t word_len, uint8_t *address, size_t len,
			unsigned bits, struct err *e);
int raw_ruleset(const char *format, const char *text, size_t n, raw_word_fn *fn, void *arg,
		struct err *e);
