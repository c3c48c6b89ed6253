/* add_int.h: what the files of nsimg add share: a row in the making.
 *
 * Owns:  struct add, from the first word to the INSERT.
 * Order: add.c reads the words (add_put_word, kind->object), finds the namespace and the device, and calls
 *        kind->finish, which fills in what a kernel would and inserts.
 * Adding a kind: a file with its words and its two functions, a row in add.c.
 */
#pragma once

#include "base/buf.h"
#include "inspect/edit/edit.h"
#include "inspect/words.h"
#include "proto/inet.h"

/* How a word after a keyword becomes a value. */
enum add_how {
	ADD_NETNS,
	ADD_DEV,       /* name: also says which namespace, where only one has it */
	ADD_ADDRESS,   /* of the family of the object */
	ADD_PEER,      /* the same with or without a length, which is then that of the object */
	ADD_BROADCAST, /* an address, or + for that of the network of the object */
	ADD_VIA,       /* gateway, of either family, which may come first */
	ADD_PREFIX,
	ADD_LLADDR,
	ADD_TEXT,
	ADD_NUMBER, /* or one of the words */
	ADD_FLAG,   /* no word follows: bit of flags */
	ADD_METRIC, /* member of metrics */
	ADD_MARK,   /* MARK[/MASK] */
	ADD_HOP,    /* a next hop: all words up to the next such word are of it */
};

struct add_word {
	const char *word, *column;
	enum add_how how;
	enum words words;
	int64_t bit; /* ADD_FLAG */
};

/* Where a row goes, for the words of a kind. */
#define ADD_WORD_NETNS                                                                             \
	{                                                                                          \
		"netns", NULL, ADD_NETNS, WORDS_NONE, 0                                            \
	}
#define ADD_WORD_DEV                                                                               \
	{                                                                                          \
		"dev", NULL, ADD_DEV, WORDS_NONE, 0                                                \
	}

/* A value of the row in the making. */
struct add_value {
	const char *column;
	char text[160];   /* when is_text */
	const char *lent; /* instead of text */
	int64_t num;
	bool is_text;
};

struct add {
	struct edit *x;
	const struct add_kind *kind;
	struct add_value value[32];
	unsigned n;
	int family; /* 0: not known yet */
	int64_t netns, ifindex;
	bool has_netns, has_dev;
	const char *dev;           /* the name as given */
	uint8_t addr[16], via[16]; /* of the object, of the gateway */
	size_t addr_len, via_len;
	int64_t via_family; /* as given, 0: not */
	unsigned prefixlen;
	char plain[INET_TEXT_MAX];
	struct buf metrics; /* a JSON object without its last brace; empty: none */
	struct buf hops;    /* a JSON array without its last bracket; empty: none */
	struct add *of;     /* of a next hop: its route */
};

struct add_kind {
	const char *table;
	const struct add_word *words; /* ends with a zeroed one */
	/* the words without a keyword, at the beginning; what the kernel fills in, at the end */
	int (*object)(struct add *a, const char *word, struct err *e);
	int (*finish)(struct add *a, struct err *e);
};
extern const struct add_kind add_address, add_route, add_rule, add_neighbour;
extern const struct add_kind add_hop; /* of a route; its row is an element of hops */

/* The value of a column, NULL when it has none yet. Lent until the next one is put. */
struct add_value *add_value_of(struct add *a, const char *column);
bool add_has(const struct add *a, const char *column);
int64_t add_num_of(const struct add *a, const char *column); /* 0: none, or text */

/* Set a column, whatever it was before. */
int add_put_num(struct add *a, const char *column, int64_t num, struct err *e);
int add_put_text(struct add *a, const char *column, const char *text, struct err *e);

/* The same with text of any length, lent until the row is inserted. */
int add_put_lent(struct add *a, const char *column, const char *text, struct err *e);

/* Set it where no word has. */
int add_default_num(struct add *a, const char *column, int64_t num, struct err *e);

/* An address or a prefix as canonical text; the family of the row follows from the first one. */
int add_put_address(struct add *a, const char *column, const char *word, struct err *e);
int add_put_prefix(struct add *a, const char *column, const char *word, struct err *e);

/* One keyword with what follows it (NULL: it was the last word). */
int add_put_word(struct add *a, const struct add_word *w, const char *value, struct err *e);

/* ERR_EXISTS when sql finds a row; it may have :netns, :ifindex, :address, :dst, :family, :table, :tos, :metric. */
int add_refuse_double(struct add *a, const char *sql, const char *what, struct err *e);

/* The row as it is now into a table. */
int add_insert(struct add *a, const char *table, struct err *e);

/* Is the address in the network of that many bits? */
bool add_prefix_has(const uint8_t *net, const uint8_t *addr, unsigned bits);
