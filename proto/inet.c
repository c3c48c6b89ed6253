#include "proto/inet.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/hex.h"

size_t inet_addr_len(int family)
{
	return family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0;
}

int inet_family_of_len(size_t len)
{
	return len == 4 ? AF_INET : len == 16 ? AF_INET6 : 0;
}

/* The same as inet_ntop, without printf: a million sockets have two each. */
static void format4(const uint8_t *addr, char *text)
{
	for (size_t i = 0; i < 4; i++) {
		unsigned v = addr[i];

		if (i)
			*text++ = '.';
		if (v > 99)
			*text++ = (char)('0' + v / 100);
		if (v > 9)
			*text++ = (char)('0' + v / 10 % 10);
		*text++ = (char)('0' + v % 10);
	}
	*text = 0;
}

bool inet_format(const void *addr, size_t len, char text[INET_TEXT_MAX])
{
	int family = inet_family_of_len(len);

	text[0] = 0;
	if (family != AF_INET)
		return family && inet_ntop(family, addr, text, INET_TEXT_MAX);
	format4(addr, text);
	return true;
}

bool inet_prefix_format(const void *addr, size_t len, unsigned prefixlen,
			char text[INET_PREFIX_MAX])
{
	static const uint8_t zero[16];
	char host[INET_TEXT_MAX];

	text[0] = 0;
	if (!inet_family_of_len(len) || prefixlen > 8 * len)
		return false;
	if (!addr)
		addr = zero;
	if (!prefixlen && !memcmp(addr, zero, len)) {
		snprintf(text, INET_PREFIX_MAX, "default");
		return true;
	}
	if (!inet_format(addr, len, host))
		return false;
	if (prefixlen == 8 * len)
		snprintf(text, INET_PREFIX_MAX, "%s", host);
	else
		snprintf(text, INET_PREFIX_MAX, "%s/%u", host, prefixlen);
	return true;
}

bool inet_ll_format(const void *addr, size_t len, char text[INET_LL_MAX])
{
	const uint8_t *b = addr;
	size_t i;

	text[0] = 0;
	if (len > INET_LL_BYTES)
		return false;
	if (inet_family_of_len(len))
		return inet_format(addr, len, text);
	for (i = 0; i < len; i++)
		snprintf(text + 3 * i - (i > 0), 4, i ? ":%02x" : "%02x", b[i]);
	return true;
}

int inet_parse(const char *text, int family, uint8_t addr[16], size_t *len, struct err *e)
{
	int f = strchr(text, ':') ? AF_INET6 : AF_INET;

	if ((family && f != family) || inet_pton(f, text, addr) != 1)
		return err_set(e, ERR_FORMAT, "\"%.64s\" is not an %s address", text,
			       family == AF_INET    ? "IPv4"
			       : family == AF_INET6 ? "IPv6"
						    : "IP");
	*len = inet_addr_len(f);
	return 0;
}

/* A decimal number of one to three digits up to max, nothing after it. */
static bool small_number(const char *s, unsigned max, unsigned *out)
{
	unsigned v = 0;
	size_t i;

	for (i = 0; i < 3 && s[i] >= '0' && s[i] <= '9'; i++)
		v = v * 10 + (unsigned)(s[i] - '0');
	if (!i || s[i] || v > max)
		return false;
	*out = v;
	return true;
}

int inet_prefix_parse(const char *text, int family, uint8_t addr[16], size_t *len,
		      unsigned *prefixlen, struct err *e)
{
	const char *slash = strchr(text, '/');
	char host[INET_TEXT_MAX];
	size_t n = slash ? (size_t)(slash - text) : strlen(text);

	if (!strcmp(text, "default")) {
		if (!inet_addr_len(family))
			return err_set(e, ERR_FORMAT, "\"default\" needs an address family");
		memset(addr, 0, 16);
		*len = inet_addr_len(family);
		*prefixlen = 0;
		return 0;
	}
	if (n >= sizeof(host))
		return err_set(e, ERR_FORMAT, "\"%.64s\" is not a prefix", text);
	memcpy(host, text, n);
	host[n] = 0;
	if (inet_parse(host, family, addr, len, e))
		return -1;
	*prefixlen = (unsigned)(8 * *len);
	if (slash && !small_number(slash + 1, *prefixlen, prefixlen))
		return err_set(e, ERR_FORMAT, "\"%.64s\": the prefix length must be 0 to %zu", text,
			       8 * *len);
	return 0;
}

/* Bytes in hex, two digits each, with colons between; 0 when it is anything else. */
static size_t colon_bytes(const char *s, uint8_t *out, size_t max)
{
	size_t n;

	for (n = 0; n < max; n++, s += 2) {
		if (n && *s++ != ':')
			return 0;
		if (hex_digit(s[0]) < 0 || hex_digit(s[1]) < 0)
			return 0;
		out[n] = (uint8_t)(hex_digit(s[0]) << 4 | hex_digit(s[1]));
		if (!s[2])
			return n + 1;
	}
	return 0;
}

int inet_ll_parse(const char *text, uint8_t addr[INET_LL_BYTES], size_t *len, struct err *e)
{
	*len = 0;
	if (!text[0])
		return 0;
	*len = colon_bytes(text, addr, INET_LL_BYTES);
	if (*len || !inet_parse(text, 0, addr, len, e))
		return 0;
	return err_set(e, ERR_FORMAT, "\"%.64s\" is not a link-layer address", text);
}

bool inet_prefix_is_clean(const void *addr, size_t len, unsigned prefixlen)
{
	const uint8_t *b = addr;
	size_t i;

	for (i = 0; i < len; i++) {
		unsigned bits = prefixlen > 8 * i ? prefixlen - (unsigned)(8 * i) : 0;

		if (bits < 8 && b[i] & (0xff >> bits))
			return false;
	}
	return true;
}

void inet_prefix_ends(const void *addr, size_t len, unsigned prefixlen, uint8_t first[16],
		      uint8_t last[16])
{
	const uint8_t *b = addr;

	for (size_t i = 0; i < len; i++) {
		unsigned bits = prefixlen > 8 * i ? prefixlen - (unsigned)(8 * i) : 0;
		uint8_t host = bits < 8 ? (uint8_t)(0xff >> bits) : 0;

		first[i] = b[i] & (uint8_t)~host;
		last[i] = b[i] | host;
	}
}
