#include "restorer/plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/escape.h"
#include "restorer/steps.h"

/* Where a row's step, or a milestone, is: open addressing, a power of two of slots. */
struct slot {
	const void *tag; /* step_kind, or ms_tags + milestone; NULL: free */
	int64_t id;
	uint32_t idx;
};

enum { NODES_OF_BLOCK = 1024 };

struct plan {
	struct db *db;
	int64_t image;
	struct step **nodes;
	size_t n_nodes, cap_nodes;
	struct node_block {
		struct node_block *before;
		struct step nodes[NODES_OF_BLOCK];
	} * blocks;          /* the youngest */
	struct step **order; /* lent from nodes */
	size_t n_order;
	struct slot *slots;
	size_t n_slots, used;
	struct requirement *requirements;
	size_t n_requirements;
	struct left_out *left;
	size_t n_left;
	struct arena texts;
	struct buf text;   /* in the making */
	const char *actor; /* of the step before, as it is shown and was given; NULL: none such */
};

/* Addresses that stand for the milestones in the slots. */
static const char ms_tags[MS_COUNT];

struct plan *plan_new(struct db *db, int64_t image, struct err *e)
{
	struct plan *p = calloc(1, sizeof(*p));

	if (!p) {
		err_set(e, ERR_NOMEM, "plan");
		return NULL;
	}
	p->db = db;
	p->image = image;
	return p;
}

static void step_release(struct step *s)
{
	if (s->data_free)
		s->data_free(s->data);
	buf_free(&s->msg);
	buf_free(&s->msg2);
	if (s->needs != s->few_needs)
		free(s->needs);
}

void plan_free(struct plan *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n_nodes; i++)
		step_release(p->nodes[i]);
	while (p->blocks) {
		struct node_block *before = p->blocks->before;

		free(p->blocks);
		p->blocks = before;
	}
	arena_free(&p->texts);
	buf_free(&p->text);
	free(p->nodes);
	free(p->order);
	free(p->slots);
	free(p->requirements);
	free(p->left);
	free(p);
}

struct db *plan_db(const struct plan *p)
{
	return p->db;
}

int64_t plan_image(const struct plan *p)
{
	return p->image;
}

/* The slot of (tag, id), or the free one where it belongs. */
static struct slot *slot_at(const struct plan *p, const void *tag, int64_t id)
{
	uint64_t h = ((uintptr_t)tag ^ (uint64_t)id * 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
	size_t i = h >> 20;

	for (;; i++) {
		struct slot *s = &p->slots[i & (p->n_slots - 1)];

		if (!s->tag || (s->tag == tag && s->id == id))
			return s;
	}
}

static int slots_grow(struct plan *p, struct err *e)
{
	struct slot *old = p->slots;
	size_t n_old = p->n_slots;

	p->n_slots = n_old ? n_old * 2 : 64;
	p->slots = calloc(p->n_slots, sizeof(*p->slots));
	if (!p->slots) {
		p->slots = old;
		p->n_slots = n_old;
		return err_set(e, ERR_NOMEM, "plan: %zu objects", n_old);
	}
	for (size_t i = 0; i < n_old; i++)
		if (old[i].tag)
			*slot_at(p, old[i].tag, old[i].id) = old[i];
	free(old);
	return 0;
}

static int slot_put(struct plan *p, const void *tag, int64_t id, uint32_t idx, struct err *e)
{
	struct slot *s;

	if (p->used * 2 >= p->n_slots && slots_grow(p, e))
		return -1;
	s = slot_at(p, tag, id);
	if (!s->tag) {
		*s = (struct slot){tag, id, idx};
		p->used++;
	}
	return 0;
}

static struct step *node_new(struct plan *p, const struct step_kind *kind, struct err *e)
{
	struct step *s;

	if (p->n_nodes == p->cap_nodes) {
		size_t cap = p->cap_nodes ? p->cap_nodes * 2 : 64;
		struct step **grown = realloc(p->nodes, cap * sizeof(struct step *));

		if (!grown) {
			err_set(e, ERR_NOMEM, "plan of %zu steps", p->n_nodes);
			return NULL;
		}
		p->nodes = grown;
		p->cap_nodes = cap;
	}
	if (p->n_nodes % NODES_OF_BLOCK == 0) {
		struct node_block *b = calloc(1, sizeof(*b));

		if (!b) {
			err_set(e, ERR_NOMEM, "step");
			return NULL;
		}
		b->before = p->blocks;
		p->blocks = b;
	}
	s = &p->blocks->nodes[p->n_nodes % NODES_OF_BLOCK];
	s->idx = p->n_nodes;
	s->kind = kind;
	s->needs = s->few_needs;
	s->cap_needs = ARRAY_SIZE(s->few_needs);
	p->nodes[p->n_nodes++] = s;
	return s;
}

/* A text for people, lent by the plan: names out of a database may hold what terminals obey. NULL: out of memory. */
static const char *shown(struct plan *p, const char *text, struct err *e)
{
	auto_buf struct buf b = {0};
	size_t n = escape_plain(text);

	if (!text[n])
		return arena_text(&p->texts, text, n, e);
	return escape_show(&b, text, strlen(text), e)
		       ? NULL
		       : arena_text(&p->texts, (const char *)b.data, b.len, e);
}

static const char *shown_printf(struct plan *p, struct err *e, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));
static const char *shown_printf(struct plan *p, struct err *e, const char *fmt, va_list ap)
{
	buf_reset(&p->text);
	return buf_vprintf(&p->text, e, fmt, ap) ? NULL : shown(p, (const char *)p->text.data, e);
}

