#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/json.h"
#include "criu/nsimg.pb-c.h"
#include "proto/img.h"
#include "proto/wire.h"
#include "tests/unit/corpus.h"

#define MAX_FILE (64u << 20)

static const struct {
	const char *path;
	int kind; /* -1: no image */
	uint64_t number;
} names[] = {
	{"inventory.img", IMG_INVENTORY, 0},
	{"netns-12.img", IMG_NETNS, 12},
	{"a/b/fdinfo-4294967295.img", IMG_FDINFO, 4294967295},
	{"tcp-stream-b284a7.img", IMG_TCP_STREAM, 0xb284a7},
	{"tcp-stream-0.img", IMG_TCP_STREAM, 0},
	{"pagemap-shmem-7.img", IMG_SHMEM_PAGEMAP, 7},
	{"pagemap-7.img", IMG_PAGEMAP, 7},
	{"pagemap-18446744073709551615.img", IMG_PAGEMAP, UINT64_MAX},
	{"pagemap-18446744073709551616.img", -1, 0},
	{"ip6tables-9.img", IMG_IP6TABLES, 9},
	{"route6-9.img", IMG_ROUTE6, 9},
	{"tmpfs-dev-45.tar.gz.img", IMG_TMPFS_DEV, 45},
	{"tmpfs-45.tar.gz.img", IMG_TMPFS_IMG, 45},
	{"stats-dump", IMG_STATS_DUMP, 0},
	{"nsimg.img", IMG_NSIMG, 0},
	{"nsimg-rtnl-3.img", IMG_NSIMG_RTNL, 3},
	{"nsimg-sysctl-3.img", IMG_NSIMG_SYSCTL, 3},
	{"nsimg-files.img", IMG_NSIMG_FILES, 0},
	{"nsimg-sk.img", IMG_NSIMG_SK, 0},
	{"netns-012.img", -1, 0},
	{"netns-.img", -1, 0},
	{"netns-1.img.bak", -1, 0},
	{"netns--1.img", -1, 0},
	{"netns-1x.img", -1, 0},
	{"tcp-stream-B2.img", -1, 0},
	{"tcp-stream-00.img", -1, 0},
	{"netns.img", -1, 0},
	{"", -1, 0},
	{"netns-1.img/", -1, 0},
};

static void name_gives_kind(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		uint64_t number = 77;
		const struct img_type *t = img_type_of_name(names[i].path, &number);
		int kind = t ? (int)img_type_kind(t) : -1;

		if (kind != names[i].kind || (t && number != names[i].number))
			fail_msg("'%s': kind %d number %" PRIu64, names[i].path, kind, number);
	}
}

static void kind_gives_name(void **state)
{
	for (int k = 0; k < IMG_KIND_COUNT; k++) {
		const struct img_type *t = img_type_get((enum img_kind)k);
		char name[64];
		uint64_t number;

		assert_true(img_type_name(t, 0xabc, name, sizeof(name)));
		if (img_type_of_name(name, &number) != t ||
		    number != (strchr(t->pattern, '%') ? 0xabcu : 0u))
			fail_msg("%s: '%s' is another kind", t->name, name);
		assert_false(img_type_name(t, 1, name, 5));
	}
}

/* The document of the format lists every kind of CRIU's. */
static void kinds_are_those_of_the_document(void **state)
{
	char path[4200], line[1024];
	auto_file FILE *f = NULL;
	int n = 0;

	if (!corpus_dir())
		skip();
	snprintf(path, sizeof(path), "%s/../criu-format/images.tsv", corpus_dir());
	f = fopen(path, "re");
	if (!f) {
		print_message("skipped: no %s\n", path);
		skip();
	}
	while (fgets(line, sizeof(line), f)) {
		char *rest = line, *kind = strsep(&rest, "\t"), *file = strsep(&rest, "\t");
		char *magic = strsep(&rest, "\t"), *message = strsep(&rest, "\t");
		const char *raw = strstr(rest, "32-bit 0x");
		const struct img_type *t = NULL;

		if (n++ == 0)
			continue;
		for (int k = 0; k < IMG_KIND_COUNT && !t; k++)
			if (strcmp(img_type_get((enum img_kind)k)->name, kind) == 0)
				t = img_type_get((enum img_kind)k);
		if (!t || strcmp(t->pattern, file) != 0)
			fail_msg("%s: no row, or another file name", kind);
		if (strcmp(magic, "raw") != 0)
			assert_int_equal(t->magic, strtoul(magic, NULL, 16));
		else
			assert_int_equal(t->magic, raw ? strtoul(raw + 7, NULL, 16) : 0);
		if (t->entry && strcmp(t->entry->name, message) != 0)
			fail_msg("%s: message %s instead of %s", kind, t->entry->name, message);
	}
	assert_true(n > 80);
}

