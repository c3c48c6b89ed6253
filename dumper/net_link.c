/* Devices: netdev-N.img. CRIU's fields for what CRIU restores, and the kernel's message for everything. */
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/if_tunnel.h>
#include <linux/rtnetlink.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "criu/netdev.pb-c.h"
#include "dumper/net_conf.h"
#include "dumper/net_scan.h"

static struct span link_attrs(const struct nlmsghdr *h)
{
	return nl_attrs(h, sizeof(struct ifinfomsg));
}

static const char *attr_text(const struct nlattr *a)
{
	struct span s = a ? nl_attr_data(a) : (struct span){NULL, 0};

	return s.len && !s.data[s.len - 1] ? (const char *)s.data : "";
}

static const struct nlattr *link_info(const struct nlmsghdr *h, uint16_t type)
{
	const struct nlattr *info = nl_attr_find(link_attrs(h), IFLA_LINKINFO);

	return info ? nl_attr_find(nl_attr_data(info), type) : NULL;
}

/* An attribute of IFLA_INFO_DATA. */
static const struct nlattr *link_data(const struct nlmsghdr *h, uint16_t type)
{
	const struct nlattr *data = link_info(h, IFLA_INFO_DATA);

	return data ? nl_attr_find(nl_attr_data(data), type) : NULL;
}

static bool is_set(const struct nlattr *a)
{
	struct span s = a ? nl_attr_data(a) : (struct span){NULL, 0};

	return s.len && s.data[0];
}

static int dev_add(struct net_scan *s, const struct nlmsghdr *h, struct err *e)
{
	const struct ifinfomsg *ifi = (const void *)((const uint8_t *)h + NLMSG_HDRLEN);
	struct span attrs = link_attrs(h);
	const struct nlattr *addr = nl_attr_find(attrs, IFLA_ADDRESS);
	const char *kind = attr_text(link_info(h, IFLA_INFO_KIND));

	if (h->nlmsg_type != RTM_NEWLINK || h->nlmsg_len < NLMSG_HDRLEN + sizeof(*ifi))
		return err_set(e, ERR_FORMAT, "a device of netlink type %u", h->nlmsg_type);
	if (s->n_devs == s->cap_devs) {
		size_t cap = s->cap_devs ? s->cap_devs * 2 : 16;
		struct net_dev *all = realloc(s->devs, cap * sizeof(*all));

		if (!all)
			return err_set(e, ERR_NOMEM, "list of devices");
		s->devs = all;
		s->cap_devs = cap;
	}
	s->devs[s->n_devs++] = (struct net_dev){
		.ifindex = (uint32_t)ifi->ifi_index,
		.flags = ifi->ifi_flags,
		.has_master = nl_attr_find(attrs, IFLA_MASTER) != NULL,
		.name = attr_text(nl_attr_find(attrs, IFLA_IFNAME)),
		.kind = kind,
		.address = addr ? nl_attr_data(addr) : (struct span){NULL, 0},
		/* only a kernel with CONFIG_BRIDGE_VLAN_FILTERING says it */
		.has_vlans = !strcmp(kind, "bridge") && link_data(h, IFLA_BR_VLAN_DEFAULT_PVID),
		.has_vnis = !strcmp(kind, "vxlan") && is_set(link_data(h, IFLA_VXLAN_VNIFILTER)),
	};
	return 0;
}

int net_devs_read(struct net_scan *s, struct err *e)
{
	const struct nlmsghdr *h;
	size_t off = 0;

	s->n_devs = 0;
	while ((h = nl_msg_next(buf_span(&s->links), &off)))
		if (dev_add(s, h, e))
			return -1;
	return 0;
}

int net_scan_links(struct net_scan *s, struct err *e)
{
	struct ifinfomsg ifi = {0};

	/* Without virtual functions, which no restore can make; and counters only make the image larger. */
	if (nl_msg_begin(&s->req, RTM_GETLINK, 0, &ifi, sizeof(ifi), e) ||
	    nl_put_u32(&s->req, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS, e) ||
	    nl_dump_raw(s->rt, &s->req, &s->links, "devices", e))
		return -1;
	return net_devs_read(s, e);
}

const struct net_dev *net_dev_find(const struct net_scan *s, uint32_t ifindex)
{
	for (size_t i = 0; i < s->n_devs; i++)
		if (s->devs[i].ifindex == ifindex)
			return &s->devs[i];
	return NULL;
}

/* Kinds CRIU knows; every other is a device that it takes as given from outside. */
static const struct {
	const char *kind;
	NdType type;
} nd_types[] = {
	{"veth", ND_TYPE__VETH},       {"tun", ND_TYPE__TUN}, {"bridge", ND_TYPE__BRIDGE},
	{"macvlan", ND_TYPE__MACVLAN}, {"sit", ND_TYPE__SIT},
};

