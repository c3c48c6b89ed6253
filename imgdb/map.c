#include "imgdb/map.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "criu/netdev.pb-c.h"
#include "proto/inet.h"

/* ---- compile ---- */

static const struct map_field *special(const struct map_table *def, const char *path)
{
	for (const struct map_field *f = def->fields; f->path; f++)
		if (!strcmp(f->path, path))
			return f;
	return NULL;
}

/* The column a field goes to, by "table.column", or by name in the row's table, else the family's. */
static void find_column(struct map *m, struct map_node *n, const char *name)
{
	const char *dot = strchr(name, '.');

	for (int i = 0; i < 2 && n->col < 0; i++) {
		if (!m->table[i])
			continue;
		if (dot && strncmp(m->table[i]->name, name, (size_t)(dot - name)) != 0)
			continue;
		n->col = (int16_t)sql_column_find(m->table[i], dot ? dot + 1 : name);
		n->table = (uint8_t)i;
	}
}

static bool needs_message(const struct map_node *n)
{
	if (n->how == MAP_ADDRESS || n->how == MAP_OPTIONS || n->how == MAP_MEMBERS ||
	    n->how == MAP_EXTENTS)
		return true;
	return (n->how == MAP_JSON || n->how == MAP_BLOB || n->how == MAP_JSON_ZERO) &&
	       (n->fd->label == PROTOBUF_C_LABEL_REPEATED ||
		n->fd->type == PROTOBUF_C_TYPE_MESSAGE);
}

static int add_late(struct map *m, struct map_node *n, struct err *e)
{
	if (m->n_late == MAP_LATE_MAX)
		return err_set(e, ERR_RANGE, "%s has too many repeated fields", m->def->desc->name);
	n->late = (int16_t)m->n_late;
	m->late[m->n_late++] = n;
	return 0;
}

static int compile_kids(struct map *m, struct map_node *n, const ProtobufCMessageDescriptor *desc,
			bool may_lack, struct err *e);

static int compile_field(struct map *m, struct map_node *n, const ProtobufCFieldDescriptor *fd,
			 const struct map_node *up, bool may_lack, struct err *e)
{
	const struct map_field *f;

	n->fd = fd;
	n->col = n->late = -1;
	if (snprintf(n->path, sizeof(n->path), "%s%s%s", up->path, *up->path ? "." : "",
		     fd->name) >= (int)sizeof(n->path))
		return err_set(e, ERR_RANGE, "%s.%s: path too long", up->path, fd->name);
	f = special(m->def, n->path);
	n->how = f ? f->how : MAP_SAME;
	if (n->how == MAP_KEPT || n->how == MAP_CODE)
		return 0;
	if (n->how == MAP_FLAT || n->how == MAP_FLAT_SOME)
		return compile_kids(m, n, fd->descriptor, n->how == MAP_FLAT_SOME, e);
	find_column(m, n, f && f->column ? f->column : fd->name);
	if (n->col < 0 && !may_lack)
		return err_set(e, ERR_DB, "field %s of %s has no column and no row in map_tables.c",
			       n->path, m->def->desc->name);
	if (n->col < 0)
		n->how = MAP_KEPT;
	return n->col >= 0 && needs_message(n) ? add_late(m, n, e) : 0;
}

static int compile_kids(struct map *m, struct map_node *n, const ProtobufCMessageDescriptor *desc,
			bool may_lack, struct err *e)
{
	n->kids = calloc(desc->n_fields, sizeof(*n->kids));
	if (!n->kids && desc->n_fields)
		return err_set(e, ERR_NOMEM, "out of memory");
	n->n_kids = desc->n_fields;
	for (unsigned i = 0; i < desc->n_fields; i++) {
		const ProtobufCFieldDescriptor *fd = &desc->fields[i];

		if (compile_field(m, &n->kids[i], fd, n, may_lack, e))
			return -1;
		if (fd->id < sizeof(n->by_number))
			n->by_number[fd->id] = (uint8_t)(i + 1);
	}
	return 0;
}

static void free_kids(struct map_node *n)
{
	for (unsigned i = 0; i < n->n_kids; i++)
		free_kids(&n->kids[i]);
	free(n->kids);
	n->kids = NULL;
	n->n_kids = 0;
}

