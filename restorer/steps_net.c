/* The table of the network steps, and the steps that make namespaces. */
#include "restorer/steps_net.h"

#include <errno.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "restorer/ifindex.h"

#define NET_ADMIN (UINT64_C(1) << CAP_NET_ADMIN)
#define SYS_ADMIN (UINT64_C(1) << CAP_SYS_ADMIN)
#define SET_IDS   (UINT64_C(1) << CAP_SETUID | UINT64_C(1) << CAP_SETGID)

const struct step_kind step_kinds_net[] = {
	{.name = "userns",
	 .stage = STAGE_USERNS,
	 .caps = SYS_ADMIN | SET_IDS,
	 .run = run_userns,
	 .check = check_userns},
	{.name = "netns",
	 .stage = STAGE_NETNS,
	 .caps = SYS_ADMIN,
	 .run = run_netns,
	 .finish = finish_netns,
	 .finish_late = true,
	 .print_ip = print_ip_netns},
	{.name = "open", .stage = STAGE_NETNS, .caps = SYS_ADMIN, .run = run_open},
	{.name = "nsid",
	 .stage = STAGE_NSID,
	 .caps = NET_ADMIN,
	 .run = run_nsid,
	 .print_ip = print_ip_nsid},
	{.name = "link",
	 .stage = STAGE_LINK,
	 .caps = NET_ADMIN,
	 .run = run_link,
	 .print_ip = print_ip_link},
	{.name = "veth",
	 .stage = STAGE_LINK,
	 .caps = NET_ADMIN,
	 .run = run_veth,
	 .print_ip = print_ip_veth},
	/* The outer end goes away with the inner one, but the namespace is torn down by a kernel thread:
	 * the probe lets rollback wait for it. */
	{.name = "veth-out",
	 .stage = STAGE_LINK,
	 .caps = NET_ADMIN,
	 .run = run_veth_out,
	 .probe = probe_veth_out,
	 .print_ip = print_ip_veth},
	{.name = "link-out",
	 .stage = STAGE_LINK,
	 .caps = NET_ADMIN,
	 .run = run_link_out,
	 .print_ip = print_ip_link},
	{.name = "tun",
	 .stage = STAGE_LINK,
	 .caps = NET_ADMIN,
	 .run = run_tun,
	 .print_ip = print_ip_link},
	{.name = "set",
	 .stage = STAGE_LINK_SET,
	 .caps = NET_ADMIN,
	 .run = run_link_set,
	 .print_ip = print_ip_set},
	{.name = "master",
	 .stage = STAGE_MASTER,
	 .caps = NET_ADMIN,
	 .run = run_master,
	 .print_ip = print_ip_master},
	{.name = "sysctl",
	 .stage = STAGE_SYSCTL,
	 .caps = NET_ADMIN,
	 .run = run_sysctl,
	 .print_ip = print_ip_sysctl},
	/* before all that stay up, so that no peer sees a carrier */
	{.name = "up-once",
	 .stage = STAGE_UP_ONCE,
	 .caps = NET_ADMIN,
	 .run = run_up_once,
	 .print_ip = print_ip_up_once},
	{.name = "up",
	 .stage = STAGE_UP,
	 .caps = NET_ADMIN,
	 .run = run_up,
	 .print_ip = print_ip_up},
	{.name = "address",
	 .stage = STAGE_ADDRESS,
	 .caps = NET_ADMIN,
	 .run = run_address,
	 .print_ip = print_ip_message},
	{.name = "late", .stage = STAGE_BRIDGE, .caps = NET_ADMIN, .run = run_message},
	/* while there are no addresses: gateway.h */
	{.name = "nexthop-early",
	 .stage = STAGE_UP,
	 .caps = NET_ADMIN,
	 .run = run_route_early,
	 .print_ip = print_ip_message},
	{.name = "route-early",
	 .stage = STAGE_UP,
	 .caps = NET_ADMIN,
	 .run = run_route_early,
	 .print_ip = print_ip_message},
	{.name = "settle-address", .stage = STAGE_ADDRESS, .caps = NET_ADMIN, .run = run_settle},
	{.name = "neighbour",
	 .stage = STAGE_NEIGHBOUR,
	 .caps = NET_ADMIN,
	 .run = run_message,
	 .print_ip = print_ip_message},
	{.name = "nexthop",
	 .stage = STAGE_NEXTHOP,
	 .caps = NET_ADMIN,
	 .run = run_route,
	 .print_ip = print_ip_message},
	{.name = "nexthop-helped",
	 .stage = STAGE_NEXTHOP,
	 .caps = NET_ADMIN,
	 .run = run_route,
	 .print_ip = print_ip_message},
	{.name = "route-direct",
	 .stage = STAGE_ROUTE_DIRECT,
	 .caps = NET_ADMIN,
	 .run = run_route,
	 .print_ip = print_ip_message},
	{.name = "route",
	 .stage = STAGE_ROUTE,
	 .caps = NET_ADMIN,
	 .run = run_route,
	 .print_ip = print_ip_message},
	{.name = "route-helped",
	 .stage = STAGE_ROUTE,
	 .caps = NET_ADMIN,
	 .run = run_route,
	 .print_ip = print_ip_message},
	{.name = "rule",
	 .stage = STAGE_RULE,
	 .caps = NET_ADMIN,
	 .run = run_message,
	 .check = check_rule,
	 .print_ip = print_ip_message},
	{.name = "fdb",
	 .stage = STAGE_BRIDGE,
	 .caps = NET_ADMIN,
	 .run = run_message,
	 .print_ip = print_ip_message},
	/* before what is in the fdb of one */
	{.name = "vni", .stage = STAGE_NEIGHBOUR, .caps = NET_ADMIN, .run = run_message},
	{.name = "mdb", .stage = STAGE_BRIDGE, .caps = NET_ADMIN, .run = run_message},
	{.name = "addrlabel_gone", .stage = STAGE_ROUTE, .caps = NET_ADMIN, .run = run_message},
	{.name = "addrlabel", .stage = STAGE_RULE, .caps = NET_ADMIN, .run = run_message},
	{.name = "maddress",
	 .stage = STAGE_BRIDGE,
	 .caps = NET_ADMIN,
	 .run = run_maddress,
	 .print_ip = print_ip_maddress},
	{.name = "mptcp_limits",
	 .stage = STAGE_RULE,
	 .caps = NET_ADMIN,
	 .run = run_genl,
	 .print_ip = print_ip_mptcp},
	{.name = "mptcp_endpoint",
	 .stage = STAGE_RULE,
	 .caps = NET_ADMIN,
	 .run = run_genl,
	 .print_ip = print_ip_mptcp},
	{.name = "features", .stage = STAGE_BRIDGE, .caps = NET_ADMIN, .run = run_genl},
	{.name = "xfrm_policy", .stage = STAGE_RULE, .caps = NET_ADMIN, .run = run_xfrm_policy},
	{.name = "vlan", .stage = STAGE_BRIDGE, .caps = NET_ADMIN, .run = run_message},
	{.name = "tc",
	 .stage = STAGE_TC,
	 .caps = NET_ADMIN,
	 .run = run_message,
	 .print_ip = print_ip_message},
	{.name = "nft", .stage = STAGE_FIREWALL, .caps = NET_ADMIN, .run = run_nft},
	{.name = "iptables",
	 .stage = STAGE_FIREWALL,
	 .caps = NET_ADMIN | UINT64_C(1) << CAP_NET_RAW,
	 .run = run_iptables},
	{.name = "conntrack", .stage = STAGE_CONNTRACK, .caps = NET_ADMIN, .run = run_conntrack},
	{.name = "sysctl-late",
	 .stage = STAGE_SETTLE,
	 .caps = NET_ADMIN,
	 .run = run_sysctl,
	 .print_ip = print_ip_sysctl},
	{.name = "sysctl-last",
	 .stage = STAGE_SHARE,
	 .caps = NET_ADMIN,
	 .run = run_sysctl,
	 .print_ip = print_ip_sysctl},
	{.name = "port-state", .stage = STAGE_CARRIER, .caps = NET_ADMIN, .run = run_port_state},
	{.name = "addrgen",
	 .stage = STAGE_CARRIER,
	 .caps = NET_ADMIN,
	 .run = run_addrgen,
	 .print_ip = print_ip_addrgen},
	{.name = "token",
	 .stage = STAGE_CARRIER,
	 .caps = NET_ADMIN,
	 .run = run_token,
	 .print_ip = print_ip_token},
	{.name = "settle",
	 .stage = STAGE_SETTLE,
	 .caps = NET_ADMIN,
	 .run = run_settle,
	 .print_ip = print_ip_settle},
	{.name = NULL},
};

