/* hash.h: SHA-256, the fingerprint of files and evidence, and other digests of bytes (libcrypto's).
 *
 * Owns:  the digest state behind struct hash.
 * Order: hash_new, hash_update any number of times, hash_final; after hash_final the handle is empty and
 *        can be used again. hash_free.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define HASH_HEX_LEN 64 /* characters of the text form, without the final zero */

struct hash;

/* An owned handle or NULL (ERR_NOMEM). */
struct hash *hash_new(struct err *e);
void hash_free(struct hash *h);

int hash_update(struct hash *h, const void *data, size_t n, struct err *e);

/* The digest as lowercase hex with a final zero. */
int hash_final(struct hash *h, char hex[static HASH_HEX_LEN + 1], struct err *e);

/* All three at once. */
int hash_bytes(const void *data, size_t n, char hex[static HASH_HEX_LEN + 1], struct err *e);

#define HASH_DIGEST_MAX 64

/* Another digest, by libcrypto's name for it ("md5", "sha1", "sha256"), as bytes, *len of them. -1: ERR_UNSUPPORTED
 * when this machine's libcrypto does not offer it. */
int hash_digest(const char *name, const void *data, size_t n, uint8_t out[static HASH_DIGEST_MAX],
		size_t *len, struct err *e);

static inline void hash_cleanup_(struct hash **h)
{
	hash_free(*h);
}
#define auto_hash __attribute__((cleanup(hash_cleanup_)))
