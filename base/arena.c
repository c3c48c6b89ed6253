#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK_SIZE = 64 << 10 };

struct arena_block {
	struct arena_block *before;
	size_t used, size;
	char bytes[];
};

static struct arena_block *block_new(struct arena *a, size_t n, struct err *e)
{
	size_t size = n > BLOCK_SIZE ? n : BLOCK_SIZE;
	struct arena_block *b = malloc(sizeof(*b) + size);

	if (!b) {
		err_set(e, ERR_NOMEM, "text of %zu bytes", n);
		return NULL;
	}
	b->before = a->last;
	b->used = 0;
	b->size = size;
	a->last = b;
	return b;
}

char *arena_text(struct arena *a, const char *text, size_t n, struct err *e)
{
	struct arena_block *b = a->last;
	char *copy;

	if (!b || b->size - b->used <= n)
		b = block_new(a, n + 1, e);
	if (!b)
		return NULL;
	copy = b->bytes + b->used;
	memcpy(copy, text, n);
	copy[n] = 0;
	b->used += n + 1;
	return copy;
}

void arena_free(struct arena *a)
{
	while (a->last) {
		struct arena_block *before = a->last->before;

		free(a->last);
		a->last = before;
	}
}