/* ---- the corpus ---- */

static struct {
	size_t files, records, bad;
} seen;

static int copy_record(struct img_writer *w, const struct img_record *rec, struct err *e)
{
	switch (w->type->shape) {
	case IMG_SHAPE_NETLINK:
		return img_write_nlmsg(w, rec->msg, e);
	case IMG_SHAPE_WHOLE:
		return img_write_bytes(w, rec->msg, e);
	default:
		if (img_write_entry(w, rec->msg, e))
			return -1;
		return img_write_bytes(w, rec->extra, e);
	}
}

/* Records that a decoder of protobuf-c must be able to read. */
static int decode_record(const struct img_type *t, const struct img_record *rec, struct err *e)
{
	ProtobufCMessage *m;

	if (t->shape != IMG_SHAPE_ENTRIES)
		return 0;
	if (wire_check(t->entry, rec->msg, e))
		return -1;
	if (!t->entry)
		return 0;
	m = protobuf_c_message_unpack(t->entry, NULL, rec->msg.len, rec->msg.data);
	if (!m)
		return err_set(e, ERR_FORMAT, "record %u cannot be unpacked", rec->no);
	protobuf_c_message_free_unpacked(m, NULL);
	return 0;
}

static int read_and_rewrite(const struct img_type *t, uint64_t number, const char *path,
			    struct span file, struct err *e)
{
	auto_buf struct buf copy = {0};
	auto_img_writer struct img_writer w;
	struct img_reader r;
	struct img_record rec;
	int got;

	img_write_init(&w, -1);
	if (img_read_begin(&r, t, path, file, e) ||
	    img_write_begin(&w, img_type_kind(t), number, e) ||
	    buf_add(&copy, r.head.data, r.head.len, e))
		return -1;
	while ((got = img_read_next(&r, &rec, e)) > 0) {
		if (rec.off != copy.len)
			return err_set(e, ERR_FORMAT, "record %u begins at %zu, not %zu", rec.no,
				       rec.off, copy.len);
		if (buf_add(&copy, rec.raw.data, rec.raw.len, e) || copy_record(&w, &rec, e) ||
		    decode_record(t, &rec, e))
			return -1;
		seen.records++;
	}
	if (got < 0 || buf_add(&copy, r.tail.data, r.tail.len, e))
		return -1;
	if (copy.len != file.len || (file.len && memcmp(copy.data, file.data, file.len) != 0))
		return err_set(e, ERR_FORMAT, "the spans are not the file");
	if (r.is_v10 || file.len == 0 || r.tail.len)
		return 0;
	if (w.bytes.len != file.len || memcmp(w.bytes.data, file.data, file.len) != 0)
		return err_set(e, ERR_FORMAT, "the writer makes another file");
	return 0;
}

static int visit(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	auto_buf struct buf bytes = {0};
	struct err e = ERR_INIT;
	uint64_t number;
	const struct img_type *t = img_type_of_name(path, &number);

	if (flag != FTW_F || strstr(path, "/podman/"))
		return 0;
	if (!t) {
		const char *name = path + ftw->base;

		if (strcmp(name, "README.txt") == 0 || strcmp(name, "README.md") == 0 ||
		    strcmp(name, "snapshot.json") == 0)
			return 0;
		print_error("%s: unknown kind of image\n", path);
		seen.bad++;
		return 0;
	}
	seen.files++;
	if (io_read_file(AT_FDCWD, path, MAX_FILE, &bytes, &e) ||
	    read_and_rewrite(t, number, path, buf_span(&bytes), &e)) {
		print_error("%s: %s\n", path, e.msg);
		seen.bad++;
	}
	return 0;
}

static void corpus_comes_out_as_it_went_in(void **state)
{
	const char *dir = corpus_dir();

	if (!dir) {
		print_message("skipped: no corpus (NSIMG_CORPUS)\n");
		skip();
	}
	memset(&seen, 0, sizeof(seen));
	assert_int_equal(nftw(dir, visit, 16, FTW_PHYS), 0);
	print_message("%zu files, %zu records\n", seen.files, seen.records);
	assert_int_equal(seen.bad, 0);
	assert_true(seen.files > 1000);
}

