/* The firewall: nftables as nft's own text; what that text cannot say as iptables-save text.
 *
 * Rules of iptables-nft may hold extensions of iptables ("match" and "target" expressions), which nft prints
 * in a form that it cannot read again. A table with such a rule is kept by iptables-nft-save, in the image
 * of iptables, behind what iptables-legacy-save says; both begin with a line that names the program.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/netlock.h"
#include "base/nft.h"
#include "dumper/net_iptables.h"
#include "dumper/net_scan.h"

#ifndef NFT_TABLE_F_OWNER
#define NFT_TABLE_F_OWNER 0x2
#endif

/* The tables that iptables knows (ip_tables(7) of the kernel: iptable_*.c). */
static const char *const xt_tables[] = {"filter", "nat", "mangle", "raw", "security"};

static int xt_table(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(xt_tables); i++)
		if (!strcmp(xt_tables[i], name))
			return (int)i;
	return -1;
}

static int nft_dump(struct nl *nf, struct buf *req, unsigned msg, struct buf *out, struct err *e)
{
	struct nfgenmsg g = {.nfgen_family = NFPROTO_UNSPEC, .version = NFNETLINK_V0};

	if (nl_msg_begin(req, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | msg), 0, &g, sizeof(g), e))
		return -1;
	return nl_dump_raw(nf, req, out, "nftables", e);
}

static uint8_t nft_family(const struct nlmsghdr *h)
{
	return h->nlmsg_len > NLMSG_HDRLEN ? *((const uint8_t *)h + NLMSG_HDRLEN) : 0;
}

static const char *nft_family_word(uint8_t family)
{
	switch (family) {
	case NFPROTO_IPV4:
		return "ip";
	case NFPROTO_IPV6:
		return "ip6";
	case NFPROTO_INET:
		return "inet";
	case NFPROTO_ARP:
		return "arp";
	case NFPROTO_BRIDGE:
		return "bridge";
	default:
		return "netdev";
	}
}

static const char *nft_text(const struct nlmsghdr *h, uint16_t attr)
{
	const struct nlattr *a = nl_attr_find(nl_attrs(h, sizeof(struct nfgenmsg)), attr);
	struct span s = a ? nl_attr_data(a) : (struct span){NULL, 0};

	return s.len && !s.data[s.len - 1] ? (const char *)s.data : "";
}

static bool is_xt_rule(const struct nlmsghdr *h)
{
	const struct nlattr *list =
		nl_attr_find(nl_attrs(h, sizeof(struct nfgenmsg)), NFTA_RULE_EXPRESSIONS);
	const struct nlattr *elem;
	size_t off = 0;

	while (list && (elem = nl_attr_next(nl_attr_data(list), &off))) {
		const struct nlattr *name = nl_attr_find(nl_attr_data(elem), NFTA_EXPR_NAME);
		const char *text = name ? (const char *)nl_attr_data(name).data : "";
		size_t len = name ? nl_attr_data(name).len : 0;

		if ((len == sizeof("match") && !memcmp(text, "match", len)) ||
		    (len == sizeof("target") && !memcmp(text, "target", len)))
			return true;
	}
	return false;
}

/* Note which tables hold extensions of iptables. */
static int find_compat(struct net_scan *s, const struct buf *rules, struct err *e)
{
	const struct nlmsghdr *h;
	size_t off = 0;

	while ((h = nl_msg_next(buf_span(rules), &off))) {
		uint8_t family = nft_family(h);
		const char *table = nft_text(h, NFTA_RULE_TABLE);
		int i = xt_table(table);

		if (!is_xt_rule(h))
			continue;
		if (family == NFPROTO_IPV4 && i >= 0)
			s->compat[NET_V4] |= 1u << i;
		else if (family == NFPROTO_IPV6 && i >= 0)
			s->compat[NET_V6] |= 1u << i;
		else if (net_lose(s, e,
				  "a rule of table %s %s has an extension of iptables that nft's "
				  "text cannot say",
				  nft_family_word(family), table))
			return -1;
	}
	return 0;
}

/* Of an nsimg that has CRIU work in this namespace. */
static bool is_held_lock(const struct nlmsghdr *table)
{
	return nft_family(table) == NFPROTO_INET &&
	       !strncmp(nft_text(table, NFTA_TABLE_NAME), NETLOCK_HELD, strlen(NETLOCK_HELD));
}

static int note_owners(struct net_scan *s, const struct buf *tables, struct err *e)
{
	const struct nlmsghdr *h;
	size_t off = 0;

	while ((h = nl_msg_next(buf_span(tables), &off))) {
		const struct nlattr *flags =
			nl_attr_find(nl_attrs(h, sizeof(struct nfgenmsg)), NFTA_TABLE_FLAGS);

		if (ntohl(nl_attr_u32(flags)) & NFT_TABLE_F_OWNER && !is_held_lock(h) &&
		    net_lose(s, e,
			     "nft table %s %s belongs to the socket of a process and goes with it",
			     nft_family_word(nft_family(h)), nft_text(h, NFTA_TABLE_NAME)))
			return -1;
	}
	return 0;
}

/* A table in nft's text: from the line that begins so to the brace in the first column. False: it is not there. Asking
 * nft for single tables would put their names, which any process may choose, into a command. */
