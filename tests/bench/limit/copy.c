/* limit/copy: copies the files of a folder into a new one and takes their SHA-256 on the way.
 *
 *     copy FROM TO
 *
 * What export of an image nobody edited cannot do without. On disk at the end, as an export is. */
#include <dirent.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 1 << 20 };

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void copy(int from, int to, const char *name)
{
	static char piece[PIECE];
	int in = openat(from, name, O_RDONLY | O_CLOEXEC);
	int out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	EVP_MD_CTX *h = EVP_MD_CTX_new();
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned len;
	ssize_t n;

	if (in < 0 || out < 0 || !h || EVP_DigestInit_ex(h, EVP_sha256(), NULL) != 1)
		die(name);
	while ((n = read(in, piece, sizeof(piece))) > 0)
		if (EVP_DigestUpdate(h, piece, (size_t)n) != 1 || write(out, piece, (size_t)n) != n)
			die(name);
	if (n || EVP_DigestFinal_ex(h, md, &len) != 1 || close(in) || close(out))
		die(name);
	EVP_MD_CTX_free(h);
}

int main(int argc, char **argv)
{
	int from, to;
	struct dirent *d;
	DIR *dir;

	if (argc != 3)
		return 2;
	if (mkdir(argv[2], 0700))
		die(argv[2]);
	from = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	to = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = opendir(argv[1]);
	if (from < 0 || to < 0 || !dir)
		die(argv[1]);
	while ((d = readdir(dir)))
		if (d->d_name[0] != '.')
			copy(from, to, d->d_name);
	closedir(dir);
	if (syncfs(to))
		die(argv[2]);
	return 0;
}
