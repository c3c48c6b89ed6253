#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "corpus.h"
#include "imgdb/db.h"
#include "imgdb/import.h"
#include "proto/img_types.h"

static char dir[] = "/tmp/nsimg-test-import-XXXXXX";
static char image_dir[64];

static int64_t number(struct db *db, const char *sql)
{
	struct err e = ERR_INIT;
	auto_query struct query *q = query_new(db, sql, &e);

	if (!q || query_next(q, &e) < 0)
		fail_msg("%s: %s", sql, e.msg);
	return query_int(q, 0);
}

static struct db *memory(void)
{
	struct err e = ERR_INIT;
	struct db *db = db_open(NULL, DB_MEMORY, &e);

	if (!db)
		fail_msg("%s", e.msg);
	return db;
}

/* ---- an image made by hand, as the format's tables say ---- */

static void put_u32(struct buf *b, uint32_t v)
{
	struct err e = ERR_INIT;

	assert_int_equal(buf_add(b, &v, 4, &e), 0);
}

static void put_file(const char *name, const void *data, size_t n)
{
	struct err e = ERR_INIT;
	char path[200];

	snprintf(path, sizeof(path), "%s/%s", image_dir, name);
	if (io_write_file(AT_FDCWD, path, data, n, 0600, &e))
		fail_msg("%s", e.msg);
}

struct record {
	const char *bytes;
	size_t len;
};
#define R(s)                                                                                       \
	{                                                                                          \
		s, sizeof(s) - 1                                                                   \
	}

static void put_image(const char *name, uint32_t magic, const struct record *r, size_t n,
		      size_t cut)
{
	auto_buf struct buf b = {0};
	struct err e = ERR_INIT;

	if (strcmp(name, "inventory.img") != 0)
		put_u32(&b, 0x54564319);
	put_u32(&b, magic);
	for (size_t i = 0; i < n; i++) {
		put_u32(&b, (uint32_t)r[i].len);
		assert_int_equal(buf_add(&b, r[i].bytes, r[i].len, &e), 0);
	}
	put_file(name, b.data, b.len - cut);
}

/* One namespace 4, one task 7 with one descriptor 3 on a TCP listener on 10.0.0.1:80 that lacks its "ino"
 * (required), and an entry of a kind that nobody knows. */
static void make_image(size_t cut)
{
	static const struct record inventory[] = {
		R("\x08\x02\x1a\x0a\x08\x01\x10\x01\x18\x01\x20\x01\x30\x04")};
	static const struct record netns[] = {R("")};
	static const struct record pstree[] = {R("\x08\x07\x10\x00\x18\x07\x20\x07\x28\x07")};
	static const struct record ids[] = {R("\x08\x01\x10\x01\x18\x01\x20\x01\x30\x04")};
	static const struct record fdinfo[] = {R("\x08\x05\x10\x01\x18\x04\x20\x03")};
	static const struct record files[] = {
		R("\x08\x04\x10\x05\x22\x1b\x08\x05\x18\x02\x20\x01\x28\x06\x30\x0a\x38\x50\x40\x00"
		  "\x48\x02\x50\x10\x58\x8a\x80\x80\x08\x60\x00\x78\x01"),
		R("\x08\x63\x10\x06"),
	};

	put_image("inventory.img", 0x58313116, inventory, 1, 0);
	put_image("netns-4.img", 0x55933752, netns, 1, 0);
	put_image("pstree.img", 0x50273030, pstree, 1, 0);
	put_image("ids-7.img", 0x54432030, ids, 1, 0);
	put_image("fdinfo-1.img", 0x56213732, fdinfo, 1, 0);
	put_image("files.img", 0x56303138, files, 2, cut);
	put_file("dump.log", "hello\n", 6);
}