/* Most steps have the actor of the step before. */
static const char *shown_actor(struct plan *p, const char *actor, struct err *e)
{
	const char *text;

	if (p->actor && !strcmp(p->actor, actor))
		return p->actor;
	text = shown(p, actor, e);
	p->actor = text && !strcmp(text, actor) ? text : NULL;
	return text;
}

static struct step *add_step(struct plan *p, const struct step_kind *kind, const char *actor,
			     const char *object, struct err *e)
{
	struct step *s = object ? node_new(p, kind, e) : NULL;

	if (!s)
		return NULL;
	s->object = object;
	s->actor = shown_actor(p, actor ? actor : "root", e);
	return s->actor ? s : NULL;
}

struct step *plan_add_text(struct plan *p, const struct step_kind *kind, const char *actor,
			   const char *object, struct err *e)
{
	return add_step(p, kind, actor, shown(p, object, e), e);
}

struct step *plan_add(struct plan *p, const struct step_kind *kind, const char *actor,
		      struct err *e, const char *object, ...)
{
	const char *text;
	va_list ap;

	va_start(ap, object);
	text = shown_printf(p, e, object, ap);
	va_end(ap);
	return add_step(p, kind, actor, text, e);
}

struct step *plan_milestone(struct plan *p, enum milestone ms, int64_t netns, struct err *e)
{
	struct step *s;

	if (p->n_slots) {
		const struct slot *slot = slot_at(p, &ms_tags[ms], netns);

		if (slot->tag)
			return p->nodes[slot->idx];
	}
	s = node_new(p, NULL, e);
	if (!s || slot_put(p, &ms_tags[ms], netns, s->idx, e))
		return NULL;
	s->num = ms;
	s->netns = netns;
	return s;
}

int plan_need(struct plan *p, struct step *step, const struct step *other, struct err *e)
{
	/* Milestones have as many needs as there are objects; there a repeated one costs less than
	 * looking for it. */
	for (size_t i = 0; step->kind && i < step->n_needs; i++)
		if (step->needs[i] == other->idx)
			return 0;
	if (step->n_needs == step->cap_needs) {
		size_t cap = step->cap_needs ? step->cap_needs * 2 : 8;
		bool few = step->needs == step->few_needs;
		uint32_t *grown = realloc(few ? NULL : step->needs, cap * sizeof(*grown));

		if (!grown)
			return err_set(e, ERR_NOMEM, "needs of a step");
		if (few)
			memcpy(grown, step->few_needs, sizeof(step->few_needs));
		step->needs = grown;
		step->cap_needs = cap;
	}
	step->needs[step->n_needs++] = other->idx;
	return 0;
}

int plan_after(struct plan *p, struct step *step, enum milestone ms, int64_t netns, struct err *e)
{
	const struct step *m = plan_milestone(p, ms, netns, e);

	return m ? plan_need(p, step, m, e) : -1;
}

int plan_before(struct plan *p, const struct step *step, enum milestone ms, int64_t netns,
		struct err *e)
{
	struct step *m = plan_milestone(p, ms, netns, e);

	return m ? plan_need(p, m, step, e) : -1;
}

int plan_index(struct plan *p, const struct step *s, int64_t row, struct err *e)
{
	return slot_put(p, s->kind, row, s->idx, e);
}

struct step *plan_find(const struct plan *p, const char *kind, int64_t row)
{
	const struct step_kind *k = step_kind_find(kind);
	const struct slot *slot;

	if (!k || !p->n_slots)
		return NULL;
	slot = slot_at(p, k, row);
	return slot->tag ? p->nodes[slot->idx] : NULL;
}

int plan_require(struct plan *p, const char *object, const char *option, bool met, struct err *e)
{
	struct requirement *grown =
		realloc(p->requirements, (p->n_requirements + 1) * sizeof(*grown));
	struct requirement *r;

	if (!grown)
		return err_set(e, ERR_NOMEM, "requirement of the plan");
	p->requirements = grown;
	r = &grown[p->n_requirements];
	*r = (struct requirement){shown(p, object, e), shown(p, option, e), met};
	p->n_requirements++;
	return r->object && r->option ? 0 : -1;
}

size_t plan_n_requirements(const struct plan *p)
{
	return p->n_requirements;
}

const struct requirement *plan_requirement(const struct plan *p, size_t i)
{
	return &p->requirements[i];
}

int plan_leave_out(struct plan *p, struct err *e, const char *object, const char *reason, ...)
{
	struct left_out *grown = realloc(p->left, (p->n_left + 1) * sizeof(*grown));
	struct left_out *l;
	va_list ap;

	if (!grown)
		return err_set(e, ERR_NOMEM, "list of what is left out");
	p->left = grown;
	l = &grown[p->n_left++];
	l->object = shown(p, object, e);
	va_start(ap, reason);
	l->reason = shown_printf(p, e, reason, ap);
	va_end(ap);
	return l->object && l->reason ? 0 : -1;
}

size_t plan_n_left_out(const struct plan *p)
{
	return p->n_left;
}

const struct left_out *plan_left_out(const struct plan *p, size_t i)
{
	return &p->left[i];
}

size_t plan_n_steps(const struct plan *p)
{
	return p->n_order;
}

struct step *plan_step(const struct plan *p, size_t i)
{
	return p->order[i];
}

size_t plan_n_nodes(const struct plan *p)
{
	return p->n_nodes;
}

struct step *plan_node(const struct plan *p, uint32_t idx)
{
	return p->nodes[idx];
}

void plan_set_order(struct plan *p, struct step **order, size_t n)
{
	free(p->order);
	p->order = order;
	p->n_order = n;
}
