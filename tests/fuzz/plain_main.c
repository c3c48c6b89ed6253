/* A main for fuzz targets: runs the files given as arguments (of a folder: every file below it) and each
 * of them cut short in a few places, so that the corpus also works as an ordinary test. */
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

int main(int argc, char **argv)
{
	run(NULL, 0);
	for (int i = 1; i < argc; i++)
		if (nftw(argv[i], visit, 16, FTW_PHYS)) {
			fprintf(stderr, "%s: cannot be read\n", argv[i]);
			return 2;
		}
	printf("%zu inputs\n", n_runs);
	return 0;
}
