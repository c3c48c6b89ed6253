#include "inspect/edit/rules.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"

/* ---- where something is in the text ---- */

/* Behind the string that begins at p. */
static const char *skip_string(const char *p)
{
	for (p++; *p && *p != '"'; p++)
		if (*p == '\\' && p[1])
			p++;
	return *p ? p + 1 : p;
}

static const char *skip_blank(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

/* Behind the value that begins at p. */
static const char *skip_value(const char *p)
{
	unsigned depth = 0;

	do {
		p = skip_blank(p);
		if (*p == '"')
			p = skip_string(p);
		else if (*p == '{' || *p == '[')
			depth++, p++;
		else if (*p == '}' || *p == ']')
			depth--, p++;
		else if (*p == ',' || *p == ':')
			p++;
		else
			p += strcspn(p, " \t\r\n,:[]{}\"");
	} while (*p && depth);
	return p;
}

static bool is_key(const char *p, const char *key)
{
	size_t n = strlen(key);

	return !strncmp(p + 1, key, n) && p[n + 1] == '"';
}

/* The key in the object that begins at p, and its value; the object itself when it has no such key. */
static const char *find_key(const char *p, const char *key, const char **value)
{
	const char *object = p;

	for (p = skip_blank(p + 1); *p == '"'; p = skip_blank(p + (*p == ','))) {
		const char *v = skip_blank(skip_blank(skip_string(p)) + 1);

		if (is_key(p, key)) {
			*value = v;
			return p;
		}
		p = skip_blank(skip_value(v));
	}
	return object;
}

static void position(const char *text, const char *at, unsigned *line, unsigned *column)
{
	*line = 1;
	*column = 1;
	for (const char *p = text; p < at; p++) {
		*column = *p == '\n' ? 1 : *column + 1;
		*line += *p == '\n';
	}
}

void rules_where(const char *text, size_t i, const char *key, unsigned *line, unsigned *column)
{
	const char *at = skip_blank(text), *value = NULL;

	at = *at == '{' ? find_key(at, "operations", &value) : at;
	if (value && *value == '[') {
		at = skip_blank(value + 1);
		for (; i && *at && *at != ']'; i--) {
			at = skip_blank(skip_value(at));
			at = skip_blank(at + (*at == ','));
		}
	}
	if (key && value && *at == '{')
		at = find_key(at, key, &value);
	position(text, at, line, column);
}

/* ---- operations ---- */

struct reader {
	struct rules *r;
	const char *text, *database;
	size_t i; /* operation */
};

static int bad(const struct reader *p, const char *key, struct err *e)
{
	unsigned line, column;
	struct err why = *e;

	rules_where(p->text, p->i, key, &line, &column);
	return err_set(e, ERR_USAGE, "%s:%u:%u: %s", p->r->path, line, column, why.msg);
}

static int add_arg(struct rule *x, const char *text, size_t len, struct err *e)
{
	char **bigger = reallocarray(x->argv, (size_t)x->argc + 2, sizeof(*bigger));

	if (!bigger)
		return err_set(e, ERR_NOMEM, "out of memory");
	x->argv = bigger;
	x->argv[x->argc] = strndup(text, len);
	if (!x->argv[x->argc])
		return err_set(e, ERR_NOMEM, "out of memory");
	x->argv[++x->argc] = NULL;
	return 0;
}

static int add_option(struct rule *x, const char *name, const char *value, struct err *e)
{
	auto_buf struct buf word = {0};

	if (buf_printf(&word, e, "--%s", name) || (value && buf_printf(&word, e, "=%s", value)))
		return -1;
	return add_arg(x, (const char *)word.data, word.len, e);
}

/* true: a switch; a text or number: an argument; an array: several. */
static int put_option(struct rule *x, const char *name, const struct json *v, struct err *e)
{
	auto_buf struct buf text = {0};

	switch (json_kind(v)) {
	case JSON_KIND_BOOL:
		return json_bool_of(v) ? add_option(x, name, NULL, e) : 0;
	case JSON_KIND_STR:
		return add_option(x, name, json_str(v), e);
	case JSON_KIND_INT:
		return json_print(v, false, &text, e) ||
				       add_option(x, name, (const char *)text.data, e)
			       ? -1
			       : 0;
	case JSON_KIND_ARRAY:
		for (size_t i = 0; i < json_len(v); i++)
			if (json_kind(json_at(v, i)) == JSON_KIND_ARRAY ||
			    put_option(x, name, json_at(v, i), e))
				return -1;
		return 0;
	default:
		return err_set(e, ERR_USAGE,
			       "%s takes true, a text, a number, or an array of those", name);
	}
}

/* The words of the command: a text, cut at blanks, or an array of texts. */
static int put_words(struct rule *x, const struct json *v, struct err *e)
{
	const char *p = json_str(v);

	if (json_kind(v) == JSON_KIND_STR) {
		for (p += strspn(p, " "); *p; p += strspn(p, " ")) {
			size_t n = strcspn(p, " ");

			if (add_arg(x, p, n, e))
				return -1;
			p += n;
		}
		return 0;
	}
	if (json_kind(v) != JSON_KIND_ARRAY)
		return err_set(e, ERR_USAGE, "the words of %s are a text, or an array of texts",
			       x->argv[0]);
	for (size_t i = 0; i < json_len(v); i++) {
		const char *word = json_str(json_at(v, i));

		if (!word)
			return err_set(e, ERR_USAGE, "word %zu of %s is no text", i + 1,
				       x->argv[0]);
		if (add_arg(x, word, strlen(word), e))
			return -1;
	}
	return 0;
}

static const char *op_name_at(const void *arg, unsigned i)
{
	return i < n_edit_ops ? edit_ops[i].cmd->name : NULL;
}

/* Members that say what happens around an operation. */
static bool is_ours(const char *key)
{
	return !strcmp(key, "comment") || !strcmp(key, "optional");
}

/* The member that names the operation: the first one that is an operation. */
static int find_op(struct reader *p, const struct json *o, struct rule *x, const char **key,
		   const struct json **words, struct err *e)
{
	const struct json *v;
	const char *name = NULL, *near;
	void *iter = NULL;
	const char *k;

	*key = NULL;
	while (json_next(o, &iter, &k, &v)) {
		if (edit_op_find(k) && !x->op) {
			x->op = edit_op_find(k);
			*key = k;
			*words = v;
		} else if (!name && !is_ours(k)) {
			name = k;
		}
	}
	if (*key)
		return 0;
	if (!name)
		err_set(e, ERR_USAGE, "it names no operation, such as \"set\"");
	else if ((near = cli_nearest(name, op_name_at, NULL)))
		err_set(e, ERR_USAGE, "no operation '%s'; did you mean '%s'?", name, near);
	else
		err_set(e, ERR_USAGE, "no operation '%s'", name);
	return bad(p, name, e);
}

static int check_option(const struct rule *x, const char *key, struct err *e)
{
	static const char *const of_apply[] = {"image", "dry-run", "rows",      "json",
					       "csv",   "columns", "no-header", "help"};

	for (size_t i = 0; i < ARRAY_SIZE(of_apply); i++)
		if (!strcmp(of_apply[i], key))
			return err_set(e, ERR_USAGE,
				       "'%s' is said to nsimg apply, for all operations", key);
	for (const struct cli_opt *o = x->op->cmd->opts; o && o->name; o++)
		if (!strcmp(o->name, key))
			return 0;
	return err_set(e, ERR_USAGE, "%s has no option '%s'", x->op->cmd->name, key);
}

static int check_words(void *arg, struct cli *c, struct err *e)
{
	*(bool *)arg = true;
	return 0;
}

static int read_members(struct reader *p, const struct json *o, struct rule *x, const char *key,
			struct err *e)
{
	const struct json *v;
	void *iter = NULL;
	const char *k;

	while (json_next(o, &iter, &k, &v)) {
		if (!strcmp(k, "optional") && json_kind(v) != JSON_KIND_BOOL) {
			err_set(e, ERR_USAGE, "optional is true or false");
			return bad(p, k, e);
		}
		if (!strcmp(k, "optional"))
			x->is_optional = json_bool_of(v);
		if (!strcmp(k, key) || is_ours(k))
			continue;
		if (check_option(x, k, e) || put_option(x, k, v, e))
			return bad(p, k, e);
	}
	return 0;
}

static int read_rule(struct reader *p, const struct json *o, struct rule *x, struct err *e)
{
	const struct json *words = NULL;
	const char *key = NULL;
	bool is_good = false;

	rules_where(p->text, p->i, NULL, &x->line, &x->column);
	if (json_kind(o) != JSON_KIND_OBJECT) {
		err_set(e, ERR_USAGE,
			"an operation is an object, as in {\"set\": \"device eth0 mtu=1400\"}");
		return bad(p, NULL, e);
	}
	if (find_op(p, o, x, &key, &words, e) || !key)
		return -1;
	if (add_arg(x, key, strlen(key), e) || read_members(p, o, x, key, e))
		return -1;
	if (add_arg(x, "--", 2, e) || add_arg(x, p->database, strlen(p->database), e) ||
	    put_words(x, words, e) ||
	    cli_with_words(x->op->cmd, x->argc, x->argv, stdout, check_words, &is_good, e))
		return bad(p, key, e);
	return 0;
}

static int bad_member(const struct reader *p, const char *key, struct err *e)
{
	const char *value;
	unsigned line, column;

	position(p->text, find_key(skip_blank(p->text), key, &value), &line, &column);
	return err_set(e, ERR_USAGE,
		       "%s:%u:%u: no member '%s' in a rules file; it has operations and comment",
		       p->r->path, line, column, key);
}

static int read_all(struct reader *p, const struct json *top, struct err *e)
{
	const struct json *list = json_get(top, "operations");
	const struct json *v;
	void *iter = NULL;
	const char *key;

	if (json_kind(top) != JSON_KIND_OBJECT || json_kind(list) != JSON_KIND_ARRAY)
		return err_set(e, ERR_USAGE,
			       "%s:1:1: a rules file is an object with an array \"operations\"",
			       p->r->path);
	while (json_next(top, &iter, &key, &v))
		if (strcmp(key, "operations") != 0 && strcmp(key, "comment") != 0)
			return bad_member(p, key, e);
	p->r->rule = calloc(json_len(list) + 1, sizeof(*p->r->rule));
	if (!p->r->rule)
		return err_set(e, ERR_NOMEM, "out of memory");
	for (p->i = 0; p->i < json_len(list); p->i++) {
		p->r->n = p->i + 1;
		if (read_rule(p, json_at(list, p->i), &p->r->rule[p->i], e))
			return -1;
	}
	return 0;
}

void rules_free(struct rules *r)
{
	for (size_t i = 0; i < r->n; i++) {
		for (int j = 0; j < r->rule[i].argc; j++)
			free(r->rule[i].argv[j]);
		free(r->rule[i].argv);
	}
	free(r->rule);
}

/* The parser says where behind its message. */
static int bad_json(const char *path, struct err *e)
{
	const char *at = strstr(e->msg, " (line ");
	const struct err why = *e;
	unsigned line, column;

	if (!at || sscanf(at, " (line %u, column %u", &line, &column) != 2)
		return err_wrap(e, "%s", path);
	return err_set(e, ERR_USAGE, "%s:%u:%u: %.*s", path, line, column, (int)(at - e->msg),
		       why.msg);
}

int rules_read(struct rules *r, const char *path, const char *text, size_t len,
	       const char *database, struct err *e)
{
	struct reader p = {.r = r, .text = text, .database = database};
	auto_json struct json *top = json_parse(text, len, e);

	r->path = path;
	if (!top)
		return bad_json(path, e);
	return read_all(&p, top, e);
}
