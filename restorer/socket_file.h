/* socket_file.h: what lies where a unix socket gets its file, before and after.
 *
 * Owns:  nothing; the facts of the journal are what undo works from.
 * Never: touches a file that is not a socket, or a socket that somebody still listens at.
 * Steps: "socket-file" makes missing folders and sets a stale socket file aside; the step of the socket
 *        notes the file that bind(2) made; undo removes that file and puts the stale one back.
 */
#pragma once

#include "restorer/journal.h"
#include "restorer/plan.h"
#include "restorer/restore.h"

/* data of the step is the path. */
int socket_file_run(struct restore *r, struct step *s, struct err *e);
int socket_file_undo(const struct journal_entry *je, struct err *e);
int socket_file_check(const struct restore *r, const struct step *s, struct buf *reasons,
		      struct err *e);

/* After bind: a fact with path and inode for the running step. No file there is fine. */
int socket_file_made(struct journal *j, uint32_t step, const char *path, struct err *e);

/* Undo of the step that has such facts. */
int socket_file_remove(const struct journal_entry *je, struct err *e);
