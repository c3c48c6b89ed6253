#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "imgdb/db.h"
#include "imgdb/export.h"
#include "proto/img.h"
#include "tests/unit/corpus_db.h"

static const char *corpus;
static char dir[64];
static char out[80], path_db[80];

static int run(const char *const argv[])
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void remove_out(void)
{
	const char *const argv[] = {"rm", "-rf", out, NULL};

	assert_int_equal(run(argv), 0);
}

/* Every folder of the corpus comes out as it went in, as diff(1) sees it. */
static void test_unedited(void **state)
{
	static const char *const folders[] = {"scenario", "limits", "zdtm"};
	static const struct export_opts opts = {0};
	unsigned n = 0;

	if (!corpus)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		char path[9000], name[400], inventory[9100];
		auto_dir DIR *d = NULL;
		struct dirent *ent;

		snprintf(path, sizeof(path), "%s/%s", corpus, folders[i]);
		d = opendir(path);
		assert_non_null(d);
		while ((ent = readdir(d))) {
			const char *const diff[] = {"diff", "-r", path, out, NULL};
			struct err e = ERR_INIT;

			snprintf(name, sizeof(name), "%s/%s", folders[i], ent->d_name);
			snprintf(path, sizeof(path), "%s/%s", corpus, name);
			snprintf(inventory, sizeof(inventory), "%s/inventory.img", path);
			if (access(inventory, F_OK))
				continue;
			auto_db struct db *db = db_open(NULL, DB_MEMORY, &e);
			if (export_image(db, corpus_import(db, name), out, &opts, &e))
				fail_msg("%s: %s", path, e.msg);
			if (run(diff))
				fail_msg("%s: not as it went in", path);
			remove_out();
			n++;
		}
	}
	print_message("%u images come out byte for byte\n", n);
}

static void read_whole(const char *folder, const char *name, struct buf *b)
{
	struct err e = ERR_INIT;
	char path[9300];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	buf_reset(b);
	if (io_read_file(AT_FDCWD, path, 1 << 30, b, &e))
		fail_msg("%s", e.msg);
}

/* How many records of a file differ, and how many there are, before and after. */
static void compare_file(const char *source, const char *name, unsigned n[3])
{
	const struct img_type *type = img_type_of_name(name, NULL);
	auto_buf struct buf a = {0}, b = {0};
	struct img_record x = {0}, y = {0};
	struct img_reader r, s;
	struct err e = ERR_INIT;
	int more_x, more_y;

	read_whole(source, name, &a);
	read_whole(out, name, &b);
	memset(n, 0, 3 * sizeof(*n));
	assert_int_equal(img_read_begin(&r, type, name, buf_span(&a), &e), 0);
	assert_int_equal(img_read_begin(&s, type, name, buf_span(&b), &e), 0);
	for (;;) {
		more_x = img_read_next(&r, &x, &e);
		more_y = img_read_next(&s, &y, &e);
		assert_true(more_x >= 0 && more_y >= 0);
		if (!more_x && !more_y)
			break;
		n[1] += (unsigned)more_x;
		n[2] += (unsigned)more_y;
		if (more_x && more_y)
			n[0] += x.raw.len != y.raw.len ||
				memcmp(x.raw.data, y.raw.data, x.raw.len) != 0;
	}
}

