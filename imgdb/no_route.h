/* no_route.h: connected sockets whose other end no route leads to, which cannot be connected again.
 *
 * Owns:  the question, for check and for what is said before a restore.
 */
#pragma once

/* Rows of kind ('socket'), id, what (a sentence); :image is to be bound. Of sockets that a descriptor holds, in namespaces
 * whose network the image has; of TCP those whose state it has. */
extern const char db_no_route[];
