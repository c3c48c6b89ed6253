#include "proto/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "proto/unpack.h"

enum { BLOCK = 512 /* of a tar archive */ };

struct arc_reader {
	struct archive *a;
	char *file; /* owned: the archive, for messages */
	struct unpack *bytes;
	struct err failed; /* of bytes */
	struct buf path, target;
	char member[200]; /* for messages */
	uint64_t size, left, total;
	unsigned n_members;
	int64_t data_end;       /* of the member before, in the unpacked stream */
	bool is_header_damaged; /* the last error: a header, after which others may follow */
};

/* ---- reading ---- */

static int64_t arc_offset(const struct arc_reader *r)
{
	return archive_filter_bytes(r->a, 0);
}

static int arc_error(struct arc_reader *r, struct err *e, enum err_code code, const char *what)
{
	if (r->member[0])
		return err_set(e, code, "%s: member %s, offset %" PRId64 " unpacked: %s", r->file,
			       r->member, arc_offset(r), what);
	if (arc_offset(r) < 0)
		return err_set(e, code, "%s: %s", r->file, what);
	return err_set(e, code, "%s: offset %" PRId64 " unpacked: %s", r->file, arc_offset(r),
		       what);
}

static int arc_damage(struct arc_reader *r, struct err *e)
{
	const char *text = archive_error_string(r->a);

	if (r->failed.code)
		return arc_error(r, e, r->failed.code, r->failed.msg);
	return arc_error(r, e, archive_errno(r->a) == ENOMEM ? ERR_NOMEM : ERR_FORMAT,
			 text ? text : "damaged");
}

static ssize_t read_piece(struct archive *a, void *arg, const void **data)
{
	struct arc_reader *r = arg;
	const uint8_t *bytes;
	size_t n;

	if (unpack_read(r->bytes, &bytes, &n, &r->failed)) {
		archive_set_error(a, EIO, "%s", r->failed.msg);
		return -1;
	}
	*data = bytes;
	return (ssize_t)n;
}

static int open_archive(struct arc_reader *r, const char *path, bool is_damaged, struct err *e)
{
	r->bytes = unpack_open(path, e);
	if (!r->bytes)
		return -1;
	r->file = strdup(path);
	r->a = archive_read_new();
	if (!r->file || !r->a)
		return err_set(e, ERR_NOMEM, "out of memory");
	/* no filter: what is compressed is unpacked already, and libarchive would start programs for some */
	if (archive_read_support_format_tar(r->a) != ARCHIVE_OK ||
	    archive_read_support_format_gnutar(r->a) != ARCHIVE_OK)
		return err_set(e, ERR_UNSUPPORTED, "libarchive was built without tar");
	/* zeros among the content of a member whose header is damaged are no end. The first header may be the damaged one,
	 * so the kind is told and not looked for; after the option, which forgets it. */
	if (is_damaged &&
	    (archive_read_set_options(r->a, "read_concatenated_archives") != ARCHIVE_OK ||
	     archive_read_set_format(r->a, ARCHIVE_FORMAT_TAR) != ARCHIVE_OK))
		return arc_damage(r, e);
	if (archive_read_open(r->a, r, NULL, read_piece, NULL) != ARCHIVE_OK)
		return arc_damage(r, e);
	return 0;
}

struct arc_reader *arc_open(const char *path, bool is_damaged, struct err *e)
{
	auto_arc_reader struct arc_reader *r = calloc(1, sizeof(*r));

	if (!r) {
		err_set(e, ERR_NOMEM, "out of memory");
		return NULL;
	}
	return open_archive(r, path, is_damaged, e) ? NULL : take_ptr(r);
}

void arc_free(struct arc_reader *r)
{
	if (!r)
		return;
	if (r->a)
		archive_read_free(r->a);
	unpack_free(r->bytes);
	buf_free(&r->path);
	buf_free(&r->target);
	free(r->file);
	free(r);
}

