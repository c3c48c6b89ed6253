/* arena.h: many small texts that live as long as their owner, and are freed at once.
 *
 * Owns:  the texts.
 * Order: a zeroed struct arena, any number of arena_text, arena_free.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"

struct arena {
	struct arena_block *last; /* the one that still has room */
};

/* A copy of n bytes, and a zero byte behind them: lent until arena_free. NULL: ERR_NOMEM. */
char *arena_text(struct arena *a, const char *text, size_t n, struct err *e);

void arena_free(struct arena *a);
