/* filter.c: words and grammar of the filter language; what the fields mean is in filter_fields.c. */
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "inspect/filter_int.h"
#include "inspect/rows.h"

#define MAX_DEPTH 64 /* of parentheses and nots */

void filter_free(struct filter *f)
{
	if (!f)
		return;
	for (unsigned i = 0; i < f->n_params; i++)
		free(f->params[i].text);
	buf_free(&f->sql);
	buf_free(&f->drive.sql);
	free(f);
}

const char *filter_sql(const struct filter *f)
{
	return (const char *)f->sql.data;
}

const char *filter_driver(const struct filter *f)
{
	return f->drive.rank ? (const char *)f->drive.sql.data : NULL;
}

/* A driver that another one was better than leaves parameters that nobody uses. */
static bool has_param(const char *sql, const char *name)
{
	size_t n = strlen(name);

	while (sql && (sql = strstr(sql, name))) {
		sql += n;
		if (!isdigit((unsigned char)*sql))
			return true;
	}
	return false;
}

int filter_bind(const struct filter *f, struct query *q, struct err *e)
{
	for (unsigned i = 0; i < f->n_params; i++) {
		const struct param *p = &f->params[i];
		char name[16];

		snprintf(name, sizeof(name), ":p%u", i);
		if (!has_param(filter_sql(f), name) && !has_param(filter_driver(f), name))
			continue;
		if (p->text ? query_bind_text(q, name, p->text, e)
			    : query_bind_int(q, name, p->num, e))
			return -1;
	}
	return 0;
}

int filter_check(const struct filter *f, struct db *db, int64_t image, struct err *e)
{
	for (unsigned i = 0; i < f->n_params; i++)
		if (f->params[i].is_netns && rows_netns_check(db, image, f->params[i].text, e))
			return -1;
	return 0;
}

/* ---- words ---- */

static bool is_special(char c)
{
	return c == '(' || c == ')' || c == '=' || c == '<' || c == '>' || c == '!' || c == '&' ||
	       c == '|';
}

/* Length of the operator or parenthesis at s. */
static size_t special_len(const char *s)
{
	static const char *const doubles[] = {"==", "!=", "<=", ">=", "&&", "||"};

	for (size_t i = 0; i < ARRAY_SIZE(doubles); i++) {
		if (strncmp(s, doubles[i], 2) == 0)
			return 2;
	}
	return 1;
}

int filter_next_word(struct parser *p, struct err *e)
{
	const char *s = p->at + strspn(p->at, " \t\n");
	size_t n = 0;

	p->quoted = *s == '"';
	if (p->quoted) {
		s++;
		n = strcspn(s, "\"");
		if (!s[n])
			return err_set(e, ERR_USAGE, "filter: the quote before '%s' is not closed",
				       s);
	} else if (is_special(*s)) {
		n = special_len(s);
	} else {
		while (s[n] && !is_special(s[n]) && !isspace((unsigned char)s[n]))
			n++;
	}
	if (n >= FILTER_MAX_WORD)
		return err_set(e, ERR_USAGE, "filter: '%.20s...' is too long a word", s);
	memcpy(p->word, s, n);
	p->word[n] = 0;
	p->at = s + n + p->quoted;
	return 0;
}

bool filter_at_end(const struct parser *p)
{
	return !p->word[0] && !p->quoted;
}

bool filter_is_word(const struct parser *p, const char *a, const char *b, const char *c)
{
	if (p->quoted)
		return false;
	return strcasecmp(p->word, a) == 0 || (b && strcmp(p->word, b) == 0) ||
	       (c && strcmp(p->word, c) == 0);
}

/* ---- SQL ---- */

int filter_param(struct parser *p, const char *text, int64_t num, unsigned *n, struct err *e)
{
	struct filter *f = p->f;

	if (f->n_params == FILTER_MAX_PARAMS)
		return err_set(e, ERR_USAGE, "filter: more than %d values", FILTER_MAX_PARAMS);
	f->params[f->n_params] = (struct param){text ? strdup(text) : NULL, num, false};
	if (text && !f->params[f->n_params].text)
		return err_set(e, ERR_NOMEM, "filter: out of memory");
	*n = f->n_params++;
	return 0;
}

int filter_add(struct parser *p, const char *s, struct err *e)
{
	return buf_add_str(&p->f->sql, s, e);
}

__attribute__((format(printf, 3, 0))) static int vadd(struct buf *out, struct err *e,
						      const char *fmt, va_list ap)
{
	auto_free char *text = NULL;

	if (vasprintf(&text, fmt, ap) < 0) {
		text = NULL;
		return err_set(e, ERR_NOMEM, "filter: out of memory");
	}
	return buf_add_str(out, text, e);
}

int filter_addf(struct parser *p, struct err *e, const char *fmt, ...)
{
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = vadd(&p->f->sql, e, fmt, ap);
	va_end(ap);
	return rc;
}

int filter_drive(struct parser *p, int rank, struct err *e, const char *fmt, ...)
{
	va_list ap;
	int rc;

	if (p->drive.rank && p->drive.rank <= rank)
		return 0;
	p->drive.rank = rank;
	buf_reset(&p->drive.sql);
	va_start(ap, fmt);
	rc = vadd(&p->drive.sql, e, fmt, ap);
	va_end(ap);
	return rc;
}