/* What `crit decode` says of a file, or NULL when crit is not there. */
static struct json *crit_decode(const char *path, struct err *e)
{
	auto_buf struct buf text = {0};
	char part[4096], *quoted;
	struct json *j = NULL;
	size_t n;
	FILE *p;

	/* no shell word can break out: the path is ours, without quotes */
	if (asprintf(&quoted, "crit decode -i '%s' 2>&1", path) < 0)
		return NULL;
	p = popen(quoted, "re");
	free(quoted);
	if (!p)
		return NULL;
	while ((n = fread(part, 1, sizeof(part), p)) > 0)
		if (buf_add(&text, part, n, e))
			break;
	if (pclose(p) == 0)
		j = json_parse((const char *)text.data, text.len, e);
	else
		err_set(e, ERR_FORMAT, "crit: %.300s", text.data ? (char *)text.data : "");
	return j;
}

static void crit_counts_the_same_entries(void **state)
{
	static const char *const files[] = {
		"scenario/nested-veth/files.img",
		"scenario/nested-veth/inventory.img",
		"scenario/nested-veth/pstree.img",
		"scenario/nested-veth/netns-9.img",
		"scenario/nested-veth/netdev-9.img",
		"scenario/nested-veth/fdinfo-2.img",
		"scenario/nested-veth/mountpoints-8.img",
		"zdtm/transition_socket_loop00.ns/sk-queues.img",
		"zdtm/socket_queues.ns/sk-queues.img",
		"scenario/tcp-established/tcp-stream-b284a7.img",
		"limits/sockopts/files.img",
		"limits/userns-root/userns-13.img",
	};
	const char *dir = corpus_dir();
	size_t n_compared = 0;

	if (!dir || system("command -v crit >/dev/null 2>&1") != 0) {
		print_message("skipped: no corpus (NSIMG_CORPUS) or no crit\n");
		skip();
	}
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		auto_buf struct buf bytes = {0};
		struct json *j;
		struct err e = ERR_INIT;
		struct img_reader r;
		struct img_record rec;
		const struct img_type *t = img_type_of_name(files[i], NULL);
		char path[4200];
		size_t n = 0;

		snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		if (access(path, R_OK))
			continue;
		if (io_read_file(AT_FDCWD, path, MAX_FILE, &bytes, &e) ||
		    img_read_begin(&r, t, path, buf_span(&bytes), &e))
			fail_msg("%s", e.msg);
		while (img_read_next(&r, &rec, &e) > 0)
			n++;
		j = crit_decode(path, &e);
		if (!j)
			fail_msg("%s: %s", files[i], e.msg);
		assert_string_equal(json_str(json_get(j, "magic")), t->name);
		if (json_len(json_get(j, "entries")) != n)
			fail_msg("%s: %zu records, crit has %zu", files[i], n,
				 json_len(json_get(j, "entries")));
		json_free(j);
		n_compared++;
	}
	print_message("%zu files compared with crit\n", n_compared);
	assert_true(n_compared >= 8);
}

/* ---- malformed input ---- */

#define COMMON   "\x19\x43\x56\x54"
#define SKQ      "\x26\x40\x26\x56"
#define TCP      "\x06\x55\x46\x51"
#define NS       "\x52\x37\x93\x55"
#define IPCMSG   "\x37\x37\x45\x55"
#define IPCSEM   "\x19\x30\x57\x59"
#define IPCSHM   "\x44\x30\x28\x46"
#define BPF      "\x33\x40\x32\x64"
#define GHOST    "\x05\x36\x58\x52"
#define ADDRRAW  "\x22\x12\x36\x47"
#define INV      "\x16\x31\x31\x58"
#define STATS    "\x06\x33\x09\x57"
#define SERVICE  "\x40\x59\x10\x55"
#define DONE     "\x14\0\0\0\x03\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define NEWADDR  "\x12\0\0\0\x14\0\0\0\0\0\0\0\0\0\0\0\x41\x42"
#define BYTES(s) s, sizeof(s) - 1

