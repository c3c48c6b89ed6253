/* One socket -> one record: what all families share. */
#include "dumper/sk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "dumper/sk_read.h"

#ifndef F_GETOWNER_UIDS
#define F_GETOWNER_UIDS 17 /* asm-generic/fcntl.h hides it behind CONFIG_CHECKPOINT_RESTORE */
#endif

void *sk_alloc(size_t n, struct err *e)
{
	void *p = calloc(1, n ? n : 1);

	if (!p)
		err_set(e, ERR_NOMEM, "record of a socket");
	return p;
}

int sk_put_bytes(ProtobufCBinaryData *out, const void *data, size_t len, struct err *e)
{
	out->data = sk_alloc(len, e);
	if (!out->data)
		return -1;
	if (len)
		memcpy(out->data, data, len);
	out->len = len;
	return 0;
}

char *sk_text(const char *s, struct err *e)
{
	char *copy = strdup(s);

	if (!copy)
		err_set(e, ERR_NOMEM, "record of a socket");
	return copy;
}

int sk_int(int fd, int level, int opt, int absent)
{
	int v = 0;
	socklen_t len = sizeof(v);

	return getsockopt(fd, level, opt, &v, &len) == 0 ? v : absent;
}

FownEntry *sk_fown(const struct sk_read *r, struct err *e)
{
	FownEntry *f = sk_new(FownEntry, fown_entry, e);
	struct f_owner_ex owner = {0};
	uint32_t uids[2] = {0};
	int sig = fcntl(r->s->fd, F_GETSIG);

	if (!f)
		return NULL;
	if (sig > 0)
		f->signum = (uint32_t)sig;
	if (fcntl(r->s->fd, F_GETOWN_EX, &owner) != 0 || owner.pid == 0)
		return f;
	f->pid_type = (uint32_t)owner.type;
	f->pid = (uint32_t)owner.pid;
	if (fcntl(r->s->fd, F_GETOWNER_UIDS, uids) == 0) {
		f->uid = uids[0];
		f->euid = uids[1];
	}
	return f;
}

int sk_extra_option(struct sk_read *r, int level, int name, struct span value, struct err *e)
{
	NsimgSk *x = r->extra;
	NsimgSockopt *opt = sk_new(NsimgSockopt, nsimg_sockopt, e);
	NsimgSockopt **all = opt ? realloc(x->opt, (x->n_opt + 1) * sizeof(*all)) : NULL;

	if (!all) {
		free(opt);
		return err_set(e, ERR_NOMEM, "options of a socket");
	}
	x->opt = all;
	x->opt[x->n_opt++] = opt;
	opt->level = (uint32_t)level;
	opt->name = (uint32_t)name;
	return sk_put_bytes(&opt->value, value.data, value.len, e);
}

static bool is_bound_device_gone(const struct sk_read *r)
{
	char name[16]; /* IFNAMSIZ */
	socklen_t len = sizeof(name);

	return getsockopt(r->s->fd, SOL_SOCKET, SO_BINDTODEVICE, name, &len) != 0 &&
	       errno == ENODEV;
}

/* An option that CRIU has no field for: kept when a fresh socket has another value. */
static int keep_option(struct sk_read *r, size_t i, struct span v, struct err *e)
{
	const struct sockopt *row = sockopt_get(r->values.all[i].row);
	struct span fresh;

	if ((row->flags & SOCKOPT_STATE) && r->is_connected)
		return 0;
	if (sk_value(&r->fresh->values, i, &fresh)
		    ? v.len == fresh.len && (!v.len || memcmp(v.data, fresh.data, v.len) == 0)
		    : span_is_zero(v))
		return 0;
	if ((row->flags & SOCKOPT_NO_DEVICE) && !is_bound_device_gone(r))
		return 0;
	if ((row->flags & SOCKOPT_SECRET) && r->d->opts.no_secrets)
		return dump_lose(r->d, e, r->object, "%s is left out (--no-secrets)", row->name);
	return sk_extra_option(r, row->level, row->opt, v, e);
}

/* A program that cannot be read is a fact of the socket, not a failure. */
static int note_ebpf(struct sk_read *r, struct err *e)
{
	r->extra->has_bpf_filter = 1;
	r->extra->bpf_filter = 1;
	return dump_lose(r->d, e, r->object,
			 "its filter is an eBPF program, which the kernel does not give back");
}

int sk_options(struct sk_read *r, ProtobufCMessage *msg, struct err *e)
{
	if (sk_values_wait(sk_readers(r->d, e), &r->values, e) != 0 || sk_fresh_wait(r, e) != 0)
		return -1;
	for (size_t i = 0; i < r->values.n; i++) {
		const struct sockopt *row = sockopt_get(r->values.all[i].row);
		struct span v;
		int rc = 0;

		if (r->values.all[i].got < 0)
			rc = note_ebpf(r, e);
		else if (sk_value(&r->values, i, &v))
			rc = sockopt_in_criu(row, r->kind) && msg
				     ? sockopt_record_put(row, msg, v, e)
				     : keep_option(r, i, v, e);
		if (rc != 0)
			return -1;
	}
	return 0;
}

