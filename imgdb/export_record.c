/* One record with its edits: netlink message, text, or protobuf entry with what follows it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "criu/fdinfo.pb-c.h"
#include "criu/netdev.pb-c.h"
#include "criu/nsimg.pb-c.h"
#include "imgdb/export_int.h"

struct record_job {
	struct record_cache *rc;
	const struct img_type *type;
	const struct img_record *rec;
	const struct export_opts *opts;
	struct map_edits edits;
	struct buf extra; /* replaces rec->extra when has_extra */
	bool has_extra;
};

static int read_cells(struct record_cache *rc, const char *table, int64_t id, struct sql_row *row,
		      struct sql_table **t, struct err *e)
{
	int res;

	*t = record_table(rc, table, e);
	if (!*t)
		return -1;
	res = sql_row_read(*t, id, row, e);
	return res == 1 ? 0
	       : res    ? -1
			: err_set(e, ERR_NOTFOUND, "no row %lld in %s", (long long)id, table);
}

/* ---- netlink files and rulesets ---- */

static int put_netlink(struct record_cache *rc, const struct img_record *rec,
		       const struct change *c, struct buf *out, struct err *e)
{
	static const uint8_t zero[4];
	size_t start = out->len, pad;

	if (record_netlink(rc, rta_table_find(c->table), c->row, rec->msg, out, e))
		return -1;
	/* the padding as it was, also where the last message of a file has none */
	if (out->len - start == rec->msg.len)
		return buf_add(out, rec->raw.data + rec->msg.len, rec->raw.len - rec->msg.len, e);
	pad = -(out->len - start) & 3;
	return buf_add(out, zero, pad, e);
}

/* The column ends before a zero byte (import_text): what is behind it stays. */
static int put_text(struct record_cache *rc, const struct img_record *rec, const struct change *c,
		    struct buf *out, struct err *e)
{
	const uint8_t *zero = rec->msg.len ? memchr(rec->msg.data, 0, rec->msg.len) : NULL;
	struct sql_table *t = record_table(rc, c->table, e);

	if (!t || record_bytes(t->db, c->table, c->row, out, e))
		return -1;
	return zero ? buf_add(out, zero, (size_t)(rec->msg.data + rec->msg.len - zero), e) : 0;
}

/* ---- lists inside a record ---- */

/* One value of a positional list of sysctls; it keeps its type. */
static int sysctl_edit(struct record_job *j, const struct change *c, struct err *e)
{
	const ProtobufCMessageDescriptor *desc = j->type->entry;
	auto_buf struct buf text = {0}, bytes = {0};
	struct sql_row row = {.text = &text};
	struct sql_table *t;
	struct wire_value v;
	char path[80], field[100];
	struct span b;

	if (c->how == CHANGE_DELETED)
		return err_set(
			e, ERR_UNSUPPORTED,
			"a deleted sysctl of a positional list cannot be left out; set its value");
	if (read_cells(j->rc, "sysctl", c->row, &row, &t, e))
		return -1;
	b = sql_cell_bytes(&row, &row.cell[sql_column_find(t, "path")]);
	snprintf(path, sizeof(path), "%.*s", (int)b.len, (const char *)b.data);
	b = sql_cell_bytes(&row, &row.cell[sql_column_find(t, "value")]);
	if (escape_undo(&bytes, (const char *)b.data, b.len, e) || buf_add(&bytes, "\n", 2, e))
		return -1;
	snprintf(field, sizeof(field), "%s.sarg", path);
	if (wire_has(desc, j->rec->msg, field)) {
		bool has_newline;

		if (wire_get(desc, j->rec->msg, field, &v, e) < 0)
			return -1;
		has_newline = v.bytes.len && v.bytes.data[v.bytes.len - 1] == '\n';
		v = wire_bytes(bytes.data, bytes.len - (has_newline ? 1 : 2));
	} else {
		char *end;

		bytes.data[bytes.len - 2] = '\0';
		v = wire_number((uint64_t)(int64_t)strtoll((const char *)bytes.data, &end, 10));
		if (*end || end == (const char *)bytes.data)
			return err_set(e, ERR_USAGE, "sysctl %lld (%s) must be a number, not %s",
				       (long long)c->row, path, (const char *)bytes.data);
		snprintf(field, sizeof(field), "%s.iarg", path);
		if (!wire_path_parse(desc, field, &(struct wire_path){0}, &(struct err)ERR_INIT))
			return map_edits_add(&j->edits, "", field, &v, 1, e);
		snprintf(field, sizeof(field), "%s", path); /* "conf": plain numbers */
	}
	return map_edits_add(&j->edits, "", field, &v, 1, e);
}

