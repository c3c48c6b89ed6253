/* The network lock of CRIU's dump in the rulesets of an image. */
#include "inspect/check/check.h"
#include "proto/lock.h"

const char check_lock_reads[] = "SELECT f.id, f.content FROM firewall f JOIN image i ON i.id = "
				"f.image WHERE f.image = :image "
				"AND i.format = 'criu' AND f.content LIKE '%CRIU%' ORDER BY f.id";

int check_lock(struct check_list *list, struct db *db, int64_t image, struct err *e)
{
	auto_query struct query *q = query_new(db, check_lock_reads, e);
	int rc;

	if (!q || query_bind_int(q, "image", image, e))
		return -1;
	while ((rc = query_next(q, e)) == 1) {
		auto_buf struct buf rest = {0};
		bool had;

		if (lock_strip(query_text(q, 1), &rest, &had, e) ||
		    (had && check_add(list, "firewall", query_int(q, 0), NULL, e)))
			return -1;
	}
	return rc;
}
