#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "criu/fdinfo.pb-c.h"
#include "imgdb/db.h"
#include "imgdb/record.h"
#include "proto/inet.h"
#include "proto/rta.h"
#include "proto/wire.h"
#include "tests/unit/corpus_db.h"

static const char *corpus;

static struct db *import(const char *name)
{
	struct err e = ERR_INIT;
	struct db *db = db_open(NULL, DB_MEMORY, &e);

	if (!db)
		fail_msg("%s", e.msg);
	corpus_import(db, name);
	return db;
}

static void exec(struct db *db, const char *sql)
{
	struct err e = ERR_INIT;

	if (db_exec(db, sql, &e))
		fail_msg("%s: %s", sql, e.msg);
}

static int64_t number(struct db *db, const char *sql)
{
	struct err e = ERR_INIT;
	auto_query struct query *q = query_new(db, sql, &e);

	if (!q || query_next(q, &e) != 1)
		fail_msg("%s: %s", sql, e.code ? e.msg : "no row");
	return query_int(q, 0);
}

static void bytes_of(struct db *db, const char *table, int64_t id, struct buf *out)
{
	struct err e = ERR_INIT;

	buf_reset(out);
	if (record_bytes(db, table, id, out, &e))
		fail_msg("%s", e.msg);
}

/* ---- rows nobody touched: the bytes of the file ---- */

/* What the file says at off, read from the folder and not from the database. */
static void original(const char *dir, struct query *q, struct buf *out)
{
	const char *file = query_text(q, 1), *kind = query_text(q, 2);
	size_t off = (size_t)query_int(q, 3);
	auto_buf struct buf all = {0};
	struct err e = ERR_INIT;
	struct span msg;
	uint32_t len;
	char path[9500];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	if (io_read_file(AT_FDCWD, path, 1 << 30, &all, &e))
		fail_msg("%s", e.msg);
	memcpy(&len, all.data + off, 4);
	msg = (struct span){all.data + off, len};
	if (strcmp(kind, "IFADDR") && strncmp(kind, "ROUTE", 5) && strcmp(kind, "RULE") &&
	    strncmp(kind, "NETNF", 5))
		msg.data += 4;
	if (!strcmp(kind, "FILES")) {
		static const uint32_t parts[] = {4, 5, 6, 7, 11, 16};
		struct wire_field f = {0};

		for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
			if (wire_find(msg, parts[i], &f, &e) == 1)
				break;
		msg = f.bytes;
	}
	buf_reset(out);
	assert_int_equal(buf_add(out, msg.data, msg.len, &e), 0);
}

static unsigned compare_all(struct db *db, const char *dir)
{
	static const char *const tables[] = {
		"address", "route", "rule",  "neighbour", "conntrack", "socket",    "tun_file",
		"ns_file", "fd",    "netns", "userns",    "task",      "tcp_stream"};
	unsigned n = 0;

	for (size_t t = 0; t < ARRAY_SIZE(tables); t++) {
		struct err e = ERR_INIT;
		char sql[200];

		snprintf(sql, sizeof(sql),
			 "SELECT t.id, f.name, f.kind, t.off FROM %s t JOIN image_file f ON f.id = "
			 "t.file",
			 tables[t]);
		auto_query struct query *q = query_new(db, sql, &e);
		auto_buf struct buf was = {0}, is = {0};

		assert_non_null(q);
		while (query_next(q, &e) == 1) {
			original(dir, q, &was);
			bytes_of(db, tables[t], query_int(q, 0), &is);
			if (was.len != is.len || memcmp(was.data, is.data, is.len))
				fail_msg("%s: %s %lld of %s: %zu bytes, then %zu", dir, tables[t],
					 (long long)query_int(q, 0), query_text(q, 1), was.len,
					 is.len);
			n++;
		}
	}
	return n;
}

static void test_untouched(void **state)
{
	static const char *const folders[] = {"scenario", "limits", "zdtm"};
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
			snprintf(name, sizeof(name), "%s/%s", folders[i], ent->d_name);
			snprintf(path, sizeof(path), "%s/%s", corpus, name);
			snprintf(inventory, sizeof(inventory), "%s/inventory.img", path);
			if (access(inventory, F_OK))
				continue;
			auto_db struct db *db = import(name);
			n += compare_all(db, path);
		}
	}
	print_message("%u records are the bytes of their files\n", n);
	assert_true(n > 3000);
}