/* Bytes in the queues. Datagram families tell by the memory they hold, as ss shows it (Recv-Q). */
static void read_queues(struct sk_read *r, int *in, int *out)
{
	bool by_ioctl = r->family == AF_UNIX || (r->kind & (SOCKOPT_TCP | SOCKOPT_MPTCP));
	uint32_t mem[9] = {0};
	socklen_t len = sizeof(mem);

	*in = *out = 0;
	/* of an MPTCP socket that is closed the kernel says 1, for the end (mptcp_inq_hint() in net/mptcp/protocol.c) */
	if (r->state == TCP_LISTEN || (r->state == TCP_CLOSE && r->kind & SOCKOPT_MPTCP))
		return;
	if (by_ioctl) {
		if (ioctl(r->s->fd, SIOCINQ, in) != 0)
			*in = 0;
		if (ioctl(r->s->fd, SIOCOUTQ, out) != 0)
			*out = 0;
	} else if (getsockopt(r->s->fd, SOL_SOCKET, SO_MEMINFO, mem, &len) == 0) {
		*in = (int)mem[SK_MEMINFO_RMEM_ALLOC];
		*out = (int)mem[SK_MEMINFO_WMEM_ALLOC];
	}
}

/* What UDP_CORK or MSG_MORE hold back is in the memory of the send queue (ip_append_data), as is what waits in the queue
 * of a device. */
static bool may_be_corked(const struct sk_read *r)
{
	return r->kind & (SOCKOPT_UDP | SOCKOPT_UDPLITE | SOCKOPT_RAW);
}

/* CRIU reads queues by MSG_PEEK: of TCP not beyond an urgent byte (tcp_recvmsg_locked()), of unix streams without a word
 * which byte is one. POLLPRI: it was not read yet (tcp_poll(), unix_poll()). */
static int lose_urgent(struct sk_read *r, struct err *e)
{
	struct pollfd p = {.fd = r->s->fd, .events = POLLPRI};
	bool is_tcp = r->kind & SOCKOPT_TCP;

	if (!r->d->opts.criu || !(is_tcp || r->family == AF_UNIX) || poll(&p, 1, 0) != 1 ||
	    !(p.revents & POLLPRI))
		return 0;
	return dump_lose(
		r->d, e, r->object,
		is_tcp ? "an urgent byte (MSG_OOB) and what was received behind it is not kept"
		       : "an urgent byte (MSG_OOB) is kept as one like any other");
}

int sk_queues(struct sk_read *r, struct err *e)
{
	int in, out;

	if (lose_urgent(r, e))
		return -1;
	read_queues(r, &in, &out);
	if (out > 0) {
		r->extra->has_outq_len = 1;
		r->extra->outq_len = (uint32_t)out;
	}
	if (out > 0 && may_be_corked(r) && !r->d->opts.criu &&
	    dump_lose(r->d, e, r->object, "unsent data (%d bytes of queue) is not kept", out) != 0)
		return -1;
	if (in <= 0)
		return 0;
	r->extra->has_inq_len = 1;
	r->extra->inq_len = (uint32_t)in;
	if (r->is_connected && (r->kind & (SOCKOPT_TCP | SOCKOPT_MPTCP)))
		return 0; /* the connection as a whole is noted */
	/* CRIU keeps what waits in unix sockets, and refuses the socket where netlink messages do */
	if (r->d->opts.criu && (r->family == AF_UNIX || r->family == AF_NETLINK))
		return 0;
	return dump_lose(r->d, e, r->object, "unread data (%d bytes of queue) is not kept", in);
}

static void read_identity(struct sk_read *r)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);
	struct stat st;

	if (getsockopt(r->s->fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) == 0) {
		r->extra->has_cookie = 1;
		r->extra->cookie = cookie;
	}
	if (fstat(r->s->fd, &st) == 0 && st.st_uid) {
		r->extra->has_uid = 1;
		r->extra->uid = st.st_uid;
	}
}

static void read_addresses(struct sk_read *r)
{
	r->local_len = sizeof(r->local);
	if (getsockname(r->s->fd, (struct sockaddr *)&r->local, &r->local_len) != 0)
		r->local_len = 0;
	r->peer_len = sizeof(r->peer);
	if (getpeername(r->s->fd, (struct sockaddr *)&r->peer, &r->peer_len) != 0)
		r->peer_len = 0;
}