/* The parts of a name joined without "." and empty ones. */
static int make_path(struct arc_reader *r, const char *name, struct buf *path, struct err *e)
{
	buf_reset(path);
	if (*name == '/')
		return arc_error(r, e, ERR_FORMAT, "its name is an absolute path");
	if (strlen(name) > ARC_NAME_MAX)
		return arc_error(r, e, ERR_RANGE, "its name is too long");
	while (*name) {
		size_t n = strcspn(name, "/");

		if (n == 2 && !strncmp(name, "..", 2))
			return arc_error(r, e, ERR_FORMAT, "its name has \"..\" in it");
		if (n && !(n == 1 && *name == '.') &&
		    ((path->len && buf_add_str(path, "/", e)) || buf_add(path, name, n, e)))
			return -1;
		name += n + (name[n] == '/');
	}
	return buf_add(path, "", 0, e);
}

static const char *path_text(const struct buf *path)
{
	return path->data ? (const char *)path->data : "";
}

static enum arc_kind kind_of(struct archive_entry *h)
{
	if (archive_entry_hardlink(h))
		return ARC_HARDLINK;
	switch (archive_entry_filetype(h)) {
	case AE_IFREG:
		return ARC_FILE;
	case AE_IFDIR:
		return ARC_FOLDER;
	case AE_IFLNK:
		return ARC_SYMLINK;
	case AE_IFIFO:
		return ARC_FIFO;
	default:
		return ARC_OTHER;
	}
}

static int fill_member(struct arc_reader *r, struct archive_entry *h, struct arc_member *m,
		       struct err *e)
{
	*m = (struct arc_member){
		.kind = kind_of(h),
		.mode = archive_entry_perm(h) & 07777,
		.mtime = archive_entry_mtime(h),
		.mtime_ns = (uint32_t)archive_entry_mtime_nsec(h),
		.uid = archive_entry_uid(h),
		.gid = archive_entry_gid(h),
		.uname = archive_entry_uname(h),
		.gname = archive_entry_gname(h),
	};
	struct err outside = ERR_INIT;

	m->name = archive_entry_pathname(h);
	if (!m->name)
		m->name = archive_entry_pathname_utf8(h);
	if (!m->name)
		return arc_error(r, e, ERR_FORMAT, "a member without a name");
	snprintf(r->member, sizeof(r->member), "%s", m->name);
	m->link = m->kind == ARC_HARDLINK ? archive_entry_hardlink(h) : archive_entry_symlink(h);
	if (m->link && strlen(m->link) > ARC_NAME_MAX)
		return arc_error(r, e, ERR_RANGE, "the target of the link is too long");
	if (make_path(r, m->name, &r->path, e))
		return -1;
	m->path = path_text(&r->path);
	if (m->kind == ARC_HARDLINK && !make_path(r, m->link, &r->target, &outside))
		m->target = path_text(&r->target);
	if (m->kind != ARC_FILE)
		return 0;
	if (!archive_entry_size_is_set(h) || archive_entry_size(h) < 0)
		return arc_error(r, e, ERR_FORMAT, "no size in its header");
	m->size = (uint64_t)archive_entry_size(h);
	if (!m->path[0])
		return arc_error(r, e, ERR_FORMAT, "a file without a name");
	return 0;
}

/* libarchive takes the end of the bytes for the end of the archive. A writer puts two zero blocks there
 * (POSIX ustar), and without any the archive was cut off between two members. */
static int check_end(struct arc_reader *r, struct err *e)
{
	r->member[0] = '\0';
	if (!r->n_members || arc_offset(r) >= r->data_end + BLOCK)
		return 0;
	return arc_error(r, e, ERR_FORMAT, "the archive is cut off: nothing marks its end");
}

