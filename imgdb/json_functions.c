/* SQLite 3.38 to 3.40 (Debian 12 has 3.40.1) carry their JSON functions with the mark "unsafe" set by
 * mistake, so that with trusted_schema off no CHECK, view or trigger may use them ("unsafe use of
 * json_valid()"; put right in 3.41). We want both, so on these versions our connections get functions of
 * the same names, marked harmless, that hand their arguments to the built-in ones on a connection of its
 * own, which holds nothing. Other clients trust the schema and need nothing of this. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "imgdb/db_sqlite.h"

static const char *const names[] = {"json_valid",        "json_object", "json_extract",
				    "json_array_length", "json_set",    "json_quote",
				    "json_type",         "->",          "->>"};

enum {
	ARGS_MAX = 127,     /* SQLite takes no more (SQLITE_MAX_FUNCTION_ARG) */
	JSON_SUBTYPE = 'J', /* of SQLite's own JSON functions */
};

struct json_functions {
	sqlite3 *h;
	struct one {
		const char *name;
		sqlite3 *h;
		sqlite3_stmt *stmt; /* of the last call */
		int n_args;
		bool is_json[ARGS_MAX], makes_json;
	} all[sizeof(names) / sizeof(names[0])];
};

/* What one JSON function hands to another is marked as JSON (not as text to be quoted). The mark does not pass
 * sqlite3_bind_value(), so such an argument becomes json(?). */
static bool is_json(sqlite3_value *v)
{
	return sqlite3_value_subtype(v) == JSON_SUBTYPE;
}

static bool is_prepared(const struct one *f, int n, sqlite3_value **args)
{
	bool same = f->stmt && f->n_args == n;

	for (int i = 0; same && i < n; i++)
		same = f->is_json[i] == is_json(args[i]);
	return same;
}

/* The statement that calls the built-in function with such arguments. */
static int prepare(struct one *f, int n, sqlite3_value **args)
{
	char sql[40 + 9 * ARGS_MAX];
	size_t len;

	if (is_prepared(f, n, args))
		return SQLITE_OK;
	sqlite3_finalize(f->stmt);
	f->stmt = NULL;
	f->n_args = n;
	len = (size_t)snprintf(sql, sizeof(sql), "SELECT \"%s\"(", f->name);
	for (int i = 0; i < n; i++) {
		f->is_json[i] = is_json(args[i]);
		len += (size_t)snprintf(sql + len, sizeof(sql) - len, "%s%s", i ? "," : "",
					f->is_json[i] ? "json(?)" : "?");
	}
	snprintf(sql + len, sizeof(sql) - len, ")");
	return sqlite3_prepare_v3(f->h, sql, -1, SQLITE_PREPARE_PERSISTENT, &f->stmt, NULL);
}

static void call(sqlite3_context *ctx, int n, sqlite3_value **args)
{
	struct one *f = sqlite3_user_data(ctx);

	if (n > ARGS_MAX) {
		sqlite3_result_error(ctx, "too many arguments", -1);
		return;
	}
	if (prepare(f, n, args) != SQLITE_OK) {
		sqlite3_result_error(ctx, sqlite3_errmsg(f->h), -1);
		return;
	}
	for (int i = 0; i < n; i++)
		sqlite3_bind_value(f->stmt, i + 1, args[i]);
	if (sqlite3_step(f->stmt) == SQLITE_ROW) {
		sqlite3_result_value(ctx, sqlite3_column_value(f->stmt, 0));
		if (f->makes_json)
			sqlite3_result_subtype(ctx, JSON_SUBTYPE);
	} else {
		sqlite3_result_error(ctx, sqlite3_errmsg(f->h), -1);
	}
	sqlite3_reset(f->stmt);
	sqlite3_clear_bindings(f->stmt);
}

/* ---- json_object ---- */

/* A string of JSON (RFC 8259, 7), escaped as SQLite does it: what must be, in its short form. Room for six
 * times n and the quotes is needed. */
static size_t put_string(char *out, const unsigned char *s, size_t n)
{
	static const char hex[] = "0123456789abcdef", named[] = "btn\0fr";
	size_t len = 0;

	out[len++] = '"';
	for (size_t i = 0; i < n; i++) {
		if (s[i] >= 0x20 && s[i] != '"' && s[i] != '\\') {
			out[len++] = (char)s[i];
			continue;
		}
		out[len++] = '\\';
		if (s[i] >= 0x20) {
			out[len++] = (char)s[i];
		} else if (s[i] >= 8 && s[i] <= 13 && s[i] != 11) {
			out[len++] = named[s[i] - 8];
		} else {
			out[len++] = 'u';
			out[len++] = '0';
			out[len++] = '0';
			out[len++] = s[i] >> 4 ? '1' : '0';
			out[len++] = hex[s[i] & 15];
		}
	}
	out[len++] = '"';
	return len;
}

static size_t put_value(char *out, sqlite3_value *v)
{
	const unsigned char *text = sqlite3_value_text(v);
	size_t n = (size_t)sqlite3_value_bytes(v);
	int type = sqlite3_value_type(v);

	if (type == SQLITE_TEXT && !is_json(v))
		return put_string(out, text, n);
	if (type == SQLITE_NULL) {
		text = (const unsigned char *)"null";
		n = 4;
	}
	/* numbers, and what is JSON already */
	memcpy(out, text, n);
	return n;
}

static const char *object_error(int n, sqlite3_value **args)
{
	if (n % 2)
		return "json_object() requires an even number of arguments";
	for (int i = 0; i < n; i++) {
		if (i % 2 == 0 && sqlite3_value_type(args[i]) != SQLITE_TEXT)
			return "json_object() labels must be TEXT";
		if (sqlite3_value_type(args[i]) == SQLITE_BLOB)
			return "JSON cannot hold BLOB values";
	}
	return NULL;
}

