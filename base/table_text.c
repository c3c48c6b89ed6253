/* Rows as text: widths of the columns, what is cut or goes below its line, and the lines. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/colour.h"
#include "base/escape.h"
#include "base/table_int.h"

#define GAP         2   /* spaces between columns */
#define SHRINK_MIN  8   /* a column is not cut below this */
#define SHRINK_SOFT 20  /* nor, while others are wider than most of their cells need, below this */
#define PAD_MAX     200 /* wider cells do not widen their column, where nothing is cut */
#define INDENT      8   /* of a cell below its line */

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
/* What people see of a cell. */
struct shown {
	const char *text; /* lent: the cell's own, or escaped in buf */
	size_t len, width;
	struct buf buf;
};

static void shown_free(struct shown *s)
{
	buf_free(&s->buf);
}
#define auto_shown __attribute__((cleanup(shown_free)))

static int show_buf(struct shown *s)
{
	s->text = (const char *)s->buf.data;
	s->len = s->buf.len;
	s->width = table_text_width(s->text, s->len);
	return 0;
}

static int cell_show(const struct cell *c, unsigned flags, struct shown *to, struct err *e)
{
	const char *s = c->text ? c->text : "-";

	if (c->text && c->type == TABLE_BOOL)
		s = strcmp(c->text, "0") == 0 ? "no" : "yes";
	to->text = s;
	to->len = to->width = escape_plain(s);
	if (!s[to->len])
		return 0;
	buf_reset(&to->buf);
	return (flags & TABLE_LINES ? escape_show_lines(&to->buf, s, strlen(s), e)
				    : escape_show(&to->buf, s, strlen(s), e))
		       ? -1
		       : show_buf(to);
}

