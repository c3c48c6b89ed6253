#include "imgdb/db_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"

char *db_path_plain(const char *path, struct err *e)
{
	char *p = NULL;

	if (!*path) {
		err_set(e, ERR_USAGE, "the name of the database is empty");
		return NULL;
	}
	if (asprintf(&p, "%s%s", *path == '/' ? "" : "./", path) < 0) {
		err_set(e, ERR_NOMEM, "out of memory");
		return NULL;
	}
	return p;
}

/* The byte of the header that says how to read it is 2 for WAL (sqlite.org/fileformat2.html, 1.3.3). */
static bool is_wal(const char *path)
{
	enum { READ_VERSION = 19 };
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t version = 0;

	return fd >= 0 && pread(fd, &version, 1, READ_VERSION) == 1 && version == 2;
}

/* Is there a -wal file? Not told: yes. SQLite has it beside the file that a link leads to. */
static bool has_wal_file(const char *path)
{
	auto_free char *real = realpath(path, NULL), *wal = NULL;

	if (asprintf(&wal, "%s-wal", real ? real : path) < 0) {
		wal = NULL;
		return true;
	}
	return access(wal, F_OK) == 0 || errno != ENOENT;
}

bool db_path_is_unmerged(const char *path)
{
	return is_wal(path) && has_wal_file(path);
}

char *db_path_reading(const char *path, struct err *e)
{
	auto_free char *plain = db_path_plain(path, e);
	auto_buf struct buf uri = {0};

	if (!plain || buf_add_str(&uri, "file:", e))
		return NULL;
	for (const char *c = plain; *c; c++)
		if (strchr("%?#", *c) ? buf_printf(&uri, e, "%%%02x", (unsigned)*c)
				      : buf_add(&uri, c, 1, e))
			return NULL;
	if (is_wal(path) && !has_wal_file(path) && buf_add_str(&uri, "?immutable=1", e))
		return NULL;
	return (char *)take_ptr(uri.data);
}
