/* cmd_diff.c: `nsimg diff`: two images, or an image and what is running now.
 *
 * live -> raw images -> database in memory -> the same comparison (as `nsimg verify` does it). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/caps.h"
#include "base/cleanup.h"
#include "base/cli_sandbox.h"
#include "commands.h"
#include "inspect/diff_words.h"
#include "live.h"

/* "pid:102", "netns:blue", ..., "all" */
static const struct {
	const char *word;
	enum target_kind kind;
} live_words[] = {
	{"pid:", TARGET_PID},   {"netns:", TARGET_NETNS}, {"cgroup:", TARGET_CGROUP},
	{"unit:", TARGET_UNIT}, {"all", TARGET_ALL},
};

static int live_word(const char *word, struct target *t, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(live_words); i++) {
		size_t n = strlen(live_words[i].word);
		const bool is_all = live_words[i].kind == TARGET_ALL;

		if (strncmp(word, live_words[i].word, n) != 0 || !word[n] != is_all)
			continue;
		*t = (struct target){live_words[i].kind, word + n};
		return 0;
	}
	return err_set(e, ERR_USAGE,
		       "--live %s: it is pid:PID, netns:NAME, cgroup:PATH, unit:UNIT or all", word);
}

/* As many targets as the option was given. *n: how many. An owned array, or NULL. */
static struct target *live_words_read(const struct cli *c, size_t *n, struct err *e)
{
	auto_free struct target *targets = NULL;
	const char *word;
	unsigned at = 0;

	*n = 0;
	while (cli_next_value(c, "live", &at))
		++*n;
	targets = calloc(*n + 1, sizeof(*targets));
	if (!targets) {
		err_set(e, ERR_NOMEM, "list of targets");
		return NULL;
	}
	at = 0;
	for (size_t i = 0; (word = cli_next_value(c, "live", &at)); i++)
		if (live_word(word, &targets[i], e))
			return NULL;
	return take_ptr(targets);
}

static int diff_live(struct cli *c, struct err *e)
{
	size_t n;
	auto_free struct target *targets = live_words_read(c, &n, e);
	struct dumper_request rq = {.targets = targets, .n_targets = n, .words = "diff"};
	struct dumper_report report = {0};
	auto_db struct db *now = NULL;
	struct diff_side side;
	int rc;

	if (!targets || caps_need(LIVE_CAPS, "diff --live", e))
		return -1;
	for (size_t i = 0; i < n; i++)
		rq.opts.all_fds = rq.opts.all_fds || targets[i].kind == TARGET_ALL;
	now = db_open(NULL, DB_MEMORY, e);
	rc = now ? live_to_db(&rq, NULL, now, &side.image, &report, e) : -1;
	dumper_report_free(&report);
	side.db = now;
	return rc ? -1 : diff_words_run(c, &side, e);
}

static int run(struct cli *c, struct err *e)
{
	const bool is_live = cli_has(c, "live");

	if (is_live && cli_n_args(c) > 1)
		return err_set(e, ERR_USAGE, "%s and --live: one of them is the other side",
			       cli_arg(c, 1));
	if (!is_live && cli_n_args(c) < 2)
		return err_set(e, ERR_USAGE, "compare with what? Give a second DB[@ID], or --live");
	if (is_live)
		return diff_live(c, e);
	/* two databases need no more rights than any command that looks */
	if (caps_keep_files(e) || cli_sandbox_enter(cli_cmd(c), cli_args(c), cli_n_args(c), e))
		return -1;
	return diff_words_run(c, NULL, e);
}

static const struct cli_opt opts[] = {
	DIFF_WORDS_OPTIONS,
	{"live", 'L', "TARGET",
	 "compare with what runs now: pid:PID, netns:NAME, cgroup:PATH, unit:UNIT or all", true},
	{0},
};

const struct cmd cmd_diff = {
	.name = "diff",
	.synopsis = "DB[@ID] DB[@ID]|--live TARGET",
	.summary = "compare two images, or one with what runs, by what they mean; status 1 when "
		   "they differ",
	.run = run,
	.opts = opts,
	.flags = CMD_DATABASE | CMD_OUTPUT | CMD_PRIVILEGED, /* limits itself: run */
	.min_args = 1,
	.max_args = 2,
};
