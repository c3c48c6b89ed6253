#include "dumper/criu_merge.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/u64map.h"
#include "criu/netdev.pb-c.h"
#include "dumper/criu_core.h"
#include "dumper/proc.h"
#include "proto/img.h"
#include "proto/manifest.h"
#include "proto/wire.h"

#define FILE_MAX     (1U << 30)

/* Numbers for namespaces that CRIU knows nothing of: it counts from 1. */
#define FIRST_UNUSED 0x70000000U

struct merge {
	int from, to; /* folders */
	struct dumper_report *report;
	bool strict;
	struct u64map theirs;   /* inodes of the sockets that CRIU has records of */
	struct u64map keys;     /* inode -> CRIU's number, of network namespaces */
	struct u64map net;      /* our number -> number in the image */
	struct u64map user;     /* the same of user namespaces */
	struct u64map referred; /* our numbers of namespaces that another has an id for */
	struct u64map used;     /* our numbers of namespaces that tasks or sockets are in */
	uint64_t root_user,
		task_user; /* CRIU's numbers of user namespaces: its own, of the tasks */
	uint64_t our_task_user;
	uint32_t unused;      /* the next number that nothing has */
	struct buf files;     /* our files.img, whole */
	struct span *records; /* of it */
	uint64_t n_records;
	struct u64map by_ino;  /* socket inode -> record */
	struct u64map by_id;   /* our file id -> record */
	struct u64map by_fd;   /* task and descriptor -> our file id */
	struct u64map same_id; /* CRIU's file id -> our file id */
};

static void merge_free(struct merge *m)
{
	struct u64map *const maps[] = {&m->keys,  &m->net,   &m->user,    &m->used,     &m->by_ino,
				       &m->by_id, &m->by_fd, &m->same_id, &m->referred, &m->theirs};

	for (size_t i = 0; i < ARRAY_SIZE(maps); i++)
		u64map_free(maps[i]);
	buf_free(&m->files);
	free(m->records);
}

/* ---- folders and files ---- */

typedef int file_fn(struct merge *m, const char *name, const struct img_type *type, uint64_t number,
		    struct err *e);

/* Each image in a folder, of one kind or (IMG_KIND_COUNT) of all. */
static int each_file(struct merge *m, int dirfd, enum img_kind kind, file_fn *fn, struct err *e)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_dir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;

	if (!d)
		return err_sys(e, ERR_IO, "folder of the images");
	while ((de = readdir(d))) {
		uint64_t number;
		const struct img_type *type = img_type_of_name(de->d_name, &number);

		if (type && (kind == IMG_KIND_COUNT || img_type_kind(type) == kind) &&
		    fn(m, de->d_name, type, number, e))
			return err_wrap(e, "%s", de->d_name);
	}
	return 0;
}

/* The one message of a file, lent from all. */
static int read_message(int dirfd, const char *name, const struct img_type *type, struct buf *all,
			struct span *msg, struct err *e)
{
	struct img_record rec = {0};
	struct img_reader reader;
	int got;

	if (io_read_file(dirfd, name, FILE_MAX, all, e) ||
	    img_read_begin(&reader, type, name, buf_span(all), e))
		return -1;
	got = img_read_next(&reader, &rec, e);
	*msg = rec.msg;
	return got == 1 ? 0 : got < 0 ? -1 : err_set(e, ERR_FORMAT, "%s has no record", name);
}

static uint64_t number_at(const struct img_type *type, struct span msg, const char *path)
{
	struct err ignored = ERR_INIT;
	struct wire_value v;

	return wire_get(type->entry, msg, path, &v, &ignored) == 1 ? v.u : 0;
}

/* ---- numbers ---- */

static int read_key(struct merge *m, const char *name, const struct img_type *type, uint64_t number,
		    struct err *e)
{
	auto_buf struct buf all = {0};
	unsigned long long ino;
	struct wire_value v;
	struct span msg;
	char key[64];