/* The list of namespace ids as the rows have it: each element set, those beyond deleted from the end. */
static int nsid_edits(struct record_job *j, const struct change *c, struct err *e)
{
	const ProtobufCMessageDescriptor *desc = &netns_id__descriptor;
	struct sql_table *t = record_table(j->rc, "nsid", e);
	auto_query struct query *q = NULL;
	size_t n = 0, n_was = 0;
	struct wire_values it;
	struct wire_value v;
	char path[40];
	int rc;

	if (!t)
		return -1;
	q = query_new(
		t->db,
		"SELECT n.ns_id, nsid.value FROM nsid JOIN netns n ON n.id = nsid.target WHERE "
		"nsid.file = :file ORDER BY nsid.id",
		e);
	if (!q || query_bind_int(q, "file", c->file, e) ||
	    wire_values_begin(&it, j->type->entry, j->rec->msg, "nsids", e))
		return -1;
	while ((rc = wire_values_next(&it, &v, e)) == 1)
		n_was++;
	while (!rc && (rc = query_next(q, e)) == 1) {
		struct wire_value target = wire_number((uint64_t)query_int(q, 0));
		struct wire_value value = wire_number((uint64_t)query_int(q, 1));
		auto_buf struct buf msg = {0};

		if (wire_put_value(&msg, &desc->fields[0], &target, e) ||
		    wire_put_value(&msg, &desc->fields[1], &value, e))
			return -1;
		v = wire_bytes(msg.data, msg.len);
		snprintf(path, sizeof(path), "nsids[%zu]", n++);
		if (map_edits_add(&j->edits, "", path, &v, 1, e))
			return -1;
		rc = 0;
	}
	for (; !rc && n_was > n; n_was--) {
		snprintf(path, sizeof(path), "nsids[%zu]", n_was - 1);
		rc = map_edits_add(&j->edits, "", path, NULL, 0, e);
	}
	return rc ? -1 : 0;
}

/* ---- what follows a message ---- */

/* Queue bytes as the rows have them, receive before send. The record says how many: the two must agree. */
static int queue_extra(struct record_job *j, const struct change *c, struct err *e)
{
	struct sql_table *t = record_table(j->rc, "socket_queue", e);
	auto_query struct query *q = NULL;
	int rc;

	if (!t || j->has_extra)
		return t ? 0 : -1;
	q = query_new(t->db,
		      "SELECT data, length FROM socket_queue WHERE file = :file AND rec = :rec "
		      "ORDER BY direction = 'send'",
		      e);
	if (!q || query_bind_int(q, "file", c->file, e) || query_bind_int(q, "rec", c->rec, e))
		return -1;
	j->has_extra = true;
	while ((rc = query_next(q, e)) == 1) {
		struct span b = query_blob(q, 0);

		if ((int64_t)b.len != query_int(q, 1))
			return err_set(e, ERR_CONFLICT,
				       "socket_queue.length says %lld, data has %zu bytes",
				       (long long)query_int(q, 1), b.len);
		if (buf_add(&j->extra, b.data, b.len, e))
			return -1;
	}
	return rc;
}

/* ---- protobuf entries ---- */

static int rtnl_edits(struct record_job *j, const struct change *c, struct err *e)
{
	auto_buf struct buf msg = {0};
	struct wire_value v;

	if (wire_get(j->type->entry, j->rec->msg, "msg", &v, e) < 0 ||
	    record_netlink(j->rc, rta_table_find(c->table), c->row, v.bytes, &msg, e))
		return -1;
	v = wire_bytes(msg.data, msg.len);
	return map_edits_add(&j->edits, "", "msg", &v, 1, e);
}

static int mapped_edits(struct record_job *j, const struct change *c, struct err *e)
{
	enum map_id map = MAP_COUNT;
	struct span part;
	char prefix[16];
	int rc = record_part(j->type, j->rec->msg, &map, &part, prefix, e);

	if (rc <= 0)
		return rc ? -1
			  : err_set(e, ERR_UNSUPPORTED, "%s: no column of this record is edited",
				    j->type->name);
	return record_edits(j->rc, map, part, c->rows, c->row, prefix, &j->edits, e);
}

