#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/cli.h"
#include "base/escape.h"
#include "base/json.h"
#include "base/table_int.h"

struct table *table_new(const struct table_col *cols, size_t n_cols, struct err *e)
{
	struct table *t = calloc(1, sizeof(*t));

	if (!t) {
		err_set(e, ERR_NOMEM, "table: out of memory");
		return NULL;
	}
	t->cols = cols;
	t->n_cols = n_cols;
	return t;
}

void table_free(struct table *t)
{
	if (!t)
		return;
	arena_free(&t->texts);
	free(t->cells);
	free(t);
}

int table_row(struct table *t, struct err *e)
{
	if (t->n_rows == t->cap_rows) {
		size_t cap = t->cap_rows ? t->cap_rows * 2 : 32;
		struct cell *cells = reallocarray(t->cells, cap * t->n_cols, sizeof(*cells));

		if (!cells)
			return err_set(e, ERR_NOMEM, "table of %zu rows: out of memory", cap);
		t->cells = cells;
		t->cap_rows = cap;
	}
	for (size_t i = 0; i < t->n_cols; i++)
		t->cells[t->n_rows * t->n_cols + i] = (struct cell){NULL, t->cols[i].type};
	t->n_rows++;
	return 0;
}

int table_cell_typed(struct table *t, size_t col, enum table_type type, const char *text,
		     struct err *e)
{
	struct cell *c = &t->cells[(t->n_rows - 1) * t->n_cols + col];
	const char *copy = text ? arena_text(&t->texts, text, strlen(text), e) : NULL;

	if (text && !copy)
		return -1;
	*c = (struct cell){copy, type};
	return 0;
}

int table_cell(struct table *t, size_t col, const char *text, struct err *e)
{
	return table_cell_typed(t, col, t->cols[col].type, text, e);
}

void table_cell_lent(struct table *t, size_t col, const char *text)
{
	t->cells[(t->n_rows - 1) * t->n_cols + col] = (struct cell){text, t->cols[col].type};
}

int table_cellf(struct table *t, size_t col, struct err *e, const char *fmt, ...)
{
	auto_buf struct buf text = {0};
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = buf_vprintf(&text, e, fmt, ap);
	va_end(ap);
	return rc ? -1 : table_cell(t, col, (const char *)text.data, e);
}

int table_cell_int(struct table *t, size_t col, int64_t v, struct err *e)
{
	char digits[BUF_DIGITS];

	return table_cell(t, col, buf_digits(digits, v), e);
}

size_t table_rows(const struct table *t)
{
	return t->n_rows;
}

unsigned table_terminal_width(FILE *out)
{
	const char *env = getenv("COLUMNS");
	struct winsize ws;

	if (!isatty(fileno(out)))
		return 0;
	if (env && atoi(env) > 0)
		return (unsigned)atoi(env);
	return ioctl(fileno(out), TIOCGWINSZ, &ws) == 0 ? ws.ws_col : 0;
}

/* ---- which columns ---- */

static int find_col(const struct table *t, const char *name, size_t n)
{
	for (size_t i = 0; i < t->n_cols; i++) {
		if (strlen(t->cols[i].name) == n && strncasecmp(t->cols[i].name, name, n) == 0)
			return (int)i;
	}
	return -1;
}

static const char *col_name_at(const void *arg, unsigned i)
{
	const struct table *t = arg;

	return i < t->n_cols ? t->cols[i].name : NULL;
}

static int unknown_col(const struct table *t, const char *name, size_t n, struct err *e)
{
	char word[64];
	const char *near;
	auto_buf struct buf list = {0};

	for (size_t i = 0; i < t->n_cols; i++) {
		if (buf_printf(&list, e, "%s%s", i ? ", " : "", t->cols[i].name))
			return -1;
	}
	snprintf(word, sizeof(word), "%.*s", (int)n, name);
	near = cli_nearest(word, col_name_at, t);
	return err_set(e, ERR_USAGE, "no column '%.*s'%s%s%s; there are: %s", (int)n, name,
		       near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "",
		       list.data);
}

/* Columns to print into pick (room for max), their number or -1. */
static int pick_cols(const struct table *t, const struct table_style *s, size_t *pick, size_t max,
		     struct err *e)
{
	unsigned skip = TABLE_EXTRA | (s->format == TABLE_TEXT ? TABLE_HIDDEN : 0);
	const char *p = s->columns;
	size_t n = 0;

	if (!p || *p == '+') {
		for (size_t i = 0; i < t->n_cols && n < max; i++) {
			if (!(t->cols[i].flags & skip))
				pick[n++] = i;
		}
	}
	p = p && *p == '+' ? p + 1 : p;
	while (p && *p) {
		size_t len = strcspn(p, ",");
		int col = find_col(t, p, len);

		if (col < 0)
			return unknown_col(t, p, len, e);
		if (n == max)
			return err_set(e, ERR_USAGE, "-o names more than %zu columns", max);
		pick[n++] = (size_t)col;
		p += len + (p[len] == ',');
	}
	return (int)n;
}

