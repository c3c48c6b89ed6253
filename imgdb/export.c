#include "imgdb/export.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/stop.h"
#include "imgdb/export_int.h"
#include "proto/manifest.h"

struct export
{
	struct db *db;
	struct record_cache *rc;
	int64_t image;
	const struct export_opts *opts;
	uint64_t n_files, n_done; /* for people who wait */
	struct changes changes;
	bool has_gone_netns;
	bool is_v10; /* files have no common magic */
	struct export_out out;
	struct export_source source;
	struct buf folder; /* of the image in an archive, with its "/"; empty: the top */
	int64_t time;      /* of files that no archive told a time of */
	struct manifest
		manifest; /* of an edited image of ours: goes out last, with what was edited */
	bool has_manifest;
};

/* ---- files nobody edited ---- */

struct copy {
	struct export *x;
	const struct file_row *f;
};

static int copy_piece(void *arg, struct span piece, struct err *e)
{
	const struct copy *c = arg;

	return stop_check(e) || export_out_write(&c->x->out, piece.data, piece.len, c->f->m.path, e)
		       ? -1
		       : 0;
}

static int copy_stored(struct export *x, const struct file_row *f, struct err *e)
{
	struct copy c = {x, f};

	return export_out_file(&x->out, &f->m, e) ||
			       record_file_each(x->db, f->id, (size_t)f->size, copy_piece, &c, e)
		       ? -1
		       : 0;
}

static int collect_piece(void *arg, struct span piece, struct err *e)
{
	return buf_add(arg, piece.data, piece.len, e);
}

/* ---- files with edits ---- */

