/* sk.h: one socket -> one record of files.img or nsimg-sk.img.
 *
 * Never: changes the socket: the descriptor is a duplicate of the task's (pidfd_getfd), so state, flags and
 *        queues are shared with a running program. Options are read by looping over proto/sockopt_table.
 * Files: sk_inet.c, sk_unix.c, sk_netlink.c, sk_packet.c, sk_other.c, one per family.
 */
#pragma once

#include <stdint.h>

#include "dumper/dump.h"
#include "proto/img.h"

struct sk_read; /* a socket that is being read */

/* What the caller knows of a socket. */
struct sk_ref {
	int fd; /* borrowed duplicate */
	uint64_t ino;
	uint32_t file_id;         /* file_entry.id of its record */
	struct dump_netns *netns; /* where it lives */
	const char *owner;        /* "pid 7 fd 3", for messages */
	pid_t pid;                /* 0: the flags of the descriptor are not asked for */
	int number;               /* of the descriptor in that task */
};

/* Begin to read a socket: other threads read its options while its record and those of the sockets before are made.
 * s is borrowed until sk_end or sk_free. *fd_type is the type for fdinfo (fd_types of CRIU; UND for families and
 * protocols CRIU has no record for). An owned handle or NULL. */
struct sk_read *sk_begin(struct dump *d, const struct sk_ref *s, uint32_t *fd_type, struct err *e);

/* Add its record: file_entry to files, or nsimg_sk_entry to others for those that CRIU has no record for
 * (d->n_others counts them), and free it. What cannot be kept of it is noted with dump_lose. *fd_flags: as in struct
 * sk_values. */
int sk_end(struct sk_read *r, struct img_writer *files, struct img_writer *others,
	   uint32_t *fd_flags, struct err *e);
void sk_free(struct sk_read *r);

/* Both. */
int sk_dump(struct dump *d, const struct sk_ref *s, struct img_writer *files,
	    struct img_writer *others, uint32_t *fd_type, struct err *e);

/* How many of the dumper's own sockets this module has open in namespace n. */
size_t sk_n_own(const struct dump *d, const struct dump_netns *n);

/* Note (dump_lose) the sockets of namespace n that sock_diag shows and that have no descriptor in the dumped
 * tasks (in flight in a unix socket, waiting to be accepted, held by other processes). is_dumped says
 * whether an inode was dumped. Where n->all_dumped there are none, and the tables need not be looked through. */
int sk_note_missing(struct dump *d, struct dump_netns *n,
		    bool (*is_dumped)(uint64_t ino, void *arg), void *arg, struct err *e);

void sk_cache_free(struct sk_cache *c);
