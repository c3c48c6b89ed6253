/* The images of one namespace, once it was read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "criu/netdev.pb-c.h"
#include "criu/nsimg.pb-c.h"
#include "dumper/net_conf.h"
#include "dumper/net_scan.h"

static int write_nlmsgs(struct img_writer *w, enum img_kind kind, uint32_t id,
			const struct buf *all, struct err *e)
{
	const struct nlmsghdr *h;
	size_t off = 0;

	if (img_write_begin(w, kind, id, e))
		return -1;
	while ((h = nl_msg_next(buf_span(all), &off)))
		if (img_write_nlmsg(w, (struct span){(const uint8_t *)h, h->nlmsg_len}, e))
			return -1;
	return img_write_end(w, e);
}

static int write_text(struct img_writer *w, enum img_kind kind, uint32_t id, const struct buf *text,
		      struct err *e)
{
	if (img_write_begin(w, kind, id, e) || img_write_bytes(w, buf_span(text), e))
		return -1;
	return img_write_end(w, e);
}

/* nsimg-rtnl-N.img */
static int write_other(struct net_scan *s, struct img_writer *w, struct err *e)
{
	const struct nlmsghdr *h;
	size_t off = 0;

	if (!s->other.len)
		return 0;
	if (img_write_begin(w, IMG_NSIMG_RTNL, s->n->id, e))
		return -1;
	while ((h = nl_msg_next(buf_span(&s->other), &off))) {
		NsimgNlEntry entry = NSIMG_NL_ENTRY__INIT;

		entry.msg.data = (uint8_t *)(uintptr_t)h;
		entry.msg.len = h->nlmsg_len;
		if (img_write_message(w, &entry.base, e))
			return -1;
	}
	return img_write_end(w, e);
}

static void nsimg_netns_fill(const struct dump_netns *n, NsimgNetns *x)
{
	x->has_ino = true;
	x->ino = n->ino;
	x->has_cookie = n->cookie != 0;
	x->cookie = n->cookie;
	x->has_user_ns_id = n->user_ns_id != 0;
	x->user_ns_id = n->user_ns_id;
	x->n_name = n->n_names;
	x->name = n->names;
	x->has_external = x->external = n->external;
	x->has_caller = x->caller = n->caller;
}

