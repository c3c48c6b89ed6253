/* nsimg plan, nsimg restore, nsimg rollback */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <unistd.h>

#include "base/progress.h"
#include "base/caps.h"
#include "base/cleanup.h"
#include "base/escape.h"
#include "base/json.h"
#include "imgdb/kernel_routes.h"
#include "restorer/build.h"
#include "restorer/commands.h"
#include "restorer/exec.h"
#include "restorer/ifindex.h"
#include "restorer/instance.h"
#include "restorer/options.h"
#include "restorer/rollback.h"
#include "restorer/steps.h"

/* An open plan and what it was made from. */
struct session {
	struct db *db;
	struct restore *r;
	struct plan *p;
};

static void session_close(struct session *s)
{
	plan_free(s->p);
	restore_free(s->r);
	db_free(s->db);
}

static int session_take(struct session *s, struct db *copy, struct err *e)
{
	db_free(s->db);
	s->db = s->r->db = copy;
	return db_begin(copy, e);
}

/* Plan from a copy in which no index is taken by something else, and the kernel's routes are of the addresses. */
static int session_adapt(struct session *s, bool any_ifindex, struct err *e)
{
	struct db *copy = any_ifindex ? ifindex_adapt(s->r, NULL, e) : NULL;
	int moved;

	if (e->code || (copy && session_take(s, copy, e)))
		return -1;
	moved = kernel_routes_have_moved(s->db, e);
	if (moved == 1 && !copy) {
		copy = db_copy(s->db, e);
		if (!copy || session_take(s, copy, e))
			return -1;
	}
	return moved == 1 ? kernel_routes_follow(s->db, e) : moved;
}

static int session_open(struct cli *c, const struct restore_opts *opts, struct session *s,
			struct err *e)
{
	int64_t image = 0;
	int ret;

	if (cli_image(c, &image, e))
		return -1;
	s->db = db_open(cli_arg(c, 0), DB_READ, e);
	if (!s->db || db_image_pick(s->db, image, &image, e))
		return -1;
	/* one transaction: everybody sees the same database, and its lock is taken once */
	if (db_begin(s->db, e))
		return -1;
	s->r = restore_new(s->db, image, opts, e);
	if (s->r && session_adapt(s, opts->any_ifindex, e))
		return -1;
	if (s->r && opts->carry_out && restore_prepare(s->r, e))
		return -1;
	s->p = s->r ? plan_new(s->db, image, e) : NULL;
	ret = s->p ? build_plan(s->p, s->r, e) : -1;
	return db_end(s->db, !ret, e) ? -1 : ret;
}

static const struct {
	const char *name;
	enum plan_format format;
} formats[] = {{"text", PLAN_LISTS}, {"json", PLAN_JSON}, {"dot", PLAN_DOT}, {"ip", PLAN_IP}};

static int pick_format(struct cli *c, enum plan_format *format, struct err *e)
{
	const char *name = cli_value(c, "format");

	*format = PLAN_LISTS;
	if (!name)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (!strcmp(formats[i].name, name)) {
			*format = formats[i].format;
			return *format == PLAN_LISTS || !cli_wants_rows(c)
				       ? 0
				       : err_set(e, ERR_USAGE,
						 "--format %s is no table: --json, --csv and -o "
						 "are "
						 "for the steps without it",
						 name);
		}
	return err_set(e, ERR_USAGE, "--format %s: it is text, json, dot or ip", name);
}

/* To free the session in a process that is about to end would be for nothing, and after a restore copy each page first
 * that the holders share. */
static struct session kept;

static void session_leave(struct session *s)
{
	session_close(&kept);
	kept = *s;
	*s = (struct session){0};
}

/* What is printed: *t before text. In one transaction, because the names of namespaces are asked for, once a step. */
static int make_output(struct cli *c, struct session *s, enum plan_format format, struct table **t,
		       struct buf *text, struct err *e)
{
	int rc = 0;

	if (db_begin(s->db, e))
		return -1;
	if (format == PLAN_LISTS) {
		*t = plan_table(s->p, cli_wants_rows(c), e);
		rc = *t ? 0 : -1;
	}
	if (!rc && !cli_wants_rows(c))
		rc = plan_print(s->p, format, text, e);
	return db_end(s->db, !rc, e) || rc ? -1 : 0;
}

static int run_plan(struct cli *c, struct err *e)
{
	__attribute__((cleanup(session_close))) struct session s = {0};
	auto_options struct options o = {0};
	auto_table struct table *t = NULL;
	auto_buf struct buf text = {0};
	enum plan_format format;

	if (options_parse(c, &o, e) || pick_format(c, &format, e) ||
	    session_open(c, &o.opts, &s, e) || make_output(c, &s, format, &t, &text, e) ||
	    (t && cli_print_table(c, t, e)))
		return -1;
	if (text.len)
		fwrite(text.data, 1, text.len, cli_out(c));
	session_leave(&s);
	return 0;
}

