#include "restorer/build.h"

int build_tasks(struct plan *p, struct restore *r, struct err *e)
{
	return 0;
}
