#include "base/escape.h"

#include <stdint.h>
#include <string.h>

#include "base/hex.h"

/* Lead byte ranges of RFC 3629, section 4: the bounds of the second byte exclude overlong forms and
 * surrogates; further bytes are 80..BF. */
static const struct utf8_row {
	uint8_t lead_min, lead_max, second_min, second_max, len;
} utf8_rows[] = {
	{0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
	{0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
	{0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

/* Characters that terminals or readers are misled by, beyond ASCII. */
static const struct {
	unsigned min, max;
} unsafe_ranges[] = {
	{0x80, 0x9f}, {0x61c, 0x61c}, {0x200e, 0x200f}, {0x202a, 0x202e}, {0x2066, 0x2069},
};

static const struct utf8_row *utf8_row_of(uint8_t lead)
{
	for (size_t i = 0; i < sizeof(utf8_rows) / sizeof(*utf8_rows); i++) {
		if (lead >= utf8_rows[i].lead_min && lead <= utf8_rows[i].lead_max)
			return &utf8_rows[i];
	}
	return NULL;
}

size_t escape_utf8(const void *data, size_t n, unsigned *cp)
{
	const uint8_t *p = data;
	const struct utf8_row *row;

	if (n == 0)
		return 0;
	if (p[0] < 0x80) {
		*cp = p[0];
		return 1;
	}
	row = utf8_row_of(p[0]);
	if (!row || n < row->len || p[1] < row->second_min || p[1] > row->second_max)
		return 0;
	*cp = p[0] & (0x7fu >> row->len);
	for (size_t i = 1; i < row->len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*cp = *cp << 6 | (p[i] & 0x3f);
	}
	return row->len;
}

bool escape_is_unsafe(unsigned cp)
{
	if (cp < 0x20 || cp == 0x7f)
		return true;
	for (size_t i = 0; i < sizeof(unsafe_ranges) / sizeof(*unsafe_ranges); i++) {
		if (cp >= unsafe_ranges[i].min && cp <= unsafe_ranges[i].max)
			return true;
	}
	return false;
}

/* Length of the run at p that stands for itself; 0 when *len bytes at p must be escaped. */
static size_t plain_run(const uint8_t *p, size_t n, bool keep_backslash, size_t *len)
{
	size_t at = 0;

	while (at < n) {
		unsigned cp = 0;
		size_t k;

		/* nearly all of every text */
		if (p[at] >= 0x20 && p[at] < 0x7f && p[at] != '\\') {
			at++;
			continue;
		}
		k = escape_utf8(p + at, n - at, &cp);
		*len = k ? k : 1;
		if (!k || escape_is_unsafe(cp) || (cp == '\\' && !keep_backslash))
			break;
		at += k;
	}
	return at;
}

static int escape_bytes(struct buf *out, const uint8_t *p, size_t n, struct err *e)
{
	if (*p == '\\')
		return buf_add(out, "\\\\", 2, e);
	for (size_t i = 0; i < n; i++) {
		if (buf_printf(out, e, "\\x%02x", p[i]))
			return -1;
	}
	return 0;
}

static int escape_run(struct buf *out, const void *data, size_t n, bool keep_backslash,
		      struct err *e)
{
	const uint8_t *p = data;

	/* reserve makes the result a C string also when nothing is added */
	if (buf_reserve(out, n, e))
		return -1;
	while (n > 0) {
		size_t len = 0, run = plain_run(p, n, keep_backslash, &len);

		if (run ? buf_add(out, p, run, e) : escape_bytes(out, p, len, e))
			return -1;
		p += run ? run : len;
		n -= run ? run : len;
	}
	return 0;
}

int escape_add(struct buf *out, const void *data, size_t n, struct err *e)
{
	return escape_run(out, data, n, false, e);
}

int escape_show(struct buf *out, const char *text, size_t n, struct err *e)
{
	return escape_run(out, text, n, true, e);
}

size_t escape_plain(const char *text)
{
	size_t n = 0;

	while (text[n] >= 0x20 && text[n] < 0x7f)
		n++;
	return n;
}

/* The byte that the escape at text stands for and its length in *len, or -1. */
static int unescape_one(const char *text, size_t n, size_t *len)
{
	if (n >= 2 && text[1] == '\\') {
		*len = 2;
		return '\\';
	}
	if (n >= 4 && text[1] == 'x' && hex_digit(text[2]) >= 0 && hex_digit(text[3]) >= 0) {
		*len = 4;
		return hex_digit(text[2]) << 4 | hex_digit(text[3]);
	}
	return -1;
}

int escape_undo(struct buf *out, const char *text, size_t n, struct err *e)
{
	size_t start = out->len, at = 0;

	if (buf_fit(out, n, e))
		return -1;
	while (at < n) {
		const char *next = memchr(text + at, '\\', n - at);
		size_t plain = next ? (size_t)(next - text) - at : n - at, len;
		int byte;
		uint8_t b;

		if (buf_add(out, text + at, plain, e))
			return -1;
		at += plain;
		if (!next)
			break;
		byte = unescape_one(next, n - at, &len);
		if (byte < 0) {
			out->len = start;
			out->data[start] = 0;
			return err_set(
				e, ERR_FORMAT,
				"bad escape at offset %zu: a backslash is written \\\\, a byte "
				"\\xNN",
				at);
		}
		b = (uint8_t)byte;
		if (buf_add(out, &b, 1, e))
			return -1;
		at += len;
	}
	return 0;
}

int escape_show_lines(struct buf *out, const char *text, size_t n, struct err *e)
{
	for (size_t at = 0, line; at < n; at += line) {
		const char *end = memchr(text + at, '\n', n - at);

		line = end ? (size_t)(end - text) - at : n - at;
		if (escape_show(out, text + at, line, e) || (end && buf_add(out, "\n", 1, e)))
			return -1;
		line += end ? 1 : 0;
	}
	return 0;
}

bool escape_is_canonical(const char *text, size_t n)
{
	struct err e = ERR_INIT;
	auto_buf struct buf bytes = {0}, again = {0};

	return !escape_undo(&bytes, text, n, &e) &&
	       !escape_add(&again, bytes.data, bytes.len, &e) && again.len == n &&
	       (n == 0 || memcmp(again.data, text, n) == 0);
}
