#include "imgdb/export_out.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"

/* ---- paths ---- */

bool export_path_is_plain(const char *path)
{
	for (const char *p = path;; p++) {
		size_t n = strcspn(p, "/");

		if (!n || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		p += n;
		if (!*p)
			return true;
	}
}

int export_path_parent(int dirfd, const char *path, bool make, const char **last, struct err *e)
{
	auto_close int dir = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *part = path, *slash;
	char name[NAME_MAX + 1];

	for (; dir >= 0 && (slash = strchr(part, '/')); part = slash + 1) {
		int next;

		if ((size_t)(slash - part) >= sizeof(name))
			return err_set(e, ERR_RANGE, "%s: the name of a folder is too long", path);
		snprintf(name, sizeof(name), "%.*s", (int)(slash - part), part);
		if (make && mkdirat(dir, name, 0700) && errno != EEXIST)
			return err_sys(e, ERR_IO, "%s: make the folder %s", path, name);
		next = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			return err_sys(e, ERR_IO, "open the folder of %s", path);
		close(dir);
		dir = next;
	}
	*last = part;
	return dir < 0 ? err_sys(e, ERR_IO, "open the folder of %s", path) : take_fd(&dir);
}

/* ---- open and end ---- */

static int open_archive(struct export_out *o, const char *path, struct err *e)
{
	o->fd = mkostemp(o->tmp, O_CLOEXEC);
	if (o->fd < 0)
		return err_sys(e, ERR_IO, "make %s", path);
	o->w = arc_create(o->fd, path, e);
	if (o->w)
		return 0;
	unlink(o->tmp);
	return -1;
}

static int open_folder(struct export_out *o, const char *path, struct err *e)
{
	if (!mkdtemp(o->tmp))
		return err_sys(e, ERR_IO, "make the folder %s", path);
	o->fd = open(o->tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (o->fd >= 0)
		return 0;
	err_sys(e, ERR_IO, "open %s", o->tmp);
	rmdir(o->tmp);
	return -1;
}

int export_out_open(struct export_out *o, const char *path, struct err *e)
{
	size_t len = strlen(path);
	struct stat st;

	*o = (struct export_out){.fd = -1, .file = -1};
	while (len > 1 && path[len - 1] == '/')
		len--;
	if (!lstat(path, &st))
		return err_set(e, ERR_EXISTS, "%s is there already; export makes a new one", path);
	if (asprintf(&o->tmp, "%.*s.XXXXXX", (int)len, path) < 0) {
		o->tmp = NULL;
		return err_set(e, ERR_NOMEM, "out of memory");
	}
	if (arc_is_name(path) ? open_archive(o, path, e) : open_folder(o, path, e)) {
		free(take_ptr(o->tmp));
		return -1;
	}
	return 0;
}

/* The file begun is complete. */
static int end_file(struct export_out *o, struct err *e)
{
	auto_close int fd = take_fd(&o->file);

	return fd >= 0 && futimens(fd, o->times) ? err_sys(e, ERR_IO, "set the time of a file") : 0;
}

void export_out_free(struct export_out *o)
{
	if (o->file >= 0)
		close(o->file);
	arc_writer_free(take_ptr(o->w));
	if (o->tmp)
		io_remove_tree(o->tmp, NULL); /* what cannot be removed is left */
	free(take_ptr(o->tmp));
	if (o->fd >= 0)
		close(o->fd);
	o->fd = o->file = -1;
}

int export_out_commit(struct export_out *o, const char *path, struct err *e)
{
	if (o->w ? arc_finish(o->w, e) : end_file(o, e))
		return err_wrap(e, "%s", path);
	/* a power cut must not leave the final name with empty files */
	if (o->w ? fsync(o->fd) : syncfs(o->fd))
		return err_sys(e, ERR_IO, "write %s to disk", path);
	if (renameat2(AT_FDCWD, o->tmp, AT_FDCWD, path, RENAME_NOREPLACE))
		return err_sys(e, errno == EEXIST ? ERR_EXISTS : ERR_IO, "make %s", path);
	free(take_ptr(o->tmp));
	return 0;
}

/* ---- content ---- */

static void times_of(const struct arc_member *m, struct timespec times[static 2])
{
	times[0] = (struct timespec){.tv_nsec = UTIME_OMIT};
	times[1] = (struct timespec){.tv_sec = m->mtime, .tv_nsec = m->mtime_ns};
}

int export_out_file(struct export_out *o, const struct arc_member *m, struct err *e)
{
	auto_close int parent = -1;
	const char *last;

	if (o->w)
		return arc_put(o->w, m, e);
	parent = export_path_parent(o->fd, m->path, true, &last, e);
	if (parent < 0 || end_file(o, e))
		return -1;
	times_of(m, o->times);
	o->file = openat(parent, last, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (o->file < 0)
		return err_sys(e, ERR_IO, "create %s", m->path);
	if (fchmod(o->file, m->mode & 0777))
		return err_sys(e, ERR_IO, "set the mode of %s", m->path);
	return 0;
}

int export_out_write(struct export_out *o, const void *data, size_t n, const char *name,
		     struct err *e)
{
	return o->w ? arc_write(o->w, data, n, e) : io_write_full(o->file, data, n, name, e);
}

static int link_file(struct export_out *o, const struct arc_member *m, int parent, const char *last,
		     struct err *e)
{
	auto_close int from = -1;
	const char *name;

	if (!m->target || !export_path_is_plain(m->target))
		return err_set(e, ERR_FORMAT, "%s: a hard link to what is no path in the folder",
			       m->path);
	from = export_path_parent(o->fd, m->target, false, &name, e);
	if (from < 0)
		return -1;
	return linkat(from, name, parent, last, 0)
		       ? err_sys(e, ERR_IO, "make %s a hard link to %s", m->path, m->target)
		       : 0;
}

int export_out_entry(struct export_out *o, const struct arc_member *m, struct err *e)
{
	struct timespec times[2];
	auto_close int parent = -1;
	const char *last;
	int rc = 0;

	if (o->w)
		return arc_put(o->w, m, e);
	parent = export_path_parent(o->fd, m->path, true, &last, e);
	if (parent < 0)
		return -1;
	switch (m->kind) {
	case ARC_FOLDER:
		/* the owner keeps the right to put the files in */
		rc = mkdirat(parent, last, 0700);
		if (rc && errno == EEXIST)
			rc = 0;
		rc = rc ? rc : fchmodat(parent, last, (m->mode & 0777) | 0700, 0);
		break;
	case ARC_SYMLINK:
		rc = m->link ? symlinkat(m->link, parent, last) : 0;
		break;
	case ARC_FIFO:
		rc = mkfifoat(parent, last, 0600);
		rc = rc ? rc : fchmodat(parent, last, m->mode & 0777, 0);
		break;
	case ARC_HARDLINK:
		return link_file(o, m, parent, last, e);
	default:
		return err_set(e, ERR_UNSUPPORTED,
			       "%s is a device in the archive; a folder cannot have it", m->path);
	}
	if (rc)
		return err_sys(e, ERR_IO, "make %s", m->path);
	times_of(m, times);
	/* the time of a folder changes with what is put into it */
	if (m->kind != ARC_FOLDER && (m->kind != ARC_SYMLINK || m->link) &&
	    utimensat(parent, last, times, AT_SYMLINK_NOFOLLOW))
		return err_sys(e, ERR_IO, "set the time of %s", m->path);
	return 0;
}
