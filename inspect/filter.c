#include "inspect/filter.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/cli.h"
#include "base/json.h"
#include "inspect/words.h"
#include "proto/inet.h"

#define MAX_PARAMS 64
#define MAX_WORD   256
#define MAX_DEPTH  64 /* of parentheses and nots */

struct param {
	char *text; /* NULL: num */
	int64_t num;
};

struct filter {
	struct buf sql;
	struct param params[MAX_PARAMS];
	unsigned n_params;
};

struct parser {
	struct filter *f;
	struct db *db;
	int64_t image;
	const char *at;      /* what is not read yet */
	char word[MAX_WORD]; /* the word that is next; "" at the end */
	bool quoted;         /* it was in quotes: no operator */
	unsigned depth;
};

void filter_free(struct filter *f)
{
	if (!f)
		return;
	for (unsigned i = 0; i < f->n_params; i++)
		free(f->params[i].text);
	buf_free(&f->sql);
	free(f);
}

const char *filter_sql(const struct filter *f)
{
	return (const char *)f->sql.data;
}

int filter_bind(const struct filter *f, struct query *q, struct err *e)
{
	for (unsigned i = 0; i < f->n_params; i++) {
		const struct param *p = &f->params[i];
		char name[16];

		snprintf(name, sizeof(name), "p%u", i);
		if (p->text ? query_bind_text(q, name, p->text, e)
			    : query_bind_int(q, name, p->num, e))
			return -1;
	}
	return 0;
}

/* ---- words ---- */

static bool is_special(char c)
{
	return c == '(' || c == ')' || c == '=' || c == '<' || c == '>' || c == '!' || c == '&' ||
	       c == '|';
}

/* Length of the operator or parenthesis at s. */
static size_t special_len(const char *s)
{
	static const char *const doubles[] = {"==", "!=", "<=", ">=", "&&", "||"};

	for (size_t i = 0; i < ARRAY_SIZE(doubles); i++) {
		if (strncmp(s, doubles[i], 2) == 0)
			return 2;
	}
	return 1;
}

static int next_word(struct parser *p, struct err *e)
{
	const char *s = p->at + strspn(p->at, " \t\n");
	size_t n = 0;

	p->quoted = *s == '"';
	if (p->quoted) {
		s++;
		n = strcspn(s, "\"");
		if (!s[n])
			return err_set(e, ERR_USAGE, "filter: the quote before '%s' is not closed",
				       s);
	} else if (is_special(*s)) {
		n = special_len(s);
	} else {
		while (s[n] && !is_special(s[n]) && !isspace((unsigned char)s[n]))
			n++;
	}
	if (n >= MAX_WORD)
		return err_set(e, ERR_USAGE, "filter: '%.20s...' is too long a word", s);
	memcpy(p->word, s, n);
	p->word[n] = 0;
	p->at = s + n + p->quoted;
	return 0;
}

static bool at_end(const struct parser *p)
{
	return !p->word[0] && !p->quoted;
}

static bool is_word(const struct parser *p, const char *a, const char *b, const char *c)
{
	if (p->quoted)
		return false;
	return strcasecmp(p->word, a) == 0 || (b && strcmp(p->word, b) == 0) ||
	       (c && strcmp(p->word, c) == 0);
}

static int add_param(struct parser *p, const char *text, int64_t num, unsigned *n, struct err *e)
{
	struct filter *f = p->f;

	if (f->n_params == MAX_PARAMS)
		return err_set(e, ERR_USAGE, "filter: more than %d values", MAX_PARAMS);
	f->params[f->n_params] = (struct param){text ? strdup(text) : NULL, num};
	if (text && !f->params[f->n_params].text)
		return err_set(e, ERR_NOMEM, "filter: out of memory");
	*n = f->n_params++;
	return 0;
}

static int add_sql(struct parser *p, const char *s, struct err *e)
{
	return buf_add_str(&p->f->sql, s, e);
}

/* ---- values ---- */

enum field_kind { F_PORT, F_HOST, F_TEXT, F_NUM, F_FAMILY, F_NETNS, F_HOLDER_NUM, F_HOLDER_TEXT };

