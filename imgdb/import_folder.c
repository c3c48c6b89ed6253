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

/* ---- which folder is the image ---- */

static size_t folder_len(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (size_t)(slash - path) : 0;
}

static unsigned depth_of(const char *path)
{
	unsigned n = 0;

	for (; *path; path++)
		n += *path == '/';
	return n;
}

/* The file whose folder is the image: the inventory nearest to the top ("checkpoint/" of engines before
 * "pre-checkpoint/"), else, of a damaged image, any image file. */
static const struct import_file *find_image(const struct import *im)
{
	const struct import_file *best = NULL;
	bool best_is_inventory = false;

	for (size_t i = 0; i < im->n_files; i++) {
		const struct import_file *f = &im->file[i];
		bool is_inventory = f->type && img_type_kind(f->type) == IMG_INVENTORY;
		int order;

		if (!f->type || !f->type->magic || f->type->head == IMG_HEAD_SERVICE)
			continue;
		order = !best ? 1 : (int)is_inventory - (int)best_is_inventory;
		if (!order)
			order = (int)depth_of(best->name) - (int)depth_of(f->name);
		if (!order && is_inventory)
			order = strcmp(best->name, f->name);
		if (order > 0) {
			best = f;
			best_is_inventory = is_inventory;
		}
	}
	return best;
}

void import_choose_folder(struct import *im)
{
	const struct import_file *image = find_image(im);
	size_t len = image ? folder_len(image->name) : 0;

	for (size_t i = 0; image && i < im->n_files; i++) {
		struct import_file *f = &im->file[i];

		if (folder_len(f->name) != len || strncmp(f->name, image->name, len) != 0)
			f->type = NULL;
	}
}

/* ---- folders ---- */

static const char inventory[] = "inventory.img";
/* where podman and CRI-O have the image (checkpointctl(1)) */
static const char checkpoint[] = "checkpoint";

static bool has_inventory(int dirfd, const char *folder)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", folder, inventory);
	return !faccessat(dirfd, path, F_OK, AT_SYMLINK_NOFOLLOW);
}

/* A folder below the source, path as of walk(). */
static DIR *open_folder(const struct import *im, const char *path, struct err *e)
{
	int fd = openat(im->dirfd, *path ? path : ".",
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		err_sys(e, ERR_IO, "open %s/%s", im->source, path);
		if (fd >= 0)
			close(fd);
	}
	return dir;
}

struct walk {
	struct import *im;
	bool is_tree; /* folders are gone into */
	int (*fn)(struct import *im, const char *path, const struct stat *st, struct err *e);
};

enum { DEPTH_MAX = 64 };

/* All that is below a folder goes to fn, the folder before what is in it. path: "" or with a final "/". */
static int walk(const struct walk *w, const char *path, unsigned depth, struct err *e)
{
	const char *source = w->im->source;
	auto_dir DIR *dir = open_folder(w->im, path, e);
	struct dirent *d;

	if (!dir)
		return -1;
	if (depth > DEPTH_MAX)
		return err_set(e, ERR_RANGE, "%s/%s: more than %d folders in each other", source,
			       path, DEPTH_MAX);
	for (errno = 0; (d = readdir(dir)); errno = 0) {
		auto_buf struct buf name = {0};
		struct stat st;

		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
			continue;
		if (fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW))
			return err_sys(e, ERR_IO, "%s/%s%s", source, path, d->d_name);
		if (buf_printf(&name, e, "%s%s", path, d->d_name) ||
		    w->fn(w->im, (const char *)name.data, &st, e))
			return -1;
		if (w->is_tree && S_ISDIR(st.st_mode) &&
		    (buf_add_str(&name, "/", e) || walk(w, (const char *)name.data, depth + 1, e)))
			return -1;
	}
	if (errno)
		return err_sys(e, ERR_IO, "read %s/%s", source, path);
	return 0;
}

