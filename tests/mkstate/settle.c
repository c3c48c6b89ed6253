/* settle.c: settle NETNS...: wait until the kernel has done what it does by itself in these network namespaces (paths;
 * none: the one it is called in); exit status 1, with words, when that takes longer than half a minute. For the
 * system tree of tests/criu too, so it has no library of this one. */
#include <fcntl.h>
#include <stdio.h>

#include "settled.h"

int main(int argc, char **argv)
{
	int ns[1024];
	size_t n = 0;
	char why[128];

	if (argc < 2)
		ns[n++] = open("/proc/self/ns/net", O_RDONLY);
	for (int i = 1; i < argc && n < sizeof(ns) / sizeof(*ns); i++)
		ns[n++] = open(argv[i], O_RDONLY);
	if (await_settled(ns, n, why, sizeof(why)))
		return 0;
	fprintf(stderr, "settle: %s\n", why);
	return 1;
}
