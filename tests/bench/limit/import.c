/* limit/import: what import cannot do without, and nothing else.
 *
 *     import DB FOLDER
 *
 * DB must not exist; it gets the tables and indexes of schema.sql. Of FOLDER (as gen writes it) files.img and
 * the fdinfo images are hashed (SHA-256), unpacked by protobuf-c into an arena, and inserted by prepared
 * statements as the rows that nsimg makes of them; the bytes go into image_file, as nsimg keeps them. One
 * transaction, indexes after the load, rollback journal, synchronous FULL. No checks, no notes, no unknown
 * fields, no other kind of file. Tables of few rows (netns, task) get rows only for their keys. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <openssl/evp.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "criu/fdinfo.pb-c.h"

extern const char embed_schema_sql[];

enum { ARENA = 1 << 16, HEADER = 8, CHUNK = 1 << 20 };

static sqlite3 *db;

static void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, db ? sqlite3_errmsg(db) : "failed");
	exit(1);
}

static void ok(int rc, const char *what)
{
	if (rc != SQLITE_OK && rc != SQLITE_DONE && rc != SQLITE_ROW)
		die(what);
}

static void sql(const char *text)
{
	ok(sqlite3_exec(db, text, NULL, NULL, NULL), text);
}

/* ---- a bump allocator for protobuf-c ---- */

static uint64_t arena[ARENA / 8];
static size_t used;

static void *arena_alloc(void *data, size_t n)
{
	void *p = (char *)arena + used;

	(void)data;
	used += (n + 15) & ~(size_t)15;
	return used <= sizeof(arena) ? p : NULL;
}

static void arena_free(void *data, void *p)
{
	(void)data;
	(void)p;
}

static ProtobufCAllocator allocator = {arena_alloc, arena_free, NULL};

/* ---- rows ---- */

#define PROVENANCE "id, image, file, rec, off"
#define OPTS                                                                                       \
	"so_sndbuf, so_rcvbuf, so_snd_tmo_sec, so_snd_tmo_usec, so_rcv_tmo_sec, so_rcv_tmo_usec, " \
	"reuseaddr, so_priority, so_rcvlowat, so_passcred, so_passsec, so_dontroute, "             \
	"so_no_check, "                                                                            \
	"so_reuseport, so_broadcast, so_keepalive, so_oobinline, so_buf_lock"

static sqlite3_stmt *in_socket, *in_inet, *in_unix, *in_netlink, *in_packet, *in_fd;

static sqlite3_stmt *insert(const char *table, const char *columns)
{
	char text[1000], *p = text;
	sqlite3_stmt *s;
	int n = 1;

	for (const char *c = columns; *c; c++)
		n += *c == ',';
	p += sprintf(p, "INSERT INTO %s (%s) VALUES (?", table, columns);
	while (--n)
		p += sprintf(p, ",?");
	sprintf(p, ")");
	ok(sqlite3_prepare_v3(db, text, -1, SQLITE_PREPARE_PERSISTENT, &s, NULL), text);
	return s;
}

static void run(sqlite3_stmt *s)
{
	if (sqlite3_step(s) != SQLITE_DONE)
		die("insert");
	sqlite3_reset(s);
}

#define INT(s, v) sqlite3_bind_int64(s, ++i, (sqlite3_int64)(v))
#define OPT(s, m, field)                                                                           \
	((m)->has_##field ? sqlite3_bind_int64(s, ++i, (sqlite3_int64)(m)->field)                  \
			  : sqlite3_bind_null(s, ++i))
#define TEXT(s, p, n) sqlite3_bind_text64(s, ++i, p, n, SQLITE_STATIC, SQLITE_UTF8)

static int bind_head(sqlite3_stmt *s, int64_t id, int64_t file, uint32_t rec, size_t off)
{
	int i = 0;

	INT(s, id);
	INT(s, 1);
	INT(s, file);
	INT(s, rec);
	INT(s, off);
	return i;
}