int map_open(struct map *m, enum map_id id, struct sql_table *table, struct sql_table *family_table,
	     struct err *e)
{
	memset(m, 0, sizeof(*m));
	m->def = &map_tables[id];
	m->table[0] = table;
	m->table[1] = family_table;
	if (compile_kids(m, &m->root, m->def->desc, false, e)) {
		map_close(m);
		return -1;
	}
	return 0;
}

void map_close(struct map *m)
{
	free_kids(&m->root);
}

/* ---- decode ---- */

void map_row_free(struct map_row *r)
{
	buf_free(&r->text);
}

void map_row_clear(struct map_row *r, const struct map *m)
{
	buf_reset(&r->text);
	for (int i = 0; i < 2; i++) {
		r->row[i].text = &r->text;
		if (m->table[i])
			sql_row_clear(&r->row[i], m->table[i]);
	}
	memset(r->n_words, 0, m->n_late);
	memset(r->is_late, 0, m->n_late * sizeof(r->is_late[0]));
	r->n_unknown = r->n_missing = 0;
}

static const struct map_node *node_of(const struct map_node *n, uint32_t number)
{
	if (number < sizeof(n->by_number))
		return n->by_number[number] ? &n->kids[n->by_number[number] - 1] : NULL;
	for (unsigned i = 0; i < n->n_kids; i++)
		if (n->kids[i].fd->id == number)
			return &n->kids[i];
	return NULL;
}

/* Words of an address are collected on the way; a fifth one makes it no address. */
static int add_words(const struct map_node *n, const struct wire_field *f, struct map_row *r,
		     struct err *e)
{
	struct wire_iter it = wire_iter(f->bytes);
	struct wire_value v;
	uint8_t *count = &r->n_words[n->late];
	int rc = 1;

	if (!wire_is_packed(n->fd, f)) {
		if (wire_field_value(n->fd, f, &v, e))
			return -1;
		if (*count < 4)
			r->words[n->late][*count] = (uint32_t)v.u;
		*count += *count < 5;
		return 0;
	}
	while ((rc = wire_packed_next(n->fd, &it, &v, e)) == 1) {
		if (*count < 4)
			r->words[n->late][*count] = (uint32_t)v.u;
		*count += *count < 5;
	}
	return rc;
}

static int set_lladdr(struct sql_row *row, int col, struct span b, struct err *e)
{
	char text[INET_LL_MAX];

	if (!inet_ll_format(b.data, b.len, text))
		return sql_set_escaped(row, col, b, e);
	return sql_set_text(row, col, text, strlen(text), e);
}

/* CRIU keeps the zero byte at the end of a path; at the start it makes the name abstract. */
static struct span unix_name(struct span b)
{
	if (b.len > 1 && b.data[0] && !b.data[b.len - 1])
		b.len--;
	return b;
}

static int set_value(const struct map_node *n, const struct wire_value *v, struct sql_row *row,
		     struct err *e)
{
	switch (n->how) {
	case MAP_BLOB:
		sql_set_lent(row, n->col, QUERY_BLOB, v->bytes);
		return 0;
	case MAP_LLADDR:
		return set_lladdr(row, n->col, v->bytes, e);
	case MAP_UNIX_NAME:
		return sql_set_escaped(row, n->col, unix_name(v->bytes), e);
	default:
		if (n->fd->type == PROTOBUF_C_TYPE_STRING || n->fd->type == PROTOBUF_C_TYPE_BYTES)
			return sql_set_escaped(row, n->col, v->bytes, e);
		sql_set_int(row, n->col, (int64_t)v->u);
		return 0;
	}
}

static int decode_level(const struct map_node *level, struct span msg, struct map_row *r,
			struct err *e)
{
	struct wire_iter it = wire_iter(msg);
	struct wire_field f;
	struct wire_value v;
	int rc;

	while ((rc = wire_next(&it, &f, e)) == 1) {
		const struct map_node *n = node_of(level, f.number);

		if (!n) {
			r->n_unknown++;
			continue;
		}
		if (n->how == MAP_KEPT || n->how == MAP_CODE ||
		    (r->is_of_family && !n->table && !n->kids))
			continue;
		if (n->late >= 0) {
			r->is_late[n->late] = true;
			if (n->how == MAP_ADDRESS && add_words(n, &f, r, e))
				return -1;
			continue;
		}
		if (wire_field_value(n->fd, &f, &v, e))
			return err_wrap(e, "%s", n->path);
		if (n->kids ? decode_level(n, v.bytes, r, e)
			    : set_value(n, &v, &r->row[n->table], e))
			return -1;
	}
	return rc;
}

