#include "imgdb/import.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/hash.h"
#include "base/who.h"
#include "imgdb/import_int.h"

enum { FILES_MAX = 1 << 22 };

static const char *const table_names[T_COUNT] = {
	[T_DEVICE] = "device",
	[T_ADDRESS] = "address",
	[T_ROUTE] = "route",
	[T_RULE] = "rule",
	[T_NEIGHBOUR] = "neighbour",
	[T_NEXTHOP] = "nexthop",
	[T_TC] = "traffic_control",
	[T_CONNTRACK] = "conntrack",
	[T_IMAGE_FACT] = "image_fact",
	[T_ENGINE_FILE] = "engine_file",
	[T_NOTE] = "note",
	[T_IMAGE_FILE] = "image_file",
	[T_USERNS] = "userns",
	[T_NETNS] = "netns",
	[T_NSID] = "nsid",
	[T_SYSCTL] = "sysctl",
	[T_FIREWALL] = "firewall",
	[T_TASK] = "task",
	[T_THREAD] = "thread",
	[T_FD] = "fd",
	[T_SOCKET] = "socket",
	[T_INET] = "inet_socket",
	[T_UNIX] = "unix_socket",
	[T_NETLINK] = "netlink_socket",
	[T_PACKET] = "packet_socket",
	[T_TCP] = "tcp_stream",
	[T_QUEUE] = "socket_queue",
	[T_TUN] = "tun_file",
	[T_NS_FILE] = "ns_file",
};

/* ---- rows ---- */

void import_origin(struct import *im, enum import_table t, struct sql_row *row,
		   const struct img_record *rec)
{
	const struct sql_table *table = &im->table[t];

	sql_set_int(row, table->image, im->image);
	if (im->cur)
		sql_set_int(row, table->file, im->cur->id);
	if (rec) {
		sql_set_int(row, table->rec, rec->no);
		sql_set_int(row, table->off, (int64_t)rec->off);
	}
	if (im->cur_netns)
		sql_set_int(row, table->netns, im->cur_netns);
}

int import_insert(struct import *im, enum import_table t, const struct sql_row *row, struct err *e)
{
	return sql_table_insert(&im->table[t], row, e);
}

int import_set_str(struct sql_row *row, const struct sql_table *t, const char *column,
		   const char *text, struct err *e)
{
	return sql_set_escaped(row, sql_column_find(t, column),
			       (struct span){(const uint8_t *)text, strlen(text)}, e);
}

int import_note(struct import *im, const struct img_record *rec, const char *kind,
		const char *object, const char *reason, struct err *e)
{
	struct sql_table *t = &im->table[T_NOTE];
	auto_buf struct buf text = {0};
	struct sql_row row = {.text = &text};

	sql_row_clear(&row, t);
	import_origin(im, T_NOTE, &row, rec);
	if (import_set_str(&row, t, "kind", kind, e) ||
	    import_set_str(&row, t, "object", object, e) ||
	    import_set_str(&row, t, "reason", reason, e))
		return -1;
	return import_insert(im, T_NOTE, &row, e);
}

int import_fact(struct import *im, const char *key, struct span value, struct err *e)
{
	struct sql_table *t = &im->table[T_IMAGE_FACT];
	auto_buf struct buf text = {0};
	struct sql_row row = {.text = &text};

	sql_row_clear(&row, t);
	import_origin(im, T_IMAGE_FACT, &row, NULL);
	if (import_set_str(&row, t, "key", key, e) ||
	    sql_set_escaped(&row, sql_column_find(t, "value"), value, e))
		return -1;
	return import_insert(im, T_IMAGE_FACT, &row, e);
}

int import_image_set(struct import *im, const char *column, const struct sql_cell *v,
		     const struct sql_row *row, struct err *e)
{
	auto_query struct query *q = NULL;
	auto_buf struct buf text = {0};
	char sql[100];
	struct span b;
	int rc;

	snprintf(sql, sizeof(sql), "UPDATE image SET \"%s\" = :v WHERE id = :image", column);
	q = query_new(im->db, sql, e);
	if (!q || query_bind_int(q, "image", im->image, e))
		return -1;
	if (v->type == QUERY_INT) {
		rc = query_bind_int(q, "v", v->num, e);
	} else {
		b = sql_cell_bytes(row, v);
		rc = buf_add(&text, b.data, b.len, e) || buf_add(&text, "", 1, e) ||
		     query_bind_text(q, "v", (const char *)text.data, e);
	}
	return rc ? -1 : query_next(q, e);
}

