/* Steps of devices: create, settings, master, up. */
#include "restorer/steps_net.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proto/rta.h"

/* What __dev_change_flags() of net/core/dev.c takes from user space, without IFF_UP. */
#define SET_FLAGS                                                                                  \
	(IFF_DEBUG | IFF_NOTRAILERS | IFF_NOARP | IFF_DYNAMIC | IFF_MULTICAST | IFF_PORTSEL |      \
	 IFF_AUTOMEDIA | IFF_PROMISC | IFF_ALLMULTI)

#define OPERSTATE_WAIT_MS 2000
#define OPERSTATE_POLL_MS 5
#define WATCH_WAIT_MS     100
#define WATCH_POLL_MS     1
#define OPERSTATE_UP      6 /* IF_OPER_UP of linux/if.h */

void link_data_free(void *data)
{
	struct link_data *d = data;

	if (!d)
		return;
	for (char **a = d->altnames; a && *a; a++)
		free(*a);
	free(d->altnames);
	free(d->name);
	free(d->alias);
	free(d->kind);
	free(d->peer_ns);
	free(d->lower);
	free(d->out);
	free(d->bridge);
	free(d);
}

int send_message(struct restore *r, int64_t netns, struct span msg, uint16_t flags,
		 const char *what, struct err *e)
{
	struct nl *nl = restore_rtnl(r, netns, e);
	auto_buf struct buf copy = {0};

	if (!nl || buf_add(&copy, msg.data, msg.len, e))
		return -1;
	((struct nlmsghdr *)copy.data)->nlmsg_flags = flags;
	return nl_do(nl, &copy, what, e);
}

int link_get(struct nl *nl, int ifindex, struct buf *reply, struct err *e)
{
	struct ifinfomsg ifi = {.ifi_family = AF_UNSPEC, .ifi_index = ifindex};
	auto_buf struct buf req = {0};

	return nl_msg_begin(&req, RTM_GETLINK, 0, &ifi, sizeof(ifi), e) ||
			       nl_put_u32(&req, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS, e) ||
			       nl_get(nl, &req, reply, "read device", e)
		       ? -1
		       : 0;
}

struct compare {
	struct buf text;
	int n;
};

static int note_difference(const char *path, const char *a, const char *b, void *arg, struct err *e)
{
	struct compare *c = arg;

	if (c->n++ >= 4)
		return 0;
	return buf_printf(&c->text, e, "%s%s is %s, was %s", c->text.len ? "; " : "", path,
			  b ? b : "absent", a ? a : "absent");
}

/* Kinds that nobody told us about are replayed; then the kind's own attributes must read the same. */
static int compare_link(struct restore *r, const struct step *s, struct err *e)
{
	const struct link_data *d = s->data;
	const uint16_t *path = RTA_PATH(IFLA_LINKINFO, IFLA_INFO_DATA);
	struct nl *nl = restore_rtnl(r, s->netns, e);
	auto_buf struct buf now = {0};
	auto_buf struct buf sent = {0};
	auto_buf struct buf a = {0};
	auto_buf struct buf b = {0};
	struct compare c = {0};
	struct span was, is;
	int ret = 0;

	/* without what only the kernel fills in, as in the message of the step */
	if (!nl || link_get(nl, d->ifindex, &now, e) ||
	    rta_filter(buf_span(&now), RTA_FOR_CREATE, &sent, e))
		return -1;
	was = rta_get(buf_span(&s->msg), path);
	is = rta_get(buf_span(&sent), path);
	if (was.len == is.len && (!was.len || !memcmp(was.data, is.data, was.len)))
		return 0;
	/* Two messages with nothing but the data, so that only it is compared. */
	if (rta_row_new(RTA_TABLE_DEVICE, NULL, &a, e) ||
	    rta_row_new(RTA_TABLE_DEVICE, NULL, &b, e) ||
	    rta_put(&a, RTA_PATH(IFLA_LINKINFO, IFLA_INFO_KIND), d->kind, strlen(d->kind) + 1, e) ||
	    rta_put(&b, RTA_PATH(IFLA_LINKINFO, IFLA_INFO_KIND), d->kind, strlen(d->kind) + 1, e) ||
	    rta_put(&a, path, was.data ? (const void *)was.data : "", was.len, e) ||
	    rta_put(&b, path, is.data ? (const void *)is.data : "", is.len, e) ||
	    rta_diff(buf_span(&a), buf_span(&b), note_difference, &c, e) < 0)
		ret = -1;
	else if (c.n)
		ret = err_set(e, ERR_KERNEL, "device %s of kind %s came back different: %s",
			      d->name, d->kind, (const char *)c.text.data);
	buf_free(&c.text);
	return ret;
}

