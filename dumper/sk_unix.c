/* unix(7) sockets. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/unix_diag.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <linux/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/nl.h"
#include "dumper/sk_read.h"

enum { ST_ESTABLISHED = 1, ST_CLOSE = 7, ST_LISTEN = 10 };

/* Where the peer is: the same namespace mostly, otherwise any that the dump knows. Unix sockets refer to
 * each other across network namespaces (by path, or as a socketpair), but sock_diag shows each only in
 * its own. */
static int find_peer(struct sk_read *r, uint32_t ino, struct err *e)
{
	struct diag_sk sk;
	int got = diag_find(r->diag, DIAG_UNIX, ino, &sk, e);

	for (size_t i = 0; got == 0 && i < r->d->n_netns; i++) {
		struct dump_netns *n = r->d->netns[i];
		struct diag *dg = n == r->s->netns ? NULL : sk_diag(r->d, n, e);

		if (!dg)
			continue;
		got = diag_find(dg, DIAG_UNIX, ino, &sk, e);
		if (got == 1) {
			r->extra->has_peer_ns_id = 1;
			r->extra->peer_ns_id = n->id;
		}
	}
	return got < 0 ? -1 : 0;
}

static uint32_t attr_queue(const struct diag_sk *sk, bool max)
{
	const struct nlattr *a = nl_attr_find(sk->attrs, UNIX_DIAG_RQLEN);
	struct unix_diag_rqlen q;

	if (!a || nl_attr_data(a).len < sizeof(q))
		return 0;
	memcpy(&q, nl_attr_data(a).data, sizeof(q));
	return max ? q.udiag_wqueue : q.udiag_rqueue;
}

static int read_diag(struct sk_read *r, UnixSkEntry *usk, const struct diag_sk *sk, struct err *e)
{
	const struct nlattr *a = nl_attr_find(sk->attrs, UNIX_DIAG_SHUTDOWN);

	usk->state = r->state = sk->state;
	if (a && nl_attr_data(a).len >= 1 && nl_attr_data(a).data[0]) {
		usk->has_shutdown = 1;
		usk->shutdown = (SkShutdown)(nl_attr_data(a).data[0] & SK_SHUTDOWN__BOTH);
	}
	if (r->state == ST_LISTEN) {
		uint32_t waiting = attr_queue(sk, false);

		usk->backlog = attr_queue(sk, true);
		if (!waiting)
			return 0;
		r->extra->has_n_unaccepted = 1;
		r->extra->n_unaccepted = waiting;
		if (r->d->opts.criu) /* CRIU keeps them: those who wait connect again */
			return 0;
		return dump_lose(r->d, e, r->object,
				 "%u connections waiting to be accepted are not kept", waiting);
	}
	usk->peer = nl_attr_u32(nl_attr_find(sk->attrs, UNIX_DIAG_PEER));
	if (usk->peer && find_peer(r, usk->peer, e))
		return -1;
	/* One that is closed has no inode any more (sock_orphan), and its name still; one outside the image can be found again by
	 * it. (ESTABLISHED alone says only that somebody connected to this one, unix_dgram_connect.) */
	if (r->type != SOCK_DGRAM || !r->peer_len ||
	    (usk->peer && r->peer_len <= offsetof(struct sockaddr_un, sun_path)))
		return 0;
	r->extra->has_closed_peer = 1;
	return sk_put_bytes(&r->extra->closed_peer, &r->peer, r->peer_len, e);
}

static int read_state(struct sk_read *r, UnixSkEntry *usk, struct err *e)
{
	struct diag_sk sk;
	int got = diag_find(r->diag, DIAG_UNIX, r->s->ino, &sk, e);

	if (got == 1)
		return read_diag(r, usk, &sk, e);
	if (got < 0)
		return -1;
	r->state = sk_int(r->s->fd, SOL_SOCKET, SO_ACCEPTCONN, 0) ? ST_LISTEN
		   : r->peer_len                                  ? ST_ESTABLISHED
								  : ST_CLOSE;
	usk->state = r->state;
	return dump_lose(r->d, e, r->object,
			 "sock_diag does not show it: backlog, peer and shutdown are unknown");
}

/* A relative name: the folder that it is below, as CRIU keeps it. real is the absolute path. */
static int put_name_dir(UnixSkEntry *usk, const char *name, const char *real, struct err *e)
{
	size_t n = strlen(name), all = strlen(real);

	if (name[0] == '/' || all <= n || strcmp(real + all - n, name) != 0 ||
	    real[all - n - 1] != '/')
		return 0;
	usk->name_dir = strndup(real, all - n > 1 ? all - n - 1 : 1);
	return usk->name_dir ? 0 : err_set(e, ERR_NOMEM, "record of a socket");
}

