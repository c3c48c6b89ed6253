/* filter_fields.c: the fields of the filter language, as conditions in SQL, and which index finds their rows.
 * What ss(8) has is as its manual page says; netns, pid, comm, fd, family, netid, name, ino and uid are ours. */
#include <arpa/inet.h>
#include <ctype.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/cli.h"
#include "inspect/filter_int.h"
#include "inspect/sockets.h"
#include "inspect/words.h"
#include "proto/inet.h"

static const struct filter_field fields[] = {
	{"sport", F_PORT, "src_port", NULL},
	{"dport", F_PORT, "dst_port", NULL},
	{"src", F_HOST, "src", "src_port"},
	{"dst", F_HOST, "dst", "dst_port"},
	{"dev", F_DEV, NULL, NULL},
	{"fwmark", F_MARK, "s.so_mark", NULL},
	{"netns", F_NETNS, NULL, NULL},
	{"family", F_FAMILY, "s.family", NULL},
	{"netid", F_NETID, NULL, NULL},
	{"name", F_NAME, "u.name", NULL},
	{"ino", F_INO, "s.ino", NULL},
	{"uid", F_UID, "s.uid", NULL},
	{"pid", F_HOLDER_NUM, "k.pid", NULL},
	{"fd", F_HOLDER_NUM, "f.fd", NULL},
	{"comm", F_HOLDER_TEXT, "k.comm", NULL},
};

static const char *field_name_at(const void *arg, unsigned i)
{
	static const char *const others[] = {"state", "exclude", "autobound", "and", "or", "not"};

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
			return filter_next_word(p, e) ? NULL : ops[i].sql;
	}
	return "=";
}

static bool is_unequal(const char *op)
{
	return strcmp(op, "<>") == 0;
}

static int need_equal(const char *field, const char *op, struct err *e)
{
	if (strcmp(op, "=") == 0 || is_unequal(op))
		return 0;
	return err_set(e, ERR_USAGE, "filter: %s can be = or !=, not %s", field, op);
}

/* ---- the other fields ---- */

static int put_text(struct parser *p, const char *column, const char *word, struct err *e)
{
	unsigned n;

	if (filter_param(p, word, 0, &n, e))
		return -1;
	return filter_addf(p, e, "%s %s :p%u", column, word[strcspn(word, "*?[")] ? "GLOB" : "=",
			   n);
}

static int put_number(struct parser *p, const char *column, const char *op, struct err *e)
{
	int64_t v;
	unsigned n;

	if (cli_parse_number(p->word, 0, INT64_MAX, &v, "filter", e) ||
	    filter_param(p, NULL, v, &n, e))
		return -1;
	return filter_addf(p, e, "%s %s :p%u", column, op, n);
}

static int put_uid(struct parser *p, const char *op, struct err *e)
{
	int64_t v;

	if (put_number(p, "s.uid", op, e))
		return -1;
	v = p->f->params[p->f->n_params - 1].num;
	return strcmp(op, "=") || !v
		       ? 0
		       : filter_drive(p, BY_NETNS, e,
				      "SELECT id FROM socket WHERE image = :image AND uid = :p%u "
				      "AND uid <> 0",
				      p->f->n_params - 1);
}

static int put_ino(struct parser *p, const char *op, struct err *e)
{
	if (put_number(p, "s.ino", op, e))
		return -1;
	return strcmp(op, "=")
		       ? 0
		       : filter_drive(p, BY_KEY, e,
				      "SELECT id FROM socket WHERE image = :image AND ino = :p%u",
				      p->f->n_params - 1);
}