void userns_data_free(void *data)
{
	struct userns_data *d = data;

	free(d->uids);
	free(d->gids);
	free(d->setgroups);
	free(d);
}

static struct userns_spec userns_spec_of(const struct restore *r, const struct step *s)
{
	const struct userns_data *d = s->data;
	const struct userns_data *parent = d->parent_step ? d->parent_step->data : NULL;
	struct restore_userns *up = parent ? restore_userns_find(r, d->parent) : NULL;
	struct userns_spec spec = {
		.is_nested = up,
		.parent_fd = up ? up->fd : -1,
		.uids = d->uids,
		.gids = d->gids,
		.n_uids = d->n_uids,
		.n_gids = d->n_gids,
		.owner_uid = d->owner_uid,
		.setgroups = d->setgroups,
	};

	if (parent) {
		spec.parent_uids = parent->uids;
		spec.parent_gids = parent->gids;
		spec.n_parent_uids = parent->n_uids;
		spec.n_parent_gids = parent->n_gids;
	}
	return spec;
}

int check_userns(const struct restore *r, const struct step *s, struct buf *reasons, struct err *e)
{
	struct userns_spec spec = userns_spec_of(r, s);
	struct err why = ERR_INIT;

	return userns_check(&spec, &why) ? buf_printf(reasons, e, "%s: %s\n", s->object, why.msg)
					 : 0;
}

