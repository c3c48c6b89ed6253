/* Records of sockets, other descriptors with network state, and what waits in queues. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "criu/fdinfo.pb-c.h"
#include "criu/sk_packet.pb-c.h"
#include "imgdb/import_int.h"
#include "proto/inet.h"

static const struct {
	enum img_kind kind;
	enum map_id map;
} kinds[] = {
	{IMG_INETSK, MAP_INET},      {IMG_UNIXSK, MAP_UNIX},    {IMG_NETLINK_SK, MAP_NETLINK},
	{IMG_PACKETSK, MAP_PACKET},  {IMG_NSIMG_SK, MAP_OTHER}, {IMG_TUNFILE, MAP_TUN},
	{IMG_NS_FILES, MAP_NS_FILE},
};

static enum import_table family_table(enum map_id id)
{
	static const enum import_table tables[] = {[MAP_INET] = T_INET,
						   [MAP_UNIX] = T_UNIX,
						   [MAP_PACKET] = T_PACKET,
						   [MAP_NETLINK] = T_NETLINK};

	return id < ARRAY_SIZE(tables) ? tables[id] : T_COUNT;
}

/* A record without ns_id belongs to the namespace of the root task. */
static int set_netns(struct import *im, const struct sql_table *t, struct sql_row *row,
		     struct err *e)
{
	const struct sql_cell *ns = &row->cell[sql_column_find(t, "ns_id")];
	int64_t number = ns->type == QUERY_INT ? ns->num : im->root_ns, netns;

	if (number < 0)
		return 0;
	if (import_netns_find(im, (uint64_t)number, &netns, e))
		return -1;
	sql_set_int(row, t->netns, netns);
	return 0;
}

/* MPTCP and the like: an internet socket all the same, by its struct sockaddr. */
static int set_sockaddr(const struct sql_table *t, struct sql_row *row, struct span b,
			const char *addr_col, const char *port_col, const char *scope_col,
			struct err *e)
{
	char text[INET_TEXT_MAX];
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;
	sa_family_t family;

	if (b.len < sizeof(family))
		return 0;
	memcpy(&family, b.data, sizeof(family));
	if (family == AF_INET && b.len >= sizeof(in4)) {
		memcpy(&in4, b.data, sizeof(in4));
		sql_set_int(row, sql_column_find(t, port_col), ntohs(in4.sin_port));
		inet_format(&in4.sin_addr, 4, text);
	} else if (family == AF_INET6 && b.len >= sizeof(in6)) {
		memcpy(&in6, b.data, sizeof(in6));
		sql_set_int(row, sql_column_find(t, port_col), ntohs(in6.sin6_port));
		if (in6.sin6_scope_id)
			sql_set_int(row, sql_column_find(t, scope_col), in6.sin6_scope_id);
		inet_format(&in6.sin6_addr, 16, text);
	} else {
		return 0;
	}
	return sql_set_text(row, sql_column_find(t, addr_col), text, strlen(text), e);
}

static int insert_other_inet(struct import *im, const struct img_record *rec, int64_t id,
			     struct err *e)
{
	const struct sql_table *main_table = &im->table[T_SOCKET], *t = &im->table[T_INET];
	const struct sql_row *sk = &im->row.row[0];
	const struct sql_cell *local = &sk->cell[sql_column_find(main_table, "local_addr")];
	const struct sql_cell *peer = &sk->cell[sql_column_find(main_table, "peer_addr")];
	int64_t family = sk->cell[sql_column_find(main_table, "family")].num;
	struct sql_row row = {.text = &im->row.text};

	if (family != AF_INET && family != AF_INET6)
		return 0;
	sql_row_clear(&row, t);
	sql_set_int(&row, 0, id);
	row.cell[sql_column_find(t, "backlog")] =
		sk->cell[sql_column_find(main_table, "other_backlog")];
	if (set_sockaddr(t, &row, sql_cell_bytes(sk, local), "src", "src_port", "src_scope", e) ||
	    set_sockaddr(t, &row, sql_cell_bytes(sk, peer), "dst", "dst_port", "dst_scope", e))
		return -1;
	sql_row_complete(&row, t);
	return import_insert(im, T_INET, &row, e);
}

static int insert_socket(struct import *im, const struct img_record *rec, enum map_id id,
			 struct err *e)
{
	enum import_table family = family_table(id);
	int64_t row_id = im->next_socket++;

	sql_set_int(&im->row.row[0], 0, row_id);
	if (family != T_COUNT)
		sql_set_int(&im->row.row[1], 0, row_id);
	map_row_complete(&im->row, &im->map[id]);
	if (import_insert(im, T_SOCKET, &im->row.row[0], e))
		return -1;
	if (family != T_COUNT)
		return import_insert(im, family, &im->row.row[1], e);
	return insert_other_inet(im, rec, row_id, e);
}

/* msg: the message of the socket (tun file, ns file), inside rec. */
static int import_file_part(struct import *im, const struct img_record *rec, enum map_id id,
			    struct span msg, struct err *e)
{
	struct map *m = &im->map[id];
	enum import_table t = id == MAP_TUN ? T_TUN : id == MAP_NS_FILE ? T_NS_FILE : T_SOCKET;
	struct sql_row *row = &im->row.row[0];
	int rc;

