#include "inspect/edit/set.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/json.h"
#include "proto/inet.h"

/* ---- what fields are called ---- */

/* Names that are no column, and columns whose words no table of "nsimg show" has. */
static const struct alias {
	const char *table, *name, *column;
	enum words words;
	enum set_how how;
} aliases[] = {
	{"socket", "sport", "src_port", WORDS_NONE, SET_VALUE},
	{"socket", "dport", "dst_port", WORDS_NONE, SET_VALUE},
	{"socket", "mark", "so_mark", WORDS_NONE, SET_VALUE},
	{"socket", "dev", "so_bound_dev", WORDS_NONE, SET_VALUE},
	{"socket", "state", "state", WORDS_TCP_STATE, SET_VALUE},
	{"socket", "type", "type", WORDS_SOCK_TYPE, SET_VALUE},
	{"socket", "shutdown", "shutdown", WORDS_SHUTDOWN, SET_VALUE},
	{"address", "dev", "ifindex", WORDS_NONE, SET_DEVICE},
	{"neighbour", "dev", "ifindex", WORDS_NONE, SET_DEVICE},
	{"traffic_control", "dev", "ifindex", WORDS_NONE, SET_DEVICE},
	{"route", "dev", "oif", WORDS_NONE, SET_DEVICE},
	{"nexthop", "dev", "oif", WORDS_NONE, SET_DEVICE},
	{"device", "master", "master", WORDS_NONE, SET_DEVICE},
	{"route", "via", "gateway", WORDS_NONE, SET_VIA},
	{"netns", "netns", "name", WORDS_NONE, SET_VALUE},
	{"rule", "from", "src", WORDS_NONE, SET_VALUE},
	{"rule", "to", "dst", WORDS_NONE, SET_VALUE},
	{"address", "valid", "valid_lft", WORDS_LIFETIME, SET_VALUE},
	{"address", "preferred", "preferred_lft", WORDS_LIFETIME, SET_VALUE},
};

/* Columns that say which row it is. */
static const struct {
	const char *column, *why;
} fixed[] = {
	{"id", "the key of a row does not change"},
	{"socket", "the key of a row does not change"},
	{"image", "a row belongs to its image"},
	{"file", "it is where the row came from"},
	{"rec", "it is where the row came from"},
	{"off", "it is where the row came from"},
	{"netns", "nsimg move takes a device to another namespace, with all that belongs to it"},
};

static const char *const socket_tables[] = {"socket", "inet_socket", "unix_socket",
					    "netlink_socket", "packet_socket"};

bool set_is_assignment(const char *word)
{
	size_t n =
		strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");

	return isalpha((unsigned char)*word) && word[n] == '=' && word[n + 1] != '=';
}

void set_fields_free(struct set_field *fields, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		buf_free(&fields[i].own);
}

/* ---- columns ---- */

/* A column as the schema has it. */
struct column {
	char type[12];
	bool is_notnull, is_json;
	enum words words;
};

static int column_read(struct db *db, const char *table, const char *column, struct column *c,
		       struct err *e)
{
	auto_query struct query *q = query_new(
		db,
		"SELECT c.type, c.\"notnull\", instr(s.sql, '\"' || :t || '.' || c.name || ' is "
		"JSON\"') > 0 FROM pragma_table_info(:t) c JOIN sqlite_schema s ON s.name = :t "
		"WHERE c.name = :c",
		e);
	int rc;

	if (!q || query_bind_text(q, "t", table, e) || query_bind_text(q, "c", column, e))
		return -1;
	rc = query_next(q, e);
	if (rc <= 0)
		return rc;
	snprintf(c->type, sizeof(c->type), "%s", query_text(q, 0));
	c->is_notnull = query_int(q, 1);
	c->is_json = query_int(q, 2);
	c->words = WORDS_NONE;
	return 1;
}

/* The column that a column of "nsimg show" stands for, when it is just one. */
static bool plain_column(const struct show_col *c, char *column, size_t size)
{
	const char *expr = c->expr ? c->expr : c->name;
	size_t n;

	if (c->expr && strncmp(expr, "t.", 2) != 0)
		return false;
	expr += c->expr ? 2 : 0;
	expr += *expr == '"';
	n = strspn(expr, "abcdefghijklmnopqrstuvwxyz0123456789_");
	if (!n || n >= size || (expr[n] && strcmp(expr + n, "\"") != 0))
		return false;
	snprintf(column, size, "%.*s", (int)n, expr);
	return true;
}

