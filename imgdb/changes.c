/* What was edited: the rows of the edit log, each with the record it belongs to. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "imgdb/export_int.h"
#include "imgdb/log_row.h"
#include "imgdb/oplog.h"

/* Rows of these tables are part of the record of a socket. */
static const char *const families[] = {"inet_socket", "unix_socket", "netlink_socket",
				       "packet_socket"};

/* Tables with a record, and the kind of file that an added row goes into. */
static const struct home {
	const char *table;
	enum img_kind kind;
	bool of_netns;
} homes[] = {
	{"address", IMG_IFADDR, true},
	{"route", IMG_ROUTE, true},
	{"rule", IMG_RULE, true},
	{"neighbour", IMG_NSIMG_RTNL, true},
	{"nexthop", IMG_NSIMG_RTNL, true},
	{"traffic_control", IMG_NSIMG_RTNL, true},
	{"conntrack", IMG_NETNF_CT, true},
	{"sysctl", IMG_NSIMG_SYSCTL, true},
	{"device", IMG_NETDEV, true},
	{"fd", IMG_FDINFO, false},
	{"socket", IMG_FILES, false},
	{"tun_file", IMG_FILES, false},
	{"ns_file", IMG_FILES, false},
	{"task", IMG_KIND_COUNT, false},
	{"thread", IMG_KIND_COUNT, false},
	{"netns", IMG_NETNS, false},
	{"nsid", IMG_KIND_COUNT, false},
	{"userns", IMG_KIND_COUNT, false},
	{"firewall", IMG_KIND_COUNT, false},
	{"tcp_stream", IMG_KIND_COUNT, false},
	{"socket_queue", IMG_KIND_COUNT, false},
	{"engine_file", IMG_KIND_COUNT, false},
};

void changes_free(struct changes *all)
{
	free(all->c);
	*all = (struct changes){0};
}

static int add(struct changes *all, struct change c, struct err *e)
{
	if (all->n == all->cap) {
		size_t cap = all->cap ? all->cap * 2 : 64;
		struct change *bigger = reallocarray(all->c, cap, sizeof(*bigger));

		if (!bigger)
			return err_set(e, ERR_NOMEM, "out of memory");
		all->c = bigger;
		all->cap = cap;
	}
	all->c[all->n++] = c;
	return 0;
}

static int compare(const void *x, const void *y)
{
	const struct change *a = x, *b = y;

#define BY(field)                                                                                  \
	if (a->field != b->field)                                                                  \
	return a->field < b->field ? -1 : 1
	BY(file);
	BY(kind);
	BY(number);
	BY(rec);
	BY(table);
	BY(row);
#undef BY
	return 0;
}

static const struct home *home_of(const char *table)
{
	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		if (!strcmp(table, families[i]))
			return home_of("socket");
	for (size_t i = 0; i < ARRAY_SIZE(homes); i++)
		if (!strcmp(table, homes[i].table))
			return &homes[i];
	return NULL;
}

/* A number in a before-image; 0 for NULL and for what is not there. */
static int64_t logged_number(struct log_row *before, const char *column)
{
	int i = log_row_find(before, column);
	const char *text = i < 0 ? NULL : log_row_text(before, (unsigned)i);

	return text ? strtoll(text, NULL, 10) : 0;
}

static int64_t cell_number(const struct sql_table *t, const struct sql_row *row, const char *column)
{
	int col = sql_column_find(t, column);

	return col >= 0 ? row->cell[col].num : 0;
}

/* CRIU's route and rule images hold what its `ip route restore` can take; the rest goes into ours. */
static enum img_kind added_kind(const struct home *h, const struct sql_table *t,
				const struct sql_row *row)
{
	int64_t family = cell_number(t, row, "family"), table = cell_number(t, row, "table");
	bool is_plain;

	if (h->kind == IMG_ROUTE) {
		is_plain = (table == 254 || table == 255) && !cell_number(t, row, "nh_id");
		return !is_plain ? IMG_NSIMG_RTNL : family == 10 ? IMG_ROUTE6 : IMG_ROUTE;
	}
	if (h->kind == IMG_RULE && family != 2)
		return IMG_NSIMG_RTNL;
	return h->kind;
}

static int netns_number(struct db *db, int64_t netns, uint64_t *number, struct err *e)
{
	auto_query struct query *q = query_new(db, "SELECT ns_id FROM netns WHERE id = :id", e);

	if (!q || query_bind_int(q, "id", netns, e))
		return -1;
	if (query_next(q, e) != 1)
		return err_set(e, ERR_NOTFOUND, "no namespace %lld", (long long)netns);
	*number = (uint64_t)query_int(q, 0);
	return 0;
}