/* The triggers of the edit log make two objects of a whole row at each edit, so this one is written out: a
 * million edits take half the time. */
static void object(sqlite3_context *ctx, int n, sqlite3_value **args)
{
	const char *error = object_error(n, args);
	sqlite3_uint64 size = 2;
	size_t len = 0;
	char *out;

	if (error) {
		sqlite3_result_error(ctx, error, -1);
		return;
	}
	for (int i = 0; i < n; i++)
		size += 6 * (sqlite3_uint64)sqlite3_value_bytes(args[i]) + 8;
	out = sqlite3_malloc64(size);
	if (!out) {
		sqlite3_result_error_nomem(ctx);
		return;
	}
	out[len++] = '{';
	for (int i = 0; i < n; i++) {
		if (i)
			out[len++] = i % 2 ? ':' : ',';
		len += i % 2 ? put_value(out + len, args[i])
			     : put_string(out + len, sqlite3_value_text(args[i]),
					  (size_t)sqlite3_value_bytes(args[i]));
	}
	out[len++] = '}';
	sqlite3_result_text64(ctx, out, len, sqlite3_free, SQLITE_UTF8);
	sqlite3_result_subtype(ctx, JSON_SUBTYPE);
}

/* ---- ->> ---- */

/* What is behind a value of JSON at p; NULL: no such value. */
static const char *skip_value(const char *p, const char *end)
{
	int depth = 0;

	do {
		if (p == end)
			return NULL;
		if (*p == '"') {
			while (++p < end && *p != '"')
				p += *p == '\\';
			if (p >= end)
				return NULL;
		}
		depth += *p == '{' || *p == '[';
		depth -= *p == '}' || *p == ']';
		p++;
	} while (depth > 0 || (p < end && !strchr(",:}]", *p)));
	return p;
}

/* The value of a member of an object that has no blanks, as json_object() makes it. Another or none: NULL. */
static struct span find_member(struct span json, struct span name)
{
	const char *p = (const char *)json.data, *end = p + json.len, *value;

	for (p++; p < end && *p == '"'; p++) {
		const char *key = p + 1;
		const bool is_it = (size_t)(end - key) > name.len + 1 && key[name.len] == '"' &&
				   !memcmp(key, name.data, name.len);

		p = skip_value(p, end);
		if (!p || p == end || *p != ':')
			break;
		value = p + 1;
		p = skip_value(value, end);
		if (!p || p == end)
			break;
		if (is_it)
			return (struct span){(const uint8_t *)value, (size_t)(p - value)};
		if (*p != ',')
			break;
	}
	return (struct span){0};
}

/* The triggers that check edits ask for members of a whole row at each edit, so what they mostly have is written out:
 * null, whole numbers, and strings without escapes. */
static void member(sqlite3_context *ctx, int n, sqlite3_value **args)
{
	const struct span json = {sqlite3_value_text(args[0]),
				  (size_t)sqlite3_value_bytes(args[0])};
	const struct span name = {sqlite3_value_text(args[1]),
				  (size_t)sqlite3_value_bytes(args[1])};
	struct span v = {0};

	/* a name with other characters is a path or an index */
	if (sqlite3_value_type(args[1]) == SQLITE_TEXT && json.len && *json.data == '{' &&
	    strspn((const char *)name.data, "abcdefghijklmnopqrstuvwxyz_") == name.len)
		v = find_member(json, name);
	if (v.len >= 2 && *v.data == '"' && !memchr(v.data, '\\', v.len))
		sqlite3_result_text64(ctx, (const char *)v.data + 1, v.len - 2, SQLITE_TRANSIENT,
				      SQLITE_UTF8);
	else if (v.len == 4 && !memcmp(v.data, "null", 4))
		sqlite3_result_null(ctx);
	else if (v.len && v.len < 19 && strspn((const char *)v.data, "-0123456789") == v.len)
		sqlite3_result_int64(ctx, strtoll((const char *)v.data, NULL, 10));
	else
		call(ctx, n, args);
}

int json_functions_add(sqlite3 *h, struct json_functions **out)
{
	struct json_functions *jf;
	int rc;

	*out = NULL;
	if (sqlite3_libversion_number() < 3038000 || sqlite3_libversion_number() >= 3041000)
		return SQLITE_OK;
	jf = calloc(1, sizeof(*jf));
	if (!jf)
		return SQLITE_NOMEM;
	*out = jf;
	rc = sqlite3_open_v2(":memory:", &jf->h,
			     SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
			     NULL);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && rc == SQLITE_OK; i++) {
		jf->all[i] = (struct one){.name = names[i],
					  .h = jf->h,
					  .makes_json = !strcmp(names[i], "json_set") ||
							!strcmp(names[i], "->") ||
							!strcmp(names[i], "json_quote")};
		rc = sqlite3_create_function_v2(h, names[i], *names[i] == '-' ? 2 : -1,
						SQLITE_UTF8 | SQLITE_DETERMINISTIC |
							SQLITE_INNOCUOUS | SQLITE_SUBTYPE,
						&jf->all[i],
						!strcmp(names[i], "json_object") ? object
						: !strcmp(names[i], "->>")       ? member
										 : call,
						NULL, NULL, NULL);
	}
	return rc;
}

void json_functions_free(struct json_functions *jf)
{
	if (!jf)
		return;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		sqlite3_finalize(jf->all[i].stmt);
	sqlite3_close(jf->h);
	free(jf);
}