static void driver_clear(struct driver *d)
{
	d->rank = 0;
	buf_free(&d->sql);
}

static struct driver driver_take(struct driver *d)
{
	struct driver taken = *d;

	*d = (struct driver){0};
	return taken;
}

/* Two ends of one range, as "sport >= 5000 and sport <= 5001": one driver of both. Of a driver of several selects one
 * alone is narrowed: the filter itself is asked of every row that comes. */
static int range_and(struct driver *a, struct driver *b, struct err *e)
{
	static const char from[] = "SELECT socket FROM inet_socket WHERE src_port ";
	const size_t column = strlen(from) - strlen("src_port "), n = strlen(from);
	const char *x = (const char *)a->sql.data, *y = (const char *)b->sql.data;

	if (a->rank != BY_RANGE || b->rank != BY_RANGE || a->sql.len < n || b->sql.len < n ||
	    strncmp(x, y, n) != 0)
		return 0;
	return buf_printf(&a->sql, e, " AND %s", y + column);
}

/* Both conditions must hold: the rows of either driver are enough. */
static void driver_and(struct driver *a, struct driver *b)
{
	if (b->rank && (!a->rank || b->rank < a->rank)) {
		driver_clear(a);
		*a = driver_take(b);
	}
	driver_clear(b);
}

/* Either may hold: the rows of both are needed. */
static int driver_or(struct driver *a, struct driver *b, struct err *e)
{
	int rc = 0;

	if (!a->rank || !b->rank) {
		driver_clear(a);
	} else {
		a->rank = a->rank > b->rank ? a->rank : b->rank;
		rc = buf_printf(&a->sql, e, " UNION ALL %s", (const char *)b->sql.data);
	}
	driver_clear(b);
	return rc;
}

/* ---- grammar: each function leaves the driver of what it read in p->drive ---- */

static int parse_or(struct parser *p, struct err *e);

static int parse_group(struct parser *p, struct err *e)
{
	if (filter_next_word(p, e) || filter_add(p, "(", e) || parse_or(p, e))
		return -1;
	if (!filter_is_word(p, ")", NULL, NULL))
		return err_set(e, ERR_USAGE, "filter: a ')' is missing%s%s",
			       filter_at_end(p) ? "" : " before ", p->word);
	return filter_add(p, ")", e) || filter_next_word(p, e) ? -1 : 0;
}

static int parse_unary(struct parser *p, struct err *e)
{
	int rc;

	if (++p->depth > MAX_DEPTH)
		return err_set(e, ERR_USAGE, "filter: nested more than %d deep", MAX_DEPTH);
	driver_clear(&p->drive);
	if (filter_is_word(p, "not", "!", NULL)) {
		rc = filter_add(p, "NOT ", e) || filter_next_word(p, e) || parse_unary(p, e);
		driver_clear(&p->drive);
	} else if (filter_is_word(p, "(", NULL, NULL)) {
		rc = parse_group(p, e);
	} else {
		/* a column that a socket does not have (the port of a unix socket) is NULL: the condition is
		 * then false, and its negation true */
		rc = filter_add(p, "coalesce((", e) || filter_condition(p, e) ||
		     filter_add(p, "), 0)", e);
	}
	p->depth--;
	return rc ? -1 : 0;
}

static int parse_and(struct parser *p, struct err *e)
{
	struct driver best = {0};
	int rc = parse_unary(p, e);

	while (!rc && !filter_at_end(p) && !filter_is_word(p, ")", NULL, NULL) &&
	       !filter_is_word(p, "or", "|", "||")) {
		rc = range_and(&best, &p->drive, e);
		driver_and(&best, &p->drive);
		rc = rc || (filter_is_word(p, "and", "&", "&&") && filter_next_word(p, e)) ||
		     filter_add(p, " AND ", e) || parse_unary(p, e);
	}
	rc = rc || range_and(&best, &p->drive, e);
	driver_and(&best, &p->drive);
	p->drive = best;
	return rc ? -1 : 0;
}

static int parse_or(struct parser *p, struct err *e)
{
	struct driver all;
	int rc;

	if (parse_and(p, e))
		return -1;
	all = driver_take(&p->drive);
	rc = 0;
	while (!rc && filter_is_word(p, "or", "|", "||"))
		rc = filter_next_word(p, e) || filter_add(p, " OR ", e) || parse_and(p, e) ||
		     driver_or(&all, &p->drive, e);
	driver_clear(&p->drive);
	p->drive = all;
	return rc ? -1 : 0;
}

static int parse_all(struct parser *p, struct err *e)
{
	if (filter_next_word(p, e))
		return -1;
	if (filter_at_end(p))
		return filter_add(p, "1", e);
	if (parse_or(p, e))
		return -1;
	if (!filter_at_end(p))
		return err_set(e, ERR_USAGE, "filter: '%s' where nothing should follow", p->word);
	return 0;
}

struct filter *filter_new(const char *text, struct err *e)
{
	struct filter *f = calloc(1, sizeof(*f));
	struct parser p = {.f = f, .at = text};
	int rc;

	if (!f) {
		err_set(e, ERR_NOMEM, "filter: out of memory");
		return NULL;
	}
	rc = parse_all(&p, e);
	f->drive = p.drive;
	if (rc) {
		filter_free(f);
		return NULL;
	}
	return f;
}
