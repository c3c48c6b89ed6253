/* words.h: the kernel's numbers as the words that ip, ss and nft print, as SQL.
 *
 * Owns:  the const lists of words.
 * Why SQL: conditions of "nsimg show" and filters of "nsimg sockets" then see the same words as people.
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum words {
	WORDS_NONE,
	WORDS_FAMILY,    /* AF_* */
	WORDS_SOCK_TYPE, /* SOCK_* */
	WORDS_TCP_STATE, /* as ss prints them */
	WORDS_IPPROTO,
	WORDS_SCOPE,      /* RT_SCOPE_* */
	WORDS_ROUTE_TYPE, /* RTN_* */
	WORDS_TABLE,      /* RT_TABLE_* */
	WORDS_RTPROT,
	WORDS_RULE_ACTION, /* FR_ACT_* */
	WORDS_OPERSTATE,   /* IF_OPER_* */
	WORDS_FD_TYPE,     /* CRIU's fd_types */
	WORDS_TASK_STATE,  /* CRIU's task_state */
	WORDS_NETLINK,     /* NETLINK_* */
	WORDS_ETHERTYPE,
	WORDS_CT_TCP, /* TCP_CONNTRACK_* */
	WORDS_SHUTDOWN,
	WORDS_LIFETIME, /* of an address, INFINITY_LIFE_TIME */
	/* the rest are bit masks: several words joined by commas */
	WORDS_BITS,
	WORDS_IFF = WORDS_BITS, /* IFF_* */
	WORDS_IFA,              /* IFA_F_* */
	WORDS_NUD,              /* NUD_* */
	WORDS_NTF,              /* NTF_* */
	WORDS_RTNH,             /* RTNH_F_* */
	WORDS_CT_STATUS,        /* IPS_* */
	WORDS_FD_FLAGS,
	WORDS_COUNT
};

/* Append an SQL expression that gives the word for the value of expr (an SQL expression without side
 * effects, repeated). A value without a word is its number; bits without a word are one hexadecimal number
 * at the end; a NULL stays NULL. */
int words_sql(struct buf *out, enum words list, const char *expr, struct err *e);

/* The word for a value, NULL when it has none (or for bit masks). Static. */
const char *words_of(enum words list, int64_t value);

/* The value of a word, case does not matter: 0, or -1 when there is no such word. */
int words_find(enum words list, const char *word, int64_t *value);

/* Word number i of a list, NULL beyond its end. Static. */
const char *words_at(enum words list, unsigned i);