/* VALUE or VALUE/MASK, as ss has it: the mark under the mask is VALUE, so one with bits beside the mask never is. */
static int put_mark(struct parser *p, struct err *e)
{
	char *end;
	unsigned long v, mask = UINT32_MAX;
	unsigned a, b;

	v = strtoul(p->word, &end, 0);
	if (end != p->word && *end == '/' && isdigit((unsigned char)end[1]))
		mask = strtoul(end + 1, &end, 0);
	if (end == p->word || *end || v > UINT32_MAX || mask > UINT32_MAX)
		return err_set(e, ERR_USAGE, "filter: '%s' is not MARK or MARK/MASK", p->word);
	if (filter_param(p, NULL, (int64_t)v, &a, e) || filter_param(p, NULL, (int64_t)mask, &b, e))
		return -1;
	if (v &&
	    filter_drive(
		    p, BY_KEY, e,
		    "SELECT id FROM socket WHERE image = :image AND so_mark <> 0 AND (so_mark & "
		    ":p%u) = :p%u",
		    b, a))
		return -1;
	return filter_addf(p, e, "(coalesce(s.so_mark, 0) & :p%u) = :p%u", b, a);
}

static int put_family(struct parser *p, struct err *e)
{
	int64_t v;
	unsigned n;

	if (words_find(WORDS_FAMILY, p->word, &v))
		return err_set(
			e, ERR_USAGE,
			"filter: no family '%s' (inet, inet6, unix, netlink, packet, vsock, ...)",
			p->word);
	if (filter_param(p, NULL, v, &n, e))
		return -1;
	if (sockets_is_rare_family(v) &&
	    filter_drive(p, BY_NETNS, e, SOCKETS_RARE " AND family = :p%u", n))
		return -1;
	return filter_addf(p, e, "s.family = :p%u", n);
}

/* By name, "nsN" or number. */
static int put_netns(struct parser *p, struct err *e)
{
	char in[160];
	unsigned n;

	if (filter_param(p, p->word, 0, &n, e))
		return -1;
	p->f->params[n].is_netns = true;
	snprintf(in, sizeof(in),
		 "netns IN (SELECT id FROM netns WHERE image = :image AND (name = :p%u OR 'ns' || "
		 "ns_id = :p%u OR CAST(ns_id AS TEXT) = :p%u))",
		 n, n, n);
	return filter_drive(p, BY_NETNS, e, "SELECT id FROM socket WHERE %s", in) ||
			       filter_addf(p, e, "s.%s", in)
		       ? -1
		       : 0;
}

#define TASK_FDS "task k CROSS JOIN fd f ON f.image = k.image AND f.files_id = k.files_id"

/* A socket has several holders: "pid != 7" means that none of them is 7. The driver goes from the tasks to their
 * descriptors to the sockets. */
static int put_holder(struct parser *p, const struct filter_field *f, const char *op, struct err *e)
{
	size_t start;

	if (filter_add(p,
		       "s.file_id IN (SELECT f.file_id FROM " TASK_FDS
		       " WHERE k.image = :image AND ",
		       e))
		return -1;
	start = p->f->sql.len;
	if (f->kind == F_HOLDER_NUM ? put_number(p, f->column, op, e)
				    : put_text(p, f->column, p->word, e))
		return -1;
	if (filter_drive(p, strcmp(f->name, "fd") ? BY_TASK : BY_FD, e,
			 "SELECT x.id FROM " TASK_FDS
			 " CROSS JOIN socket x ON x.image = f.image AND "
			 "x.file_id = f.file_id WHERE k.image = :image AND %s",
			 (const char *)p->f->sql.data + start))
		return -1;
	return filter_add(p, ")", e);
}

static int put_netid(struct parser *p, struct err *e)
{
	const bool is_pattern = p->word[strcspn(p->word, "*?[")];
	auto_buf struct buf column = {0};

	if (!is_pattern && sockets_is_rare(p->word) && filter_drive(p, BY_NETNS, e, SOCKETS_RARE))
		return -1;
	return sockets_column(&column, "netid", e) ||
			       put_text(p, (const char *)column.data, p->word, e)
		       ? -1
		       : 0;
}

