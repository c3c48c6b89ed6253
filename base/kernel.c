#include "base/kernel.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/kernel_probes.h"

/* What the whole work stands on comes first; then what single kinds of objects need. */
static const struct kernel_feature features[] = {
	{"network namespaces", "restore", true, "2.6.24", probe_netns, NULL, "nothing is restored"},
	{"pidfd_open", "both", true, "5.3", probe_pidfd_open, NULL,
	 "no descriptors are read, no holder is found again"},
	{"pidfd_getfd", "both", true, "5.6", probe_pidfd_getfd, NULL,
	 "no socket is dumped through its descriptor, exec takes none"},
	{"pidfd_send_signal", "restore", true, "5.1", probe_pidfd_signal, NULL,
	 "holders cannot be ended safely"},
	{"PTRACE_SEIZE", "dump", true, "3.4", probe_ptrace, NULL,
	 "the tree runs on while it is read"},
	{"SIOCGSKNS", "dump", true, "4.10", probe_siocgskns, NULL,
	 "the namespace of a socket stays unknown"},
	{"SO_NETNS_COOKIE", "dump", false, "5.14", probe_netns_cookie, NULL,
	 "every socket costs an nsfs descriptor: slower"},
	{"namespace owner", "dump", true, "4.9", probe_ns_owner, NULL,
	 "the user namespace of a namespace stays unknown"},
	{"kcmp", "dump", false, "3.5", probe_kcmp, NULL,
	 "descriptors that share one open file are found by their socket only"},
	{"close_range", "restore", false, "5.9", probe_close_range, NULL,
	 "holders close descriptors one by one: slower"},
	{"namespace pins", "restore", true, "3.8", probe_ns_pin, NULL,
	 "restored namespaces get no names"},
	{"user namespaces", "both", false, "3.8", probe_userns, NULL,
	 "nested user namespaces are not restored"},
	{"user namespaces unprivileged", "both", false, "3.8", probe_userns_plain, NULL,
	 "only root can restore"},
	{"control groups", "dump", false, NULL, probe_cgroup, NULL, "no --cgroup, no --unit"},
	{"landlock", "inspect", false, "5.13", probe_landlock, NULL,
	 "files are not fenced while hostile images are read"},
	{"seccomp", "inspect", false, "3.17", probe_seccomp, NULL,
	 "system calls are not fenced while hostile images are read"},

	{"netlink extended acks", "restore", false, "4.12", probe_nlopt, "ext_ack",
	 "errors have fewer words"},
	{"netlink strict checking", "dump", false, "4.20", probe_nlopt, "strict",
	 "dumps are filtered here and not in the kernel: slower"},
	{"namespace ids", "both", true, "4.0", probe_nsid, NULL,
	 "devices lose the namespace of their other end"},
	{"links in another namespace", "restore", true, "3.0", probe_move_link, NULL,
	 "no veth pair between namespaces"},
	{"links with a given index", "restore", true, "3.7", probe_link_index, NULL,
	 "interface indexes change"},
	{"alternative names", "both", false, "5.5", probe_altname, NULL,
	 "alternative names are lost"},
	{"IPv6 address generation mode", "both", false, "3.17", probe_addrgen, NULL,
	 "link-local addresses appear that were not there"},
	{"address protocol", "both", false, "5.18", probe_addr_proto, NULL,
	 "who set an address is lost"},
	{"nexthop objects", "both", false, "5.3", probe_nexthop, NULL,
	 "nexthops and their routes are not restored"},
	{"IPv4 rules and tables", "both", false, NULL, probe_rule, "4",
	 "IPv4 policy routing is not restored"},
	{"IPv6 rules and tables", "both", false, NULL, probe_rule, "6",
	 "IPv6 policy routing is not restored"},
	{"multipath routes", "both", false, NULL, probe_multipath, NULL,
	 "routes with several nexthops are not restored"},
	{"bridge VLAN filtering", "both", false, "3.9", probe_bridge_vlan, NULL,
	 "bridges lose their VLANs"},
	{"tun with a given index", "restore", false, NULL, probe_tun_index, NULL,
	 "indexes of tun and tap devices change"},
	{"namespace of a tun file", "dump", false, NULL, probe_tun_netns, NULL,
	 "tun files are matched to devices by name"},

	{"TCP diag", "dump", true, "3.3", probe_diag, "tcp", "peers and queues of TCP are missing"},
	{"UDP diag", "dump", true, "3.3", probe_diag, "udp", "UDP without a descriptor is missing"},
	{"unix diag", "dump", true, "3.3", probe_diag, "unix", "peers of unix sockets are missing"},
	{"raw diag", "dump", false, "4.10", probe_diag, "raw",
	 "raw sockets without a descriptor are missing"},
	{"netlink diag", "dump", false, "3.10", probe_diag, "netlink",
	 "netlink groups above 32 are missing"},
	{"packet diag", "dump", false, "3.7", probe_diag, "packet",
	 "rings and memberships of packet sockets are missing"},
	{"MPTCP diag", "dump", false, NULL, probe_diag, "mptcp",
	 "MPTCP is recorded without details"},
	{"vsock diag", "dump", false, "4.15", probe_diag, "vsock",
	 "vsock is recorded without details"},
	{"XDP diag", "dump", false, "5.1", probe_diag, "xdp", "XDP is recorded without details"},
	{"TCP_REPAIR", "both", false, "3.5", probe_sockopt, "tcp_repair",
	 "established connections can never be restored"},
	{"TCP_MD5SIG", "restore", false, "2.6.20", probe_sockopt, "tcp_md5sig",
	 "TCP MD5 keys are not restored"},
	{"SO_PEEK_OFF", "dump", false, "3.4", probe_sockopt, "so_peek_off",
	 "queued unix datagrams are not recorded"},
	{"SO_REUSEPORT", "restore", false, "3.9", probe_sockopt, "so_reuseport",
	 "reuseport groups are not restored"},
	{"IP_ADD_MEMBERSHIP", "restore", false, NULL, probe_sockopt, "ip_add_membership",
	 "multicast memberships are not restored"},

	{"nftables", "both", false, "3.13", probe_nft, NULL, "nft rulesets are not kept"},
	{"iptables legacy", "both", false, NULL, probe_xtables, "4",
	 "rules of iptables-legacy are not kept"},
	{"ip6tables legacy", "both", false, NULL, probe_xtables, "6",
	 "rules of ip6tables-legacy are not kept"},
	{"conntrack", "both", false, "2.6.14", probe_conntrack, "entries",
	 "connection tracking is not kept"},
	{"conntrack expectations", "both", false, "2.6.14", probe_conntrack, "expectations",
	 "expectations are not kept"},

#define KIND(kind, since)                                                                          \
	{                                                                                          \
		"link " kind, "restore", false, since, probe_link_kind, kind,                      \
			"no " kind " device is restored"                                           \
	}
	{"link veth", "restore", true, "2.6.24", probe_link_kind, "veth",
	 "namespaces cannot be joined"},
	KIND("bridge", NULL),
	KIND("vxlan", "3.7"),
	KIND("macvlan", NULL),
	KIND("macvtap", NULL),
	KIND("ifb", NULL),
	{"link tun", "restore", false, NULL, probe_link_kind, "tun", "no tun or tap is restored"},
	KIND("dummy", NULL),
	KIND("vlan", NULL),
	KIND("ipvlan", "3.19"),
	KIND("ipvtap", NULL),
	KIND("bond", NULL),
	KIND("team", "3.3"),
	KIND("vrf", "4.3"),
	KIND("gre", NULL),
	KIND("gretap", NULL),
	KIND("ip6gre", "3.7"),
	KIND("ip6gretap", "3.7"),
	KIND("erspan", "4.14"),
	KIND("sit", NULL),
	KIND("ipip", NULL),
	KIND("ip6tnl", NULL),
	KIND("vti", NULL),
	KIND("vti6", NULL),
	KIND("geneve", NULL),
	KIND("wireguard", "5.6"),
	KIND("netkit", "6.7"),
	KIND("xfrm", "4.19"),
	KIND("macsec", "4.6"),
	KIND("hsr", "3.13"),
	KIND("bareudp", "5.7"),
	KIND("gtp", "4.7"),
	KIND("nlmon", NULL),
	KIND("vcan", NULL),
	KIND("vxcan", "4.12"),
#undef KIND

#define QDISC(kind)                                                                                \
	{                                                                                          \
		"qdisc " kind, "restore", false, NULL, probe_qdisc, kind,                          \
			"no " kind " qdisc is restored"                                            \
	}
	QDISC("pfifo"),
	QDISC("tbf"),
	QDISC("htb"),
	QDISC("prio"),
	QDISC("fq"),
	QDISC("fq_codel"),
	QDISC("sfq"),
	QDISC("cake"),
	QDISC("netem"),
	QDISC("ingress"),
	QDISC("clsact"),
#undef QDISC
#define FILTER(kind)                                                                               \
	{                                                                                          \
		"filter " kind, "restore", false, NULL, probe_filter, kind,                        \
			"no " kind " filter is restored"                                           \
	}
	FILTER("u32"),
	FILTER("flower"),
	FILTER("matchall"),
	FILTER("basic"),
	FILTER("fw"),
	FILTER("bpf"),
#undef FILTER
};

