/* export_out.h: an image in the making: a folder, or an archive when the name ends as one.
 *
 * Owns:  everything written until export_out_commit, beside the final name under one of its own.
 * Never: follows a link, or leaves the folder, whatever a name says. Nothing is left behind when
 *        export_out_free comes before export_out_commit.
 * Order: export_out_open; per file export_out_file, export_out_write up to its size; export_out_entry for
 *        folders and links; export_out_commit; export_out_free.
 */
#pragma once

#include <time.h>

#include "proto/archive.h"

struct export_out {
	char *tmp;                /* owned; NULL: nothing is there to be removed */
	int fd;                   /* the folder, or the archive */
	struct arc_writer *w;     /* NULL: a folder */
	int file;                 /* of a folder: the file begun, -1: none */
	struct timespec times[2]; /* it gets them at its end (utimensat(2)) */
};

/* path must not exist. */
int export_out_open(struct export_out *o, const char *path, struct err *e);
void export_out_free(struct export_out *o);

/* Begin a file; of m, path and size and what its header says. */
int export_out_file(struct export_out *o, const struct arc_member *m, struct err *e);
int export_out_write(struct export_out *o, const void *data, size_t n, const char *name,
		     struct err *e);

/* A folder, link or fifo. */
int export_out_entry(struct export_out *o, const struct arc_member *m, struct err *e);

/* All is there: on disk, under its name. */
int export_out_commit(struct export_out *o, const char *path, struct err *e);

/* Is path the path of a file below a folder: no "..", nothing empty, not absolute? */
bool export_path_is_plain(const char *path);

/* The folder that the last part of a plain path is in, below dirfd, no link followed; made with what is
 * above it, if make is set. An owned descriptor or -1; *last is lent by path. */
int export_path_parent(int dirfd, const char *path, bool make, const char **last, struct err *e);