static int head_show(const struct table_col *c, struct shown *to, struct err *e)
{
	struct buf *out = &to->buf;

	buf_reset(out);
	/* a query may name its columns as it likes */
	if (escape_show(out, c->name, strlen(c->name), e))
		return -1;
	for (size_t i = 0; i < out->len; i++)
		out->data[i] = out->data[i] < 0x80 ? (uint8_t)toupper(out->data[i]) : out->data[i];
	return show_buf(to);
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
	auto_shown struct shown text = {0};

	if (head_show(&t->cols[col], &text, e))
		return -1;
	width->widest = s->no_header ? 0 : text.width;
	for (size_t r = 0; r < t->n_rows; r++) {
		size_t w;

		if (cell_show(&t->cells[r * t->n_cols + col], t->cols[col].flags, &text, e))
			return -1;
		w = text.width;
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

static int put_spaces(struct buf *out, size_t width, size_t used, struct err *e)
{
	size_t n = used < width ? width - used : 0;

	if (buf_reserve(out, n, e))
		return -1;
	memset(out->data + out->len, ' ', n);
	out->len += n;
	return 0;
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
	size_t *over; /* cells that those before it took more than they had; with this one, then */
};

/* For which there is room. */
static void put_bytes(struct buf *out, const char *bytes, size_t n)
{
	memcpy(out->data + out->len, bytes, n);
	out->len += n;
}

static void put_blanks(struct buf *out, size_t n)
{
	memset(out->data + out->len, ' ', n);
	out->len += n;
}

/* One cell padded to its column; the last column is not padded, so that lines have no trailing blanks. */
static int put_cell(struct buf *out, const struct shown *text, const struct put *put, struct err *e)
{
	static const char ellipsis[] = "\u2026";
	size_t n_begin = put->tone ? strlen(colour_begin(put->tone)) : 0;
	size_t n_end = put->tone ? strlen(colour_end(put->tone)) : 0;
	size_t n = text->len, w = text->width, pad;
	bool cut = put->may_cut && w > put->width;

	if (cut) {
		n = table_cut_at(text->text, n, put->width - 1);
		w = table_text_width(text->text, n) + 1;
	}
	w += *put->over;
	pad = w < put->width ? put->width - w : 0;
	if (buf_reserve(out, n_begin + n + sizeof(ellipsis) + n_end + pad + put->gap, e))
		return -1;
	if (put->right)
		put_blanks(out, pad);
	if (n_begin)
		put_bytes(out, colour_begin(put->tone), n_begin);
	put_bytes(out, text->text, n);
	if (cut)
		put_bytes(out, ellipsis, sizeof(ellipsis) - 1);
	if (n_end)
		put_bytes(out, colour_end(put->tone), n_end);
	if (!put->last)
		put_blanks(out, (put->right ? 0 : pad) + put->gap);
	*put->over = w > put->width ? w - put->width : 0;
	return 0;
}

/* What the columns of a text are, and the lines that wait to be written. */
struct layout {
	const struct table *t;
	const struct table_style *style;
	const size_t *pick;
	size_t n;
	struct width *width;
	size_t last[2]; /* column of a line, of what is below it; n: there is none */
	FILE *file;
	struct buf out;
	struct shown text;
};

static void layout_clear(struct layout *l)
{
	free(l->width);
	buf_free(&l->out);
	shown_free(&l->text);
}

enum { WRITE_AT = 64 << 10 };

static void write_out(struct layout *l)
{
	fwrite(l->out.data, 1, l->out.len, l->file);
	buf_reset(&l->out);
}

static int end_line(struct layout *l, struct err *e)
{
	if (buf_add(&l->out, "\n", 1, e))
		return -1;
	if (l->out.len > WRITE_AT)
		write_out(l);
	return 0;
}

/* A cell of row r - 1, or the heading of its column when r is 0. */
static const struct cell *cell_at(const struct layout *l, size_t r, size_t i)
{
	return r ? &l->t->cells[(r - 1) * l->t->n_cols + l->pick[i]] : NULL;
}

static int show_at(struct layout *l, size_t r, size_t i, enum tone *tone, struct err *e)
{
	const struct table_col *c = &l->t->cols[l->pick[i]];
	const struct cell *cell = cell_at(l, r, i);

	if (cell ? cell_show(cell, c->flags, &l->text, e) : head_show(c, &l->text, e))
		return -1;
	*tone = cell && cell->text && l->style->colour ? tone_of(c->flags, l->text.text)
						       : TONE_NONE;
	return 0;
}

static bool is_row_empty(const struct layout *l, size_t r, bool below)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct cell *cell = cell_at(l, r, i);

		if (l->width[i].is_below == below && (!cell || cell->text))
			return false;
	}
	return true;
}

/* Bytes of a text up to where it may go on in the next line, behind a blank or comma: the last such place in width cells,
 * or the first one beyond. */
static size_t break_at(const char *s, size_t n, size_t width)
{
	size_t fit = table_cut_at(s, n, width), at = fit;

	while (at && s[at - 1] != ' ' && s[at - 1] != ',')
		at--;
	if (at)
		return at;
	while (fit < n && s[fit] != ' ' && s[fit] != ',')
		fit++;
	return fit < n ? fit + 1 : n;
}

static int next_below(struct layout *l, size_t *at, size_t *over, struct err *e)
{
	while (l->out.len && l->out.data[l->out.len - 1] == ' ')
		l->out.len--;
	*at = INDENT;
	*over = 0;
	return end_line(l, e) || put_spaces(&l->out, INDENT, 0, e) ? -1 : 0;
}

