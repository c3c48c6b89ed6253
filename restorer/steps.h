/* steps.h: the kinds of steps, one row each: how to do it, take it back, ask whether it is there, show it.
 *
 * Owns:  the const table, put together from the folders' parts: steps_net*.c, steps_commit.c,
 *        steps_task.c.
 * Rule:  run gets everything from the step and the restore context. undo and probe get only the journal
 *        entry, so that rollback works without the database, and may be called again and again.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "restorer/journal.h"
#include "restorer/plan.h"

struct restore;

enum undo_class {
	UNDO_WITH_NAMESPACE, /* goes away by itself with a namespace or process that nobody holds */
	UNDO_EXACT,          /* undo brings back exactly what was before */
	UNDO_BEST_EFFORT,    /* undo_note says what may differ */
	UNDO_IMPOSSIBLE,     /* undo_note says why */
	UNDO_COUNT
};

/* Among steps that are ready the lower stage runs first. */
enum stage {
	STAGE_IMAGES, /* what CRIU gets is written before anything is made */
	STAGE_USERNS,
	STAGE_NETNS,
	STAGE_STORE, /* of what exists now; the holders are forked beside the steps that follow */
	STAGE_NSID,
	STAGE_LINK,
	STAGE_LINK_SET,
	STAGE_MASTER,
	STAGE_SYSCTL,
	STAGE_UP_ONCE,
	STAGE_UP,
	STAGE_ADDRESS,
	STAGE_NEIGHBOUR,
	STAGE_NEXTHOP,
	STAGE_ROUTE_DIRECT,
	STAGE_ROUTE,
	STAGE_RULE,
	STAGE_BRIDGE,
	STAGE_TC,
	STAGE_FIREWALL,
	STAGE_CONNTRACK,
	STAGE_CARRIER, /* what comes when the carrier is there */
	STAGE_SETTLE,
	STAGE_HOLDER, /* each holder is ready */
	STAGE_SOCKET, /* create and bind */
	STAGE_LISTEN,
	STAGE_CONNECT,
	STAGE_FINISH, /* options that come last */
	STAGE_SHARE,  /* a socket goes to the other tasks that have it */
	STAGE_ENTER,  /* a task enters its own namespace for good */
	STAGE_COMMIT, /* pins */
	STAGE_KEEP,   /* the survival of the holders, last */
	STAGE_COUNT
};

struct step_kind {
	const char *name;
	enum stage stage;
	uint64_t caps; /* mask of 1 << CAP_*, needed over the target namespace */
	enum undo_class undo_class;
	const char *undo_note; /* for the two classes that need one, else NULL */

	/* Do it. 0 or -1. */
	int (*run)(struct restore *r, struct step *s, struct err *e);

	/* NULL: run does it all. Else run only begins it and this waits until it is done: steps of one kind that do
	 * not need each other are begun together (exec.c), finished in the same order, all of them also when
	 * one fails. */
	int (*finish)(struct restore *r, struct step *s, struct err *e);

	/* It is finished before a step begins that needs it, and not before. */
	bool finish_late;

	/* Take it back; 0 also when there is nothing (any more) to take back. NULL: with the namespace. */
	int (*undo)(const struct journal_entry *je, struct err *e);

	/* Is the effect still there? For the wait after undo, and for verify. NULL: not asked. */
	int (*probe)(const struct journal_entry *je, bool *there, struct err *e);

	/* Can it be done here? Each reason why not is appended as a line. NULL: no question. */
	int (*check)(const struct restore *r, const struct step *s, struct buf *reasons,
		     struct err *e);

	/* Append lines of shell with ip(8) that would do the same, each with newline. NULL: a comment line
	 * with kind and object. ns is the name the namespace has in the output. */
	int (*print_ip)(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
			struct err *e);
};

/* The row, or NULL. */
const struct step_kind *step_kind_find(const char *name);

/* Every row, for lists: NULL past the end. */
const struct step_kind *step_kind_at(size_t i);

/* The parts of the table; each ends with a row whose name is NULL. */
extern const struct step_kind step_kinds_net[];
extern const struct step_kind step_kinds_commit[];
extern const struct step_kind step_kinds_task[];
extern const struct step_kind step_kinds_criu[];

const char *undo_class_name(enum undo_class c);
