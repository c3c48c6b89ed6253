#include "inspect/edit/edit_int.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "imgdb/oplog.h"
#include "imgdb/record.h"

/* ---- for operations ---- */

struct db *edit_db(const struct edit *x)
{
	return x->db;
}

int64_t edit_image(const struct edit *x)
{
	return x->image;
}

int64_t edit_id(const struct edit *x)
{
	return x->op;
}

int edit_left(struct edit *x, struct err *e, const char *object, const char *reason, ...)
{
	struct json *o = json_new_object();
	char text[512], name[300];
	va_list ap;

	va_start(ap, reason);
	vsnprintf(text, sizeof(text), reason, ap);
	va_end(ap);
	snprintf(name, sizeof(name), "%s", object);
	if (x->has_named && x->image)
		snprintf(name, sizeof(name), "image %" PRId64 ": %s", x->image, object);
	if (!o || json_set(o, "object", json_new_str(name), e) ||
	    json_set(o, "reason", json_new_str(text), e)) {
		json_free(o);
		return err_set(e, ERR_NOMEM, "out of memory");
	}
	return json_push(x->left, o, e);
}

void edit_ids_free(struct edit_ids *ids)
{
	free(ids->id);
	*ids = (struct edit_ids){0};
}

int edit_ids_add(struct edit_ids *ids, int64_t id, struct err *e)
{
	if (ids->n == ids->cap) {
		size_t cap = ids->cap ? ids->cap * 2 : 16;
		int64_t *bigger = reallocarray(ids->id, cap, sizeof(*bigger));

		if (!bigger)
			return err_set(e, ERR_NOMEM, "out of memory");
		ids->id = bigger;
		ids->cap = cap;
	}
	ids->id[ids->n++] = id;
	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

void edit_ids_sort(struct edit_ids *ids)
{
	size_t n = 0;

	if (ids->n)
		qsort(ids->id, ids->n, sizeof(*ids->id), compare_ids);
	for (size_t i = 0; i < ids->n; i++)
		if (!n || ids->id[n - 1] != ids->id[i])
			ids->id[n++] = ids->id[i];
	ids->n = n;
}

bool edit_ids_has(const struct edit_ids *sorted, int64_t id)
{
	return sorted->n && bsearch(&id, sorted->id, sorted->n, sizeof(id), compare_ids);
}

const char *const *edit_words(const struct cli *c, unsigned first, unsigned *n)
{
	*n = cli_n_args(c) > first ? cli_n_args(c) - first : 0;
	return cli_args(c) + first;
}

/* Does the statement have the parameter :name? */
static bool has_param(const char *sql, const char *name)
{
	size_t n = strlen(name);

	for (const char *at = sql; (at = strchr(at, ':')); at++)
		if (!strncmp(at + 1, name, n) && !isalnum((unsigned char)at[n + 1]) &&
		    at[n + 1] != '_')
			return true;
	return false;
}

/* A statement, kept for the next time, and bound. Lent. */
static struct query *bound(struct edit *x, const char *sql, const struct edit_bind *b,
			   struct err *e)
{
	unsigned i = 0;

	while (i < x->n_kept && strcmp(x->kept[i].sql, sql) != 0)
		i++;
	if (i == ARRAY_SIZE(x->kept))
		i = x->n_kept = 0;
	if (i == x->n_kept) {
		query_free(x->kept[i].q);
		free(x->kept[i].sql);
		x->kept[i].sql = strdup(sql);
		x->kept[i].q = query_new(x->db, sql, e);
		if (!x->kept[i].q)
			return NULL;
		if (!x->kept[i].sql) {
			err_set(e, ERR_NOMEM, "out of memory");
			return NULL;
		}
		x->n_kept++;
	}
	for (; b && b->name; b++)
		if (has_param(sql, b->name) &&
		    (b->text ? query_bind_text(x->kept[i].q, b->name, b->text, e)
			     : query_bind_int(x->kept[i].q, b->name, b->num, e)))
			return NULL;
	return x->kept[i].q;
}

int edit_exec(struct edit *x, const char *sql, const struct edit_bind *binds, struct err *e)
{
	struct query *q = bound(x, sql, binds, e);
	int rc;

	while ((rc = q ? query_next(q, e) : -1) == 1)
		;
	return rc;
}

int edit_number(struct edit *x, const char *sql, const struct edit_bind *binds, int64_t *out,
		bool *found, struct err *e)
{
	struct query *q = bound(x, sql, binds, e);
	int rc = q ? query_next(q, e) : -1;

	if (rc < 0)
		return -1;
	*found = rc && !query_is_null(q, 0);
	if (*found)
		*out = query_int(q, 0);
	return rc ? query_reset(q, e) : 0;
}

int edit_text(struct edit *x, const char *sql, const struct edit_bind *binds, struct buf *out,
	      bool *found, struct err *e)
{
	struct query *q = bound(x, sql, binds, e);
	int rc = q ? query_next(q, e) : -1;

	if (rc < 0)
		return -1;
	*found = rc && !query_is_null(q, 0);
	if (*found && buf_add_str(out, query_text(q, 0), e))
		return -1;
	return rc ? query_reset(q, e) : 0;
}

int edit_ids_query(struct edit *x, const char *sql, const struct edit_bind *binds,
		   struct edit_ids *ids, struct err *e)
{
	struct query *q = bound(x, sql, binds, e);
	int rc;

	while ((rc = q ? query_next(q, e) : -1) == 1)
		if (edit_ids_add(ids, query_int(q, 0), e))
			return -1;
	return rc;
}

int edit_name(struct edit *x, const char *tbl, int64_t row, struct buf *out, struct err *e)
{
	if (!x->labels)
		x->labels = edit_labels_new(x->db, x->op, e);
	buf_reset(out);
	return x->labels ? edit_label(x->labels, tbl, row, NULL, out, e) : -1;
}

/* ---- the images that are meant ---- */

static int all_images(struct db *db, struct edit_ids *images, struct err *e)
{
	auto_query struct query *q = query_new(db, "SELECT id FROM image ORDER BY id", e);
	int rc = -1;

	while (q && (rc = query_next(q, e)) == 1)
		if (edit_ids_add(images, query_int(q, 0), e))
			return -1;
	if (!rc && !images->n)
		return err_set(e, ERR_NOTFOUND,
			       "there is no image in the database (nsimg import adds one)");
	return rc ? -1 : 0;
}

int edit_pick_images(struct db *db, const struct cli *c, struct edit_ids *images, struct err *e)
{
	const char *word = cli_value(c, "image");
	int64_t id = 0;

	if (word && !strcmp(word, "all"))
		return all_images(db, images, e);
	if (word && cli_parse_number(word, 1, INT64_MAX, &id, "--image", &(struct err)ERR_INIT))
		return err_set(e, ERR_USAGE, "--image: '%s' is neither a number nor 'all'", word);
	return db_image_pick(db, id, &id, e) || edit_ids_add(images, id, e) ? -1 : 0;
}

/* ---- one operation ---- */

void edit_free(struct edit *x)
{
	for (size_t i = 0; i < ARRAY_SIZE(x->kept); i++) {
		query_free(x->kept[i].q);
		free(x->kept[i].sql);
	}
	edit_labels_free(x->labels);
	edit_ids_free(&x->images);
	json_free(x->left);
}

int edit_begin(struct edit *x, const struct cli *c, struct err *e)
{
	auto_buf struct buf line = {0};

	x->left = json_new_array();
	if (!x->left)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (edit_pick_images(x->db, c, &x->images, e) || cli_line(c, 1, &line, e))
		return -1;
	x->has_named = x->images.n > 1;
	return oplog_begin(x->db, (const char *)line.data, &x->op, e);
}

int edit_each(struct edit *x, const struct cli *c, edit_fn *run, struct err *e)
{
	size_t n_done = 0;

	for (size_t i = 0; i < x->images.n; i++) {
		struct err why = ERR_INIT;
		int rc;

		x->image = x->images.id[i];
		if (db_begin(x->db, e))
			return -1;
		rc = run(x, c, &why);
		if (db_end(x->db, !rc, &why))
			rc = -1;
		n_done += !rc;
		if (!rc)
			continue;
		*e = why;
		if (x->images.n == 1)
			return -1;
		if (why.code != ERR_NOTFOUND)
			return err_wrap(e, "image %" PRId64, x->image);
		if (edit_left(x, &why, "all of it", "%s", why.msg))
			return -1;
	}
	if (!n_done)
		return -1;
	*e = (struct err)ERR_INIT;
	return 0;
}

/* A column for which the record has no field (record_lost_fn). */
static int say_lost(void *arg, const char *table, int64_t row, const char *column, struct err *e)
{
	struct edit *x = arg;
	auto_buf struct buf name = {0};

	return edit_name(x, table, row, &name, e) ||
			       edit_left(x, e, (const char *)name.data,
					 "%s: the record in the image has no field for it: nsimg "
					 "restore takes it from the database, nsimg export refuses",
					 column)
		       ? -1
		       : 0;
}

int edit_end(struct edit *x, const struct cli *c, struct err *e)
{
	int64_t n_rows;
	int rc = record_lost(x->db, 0, x->op, say_lost, x, e);

	if (!rc)
		rc = edit_report(c,
				 &(struct edit_report){.db = x->db,
						       .op = x->op,
						       .left = x->left,
						       .all_rows = cli_has(c, "rows"),
						       .dry_run = cli_has(c, "dry-run"),
						       .has_images = x->has_named},
				 e);

	return rc || oplog_end(x->db, x->op, &n_rows, e) ? -1 : 0;
}

static int run_command(struct edit *x, const struct cli *c, struct err *e)
{
	return edit_op_run(edit_op_find(cli_cmd(c)->name), x, c, e);
}

static int do_it(struct edit *x, struct cli *c, struct err *e)
{
	const struct edit_op *op = edit_op_find(cli_cmd(c)->name);

	if (!op)
		return err_set(e, ERR_UNSUPPORTED, "%s is not in the list of operations",
			       cli_cmd(c)->name);
	if (edit_begin(x, c, e) || edit_each(x, c, run_command, e))
		return -1;
	return edit_end(x, c, e);
}

struct db *edit_open(const struct cli *c, struct err *e)
{
	/* what is only tried needs no right to write */
	const bool is_copy = cli_read_only(c) || (cli_has(c, "dry-run") &&
						  access(cli_arg(c, 0), W_OK) && errno == EACCES);
	auto_db struct db *db = db_open(cli_arg(c, 0), is_copy ? DB_READ : DB_WRITE, e);

	if (db && is_copy) {
		struct db *copy = db_copy(db, e);

		db_free(db);
		db = copy;
	}
	if (db)
		db_watch(db);
	return take_ptr(db);
}

int edit_command(struct cli *c, struct err *e)
{
	auto_db struct db *db = edit_open(c, e);
	__attribute__((cleanup(edit_free))) struct edit x = {.db = db};
	int rc;

	if (!db || db_begin(db, e))
		return -1;
	rc = do_it(&x, c, e);
	return db_end(db, !rc && !cli_has(c, "dry-run"), e) || rc ? -1 : 0;
}
