/* criu_scan.h: what CRIU has to be told before it starts, and what it will refuse.
 *
 * Owns:  the list of network namespaces that the tasks and sockets of a process tree are in.
 * Never: stops a task: what changes after the scan is found out when CRIU has stopped them all.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/netlock.h"
#include "base/ns.h"
#include "dumper/diag.h"
#include "dumper/dump.h"
#include "dumper/proc.h"

struct criu_scan_netns {
	struct ns *ns;     /* owned by the scan */
	bool is_own;       /* the one that nsimg is in */
	struct diag *diag; /* of unix sockets, when it has any */
	size_t n_tasks, n_sockets, n_files;
	char first[128]; /* the first socket or descriptor that was found of it */
};

struct criu_scan {
	struct pid_list tasks;   /* the process and everything below it */
	struct pid_list stopped; /* those of them that stand by SIGSTOP or the like */
	struct criu_scan_netns *netns;
	size_t n_netns;
	struct diag_shared diag;
	struct dump_loss *reasons; /* what CRIU will refuse, with why; may be taken */
	size_t n_reasons;
};

/* What the user has told CRIU, so that it is no reason any more. */
struct criu_scan_opts {
	bool shell_job;      /* -j */
	bool skip_in_flight; /* connections waiting to be accepted are left out */
	bool ext_unix;       /* unix sockets may have their other end outside */
};

/* Look at the tree below root. -1 (ERR_NOTFOUND): there is no such process. *s is to be freed either way. */
int criu_scan(struct criu_scan *s, pid_t root, const struct criu_scan_opts *opts, struct err *e);

/* The TCP connections that the tasks have in a namespace of the scan, when CRIU has stopped them: appended to *conns,
 * which is to be freed also on failure. One that several tasks hold is there as often. */
int criu_scan_conns(struct criu_scan *s, struct criu_scan_netns *n, const struct pid_list *tasks,
		    struct netlock_conn **conns, size_t *n_conns, struct err *e);

void criu_scan_free(struct criu_scan *s);

#define auto_criu_scan __attribute__((cleanup(criu_scan_free)))
