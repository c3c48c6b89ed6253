#include "restorer/check_criu.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/criu.h"
#include "base/escape.h"
#include "base/io.h"
#include "base/ns.h"
#include "base/run.h"
#include "imgdb/export.h"
#include "imgdb/bound.h"
#include "imgdb/no_route.h"
#include "restorer/criu_supply.h"
#include "restorer/sk_make.h"
#include "restorer/steps.h"
#include "restorer/steps_net.h"

/* The first with namespaces of the network that are inherited (runc asks for the same). */
#define OLDEST      31100
#define OLDEST_TEXT "3.11"

/* ---- its options ---- */

static const struct {
	const char *word, *why;
} conflicts[] = {
	{"-D", "nsimg writes the images that it reads (--source says where the memory is)"},
	{"--images-dir",
	 "nsimg writes the images that it reads (--source says where the memory is)"},
	{"-W", "its log is in a folder of nsimg's"},
	{"--work-dir", "its log is in a folder of nsimg's"},
	{"-o", "nsimg reads its log"},
	{"--log-file", "nsimg reads its log"},
	{"--stream", "nsimg writes the images to a folder"},
	{"--exec-cmd", "nsimg waits until it has ended, so it restores detached"},
	{"--empty-ns", "nsimg builds the network"},
	{"-h", "it would restore nothing"},
	{"--help", "it would restore nothing"},
	{"-V", "it would restore nothing"},
	{"--version", "it would restore nothing"},
};

int check_criu_words(const char *const *words, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < ARRAY_SIZE(conflicts); k++) {
			size_t len = strlen(conflicts[k].word);
			bool is_long = conflicts[k].word[1] == '-';

			/* "-Ddir", "--images-dir=dir" */
			if (!strncmp(words[i], conflicts[k].word, len) &&
			    (!words[i][len] || !is_long || words[i][len] == '='))
				return err_set(e, ERR_USAGE, "-- %s: not with nsimg restore: %s",
					       words[i], conflicts[k].why);
		}
	return 0;
}

static bool has_word(const struct restore *r, const char *shorter, const char *longer)
{
	for (size_t i = 0; i < r->opts->n_criu_words; i++)
		if (!strcmp(r->opts->criu_words[i], shorter) ||
		    !strcmp(r->opts->criu_words[i], longer))
			return true;
	return false;
}

/* ---- what the rows tell ---- */

/* The reasons that sql finds, one text a row; :netns is bound when it is not 0. */
static int ask(const struct restore *r, const char *sql, int64_t netns, struct buf *reasons,
	       struct err *e)
{
	auto_query struct query *q = query_new(r->db, sql, e);
	int got;

	if (!q || query_bind_int(q, "image", r->image, e) ||
	    (netns && query_bind_int(q, "netns", netns, e)))
		return -1;
	while ((got = query_next(q, e)) == 1)
		if (query_text(q, 0) && buf_printf(reasons, e, "%s\n", query_text(q, 0)))
			return -1;
	return got;
}

/* Of every task that is not dead (TASK_DEAD of CRIU, 2). */
static const char records_sql[] =
	"SELECT printf('task %d (%s): the image has no %s of it (%s-%d.img), CRIU cannot make it', "
	"t.pid, coalesce(t.comm, '?'), k.column2, k.column3, t.pid) FROM task t, "
	"(VALUES ('CORE', 'registers', 'core'), ('MM', 'memory map', 'mm'), "
	"('PAGEMAP', 'memory', 'pagemap'), ('FS', 'root and current folder', 'fs')) k "
	"WHERE t.image = :image AND coalesce(t.state, 1) <> 2 AND NOT EXISTS (SELECT 1 FROM "
	"image_file f WHERE f.image = t.image AND f.kind = k.column1 AND f.number = t.pid) UNION "
	"ALL SELECT printf('the image has no %s: CRIU cannot read it', k.column2) FROM (VALUES "
	"('INVENTORY', 'inventory.img'), ('PSTREE', 'pstree.img')) k WHERE NOT EXISTS (SELECT 1 "
	"FROM image_file f WHERE f.image = :image AND f.kind = k.column1)";

