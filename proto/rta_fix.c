/* From what the kernel dumps to what it takes: the general filter, and the cases where the two differ in form.
 * Each case says where the kernel code is. */
#include "proto/rta_tables.h"

#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/nexthop.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

/* --- fixes of one set: what is in out from start on is one level --- */

/* Where the first attribute of that number begins, with its whole size; false when there is none. */
static bool find_in(const struct buf *out, size_t start, uint16_t type, size_t *at, size_t *size)
{
	struct span all = {out->data + start, out->len - start};
	struct err ignored = ERR_INIT;
	struct rta_item it;
	size_t off = 0;

	while (rta_item_next(all, &off, &it, &ignored) > 0) {
		if (it.type != type)
			continue;
		*at = start + it.at;
		*size = it.size;
		return true;
	}
	return false;
}

static int drop_in(struct buf *out, size_t start, uint16_t type, struct err *e)
{
	size_t at, size;

	if (!find_in(out, start, type, &at, &size))
		return 0;
	return buf_splice(out, at, size, NULL, 0, e);
}

static uint32_t u32_of(struct span s)
{
	uint32_t v;

	if (!s.data || s.len < sizeof(v))
		return 0;
	memcpy(&v, s.data, sizeof(v));
	return v;
}

/* A kind is validated with its data (vxlan_validate refuses none), so a change without data has no kind. */
int rta_fix_link_info(struct span in, const void *hdr, enum rta_purpose purpose, struct buf *out,
		      size_t start, struct err *e)
{
	size_t at, size;

	if (purpose == RTA_FOR_CREATE || find_in(out, start, IFLA_INFO_DATA, &at, &size))
		return 0;
	return drop_in(out, start, IFLA_INFO_KIND, e);
}

/* net/bridge/br.c: br_boolopt_toggle fails with EOPNOTSUPP for what the kernel was built without (vlan
 * filtering), also when it is to be switched off. All of them are off in a new bridge, so the mask is cut down
 * to those that are on. */
int rta_fix_bridge(struct span in, const void *hdr, enum rta_purpose purpose, struct buf *out,
		   size_t start, struct err *e)
{
	struct br_boolopt_multi opt;
	size_t at, size;

	if (!find_in(out, start, IFLA_BR_MULTI_BOOLOPT, &at, &size) ||
	    size < NLA_HDRLEN + sizeof(opt))
		return 0;
	memcpy(&opt, out->data + at + NLA_HDRLEN, sizeof(opt));
	opt.optmask &= opt.optval;
	if (!opt.optmask)
		return drop_in(out, start, IFLA_BR_MULTI_BOOLOPT, e);
	memcpy(out->data + at + NLA_HDRLEN, &opt, sizeof(opt));
	return 0;
}

/* drivers/net/macvlan.c: the list of sources is only read together with IFLA_MACVLAN_MACADDR_MODE, which
 * is not dumped. */
int rta_fix_macvlan(struct span in, const void *hdr, enum rta_purpose purpose, struct buf *out,
		    size_t start, struct err *e)
{
	uint32_t mode = MACVLAN_MACADDR_SET;
	size_t at, size;

	if (!find_in(out, start, IFLA_MACVLAN_MACADDR_DATA, &at, &size))
		return 0;
	return rta_item_add(out, IFLA_MACVLAN_MACADDR_MODE, &mode, sizeof(mode), e);
}

/* drivers/net/bonding/bond_options.c: bond_opt_check_deps refuses an option that the mode does not have, also
 * when its value is the default that bond_fill_info dumped. */
struct bond_option {
	uint16_t attr;
	uint8_t modes; /* bit of each mode that takes it */
};
#define BOND_RR    0x01
#define BOND_AB    0x02
#define BOND_LACP  0x10
#define BOND_TLB   0x20
#define BOND_ALB   0x40
#define BOND_NOARP (BOND_LACP | BOND_TLB | BOND_ALB)

