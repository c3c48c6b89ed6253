/* What a condition of "nsimg show" binds a column to: rows are then looked for with an index, where SQLite would see
 * none, since the column is made of others, or the index has only the rows that few have. The condition itself stays
 * as it is. */
#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "inspect/show.h"
#include "inspect/sockets.h"

/* The length of what belongs together at s: a word, a text in quotes, what is in parentheses, a sign. 0: it cannot be
 * told (a comment, a quote or parenthesis without an end). */
static size_t token_len(const char *s)
{
	size_t n = 0, one;

	if (!strncmp(s, "--", 2) || !strncmp(s, "/*", 2) || *s == ')')
		return 0;
	if (isalnum((unsigned char)*s) || *s == '_') {
		while (isalnum((unsigned char)s[n]) || s[n] == '_')
			n++;
		return n;
	}
	if (*s == '\'' || *s == '"') {
		const char *end = strchr(s + 1, *s);

		return end ? (size_t)(end + 1 - s) : 0;
	}
	if (*s != '(')
		return 1;
	for (n = 1; s[n] != ')'; n += one) {
		one = s[n] ? token_len(s + n) : 0;
		if (!one)
			return 0;
	}
	return n + 1;
}

static bool is_word(const char *s, size_t n, const char *word)
{
	return strlen(word) == n && !strncasecmp(s, word, n);
}

/* One part of the condition, as its tokens come along: is it "COLUMN = 'VALUE'" or "COLUMN = NUMBER"? */
struct part {
	const char *column;
	unsigned n; /* tokens so far that fit, of three; NO_FIT */
	struct span value;
};
enum { NO_FIT = 99 };

static void part_add(struct part *p, const char *s, size_t n)
{
	const bool is_text = *s == '\'', is_number = strspn(s, "0123456789") == n;
	const bool fits[] = {is_word(s, n, p->column), *s == '=', is_text || is_number};

	/* "==" is two signs */
	if (p->n == 2 && *s == '=' && s[-1] == '=')
		return;
	p->n = p->n < ARRAY_SIZE(fits) && fits[p->n] ? p->n + 1 : NO_FIT;
	p->value = is_text ? (struct span){(const uint8_t *)s + 1, n - 2}
			   : (struct span){(const uint8_t *)s, n};
}

/* Words with which a part between two AND need not hold for the whole. */
static bool is_binding(const char *s, size_t n)
{
	return is_word(s, n, "or") || is_word(s, n, "between") || is_word(s, n, "case");
}

bool show_where_equal(const char *where, const char *column, struct span *value)
{
	struct part p = {.column = column};
	bool found = false;
	size_t n;

	for (const char *s = where;; s += n) {
		bool is_end = !*s;

		if (isspace((unsigned char)*s)) {
			n = 1;
			continue;
		}
		n = is_end ? 0 : token_len(s);
		if ((!is_end && !n) || is_binding(s, n))
			return false;
		if (!is_end && !is_word(s, n, "and")) {
			part_add(&p, s, n);
			continue;
		}
		if (p.n == 3 && !found) {
			*value = p.value;
			found = true;
		}
		if (is_end)
			return found;
		p = (struct part){.column = column};
	}
}

/* ---- which rows to begin with ---- */

/* How a value becomes the %s of the SQL. */
enum how {
	TEXT,   /* it has no quote, by the way it was found */
	NUMBER, /* but 0, which most rows have */
	PORT,   /* the number behind the last colon */
	INODE,  /* the number behind the last blank: what a unix socket is shown with */
	STATE,  /* its number */
	NETID,
	FAMILY,
};

/* +: not with the index of the image */
#define IDS(from)            "+t.image = :image AND t.id IN (" from ")"
#define AND_IMAGE            " AND t.image = :image"
#define IN_INET(column, but) IDS("SELECT socket FROM inet_socket WHERE " column " = %s" but)
#define NOT_WILD(column)     " AND " column " <> '0.0.0.0' AND " column " <> '::'"

