/* build.h: the rows of an image -> the steps of a plan.
 *
 * Owns:  nothing; steps go into the plan, requirements and what is left out too.
 * Never: looks at or changes the system: the same database and options always give the same plan.
 * Order: build_net and (unless --no-tasks) load_tasks, which comes first where holders are forked, then build_tasks, then
 *        build_commit; then plan_order.
 */
#pragma once

#include "restorer/plan.h"
#include "restorer/restore.h"

/* Namespaces, devices, addresses, routes, rules, sysctls, firewall ... feeds MS_READY of each namespace and
 * MS_NETWORK. */
int build_net(struct plan *p, struct restore *r, struct err *e);

/* The rows of tasks and sockets into r->tasks (task_engine.h), by way of db: r->db, or what sees the same. */
int load_tasks(struct restore *r, struct db *db, struct err *e);

/* Holders and sockets: each step waits for MS_READY of the namespaces it needs and feeds MS_TASKS. */
int build_tasks(struct plan *p, struct restore *r, struct err *e);

/* In place of build_tasks: CRIU makes the processes. ERR_CONFLICT: the image has none of CRIU's. */
int build_criu(struct plan *p, struct restore *r, struct err *e);

/* Pins of namespaces: wait for MS_NETWORK and MS_TASKS. (The survival of the holders is a commit step of
 * build_tasks.) */
int build_commit(struct plan *p, struct restore *r, struct err *e);

/* All three, ordered. */
int build_plan(struct plan *p, struct restore *r, struct err *e);
