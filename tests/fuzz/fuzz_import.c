/* A folder of images with one file of any content, the way of a user: import, every look, plan, export. The
 * other files are good ones: of the folder NSIMG_FUZZ_BASE, or scenario/nested-veth of the corpus.
 *
 * What must hold: with --salvage the import succeeds whatever the content is, everything that prints does so,
 * and the folder comes out as it went in, byte for byte. The plan may fail, but only for a reason in the
 * image. Everything is made below /dev/shm and removed at the end.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "imgdb/commands.h"
#include "imgdb/export.h"
#include "inspect/commands.h"
#include "proto/img.h"
#include "restorer/commands.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FILES = 128, FILE_MAX = 1 << 20 };

struct base_file {
	char name[64];
	struct buf bytes;
};

/* Read once for all inputs. */
static struct base_file base[FILES];
static size_t n_base;
static char top[] = "/dev/shm/nsimg-fuzz-XXXXXX", image[64], database[64], out[64];
static FILE *sink;

static void fail(const char *what, const struct err *e)
{
	fprintf(stderr, "fuzz_import: %s: %s\n", what, e ? e->msg : "");
	abort();
}

static void clean_up(void)
{
	io_remove_tree(top, NULL);
	for (size_t i = 0; i < n_base; i++)
		buf_free(&base[i].bytes);
	if (sink)
		fclose(sink);
}

/* Files that become rows; memory pages and the like would only cost time. */
static bool is_wanted(const char *name)
{
	const struct img_type *t = img_type_of_name(name, NULL);

	return t && (t->flags & IMG_STORED);
}

static void read_base(const char *folder)
{
	auto_dir DIR *dir = opendir(folder);
	struct err e = ERR_INIT;
	struct dirent *d;

	while (dir && (d = readdir(dir)) && n_base < FILES) {
		struct base_file *f = &base[n_base];

		if (!is_wanted(d->d_name))
			continue;
		if (io_read_file(dirfd(dir), d->d_name, FILE_MAX, &f->bytes, &e))
			fail(folder, &e);
		snprintf(f->name, sizeof(f->name), "%.63s", d->d_name);
		n_base++;
	}
}

static void set_up(void)
{
	const char *folder = getenv("NSIMG_FUZZ_BASE"), *corpus = getenv("NSIMG_CORPUS");
	char text[4096];

	snprintf(text, sizeof(text), "%s/scenario/nested-veth",
		 corpus ? corpus : "../shared/corpus");
	read_base(folder ? folder : text);
	sink = fopen("/dev/null", "w");
	if (!sink || !mkdtemp(top))
		fail(top, NULL);
	atexit(clean_up);
	snprintf(image, sizeof(image), "%s/image", top);
	snprintf(database, sizeof(database), "%s/a.db", top);
	snprintf(out, sizeof(out), "%s/out", top);
}

/* The kind that the content says it is. Kinds without a magic are told by what they begin with. */
static const struct img_type *kind_of(const uint8_t *data, size_t size)
{
	uint32_t words[2] = {0, 0};
	const struct img_type *t;

	if (size)
		memcpy(words, data, size < sizeof(words) ? size : sizeof(words));
	t = img_type_of_magic(words[0]);
	if (!t)
		t = img_type_of_magic(words[1]);
	if (t && img_type_kind(t) == IMG_ROUTE && size > 20 && data[20] == 10) /* AF_INET6 */
		return img_type_get(IMG_ROUTE6);
	if (t)
		return t;
	if (size > 6 && data[5] == 1) /* nlmsg_type of nfnetlink: subsystem 1, ctnetlink */
		return img_type_get(IMG_NETNF_CT);
	return img_type_get(size && data[0] == '*' ? IMG_IPTABLES : IMG_NFTABLES);
}

/* The name of a file of that kind in the base, which one the size decides, or a name of its own. */
static void name_for(const uint8_t *data, size_t size, char *name, size_t max)
{
	const struct img_type *t = kind_of(data, size);
	size_t of_kind[FILES], n = 0;

	for (size_t i = 0; i < n_base; i++)
		if (img_type_of_name(base[i].name, NULL) == t)
			of_kind[n++] = i;
	if (n)
		snprintf(name, max, "%s", base[of_kind[size % n]].name);
	else if (!img_type_name(t, 1, name, max))
		fail(t->name, NULL);
}

static void write_image(const char *name, const uint8_t *data, size_t size)
{
	auto_close int dir = -1;
	struct err e = ERR_INIT;

	io_remove_tree(image, NULL);
	mkdir(image, 0700);
	dir = open(image, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < n_base; i++)
		if (io_write_file(dir, base[i].name, base[i].bytes.data, base[i].bytes.len, 0600,
				  &e))
			fail(base[i].name, &e);
	if (io_write_file(dir, name, data, size, 0600, &e))
		fail(name, &e);
}

#define RUN(cmd, ...) run(cmd, (const char *[]){#cmd, __VA_ARGS__, NULL})

static int run(const struct cmd *cmd, const char *const *words)
{
	struct err e = ERR_INIT;
	int argc = 0, rc;

	while (words[argc])
		argc++;
	rc = cli_run_cmd(cmd, argc, (char **)words, sink, &e);
	if (rc < 0 && (cmd != &cmd_plan || e.code == ERR_DB || e.code == ERR_NOMEM)) {
		fprintf(stderr, "%s %s: ", cmd->name, argc > 2 ? words[2] : "");
		fail("failed", &e);
	}
	if (rc < 0 && getenv("NSIMG_FUZZ_VERBOSE"))
		printf("%s\n", e.msg);
	return rc;
}

static void look(void)
{
	static const char *const tables[] = {"devices",    "addresses", "routes", "rules",
					     "neighbours", "sysctls",   "tasks",  "fds",
					     "firewall",   "conntrack"};

	RUN(&cmd_images, database);
	RUN(&cmd_tree, database);
	RUN(&cmd_sockets, database);
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		RUN(&cmd_show, database, tables[i]);
	RUN(&cmd_plan, database);
	RUN(&cmd_plan, database, "--format=json");
	RUN(&cmd_plan, database, "--format=ip");
}

static void compare(const char *name, struct span want)
{
	char path[256];
	auto_buf struct buf got = {0};
	struct err e = ERR_INIT;

	snprintf(path, sizeof(path), "%s/%s", out, name);
	if (io_read_file(AT_FDCWD, path, FILE_MAX, &got, &e))
		fail(name, &e);
	if (got.len != want.len || (got.len && memcmp(got.data, want.data, got.len)))
		fail("not what was imported", &(struct err){.msg = "see the export"});
}

static void export(const char *name, struct span bytes)
{
	const struct export_opts opts = {.force = false};
	struct err e = ERR_INIT;
	struct db *db = db_open(database, DB_READ, &e);

	io_remove_tree(out, NULL);
	if (!db || export_image(db, 1, out, &opts, &e))
		fail("export", &e);
	db_free(db);
	for (size_t i = 0; i < n_base; i++)
		if (strcmp(base[i].name, name))
			compare(base[i].name, buf_span(&base[i].bytes));
	compare(name, bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char name[64];

	if (!sink)
		set_up();
	if (size > FILE_MAX)
		return 0;
	name_for(data, size, name, sizeof(name));
	if (!is_wanted(name))
		return 0;
	write_image(name, data, size);
	unlink(database);
	RUN(&cmd_import, database, image, "--salvage");
	look();
	export(name, (struct span){data, size});
	return 0;
}