	if (read_message(m->to, name, type, &all, &msg, e))
		return -1;
	if (wire_get(type->entry, msg, "ext_key", &v, e) < 0)
		return -1;
	snprintf(key, sizeof(key), "%.*s", (int)v.bytes.len, (const char *)v.bytes.data);
	if (sscanf(key, CRIU_MERGE_KEY, &ino) != 1)
		return err_set(e, ERR_CONFLICT,
			       "CRIU dumped a network namespace itself, which it was not given");
	return u64map_put(&m->keys, ino, (uint32_t)number, e);
}

static int note_referred(struct merge *m, const char *name, const struct img_type *type,
			 uint64_t number, struct err *e)
{
	auto_buf struct buf all = {0};
	struct wire_values it;
	struct wire_value v;
	struct span msg;
	int got;

	if (read_message(m->from, name, type, &all, &msg, e) ||
	    wire_values_begin(&it, type->entry, msg, "nsids.target_ns_id", e))
		return -1;
	while ((got = wire_values_next(&it, &v, e)) == 1)
		if (u64map_put(&m->referred, v.u, 1, e))
			return -1;
	return got;
}

/* Our own namespace, when nothing in the dump has to do with it, is none of the image. */
static bool is_left_out(const struct merge *m, const struct img_type *type, struct span msg,
			uint64_t number)
{
	uint32_t one;

	return number_at(type, msg, "nsimg.caller") &&
	       !u64map_find(&m->keys, number_at(type, msg, "nsimg.ino"), &one) &&
	       !u64map_find(&m->referred, number, &one);
}

static int number_netns(struct merge *m, const char *name, const struct img_type *type,
			uint64_t number, struct err *e)
{
	auto_buf struct buf all = {0};
	uint32_t theirs, one;
	struct span msg;
	uint64_t ino;

	if (read_message(m->from, name, type, &all, &msg, e))
		return -1;
	if (is_left_out(m, type, msg, number))
		return 0;
	ino = number_at(type, msg, "nsimg.ino");
	if (!u64map_find(&m->keys, ino, &theirs)) {
		if (u64map_find(&m->used, number, &one))
			return err_set(
				e, ERR_CONFLICT,
				"CRIU knows nothing of network namespace net:[%" PRIu64
				"], though tasks or sockets are in it: it appeared while the "
				"dump began; try again",
				ino);
		theirs = m->unused++;
	}
	return u64map_put(&m->net, number, theirs, e);
}

/* CRIU knows at most one user namespace besides its own: that of the root task. */
static int number_userns(struct merge *m, const char *name, const struct img_type *type,
			 uint64_t number, struct err *e)
{
	auto_buf struct buf all = {0};
	uint64_t theirs = 0;
	struct span msg;

	if (read_message(m->from, name, type, &all, &msg, e))
		return -1;
	if (number_at(type, msg, "nsimg.external"))
		theirs = m->root_user;
	else if (number == m->our_task_user && m->task_user != m->root_user)
		theirs = m->task_user;
	return u64map_put(&m->user, number, theirs ? (uint32_t)theirs : m->unused++, e);
}

static uint32_t mapped(const struct u64map *map, uint64_t ours)
{
	uint32_t v;

	return u64map_find(map, ours, &v) ? v : 0;
}

/* ---- our records of sockets and other files, and who has them ---- */

/* Where a record of CRIU's gets what is ours. In the same order of preference: by inode, else by descriptor. */
static const struct merge_kind {
	const char *kind, *ino, *ns, *extra, *peer;
} merge_kinds[] = {
	{"isk", "isk.ino", "isk.ns_id", "isk.nsimg", "isk.nsimg.peer_ns_id"},
	{"usk", "usk.ino", "usk.ns_id", "usk.nsimg", "usk.nsimg.peer_ns_id"},
	{"nlsk", "nlsk.ino", "nlsk.ns_id", "nlsk.nsimg", "nlsk.nsimg.peer_ns_id"},
	{"psk", NULL, "psk.ns_id", "psk.nsimg", "psk.nsimg.peer_ns_id"},
	{"tunf", NULL, "tunf.ns_id", "tunf.nsimg_flags", NULL},
	{"nsf", NULL, NULL, "nsf.nsimg_ino", NULL},
};