static void bind_opts(sqlite3_stmt *s, int i, const SkOptsEntry *o)
{
	INT(s, o->so_sndbuf);
	INT(s, o->so_rcvbuf);
	INT(s, o->so_snd_tmo_sec);
	INT(s, o->so_snd_tmo_usec);
	INT(s, o->so_rcv_tmo_sec);
	INT(s, o->so_rcv_tmo_usec);
	OPT(s, o, reuseaddr);
	OPT(s, o, so_priority);
	OPT(s, o, so_rcvlowat);
	OPT(s, o, so_passcred);
	OPT(s, o, so_passsec);
	OPT(s, o, so_dontroute);
	OPT(s, o, so_no_check);
	OPT(s, o, so_reuseport);
	OPT(s, o, so_broadcast);
	OPT(s, o, so_keepalive);
	OPT(s, o, so_oobinline);
	OPT(s, o, so_buf_lock);
}

struct common {
	uint32_t id, ino, ns_id, family, type, protocol, state, flags;
	bool has_ino, has_state;
	const SkOptsEntry *opts;
};

static void put_socket(int64_t row, int64_t file, uint32_t rec, size_t off, const struct common *c)
{
	sqlite3_stmt *s = in_socket;
	int i = bind_head(s, row, file, rec, off);

	INT(s, c->id);
	c->has_ino ? INT(s, c->ino) : sqlite3_bind_null(s, ++i);
	INT(s, c->ns_id);
	INT(s, c->ns_id); /* netns: row N is that of namespace N */
	INT(s, c->family);
	INT(s, c->type);
	INT(s, c->protocol);
	c->has_state ? INT(s, c->state) : sqlite3_bind_null(s, ++i);
	INT(s, c->flags);
	bind_opts(s, i, c->opts);
	run(s);
}

static void bind_address(sqlite3_stmt *s, int col, char *text, const uint32_t *a, size_t n)
{
	int i = col;

	inet_ntop(n == 1 ? AF_INET : AF_INET6, a, text, INET6_ADDRSTRLEN);
	TEXT(s, text, strlen(text));
}

static void put_inet(int64_t row, const InetSkEntry *k)
{
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];
	sqlite3_stmt *s = in_inet;
	int i = 0;

	INT(s, row);
	bind_address(s, i++, src, k->src_addr, k->n_src_addr);
	INT(s, k->src_port);
	bind_address(s, i++, dst, k->dst_addr, k->n_dst_addr);
	INT(s, k->dst_port);
	INT(s, k->backlog);
	OPT(s, k, v6only);
	run(s);
}

static void put_unix(int64_t row, const UnixSkEntry *k)
{
	char name[120];
	sqlite3_stmt *s = in_unix;
	size_t n = k->name.len < 108 ? k->name.len : 108, at = 0;
	int i = 0;

	if (n && !k->name.data[0]) {
		memcpy(name, "\\x00", 4);
		at = 4;
	}
	if (n)
		memcpy(name + at, k->name.data + (at ? 1 : 0), n - (at ? 1 : 0));
	INT(s, row);
	TEXT(s, name, n + (at ? 3 : 0));
	INT(s, k->peer);
	INT(s, k->uflags);
	INT(s, k->backlog);
	run(s);
}

static void put_netlink(int64_t row, const NetlinkSkEntry *k)
{
	char groups[300], *p = groups;
	sqlite3_stmt *s = in_netlink;
	int i = 0;

	for (size_t g = 0; g < k->n_groups && g < 20; g++)
		p += sprintf(p, "%s%u", g ? "," : "[", k->groups[g]);
	p += sprintf(p, "%s", k->n_groups ? "]" : "[]");
	INT(s, row);
	INT(s, k->portid);
	TEXT(s, groups, (size_t)(p - groups));
	INT(s, k->dst_portid);
	INT(s, k->dst_group);
	run(s);
}

static void put_packet(int64_t row, const PacketSockEntry *k)
{
	sqlite3_stmt *s = in_packet;
	int i = 0;

	INT(s, row);
	INT(s, k->ifindex);
	INT(s, k->version);
	INT(s, k->reserve);
	INT(s, k->aux_data);
	INT(s, k->orig_dev);
	INT(s, k->vnet_hdr);
	INT(s, k->loss);
	INT(s, k->timestamp);
	INT(s, k->copy_thresh);
	run(s);
}

