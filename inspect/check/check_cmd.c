/* check_cmd.c: nsimg check: what will fail when the image is restored, before it is. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/colour.h"
#include "base/escape.h"
#include "inspect/check/check_name.h"
#include "inspect/commands.h"

enum { SHOWN = 20 }; /* findings of one code, without --rows */

static const char *severity_word(const struct check_code *c)
{
	return c->severity == CHECK_ERROR ? "error" : "warning";
}

static const char *const stops_words[] = {"criu", "nsimg"};

/* ---- text ---- */

struct printer {
	const struct cli *c;
	struct db *db;
	struct edit_labels *labels;
	const struct check_list *list;
	int64_t image;
	bool has_images;    /* several: say which */
	struct table *rows; /* all findings, NULL: text for people */
};

static int put_shown(FILE *out, const char *text, struct err *e)
{
	auto_buf struct buf shown = {0};

	if (escape_show(&shown, text, strlen(text), e))
		return -1;
	fputs((const char *)shown.data, out);
	return 0;
}

static int print_finding(struct printer *p, const struct check_finding *f, struct err *e)
{
	FILE *out = cli_out(p->c);
	auto_buf struct buf object = {0};
	struct check_place place;

	if (check_object(p->labels, p->db, f, &object, e) || check_place_read(p->db, f, &place, e))
		return -1;
	fputs("  ", out);
	if (put_shown(out, (const char *)object.data, e))
		return -1;
	if (f->detail) {
		fputs(": ", out);
		if (put_shown(out, f->detail, e))
			return -1;
	}
	fputs(" (", out);
	if (!*place.file)
		fputs("no record in the image", out);
	else if (put_shown(out, place.file, e))
		return -1;
	if (place.rec >= 0)
		fprintf(out, " record %" PRId64, place.rec);
	if (place.off >= 0)
		fprintf(out, " offset %" PRId64, place.off);
	fputs(")\n", out);
	return 0;
}

static void print_head(FILE *out, const struct check_code *code)
{
	enum tone tone = !colour_wanted(out)             ? TONE_NONE
			 : code->severity == CHECK_ERROR ? TONE_BAD
							 : TONE_WARN;

	fprintf(out, "%s%s%s %s (", colour_begin(tone), severity_word(code), colour_end(tone),
		code->code);
	for (size_t i = 0; i < ARRAY_SIZE(stops_words); i++)
		if (code->stops & 1u << i)
			fprintf(out, "%s%s", i && code->stops & 1 ? ", " : "", stops_words[i]);
	fprintf(out, "): %s\n", code->sentence);
}

/* All findings of one code, from number first on. Returns how many there are, or -1. */
static ssize_t print_code(struct printer *p, size_t first, struct err *e)
{
	const struct check_code *code = check_at(p->list, first)->code;
	FILE *out = cli_out(p->c);
	size_t n = 0;

	while (first + n < check_n(p->list) && check_at(p->list, first + n)->code == code)
		n++;
	print_head(out, code);
	for (size_t i = 0; i < n && (i < SHOWN || cli_has(p->c, "rows")); i++)
		if (print_finding(p, check_at(p->list, first + i), e))
			return -1;
	if (n > SHOWN && !cli_has(p->c, "rows"))
		fprintf(out, "  and %zu more (--rows lists them)\n", n - SHOWN);
	fprintf(out, "  to do: %s\n", code->advice);
	if (code->repair)
		fprintf(out, "  nsimg fix %s %s: %s\n", cli_arg(p->c, 0), code->code, code->repair);
	return (ssize_t)n;
}

static int print_text(struct printer *p, struct err *e)
{
	size_t n_errors = 0, n = check_n(p->list);
	FILE *out = cli_out(p->c);

	if (p->has_images)
		fprintf(out, "image %" PRId64 ":\n", p->image);
	for (size_t i = 0; i < n;) {
		ssize_t done = print_code(p, i, e);

		if (done < 0)
			return -1;
		i += (size_t)done;
	}
	for (size_t i = 0; i < n; i++)
		n_errors += check_at(p->list, i)->code->severity == CHECK_ERROR;
	if (!n)
		fputs("nothing found\n", out);
	else
		fprintf(out, "%zu error%s, %zu warning%s\n", n_errors, n_errors == 1 ? "" : "s",
			n - n_errors, n - n_errors == 1 ? "" : "s");
	return 0;
}

/* ---- rows ---- */