/* The words of the kernel for a taken index say little. */
static int explain_exists(const struct link_data *d, struct err *e)
{
	if (e->saved_errno == EBUSY || e->saved_errno == EEXIST)
		err_wrap(e, "interface index %d or name %s is taken there", d->ifindex, d->name);
	return -1;
}

/* Does the namespace have it, because the kernel puts it into every new one: the fallback device of a kind of tunnel? */
static bool is_there(struct nl *nl, const struct link_data *d)
{
	struct err ignored = ERR_INIT;
	auto_buf struct buf now = {0};
	struct span name, kind;

	if (link_get(nl, d->ifindex, &now, &ignored))
		return false;
	name = rta_get(buf_span(&now), RTA_PATH(IFLA_IFNAME));
	kind = rta_get(buf_span(&now), RTA_PATH(IFLA_LINKINFO, IFLA_INFO_KIND));
	return name.len && !strncmp((const char *)name.data, d->name, name.len) && kind.len &&
	       !strncmp((const char *)kind.data, d->kind, kind.len);
}

/* It has what the kernel gave it; of its kind nothing can be changed. */
static int set_there(struct restore *r, const struct step *s, struct err *e)
{
	static const uint16_t made[] = {IFLA_LINKINFO, IFLA_ADDRESS,       IFLA_BROADCAST,
					IFLA_LINK,     IFLA_NUM_TX_QUEUES, IFLA_NUM_RX_QUEUES};
	auto_buf struct buf msg = {0};

	if (buf_add(&msg, s->msg.data, s->msg.len, e))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(made); i++)
		if (rta_put(&msg, (const uint16_t[]){made[i], 0}, NULL, 0, e))
			return -1;
	return send_message(r, s->netns, buf_span(&msg), 0, "settings", e);
}

int run_link(struct restore *r, struct step *s, struct err *e)
{
	const struct link_data *d = s->data;

	if (send_message(r, s->netns, buf_span(&s->msg), NLM_F_CREATE | NLM_F_EXCL, "create device",
			 e)) {
		if ((e->saved_errno != EBUSY && e->saved_errno != EEXIST) ||
		    !is_there(restore_rtnl(r, s->netns, e), d))
			return explain_exists(d, e);
		*e = (struct err)ERR_INIT;
		if (set_there(r, s, e))
			return -1;
	}
	return d->compare ? compare_link(r, s, e) : 0;
}

/* VETH_INFO_PEER holds a whole link message of the other end: struct ifinfomsg and attributes. */
static int put_peer(struct buf *msg, struct span peer, int fd, struct err *e)
{
	const size_t head = NLMSG_HDRLEN;
	auto_buf struct buf b = {0};

	if (buf_add(&b, peer.data + head, peer.len - head, e) ||
	    (fd >= 0 && nl_put_u32(&b, IFLA_NET_NS_FD, fd, e)))
		return -1;
	return rta_put(msg, RTA_PATH(IFLA_LINKINFO, IFLA_INFO_DATA, VETH_INFO_PEER), b.data, b.len,
		       e);
}

static int create_pair(struct restore *r, int64_t netns, struct span one, struct span other,
		       int other_fd, struct err *e)
{
	auto_buf struct buf msg = {0};

	if (buf_add(&msg, one.data, one.len, e) || put_peer(&msg, other, other_fd, e))
		return -1;
	return send_message(r, netns, buf_span(&msg), NLM_F_CREATE | NLM_F_EXCL, "create pair", e);
}

int run_veth(struct restore *r, struct step *s, struct err *e)
{
	int fd = -1;

	/* num: netns row of the other end. */
	if (s->num != s->netns) {
		struct ns *ns = restore_ns(r, s->num, e);

		if (!ns)
			return -1;
		fd = ns_fd(ns);
	}
	if (create_pair(r, s->netns, buf_span(&s->msg), buf_span(&s->msg2), fd, e))
		return explain_exists(s->data, e);
	return 0;
}

/* Index of a device by name, 0 when there is none; -1 on error. Its kind, cut to the size, into kind (NULL: not
 * asked for). */
