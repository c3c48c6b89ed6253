/* diff_words.h: the words of nsimg diff, for the command (cmd_diff.c), which knows the live system as well.
 *
 * Owns:  nothing.
 */
#pragma once

#include "base/cli.h"
#include "inspect/diff.h"

/* Compare DB[@ID], the first word, with the second, or with other (borrowed) when it is not NULL, and print. 1 when
 * they differ, 0, or -1. */
int diff_words_run(struct cli *c, const struct diff_side *other, struct err *e);

/* The options that it reads. */
#define DIFF_WORDS_OPTIONS                                                                         \
	{"stat", 0, NULL, "only how many differences each table has", false},                      \
		{"restored", 'r', NULL,                                                            \
		 "the second image is a dump of what was restored from the first", false},         \
		{"any-ifindex", 0, NULL, "interface indexes may differ", false},                   \
		{"netns", 0, "N=M", "namespace N of the first image is M of the second", true},    \
	{                                                                                          \
		"task", 0, "PID=PID", "task of the first image, task of the second", true          \
	}