static const struct field {
	const char *name;
	enum field_kind kind;
	const char *column;
	const char *port; /* hosts: the column of the port */
} fields[] = {
	{"sport", F_PORT, "sport", NULL},
	{"dport", F_PORT, "dport", NULL},
	{"src", F_HOST, "src", "sport"},
	{"dst", F_HOST, "dst", "dport"},
	{"dev", F_TEXT, "dev", NULL},
	{"netns", F_NETNS, "netns", NULL},
	{"family", F_FAMILY, "family_num", NULL},
	{"netid", F_TEXT, "netid", NULL},
	{"name", F_TEXT, "name", NULL},
	{"ino", F_NUM, "ino", NULL},
	{"uid", F_NUM, "uid", NULL},
	{"fwmark", F_NUM, "mark", NULL},
	{"pid", F_HOLDER_NUM, "k.pid", NULL},
	{"fd", F_HOLDER_NUM, "f.fd", NULL},
	{"comm", F_HOLDER_TEXT, "k.comm", NULL},
};

static const char *field_name_at(const void *arg, unsigned i)
{
	static const char *const others[] = {"state", "exclude", "and", "or", "not"};

	if (i < ARRAY_SIZE(fields))
		return fields[i].name;
	i -= ARRAY_SIZE(fields);
	return i < ARRAY_SIZE(others) ? others[i] : NULL;
}

/* The operator that is next, "=" when none is. Static. */
static const char *take_op(struct parser *p, struct err *e)
{
	static const struct {
		const char *word, *sql;
	} ops[] = {
		{"=", "="},    {"==", "="},   {"eq", "="},  {"!=", "<>"},
		{"ne", "<>"},  {"neq", "<>"}, {"<", "<"},   {"lt", "<"},
		{">", ">"},    {"gt", ">"},   {"<=", "<="}, {"le", "<="},
		{"leq", "<="}, {">=", ">="},  {"ge", ">="}, {"geq", ">="},
	};

	for (size_t i = 0; i < ARRAY_SIZE(ops) && !p->quoted; i++) {
		if (strcasecmp(p->word, ops[i].word) == 0)
			return next_word(p, e) ? NULL : ops[i].sql;
	}
	return "=";
}

static int need_equal(const char *field, const char *op, struct err *e)
{
	if (strcmp(op, "=") == 0 || strcmp(op, "<>") == 0)
		return 0;
	return err_set(e, ERR_USAGE, "filter: %s can be = or !=, not %s", field, op);
}

/* ":443", "443", ":https"; "*" is any port (-1). */
static int parse_port(const char *word, int64_t *port, struct err *e)
{
	const char *s = *word == ':' ? word + 1 : word;
	struct err ignored = ERR_INIT;
	struct servent *service;

	if (strcmp(s, "*") == 0) {
		*port = -1;
		return 0;
	}
	if (cli_parse_number(s, 0, 65535, port, "port", &ignored) == 0)
		return 0;
	service = isalpha((unsigned char)*s) ? getservbyname(s, NULL) : NULL;
	if (!service)
		return err_set(e, ERR_USAGE,
			       "filter: '%s' is no port and no service of /etc/services", word);
	*port = ntohs((uint16_t)service->s_port);
	return 0;
}

static int put_port(struct parser *p, const char *column, const char *op, const char *word,
		    struct err *e)
{
	int64_t port;
	unsigned n;

	if (parse_port(word, &port, e))
		return -1;
	if (port < 0)
		return buf_printf(&p->f->sql, e, "%s IS NOT NULL", column);
	if (add_param(p, NULL, port, &n, e))
		return -1;
	return buf_printf(&p->f->sql, e, "%s %s :p%u", column, op, n);
}

struct prefix {
	uint8_t addr[16];
	size_t len;
	unsigned bits;
};

/* An IPv4 address in an IPv6 socket (::ffff:a.b.c.d) counts as that IPv4 address, as in ss. */
static void unmap(uint8_t addr[16], size_t *len)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (*len != 16 || memcmp(addr, mapped, sizeof(mapped)) != 0)
		return;
	memmove(addr, addr + 12, 4);
	*len = 4;
}

static bool in_prefix(const char *text, const struct prefix *want)
{
	struct err ignored = ERR_INIT;
	uint8_t addr[16];
	size_t len = 0;

	if (inet_parse(text, 0, addr, &len, &ignored))
		return false;
	unmap(addr, &len);
	if (len != want->len)
		return false;
	for (unsigned bit = 0; bit < want->bits; bit++) {
		if ((addr[bit / 8] ^ want->addr[bit / 8]) & (0x80u >> bit % 8))
			return false;
	}
	return true;
}

/* SQL cannot compare address text by bits, so the addresses that the image has and that lie in the prefix
 * become one parameter, a JSON array. */
