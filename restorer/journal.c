#include "restorer/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/escape.h"
#include "base/io.h"

#define SUFFIX      ".journal"
#define JOURNAL_MAX (256u << 20) /* bytes */
#define FIELD_MAX   16           /* fields of a line */
#define PENDING_MAX (64u << 10)  /* bytes that wait to be written */

struct journal {
	int fd;
	char *path;
	char *name, *boot_id, *db_path, *at;
	struct journal_head head;
	bool committed, other_boot;
	bool dir_made;      /* the folder is ours too */
	struct buf pending; /* lines that go out with the next line that undo needs */
	bool urgent;        /* ... or with the next one of any kind */
	struct journal_entry *entries;
	size_t n_entries;
	struct journal_holder *holders;
	size_t n_holders;
	struct journal_netns *netns;
	size_t n_netns;
};

static void entry_release(struct journal_entry *je)
{
	for (size_t i = 0; i < je->n_facts; i++) {
		free(je->keys[i]);
		free(je->values[i]);
	}
	free(je->keys);
	free(je->values);
	free(je->kind);
	free(je->object);
}

void journal_free(struct journal *j)
{
	if (!j)
		return;
	for (size_t i = 0; i < j->n_entries; i++)
		entry_release(&j->entries[i]);
	for (size_t i = 0; i < j->n_holders; i++)
		free(j->holders[i].comm);
	buf_free(&j->pending);
	for (size_t i = 0; i < j->n_netns; i++) {
		free(j->netns[i].name);
		free(j->netns[i].path);
	}
	free(j->entries);
	free(j->holders);
	free(j->netns);
	free(j->name);
	free(j->boot_id);
	free(j->db_path);
	free(j->at);
	free(j->path);
	if (j->fd >= 0)
		close(j->fd);
	free(j);
}

/* State and start time (fields 3 and 22) of /proc/PID/stat; false: no such process. */
static bool read_stat(pid_t pid, char *state, uint64_t *start)
{
	char path[64];
	auto_buf struct buf b = {0};
	struct err e = ERR_INIT;
	const char *s;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (io_read_file(AT_FDCWD, path, 4096, &b, &e) || !b.len)
		return false;
	/* The name in field 2 may hold anything, so count from the last parenthesis (proc_pid_stat(5)). */
	s = strrchr((const char *)b.data, ')');
	return s && sscanf(s + 1,
			   " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d "
			   "%*d %*d %" SCNu64,
			   state, start) == 2;
}

uint64_t process_start(pid_t pid)
{
	uint64_t start;
	char state;

	return read_stat(pid, &state, &start) ? start : 0;
}

bool process_is_alive(pid_t pid, uint64_t start)
{
	uint64_t now;
	char state;

	/* A zombie holds nothing any more, but stays where process 1 does not wait for its children, as in many
	 * containers. */
	return start && read_stat(pid, &state, &now) && now == start && state != 'Z' &&
	       state != 'X';
}

static int read_boot_id(char **id, struct err *e)
{
	auto_buf struct buf b = {0};

	if (io_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 128, &b, e))
		return -1;
	while (b.len && b.data[b.len - 1] == '\n')
		b.data[--b.len] = 0;
	*id = strdup(b.len ? (const char *)b.data : "");
	return *id ? 0 : err_set(e, ERR_NOMEM, "boot id");
}

/* One line from n fields, in one write(2): O_APPEND, so that whoever continues the journal adds to it. */
static int put_line(struct buf *b, const char *const *fields, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if ((i && buf_add(b, "\t", 1, e)) || escape_add(b, fields[i], strlen(fields[i]), e))
			return -1;
	return buf_add(b, "\n", 1, e);
}

static int write_pending(struct journal *j, struct err *e)
{
	int ret = io_write_full(j->fd, j->pending.data, j->pending.len, j->path, e);

	buf_reset(&j->pending);
	j->urgent = false;
	return ret;
}

static int add_line(struct journal *j, const char *const *fields, size_t n, struct err *e)
{
	return put_line(&j->pending, fields, n, e) || write_pending(j, e) ? -1 : 0;
}

