/* who.h: who runs this program, as text for records of it.
 *
 * Owns:  nothing.
 */
#pragma once

#include <stddef.h>

/* "user@host", "uid N@host" where the user has no name (or the list of names is out of reach). */
void who_and_where(char *text, size_t size);