static void test_by_hand(void **state)
{
	static const struct import_opts opts = {0};
	auto_db struct db *db = memory();
	struct err e = ERR_INIT;
	int64_t image = 0;

	make_image(0);
	if (import_dir(db, image_dir, &opts, &image, &e))
		fail_msg("%s", e.msg);
	assert_int_equal(image, 1);
	assert_int_equal(number(db, "SELECT count(*) FROM image_file WHERE content IS NOT NULL"),
			 7);
	assert_int_equal(number(db,
				"SELECT count(*) FROM image WHERE root_pid = 7 AND root_ns_id = 4 "
				"AND img_version = 2 AND format = 'criu'"),
			 1);
	assert_int_equal(number(db,
				"SELECT count(*) FROM netns WHERE ns_id = 4 AND name = 'ns4' AND "
				"NOT external"),
			 1);
	assert_int_equal(number(db,
				"SELECT count(*) FROM task t JOIN netns n ON n.id = t.netns WHERE "
				"pid = 7 AND files_id = 1 AND n.ns_id = 4"),
			 1);
	assert_int_equal(
		number(db, "SELECT count(*) FROM fd WHERE fd = 3 AND file_id = 5 AND type = 4"), 1);
	/* off: after the two magics */
	assert_int_equal(
		number(db,
		       "SELECT count(*) FROM socket s JOIN inet_socket i ON i.socket = s.id JOIN "
		       "netns n ON n.id = s.netns WHERE src = '10.0.0.1' AND src_port = 80 AND "
		       "dst = '0.0.0.0' AND state = 10 AND i.backlog = 16 AND v6only = 1 AND s.ino "
		       "IS "
		       "NULL AND n.ns_id = 4 AND s.rec = 0 AND s.off = 8"),
		1);
	assert_int_equal(number(db, "SELECT count(*) FROM note WHERE kind = 'unknown'"), 0);
}

static void test_again(void **state)
{
	static const struct import_opts once = {0}, again = {.again = true};
	auto_db struct db *db = memory();
	struct err e = ERR_INIT;
	int64_t image;

	make_image(0);
	assert_int_equal(import_dir(db, image_dir, &once, &image, &e), 0);
	assert_int_equal(import_dir(db, image_dir, &once, &image, &e), -1);
	assert_int_equal(e.code, ERR_EXISTS);
	assert_non_null(strstr(e.msg, "image 1"));
	assert_int_equal(number(db, "SELECT count(*) FROM image"), 1);
	assert_int_equal(number(db, "SELECT count(*) FROM socket"), 1);
	assert_int_equal(import_dir(db, image_dir, &again, &image, &e), 0);
	assert_int_equal(image, 2);
	assert_int_equal(number(db, "SELECT count(*) FROM socket"), 2);
	assert_int_equal(
		number(db, "SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND sql IS "
			   "NOT NULL") > 20,
		true);
}

static void test_damage(void **state)
{
	static const struct import_opts strict = {0}, salvage = {.salvage = true};
	auto_db struct db *db = memory();
	struct err e = ERR_INIT;
	int64_t image;

	make_image(3); /* the second record of files.img is cut */
	assert_int_equal(import_dir(db, image_dir, &strict, &image, &e), -1);
	assert_int_equal(e.code, ERR_FORMAT);
	assert_non_null(strstr(e.msg, "files.img"));
	assert_int_equal(number(db, "SELECT count(*) FROM image"), 0);
	assert_int_equal(number(db, "SELECT count(*) FROM image_file"), 0);
	e = (struct err)ERR_INIT;
	if (import_dir(db, image_dir, &salvage, &image, &e))
		fail_msg("%s", e.msg);
	assert_int_equal(number(db, "SELECT count(*) FROM socket"), 1);
	assert_int_equal(number(db, "SELECT count(*) FROM note WHERE kind = 'damage'"), 1);
	/* 8 bytes of magics, 4 of length, 33 of the first record */
	assert_int_equal(number(db, "SELECT damage_off FROM image_file WHERE name = 'files.img'"),
			 45);
	assert_int_equal(number(db, "SELECT count(*) FROM image_file WHERE damage IS NOT NULL"), 1);
}