/* Each edit is done by a client that is not ours, on a file, and touches one file. */
static void test_edited(void **state)
{
	static const struct {
		const char *sql, *file;
		unsigned differ, before_after; /* records; after - before + 1 */
	} rows[] = {
		{"UPDATE address SET address = '10.99.0.22' WHERE address = '10.10.0.22'",
		 "ifaddr-10.img", 1, 1},
		{"UPDATE rule SET priority = 101 WHERE id = (SELECT min(rule.id) FROM rule JOIN "
		 "netns n "
		 "ON n.id = netns WHERE n.ns_id = 9 AND priority = 32766)",
		 "rule-9.img", 1, 1},
		{"UPDATE device SET name = 'wan0', mtu = 1300 WHERE name = 'vc'", "netdev-9.img", 1,
		 1},
		{"UPDATE sysctl SET value = 7 WHERE path = 'def_conf4[0]' AND netns = (SELECT id "
		 "FROM "
		 "netns WHERE ns_id = 9)",
		 "netns-9.img", 1, 1},
		{"UPDATE inet_socket SET src_port = 81 WHERE src = '10.10.0.22'", "files.img", 1,
		 1},
		{"INSERT INTO address (image, netns, ifindex, family, address, prefixlen) SELECT "
		 "1, id, 1, "
		 "2, '127.9.9.9', 8 FROM netns WHERE ns_id = 9",
		 "ifaddr-9.img", 0, 2},
		{"DELETE FROM address WHERE id = (SELECT max(a.id) FROM address a JOIN netns n ON "
		 "n.id = "
		 "netns WHERE n.ns_id = 9)",
		 "ifaddr-9.img", 0, 0},
		{"UPDATE task SET comm = 'new'", "core-7.img", 1, 1},
		{"UPDATE fd SET fd = 500 WHERE id = 1", "fdinfo-2.img", 1, 1},
		/* and back again: nothing differs */
		{"UPDATE fd SET fd = 500 WHERE id = 1; UPDATE fd SET fd = 0 WHERE id = 1",
		 "fdinfo-2.img", 0, 1},
	};
	static const struct export_opts opts = {0};
	char source[9000];

	if (!corpus)
		skip();
	snprintf(source, sizeof(source), "%s/scenario/nested-veth", corpus);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err e = ERR_INIT;
		char *msg = NULL;
		sqlite3 *h = NULL;
		unsigned n[3];

		db_free(({
			struct db *db = db_open(path_db, DB_CREATE, &e);

			corpus_import(db, "scenario/nested-veth");
			db;
		}));
		assert_int_equal(sqlite3_open(path_db, &h), SQLITE_OK);
		if (sqlite3_exec(h, rows[i].sql, NULL, NULL, &msg))
			fail_msg("row %zu: %s", i, msg);
		sqlite3_close(h);
		auto_db struct db *db = db_open(path_db, DB_READ, &e);
		if (export_image(db, 1, out, &opts, &e))
			fail_msg("row %zu: %s", i, e.msg);
		compare_file(source, rows[i].file, n);
		if (n[0] != rows[i].differ || n[2] + 1 - n[1] != rows[i].before_after)
			fail_msg("row %zu: %s: %u records differ, %u before, %u after", i,
				 rows[i].sql, n[0], n[1], n[2]);
		remove_out();
		unlink(path_db);
	}
}

static void test_refused(void **state)
{
	static const struct export_opts opts = {0};
	static const struct {
		const char *sql, *says;
	} rows[] = {
		/* what the triggers, which are plain SQL, do not look at */
		{"UPDATE socket SET options = '{\"999:1\":\"hex:0\"}' WHERE id = 1", "hex:0"},
		{"UPDATE socket SET so_sndbuf = NULL WHERE id = 1", "so_sndbuf"},
		{"INSERT INTO userns (image, ns_id) VALUES (1, 99)", "userns"},
	};
	struct err e = ERR_INIT;
	struct stat st;

	if (!corpus)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		auto_db struct db *db = db_open(NULL, DB_MEMORY, &e);
		unsigned n = 0;

		corpus_import(db, "scenario/nested-veth");
		assert_int_equal(db_exec(db, rows[i].sql, &e), 0);
		e = (struct err)ERR_INIT;
		assert_int_equal(export_image(db, 1, out, &opts, &e), -1);
		if (!strstr(e.msg, rows[i].says))
			fail_msg("row %zu: \"%s\"", i, e.msg);
		/* nothing is left, also not the folder in the making */
		auto_dir DIR *d = opendir(dir);
		while (readdir(d))
			n++;
		assert_int_equal(n, 2);
	}
	mkdir(out, 0700);
	auto_db struct db *db = db_open(NULL, DB_MEMORY, &e);
	corpus_import(db, "scenario/nested-veth");
	assert_int_equal(export_image(db, 1, out, &opts, &e), -1);
	assert_int_equal(e.code, ERR_EXISTS);
	assert_int_equal(stat(out, &st), 0);
	rmdir(out);
}

static int make_dir(void **state)
{
	/* export syncs the file system: a memory one has nothing to wait for */
	snprintf(dir, sizeof(dir), "%s/nsimg-test-export-XXXXXX",
		 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	if (!mkdtemp(dir))
		return -1;
	snprintf(out, sizeof(out), "%s/out", dir);
	snprintf(path_db, sizeof(path_db), "%s/a.db", dir);
	return 0;
}

static int remove_dir(void **state)
{
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unedited),
		cmocka_unit_test(test_edited),
		cmocka_unit_test(test_refused),
	};

	corpus = corpus_dir();
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