static const struct cli_opt plan_options[] = {
	{"format", 0, "text|json|dot|ip",
	 "text (default), json, dot, or ip: commands to read along", false},
	OPTIONS_ROWS,
	{0},
};

const struct cmd cmd_plan = {
	.name = "plan",
	.synopsis = "DB [-- CRIU-OPTION...]",
	.summary = "show the steps of a restore, in their order",
	.run = run_plan,
	.opts = plan_options,
	.flags = CMD_DATABASE | CMD_IMAGE | CMD_OUTPUT,
	.min_args = 1,
	.max_args = CLI_ANY_ARGS,
};

/* Network and namespaces; user namespaces with their maps; sockets with their options, files and owners;
 * processes, their limits and their descriptors. Which of them are needed is the plan's business
 * (exec_check names what is missing); everything else is given up. */
#define RESTORE_CAPS                                                                               \
	(CAPS_BIT(CAP_NET_ADMIN) | CAPS_BIT(CAP_SYS_ADMIN) | CAPS_BIT(CAP_NET_RAW) |               \
	 CAPS_BIT(CAP_NET_BIND_SERVICE) | CAPS_BIT(CAP_SETUID) | CAPS_BIT(CAP_SETGID) |            \
	 CAPS_BIT(CAP_SETPCAP) | CAPS_BIT(CAP_SETFCAP) | CAPS_BIT(CAP_CHOWN) |                     \
	 CAPS_BIT(CAP_FOWNER) | CAPS_BIT(CAP_DAC_OVERRIDE) | CAPS_BIT(CAP_DAC_READ_SEARCH) |       \
	 CAPS_BIT(CAP_KILL) | CAPS_BIT(CAP_SYS_PTRACE) | CAPS_BIT(CAP_SYS_CHROOT) |                \
	 CAPS_BIT(CAP_SYS_RESOURCE) | CAPS_BIT(CAP_NET_BROADCAST) | CAPS_BIT(CAP_AUDIT_READ))

static void show_progress(const struct plan *p, const struct step *s, void *arg)
{
	progress_say(arg, s->number, plan_n_steps(p), "%s %s", s->kind->name, s->object);
}

static int report_json(struct cli *c, const struct session *s, struct err *e)
{
	auto_json struct json *top = json_new_object();
	struct json *pins = json_new_array(), *left = json_new_array(), *notes = json_new_array();
	auto_buf struct buf text = {0};
	char *save = NULL;

	if (json_set(top, "instance", json_new_str(s->r->opts->name), e) ||
	    json_set(top, "steps", json_new_int(plan_n_steps(s->p)), e) ||
	    json_set(top, "pins", pins, e) || json_set(top, "left_out", left, e) ||
	    json_set(top, "notes", notes, e))
		return -1;
	for (size_t i = 0; i < plan_n_steps(s->p); i++)
		if (!strcmp(plan_step(s->p, i)->kind->name, "pin") &&
		    json_push(pins, json_new_str(plan_step(s->p, i)->object), e))
			return -1;
	for (size_t i = 0; i < plan_n_left_out(s->p); i++) {
		struct json *o = json_new_object();

		if (json_push(left, o, e) ||
		    json_set(o, "object", json_new_str(plan_left_out(s->p, i)->object), e) ||
		    json_set(o, "reason", json_new_str(plan_left_out(s->p, i)->reason), e))
			return -1;
	}
	if (s->r->notes.len)
		for (char *l = strtok_r((char *)s->r->notes.data, "\n", &save); l;
		     l = strtok_r(NULL, "\n", &save))
			if (json_push(notes, json_new_str(l), e))
				return -1;
	if (json_print(top, true, &text, e))
		return -1;
	fprintf(cli_out(c), "%s\n", (const char *)text.data);
	return 0;
}

static int report(struct cli *c, const struct session *s, struct err *e)
{
	auto_buf struct buf notes = {0};
	FILE *out = cli_out(c);

	if (cli_json(c))
		return report_json(c, s, e);
	fprintf(out, "restored %s: %zu steps\n", s->r->opts->name, plan_n_steps(s->p));
	for (size_t i = 0; i < plan_n_steps(s->p); i++)
		if (!strcmp(plan_step(s->p, i)->kind->name, "pin"))
			fprintf(out, "  %s\n", plan_step(s->p, i)->object);
	for (size_t i = 0; i < plan_n_left_out(s->p); i++)
		fprintf(out, "left out: %s: %s\n", plan_left_out(s->p, i)->object,
			plan_left_out(s->p, i)->reason);
	if (!s->r->notes.len)
		return 0;
	if (escape_show_lines(&notes, (const char *)s->r->notes.data, s->r->notes.len, e))
		return -1;
	fprintf(out, "not taken by this kernel:\n%s", (const char *)notes.data);
	return 0;
}

