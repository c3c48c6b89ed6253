#include "base/json.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/escape.h"

#define UINT_EXACT (UINT64_C(1) << 53) /* doubles are exact up to here */

/* struct json is jansson's json_t under our name; its functions are not const-correct. */
static json_t *raw(const struct json *j)
{
	return (json_t *)(uintptr_t)j;
}

static struct json *wrap(json_t *j)
{
	return (struct json *)j;
}

struct json *json_new_object(void)
{
	return wrap(json_object());
}

struct json *json_new_array(void)
{
	return wrap(json_array());
}

struct json *json_new_str(const char *s)
{
	return s ? json_new_strn(s, strlen(s)) : json_new_null();
}

struct json *json_new_strn(const void *s, size_t n)
{
	struct err e = ERR_INIT;
	auto_buf struct buf text = {0};
	json_t *j = json_stringn(s ? s : "", n);

	/* jansson refuses invalid UTF-8; the other reason is memory, which fails again below */
	if (j)
		return wrap(j);
	if (escape_show(&text, s, n, &e))
		return NULL;
	return wrap(json_stringn((const char *)text.data, text.len));
}

struct json *json_new_int(int64_t v)
{
	char text[24];

	if (v <= (int64_t)UINT_EXACT && v >= -(int64_t)UINT_EXACT)
		return wrap(json_integer(v));
	snprintf(text, sizeof(text), "%" PRId64, v);
	return wrap(json_string(text));
}

struct json *json_new_uint(uint64_t v)
{
	char text[24];

	if (v <= UINT_EXACT)
		return wrap(json_integer((json_int_t)v));
	snprintf(text, sizeof(text), "%" PRIu64, v);
	return wrap(json_string(text));
}

struct json *json_new_real(double v)
{
	json_t *j = json_real(v);

	return j ? wrap(j) : json_new_null(); /* JSON has no NaN and no infinity */
}

struct json *json_new_bool(bool v)
{
	return wrap(json_boolean(v));
}

struct json *json_new_null(void)
{
	return wrap(json_null());
}

void json_free(struct json *j)
{
	json_decref(raw(j));
}

int json_set(struct json *object, const char *key, struct json *value, struct err *e)
{
	auto_buf struct buf text = {0};

	if (value && json_object_set_new(raw(object), key, json_incref(raw(value))) == 0) {
		json_free(value);
		return 0;
	}
	/* a key that is not UTF-8, or no memory, which then fails again */
	if (value && escape_show(&text, key, strlen(key), e)) {
		json_free(value);
		return -1;
	}
	if (value && json_object_set_new(raw(object), (const char *)text.data, raw(value)) == 0)
		return 0;
	return err_set(e, ERR_NOMEM, "JSON member '%s': out of memory", key);
}

int json_push(struct json *array, struct json *value, struct err *e)
{
	if (value && json_array_append_new(raw(array), raw(value)) == 0)
		return 0;
	return err_set(e, ERR_NOMEM, "JSON array element: out of memory");
}

void json_unset(struct json *object, const char *key)
{
	json_object_del(raw(object), key);
}

static void prune_object(json_t *o, bool (*drop)(const char *key, const void *arg), const void *arg)
{
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe(o, next, key, value)
	{
		if (drop(key, arg))
			json_object_del(o, key);
		else
			json_prune(wrap(value), drop, arg);
	}
}

/* As deep as the value, which json_parse bounds. */
void json_prune(struct json *j, bool (*drop)(const char *key, const void *arg), const void *arg)
{
	if (json_kind(j) == JSON_KIND_OBJECT)
		prune_object(raw(j), drop, arg);
	for (size_t i = 0; json_kind(j) == JSON_KIND_ARRAY && i < json_len(j); i++)
		json_prune(wrap(json_array_get(raw(j), i)), drop, arg);
}

struct json *json_parse(const char *text, size_t n, struct err *e)
{
	json_error_t je;
	json_t *j = json_loadb(text, n, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &je);

	if (!j)
		err_set(e, ERR_FORMAT, "not JSON: %s (line %d, column %d)", je.text, je.line,
			je.column);
	return wrap(j);
}

struct json *json_parse_bytes(const char *text, size_t n, struct err *e)
{
	struct json *j = json_parse(text, n, &(struct err)ERR_INIT);
	auto_buf struct buf clean = {0};

	if (j)
		return j;
	for (size_t at = 0, k; at < n; at += k) {
		unsigned cp = 0;
		bool bad;

		k = escape_utf8(text + at, n - at, &cp);
		bad = !k;
		k = k ? k : 1;
		/* the backslash of the escape is itself escaped in a string */
		if (bad ? buf_printf(&clean, e, "\\\\x%02x", (uint8_t)text[at])
			: buf_add(&clean, text + at, k, e))
			return NULL;
	}
	return json_parse(clean.len ? (const char *)clean.data : "", clean.len, e);
}

static int print_sink(const char *data, size_t n, void *arg)
{
	struct err e = ERR_INIT;

	return buf_add(arg, data, n, &e);
}

/* jansson escapes what JSON demands. DEL, C1 controls and the like are the same string as \uNNNN, but then
 * a terminal does not obey them. */
