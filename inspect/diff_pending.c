#include "inspect/diff_pending.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "proto/inet.h"

struct pending {
	long netns;
	int side;
	char *object;
};

struct diff_pending {
	struct pending *at;
	size_t n;
};

void diff_pending_free(struct diff_pending *p)
{
	for (size_t i = 0; p && i < p->n; i++)
		free(p->at[i].object);
	if (p)
		free(p->at);
	free(p);
}

/* As the object of a route in diff_tables.c: both are in table local (255), with metric 0. */
static int add_route(struct diff_pending *p, int side, long netns, const char *dst,
		     const char *device, struct err *e)
{
	struct pending *grown = reallocarray(p->at, p->n + 1, sizeof(*grown));

	if (grown)
		p->at = grown;
	if (!grown ||
	    asprintf(&grown[p->n].object, "route %s table 255 dev %s metric 0", dst, device) < 0)
		return err_set(e, ERR_NOMEM, "comparison: out of memory");
	grown[p->n].netns = netns;
	grown[p->n++].side = side;
	return 0;
}

/* The address itself, and, of a router, the anycast address of its subnet (RFC 4291, 2.6.1): all bits beyond the
 * prefix are zero. */
static int add_address(struct diff_pending *p, int side, long netns, const char *address,
		       unsigned prefixlen, const char *device, struct err *e)
{
	struct err bad = ERR_INIT;
	char text[INET_TEXT_MAX];
	uint8_t bytes[16];
	size_t len;

	if (inet_parse(address, AF_INET6, bytes, &len, &bad))
		return 0; /* an edit may have put any text there */
	for (unsigned bit = prefixlen; bit < 128; bit++)
		bytes[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	inet_format(bytes, sizeof(bytes), text);
	return add_route(p, side, netns, address, device, e) ||
			       add_route(p, side, netns, text, device, e)
		       ? -1
		       : 0;
}

static int load(struct diff_pending *p, const struct match *m, int side, const struct diff_side *s,
		struct err *e)
{
	/* IFA_F_TENTATIVE is 0x40, IFA_F_DADFAILED 0x08 */
	auto_query struct query *q = query_new(
		s->db,
		"SELECT t.netns, t.address, t.prefixlen, d.name FROM address t JOIN device d ON "
		"d.netns = t.netns AND d.ifindex = t.ifindex WHERE t.image = :image AND t.family = "
		"10 AND t.flags & 0x48 = 0x40 AND t.address IS NOT NULL",
		e);
	int rc;

	if (!q || query_bind_int(q, "image", s->image, e))
		return -1;
	while ((rc = query_next(q, e)) == 1)
		if (add_address(p, side, match_pair(m, MATCH_NETNS, side, query_int(q, 0)),
				query_text(q, 1), (unsigned)query_int(q, 2), query_text(q, 3), e))
			return -1;
	return rc;
}

static bool is_subnet(const char *dst, const char *address, unsigned prefixlen)
{
	struct err bad = ERR_INIT;
	uint8_t bytes[16], first[16], last[16];
	char text[INET_TEXT_MAX];
	size_t len;

	if (!address || inet_parse(address, AF_INET6, bytes, &len, &bad))
		return false;
	inet_prefix_ends(bytes, len, prefixlen, first, last);
	return inet_format(first, len, text) && !strcmp(text, dst);
}

/* Is it the anycast address of a router for the subnet of an address of the device? */
static int is_router(const struct diff_side *s, const struct query *route, bool *is, struct err *e)
{
	auto_query struct query *q = query_new(
		s->db,
		"SELECT address, prefixlen FROM address WHERE netns = :ns AND ifindex = :oif AND "
		"family = 10",
		e);
	int rc;

	*is = false;
	if (!q || query_bind_int(q, "ns", query_int(route, 0), e) ||
	    query_bind_int(q, "oif", query_int(route, 3), e))
		return -1;
	while ((rc = query_next(q, e)) == 1)
		*is = *is ||
		      is_subnet(query_text(route, 1), query_text(q, 0), (unsigned)query_int(q, 1));
	return rc;
}

/* Anycast addresses of image s that a socket joined: the kernel does not tell which socket, so a restore has none. */
static int load_joined(struct diff_pending *p, const struct match *m, const struct diff_side *s,
		       struct err *e)
{
	/* RTN_ANYCAST is 4, RTPROT_KERNEL 2 */
	auto_query struct query *q = query_new(
		s->db,
		"SELECT r.netns, r.dst, d.name, r.oif FROM route r JOIN device d ON d.netns = "
		"r.netns AND d.ifindex = r.oif WHERE r.image = :image AND r.family = 10 AND r.type "
		"= 4 AND r.protocol = 2 AND r.\"table\" = 255",
		e);
	bool router;
	int rc;

	if (!q || query_bind_int(q, "image", s->image, e))
		return -1;
	while ((rc = query_next(q, e)) == 1)
		if (is_router(s, q, &router, e) ||
		    (!router && add_route(p, 1, match_pair(m, MATCH_NETNS, 0, query_int(q, 0)),
					  query_text(q, 1), query_text(q, 2), e)))
			return -1;
	return rc;
}

struct diff_pending *diff_pending_new(const struct match *m, const struct diff_side *a,
				      const struct diff_side *b, bool restored, struct err *e)
{
	auto_diff_pending struct diff_pending *p = calloc(1, sizeof(*p));

	if (!p) {
		err_set(e, ERR_NOMEM, "comparison: out of memory");
		return NULL;
	}
	return load(p, m, 0, a, e) || load(p, m, 1, b, e) || (restored && load_joined(p, m, a, e))
		       ? NULL
		       : take_ptr(p);
}

bool diff_pending_has(const struct diff_pending *p, int side, long netns, const char *object)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->at[i].side == side && p->at[i].netns == netns &&
		    !strcmp(p->at[i].object, object))
			return true;
	return false;
}
