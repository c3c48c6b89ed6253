/* tree_data.h: the namespaces of an image with what is in them, as JSON: what "nsimg tree --json" prints and
 * what its text is made of.
 *
 * Shape: {"image":{"id","name","format","dumped"}, "userns":[{"ns_id","parent","owner_uid","external",
 *        "uid_map","gid_map"}], "netns":[{"ns_id","name","external","caller","owner","ino","pins","ext_key",
 *        "devices":[{"ifindex","name","kind","state","mtu","address","master","peer","flags","addresses":[]}],
 *        "tasks":[{"pid","ppid","comm","threads","sockets":[{"fd","socket","netns","foreign"}]}],
 *        "threads":[...] (of tasks elsewhere), "sockets":[...] (that no task of the namespace holds, with
 *        "owners"), "descriptors":[{"pid","comm","fd"}]}]}
 */
#pragma once

#include "base/json.h"
#include "imgdb/db.h"

/* An owned value or NULL. netns is a netns.id, and then only that namespace is in it; 0: all. */
struct json *tree_data(struct db *db, int64_t image, int64_t netns, struct err *e);
