/* net_scan.h: one namespace being read: what the net_*.c files share. Not for others; they see net.h.
 *
 * Owns:  everything that was read from one namespace, until it is written.
 * Order: net_scan_* run in a thread inside the namespace and fill struct net_scan, several namespaces at the same time:
 *        of struct dump they only read; net_write_* run afterwards, in the main thread, and put it into images.
 * Format: messages are kept as the kernel sent them, one after the other, aligned to 4 (nl_msg_next).
 */
#pragma once

#include <linux/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/nl.h"
#include "dumper/dump.h"
#include "dumper/net_socks.h"
#include "dumper/net_sysctl.h"
#include "proto/img.h"

/* What others need to know about a device. Texts and bytes are lent by struct
 * net_scan.links. */
struct net_dev {
	uint32_t ifindex, flags;
	bool has_master;
	bool has_vlans;          /* a bridge that keeps vlans */
	bool has_vnis;           /* a vxlan device with a table of VNIs */
	struct span address;     /* link-layer; empty: none */
	const char *name, *kind; /* kind: "" for a real device or lo */
};

/* A number under which the namespace knows another one. target NULL: not in this dump. */
struct net_nsid {
	int32_t nsid;
	struct dump_netns *target;
};

enum net_family { NET_V4, NET_V6, NET_FAMILY_COUNT };

struct net_scan {
	struct dump *d;
	struct dump_netns *n;
	char label[192];         /* "netns 9 (/run/netns/blue)" */
	struct net_socks *socks; /* inside the namespace, lent while it is read */
	struct nl *rt;           /* of these */
	struct buf req;          /* the request being made */

	struct buf links, addrs, rules;
	struct buf routes[NET_FAMILY_COUNT]; /* table main, as ip(8) route save keeps it */
	struct buf other;                    /* for nsimg-rtnl */
	struct net_dev *devs;
	size_t n_devs, cap_devs;
	struct net_nsid *nsids;
	size_t n_nsids;

	struct sysctls sysctls;

	struct buf ct, expect;
	bool has_nft;                          /* tables of nftables are there */
	struct buf nft;                        /* text */
	struct buf iptables[NET_FAMILY_COUNT]; /* text */
	bool has_legacy[NET_FAMILY_COUNT];     /* tables of iptables-legacy are there */
	uint32_t compat[NET_FAMILY_COUNT];     /* tables with rules of iptables-nft, a bit each */

	struct dump_loss *losses; /* net_lose; d's when all is read */
	size_t n_losses;
	bool is_read;
	struct err why; /* it is not, if is_read is false */
};

/* What is learnt once per dump (struct dump.net). */
struct net_cache {
	struct sysctl_schema *sysctls; /* of a namespace nobody touched */
	struct buf addrlabels;         /* RTM_NEWADDRLABEL messages of it */
	uint16_t mptcp_family;         /* 0: a kernel without MPTCP */
	uint16_t seg6_family, ioam6_family, ethtool_family;
	struct net_features
		*features; /* of new devices; NULL: a kernel without ethtool by netlink */
	uint32_t
		action_kinds; /* of traffic control, which the kernel has: a bit each (net_action.c) */
	uint64_t bpf_types; /* of eBPF programs that are loaded on this machine, a bit each */
	struct buf mptcp_limits;
};

/* The cache of d, made on first use; lent. NULL on failure. */
struct net_cache *net_cache_get(struct dump *d, struct err *e);

/* A dump request with this family header, whose answers of that family (the first byte after nlmsghdr;
 * AF_UNSPEC: any) are appended to out. The kernel answers with all families when it has no dump for the
 * one that was asked for (rtnl_dump_all), hence the check. */
int net_scan_dump(struct net_scan *s, uint16_t type, const void *hdr, size_t hdr_len,
		  struct buf *out, const char *what, struct err *e);

/* As dump_lose, which is for the main thread alone. */
int net_lose(struct net_scan *s, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The request in s->req, made here in place of a message of the kernel, is one of s->other. */
int net_req_keep(struct net_scan *s, struct err *e);

/* Append one message. */
int net_msg_add(struct buf *out, const struct nlmsghdr *h, struct err *e);

/* Fill devs from links. */
int net_devs_read(struct net_scan *s, struct err *e);

const struct net_dev *net_dev_find(const struct net_scan *s, uint32_t ifindex);

/* Each reads one kind of state; 0 or -1. */
int net_scan_links(struct net_scan *s, struct err *e);
int net_scan_nsids(struct net_scan *s, struct err *e);
/* Those that are not resolved, with the namespaces of the dump from the one with index first on. */
int net_nsids_resolve(struct net_scan *s, size_t first, struct err *e);
int net_scan_addrs(struct net_scan *s, struct err *e);
int net_scan_nexthops(struct net_scan *s, struct err *e);
int net_scan_routes(struct net_scan *s, struct err *e);
int net_scan_rules(struct net_scan *s, struct err *e);
int net_scan_addrlabels(struct net_scan *s, struct err *e);
int net_scan_neighbours(struct net_scan *s, struct err *e);
int net_scan_bridges(struct net_scan *s, struct err *e);
int net_scan_tc(struct net_scan *s, struct err *e);
int net_scan_actions(struct net_scan *s, struct err *e);
int net_scan_firewall(struct net_scan *s, struct err *e);
int net_scan_conntrack(struct net_scan *s, struct err *e);
int net_scan_mptcp(struct net_scan *s, struct err *e);
int net_scan_features(struct net_scan *s, struct err *e);
int net_scan_maddresses(struct net_scan *s, struct err *e);

/* Look for what is not kept, and note it. */
int net_scan_mroutes(struct net_scan *s, struct err *e);
int net_scan_xfrm(struct net_scan *s, struct err *e);
int net_scan_arptables(struct net_scan *s, struct err *e);
int net_scan_recent(struct net_scan *s, struct err *e);
int net_scan_bindings(struct net_scan *s, struct err *e);
int net_scan_genl(struct net_scan *s, struct err *e);
int net_scan_bpf(struct net_scan *s, struct err *e);

/* The texts of nftables and iptables, for one namespace at a time: libnftables has tables of the process, and iptables
 * is a child process. */
int net_scan_nft(struct net_scan *s, struct err *e);
int net_scan_iptables(struct net_scan *s, struct err *e);

/* Address labels of the calling thread's namespace. */
int net_addrlabels_read(struct nl *nl, struct buf *out, struct err *e);

/* Which types of eBPF programs are loaded; 0 where that may not be asked (CAP_SYS_ADMIN of the first user namespace). */
uint64_t net_bpf_types(void);

/* What new devices have, learnt by making some in the calling thread's namespace, which nobody else uses. Owned, or NULL. */
struct net_features *net_features_learn(struct nl *rt, struct nl *genl, uint16_t family);
void net_features_free(struct net_features *f);

/* Which kinds of actions the kernel has, asked in the calling thread's namespace. */
uint32_t net_action_kinds(struct nl *nl);

/* The limits of the calling thread's namespace, as they are kept. */
int net_mptcp_limits_read(struct nl *nl, uint16_t family, struct buf *out, struct err *e);

/* Every image of the namespace; and the only one of a namespace that is not dumped. */
int net_write_all(struct net_scan *s, struct err *e);
int net_write_external(struct dump *d, const struct dump_netns *n, struct err *e);

/* Parts of it. */
int net_write_devices(struct net_scan *s, struct img_writer *w, struct err *e);