/* The kernel leads to the name that was bound, also when it was renamed, and not to those that link(2) gave. */
static int note_links(struct sk_read *r, const struct stat *st, bool bound_is_gone, struct err *e)
{
	unsigned long n = st->st_nlink - !bound_is_gone;

	if (!st->st_nlink || !n)
		return 0;
	return dump_lose(
		r->d, e, r->object,
		"its file has %lu more name%s (hard links), which the kernel does not tell", n,
		n == 1 ? "" : "s");
}

/* A path of d_path(), of which the mark of one that is gone is cut off. */
static bool cut_deleted(char *real, const char *name)
{
	static const char mark[] = " (deleted)";
	size_t n = strlen(real), len = strlen(mark), n_name = strlen(name);

	if (n < len || strcmp(real + n - len, mark) != 0 ||
	    (n_name >= len && strcmp(name + n_name - len, mark) == 0))
		return false;
	real[n - len] = 0;
	return true;
}

/* The file of a bound socket: SIOCUNIXFILE (Linux 4.16) gives an O_PATH descriptor of it, also when the name
 * is relative, in another root, or gone. An accepted socket has the file of its listener. */
static int read_file(struct sk_read *r, UnixSkEntry *usk, const char *name, struct err *e)
{
	auto_close int file = ioctl(r->s->fd, SIOCUNIXFILE);
	char link[64], real[4200];
	struct stat st;
	ssize_t n;

	if (file < 0 || fstat(file, &st) != 0)
		return dump_lose(r->d, e, r->object,
				 "the file %s of the socket cannot be looked at: %s", name,
				 strerror(errno));
	usk->file_perms = sk_new(FilePermsEntry, file_perms_entry, e);
	if (!usk->file_perms)
		return -1;
	usk->file_perms->mode = st.st_mode;
	usk->file_perms->uid = st.st_uid;
	usk->file_perms->gid = st.st_gid;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", file);
	n = readlink(link, real, sizeof(real) - 1);
	if (n < 0)
		return 0;
	real[n] = 0;
	if (cut_deleted(real, name) || st.st_nlink == 0)
		usk->has_deleted = usk->deleted = 1;
	if (note_links(r, &st, usk->deleted, e) != 0)
		return -1;
	if (put_name_dir(usk, name, real, e) != 0)
		return -1;
	if (usk->name_dir || strcmp(name, real) == 0)
		return 0;
	r->extra->has_bound_path = 1;
	return sk_put_bytes(&r->extra->bound_path, real, strlen(real), e);
}

/* The bytes of sun_path: of a path with its final zero (unix_bind keeps it), of an abstract name all. */
static int read_name(struct sk_read *r, UnixSkEntry *usk, struct err *e)
{
	const struct sockaddr_un *un = (const void *)&r->local;
	size_t skip = offsetof(struct sockaddr_un, sun_path);
	size_t len = r->local_len > skip ? r->local_len - skip : 0;
	char name[sizeof(r->local) + 1] = "";

	if (sk_put_bytes(&usk->name, un->sun_path, len, e) != 0)
		return -1;
	if (!len || !un->sun_path[0])
		return 0;
	memcpy(name, un->sun_path, len);
	return read_file(r, usk, name, e);
}

/* Descriptors that wait in the queues (SCM_RIGHTS): "scm_fds:" of fdinfo, Linux 5.13. */
static int read_rights(struct sk_read *r, struct err *e)
{
	auto_buf struct buf text = {0};
	struct err why = ERR_INIT;
	char path[64], *at;
	unsigned n;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", r->s->fd);
	if (io_read_file(AT_FDCWD, path, 64 << 10, &text, &why) != 0 || !text.len)
		return 0;
	at = strstr((char *)text.data, "scm_fds:");
	if (!at || sscanf(at, "scm_fds: %u", &n) != 1 || !n)
		return 0;
	r->extra->has_rights_in_flight = 1;
	r->extra->rights_in_flight = n;
	if (r->d->opts.criu)
		return 0;
	return dump_lose(r->d, e, r->object, "%u descriptors in flight (SCM_RIGHTS) are not kept",
			 n);
}

int sk_unix_read(struct sk_read *r, FileEntry *fe, struct err *e)
{
	UnixSkEntry *usk = sk_new(UnixSkEntry, unix_sk_entry, e);

	fe->usk = usk;
	if (!usk) {
		nsimg_sk__free_unpacked(r->extra, NULL);
		return -1;
	}
	usk->nsimg = r->extra;
	usk->id = r->s->file_id;
	usk->ino = (uint32_t)r->s->ino;
	usk->type = (uint32_t)r->type;
	usk->flags = r->flags;
	usk->has_ns_id = 1;
	usk->ns_id = r->s->netns->id;
	r->is_connected = r->peer_len > 0;
	usk->fown = sk_fown(r, e);
	usk->opts = usk->fown ? sk_new(SkOptsEntry, sk_opts_entry, e) : NULL;
	if (!usk->opts || read_state(r, usk, e) != 0 || read_name(r, usk, e) != 0 ||
	    sk_options(r, &usk->base, e) != 0 || sk_queues(r, e) != 0)
		return -1;
	return read_rights(r, e);
}