static const struct {
	const char *what;
	enum img_kind kind;
	const char *bytes;
	size_t n;
	int records;       /* before the end or the damage; -1: the header is refused */
	long damage;       /* offset, -1: none */
	const char *error; /* part of the message */
	size_t tail;
} cases[] = {
	{"empty", IMG_NETNS, BYTES(""), -1, 0, "too few for the header", 0},
	{"only one magic", IMG_NETNS, BYTES(COMMON), -1, 0, "too few", 4},
	{"header only", IMG_NETNS, BYTES(COMMON NS), 0, -1, NULL, 0},
	{"v1.0", IMG_NETNS, BYTES(NS "\0\0\0\0"), 1, -1, NULL, 0},
	{"other kind", IMG_NETNS, BYTES(COMMON SKQ), -1, 0, "SK_QUEUES image", 8},
	{"no image", IMG_NETNS, BYTES("#!/bin/sh\n"), -1, 0, "0x54564319 is expected", 10},
	{"inventory", IMG_INVENTORY, BYTES(INV "\x02\0\0\0\x08\x02"), 1, -1, NULL, 0},
	{"stats", IMG_STATS_DUMP, BYTES(SERVICE STATS "\0\0\0\0"), 1, -1, NULL, 0},
	{"stats, common magic", IMG_STATS_DUMP, BYTES(COMMON STATS), -1, 0, "0x55105940", 8},
	{"cut length", IMG_NETNS, BYTES(COMMON NS "\0\0\0\0\1\0"), 1, 12, "offset 12", 2},
	{"long entry", IMG_NETNS, BYTES(COMMON NS "\xff\xff\xff\xff\0"), 0, 8, "4294967295", 5},
	{"queue", IMG_SK_QUEUES, BYTES(COMMON SKQ "\4\0\0\0\x08\1\x10\3abc"), 1, -1, NULL, 0},
	{"queue cut", IMG_SK_QUEUES, BYTES(COMMON SKQ "\4\0\0\0\x08\1\x10\4abc"), 0, 8,
	 "4 bytes of payload follow at 16", 11},
	{"queue without length", IMG_SK_QUEUES, BYTES(COMMON SKQ "\2\0\0\0\x08\1abc"), 0, 8,
	 "no number in field 2", 9},
	{"queue with text as length", IMG_SK_QUEUES, BYTES(COMMON SKQ "\3\0\0\0\x12\1\3abc"), 0, 8,
	 "no number in field 2", 10},
	{"queue with a bad message", IMG_SK_QUEUES, BYTES(COMMON SKQ "\2\0\0\0\x08\x80"), 0, 8,
	 "varint", 6},
	{"huge length", IMG_SK_QUEUES,
	 BYTES(COMMON SKQ "\x0b\0\0\0\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\1abc"), 0, 8,
	 "18446744073709551615", 18},
	{"tcp", IMG_TCP_STREAM, BYTES(COMMON TCP "\4\0\0\0\x08\2\x18\1iio"), 1, -1, NULL, 0},
	{"tcp, sum overflows", IMG_TCP_STREAM,
	 BYTES(COMMON TCP "\x0d\0\0\0\x08\2\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\1iio"), 0, 8,
	 "follow at 27", 20},
	{"messages", IMG_IPCNS_MSG,
	 BYTES(COMMON IPCMSG "\2\0\0\0\x18\2"
			     "\4\0\0\0\x08\1\x10\3abc\0\0\0\0\0"
			     "\4\0\0\0\x08\1\x10\0\2\0\0\0\x18\0"),
	 2, -1, NULL, 0},
	{"messages, one missing", IMG_IPCNS_MSG,
	 BYTES(COMMON IPCMSG "\2\0\0\0\x18\2\4\0\0\0\x08\1\x10\3abc\0\0\0\0\0"), 0, 8,
	 "message length", 22},
	{"semaphores", IMG_IPCNS_SEM, BYTES(COMMON IPCSEM "\2\0\0\0\x10\3\1\0\2\0\3\0\0\0"), 1, -1,
	 NULL, 0},
	{"semaphores, too many", IMG_IPCNS_SEM,
	 BYTES(COMMON IPCSEM "\6\0\0\0\x10\xff\xff\xff\xff\x7f"), 0, 8, "semaphores", 10},
	{"shm", IMG_IPCNS_SHM, BYTES(COMMON IPCSHM "\2\0\0\0\x10\5abcde\0\0\0"), 1, -1, NULL, 0},
	{"shm in pagemaps", IMG_IPCNS_SHM, BYTES(COMMON IPCSHM "\4\0\0\0\x10\5\x18\1"), 1, -1, NULL,
	 0},
	{"shm, size wraps", IMG_IPCNS_SHM,
	 BYTES(COMMON IPCSHM "\x0b\0\0\0\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\1"), 0, 8,
	 "shared memory", 15},
	{"bpf", IMG_BPFMAP_DATA, BYTES(COMMON BPF "\4\0\0\0\x10\1\x18\2kvv"), 1, -1, NULL, 0},
	{"ghost", IMG_GHOST_FILE, BYTES(COMMON GHOST "\0\0\0\0the content"), 1, -1, NULL, 0},
	{"cut before the magic", IMG_IFADDR, BYTES(""), -1, 0, "too few", 0},
	{"only the magic", IMG_IFADDR, BYTES(ADDRRAW), 0, -1, NULL, 0},
	{"half a magic", IMG_IFADDR, BYTES("\x22\x12"), -1, 0, "too few", 2},
	{"address, done", IMG_IFADDR, BYTES(ADDRRAW NEWADDR "\0\0" DONE), 2, -1, NULL, 0},
	{"address without padding", IMG_IFADDR, BYTES(ADDRRAW NEWADDR), 1, -1, NULL, 0},
	{"address, zeros", IMG_IFADDR, BYTES(ADDRRAW NEWADDR "\0\0\0\0\0\0"), 1, -1, NULL, 4},
	{"address, rest", IMG_IFADDR, BYTES(ADDRRAW NEWADDR "\0\0xyz"), 1, 24, "offset 24", 3},
	{"short netlink length", IMG_NETNF_CT, BYTES("\x0f\0\0\0\1\0\2\0\0\0\0\0\0\0\0\0"), 0, 0,
	 "15 bytes", 16},
	{"long netlink length", IMG_NETNF_CT, BYTES("\x11\0\0\0\1\0\2\0\0\0\0\0\0\0\0\0"), 0, 0,
	 "17 bytes", 16},
	{"no text", IMG_IPTABLES, BYTES(""), 1, -1, NULL, 0},
	{"text", IMG_NFTABLES, BYTES("table ip t {\n}\n"), 1, -1, NULL, 0},
};

