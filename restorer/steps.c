#include "restorer/steps.h"

#include <string.h>

#include "base/cleanup.h"

static const struct step_kind *const parts[] = {
	step_kinds_net,
	step_kinds_task,
	step_kinds_criu,
	step_kinds_commit,
};

const struct step_kind *step_kind_at(size_t i)
{
	for (size_t p = 0; p < ARRAY_SIZE(parts); p++)
		for (const struct step_kind *k = parts[p]; k->name; k++)
			if (i-- == 0)
				return k;
	return NULL;
}

const struct step_kind *step_kind_find(const char *name)
{
	for (size_t p = 0; p < ARRAY_SIZE(parts); p++)
		for (const struct step_kind *k = parts[p]; k->name; k++)
			/* the plan asks once a step */
			if (*k->name == *name && !strcmp(k->name, name))
				return k;
	return NULL;
}

const char *undo_class_name(enum undo_class c)
{
	static const char *const names[] = {
		[UNDO_WITH_NAMESPACE] = "with-namespace",
		[UNDO_EXACT] = "exact",
		[UNDO_BEST_EFFORT] = "best-effort",
		[UNDO_IMPOSSIBLE] = "impossible",
	};

	_Static_assert(ARRAY_SIZE(names) == UNDO_COUNT, "every class has a name");
	return names[c];
}
