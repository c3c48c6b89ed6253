/* exec.h: carry out a plan, or leave everything as it was.
 *
 * Owns:  the order "journal, then change", and the way back.
 * Signals: SIGINT, SIGTERM and SIGHUP stop it between two steps; then everything is undone and the error
 *        is ERR_INTERRUPTED. They are blocked while it runs, so nothing is cut in half; children of steps
 *        that live on must unblock them.
 */
#pragma once

#include "restorer/plan.h"
#include "restorer/restore.h"

/* Called before each step, for people who wait. */
typedef void exec_progress_fn(const struct plan *p, const struct step *s, void *arg);

/* Run the ordered plan with a journal named r->opts->name. 0: everything is there and committed. -1: what
 * was done is undone and gone (the message says if something could not be). */
int exec_run(struct restore *r, struct plan *p, exec_progress_fn *progress, void *arg,
	     struct err *e);

/* Every reason why the plan cannot run here, appended to reasons as lines; their number, or -1. */
int exec_check(struct restore *r, struct plan *p, struct buf *reasons, struct err *e);
