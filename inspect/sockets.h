/* sockets.h: the select behind "nsimg sockets": one row a socket, as ss(8) shows it.
 *
 * Owns:  the text of the select. The columns of its table are in sockets.c.
 * Aliases: s socket, i inet_socket, u unix_socket, k netlink_socket, p packet_socket, n netns, pd the device of
 *        p, us, uu, un the peer of a unix socket with its namespace.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* Append "SELECT ... FROM ..." with parameter :image. Columns by name: netid, state, recv-q, send-q, local,
 * peer, netns, users, owners (JSON), family, type, protocol, src, sport, dst, dport, dev, name, ino, cookie,
 * uid, mark, shutdown, options, memberships, groups, file_id, id, family_num, state_num, ns_id, netns_id,
 * local_name, peer_name. */
int sockets_sql(struct buf *out, struct err *e);

/* Append the select of the ids of the sockets for which the filter holds, in the order of the list. */
struct filter;
int sockets_ids_sql(struct buf *out, const struct filter *f, struct err *e);

/* The parts, for selects with a beginning of their own: the expression of one column; those of several, separated
 * by blanks, as "EXPR AS NAME, ..."; what joins the other tables to "socket s". */
int sockets_column(struct buf *out, const char *name, struct err *e);
int sockets_columns(struct buf *out, const char *names, struct err *e);
extern const char sockets_joins[];

/* The select of the ids of those of the image :image of a kind that few sockets have: a netid, a family that is rare
 * (in the words of the index of them, schema.sql). */
#define SOCKETS_RARE                                                                               \
	"SELECT id FROM socket WHERE image = :image AND (family NOT IN (1, 2, 10, 16, 17) OR "     \
	"type NOT IN (1, 2, 3) OR (family IN (2, 10) AND (type = 3 OR protocol NOT IN (6, 17))))"
bool sockets_is_rare(const char *netid);
bool sockets_is_rare_family(int64_t family);
