/* add_value.c: the row in the making: words become values of its columns, and values a row. */
#include "inspect/edit/add_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/escape.h"

/* ---- values ---- */

static const struct add_value *find(const struct add *a, const char *column)
{
	for (unsigned i = 0; i < a->n; i++)
		if (!strcmp(a->value[i].column, column))
			return &a->value[i];
	return NULL;
}

struct add_value *add_value_of(struct add *a, const char *column)
{
	return (struct add_value *)find(a, column);
}

static struct add_value *put(struct add *a, const char *column, struct err *e)
{
	struct add_value *v = add_value_of(a, column);

	if (v)
		return v;
	if (a->n == ARRAY_SIZE(a->value)) {
		err_set(e, ERR_USAGE, "too many words");
		return NULL;
	}
	v = &a->value[a->n++];
	*v = (struct add_value){.column = column};
	return v;
}

int add_put_num(struct add *a, const char *column, int64_t num, struct err *e)
{
	struct add_value *v = put(a, column, e);

	if (!v)
		return -1;
	v->num = num;
	v->is_text = false;
	return 0;
}

int add_put_text(struct add *a, const char *column, const char *text, struct err *e)
{
	struct add_value *v = put(a, column, e);

	if (!v)
		return -1;
	if (strlen(text) >= sizeof(v->text))
		return err_set(e, ERR_USAGE, "%s: too long", column);
	snprintf(v->text, sizeof(v->text), "%s", text);
	v->lent = NULL;
	v->is_text = true;
	return 0;
}

int add_put_lent(struct add *a, const char *column, const char *text, struct err *e)
{
	struct add_value *v = put(a, column, e);

	if (!v)
		return -1;
	v->lent = text;
	v->is_text = true;
	return 0;
}

int add_default_num(struct add *a, const char *column, int64_t num, struct err *e)
{
	return add_value_of(a, column) ? 0 : add_put_num(a, column, num, e);
}

bool add_has(const struct add *a, const char *column)
{
	return find(a, column);
}

int64_t add_num_of(const struct add *a, const char *column)
{
	const struct add_value *v = find(a, column);

	return v ? v->num : 0;
}

int add_put_address(struct add *a, const char *column, const char *word, struct err *e)
{
	char text[INET_TEXT_MAX];
	uint8_t addr[16];
	size_t len;

	if (inet_parse(word, a->family, addr, &len, e))
		return -1;
	a->family = inet_family_of_len(len);
	inet_format(addr, len, text);
	return add_put_text(a, column, text, e);
}

int add_put_prefix(struct add *a, const char *column, const char *word, struct err *e)
{
	char text[INET_PREFIX_MAX];
	uint8_t addr[16];
	unsigned prefixlen;
	size_t len;

	if (inet_prefix_parse(word, a->family, addr, &len, &prefixlen, e))
		return -1;
	a->family = inet_family_of_len(len);
	if (!inet_prefix_is_clean(addr, len, prefixlen))
		return err_set(e, ERR_USAGE, "%s: bits behind the prefix are set", word);
	inet_prefix_format(addr, len, prefixlen, text);
	return add_put_text(a, column, text, e);
}

/* iproute2 takes the length from the other end, and only where that is 0 from the address. */
static int put_peer(struct add *a, const char *column, const char *word, struct err *e)
{
	char text[INET_TEXT_MAX];
	uint8_t addr[16];
	unsigned prefixlen;
	size_t len;

	if (inet_prefix_parse(word, a->family, addr, &len, &prefixlen, e))
		return -1;
	a->prefixlen = prefixlen ? prefixlen : a->prefixlen;
	inet_format(addr, len, text);
	return add_put_text(a, column, text, e);
}

/* "brd +": all bits behind the prefix. */
static int put_broadcast(struct add *a, const char *word, struct err *e)
{
	char text[INET_TEXT_MAX];
	uint8_t first[16], last[16];

	if (strcmp(word, "+") != 0)
		return add_put_address(a, "broadcast", word, e);
	if (a->addr_len != 4)
		return err_set(e, ERR_USAGE, "brd + comes after the address");
	inet_prefix_ends(a->addr, 4, a->prefixlen, first, last);
	inet_format(last, 4, text);
	return add_put_text(a, "broadcast", text, e);
}

static int put_via(struct add *a, const char *word, struct err *e)
{
	char text[INET_TEXT_MAX];

	if (inet_parse(word, (int)a->via_family, a->via, &a->via_len, e))
		return -1;
	inet_format(a->via, a->via_len, text);
	/* which of the two columns it is shows when the family is known */
	return add_put_text(a, "gateway", text, e);
}

static int put_number(struct add *a, const struct add_word *w, const char *word, struct err *e)
{
	int64_t v;
	char *end;

	v = strtoll(word, &end, 0);
	if ((*end || end == word) && (!w->words || words_find(w->words, word, &v)))
		return err_set(e, ERR_USAGE,
			       w->words ? "%s: '%s' is neither a number nor a word for one"
					: "%s: '%s' is no number",
			       w->word, word);
	if (v < 0)
		return err_set(e, ERR_USAGE, "%s: %s is negative", w->word, word);
	return add_put_num(a, w->column, v, e);
}

