#include "imgdb/record.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "criu/netdev.pb-c.h"
#include "criu/nsimg.pb-c.h"
#include "imgdb/record_int.h"

enum { TABLES_MAX = 32, MESSAGE_MAX = 64 << 20, WINDOW = 256 << 10 };

struct record_cache {
	struct db *db;
	struct sql_table table[TABLES_MAX];
	unsigned n_tables;
	struct map map[MAP_COUNT];
	bool has_map[MAP_COUNT];
	struct map_row was, is;
	/* the last file that was asked for: its kind, and a part of its content (image_file cannot be edited) */
	int64_t type_of, window_of;
	const struct img_type *type;
	uint64_t number;
	struct buf window;
	size_t window_off;
};

/* ---- what is kept open ---- */

struct record_cache *record_cache_get(struct db *db, struct err *e)
{
	struct record_cache **slot = db_records(db);

	if (!*slot) {
		*slot = calloc(1, sizeof(**slot));
		if (*slot)
			(*slot)->db = db;
		else
			err_set(e, ERR_NOMEM, "out of memory");
	}
	return *slot;
}

void record_cache_free(struct record_cache *rc)
{
	if (!rc)
		return;
	for (unsigned i = 0; i < rc->n_tables; i++)
		sql_table_close(&rc->table[i]);
	for (int i = 0; i < MAP_COUNT; i++)
		map_close(&rc->map[i]);
	map_row_free(&rc->was);
	map_row_free(&rc->is);
	buf_free(&rc->window);
	free(rc);
}

struct sql_table *record_table(struct record_cache *rc, const char *name, struct err *e)
{
	struct sql_table *t;

	for (unsigned i = 0; i < rc->n_tables; i++)
		if (!strcmp(rc->table[i].name, name))
			return &rc->table[i];
	if (rc->n_tables == TABLES_MAX) {
		err_set(e, ERR_RANGE, "too many tables");
		return NULL;
	}
	t = &rc->table[rc->n_tables];
	if (sql_table_open(t, rc->db, name, e)) {
		e->code = ERR_NOTFOUND;
		return NULL;
	}
	rc->n_tables++;
	return t;
}

struct map *record_map(struct record_cache *rc, enum map_id id, struct err *e)
{
	const struct map_table *def = &map_tables[id];
	struct sql_table *table, *family = NULL;

	if (rc->has_map[id])
		return &rc->map[id];
	table = record_table(rc, def->table, e);
	if (def->family_table)
		family = record_table(rc, def->family_table, e);
	if (!table || (def->family_table && !family) ||
	    map_open(&rc->map[id], id, table, family, e))
		return NULL;
	rc->has_map[id] = true;
	return &rc->map[id];
}

/* ---- bytes of files ---- */

static int file_type_read(struct db *db, int64_t file, const struct img_type **type,
			  uint64_t *number, struct err *e)
{
	auto_query struct query *q = query_new(db, "SELECT name FROM image_file WHERE id = :id", e);
	auto_buf struct buf name = {0};
	int rc;

	if (!q || query_bind_int(q, "id", file, e))
		return -1;
	rc = query_next(q, e);
	if (rc < 0)
		return -1;
	if (!rc)
		return err_set(e, ERR_NOTFOUND, "no image file %lld", (long long)file);
	if (escape_undo(&name, query_text(q, 0), strlen(query_text(q, 0)), e))
		return -1;
	*type = img_type_of_name(name.data ? (const char *)name.data : "", number);
	if (!*type)
		return err_set(e, ERR_FORMAT, "%s is not an image file we know", query_text(q, 0));
	return 0;
}

int record_file_type(struct db *db, int64_t file, const struct img_type **type, uint64_t *number,
		     struct err *e)
{
	struct record_cache *rc = record_cache_get(db, e);

	if (!rc)
		return -1;
	if (!rc->type || rc->type_of != file) {
		rc->type = NULL;
		if (file_type_read(db, file, &rc->type, &rc->number, e)) {
			rc->type = NULL;
			return -1;
		}
		rc->type_of = file;
	}
	*type = rc->type;
	*number = rc->number;
	return 0;
}

