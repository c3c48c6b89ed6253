/* dumper.h: live kernel -> raw images, in one call.
 *
 * Owns:  the freeze and every handle it opens, only while the call lasts: afterwards the tasks run on, also
 *        when the call failed or the process was killed.
 * Never: changes anything in the target: no code is injected, nothing is written outside the image folder.
 */
#pragma once

#include "dumper/dump.h"
#include "dumper/target.h"

struct dumper_request {
	const struct target *targets;
	size_t n_targets;
	const char *words; /* the targets as the user wrote them, for the image */
	struct dump_opts opts;
};

/* What was written. Losses are owned by the report; dumper_report_free releases them. */
struct dumper_report {
	size_t n_tasks, n_netns, n_external, n_sockets;
	uint64_t frozen_us, total_us;
	struct dump_loss *losses;
	size_t n_losses;
	struct err
		unguarded; /* with CRIU: why tasks could have ended if it had been killed; ERR_NONE: they could not */
};

/* Dump into the empty folder behind dirfd (borrowed). 0; or -1 with files of an unfinished dump in it, which
 * lack inventory.img and which the caller removes. ERR_NOTFOUND: the target does not exist; ERR_PERM names
 * the missing capability. */
int dumper_run(const struct dumper_request *rq, int dirfd, struct dumper_report *report,
	       struct err *e);

void dumper_report_free(struct dumper_report *report);
