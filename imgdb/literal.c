#include "imgdb/literal.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void literal_free(struct literal *v)
{
	buf_free(&v->bytes);
}

static int bad(const char *text, struct err *e)
{
	return err_set(e, ERR_FORMAT, "the edit log holds what is no value: %.80s", text);
}

static int parse_text(const char *text, struct literal *v, struct err *e)
{
	const char *p = text + 1;

	v->type = QUERY_TEXT;
	for (;;) {
		size_t n = strcspn(p, "'");

		if (buf_add(&v->bytes, p, n, e))
			return -1;
		p += n;
		if (*p != '\'')
			return bad(text, e);
		if (p[1] != '\'')
			return p[1] ? bad(text, e) : 0;
		if (buf_add(&v->bytes, "'", 1, e))
			return -1;
		p += 2;
	}
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

static int parse_blob(const char *text, struct literal *v, struct err *e)
{
	const char *p = text + 2;

	v->type = QUERY_BLOB;
	for (; hex_digit(p[0]) >= 0 && hex_digit(p[1]) >= 0; p += 2) {
		uint8_t byte = (uint8_t)(hex_digit(p[0]) << 4 | hex_digit(p[1]));

		if (buf_add(&v->bytes, &byte, 1, e))
			return -1;
	}
	return strcmp(p, "'") != 0 ? bad(text, e) : 0;
}

static int parse_number(const char *text, struct literal *v, struct err *e)
{
	char *end;

	if (!isdigit((unsigned char)text[*text == '-']))
		return bad(text, e);
	errno = 0;
	v->type = QUERY_INT;
	v->num = strtoll(text, &end, 10);
	if (!*end && !errno)
		return 0;
	v->type = QUERY_REAL;
	v->real = strtod(text, &end);
	return *end || strpbrk(text, "xXnN") ? bad(text, e) : 0;
}

int literal_parse(const char *text, struct literal *v, struct err *e)
{
	buf_reset(&v->bytes);
	v->type = QUERY_NULL;
	if (!strcmp(text, "NULL"))
		return 0;
	if (*text == '\'')
		return parse_text(text, v, e) || buf_add(&v->bytes, "", 0, e) ? -1 : 0;
	if (!strncmp(text, "X'", 2))
		return parse_blob(text, v, e);
	return parse_number(text, v, e);
}

int literal_bind(struct query *q, const char *name, const struct literal *v, struct err *e)
{
	switch (v->type) {
	case QUERY_INT:
		return query_bind_int(q, name, v->num, e);
	case QUERY_TEXT:
		return query_bind_text(q, name, v->bytes.data ? (const char *)v->bytes.data : "",
				       e);
	case QUERY_BLOB:
		return query_bind_blob(q, name, v->bytes.data, v->bytes.len, e);
	case QUERY_REAL: /* no column of ours is REAL */
		return err_set(e, ERR_FORMAT, "the edit log holds a number with a fraction");
	case QUERY_NULL:
		break;
	}
	return query_bind_null(q, name, e);
}
