/* Devices that exist go up: with the queueing discipline of having been up, address generation, tokens, and what waits until
 * all are there. */
#include "restorer/build_net.h"

#include <linux/if.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "proto/inet.h"
#include "proto/rta.h"

/* Has the image exactly the link-local address that the kernel would make of the MAC? Then it does not
 * matter when generation is switched on again. */
static int has_own_link_local(const struct net *n, const struct dev *d, bool *has, struct err *e)
{
	auto_query struct query *q = query_new(
		n->r->db,
		"SELECT address FROM address WHERE netns = :ns AND ifindex = :ifindex AND "
		"family = 10",
		e);
	struct span mac = rta_get(buf_span(&d->record), RTA_PATH(IFLA_ADDRESS));
	uint8_t own[16] = {0xfe, 0x80};
	char text[INET_TEXT_MAX];
	int got;

	*has = false;
	if (mac.len != 6)
		return 0;
	/* EUI-64: RFC 4291, appendix A */
	memcpy(own + 8, mac.data, 3);
	own[8] ^= 2;
	own[11] = 0xff;
	own[12] = 0xfe;
	memcpy(own + 13, mac.data + 3, 3);
	inet_format(own, 16, text);
	if (!q || query_bind_int(q, "ns", d->netns, e) ||
	    query_bind_int(q, "ifindex", d->ifindex, e))
		return -1;
	while ((got = query_next(q, e)) == 1)
		if (!query_is_null(q, 0) && !strcmp(query_text(q, 0), text))
			*has = true;
	return got;
}

static uint8_t gen_mode(const struct dev *d)
{
	const uint16_t path[] = {IFLA_AF_SPEC, AF_INET6, IFLA_INET6_ADDR_GEN_MODE, 0};
	struct span mode = rta_get(buf_span(&d->record), path);

	return mode.len ? mode.data[0] : IN6_ADDR_GEN_MODE_EUI64;
}

static int build_addrgen(struct net *n, struct dev *d, struct err *e)
{
	struct link_data *ld;
	struct step *s;
	bool own;

	if (gen_mode(d) == IN6_ADDR_GEN_MODE_NONE)
		return 0;
	s = net_dev_step(n, d, "addrgen", "", e);
	if (!s || has_own_link_local(n, d, &own, e))
		return -1;
	ld = s->data;
	ld->gen_mode = gen_mode(d);
	if (d->operstate == OPERSTATE_UP || (d->operstate < 0 && !own))
		ld->wait = WAIT_UP;
	else if (d->operstate == OPERSTATE_DOWN || d->operstate == OPERSTATE_LOWER_DOWN)
		ld->wait = own ? WAIT_NOT : WAIT_DOWN;
	return plan_after(n->p, s, MS_ROUTES, d->netns, e) ||
			       plan_before(n->p, s, MS_READY, d->netns, e)
		       ? -1
		       : 0;
}

/* A device that does not go up, or is lo, generates nothing: its mode is only set. */
static int build_still_mode(struct net *n, struct dev *d, struct err *e)
{
	struct step *s;

	if (gen_mode(d) == IN6_ADDR_GEN_MODE_EUI64 && !d->ns->gen_mode_of_all)
		return 0;
	s = net_dev_step(n, d, "addrgen", "", e);
	if (!s)
		return -1;
	((struct link_data *)s->data)->gen_mode = gen_mode(d);
	return plan_after(n->p, s, MS_ROUTES, d->netns, e) ||
			       plan_before(n->p, s, MS_READY, d->netns, e)
		       ? -1
		       : 0;
}

/* It is down, and was up: to be seen by its queueing discipline, which a new device does not have. */
static bool was_up(const struct dev *d)
{
	struct span qdisc = rta_get(buf_span(&d->record), RTA_PATH(IFLA_QDISC));

	return qdisc.len && strncmp((const char *)qdisc.data, "noop", qdisc.len) != 0;
}

