#include "base/netlock.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/criu.h"
#include "base/nft.h"
#include "base/nl.h"
#include "base/ns.h"

#define TEXT_OF_(x) #x
#define TEXT_OF(x)  TEXT_OF_(x)

/* Priority -300 is before connection tracking (NF_IP_PRI_RAW), so that what is dropped leaves no entry there. What CRIU
 * sends goes to a socket of the same namespace and keeps its mark on that way. */
#define CHAIN(hook)                                                                                \
	"add chain inet " NETLOCK_TABLE " " hook " { type filter hook " hook                       \
	" priority -300; policy drop; }\n"                                                         \
	"add rule inet " NETLOCK_TABLE " " hook " meta mark " TEXT_OF(CRIU_MARK) " accept\n"

/* One transaction: all or nothing. Adding the table first makes the deletion right in any state. */
static const char unlock[] = "add table inet " NETLOCK_TABLE "\n"
			     "delete table inet " NETLOCK_TABLE "\n";
static const char lock[] = "add table inet " NETLOCK_TABLE "\n"
			   "delete table inet " NETLOCK_TABLE "\n"
			   "add table inet " NETLOCK_TABLE "\n" CHAIN("input") CHAIN("output");

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

static int add_here(void *arg, struct err *e)
{
	bool is_there;

	if (find_here(&is_there, e))
		return is_no_nftables(e) ? err_set(e, ERR_UNSUPPORTED, "the kernel has no nftables")
					 : -1;
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
