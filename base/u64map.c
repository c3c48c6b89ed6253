#include "base/u64map.h"

#include <stdlib.h>

void u64map_free(struct u64map *m)
{
	free(m->slots);
	*m = (struct u64map){0};
}

uint64_t u64map_text(uint64_t h, const char *text)
{
	do
		h = (h ^ (unsigned char)*text) * 0x100000001b3u;
	while (*text++);
	return h;
}

/* The slot of key, or the free slot where it belongs. cap must not be 0. */
static struct u64map_slot *u64map_slot(const struct u64map *m, uint64_t key)
{
	size_t i = (size_t)((key * 0x9e3779b97f4a7c15ull) >> 20) & (m->cap - 1);

	while (m->slots[i].used && m->slots[i].key != key)
		i = (i + 1) & (m->cap - 1);
	return &m->slots[i];
}

bool u64map_find(const struct u64map *m, uint64_t key, uint32_t *value)
{
	const struct u64map_slot *s;

	if (!m->cap)
		return false;
	s = u64map_slot(m, key);
	if (s->used)
		*value = s->value;
	return s->used;
}

static int u64map_grow(struct u64map *m, struct err *e)
{
	struct u64map bigger = {NULL, m->n, m->cap ? m->cap * 2 : 64};

	bigger.slots = calloc(bigger.cap, sizeof(*bigger.slots));
	if (!bigger.slots)
		return err_set(e, ERR_NOMEM, "map of %zu entries", bigger.cap);
	for (size_t i = 0; i < m->cap; i++)
		if (m->slots[i].used)
			*u64map_slot(&bigger, m->slots[i].key) = m->slots[i];
	free(m->slots);
	*m = bigger;
	return 0;
}

int u64map_put(struct u64map *m, uint64_t key, uint32_t value, struct err *e)
{
	struct u64map_slot *s;

	if (m->n * 4 >= m->cap * 3 && u64map_grow(m, e))
		return -1;
	s = u64map_slot(m, key);
	m->n += !s->used;
	*s = (struct u64map_slot){key, value, true};
	return 0;
}
