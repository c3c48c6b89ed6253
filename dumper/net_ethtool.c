/* Features of devices that somebody switched (ethtool -K), by netlink: Documentation/networking/ethtool-netlink.rst.
 *
 * What is wanted of a device is told, and not whether somebody asked for it: so it is compared with a new device of its kind,
 * made in a fresh namespace. Of kinds that are made over another device that would be that device's doing, so they are not
 * looked at. */
#include <linux/ethtool.h>
#include <linux/ethtool_netlink.h>
#include <linux/genetlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "dumper/net_scan.h"
#include "proto/rta.h"

/* Kinds that take no features from another device. */
static const char *const kinds[] = {"veth", "bridge", "vxlan", "dummy", "ifb"};

enum { BITS_MAX = 256, KINDS = ARRAY_SIZE(kinds) };

struct bits {
	uint32_t word[BITS_MAX / 32];
};

struct net_features {
	char *name[BITS_MAX]; /* of each bit, in this kernel; NULL: none */
	struct bits wanted[KINDS];
	bool has[KINDS];
};

void net_features_free(struct net_features *f)
{
	for (size_t i = 0; f && i < BITS_MAX; i++)
		free(f->name[i]);
	free(f);
}

static struct span nested(struct span attrs, uint16_t attr)
{
	return nl_attr_data(nl_attr_find(attrs, attr));
}

static uint32_t number(struct span attrs, uint16_t attr)
{
	return nl_attr_u32(nl_attr_find(attrs, attr));
}

/* One string of the set: its index and text. */
static int name_add(struct net_features *f, struct span string, struct err *e)
{
	uint32_t at = number(string, ETHTOOL_A_STRING_INDEX);
	struct span text = nested(string, ETHTOOL_A_STRING_VALUE);

	if (at >= BITS_MAX || !text.len || text.data[text.len - 1] || f->name[at])
		return 0;
	f->name[at] = strdup((const char *)text.data);
	return f->name[at] ? 0 : err_set(e, ERR_NOMEM, "names of features");
}

static int names_read(struct net_features *f, struct nl *nl, uint16_t family, struct err *e)
{
	struct genlmsghdr g = {.cmd = ETHTOOL_MSG_STRSET_GET, .version = ETHTOOL_GENL_VERSION};
	auto_buf struct buf req = {0}, reply = {0};
	const struct nlattr *a;
	size_t header, sets, set, off = 0;
	struct span strings;

	if (nl_msg_begin(&req, family, 0, &g, sizeof(g), e) ||
	    nl_nest_begin(&req, ETHTOOL_A_STRSET_HEADER, &header, e) ||
	    nl_nest_end(&req, header, e) ||
	    nl_nest_begin(&req, ETHTOOL_A_STRSET_STRINGSETS, &sets, e) ||
	    nl_nest_begin(&req, ETHTOOL_A_STRINGSETS_STRINGSET, &set, e) ||
	    nl_put_u32(&req, ETHTOOL_A_STRINGSET_ID, ETH_SS_FEATURES, e) ||
	    nl_nest_end(&req, set, e) || nl_nest_end(&req, sets, e) ||
	    nl_get(nl, &req, &reply, "names of features", e))
		return -1;
	strings = nested(nested(nested(nl_attrs((const void *)reply.data, sizeof(g)),
				       ETHTOOL_A_STRSET_STRINGSETS),
				ETHTOOL_A_STRINGSETS_STRINGSET),
			 ETHTOOL_A_STRINGSET_STRINGS);
	while ((a = nl_attr_next(strings, &off)))
		if (name_add(f, nl_attr_data(a), e))
			return -1;
	return 0;
}

/* All devices of the namespace of nl, bit sets in their short form. */
static int features_dump(struct nl *nl, uint16_t family, struct buf *req, struct buf *all,
			 struct err *e)
{
	struct genlmsghdr g = {.cmd = ETHTOOL_MSG_FEATURES_GET, .version = ETHTOOL_GENL_VERSION};
	size_t header;

	return nl_msg_begin(req, family, 0, &g, sizeof(g), e) ||
			       nl_nest_begin(req, ETHTOOL_A_FEATURES_HEADER, &header, e) ||
			       nl_put_u32(req, ETHTOOL_A_HEADER_FLAGS, ETHTOOL_FLAG_COMPACT_BITSETS,
					  e) ||
			       nl_nest_end(req, header, e) ||
			       nl_dump_raw(nl, req, all, "features of devices", e)
		       ? -1
		       : 0;
}

static uint32_t ifindex_of(struct span attrs)
{
	return number(nested(attrs, ETHTOOL_A_FEATURES_HEADER), ETHTOOL_A_HEADER_DEV_INDEX);
}

static struct bits wanted_of(struct span attrs)
{
	struct span value =
		nested(nested(attrs, ETHTOOL_A_FEATURES_WANTED), ETHTOOL_A_BITSET_VALUE);
	struct bits b = {{0}};

	if (value.len)
		memcpy(&b, value.data, value.len < sizeof(b) ? value.len : sizeof(b));
	return b;
}

/* ---- a new device of each kind ---- */

