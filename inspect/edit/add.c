/* add.c: nsimg add: addresses, routes, rules and neighbours, in the words of ip(8). */
#include "inspect/edit/add_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "inspect/commands.h"

/* ---- where it goes ---- */

/* A namespace that is not named is the one that has the device, or the only one. */
static int find_netns(struct add *a, struct err *e)
{
	const struct edit_bind binds[] = {{"image", NULL, edit_image(a->x)}, {0}};
	auto_edit_ids struct edit_ids ids = {0};

	if (a->has_netns)
		return 0;
	if (edit_ids_query(a->x,
			   "SELECT id FROM netns WHERE image = :image AND NOT external LIMIT 2",
			   binds, &ids, e))
		return -1;
	if (ids.n != 1)
		return err_set(e, ERR_USAGE, "there are several namespaces: say netns NAME");
	a->netns = ids.id[0];
	return 0;
}

static int find_dev(struct add *a, struct err *e)
{
	char path[600];
	int64_t device;
	bool found;

	if (!a->has_dev)
		return find_netns(a, e);
	if (a->has_netns) {
		auto_buf struct buf name = {0};

		if (edit_name(a->x, "netns", a->netns, &name, e))
			return -1;
		snprintf(path, sizeof(path), "%.299s/%.299s", (const char *)name.data, a->dev);
	} else {
		snprintf(path, sizeof(path), "%.599s", a->dev);
	}
	if (edit_find_device(a->x, path, &device, e))
		return -1;
	const struct edit_bind binds[] = {{"id", NULL, device}, {0}};

	return edit_number(a->x, "SELECT netns FROM device WHERE id = :id", binds, &a->netns,
			   &found, e) ||
			       edit_number(a->x, "SELECT ifindex FROM device WHERE id = :id", binds,
					   &a->ifindex, &found, e)
		       ? -1
		       : 0;
}

/* ---- words ---- */

static const struct add_kind *const kinds[] = {&add_address, &add_route, &add_rule, &add_neighbour};

static const char *word_at(const void *arg, unsigned i)
{
	return ((const struct add_word *)arg)[i].word;
}

static const struct add_word *word_find(const struct add_kind *k, const char *word)
{
	for (const struct add_word *w = k->words; w->word; w++)
		if (!strcmp(w->word, word))
			return w;
	return NULL;
}

/* A word that is no keyword is part of the object, as long as it can be. */
static int put_object(struct add *a, const char *word, struct err *e)
{
	struct err why = ERR_INIT;
	const char *near;

	if (!a->kind->object(a, word, &why))
		return 0;
	near = cli_nearest(word, word_at, a->kind->words);
	if (near && strchr(word, '.') == NULL && strchr(word, ':') == NULL)
		return err_set(e, ERR_USAGE, "no word '%s'; did you mean '%s'?", word, near);
	*e = why;
	return -1;
}

static int put_hops(struct add *a, const char *const *words, unsigned n, struct err *e);

static int parse(struct add *a, const char *const *words, unsigned n, struct err *e)
{
	for (unsigned i = 0; i < n; i++) {
		const struct add_word *w = word_find(a->kind, words[i]);

		if (!w) {
			if (put_object(a, words[i], e))
				return -1;
			continue;
		}
		if (w->how == ADD_HOP)
			return put_hops(a, words + i, n - i, e);
		i += w->how == ADD_VIA && i + 2 < n &&
		     !words_find(WORDS_FAMILY, words[i + 1], &a->via_family);
		if (add_put_word(a, w, i + 1 < n ? words[i + 1] : NULL, e))
			return -1;
		i += w->how != ADD_FLAG;
	}
	return 0;
}

/* Of a route with one next hop the row has no list. */
static int take_hop(struct add *a, const struct add *hop, struct err *e)
{
	memcpy(a->via, hop->via, sizeof(a->via));
	a->via_len = hop->via_len;
	a->has_dev = hop->has_dev;
	a->dev = hop->dev;
	for (unsigned i = 0; i < hop->n; i++) {
		const struct add_value *v = &hop->value[i];

		if (strcmp(v->column, "weight") != 0 &&
		    (v->is_text ? add_put_text(a, v->column, v->text, e)
				: add_put_num(a, v->column, v->num, e)))
			return -1;
	}
	return 0;
}

/* As ip has them, next hops are the last words: nexthop WORD... nexthop WORD... */
static int put_hops(struct add *a, const char *const *words, unsigned n, struct err *e)
{
	const char *word = words[0];

	if (a->has_dev || add_has(a, "gateway") || add_has(a, "flags") || add_has(a, "nh_id"))
		return err_set(e, ERR_USAGE, "via, dev and onlink are words of each %s", word);
	for (unsigned at = 0, len; at < n; at += len) {
		struct add hop = {.x = a->x,
				  .kind = &add_hop,
				  .of = a,
				  .family = a->family,
				  .netns = a->netns,
				  .has_netns = a->has_netns};

		for (len = 1; at + len < n && strcmp(words[at + len], word) != 0;)
			len++;
		if (parse(&hop, words + at + 1, len - 1, e))
			return -1;
		if (len == n)
			return take_hop(a, &hop, e);
		if (find_dev(&hop, e) || hop.kind->finish(&hop, e))
			return -1;
		/* the others are of the same namespace */
		a->netns = hop.netns;
		a->has_netns = true;
	}
	return 0;
}

static void add_free(struct add *a)
{
	buf_free(&a->hops);
	buf_free(&a->metrics);
}

int add_edit(struct edit *x, const struct cli *c, struct err *e)
{
	__attribute__((cleanup(add_free))) struct add a = {.x = x};
	unsigned n;
	const char *const *words = edit_words(c, 1, &n);
	const struct edit_table *t = edit_table_find(words[0], e);

	if (!t)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(kinds[i]->table, t->name))
			a.kind = kinds[i];
	if (!a.kind)
		return err_set(e, ERR_UNSUPPORTED,
			       "a %s cannot be added; what can: address, route, rule, neighbour",
			       t->name);
	return parse(&a, words + 1, n - 1, e) || find_dev(&a, e) || a.kind->finish(&a, e) ? -1 : 0;
}

static const struct cli_opt options[] = {EDIT_OPTIONS, {0}};

const struct cmd cmd_add = {
	EDIT_CMD,
	.name = "add",
	.synopsis = "DB address|route|rule|neighbour WORD...",
	.summary = "an address, a route, a rule, a neighbour, in the words of ip",
	.opts = options,
	.min_args = 3,
	.max_args = CLI_ANY_ARGS,
};
