/* progress.h: one line on a terminal that replaces itself, for people who wait.
 *
 * Owns:  the line, from the first time it is shown until progress_clear.
 * Never: prints when standard error is no terminal, or in the first second; a call costs then no more than a
 *        look at the struct (or at the clock). Never lets a name reach the terminal unescaped. Failures to print
 *        are of no interest to the work and are not reported.
 * Order: progress_begin, any number of progress_say, progress_clear (auto_progress does the last): before anything
 *        else is printed, and at the end.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct progress {
	int fd;                      /* -1: silent */
	bool is_own;                 /* fd is to be closed */
	bool is_shown;               /* there is a line to erase */
	unsigned width;              /* of the terminal */
	uint64_t begun_ms, shown_ms; /* CLOCK_MONOTONIC */
};

/* Begin to count the time. must_not_wait: the program behind the terminal may be stopped for the time of the work
 * (a dump of every task), so that a line that the terminal does not take at once is dropped. */
void progress_begin(struct progress *p, bool must_not_wait);

/* Number n of total is in work (total 0: it is not known how many there will be); what it is, as printf does. Shown
 * ten times a second at most. p may be NULL: nothing happens. */
void progress_say(struct progress *p, uint64_t n, uint64_t total, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Erase the line. What is said next, if anything, is shown at once: also for a long step that says nothing while it
 * lasts. p may be NULL. */
void progress_clear(struct progress *p);

/* Erase the line for good. */
void progress_end(struct progress *p);
#define auto_progress __attribute__((cleanup(progress_end)))