/* ---- edited rows: only what changed differs ---- */

static void test_address(void **state)
{
	static const uint16_t local[] = {IFA_LOCAL, 0}, address[] = {IFA_ADDRESS, 0};
	const uint8_t new_addr[4] = {192, 0, 2, 7};
	auto_buf struct buf was = {0}, is = {0};
	struct err e = ERR_INIT;
	int64_t id;

	if (!corpus)
		skip();
	auto_db struct db *db = import("scenario/nested-veth");
	id = number(db, "SELECT id FROM address WHERE address = '10.10.0.22'");
	bytes_of(db, "address", id, &was);
	exec(db, "UPDATE address SET address = '192.0.2.7' WHERE address = '10.10.0.22'");
	bytes_of(db, "address", id, &is);
	assert_int_equal(was.len, is.len);
	assert_memory_equal(rta_get(buf_span(&is), local).data, new_addr, 4);
	assert_memory_equal(rta_get(buf_span(&is), address).data, new_addr, 4);
	/* with the old bytes put back by hand it is the old message */
	memcpy((uint8_t *)rta_get(buf_span(&is), local).data, "\x0a\x0a\x00\x16", 4);
	memcpy((uint8_t *)rta_get(buf_span(&is), address).data, "\x0a\x0a\x00\x16", 4);
	assert_memory_equal(was.data, is.data, is.len);
	assert_int_equal(rta_check(buf_span(&is), &e), 0);
}

/* Each row: a query for the id, an edit, and the same edit back. With the edit the record differs, with
 * the second one it is what it was. */
static void test_there_and_back(void **state)
{
	static const struct {
		const char *table, *id, *edit, *back;
	} rows[] = {
		{"route", "SELECT id FROM route WHERE dst = '10.20.0.0/30' LIMIT 1",
		 "UPDATE route SET dst = '10.3.0.0/29' WHERE id = %lld",
		 "UPDATE route SET dst = '10.20.0.0/30' WHERE id = %lld"},
		{"rule", "SELECT id FROM rule WHERE priority = 32766 LIMIT 1",
		 "UPDATE rule SET priority = 100 WHERE id = %lld",
		 "UPDATE rule SET priority = 32766 WHERE id = %lld"},
		{"socket", "SELECT socket FROM inet_socket WHERE src_port = 80 LIMIT 1",
		 "UPDATE inet_socket SET src_port = 8080 WHERE socket = %lld",
		 "UPDATE inet_socket SET src_port = 80 WHERE socket = %lld"},
		{"socket", "SELECT socket FROM inet_socket WHERE src = '10.10.0.22' LIMIT 1",
		 "UPDATE inet_socket SET src = '10.9.0.9' WHERE socket = %lld",
		 "UPDATE inet_socket SET src = '10.10.0.22' WHERE socket = %lld"},
		{"socket", "SELECT id FROM socket WHERE so_sndbuf = 212992 LIMIT 1",
		 "UPDATE socket SET so_sndbuf = 99999 WHERE id = %lld",
		 "UPDATE socket SET so_sndbuf = 212992 WHERE id = %lld"},
		{"socket", "SELECT socket FROM unix_socket WHERE name LIKE '/srv/%stream.sock'",
		 "UPDATE unix_socket SET name = '/run/other' WHERE socket = %lld",
		 "UPDATE unix_socket SET name = '/srv/nsimg/run/nv/stream.sock' WHERE socket = "
		 "%lld"},
		{"socket", "SELECT id FROM socket WHERE fown IS NULL LIMIT 1",
		 "UPDATE socket SET fown = "
		 "'{\"uid\":1,\"euid\":2,\"signum\":3,\"pid_type\":1,\"pid\":9}' WHERE "
		 "id = %lld",
		 "UPDATE socket SET fown = NULL WHERE id = %lld"},
		{"socket", "SELECT id FROM socket WHERE so_bound_dev IS NULL LIMIT 1",
		 "UPDATE socket SET so_bound_dev = 'lo' WHERE id = %lld",
		 "UPDATE socket SET so_bound_dev = NULL WHERE id = %lld"},
		{"socket", "SELECT id FROM socket WHERE options IS NULL LIMIT 1",
		 "UPDATE socket SET options = '{\"IP_MTU_DISCOVER\":2}' WHERE id = %lld",
		 "UPDATE socket SET options = NULL WHERE id = %lld"},
		{"fd", "SELECT id FROM fd LIMIT 1", "UPDATE fd SET fd = 77 WHERE id = %lld",
		 "UPDATE fd SET fd = 0 WHERE id = %lld"},
		{"task", "SELECT id FROM task LIMIT 1", "UPDATE task SET sid = 77 WHERE id = %lld",
		 "UPDATE task SET sid = 7 WHERE id = %lld"},
	};

	if (!corpus)
		skip();
	auto_db struct db *db = import("scenario/nested-veth");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		auto_buf struct buf was = {0}, is = {0}, back = {0};
		int64_t id = number(db, rows[i].id);
		char sql[400], text[20];
		const char *at;

		bytes_of(db, rows[i].table, id, &was);
		for (int step = 0; step < 2; step++) {
			const char *form = step ? rows[i].back : rows[i].edit;

			at = strstr(form, "%lld");
			snprintf(text, sizeof(text), "%lld", (long long)id);
			snprintf(sql, sizeof(sql), "%.*s%s", (int)(at - form), form, text);
			exec(db, sql);
			bytes_of(db, rows[i].table, id, step ? &back : &is);
		}
		if (was.len == is.len && !memcmp(was.data, is.data, is.len))
			fail_msg("row %zu: %s: the record is the same", i, rows[i].edit);
		/* the order of fields is that of their numbers in CRIU's records, so a field that came and
		 * went leaves no trace; an empty nsimg message may stay */
		if (strstr(rows[i].edit, "options"))
			continue;
		if (was.len != back.len || memcmp(was.data, back.data, back.len))
			fail_msg("row %zu: %s: not the record it was", i, rows[i].back);
	}
}

