/* Records of the image as a whole, of tasks and of descriptors. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "criu/core.pb-c.h"
#include "criu/inventory.pb-c.h"
#include "criu/nsimg.pb-c.h"
#include "criu/pstree.pb-c.h"
#include "imgdb/import_int.h"
#include "proto/pagemap.h"

/* ---- inventory.img, nsimg.img ---- */

static int set_number(struct import *im, const char *column, uint64_t v, struct err *e)
{
	const struct sql_cell c = {.type = QUERY_INT, .num = (int64_t)v};

	return import_image_set(im, column, &c, NULL, e);
}

static int set_text(struct import *im, const char *column, struct span v, struct err *e)
{
	struct sql_row row = {.text = &im->row.text};

	if (sql_set_escaped(&row, 0, v, e))
		return -1;
	return import_image_set(im, column, &row.cell[0], &row, e);
}

/* What the inventory says beyond the columns, as facts by field name. */
static int other_facts(struct import *im, struct span msg, struct err *e)
{
	static const char *const columns[] = {"img_version", "network_lock_method"};
	const ProtobufCMessageDescriptor *desc = &inventory_entry__descriptor;

	for (unsigned i = 0; i < desc->n_fields; i++) {
		const ProtobufCFieldDescriptor *fd = &desc->fields[i];
		struct wire_value v;
		char key[64], text[24];
		int rc;

		if (fd->type == PROTOBUF_C_TYPE_MESSAGE || !strcmp(fd->name, columns[0]) ||
		    !strcmp(fd->name, columns[1]))
			continue;
		rc = wire_get(desc, msg, fd->name, &v, e);
		if (rc < 0)
			return -1;
		if (!rc)
			continue;
		snprintf(key, sizeof(key), "inventory.%s", fd->name);
		snprintf(text, sizeof(text), "%" PRId64, (int64_t)v.u);
		if (fd->type != PROTOBUF_C_TYPE_STRING)
			v.bytes = (struct span){(const uint8_t *)text, strlen(text)};
		if (import_fact(im, key, v.bytes, e))
			return -1;
	}
	return 0;
}

int import_inventory(struct import *im, const struct img_record *rec, struct err *e)
{
	const ProtobufCMessageDescriptor *desc = &inventory_entry__descriptor;
	struct wire_value v;
	int rc = wire_get(desc, rec->msg, "img_version", &v, e);

	if (rc < 0 || (rc && set_number(im, "img_version", v.u, e)))
		return -1;
	rc = wire_get(desc, rec->msg, "network_lock_method", &v, e);
	if (rc < 0 || (rc && set_number(im, "lock_method", v.u, e)))
		return -1;
	rc = wire_get(desc, rec->msg, "root_ids.net_ns_id", &v, e);
	if (rc < 0)
		return -1;
	if (rc)
		im->root_ns = (int64_t)v.u;
	return other_facts(im, rec->msg, e);
}

static int set_time(struct import *im, uint64_t time_ns, struct err *e)
{
	time_t seconds = (time_t)(time_ns / 1000000000u);
	struct tm tm;
	char text[40];
	size_t n;

	if (!gmtime_r(&seconds, &tm))
		return 0; /* a year that does not fit: the record keeps it */
	n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, sizeof(text) - n, ".%03uZ", (unsigned)(time_ns / 1000000u % 1000u));
	return set_text(im, "dumped_at", (struct span){(const uint8_t *)text, strlen(text)}, e);
}

static int add_losses(struct import *im, const struct img_record *rec, struct err *e)
{
	struct wire_values it;
	struct wire_value v, object, reason;
	int rc;

	if (wire_values_begin(&it, &nsimg_facts_entry__descriptor, rec->msg, "loss", e))
		return -1;
	while ((rc = wire_values_next(&it, &v, e)) == 1) {
		auto_buf struct buf text = {0};

		if (wire_get(&nsimg_loss__descriptor, v.bytes, "object", &object, e) < 0 ||
		    wire_get(&nsimg_loss__descriptor, v.bytes, "reason", &reason, e) < 0 ||
		    buf_add(&text, object.bytes.data, object.bytes.len, e) ||
		    buf_add(&text, "", 1, e) ||
		    buf_add(&text, reason.bytes.data, reason.bytes.len, e) ||
		    import_note(im, rec, "loss", (const char *)text.data,
				(const char *)text.data + object.bytes.len + 1, e))
			return -1;
	}
	return rc;
}