static int netns_lists(struct net_scan *s, struct net_conf *c, NetnsEntry *entry, struct err *e)
{
	const struct {
		enum sysctl_list list;
		int whose;
		size_t *n;
		SysctlEntry ***out;
	} rows[] = {
		{SYSCTL_CONF4, SYSCTLS_DEFAULT, &entry->n_def_conf4, &entry->def_conf4},
		{SYSCTL_CONF4, SYSCTLS_ALL, &entry->n_all_conf4, &entry->all_conf4},
		{SYSCTL_CONF6, SYSCTLS_DEFAULT, &entry->n_def_conf6, &entry->def_conf6},
		{SYSCTL_CONF6, SYSCTLS_ALL, &entry->n_all_conf6, &entry->all_conf6},
		{SYSCTL_UNIX, SYSCTLS_NONE, &entry->n_unix_conf, &entry->unix_conf},
		{SYSCTL_IPV4, SYSCTLS_NONE, &entry->n_ipv4_sysctl, &entry->ipv4_sysctl},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (net_conf_list(c, &s->sysctls, rows[i].list, rows[i].whose, rows[i].n,
				  rows[i].out, e))
			return -1;
	return 0;
}

/* Ids of namespaces outside the dump have nothing they could refer to. */
static int netns_ids(struct net_scan *s, NetnsId *ids, NetnsId **list, NetnsEntry *entry,
		     struct err *e)
{
	entry->nsids = list;
	for (size_t i = 0; i < s->n_nsids; i++) {
		if (!s->nsids[i].target) {
			if (dump_lose(s->d, e, s->label,
				      "namespace id %d is that of a namespace outside the dump",
				      s->nsids[i].nsid))
				return -1;
			continue;
		}
		netns_id__init(&ids[i]);
		ids[i].target_ns_id = s->nsids[i].target->id;
		ids[i].netnsid_value = s->nsids[i].nsid;
		list[entry->n_nsids++] = &ids[i];
	}
	return 0;
}

static int write_netns(struct net_scan *s, struct img_writer *w, struct err *e)
{
	auto_net_conf struct net_conf c = {.no_secrets = s->d->opts.no_secrets};
	auto_free NetnsId *ids = calloc(s->n_nsids + 1, sizeof(*ids));
	auto_free NetnsId **list = calloc(s->n_nsids + 1, sizeof(*list));
	NetnsEntry entry = NETNS_ENTRY__INIT;
	NsimgNetns x = NSIMG_NETNS__INIT;

	if (!ids || !list)
		return err_set(e, ERR_NOMEM, "namespace ids");
	nsimg_netns_fill(s->n, &x);
	entry.nsimg = &x;
	if (netns_lists(s, &c, &entry, e) || netns_ids(s, ids, list, &entry, e) ||
	    img_write_begin(w, IMG_NETNS, s->n->id, e) || img_write_message(w, &entry.base, e))
		return -1;
	return img_write_end(w, e);
}

/* A namespace that is given at restore: CRIU takes its key with --inherit-fd 'fd[N]:KEY'. */
int net_write_external(struct dump *d, const struct dump_netns *n, struct err *e)
{
	auto_img_writer struct img_writer w;
	NetnsEntry entry = NETNS_ENTRY__INIT;
	NsimgNetns x = NSIMG_NETNS__INIT;
	const char *slash = n->n_names ? strrchr(n->names[0], '/') : NULL;
	char key[300];

	if (slash && slash[1])
		snprintf(key, sizeof(key), "%s", slash + 1);
	else
		snprintf(key, sizeof(key), "netns-%llu", (unsigned long long)n->ino);
	nsimg_netns_fill(n, &x);
	entry.nsimg = &x;
	entry.ext_key = key;
	dump_writer_init(d, &w);
	if (img_write_begin(&w, IMG_NETNS, n->id, e) || img_write_message(&w, &entry.base, e))
		return -1;
	return img_write_end(&w, e);
}

struct sysctl_writer {
	struct net_scan *s;
	struct img_writer *w;
	bool any;
};

static int write_sysctl(const char *name, const char *value, void *arg, struct err *e)
{
	struct sysctl_writer *sw = arg;
	NsimgSysctlEntry entry = NSIMG_SYSCTL_ENTRY__INIT;

	if (sw->s->d->opts.no_secrets && strstr(name, "fastopen_key"))
		return 0;
	if (!sw->any && img_write_begin(sw->w, IMG_NSIMG_SYSCTL, sw->s->n->id, e))
		return -1;
	sw->any = true;
	entry.name = (char *)(uintptr_t)name;
	entry.value.data = (uint8_t *)(uintptr_t)value;
	entry.value.len = strlen(value);
	return img_write_message(sw->w, &entry.base, e);
}

static int write_sysctls(struct net_scan *s, struct img_writer *w, struct err *e)
{
	struct sysctl_writer sw = {s, w, false};

	if (sysctls_each_kept(&s->sysctls, write_sysctl, &sw, e))
		return -1;
	return sw.any ? img_write_end(w, e) : 0;
}

int net_write_all(struct net_scan *s, struct err *e)
{
	const struct {
		enum img_kind kind;
		const struct buf *content;
		bool is_text, when_empty;
	} raw[] = {
		{IMG_IFADDR, &s->addrs, false, true},
		{IMG_ROUTE, &s->routes[NET_V4], false, true},
		{IMG_ROUTE6, &s->routes[NET_V6], false, true},
		{IMG_RULE, &s->rules, false, true},
		{IMG_NETNF_CT, &s->ct, false, false},
		{IMG_NETNF_EXP, &s->expect, false, false},
		{IMG_NFTABLES, &s->nft, true, true},
		{IMG_IPTABLES, &s->iptables[NET_V4], true, true},
		{IMG_IP6TABLES, &s->iptables[NET_V6], true, true},
	};
	auto_img_writer struct img_writer w;

	dump_writer_init(s->d, &w);
	if (write_netns(s, &w, e) || net_write_devices(s, &w, e) || write_other(s, &w, e) ||
	    write_sysctls(s, &w, e))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(raw); i++)
		if ((raw[i].content->len || raw[i].when_empty) &&
		    (raw[i].is_text ? write_text(&w, raw[i].kind, s->n->id, raw[i].content, e)
				    : write_nlmsgs(&w, raw[i].kind, s->n->id, raw[i].content, e)))
			return -1;
	return 0;
}
