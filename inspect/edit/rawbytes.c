#include "inspect/edit/rawbytes.h"

#include <ctype.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/hex.h"
#include "proto/inet.h"

enum { ADDRESS_MAX = 16, BYTES_MAX = 4096 };

/* The bytes, and what looks at the addresses in them. */
struct raw {
	uint8_t *data;
	size_t n;
	unsigned protocol;
	raw_fn *fn;
	void *arg;
	bool is_changed;
};

static int look(struct raw *r, size_t off, size_t len, unsigned bits, struct err *e)
{
	int rc = r->fn(r->arg, r->data + off, len, bits, true, e);

	r->is_changed |= rc > 0;
	return rc < 0 ? -1 : 0;
}

/* ---- u32 ---- */

/* What the keys say of the packet from offset FIRST on: its values, which bits of them count, and where those stand in
 * the keys. Offsets are from the network header; that of Ethernet ends where it begins. */
enum { FIRST = -16, WINDOW = 16 + 64 };

struct window {
	uint8_t value[WINDOW], mask[WINDOW], seen[WINDOW];
	size_t at[WINDOW];
};

/* Where headers have addresses: linux/ip.h, linux/ipv6.h, linux/if_ether.h. protocol 0: all have it. */
static const struct header_field {
	unsigned protocol;
	int off;
	size_t len;
} header_fields[] = {
	{ETH_P_IP, 12, 4},    {ETH_P_IP, 16, 4}, {ETH_P_IPV6, 8, 16},
	{ETH_P_IPV6, 24, 16}, {0, -8, 6},        {0, -14, 6},
};

/* Bits of a mask that begins with ones and goes on with zeros; -1: it does not. */
static int mask_bits(const uint8_t *mask, size_t len)
{
	size_t bits = 0;

	while (bits < len * 8 && mask[bits / 8] & (0x80 >> bits % 8))
		bits++;
	for (size_t i = bits; i < len * 8; i++)
		if (mask[i / 8] & (0x80 >> i % 8))
			return -1;
	return (int)bits;
}

/* A key looks at four bytes; with an offmask, somewhere behind the network header. */
static int read_keys(const struct raw *r, struct window *w)
{
	memset(w, 0, sizeof(*w));
	if (!r->n || r->n % sizeof(struct tc_u32_key))
		return -1;
	for (size_t at = 0; at < r->n; at += sizeof(struct tc_u32_key)) {
		struct tc_u32_key key;
		int off;

		memcpy(&key, r->data + at, sizeof(key));
		if (key.offmask || key.off < FIRST || key.off > FIRST + WINDOW - 4)
			continue;
		for (int i = 0; i < 4; i++) {
			off = key.off - FIRST + i;
			w->mask[off] = r->data[at + offsetof(struct tc_u32_key, mask) + (size_t)i];
			w->at[off] = at + offsetof(struct tc_u32_key, val) + (size_t)i;
			w->value[off] = r->data[w->at[off]];
		}
	}
	return 0;
}

static int field_look(struct raw *r, struct window *w, const struct header_field *f, struct err *e)
{
	const size_t first = (size_t)(f->off - FIRST);
	const int bits = mask_bits(w->mask + first, f->len);
	uint8_t address[ADDRESS_MAX];
	int rc;

	if (bits <= 0 || (f->protocol && f->protocol != r->protocol))
		return 0;
	memset(w->seen + first, 1, f->len);
	memcpy(address, w->value + first, f->len);
	rc = r->fn(r->arg, address, f->len, (unsigned)bits, true, e);
	for (size_t i = 0; rc > 0 && i < f->len; i++)
		if (w->mask[first + i])
			r->data[w->at[first + i]] = address[i] & w->mask[first + i];
	r->is_changed |= rc > 0;
	return rc < 0 ? -1 : 0;
}

/* What is no part of a header that the filter knows may be an address. */
static int look_at_rest(struct raw *r, const struct window *w, struct err *e)
{
	for (size_t at = 0; at < r->n; at += sizeof(struct tc_u32_key)) {
		struct tc_u32_key key;
		uint8_t value[4];
		int bits;

		memcpy(&key, r->data + at, sizeof(key));
		bits = mask_bits((const uint8_t *)&key.mask, 4);
		if (bits < 16 || (!key.offmask && key.off >= FIRST &&
				  key.off <= FIRST + WINDOW - 4 && w->seen[key.off - FIRST]))
			continue;
		memcpy(value, &key.val, 4);
		if (r->fn(r->arg, value, 4, (unsigned)bits, false, e) < 0)
			return -1;
	}
	return 0;
}