static const struct merge_kind *kind_of(const struct img_type *type, struct span msg)
{
	for (size_t i = 0; i < ARRAY_SIZE(merge_kinds); i++)
		if (wire_has(type->entry, msg, merge_kinds[i].kind))
			return &merge_kinds[i];
	return NULL;
}

static int record_add(struct merge *m, const struct img_type *type, struct span msg, struct err *e)
{
	const struct merge_kind *k = kind_of(type, msg);
	uint32_t no = (uint32_t)m->n_records;
	struct span *all;

	if (!k)
		return 0;
	if (!(no & (no - 1))) {
		all = realloc(m->records, (no ? 2 * (size_t)no : 1) * sizeof(*all));
		if (!all)
			return err_set(e, ERR_NOMEM, "records of sockets");
		m->records = all;
	}
	m->records[m->n_records++] = msg;
	if (k->ns && wire_has(type->entry, msg, k->ns) &&
	    u64map_put(&m->used, number_at(type, msg, k->ns), 1, e))
		return -1;
	if (k->ino && u64map_put(&m->by_ino, number_at(type, msg, k->ino), no, e))
		return -1;
	return u64map_put(&m->by_id, number_at(type, msg, "id"), no, e);
}

static int read_records(struct merge *m, struct err *e)
{
	const struct img_type *type = img_type_get(IMG_FILES);
	struct img_reader reader;
	struct img_record rec;
	int got;

	if (io_read_file(m->from, "files.img", FILE_MAX, &m->files, e) ||
	    img_read_begin(&reader, type, "files.img", buf_span(&m->files), e))
		return -1;
	while ((got = img_read_next(&reader, &rec, e)) == 1)
		if (record_add(m, type, rec.msg, e))
			return -1;
	return got;
}

typedef int fd_fn(struct merge *m, uint64_t key, uint32_t id, struct err *e);

/* Each descriptor of a task: who it is (pid and number) and its file id. */
static int each_fd(struct merge *m, int dirfd, uint64_t files_id, pid_t pid, fd_fn *fn,
		   struct err *e)
{
	const struct img_type *type = img_type_get(IMG_FDINFO);
	auto_buf struct buf all = {0};
	struct img_reader reader;
	struct img_record rec;
	struct stat st;
	char name[64];
	int got;

	if (!img_type_name(type, files_id, name, sizeof(name)) || fstatat(dirfd, name, &st, 0))
		return 0;
	if (io_read_file(dirfd, name, FILE_MAX, &all, e) ||
	    img_read_begin(&reader, type, name, buf_span(&all), e))
		return -1;
	while ((got = img_read_next(&reader, &rec, e)) == 1)
		if (fn(m, (uint64_t)pid << 32 | number_at(type, rec.msg, "fd"),
		       (uint32_t)number_at(type, rec.msg, "id"), e))
			return -1;
	return got;
}

static int note_our_fd(struct merge *m, uint64_t key, uint32_t id, struct err *e)
{
	return u64map_put(&m->by_fd, key, id, e);
}

static int note_their_fd(struct merge *m, uint64_t key, uint32_t id, struct err *e)
{
	uint32_t ours;

	return u64map_find(&m->by_fd, key, &ours) ? u64map_put(&m->same_id, id, ours, e) : 0;
}

/* CRIU calls a task by the pid that it has in its own pid namespace. */
static int read_our_task(struct merge *m, const char *name, const struct img_type *type,
			 uint64_t number, struct err *e)
{
	auto_buf struct buf all = {0};
	struct span msg;

	if (read_message(m->from, name, type, &all, &msg, e))
		return -1;
	m->our_task_user = number_at(type, msg, "user_ns_id");
	return u64map_put(&m->used, number_at(type, msg, "net_ns_id"), 1, e) ||
			       each_fd(m, m->from, number_at(type, msg, "files_id"),
				       proc_inner_pid((pid_t)number), note_our_fd, e)
		       ? -1
		       : 0;
}

