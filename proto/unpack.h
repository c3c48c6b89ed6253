/* unpack.h: the bytes of a file that may be compressed (gzip, zstd or xz), as far as they can be had.
 *
 * Owns:  the open file, its SHA-256 while it is read, the state of the decompressor.
 * Never: holds back bytes that come before damage. (The filters of libarchive do: of the piece of 64 KiB or more
 *        in which a stream ends early or is damaged they give nothing.) Memory has a bound whatever the file says.
 * Order: unpack_open; unpack_read until it gives nothing or fails; unpack_digest; unpack_free.
 * Streams one after the other are one, as gzip(1), zstd(1) and xz(1) have it; what is not compressed is passed on.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct unpack;

/* An owned handle or NULL. ERR_NOTFOUND, ERR_IO; ERR_FORMAT: neither a file nor a pipe. */
struct unpack *unpack_open(const char *path, struct err *e);
void unpack_free(struct unpack *u);

/* The next bytes, lent until the next call: 0 with *n 0 at the end; -1 after the last byte before the damage
 * (ERR_FORMAT, the message says of what, without the path), or ERR_IO. It stays so when called again. */
int unpack_read(struct unpack *u, const uint8_t **data, size_t *n, struct err *e);

/* SHA-256 and size of the file as it is, read to its end. */
int unpack_digest(struct unpack *u, char hex[65], uint64_t *size, struct err *e);

static inline void unpack_cleanup_(struct unpack **u)
{
	unpack_free(*u);
}
#define auto_unpack __attribute__((cleanup(unpack_cleanup_)))
