#include "imgdb/log_row.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/hex.h"

void log_row_free(struct log_row *r)
{
	buf_free(&r->text);
	free(r->columns);
}

const char *log_row_name(const struct log_row *r, unsigned i)
{
	return (const char *)r->text.data + r->columns[i].name;
}

const char *log_row_text(const struct log_row *r, unsigned i)
{
	const struct log_column *c = &r->columns[i];

	return c->type == QUERY_NULL ? NULL : (const char *)r->text.data + c->value;
}

int log_row_find(struct log_row *r, const char *name)
{
	for (unsigned i = 0; i < r->n; i++) {
		unsigned at = (r->next + i) % r->n;

		if (strcmp(log_row_name(r, at), name) != 0)
			continue;
		r->next = at + 1;
		return (int)at;
	}
	return -1;
}

bool log_row_same(const struct log_row *r, unsigned i, const struct log_row *other, int j)
{
	const struct log_column *a = &r->columns[i], *b = j < 0 ? NULL : &other->columns[j];

	return b && a->type == b->type && a->len == b->len &&
	       !memcmp(r->text.data + a->value, other->text.data + b->value, a->len);
}

/* ---- values ---- */

void log_value_free(struct log_value *v)
{
	buf_free(&v->blob);
}

static int no_value(const char *text, struct err *e)
{
	return err_set(e, ERR_FORMAT, "the edit log holds what is no value: %.80s", text);
}

/* X'hex' */
static int read_blob(const char *text, struct log_value *v, struct err *e)
{
	const char *p = text + 2;

	buf_reset(&v->blob);
	if (strncmp(text, "X'", 2) != 0 || buf_add(&v->blob, "", 0, e))
		return no_value(text, e);
	for (; hex_digit(p[0]) >= 0 && hex_digit(p[1]) >= 0; p += 2) {
		uint8_t byte = (uint8_t)(hex_digit(p[0]) << 4 | hex_digit(p[1]));

		if (buf_add(&v->blob, &byte, 1, e))
			return -1;
	}
	v->type = QUERY_BLOB;
	v->data = v->blob.data;
	v->len = v->blob.len;
	return strcmp(p, "'") != 0 ? no_value(text, e) : 0;
}

int log_row_value(const struct log_row *r, unsigned i, bool is_text, struct log_value *v,
		  struct err *e)
{
	const struct log_column *c = &r->columns[i];
	const char *text = (const char *)r->text.data + c->value;

	v->type = c->type;
	v->data = text;
	v->len = c->len;
	if (c->type == QUERY_TEXT)
		return is_text ? 0 : read_blob(text, v, e);
	errno = 0;
	v->num = c->type == QUERY_INT ? strtoll(text, NULL, 10) : 0;
	return errno ? no_value(text, e) : 0;
}

int log_value_bind(const struct log_value *v, struct query *q, const char *name, struct err *e)
{
	switch (v->type) {
	case QUERY_INT:
		return query_bind_int(q, name, v->num, e);
	case QUERY_TEXT:
		return query_bind_textn(q, name, v->data, v->len, e);
	case QUERY_BLOB:
		return query_bind_blob(q, name, v->data, v->len, e);
	default:
		return query_bind_null(q, name, e);
	}
}

static int print_hex(const struct log_value *v, struct buf *out, struct err *e)
{
	const uint8_t *bytes = v->data;

	if (buf_add_str(out, "X'", e))
		return -1;
	for (size_t i = 0; i < v->len; i++)
		if (buf_printf(out, e, "%02X", bytes[i]))
			return -1;
	return buf_add_str(out, "'", e);
}

static int print_text(const struct log_value *v, struct buf *out, struct err *e)
{
	const char *text = v->data;

	/* a literal ends at a zero byte */
	if (strlen(text) < v->len)
		return buf_add_str(out, "CAST(", e) || print_hex(v, out, e) ||
				       buf_add_str(out, " AS TEXT)", e)
			       ? -1
			       : 0;
	if (buf_add_str(out, "'", e))
		return -1;
	for (;;) {
		size_t n = strcspn(text, "'");

		if (buf_add(out, text, n, e))
			return -1;
		text += n;
		if (!*text)
			return buf_add_str(out, "'", e);
		if (buf_add_str(out, "''", e))
			return -1;
		text++;
	}
}

int log_value_print(const struct log_value *v, struct buf *out, struct err *e)
{
	switch (v->type) {
	case QUERY_INT:
		return buf_printf(out, e, "%" PRId64, v->num);
	case QUERY_BLOB:
		return print_hex(v, out, e);
	case QUERY_TEXT:
		return print_text(v, out, e);
	default:
		return buf_add_str(out, "NULL", e);
	}
}