static int read_their_task(struct merge *m, const char *name, const struct img_type *type,
			   uint64_t number, struct err *e)
{
	auto_buf struct buf all = {0};
	struct span msg;

	if (read_message(m->to, name, type, &all, &msg, e))
		return -1;
	m->task_user = number_at(type, msg, "user_ns_id");
	return each_fd(m, m->to, number_at(type, msg, "files_id"), (pid_t)number, note_their_fd, e);
}

static int read_root(struct merge *m, struct err *e)
{
	const struct img_type *type = img_type_get(IMG_INVENTORY);
	auto_buf struct buf all = {0};
	struct span msg;

	if (read_message(m->to, "inventory.img", type, &all, &msg, e))
		return -1;
	m->root_user = number_at(type, msg, "root_ids.user_ns_id");
	return 0;
}

/* ---- writing ---- */

static const struct span *record_of(const struct merge *m, const struct img_type *type,
				    struct span msg, const struct merge_kind *k)
{
	uint32_t no, ours;

	if (k->ino && u64map_find(&m->by_ino, number_at(type, msg, k->ino), &no))
		return &m->records[no];
	if (u64map_find(&m->same_id, number_at(type, msg, "id"), &ours) &&
	    u64map_find(&m->by_id, ours, &no))
		return &m->records[no];
	return NULL;
}

/* What CRIU says stays; what it does not say comes from our record. */
static int merge_record(const struct merge *m, const struct img_type *type, struct span msg,
			struct buf *out, struct err *e)
{
	const struct merge_kind *k = kind_of(type, msg);
	const struct span *ours = k ? record_of(m, type, msg, k) : NULL;
	struct wire_value extra, peer, ns;
	struct wire_edit edits[3];
	size_t n = 0;

	if (!ours || kind_of(type, *ours) != k)
		return buf_add(out, msg.data, msg.len, e);
	if (wire_has(type->entry, *ours, k->extra)) {
		if (wire_get(type->entry, *ours, k->extra, &extra, e) < 0)
			return -1;
		edits[n++] = (struct wire_edit){k->extra, &extra, 1};
	}
	if (k->peer && wire_has(type->entry, *ours, k->peer)) {
		peer = wire_number(mapped(&m->net, number_at(type, *ours, k->peer)));
		edits[n++] = (struct wire_edit){k->peer, &peer, 1};
	}
	/* where a netlink socket is that is not bound CRIU cannot tell */
	if (k->ns && !wire_has(type->entry, msg, k->ns) && wire_has(type->entry, *ours, k->ns)) {
		ns = wire_number(mapped(&m->net, number_at(type, *ours, k->ns)));
		edits[n++] = (struct wire_edit){k->ns, &ns, 1};
	}
	return wire_patch(type->entry, msg, edits, n, out, e);
}

static int merge_files(struct merge *m, struct err *e)
{
	const struct img_type *type = img_type_get(IMG_FILES);
	auto_img_writer struct img_writer w;
	auto_buf struct buf all = {0};
	struct img_reader reader;
	struct img_record rec;
	int got;

	img_write_init(&w, m->to);
	if (io_read_file(m->to, "files.img", FILE_MAX, &all, e) ||
	    img_read_begin(&reader, type, "files.img", buf_span(&all), e) ||
	    img_write_begin(&w, IMG_FILES, 0, e))
		return -1;
	while ((got = img_read_next(&reader, &rec, e)) == 1) {
		const struct merge_kind *k = kind_of(type, rec.msg);
		auto_buf struct buf entry = {0};

		if ((k && k->ino &&
		     u64map_put(&m->theirs, number_at(type, rec.msg, k->ino), 1, e)) ||
		    merge_record(m, type, rec.msg, &entry, e) ||
		    img_write_entry(&w, buf_span(&entry), e) || img_write_bytes(&w, rec.extra, e))
			return err_wrap(e, "files.img, record %u", rec.no);
	}
	return got < 0 ? -1 : img_write_end(&w, e);
}

