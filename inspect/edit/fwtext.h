/* fwtext.h: the text of a firewall ruleset, word by word: what nft list ruleset(8) and iptables-save(8) print.
 *
 * Owns:  nothing.
 * Never: changes a byte outside the words that the caller replaces; understands rules.
 * Knows: which words are addresses, MAC addresses and names of devices, which are text of the user (comments,
 *        log prefixes) and which are names of chains, sets and the like, that only look like one.
 */
#pragma once

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

enum fw_kind {
	FW_ADDRESS, /* what may be an address, "a/len", "a/mask" or "a-b" */
	FW_MAC,     /* six bytes in hex with colons */
	FW_DEVICE,  /* the name of a device, without quotes */
	FW_PATTERN, /* the same with "*" (nft) or "+" (iptables) at its end */
	FW_COMMENT, /* text of the user, without quotes */
	FW_KIND_COUNT
};

/* Look at a word. 1: out (empty before) has what takes its place; 0: it stays as it is; -1. */
typedef int fw_word_fn(void *arg, enum fw_kind kind, const char *word, size_t n, struct buf *out,
		       struct err *e);

/* Append the n bytes of text to out with the words that fn replaced. format: as in firewall.format
 * ("nftables", else the text is of iptables-save). 1: something was replaced, 0: nothing, -1. */
int fwtext_edit(const char *format, const char *text, size_t n, fw_word_fn *fn, void *arg,
		struct buf *out, struct err *e);
