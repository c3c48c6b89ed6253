/* nft.h: commands in the language of nft(8), through libnftables. The one file besides it that includes libnftables.h
 * is nft.c.
 *
 * Owns:  the context of one call, or of one that is held, with its socket.
 * Never: reads a file that a command names ("include" finds nothing that is not an absolute path: callers refuse the
 *        word in text that is not theirs).
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/* Run commands in the network namespace of the calling thread, all of them or none; what they print is appended to out
 * (NULL: dropped). ERR_KERNEL: the first two lines of what nft says. */
int nft_run(const char *commands, struct buf *out, struct err *e);

/* Can nft read them? Nothing is changed. ERR_FORMAT: the first two lines of what it says of the language; what else it says
 * (a device is not there) depends on the namespace of the calling thread and is no answer. */
int nft_check(const char *commands, struct err *e);

/* The same as nft_run, and the socket of it stays open: tables with "flags owner" (Linux 5.12) are there until nft_release, or
 * until this process ends, however it does. An owned handle, NULL on failure. */
struct nft_ctx *nft_hold(const char *commands, struct err *e);
void nft_release(struct nft_ctx *held);
