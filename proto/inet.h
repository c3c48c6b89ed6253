/* inet.h: addresses as canonical text, and back.
 *
 * Owns:  nothing. Formatting writes into the caller's array, which is always large enough.
 * Text:  IPv4 dotted; IPv6 as RFC 5952 (what inet_ntop(3) gives); a prefix is ADDRESS/LEN, "default" when
 *        the length is 0; link-layer addresses are bytes in hex with colons, where 4 and 16 bytes are
 *        tunnel end points and shown as IP addresses, as ip(8) does.
 * Parse: exactly one address, nothing around it. IPv4 needs all four numbers, decimal, without leading
 *        zeros. IPv6 is taken in any valid form.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define INET_TEXT_MAX   46 /* IPv6 address and zero byte */
#define INET_PREFIX_MAX 50 /* and "/128" */
#define INET_LL_MAX     96 /* up to 32 bytes (MAX_ADDR_LEN of the kernel) */
#define INET_LL_BYTES   32

/* Bytes of an address of a family (AF_INET 4, AF_INET6 16), 0 for any other family. */
size_t inet_addr_len(int family);

/* AF_INET or AF_INET6 for 4 or 16 bytes, else 0. */
int inet_family_of_len(size_t len);

/* len is 4 or 16; false (and an empty text) for another length. */
bool inet_format(const void *addr, size_t len, char text[INET_TEXT_MAX]);

/* ADDRESS/LEN, without the length where it is that of a whole address; "default" for a length of 0 and an
 * all-zero (or NULL) address. */
bool inet_prefix_format(const void *addr, size_t len, unsigned prefixlen,
			char text[INET_PREFIX_MAX]);

/* Bytes of a link-layer address; false for more than INET_LL_BYTES. */
bool inet_ll_format(const void *addr, size_t len, char text[INET_LL_MAX]);

/* *len becomes 4 or 16. family 0 takes either. 0, or -1 (ERR_FORMAT names the text). */
int inet_parse(const char *text, int family, uint8_t addr[16], size_t *len, struct err *e);

/* "default" gives zero bytes of the family (which must be given then) and length 0. A missing /LEN is the
 * whole address; bits beyond the length are kept. */
int inet_prefix_parse(const char *text, int family, uint8_t addr[16], size_t *len,
		      unsigned *prefixlen, struct err *e);

int inet_ll_parse(const char *text, uint8_t addr[INET_LL_BYTES], size_t *len, struct err *e);

/* The first and the last address of a prefix of len bytes; addr may have bits beyond it. */
void inet_prefix_ends(const void *addr, size_t len, unsigned prefixlen, uint8_t first[16],
		      uint8_t last[16]);

/* Are the bits beyond prefixlen zero? */
bool inet_prefix_is_clean(const void *addr, size_t len, unsigned prefixlen);
