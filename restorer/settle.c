/* Settle steps: after everything was added, what the kernel made by itself and the image does not have goes
 * away, and what the image has and the kernel took away again comes back. */
#include "restorer/steps_net.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "proto/rta.h"

void settle_data_free(void *data)
{
	struct settle_data *d = data;

	if (!d)
		return;
	buf_free(&d->keys);
	buf_free(&d->msgs);
	free(d);
}

/* Header length and the attributes that do not tell two objects apart. */
struct key_row {
	uint16_t type;
	size_t hdr_len;
	uint16_t ignore[8]; /* ended by 0 */
};

static const struct key_row key_rows[] = {
	{RTM_NEWADDR, sizeof(struct ifaddrmsg), {0}},
	{RTM_NEWROUTE, sizeof(struct rtmsg), {RTA_CACHEINFO, RTA_EXPIRES, RTA_TABLE, RTA_PREF}},
	{RTM_NEWRULE, sizeof(struct fib_rule_hdr), {FRA_TABLE, FRA_PAD}},
};

static const struct key_row *key_row(uint16_t type)
{
	for (size_t i = 0; i < ARRAY_SIZE(key_rows); i++)
		if (key_rows[i].type == type)
			return &key_rows[i];
	return NULL;
}

static bool is_ignored(const struct key_row *row, uint16_t attr)
{
	for (const uint16_t *i = row->ignore; *i; i++)
		if (*i == attr)
			return true;
	return false;
}

/* Tables above 255 have their number in an attribute, others in the header or in both. */
static uint32_t table_of(const struct nlmsghdr *h, uint16_t attr, uint8_t in_header)
{
	struct span msg = {(const uint8_t *)h, h->nlmsg_len};

	return rta_get_u32(msg, (const uint16_t[]){attr, 0}, in_header);
}

static int key_header(const struct nlmsghdr *h, const struct key_row *row, struct buf *out,
		      struct err *e)
{
	const void *at = (const uint8_t *)h + NLMSG_HDRLEN;
	uint32_t table = 0;
	union {
		struct ifaddrmsg ifa;
		struct rtmsg rtm;
		struct fib_rule_hdr frh;
	} u;

	memset(&u, 0, sizeof(u));
	memcpy(&u, at, row->hdr_len);
	switch (row->type) {
	case RTM_NEWADDR:
		u.ifa.ifa_flags = 0;
		u.ifa.ifa_scope = 0;
		break;
	case RTM_NEWROUTE:
		table = table_of(h, RTA_TABLE, u.rtm.rtm_table);
		u.rtm.rtm_table = 0;
		u.rtm.rtm_flags = 0;
		break;
	case RTM_NEWRULE:
		table = table_of(h, FRA_TABLE, u.frh.table);
		u.frh.table = 0;
		u.frh.flags &= ~(uint32_t)(FIB_RULE_IIF_DETACHED | FIB_RULE_OIF_DETACHED |
					   FIB_RULE_UNRESOLVED);
		break;
	}
	return buf_add(out, &table, sizeof(table), e) || buf_add(out, &u, row->hdr_len, e) ? -1 : 0;
}

/* An IPv4 address has IFA_LOCAL always, an IPv6 one only with a peer; one that somebody wrote into the
 * database may have either. */
static int key_address(const struct nlmsghdr *h, struct buf *out, struct err *e)
{
	struct span attrs = nl_attrs(h, sizeof(struct ifaddrmsg));
	const struct nlattr *local = nl_attr_find(attrs, IFA_LOCAL);
	const struct nlattr *address = nl_attr_find(attrs, IFA_ADDRESS);
	struct span l = nl_attr_data(local ? local : address);
	struct span a = nl_attr_data(address ? address : local);

	return buf_add(out, l.data, l.len, e) || buf_add(out, a.data, a.len, e) ? -1 : 0;
}

