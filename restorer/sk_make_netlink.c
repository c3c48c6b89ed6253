/* Netlink sockets. */
#include <errno.h>
#include <linux/netlink.h>
#include <string.h>

#include "restorer/sk_make.h"

/* Each by number: bind(2) has room for the first 32, and gives a port id to one that has none. */
static int join_groups(struct sk_maker *m, const struct sk_file *f, int fd, struct err *e)
{
	for (size_t word = 0; word < f->nl.n_groups; word++)
		for (unsigned bit = 0; bit < 32; bit++) {
			unsigned group = (unsigned)word * 32 + bit + 1;

			if (!(f->nl.groups[word] >> bit & 1))
				continue;
			if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group,
				       sizeof(group)) &&
			    sk_note(m, f, e, "group %u not joined: %s", group, strerror(errno)))
				return -1;
		}
	return 0;
}

int sk_netlink_bind(struct sk_maker *m, const struct sk_file *f, int fd, struct err *e)
{
	struct sockaddr_nl addr = {.nl_family = AF_NETLINK, .nl_pid = f->nl.portid};
	int rc = addr.nl_pid ? bind(fd, (struct sockaddr *)&addr, sizeof(addr)) : 0;

	/* In a namespace that others use too the number may be taken: programs read theirs back. */
	if (rc && errno == EADDRINUSE) {
		addr.nl_pid = 0;
		rc = bind(fd, (struct sockaddr *)&addr, sizeof(addr));
		if (!rc && sk_note(m, f, e, "its port id is taken, it got another"))
			return -1;
	}
	if (rc)
		return err_sys(e, ERR_KERNEL, "bind to port id %u", f->nl.portid);
	return join_groups(m, f, fd, e);
}

int sk_netlink_connect(struct sk_maker *m, const struct sk_file *f, int fd, struct err *e)
{
	/* the kernel keeps the number of the lowest group (netlink_connect) */
	struct sockaddr_nl addr = {
		.nl_family = AF_NETLINK,
		.nl_pid = f->nl.dst_portid,
		.nl_groups =
			f->nl.dst_group && f->nl.dst_group <= 32 ? 1U << (f->nl.dst_group - 1) : 0,
	};

	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return sk_note(m, f, e, "not connected: %s", strerror(errno));
	return 0;
}
