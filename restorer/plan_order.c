/* The order of a plan: Kahn's algorithm over a heap, so that the same graph gives the same order. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "restorer/plan.h"
#include "restorer/steps.h"

struct order {
	const struct plan *p;
	uint32_t *waits; /* by idx: needs that are not done */
	uint32_t *first, *next,
		*who; /* who[first[idx]], who[next[...]] ...: the steps that wait for idx */
	uint64_t *heap;
	size_t n_heap;
};

static void order_release(struct order *o)
{
	free(o->waits);
	free(o->first);
	free(o->next);
	free(o->who);
	free(o->heap);
}

/* Milestones have no work, so they are done at once; then the stage, then the order of adding. The lower 32 bits are
 * the idx. */
static uint64_t key_of(const struct order *o, uint32_t idx)
{
	const struct step_kind *k = plan_node(o->p, idx)->kind;

	return (k ? (uint64_t)k->stage + 1 : 0) << 32 | idx;
}

static void heap_push(struct order *o, uint32_t idx)
{
	uint64_t key = key_of(o, idx);
	size_t i = o->n_heap++;

	while (i && key < o->heap[(i - 1) / 2]) {
		o->heap[i] = o->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	o->heap[i] = key;
}

static uint32_t heap_pop(struct order *o)
{
	uint64_t top = o->heap[0], last = o->heap[--o->n_heap];
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= o->n_heap)
			break;
		if (child + 1 < o->n_heap && o->heap[child + 1] < o->heap[child])
			child++;
		if (o->heap[child] >= last)
			break;
		o->heap[i] = o->heap[child];
		i = child;
	}
	o->heap[i] = last;
	return (uint32_t)top;
}

static int order_begin(struct order *o, struct err *e)
{
	size_t n = plan_n_nodes(o->p), n_edges = 0, edge = 1;

	for (size_t i = 0; i < n; i++)
		n_edges += plan_node(o->p, i)->n_needs;
	o->waits = calloc(n + 1, sizeof(*o->waits));
	o->first = calloc(n + 1, sizeof(*o->first));
	o->heap = calloc(n + 1, sizeof(*o->heap));
	o->next = calloc(n_edges + 1, sizeof(*o->next));
	o->who = calloc(n_edges + 1, sizeof(*o->who));
	if (!o->waits || !o->first || !o->heap || !o->next || !o->who)
		return err_set(e, ERR_NOMEM, "order of %zu steps", n);
	for (size_t i = 0; i < n; i++) {
		const struct step *s = plan_node(o->p, i);

		o->waits[i] = s->n_needs;
		for (size_t k = 0; k < s->n_needs; k++, edge++) {
			o->who[edge] = i;
			o->next[edge] = o->first[s->needs[k]];
			o->first[s->needs[k]] = edge;
		}
	}
	for (size_t i = 0; i < n; i++)
		if (!o->waits[i])
			heap_push(o, i);
	return 0;
}

/* Some step waits for ever: walk from one to a need that waits too until one comes twice. */
static int report_cycle(const struct order *o, struct err *e)
{
	size_t n = plan_n_nodes(o->p);
	auto_free bool *seen = calloc(n, sizeof(*seen));
	auto_buf struct buf text = {0};
	uint32_t at = 0, start;

	if (!seen)
		return err_set(e, ERR_NOMEM, "search for a cycle");
	while (!o->waits[at])
		at++;
	for (int lap = 0; lap < 2; lap++) {
		start = at;
		memset(seen, 0, n * sizeof(*seen));
		while (!seen[at]) {
			const struct step *s = plan_node(o->p, at);
			uint32_t to = at;

			seen[at] = true;
			if (lap &&
			    (plan_node_text(o->p, s, &text, e) || buf_add_str(&text, " needs ", e)))
				return -1;
			for (size_t k = 0; k < s->n_needs && to == at; k++)
				if (o->waits[s->needs[k]])
					to = s->needs[k];
			at = to;
			if (to == start)
				break;
		}
	}
	if (plan_node_text(o->p, plan_node(o->p, at), &text, e))
		return -1;
	return err_set(e, ERR_CONFLICT, "the plan has a cycle: %s", (const char *)text.data);
}

int plan_order(struct plan *p, struct err *e)
{
	__attribute__((cleanup(order_release))) struct order o = {.p = p};
	size_t n = plan_n_nodes(p), n_done = 0, n_steps = 0;
	auto_free struct step **order = calloc(n + 1, sizeof(struct step *));

	if (!order)
		return err_set(e, ERR_NOMEM, "order of %zu steps", n);
	if (order_begin(&o, e))
		return -1;
	while (o.n_heap) {
		uint32_t idx = heap_pop(&o);
		struct step *s = plan_node(p, idx);

		n_done++;
		if (s->kind) {
			order[n_steps++] = s;
			s->number = n_steps;
		}
		for (uint32_t edge = o.first[idx]; edge; edge = o.next[edge])
			if (--o.waits[o.who[edge]] == 0)
				heap_push(&o, o.who[edge]);
	}
	if (n_done < n)
		return report_cycle(&o, e);
	plan_set_order(p, take_ptr(order), n_steps);
	return 0;
}
