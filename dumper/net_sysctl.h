/* net_sysctl.h: the sysctls below /proc/sys/net of one namespace.
 *
 * Owns:  names and values behind struct sysctls.
 * Thread: /proc/sys/net shows the namespace of the task that looks (net_ctl_root in net/sysctl_net.c takes
 *        current->nsproxy), thread by thread: sysctls_read must run inside the namespace (ns_call).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct sysctl_val {
	uint32_t name, value; /* offsets in text */
	bool writable;
};

/* A zeroed one is empty. */
struct sysctls {
	struct buf text;
	struct sysctl_val *all; /* by name, once read */
	size_t n, cap;
};

/* All readable sysctls of the calling thread's namespace, named "net/ipv4/ip_forward", values without the
 * final newline. Left out are second names of values that have a more exact one (net/ipv4/ip_forward,
 * neigh/DEVICE/retrans_time). with_mode: writable is filled in too. */
int sysctls_read(struct sysctls *s, bool with_mode, struct err *e);
void sysctls_free(struct sysctls *s);

/* The value, lent, or NULL. */
const char *sysctls_get(const struct sysctls *s, const char *name);

static inline const char *sysctls_name(const struct sysctls *s, size_t i)
{
	return (const char *)s->text.data + s->all[i].name;
}

static inline const char *sysctls_value(const struct sysctls *s, size_t i)
{
	return (const char *)s->text.data + s->all[i].value;
}

/* Must the value of a sysctl be written for the namespace to come back as it was? False: it is in one of
 * CRIU's positional lists, cannot be written in a new namespace, or is what a new namespace has anyway. */
bool sysctls_is_kept(const struct sysctls *s, size_t i, const struct sysctls *fresh);
