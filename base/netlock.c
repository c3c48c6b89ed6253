#include "base/netlock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/criu.h"
#include "base/nft.h"
#include "base/nl.h"
#include "base/ns.h"

#define TEXT_OF_(x) #x
#define TEXT_OF(x)  TEXT_OF_(x)

#define CHAIN(table, hook, priority, policy)                                                       \
	"add chain inet " table " " hook " { type filter hook " hook " priority " priority         \
	"; policy " policy "; }\n"                                                                 \
	"add rule inet " table " " hook " meta mark " TEXT_OF(CRIU_MARK) " accept\n"

/* One transaction: all or nothing. Adding the table first makes the deletion right in any state. Priority -300 is before
 * connection tracking (NF_IP_PRI_RAW), so that what is dropped leaves no entry there. What CRIU sends goes to a socket of
 * the same namespace and keeps its mark on that way. */
static const char unlock[] = "add table inet " NETLOCK_TABLE "\n"
			     "delete table inet " NETLOCK_TABLE "\n";
static const char lock[] =
	"add table inet " NETLOCK_TABLE "\n"
	"delete table inet " NETLOCK_TABLE "\n"
	"add table inet " NETLOCK_TABLE "\n" CHAIN(NETLOCK_TABLE, "input", "-300", "drop")
		CHAIN(NETLOCK_TABLE, "output", "-300", "drop");

/* The kernel says EINVAL for a subsystem that it does not have. */
static bool is_no_nftables(const struct err *e)
{
	return e->saved_errno == EINVAL || e->saved_errno == EOPNOTSUPP ||
	       e->saved_errno == EPROTONOSUPPORT;
}

static bool is_the_table(const struct nlmsghdr *h)
{
	const struct nlattr *a =
		nl_attr_find(nl_attrs(h, sizeof(struct nfgenmsg)), NFTA_TABLE_NAME);
	struct span name = a ? nl_attr_data(a) : (struct span){NULL, 0};

	return name.len == sizeof(NETLOCK_TABLE) &&
	       !memcmp(name.data, NETLOCK_TABLE, sizeof(NETLOCK_TABLE));
}

/* Tables are listed and not asked for by name: a name that is not there would be an error like any other. */
static int find_here(bool *is_there, struct err *e)
{
	const struct nfgenmsg g = {.nfgen_family = NFPROTO_INET, .version = NFNETLINK_V0};
	auto_nl struct nl *nl = nl_open(NETLINK_NETFILTER, e);
	auto_buf struct buf req = {0};
	auto_buf struct buf tables = {0};
	const struct nlmsghdr *h;
	size_t off = 0;

	*is_there = false;
	if (!nl ||
	    nl_msg_begin(&req, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE, 0, &g, sizeof(g), e) ||
	    nl_dump_raw(nl, &req, &tables, "nftables", e))
		return -1;
	while ((h = nl_msg_next(buf_span(&tables), &off)))
		*is_there |= is_the_table(h);
	return 0;
}

static int no_nftables(struct err *e)
{
	return is_no_nftables(e) ? err_set(e, ERR_UNSUPPORTED, "the kernel has no nftables") : -1;
}

static int add_here(void *arg, struct err *e)
{
	bool is_there;

	if (find_here(&is_there, e))
		return no_nftables(e);
	return nft_run(lock, NULL, e);
}

static int remove_here(void *arg, struct err *e)
{
	bool is_there;

	if (find_here(&is_there, e))
		return is_no_nftables(e) ? 0 : -1;
	return is_there ? nft_run(unlock, NULL, e) : 0;
}

static int find_it(void *arg, struct err *e)
{
	return find_here(arg, e) && !is_no_nftables(e) ? -1 : 0;
}

static int in_namespace(int netns_fd, int (*fn)(void *arg, struct err *e), void *arg,
			const char *what, struct err *e)
{
	int fd = dup(netns_fd);
	auto_ns struct ns *ns = NULL;

	if (fd < 0)
		return err_sys(e, ERR_IO, "%s", what);
	ns = ns_from_fd(fd, e);
	return ns && !ns_call(ns, fn, arg, e) ? 0 : err_wrap(e, "%s", what);
}

int netlock_add(int netns_fd, struct err *e)
{
	return in_namespace(netns_fd, add_here, NULL, "lock a network namespace", e);
}

