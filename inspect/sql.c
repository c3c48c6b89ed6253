/* sql.c: nsimg sql: any one query on a database that is opened read-only, typed or ready (queries/). */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "inspect/commands.h"
#include "inspect/queries.h"
#include "inspect/rows.h"

static enum table_type cell_type(enum query_type t)
{
	return t == QUERY_INT ? TABLE_INT : t == QUERY_REAL ? TABLE_REAL : TABLE_STR;
}

static int add_rows(struct query *q, struct table *t, struct err *e)
{
	auto_buf struct buf text = {0};
	int rc;

	while ((rc = query_next(q, e)) == 1) {
		if (table_row(t, e))
			return -1;
		for (int i = 0; i < query_n_columns(q); i++) {
			bool is_null;

			if (rows_cell_text(q, i, &text, &is_null, e) ||
			    table_cell_typed(t, (size_t)i, cell_type(query_type(q, i)),
					     is_null ? NULL : (const char *)text.data, e))
				return -1;
		}
	}
	return rc;
}

/* The columns of a query, with names of their own. */
struct columns {
	struct table_col *at;
	size_t n;
};

static void columns_free(struct columns *c)
{
	for (size_t i = 0; c->at && i < c->n; i++)
		free((char *)c->at[i].name);
	free(c->at);
}

/* A name that a column before has already gets a number, as SQLite gives it in a subquery: "a:1". */
static char *column_name(const struct query *q, size_t i)
{
	const char *name = query_column_name(q, (int)i);
	unsigned same = 0;
	char *text;

	for (size_t k = 0; k < i; k++)
		same += strcmp(query_column_name(q, (int)k), name) == 0;
	if (!same)
		return strdup(name);
	return asprintf(&text, "%s:%u", name, same) < 0 ? NULL : text;
}

static int print_query(const struct cli *c, struct query *q, struct err *e)
{
	__attribute__((cleanup(columns_free))) struct columns cols = {
		.n = (size_t)query_n_columns(q)};
	auto_table struct table *t = NULL;

	cols.at = calloc(cols.n + 1, sizeof(*cols.at));
	for (size_t i = 0; cols.at && i < cols.n; i++) {
		cols.at[i] = (struct table_col){column_name(q, i), TABLE_AUTO, 0};
		if (!cols.at[i].name)
			return err_set(e, ERR_NOMEM, "sql: out of memory");
	}
	if (!cols.at)
		return err_set(e, ERR_NOMEM, "sql: out of memory");
	t = table_new(cols.at, cols.n, e);
	if (!t || add_rows(q, t, e))
		return -1;
	return cols.n ? cli_print_records(c, t, e) : 0;
}

/* The views shaped like osquery's tables, whose saved queries know nothing of images. */
static const char *const osquery_views[] = {
	"listening_ports",     "process_open_sockets",
	"interface_addresses", "interface_details",
	"process_namespaces",  "processes",
	"arp_cache",           "routes",
};

/* Let these views show one image, or one namespace of it: views of the connection's own go before those of the
 * file. *n: how many of them the query names. */
static int narrow_views(const struct cli *c, struct db *db, const char *sql, unsigned *n,
			struct err *e)
{
	int64_t id = 0, netns = 0;
	char text[320];

	*n = 0;
	if (cli_image(c, &id, e))
		return -1;
	if (cli_has(c, "netns") &&
	    (db_image_pick(db, id, &id, e) || rows_netns(db, id, cli_value(c, "netns"), &netns, e)))
		return -1;
	for (size_t i = 0; id && i < ARRAY_SIZE(osquery_views); i++) {
		const char *name = osquery_views[i];

		if (!strcasestr(sql, name))
			continue;
		snprintf(text, sizeof(text),
			 "CREATE TEMP VIEW %s AS SELECT * FROM main.%s v WHERE image = %" PRId64
			 " AND (%" PRId64 " = 0 OR netns IS (SELECT m.name FROM main.netns m WHERE "
			 "m.id = %" PRId64 "))",
			 name, name, id, netns, netns);
		if (db_exec(db, text, e))
			return -1;
		++*n;
	}
	if (netns && !*n)
		return err_set(e, ERR_USAGE,
			       "--netns: the query is about none of the views of osquery's shape");
	return 0;
}

/* :image of a query is the one that was asked for, which must exist, or NULL: all of them. */
static int bind_image(const struct cli *c, struct db *db, struct query *q, bool narrowed,
		      struct err *e)
{
	int64_t id = 0;

	if (cli_image(c, &id, e) || (id && db_image_pick(db, id, &id, e)))
		return -1;
	if (!query_has_param(q, "image"))
		return id && !narrowed ? err_set(e, ERR_USAGE,
						 "--image: the query has no :image; it is about "
						 "the whole file")
				       : 0;
	return id ? query_bind_int(q, "image", id, e) : query_bind_null(q, "image", e);
}

enum { MAX_NAMES = 1024 };

struct names {
	char *at[MAX_NAMES];
	unsigned n;
};

static void names_free(struct names *t)
{
	for (unsigned i = 0; i < t->n; i++)
		free(t->at[i]);
}

