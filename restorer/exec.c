#include "restorer/exec.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "restorer/rollback.h"
#include "restorer/steps.h"
#include "restorer/task_engine.h"

/* The signals that ask to stop. */
static void stop_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGHUP);
}

static int asked_to_stop(void)
{
	struct timespec zero = {0};
	sigset_t set;
	int sig;

	stop_signals(&set);
	sig = sigtimedwait(&set, NULL, &zero);
	return sig > 0 ? sig : 0;
}

/* Steps that were begun and not finished. */
struct begun {
	const struct plan *p;
	struct step *steps[HOLDER_TOLD_MAX]; /* of one kind */
	size_t n;
	struct step **late; /* of kinds that finish late, in running order */
	size_t n_late, n_finished;
	struct timespec looked; /* when it was asked whether to stop */
};

/* Once in a tick of the kernel's clock, which costs no system call: steps are shorter than that. */
static int asked_by_now(struct begun *b)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (now.tv_nsec == b->looked.tv_nsec && now.tv_sec == b->looked.tv_sec)
		return 0;
	b->looked = now;
	return asked_to_stop();
}

static int begin_step(struct restore *r, struct step *s, struct begun *b, struct err *e)
{
	int sig = asked_by_now(b);

	if (sig)
		return err_set(e, ERR_INTERRUPTED, "stopped by signal %d (%s) before step %u", sig,
			       strsignal(sig), s->number);
	r->step = s->number;
	if (journal_begin(r->journal, s->number, s->kind->name, s->object, e))
		return -1;
	if (s->kind->run(r, s, e))
		return err_wrap(e, "step %u, %s %s", s->number, s->kind->name, s->object);
	return 0;
}

static int finish_step(struct restore *r, struct step *s, struct err *e)
{
	r->step = s->number;
	if (s->kind->finish && s->kind->finish(r, s, e))
		return err_wrap(e, "step %u, %s %s", s->number, s->kind->name, s->object);
	return journal_done(r->journal, s->number, e);
}

/* Go on after a failure: what the others have done must be in the journal. The first one is reported. */
static int finish_all(struct restore *r, struct begun *b, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < b->n; i++) {
		struct err here = ERR_INIT;

		if (finish_step(r, b->steps[i], &here) && !rc) {
			*e = here;
			rc = -1;
		}
	}
	b->n = 0;
	return rc;
}

/* The number of the last step that finishes late among those that s needs, itself or by milestones; 0: there is none. */
static uint32_t last_late(const struct plan *p, const struct step *s)
{
	uint32_t last = 0;

	for (size_t i = 0; i < s->n_needs; i++) {
		const struct step *need = plan_node(p, s->needs[i]);
		uint32_t number = !need->kind               ? last_late(p, need)
				  : need->kind->finish_late ? need->number
							    : 0;

		last = number > last ? number : last;
	}
	return last;
}

/* Those up to that number. */
static int finish_late(struct restore *r, struct begun *b, uint32_t number, struct err *e)
{
	while (b->n_finished < b->n_late && b->late[b->n_finished]->number <= number)
		if (finish_step(r, b->late[b->n_finished++], e))
			return -1;
	return 0;
}

/* Needs of the same kind are direct ones: a milestone is between the kinds. */
static bool goes_along(const struct begun *b, const struct step *s)
{
	if (b->n && (s->alone || s->kind != b->steps[0]->kind))
		return false;
	for (size_t i = 0; i < b->n; i++)
		for (size_t k = 0; k < s->n_needs; k++)
			if (s->needs[k] == b->steps[i]->idx)
				return false;
	return true;
}

static int run_step(struct restore *r, struct step *s, struct begun *b, struct err *e)
{
	bool stop = r->opts->break_after && r->opts->break_after == s->number;

	if (!goes_along(b, s) && finish_all(r, b, e))
		return -1;
	if ((b->n_finished < b->n_late && finish_late(r, b, last_late(b->p, s), e)) ||
	    begin_step(r, s, b, e)) {
		finish_all(r, b, &(struct err)ERR_INIT);
		return -1;
	}
	if (s->kind->finish_late)
		b->late[b->n_late++] = s;
	else
		b->steps[b->n++] = s;
	if ((!s->kind->finish || s->alone || stop || b->n == HOLDER_TOLD_MAX) &&
	    finish_all(r, b, e))
		return -1;
	if (stop && finish_late(r, b, s->number, e))
		return -1;
	if (stop)
		kill(getpid(), SIGKILL);
	return 0;
}

