/* A plan as a table, JSON, DOT, or commands of ip(8). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/json.h"
#include "base/table.h"
#include "restorer/plan.h"
#include "restorer/steps.h"

static const char *const ms_names[] = {
	[MS_EXISTS] = "exists",
	[MS_NSIDS] = "nsids",
	[MS_LINKS] = "links",
	[MS_SYSCTLS] = "sysctls",
	[MS_UP] = "up",
	[MS_ADDED] = "added addresses",
	[MS_ADDRESSES] = "addresses",
	[MS_DIRECT] = "direct routes",
	[MS_ROUTES] = "routes",
	[MS_READY] = "ready",
	[MS_NETWORK] = "network",
	[MS_HOLDERS] = "holders",
	[MS_SOCKETS] = "sockets",
	[MS_LISTENING] = "listeners",
	[MS_CONNECTED] = "connections",
	[MS_COMPLETE] = "all sockets of all tasks",
	[MS_TASKS] = "tasks",
};
_Static_assert(ARRAY_SIZE(ms_names) == MS_COUNT, "every milestone has a name");

/* Name of a namespace for people; the plan asks the database, because milestones know only the row. */
static int netns_name(const struct plan *p, int64_t row, struct buf *out, struct err *e)
{
	auto_query struct query *q = NULL;

	if (!plan_db(p))
		return buf_printf(out, e, "netns %lld", (long long)row);
	q = query_new(plan_db(p), "SELECT coalesce(name, 'ns' || ns_id) FROM netns WHERE id = :id",
		      e);
	if (!q || query_bind_int(q, "id", row, e))
		return -1;
	switch (query_next(q, e)) {
	case 1:
		return buf_add_str(out, query_text(q, 0), e);
	case 0:
		return buf_printf(out, e, "netns %lld", (long long)row);
	default:
		return -1;
	}
}

int plan_node_text(const struct plan *p, const struct step *s, struct buf *out, struct err *e)
{
	if (s->kind)
		return buf_printf(out, e, "%s %s", s->kind->name, s->object);
	if (!s->netns)
		return buf_add_str(out, ms_names[s->num], e);
	return netns_name(p, s->netns, out, e) || buf_printf(out, e, " %s", ms_names[s->num]) ? -1
											      : 0;
}

/* How many needs from the i-th on are the same milestone, each of a namespace. */
static size_t same_milestone(const struct plan *p, const struct step *s, size_t i)
{
	const struct step *first = plan_node(p, s->needs[i]);
	size_t n = 0;

	while (i + n < s->n_needs) {
		const struct step *next = plan_node(p, s->needs[i + n]);

		if (next->kind || !next->netns || next->num != first->num)
			break;
		n++;
	}
	return n;
}

/* What a step needs, in short: numbers of steps, and milestones, those of its own namespace by name only,
 * those of many namespaces counted (JSON has them all). */
static int needs_text(const struct plan *p, const struct step *s, struct buf *out, struct err *e)
{
	char digits[BUF_DIGITS];

	for (size_t i = 0; i < s->n_needs; i++) {
		const struct step *n = plan_node(p, s->needs[i]);
		size_t many = same_milestone(p, s, i);

		if (i && buf_add_str(out, ", ", e))
			return -1;
		if (many > 2  ? buf_printf(out, e, "%s of %zu namespaces", ms_names[n->num], many)
		    : n->kind ? buf_add_str(out, buf_digits(digits, n->number), e)
		    : n->netns == s->netns ? buf_add_str(out, ms_names[n->num], e)
					   : plan_node_text(p, n, out, e))
			return -1;
		if (many > 2)
			i += many - 1;
	}
	return 0;
}

static int print_lists(const struct plan *p, struct buf *out, struct err *e)
{
	for (size_t i = 0; i < plan_n_requirements(p); i++) {
		const struct requirement *r = plan_requirement(p, i);

		if (buf_printf(out, e, "%s from outside: %s (%s)\n", r->met ? "given" : "NEEDED",
			       r->object, r->option))
			return -1;
	}
	for (size_t i = 0; i < plan_n_left_out(p); i++)
		if (buf_printf(out, e, "left out: %s: %s\n", plan_left_out(p, i)->object,
			       plan_left_out(p, i)->reason))
			return -1;
	return 0;
}

/* Needs of a node: numbers of steps into array, names of milestones into names. */
static int needs_json(const struct plan *p, const struct step *s, struct json *array,
		      struct json *names, struct err *e)
{
	for (size_t i = 0; i < s->n_needs; i++) {
		const struct step *n = plan_node(p, s->needs[i]);
		auto_buf struct buf text = {0};

		if (n->kind) {
			if (json_push(array, json_new_int(n->number), e))
				return -1;
			continue;
		}
		if (plan_node_text(p, n, &text, e) ||
		    json_push(names, json_new_strn(text.data, text.len), e))
			return -1;
	}
	return 0;
}

/* ---- table ---- */