static int kind_make(struct nl *nl, size_t kind, struct err *e)
{
	struct ifinfomsg ifi = {.ifi_family = AF_UNSPEC};
	auto_buf struct buf req = {0};
	char name[16];
	size_t info, data;

	snprintf(name, sizeof(name), "f%zu", kind);
	return nl_msg_begin(&req, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &ifi, sizeof(ifi), e) ||
			       nl_put_str(&req, IFLA_IFNAME, name, e) ||
			       nl_nest_begin(&req, IFLA_LINKINFO, &info, e) ||
			       nl_put_str(&req, IFLA_INFO_KIND, kinds[kind], e) ||
			       (!strcmp(kinds[kind], "vxlan") &&
				(nl_nest_begin(&req, IFLA_INFO_DATA, &data, e) ||
				 nl_put_u32(&req, IFLA_VXLAN_ID, 1, e) ||
				 nl_nest_end(&req, data, e))) ||
			       nl_nest_end(&req, info, e) || nl_do(nl, &req, "make device", e)
		       ? -1
		       : 0;
}

static void kinds_read(struct net_features *f, struct span all)
{
	const struct nlmsghdr *h;
	size_t off = 0;

	while ((h = nl_msg_next(all, &off))) {
		struct span attrs = nl_attrs(h, sizeof(struct genlmsghdr));
		struct span name =
			nested(nested(attrs, ETHTOOL_A_FEATURES_HEADER), ETHTOOL_A_HEADER_DEV_NAME);
		size_t kind;

		if (name.len == 3 && name.data[0] == 'f' &&
		    (kind = (size_t)(name.data[1] - '0')) < KINDS) {
			f->wanted[kind] = wanted_of(attrs);
			f->has[kind] = true;
		}
	}
}

struct net_features *net_features_learn(struct nl *rt, struct nl *genl, uint16_t family)
{
	struct net_features *f = calloc(1, sizeof(*f));
	auto_buf struct buf req = {0}, all = {0};
	struct err why = ERR_INIT;

	if (f && !names_read(f, genl, family, &why)) {
		/* a kernel without a kind has no devices of it */
		for (size_t i = 0; i < KINDS; i++)
			kind_make(rt, i, &(struct err)ERR_INIT);
		if (!features_dump(genl, family, &req, &all, &why)) {
			kinds_read(f, buf_span(&all));
			return f;
		}
	}
	net_features_free(f);
	return NULL;
}

/* ---- the devices of a namespace ---- */

/* Which features somebody switched, as the request that does it again: by name, since bits have other numbers in other
 * kernels. */
static int keep(struct net_scan *s, const struct net_features *f, uint32_t ifindex,
		const struct bits *is, const struct bits *was, struct err *e)
{
	struct genlmsghdr none = {0};
	size_t header, wanted, bits, one;

	if (nl_msg_begin(&s->req, RTA_MSG_FEATURES, 0, &none, sizeof(none), e) ||
	    nl_nest_begin(&s->req, ETHTOOL_A_FEATURES_HEADER, &header, e) ||
	    nl_put_u32(&s->req, ETHTOOL_A_HEADER_DEV_INDEX, ifindex, e) ||
	    nl_nest_end(&s->req, header, e) ||
	    nl_nest_begin(&s->req, ETHTOOL_A_FEATURES_WANTED, &wanted, e) ||
	    nl_nest_begin(&s->req, ETHTOOL_A_BITSET_BITS, &bits, e))
		return -1;
	for (uint32_t i = 0; i < BITS_MAX; i++) {
		uint32_t bit = 1u << (i % 32);

		if (!f->name[i] || !((is->word[i / 32] ^ was->word[i / 32]) & bit))
			continue;
		if (nl_nest_begin(&s->req, ETHTOOL_A_BITSET_BITS_BIT, &one, e) ||
		    nl_put_str(&s->req, ETHTOOL_A_BITSET_BIT_NAME, f->name[i], e) ||
		    (is->word[i / 32] & bit &&
		     nl_put(&s->req, ETHTOOL_A_BITSET_BIT_VALUE, NULL, 0, e)) ||
		    nl_nest_end(&s->req, one, e))
			return -1;
	}
	return nl_nest_end(&s->req, bits, e) || nl_nest_end(&s->req, wanted, e) ||
			       net_req_keep(s, e)
		       ? -1
		       : 0;
}

int net_scan_features(struct net_scan *s, struct err *e)
{
	const struct net_features *f = s->d->net->features;
	struct nl *nl = f ? net_socks_get(s->socks, NETLINK_GENERIC, e) : NULL;
	auto_buf struct buf all = {0};
	const struct nlmsghdr *h;
	size_t off = 0;

	if (!nl)
		return f ? -1 : 0;
	if (features_dump(nl, s->d->net->ethtool_family, &s->req, &all, e))
		return -1;
	while ((h = nl_msg_next(buf_span(&all), &off))) {
		struct span attrs = nl_attrs(h, sizeof(struct genlmsghdr));
		const struct net_dev *dev = net_dev_find(s, ifindex_of(attrs));
		struct bits is = wanted_of(attrs);

		for (size_t i = 0; dev && i < KINDS; i++)
			if (!strcmp(kinds[i], dev->kind) && f->has[i] &&
			    memcmp(&is, &f->wanted[i], sizeof(is)) &&
			    keep(s, f, dev->ifindex, &is, &f->wanted[i], e))
				return -1;
	}
	return 0;
}
