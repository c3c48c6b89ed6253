/* sk_bench.h: dump sockets of a namespace of the test's own, and look at the records: as crit prints them
 * (Debian's, format v1.1), and unpacked. Include it after cmocka. */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/json.h"
#include "criu/fdinfo.pb-c.h"
#include "criu/nsimg.pb-c.h"
#include "dumper/dump.h"
#include "dumper/sk.h"
#include "proto/img.h"
#include "proto/sockopt_table.h"
#include "sockopt_change.h"

enum { MAX_SOCKETS = 32 };

/* One test: a namespace, a folder, a dump under way. */
struct bench {
	struct ns *ns;
	struct dump_netns *netns;
	struct dump d;
	char dir[64];
	struct img_writer files, others;
	int fds[MAX_SOCKETS];
	uint64_t inos[MAX_SOCKETS];
	uint32_t types[MAX_SOCKETS];
	size_t n;
	struct json *crit; /* of files.img */
	FileEntry *entries[MAX_SOCKETS];
};

static struct err the_err = ERR_INIT; /* of the call that failed */

#define OK(call)                                                                                   \
	do {                                                                                       \
		if ((call) != 0)                                                                   \
			fail_msg("%s: %s %s", #call, the_err.msg, strerror(errno));                \
	} while (0)

static inline int bench_begin(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	*state = b;
	b->ns = ns_new(&the_err);
	if (!b->ns) {
		print_message("SKIP: no network namespace: %s\n", the_err.msg);
		return 0;
	}
	OK(ns_call(b->ns, lo_up, NULL, &the_err));
	strcpy(b->dir, "/tmp/test_sk_dump.XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	b->d.dirfd = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	b->d.next_ns_id = 9;
	b->d.next_file_id = 1;
	b->netns = dump_netns_of(&b->d, take_ptr(b->ns), &the_err);
	assert_non_null(b->netns);
	img_write_init(&b->files, b->d.dirfd);
	img_write_init(&b->others, b->d.dirfd);
	OK(img_write_begin(&b->files, IMG_FILES, 0, &the_err));
	OK(img_write_begin(&b->others, IMG_NSIMG_SK, 0, &the_err));
	return 0;
}

static inline void remove_files(struct bench *b)
{
	DIR *dir = opendir(b->dir);
	struct dirent *de;

	while (dir && (de = readdir(dir)))
		unlinkat(dirfd(dir), de->d_name, 0);
	closedir(dir);
	rmdir(b->dir);
}

static inline int bench_end(void **state)
{
	struct bench *b = *state;

	for (size_t i = 0; i < b->n; i++) {
		close(b->fds[i]);
		if (b->entries[i])
			file_entry__free_unpacked(b->entries[i], NULL);
	}
	json_free(b->crit);
	if (b->netns) {
		img_write_free(&b->files);
		img_write_free(&b->others);
		sk_cache_free(b->d.sk);
		for (size_t i = 0; i < b->d.n_losses; i++) {
			free(b->d.losses[i].object);
			free(b->d.losses[i].reason);
		}
		free(b->d.losses);
		for (size_t i = 0; i < b->d.n_netns; i++) {
			ns_free(b->d.netns[i]->ns);
			free(b->d.netns[i]);
		}
		free(b->d.netns);
		close(b->d.dirfd);
		remove_files(b);
	}
	free(b);
	return 0;
}

#define BENCH(b)                                                                                   \
	struct bench *b = *state;                                                                  \
	if (!b->netns)                                                                             \
	skip()

static inline int new_socket(struct bench *b, int family, int type, int protocol)
{
	int fd = ns_socket(b->netns->ns, family, type, protocol, &the_err);

	if (fd < 0)
		fail_msg("%s", the_err.msg);
	return fd;
}

static inline void set_int(int fd, int level, int opt, int v)
{
	if (setsockopt(fd, level, opt, &v, sizeof(v)) != 0)
		fail_msg("setsockopt %d %d: %s", level, opt, strerror(errno));
}

static inline void bind4(int fd, const char *addr, int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

	inet_pton(AF_INET, addr, &a.sin_addr);
	OK(bind(fd, (struct sockaddr *)&a, sizeof(a)));
}

static inline void connect4(int fd, const char *addr, int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

	inet_pton(AF_INET, addr, &a.sin_addr);
	OK(connect(fd, (struct sockaddr *)&a, sizeof(a)));
}

static inline void bind6(int fd, const char *addr, int port)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};

	inet_pton(AF_INET6, addr, &a.sin6_addr);
	OK(bind(fd, (struct sockaddr *)&a, sizeof(a)));
}