static int find_device(struct nl *nl, const char *name, char *kind, size_t size, struct err *e)
{
	struct ifinfomsg ifi = {.ifi_family = AF_UNSPEC};
	auto_buf struct buf req = {0};
	auto_buf struct buf reply = {0};
	struct span is;

	if (nl_msg_begin(&req, RTM_GETLINK, 0, &ifi, sizeof(ifi), e) ||
	    nl_put_str(&req, IFLA_IFNAME, name, e))
		return -1;
	if (nl_get(nl, &req, &reply, name, e)) {
		if (e->saved_errno != ENODEV)
			return -1;
		*e = (struct err)ERR_INIT;
		return 0;
	}
	is = rta_get(buf_span(&reply), RTA_PATH(IFLA_LINKINFO, IFLA_INFO_KIND));
	if (kind)
		snprintf(kind, size, "%.*s", (int)is.len, (const char *)is.data);
	return ((struct ifinfomsg *)NLMSG_DATA((struct nlmsghdr *)reply.data))->ifi_index;
}

/* The index alone is asked for by the older way, for which the kernel need not tell all about the device: netdevice(7). */
static int find_index(int sock, const char *name, struct err *e)
{
	struct ifreq ifr = {0};

	if (strlen(name) >= sizeof(ifr.ifr_name))
		return err_set(e, ERR_RANGE, "%s: the name of a device has up to %zu characters",
			       name, sizeof(ifr.ifr_name) - 1);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (!ioctl(sock, SIOCGIFINDEX, &ifr))
		return ifr.ifr_ifindex;
	return errno == ENODEV ? 0 : err_sys(e, ERR_KERNEL, "index of %s", name);
}

/* 0 when the outer end can be a port of it. */
static int check_bridge(struct nl *nl, const char *name, struct err *e)
{
	/* what takes ports (ndo_add_slave of the kernel) and asks nothing of them first */
	static const char *const kinds[] = {"bridge", "vrf", "bond", "team"};
	char kind[32] = "";
	int index = find_device(nl, name, kind, sizeof(kind), e);

	if (index < 0)
		return -1;
	if (!index)
		return err_set(e, ERR_NOTFOUND, "no bridge named %s outside", name);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(kind, kinds[i]))
			return 0;
	return err_set(e, ERR_CONFLICT, "%s, outside, is no bridge (%s%s)", name,
		       *kind ? "it is of kind " : "a device without a kind", kind);
}

static int set_up(struct nl *nl, int ifindex, int master, struct err *e)
{
	struct ifinfomsg ifi = {.ifi_family = AF_UNSPEC, .ifi_index = ifindex};
	auto_buf struct buf req = {0};

	if (master &&
	    (nl_msg_begin(&req, RTM_SETLINK, 0, &ifi, sizeof(ifi), e) ||
	     nl_put_u32(&req, IFLA_MASTER, master, e) || nl_do(nl, &req, "join the bridge", e)))
		return -1;
	buf_reset(&req);
	ifi.ifi_flags = ifi.ifi_change = IFF_UP;
	return nl_msg_begin(&req, RTM_SETLINK, 0, &ifi, sizeof(ifi), e) ||
			       nl_do(nl, &req, "set up", e)
		       ? -1
		       : 0;
}

int run_veth_out(struct restore *r, struct step *s, struct err *e)
{
	const struct link_data *d = s->data;
	struct ns *out = restore_outside(r, d->out_netns, e);
	struct nl *nl = out ? restore_outside_rtnl(r, d->out_netns, e) : NULL;
	int index, bridge = 0;

	if (!nl)
		return -1;
	if (journal_note(r->journal, r->step, "out", e, "%s", d->out) ||
	    (d->out_netns && journal_note(r->journal, r->step, "ns", e, "%s",
					  restore_netns_find(r, d->out_netns)->target)) ||
	    journal_fact(r->journal, r->step, "ino", e, "%llu", (unsigned long long)ns_ino(out)))
		return -1;
	if (d->bridge && (bridge = find_index(nl_fd(nl), d->bridge, e)) <= 0) {
		if (!bridge)
			err_set(e, ERR_NOTFOUND, "no bridge named %s", d->bridge);
		goto failed;
	}
	if (create_pair(r, s->netns, buf_span(&s->msg), buf_span(&s->msg2), ns_fd(out), e)) {
		explain_exists(d, e);
		goto failed;
	}
	index = find_index(nl_fd(nl), d->out, e);
	return index <= 0 || journal_note(r->journal, r->step, "ifindex", e, "%d", index) ||
			       set_up(nl, index, bridge, e)
		       ? -1
		       : 0;
failed:
	/* Nothing was made: a device of that name belongs to somebody else. */
	journal_fact(r->journal, r->step, "foreign", &(struct err)ERR_INIT, "1");
	return -1;
}

