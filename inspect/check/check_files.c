/* References that are in files of which no table has rows: the memory of tasks, and open files that are no network state.
 * They are looked for in the bytes of these files. */
#include <inttypes.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/u64map.h"
#include "inspect/check/check.h"
#include "proto/img.h"
#include "proto/pagemap.h"
#include "proto/wire.h"

/* Of a query: the file that is read. */
enum { COL_ID, COL_NAME, COL_CONTENT };

/* The next record of a file. Damage has a finding of its own: a file counts as far as it can be read. */
static int next_record(struct img_reader *r, struct img_record *rec, struct err *e)
{
	int rc = img_read_next(r, rec, e);

	if (rc >= 0 || e->code != ERR_FORMAT)
		return rc;
	*e = (struct err)ERR_INIT;
	return 0;
}

/* false: the file cannot be read at all. */
static bool begin(struct img_reader *r, const struct query *q)
{
	struct err ignored = ERR_INIT;
	const char *name = query_text(q, COL_NAME);
	uint64_t number;
	const struct img_type *type = img_type_of_name(name, &number);

	return type && !img_read_begin(r, type, name, query_blob(q, COL_CONTENT), &ignored);
}

/* ---- descriptors ---- */

/* The numbers are those of fd_types. An image of CRIU has every open file, and before CRIU 3.4 each kind in a file of its
 * own; the last column is the file to be looked for there. Descriptors of a terminal's control and of autofs have ids of
 * other things. */
#define ABSENT(types, tbl)                                                                         \
	"(f.type IN (" types ") AND NOT EXISTS (SELECT 1 FROM " tbl " s WHERE s.image = f.image "  \
	"AND s.file_id = f.file_id))"
const char check_ref_file_reads[] =
	"SELECT f.id, 'file ' || f.file_id || CASE f.type WHEN 14 THEN ' (namespace)' WHEN 15 THEN "
	"' (tun)' ELSE ' (socket)' END, NULL FROM fd f WHERE f.image = :image AND "
	"(" ABSENT("4, 5, 10, 13", "socket") " OR " ABSENT("14", "ns_file") " OR " ABSENT(
		"15", "tun_file") ") UNION ALL SELECT f.id, 'file ' || f.file_id || CASE f.type "
				  "WHEN 1 THEN ' (regular)' WHEN 2 THEN ' (pipe)' WHEN 3 THEN ' "
				  "(fifo)' ELSE '' END, f.file_id FROM fd f WHERE f.image = "
				  ":image AND f.type BETWEEN 1 AND 20 AND f.type NOT IN (4, 5, 10, "
				  "13, 14, 15) AND (SELECT format = 'criu' FROM image WHERE id = "
				  ":image)";

/* Larger files are not read: false in *all. */
#define FILE_KINDS                                                                                 \
	"'FILES', 'REG_FILES', 'EXT_FILES', 'EVENTFD_FILE', 'EVENTPOLL_FILE', 'SIGNALFD', "        \
	"'INOTIFY_FILE', 'FANOTIFY_FILE', 'PIPES', 'FIFO', 'TTY_FILES', 'TIMERFD', 'BPFMAP_FILE'"
static const char files[] =
	"SELECT id, name, CASE WHEN size <= 16777216 THEN content END, kind = "
	"'FILES' FROM image_file WHERE image = :image AND kind IN (" FILE_KINDS ")";

static int read_ids(const struct query *q, struct u64map *ids, struct err *e)
{
	/* file_entry.id; of the other messages the field id is the first */
	uint32_t field = query_int(q, 3) ? 2 : 1;
	struct img_reader r;
	struct img_record rec;
	uint64_t id;
	int rc;

	if (!begin(&r, q))
		return 0;
	while ((rc = next_record(&r, &rec, e)) == 1) {
		struct err ignored = ERR_INIT;

		if (wire_find_number(rec.msg, field, &id, &ignored) >= 0 &&
		    u64map_put(ids, id, 1, e))
			return -1;
	}
	return rc;
}

