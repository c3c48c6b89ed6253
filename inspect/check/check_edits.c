/* Which codes edits can have made true: those that read a column that was edited. */
#include "inspect/check/check_edits.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

struct check_edits {
	char **columns; /* "TABLE.COLUMN"; "TABLE." when rows of it were added or deleted */
	size_t n, cap;
};

void check_edits_free(struct check_edits *x)
{
	if (!x)
		return;
	for (size_t i = 0; i < x->n; i++)
		free(x->columns[i]);
	free(x->columns);
	free(x);
}

static int add(struct check_edits *x, const char *column, struct err *e)
{
	if (x->n == x->cap) {
		size_t cap = x->cap ? 2 * x->cap : 32;
		char **more = reallocarray(x->columns, cap, sizeof(*more));

		if (!more)
			return err_set(e, ERR_NOMEM, "out of memory");
		x->columns = more;
		x->cap = cap;
	}
	x->columns[x->n] = strdup(column);
	if (!x->columns[x->n])
		return err_set(e, ERR_NOMEM, "out of memory");
	x->n++;
	return 0;
}

/* The log has whole rows, with the values quoted. */
static const char edited[] =
	"SELECT tbl || '.' FROM edit_log WHERE action <> 'update' UNION SELECT l.tbl || '.' || "
	"b.key "
	"FROM edit_log l, json_each(l.before) b WHERE l.action = 'update' AND b.value IS NOT "
	"json_extract(l.after, '$.\"' || b.key || '\"')";

struct check_edits *check_edits_new(struct db *db, struct err *e)
{
	auto_check_edits struct check_edits *x = calloc(1, sizeof(*x));
	auto_query struct query *q = query_new(db, edited, e);
	int rc;

	if (!x)
		err_set(e, ERR_NOMEM, "out of memory");
	if (!x || !q)
		return NULL;
	while ((rc = query_next(q, e)) == 1)
		if (add(x, query_text(q, 0), e))
			return NULL;
	return rc < 0 ? NULL : take_ptr(x);
}

struct reader {
	const struct check_edits *edits;
	bool of_edits;
};

static void see_column(void *arg, const char *table, const char *column)
{
	struct reader *r = arg;
	size_t len = strlen(table);

	for (size_t i = 0; i < r->edits->n && !r->of_edits; i++) {
		const char *edit = r->edits->columns[i];

		r->of_edits = !strncmp(edit, table, len) && edit[len] == '.' &&
			      (!edit[len + 1] || !strcmp(edit + len + 1, column));
	}
}

int check_edits_reach(const struct check_edits *x, struct db *db, const struct check_code *c,
		      bool *reached, struct err *e)
{
	struct reader r = {x, x->n > 0 && !c->sql};

	if (x->n && c->sql && db_columns_read(db, c->sql, see_column, &r, e))
		return -1;
	*reached = r.of_edits;
	return 0;
}
