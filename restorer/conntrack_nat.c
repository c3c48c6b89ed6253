#include "restorer/conntrack_nat.h"

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdint.h>
#include <string.h>

#include "base/nl.h"
#include "proto/rta.h"

/* One end: an address and, where the protocol has such a thing, a port. */
struct end {
	struct span addr, port;
};

/* Where addresses and ports are in a tuple; dst: 1. */
static struct end end_of(struct span msg, uint16_t tuple, int dst)
{
	static const uint16_t v4[] = {CTA_IP_V4_SRC, CTA_IP_V4_DST};
	static const uint16_t v6[] = {CTA_IP_V6_SRC, CTA_IP_V6_DST};
	static const uint16_t ids[] = {CTA_PROTO_ICMP_ID, CTA_PROTO_ICMPV6_ID};
	static const uint16_t ports[] = {CTA_PROTO_SRC_PORT, CTA_PROTO_DST_PORT};
	struct end out = {.addr = rta_get(msg, RTA_PATH(tuple, CTA_TUPLE_IP, v4[dst]))};

	if (!out.addr.len)
		out.addr = rta_get(msg, RTA_PATH(tuple, CTA_TUPLE_IP, v6[dst]));
	out.port = rta_get(msg, RTA_PATH(tuple, CTA_TUPLE_PROTO, ports[dst]));
	for (int i = 0; i < 2 && !out.port.len; i++)
		out.port = rta_get(msg, RTA_PATH(tuple, CTA_TUPLE_PROTO, ids[i]));
	return out;
}

/* One of the ends of the reply becomes what it would be without translation. */
static int set_reply_end(struct buf *msg, int dst, const struct end *to, struct err *e)
{
	bool v6 = to->addr.len == 16;
	uint16_t addr = v6    ? (dst ? CTA_IP_V6_DST : CTA_IP_V6_SRC)
			: dst ? CTA_IP_V4_DST
			      : CTA_IP_V4_SRC;
	const uint16_t ports[] = {dst ? CTA_PROTO_DST_PORT : CTA_PROTO_SRC_PORT, CTA_PROTO_ICMP_ID,
				  CTA_PROTO_ICMPV6_ID};

	if (rta_put(msg, RTA_PATH(CTA_TUPLE_REPLY, CTA_TUPLE_IP, addr), to->addr.data, to->addr.len,
		    e))
		return -1;
	for (size_t i = 0; i < 3; i++) {
		const uint16_t path[] = {CTA_TUPLE_REPLY, CTA_TUPLE_PROTO, ports[i], 0};

		if (rta_get(buf_span(msg), path).len && to->port.len)
			return rta_put(msg, path, to->port.data, to->port.len, e);
	}
	return 0;
}

/* Translate to this very address and port. */
static int put_range(struct buf *msg, uint16_t type, const struct end *to, struct err *e)
{
	bool v6 = to->addr.len == 16;
	size_t nat, proto;

	return nl_nest_begin(msg, type, &nat, e) ||
			       nl_put(msg, v6 ? CTA_NAT_V6_MINIP : CTA_NAT_V4_MINIP, to->addr.data,
				      to->addr.len, e) ||
			       nl_put(msg, v6 ? CTA_NAT_V6_MAXIP : CTA_NAT_V4_MAXIP, to->addr.data,
				      to->addr.len, e) ||
			       (to->port.len && (nl_nest_begin(msg, CTA_NAT_PROTO, &proto, e) ||
						 nl_put(msg, CTA_PROTONAT_PORT_MIN, to->port.data,
							to->port.len, e) ||
						 nl_put(msg, CTA_PROTONAT_PORT_MAX, to->port.data,
							to->port.len, e) ||
						 nl_nest_end(msg, proto, e))) ||
			       nl_nest_end(msg, nat, e)
		       ? -1
		       : 0;
}

int conntrack_nat(struct buf *msg, struct err *e)
{
	struct span bits = rta_get(buf_span(msg), RTA_PATH(CTA_STATUS));
	uint8_t was[2][2][16]; /* [src, dst][address, port] */
	struct buf add = {0};
	uint32_t status = 0;
	int ret = 0;

	for (size_t i = 0; i < bits.len && bits.len == 4; i++)
		status = status << 8 | bits.data[i];
	if (!(status & (IPS_NAT_MASK | IPS_NAT_DONE_MASK)))
		return 0;
	/* a reply goes to what the source became, and comes from what the destination became */
	for (int dst = 0; dst < 2 && !ret; dst++) {
		struct end became = end_of(buf_span(msg), CTA_TUPLE_REPLY, !dst);

		if (became.addr.len && (status & (dst ? IPS_DST_NAT : IPS_SRC_NAT) ||
					(!dst && !(status & IPS_NAT_MASK))))
			ret = put_range(&add, dst ? CTA_NAT_DST : CTA_NAT_SRC, &became, e);
	}
	for (int dst = 0; dst < 2 && !ret && status & IPS_NAT_MASK; dst++) {
		struct end orig = end_of(buf_span(msg), CTA_TUPLE_ORIG, dst);

		if (orig.addr.len > 16 || orig.port.len > 16)
			continue;
		memcpy(was[dst][0], orig.addr.data, orig.addr.len);
		if (orig.port.len)
			memcpy(was[dst][1], orig.port.data, orig.port.len);
		orig.addr.data = was[dst][0];
		orig.port.data = was[dst][1];
		ret = orig.addr.len ? set_reply_end(msg, !dst, &orig, e) : 0;
	}
	if (!ret)
		ret = buf_add(msg, add.data, add.len, e);
	if (!ret)
		((struct nlmsghdr *)msg->data)->nlmsg_len = (uint32_t)msg->len;
	buf_free(&add);
	return ret;
}
