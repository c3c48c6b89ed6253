/* settled.h: has the kernel done in a network namespace what it does by itself, and later: carriers that come up to
 * a second late (linkwatch), duplicate address detection, which then begins and takes up to two more. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Is it over in the namespace of the calling thread? If not, "why" says what is still to come. What never ends, as
 * the detection on a device without carrier, is not waited for. */
bool is_settled(char *why, size_t size);

/* Is it over in all of these (descriptors of namespaces), at one time, within half a minute? The calling thread enters
 * them; the caller goes back to where it wants to be. */
bool await_settled(const int *ns, size_t n, char *why, size_t size);