static const struct table_col cols[] = {
	{"step", TABLE_INT,
	 TABLE_RIGHT}, /* NULL: no step, but what is given from outside or left out */
	{"kind", TABLE_STR, 0},
	{"actor", TABLE_STR, 0},
	{"needs", TABLE_STR, TABLE_BELOW},
	{"object", TABLE_STR, TABLE_WHOLE},
	{"netns", TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	{"row", TABLE_INT, TABLE_HIDDEN | TABLE_RIGHT},
	{"undo", TABLE_STR, TABLE_HIDDEN},
	{"after", TABLE_JSON,
	 TABLE_HIDDEN}, /* all of needs: numbers of steps, names of milestones */
	{"reason", TABLE_STR,
	 TABLE_HIDDEN}, /* of what is left out; the option that gives what comes from outside */
};
enum {
	STEP,
	KIND,
	ACTOR,
	NEEDS,
	OBJECT,
	N_FOR_PEOPLE,
	NETNS = N_FOR_PEOPLE,
	ROW,
	UNDO,
	AFTER,
	REASON
};

static int add_after(const struct plan *p, const struct step *s, struct table *t, struct err *e)
{
	auto_json struct json *all = json_new_array(), *names = json_new_array();
	auto_buf struct buf text = {0};

	if (needs_json(p, s, all, names, e))
		return -1;
	for (size_t i = 0; i < json_len(names); i++)
		if (json_push(all, json_new_str(json_str(json_at(names, i))), e))
			return -1;
	return json_print(all, false, &text, e) || table_cell(t, AFTER, (const char *)text.data, e)
		       ? -1
		       : 0;
}

/* needs: for the text. */
static int add_step(const struct plan *p, const struct step *s, struct table *t, struct buf *needs,
		    struct err *e)
{
	buf_reset(needs);
	if (needs_text(p, s, needs, e) || table_row(t, e) ||
	    table_cell_int(t, STEP, s->number, e) ||
	    table_cell(t, NEEDS, needs->len ? (const char *)needs->data : NULL, e))
		return -1;
	table_cell_lent(t, KIND, s->kind->name);
	table_cell_lent(t, ACTOR, s->actor);
	table_cell_lent(t, OBJECT, s->object);
	return 0;
}

/* What is for programs only. */
static int add_hidden(const struct plan *p, const struct step *s, struct table *t, struct err *e)
{
	return table_cell(t, UNDO, undo_class_name(s->kind->undo_class), e) ||
			       (s->netns && table_cell_int(t, NETNS, s->netns, e)) ||
			       (s->row && table_cell_int(t, ROW, s->row, e)) ||
			       add_after(p, s, t, e)
		       ? -1
		       : 0;
}

static int add_other(struct table *t, const char *kind, const char *object, const char *reason,
		     struct err *e)
{
	return table_row(t, e) || table_cell(t, KIND, kind, e) ||
			       table_cell(t, OBJECT, object, e) || table_cell(t, REASON, reason, e)
		       ? -1
		       : 0;
}

static int add_lists(const struct plan *p, struct table *t, struct err *e)
{
	for (size_t i = 0; i < plan_n_requirements(p); i++) {
		const struct requirement *r = plan_requirement(p, i);

		if (add_other(t, r->met ? "given" : "needed", r->object, r->option, e))
			return -1;
	}
	for (size_t i = 0; i < plan_n_left_out(p); i++)
		if (add_other(t, "left out", plan_left_out(p, i)->object,
			      plan_left_out(p, i)->reason, e))
			return -1;
	return 0;
}

struct table *plan_table(const struct plan *p, bool all, struct err *e)
{
	struct table *t = table_new(cols, all ? ARRAY_SIZE(cols) : N_FOR_PEOPLE, e);
	auto_buf struct buf needs = {0};
	int rc = t ? 0 : -1;

	for (size_t i = 0; !rc && i < plan_n_steps(p); i++)
		rc = add_step(p, plan_step(p, i), t, &needs, e) ||
		     (all && add_hidden(p, plan_step(p, i), t, e));
	if (!rc && all)
		rc = add_lists(p, t, e);
	if (!rc)
		return t;
	table_free(t);
	return NULL;
}

static int step_json(const struct plan *p, const struct step *s, struct json *steps, struct err *e)
{
	struct json *o = json_new_object(), *needs = json_new_array(), *after = json_new_array();

	if (json_push(steps, o, e) || json_set(o, "step", json_new_int(s->number), e) ||
	    json_set(o, "kind", json_new_str(s->kind->name), e) ||
	    json_set(o, "object", json_new_str(s->object), e) ||
	    json_set(o, "actor", json_new_str(s->actor), e) ||
	    (s->netns && json_set(o, "netns", json_new_int(s->netns), e)) ||
	    (s->row && json_set(o, "row", json_new_int(s->row), e)) ||
	    json_set(o, "undo", json_new_str(undo_class_name(s->kind->undo_class)), e) ||
	    json_set(o, "needs", needs, e) || json_set(o, "after", after, e))
		return -1;
	return needs_json(p, s, needs, after, e);
}

static int milestone_json(const struct plan *p, const struct step *m, struct json *object,
			  struct err *e)
{
	struct json *o = json_new_object(), *needs = json_new_array(), *after = json_new_array();
	auto_buf struct buf name = {0};

	if (plan_node_text(p, m, &name, e) || json_set(object, (const char *)name.data, o, e) ||
	    json_set(o, "needs", needs, e) || json_set(o, "after", after, e))
		return -1;
	return needs_json(p, m, needs, after, e);
}

static int lists_json(const struct plan *p, struct json *top, struct err *e)
{
	struct json *require = json_new_array(), *left = json_new_array();

	if (json_set(top, "from_outside", require, e) || json_set(top, "left_out", left, e))
		return -1;
	for (size_t i = 0; i < plan_n_requirements(p); i++) {
		const struct requirement *r = plan_requirement(p, i);
		struct json *o = json_new_object();

		if (json_push(require, o, e) || json_set(o, "object", json_new_str(r->object), e) ||
		    json_set(o, "option", json_new_str(r->option), e) ||
		    json_set(o, "given", json_new_bool(r->met), e))
			return -1;
	}
	for (size_t i = 0; i < plan_n_left_out(p); i++) {
		struct json *o = json_new_object();

		if (json_push(left, o, e) ||
		    json_set(o, "object", json_new_str(plan_left_out(p, i)->object), e) ||
		    json_set(o, "reason", json_new_str(plan_left_out(p, i)->reason), e))
			return -1;
	}
	return 0;
}

static int print_json(const struct plan *p, struct buf *out, struct err *e)
{
	auto_json struct json *top = json_new_object();
	struct json *steps = json_new_array(), *milestones = json_new_object();

	if (json_set(top, "steps", steps, e) || json_set(top, "milestones", milestones, e))
		return -1;
	for (size_t i = 0; i < plan_n_steps(p); i++)
		if (step_json(p, plan_step(p, i), steps, e))
			return -1;
	for (size_t i = 0; i < plan_n_nodes(p); i++)
		if (!plan_node(p, i)->kind && milestone_json(p, plan_node(p, i), milestones, e))
			return -1;
	return lists_json(p, top, e) || json_print(top, true, out, e) || buf_add_str(out, "\n", e)
		       ? -1
		       : 0;
}

/* A text inside double quotes of DOT. */
static int dot_quote(struct buf *out, const char *s, struct err *e)
{
	for (; *s; s++)
		if ((*s == '"' || *s == '\\') ? buf_printf(out, e, "\\%c", *s)
					      : buf_add(out, s, 1, e))
			return -1;
	return 0;
}

static int print_dot(const struct plan *p, struct buf *out, struct err *e)
{
	if (buf_add_str(out, "digraph plan {\n\trankdir=LR;\n\tnode [shape=box];\n", e))
		return -1;
	for (size_t i = 0; i < plan_n_nodes(p); i++) {
		const struct step *s = plan_node(p, i);
		auto_buf struct buf text = {0};

		if (plan_node_text(p, s, &text, e) || buf_printf(out, e, "\tn%zu [label=\"", i) ||
		    (s->number && buf_printf(out, e, "%u ", s->number)) ||
		    dot_quote(out, (const char *)text.data, e) ||
		    buf_printf(out, e, "\"%s];\n", s->kind ? "" : ", shape=ellipse"))
			return -1;
		for (size_t k = 0; k < s->n_needs; k++)
			if (buf_printf(out, e, "\tn%u -> n%zu;\n", s->needs[k], i))
				return -1;
	}
	return buf_add_str(out, "}\n", e);
}

static int print_ip(const struct plan *p, struct buf *out, struct err *e)
{
	if (buf_add_str(out,
			"# The same as commands, to read along: what ip(8) has no words for is a "
			"comment.\n",
			e))
		return -1;
	for (size_t i = 0; i < plan_n_steps(p); i++) {
		const struct step *s = plan_step(p, i);
		auto_buf struct buf ns = {0};

		if (s->netns && netns_name(p, s->netns, &ns, e))
			return -1;
		if (s->kind->print_ip
			    ? s->kind->print_ip(p, s, s->netns ? (const char *)ns.data : "", out, e)
			    : buf_printf(out, e, "# %s %s\n", s->kind->name, s->object))
			return -1;
	}
	return print_lists(p, out, e);
}

int plan_print(const struct plan *p, enum plan_format format, struct buf *out, struct err *e)
{
	switch (format) {
	case PLAN_LISTS:
		return print_lists(p, out, e);
	case PLAN_JSON:
		return print_json(p, out, e);
	case PLAN_DOT:
		return print_dot(p, out, e);
	case PLAN_IP:
		return print_ip(p, out, e);
	}
	return err_set(e, ERR_USAGE, "no such plan format");
}
