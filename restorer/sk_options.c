/* Options and memberships of a socket row, as bytes that setsockopt(2) takes. */
#include <arpa/inet.h>
#include <linux/filter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/json.h"
#include "proto/inet.h"
#include "restorer/sk_spec.h"

struct sk_option_list {
	struct sk_option_list *before;
	bool has_text; /* some are not of columns */
	size_t n;
	struct sk_option all[];
};

static struct sk_option *add_option(struct sk_specs *s, const struct sockopt *row, struct err *e)
{
	struct sk_option *grown;

	if (s->n_making % 32 == 0) {
		grown = reallocarray(s->making, s->n_making + 32, sizeof(*grown));
		if (!grown) {
			err_set(e, ERR_NOMEM, "options of a socket");
			return NULL;
		}
		s->making = grown;
	}
	s->making[s->n_making] = (struct sk_option){.row = row};
	if (row) {
		s->making[s->n_making].level = row->level;
		s->making[s->n_making].opt = row->opt;
	}
	return &s->making[s->n_making++];
}

/* What was made in s->value is the value of the option. */
static int take_value(struct sk_specs *s, struct sk_option *o, struct err *e)
{
	const struct buf *v = &s->value;

	o->value.data = (const uint8_t *)arena_text(&s->values, (const char *)v->data, v->len, e);
	o->value.len = v->len;
	return o->value.data ? 0 : -1;
}

/* The column of CRIU's field: the last word of its path. */
static const char *column_of(const struct sockopt *row)
{
	const char *dot = strrchr(row->criu, '.');

	return dot ? dot + 1 : row->criu;
}

int sk_option_column(const struct spec_row *r, const struct sockopt *row, const char *unit)
{
	char name[64];

	if (!row->criu)
		return -1;
	snprintf(name, sizeof(name), "%s%s", column_of(row),
		 row->type == SOCKOPT_TIMEVAL ? unit : "");
	return spec_col(r, name);
}

static int add_int(struct buf *v, const struct sockopt *row, int64_t n, struct err *e)
{
	int32_t n32 = (int32_t)n;

	return row->type == SOCKOPT_U64 ? buf_add(v, &n, sizeof(n), e)
					: buf_add(v, &n32, sizeof(n32), e);
}

static int add_timeval(struct buf *v, int64_t sec, int usec, const struct spec_row *r,
		       struct err *e)
{
	struct timeval tv = {.tv_sec = sec};

	/* NULL is 0 */
	if (usec >= 0)
		tv.tv_usec = query_int(r->q, usec);
	return buf_add(v, &tv, sizeof(tv), e);
}

/* An instruction is a little-endian number: code, jt, jf, k from the high bits down. */
static int add_filter(struct buf *v, struct span blob, struct err *e)
{
	for (size_t i = 0; i + 8 <= blob.len; i += 8) {
		const uint8_t *b = blob.data + i;
		struct sock_filter f = {
			.code = (uint16_t)(b[6] | b[7] << 8), .jt = b[5], .jf = b[4]};

		f.k = b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
		if (buf_add(v, &f, sizeof(f), e))
			return -1;
	}
	return 0;
}

/* The value of CRIU's column as setsockopt takes it, into v. 1; 0: it has none; -1. */
static int column_value(struct buf *v, const struct spec_option *so, const struct spec_row *r,
			struct err *e)
{
	const struct sockopt *row = so->row;
	struct linger linger = {.l_onoff = 1};
	const char *text;
	int64_t n;
	int rc;

	buf_reset(v);
	if (!query_get_int(r->q, so->col, &n))
		return 0;
	switch (row->type) {
	case SOCKOPT_TIMEVAL:
		rc = add_timeval(v, n, so->usec, r, e);
		break;
	case SOCKOPT_LINGER:
		linger.l_linger = (int)n;
		rc = buf_add(v, &linger, sizeof(linger), e);
		break;
	case SOCKOPT_STRING:
		text = query_text(r->q, so->col);
		rc = escape_undo(v, text, strlen(text), e);
		break;
	case SOCKOPT_FILTER:
		rc = add_filter(v, query_blob(r->q, so->col), e);
		break;
	case SOCKOPT_WORDS:
		rc = sockopt_parse(row, query_text(r->q, so->col), v, e);
		break;
	default:
		rc = add_int(v, row, n, e);
	}
	return rc ? err_wrap(e, "%s", row->name) : 1;
}

static bool is_column_of(const struct spec_option *so, uint32_t kind)
{
	return sockopt_in_criu(so->row, kind) && !(so->row->flags & SOCKOPT_READONLY);
}