int import_facts(struct import *im, const struct img_record *rec, struct err *e)
{
	static const struct {
		const char *field, *column;
	} texts[] = {{"tool", "dump_tool"}, {"host", "host"},       {"kernel", "kernel"},
		     {"arch", "arch"},      {"boot_id", "boot_id"}, {"target", "dump_target"}};
	const ProtobufCMessageDescriptor *desc = &nsimg_facts_entry__descriptor;
	struct wire_value v;
	char frozen[24];
	int rc;

	im->is_ours = true;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		rc = wire_get(desc, rec->msg, texts[i].field, &v, e);
		if (rc < 0 || (rc && set_text(im, texts[i].column, v.bytes, e)))
			return -1;
	}
	rc = wire_get(desc, rec->msg, "time_ns", &v, e);
	if (rc < 0 || (rc && set_time(im, v.u, e)))
		return -1;
	rc = wire_get(desc, rec->msg, "frozen_us", &v, e);
	snprintf(frozen, sizeof(frozen), "%" PRIu64, v.u);
	if (rc < 0 ||
	    (rc && import_fact(im, "nsimg.frozen_us",
			       (struct span){(const uint8_t *)frozen, strlen(frozen)}, e)))
		return -1;
	rc = wire_get(desc, rec->msg, "has_files", &v, e);
	if (rc < 0 || add_losses(im, rec, e))
		return -1;
	return rc && v.u ? import_manifest_is_there(im, e) : 0;
}

/* ---- tasks ---- */

static int add_thread(struct import *im, const struct img_record *rec, int64_t task, uint64_t tid,
		      struct err *e)
{
	struct sql_table *t = &im->table[T_THREAD];
	struct sql_row row = {.text = &im->row.text};
	struct wire_values it;
	struct wire_value v, own, netns, comm;
	int64_t netns_row;
	int rc;

	sql_row_clear(&row, t);
	import_origin(im, T_THREAD, &row, rec);
	sql_set_int(&row, sql_column_find(t, "task"), task);
	sql_set_int(&row, sql_column_find(t, "tid"), (int64_t)tid);
	if (wire_values_begin(&it, &pstree_entry__descriptor, rec->msg, "nsimg_threads", e))
		return -1;
	while ((rc = wire_values_next(&it, &v, e)) == 1) {
		int has_netns, has_comm;

		if (wire_get(&nsimg_thread__descriptor, v.bytes, "tid", &own, e) < 0)
			return -1;
		if (own.u != tid)
			continue;
		has_netns = wire_get(&nsimg_thread__descriptor, v.bytes, "net_ns_id", &netns, e);
		has_comm = wire_get(&nsimg_thread__descriptor, v.bytes, "comm", &comm, e);
		if (has_netns < 0 || has_comm < 0 ||
		    (has_netns && import_netns_find(im, netns.u, &netns_row, e)))
			return -1;
		if (has_netns)
			sql_set_int(&row, t->netns, netns_row);
		if (has_comm && sql_set_escaped(&row, sql_column_find(t, "comm"), comm.bytes, e))
			return -1;
	}
	return rc ? -1 : import_insert(im, T_THREAD, &row, e);
}

int import_pstree(struct import *im, const struct img_record *rec, struct err *e)
{
	struct sql_row *row = &im->row.row[0];
	struct map *m = &im->map[MAP_TASK];
	struct wire_values it;
	struct wire_value v;
	int64_t task = im->next_task++;
	uint64_t pid;
	int rc;

	map_row_clear(&im->row, m);
	if (map_decode(m, rec->msg, &im->row, e))
		return -1;
	import_origin(im, T_TASK, row, rec);
	sql_set_int(row, 0, task);
	map_row_complete(&im->row, m);
	pid = (uint64_t)row->cell[sql_column_find(&im->table[T_TASK], "pid")].num;
	im->cur->n_unknown += im->row.n_unknown;
	if (import_insert(im, T_TASK, row, e) || (!rec->no && set_number(im, "root_pid", pid, e)) ||
	    wire_values_begin(&it, &pstree_entry__descriptor, rec->msg, "threads", e))
		return -1;
	while ((rc = wire_values_next(&it, &v, e)) == 1)
		if (v.u != pid && add_thread(im, rec, task, v.u, e))
			return -1;
	return rc;
}

#define KEEP(c) #c " = coalesce(:" #c ", " #c ")"

static int bind_cell(struct query *q, const struct sql_table *t, const struct sql_row *row,
		     const char *column, struct err *e)
{
	const struct sql_cell *c = &row->cell[sql_column_find(t, column)];
	auto_buf struct buf text = {0};
	struct span b;

	if (c->type == QUERY_INT)
		return query_bind_int(q, column, c->num, e);
	if (c->type != QUERY_TEXT)
		return query_bind_null(q, column, e);
	b = sql_cell_bytes(row, c);
	if (buf_add(&text, b.data, b.len, e))
		return -1;
	return query_bind_text(q, column, (const char *)text.data, e);
}

