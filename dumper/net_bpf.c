/* eBPF programs on devices and on the namespace, which the kernel does not give out. (The XDP program of a device is told with
 * the device; of those at hooks of netfilter it tells the descriptors of their links alone, task.c.)
 *
 * To ask for those of a device takes the lock of rtnetlink. So what types of programs are loaded on this machine is asked
 * once, and only where such a program may be is looked. */
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/ns.h"
#include "dumper/net_scan.h"

/* enum bpf_attach_type, of headers younger than Debian 12's. */
enum { TCX_INGRESS = 46, TCX_EGRESS = 47, NETKIT_PRIMARY = 54, NETKIT_PEER = 55 };

static const struct {
	unsigned type, attach;
	bool is_of_device;
	const char *what;
} places[] = {
	{BPF_PROG_TYPE_SCHED_CLS, TCX_INGRESS, true, "its ingress (tcx)"},
	{BPF_PROG_TYPE_SCHED_CLS, TCX_EGRESS, true, "its egress (tcx)"},
	{BPF_PROG_TYPE_SCHED_CLS, NETKIT_PRIMARY, true, "itself (netkit)"},
	{BPF_PROG_TYPE_SCHED_CLS, NETKIT_PEER, true, "its peer (netkit)"},
	{BPF_PROG_TYPE_SK_LOOKUP, BPF_SK_LOOKUP, false, "the lookup of sockets (sk_lookup)"},
	{BPF_PROG_TYPE_FLOW_DISSECTOR, BPF_FLOW_DISSECTOR, false, "the flow dissector"},
};

static int bpf(int cmd, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

static uint64_t type_of(uint32_t id)
{
	struct bpf_prog_info info;
	union bpf_attr a;
	auto_close int fd = -1;

	memset(&a, 0, sizeof(a));
	a.prog_id = id;
	fd = bpf(BPF_PROG_GET_FD_BY_ID, &a);
	memset(&a, 0, sizeof(a));
	memset(&info, 0, sizeof(info));
	a.info.bpf_fd = (uint32_t)fd;
	a.info.info = (uint64_t)(uintptr_t)&info;
	a.info.info_len = sizeof(info);
	return fd >= 0 && !bpf(BPF_OBJ_GET_INFO_BY_FD, &a) && info.type < 64
		       ? UINT64_C(1) << info.type
		       : 0;
}

uint64_t net_bpf_types(void)
{
	union bpf_attr a;
	uint64_t types = 0;

	memset(&a, 0, sizeof(a));
	while (!bpf(BPF_PROG_GET_NEXT_ID, &a)) {
		uint32_t id = a.next_id;

		types |= type_of(id);
		memset(&a, 0, sizeof(a));
		a.start_id = id;
	}
	return types;
}

/* target: an interface index, or the descriptor of a namespace. */
static uint32_t count(uint32_t target, unsigned attach)
{
	union bpf_attr a;

	memset(&a, 0, sizeof(a));
	a.query.target_fd = target;
	a.query.attach_type = attach;
	return bpf(BPF_PROG_QUERY, &a) ? 0 : a.query.prog_cnt;
}

static int lose_place(struct net_scan *s, const char *device, uint32_t n, const char *what,
		      struct err *e)
{
	if (!n)
		return 0;
	return net_lose(s, e, "%s%s%s%u eBPF program%s at %s not kept", device ? "device " : "",
			device ? device : "", device ? ": " : "", n, n == 1 ? "" : "s", what);
}

int net_scan_bpf(struct net_scan *s, struct err *e)
{
	uint64_t types = s->d->net->bpf_types;

	for (size_t i = 0; types && i < ARRAY_SIZE(places); i++) {
		unsigned attach = places[i].attach;

		if (!(types >> places[i].type & 1))
			continue;
		if (!places[i].is_of_device &&
		    lose_place(s, NULL, count((uint32_t)ns_fd(s->n->ns), attach), places[i].what,
			       e))
			return -1;
		for (size_t k = 0; places[i].is_of_device && k < s->n_devs; k++)
			if (lose_place(s, s->devs[k].name, count(s->devs[k].ifindex, attach),
				       places[i].what, e))
				return -1;
	}
	return 0;
}