static int run_steps(struct restore *r, struct plan *p, exec_progress_fn *progress, void *arg,
		     struct err *e)
{
	auto_free struct step **late = calloc(plan_n_steps(p) + 1, sizeof(struct step *));
	struct begun b = {.p = p, .late = late};

	if (!late)
		return err_set(e, ERR_NOMEM, "list of steps");
	for (size_t i = 0; i < plan_n_steps(p); i++) {
		if (progress)
			progress(p, plan_step(p, i), arg);
		if (run_step(r, plan_step(p, i), &b, e))
			return -1;
	}
	return finish_all(r, &b, e) || finish_late(r, &b, UINT32_MAX, e) ||
			       journal_commit(r->journal, e)
		       ? -1
		       : 0;
}

/* The way back: effects outside first, then our handles, then the wait until it is all gone. */
static void take_back(struct restore *r, struct err *e)
{
	struct err undo = ERR_INIT;
	int bad = rollback_undo(r->journal, &undo);

	restore_release(r);
	if (rollback_wait(r->journal, bad ? &(struct err)ERR_INIT : &undo) || bad) {
		size_t n = strlen(e->msg);

		snprintf(e->msg + n, sizeof(e->msg) - n,
			 "; and taking it back failed: %s ('nsimg rollback %s' tries again)",
			 undo.msg, r->opts->name);
		return;
	}
	journal_remove(r->journal, &undo);
}

/* The instance in work, for the case that a library ends the process (libnftables does when memory is short). What is
 * in new namespaces is gone then; the journal knows the rest. */
static const char *in_work;

static void say_unfinished(void)
{
	static const char before[] =
		"nsimg: restore: a library ended it in the middle (is memory short?): 'nsimg "
		"rollback ",
			  after[] = "' takes back what is left\n";
	const struct iovec text[] = {{(void *)before, sizeof(before) - 1},
				     {(void *)in_work, in_work ? strlen(in_work) : 0},
				     {(void *)after, sizeof(after) - 1}};

	if (in_work && writev(STDERR_FILENO, text, 3) < 0)
		_exit(2);
}

/* A signal to the whole process group ends what was started here as well, which then is why a step failed. */
static void blame_signal(const struct restore *r, struct err *e)
{
	int sig = e->code == ERR_INTERRUPTED ? 0 : asked_to_stop();

	if (sig)
		err_set(e, ERR_INTERRUPTED, "stopped by signal %d (%s) in step %u", sig,
			strsignal(sig), r->step);
}

int exec_run(struct restore *r, struct plan *p, exec_progress_fn *progress, void *arg,
	     struct err *e)
{
	sigset_t stop, old;
	int ret;

	r->journal = journal_new(r->opts->state_dir, r->opts->name, r->opts->db_path, r->image, e);
	if (!r->journal)
		return -1;
	if (r->tasks && r->tasks->forker && engine_begin(r->tasks, r->journal, e)) {
		journal_remove(r->journal, &(struct err)ERR_INIT);
		return -1;
	}
	stop_signals(&stop);
	sigprocmask(SIG_BLOCK, &stop, &old);
	in_work = r->opts->name;
	atexit(say_unfinished);
	ret = run_steps(r, p, progress, arg, e) ? -1 : 0;
	if (ret)
		blame_signal(r, e);
	if (ret)
		take_back(r, e);
	in_work = NULL;
	/* A signal that came during the way back has had its answer. */
	while (asked_to_stop())
		;
	/* A restore that is complete stays: the signals wait for the end of the program, which is near. */
	if (ret)
		sigprocmask(SIG_SETMASK, &old, NULL);
	return ret;
}
