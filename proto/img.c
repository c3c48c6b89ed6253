#include "proto/img.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <protobuf-c/protobuf-c.h>

#include "base/io.h"
#include "proto/manifest.h"
#include "proto/wire.h"

static uint32_t le32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static struct span sub(struct span s, size_t off, size_t len)
{
	return (struct span){s.len ? s.data + off : s.data, len};
}

static size_t left(const struct img_reader *r, size_t pos)
{
	return r->bytes.len - pos;
}

/* From off on, nothing more is readable. */
static void stop(struct img_reader *r, size_t off, bool damaged)
{
	r->done = true;
	r->damaged = damaged;
	r->damage_off = off;
	r->tail = sub(r->bytes, off, left(r, off));
}

#define DAMAGE(r, off, e, fmt, ...)                                                                \
	(stop(r, off, true),                                                                       \
	 err_set(e, ERR_FORMAT, "%s: offset %zu: " fmt, (r)->name, (size_t)(off), ##__VA_ARGS__))

/* The word at off must be the magic. */
static int magic_check(struct img_reader *r, size_t off, uint32_t want, const char *what,
		       struct err *e)
{
	uint32_t got;
	const struct img_type *other;

	if (r->bytes.len < off + 4)
		return DAMAGE(r, 0, e, "%zu bytes are too few for the header of a %s image",
			      r->bytes.len, r->type->name);
	got = le32(r->bytes.data + off);
	if (got == want)
		return 0;
	other = img_type_of_magic(got);
	return DAMAGE(r, 0, e, "magic 0x%08x%s%s%s where %s 0x%08x is expected", got,
		      other ? " (of a " : "", other ? other->name : "", other ? " image)" : "",
		      what, want);
}

static int head_check(struct img_reader *r, size_t *len, struct err *e)
{
	const struct img_type *t = r->type;
	bool service = t->head == IMG_HEAD_SERVICE;

	*len = 0;
	switch (t->head) {
	case IMG_HEAD_NONE:
		return 0;
	case IMG_HEAD_RAW:
		/* iproute2 writes the magic before it asks the kernel: even of nothing there are 4 bytes */
	case IMG_HEAD_OWN:
		*len = 4;
		return magic_check(r, 0, t->magic, "the magic of the kind", e);
	case IMG_HEAD_COMMON:
	case IMG_HEAD_SERVICE:
		break;
	}
	if (r->bytes.len >= 4 && le32(r->bytes.data) == t->magic) {
		r->is_v10 = true;
		*len = 4;
		return 0;
	}
	*len = 8;
	if (magic_check(r, 0, service ? IMG_MAGIC_SERVICE : IMG_MAGIC_COMMON,
			"the magic of all images", e))
		return -1;
	return magic_check(r, 4, t->magic, "the magic of the kind", e);
}

int img_read_begin(struct img_reader *r, const struct img_type *type, const char *name,
		   struct span bytes, struct err *e)
{
	size_t len;

	*r = (struct img_reader){.type = type, .name = name, .bytes = bytes};
	if (head_check(r, &len, e))
		return -1;
	r->head = sub(bytes, 0, len);
	r->pos = len;
	return 0;
}

/* A number in the message of an entry, which says how much follows. */
static int length_field(struct img_reader *r, const struct img_record *rec, uint32_t number,
			bool required, uint64_t *v, struct err *e)
{
	struct wire_field f;
	struct err why = ERR_INIT;
	int found = wire_find(rec->msg, number, &f, &why);

	*v = 0;
	if (found < 0)
		return DAMAGE(r, rec->off, e, "entry %" PRIu32 ": %s", rec->no, why.msg);
	if (found && f.type == WIRE_VARINT)
		*v = f.u;
	else if (found || required)
		return DAMAGE(r, rec->off, e,
			      "entry %" PRIu32 " has no number in field %" PRIu32
			      ", so the length of what follows it is unknown",
			      rec->no, number);
	return 0;
}

/* Round n up to a multiple of align, or UINT64_MAX, which no file has. */
static uint64_t round_up(uint64_t n, uint64_t align)
{
	uint64_t up;

	if (__builtin_add_overflow(n, align - 1, &up))
		return UINT64_MAX;
	return up - up % align;
}

/* Move *pos over n bytes that entry rec says are there. */
static int skip(struct img_reader *r, const struct img_record *rec, const char *what, uint64_t n,
		size_t *pos, struct err *e)
{
	if (n > left(r, *pos))
		return DAMAGE(r, rec->off, e,
			      "entry %" PRIu32 " says that %" PRIu64
			      " bytes of %s follow at %zu, but the file ends after %zu",
			      rec->no, n, what, *pos, r->bytes.len);
	*pos += n;
	return 0;
}

/* ipc message queue: field 3 (qnum) times length word, ipc_msg, its field 2 (msize) bytes of text. */
static int skip_messages(struct img_reader *r, const struct img_record *rec, uint64_t n,
			 size_t *pos, struct err *e)
{
	for (uint64_t i = 0; i < n; i++) {
		struct img_record one = *rec;
		uint64_t size;
		size_t at = *pos;

		if (skip(r, rec, "message length", 4, pos, e))
			return -1;
		size = le32(r->bytes.data + at);
		if (skip(r, rec, "message header", size, pos, e))
			return -1;
		one.msg = sub(r->bytes, at + 4, size);
		if (length_field(r, &one, 2, true, &size, e) ||
		    skip(r, rec, "message text", round_up(size, 8), pos, e))
			return -1;
	}
	return 0;
}

/* Move *pos, which is behind the message of rec, behind its extra payload. */
static int skip_extra(struct img_reader *r, struct img_record *rec, size_t *pos, struct err *e)
{
	const struct img_type *t = r->type;
	uint64_t a = 0, b = 0;

	if (t->extra == IMG_EXTRA_NONE)
		return 0;
	if (t->extra == IMG_EXTRA_REST)
		return skip(r, rec, "content", left(r, *pos), pos, e);
	if (length_field(r, rec, t->extra_fields[0], true, &a, e))
		return -1;
	switch (t->extra) {
	case IMG_EXTRA_BYTES:
		if (t->extra_fields[1] && length_field(r, rec, t->extra_fields[1], true, &b, e))
			return -1;
		rec->is_cut =
			skip(r, rec, "payload", a, pos, e) || skip(r, rec, "payload", b, pos, e);
		return rec->is_cut ? -1 : 0;
	case IMG_EXTRA_SHM:
		if (length_field(r, rec, 3, false, &b, e))
			return -1;
		return b ? 0 : skip(r, rec, "shared memory", round_up(a, 4), pos, e);
	case IMG_EXTRA_SEMS:
		return skip(r, rec, "semaphores", a > UINT32_MAX ? UINT64_MAX : round_up(2 * a, 8),
			    pos, e);
	case IMG_EXTRA_MSGS:
		return skip_messages(r, rec, a, pos, e);
	default:
		return 0;
	}
}

static int entry_next(struct img_reader *r, struct img_record *rec, struct err *e)
{
	size_t pos = r->pos;
	uint32_t len;

	if (left(r, pos) == 0) {
		stop(r, pos, false);
		return 0;
	}
	if (left(r, pos) < 4)
		return DAMAGE(r, pos, e,
			      "%zu bytes at the end are too few for the length of entry %" PRIu32,
			      left(r, pos), rec->no);
	len = le32(r->bytes.data + pos);
	pos += 4;
	if (len > left(r, pos))
		return DAMAGE(r, rec->off, e,
			      "entry %" PRIu32 " is said to be %" PRIu32
			      " bytes long, but the file ends after %zu",
			      rec->no, len, left(r, pos));
	rec->msg = sub(r->bytes, pos, len);
	pos += len;
	rec->extra = sub(r->bytes, pos, 0);
	if (skip_extra(r, rec, &pos, e)) {
		/* all to the end of the file is of it */
		rec->extra = sub(r->bytes, rec->off + 4 + len,
				 rec->is_cut ? left(r, rec->off + 4 + len) : 0);
		rec->raw = sub(r->bytes, rec->off, rec->is_cut ? left(r, rec->off) : 0);
		return -1;
	}
	rec->extra.len = pos - (rec->off + 4 + len);
	rec->raw = sub(r->bytes, rec->off, pos - rec->off);
	return 1;
}

static int nlmsg_next(struct img_reader *r, struct img_record *rec, struct err *e)
{
	struct nlmsghdr h;
	size_t have = left(r, r->pos), aligned;

	/* a dump that was cut to a block, or its last alignment */
	if (have == 0 || span_is_zero(sub(r->bytes, r->pos, have))) {
		stop(r, r->pos, false);
		return 0;
	}
	if (have < sizeof(h))
		return DAMAGE(r, rec->off, e, "%zu bytes at the end are no netlink message", have);
	memcpy(&h, r->bytes.data + r->pos, sizeof(h));
	if (h.nlmsg_len < sizeof(h) || h.nlmsg_len > have)
		return DAMAGE(r, rec->off, e,
			      "netlink message %" PRIu32 " is said to be %" PRIu32
			      " bytes long, but the file has %zu",
			      rec->no, h.nlmsg_len, have);
	aligned = NLMSG_ALIGN((size_t)h.nlmsg_len);
	if (aligned > have)
		aligned = have;
	rec->nl_type = h.nlmsg_type;
	rec->msg = sub(r->bytes, r->pos, h.nlmsg_len);
	rec->raw = sub(r->bytes, r->pos, aligned);
	return 1;
}

int img_read_next(struct img_reader *r, struct img_record *rec, struct err *e)
{
	int got;

	if (r->done)
		return 0;
	*rec = (struct img_record){.no = r->next_no, .off = r->pos};
	if (r->type->shape == IMG_SHAPE_WHOLE) {
		rec->raw = rec->msg = r->bytes;
		stop(r, r->bytes.len, false);
		return 1;
	}
	got = r->type->shape == IMG_SHAPE_NETLINK ? nlmsg_next(r, rec, e) : entry_next(r, rec, e);
	if (got == 1) {
		r->pos += rec->raw.len;
		r->next_no++;
	}
	return got;
}

void img_read_skip(struct img_reader *r, uint64_t no)
{
	if (r->done || r->type->shape != IMG_SHAPE_ENTRIES || r->type->extra != IMG_EXTRA_NONE)
		return;
	while (r->next_no < no && left(r, r->pos) >= 4) {
		uint32_t len = le32(r->bytes.data + r->pos);

		if (len > left(r, r->pos + 4))
			return;
		r->pos += 4 + (size_t)len;
		r->next_no++;
	}
}

void img_write_init(struct img_writer *w, int dirfd)
{
	*w = (struct img_writer){.dirfd = dirfd};
}

void img_write_free(struct img_writer *w)
{
	buf_free(&w->bytes);
	w->type = NULL;
}

static int word_add(struct img_writer *w, uint32_t v, struct err *e)
{
	uint8_t le[4] = {v & 0xff, v >> 8 & 0xff, v >> 16 & 0xff, v >> 24};

	return buf_add(&w->bytes, le, sizeof(le), e);
}

int img_write_begin(struct img_writer *w, enum img_kind kind, uint64_t number, struct err *e)
{
	const struct img_type *t = img_type_get(kind);

	buf_reset(&w->bytes);
	w->type = t;
	if (!img_type_name(t, number, w->name, sizeof(w->name)))
		return err_set(e, ERR_RANGE, "the name of %s image %" PRIu64 " is too long",
			       t->name, number);
	if (t->head == IMG_HEAD_COMMON && !w->is_v10 && word_add(w, IMG_MAGIC_COMMON, e))
		return -1;
	if (t->head == IMG_HEAD_SERVICE && word_add(w, IMG_MAGIC_SERVICE, e))
		return -1;
	return t->head == IMG_HEAD_NONE ? 0 : word_add(w, t->magic, e);
}

int img_write_message(struct img_writer *w, const struct ProtobufCMessage *msg, struct err *e)
{
	size_t len = protobuf_c_message_get_packed_size(msg);

	if (len > UINT32_MAX)
		return err_set(e, ERR_RANGE, "%s: an entry of %zu bytes is too long", w->name, len);
	if (word_add(w, (uint32_t)len, e) || buf_reserve(&w->bytes, len, e))
		return err_wrap(e, "%s", w->name);
	w->bytes.len += protobuf_c_message_pack(msg, w->bytes.data + w->bytes.len);
	w->bytes.data[w->bytes.len] = 0;
	return 0;
}

int img_write_entry(struct img_writer *w, struct span msg, struct err *e)
{
	if (msg.len > UINT32_MAX)
		return err_set(e, ERR_RANGE, "%s: an entry of %zu bytes is too long", w->name,
			       msg.len);
	if (word_add(w, (uint32_t)msg.len, e))
		return err_wrap(e, "%s", w->name);
	return img_write_bytes(w, msg, e);
}

int img_write_bytes(struct img_writer *w, struct span bytes, struct err *e)
{
	if (buf_add(&w->bytes, bytes.data, bytes.len, e))
		return err_wrap(e, "%s", w->name);
	return 0;
}

int img_write_nlmsg(struct img_writer *w, struct span msg, struct err *e)
{
	static const uint8_t zero[NLMSG_ALIGNTO];

	if (img_write_bytes(w, msg, e))
		return -1;
	return img_write_bytes(w, (struct span){zero, NLMSG_ALIGN(msg.len) - msg.len}, e);
}

/* A new file. One left behind by a dump that was killed is replaced. */
static int tmp_create(int dirfd, const char *name)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
	int fd = openat(dirfd, name, flags, 0600);

	if (fd >= 0 || errno != EEXIST || unlinkat(dirfd, name, 0))
		return fd;
	return openat(dirfd, name, flags, 0600);
}

static int tmp_fill(int fd, const char *name, struct span bytes, struct err *e)
{
	if (io_write_full(fd, bytes.data, bytes.len, name, e)) {
		close(fd);
		return -1;
	}
	/* a network file system may say only now that the disk is full (close(2)) */
	return close(fd) ? err_sys(e, ERR_IO, "write %s", name) : 0;
}

static int write_noted(struct img_writer *w, struct err *e)
{
	return w->files ? manifest_add(w->files, w->name, buf_span(&w->bytes), e) : 0;
}

static int write_in_place(struct img_writer *w, struct err *e)
{
	int fd = openat(w->dirfd, w->name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
			0600);

	if (fd < 0)
		return err_sys(e, ERR_IO, "create %s", w->name);
	return tmp_fill(fd, w->name, buf_span(&w->bytes), e) ? -1 : write_noted(w, e);
}

int img_write_end(struct img_writer *w, struct err *e)
{
	char tmp[sizeof(w->name) + 8];
	int fd;

	if (w->in_place)
		return write_in_place(w, e);
	snprintf(tmp, sizeof(tmp), "%s.tmp", w->name);
	fd = tmp_create(w->dirfd, tmp);
	if (fd < 0)
		return err_sys(e, ERR_IO, "create %s", tmp);
	if (tmp_fill(fd, w->name, buf_span(&w->bytes), e) == 0) {
		if (renameat(w->dirfd, tmp, w->dirfd, w->name) == 0)
			return write_noted(w, e);
		err_sys(e, ERR_IO, "rename %s to %s", tmp, w->name);
	}
	unlinkat(w->dirfd, tmp, 0);
	return -1;
}