/* Members of a JSON object, each once: what says a metric twice would leave it to the reader which one is meant. */
static int put_metric(struct add *a, const struct add_word *w, const char *word, struct err *e)
{
	auto_buf struct buf key = {0};
	int64_t v;

	if (cli_parse_number(word, 0, UINT32_MAX, &v, w->word, e) ||
	    buf_printf(&key, e, "\"%s\":", w->column))
		return -1;
	if (a->metrics.len && strstr((const char *)a->metrics.data, (const char *)key.data))
		return err_set(e, ERR_USAGE, "%s is there twice", w->word);
	return buf_printf(&a->metrics, e, "%s%s%" PRId64, a->metrics.len ? "," : "{",
			  (const char *)key.data, v);
}

static int put_mark(struct add *a, const char *word, struct err *e)
{
	char *end;
	unsigned long mark = strtoul(word, &end, 0), mask = UINT32_MAX;

	if (*end == '/')
		mask = strtoul(end + 1, &end, 0);
	if (*end || end == word || mark > UINT32_MAX || mask > UINT32_MAX)
		return err_set(e, ERR_USAGE, "fwmark: '%s' is not MARK[/MASK]", word);
	return add_put_num(a, "fwmark", (int64_t)mark, e) ||
			       add_put_num(a, "fwmask", (int64_t)mask, e)
		       ? -1
		       : 0;
}

static int put_lladdr(struct add *a, const char *column, const char *word, struct err *e)
{
	uint8_t addr[INET_LL_BYTES];
	char text[INET_LL_MAX];
	size_t len;

	if (inet_ll_parse(word, addr, &len, e))
		return -1;
	inet_ll_format(addr, len, text);
	return add_put_text(a, column, text, e);
}

int add_put_word(struct add *a, const struct add_word *w, const char *value, struct err *e)
{
	if (!value && w->how != ADD_FLAG)
		return err_set(e, ERR_USAGE, "a value is missing after '%s'", w->word);
	switch (w->how) {
	case ADD_NETNS:
		a->has_netns = true;
		return edit_find_netns(a->x, value, &a->netns, e);
	case ADD_DEV:
		a->has_dev = true;
		a->dev = value;
		return 0;
	case ADD_ADDRESS:
		return add_put_address(a, w->column, value, e);
	case ADD_PEER:
		return put_peer(a, w->column, value, e);
	case ADD_BROADCAST:
		return put_broadcast(a, value, e);
	case ADD_VIA:
		return put_via(a, value, e);
	case ADD_PREFIX:
		return add_put_prefix(a, w->column, value, e);
	case ADD_LLADDR:
		return put_lladdr(a, w->column, value, e);
	case ADD_NUMBER:
		return put_number(a, w, value, e);
	case ADD_FLAG:
		return add_put_num(a, "flags", add_num_of(a, "flags") | w->bit, e);
	case ADD_METRIC:
		return put_metric(a, w, value, e);
	case ADD_MARK:
		return put_mark(a, value, e);
	case ADD_HOP: /* add.c takes the words behind it */
		return 0;
	case ADD_TEXT:
		if (!escape_is_canonical(value, strlen(value)))
			return err_set(e, ERR_USAGE,
				       "%s: control characters, and bytes that are no UTF-8, are "
				       "written \\xNN, and a backslash \\\\",
				       w->word);
		break;
	}
	return add_put_text(a, w->column, value, e);
}

bool add_prefix_has(const uint8_t *net, const uint8_t *addr, unsigned bits)
{
	return !memcmp(net, addr, bits / 8) &&
	       (!(bits % 8) || !((net[bits / 8] ^ addr[bits / 8]) >> (8 - bits % 8)));
}

/* ---- the row ---- */

int add_insert(struct add *a, const char *table, struct err *e)
{
	auto_buf struct buf sql = {0}, values = {0};
	struct edit_bind binds[ARRAY_SIZE(a->value) + 3];
	unsigned n = 0;

	if (buf_printf(&sql, e, "INSERT INTO %s (image, netns", table) ||
	    buf_add_str(&values, ") VALUES (:image, :netns", e))
		return -1;
	binds[n++] = (struct edit_bind){"image", NULL, edit_image(a->x)};
	binds[n++] = (struct edit_bind){"netns", NULL, a->netns};
	for (unsigned i = 0; i < a->n; i++) {
		const struct add_value *v = &a->value[i];

		if (buf_printf(&sql, e, ", \"%s\"", v->column) ||
		    buf_printf(&values, e, ", :%s", v->column))
			return -1;
		binds[n++] = (struct edit_bind){v->column,
						!v->is_text ? NULL
						: v->lent   ? v->lent
							    : v->text,
						v->num};
	}
	binds[n] = (struct edit_bind){0};
	if (buf_add_str(&sql, (const char *)values.data, e) || buf_add_str(&sql, ")", e))
		return -1;
	return edit_exec(a->x, (const char *)sql.data, binds, e);
}

int add_refuse_double(struct add *a, const char *sql, const char *what, struct err *e)
{
	const struct add_value *metric = add_value_of(a, "priority"), *dst = add_value_of(a, "dst");
	const struct edit_bind binds[] = {{"netns", NULL, a->netns},
					  {"ifindex", NULL, a->ifindex},
					  {"address", a->plain, 0},
					  {"dst", dst ? dst->text : "", 0},
					  {"family", NULL, a->family},
					  {"table", NULL, add_num_of(a, "table")},
					  {"tos", NULL, add_num_of(a, "tos")},
					  {"metric", NULL, metric ? metric->num : 0},
					  {0}};
	int64_t there;
	bool found;

	if (edit_number(a->x, sql, binds, &there, &found, e))
		return -1;
	return found ? err_set(e, ERR_EXISTS, "%s is there already", what) : 0;
}