/* Dump through a duplicate, as the dumper has one; fd is taken. The number of its entry. */
static inline size_t dump(struct bench *b, int fd)
{
	auto_close int dup_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	struct stat st;
	struct sk_ref ref = {.fd = dup_fd, .owner = "test"};

	ref.netns = dump_netns_of_socket(&b->d, dup_fd, &the_err);
	assert_non_null(ref.netns);

	fstat(fd, &st);
	ref.ino = b->inos[b->n] = st.st_ino;
	ref.file_id = (uint32_t)b->n + 1;
	b->fds[b->n] = fd;
	OK(sk_dump(&b->d, &ref, &b->files, &b->others, &b->types[b->n], &the_err));
	return b->n++;
}

/* Write files.img; have crit and protobuf read it. */
static inline void finish(struct bench *b)
{
	const struct img_type *type = img_type_get(IMG_FILES);
	auto_buf struct buf bytes = {0}, text = {0};
	char cmd[160], chunk[4096];
	struct img_reader rd;
	struct img_record rec;
	size_t n;
	FILE *f;

	OK(img_write_end(&b->files, &the_err));
	OK(io_read_file(b->d.dirfd, "files.img", 1 << 20, &bytes, &the_err));
	OK(img_read_begin(&rd, type, "files.img", buf_span(&bytes), &the_err));
	while (img_read_next(&rd, &rec, &the_err) == 1) {
		FileEntry *fe = file_entry__unpack(NULL, rec.msg.len, rec.msg.data);

		assert_non_null(fe);
		b->entries[fe->id - 1] = fe;
	}
	snprintf(cmd, sizeof(cmd), "crit decode -i %s/files.img 2>&1", b->dir);
	f = popen(cmd, "r");
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		OK(buf_add(&text, chunk, n, &the_err));
	if (pclose(f) != 0) {
		print_message("SKIP: crit: %s\n", text.data);
		return;
	}
	b->crit = json_parse((char *)text.data, text.len, &the_err);
	if (!b->crit)
		fail_msg("crit: %s", the_err.msg);
}

/* What crit prints at a path of entry no; "-" when it is not there. */
static inline void crit_is(struct bench *b, size_t no, const char *path, const char *want)
{
	const struct json *j = NULL, *entries = json_get(b->crit, "entries");
	auto_buf struct buf text = {0};
	char copy[128], *part, *save;
	int64_t id;

	if (!b->crit)
		return;
	for (size_t i = 0; i < json_len(entries); i++) {
		OK(json_to_int(json_get(json_at(entries, i), "id"), &id, "id", &the_err));
		if (id == (int64_t)no + 1)
			j = json_at(entries, i);
	}
	strcpy(copy, path);
	for (part = strtok_r(copy, ".", &save); part; part = strtok_r(NULL, ".", &save))
		j = *part >= '0' && *part <= '9' ? json_at(j, (size_t)atoi(part))
						 : json_get(j, part);
	if (j)
		OK(json_print(j, false, &text, &the_err));
	else
		OK(buf_add_str(&text, "-", &the_err));
	if (strcmp((char *)text.data, want) != 0)
		fail_msg("entry %zu %s: %s, not %s", no, path, text.data, want);
}