/* A row of sql when it has one, about a device d and l.before, how its row came in. An owned query or NULL. */
static struct query *ask_device(const struct record_job *j, const struct change *c, const char *sql,
				int *rc, struct err *e)
{
	auto_query struct query *q = query_new(record_table(j->rc, "device", e)->db, sql, e);

	if (!q || query_bind_int(q, "id", c->row, e))
		return NULL;
	*rc = query_next(q, e);
	return take_ptr(q);
}

#define DEVICE_BEFORE                                                                              \
	"(SELECT before FROM edit_log WHERE tbl = 'device' AND row = :id ORDER BY id LIMIT 1) l "

/* CRIU names the namespace of the other end of a device, where it is in the image (import_net.c). */
static int peer_edit(struct record_job *j, const struct change *c, struct err *e)
{
	int rc = -1;
	auto_query struct query *q = ask_device(j, c,
						"SELECT n.ns_id FROM device d LEFT JOIN netns n ON "
						"n.id = d.peer_netns, " DEVICE_BEFORE
						"WHERE d.id = :id AND json_extract(l.before, "
						"'$.peer_netns') IS NOT d.peer_netns",
						&rc, e);
	struct wire_value v;

	if (rc <= 0)
		return rc;
	v = wire_number((uint64_t)query_int(q, 0));
	return map_edits_add(&j->edits, "", "peer_nsid", &v, query_is_null(q, 0) ? 0 : 1, e);
}

/* CRIU writes a device's own index where it has no link (map.c derive_link): the new one, when that changed. */
static int own_link_edit(struct record_job *j, const struct change *c, struct err *e)
{
	int rc = -1;
	auto_query struct query *q =
		ask_device(j, c,
			   "SELECT d.ifindex, json_extract(l.before, '$.ifindex') FROM "
			   "device d, " DEVICE_BEFORE
			   "WHERE d.id = :id AND d.link IS NULL AND json_extract(l.before, "
			   "'$.link') IS NULL AND json_extract(l.before, '$.ifindex') <> d.ifindex",
			   &rc, e);
	struct wire_value v;

	if (rc <= 0)
		return rc;
	rc = wire_get(j->type->entry, j->rec->msg, "peer_ifindex", &v, e);
	if (rc <= 0 || v.u != (uint64_t)query_int(q, 1))
		return rc < 0 ? -1 : 0;
	v = wire_number((uint64_t)query_int(q, 0));
	return map_edits_add(&j->edits, "", "peer_ifindex", &v, 1, e);
}

static int device_edits(struct record_job *j, const struct change *c, struct err *e)
{
	auto_buf struct buf link = {0};
	struct wire_value v;
	bool has_link;

	if (mapped_edits(j, c, e) || peer_edit(j, c, e) || own_link_edit(j, c, e) ||
	    record_device_link(j->rc, c->row, j->rec->msg, &has_link, &link, e))
		return -1;
	v = wire_bytes(link.data, link.len);
	return has_link ? map_edits_add(&j->edits, "", "nsimg_link", &v, 1, e) : 0;
}

static int inventory_edit(struct record_job *j, const struct change *c, struct err *e)
{
	struct sql_table *t = record_table(j->rc, "image", e);
	auto_query struct query *q = NULL;
	struct wire_value v;

	if (!t)
		return -1;
	q = query_new(t->db, "SELECT lock_method FROM image WHERE id = :id", e);
	if (!q || query_bind_int(q, "id", c->row, e) || query_next(q, e) < 0)
		return -1;
	v = wire_number((uint64_t)query_int(q, 0));
	return map_edits_add(&j->edits, "", "network_lock_method", &v, query_is_null(q, 0) ? 0 : 1,
			     e);
}

static int change_edits(struct record_job *j, const struct change *c, struct err *e)
{
	enum img_kind kind = img_type_kind(j->type);

	if (!strcmp(c->table, "sysctl") && kind != IMG_NSIMG_SYSCTL)
		return sysctl_edit(j, c, e);
	if (!strcmp(c->table, "nsid"))
		return nsid_edits(j, c, e);
	if (!strcmp(c->table, "image"))
		return inventory_edit(j, c, e);
	if (!strcmp(c->table, "socket_queue") && queue_extra(j, c, e))
		return -1;
	if (!strcmp(c->table, "socket_queue") && kind == IMG_TCP_STREAM)
		return 0;
	if (!strcmp(c->table, "thread"))
		return err_set(e, ERR_UNSUPPORTED, "edits of threads cannot be exported");
	if (kind == IMG_NSIMG_RTNL)
		return rtnl_edits(j, c, e);
	return kind == IMG_NETDEV ? device_edits(j, c, e) : mapped_edits(j, c, e);
}

