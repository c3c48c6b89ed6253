/* sysctl_rows.h: the sysctls of the namespaces of an image, before any of them is written.
 *
 * Owns:  the items (a name and the value it shall have) and the lists of them, one for each namespace. Namespaces that
 *        have the same, and the same devices, share both: an image of a thousand namespaces has as many items as one of them, and what is to
 *        be found out about an item is found out once.
 * Never: looks at the system; sysctl_known.h does, and notes in the item what it has seen.
 * Order: sysctl_rows_new; for each namespace sysctl_rows_add of all its rows, then sysctl_rows_list; sysctl_rows_free.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum sysctl_use {
	SYSCTL_WRITE,
	SYSCTL_OF_LINK,    /* set through the link: nothing to write */
	SYSCTL_RANDOM,     /* of all devices: it would make secrets of each */
	SYSCTL_OF_MACHINE, /* not of a namespace */
	SYSCTL_NO_NAME,    /* not the name of a net sysctl */
};

/* What a namespace says that nobody has changed yet. */
enum sysctl_fresh { SYSCTL_NOT_ASKED, SYSCTL_SAME, SYSCTL_OTHER };

/* The step in which it is written; step->num is the same. */
enum sysctl_when {
	SYSCTL_FIRST,
	SYSCTL_LATE, /* when devices are up; what was not taken at first is tried again */
	SYSCTL_LAST, /* when sockets have what it would not let them have */
};

struct sysctl_item {
	char *name, *value; /* escape undone */
	enum sysctl_use use;
	uint8_t rank; /* order of writing */
	bool spreads; /* writing it changes what other files say */
	enum sysctl_when when;

	/* the file of a device; family 0: of none */
	int family;
	char device[16]; /* IFNAMSIZ */
	int place; /* in the link message (devconf_place), -1: it is not told there, or the value is no number */
	int64_t number;

	enum sysctl_fresh fresh;

	char *row_name, *row_value; /* as they stand in the database */
	struct sysctl_item *after;  /* the one that came after it last time */
};

/* What one namespace shall have, in the order of writing. */
struct sysctl_list {
	struct sysctl_item **items; /* of use SYSCTL_WRITE */
	size_t n;
	bool has_last; /* an item that is written last */
	bool *first;   /* sysctl_known.h: what its devices showed at first; NULL: not asked */
};

struct sysctl_rows;
struct sysctl_rows *sysctl_rows_new(struct err *e); /* owned, or NULL */
void sysctl_rows_free(struct sysctl_rows *s);

/* The item of a row of the database, for the list that comes; by name within a namespace. Lent, or NULL. */
const struct sysctl_item *sysctl_rows_add(struct sysctl_rows *s, const char *name,
					  const char *value, struct err *e);

/* What was added since the last list, as a list, which is lent until sysctl_rows_free; or NULL. It is the last one again when
 * that says the same, and the namespace has devices of the same names and kinds. */
struct sysctl_list *sysctl_rows_list(struct sysctl_rows *s, bool same_devices, struct err *e);
