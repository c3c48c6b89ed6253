/* filter_int.h: between filter.c (words and grammar), filter_fields.c (what a field means in SQL) and
 * filter_host.c (ports and hosts).
 *
 * A condition is written over the aliases of the select in sockets.c: s socket, i inet_socket, u unix_socket,
 * k netlink_socket, p packet_socket, n netns, pd the device of p. Where an index finds the few rows that it can
 * hold for, it also gives a driver: a select of socket ids that the select of all rows begins with, so that
 * nothing depends on the order in which SQLite would join.
 */
#pragma once

#include "inspect/filter.h"

#define FILTER_MAX_PARAMS 64
#define FILTER_MAX_WORD   256

struct param {
	char *text; /* NULL: num */
	int64_t num;
	bool is_netns; /* text names a namespace */
};

/* rank 0: no driver; else the smaller the fewer rows are expected. */
struct driver {
	int rank;
	struct buf sql;
};

struct filter {
	struct buf sql;
	struct param params[FILTER_MAX_PARAMS];
	unsigned n_params;
	struct driver drive;
};

struct parser {
	struct filter *f;
	const char *at;             /* what is not read yet */
	char word[FILTER_MAX_WORD]; /* the word that is next; "" at the end */
	bool quoted;                /* it was in quotes: no operator */
	unsigned depth;
	struct driver drive; /* of the condition that was read last */
};

/* Expected rows, as ranks of drivers. */
enum { BY_KEY = 1, BY_TASK, BY_PORT, BY_ADDRESS, BY_FD, BY_NETNS, BY_PREFIX, BY_DEVICE, BY_RANGE };

enum filter_kind {
	F_PORT,
	F_HOST,
	F_NETID,
	F_NAME,
	F_DEV,
	F_UID,
	F_INO,
	F_MARK,
	F_FAMILY,
	F_NETNS,
	F_HOLDER_NUM,
	F_HOLDER_TEXT,
};

struct filter_field {
	const char *name;
	enum filter_kind kind;
	const char *column;
	const char *port; /* hosts: the column of the port */
};

/* Words. */
int filter_next_word(struct parser *p, struct err *e);
bool filter_at_end(const struct parser *p);
bool filter_is_word(const struct parser *p, const char *a, const char *b, const char *c);

/* SQL: append, or a new parameter whose number goes to *n (":pN"). */
int filter_add(struct parser *p, const char *s, struct err *e);
int filter_addf(struct parser *p, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int filter_param(struct parser *p, const char *text, int64_t num, unsigned *n, struct err *e);
int filter_drive(struct parser *p, int rank, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* One condition: appends its SQL, may set p->drive, and stands on the word after it. */
int filter_condition(struct parser *p, struct err *e);

/* Conditions of filter_host.c. op is an operator of SQL, word what it is compared with. */
int filter_put_port(struct parser *p, const char *column, const char *op, const char *word,
		    struct err *e);
int filter_put_host(struct parser *p, const struct filter_field *f, const char *text,
		    struct err *e);
int filter_put_unix(struct parser *p, bool peer, const char *word, struct err *e);
int filter_put_device(struct parser *p, const char *word, struct err *e);

/* AF_* of "inet:...", 0 when there is no family; *rest: what follows it. */
int filter_family_prefix(const char *word, const char **rest);
