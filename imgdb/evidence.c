#include "imgdb/evidence.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/hash.h"
#include "imgdb/export_out.h"
#include "proto/archive.h"

enum { CHUNK = 1 << 20 };

struct file {
	char *name; /* escaped */
	char sha256[HASH_HEX_LEN + 1];
	char now[HASH_HEX_LEN + 1]; /* of an archive: "" until it was seen */
};

struct verify {
	struct file *files; /* in the order of their names */
	size_t n, room;
	uint8_t *piece; /* CHUNK bytes */
	evidence_fn *fn;
	void *arg;
};

static void verify_clear(struct verify *v)
{
	for (size_t i = 0; i < v->n; i++)
		free(v->files[i].name);
	free(v->files);
	free(v->piece);
}

static int files_read(struct verify *v, struct db *db, int64_t image, struct err *e)
{
	auto_query struct query *q = query_new(
		db, "SELECT name, sha256 FROM image_file WHERE image = :image ORDER BY name", e);
	int rc;

	if (!q || query_bind_int(q, "image", image, e))
		return -1;
	while ((rc = query_next(q, e)) == 1) {
		const char *sha256 = query_text(q, 1);

		if (v->n == v->room) {
			size_t room = v->room ? 2 * v->room : 64;
			struct file *grown = realloc(v->files, room * sizeof(*grown));

			if (!grown)
				return err_set(e, ERR_NOMEM, "files of the image: out of memory");
			v->files = grown;
			v->room = room;
		}
		v->files[v->n] = (struct file){.name = strdup(query_text(q, 0))};
		if (!v->files[v->n].name)
			return err_set(e, ERR_NOMEM, "files of the image: out of memory");
		snprintf(v->files[v->n].sha256, sizeof(v->files[v->n].sha256), "%s",
			 sha256 ? sha256 : "");
		v->n++;
	}
	return rc;
}

static int tell(const struct verify *v, const struct file *f, const char *now, struct err *e)
{
	return v->fn(v->arg, f->name, strcmp(f->sha256, now) == 0 ? "same" : "changed", f->sha256,
		     now, e);
}

/* ---- a folder ---- */

static int open_below(int dirfd, const char *path, struct err *e)
{
	auto_close int parent = -1;
	auto_close int fd = -1;
	const char *last;
	struct stat st;

	if (!export_path_is_plain(path))
		return err_set(e, ERR_CONFLICT, "not the path of a file below a folder");
	parent = export_path_parent(dirfd, path, false, &last, e);
	if (parent < 0)
		return -1;
	fd = openat(parent, last, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st))
		return err_sys(e, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, "open");
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_CONFLICT, "it is no file any more");
	return take_fd(&fd);
}

static int hash_fd(const struct verify *v, int fd, char *hex, struct err *e)
{
	auto_hash struct hash *h = hash_new(e);
	ssize_t n;

	if (!h)
		return -1;
	while ((n = read(fd, v->piece, CHUNK)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, ERR_IO, "read");
		if (hash_update(h, v->piece, (size_t)n, e))
			return -1;
	}
	return hash_final(h, hex, e);
}

static int verify_file(const struct verify *v, int dirfd, const struct file *f, struct err *e)
{
	auto_buf struct buf path = {0};
	struct err why = ERR_INIT;
	char hex[HASH_HEX_LEN + 1];
	auto_close int fd = -1;

	if (!escape_undo(&path, f->name, strlen(f->name), &why) && !buf_add_str(&path, "", &why))
		fd = open_below(dirfd, (const char *)path.data, &why);
	if (fd >= 0 && !hash_fd(v, fd, hex, &why))
		return tell(v, f, hex, e);
	return v->fn(v->arg, f->name,
		     why.saved_errno == ENOENT || why.code == ERR_NOTFOUND ? "missing" : why.msg,
		     f->sha256, NULL, e);
}

static int verify_folder(const struct verify *v, const char *source, struct err *e)
{
	auto_close int dirfd = open(source, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dirfd < 0)
		return err_sys(e, ERR_IO, "open the source %s", source);
	for (size_t i = 0; i < v->n; i++)
		if (verify_file(v, dirfd, &v->files[i], e))
			return -1;
	return 0;
}

/* ---- an archive ---- */

static int by_name(const void *key, const void *file)
{
	return strcmp(key, ((const struct file *)file)->name);
}

static int hash_member(const struct verify *v, struct arc_reader *arc, char *hex, struct err *e)
{
	auto_hash struct hash *h = hash_new(e);
	size_t n;

	if (!h)
		return -1;
	do {
		if (arc_read(arc, v->piece, CHUNK, &n, e) || hash_update(h, v->piece, n, e))
			return -1;
	} while (n);
	return hash_final(h, hex, e);
}

static int find_file(const struct verify *v, const char *path, struct file **out, struct err *e)
{
	auto_buf struct buf name = {0};

	if (escape_add(&name, path, strlen(path), e) || buf_add_str(&name, "", e))
		return -1;
	*out = v->n ? bsearch(name.data, v->files, v->n, sizeof(*v->files), by_name) : NULL;
	return 0;
}

static int verify_member(const struct verify *v, struct arc_reader *arc, const struct arc_member *m,
			 struct err *e)
{
	auto_buf struct buf name = {0};
	char hex[HASH_HEX_LEN + 1];
	struct file *f;

	if (find_file(v, m->path, &f, e) || escape_add(&name, m->path, strlen(m->path), e) ||
	    hash_member(v, arc, hex, e))
		return -1;
	if (!f)
		return v->fn(v->arg, (const char *)name.data, "new", NULL, hex, e);
	memcpy(f->now, hex, sizeof(f->now));
	return tell(v, f, hex, e);
}

/* Another name of a member before it. */
static int verify_link(const struct verify *v, const struct arc_member *m, struct err *e)
{
	struct file *f, *target;

	if (!m->target || find_file(v, m->path, &f, e) || find_file(v, m->target, &target, e))
		return m->target ? -1 : 0;
	if (!f || !target || !target->now[0])
		return 0;
	memcpy(f->now, target->now, sizeof(f->now));
	return tell(v, f, f->now, e);
}

static int verify_archive(const struct verify *v, const char *source, struct err *e)
{
	auto_arc_reader struct arc_reader *arc = arc_open(source, false, e);
	struct arc_member m;
	int rc;

	if (!arc)
		return -1;
	while ((rc = arc_next(arc, &m, e)) == 1)
		if (m.kind == ARC_FILE       ? verify_member(v, arc, &m, e)
		    : m.kind == ARC_HARDLINK ? verify_link(v, &m, e)
					     : 0)
			return -1;
	for (size_t i = 0; !rc && i < v->n; i++)
		if (!v->files[i].now[0])
			rc = v->fn(v->arg, v->files[i].name, "missing", v->files[i].sha256, NULL,
				   e);
	return rc;
}

int evidence_verify(struct db *db, int64_t image, const char *source, evidence_fn *fn, void *arg,
		    struct err *e)
{
	struct verify v = {.fn = fn, .arg = arg, .piece = malloc(CHUNK)};
	struct stat st;
	int rc;

	if (!v.piece)
		return err_set(e, ERR_NOMEM, "evidence: out of memory");
	if (stat(source, &st))
		rc = err_sys(e, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, "the source %s", source);
	else
		rc = files_read(&v, db, image, e);
	if (!rc)
		rc = S_ISDIR(st.st_mode) ? verify_folder(&v, source, e)
					 : verify_archive(&v, source, e);
	verify_clear(&v);
	return rc;
}