static int add_added(struct db *db, struct changes *all, const struct home *h, struct sql_table *t,
		     int64_t id, struct err *e)
{
	struct change c = {.table = h->table, .row = id, .how = CHANGE_ADDED};
	auto_buf struct buf text = {0};
	struct sql_row row = {.text = &text};

	if (sql_row_read(t, id, &row, e) < 0)
		return -1;
	if (h->kind == IMG_KIND_COUNT)
		return err_set(e, ERR_UNSUPPORTED,
			       "row %lld of %s was added: there is no record to make "
			       "of it",
			       (long long)id, h->table);
	c.kind = added_kind(h, t, &row);
	if (h->of_netns && netns_number(db, row.cell[t->netns].num, &c.number, e))
		return -1;
	if (c.kind == IMG_NETNS)
		c.number = (uint64_t)cell_number(t, &row, "ns_id");
	if (c.kind == IMG_FDINFO)
		c.number = (uint64_t)cell_number(t, &row, "files_id");
	return add(all, c, e);
}

/* What is in a task's row comes from three files. */
static int add_task_files(struct db *db, struct changes *all, struct change c, int64_t image,
			  struct err *e)
{
	auto_query struct query *q = query_new(
		db,
		"SELECT id FROM image_file WHERE image = :image AND kind IN ('IDS', 'CORE') AND "
		"number = (SELECT pid FROM task WHERE id = :task)",
		e);
	int rc;

	if (!q || query_bind_int(q, "image", image, e) || query_bind_int(q, "task", c.row, e))
		return -1;
	c.rec = 0;
	while ((rc = query_next(q, e)) == 1) {
		c.file = query_int(q, 0);
		if (add(all, c, e))
			return -1;
	}
	return rc;
}

/* Where a row is now, and where it came from. */
struct place {
	bool is_there, has_record;
	int64_t image, file, rec, netns;
};

/* Asks for places: mostly many of one table, one after the other. */
struct asker {
	struct db *db;
	const struct home *h;
	struct query *q;
};

static void asker_free(struct asker *a)
{
	query_free(a->q);
}

static int asker_set(struct asker *a, const struct home *h, struct err *e)
{
	char sql[120];

	if (a->h == h)
		return 0;
	snprintf(sql, sizeof(sql), "SELECT image, file, rec, %s FROM %s WHERE id = :id",
		 h->of_netns ? "netns" : "NULL", h->table);
	query_free(a->q);
	a->q = query_new(a->db, sql, e);
	a->h = a->q ? h : NULL;
	return a->q ? 0 : -1;
}

/* These columns alone: most of the time of reading a socket is in the others. */
static int read_place(struct asker *a, const struct home *h, int64_t id, struct place *p,
		      struct err *e)
{
	int rc;

	*p = (struct place){0};
	if (asker_set(a, h, e) || query_bind_int(a->q, "id", id, e))
		return -1;
	rc = query_next(a->q, e);
	if (rc != 1)
		return rc;
	*p = (struct place){true,
			    !query_is_null(a->q, 1),
			    query_int(a->q, 0),
			    query_int(a->q, 1),
			    query_int(a->q, 2),
			    query_int(a->q, 3)};
	return 0;
}

/* A row whose namespace is another one than that of its file is left out there, and goes into the file of the
 * other one. moved->number stays 0 when it is not such a row. Values of a list of sysctls go with the record
 * that has the list. */
static int find_moved(struct db *db, const struct home *h, const struct place *p,
		      struct log_row *before, struct change *moved, struct err *e)
{
	const struct img_type *type;
	uint64_t number;

	if (!h->of_netns || logged_number(before, "netns") == p->netns)
		return 0;
	if (record_file_type(db, p->file, &type, &number, e) ||
	    netns_number(db, p->netns, &moved->number, e))
		return -1;
	moved->kind = img_type_kind(type);
	if (number == moved->number ||
	    (!strcmp(h->table, "sysctl") && moved->kind != IMG_NSIMG_SYSCTL))
		moved->number = 0;
	return 0;
}

/* An entry of the log: the first about its row. */
struct entry {
	int64_t id, row;
	const char *table, *action;
	bool has_before; /* the row as it was, which is long and seldom looked at */
};

static struct query *ask_before(struct db *db, const struct entry *l, struct err *e)
{
	auto_query struct query *q = query_new(db, "SELECT before FROM edit_log WHERE id = :id", e);

	if (!q || query_bind_int(q, "id", l->id, e) || query_next(q, e) < 0)
		return NULL;
	return take_ptr(q);
}

