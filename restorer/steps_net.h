/* steps_net.h: what the files of the network steps share. Only for steps_net*.c, build_net*.c, settle.c.
 *
 * Rule: a message that is sent is step->msg, made at planning time from the (edited) record; run only adds
 *       what cannot be known before: descriptors of namespaces.
 */
#pragma once

#include <linux/netlink.h>

#include "restorer/build.h"
#include "restorer/restore.h"
#include "restorer/steps.h"
#include "restorer/userns.h"

/* data of a "userns" step. */
struct userns_data {
	int64_t parent; /* userns.ns_id, -1: the restorer's own */
	struct id_range *uids, *gids;
	size_t n_uids, n_gids;
	uint32_t owner_uid;
	char *setgroups;
	struct step *parent_step; /* for its maps; NULL: none */
};
void userns_data_free(void *data);

/* data of the steps of a device. */
struct link_data {
	int ifindex;
	uint32_t flags;     /* IFF_* as dumped */
	char *name, *alias; /* alias NULL: none */
	char **altnames;    /* ended by NULL */
	char *kind;
	bool compare; /* no row for its kind: look at the result */
	/* what address generation waits for before it is switched on: the carrier that it had; that it has none */
	enum { WAIT_NOT, WAIT_UP, WAIT_DOWN } wait;
	uint8_t gen_mode; /* IN6_ADDR_GEN_MODE_* */
	/* tun, from an image of CRIU, whose record is not a netlink message: TUNSETIFF flags (0: see the
	 * message), owner and group (-1: none) */
	int64_t tun_flags, tun_owner, tun_group, tun_vnethdr;
	int operstate; /* -1: the image does not tell (CRIU's) */
	char *peer_ns; /* veth: name of the namespace of the other end; NULL: outside. With lower: of that */
	char *lower; /* the device that it is made over, NULL: none in the image */
	/* a veth end outside */
	char *out, *bridge; /* NULL: not outside */
	bool out_is_made;   /* by another step, before this one */
	int64_t out_netns;  /* row of a mapped namespace; 0: the restorer's own */
};
void link_data_free(void *data);

/* The data of the sysctl steps of a namespace is its struct sysctl_list, and step->num which of them it is (enum
 * sysctl_when): at the late one everything but what comes last is looked at once more. */

/* In /proc/sys of the namespace that the thread is in. 1: it reads so already, 0: not, -1: no such sysctl here. */
int sysctl_reads(int dir, const struct sysctl_item *item);

/* data of a "settle" step: canonical keys of what the image has. */
struct settle_data {
	uint16_t type; /* RTM_NEWROUTE, ... */
	uint8_t family;
	bool edited;   /* addresses are not those that the kernel's routes in the image are of */
	bool complete; /* made by nsimg: it lists what the kernel makes too */
	bool keep;     /* the image does not say: remove nothing */
	bool has_temporary; /* it has a temporary address: the kernel makes others (RFC 8981) */
	bool is_pending;    /* it has an address of IPv6 whose routes were still to come */
	struct buf keys;    /* key blocks: u32 length, bytes; see settle.c */
	struct buf msgs;    /* the messages themselves, one after the other */
};
void settle_data_free(void *data);

/* Append the key of a message: header without volatile flags and attributes without volatile ones, sorted
 * by number. Two messages with the same key are the same object. */
int settle_key(const struct nlmsghdr *h, struct buf *out, struct err *e);

/* RTM_GETLINK by index into reply, without statistics; set a device up or down. */
int link_get(struct nl *nl, int ifindex, struct buf *reply, struct err *e);
int link_set_up(struct restore *r, int64_t netns, int ifindex, bool up, struct err *e);

/* Set a device down that was up for a moment, when the link watch has seen it: a device that goes down before keeps the
 * link-layer address of the group of all nodes, which it does not have otherwise then (seen on Linux 6.18). */
int link_down_again(struct restore *r, int64_t netns, int ifindex, struct err *e);

/* Take away what a dump showed; 0 also when it is gone already. nl NULL is a failure that e tells. */
int settle_remove(struct nl *nl, const struct nlmsghdr *h, struct err *e);

/* Routes of one prefix and metric come into the order that they have in the data of the step. now: all routes of the
 * family, as the kernel dumps them. */
int settle_order(struct restore *r, const struct step *s, struct span now, struct err *e);

/* dumped tells what it is, msg makes it again. */
int settle_add(struct settle_data *d, struct span dumped, struct span msg, struct err *e);