static int64_t next_socket = 1;

static void put_file_entry(int64_t file, uint32_t rec, size_t off, const uint8_t *p, uint32_t len)
{
	FileEntry *f;
	int64_t row = next_socket++;

	used = 0;
	f = file_entry__unpack(&allocator, len, p);
	if (!f)
		die("unpack");
	if (f->isk) {
		const InetSkEntry *k = f->isk;
		const struct common c = {k->id,    k->ino,   k->ns_id, k->family, k->type, k->proto,
					 k->state, k->flags, true,     true,      k->opts};

		put_socket(row, file, rec, off, &c);
		put_inet(row, k);
	} else if (f->usk) {
		const UnixSkEntry *k = f->usk;
		const struct common c = {k->id,    k->ino,   k->ns_id, AF_UNIX, k->type, 0,
					 k->state, k->flags, true,     true,    k->opts};

		put_socket(row, file, rec, off, &c);
		put_unix(row, k);
	} else if (f->nlsk) {
		const NetlinkSkEntry *k = f->nlsk;
		const struct common c = {k->id,    k->ino,      k->ns_id, AF_NETLINK,
					 SOCK_RAW, k->protocol, k->state, k->flags,
					 true,     true,        k->opts};

		put_socket(row, file, rec, off, &c);
		put_netlink(row, k);
	} else if (f->psk) {
		const PacketSockEntry *k = f->psk;
		const struct common c = {k->id, 0,        k->ns_id, AF_PACKET, k->type, k->protocol,
					 0,     k->flags, false,    false,     k->opts};

		put_socket(row, file, rec, off, &c);
		put_packet(row, k);
	}
}

static int64_t next_fd = 1;

static void put_fd(int64_t file, unsigned files_id, uint32_t rec, size_t off, const uint8_t *p,
		   uint32_t len)
{
	sqlite3_stmt *s = in_fd;
	FdinfoEntry *f;
	int i;

	used = 0;
	f = fdinfo_entry__unpack(&allocator, len, p);
	if (!f)
		die("unpack");
	i = bind_head(s, next_fd++, file, rec, off);
	INT(s, files_id);
	INT(s, f->fd);
	INT(s, f->id);
	INT(s, f->type);
	INT(s, f->flags);
	run(s);
}

/* ---- files ---- */

struct file {
	int64_t id;
	const uint8_t *data;
	size_t len;
	char sha256[65];
};

static struct file load(const char *path)
{
	static int64_t id;
	struct file f = {.id = ++id};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	uint8_t md[32];
	unsigned n = sizeof(md);