static int build_up_once(struct net *n, struct dev *d, struct err *e)
{
	struct step *s = net_dev_step(n, d, "up-once", "", e);

	if (!s)
		return -1;
	d->up_once = s;
	((struct link_data *)s->data)->gen_mode = gen_mode(d);
	return plan_need(n->p, s, d->set, e) || plan_after(n->p, s, MS_LINKS, d->netns, e) ||
			       plan_after(n->p, s, MS_SYSCTLS, d->netns, e) ||
			       plan_before(n->p, s, MS_UP, d->netns, e)
		       ? -1
		       : 0;
}

int net_up(struct net *n, struct dev *d, struct err *e)
{
	if (!d->made && net_how_of(d) != HOW_THERE)
		return 0;
	if (!(d->flags & IFF_UP) && was_up(d) && build_up_once(n, d, e))
		return -1;
	if (d->flags & IFF_UP && net_name_lost_carrier(n, d, e))
		return -1;
	if (!(d->flags & IFF_UP))
		return d->up_once && net_how_of(d) != HOW_THERE ? 0 : build_still_mode(n, d, e);
	d->up = net_dev_step(n, d, "up", "", e);
	if (!d->up || plan_need(n->p, d->up, d->set, e) ||
	    plan_after(n->p, d->up, MS_LINKS, d->netns, e) ||
	    plan_after(n->p, d->up, MS_SYSCTLS, d->netns, e) ||
	    plan_before(n->p, d->up, MS_UP, d->netns, e))
		return -1;
	return net_how_of(d) == HOW_THERE ? build_still_mode(n, d, e) : build_addrgen(n, d, e);
}

/* The IPv6 interface identifier that ip token sets, after the sysctls that allow it. */
int net_token(struct net *n, struct dev *d, struct err *e)
{
	const uint16_t path[] = {IFLA_AF_SPEC, AF_INET6, IFLA_INET6_TOKEN, 0};
	struct span token = rta_get(buf_span(&d->record), path);
	struct step *s;

	if (token.len != 16 || span_is_zero(token) || (!d->made && net_how_of(d) != HOW_THERE))
		return 0;
	s = net_dev_step(n, d, "token", "", e);
	return !s || buf_add(&s->msg, token.data, token.len, e) ||
			       plan_after(n->p, s, MS_ROUTES, d->netns, e) ||
			       plan_before(n->p, s, MS_READY, d->netns, e)
		       ? -1
		       : 0;
}

/* What names another port, and what takes the carrier: when all devices are there, and up. */
int net_late(struct net *n, struct dev *d, struct err *e)
{
	static const uint16_t down[] = {IFLA_PROTO_DOWN, IFLA_PROTO_DOWN_REASON};
	const uint16_t backup[] = {IFLA_LINKINFO, IFLA_INFO_SLAVE_DATA, IFLA_BRPORT_BACKUP_PORT, 0};
	const struct ifinfomsg ifi = {.ifi_index = d->ifindex};
	struct span port = rta_get(buf_span(&d->record), backup);
	struct span proto_down = rta_get(buf_span(&d->record), RTA_PATH(IFLA_PROTO_DOWN));
	bool is_down = proto_down.len && proto_down.data[0];
	struct step *s;

	if ((!d->made && net_how_of(d) != HOW_THERE) || (!port.len && !is_down))
		return 0;
	s = net_dev_step(n, d, "late", "", e);
	if (!s || nl_msg_begin(&s->msg, RTM_NEWLINK, 0, &ifi, sizeof(ifi), e))
		return -1;
	if (port.len && (rta_put(&s->msg, RTA_PATH(IFLA_LINKINFO, IFLA_INFO_SLAVE_KIND), "bridge",
				 sizeof("bridge"), e) ||
			 rta_put(&s->msg, backup, port.data, port.len, e)))
		return -1;
	for (size_t i = 0; is_down && i < ARRAY_SIZE(down); i++) {
		const uint16_t path[] = {down[i], 0};
		struct span v = rta_get(buf_span(&d->record), path);

		if (v.len && rta_put(&s->msg, path, v.data, v.len, e))
			return -1;
	}
	return plan_after(n->p, s, MS_ROUTES, d->netns, e) ||
			       plan_before(n->p, s, MS_READY, d->netns, e)
		       ? -1
		       : 0;
}
