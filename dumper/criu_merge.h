/* criu_merge.h: the two halves of one moment into one folder: what CRIU wrote of the processes, what we read of the
 * network.
 *
 * Owns:  nothing. CRIU's folder stays what CRIU can read.
 * Facts: CRIU and we number the namespaces each for itself. CRIU was given every network namespace as external, with
 *        the key CRIU_MERGE_KEY, and says in netns-N.img which number a key got; all of ours is written under CRIU's
 *        numbers. What a socket has beyond CRIU's record goes into CRIU's record, in the fields from 50000.
 */
#pragma once

#include <stdint.h>

#include "dumper/dumper.h"

#define CRIU_MERGE_KEY "nsimg-%llu" /* inode of the namespace */

/* from: the folder of a dump (dumper_run with opts.criu, which filled report); to: the folder that CRIU has written
 * completely. The tasks still stand. report->frozen_us: how long they did until now. Losses of sockets that CRIU has
 * kept are taken out of the report; strict: any other of a socket is an error. */
int criu_merge(int from, int to, struct dumper_report *report, bool strict, struct err *e);