static struct journal *handle_new(const char *dir, const char *name, struct err *e)
{
	struct journal *j = calloc(1, sizeof(*j));

	if (!j || asprintf(&j->path, "%s/%s" SUFFIX, dir, name) < 0) {
		free(j);
		err_set(e, ERR_NOMEM, "journal %s", name);
		return NULL;
	}
	j->fd = -1;
	j->name = strdup(name);
	if (!j->name) {
		err_set(e, ERR_NOMEM, "journal %s", name);
		journal_free(j);
		return NULL;
	}
	return j;
}

/* A name becomes part of a path. */
static int check_name(const char *name, struct err *e)
{
	if (!*name || name[0] == '.' || strchr(name, '/') || strlen(name) > 200)
		return err_set(
			e, ERR_USAGE,
			"\"%s\" cannot be the name of an instance: give one without '/' that "
			"does not start with '.' (--name)",
			name);
	return 0;
}

static int write_head(struct journal *j, const char *db_path, int64_t image, struct err *e)
{
	char pid[32], start[40], at[40], boot[80], img[40], made[16];
	auto_free char *db = NULL;
	time_t now = time(NULL);
	struct tm tm;

	if (read_boot_id(&j->boot_id, e))
		return -1;
	gmtime_r(&now, &tm);
	strftime(at, sizeof(at), "at=%Y-%m-%dT%H:%M:%SZ", &tm);
	snprintf(pid, sizeof(pid), "pid=%d", (int)getpid());
	snprintf(start, sizeof(start), "start=%" PRIu64, process_start(getpid()));
	snprintf(boot, sizeof(boot), "boot=%s", j->boot_id);
	snprintf(img, sizeof(img), "image=%" PRId64, image);
	snprintf(made, sizeof(made), "made=%d", j->dir_made);
	/* Whoever reads it stands in another folder. */
	j->db_path = realpath(db_path, NULL);
	if (!j->db_path)
		j->db_path = strdup(db_path);
	if (!j->db_path || asprintf(&db, "db=%s", j->db_path) < 0)
		return err_set(e, ERR_NOMEM, "journal");
	j->at = strdup(at + 3);
	if (!j->db_path || !j->at)
		return err_set(e, ERR_NOMEM, "journal");
	j->head = (struct journal_head){
		j->name, j->boot_id, j->db_path, j->at, getpid(), process_start(getpid()), image};
	return add_line(
		j,
		(const char *[]){
			"nsimg-journal", "1", j->name, boot, pid, start, at, db, img, made,
			/* one string, meant so: NOLINTNEXTLINE(bugprone-suspicious-missing-comma) */
			"tool=" NSIMG_VERSION},
		11, e);
}

struct journal *journal_new(const char *dir, const char *name, const char *db_path, int64_t image,
			    struct err *e)
{
	auto_journal struct journal *j = NULL;

	bool dir_made = access(dir, F_OK) != 0;

	if (check_name(name, e) || io_mkdirs(dir, 0755, e))
		return NULL;
	j = handle_new(dir, name, e);
	if (!j)
		return NULL;
	j->dir_made = dir_made;
	/* 0600: paths and names of somebody's containers are in it. */
	j->fd = open(j->path, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
	if (j->fd < 0) {
		if (errno == EEXIST)
			err_set(e, ERR_EXISTS,
				"an instance named %s exists (%s): take it back with 'nsimg "
				"rollback %s' "
				"or give another --name",
				name, j->path, name);
		else
			err_sys(e, ERR_IO, "create journal %s", j->path);
		return NULL;
	}
	if (write_head(j, db_path, image, e)) {
		unlink(j->path);
		return NULL;
	}
	return take_ptr(j);
}

int journal_work(const struct journal *j, struct err *e)
{
	auto_close int fd = open(j->path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB))
		return err_sys(e, ERR_IO, "lock the journal %s", j->path);
	return take_fd(&fd);
}