static int image_set_text(struct import *im, const char *column, const char *text, struct err *e)
{
	struct sql_row row = {.text = NULL};

	sql_set_lent(&row, 0, QUERY_TEXT, (struct span){(const uint8_t *)text, strlen(text)});
	return import_image_set(im, column, &row.cell[0], &row, e);
}

/* A namespace that has no netns image of its own: of an older or damaged image, or one that the image only
 * refers to (resolve.sql tells which). */
static int add_implied_netns(struct import *im, uint64_t number, int64_t id, struct err *e)
{
	struct sql_table *t = &im->table[T_NETNS];
	auto_buf struct buf text = {0};
	struct sql_row row = {.text = &text};
	char name[32];

	sql_row_clear(&row, t);
	sql_set_int(&row, 0, id);
	sql_set_int(&row, t->image, im->image);
	sql_set_int(&row, sql_column_find(t, "ns_id"), (int64_t)number);
	snprintf(name, sizeof(name), "ns%" PRIu64, number);
	if (import_set_str(&row, t, "name", name, e))
		return -1;
	sql_row_complete(&row, t);
	return import_insert(im, T_NETNS, &row, e);
}

int import_netns_find(struct import *im, uint64_t number, int64_t *row, struct err *e)
{
	uint32_t index;

	if (u64map_find(&im->netns, number, &index)) {
		*row = index;
		return 0;
	}
	*row = im->next_netns++;
	if (u64map_put(&im->netns, number, (uint32_t)*row, e))
		return -1;
	return add_implied_netns(im, number, *row, e);
}

/* ---- the folder ---- */

static int by_name(const void *a, const void *b)
{
	/* numbers count as numbers: netns-9 before netns-10 */
	return strverscmp(((const struct import_file *)a)->name,
			  ((const struct import_file *)b)->name);
}

void import_sort(struct import *im)
{
	if (im->n_files)
		qsort(im->file, im->n_files, sizeof(im->file[0]), by_name);
}

int import_file_add(struct import *im, const char *name, uint64_t size, unsigned mode,
		    struct err *e)
{
	struct import_file *f;

	if (im->n_files == FILES_MAX)
		return err_set(e, ERR_RANGE, "%s: more than %d files", im->source, FILES_MAX);
	if (im->n_files == im->cap_files) {
		size_t cap = im->cap_files ? im->cap_files * 2 : 64;

		f = reallocarray(im->file, cap, sizeof(*f));
		if (!f)
			return err_set(e, ERR_NOMEM, "out of memory");
		im->file = f;
		im->cap_files = cap;
	}
	f = &im->file[im->n_files];
	*f = (struct import_file){.name = strdup(name), .n_records = -1};
	if (!f->name)
		return err_set(e, ERR_NOMEM, "out of memory");
	f->type = img_type_of_name(name, &f->number);
	f->size = size;
	f->mode = mode & 07777;
	im->n_files++;
	return 0;
}

/* Is it an image at all? Its inventory says so; salvage takes any file of a kind we know. */
static int check_is_image(const struct import *im, struct err *e)
{
	auto_buf struct buf below = {0};
	size_t n_known = 0;
	int rc;

	for (size_t i = 0; i < im->n_files; i++) {
		if (im->file[i].type && im->file[i].type->magic)
			n_known++;
		if (im->file[i].type && img_type_kind(im->file[i].type) == IMG_INVENTORY)
			return 0;
	}
	rc = im->arc ? 0 : import_find_below(im, &below, e);
	if (rc < 0)
		return -1;
	if (rc)
		return err_set(e, ERR_FORMAT,
			       "%s is no checkpoint image, but has one in it: import %s/%s",
			       im->source, im->source, (const char *)below.data);
	if (!n_known)
		return err_set(e, ERR_FORMAT,
			       "%s is no checkpoint image: it has no inventory.img, nor any other "
			       "image file",
			       im->source);
	if (im->opts->salvage)
		return 0;
	return err_set(
		e, ERR_FORMAT,
		"%s has no inventory.img, so the image is not complete (--salvage imports the %zu "
		"image files that are there)",
		im->source, n_known);
}

