#include "inspect/rows.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/hex.h"

struct db *rows_open(const struct cli *c, unsigned arg, int64_t *image, struct err *e)
{
	auto_db struct db *db = NULL;
	int64_t id = 0;

	if (image && cli_image(c, &id, e))
		return NULL;
	db = db_open(cli_arg(c, arg), DB_READ, e);
	if (!db || (image && db_image_pick(db, id, image, e)))
		return NULL;
	return take_ptr(db);
}

#define MAX_NAMES 4096 /* that a mistyped name is compared with */

struct names {
	char *at[MAX_NAMES];
	unsigned n;
};

static const char *name_at(const void *arg, unsigned i)
{
	const struct names *names = arg;

	return i < names->n ? names->at[i] : NULL;
}

static int no_netns(struct db *db, int64_t image, const char *word, struct err *e)
{
	auto_query struct query *q = query_new(
		db, "SELECT name FROM netns WHERE image = :image AND name IS NOT NULL", e);
	auto_free struct names *names = calloc(1, sizeof(*names));
	const char *near;

	if (!q || !names || query_bind_int(q, "image", image, e))
		return -1;
	while (names->n < MAX_NAMES && query_next(q, e) == 1) {
		names->at[names->n] = strdup(query_text(q, 0));
		if (names->at[names->n])
			names->n++;
	}
	near = cli_nearest(word, name_at, names);
	if (near)
		err_set(e, ERR_NOTFOUND, "no namespace '%s' in the image; did you mean '%s'?", word,
			near);
	else
		err_set(e, ERR_NOTFOUND,
			"no namespace '%s' in the image (nsimg show DB namespaces lists them)",
			word);
	for (unsigned i = 0; i < names->n; i++)
		free(names->at[i]);
	return -1;
}

int rows_netns_check(struct db *db, int64_t image, const char *word, struct err *e)
{
	struct err why = ERR_INIT;
	int64_t id;

	if (!rows_netns(db, image, word, &id, &why) || why.code == ERR_USAGE)
		return 0;
	*e = why;
	return -1;
}

int rows_netns(struct db *db, int64_t image, const char *word, int64_t *id, struct err *e)
{
	auto_query struct query *q = query_new(
		db,
		"SELECT id FROM netns WHERE image = :image AND (name = :word OR 'ns' || ns_id = "
		":word OR CAST(ns_id AS TEXT) = :word) ORDER BY name IS NOT :word LIMIT 2",
		e);
	int rc;

	if (!q || query_bind_int(q, "image", image, e) || query_bind_text(q, "word", word, e))
		return -1;
	rc = query_next(q, e);
	if (rc != 1)
		return rc ? -1 : no_netns(db, image, word, e);
	*id = query_int(q, 0);
	rc = query_next(q, e);
	if (rc == 1)
		return err_set(e, ERR_USAGE,
			       "several namespaces are called '%s': give the number (nsimg show DB "
			       "namespaces)",
			       word);
	return rc;
}

int rows_cell_text(const struct query *q, int col, struct buf *out, bool *is_null, struct err *e)
{
	struct span blob;

	buf_reset(out);
	*is_null = query_is_null(q, col);
	switch (query_type(q, col)) {
	case QUERY_NULL:
		return buf_reserve(out, 1, e);
	case QUERY_INT:
		return buf_printf(out, e, "%" PRId64, query_int(q, col));
	case QUERY_REAL:
		return buf_printf(out, e, "%.15g", query_real(q, col));
	case QUERY_TEXT:
		return buf_add_str(out, query_text(q, col), e);
	case QUERY_BLOB:
		break;
	}
	blob = query_blob(q, col);
	return buf_add_str(out, "x'", e) || hex_add(out, blob.data, blob.len, e)
		       ? -1
		       : buf_add_str(out, "'", e);
}

int rows_to_table(struct query *q, struct table *t, struct err *e)
{
	auto_buf struct buf text = {0};
	int rc, n = query_n_columns(q);

	while ((rc = query_next(q, e)) == 1) {
		if (table_row(t, e))
			return -1;
		for (int i = 0; i < n; i++) {
			bool is_null;

			if (rows_cell_text(q, i, &text, &is_null, e) ||
			    table_cell(t, (size_t)i, is_null ? NULL : (const char *)text.data, e))
				return -1;
		}
	}
	return rc;
}

int rows_print(const struct cli *c, struct db *db, const char *sql, int64_t image,
	       const struct table_col *cols, size_t n_cols, struct err *e)
{
	auto_query struct query *q = query_new(db, sql, e);
	auto_table struct table *t = table_new(cols, n_cols, e);

	if (!q || !t || query_bind_int(q, "image", image, e) || rows_to_table(q, t, e))
		return -1;
	return cli_print_table(c, t, e);
}

static struct json *cell_json(const struct query *q, int col, bool is_json)
{
	struct err e = ERR_INIT;
	struct json *j;

	switch (query_type(q, col)) {
	case QUERY_NULL:
		return json_new_null();
	case QUERY_INT:
		return json_new_int(query_int(q, col));
	case QUERY_REAL:
		return json_new_real(query_real(q, col));
	default:
		break;
	}
	if (is_json) {
		/* an edited or damaged image may hold text that is no JSON */
		j = json_parse_bytes(query_text(q, col), strlen(query_text(q, col)), &e);
		if (j)
			return j;
	}
	return json_new_str(query_text(q, col));
}

struct json *rows_object(const struct query *q, struct err *e)
{
	auto_json struct json *o = json_new_object();

	for (int i = 0; i < query_n_columns(q); i++) {
		const char *name = query_column_name(q, i);
		size_t n = strlen(name);
		bool is_json = n > 5 && strcmp(name + n - 5, "_json") == 0;
		auto_free char *key = strndup(name, is_json ? n - 5 : n);

		if (!o || !key) {
			err_set(e, ERR_NOMEM, "row: out of memory");
			return NULL;
		}
		if (json_set(o, key, cell_json(q, i, is_json), e))
			return NULL;
	}
	return take_ptr(o);
}
