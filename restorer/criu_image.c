#include "restorer/criu_image.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "imgdb/export.h"
#include "proto/img.h"
#include "proto/wire.h"

#define NETNS_MAX (16U << 20)

int criu_image_place(const struct restore *r, struct buf *out, struct err *e)
{
	const char *parent = getenv("TMPDIR");

	if (strchr(r->opts->name, '/'))
		return err_set(e, ERR_USAGE, "--name %s: a name of an instance has no '/'",
			       r->opts->name);
	return buf_printf(out, e, "%s/nsimg-criu-%s-%d", parent && *parent == '/' ? parent : "/tmp",
			  r->opts->name, (int)getpid());
}

/* netns-N.img with the key; what else it says stays (CRIU reads only the key then), and one that is not there is
 * made: CRIU looks for the file of each namespace that a socket or task is in. */
static int externalize(int dirfd, const struct restore_netns *n, struct err *e)
{
	const struct img_type *type = img_type_get(IMG_NETNS);
	auto_img_writer struct img_writer w;
	auto_buf struct buf old = {0}, entry = {0};
	struct err absent = ERR_INIT;
	struct img_record rec = {0};
	struct img_reader reader;
	char key[64], name[64];
	struct wire_value v;
	struct wire_edit edit = {"ext_key", &v, 1};

	snprintf(key, sizeof(key), CRIU_KEY, (long long)n->ns_id);
	v = wire_bytes(key, strlen(key));
	img_write_init(&w, dirfd);
	if (!img_type_name(type, (uint64_t)n->ns_id, name, sizeof(name)))
		return err_set(e, ERR_RANGE, "no file name for namespace %s", n->name);
	if (!io_read_file(dirfd, name, NETNS_MAX, &old, &absent) &&
	    (img_read_begin(&reader, type, name, buf_span(&old), e) ||
	     img_read_next(&reader, &rec, e) < 0))
		return -1;
	return wire_patch(type->entry, rec.msg, &edit, 1, &entry, e) ||
			       img_write_begin(&w, IMG_NETNS, (uint64_t)n->ns_id, e) ||
			       img_write_entry(&w, buf_span(&entry), e) || img_write_end(&w, e)
		       ? err_wrap(e, "namespace %s as external", n->name)
		       : 0;
}

int criu_image_make(const struct restore *r, const char *dir, struct err *e)
{
	const struct export_opts opts = {.source = r->opts->source};
	auto_close int fd = -1;
	char path[4096];

	snprintf(path, sizeof(path), "%s/" CRIU_IMAGES, dir);
	if (mkdir(dir, 0700))
		return err_sys(e, ERR_IO, "make the folder %s", dir);
	if (export_image(r->db, r->image, path, &opts, e))
		return -1;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, ERR_IO, "open %s", path);
	for (size_t i = 0; i < r->n_netns; i++)
		if ((!r->netns[i].external || r->netns[i].target) &&
		    externalize(fd, &r->netns[i], e))
			return -1;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path) && errno != ENOENT ? -1 : 0;
}

int criu_image_remove(const char *dir, struct err *e)
{
	enum { DEPTH = 16 }; /* descriptors used at once */

	if (nftw(dir, remove_one, DEPTH, FTW_DEPTH | FTW_PHYS) && errno != ENOENT)
		return err_sys(e, ERR_IO, "remove %s", dir);
	return 0;
}