int run_userns(struct restore *r, struct step *s, struct err *e)
{
	struct userns_spec spec = userns_spec_of(r, s);
	struct restore_userns *u = restore_userns_find(r, s->row);

	u->fd = userns_new(&spec, e);
	return u->fd < 0 ? -1 : 0;
}

int run_netns(struct restore *r, struct step *s, struct err *e)
{
	struct restore_netns *n = restore_netns_find(r, s->row);

	if (restore_makes_early(r, n))
		return 0;
	n->made = ns_new_owned(restore_userns_find(r, n->owner)->fd, e);
	return n->made ? 0 : -1;
}

int finish_netns(struct restore *r, struct step *s, struct err *e)
{
	struct restore_netns *n = restore_netns_find(r, s->row);

	if (ns_worker_wait_new(r->maker, n->made, e))
		return -1;
	n->ns = take_ptr(n->made);
	ns_use_worker(n->ns, r->worker);
	return ifindex_remember(r, n->row, e) ||
			       journal_netns_add(r->journal, n->row, n->name, n->ns, "", e)
		       ? -1
		       : 0;
}

int run_open(struct restore *r, struct step *s, struct err *e)
{
	return restore_outside(r, s->row, e) ? 0 : -1;
}

/* Ask which id a namespace has for another: the kernel may have given one already. */
static int nsid_get(struct nl *nl, int fd, int32_t *id, struct err *e)
{
	struct rtgenmsg g = {.rtgen_family = AF_UNSPEC};
	auto_buf struct buf req = {0};
	auto_buf struct buf reply = {0};
	const struct nlattr *a;

	if (nl_msg_begin(&req, RTM_GETNSID, 0, &g, sizeof(g), e) ||
	    nl_put_u32(&req, NETNSA_FD, fd, e) || nl_get(nl, &req, &reply, "namespace id", e))
		return -1;
	a = nl_attr_find(nl_attrs((const struct nlmsghdr *)reply.data, sizeof(g)), NETNSA_NSID);
	*id = a ? (int32_t)nl_attr_u32(a) : -1;
	return 0;
}

/* Set first and asked only when it is refused: each question makes the kernel walk all ids of the namespace
 * (__peernet2id() in net/core/net_namespace.c). */
int run_nsid(struct restore *r, struct step *s, struct err *e)
{
	struct rtgenmsg g = {.rtgen_family = AF_UNSPEC};
	struct nl *nl = restore_rtnl(r, s->netns, e);
	struct ns *target = restore_ns(r, s->row2, e);
	auto_buf struct buf req = {0};
	struct err ignored = ERR_INIT;
	int32_t has = -1;

	if (!nl || !target ||
	    nl_msg_begin(&req, RTM_NEWNSID, NLM_F_CREATE | NLM_F_EXCL, &g, sizeof(g), e) ||
	    nl_put_u32(&req, NETNSA_NSID, s->num, e) ||
	    nl_put_u32(&req, NETNSA_FD, ns_fd(target), e))
		return -1;
	if (!nl_do(nl, &req, "set namespace id", e))
		return 0;
	if (e->saved_errno != EEXIST || nsid_get(nl, ns_fd(target), &has, &ignored) || has < 0)
		return -1;
	*e = (struct err)ERR_INIT;
	return has == s->num ? 0 : err_set(e, ERR_EXISTS, "it has id %d already", has);
}