int table_wanted(const struct table_col *cols, size_t n_cols, const struct table_style *style,
		 bool *wanted, struct err *e)
{
	const struct table t = {.cols = cols, .n_cols = n_cols};
	auto_free size_t *pick = calloc(2 * n_cols + 1, sizeof(*pick));
	int n;

	if (!pick)
		return err_set(e, ERR_NOMEM, "table: out of memory");
	n = pick_cols(&t, style, pick, 2 * n_cols, e);
	if (n < 0)
		return -1;
	for (size_t i = 0; i < n_cols; i++)
		wanted[i] = false;
	for (int i = 0; i < n; i++)
		wanted[pick[i]] = true;
	return 0;
}
/* ---- JSON and CSV ---- */

static struct json *int_json(const char *text)
{
	auto_json struct json *str = json_new_str(text);
	struct err e = ERR_INIT;
	int64_t v;
	uint64_t u;

	if (json_to_int(str, &v, "", &e) == 0)
		return json_new_int(v);
	if (json_to_uint(str, &u, "", &e) == 0)
		return json_new_uint(u);
	return json_new_str(text);
}

/* What JSON has no number for (infinity) is a string. */
static struct json *real_json(const char *text)
{
	char *end;
	double v = strtod(text, &end);

	return *end || !isfinite(v) ? json_new_str(text) : json_new_real(v);
}

static struct json *cell_json(const struct cell *c)
{
	struct err e = ERR_INIT;
	struct json *j;

	if (!c->text)
		return json_new_null();
	switch (c->type) {
	case TABLE_INT:
		return int_json(c->text);
	case TABLE_REAL:
		return real_json(c->text);
	case TABLE_BOOL:
		return json_new_bool(strcmp(c->text, "0") != 0);
	case TABLE_JSON:
		/* a broken image may hold text that is no JSON: it is then shown as text */
		j = json_parse_bytes(c->text, strlen(c->text), &e);
		return j ? j : json_new_str(c->text);
	default:
		return json_new_str(c->text);
	}
}

static int print_json(const struct table *t, const size_t *pick, size_t n, FILE *out, struct err *e)
{
	auto_buf struct buf text = {0};

	fputc('[', out);
	for (size_t r = 0; r < t->n_rows; r++) {
		auto_json struct json *row = json_new_object();

		if (!row)
			return err_set(e, ERR_NOMEM, "table: out of memory");
		for (size_t i = 0; i < n; i++) {
			const struct cell *c = &t->cells[r * t->n_cols + pick[i]];

			if (json_set(row, t->cols[pick[i]].name, cell_json(c), e))
				return -1;
		}
		buf_reset(&text);
		if (json_print(row, false, &text, e))
			return -1;
		fprintf(out, "%s\n  %s", r ? "," : "", (const char *)text.data);
	}
	fputs(t->n_rows ? "\n]\n" : "]\n", out);
	return 0;
}

static void put_csv(FILE *out, const char *s, bool first)
{
	if (!first)
		fputc(',', out);
	if (!s[strcspn(s, ",\"\r\n")]) {
		fputs(s, out);
		return;
	}
	fputc('"', out);
	for (; *s; s++) {
		if (*s == '"')
			fputc('"', out);
		fputc(*s, out);
	}
	fputc('"', out);
}

/* CSV is looked at in terminals too: control characters are escaped, line ends stay. */
static int put_csv_cell(FILE *out, const char *s, bool first, struct err *e)
{
	auto_buf struct buf text = {0};

	if (s && escape_show_lines(&text, s, strlen(s), e))
		return -1;
	put_csv(out, text.len ? (const char *)text.data : "", first);
	return 0;
}

static int print_csv(const struct table *t, const struct table_style *s, const size_t *pick,
		     size_t n, FILE *out, struct err *e)
{
	for (size_t i = 0; !s->no_header && i < n; i++)
		if (put_csv_cell(out, t->cols[pick[i]].name, i == 0, e))
			return -1;
	if (!s->no_header)
		fputs("\r\n", out);
	for (size_t r = 0; r < t->n_rows; r++) {
		for (size_t i = 0; i < n; i++)
			if (put_csv_cell(out, t->cells[r * t->n_cols + pick[i]].text, i == 0, e))
				return -1;
		fputs("\r\n", out);
	}
	return 0;
}

int table_print(const struct table *t, const struct table_style *style, FILE *out, struct err *e)
{
	size_t max = 2 * t->n_cols;
	auto_free size_t *pick = calloc(max + 1, sizeof(*pick));
	int n, rc = 0;

	if (!pick)
		return err_set(e, ERR_NOMEM, "table: out of memory");
	n = pick_cols(t, style, pick, max, e);
	if (n < 0)
		return -1;
	if (style->format == TABLE_AS_JSON)
		rc = print_json(t, pick, (size_t)n, out, e);
	else if (style->format == TABLE_CSV)
		rc = print_csv(t, style, pick, (size_t)n, out, e);
	else
		rc = table_print_text(t, style, pick, (size_t)n, out, e);
	if (rc == 0 && ferror(out))
		return err_set(e, ERR_IO, "cannot write the output");
	return rc;
}