/* 0 it can run; 1 it cannot, and this is only the question; -1 it cannot. */
static int check(struct cli *c, struct session *s, struct err *e)
{
	auto_buf struct buf reasons = {0}, text = {0};
	int n = exec_check(s->r, s->p, &reasons, e);

	if (n < 0)
		return -1;
	if (s->r->opts->dry_run) {
		if (escape_show_lines(&text, n ? (const char *)reasons.data : "", reasons.len, e))
			return -1;
		fprintf(cli_out(c), "%s", text.len ? (const char *)text.data : "");
		fprintf(cli_out(c), "%zu steps: %s\n", plan_n_steps(s->p),
			n ? "cannot run here" : "can run here");
		return n ? 1 : 0;
	}
	if (!n)
		return 0;
	reasons.data[--reasons.len] = 0;
	return err_set(e, ERR_CONFLICT, "%d reason%s, nothing was changed:\n%s", n,
		       n == 1 ? "" : "s", (const char *)reasons.data);
}

static int run_restore(struct cli *c, struct err *e)
{
	__attribute__((cleanup(session_close))) struct session s = {0};
	auto_options struct options o = {0};
	auto_progress struct progress progress = {0};
	int ret;

	if (options_parse(c, &o, e) || options_parse_run(c, &o, e) ||
	    /* CRIU sets the capabilities of its tasks: it needs whatever they have */
	    (!o.opts.criu && caps_keep(RESTORE_CAPS, e)))
		return -1;
	o.opts.carry_out = !o.opts.dry_run;
	if (session_open(c, &o.opts, &s, e))
		return -1;
	ret = check(c, &s, e);
	if (ret || o.opts.dry_run)
		return ret;
	progress_begin(&progress, false);
	ret = exec_run(s.r, s.p, show_progress, &progress, e);
	progress_end(&progress);
	if (ret || report(c, &s, e))
		return -1;
	session_leave(&s);
	return 0;
}

static const struct cli_opt restore_options[] = {
	OPTIONS_ROWS,
	{"dry-run", 0, NULL, "say whether it can run here, with every reason, and stop", false},
	{"any-ifindex", 0, NULL, "a device whose interface index is taken here may get another",
	 false},
	{"name", 0, "INSTANCE", "of what is restored (default: the name of the database)", false},
	{"state-dir", 0, "DIR", "keep the journal in DIR instead of " JOURNAL_DIR, false},
	{"break-after", 0, "N", "for tests: kill the restore after step N", false},
	{0},
};

const struct cmd cmd_restore = {
	.name = "restore",
	.synopsis = "DB [-- CRIU-OPTION...]",
	.summary = "build the namespaces, sockets and processes of an image",
	.run = run_restore,
	.opts = restore_options,
	.flags = CMD_DATABASE | CMD_IMAGE | CMD_JSON | CMD_PRIVILEGED | CMD_CHANGES,
	.min_args = 1,
	.max_args = CLI_ANY_ARGS,
};

static int rollback_one(struct cli *c, const char *dir, const char *name, struct err *e)
{
	auto_journal struct journal *j = journal_open(dir, name, e);
	bool other_boot;

	if (!j)
		return -1;
	other_boot = journal_is_other_boot(j);
	if (rollback_run(j, e))
		return err_wrap(e, "%s", name);
	fprintf(cli_out(c), "%s %s\n", name,
		other_boot ? "was restored before the last boot: only its journal was left"
			   : "rolled back");
	return 0;
}

/* The one that is meant when none is named. */
static int pick_instance(char **names, const char *dir, struct err *e)
{
	auto_buf struct buf list = {0};

	if (!names[0])
		return err_set(e, ERR_NOTFOUND, "no instance in %s", dir);
	if (!names[1])
		return 0;
	for (char **n = names; *n; n++)
		if (buf_printf(&list, e, "%s%s", n == names ? "" : ", ", *n))
			return -1;
	return err_set(e, ERR_USAGE, "several instances: name one of %s, or give --all",
		       (const char *)list.data);
}

static int run_rollback(struct cli *c, struct err *e)
{
	const char *dir = instance_dir(c);
	char **names = NULL;
	int ret = 0;

	if (cli_n_args(c))
		return rollback_one(c, dir, cli_arg(c, 0), e);
	if (journal_list(dir, &names, e))
		return -1;
	if (!cli_has(c, "all"))
		ret = pick_instance(names, dir, e);
	for (char **n = names; !ret && *n; n++)
		ret = rollback_one(c, dir, *n, e);
	journal_list_free(names);
	return ret;
}

static const struct cli_opt rollback_options[] = {
	{"all", 0, NULL, "every instance", false},
	INSTANCE_OPT_STATE_DIR,
	{0},
};

const struct cmd cmd_rollback = {
	.name = "rollback",
	.synopsis = "[INSTANCE]",
	.summary = "take a restore back",
	.run = run_rollback,
	.opts = rollback_options,
	.flags = CMD_PRIVILEGED | CMD_CHANGES,
	.caps = CAPS_BIT(CAP_SYS_ADMIN),
	.min_args = 0,
	.max_args = 1,
};