/* Make the window begin at off and hold n bytes, and more where the file has them: the next record is asked
 * for soon, and SQLite finds a place in a large content only by going through all pages before it. */
static int window_read(struct record_cache *rc, int64_t file, size_t off, size_t n, struct err *e)
{
	sqlite3 *h = db_handle(rc->db);
	sqlite3_blob *blob = NULL;
	size_t take = n > WINDOW ? n : WINDOW, size;
	int res;

	rc->window_of = 0;
	buf_reset(&rc->window);
	res = sqlite3_blob_open(h, "main", "image_file", "content", file, 0, &blob);
	size = blob ? (size_t)sqlite3_blob_bytes(blob) : 0;
	if (res == SQLITE_OK && (off > size || n > size - off))
		res = SQLITE_ERROR;
	if (res != SQLITE_OK) {
		err_set(e, ERR_FORMAT,
			"image file %lld has no %zu bytes at offset %zu (is it kept by "
			"reference?): %s",
			(long long)file, n, off, sqlite3_errmsg(h));
		sqlite3_blob_close(blob);
		return -1;
	}
	take = take < size - off ? take : size - off;
	if (buf_reserve(&rc->window, take, e)) {
		sqlite3_blob_close(blob);
		return -1;
	}
	res = sqlite3_blob_read(blob, rc->window.data, (int)take, (int)off);
	sqlite3_blob_close(blob);
	if (res != SQLITE_OK)
		return err_set(e, ERR_FORMAT, "image file %lld, offset %zu: %s", (long long)file,
			       off, sqlite3_errstr(res));
	rc->window.len = take;
	rc->window_of = file;
	rc->window_off = off;
	return 0;
}

int record_file_bytes(struct db *db, int64_t file, size_t off, size_t n, struct buf *out,
		      struct err *e)
{
	struct record_cache *rc = record_cache_get(db, e);

	if (!rc)
		return -1;
	if (off > INT32_MAX || n > MESSAGE_MAX)
		return err_set(e, ERR_RANGE, "image file %lld: record of %zu bytes at offset %zu",
			       (long long)file, n, off);
	if ((!rc->window_of || rc->window_of != file || off < rc->window_off ||
	     off - rc->window_off > rc->window.len ||
	     n > rc->window.len - (off - rc->window_off)) &&
	    window_read(rc, file, off, n, e))
		return -1;
	return buf_add(out, rc->window.data + (off - rc->window_off), n, e);
}

int record_file_each(struct db *db, int64_t file, size_t size, record_piece_fn *fn, void *arg,
		     struct err *e)
{
	enum {
		PIECE = 128 << 10
	}; /* it, and what is made of it, stay in a processor's own cache */
	sqlite3 *h = db_handle(db);
	auto_free uint8_t *piece = malloc(PIECE);
	sqlite3_blob *blob = NULL;
	int rc = sqlite3_blob_open(h, "main", "image_file", "content", file, 0, &blob), failed = 0;

	if (!piece || (rc == SQLITE_OK && (size_t)sqlite3_blob_bytes(blob) < size))
		rc = piece ? SQLITE_CORRUPT : SQLITE_NOMEM;
	for (size_t off = 0; rc == SQLITE_OK && !failed && off < size; off += PIECE) {
		size_t n = size - off < PIECE ? size - off : PIECE;

		rc = sqlite3_blob_read(blob, piece, (int)n, (int)off);
		if (rc == SQLITE_OK)
			failed = fn(arg, (struct span){piece, n}, e);
	}
	sqlite3_blob_close(blob);
	return rc == SQLITE_OK ? failed
			       : err_set(e, ERR_FORMAT, "the content of image file %lld: %s",
					 (long long)file, sqlite3_errstr(rc));
}

int record_message(struct db *db, const struct record_origin *o, struct buf *out, struct err *e)
{
	auto_buf struct buf word = {0};
	size_t off = (size_t)o->off;
	uint32_t len;

	if (record_file_bytes(db, o->file, off, 4, &word, e))
		return -1;
	if (!o->type || !word.data)
		return err_set(e, ERR_FORMAT, "image file %lld has no records", (long long)o->file);
	memcpy(&len, word.data, 4);
	if (o->type->shape == IMG_SHAPE_ENTRIES)
		off += 4;
	return record_file_bytes(db, o->file, off, len, out, e);
}

