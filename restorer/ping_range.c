#include "restorer/ping_range.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/io.h"

#define RANGE_PATH "/proc/sys/net/ipv4/ping_group_range"

bool is_ping_socket(const struct sk_file *f)
{
	return f->kind == SK_INET && f->type == SOCK_DGRAM &&
	       (f->protocol == IPPROTO_ICMP || f->protocol == IPPROTO_ICMPV6);
}

static struct restore_netns *made_netns(struct restore *r, const struct sk_file *f)
{
	struct restore_netns *n = is_ping_socket(f) ? restore_netns_find(r, f->netns) : NULL;

	return n && !n->external && n->ns ? n : NULL;
}

/* All groups, or all that a user namespace with one group has. */
static int open_job(void *was, struct err *e)
{
	auto_buf struct buf text = {0};
	struct err narrow = ERR_INIT;

	if (io_read_file(AT_FDCWD, RANGE_PATH, RESTORE_PING_RANGE_MAX - 1, &text, e))
		return -1;
	memcpy(was, text.data, text.len);
	((char *)was)[text.len] = 0;
	return io_write_proc(AT_FDCWD, RANGE_PATH, "0 2147483647", &narrow) &&
			       io_write_proc(AT_FDCWD, RANGE_PATH, "0 0", e)
		       ? -1
		       : 0;
}

static int close_job(void *was, struct err *e)
{
	return io_write_proc(AT_FDCWD, RANGE_PATH, was, e);
}

int ping_range_open(struct restore *r, const struct sk_file *f, struct err *e)
{
	struct restore_netns *n = made_netns(r, f);

	return n ? ns_call(n->ns, open_job, r->ping_range, e) : 0;
}

int ping_range_close(struct restore *r, const struct sk_file *f, struct err *e)
{
	struct restore_netns *n = made_netns(r, f);

	return n && *r->ping_range ? ns_call(n->ns, close_job, r->ping_range, e) : 0;
}
