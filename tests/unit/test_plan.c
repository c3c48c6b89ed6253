/* The plan: order, stability, cycles, formats; the journal: what a reader finds after each kind of end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "imgdb/db.h"
#include "restorer/build.h"
#include "restorer/journal.h"
#include "restorer/plan.h"
#include "restorer/steps.h"
#include "restorer/sysctl_rows.h"

static struct step *add(struct plan *p, const char *kind, const char *object)
{
	struct err e = ERR_INIT;
	struct step *s = plan_add(p, step_kind_find(kind), NULL, &e, "%s", object);

	assert_non_null(s);
	return s;
}

static void need(struct plan *p, struct step *s, const struct step *o)
{
	struct err e = ERR_INIT;

	assert_int_equal(plan_need(p, s, o, &e), 0);
}

/* Edges as "AB": step B needs step A; the order that has to come out. Letters are added in the order of
 * the alphabet, all of one kind, so that only needs and the order of adding decide. */
static const struct {
	const char *name, *steps, *edges, *order;
} orders[] = {
	{"no needs: as added", "ABCD", "", "ABCD"},
	{"a need turns two around", "AB", "BA", "BA"},
	{"a chain backwards", "ABCD", "DC CB BA", "DCBA"},
	{"what is ready comes as added", "ABCDE", "EA", "BCDEA"},
	{"a diamond", "ABCD", "AB AC BD CD", "ABCD"},
	{"the same need twice", "AB", "BA BA", "BA"},
};

static void test_order(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
		struct err e = ERR_INIT;
		struct plan *p = plan_new(NULL, 1, &e);
		struct step *steps[26] = {0};
		char got[27] = "";

		for (const char *s = orders[i].steps; *s; s++)
			steps[*s - 'A'] = add(p, "address", (char[]){*s, 0});
		for (const char *s = orders[i].edges; *s; s += s[2] ? 3 : 2)
			need(p, steps[s[1] - 'A'], steps[s[0] - 'A']);
		assert_int_equal(plan_order(p, &e), 0);
		for (size_t k = 0; k < plan_n_steps(p); k++) {
			got[k] = plan_step(p, k)->object[0];
			assert_int_equal(plan_step(p, k)->number, k + 1);
		}
		if (strcmp(got, orders[i].order))
			fail_msg("%s: got %s, expected %s", orders[i].name, got, orders[i].order);
		plan_free(p);
	}
}

static void test_stage_decides(void **state)
{
	static const char *const kinds[] = {"rule", "link", "netns", "address", "nsid", "up"};
	static const char *const wanted[] = {"netns", "nsid", "link", "up", "address", "rule"};
	struct err e = ERR_INIT;
	struct plan *p = plan_new(NULL, 1, &e);

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		add(p, kinds[i], kinds[i]);
	assert_int_equal(plan_order(p, &e), 0);
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		assert_string_equal(plan_step(p, i)->object, wanted[i]);
	plan_free(p);
}

static void test_milestone(void **state)
{
	struct err e = ERR_INIT;
	struct plan *p = plan_new(NULL, 1, &e);
	struct step *late = add(p, "address", "late"), *early = add(p, "address", "early");

	assert_int_equal(plan_after(p, late, MS_UP, 7, &e), 0);
	assert_int_equal(plan_before(p, early, MS_UP, 7, &e), 0);
	assert_ptr_equal(plan_milestone(p, MS_UP, 7, &e), plan_milestone(p, MS_UP, 7, &e));
	assert_ptr_not_equal(plan_milestone(p, MS_UP, 7, &e), plan_milestone(p, MS_UP, 8, &e));
	assert_int_equal(plan_order(p, &e), 0);
	assert_int_equal(plan_n_steps(p), 2);
	assert_string_equal(plan_step(p, 0)->object, "early");
	plan_free(p);
}

static void test_cycle(void **state)
{
	struct err e = ERR_INIT;
	struct plan *p = plan_new(NULL, 1, &e);
	struct step *a = add(p, "link", "ns1 a"), *b = add(p, "link", "ns1 b");
	struct step *c = add(p, "link", "ns1 c"), *other = add(p, "link", "ns1 other");

	need(p, a, b);
	need(p, b, c);
	need(p, c, a);
	need(p, other, a);
	assert_int_equal(plan_order(p, &e), -1);
	assert_int_equal(e.code, ERR_CONFLICT);
	assert_non_null(strstr(e.msg, "link ns1 a needs link ns1 b"));
	assert_non_null(strstr(e.msg, "link ns1 b needs link ns1 c"));
	assert_non_null(strstr(e.msg, "link ns1 c needs link ns1 a"));
	assert_null(strstr(e.msg, "other"));
	plan_free(p);
}

