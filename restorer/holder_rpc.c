#include "restorer/holder_rpc.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define NOTES_MAX 16384

struct answer_head {
	int rc;
	struct err failed; /* sent when rc is not 0 */
};

static size_t head_size(int rc)
{
	return rc ? sizeof(struct answer_head) : offsetof(struct answer_head, failed);
}

struct packet {
	struct msghdr h;
	struct iovec iov[2];
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
};

static void packet_init(struct packet *p, void *head, size_t len, void *more, size_t more_len)
{
	memset(p, 0, sizeof(*p));
	p->iov[0] = (struct iovec){head, len};
	p->iov[1] = (struct iovec){more, more_len};
	p->h.msg_iov = p->iov;
	p->h.msg_iovlen = more_len ? 2 : 1;
}

static int packet_send(int control, struct packet *p, int fd, struct err *e)
{
	struct cmsghdr *c;

	if (fd >= 0) {
		p->h.msg_control = p->control.bytes;
		p->h.msg_controllen = sizeof(p->control.bytes);
		c = CMSG_FIRSTHDR(&p->h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	if (sendmsg(control, &p->h, MSG_NOSIGNAL) >= 0)
		return 1;
	if (errno == EPIPE || errno == ECONNRESET)
		return 0;
	return err_sys(e, ERR_KERNEL, "speak to a holder");
}

/* Bytes received, 0 when the other end is gone, -1. */
static ssize_t packet_recv(int control, struct packet *p, int *fd, struct err *e)
{
	struct cmsghdr *c;
	ssize_t n;

	*fd = -1;
	p->h.msg_control = p->control.bytes;
	p->h.msg_controllen = sizeof(p->control.bytes);
	do
		n = recvmsg(control, &p->h, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == ECONNRESET)
		return 0;
	if (n < 0)
		return err_sys(e, ERR_KERNEL, "hear from a holder");
	c = CMSG_FIRSTHDR(&p->h);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	if (p->h.msg_flags & MSG_CTRUNC)
		return err_set(e, ERR_RANGE, "no free descriptor number to take a socket");
	return n;
}

int holder_send_request(int control, const struct holder_request *q, int fd, struct err *e)
{
	struct holder_request copy = *q;
	struct packet p;

	packet_init(&p, &copy, sizeof(copy), NULL, 0);
	return packet_send(control, &p, fd, e);
}

int holder_recv_request(int control, struct holder_request *q, int *fd, struct err *e)
{
	struct packet p;
	ssize_t n;

	packet_init(&p, q, sizeof(*q), NULL, 0);
	n = packet_recv(control, &p, fd, e);
	if (n > 0 && n != sizeof(*q))
		return err_set(e, ERR_FORMAT, "a request of %zd bytes", n);
	return n > 0 ? 1 : (int)n;
}

int holder_send_answer(int control, int rc, const struct err *failed, struct span notes, int fd,
		       struct err *e)
{
	struct answer_head head = {rc, *failed};
	struct packet p;

	packet_init(&p, &head, head_size(rc), (void *)(uintptr_t)notes.data,
		    notes.len < NOTES_MAX ? notes.len : NOTES_MAX);
	return packet_send(control, &p, fd, e);
}

int holder_recv_answer(int control, int *rc, struct err *failed, struct buf *notes, int *fd,
		       struct err *e)
{
	union {
		int rc;
		struct answer_head head;
		char bytes[sizeof(struct answer_head) + NOTES_MAX];
	} a;
	struct packet p;
	ssize_t n;
	size_t head;

	packet_init(&p, &a, sizeof(a), NULL, 0);
	n = packet_recv(control, &p, fd, e);
	if (n <= 0)
		return (int)n;
	head = (size_t)n >= sizeof(a.rc) ? head_size(a.rc) : sizeof(a.rc);
	if ((size_t)n < head)
		return err_set(e, ERR_FORMAT, "an answer of %zd bytes", n);
	*rc = a.rc;
	if (a.rc)
		*failed = a.head.failed;
	return buf_add(notes, a.bytes + head, (size_t)n - head, e) ? -1 : 1;
}