static int by_type(const void *a, const void *b)
{
	const struct nlattr *const *x = a, *const *y = b;
	int tx = (*x)->nla_type & NLA_TYPE_MASK, ty = (*y)->nla_type & NLA_TYPE_MASK;

	return tx != ty ? tx - ty : (*x < *y ? -1 : *x > *y);
}

/* Multipath next hops carry flags of the moment (dead, linkdown) in struct rtnexthop. */
static int key_multipath(struct span v, struct buf *out, struct err *e)
{
	size_t start = out->len;

	if (buf_add(out, v.data, v.len, e))
		return -1;
	for (size_t off = 0; off + sizeof(struct rtnexthop) <= v.len;) {
		struct rtnexthop nh; /* the key is not aligned */

		memcpy(&nh, out->data + start + off, sizeof(nh));
		nh.rtnh_flags &= RTNH_F_ONLINK | RTNH_F_PERVASIVE;
		memcpy(out->data + start + off, &nh, sizeof(nh));
		if (nh.rtnh_len < sizeof(nh))
			break;
		off += RTNH_ALIGN(nh.rtnh_len);
	}
	return 0;
}

int settle_key(const struct nlmsghdr *h, struct buf *out, struct err *e)
{
	const struct key_row *row = key_row(h->nlmsg_type);
	const struct nlattr *list[64], *a;
	struct span attrs;
	size_t n = 0, off = 0;

	if (!row || h->nlmsg_len < NLMSG_HDRLEN + row->hdr_len)
		return err_set(e, ERR_FORMAT, "netlink message of type %u", h->nlmsg_type);
	if (key_header(h, row, out, e))
		return -1;
	if (row->type == RTM_NEWADDR)
		return key_address(h, out, e);
	attrs = nl_attrs(h, row->hdr_len);
	while ((a = nl_attr_next(attrs, &off)) && n < ARRAY_SIZE(list))
		if (!is_ignored(row, a->nla_type & NLA_TYPE_MASK))
			list[n++] = a;
	qsort(list, n, sizeof(list[0]), by_type);
	for (size_t i = 0; i < n; i++) {
		struct span v = nl_attr_data(list[i]);
		uint16_t type = list[i]->nla_type & NLA_TYPE_MASK;
		uint32_t len = v.len;

		/* The kernel leaves out a preferred metric of 0 for one family and not for the other. */
		if (row->type == RTM_NEWROUTE && type == RTA_PRIORITY && !nl_attr_u32(list[i]))
			continue;
		if (buf_add(out, &type, sizeof(type), e) || buf_add(out, &len, sizeof(len), e) ||
		    (row->type == RTM_NEWROUTE && type == RTA_MULTIPATH
			     ? key_multipath(v, out, e)
			     : buf_add(out, v.data, v.len, e)))
			return -1;
	}
	return 0;
}

int settle_add(struct settle_data *d, struct span dumped, struct span msg, struct err *e)
{
	auto_buf struct buf key = {0};
	uint32_t len;

	if (settle_key((const struct nlmsghdr *)dumped.data, &key, e))
		return -1;
	len = key.len;
	if (buf_add(&d->keys, &len, sizeof(len), e) || buf_add(&d->keys, key.data, key.len, e) ||
	    buf_add(&d->msgs, msg.data, msg.len, e))
		return -1;
	while (d->msgs.len & 3)
		if (buf_add(&d->msgs, "", 1, e))
			return -1;
	return 0;
}

/* Keys as sorted pointers, to look one up. */
struct key_index {
	const uint8_t **keys; /* each at its u32 length */
	size_t n;
};

static int key_cmp(const void *a, const void *b)
{
	const uint8_t *x = *(const uint8_t *const *)a, *y = *(const uint8_t *const *)b;
	uint32_t nx, ny;

	memcpy(&nx, x, 4);
	memcpy(&ny, y, 4);
	return nx != ny ? (nx < ny ? -1 : 1) : memcmp(x + 4, y + 4, nx);
}

