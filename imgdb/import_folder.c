/* What a folder or an archive has: the files of an image folder, and what is beside the bytes of a file. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "imgdb/import_int.h"

static int bind_or_null(struct query *q, const char *name, const char *text, struct buf *b,
			struct err *e)
{
	buf_reset(b);
	if (!text || !*text)
		return query_bind_null(q, name, e);
	return escape_add(b, text, strlen(text), e) ||
	       query_bind_text(q, name, (const char *)b->data, e);
}

int import_member_add(struct import *im, const struct arc_member *m, const struct import_file *f,
		      struct err *e)
{
	static const char *const kinds[ARC_KIND_COUNT] = {"file",     "folder", "symlink",
							  "hardlink", "fifo",   "other"};
	const struct {
		const char *name;
		int64_t v;
	} numbers[] = {
		{"image", im->image}, {"mode", m->mode},   {"uid", m->uid},
		{"gid", m->gid},      {"mtime", m->mtime}, {"ns", m->mtime_ns},
	};
	auto_buf struct buf text = {0};
	struct query *q = im->member_insert;

	if (!q)
		q = im->member_insert = query_new(im->db,
						  "INSERT INTO image_member (image, file, name, "
						  "type, mode, uid, gid, uname, gname, "
						  "mtime, mtime_ns, link) VALUES (:image, :file, "
						  ":name, :type, :mode, :uid, :gid, "
						  ":uname, :gname, :mtime, :ns, :link)",
						  e);
	if (!q)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (query_bind_int(q, numbers[i].name, numbers[i].v, e))
			return -1;
	if ((f ? query_bind_int(q, "file", f->id, e) : query_bind_null(q, "file", e)) ||
	    query_bind_text(q, "type", kinds[m->kind], e) ||
	    bind_or_null(q, "name", m->name, &text, e) ||
	    bind_or_null(q, "uname", m->uname, &text, e) ||
	    bind_or_null(q, "gname", m->gname, &text, e) ||
	    bind_or_null(q, "link", m->link, &text, e))
		return -1;
	return query_next(q, e);
}

/* ---- folders ---- */

/* Each name in the folder that is a file (or is none) goes to fn. */
static int each_entry(struct import *im, bool files,
		      int (*fn)(struct import *im, const char *name, const struct stat *st,
				struct err *e),
		      struct err *e)
{
	auto_dir DIR *dir = NULL;
	struct dirent *d;
	int fd = openat(im->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, ERR_IO, "open %s", im->source);
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return err_sys(e, ERR_IO, "read %s", im->source);
	}
	for (errno = 0; (d = readdir(dir)); errno = 0) {
		struct stat st;

		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
			continue;
		if (fstatat(im->dirfd, d->d_name, &st, AT_SYMLINK_NOFOLLOW))
			return err_sys(e, ERR_IO, "%s/%s", im->source, d->d_name);
		if (S_ISREG(st.st_mode) == files && fn(im, d->d_name, &st, e))
			return -1;
	}
	if (errno)
		return err_sys(e, ERR_IO, "read %s", im->source);
	return 0;
}

static int list_file(struct import *im, const char *name, const struct stat *st, struct err *e)
{
	return import_file_add(im, name, (uint64_t)st->st_size, st->st_mode, e);
}

int import_list(struct import *im, struct err *e)
{
	return each_entry(im, true, list_file, e);
}

/* What else a folder has. A link is kept: "parent" leads to the images that an incremental dump goes on from
 * (criu pre-dump, --prev-images-dir). */
static int import_other(struct import *im, const char *name, const struct stat *st, struct err *e)
{
	struct arc_member m = {
		.name = name,
		.path = name,
		.kind = ARC_SYMLINK,
		.mode = st->st_mode & 07777,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.mtime = st->st_mtim.tv_sec,
		.mtime_ns = (uint32_t)st->st_mtim.tv_nsec,
	};
	char target[PATH_MAX + 1];
	ssize_t n;

	if (S_ISFIFO(st->st_mode)) {
		m.kind = ARC_FIFO;
		return import_member_add(im, &m, NULL, e);
	}
	if (!S_ISLNK(st->st_mode))
		return import_note(im, NULL, "unknown", name,
				   S_ISDIR(st->st_mode)
					   ? "a folder in the image: not read"
					   : "neither a file nor a link or fifo: not kept",
				   e);
	n = readlinkat(im->dirfd, name, target, sizeof(target));
	if (n < 0 || (size_t)n >= sizeof(target))
		return err_sys(e, ERR_IO, "%s/%s", im->source, name);
	target[n] = 0;
	m.link = target;
	return import_member_add(im, &m, NULL, e);
}

int import_others(struct import *im, struct err *e)
{
	return each_entry(im, false, import_other, e);
}