static const char damage_sql[] =
	"SELECT printf('%s is damaged at byte %d: %s. CRIU reads no file beyond its damage', name, "
	"damage_off, damage) FROM image_file WHERE image = :image AND damage IS NOT NULL";

/* Of a container engine, which alone has the root and the mounts of the processes. */
static const char archive_sql[] =
	"SELECT printf('%s is in a folder of the image: it is the checkpoint of a container, whose "
	"root and mounts only its engine has; export it to an archive (nsimg export) and give that "
	"to podman container restore --import', name) FROM image_file WHERE image = :image AND "
	"kind "
	"= 'INVENTORY' AND name <> 'inventory.img'";

/* criu/namespaces.c, restore_ns(): the first task is in its user namespace already when it enters the network namespace
 * that it is given. */
static const char userns_sql[] =
	"SELECT printf('task %d (%s) is in a user namespace of its own, from which CRIU may not "
	"enter the network "
	"namespace that nsimg makes: restore the network alone (nsimg restore without --criu)', "
	"t.pid, "
	"coalesce(t.comm, '?')) FROM task t JOIN image i ON i.id = t.image AND t.pid = i.root_pid "
	"JOIN userns u ON "
	"u.image = t.image AND u.ns_id = t.userns AND u.external = 0 WHERE t.image = :image";

/* A session whose leader is no task of the image: that of a terminal. */
static const char session_sql[] = "SELECT printf('task %d (%s): its session %d belongs to a "
				  "process that is not in the image: give "
				  "-- --shell-job', pid, coalesce(comm, '?'), sid) FROM task t "
				  "WHERE image = :image AND sid > 0 "
				  "AND NOT EXISTS (SELECT 1 FROM task l WHERE l.image = t.image "
				  "AND l.pid = t.sid) ORDER BY pid "
				  "LIMIT 1";

#define HAS_FD " EXISTS (SELECT 1 FROM fd WHERE fd.image = s.image AND fd.file_id = s.file_id) "
#define LABEL                                                                                      \
	"CASE i.socket WHEN s.id THEN printf('%s %s:%d', CASE s.protocol WHEN 6 THEN 'tcp' WHEN "  \
	"17 "                                                                                      \
	"THEN 'udp' ELSE 'inet ' || s.protocol END, i.src, i.src_port) ELSE printf('socket %d', "  \
	"s.ino) END"

static const char family_sql[] = "SELECT printf('socket %d of family %d protocol %d: CRIU has no "
				 "such sockets; drop it (nsimg drop)', "
				 "ino, family, protocol) FROM socket s WHERE image = :image AND "
				 "family NOT IN (1, 2, 10, 16, 17) "
				 "AND" HAS_FD "ORDER BY id";

/* Neither closed (7) nor a listener (10). */
static const char stream_sql[] =
	"SELECT printf('tcp %s:%d - %s:%d: the image has no tcp-stream file of the connection, "
	"CRIU cannot continue it; drop it (nsimg drop), or have it closed (-- --tcp-close)', "
	"i.src, "
	"i.src_port, i.dst, i.dst_port) FROM socket s JOIN inet_socket i ON i.socket = s.id WHERE "
	"s.image = :image AND s.protocol = 6 AND s.type = 1 AND s.state NOT IN (7, 10) AND NOT "
	"EXISTS (SELECT 1 FROM tcp_stream t WHERE t.image = s.image AND t.ino = s.ino) AND" HAS_FD
	"ORDER BY s.id";

/* USK_EXTERN, 1: the other end was not dumped, only its name. */
static const char external_sql[] =
	"SELECT printf('unix socket %s of a process outside the image is connected to: give -- "
	"--ext-unix-sk', u.name) FROM socket s JOIN unix_socket u ON u.socket = s.id WHERE "
	"s.image = :image AND (u.uflags & 1) ORDER BY s.id";

/* In one namespace that nsimg makes. IPv6 ones CRIU binds as if any address were allowed, datagram ones nsimg binds
 * (criu_supply.h). A local route of a whole network makes every address of it local. */