static struct plan *small_plan(void)
{
	struct err e = ERR_INIT;
	struct plan *p = plan_new(NULL, 1, &e);
	struct step *n = add(p, "netns", "a \"quoted\\ name"), *l = add(p, "link", "ns1 eth0");

	need(p, l, n);
	assert_int_equal(plan_require(p, "ns1 eth0", "--veth ns1/eth0=NAME", false, &e), 0);
	assert_int_equal(plan_leave_out(p, &e, "ns1 wg0", "%s", "no keys"), 0);
	assert_int_equal(plan_order(p, &e), 0);
	return p;
}

static void print(const struct plan *p, enum plan_format f, struct buf *out)
{
	struct err e = ERR_INIT;

	auto_table struct table *t = plan_table(p, false, &e);
	auto_free char *rows = NULL;
	size_t n;
	FILE *mem = open_memstream(&rows, &n);

	buf_reset(out);
	if (!t || table_print(t, &(struct table_style){0}, mem, &e))
		fail_msg("%s", e.msg);
	fclose(mem);
	if ((f == PLAN_LISTS && buf_add(out, rows, n, &e)) || plan_print(p, f, out, &e))
		fail_msg("%s", e.msg);
}

static void test_formats(void **state)
{
	struct plan *p = small_plan();
	struct err e = ERR_INIT;
	auto_buf struct buf text = {0};
	auto_json struct json *j = NULL;
	const struct json *link;

	print(p, PLAN_LISTS, &text);
	assert_non_null(strstr((char *)text.data, "ns1 eth0"));
	assert_non_null(strstr((char *)text.data, "--veth ns1/eth0=NAME"));
	assert_non_null(strstr((char *)text.data, "left out: ns1 wg0: no keys"));

	print(p, PLAN_JSON, &text);
	j = json_parse((char *)text.data, text.len, &e);
	assert_non_null(j);
	assert_int_equal(json_len(json_get(j, "steps")), 2);
	link = json_at(json_get(j, "steps"), 1);
	assert_string_equal(json_str(json_get(link, "kind")), "link");
	assert_int_equal(json_len(json_get(link, "needs")), 1);
	assert_int_equal(json_len(json_get(j, "from_outside")), 1);

	print(p, PLAN_DOT, &text);
	assert_non_null(strstr((char *)text.data, "n0 -> n1;"));
	assert_non_null(strstr((char *)text.data, "a \\\"quoted\\\\ name"));
	plan_free(p);
}

/* The same graph gives the same plan, byte for byte. */
static void test_stable(void **state)
{
	auto_buf struct buf a = {0};
	auto_buf struct buf b = {0};
	struct plan *p = small_plan(), *q = small_plan();

	print(p, PLAN_LISTS, &a);
	print(q, PLAN_LISTS, &b);
	assert_string_equal((char *)a.data, (char *)b.data);
	plan_free(p);
	plan_free(q);
}

static void test_kinds(void **state)
{
	const struct step_kind *k;

	for (size_t i = 0; (k = step_kind_at(i)); i++) {
		if (step_kind_find(k->name) != k)
			fail_msg("two kinds are named %s", k->name);
		if (!k->run || k->stage >= STAGE_COUNT || k->undo_class >= UNDO_COUNT)
			fail_msg("kind %s: a row without run, or a number out of range", k->name);
		if ((k->undo_class == UNDO_BEST_EFFORT || k->undo_class == UNDO_IMPOSSIBLE) &&
		    !k->undo_note)
			fail_msg("kind %s does not say what its undo leaves", k->name);
		if (k->undo_class == UNDO_EXACT && !k->undo)
			fail_msg("kind %s says exact and has no undo", k->name);
	}
	assert_true(step_kind_find("no such kind") == NULL);
}

/* Journal */

static char dir[] = "/tmp/nsimg-journal-XXXXXX";

static int make_dir(void **state)
{
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	return rmdir(dir);
}

