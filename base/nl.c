#include "base/nl.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"

enum {
	/* The kernel makes the packets of a dump as large as the buffer that is offered, 32 KiB at
	 * most (netlink_dump in net/netlink/af_netlink.c). */
	RECV_SIZE = 32 << 10,
	RECV_SIZE_MAX = 16 << 20,
	DUMP_TRIES = 10,
};

struct nl {
	struct nl_sock *sk;
	uint32_t seq;
	struct buf in; /* in.cap bytes are offered to the kernel, in.len is what it gave */
};

static int nl_lib_err(struct err *e, int nle, const char *what)
{
	enum err_code code = ERR_KERNEL;

	if (nle == -NLE_PERM || nle == -NLE_NOACCESS)
		code = ERR_PERM;
	else if (nle == -NLE_PROTO_MISMATCH) /* EPROTONOSUPPORT */
		code = ERR_UNSUPPORTED;
	return err_set(e, code, "%s: %s", what, nl_geterror(nle));
}

/* Best effort: the kernel caps the buffers at net.core.rmem_max and wmem_max; a dump waits for the reader anyway. The two
 * others are there since Linux 4.12; without them errors have fewer words, which is no reason to fail. */
static void nl_set_options(int fd)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{SOL_SOCKET, SO_SNDBUF, 1 << 18},
		{SOL_SOCKET, SO_RCVBUF, 1 << 20},
		{SOL_NETLINK, NETLINK_EXT_ACK, 1},
		{SOL_NETLINK, NETLINK_CAP_ACK, 1},
	};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
}

int nl_open_fd(int protocol, uint32_t groups, struct err *e)
{
	const struct sockaddr_nl any = {.nl_family = AF_NETLINK, .nl_groups = groups};
	auto_close int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&any, sizeof(any)))
		return err_sys(e,
			       errno == EPROTONOSUPPORT            ? ERR_UNSUPPORTED
			       : errno == EPERM || errno == EACCES ? ERR_PERM
								   : ERR_KERNEL,
			       "open a netlink socket");
	nl_set_options(fd);
	return take_fd(&fd);
}

struct nl *nl_from_fd(int fd_taken, int protocol, struct err *e)
{
	auto_close int fd = fd_taken;
	auto_nl struct nl *nl = calloc(1, sizeof(*nl));
	int nle;

	if (!nl || !(nl->sk = nl_socket_alloc())) {
		err_set(e, ERR_NOMEM, "netlink socket");
		return NULL;
	}
	nle = nl_socket_set_fd(nl->sk, protocol, fd);
	if (nle < 0) {
		nl_lib_err(e, nle, "open a netlink socket");
		return NULL;
	}
	take_fd(&fd);
	return take_ptr(nl);
}

struct nl *nl_open_groups(int protocol, uint32_t groups, struct err *e)
{
	int fd = nl_open_fd(protocol, groups, e);

	return fd < 0 ? NULL : nl_from_fd(fd, protocol, e);
}

struct nl *nl_open(int protocol, struct err *e)
{
	return nl_open_groups(protocol, 0, e);
}

struct nl_open_args {
	int protocol;
	struct nl *nl;
};

static int nl_open_worker(void *arg, struct err *e)
{
	struct nl_open_args *a = arg;

	a->nl = nl_open(a->protocol, e);
	return a->nl ? 0 : -1;
}

struct nl *nl_open_in(const struct ns *ns, int protocol, struct err *e)
{
	struct nl_open_args a = {protocol, NULL};

	return ns_call(ns, nl_open_worker, &a, e) ? NULL : a.nl;
}

void nl_free(struct nl *nl)
{
	if (!nl)
		return;
	nl_socket_free(nl->sk);
	buf_free(&nl->in);
	free(nl);
}

int nl_fd(const struct nl *nl)
{
	return nl_socket_get_fd(nl->sk);
}

/* Requests */

