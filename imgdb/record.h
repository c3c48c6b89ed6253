/* record.h: the bytes of the record a row came from, with the row's edits applied.
 *
 * The one path by which an edit of the database reaches an image (export) or the kernel (restore): the
 * original span is decoded again, the columns that differ are patched in place, everything else stays
 * byte for byte. A row that was inserted by an edit (file NULL) is encoded from its columns alone.
 */
#pragma once

#include "imgdb/db.h"

/* Append the bytes of the record of row id of table ("address", "route", "device", "socket", ...): for raw
 * netlink rows the netlink message (nlmsghdr included), for device the RTM_NEWLINK message of
 * net_device_entry.nsimg_link (made from the CRIU fields when the image has none), for protobuf rows the
 * message without its length word. */
int record_bytes(struct db *db, const char *table, int64_t id, struct buf *out, struct err *e);
