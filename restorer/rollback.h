/* rollback.h: take back what a journal says was begun.
 *
 * Never: needs the database, or a live restorer. May be repeated; finishes what an earlier one began.
 */
#pragma once

#include "restorer/journal.h"

/* End its processes, undo its steps backwards, and wait (at most 15 s) until the namespaces and what hung
 * on them are gone; then the journal is removed. ERR_BUSY names what still holds a namespace. */
int rollback_run(struct journal *j, struct err *e);

/* The parts, for a restorer that still has its handles: undo only, then wait only. */
int rollback_undo(struct journal *j, struct err *e);
int rollback_wait(struct journal *j, struct err *e);
