/* criu_dump.h: both halves of a running tree at one moment: the processes by CRIU, the network by the dumper.
 *
 * Owns:  the order of it: CRIU, in an empty namespace, is given every network namespace of the tree as external and
 *        stops the tasks; at its network-lock hook the namespaces are locked and the dumper reads them; at post-dump
 *        both halves become one folder; then the tasks end or run on, and a guard (base/criu_guard.h) sees that
 *        nothing is left in them, whoever was killed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "dumper/dumper.h"

struct criu_dump_opts {
	const char *program; /* NULL: found */
	bool leave_running;
	const char *const *words; /* for CRIU, after ours */
	size_t n_words;
};

/* rq names one process (TARGET_PID). The folder at path must be new or empty; nothing stays in it on failure, and the
 * tree runs on then. ERR_CONFLICT with losses in the report: those are the reasons why CRIU would refuse; it was not started. */
int criu_dump_to_dir(const struct dumper_request *rq, const struct criu_dump_opts *opts,
		     const char *path, struct dumper_report *report, struct err *e);

/* Take back what a dump of the tree below root left whose nsimg and guard were killed at once: the locks of its namespaces,
 * sockets in repair mode, the answer of the tasks to SIGTRAP. *n_locked: how many namespaces were locked. ERR_CONFLICT: a
 * task is traced, so a dump may be under way. The next dump of the tree begins with the same. */
int criu_dump_repair(pid_t root, size_t *n_locked, struct err *e);