/* The namespace of the root task, where the inventory does not say it: that of the first task. */
static int guess_root(struct import *im, struct err *e)
{
	auto_query struct query *q = NULL;
	int rc;

	if (im->root_ns >= 0)
		return 0;
	q = query_new(im->db,
		      "SELECT ns_id FROM task WHERE image = :image AND ns_id IS NOT NULL "
		      "ORDER BY id LIMIT 1",
		      e);
	if (!q || query_bind_int(q, "image", im->image, e))
		return -1;
	rc = query_next(q, e);
	if (rc == 1)
		im->root_ns = query_int(q, 0);
	return rc < 0 ? -1 : 0;
}

/* Files of the kinds with rows in the order of the table, then all others. */
static int import_files_all(struct import *im, struct err *e)
{
	for (size_t k = 0; k <= import_n_kinds; k++) {
		if (k < import_n_kinds && import_kinds[k].kind == IMG_NETDEV && guess_root(im, e))
			return -1;
		for (size_t i = 0; i < im->n_files; i++) {
			struct import_file *f = &im->file[i];
			const struct import_kind *row = import_kind_of(f);

			if (k < import_n_kinds ? row == &import_kinds[k] : !row)
				if (import_file_read(im, f, e))
					return -1;
		}
	}
	return 0;
}

/* ---- the image ---- */

static int next_id(struct import *im, const char *table, int64_t *id, struct err *e)
{
	auto_query struct query *q = NULL;
	char sql[80];

	snprintf(sql, sizeof(sql), "SELECT coalesce(max(id), 0) + 1 FROM %s", table);
	q = query_new(im->db, sql, e);
	if (!q || query_next(q, e) < 0)
		return -1;
	*id = query_int(q, 0);
	return 0;
}

static int reserve_ids(struct import *im, struct err *e)
{
	return next_id(im, "image", &im->image, e) ||
			       next_id(im, "image_file", &im->next_file, e) ||
			       next_id(im, "netns", &im->next_netns, e) ||
			       next_id(im, "socket", &im->next_socket, e) ||
			       next_id(im, "task", &im->next_task, e)
		       ? -1
		       : 0;
}

/* Files of a folder are numbered by name; those of an archive have the order of its members already. */
static int number_files(struct import *im, struct err *e)
{
	import_sort(im);
	for (size_t i = 0; i < im->n_files; i++) {
		struct import_file *f = &im->file[i];
		uint32_t there;

		if (!f->id)
			f->id = im->next_file++;
		if (!f->type || img_type_kind(f->type) != IMG_NETNS)
			continue;
		/* "netns-1.img" and "netns-01.img": the later one is about the same namespace */
		if (!u64map_find(&im->netns, f->number, &there) &&
		    u64map_put(&im->netns, f->number, (uint32_t)im->next_netns++, e))
			return -1;
	}
	return im->next_netns > UINT32_MAX
		       ? err_set(e, ERR_RANGE, "too many namespaces in one database")
		       : 0;
}

static int open_tables(struct import *im, struct err *e)
{
	for (int i = 0; i < T_COUNT; i++)
		if (sql_table_open(&im->table[i], im->db, table_names[i], e))
			return -1;
	for (int i = 0; i < MAP_COUNT; i++) {
		struct sql_table *main_table = NULL, *family = NULL;

		for (int t = 0; t < T_COUNT; t++) {
			if (!strcmp(table_names[t], map_tables[i].table))
				main_table = &im->table[t];
			if (map_tables[i].family_table &&
			    !strcmp(table_names[t], map_tables[i].family_table))
				family = &im->table[t];
		}
		if (map_open(&im->map[i], (enum map_id)i, main_table, family, e))
			return -1;
	}
	for (int t = 0; t < RTA_TABLE_COUNT; t++)
		for (size_t i = 0; i < SQL_COLUMNS_MAX && rta_column((enum rta_table)t, i); i++) {
			im->rta_col[t][i] =
				sql_column_find(&im->table[t], rta_column((enum rta_table)t, i));
			if (im->rta_col[t][i] < 0)
				return err_set(e, ERR_DB, "the table %s has no column %s",
					       table_names[t], rta_column((enum rta_table)t, i));
		}
	return 0;
}

