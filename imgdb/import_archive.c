/* Archives: one pass over the members hashes each, keeps what the header says of it, and puts the bytes that
 * rows need into a spool, because rows need files in another order than archives have them. The spool is a
 * file without a name beside the database, so it ends with the import, and is not larger than SPOOL_MAX. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/stop.h"
#include "imgdb/import_int.h"

enum {
	PAGE = 1 << 16,        /* alignment in the spool; files in it may be mapped */
	ENGINE_MAX = 4 << 20,  /* a file of an engine */
	UNKNOWN_MAX = 1 << 20, /* a file that looks as if it was of the image */
};
#define SPOOL_MAX ((uint64_t)8 << 30)

/* ---- the spool ---- */

static int open_spool(struct import *im, struct err *e)
{
	const char *db = sqlite3_db_filename(db_handle(im->db), "main");
	const char *slash = db ? strrchr(db, '/') : NULL;
	auto_free char *folder = slash ? strndup(db, (size_t)(slash - db) + 1) : NULL;

	if (folder)
		im->spoolfd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	/* a database in memory, or a file system without such files */
	if (im->spoolfd < 0)
		im->spoolfd = memfd_create("nsimg-spool", MFD_CLOEXEC);
	return im->spoolfd < 0 ? err_sys(e, ERR_IO, "%s: make a file for its content", im->source)
			       : 0;
}

static bool has_ending(const char *name, const char *ending)
{
	size_t n = strlen(name), k = strlen(ending);

	return n > k && !strcmp(name + n - k, ending);
}

/* ---- members ---- */

static bool is_spooled(const struct import_file *f)
{
	if (f->type)
		return import_kind_of(f) ||
		       ((f->type->flags & IMG_STORED) && f->type->extra == IMG_EXTRA_NONE) ||
		       (f->size <= IMPORT_CONTENT_MAX && !import_is_bulk(f));
	if (import_is_engine_file(f->name))
		return f->size <= ENGINE_MAX;
	return f->size <= UNKNOWN_MAX &&
	       (has_ending(f->name, ".img") || has_ending(f->name, ".json"));
}

static int spool_begin(struct import *im, struct import_file *f, struct err *e)
{
	f->spool_off = (im->spool_len + PAGE - 1) / PAGE * PAGE;
	if (f->size > SPOOL_MAX || f->spool_off + f->size > SPOOL_MAX)
		return err_set(e, ERR_RANGE,
			       "%s: member %s: the image files are larger together than %llu bytes",
			       im->source, f->name, (unsigned long long)SPOOL_MAX);
	im->spool_len = f->spool_off + f->size;
	if (lseek(im->spoolfd, (off_t)f->spool_off, SEEK_SET) < 0)
		return err_sys(e, ERR_IO, "spool of %s", im->source);
	return 0;
}

/* The bytes of a member, hashed and spooled. *got: how many there were. */
static int read_member(struct import *im, struct arc_reader *arc, struct import_file *f,
		       uint8_t *piece, uint64_t *got, struct err *e)
{
	auto_hash struct hash *h = hash_new(e);
	struct err damage = ERR_INIT;
	size_t n = 0;
	int rc;

	if (!h)
		return -1;
	while (!(rc = arc_read(arc, piece, IMPORT_CHUNK, &n, &damage)) && n) {
		*got += n;
		progress_say(im->opts->progress, im->n_files, 0, "%s", f->name);
		if (stop_check(e) || hash_update(h, piece, n, e) ||
		    (f->is_spooled && io_write_full(im->spoolfd, piece, n, f->name, e)))
			return -1;
	}
	if (hash_final(h, f->sha256, e))
		return -1;
	if (rc)
		*e = damage;
	return rc;
}

/* Another name of a member: it counts as a file where rows may come out of it. */
static int add_link(struct import *im, const struct arc_member *m, struct err *e)
{
	struct import_file *f;
	uint64_t number;

	if (!img_type_of_name(m->path, &number) && !import_is_engine_file(m->path))
		return import_member_add(im, m, NULL, e);
	if (import_file_add(im, m->path, 0, m->mode, e))
		return -1;
	f = &im->file[im->n_files - 1];
	f->id = im->next_file++;
	f->link = strdup(m->target ? m->target : m->link);
	if (!f->link)
		return err_set(e, ERR_NOMEM, "out of memory");
	return import_member_add(im, m, f, e);
}

