/* plan.h: what a restore will do, as a graph of steps, before any of it is done.
 *
 * Owns:  the steps, their texts, messages and data.
 * Never: changes the system, or looks at it. `nsimg plan` prints exactly what `nsimg restore` runs.
 * Order: plan_new; the builders (build_net, build_tasks) plan_add and plan_need; plan_order once; then
 *        plan_print, or exec_run of exec.h; plan_free.
 *
 * A step is data: a kind (a row of steps.h), the object it is about, arguments, and the steps it needs.
 * The order comes from the needs; among steps that are ready the stage of the kind decides, then the
 * order in which they were added, so that the same database always gives the same plan.
 *
 * A milestone is a step without work that stands for many ("all addresses of ns2"): builders let the
 * many feed it and later steps wait for it. Milestones are not numbered and not printed as steps.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/table.h"
#include "imgdb/db.h"

struct plan;
struct step_kind;

struct step {
	uint32_t idx;    /* in the order of adding, from 0; what plan_need takes */
	uint32_t number; /* 1.. in the order of running, set by plan_order; 0 for milestones */
	const struct step_kind *kind; /* NULL: a milestone */
	const char *object;           /* "ns2 eth0", for people */
	const char *actor;            /* "root", or the task that does it: "task sleep(17)" */

	int64_t netns; /* netns.id it works in, 0: none */
	int64_t row;   /* id in the table of the kind, 0: none */
	int64_t row2;  /* a second one: the other end of a veth pair */
	int64_t num;   /* a small argument whose meaning is the kind's */
	uint64_t caps; /* that it needs beyond those of its kind (base/caps.h) */
	bool alone; /* begun and finished before another one begins: it leaves something outside */
	struct buf msg, msg2; /* netlink messages or text, as they will be sent */
	void *data;           /* of the kind; released with data_free */
	void (*data_free)(void *data);

	uint32_t *needs; /* idx of steps that must be done before */
	size_t n_needs, cap_needs;
	uint32_t few_needs[4]; /* where they are as long as they have room */
};

/* What stands for many steps. netns is a netns.id, or 0 for the plan as a whole. */
enum milestone {
	MS_EXISTS,    /* the namespace is there (made or opened) */
	MS_NSIDS,     /* its ids for other namespaces are set */
	MS_LINKS,     /* all its devices exist, with their settings and masters */
	MS_SYSCTLS,   /* written */
	MS_UP,        /* devices that shall be up are up */
	MS_ADDED,     /* all addresses were added */
	MS_ADDRESSES, /* they are the only ones, and usable */
	MS_DIRECT,    /* neighbours, next hops, routes without a gateway */
	MS_ROUTES,    /* all routes and rules */
	MS_READY,     /* everything of the namespace: sockets may be made */
	MS_NETWORK,   /* netns 0: every namespace is ready */
	MS_HOLDERS,   /* netns 0: every holder is there */
	MS_SOCKETS,   /* netns 0: sockets are made and bound */
	MS_LISTENING, /* netns 0: listeners listen */
	MS_CONNECTED, /* netns 0: what is connected is connected */
	MS_COMPLETE,  /* netns 0: every task has its sockets, with all options */
	MS_TASKS,     /* netns 0: every task is complete; only commit steps follow */
	MS_COUNT
};

/* db is lent for the life of the plan; image is its id. An owned plan or NULL. */
struct plan *plan_new(struct db *db, int64_t image, struct err *e);
void plan_free(struct plan *p);

struct db *plan_db(const struct plan *p);
int64_t plan_image(const struct plan *p);

/* A new step of kind, about object (printf text). Lent by the plan until plan_free, NULL on ERR_NOMEM.
 * actor NULL means "root". */
struct step *plan_add(struct plan *p, const struct step_kind *kind, const char *actor,
		      struct err *e, const char *object, ...) __attribute__((format(printf, 5, 6)));

/* The same of an object whose text is there. */
struct step *plan_add_text(struct plan *p, const struct step_kind *kind, const char *actor,
			   const char *object, struct err *e);

/* The milestone, made when it is asked for the first time. */
struct step *plan_milestone(struct plan *p, enum milestone ms, int64_t netns, struct err *e);

/* step waits for other; the same need twice counts once. */
int plan_need(struct plan *p, struct step *step, const struct step *other, struct err *e);

/* step waits for the milestone / the milestone waits for step. */
int plan_after(struct plan *p, struct step *step, enum milestone ms, int64_t netns, struct err *e);
int plan_before(struct plan *p, const struct step *step, enum milestone ms, int64_t netns,
		struct err *e);

/* Let plan_find find step s by a row of its kind. */
int plan_index(struct plan *p, const struct step *s, int64_t row, struct err *e);

/* The step of a kind that was indexed under row ("link" 7), NULL when there is none. */
struct step *plan_find(const struct plan *p, const char *kind, int64_t row);

/* Something that has to come from outside before the plan can run: a veth end in a namespace that is not
 * in the image, a namespace that is external. option is what the user has to give ("--veth eth0=NAME").
 * Unmapped ones make restore fail before anything is touched; plan lists them. */
struct requirement {
	const char *object, *option;
	bool met;
};
int plan_require(struct plan *p, const char *object, const char *option, bool met, struct err *e);
size_t plan_n_requirements(const struct plan *p);
const struct requirement *plan_requirement(const struct plan *p, size_t i);

/* What the restore leaves out, with the reason: printed by plan, and at the end of restore. */
int plan_leave_out(struct plan *p, struct err *e, const char *object, const char *reason, ...)
	__attribute__((format(printf, 4, 5)));
struct left_out {
	const char *object, *reason;
};
size_t plan_n_left_out(const struct plan *p);
const struct left_out *plan_left_out(const struct plan *p, size_t i);

/* Put the steps into running order. ERR_CONFLICT names the objects on a cycle, in its order. */
int plan_order(struct plan *p, struct err *e);

/* For plan_order.c: order (taken) of n steps lent from the plan becomes the running order. */
void plan_set_order(struct plan *p, struct step **order, size_t n);

/* In running order after plan_order, milestones left out. */
size_t plan_n_steps(const struct plan *p);
struct step *plan_step(const struct plan *p, size_t i);

/* Any node by idx (milestones too). */
size_t plan_n_nodes(const struct plan *p);
struct step *plan_node(const struct plan *p, uint32_t idx);

/* "links of ns2" for a milestone node, "link ns2 eth0" for a step; appended. */
int plan_node_text(const struct plan *p, const struct step *s, struct buf *out, struct err *e);

/* The ordered plan as an owned table that borrows from the plan, a row for each step; all: with what is for programs only, and a row for what comes
 * from outside and what is left out. NULL: e is set. */
struct table *plan_table(const struct plan *p, bool all, struct err *e);

/* PLAN_LISTS: what comes from outside and what is left out, as lines below the table. */
enum plan_format { PLAN_LISTS, PLAN_JSON, PLAN_DOT, PLAN_IP };

/* Append the ordered plan. */
int plan_print(const struct plan *p, enum plan_format format, struct buf *out, struct err *e);

static inline void plan_cleanup_(struct plan **p)
{
	plan_free(*p);
}
#define auto_plan __attribute__((cleanup(plan_cleanup_)))