static int key_index_make(struct key_index *ix, const struct buf *keys, struct err *e)
{
	size_t n = 0;
	uint32_t len;

	for (size_t off = 0; off < keys->len; off += 4 + len, n++)
		memcpy(&len, keys->data + off, 4);
	ix->keys = calloc(n + 1, sizeof(*ix->keys));
	if (!ix->keys)
		return err_set(e, ERR_NOMEM, "index of %zu objects", n);
	for (size_t off = 0; off < keys->len; off += 4 + len) {
		memcpy(&len, keys->data + off, 4);
		ix->keys[ix->n++] = keys->data + off;
	}
	if (ix->n)
		qsort(ix->keys, ix->n, sizeof(*ix->keys), key_cmp);
	return 0;
}

static bool key_index_has(const struct key_index *ix, const struct buf *key_with_len)
{
	const uint8_t *at = key_with_len->data;

	return ix->n && bsearch(&at, ix->keys, ix->n, sizeof(*ix->keys), key_cmp);
}

static int key_of(const struct nlmsghdr *h, struct buf *key, struct err *e)
{
	uint32_t len = 0;

	buf_reset(key);
	if (buf_add(key, &len, 4, e) || settle_key(h, key, e))
		return -1;
	len = key->len - 4;
	memcpy(key->data, &len, 4);
	return 0;
}

/* An IPv6 route with metric 0 is the kernel's: whoever asks for 0 gets IP6_RT_PRIO_USER
 * (ip6_route_info_create() in net/ipv6/route.c). It comes with its address, when the work queue of addrconf
 * gets to it. */
static bool comes_by_itself(const struct nlmsghdr *h)
{
	const struct rtmsg *rtm = NLMSG_DATA(h);
	struct span attrs = nl_attrs(h, sizeof(*rtm));

	return h->nlmsg_type == RTM_NEWROUTE && rtm->rtm_family == AF_INET6 &&
	       rtm->rtm_protocol == RTPROT_KERNEL &&
	       !nl_attr_u32(nl_attr_find(attrs, RTA_PRIORITY));
}

static bool is_temporary(const struct nlmsghdr *h)
{
	const struct ifaddrmsg *ifa = NLMSG_DATA(h);

	return h->nlmsg_type == RTM_NEWADDR && ifa->ifa_family == AF_INET6 &&
	       ifa->ifa_flags & IFA_F_TEMPORARY;
}

/* A host route that the kernel has for each address of IPv6 (RFC 4941 addresses are not those of the image). */
static bool is_of_temporary(const struct settle_data *d, const struct nlmsghdr *h)
{
	const struct rtmsg *rtm = NLMSG_DATA(h);

	return d->has_temporary && rtm->rtm_family == AF_INET6 && rtm->rtm_type == RTN_LOCAL &&
	       rtm->rtm_dst_len == 128;
}

/* May an extra object be taken away? Of routes only what the kernel makes with an address; in the local
 * table, which CRIU's images do not have, only when the image lists it. */
static bool is_ours_to_remove(const struct settle_data *d, const struct nlmsghdr *h)
{
	const struct rtmsg *rtm = NLMSG_DATA(h);
	uint32_t table;

	if (h->nlmsg_type != RTM_NEWROUTE)
		return !is_temporary(h);
	if (is_of_temporary(d, h))
		return false;
	if (rtm->rtm_flags & RTM_F_CLONED || rtm->rtm_protocol != RTPROT_KERNEL)
		return false;
	/* of an address that was tentative when it was dumped and no longer is */
	if (d->is_pending && comes_by_itself(h))
		return false;
	table = table_of(h, RTA_TABLE, rtm->rtm_table);
	return table == RT_TABLE_MAIN || (table == RT_TABLE_LOCAL && d->complete);
}

