/* Files kept by reference: from the source folder or archive, and only if they still are what was imported. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/hash.h"
#include "imgdb/export_int.h"

enum { CHUNK = 1 << 20 };

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

static const char *path_of(const struct export_source *s)
{
	return s->path.data ? (const char *)s->path.data : "";
}

static int open_source(struct export_source *s, struct err *e)
{
	struct stat st;

	if (s->arc || s->dirfd >= 0)
		return 0;
	if (!s->path.len && export_source(s->db, s->image, s->opts, &s->path, e))
		return -1;
	if (stat(path_of(s), &st))
		return err_sys(e, ERR_IO,
			       "open the source %s (files kept by reference are read from there; "
			       "--source names another one)",
			       path_of(s));
	if (S_ISDIR(st.st_mode)) {
		s->dirfd = open(path_of(s), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		return s->dirfd < 0 ? err_sys(e, ERR_IO, "open the source %s", path_of(s)) : 0;
	}
	s->arc = arc_open(path_of(s), false, e);
	return s->arc ? 0 : -1;
}

/* The member of a file: files come in the order of the archive, so going on is enough, but for an archive
 * that --source names and that has another order. */
static int find_member(struct export_source *s, const struct file_row *f, struct err *e)
{
	struct arc_member m;
	int rc;

	for (unsigned pass = 0; pass < 2; pass++) {
		if (open_source(s, e))
			return -1;
		while ((rc = arc_next(s->arc, &m, e)) == 1) {
			if (m.kind != ARC_FILE || strcmp(m.path, f->m.path) != 0)
				continue;
			if (m.size >= f->m.size)
				return 0;
			return err_set(
				e, ERR_CONFLICT,
				"%s in %s is not the file that was imported (%llu bytes, now %llu)",
				m.path, path_of(s), (unsigned long long)f->m.size,
				(unsigned long long)m.size);
		}
		if (rc)
			return -1;
		arc_free(take_ptr(s->arc));
	}
	return err_set(e, ERR_NOTFOUND, "%s is kept by reference, and is not in %s", f->m.path,
		       path_of(s));
}

static int open_file(struct export_source *s, const struct file_row *f, int *fd, struct err *e)
{
	auto_close int parent = -1;
	const char *last;
	struct stat st;

	parent = export_path_parent(s->dirfd, f->m.path, false, &last, e);
	if (parent < 0)
		return err_wrap(e, "the source %s", path_of(s));
	*fd = openat(parent, last, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (*fd < 0 || fstat(*fd, &st))
		return err_sys(e, ERR_IO, "%s is kept by reference; open it in the source %s",
			       f->m.path, path_of(s));
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_CONFLICT, "%s in the source %s is no file", f->m.path,
			       path_of(s));
	return 0;
}

/* The next piece, at most max bytes: *n is 0 at the end. */
static int read_piece(struct export_source *s, const struct file_row *f, int fd, uint8_t *piece,
		      size_t max, size_t *n, struct err *e)
{
	ssize_t got;

	if (s->arc)
		return arc_read(s->arc, piece, max, n, e);
	do
		got = read(fd, piece, max);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return err_sys(e, ERR_IO, "read %s in the source %s", f->m.path, path_of(s));
	*n = (size_t)got;
	return 0;
}

static int is_not_the_same(const struct export_source *s, const struct file_row *f, const char *now,
			   struct err *e)
{
	return err_set(
		e, ERR_CONFLICT,
		"%s in the source %s is not the file that was imported (SHA-256 %s, then %s)",
		f->m.path, path_of(s), f->sha256, now);
}

int export_source_copy(struct export_source *s, const struct file_row *f, struct export_out *out,
		       struct err *e)
{
	auto_close int fd = -1;
	auto_hash struct hash *h = hash_new(e);
	auto_free uint8_t *piece = malloc(CHUNK);
	uint64_t left = f->m.size;
	char hex[65];
	size_t n = 1;

	if (!h || !piece)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (open_source(s, e) || (s->arc ? find_member(s, f, e) : open_file(s, f, &fd, e)) ||
	    export_out_file(out, &f->m, e))
		return -1;
	for (; left && n; left -= n) {
		if (read_piece(s, f, fd, piece, left < CHUNK ? (size_t)left : CHUNK, &n, e) ||
		    hash_update(h, piece, n, e) || export_out_write(out, piece, n, f->m.path, e))
			return -1;
	}
	if (left)
		return is_not_the_same(s, f, "it is shorter", e);
	/* of a folder, a file that grew is another one too; a damaged member was cut short by import */
	if (!s->arc && (read_piece(s, f, fd, piece, 1, &n, e) || n))
		return n ? is_not_the_same(s, f, "it is longer", e) : -1;
	if (hash_final(h, hex, e))
		return -1;
	return strcmp(hex, f->sha256) != 0 ? is_not_the_same(s, f, hex, e) : 0;
}

void export_source_close(struct export_source *s)
{
	arc_free(take_ptr(s->arc));
	if (s->dirfd >= 0)
		close(s->dirfd);
	buf_free(&s->path);
}
