/* buf.h: a growable run of bytes, and a borrowed one.
 *
 * Owns:  the bytes behind struct buf. A zeroed struct buf is empty and valid; buf_free leaves it so.
 * Note:  data is always followed by a zero byte once something was added, so text in a buf is a C
 *        string.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct buf {
	uint8_t *data;
	size_t len, cap; /* bytes */
};

/* Borrowed bytes: who lends them says how long they live. */
struct span {
	const uint8_t *data;
	size_t len;
};

#define auto_buf __attribute__((cleanup(buf_free)))

void buf_free(struct buf *b);

/* Forget the content, keep the memory. */
void buf_reset(struct buf *b);

/* Room for n more bytes (and a final zero). 0, or -1 (ERR_NOMEM). */
int buf_reserve(struct buf *b, size_t n, struct err *e);

/* Memory for n bytes (and a final zero) and no more, in an empty buf: for small ones that are many and stay as they
 * are. 0, or -1 (ERR_NOMEM). */
int buf_fit(struct buf *b, size_t n, struct err *e);

/* Append. 0, or -1 (ERR_NOMEM) with b as it was. */
int buf_add(struct buf *b, const void *data, size_t n, struct err *e);
int buf_add_str(struct buf *b, const char *s, struct err *e);
int buf_printf(struct buf *b, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int buf_vprintf(struct buf *b, struct err *e, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));

/* The decimal digits of v, at the end of the room: much faster than printf, for numbers that are many. */
enum { BUF_DIGITS = 24 };
const char *buf_digits(char digits[static BUF_DIGITS], int64_t v);

/* Replace n bytes at off by len bytes of data (either may be 0). off + n must lie inside b. */
int buf_splice(struct buf *b, size_t off, size_t n, const void *data, size_t len, struct err *e);

/* Not one bit in it; so of nothing, too. */
bool span_is_zero(struct span s);

static inline struct span buf_span(const struct buf *b)
{
	return (struct span){b->data, b->len};
}
