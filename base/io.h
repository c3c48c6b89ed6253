/* io.h: whole files and exact reads and writes; a short one is an error.
 *
 * All descriptors are opened close-on-exec. Paths are relative to dirfd (AT_FDCWD for the current
 * folder), and messages name the path.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/* The whole file into an emptied buf, at most max bytes (ERR_RANGE beyond). /proc files work. */
int io_read_file(int dirfd, const char *path, size_t max, struct buf *out, struct err *e);

/* The same of an operand of a command: "-" is standard input. */
int io_read_input(const char *path, size_t max, struct buf *out, struct err *e);

/* A new file (or one replaced: written beside it, synced, renamed over it, so that a full disk never
 * leaves half a file). mode as in open(2). */
int io_write_file(int dirfd, const char *path, const void *data, size_t n, mode_t mode,
		  struct err *e);

/* Exactly n bytes; what names the thing in errors. A read that ends early is ERR_FORMAT. */
int io_read_full(int fd, void *data, size_t n, const char *what, struct err *e);
int io_write_full(int fd, const void *data, size_t n, const char *what, struct err *e);

/* Write text to an existing /proc or /sys file in one write(2). */
int io_write_proc(int dirfd, const char *path, const char *text, struct err *e);

/* rm -rf: what can be removed is, links are not followed. -1 with the first failure; what is not there is none. e may be
 * NULL. */
int io_remove_tree(const char *path, struct err *e);

/* mkdir -p; what exists already is fine. */
int io_mkdirs(const char *path, mode_t mode, struct err *e);
