/* images.c: nsimg images: what a database holds. */
#include <string.h>

#include "base/cleanup.h"
#include "imgdb/evidence.h"
#include "imgdb/oplog.h"
#include "inspect/commands.h"
#include "inspect/rows.h"

static const struct table_col cols[] = {
	{"id", TABLE_INT, TABLE_RIGHT},
	{"name", TABLE_STR, 0},
	{"format", TABLE_STR, 0},
	{"dumped", TABLE_STR, 0},
	{"host", TABLE_STR, 0},
	{"kernel", TABLE_STR, TABLE_HIDDEN},
	{"arch", TABLE_STR, TABLE_HIDDEN},
	{"files", TABLE_INT, TABLE_RIGHT},
	{"bytes", TABLE_INT, TABLE_RIGHT},
	{"netns", TABLE_INT, TABLE_RIGHT},
	{"tasks", TABLE_INT, TABLE_RIGHT},
	{"sockets", TABLE_INT, TABLE_RIGHT},
	{"damaged", TABLE_INT, TABLE_RIGHT},
	{"losses", TABLE_INT, TABLE_RIGHT},
	{"edits", TABLE_INT, TABLE_RIGHT},
	{"evidence", TABLE_STR, TABLE_SHRINK},
	{"source", TABLE_STR, TABLE_SHRINK},
	{"source_kind", TABLE_STR, TABLE_HIDDEN},
	{"dump_tool", TABLE_STR, TABLE_HIDDEN},
	{"dump_target", TABLE_STR, TABLE_HIDDEN},
	{"boot_id", TABLE_STR, TABLE_HIDDEN},
	{"imported", TABLE_STR, TABLE_HIDDEN},
	{"imported_by", TABLE_STR, TABLE_HIDDEN},
	{"tool", TABLE_STR, TABLE_HIDDEN},
};

/* The edit log belongs to the file; an edited row names its image by the row it changed, which may be gone,
 * so edits are counted for the file, and shown with every image of it. */
static const char sql[] =
	"SELECT i.id, i.name, i.format, i.dumped_at, i.host, i.kernel, i.arch,"
	" (SELECT count(*) FROM image_file f WHERE f.image = i.id),"
	" (SELECT coalesce(sum(f.size), 0) FROM image_file f WHERE f.image = i.id),"
	" (SELECT count(*) FROM netns n WHERE n.image = i.id),"
	" (SELECT count(*) FROM task t WHERE t.image = i.id),"
	" (SELECT count(*) FROM socket s WHERE s.image = i.id),"
	/* files, and the archive itself */
	" (SELECT count(DISTINCT o.object) FROM note o WHERE o.image = i.id AND o.kind = 'damage'),"
	" (SELECT count(*) FROM note o WHERE o.image = i.id AND o.kind = 'loss'),"
	" (SELECT count(*) FROM edit_log WHERE " OPLOG_IN_FORCE "),"
	" i.evidence, i.source, i.source_kind, i.dump_tool, i.dump_target, i.boot_id, "
	"i.imported_at,"
	" i.imported_by, i.tool"
	" FROM image i WHERE :image = 0 OR i.id = :image ORDER BY i.id";

/* ---- --verify ---- */

static const struct table_col verify_cols[] = {
	{"file", TABLE_STR, 0},
	{"state", TABLE_STR, 0},
	{"sha256", TABLE_STR, TABLE_SHRINK},
	{"now", TABLE_STR, TABLE_HIDDEN},
};

struct verified {
	struct table *t;
	unsigned n_other; /* not the same */
};

static int add_file(void *arg, const char *name, const char *state, const char *sha256,
		    const char *now, struct err *e)
{
	struct verified *v = arg;

	v->n_other += strcmp(state, "same") != 0;
	return table_row(v->t, e) || table_cell(v->t, 0, name, e) ||
			       table_cell(v->t, 1, state, e) || table_cell(v->t, 2, sha256, e) ||
			       table_cell(v->t, 3, now, e)
		       ? -1
		       : 0;
}

static int verify_run(const struct cli *c, struct err *e)
{
	auto_table struct table *t = table_new(verify_cols, ARRAY_SIZE(verify_cols), e);
	struct verified v = {.t = t};
	auto_db struct db *db = NULL;
	int64_t image;

	db = t ? rows_open(c, 0, &image, e) : NULL;
	if (!db || evidence_verify(db, image, cli_value(c, "verify"), add_file, &v, e) ||
	    cli_print_table(c, t, e))
		return -1;
	return v.n_other > 0;
}

static int images_run(struct cli *c, struct err *e)
{
	auto_db struct db *db = NULL;
	int64_t image = 0;

	if (cli_has(c, "verify"))
		return verify_run(c, e);
	db = rows_open(c, 0, NULL, e);
	if (!db || cli_image(c, &image, e) || (image && db_image_pick(db, image, &image, e)))
		return -1;
	return rows_print(c, db, sql, image, cols, ARRAY_SIZE(cols), e);
}

static const struct cli_opt images_opts[] = {
	{"verify", 'V', "PATH", "hash the files of an image again, in this folder or archive",
	 false},
	{0},
};

const struct cmd cmd_images = {
	.name = "images",
	.synopsis = "DB",
	.summary = "what the database holds: images with origin, hash, damage, edits",
	.run = images_run,
	.opts = images_opts,
	.flags = CMD_DATABASE | CMD_OUTPUT | CMD_IMAGE,
	.min_args = 1,
	.max_args = 1,
};
