/* A main for fuzz targets: runs the files given as arguments (of a folder: every file below it) and each
 * of them cut short in a few places, so that the corpus also works as an ordinary test.
 * With NSIMG_FUZZ_RUNS=N: N inputs instead, each a file by chance, damaged by chance. NSIMG_FUZZ_SEED gives the
 * same ones again; the seed is printed, and NSIMG_FUZZ_KEEP=FILE keeps each input there while it runs. */
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FILE_MAX = 1 << 20 };

static size_t n_runs;

/* In memory of exactly this size, so that a sanitizer sees every read beyond. */
static void run(const uint8_t *data, size_t size)
{
	auto_free uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		abort();
	if (size)
		memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	n_runs++;
}

static int visit(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	auto_buf struct buf b = {0};
	struct err e = ERR_INIT;
	size_t step;

	(void)ftw;
	if (flag != FTW_F || st->st_size > FILE_MAX)
		return 0;
	if (io_read_file(AT_FDCWD, path, FILE_MAX, &b, &e)) {
		fprintf(stderr, "%s\n", e.msg);
		return 1;
	}
	run(b.data, b.len);
	step = b.len / 16 + 1;
	for (size_t n = b.len % step; n < b.len; n += step)
		run(b.data, n);
	/* one flipped bit in a few places; where depends only on the file */
	for (size_t i = 0; i < 16 && b.len; i++) {
		size_t at = (i * 2654435761u + b.len) % b.len;
		uint8_t bit = (uint8_t)(1u << (i & 7));

		b.data[at] ^= bit;
		run(b.data, b.len);
		b.data[at] ^= bit;
	}
	return 0;
}

/* ---- by chance ---- */

static char **files;
static size_t n_files;

static int collect(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)ftw;
	if (flag != FTW_F || !st->st_size || st->st_size > FILE_MAX)
		return 0;
	files = reallocarray(files, n_files + 1, sizeof(*files));
	files[n_files++] = strdup(path);
	return 0;
}

/* xorshift64: the same numbers on every machine */
static uint64_t chance(uint64_t *s, uint64_t below)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return (*s >> 11) % below;
}

/* A flipped bit, an odd byte, bytes taken out or doubled, a cut. The frame of the file is mostly spared, or
 * nothing but the frame would be tested. */
static void damage(struct buf *b, uint64_t *s)
{
	static const uint8_t odd[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
	size_t from = b->len > 16 && chance(s, 8) ? 8 : 0, n, at;

	if (b->len <= from)
		return;
	at = from + chance(s, b->len - from);
	n = 1 + chance(s, 8);
	n = n > b->len - at ? b->len - at : n;
	switch (chance(s, 8)) {
	case 0:
		b->len = at;
		break;
	case 1:
		memmove(b->data + at, b->data + at + n, b->len - at - n);
		b->len -= n;
		break;
	case 2:
		memmove(b->data + from + chance(s, b->len - from - n + 1), b->data + at, n);
		break;
	case 3:
	case 4:
		b->data[at] = odd[chance(s, sizeof(odd))];
		break;
	default:
		b->data[at] ^= (uint8_t)(1u << chance(s, 8));
	}
}

static int run_by_chance(size_t runs)
{
	const char *text = getenv("NSIMG_FUZZ_SEED"), *keep = getenv("NSIMG_FUZZ_KEEP");
	uint64_t seed = text ? strtoull(text, NULL, 0)
			     : (uint64_t)time(NULL) << 20 | (uint64_t)getpid(),
		 s = seed ? seed : 1;

	printf("NSIMG_FUZZ_SEED=%llu\n", (unsigned long long)seed);
	fflush(stdout);
	for (size_t i = 0; i < runs && n_files; i++) {
		auto_buf struct buf b = {0};
		struct err e = ERR_INIT;

		if (io_read_file(AT_FDCWD, files[chance(&s, n_files)], FILE_MAX, &b, &e))
			return 1;
		for (uint64_t n = 1 + chance(&s, 4); n; n--)
			damage(&b, &s);
		if (keep && io_write_file(AT_FDCWD, keep, b.data, b.len, 0600, &e))
			return 1;
		run(b.data, b.len);
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *runs = getenv("NSIMG_FUZZ_RUNS");
	int rc = 0;

	if (!runs)
		run(NULL, 0);
	for (int i = 1; i < argc; i++)
		if (nftw(argv[i], runs ? collect : visit, 16, FTW_PHYS)) {
			fprintf(stderr, "%s: cannot be read\n", argv[i]);
			return 2;
		}
	if (runs)
		rc = run_by_chance(strtoull(runs, NULL, 0));
	for (size_t i = 0; i < n_files; i++)
		free(files[i]);
	free(files);
	printf("%zu inputs\n", n_runs);
	return rc;
}
