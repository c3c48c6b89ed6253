/* jsontext.h: the strings in a text of JSON, one by one.
 *
 * Owns:  nothing.
 * Never: changes a byte outside the strings that the caller replaces, so numbers, order and blanks stay as they
 *        were (a tree that is written again would not keep them). Text that is no JSON comes out as it is.
 */
#pragma once

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/* Look at a string that is a value: text between its quotes, as written (with its escapes). key: the name of
 * the member that it is in, also through arrays, as written; empty: none. 1: out (empty before) takes its
 * place, as it has to stand between quotes; 0: it stays; -1. */
typedef int jsontext_fn(void *arg, struct span key, const char *text, size_t n, struct buf *out,
			struct err *e);

/* Append the n bytes of text to out with the strings that fn replaced. 1: some were, 0: none, -1. */
int jsontext_edit(const char *text, size_t n, jsontext_fn *fn, void *arg, struct buf *out,
		  struct err *e);