int check_userns(const struct restore *r, const struct step *s, struct buf *reasons, struct err *e);
int run_userns(struct restore *r, struct step *s, struct err *e);
int run_netns(struct restore *r, struct step *s, struct err *e);
int finish_netns(struct restore *r, struct step *s, struct err *e);
int run_open(struct restore *r, struct step *s, struct err *e);
int run_nsid(struct restore *r, struct step *s, struct err *e);
int run_link(struct restore *r, struct step *s, struct err *e);
int run_veth(struct restore *r, struct step *s, struct err *e);
int run_link_out(struct restore *r, struct step *s, struct err *e);
int run_veth_out(struct restore *r, struct step *s, struct err *e);
int run_tun(struct restore *r, struct step *s, struct err *e);
int run_link_set(struct restore *r, struct step *s, struct err *e);
int run_master(struct restore *r, struct step *s, struct err *e);
int run_up(struct restore *r, struct step *s, struct err *e);
int run_up_once(struct restore *r, struct step *s, struct err *e);
int run_addrgen(struct restore *r, struct step *s, struct err *e);
int run_port_state(struct restore *r, struct step *s, struct err *e);
int run_token(struct restore *r, struct step *s, struct err *e);
int run_message(struct restore *r, struct step *s, struct err *e);
int check_rule(const struct restore *r, const struct step *s, struct buf *reasons, struct err *e);
int run_route(struct restore *r, struct step *s, struct err *e);
int run_route_early(struct restore *r, struct step *s, struct err *e);
int run_maddress(struct restore *r, struct step *s, struct err *e);
int run_xfrm_policy(struct restore *r, struct step *s, struct err *e);
int run_genl(struct restore *r, struct step *s, struct err *e);
int run_address(struct restore *r, struct step *s, struct err *e);
int run_sysctl(struct restore *r, struct step *s, struct err *e);
int run_nft(struct restore *r, struct step *s, struct err *e);
/* Is it a ruleset that nft can read, and nothing else? Nothing is changed. ERR_FORMAT: why not. */
int nft_text_check(const struct ns *ns, const char *text, struct err *e);
int nft_apply(const struct ns *ns, const char *text, struct err *e); /* text that is ours */
int run_iptables(struct restore *r, struct step *s, struct err *e);
int run_conntrack(struct restore *r, struct step *s, struct err *e);
int run_settle(struct restore *r, struct step *s, struct err *e);

/* For the check before the plan runs: is what an outer step needs there, and the name it makes free; is the program of a
 * ruleset installed? */
int check_out(struct restore *r, const struct step *s, struct err *e);
bool has_iptables(int num);

/* step->num of an iptables step: which program takes the text. */
#define IPTABLES_V6  1
#define IPTABLES_NFT 2
const char *iptables_program(int num);

int probe_veth_out(const struct journal_entry *je, bool *there, struct err *e);

/* step->num of an address: its flags, and that it comes with its device: it is looked for in the end, as all are. (Sent
 * all the same, ::1 would get a route that has to go again.) */
#define ADDRESS_COMES  (INT64_C(1) << 32)

/* step->num of the kinds that run_message runs: nlmsg_flags, and what may go wrong. */
#define MSG_EXISTS_OK  0x10000 /* the kernel may have made it itself */
#define MSG_GONE_OK    0x40000 /* it is to go, and may not be there */
#define MSG_SUPPORT_OK 0x20000 /* this kernel may not have it: a note, not an error */

/* Send a copy of msg with nlmsg_flags in the namespace of netns row. */
int send_message(struct restore *r, int64_t netns, struct span msg, uint16_t flags,
		 const char *what, struct err *e);

/* Of a step whose message was sent with the result rc: what may go wrong is no failure. */
int message_sent(struct restore *r, const struct step *s, int rc, struct err *e);

/* send_message of a route or next hop object: with helpers to its gateways (gateway.h) when it is known to need them
 * (helped), or when the kernel does not take it without. */
int send_route(struct restore *r, int64_t netns, struct span msg, uint16_t flags, bool helped,
	       struct err *e);

/* step->data of the kinds "route-helped" and "nexthop-helped": the helpers as words of ip(8), a line each that begins
 * with the digit of the family (4 or 6). */

int print_ip_maddress(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		      struct err *e);
int print_ip_mptcp(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		   struct err *e);
int print_ip_token(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		   struct err *e);
int print_ip_settle(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		    struct err *e);
int print_ip_addrgen(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		     struct err *e);
int print_ip_set(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		 struct err *e);
int print_ip_link(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		  struct err *e);
int print_ip_veth(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		  struct err *e);
int print_ip_netns(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		   struct err *e);
int print_ip_message(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		     struct err *e);
int print_ip_up(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		struct err *e);
int print_ip_up_once(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		     struct err *e);
int print_ip_master(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		    struct err *e);
int print_ip_sysctl(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		    struct err *e);
int print_ip_nsid(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		  struct err *e);
