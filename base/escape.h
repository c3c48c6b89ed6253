/* escape.h: bytes as readable text, and back. The one escape of the whole program.
 *
 * Owns:  nothing; results go into the caller's buf.
 * Form:  a backslash is "\\"; a byte below 0x20, 0x7f, and each byte of what is not valid UTF-8, of a C1
 *        control (U+0080..U+009F, terminals obey them) and of a text direction control (U+061C, U+200E,
 *        U+200F, U+202A..U+202E, U+2066..U+2069, which make text look like another text) is "\xNN" with
 *        two lowercase hex digits. Everything else stands for itself. Every byte string has exactly one
 *        such text, so texts can be compared instead of bytes.
 * Never: interprets names. The leading zero byte of an abstract unix name is "\x00" like any other.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/* Append the text of n bytes. 0, or -1 (ERR_NOMEM). */
int escape_add(struct buf *out, const void *data, size_t n, struct err *e);

/* Append the bytes of a text of n characters. 0, or -1 (ERR_FORMAT: a backslash that starts neither "\\"
 * nor "\xNN"; the message has its offset) with out as it was. Accepts uppercase digits and characters
 * that escape_add would have escaped, as hand-edited text may have them. */
int escape_undo(struct buf *out, const char *text, size_t n, struct err *e);

/* Append text for a terminal: as escape_add, but backslashes stay single, so that text which already is
 * escaped is not escaped twice. */
int escape_show(struct buf *out, const char *text, size_t n, struct err *e);

/* How many bytes text begins with that are ASCII and need no escape there: all of it, in nearly every text. */
size_t escape_plain(const char *text);

/* escape_show for text of several lines, which stay lines. */
int escape_show_lines(struct buf *out, const char *text, size_t n, struct err *e);

/* Is it exactly what escape_add makes of some bytes? */
bool escape_is_canonical(const char *text, size_t n);

/* Is this character one of those that are escaped (see Form)? */
bool escape_is_unsafe(unsigned cp);

/* Bytes of the well-formed UTF-8 character at the start of n bytes (RFC 3629: no overlong forms, no
 * surrogates, at most U+10FFFF), its number in *cp; 0 when there is none. */
size_t escape_utf8(const void *data, size_t n, unsigned *cp);
