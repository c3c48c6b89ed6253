/* manifest.h: the list of the files of one of our images, with sizes and hashes: nsimg-files.img.
 *
 * Owns:  the list, and its form as a file: one entry per file in the order of the names, and last an entry
 *        without a name, the seal: the hash of all bytes of the file before it. So a changed bit and a
 *        missing end of the list itself show too. CRIU's format has no checksum anywhere.
 * Never: reads the files that it lists. Not for several threads at once.
 * Order: writing: manifest_add per file, manifest_pack. Reading: manifest_read, manifest_find;
 *        manifest_put and manifest_drop change it. manifest_free.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"

struct img_writer;

struct manifest_file {
	char *name;    /* owned; without folders */
	uint64_t size; /* bytes */
	char sha256[HASH_HEX_LEN + 1];
};

struct manifest {
	struct manifest_file *file;
	size_t n, cap;
	size_t n_sorted; /* the first ones are in the order of the names */
};

void manifest_free(struct manifest *m);

/* A file with these bytes. The list may not have its name yet. */
int manifest_add(struct manifest *m, const char *name, struct span bytes, struct err *e);

/* The same for a name that may be in the list: then its size and hash are replaced. */
int manifest_put(struct manifest *m, const char *name, struct span bytes, struct err *e);

/* The same for a file whose bytes are not at hand: its size and its hash as hex, which is copied. */
int manifest_put_hash(struct manifest *m, const char *name, uint64_t size, const char *sha256,
		      struct err *e);
void manifest_drop(struct manifest *m, const char *name);

/* Lent, valid until the list changes; NULL: not in it. */
const struct manifest_file *manifest_find(const struct manifest *m, const char *name);

/* Begin the file of the list in w, and put all of it: then img_write_end writes it. */
int manifest_pack(struct manifest *m, struct img_writer *w, struct err *e);

/* A list from the bytes of its file; name is for messages. -1 (ERR_FORMAT): damaged, m is empty. */
int manifest_read(struct manifest *m, const char *name, struct span bytes, struct err *e);

#define auto_manifest __attribute__((cleanup(manifest_free)))
