#include "imgdb/commands.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/escape.h"
#include "base/progress.h"
#include "imgdb/db.h"
#include "imgdb/import.h"

static const struct cli_opt import_options[] = {
	{"salvage", 0, NULL, "import what comes before the damage of a damaged file", false},
	{"again", 0, NULL, "import the same evidence a second time", false},
	{0},
};

/* The tables with an index by namespace, not by image: to look through all of them for each of thousands of images
 * takes longer than the import. */
#define OF_NETNS "netns IN (SELECT id FROM netns WHERE image = :image)"

/* One line per subject: what a reader wants to know first. */
static const struct {
	const char *label, *sql;
} counts[] = {
	{"files", "SELECT count(*) FROM image_file WHERE image = :image"},
	{"namespaces", "SELECT count(*) FROM netns WHERE image = :image AND NOT external"},
	{"external", "SELECT count(*) FROM netns WHERE image = :image AND external"},
	{"devices", "SELECT count(*) FROM device WHERE image = :image"},
	{"addresses", "SELECT count(*) FROM address WHERE image = :image"},
	{"routes", "SELECT count(*) FROM route WHERE " OF_NETNS},
	{"rules", "SELECT count(*) FROM rule WHERE " OF_NETNS},
	{"neighbours", "SELECT count(*) FROM neighbour WHERE " OF_NETNS},
	{"sysctls", "SELECT count(*) FROM sysctl WHERE " OF_NETNS},
	{"rulesets", "SELECT count(*) FROM firewall WHERE " OF_NETNS " AND content <> ''"},
	{"conntrack", "SELECT count(*) FROM conntrack WHERE " OF_NETNS " AND NOT expect"},
	{"tasks", "SELECT count(*) FROM task WHERE image = :image"},
	{"descriptors", "SELECT count(*) FROM fd WHERE image = :image"},
	{"sockets", "SELECT count(*) FROM socket WHERE image = :image"},
	{"losses", "SELECT count(*) FROM note WHERE image = :image AND kind = 'loss'"},
	{"damage", "SELECT count(*) FROM note WHERE image = :image AND kind = 'damage'"},
};

static int print_counts(struct cli *c, struct db *db, int64_t image, struct err *e)
{
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		auto_query struct query *q = query_new(db, counts[i].sql, e);
		int64_t n;

		if (!q || query_bind_int(q, "image", image, e) || query_next(q, e) < 0)
			return -1;
		n = query_int(q, 0);
		if (n)
			fprintf(cli_out(c), "  %-12s %8" PRId64 "\n", counts[i].label, n);
	}
	return 0;
}

static int print_image(struct cli *c, struct db *db, const char *path, int64_t image, struct err *e)
{
	auto_query struct query *q =
		query_new(db, "SELECT name, format FROM image WHERE id = :image", e);
	auto_buf struct buf from = {0};

	if (!q || query_bind_int(q, "image", image, e) || query_next(q, e) < 0 ||
	    escape_show(&from, path, strlen(path), e))
		return -1;
	fprintf(cli_out(c), "image %" PRId64 ": %s (%s), from %s\n", image, query_text(q, 0),
		query_text(q, 1), (const char *)from.data);
	return print_counts(c, db, image, e);
}

/* What became of the images that one command named. */
struct batch {
	unsigned n_imported, n_known, n_failed;
	struct err first; /* of those that failed */
};

/* A line with a message, which quotes names that came out of images. */
static int print_line(struct cli *c, const char *before, const char *msg, struct err *e)
{
	auto_buf struct buf text = {0};

	if (buf_add_str(&text, before, e) || escape_show_lines(&text, msg, strlen(msg), e))
		return -1;
	fprintf(cli_out(c), "%s\n", (const char *)text.data);
	return 0;
}

/* One image among several that could not be imported is no reason to leave out the others; a failure of the
 * database or of this program is. */
static int count_failure(struct cli *c, struct batch *b, struct err *e)
{
	static const enum err_code codes[] = {ERR_IO,       ERR_FORMAT,   ERR_RANGE,      ERR_PERM,
					      ERR_NOTFOUND, ERR_CONFLICT, ERR_UNSUPPORTED};
	struct err failed = *e;
	bool is_of_image = false;

	*e = (struct err)ERR_INIT;
	if (failed.code == ERR_EXISTS) {
		b->n_known++;
		return print_line(c, "", failed.msg, e);
	}
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		is_of_image = is_of_image || failed.code == codes[i];
	if (!is_of_image) {
		*e = failed;
		return -1;
	}
	if (!b->n_failed++)
		b->first = failed;
	return print_line(c, "not imported: ", failed.msg, e);
}

static int import_several(struct cli *c, struct db *db, const struct import_opts *opts,
			  struct err *e)
{
	struct batch b = {.first = ERR_INIT};

	for (unsigned i = 1; i < cli_n_args(c); i++) {
		int64_t image;

		int rc = import_any(db, cli_arg(c, i), opts, &image, e);

		progress_clear(opts->progress);
		if (!rc) {
			b.n_imported++;
			if (print_image(c, db, cli_arg(c, i), image, e))
				return -1;
		} else if (count_failure(c, &b, e)) {
			return -1;
		}
	}
	fprintf(cli_out(c), "%u imported, %u in the database already, %u failed\n", b.n_imported,
		b.n_known, b.n_failed);
	if (!b.n_failed)
		return 0;
	return err_set(e, b.first.code, "%u of %u images not imported; the first: %s", b.n_failed,
		       cli_n_args(c) - 1, b.first.msg);
}

static int import_images(struct cli *c, struct db *db, struct err *e)
{
	auto_progress struct progress progress = {0};
	const struct import_opts opts = {.salvage = cli_has(c, "salvage"),
					 .again = cli_has(c, "again"),
					 .progress = &progress};
	int64_t image;
	int rc;

	progress_begin(&progress, false);
	if (cli_n_args(c) > 2)
		return import_several(c, db, &opts, e);
	rc = import_any(db, cli_arg(c, 1), &opts, &image, e);
	progress_clear(&progress);
	return rc || print_image(c, db, cli_arg(c, 1), image, e) ? -1 : 0;
}

static int run_import(struct cli *c, struct err *e)
{
	const char *path = cli_arg(c, 0);
	bool is_new = access(path, F_OK) && errno == ENOENT;
	struct db *db = db_open(path, DB_CREATE, e);
	int rc = db ? import_images(c, db, e) : -1;
	struct err ignored = ERR_INIT;
	int64_t image;

	/* a database that was made for nothing is not left behind */
	is_new = is_new && rc &&
		 (!db || (db_image_pick(db, 0, &image, &ignored) && ignored.code == ERR_NOTFOUND));
	db_free(db);
	if (is_new)
		unlink(path);
	return rc;
}

const struct cmd cmd_import = {
	.name = "import",
	.synopsis = "DB IMAGE...",
	.summary = "read checkpoint images into a database",
	.run = run_import,
	.opts = import_options,
	.flags = CMD_DATABASE | CMD_WRITES,
	.min_args = 2,
	.max_args = CLI_ANY_ARGS,
};