int record_origin(const struct sql_table *t, struct db *db, const struct sql_row *row,
		  struct record_origin *o, struct err *e)
{
	*o = (struct record_origin){0};
	if (t->file < 0 || row->cell[t->file].type != QUERY_INT ||
	    row->cell[t->off].type != QUERY_INT)
		return 0;
	o->is_there = true;
	o->file = row->cell[t->file].num;
	o->rec = row->cell[t->rec].num;
	o->off = row->cell[t->off].num;
	return record_file_type(db, o->file, &o->type, &o->number, e);
}

static int read_row(struct sql_table *t, int64_t id, struct sql_row *row, struct err *e)
{
	int rc = sql_row_read(t, id, row, e);

	return rc == 1 ? 0
	       : rc    ? -1
		       : err_set(e, ERR_NOTFOUND, "no row %lld in %s", (long long)id, t->name);
}

/* ---- netlink messages ---- */

struct columns {
	const struct sql_table *t;
	struct sql_row *row;
};

static int set_column(const char *column, const struct rta_value *v, void *arg, struct err *e)
{
	struct columns *c = arg;
	int col = sql_column_find(c->t, column);

	if (v->type == RTA_VALUE_INT)
		sql_set_int(c->row, col, v->num);
	if (v->type == RTA_VALUE_TEXT && col >= 0)
		return sql_set_text(c->row, col, v->text, strlen(v->text), e);
	return 0;
}

/* The cell as a value for rta; its text is appended to texts, to be pointed at when all are there. */
static int to_value(const struct sql_row *row, const struct sql_cell *c, struct rta_value *v,
		    struct buf *texts, size_t *off, struct err *e)
{
	struct span b;

	*v = (struct rta_value){.type = RTA_VALUE_NULL};
	if (c->type == QUERY_INT)
		*v = (struct rta_value){.type = RTA_VALUE_INT, .num = c->num};
	if (c->type != QUERY_TEXT)
		return 0;
	b = sql_cell_bytes(row, c);
	v->type = RTA_VALUE_TEXT;
	*off = texts->len;
	return buf_add(texts, b.data, b.len, e) || buf_add(texts, "", 1, e) ? -1 : 0;
}

/* msg with the columns in which is and was differ. skip: a column that is not sent, or NULL. */
static int patch(enum rta_table kind, const struct sql_table *t, const struct sql_row *was,
		 const struct sql_row *is, const char *skip, struct span msg, struct buf *out,
		 struct err *e)
{
	struct rta_edit edit[SQL_COLUMNS_MAX];
	size_t off[SQL_COLUMNS_MAX], n = 0;
	auto_buf struct buf texts = {0};

	const char *name;

	for (size_t i = 0; i < SQL_COLUMNS_MAX && (name = rta_column(kind, i)); i++) {
		int col = sql_column_find(t, name);

		/* "expect" is what the file is about, not the message: CRIU writes conntrack entries into
		 * the image of expectations too */
		if (col < 0 || sql_cell_same(was, is, (unsigned)col) || !strcmp(name, "expect") ||
		    (skip && !strcmp(name, skip)))
			continue;
		edit[n].column = name;
		if (to_value(is, &is->cell[col], &edit[n].value, &texts, &off[n], e))
			return -1;
		n++;
	}
	for (size_t i = 0; i < n; i++)
		if (edit[i].value.type == RTA_VALUE_TEXT)
			edit[i].value.text = (const char *)texts.data + off[i];
	return rta_row_patch(kind, msg, edit, n, out, e);
}

int record_netlink(struct record_cache *rc, enum rta_table kind, int64_t id, struct span msg,
		   struct buf *out, struct err *e)
{
	struct sql_table *t = record_table(rc, rta_table_name(kind), e);
	struct sql_row *was = &rc->was.row[0], *is = &rc->is.row[0];
	struct columns c = {t, was};