int settle_remove(struct nl *nl, const struct nlmsghdr *h, struct err *e)
{
	auto_buf struct buf req = {0};
	struct nlmsghdr *copy;

	if (!nl || buf_add(&req, h, h->nlmsg_len, e))
		return -1;
	copy = (struct nlmsghdr *)req.data;
	copy->nlmsg_type = h->nlmsg_type + 1; /* RTM_NEWx, RTM_DELx */
	copy->nlmsg_flags = 0;
	if (!nl_do(nl, &req, "remove what the image does not have", e))
		return 0;
	/* It went with another one, such as the route of an address. */
	if (e->saved_errno == ESRCH || e->saved_errno == ENOENT ||
	    e->saved_errno == EADDRNOTAVAIL) {
		*e = (struct err)ERR_INIT;
		return 0;
	}
	return -1;
}

static int add_missing(struct restore *r, const struct step *s, const struct nlmsghdr *h,
		       struct err *e)
{
	struct span msg = {(const uint8_t *)h, h->nlmsg_len};
	uint16_t flags = h->nlmsg_type == RTM_NEWROUTE ? NLM_F_CREATE | NLM_F_APPEND
						       : NLM_F_CREATE | NLM_F_EXCL;

	if (comes_by_itself(h) ||
	    !(h->nlmsg_type == RTM_NEWROUTE
		      ? send_route(r, s->netns, msg, flags, false, e)
		      : send_message(r, s->netns, msg, flags, "add what is missing", e)))
		return 0;
	if (e->saved_errno != EEXIST)
		return -1;
	*e = (struct err)ERR_INIT;
	return 0;
}

static int dump_all(struct restore *r, const struct step *s, struct buf *now, struct err *e)
{
	const struct settle_data *d = s->data;
	struct nl *nl = restore_rtnl(r, s->netns, e);
	auto_buf struct buf req = {0};
	struct rtmsg any = {.rtm_family = d->family};

	/* struct ifaddrmsg and fib_rule_hdr begin with the family too; RTM_GETx is RTM_NEWx + 2. The kernel
	 * takes any of the headers for a dump (rtnl_dump_all and its callees), zeroed but for it. */
	return !nl ||
			       nl_msg_begin(&req, d->type + 2, 0, &any,
					    d->type == RTM_NEWADDR ? sizeof(struct ifaddrmsg)
								   : sizeof(any),
					    e) ||
			       nl_dump_raw(nl, &req, now, "read back", e)
		       ? -1
		       : 0;
}

int run_settle(struct restore *r, struct step *s, struct err *e)
{
	const struct settle_data *d = s->data;
	struct key_index wanted = {0}, have = {0};
	auto_buf struct buf now = {0};
	auto_buf struct buf have_keys = {0};
	auto_buf struct buf key = {0};
	const struct nlmsghdr *h;
	size_t off = 0, at = 0;
	bool added = false;
	uint32_t len;
	int ret = -1;

	if (dump_all(r, s, &now, e) || key_index_make(&wanted, &d->keys, e))
		goto out;
	while ((h = nl_msg_next(buf_span(&now), &off))) {
		if (h->nlmsg_type != d->type)
			continue;
		if (key_of(h, &key, e))
			goto out;
		if (buf_add(&have_keys, key.data, key.len, e))
			goto out;
		if (!d->keep && !key_index_has(&wanted, &key) && is_ours_to_remove(d, h) &&
		    settle_remove(restore_rtnl(r, s->netns, e), h, e))
			goto out;
	}
	if (key_index_make(&have, &have_keys, e))
		goto out;
	/* keys and messages are in the same order */
	for (off = 0; (h = nl_msg_next(buf_span(&d->msgs), &off)); at += 4 + len) {
		memcpy(&len, d->keys.data + at, sizeof(len));
		buf_reset(&key);
		if (buf_add(&key, d->keys.data + at, 4 + len, e))
			goto out;
		if (key_index_has(&have, &key))
			continue;
		added = true;
		if (add_missing(r, s, h, e))
			goto out;
	}
	buf_reset(&key);
	if (added && dump_all(r, s, &key, e))
		goto out;
	ret = d->type == RTM_NEWROUTE ? settle_order(r, s, buf_span(added ? &key : &now), e) : 0;
out:
	free(wanted.keys);
	free(have.keys);
	return ret;
}