/* The last folder of the path that says something. */
static void image_name(const char *path, char *name, size_t size)
{
	size_t end = strlen(path), start;

	while (end > 1 && path[end - 1] == '/')
		end--;
	for (start = end; start > 0 && path[start - 1] != '/'; start--)
		;
	snprintf(name, size, "%.*s", (int)(end - start), path + start);
}

/* Where the image comes from, and under which name it is known. */
static int origin_text(const struct import *im, struct buf *name, struct buf *source, struct err *e)
{
	auto_free char *real = realpath(im->source, NULL);
	const char *path = real ? real : im->source, *live = im->opts->live;
	char last[256];

	image_name(path, last, sizeof(last));
	if (live)
		return escape_add(name, live, strlen(live), e) ||
				       buf_add_str(source, "nsimg dump ", e) ||
				       escape_add(source, live, strlen(live), e)
			       ? -1
			       : 0;
	return escape_add(name, last, strlen(last), e) || escape_add(source, path, strlen(path), e)
		       ? -1
		       : 0;
}

static int insert_image(struct import *im, struct err *e)
{
	auto_query struct query *q = query_new(
		im->db,
		"INSERT INTO image (id, name, format, source, source_kind, evidence, imported_at, "
		"imported_by, tool) VALUES (:id, :name, 'criu', :source, :kind, '', "
		"strftime('%Y-%m-%dT%H:%M:%SZ', 'now'), :who, 'nsimg " NSIMG_VERSION "')",
		e);
	auto_buf struct buf name = {0}, source = {0};
	const char *kind = im->opts->live ? "live" : im->arc ? "archive" : "directory";
	char who[400];

	who_and_where(who, sizeof(who));
	if (!q || origin_text(im, &name, &source, e) || query_bind_int(q, "id", im->image, e) ||
	    query_bind_text(q, "name", name.data ? (const char *)name.data : "", e) ||
	    query_bind_text(q, "source", (const char *)source.data, e) ||
	    query_bind_text(q, "kind", kind, e) || query_bind_text(q, "who", who, e))
		return -1;
	return query_next(q, e);
}

/* The fingerprint of the whole: names, sizes and hashes in the order of the names. */
static int evidence(struct import *im, char hex[65], struct err *e)
{
	auto_hash struct hash *h = hash_new(e);
	char line[128];

	if (!h)
		return -1;
	for (size_t i = 0; i < im->n_files; i++) {
		const struct import_file *f = &im->file[i];

		snprintf(line, sizeof(line), "%" PRIu64 " %s\n", f->size, f->sha256);
		if (hash_update(h, f->name, strlen(f->name) + 1, e) ||
		    hash_update(h, line, strlen(line), e))
			return -1;
	}
	return hash_final(h, hex, e);
}

/* An image whose evidence (of an archive, as a whole) is hex, other than this one, is an error. */
static int check_again(struct import *im, const char *hex, bool is_archive, struct err *e)
{
	auto_query struct query *q = query_new(
		im->db,
		is_archive
			? "SELECT id, name FROM image WHERE id <> :image AND id IN (SELECT image "
			  "FROM "
			  "image_fact WHERE key = 'archive.sha256' AND value = :evidence)"
			: "SELECT id, name FROM image WHERE evidence = :evidence AND id <> :image",
		e);
	int rc;

	if (!q || query_bind_text(q, "evidence", hex, e) ||
	    query_bind_int(q, "image", im->image, e))
		return -1;
	rc = query_next(q, e);
	if (rc <= 0 || im->opts->again)
		return rc < 0 ? -1 : 0;
	return err_set(e, ERR_EXISTS,
		       "%s is in the database already, as image %lld (%s): same files, same hashes "
		       "(--again imports it once more)",
		       im->source, (long long)query_int(q, 0), query_text(q, 1));
}

/* resolve.sql, statement by statement. */
static int resolve(struct import *im, struct err *e)
{
	sqlite3 *h = db_handle(im->db);
	const char *sql = embed_resolve_sql;

	while (*sql) {
		sqlite3_stmt *s = NULL;
		int rc = sqlite3_prepare_v2(h, sql, -1, &s, &sql), i;

		if (rc == SQLITE_OK && s) {
			i = sqlite3_bind_parameter_index(s, ":image");
			if (i)
				sqlite3_bind_int64(s, i, im->image);
			i = sqlite3_bind_parameter_index(s, ":root");
			if (i && im->root_ns >= 0)
				sqlite3_bind_int64(s, i, im->root_ns);
			rc = sqlite3_step(s);
			rc = rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
		}
		sqlite3_finalize(s);
		if (rc != SQLITE_OK)
			return db_err(h, rc, e, "resolve references");
	}
	return 0;
}

