/* externalize.c: nsimg externalize: a namespace becomes one that CRIU is given at restore time. */
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "inspect/commands.h"
#include "inspect/edit/edit.h"

/* CRIU looks a namespace up by its key among its --inherit-fd, so two must not share one. */
static int check_key(struct edit *x, int64_t netns, const char *key, struct err *e)
{
	auto_query struct query *q = NULL;
	int rc;

	if (!*key || !escape_is_canonical(key, strlen(key)))
		return err_set(e, ERR_USAGE,
			       "the key is %s: any word goes, criu restore gets it as --inherit-fd "
			       "'fd[N]:KEY'",
			       *key ? "not one line of text" : "empty");
	q = query_new(edit_db(x),
		      "SELECT coalesce(name, 'ns' || ns_id) FROM netns WHERE image = :image AND "
		      "ext_key = "
		      ":key AND id <> :netns",
		      e);
	if (!q || query_bind_int(q, "image", edit_image(x), e) ||
	    query_bind_text(q, "key", key, e) || query_bind_int(q, "netns", netns, e))
		return -1;
	rc = query_next(q, e);
	return rc > 0 ? err_set(e, ERR_CONFLICT,
				"namespace %s has the key '%s' already: each needs its own",
				query_text(q, 0), key)
		      : rc;
}

/* Everything that has the number of a namespace. */
#define ALL " AND :image + :netns + :from + :to IS NOT NULL"
static const char *const renumber[] = {
	/* first: a number that no namespace has is refused (imgdb/checks.c) */
	"UPDATE netns SET ns_id = :to WHERE id = :netns" ALL,
	"UPDATE task SET ns_id = :to WHERE netns = :netns" ALL,
	"UPDATE socket SET ns_id = :to WHERE netns = :netns" ALL,
	"UPDATE tun_file SET ns_id = :to WHERE netns = :netns" ALL,
	"UPDATE ns_file SET ns_id = :to WHERE image = :image AND ns_id = :from AND cflag = "
	"0x40000000" ALL,
	"UPDATE unix_socket SET peer_ns_id = :to WHERE peer_ns_id = :from AND socket IN (SELECT id "
	"FROM "
	"socket WHERE image = :image)" ALL,
};

/* The namespace of CRIU itself has a number and no image. To be given one, it needs another number than that of
 * CRIU's own (inventory.root_ids), which all that lives in it has then, and an image with the key. */
static int make_foreign(struct edit *x, int64_t netns, int64_t from, struct err *e)
{
	const struct edit_bind image[] = {{"image", NULL, edit_image(x)}, {0}};
	int64_t to = 0;
	bool found;

	/* CRIU numbers namespaces of all kinds together */
	if (edit_number(
		    x,
		    "SELECT max(n) + 1 FROM (SELECT max(ns_id) AS n FROM netns WHERE image = "
		    ":image "
		    "UNION ALL SELECT max(ns_id) FROM userns WHERE image = :image UNION ALL SELECT "
		    "max(max(coalesce(pidns, 0), coalesce(mntns, 0), coalesce(userns, 0))) FROM "
		    "task "
		    "WHERE image = :image UNION ALL SELECT max(number) FROM image_file WHERE image "
		    "= "
		    ":image AND name GLOB '*ns-*')",
		    image, &to, &found, e))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(renumber); i++) {
		const struct edit_bind binds[] = {{"to", NULL, to},
						  {"netns", NULL, netns},
						  {"image", NULL, edit_image(x)},
						  {"from", NULL, from},
						  {0}};

		if (edit_exec(x, renumber[i], binds, e))
			return -1;
	}
	return 0;
}

/* What CRIU does not make in a namespace that it is given. */
static int say_what_stays(struct edit *x, int64_t netns, const char *name, struct err *e)
{
	const struct edit_bind binds[] = {{"netns", NULL, netns}, {0}};
	int64_t n;
	bool found;

	if (edit_number(x, "SELECT count(*) FROM device WHERE netns = :netns AND name <> 'lo'",
			binds, &n, &found, e) ||
	    (n &&
	     edit_left(x, e, name,
		       "its %" PRId64
		       " devices with their addresses, routes, rules and sysctls stay in "
		       "the image and CRIU makes none of them: give it a namespace that has them "
		       "(nsimg restore --no-tasks makes one)",
		       n)))
		return -1;
	if (edit_number(x, "SELECT count(*) FROM tun_file WHERE netns = :netns", binds, &n, &found,
			e))
		return -1;
	return n ? edit_left(x, e, name,
			     "CRIU cannot attach %" PRId64
			     " tun descriptors in a namespace that it is given "
			     "(No tun device for file); nsimg restore --criu hands them over",
			     n)
		 : 0;
}

int externalize(struct edit *x, int64_t netns, const char *key, struct err *e)
{
	const struct edit_bind id[] = {{"netns", NULL, netns}, {0}};
	const struct edit_bind set[] = {{"netns", NULL, netns}, {"key", key, 0}, {0}};
	int64_t ns_id;
	bool is_caller;

	if (check_key(x, netns, key, e) ||
	    edit_number(x, "SELECT ns_id FROM netns WHERE id = :netns AND file IS NULL", id, &ns_id,
			&is_caller, e) ||
	    (is_caller && make_foreign(x, netns, ns_id, e)) ||
	    edit_exec(x,
		      "UPDATE netns SET ext_key = :key, external = 1 WHERE id = :netns AND "
		      "(ext_key IS "
		      "NOT :key OR NOT external)",
		      set, e))
		return -1;
	return 0;
}

int externalize_edit(struct edit *x, const struct cli *c, struct err *e)
{
	const char *name = cli_arg(c, 1);
	int64_t netns;

	return edit_find_netns(x, name, &netns, e) || externalize(x, netns, cli_arg(c, 2), e) ||
			       say_what_stays(x, netns, name, e)
		       ? -1
		       : 0;
}

static const struct cli_opt options[] = {EDIT_OPTIONS, {0}};

const struct cmd cmd_externalize = {
	EDIT_CMD,
	.name = "externalize",
	.synopsis = "DB NETNS KEY",
	.summary = "make a namespace one that is given to CRIU at restore",
	.opts = options,
	.min_args = 3,
	.max_args = 3,
};