static NdType nd_type_of(const struct net_dev *dev)
{
	if (dev->flags & IFF_LOOPBACK)
		return ND_TYPE__LOOPBACK;
	for (size_t i = 0; i < ARRAY_SIZE(nd_types); i++)
		if (!strcmp(nd_types[i].kind, dev->kind))
			return nd_types[i].type;
	return ND_TYPE__EXTLINK;
}

static uint8_t tun_u8(const struct nlmsghdr *h, uint16_t type)
{
	const struct nlattr *a = link_data(h, type);

	return a && a->nla_len > NLA_HDRLEN ? *nl_attr_data(a).data : 0;
}

static int32_t tun_id(const struct nlmsghdr *h, uint16_t type)
{
	const struct nlattr *a = link_data(h, type);

	return a ? (int32_t)nl_attr_u32(a) : -1;
}

/* Size of the vnet header and send buffer are those of each queue, which only its descriptor tells (see
 * tun.h); a device that nobody has open has none, and gets the kernel's defaults (drivers/net/tun.c:
 * tun_set_iff gives sizeof(struct virtio_net_hdr) and INT_MAX). */
static void tun_fill(const struct nlmsghdr *h, TunLinkEntry *tun)
{
	tun->flags = tun_u8(h, IFLA_TUN_TYPE); /* IFF_TUN and IFF_TAP have the values 1 and 2 */
	tun->flags |= tun_u8(h, IFLA_TUN_PI) ? 0 : IFF_NO_PI;
	tun->flags |= tun_u8(h, IFLA_TUN_VNET_HDR) ? IFF_VNET_HDR : 0;
	tun->flags |= tun_u8(h, IFLA_TUN_PERSIST) ? IFF_PERSIST : 0;
	tun->flags |= tun_u8(h, IFLA_TUN_MULTI_QUEUE) ? IFF_MULTI_QUEUE : 0;
	tun->owner = tun_id(h, IFLA_TUN_OWNER);
	tun->group = tun_id(h, IFLA_TUN_GROUP);
	tun->vnethdr = 10;
	tun->sndbuf = INT_MAX;
}

static void macvlan_fill(const struct nlmsghdr *h, MacvlanLinkEntry *m)
{
	const struct nlattr *flags = link_data(h, IFLA_MACVLAN_FLAGS);
	struct span s = flags ? nl_attr_data(flags) : (struct span){NULL, 0};
	uint16_t v;

	m->mode = nl_attr_u32(link_data(h, IFLA_MACVLAN_MODE));
	if (s.len < sizeof(v))
		return;
	memcpy(&v, s.data, sizeof(v));
	/* CRIU writes no flags where there are none */
	m->has_flags = v != 0;
	m->flags = v;
}

/* The namespace of the other end (veth) or of the lower device: IFLA_LINK_NETNSID is a number of this
 * namespace for it, absent when it is this one. */
static void peer_fill(const struct net_scan *s, struct span attrs, NetDeviceEntry *entry)
{
	const struct nlattr *link = nl_attr_find(attrs, IFLA_LINK);
	const struct nlattr *id = nl_attr_find(attrs, IFLA_LINK_NETNSID);
	int32_t nsid = (int32_t)nl_attr_u32(id);

	/* A device without one is its own peer: that is how CRIU writes it. */
	entry->has_peer_ifindex = true;
	entry->peer_ifindex = link ? nl_attr_u32(link) : entry->ifindex;
	entry->has_peer_nsid = !id;
	entry->peer_nsid = s->n->id;
	for (size_t i = 0; id && i < s->n_nsids; i++)
		if (s->nsids[i].nsid == nsid && s->nsids[i].target) {
			entry->has_peer_nsid = true;
			entry->peer_nsid = s->nsids[i].target->id;
		}
}

struct device_parts {
	TunLinkEntry tun;
	MacvlanLinkEntry macvlan;
	SitEntry sit;
	uint32_t sit_addr[4]; /* local, remote, prefix, relay prefix */
	struct net_conf conf;
};

/* A list of one word in network byte order, if it is there and not 0. */
static void sit_addr(const struct nlmsghdr *h, uint16_t type, uint32_t *word, size_t *n,
		     uint32_t **list)
{
	*word = nl_attr_u32(link_data(h, type));
	*n = *word != 0;
	*list = word;
}

static void sit_fill(const struct nlmsghdr *h, struct device_parts *p)
{
	SitEntry *sit = &p->sit;

	sit_addr(h, IFLA_IPTUN_LOCAL, &p->sit_addr[0], &sit->n_local, &sit->local);
	sit_addr(h, IFLA_IPTUN_REMOTE, &p->sit_addr[1], &sit->n_remote, &sit->remote);
	sit->link = nl_attr_u32(link_data(h, IFLA_IPTUN_LINK));
	sit->has_link = sit->link != 0;
	sit->ttl = tun_u8(h, IFLA_IPTUN_TTL);
	sit->has_ttl = sit->ttl != 0;
	sit->tos = tun_u8(h, IFLA_IPTUN_TOS);
	sit->has_tos = sit->tos != 0;
	sit->pmtudisc = tun_u8(h, IFLA_IPTUN_PMTUDISC) != 0;
	sit->has_pmtudisc = sit->pmtudisc;
	sit->proto = tun_u8(h, IFLA_IPTUN_PROTO);
	sit->has_proto = sit->proto != 0;
}

