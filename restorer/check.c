/* Can the plan run here? Every reason why not, before anything is touched. */
#include "restorer/exec.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/caps.h"
#include "base/cleanup.h"
#include "restorer/ifindex.h"
#include "restorer/steps_net.h"

struct check {
	struct restore *r;
	struct plan *p;
	struct buf *reasons;
	int n;
	struct ns *scratch; /* an empty namespace, to see what this kernel makes and knows; lent */
	struct nl *nl;
};

static int add_reason(struct check *c, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int add_reason(struct check *c, struct err *e, const char *fmt, ...)
{
	char line[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	c->n++;
	return buf_printf(c->reasons, e, "%s\n", line);
}

static int check_requirements(struct check *c, struct err *e)
{
	for (size_t i = 0; i < plan_n_requirements(c->p); i++) {
		const struct requirement *q = plan_requirement(c->p, i);

		if (!q->met && add_reason(c, e, "%s: give %s", q->object, q->option))
			return -1;
	}
	return 0;
}

/* Capabilities count against the current user namespace: inside one of our own we have them all there. */
static int check_caps(struct check *c, struct err *e)
{
	struct err missing = ERR_INIT;
	uint64_t caps = 0;

	for (size_t i = 0; i < plan_n_steps(c->p); i++)
		caps |= plan_step(c->p, i)->kind->caps | plan_step(c->p, i)->caps;
	return caps_need(caps, "restore", &missing) ? add_reason(c, e, "%s", missing.msg) : 0;
}

static int check_pins(struct check *c, struct err *e)
{
	for (size_t i = 0; i < plan_n_steps(c->p); i++) {
		const struct step *s = plan_step(c->p, i);

		if (!strcmp(s->kind->name, "pin") && !access(s->data, F_OK) &&
		    add_reason(c, e, "%s exists: remove it, or use --prefix or --pin-dir",
			       (const char *)s->data))
			return -1;
	}
	return 0;
}

/* Devices that this kernel puts into every new namespace: lo, and fallback devices of tunnels. */
static int check_fallback(struct check *c, struct err *e)
{
	auto_clashes struct clashes all = {0};

	if (clashes_find(&all, c->r, c->scratch, e))
		return -1;
	for (size_t i = 0; i < all.n; i++) {
		const struct clash *k = &all.all[i];
		const char *avoid = !strcmp(k->taken_by, "lo")
					    ? ""
					    : " (net.core.fb_tunnels_only_for_init_net=2 "
					      "avoids it)";

		if (k->is_there ? add_reason(c, e,
					     "%s: interface index %lld, but this kernel gives it "
					     "%lld: give "
					     "--any-ifindex",
					     k->device, (long long)k->change.from,
					     (long long)k->change.to)
		    : k->change.to
			    ? add_reason(c, e,
					 "%s: interface index %lld is taken by %s, which this "
					 "kernel puts "
					 "into every namespace%s: give --any-ifindex",
					 k->device, (long long)k->change.from, k->taken_by, avoid)
			    : add_reason(
				      c, e,
				      "%s: its name is taken by what this kernel puts into every "
				      "namespace%s",
				      k->device, avoid))
			return -1;
	}
	return 0;
}

/* A kind that the kernel does not know is refused with EOPNOTSUPP before anything else is looked at
 * (rtnl_newlink() of net/core/rtnetlink.c). Whatever else it says, it knows the kind. */
static int check_kind(struct check *c, const struct step *s, struct err *e)
{
	const struct link_data *d = s->data;
	struct ifinfomsg ifi = {.ifi_family = AF_UNSPEC};
	auto_buf struct buf req = {0};
	struct err said = ERR_INIT;
	size_t off;

	if (nl_msg_begin(&req, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &ifi, sizeof(ifi), e) ||
	    nl_nest_begin(&req, IFLA_LINKINFO, &off, e) ||
	    nl_put_str(&req, IFLA_INFO_KIND, d->kind, e) || nl_nest_end(&req, off, e))
		return -1;
	if (!nl_do(c->nl, &req, "try kind", &said) || said.saved_errno != EOPNOTSUPP)
		return 0;
	return add_reason(c, e, "%s: this kernel has no devices of kind %s", s->object, d->kind);
}

static int check_kinds(struct check *c, struct err *e)
{
	const char *seen[64];
	size_t n = 0;

	for (size_t i = 0; i < plan_n_steps(c->p); i++) {
		const struct step *s = plan_step(c->p, i);
		const struct link_data *d = s->data;
		bool known = false;

		if (s->kind->stage != STAGE_LINK || !strcmp(s->kind->name, "tun"))
			continue;
		for (size_t k = 0; k < n && !known; k++)
			known = !strcmp(seen[k], d->kind);
		if (known || n == ARRAY_SIZE(seen))
			continue;
		seen[n++] = d->kind;
		if (check_kind(c, s, e))
			return -1;
	}
	return 0;
}

/* What other programs made by netlink or JSON may have names that nft's language has for words, or quotes in comments: nft writes
 * them and does not read them. Namespaces that have the same text come one after the other. */
static int check_rulesets(struct check *c, struct err *e)
{
	const struct buf *last = NULL;

	for (size_t i = 0; i < plan_n_steps(c->p); i++) {
		const struct step *s = plan_step(c->p, i);
		struct err why = ERR_INIT;

		if (strcmp(s->kind->name, "nft") || (last && last->len == s->msg.len &&
						     !memcmp(last->data, s->msg.data, last->len)))
			continue;
		last = &s->msg;
		if (nft_text_check(c->scratch, (const char *)s->msg.data, &why) &&
		    why.code == ERR_FORMAT &&
		    add_reason(c, e,
			       "%s: %s; change its text in the database (table firewall), or drop "
			       "it",
			       s->object, why.msg))
			return -1;
	}
	return 0;
}

static const struct step *first_of_kind(const struct plan *p, const struct step_kind *kind)
{
	for (size_t i = 0; i < plan_n_steps(p); i++)
		if (plan_step(p, i)->kind == kind)
			return plan_step(p, i);
	return NULL;
}

/* What speaks another protocol than rtnetlink, which a kernel may be built without. */
static int check_protocols(struct check *c, struct err *e)
{
	static const struct {
		const char *kind; /* of step */
		int protocol;
		const char *what;
	} all[] = {
		{"xfrm_policy", NETLINK_XFRM, "IPsec policies (CONFIG_XFRM_USER)"},
		{"nft", NETLINK_NETFILTER, "nftables (CONFIG_NF_TABLES)"},
		{"conntrack", NETLINK_NETFILTER, "conntrack by netlink (CONFIG_NF_CT_NETLINK)"},
	};

	for (size_t k = 0; k < ARRAY_SIZE(all); k++) {
		const struct step *s = first_of_kind(c->p, step_kind_find(all[k].kind));
		struct err said = ERR_INIT;
		auto_nl struct nl *nl = s ? nl_open_in(c->scratch, all[k].protocol, &said) : NULL;

		if (s && !nl && said.code == ERR_UNSUPPORTED &&
		    add_reason(c, e, "%s: this kernel has no %s", s->object, all[k].what))
			return -1;
	}
	return 0;
}

static int check_programs(struct check *c, struct err *e)
{
	for (size_t i = 0; i < plan_n_steps(c->p); i++) {
		const struct step *s = plan_step(c->p, i);

		if (!strcmp(s->kind->name, "tun") && access("/dev/net/tun", R_OK | W_OK))
			return add_reason(c, e, "%s: /dev/net/tun cannot be opened", s->object);
		if (!strcmp(s->kind->name, "iptables") && !has_iptables(s->num))
			return add_reason(c, e, "%s: %s is not installed (package iptables)",
					  s->object, iptables_program(s->num));
	}
	return 0;
}

/* Steps by what they make outside, the same by number. */
static int by_outer_end(const void *a, const void *b)
{
	const struct step *s = *(struct step *const *)a, *t = *(struct step *const *)b;
	const struct link_data *d = s->data, *o = t->data;
	int order = strcmp(d->out, o->out);

	if (order)
		return order;
	if (d->out_netns != o->out_netns)
		return d->out_netns < o->out_netns ? -1 : 1;
	return (s->number > t->number) - (s->number < t->number);
}

/* Is the same device to be made outside by two steps? */
static int check_made_twice(struct check *c, struct err *e)
{
	auto_free struct step **made = calloc(plan_n_steps(c->p) + 1, sizeof(*made));
	size_t n = 0;

	if (!made)
		return err_set(e, ERR_NOMEM, "list of devices");
	for (size_t i = 0; i < plan_n_steps(c->p); i++) {
		struct step *s = plan_step(c->p, i);

		if (!strcmp(s->kind->name, "veth-out") &&
		    strcmp(((const struct link_data *)s->data)->out, "?"))
			made[n++] = s;
	}
	qsort(made, n, sizeof(struct step *), by_outer_end);
	for (size_t i = 1; i < n; i++) {
		const struct link_data *d = made[i - 1]->data, *o = made[i]->data;

		if (!strcmp(d->out, o->out) && d->out_netns == o->out_netns &&
		    add_reason(c, e, "%s: --veth makes another device %s outside", made[i]->object,
			       o->out))
			return -1;
	}
	return 0;
}

/* Namespaces and devices outside: they must be there, and the names we make there free. */
static int check_outside(struct check *c, struct err *e)
{
	for (size_t i = 0; i < plan_n_steps(c->p); i++) {
		const struct step *s = plan_step(c->p, i);
		const struct link_data *d = s->data;
		struct err why = ERR_INIT;

		if (!strcmp(s->kind->name, "open") && !restore_outside(c->r, s->row, &why) &&
		    add_reason(c, e, "%s: %s", s->object, why.msg))
			return -1;
		if (strcmp(s->kind->name, "veth-out") && strcmp(s->kind->name, "link-out"))
			continue;
		if (!strcmp(d->out, "?"))
			continue;
		if (check_out(c->r, s, &why) && add_reason(c, e, "%s: %s", s->object, why.msg))
			return -1;
	}
	return 0;
}

/* What the kinds themselves ask. */
static int check_steps(struct check *c, struct err *e)
{
	for (size_t i = 0; i < plan_n_steps(c->p); i++) {
		const struct step *s = plan_step(c->p, i);
		size_t before = c->reasons->len;

		if (s->kind->check && s->kind->check(c->r, s, c->reasons, e))
			return -1;
		for (size_t k = before; k < c->reasons->len; k++)
			c->n += c->reasons->data[k] == '\n';
	}
	return 0;
}

static int check_journal(struct check *c, struct err *e)
{
	char *path = NULL;
	int ret = 0;

	if (asprintf(&path, "%s/%s.journal", c->r->opts->state_dir, c->r->opts->name) < 0)
		return err_set(e, ERR_NOMEM, "path of the journal");
	if (!access(path, F_OK))
		ret = add_reason(
			c, e, "an instance named %s exists: 'nsimg rollback %s', or another --name",
			c->r->opts->name, c->r->opts->name);
	free(path);
	return ret;
}

static int check_kernel(struct check *c, struct err *e)
{
	struct err why = ERR_INIT;

	c->scratch = restore_fresh(c->r, &why);
	c->nl = c->scratch ? nl_open_in(c->scratch, NETLINK_ROUTE, &why) : NULL;
	/* Without the right to make a namespace the capabilities have been named already. */
	if (!c->nl)
		return c->n ? 0 : add_reason(c, e, "%s", why.msg);
	return check_fallback(c, e) || check_kinds(c, e) || check_protocols(c, e) ||
			       check_rulesets(c, e)
		       ? -1
		       : 0;
}

int exec_check(struct restore *r, struct plan *p, struct buf *reasons, struct err *e)
{
	static int (*const checks[])(struct check * c, struct err * e) = {
		check_requirements, check_caps,       check_journal, check_pins,   check_programs,
		check_outside,      check_made_twice, check_steps,   check_kernel,
	};
	struct check c = {.r = r, .p = p, .reasons = reasons};
	int ret = 0;

	for (size_t i = 0; i < ARRAY_SIZE(checks) && !ret; i++)
		ret = checks[i](&c, e);
	nl_free(c.nl);
	return ret ? -1 : c.n;
}