static int put_prefix(struct parser *p, const char *column, const struct prefix *want,
		      struct err *e)
{
	auto_buf struct buf sql = {0}, text = {0};
	auto_json struct json *list = json_new_array();
	auto_query struct query *q = NULL;
	unsigned n;
	int rc;

	if (buf_printf(&sql, e,
		       "SELECT DISTINCT i.%s FROM inet_socket i JOIN socket s ON s.id = i.socket"
		       " WHERE s.image = :image AND i.%s IS NOT NULL",
		       column, column))
		return -1;
	q = query_new(p->db, (const char *)sql.data, e);
	if (!q || query_bind_int(q, "image", p->image, e))
		return -1;
	while ((rc = query_next(q, e)) == 1) {
		const char *addr = query_text(q, 0);

		if (in_prefix(addr, want) && json_push(list, json_new_str(addr), e))
			return -1;
	}
	if (rc || json_print(list, false, &text, e) ||
	    add_param(p, (const char *)text.data, 0, &n, e))
		return -1;
	return buf_printf(&p->f->sql, e, "%s IN (SELECT value FROM json_each(:p%u))", column, n);
}

/* Split "ADDR:PORT", "[ADDR]:PORT" in place; *port is NULL when there is none. */
static void split_port(char *word, char **addr, char **port)
{
	char *colon = strrchr(word, ':'), *close = strchr(word, ']');

	*addr = word;
	*port = NULL;
	if (*word == '[' && close) {
		*addr = word + 1;
		*close = 0;
		*port = close[1] == ':' ? close + 2 : NULL;
		/* "[fd00::]/64" */
		if (close[1] == '/')
			memmove(close, close + 1, strlen(close + 1) + 1);
		return;
	}
	/* one colon: a port; several: an IPv6 address */
	if (colon && strchr(word, ':') == colon) {
		*colon = 0;
		*port = colon + 1;
	}
}

static int put_text(struct parser *p, const char *column, const char *op, const char *word,
		    struct err *e)
{
	bool glob = word[strcspn(word, "*?[")] != 0;
	unsigned n;

	if (need_equal(column, op, e) || add_param(p, word, 0, &n, e))
		return -1;
	if (glob)
		return buf_printf(&p->f->sql, e, "%s%s GLOB :p%u", *op == '<' ? "NOT " : "", column,
				  n);
	return buf_printf(&p->f->sql, e, "%s %s :p%u", column, op, n);
}

static int put_host(struct parser *p, const struct field *f, const char *op, struct err *e)
{
	struct prefix want = {.len = 0};
	char word[MAX_WORD], *addr, *port;
	bool is_name = p->word[0] == '/' || p->word[0] == '@' || strncmp(p->word, "unix:", 5) == 0;

	if (need_equal(f->name, op, e))
		return -1;
	if (is_name)
		return put_text(p, strcmp(f->name, "src") == 0 ? "local_name" : "peer_name", op,
				p->word + (p->word[0] == 'u' ? 5 : 0), e);
	strcpy(word, p->word);
	split_port(word, &addr, &port);
	if (*op == '<' && add_sql(p, "NOT ", e))
		return -1;
	if (add_sql(p, "(", e))
		return -1;
	if (strcmp(addr, "*") == 0 || !*addr) {
		if (buf_printf(&p->f->sql, e, "%s IS NOT NULL", f->column))
			return -1;
	} else {
		if (inet_prefix_parse(addr, 0, want.addr, &want.len, &want.bits, e))
			return err_set(e, ERR_USAGE,
				       "filter: '%s' is no address, prefix or ADDRESS:PORT",
				       p->word);
		if (want.len == 16 && want.bits == 128) {
			unmap(want.addr, &want.len);
			want.bits = want.len == 4 ? 32 : 128;
		}
		if (put_prefix(p, f->column, &want, e))
			return -1;
	}
	if (port && (add_sql(p, " AND ", e) || put_port(p, f->port, "=", port, e)))
		return -1;
	return add_sql(p, ")", e);
}

static int put_number(struct parser *p, const char *column, const char *op, struct err *e)
{
	int64_t v;
	unsigned n;

	if (cli_parse_number(p->word, 0, INT64_MAX, &v, "filter", e) ||
	    add_param(p, NULL, v, &n, e))
		return -1;
	return buf_printf(&p->f->sql, e, "%s %s :p%u", column, op, n);
}

static int put_family(struct parser *p, const char *op, struct err *e)
{
	int64_t v;
	unsigned n;

	if (words_find(WORDS_FAMILY, p->word, &v))
		return err_set(
			e, ERR_USAGE,
			"filter: no family '%s' (inet, inet6, unix, netlink, packet, vsock, ...)",
			p->word);
	if (need_equal("family", op, e) || add_param(p, NULL, v, &n, e))
		return -1;
	return buf_printf(&p->f->sql, e, "family_num %s :p%u", op, n);
}