static int list_file(struct import *im, const char *path, const struct stat *st, struct err *e)
{
	return S_ISREG(st->st_mode)
		       ? import_file_add(im, path, (uint64_t)st->st_size, st->st_mode, e)
		       : 0;
}

int import_list(struct import *im, struct err *e)
{
	im->is_tree = !has_inventory(im->dirfd, ".") && has_inventory(im->dirfd, checkpoint);
	if (walk(&(struct walk){.im = im, .is_tree = im->is_tree, .fn = list_file}, "", 0, e))
		return -1;
	import_sort(im);
	return 0;
}

static int add_file(struct import *im, struct import_file *f, struct err *e)
{
	struct arc_member m = {.name = f->name, .kind = ARC_FILE, .mode = f->mode};
	struct stat st;

	if (fstatat(im->dirfd, f->name, &st, AT_SYMLINK_NOFOLLOW))
		return err_sys(e, ERR_IO, "%s/%s", im->source, f->name);
	m.uid = st.st_uid;
	m.gid = st.st_gid;
	m.mtime = st.st_mtim.tv_sec;
	m.mtime_ns = (uint32_t)st.st_mtim.tv_nsec;
	f->id = im->next_file++;
	return import_member_add(im, &m, f, e);
}

/* What is no file. A link is kept: "parent" leads to the images that an incremental dump goes on from
 * (criu pre-dump, --prev-images-dir). */
static int add_other(struct import *im, const char *path, const struct stat *st, struct err *e)
{
	struct arc_member m = {
		.name = path,
		.kind = S_ISFIFO(st->st_mode)  ? ARC_FIFO
			: S_ISDIR(st->st_mode) ? ARC_FOLDER
					       : ARC_SYMLINK,
		.mode = st->st_mode & 07777,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.mtime = st->st_mtim.tv_sec,
		.mtime_ns = (uint32_t)st->st_mtim.tv_nsec,
	};
	char target[PATH_MAX + 1];
	ssize_t n;

	if (S_ISREG(st->st_mode))
		return 0;
	if (S_ISDIR(st->st_mode) && !im->is_tree)
		return import_note(im, NULL, "unknown", path, "a folder in the image: not read", e);
	if (S_ISFIFO(st->st_mode) || S_ISDIR(st->st_mode))
		return import_member_add(im, &m, NULL, e);
	if (!S_ISLNK(st->st_mode))
		return import_note(im, NULL, "unknown", path,
				   "neither a file nor a link or fifo: not kept", e);
	n = readlinkat(im->dirfd, path, target, sizeof(target));
	if (n < 0 || (size_t)n >= sizeof(target))
		return err_sys(e, ERR_IO, "%s/%s", im->source, path);
	target[n] = 0;
	m.link = target;
	return import_member_add(im, &m, NULL, e);
}

int import_folder(struct import *im, struct err *e)
{
	/* folders first: a reader of an archive makes them before what is in them */
	if (walk(&(struct walk){.im = im, .is_tree = im->is_tree, .fn = add_other}, "", 0, e))
		return -1;
	for (size_t i = 0; i < im->n_files; i++)
		if (add_file(im, &im->file[i], e))
			return -1;
	if (im->is_tree)
		import_choose_folder(im);
	return 0;
}

int import_find_below(const struct import *im, struct buf *out, struct err *e)
{
	auto_dir DIR *dir = open_folder(im, "", e);
	struct dirent *d;

	if (!dir)
		return -1;
	while ((d = readdir(dir))) {
		auto_buf struct buf in = {0};

		if (buf_printf(&in, e, "%s/%s", d->d_name, checkpoint))
			return -1;
		if (strcmp(d->d_name, ".") && strcmp(d->d_name, "..") &&
		    (has_inventory(im->dirfd, d->d_name) ||
		     has_inventory(im->dirfd, (const char *)in.data)))
			return buf_add_str(out, d->d_name, e) ? -1 : 1;
	}
	return 0;
}