static int u32_look(struct raw *r, struct err *e)
{
	struct window w;

	if (read_keys(r, &w))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(header_fields); i++)
		if (field_look(r, &w, &header_fields[i], e))
			return -1;
	return look_at_rest(r, &w, e);
}

/* ---- IP options ---- */

/* Loose (131) and strict (137) source routes have addresses behind type, length and pointer (RFC 791). */
static int ip_options_look(struct raw *r, struct err *e)
{
	enum { END = 0, NOP = 1, LSRR = 131, SSRR = 137, ROUTE = 3 };
	size_t off = 0;

	while (off < r->n && r->data[off] != END) {
		size_t len = r->data[off] == NOP ? 1 : off + 1 < r->n ? r->data[off + 1] : 0;

		if (!len || (len < 2 && r->data[off] != NOP) || len > r->n - off)
			return 0;
		if (r->data[off] == LSRR || r->data[off] == SSRR)
			for (size_t at = ROUTE; at + 4 <= len; at += 4)
				if (look(r, off + at, 4, 32, e))
					return -1;
		off += len;
	}
	return 0;
}

/* ---- routing headers ---- */

/* Eight bytes, then addresses (RFC 6275, 6.4); of segment routing (RFC 8754) more may follow them. */
static int routing_header_look(struct raw *r, struct err *e)
{
	enum { HEAD = 8, SRH_TYPE = 4 };
	size_t n = r->n < HEAD ? 0 : (r->n - HEAD) / 16;

	if (n && r->data[2] == SRH_TYPE && r->data[4] + 1U < n)
		n = r->data[4] + 1U;
	for (size_t i = 0; i < n; i++)
		if (look(r, HEAD + 16 * i, 16, 128, e))
			return -1;
	return 0;
}

/* ---- addresses of sockets ---- */

static int sockaddr_look(struct raw *r, struct err *e)
{
	const size_t flags = offsetof(struct tcp_md5sig, tcpm_flags);
	sa_family_t family = AF_UNSPEC;
	size_t len, off;
	unsigned bits;

	if (r->n >= sizeof(family))
		memcpy(&family, r->data, sizeof(family));
	len = inet_addr_len(family);
	bits = (unsigned)len * 8;
	off = family == AF_INET ? offsetof(struct sockaddr_in, sin_addr)
				: offsetof(struct sockaddr_in6, sin6_addr);
	if (!len || r->n < off + len)
		return 0;
	if (r->n > flags + 1 && r->data[flags] & TCP_MD5SIG_FLAG_PREFIX &&
	    r->data[flags + 1] < bits)
		bits = r->data[flags + 1];
	return look(r, off, len, bits, e);
}

/* ---- all of them ---- */

int raw_look(enum raw_kind kind, unsigned protocol, uint8_t *bytes, size_t n, raw_fn *fn, void *arg,
	     struct err *e)
{
	static int (*const looks[])(struct raw * r, struct err * e) = {
		[RAW_U32] = u32_look,
		[RAW_IP_OPTIONS] = ip_options_look,
		[RAW_ROUTING_HEADER] = routing_header_look,
		[RAW_SOCKADDR] = sockaddr_look,
	};
	struct raw r = {bytes, n, protocol, fn, arg, false};

	return looks[kind](&r, e) ? -1 : r.is_changed;
}

int raw_edit(enum raw_kind kind, unsigned protocol, const char *hex, size_t n, raw_fn *fn,
	     void *arg, struct buf *out, struct err *e)
{
	const size_t skip = n > 4 && !memcmp(hex, "hex:", 4) ? 4 : 0, len = (n - skip) / 2;
	uint8_t bytes[BYTES_MAX];
	int rc;

	if (len > sizeof(bytes) || !hex_read(hex + skip, n - skip, bytes))
		return 0;
	rc = raw_look(kind, protocol, bytes, len, fn, arg, e);
	if (rc <= 0)
		return rc;
	return buf_add(out, hex, skip, e) || hex_add(out, bytes, len, e) ? -1 : 1;
}

