#include "restorer/sk_moment.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/io.h"

struct moment {
	const char *path;
	const char *value, *or_else; /* NULL: no other would do */
	char *was;                   /* RESTORE_MOMENT_MAX bytes; empty: it was left alone */
};

static bool moment_of(const struct sk_file *f, struct moment *m)
{
	if (f->kind != SK_INET)
		return false;
	if (f->type == SOCK_DGRAM &&
	    (f->protocol == IPPROTO_ICMP || f->protocol == IPPROTO_ICMPV6)) {
		/* all groups, or all that a user namespace with one group has */
		*m = (struct moment){"/proc/sys/net/ipv4/ping_group_range", "0 2147483647", "0 0",
				     NULL};
		return true;
	}
	if (f->type != SOCK_RAW || f->family != AF_INET6)
		return false;
	*m = (struct moment){"/proc/sys/net/ipv6/bindv6only", f->v6only ? "1" : "0", NULL, NULL};
	return true;
}

bool sk_has_moment(const struct sk_file *f)
{
	struct moment m;

	return moment_of(f, &m);
}

static bool is_value(const struct buf *text, const char *value)
{
	size_t n = strlen(value);

	return text->len >= n && !memcmp(text->data, value, n) &&
	       (text->len == n || text->data[n] == '\n');
}

static int begin_job(void *arg, struct err *e)
{
	const struct moment *m = arg;
	auto_buf struct buf text = {0};
	struct err narrow = ERR_INIT;

	if (io_read_file(AT_FDCWD, m->path, RESTORE_MOMENT_MAX - 1, &text, e))
		return -1;
	if (is_value(&text, m->value))
		return 0;
	memcpy(m->was, text.data, text.len);
	m->was[text.len] = 0;
	if (!m->or_else)
		return io_write_proc(AT_FDCWD, m->path, m->value, e);
	return io_write_proc(AT_FDCWD, m->path, m->value, &narrow) &&
			       io_write_proc(AT_FDCWD, m->path, m->or_else, e)
		       ? -1
		       : 0;
}

static int end_job(void *arg, struct err *e)
{
	const struct moment *m = arg;

	return io_write_proc(AT_FDCWD, m->path, m->was, e);
}

static struct restore_netns *made_netns(struct restore *r, const struct sk_file *f)
{
	struct restore_netns *n = restore_netns_find(r, f->netns);

	return n && !n->external && n->ns ? n : NULL;
}

int sk_moment_begin(struct restore *r, const struct sk_file *f, struct err *e)
{
	struct restore_netns *n;
	struct moment m;

	if (!moment_of(f, &m) || !(n = made_netns(r, f)))
		return 0;
	m.was = r->moment;
	*r->moment = 0;
	return ns_call(n->ns, begin_job, &m, e);
}

int sk_moment_end(struct restore *r, const struct sk_file *f, struct err *e)
{
	struct restore_netns *n;
	struct moment m;

	if (!moment_of(f, &m) || !*r->moment || !(n = made_netns(r, f)))
		return 0;
	m.was = r->moment;
	return ns_call(n->ns, end_job, &m, e);
}