static int load_columns(struct sk_specs *s, const struct spec_row *r, uint32_t kind, struct err *e)
{
	if (sockopt_count() > SPEC_OPTIONS)
		return err_set(e, ERR_RANGE, "more than %d socket options", SPEC_OPTIONS);
	for (size_t i = 0; i < r->n_options; i++) {
		const struct spec_option *so = &r->options[i];
		struct sk_option *o;
		int got = is_column_of(so, kind) ? column_value(&s->value, so, r, e) : 0;

		if (!got)
			continue;
		o = got > 0 ? add_option(s, so->row, e) : NULL;
		if (!o || take_value(s, o, e))
			return -1;
	}
	return 0;
}

/* "LEVEL:NUMBER" and "hex:...": an option that the dumper kept and no table knows. */
static int load_raw(struct sk_specs *s, const char *key, const char *text, struct err *e)
{
	struct sk_option *o = add_option(s, NULL, e);
	int used = 0;

	if (!o)
		return -1;
	if (sscanf(key, "%d:%d%n", &o->level, &o->opt, &used) != 2 || key[used])
		return err_set(e, ERR_FORMAT, "there is no socket option %s", key);
	if (!text || strncmp(text, "hex:", 4) || strlen(text) % 2)
		return err_set(e, ERR_FORMAT, "option %s: the value is not \"hex:...\"", key);
	for (const char *p = text + 4; *p; p += 2) {
		unsigned byte;
		uint8_t b;

		if (sscanf(p, "%2x", &byte) != 1)
			return err_set(e, ERR_FORMAT, "option %s: not hex digits", key);
		b = (uint8_t)byte;
		if (buf_add(&s->value, &b, 1, e))
			return -1;
	}
	return take_value(s, o, e);
}

/* What CRIU's record of a netlink socket has no field for. */
static int set_type(struct sk_file *f, const struct json *value, struct err *e)
{
	int64_t type;

	if (json_to_int(value, &type, "SO_TYPE", e))
		return -1;
	f->type = (int)type;
	return 0;
}

static int load_option(struct sk_specs *s, struct sk_file *f, const char *key,
		       const struct json *value, struct err *e)
{
	auto_buf struct buf text = {0};
	const struct sockopt *row;
	struct sk_option *o;
	char name[64];

	/* "TCP_MD5SIG#2" is the second key of the same option */
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(key, "#"), key);
	row = sockopt_find_name(name);
	buf_reset(&s->value);
	if (!row)
		return load_raw(s, name, json_str(value), e);
	if (row->level == SOL_SOCKET && row->opt == SO_TYPE)
		return set_type(f, value, e);
	if (row->flags & SOCKOPT_READONLY)
		return 0;
	o = add_option(s, row, e);
	if (o && key[strlen(name)])
		o->nth = (unsigned)strtoul(key + strlen(name) + 1, NULL, 10) - 1;
	if (!o || json_print(value, false, &text, e))
		return -1;
	return sockopt_parse(row, (const char *)text.data, &s->value, e) ? -1 : take_value(s, o, e);
}

static int compare_options(const void *a, const void *b)
{
	const struct sk_option *x = a, *y = b;

	/* the kernel's list of keys begins with the youngest (__tcp_md5_do_add) */
	if (x->row && x->row == y->row)
		return x->nth < y->nth ? 1 : x->nth > y->nth ? -1 : 0;
	/* rows of one array stand in the order of setting; options without a row come last */
	return (x->row ? x->row < y->row || !y->row ? -1 : x->row > y->row : y->row != NULL);
}

/* Has the row the options of the list? */
static bool is_list(struct sk_specs *s, const struct sk_option_list *l, const struct spec_row *r,
		    uint32_t kind)
{
	struct err ignored = ERR_INIT;
	size_t n = 0;

	for (size_t i = 0; i < r->n_options; i++) {
		const struct spec_option *so = &r->options[i];
		const struct sk_option *o = &l->all[n];
		int got = is_column_of(so, kind) ? column_value(&s->value, so, r, &ignored) : 0;

		if (!got)
			continue;
		if (got < 0 || n == l->n || o->row != so->row || o->value.len != s->value.len ||
		    memcmp(o->value.data, s->value.data, s->value.len) != 0)
			return false;
		n++;
	}
	return n == l->n;
}

/* What was made becomes a list. NULL: out of memory. */
static struct sk_option_list *take_list(struct sk_specs *s, bool has_text, struct err *e)
{
	struct sk_option_list *l = malloc(sizeof(*l) + s->n_making * sizeof(l->all[0]));