static int read_before(struct db *db, const struct entry *l, struct log_row *before, struct err *e)
{
	auto_query struct query *q = ask_before(db, l, e);

	return q && query_text(q, 0) ? log_row_read(before, query_text(q, 0), e) : q ? 0 : -1;
}

static int add_row(struct asker *ask, int64_t image, struct changes *all, const struct home *h,
		   const struct entry *l, struct err *e)
{
	struct db *db = ask->db;
	struct record_cache *rc = record_cache_get(db, e);
	struct sql_table *t = rc ? record_table(rc, h->table, e) : NULL;
	struct change c = {.table = h->table,
			   .row = l->row,
			   .rows = strcmp(l->table, h->table) ? ROW_OF_FAMILY : ROW_OWN,
			   .kind = IMG_KIND_COUNT},
		      moved = c;
	auto_log_row struct log_row before = {0};
	struct place p;

	if (!t || read_place(ask, h, l->row, &p, e))
		return -1;
	if (p.is_there && p.image != image)
		return 0;
	/* most rows tell all themselves */
	if (l->has_before && (!p.has_record || h->of_netns) && read_before(db, l, &before, e))
		return -1;
	if (p.has_record) {
		c.file = p.file;
		c.rec = p.rec;
		if (l->action[0] != 'i' && find_moved(db, h, &p, &before, &moved, e))
			return -1;
	} else if (logged_number(&before, "image") == image && logged_number(&before, "file")) {
		c.file = logged_number(&before, "file");
		c.rec = logged_number(&before, "rec");
	} else {
		return p.is_there ? add_added(db, all, h, t, l->row, e) : 0;
	}
	c.how = p.is_there && !moved.number ? CHANGE_EDITED : CHANGE_DELETED;
	/* the files of a namespace go with it */
	if (!p.is_there && !strcmp(h->table, "netns"))
		c.number = (uint64_t)logged_number(&before, "ns_id");
	moved.how = CHANGE_ADDED;
	if (add(all, c, e) || (moved.number && add(all, moved, e)))
		return -1;
	return !strcmp(h->table, "task") && p.is_there ? add_task_files(db, all, c, image, e) : 0;
}

/* Of the row of an image one column is in a record: that of the inventory. */
static int add_image(struct db *db, int64_t image, struct changes *all, const struct entry *l,
		     struct err *e)
{
	struct change c = {
		.table = "image", .row = l->row, .how = CHANGE_EDITED, .kind = IMG_KIND_COUNT};
	auto_query struct query *q = NULL;
	int rc;

	if (l->row != image || !l->has_before)
		return 0;
	q = query_new(db,
		      "SELECT f.id FROM image i JOIN image_file f ON f.image = i.id AND f.kind = "
		      "'INVENTORY' WHERE i.id = :image AND i.lock_method IS NOT (SELECT "
		      "json_extract(before, '$.lock_method') FROM edit_log WHERE id = :log)",
		      e);
	if (!q || query_bind_int(q, "image", image, e) || query_bind_int(q, "log", l->id, e))
		return -1;
	while ((rc = query_next(q, e)) == 1) {
		c.file = query_int(q, 0);
		if (add(all, c, e))
			return -1;
	}
	return rc;
}

int changes_load(struct db *db, int64_t image, struct changes *all, struct err *e)
{
	/* with one min() the other columns are of the row that has it (sqlite.org/lang_select.html) */
	auto_query struct query *q =
		query_new(db,
			  "SELECT tbl, row, action, before IS NOT NULL, min(id) FROM edit_log "
			  "WHERE " OPLOG_IN_FORCE " GROUP BY tbl, row",
			  e);
	__attribute__((cleanup(asker_free))) struct asker ask = {.db = db};
	size_t n = 0;
	int rc;

	if (!q)
		return -1;
	while ((rc = query_next(q, e)) == 1) {
		const struct entry l = {.id = query_int(q, 4),
					.row = query_int(q, 1),
					.table = query_text(q, 0),
					.action = query_text(q, 2),
					.has_before = query_int(q, 3)};
		const struct home *h = home_of(l.table);

		if (!strcmp(l.table, "image") && add_image(db, image, all, &l, e))
			return -1;
		if (h && add_row(&ask, image, all, h, &l, e))
			return -1;
	}
	if (rc < 0)
		return -1;
	if (all->n)
		qsort(all->c, all->n, sizeof(all->c[0]), compare);
	/* a socket and its family row may both be in the log */
	for (size_t i = 0; i < all->n; i++)
		if (n && !compare(&all->c[n - 1], &all->c[i]))
			all->c[n - 1].rows |= all->c[i].rows;
		else
			all->c[n++] = all->c[i];
	all->n = n;
	return 0;
}