int netlock_remove(int netns_fd, struct err *e)
{
	return in_namespace(netns_fd, remove_here, NULL, "unlock a network namespace", e);
}

int netlock_find(int netns_fd, bool *is_there, struct err *e)
{
	*is_there = false;
	return in_namespace(netns_fd, find_it, is_there, "look for the lock of a network namespace",
			    e);
}

/* ---- single connections ---- */

/* Both chains see the addresses that the sockets have: what comes in after (300), what goes out before (-300) any
 * translation of them. */
#define SET(name, type)                                                                            \
	"add set inet %1$s " name " { type " type " . inet_service . " type " . inet_service; }\n"
#define DROP(hook, ip, set)                                                                        \
	"add rule inet %1$s " hook " " ip " saddr . tcp sport . " ip " daddr . tcp dport @" set    \
	" drop\n"
static const char hold[] = "add table inet %1$s { flags owner; }\n" SET("conns4", "ipv4_addr")
	SET("conns6", "ipv6_addr") CHAIN("%1$s", "input", "300", "accept")
		DROP("input", "ip", "conns4") DROP("input", "ip6", "conns6")
			CHAIN("%1$s", "output", "-300", "accept") DROP("output", "ip", "conns4")
				DROP("output", "ip6", "conns6");

struct end_text {
	char addr[INET6_ADDRSTRLEN];
	unsigned port;
	bool is_v4;
};

static struct end_text end_text(const union netlock_end *end)
{
	const bool is_mapped =
		end->sa.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&end->v6.sin6_addr);
	struct end_text t = {.is_v4 = end->sa.sa_family == AF_INET || is_mapped};

	if (end->sa.sa_family == AF_INET)
		inet_ntop(AF_INET, &end->v4.sin_addr, t.addr, sizeof(t.addr));
	else if (is_mapped)
		inet_ntop(AF_INET, &end->v6.sin6_addr.s6_addr[12], t.addr, sizeof(t.addr));
	else
		inet_ntop(AF_INET6, &end->v6.sin6_addr, t.addr, sizeof(t.addr));
	/* both structures have it at the same place */
	t.port = ntohs(end->v4.sin_port);
	return t;
}

/* Both directions of the connections of one set; nothing where it has none. */
static int set_text(const struct netlock_conn *conns, size_t n, const char *name, bool is_v4,
		    struct buf *text, struct err *e)
{
	size_t n_in = 0;

	for (size_t i = 0; i < n; i++) {
		const struct end_text a = end_text(&conns[i].here), b = end_text(&conns[i].there);

		if (a.is_v4 != is_v4)
			continue;
		if ((!n_in++ ? buf_printf(text, e, "add element inet %s conns%d {", name,
					  is_v4 ? 4 : 6)
			     : buf_add_str(text, ",", e)) ||
		    buf_printf(text, e, " %s . %u . %s . %u, %s . %u . %s . %u", a.addr, a.port,
			       b.addr, b.port, b.addr, b.port, a.addr, a.port))
			return -1;
	}
	return n_in ? buf_add_str(text, " }\n", e) : 0;
}

static int hold_text(const struct netlock_conn *conns, size_t n, struct buf *text, struct err *e)
{
	char name[64];
	uint64_t id;

	if (getrandom(&id, sizeof(id), 0) != sizeof(id))
		return err_sys(e, ERR_KERNEL, "a name for the lock");
	snprintf(name, sizeof(name), NETLOCK_HELD "%016" PRIx64, id);
	return buf_printf(text, e, hold, name) || set_text(conns, n, name, true, text, e) ||
			       set_text(conns, n, name, false, text, e)
		       ? -1
		       : 0;
}

struct holding {
	const struct netlock_conn *conns;
	size_t n;
	struct nft_ctx *held;
};

static int hold_here(void *arg, struct err *e)
{
	struct holding *h = arg;
	auto_buf struct buf text = {0};
	bool is_there;

	if (find_here(&is_there, e))
		return no_nftables(e);
	if (hold_text(h->conns, h->n, &text, e))
		return -1;
	h->held = nft_hold((const char *)text.data, e);
	return h->held ? 0 : -1;
}

struct nft_ctx *netlock_hold(int netns_fd, const struct netlock_conn *conns, size_t n,
			     struct err *e)
{
	struct holding h = {conns, n, NULL};

	return in_namespace(netns_fd, hold_here, &h, "stop connections of a network namespace", e)
		       ? NULL
		       : h.held;
}
