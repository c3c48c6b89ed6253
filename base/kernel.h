/* kernel.h: which features of the running kernel are there, found by using each of them.
 *
 * Owns:  behind struct kernel_env two network namespaces and the devices in them, which end with it.
 * Never: touches a device, a rule or a process that it did not make; asks a version number for an answer.
 *        (The kernel may load a module for what a probe asks for, as it would for the real work.)
 * Order: kernel_env_new, kernel_probe for any of kernel_features, kernel_env_free. From a process with
 *        one thread: some probes fork.
 * Adding a feature: a row in kernel.c, and a probe in kernel_net.c or kernel_proc.c when no other fits.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct kernel_env;

enum kernel_state {
	KERNEL_YES,
	KERNEL_NO,     /* not there; the reason is the kernel's answer */
	KERNEL_DENIED, /* this process may not use it, or not even try */
	KERNEL_STATE_COUNT
};

/* Try a feature. 0: it works; -1 (ERR_PERM: not allowed; any other: it is not there). arg is from the row. */
typedef int kernel_probe_fn(struct kernel_env *env, const char *arg, struct err *e);

struct kernel_feature {
	const char *name;
	const char *needed_for; /* "dump", "restore", "exec", "both" (dump and restore) */
	bool needed; /* without it the main work fails; otherwise only some kind of object does */
	const char *since; /* Linux version, or NULL where it depends on the driver */
	kernel_probe_fn *probe;
	const char *arg;
	const char *without; /* what is lost, a few words */
};

/* All rows, lent, static; their number in *n. */
const struct kernel_feature *kernel_features(size_t *n);

/* An owned environment. Being allowed no namespace is no failure: the probes that need one then answer
 * KERNEL_DENIED. NULL: ERR_NOMEM. */
struct kernel_env *kernel_env_new(struct err *e);
void kernel_env_free(struct kernel_env *env);

/* Try one feature. *why is filled unless it is there. */
enum kernel_state kernel_probe(struct kernel_env *env, const struct kernel_feature *f,
			       struct err *why);

/* "yes", "no", "not allowed": lent, static. */
const char *kernel_state_name(enum kernel_state s);

static inline void kernel_env_cleanup_(struct kernel_env **env)
{
	kernel_env_free(*env);
}
#define auto_kernel_env __attribute__((cleanup(kernel_env_cleanup_)))