/* ---- rulesets ---- */

/* The number at *at, which goes behind it, of so many bits, which come first in out. */
static bool read_number(const char **at, uint8_t out[ADDRESS_MAX], unsigned bits)
{
	const char *p = *at;
	const bool is_hex = p[0] == '0' && (p[1] | 0x20) == 'x';

	memset(out, 0, ADDRESS_MAX);
	if (!isdigit((unsigned char)*p))
		return false;
	for (p += is_hex ? 2 : 0; is_hex ? isxdigit((unsigned char)*p) : isdigit((unsigned char)*p);
	     p++) {
		unsigned carry = (unsigned)hex_digit(*p);

		for (size_t i = ADDRESS_MAX; i > 0; i--, carry >>= 8) {
			carry += out[i - 1] * (is_hex ? 16U : 10U);
			out[i - 1] = (uint8_t)carry;
		}
	}
	*at = p;
	for (; bits < ADDRESS_MAX * 8; bits++)
		for (size_t i = 0; i < ADDRESS_MAX; i++)
			out[i] = (uint8_t)(out[i] << 1 |
					   (i + 1 < ADDRESS_MAX ? out[i + 1] >> 7 : 0));
	return true;
}

/* A number in the line at, which ends at end, that is compared with bits bits. */
static int look_at_numbers(const char *word, const char *at, const char *end, unsigned bits,
			   raw_word_fn *fn, void *arg, struct err *e)
{
	const size_t len = bits == 48 ? 6 : bits <= 32 ? 4 : ADDRESS_MAX;
	uint8_t address[ADDRESS_MAX];

	while (at < end && *at != '@') {
		const char *number = at;

		if (!isdigit((unsigned char)*at) || isalnum((unsigned char)at[-1]) ||
		    !read_number(&at, address, bits)) {
			at++;
			continue;
		}
		if (at - number > 3 &&
		    fn(arg, word, (size_t)(at - word), address, len, bits, e) < 0)
			return -1;
	}
	return 0;
}

/* "@nh,96,32 ...": a place in a header and how many bits; "option NAME addr ..." */
static int nft_line(const char *line, const char *end, raw_word_fn *fn, void *arg, struct err *e)
{
	static const char *const bases[] = {"@nh,", "@th,", "@ih,", "@ll,"};
	static const char option[] = "ip option ";

	for (const char *at = line; at < end; at++) {
		unsigned long bits = 0;
		char *next = NULL;

		for (size_t i = 0; *at == '@' && i < ARRAY_SIZE(bases); i++)
			if (!strncmp(at, bases[i], 4) && strtoul(at + 4, &next, 10) < 4096 &&
			    *next == ',')
				bits = strtoul(next + 1, &next, 10);
		if (!strncmp(at, option, strlen(option)) && (next = (char *)strstr(at, " addr ")) &&
		    next < end) {
			next += strlen(" addr ");
			bits = 32;
		}
		if (bits >= 16 && bits <= 128 &&
		    look_at_numbers(at, next, end, (unsigned)bits, fn, arg, e))
			return -1;
	}
	return 0;
}

/* --u32 "0xc=0xa000001&&...": tests of four bytes each (iptables-extensions(8), u32). */
static int ipt_line(const char *line, const char *end, raw_word_fn *fn, void *arg, struct err *e)
{
	const char *at = strstr(line, "--u32 \"");

	if (!at || at >= end)
		return 0;
	for (const char *eq = at; (eq = memchr(eq, '=', (size_t)(end - eq))); eq++) {
		const char *stop = strpbrk(eq + 1, "&\"");

		if (look_at_numbers(at, eq + 1, stop && stop < end ? stop : end, 32, fn, arg, e))
			return -1;
	}
	return 0;
}

int raw_ruleset(const char *format, const char *text, size_t n, raw_word_fn *fn, void *arg,
		struct err *e)
{
	const bool is_nft = !strcmp(format, "nftables");

	for (const char *line = text, *end; line < text + n; line = end + 1) {
		end = memchr(line, '\n', n - (size_t)(line - text));
		if (!end)
			end = text + n;
		if ((is_nft ? nft_line : ipt_line)(line, end, fn, arg, e))
			return -1;
	}
	return 0;
}
