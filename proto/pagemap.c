#include "proto/pagemap.h"

#include "proto/wire.h"

int pagemap_file(struct span head, uint64_t *number, struct err *e)
{
	enum { PAGES_ID = 1 };

	return wire_find_number(head, PAGES_ID, number, e) < 0 ? -1 : 0;
}

int pagemap_pages(struct span entry, bool *in_file, uint64_t *n, struct err *e)
{
	enum { COMPAT_NR_PAGES = 2, IN_PARENT = 3, FLAGS = 4, NR_PAGES = 5, PE_PRESENT = 4 };
	uint64_t flags, in_parent;
	int has_flags = wire_find_number(entry, FLAGS, &flags, e);
	int has_n = wire_find_number(entry, NR_PAGES, n, e);

	if (has_flags < 0 || has_n < 0 || wire_find_number(entry, IN_PARENT, &in_parent, e) < 0 ||
	    (!has_n && wire_find_number(entry, COMPAT_NR_PAGES, n, e) < 0))
		return -1;
	/* before there were flags, all were that are not in_parent */
	*in_file = has_flags ? (flags & PE_PRESENT) != 0 : !in_parent;
	return 0;
}