/* The header is there: what it says. */
static int take_header(struct arc_reader *r, struct archive_entry *h, struct arc_member *m,
		       struct err *e)
{
	if (++r->n_members > ARC_MEMBERS_MAX)
		return arc_error(r, e, ERR_RANGE, "more members than are taken");
	if (fill_member(r, h, m, e))
		return -1;
	r->size = r->left = m->size;
	if (m->size > ARC_SIZE_MAX || (r->total += m->size) > ARC_SIZE_MAX)
		return arc_error(r, e, ERR_RANGE, "the members are larger than is taken");
	return 1;
}

int arc_next(struct arc_reader *r, struct arc_member *m, struct err *e)
{
	struct archive_entry *h;
	int rc;

	/* only skipping moves the offset to where the member really ends */
	if (r->n_members && !r->is_header_damaged && archive_read_data_skip(r->a) < ARCHIVE_WARN)
		return arc_damage(r, e);
	r->data_end = arc_offset(r);
	r->is_header_damaged = false;
	rc = archive_read_next_header(r->a, &h);
	if (rc == ARCHIVE_EOF)
		return check_end(r, e);
	r->is_header_damaged = rc == ARCHIVE_RETRY;
	if (rc < ARCHIVE_WARN || rc == ARCHIVE_RETRY) {
		r->member[0] = '\0';
		return arc_damage(r, e);
	}
	return take_header(r, h, m, e);
}

int arc_resync(struct arc_reader *r, struct arc_member *m, struct err *e)
{
	struct archive_entry *h;
	int rc;

	if (!r->is_header_damaged)
		return 0;
	do
		rc = archive_read_next_header(r->a, &h);
	while (rc == ARCHIVE_RETRY);
	r->is_header_damaged = false;
	if (rc == ARCHIVE_EOF)
		return 0;
	return rc < ARCHIVE_WARN ? arc_damage(r, e) : take_header(r, h, m, e);
}

int arc_read(struct arc_reader *r, void *data, size_t size, size_t *n, struct err *e)
{
	size_t want = size < r->left ? size : (size_t)r->left;
	la_ssize_t got = want ? archive_read_data(r->a, data, want) : 0;

	if (got < 0)
		return arc_damage(r, e);
	/* all that was stored was read (less is an error above): a sparse file ends with a hole, which
	 * archive_read_data leaves out */
	if (want && !got) {
		memset(data, 0, want);
		got = (la_ssize_t)want;
	}
	r->left -= (uint64_t)got;
	*n = (size_t)got;
	return 0;
}

int arc_digest(struct arc_reader *r, char hex[65], uint64_t *size, struct err *e)
{
	return unpack_digest(r->bytes, hex, size, e) ? err_wrap(e, "%s", r->file) : 0;
}

/* ---- writing ---- */

struct arc_writer {
	struct archive *a;
	struct archive_entry *entry;
	uint64_t left;
};

struct ending {
	const char *text;
	int (*add)(struct archive *a);
};

static const struct ending endings[] = {
	{".tar", archive_write_add_filter_none},  {".tar.gz", archive_write_add_filter_gzip},
	{".tgz", archive_write_add_filter_gzip},  {".tar.zst", archive_write_add_filter_zstd},
	{".tzst", archive_write_add_filter_zstd}, {".tar.xz", archive_write_add_filter_xz},
	{".txz", archive_write_add_filter_xz},
};

static const struct ending *ending_of(const char *path)
{
	size_t len = strlen(path);

	for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
		size_t n = strlen(endings[i].text);

		if (len > n && path[len - n - 1] != '/' && !strcmp(path + len - n, endings[i].text))
			return &endings[i];
	}
	return NULL;
}

bool arc_is_name(const char *path)
{
	return ending_of(path) != NULL;
}

static int write_error(struct arc_writer *w, struct err *e, const char *what)
{
	const char *text = archive_error_string(w->a);

	return err_set(e, archive_errno(w->a) == ENOMEM ? ERR_NOMEM : ERR_IO, "%s: %s", what,
		       text ? text : "libarchive refused");
}

