/* lock.h: the network lock that CRIU leaves in the rulesets it dumps.
 *
 * CRIU locks the network of what it dumps and dumps the rulesets after that, so its lock is in them: a chain
 * CRIU that drops everything and the jumps to it, or a table of its own. In a restored namespace it would
 * cut all traffic, so it is left out, as CRIU's own restore takes it away.
 *
 * Owns:  nothing.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

/* Append the ruleset (text of nft or of iptables-save) without the lock, and without the tables that nftables has for
 * nothing else. *had: there was one. */
int lock_strip(const char *text, struct buf *out, bool *had, struct err *e);
