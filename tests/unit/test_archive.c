#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "corpus.h"
#include "imgdb/db.h"
#include "imgdb/export.h"
#include "imgdb/export_out.h"
#include "imgdb/import.h"
#include "proto/archive.h"

static const char *corpus;
static char dir[64];

/* What a command prints, without its last line feed; -1: it failed. */
static int output(const char *command, char *text, size_t size)
{
	FILE *f = popen(command, "r");
	size_t n;
	int rc;

	assert_non_null(f);
	n = fread(text, 1, size - 1, f);
	text[n] = '\0';
	if (n && text[n - 1] == '\n')
		text[n - 1] = '\0';
	rc = pclose(f);
	return rc ? -1 : 0;
}

static void run(const char *command)
{
	char text[2000];

	if (output(command, text, sizeof(text)))
		fail_msg("%s: %s", command, text);
}

static struct db *memory(void)
{
	struct err e = ERR_INIT;
	struct db *db = db_open(NULL, DB_MEMORY, &e);

	if (!db)
		fail_msg("%s", e.msg);
	return db;
}

static int64_t import(struct db *db, const char *path)
{
	static const struct import_opts opts = {0};
	struct err e = ERR_INIT;
	int64_t image = 0;

	if (import_any(db, path, &opts, &image, &e))
		fail_msg("%s: %s", path, e.msg);
	return image;
}

static int64_t number(struct db *db, const char *sql)
{
	struct err e = ERR_INIT;
	auto_query struct query *q = query_new(db, sql, &e);

	if (!q || query_next(q, &e) != 1)
		fail_msg("%s: %s", sql, e.msg);
	return query_int(q, 0);
}

/* ---- the archives of the corpus ---- */

static const char *const archives[] = {"c1.tar.gz", "c3.tar"};

/* All columns of a table that are not numbers of rows of this import. */
static void columns_of(struct db *db, const char *table, char *text, size_t size)
{
	struct err e = ERR_INIT;
	auto_query struct query *q = query_new(
		db,
		"SELECT group_concat('quote(t.\"' || name || '\")', ' || ''|'' || ') FROM "
		"pragma_table_info(:t) WHERE name NOT IN ('id', 'image', 'file', 'netns', "
		"'target', "
		"'socket', 'task')",
		&e);

	if (!q || query_bind_text(q, "t", table, &e) || query_next(q, &e) != 1)
		fail_msg("%s: %s", table, e.msg);
	snprintf(text, size, "%s", query_text(q, 0) ? query_text(q, 0) : "''");
}

static unsigned compare_table(struct db *a, struct db *b, const char *table)
{
	char columns[8000], sql[8200];
	struct err e = ERR_INIT;
	auto_query struct query *qa = NULL, *qb = NULL;
	unsigned n = 0;
	int ra, rb;

	columns_of(a, table, columns, sizeof(columns));
	snprintf(sql, sizeof(sql), "SELECT %s FROM %s t ORDER BY rowid", columns, table);
	qa = query_new(a, sql, &e);
	qb = query_new(b, sql, &e);
	if (!qa || !qb)
		fail_msg("%s: %s", table, e.msg);
	while ((ra = query_next(qa, &e)) == 1 && (rb = query_next(qb, &e)) == 1) {
		if (strcmp(query_text(qa, 0), query_text(qb, 0)) != 0)
			fail_msg("%s, row %u: archive %s, folder %s", table, n, query_text(qa, 0),
				 query_text(qb, 0));
		n++;
	}
	if (!ra)
		rb = query_next(qb, &e);
	if (ra || rb)
		fail_msg("%s: not as many rows in both", table);
	return n;
}

