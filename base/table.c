#include "base/table.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/cli.h"
#include "base/colour.h"
#include "base/escape.h"
#include "base/json.h"

#define GAP         2   /* spaces between columns */
#define SHRINK_MIN  8   /* a column is not cut below this */
#define SHRINK_SOFT 20  /* nor, while others are wider than most of their cells need, below this */
#define PAD_MAX     200 /* wider cells do not widen their column, where nothing is cut */
#define INDENT      8   /* of a cell below its line */

struct cell {
	char *text; /* NULL is null */
	enum table_type type;
};

struct table {
	const struct table_col *cols;
	struct cell *cells; /* row by row */
	size_t n_cols, n_rows, cap_rows;
};

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
	for (size_t i = 0; i < t->n_rows * t->n_cols; i++)
		free(t->cells[i].text);
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
	char *copy = text ? strdup(text) : NULL;

	if (text && !copy)
		return err_set(e, ERR_NOMEM, "table: out of memory");
	free(c->text);
	*c = (struct cell){copy, type};
	return 0;
}

int table_cell(struct table *t, size_t col, const char *text, struct err *e)
{
	return table_cell_typed(t, col, t->cols[col].type, text, e);
}

int table_cellf(struct table *t, size_t col, struct err *e, const char *fmt, ...)
{
	auto_free char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0) {
		text = NULL;
		return err_set(e, ERR_NOMEM, "table: out of memory");
	}
	return table_cell(t, col, text, e);
}

