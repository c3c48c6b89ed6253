/* json.h: JSON values, read and written. The only door to jansson.
 *
 * Owns:  the tree behind a struct json. A value put into an object or array belongs to it.
 * Never: loses order: members come out in the order they were set.
 * Text:  strings are UTF-8; bytes that are not are escaped (base/escape.h) on the way in. A number above
 *        2^53 is written as a decimal string, because most readers keep numbers as doubles.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct json;

enum json_kind {
	JSON_KIND_NULL,
	JSON_KIND_BOOL,
	JSON_KIND_INT,
	JSON_KIND_REAL,
	JSON_KIND_STR,
	JSON_KIND_ARRAY,
	JSON_KIND_OBJECT,
};

/* Each returns an owned value, or NULL when out of memory. No struct err: building is many small calls,
 * and json_set / json_push report a NULL value, so only they need checking. */
struct json *json_new_object(void);
struct json *json_new_array(void);
struct json *json_new_str(const char *s); /* NULL makes null */
struct json *json_new_strn(const void *s, size_t n);
struct json *json_new_int(int64_t v);
struct json *json_new_uint(uint64_t v);
struct json *json_new_real(double v);
struct json *json_new_bool(bool v);
struct json *json_new_null(void);
void json_free(struct json *j);

/* Put value (taken, also on failure) into object under key, replacing what was there, or at the end of
 * array. 0, or -1 (ERR_NOMEM; value NULL counts as that). */
int json_set(struct json *object, const char *key, struct json *value, struct err *e);
int json_push(struct json *array, struct json *value, struct err *e);

/* Remove a member; fine when it is not there. */
void json_unset(struct json *object, const char *key);

/* Remove, at any depth, the members for whose name drop says true. */
void json_prune(struct json *j, bool (*drop)(const char *key, const void *arg), const void *arg);

/* An owned value from n bytes of text, or NULL (ERR_FORMAT with line and column; duplicate members,
 * trailing text and nesting beyond 2048 are refused). Any value is accepted at the top. */
struct json *json_parse(const char *text, size_t n, struct err *e);

/* As json_parse; bytes that are not UTF-8, which SQLite lets into JSON that it makes, become their escape. */
struct json *json_parse_bytes(const char *text, size_t n, struct err *e);

/* Append as text: in one line, or indented by two. */
int json_print(const struct json *j, bool indent, struct buf *out, struct err *e);

/* Reading. j may be NULL everywhere, which reads as null. What is returned is lent by j. */
enum json_kind json_kind(const struct json *j);
size_t json_len(const struct json *j); /* members, elements, or bytes of a string; else 0 */
const struct json *json_get(const struct json *object, const char *key); /* NULL when absent */
const struct json *json_at(const struct json *array, size_t i);          /* NULL beyond the end */
const char *json_str(const struct json *j); /* NULL when not a string */
bool json_bool_of(const struct json *j);    /* false when it is anything but true */
double json_real_of(const struct json *j);  /* 0 when no number */

/* An integer, or a string that is a decimal (or 0x...) number: 0, or -1 (ERR_FORMAT, ERR_RANGE) with what
 * in the message. */
int json_to_int(const struct json *j, int64_t *out, const char *what, struct err *e);
int json_to_uint(const struct json *j, uint64_t *out, const char *what, struct err *e);

/* Same value? Order of members does not count. */
bool json_same(const struct json *a, const struct json *b);

/* Walk an object: *iter starts as NULL; true with key and value lent, false at the end. The object must
 * not change meanwhile. */
bool json_next(const struct json *object, void **iter, const char **key, const struct json **value);

static inline void json_cleanup_(struct json **j)
{
	json_free(*j);
}
#define auto_json __attribute__((cleanup(json_cleanup_)))
