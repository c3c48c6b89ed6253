#include "restorer/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/ns.h"
#include "base/u64map.h"

/* What lies in the queue beside the descriptor: all of one length, so that the offset of a message is its
 * number times this. */
struct store_key {
	uint64_t kind, id;
};

struct store {
	int fd;
	uint32_t n;
	struct u64map where; /* key -> number of the message */
};

static uint64_t map_key(enum store_kind kind, int64_t id)
{
	return (uint64_t)id << 2 | kind;
}

/* SO_PEEK_OFF belongs to the open socket, which all processes share: setting it and looking must not be
 * interleaved. A record lock (fcntl(2)) works on a socket too, and goes away with a process that is killed. */
static int set_lock(const struct store *s, short type, struct err *e)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET};

	while (fcntl(s->fd, F_SETLKW, &lock))
		if (errno != EINTR)
			return err_sys(e, ERR_KERNEL, "lock the descriptor store");
	return 0;
}

/* Connected to itself: then nobody else may send (unix_may_send), and the queue length limit of
 * net.unix.max_dgram_qlen does not count (unix_dgram_sendmsg: other == sk). The name is taken in a network
 * namespace of its own, where it can collide with nothing. */
static int make_socket(struct store *s, struct err *e)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	socklen_t len = sizeof(addr);
	int room = 64 << 20;
	auto_ns struct ns *ns = ns_new(e);

	if (!ns)
		return -1;
	s->fd = ns_socket(ns, AF_UNIX, SOCK_DGRAM, 0, e);
	if (s->fd < 0)
		return -1;
	/* Without CAP_NET_ADMIN the plain option gives what net.core.wmem_max allows. */
	if (setsockopt(s->fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)))
		setsockopt(s->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	if (bind(s->fd, (struct sockaddr *)&addr, offsetof(struct sockaddr_un, sun_path)) ||
	    getsockname(s->fd, (struct sockaddr *)&addr, &len) ||
	    connect(s->fd, (struct sockaddr *)&addr, len))
		return err_sys(e, ERR_KERNEL, "connect the descriptor store to itself");
	return 0;
}

struct store *store_new(struct err *e)
{
	auto_store struct store *s = calloc(1, sizeof(*s));

	if (!s) {
		err_set(e, ERR_NOMEM, "descriptor store");
		return NULL;
	}
	s->fd = -1;
	if (make_socket(s, e))
		return NULL;
	return take_ptr(s);
}

void store_free(struct store *s)
{
	if (!s)
		return;
	if (s->fd >= 0)
		close(s->fd);
	u64map_free(&s->where);
	free(s);
}

/* One message with room for one descriptor. */
struct store_msg {
	struct msghdr h;
	struct iovec iov;
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
};

static void msg_init(struct store_msg *m, struct store_key *key)
{
	memset(m, 0, sizeof(*m));
	m->iov = (struct iovec){key, sizeof(*key)};
	m->h.msg_iov = &m->iov;
	m->h.msg_iovlen = 1;
	m->h.msg_control = m->control.bytes;
	m->h.msg_controllen = sizeof(m->control.bytes);
}

int store_put(struct store *s, enum store_kind kind, int64_t id, int fd, struct err *e)
{
	struct store_key key = {kind, (uint64_t)id};
	struct store_msg m;
	struct cmsghdr *c;
	uint32_t have;

	if (u64map_find(&s->where, map_key(kind, id), &have))
		return err_set(e, ERR_EXISTS, "namespace %lld is in the store already",
			       (long long)id);
	msg_init(&m, &key);
	c = CMSG_FIRSTHDR(&m.h);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	if (sendmsg(s->fd, &m.h, MSG_DONTWAIT) != sizeof(key)) {
		if (errno == EAGAIN)
			return err_set(e, ERR_RANGE,
				       "the descriptor store is full after %u namespaces: raise "
				       "net.core.wmem_max",
				       s->n);
		if (errno == ETOOMANYREFS)
			return err_set(e, ERR_RANGE,
				       "the kernel allows no more than %u descriptors in the "
				       "store: raise the limit of open files (ulimit -n)",
				       s->n);
		return err_sys(e, ERR_KERNEL, "put a namespace into the descriptor store");
	}
	return u64map_put(&s->where, map_key(kind, id), s->n++, e);
}

static int peek_locked(struct store *s, uint32_t number, struct store_key *key, struct err *e)
{
	int off = (int)(number * sizeof(struct store_key)), fd;
	struct store_msg m;
	struct cmsghdr *c;

	msg_init(&m, key);
	if (setsockopt(s->fd, SOL_SOCKET, SO_PEEK_OFF, &off, sizeof(off)))
		return err_sys(e, ERR_KERNEL, "SO_PEEK_OFF of the descriptor store");
	if (recvmsg(s->fd, &m.h, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != sizeof(*key))
		return err_sys(e, ERR_KERNEL, "look into the descriptor store");
	c = CMSG_FIRSTHDR(&m.h);
	if (!c || c->cmsg_type != SCM_RIGHTS || (m.h.msg_flags & MSG_CTRUNC))
		return err_set(e, ERR_RANGE,
			       "no free descriptor number to take a namespace from the store");
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

/* The offset moves on with what is looked at (socket(7)). */
static int read_keys(struct store *s, struct err *e)
{
	struct store_key key;
	int off = 0;

	if (setsockopt(s->fd, SOL_SOCKET, SO_PEEK_OFF, &off, sizeof(off)))
		return err_sys(e, ERR_KERNEL, "SO_PEEK_OFF of the descriptor store");
	while (recv(s->fd, &key, sizeof(key), MSG_PEEK | MSG_DONTWAIT) == sizeof(key))
		if (u64map_put(&s->where, map_key(key.kind, (int64_t)key.id), s->n++, e))
			return -1;
	return errno == EAGAIN ? 0 : err_sys(e, ERR_KERNEL, "look into the descriptor store");
}

struct store *store_from_fd(int fd, struct err *e)
{
	auto_store struct store *s = calloc(1, sizeof(*s));
	struct err ignored = ERR_INIT;
	int rc;

	if (!s) {
		close(fd);
		err_set(e, ERR_NOMEM, "descriptor store");
		return NULL;
	}
	s->fd = fd;
	if (set_lock(s, F_WRLCK, e))
		return NULL;
	rc = read_keys(s, e);
	set_lock(s, F_UNLCK, &ignored);
	return rc ? NULL : take_ptr(s);
}

int store_take(struct store *s, enum store_kind kind, int64_t id, struct err *e)
{
	struct store_key key = {0};
	struct err ignored = ERR_INIT;
	uint32_t number;
	int fd;

	if (!u64map_find(&s->where, map_key(kind, id), &number))
		return err_set(e, ERR_NOTFOUND, "%s namespace %lld is not in the store",
			       kind == STORE_NETNS ? "network" : "user", (long long)id);
	if (set_lock(s, F_WRLCK, e))
		return -1;
	fd = peek_locked(s, number, &key, e);
	set_lock(s, F_UNLCK, &ignored);
	if (fd >= 0 && (key.kind != kind || key.id != (uint64_t)id)) {
		close(fd);
		return err_set(e, ERR_FORMAT, "the descriptor store is out of order");
	}
	return fd;
}

int store_fd(const struct store *s)
{
	return s->fd;
}

int store_move(struct store *s, int fd, struct err *e)
{
	if (fd == s->fd)
		return 0;
	if (dup3(s->fd, fd, O_CLOEXEC) < 0)
		return err_sys(e, ERR_KERNEL, "move the descriptor store to number %d", fd);
	close(s->fd);
	s->fd = fd;
	return 0;
}