struct want {
	const char *path, *text;
};

static inline void crit_has(struct bench *b, size_t no, const struct want *want, size_t n)
{
	for (size_t i = 0; i < n; i++)
		crit_is(b, no, want[i].path, want[i].text);
}

#define CRIT(b, no, ...)                                                                           \
	do {                                                                                       \
		static const struct want want_[] = {__VA_ARGS__};                                  \
		crit_has(b, no, want_, ARRAY_SIZE(want_));                                         \
	} while (0)

static inline NsimgSk *extra_of(const FileEntry *fe)
{
	return fe->isk    ? fe->isk->nsimg
	       : fe->usk  ? fe->usk->nsimg
	       : fe->nlsk ? fe->nlsk->nsimg
			  : fe->psk->nsimg;
}

/* The option as kept must be what getsockopt says; want_kept false: it must not be there. */
static inline void option_kept(struct bench *b, size_t no, const char *name, bool want_kept)
{
	const struct sockopt *row = sockopt_find_name(name);
	NsimgSk *x = extra_of(b->entries[no]);
	uint8_t now[256] = {0};
	socklen_t len = sizeof(now);

	for (size_t i = 0; i < x->n_opt; i++) {
		if ((int)x->opt[i]->level != row->level || (int)x->opt[i]->name != row->opt)
			continue;
		if (!want_kept)
			fail_msg("entry %zu: %s is kept", no, name);
		OK(getsockopt(b->fds[no], row->level, row->opt, now, &len));
		if (x->opt[i]->value.len > len ||
		    memcmp(x->opt[i]->value.data, now, x->opt[i]->value.len) != 0)
			fail_msg("entry %zu: %s has another value", no, name);
		return;
	}
	if (want_kept)
		fail_msg("entry %zu: %s is not kept", no, name);
}

static inline bool is_lost(struct bench *b, const char *object, const char *words)
{
	for (size_t i = 0; i < b->d.n_losses; i++) {
		if (strstr(b->d.losses[i].object, object) && strstr(b->d.losses[i].reason, words))
			return true;
	}
	return false;
}

static inline void lost(struct bench *b, size_t no, const char *words)
{
	char object[64];

	snprintf(object, sizeof(object), "socket %llu ", (unsigned long long)b->inos[no]);
	if (!is_lost(b, object, words))
		fail_msg("entry %zu: no note of '%s'", no, words);
}

/* -- the options that CRIU has, of any socket, against getsockopt -- */

static const struct {
	const char *field;
	int opt;
	bool is_bool;
} common[] = {
	{"so_sndbuf", SO_SNDBUF, false},      {"so_rcvbuf", SO_RCVBUF, false},
	{"so_priority", SO_PRIORITY, false},  {"so_rcvlowat", SO_RCVLOWAT, false},
	{"so_buf_lock", 72, false},           {"so_oobinline", SO_OOBINLINE, false},
	{"reuseaddr", SO_REUSEADDR, true},    {"so_reuseport", SO_REUSEPORT, true},
	{"so_dontroute", SO_DONTROUTE, true}, {"so_no_check", SO_NO_CHECK, true},
	{"so_broadcast", SO_BROADCAST, true}, {"so_keepalive", SO_KEEPALIVE, true},
};

static inline void common_options_agree(struct bench *b, size_t no, const char *entry)
{
	for (size_t i = 0; i < ARRAY_SIZE(common); i++) {
		char path[64], want[32];
		int v = 0;
		socklen_t len = sizeof(v);

		OK(getsockopt(b->fds[no], SOL_SOCKET, common[i].opt, &v, &len));
		snprintf(path, sizeof(path), "%s.opts.%s", entry, common[i].field);
		if (common[i].is_bool)
			strcpy(want, v ? "true" : "false");
		else
			snprintf(want, sizeof(want), "%d", v);
		crit_is(b, no, path, want);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, bench_begin, bench_end)