/* A file of one message, with other numbers in it. */
static int write_message(struct merge *m, enum img_kind kind, uint64_t number,
			 const ProtobufCMessage *msg, struct err *e)
{
	auto_img_writer struct img_writer w;

	img_write_init(&w, m->to);
	return img_write_begin(&w, kind, number, e) || img_write_message(&w, msg, e) ||
			       img_write_end(&w, e)
		       ? -1
		       : 0;
}

static int write_netns(struct merge *m, const char *name, const struct img_type *type,
		       uint64_t number, struct err *e)
{
	auto_buf struct buf all = {0};
	struct span msg;
	NetnsEntry *entry;
	int rc;

	if (!mapped(&m->net, number))
		return 0;
	if (read_message(m->from, name, type, &all, &msg, e))
		return -1;
	entry = netns_entry__unpack(NULL, msg.len, msg.data);
	if (!entry)
		return err_set(e, ERR_FORMAT, "%s cannot be read", name);
	for (size_t i = 0; i < entry->n_nsids; i++)
		entry->nsids[i]->target_ns_id = mapped(&m->net, entry->nsids[i]->target_ns_id);
	if (entry->nsimg && entry->nsimg->has_user_ns_id)
		entry->nsimg->user_ns_id = mapped(&m->user, entry->nsimg->user_ns_id);
	rc = write_message(m, IMG_NETNS, mapped(&m->net, number), &entry->base, e);
	netns_entry__free_unpacked(entry, NULL);
	return rc;
}

/* CRIU's peer_nsid is a number of the image, not an id of the kernel. */
static int write_netdev(struct merge *m, const char *name, const struct img_type *type,
			uint64_t number, struct err *e)
{
	auto_buf struct buf all = {0};
	auto_img_writer struct img_writer w;
	struct img_reader reader;
	struct img_record rec;
	int got;

	img_write_init(&w, m->to);
	if (io_read_file(m->from, name, FILE_MAX, &all, e) ||
	    img_read_begin(&reader, type, name, buf_span(&all), e) ||
	    img_write_begin(&w, IMG_NETDEV, mapped(&m->net, number), e))
		return -1;
	while ((got = img_read_next(&reader, &rec, e)) == 1) {
		const struct wire_value peer =
			wire_number(mapped(&m->net, number_at(type, rec.msg, "peer_nsid")));
		const struct wire_edit edit = {"peer_nsid", &peer, 1};
		auto_buf struct buf entry = {0};

		if (wire_patch(type->entry, rec.msg, &edit, peer.u ? 1 : 0, &entry, e) ||
		    img_write_entry(&w, buf_span(&entry), e))
			return -1;
	}
	return got < 0 ? -1 : img_write_end(&w, e);
}

/* CRIU's own record of a user namespace gets ours beside it. */
static int write_userns(struct merge *m, const char *name, const struct img_type *type,
			uint64_t number, struct err *e)
{
	uint32_t theirs = mapped(&m->user, number);
	auto_buf struct buf ours = {0}, old = {0}, entry = {0};
	auto_img_writer struct img_writer w;
	struct wire_value extra, parent;
	const struct wire_edit edits[] = {{"nsimg", &extra, 1}, {"nsimg.parent_id", &parent, 1}};
	struct span msg, base;
	struct stat st;
	char path[64];

	img_write_init(&w, m->to);
	if (!img_type_name(type, theirs, path, sizeof(path)))
		return err_set(e, ERR_RANGE, "no file name for user namespace %u", theirs);
	if (read_message(m->from, name, type, &ours, &msg, e))
		return -1;
	base = msg;
	if (!fstatat(m->to, path, &st, 0) && read_message(m->to, path, type, &old, &base, e))
		return -1;
	parent = wire_number(mapped(&m->user, number_at(type, msg, "nsimg.parent_id")));
	if (wire_get(type->entry, msg, "nsimg", &extra, e) < 0 ||
	    wire_patch(type->entry, base, edits, parent.u ? 2 : 1, &entry, e))
		return -1;
	return img_write_begin(&w, IMG_USERNS, theirs, e) ||
			       img_write_entry(&w, buf_span(&entry), e) || img_write_end(&w, e)
		       ? -1
		       : 0;
}

