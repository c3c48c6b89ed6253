#include "inspect/edit/jsontext.h"

#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"

/* The end of the string that begins after the quote at at: the place of its closing quote, or n. */
static size_t string_end(const char *text, size_t n, size_t at)
{
	for (at++; at < n && text[at] != '"'; at++)
		if (text[at] == '\\')
			at++;
	return at < n ? at : n;
}

/* Is the string a key: does a colon follow? */
static bool is_key(const char *text, size_t n, size_t end)
{
	for (end++; end < n && strchr(" \t\r\n", text[end]); end++)
		;
	return end < n && text[end] == ':';
}

int jsontext_edit(const char *text, size_t n, jsontext_fn *fn, void *arg, struct buf *out,
		  struct err *e)
{
	auto_buf struct buf word = {0};
	struct span key = {(const uint8_t *)"", 0};
	size_t done = 0, end;
	bool is_changed = false;
	int rc;

	for (size_t at = 0; at < n; at++) {
		if (text[at] != '"')
			continue;
		end = string_end(text, n, at);
		if (is_key(text, n, end)) {
			key = (struct span){(const uint8_t *)text + at + 1, end - at - 1};
			at = end;
			continue;
		}
		buf_reset(&word);
		rc = fn(arg, key, text + at + 1, end - at - 1, &word, e);
		if (rc < 0 || (rc && (buf_add(out, text + done, at + 1 - done, e) ||
				      buf_add(out, word.data, word.len, e))))
			return -1;
		if (rc) {
			is_changed = true;
			done = end;
		}
		at = end;
	}
	if (buf_add(out, text + done, n - done, e))
		return -1;
	return is_changed;
}