static int note_unknown(struct import *im, struct err *e)
{
	for (size_t i = 0; i < im->n_files; i++) {
		char reason[120];

		if (!im->file[i].n_unknown)
			continue;
		im->cur = &im->file[i];
		snprintf(reason, sizeof(reason),
			 "%u fields that this version does not know are kept as they are",
			 im->file[i].n_unknown);
		if (import_note(im, NULL, "unknown", im->file[i].name, reason, e))
			return -1;
		im->cur = NULL;
	}
	return 0;
}

static int finish(struct import *im, struct err *e)
{
	char hex[65];

	if (evidence(im, hex, e) || check_again(im, hex, false, e) ||
	    image_set_text(im, "evidence", hex, e) ||
	    image_set_text(im, "format", im->is_ours ? "nsimg" : "criu", e))
		return -1;
	if (im->root_ns >= 0) {
		const struct sql_cell c = {.type = QUERY_INT, .num = im->root_ns};

		if (import_image_set(im, "root_ns_id", &c, NULL, e))
			return -1;
	}
	return note_unknown(im, e) ? -1 : resolve(im, e);
}

/* A batch that was broken off is started again: what came from this path already is told by its hashes, before
 * anything is loaded. Files that changed since then are another image. */
static int check_source(struct import *im, struct err *e)
{
	auto_query struct query *q =
		query_new(im->db, "SELECT 1 FROM image WHERE source = :source LIMIT 1", e);
	auto_buf struct buf name = {0}, source = {0};
	auto_arc_reader struct arc_reader *arc = NULL;
	struct stat st;
	char hex[65];
	uint64_t size;
	int rc;

	/* what comes through a pipe can be read once only */
	if (im->opts->again || im->opts->live || stat(im->source, &st) || S_ISFIFO(st.st_mode))
		return 0;
	if (!q || origin_text(im, &name, &source, e) ||
	    query_bind_text(q, "source", (const char *)source.data, e))
		return -1;
	rc = query_next(q, e);
	if (rc <= 0)
		return rc;
	if (!im->arc) {
		for (size_t i = 0; i < im->n_files; i++)
			if (import_file_hash(im, &im->file[i], e))
				return -1;
		return evidence(im, hex, e) || check_again(im, hex, false, e) ? -1 : 0;
	}
	arc = arc_open(im->source, false, e);
	return !arc || arc_digest(arc, hex, &size, e) || check_again(im, hex, true, e) ? -1 : 0;
}

/* Indexes are made after the load where nothing else is in the database (10 to 20 % faster), but for those
 * that the load itself looks into. */
static int take_indexes(struct import *im, struct buf *sql, struct err *e)
{
	auto_query struct query *q = query_new(
		im->db,
		"SELECT 'DROP INDEX ' || name, sql || ';' FROM sqlite_schema WHERE type = 'index' "
		"AND "
		"sql IS NOT NULL AND tbl_name NOT IN ('task', 'thread', 'netns', 'nsid', 'image') "
		"AND NOT EXISTS (SELECT 1 FROM image)",
		e);
	auto_buf struct buf drop = {0};
	int rc;

	if (!q)
		return -1;
	while ((rc = query_next(q, e)) == 1)
		if (buf_printf(&drop, e, "%s;", query_text(q, 0)) ||
		    buf_add_str(sql, query_text(q, 1), e))
			return -1;
	if (rc < 0 || !drop.len)
		return rc;
	return db_exec(im->db, (const char *)drop.data, e);
}

static void free_import(struct import *im)
{
	for (int i = 0; i < T_COUNT; i++)
		sql_table_close(&im->table[i]);
	for (int i = 0; i < MAP_COUNT; i++)
		map_close(&im->map[i]);
	for (size_t i = 0; i < im->n_files; i++) {
		free(im->file[i].name);
		free(im->file[i].damage);
		free(im->file[i].link);
	}
	free(im->file);
	map_row_free(&im->row);
	manifest_free(&im->manifest);
	u64map_free(&im->netns);
	query_free(im->member_insert);
	query_free(im->task_update);
	query_free(im->thread_update);
	if (im->dirfd >= 0)
		close(im->dirfd);
	if (im->spoolfd >= 0)
		close(im->spoolfd);
	arc_free(im->arc);
}

