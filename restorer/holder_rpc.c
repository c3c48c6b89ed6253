#include "restorer/holder_rpc.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define NOTES_MAX 16384

struct answer_head {
	int rc;
	uint32_t notes_len;
	struct err failed; /* there when rc is not 0 */
};

static size_t head_size(int rc)
{
	return rc ? sizeof(struct answer_head) : offsetof(struct answer_head, failed);
}

struct packet {
	struct msghdr h;
	struct iovec iov;
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
};

static void packet_init(struct packet *p, void *data, size_t len)
{
	memset(p, 0, sizeof(*p));
	p->iov = (struct iovec){data, len};
	p->h.msg_iov = &p->iov;
	p->h.msg_iovlen = 1;
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

int holder_send_requests(int control, const struct holder_request *q, size_t n, int fd,
			 struct err *e)
{
	struct packet p;

	packet_init(&p, (void *)(uintptr_t)q, n * sizeof(*q));
	return packet_send(control, &p, fd, e);
}

int holder_recv_requests(int control, struct holder_request q[HOLDER_BATCH], size_t *n, int *fd,
			 struct err *e)
{
	struct packet p;
	ssize_t len;

	packet_init(&p, q, HOLDER_BATCH * sizeof(*q));
	len = packet_recv(control, &p, fd, e);
	if (len > 0 && (size_t)len % sizeof(*q))
		return err_set(e, ERR_FORMAT, "a request of %zd bytes", len);
	*n = len > 0 ? (size_t)len / sizeof(*q) : 0;
	return len > 0 ? 1 : (int)len;
}

/* When the restorer is gone, the next request tells. */
void holder_send_pid(int control, int pid)
{
	send(control, &pid, sizeof(pid), MSG_NOSIGNAL);
}

int holder_recv_pid(int control)
{
	ssize_t n;
	int pid;

	do
		n = recv(control, &pid, sizeof(pid), 0);
	while (n < 0 && errno == EINTR);
	return n == sizeof(pid) ? pid : 0;
}

int holder_answer_add(struct buf *answers, int rc, const struct err *failed, struct span notes,
		      struct err *e)
{
	struct answer_head head = {rc, notes.len < NOTES_MAX ? (uint32_t)notes.len : NOTES_MAX,
				   *failed};

	return buf_add(answers, &head, head_size(rc), e) ||
			       buf_add(answers, notes.data, head.notes_len, e)
		       ? -1
		       : 0;
}

int holder_send_answers(int control, struct span answers, int fd, struct err *e)
{
	struct packet p;

	packet_init(&p, (void *)(uintptr_t)answers.data, answers.len);
	return packet_send(control, &p, fd, e);
}

int holder_recv_answers(int control, struct buf *answers, int *fd, struct err *e)
{
	char bytes[HOLDER_ANSWERS_MAX + sizeof(struct answer_head) + NOTES_MAX];
	struct packet p;
	ssize_t n;

	packet_init(&p, bytes, sizeof(bytes));
	n = packet_recv(control, &p, fd, e);
	if (n <= 0)
		return (int)n;
	return buf_add(answers, bytes, (size_t)n, e) ? -1 : 1;
}

int holder_answer_next(const struct buf *answers, size_t *at, int *rc, struct err *failed,
		       struct buf *notes, struct err *e)
{
	struct span left = {answers->data + *at, answers->len - *at};
	struct answer_head head;

	if (left.len < head_size(0))
		return err_set(e, ERR_FORMAT, "an answer of %zu bytes", left.len);
	memcpy(&head, left.data, head_size(0));
	*rc = head.rc;
	if (left.len < head_size(head.rc) + head.notes_len)
		return err_set(e, ERR_FORMAT, "an answer of %zu bytes", left.len);
	if (head.rc)
		memcpy(failed, left.data + offsetof(struct answer_head, failed), sizeof(*failed));
	*at += head_size(head.rc) + head.notes_len;
	return buf_add(notes, left.data + head_size(head.rc), head.notes_len, e);
}