/* What a record about a task tells is put into the row that pstree made. */
static int update_task(struct import *im, struct err *e)
{
	static const char *const columns[] = {"comm",   "state", "files_id", "ns_id",
					      "userns", "pidns", "mntns",    "netns"};
	struct sql_table *t = &im->table[T_TASK];
	struct sql_row *row = &im->row.row[0];
	const struct sql_cell *ns = &row->cell[sql_column_find(t, "ns_id")];
	struct query *q = im->task_update;
	int64_t netns;

	if (!q)
		q = im->task_update =
			query_new(
				im->db,
				"UPDATE task SET " KEEP(comm) ", " KEEP(state) ", " KEEP(files_id) ", " KEEP(
					ns_id) ", " KEEP(userns) ", " KEEP(pidns) ", " KEEP(mntns) ", " KEEP(netns) " WHERE image = :image AND pid = :pid",
				e);
	if (!q)
		return -1;
	if (ns->type == QUERY_INT) {
		if (import_netns_find(im, (uint64_t)ns->num, &netns, e))
			return -1;
		sql_set_int(row, t->netns, netns);
	}
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		if (bind_cell(q, t, row, columns[i], e))
			return -1;
	if (query_bind_int(q, "image", im->image, e) ||
	    query_bind_int(q, "pid", (int64_t)im->cur->number, e))
		return -1;
	return query_next(q, e);
}

static int record_of_task(struct import *im, enum map_id id, const struct img_record *rec,
			  struct err *e)
{
	map_row_clear(&im->row, &im->map[id]);
	if (map_decode(&im->map[id], rec->msg, &im->row, e))
		return -1;
	/* registers and much else in a core image are no business of ours: not counted as unknown */
	return update_task(im, e);
}

int import_ids(struct import *im, const struct img_record *rec, struct err *e)
{
	return record_of_task(im, MAP_IDS, rec, e);
}

/* A core image is that of a task or of one of its other threads. */
int import_core(struct import *im, const struct img_record *rec, struct err *e)
{
	struct sql_row row = {.text = &im->row.text};
	struct query *q = im->thread_update;
	auto_buf struct buf text = {0};
	struct wire_value v;
	struct span b;
	int rc;

	if (record_of_task(im, MAP_CORE, rec, e))
		return -1;
	rc = wire_get(&core_entry__descriptor, rec->msg, "thread_core.comm", &v, e);
	if (rc <= 0)
		return rc;
	if (!q)
		q = im->thread_update = query_new(
			im->db,
			"UPDATE thread SET " KEEP(comm) " WHERE image = :image AND tid = :tid", e);
	if (!q || sql_set_escaped(&row, 0, v.bytes, e))
		return -1;
	b = sql_cell_bytes(&row, &row.cell[0]);
	if (buf_add(&text, b.data, b.len, e) || buf_add(&text, "", 1, e) ||
	    query_bind_text(q, "comm", (const char *)text.data, e) ||
	    query_bind_int(q, "image", im->image, e) ||
	    query_bind_int(q, "tid", (int64_t)im->cur->number, e))
		return -1;
	return query_next(q, e);
}

/* ---- descriptors ---- */

int import_fd(struct import *im, const struct img_record *rec, struct err *e)
{
	struct map *m = &im->map[MAP_FD];
	struct sql_table *t = &im->table[T_FD];

	map_row_clear(&im->row, m);
	if (map_decode(m, rec->msg, &im->row, e))
		return -1;
	import_origin(im, T_FD, &im->row.row[0], rec);
	sql_set_int(&im->row.row[0], sql_column_find(t, "files_id"), (int64_t)im->cur->number);
	map_row_complete(&im->row, m);
	im->cur->n_unknown += im->row.n_unknown;
	return import_insert(im, T_FD, &im->row.row[0], e);
}

/* ---- memory ---- */

static struct import_file *pages_file(struct import *im, uint64_t number)
{
	for (size_t i = 0; i < im->n_files; i++)
		if (im->file[i].type && img_type_kind(im->file[i].type) == IMG_PAGES &&
		    im->file[i].number == number)
			return &im->file[i];
	return NULL;
}

int import_pagemap(struct import *im, const struct img_record *rec, struct err *e)
{
	uint64_t number, n, *all;
	bool in_file;

	if (rec->no == 0) {
		if (pagemap_file(rec->msg, &number, e))
			return -1;
		im->cur->pages = pages_file(im, number);
		return 0;
	}
	if (pagemap_pages(rec->msg, &in_file, &n, e))
		return -1;
	if (!in_file || !im->cur->pages)
		return 0;
	all = &im->cur->pages->n_pages;
	if (__builtin_add_overflow(*all, n, all))
		*all = UINT64_MAX;
	return 0;
}