static const struct show_table *show_of(const struct edit_table *t)
{
	return t->show ? show_find(t->show, &(struct err)ERR_INIT) : NULL;
}

/* Words that "nsimg show" prints for a column. */
static enum words words_for(const struct edit_table *t, const char *column)
{
	const struct show_table *show = show_of(t);
	char plain[32];

	for (size_t i = 0; i < ARRAY_SIZE(aliases); i++)
		if (!strcmp(aliases[i].table, t->name) && !strcmp(aliases[i].column, column) &&
		    aliases[i].words)
			return aliases[i].words;
	for (size_t i = 0; show && i < show->n_cols; i++)
		if (plain_column(&show->cols[i], plain, sizeof(plain)) && !strcmp(plain, column))
			return show->cols[i].words;
	return WORDS_NONE;
}

/* The column that name means: itself, or the one it stands for. */
static const struct alias *alias_find(const struct edit_table *t, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(aliases); i++)
		if (!strcmp(aliases[i].table, t->name) && !strcasecmp(aliases[i].name, name))
			return &aliases[i];
	return NULL;
}

static void shown_name(const struct edit_table *t, const char *name, char *column, size_t size)
{
	const struct show_table *show = show_of(t);

	for (size_t i = 0; show && i < show->n_cols; i++)
		if (!strcasecmp(show->cols[i].name, name) &&
		    plain_column(&show->cols[i], column, size))
			return;
}

/* ---- suggestions ---- */

static const char *name_at(const void *arg, unsigned i)
{
	return json_str(json_at(arg, i));
}

/* Every field of a table, for messages. */
static struct json *field_names(struct db *db, const struct edit_table *t, struct err *e)
{
	const bool is_socket = !strcmp(t->name, "socket");
	auto_query struct query *q =
		query_new(db, "SELECT name FROM pragma_table_info(:t) ORDER BY cid", e);
	auto_json struct json *names = json_new_array();
	int rc = 0;

	for (size_t i = 0; q && names && !rc && i < (is_socket ? ARRAY_SIZE(socket_tables) : 1);
	     i++) {
		if (query_bind_text(q, "t", is_socket ? socket_tables[i] : t->name, e))
			return NULL;
		while ((rc = query_next(q, e)) == 1) {
			bool is_fixed = false;

			for (size_t j = 0; j < ARRAY_SIZE(fixed); j++)
				is_fixed |= !strcmp(fixed[j].column, query_text(q, 0));
			if (!is_fixed && json_push(names, json_new_str(query_text(q, 0)), e))
				return NULL;
		}
	}
	for (size_t i = 0; names && i < ARRAY_SIZE(aliases); i++)
		if (!strcmp(aliases[i].table, t->name) &&
		    strcmp(aliases[i].name, aliases[i].column) &&
		    json_push(names, json_new_str(aliases[i].name), e))
			return NULL;
	return rc ? NULL : take_ptr(names);
}

static int unknown_field(struct db *db, const struct edit_table *t, const char *name, struct err *e)
{
	auto_json struct json *names = field_names(db, t, e);
	const char *near = names ? cli_nearest(name, name_at, names) : NULL;
	auto_buf struct buf list = {0};

	if (!names)
		return -1;
	if (near)
		return err_set(e, ERR_USAGE, "%s has no field '%s'; did you mean '%s'?", t->name,
			       name, near);
	for (size_t i = 0; i < json_len(names); i++)
		if (buf_printf(&list, e, "%s%s", i ? ", " : "", name_at(names, (unsigned)i)))
			return -1;
	return err_set(e, ERR_USAGE, "%s has no field '%s'; there are: %s", t->name, name,
		       (const char *)list.data);
}

/* ---- values ---- */

static int parse_int(const char *text, int64_t *v)
{
	char *end;

	if (!isdigit((unsigned char)text[*text == '-']))
		return -1;
	errno = 0;
	*v = *text == '-' ? strtoll(text, &end, 0) : (int64_t)strtoull(text, &end, 0);
	return *end || errno ? -1 : 0;
}

static const char *word_at(const void *arg, unsigned i)
{
	return words_at(*(const enum words *)arg, i);
}

