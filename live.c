#include "live.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "imgdb/import.h"

void live_folder_remove(int fd, const char *path, bool made)
{
	DIR *d = fdopendir(dup(fd));
	struct dirent *de;

	/* the position is shared with the descriptor that looked whether the folder is empty */
	if (d)
		rewinddir(d);
	while (d && (de = readdir(d)))
		if (strcmp(de->d_name, ".") && strcmp(de->d_name, ".."))
			unlinkat(fd, de->d_name, 0);
	if (d)
		closedir(d);
	if (made)
		rmdir(path);
}

int live_folder_open(const char *path, bool *made, struct err *e)
{
	auto_dir DIR *d = NULL;
	struct dirent *de;
	int fd;

	*made = !mkdir(path, 0700);
	if (!*made && errno != EEXIST)
		return err_sys(e, ERR_IO, "create %s", path);
	d = opendir(path);
	if (!d)
		return err_sys(e, ERR_IO, "open %s", path);
	while ((de = readdir(d)))
		if (strcmp(de->d_name, ".") && strcmp(de->d_name, ".."))
			return err_set(e, ERR_EXISTS,
				       "%s is not empty: give a new folder for the image", path);
	fd = fcntl(dirfd(d), F_DUPFD_CLOEXEC, 3);
	return fd < 0 ? err_sys(e, ERR_IO, "open %s", path) : fd;
}

int live_to_dir(const struct dumper_request *rq, const char *path, struct dumper_report *report,
		struct err *e)
{
	bool made;
	auto_close int fd = live_folder_open(path, &made, e);

	if (fd < 0)
		return -1;
	if (dumper_run(rq, fd, report, e)) {
		live_folder_remove(fd, path, made);
		return -1;
	}
	return 0;
}

/* Where the images are until they are in the database: in memory, when that is possible, which is faster and keeps
 * what may be secret off the disk. */
static const char *folder_for_a_moment(void)
{
	const char *given = getenv("TMPDIR");

	if (given && *given)
		return given;
	return access("/dev/shm", W_OK | X_OK) ? "/tmp" : "/dev/shm";
}

int live_to_db(const struct dumper_request *rq, const char *parent, struct db *db, int64_t *image,
	       struct dumper_report *report, struct err *e)
{
	const struct import_opts opts = {
		.again = true, .live = rq->words, .progress = rq->opts.progress};
	auto_close int fd = -1;
	char dir[4096];
	bool made;
	int rc;

	if (!parent)
		parent = folder_for_a_moment();
	if (snprintf(dir, sizeof(dir), "%s/nsimg.XXXXXX", parent) >= (int)sizeof(dir))
		return err_set(e, ERR_USAGE, "path too long: %.80s...", parent);
	if (!mkdtemp(dir))
		return err_sys(e, ERR_IO, "create a folder in %s", parent);
	fd = live_folder_open(dir, &made, e);
	rc = fd < 0 ? -1 : dumper_run(rq, fd, report, e);
	if (!rc)
		rc = import_dir(db, dir, &opts, image, e);
	if (fd >= 0)
		live_folder_remove(fd, dir, true);
	return rc;
}