int check_out(struct restore *r, const struct step *s, struct err *e)
{
	const struct link_data *d = s->data;
	bool pair = !strcmp(s->kind->name, "veth-out");
	struct nl *nl = restore_outside_rtnl(r, d->out_netns, e);
	int index = nl ? find_index(nl_fd(nl), d->out, e) : -1;
	int bridge = index >= 0 && d->bridge ? check_bridge(nl, d->bridge, e) : 0;

	if (index < 0 || bridge)
		return -1;
	if (pair && index)
		return err_set(e, ERR_EXISTS, "a device named %s exists outside", d->out);
	if (!pair && !index && !d->out_is_made)
		return err_set(e, ERR_NOTFOUND, "no device named %s outside", d->out);
	return 0;
}

/* The device below has another index outside than the image says. Tunnels name it in their attributes. */
static int put_lower(struct buf *msg, int lower, struct err *e)
{
	static const uint16_t vxlan[] = {IFLA_LINKINFO, IFLA_INFO_DATA, IFLA_VXLAN_LINK, 0};

	if (rta_get(buf_span(msg), vxlan).len)
		return rta_put_u32(msg, vxlan, (uint32_t)lower, e) ||
				       rta_put(msg, RTA_PATH(IFLA_LINK), NULL, 0, e)
			       ? -1
			       : 0;
	return rta_put_u32(msg, RTA_PATH(IFLA_LINK), (uint32_t)lower, e);
}

/* A device over one outside: made from there, straight into its namespace. */
int run_link_out(struct restore *r, struct step *s, struct err *e)
{
	const struct link_data *d = s->data;
	struct ns *ns = restore_ns(r, s->netns, e);
	struct nl *nl = ns ? restore_outside_rtnl(r, d->out_netns, e) : NULL;
	auto_buf struct buf msg = {0};
	int lower = nl ? find_index(nl_fd(nl), d->out, e) : -1, ret = -1;

	if (!lower)
		err_set(e, ERR_NOTFOUND, "no device named %s", d->out);
	if (lower > 0 && !buf_add(&msg, s->msg.data, s->msg.len, e) && !put_lower(&msg, lower, e) &&
	    !rta_put(&msg, RTA_PATH(IFLA_LINK_NETNSID), NULL, 0, e) &&
	    !rta_put_u32(&msg, RTA_PATH(IFLA_NET_NS_FD), ns_fd(ns), e)) {
		((struct nlmsghdr *)msg.data)->nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
		ret = nl_do(nl, &msg, "create device", e);
		if (ret)
			explain_exists(d, e);
	}
	return ret;
}

int probe_veth_out(const struct journal_entry *je, bool *there, struct err *e)
{
	const char *out = journal_value(je, "out"), *index = journal_value(je, "ifindex");
	const char *target = journal_value(je, "ns"), *ino = journal_value(je, "ino");
	auto_free char *path = NULL;
	auto_ns struct ns *ns = NULL;
	auto_close int sock = -1;
	int now;

	*there = false;
	if (!out || journal_value(je, "foreign"))
		return 0;
	if (target && asprintf(&path, "%s%s", strchr(target, '/') ? "" : "/run/netns/", target) < 0)
		return err_set(e, ERR_NOMEM, "path of a namespace");
	ns = target ? ns_open_path(path, e) : ns_open_self(e);
	if (!ns || (ino && ns_ino(ns) != strtoull(ino, NULL, 10))) {
		/* The namespace it went to is gone or another one, and the device with it. */
		*e = (struct err)ERR_INIT;
		return 0;
	}
	sock = target ? ns_socket(ns, AF_UNIX, SOCK_DGRAM, 0, e)
		      : socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return target ? -1 : err_sys(e, ERR_KERNEL, "socket");
	now = find_index(sock, out, e);
	*there = now > 0 && (!index || now == atoi(index));
	return now < 0 ? -1 : 0;
}