static int put_value(struct parser *p, const struct filter_field *f, const char *op, struct err *e)
{
	switch (f->kind) {
	case F_PORT:
	case F_HOST:
		return filter_put_host(p, f, p->word, e);
	case F_NETID:
		return put_netid(p, e);
	case F_NAME:
		return filter_put_unix(p, false, p->word, e);
	case F_DEV:
		return filter_put_device(p, p->word, e);
	case F_UID:
		return put_uid(p, op, e);
	case F_INO:
		return put_ino(p, op, e);
	case F_MARK:
		return put_mark(p, e);
	case F_FAMILY:
		return put_family(p, e);
	case F_NETNS:
		return put_netns(p, e);
	case F_HOLDER_NUM:
	case F_HOLDER_TEXT:
		return put_holder(p, f, op, e);
	}
	return -1;
}

/* "sport OP [FAMILY:]:PORT" */
static int put_port_field(struct parser *p, const struct filter_field *f, const char *op,
			  struct err *e)
{
	const char *rest;
	int family = filter_family_prefix(p->word, &rest);
	struct filter_field host = {f->name[0] == 's' ? "src" : "dst", F_HOST, f->column,
				    f->column};
	char word[FILTER_MAX_WORD + 4];

	if (!family)
		return filter_put_port(p, f->column, op, rest, e);
	if (family == AF_INET || family == AF_INET6)
		return filter_addf(p, e, "s.family = %d AND ", family) ||
				       filter_put_port(p, f->column, op, rest, e)
			       ? -1
			       : 0;
	if (need_equal(f->name, op, e))
		return -1;
	/* the whole word is the port: as the host condition FAMILY:*:PORT */
	snprintf(word, sizeof(word), "%.*s*:%s", (int)(rest - p->word), p->word,
		 *rest == ':' ? rest + 1 : rest);
	return filter_put_host(p, &host, word, e);
}

/* Fields with an order take every operator. != is the condition denied, as in ss: it holds for a socket that has nothing
 * to compare (no port, no name, no holder) as well. No index helps. */
static int put_field(struct parser *p, const struct filter_field *f, const char *op, struct err *e)
{
	const bool denied = is_unequal(op);
	const bool ordered = f->kind == F_PORT || f->kind == F_UID || f->kind == F_INO ||
			     f->kind == F_HOLDER_NUM;
	int rc;

	if (!ordered && need_equal(f->name, op, e))
		return -1;
	if (denied && filter_add(p, "NOT coalesce((", e))
		return -1;
	op = denied ? "=" : op;
	rc = f->kind == F_PORT ? put_port_field(p, f, op, e) : put_value(p, f, op, e);
	if (rc || !denied)
		return rc;
	p->drive.rank = 0;
	return filter_add(p, "), 0)", e);
}

/* ---- states ---- */

/* Bits of TCP states by name, as ss(8) lists them; 1 << TCP_ESTABLISHED (1) ... */
#define CLOSED (1u << 7 | 1u)
#define LISTEN (1u << 10)
static const struct {
	const char *name;
	unsigned mask;
} states[] = {
	{"established", 1u << 1},
	{"estab", 1u << 1},
	{"syn-sent", 1u << 2},
	{"syn-recv", 1u << 3 | 1u << 12},
	{"fin-wait-1", 1u << 4},
	{"fin-wait-2", 1u << 5},
	{"time-wait", 1u << 6},
	{"closed", CLOSED},
	{"close", CLOSED},
	{"unconnected", CLOSED},
	{"unconn", CLOSED},
	{"close-wait", 1u << 8},
	{"last-ack", 1u << 9},
	{"listening", LISTEN},
	{"listen", LISTEN},
	{"closing", 1u << 11},
	{"all", ~0u},
	{"connected", ~(CLOSED | LISTEN)},
	{"synchronized", ~(CLOSED | LISTEN | 1u << 2)},
	{"bucket", 1u << 3 | 1u << 6 | 1u << 12},
	{"big", ~(1u << 3 | 1u << 6 | 1u << 12)},
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
			return filter_next_word(p, e);
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
	const char *again = exclude ? "exclude" : "state", *brief = exclude ? "excl" : NULL;
	unsigned mask = 0, n;

	do {
		if (filter_next_word(p, e) || take_state(p, &mask, e))
			return -1;
	} while (filter_is_word(p, again, brief, NULL));
	mask = exclude ? ~mask : mask;
	if (filter_param(p, NULL, (int64_t)mask, &n, e))
		return -1;
	/* the index of states is without those that most sockets have */
	if (!(mask & (CLOSED | LISTEN | 1u << 1)) &&
	    filter_drive(p, BY_NETNS, e,
			 "SELECT id FROM socket WHERE image = :image AND state NOT IN (1, 7, 10) "
			 "AND (1 << state) & :p%u <> 0",
			 n))
		return -1;
	return filter_addf(p, e, "(1 << coalesce(s.state, 0)) & :p%u <> 0", n);
}