static int nl_pad(struct buf *b, struct err *e)
{
	static const uint8_t zero[NLMSG_ALIGNTO];

	return b->len % NLMSG_ALIGNTO ? buf_add(b, zero, NLMSG_ALIGNTO - b->len % NLMSG_ALIGNTO, e)
				      : 0;
}

int nl_msg_begin(struct buf *b, uint16_t type, uint16_t flags, const void *hdr, size_t hdr_len,
		 struct err *e)
{
	struct nlmsghdr h = {.nlmsg_type = type, .nlmsg_flags = flags};

	buf_reset(b);
	h.nlmsg_len = (uint32_t)(sizeof(h) + hdr_len);
	if (buf_add(b, &h, sizeof(h), e) || (hdr_len && buf_add(b, hdr, hdr_len, e)))
		return -1;
	return nl_pad(b, e);
}

int nl_put(struct buf *b, uint16_t attr, const void *data, size_t len, struct err *e)
{
	struct nlattr a = {.nla_len = (uint16_t)(NLA_HDRLEN + len), .nla_type = attr};

	if (len > UINT16_MAX - NLA_HDRLEN)
		return err_set(e, ERR_RANGE, "netlink attribute %u of %zu bytes does not fit", attr,
			       len);
	if (buf_add(b, &a, sizeof(a), e) || (len && buf_add(b, data, len, e)))
		return -1;
	return nl_pad(b, e);
}

int nl_put_u8(struct buf *b, uint16_t attr, uint8_t v, struct err *e)
{
	return nl_put(b, attr, &v, sizeof(v), e);
}

int nl_put_u16(struct buf *b, uint16_t attr, uint16_t v, struct err *e)
{
	return nl_put(b, attr, &v, sizeof(v), e);
}

int nl_put_u32(struct buf *b, uint16_t attr, uint32_t v, struct err *e)
{
	return nl_put(b, attr, &v, sizeof(v), e);
}

int nl_put_str(struct buf *b, uint16_t attr, const char *s, struct err *e)
{
	return nl_put(b, attr, s, strlen(s) + 1, e);
}

int nl_nest_begin(struct buf *b, uint16_t attr, size_t *off, struct err *e)
{
	*off = b->len;
	return nl_put(b, attr | NLA_F_NESTED, NULL, 0, e);
}

int nl_nest_end(struct buf *b, size_t off, struct err *e)
{
	struct nlattr a;

	if (b->len - off > UINT16_MAX)
		return err_set(e, ERR_RANGE, "netlink attribute of %zu bytes does not fit",
			       b->len - off);
	memcpy(&a, b->data + off, sizeof(a));
	a.nla_len = (uint16_t)(b->len - off);
	memcpy(b->data + off, &a, sizeof(a));
	return 0;
}

/* Send the request with this many extra flags, under a new sequence number. */
static int nl_send_req(struct nl *nl, struct buf *msg, uint16_t flags, const char *what,
		       struct err *e)
{
	struct nlmsghdr h;
	int n;

	memcpy(&h, msg->data, sizeof(h));
	h.nlmsg_len = (uint32_t)msg->len;
	h.nlmsg_flags |= NLM_F_REQUEST | flags;
	h.nlmsg_seq = ++nl->seq;
	h.nlmsg_pid = nl_socket_get_local_port(nl->sk);
	memcpy(msg->data, &h, sizeof(h));
	n = nl_sendto(nl->sk, msg->data, msg->len);
	if (n < 0)
		return nl_lib_err(e, n, what);
	return 0;
}

/* Answers */

