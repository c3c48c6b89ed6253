/* Devices -> steps: create (once for a pair), settings, master; the passes over all devices. */
#include "restorer/build_net.h"

#include <linux/if.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/json.h"
#include "proto/rta.h"

/* A kind without a row is made by replaying its message, and compared: macvtap has none, so that there is one of these on
 * the kernels we test with. */
static const struct kind_row {
	const char *kind;
	enum how how;
} kind_rows[] = {
	{"loopback", HOW_THERE},   {"veth", HOW_PAIR},      {"vxcan", HOW_PAIR},
	{"tun", HOW_TUN},          {"bridge", HOW_REPLAY},  {"vlan", HOW_REPLAY},
	{"vxlan", HOW_REPLAY},     {"macvlan", HOW_REPLAY}, {"ipvlan", HOW_REPLAY},
	{"ipvtap", HOW_REPLAY},    {"ifb", HOW_REPLAY},     {"dummy", HOW_REPLAY},
	{"bond", HOW_REPLAY},      {"vrf", HOW_REPLAY},     {"gre", HOW_REPLAY},
	{"gretap", HOW_REPLAY},    {"ip6gre", HOW_REPLAY},  {"sit", HOW_REPLAY},
	{"ipip", HOW_REPLAY},      {"ip6tnl", HOW_REPLAY},  {"geneve", HOW_REPLAY},
	{"wireguard", HOW_REPLAY},
};

static const struct kind_row *kind_row(const char *kind)
{
	for (size_t i = 0; i < ARRAY_SIZE(kind_rows); i++)
		if (!strcmp(kind_rows[i].kind, kind))
			return &kind_rows[i];
	return NULL;
}

enum how net_how_of(const struct dev *d)
{
	const struct kind_row *row = kind_row(d->kind);

	if (d->flags & IFF_LOOPBACK)
		return HOW_THERE;
	return row ? row->how : HOW_REPLAY;
}

struct dev *net_dev(const struct net *n, int64_t netns, int ifindex)
{
	size_t lo = 0, hi = n->n_devs;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		struct dev *d = &n->devs[mid];