static int read_kind(struct sk_read *r, struct err *e)
{
	int fd = r->s->fd;

	r->family = sk_int(fd, SOL_SOCKET, SO_DOMAIN, -1);
	r->type = sk_int(fd, SOL_SOCKET, SO_TYPE, -1);
	r->protocol = sk_int(fd, SOL_SOCKET, SO_PROTOCOL, 0);
	if (r->family < 0 || r->type < 0)
		return err_sys(e, ERR_KERNEL, "getsockopt SO_DOMAIN");
	r->kind = sockopt_kind(r->family, r->type, r->protocol);
	return 0;
}

/* The address of a raw unix socket is not in here: its reader asks sock_diag. */
static int read_basics(struct sk_read *r, struct err *e)
{
	r->flags = (uint32_t)fcntl(r->s->fd, F_GETFL);
	snprintf(r->object, sizeof(r->object), "socket %llu (%s)", (unsigned long long)r->s->ino,
		 r->s->owner);
	read_addresses(r);
	read_identity(r);
	r->diag = sk_diag(r->d, r->s->netns, e);
	return r->diag ? 0 : -1;
}

static const struct {
	int family;
	uint32_t kinds; /* that CRIU has records for */
	FdTypes type;
	int (*read)(struct sk_read *r, FileEntry *fe, struct err *e);
} readers[] = {
	{AF_INET, SOCKOPT_V4 & ~(SOCKOPT_MPTCP | SOCKOPT_SCTP), FD_TYPES__INETSK, sk_inet_read},
	{AF_INET6, SOCKOPT_V6 & ~(SOCKOPT_MPTCP | SOCKOPT_SCTP), FD_TYPES__INETSK, sk_inet_read},
	{AF_UNIX, SOCKOPT_UNIX, FD_TYPES__UNIXSK, sk_unix_read},
	{AF_NETLINK, SOCKOPT_NETLINK, FD_TYPES__NETLINKSK, sk_netlink_read},
	{AF_PACKET, SOCKOPT_PACKET, FD_TYPES__PACKETSK, sk_packet_read},
};

static int write_criu(struct sk_read *r, struct img_writer *files, struct err *e)
{
	FileEntry *fe = sk_new(FileEntry, file_entry, e);
	int rc;

	if (!fe)
		return -1;
	fe->type = readers[r->reader].type;
	fe->id = r->s->file_id;
	rc = readers[r->reader].read(r, fe, e);
	r->extra = NULL; /* it is in fe */
	if (rc == 0)
		rc = img_write_message(files, &fe->base, e);
	file_entry__free_unpacked(fe, NULL);
	return rc;
}

struct sk_read *sk_begin(struct dump *d, const struct sk_ref *s, uint32_t *fd_type, struct err *e)
{
	struct sk_readers *pool = sk_readers(d, e);
	auto_free struct sk_read *r = pool ? sk_alloc(sizeof(*r), e) : NULL;

	if (!r)
		return NULL;
	r->d = d;
	r->s = s;
	if (read_kind(r, e) != 0 || sk_fresh_begin(r, e) != 0)
		return NULL;
	r->extra = sk_new(NsimgSk, nsimg_sk, e);
	if (!r->extra)
		return NULL;
	while (r->reader < ARRAY_SIZE(readers) &&
	       (readers[r->reader].family != r->family || !(readers[r->reader].kinds & r->kind)))
		r->reader++;
	*fd_type = r->reader < ARRAY_SIZE(readers) ? readers[r->reader].type : FD_TYPES__UND;
	r->values.fd = s->fd;
	r->values.kind = r->kind;
	r->values.pid = s->pid;
	r->values.number = s->number;
	sk_values_post(pool, &r->values);
	return take_ptr(r);
}

void sk_free(struct sk_read *r)
{
	struct err none = ERR_INIT;

	if (!r)
		return;
	sk_values_free(sk_readers(r->d, &none), &r->values);
	if (r->extra)
		nsimg_sk__free_unpacked(r->extra, NULL);
	free(r);
}

int sk_end(struct sk_read *r, struct img_writer *files, struct img_writer *others,
	   uint32_t *fd_flags, struct err *e)
{
	int rc = read_basics(r, e);

	if (!rc && r->reader < ARRAY_SIZE(readers)) {
		rc = write_criu(r, files, e);
	} else if (!rc) {
		rc = sk_other_write(r, others, e);
		r->extra = NULL; /* it was given away */
	}
	if (!rc)
		rc = sk_values_wait(sk_readers(r->d, e), &r->values, e);
	*fd_flags = r->values.fd_flags;
	sk_free(r);
	return rc;
}

int sk_dump(struct dump *d, const struct sk_ref *s, struct img_writer *files,
	    struct img_writer *others, uint32_t *fd_type, struct err *e)
{
	struct sk_read *r = sk_begin(d, s, fd_type, e);
	uint32_t fd_flags;

	return r ? sk_end(r, files, others, &fd_flags, e) : -1;
}