struct arc_writer *arc_create(int fd, const char *name, struct err *e)
{
	auto_arc_writer struct arc_writer *w = calloc(1, sizeof(*w));
	const struct ending *end = ending_of(name);

	if (!end) {
		err_set(e, ERR_USAGE, "%s does not end as an archive does", name);
		return NULL;
	}
	if (w) {
		w->a = archive_write_new();
		w->entry = archive_entry_new();
	}
	if (!w || !w->a || !w->entry) {
		err_set(e, ERR_NOMEM, "out of memory");
		return NULL;
	}
	/* plain ustar, with pax headers only for what ustar cannot say: every tar reads it. (The "restricted" one leaves
	 * nanoseconds out.) */
	if (end->add(w->a) != ARCHIVE_OK || archive_write_set_format_pax(w->a) != ARCHIVE_OK) {
		write_error(w, e, name);
		return NULL;
	}
	/* the same content makes the same bytes; other filters have no such option */
	archive_write_set_filter_option(w->a, "gzip", "timestamp", NULL);
	if (archive_write_open_fd(w->a, fd) != ARCHIVE_OK) {
		write_error(w, e, name);
		return NULL;
	}
	return take_ptr(w);
}

void arc_writer_free(struct arc_writer *w)
{
	if (!w)
		return;
	if (w->a)
		archive_write_free(w->a);
	archive_entry_free(w->entry);
	free(w);
}

int arc_put(struct arc_writer *w, const struct arc_member *m, struct err *e)
{
	static const unsigned types[ARC_KIND_COUNT] = {
		[ARC_FILE] = AE_IFREG,     [ARC_FOLDER] = AE_IFDIR, [ARC_SYMLINK] = AE_IFLNK,
		[ARC_HARDLINK] = AE_IFREG, [ARC_FIFO] = AE_IFIFO,
	};
	struct archive_entry *h = archive_entry_clear(w->entry);

	if (w->left)
		return err_set(e, ERR_RANGE, "a member has fewer bytes than its header says");
	if (!types[m->kind])
		return err_set(e, ERR_UNSUPPORTED,
			       "%s is neither a file nor a folder, link or fifo; it cannot be put "
			       "into an archive",
			       m->name);
	archive_entry_set_pathname(h, m->name);
	archive_entry_set_filetype(h, types[m->kind]);
	archive_entry_set_perm(h, m->mode);
	archive_entry_set_mtime(h, m->mtime, m->mtime_ns);
	archive_entry_set_uid(h, m->uid);
	archive_entry_set_gid(h, m->gid);
	archive_entry_set_uname(h, m->uname);
	archive_entry_set_gname(h, m->gname);
	if (m->kind == ARC_SYMLINK)
		archive_entry_set_symlink(h, m->link);
	else if (m->kind == ARC_HARDLINK)
		archive_entry_set_hardlink(h, m->link);
	archive_entry_set_size(h, m->kind == ARC_FILE ? (int64_t)m->size : 0);
	w->left = m->kind == ARC_FILE ? m->size : 0;
	return archive_write_header(w->a, h) < ARCHIVE_WARN ? write_error(w, e, m->name) : 0;
}

int arc_write(struct arc_writer *w, const void *data, size_t n, struct err *e)
{
	const uint8_t *p = data;

	if (n > w->left)
		return err_set(e, ERR_RANGE, "a member has more bytes than its header says");
	w->left -= n;
	while (n) {
		la_ssize_t done = archive_write_data(w->a, p, n);

		if (done <= 0)
			return write_error(w, e, "write the archive");
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

int arc_finish(struct arc_writer *w, struct err *e)
{
	if (w->left)
		return err_set(e, ERR_RANGE, "a member has fewer bytes than its header says");
	return archive_write_close(w->a) != ARCHIVE_OK ? write_error(w, e, "write the archive") : 0;
}
