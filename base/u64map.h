/* u64map.h: a hash map from a 64-bit key (an inode, a cookie) to a 32-bit value.
 *
 * Owns:  its table. A zeroed struct u64map is empty and valid.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct u64map {
	struct u64map_slot {
		uint64_t key;
		uint32_t value;
		bool used;
	} * slots;
	size_t n, cap; /* cap is 0 or a power of two */
};

void u64map_free(struct u64map *m);

/* A key made of texts, each with the zero that ends it: h is U64MAP_TEXT, or what came of the text before (FNV-1a). Two texts
 * may have the same. */
#define U64MAP_TEXT 0xcbf29ce484222325u
uint64_t u64map_text(uint64_t h, const char *text);

/* True and *value filled when key is there. */
bool u64map_find(const struct u64map *m, uint64_t key, uint32_t *value);

/* Add key or change its value. 0, or -1 (ERR_NOMEM) with m as it was. */
int u64map_put(struct u64map *m, uint64_t key, uint32_t value, struct err *e);
