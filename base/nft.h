/* nft.h: commands in the language of nft(8), through libnftables. The one file besides it that includes libnftables.h
 * is nft.c.
 *
 * Owns:  the context of one call.
 * Never: reads a file that a command names ("include" finds nothing that is not an absolute path: callers refuse the
 *        word in text that is not theirs).
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/* Run commands in the network namespace of the calling thread, all of them or none; what they print is appended to out
 * (NULL: dropped). ERR_KERNEL: the first two lines of what nft says. */
int nft_run(const char *commands, struct buf *out, struct err *e);