/* The first change that is not before those of file, kind and number. */
static size_t changes_at(const struct changes *all, int64_t file, enum img_kind kind,
			 uint64_t number)
{
	size_t lo = 0, hi = all->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		const struct change *c = &all->c[mid];

		if (c->file != file   ? c->file < file
		    : c->kind != kind ? c->kind < kind
				      : c->number < number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The changes of a file: from *first on, how many. */
static size_t changes_of(const struct changes *all, int64_t file, size_t *first)
{
	*first = changes_at(all, file, 0, 0);
	return changes_at(all, file + 1, 0, 0) - *first;
}

/* The same of the rows added to files of a kind and number; they have no file yet. */
static size_t changes_added(const struct changes *all, enum img_kind kind, uint64_t number,
			    size_t *first)
{
	size_t n = 0;

	*first = changes_at(all, 0, kind, number);
	while (*first + n < all->n && all->c[*first + n].how == CHANGE_ADDED &&
	       all->c[*first + n].kind == kind && all->c[*first + n].number == number)
		n++;
	return n;
}

static int add_rows(struct export *x, enum img_kind kind, uint64_t number, struct buf *out,
		    struct err *e)
{
	size_t first, n = changes_added(&x->changes, kind, number, &first);

	for (struct change *c = x->changes.c + first; n--; c++) {
		if (export_added(x->rc, c, x->opts, out, e))
			return -1;
		c->is_done = true;
	}
	return 0;
}

static bool has_added(const struct export *x, const struct img_type *type, uint64_t number)
{
	size_t first;

	return type && changes_added(&x->changes, img_type_kind(type), number, &first);
}

/* Was a row of the table deleted? */
static bool has_gone(const struct export *x, const char *table)
{
	for (size_t i = 0; i < x->changes.n; i++)
		if (x->changes.c[i].how == CHANGE_DELETED && !strcmp(x->changes.c[i].table, table))
			return true;
	return false;
}

/* A file being made anew. */
struct rebuild {
	struct export *x;
	const struct file_row *f;
	const struct img_type *type;
	uint64_t number;
	const struct change *c; /* those of the records to come */
	size_t n;
	bool with_epoll;
};

/* Does record no go out as it is? */
static bool is_same(const struct rebuild *b, uint32_t no)
{
	return !b->with_epoll && (!b->n || b->c->rec > no);
}

/* Append the record with its changes, and pass these. */
static int put_record(struct rebuild *b, const struct img_record *rec, struct buf *out,
		      struct err *e)
{
	struct export *x = b->x;
	size_t same = 0;

	progress_say(x->opts->progress, x->n_done, x->n_files, "%s: record %u", b->f->m.path,
		     rec->no);
	if (stop_check(e))
		return -1;
	for (; b->n && b->c->rec < rec->no; b->n--)
		b->c++;
	while (same < b->n && b->c[same].rec == rec->no)
		same++;
	if (same            ? export_record(x->rc, b->type, rec, b->c, same, x->opts, out, e)
	    : b->with_epoll ? export_epoll(x->db, x->image, rec, out, e)
			    : buf_add(out, rec->raw.data, rec->raw.len, e))
		return err_wrap(e, "%s: record %u", b->f->m.path, rec->no);
	return 0;
}

static int cannot_read(const struct file_row *f, const struct err *damage, struct err *e)
{
	return err_set(e, ERR_CONFLICT, "%s was edited but cannot be read: %s", f->m.path,
		       damage->msg);
}

/* The name of a file without the folder that the image has in an archive. */
static const char *name_in_image(const struct export *x, const char *path)
{
	size_t n = x->folder.len;

	return n && !strncmp(path, (const char *)x->folder.data, n) ? path + n : path;
}

static int put_file(struct export *x, const struct file_row *f, const struct buf *b, struct err *e)
{
	struct arc_member m = f->m;

	m.size = b->len;
	if (x->has_manifest && manifest_put(&x->manifest, name_in_image(x, m.path), buf_span(b), e))
		return -1;
	return export_out_file(&x->out, &m, e) ||
			       export_out_write(&x->out, b->data, b->len, m.path, e)
		       ? -1
		       : 0;
}

static int leave_out(struct export *x, const struct file_row *f)
{
	manifest_drop(&x->manifest, name_in_image(x, f->m.path));
	return 0;
}

/* In memory: its size or whether it is written at all shows only when it is there. */
static int rebuild_whole(struct rebuild *b, struct err *e)
{
	const bool goes_when_empty =
		img_type_kind(b->type) == IMG_TCP_STREAM ||
		(b->type->shape == IMG_SHAPE_WHOLE && b->n && b->c->how == CHANGE_DELETED);
	const struct file_row *f = b->f;
	auto_buf struct buf all = {0}, out = {0};
	struct err damage = ERR_INIT;
	struct img_record rec;
	struct img_reader r;
	size_t n_records = 0;
	int got;

	if (record_file_each(b->x->db, f->id, (size_t)f->size, collect_piece, &all, e))
		return -1;
	if (img_read_begin(&r, b->type, f->m.path, buf_span(&all), &damage))
		return cannot_read(f, &damage, e);
	if (buf_add(&out, r.head.data, r.head.len, e))
		return -1;
	while ((got = img_read_next(&r, &rec, &damage)) == 1 || (got < 0 && rec.is_cut)) {
		size_t start = out.len;

		if (put_record(b, &rec, &out, e))
			return -1;
		n_records += out.len > start;
		/* one that is cut is all there is */
		if (got < 0)
			r.tail = (struct span){NULL, 0};
	}
	/* what is damaged goes out as it came in */
	if (add_rows(b->x, img_type_kind(b->type), b->number, &out, e) ||
	    buf_add(&out, r.tail.data, r.tail.len, e))
		return -1;
	/* the stream of a connection that is gone is a file that is gone, and so is a ruleset */
	return !n_records && goes_when_empty ? leave_out(b->x, f) : put_file(b->x, f, &out, e);
}

/* A file of entries that goes through memory piece by piece. */
struct stream {
	struct rebuild *b;
	struct img_reader r;
	struct buf in, out; /* in: read, and no whole record yet */
	struct hash *hash;
	uint64_t size;
	bool has_begun;
};

static void stream_free(struct stream *s)
{
	buf_free(&s->in);
	buf_free(&s->out);
	hash_free(s->hash);
}

static int stream_begin(struct stream *s, struct span bytes, struct err *e)
{
	const struct file_row *f = s->b->f;
	struct err damage = ERR_INIT;

	s->has_begun = true;
	if (img_read_begin(&s->r, s->b->type, f->m.path, bytes, &damage))
		return cannot_read(f, &damage, e);
	return buf_add(&s->out, s->r.head.data, s->r.head.len, e);
}

static int stream_write(struct stream *s, struct err *e)
{
	if (s->b->x->has_manifest && hash_update(s->hash, s->out.data, s->out.len, e))
		return -1;
	if (export_out_write(&s->b->x->out, s->out.data, s->out.len, s->b->f->m.path, e))
		return -1;
	s->size += s->out.len;
	buf_reset(&s->out);
	return 0;
}

/* The whole records of bytes; *used: how long they are together. */
static int stream_records(struct stream *s, struct span bytes, size_t *used, struct err *e)
{
	struct rebuild *b = s->b;
	struct err cut = ERR_INIT;
	struct img_record rec;
	size_t same; /* the records from here on go out as they are */

	if (!s->has_begun && stream_begin(s, bytes, e))
		return -1;
	s->r.bytes = bytes;
	s->r.done = s->r.damaged = false;
	same = s->r.pos;
	for (;;) {
		if (!b->with_epoll)
			img_read_skip(&s->r, b->n ? (uint64_t)b->c->rec : UINT64_MAX);
		if (img_read_next(&s->r, &rec, &cut) != 1)
			break;
		if (is_same(b, rec.no))
			continue;
		if (buf_add(&s->out, bytes.data + same, rec.off - same, e) ||
		    put_record(b, &rec, &s->out, e))
			return -1;
		same = s->r.pos;
	}
	*used = s->r.pos;
	s->r.pos = 0;
	return buf_add(&s->out, bytes.data + same, *used - same, e);
}

enum { REST_WITH = 4096 };

/* The end of a piece may cut a record: it is tried again with what follows, and most often is whole with a little of
 * that. */
static int stream_rest(struct stream *s, struct span *piece, struct err *e)
{
	const size_t rest = s->in.len;
	size_t take = piece->len < REST_WITH ? piece->len : REST_WITH, used;

	if (buf_add(&s->in, piece->data, take, e) || stream_records(s, buf_span(&s->in), &used, e))
		return -1;
	if (used >= rest) {
		*piece = (struct span){piece->data + (used - rest), piece->len - (used - rest)};
		buf_reset(&s->in);
		return 0;
	}
	if (buf_add(&s->in, piece->data + take, piece->len - take, e) ||
	    buf_splice(&s->in, 0, used, NULL, 0, e) ||
	    stream_records(s, buf_span(&s->in), &used, e))
		return -1;
	piece->len = 0;
	return buf_splice(&s->in, 0, used, NULL, 0, e);
}

static int stream_piece(void *arg, struct span piece, struct err *e)
{
	struct stream *s = arg;
	size_t used = 0;

	if ((s->in.len && stream_rest(s, &piece, e)) ||
	    (piece.len && (stream_records(s, piece, &used, e) ||
			   buf_add(&s->in, piece.data + used, piece.len - used, e))))
		return -1;
	return stream_write(s, e);
}

static int rebuild_stream(struct rebuild *b, struct err *e)
{
	__attribute__((cleanup(stream_free))) struct stream s = {.b = b, .hash = hash_new(e)};
	struct export *x = b->x;
	const struct file_row *f = b->f;
	char hex[HASH_HEX_LEN + 1];

	if (!s.hash || export_out_file(&x->out, &f->m, e) ||
	    record_file_each(x->db, f->id, (size_t)f->size, stream_piece, &s, e) ||
	    (!s.has_begun && stream_begin(&s, (struct span){0}, e)))
		return -1;
	/* what is damaged goes out as it came in */
	if (add_rows(x, img_type_kind(b->type), b->number, &s.out, e) ||
	    buf_add(&s.out, s.in.data, s.in.len, e) || stream_write(&s, e))
		return -1;
	if (!x->has_manifest)
		return 0;
	return hash_final(s.hash, hex, e) ||
			       manifest_put_hash(&x->manifest, name_in_image(x, f->m.path), s.size,
						 hex, e)
		       ? -1
		       : 0;
}

static int rebuild(struct rebuild *b, struct err *e)
{
	/* an archive has the size before the bytes */
	const bool is_stream = !b->x->out.w && b->type->shape == IMG_SHAPE_ENTRIES &&
			       b->type->extra == IMG_EXTRA_NONE;

	b->with_epoll = img_type_kind(b->type) == IMG_FILES && has_gone(b->x, "fd");
	return is_stream ? rebuild_stream(b, e) : rebuild_whole(b, e);
}

/* A text of an engine, as its row has it. */
static int put_engine_file(struct export *x, const struct file_row *f, const struct change *c,
			   struct err *e)
{
	auto_query struct query *q =
		query_new(x->db, "SELECT content FROM engine_file WHERE id = :id", e);
	auto_buf struct buf text = {0};
	struct span b;

	if (!q || query_bind_int(q, "id", c->row, e) || query_next(q, e) < 0)
		return -1;
	if (c->how == CHANGE_DELETED)
		return err_set(
			e, ERR_UNSUPPORTED,
			"the row of %s in engine_file was deleted: an archive is not written "
			"without that file",
			f->m.path);
	b = query_blob(q, 0);
	return buf_add(&text, b.data, b.len, e) || put_file(x, f, &text, e) ? -1 : 0;
}

/* Is it a file of a namespace that was deleted? */
static bool is_of_gone(const struct export *x, const struct img_type *type, uint64_t number)
{
	static const enum img_kind of_netns[] = {
		IMG_NETDEV,    IMG_NETNS,      IMG_IFADDR,       IMG_ROUTE,    IMG_ROUTE6,
		IMG_RULE,      IMG_IPTABLES,   IMG_IP6TABLES,    IMG_NFTABLES, IMG_NETNF_CT,
		IMG_NETNF_EXP, IMG_NSIMG_RTNL, IMG_NSIMG_SYSCTL,
	};
	bool found = false;

	for (size_t i = 0; x->has_gone_netns && type && i < ARRAY_SIZE(of_netns); i++)
		found |= of_netns[i] == img_type_kind(type);
	for (size_t i = 0; found && i < x->changes.n; i++) {
		const struct change *c = &x->changes.c[i];

		if (c->how == CHANGE_DELETED && c->number == number && !strcmp(c->table, "netns"))
			return true;
	}
	return false;
}

static int export_file(struct export *x, const struct file_row *f, struct err *e)
{
	const struct img_type *type;
	uint64_t number = 0;
	size_t first, n;

	progress_say(x->opts->progress, ++x->n_done, x->n_files, "%s", f->m.path);
	if (stop_check(e))
		return -1;
	type = img_type_of_name(f->m.path, &number);
	if (is_of_gone(x, type, number))
		return leave_out(x, f);
	n = changes_of(&x->changes, f->id, &first);
	if (n && !strcmp(x->changes.c[first].table, "engine_file"))
		return put_engine_file(x, f, x->changes.c + first, e);
	if (x->has_manifest && type && img_type_kind(type) == IMG_NSIMG_FILES)
		return 0;
	if (!type || (!n && !has_added(x, type, number) &&
		      !(img_type_kind(type) == IMG_FILES && has_gone(x, "fd"))))
		return f->is_stored ? copy_stored(x, f, e)
				    : export_source_copy(&x->source, f, &x->out, e);
	if (!f->is_stored)
		return err_set(e, ERR_CONFLICT, "%s was edited, but is kept by reference only",
			       f->m.path);
	return rebuild(&(struct rebuild){.x = x,
					 .f = f,
					 .type = type,
					 .number = number,
					 .c = x->changes.c + first,
					 .n = n},
		       e);
}

static int put_new_file(struct export *x, const char *name, const struct buf *b, struct err *e)
{
	struct file_row f = {.m = {.kind = ARC_FILE, .mode = 0600, .mtime = x->time}};
	auto_buf struct buf path = {0};

	if (buf_add(&path, x->folder.data, x->folder.len, e) || buf_add_str(&path, name, e))
		return -1;
	f.m.name = f.m.path = (const char *)path.data;
	return put_file(x, &f, b, e);
}

/* Rows that go into files the image did not have. */
static int new_files(struct export *x, struct err *e)
{
	for (size_t i = 0; i < x->changes.n; i++) {
		const struct change *c = &x->changes.c[i];
		const struct img_type *type = img_type_get(c->how == CHANGE_ADDED ? c->kind : 0);
		const uint32_t magics[] = {IMG_MAGIC_COMMON, type->magic};
		auto_buf struct buf out = {0};
		char name[64];

		if (c->how != CHANGE_ADDED || c->is_done)
			continue;
		if (!img_type_name(type, c->number, name, sizeof(name)))
			return err_set(e, ERR_RANGE, "no file name for a new %s", type->name);
		if ((type->head == IMG_HEAD_COMMON && !x->is_v10 && buf_add(&out, magics, 4, e)) ||
		    ((type->head == IMG_HEAD_COMMON || type->head == IMG_HEAD_RAW) &&
		     buf_add(&out, &magics[1], 4, e)) ||
		    add_rows(x, c->kind, c->number, &out, e) || put_new_file(x, name, &out, e))
			return -1;
	}
	return 0;
}

/* ---- the list of files ---- */

/* Of an edited image of ours. Its lines of files that nobody edited stay as they are: damage that came in
 * shows on the other side too. A list that is damaged itself goes out as it came. */
static int load_manifest(struct export *x, struct err *e)
{
	auto_query struct query *q = query_new(
		x->db,
		"SELECT id, size FROM image_file WHERE image = :image AND kind = 'NSIMG_FILES' AND "
		"content IS NOT NULL",
		e);
	auto_buf struct buf all = {0};
	struct err damage = ERR_INIT;
	int rc;

	if (!x->changes.n)
		return 0;
	if (!q || query_bind_int(q, "image", x->image, e))
		return -1;
	rc = query_next(q, e);
	if (rc <= 0)
		return rc;
	if (record_file_each(x->db, query_int(q, 0), (size_t)query_int(q, 1), collect_piece, &all,
			     e))
		return -1;
	x->has_manifest = !manifest_read(&x->manifest, "nsimg-files.img", buf_span(&all), &damage);
	return x->has_manifest || damage.code == ERR_FORMAT
		       ? 0
		       : err_set(e, damage.code, "%s", damage.msg);
}

static int put_manifest(struct export *x, struct err *e)
{
	auto_img_writer struct img_writer w = {.dirfd = -1};

	if (!x->has_manifest)
		return 0;
	x->has_manifest = false; /* it does not list itself */
	return manifest_pack(&x->manifest, &w, e) || put_new_file(x, w.name, &w.bytes, e) ? -1 : 0;
}

/* ---- the image ---- */

/* Text of a column as bytes, for the life of b: *out, NULL for SQL NULL. */
static int column_bytes(const struct query *q, int col, struct buf *b, const char **out,
			struct err *e)
{
	const char *text = query_text(q, col);

	buf_reset(b);
	*out = NULL;
	if (!text)
		return 0;
	if (escape_undo(b, text, strlen(text), e) || buf_add(b, "", 0, e))
		return -1;
	*out = b->data ? (const char *)b->data : "";
	return 0;
}

enum column {
	C_FILE,
	C_NAME,
	C_SIZE,
	C_MODE,
	C_SHA256,
	C_IS_STORED,
	C_MEMBER,
	C_TYPE,
	C_UID,
	C_GID,
	C_UNAME,
	C_GNAME,
	C_MTIME,
	C_MTIME_NS,
	C_LINK,
};

/* Files, and what else an archive had, in the order of the archive. typeof(): IS NOT NULL would read a
 * large content into memory. */
static const char files_sql[] =
	"SELECT f.id, f.name, f.size, coalesce(f.mode, 384), f.sha256, typeof(f.content) <> "
	"'null', "
	"m.name, "
	"coalesce(m.type, 'file'), coalesce(m.uid, 0), coalesce(m.gid, 0), m.uname, m.gname, "
	"coalesce(m.mtime, "
	":time), "
	"coalesce(m.mtime_ns, 0), m.link, m.id AS place FROM image_file f LEFT JOIN image_member m "
	"ON m.file = f.id WHERE f.image = :image UNION ALL "
	"SELECT NULL, NULL, 0, m.mode, NULL, 0, m.name, m.type, m.uid, m.gid, m.uname, m.gname, "
	"m.mtime, m.mtime_ns, m.link, m.id FROM image_member m WHERE m.image = :image AND "
	"m.file IS NULL ORDER BY place, 1";

/* The bytes of the texts of a row. */
struct texts {
	struct buf name, path, uname, gname, link, target;
};

static void texts_free(struct texts *t)
{
	buf_free(&t->name);
	buf_free(&t->path);
	buf_free(&t->uname);
	buf_free(&t->gname);
	buf_free(&t->link);
	buf_free(&t->target);
}

static enum arc_kind kind_of(const char *type)
{
	static const char *const names[] = {"file", "folder", "symlink", "hardlink", "fifo"};

	for (size_t i = 0; type && i < ARRAY_SIZE(names); i++)
		if (!strcmp(type, names[i]))
			return (enum arc_kind)i;
	return ARC_OTHER;
}

/* The path that a name of a member means: without "./" and a final "/". */
static int plain_path(const char *name, struct buf *path, struct err *e)
{
	buf_reset(path);
	while (*name) {
		size_t n = strcspn(name, "/");

		if (n && !(n == 1 && *name == '.') &&
		    ((path->len && buf_add_str(path, "/", e)) || buf_add(path, name, n, e)))
			return -1;
		name += n + (name[n] == '/');
	}
	return buf_add(path, "", 0, e);
}

/* A name out of a database is hostile: it must stay in the folder, and say what the row of the file says. */
static int check_names(const struct file_row *f, const struct query *q, const struct texts *t,
		       struct err *e)
{
	const struct buf *b = &t->name;
	bool is_top = f->m.kind == ARC_FOLDER && !*f->m.path;

	if (strlen(f->m.name) != b->len || f->m.name[0] == '/' ||
	    (!is_top && !export_path_is_plain(f->m.path)))
		return err_set(
			e, ERR_FORMAT, "the name of image file %lld (%s) is no path in a folder",
			(long long)f->id, query_text(q, C_MEMBER) ? query_text(q, C_MEMBER) : "?");
	return 0;
}

static int fill_row(const struct query *q, struct file_row *f, struct texts *t, struct err *e)
{
	auto_buf struct buf file_name = {0};
	const char *path;

	*f = (struct file_row){.id = query_int(q, C_FILE),
			       .size = query_int(q, C_SIZE),
			       .is_stored = query_int(q, C_IS_STORED),
			       .m = {
				       .kind = kind_of(query_text(q, C_TYPE)),
				       .size = (uint64_t)query_int(q, C_SIZE),
				       .mode = (unsigned)query_int(q, C_MODE) & 07777,
				       .mtime = query_int(q, C_MTIME),
				       .mtime_ns = (uint32_t)query_int(q, C_MTIME_NS),
				       .uid = query_int(q, C_UID),
				       .gid = query_int(q, C_GID),
			       }};
	snprintf(f->sha256, sizeof(f->sha256), "%s",
		 query_text(q, C_SHA256) ? query_text(q, C_SHA256) : "");
	if (column_bytes(q, C_UNAME, &t->uname, &f->m.uname, e) ||
	    column_bytes(q, C_GNAME, &t->gname, &f->m.gname, e) ||
	    column_bytes(q, C_LINK, &t->link, &f->m.link, e) ||
	    column_bytes(q, query_text(q, C_MEMBER) ? C_MEMBER : C_NAME, &t->name, &f->m.name, e))
		return -1;
	if (!f->m.name)
		return err_set(e, ERR_FORMAT, "a file without a name");
	if (plain_path(f->m.name, &t->path, e))
		return -1;
	f->m.path = t->path.data ? (const char *)t->path.data : "";
	if (f->m.kind == ARC_HARDLINK && f->m.link) {
		if (plain_path(f->m.link, &t->target, e))
			return -1;
		f->m.target = (const char *)t->target.data;
	}
	if (query_is_null(q, C_FILE))
		return check_names(f, q, t, e);
	if (column_bytes(q, C_NAME, &file_name, &path, e))
		return -1;
	if (!path || strcmp(path, f->m.path) != 0)
		return err_set(e, ERR_FORMAT, "image file %lld has another name than its member",
			       (long long)f->id);
	return check_names(f, q, t, e);
}

/* The row of the file that a link without one is another name of. */
static int take_target(struct export *x, struct file_row *f, struct err *e)
{
	auto_query struct query *q =
		query_new(x->db,
			  "SELECT id, size FROM image_file WHERE image = :image "
			  "AND name = :name AND content IS NOT NULL",
			  e);
	auto_buf struct buf name = {0};
	int rc;

	if (!q || !f->m.target || query_bind_int(q, "image", x->image, e) ||
	    escape_add(&name, f->m.target, strlen(f->m.target), e) ||
	    query_bind_text(q, "name", (const char *)name.data, e))
		return q && !f->m.target ? 0 : -1;
	rc = query_next(q, e);
	if (rc <= 0)
		return rc;
	f->id = query_int(q, 0);
	f->size = query_int(q, 1);
	f->m.size = (uint64_t)f->size;
	f->is_stored = true;
	return 0;
}

/* Another name of a file, which may be edited under one of them: each becomes a file. What is kept by reference is
 * not edited. */
static int export_link(struct export *x, struct file_row *f, struct err *e)
{
	const bool has_row = f->id;

	if (!has_row && take_target(x, f, e))
		return -1;
	if (!f->is_stored)
		return export_out_entry(&x->out, &f->m, e);
	f->m.kind = ARC_FILE;
	return has_row ? export_file(x, f, e) : copy_stored(x, f, e);
}

static int export_row(struct export *x, const struct query *q, struct err *e)
{
	__attribute__((cleanup(texts_free))) struct texts t = {0};
	struct file_row f;

	if (fill_row(q, &f, &t, e))
		return -1;
	if (f.m.kind == ARC_HARDLINK && x->changes.n)
		return export_link(x, &f, e);
	if (f.m.kind == ARC_FILE)
		return export_file(x, &f, e);
	/* "./", the folder itself, is there */
	if (!*f.m.path && !x->out.w)
		return 0;
	return export_out_entry(&x->out, &f.m, e);
}

static int export_files(struct export *x, struct err *e)
{
	auto_query struct query *q = query_new(x->db, files_sql, e);
	int rc;

	if (!q || query_bind_int(q, "image", x->image, e) || query_bind_int(q, "time", x->time, e))
		return -1;
	while ((rc = query_next(q, e)) == 1)
		if (export_row(x, q, e))
			return -1;
	return rc || new_files(x, e) ? -1 : put_manifest(x, e);
}

/* Where new files of the image go, and their time: that of the import. */
static int load_image(struct export *x, struct err *e)
{
	auto_query struct query *q = query_new(
		x->db,
		"SELECT coalesce(CAST(strftime('%s', imported_at) AS INTEGER), 0), (SELECT name "
		"FROM "
		"image_file WHERE image = :image AND kind IS NOT NULL ORDER BY kind = 'INVENTORY' "
		"DESC, id LIMIT 1), (SELECT count(*) FROM image_file WHERE image = :image), "
		"coalesce(img_version = 1, 0) FROM image WHERE id = :image",
		e);
	const char *name, *slash;

	if (!q || query_bind_int(q, "image", x->image, e) || query_next(q, e) < 0)
		return -1;
	x->time = query_int(q, 0);
	name = query_text(q, 1);
	x->n_files = (uint64_t)query_int(q, 2);
	x->is_v10 = query_int(q, 3);
	slash = name ? strrchr(name, '/') : NULL;
	return slash ? escape_undo(&x->folder, name, (size_t)(slash - name) + 1, e) : 0;
}

static void export_free(struct export *x)
{
	export_out_free(&x->out);
	export_source_close(&x->source);
	buf_free(&x->folder);
	changes_free(&x->changes);
	manifest_free(&x->manifest);
}

int export_image(struct db *db, int64_t image, const char *out, const struct export_opts *opts,
		 struct err *e)
{
	__attribute__((cleanup(export_free))) struct export x = {
		.db = db,
		.image = image,
		.opts = opts,
		.out = {.fd = -1, .file = -1},
		.source = {.db = db, .image = image, .opts = opts, .dirfd = -1},
	};

	x.rc = record_cache_get(db, e);
	if (!x.rc || load_image(&x, e) || changes_load(db, image, &x.changes, e) ||
	    load_manifest(&x, e) || export_out_open(&x.out, out, e))
		return -1;
	x.has_gone_netns = has_gone(&x, "netns");
	if (export_files(&x, e))
		return -1;
	return export_out_commit(&x.out, out, e);
}