/* Tun devices are made through a descriptor of /dev/net/tun in the namespace (tun(4)); persistent, or the
 * device would go with the descriptor. */
struct tun_arg {
	const struct link_data *d;
	struct span msg;
};

static bool attr_true(struct span data, uint16_t attr)
{
	const struct nlattr *at = nl_attr_find(data, attr);
	struct span v = at ? nl_attr_data(at) : (struct span){0};

	return v.len && v.data[0];
}

static int tun_flags(const struct tun_arg *a, struct span data)
{
	struct span type = nl_attr_data(nl_attr_find(data, IFLA_TUN_TYPE));
	int flags = 0;

	if (a->d->tun_flags)
		return a->d->tun_flags & (IFF_TUN | IFF_TAP | IFF_NO_PI | IFF_VNET_HDR |
					  IFF_MULTI_QUEUE | IFF_ONE_QUEUE);
	flags |= type.len && type.data[0] == IFF_TAP ? IFF_TAP : IFF_TUN;
	flags |= attr_true(data, IFLA_TUN_PI) ? 0 : IFF_NO_PI;
	flags |= attr_true(data, IFLA_TUN_VNET_HDR) ? IFF_VNET_HDR : 0;
	flags |= attr_true(data, IFLA_TUN_MULTI_QUEUE) ? IFF_MULTI_QUEUE : 0;
	return flags;
}

/* Owner or group: from the message, else from CRIU's entry; -1: none. */
static int64_t tun_id(struct span data, uint16_t attr, const struct link_data *d, int64_t entry)
{
	const struct nlattr *a = nl_attr_find(data, attr);

	return a ? (int64_t)nl_attr_u32(a) : d->tun_flags ? entry : -1;
}

static int tun_make(void *p, struct err *e)
{
	const struct tun_arg *a = p;
	struct span data = rta_get(a->msg, RTA_PATH(IFLA_LINKINFO, IFLA_INFO_DATA));
	int64_t owner = tun_id(data, IFLA_TUN_OWNER, a->d, a->d->tun_owner);
	int64_t group = tun_id(data, IFLA_TUN_GROUP, a->d, a->d->tun_group);
	auto_close int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	struct ifreq ifr = {.ifr_flags = tun_flags(a, data)};
	unsigned index = a->d->ifindex;
	int header = (int)a->d->tun_vnethdr;

	if (fd < 0)
		return err_sys(e, ERR_KERNEL, "open /dev/net/tun");
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", a->d->name);
	if (ioctl(fd, TUNSETIFINDEX, &index) || ioctl(fd, TUNSETIFF, &ifr))
		return err_sys(e, ERR_KERNEL, "create tun device %s with index %u", a->d->name,
			       index);
	if (ioctl(fd, TUNSETPERSIST, 1))
		return err_sys(e, ERR_KERNEL, "make tun device %s persistent", a->d->name);
	if (owner >= 0 && ioctl(fd, TUNSETOWNER, (unsigned long)owner))
		return err_sys(e, ERR_KERNEL, "owner of tun device %s", a->d->name);
	if (group >= 0 && ioctl(fd, TUNSETGROUP, (unsigned long)group))
		return err_sys(e, ERR_KERNEL, "group of tun device %s", a->d->name);
	if (header && ioctl(fd, TUNSETVNETHDRSZ, &header))
		return err_sys(e, ERR_KERNEL, "size of the headers of tun device %s", a->d->name);
	return 0;
}

int run_tun(struct restore *r, struct step *s, struct err *e)
{
	const struct link_data *d = s->data;
	struct tun_arg arg = {d, buf_span(&s->msg)};
	struct ns *ns = restore_ns(r, s->netns, e);
	struct span mac = rta_get(arg.msg, RTA_PATH(IFLA_ADDRESS));
	struct ifinfomsg ifi = {.ifi_family = AF_UNSPEC, .ifi_index = d->ifindex};
	auto_buf struct buf req = {0};

	if (!ns || ns_call(ns, tun_make, &arg, e))
		return -1;
	if (mac.len != 6)
		return 0;
	if (nl_msg_begin(&req, RTM_SETLINK, 0, &ifi, sizeof(ifi), e) ||
	    nl_put(&req, IFLA_ADDRESS, mac.data, mac.len, e))
		return -1;
	return send_message(r, s->netns, buf_span(&req), 0, "set MAC", e);
}

