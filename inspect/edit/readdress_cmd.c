/* readdress_cmd.c: nsimg readdress. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "inspect/commands.h"
#include "inspect/edit/readdress.h"

/* Pairs up to the word "netns" or the end. *n: how many words they are. */
static int read_pairs(const char *const *words, unsigned n_words, struct remap *m, unsigned *n,
		      struct err *e)
{
	unsigned i = 0;

	while (i < n_words && strcmp(words[i], "netns") != 0)
		i++;
	*n = i;
	if (!i)
		return err_set(e, ERR_USAGE,
			       "which prefix, and where to? As in 10.0.0.0/24 10.1.0.0/24");
	if (i % 2)
		return err_set(e, ERR_USAGE,
			       "%s has no prefix to go to: prefixes come in pairs, OLD/LEN NEW/LEN",
			       words[i - 1]);
	for (i = 0; i < *n; i += 2)
		if (remap_add(m, words[i], words[i + 1], e))
			return -1;
	return remap_check(m, e);
}

static int read_netns(struct edit *x, const char *const *words, unsigned n, struct edit_ids *ids,
		      struct err *e)
{
	int64_t id;

	if (n == 1)
		return err_set(e, ERR_USAGE, "netns: which? A name as nsimg tree shows it");
	for (unsigned i = 1; i < n; i++)
		if (edit_find_netns(x, words[i], &id, e) || edit_ids_add(ids, id, e))
			return -1;
	return 0;
}

/* The networks that there are, for who mistyped one. */
static int nothing_found(struct edit *x, const struct remap *m, struct err *e)
{
	auto_query struct query *q = query_new(
		edit_db(x),
		"SELECT DISTINCT address || '/' || prefixlen FROM address WHERE image = :image AND "
		"scope <> 254 AND family = :family ORDER BY id LIMIT 6",
		e);
	auto_buf struct buf list = {0};
	const struct remap_pair *first = m->pair;
	char from[INET_PREFIX_MAX];
	unsigned n = 0;
	int rc;

	if (!first)
		return 0;
	remap_pair_text(first, false, from);
	if (!q || query_bind_int(q, "image", edit_image(x), e) ||
	    query_bind_int(q, "family", first->family, e))
		return -1;
	while ((rc = query_next(q, e)) == 1)
		if (n++ < 5 && buf_printf(&list, e, "%s%s", n > 1 ? ", " : "", query_text(q, 0)))
			return -1;
	if (rc)
		return -1;
	return err_set(e, ERR_NOTFOUND, "nothing here has an address in %s%s%s%s%s", from,
		       m->n > 1 ? " or the other prefixes" : "", n ? "; interfaces have " : "",
		       n ? (const char *)list.data : "", n > 5 ? ", ..." : "");
}

static void map_free(struct remap *m)
{
	remap_free(m);
}

int readdress_edit(struct edit *x, const struct cli *c, struct err *e)
{
	__attribute__((cleanup(map_free))) struct remap m = {0};
	struct readdress_opts o = {.map = &m, .merge = cli_has(c, "merge")};
	auto_edit_ids struct edit_ids netns = {0};
	unsigned n_words, n_pairs;
	const char *const *words = edit_words(c, 1, &n_words);
	size_t n;

	if (read_pairs(words, n_words, &m, &n_pairs, e) ||
	    (n_pairs < n_words && read_netns(x, words + n_pairs, n_words - n_pairs, &netns, e)))
		return -1;
	if (netns.n) {
		o.netns = netns.id;
		o.n_netns = netns.n;
	}
	if (readdress_apply(x, &o, &n, e))
		return -1;
	return n ? 0 : nothing_found(x, &m, e);
}

static const struct cli_opt options[] = {
	{"merge", 0, NULL, "let two addresses become one", false},
	EDIT_OPTIONS,
	{0},
};

const struct cmd cmd_readdress = {
	EDIT_CMD,
	.name = "readdress",
	.synopsis = "DB OLD/LEN NEW/LEN... [netns NAME...]",
	.summary = "move all addresses of a network to another one, everywhere",
	.opts = options,
	.min_args = 3,
	.max_args = CLI_ANY_ARGS,
};
