/* What differs between two messages of one kind, without what changes by itself. */
#include "proto/rta_view.h"

#include <stdio.h>
#include <string.h>

struct diff {
	rta_diff_fn *fn;
	void *arg;
	int n;
	char path[256];
	size_t path_len;
};

static int report(struct diff *d, const char *name, const char *a, const char *b, struct err *e)
{
	size_t len = d->path_len;
	int r;

	snprintf(d->path + len, sizeof(d->path) - len, "%s%s", len ? "." : "", name);
	d->n++;
	r = d->fn(d->path, a, b, d->arg, e);
	d->path[len] = 0;
	return r;
}

static int text_of(const struct rta_attr *row, struct span data, struct buf *out, struct err *e)
{
	struct rta_view v = {.mode = RTA_VIEW_DIFF};

	return rta_value_text(&v, row, data, out, e);
}

/* The nth attribute of that number. */
static bool find_nth(struct span all, uint16_t type, unsigned nth, struct rta_item *it)
{
	struct err ignored = ERR_INIT;
	size_t off = 0;

	while (rta_item_next(all, &off, it, &ignored) > 0)
		if (it->type == type && it->nth == nth)
			return true;
	return false;
}

static int diff_level(struct diff *d, const struct rta_set *set, struct span a, struct span b,
		      struct err *e);

/* One attribute; b is NULL where only a has it. A nest or structure of which everything is ignored is as good
 * as none. */
static int diff_item(struct diff *d, const struct rta_attr *row, const struct rta_item *a,
		     const struct rta_item *b, bool swapped, struct err *e)
{
	auto_buf struct buf ta = {0}, tb = {0};
	size_t len = d->path_len;
	char key[RTA_KEY_MAX];
	int r;

	rta_key(row, a->type, a->nth, key);
	if (b && row->type == RTAT_NEST) {
		d->path_len += (size_t)snprintf(d->path + len, sizeof(d->path) - len, "%s%s",
						len ? "." : "", key);
		r = d->path_len < sizeof(d->path)
			    ? diff_level(d, row->set, a->data, b->data, e)
			    : err_set(e, ERR_FORMAT, "attributes nested too deeply");
		d->path_len = len;
		d->path[len] = 0;
		return r;
	}
	if (text_of(row, a->data, &ta, e) || (b && text_of(row, b->data, &tb, e)))
		return -1;
	if (b ? !strcmp((char *)ta.data, (char *)tb.data) : !strcmp((char *)ta.data, "{}"))
		return 0;
	return swapped ? report(d, key, NULL, (char *)ta.data, e)
		       : report(d, key, (char *)ta.data, b ? (char *)tb.data : NULL, e);
}

/* Attributes of one that are different or missing in the other; missing_only: the way back. */
static int diff_side(struct diff *d, const struct rta_set *set, struct span one, struct span other,
		     bool missing_only, struct err *e)
{
	struct rta_item it, twin;
	size_t off = 0;
	int r;

	while ((r = rta_item_next(one, &off, &it, e)) > 0) {
		struct rta_attr row = rta_attr_row(set, it.type, one);
		bool found;

		if (row.flags & RTAF_VOL)
			continue;
		found = find_nth(other, it.type, it.nth, &twin);
		if (found && (missing_only || (it.data.len == twin.data.len &&
					       !memcmp(it.data.data, twin.data.data, it.data.len))))
			continue;
		r = diff_item(d, &row, &it, found ? &twin : NULL, missing_only, e);
		if (r)
			return r;
	}
	return r;
}

static int diff_level(struct diff *d, const struct rta_set *set, struct span a, struct span b,
		      struct err *e)
{
	int r = diff_side(d, set, a, b, false, e);

	return r ? r : diff_side(d, set, b, a, true, e);
}

static int diff_header(struct diff *d, const struct rta_struct *rec, const uint8_t *a,
		       const uint8_t *b, struct err *e)
{
	size_t i;

	for (i = 0; i < rec->n_fields; i++) {
		const struct rta_field *f = &rec->field[i];
		int64_t na = rta_int_read(f->type, a + f->off) & ~(int64_t)f->vol;
		int64_t nb = rta_int_read(f->type, b + f->off) & ~(int64_t)f->vol;
		char ta[24], tb[24];
		int r;

		if (f->flags & RTAF_VOL || na == nb)
			continue;
		snprintf(ta, sizeof(ta), "%lld", (long long)na);
		snprintf(tb, sizeof(tb), "%lld", (long long)nb);
		r = report(d, f->name, ta, tb, e);
		if (r)
			return r;
	}
	return 0;
}

int rta_diff(struct span a, struct span b, rta_diff_fn *fn, void *arg, struct err *e)
{
	struct diff d = {.fn = fn, .arg = arg};
	const struct rta_msg *m;

	if (rta_check(a, e) || rta_check(b, e))
		return -1;
	m = rta_msg_find(a);
	if (m != rta_msg_find(b))
		return err_set(e, ERR_CONFLICT, "messages of different kinds cannot be compared");
	if (diff_header(&d, m->hdr, a.data + sizeof(struct nlmsghdr),
			b.data + sizeof(struct nlmsghdr), e) ||
	    diff_level(&d, m->set, rta_attrs_of(m, a), rta_attrs_of(m, b), e))
		return -1;
	return d.n;
}