static int add_altnames(struct restore *r, const struct step *s, struct err *e)
{
	const struct link_data *d = s->data;
	struct ifinfomsg ifi = {.ifi_family = AF_UNSPEC, .ifi_index = d->ifindex};
	auto_buf struct buf req = {0};
	size_t off;

	if (!d->altnames || !d->altnames[0])
		return 0;
	if (nl_msg_begin(&req, RTM_NEWLINKPROP, 0, &ifi, sizeof(ifi), e) ||
	    nl_nest_begin(&req, IFLA_PROP_LIST, &off, e))
		return -1;
	for (char **a = d->altnames; *a; a++)
		if (nl_put_str(&req, IFLA_ALT_IFNAME, *a, e))
			return -1;
	if (nl_nest_end(&req, off, e))
		return -1;
	return send_message(r, s->netns, buf_span(&req), NLM_F_CREATE | NLM_F_EXCL,
			    "alternative names", e);
}

static int send_settings(struct restore *r, const struct step *s, struct span settings,
			 struct err *e)
{
	const struct link_data *d = s->data;
	auto_buf struct buf msg = {0};
	struct ifinfomsg *ifi;

	if (!settings.len)
		return 0;
	if (buf_add(&msg, settings.data, settings.len, e))
		return -1;
	ifi = NLMSG_DATA((struct nlmsghdr *)msg.data);
	ifi->ifi_flags = d->flags & SET_FLAGS;
	ifi->ifi_change = SET_FLAGS;
	return send_message(r, s->netns, buf_span(&msg), 0, "settings", e);
}

int run_link_set(struct restore *r, struct step *s, struct err *e)
{
	return send_settings(r, s, buf_span(&s->msg2), e) ||
			       send_settings(r, s, buf_span(&s->msg), e) || add_altnames(r, s, e)
		       ? -1
		       : 0;
}

int run_master(struct restore *r, struct step *s, struct err *e)
{
	const struct link_data *d = s->data;
	struct ifinfomsg ifi = {.ifi_family = AF_UNSPEC, .ifi_index = d->ifindex};
	auto_buf struct buf req = {0};

	if (nl_msg_begin(&req, RTM_SETLINK, 0, &ifi, sizeof(ifi), e) ||
	    nl_put_u32(&req, IFLA_MASTER, s->num, e))
		return -1;
	return send_message(r, s->netns, buf_span(&req), 0, "set master", e);
}

/* IFLA_AF_SPEC { AF_INET6 { IFLA_INET6_ADDR_GEN_MODE } }. A device without IPv6 (mtu below 1280, IPv6 off)
 * has nothing to set: EAFNOSUPPORT or EOPNOTSUPP. */
static int set_gen_mode(struct restore *r, const struct step *s, uint8_t mode, struct err *e)
{
	const struct link_data *d = s->data;
	struct ifinfomsg ifi = {.ifi_family = AF_UNSPEC, .ifi_index = d->ifindex};
	auto_buf struct buf req = {0};
	size_t spec, inet6;

	if (nl_msg_begin(&req, RTM_SETLINK, 0, &ifi, sizeof(ifi), e) ||
	    nl_nest_begin(&req, IFLA_AF_SPEC, &spec, e) ||
	    nl_nest_begin(&req, AF_INET6, &inet6, e) ||
	    nl_put_u8(&req, IFLA_INET6_ADDR_GEN_MODE, mode, e) || nl_nest_end(&req, inet6, e) ||
	    nl_nest_end(&req, spec, e))
		return -1;
	if (!send_message(r, s->netns, buf_span(&req), 0, "address generation", e))
		return 0;
	if (e->saved_errno != EAFNOSUPPORT && e->saved_errno != EOPNOTSUPP)
		return -1;
	*e = (struct err)ERR_INIT;
	return 0;
}

int link_set_up(struct restore *r, int64_t netns, int ifindex, bool up, struct err *e)
{
	struct ifinfomsg ifi = {.ifi_family = AF_UNSPEC,
				.ifi_index = ifindex,
				.ifi_flags = up ? IFF_UP : 0,
				.ifi_change = IFF_UP};
	auto_buf struct buf req = {0};

	if (nl_msg_begin(&req, RTM_SETLINK, 0, &ifi, sizeof(ifi), e))
		return -1;
	return send_message(r, netns, buf_span(&req), 0, up ? "set up" : "set down", e);
}

