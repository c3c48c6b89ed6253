/* instance.h: what restores have left running: instances (journals) and their holders, found by a word.
 *
 * Owns:  the opened journals.
 * Never: takes a process for a holder that is not proven to be one, by pid, start time and boot.
 * Order: instances_open, instances_* any number of times, instances_free.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/cli.h"
#include "base/err.h"
#include "restorer/journal.h"

struct instances {
	struct journal **all;
	size_t n;
};

/* A row for the options of a command, and the folder of the journals that it names. Lent. */
#define INSTANCE_OPT_STATE_DIR                                                                     \
	{                                                                                          \
		"state-dir", 0, "DIR", "where the journals are, instead of " JOURNAL_DIR, false    \
	}
const char *instance_dir(const struct cli *c);

/* The journal of the instance of that name; NULL: of the only one there is. Owned, or NULL. */
struct journal *instance_open(const char *dir, const char *name, struct err *e);

/* Every journal of dir. A zeroed struct is empty. */
int instances_open(struct instances *in, const char *dir, struct err *e);
void instances_free(struct instances *in);
#define auto_instances __attribute__((cleanup(instances_free)))

/* By its name, or by the path of its database. NULL: none, or several of that database (ERR_NOTFOUND,
 * ERR_USAGE). Lent. */
struct journal *instances_find(const struct instances *in, const char *word, struct err *e);

/* Did CRIU make its tasks? They are whole processes then, no holders. */
bool instance_is_criu(const struct journal *j);

/* Is the holder alive, and still the process that the journal speaks of? */
bool holder_is_alive(const struct journal *j, const struct journal_holder *h);

/* Does the word mean the holder: "comm", "comm(pid)", the pid when it was dumped, or the pid it has? */
bool holder_is_meant(const struct journal_holder *h, const char *word);

/* The one living holder of j that the word means; -1 with the candidates named when there are several. */
int holder_find(const struct journal *j, const char *word, const struct journal_holder **out,
		struct err *e);

/* An owned pidfd that is proven to be the holder's; -1 (ERR_GONE). */
int holder_pidfd(const struct journal *j, const struct journal_holder *h, struct err *e);

/* End it (SIGKILL) and wait until it has gone; 0 also when it was gone already. */
int holder_end(const struct journal *j, const struct journal_holder *h, struct err *e);

/* The same through its pidfd, which stays the caller's: opens nothing. */
int holder_end_pidfd(const struct journal_holder *h, int fd, struct err *e);
