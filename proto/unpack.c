#include "proto/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <lzma.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/cleanup.h"
#include "base/hash.h"

enum {
	IN_SIZE = 1 << 16,
	OUT_SIZE = 1 << 17,
	MAGIC_MAX = 6,
	XZ_MEMORY_MAX = 256 << 20, /* xz -9 needs 65 MiB; zstd's own limit is a window of 128 MiB */
};

/* What a step of a decompressor came to. */
enum step { STEP_MORE, STEP_END, STEP_DAMAGED, STEP_NO_MEMORY };

struct codec {
	const char *name;
	bool (*is_it)(const uint8_t *magic, size_t n);
	bool (*begin)(struct unpack *u);
	enum step (*step)(struct unpack *u);
	void (*end)(struct unpack *u);
};

struct unpack {
	int fd;
	struct hash *hash;
	uint64_t n_bytes; /* of the file, read so far */
	uint8_t in[IN_SIZE], out[OUT_SIZE];
	size_t in_at, in_end, out_len;
	bool is_eof;               /* of the file */
	const struct codec *codec; /* NULL: not compressed */
	bool is_known;             /* codec was looked for */
	bool in_stream, is_done;
	struct err failed; /* what unpack_read says from now on */
	z_stream z;
	lzma_stream xz;
	ZSTD_DStream *zstd;
};

/* ---- the file ---- */

/* Put more bytes behind those that are there; is_eof when there are none. */
static int fill(struct unpack *u, struct err *e)
{
	ssize_t n;

	memmove(u->in, u->in + u->in_at, u->in_end - u->in_at);
	u->in_end -= u->in_at;
	u->in_at = 0;
	do
		n = read(u->fd, u->in + u->in_end, sizeof(u->in) - u->in_end);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, ERR_IO, "read failed");
	u->is_eof = !n;
	if (n && hash_update(u->hash, u->in + u->in_end, (size_t)n, e))
		return -1;
	u->in_end += (size_t)n;
	u->n_bytes += (size_t)n;
	return 0;
}

/* At least n bytes, unless the file ends before. */
static int want(struct unpack *u, size_t n, struct err *e)
{
	while (u->in_end - u->in_at < n && !u->is_eof)
		if (fill(u, e))
			return -1;
	return 0;
}

struct unpack *unpack_open(const char *path, struct err *e)
{
	auto_unpack struct unpack *u = calloc(1, sizeof(*u));
	struct stat st;

	if (!u) {
		err_set(e, ERR_NOMEM, "out of memory");
		return NULL;
	}
	u->hash = hash_new(e);
	u->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (!u->hash)
		return NULL;
	if (u->fd < 0 || fstat(u->fd, &st)) {
		err_sys(e, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, "open %s", path);
		return NULL;
	}
	if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode)) {
		err_set(e, ERR_FORMAT, "%s is neither a folder nor a file", path);
		return NULL;
	}
	return take_ptr(u);
}

void unpack_free(struct unpack *u)
{
	if (!u)
		return;
	if (u->in_stream && u->codec)
		u->codec->end(u);
	if (u->fd >= 0)
		close(u->fd);
	hash_free(u->hash);
	free(u);
}

int unpack_digest(struct unpack *u, char hex[65], uint64_t *size, struct err *e)
{
	while (!u->is_eof) {
		u->in_at = u->in_end = 0;
		if (fill(u, e))
			return -1;
	}
	*size = u->n_bytes;
	return hash_final(u->hash, hex, e);
}

/* ---- gzip: RFC 1952 ---- */

static bool gzip_is_it(const uint8_t *m, size_t n)
{
	return n >= 3 && m[0] == 0x1f && m[1] == 0x8b && m[2] == 8;
}

static bool gzip_begin(struct unpack *u)
{
	u->z = (z_stream){0};
	return inflateInit2(&u->z, 15 + 16) == Z_OK;
}

static enum step gzip_step(struct unpack *u)
{
	int rc;

	u->z.next_in = u->in + u->in_at;
	u->z.avail_in = (uInt)(u->in_end - u->in_at);
	u->z.next_out = u->out + u->out_len;
	u->z.avail_out = (uInt)(OUT_SIZE - u->out_len);
	rc = inflate(&u->z, Z_NO_FLUSH);
	u->in_at = u->in_end - u->z.avail_in;
	u->out_len = OUT_SIZE - u->z.avail_out;
	switch (rc) {
	case Z_OK:
	case Z_BUF_ERROR: /* needs more input, or room */
		return STEP_MORE;
	case Z_STREAM_END:
		return STEP_END;
	case Z_MEM_ERROR:
		return STEP_NO_MEMORY;
	default:
		return STEP_DAMAGED;
	}
}

static void gzip_end(struct unpack *u)
{
	inflateEnd(&u->z);
}

/* ---- zstd: RFC 8878 ---- */

/* A frame, or one to be skipped, which some writers put in for those who want to read in parallel. */
static bool zstd_is_it(const uint8_t *m, size_t n)
{
	return n >= 4 && ((m[0] == 0x28 && m[1] == 0xb5 && m[2] == 0x2f && m[3] == 0xfd) ||
			  ((m[0] & 0xf0) == 0x50 && m[1] == 0x2a && m[2] == 0x4d && m[3] == 0x18));
}

static bool zstd_begin(struct unpack *u)
{
	u->zstd = ZSTD_createDStream();
	return u->zstd && !ZSTD_isError(ZSTD_initDStream(u->zstd));
}