static void test_journal(void **state)
{
	struct err e = ERR_INIT;
	struct journal *j = journal_new(dir, "one", "/x/a\tb.db", 3, &e), *again;
	const struct journal_entry *je;
	char **names = NULL;

	assert_non_null(j);
	assert_null(journal_new(dir, "one", "x", 1, &e));
	assert_int_equal(e.code, ERR_EXISTS);
	e = (struct err)ERR_INIT;
	assert_int_equal(journal_begin(j, 1, "pin", "/run/netns/a", &e), 0);
	assert_int_equal(journal_fact(j, 1, "path", &e, "/run/netns/a\nb\t%d", 5), 0);
	assert_int_equal(journal_done(j, 1, &e), 0);
	assert_int_equal(journal_holder_add(j, getpid(), 9, 17, "sleep well", &e), 0);
	assert_int_equal(journal_begin(j, 2, "pin", "/run/netns/c", &e), 0);

	/* as after kill -9: nothing was closed in order */
	again = journal_open(dir, "one", &e);
	assert_non_null(again);
	assert_int_equal(journal_n_entries(again), 2);
	je = journal_entry(again, 0);
	assert_true(je->done && !je->undone);
	assert_string_equal(journal_value(je, "path"), "/run/netns/a\nb\t5");
	assert_null(journal_value(je, "no such fact"));
	assert_false(journal_entry(again, 1)->done);
	assert_string_equal(journal_head(again)->db_path, "/x/a\tb.db");
	assert_int_equal(journal_head(again)->image, 3);
	assert_int_equal(journal_head(again)->pid, getpid());
	assert_false(journal_is_committed(again));
	assert_false(journal_is_other_boot(again));
	assert_int_equal(journal_n_holders(again), 1);
	assert_string_equal(journal_holder(again, 0)->comm, "sleep well");
	assert_true(
		process_is_alive(journal_holder(again, 0)->pid, journal_holder(again, 0)->start));
	assert_false(process_is_alive(getpid(), journal_holder(again, 0)->start + 1));

	assert_int_equal(journal_undone(again, 1, &e), 0);
	journal_free(again);
	assert_int_equal(journal_commit(j, &e), 0);
	again = journal_open(dir, "one", &e);
	assert_true(journal_entry(again, 0)->undone);
	assert_true(journal_is_committed(again));
	assert_int_equal(journal_list(dir, &names, &e), 0);
	assert_string_equal(names[0], "one");
	assert_null(names[1]);
	journal_list_free(names);
	assert_int_equal(journal_remove(again, &e), 0);
	journal_free(again);
	journal_free(j);
}

/* A line that was cut by the end of the writer, and files that are no journal. */
static const struct {
	const char *name, *text;
	enum err_code code; /* ERR_NONE: opens */
	size_t entries;
} files[] = {
	{"empty", "", ERR_FORMAT, 0},
	{"something else", "hello world\n", ERR_FORMAT, 0},
	{"later version", "nsimg-journal\t2\tx\tboot=b\tdb=d\tat=t\n", ERR_UNSUPPORTED, 0},
	{"no boot id", "nsimg-journal\t1\tx\tdb=d\tat=t\n", ERR_FORMAT, 0},
	{"a cut line", "nsimg-journal\t1\tx\tboot=b\tdb=d\tat=t\nbegin\t1\tpin\tp\nbegin\t2\tpi",
	 ERR_NONE, 1},
	{"unknown lines", "nsimg-journal\t1\tx\tboot=b\tdb=d\tat=t\nfuture\t1\nbegin\t1\tpin\tp\n",
	 ERR_NONE, 1},
	{"a broken escape", "nsimg-journal\t1\tx\tboot=b\tdb=d\tat=t\nbegin\t1\tpin\t\\q\n",
	 ERR_FORMAT, 0},
};

static void test_journal_files(void **state)
{
	char path[100];

	snprintf(path, sizeof(path), "%s/f.journal", dir);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		struct err e = ERR_INIT;
		FILE *f = fopen(path, "w");
		struct journal *j;

		fputs(files[i].text, f);
		fclose(f);
		j = journal_open(dir, "f", &e);
		if (e.code != files[i].code || !j != (files[i].code != ERR_NONE))
			fail_msg("%s: code %d (%s)", files[i].name, e.code, e.msg);
		if (j && (journal_n_entries(j) != files[i].entries || !journal_is_other_boot(j)))
			fail_msg("%s: %zu entries", files[i].name, journal_n_entries(j));
		journal_free(j);
	}
	unlink(path);
}

/* What somebody finds on disk now. */
static size_t entries_on_disk(const char *name)
{
	struct err e = ERR_INIT;
	struct journal *j = journal_open(dir, name, &e);
	size_t n = j ? journal_n_entries(j) : 0;

	assert_non_null(j);
	journal_free(j);
	return n;
}