/* By name, "nsN" or number. */
static int put_netns(struct parser *p, const char *op, struct err *e)
{
	unsigned n;

	if (need_equal("netns", op, e) || add_param(p, p->word, 0, &n, e))
		return -1;
	return buf_printf(&p->f->sql, e,
			  "%s(netns = :p%u OR 'ns' || ns_id = :p%u OR CAST(ns_id AS TEXT) = :p%u)",
			  *op == '<' ? "NOT " : "", n, n, n);
}

static int put_value(struct parser *p, const struct field *f, const char *op, struct err *e)
{
	switch (f->kind) {
	case F_PORT:
		return put_port(p, f->column, op, p->word, e);
	case F_HOST:
		return put_host(p, f, op, e);
	case F_TEXT:
	case F_HOLDER_TEXT:
		return put_text(p, f->column, op, p->word, e);
	case F_NUM:
	case F_HOLDER_NUM:
		return put_number(p, f->column, op, e);
	case F_FAMILY:
		return put_family(p, op, e);
	case F_NETNS:
		return put_netns(p, op, e);
	}
	return -1;
}

/* A socket has several holders: "pid != 7" means that none of them is 7. */
static int put_field(struct parser *p, const struct field *f, const char *op, struct err *e)
{
	bool holder = f->kind == F_HOLDER_NUM || f->kind == F_HOLDER_TEXT,
	     none = *op == '<' && op[1] == '>';

	if (!holder)
		return put_value(p, f, op, e);
	if (buf_printf(&p->f->sql, e,
		       "file_id %sIN (SELECT f.file_id FROM fd f JOIN task k ON k.image = f.image"
		       " AND k.files_id = f.files_id WHERE f.image = :image AND ",
		       none ? "NOT " : ""))
		return -1;
	return put_value(p, f, none ? "=" : op, e) || add_sql(p, ")", e) ? -1 : 0;
}

/* ---- states ---- */

/* Bits of TCP states by name, as ss(8) lists them; 1 << TCP_ESTABLISHED (1) ... */
static const struct {
	const char *name;
	unsigned mask;
} states[] = {
	{"established", 1u << 1},
	{"estab", 1u << 1},
	{"syn-sent", 1u << 2},
	{"syn-recv", 1u << 3},
	{"fin-wait-1", 1u << 4},
	{"fin-wait-2", 1u << 5},
	{"time-wait", 1u << 6},
	{"closed", 1u << 7 | 1u},
	{"close", 1u << 7 | 1u},
	{"unconnected", 1u << 7 | 1u},
	{"unconn", 1u << 7 | 1u},
	{"close-wait", 1u << 8},
	{"last-ack", 1u << 9},
	{"listening", 1u << 10},
	{"listen", 1u << 10},
	{"closing", 1u << 11},
	{"all", ~0u},
	{"connected", ~(1u << 7 | 1u | 1u << 10)},
	{"synchronized", ~(1u << 7 | 1u | 1u << 10 | 1u << 2)},
	{"bucket", 1u << 3 | 1u << 6},
	{"big", ~(1u << 3 | 1u << 6)},
};

static const char *state_name_at(const void *arg, unsigned i)
{
	return i < ARRAY_SIZE(states) ? states[i].name : NULL;
}

static int take_state(struct parser *p, unsigned *mask, struct err *e)
{
	const char *near;

	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		if (strcasecmp(p->word, states[i].name) == 0) {
			*mask |= states[i].mask;
			return next_word(p, e);
		}
	}
	near = cli_nearest(p->word, state_name_at, NULL);
	if (near)
		return err_set(e, ERR_USAGE, "filter: no state '%s'; did you mean '%s'?", p->word,
			       near);
	return err_set(
		e, ERR_USAGE,
		"filter: no state '%s' (established, listening, unconnected, all, connected, ...)",
		p->word);
}

static int put_states(struct parser *p, bool exclude, struct err *e)
{
	const char *again = exclude ? "exclude" : "state";
	unsigned mask = 0, n;

	do {
		if (next_word(p, e) || take_state(p, &mask, e))
			return -1;
	} while (is_word(p, again, NULL, NULL));
	if (add_param(p, NULL, (int64_t)(exclude ? ~mask : mask), &n, e))
		return -1;
	return buf_printf(&p->f->sql, e, "(1 << coalesce(state_num, 0)) & :p%u <> 0", n);
}