	if (!t)
		return -1;
	was->text = &rc->was.text;
	is->text = &rc->is.text;
	buf_reset(was->text);
	buf_reset(is->text);
	sql_row_clear(was, t);
	if (rta_row_decode(kind, msg, set_column, &c, e))
		return -1;
	sql_row_complete(was, t);
	if (read_row(t, id, is, e))
		return -1;
	return patch(kind, t, was, is, NULL, msg, out, e);
}

/* A message for a row that no record stands behind. */
static int new_netlink(struct record_cache *rc, enum rta_table kind, int64_t id, struct buf *out,
		       struct err *e)
{
	struct sql_table *t = record_table(rc, rta_table_name(kind), e);
	auto_buf struct buf empty = {0}, text = {0}, msg = {0};
	struct sql_row row = {.text = &text};
	auto_free char *what = NULL;
	struct span word;
	int col;

	if (!t || read_row(t, id, &row, e))
		return -1;
	col = sql_column_find(t, "what");
	word = col >= 0 ? sql_cell_bytes(&row, &row.cell[col]) : (struct span){0};
	col = sql_column_find(t, "expect");
	if (col >= 0 && row.cell[col].num)
		word = (struct span){(const uint8_t *)"expect", 6};
	if (word.len && !(what = strndup((const char *)word.data, word.len)))
		return err_set(e, ERR_NOMEM, "out of memory");
	if (rta_row_new(kind, what, &empty, e) ||
	    record_netlink(rc, kind, id, buf_span(&empty), &msg, e) || rta_row_complete(&msg, e))
		return -1;
	return buf_add(out, msg.data, msg.len, e);
}

/* Where a row came from, without the other columns, and was it changed since its import? The triggers tell, whoever did
 * it. 1, 0: no such row, -1. */
static int origin_read(struct sql_table *t, struct db *db, int64_t id, struct record_origin *o,
		       bool *is_edited, struct err *e)
{
	char sql[200];
	auto_query struct query *q = NULL;
	int rc;

	*o = (struct record_origin){0};
	snprintf(sql, sizeof(sql),
		 "SELECT file, rec, off, EXISTS (SELECT 1 FROM edit_log WHERE tbl = '%s' AND "
		 "row = :id) FROM %s WHERE id = :id",
		 t->name, t->name);
	q = query_new(db, sql, e);
	if (!q || query_bind_int(q, "id", id, e))
		return -1;
	rc = query_next(q, e);
	if (rc != 1)
		return rc;
	*is_edited = query_int(q, 3);
	if (query_is_null(q, 0) || query_is_null(q, 2))
		return 1;
	o->is_there = true;
	o->file = query_int(q, 0);
	o->rec = query_int(q, 1);
	o->off = query_int(q, 2);
	return record_file_type(db, o->file, &o->type, &o->number, e) ? -1 : 1;
}

static int netlink_bytes(struct record_cache *rc, enum rta_table kind, int64_t id, struct buf *out,
			 struct err *e)
{
	struct sql_table *t = record_table(rc, rta_table_name(kind), e);
	auto_buf struct buf record = {0};
	struct record_origin o;
	struct wire_value v;
	bool is_edited = false;
	struct span msg;
	int got;

	if (!t)
		return -1;
	got = origin_read(t, rc->db, id, &o, &is_edited, e);
	if (got != 1)
		return got ? got
			   : err_set(e, ERR_NOTFOUND, "no row %lld in %s", (long long)id, t->name);
	if (!o.is_there)
		return new_netlink(rc, kind, id, out, e);
	if (record_message(rc->db, &o, &record, e))
		return -1;
	msg = buf_span(&record);
	if (img_type_kind(o.type) == IMG_NSIMG_RTNL) {
		if (wire_get(&nsimg_nl_entry__descriptor, msg, "msg", &v, e) < 0)
			return -1;
		msg = v.bytes;
	}
	return is_edited ? record_netlink(rc, kind, id, msg, out, e)
			 : buf_add(out, msg.data, msg.len, e);
}

/* ---- devices ---- */

