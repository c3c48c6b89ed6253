#include "restorer/criu_image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/criu.h"
#include "base/io.h"
#include "imgdb/export.h"
#include "proto/img.h"
#include "proto/wire.h"
#include "restorer/sk_make.h"

#define NETNS_MAX (16U << 20)
#define FILES_MAX (1U << 30)

int criu_image_place(const struct restore *r, struct buf *out, struct err *e)
{
	if (strchr(r->opts->name, '/'))
		return err_set(e, ERR_USAGE, "--name %s: a name of an instance has no '/'",
			       r->opts->name);
	return buf_printf(out, e, "%s/nsimg-criu-%s-%d", criu_tmp(), r->opts->name, (int)getpid());
}

/* netns-N.img with the key; what else it says stays (CRIU reads only the key then), and one that is not there is
 * made: CRIU looks for the file of each namespace that a socket or task is in. */
static int externalize(int dirfd, bool is_v10, const struct restore_netns *n, struct err *e)
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
	w.is_v10 = is_v10;
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

/* ---- the root task in the namespace that CRIU itself was in ----
 *
 * CRIU neither makes nor enters that one, and cannot restore a child in another then. So the images say that it was a
 * namespace like any other: CRIU's own gets a number that nothing has, and sockets without a number (which would land
 * in CRIU's own, now an empty one) get that of their task. */

#define UNUSED_NETNS 0x7ffffff0

/* The records of a file, each as patch makes it; *changed: not all as they were. */
struct rewrite {
	const struct restore *r;
	const struct criu_supply *supply;
	int64_t number; /* of the namespace that was CRIU's own, 0: no such number is missing */
	const char *
		kind; /* of records in a file of their own: "isk"; NULL: each record says it (files.img) */
	int (*patch)(const struct rewrite *rw, const struct img_type *type, struct span msg,
		     struct buf *out, struct err *e);
};

static int patch_number(const struct img_type *type, struct span msg, const char *path,
			uint64_t number, struct buf *out, struct err *e)
{
	const struct wire_value v = wire_number(number);
	const struct wire_edit edit = {path, &v, 1};

	return wire_patch(type->entry, msg, &edit, 1, out, e);
}

/* Is a record of that kind, and where a field of such a record is. */
static bool is_kind(const struct rewrite *rw, const struct img_type *type, struct span msg,
		    const char *kind)
{
	return rw->kind ? !strcmp(rw->kind, kind) : wire_has(type->entry, msg, kind);
}

static const char *path_of(const struct rewrite *rw, const char *path)
{
	return rw->kind ? strchr(path, '.') + 1 : path;
}

static int patch_inventory(const struct rewrite *rw, const struct img_type *type, struct span msg,
			   struct buf *out, struct err *e)
{
	return patch_number(type, msg, "root_ids.net_ns_id", UNUSED_NETNS, out, e);
}

/* CRIU cannot tell where a netlink socket is that is not bound. Most likely where the task is that has it. */
static int likely_number(const struct rewrite *rw, const struct img_type *type, struct span msg,
			 int64_t *number, struct err *e)
{
	auto_query struct query *q = query_new(
		rw->r->db,
		"SELECT t.ns_id FROM fd f JOIN task t ON t.image = f.image AND t.files_id = "
		"f.files_id WHERE f.image = :image AND f.file_id = :id AND t.ns_id IS NOT NULL "
		"ORDER BY t.id LIMIT 1",
		e);
	struct wire_value id;
	int got;

	*number = rw->number;
	if (!q || wire_get(type->entry, msg, "id", &id, e) < 0 ||
	    query_bind_int(q, "image", rw->r->image, e) ||
	    query_bind_int(q, "id", (int64_t)id.u, e))
		return -1;
	got = query_next(q, e);
	if (got == 1)
		*number = query_int(q, 0);
	return got < 0 ? -1 : 0;
}

/* What a record is of, NULL: nothing that nsimg makes. */
static const struct sk_file *find_file(const struct rewrite *rw, const struct img_type *type,
				       struct span msg)
{
	struct err unreadable = ERR_INIT;
	struct wire_value id;

	return wire_get(type->entry, msg, "id", &id, &unreadable) == 1
		       ? criu_supply_find(rw->supply, (uint32_t)id.u)
		       : NULL;
}

/* A datagram socket that is named when CRIU has made it: neither bound nor connected, as socket(2) makes it. */
static int patch_nameless(const struct rewrite *rw, const struct img_type *type, struct span msg,
			  struct buf *out, struct err *e)
{
	const struct wire_value none = wire_number(0), closed = wire_number(7 /* TCP_CLOSE */);
	const struct wire_edit edits[] = {
		{path_of(rw, "isk.src_port"), &none, 1}, {path_of(rw, "isk.dst_port"), &none, 1},
		{path_of(rw, "isk.state"), &closed, 1},  {path_of(rw, "isk.ifname"), NULL, 0},
		{path_of(rw, "isk.shutdown"), NULL, 0},
	};