static void malformed(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct span file = {(const uint8_t *)cases[i].bytes, cases[i].n};
		struct err e = ERR_INIT;
		struct img_reader r;
		struct img_record rec;
		int n = 0, got = 0;

		if (img_read_begin(&r, img_type_get(cases[i].kind), "x.img", file, &e))
			n = -1;
		else
			while ((got = img_read_next(&r, &rec, &e)) > 0)
				n++;
		if (n != cases[i].records || r.tail.len != cases[i].tail ||
		    r.damaged != (cases[i].damage >= 0) ||
		    (r.damaged && r.damage_off != (size_t)cases[i].damage))
			fail_msg("%s: %d records, damaged %d at %zu, tail %zu: %s", cases[i].what,
				 n, r.damaged, r.damage_off, r.tail.len, e.msg);
		if (cases[i].error && (e.code != ERR_FORMAT || !strstr(e.msg, cases[i].error) ||
				       !strstr(e.msg, "x.img: offset ")))
			fail_msg("%s: message '%s'", cases[i].what, e.msg);
		if (!cases[i].error && e.code)
			fail_msg("%s: unexpected '%s'", cases[i].what, e.msg);
		assert_int_equal(img_read_next(&r, &rec, &e), 0);
	}
}

/* Cut at each byte: the records before the cut, then the offset where the good bytes end. The bytes are
 * copied to memory of exactly that size, so that a sanitizer sees any read beyond. */
static void cut_anywhere(void **state)
{
	static const char whole[] = COMMON SKQ "\4\0\0\0\x08\1\x10\3abc"
					       "\4\0\0\0\x08\2\x10\0"
					       "\5\0\0\0\x08\x82\1\x10\2zz";
	static const size_t ends[] = {8, 19, 27, 38};

	assert_int_equal(ends[3], sizeof(whole) - 1);
	for (size_t len = 0; len < sizeof(whole); len++) {
		auto_free uint8_t *copy = malloc(len ? len : 1);
		struct img_reader r;
		struct img_record rec;
		struct err e = ERR_INIT;
		size_t good = 0;
		int got = 0;

		memcpy(copy, whole, len);
		if (img_read_begin(&r, img_type_get(IMG_SK_QUEUES), "q.img",
				   (struct span){copy, len}, &e)) {
			assert_true(len < 8);
			continue;
		}
		while ((got = img_read_next(&r, &rec, &e)) > 0)
			good++;
		if (ends[good] > len || (good < 3 && ends[good + 1] <= len) ||
		    (got < 0) != (ends[good] != len) || (got < 0 && r.damage_off != ends[good]) ||
		    (got < 0 && !strstr(e.msg, "q.img: offset ")))
			fail_msg("cut at %zu: %zu records, damage at %zu: %s", len, good,
				 r.damage_off, e.msg);
	}
}