static const char *name_at(const void *arg, unsigned i)
{
	const struct names *t = arg;

	return i < t->n ? t->at[i] : NULL;
}

/* What SQLite does not know, and the names that there are. */
static const struct unknown {
	const char *says, *names;
} unknowns[] = {
	{"no such table: ", "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')"},
	/* of the tables that the query has */
	{"no such column: ", "SELECT DISTINCT c.name FROM sqlite_schema s JOIN "
			     "pragma_table_info(s.name) c WHERE s.type "
			     "IN ('table', 'view') AND instr(lower(:sql), lower(s.name))"},
	{"no such function: ", "SELECT DISTINCT name FROM pragma_function_list"},
};

/* The name in the query that is near to word, which u says is not there; lent by names. */
static const char *nearest(struct db *db, const struct unknown *u, const char *sql,
			   const char *word, struct names *names)
{
	struct err ignored = ERR_INIT;
	auto_query struct query *q = query_new(db, u->names, &ignored);

	if (!q || (query_has_param(q, "sql") && query_bind_text(q, "sql", sql, &ignored)))
		return NULL;
	while (names->n < MAX_NAMES && query_next(q, &ignored) == 1) {
		names->at[names->n] = strdup(query_text(q, 0));
		names->n += names->at[names->n] != NULL;
	}
	return cli_nearest(word, name_at, names);
}

/* "no such column: d.nam" gets the one that is meant. */
static int suggest(struct db *db, const char *sql, struct err *e)
{
	__attribute__((cleanup(names_free))) struct names names = {.n = 0};
	const struct err cause = *e;
	const struct unknown *u = unknowns;
	const char *at = NULL, *near, *dot;
	auto_free char *word = NULL;

	for (; u < unknowns + ARRAY_SIZE(unknowns); u++)
		if ((at = strstr(cause.msg, u->says)))
			break;
	if (!at)
		return -1;
	at += strlen(u->says);
	word = strndup(at, strcspn(at, " "));
	dot = word ? strrchr(word, '.') : NULL;
	near = word ? nearest(db, u, sql, dot ? dot + 1 : word, &names) : NULL;
	return near ? err_set(e, cause.code, "%s (did you mean '%s'?)", cause.msg, near) : -1;
}

static int run_sql(const struct cli *c, const char *sql, struct err *e)
{
	auto_db struct db *db = rows_open(c, 0, NULL, e);
	auto_query struct query *q = NULL;
	unsigned narrowed;

	if (!db || narrow_views(c, db, sql, &narrowed, e))
		return -1;
	q = query_new(db, sql, e);
	if (!q)
		return suggest(db, sql, e);
	return bind_image(c, db, q, narrowed, e) || print_query(c, q, e) ? -1 : 0;
}

/* ---- ready queries ---- */

static int run_named(const struct cli *c, const struct named_query *one, struct err *e)
{
	char *text;

	if (!run_sql(c, one->sql, e))
		return 0;
	/* SQLite's words are about a text of many lines, which the message need not repeat */
	text = e->code == ERR_DB || e->code == ERR_USAGE ? strstr(e->msg, " in: ") : NULL;
	if (text)
		*text = 0;
	return err_wrap(e, "%s", one->origin ? one->origin : one->name);
}

static int list_named(const struct cli *c, const struct queries *all, struct err *e)
{
	static const struct table_col cols[] = {
		{"name", TABLE_STR, 0},
		{"finds", TABLE_STR, TABLE_SHRINK},
		{"file", TABLE_STR, TABLE_HIDDEN},
	};
	auto_table struct table *t = table_new(cols, ARRAY_SIZE(cols), e);
	const struct named_query *one;

	for (size_t i = 0; (one = queries_at(all, i)); i++) {
		if (!t || table_row(t, e) || table_cell(t, 0, one->name, e) ||
		    table_cell(t, 1, one->summary, e) || table_cell(t, 2, one->origin, e))
			return -1;
	}
	return t ? cli_print_table(c, t, e) : -1;
}

static int describe_json(const struct cli *c, const struct named_query *one, struct err *e)
{
	auto_json struct json *o = json_new_object(), *columns = json_new_array();
	auto_buf struct buf text = {0};

	if (json_set(o, "name", json_new_str(one->name), e) ||
	    json_set(o, "finds", json_new_str(one->summary), e) ||
	    json_set(o, "about", json_new_str(one->about), e) ||
	    json_set(o, "file", json_new_str(one->origin), e))
		return -1;
	for (size_t i = 0; i < one->n_columns; i++) {
		auto_json struct json *column = json_new_object();

		if (json_set(column, "column", json_new_str(one->columns[i].name), e) ||
		    json_set(column, "is", json_new_str(one->columns[i].what), e) ||
		    json_push(columns, take_ptr(column), e))
			return -1;
	}
	if (json_set(o, "columns", take_ptr(columns), e) ||
	    json_set(o, "sql", json_new_str(one->sql), e) || json_print(o, true, &text, e))
		return -1;
	fprintf(cli_out(c), "%s\n", (const char *)text.data);
	return 0;
}