/* ---- autobound ---- */

/* The bounds of the namespace, as far as the image has them (ip(7): 32768 to 60999 otherwise). */
#define RANGE                                                                                      \
	"(SELECT %s FROM sysctl r WHERE r.netns = s.netns AND r.name = "                           \
	"'net/ipv4/ip_local_port_range')"

/* As ss has it: a port of the range that the kernel takes ports from, an abstract unix name of five hex digits
 * (net/unix/af_unix.c, unix_autobind), a netlink port id that is no process id, a packet socket without
 * protocol and device. */
static int put_autobound(struct parser *p, struct err *e)
{
	return filter_addf(p, e,
			   "CASE s.family WHEN 1 THEN u.name GLOB "
			   "'\\x00[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]'"
			   " WHEN 16 THEN k.portid > 2147483647 WHEN 17 THEN p.ifindex = 0 AND "
			   "s.protocol "
			   "= 0"
			   " ELSE i.src_port BETWEEN coalesce(" RANGE ", 32768) AND coalesce(" RANGE
			   ", 60999) END",
			   "CAST(r.value AS INTEGER)",
			   "CAST(substr(r.value, instr(r.value, '\\x09') + 4) AS INTEGER)") ||
			       filter_next_word(p, e)
		       ? -1
		       : 0;
}

/* ---- one condition ---- */

static int unknown_field(const struct parser *p, struct err *e)
{
	const char *near;

	if (filter_at_end(p))
		return err_set(e, ERR_USAGE, "filter: it ends where a condition should follow");
	if (filter_is_word(p, "cgroup", NULL, NULL))
		return err_set(e, ERR_USAGE,
			       "filter: an image does not tell the cgroup of a socket");
	near = cli_nearest(p->word, field_name_at, NULL);
	if (near)
		return err_set(e, ERR_USAGE, "filter: '%s' is not known; did you mean '%s'?",
			       p->word, near);
	return err_set(
		e, ERR_USAGE,
		"filter: '%s' is not known; there are state, exclude, sport, dport, src, dst, dev, "
		"fwmark, autobound, netns, pid, comm, fd, family, netid, name, ino, uid",
		p->word);
}

int filter_condition(struct parser *p, struct err *e)
{
	const struct filter_field *f = NULL;
	const char *op;

	if (filter_is_word(p, "state", NULL, NULL) || filter_is_word(p, "exclude", "excl", NULL))
		return put_states(p, tolower((unsigned char)p->word[0]) == 'e', e);
	if (filter_is_word(p, "autobound", NULL, NULL))
		return put_autobound(p, e);
	for (size_t i = 0; i < ARRAY_SIZE(fields) && !p->quoted; i++) {
		if (strcasecmp(p->word, fields[i].name) == 0)
			f = &fields[i];
	}
	if (!f)
		return unknown_field(p, e);
	if (filter_next_word(p, e))
		return -1;
	op = take_op(p, e);
	if (!op)
		return -1;
	if (filter_at_end(p) || (strchr("()=<>!&|", p->word[0]) && !p->quoted))
		return err_set(e, ERR_USAGE, "filter: a value is missing after '%s'", f->name);
	return put_field(p, f, op, e) || filter_next_word(p, e) ? -1 : 0;
}