/* The columns as import made them from the entry. */
static int decode_device(struct record_cache *rc, struct span entry, struct span link,
			 struct err *e)
{
	struct map *m = record_map(rc, MAP_DEVICE, e);
	struct columns c;

	if (!m)
		return -1;
	map_row_clear(&rc->was, m);
	if (map_decode(m, entry, &rc->was, e))
		return -1;
	c = (struct columns){m->table[0], &rc->was.row[0]};
	if (link.len && rta_row_decode(RTA_TABLE_DEVICE, link, set_column, &c, e))
		return -1;
	map_row_complete(&rc->was, m);
	return 0;
}

/* A link message from columns alone. CRIU's records have no message and name the attributes of tun, macvlan
 * and sit their own way; those of macvlan are the kernel's, a tun device is not made over netlink. */
static int new_link(struct record_cache *rc, int64_t id, struct buf *out, struct err *e)
{
	struct sql_table *t = record_table(rc, "device", e);
	struct sql_row *was = &rc->was.row[0], *is = &rc->is.row[0];
	auto_buf struct buf empty = {0};
	struct sql_cell *kind;
	struct span word;
	bool has_attrs;

	if (!t)
		return -1;
	was->text = &rc->was.text;
	is->text = &rc->is.text;
	buf_reset(was->text);
	buf_reset(is->text);
	sql_row_clear(was, t);
	if (read_row(t, id, is, e) || rta_row_new(RTA_TABLE_DEVICE, NULL, &empty, e))
		return -1;
	kind = &is->cell[sql_column_find(t, "kind")];
	word = sql_cell_bytes(is, kind);
	has_attrs = word.len == 7 && !memcmp(word.data, "macvlan", 7);
	has_attrs |= is->cell[sql_column_find(t, "nd_type")].type == QUERY_NULL;
	/* "loopback" is our word for it; the kernel gives it no kind */
	if (word.len == 8 && !memcmp(word.data, "loopback", 8))
		*kind = (struct sql_cell){0};
	return patch(RTA_TABLE_DEVICE, t, was, is, has_attrs ? NULL : "attrs", buf_span(&empty),
		     out, e);
}

int record_device_link(struct record_cache *rc, int64_t id, struct span entry, bool *has_link,
		       struct buf *out, struct err *e)
{
	struct sql_table *t = record_table(rc, "device", e);
	struct wire_value link;
	int rc_link = wire_get(&net_device_entry__descriptor, entry, "nsimg_link", &link, e);

	if (!t || rc_link < 0)
		return -1;
	*has_link = rc_link;
	if (!rc_link)
		return new_link(rc, id, out, e);
	if (decode_device(rc, entry, link.bytes, e))
		return -1;
	rc->is.row[0].text = &rc->is.text;
	buf_reset(&rc->is.text);
	if (read_row(t, id, &rc->is.row[0], e))
		return -1;
	return patch(RTA_TABLE_DEVICE, t, &rc->was.row[0], &rc->is.row[0], NULL, link.bytes, out,
		     e);
}

/* ---- protobuf messages ---- */

static const struct {
	enum img_kind kind;
	enum map_id map;
} kind_maps[] = {
	{IMG_FDINFO, MAP_FD},           {IMG_NETNS, MAP_NETNS},      {IMG_USERNS, MAP_USERNS},
	{IMG_PSTREE, MAP_TASK},         {IMG_TCP_STREAM, MAP_TCP},   {IMG_SK_QUEUES, MAP_QUEUE},
	{IMG_NSIMG_SYSCTL, MAP_SYSCTL}, {IMG_INETSK, MAP_INET},      {IMG_UNIXSK, MAP_UNIX},
	{IMG_NETLINK_SK, MAP_NETLINK},  {IMG_PACKETSK, MAP_PACKET},  {IMG_NSIMG_SK, MAP_OTHER},
	{IMG_TUNFILE, MAP_TUN},         {IMG_NS_FILES, MAP_NS_FILE}, {IMG_NETDEV, MAP_DEVICE},
	{IMG_CORE, MAP_CORE},           {IMG_IDS, MAP_IDS},
};

