/* diff.h: two images compared by what they mean. One comparison for "nsimg diff" and "nsimg verify".
 *
 * Owns:  the list of differences behind struct diff.
 * Never: compares what the kernel assigns or counts itself: that list is diff_ignored (doc/volatile.md says
 *        the same with reasons, tests/lint checks that they agree).
 * Matching: ids differ from dump to dump, so namespaces are matched by the caller's mapping, pins, tasks,
 *        sockets and content, tasks by the caller's mapping, name and descriptors, sockets by the task and
 *        descriptor that hold them. What has no partner is one difference, not one for each of its rows.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/cli.h"
#include "base/err.h"
#include "imgdb/db.h"

struct diff;

struct diff_side {
	struct db *db; /* borrowed until diff_new returns; both sides may be the same */
	int64_t image;
};

struct diff_pair {
	int64_t a, b;
};

struct diff_opts {
	bool restored; /* b is a dump of what was restored from a: holders stand for tasks, pins of its own and
			   * traffic's traces are expected (doc/volatile.md, "After a restore") */
	bool any_ifindex;              /* interface indexes may differ */
	const struct diff_pair *netns; /* netns.ns_id of a and b that belong together */
	size_t n_netns;
	const struct diff_pair *tasks; /* task.pid of a and b (holders) that belong together */
	size_t n_tasks;
};

enum diff_kind {
	DIFF_DEL,    /* only in a */
	DIFF_ADD,    /* only in b */
	DIFF_CHANGE, /* column differs */
};

struct diff_item {
	enum diff_kind kind;
	const char *netns;  /* name in a, or in b when only b has it; NULL: not part of one */
	const char *table;  /* of the schema */
	const char *object; /* "device eth0", "tcp LISTEN 0.0.0.0:80 fd 3 of web" */
	const char *column; /* of a change: "mtu", "attrs.forward_delay" */
	const char *a, *b;  /* values as text, NULL: absent */
};

/* Compare; an owned list (empty when nothing differs) or NULL. opts may be NULL. */
struct diff *diff_new(const struct diff_side *a, const struct diff_side *b,
		      const struct diff_opts *opts, struct err *e);
void diff_free(struct diff *d);

/* The differences, ordered by namespace, table, object. Lent. */
size_t diff_count(const struct diff *d);
const struct diff_item *diff_at(const struct diff *d, size_t i);

/* Print: one line a difference under a heading for each namespace; or, where style says JSON or CSV, one
 * row each (kind, netns, table, object, column, a, b). */
int diff_print(const struct diff *d, const struct cli *c, struct err *e);

/* What is not compared. column NULL: the whole table; member: of a JSON column, at any depth. */
struct diff_ignored {
	const char *table, *column, *member;
	bool restored_only; /* ignored only when b is a restore of a */
	const char *reason;
};
extern const struct diff_ignored diff_ignored[];
extern const size_t n_diff_ignored;

static inline void diff_cleanup_(struct diff **d)
{
	diff_free(*d);
}
#define auto_diff __attribute__((cleanup(diff_cleanup_)))