/* A fact is on disk with all before it; and before the step that comes next, that its step is done. */
static void test_journal_waits(void **state)
{
	struct err e = ERR_INIT;
	struct journal *j = journal_new(dir, "waits", "x", 1, &e), *again;
	int work, fd;

	assert_non_null(j);
	assert_int_equal(journal_begin(j, 1, "route", "a", &e), 0);
	assert_int_equal(journal_done(j, 1, &e), 0);
	assert_int_equal(journal_begin(j, 2, "pin", "b", &e), 0);
	assert_int_equal(journal_note(j, 2, "row", &e, "%d", 7), 0);
	assert_int_equal(entries_on_disk("waits"), 0);
	assert_int_equal(journal_fact(j, 2, "path", &e, "b"), 0);
	assert_int_equal(entries_on_disk("waits"), 2);
	assert_int_equal(journal_done(j, 2, &e), 0);
	assert_int_equal(journal_begin(j, 3, "route", "c", &e), 0);
	again = journal_open(dir, "waits", &e);
	assert_int_equal(journal_n_entries(again), 3);
	assert_string_equal(journal_value(journal_entry(again, 1), "row"), "7");
	assert_true(journal_entry(again, 1)->done);
	journal_free(again);
	for (uint32_t i = 4; i < 10000; i++)
		assert_int_equal(journal_begin(j, i, "route", "d", &e), 0);
	assert_true(entries_on_disk("waits") > 5000);
	/* whoever keeps its descriptor is at work */
	work = journal_work(j, &e);
	fd = dup(work);
	close(work);
	journal_free(j);
	again = journal_open(dir, "waits", &e);
	assert_true(journal_is_in_work(again));
	close(fd);
	assert_false(journal_is_in_work(again));
	assert_int_equal(journal_remove(again, &e), 0);
	journal_free(again);
}

static void test_journal_names(void **state)
{
	static const char *const bad[] = {"", ".x", "a/b", "..", "../x"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err e = ERR_INIT;

		assert_null(journal_new(dir, bad[i], "d", 1, &e));
		assert_int_equal(e.code, ERR_USAGE);
	}
}

/* Rows as the database gives them, by name; where each is written. */
static struct sysctl_list *list_of(struct sysctl_rows *all, const char *const (*rows)[2], size_t n)
{
	struct err e = ERR_INIT;
	struct sysctl_list *list;

	for (size_t i = 0; i < n; i++)
		assert_non_null(sysctl_rows_add(all, rows[i][0], rows[i][1], &e));
	list = sysctl_rows_list(all, true, &e);
	assert_non_null(list);
	return list;
}

static void test_sysctl_rows(void **state)
{
	static const char *const one[][2] = {
		{"net/core/somaxconn", "4096"},
		{"net/ipv4/conf/all/rp_filter", "1"},
		{"net/ipv4/conf/eth\\xff/rp_filter", "2"},
		{"net/ipv4/conf/eth0/rp_filter", "2"},
		{"net/ipv4/ip_forward", "1"},
		{"net/ipv6/conf/eth0/addr_gen_mode", "1"},
		{"net/ipv6/conf/eth0/mtu", "1400"},
		{"net/netfilter/nf_hooks_lwtunnel", "1"},
	};
	/* one value is another */
	static const char *const other[][2] = {
		{"net/core/somaxconn", "128"},
		{"net/ipv4/conf/all/rp_filter", "1"},
	};
	static const char *const order[] = {
		"net/ipv4/ip_forward",
		"net/ipv4/conf/all/rp_filter",
		"net/ipv4/conf/eth\xff/rp_filter",
		"net/ipv4/conf/eth0/rp_filter",
		"net/ipv6/conf/eth0/mtu",
		"net/core/somaxconn",
	};
	struct err e = ERR_INIT;
	struct sysctl_rows *all = sysctl_rows_new(&e);
	const struct sysctl_list *a, *b, *c;

	assert_non_null(all);
	a = list_of(all, one, ARRAY_SIZE(one));
	assert_int_equal(a->n, ARRAY_SIZE(order));
	for (size_t i = 0; i < a->n; i++)
		assert_string_equal(a->items[i]->name, order[i]);
	assert_true(a->items[0]->spreads && !a->items[3]->spreads);
	assert_true(a->items[4]->when == SYSCTL_LATE && a->items[0]->when == SYSCTL_FIRST);
	assert_string_equal(a->items[3]->device, "eth0");
	assert_int_equal(a->items[3]->number, 2);
	assert_int_equal(a->items[1]->family, 0);
	assert_ptr_equal(list_of(all, one, ARRAY_SIZE(one)), a);
	b = list_of(all, other, ARRAY_SIZE(other));
	assert_int_equal(b->n, 2);
	assert_ptr_equal(b->items[0], a->items[1]);
	assert_string_equal(b->items[1]->value, "128");
	c = list_of(all, one, ARRAY_SIZE(one));
	for (size_t i = 0; i < c->n; i++)
		assert_ptr_equal(c->items[i], a->items[i]);
	assert_int_equal(sysctl_rows_add(all, "net/../kernel/x", "1", &e)->use, SYSCTL_NO_NAME);
	sysctl_rows_free(all);
}