int record_part(const struct img_type *type, struct span msg, enum map_id *map, struct span *part,
		char prefix[16], struct err *e)
{
	struct wire_iter it = wire_iter(msg);
	struct wire_field f;
	int rc;

	*prefix = '\0';
	*part = msg;
	for (size_t i = 0; i < ARRAY_SIZE(kind_maps); i++) {
		if (kind_maps[i].kind == img_type_kind(type)) {
			*map = kind_maps[i].map;
			return 1;
		}
	}
	if (img_type_kind(type) != IMG_FILES)
		return 0;
	while ((rc = wire_next(&it, &f, e)) == 1) {
		const struct map_part *p = map_file_parts;

		while (p->number && p->number != f.number)
			p++;
		if (!p->number || f.type != WIRE_LEN)
			continue;
		*map = p->map;
		*part = f.bytes;
		snprintf(prefix, 16, "%s.", p->field);
		return 1;
	}
	return rc;
}

/* A record that is made new has no field yet: one that CRIU requires is written also where it is 0, or an object
 * that is NULL because all of it is. */
static void forget_required(const struct map *m, struct map_row *was)
{
	static const uint8_t any[] = "{}";

	for (unsigned i = 0; i < m->root.n_kids; i++) {
		const struct map_node *n = &m->root.kids[i];

		if (n->fd->label != PROTOBUF_C_LABEL_REQUIRED || n->col < 0)
			continue;
		was->row[n->table].cell[n->col] = (struct sql_cell){0};
		if (n->how == MAP_JSON_ZERO)
			sql_set_lent(&was->row[n->table], n->col, QUERY_TEXT,
				     (struct span){any, sizeof(any) - 1});
	}
}

int record_edits(struct record_cache *rc, enum map_id id, struct span msg, unsigned rows,
		 int64_t row, const char *prefix, struct map_edits *x, struct err *e)
{
	struct map *m = record_map(rc, id, e);
	struct wire_value link = {0};

	if (!m)
		return -1;
	if (id == MAP_DEVICE) {
		if (wire_get(m->def->desc, msg, "nsimg_link", &link, e) < 0 ||
		    decode_device(rc, msg, link.bytes, e))
			return -1;
	} else {
		map_row_clear(&rc->was, m);
		rc->was.is_of_family = !(rows & ROW_OWN);
		if (map_decode(m, msg, &rc->was, e))
			return -1;
		map_row_complete(&rc->was, m);
		if (!msg.data)
			forget_required(m, &rc->was);
	}
	map_row_clear(&rc->is, m);
	for (unsigned i = 0; i < 2 && m->table[i]; i++) {
		if (!(rows & (i ? ROW_OF_FAMILY : ROW_OWN)))
			rc->is.row[i] = rc->was.row[i];
		else if (read_row(m->table[i], row, &rc->is.row[i], e))
			return -1;
	}
	/* the attributes of a device with a full link message are the kernel's and go into that message */
	if (link.bytes.len) {
		int attrs = sql_column_find(m->table[0], "attrs");

		rc->was.row[0].cell[attrs] = rc->is.row[0].cell[attrs] = (struct sql_cell){0};
	}
	/* what a task's row has from its ids image is not put into its core image, and the other way */
	for (unsigned i = 0; (id == MAP_CORE || id == MAP_IDS) && m->table[0] && i < m->table[0]->n;
	     i++)
		if (rc->was.row[0].cell[i].type == QUERY_NULL)
			rc->is.row[0].cell[i] = rc->was.row[0].cell[i];
	return map_encode(m, msg, &rc->was, &rc->is, prefix, x, e);
}

static int message_bytes(struct record_cache *rc, const char *table, int64_t id, struct buf *out,
			 struct err *e)
{
	struct sql_table *t = record_table(rc, table, e);
	auto_map_edits struct map_edits x = {0};
	auto_buf struct buf msg = {0}, text = {0};
	struct sql_row row = {.text = &text};
	struct record_origin o;
	enum map_id map = MAP_COUNT;
	struct span part;
	char prefix[16];

