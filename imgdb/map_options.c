#include "imgdb/map_options.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/hex.h"
#include "criu/nsimg.pb-c.h"
#include "proto/sockopt_table.h"

#define DESC (&nsimg_sockopt__descriptor)

static int add_hex(struct span b, struct buf *out, struct err *e)
{
	return buf_add_str(out, "\"hex:", e) || hex_add(out, b.data, b.len, e)
		       ? -1
		       : buf_add_str(out, "\"", e);
}

/* How many options before this one have the same number: keys may be set several times. */
static unsigned n_before(struct wire_values it, const struct wire_value *one, uint64_t level,
			 uint64_t name)
{
	struct err ignored = ERR_INIT;
	struct wire_value v, l, n;
	unsigned count = 0;

	while (wire_values_next(&it, &v, &ignored) == 1 && v.off != one->off)
		if (wire_get(DESC, v.bytes, "level", &l, &ignored) >= 0 &&
		    wire_get(DESC, v.bytes, "name", &n, &ignored) >= 0)
			count += l.u == level && n.u == name;
	return count;
}

int map_options_json(struct wire_values *it, struct buf *out, struct err *e)
{
	struct wire_values all = *it;
	struct wire_value v, level, name, value;
	const char *sep = "{";
	int rc;

	while ((rc = wire_values_next(it, &v, e)) == 1) {
		const struct sockopt *row;
		unsigned before;

		if (wire_get(DESC, v.bytes, "level", &level, e) < 0 ||
		    wire_get(DESC, v.bytes, "name", &name, e) < 0 ||
		    wire_get(DESC, v.bytes, "value", &value, e) < 0)
			return -1;
		row = sockopt_find((int)level.u, (int)name.u);
		before = n_before(all, &v, level.u, name.u);
		if (row ? buf_printf(out, e, "%s\"%s", sep, row->name)
			: buf_printf(out, e, "%s\"%" PRIu64 ":%" PRIu64, sep, level.u, name.u))
			return -1;
		if ((before && buf_printf(out, e, "#%u", before + 1)) || buf_add_str(out, "\":", e))
			return -1;
		if (row ? sockopt_format(row, value.bytes, out, e) : add_hex(value.bytes, out, e))
			return -1;
		sep = ",";
	}
	if (rc < 0)
		return -1;
	return buf_add_str(out, *sep == '{' ? "{}" : "}", e);
}

static int put(struct buf *out, unsigned field, uint64_t u, struct span b, struct err *e)
{
	const struct wire_value v = {.u = u, .bytes = b};

	return wire_put_value(out, &DESC->fields[field], &v, e);
}

static int undo_hex(const char *text, struct buf *out, struct err *e)
{
	size_t len = strlen(text);

	if (strncmp(text, "hex:", 4) != 0 || len % 2)
		return err_set(e, ERR_USAGE, "\"%s\" is not \"hex:\" and pairs of hex digits",
			       text);
	for (const char *p = text + 4; *p; p += 2) {
		char pair[3] = {p[0], p[1], 0}, *end;
		uint8_t byte = (uint8_t)strtoul(pair, &end, 16);

		if (*end)
			return err_set(e, ERR_USAGE, "\"%s\" has other than hex digits", text);
		if (buf_add(out, &byte, 1, e))
			return -1;
	}
	return 0;
}

int map_options_message(const char *key, const struct json *value, struct buf *out, struct err *e)
{
	auto_buf struct buf text = {0}, bytes = {0};
	const struct sockopt *row;
	unsigned level = 0, name = 0;
	const char *str = json_str(value);
	char plain[64];
	int used = 0, rc;

	snprintf(plain, sizeof(plain), "%.*s", (int)strcspn(key, "#"), key);
	row = sockopt_find_name(plain);
	if (row) {
		level = (unsigned)row->level;
		name = (unsigned)row->opt;
	} else if (sscanf(plain, "%u:%u%n", &level, &name, &used) != 2 || plain[used]) {
		return err_set(e, ERR_USAGE, "there is no socket option %s", plain);
	}
	if (str && !strncmp(str, "hex:", 4))
		rc = undo_hex(str, &bytes, e);
	else if (!row)
		rc = err_set(e, ERR_USAGE, "the value of option %s must be \"hex:...\"", plain);
	else
		rc = json_print(value, false, &text, e) ||
		     sockopt_parse(row, (const char *)text.data, &bytes, e);
	if (rc)
		return -1;
	return put(out, 0, level, (struct span){0}, e) || put(out, 1, name, (struct span){0}, e) ||
			       put(out, 2, 0, buf_span(&bytes), e)
		       ? -1
		       : 0;
}