		if (d->netns == netns && d->ifindex == ifindex)
			return d;
		if (d->netns < netns || (d->netns == netns && d->ifindex < ifindex))
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

static char *unescape(const char *text, struct err *e)
{
	auto_buf struct buf b = {0};

	if (!text)
		return strdup("");
	if (escape_undo(&b, text, strlen(text), e) || buf_add(&b, "", 1, e))
		return NULL;
	return (char *)take_ptr(b.data);
}

static int load_dev(struct net *n, const struct query *q, struct err *e)
{
	struct dev *grown = realloc(n->devs, (n->n_devs + 1) * sizeof(*grown)), *d;

	if (!grown)
		return err_set(e, ERR_NOMEM, "devices of the image");
	n->devs = grown;
	d = &grown[n->n_devs++];
	*d = (struct dev){
		.id = query_int(q, 0),
		.netns = query_int(q, 1),
		.ifindex = query_int(q, 2),
		.name = unescape(query_text(q, 3), e),
		.kind = unescape(query_text(q, 4), e),
		.flags = query_int(q, 5),
		.link = query_int(q, 6),
		.has_netnsid = !query_is_null(q, 7),
		.peer_netns = query_int(q, 8),
		.master = query_int(q, 9),
		.alias = unescape(query_text(q, 10), e),
		.altnames = strdup(query_is_null(q, 11) ? "[]" : query_text(q, 11)),
		.operstate = query_is_null(q, 12) ? -1 : query_int(q, 12),
	};
	d->ns = restore_netns_find(n->r, d->netns);
	if (!d->name || !d->kind || !d->alias || !d->altnames)
		return e->code ? -1 : err_set(e, ERR_NOMEM, "devices of the image");
	if (!d->ns)
		return err_set(e, ERR_CONFLICT, "device %s: the image has no namespace %lld",
			       d->name, (long long)d->netns);
	return 0;
}

/* What the kernel takes as a name (dev_valid_name in net/core/dev.c). */
static bool is_dev_name(const char *name)
{
	return *name && strlen(name) < IFNAMSIZ && strcmp(name, ".") && strcmp(name, "..") &&
	       !name[strcspn(name, "/: \t\n\v\f\r")];
}

static int by_netns_and_name(const void *a, const void *b)
{
	const struct dev *x = *(const struct dev *const *)a, *y = *(const struct dev *const *)b;

	if (x->netns != y->netns)
		return x->netns < y->netns ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* A database may hold what no namespace can. */
static int check_names(struct net *n, struct err *e)
{
	auto_free const struct dev **all = calloc(n->n_devs + 1, sizeof(*all));

	if (!all)
		return err_set(e, ERR_NOMEM, "devices of the image");
	for (size_t i = 0; i < n->n_devs; i++) {
		all[i] = &n->devs[i];
		if (!is_dev_name(all[i]->name))
			return err_set(e, ERR_CONFLICT,
				       "namespace %s: device %d has the name '%.100s', which the "
				       "kernel does not take",
				       all[i]->ns->name, all[i]->ifindex, all[i]->name);
	}
	qsort(all, n->n_devs, sizeof(*all), by_netns_and_name);
	for (size_t i = 1; i < n->n_devs; i++)
		if (!by_netns_and_name(&all[i - 1], &all[i]))
			return err_set(e, ERR_CONFLICT,
				       "namespace %s: devices %d and %d both have the name %s",
				       all[i]->ns->name, all[i - 1]->ifindex, all[i]->ifindex,
				       all[i]->name);
	return 0;
}

int net_load_devs(struct net *n, struct err *e)
{
	auto_query struct query *q = net_query(
		n,
		"SELECT id, netns, ifindex, name, kind, flags, link, link_netnsid, peer_netns, "
		"master, alias, altnames, operstate FROM device WHERE image = :image "
		"ORDER BY netns, ifindex",
		e);
	int got;

	if (!q)
		return -1;
	while ((got = query_next(q, e)) == 1)
		if (load_dev(n, q, e))
			return -1;
	for (size_t i = 1; !got && i < n->n_devs; i++)
		if (n->devs[i].netns == n->devs[i - 1].netns &&
		    n->devs[i].ifindex == n->devs[i - 1].ifindex)
			return err_set(e, ERR_CONFLICT,
				       "namespace %s: devices %s and %s both have index %d",
				       n->devs[i].ns->name, n->devs[i - 1].name, n->devs[i].name,
				       n->devs[i].ifindex);
	return got ? got : check_names(n, e);
}

static int data_altnames(struct link_data *ld, const char *text, struct err *e)
{
	auto_json struct json *names = json_parse(text, strlen(text), e);
	size_t n = json_len(names);

	if (!names)
		return -1;
	ld->altnames = calloc(n + 1, sizeof(char *));
	if (!ld->altnames)
		return err_set(e, ERR_NOMEM, "alternative names");
	for (size_t i = 0; i < n; i++) {
		ld->altnames[i] = unescape(json_str(json_at(names, i)), e);
		if (!ld->altnames[i])
			return -1;
	}
	return 0;
}

/* The data of a step of device d, given to the step. */
static struct link_data *give_data(const struct dev *d, struct step *s, struct err *e)
{
	struct link_data *ld = calloc(1, sizeof(*ld));

	if (!ld) {
		err_set(e, ERR_NOMEM, "device step");
		return NULL;
	}
	s->data = ld;
	s->data_free = link_data_free;
	ld->ifindex = d->ifindex;
	ld->flags = d->flags;
	ld->operstate = d->operstate;
	ld->name = strdup(d->name);
	ld->kind = strdup(d->kind);
	if (!ld->name || !ld->kind) {
		err_set(e, ERR_NOMEM, "device step");
		return NULL;
	}
	return ld;
}

struct step *net_dev_step(struct net *n, const struct dev *d, const char *kind, const char *more,
			  struct err *e)
{
	struct step *s = plan_add(n->p, step_kind_find(kind), NULL, e, "%s %s%s", d->ns->name,
				  d->name, more);

	if (!s)
		return NULL;
	s->netns = d->netns;
	s->row = d->id;
	return give_data(d, s, e) ? s : NULL;
}

/* What is set in steps of its own, or differs between create and set. */
static const uint16_t not_created[] = {
	IFLA_MASTER,   IFLA_AF_SPEC,    IFLA_PROP_LIST,         IFLA_ALT_IFNAME, IFLA_OPERSTATE,
	IFLA_LINKMODE, IFLA_PROTO_DOWN, IFLA_PROTO_DOWN_REASON, IFLA_CARRIER,    IFLA_EXT_MASK};

static int strip(struct buf *msg, const uint16_t *attrs, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (rta_put(msg, (const uint16_t[]){attrs[i], 0}, NULL, 0, e))
			return -1;
	return 0;
}

static int create_message(struct dev *d, struct buf *out, struct err *e)
{
	struct ifinfomsg *ifi;

	if (net_filter(buf_span(&d->record), RTA_FOR_CREATE, out, e) ||
	    strip(out, not_created, ARRAY_SIZE(not_created), e) ||
	    rta_put(out, RTA_PATH(IFLA_IFNAME), d->name, strlen(d->name) + 1, e) ||
	    (d->first_mtu && rta_put_u32(out, RTA_PATH(IFLA_MTU), d->first_mtu, e)))
		return -1;
	/* a MAC of zeroes is what a bridge without ports shows; nobody can set it */
	if (span_is_zero(rta_get(buf_span(out), RTA_PATH(IFLA_ADDRESS))) &&
	    rta_put(out, RTA_PATH(IFLA_ADDRESS), NULL, 0, e))
		return -1;
	ifi = NLMSG_DATA((struct nlmsghdr *)out->data);
	ifi->ifi_family = AF_UNSPEC;
	ifi->ifi_index = d->ifindex;
	ifi->ifi_flags = ifi->ifi_change = 0;
	return 0;
}

static const uint16_t queues[] = {IFLA_NUM_TX_QUEUES, IFLA_NUM_RX_QUEUES};

/* sysconf reads files for each answer. */
static bool has_usual_queues(struct net *n, const struct buf *msg)
{
	if (!n->usual_queues)
		n->usual_queues = (uint32_t)sysconf(_SC_NPROCESSORS_CONF);
	for (size_t i = 0; i < ARRAY_SIZE(queues); i++)
		if (rta_get_u32(buf_span(msg), (const uint16_t[]){queues[i], 0}, 0) !=
		    n->usual_queues)
			return false;
	return true;
}

/* A veth device has room for a queue a processor, and uses one of them when nobody asked for a number for the first end
 * of the pair (veth_init_queues() in drivers/net/veth.c). A dump tells the room alone. */
static int drop_usual_queues(struct net *n, struct buf *msg, struct buf *peer, struct err *e)
{
	if (!has_usual_queues(n, msg) || (peer && !has_usual_queues(n, peer)))
		return 0;
	return strip(msg, queues, ARRAY_SIZE(queues), e) ||
			       (peer && strip(peer, queues, ARRAY_SIZE(queues), e))
		       ? -1
		       : 0;
}

/* A message for one end of a pair: the other end comes as VETH_INFO_PEER, not as a link. */
static int pair_message(struct dev *d, bool as_peer, struct buf *out, struct err *e)
{
	static const uint16_t peer_strip[] = {IFLA_LINK, IFLA_LINK_NETNSID, IFLA_LINKINFO};

	if (create_message(d, out, e))
		return -1;
	if (strip(out, peer_strip, as_peer ? 3 : 2, e))
		return -1;
	if (as_peer)
		return 0;
	return rta_put(out, RTA_PATH(IFLA_LINKINFO), NULL, 0, e) ||
			       rta_put(out, RTA_PATH(IFLA_LINKINFO, IFLA_INFO_KIND), d->kind,
				       strlen(d->kind), e)
		       ? -1
		       : 0;
}

/* The other end of a pair, NULL when it is not in the image. An IFLA_LINK without a namespace id is in the
 * same namespace (rtnl_fill_link_netnsid() of net/core/rtnetlink.c). */
struct dev *net_find_peer(const struct net *n, const struct dev *d)
{
	int64_t netns = d->peer_netns ? d->peer_netns : d->has_netnsid ? 0 : d->netns;
	struct dev *peer = net_dev(n, netns, d->link);

	/* CRIU names the namespace only when it dumped it, so its record of an end whose peer is outside and
	 * has the same index looks like a link to itself. */
	return peer && peer != d && !peer->ns->external ? peer : NULL;
}

static int build_pair_out(struct net *n, struct dev *d, struct err *e)
{
	const struct opt_veth *v = net_find_veth(n, d);
	struct step *s = net_dev_step(n, d, "veth-out", "", e);
	struct ifinfomsg ifi = {.ifi_family = AF_UNSPEC};

	if (!s || pair_message(d, false, &s->msg, e) || drop_usual_queues(n, &s->msg, NULL, e) ||
	    net_put_outside(n, d, s, "peer", e))
		return -1;
	/* The outer end has what the kernel gives it, but for its name. */
	if (nl_msg_begin(&s->msg2, RTM_NEWLINK, 0, &ifi, sizeof(ifi), e) ||
	    nl_put_str(&s->msg2, IFLA_IFNAME, v ? v->out : "?", e))
		return -1;
	d->made = s;
	return 0;
}

static int build_pair(struct net *n, struct dev *d, struct err *e)
{
	struct dev *peer = net_find_peer(n, d);
	struct link_data *ld;
	struct step *s;
	char more[300];

	if (d->paired)
		return 0;
	if (!peer)
		return build_pair_out(n, d, e);
	if (strcmp(peer->kind, d->kind) || net_find_peer(n, peer) != d)
		return err_set(
			e, ERR_CONFLICT,
			"%s %s says that its peer is %s %s, which is no %s or says otherwise",
			d->ns->name, d->name, peer->ns->name, peer->name, d->kind);
	snprintf(more, sizeof(more), " - %s %s", peer->ns->name, peer->name);
	s = net_dev_step(n, d, "veth", more, e);
	if (!s || pair_message(d, false, &s->msg, e) || pair_message(peer, true, &s->msg2, e) ||
	    drop_usual_queues(n, &s->msg, &s->msg2, e))
		return -1;
	ld = s->data;
	ld->peer_ns = strdup(peer->ns->name);
	if (!ld->peer_ns)
		return err_set(e, ERR_NOMEM, "pair");
	s->row2 = peer->id;
	s->num = peer->netns;
	d->made = peer->made = s;
	peer->paired = true;
	return plan_after(n->p, s, MS_NSIDS, peer->netns, e) ||
			       plan_before(n->p, s, MS_LINKS, peer->netns, e) ||
			       plan_index(n->p, s, peer->id, e)
		       ? -1
		       : 0;
}

static int build_replay(struct net *n, struct dev *d, struct err *e)
{
	bool outside = d->link && (d->has_netnsid || d->link != d->ifindex) &&
		       !net_find_peer(n, d) && !net_sends_elsewhere(n, d);
	struct step *s;
	int follows;

	if (!*d->kind) {
		char object[300];

		snprintf(object, sizeof(object), "%s %s", d->ns->name, d->name);
		return plan_leave_out(n->p, e, object,
				      "a physical or unknown device: nothing can create it");
	}
	s = net_dev_step(n, d, outside ? "link-out" : "link", "", e);
	if (!s || create_message(d, &s->msg, e))
		return -1;
	((struct link_data *)s->data)->compare = !kind_row(d->kind);
	follows = net_follows_ports(n, d, e);
	if (follows < 0 || (follows && rta_put(&s->msg, RTA_PATH(IFLA_ADDRESS), NULL, 0, e)))
		return -1;
	d->made = s;
	return outside ? net_put_outside(n, d, s, "lower device", e) : 0;
}

/* Members of tun_link_entry, which an image of CRIU has instead of attributes. */
static int tun_entry(struct net *n, const struct dev *d, struct link_data *ld, struct err *e)
{
	auto_query struct query *q =
		query_new(n->r->db, "SELECT coalesce(attrs, '{}') FROM device WHERE id = :id", e);
	auto_json struct json *attrs = NULL;
	const struct {
		const char *name;
		int64_t *value;
	} members[] = {{"flags", &ld->tun_flags},
		       {"owner", &ld->tun_owner},
		       {"group", &ld->tun_group},
		       {"vnethdr", &ld->tun_vnethdr}};

	if (!q || query_bind_int(q, "id", d->id, e) || query_next(q, e) != 1)
		return -1;
	attrs = json_parse(query_text(q, 0), strlen(query_text(q, 0)), e);
	if (!attrs)
		return -1;
	ld->tun_owner = ld->tun_group = -1;
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		const struct json *m = json_get(attrs, members[i].name);

		if (json_kind(m) == JSON_KIND_INT && json_to_int(m, members[i].value, "tun", e))
			return -1;
	}
	return 0;
}

static int build_tun(struct net *n, struct dev *d, struct err *e)
{
	struct step *s = net_dev_step(n, d, "tun", "", e);

	d->made = s;
	if (!s || buf_add(&s->msg, d->record.data, d->record.len, e))
		return -1;
	if (rta_get(buf_span(&s->msg), RTA_PATH(IFLA_LINKINFO, IFLA_INFO_DATA)).len)
		return 0;
	return tun_entry(n, d, s->data, e);
}

static int build_made(struct net *n, struct dev *d, struct err *e)
{
	static int (*const builders[])(struct net * n, struct dev * d, struct err * e) = {
		[HOW_REPLAY] = build_replay,
		[HOW_PAIR] = build_pair,
		[HOW_TUN] = build_tun,
	};
	enum how how = net_how_of(d);

	if (how == HOW_THERE)
		return 0;
	if (builders[how](n, d, e))
		return err_wrap(e, "%s %s", d->ns->name, d->name);
	/* The other end of a pair was indexed and fed its milestones with its step. */
	if (!d->made || d->paired)
		return 0;
	return plan_index(n->p, d->made, d->id, e) ||
			       plan_after(n->p, d->made, MS_NSIDS, d->netns, e) ||
			       plan_before(n->p, d->made, MS_LINKS, d->netns, e)
		       ? -1
		       : 0;
}

/* It may not be a port yet (net_late). */
static int drop_backup_port(struct buf *msg, struct err *e)
{
	const uint16_t path[] = {IFLA_LINKINFO, IFLA_INFO_SLAVE_DATA, IFLA_BRPORT_BACKUP_PORT, 0};

	return rta_get(buf_span(msg), path).len ? rta_put(msg, path, NULL, 0, e) : 0;
}

/* An attribute of the record that is no zero, which nobody sets without having asked for it. */
static int put_again(const struct dev *d, uint16_t attr, struct buf *out, struct err *e)
{
	const uint16_t path[] = {attr, 0};
	struct span v = rta_get(buf_span(&d->record), path);

	return v.len && !span_is_zero(v) ? rta_put(out, path, v.data, v.len, e) : 0;
}

/* purpose: what only a later change takes, or, for a device that was not made from its message, what
 * creation would have taken. */
static int set_message(struct dev *d, int purpose, struct buf *out, struct err *e)
{
	static const uint16_t also[] = {IFLA_LINK,         IFLA_LINK_NETNSID, IFLA_ADDRESS,
					IFLA_BROADCAST,    IFLA_IFNAME,       IFLA_NUM_TX_QUEUES,
					IFLA_NUM_RX_QUEUES};
	struct ifinfomsg *ifi;

	if (net_filter(buf_span(&d->record), purpose, out, e) ||
	    (purpose == RTA_FOR_CREATE && rta_put(out, RTA_PATH(IFLA_LINKINFO), NULL, 0, e)) ||
	    strip(out, not_created, ARRAY_SIZE(not_created), e) || drop_backup_port(out, e) ||
	    strip(out, also, ARRAY_SIZE(also), e) ||
	    (purpose == RTA_FOR_SET && put_again(d, IFLA_LINKMODE, out, e)))
		return -1;
	ifi = NLMSG_DATA((struct nlmsghdr *)out->data);
	ifi->ifi_family = AF_UNSPEC;
	ifi->ifi_index = d->ifindex;
	if (strcmp(d->kind, "bridge") || purpose != RTA_FOR_SET)
		return 0;
	/* Ports change the MTU of a bridge until somebody sets it (br_mtu_auto_adjust()). */
	return rta_put_u32(out, RTA_PATH(IFLA_MTU),
			   rta_get_u32(buf_span(&d->record), RTA_PATH(IFLA_MTU), 1500), e);
}

static int build_set(struct net *n, struct dev *d, struct err *e)
{
	struct step *s = net_dev_step(n, d, "set", "", e);

	if (!s || set_message(d, RTA_FOR_SET, &s->msg, e) ||
	    ((net_how_of(d) == HOW_THERE || net_how_of(d) == HOW_TUN) &&
	     set_message(d, RTA_FOR_CREATE, &s->msg2, e)) ||
	    data_altnames(s->data, d->altnames, e))
		return -1;
	/* the kernel makes it as lo; while it is down it takes another name */
	if (net_how_of(d) == HOW_THERE && strcmp(d->name, "lo") != 0 &&
	    rta_put(&s->msg2, RTA_PATH(IFLA_IFNAME), d->name, strlen(d->name) + 1, e))
		return -1;
	d->set = s;
	return (d->made && plan_need(n->p, s, d->made, e)) ||
			       plan_after(n->p, s, MS_NSIDS, d->netns, e) ||
			       plan_before(n->p, s, MS_LINKS, d->netns, e)
		       ? -1
		       : 0;
}

/* Does the way up from d come back to it? */
static bool is_own_master(const struct net *n, const struct dev *d)
{
	const struct dev *up = d;

	for (size_t i = 0; up && up->master && i <= n->n_devs; i++) {
		up = net_dev(n, up->netns, up->master);
		if (up == d)
			return true;
	}
	return false;
}

/* The port's options come with the settings, so those wait for the master. */
static int build_master(struct net *n, struct dev *d, struct err *e)
{
	struct dev *master = d->master ? net_dev(n, d->netns, d->master) : NULL;
	struct step *s;
	char more[100];

	if (!d->master)
		return 0;
	if (!master || !master->made || !d->made)
		return err_set(e, ERR_CONFLICT, "%s %s: its master, device %d, is not in the image",
			       d->ns->name, d->name, d->master);
	if (is_own_master(n, d))
		return err_set(e, ERR_CONFLICT,
			       "%s %s: its master %s is, by its own masters, a port of it",
			       d->ns->name, d->name, master->name);
	snprintf(more, sizeof(more), " in %s", master->name);
	s = net_dev_step(n, d, "master", more, e);
	if (!s)
		return -1;
	s->num = d->master;
	d->master_step = s;
	return plan_need(n->p, s, d->made, e) || plan_need(n->p, s, master->made, e) ||
			       (master->mtu && plan_need(n->p, s, master->mtu, e)) ||
			       plan_need(n->p, d->set, s, e) ||
			       (!strcmp(master->kind, "bridge") && master->set &&
				plan_need(n->p, master->set, s, e))
		       ? -1
		       : 0;
}

static int each(struct net *n, int (*fn)(struct net *n, struct dev *d, struct err *e),
		struct err *e)
{
	for (size_t i = 0; i < n->n_devs; i++)
		if (!n->devs[i].ns->external && fn(n, &n->devs[i], e))
			return -1;
	return 0;
}

static int load_record(struct net *n, struct dev *d, struct err *e)
{
	return net_record(n, "device", d->id, &d->record, e);
}

static int build_set_of_made(struct net *n, struct dev *d, struct err *e)
{
	return d->made || net_how_of(d) == HOW_THERE ? build_set(n, d, e) : 0;
}

int build_links(struct net *n, struct err *e)
{
	static int (*const passes[])(struct net * n, struct dev * d, struct err * e) = {
		load_record,        net_raise_mtu, build_made,        net_need_lower,
		net_need_outer_end, net_lower_mtu, build_set_of_made, build_master,
		net_need_ports,     net_up,        net_need_lower_up, net_token,
		net_port_state,     net_late,
	};

	for (size_t i = 0; i < ARRAY_SIZE(passes); i++)
		if (each(n, passes[i], e))
			return -1;
	return net_check_veths(n, e);
}