/* Two namespaces, two tasks, and 3000 sockets of three kinds, every second one with an option that others have not. */
static const char many[] =
	"UPDATE edit_state SET importing = 1, op = -1;"
	"INSERT INTO image (id, name, format, source, source_kind, evidence, imported_at, "
	"imported_by, "
	"tool) VALUES (1, 'many', 'criu', '/', 'directory', '', '', '', '');"
	"INSERT INTO netns (id, image, ns_id, name) VALUES (1, 1, 1, 'a'), (2, 1, 2, 'b');"
	"INSERT INTO device (id, image, netns, ifindex, name, kind, flags) VALUES "
	"(1, 1, 1, 1, 'lo', 'loopback', 73), (2, 1, 2, 1, 'lo', 'loopback', 73);"
	"INSERT INTO task (id, image, pid, ppid, comm, state, files_id, netns) VALUES "
	"(1, 1, 10, 1, 'one', 1, 1, 1), (2, 1, 11, 1, 'two', 1, 2, 2);"
	"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) "
	"INSERT INTO socket (id, image, file_id, ino, netns, family, type, protocol, state, flags, "
	"so_mark, so_priority) SELECT i, 1, i, 5000 - i, 1 + i % 2, iif(i % 3, 2, 1), 1, "
	"iif(i % 3, 6, 0), iif(i % 3, 10, 7), 2, i % 2, i % 5 FROM n;"
	"INSERT INTO inet_socket (socket, src, src_port, dst, dst_port, backlog) "
	"SELECT id, '0.0.0.0', id, '0.0.0.0', 0, 8 FROM socket WHERE family = 2;"
	"INSERT INTO unix_socket (socket, name, peer) SELECT id, '', 0 FROM socket WHERE family = "
	"1;"
	"INSERT INTO fd (image, files_id, fd, file_id, type) "
	"SELECT 1, 1 + id % 2, id, file_id, 4 FROM socket";

static void plan_of(struct db *db, struct buf *json)
{
	static const struct restore_opts opts = {.root = "/", .prefix = ""};
	struct err e = ERR_INIT;
	auto_restore struct restore *r = NULL;
	struct plan *p = plan_new(db, 1, &e);

	if (!db || db_begin(db, &e) || !(r = restore_new(db, 1, &opts, &e)) || !p ||
	    build_plan(p, r, &e) || plan_print(p, PLAN_JSON, json, &e) || db_end(db, true, &e))
		fail_msg("%s", e.msg);
	plan_free(p);
}

/* A file is read by two threads where it has many sockets, a copy in memory by one. */
static void test_two_threads(void **state)
{
	auto_buf struct buf one = {0}, two = {0};
	auto_db struct db *made = NULL, *file = NULL, *copy = NULL;
	struct err e = ERR_INIT;
	char path[200];

	snprintf(path, sizeof(path), "%s/many.db", dir);
	made = db_open(path, DB_CREATE, &e);
	if (!made || db_exec(made, many, &e))
		fail_msg("%s", e.msg);
	file = db_open(path, DB_READ, &e);
	copy = file ? db_copy(file, &e) : NULL;
	plan_of(file, &two);
	plan_of(copy, &one);
	assert_string_equal((const char *)two.data, (const char *)one.data);
	assert_non_null(strstr((const char *)two.data, "\"listen\""));
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),         cmocka_unit_test(test_stage_decides),
		cmocka_unit_test(test_milestone),     cmocka_unit_test(test_cycle),
		cmocka_unit_test(test_formats),       cmocka_unit_test(test_stable),
		cmocka_unit_test(test_kinds),         cmocka_unit_test(test_journal),
		cmocka_unit_test(test_journal_files), cmocka_unit_test(test_journal_names),
		cmocka_unit_test(test_journal_waits), cmocka_unit_test(test_sysctl_rows),
		cmocka_unit_test(test_two_threads),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
