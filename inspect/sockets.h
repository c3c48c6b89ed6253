/* sockets.h: the select behind "nsimg sockets": one row a socket, as ss(8) shows it.
 *
 * Owns:  the text of the select. The columns of its table are in sockets.c.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/* Append "SELECT ... FROM ..." with parameter :image. Columns by name: netid, state, recvq, sendq, local,
 * peer, netns, users, owners (JSON), family, type, protocol, src, sport, dst, dport, dev, name, ino, cookie,
 * uid, mark, shutdown, options, memberships, groups, file_id, id, family_num, state_num, ns_id, netns_id,
 * local_name, peer_name. */
int sockets_sql(struct buf *out, struct err *e);
