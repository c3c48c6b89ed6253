#include "base/hash.h"

#include <openssl/evp.h>
#include <stdint.h>

static int hash_fail(struct err *e)
{
	return err_set(e, ERR_NOMEM,
		       "SHA-256: libcrypto refused (out of memory, or SHA-256 disabled "
		       "by the system's OpenSSL configuration)");
}

/* struct hash is libcrypto's context; the name keeps its header out of everybody else's sight. */
static EVP_MD_CTX *ctx_of(struct hash *h)
{
	return (EVP_MD_CTX *)h;
}

struct hash *hash_new(struct err *e)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (!ctx || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1) {
		EVP_MD_CTX_free(ctx);
		hash_fail(e);
		return NULL;
	}
	return (struct hash *)ctx;
}

void hash_free(struct hash *h)
{
	EVP_MD_CTX_free(ctx_of(h));
}

int hash_update(struct hash *h, const void *data, size_t n, struct err *e)
{
	return EVP_DigestUpdate(ctx_of(h), data, n) == 1 ? 0 : hash_fail(e);
}

int hash_final(struct hash *h, char hex[static HASH_HEX_LEN + 1], struct err *e)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t md[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (EVP_DigestFinal_ex(ctx_of(h), md, &len) != 1 || len * 2 != HASH_HEX_LEN ||
	    EVP_DigestInit_ex(ctx_of(h), NULL, NULL) != 1)
		return hash_fail(e);
	for (unsigned i = 0; i < len; i++) {
		hex[2 * i] = digits[md[i] >> 4];
		hex[2 * i + 1] = digits[md[i] & 15];
	}
	hex[HASH_HEX_LEN] = 0;
	return 0;
}

int hash_bytes(const void *data, size_t n, char hex[static HASH_HEX_LEN + 1], struct err *e)
{
	auto_hash struct hash *h = hash_new(e);

	if (!h || hash_update(h, data, n, e))
		return -1;
	return hash_final(h, hex, e);
}

int hash_digest(const char *name, const void *data, size_t n, uint8_t out[static HASH_DIGEST_MAX],
		size_t *len, struct err *e)
{
	const EVP_MD *md = EVP_get_digestbyname(name);
	unsigned got = 0;

	_Static_assert(HASH_DIGEST_MAX >= EVP_MAX_MD_SIZE, "room for any digest");
	if (!md || EVP_Digest(data, n, out, &got, md, NULL) != 1)
		return err_set(e, ERR_UNSUPPORTED, "%s: libcrypto does not offer it here", name);
	*len = got;
	return 0;
}
