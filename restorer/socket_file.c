#include "restorer/socket_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"

enum lies_there { NOTHING, STALE, ALIVE, OTHER };

/* Is a socket bound to the file? A datagram socket that connects is told ECONNREFUSED when none is, and
 * EPROTOTYPE when it is one of another type (unix_find_bsd), without anybody noticing. An address has no room for
 * every path, so it is reached through a descriptor. */
static bool is_alive(const char *path)
{
	auto_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	auto_close int file = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	if (fd < 0 || file < 0)
		return true;
	snprintf(un.sun_path, sizeof(un.sun_path), "/proc/self/fd/%d", file);
	return !connect(fd, (struct sockaddr *)&un, sizeof(un)) || errno != ECONNREFUSED;
}

static enum lies_there look(const char *path, struct stat *st)
{
	if (lstat(path, st))
		return NOTHING;
	if (!S_ISSOCK(st->st_mode))
		return OTHER;
	return is_alive(path) ? ALIVE : STALE;
}

int socket_file_check(const struct restore *r, const struct step *s, struct buf *reasons,
		      struct err *e)
{
	const char *path = s->data;
	struct stat st;

	switch (look(path, &st)) {
	case OTHER:
		return buf_printf(reasons, e,
				  "%s exists and is no socket: move it away, or use --root\n",
				  path);
	case ALIVE:
		return buf_printf(reasons, e,
				  "%s is in use by a running program: end it, or use --root\n",
				  path);
	default:
		return 0;
	}
}

/* The part of the folder's path that is missing, made; the first one made is what undo begins with. */
static int make_folders(struct restore *r, const char *path, struct err *e)
{
	char dir[4200], first[4200] = "";
	char *slash;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (!slash || slash == dir)
		return 0;
	*slash = 0;
	if (!access(dir, F_OK))
		return 0;
	for (char *p = dir + 1; *p && !*first; p++) {
		if (*p != '/' && p[1])
			continue;
		char kept = *p;

		if (kept == '/')
			*p = 0;
		if (access(dir, F_OK))
			snprintf(first, sizeof(first), "%s", dir);
		*p = kept;
	}
	if (journal_fact(r->journal, r->step, "made", e, "%s", first))
		return -1;
	return io_mkdirs(dir, 0755, e);
}

int socket_file_run(struct restore *r, struct step *s, struct err *e)
{
	const char *path = s->data;
	auto_buf struct buf why = {0};
	char aside[4300];
	struct stat st;

	if (journal_fact(r->journal, r->step, "path", e, "%s", path))
		return -1;
	if (socket_file_check(r, s, &why, e))
		return -1;
	if (why.len)
		return err_set(e, ERR_EXISTS, "%.*s", (int)why.len - 1, (char *)why.data);
	if (make_folders(r, path, e))
		return -1;
	if (look(path, &st) != STALE)
		return 0;
	snprintf(aside, sizeof(aside), "%s.nsimg-%s", path, r->opts->name);
	if (journal_fact(r->journal, r->step, "aside", e, "%s", aside))
		return -1;
	if (rename(path, aside))
		return err_sys(e, ERR_IO, "set the stale socket %s aside", path);
	return 0;
}

/* From the folder of the socket up to the first one that was made, as far as they are empty. */
static void remove_folders(const char *path, const char *first)
{
	char dir[4200];
	char *slash;

	snprintf(dir, sizeof(dir), "%s", path);
	while ((slash = strrchr(dir, '/')) && slash != dir) {
		*slash = 0;
		if (strlen(dir) < strlen(first) || rmdir(dir))
			return;
	}
}

int socket_file_undo(const struct journal_entry *je, struct err *e)
{
	const char *path = journal_value(je, "path"), *aside = journal_value(je, "aside");
	const char *first = journal_value(je, "made");
	struct stat st;

	if (!path)
		return 0;
	/* Killed between bind(2) and the note about it: nobody holds the socket any more. */
	if (look(path, &st) == STALE && (!aside || !access(aside, F_OK)) && je->done)
		unlink(path);
	if (aside && !access(aside, F_OK) && rename(aside, path))
		return err_sys(e, ERR_IO, "put %s back to %s", aside, path);
	if (first)
		remove_folders(path, first);
	return 0;
}

int socket_file_made(struct journal *j, uint32_t step, const char *path, struct err *e)
{
	struct stat st;

	if (lstat(path, &st) || !S_ISSOCK(st.st_mode))
		return 0;
	return journal_fact(j, step, "file", e, "%" PRIu64 " %" PRIu64 " %s", (uint64_t)st.st_dev,
			    (uint64_t)st.st_ino, path);
}

int socket_file_remove(const struct journal_entry *je, struct err *e)
{
	for (size_t i = 0; i < je->n_facts; i++) {
		uint64_t dev, ino;
		int at = 0;
		struct stat st;

		if (strcmp(je->keys[i], "file") != 0 ||
		    sscanf(je->values[i], "%" SCNu64 " %" SCNu64 " %n", &dev, &ino, &at) != 2)
			continue;
		if (lstat(je->values[i] + at, &st) || !S_ISSOCK(st.st_mode) || st.st_dev != dev ||
		    st.st_ino != ino)
			continue;
		if (unlink(je->values[i] + at))
			return err_sys(e, ERR_IO, "remove the socket %s", je->values[i] + at);
	}
	return 0;
}