static ssize_t nl_recv_with(struct nl *nl, int flags, const char *what, struct err *e)
{
	struct sockaddr_nl from;
	/* cap counts the zero that buf adds; a peek is for the size alone */
	struct iovec iov = {nl->in.data, flags & MSG_PEEK ? 0 : nl->in.cap - 1};
	struct msghdr m = {.msg_name = &from, .msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	do {
		m.msg_namelen = sizeof(from);
		n = recvmsg(nl_fd(nl), &m, flags);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? err_sys(e, ERR_KERNEL, "%s: receive", what) : n;
}

/* One packet into nl->in. Its size is asked for first: a packet that does not fit is lost, and with it
 * perhaps the end of a dump, for which we would wait for ever. */
static int nl_recv_packet(struct nl *nl, const char *what, struct err *e)
{
	ssize_t n = nl_recv_with(nl, MSG_PEEK | MSG_TRUNC, what, e);

	if (n < 0)
		return -1;
	if (n > RECV_SIZE_MAX)
		return err_set(e, ERR_RANGE, "%s: an answer of %zd bytes", what, n);
	buf_reset(&nl->in);
	if (buf_reserve(&nl->in, n < RECV_SIZE ? RECV_SIZE : (size_t)n + 1, e))
		return -1;
	n = nl_recv_with(nl, MSG_TRUNC, what, e);
	if (n < 0)
		return -1;
	if ((size_t)n >= nl->in.cap)
		return err_set(e, ERR_KERNEL, "%s: an answer was cut", what);
	nl->in.len = (size_t)n;
	return 0;
}

/* The same of an acknowledgement, which is never larger than what is offered (NETLINK_CAP_ACK; else it holds the
 * request): what is larger is an answer that nobody asked for, and its beginning tells that. */
static int nl_recv_ack(struct nl *nl, size_t request_len, const char *what, struct err *e)
{
	ssize_t n;

	buf_reset(&nl->in);
	if (buf_reserve(&nl->in, RECV_SIZE + request_len, e))
		return -1;
	n = nl_recv_with(nl, 0, what, e);
	if (n < 0)
		return -1;
	nl->in.len = (size_t)n;
	return 0;
}

static enum err_code nl_err_code(int sys)
{
	switch (sys) {
	case EEXIST:
		return ERR_EXISTS;
	case ENOENT:
	case ENODEV:
	case ESRCH:
		return ERR_NOTFOUND;
	case EPERM:
	case EACCES:
		return ERR_PERM;
	case ENOMEM:
		return ERR_NOMEM;
	default:
		return ERR_KERNEL;
	}
}

/* The type of the attribute that the kernel pointed at, by its offset in the request. */
static int nl_bad_attr(const struct buf *req, uint32_t off)
{
	struct nlattr a;

	if (off < NLMSG_HDRLEN || off > req->len || req->len - off < sizeof(a))
		return -1;
	memcpy(&a, req->data + off, sizeof(a));
	return a.nla_type & NLA_TYPE_MASK;
}

/* Fill *e from an errno and the attributes of an extended ack (netlink.7; Linux 4.12). */
static int nl_ack_err(int sys, struct span tlvs, const struct buf *req, const char *what,
		      struct err *e)
{
	const struct nlattr *text = nl_attr_find(tlvs, NLMSGERR_ATTR_MSG);
	const struct nlattr *offs = nl_attr_find(tlvs, NLMSGERR_ATTR_OFFS);
	const struct nlattr *miss = nl_attr_find(tlvs, NLMSGERR_ATTR_MISS_TYPE);
	struct span words = text ? nl_attr_data(text) : (struct span){NULL, 0};
	char where[64] = "";

	if (miss)
		snprintf(where, sizeof(where), " (attribute %u is missing)", nl_attr_u32(miss));
	else if (offs && nl_bad_attr(req, nl_attr_u32(offs)) >= 0)
		snprintf(where, sizeof(where), " (attribute %d)",
			 nl_bad_attr(req, nl_attr_u32(offs)));
	if (words.len)
		err_set(e, nl_err_code(sys), "%s: %s: %.*s%s", what, strerror(sys),
			(int)strnlen((const char *)words.data, words.len), (const char *)words.data,
			where);
	else
		err_set(e, nl_err_code(sys), "%s: %s%s", what, strerror(sys), where);
	e->saved_errno = sys;
	return -1;
}

/* The verdict in NLMSG_ERROR or NLMSG_DONE: 0, or -1 with *e filled. */
static int nl_verdict(const struct nlmsghdr *h, const struct buf *req, const char *what,
		      struct err *e)
{
	size_t skip = sizeof(int), len = h->nlmsg_len - NLMSG_HDRLEN;
	const uint8_t *data = (const uint8_t *)h + NLMSG_HDRLEN;
	struct nlmsgerr ack;
	int code;

	if (len < sizeof(code)) /* a dump of an old kind may end without a code */
		return h->nlmsg_type == NLMSG_DONE
			       ? 0
			       : err_set(e, ERR_KERNEL, "%s: short netlink answer", what);
	memcpy(&code, data, sizeof(code));
	if (code >= 0)
		return 0;
	if (h->nlmsg_type == NLMSG_ERROR && len >= sizeof(ack)) {
		memcpy(&ack, data, sizeof(ack));
		skip = sizeof(ack);
		if (!(h->nlmsg_flags & NLM_F_CAPPED) && ack.msg.nlmsg_len > NLMSG_HDRLEN)
			skip += NLMSG_ALIGN(ack.msg.nlmsg_len) - NLMSG_HDRLEN;
	}
	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS) || skip > len)
		skip = len;
	return nl_ack_err(-code, (struct span){data + skip, len - skip}, req, what, e);
}

