/* hex.h: bytes as hex digits, two each, and back.
 *
 * Owns:  nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/* The value of a digit of either case, or -1. */
int hex_digit(char c);

/* Append n bytes as lowercase digits. */
int hex_add(struct buf *out, const void *data, size_t n, struct err *e);

/* n digits into n / 2 bytes. False: something else is there, or half a byte; what is in out then is anything. */
bool hex_read(const char *text, size_t n, void *out);

/* Append what n digits stand for. 1, 0: as hex_read says false, with out as it was; -1 (ERR_NOMEM). */
int hex_undo(struct buf *out, const char *text, size_t n, struct err *e);
