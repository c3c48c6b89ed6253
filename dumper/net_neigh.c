/* Neighbours, proxy neighbours, fdb, bridge vlans and multicast groups. */
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "dumper/net_scan.h"

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

/* The message of each bridge, if it has groups at all. */
static int scan_groups(struct net_scan *s, struct err *e)
{
	struct br_port_msg bpm = {.family = AF_BRIDGE};
	auto_buf struct buf all = {0};
	const struct nlmsghdr *h;
	size_t off = 0;

	/* the answers of bridges have family 0 (br_mdb_dump), those of vxlan AF_BRIDGE */
	if (nl_msg_begin(&s->req, RTM_GETMDB, 0, &bpm, sizeof(bpm), e) ||
	    nl_dump_raw(s->rt, &s->req, &all, "multicast groups", e))
		return -1;
	while ((h = nl_msg_next(buf_span(&all), &off))) {
		const struct nlattr *mdb = nl_attr_find(nl_attrs(h, sizeof(bpm)), MDBA_MDB);

		if (mdb && nl_attr_data(mdb).len && net_msg_add(&s->other, h, e))
			return -1;
	}
	return 0;
}

int net_scan_bridges(struct net_scan *s, struct err *e)
{
	struct ndmsg fdb = {.ndm_family = AF_BRIDGE};

	if (net_scan_dump(s, RTM_GETNEIGH, &fdb, sizeof(fdb), &s->other, "forwarding database", e))
		return -1;
	if (has_kind(s, "bridge") && scan_vlans(s, e))
		return -1;
	return has_kind(s, "bridge") || has_kind(s, "vxlan") ? scan_groups(s, e) : 0;
}