static void device_kind_fill(const struct nlmsghdr *h, NetDeviceEntry *entry,
			     struct device_parts *p)
{
	switch (entry->type) {
	case ND_TYPE__TUN:
		tun_fill(h, &p->tun);
		entry->tun = &p->tun;
		break;
	case ND_TYPE__MACVLAN:
		macvlan_fill(h, &p->macvlan);
		entry->macvlan = &p->macvlan;
		break;
	case ND_TYPE__SIT:
		sit_fill(h, p);
		entry->sit = &p->sit;
		break;
	default:
		break;
	}
}

/* What is not in the RTM_NEWLINK message: keys and peers of these kinds, which have protocols of their own,
 * and the code of an XDP program, of which there is only the number. */
static int device_lose(struct net_scan *s, const struct nlmsghdr *h, const struct net_dev *dev,
		       struct span attrs, struct err *e)
{
	static const char *const partial[] = {"wireguard", "ovpn", "macsec", "batadv"};
	const struct nlattr *xdp = nl_attr_find(attrs, IFLA_XDP);
	const struct nlattr *mode = xdp ? nl_attr_find(nl_attr_data(xdp), IFLA_XDP_ATTACHED) : NULL;

	if (mode && nl_attr_data(mode).len && *nl_attr_data(mode).data != XDP_ATTACHED_NONE &&
	    dump_lose(s->d, e, s->label, "device %s: its XDP program", dev->name))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(partial); i++)
		if (!strcmp(dev->kind, partial[i]) &&
		    dump_lose(s->d, e, s->label,
			      "device %s: keys and peers of kind %s are not read", dev->name,
			      dev->kind))
			return -1;
	return 0;
}

static int net_write_device(struct net_scan *s, const struct nlmsghdr *h, const struct net_dev *dev,
			    struct device_parts *p, struct img_writer *w, struct err *e)
{
	NetDeviceEntry entry = NET_DEVICE_ENTRY__INIT;
	struct span attrs = link_attrs(h);
	const struct nlattr *addr = nl_attr_find(attrs, IFLA_ADDRESS);
	int whose = (int)(dev - s->devs);

	entry.type = nd_type_of(dev);
	entry.ifindex = dev->ifindex;
	entry.mtu = nl_attr_u32(nl_attr_find(attrs, IFLA_MTU));
	entry.flags = dev->flags;
	entry.name = (char *)(uintptr_t)dev->name;
	if (addr && entry.type != ND_TYPE__LOOPBACK) {
		entry.has_address = true;
		entry.address.data = (uint8_t *)(uintptr_t)nl_attr_data(addr).data;
		entry.address.len = nl_attr_data(addr).len;
	}
	entry.has_master = dev->has_master;
	entry.master = nl_attr_u32(nl_attr_find(attrs, IFLA_MASTER));
	peer_fill(s, attrs, &entry);
	device_kind_fill(h, &entry, p);
	entry.has_nsimg_link = true;
	entry.nsimg_link.data = (uint8_t *)(uintptr_t)h;
	entry.nsimg_link.len = h->nlmsg_len;
	if (net_conf_list(&p->conf, &s->sysctls, SYSCTL_CONF4, whose, &entry.n_conf4, &entry.conf4,
			  e) ||
	    net_conf_list(&p->conf, &s->sysctls, SYSCTL_CONF6, whose, &entry.n_conf6, &entry.conf6,
			  e) ||
	    img_write_message(w, &entry.base, e) || device_lose(s, h, dev, attrs, e))
		return -1;
	return 0;
}

int net_write_devices(struct net_scan *s, struct img_writer *w, struct err *e)
{
	const struct nlmsghdr *h;
	size_t off = 0;

	if (img_write_begin(w, IMG_NETDEV, s->n->id, e))
		return -1;
	for (size_t i = 0; i < s->n_devs && (h = nl_msg_next(buf_span(&s->links), &off)); i++) {
		struct device_parts p = {
			.tun = TUN_LINK_ENTRY__INIT,
			.macvlan = MACVLAN_LINK_ENTRY__INIT,
			.sit = SIT_ENTRY__INIT,
			.conf = {.no_secrets = s->d->opts.no_secrets},
		};
		int r = net_write_device(s, h, &s->devs[i], &p, w, e);

		net_conf_free(&p.conf);
		if (r)
			return err_wrap(e, "device %s", s->devs[i].name);
	}
	return img_write_end(w, e);
}
