/* netlink(7) sockets. */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/netlink_diag.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "dumper/sk_read.h"

enum { GROUP_WORDS_MAX = 512 }; /* generic netlink families add groups as they register */

/* The groups as a bitmap of words without zero words at the end: NETLINK_LIST_MEMBERSHIPS, Linux 4.2. */
static int read_groups(const struct sk_read *r, NetlinkSkEntry *nlsk, struct err *e)
{
	uint32_t words[GROUP_WORDS_MAX] = {0};
	socklen_t len = sizeof(words);
	size_t n;

	if (getsockopt(r->s->fd, SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, words, &len) != 0)
		return err_sys(e, ERR_KERNEL, "getsockopt NETLINK_LIST_MEMBERSHIPS");
	if (len > sizeof(words))
		return err_set(e, ERR_RANGE, "a netlink socket with groups beyond %zu",
			       8 * sizeof(words));
	n = len / sizeof(words[0]);
	while (n && !words[n - 1])
		n--;
	if (!n)
		return 0;
	nlsk->groups = sk_alloc(n * sizeof(words[0]), e);
	if (!nlsk->groups)
		return -1;
	memcpy(nlsk->groups, words, n * sizeof(words[0]));
	nlsk->n_groups = n;
	return 0;
}

/* sk_state of a netlink socket is 7 (fresh), 1 (connected) or 0 (was connected). */
static int read_state(struct sk_read *r, NetlinkSkEntry *nlsk, struct err *e)
{
	const struct sockaddr_nl *local = (const void *)&r->local, *peer = (const void *)&r->peer;
	struct diag_sk sk;
	int got = diag_find_netlink(r->diag, r->protocol, r->s->ino, &sk, e);

	if (got < 0)
		return -1;
	nlsk->portid = r->local_len ? local->nl_pid : 0;
	if (got == 1) {
		const struct netlink_diag_msg *m = sk.msg;

		nlsk->state = m->ndiag_state;
		nlsk->dst_portid = m->ndiag_dst_portid;
		nlsk->dst_group = m->ndiag_dst_group;
	} else {
		nlsk->dst_portid = r->peer_len ? peer->nl_pid : 0;
		nlsk->dst_group = r->peer_len ? (uint32_t)__builtin_ffs((int)peer->nl_groups) : 0;
		nlsk->state = nlsk->dst_portid || nlsk->dst_group ? 1 : 7;
	}
	r->state = nlsk->state;
	r->is_connected = nlsk->state == 1;
	return 0;
}

/* CRIU's record has no type. */
static int keep_type(struct sk_read *r, struct err *e)
{
	int type = r->type;

	if (type == SOCK_RAW)
		return 0;
	return sk_extra_option(r, SOL_SOCKET, SO_TYPE,
			       (struct span){(const uint8_t *)&type, sizeof(type)}, e);
}

int sk_netlink_read(struct sk_read *r, FileEntry *fe, struct err *e)
{
	NetlinkSkEntry *nlsk = sk_new(NetlinkSkEntry, netlink_sk_entry, e);

	fe->nlsk = nlsk;
	if (!nlsk) {
		nsimg_sk__free_unpacked(r->extra, NULL);
		return -1;
	}
	nlsk->nsimg = r->extra;
	r->extra->has_sk_type = r->type != SOCK_RAW;
	r->extra->sk_type = (uint32_t)r->type;
	nlsk->id = r->s->file_id;
	nlsk->ino = (uint32_t)r->s->ino;
	nlsk->protocol = (uint32_t)r->protocol;
	nlsk->flags = r->flags;
	nlsk->has_ns_id = 1;
	nlsk->ns_id = r->s->netns->id;
	nlsk->fown = sk_fown(r, e);
	nlsk->opts = nlsk->fown ? sk_new(SkOptsEntry, sk_opts_entry, e) : NULL;
	if (!nlsk->opts || read_state(r, nlsk, e) != 0 || read_groups(r, nlsk, e) != 0 ||
	    keep_type(r, e) != 0 || sk_options(r, &nlsk->base, e) != 0)
		return -1;
	return sk_queues(r, e);
}