static int unknown_word(const struct set_field *f, enum words words, const char *word,
			struct err *e)
{
	const char *near = cli_nearest(word, word_at, &words);

	if (!words)
		return err_set(e, ERR_USAGE, "%s takes a number, not '%s'", f->column, word);
	if (near)
		return err_set(e, ERR_USAGE, "%s: no word '%s'; did you mean '%s'?", f->column,
			       word, near);
	return err_set(e, ERR_USAGE, "%s: '%s' is neither a number nor a word for one, such as %s",
		       f->column, word, words_at(words, 0));
}

/* A number or a word; of bit masks several, with commas. */
static int parse_number(struct set_field *f, enum words words, const char *value, struct err *e)
{
	char word[64];

	f->type = QUERY_INT;
	f->num = 0;
	if (words >= WORDS_BITS &&
	    (*value == '+' || (*value == '-' && isalpha((unsigned char)value[1]))))
		f->how = *value++ == '+' ? SET_BITS_ON : SET_BITS_OFF;
	/* 0 and 7 are both shown as UNCONN; a socket that is not connected has 7 */
	if (words == WORDS_TCP_STATE && !strcasecmp(value, "UNCONN")) {
		f->num = 7;
		return 0;
	}
	do {
		size_t n = words >= WORDS_BITS ? strcspn(value, ",") : strlen(value);
		int64_t v;

		snprintf(word, sizeof(word), "%.*s", (int)(n < sizeof(word) ? n : sizeof(word) - 1),
			 value);
		if (parse_int(word, &v) && (!words || words_find(words, word, &v)))
			return unknown_word(f, words, word, e);
		f->num |= v;
		value += n + (value[n] == ',');
	} while (*value);
	return 0;
}

static int parse_blob(struct set_field *f, const char *value, struct err *e)
{
	const char *p = value;

	f->type = QUERY_BLOB;
	p += strncmp(p, "x'", 2) ? strncmp(p, "hex:", 4) ? 0 : 4 : 2;
	while (isxdigit((unsigned char)p[0]) && isxdigit((unsigned char)p[1])) {
		char two[3] = {p[0], p[1], 0};
		uint8_t byte = (uint8_t)strtoul(two, NULL, 16);

		if (buf_add(&f->own, &byte, 1, e))
			return -1;
		p += 2;
	}
	return p == value || (*p && strcmp(p, "'") != 0)
		       ? err_set(e, ERR_USAGE, "%s takes bytes as hex:0102 or x'0102', not '%.80s'",
				 f->column, value)
		       : 0;
}

/* Text in the one form that the database has it in. */
static int parse_text(struct set_field *f, const char *value, struct err *e)
{
	const bool is_ll = !strcmp(f->column, "lladdr") ||
			   (!strcmp(f->table, "device") &&
			    (!strcmp(f->column, "address") || !strcmp(f->column, "broadcast")));
	char text[INET_LL_MAX];
	uint8_t addr[INET_LL_BYTES];
	size_t len;

	f->type = QUERY_TEXT;
	f->text = value;
	if (is_ll) {
		if (inet_ll_parse(value, addr, &len, e) || !inet_ll_format(addr, len, text))
			return err_wrap(e, "%s", f->column);
		f->text = NULL;
		return buf_add_str(&f->own, text, e);
	}
	if (strchr(value, ':') && !inet_parse(value, 10, addr, &len, &(struct err)ERR_INIT)) {
		inet_format(addr, len, text);
		f->text = NULL;
		return buf_add_str(&f->own, text, e);
	}
	if (!strcmp(f->column, "content"))
		return 0;
	if (escape_is_canonical(value, strlen(value))) {
		/* "@name" is the abstract one, as listings and filters have it */
		if (strcmp(f->table, "unix_socket") != 0 || strcmp(f->column, "name") != 0 ||
		    *value != '@')
			return 0;
		f->text = NULL;
		return buf_printf(&f->own, e, "\\x00%s", value + 1);
	}
	return err_set(
		e, ERR_USAGE,
		"%s: names have bytes that are no text as \\xNN (lowercase), and a backslash "
		"as \\\\",
		f->column);
}