/* The rows of an archive are those of the folder that tar(1) makes of it. */
static void test_rows(void **state)
{
	static const char *const tables[] = {
		"netns",       "nsid",         "userns",         "device",
		"address",     "route",        "rule",           "neighbour",
		"sysctl",      "firewall",     "conntrack",      "task",
		"thread",      "fd",           "socket",         "inet_socket",
		"unix_socket", "tun_file",     "netlink_socket", "packet_socket",
		"tcp_stream",  "socket_queue", "ns_file",
	};

	if (!corpus)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(archives); i++) {
		auto_db struct db *a = memory(), *b = memory();
		char command[80000], path[9000];
		unsigned n = 0;

		snprintf(path, sizeof(path), "%s/podman/%s", corpus, archives[i]);
		import(a, path);
		snprintf(command, sizeof(command),
			 "rm -rf %s/u && mkdir %s/u && tar xf '%s' -C %s/u", dir, dir, path, dir);
		run(command);
		snprintf(path, sizeof(path), "%s/u/checkpoint", dir);
		import(b, path);
		for (size_t k = 0; k < ARRAY_SIZE(tables); k++)
			n += compare_table(a, b, tables[k]);
		assert_true(n > 200);
	}
}

/* Facts against what jq reads in the same file. */
static void test_facts(void **state)
{
	static const struct {
		const char *key, *file, *jq;
	} rows[] = {
		{"container.name", "config.dump", ".name"},
		{"container.id", "config.dump", ".id"},
		{"container.image", "config.dump", ".rootfsImageName"},
		{"container.image_id", "config.dump", ".rootfsImageID"},
		{"container.runtime", "config.dump", ".runtime"},
		{"container.created", "config.dump", ".createdTime"},
		{"container.command", "config.dump", ".command"},
		{"container.hostname", "spec.dump", ".hostname"},
		{"container.args", "spec.dump", ".process.args"},
		{"container.namespaces", "spec.dump", ".linux.namespaces"},
		{"container.engine", "spec.dump", ".annotations[\"io.container.manager\"]"},
	};
	char text[9000], command[80000];

	if (!corpus || output("jq --version", text, sizeof(text))) {
		print_message("skipped: no corpus, or no jq\n");
		skip();
	}
	for (size_t i = 0; i < ARRAY_SIZE(archives); i++) {
		auto_db struct db *db = memory();
		struct err e = ERR_INIT;

		snprintf(command, sizeof(command), "%s/podman/%s", corpus, archives[i]);
		import(db, command);
		for (size_t k = 0; k < ARRAY_SIZE(rows); k++) {
			auto_query struct query *q =
				query_new(db, "SELECT value FROM image_fact WHERE key = :key", &e);

			snprintf(command, sizeof(command),
				 "tar xOf '%s/podman/%s' %s | jq -rc '%s'", corpus, archives[i],
				 rows[k].file, rows[k].jq);
			assert_int_equal(output(command, text, sizeof(text)), 0);
			if (!q || query_bind_text(q, "key", rows[k].key, &e) ||
			    query_next(q, &e) != 1 || strcmp(query_text(q, 0), text) != 0)
				fail_msg("%s, %s: jq says %s, the fact is %s", archives[i],
					 rows[k].key, text, q ? query_text(q, 0) : e.msg);
		}
		/* pages and root file system are referred to */
		assert_int_equal(number(db,
					"SELECT count(*) FROM image_file WHERE content IS NOT NULL "
					"AND (kind = 'PAGES' OR name LIKE '%.tar')"),
				 0);
		assert_int_equal(number(db, "SELECT count(*) FROM image_file WHERE kind = 'PAGES'"),
				 2);
	}
}