static const struct table_col cols[] = {
	{"image", TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	{"code", TABLE_STR, 0},
	{"severity", TABLE_STR, TABLE_STATE},
	{"stops", TABLE_JSON, TABLE_HIDDEN},
	{"finding", TABLE_STR, TABLE_HIDDEN},
	{"object", TABLE_STR, 0},
	{"detail", TABLE_STR, 0},
	{"table", TABLE_STR, TABLE_HIDDEN},
	{"row", TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	{"file", TABLE_STR, TABLE_HIDDEN},
	{"record", TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	{"offset", TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	{"todo", TABLE_STR, TABLE_HIDDEN},
	{"fix", TABLE_STR, TABLE_HIDDEN},
};

/* ["criu", "nsimg"]: what a finding stops. */
static int stops_json(const struct check_code *code, struct buf *out, struct err *e)
{
	if (buf_add_str(out, "[", e))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(stops_words); i++)
		if (code->stops & 1u << i &&
		    buf_printf(out, e, "%s\"%s\"", out->len > 1 ? ", " : "", stops_words[i]))
			return -1;
	return buf_add_str(out, "]", e);
}

static int put_number(struct table *t, size_t col, int64_t v, struct err *e)
{
	return v < 0 ? 0 : table_cell_int(t, col, v, e);
}

static int add_row(struct printer *p, const struct check_finding *f, struct err *e)
{
	auto_buf struct buf object = {0}, stops = {0};
	struct check_place place;

	if (check_object(p->labels, p->db, f, &object, e) ||
	    check_place_read(p->db, f, &place, e) || stops_json(f->code, &stops, e) ||
	    table_row(p->rows, e) || table_cell_int(p->rows, 0, p->image, e) ||
	    put_number(p->rows, 8, f->row, e) || put_number(p->rows, 10, place.rec, e) ||
	    put_number(p->rows, 11, place.off, e))
		return -1;

	const struct {
		size_t col;
		const char *text;
	} cells[] = {
		{1, f->code->code},
		{2, severity_word(f->code)},
		{3, (const char *)stops.data},
		{4, f->code->sentence},
		{5, (const char *)object.data},
		{6, f->detail},
		{7, f->table},
		{9, *place.file ? place.file : NULL},
		{12, f->code->advice},
		{13, f->code->repair},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cells); i++)
		if (table_cell(p->rows, cells[i].col, cells[i].text, e))
			return -1;
	return 0;
}

static int add_rows(struct printer *p, struct err *e)
{
	for (size_t i = 0; i < check_n(p->list); i++)
		if (add_row(p, check_at(p->list, i), e))
			return -1;
	return 0;
}

/* ---- the command ---- */

/* The codes that are asked for. */
static int pick_codes(const struct cli *c, const struct check_code **codes, size_t *n,
		      struct err *e)
{
	const unsigned n_words = cli_n_args(c) - 1;

	if (cli_has(c, "errors") && n_words)
		return err_set(e, ERR_USAGE, "--errors or codes, not both");
	return check_pick(c, n_words, cli_has(c, "errors") ? CHECK_ONLY_ERRORS : 0, codes, n, e);
}

/* The findings of one image, printed or added to p->rows. Returns how many there are, or -1. */
static ssize_t check_image(struct printer *p, int64_t image, const struct check_code *const *codes,
			   size_t n, struct err *e)
{
	auto_check struct check_list *list = NULL;

	db_watch(p->db);
	list = check_new(p->db, image, codes, n, e);
	db_watch_end(p->db);
	if (!list)
		return -1;
	p->list = list;
	p->image = image;
	if (p->rows ? add_rows(p, e) : print_text(p, e))
		return -1;
	return (ssize_t)check_n(list);
}

static int check_images(struct printer *p, const int64_t *images, size_t n_images, struct err *e)
{
	auto_free const struct check_code **codes =
		calloc(n_check_codes + cli_n_args(p->c), sizeof(*codes));
	ssize_t n_found = 0;
	size_t n;

	if (!codes)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (pick_codes(p->c, codes, &n, e))
		return -1;
	for (size_t i = 0; i < n_images; i++) {
		ssize_t found = check_image(p, images[i], codes, n, e);

		if (found < 0)
			return -1;
		n_found += found;
	}
	if (p->rows && cli_print_table(p->c, p->rows, e))
		return -1;
	return n_found > 0;
}

static int check_run(struct cli *c, struct err *e)
{
	auto_db struct db *db = db_open(cli_arg(c, 0), DB_READ, e);
	auto_edit_labels struct edit_labels *labels = db ? edit_labels_new(db, 0, e) : NULL;
	auto_table struct table *rows =
		labels && cli_wants_rows(c) ? table_new(cols, ARRAY_SIZE(cols), e) : NULL;
	auto_edit_ids struct edit_ids images = {0};
	struct printer p = {.c = c, .db = db, .labels = labels, .rows = rows};

	if (!labels || (cli_wants_rows(c) && !rows))
		return -1;
	if (edit_pick_images(db, c, &images, e))
		return -1;
	p.has_images = images.n > 1;
	return check_images(&p, images.id, images.n, e);
}

static const struct cli_opt options[] = {
	{"errors", 0, NULL, "only what makes a restore fail, no warnings", false},
	{"rows", 0, NULL, "list every finding, also when they are many", false},
	{"image", 'i', "ID", "which image of the file, or all (default: the only one)", false},
	{0},
};

const struct cmd cmd_check = {
	.name = "check",
	.synopsis = "DB [CODE...]",
	.summary = "what will fail when the image is restored, and what to do about it",
	.run = check_run,
	.opts = options,
	.flags = CMD_DATABASE | CMD_OUTPUT,
	.min_args = 1,
	.max_args = CLI_ANY_ARGS,
};
