#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

static int read_all(int fd, const char *path, size_t max, struct buf *out, struct err *e)
{
	struct stat st;

	buf_reset(out);
	if (fstat(fd, &st))
		return err_sys(e, ERR_IO, "stat %s", path);
	if (S_ISDIR(st.st_mode))
		return err_set(e, ERR_IO, "%s is a directory, not a file", path);
	for (;;) {
		/* /proc says size 0: read until there is no more */
		size_t want =
			st.st_size > (off_t)out->len ? (size_t)st.st_size - out->len + 1 : 4096;
		ssize_t n;

		if (want > max - out->len)
			want = max - out->len + 1;
		if (buf_reserve(out, want, e))
			return err_wrap(e, "read %s", path);
		n = read(fd, out->data + out->len, want);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, ERR_IO, "read %s", path);
		if (n == 0)
			return 0;
		out->len += (size_t)n;
		out->data[out->len] = 0;
		if (out->len > max)
			return err_set(e, ERR_RANGE, "%s is larger than %zu bytes", path, max);
	}
}

int io_read_file(int dirfd, const char *path, size_t max, struct buf *out, struct err *e)
{
	auto_close int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, "open %s", path);
	return read_all(fd, path, max, out, e);
}

int io_read_input(const char *path, size_t max, struct buf *out, struct err *e)
{
	return strcmp(path, "-") ? io_read_file(AT_FDCWD, path, max, out, e)
				 : read_all(STDIN_FILENO, "standard input", max, out, e);
}

int io_write_file(int dirfd, const char *path, const void *data, size_t n, mode_t mode,
		  struct err *e)
{
	char tmp[4096];
	auto_close int fd = -1;

	if (snprintf(tmp, sizeof(tmp), "%s.tmp%d", path, (int)getpid()) >= (int)sizeof(tmp))
		return err_set(e, ERR_RANGE, "path too long: %.80s...", path);
	fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		return err_sys(e, ERR_IO, "create %s", tmp);
	if (io_write_full(fd, data, n, tmp, e) ||
	    (fsync(fd) && err_sys(e, ERR_IO, "sync %s", tmp)) ||
	    (renameat(dirfd, tmp, dirfd, path) &&
	     err_sys(e, ERR_IO, "rename %s to %s", tmp, path))) {
		unlinkat(dirfd, tmp, 0);
		return -1;
	}
	return 0;
}

int io_read_full(int fd, void *data, size_t n, const char *what, struct err *e)
{
	size_t done = 0;

	while (done < n) {
		ssize_t r = read(fd, (char *)data + done, n - done);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_sys(e, ERR_IO, "read %s", what);
		if (r == 0)
			return err_set(e, ERR_FORMAT, "%s ends after %zu of %zu bytes", what, done,
				       n);
		done += (size_t)r;
	}
	return 0;
}

int io_write_full(int fd, const void *data, size_t n, const char *what, struct err *e)
{
	size_t done = 0;

	while (done < n) {
		ssize_t r = write(fd, (const char *)data + done, n - done);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_sys(e, ERR_IO, "write %s", what);
		done += (size_t)r;
	}
	return 0;
}

int io_write_proc(int dirfd, const char *path, const char *text, struct err *e)
{
	auto_close int fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC);
	size_t n = strlen(text);
	ssize_t r;

	if (fd < 0)
		return err_sys(e, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, "open %s", path);
	do
		r = write(fd, text, n);
	while (r < 0 && errno == EINTR);
	if (r < 0 || (size_t)r != n)
		return err_sys(e, ERR_KERNEL, "write '%.*s' to %s", (int)strcspn(text, "\n"), text,
			       path);
	return 0;
}

static _Thread_local int remove_errno; /* nftw(3) hands nothing on */

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	if (remove(path) && errno != ENOENT && !remove_errno)
		remove_errno = errno;
	return 0;
}

int io_remove_tree(const char *path, struct err *e)
{
	enum { DEPTH = 16 }; /* descriptors used at once */

	remove_errno = 0;
	if (nftw(path, remove_one, DEPTH, FTW_DEPTH | FTW_PHYS) && errno != ENOENT && !remove_errno)
		remove_errno = errno;
	if (!remove_errno)
		return 0;
	errno = remove_errno;
	return e ? err_sys(e, ERR_IO, "remove %s", path) : -1;
}

int io_mkdirs(const char *path, mode_t mode, struct err *e)
{
	char part[4096];
	size_t n = strlen(path);

	if (n >= sizeof(part))
		return err_set(e, ERR_RANGE, "path too long: %.80s...", path);
	for (size_t i = 1; i <= n; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdir(part, mode) && errno != EEXIST)
			return err_sys(e, ERR_IO, "mkdir %s", part);
	}
	return 0;
}
