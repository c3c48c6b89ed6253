/* build_net.h: what the files that build the network part share. Only for build_net*.c. */
#pragma once

#include "restorer/build.h"
#include "restorer/gateway.h"
#include "restorer/steps_net.h"

/* IF_OPER_* of the kernel's linux/if.h */
#define OPERSTATE_UNKNOWN    0
#define OPERSTATE_DOWN       2
#define OPERSTATE_LOWER_DOWN 3
#define OPERSTATE_UP         6

/* How devices of a kind are made. */
enum how { HOW_REPLAY, HOW_PAIR, HOW_TUN, HOW_THERE };

/* A device of the image, with the steps it has got so far. */
struct dev {
	int64_t id, netns;
	int ifindex, link, master;
	int64_t peer_netns; /* netns.id, 0: none known */
	bool has_netnsid;
	uint32_t flags;
	int operstate;
	char *name, *kind, *alias, *altnames;
	const struct restore_netns *ns;
	struct buf record; /* the (edited) RTM_NEWLINK message */
	struct step *made, *set, *up, *up_once;
	struct step *master_step; /* makes it a port of its master */
	struct step *mtu;         /* gives it its MTU after first_mtu */
	uint32_t first_mtu;       /* with which it is made; 0: with its own */
	bool paired;              /* its pair has been planned from the other end */
	bool outside;             /* its other end, or the device below it, is not in the image */
};

struct net {
	struct plan *p;
	struct restore *r;
	struct dev *devs; /* by netns, ifindex */
	size_t n_devs;
	bool has_edits;      /* of addresses or devices */
	struct reach *reach; /* of namespace row reach_netns; NULL: not asked yet */
	int64_t reach_netns;
	uint32_t usual_queues; /* of a veth device; 0: not asked yet */
};

/* Read the devices, before anything is built of them or asks what a namespace has. */
int net_load_devs(struct net *n, struct err *e);

/* The device, or NULL. */
struct dev *net_dev(const struct net *n, int64_t netns, int ifindex);

enum how net_how_of(const struct dev *d);

/* A step about a device; more is appended to the name of its object. Its data is a struct link_data. */
struct step *net_dev_step(struct net *n, const struct dev *d, const char *kind, const char *more,
			  struct err *e);

/* The other end of a pair, and the device that one is made over: NULL when it is not in the image. */
struct dev *net_find_peer(const struct net *n, const struct dev *d);
struct dev *net_find_lower(const struct net *n, const struct dev *d);

/* Is it a tunnel that was made in another namespace of the image and sends there? */
bool net_sends_elsewhere(const struct net *n, const struct dev *d);

/* Passes over all devices (build_up.c): set up, or once up; the IPv6 token; what names other devices, and what takes the carrier. */
int net_up(struct net *n, struct dev *d, struct err *e);
int net_token(struct net *n, struct dev *d, struct err *e);
int net_late(struct net *n, struct dev *d, struct err *e);

/* Bridges (build_bridge.c). The next port of one, or of another master, after a device; NULL at first and at the end. */
struct dev *net_next_port(const struct net *n, const struct dev *master, struct dev *after);
/* Is the address of a bridge the least of those of its ports, which goes with them until somebody sets it? 1, 0 or -1. */
int net_follows_ports(struct net *n, const struct dev *d, struct err *e);
/* A pass over all devices: ports that are off. */
int net_port_state(struct net *n, struct dev *d, struct err *e);
int net_name_lost_carrier(struct net *n, const struct dev *d, struct err *e);

/* Passes over all devices (build_lower.c): made after the one below; the MTU that it needs of that; up after it. */
int net_raise_mtu(struct net *n, struct dev *d, struct err *e);
int net_need_lower(struct net *n, struct dev *d, struct err *e);
int net_need_ports(struct net *n, struct dev *d, struct err *e);
int net_lower_mtu(struct net *n, struct dev *d, struct err *e);
int net_need_lower_up(struct net *n, struct dev *d, struct err *e);

/* The bytes of a row, edits applied, into an emptied buf; and what makes it again. */
int net_record(const struct net *n, const char *table, int64_t id, struct buf *out, struct err *e);
int net_filter(struct span msg, int purpose, struct buf *out, struct err *e);

/* For rta_print: names of devices in a namespace. arg is a struct net_namer. */
struct net_namer {
	const struct net *n;
	int64_t netns;
};
const char *net_name_of(int ifindex, void *arg);

/* Does the kernel take the route or next hop object of the step as it is? Else the step becomes one of the kind
 * "...-helped", or "...-early" with other milestones (gateway.h). */
int net_help(struct net *n, struct step *s, enum milestone *after, enum milestone *before,
	     struct err *e);

/* One row as one step, which run_message or the like sends. */
struct row_step {
	const char *table, *kind;
	int64_t id, netns;
	enum milestone after, before;
	int64_t num; /* of the step */
};

/* Build the step of a row; its record, unfiltered, is left in record when that is not NULL. */
struct step *net_row_step(struct net *n, const struct row_step *row, struct buf *record,
			  struct err *e);

/* The restore leaves the row out, and says why. */
int net_leave_row(struct net *n, int64_t netns, const char *table, int64_t id, const char *reason,
		  struct err *e);

/* A query with :image bound; an owned query or NULL. */
struct query *net_query(const struct net *n, const char *sql, struct err *e);

/* Which --veth is meant for a device (NETNS/IN before IN), or NULL; lent. */
const struct opt_veth *net_find_veth(const struct net *n, const struct dev *d);

/* Step s of d needs what --veth gives (what: "peer", "lower device"): a requirement of the plan. */
int net_put_outside(struct net *n, struct dev *d, struct step *s, const char *what, struct err *e);
int net_need_outer_end(struct net *n, struct dev *d, struct err *e);

/* After all devices: each --veth must be of use (ERR_USAGE: a typo would otherwise do nothing). */
int net_check_veths(const struct net *n, struct err *e);

int build_namespaces(struct net *n, struct err *e);
int build_links(struct net *n, struct err *e);
int build_addresses(struct net *n, struct err *e);
int build_routes(struct net *n, struct err *e);
int build_neighbours(struct net *n, struct err *e);
int build_tc(struct net *n, struct err *e);
int build_sysctls(struct net *n, struct err *e);
int build_firewall(struct net *n, struct err *e);
int build_conntrack(struct net *n, struct err *e);