	return wire_patch(type->entry, msg, edits, ARRAY_SIZE(edits), out, e);
}

/* CRIU looks for the device of a tun descriptor among those that it made itself. Without the device it opens the path
 * of the companion record, and that is ours. */
static int patch_tun(const struct rewrite *rw, const struct img_type *type, struct span msg,
		     bool *changed, struct buf *out, struct err *e)
{
	const struct wire_edit no_device = {path_of(rw, "tunf.netdev"), NULL, 0};
	bool is_tun = is_kind(rw, type, msg, "tunf");
	const struct sk_file *f;
	struct wire_value path;
	const struct wire_edit rename = {path_of(rw, "reg.name"), &path, 1};
	char text[64];

	*changed = false;
	if ((!is_tun && !is_kind(rw, type, msg, "reg")) || !(f = find_file(rw, type, msg)) ||
	    !criu_supply_is_tun(f))
		return 0;
	*changed = true;
	snprintf(text, sizeof(text), "/" CRIU_TUN, (unsigned)f->file_id);
	path = wire_bytes(text, strlen(text));
	return wire_patch(type->entry, msg, is_tun ? &no_device : &rename, 1, out, e);
}

static int patch_file(const struct rewrite *rw, const struct img_type *type, struct span msg,
		      struct buf *out, struct err *e)
{
	static const char *const kinds[][2] = {
		{"isk", "isk.ns_id"},
		{"usk", "usk.ns_id"},
		{"nlsk", "nlsk.ns_id"},
		{"psk", "psk.ns_id"},
	};
	auto_buf struct buf nameless = {0};
	const struct sk_file *f;
	bool changed;

	if (patch_tun(rw, type, msg, &changed, out, e))
		return -1;
	if (changed)
		return 0;
	if (is_kind(rw, type, msg, "isk") && (f = find_file(rw, type, msg)) && sk_is_nameless(f)) {
		if (patch_nameless(rw, type, msg, &nameless, e))
			return -1;
		msg = buf_span(&nameless);
	}
	for (size_t i = 0; rw->number && i < ARRAY_SIZE(kinds); i++)
		if (is_kind(rw, type, msg, kinds[i][0]) &&
		    !wire_has(type->entry, msg, path_of(rw, kinds[i][1]))) {
			int64_t number;

			return likely_number(rw, type, msg, &number, e)
				       ? -1
				       : patch_number(type, msg, path_of(rw, kinds[i][1]),
						      (uint64_t)number, out, e);
		}
	return buf_add(out, msg.data, msg.len, e);
}

static int rewrite_file(int dirfd, enum img_kind kind, const struct rewrite *rw, struct err *e)
{
	const struct img_type *type = img_type_get(kind);
	auto_img_writer struct img_writer w;
	auto_buf struct buf old = {0};
	struct img_record rec;
	struct img_reader reader;
	char name[64];
	int got;

	img_write_init(&w, dirfd);
	if (!img_type_name(type, 0, name, sizeof(name)) ||
	    io_read_file(dirfd, name, FILES_MAX, &old, e) ||
	    img_read_begin(&reader, type, name, buf_span(&old), e))
		return -1;
	w.is_v10 = reader.is_v10;
	if (img_write_begin(&w, kind, 0, e))
		return -1;
	while ((got = img_read_next(&reader, &rec, e)) == 1) {
		auto_buf struct buf entry = {0};

		if (rw->patch(rw, type, rec.msg, &entry, e) ||
		    img_write_entry(&w, buf_span(&entry), e) || img_write_bytes(&w, rec.extra, e))
			return err_wrap(e, "%s", name);
	}
	return got < 0 ? -1 : img_write_end(&w, e);
}

/* The number that CRIU's own namespace has in the image, 0: none. */
static int own_number(int dirfd, int64_t *number, struct err *e)
{
	const struct img_type *type = img_type_get(IMG_INVENTORY);
	auto_buf struct buf all = {0};
	struct img_record rec;
	struct img_reader reader;
	struct wire_value v;

	*number = 0;
	if (io_read_file(dirfd, "inventory.img", NETNS_MAX, &all, e) ||
	    img_read_begin(&reader, type, "inventory.img", buf_span(&all), e) ||
	    img_read_next(&reader, &rec, e) < 0)
		return -1;
	if (wire_get(type->entry, rec.msg, "root_ids.net_ns_id", &v, e) < 0)
		return -1;
	*number = (int64_t)v.u;
	return 0;
}

