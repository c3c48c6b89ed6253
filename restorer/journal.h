/* journal.h: what a restore has begun and done, on disk, enough to take it back without the database.
 *
 * Owns:  the file STATE_DIR/NAME.journal (STATE_DIR is /run/nsimg unless --state-dir says otherwise).
 * Never: buffers what undo needs. That is facts, and only facts: a fact is on disk when journal_fact returns, before
 *        the change it is about, so that a kill -9 at any point leaves a journal that covers everything that will
 *        exist then. The other records go out with it, or when they have become many; "done" of a step with
 *        facts, "netns" and "holder" go out with the record that comes next. A half-written last line is ignored by readers.
 * Order: journal_new; for each step journal_begin, any number of journal_note and journal_fact, journal_done;
 *        journal_commit; journal_free. rollback, ps, exec and end: journal_open, then the getters.
 *
 * Lines: fields separated by tabs, each in the escape of base/escape.h.
 *   nsimg-journal 1 NAME      boot=ID pid=N start=TICKS at=TIME db=PATH image=ID tool=VERSION
 *   begin  STEP KIND OBJECT
 *   fact   STEP KEY VALUE     what undo needs; before the change
 *   done   STEP
 *   undone STEP
 *   holder PID START TASK TASKPID COMM    a process made by this restore (START: field 22 of /proc/PID/stat)
 *   netns  ROW NAME INO COOKIE PATH   a namespace that was made (PATH empty until it is pinned)
 *   commit
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/ns.h"

#define JOURNAL_DIR "/run/nsimg"

struct journal;

struct journal_head {
	const char *name, *boot_id, *db_path, *at;
	pid_t pid; /* of the restorer */
	uint64_t start;
	int64_t image;
};

/* A step that was begun. */
struct journal_entry {
	uint32_t step;
	char *kind, *object;
	bool done, undone;
	char **keys, **values;
	size_t n_facts;
};

/* A holder or another process made by this restore. */
struct journal_holder {
	pid_t pid;
	uint64_t start;
	int64_t task;     /* task.id in the database */
	int64_t task_pid; /* the pid it had when it was dumped */
	char *comm;
};

struct journal_netns {
	int64_t row;
	char *name, *path; /* path "" while it is not pinned */
	uint64_t ino;      /* in nsfs: used again after the namespace is gone */
	uint64_t cookie;   /* SO_NETNS_COOKIE: never used again on one running kernel; 0: unknown */
};

/* A new journal; ERR_EXISTS when an instance of that name is there. dir is made when missing.
 * An owned handle or NULL. */
struct journal *journal_new(const char *dir, const char *name, const char *db_path, int64_t image,
			    struct err *e);

/* Read one that exists, and continue it (undone records). Of a journal of another boot nothing
 * is alive: journal_is_other_boot, and journal_remove is all that is left to do. */
struct journal *journal_open(const char *dir, const char *name, struct err *e);
void journal_free(struct journal *j);

/* An owned descriptor: as long as it or a duplicate is open in any process, that is at work for the restore, and
 * journal_is_in_work says so to whoever has opened the journal (flock(2)). -1. */
int journal_work(const struct journal *j, struct err *e);
bool journal_is_in_work(const struct journal *j);

int journal_begin(struct journal *j, uint32_t step, const char *kind, const char *object,
		  struct err *e);
int journal_fact(struct journal *j, uint32_t step, const char *key, struct err *e,
		 const char *value, ...) __attribute__((format(printf, 5, 6)));

/* A fact that goes out with the next one, or when the step is done: one of several, or one that undo can do without. */
int journal_note(struct journal *j, uint32_t step, const char *key, struct err *e,
		 const char *value, ...) __attribute__((format(printf, 5, 6)));
int journal_done(struct journal *j, uint32_t step, struct err *e);
int journal_undone(struct journal *j, uint32_t step, struct err *e);
int journal_holder_add(struct journal *j, pid_t pid, int64_t task, int64_t task_pid,
		       const char *comm, struct err *e);
int journal_netns_add(struct journal *j, int64_t row, const char *name, const struct ns *ns,
		      const char *path, struct err *e);
int journal_commit(struct journal *j, struct err *e);

/* The file goes away: the instance does not exist any more. */
int journal_remove(struct journal *j, struct err *e);

const struct journal_head *journal_head(const struct journal *j);
bool journal_is_committed(const struct journal *j);
bool journal_is_other_boot(const struct journal *j);
size_t journal_n_entries(const struct journal *j);
const struct journal_entry *journal_entry(const struct journal *j, size_t i);
size_t journal_n_holders(const struct journal *j);
const struct journal_holder *journal_holder(const struct journal *j, size_t i);
size_t journal_n_netns(const struct journal *j);
const struct journal_netns *journal_netns(const struct journal *j, size_t i);

/* The value of a fact, NULL when it is not there. Lent by the entry. */
const char *journal_value(const struct journal_entry *je, const char *key);

/* Is ns the namespace that n speaks of? */
bool journal_is_netns(const struct journal_netns *n, const struct ns *ns);

/* Names of the instances in dir: an owned array of owned strings, ended by NULL. An absent dir is empty. */
int journal_list(const char *dir, char ***names, struct err *e);
void journal_list_free(char **names);

/* Field 22 of /proc/PID/stat: with the pid and the boot id it names a process for ever. 0: no such process. */
uint64_t process_start(pid_t pid);

/* Is the process that the journal speaks of (still) alive, and no zombie? */
bool process_is_alive(pid_t pid, uint64_t start);

static inline void journal_cleanup_(struct journal **j)
{
	journal_free(*j);
}
#define auto_journal __attribute__((cleanup(journal_cleanup_)))
