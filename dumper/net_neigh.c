/* Neighbours, proxy neighbours, fdb, bridge vlans and multicast groups. */
#include <fcntl.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "dumper/net_scan.h"
#include "proto/rta.h"

enum { MADDRESSES_MAX = 64 << 20 };

static bool is_multicast(struct span dst)
{
	return (dst.len == 4 && (dst.data[0] & 0xf0) == 0xe0) ||
	       (dst.len == 16 && dst.data[0] == 0xff);
}

/* Entries that the kernel makes by itself on demand, because the address is a group or the device needs no
 * resolution (arp_constructor, ndisc_constructor): `ip neigh` does not show them either. */
static bool is_automatic(const struct net_scan *s, const struct nlmsghdr *h,
			 const struct ndmsg *ndm)
{
	const struct nlattr *dst = nl_attr_find(nl_attrs(h, sizeof(*ndm)), NDA_DST);
	const struct net_dev *dev = net_dev_find(s, (uint32_t)ndm->ndm_ifindex);

	if (ndm->ndm_state != NUD_NOARP)
		return false;
	return !dst || is_multicast(nl_attr_data(dst)) ||
	       (dev && dev->flags & (IFF_NOARP | IFF_LOOPBACK | IFF_POINTOPOINT));
}

int net_scan_neighbours(struct net_scan *s, struct err *e)
{
	struct ndmsg plain = {0}, proxy = {.ndm_flags = NTF_PROXY};
	auto_buf struct buf all = {0};
	const struct nlmsghdr *h;
	size_t off = 0;

	if (net_scan_dump(s, RTM_GETNEIGH, &plain, sizeof(plain), &all, "neighbours", e))
		return -1;
	while ((h = nl_msg_next(buf_span(&all), &off))) {
		const struct ndmsg *ndm = (const void *)((const uint8_t *)h + NLMSG_HDRLEN);

		if (h->nlmsg_len < NLMSG_HDRLEN + sizeof(*ndm))
			return err_set(e, ERR_FORMAT, "a neighbour of %u bytes", h->nlmsg_len);
		if (!is_automatic(s, h, ndm) && net_msg_add(&s->other, h, e))
			return -1;
	}
	return net_scan_dump(s, RTM_GETNEIGH, &proxy, sizeof(proxy), &s->other, "proxy neighbours",
			     e);
}

static bool has_kind(const struct net_scan *s, const char *kind)
{
	for (size_t i = 0; i < s->n_devs; i++)
		if (!strcmp(s->devs[i].kind, kind))
			return true;
	return false;
}

/* The vlans of bridges and their ports, ranges joined: all 4094 of a port in one list do not fit a packet. */
static int scan_vlans(struct net_scan *s, struct err *e)
{
	struct ifinfomsg ifi = {.ifi_family = AF_BRIDGE};

	if (nl_msg_begin(&s->req, RTM_GETLINK, 0, &ifi, sizeof(ifi), e) ||
	    nl_put_u32(&s->req, IFLA_EXT_MASK, RTEXT_FILTER_BRVLAN_COMPRESSED, e))
		return -1;
	return nl_dump_raw(s->rt, &s->req, &s->other, "bridge vlans", e);
}

static const char *dev_name(const struct net_scan *s, uint32_t ifindex)
{
	const struct net_dev *dev = net_dev_find(s, ifindex);

	return dev ? dev->name : "?";
}

/* One group of a bridge, as the request that makes it: what a dump says of it (MDBA_MDB, all groups in one
 * message) is not what the kernel takes. Groups that were learnt go with their timers. */
static int group_add(struct net_scan *s, const struct br_port_msg *bridge,
		     const struct nlattr *info, struct err *e)
{
	struct br_port_msg bpm = {.family = AF_BRIDGE, .ifindex = bridge->ifindex};
	struct span data = nl_attr_data(info), attrs = {NULL, 0};
	size_t nest, fixed = NLA_ALIGN(sizeof(struct br_mdb_entry));
	const struct nlattr *source;
	struct br_mdb_entry entry;

	if (data.len < sizeof(entry))
		return err_set(e, ERR_FORMAT, "a multicast group of %zu bytes", data.len);
	memcpy(&entry, data.data, sizeof(entry));
	if (entry.state != MDB_PERMANENT)
		return 0;
	entry.flags = 0; /* the kernel's own marks */
	if (data.len > fixed)
		attrs = (struct span){data.data + fixed, data.len - fixed};
	source = nl_attr_find(attrs, MDBA_MDB_EATTR_SOURCE);
	if (nl_msg_begin(&s->req, RTM_NEWMDB, 0, &bpm, sizeof(bpm), e) ||
	    nl_put(&s->req, MDBA_SET_ENTRY, &entry, sizeof(entry), e))
		return -1;
	if (source && (nl_nest_begin(&s->req, MDBA_SET_ENTRY_ATTRS, &nest, e) ||
		       nl_put(&s->req, MDBE_ATTR_SOURCE, nl_attr_data(source).data,
			      nl_attr_data(source).len, e) ||
		       nl_nest_end(&s->req, nest, e)))
		return -1;
	if (net_req_keep(s, e))
		return -1;
	if (nl_attr_find(attrs, MDBA_MDB_EATTR_SRC_LIST))
		return net_lose(s, e, "bridge %s: the source list of a multicast group",
				dev_name(s, bridge->ifindex));
	return 0;
}