/* The kernel keeps an address of a v4 socket in one word, of a v6 socket in four. Another number of words
 * is no address; the column stays NULL and the record keeps what it has. */
static int set_address(const struct map_node *n, struct map_row *r, struct err *e)
{
	unsigned words = r->n_words[n->late];
	char text[INET_TEXT_MAX];

	if (words != 1 && words != 4)
		return 0;
	inet_format(r->words[n->late], words * 4, text);
	return sql_set_text(&r->row[n->table], n->col, text, strlen(text), e);
}

static int set_words64(const struct map_node *n, const struct map *m, struct span msg,
		       struct map_row *r, struct err *e)
{
	size_t start = r->text.len;
	struct wire_values it;
	struct wire_value v;
	int rc;

	if (wire_values_begin(&it, m->def->desc, msg, n->path, e))
		return -1;
	while ((rc = wire_values_next(&it, &v, e)) == 1)
		if (buf_add(&r->text, &v.u, sizeof(v.u), e))
			return -1;
	if (rc < 0)
		return -1;
	sql_set_tail(&r->row[n->table], n->col, start);
	r->row[n->table].cell[n->col].type = QUERY_BLOB;
	return 0;
}

static int set_json(const struct map_node *n, const struct map *m, struct span msg,
		    struct map_row *r, struct err *e)
{
	size_t start = r->text.len;

	if (map_json_late(m, n, msg, &r->text, e))
		return -1;
	if (r->text.len > start)
		sql_set_tail(&r->row[n->table], n->col, start);
	return 0;
}

/* CRIU writes a device's own index where it has no link. A veth or macvlan with the index of its own has
 * its link in another namespace. */
static void derive_link(struct sql_row *row, const struct sql_table *t)
{
	struct sql_cell *link = &row->cell[sql_column_find(t, "link")];
	int64_t own = row->cell[sql_column_find(t, "ifindex")].num;
	int64_t type = row->cell[sql_column_find(t, "nd_type")].num;

	if (link->type == QUERY_INT && link->num == own && type != ND_TYPE__VETH &&
	    type != ND_TYPE__MACVLAN && type != ND_TYPE__EXTLINK)
		*link = (struct sql_cell){0};
}

/* A namespace with a key is not made on restore, it is given. */
static void derive_external(struct sql_row *row, const struct sql_table *t)
{
	struct sql_cell *external = &row->cell[sql_column_find(t, "external")];

	if (external->type == QUERY_NULL &&
	    row->cell[sql_column_find(t, "ext_key")].type != QUERY_NULL)
		*external = (struct sql_cell){.type = QUERY_INT, .num = 1};
}

static void derive(const struct map *m, struct map_row *r)
{
	if (m->def == &map_tables[MAP_DEVICE])
		derive_link(&r->row[0], m->table[0]);
	if (m->def == &map_tables[MAP_NETNS])
		derive_external(&r->row[0], m->table[0]);
}

int map_decode(const struct map *m, struct span msg, struct map_row *r, struct err *e)
{
	if (decode_level(&m->root, msg, r, e))
		return -1;
	for (unsigned i = 0; i < m->n_late; i++) {
		const struct map_node *n = m->late[i];
		int rc = 0;

		if (!r->is_late[i])
			continue;
		if (n->how == MAP_ADDRESS)
			rc = set_address(n, r, e);
		else if (n->how == MAP_BLOB)
			rc = set_words64(n, m, msg, r, e);
		else
			rc = set_json(n, m, msg, r, e);
		if (rc)
			return err_wrap(e, "%s", n->path);
	}
	derive(m, r);
	return 0;
}

void map_row_complete(struct map_row *r, const struct map *m)
{
	for (const struct map_const *c = m->def->consts; c && c->column; c++)
		if (r->row[0].cell[sql_column_find(m->table[0], c->column)].type == QUERY_NULL)
			sql_set_int(&r->row[0], sql_column_find(m->table[0], c->column), c->value);
	for (int i = 0; i < 2; i++)
		if (m->table[i])
			r->n_missing += sql_row_complete(&r->row[i], m->table[i]);
}
