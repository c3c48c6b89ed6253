/* pagemap.h: the records of a pagemap image, as far as they say which pages of memory are in a file (CRIU's
 * pagemap.proto: the first record is a pagemap_head, the others are of type pagemap_entry).
 *
 * Owns: nothing; messages are borrowed.
 * Errors: -1 (ERR_FORMAT): the message is damaged.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"

/* The number of the file that the pages are in (pages-N.img), of the first record; 0: it says none. */
int pagemap_file(struct span head, uint64_t *number, struct err *e);

/* Are the pages of an entry in that file (not in the image of an earlier dump, nor left for later), and how many are they? */
int pagemap_pages(struct span entry, bool *in_file, uint64_t *n, struct err *e);