static const char address_sql[] =
	"SELECT printf('%s: its namespace has no address %s: CRIU cannot bind it; add the address, "
	"or change the socket (nsimg set)', " LABEL ", i.src) FROM socket s JOIN inet_socket i ON "
	"i.socket = s.id WHERE s.image = :image AND s.netns = :netns AND s.family = 2 AND s.type "
	"= 1 AND i.src_port > 0 AND NOT (coalesce(i.freebind, 0) OR coalesce(s.options ->> "
	"'IP_FREEBIND', 0) OR "
	"coalesce(s.options ->> 'IP_TRANSPARENT', 0) OR is_unspecified(i.src) OR "
	"is_multicast(i.src) OR is_loopback(i.src) OR i.src = '255.255.255.255') AND NOT EXISTS "
	"(SELECT 1 FROM address a "
	"WHERE a.netns = s.netns AND " DB_ADDRESS_GIVES(
		"a", "i.src") ") AND NOT EXISTS (SELECT 1 "
			      "FROM route r WHERE r.netns = s.netns AND r.type IN (2, 3) AND "
			      "in_subnet(i.src, r.dst)) "
			      "AND NOT EXISTS (SELECT 1 FROM sysctl c WHERE c.netns = s.netns AND "
			      "c.name LIKE "
			      "'%ip_nonlocal_bind' AND c.value = '1') AND" HAS_FD "ORDER BY s.id";

static const char device_sql[] =
	"SELECT printf('%s: its namespace has no device %s, which it is bound to', " LABEL
	", s.so_bound_dev) FROM socket s LEFT JOIN inet_socket i ON i.socket = s.id WHERE "
	"s.image = :image AND s.netns = :netns AND s.so_bound_dev <> '' AND NOT EXISTS (SELECT 1 "
	"FROM device d "
	"WHERE d.netns = s.netns AND d.name = s.so_bound_dev) AND" HAS_FD
	"UNION ALL SELECT printf('packet socket %d: ' || iif(p.ifindex = 4294967295, 'the device "
	"it was bound to is gone: CRIU cannot bind it; drop it (nsimg drop)', 'its namespace has "
	"no "
	"device with index %d, which it is bound to'), s.ino, p.ifindex) FROM socket s JOIN "
	"packet_socket p ON p.socket = s.id WHERE "
	"s.image = :image AND s.netns = :netns AND p.ifindex > 0 AND NOT EXISTS (SELECT 1 FROM "
	"device d WHERE "
	"d.netns = s.netns AND d.ifindex = p.ifindex) AND" HAS_FD;

/* Where no route leads CRIU cannot connect a TCP socket again. */
static int ask_routes(const struct restore *r, struct buf *reasons, struct err *e)
{
	auto_buf struct buf sql = {0};

	return buf_add_str(&sql,
			   "SELECT printf('%s: %s: CRIU cannot connect it; add a route, bring its "
			   "device "
			   "up (nsimg set), or drop it (nsimg drop)', " LABEL ", q.what) FROM (",
			   e) ||
			       buf_add_str(&sql, db_no_route, e) ||
			       buf_add_str(&sql,
					   ") q JOIN socket s ON s.id = q.id JOIN inet_socket i ON "
					   "i.socket = s.id WHERE s.type = 1 ORDER BY s.id",
					   e) ||
			       ask(r, (const char *)sql.data, 0, reasons, e)
		       ? -1
		       : 0;
}

static int ask_made(const struct restore *r, struct buf *reasons, struct err *e)
{
	static const char *const questions[] = {address_sql, device_sql};

	for (size_t i = 0; i < r->n_netns; i++)
		for (size_t k = 0; !r->netns[i].external && k < ARRAY_SIZE(questions); k++)
			if (ask(r, questions[k], r->netns[i].row, reasons, e))
				return -1;
	return ask_routes(r, reasons, e);
}

/* ---- what the machine tells ---- */