int table_cell_int(struct table *t, size_t col, int64_t v, struct err *e)
{
	return table_cellf(t, col, e, "%lld", (long long)v);
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

/* The blocks of combining marks and of wide characters that names in practice contain; wcwidth(3) would
 * need a UTF-8 locale, which a rescue system may not have. */
static const struct {
	unsigned min, max, width;
} odd_widths[] = {
	{0x300, 0x36f, 0},     {0x200b, 0x200d, 0},   {0x20d0, 0x20ff, 0},   {0x1100, 0x115f, 2},
	{0x2e80, 0x303e, 2},   {0x3041, 0x33ff, 2},   {0x3400, 0x4dbf, 2},   {0x4e00, 0x9fff, 2},
	{0xac00, 0xd7a3, 2},   {0xf900, 0xfaff, 2},   {0xfe00, 0xfe0f, 0},   {0xff00, 0xff60, 2},
	{0x1f300, 0x1f64f, 2}, {0x1f900, 0x1f9ff, 2}, {0x20000, 0x3fffd, 2},
};

static unsigned char_width(unsigned cp)
{
	for (size_t i = 0; i < ARRAY_SIZE(odd_widths); i++) {
		if (cp >= odd_widths[i].min && cp <= odd_widths[i].max)
			return odd_widths[i].width;
	}
	return 1;
}

size_t table_text_width(const char *s, size_t n)
{
	size_t width = 0, at = 0;

	while (at < n) {
		unsigned cp = 0;
		size_t k;

		if ((unsigned char)s[at] < 0x80) {
			width++;
			at++;
			continue;
		}
		k = escape_utf8(s + at, n - at, &cp);
		width += k ? char_width(cp) : 1;
		at += k ? k : 1;
	}
	return width;
}

size_t table_cut_at(const char *s, size_t n, size_t width)
{
	size_t at = 0, used = 0;

	while (at < n) {
		unsigned cp = 0;
		size_t k = escape_utf8(s + at, n - at, &cp);
		size_t w = k ? char_width(cp) : 1;

		if (used + w > width)
			break;
		used += w;
		at += k ? k : 1;
	}
	return at;
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

/* ---- text ---- */

/* What people see of a cell, into an emptied buf. */
static int cell_show(const struct cell *c, unsigned flags, struct buf *out, struct err *e)
{
	const char *s = c->text ? c->text : "-";

	buf_reset(out);
	if (c->text && c->type == TABLE_BOOL)
		s = strcmp(c->text, "0") == 0 ? "no" : "yes";
	return flags & TABLE_LINES ? escape_show_lines(out, s, strlen(s), e)
				   : escape_show(out, s, strlen(s), e);
}

static int head_show(const struct table_col *c, struct buf *out, struct err *e)
{
	buf_reset(out);
	/* a query may name its columns as it likes */
	if (escape_show(out, c->name, strlen(c->name), e))
		return -1;
	for (size_t i = 0; i < out->len; i++)
		out->data[i] = out->data[i] < 0x80 ? (uint8_t)toupper(out->data[i]) : out->data[i];
	return 0;
}

enum { USUAL_MAX = 255 };

/* Widths of a column: of its widest cell, and of all but the widest quarter of its cells. */
struct width {
	size_t widest, usual;
	bool may_shrink, is_below;
};

static int measure_column(const struct table *t, const struct table_style *s, size_t col,
			  struct width *width, struct err *e)
{
	size_t n_of[USUAL_MAX + 1] = {0}, seen = 0;
	auto_buf struct buf text = {0};

	if (head_show(&t->cols[col], &text, e))
		return -1;
	width->widest = s->no_header ? 0 : table_text_width((const char *)text.data, text.len);
	for (size_t r = 0; r < t->n_rows; r++) {
		size_t w;

		if (cell_show(&t->cells[r * t->n_cols + col], t->cols[col].flags, &text, e))
			return -1;
		w = table_text_width((const char *)text.data, text.len);
		n_of[w < USUAL_MAX ? w : USUAL_MAX]++;
		/* one long cell shall not make every line as long, where no terminal cuts it */
		if (w > width->widest && (s->width || w <= PAD_MAX))
			width->widest = w;
	}
	while (width->usual < USUAL_MAX && seen + n_of[width->usual] <= t->n_rows - t->n_rows / 4)
		seen += n_of[width->usual++];
	return 0;
}

static int measure(const struct table *t, const struct table_style *s, const size_t *pick, size_t n,
		   struct width *width, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		const struct table_col *c = &t->cols[pick[i]];

		if (measure_column(t, s, pick[i], &width[i], e))
			return -1;
		/* half a number would be another one */
		width[i].may_shrink = s->width && n > 1 && !(c->flags & TABLE_LINES) &&
				      c->type != TABLE_INT && c->type != TABLE_BOOL;
		if (width[i].may_shrink && width[i].widest > s->width)
			width[i].widest = s->width;
	}
	return 0;
}

/* Take from the widest column that is wider than least(column) until the line fits or nothing is left to take. */
static void shrink_to(struct width *width, const size_t *least, size_t n, size_t *total,
		      size_t limit)
{
	while (*total > limit) {
		size_t best = n;

		for (size_t i = 0; i < n; i++) {
			if (width[i].may_shrink && width[i].widest > least[i] &&
			    (best == n || width[i].widest > width[best].widest))
				best = i;
		}
		if (best == n)
			return;
		width[best].widest--;
		--*total;
	}
}

static size_t line_width(const struct width *width, size_t n)
{
	size_t total = 0;

	for (size_t i = 0; i < n; i++)
		if (!width[i].is_below)
			total += width[i].widest + (total ? GAP : 0);
	return total;
}

static size_t at_most(size_t n, size_t max)
{
	return n < max ? n : max;
}

/* The width below which a column is not made: that of its widest cell, but for text that bears a cut, for what may
 * be longer than its column, and where one cell would fill the terminal. */
static size_t least_width(const struct table_col *c, const struct width *w, size_t limit)
{
	const size_t usual = w->usual > SHRINK_MIN ? w->usual : SHRINK_MIN;

	if (!w->may_shrink)
		return w->widest;
	if (c->flags & TABLE_SHRINK)
		return at_most(w->widest, SHRINK_SOFT);
	return c->flags & TABLE_WHOLE || w->widest >= limit ? at_most(w->widest, usual) : w->widest;
}

/* Does the line fit when all columns of it are as narrow as they may be? */
static bool may_fit(const size_t *least, const struct width *width, size_t n, size_t limit)
{
	size_t total = 0;

	for (size_t i = 0; i < n; i++)
		if (!width[i].is_below)
			total += least[i] + (total ? GAP : 0);
	return total <= limit;
}

/* Where the line is too long, the columns that may go below do; where that is not enough, the last ones, too. The
 * first never does. */
static void move_below(const struct table *t, const size_t *pick, size_t n, const size_t *least,
		       struct width *width, size_t limit)
{
	if (line_width(width, n) <= limit)
		return;
	for (size_t i = 1; i < n; i++)
		width[i].is_below = t->cols[pick[i]].flags & TABLE_BELOW;
	for (size_t i = n; i > 1 && !may_fit(least, width, n, limit); i--)
		width[i - 1].is_below = true;
	for (size_t i = 0; i < n; i++) {
		if (!width[i].is_below)
			continue;
		width[i].widest = least[i];
		width[i].may_shrink = false;
	}
}

/* First the few long cells are cut, then text that bears it, and what is left when the first column is too wide. */
static void shrink(const struct table *t, const size_t *pick, size_t n, const size_t *least,
		   size_t *tries, struct width *width, size_t limit)
{
	size_t total = line_width(width, n);

	for (size_t i = 0; i < n; i++)
		tries[i] = t->cols[pick[i]].flags & TABLE_SHRINK && width[i].usual > least[i]
				   ? width[i].usual
				   : least[i];
	shrink_to(width, tries, n, &total, limit);
	shrink_to(width, least, n, &total, limit);
	for (size_t i = 0; i < n; i++)
		tries[i] = SHRINK_MIN;
	shrink_to(width, tries, n, &total, limit);
}

/* Widths of the columns for a terminal. *is_narrow: as records then, where the style has them, nothing else done. */
static int fit(const struct table *t, const struct table_style *s, const size_t *pick, size_t n,
	       struct width *width, bool *is_narrow, struct err *e)
{
	auto_free size_t *least = calloc(n + 1, sizeof(*least)),
			 *tries = calloc(n + 1, sizeof(*tries));

	if (!least || !tries)
		return err_set(e, ERR_NOMEM, "table: out of memory");
	for (size_t i = 0; i < n; i++)
		least[i] = least_width(&t->cols[pick[i]], &width[i], s->width);
	*is_narrow = !may_fit(least, width, n, s->width);
	if (*is_narrow && s->records)
		return 0;
	move_below(t, pick, n, least, width, s->width);
	shrink(t, pick, n, least, tries, width, s->width);
	return 0;
}

static void put_spaces(FILE *out, size_t width, size_t used)
{
	static const char blanks[] = "                                ";

	while (used < width) {
		size_t n = width - used < sizeof(blanks) - 1 ? width - used : sizeof(blanks) - 1;

		fwrite(blanks, 1, n, out);
		used += n;
	}
}

/* Words of states that are as they should be, and that are not. */
static const struct {
	const char *word;
	enum tone tone;
} states[] = {
	{"UP", TONE_GOOD},        {"up", TONE_GOOD},
	{"LISTEN", TONE_GOOD},    {"ESTAB", TONE_GOOD},
	{"ASSURED", TONE_GOOD},   {"DOWN", TONE_BAD},
	{"down", TONE_BAD},       {"LOWERLAYERDOWN", TONE_BAD},
	{"failed", TONE_BAD},     {"error", TONE_BAD},
	{"warning", TONE_WARN},   {"CLOSE-WAIT", TONE_WARN},
	{"TIME-WAIT", TONE_WARN}, {"SYN-SENT", TONE_WARN},
};

static enum tone tone_of(unsigned flags, const char *text)
{
	if (flags & TABLE_NAME)
		return TONE_NAME;
	if (flags & TABLE_MAC)
		return TONE_MAC;
	if (flags & TABLE_ADDR)
		return strchr(text, ':') ? TONE_IPV6 : strchr(text, '.') ? TONE_IPV4 : TONE_NONE;
	for (size_t i = 0; (flags & TABLE_STATE) && i < ARRAY_SIZE(states); i++)
		if (strcmp(states[i].word, text) == 0)
			return states[i].tone;
	return TONE_NONE;
}

/* How a cell is printed. */
struct put {
	size_t width, gap;
	bool may_cut, right, last;
	enum tone tone;
	size_t over; /* cells that those before it took too many */
};

/* One cell padded to its column; the last column is not padded, so that lines have no trailing blanks. Returns the
 * cells that it and those before it took more than they had. */
static size_t put_cell(FILE *out, const struct buf *text, const struct put *put)
{
	const char *s = (const char *)text->data;
	size_t n = text->len, w = table_text_width(s, n);
	bool cut = put->may_cut && w > put->width;

	if (cut) {
		n = table_cut_at(s, n, put->width - 1);
		w = table_text_width(s, n) + 1;
	}
	if (put->right)
		put_spaces(out, put->width, w + put->over);
	fputs(colour_begin(put->tone), out);
	if (n)
		fwrite(s, 1, n, out);
	if (cut)
		fputs("\u2026", out);
	fputs(colour_end(put->tone), out);
	if (!put->right && !put->last)
		put_spaces(out, put->width, w + put->over);
	if (!put->last)
		put_spaces(out, put->gap, 0);
	return w + put->over > put->width ? w + put->over - put->width : 0;
}

/* What the columns of a text are. */
struct layout {
	const struct table *t;
	const struct table_style *style;
	const size_t *pick;
	size_t n;
	struct width *width;
};

/* A cell of row r - 1, or the heading of its column when r is 0. */
static const struct cell *cell_at(const struct layout *l, size_t r, size_t i)
{
	return r ? &l->t->cells[(r - 1) * l->t->n_cols + l->pick[i]] : NULL;
}

static int show_at(const struct layout *l, size_t r, size_t i, struct buf *text, enum tone *tone,
		   struct err *e)
{
	const struct table_col *c = &l->t->cols[l->pick[i]];
	const struct cell *cell = cell_at(l, r, i);

	if (cell ? cell_show(cell, c->flags, text, e) : head_show(c, text, e))
		return -1;
	*tone = cell && cell->text && l->style->colour ? tone_of(c->flags, (const char *)text->data)
						       : TONE_NONE;
	return 0;
}

/* The cells of a row that are in its line, or those below it: no line where there are none. */
static int print_line(const struct layout *l, size_t r, bool below, FILE *out, struct err *e)
{
	auto_buf struct buf text = {0};
	size_t last = l->n, over = 0;
	bool is_empty = true;

	for (size_t i = 0; i < l->n; i++) {
		const struct cell *cell = cell_at(l, r, i);

		if (l->width[i].is_below != below)
			continue;
		last = i;
		is_empty = is_empty && cell && !cell->text;
	}
	if (last == l->n || (below && is_empty))
		return 0;
	put_spaces(out, below ? INDENT : 0, 0);
	for (size_t i = 0; i < l->n; i++) {
		unsigned flags = l->t->cols[l->pick[i]].flags;
		struct put put = {
			.width = l->width[i].widest,
			.gap = GAP,
			.may_cut = l->width[i].may_shrink && !(flags & TABLE_WHOLE),
			.right = flags & TABLE_RIGHT,
			.last = i == last,
			.over = over,
		};

		if (l->width[i].is_below != below)
			continue;
		if (show_at(l, r, i, &text, &put.tone, e))
			return -1;
		over = put_cell(out, &text, &put);
	}
	fputc('\n', out);
	return 0;
}

/* A line for each cell, a blank line between the rows. */
static int print_records(const struct layout *l, FILE *out, struct err *e)
{
	auto_buf struct buf text = {0};
	size_t widest = 0;

	for (size_t i = 0; i < l->n; i++) {
		struct put put = {0};

		if (show_at(l, 0, i, &text, &put.tone, e))
			return -1;
		if (table_text_width((const char *)text.data, text.len) > widest)
			widest = table_text_width((const char *)text.data, text.len);
	}
	for (size_t r = 1; r <= l->t->n_rows; r++) {
		if (r > 1)
			fputc('\n', out);
		for (size_t i = 0; i < l->n; i++) {
			struct put head = {.width = widest, .gap = GAP}, cell = {.last = true};

			if (show_at(l, 0, i, &text, &head.tone, e))
				return -1;
			if (!l->style->no_header)
				put_cell(out, &text, &head);
			if (show_at(l, r, i, &text, &cell.tone, e))
				return -1;
			put_cell(out, &text, &cell);
			fputc('\n', out);
		}
	}
	return 0;
}

static int print_text(const struct table *t, const struct table_style *s, const size_t *pick,
		      size_t n, FILE *out, struct err *e)
{
	auto_free struct width *width = calloc(n + 1, sizeof(*width));
	struct layout l = {t, s, pick, n, width};
	bool is_narrow = false;

	if (!width)
		return err_set(e, ERR_NOMEM, "table: out of memory");
	if (measure(t, s, pick, n, width, e) ||
	    (s->width && fit(t, s, pick, n, width, &is_narrow, e)))
		return -1;
	if (s->records && is_narrow && t->n_rows)
		return print_records(&l, out, e);
	for (size_t r = s->no_header ? 1 : 0; r <= t->n_rows; r++)
		if (print_line(&l, r, false, out, e) || print_line(&l, r, true, out, e))
			return -1;
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
		rc = print_text(t, style, pick, (size_t)n, out, e);
	if (rc == 0 && ferror(out))
		return err_set(e, ERR_IO, "cannot write the output");
	return rc;
}