static int add_member(struct import *im, const struct arc_member *m, uint8_t *piece, struct err *e)
{
	struct import_file *f;
	uint64_t got = 0;

	if (m->kind == ARC_HARDLINK)
		return add_link(im, m, e);
	if (m->kind != ARC_FILE)
		return import_member_add(im, m, NULL, e);
	if (import_file_add(im, m->path, m->size, m->mode, e))
		return -1;
	f = &im->file[im->n_files - 1];
	f->id = im->next_file++;
	f->is_spooled = is_spooled(f);
	if (import_member_add(im, m, f, e) || (f->is_spooled && spool_begin(im, f, e)))
		return -1;
	if (!read_member(im, im->arc, f, piece, &got, e))
		return 0;
	if (e->code != ERR_FORMAT || !im->opts->salvage)
		return -1;
	f->size = got;
	return import_salvage(im, f, NULL, (size_t)got, e);
}

/* Damage of the archive between two members, or before the first: then without salvage it may be anything. */
static int archive_damage(struct import *im, struct err *e)
{
	struct err damage = *e;

	if (!im->opts->salvage || e->code != ERR_FORMAT)
		return e->code != ERR_FORMAT || !im->n_files || im->opts->salvage
			       ? -1
			       : err_set(e, ERR_FORMAT, "%s (--salvage imports what comes before)",
					 damage.msg);
	*e = (struct err)ERR_INIT;
	return import_note(im, NULL, "damage", im->source, damage.msg, e);
}

static int read_members(struct import *im, struct err *e)
{
	auto_free uint8_t *piece = malloc(IMPORT_CHUNK);
	struct arc_member m;
	int rc;

	if (!piece)
		return err_set(e, ERR_NOMEM, "out of memory");
	rc = arc_next(im->arc, &m, e);
	while (rc) {
		if (rc == 1 && add_member(im, &m, piece, e))
			return archive_damage(im, e);
		/* nothing can be read after damage inside a member */
		if (rc == 1 && im->n_files && im->file[im->n_files - 1].damage)
			return 0;
		if (rc == 1) {
			rc = arc_next(im->arc, &m, e);
			continue;
		}
		/* a header that is damaged hides its member; others come after it */
		if (archive_damage(im, e))
			return -1;
		rc = arc_resync(im->arc, &m, e);
	}
	return 0;
}

/* ---- hard links ---- */

static int by_text(const void *a, const void *b)
{
	const struct import_file *const *f = a, *const *g = b;

	return strcmp((*f)->name, (*g)->name);
}

/* Two members of one name: which one a reader takes depends on the reader, so neither is evidence. */
static int sort_members(struct import *im, struct import_file **sorted, struct err *e)
{
	for (size_t i = 0; i < im->n_files; i++)
		sorted[i] = &im->file[i];
	qsort(sorted, im->n_files, sizeof(struct import_file *), by_text);
	for (size_t i = 1; i < im->n_files; i++)
		if (!strcmp(sorted[i - 1]->name, sorted[i]->name))
			return err_set(e, ERR_CONFLICT, "%s: member %s is twice in the archive",
				       im->source, sorted[i]->name);
	return 0;
}

static struct import_file *find_member(const struct import *im, struct import_file *const *sorted,
				       const char *path)
{
	struct import_file key = {.name = (char *)path}, *k = &key;
	struct import_file *const *found =
		bsearch(&k, sorted, im->n_files, sizeof(struct import_file *), by_text);

	return found ? *found : NULL;
}

static int say_no_target(struct import *im, struct import_file *f, const char *why, struct err *e)
{
	err_set(e, ERR_FORMAT, "%s: member %s is a hard link to %s, which %s", im->source, f->name,
		f->link, why);
	return import_salvage(im, f, NULL, 0, e);
}

