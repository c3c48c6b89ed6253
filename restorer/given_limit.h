/* given_limit.h: net.core.somaxconn of a namespace that the user gave (--netns), which a holder raises while it listens.
 *
 * Owns:  the facts "limit-*" of a listen step: they bring the value back when nobody came to do it.
 * Never: changes the value in run; holders do (sk_listen).
 */
#pragma once

#include "base/err.h"
#include "restorer/journal.h"
#include "restorer/restore.h"
#include "restorer/sk_spec.h"

/* To the journal, before f listens: which namespace it is, and what is its limit when that is too low for f. Nothing for
 * a namespace that is made, and goes with what it has. */
int given_limit_note(struct restore *r, const struct sk_file *f, struct err *e);

/* Undo of a step that was not done: the value that was before, where it is the raised one. */
int given_limit_undo(const struct journal_entry *je, struct err *e);