/* MDBA_MDB { MDBA_MDB_ENTRY { MDBA_MDB_ENTRY_INFO, ... }, ... } */
static int groups_add(struct net_scan *s, const struct nlmsghdr *h, struct err *e)
{
	const struct br_port_msg *bridge = (const void *)((const uint8_t *)h + NLMSG_HDRLEN);
	const struct nlattr *mdb = nl_attr_find(nl_attrs(h, sizeof(*bridge)), MDBA_MDB);
	const struct nlattr *group, *info;
	size_t off = 0, at;

	while (mdb && (group = nl_attr_next(nl_attr_data(mdb), &off))) {
		/* those of vxlan have the type that their name says, those of bridges that of the
		 * request, and family 0 (br_mdb_dump) */
		if (h->nlmsg_type == RTM_NEWMDB)
			return net_lose(s, e, "multicast groups of vxlan %s",
					dev_name(s, bridge->ifindex));
		for (at = 0; (info = nl_attr_next(nl_attr_data(group), &at));)
			if ((info->nla_type & NLA_TYPE_MASK) == MDBA_MDB_ENTRY_INFO &&
			    group_add(s, bridge, info, e))
				return -1;
	}
	return 0;
}

static int scan_groups(struct net_scan *s, struct err *e)
{
	struct br_port_msg bpm = {.family = AF_BRIDGE};
	auto_buf struct buf all = {0};
	const struct nlmsghdr *h;
	size_t off = 0;

	if (nl_msg_begin(&s->req, RTM_GETMDB, 0, &bpm, sizeof(bpm), e) ||
	    nl_dump_raw(s->rt, &s->req, &all, "multicast groups", e))
		return -1;
	while ((h = nl_msg_next(buf_span(&all), &off)))
		if (h->nlmsg_len >= NLMSG_HDRLEN + sizeof(bpm) && groups_add(s, h, e))
			return -1;
	return 0;
}

/* A bridge that has an entry of its own for the address of a port was given that address: the entry of one that takes the
 * address of its port (br_stp_recalculate_bridge_id()) is the port's. */
static bool is_of_set_address(const struct net_scan *s, const struct nlmsghdr *h,
			      const struct ndmsg *ndm, struct span a)
{
	const struct net_dev *bridge = net_dev_find(s, (uint32_t)ndm->ndm_ifindex);

	if (!bridge || strcmp(bridge->kind, "bridge") || bridge->has_master ||
	    nl_attr_find(nl_attrs(h, sizeof(*ndm)), NDA_VLAN))
		return false;
	for (size_t i = 0; i < s->n_devs; i++)
		if (s->devs[i].has_master && s->devs[i].address.len == a.len &&
		    !memcmp(s->devs[i].address.data, a.data, a.len))
			return true;
	return false;
}

/* The entry that a bridge makes for the address of each port and for its own (fdb_add_local). Which of two ports
 * holds an address that they share depends on the order in which they came. */
static bool is_local_entry(const struct net_scan *s, const struct nlmsghdr *h,
			   const struct ndmsg *ndm)
{
	const struct nlattr *lladdr = nl_attr_find(nl_attrs(h, sizeof(*ndm)), NDA_LLADDR);
	struct span a = lladdr ? nl_attr_data(lladdr) : (struct span){NULL, 0};

	if (!(ndm->ndm_state & NUD_PERMANENT) || ndm->ndm_flags & NTF_SELF || !a.len ||
	    is_of_set_address(s, h, ndm, a))
		return false;
	for (size_t i = 0; i < s->n_devs; i++)
		if ((s->devs[i].has_master || !strcmp(s->devs[i].kind, "bridge")) &&
		    s->devs[i].address.len == a.len &&
		    !memcmp(s->devs[i].address.data, a.data, a.len))
			return true;
	return false;
}

static int scan_fdb(struct net_scan *s, struct err *e)
{
	struct ndmsg fdb = {.ndm_family = AF_BRIDGE};
	auto_buf struct buf all = {0};
	const struct nlmsghdr *h;
	size_t off = 0;

	if (net_scan_dump(s, RTM_GETNEIGH, &fdb, sizeof(fdb), &all, "forwarding database", e))
		return -1;
	while ((h = nl_msg_next(buf_span(&all), &off))) {
		const struct ndmsg *ndm = (const void *)((const uint8_t *)h + NLMSG_HDRLEN);

		if (h->nlmsg_len >= NLMSG_HDRLEN + sizeof(*ndm) && !is_local_entry(s, h, ndm) &&
		    net_msg_add(&s->other, h, e))
			return -1;
	}
	return 0;
}