static void test_device(void **state)
{
	static const uint16_t name[] = {IFLA_IFNAME, 0}, mtu[] = {IFLA_MTU, 0},
			      mac[] = {IFLA_ADDRESS, 0};
	auto_buf struct buf msg = {0};
	struct span v;
	int64_t id;

	if (!corpus)
		skip();
	auto_db struct db *db = import("scenario/nested-veth");
	id = number(db, "SELECT id FROM device WHERE name = 'vc'");
	exec(db, "UPDATE device SET name = 'wan0', mtu = 1300 WHERE name = 'vc'");
	bytes_of(db, "device", id, &msg);
	assert_int_equal(((const struct nlmsghdr *)msg.data)->nlmsg_type, RTM_NEWLINK);
	v = rta_get(buf_span(&msg), name);
	assert_string_equal((const char *)v.data, "wan0");
	assert_int_equal(rta_get_u32(buf_span(&msg), mtu, 0), 1300);
	v = rta_get(buf_span(&msg), mac);
	assert_memory_equal(v.data, "\x02\x00\x00\x00\x0c\x01", 6);
	assert_int_equal(((const struct ifinfomsg *)(msg.data + NLMSG_HDRLEN))->ifi_index, 5);
}

static void test_refused(void **state)
{
	static const struct {
		const char *table, *id, *edit, *says;
	} rows[] = {
		/* what the triggers, which are plain SQL, cannot see */
		{"route", "SELECT id FROM route WHERE dst = '10.10.0.0/24' LIMIT 1",
		 "UPDATE route SET metrics = '{\"attr_99\":\"zz\"}' WHERE dst = '10.10.0.0/24'",
		 "attr_99"},
		{"socket", "SELECT 1",
		 "UPDATE socket SET options = '{\"999:1\":\"hex:0\"}' WHERE id = 1", "hex:0"},
		{"nowhere", "SELECT 1", "SELECT 1", "nowhere"},
		{"socket", "SELECT 999999", "SELECT 1", "no row"},
	};

	if (!corpus)
		skip();
	auto_db struct db *db = import("scenario/nested-veth");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int64_t id = number(db, rows[i].id);
		auto_buf struct buf out = {0};
		struct err e = ERR_INIT;

		exec(db, rows[i].edit);
		if (!record_bytes(db, rows[i].table, id, &out, &e))
			fail_msg("row %zu: not refused", i);
		if (!strstr(e.msg, rows[i].says))
			fail_msg("row %zu: \"%s\"", i, e.msg);
		assert_int_equal(out.len, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_untouched),      cmocka_unit_test(test_address),
		cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_device),
		cmocka_unit_test(test_refused),
	};

	corpus = corpus_dir();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
