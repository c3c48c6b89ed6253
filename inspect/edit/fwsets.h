/* fwsets.h: elements of a set of a ruleset that overlap, which nft refuses ("conflicting intervals specified").
 *
 * Owns:  nothing.
 * Knows: named sets, as nft list ruleset prints them; not concatenations, and not sets that nft merges by itself
 *        (auto-merge, and those without a name).
 */
#pragma once

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/* Do two prefixes, ranges or addresses of one set overlap in the n bytes of text of an nftables ruleset? 1: both are
 * appended to out, as "A and B"; 0; -1. */
int fwsets_overlap(const char *text, size_t n, struct buf *out, struct err *e);
