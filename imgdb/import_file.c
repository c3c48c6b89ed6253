/* One file of an image: its bytes, its records, its row. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/stop.h"
#include "imgdb/import_int.h"

enum {
	READ_MAX = 4 << 20, /* larger files are mapped, not read */
	WINDOW = 4 << 20,   /* and so much of them is kept in memory while they are gone through */
};

struct bytes {
	struct buf buf;
	void *map;
	size_t map_len;
	size_t passed; /* of the map: given back */
	struct span all;
};

static void bytes_free(struct bytes *b)
{
	buf_free(&b->buf);
	if (b->map)
		munmap(b->map, b->map_len);
}

/* The bytes before off were gone through: their pages count as memory of this process until they are given back.
 * Who looks at them again has them read again. */
static void bytes_pass(struct bytes *b, size_t off)
{
	if (!b->map || off < b->passed + WINDOW)
		return;
	off -= off % WINDOW;
	madvise((char *)b->map + b->passed, off - b->passed, MADV_DONTNEED);
	b->passed = off;
}

static void bytes_pass_end(struct bytes *b)
{
	if (b->map)
		madvise(b->map, b->map_len, MADV_DONTNEED);
	b->passed = 0;
}

static int bytes_hash(struct bytes *b, char hex[static HASH_HEX_LEN + 1], struct err *e)
{
	auto_hash struct hash *h = hash_new(e);

	if (!h)
		return -1;
	for (size_t off = 0; off < b->all.len; off += WINDOW) {
		size_t n = b->all.len - off < WINDOW ? b->all.len - off : WINDOW;

		if (hash_update(h, b->all.data + off, n, e))
			return -1;
		bytes_pass(b, off + n);
	}
	bytes_pass_end(b);
	return hash_final(h, hex, e);
}