static int add_safe(struct buf *out, struct span text, struct err *e)
{
	size_t from = 0, at = 0;

	while (at < text.len) {
		unsigned cp = 0;
		size_t k = escape_utf8(text.data + at, text.len - at, &cp);

		if (cp >= 0x7f && escape_is_unsafe(cp)) {
			if (buf_add(out, text.data + from, at - from, e) ||
			    buf_printf(out, e, "\\u%04x", cp))
				return -1;
			from = at + k;
		}
		at += k ? k : 1;
	}
	return buf_add(out, text.data + from, at - from, e);
}

int json_print(const struct json *j, bool indent, struct buf *out, struct err *e)
{
	size_t flags = JSON_ENCODE_ANY | (indent ? JSON_INDENT(2) : JSON_COMPACT);
	auto_buf struct buf text = {0};

	if (!j)
		return buf_add_str(out, "null", e);
	if (json_dump_callback(raw(j), print_sink, &text, flags))
		return err_set(e, ERR_NOMEM, "JSON text: out of memory");
	return add_safe(out, buf_span(&text), e);
}

enum json_kind json_kind(const struct json *j)
{
	static const enum json_kind kinds[] = {
		[JSON_OBJECT] = JSON_KIND_OBJECT, [JSON_ARRAY] = JSON_KIND_ARRAY,
		[JSON_STRING] = JSON_KIND_STR,    [JSON_INTEGER] = JSON_KIND_INT,
		[JSON_REAL] = JSON_KIND_REAL,     [JSON_TRUE] = JSON_KIND_BOOL,
		[JSON_FALSE] = JSON_KIND_BOOL,    [JSON_NULL] = JSON_KIND_NULL,
	};

	return j ? kinds[json_typeof(raw(j))] : JSON_KIND_NULL;
}

size_t json_len(const struct json *j)
{
	switch (json_kind(j)) {
	case JSON_KIND_OBJECT:
		return json_object_size(raw(j));
	case JSON_KIND_ARRAY:
		return json_array_size(raw(j));
	case JSON_KIND_STR:
		return json_string_length(raw(j));
	default:
		return 0;
	}
}

const struct json *json_get(const struct json *object, const char *key)
{
	return wrap(json_object_get(raw(object), key));
}

const struct json *json_at(const struct json *array, size_t i)
{
	return wrap(json_array_get(raw(array), i));
}

const char *json_str(const struct json *j)
{
	return json_string_value(raw(j));
}

bool json_bool_of(const struct json *j)
{
	return j && json_typeof(raw(j)) == JSON_TRUE;
}

double json_real_of(const struct json *j)
{
	return json_number_value(raw(j));
}

/* 10, or 16 after "0x"; not what strtoll's base 0 does, which reads "010" as eight. */
static int base_of(const char *s)
{
	s += *s == '-';
	return s[0] == '0' && (s[1] == 'x' || s[1] == 'X') ? 16 : 10;
}

static bool starts_number(const char *s)
{
	return s && isdigit((unsigned char)s[*s == '-']);
}

int json_to_int(const struct json *j, int64_t *out, const char *what, struct err *e)
{
	const char *s = json_str(j);
	char *end;
	long long v;

	if (json_kind(j) == JSON_KIND_INT) {
		*out = json_integer_value(raw(j));
		return 0;
	}
	if (!starts_number(s))
		return err_set(e, ERR_FORMAT, "%s: not a number", what);
	errno = 0;
	v = strtoll(s, &end, base_of(s));
	if (*end)
		return err_set(e, ERR_FORMAT, "%s: '%s' is not a number", what, s);
	if (errno)
		return err_set(e, ERR_RANGE, "%s: '%s' does not fit in 64 bits", what, s);
	*out = v;
	return 0;
}

int json_to_uint(const struct json *j, uint64_t *out, const char *what, struct err *e)
{
	const char *s = json_str(j);
	char *end;
	unsigned long long v;

	if (json_kind(j) == JSON_KIND_INT && json_integer_value(raw(j)) >= 0) {
		*out = (uint64_t)json_integer_value(raw(j));
		return 0;
	}
	if (!starts_number(s) || *s == '-')
		return err_set(e, ERR_FORMAT, "%s: not a number that is 0 or more", what);
	errno = 0;
	v = strtoull(s, &end, base_of(s));
	if (*end)
		return err_set(e, ERR_FORMAT, "%s: '%s' is not a number", what, s);
	if (errno)
		return err_set(e, ERR_RANGE, "%s: '%s' does not fit in 64 bits", what, s);
	*out = v;
	return 0;
}

bool json_same(const struct json *a, const struct json *b)
{
	if (!a || !b)
		return json_kind(a) == json_kind(b);
	return json_equal(raw(a), raw(b));
}

bool json_next(const struct json *object, void **iter, const char **key, const struct json **value)
{
	json_t *o = raw(object);

	*iter = *iter ? json_object_iter_next(o, *iter) : json_object_iter(o);
	if (!*iter)
		return false;
	*key = json_object_iter_key(*iter);
	*value = wrap(json_object_iter_value(*iter));
	return true;
}