	if (fd < 0 || fstat(fd, &st))
		die(path);
	f.len = (size_t)st.st_size;
	f.data = mmap(NULL, f.len, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (f.data == MAP_FAILED || EVP_Digest(f.data, f.len, md, &n, EVP_sha256(), NULL) != 1)
		die(path);
	for (unsigned i = 0; i < n; i++)
		sprintf(f.sha256 + 2 * i, "%02x", md[i]);
	return f;
}

/* Its row, with the content, after its records: as nsimg does it. */
static void keep(struct file *f, const char *name, const char *kind, uint32_t n_records)
{
	sqlite3_stmt *s =
		insert("image_file", "id, image, name, kind, size, sha256, n_records, content");
	sqlite3_blob *blob;
	int i = 0;

	INT(s, f->id);
	INT(s, 1);
	TEXT(s, name, strlen(name));
	TEXT(s, kind, strlen(kind));
	INT(s, f->len);
	TEXT(s, f->sha256, 64);
	INT(s, n_records);
	ok(sqlite3_bind_zeroblob64(s, ++i, f->len), "zeroblob");
	run(s);
	sqlite3_finalize(s);
	ok(sqlite3_blob_open(db, "main", "image_file", "content", f->id, 1, &blob), "blob");
	for (size_t off = 0; off < f->len; off += CHUNK)
		ok(sqlite3_blob_write(blob, f->data + off,
				      (int)(f->len - off < CHUNK ? f->len - off : CHUNK), (int)off),
		   "blob");
	ok(sqlite3_blob_close(blob), "blob");
	munmap((void *)f->data, f->len);
}

static void records(const char *path, const char *name, const char *kind, bool is_files,
		    unsigned number)
{
	struct file f = load(path);
	uint32_t n = 0, len;

	for (size_t off = HEADER; off + 4 <= f.len; off += 4 + len, n++) {
		memcpy(&len, f.data + off, 4);
		if (len > f.len - off - 4)
			die("length");
		if (is_files)
			put_file_entry(f.id, n, off, f.data + off + 4, len);
		else
			put_fd(f.id, number, n, off, f.data + off + 4, len);
	}
	keep(&f, name, kind, n);
}

/* ---- all ---- */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void open_db(const char *path)
{
	ok(sqlite3_open_v2(path, &db,
			   SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL),
	   path);
	sql("PRAGMA temp_store = MEMORY");
	sql(embed_schema_sql);
	in_socket = insert("socket", PROVENANCE
			   ", file_id, ino, ns_id, netns, family, type, protocol, state, "
			   "flags, " OPTS);
	in_inet = insert("inet_socket", "socket, src, src_port, dst, dst_port, backlog, v6only");
	in_unix = insert("unix_socket", "socket, name, peer, uflags, backlog");
	in_netlink = insert("netlink_socket", "socket, portid, groups, dst_portid, dst_group");
	in_packet = insert("packet_socket",
			   "socket, ifindex, version, reserve, aux_data, orig_dev, vnet_hdr, loss, "
			   "\"timestamp\", copy_thresh");
	in_fd = insert("fd", PROVENANCE ", files_id, fd, file_id, type, flags");
}

/* The indexes of the large tables are dropped and made again after the load; *make is how. */
static void drop_indexes(char **make)
{
	sqlite3_stmt *s;
	char *drop = sqlite3_mprintf("");

	*make = sqlite3_mprintf("");
	ok(sqlite3_prepare_v2(db,
			      "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS "
			      "NOT NULL",
			      -1, &s, NULL),
	   "indexes");
	while (sqlite3_step(s) == SQLITE_ROW) {
		drop = sqlite3_mprintf("%z DROP INDEX %s;", drop, sqlite3_column_text(s, 0));
		*make = sqlite3_mprintf("%z %s;", *make, sqlite3_column_text(s, 1));
	}
	sqlite3_finalize(s);
	sql(drop);
	sqlite3_free(drop);
}

int main(int argc, char **argv)
{
	char path[4096], *make;
	glob_t g;
	double start, loaded, indexed;

	if (argc != 3)
		return 2;
	start = now();
	open_db(argv[1]);
	sql("BEGIN IMMEDIATE");
	drop_indexes(&make);
	snprintf(path, sizeof(path), "%s/fdinfo-*.img", argv[2]);
	if (glob(path, 0, NULL, &g) && errno)
		die(path);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		const char *name = strrchr(g.gl_pathv[i], '/') + 1;
		unsigned number;

		if (sscanf(name, "fdinfo-%u.img", &number) == 1)
			records(g.gl_pathv[i], name, "FDINFO", false, number);
	}
	globfree(&g);
	snprintf(path, sizeof(path), "%s/files.img", argv[2]);
	records(path, "files.img", "FILES", true, 0);
	loaded = now();
	sql(make);
	sqlite3_free(make);
	indexed = now();
	sqlite3_finalize(in_socket);
	sqlite3_finalize(in_inet);
	sqlite3_finalize(in_unix);
	sqlite3_finalize(in_netlink);
	sqlite3_finalize(in_packet);
	sqlite3_finalize(in_fd);
	sql("COMMIT");
	sqlite3_close(db);
	printf("load %.3f\nindexes %.3f\ncommit %.3f\n", loaded - start, indexed - loaded,
	       now() - indexed);
	return 0;
}