/* The bytes of members that only links need, once more from the start: what a link needs is known when all names are. */
static int read_late(struct import *im, struct import_file *const *sorted, struct err *e)
{
	auto_free uint8_t *piece = malloc(IMPORT_CHUNK);
	auto_arc_reader struct arc_reader *arc = NULL;
	struct err damage = ERR_INIT;
	struct arc_member m;
	struct stat st;

	if (!piece)
		return err_set(e, ERR_NOMEM, "out of memory");
	/* a pipe is read once */
	if (!stat(im->source, &st) && S_ISREG(st.st_mode))
		arc = arc_open(im->source, im->opts->salvage, e);
	while (arc && arc_next(arc, &m, &damage) == 1) {
		struct import_file *f = find_member(im, sorted, m.path);
		char hex[HASH_HEX_LEN + 1];
		uint64_t got = 0;

		if (m.kind != ARC_FILE || !f || !f->is_late)
			continue;
		memcpy(hex, f->sha256, sizeof(hex));
		if (spool_begin(im, f, e) || read_member(im, arc, f, piece, &got, e))
			return -1;
		if (got != f->size || strcmp(hex, f->sha256) != 0)
			return err_set(e, ERR_CONFLICT, "%s: member %s changed while it was read",
				       im->source, f->name);
		f->is_late = false;
	}
	return e->code == ERR_NONE ? 0 : -1;
}

/* A link has the bytes of the member that it names, which comes before it (tar(5), "Hard link"). */
static int find_target(struct import *im, struct import_file *const *sorted, struct import_file *f,
		       struct err *e)
{
	struct import_file *t = find_member(im, sorted, f->link);

	if (!t || t >= f || (t->link && !t->target))
		return hash_bytes("", 0, f->sha256, e) ||
				       say_no_target(im, f, "is not before it in the archive", e)
			       ? -1
			       : 0;
	f->target = t->link ? t->target : t;
	f->size = f->target->size;
	f->is_spooled = is_spooled(f);
	if (f->is_spooled && !f->target->is_spooled)
		f->target->is_late = f->target->is_spooled = true;
	return 0;
}

static int take_bytes(struct import *im, struct import_file *f, struct err *e)
{
	memcpy(f->sha256, f->target->sha256, sizeof(f->sha256));
	f->spool_off = f->target->spool_off;
	if (!f->target->is_late)
		return 0;
	f->is_spooled = false;
	return say_no_target(im, f, "cannot be read once more: import the archive from a file", e);
}

static int resolve_links(struct import *im, struct err *e)
{
	auto_free struct import_file **sorted =
		calloc(im->n_files + 1, sizeof(struct import_file *));
	bool is_late = false;

	if (!sorted)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (sort_members(im, sorted, e))
		return -1;
	for (size_t i = 0; i < im->n_files; i++)
		if (im->file[i].link && find_target(im, sorted, &im->file[i], e))
			return -1;
	for (size_t i = 0; i < im->n_files; i++)
		is_late |= im->file[i].is_late;
	if (is_late && read_late(im, sorted, e))
		return -1;
	for (size_t i = 0; i < im->n_files; i++)
		if (im->file[i].target && take_bytes(im, &im->file[i], e))
			return -1;
	for (size_t i = 0; i < im->n_files; i++)
		im->file[i].is_spooled &= !im->file[i].is_late;
	return 0;
}

int import_members(struct import *im, struct err *e)
{
	struct err cut = ERR_INIT;
	char hex[65], size[24];
	uint64_t n;

	if (open_spool(im, e) || read_members(im, e) || resolve_links(im, e))
		return -1;
	import_choose_folder(im);
	/* of a damaged archive, which salvage read as far as it goes, there may be no more to read */
	if (arc_digest(im->arc, hex, &n, &cut))
		return 0;
	snprintf(size, sizeof(size), "%llu", (unsigned long long)n);
	return import_fact(im, "archive.sha256", (struct span){(const uint8_t *)hex, 64}, e) ||
			       import_fact(im, "archive.size",
					   (struct span){(const uint8_t *)size, strlen(size)}, e)
		       ? -1
		       : 0;
}
