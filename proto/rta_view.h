/* rta_view.h: attributes as JSON text and back. Private to proto/rta*.c.
 *
 * Owns:  the mapping of one attribute to one JSON member: name (or "attr_NN"), "#2" for the second of the
 *        same number; a value whose size is not what its row says is "hex:0102".
 * A view says who looks: people (what is of no interest is hidden, and what other columns show), or a
 * comparison (what changes by itself is hidden).
 */
#pragma once

#include "base/json.h"
#include "proto/rta_tables.h"

#define RTA_DEPTH_MAX 12
#define RTA_KEY_MAX   80

enum rta_view_mode { RTA_VIEW_ALL, RTA_VIEW_COLUMN, RTA_VIEW_DIFF };

struct rta_view {
	enum rta_view_mode mode;
	const struct rta_column
		*covered;   /* columns that show attributes elsewhere, up to one without name */
	uint16_t nest_flag; /* of new nests: rta_nest_flag */
	unsigned depth;
	uint16_t path[RTA_DEPTH_MAX];
};

/* Member name of an attribute. */
void rta_key(const struct rta_attr *row, uint16_t type, unsigned nth, char key[RTA_KEY_MAX]);

/* Append the level as a JSON object. */
int rta_level_text(struct rta_view *v, const struct rta_set *set, struct span all, struct buf *out,
		   struct err *e);

/* Append one value as JSON. */
int rta_value_text(struct rta_view *v, const struct rta_attr *row, struct span data,
		   struct buf *out, struct err *e);

/* Append the fields of a fixed structure as members ("name":value, separated by commas; *first tells
 * whether a comma is due). */
int rta_fields_text(const struct rta_view *v, const struct rta_struct *rec, struct span data,
		    bool *first, struct buf *out, struct err *e);

/* Does the view show this attribute (of the level at v->path)? */
bool rta_is_shown(const struct rta_view *v, const struct rta_attr *row, uint16_t type,
		  struct span data);

/* Is the payload what the row says? */
bool rta_is_sound(const struct rta_attr *row, struct span data);

int rta_quote(struct buf *out, const char *text, size_t n, struct err *e);
int rta_hex(struct buf *out, const char *prefix, struct span data, struct err *e);

/* --- and back --- */

/* Append the payload that j means; old is the payload that is there (data NULL: none) and gives what j does
 * not mention. ERR_FORMAT and ERR_RANGE name what. */
int rta_value_bytes(struct rta_view *v, const struct rta_attr *row, const struct json *j,
		    struct span old, const char *what, struct buf *out, struct err *e);

/* Append the level with the members of obj put into it; what the view hides is copied. */
int rta_level_patch(struct rta_view *v, const struct rta_set *set, struct span all,
		    const struct json *obj, struct buf *out, struct err *e);

/* --- columns (rta_columns.c) --- */

/* Is the attribute at path (n numbers) shown by another column? Exactly, or as an ancestor of one. */
bool rta_is_covered(const struct rta_column *cols, const uint16_t *path, unsigned n);

static inline uint32_t rta_load_u32(const void *p)
{
	uint32_t v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}
