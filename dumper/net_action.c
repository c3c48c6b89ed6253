/* Actions of traffic control that stand by themselves (tc-actions(8)): what no filter would bring back.
 *
 * They are told by kind, and to ask for a kind makes the kernel look for its module (net/sched/act_api.c
 * tc_lookup_action_n()). So a kind is asked for once, in a fresh namespace, unless /proc/modules and modules.builtin say that it
 * is not there. */
#include <fcntl.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_bpf.h>
#include <linux/tc_act/tc_connmark.h>
#include <linux/tc_act/tc_csum.h>
#include <linux/tc_act/tc_ct.h>
#include <linux/tc_act/tc_ctinfo.h>
#include <linux/tc_act/tc_defact.h>
#include <linux/tc_act/tc_gact.h>
#include <linux/tc_act/tc_gate.h>
#include <linux/tc_act/tc_ife.h>
#include <linux/tc_act/tc_mirred.h>
#include <linux/tc_act/tc_mpls.h>
#include <linux/tc_act/tc_nat.h>
#include <linux/tc_act/tc_pedit.h>
#include <linux/tc_act/tc_sample.h>
#include <linux/tc_act/tc_skbedit.h>
#include <linux/tc_act/tc_skbmod.h>
#include <linux/tc_act/tc_tunnel_key.h>
#include <linux/tc_act/tc_vlan.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "dumper/net_scan.h"

/* tc_gen, with which the parameters of all kinds but one begin (include/uapi/linux/pkt_cls.h). */
struct gen {
	tc_gen;
};

#define GEN(name, module, attr)                                                                    \
	{                                                                                          \
		name, module, attr, offsetof(struct gen, refcnt), offsetof(struct gen, bindcnt)    \
	}

static const struct action_kind {
	const char *name, *module;
	uint16_t params; /* the attribute of TCA_ACT_OPTIONS that has the two counts */
	size_t refs, binds;
} kinds[] = {
	GEN("gact", "act_gact", TCA_GACT_PARMS),
	GEN("mirred", "act_mirred", TCA_MIRRED_PARMS),
	{"police", "act_police", TCA_POLICE_TBF, offsetof(struct tc_police, refcnt),
	 offsetof(struct tc_police, bindcnt)},
	GEN("skbedit", "act_skbedit", TCA_SKBEDIT_PARMS),
	GEN("pedit", "act_pedit", TCA_PEDIT_PARMS),
	GEN("csum", "act_csum", TCA_CSUM_PARMS),
	GEN("vlan", "act_vlan", TCA_VLAN_PARMS),
	GEN("nat", "act_nat", TCA_NAT_PARMS),
	GEN("connmark", "act_connmark", TCA_CONNMARK_PARMS),
	GEN("tunnel_key", "act_tunnel_key", TCA_TUNNEL_KEY_PARMS),
	GEN("simple", "act_simple", TCA_DEF_PARMS),
	GEN("sample", "act_sample", TCA_SAMPLE_PARMS),
	GEN("ct", "act_ct", TCA_CT_PARMS),
	GEN("ctinfo", "act_ctinfo", TCA_CTINFO_ACT),
	GEN("mpls", "act_mpls", TCA_MPLS_PARMS),
	GEN("skbmod", "act_skbmod", TCA_SKBMOD_PARMS),
	GEN("ife", "act_ife", TCA_IFE_PARMS),
	GEN("gate", "act_gate", TCA_GATE_PARMS),
	GEN("bpf", "act_bpf", TCA_ACT_BPF_PARMS),
};
_Static_assert(ARRAY_SIZE(kinds) <= 32, "a bit for each kind");

/* The request for all of a kind: TCA_ACT_TAB with one numbered nest that has the kind. */
static int action_request(const struct action_kind *k, struct buf *req, struct err *e)
{
	struct tcamsg head = {.tca_family = AF_UNSPEC};
	size_t list, one;

	return nl_msg_begin(req, RTM_GETACTION, 0, &head, sizeof(head), e) ||
			       nl_nest_begin(req, TCA_ACT_TAB, &list, e) ||
			       nl_nest_begin(req, 1, &one, e) ||
			       nl_put_str(req, TCA_ACT_KIND, k->name, e) ||
			       nl_nest_end(req, one, e) || nl_nest_end(req, list, e)
		       ? -1
		       : 0;
}

/* The modules that are loaded or built in; empty where nobody can tell, as without modules at all. */
static void modules_read(struct buf *text)
{
	struct err none = ERR_INIT;
	struct utsname uts;
	char path[128];

	if (uname(&uts))
		return;
	snprintf(path, sizeof(path), "/lib/modules/%s/modules.builtin", uts.release);
	if (io_read_file(AT_FDCWD, path, 1 << 20, text, &none) ||
	    io_read_file(AT_FDCWD, "/proc/modules", 1 << 20, text, &none))
		buf_reset(text);
}

uint32_t net_action_kinds(struct nl *nl)
{
	auto_buf struct buf modules = {0};
	auto_buf struct buf req = {0};
	auto_buf struct buf all = {0};
	uint32_t found = 0;

	modules_read(&modules);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct err unknown = ERR_INIT;

		if (modules.len && !strstr((const char *)modules.data, kinds[i].module))
			continue;
		buf_reset(&all);
		if (!action_request(&kinds[i], &req, &unknown) &&
		    !nl_dump_raw(nl, &req, &all, "actions", &unknown))
			found |= 1u << i;
	}
	return found;
}

/* Who refers to it beyond the filters that have it is whoever made it. */
static bool stands_by_itself(const struct action_kind *k, struct span action)
{
	struct span options = nl_attr_data(nl_attr_find(action, TCA_ACT_OPTIONS));
	struct span params = nl_attr_data(nl_attr_find(options, k->params));
	int32_t refs, binds;

	if (params.len < k->refs + sizeof(refs) || params.len < k->binds + sizeof(binds))
		return false;
	memcpy(&refs, params.data + k->refs, sizeof(refs));
	memcpy(&binds, params.data + k->binds, sizeof(binds));
	return refs > binds;
}

/* One message for each, as it can be made again. */
static int action_keep(struct net_scan *s, struct span action, struct err *e)
{
	struct tcamsg head = {.tca_family = AF_UNSPEC};
	size_t list;

	return nl_msg_begin(&s->req, RTM_NEWACTION, 0, &head, sizeof(head), e) ||
			       nl_nest_begin(&s->req, TCA_ACT_TAB, &list, e) ||
			       nl_put(&s->req, 1, action.data, action.len, e) ||
			       nl_nest_end(&s->req, list, e) || net_req_keep(s, e)
		       ? -1
		       : 0;
}

static int scan_kind(struct net_scan *s, const struct action_kind *k, struct err *e)
{
	auto_buf struct buf all = {0};
	const struct nlmsghdr *h;
	size_t off = 0;

	if (action_request(k, &s->req, e) || nl_dump_raw(s->rt, &s->req, &all, "actions", e))
		return -1;
	while ((h = nl_msg_next(buf_span(&all), &off))) {
		struct span attrs = nl_attrs(h, sizeof(struct tcamsg));
		struct span list = nl_attr_data(nl_attr_find(attrs, TCA_ACT_TAB));
		const struct nlattr *a;
		size_t at = 0;

		while ((a = nl_attr_next(list, &at)))
			if (stands_by_itself(k, nl_attr_data(a)) &&
			    action_keep(s, nl_attr_data(a), e))
				return -1;
	}
	return 0;
}

int net_scan_actions(struct net_scan *s, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (s->d->net->action_kinds & 1u << i && scan_kind(s, &kinds[i], e))
			return -1;
	return 0;
}