static int import_all(struct import *im, struct err *e)
{
	auto_buf struct buf indexes = {0};

	if (take_indexes(im, &indexes, e) || open_tables(im, e) || reserve_ids(im, e) ||
	    insert_image(im, e) || (im->arc ? import_members(im, e) : import_folder(im, e)) ||
	    check_is_image(im, e) || number_files(im, e) || import_manifest(im, e) ||
	    import_files_all(im, e))
		return -1;
	progress_clear(im->opts->progress);
	progress_say(im->opts->progress, im->n_files, im->n_files, "indexes");
	if (indexes.len && db_exec(im->db, (const char *)indexes.data, e))
		return -1;
	progress_clear(im->opts->progress);
	progress_say(im->opts->progress, im->n_files, im->n_files, "references");
	return finish(im, e);
}

/* The indexes are sorted in memory of a bounded size and in temporary files (vdbesort.c; in memory alone it has no
 * bound), which SQLite unlinks as soon as it has opened them, in the folder of the database: a command in the sandbox
 * may write there. Not for a database in memory. */
static int sort_in_files(struct db *db, struct err *e)
{
	const char *path = sqlite3_db_filename(db_handle(db), "main");
	const char *slash = path ? strrchr(path, '/') : NULL;

	if (!slash)
		return 0;
	sqlite3_temp_directory =
		sqlite3_mprintf("%.*s", slash == path ? 1 : (int)(slash - path), path);
	if (!sqlite3_temp_directory)
		return err_set(e, ERR_NOMEM, "folder for temporary files");
	return db_exec(db, "PRAGMA temp_store = FILE", e);
}

static void sort_in_memory(struct db *db)
{
	struct err ignored = ERR_INIT;

	db_exec(db, "PRAGMA temp_store = MEMORY", &ignored);
	sqlite3_free(sqlite3_temp_directory);
	sqlite3_temp_directory = NULL;
}

static int run_in_transaction(struct import *im, struct err *e)
{
	sqlite3 *h = db_handle(im->db);
	int rc;

	if (db_begin(im->db, e))
		return -1;
	/* the edit log is about edits; an import is none */
	sqlite3_db_config(h, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	rc = import_all(im, e);
	sqlite3_db_config(h, SQLITE_DBCONFIG_ENABLE_TRIGGER, 1, NULL);
	return db_end(im->db, !rc, e) || rc ? -1 : 0;
}

static int run_import(struct import *im, int64_t *image, struct err *e)
{
	int rc = sort_in_files(im->db, e) || run_in_transaction(im, e) ? -1 : 0;

	sort_in_memory(im->db);
	if (!rc)
		*image = im->image;
	return rc;
}

int import_dir(struct db *db, const char *path, const struct import_opts *opts, int64_t *image,
	       struct err *e)
{
	__attribute__((cleanup(free_import))) struct import im = {
		.db = db, .opts = opts, .source = path, .root_ns = -1, .spoolfd = -1};

	im.dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (im.dirfd < 0)
		return err_sys(e, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, "open %s", path);
	return import_list(&im, e) || check_source(&im, e) ? -1 : run_import(&im, image, e);
}

int import_archive(struct db *db, const char *path, const struct import_opts *opts, int64_t *image,
		   struct err *e)
{
	__attribute__((cleanup(free_import))) struct import im = {
		.db = db, .opts = opts, .source = path, .root_ns = -1, .dirfd = -1, .spoolfd = -1};

	im.arc = arc_open(path, opts->salvage, e);
	return !im.arc || check_source(&im, e) ? -1 : run_import(&im, image, e);
}

int import_any(struct db *db, const char *path, const struct import_opts *opts, int64_t *image,
	       struct err *e)
{
	struct stat st;

	if (stat(path, &st))
		return err_sys(e, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, "open %s", path);
	return (S_ISDIR(st.st_mode) ? import_dir : import_archive)(db, path, opts, image, e);
}