	if (!l) {
		err_set(e, ERR_NOMEM, "options of a socket");
		return NULL;
	}
	*l = (struct sk_option_list){.before = s->lists, .has_text = has_text, .n = s->n_making};
	for (size_t i = 0; i < l->n; i++)
		l->all[i] = s->making[i];
	return s->lists = l;
}

void sk_options_release(struct sk_specs *s)
{
	while (s->lists) {
		struct sk_option_list *before = s->lists->before;

		free(s->lists);
		s->lists = before;
	}
	free(s->making);
	arena_free(&s->values);
	buf_free(&s->value);
}

static struct sk_option_list *load_list(struct sk_specs *s, struct sk_file *f,
					const struct spec_row *r, uint32_t kind, const char *text,
					struct err *e)
{
	auto_json struct json *j = text ? json_parse(text, strlen(text), e) : NULL;
	const struct json *value;
	const char *key;
	void *iter = NULL;

	s->n_making = 0;
	if ((text && !j) || load_columns(s, r, kind, e))
		return NULL;
	while (j && json_next(j, &iter, &key, &value))
		if (load_option(s, f, key, value, e))
			return NULL;
	/* those of columns stand in order already */
	if (j && s->n_making)
		qsort(s->making, s->n_making, sizeof(*s->making), compare_options);
	return take_list(s, text, e);
}

/* Most sockets have the options of the one of their kind before. */
int sk_load_options(struct sk_specs *s, struct sk_file *f, const struct spec_row *r, struct err *e)
{
	uint32_t kind = sockopt_kind(f->family, f->type, f->protocol);
	struct sk_option_list **recent = &s->recent[kind ? __builtin_ctz(kind) : 0], *l = *recent;
	const char *text = spec_text(r, "options");

	if (text || !l || l->has_text || !is_list(s, l, r, kind))
		l = *recent = load_list(s, f, r, kind, text, e);
	if (!l)
		return -1;
	f->options = l->all;
	f->n_options = l->n;
	return 0;
}

/* ---- memberships ---- */

static int set_addr(struct sockaddr_storage *ss, const struct json *text, struct err *e)
{
	uint8_t addr[16];
	size_t len;

	if (!json_str(text))
		return err_set(e, ERR_FORMAT, "a multicast group is not text");
	if (inet_parse(json_str(text), 0, addr, &len, e))
		return -1;
	memset(ss, 0, sizeof(*ss));
	if (len == 4) {
		struct sockaddr_in *in = (struct sockaddr_in *)ss;

		in->sin_family = AF_INET;
		memcpy(&in->sin_addr, addr, 4);
	} else {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;

		in6->sin6_family = AF_INET6;
		memcpy(&in6->sin6_addr, addr, 16);
	}
	return 0;
}

static int load_member(struct sk_member *m, const struct json *j, struct err *e)
{
	const struct json *sources = json_get(j, "sources");
	int64_t ifindex = 0, mode = 0;
	size_t n = json_len(sources);

	if (set_addr(&m->group, json_get(j, "group"), e) ||
	    json_to_int(json_get(j, "ifindex"), &ifindex, "ifindex", e))
		return -1;
	if (json_get(j, "mode") && json_to_int(json_get(j, "mode"), &mode, "mode", e))
		return -1;
	m->ifindex = (uint32_t)ifindex;
	m->include = mode == 1; /* MCAST_INCLUDE of <linux/in.h> */
	if (!n)
		return 0;
	m->sources = calloc(n, sizeof(*m->sources));
	if (!m->sources)
		return err_set(e, ERR_NOMEM, "multicast sources");
	for (m->n_sources = 0; m->n_sources < n; m->n_sources++)
		if (set_addr(&m->sources[m->n_sources], json_at(sources, m->n_sources), e))
			return -1;
	return 0;
}

int sk_load_members(struct sk_file *f, const struct spec_row *r, struct err *e)
{
	const char *text = spec_text(r, "memberships");
	auto_json struct json *j = text ? json_parse(text, strlen(text), e) : NULL;
	size_t n = json_len(j);

	if (text && !j)
		return -1;
	if (!n)
		return 0;
	f->members = calloc(n, sizeof(*f->members));
	if (!f->members)
		return err_set(e, ERR_NOMEM, "multicast memberships");
	for (; f->n_members < n; f->n_members++)
		if (load_member(&f->members[f->n_members], json_at(j, f->n_members), e)) {
			f->n_members++;
			return err_wrap(e, "membership %zu", f->n_members);
		}
	return 0;
}