/* A cell below its line. What the terminal has no room for goes to further lines, a word always whole. */
static int put_below(struct layout *l, struct put *put, size_t *at, struct err *e)
{
	const size_t limit = l->style->width;
	struct shown part = {.text = l->text.text, .len = l->text.len, .width = l->text.width};
	size_t used;

	if (limit > 2 * INDENT && *at > INDENT && *at + part.width > limit &&
	    next_below(l, at, put->over, e))
		return -1;
	while (limit > 2 * INDENT && part.width > limit - INDENT) {
		const struct put piece = {.last = true, .tone = put->tone, .over = put->over};
		const size_t n = break_at(part.text, part.len, limit - INDENT);
		struct shown head = {.text = part.text, .len = n};

		if (n == part.len)
			break;
		if (put_cell(&l->out, &head, &piece, e) || next_below(l, at, put->over, e))
			return -1;
		part.text += n;
		part.len -= n;
		part.width = table_text_width(part.text, part.len);
	}
	used = part.width + *put->over > put->width ? part.width : put->width - *put->over;
	*at += used + put->gap;
	return put_cell(&l->out, &part, put, e);
}

/* The cells of a row that are in its line, or those below it: no line where there are none. */
static int print_line(struct layout *l, size_t r, bool below, struct err *e)
{
	size_t over = 0, at = INDENT;

	if (l->last[below] == l->n || (below && is_row_empty(l, r, below)))
		return 0;
	if (put_spaces(&l->out, below ? INDENT : 0, 0, e))
		return -1;
	for (size_t i = 0; i < l->n; i++) {
		unsigned flags = l->t->cols[l->pick[i]].flags;
		struct put put = {
			.width = l->width[i].widest,
			.gap = GAP,
			.may_cut = l->width[i].may_shrink && !(flags & TABLE_WHOLE),
			.right = flags & TABLE_RIGHT,
			.last = i == l->last[below],
			.over = &over,
		};

		if (l->width[i].is_below != below)
			continue;
		if (show_at(l, r, i, &put.tone, e) ||
		    (below ? put_below(l, &put, &at, e) : put_cell(&l->out, &l->text, &put, e)))
			return -1;
	}
	return end_line(l, e);
}

/* A line for each cell, a blank line between the rows. */
static int print_records(struct layout *l, struct err *e)
{
	size_t widest = 0;

	for (size_t i = 0; i < l->n; i++) {
		enum tone tone;

		if (show_at(l, 0, i, &tone, e))
			return -1;
		if (l->text.width > widest)
			widest = l->text.width;
	}
	for (size_t r = 1; r <= l->t->n_rows; r++) {
		if (r > 1 && end_line(l, e))
			return -1;
		for (size_t i = 0; i < l->n; i++) {
			size_t over = 0;
			struct put head = {.width = widest, .gap = GAP, .over = &over},
				   cell = {.last = true, .over = &over};

			if (show_at(l, 0, i, &head.tone, e) ||
			    (!l->style->no_header && put_cell(&l->out, &l->text, &head, e)))
				return -1;
			over = 0;
			if (show_at(l, r, i, &cell.tone, e) ||
			    put_cell(&l->out, &l->text, &cell, e) || end_line(l, e))
				return -1;
		}
	}
	return 0;
}

static int print_lines(struct layout *l, struct err *e)
{
	l->last[false] = l->last[true] = l->n;
	for (size_t i = 0; i < l->n; i++)
		l->last[l->width[i].is_below] = i;
	for (size_t r = l->style->no_header ? 1 : 0; r <= l->t->n_rows; r++)
		if (print_line(l, r, false, e) || print_line(l, r, true, e))
			return -1;
	return 0;
}

int table_print_text(const struct table *t, const struct table_style *s, const size_t *pick,
		     size_t n, FILE *out, struct err *e)
{
	__attribute__((cleanup(layout_clear))) struct layout l = {
		.t = t, .style = s, .pick = pick, .n = n, .file = out};
	bool is_narrow = false;

	l.width = calloc(n + 1, sizeof(*l.width));
	if (!l.width)
		return err_set(e, ERR_NOMEM, "table: out of memory");
	if (measure(t, s, pick, n, l.width, e) ||
	    (s->width && fit(t, s, pick, n, l.width, &is_narrow, e)) ||
	    (s->records && is_narrow && t->n_rows ? print_records(&l, e) : print_lines(&l, e)))
		return -1;
	if (l.out.len)
		write_out(&l);
	return 0;
}