/* Read until the acknowledgement; the first other answer goes to reply, which may be NULL. */
static int nl_wait_ack(struct nl *nl, const struct buf *req, struct buf *reply, const char *what,
		       struct err *e)
{
	for (;;) {
		const struct nlmsghdr *h;
		size_t off = 0;

		if (reply ? nl_recv_packet(nl, what, e) : nl_recv_ack(nl, req->len, what, e))
			return -1;
		while ((h = nl_msg_next(buf_span(&nl->in), &off))) {
			if (h->nlmsg_seq != nl->seq)
				continue;
			if (h->nlmsg_type == NLMSG_ERROR)
				return nl_verdict(h, req, what, e);
			if (reply && !reply->len && h->nlmsg_type >= NLMSG_MIN_TYPE &&
			    buf_add(reply, h, h->nlmsg_len, e))
				return -1;
		}
	}
}

int nl_do(struct nl *nl, struct buf *msg, const char *what, struct err *e)
{
	if (nl_send_req(nl, msg, NLM_F_ACK, what, e))
		return -1;
	return nl_wait_ack(nl, msg, NULL, what, e);
}

int nl_get(struct nl *nl, struct buf *msg, struct buf *reply, const char *what, struct err *e)
{
	buf_reset(reply);
	if (nl_send_req(nl, msg, NLM_F_ACK, what, e) || nl_wait_ack(nl, msg, reply, what, e))
		return -1;
	if (!reply->len)
		return err_set(e, ERR_KERNEL, "%s: success, but no answer", what);
	return 0;
}

/* Dumps */

/* One run of a dump to its end. 1: complete; 0: it was interrupted or lost packets and has to be
 * repeated; -1. */
static int nl_dump_once(struct nl *nl, struct buf *req, struct buf *out, const char *what,
			struct err *e)
{
	bool good = true;

	if (nl_send_req(nl, req, NLM_F_DUMP, what, e))
		return -1;
	for (;;) {
		const struct nlmsghdr *h;
		size_t off = 0;

		if (nl_recv_packet(nl, what, e)) {
			if (e->saved_errno != ENOBUFS)
				return -1;
			good = false; /* a packet was lost, the others still come */
			continue;
		}
		while ((h = nl_msg_next(buf_span(&nl->in), &off))) {
			if (h->nlmsg_seq != nl->seq)
				continue;
			if (h->nlmsg_flags & NLM_F_DUMP_INTR)
				good = false;
			if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
				return nl_verdict(h, req, what, e) ? -1 : good;
			if (h->nlmsg_type < NLMSG_MIN_TYPE || !good)
				continue;
			if (buf_add(out, h, h->nlmsg_len, e) || nl_pad(out, e))
				return -1;
		}
	}
}