/* An export has the members of the original: order, owner, mode, time and bytes, as tar(1) tells. */
static void test_export(void **state)
{
	static const char *const endings[] = {".tar", ".tar.gz", ".tar.zst", ".txz", ""};
	static const struct export_opts opts = {0};

	if (!corpus)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(archives) * ARRAY_SIZE(endings); i++) {
		const char *archive = archives[i / ARRAY_SIZE(endings)];
		const char *ending = endings[i % ARRAY_SIZE(endings)];
		auto_db struct db *db = memory();
		struct err e = ERR_INIT;
		char path[9000], out[100], command[80000];

		snprintf(path, sizeof(path), "%s/podman/%s", corpus, archive);
		snprintf(out, sizeof(out), "%s/out%zu%s", dir, i, ending);
		if (export_image(db, import(db, path), out, &opts, &e))
			fail_msg("%s: %s", out, e.msg);
		/* the same order and sizes: then the same bytes of all are the same bytes of each */
		if (*ending)
			snprintf(command, sizeof(command),
				 "test \"$(tar tvf '%s')\" = \"$(tar tvf %s)\" && test "
				 "\"$(tar xOf '%s' | sha256sum)\" = \"$(tar xOf %s | sha256sum)\"",
				 path, out, path, out);
		else
			snprintf(command, sizeof(command),
				 "rm -rf %s/u && mkdir %s/u && tar xf '%s' -C %s/u && diff -r %s/u "
				 "%s",
				 dir, dir, path, dir, dir, out);
		run(command);
	}
}

/* An edit changes the member it is in, and no other. */
static void test_edit(void **state)
{
	static const struct export_opts opts = {0};
	auto_db struct db *db = memory();
	struct err e = ERR_INIT;
	char path[9000], command[80000], text[400];

	if (!corpus)
		skip();
	snprintf(path, sizeof(path), "%s/podman/c3.tar", corpus);
	import(db, path);
	if (db_exec(db, "UPDATE address SET address = '127.0.0.9' WHERE address = '127.0.0.1'", &e))
		fail_msg("%s", e.msg);
	snprintf(text, sizeof(text), "%s/edited.tar.gz", dir);
	if (export_image(db, 1, text, &opts, &e))
		fail_msg("%s", e.msg);
	snprintf(command, sizeof(command),
		 "cd %s && rm -rf u v && mkdir u v && tar xf '%s' -C u && tar xf edited.tar.gz -C "
		 "v; "
		 "diff -rq u v | cut -d' ' -f2",
		 dir, path);
	assert_int_equal(output(command, text, sizeof(text)), 0);
	assert_string_equal(text, "u/checkpoint/ifaddr-10.img\nu/checkpoint/ifaddr-15.img");
}

/* ---- references ---- */

static void test_source(void **state)
{
	auto_db struct db *db = memory();
	struct err e = ERR_INIT;
	struct export_opts opts = {0};
	char command[80000], copy[80], out[80], other[9000];

	if (!corpus)
		skip();
	snprintf(copy, sizeof(copy), "%s/copy.tar", dir);
	snprintf(out, sizeof(out), "%s/ref.tar", dir);
	snprintf(command, sizeof(command), "cp '%s/podman/c3.tar' %s && chmod u+w %s", corpus, copy,
		 copy);
	run(command);
	import(db, copy);
	assert_int_equal(unlink(copy), 0);
	assert_int_equal(export_image(db, 1, out, &opts, &e), -1);
	assert_non_null(strstr(e.msg, "--source"));
	assert_int_equal(access(out, F_OK), -1);
	/* another archive has other pages under the same name */
	snprintf(other, sizeof(other), "%s/podman/c1.tar.gz", corpus);
	opts.source = other;
	e = (struct err)ERR_INIT;
	assert_int_equal(export_image(db, 1, out, &opts, &e), -1);
	assert_int_equal(e.code, ERR_CONFLICT);
	assert_int_equal(access(out, F_OK), -1);
	snprintf(command, sizeof(command), "ls %s | grep -c 'ref.tar' || true", dir);
	assert_int_equal(output(command, copy, sizeof(copy)), 0);
	assert_string_equal(copy, "0");
	snprintf(other, sizeof(other), "%s/podman/c3.tar", corpus);
	if (export_image(db, 1, out, &opts, &e))
		fail_msg("%s", e.msg);
	/* a folder that the archive was unpacked into serves too */
	unlink(out);
	snprintf(command, sizeof(command), "cd %s && rm -rf u && mkdir u && tar xf '%s' -C u", dir,
		 other);
	run(command);
	snprintf(other, sizeof(other), "%s/u", dir);
	if (export_image(db, 1, out, &opts, &e))
		fail_msg("%s", e.msg);
}