/* What is passed is what would have been read, up to one that is cut. */
static void passed_as_read(void **state)
{
	static const char whole[] = "\4\0\0\0\x08\1\x10\3"
				    "\2\0\0\0\x08\2"
				    "\5\0\0\0\x08\x82\1\x10\2"
				    "\0\0\0\0";
	static const size_t ends[] = {0, 8, 14, 23, 27};

	assert_int_equal(ends[4], sizeof(whole) - 1);
	for (size_t len = 0; len < sizeof(whole); len++)
		for (uint64_t no = 0; no < 6; no++) {
			auto_free uint8_t *copy = malloc(len ? len : 1);
			struct img_reader r = {.type = img_type_get(IMG_FILES),
					       .bytes = {copy, len}};
			size_t n = 0;

			memcpy(copy, whole, len);
			while (n < no && n < 4 && ends[n + 1] <= len)
				n++;
			img_read_skip(&r, no);
			assert_int_equal(r.next_no, n);
			assert_int_equal(r.pos, ends[n]);
		}
}

/* ---- writing ---- */

static int count_files(const char *dir)
{
	auto_dir DIR *d = opendir(dir);
	int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	return n - 2;
}

static void written_is_read_again(void **state)
{
	char dir[] = "/tmp/test_img.XXXXXX", path[64];
	auto_img_writer struct img_writer w;
	auto_close int dirfd = -1;
	auto_buf struct buf bytes = {0};
	struct err e = ERR_INIT;
	NsimgSysctlEntry entry = NSIMG_SYSCTL_ENTRY__INIT;
	struct img_reader r;
	struct img_record rec;
	struct stat st;

	assert_non_null(mkdtemp(dir));
	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	img_write_init(&w, dirfd);
	entry.name = "net/ipv4/ip_forward";
	entry.value = (ProtobufCBinaryData){1, (uint8_t *)"1"};
	assert_int_equal(img_write_begin(&w, IMG_NSIMG_SYSCTL, 5, &e), 0);
	assert_int_equal(img_write_message(&w, &entry.base, &e), 0);
	assert_int_equal(img_write_message(&w, &entry.base, &e), 0);
	assert_int_equal(count_files(dir), 0);
	assert_int_equal(img_write_end(&w, &e), 0);
	assert_int_equal(count_files(dir), 1);
	snprintf(path, sizeof(path), "%s/nsimg-sysctl-5.img", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(io_read_file(AT_FDCWD, path, MAX_FILE, &bytes, &e), 0);
	assert_int_equal(
		img_read_begin(&r, img_type_get(IMG_NSIMG_SYSCTL), path, buf_span(&bytes), &e), 0);
	assert_int_equal(img_read_next(&r, &rec, &e), 1);
	assert_int_equal(img_read_next(&r, &rec, &e), 1);
	assert_int_equal(rec.no, 1);
	assert_int_equal(decode_record(r.type, &rec, &e), 0);
	assert_int_equal(img_read_next(&r, &rec, &e), 0);
	unlink(path);
	assert_int_equal(rmdir(dir), 0);
}

/* A disk that is full: the limit of the file size gives the same short write (setrlimit(2)). */
static void full_disk_leaves_nothing(void **state)
{
	char dir[] = "/tmp/test_img.XXXXXX";
	int status;
	pid_t pid;

	assert_non_null(mkdtemp(dir));
	pid = fork();
	if (pid == 0) {
		struct rlimit small = {10, 10};
		struct img_writer w;
		struct err e = ERR_INIT;
		uint8_t data[100] = {0};
		int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		signal(SIGXFSZ, SIG_IGN);
		img_write_init(&w, dirfd);
		if (setrlimit(RLIMIT_FSIZE, &small) || img_write_begin(&w, IMG_NFTABLES, 1, &e) ||
		    img_write_bytes(&w, (struct span){data, sizeof(data)}, &e))
			_exit(1);
		_exit(img_write_end(&w, &e) == -1 && e.saved_errno == EFBIG &&
				      strstr(e.msg, "nftables-1.img")
			      ? 0
			      : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(count_files(dir), 0);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(name_gives_kind),
		cmocka_unit_test(kind_gives_name),
		cmocka_unit_test(kinds_are_those_of_the_document),
		cmocka_unit_test(corpus_comes_out_as_it_went_in),
		cmocka_unit_test(crit_counts_the_same_entries),
		cmocka_unit_test(malformed),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(passed_as_read),
		cmocka_unit_test(written_is_read_again),
		cmocka_unit_test(full_disk_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
