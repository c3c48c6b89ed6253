/* Groups of SO_REUSEPORT: the kernel numbers their sockets as they are bound (UDP) or begin to listen (TCP), and programs
 * that choose among them go by that number. Files are made in the order of the list. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/u64map.h"
#include "restorer/sk_spec.h"

static int compare_groups(const struct sk_file *a, const struct sk_file *b)
{
	const int64_t x[] = {a->netns, a->family, a->type, a->protocol, a->local_len};
	const int64_t y[] = {b->netns, b->family, b->type, b->protocol, b->local_len};

	for (size_t i = 0; i < ARRAY_SIZE(x); i++)
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	return memcmp(&a->local, &b->local, sizeof(a->local));
}

static int compare_order(const void *a, const void *b)
{
	const struct sk_file *x = a, *y = b;
	int rc = compare_groups(x, y);

	return rc ? rc : (x->bind_order > y->bind_order) - (x->bind_order < y->bind_order);
}

/* Where its group begins. */
static size_t first_of_group(const struct sk_file *sorted, size_t n, const struct sk_file *f)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (compare_groups(&sorted[mid], f) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Those of a group take, in their order, the places that they had together. */
static int place(struct sk_specs *s, struct u64map *files, const struct sk_file *sorted, size_t n,
		 size_t *n_placed, struct err *e)
{
	for (size_t i = 0; i < s->n_files; i++) {
		struct sk_file *f = &s->files[i];
		size_t first;

		if (f->bind_order < 0)
			continue;
		first = first_of_group(sorted, n, f);
		*f = sorted[first + n_placed[first]++];
		if (u64map_put(files, f->file_id, (uint32_t)i, e))
			return -1;
	}
	return 0;
}

int sk_sort_groups(struct sk_specs *s, struct u64map *files, struct err *e)
{
	auto_free struct sk_file *sorted = calloc(s->n_files + 1, sizeof(*sorted));
	auto_free size_t *n_placed = calloc(s->n_files + 1, sizeof(*n_placed));
	size_t n = 0;

	if (!sorted || !n_placed)
		return err_set(e, ERR_NOMEM, "groups of SO_REUSEPORT");
	for (size_t i = 0; i < s->n_files; i++)
		if (s->files[i].bind_order >= 0)
			sorted[n++] = s->files[i];
	if (!n)
		return 0;
	qsort(sorted, n, sizeof(*sorted), compare_order);
	return place(s, files, sorted, n, n_placed, e);
}