/* ---- grammar ---- */

static int parse_or(struct parser *p, struct err *e);

static int unknown_field(const struct parser *p, struct err *e)
{
	const char *near;

	if (at_end(p))
		return err_set(e, ERR_USAGE, "filter: it ends where a condition should follow");
	near = cli_nearest(p->word, field_name_at, NULL);
	if (near)
		return err_set(e, ERR_USAGE, "filter: '%s' is not known; did you mean '%s'?",
			       p->word, near);
	return err_set(
		e, ERR_USAGE,
		"filter: '%s' is not known; there are state, exclude, sport, dport, src, dst, dev, "
		"netns, pid, comm, fd, family, netid, name, ino, uid, fwmark",
		p->word);
}

static int parse_predicate(struct parser *p, struct err *e)
{
	const struct field *f = NULL;
	const char *op;

	if (is_word(p, "state", NULL, NULL) || is_word(p, "exclude", NULL, NULL))
		return put_states(p, tolower((unsigned char)p->word[0]) == 'e', e);
	for (size_t i = 0; i < ARRAY_SIZE(fields) && !p->quoted; i++) {
		if (strcasecmp(p->word, fields[i].name) == 0)
			f = &fields[i];
	}
	if (!f)
		return unknown_field(p, e);
	if (next_word(p, e))
		return -1;
	op = take_op(p, e);
	if (!op)
		return -1;
	if (at_end(p) || (is_special(p->word[0]) && !p->quoted))
		return err_set(e, ERR_USAGE, "filter: a value is missing after '%s'", f->name);
	return put_field(p, f, op, e) || next_word(p, e) ? -1 : 0;
}

static int parse_group(struct parser *p, struct err *e)
{
	if (next_word(p, e) || add_sql(p, "(", e) || parse_or(p, e))
		return -1;
	if (!is_word(p, ")", NULL, NULL))
		return err_set(e, ERR_USAGE, "filter: a ')' is missing%s%s",
			       at_end(p) ? "" : " before ", p->word);
	return add_sql(p, ")", e) || next_word(p, e) ? -1 : 0;
}

static int parse_unary(struct parser *p, struct err *e)
{
	int rc;

	if (++p->depth > MAX_DEPTH)
		return err_set(e, ERR_USAGE, "filter: nested more than %d deep", MAX_DEPTH);
	if (is_word(p, "not", "!", NULL)) {
		rc = add_sql(p, "NOT ", e) || next_word(p, e) || parse_unary(p, e);
	} else if (is_word(p, "(", NULL, NULL)) {
		rc = parse_group(p, e);
	} else {
		/* a column that a socket does not have (the port of a unix socket) is NULL: the condition is
		 * then false, and its negation true */
		rc = add_sql(p, "coalesce(", e) || parse_predicate(p, e) || add_sql(p, ", 0)", e);
	}
	p->depth--;
	return rc ? -1 : 0;
}

static int parse_and(struct parser *p, struct err *e)
{
	if (parse_unary(p, e))
		return -1;
	while (!at_end(p) && !is_word(p, ")", NULL, NULL) && !is_word(p, "or", "|", "||")) {
		if (is_word(p, "and", "&", "&&") && next_word(p, e))
			return -1;
		if (add_sql(p, " AND ", e) || parse_unary(p, e))
			return -1;
	}
	return 0;
}

static int parse_or(struct parser *p, struct err *e)
{
	if (parse_and(p, e))
		return -1;
	while (is_word(p, "or", "|", "||")) {
		if (next_word(p, e) || add_sql(p, " OR ", e) || parse_and(p, e))
			return -1;
	}
	return 0;
}

static int parse_all(struct parser *p, struct err *e)
{
	if (next_word(p, e))
		return -1;
	if (at_end(p))
		return add_sql(p, "1", e);
	if (parse_or(p, e))
		return -1;
	if (!at_end(p))
		return err_set(e, ERR_USAGE, "filter: '%s' where nothing should follow", p->word);
	return 0;
}

struct filter *filter_new(struct db *db, int64_t image, const char *text, struct err *e)
{
	struct filter *f = calloc(1, sizeof(*f));
	struct parser p = {.f = f, .db = db, .image = image, .at = text};

	if (!f) {
		err_set(e, ERR_NOMEM, "filter: out of memory");
		return NULL;
	}
	if (parse_all(&p, e)) {
		filter_free(f);
		return NULL;
	}
	return f;
}
