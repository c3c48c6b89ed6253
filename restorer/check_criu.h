/* check_criu.h: what CRIU will refuse, said before anything is made; for the checks of its steps.
 *
 * Owns:  nothing.
 * Never: changes anything. In a namespace that is given a socket is bound for a moment, to see whether its name is free.
 */
#pragma once

#include "restorer/restore.h"

/* The program, its version, and what it reads: records, and the files that are kept by reference. */
int check_criu_images(const struct restore *r, const struct step *s, struct buf *reasons,
		      struct err *e);

/* Tasks and sockets. */
int check_criu(const struct restore *r, const struct step *s, struct buf *reasons, struct err *e);

/* An option of CRIU's that cannot be used together with what nsimg says itself: ERR_USAGE tells why. */
int check_criu_words(const char *const *words, size_t n, struct err *e);