/* A tabulator, which is no character to show, becomes four blanks. */
static int print_text(const struct cli *c, const char *text, const char *end, struct err *e)
{
	auto_buf struct buf shown = {0};

	if (!*text)
		return 0;
	while (*text) {
		size_t n = strcspn(text, "\t"), tab = text[n] == '\t';

		if (escape_show_lines(&shown, text, n, e) ||
		    (tab && buf_add_str(&shown, "    ", e)))
			return -1;
		text += n + tab;
	}
	fprintf(cli_out(c), "%s%s", (const char *)shown.data, end);
	return 0;
}

static int describe_columns(const struct cli *c, const struct named_query *one, struct err *e)
{
	static const struct table_col cols[] = {{"column", TABLE_STR, 0}, {"is", TABLE_STR, 0}};
	auto_table struct table *t = table_new(cols, ARRAY_SIZE(cols), e);

	for (size_t i = 0; i < one->n_columns; i++) {
		if (!t || table_row(t, e) || table_cell(t, 0, one->columns[i].name, e) ||
		    table_cell(t, 1, one->columns[i].what, e))
			return -1;
	}
	return t ? cli_print_table(c, t, e) : -1;
}

/* The SQL itself, behind its comment. */
static const char *statement_of(const struct named_query *one)
{
	const char *sql = one->sql;

	while (strncmp(sql, "--", 2) == 0) {
		sql += strcspn(sql, "\n");
		sql += strspn(sql, "\n");
	}
	return sql;
}

static int describe(const struct cli *c, const struct named_query *one, struct err *e)
{
	struct table_style style = cli_style(c);

	if (style.format == TABLE_AS_JSON)
		return describe_json(c, one, e);
	if (style.format == TABLE_CSV)
		return describe_columns(c, one, e);
	if (print_text(c, one->summary, "\n\n", e) || print_text(c, one->about, "\n\n", e) ||
	    (one->n_columns && describe_columns(c, one, e)))
		return -1;
	if (one->n_columns)
		fputc('\n', cli_out(c));
	return print_text(c, statement_of(one), "", e);
}

/* ---- the command ---- */

/* What the words ask for: exactly one of these. */
static const struct {
	const char *opt; /* NULL: SQL on the command line */
	unsigned min_args, max_args;
} forms[] = {
	{"list-named", 0, 1},
	{"describe", 0, 1},
	{"named", 1, 1},
	{NULL, 2, 2},
};

static int check_form(const struct cli *c, struct err *e)
{
	unsigned n = 0, meant = ARRAY_SIZE(forms) - 1;

	for (unsigned i = 0; i < ARRAY_SIZE(forms) - 1; i++) {
		if (cli_has(c, forms[i].opt)) {
			meant = i;
			n++;
		}
	}
	if (n > 1)
		return err_set(e, ERR_USAGE,
			       "--named, --list-named and --describe exclude each other");
	if (cli_has(c, "queries") && !n)
		return err_set(e, ERR_USAGE,
			       "--queries goes with --named, --list-named or --describe");
	if (cli_n_args(c) < forms[meant].min_args)
		return err_set(e, ERR_USAGE, "too few arguments; usage: nsimg %s %s",
			       cli_cmd(c)->name, cli_cmd(c)->synopsis);
	if (cli_n_args(c) > forms[meant].max_args)
		return err_set(e, ERR_USAGE, "--%s takes no SQL ('%s')", forms[meant].opt,
			       cli_arg(c, forms[meant].max_args));
	return 0;
}

static int sql_run(struct cli *c, struct err *e)
{
	const char *name = cli_value(c, cli_has(c, "named") ? "named" : "describe");
	auto_queries struct queries *all = NULL;
	const struct named_query *one;

	if (check_form(c, e))
		return -1;
	if (!name && !cli_has(c, "list-named"))
		return run_sql(c, cli_arg(c, 1), e);
	all = queries_new(cli_value(c, "queries"), e);
	if (!all)
		return -1;
	if (!name)
		return list_named(c, all, e);
	one = queries_find(all, name, e);
	if (!one)
		return -1;
	return cli_has(c, "named") ? run_named(c, one, e) : describe(c, one, e);
}

static const struct cli_opt sql_opts[] = {
	{"netns", 'N', "NAME",
	 "with --image or only one in the file: osquery's views show this namespace only", false},
	{"named", 'q', "QUERY", "run this ready query", false},
	{"list-named", 'l', NULL, "list the ready queries", false},
	{"describe", 'd', "QUERY", "what a ready query finds, its columns, its SQL", false},
	{"queries", 'Q', "FOLDER", "ready queries of your own: its files NAME.sql", false},
	{"image", 'i', "ID", "only this image: :image in SQL, osquery's views (default: all)",
	 false},
	{0},
};

const struct cmd cmd_sql = {
	.name = "sql",
	.synopsis = "DB SQL | DB --named NAME | --list-named | --describe NAME",
	.summary = "run one SQL query, typed or ready, read-only",
	.run = sql_run,
	.opts = sql_opts,
	.flags = CMD_DATABASE | CMD_OUTPUT,
	.min_args = 0,
	.max_args = 2,
};
