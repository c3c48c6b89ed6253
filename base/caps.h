/* caps.h: capabilities of this process.
 *
 * Owns:  nothing; the kernel keeps them per thread. Called from the main thread before others start.
 * Never: gains a capability.
 * Masks: bits as in 1 << CAP_NET_ADMIN (capabilities(7), <linux/capability.h>).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define CAPS_BIT(cap) (UINT64_C(1) << (cap))

/* Is it in the effective set of this thread? */
bool caps_has(int cap);

/* 0; or -1 (ERR_PERM) naming every capability of mask that is missing, and what needs it ("restore"). */
int caps_need(uint64_t mask, const char *what, struct err *e);

/* Keep only those of mask (effective and permitted), empty the inheritable and ambient sets, and take
 * the others out of the bounding set as far as that is allowed. caps_keep(0) drops everything. */
int caps_keep(uint64_t mask, struct err *e);

/* The bounding set alone, as far as that is allowed: it needs CAP_SETPCAP. Without it exec still gains nothing from empty
 * sets but set-user-id files. */
void caps_keep_bound(uint64_t mask);
int caps_drop_all(struct err *e);

/* Keep the right to read and write files as any root program has it, and nothing else. Which files those may be is for
 * the sandbox to limit. */
int caps_keep_files(struct err *e);