/* ---- reading (RFC 8259, of which SQLite's json_object() uses this much) ---- */

static int bad(const char *at, struct err *e)
{
	return err_set(e, ERR_FORMAT,
		       "the edit log holds what is no row (an object of plain values): %.40s", at);
}

static const char *skip_blanks(const char *at)
{
	return at + strspn(at, " \t\r\n");
}

/* \uXXXX at *at (behind the u), which goes behind it, as UTF-8. Halves of pairs are in no log: SQLite writes
 * characters above U+001F as they are. */
static int read_code(const char **at, struct buf *out, struct err *e)
{
	char hex[5] = "", *end, utf8[3];
	unsigned long code;

	strncat(hex, *at, 4);
	code = strtoul(hex, &end, 16);
	if (strspn(hex, "0123456789abcdefABCDEF") != 4 || (code & 0xf800) == 0xd800)
		return bad(*at - 2, e);
	*at += 4;
	if (code < 0x80) {
		utf8[0] = (char)code;
		return buf_add(out, utf8, 1, e);
	}
	utf8[2] = (char)(0x80 | (code & 0x3f));
	utf8[1] = (char)((code < 0x800 ? 0xc0 : 0x80) | (code >> 6 & 0x3f));
	utf8[0] = (char)(0xe0 | code >> 12);
	return code < 0x800 ? buf_add(out, utf8 + 1, 2, e) : buf_add(out, utf8, 3, e);
}

/* The string at *at, which goes behind it; *off, *len: where it is in r->text. */
static int read_string(struct log_row *r, const char **at, size_t *off, size_t *len, struct err *e)
{
	static const char escapes[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
	const char *p = *at;

	*off = r->text.len;
	if (*p != '"')
		return bad(p, e);
	for (p++;;) {
		size_t n = strcspn(p, "\"\\");
		const char *escape;

		if (buf_add(&r->text, p, n, e))
			return -1;
		p += n;
		if (*p++ != '\\')
			break;
		escape = *p ? strchr(escapes, *p) : NULL;
		if (!escape && *p != 'u')
			return bad(p - 1, e);
		p++;
		if (escape ? buf_add(&r->text, &means[escape - escapes], 1, e)
			   : read_code(&p, &r->text, e))
			return -1;
	}
	if (p[-1] != '"')
		return bad(*at, e);
	*at = p;
	*len = r->text.len - *off;
	return buf_add(&r->text, "", 1, e);
}

/* A text, a whole number or null. */
static int read_value(struct log_row *r, const char **at, struct log_column *c, struct err *e)
{
	c->type = QUERY_TEXT;
	if (**at == '"')
		return read_string(r, at, &c->value, &c->len, e);
	c->value = r->text.len;
	c->len = strspn(*at, "-0123456789");
	c->type = c->len ? QUERY_INT : QUERY_NULL;
	if (c->len ? strspn(*at + 1, "0123456789") + 1 != c->len || (**at == '-' && c->len == 1)
		   : strncmp(*at, "null", 4) != 0)
		return bad(*at, e);
	if (buf_add(&r->text, *at, c->len, e) || buf_add(&r->text, "", 1, e))
		return -1;
	*at += c->len ? c->len : 4;
	return 0;
}

static int add_column(struct log_row *r, const struct log_column *c, struct err *e)
{
	if (r->n == r->cap) {
		unsigned cap = r->cap ? 2 * r->cap : 64;
		struct log_column *bigger = reallocarray(r->columns, cap, sizeof(*bigger));

		if (!bigger)
			return err_set(e, ERR_NOMEM, "out of memory");
		r->columns = bigger;
		r->cap = cap;
	}
	r->columns[r->n++] = *c;
	return 0;
}

static int read_columns(struct log_row *r, const char **at, struct err *e)
{
	for (;;) {
		struct log_column c;

		*at = skip_blanks(*at);
		if (read_string(r, at, &c.name, &c.len, e))
			return -1;
		*at = skip_blanks(*at);
		if (*(*at)++ != ':')
			return bad(*at - 1, e);
		*at = skip_blanks(*at);
		if (read_value(r, at, &c, e) || add_column(r, &c, e))
			return -1;
		*at = skip_blanks(*at);
		if (**at != ',')
			return 0;
		++*at;
	}
}

int log_row_read(struct log_row *r, const char *json, struct err *e)
{
	const char *at = skip_blanks(json);

	r->n = r->next = 0;
	buf_reset(&r->text);
	if (*at != '{')
		return bad(json, e);
	at = skip_blanks(at + 1);
	if (*at != '}' && read_columns(r, &at, e))
		return -1;
	if (*at != '}')
		return bad(at, e);
	at = skip_blanks(at + 1);
	return *at ? bad(at, e) : 0;
}