static int ask_program(const struct restore *r, struct buf *reasons, struct err *e)
{
	auto_buf struct buf path = {0};
	struct err why = ERR_INIT;
	int version;

	if (criu_find(r->opts->criu_program, &path, &why) ||
	    criu_version((const char *)path.data, &version, &why))
		return buf_printf(reasons, e, "%s\n", why.msg);
	return version < OLDEST
		       ? buf_printf(reasons, e,
				    "%s is CRIU %d.%d: namespaces are given to it from " OLDEST_TEXT
				    " on; name another with --criu-program\n",
				    (const char *)path.data, version / 10000, version / 100 % 100)
		       : 0;
}

/* The user's words, and behind them one that CRIU does not know (two, as a word without its value takes the first), so that
 * it looks at all and does nothing. What is behind "--" is no option. */
#define NO_OPTION "--nsimg-asks"

static int ask_words(const struct restore *r, struct buf *reasons, struct err *e)
{
	const size_t n = r->opts->n_criu_words;
	auto_free const char **argv = calloc(n + 5, sizeof(*argv));
	auto_buf struct buf path = {0}, said = {0};
	struct err why = ERR_INIT;

	if (!argv)
		return err_set(e, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(r->opts->criu_words[i], "--"))
			return 0;
		argv[i + 2] = r->opts->criu_words[i];
	}
	if (!n || criu_find(r->opts->criu_program, &path, &why))
		return 0;
	argv[0] = (const char *)path.data;
	argv[1] = "restore";
	argv[n + 2] = argv[n + 3] = NO_OPTION;
	if (!run_filter(argv, (struct span){0}, &said, &why) || strstr(why.msg, NO_OPTION) ||
	    !strstr(why.msg, "option "))
		return 0;
	return buf_printf(reasons, e, "after --: %s\n", why.msg);
}

/* The files that are kept by reference, in a folder. (What is in an archive is found when it is read.) */
static int ask_source(const struct restore *r, struct buf *reasons, struct err *e)
{
	const struct export_opts opts = {.source = r->opts->source};
	auto_query struct query *q = query_new(
		r->db,
		"SELECT name, size FROM image_file WHERE image = :image AND content IS NULL "
		"AND size > 0 ORDER BY id",
		e);
	auto_buf struct buf source = {0};
	struct stat st;
	int got;

	if (!q || query_bind_int(q, "image", r->image, e))
		return -1;
	got = query_next(q, e);
	if (got != 1)
		return got;
	if (export_source(r->db, r->image, &opts, &source, e))
		return -1;
	if (stat((const char *)source.data, &st))
		return buf_printf(
			reasons, e,
			"%s, with the memory of the processes, is not there (%s): say with "
			"--source where it is\n",
			(const char *)source.data, strerror(errno));
	for (; got == 1 && S_ISDIR(st.st_mode); got = query_next(q, e)) {
		auto_buf struct buf name = {0};
		char path[8192];
		struct stat file;

		if (escape_undo(&name, query_text(q, 0), strlen(query_text(q, 0)), e))
			return -1;
		snprintf(path, sizeof(path), "%s/%.*s", (const char *)source.data, (int)name.len,
			 name.len ? (const char *)name.data : "");
		if ((stat(path, &file) || file.st_size != query_int(q, 1)) &&
		    buf_printf(
			    reasons, e,
			    "%s is not there, or not as it was imported: say with --source where "
			    "it is\n",
			    path))
			return -1;
	}
	return got < 0 ? -1 : 0;
}

int check_criu_images(const struct restore *r, const struct step *s, struct buf *reasons,
		      struct err *e)
{
	return ask_program(r, reasons, e) || ask_words(r, reasons, e) ||
			       ask(r, archive_sql, 0, reasons, e) ||
			       ask(r, userns_sql, 0, reasons, e) || ask_source(r, reasons, e) ||
			       ask(r, damage_sql, 0, reasons, e) ||
			       ask(r, records_sql, 0, reasons, e)
		       ? -1
		       : 0;
}

/* CRIU gives each task the pid it had. A tree with a pid namespace of its own (its first task is 1) takes none of
 * ours. */
