#include "inspect/queries.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/cli.h"
#include "base/io.h"

enum {
	MAX_TEXT = 1 << 20, /* bytes of a file */
	MAX_FILES = 4096,   /* of a folder */
};

struct queries {
	struct named_query *all;
	size_t n, room;
};

static void query_clear(struct named_query *q)
{
	free(q->name);
	free(q->summary);
	free(q->about);
	for (size_t i = 0; i < q->n_columns; i++) {
		free(q->columns[i].name);
		free(q->columns[i].what);
	}
	free(q->columns);
	free(q->sql);
	free(q->origin);
}

void queries_free(struct queries *q)
{
	if (!q)
		return;
	for (size_t i = 0; i < q->n; i++)
		query_clear(&q->all[i]);
	free(q->all);
	free(q);
}

/* ---- the comment at the head of a file ---- */

enum part { SUMMARY, ABOUT, COLUMNS };

struct head {
	enum part part;
	struct buf summary, about;
	unsigned indent; /* of the names of columns */
};

static int append(struct buf *b, const char *between, const char *text, size_t n, struct err *e)
{
	return (b->len && buf_add_str(b, between, e)) || buf_add(b, text, n, e) ? -1 : 0;
}

/* "name  what it is": a new column. */
static int column_add(struct named_query *q, const char *line, size_t n, struct err *e)
{
	size_t name = strcspn(line, " "), what = name + strspn(line + name, " ");
	struct query_column *grown = realloc(q->columns, (q->n_columns + 1) * sizeof(*q->columns));

	if (!grown)
		return err_set(e, ERR_NOMEM, "query: out of memory");
	q->columns = grown;
	name = name < n ? name : n;
	what = what < n ? what : n;
	grown[q->n_columns] =
		(struct query_column){strndup(line, name), strndup(line + what, n - what)};
	q->n_columns++;
	if (!grown[q->n_columns - 1].name || !grown[q->n_columns - 1].what)
		return err_set(e, ERR_NOMEM, "query: out of memory");
	return 0;
}

/* A line that goes on with what the last column is. */
static int column_more(struct named_query *q, const char *line, size_t n, struct err *e)
{
	struct query_column *c = &q->columns[q->n_columns - 1];
	char *both = NULL;

	if (asprintf(&both, "%s %.*s", c->what, (int)n, line) < 0)
		return err_set(e, ERR_NOMEM, "query: out of memory");
	free(c->what);
	c->what = both;
	return 0;
}

static int column_line(struct head *h, struct named_query *q, const char *line, size_t n,
		       struct err *e)
{
	unsigned indent = (unsigned)strspn(line, " ");

	if (indent >= n)
		return 0;
	if (!q->n_columns)
		h->indent = indent;
	return q->n_columns && indent > h->indent ? column_more(q, line + indent, n - indent, e)
						  : column_add(q, line + indent, n - indent, e);
}

/* A line of the comment, without its "-- ". */
static int head_line(struct head *h, struct named_query *q, const char *line, size_t n,
		     struct err *e)
{
	if (n == strlen("Columns:") && strncmp(line, "Columns:", n) == 0) {
		h->part = COLUMNS;
		return 0;
	}
	switch (h->part) {
	case SUMMARY:
		if (n)
			return append(&h->summary, " ", line, n, e);
		h->part = ABOUT;
		return 0;
	case ABOUT:
		return append(&h->about, "\n", line, n, e);
	case COLUMNS:
		break;
	}
	return column_line(h, q, line, n, e);
}

static char *text_of(struct buf *b)
{
	while (b->len && (b->data[b->len - 1] == '\n' || b->data[b->len - 1] == ' '))
		b->len--;
	return b->len ? strndup((const char *)b->data, b->len) : strdup("");
}

/* Fill q from its text, which begins with the comment. */
static int head_read(struct named_query *q, struct err *e)
{
	auto_buf struct buf summary = {0}, about = {0};
	struct head h = {0};
	int rc = 0;

	for (const char *line = q->sql; !rc && strncmp(line, "--", 2) == 0;) {
		size_t n = strcspn(line, "\r\n");
		const char *text = line + 2 + (line[2] == ' ');

		rc = head_line(&h, q, text, (size_t)(line + n - text), e);
		line += n;
		line += *line == '\r';
		line += *line == '\n';
	}
	summary = h.summary;
	about = h.about;
	if (rc)
		return -1;
	q->summary = text_of(&summary);
	q->about = text_of(&about);
	return q->summary && q->about ? 0 : err_set(e, ERR_NOMEM, "query: out of memory");
}

/* ---- the list ---- */