int link_down_again(struct restore *r, int64_t netns, int ifindex, struct err *e)
{
	struct nl *nl = restore_rtnl(r, netns, e);

	for (int waited = 0; nl && waited < WATCH_WAIT_MS; waited += WATCH_POLL_MS) {
		auto_buf struct buf now = {0};
		struct span state, carrier;

		if (link_get(nl, ifindex, &now, e))
			return -1;
		state = rta_get(buf_span(&now), RTA_PATH(IFLA_OPERSTATE));
		carrier = rta_get(buf_span(&now), RTA_PATH(IFLA_CARRIER));
		if (!state.len || !carrier.len || !carrier.data[0] || !state.data[0] ||
		    state.data[0] == OPERSTATE_UP)
			return link_set_up(r, netns, ifindex, false, e);
		nanosleep(&(struct timespec){0, WATCH_POLL_MS * 1000000}, NULL);
	}
	return nl ? link_set_up(r, netns, ifindex, false, e) : -1;
}

int run_up(struct restore *r, struct step *s, struct err *e)
{
	const struct link_data *d = s->data;

	/* No link-local address of the kernel's own making: the image says which there are. */
	if (!(d->flags & IFF_LOOPBACK) && set_gen_mode(r, s, IN6_ADDR_GEN_MODE_NONE, e))
		return -1;
	return link_set_up(r, s->netns, d->ifindex, true, e);
}

/* A device gets its queueing discipline when it goes up for the first time, and keeps it (attach_default_qdiscs() in
 * net/sched/sch_generic.c). */
int run_up_once(struct restore *r, struct step *s, struct err *e)
{
	const struct link_data *d = s->data;

	if (run_up(r, s, e)) {
		char msg[sizeof(e->msg)];

		/* the device below is down */
		if (e->saved_errno != ENETDOWN)
			return -1;
		memcpy(msg, e->msg, sizeof(msg));
		*e = (struct err)ERR_INIT;
		return restore_note(
			r, e,
			"%s: its queueing discipline is that of a device that was never up: %s",
			s->object, msg);
	}
	if (link_down_again(r, s->netns, d->ifindex, e))
		return -1;
	return d->flags & IFF_LOOPBACK ? 0 : set_gen_mode(r, s, d->gen_mode, e);
}

/* Not yet as it was? */
static bool is_on_its_way(const struct link_data *d, struct span msg)
{
	struct span state = rta_get(msg, RTA_PATH(IFLA_OPERSTATE));
	struct span carrier = rta_get(msg, RTA_PATH(IFLA_CARRIER));

	if (!state.len)
		return false;
	if (d->wait == WAIT_DOWN)
		return state.data[0] == OPERSTATE_UP || (carrier.len && carrier.data[0]);
	return state.data[0] < OPERSTATE_UP && (d->operstate >= 0 || state.data[0]);
}

/* The carrier reaches addrconf and the routes through the link watch, up to a second late
 * (net/core/link_watch.c), and only then does a generated address appear: so wait for it before generation is
 * switched on again; and for the end of one that should not be: a bridge has carrier as long as the watch has not told
 * that a port, such as a tap device, has none. All devices of a restore share one patience for each. */
static int wait_carrier(struct restore *r, const struct step *s, struct err *e)
{
	const struct link_data *d = s->data;
	struct nl *nl = restore_rtnl(r, s->netns, e);
	int *waited = d->wait == WAIT_DOWN ? &r->waited_down_ms : &r->waited_ms;

	if (!nl)
		return -1;
	for (;;) {
		auto_buf struct buf now = {0};

		if (link_get(nl, d->ifindex, &now, e))
			return -1;
		if (*waited >= OPERSTATE_WAIT_MS || !is_on_its_way(d, buf_span(&now)))
			return 0;
		nanosleep(&(struct timespec){0, OPERSTATE_POLL_MS * 1000000}, NULL);
		*waited += OPERSTATE_POLL_MS;
	}
}

int run_addrgen(struct restore *r, struct step *s, struct err *e)
{
	const struct link_data *d = s->data;

	if (d->wait && wait_carrier(r, s, e))
		return -1;
	return set_gen_mode(r, s, d->gen_mode, e);
}

int run_port_state(struct restore *r, struct step *s, struct err *e)
{
	return wait_carrier(r, s, e) ? -1 : run_message(r, s, e);
}
