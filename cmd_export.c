/* cmd_export.c: `nsimg export`: an image of the database as a checkpoint, unless edits broke it.
 *
 * What nsimg check finds now and did not find in the image as it came in is new damage, and is refused. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/caps.h"
#include "base/cleanup.h"
#include "base/escape.h"
#include "base/progress.h"
#include "base/sandbox.h"
#include "base/stop.h"
#include "commands.h"
#include "imgdb/export.h"
#include "imgdb/record.h"
#include "inspect/check/check_edits.h"
#include "inspect/check/check_name.h"

/* The folder that a path is in. */
static int folder_of(const char *path, struct buf *folder, struct err *e)
{
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		len--;
	while (len > 0 && path[len - 1] != '/')
		len--;
	return len ? buf_add(folder, path, len, e) : buf_add_str(folder, ".", e);
}

/* ---- new damage ---- */

static int refuse(struct db *db, const struct check_finding *f, size_t more, struct err *e)
{
	auto_edit_labels struct edit_labels *l = edit_labels_new(db, 0, e);
	auto_buf struct buf object = {0}, rest = {0};

	if (!l || check_object(l, db, f, &object, e) ||
	    (more && buf_printf(&rest, e,
				"\nand %zu more that the image did not have before "
				"(nsimg check lists them)",
				more)))
		return -1;
	return err_set(
		e, ERR_CONFLICT,
		"edits made the image one that cannot be restored: %s: %s%s%s: %s\nto do: %s; "
		"--force writes it as it is%s",
		f->code->code, (const char *)object.data, f->detail ? ": " : "",
		f->detail ? f->detail : "", f->code->sentence, f->code->advice,
		more ? (const char *)rest.data : "");
}

/* The first column that would be lost is enough to refuse (record_lost_fn). */
static int refuse_lost(void *arg, const char *table, int64_t row, const char *column, struct err *e)
{
	struct db *db = arg;
	auto_edit_labels struct edit_labels *l = edit_labels_new(db, 0, e);
	auto_buf struct buf object = {0};

	if (!l || edit_label(l, table, row, NULL, &object, e))
		return -1;
	return err_set(e, ERR_CONFLICT,
		       "%s %s: %s was edited, and its record in the image has no field for it: the "
		       "export would lose that (nsimg restore takes it from the database; --force "
		       "leaves it out)",
		       table, (const char *)object.data, column);
}

static int check_edits(struct db *db, int64_t image, struct err *e)
{
	auto_check_edits struct check_edits *edits = check_edits_new(db, e);
	auto_check struct check_list *news = edits ? check_edits_find(edits, db, image, e) : NULL;

	if (!news)
		return err_wrap(e, "whether edits made errors in the image cannot be told (--force "
				   "writes it all the same)");
	if (check_n(news))
		return refuse(db, check_at(news, 0), check_n(news) - 1, e);
	return record_lost(db, image, 0, refuse_lost, db, e);
}

/* ---- the command ---- */

/* The walls that base/cli.c puts around other commands, with more folders in them: the one in which the image is
 * made, and the one that the database names as source. */
static int limit(struct cli *c, struct db *db, int64_t image, const struct export_opts *opts,
		 struct err *e)
{
	auto_buf struct buf source = {0}, folder = {0};
	struct sandbox_path paths[3];
	size_t n = 0;

	if (export_source(db, image, opts, &source, e) || folder_of(cli_arg(c, 1), &folder, e))
		return -1;
	paths[n++] = (struct sandbox_path){cli_arg(c, 0), SANDBOX_READ};
	/* an image from an archive may have links in it */
	paths[n++] = (struct sandbox_path){(const char *)folder.data, SANDBOX_WRITE_LINKS};
	if (source.len)
		paths[n++] = (struct sandbox_path){(const char *)source.data, SANDBOX_READ};
	if (caps_keep_files(e))
		return -1;
	return sandbox_enter(paths, n, 0, e);
}

/* A link that leads nowhere from where the image is now: "parent" of an incremental dump is relative to where it was
 * made. */
static int say_dangling(struct cli *c, struct db *db, int64_t image, const char *out, struct err *e)
{
	auto_query struct query *q = query_new(db,
					       "SELECT name, link FROM image_member WHERE image = "
					       ":image AND type = 'symlink' AND file IS NULL",
					       e);
	auto_close int dir = open(out, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int rc;

	if (!q || query_bind_int(q, "image", image, e))
		return -1;
	while (dir >= 0 && (rc = query_next(q, e)) == 1) {
		auto_buf struct buf name = {0}, line = {0}, shown = {0};

		if (escape_undo(&name, query_text(q, 0), strlen(query_text(q, 0)), e))
			return -1;
		if (!faccessat(dir, (const char *)name.data, F_OK, 0))
			continue;
		if (buf_printf(&line, e, "%s/%s leads to %s, which is not there from here%s", out,
			       query_text(q, 0), query_text(q, 1),
			       strcmp(query_text(q, 0), "parent")
				       ? ""
				       : ": CRIU needs the images of the dump before this one") ||
		    escape_show(&shown, (const char *)line.data, line.len, e))
			return -1;
		fprintf(cli_out(c), "%s\n", (const char *)shown.data);
	}
	return dir >= 0 ? rc : 0;
}

static int run(struct cli *c, struct err *e)
{
	auto_progress struct progress progress = {0};
	const struct export_opts opts = {.force = cli_has(c, "force"),
					 .source = cli_value(c, "source"),
					 .progress = &progress};
	auto_db struct db *db = db_open(cli_arg(c, 0), DB_READ, e);
	int64_t id = 0, image;

	stop_begin();
	progress_begin(&progress, false);
	if (!db || cli_image(c, &id, e) || db_image_pick(db, id, &image, e) ||
	    limit(c, db, image, &opts, e))
		return -1;
	if (!opts.force && check_edits(db, image, e))
		return -1;
	if (export_image(db, image, cli_arg(c, 1), &opts, e))
		return -1;
	progress_end(&progress);
	return say_dangling(c, db, image, cli_arg(c, 1), e);
}

static const struct cli_opt options[] = {
	{"source", 0, "PATH",
	 "where the files kept by reference are (default: where they were imported from)", false},
	{"force", 0, NULL, "also when edits made it an image that cannot be restored", false},
	{0},
};

const struct cmd cmd_export = {
	.name = "export",
	.synopsis = "DB OUT",
	.summary = "write an image of the database as a checkpoint folder or archive",
	.run = run,
	.opts = options,
	.flags = CMD_DATABASE | CMD_IMAGE | CMD_PRIVILEGED | CMD_CHANGES, /* limits itself: limit */
	.min_args = 2,
	.max_args = 2,
};
