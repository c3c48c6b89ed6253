#include "dumper/criu_core.h"

#include <stdint.h>

#include "base/task_trap.h"
#include "proto/wire.h"

/* Numbers of fields (images/core.proto, images/sa.proto of CRIU); not in our descriptors, which know of tasks what
 * concerns the network. */
enum {
	CORE_TC = 3,
	TC_SIGACTIONS = 15,
	SA_HANDLER = 1,
	SA_FLAGS = 2,
	SA_RESTORE = 3,
};

static int put_part(struct buf *out, uint32_t number, const struct buf *part, struct err *e)
{
	return wire_put_varint(out, (uint64_t)number << 3 | WIRE_LEN, e) ||
			       wire_put_varint(out, part->len, e) ||
			       buf_add(out, part->data, part->len, e)
		       ? -1
		       : 0;
}

/* A sa_entry. */
static int fix_action(struct span msg, struct buf *out, bool *changed, struct err *e)
{
	uint64_t v[SA_RESTORE + 1] = {0};
	struct wire_iter it = wire_iter(msg);
	struct wire_field f;
	int got;

	while ((got = wire_next(&it, &f, e)) == 1)
		if (f.type == WIRE_VARINT && f.number <= SA_RESTORE)
			v[f.number] = f.u;
	if (got < 0 || !task_trap_decode(&v[SA_HANDLER], &v[SA_FLAGS], &v[SA_RESTORE]))
		return got < 0 ? -1 : buf_add(out, msg.data, msg.len, e);
	*changed = true;
	it = wire_iter(msg);
	while ((got = wire_next(&it, &f, e)) == 1) {
		bool ours = f.type == WIRE_VARINT && f.number <= SA_RESTORE;

		if (ours ? wire_put_varint(out, (uint64_t)f.number << 3, e) ||
				    wire_put_varint(out, v[f.number], e)
			 : buf_add(out, f.raw.data, f.raw.len, e))
			return -1;
	}
	return got;
}

/* The message with its parts of that number made anew by fn. */
static int fix_parts(struct span msg, uint32_t number,
		     int (*fn)(struct span part, struct buf *out, bool *changed, struct err *e),
		     struct buf *out, bool *changed, struct err *e)
{
	struct wire_iter it = wire_iter(msg);
	struct wire_field f;
	int got;

	while ((got = wire_next(&it, &f, e)) == 1) {
		auto_buf struct buf part = {0};
		bool other = f.number != number || f.type != WIRE_LEN, here = false;

		if (!other && fn(f.bytes, &part, &here, e))
			return -1;
		*changed |= here;
		if (here ? put_part(out, number, &part, e) : buf_add(out, f.raw.data, f.raw.len, e))
			return -1;
	}
	return got;
}

static int fix_task(struct span msg, struct buf *out, bool *changed, struct err *e)
{
	return fix_parts(msg, TC_SIGACTIONS, fix_action, out, changed, e);
}

int criu_core_fix(struct span msg, struct buf *out, bool *changed, struct err *e)
{
	*changed = false;
	return fix_parts(msg, CORE_TC, fix_task, out, changed, e);
}