static int ask_pids(const struct restore *r, struct buf *reasons, struct err *e)
{
	auto_query struct query *q =
		query_new(r->db,
			  "SELECT pid FROM task WHERE image = :image AND NOT EXISTS "
			  "(SELECT 1 FROM task WHERE image = :image AND pid = 1) ORDER BY id",
			  e);
	int got;

	if (!q || query_bind_int(q, "image", r->image, e))
		return -1;
	while ((got = query_next(q, e)) == 1) {
		auto_buf struct buf comm = {0};
		struct err gone = ERR_INIT;
		char path[64];

		snprintf(path, sizeof(path), "/proc/%d/comm", (int)query_int(q, 0));
		if (io_read_file(AT_FDCWD, path, 64, &comm, &gone) || !comm.len)
			continue;
		if (buf_printf(reasons, e,
			       "pid %d is taken by %.*s: CRIU gives its tasks the pids they had "
			       "(end that process, or restore within 'unshare --pid --fork "
			       "--mount-proc')\n",
			       (int)query_int(q, 0), (int)comm.len - 1, (const char *)comm.data))
			return -1;
	}
	return got;
}

/* ---- in a namespace that is given ---- */

struct given {
	const struct restore *r;
	const struct sk_specs *specs;
	const struct restore_netns *netns;
	struct buf *reasons;
};

/* As CRIU binds: it allows itself what can be allowed. 0 or errno. */
static int try_bind(const struct sk_file *f)
{
	auto_close int fd = socket(f->family, f->type | SOCK_CLOEXEC, f->protocol);
	struct sockaddr_storage addr = f->local;
	int yes = 1;

	if (fd < 0)
		return errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	return bind(fd, (struct sockaddr *)&addr, f->local_len) ? errno : 0;
}

static bool is_tried(const struct given *g, const struct sk_file *f)
{
	if (f->netns != g->netns->row || f->creator == SK_NONE || !f->local_len)
		return false;
	return f->kind == SK_INET ? f->type != SOCK_RAW && !f->scope_device
				  : f->kind == SK_UNIX && !f->un.is_path && !f->un.accepted;
}

static int try_names(void *arg, struct err *e)
{
	const struct given *g = arg;

	for (size_t i = 0; i < g->specs->n_files; i++) {
		const struct sk_file *f = &g->specs->files[i];
		int failed = is_tried(g, f) ? try_bind(f) : 0;

		if (failed != EADDRINUSE && (failed != EADDRNOTAVAIL || sk_is_nameless(f)))
			continue;
		if (buf_printf(
			    g->reasons, e,
			    failed == EADDRINUSE
				    ? "%s: its name is taken in the namespace %s; end who has it, "
				      "or "
				      "give another namespace\n"
				    : "%s: the namespace %s has no such address: CRIU cannot bind "
				      "it\n",
			    f->label, g->netns->target))
			return -1;
	}
	return 0;
}

static int ask_given(const struct restore *r, const struct sk_specs *specs, struct buf *reasons,
		     struct err *e)
{
	for (size_t i = 0; i < r->n_netns; i++) {
		struct given g = {r, specs, &r->netns[i], reasons};
		/* opened by the check of its own step, which has said why not */
		const struct ns *ns = r->netns[i].ns;

		if (ns && ns_call(ns, try_names, &g, e))
			return -1;
	}
	return 0;
}

int check_criu(const struct restore *r, const struct step *s, struct buf *reasons, struct err *e)
{
	const struct criu_supply *supply = s->data;

	if (ask_pids(r, reasons, e) || ask(r, family_sql, 0, reasons, e) ||
	    ask_made(r, reasons, e) || ask_given(r, supply->specs, reasons, e))
		return -1;
	if (!has_word(r, "-j", "--shell-job") && ask(r, session_sql, 0, reasons, e))
		return -1;
	if (!has_word(r, "-x", "--ext-unix-sk") && ask(r, external_sql, 0, reasons, e))
		return -1;
	return has_word(r, "--tcp-close", "--tcp-close") ? 0 : ask(r, stream_sql, 0, reasons, e);
}