const struct kernel_feature *kernel_features(size_t *n)
{
	*n = ARRAY_SIZE(features);
	return features;
}

struct kernel_env *kernel_env_new(struct err *e)
{
	auto_kernel_env struct kernel_env *env = calloc(1, sizeof(*env));
	struct err no_veth = ERR_INIT;

	if (!env) {
		err_set(e, ERR_NOMEM, "environment of the probes");
		return NULL;
	}
	env->parent = 1; /* lo, until there is a better one */
	env->ns = ns_new(&env->ns_err);
	if (env->ns)
		env->other = ns_new(&env->ns_err);
	if (env->other)
		env->rtnl = nl_open_in(env->ns, NETLINK_ROUTE, &env->ns_err);
	if (env->rtnl && kernel_env_make_parent(env, &no_veth) && no_veth.code == ERR_NOMEM) {
		*e = no_veth;
		return NULL;
	}
	return take_ptr(env);
}

void kernel_env_free(struct kernel_env *env)
{
	if (!env)
		return;
	nl_free(env->rtnl);
	ns_free(env->other);
	ns_free(env->ns);
	free(env);
}

int kernel_env_need_ns(const struct kernel_env *env, struct err *e)
{
	if (env->rtnl)
		return 0;
	*e = env->ns_err;
	return -1;
}

enum kernel_state kernel_probe(struct kernel_env *env, const struct kernel_feature *f,
			       struct err *why)
{
	if (!f->probe(env, f->arg, why))
		return KERNEL_YES;
	return why->code == ERR_PERM ? KERNEL_DENIED : KERNEL_NO;
}

const char *kernel_state_name(enum kernel_state s)
{
	static const char *const names[] = {
		[KERNEL_YES] = "yes", [KERNEL_NO] = "no", [KERNEL_DENIED] = "not allowed"};

	_Static_assert(ARRAY_SIZE(names) == KERNEL_STATE_COUNT, "a name for each state");
	return names[s];
}