static int parse_value(struct set_field *f, const struct column *c, const char *value,
		       struct err *e)
{
	if (!strcmp(value, "null") && f->how != SET_JSON) {
		f->type = QUERY_NULL;
		f->how = SET_VALUE;
		return !c->is_notnull ? 0
				      : err_set(e, ERR_USAGE, "%s must have a value", f->column);
	}
	if (f->how == SET_DEVICE || f->how == SET_VIA)
		return parse_text(f, value, e);
	if (!strcmp(c->type, "INTEGER"))
		return parse_number(f, c->words, value, e);
	if (!strcmp(c->type, "BLOB"))
		return parse_blob(f, value, e);
	if (c->is_json) {
		struct err why = ERR_INIT;
		auto_json struct json *j = json_parse(value, strlen(value), &why);

		f->type = QUERY_TEXT;
		f->text = value;
		/* a word that is no JSON (an address, 0x10) is a number or a string, as a member */
		if (j || f->how != SET_JSON)
			return j ? 0
				 : err_set(e, ERR_USAGE, "%s takes JSON: %.300s", f->column,
					   why.msg);
		j = parse_int(value, &f->num) ? json_new_str(value) : json_new_int(f->num);
		f->text = NULL;
		return j ? json_print(j, false, &f->own, e) : -1;
	}
	return parse_text(f, value, e);
}

/* ---- assignments ---- */

static int check_fixed(const struct edit_table *t, const char *column, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		if (!strcmp(fixed[i].column, column))
			return err_set(e, ERR_USAGE, "%s.%s is not edited: %s", t->name, column,
				       fixed[i].why);
	return 0;
}

/* "attrs.id" is member id of the column attrs. */
static int split_path(struct set_field *f, char *name, struct err *e)
{
	char *dot = strchr(name, '.');

	if (!dot)
		return 0;
	*dot++ = '\0';
	f->how = SET_JSON;
	if (!*dot || strlen(dot) + 3 > sizeof(f->path) || strstr(dot, ".."))
		return err_set(e, ERR_USAGE, "'%s' is no name of a member of %s", dot, name);
	snprintf(f->path, sizeof(f->path), "$.%s", dot);
	return 0;
}

/* The field in one table: 1, 0 it has none. */
static int parse_in(struct db *db, const struct edit_table *t, const char *table,
		    const char *column, const char *value, struct set_field *f, struct err *e)
{
	struct column c;
	int rc = column_read(db, table, column, &c, e);

	if (rc <= 0)
		return rc;
	snprintf(f->table, sizeof(f->table), "%s", table);
	snprintf(f->column, sizeof(f->column), "%s", column);
	if (f->how == SET_JSON && !c.is_json)
		return err_set(e, ERR_USAGE, "%s.%s is not JSON and has no members", table, column);
	c.words = words_for(t, column);
	return parse_value(f, &c, value, e) ? -1 : 1;
}

int set_parse(struct db *db, const struct edit_table *t, const char *word,
	      struct set_field fields[SET_FIELDS_MAX], unsigned *n, struct err *e)
{
	const bool is_socket = !strcmp(t->name, "socket");
	const char *value = strchr(word, '=') + 1;
	struct set_field model = {0};
	const struct alias *alias;
	char name[120], column[32];
	unsigned first = *n;

	snprintf(name, sizeof(name), "%.*s", (int)(value - 1 - word), word);
	if (split_path(&model, name, e))
		return -1;
	alias = alias_find(t, name);
	snprintf(column, sizeof(column), "%.31s", name);
	if (!alias && !is_socket && column_read(db, t->name, column, &(struct column){0}, e) != 1)
		shown_name(t, name, column, sizeof(column));
	if (alias) {
		snprintf(column, sizeof(column), "%s", alias->column);
		model.how = alias->how;
	}
	if (check_fixed(t, column, e))
		return -1;
	for (size_t i = 0; i < (is_socket ? ARRAY_SIZE(socket_tables) : 1); i++) {
		int rc;

		if (*n == SET_FIELDS_MAX)
			return err_set(e, ERR_USAGE, "more than %d fields", SET_FIELDS_MAX);
		fields[*n] = model;
		rc = parse_in(db, t, is_socket ? socket_tables[i] : t->name, column, value,
			      &fields[*n], e);
		if (rc < 0) {
			buf_free(&fields[*n].own);
			return -1;
		}
		*n += rc == 1;
		/* the columns of the socket itself go before those of its family */
		if (rc == 1 && !i)
			break;
	}
	return *n > first ? 0 : unknown_field(db, t, name, e);
}
