/* Epoll descriptors in files.img: no row has them, and what they watch may be gone. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "criu/fdinfo.pb-c.h"
#include "imgdb/export_int.h"

/* The socket with this inode is gone. */
static const char socket_sql[] =
	"SELECT 1 FROM edit_log l WHERE l.tbl = 'socket' AND l.action = 'delete' AND "
	"json_extract(l.before, '$.ino') = :ino AND json_extract(l.before, '$.image') = :image "
	"AND NOT EXISTS (SELECT 1 FROM socket s WHERE s.id = l.row)";

/* In a table with the epoll descriptor, the descriptor of this number is gone, and no other has it. */
static const char fd_sql[] =
	"SELECT 1 FROM fd e JOIN edit_log l ON l.tbl = 'fd' AND l.action = 'delete' WHERE e.image "
	"= "
	":image AND e.file_id = :epoll AND json_extract(l.before, '$.image') = :image AND "
	"json_extract(l.before, '$.files_id') = e.files_id AND json_extract(l.before, '$.fd') = "
	":fd AND NOT EXISTS (SELECT 1 FROM fd x "
	"WHERE x.image = :image AND x.files_id = e.files_id AND x.fd = :fd)";

struct epoll {
	struct query *socket, *fd;
	int64_t image, id;
};

static int get(struct span msg, const char *field, int64_t *v, struct err *e)
{
	struct wire_value w = {0};
	int rc = wire_get(&eventpoll_tfd_entry__descriptor, msg, field, &w, e);

	*v = rc == 1 ? (int64_t)w.u : 0;
	return rc;
}

/* 1: what it watches is gone, 0, -1. */
static int is_gone(struct epoll *x, struct span tfd, struct err *e)
{
	int64_t ino, fd;
	int rc;

	if (get(tfd, "inode", &ino, e) < 0 || get(tfd, "tfd", &fd, e) < 0)
		return -1;
	if (ino) {
		if (query_bind_int(x->socket, "ino", ino, e) ||
		    query_bind_int(x->socket, "image", x->image, e))
			return -1;
		rc = query_next(x->socket, e);
		if (rc)
			return rc;
	}
	if (query_bind_int(x->fd, "epoll", x->id, e) ||
	    query_bind_int(x->fd, "image", x->image, e) || query_bind_int(x->fd, "fd", fd, e))
		return -1;
	return query_next(x->fd, e);
}

/* Edits that take away the entries that are gone, from the last to the first. */
static int add_edits(struct epoll *x, struct span msg, struct map_edits *edits, struct err *e)
{
	struct wire_values it;
	struct wire_value v;
	size_t n = 0, n_gone = 0;
	auto_free size_t *gone = NULL;
	char path[40];
	int rc;

	if (wire_values_begin(&it, &file_entry__descriptor, msg, "epfd.tfd", e))
		return -1;
	while ((rc = wire_values_next(&it, &v, e)) == 1) {
		size_t *more = reallocarray(gone, n + 1, sizeof(*gone));

		if (!more)
			return err_set(e, ERR_NOMEM, "out of memory");
		gone = more;
		rc = is_gone(x, v.bytes, e);
		if (rc < 0)
			return -1;
		if (rc)
			gone[n_gone++] = n;
		n++;
	}
	while (!rc && n_gone) {
		snprintf(path, sizeof(path), "epfd.tfd[%zu]", gone[--n_gone]);
		rc = map_edits_add(edits, "", path, NULL, 0, e);
	}
	return rc;
}

int export_epoll(struct db *db, int64_t image, const struct img_record *rec, struct buf *out,
		 struct err *e)
{
	const ProtobufCMessageDescriptor *desc = &file_entry__descriptor;
	auto_query struct query *socket = NULL, *fd = NULL;
	auto_map_edits struct map_edits edits = {0};
	struct epoll x = {.image = image};
	size_t start = out->len;
	struct wire_value id;
	uint32_t len = 0;

	if (!wire_has(desc, rec->msg, "epfd") || wire_get(desc, rec->msg, "epfd.id", &id, e) != 1)
		return buf_add(out, rec->raw.data, rec->raw.len, e);
	x.id = (int64_t)id.u;
	x.socket = socket = query_new(db, socket_sql, e);
	x.fd = fd = query_new(db, fd_sql, e);
	if (!socket || !fd || add_edits(&x, rec->msg, &edits, e))
		return -1;
	if (!edits.n)
		return buf_add(out, rec->raw.data, rec->raw.len, e);
	if (buf_add(out, &len, 4, e) || wire_patch(desc, rec->msg, edits.edit, edits.n, out, e))
		return -1;
	len = (uint32_t)(out->len - start - 4);
	memcpy(out->data + start, &len, 4);
	return 0;
}