/* ---- hostile archives ---- */

struct member {
	const char *name;
	enum arc_kind kind;
	uint64_t size; /* of zeros */
	const char *text, *link;
};

static void put(struct arc_writer *w, const struct member *t)
{
	static const uint8_t zeros[1 << 16];
	struct err e = ERR_INIT;
	struct arc_member m = {.name = t->name,
			       .kind = t->kind,
			       .mode = 0644,
			       .link = t->link,
			       .size = t->text ? strlen(t->text) : t->size};

	if (arc_put(w, &m, &e) || (t->text && arc_write(w, t->text, m.size, &e)))
		fail_msg("%s: %s", t->name, e.msg);
	for (uint64_t left = t->text ? 0 : m.size; left;) {
		size_t n = left < sizeof(zeros) ? (size_t)left : sizeof(zeros);

		if (arc_write(w, zeros, n, &e))
			fail_msg("%s: %s", t->name, e.msg);
		left -= n;
	}
}

/* The members of a small image, then more. */
static void make_archive(const char *path, const struct member *more, size_t n_more)
{
	static const struct {
		const char *name;
		uint8_t bytes[12];
		size_t n;
	} files[] = {
		/* img_version: 2 */
		{"checkpoint/inventory.img", {0x16, 0x31, 0x31, 0x58, 2, 0, 0, 0}, 8},
		{"checkpoint/ghost.txt", "abc", 3},
	};
	struct err e = ERR_INIT;
	auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	auto_arc_writer struct arc_writer *w = arc_create(fd, path, &e);
	static const uint8_t version[] = {0x08, 0x02};

	if (!w)
		fail_msg("%s", e.msg);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		struct arc_member m = {.name = files[i].name, .mode = 0600, .size = files[i].n};

		m.size += i ? 0 : sizeof(version);
		if (arc_put(w, &m, &e) || arc_write(w, files[i].bytes, files[i].n, &e) ||
		    (!i && arc_write(w, version, sizeof(version), &e)))
			fail_msg("%s", e.msg);
	}
	for (size_t i = 0; i < n_more; i++)
		put(w, &more[i]);
	if (arc_finish(w, &e))
		fail_msg("%s", e.msg);
}

static void test_hostile(void **state)
{
	static char deep[5000];
	static const struct {
		const char *name;
		struct member m[2];
		enum err_code code; /* ERR_NONE: it is imported */
		const char *says;
	} rows[] = {
		{"nothing more", {{.name = "a"}}, ERR_NONE, NULL},
		{"up", {{.name = "checkpoint/../../x"}}, ERR_FORMAT, "\"..\""},
		{"up at the end", {{.name = "checkpoint/.."}}, ERR_FORMAT, "\"..\""},
		{"absolute", {{.name = "/etc/passwd"}}, ERR_FORMAT, "absolute"},
		{"a name that only looks like it", {{.name = "..x/y.."}}, ERR_NONE, NULL},
		{"twice", {{.name = "a"}, {.name = "a"}}, ERR_CONFLICT, "twice"},
		{"twice, spelled otherwise",
		 {{.name = "b/a"}, {.name = "./b//a"}},
		 ERR_CONFLICT,
		 "twice"},
		{"long name", {{.name = deep}}, ERR_RANGE, "too long"},
		{"a link out of it",
		 {{.name = "checkpoint/l", .kind = ARC_SYMLINK, .link = "/etc"}},
		 ERR_NONE,
		 NULL},
		{"a file below a link",
		 {{.name = "checkpoint/l", .kind = ARC_SYMLINK, .link = "/etc"},
		  {.name = "checkpoint/l/x"}},
		 ERR_NONE,
		 NULL},
		{"config.dump that is no JSON",
		 {{.name = "config.dump", .text = "{\"id\": x}"}},
		 ERR_FORMAT,
		 "config.dump"},
		{"config.dump of another shape",
		 {{.name = "config.dump", .text = "[[1], {\"id\": 2}]"}},
		 ERR_NONE,
		 NULL},
		{"network.status of another shape",
		 {{.name = "network.status",
		   .text = "{\"a\": [1], \"b\": {\"interfaces\": {\"c\": 1}}}"}},
		 ERR_NONE,
		 NULL},
		{"CNI result with a wrong number",
		 {{.name = "network.status",
		   .text = "[{\"ips\": [{\"interface\": 99, \"address\": \"10.0.0.1/8\"}]}]"}},
		 ERR_NONE,
		 NULL},
		{"an image without its magic",
		 {{.name = "checkpoint/files.img", .size = 100}},
		 ERR_FORMAT,
		 "files.img"},
	};
	static const struct import_opts opts = {0};
	char path[80];

	memset(deep, 'd', sizeof(deep) - 1);
	snprintf(path, sizeof(path), "%s/hostile.tar", dir);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		auto_db struct db *db = memory();
		struct err e = ERR_INIT;
		int64_t image;
		int rc;

		make_archive(path, rows[i].m, rows[i].m[1].name ? 2 : 1);
		rc = import_archive(db, path, &opts, &image, &e);
		if (e.code != rows[i].code || (rc != 0) != (rows[i].code != ERR_NONE) ||
		    (rows[i].says && !strstr(e.msg, rows[i].says)))
			fail_msg("%s: %s (%s)", rows[i].name, rc ? e.msg : "imported",
				 err_code_name(e.code));
		if (rc)
			assert_int_equal(number(db, "SELECT count(*) FROM image"), 0);
	}
}

