/* What people call the object of a finding, and the record it came from. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "inspect/check/check_name.h"

/* A file of the image and the image have no labels of their own. */
static bool is_file(const struct check_finding *f)
{
	return !strcmp(f->table, "image_file");
}

static bool is_image(const struct check_finding *f)
{
	return !strcmp(f->table, "image");
}

int check_object(struct edit_labels *l, struct db *db, const struct check_finding *f,
		 struct buf *out, struct err *e)
{
	auto_query struct query *q = NULL;

	if (!is_file(f) && !is_image(f))
		return edit_label(l, f->table, f->row, NULL, out, e);
	q = query_new(db,
		      is_file(f) ? "SELECT name FROM image_file WHERE id = :row"
				 : "SELECT 'image ' || id || ' (' || name || ')' FROM image WHERE "
				   "id = :row",
		      e);
	if (!q || query_bind_int(q, "row", f->row, e) || query_next(q, e) < 0)
		return -1;
	return buf_add_str(out, query_text(q, 0) ? query_text(q, 0) : "?", e);
}

int check_place_read(struct db *db, const struct check_finding *f, struct check_place *p,
		     struct err *e)
{
	auto_query struct query *q = NULL;
	char sql[160];
	int rc;

	*p = (struct check_place){.rec = -1, .off = -1};
	/* of what is not there */
	if (is_image(f))
		return 0;
	if (is_file(f))
		snprintf(sql, sizeof(sql),
			 "SELECT name, NULL, damage_off FROM image_file WHERE id = :row");
	else
		snprintf(sql, sizeof(sql),
			 "SELECT f.name, t.rec, t.off FROM \"%s\" t JOIN image_file f ON f.id = "
			 "t.file WHERE t.id = :row",
			 f->table);
	q = query_new(db, sql, e);
	if (!q || query_bind_int(q, "row", f->row, e))
		return -1;
	rc = query_next(q, e);
	if (rc <= 0)
		return rc;
	snprintf(p->file, sizeof(p->file), "%s", query_text(q, 0));
	p->rec = query_is_null(q, 1) ? -1 : query_int(q, 1);
	p->off = query_is_null(q, 2) ? -1 : query_int(q, 2);
	return 0;
}
