/* record.h: the bytes of the record a row came from, with the row's edits applied.
 *
 * The one path by which an edit of the database reaches an image (export) or the kernel (restore): the
 * original span is decoded again, the columns that differ are patched in place, everything else stays
 * byte for byte. A row that was inserted by an edit (file NULL) is encoded from its columns alone.
 */
#pragma once

#include "imgdb/db.h"

/* Append the bytes of the record of row id of table:
 *
 *   address, route, rule, neighbour, nexthop, traffic_control, conntrack
 *                  the netlink message (nlmsghdr included)
 *   device         its RTM_NEWLINK message: net_device_entry.nsimg_link, or made from the columns where
 *                  the image (CRIU's) has none
 *   socket         inet_sk_entry, unix_sk_entry, netlink_sk_entry, packet_sock_entry or nsimg_sk_entry
 *   tun_file, ns_file, fd, netns, userns, task (pstree_entry), tcp_stream
 *                  the protobuf message, without length word and without a file_entry around it
 *   sysctl         an nsimg_sysctl_entry, wherever the value came from
 *   firewall       the text of the ruleset
 *
 * 0, or -1 (ERR_NOTFOUND: no such table or row; ERR_USAGE: a column holds what no record can say). */
int record_bytes(struct db *db, const char *table, int64_t id, struct buf *out, struct err *e);

/* Append n bytes at off of a file of the image as it was imported (no edits). ERR_NOTFOUND: it has fewer, or its
 * content is not in the database. */
int record_file_bytes(struct db *db, int64_t file, size_t off, size_t n, struct buf *out,
		      struct err *e);

/* Call fn for each column of a row that is not as it came in, and for which the record of the row has no place: an
 * export would lose it. image, op: only of these, 0: of any. 0, -1, or what fn returned. */
typedef int record_lost_fn(void *arg, const char *table, int64_t row, const char *column,
			   struct err *e);
int record_lost(struct db *db, int64_t image, int64_t op, record_lost_fn *fn, void *arg,
		struct err *e);