static const struct bond_option bond_options[] = {
	{IFLA_BOND_PACKETS_PER_SLAVE, BOND_RR},
	{IFLA_BOND_ARP_INTERVAL, 0x7f & ~BOND_NOARP},
	{IFLA_BOND_ARP_VALIDATE, 0x7f & ~BOND_NOARP},
	{IFLA_BOND_MISSED_MAX, 0x7f & ~BOND_NOARP},
	{IFLA_BOND_PRIMARY, BOND_AB | BOND_TLB | BOND_ALB},
	{IFLA_BOND_PRIMARY_RESELECT, BOND_AB | BOND_TLB | BOND_ALB},
	{IFLA_BOND_AD_LACP_RATE, BOND_LACP},
	{IFLA_BOND_AD_LACP_ACTIVE, BOND_LACP},
	{IFLA_BOND_AD_ACTOR_SYS_PRIO, BOND_LACP},
	{IFLA_BOND_AD_ACTOR_SYSTEM, BOND_LACP},
	{IFLA_BOND_AD_USER_PORT_KEY, BOND_LACP},
	{IFLA_BOND_COUPLED_CONTROL, BOND_LACP},
	{IFLA_BOND_TLB_DYNAMIC_LB, BOND_TLB | BOND_ALB},
};

int rta_fix_bond(struct span in, const void *hdr, enum rta_purpose purpose, struct buf *out,
		 size_t start, struct err *e)
{
	struct span mode = rta_item_find(in, IFLA_BOND_MODE);
	uint8_t bit = mode.len == 1 && mode.data[0] < 7 ? (uint8_t)(1u << mode.data[0]) : 0;
	size_t i;

	for (i = 0; bit && i < ARRAY_SIZE(bond_options); i++)
		if (!(bond_options[i].modes & bit) && drop_in(out, start, bond_options[i].attr, e))
			return -1;
	return 0;
}

/* net/ipv4/fib_frontend.c and net/ipv6/route.c: with a nexthop id the next hop itself, which the kernel dumps
 * too, is refused. An IPv6 route that expires has the rest of its life in RTA_CACHEINFO, in clock ticks, and
 * takes it in RTA_EXPIRES, in seconds. */
int rta_fix_route(struct span in, const void *hdr, enum rta_purpose purpose, struct buf *out,
		  size_t start, struct err *e)
{
	static const uint16_t hop[] = {RTA_OIF,  RTA_GATEWAY, RTA_VIA,       RTA_MULTIPATH,
				       RTA_FLOW, RTA_ENCAP,   RTA_ENCAP_TYPE};
	const struct rtmsg *rtm = hdr;
	struct span cache = rta_item_find(in, RTA_CACHEINFO);
	struct rta_cacheinfo ci;
	uint32_t seconds, ticks = (uint32_t)sysconf(_SC_CLK_TCK);
	size_t i;

	for (i = 0; rta_item_find(in, RTA_NH_ID).data && i < ARRAY_SIZE(hop); i++)
		if (drop_in(out, start, hop[i], e))
			return -1;
	if (rtm->rtm_family != AF_INET6 || cache.len < sizeof(ci) ||
	    rta_item_find(in, RTA_EXPIRES).data)
		return 0;
	memcpy(&ci, cache.data, sizeof(ci));
	if ((int32_t)ci.rta_expires <= 0 || !ticks)
		return 0;
	seconds = ((uint32_t)ci.rta_expires + ticks - 1) / ticks;
	return rta_item_add(out, RTA_EXPIRES, &seconds, sizeof(seconds), e);
}

/* The kernel dumps the encapsulation of a next hop object without the flag that it asks for (rtm_nh_policy_new in
 * net/ipv4/nexthop.c). */
int rta_fix_nexthop(struct span in, const void *hdr, enum rta_purpose purpose, struct buf *out,
		    size_t start, struct err *e)
{
	size_t at, size;

	if (find_in(out, start, NHA_ENCAP, &at, &size))
		((struct nlattr *)(out->data + at))->nla_type |= NLA_F_NESTED;
	return 0;
}

