#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_free(struct buf *b)
{
	free(b->data);
	*b = (struct buf){0};
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	if (b->data)
		b->data[0] = 0;
}

int buf_reserve(struct buf *b, size_t n, struct err *e)
{
	size_t need, cap = b->cap ? b->cap : 256;
	uint8_t *p;

	if (__builtin_add_overflow(b->len, n, &need) || __builtin_add_overflow(need, 1, &need) ||
	    need > SIZE_MAX / 2)
		return err_set(e, ERR_NOMEM, "buffer of %zu bytes", n);
	if (need <= b->cap)
		return 0;
	while (cap < need)
		cap *= 2;
	p = realloc(b->data, cap);
	if (!p)
		return err_set(e, ERR_NOMEM, "buffer of %zu bytes", cap);
	b->data = p;
	b->cap = cap;
	b->data[b->len] = 0;
	return 0;
}

int buf_fit(struct buf *b, size_t n, struct err *e)
{
	if (b->data)
		return buf_reserve(b, n, e);
	b->data = malloc(n + 1);
	if (!b->data)
		return err_set(e, ERR_NOMEM, "buffer of %zu bytes", n);
	b->data[0] = 0;
	b->cap = n + 1;
	return 0;
}

int buf_add(struct buf *b, const void *data, size_t n, struct err *e)
{
	/* most pieces are small and there is room */
	if ((b->cap <= b->len || n >= b->cap - b->len) && buf_reserve(b, n, e))
		return -1;
	if (n)
		memcpy(b->data + b->len, data, n);
	b->len += n;
	b->data[b->len] = 0;
	return 0;
}

int buf_add_str(struct buf *b, const char *s, struct err *e)
{
	return buf_add(b, s, strlen(s), e);
}

/* What fits is written at once, since to ask for the length costs as much as to write. */
int buf_vprintf(struct buf *b, struct err *e, const char *fmt, va_list ap)
{
	va_list again;
	size_t room;
	int n, rc = 0;

	if (buf_reserve(b, 0, e))
		return -1;
	room = b->cap - b->len;
	va_copy(again, ap);
	n = vsnprintf((char *)b->data + b->len, room, fmt, ap);
	if (n < 0 || (size_t)n >= room)
		b->data[b->len] = 0;
	if (n < 0)
		rc = err_set(e, ERR_FORMAT, "cannot format '%s'", fmt);
	else if ((size_t)n >= room && !(rc = buf_reserve(b, (size_t)n, e)))
		vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, again);
	va_end(again);
	b->len += rc ? 0 : (size_t)n;
	return rc;
}

int buf_printf(struct buf *b, struct err *e, const char *fmt, ...)
{
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = buf_vprintf(b, e, fmt, ap);
	va_end(ap);
	return rc;
}

const char *buf_digits(char digits[static BUF_DIGITS], int64_t v)
{
	uint64_t left = v < 0 ? -(uint64_t)v : (uint64_t)v;
	char *at = digits + BUF_DIGITS - 1;

	*at = 0;
	do
		*--at = (char)('0' + left % 10);
	while (left /= 10);
	if (v < 0)
		*--at = '-';
	return at;
}

int buf_splice(struct buf *b, size_t off, size_t n, const void *data, size_t len, struct err *e)
{
	if (off > b->len || n > b->len - off)
		return err_set(e, ERR_RANGE, "splice of %zu bytes at %zu in a buffer of %zu", n,
			       off, b->len);
	if (len > n && buf_reserve(b, len - n, e))
		return -1;
	if (!b->data)
		return 0;
	memmove(b->data + off + len, b->data + off + n, b->len - off - n);
	if (len)
		memcpy(b->data + off, data, len);
	b->len = b->len - n + len;
	b->data[b->len] = 0;
	return 0;
}

bool span_is_zero(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.data[i])
			return false;
	return true;
}