/* The best first. In the words of the partial indexes (schema.sql). */
static const struct drive {
	const char *table, *column;
	enum how how;
	const char *sql;
} drives[] = {
	{"sockets", "local", INODE, "t.ino = %s" AND_IMAGE},
	{"sockets", "local", PORT,
	 IDS("SELECT socket FROM inet_socket WHERE src_port = %s UNION ALL SELECT socket FROM "
	     "netlink_socket WHERE portid = %s AND portid <> 0 UNION ALL SELECT socket FROM "
	     "packet_socket WHERE ifindex <> 0 AND ifindex IN (SELECT ifindex FROM device WHERE "
	     "image = :image AND name = CAST(%s AS TEXT))")},
	{"sockets", "peer", INODE,
	 IDS("SELECT socket FROM unix_socket WHERE peer = %s AND peer <> 0")},
	{"sockets", "peer", PORT, IN_INET("dst_port", " AND dst_port <> 0")},
	{"sockets", "name", TEXT,
	 IDS("SELECT socket FROM unix_socket WHERE name = '%s' AND name <> ''")},
	{"sockets", "sport", NUMBER, IN_INET("src_port", "")},
	{"sockets", "dport", NUMBER, IN_INET("dst_port", " AND dst_port <> 0")},
	{"sockets", "src", TEXT,
	 IDS("SELECT socket FROM inet_socket WHERE src = '%s'" NOT_WILD("src"))},
	{"sockets", "dst", TEXT,
	 IDS("SELECT socket FROM inet_socket WHERE dst = '%s'" NOT_WILD("dst"))},
	{"sockets", "so_mark", NUMBER, "t.so_mark = %s AND t.so_mark <> 0" AND_IMAGE},
	{"sockets", "dev", TEXT, "t.so_bound_dev = '%s' AND t.so_bound_dev <> ''" AND_IMAGE},
	{"sockets", "uid", NUMBER, "t.uid = %s AND t.uid <> 0" AND_IMAGE},
	{"sockets", "state", STATE, "t.state NOT IN (1, 7, 10) AND t.state = %s" AND_IMAGE},
	{"sockets", "netid", NETID, IDS(SOCKETS_RARE)},
	{"sockets", "family", FAMILY, IDS(SOCKETS_RARE)},
};

static bool is_one_of(const char *word, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(word, *list))
			return true;
	return false;
}

/* The text for %s, lent by value or room; NULL: no index helps. */
static const char *drive_value(enum how how, const char *value, char room[24])
{
	static const char *const wild[] = {"", "0.0.0.0", "::", NULL};
	const char *at = value + strlen(value);
	int64_t v;

	switch (how) {
	case TEXT:
		return is_one_of(value, wild) ? NULL : value;
	case NUMBER:
		break;
	case PORT:
	case INODE:
		while (at > value && isdigit((unsigned char)at[-1]))
			at--;
		if (at == value || at[-1] != (how == PORT ? ':' : ' '))
			return NULL;
		value = at;
		break;
	case STATE:
		if (words_find(WORDS_TCP_STATE, value, &v) || !v || v == 1 || v == 7 || v == 10)
			return NULL;
		snprintf(room, 24, "%" PRId64, v);
		return room;
	case NETID:
		return sockets_is_rare(value) ? "" : NULL;
	case FAMILY:
		return words_find(WORDS_FAMILY, value, &v) || !sockets_is_rare_family(v) ? NULL
											 : "";
	}
	at = value + strspn(value, "0123456789");
	v = *value && !*at && at - value < 19 ? strtoll(value, NULL, 10) : 0;
	snprintf(room, 24, "%" PRId64, v);
	return v ? room : NULL;
}

int show_where_drive(const struct show_table *t, const char *where, struct buf *out, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(drives); i++) {
		const struct drive *d = &drives[i];
		char word[256], room[24];
		const char *value, *sql = d->sql, *at;
		struct span found;

		if (strcmp(d->table, t->name) != 0 || !show_where_equal(where, d->column, &found) ||
		    found.len >= sizeof(word))
			continue;
		snprintf(word, sizeof(word), "%.*s", (int)found.len, (const char *)found.data);
		value = drive_value(d->how, word, room);
		if (!value)
			continue;
		for (; (at = strstr(sql, "%s")); sql = at + 2)
			if (buf_add(out, sql, (size_t)(at - sql), e) || buf_add_str(out, value, e))
				return -1;
		return buf_add_str(out, sql, e);
	}
	return 0;
}