	if (!t || read_row(t, id, &row, e) || record_origin(t, rc->db, &row, &o, e))
		return -1;
	if (!o.is_there)
		return err_set(e, ERR_UNSUPPORTED,
			       "row %lld of %s was added by an edit and has no record",
			       (long long)id, table);
	if (record_message(rc->db, &o, &msg, e))
		return -1;
	if (record_part(o.type, buf_span(&msg), &map, &part, prefix, e) <= 0 ||
	    strcmp(map_tables[map].table, table) != 0)
		return err_set(e, ERR_CONFLICT, "row %lld of %s names a record of another kind",
			       (long long)id, table);
	if (record_edits(rc, map, part, ROWS_ALL, id, "", &x, e))
		return -1;
	return wire_patch(map_tables[map].desc, part, x.edit, x.n, out, e);
}

static int device_bytes(struct record_cache *rc, int64_t id, struct buf *out, struct err *e)
{
	struct sql_table *t = record_table(rc, "device", e);
	auto_buf struct buf msg = {0};
	struct record_origin o;
	struct wire_value link;
	bool has_link, is_edited = false;
	int got;

	if (!t)
		return -1;
	got = origin_read(t, rc->db, id, &o, &is_edited, e);
	if (got != 1)
		return got ? got : err_set(e, ERR_NOTFOUND, "no row %lld in device", (long long)id);
	if (o.is_there && record_message(rc->db, &o, &msg, e))
		return -1;
	if (!is_edited && msg.len) {
		got = wire_get(&net_device_entry__descriptor, buf_span(&msg), "nsimg_link", &link,
			       e);
		if (got)
			return got < 0 ? -1 : buf_add(out, link.bytes.data, link.bytes.len, e);
	}
	return record_device_link(rc, id, buf_span(&msg), &has_link, out, e);
}

/* ---- the rest ---- */

static int sysctl_bytes(struct record_cache *rc, int64_t id, struct buf *out, struct err *e)
{
	const ProtobufCMessageDescriptor *desc = &nsimg_sysctl_entry__descriptor;
	struct sql_table *t = record_table(rc, "sysctl", e);
	static const char *const columns[] = {"name", "value"};
	auto_buf struct buf text = {0};
	struct sql_row row = {.text = &text};

	if (!t || read_row(t, id, &row, e))
		return -1;
	for (unsigned i = 0; i < 2; i++) {
		auto_buf struct buf bytes = {0};
		struct wire_value v;
		struct span b = sql_cell_bytes(&row, &row.cell[sql_column_find(t, columns[i])]);

		if (escape_undo(&bytes, (const char *)b.data, b.len, e))
			return -1;
		v = wire_bytes(bytes.data, bytes.len);
		if (wire_put_value(out, &desc->fields[i], &v, e))
			return -1;
	}
	return 0;
}

static int firewall_bytes(struct record_cache *rc, int64_t id, struct buf *out, struct err *e)
{
	struct sql_table *t = record_table(rc, "firewall", e);
	auto_buf struct buf text = {0};
	struct sql_row row = {.text = &text};
	struct span b;

	if (!t || read_row(t, id, &row, e))
		return -1;
	b = sql_cell_bytes(&row, &row.cell[sql_column_find(t, "content")]);
	return buf_add(out, b.data, b.len, e);
}

int record_bytes(struct db *db, const char *table, int64_t id, struct buf *out, struct err *e)
{
	struct record_cache *rc = record_cache_get(db, e);
	enum rta_table kind = rta_table_find(table);
	size_t start = out->len;
	int res;

	if (!rc)
		return -1;
	if (kind == RTA_TABLE_DEVICE)
		res = device_bytes(rc, id, out, e);
	else if (kind != RTA_TABLE_COUNT)
		res = netlink_bytes(rc, kind, id, out, e);
	else if (!strcmp(table, "sysctl"))
		res = sysctl_bytes(rc, id, out, e);
	else if (!strcmp(table, "firewall"))
		res = firewall_bytes(rc, id, out, e);
	else
		res = message_bytes(rc, table, id, out, e);
	if (res) {
		out->len = start;
		return err_wrap(e, "%s %lld", table, (long long)id);
	}
	return 0;
}
