#include "imgdb/export.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/hash.h"
#include "base/io.h"
#include "imgdb/export_int.h"

enum { CHUNK = 1 << 20 };

struct export
{
	struct db *db;
	struct record_cache *rc;
	int64_t image;
	const struct export_opts *opts;
	struct changes changes;
	char *tmp; /* folder in the making, owned */
	int dirfd;
	int sourcefd; /* -1: not open */
	struct buf source;
};

/* A file of the image, as its row tells. */
struct file_row {
	int64_t id, size;
	mode_t mode;
	const char *name; /* owned by buf below */
	struct buf name_buf;
	char sha256[65];
	bool is_stored;
};

static int create(struct export *x, const struct file_row *f, int *fd, struct err *e)
{
	*fd = openat(x->dirfd, f->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*fd < 0)
		return err_sys(e, ERR_IO, "create %s", f->name);
	if (fchmod(*fd, f->mode & 0777))
		return err_sys(e, ERR_IO, "set the mode of %s", f->name);
	return 0;
}

/* ---- files nobody edited ---- */

static int copy_stored(struct export *x, const struct file_row *f, struct err *e)
{
	auto_close int fd = -1;

	if (create(x, f, &fd, e))
		return -1;
	for (int64_t off = 0; off < f->size; off += CHUNK) {
		size_t n = (size_t)(f->size - off < CHUNK ? f->size - off : CHUNK);
		auto_buf struct buf part = {0};

		if (record_file_bytes(x->db, f->id, (size_t)off, n, &part, e) ||
		    io_write_full(fd, part.data, part.len, f->name, e))
			return -1;
	}
	return 0;
}

int export_source(struct db *db, int64_t image, const struct export_opts *opts, struct buf *out,
		  struct err *e)
{
	auto_query struct query *q = NULL;
	const char *path;

	buf_reset(out);
	if (opts->source)
		return buf_add_str(out, opts->source, e);
	q = query_new(db, "SELECT source FROM image WHERE id = :id", e);
	if (!q || query_bind_int(q, "id", image, e) || query_next(q, e) < 0)
		return -1;
	path = query_text(q, 0) ? query_text(q, 0) : "";
	return escape_undo(out, path, strlen(path), e) || buf_add_str(out, "", e) ? -1 : 0;
}

static int open_source(struct export *x, struct err *e)
{
	const char *path;

	if (x->sourcefd >= 0)
		return 0;
	if (export_source(x->db, x->image, x->opts, &x->source, e))
		return -1;
	path = x->source.data ? (const char *)x->source.data : "";
	x->sourcefd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (x->sourcefd < 0)
		return err_sys(
			e, ERR_IO,
			"open the source folder %s (files kept by reference are read from there; "
			"--source names another one)",
			path);
	return 0;
}