/* From the folder, or where the spool has it. */
static int open_bytes(struct import *im, const struct import_file *f, struct err *e)
{
	int fd;
	struct stat st;

	if (im->arc) {
		fd = fcntl(im->spoolfd, F_DUPFD_CLOEXEC, 0);
		if (fd < 0 || lseek(fd, (off_t)f->spool_off, SEEK_SET) < 0)
			err_sys(e, ERR_IO, "read %s from the spool", f->name);
		else
			return fd;
	} else {
		fd = openat(im->dirfd, f->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0 || fstat(fd, &st))
			err_sys(e, ERR_IO, "open %s/%s", im->source, f->name);
		else if ((uint64_t)st.st_size != f->size)
			err_set(e, ERR_CONFLICT, "%s/%s changed while it was read", im->source,
				f->name);
		else
			return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

static int bytes_open(struct import *im, const struct import_file *f, struct bytes *b,
		      struct err *e)
{
	auto_close int fd = -1;

	if (im->arc && !f->is_spooled)
		return 0;
	fd = open_bytes(im, f, e);
	if (fd < 0)
		return -1;
	if (f->size > READ_MAX) {
		b->map = mmap(NULL, f->size, PROT_READ, MAP_PRIVATE, fd, (off_t)f->spool_off);
		if (b->map == MAP_FAILED) {
			b->map = NULL;
			return err_sys(e, ERR_IO, "map %s/%s", im->source, f->name);
		}
		b->map_len = f->size;
		b->all = (struct span){b->map, f->size};
		madvise(b->map, f->size, MADV_SEQUENTIAL);
		return 0;
	}
	if (buf_reserve(&b->buf, f->size, e) || io_read_full(fd, b->buf.data, f->size, f->name, e))
		return -1;
	b->buf.len = f->size;
	b->all = buf_span(&b->buf);
	return 0;
}

int import_file_bytes(struct import *im, const struct import_file *f, struct buf *out,
		      struct err *e)
{
	__attribute__((cleanup(bytes_free))) struct bytes b = {0};

	return bytes_open(im, f, &b, e) || buf_add(out, b.all.data, b.all.len, e) ? -1 : 0;
}

int import_file_hash(struct import *im, struct import_file *f, struct err *e)
{
	__attribute__((cleanup(bytes_free))) struct bytes b = {0};

	return bytes_open(im, f, &b, e) || hash_bytes(b.all.data, b.all.len, f->sha256, e) ? -1 : 0;
}

static int set_damage(struct import *im, struct import_file *f, const struct img_record *rec,
		      size_t off, const char *what, struct err *e)
{
	if (!f->damage) {
		f->damage = strdup(what);
		f->damage_off = off;
		if (!f->damage)
			return err_set(e, ERR_NOMEM, "out of memory");
	}
	return import_note(im, rec, "damage", f->name, what, e);
}

/* Damage is an error, or with --salvage a note; other failures stay failures. Values that the constraints
 * of the tables refuse (ERR_RANGE), and a second row where only one can be (ERR_CONFLICT), are damage too. */
int import_salvage(struct import *im, struct import_file *f, const struct img_record *rec,
		   size_t off, struct err *e)
{
	struct err damage = *e;

	if (!im->opts->salvage ||
	    (e->code != ERR_FORMAT && e->code != ERR_RANGE && e->code != ERR_CONFLICT))
		return -1;
	*e = (struct err)ERR_INIT;
	return set_damage(im, f, rec, off, damage.msg, e);
}

static int read_record(struct import *im, struct import_file *f, const struct import_kind *k,
		       const struct img_record *rec, struct err *e)
{
	f->n_records++;
	if (!k || !k->record(im, rec, e))
		return 0;
	err_wrap(e, "%s: record %u at offset %zu", f->name, rec->no, rec->off);
	return import_salvage(im, f, rec, rec->off, e);
}

static int read_records(struct import *im, struct import_file *f, const struct import_kind *k,
			struct bytes *b, struct err *e)
{
	struct img_reader r;
	struct img_record rec = {0};
	int rc;

	f->n_records = 0;
	if (img_read_begin(&r, f->type, f->name, b->all, e))
		return import_salvage(im, f, NULL, 0, e);
	while ((rc = img_read_next(&r, &rec, e)) == 1) {
		progress_say(im->opts->progress, im->n_read, im->n_files, "%s: record %u", f->name,
			     rec.no);
		if (stop_check(e) || read_record(im, f, k, &rec, e))
			return -1;
		bytes_pass(b, rec.off);
	}
	bytes_pass_end(b);
	/* our own dump of a namespace may have no task; that it is whole its list of files tells */
	if (!rc && !f->n_records && (f->type->flags & IMG_NEVER_EMPTY) &&
	    !(im->is_ours && img_type_kind(f->type) == IMG_PSTREE)) {
		r.damage_off = b->all.len;
		rc = err_set(e, ERR_FORMAT,
			     "%s ends at offset %zu, where its first record is expected", f->name,
			     b->all.len);
	}
	if (rc < 0 && import_salvage(im, f, NULL, r.damage_off, e))
		return -1;
	return rc < 0 && rec.is_cut ? read_record(im, f, k, &rec, e) : 0;
}

bool import_is_bulk(const struct import_file *f)
{
	static const enum img_kind bulk[] = {IMG_PAGES, IMG_GHOST_FILE, IMG_TMPFS_IMG,
					     IMG_TMPFS_DEV};

	for (size_t i = 0; f->type && i < ARRAY_SIZE(bulk); i++)
		if (img_type_kind(f->type) == bulk[i])
			return true;
	return false;
}

static bool is_stored(const struct import *im, const struct import_file *f)
{
	if (import_is_bulk(f) || (im->arc && !f->is_spooled) ||
	    (im->is_tree && !f->type && !import_is_engine_file(f->name)))
		return false;
	if (f->size <= IMPORT_CONTENT_MAX)
		return true;
	/* queue bytes are evidence, but not without bound */
	return f->type && (f->type->flags & IMG_STORED) && f->type->extra == IMG_EXTRA_NONE;
}

/* A large content goes in by pieces, or SQLite would make the whole row in memory. */
static int write_content(struct import *im, const struct import_file *f, struct bytes *b,
			 struct err *e)
{
	struct span all = b->all;

	sqlite3 *h = db_handle(im->db);
	sqlite3_blob *blob = NULL;
	int rc = sqlite3_blob_open(h, "main", "image_file", "content", f->id, 1, &blob);

	for (size_t off = 0; off < all.len && rc == SQLITE_OK; off += IMPORT_CHUNK) {
		size_t n = all.len - off < IMPORT_CHUNK ? all.len - off : IMPORT_CHUNK;

		rc = sqlite3_blob_write(blob, all.data + off, (int)n, (int)off);
		bytes_pass(b, off + n);
	}
	bytes_pass_end(b);
	if (rc != SQLITE_OK)
		db_err(h, rc, e, f->name);
	sqlite3_blob_close(blob);
	return rc == SQLITE_OK ? 0 : -1;
}

static int insert_file(struct import *im, struct import_file *f, struct bytes *b, struct err *e)
{
	struct span all = b->all;
	struct sql_table *t = &im->table[T_IMAGE_FILE];
	auto_buf struct buf text = {0};
	struct sql_row row = {.text = &text};
	int content = sql_column_find(t, "content"), rc;
	bool stored = is_stored(im, f), is_large = all.len > IMPORT_CHUNK;

	sql_row_clear(&row, t);
	sql_set_int(&row, 0, f->id);
	sql_set_int(&row, t->image, im->image);
	sql_set_int(&row, sql_column_find(t, "size"), (int64_t)f->size);
	sql_set_int(&row, sql_column_find(t, "mode"), f->mode);
	if (import_set_str(&row, t, "name", f->name, e) ||
	    import_set_str(&row, t, "sha256", f->sha256, e) ||
	    (f->type && import_set_str(&row, t, "kind", f->type->name, e)) ||
	    (f->damage && import_set_str(&row, t, "damage", f->damage, e)))
		return -1;
	if (f->damage)
		sql_set_int(&row, sql_column_find(t, "damage_off"), (int64_t)f->damage_off);
	if (f->type && strchr(f->type->pattern, '%'))
		sql_set_int(&row, sql_column_find(t, "number"), (int64_t)f->number);
	if (f->n_records >= 0) {
		sql_set_int(&row, sql_column_find(t, "n_records"), f->n_records);
		sql_set_int(&row, sql_column_find(t, "n_unknown"), f->n_unknown);
	}
	if (stored && !is_large)
		sql_set_lent(&row, content, QUERY_BLOB, all);
	if (!stored || !is_large)
		return import_insert(im, T_IMAGE_FILE, &row, e);
	/* cells know no zeroblob: the statement gets it directly */
	rc = import_insert(im, T_IMAGE_FILE, &row, e);
	if (!rc) {
		auto_query struct query *q = query_new(
			im->db, "UPDATE image_file SET content = zeroblob(:n) WHERE id = :id", e);

		rc = !q || query_bind_int(q, "n", (int64_t)all.len, e) ||
		     query_bind_int(q, "id", f->id, e) || query_next(q, e);
	}
	return rc ? -1 : write_content(im, f, b, e);
}

const struct import_kind *import_kind_of(const struct import_file *f)
{
	for (size_t i = 0; f->type && i < import_n_kinds; i++)
		if (import_kinds[i].kind == img_type_kind(f->type))
			return &import_kinds[i];
	return NULL;
}

/* Are all pages there that a pagemap says? */
static int check_pages(struct import *im, struct import_file *f, struct err *e)
{
	enum { SMALLEST = 4096 }; /* of the machines that CRIU runs on */

	if (f->size / SMALLEST >= f->n_pages)
		return 0;
	err_set(e, ERR_FORMAT,
		"%s ends at offset %" PRIu64 ", and its pagemap says that it has %" PRIu64
		" pages of memory",
		f->name, f->size, f->n_pages);
	return import_salvage(im, f, NULL, f->size, e);
}

int import_file_read(struct import *im, struct import_file *f, struct err *e)
{
	__attribute__((cleanup(bytes_free))) struct bytes b = {0};
	const struct import_kind *k = import_kind_of(f);

	progress_say(im->opts->progress, im->n_read++, im->n_files, "%s", f->name);
	if (stop_check(e) || bytes_open(im, f, &b, e) || (!im->arc && bytes_hash(&b, f->sha256, e)))
		return -1;
	im->cur = f;
	im->cur_netns = 0;
	if (import_manifest_check(im, f, e))
		return -1;
	if (k && k->is_of_netns && import_netns_find(im, f->number, &im->cur_netns, e))
		return -1;
	if (f->type && (im->arc ? f->is_spooled : k || is_stored(im, f)) &&
	    read_records(im, f, k, &b, e))
		return -1;
	if (check_pages(im, f, e))
		return -1;
	if ((im->arc ? f->is_spooled : im->is_tree) && !f->type &&
	    import_engine_file(im, f, b.all, e))
		return -1;
	im->cur = NULL;
	im->cur_netns = 0;
	return insert_file(im, f, &b, e);
}
