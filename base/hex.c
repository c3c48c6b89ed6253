#include "base/hex.h"

int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int hex_add(struct buf *out, const void *data, size_t n, struct err *e)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *b = data;

	if (buf_reserve(out, 2 * n + 1, e))
		return -1;
	for (size_t i = 0; i < n; i++) {
		out->data[out->len++] = (uint8_t)digits[b[i] >> 4];
		out->data[out->len++] = (uint8_t)digits[b[i] & 15];
	}
	out->data[out->len] = '\0';
	return 0;
}

bool hex_read(const char *text, size_t n, void *out)
{
	uint8_t *b = out;

	for (size_t i = 0; i + 1 < n; i += 2) {
		int hi = hex_digit(text[i]), lo = hex_digit(text[i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		b[i / 2] = (uint8_t)(hi << 4 | lo);
	}
	return n % 2 == 0;
}

int hex_undo(struct buf *out, const char *text, size_t n, struct err *e)
{
	if (buf_reserve(out, n / 2 + 1, e))
		return -1;
	if (!hex_read(text, n, out->data + out->len)) {
		out->data[out->len] = '\0';
		return 0;
	}
	out->len += n / 2;
	out->data[out->len] = '\0';
	return 1;
}