/* A record that CRIU could read and cannot any more is not written but by force. */
static int check_required(const struct record_job *j, struct span was, struct span is,
			  struct err *e)
{
	char path[64];

	if (j->opts->force || !wire_missing(j->type->entry, is, path, sizeof(path)) ||
	    (was.len && wire_missing(j->type->entry, was, (char[64]){0}, 64)))
		return 0;
	return err_set(e, ERR_CONFLICT,
		       "the edited record would lack %s, which CRIU requires (--force "
		       "writes it anyway)",
		       path);
}

static int put_entry(struct record_job *j, struct span was, struct buf *out, struct err *e)
{
	struct span extra = j->has_extra ? buf_span(&j->extra)
			    : j->rec     ? j->rec->extra
					 : (struct span){0};
	size_t start = out->len;
	uint32_t len = 0;
	struct span msg;

	if (buf_add(out, &len, 4, e) ||
	    wire_patch(j->type->entry, was, j->edits.edit, j->edits.n, out, e))
		return -1;
	len = (uint32_t)(out->len - start - 4);
	memcpy(out->data + start, &len, 4);
	msg = (struct span){out->data + start + 4, len};
	if (check_required(j, was, msg, e))
		return -1;
	return buf_add(out, extra.data, extra.len, e);
}

static void job_free(struct record_job *j)
{
	map_edits_free(&j->edits);
	buf_free(&j->extra);
}

/* Does the record go when this row goes? A part of a record does not take it along. */
static bool is_record(const struct img_type *type, const struct change *c)
{
	enum img_kind kind = img_type_kind(type);

	if (!strcmp(c->table, "nsid") || !strcmp(c->table, "thread"))
		return false;
	if (!strcmp(c->table, "sysctl"))
		return kind == IMG_NSIMG_SYSCTL;
	return strcmp(c->table, "socket_queue") != 0 || kind == IMG_SK_QUEUES;
}

int export_record(struct record_cache *rc, const struct img_type *type,
		  const struct img_record *rec, const struct change *c, size_t n,
		  const struct export_opts *opts, struct buf *out, struct err *e)
{
	__attribute__((cleanup(job_free))) struct record_job j = {
		.rc = rc, .type = type, .rec = rec, .opts = opts};

	for (size_t i = 0; i < n; i++)
		if (c[i].how == CHANGE_DELETED && is_record(type, &c[i]))
			return 0;
	if (type->shape == IMG_SHAPE_WHOLE)
		return put_text(rc, rec, c, out, e);
	if (type->shape == IMG_SHAPE_NETLINK)
		return put_netlink(rc, rec, c, out, e);
	for (size_t i = 0; i < n; i++)
		if (change_edits(&j, &c[i], e))
			return err_wrap(e, "%s %lld", c[i].table, (long long)c[i].row);
	return put_entry(&j, rec->msg, out, e);
}

/* ---- added rows ---- */

static const struct {
	const char *table;
	int64_t family; /* 0: any */
	enum map_id map;
	const char *part;
	uint64_t fd_type; /* of file_entry */
} added[] = {
	{"socket", 2, MAP_INET, "isk.", FD_TYPES__INETSK},
	{"socket", 10, MAP_INET, "isk.", FD_TYPES__INETSK},
	{"socket", 1, MAP_UNIX, "usk.", FD_TYPES__UNIXSK},
	{"socket", 16, MAP_NETLINK, "nlsk.", FD_TYPES__NETLINKSK},
	{"socket", 17, MAP_PACKET, "psk.", FD_TYPES__PACKETSK},
	{"tun_file", 0, MAP_TUN, "tunf.", FD_TYPES__TUNF},
	{"ns_file", 0, MAP_NS_FILE, "nsf.", FD_TYPES__NS},
	{"fd", 0, MAP_FD, "", 0},
	{"device", 0, MAP_DEVICE, "", 0},
	{"sysctl", 0, MAP_SYSCTL, "", 0},
	{"netns", 0, MAP_NETNS, "", 0},
};

static int added_netlink(struct record_cache *rc, const struct img_type *type,
			 const struct change *c, struct record_job *j, struct buf *out,
			 struct err *e)
{
	static const uint8_t zero[4];
	auto_buf struct buf msg = {0};
	struct wire_value v;

