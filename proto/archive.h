/* archive.h: checkpoint archives (tar; plain, gzip, zstd or xz) as a stream of members. The only door to
 * libarchive.
 *
 * Owns:  the open archive (its bytes come from unpack.h), and its SHA-256 while it is read.
 * Never: unpacks to disk, follows a link, or believes a header: names that are absolute, have ".." in them
 *        or are too long, sizes and counts beyond the limits below are errors. Memory does not grow with the
 *        size of the archive.
 * Order: arc_open, then arc_next until it is not 1, with any number of arc_read after each (what was not read
 *        is skipped), arc_digest, arc_free.
 *        arc_create; arc_put and arc_write up to the size it named, per member; arc_finish; arc_writer_free.
 * Errors name the archive, the member and the offset in the unpacked stream. Damage is ERR_FORMAT.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
	ARC_NAME_MAX = 4096, /* bytes of a member's name or link target */
	ARC_MEMBERS_MAX = 1 << 20,
};
#define ARC_SIZE_MAX ((uint64_t)1 << 40) /* bytes of all members together */

enum arc_kind {
	ARC_FILE,
	ARC_FOLDER,
	ARC_SYMLINK,
	ARC_HARDLINK,
	ARC_FIFO,
	ARC_OTHER,
	ARC_KIND_COUNT
};

struct arc_member {
	const char *name; /* as the archive has it: "./a", "a/" */
	const char *path; /* the same without "./" and final "/": "a"; "" for the top */
	enum arc_kind kind;
	uint64_t size; /* 0 unless ARC_FILE */
	unsigned mode; /* permission bits */
	int64_t mtime, uid, gid;
	uint32_t mtime_ns;
	const char *uname, *gname, *link; /* NULL: none */
	const char *target; /* of a hard link: the path that link means; NULL: none below the top */
};

struct arc_reader;

/* An owned handle or NULL. is_damaged: as much as there is will be asked for (arc_resync); the archive ends where the
 * file does, not at the mark. ERR_NOTFOUND, ERR_IO; ERR_FORMAT: not a tar archive. */
struct arc_reader *arc_open(const char *path, bool is_damaged, struct err *e);
void arc_free(struct arc_reader *r);

/* The next member: 1 (what m points to is lent until the next call), 0 at the end, -1. An archive without the
 * mark that ends it has been cut off: ERR_FORMAT. */
int arc_next(struct arc_reader *r, struct arc_member *m, struct err *e);

/* After an error of arc_next: where it was the header of a member that is damaged, the next header that can be read,
 * looked for at each block of 512 bytes: 1 as arc_next, 0 when there is none. What is found may be a member of an
 * archive that was a member. */
int arc_resync(struct arc_reader *r, struct arc_member *m, struct err *e);

/* The next bytes of the member's content, at most size; *n is 0 at its end. A content that is shorter than
 * its header says is ERR_FORMAT. */
int arc_read(struct arc_reader *r, void *data, size_t size, size_t *n, struct err *e);

/* SHA-256 and size of the archive file itself, read to its end. */
int arc_digest(struct arc_reader *r, char hex[65], uint64_t *size, struct err *e);

struct arc_writer;

/* Does the name end as an archive does (.tar, .tar.gz, .tgz, .tar.zst, .tzst, .tar.xz, .txz)? */
bool arc_is_name(const char *path);

/* Write an archive to fd (borrowed); name (borrowed) tells the compression by its ending. */
struct arc_writer *arc_create(int fd, const char *name, struct err *e);
void arc_writer_free(struct arc_writer *w);

/* Begin a member; of m name, not path, is used. The content follows in arc_write calls. */
int arc_put(struct arc_writer *w, const struct arc_member *m, struct err *e);
int arc_write(struct arc_writer *w, const void *data, size_t n, struct err *e);

/* The last member is complete: write what ends the archive. */
int arc_finish(struct arc_writer *w, struct err *e);

static inline void arc_reader_cleanup_(struct arc_reader **r)
{
	arc_free(*r);
}
static inline void arc_writer_cleanup_(struct arc_writer **w)
{
	arc_writer_free(*w);
}
#define auto_arc_reader __attribute__((cleanup(arc_reader_cleanup_)))
#define auto_arc_writer __attribute__((cleanup(arc_writer_cleanup_)))