static bool has_supplied(const struct criu_supply *supply)
{
	for (size_t i = 0; i < supply->specs->n_files; i++)
		if (criu_supply_is_tun(&supply->specs->files[i]) ||
		    sk_is_nameless(&supply->specs->files[i]))
			return true;
	return false;
}

/* All files are in files.img, or, as CRIU wrote them once, each kind in an image of its own. */
static int rewrite_files(int dirfd, struct rewrite *rw, struct err *e)
{
	static const struct {
		enum img_kind kind;
		const char *name;
	} apart[] = {
		{IMG_REG_FILES, "reg"}, {IMG_TUNFILE, "tunf"},    {IMG_INETSK, "isk"},
		{IMG_UNIXSK, "usk"},    {IMG_NETLINK_SK, "nlsk"}, {IMG_PACKETSK, "psk"},
	};
	char name[64];

	if (!faccessat(dirfd, "files.img", F_OK, 0))
		return rewrite_file(dirfd, IMG_FILES, rw, e);
	for (size_t i = 0; i < ARRAY_SIZE(apart); i++) {
		rw->kind = apart[i].name;
		if (img_type_name(img_type_get(apart[i].kind), 0, name, sizeof(name)) &&
		    !faccessat(dirfd, name, F_OK, 0) && rewrite_file(dirfd, apart[i].kind, rw, e))
			return -1;
	}
	return 0;
}

static int rewrite(const struct restore *r, const struct criu_supply *supply, int dirfd,
		   struct err *e)
{
	struct rewrite inventory = {.patch = patch_inventory},
		       files = {.r = r, .supply = supply, .patch = patch_file};
	int64_t number;

	if (own_number(dirfd, &number, e))
		return -1;
	if (number && restore_netns_by_id(r, number)) {
		files.number = number;
		if (rewrite_file(dirfd, IMG_INVENTORY, &inventory, e))
			return -1;
	}
	return (files.number || has_supplied(supply)) && rewrite_files(dirfd, &files, e) ? -1 : 0;
}

/* An incremental dump goes on from another folder, to which the link leads (criu pre-dump, --prev-images-dir). It is
 * relative to where the image was. */
static int provide_parent(const struct restore *r, int dirfd, struct err *e)
{
	static const char link[] = "parent";
	auto_query struct query *q =
		query_new(r->db, "SELECT source FROM image WHERE id = :image", e);
	char target[2048], path[4096];
	ssize_t n = readlinkat(dirfd, link, target, sizeof(target) - 1);

	if (n < 0 || !faccessat(dirfd, link, F_OK, 0))
		return 0;
	target[n] = 0;
	if (!q || query_bind_int(q, "image", r->image, e) || query_next(q, e) < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/%s", r->opts->source ? r->opts->source : query_text(q, 0),
		 target);
	if (*target == '/' || access(path, F_OK))
		return err_set(
			e, ERR_NOTFOUND,
			"the image is of an incremental dump and goes on from %s, which is not "
			"there: give --source the folder it was imported from, with that "
			"beside it",
			*target == '/' ? target : path);
	return unlinkat(dirfd, link, 0) || symlinkat(path, dirfd, link)
		       ? err_sys(e, ERR_IO, "the link to %s", path)
		       : 0;
}

/* Files that CRIU gets anew look as the others do: up to v1.0 without the common magic. */
static int is_v10(const struct restore *r, bool *yes, struct err *e)
{
	auto_query struct query *q =
		query_new(r->db, "SELECT img_version = 1 FROM image WHERE id = :image", e);

	if (!q || query_bind_int(q, "image", r->image, e) || query_next(q, e) < 0)
		return -1;
	*yes = query_int(q, 0);
	return 0;
}

int criu_image_make(const struct restore *r, const struct criu_supply *supply, struct err *e)
{
	const struct export_opts opts = {.source = r->opts->source};
	bool v10;
	auto_close int fd = -1;
	char path[4096];

	snprintf(path, sizeof(path), "%s/" CRIU_IMAGES, supply->dir);
	if (mkdir(supply->dir, 0700))
		return err_sys(e, ERR_IO, "make the folder %s", supply->dir);
	if (export_image(r->db, r->image, path, &opts, e))
		return -1;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, ERR_IO, "open %s", path);
	if (provide_parent(r, fd, e) || is_v10(r, &v10, e))
		return -1;
	for (size_t i = 0; i < r->n_netns; i++)
		if ((!r->netns[i].external || r->netns[i].target) &&
		    externalize(fd, v10, &r->netns[i], e))
			return -1;
	return rewrite(r, supply, fd, e);
}