static int copy_file(struct merge *m, const char *name, const char *as, struct err *e)
{
	auto_close int fd = -1;
	auto_buf struct buf all = {0};

	if (io_read_file(m->from, name, FILE_MAX, &all, e))
		return -1;
	fd = openat(m->to, as, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return fd < 0 ? err_sys(e, ERR_IO, "create %s", as)
		      : io_write_full(fd, all.data, all.len, as, e);
}

/* Of one namespace, without numbers inside. */
static const enum img_kind copied[] = {IMG_IFADDR,    IMG_ROUTE,      IMG_ROUTE6,      IMG_RULE,
				       IMG_IPTABLES,  IMG_IP6TABLES,  IMG_NFTABLES,    IMG_NETNF_CT,
				       IMG_NETNF_EXP, IMG_NSIMG_RTNL, IMG_NSIMG_SYSCTL};

static int copy_if_network(struct merge *m, const char *name, const struct img_type *type,
			   uint64_t number, struct err *e)
{
	char as[64];

	for (size_t i = 0; i < ARRAY_SIZE(copied); i++) {
		if (copied[i] != img_type_kind(type))
			continue;
		if (!img_type_name(type, mapped(&m->net, number), as, sizeof(as)))
			return err_set(e, ERR_RANGE, "no file name");
		return copy_file(m, name, as, e);
	}
	return 0;
}

/* CRIU saves the conntrack entries of an external namespace too, and twice; ours are of the same moment. */
static int remove_theirs(struct merge *m, const char *name, const struct img_type *type,
			 uint64_t number, struct err *e)
{
	return unlinkat(m->to, name, 0) ? err_sys(e, ERR_IO, "remove") : 0;
}

/* What the guard of the dump has put into the tasks is not of theirs. */
static int fix_core(struct merge *m, const char *name, const struct img_type *type, uint64_t number,
		    struct err *e)
{
	auto_buf struct buf all = {0}, entry = {0};
	auto_img_writer struct img_writer w;
	struct span msg;
	bool changed;

	img_write_init(&w, m->to);
	if (read_message(m->to, name, type, &all, &msg, e) ||
	    criu_core_fix(msg, &entry, &changed, e))
		return -1;
	return changed && (img_write_begin(&w, IMG_CORE, number, e) ||
			   img_write_entry(&w, buf_span(&entry), e) || img_write_end(&w, e))
		       ? -1
		       : 0;
}

/* Sockets without a descriptor that CRIU has kept all the same, in the queue of another, are no loss. */
static int drop_losses(struct merge *m, NsimgFactsEntry *facts, struct err *e)
{
	struct dumper_report *r = m->report;
	size_t n = 0;

	if (facts->n_loss != r->n_losses)
		return err_set(e, ERR_FORMAT, "%zu losses, and not %zu", facts->n_loss,
			       r->n_losses);
	for (size_t i = 0; i < r->n_losses; i++) {
		const struct dump_loss loss = r->losses[i];
		NsimgLoss *const fact = facts->loss[i];
		uint32_t one;

		/* what goes changes places with what stays: each is freed by its owner */
		if (loss.ino && u64map_find(&m->theirs, loss.ino, &one))
			continue;
		if (loss.ino && m->strict)
			return err_set(e, ERR_UNSUPPORTED, "%s: %s (--strict)", loss.object,
				       loss.reason);
		r->losses[i] = r->losses[n];
		facts->loss[i] = facts->loss[n];
		r->losses[n] = loss;
		facts->loss[n++] = fact;
	}
	for (size_t i = n; i < r->n_losses; i++) {
		free(r->losses[i].object);
		free(r->losses[i].reason);
		nsimg_loss__free_unpacked(facts->loss[i], NULL);
	}
	r->n_losses = facts->n_loss = n;
	return 0;
}

static int write_facts(struct merge *m, struct err *e)
{
	const struct img_type *type = img_type_get(IMG_NSIMG);
	auto_buf struct buf all = {0};
	NsimgFactsEntry *facts;
	struct span msg;
	int rc;

	if (read_message(m->from, "nsimg.img", type, &all, &msg, e))
		return -1;
	facts = nsimg_facts_entry__unpack(NULL, msg.len, msg.data);
	if (!facts)
		return err_set(e, ERR_FORMAT, "nsimg.img cannot be read");
	facts->has_frozen_us = 1;
	facts->frozen_us = m->report->frozen_us;
	rc = drop_losses(m, facts, e) || write_message(m, IMG_NSIMG, 0, &facts->base, e) ? -1 : 0;
	nsimg_facts_entry__free_unpacked(facts, NULL);
	return rc;
}

/* ---- the list of files ---- */

struct listing {
	struct merge m; /* only the folder: what each_file takes */
	struct manifest files;
};

/* Mapped and not read: pages of processes may be large. */
static int list_file(struct merge *m, const char *name, const struct img_type *type,
		     uint64_t number, struct err *e)
{
	struct listing *l = (struct listing *)m;
	auto_close int fd = openat(m->to, name, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *bytes;
	int rc;

	if (img_type_kind(type) == IMG_STATS_DUMP || img_type_kind(type) == IMG_NSIMG_FILES)
		return 0;
	if (fd < 0 || fstat(fd, &st))
		return err_sys(e, ERR_IO, "read");
	if (!st.st_size)
		return manifest_add(&l->files, name, (struct span){NULL, 0}, e);
	bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		return err_sys(e, ERR_IO, "read");
	rc = manifest_add(&l->files, name, (struct span){bytes, (size_t)st.st_size}, e);
	munmap(bytes, (size_t)st.st_size);
	return rc;
}

/* Last: an image without it is not complete. CRIU writes its statistics later. */
static int write_list(int to, struct err *e)
{
	auto_img_writer struct img_writer w;
	struct listing l = {.m.to = to};
	int rc;

	img_write_init(&w, to);
	rc = each_file(&l.m, to, IMG_KIND_COUNT, list_file, e);
	if (!rc)
		rc = manifest_pack(&l.files, &w, e) || img_write_end(&w, e) ? -1 : 0;
	manifest_free(&l.files);
	return rc;
}

static int merge_all(struct merge *m, struct err *e)
{
	const int from = m->from, to = m->to;

	if (each_file(m, to, IMG_NETNS, read_key, e) || read_root(m, e) || read_records(m, e) ||
	    each_file(m, from, IMG_IDS, read_our_task, e) ||
	    each_file(m, to, IMG_IDS, read_their_task, e) ||
	    each_file(m, from, IMG_NETNS, note_referred, e) ||
	    each_file(m, from, IMG_NETNS, number_netns, e) ||
	    each_file(m, from, IMG_USERNS, number_userns, e))
		return -1;
	if (merge_files(m, e) || each_file(m, to, IMG_NETNF_CT, remove_theirs, e) ||
	    each_file(m, to, IMG_NETNF_EXP, remove_theirs, e) ||
	    each_file(m, to, IMG_CORE, fix_core, e) ||
	    each_file(m, from, IMG_NETNS, write_netns, e) ||
	    each_file(m, from, IMG_NETDEV, write_netdev, e) ||
	    each_file(m, from, IMG_USERNS, write_userns, e) ||
	    each_file(m, from, IMG_KIND_COUNT, copy_if_network, e))
		return -1;
	return write_facts(m, e) || write_list(to, e) ? -1 : 0;
}

int criu_merge(int from, int to, struct dumper_report *report, bool strict, struct err *e)
{
	struct merge m = {
		.from = from, .to = to, .report = report, .strict = strict, .unused = FIRST_UNUSED};
	int rc = merge_all(&m, e);

	merge_free(&m);
	return rc ? err_wrap(e, "put both halves together") : 0;
}