/* net/sched/sch_htb.c: htb_dump puts HTB_VER, 0x30011, htb_init compares with HTB_VER >> 16. */
int rta_fix_htb(struct span in, const void *hdr, enum rta_purpose purpose, struct buf *out,
		size_t start, struct err *e)
{
	size_t at, size;
	uint32_t version;

	if (!find_in(out, start, TCA_HTB_INIT, &at, &size) || size < NLA_HDRLEN + 4)
		return 0;
	version = u32_of((struct span){out->data + at + NLA_HDRLEN, 4});
	if (version > 0xffff)
		version >>= 16;
	memcpy(out->data + at + NLA_HDRLEN, &version, sizeof(version));
	return 0;
}

/* --- the filter --- */

struct filter {
	enum rta_purpose purpose;
	const void *hdr;
	struct span have; /* RTA_FOR_CHANGE: attributes of the object that is there, at the top */
	bool only_set;    /* RTA_FOR_SET: only members flagged RTAF_SET */
};

static int filter_level(const struct filter *f, const struct rta_set *set, struct span all,
			struct buf *out, struct err *e);

/* Fields and bits that the kernel fills in become 0. */
static void clear_fields(const struct rta_struct *rec, uint8_t *data, size_t len)
{
	size_t i;

	for (i = 0; i < rec->n_fields; i++) {
		const struct rta_field *f = &rec->field[i];

		if ((size_t)f->off + f->len > len)
			continue;
		if (f->flags & RTAF_RO)
			memset(data + f->off, 0, f->len);
		else if (f->ro)
			rta_int_write(f->type, data + f->off,
				      rta_int_read(f->type, data + f->off) & ~(int64_t)f->ro);
	}
}

static int filter_list(const struct filter *f, const struct rta_attr *row, struct span all,
		       struct buf *out, struct err *e)
{
	struct rta_item it;
	size_t off = 0, at;
	int r;

	while ((r = rta_item_next(all, &off, &it, e)) > 0)
		if (rta_item_begin(out, it.raw_type, &at, e) ||
		    (row->elem->type == RTAT_NEST ? filter_level(f, row->elem->set, it.data, out, e)
						  : buf_add(out, it.data.data, it.data.len, e)) ||
		    rta_item_end(out, at, e))
			return -1;
	return r;
}

static int filter_multipath(const struct filter *f, const struct rta_attr *row, struct span all,
			    struct buf *out, struct err *e)
{
	struct rtnexthop nh;
	size_t off, start;

	for (off = 0; off + sizeof(nh) <= all.len; off += RTNH_ALIGN(nh.rtnh_len)) {
		struct span attrs;

		memcpy(&nh, all.data + off, sizeof(nh));
		if (nh.rtnh_len < sizeof(nh) || nh.rtnh_len > all.len - off)
			return err_set(e, ERR_FORMAT, "multipath: length %u does not fit",
				       nh.rtnh_len);
		attrs = (struct span){all.data + off + sizeof(nh), nh.rtnh_len - sizeof(nh)};
		if (rta_item_find(attrs, RTA_MULTIPATH).data)
			return err_set(e, ERR_FORMAT, "multipath inside a next hop");
		nh.rtnh_flags &= RTNH_F_ONLINK | RTNH_F_PERVASIVE;
		start = out->len;
		if (buf_add(out, &nh, sizeof(nh), e) || filter_level(f, row->set, attrs, out, e))
			return -1;
		nh.rtnh_len = (uint16_t)(out->len - start);
		memcpy(out->data + start, &nh, sizeof(nh));
	}
	return 0;
}

static int filter_payload(const struct filter *f, const struct rta_attr *row, struct span data,
			  struct buf *out, struct err *e)
{
	struct filter inner = *f;
	size_t start = out->len;

	inner.have = (struct span){NULL, 0};
	if (row->flags & RTAF_SET)
		inner.only_set = false;
	switch ((enum rta_type)row->type) {
	case RTAT_NEST:
		return filter_level(&inner, row->set, data, out, e);
	case RTAT_LIST:
		return filter_list(f, row, data, out, e);
	case RTAT_MULTIPATH:
		return filter_multipath(f, row, data, out, e);
	case RTAT_STRUCT:
		if (buf_add(out, data.data, data.len, e))
			return -1;
		clear_fields(row->rec, out->data + start, data.len);
		return 0;
	default:
		if (row->flags & RTAF_ASFLAG)
			return 0;
		if (buf_add(out, data.data, data.len, e))
			return -1;
		if (row->ro && data.len == 4)
			rta_int_write(RTAT_U32, out->data + start,
				      rta_int_read(RTAT_U32, data.data) & ~(int64_t)row->ro);
		return 0;
	}
}