	if (record_bytes(record_table(rc, c->table, e)->db, c->table, c->row, &msg, e))
		return -1;
	if (type->shape == IMG_SHAPE_NETLINK)
		return buf_add(out, msg.data, msg.len, e) || buf_add(out, zero, -msg.len & 3, e)
			       ? -1
			       : 0;
	v = wire_bytes(msg.data, msg.len);
	if (map_edits_add(&j->edits, "", "msg", &v, 1, e))
		return -1;
	return put_entry(j, (struct span){0}, out, e);
}

static int added_file_head(struct record_job *j, const struct sql_table *t,
			   const struct sql_row *row, uint64_t fd_type, struct err *e)
{
	struct wire_value type = wire_number(fd_type);
	struct wire_value id = wire_number((uint64_t)row->cell[sql_column_find(t, "file_id")].num);

	return map_edits_add(&j->edits, "", "type", &type, 1, e) ||
			       map_edits_add(&j->edits, "", "id", &id, 1, e)
		       ? -1
		       : 0;
}

/* A device that came from another namespace: its record, with the sysctls in it. */
static int moved_device(struct record_cache *rc, const struct img_type *type, struct change c,
			const struct record_origin *o, const struct export_opts *opts,
			struct buf *out, struct err *e)
{
	struct db *db = record_table(rc, c.table, e)->db;
	auto_query struct query *q = query_new(
		db, "SELECT id FROM sysctl WHERE file = :file AND rec = :rec ORDER BY id", e);
	auto_buf struct buf msg = {0};
	auto_free struct change *all = calloc(1, sizeof(*all));
	struct img_record rec = {.no = (uint32_t)o->rec};
	size_t n = 1;
	int res;

	if (!all)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (!q || query_bind_int(q, "file", o->file, e) || query_bind_int(q, "rec", o->rec, e) ||
	    record_message(db, o, &msg, e))
		return -1;
	c.how = CHANGE_EDITED;
	all[0] = c;
	while ((res = query_next(q, e)) == 1) {
		struct change *more = reallocarray(all, n + 1, sizeof(*all));

		if (!more)
			return err_set(e, ERR_NOMEM, "out of memory");
		all = more;
		all[n++] = (struct change){.table = "sysctl",
					   .row = query_int(q, 0),
					   .file = o->file,
					   .rec = o->rec,
					   .rows = ROWS_ALL,
					   .how = CHANGE_EDITED};
	}
	rec.msg = buf_span(&msg);
	return res ? -1 : export_record(rc, type, &rec, all, n, opts, out, e);
}

int export_added(struct record_cache *rc, const struct change *c, const struct export_opts *opts,
		 struct buf *out, struct err *e)
{
	const struct img_type *type = img_type_get(c->kind);
	__attribute__((cleanup(job_free))) struct record_job j = {
		.rc = rc, .type = type, .opts = opts};
	auto_buf struct buf text = {0};
	struct sql_row row = {.text = &text};
	struct record_origin o;
	struct sql_table *t;
	int64_t family;
	int col;

	if (rta_table_find(c->table) != RTA_TABLE_COUNT && strcmp(c->table, "device") != 0)
		return added_netlink(rc, type, c, &j, out, e);
	if (read_cells(rc, c->table, c->row, &row, &t, e))
		return -1;
	if (!strcmp(c->table, "device") && record_origin(t, t->db, &row, &o, e))
		return -1;
	if (!strcmp(c->table, "device") && o.is_there)
		return moved_device(rc, type, *c, &o, opts, out, e);
	col = sql_column_find(t, "family");
	family = col >= 0 ? row.cell[col].num : 0;
	for (size_t i = 0; i < ARRAY_SIZE(added); i++) {
		if (strcmp(added[i].table, c->table) != 0 ||
		    (added[i].family && added[i].family != family))
			continue;
		if ((added[i].fd_type && added_file_head(&j, t, &row, added[i].fd_type, e)) ||
		    record_edits(rc, added[i].map, (struct span){0}, ROWS_ALL, c->row,
				 added[i].part, &j.edits, e))
			return err_wrap(e, "%s %lld", c->table, (long long)c->row);
		return put_entry(&j, (struct span){0}, out, e);
	}
	return err_set(e, ERR_UNSUPPORTED, "row %lld of %s was added: no record can be made of it",
		       (long long)c->row, c->table);
}