	map_row_clear(&im->row, m);
	if (map_decode(m, msg, &im->row, e))
		return -1;
	import_origin(im, t, row, rec);
	im->cur->n_unknown += im->row.n_unknown;
	if (t != T_NS_FILE && set_netns(im, &im->table[t], row, e))
		return -1;
	if (t == T_SOCKET) {
		rc = insert_socket(im, rec, id, e);
	} else {
		map_row_complete(&im->row, m);
		rc = import_insert(im, t, row, e);
	}
	if (rc || !im->row.n_missing)
		return rc;
	return import_note(im, rec, "damage", im->cur->name,
			   "the record lacks a required field; its column has 0 or nothing", e);
}

int import_files(struct import *im, const struct img_record *rec, struct err *e)
{
	struct wire_iter it = wire_iter(rec->msg);
	struct wire_field f;
	int rc;

	while ((rc = wire_next(&it, &f, e)) == 1) {
		const struct map_part *p = map_file_parts;

		while (p->number && p->number != f.number)
			p++;
		if (p->number && f.type == WIRE_LEN)
			return import_file_part(im, rec, p->map, f.bytes, e);
	}
	return rc;
}

int import_socket(struct import *im, const struct img_record *rec, struct err *e)
{
	enum img_kind kind = img_type_kind(im->cur->type);
	size_t i = 0;

	while (kinds[i].kind != kind)
		i++;
	return import_file_part(im, rec, kinds[i].map, rec->msg, e);
}

/* ---- queues ---- */

static int add_queue(struct import *im, const struct img_record *rec, const char *direction,
		     struct span data, struct err *e)
{
	struct sql_table *t = &im->table[T_QUEUE];
	struct sql_row row = {.text = &im->row.text};

	sql_row_clear(&row, t);
	import_origin(im, T_QUEUE, &row, rec);
	sql_set_int(&row, sql_column_find(t, "ino"), (int64_t)im->cur->number);
	sql_set_int(&row, sql_column_find(t, "length"), (int64_t)data.len);
	sql_set_lent(&row, sql_column_find(t, "direction"), QUERY_TEXT,
		     (struct span){(const uint8_t *)direction, strlen(direction)});
	sql_set_lent(&row, sql_column_find(t, "data"), QUERY_BLOB, data);
	return import_insert(im, T_QUEUE, &row, e);
}

int import_tcp(struct import *im, const struct img_record *rec, struct err *e)
{
	struct map *m = &im->map[MAP_TCP];
	struct sql_table *t = &im->table[T_TCP];
	struct sql_row *row = &im->row.row[0];
	uint64_t in, out;

	map_row_clear(&im->row, m);
	if (map_decode(m, rec->msg, &im->row, e))
		return -1;
	import_origin(im, T_TCP, row, rec);
	sql_set_int(row, sql_column_find(t, "ino"), (int64_t)im->cur->number);
	map_row_complete(&im->row, m);
	im->cur->n_unknown += im->row.n_unknown;
	in = (uint64_t)row->cell[sql_column_find(t, "inq_len")].num;
	out = (uint64_t)row->cell[sql_column_find(t, "outq_len")].num;
	if (import_insert(im, T_TCP, row, e))
		return -1;
	if (rec->is_cut) {
		in = in < rec->extra.len ? in : rec->extra.len;
		out = out < rec->extra.len - in ? out : rec->extra.len - in;
	} else if (in > rec->extra.len || out > rec->extra.len - in)
		return err_set(e, ERR_FORMAT, "%s: queues of %llu and %llu bytes in %zu bytes",
			       im->cur->name, (unsigned long long)in, (unsigned long long)out,
			       rec->extra.len);
	if (in && add_queue(im, rec, "receive", (struct span){rec->extra.data, in}, e))
		return -1;
	return out ? add_queue(im, rec, "send", (struct span){rec->extra.data + in, out}, e) : 0;
}

/* The files whose descriptors travel with a packet, as a JSON array of their ids. */
static int set_rights(struct import *im, const struct img_record *rec, struct sql_row *row,
		      struct err *e)
{
	size_t start = im->row.text.len;
	struct wire_values it;
	struct wire_value v;
	const char *sep = "[";
	int rc;

	if (wire_values_begin(&it, &sk_packet_entry__descriptor, rec->msg, "scm.rights", e))
		return -1;
	while ((rc = wire_values_next(&it, &v, e)) == 1) {
		if (buf_printf(&im->row.text, e, "%s%u", sep, (unsigned)v.u))
			return -1;
		sep = ",";
	}
	if (rc < 0 || *sep == '[')
		return rc;
	if (buf_add_str(&im->row.text, "]", e))
		return -1;
	sql_set_tail(row, sql_column_find(&im->table[T_QUEUE], "rights"), start);
	return 0;
}

int import_queue(struct import *im, const struct img_record *rec, struct err *e)
{
	struct map *m = &im->map[MAP_QUEUE];
	struct sql_table *t = &im->table[T_QUEUE];
	struct sql_row *row = &im->row.row[0];

	map_row_clear(&im->row, m);
	if (map_decode(m, rec->msg, &im->row, e) || set_rights(im, rec, row, e))
		return -1;
	import_origin(im, T_QUEUE, row, rec);
	sql_set_lent(row, sql_column_find(t, "direction"), QUERY_TEXT,
		     (struct span){(const uint8_t *)"packet", 6});
	sql_set_lent(row, sql_column_find(t, "data"), QUERY_BLOB, rec->extra);
	map_row_complete(&im->row, m);
	im->cur->n_unknown += im->row.n_unknown;
	return import_insert(im, T_QUEUE, row, e);
}