static bool is_sent(const struct filter *f, const struct rta_attr *row, struct span data)
{
	unsigned never = RTAF_RO | (f->purpose == RTA_FOR_CREATE ? RTAF_SET : RTAF_CREATE);

	if (row->flags & never)
		return false;
	if (f->only_set && !(row->flags & RTAF_SET) && row->type != RTAT_NEST)
		return false;
	return !(row->flags & (RTAF_NZ | RTAF_ASFLAG)) || !span_is_zero(data);
}

/* The object that is there has the same already. */
static bool is_there(const struct filter *f, const struct rta_item *it)
{
	struct span have = rta_item_find(f->have, it->type);

	return have.data && !it->nth && have.len == it->data.len &&
	       !memcmp(have.data, it->data.data, have.len);
}

static int filter_level(const struct filter *f, const struct rta_set *set, struct span all,
			struct buf *out, struct err *e)
{
	size_t off = 0, start = out->len, at;
	struct rta_item it;
	int r;

	while ((r = rta_item_next(all, &off, &it, e)) > 0) {
		struct rta_attr row = rta_attr_row(set, it.type, all);

		if (!is_sent(f, &row, it.data) || is_there(f, &it))
			continue;
		if (rta_item_begin(out, it.raw_type, &at, e) ||
		    filter_payload(f, &row, it.data, out, e))
			return -1;
		/* a nest of which nothing is left says nothing */
		if (row.type == RTAT_NEST && it.data.len && out->len == at + NLA_HDRLEN)
			out->len = at;
		else if (rta_item_end(out, at, e))
			return -1;
	}
	if (r)
		return -1;
	return set->fix ? set->fix(all, f->hdr, f->purpose, out, start, e) : 0;
}

/* tcm_info of a qdisc is its reference count, of a class its leaf qdisc; only a filter takes it. Flags of a
 * link would be set at once, without ifi_change all of them (rtnl_configure_link): when it goes up is for
 * the caller to say. */
static void fix_header(const struct rta_msg *m, void *hdr)
{
	if (m->nl_type == RTM_NEWQDISC || m->nl_type == RTM_NEWTCLASS)
		((struct tcmsg *)hdr)->tcm_info = 0;
	if (m->nl_type == RTM_NEWLINK)
		((struct ifinfomsg *)hdr)->ifi_flags = 0;
}

static int filter_msg(struct span msg, struct filter *f, struct buf *out, struct err *e)
{
	auto_buf struct buf work = {0};
	const struct rta_msg *m = rta_msg_find(msg);
	size_t n = rta_hdr_len(m);
	union {
		struct nlmsghdr nl;
		uint64_t align;
		uint8_t bytes[128];
	} h;
	bool ret;

	memcpy(h.bytes, msg.data, n);
	h.nl.nlmsg_flags = 0;
	h.nl.nlmsg_seq = h.nl.nlmsg_pid = 0;
	clear_fields(m->hdr, h.bytes + sizeof(h.nl), m->hdr->size);
	fix_header(m, h.bytes + sizeof(h.nl));
	f->hdr = h.bytes + sizeof(h.nl);
	ret = buf_add(&work, h.bytes, n, e) ||
	      filter_level(f, m->set, rta_attrs_of(m, msg), &work, e);
	f->hdr = NULL;
	if (ret)
		return -1;
	h.nl.nlmsg_len = (uint32_t)work.len;
	memcpy(work.data, &h.nl, sizeof(h.nl));
	return buf_add(out, work.data, work.len, e);
}

int rta_filter(struct span msg, enum rta_purpose purpose, struct buf *out, struct err *e)
{
	struct filter f = {.purpose = purpose, .only_set = purpose == RTA_FOR_SET};

	return rta_check(msg, e) ? -1 : filter_msg(msg, &f, out, e);
}

