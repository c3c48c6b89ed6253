/* net_sysctl.h: the sysctls below /proc/sys/net of one namespace.
 *
 * Owns:  which files there are (struct sysctl_schema, learnt once from a fresh namespace) and the values of one
 *        namespace (struct sysctls).
 * Facts: a file costs three system calls and a lookup that fills the kernel's caches, and there are about 250
 *        of a namespace, 200 of "all" and "default", and 130 of each device. Those of the devices come out of
 *        messages (proto/devconf.h), as far as these tell the same as the files of the fresh namespace's lo;
 *        files that cannot be written, or that a fresh namespace does not have, are not kept and so not read.
 * Thread: /proc/sys/net shows the namespace of the task that looks (net_ctl_root in net/sysctl_net.c takes
 *        current->nsproxy), thread by thread: sysctl_schema_read and sysctls_read must run inside the namespace
 *        (ns_call).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/nl.h"
#include "base/u64map.h"
#include "proto/devconf.h"
#include "proto/sysctl_tables.h"

struct sysctl_schema;
struct sysctl_files;
struct sysctl_dev;
struct sysctl_dev_text;

/* From the calling thread's namespace, which nobody has touched; rt is an rtnetlink socket of it. */
struct sysctl_schema *sysctl_schema_read(struct nl *rt, struct err *e);
void sysctl_schema_free(struct sysctl_schema *x);

/* How many files of a namespace are read, apart from those of devices. */
size_t sysctl_schema_n_files(const struct sysctl_schema *x);

/* The files of the calling thread's namespace, at most max of them, opened now and read later, by a thread with the
 * same table of descriptors in the same namespace. Owned, NULL with e set. Nothing is closed: the table ends with
 * its thread (ns_worker_new). */
struct sysctl_files *sysctl_files_open(const struct sysctl_schema *x, size_t max, struct err *e);
int sysctl_files_read(struct sysctl_files *f, struct err *e);
size_t sysctl_files_count(const struct sysctl_files *f);
void sysctl_files_free(struct sysctl_files *f);

/* A zeroed one is empty. */
struct sysctls {
	const struct sysctl_schema *schema; /* lent */
	struct buf text;
	uint32_t *values; /* by file of the schema: 1 + offset in text, 0: not there */
	struct sysctl_dev *devs;
	size_t n_devs;
	struct buf neigh;                  /* RTM_NEWNEIGHTBL messages */
	struct sysctl_dev_text *dev_texts; /* what only files tell of devices */
	size_t n_dev_texts;
};

/* The values of the calling thread's namespace, whose devices are in links (RTM_NEWLINK messages, lent until
 * sysctls_free). Left out are second names of values that have a more exact one (net/ipv4/ip_forward,
 * neigh/DEVICE/retrans_time). files: what was
 * read of it already, or NULL. */
int sysctls_read(struct sysctls *s, const struct sysctl_schema *schema,
		 const struct sysctl_files *files, struct nl *rt, const struct buf *links,
		 struct err *e);
void sysctls_free(struct sysctls *s);

/* Whose values: a device by its place in links, or one of these. */
enum { SYSCTLS_ALL = -1, SYSCTLS_DEFAULT = -2, SYSCTLS_NONE = -3 };

/* text, lent, or a number when it is NULL. */
struct sysctl_value {
	const char *text;
	int64_t number;
};

/* The value at a position of one of CRIU's lists. False: there is none. */
bool sysctls_listed(const struct sysctls *s, enum sysctl_list list, size_t pos, int whose,
		    struct sysctl_value *v);

/* Call fn for each value that must be written for the namespace to come back as it was, but for those in CRIU's
 * lists: what reads differently in a fresh namespace, and of each device what has another "all" or "default"
 * there, because then what a new device begins with depends on when that is set. A non-zero result ends it. */
typedef int sysctl_fn(const char *name, const char *value, void *arg, struct err *e);
int sysctls_each_kept(const struct sysctls *s, sysctl_fn *fn, void *arg, struct err *e);