static void test_no_image(void **state)
{
	static const struct import_opts opts = {0}, salvage = {.salvage = true};
	auto_db struct db *db = memory();
	struct err e = ERR_INIT;
	char path[200];
	int64_t image;

	snprintf(path, sizeof(path), "%s/nothing", dir);
	assert_int_equal(import_dir(db, path, &opts, &image, &e), -1);
	assert_int_equal(e.code, ERR_NOTFOUND);
	mkdir(path, 0700);
	assert_int_equal(import_dir(db, path, &opts, &image, &e), -1);
	assert_int_equal(e.code, ERR_FORMAT);
	assert_non_null(strstr(e.msg, "inventory.img"));
	rmdir(path);
	make_image(0);
	snprintf(path, sizeof(path), "%s/inventory.img", image_dir);
	unlink(path);
	assert_int_equal(import_dir(db, image_dir, &opts, &image, &e), -1);
	assert_non_null(strstr(e.msg, "--salvage"));
	e = (struct err)ERR_INIT;
	if (import_dir(db, image_dir, &salvage, &image, &e))
		fail_msg("%s", e.msg);
	/* the root task says which namespace is meant */
	assert_int_equal(number(db, "SELECT count(*) FROM socket WHERE netns IS NOT NULL"), 1);
	make_image(0);
	snprintf(path, sizeof(path), "%s/dump.log", image_dir);
	assert_int_equal(import_any(db, path, &opts, &image, &e), -1);
	assert_int_equal(e.code, ERR_FORMAT);
}

/* Every image of the corpus is imported, all references resolve. */
static void test_corpus(void **state)
{
	static const struct import_opts opts = {0};
	static const char *const folders[] = {"scenario", "limits", "zdtm"};
	auto_db struct db *db = NULL;
	const char *corpus = corpus_dir();
	unsigned n = 0;

	if (!corpus) {
		print_message("skip: no corpus (NSIMG_CORPUS)\n");
		skip();
	}
	db = memory();
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		char path[5000], inventory[5400];
		auto_dir DIR *d = NULL;
		struct dirent *ent;

		snprintf(path, sizeof(path), "%s/%s", corpus, folders[i]);
		d = opendir(path);
		assert_non_null(d);
		while ((ent = readdir(d))) {
			struct err e = ERR_INIT;
			int64_t image;

			snprintf(path, sizeof(path), "%s/%s/%s", corpus, folders[i], ent->d_name);
			snprintf(inventory, sizeof(inventory), "%s/inventory.img", path);
			if (access(inventory, F_OK))
				continue;
			if (import_dir(db, path, &opts, &image, &e))
				fail_msg("%s: %s", path, e.msg);
			n++;
		}
	}
	print_message("%u images, %lld sockets\n", n,
		      (long long)number(db, "SELECT count(*) FROM socket"));
	assert_int_equal(number(db, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
	assert_int_equal(number(db, "SELECT count(*) FROM image"), n);
	assert_int_equal(number(db, "SELECT count(*) FROM socket WHERE netns IS NULL"), 0);
	assert_int_equal(number(db, "SELECT count(*) FROM note WHERE kind = 'damage'"), 0);
	assert_int_equal(number(db, "SELECT count(*) FROM image_file WHERE damage IS NOT NULL"), 0);
}

static int make_dir(void **state)
{
	if (!mkdtemp(dir))
		return -1;
	snprintf(image_dir, sizeof(image_dir), "%s/image", dir);
	return mkdir(image_dir, 0700);
}

static int remove_dir(void **state)
{
	DIR *d = opendir(image_dir);
	struct dirent *ent;

	while (d && (ent = readdir(d)))
		if (*ent->d_name != '.')
			unlinkat(dirfd(d), ent->d_name, 0);
	closedir(d);
	rmdir(image_dir);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_hand), cmocka_unit_test(test_again),
		cmocka_unit_test(test_damage),  cmocka_unit_test(test_no_image),
		cmocka_unit_test(test_corpus),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