/* A file below a link of the same archive goes nowhere on export to a folder. */
static void test_link_escape(void **state)
{
	const struct member m[] = {{"checkpoint/l", ARC_SYMLINK, .link = dir},
				   {"checkpoint/l/escaped", .text = "x"}};
	static const struct export_opts opts = {0};
	auto_db struct db *db = memory();
	struct err e = ERR_INIT;
	char path[80], out[80];

	snprintf(path, sizeof(path), "%s/hostile.tar", dir);
	snprintf(out, sizeof(out), "%s/escape", dir);
	make_archive(path, m, ARRAY_SIZE(m));
	import(db, path);
	assert_int_equal(export_image(db, 1, out, &opts, &e), -1);
	if (!strstr(e.msg, "open the folder of checkpoint/l/escaped"))
		fail_msg("%s", e.msg);
	assert_int_equal(access(out, F_OK), -1);
	snprintf(path, sizeof(path), "%s/escaped", dir);
	assert_int_equal(access(path, F_OK), -1);
}

/* Names in a database are hostile too. */
static void test_names(void **state)
{
	static const struct {
		const char *path;
		bool is_plain;
	} rows[] = {
		{"a", true},   {"a/b.c", true}, {"..a/b..", true}, {"", false},
		{".", false},  {"..", false},   {"../x", false},   {"a/../../x", false},
		{"/x", false}, {"a//b", false}, {"a/.", false},    {"a/", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (export_path_is_plain(rows[i].path) != rows[i].is_plain)
			fail_msg("\"%s\"", rows[i].path);
}

/* Cut at any place: an error that names the archive; with --salvage what comes before. */
static void test_cut(void **state)
{
	static const struct {
		const char *name;
		off_t size;
		unsigned n_files; /* that salvage finds */
	} rows[] = {
		{"in the padding of a file", 600, 1},
		{"between two members", 1024, 1},
		{"in a header", 1300, 1},
		{"in a content", 2048 + 512 + 300, 3},
		{"in the end of the content", 2048 + 512 + 1024 + 10, 3},
	};
	const struct member big = {"checkpoint/pages-1.img", .size = 2000};
	char path[80];

	snprintf(path, sizeof(path), "%s/cut.tar", dir);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		static const struct import_opts strict = {0}, salvage = {.salvage = true};
		auto_db struct db *db = memory();
		struct err e = ERR_INIT;
		int64_t image;

		make_archive(path, &big, 1);
		assert_int_equal(truncate(path, rows[i].size), 0);
		if (!import_archive(db, path, &strict, &image, &e) || e.code != ERR_FORMAT ||
		    !strstr(e.msg, "cut.tar"))
			fail_msg("%s: %s", rows[i].name, e.msg);
		e = (struct err)ERR_INIT;
		if (import_archive(db, path, &salvage, &image, &e))
			fail_msg("%s, salvage: %s", rows[i].name, e.msg);
		if (number(db, "SELECT count(*) FROM image_file") != rows[i].n_files)
			fail_msg("%s: %d files", rows[i].name,
				 (int)number(db, "SELECT count(*) FROM image_file"));
		assert_true(number(db, "SELECT count(*) FROM note WHERE kind = 'damage'") > 0);
	}
}

static void test_no_archive(void **state)
{
	static const struct {
		const char *name, *bytes;
		size_t n;
	} rows[] = {
		{"empty.tar", "", 0},
		{"text.tar", "hello, this is no archive\n", 26},
		{"gzip.tar.gz", "\x1f\x8b\x08\0\0\0\0\0\0\3garbage", 17},
		{"zstd.tar.zst", "\x28\xb5\x2f\xfdgarbage", 11},
		{"xz.tar.xz",
		 "\xfd"
		 "7zXZ\0garbage",
		 13},
	};
	static const struct import_opts opts = {0};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		auto_db struct db *db = memory();
		struct err e = ERR_INIT;
		char path[100];
		int64_t image;

		snprintf(path, sizeof(path), "%s/%s", dir, rows[i].name);
		if (io_write_file(AT_FDCWD, path, rows[i].bytes, rows[i].n, 0600, &e))
			fail_msg("%s", e.msg);
		if (!import_any(db, path, &opts, &image, &e) || e.code != ERR_FORMAT)
			fail_msg("%s: %s", rows[i].name, e.msg);
	}
}

