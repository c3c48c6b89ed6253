/* diff_ruleset.h: firewall text, compared.
 *
 * Never: understands rules; only what counts by itself is taken out: counters, remaining lifetimes of set
 *        elements, used quota, comments with dates, handles.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/* Append text, one line a rule, without what counts by itself, and sets and maps with their elements sorted. */
int ruleset_plain(const char *text, struct buf *out, struct err *e);

/* Append to only_a and only_b the lines between what both begin with and what both end with, without their
 * indentation. */
int ruleset_changes(const char *a, const char *b, struct buf *only_a, struct buf *only_b,
		    struct err *e);