int nl_dump_raw(struct nl *nl, struct buf *req, struct buf *out, const char *what, struct err *e)
{
	size_t start;

	if (nl_pad(out, e))
		return -1;
	start = out->len;
	for (int i = 0; i < DUMP_TRIES; i++) {
		struct err e2 = ERR_INIT;
		int r = nl_dump_once(nl, req, out, what, &e2);

		if (r > 0)
			return 0;
		out->len = start;
		if (r < 0) {
			*e = e2;
			return -1;
		}
	}
	return err_set(e, ERR_INTERRUPTED, "%s: changed while it was read, %d times in a row", what,
		       DUMP_TRIES);
}

int nl_dump_each(struct nl *nl, struct buf *req, nl_msg_fn *fn, void *arg, const char *what,
		 struct err *e)
{
	auto_buf struct buf all = {0};
	const struct nlmsghdr *h;
	size_t off = 0;
	int r;

	if (nl_dump_raw(nl, req, &all, what, e))
		return -1;
	while ((h = nl_msg_next(buf_span(&all), &off))) {
		r = fn(h, arg, e);
		if (r)
			return r;
	}
	return 0;
}

/* Reading messages */

const struct nlmsghdr *nl_msg_next(struct span all, size_t *off)
{
	const struct nlmsghdr *h = (const void *)(all.data + *off);

	if (*off > all.len || all.len - *off < sizeof(*h) || h->nlmsg_len < sizeof(*h) ||
	    h->nlmsg_len > all.len - *off)
		return NULL;
	*off += NLMSG_ALIGN(h->nlmsg_len);
	return h;
}

struct span nl_attrs(const struct nlmsghdr *h, size_t hdr_len)
{
	size_t skip = NLMSG_HDRLEN + NLMSG_ALIGN(hdr_len);

	if (h->nlmsg_len <= skip)
		return (struct span){NULL, 0};
	return (struct span){(const uint8_t *)h + skip, h->nlmsg_len - skip};
}

const struct nlattr *nl_attr_next(struct span attrs, size_t *off)
{
	const struct nlattr *a = (const void *)(attrs.data + *off);

	if (!attrs.data || *off > attrs.len || attrs.len - *off < sizeof(*a) ||
	    a->nla_len < sizeof(*a) || a->nla_len > attrs.len - *off)
		return NULL;
	*off += NLA_ALIGN(a->nla_len);
	return a;
}

const struct nlattr *nl_attr_find(struct span attrs, uint16_t type)
{
	const struct nlattr *a;
	size_t off = 0;

	while ((a = nl_attr_next(attrs, &off)))
		if ((a->nla_type & NLA_TYPE_MASK) == type)
			return a;
	return NULL;
}

struct span nl_attr_data(const struct nlattr *a)
{
	if (!a)
		return (struct span){NULL, 0};
	return (struct span){(const uint8_t *)a + NLA_HDRLEN, (size_t)a->nla_len - NLA_HDRLEN};
}

uint32_t nl_attr_u32(const struct nlattr *a)
{
	uint32_t v = 0;

	if (a && a->nla_len >= NLA_HDRLEN + sizeof(v))
		memcpy(&v, (const uint8_t *)a + NLA_HDRLEN, sizeof(v));
	return v;
}

uint16_t nl_genl_family(struct nl *nl, const char *name)
{
	struct genlmsghdr g = {.cmd = CTRL_CMD_GETFAMILY, .version = 1};
	auto_buf struct buf req = {0}, reply = {0};
	struct err none = ERR_INIT;
	const struct nlattr *a;
	uint16_t id = 0;

	if (nl_msg_begin(&req, GENL_ID_CTRL, 0, &g, sizeof(g), &none) ||
	    nl_put_str(&req, CTRL_ATTR_FAMILY_NAME, name, &none) ||
	    nl_get(nl, &req, &reply, name, &none))
		return 0;
	a = nl_attr_find(nl_attrs((const void *)reply.data, sizeof(g)), CTRL_ATTR_FAMILY_ID);
	if (a && nl_attr_data(a).len >= sizeof(id))
		memcpy(&id, nl_attr_data(a).data, sizeof(id));
	return id;
}
