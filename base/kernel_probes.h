/* kernel_probes.h: the probes behind the rows of base/kernel.c. Nobody else includes it.
 *
 * Owns:  nothing; what a probe makes it removes, or it ends with the namespaces of the environment.
 */
#pragma once

#include "base/kernel.h"
#include "base/nl.h"
#include "base/ns.h"

struct kernel_env {
	struct ns *ns, *other; /* both NULL when namespaces are refused, */
	struct err ns_err;     /* for this reason */
	struct nl *rtnl;       /* in ns */
	int parent;            /* index of a device in ns that others can be made on */
};

/* processes, namespaces, files: kernel_proc.c */
kernel_probe_fn probe_pidfd_open, probe_pidfd_getfd, probe_pidfd_signal, probe_ptrace, probe_kcmp,
	probe_close_range, probe_ns_owner, probe_netns, probe_userns, probe_userns_plain,
	probe_ns_pin, probe_landlock, probe_seccomp, probe_cgroup;

/* sockets: kernel_sock.c */
kernel_probe_fn probe_siocgskns, probe_netns_cookie, probe_diag, probe_sockopt, probe_tun_index,
	probe_tun_netns, probe_xtables;

/* rtnetlink and nfnetlink in the private namespaces: kernel_net.c */
kernel_probe_fn probe_nlopt, probe_nsid, probe_move_link, probe_link_index, probe_altname,
	probe_nexthop, probe_addr_proto, probe_rule, probe_multipath, probe_addrgen,
	probe_link_kind, probe_bridge_vlan, probe_qdisc, probe_filter, probe_nft, probe_conntrack;

/* The namespace to try things in: 0, or -1 with the reason why there is none. */
int kernel_env_need_ns(const struct kernel_env *env, struct err *e);

/* Make a veth pair whose one end is called probe0 and becomes env->parent, when veth is there. */
int kernel_env_make_parent(struct kernel_env *env, struct err *e);