bool journal_is_in_work(const struct journal *j)
{
	return flock(j->fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK;
}

/* Steps are begun in the order of their numbers; a journal that says otherwise was written by somebody else. */
static struct journal_entry *entry_find(struct journal *j, uint32_t step)
{
	size_t lo = 0, hi = j->n_entries;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (j->entries[mid].step == step)
			return &j->entries[mid];
		if (j->entries[mid].step < step)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

/* Room for one more in an array of n; the memory grows at powers of two. */
static int grow(void **array, size_t n, size_t size, struct err *e)
{
	void *grown;

	if (n & (n - 1))
		return 0;
	grown = realloc(*array, (n ? n * 2 : 1) * size);
	if (!grown)
		return err_set(e, ERR_NOMEM, "journal");
	*array = grown;
	return 0;
}

static int entry_add(struct journal *j, uint32_t step, const char *kind, const char *object,
		     struct err *e)
{
	struct journal_entry je = {.step = step, .kind = strdup(kind), .object = strdup(object)};

	if (j->n_entries && j->entries[j->n_entries - 1].step >= step) {
		free(je.kind);
		free(je.object);
		return err_set(e, ERR_FORMAT, "%s: step %u begins after step %u", j->path, step,
			       j->entries[j->n_entries - 1].step);
	}
	if (!je.kind || !je.object || grow((void **)&j->entries, j->n_entries, sizeof(je), e)) {
		free(je.kind);
		free(je.object);
		return err_set(e, ERR_NOMEM, "journal");
	}
	j->entries[j->n_entries++] = je;
	return 0;
}

static int entry_fact(struct journal_entry *je, const char *key, const char *value, struct err *e)
{
	if (grow((void **)&je->keys, je->n_facts, sizeof(char *), e) ||
	    grow((void **)&je->values, je->n_facts, sizeof(char *), e))
		return -1;
	je->keys[je->n_facts] = strdup(key);
	je->values[je->n_facts] = strdup(value);
	if (!je->keys[je->n_facts] || !je->values[je->n_facts]) {
		free(je->keys[je->n_facts]);
		free(je->values[je->n_facts]);
		return err_set(e, ERR_NOMEM, "journal");
	}
	je->n_facts++;
	return 0;
}

static int holder_add(struct journal *j, const struct journal_holder *h, struct err *e)
{
	struct journal_holder copy = *h;

	if (grow((void **)&j->holders, j->n_holders, sizeof(copy), e))
		return -1;
	copy.comm = strdup(h->comm);
	if (!copy.comm)
		return err_set(e, ERR_NOMEM, "journal");
	j->holders[j->n_holders++] = copy;
	return 0;
}

/* A later record of the same row replaces the earlier: it has the path. */
static int netns_add(struct journal *j, const struct journal_netns *n, struct err *e)
{
	struct journal_netns copy = *n;

	copy.name = strdup(n->name);
	copy.path = strdup(n->path);
	if (!copy.name || !copy.path) {
		free(copy.name);
		free(copy.path);
		return err_set(e, ERR_NOMEM, "journal");
	}
	for (size_t i = 0; i < j->n_netns; i++)
		if (j->netns[i].row == n->row) {
			free(j->netns[i].name);
			free(j->netns[i].path);
			j->netns[i] = copy;
			return 0;
		}
	if (grow((void **)&j->netns, j->n_netns, sizeof(copy), e)) {
		free(copy.name);
		free(copy.path);
		return -1;
	}
	j->netns[j->n_netns++] = copy;
	return 0;
}

int journal_begin(struct journal *j, uint32_t step, const char *kind, const char *object,
		  struct err *e)
{
	char number[16];
	const char *const line[] = {"begin", number, kind, object};

	snprintf(number, sizeof(number), "%u", step);
	if (entry_add(j, step, kind, object, e))
		return -1;
	return j->urgent || j->pending.len > PENDING_MAX
		       ? add_line(j, line, ARRAY_SIZE(line), e)
		       : put_line(&j->pending, line, ARRAY_SIZE(line), e);
}

/* The line waits. */
static int __attribute__((format(printf, 5, 0)))
put_fact(struct journal *j, uint32_t step, const char *key, struct err *e, const char *value,
	 va_list ap)
{
	struct journal_entry *je = entry_find(j, step);
	auto_free char *text = NULL;
	char number[16];

	if (vasprintf(&text, value, ap) < 0) {
		text = NULL;
		return err_set(e, ERR_NOMEM, "journal");
	}
	snprintf(number, sizeof(number), "%u", step);
	if (!je || entry_fact(je, key, text, e))
		return je ? -1 : err_set(e, ERR_NOTFOUND, "journal: step %u was not begun", step);
	return put_line(&j->pending, (const char *[]){"fact", number, key, text}, 4, e);
}

int journal_note(struct journal *j, uint32_t step, const char *key, struct err *e,
		 const char *value, ...)
{
	va_list ap;
	int rc;

	va_start(ap, value);
	rc = put_fact(j, step, key, e, value, ap);
	va_end(ap);
	return rc;
}

int journal_fact(struct journal *j, uint32_t step, const char *key, struct err *e,
		 const char *value, ...)
{
	va_list ap;
	int rc;

	va_start(ap, value);
	rc = put_fact(j, step, key, e, value, ap);
	va_end(ap);
	return rc || write_pending(j, e) ? -1 : 0;
}

/* A kill between the change and this line is possible anyway, so undo takes what was begun for done; the line is
 * for people, and need not cost a write of its own. */
int journal_done(struct journal *j, uint32_t step, struct err *e)
{
	struct journal_entry *je = entry_find(j, step);
	char number[16];

	if (je) {
		je->done = true;
		j->urgent = j->urgent || je->n_facts;
	}
	snprintf(number, sizeof(number), "%u", step);
	return put_line(&j->pending, (const char *[]){"done", number}, 2, e);
}

int journal_undone(struct journal *j, uint32_t step, struct err *e)
{
	struct journal_entry *je = entry_find(j, step);

	char number[16];

	if (je)
		je->undone = true;
	snprintf(number, sizeof(number), "%u", step);
	return add_line(j, (const char *[]){"undone", number}, 2, e);
}

int journal_holder_add(struct journal *j, pid_t pid, int64_t task, int64_t task_pid,
		       const char *comm, struct err *e)
{
	struct journal_holder h = {pid, process_start(pid), task, task_pid, (char *)comm};
	char p[16], s[24], t[24], tp[24];

	snprintf(p, sizeof(p), "%d", (int)pid);
	snprintf(s, sizeof(s), "%" PRIu64, h.start);
	snprintf(t, sizeof(t), "%" PRId64, task);
	snprintf(tp, sizeof(tp), "%" PRId64, task_pid);
	if (holder_add(j, &h, e))
		return -1;
	j->urgent = true;
	return put_line(&j->pending, (const char *[]){"holder", p, s, t, tp, comm}, 6, e);
}

bool journal_is_netns(const struct journal_netns *n, const struct ns *ns)
{
	return n->ino == ns_ino(ns) && (!n->cookie || n->cookie == ns_cookie(ns));
}

int journal_netns_add(struct journal *j, int64_t row, const char *name, const struct ns *ns,
		      const char *path, struct err *e)
{
	struct journal_netns n = {row, (char *)name, (char *)path, ns_ino(ns), ns_cookie(ns)};
	char r[24], i[24], c[24];

	snprintf(r, sizeof(r), "%" PRId64, row);
	snprintf(i, sizeof(i), "%" PRIu64, n.ino);
	snprintf(c, sizeof(c), "%" PRIu64, n.cookie);
	if (netns_add(j, &n, e))
		return -1;
	j->urgent = true;
	return put_line(&j->pending, (const char *[]){"netns", r, name, i, c, path}, 6, e);
}

int journal_commit(struct journal *j, struct err *e)
{
	j->committed = true;
	return add_line(j, (const char *[]){"commit"}, 1, e);
}

int journal_remove(struct journal *j, struct err *e)
{
	if (unlink(j->path) && errno != ENOENT)
		return err_sys(e, ERR_IO, "remove journal %s", j->path);
	if (j->dir_made) {
		char *slash = strrchr(j->path, '/');

		/* It stays while other instances are in it. */
		*slash = 0;
		rmdir(j->path);
		*slash = '/';
	}
	return 0;
}

/* The line split at tabs, each field unescaped in place of buf; number of fields, -1 when damaged. */
static int split(char *line, struct buf *store, const char **fields, struct err *e)
{
	size_t offs[FIELD_MAX];
	int n = 0;

	buf_reset(store);
	for (char *at = line; at && n < FIELD_MAX; n++) {
		char *field = strsep(&at, "\t");

		offs[n] = store->len;
		if (escape_undo(store, field, strlen(field), e) || buf_add(store, "", 1, e))
			return -1;
	}
	for (int i = 0; i < n; i++)
		fields[i] = (const char *)store->data + offs[i];
	return n;
}

/* KEY=VALUE fields of the first line. */
static int parse_head(struct journal *j, const char **f, int n, struct err *e)
{
	if (n < 4 || strcmp(f[0], "nsimg-journal"))
		return err_set(e, ERR_FORMAT, "%s is not a journal of nsimg", j->path);
	if (strcmp(f[1], "1"))
		return err_set(e, ERR_UNSUPPORTED,
			       "%s: journal of version %s, this program knows 1", j->path, f[1]);
	for (int i = 3; i < n; i++) {
		const char *v = strchr(f[i], '=');

		if (!v)
			continue;
		v++;
		if (!strncmp(f[i], "boot=", 5) && !j->boot_id)
			j->boot_id = strdup(v);
		else if (!strncmp(f[i], "db=", 3) && !j->db_path)
			j->db_path = strdup(v);
		else if (!strncmp(f[i], "at=", 3) && !j->at)
			j->at = strdup(v);
		else if (!strncmp(f[i], "pid=", 4))
			j->head.pid = strtol(v, NULL, 10);
		else if (!strncmp(f[i], "start=", 6))
			j->head.start = strtoull(v, NULL, 10);
		else if (!strncmp(f[i], "made=", 5))
			j->dir_made = v[0] == '1';
		else if (!strncmp(f[i], "image=", 6))
			j->head.image = strtoll(v, NULL, 10);
	}
	if (!j->boot_id || !j->db_path || !j->at)
		return err_set(e, ERR_FORMAT, "%s: the first line is damaged", j->path);
	j->head.name = j->name;
	j->head.boot_id = j->boot_id;
	j->head.db_path = j->db_path;
	j->head.at = j->at;
	return 0;
}

static int parse_line(struct journal *j, const char **f, int n, struct err *e)
{
	struct journal_entry *je = n >= 2 ? entry_find(j, strtoul(f[1], NULL, 10)) : NULL;

	if (n == 4 && !strcmp(f[0], "begin"))
		return entry_add(j, strtoul(f[1], NULL, 10), f[2], f[3], e);
	if (n == 4 && !strcmp(f[0], "fact") && je)
		return entry_fact(je, f[2], f[3], e);
	if (n == 2 && !strcmp(f[0], "done") && je)
		je->done = true;
	if (n == 2 && !strcmp(f[0], "undone") && je)
		je->undone = true;
	if (n == 1 && !strcmp(f[0], "commit"))
		j->committed = true;
	if (n == 6 && !strcmp(f[0], "holder"))
		return holder_add(j,
				  &(struct journal_holder){strtol(f[1], NULL, 10),
							   strtoull(f[2], NULL, 10),
							   strtoll(f[3], NULL, 10),
							   strtoll(f[4], NULL, 10), (char *)f[5]},
				  e);
	if (n == 6 && !strcmp(f[0], "netns"))
		return netns_add(j,
				 &(struct journal_netns){strtoll(f[1], NULL, 10), (char *)f[2],
							 (char *)f[5], strtoull(f[3], NULL, 10),
							 strtoull(f[4], NULL, 10)},
				 e);
	return 0;
}

static int parse(struct journal *j, struct buf *text, struct err *e)
{
	char *at = (char *)text->data, *end;
	auto_buf struct buf store = {0};
	const char *f[FIELD_MAX];
	bool first = true;

	/* What comes after the last newline was being written when the restorer was killed. */
	for (; at && (end = strchr(at, '\n')); at = end + 1, first = false) {
		int n;

		*end = 0;
		n = split(at, &store, f, e);
		if (n < 0)
			return err_wrap(e, "%s", j->path);
		if (first ? parse_head(j, f, n, e) : parse_line(j, f, n, e))
			return -1;
	}
	return first ? err_set(e, ERR_FORMAT, "%s is empty", j->path) : 0;
}

struct journal *journal_open(const char *dir, const char *name, struct err *e)
{
	auto_journal struct journal *j = NULL;
	auto_buf struct buf text = {0};
	auto_free char *boot = NULL;

	if (check_name(name, e))
		return NULL;
	j = handle_new(dir, name, e);
	if (!j)
		return NULL;
	j->fd = open(j->path, O_RDWR | O_APPEND | O_CLOEXEC);
	if (j->fd < 0) {
		if (errno == ENOENT)
			err_set(e, ERR_NOTFOUND, "no instance named %s (no %s)", name, j->path);
		else
			err_sys(e, ERR_IO, "open journal %s", j->path);
		return NULL;
	}
	if (io_read_file(AT_FDCWD, j->path, JOURNAL_MAX, &text, e) || parse(j, &text, e) ||
	    read_boot_id(&boot, e))
		return NULL;
	j->other_boot = strcmp(boot, j->boot_id) != 0;
	return take_ptr(j);
}

const struct journal_head *journal_head(const struct journal *j)
{
	return &j->head;
}

bool journal_is_committed(const struct journal *j)
{
	return j->committed;
}

bool journal_is_other_boot(const struct journal *j)
{
	return j->other_boot;
}

size_t journal_n_entries(const struct journal *j)
{
	return j->n_entries;
}

const struct journal_entry *journal_entry(const struct journal *j, size_t i)
{
	return &j->entries[i];
}

size_t journal_n_holders(const struct journal *j)
{
	return j->n_holders;
}

const struct journal_holder *journal_holder(const struct journal *j, size_t i)
{
	return &j->holders[i];
}

size_t journal_n_netns(const struct journal *j)
{
	return j->n_netns;
}

const struct journal_netns *journal_netns(const struct journal *j, size_t i)
{
	return &j->netns[i];
}

const char *journal_value(const struct journal_entry *je, const char *key)
{
	for (size_t i = 0; i < je->n_facts; i++)
		if (!strcmp(je->keys[i], key))
			return je->values[i];
	return NULL;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int journal_list(const char *dir, char ***names, struct err *e)
{
	auto_dir DIR *d = opendir(dir);
	struct dirent *de;
	char **list;
	size_t n = 0;

	list = calloc(1, sizeof(char *));
	if (!list)
		return err_set(e, ERR_NOMEM, "instances");
	if (!d && errno != ENOENT) {
		free(list);
		return err_sys(e, ERR_IO, "read %s", dir);
	}
	while (d && (de = readdir(d))) {
		size_t len = strlen(de->d_name);
		char **grown;

		if (len <= strlen(SUFFIX) || de->d_name[0] == '.' ||
		    strcmp(de->d_name + len - strlen(SUFFIX), SUFFIX))
			continue;
		grown = realloc(list, (n + 2) * sizeof(char *));
		if (grown) {
			list = grown;
			list[n] = strndup(de->d_name, len - strlen(SUFFIX));
			list[n + 1] = NULL;
		}
		if (!grown || !list[n]) {
			journal_list_free(list);
			return err_set(e, ERR_NOMEM, "instances");
		}
		n++;
	}
	qsort(list, n, sizeof(char *), by_name);
	*names = list;
	return 0;
}

void journal_list_free(char **names)
{
	for (char **n = names; n && *n; n++)
		free(*n);
	free(names);
}