/* What the image has of open files: their ids. all: every such file could be read. */
static int ids_of(struct db *db, int64_t image, struct u64map *ids, bool *all, struct err *e)
{
	auto_query struct query *q = query_new(db, files, e);
	int rc;

	*all = true;
	if (!q || query_bind_int(q, "image", image, e))
		return -1;
	while ((rc = query_next(q, e)) == 1) {
		if (query_is_null(q, COL_CONTENT))
			*all = false;
		else if (read_ids(q, ids, e))
			return -1;
	}
	return rc;
}

int check_ref_file(struct check_list *list, struct db *db, int64_t image, struct err *e)
{
	__attribute__((cleanup(u64map_free))) struct u64map ids = {0};
	auto_query struct query *q = query_new(db, check_ref_file_reads, e);
	uint32_t there;
	bool all;
	int rc;

	if (!q || query_bind_int(q, "image", image, e) || ids_of(db, image, &ids, &all, e))
		return -1;
	while ((rc = query_next(q, e)) == 1) {
		if (!query_is_null(q, 2) &&
		    (!all || u64map_find(&ids, (uint64_t)query_int(q, 2), &there)))
			continue;
		if (check_add(list, "fd", query_int(q, 0), query_text(q, 1), e))
			return -1;
	}
	return rc;
}

/* ---- memory ---- */

const char check_pages_reads[] =
	"SELECT f.id, f.name, f.content, (SELECT count(*) FROM image_file p WHERE p.image = :image "
	"AND p.kind = 'PAGES') FROM image_file f WHERE f.image = :image AND f.kind IN ('PAGEMAP', "
	"'SHMEM_PAGEMAP') AND f.content IS NOT NULL ORDER BY f.id";
static const char has_pages[] = "SELECT 1 FROM image_file WHERE image = :image AND kind = 'PAGES' "
				"AND number = :number";

/* Are pages of a pagemap needed, and of which file? */
static int needed_pages(const struct query *q, uint64_t *number, bool *needed, struct err *e)
{
	struct img_reader r;
	struct img_record rec;
	uint64_t n;
	int rc = 0;

	*needed = false;
	if (!begin(&r, q))
		return 0;
	while (!*needed && (rc = next_record(&r, &rec, e)) == 1) {
		struct err damage = ERR_INIT;

		if (rec.no == 0) {
			if (pagemap_file(rec.msg, number, &damage))
				return 0;
		} else if (pagemap_pages(rec.msg, needed, &n, &damage)) {
			*needed = false;
		}
	}
	return rc < 0 ? -1 : 0;
}

/* 1: the pages of the file that q stands on are not there. */
static int lacks_pages(struct query *q, struct query *has, int64_t image, uint64_t *number,
		       struct err *e)
{
	bool needed;
	int rc;

	if (needed_pages(q, number, &needed, e))
		return -1;
	if (!needed)
		return 0;
	if (query_bind_int(has, "image", image, e) ||
	    query_bind_int(has, "number", (int64_t)*number, e))
		return -1;
	rc = query_next(has, e);
	return rc < 0 || query_reset(has, e) ? -1 : !rc;
}

/* none: look whether no file with pages is there at all, which is one finding. */
static int look_for_pages(struct check_list *list, struct db *db, int64_t image, bool none,
			  struct err *e)
{
	auto_query struct query *q = query_new(db, check_pages_reads, e);
	auto_query struct query *has = query_new(db, has_pages, e);
	int rc;

	if (!q || !has || query_bind_int(q, "image", image, e))
		return -1;
	while ((rc = query_next(q, e)) == 1 && none == !query_int(q, 3)) {
		uint64_t number = 0;
		char what[64];
		int lacks = lacks_pages(q, has, image, &number, e);

		if (lacks < 0)
			return -1;
		snprintf(what, sizeof(what), "there is no pages-%" PRIu64 ".img", number);
		if (lacks && check_add(list, "image_file", query_int(q, COL_ID), what, e))
			return -1;
		if (lacks && none)
			break;
	}
	return rc < 0 ? -1 : 0;
}

int check_ref_pages(struct check_list *list, struct db *db, int64_t image, struct err *e)
{
	return look_for_pages(list, db, image, false, e);
}

int check_no_pages(struct check_list *list, struct db *db, int64_t image, struct err *e)
{
	return look_for_pages(list, db, image, true, e);
}
