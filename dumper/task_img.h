/* task_img.h: the images that describe the dump as a whole and its tasks: inventory, pstree, core, ids,
 * fdinfo, and our own facts.
 *
 * Never: looks at /proc; everything was read by task.h. What CRIU keeps of a process beyond its network
 *        (memory, registers) is not ours: core-PID.img has what its required fields need.
 */
#pragma once

#include "dumper/task.h"

int task_img_write(const struct tasks *ts, struct dump *d, struct img_writer *w, struct err *e);

/* inventory.img and nsimg.img; target is the command line's words ("--pid 7"). Written last, so that a
 * folder without inventory.img is an unfinished dump. */
int facts_img_write(struct dump *d, struct img_writer *w, const char *target, uint64_t frozen_us,
		    struct err *e);
