/* nl.h: netlink conversations. The one place that opens netlink sockets (through libnl-3).
 *
 * Owns:  the socket behind struct nl, which stays in the namespace it was opened in.
 * Never: interprets messages; interrupted dumps and errors are its business, attributes are not.
 * Names: libnl exports a function nl_dump; ours is nl_dump_each, or libnl would call it.
 * Errors carry the kernel's own words: extended acks are asked for (NETLINK_EXT_ACK, which libnl 3.7
 *        does not), and saved_errno is the kernel's.
 */
#pragma once

#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/ns.h"

struct nl;

/* In the namespace of the calling thread, or in ns. protocol is NETLINK_ROUTE, NETLINK_SOCK_DIAG, ...
 * An owned handle or NULL (ERR_UNSUPPORTED: the kernel does not have that protocol). */
struct nl *nl_open(int protocol, struct err *e);
struct nl *nl_open_in(const struct ns *ns, int protocol, struct err *e);
/* Which hears of changes: groups is a mask, RTNLGRP_X is bit X - 1. One call joins them all; a group that the
 * kernel does not have is left out. */
struct nl *nl_open_groups(int protocol, uint32_t groups, struct err *e);
/* The two halves of that. The first allocates no memory and calls no library: a thread may be in it while another one
 * forks. An owned descriptor or -1; the other takes it, also on failure. */
int nl_open_fd(int protocol, uint32_t groups, struct err *e);
struct nl *nl_from_fd(int fd, int protocol, struct err *e);
void nl_free(struct nl *nl);
int nl_fd(const struct nl *nl);

static inline void nl_cleanup_(struct nl **nl)
{
	nl_free(*nl);
}
#define auto_nl __attribute__((cleanup(nl_cleanup_)))

/* A request is a buf: nlmsghdr, family header, attributes; sequence, port and length are filled in by
 * nl_do and nl_dump_*. The put functions append one attribute (padded); nl_nest_begin returns the offset
 * to give to nl_nest_end. */
int nl_msg_begin(struct buf *b, uint16_t type, uint16_t flags, const void *hdr, size_t hdr_len,
		 struct err *e);
int nl_put(struct buf *b, uint16_t attr, const void *data, size_t len, struct err *e);
int nl_put_u8(struct buf *b, uint16_t attr, uint8_t v, struct err *e);
int nl_put_u16(struct buf *b, uint16_t attr, uint16_t v, struct err *e);
int nl_put_u32(struct buf *b, uint16_t attr, uint32_t v, struct err *e);
int nl_put_str(struct buf *b, uint16_t attr, const char *s, struct err *e);
int nl_nest_begin(struct buf *b, uint16_t attr, size_t *off, struct err *e);
int nl_nest_end(struct buf *b, size_t off, struct err *e);

/* Send and wait for the acknowledgement. 0; or -1, ERR_KERNEL (or ERR_EXISTS, ERR_NOTFOUND, ERR_PERM)
 * with saved_errno and the extended ack in the message. what names the object in errors. */
int nl_do(struct nl *nl, struct buf *msg, const char *what, struct err *e);

/* As nl_do, and the first message that comes back (NLM_F_ECHO, or a get) is put into reply. */
int nl_get(struct nl *nl, struct buf *msg, struct buf *reply, const char *what, struct err *e);

/* The number that a family of generic netlink has since this boot; 0: the kernel does not have it. */
uint16_t nl_genl_family(struct nl *nl, const char *name);

/* One message of a dump, borrowed for the call; a non-zero result ends the dump with that result. */
typedef int nl_msg_fn(const struct nlmsghdr *h, void *arg, struct err *e);

/* Dump: NLM_F_REQUEST | NLM_F_DUMP are added. When the kernel says that the dump was interrupted
 * (NLM_F_DUMP_INTR) it is repeated from the start, at most 10 times, then ERR_INTERRUPTED. To make that
 * possible messages are collected first and fn is called only on a complete dump. */
int nl_dump_each(struct nl *nl, struct buf *req, nl_msg_fn *fn, void *arg, const char *what,
		 struct err *e);

/* As nl_dump_each, but the complete messages are appended to out, one after the other, each aligned to 4. */
int nl_dump_raw(struct nl *nl, struct buf *req, struct buf *out, const char *what, struct err *e);

/* Walk messages as nl_dump_raw leaves them (and as ip-route save writes them): the next message or NULL
 * at the end or at damage; *off is moved past it. */
const struct nlmsghdr *nl_msg_next(struct span all, size_t *off);

/* The family header and the attributes of a message; hdr_len is sizeof(struct ifinfomsg) etc. */
struct span nl_attrs(const struct nlmsghdr *h, size_t hdr_len);
const struct nlattr *nl_attr_next(struct span attrs, size_t *off);
const struct nlattr *nl_attr_find(struct span attrs, uint16_t type);
struct span nl_attr_data(const struct nlattr *a); /* empty when a is NULL */
uint32_t nl_attr_u32(const struct nlattr *a);     /* 0 when a is NULL or short */