/* From the source folder, and only if it still is what was imported. */
static int copy_referenced(struct export *x, const struct file_row *f, struct err *e)
{
	auto_close int in = -1, out = -1;
	auto_hash struct hash *h = hash_new(e);
	auto_free uint8_t *part = malloc(CHUNK);
	char hex[65];
	ssize_t n;

	if (!h || !part)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (open_source(x, e))
		return -1;
	in = openat(x->sourcefd, f->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (in < 0)
		return err_sys(e, ERR_IO, "%s is kept by reference; open it in the source folder",
			       f->name);
	if (create(x, f, &out, e))
		return -1;
	while ((n = read(in, part, CHUNK)) > 0)
		if (hash_update(h, part, (size_t)n, e) ||
		    io_write_full(out, part, (size_t)n, f->name, e))
			return -1;
	if (n < 0)
		return err_sys(e, ERR_IO, "read %s in the source folder", f->name);
	if (hash_final(h, hex, e))
		return -1;
	if (strcmp(hex, f->sha256) != 0)
		return err_set(
			e, ERR_CONFLICT,
			"%s in the source folder is not the file that was imported (SHA-256 %s, "
			"then %s)",
			f->name, f->sha256, hex);
	return 0;
}

/* ---- files with edits ---- */

/* The changes of a file: from *first on, how many. */
static size_t changes_of(const struct changes *all, int64_t file, size_t *first)
{
	size_t lo = 0, n = 0;

	while (lo < all->n && all->c[lo].file < file)
		lo++;
	*first = lo;
	while (lo + n < all->n && all->c[lo + n].file == file)
		n++;
	return n;
}

static int add_rows(struct export *x, enum img_kind kind, uint64_t number, struct buf *out,
		    struct err *e)
{
	for (size_t i = 0; i < x->changes.n; i++) {
		struct change *c = &x->changes.c[i];

		if (c->how != CHANGE_ADDED || c->kind != kind || c->number != number)
			continue;
		if (export_added(x->rc, c, x->opts, out, e))
			return -1;
		c->number = UINT64_MAX; /* done */
	}
	return 0;
}

static bool has_added(const struct export *x, const struct img_type *type, uint64_t number)
{
	for (size_t i = 0; type && i < x->changes.n; i++) {
		const struct change *c = &x->changes.c[i];

		if (c->how == CHANGE_ADDED && c->kind == img_type_kind(type) && c->number == number)
			return true;
	}
	return false;
}

/* Records from r on, with their changes. *n_records: how many are left in the file. */
static int rebuild_records(struct export *x, struct img_reader *r, const struct change *c, size_t n,
			   struct buf *out, size_t *n_records, struct err *e)
{
	struct err damage = ERR_INIT;
	struct img_record rec;
	size_t i = 0;

	while (img_read_next(r, &rec, &damage) == 1) {
		size_t start = out->len, same = 0;

		while (i < n && c[i].rec < rec.no)
			i++;
		while (i + same < n && c[i + same].rec == rec.no)
			same++;
		if (same ? export_record(x->rc, r->type, &rec, c + i, same, x->opts, out, e)
			 : buf_add(out, rec.raw.data, rec.raw.len, e))
			return err_wrap(e, "%s: record %u", r->name, rec.no);
		*n_records += out->len > start;
	}
	/* what is damaged goes out as it came in */
	return 0;
}

static int put_file(struct export *x, const struct file_row *f, const struct buf *b, struct err *e)
{
	auto_close int fd = -1;

	return create(x, f, &fd, e) || io_write_full(fd, b->data, b->len, f->name, e) ? -1 : 0;
}

static int rebuild(struct export *x, const struct file_row *f, const struct img_type *type,
		   uint64_t number, const struct change *c, size_t n, struct err *e)
{
	auto_buf struct buf all = {0}, out = {0};
	struct err damage = ERR_INIT;
	struct img_reader r;
	size_t n_records = 0;

	for (int64_t off = 0; off < f->size; off += CHUNK)
		if (record_file_bytes(x->db, f->id, (size_t)off,
				      (size_t)(f->size - off < CHUNK ? f->size - off : CHUNK), &all,
				      e))
			return -1;
	if (img_read_begin(&r, type, f->name, buf_span(&all), &damage))
		return err_set(e, ERR_CONFLICT, "%s was edited but cannot be read: %s", f->name,
			       damage.msg);
	if (buf_add(&out, r.head.data, r.head.len, e) ||
	    rebuild_records(x, &r, c, n, &out, &n_records, e) ||
	    add_rows(x, img_type_kind(type), number, &out, e) ||
	    buf_add(&out, r.tail.data, r.tail.len, e))
		return -1;
	/* the stream of a connection that is gone is a file that is gone */
	if (!n_records && img_type_kind(type) == IMG_TCP_STREAM)
		return 0;
	return put_file(x, f, &out, e);
}

static int export_file(struct export *x, const struct file_row *f, struct err *e)
{
	const struct img_type *type;
	uint64_t number = 0;
	size_t first, n;

	type = img_type_of_name(f->name, &number);
	n = changes_of(&x->changes, f->id, &first);
	if (!type || (!n && !has_added(x, type, number)))
		return f->is_stored ? copy_stored(x, f, e) : copy_referenced(x, f, e);
	if (!f->is_stored)
		return err_set(e, ERR_CONFLICT, "%s was edited, but is kept by reference only",
			       f->name);
	return rebuild(x, f, type, number, x->changes.c + first, n, e);
}

/* Rows that go into files the image did not have. */
static int new_files(struct export *x, struct err *e)
{
	for (size_t i = 0; i < x->changes.n; i++) {
		const struct change *c = &x->changes.c[i];
		const struct img_type *type = img_type_get(c->how == CHANGE_ADDED ? c->kind : 0);
		const uint32_t magics[] = {IMG_MAGIC_COMMON, type->magic};
		struct file_row f = {.mode = 0600};
		auto_buf struct buf out = {0};
		char name[64];

		if (c->how != CHANGE_ADDED || c->number == UINT64_MAX)
			continue;
		if (!img_type_name(type, c->number, name, sizeof(name)))
			return err_set(e, ERR_RANGE, "no file name for a new %s", type->name);
		f.name = name;
		if ((type->head == IMG_HEAD_COMMON && buf_add(&out, magics, 8, e)) ||
		    (type->head == IMG_HEAD_RAW && buf_add(&out, &magics[1], 4, e)) ||
		    add_rows(x, c->kind, c->number, &out, e) || put_file(x, &f, &out, e))
			return -1;
	}
	return 0;
}

/* ---- the folder ---- */

/* A name out of a database is hostile: one plain part of a path. */
static int check_name(const struct file_row *f, struct err *e)
{
	if (!*f->name || strlen(f->name) != f->name_buf.len || strchr(f->name, '/') ||
	    !strcmp(f->name, ".") || !strcmp(f->name, ".."))
		return err_set(e, ERR_FORMAT, "the name of image file %lld is no plain file name",
			       (long long)f->id);
	return 0;
}

static int export_files(struct export *x, struct err *e)
{
	auto_query struct query *q = query_new(x->db,
					       "SELECT id, name, size, coalesce(mode, 384), "
					       "sha256, content IS NOT NULL FROM image_file "
					       "WHERE image = :image ORDER BY id",
					       e);
	int rc;

	if (!q || query_bind_int(q, "image", x->image, e))
		return -1;
	while ((rc = query_next(q, e)) == 1) {
		struct file_row f = {.id = query_int(q, 0),
				     .size = query_int(q, 2),
				     .mode = (mode_t)query_int(q, 3),
				     .is_stored = query_int(q, 5)};
		int failed;

		snprintf(f.sha256, sizeof(f.sha256), "%s", query_text(q, 4));
		if (escape_undo(&f.name_buf, query_text(q, 1), strlen(query_text(q, 1)), e))
			return -1;
		f.name = f.name_buf.data ? (const char *)f.name_buf.data : "";
		failed = check_name(&f, e) || export_file(x, &f, e);
		buf_free(&f.name_buf);
		if (failed)
			return -1;
	}
	return rc ? -1 : new_files(x, e);
}

static void remove_folder(struct export *x)
{
	int fd = x->dirfd < 0 ? -1 : openat(x->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_dir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *ent;

	while (d && (ent = readdir(d)))
		unlinkat(x->dirfd, ent->d_name, 0);
	if (x->tmp)
		rmdir(x->tmp);
}

static void export_free(struct export *x)
{
	if (x->tmp)
		remove_folder(x);
	free(x->tmp);
	if (x->dirfd >= 0)
		close(x->dirfd);
	if (x->sourcefd >= 0)
		close(x->sourcefd);
	buf_free(&x->source);
	changes_free(&x->changes);
}

static int make_folder(struct export *x, const char *out, struct err *e)
{
	size_t len = strlen(out);
	struct stat st;

	while (len > 1 && out[len - 1] == '/')
		len--;
	if (!lstat(out, &st))
		return err_set(e, ERR_EXISTS, "%s is there already; export makes a new folder",
			       out);
	if (asprintf(&x->tmp, "%.*s.XXXXXX", (int)len, out) < 0) {
		x->tmp = NULL;
		return err_set(e, ERR_NOMEM, "out of memory");
	}
	if (!mkdtemp(x->tmp)) {
		err_sys(e, ERR_IO, "make the folder %s", out);
		free(take_ptr(x->tmp));
		return -1;
	}
	x->dirfd = open(x->tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return x->dirfd < 0 ? err_sys(e, ERR_IO, "open %s", x->tmp) : 0;
}

int export_dir(struct db *db, int64_t image, const char *out, const struct export_opts *opts,
	       struct err *e)
{
	__attribute__((cleanup(export_free))) struct export x = {
		.db = db, .image = image, .opts = opts, .dirfd = -1, .sourcefd = -1};

	x.rc = record_cache_get(db, e);
	if (!x.rc || changes_load(db, image, &x.changes, e) || make_folder(&x, out, e) ||
	    export_files(&x, e))
		return -1;
	/* a power cut must not leave a folder with the final name and empty files */
	if (syncfs(x.dirfd))
		return err_sys(e, ERR_IO, "write %s to disk", out);
	if (renameat2(AT_FDCWD, x.tmp, AT_FDCWD, out, RENAME_NOREPLACE))
		return err_sys(e, errno == EEXIST ? ERR_EXISTS : ERR_IO, "make %s", out);
	free(take_ptr(x.tmp));
	return 0;
}