int rta_change(struct span want, struct span have, struct buf *out, struct err *e)
{
	struct filter f = {.purpose = RTA_FOR_CHANGE};

	if (rta_check(want, e) || rta_check(have, e))
		return -1;
	f.have = rta_attrs_of(rta_msg_find(have), have);
	return filter_msg(want, &f, out, e);
}

/* --- new tracked connections --- */

/* As invmap of nf_conntrack_proto_icmp.c and nf_conntrack_proto_icmpv6.c: what answers what. */
static uint8_t answer_of(uint8_t type)
{
	static const uint8_t pairs[][2] = {
		{ICMP_ECHO, ICMP_ECHOREPLY},
		{ICMP_TIMESTAMP, ICMP_TIMESTAMPREPLY},
		{ICMP_INFO_REQUEST, ICMP_INFO_REPLY},
		{ICMP_ADDRESS, ICMP_ADDRESSREPLY},
		{ICMPV6_ECHO_REQUEST, ICMPV6_ECHO_REPLY},
		{ICMPV6_NI_QUERY, ICMPV6_NI_REPLY},
	};

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		for (int k = 0; k < 2; k++)
			if (pairs[i][k] == type)
				return pairs[i][!k];
	return type;
}

int rta_row_complete(struct buf *msg, struct err *e)
{
	static const struct {
		uint16_t nest, to, from;
	} parts[] = {
		{CTA_TUPLE_IP, CTA_IP_V4_SRC, CTA_IP_V4_DST},
		{CTA_TUPLE_IP, CTA_IP_V4_DST, CTA_IP_V4_SRC},
		{CTA_TUPLE_IP, CTA_IP_V6_SRC, CTA_IP_V6_DST},
		{CTA_TUPLE_IP, CTA_IP_V6_DST, CTA_IP_V6_SRC},
		{CTA_TUPLE_PROTO, CTA_PROTO_NUM, CTA_PROTO_NUM},
		{CTA_TUPLE_PROTO, CTA_PROTO_SRC_PORT, CTA_PROTO_DST_PORT},
		{CTA_TUPLE_PROTO, CTA_PROTO_DST_PORT, CTA_PROTO_SRC_PORT},
		{CTA_TUPLE_PROTO, CTA_PROTO_ICMP_ID, CTA_PROTO_ICMP_ID},
		{CTA_TUPLE_PROTO, CTA_PROTO_ICMP_TYPE, CTA_PROTO_ICMP_TYPE},
		{CTA_TUPLE_PROTO, CTA_PROTO_ICMP_CODE, CTA_PROTO_ICMP_CODE},
		{CTA_TUPLE_PROTO, CTA_PROTO_ICMPV6_ID, CTA_PROTO_ICMPV6_ID},
		{CTA_TUPLE_PROTO, CTA_PROTO_ICMPV6_TYPE, CTA_PROTO_ICMPV6_TYPE},
		{CTA_TUPLE_PROTO, CTA_PROTO_ICMPV6_CODE, CTA_PROTO_ICMPV6_CODE},
	};
	const struct rta_msg *m = rta_msg_find(buf_span(msg));

	for (size_t i = 0; m && m->set == &rta_set_ct && i < ARRAY_SIZE(parts); i++) {
		const uint16_t to[] = {CTA_TUPLE_REPLY, parts[i].nest, parts[i].to, 0};
		const uint16_t from[] = {CTA_TUPLE_ORIG, parts[i].nest, parts[i].from, 0};
		struct span v = rta_get(buf_span(msg), from);
		uint8_t bytes[16];

		if (!v.len || v.len > sizeof(bytes) || rta_get(buf_span(msg), to).data)
			continue;
		memcpy(bytes, v.data, v.len);
		if (parts[i].to == CTA_PROTO_ICMP_TYPE || parts[i].to == CTA_PROTO_ICMPV6_TYPE)
			bytes[0] = answer_of(bytes[0]);
		if (rta_put(msg, to, bytes, v.len, e))
			return -1;
	}
	return 0;
}
