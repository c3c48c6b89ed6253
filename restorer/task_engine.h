/* task_engine.h: the tasks of one restore: their specs, the descriptor store, the holders.
 *
 * Owns:  all three. Made by build_tasks, hung onto struct restore, released with it: holders that were not
 *        committed end then.
 * Order: engine_new, engine_start (plan); the steps of steps_task.c fill it.
 */
#pragma once

#include "restorer/forker.h"
#include "restorer/holder.h"
#include "restorer/restore.h"
#include "restorer/sk_spec.h"
#include "restorer/store.h"

struct task_engine {
	struct sk_specs *specs; /* not changed any more once engine_start has forked */
	struct store *store;    /* NULL until its step has run */
	struct holder_env env;
	int work;                /* journal_work, until the store has it; -1: none */
	struct forker *forker;   /* NULL: the plan is not carried out, or the holders have it */
	struct holder **holders; /* one a task, NULL until its step has run */
};

/* Reads the tasks and sockets of the image. Owned, or NULL. */
struct task_engine *engine_new(struct db *db, int64_t image, const char *root, struct err *e);

/* Before the plan is made that will be carried out: the process that forks the holders, which has no memory of a plan then
 * (forker.h). */
int engine_start(struct task_engine *t, struct err *e);

/* Before the first step: rollback after kill -9 waits for the forker and the holders. */
int engine_begin(struct task_engine *t, const struct journal *j, struct err *e);
void engine_free(struct task_engine *t);

/* Does a step of the plan make it? */
bool engine_makes(const struct sk_file *f);