/* The room of a name in the list, which is kept in order; *known: it is there already. */
static size_t place_of(const struct queries *q, const char *name, bool *known)
{
	const struct named_query *one;
	size_t i = 0;

	while ((one = queries_at(q, i)) && strcmp(one->name, name) < 0)
		i++;
	*known = one && strcmp(one->name, name) == 0;
	return i;
}

/* Take the query over into the list, also when that fails. */
static int take(struct queries *q, struct named_query *one, struct err *e)
{
	bool known;
	size_t i = place_of(q, one->name, &known);

	if (known && q->all) {
		query_clear(&q->all[i]);
		q->all[i] = *one;
		return 0;
	}
	if (q->n == q->room) {
		size_t room = q->room ? 2 * q->room : 32;
		struct named_query *grown = realloc(q->all, room * sizeof(*grown));

		if (!grown) {
			query_clear(one);
			return err_set(e, ERR_NOMEM, "queries: out of memory");
		}
		q->all = grown;
		q->room = room;
	}
	memmove(&q->all[i + 1], &q->all[i], (q->n - i) * sizeof(*q->all));
	q->all[i] = *one;
	q->n++;
	return 0;
}

static int add(struct queries *q, const char *name, size_t name_len, const char *text,
	       const char *origin, struct err *e)
{
	struct named_query one = {
		.name = strndup(name, name_len),
		.sql = strdup(text),
		.origin = origin ? strdup(origin) : NULL,
	};

	if (!one.name || !one.sql || (origin && !one.origin)) {
		query_clear(&one);
		return err_set(e, ERR_NOMEM, "queries: out of memory");
	}
	if (head_read(&one, e)) {
		query_clear(&one);
		return -1;
	}
	return take(q, &one, e);
}

static int add_file(struct queries *q, const char *folder, const char *name, struct err *e)
{
	auto_buf struct buf text = {0};
	auto_free char *path = NULL;

	if (asprintf(&path, "%s/%s", folder, name) < 0) {
		path = NULL;
		return err_set(e, ERR_NOMEM, "queries: out of memory");
	}
	if (io_read_file(AT_FDCWD, path, MAX_TEXT, &text, e))
		return -1;
	if (text.len && memchr(text.data, 0, text.len))
		return err_set(e, ERR_FORMAT, "%s: not SQL: it has a zero byte", path);
	if (buf_reserve(&text, 1, e))
		return -1;
	text.data[text.len] = 0;
	return add(q, name, strlen(name) - strlen(".sql"), (const char *)text.data, path, e);
}

static bool is_query_file(const char *name)
{
	size_t n = strlen(name);

	return n > 4 && name[0] != '.' && strcmp(name + n - 4, ".sql") == 0;
}

static int add_folder(struct queries *q, const char *folder, struct err *e)
{
	auto_dir DIR *dir = opendir(folder);
	const struct dirent *entry;
	unsigned n = 0;

	if (!dir)
		return err_sys(e, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, "folder of queries %s",
			       folder);
	while ((entry = readdir(dir))) {
		if (!is_query_file(entry->d_name))
			continue;
		if (++n > MAX_FILES)
			return err_set(e, ERR_RANGE, "%s: more than %u queries", folder, MAX_FILES);
		if (add_file(q, folder, entry->d_name, e))
			return -1;
	}
	return n ? 0 : err_set(e, ERR_NOTFOUND, "%s: no file NAME.sql in this folder", folder);
}

struct queries *queries_new(const char *folder, struct err *e)
{
	auto_queries struct queries *q = calloc(1, sizeof(*q));

	if (!q) {
		err_set(e, ERR_NOMEM, "queries: out of memory");
		return NULL;
	}
	for (const struct embed_text *t = queries_embedded; t->name; t++)
		if (add(q, t->name, strlen(t->name), t->text, NULL, e))
			return NULL;
	if (folder && add_folder(q, folder, e))
		return NULL;
	return take_ptr(q);
}

const struct named_query *queries_at(const struct queries *q, size_t i)
{
	return q->all && i < q->n ? &q->all[i] : NULL;
}

static const char *name_at(const void *arg, unsigned i)
{
	const struct named_query *one = queries_at(arg, i);

	return one ? one->name : NULL;
}

const struct named_query *queries_find(const struct queries *q, const char *name, struct err *e)
{
	bool known;
	size_t i = place_of(q, name, &known);
	const char *near;

	if (known)
		return &q->all[i];
	near = cli_nearest(name, name_at, q);
	if (near)
		err_set(e, ERR_USAGE, "no query '%s'; did you mean '%s'?", name, near);
	else
		err_set(e, ERR_USAGE, "no query '%s'; nsimg sql --list-named lists them", name);
	return NULL;
}
