#include "inspect/origin.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/hex.h"
#include "base/json.h"
#include "imgdb/record.h"
#include "inspect/rows.h"
#include "proto/img_types.h"

/* Where a row came from. name NULL: nowhere, an edit added it. */
struct origin {
	const char *name; /* of the file, lent by the query */
	int64_t file, rec, off, size, length;
	bool has_bytes;
	struct buf bytes; /* at most ORIGIN_MAX */
};

static const char file_sql[] =
	"SELECT f.id, f.size, f.content IS NOT NULL FROM image_file f WHERE f.name = :name AND "
	"f.image = :image";

static uint32_t le32(const uint8_t *b)
{
	return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* Where the payload behind a message ends: the next record, or the end of the file. */
static int payload_end(struct db *db, const struct origin *o, int64_t *end, struct err *e)
{
	auto_query struct query *q = query_new(
		db, "SELECT min(off) FROM socket_queue WHERE file = :file AND off > :off", e);

	if (!q || query_bind_int(q, "file", o->file, e) || query_bind_int(q, "off", o->off, e) ||
	    query_next(q, e) != 1)
		return -1;
	*end = query_is_null(q, 0) ? o->size : query_int(q, 0);
	return 0;
}

/* Bytes of the record into o->length, with the word that says how many follow and with what the file has behind the
 * message (proto/img_types.h: shapes). */
static int record_length(struct db *db, struct origin *o, const uint8_t *head, struct err *e)
{
	const struct img_type *type = img_type_of_name(o->name, NULL);
	int64_t rest = o->size - o->off, end = o->size;

	o->length = rest;
	if (type && type->shape == IMG_SHAPE_NETLINK)
		o->length = le32(head);
	if (!type || type->shape != IMG_SHAPE_ENTRIES || type->extra == IMG_EXTRA_REST)
		return 0;
	o->length = 4 + (int64_t)le32(head);
	if (type->extra != IMG_EXTRA_NONE) {
		if (payload_end(db, o, &end, e))
			return -1;
		if (end - o->off > o->length)
			o->length = end - o->off;
	}
	return 0;
}

static int origin_bytes(struct db *db, struct origin *o, struct err *e)
{
	auto_buf struct buf head = {0};
	int64_t n;

	if (o->off < 0 || o->off > o->size)
		return 0;
	n = o->size - o->off;
	if (record_file_bytes(db, o->file, (size_t)o->off, n < 4 ? (size_t)n : 4, &head, e))
		return -1;
	o->length = n;
	if (n >= 4 && record_length(db, o, head.data, e))
		return -1;
	if (o->length > n)
		o->length = n;
	n = o->length < ORIGIN_MAX ? o->length : ORIGIN_MAX;
	o->has_bytes = true;
	buf_reset(&o->bytes);
	return record_file_bytes(db, o->file, (size_t)o->off, (size_t)n, &o->bytes, e);
}

static int column(const struct table_col *cols, size_t n_cols, const char *name)
{
	for (size_t i = 0; i < n_cols; i++) {
		if (strcmp(cols[i].name, name) == 0)
			return (int)i;
	}
	return -1;
}

/* The columns that say where a row came from. The first every table has; a task has another record, too. */
static const struct origin_place {
	const char *file, *rec, *off, *member;
} places[] = {
	{"file", "rec", "off", "origin"},
	{"core_file", "core_rec", "core_off", "core"},
};

static int origin_read(struct db *db, struct query *files, const struct query *q,
		       const struct table_col *cols, size_t n_cols,
		       const struct origin_place *place, int64_t image, struct origin *o,
		       struct err *e)
{
	int file = column(cols, n_cols, place->file), rec = column(cols, n_cols, place->rec),
	    off = column(cols, n_cols, place->off), rc;

	o->name = NULL;
	o->has_bytes = false;
	if (file < 0 || rec < 0 || off < 0)
		return err_set(e, ERR_USAGE,
			       "--origin: rows of this table are not records of a file");
	if (query_is_null(q, file))
		return 0;
	o->name = query_text(q, file);
	o->rec = query_int(q, rec);
	o->off = query_int(q, off);
	if (query_bind_text(files, "name", o->name, e) || query_bind_int(files, "image", image, e))
		return -1;
	rc = query_next(files, e);
	if (rc <= 0)
		return rc;
	o->file = query_int(files, 0);
	o->size = query_int(files, 1);
	return query_int(files, 2) ? origin_bytes(db, o, e) : 0;
}

/* ---- text ---- */

/* As hexdump -C: offset in the file, 16 bytes, the printable ones. */
static void print_dump(const struct origin *o, FILE *out)
{
	const uint8_t *b = o->bytes.data;
	size_t n = o->bytes.len;

	for (size_t at = 0; at < n; at += 16) {
		fprintf(out, "    %08" PRIx64 " ", (uint64_t)o->off + at);
		for (size_t i = at; i < at + 16; i++) {
			if (i < n)
				fprintf(out, "%s%02x", i == at + 8 ? "  " : " ", b[i]);
			else
				fputs(i == at + 8 ? "    " : "   ", out);
		}
		fputs("  |", out);
		for (size_t i = at; i < at + 16 && i < n; i++)
			fputc(b[i] >= 0x20 && b[i] < 0x7f ? b[i] : '.', out);
		fputs("|\n", out);
	}
	if ((int64_t)n < o->length)
		fprintf(out, "    ... %" PRId64 " bytes more\n", o->length - (int64_t)n);
}

static int print_origin(const struct origin *o, FILE *out, struct err *e)
{
	auto_buf struct buf name = {0};

	if (!o->name) {
		fputs("  from no record of the image: import or an edit added it\n", out);
		return 0;
	}
	if (escape_show(&name, o->name, strlen(o->name), e))
		return -1;
	fprintf(out, "  %s, record %" PRId64 ", offset %" PRId64, (const char *)name.data, o->rec,
		o->off);
	if (!o->has_bytes) {
		fputs(", its bytes are not in the database\n", out);
		return 0;
	}
	fprintf(out, ", %" PRId64 " bytes\n", o->length);
	print_dump(o, out);
	return 0;
}

static int print_cells(const struct query *q, const struct table_col *cols, size_t n_cols,
		       FILE *out, struct err *e)
{
	auto_buf struct buf text = {0}, shown = {0};
	bool first = true;

	for (size_t i = 0; i < n_cols; i++) {
		bool is_null;

		if (cols[i].flags & (TABLE_HIDDEN | TABLE_EXTRA))
			continue;
		buf_reset(&shown);
		if (rows_cell_text(q, (int)i, &text, &is_null, e) ||
		    escape_show(&shown, is_null ? "-" : (const char *)text.data,
				is_null ? 1 : text.len, e))
			return -1;
		fprintf(out, "%s%s=%s", first ? "" : " ", cols[i].name, (const char *)shown.data);
		first = false;
	}
	fputc('\n', out);
	return 0;
}

/* ---- JSON ---- */

static int add_hex(struct json *object, const struct origin *o, struct err *e)
{
	auto_buf struct buf hex = {0};

	if (hex_add(&hex, o->bytes.data, o->bytes.len, e))
		return -1;
	return json_set(object, "length", json_new_int(o->length), e) ||
			       json_set(object, "bytes", json_new_str((const char *)hex.data), e)
		       ? -1
		       : 0;
}

/* What the table knows to be JSON, as a value. */
static int json_cells(struct json *row, const struct query *q, const struct table_col *cols,
		      size_t n_cols, struct err *e)
{
	for (size_t i = 0; i < n_cols; i++) {
		struct err bad = ERR_INIT;
		const char *text;
		struct json *j;

		if (cols[i].type != TABLE_JSON || query_type(q, (int)i) != QUERY_TEXT)
			continue;
		text = query_text(q, (int)i);
		j = json_parse_bytes(text, strlen(text), &bad);
		if (j && json_set(row, cols[i].name, j, e))
			return -1;
	}
	return 0;
}

static int add_origin(struct json *row, const char *member, const struct origin *o, struct err *e)
{
	struct json *origin = o->name ? json_new_object() : json_new_null();

	if (json_set(row, member, origin, e) || !o->name)
		return o->name ? -1 : 0;
	return json_set(origin, "file", json_new_str(o->name), e) ||
			       json_set(origin, "record", json_new_int(o->rec), e) ||
			       json_set(origin, "offset", json_new_int(o->off), e) ||
			       (o->has_bytes && add_hex(origin, o, e))
		       ? -1
		       : 0;
}

/* A row, without its origins yet; *row is lent by the list. */
static int push_row(struct json *list, const struct query *q, const struct table_col *cols,
		    size_t n_cols, struct json **row, struct err *e)
{
	*row = rows_object(q, e);
	return !*row || json_push(list, *row, e) || json_cells(*row, q, cols, n_cols, e) ? -1 : 0;
}

static int each(const struct cli *c, struct db *db, struct query *q, const struct table_col *cols,
		size_t n_cols, struct origin *o, struct json *list, struct err *e)
{
	auto_query struct query *files = query_new(db, file_sql, e);
	struct json *row = NULL;
	int64_t image;
	int rc;

	if (!files || cli_image(c, &image, e) || db_image_pick(db, image, &image, e))
		return -1;
	while ((rc = query_next(q, e)) == 1) {
		if (list ? push_row(list, q, cols, n_cols, &row, e)
			 : print_cells(q, cols, n_cols, cli_out(c), e))
			return -1;
		for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
			if (i && column(cols, n_cols, places[i].file) < 0)
				continue;
			if (origin_read(db, files, q, cols, n_cols, &places[i], image, o, e))
				return -1;
			if (list)
				rc = add_origin(row, places[i].member, o, e);
			else if (o->name || !i)
				rc = print_origin(o, cli_out(c), e);
			if (rc < 0)
				return -1;
		}
	}
	return rc;
}

int show_origins(const struct cli *c, struct db *db, struct query *q, const struct table_col *cols,
		 size_t n_cols, struct err *e)
{
	auto_json struct json *list = cli_json(c) ? json_new_array() : NULL;
	auto_buf struct buf text = {0};
	struct origin o = {0};
	int rc;

	if (cli_has(c, "csv") || cli_has(c, "columns"))
		return err_set(e, ERR_USAGE,
			       "--origin prints text or --json (in CSV: -o +file,rec,off)");
	rc = each(c, db, q, cols, n_cols, &o, list, e);
	buf_free(&o.bytes);
	if (rc || !list)
		return rc;
	if (json_print(list, true, &text, e))
		return -1;
	fprintf(cli_out(c), "%s\n", (const char *)text.data);
	return 0;
}