static enum step zstd_step(struct unpack *u)
{
	ZSTD_inBuffer in = {u->in, u->in_end, u->in_at};
	ZSTD_outBuffer out = {u->out, OUT_SIZE, u->out_len};
	size_t rc = ZSTD_decompressStream(u->zstd, &out, &in);

	u->in_at = in.pos;
	u->out_len = out.pos;
	if (ZSTD_isError(rc))
		return STEP_DAMAGED;
	return rc ? STEP_MORE : STEP_END;
}

static void zstd_end(struct unpack *u)
{
	ZSTD_freeDStream(u->zstd);
	u->zstd = NULL;
}

/* ---- xz: the .xz file format, 1.1.0 ---- */

static bool xz_is_it(const uint8_t *m, size_t n)
{
	return n >= 6 && !memcmp(m,
				 "\xfd"
				 "7zXZ",
				 6);
}

static bool xz_begin(struct unpack *u)
{
	u->xz = (lzma_stream)LZMA_STREAM_INIT;
	return lzma_stream_decoder(&u->xz, XZ_MEMORY_MAX, 0) == LZMA_OK;
}

static enum step xz_step(struct unpack *u)
{
	lzma_ret rc;

	u->xz.next_in = u->in + u->in_at;
	u->xz.avail_in = u->in_end - u->in_at;
	u->xz.next_out = u->out + u->out_len;
	u->xz.avail_out = OUT_SIZE - u->out_len;
	rc = lzma_code(&u->xz, LZMA_RUN);
	u->in_at = u->in_end - u->xz.avail_in;
	u->out_len = OUT_SIZE - u->xz.avail_out;
	switch (rc) {
	case LZMA_OK:
	case LZMA_BUF_ERROR:
		return STEP_MORE;
	case LZMA_STREAM_END:
		return STEP_END;
	case LZMA_MEM_ERROR:
	case LZMA_MEMLIMIT_ERROR:
		return STEP_NO_MEMORY;
	default:
		return STEP_DAMAGED;
	}
}

static void xz_end(struct unpack *u)
{
	lzma_end(&u->xz);
}

static const struct codec codecs[] = {
	{"gzip", gzip_is_it, gzip_begin, gzip_step, gzip_end},
	{"zstd", zstd_is_it, zstd_begin, zstd_step, zstd_end},
	{"xz", xz_is_it, xz_begin, xz_step, xz_end},
};

/* ---- reading ---- */

static int begin_stream(struct unpack *u, struct err *e)
{
	u->in_stream = u->codec->begin(u);
	if (u->in_stream)
		return 0;
	u->codec->end(u);
	return err_set(e, ERR_NOMEM, "out of memory for %s", u->codec->name);
}

static int find_codec(struct unpack *u, struct err *e)
{
	if (want(u, MAGIC_MAX, e))
		return -1;
	u->is_known = true;
	for (size_t i = 0; i < ARRAY_SIZE(codecs) && !u->codec; i++)
		if (codecs[i].is_it(u->in + u->in_at, u->in_end - u->in_at))
			u->codec = &codecs[i];
	return u->codec ? begin_stream(u, e) : 0;
}

/* After a stream: another of its kind, after zeros that fill up a block (of a tape, or of xz); what is not one is
 * not of the archive. */
static int next_stream(struct unpack *u, struct err *e)
{
	u->codec->end(u);
	u->in_stream = false;
	for (;;) {
		if (want(u, MAGIC_MAX, e))
			return -1;
		if (u->in_at == u->in_end || u->in[u->in_at])
			break;
		u->in_at++;
	}
	if (u->codec->is_it(u->in + u->in_at, u->in_end - u->in_at))
		return begin_stream(u, e);
	u->is_done = true;
	return 0;
}

/* Some bytes into out, or is_done, or -1. */
static int unpack_some(struct unpack *u, struct err *e)
{
	size_t at, len = u->out_len;
	enum step s;

	if (u->in_at == u->in_end && !u->is_eof && fill(u, e))
		return -1;
	at = u->in_at;
	s = u->codec->step(u);
	if (s == STEP_END)
		return next_stream(u, e);
	if (s == STEP_NO_MEMORY)
		return err_set(e, ERR_NOMEM, "%s needs more memory than it may have",
			       u->codec->name);
	if (s == STEP_DAMAGED)
		return err_set(e, ERR_FORMAT, "the %s data is damaged", u->codec->name);
	if (u->is_eof && u->in_at == u->in_end && u->in_at == at && u->out_len == len)
		return err_set(e, ERR_FORMAT, "the %s data ends early", u->codec->name);
	return 0;
}

static int pass_on(struct unpack *u, const uint8_t **data, size_t *n, struct err *e)
{
	if (want(u, 1, e))
		return -1;
	*data = u->in + u->in_at;
	*n = u->in_end - u->in_at;
	u->in_at = u->in_end;
	return 0;
}

int unpack_read(struct unpack *u, const uint8_t **data, size_t *n, struct err *e)
{
	*data = u->out;
	*n = 0;
	if (!u->failed.code && !u->is_known && find_codec(u, &u->failed))
		return (*e = u->failed).code ? -1 : 0;
	if (!u->failed.code && !u->codec && !pass_on(u, data, n, &u->failed))
		return 0;
	u->out_len = 0;
	while (!u->failed.code && !u->is_done && u->out_len < OUT_SIZE)
		if (unpack_some(u, &u->failed))
			break;
	*n = u->out_len;
	if (*n || !u->failed.code)
		return 0;
	*e = u->failed;
	return -1;
}
