#include "proto/wire.h"

#include <inttypes.h>
#include <string.h>

/* One edit on its way down through the messages of its path. */
struct patch {
	const char *text; /* of the path */
	const struct wire_path *path;
	const struct wire_value *values;
	size_t n_values;
};

/* What there is of one field in one message. */
struct census {
	size_t n_fields;   /* occurrences */
	size_t n_elements; /* packed fields hold several */
	size_t insert_at;  /* where a new one belongs */
};

enum fate { KEEP, SET, DROP };

static int patch_message(struct span msg, const struct patch *p, unsigned depth, struct buf *out,
			 struct err *e);

static bool span_is_equal(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static int add_span(struct buf *out, struct span s, struct err *e)
{
	return buf_add(out, s.data, s.len, e);
}

/* A length-delimited field under the key bytes that f has. */
static int add_content(struct buf *out, const struct wire_field *f, struct span content,
		       struct err *e)
{
	if (span_is_equal(f->bytes, content))
		return add_span(out, f->raw, e);
	if (buf_add(out, f->raw.data, f->key_len, e) || wire_put_varint(out, content.len, e))
		return -1;
	return add_span(out, content, e);
}

static int census_take(const ProtobufCFieldDescriptor *fd, struct span msg, struct census *c,
		       struct err *e)
{
	struct wire_iter it = wire_iter(msg);
	struct wire_field f;
	int r;

	*c = (struct census){0};
	while ((r = wire_next(&it, &f, e)) > 0) {
		struct wire_iter packed = wire_iter(f.bytes);
		struct wire_value v;

		if (f.number <= fd->id)
			c->insert_at = it.pos;
		if (f.number != fd->id)
			continue;
		c->n_fields++;
		if (!wire_is_packed(fd, &f)) {
			c->n_elements++;
			continue;
		}
		while ((r = wire_packed_next(fd, &packed, &v, e)) > 0)
			c->n_elements++;
		if (r < 0)
			return -1;
	}
	return r;
}

/* What becomes of element no, and the value if it is SET. */
static enum fate element_fate(const struct patch *p, const struct wire_path_part *part,
			      const struct census *c, size_t no, const struct wire_value **v)
{
	*v = p->values;
	if (part->field->label != PROTOBUF_C_LABEL_REPEATED) {
		/* the last one is what counts; earlier ones go, so that none is left to count */
		if (no + 1 < c->n_elements)
			return DROP;
		return p->n_values ? SET : DROP;
	}
	if (part->index >= 0) {
		if (no != (size_t)part->index)
			return KEEP;
		return p->n_values ? SET : DROP;
	}
	if (no >= p->n_values)
		return DROP;
	*v = &p->values[no];
	return SET;
}

/* The values that come behind the last element: from *first on. */
static size_t append_from(const struct patch *p, const struct wire_path_part *part,
			  const struct census *c)
{
	if (part->index >= 0)
		return (size_t)part->index == c->n_elements ? 0 : p->n_values;
	return c->n_elements < p->n_values ? c->n_elements : p->n_values;
}

static bool value_is_equal(const ProtobufCFieldDescriptor *fd, const struct wire_value *a,
			   const struct wire_value *b)
{
	if (fd->type == PROTOBUF_C_TYPE_STRING || fd->type == PROTOBUF_C_TYPE_BYTES ||
	    fd->type == PROTOBUF_C_TYPE_MESSAGE)
		return span_is_equal(a->bytes, b->bytes);
	return a->u == b->u;
}

/* One occurrence that holds one element. A value of the wrong wire type may be replaced. */
static int patch_single(const ProtobufCFieldDescriptor *fd, const struct wire_field *f,
			enum fate fate, const struct wire_value *v, struct buf *out, struct err *e)
{
	struct err ignored = ERR_INIT;
	struct wire_value old;
	bool readable = wire_field_value(fd, f, &old, &ignored) == 0;

	if (fate == DROP)
		return 0;
	if (fate == KEEP || (readable && value_is_equal(fd, &old, v)))
		return add_span(out, f->raw, e);
	if (!readable)
		return wire_put_value(out, fd, v, e);
	if (buf_add(out, f->raw.data, f->key_len, e))
		return -1;
	return wire_put_payload(out, fd, v, e);
}

/* One occurrence that holds several elements; first is the number of its first one. */
static int patch_packed(const struct patch *p, const struct wire_path_part *part,
			const struct census *c, const struct wire_field *f, size_t *no,
			bool is_last, struct buf *out, struct err *e)
{
	struct wire_iter it = wire_iter(f->bytes);
	auto_buf struct buf block = {0};
	struct wire_value old;
	size_t at = 0;

	for (; wire_packed_next(part->field, &it, &old, e) > 0; at = it.pos, (*no)++) {
		const struct wire_value *v;
		enum fate fate = element_fate(p, part, c, *no, &v);

		if (fate == DROP)
			continue;
		if (fate == KEEP || value_is_equal(part->field, &old, v)) {
			if (buf_add(&block, f->bytes.data + at, it.pos - at, e))
				return -1;
		} else if (wire_put_payload(&block, part->field, v, e)) {
			return -1;
		}
	}
	for (size_t i = append_from(p, part, c); is_last && i < p->n_values; i++)
		if (wire_put_payload(&block, part->field, &p->values[i], e))
			return -1;
	return block.len ? add_content(out, f, buf_span(&block), e) : 0;
}

/* New occurrences behind everything there is of the field. */
static int put_new(const ProtobufCFieldDescriptor *fd, const struct wire_value *values, size_t n,
		   struct buf *out, struct err *e)
{
	auto_buf struct buf block = {0};
	struct wire_value v;

	if (n == 0)
		return 0;
	for (size_t i = 0; i < n; i++) {
		if (!(fd->flags & PROTOBUF_C_FIELD_FLAG_PACKED)) {
			if (wire_put_value(out, fd, &values[i], e))
				return -1;
		} else if (wire_put_payload(&block, fd, &values[i], e)) {
			return -1;
		}
	}
	if (!(fd->flags & PROTOBUF_C_FIELD_FLAG_PACKED))
		return 0;
	v = (struct wire_value){.bytes = buf_span(&block)};
	if (wire_put_varint(out, (uint64_t)fd->id << 3 | WIRE_LEN, e) ||
	    wire_put_varint(out, v.bytes.len, e))
		return -1;
	return add_span(out, v.bytes, e);
}

static int leaf_check(const struct patch *p, const struct wire_path_part *part,
		      const struct census *c, struct err *e)
{
	size_t last = c->n_elements - (p->n_values ? 0 : 1);

	if (part->index >= 0 && (c->n_elements == 0 && !p->n_values))
		return err_set(e, ERR_NOTFOUND, "%s: there is no element", p->text);
	if (part->index >= 0 && (size_t)part->index > last)
		return err_set(e, ERR_NOTFOUND, "%s: there are only %zu elements", p->text,
			       c->n_elements);
	if (p->n_values > 1 &&
	    (part->index >= 0 || part->field->label != PROTOBUF_C_LABEL_REPEATED))
		return err_set(e, ERR_USAGE, "%s takes one value, not %zu", p->text, p->n_values);
	return 0;
}

static int patch_leaf(struct span msg, const struct patch *p, const struct wire_path_part *part,
		      struct buf *out, struct err *e)
{
	const ProtobufCFieldDescriptor *fd = part->field;
	struct wire_iter it = wire_iter(msg);
	struct wire_field f;
	struct census c;
	size_t no = 0, n_seen = 0, from;
	int r;

	if (census_take(fd, msg, &c, e) || leaf_check(p, part, &c, e))
		return -1;
	from = append_from(p, part, &c);
	if (c.n_fields == 0) {
		if (buf_add(out, msg.data, c.insert_at, e) ||
		    put_new(fd, p->values, p->n_values, out, e))
			return -1;
		return buf_add(out, msg.data ? msg.data + c.insert_at : NULL, msg.len - c.insert_at,
			       e);
	}
	while ((r = wire_next(&it, &f, e)) > 0) {
		const struct wire_value *v;
		enum fate fate;
		bool is_last;

		if (f.number != fd->id) {
			if (add_span(out, f.raw, e))
				return -1;
			continue;
		}
		is_last = ++n_seen == c.n_fields;
		if (wire_is_packed(fd, &f)) {
			if (patch_packed(p, part, &c, &f, &no, is_last, out, e))
				return -1;
			continue;
		}
		fate = element_fate(p, part, &c, no, &v);
		if (patch_single(fd, &f, fate, v, out, e) ||
		    (is_last && from < p->n_values &&
		     put_new(fd, p->values + from, p->n_values - from, out, e)))
			return -1;
		no++;
	}
	return r;
}

/* The inner message is not there yet: make it, and put it where it belongs. */
static int insert_inner(struct span msg, const struct patch *p, unsigned depth, size_t at,
			struct buf *out, struct err *e)
{
	auto_buf struct buf inner = {0};
	struct wire_value v;

	if (p->n_values == 0)
		return add_span(out, msg, e);
	if (patch_message((struct span){NULL, 0}, p, depth + 1, &inner, e))
		return -1;
	v = (struct wire_value){.bytes = buf_span(&inner)};
	if (buf_add(out, msg.data, at, e) || wire_put_value(out, p->path->part[depth].field, &v, e))
		return -1;
	return buf_add(out, msg.data ? msg.data + at : NULL, msg.len - at, e);
}

/* One occurrence of the message that the path goes through. */
static int patch_inner(const struct wire_field *f, const struct patch *p, unsigned depth,
		       struct buf *out, struct err *e)
{
	auto_buf struct buf inner = {0};
	struct wire_value v;

	if (wire_field_value(p->path->part[depth].field, f, &v, e) ||
	    patch_message(f->bytes, p, depth + 1, &inner, e))
		return -1;
	return add_content(out, f, buf_span(&inner), e);
}

static int patch_through(struct span msg, const struct patch *p, unsigned depth, struct buf *out,
			 struct err *e)
{
	const struct wire_path_part *part = &p->path->part[depth];
	bool repeated = part->field->label == PROTOBUF_C_LABEL_REPEATED;
	struct patch erase = *p;
	struct wire_iter it = wire_iter(msg);
	struct wire_field f;
	struct census c;
	size_t no = 0, target;
	int r;

	erase.n_values = 0;
	if (repeated && part->index < 0)
		return err_set(e, ERR_USAGE, "%s: %s is repeated, say which one: %s[0]", p->text,
			       part->field->name, part->field->name);
	if (census_take(part->field, msg, &c, e))
		return -1;
	if (repeated && (size_t)part->index > c.n_fields)
		return err_set(e, ERR_NOTFOUND, "%s: there are only %zu of %s", p->text, c.n_fields,
			       part->field->name);
	target = repeated ? (size_t)part->index : c.n_fields - 1;
	if (c.n_fields == 0 || target == c.n_fields)
		return insert_inner(msg, p, depth, c.insert_at, out, e);
	while ((r = wire_next(&it, &f, e)) > 0) {
		const struct patch *one = p;

		if (f.number == part->field->id && no++ != target)
			one = repeated ? NULL : &erase;
		if (f.number != part->field->id || !one) {
			if (add_span(out, f.raw, e))
				return -1;
		} else if (patch_inner(&f, one, depth, out, e)) {
			return -1;
		}
	}
	return r;
}

static int patch_message(struct span msg, const struct patch *p, unsigned depth, struct buf *out,
			 struct err *e)
{
	if (depth + 1 == p->path->n)
		return patch_leaf(msg, p, &p->path->part[depth], out, e);
	return patch_through(msg, p, depth, out, e);
}

int wire_patch(const ProtobufCMessageDescriptor *desc, struct span msg,
	       const struct wire_edit *edits, size_t n_edits, struct buf *out, struct err *e)
{
	struct buf bufs[2] = {{0}, {0}};
	struct span now = msg;
	int r = 0;

	for (size_t i = 0; i < n_edits && r == 0; i++) {
		struct buf *next = &bufs[i % 2];
		struct wire_path path;
		struct patch p = {edits[i].path, &path, edits[i].values, edits[i].n_values};

		buf_reset(next);
		r = wire_path_parse(desc, edits[i].path, &path, e);
		if (r == 0)
			r = patch_message(now, &p, 0, next, e);
		now = buf_span(next);
	}
	if (r == 0)
		r = buf_add(out, now.data, now.len, e);
	buf_free(&bufs[0]);
	buf_free(&bufs[1]);
	return r;
}