/* Each as a request of its own; a dump tells all of a device in one message. */
static int vnis_add(struct net_scan *s, const struct nlmsghdr *h, struct err *e)
{
	const struct tunnel_msg *of = (const void *)((const uint8_t *)h + NLMSG_HDRLEN);
	struct tunnel_msg tunnel = {.family = AF_BRIDGE, .ifindex = of->ifindex};
	struct span attrs = nl_attrs(h, sizeof(*of));
	const struct nlattr *vni;
	size_t off = 0;

	while ((vni = nl_attr_next(attrs, &off))) {
		if ((vni->nla_type & NLA_TYPE_MASK) != VXLAN_VNIFILTER_ENTRY)
			continue;
		if (nl_msg_begin(&s->req, RTM_NEWTUNNEL, 0, &tunnel, sizeof(tunnel), e) ||
		    nl_put(&s->req, NLA_F_NESTED | VXLAN_VNIFILTER_ENTRY, nl_attr_data(vni).data,
			   nl_attr_data(vni).len, e) ||
		    net_req_keep(s, e))
			return -1;
	}
	return 0;
}

static int scan_vnis(struct net_scan *s, struct err *e)
{
	struct tunnel_msg tunnel = {.family = AF_BRIDGE};
	auto_buf struct buf all = {0};
	const struct nlmsghdr *h;
	size_t off = 0;

	if (nl_msg_begin(&s->req, RTM_GETTUNNEL, 0, &tunnel, sizeof(tunnel), e) ||
	    nl_dump_raw(s->rt, &s->req, &all, "VNIs of vxlan devices", e))
		return -1;
	while ((h = nl_msg_next(buf_span(&all), &off)))
		if (h->nlmsg_len >= NLMSG_HDRLEN + sizeof(tunnel) && vnis_add(s, h, e))
			return -1;
	return 0;
}

static bool has_vnis(const struct net_scan *s)
{
	for (size_t i = 0; i < s->n_devs; i++)
		if (s->devs[i].has_vnis)
			return true;
	return false;
}

static bool has_vlans(const struct net_scan *s)
{
	for (size_t i = 0; i < s->n_devs; i++)
		if (s->devs[i].has_vlans)
			return true;
	return false;
}

int net_scan_bridges(struct net_scan *s, struct err *e)
{
	if (scan_fdb(s, e) || (has_vnis(s) && scan_vnis(s, e)) ||
	    (has_vlans(s) && scan_vlans(s, e)))
		return -1;
	return has_kind(s, "bridge") || has_kind(s, "vxlan") ? scan_groups(s, e) : 0;
}

/* A line of /proc/net/dev_mcast (net/core/net-procfs.c, dev_mc_seq_show): ifindex, name, users, "static", and
 * the address in hex. */
static int maddress_line(struct net_scan *s, char *line, struct err *e)
{
	char *save = NULL, *word[5];
	struct ifaddrmsg ifa = {.ifa_family = AF_PACKET};
	uint8_t addr[32];
	size_t len;

	for (size_t i = 0; i < ARRAY_SIZE(word); i++) {
		word[i] = strtok_r(i ? NULL : line, " \t", &save);
		if (!word[i])
			return 0;
	}
	if (!atoi(word[3]))
		return 0; /* of a protocol or a socket, which will ask for it again */
	len = strlen(word[4]) / 2;
	for (size_t i = 0; i < len && i < sizeof(addr); i++)
		if (sscanf(word[4] + 2 * i, "%2hhx", &addr[i]) != 1)
			return err_set(e, ERR_FORMAT, "/proc/net/dev_mcast: address %s", word[4]);
	ifa.ifa_index = (uint32_t)strtoul(word[0], NULL, 10);
	if (len > sizeof(addr) ||
	    nl_msg_begin(&s->req, RTA_MSG_MADDRESS, 0, &ifa, sizeof(ifa), e) ||
	    nl_put(&s->req, IFA_MULTICAST, addr, len, e))
		return -1;
	return net_req_keep(s, e);
}

/* Those that somebody asked for by themselves (ip maddress): rtnetlink does not tell them from others. */
int net_scan_maddresses(struct net_scan *s, struct err *e)
{
	auto_buf struct buf all = {0};
	char *save = NULL, *line;

	if (io_read_file(AT_FDCWD, "/proc/thread-self/net/dev_mcast", MADDRESSES_MAX, &all, e))
		return -1;
	for (line = all.data ? strtok_r((char *)all.data, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save))
		if (maddress_line(s, line, e))
			return -1;
	return 0;
}
