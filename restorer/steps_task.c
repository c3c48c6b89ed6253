#include "restorer/steps.h"

const struct step_kind step_kinds_task[] = {
	{.name = NULL},
};
