/* What leads out of the image: the ends that --veth gives. */
#include "restorer/build_net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static bool is_meant(const struct opt_veth *v, const struct dev *d)
{
	return !strcmp(v->in, d->name) && (!v->netns || !strcmp(v->netns, d->ns->name));
}

const struct opt_veth *net_find_veth(const struct net *n, const struct dev *d)
{
	const struct opt_veth *found = NULL;

	for (size_t i = 0; i < n->r->opts->n_veths; i++) {
		const struct opt_veth *v = &n->r->opts->veths[i];

		if (is_meant(v, d) && (!found || v->netns))
			found = v;
	}
	return found;
}

/* The namespace in which something outside is: the one that is given for it, or the restorer's own (0). */
static int64_t outside_netns(const struct net *n, const struct dev *d)
{
	const struct restore_netns *out = restore_netns_find(n->r, d->peer_netns);

	return out && out->target ? out->row : 0;
}

int net_put_outside(struct net *n, struct dev *d, struct step *s, const char *what, struct err *e)
{
	const struct opt_veth *v = net_find_veth(n, d);
	struct link_data *ld = s->data;
	char object[300], option[300];

	snprintf(object, sizeof(object), "%s %s: its %s is outside the image", d->ns->name, d->name,
		 what);
	snprintf(option, sizeof(option), "--veth %s/%s=NAME%s", d->ns->name, d->name,
		 !strcmp(what, "peer") ? "[@BRIDGE]" : "");
	d->outside = true;
	ld->out = strdup(v ? v->out : "?");
	ld->bridge = v && v->bridge ? strdup(v->bridge) : NULL;
	ld->out_netns = outside_netns(n, d);
	if (!ld->out)
		return err_set(e, ERR_NOMEM, "outer device");
	if (ld->out_netns && plan_after(n->p, s, MS_EXISTS, ld->out_netns, e))
		return -1;
	return plan_require(n->p, object, option, v != NULL, e);
}

/* A device over the outer end of a pair that the same restore makes comes after it. */
int net_need_outer_end(struct net *n, struct dev *d, struct err *e)
{
	struct link_data *ld = d->made ? d->made->data : NULL;

	if (!d->made || strcmp(d->made->kind->name, "link-out"))
		return 0;
	for (size_t i = 0; i < n->n_devs; i++) {
		const struct dev *o = &n->devs[i];
		const struct link_data *end = o->made ? o->made->data : NULL;

		if (!o->made || strcmp(o->made->kind->name, "veth-out") ||
		    end->out_netns != ld->out_netns || strcmp(end->out, ld->out))
			continue;
		ld->out_is_made = true;
		if (plan_need(n->p, d->made, o->made, e))
			return -1;
	}
	return 0;
}

/* Those that a --veth can be given for, for the error; and why this one is none of them. */
static int no_such_veth(const struct net *n, const struct opt_veth *v, struct err *e)
{
	const char *why = "the image has no such device";
	auto_buf struct buf list = {0};

	for (size_t i = 0; i < n->n_devs; i++) {
		const struct dev *d = &n->devs[i];

		if (d->outside &&
		    buf_printf(&list, e, "%s%s/%s", list.len ? ", " : "", d->ns->name, d->name))
			return -1;
		if (!d->outside && is_meant(v, d))
			why = d->ns->external ? "its namespace is not made"
					      : "nothing of it is outside the image";
	}
	return err_set(e, ERR_USAGE, "--veth %s%s%s=%s: %s; %s%s", v->netns ? v->netns : "",
		       v->netns ? "/" : "", v->in, v->out, why,
		       list.len ? "it is for " : "no device leads outside",
		       list.len ? (const char *)list.data : "");
}

int net_check_veths(const struct net *n, struct err *e)
{
	for (size_t i = 0; i < n->r->opts->n_veths; i++) {
		const struct opt_veth *v = &n->r->opts->veths[i];
		bool used = false;

		for (size_t k = 0; k < n->n_devs && !used; k++)
			used = n->devs[k].outside && is_meant(v, &n->devs[k]);
		if (!used)
			return no_such_veth(n, v, e);
	}
	return 0;
}