static bool nft_text_find(const struct buf *text, const char *first, size_t *at, size_t *len)
{
	const char *begin = (const char *)text->data, *end;

	while (begin && strncmp(begin, first, strlen(first)) != 0) {
		begin = strchr(begin, '\n');
		begin = begin ? begin + 1 : NULL;
	}
	end = begin ? strstr(begin, "\n}\n") : NULL;
	if (!end)
		return false;
	*at = (size_t)(begin - (const char *)text->data);
	*len = (size_t)(end - begin) + strlen("\n}\n");
	return true;
}

/* Append what iptables-nft-save says, without the chains that the table does not have: it lists all that
 * iptables knows, and giving them back would make them. */
static int add_compat(struct buf *out, const char *save, const char *table, size_t table_len,
		      struct err *e)
{
	char want[80];

	while (*save) {
		size_t len = strcspn(save, "\n") + 1;
		int name = (int)strcspn(save, " \n") - 1;

		if (!save[len - 1])
			len--;
		if (*save == ':' &&
		    snprintf(want, sizeof(want), "\n\tchain %.*s {\n", name, save + 1) <
			    (int)sizeof(want) &&
		    !memmem(table, table_len, want, strlen(want))) {
			save += len;
			continue;
		}
		if (buf_add(out, save, len, e))
			return -1;
		save += len;
	}
	return 0;
}

static bool has_lines(const char *path)
{
	struct err e = ERR_INIT;
	auto_buf struct buf b = {0};

	return !io_read_file(AT_FDCWD, path, 4096, &b, &e) && b.len;
}

/* The text of nft: rules with the state of their counters, quotas and elements; without the locks that stand while
 * CRIU takes the sockets. */
static int nft_list(void *arg, struct err *e)
{
	static const char *const locks[] = {"table inet " NETLOCK_TABLE " {\n",
					    "table inet " NETLOCK_HELD};
	struct buf *out = arg;
	size_t at, len;

	if (nft_run("list ruleset\n", out, e))
		return err_wrap(e, "list ruleset");
	for (size_t i = 0; i < ARRAY_SIZE(locks); i++)
		while (nft_text_find(out, locks[i], &at, &len))
			if (buf_splice(out, at, len, NULL, 0, e))
				return -1;
	return 0;
}

int net_scan_nft(struct net_scan *s, struct err *e)
{
	return s->has_nft ? ns_call(s->n->ns, nft_list, &s->nft, e) : 0;
}

int net_scan_firewall(struct net_scan *s, struct err *e)
{
	struct err e2 = ERR_INIT;
	struct nl *nf = net_socks_get(s->socks, NETLINK_NETFILTER, &e2);
	auto_buf struct buf tables = {0};
	auto_buf struct buf rules = {0};

	/* thread-self, since /proc/net is the namespace of the main thread */
	s->has_legacy[NET_V4] = has_lines("/proc/thread-self/net/ip_tables_names");
	s->has_legacy[NET_V6] = has_lines("/proc/thread-self/net/ip6_tables_names");
	if (!nf)
		return 0; /* a kernel without netfilter */
	if (nft_dump(nf, &s->req, NFT_MSG_GETTABLE, &tables, &e2)) {
		/* nfnetlink says EINVAL for a part that is not there */
		if (e2.saved_errno == EINVAL || e2.saved_errno == EOPNOTSUPP)
			return 0;
		*e = e2;
		return -1;
	}
	if (!tables.len)
		return 0;
	if (nft_dump(nf, &s->req, NFT_MSG_GETRULE, &rules, e) || find_compat(s, &rules, e) ||
	    note_owners(s, &tables, e))
		return -1;
	s->has_nft = true;
	return 0;
}

/* One table of iptables-nft goes from nft's text to that of iptables; when the program cannot say it either,
 * nft's text has to do and the loss is noted. */
static int save_compat(struct net_scan *s, enum net_family f, const char *table, struct err *e)
{
	const char *family = f == NET_V4 ? "ip" : "ip6";
	auto_buf struct buf text = {0};
	struct err e2 = ERR_INIT;
	char first[64];
	size_t at, len;

	if (iptables_save(ns_fd(s->n->ns), f == NET_V6, true, table, &text, &e2) || !text.len ||
	    strstr((const char *)text.data, "is incompatible"))
		return net_lose(
			s, e, "rules of table %s %s with extensions of iptables: %s", family, table,
			*e2.msg ? e2.msg : "iptables-nft-save finds the table incompatible");
	snprintf(first, sizeof(first), "table %s %s {\n", family, table);
	if (!nft_text_find(&s->nft, first, &at, &len))
		return buf_add(&s->iptables[f], text.data, text.len, e);
	if (add_compat(&s->iptables[f], (const char *)text.data, (const char *)s->nft.data + at,
		       len, e))
		return -1;
	return buf_splice(&s->nft, at, len, NULL, 0, e);
}

int net_scan_iptables(struct net_scan *s, struct err *e)
{
	for (enum net_family f = 0; f < NET_FAMILY_COUNT; f++) {
		struct err e2 = ERR_INIT;

		if (s->has_legacy[f] &&
		    iptables_save(ns_fd(s->n->ns), f == NET_V6, false, NULL, &s->iptables[f],
				  &e2) &&
		    net_lose(s, e, "tables of iptables-legacy: %s", e2.msg))
			return -1;
		for (size_t i = 0; i < ARRAY_SIZE(xt_tables); i++)
			if (s->compat[f] & 1u << i && save_compat(s, f, xt_tables[i], e))
				return -1;
	}
	return 0;
}