/* ---- memory ---- */

/* 300 MB of pages and of a root file system, of a small archive: memory stays small. */
static void test_memory(void **state)
{
	enum { LIMIT_KB = 64 << 10 };
	const struct member m[] = {{"checkpoint/pages-1.img", .size = 300 << 20},
				   {"rootfs-diff.tar", .size = 20 << 20}};
	char path[80], db_path[80];
	struct rusage before, ru;
	struct stat st;
	int status;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/large.tar.zst", dir);
	snprintf(db_path, sizeof(db_path), "%s/large.db", dir);
	make_archive(path, m, ARRAY_SIZE(m));
	getrusage(RUSAGE_SELF, &before);
	pid = fork();
	if (!pid) {
		static const struct import_opts opts = {0};
		struct err e = ERR_INIT;
		struct db *db = db_open(db_path, DB_CREATE, &e);
		int64_t image;
		int rc = db ? import_any(db, path, &opts, &image, &e) : -1;

		db_free(db);
		_exit(rc ? 1 : 0);
	}
	assert_int_equal(wait4(pid, &status, 0, &ru), pid);
	assert_int_equal(status, 0);
	/* the child starts with the memory of this program, and may be sanitized */
	if (ru.ru_maxrss > before.ru_maxrss + LIMIT_KB)
		fail_msg("import used %ld kB", ru.ru_maxrss - before.ru_maxrss);
	assert_int_equal(stat(db_path, &st), 0);
	assert_true(st.st_size < 4 << 20);
}

static int setup(void **state)
{
	corpus = corpus_dir();
	snprintf(dir, sizeof(dir), "/tmp/nsimg-archive.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	run(command);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),   cmocka_unit_test(test_facts),
		cmocka_unit_test(test_export), cmocka_unit_test(test_edit),
		cmocka_unit_test(test_source), cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_names),  cmocka_unit_test(test_link_escape),
		cmocka_unit_test(test_cut),    cmocka_unit_test(test_no_archive),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
